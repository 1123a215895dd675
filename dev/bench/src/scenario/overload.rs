//! Twice as many requests as the gateway can answer, in an open loop: what it answers all the same, and how soon it refuses the
//! rest.

use std::time::Duration;

use anyhow::Result;

use crate::load::Ask;
use crate::report::{Figure, Goal};
use crate::system::{System, Who};

/// Long enough for a queue without an end to show.
const LENGTH: Duration = Duration::from_secs(10);

/// Goodput at twice the rate that it can take.
pub(crate) async fn run(system: &System, capacity: f64) -> Result<Vec<Figure>> {
    let (head, _) = system.positions()?;
    let fared = system.load(Who::Layers, Ask::Whole).open(2.0 * capacity, LENGTH).await?;
    let answers = fared.latencies.len() as u64;
    system.answered(Who::Layers, answers);
    system.level(head, answers).await?;
    let goodput = answers as f64 / fared.took.as_secs_f64();
    let asked = fared.latencies.len() + fared.shed.len();
    Ok(vec![
        Figure {
            what: "answers a second at twice the capacity",
            ours: format!("{goodput:.0} /s, {} of {asked} refused", fared.shed.len()),
            floor: format!("capacity {capacity:.0} /s"),
            value: goodput / capacity,
            unit: " ×",
            goal: Goal::AtLeast(0.9),
        },
        Figure {
            what: "latency of these answers, 99th percentile",
            ours: format!("median {:.0} ms", fared.milliseconds(0.5)),
            floor: format!("refusals, 99th percentile: {:.0} ms", fared.shed_milliseconds(0.99)),
            value: fared.milliseconds(0.99),
            unit: " ms",
            goal: Goal::None,
        },
    ])
}
