use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Says on a terminal's standard error how far a long reading is. Where nobody looks, nothing.
pub struct Progress {
    until: u64,
    begin: Instant,
    said: Option<Instant>,
    is_shown: bool,
}

/// It is drawn so often at most.
const EVERY: Duration = Duration::from_millis(250);
/// The bar has so many places.
const PLACES: u64 = 30;

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
        let until = self.until.max(1);
        let share = position.min(until) * PLACES / until;
        let (full, empty) = ("█".repeat(share as usize), "·".repeat((PLACES - share) as usize));
        let rate = position as f64 / self.begin.elapsed().as_secs_f64().max(0.001);
        let left = self.until.saturating_sub(position) as f64 / rate.max(1.0);
        let percent = position * 100 / until;
        eprint!(
            "\r\x1b[K{full}{empty} {percent:>3} %  position {position} of {}  {rate:.0}/s  {left:.0} s left",
            self.until
        );
        let _ = std::io::stderr().flush();
    }

    /// The same, where the end is known only now.
    pub fn at_of(&mut self, position: u64, until: u64) {
        self.until = until;
        self.at(position);
    }

    /// Wipes the line.
    pub fn end(&self) {
        if self.said.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
