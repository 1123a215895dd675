//! A hot account costs nothing: one account against all the others, the same load, one gateway.
//!
//! Rounds alternate, and the order within each pair does, so that whatever else the machine does meets both alike. The figure
//! is the median of the pairs' ratios.

use anyhow::Result;

use crate::Effort;
use crate::load::Ask;
use crate::report::{Figure, Goal, median, median_ratio};
use crate::system::{System, Who};

/// Requests under way at any time.
const CONNECTIONS: usize = 32;

/// Its figure.
pub(crate) async fn run(system: &System, effort: &Effort) -> Result<Figure> {
    let hot = system.load(Who::Layers, Ask::Whole);
    let many = system.load_by(Who::Layers, Ask::Whole, system.keys[1..].to_vec());
    let mut rates = [Vec::new(), Vec::new()];
    for number in 0..=effort.rounds {
        for one in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
            let load = if one == 0 { &hot } else { &many };
            let (head, _) = system.positions()?;
            let measured = load.closed(CONNECTIONS, effort.length).await?;
            system.answered(Who::Layers, measured.answers);
            system.level(head, measured.answers).await?;
            // The first pair warms up: connections, keys, first leases.
            if number > 0 {
                rates[one].push(measured.rate());
            }
        }
    }
    Ok(Figure {
        what: "one hot account against 1,000",
        ours: format!("{:.0} /s", median(&rates[0])),
        floor: format!("1,000 accounts {:.0} /s", median(&rates[1])),
        value: median_ratio(&rates[0], &rates[1]),
        unit: " ×",
        goal: Goal::AtLeast(0.95),
    })
}
