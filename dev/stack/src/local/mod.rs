//! The whole system on one machine: what `make run` shows and what system tests test.
//!
//! NATS and PostgreSQL come first, then the simulator and the ledger, which creates tables and roles; the roles get
//! their passwords; then the projector and the gateways. It ends in the reverse order.

mod account;
mod accounts;
mod command_line;
mod options;
mod secrets;
mod supervisor;

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

pub use account::Account;
pub use options::{Provider, StackOptions};
pub use secrets::Secrets;
pub(crate) use secrets::{read_private, write_private};

use crate::place::{self, RunDir};
use crate::port;
use crate::process::Process;
use crate::program::{Program, Simulator, log_file, pid_file};
use crate::servers::{NatsCluster, NatsOptions, NatsServer, Postgres, PostgresOptions};
use supervisor::Supervisor;

/// Lets a request without a key through, on a built-in sandbox account; only on a local stack.
pub const TEST_SECRET: &str = "layers-integration-test-2026";
const CELL: &str = "local";

/// A running system; ended when dropped.
#[derive(Debug)]
pub struct Stack {
    // In the order in which they are dropped.
    supervisor: Option<Supervisor>,
    gateways: Vec<Gateway>,
    projector: Option<Arc<Process>>,
    /// The first one, and one that stands by if there is one.
    ledgers: Vec<Ledger>,
    simulator: Simulator,
    nats: Nats,
    postgres: Postgres,
    projector_port: u16,
    secrets: Secrets,
    options: StackOptions,
    dir: RunDir,
}

#[derive(Debug)]
struct Gateway {
    process: Arc<Process>,
    port: u16,
}

#[derive(Debug)]
struct Ledger {
    process: Arc<Process>,
    port: u16,
}

#[derive(Debug)]
enum Nats {
    One(NatsServer),
    Three(NatsCluster),
}

impl Stack {
    /// Starts one for a test, with one gateway, and waits until everything is ready.
    ///
    /// # Errors
    /// When a program was not built, or something does not start; with the end of its log.
    pub fn start() -> Result<Self> {
        Self::start_with(StackOptions::default())
    }

    /// Starts one and waits until everything is ready.
    ///
    /// # Errors
    /// When a program was not built, or something does not start; with the end of its log.
    pub fn start_with(options: StackOptions) -> Result<Self> {
        let (dir, secrets) = match &options.kept {
            Some(path) => (RunDir::kept(path)?, Secrets::kept(&path.join("secrets.json"))?),
            None => (RunDir::temporary("stack")?, Secrets::new()?),
        };
        let path = dir.path().to_path_buf();
        let kept = options.kept.is_some();
        let nats = match options.nats_cluster {
            true => Nats::Three(NatsCluster::start_with(&options.nats)?),
            false => Nats::One(NatsServer::start_with(NatsOptions {
                dir: Some(path.join("nats")),
                log: Some(log_file(&path, "nats")?),
                pid_file: Some(pid_file(&path, "nats")?),
                ..options.nats.clone()
            })?),
        };
        let postgres = Postgres::start_with(PostgresOptions {
            fsync: options.fsync,
            kept: kept.then(|| (path.join("postgres"), secrets.postgres.clone())),
            log: Some(log_file(&path, "postgres")?),
            pid_file: Some(pid_file(&path, "postgres")?),
            settings: Vec::new(),
        })?;
        let simulator = Simulator::spawn(&path, options.keep_env, None)?;
        let mut stack = Self {
            supervisor: None,
            gateways: Vec::new(),
            projector: None,
            ledgers: Vec::new(),
            simulator,
            nats,
            postgres,
            projector_port: port::free()?,
            secrets,
            options,
            dir,
        };
        stack.start_programs()?;
        if stack.options.supervise {
            stack.supervisor = Some(Supervisor::start(stack.processes()));
        }
        Ok(stack)
    }

    fn start_programs(&mut self) -> Result<()> {
        self.spawn_ledger("ledger")?;
        self.simulator.process().wait_ready()?;
        self.ledger().wait_ready()?;
        // The ledger has created the roles, without passwords.
        let passwords =
            self.secrets.roles().map(|(role, password)| format!("alter role {role} password '{password}';"));
        self.postgres.sql(&passwords.concat())?;
        if self.options.standby {
            self.spawn_ledger("ledger-2")?;
        }
        let port = self.projector_port;
        let projector = self.spawn("projector", "projector", &["run"], self.projector_env(port), port)?;
        for _ in 0..self.options.gateways {
            self.spawn_gateway()?;
        }
        projector.wait_ready()?;
        self.projector = Some(projector);
        self.gateways.iter().try_for_each(|gateway| gateway.process.wait_ready())
    }

    /// Starts one more gateway, waits until it is ready, and gives its index. A supervisor does not look after it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn add_gateway(&mut self) -> Result<usize> {
        self.spawn_gateway()?;
        let index = self.gateways.len() - 1;
        self.gateway(index).wait_ready()?;
        Ok(index)
    }

    fn spawn_ledger(&mut self, name: &str) -> Result<()> {
        let port = port::free()?;
        let process = self.spawn(name, "ledger", &["serve"], self.ledger_env(port), port)?;
        self.ledgers.push(Ledger { process, port });
        Ok(())
    }

    fn spawn_gateway(&mut self) -> Result<()> {
        let index = u16::try_from(self.gateways.len())?;
        let port = match self.options.first_port {
            Some(first) => first + index,
            None => port::free()?,
        };
        let name = format!("gateway-{}", index + 1);
        let process = self.spawn(&name, "gateway", &[], self.gateway_env(port), port)?;
        self.gateways.push(Gateway { process, port });
        Ok(())
    }

    fn spawn(
        &self,
        name: &str,
        program: &str,
        args: &[&str],
        env: Vec<(String, String)>,
        port: u16,
    ) -> Result<Arc<Process>> {
        let (keep_env, release) = (self.options.keep_env, self.options.release.as_deref());
        Program { name, program, args, env, port, keep_env, release }.spawn(self.dir.path())
    }

    /// Replaces one process of another release by our own program of that name: stops it in order, starts it on the same
    /// port, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not stop, our own was not built, or it does not start.
    pub fn upgrade(&self, process: &Process) -> Result<()> {
        process.stop()?;
        process.run_from(&place::profile_dir()?);
        process.start()?;
        process.wait_ready()
    }

    /// Stops everything in order: gateways first, so that what they still owe reaches the ledger.
    ///
    /// # Errors
    /// The first that did not stop; the others are stopped all the same.
    pub fn stop(mut self) -> Result<()> {
        self.supervisor = None;
        let mut outcome = Ok(());
        for process in self.processes() {
            outcome = outcome.and(process.stop());
        }
        outcome
    }

    /// All processes, in the order in which they are to be stopped.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        let mut processes: Vec<_> = self.gateways.iter().map(|gateway| gateway.process.clone()).collect();
        processes.extend(self.projector.iter().cloned());
        // Who stands by first, so that nobody takes over at the end.
        processes.extend(self.ledgers.iter().rev().map(|ledger| ledger.process.clone()));
        processes.push(self.simulator.process().clone());
        match &self.nats {
            Nats::One(server) => processes.push(server.process().clone()),
            Nats::Three(cluster) => processes.extend(cluster.servers().iter().map(|server| server.process().clone())),
        }
        processes.push(self.postgres.process().clone());
        processes
    }

    /// A gateway's process.
    ///
    /// # Panics
    /// When there is no such gateway.
    pub fn gateway(&self, index: usize) -> &Arc<Process> {
        &self.gateways[index].process
    }

    /// Where a gateway serves: `http://127.0.0.1:<port>`, without `/v1`; the same after a restart.
    ///
    /// # Panics
    /// When there is no such gateway.
    pub fn gateway_url(&self, index: usize) -> String {
        format!("http://127.0.0.1:{}", self.gateways[index].port)
    }

    /// How many gateways there are.
    pub fn gateways(&self) -> usize {
        self.gateways.len()
    }

    /// The ledger's process; the first one's, where another stands by.
    pub fn ledger(&self) -> &Arc<Process> {
        self.ledger_number(0)
    }

    /// A ledger's process: of two, one is active.
    ///
    /// # Panics
    /// When there is no such ledger.
    pub fn ledger_number(&self, index: usize) -> &Arc<Process> {
        &self.ledgers[index].process
    }

    /// How many ledgers there are.
    pub fn ledgers(&self) -> usize {
        self.ledgers.len()
    }

    /// The projector's process.
    ///
    /// # Panics
    /// Never: a `Stack` that was handed out has one.
    pub fn projector(&self) -> &Arc<Process> {
        self.projector.as_ref().expect("a started stack has a projector")
    }

    /// Where the ledger serves health and metrics; the first one, where another stands by.
    pub fn ledger_url(&self) -> String {
        self.ledger_number_url(0)
    }

    /// Where a ledger serves health and metrics.
    ///
    /// # Panics
    /// When there is no such ledger.
    pub fn ledger_number_url(&self, index: usize) -> String {
        format!("http://127.0.0.1:{}", self.ledgers[index].port)
    }

    /// Where the projector serves health and metrics.
    pub fn projector_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.projector_port)
    }

    /// The stand-in provider.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The PostgreSQL server.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// The NATS servers: one, or three with `nats_cluster`.
    pub fn nats(&self) -> &[NatsServer] {
        match &self.nats {
            Nats::One(server) => std::slice::from_ref(server),
            Nats::Three(cluster) => cluster.servers(),
        }
    }

    /// Where clients of NATS connect.
    pub fn nats_url(&self) -> String {
        match &self.nats {
            Nats::One(server) => server.url(),
            Nats::Three(cluster) => cluster.url(),
        }
    }

    /// As the owner of the database.
    pub fn database_url(&self) -> String {
        self.postgres.url()
    }

    /// As `layers_gateway`, `layers_projector` or `layers_analyst`.
    pub fn database_url_as(&self, role: &str) -> String {
        let password = self.secrets.roles().into_iter().find(|(known, _)| *known == role).map_or("", |(_, p)| p);
        self.postgres.url_as(role, password)
    }

    /// The operator's key at the gateways.
    pub fn admin_key(&self) -> &str {
        &self.secrets.admin_key
    }

    /// By which checkpoints and receipts are checked.
    pub fn checkpoint_verifier_key(&self) -> &str {
        &self.secrets.checkpoint.verifier_key
    }

    /// Logs, pid files and data.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}
