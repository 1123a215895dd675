//! A private nats-server with JetStream.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{copy_dir, nats_server};
use crate::place::RunDir;
use crate::port;
use crate::process::{Process, Ready, Spec};

/// How a server is started; `NatsOptions::default()` is a test's.
#[derive(Debug, Default, Clone)]
pub struct NatsOptions {
    /// How often JetStream syncs to disk (`always`, `10s`); nats-server's own default otherwise.
    pub sync_interval: Option<String>,
    /// Folder that is kept; a temporary one otherwise.
    pub dir: Option<PathBuf>,
    /// File for its process number.
    pub pid_file: Option<PathBuf>,
    /// File for its output; in its folder otherwise.
    pub log: Option<PathBuf>,
    /// Lines added to its configuration.
    pub extra: String,
    /// Its name in a cluster.
    pub name: Option<String>,
}

/// A running nats-server; ended when dropped.
#[derive(Debug)]
pub struct NatsServer {
    process: std::sync::Arc<Process>,
    port: u16,
    monitoring: u16,
    dir: RunDir,
}

impl NatsServer {
    /// Starts one for a test and waits until it serves.
    ///
    /// # Errors
    /// When nats-server is missing or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(NatsOptions::default())
    }

    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// When nats-server is missing or does not start.
    pub fn start_with(options: NatsOptions) -> Result<Self> {
        let server = Self::spawn(options)?;
        server.process.wait_ready()?;
        Ok(server)
    }

    pub(super) fn spawn(options: NatsOptions) -> Result<Self> {
        let program = nats_server()?;
        let dir = match &options.dir {
            Some(dir) => RunDir::kept(dir)?,
            None => RunDir::temporary("nats")?,
        };
        let (port, monitoring) = (port::free()?, port::free()?);
        let config = dir.path().join("nats-server.conf");
        let sync = options.sync_interval.map(|interval| format!("  sync_interval: {interval}\n")).unwrap_or_default();
        let text = format!(
            "server_name: {name}\nlisten: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitoring}\nmax_payload: 8388608\n\
             jetstream {{\n  store_dir: {store:?}\n  max_file_store: 64GB\n{sync}}}\n{extra}",
            name = options.name.as_deref().unwrap_or("layers"),
            store = dir.path().join("data"),
            extra = options.extra,
        );
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let process = Process::spawn(Spec {
            name: options.name.unwrap_or_else(|| "nats".to_owned()),
            program,
            args: vec!["-c".into(), config.into()],
            env: Vec::new(),
            keep_env: false,
            user: None,
            dir: dir.path().to_path_buf(),
            log: options.log.unwrap_or_else(|| dir.path().join("nats.log")),
            pid_file: options.pid_file,
            ready: Ready::NatsGreeting(port),
            stop_signal: Signal::SIGTERM,
            end_signal: Signal::SIGKILL,
            owns_dir: false,
        })?;
        Ok(Self { process: process.into(), port, monitoring, dir })
    }

    /// Where clients connect: `nats://127.0.0.1:<port>`; the same after a restart.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its monitoring endpoint: `http://127.0.0.1:<port>`.
    pub fn monitoring_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitoring)
    }

    /// Its process: pid, pause, resume, stop, log.
    pub fn process(&self) -> &std::sync::Arc<Process> {
        &self.process
    }

    /// Its process number while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Kills it if it runs, starts it again on the same port and data, and waits until it serves.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn restart(&self) -> Result<()> {
        self.process.restart()
    }

    /// SIGSTOP: connections stay, nothing is answered.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// The disk is lost: kills it and removes its data. It stays down until `restart`, also where somebody supervises it.
    ///
    /// # Errors
    /// When the data cannot be removed.
    pub fn wipe_data(&self) -> Result<()> {
        self.process.take_down();
        remove(&self.data_dir())
    }

    /// Copies its data to `to`, which must not exist; as it lies on disk, so kill or stop it first for an exact copy.
    ///
    /// # Errors
    /// When the copy fails.
    pub fn snapshot_data(&self, to: &Path) -> Result<()> {
        copy_dir(&self.data_dir(), to)
    }

    /// The disk comes back older: kills it and puts a snapshot in place. It stays down until `restart`.
    ///
    /// # Errors
    /// When the data cannot be replaced.
    pub fn restore_data(&self, from: &Path) -> Result<()> {
        self.wipe_data()?;
        copy_dir(from, &self.data_dir())
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}
