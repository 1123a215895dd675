//! What a killed server leaves behind.
//!
//! PostgreSQL's children outlive a killed postmaster by a moment, and a new one refuses to start beside them.
//! They all work in the data folder, which is how they are found (Linux; elsewhere nothing is found).

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills every process whose working folder is `dir`, except `spare`, and waits until they are gone.
pub(super) fn end_in(dir: &Path, spare: Option<u32>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        let found = processes_in(dir, spare);
        if found.is_empty() {
            return;
        }
        for pid in found {
            // Gone between the look and the signal: that is what is wanted.
            let _ = kill(pid, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every process whose working folder is `dir`, except `spare`.
pub(super) fn processes_in(dir: &Path, spare: Option<u32>) -> Vec<Pid> {
    let Ok(dir) = dir.canonicalize() else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| Some(*pid) != spare && *pid != std::process::id())
        .filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir))
        .filter_map(|pid| i32::try_from(pid).ok().map(Pid::from_raw))
        .collect()
}
