use std::time::{Duration, Instant};

/// SIGSTOP reaches each thread when it is scheduled next: on a busy machine a process still answers for a moment.
const WITHIN: Duration = Duration::from_secs(2);

/// Waits until every thread of a process stands still (Linux; elsewhere it returns at once).
pub(super) fn wait(pid: u32) {
    let deadline = Instant::now() + WITHIN;
    while Instant::now() < deadline {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return };
        if threads.flatten().all(|thread| stands_still(&thread.path())) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn stands_still(thread: &std::path::Path) -> bool {
    // `pid (name) state …`; the name may hold anything but ends with the last parenthesis. A thread that is gone says nothing.
    let Ok(stat) = std::fs::read_to_string(thread.join("stat")) else { return true };
    stat.rsplit(')')
        .next()
        .and_then(|rest| rest.trim_start().chars().next())
        .is_some_and(|state| "TtZX".contains(state))
}
