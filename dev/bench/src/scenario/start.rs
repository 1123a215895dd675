//! From the start of a gateway's process, with the servers up, to its first answer that is paid for.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::Effort;
use crate::load::{Ask, Outcome};
use crate::report::{Figure, Goal, median};
use crate::system::{System, Who};

/// Longer than any start.
const PATIENCE: Duration = Duration::from_secs(30);

/// The gateway is stopped in order and started again.
pub(crate) async fn run(system: &System, effort: &Effort) -> Result<Figure> {
    let mut seconds = Vec::new();
    let gateway = system.stack.gateway(0);
    for _ in 0..effort.rounds {
        tokio::task::block_in_place(|| gateway.stop())?;
        let begin = Instant::now();
        tokio::task::block_in_place(|| system.cores.on_measured(|| gateway.start()))?;
        loop {
            ensure!(begin.elapsed() < PATIENCE, "the gateway does not answer");
            let load = system.load(Who::Layers, Ask::Whole);
            // Not listening yet, or not registered yet.
            let Ok(mut connection) = load.connect().await else {
                sleep(Duration::from_millis(2)).await;
                continue;
            };
            let response = connection.begin(&load.keys[0]).await?;
            if connection.end(response).await? == Outcome::Complete {
                break;
            }
        }
        seconds.push(begin.elapsed().as_secs_f64());
        system.answered(Who::Layers, 1);
    }
    let value = median(&seconds);
    Ok(Figure {
        what: "start of a gateway to its first answer",
        ours: format!("{value:.2} s"),
        floor: String::new(),
        value,
        unit: " s",
        goal: Goal::AtMost(1.0),
    })
}
