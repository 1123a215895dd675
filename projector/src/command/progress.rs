use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use projector::rebuild::Progress;

/// How progress is shown, on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum How {
    /// By what standard error is.
    Auto,
    /// One line that is written over.
    Bar,
    /// Lines, for logs.
    Plain,
    /// Not at all.
    None,
}

/// Lines come this far apart …
const EVERY: Duration = Duration::from_secs(5);
/// … and a bar moves so often.
const MOVES: Duration = Duration::from_millis(100);
/// Characters of a full bar.
const WIDTH: usize = 30;

/// What is shown of a rebuild.
pub(super) struct Shown {
    how: How,
    last: Option<Instant>,
    phase: &'static str,
}

impl Shown {
    pub(super) fn new(how: How) -> Self {
        let how = match how {
            How::Auto if std::io::stderr().is_terminal() => How::Bar,
            How::Auto => How::Plain,
            how => how,
        };
        Self { how, last: None, phase: "" }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        let (phase, line) = match progress {
            Progress::Building { from, position, target, elapsed } => {
                ("building", building(self.how == How::Bar, from, position, target, elapsed))
            }
            Progress::Comparing => ("comparing", "comparing with the live version".to_owned()),
            Progress::Swapping => ("swapping", "going live".to_owned()),
            Progress::Dropping => ("dropping", "dropping what is not live".to_owned()),
        };
        let pause = if self.how == How::Bar { MOVES } else { EVERY };
        if phase == self.phase && self.last.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        (self.phase, self.last) = (phase, Some(Instant::now()));
        match self.how {
            How::Bar => eprint!("\r\x1b[2K{line}"),
            How::Plain => eprintln!("{line}"),
            How::Auto | How::None => {}
        }
        // A progress line that cannot be shown is none.
        let _ = std::io::stderr().flush();
    }

    /// The terminal is as it was.
    pub(super) fn end(&self) {
        if self.how == How::Bar {
            eprint!("\r\x1b[2K");
        }
    }
}

fn building(bar: bool, from: i64, position: i64, target: i64, elapsed: Duration) -> String {
    // Only what this run has done says how fast it is.
    let per_second = (position - from) as f64 / elapsed.as_secs_f64().max(0.001);
    let left = if per_second > 0.0 { clock((target - position).max(0) as f64 / per_second) } else { "-".to_owned() };
    let share = position as f64 / target.max(1) as f64;
    let bar = match bar {
        true => {
            let full = ((share * WIDTH as f64) as usize).min(WIDTH);
            format!("[{}{}] ", "#".repeat(full), "-".repeat(WIDTH - full))
        }
        false => String::new(),
    };
    format!("{bar}{:3.0} %  {position} of {target} events  {per_second:.0}/s  {left} left", (share * 100.0).floor())
}

/// 75 s are 1:15.
fn clock(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match hours {
        0 => format!("{minutes}:{:02}", seconds % 60),
        _ => format!("{hours}:{minutes:02}:{:02}", seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_by_this_run_alone() {
        let line = building(true, 500_000, 600_000, 1_000_000, Duration::from_secs(10));
        assert_eq!(line, "[##################------------]  60 %  600000 of 1000000 events  10000/s  0:40 left");
        assert_eq!(building(false, 0, 0, 0, Duration::ZERO), "  0 %  0 of 0 events  0/s  - left");
        assert_eq!(clock(3_725.2), "1:02:06");
    }
}
