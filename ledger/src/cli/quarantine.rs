use std::fmt::Write;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use schemas::message::{DismissQuarantined, QuarantineReply, Refusal, ReplayQuarantined, command_name};
use serde_json::json;
use sqlx::{ConnectOptions, PgConnection};

use super::ask::Asking;
use super::show::show as out;
use crate::config::{DatabaseConfig, NatsConfig};
use crate::database;
use crate::quarantine::{Filter, Shown, State, counts, list, show};

#[derive(Subcommand)]
pub(super) enum QuarantineCommand {
    /// Lists entries, the oldest first, and counts them by reason.
    List {
        /// In which state.
        #[arg(long, value_enum, default_value_t = State::Open)]
        state: State,
        #[command(flatten)]
        filter: Filter,
        /// As many entries at most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        database: DatabaseConfig,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Shows an entry: the message with its bytes, why it is there, and what became of it.
    Show {
        /// The entry's id.
        entry: u64,
        #[command(flatten)]
        database: DatabaseConfig,
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Applies messages as they are, as if they came from the stream now. What is still refused stays, with the new reason;
    /// exit code 1.
    Replay {
        /// Ids of entries.
        #[arg(required_unless_present = "all")]
        entries: Vec<u64>,
        /// All that are open; narrowed by --emitter, --type, --because.
        #[arg(long, conflicts_with = "entries")]
        all: bool,
        #[command(flatten)]
        filter: Filter,
        /// Why; written into the event.
        #[arg(long, default_value = "by command line")]
        reason: String,
        #[command(flatten)]
        acting: Acting,
        /// Connection string of PostgreSQL; only for --all.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: Option<String>,
    },
    /// Gives messages up for good. They are kept.
    Dismiss {
        /// Ids of entries.
        #[arg(required = true)]
        entries: Vec<u64>,
        /// Why; written into the event.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        acting: Acting,
    },
}

/// Who acts, and how the outcome is shown.
#[derive(Args, Clone, Debug)]
pub(super) struct Acting {
    #[command(flatten)]
    nats: NatsConfig,
    /// Who does it; written into the event.
    #[arg(long, env = "USER", default_value = "operator")]
    by: String,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

impl Acting {
    fn because(self, why: String) -> Asking {
        Asking { nats: self.nats, by: self.by, why, json: self.json }
    }
}

pub(super) async fn run(command: QuarantineCommand) -> Result<i32> {
    match command {
        QuarantineCommand::List { state, filter, limit, database, json } => {
            let filter = Filter { state, ..filter };
            let db = &mut connect(&database.database_url).await?;
            let (entries, counts) = (list(db, &filter, limit.into()).await?, counts(db, &filter).await?);
            let total: i64 = counts.iter().map(|count| count.count).sum();
            if json {
                out(&format!("{}\n", json!({ "total": total, "counts": counts, "entries": entries })))?;
                return Ok(0);
            }
            let mut text = String::new();
            for entry in &entries {
                let said = match (entry.emitter, entry.seq) {
                    (Some(emitter), Some(seq)) => format!("{emitter} {seq}"),
                    _ => "-".to_owned(),
                };
                let event_type = entry.subject.rsplit('.').next().unwrap_or_default();
                let reason = entry.retry_reason.as_ref().unwrap_or(&entry.reason);
                let received = entry.received_at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                let (id, state) = (entry.id, &entry.state);
                writeln!(text, "{id:>7}  {state:9}  {received}  {said:43}  {event_type:22}  {reason}")?;
            }
            for count in &counts {
                writeln!(text, "{:>7} × {:9}  {}", count.count, count.state, count.reason)?;
            }
            writeln!(text, "{total} entries")?;
            out(&text)?;
            Ok(0)
        }
        QuarantineCommand::Show { entry, database, json } => {
            let shown = show(&mut connect(&database.database_url).await?, entry).await?;
            let shown = shown.with_context(|| format!("the quarantine has no entry {entry}"))?;
            out(&if json { format!("{}\n", json!(shown)) } else { in_words(&shown) })?;
            Ok(0)
        }
        QuarantineCommand::Replay { mut entries, all, filter, reason, acting, database_url } => {
            if all {
                let url = database_url.context("--all reads the quarantine: set DATABASE_URL")?;
                let found = list(&mut connect(&url).await?, &filter, i64::MAX).await?;
                entries = found.iter().map(|entry| entry.id as u64).collect();
            }
            act(&acting.because(reason), command_name::REPLAY_QUARANTINED, &entries).await
        }
        QuarantineCommand::Dismiss { entries, reason, acting } => {
            act(&acting.because(reason), command_name::DISMISS_QUARANTINED, &entries).await
        }
    }
}

/// Each entry is a command of its own: one that is refused holds none of the others back. Without an answer it ends, and says
/// what was done before.
async fn act(asking: &Asking, command: &str, entries: &[u64]) -> Result<i32> {
    let client = asking.connect().await?;
    let (mut done, mut refused): (Vec<QuarantineReply>, Vec<(u64, Refusal)>) = Default::default();
    let mut unanswered = None;
    for &entry in entries {
        let (by, why) = (asking.by.clone(), asking.why.clone());
        let answer = match command {
            command_name::REPLAY_QUARANTINED => client.ask(command, &ReplayQuarantined { entry, by, why }).await,
            command_name::DISMISS_QUARANTINED => client.ask(command, &DismissQuarantined { entry, by, why }).await,
            other => bail!("'{other}' does nothing to the quarantine"),
        };
        match answer {
            Ok(reply) => done.push(reply),
            Err(error) => match error.downcast::<Refusal>() {
                Ok(refusal) => refused.push((entry, refusal)),
                Err(error) => {
                    unanswered = Some(error.context(format!("entry {entry}")));
                    break;
                }
            },
        }
    }
    if asking.json {
        let refused: Vec<_> = refused
            .iter()
            .map(|(entry, refusal)| json!({ "entry": entry, "code": refusal.code, "message": refusal.message }))
            .collect();
        println!("{}", json!({ "done": done, "refused": refused }));
    } else {
        for reply in &done {
            match reply.event_position {
                Some(event) => println!("entry {} is in the log at position {event}", reply.entry),
                None => println!("entry {} is dismissed, by position {}", reply.entry, reply.position),
            }
        }
        for (_, refusal) in &refused {
            println!("REFUSED  {refusal}");
        }
        println!("{} done, {} refused", done.len(), refused.len());
    }
    match unanswered {
        Some(error) => Err(error),
        None => Ok(i32::from(!refused.is_empty())),
    }
}

fn in_words(shown: &Shown) -> String {
    let entry = &shown.entry;
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let mut lines = vec![
        ("entry", entry.id.to_string()),
        (
            "state",
            match entry.position {
                Some(position) => format!("{} by the event at position {position}", entry.state),
                None => entry.state.clone(),
            },
        ),
        ("reason", entry.reason.clone()),
    ];
    if let (Some(reason), Some(at)) = (&entry.retry_reason, entry.retried_at) {
        lines.push(("replayed", format!("{at}, and refused: {reason}")));
    }
    lines.extend([
        ("received", entry.received_at.to_string()),
        ("subject", entry.subject.clone()),
        ("stream", format!("generation {}, sequence {}", entry.generation, entry.stream_seq)),
        ("emitter", or_none(entry.emitter.map(|emitter| emitter.to_string()))),
        ("seq", or_none(entry.seq.map(|seq| seq.to_string()))),
        ("reads as", shown.reads_as.clone()),
        ("sha-256", shown.sha256.to_string()),
        ("bytes", entry.bytes.to_string()),
    ]);
    let head: String = lines.iter().map(|(name, value)| format!("{name:9}  {value}\n")).collect();
    format!("{head}\n{}\n", shown.text.as_ref().unwrap_or(&shown.hex))
}

async fn connect(url: &str) -> Result<PgConnection> {
    database::options(url)?.connect().await.context("cannot reach PostgreSQL")
}
