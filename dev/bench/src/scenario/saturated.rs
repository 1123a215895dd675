//! As many requests as one core of gateway can take, by one account: rate and CPU against the thinnest proxy.

use std::time::Duration;

use anyhow::Result;

use crate::Effort;
use crate::load::Ask;
use crate::machine;
use crate::report::{Figure, Goal, median, median_ratio};
use crate::system::{System, Who};

/// Under way at any time.
const CONNECTIONS: usize = 64;

/// What one of the two reached in each round.
#[derive(Debug, Default)]
struct Reached {
    /// Answers a second.
    rates: Vec<f64>,
    /// Microseconds of the measured process an answer.
    cpu: Vec<f64>,
    /// Microseconds of all processes an answer, those that catch up afterwards among them.
    whole_system: Vec<f64>,
}

/// Its figures, and the rate that was reached.
pub(crate) async fn run(system: &System, ask: Ask, effort: &Effort) -> Result<(Vec<Figure>, f64)> {
    let (mut floor, mut layers) = (Reached::default(), Reached::default());
    for who in [Who::Floor, Who::Layers] {
        round(system, who, ask, effort.warm_up, &mut Reached::default()).await?;
    }
    for number in 0..effort.rounds {
        let order = if number % 2 == 0 { [Who::Floor, Who::Layers] } else { [Who::Layers, Who::Floor] };
        for who in order {
            let reached = if who == Who::Floor { &mut floor } else { &mut layers };
            round(system, who, ask, effort.length, reached).await?;
        }
    }
    let streamed = ask == Ask::Stream;
    let pair = |ours: &[f64], floor: &[f64], unit: &str| {
        (format!("{:.0} {unit}", median(ours)), format!("floor {:.0} {unit}", median(floor)), median_ratio(ours, floor))
    };
    let figure = |what, (ours, floor, value), goal| Figure { what, ours, floor, value, unit: " ×", goal };
    let cpu = pair(&layers.cpu, &floor.cpu, "µs");
    let rate = pair(&layers.rates, &floor.rates, "/s");
    let all = pair(&layers.whole_system, &floor.cpu, "µs");
    let figures = if streamed {
        vec![
            figure("gateway CPU a stream of 32 chunks", cpu, Goal::AtMost(1.2)),
            figure("streams a second, one core of gateway", rate, Goal::AtLeast(1.0)),
        ]
    } else {
        vec![
            figure("gateway CPU a request, whole answer", cpu, Goal::AtMost(2.5)),
            figure("requests a second, one core of gateway", rate, Goal::AtLeast(0.4)),
            figure("CPU of the whole system a request", all, Goal::AtMost(12.0)),
        ]
    };
    Ok((figures, median(&layers.rates)))
}

async fn round(system: &System, who: Who, ask: Ask, length: Duration, reached: &mut Reached) -> Result<()> {
    let pid = system.measured_pid(who)?;
    let (head, _) = system.positions()?;
    let (all_before, before) = (system.cpu_time()?, machine::cpu_time(pid)?);
    let measured = system.load(who, ask).closed(CONNECTIONS, length).await?;
    let cpu = machine::cpu_time(pid)? - before;
    system.answered(who, measured.answers);
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / measured.answers as f64;
    reached.rates.push(measured.rate());
    reached.cpu.push(micros(cpu));
    if who == Who::Layers {
        system.level(head, measured.answers).await?;
        reached.whole_system.push(micros(system.cpu_time()? - all_before));
    }
    Ok(())
}
