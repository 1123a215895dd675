//! Many clients that ask one request after the other, until they are told to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ask::Ask;
use crate::client::Heard;
use crate::world::World;

/// So many clients of [`Load::begin`].
const CLIENTS: usize = 16;
/// An answer takes so long at the provider.
const ANSWER_MS: u64 = 60;
/// After a refusal a client waits before it comes again, as an SDK does.
const BEFORE_RETRY: Duration = Duration::from_millis(40);

/// What a client asks next, and of whom.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Index of the gateway.
    pub gateway: usize,
    /// Index of the account.
    pub account: usize,
    /// What.
    pub ask: Ask,
}

/// What was asked and heard.
#[derive(Debug)]
pub struct Told {
    /// What.
    pub turn: Turn,
    /// When.
    pub asked: Instant,
    /// What came.
    pub heard: Heard,
}

/// A load; it goes on until [`Load::end`].
#[derive(Debug)]
pub struct Load {
    ending: Arc<AtomicBool>,
    complete: Arc<Vec<AtomicU64>>,
    clients: JoinSet<Vec<Told>>,
    at_once: u64,
}

impl Load {
    /// Begins: each client has one account, and asks the gateways in turn, whole and streamed in turn with each of them.
    pub fn begin(world: &World) -> Self {
        let (accounts, gateways) = (world.accounts.len(), world.stack.gateways());
        let clients = (0..CLIENTS).map(|number| {
            (number..).map(move |turn| Turn {
                gateway: turn % gateways,
                account: number % accounts,
                ask: ask(number, turn, (turn / gateways) % 2 == 1),
            })
        });
        Self::begin_with(world, clients)
    }

    /// Begins with these clients.
    pub fn begin_with<C>(world: &World, clients: impl Iterator<Item = C>) -> Self
    where
        C: Iterator<Item = Turn> + Send + 'static,
    {
        let gateways = world.stack.gateways();
        let urls: Arc<Vec<String>> = Arc::new((0..gateways).map(|gateway| world.stack.gateway_url(gateway)).collect());
        let keys: Arc<Vec<String>> = Arc::new(world.accounts.iter().map(|account| account.key.clone()).collect());
        let ending = Arc::<AtomicBool>::default();
        let complete: Arc<Vec<_>> = Arc::new((0..gateways).map(|_| AtomicU64::new(0)).collect());
        let mut all = JoinSet::new();
        for turns in clients {
            let (client, urls, keys) = (world.client.clone(), urls.clone(), keys.clone());
            let (ending, complete) = (ending.clone(), complete.clone());
            all.spawn(async move {
                let mut all = Vec::new();
                for turn in turns {
                    if ending.load(Ordering::Relaxed) {
                        break;
                    }
                    let asked = Instant::now();
                    let heard = client.ask(&urls[turn.gateway], &keys[turn.account], &turn.ask).await;
                    match heard.complete() {
                        Some(_) => drop(complete[turn.gateway].fetch_add(1, Ordering::Relaxed)),
                        None => tokio::time::sleep(BEFORE_RETRY).await,
                    }
                    all.push(Told { turn, asked, heard });
                }
                all
            });
        }
        Self { ending, complete, at_once: all.len() as u64, clients: all }
    }

    /// Waits until each gateway has completed requests that began after this call.
    pub async fn goes_on(&self, world: &World, when: &str) -> Result<()> {
        let count = |gateway: usize| self.complete[gateway].load(Ordering::Relaxed);
        let before: Vec<u64> = (0..self.complete.len()).map(count).collect();
        // So many may have been under way.
        let enough = |gateway: usize| count(gateway) > before[gateway] + self.at_once;
        let what = format!("requests succeed again {when}");
        world.until(&what, async || Ok((0..before.len()).all(enough).then_some(()))).await
    }

    /// Waits until so many more requests are complete, whenever and wherever they began.
    pub async fn completes(&self, world: &World, more: u64, when: &str) -> Result<()> {
        let count = || self.complete.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>();
        let enough = count() + more;
        let what = format!("{more} requests are complete {when}");
        world.until(&what, async || Ok((count() >= enough).then_some(()))).await
    }

    /// Asks no more; what the clients heard.
    pub async fn end(self) -> Vec<Heard> {
        self.end_told().await.into_iter().map(|told| told.heard).collect()
    }

    /// Asks no more; what the clients asked and heard.
    pub async fn end_told(self) -> Vec<Told> {
        self.ending.store(true, Ordering::Relaxed);
        self.clients.join_all().await.into_iter().flatten().collect()
    }
}

/// Requests of one client differ in what they cost.
fn ask(number: usize, turn: usize, streamed: bool) -> Ask {
    let ask = if streamed { Ask::streamed(ANSWER_MS) } else { Ask::whole(ANSWER_MS) };
    let (number, turn) = (number as u64, turn as u64);
    ask.with_tokens(50 + (turn * 7 + number) % 200, 1 + (turn * 13 + number * 5) % 100)
}
