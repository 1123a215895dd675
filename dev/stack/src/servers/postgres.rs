//! A private PostgreSQL server with an empty database `layers`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::postgres_data::{self, DATABASE, OWNER};
use super::{PostgresBinaries, postgres_binaries, run};
use crate::place::{self, RunDir};
use crate::port;
use crate::process::{Process, Ready, Spec};

/// How a server is started; `PostgresOptions::default()` is a test's.
#[derive(Debug, Default, Clone)]
pub struct PostgresOptions {
    /// Whether a commit reaches the disk; off makes tests fast, and safe against a kill of its processes all the same.
    pub fsync: bool,
    /// Data folder that is kept, with its owner's password; a temporary copy of the template otherwise.
    pub kept: Option<(PathBuf, String)>,
    /// File for its process number.
    pub pid_file: Option<PathBuf>,
    /// File for its output; beside its data otherwise.
    pub log: Option<PathBuf>,
    /// More settings, as `name=value`.
    pub settings: Vec<String>,
}

/// A running PostgreSQL; ended when dropped.
#[derive(Debug)]
pub struct Postgres {
    process: Arc<Process>,
    binaries: PostgresBinaries,
    port: u16,
    password: String,
    data: PathBuf,
    _dir: RunDir,
}

impl Postgres {
    /// Starts one for a test and waits until it serves.
    ///
    /// # Errors
    /// When PostgreSQL is missing or does not start.
    pub fn start() -> Result<Self> {
        Self::start_with(PostgresOptions::default())
    }

    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// When PostgreSQL is missing or does not start.
    pub fn start_with(options: PostgresOptions) -> Result<Self> {
        let binaries = postgres_binaries()?;
        let uid = postgres_data::user_id()?;
        let (dir, data, password) = match options.kept {
            Some((wanted, password)) => {
                let data = place::reachable_by(uid, &wanted);
                if data != wanted {
                    println!("PostgreSQL's user cannot reach {}: its data is in {}", wanted.display(), data.display());
                }
                if !data.join("PG_VERSION").is_file() {
                    postgres_data::create(&binaries, &data, &password)?;
                }
                (RunDir::kept(data.parent().unwrap_or(&data))?, data, password)
            }
            None => {
                let dir = RunDir::temporary("postgres")?;
                let data = dir.path().join("data");
                let password = postgres_data::copy_template(&binaries, &data)?;
                (dir, data, password)
            }
        };
        let port = port::free()?;
        let mut settings = vec![
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=200".to_owned(),
            "timezone=UTC".to_owned(),
            "jit=off".to_owned(),
        ];
        if !options.fsync {
            settings.extend(["fsync=off", "full_page_writes=off", "shared_buffers=32MB"].map(str::to_owned));
        }
        settings.extend(options.settings);
        let mut args = vec!["-D".into(), data.clone().into_os_string()];
        args.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
        let process = Process::spawn(Spec {
            name: "postgres".to_owned(),
            program: binaries.program("postgres"),
            args,
            env: Vec::new(),
            keep_env: false,
            user: postgres_data::user()?,
            dir: data.clone(),
            log: options.log.unwrap_or_else(|| dir.path().join("postgres.log")),
            pid_file: options.pid_file,
            ready: Ready::Postmaster(data.clone()),
            // Fast shutdown: sessions are ended, data is written.
            stop_signal: Signal::SIGINT,
            // Immediate shutdown: nothing is written, but its children and its shared memory go with it.
            end_signal: Signal::SIGQUIT,
            owns_dir: true,
        })?;
        process.wait_ready()?;
        Ok(Self { process: process.into(), binaries, port, password, data, _dir: dir })
    }

    /// As superuser and owner of the database `layers`; the same after a restart.
    pub fn url(&self) -> String {
        self.url_as(OWNER, &self.password)
    }

    /// As another role.
    pub fn url_as(&self, role: &str, password: &str) -> String {
        format!("postgres://{role}:{password}@127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// Its process: pid, log, signals.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Its process number (the postmaster's) while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Kills all of it with SIGKILL and waits until everything is gone.
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

    /// SIGSTOP to all of its processes: sessions stay, nothing is answered.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Shuts it down in order.
    ///
    /// # Errors
    /// When it had to be killed.
    pub fn stop(&self) -> Result<()> {
        self.process.stop()
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// Runs SQL as the owner through `psql` and gives what it prints: rows without header, columns separated by `|`.
    ///
    /// # Errors
    /// When a statement fails; nothing of the text is then done.
    pub fn sql(&self, text: &str) -> Result<String> {
        run(self.psql().args(["--single-transaction", "-c", text])).context("psql")
    }

    /// Runs a file of SQL as the owner, in one transaction.
    ///
    /// # Errors
    /// When a statement fails; nothing of the file is then done.
    pub fn sql_file(&self, file: &Path) -> Result<()> {
        run(self.psql().arg("--single-transaction").arg("-f").arg(file))
            .map(|_| ())
            .with_context(|| file.display().to_string())
    }

    fn psql(&self) -> Command {
        let mut command = Command::new(self.binaries.psql());
        command.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]).env("PGPASSWORD", &self.password);
        command.args(["-p", &self.port.to_string(), "-U", OWNER, "-d", DATABASE]);
        command
    }
}
