use anyhow::{Context, Result, bail, ensure};
use schemas::books::Applied;
use schemas::event::Event;
use schemas::merkle::leaf_hash;
use sqlx::{Connection, PgConnection};

use super::check::{Checked, Walk};
use super::folder::{Beside, Folder};
use super::segment::Stored;
use crate::append::{EventRow, State, Touched, Written, load, store};
use schemas::merkle::note::VerifierKey;

/// Events a statement.
const PAGE: usize = 4_096;

/// Brings a folder into a migrated, empty database: the same bytes at the same positions, and everything that is derived from
/// them by the fold. All or nothing, in one transaction; every file is proved before a word of it counts. `tell` hears how far
/// it is, and of how many.
///
/// # Errors
/// When the database is not empty, or the folder is not what was signed.
pub async fn import(
    db: &mut PgConnection,
    folder: &Folder,
    keys: &[VerifierKey],
    mut tell: impl FnMut(u64, u64),
) -> Result<Checked> {
    let mut transaction = db.begin().await?;
    // No ledger begins meanwhile, and none has begun.
    let head = sqlx::query!("select position, epoch, generation from ledger.head for update")
        .fetch_one(&mut *transaction)
        .await?;
    let empty = (head.position, head.epoch, head.generation) == (0, 0, 0);
    ensure!(empty, "the database is not empty: a ledger has served it, or it was imported into before");
    let mut walk = Walk::begin(folder, keys)?;
    let until = walk.beside().position;
    let mut state = State::default();
    loop {
        let mut page = Vec::with_capacity(PAGE);
        while page.len() < PAGE {
            match walk.read_next()? {
                Some(stored) => page.push(stored),
                None => break,
            }
        }
        if page.is_empty() {
            break;
        }
        append(&mut transaction, &mut state, page).await?;
        tell(state.head.position, until);
    }
    beside(&mut transaction, walk.beside()).await?;
    // An authorization's time is that of its event.
    sqlx::query!(
        "update ledger.holds h set authorized_time = e.recorded_at from ledger.events e where e.position = h.authorized_at"
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(walk.checked())
}

async fn append(db: &mut PgConnection, state: &mut State, page: Vec<Stored>) -> Result<()> {
    let mut events = Vec::with_capacity(page.len());
    let mut touched = Touched::default();
    for stored in page {
        let event =
            Event::decode(&stored.bytes).with_context(|| format!("position {} is no event", stored.position))?;
        // Requests that have ended are not in memory; most of these are new.
        touched.holds.extend(event.header.request_id);
        events.push((stored, event));
    }
    load::touched(db, state, touched).await?;
    let mut written = Written::default();
    for (stored, event) in events {
        let position = stored.position;
        match state.books.apply(position, &event) {
            Ok(Applied::New { note, .. }) => written.notes.extend(note.map(|note| (position, note))),
            Ok(Applied::Duplicate) => bail!("position {position}: its emitter said this seq before"),
            Err(rejected) => bail!("position {position}: {rejected}"),
        }
        state.head.position = position;
        let row = EventRow::new(position, &event, stored.bytes.into());
        written.events.push(EventRow { recorded_at: Some(stored.recorded_at), ..row });
    }
    written.tiles = state.tree.extend(written.events.iter().map(|row| leaf_hash(&row.bytes)));
    store(db, state, &written).await?;
    state.books.changed = Default::default();
    state.books.holds.retain(|_, hold| !hold.slots.has_ended());
    state.books.references.clear();
    Ok(())
}

/// What is in no event. Of the stream nothing is known any more: the ledger that starts here opens the next generation.
async fn beside(db: &mut PgConnection, beside: &Beside) -> Result<()> {
    sqlx::query!("update ledger.head set generation = $1, epoch = $2", beside.generation as i64, beside.epoch as i64)
        .execute(&mut *db)
        .await?;
    for row in &beside.checkpoints {
        sqlx::query!(
            "insert into ledger.checkpoints (size, root, note, created_at) values ($1, $2, $3, $4)",
            row.size as i64,
            &row.root.0[..],
            row.note,
            row.created_at
        )
        .execute(&mut *db)
        .await?;
    }
    for row in &beside.lives {
        sqlx::query!(
            "insert into ledger.lives (gateway, process, generation, gates, state, closed_gates, registered_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
            row.gateway,
            row.process,
            row.generation,
            &row.gates,
            row.state,
            row.closed_gates,
            row.registered_at
        )
        .execute(&mut *db)
        .await?;
    }
    for row in &beside.quarantine {
        sqlx::query!(
            "insert into ledger.quarantine (id, received_at, generation, stream_seq, subject, emitter, seq, reason, message,
                                            state, position, retry_reason, retried_at)
             overriding system value values ($1, $2, $3, $4, $5, $6, $7, $8, decode($9, 'hex'), $10, $11, $12, $13)",
            row.id,
            row.received_at,
            row.generation,
            row.stream_seq,
            row.subject,
            row.emitter,
            row.seq,
            row.reason,
            row.message,
            row.state,
            row.position,
            row.retry_reason,
            row.retried_at
        )
        .execute(&mut *db)
        .await?;
    }
    for row in &beside.repeats {
        sqlx::query!(
            "insert into ledger.repeats (emitter, count, last_at) values ($1, $2, $3)",
            row.emitter,
            row.count,
            row.last_at
        )
        .execute(&mut *db)
        .await?;
    }
    let next = beside.quarantine.last().map_or(1, |row| row.id + 1);
    sqlx::query!("select setval(pg_get_serial_sequence('ledger.quarantine', 'id'), $1, false)", next)
        .fetch_one(db)
        .await?;
    Ok(())
}
