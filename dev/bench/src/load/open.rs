//! So many requests a second, each begun when it is due, whether or not those before it are answered. Its latency counts from
//! when it was due, so nobody who waits is left out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::{Connection, Load, Outcome};

/// Before it is due, a request is waited for with open eyes: a sleep may last longer than what is measured.
const AWAKE: Duration = Duration::from_micros(150);

/// Connections at a time. Whoever is due and finds none free waits for one, and that wait counts.
const CONNECTIONS: usize = 2_048;

/// How the requests of an open loop fared.
#[derive(Debug, Default)]
pub(crate) struct Fared {
    /// From when it was due to its last byte, of each that was answered to its end; sorted, microseconds.
    pub(crate) latencies: Vec<u64>,
    /// Refused with a time after which to come again, and how long that took; sorted, microseconds.
    pub(crate) shed: Vec<u64>,
    /// From the first one to the last answer.
    pub(crate) took: Duration,
}

impl Fared {
    /// The latency that this share of the answers does not exceed, milliseconds.
    pub(crate) fn milliseconds(&self, share: f64) -> f64 {
        percentile(&self.latencies, share)
    }

    /// The same of refusals.
    pub(crate) fn shed_milliseconds(&self, share: f64) -> f64 {
        percentile(&self.shed, share)
    }
}

fn percentile(sorted: &[u64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).map_or(f64::NAN, |micros| *micros as f64 / 1000.0)
}

impl Load {
    /// Asks at this rate for so long.
    pub(crate) async fn open(&self, a_second: f64, length: Duration) -> Result<Fared> {
        let (send, mut due) = unbounded_channel();
        let ticking = std::thread::spawn(move || tick(a_second, length, &send));
        let idle = Arc::new(Mutex::new(Vec::<Connection>::new()));
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let (begin, mut all, mut number) = (Instant::now(), JoinSet::new(), 0);
        let mut fared = Fared::default();
        let mut note = |(outcome, micros): (Outcome, u64)| match outcome {
            Outcome::Complete => fared.latencies.push(micros),
            Outcome::Shed => fared.shed.push(micros),
        };
        while let Some(at) = due.recv().await {
            let key = self.keys[number % self.keys.len()].clone();
            number += 1;
            all.spawn(self.clone().ask_one(places.clone(), idle.clone(), key, at));
            while let Some(one) = all.try_join_next() {
                note(one??);
            }
        }
        while let Some(one) = all.join_next().await {
            note(one??);
        }
        fared.took = begin.elapsed();
        fared.latencies.sort_unstable();
        fared.shed.sort_unstable();
        ensure!(ticking.join().is_ok(), "the clock stopped");
        Ok(fared)
    }

    async fn ask_one(
        self,
        places: Arc<Semaphore>,
        idle: Arc<Mutex<Vec<Connection>>>,
        key: String,
        due: Instant,
    ) -> Result<(Outcome, u64)> {
        let _place = places.acquire().await?;
        let mut connection = loop {
            let kept = idle.lock().pop();
            let Some(mut kept) = kept else { break self.connect().await? };
            if kept.is_usable().await {
                break kept;
            }
        };
        let outcome = connection.ask(&key).await?;
        let micros = due.elapsed().as_micros() as u64;
        idle.lock().push(connection);
        Ok((outcome, micros))
    }
}

/// Says when each is due. A thread: the runtime's own timer knows milliseconds only.
fn tick(a_second: f64, length: Duration, due: &UnboundedSender<Instant>) {
    let begin = Instant::now();
    for number in 0..(length.as_secs_f64() * a_second) as u64 {
        let at = begin + Duration::from_secs_f64(number as f64 / a_second);
        let left = at.saturating_duration_since(Instant::now());
        if left > AWAKE {
            std::thread::sleep(left - AWAKE);
        }
        while Instant::now() < at {
            std::hint::spin_loop();
        }
        if due.send(at).is_err() {
            return;
        }
    }
}
