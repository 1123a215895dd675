//! Starts child processes that die with this one.
//!
//! The kernel's parent-death signal (`PR_SET_PDEATHSIG`) is tied to the thread that started the child, so one thread
//! that lives as long as the process starts them all, on the cores of whoever asks for it. It is set by util-linux' `setpriv` after the user is changed
//! (a change of user clears it); where that is missing, children are ended by `Drop` only.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

type Job = (Command, CpuSet, mpsc::Sender<std::io::Result<Child>>);

/// What to start, as whom, and where its output goes.
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    pub(super) args: &'a [OsString],
    pub(super) env: &'a [(String, String)],
    pub(super) keep_env: bool,
    pub(super) user: Option<(u32, u32)>,
    pub(super) dir: &'a Path,
    pub(super) log: File,
    /// Name of the signal that the child gets when this process dies.
    pub(super) death_signal: &'static str,
}

/// Starts it in a process group of its own, so that a Ctrl-C in the terminal reaches only us and we stop in order.
pub(super) fn spawn(start: Start<'_>) -> Result<Child> {
    let mut command = match setpriv() {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", start.death_signal, "--"]).arg(start.program);
            command
        }
        None => Command::new(start.program),
    };
    command.args(start.args).current_dir(start.dir).stdin(Stdio::null());
    command.stdout(start.log.try_clone()?).stderr(start.log);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    if !start.keep_env {
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
            command.env_remove(name);
        }
    }
    command.envs(start.env.iter().map(|(name, value)| (name, value)));
    if let Some((uid, gid)) = start.user {
        use std::os::unix::process::CommandExt;
        command.uid(uid).gid(gid);
    }
    let (answer, child) = mpsc::channel();
    let cores = sched_getaffinity(Pid::from_raw(0)).context("the cores that this thread may use")?;
    thread().send((command, cores, answer)).ok().context("the thread that starts processes has ended")?;
    let child = child.recv().context("the thread that starts processes has ended")?;
    child.with_context(|| format!("cannot start {}", start.program.display()))
}

/// What a developer's shell may have set for a stack of their own, and must not leak into a test's.
fn is_ours(name: &str) -> bool {
    name.starts_with("LAYERS_") || name.starts_with("AI_GATEWAY_") || name.starts_with("PG") || name.ends_with("_URL")
}

fn thread() -> &'static mpsc::Sender<Job> {
    static THREAD: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    THREAD.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, cores, answer) in queue {
                let begun = sched_setaffinity(Pid::from_raw(0), &cores).map_err(std::io::Error::from);
                // Nobody waits for the answer any more: then the child is dropped, and dies with us at the latest.
                let _ = answer.send(begun.and_then(|()| command.spawn()));
            }
        });
        jobs
    })
}

fn setpriv() -> Option<&'static PathBuf> {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    SETPRIV
        .get_or_init(|| {
            let path = ["/usr/bin/setpriv", "/bin/setpriv"].map(PathBuf::from).into_iter().find(|p| p.is_file())?;
            let help = Command::new(&path).arg("--help").output().ok()?;
            String::from_utf8_lossy(&help.stdout).contains("--pdeathsig").then_some(path)
        })
        .as_ref()
}
