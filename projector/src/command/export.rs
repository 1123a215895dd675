use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};
use projector::database;
use projector::export::{self, Progress, Report, Wanted};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::print_json;

#[derive(Debug, Subcommand)]
pub(super) enum Export {
    /// usage_logs, a file a day (UTC), from one snapshot.
    Usage(Usage),
}

#[derive(Debug, Args)]
pub(super) struct Usage {
    /// The first day, UTC: 2026-03-01.
    #[arg(long)]
    from: NaiveDate,
    /// The day after the last one.
    #[arg(long)]
    until: NaiveDate,
    /// Parquet is compressed inside; of the others each file is, as .zst.
    #[arg(long, value_enum, default_value_t = Format::Parquet)]
    format: Format,
    /// The folder; it is made where it is missing.
    #[arg(long)]
    out: PathBuf,
    /// Only this account's usage.
    #[arg(long)]
    account: Option<Uuid>,
    /// Only live accounts (true), or only sandbox accounts (false).
    #[arg(long)]
    livemode: Option<bool>,
    /// Replaces files that are there.
    #[arg(long)]
    overwrite: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Parquet,
    Csv,
    Ndjson,
}

impl Export {
    pub(super) async fn run(self, options: &PgConnectOptions) -> Result<ExitCode> {
        let Self::Usage(asked) = self;
        let wanted = Wanted {
            from: asked.from,
            until: asked.until,
            account: asked.account,
            livemode: asked.livemode,
            format: match asked.format {
                Format::Parquet => export::Format::Parquet,
                Format::Csv => export::Format::Csv,
                Format::Ndjson => export::Format::Ndjson,
            },
            folder: asked.out,
            overwrite: asked.overwrite,
        };
        let mut connection = database::connect(options).await.context("cannot reach the database")?;
        let terminal = std::io::stderr().is_terminal();
        let report = export::usage(&mut connection, &wanted, |progress| {
            if terminal {
                show(progress);
            }
        })
        .await;
        if terminal {
            eprint!("\r\x1b[2K");
        }
        let report = report?;
        if asked.json {
            print_json(&report)?;
        } else {
            tell(&report, &wanted);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One line that is written over.
fn show(progress: Progress) {
    let Progress { day, done, days, rows } = progress;
    eprint!("\r\x1b[2K{:3} %  {day}  {rows} rows", 100 * done / days.max(1));
    // A progress line that cannot be shown is none.
    let _ = std::io::stderr().flush();
}

fn tell(report: &Report, wanted: &Wanted) {
    let bytes: u64 = report.files.iter().map(|file| file.bytes).sum();
    println!(
        "{} rows in {} files ({:.1} MB) in {}: {} credits used, US$ {} of cost.",
        report.rows,
        report.files.len(),
        bytes as f64 / 1e6,
        wanted.folder.display(),
        report.credits_used,
        report.cost_usd
    );
    let as_of = report.as_of.map(|time| time.format(", recorded at %Y-%m-%d %H:%M:%S UTC").to_string());
    println!("They are as of position {}{}.", report.position, as_of.unwrap_or_default());
}
