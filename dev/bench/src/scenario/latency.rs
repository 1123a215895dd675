//! What the gateway adds to an answer's latency where it is not busy, beside what the thinnest proxy adds.

use anyhow::{Result, ensure};

use crate::Effort;
use crate::load::Ask;
use crate::report::{Figure, Goal, median};
use crate::system::{System, Who};

/// Requests a second.
const RATE: f64 = 200.0;

/// Median and 99th percentile.
pub(crate) async fn run(system: &System, effort: &Effort) -> Result<Vec<Figure>> {
    let mut milliseconds = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for number in 0..=effort.rounds {
        for who in [Who::Floor, Who::Layers] {
            let fared = system.load(who, Ask::Whole).open(RATE, effort.length).await?;
            ensure!(fared.shed.is_empty(), "{} requests at {RATE} a second were shed", fared.shed.len());
            system.answered(who, fared.latencies.len() as u64);
            // The first round warms up.
            if number > 0 {
                let [p50, p99] = &mut milliseconds[usize::from(who == Who::Layers)];
                p50.push(fared.milliseconds(0.5));
                p99.push(fared.milliseconds(0.99));
            }
        }
    }
    let [floor, layers] = &milliseconds;
    let figure = |what, at: usize, most| {
        let added: Vec<f64> = layers[at].iter().zip(&floor[at]).map(|(ours, floor)| ours - floor).collect();
        let text = |values: &[f64]| format!("{:.2} ms", median(values));
        let (ours, floor) = (text(&layers[at]), format!("floor {}", text(&floor[at])));
        Figure { what, ours, floor, value: median(&added), unit: " ms", goal: Goal::AtMost(most) }
    };
    Ok(vec![
        figure("latency at 200 requests a second, median: added", 0, 0.5),
        figure("latency at 200 requests a second, 99th percentile: added", 1, 2.0),
    ])
}
