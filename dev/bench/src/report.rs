//! One table: what was measured, against what, and whether that is what it is to be.

use std::fmt;

/// What a figure is to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Good to know.
    None,
}

/// A row.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// What.
    pub(crate) what: &'static str,
    /// Measured of the system, with its unit.
    pub(crate) ours: String,
    /// Measured of the floor, or whatever it is compared with.
    pub(crate) floor: String,
    /// What the goal is about.
    pub(crate) value: f64,
    /// Of the value: `×`, ` ms`, …
    pub(crate) unit: &'static str,
    pub(crate) goal: Goal,
}

impl Figure {
    fn is_reached(&self) -> Option<bool> {
        match self.goal {
            Goal::AtLeast(least) => Some(self.value >= least),
            Goal::AtMost(most) => Some(self.value <= most),
            Goal::None => None,
        }
    }
}

/// All rows, as Markdown.
#[derive(Debug, Default)]
pub(crate) struct Report(pub(crate) Vec<Figure>);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | Layers | compared with | | goal | |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for figure in &self.0 {
            let Figure { what, ours, floor, value, unit, .. } = figure;
            let goal = match figure.goal {
                Goal::AtLeast(least) => format!("≥ {least}{unit}"),
                Goal::AtMost(most) => format!("≤ {most}{unit}"),
                Goal::None => String::new(),
            };
            let verdict = figure.is_reached().map_or("", |reached| if reached { "reached" } else { "**missed**" });
            writeln!(f, "| {what} | {ours} | {floor} | {} | {goal} | {verdict} |", short(*value, unit))?;
        }
        Ok(())
    }
}

fn short(value: f64, unit: &str) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}{unit}") } else { format!("{value:.2}{unit}") }
}

/// The one in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Each divided by the other of the same round, so that what the machine did meanwhile met both; the one in the middle.
pub(crate) fn median_ratio(ours: &[f64], floor: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect();
    median(&ratios)
}
