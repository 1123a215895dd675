//! `make run` keeps its contract: what it writes, what it restarts, what it remembers, how it ends. With stand-ins for
//! our programs: the stack deals with their processes, not with what they do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stack::place::RunDir;
use stack::{http, port, servers};

struct Installed {
    dir: RunDir,
    port: u16,
}

impl Installed {
    /// The program under test, with stand-ins beside it.
    fn new() -> Result<Self> {
        let dir = RunDir::temporary("run")?;
        let programs = dir.path().join("programs");
        fs::create_dir(&programs)?;
        fs::copy(env!("CARGO_BIN_EXE_stack"), programs.join("stack"))?;
        let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stand_in.py");
        for name in ["gateway", "ledger", "projector", "simulator"] {
            fs::copy(&stand_in, programs.join(name))?;
            fs::set_permissions(programs.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        }
        let installed = Self { port: port::free()?, dir };
        Ok(installed)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, subcommand: &str) -> Result<Command> {
        let mut command = Command::new(self.dir.path().join("programs/stack"));
        command.arg(subcommand).arg("--data").arg(self.data()).env("LAYERS_PORT", self.port.to_string());
        command.env("STAND_IN_PSQL", servers::postgres_binaries()?.psql()).env_remove("AI_GATEWAY_API_KEY");
        Ok(command)
    }

    fn run(&self) -> Result<Running<'_>> {
        let mut command = self.command("run")?;
        command.env("GATEWAYS", "2").stdout(Stdio::null());
        Ok(Running { installed: self, process: command.spawn()? })
    }

    fn env(&self) -> Option<BTreeMap<String, String>> {
        let text = fs::read_to_string(self.data().join("env")).ok()?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        Some(lines.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect())
    }

    fn pid(&self, name: &str) -> Option<i32> {
        fs::read_to_string(self.data().join(format!("run/{name}.pid"))).ok()?.trim().parse().ok()
    }
}

struct Running<'a> {
    installed: &'a Installed,
    process: Child,
}

impl Running<'_> {
    fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.process.id().try_into()?), Signal::SIGINT)?;
        let status = self.process.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const PROCESSES: [&str; 7] = ["nats", "postgres", "simulator", "ledger", "projector", "gateway-1", "gateway-2"];

#[test]
fn it_restarts_what_is_killed_and_remembers_its_keys() -> Result<()> {
    let installed = Installed::new()?;
    let running = installed.run()?;
    let env = wait_for("the environment", || installed.env())?;
    let port = installed.port;
    ensure!(env["LAYERS_BASE_URL"] == format!("http://127.0.0.1:{port}/v1"), "{env:?}");
    ensure!(env["LAYERS_BASE_URLS"].split(' ').count() == 2, "{env:?}");
    ensure!((env["LAYERS_API_KEY"].as_str(), env["LAYERS_TEST_API_KEY"].as_str()) == ("lyr_live_k", "lyr_test_k"));
    for name in PROCESSES {
        let before = installed.pid(name).with_context(|| format!("{name} has no pid file"))?;
        kill(Pid::from_raw(before), Signal::SIGKILL)?;
        wait_for(name, || installed.pid(name).filter(|pid| *pid != before))?;
    }
    let url = format!("http://127.0.0.1:{port}/health");
    wait_for("the gateway", || http::get(&url, Duration::from_secs(1)).ok())?;

    let second = installed.command("run")?.output()?;
    let complaint = String::from_utf8_lossy(&second.stderr);
    ensure!(!second.status.success() && complaint.contains("another `make run` is running"), "{complaint}");

    running.stop()?;
    ensure!(installed.env().is_none(), "what is no longer there is no longer announced");
    ensure!(PROCESSES.iter().all(|name| installed.pid(name).is_none()), "all pid files are gone");
    let again = installed.run()?;
    let later = wait_for("the environment", || again.installed.env())?;
    for name in ["LAYERS_API_KEY", "LAYERS_ACCOUNT_ID", "LAYERS_ADMIN_KEY", "LAYERS_CHECKPOINT_VERIFIER_KEY"] {
        ensure!(later[name] == env[name], "{name} is remembered");
    }
    again.stop()?;
    ensure!(installed.command("clean-data")?.status()?.success());
    ensure!(!installed.data().exists(), "clean-data removes everything");
    Ok(())
}

#[test]
fn a_taken_port_is_named() -> Result<()> {
    let installed = Installed::new()?;
    let _listener = std::net::TcpListener::bind(("127.0.0.1", installed.port))?;
    let output = installed.command("run")?.output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && complaint.contains("LAYERS_PORT"), "{complaint}");
    Ok(())
}
