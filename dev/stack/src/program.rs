//! Our own programs as processes: `gateway`, `ledger`, `projector`, `simulator`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::place::{self, RunDir};
use crate::process::{Process, Ready, Spec};
use crate::{http, port};

/// One of our programs, as it is to be started.
#[derive(Debug, Clone)]
pub struct Program<'a> {
    /// Name of the process: `gateway-1`.
    pub name: &'a str,
    /// Name of the program: `gateway`.
    pub program: &'a str,
    /// Its arguments.
    pub args: &'a [&'a str],
    /// Its variables.
    pub env: Vec<(String, String)>,
    /// The port of its `GET /health`.
    pub port: u16,
    /// Whether it sees our own variables too; not in tests.
    pub keep_env: bool,
    /// The folder of another release's programs; our own otherwise.
    pub release: Option<&'a Path>,
}

impl Program<'_> {
    /// Starts it with its log in `dir/log` and its number in `dir/run`; does not wait until it is ready.
    ///
    /// # Errors
    /// When it was not built or cannot be executed.
    pub fn spawn(self, dir: &Path) -> Result<Arc<Process>> {
        let mut env = self.env;
        // Its output goes to a file.
        env.push(("NO_COLOR".to_owned(), "1".to_owned()));
        if std::env::var_os("RUST_LOG").is_none() && !env.iter().any(|(name, _)| name == "RUST_LOG") {
            env.push(("RUST_LOG".to_owned(), "info".to_owned()));
        }
        let process = Process::spawn(Spec {
            name: self.name.to_owned(),
            program: match self.release {
                Some(folder) => folder.join(self.program),
                None => place::program(self.program)?,
            },
            args: self.args.iter().map(Into::into).collect(),
            env,
            keep_env: self.keep_env,
            user: None,
            dir: dir.to_path_buf(),
            log: log_file(dir, self.name)?,
            pid_file: Some(pid_file(dir, self.name)?),
            ready: Ready::Http(format!("http://127.0.0.1:{}/health", self.port)),
            stop_signal: Signal::SIGTERM,
            end_signal: Signal::SIGKILL,
            owns_dir: false,
        })?;
        Ok(Arc::new(process))
    }
}

/// `dir/log/<name>.log`.
pub(crate) fn log_file(dir: &Path, name: &str) -> Result<PathBuf> {
    file_in(&dir.join("log"), &format!("{name}.log"))
}

/// `dir/run/<name>.pid`.
pub(crate) fn pid_file(dir: &Path, name: &str) -> Result<PathBuf> {
    file_in(&dir.join("run"), &format!("{name}.pid"))
}

fn file_in(dir: &Path, name: &str) -> Result<PathBuf> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir.join(name))
}

/// The stand-in provider, and its bill.
#[derive(Debug)]
pub struct Simulator {
    process: Arc<Process>,
    port: u16,
    _dir: Option<RunDir>,
}

impl Simulator {
    /// Starts one alone, for a test, and waits until it serves.
    ///
    /// # Errors
    /// When it was not built or does not start.
    pub fn start() -> Result<Self> {
        Self::start_alone(None)
    }

    /// The same; it takes this key only.
    ///
    /// # Errors
    /// When it was not built or does not start.
    pub fn start_with_key(key: &str) -> Result<Self> {
        Self::start_alone(Some(key))
    }

    fn start_alone(key: Option<&str>) -> Result<Self> {
        let dir = RunDir::temporary("simulator")?;
        let simulator = Self { _dir: None, ..Self::spawn(dir.path(), false, key)? };
        simulator.process.wait_ready()?;
        Ok(Self { _dir: Some(dir), ..simulator })
    }

    pub(crate) fn spawn(dir: &Path, keep_env: bool, key: Option<&str>) -> Result<Self> {
        let port = port::free()?;
        let mut env = vec![("LAYERS_SIMULATOR_LISTEN".to_owned(), format!("127.0.0.1:{port}"))];
        env.extend(key.map(|key| ("LAYERS_SIMULATOR_KEY".to_owned(), key.to_owned())));
        let program =
            Program { name: "simulator", program: "simulator", args: &[], env, port, keep_env, release: None };
        Ok(Self { process: program.spawn(dir)?, port, _dir: None })
    }

    /// `http://127.0.0.1:<port>`, without `/v1`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// The provider's bill in totals.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub fn bill(&self) -> Result<Value> {
        self.get("/stats")
    }

    /// The provider's bill by the request id that the gateway sent: a map of ids to lines.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub fn bill_by_request(&self) -> Result<serde_json::Map<String, Value>> {
        match self.get("/stats?by=request")?["requests"].take() {
            Value::Object(lines) => Ok(lines),
            other => anyhow::bail!("the simulator's bill by request is {other}"),
        }
    }

    /// From now on it does this with every request, on top of what the request itself wishes; nothing with an empty text.
    ///
    /// # Errors
    /// When the simulator does not answer, or knows no such wish.
    pub fn wish(&self, wishes: &str) -> Result<()> {
        let query = wishes.split_whitespace().collect::<Vec<_>>().join("&");
        self.post(&format!("/wishes?{query}"))
    }

    /// Forgets the bill.
    ///
    /// # Errors
    /// When the simulator does not answer.
    pub fn reset_bill(&self) -> Result<()> {
        self.post("/stats/reset")
    }

    fn post(&self, path: &str) -> Result<()> {
        let (status, body) = http::post(&format!("{}{path}", self.url()), Duration::from_secs(10))?;
        ensure!(status == 200, "the simulator answers {status}: {body}");
        Ok(())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = http::get(&format!("{}{path}", self.url()), Duration::from_secs(60))?;
        ensure!(status == 200, "the simulator answers {status}: {body}");
        serde_json::from_str(&body).context("the simulator's bill")
    }
}
