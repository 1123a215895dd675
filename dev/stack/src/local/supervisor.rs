//! Starts again what died, on the same port and data.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::process::Process;

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A process that lived shorter than this is not started again at once: its server may still be on its way back.
const SHORT_LIFE: Duration = Duration::from_secs(2);
const PAUSE_AFTER_SHORT_LIFE: Duration = Duration::from_millis(500);
/// The pause doubles with each short life in a row, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Looks after processes until dropped.
#[derive(Debug)]
pub(super) struct Supervisor {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    pub(super) fn start(processes: Vec<Arc<Process>>) -> Self {
        let (end, ended) = channel();
        let thread = std::thread::spawn(move || look_after(&processes, &ended));
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How long to wait before the next start of one process.
#[derive(Debug, Default, Clone)]
struct Patience {
    not_before: Option<Instant>,
    pause: Duration,
}

impl Patience {
    /// Whether a process that is dead after a life of `lived` is to be started now.
    fn is_over(&mut self, lived: Duration, now: Instant) -> bool {
        if let Some(then) = self.not_before {
            if now >= then {
                self.not_before = None;
                return true;
            }
            return false;
        }
        if lived >= SHORT_LIFE {
            self.pause = Duration::ZERO;
            return true;
        }
        self.pause = (self.pause * 2).clamp(PAUSE_AFTER_SHORT_LIFE, LONGEST_PAUSE);
        self.not_before = Some(now + self.pause);
        false
    }
}

fn look_after(processes: &[Arc<Process>], ended: &Receiver<()>) {
    let mut patience = vec![Patience::default(); processes.len()];
    while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        for (process, patience) in processes.iter().zip(&mut patience) {
            if !process.died().is_some_and(|lived| patience.is_over(lived, Instant::now())) {
                continue;
            }
            let name = process.name();
            match process.start_again() {
                Ok(()) => eprintln!("{name} ended and is started again; its log: {}", process.log().display()),
                Err(error) => eprintln!("{name} ended and cannot be started again: {error:#}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::{Result, ensure};

    use super::*;
    use crate::servers::NatsServer;

    fn wait_for(what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            ensure!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    #[test]
    fn who_dies_early_waits_longer_each_time() {
        let (mut patience, mut now) = (Patience::default(), Instant::now());
        assert!(patience.is_over(SHORT_LIFE, now), "after a long life at once");
        for pause in [500, 1000, 2000, 4000, 5000, 5000].map(Duration::from_millis) {
            assert!(!patience.is_over(Duration::ZERO, now));
            assert!(!patience.is_over(Duration::ZERO, now + pause - Duration::from_millis(1)));
            now += pause;
            assert!(patience.is_over(Duration::ZERO, now));
        }
        assert!(patience.is_over(SHORT_LIFE, now));
    }

    #[test]
    fn what_died_comes_back_and_what_was_stopped_does_not() -> Result<()> {
        let server = NatsServer::start()?;
        let supervisor = Supervisor::start(vec![server.process().clone()]);
        for _ in 0..2 {
            let before = server.pid();
            server.kill();
            wait_for("a new process", || server.pid().is_some_and(|pid| Some(pid) != before))?;
            server.process().wait_ready()?;
        }
        server.process().stop()?;
        std::thread::sleep(LOOK_EVERY * 3);
        ensure!(server.pid().is_none(), "stopped in order, it stays so");
        drop(supervisor);
        Ok(())
    }
}
