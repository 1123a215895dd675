use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use projector::rebuild::{Report, Wanted, rebuild};
use sqlx::postgres::PgConnectOptions;

use super::print_json;
use super::progress::{How, Shown};

#[derive(Debug, Args)]
pub(super) struct Rebuild {
    /// Only this table, by its name in schema read_models; usage_logs is the view of requests.
    #[arg(long, value_name = "TABLE")]
    only: Option<String>,
    /// Begins with the first event, whatever a killed rebuild left.
    #[arg(long)]
    from_start: bool,
    /// A bar, or a line every few seconds; a bar on a terminal, and lines elsewhere, where it is not said.
    #[arg(long, value_enum, default_value_t = How::Auto)]
    progress: How,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

impl Rebuild {
    pub(super) async fn run(self, options: &PgConnectOptions) -> Result<ExitCode> {
        // Two views have tables of other names.
        let only = self.only.map(|name| match name.as_str() {
            "usage_logs" => "requests".to_owned(),
            "usage_daily" => "usage_by_day".to_owned(),
            _ => name,
        });
        let wanted = Wanted { only, from_start: self.from_start };
        let mut shown = Shown::new(self.progress);
        let report = rebuild(options, &wanted, |progress| shown.tell(progress)).await;
        shown.end();
        let report = report?;
        if self.json {
            print_json(&report)?
        } else {
            tell(&report)
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(report: &Report) {
    let rate = format!("after {:.1} s ({:.0} events a second)", report.seconds, report.events_per_second);
    if report.resumed_at > 0 {
        println!("A killed rebuild had come to position {}; it was gone on with.", report.resumed_at);
    }
    match (&report.only, report.rows_removed, report.rows_added) {
        (Some(only), Some(0), Some(0)) => println!("{only} is what the events say, {rate}: nothing was replaced."),
        (Some(only), removed, added) => println!(
            "{only} is rebuilt at position {}, {rate}: {} rows were wrong, {} came.",
            report.position,
            removed.unwrap_or_default(),
            added.unwrap_or_default()
        ),
        (None, ..) => println!("Version {} is live, at position {}, {rate}.", report.version, report.position),
    }
    match &report.comparison {
        None => println!("There was nothing to compare with."),
        Some(comparison) if comparison.same => {
            println!("Every row is as it was before (compared at position {}).", comparison.position);
        }
        Some(comparison) => {
            println!("The rebuilt rows DIFFER from those before (compared at position {}):", comparison.position);
            for table in comparison.tables.iter().filter(|table| !table.same) {
                let is_left = report.only.as_ref().is_some_and(|only| *only != table.table);
                let left = if is_left { " (left as it is: rebuild it too)" } else { "" };
                println!("  {}: {} rows before, {} now{left}", table.table, table.rows_live, table.rows_rebuilt);
            }
        }
    }
    if !report.dropped {
        println!("The old version is still being read; the next rebuild drops it.");
    }
}
