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

fn look_after(processes: &[Arc<Process>], ended: &Receiver<()>) {
    let mut not_before: Vec<Option<Instant>> = vec![None; processes.len()];
    while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        for (process, not_before) in processes.iter().zip(&mut not_before) {
            let Some(lived) = process.died() else { continue };
            let now = Instant::now();
            match *not_before {
                Some(then) if now < then => continue,
                None if lived < SHORT_LIFE => {
                    *not_before = Some(now + PAUSE_AFTER_SHORT_LIFE);
                    continue;
                }
                _ => *not_before = None,
            }
            let name = process.name();
            match process.start() {
                Ok(()) => eprintln!("{name} ended and is started again; its log: {}", process.log().display()),
                Err(error) => eprintln!("{name} ended and cannot be started again: {error:#}"),
            }
        }
    }
}
