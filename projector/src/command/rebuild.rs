use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use projector::rebuild::{Progress, Report, rebuild};
use sqlx::postgres::PgConnectOptions;

use super::print_json;

#[derive(Debug, Args)]
pub(super) struct Rebuild {
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

impl Rebuild {
    pub(super) async fn run(self, options: &PgConnectOptions) -> Result<ExitCode> {
        let terminal = std::io::stderr().is_terminal();
        let report = rebuild(options, |progress| {
            if terminal {
                show(progress);
            }
        })
        .await;
        if terminal {
            eprintln!();
        }
        let report = report?;
        if self.json {
            print_json(&report)?
        } else {
            tell(&report)
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One line that is written over.
fn show(progress: Progress) {
    let line = match progress {
        Progress::Building { position, target, elapsed } => {
            let per_second = position as f64 / elapsed.as_secs_f64().max(0.001);
            let left = (target - position) as f64 / per_second.max(1.0);
            let percent = 100 * position / target.max(1);
            format!("{percent:3} %  {position} of {target} events  {per_second:.0}/s  {left:.0} s left")
        }
        Progress::Comparing => "comparing with the live version".to_owned(),
        Progress::Swapping => "going live".to_owned(),
        Progress::Dropping => "dropping the old version".to_owned(),
    };
    eprint!("\r\x1b[2K{line}");
    // A progress line that cannot be shown is none.
    let _ = std::io::stderr().flush();
}

fn tell(report: &Report) {
    println!(
        "Version {} is live, at position {}, after {:.1} s ({:.0} events a second).",
        report.version, report.position, report.seconds, report.events_per_second
    );
    match &report.comparison {
        None => println!("There was nothing to compare with."),
        Some(comparison) if comparison.same => {
            println!("Every row is as it was before (compared at position {}).", comparison.position);
        }
        Some(comparison) => {
            println!("The rebuilt rows DIFFER from those before (compared at position {}):", comparison.position);
            for table in comparison.tables.iter().filter(|table| !table.same) {
                println!("  {}: {} rows before, {} now", table.table, table.rows_live, table.rows_rebuilt);
            }
        }
    }
    if !report.dropped {
        println!("The old version is still being read; the next rebuild drops it.");
    }
}
