//! The whole system with its gateway alone on a core, the floor's proxy on the same core, and the provider that both ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use stack::local::{Account, Provider, Stack, StackOptions};
use tokio::time::{Instant, sleep};

use crate::floor::Program;
use crate::load::{Ask, Load};
use crate::machine::{self, Cores};

/// Each account has as many as nobody spends here.
const CREDITS: i64 = 1_000_000;
/// Ledger and projector are level within seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// What is measured.
pub(crate) struct System {
    pub(crate) stack: Stack,
    pub(crate) cores: Cores,
    /// The thinnest proxy, on the gateway's core.
    pub(crate) floor: Program,
    provider: Program,
    /// The first is the hot one.
    pub(crate) keys: Vec<String>,
    /// Answers that the gateway gave to their end.
    pub(crate) answers: AtomicU64,
    /// Answers that the provider gave to the floor.
    floor_answers: AtomicU64,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Floor,
    Layers,
}

impl System {
    /// Starts all of it beside this process, and opens so many accounts.
    pub(crate) fn start(accounts: usize, cores: Cores) -> Result<Self> {
        let provider = Program::start(&["provider"], &cores.rest)?;
        let floor = cores
            .on_measured(|| Program::start(&["floor-proxy", "--provider", &provider.address()], &cores.measured))?;
        let asked =
            Provider { base_url: Some(format!("http://{}/v1", provider.address())), api_key: "bench".to_owned() };
        let mut stack = Stack::start_with(StackOptions {
            gateways: 0,
            fsync: true,
            provider: Some(asked),
            ..StackOptions::default()
        })?;
        cores.on_measured(|| stack.add_gateway())?;
        let opened: Vec<Account> = stack.open_accounts("bench", &vec![CREDITS; accounts])?;
        let keys = opened.into_iter().map(|account| account.key).collect();
        Ok(Self { stack, cores, floor, provider, keys, answers: AtomicU64::new(0), floor_answers: AtomicU64::new(0) })
    }

    /// A load on one of the two, by the hot account.
    pub(crate) fn load(&self, who: Who, ask: Ask) -> Load {
        self.load_by(who, ask, vec![self.keys[0].clone()])
    }

    /// The same by these keys.
    pub(crate) fn load_by(&self, who: Who, ask: Ask, keys: Vec<String>) -> Load {
        let address = match who {
            Who::Floor => self.floor.address(),
            Who::Layers => self.gateway_address(),
        };
        Load { address, keys: Arc::new(keys), ask }
    }

    /// The process that is alone on its core.
    pub(crate) fn measured_pid(&self, who: Who) -> Result<u32> {
        match who {
            Who::Floor => Ok(self.floor.pid()),
            Who::Layers => self.stack.gateway(0).pid().context("the gateway runs"),
        }
    }

    /// CPU time of gateway, NATS, ledger, projector and PostgreSQL.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let roots: Vec<u32> = self.stack.processes().iter().filter_map(|process| process.pid()).collect();
        machine::cpu_time_of_trees(&roots)
    }

    /// Those answers count in the audit.
    pub(crate) fn answered(&self, who: Who, answers: u64) {
        let counter = if who == Who::Floor { &self.floor_answers } else { &self.answers };
        counter.fetch_add(answers, Ordering::Relaxed);
    }

    /// Waits until the ledger has appended and the projector read what these answers became: three events each.
    pub(crate) async fn level(&self, before: u64, answers: u64) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (head, projected) = self.positions()?;
            if head >= before + 3 * answers && projected >= head {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "at {head}, projected {projected}; {answers} answers since {before}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// The log's last position, and the read models'.
    pub(crate) fn positions(&self) -> Result<(u64, u64)> {
        let told = self.sql("select (select position from ledger.head), (select position from projection)")?;
        let (head, projected) = told.split_once('|').context("two positions")?;
        Ok((head.parse()?, projected.parse()?))
    }

    /// What the database says.
    pub(crate) fn sql(&self, sql: &str) -> Result<String> {
        Ok(self.stack.postgres().sql(sql)?.trim().to_owned())
    }

    /// How many answers the provider gave for us.
    pub(crate) async fn provided(&self) -> Result<u64> {
        let all: u64 = String::from_utf8(self.ask_provider("/answers").await?)?.parse()?;
        Ok(all - self.floor_answers.load(Ordering::Relaxed))
    }

    /// Lets streams that wait go on.
    pub(crate) async fn go(&self) -> Result<()> {
        self.ask_provider("/go").await.map(drop)
    }

    async fn ask_provider(&self, path: &str) -> Result<Vec<u8>> {
        let client: Client<_, Empty<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.get(format!("http://{}{path}", self.provider.address()).parse()?).await?;
        Ok(answer.into_body().collect().await?.to_bytes().to_vec())
    }

    fn gateway_address(&self) -> String {
        self.stack.gateway_url(0).trim_start_matches("http://").to_owned()
    }
}
