//! One supervised process: started, killed, paused, brought back, ended with us.

mod orphans;
mod ready;
mod spawner;
mod stopped;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub use ready::Ready;

/// How long a process may take to become ready before its start counts as failed.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a process may take to stop when asked to, before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Everything that is needed to start a process, and to start it again.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name for messages, log and pid file.
    pub name: String,
    /// What to execute.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that are set for it.
    pub env: Vec<(String, String)>,
    /// Whether it also sees our own `LAYERS_*`, `AI_GATEWAY_*` and `*_URL` variables; not in tests.
    pub keep_env: bool,
    /// User and group to become.
    pub user: Option<(u32, u32)>,
    /// Working folder.
    pub dir: PathBuf,
    /// File that its output is appended to.
    pub log: PathBuf,
    /// File that always holds the number of the running process.
    pub pid_file: Option<PathBuf>,
    /// How to know that it is ready.
    pub ready: Ready,
    /// The signal that asks it to stop.
    pub stop_signal: Signal,
    /// The signal that ends it without ceremony, when it or we are given up.
    pub end_signal: Signal,
    /// Whether processes left over in `dir` are killed with it and before a start.
    pub owns_dir: bool,
}

/// A process that can be brought back after its end. Methods take `&self`: a supervisor and a test share it.
#[derive(Debug)]
pub struct Process {
    spec: Mutex<Spec>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    child: Option<Child>,
    /// False after an orderly stop: then a supervisor leaves it alone.
    wanted: bool,
    supervised: bool,
    /// How often a supervisor had to start it.
    restarts: u32,
    started: Option<Instant>,
}

impl Process {
    /// Starts it; does not wait until it is ready.
    ///
    /// # Errors
    /// When it cannot be executed.
    pub fn spawn(spec: Spec) -> Result<Self> {
        let process = Self { spec: Mutex::new(spec), state: Mutex::default() };
        process.start()?;
        Ok(process)
    }

    /// Starts it after `kill` or `stop`; nothing happens when it runs. Does not wait until it is ready.
    ///
    /// # Errors
    /// When it cannot be executed.
    pub fn start(&self) -> Result<()> {
        let mut state = self.state();
        self.start_in(&mut state)
    }

    /// Starts it after it ended by itself or was killed; not if it was stopped or taken down meanwhile.
    pub(crate) fn start_again(&self) -> Result<()> {
        let mut state = self.state();
        if state.wanted {
            self.start_in(&mut state)?;
            state.restarts += 1;
        }
        Ok(())
    }

    fn start_in(&self, state: &mut State) -> Result<()> {
        let spec = self.spec().clone();
        if state.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None))) {
            return Ok(());
        }
        if spec.owns_dir {
            orphans::end_in(&spec.dir, None);
        }
        let log = OpenOptions::new().create(true).append(true).open(&spec.log);
        let child = spawner::spawn(spawner::Start {
            program: &spec.program,
            args: &spec.args,
            env: &spec.env,
            keep_env: spec.keep_env,
            user: spec.user,
            dir: &spec.dir,
            log: log.with_context(|| format!("cannot write {}", spec.log.display()))?,
            death_signal: spec.end_signal.as_str().trim_start_matches("SIG"),
        })?;
        if let Some(file) = &spec.pid_file {
            write_whole(file, &format!("{}\n", child.id()))?;
        }
        state.child = Some(child);
        state.wanted = true;
        state.started = Some(Instant::now());
        Ok(())
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// When it ends first or needs more than a minute; with the end of its log.
    pub fn wait_ready(&self) -> Result<()> {
        self.wait_ready_within(READY_WITHIN)
    }

    /// Waits until it is ready, `within` at most.
    ///
    /// # Errors
    /// When it ends first or is too late; with the end of its log.
    pub fn wait_ready_within(&self, within: Duration) -> Result<()> {
        let spec = self.spec().clone();
        let deadline = Instant::now() + within;
        loop {
            let lacks = match self.pid() {
                Some(pid) => match spec.ready.lacks(pid) {
                    None => return Ok(()),
                    Some(lacks) => lacks,
                },
                None if self.state().supervised => "it ended and is started again".to_owned(),
                None => bail!("{} ended before it was ready; its log ends with\n{}", spec.name, self.log_tail()),
            };
            if Instant::now() > deadline {
                bail!("{} is not ready after {within:?} ({lacks}); its log ends with\n{}", spec.name, self.log_tail());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Kills it with SIGKILL, and what it leaves behind, and waits for its end. A supervisor starts it again.
    pub fn kill(&self) {
        let (owns_dir, dir) = {
            let spec = self.spec();
            (spec.owns_dir, spec.dir.clone())
        };
        let mut state = self.state();
        if let Some(child) = &mut state.child {
            // An error says that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        if owns_dir {
            orphans::end_in(&dir, None);
        }
    }

    /// Kills it as [`Process::kill`] does; a supervisor leaves it down until [`Process::start`].
    pub fn take_down(&self) {
        self.state().wanted = false;
        self.kill();
    }

    /// Kills it, starts it again at once and waits until it is ready.
    ///
    /// # Errors
    /// As [`Process::start`] and [`Process::wait_ready`].
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.start()?;
        self.wait_ready()
    }

    /// Asks it to stop, waits for its end, and kills it when that takes too long. A supervisor leaves it stopped.
    ///
    /// # Errors
    /// When it had to be killed.
    pub fn stop(&self) -> Result<()> {
        self.state().wanted = false;
        let (name, stop_signal) = {
            let spec = self.spec();
            (spec.name.clone(), spec.stop_signal)
        };
        self.resume();
        self.signal(stop_signal);
        let deadline = Instant::now() + STOP_WITHIN;
        while self.pid().is_some() {
            if Instant::now() > deadline {
                self.kill();
                bail!("{name} did not stop in {STOP_WITHIN:?} and was killed; its log ends with\n{}", self.log_tail());
            }
            std::thread::sleep(POLL);
        }
        self.remove_pid_file();
        Ok(())
    }

    /// Stops its clock (SIGSTOP), and that of all that works in its folder where that is its own: when this returns it
    /// stays, and does nothing.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        let Some(pid) = self.pid() else { return };
        stopped::wait(pid);
        // Whoever begets others stands still by now.
        for child in self.children(pid) {
            let _ = kill(child, Signal::SIGSTOP);
            stopped::wait(child.as_raw().unsigned_abs());
        }
    }

    /// Lets it go on after [`Process::pause`].
    pub fn resume(&self) {
        if let Some(pid) = self.pid() {
            for child in self.children(pid) {
                let _ = kill(child, Signal::SIGCONT);
            }
        }
        self.signal(Signal::SIGCONT);
    }

    fn children(&self, pid: u32) -> Vec<Pid> {
        let spec = self.spec();
        if spec.owns_dir { orphans::processes_in(&spec.dir, Some(pid)) } else { Vec::new() }
    }

    /// Sends it a signal; nothing happens when it does not run.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Its process number while it runs.
    pub fn pid(&self) -> Option<u32> {
        let mut state = self.state();
        let child = state.child.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.spec().name.clone()
    }

    /// How often it ended, though nobody had stopped it or taken it down, and a supervisor started it again.
    pub fn restarts(&self) -> u32 {
        self.state().restarts
    }

    /// The file of its output.
    pub fn log(&self) -> PathBuf {
        self.spec().log.clone()
    }

    /// Sets a variable for its next start.
    pub fn set_env(&self, name: &str, value: &str) {
        let mut spec = self.spec();
        spec.env.retain(|(known, _)| known != name);
        spec.env.push((name.to_owned(), value.to_owned()));
    }

    /// At its next start, the program of the same name in this folder is executed.
    pub fn run_from(&self, folder: &Path) {
        let mut spec = self.spec();
        spec.program = folder.join(spec.program.file_name().unwrap_or_default());
    }

    /// The last lines of its output.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(16_384)..]).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// If it should run and does not: how long its last life was.
    pub(crate) fn died(&self) -> Option<Duration> {
        let mut state = self.state();
        state.supervised = true;
        let ended = match &mut state.child {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            None => true,
        };
        (state.wanted && ended).then(|| state.started.map(|started| started.elapsed()).unwrap_or_default())
    }

    fn remove_pid_file(&self) {
        if let Some(file) = &self.spec().pid_file {
            let _ = std::fs::remove_file(file);
        }
    }

    fn spec(&self) -> MutexGuard<'_, Spec> {
        self.spec.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let end_signal = self.spec().end_signal;
        self.signal(end_signal);
        self.resume();
        if let Some(child) = &mut self.state().child {
            let _ = child.wait();
        }
        self.remove_pid_file();
    }
}

/// Writes a file so that readers see the old or the new content, never a part.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, text)
        .and_then(|()| std::fs::rename(&beside, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
