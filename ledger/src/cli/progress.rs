use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The bar has so many places.
const PLACES: u64 = 30;
/// It is drawn so often at most.
const EVERY: Duration = Duration::from_millis(100);

/// One line on a terminal's standard error that is written over; elsewhere nothing.
pub(super) struct Bar {
    begin: Instant,
    drawn: Option<Instant>,
    shown: bool,
}

impl Bar {
    pub(super) fn new() -> Self {
        Self { begin: Instant::now(), drawn: None, shown: std::io::stderr().is_terminal() }
    }

    /// So far, of so many.
    pub(super) fn at(&mut self, done: u64, of: u64) {
        if !self.shown || self.drawn.is_some_and(|drawn| drawn.elapsed() < EVERY) {
            return;
        }
        self.drawn = Some(Instant::now());
        let share = done.min(of) * PLACES / of.max(1);
        let (full, empty) = ("█".repeat(share as usize), "·".repeat((PLACES - share) as usize));
        let rate = done as f64 / self.begin.elapsed().as_secs_f64().max(0.001);
        let left = of.saturating_sub(done) as f64 / rate.max(1.0);
        let percent = 100 * done / of.max(1);
        eprint!("\r\x1b[2K{full}{empty} {percent:3} %  {done} of {of} events  {rate:.0}/s  {left:.0} s left");
        // A line that cannot be shown is none.
        let _ = std::io::stderr().flush();
    }

    /// The line is gone.
    pub(super) fn end(self) {
        if self.drawn.is_some() {
            eprint!("\r\x1b[2K");
        }
    }
}
