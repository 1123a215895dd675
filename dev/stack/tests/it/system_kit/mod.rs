//! What the system tests share: a running system, clients that see what comes over the wire, a look at the tables, and
//! the closing of the books. A story begins with [`World::start`] and must end with [`World::close`].
//!
//! Nothing here sleeps to wait for something to have happened: it looks again and again until a deadline.

mod books;
mod client;
mod script;
mod tables;
mod wishes;

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use stack::local::{Account, Provider, Stack, StackOptions};
use stack::program::Simulator;
use tokio::time::Instant;

pub(crate) use client::{Answer, Client, Event, Stream, digits_of_usage, request};
pub(crate) use script::{seen_by_browser, told_by};
pub(crate) use wishes::{HAIKU, SONNET, chat, streamed, worked_example};

/// What is waited for normally takes milliseconds or a few seconds; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running system.
pub(crate) struct World {
    pub(crate) stack: Stack,
    /// Answer live traffic, where they are others than the sandbox's.
    live: Vec<Simulator>,
    db: PgPool,
    debts: books::Debts,
}

impl World {
    /// With one gateway.
    pub(crate) fn start() -> Self {
        Self::start_with(StackOptions::default())
    }

    /// With other options.
    pub(crate) fn start_with(options: StackOptions) -> Self {
        let stack = blocking(|| Stack::start_with(options).expect("the system starts"));
        let pool = PgPoolOptions::new().max_connections(4);
        let db = pool.connect_lazy(&stack.database_url()).expect("the database's address makes sense");
        Self { stack, live: Vec::new(), db, debts: books::Debts::default() }
    }

    /// With a provider for live traffic beside the sandbox's simulator.
    pub(crate) fn start_with_live_provider() -> Self {
        let live = blocking(|| Simulator::start().expect("the provider starts"));
        let base_url = Some(format!("{}/v1", live.url()));
        let provider = Some(Provider { base_url, api_key: "vck_live_secret".to_owned() });
        Self { live: vec![live], ..Self::start_with(StackOptions { provider, ..StackOptions::default() }) }
    }

    /// With a list of upstreams: for each of these, a provider that takes its own key only, and its members of the list beside
    /// name, address and key. It is called `a`, `b`, `c` by its place.
    pub(crate) fn start_with_upstreams(listed: &[Value], mut options: StackOptions) -> Self {
        let mut live = Vec::new();
        let mut list = Vec::new();
        for (members, name) in listed.iter().zip(["a", "b", "c"]) {
            let key = upstream_key(name);
            let provider = blocking(|| Simulator::start_with_key(&key).expect("the provider starts"));
            let key_env = format!("KEY_OF_{}", name.to_uppercase());
            let mut upstream =
                json!({ "name": name, "base_url": format!("{}/v1", provider.url()), "key_env": key_env });
            let own = members.as_object().cloned().unwrap_or_default();
            upstream.as_object_mut().expect("an object").extend(own);
            options.env.push((key_env, key));
            list.push(upstream);
            live.push(provider);
        }
        options.env.push(("LAYERS_UPSTREAMS".to_owned(), Value::from(list).to_string()));
        Self { live, ..Self::start_with(options) }
    }

    /// An account with so many credits, and a key for it and for its sandbox.
    pub(crate) fn account(&self, tier: &str, credits: &str) -> Account {
        blocking(|| self.stack.open_account(tier, credits).expect("an account is opened"))
    }

    /// What a command of the ledger answers.
    pub(crate) fn ledger(&self, args: &[&str]) -> Value {
        blocking(|| self.stack.ledger_json(args).expect("the ledger's command succeeds"))
    }

    /// A client of the first gateway.
    pub(crate) fn client(&self) -> Client {
        self.client_of(0)
    }

    /// A client of a gateway.
    pub(crate) fn client_of(&self, gateway: usize) -> Client {
        Client::new(&self.stack.gateway_url(gateway))
    }

    /// Asks the first gateway for a chat completion and hears the answer to its end.
    pub(crate) async fn ask(&self, key: &str, body: &Value) -> Answer {
        self.client().chat(key, body).await
    }

    /// Asks the first gateway for a chat completion and hears its beginning.
    pub(crate) async fn open(&self, key: &str, body: &Value) -> Stream {
        self.client().open_chat(key, body).await
    }

    /// A count of a gateway's `GET /metrics`.
    pub(crate) async fn metric(&self, gateway: usize, name: &str) -> u64 {
        let text = self.client_of(gateway).get("/metrics", None).await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is not among\n{text}"))
    }

    /// Looks until there is something.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
        self.within(PATIENCE, what, look).await
    }

    /// Looks until there is something, for no longer than this.
    pub(crate) async fn within<T>(
        &self,
        patience: Duration,
        what: &str,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < deadline, "waited {patience:?} in vain: {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// The key that an upstream of [`World::start_with_upstreams`] takes.
pub(crate) fn upstream_key(name: &str) -> String {
    format!("sk_of_upstream_{name}_only")
}

/// Runs something that blocks.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
