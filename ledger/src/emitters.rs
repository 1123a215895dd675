//! What is seen of each life of each process: which of its numbers are appended, in the quarantine, named as never coming,
//! or none of that; what came again; what was odd.

use std::collections::HashMap;

use anyhow::{Context, Result};
use schemas::seq_set::SeqSet;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

/// One life of one process.
#[derive(Clone, Debug, Serialize)]
pub struct Emitter {
    /// Which.
    pub emitter: Uuid,
    /// `gateway`, or `ledger`.
    pub kind: &'static str,
    /// `open`, `fencing` or `fenced`; a ledger's life has none.
    pub state: Option<String>,
    /// Events of it in the log.
    pub appended: u64,
    /// The largest number that is known of it.
    pub last_seq: u64,
    /// Inclusive ranges that are neither there nor named as missing. Those of an open life may still come.
    pub holes: Vec<(u64, u64)>,
    /// Named as not coming, by a release or a fence.
    pub never_came: Vec<(u64, u64)>,
    /// In the quarantine, open or dismissed.
    pub quarantined: Vec<(u64, u64)>,
    /// How often one of its messages came again and was dropped.
    pub repeats: i64,
    /// What was odd about events of it that were applied all the same.
    pub notes: Vec<NoteAt>,
}

/// An oddity.
#[derive(Clone, Debug, Serialize)]
pub struct NoteAt {
    /// Of the event.
    pub position: i64,
    /// Its name.
    pub note: String,
}

impl Emitter {
    /// Whether there is something to look at: a gap, a duplicate, a quarantined message, an oddity.
    pub fn is_odd(&self) -> bool {
        let gaps = [&self.holes, &self.never_came, &self.quarantined].iter().any(|ranges| !ranges.is_empty());
        gaps || self.repeats > 0 || !self.notes.is_empty()
    }
}

/// All of them, or one, the newest life last. In one snapshot.
pub async fn emitters(db: &mut PgConnection, only: Option<Uuid>) -> Result<Vec<Emitter>> {
    let mut snapshot = db.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *snapshot).await?;
    let mut notes: HashMap<Uuid, Vec<NoteAt>> = HashMap::new();
    let noted = sqlx::query!(
        "select position, note, emitter from ledger.notes join ledger.events using (position)
         where $1::uuid is null or emitter = $1 order by position, note",
        only
    )
    .fetch_all(&mut *snapshot)
    .await?;
    for row in noted {
        notes.entry(row.emitter).or_default().push(NoteAt { position: row.position, note: row.note });
    }
    let mut quarantined: HashMap<Uuid, SeqSet> = HashMap::new();
    let kept = sqlx::query!(
        r#"select emitter as "emitter!", seq as "seq!" from ledger.quarantine
           where emitter is not null and seq is not null and state <> 'replayed' and ($1::uuid is null or emitter = $1)"#,
        only
    )
    .fetch_all(&mut *snapshot)
    .await?;
    for row in kept {
        quarantined.entry(row.emitter).or_default().insert(row.seq as u64);
    }
    // A life may be registered and have said nothing, or have come to nothing but the quarantine.
    let rows = sqlx::query!(
        r#"select emitter as "emitter!", seen::text as "seen?", never::text as "never?", state as "state?",
                  coalesce(count, 0) as "repeats!"
           from ledger.emitters full join (select gateway as emitter, state from ledger.lives) as lives using (emitter)
                full join (select distinct emitter from ledger.quarantine where emitter is not null) as kept using (emitter)
                left join ledger.repeats using (emitter)
           where $1::uuid is null or emitter = $1 order by emitter"#,
        only
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let set = |text: Option<String>| text.as_deref().unwrap_or("{}").parse::<SeqSet>().context("ledger.emitters");
        let (seen, never) = (set(row.seen)?, set(row.never)?);
        let kept = quarantined.remove(&row.emitter).unwrap_or_default();
        let accounted = SeqSet::from_ranges(&[seen.ranges(), never.ranges(), kept.ranges()].concat());
        all.push(Emitter {
            emitter: row.emitter,
            kind: if row.state.is_some() { "gateway" } else { "ledger" },
            state: row.state,
            appended: seen.ranges().iter().map(|(start, end)| end - start + 1).sum(),
            last_seq: accounted.max(),
            holes: accounted.holes(),
            never_came: never.ranges().to_vec(),
            quarantined: kept.ranges().to_vec(),
            repeats: row.repeats,
            notes: notes.remove(&row.emitter).unwrap_or_default(),
        });
    }
    snapshot.rollback().await?;
    Ok(all)
}
