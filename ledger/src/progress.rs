use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Says on a terminal's standard error how far a long reading is. Where nobody looks, nothing.
pub struct Progress {
    until: u64,
    begin: Instant,
    said: Option<Instant>,
    is_shown: bool,
}

const EVERY: Duration = Duration::from_millis(250);

impl Progress {
    /// Up to a position. `beside_output`: what is read is printed to the same terminal meanwhile, so it speaks for itself.
    pub fn new(until: u64, beside_output: bool) -> Self {
        let is_shown = std::io::stderr().is_terminal() && !(beside_output && std::io::stdout().is_terminal());
        Self { until, begin: Instant::now(), said: None, is_shown }
    }

    /// Says nothing.
    pub fn silent() -> Self {
        Self { until: 0, begin: Instant::now(), said: None, is_shown: false }
    }

    /// Everything up to a position was read.
    pub fn at(&mut self, position: u64) {
        if !self.is_shown || self.said.is_some_and(|said| said.elapsed() < EVERY) {
            return;
        }
        self.said = Some(Instant::now());
        let percent = (position * 100).checked_div(self.until).unwrap_or(100);
        eprint!("\r{percent:>3} %  position {position} of {}  {} s ", self.until, self.begin.elapsed().as_secs());
        let _ = std::io::stderr().flush();
    }

    /// Wipes the line.
    pub fn end(&self) {
        if self.said.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
