//! Many clients that ask one request after the other, whole and streamed, of all accounts through all gateways.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::{Ask, Heard, World};

/// So many clients.
const CLIENTS: usize = 16;
/// An answer takes so long at the provider.
const ANSWER_MS: u64 = 60;
/// After a refusal a client waits before it comes again, as an SDK does.
const BEFORE_RETRY: Duration = Duration::from_millis(40);

/// A load; it goes on until [`Load::end`].
pub(crate) struct Load {
    ending: Arc<AtomicBool>,
    complete: Arc<Vec<AtomicU64>>,
    clients: JoinSet<Vec<Heard>>,
}

impl Load {
    /// Begins.
    pub(crate) fn begin(world: &World) -> Self {
        let gateways = world.stack.gateways();
        let mut load = Self {
            ending: Arc::default(),
            complete: Arc::new((0..gateways).map(|_| AtomicU64::new(0)).collect()),
            clients: JoinSet::new(),
        };
        let urls: Arc<Vec<String>> = Arc::new((0..gateways).map(|gateway| world.stack.gateway_url(gateway)).collect());
        for number in 0..CLIENTS {
            let key = world.accounts[number % world.accounts.len()].key.clone();
            let (client, urls) = (world.client.clone(), urls.clone());
            let (ending, complete) = (load.ending.clone(), load.complete.clone());
            load.clients.spawn(async move {
                let mut all = Vec::new();
                // Each client asks the gateways in turn, whole and streamed in turn with each of them.
                for turn in number.. {
                    if ending.load(Ordering::Relaxed) {
                        break;
                    }
                    let gateway = turn % urls.len();
                    let ask = ask(number, turn, (turn / urls.len()) % 2 == 1);
                    let heard = client.ask(&urls[gateway], &key, &ask).await;
                    match heard.complete() {
                        Some(_) => drop(complete[gateway].fetch_add(1, Ordering::Relaxed)),
                        None => tokio::time::sleep(BEFORE_RETRY).await,
                    }
                    all.push(heard);
                }
                all
            });
        }
        load
    }

    /// Waits until each gateway has completed requests that began after this call.
    pub(crate) async fn goes_on(&self, world: &World, when: &str) -> Result<()> {
        let count = |gateway: usize| self.complete[gateway].load(Ordering::Relaxed);
        let before: Vec<u64> = (0..self.complete.len()).map(count).collect();
        // So many may have been under way.
        let enough = |gateway: usize| count(gateway) > before[gateway] + CLIENTS as u64;
        let what = format!("requests succeed again {when}");
        world.until(&what, async || Ok((0..before.len()).all(enough).then_some(()))).await
    }

    /// Waits until so many more requests are complete, whenever and wherever they began.
    pub(crate) async fn completes(&self, world: &World, more: u64, when: &str) -> Result<()> {
        let count = || self.complete.iter().map(|count| count.load(Ordering::Relaxed)).sum::<u64>();
        let enough = count() + more;
        let what = format!("{more} requests are complete {when}");
        world.until(&what, async || Ok((count() >= enough).then_some(()))).await
    }

    /// Asks no more; what the clients heard.
    pub(crate) async fn end(self) -> Vec<Heard> {
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
