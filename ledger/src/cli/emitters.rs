use std::fmt::Write;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use sqlx::ConnectOptions;
use uuid::Uuid;

use super::show::show;
use crate::config::DatabaseConfig;
use crate::database;
use crate::emitters::emitters;

#[derive(Args)]
pub(super) struct EmittersArgs {
    /// Only this one.
    #[arg(long)]
    emitter: Option<Uuid>,
    /// Only those with a gap, a duplicate, a quarantined message or an oddity.
    #[arg(long)]
    odd: bool,
    #[command(flatten)]
    database: DatabaseConfig,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: EmittersArgs) -> Result<i32> {
    let mut db = database::options(&args.database.database_url)?.connect().await.context("cannot reach PostgreSQL")?;
    let mut all = emitters(&mut db, args.emitter).await?;
    all.retain(|emitter| !args.odd || emitter.is_odd());
    if args.json {
        show(&format!("{}\n", json!({ "emitters": all })))?;
        return Ok(0);
    }
    let mut text = String::new();
    for emitter in &all {
        let state = emitter.state.as_deref().unwrap_or("-");
        writeln!(
            text,
            "{}  {:7}  {state:7}  {} appended, last seq {}, {} repeats dropped",
            emitter.emitter, emitter.kind, emitter.appended, emitter.last_seq, emitter.repeats
        )?;
        let gaps =
            [("holes", &emitter.holes), ("never came", &emitter.never_came), ("quarantined", &emitter.quarantined)];
        for (what, ranges) in gaps.into_iter().filter(|(_, ranges)| !ranges.is_empty()) {
            writeln!(text, "    {what:11}  {}", ranges.iter().map(range).collect::<Vec<_>>().join(" "))?;
        }
        for note in &emitter.notes {
            writeln!(text, "    noted        {} at position {}", note.note, note.position)?;
        }
    }
    let odd = all.iter().filter(|emitter| emitter.is_odd()).count();
    writeln!(text, "{} emitters, {odd} of them with something to look at", all.len())?;
    show(&text)?;
    Ok(0)
}

fn range((start, end): &(u64, u64)) -> String {
    if start == end { start.to_string() } else { format!("{start}-{end}") }
}
