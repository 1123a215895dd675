//! Requests, a page at a time: each is compared with its rows as soon as it has come to its last word, and forgotten. So
//! memory holds the requests that are under way, whatever the length of the log.
//!
//! Rows are of the end of the log (`ledger.holds`) or of the read models' checkpoint, and the fold is somewhere before. A row
//! that is equal already will not change any more; one that differs is waited for, while later events of its request are in
//! the log. An event of a request that was forgotten has it folded again, from its own events.

use std::collections::HashMap;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use schemas::books::{Ending, Hold, Slots};
use schemas::event::{Event, Payload};
use schemas::ids::{AccountId, RequestId};
use schemas::rate::rate;
use sqlx::PgConnection;
use uuid::Uuid;

use super::facts::{Facts, UsageRow, time_of};
use super::fold::{Fold, Page};
use super::read::Read;
use super::report::Report;
use crate::append::load::hold_rows;

/// So many at a time, where all that are left are compared.
const CHUNK: usize = 4_096;

/// Which read models are compared, and as of which position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Models {
    pub(super) version: i32,
    pub(super) position: u64,
    /// The journal is complete from here on. Above 1 the version is of before an upgrade: its rows may lack what that added.
    pub(super) history_from: u64,
    /// Its sums over requests hold as far as its rows.
    pub(super) rolled_up: bool,
    pub(super) kept: Kept,
}

/// From when on rows are kept, in months.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) requests: DateTime<Utc>,
    pub(super) hours: DateTime<Utc>,
}

impl Kept {
    /// The least id that a request which is kept can have: ids begin with the time, in milliseconds.
    pub(super) fn first_request(&self) -> Uuid {
        Uuid::from_u128((self.requests.timestamp_millis().max(0) as u128) << 80)
    }
}

/// Rows of `ledger.holds`, with the time of the authorization.
pub(super) type Holds = HashMap<RequestId, (Hold, Option<DateTime<Utc>>)>;

/// Reads the rows of a page's requests, and brings back those that were forgotten and are spoken of again. `resumed`: some
/// were forgotten in an earlier verification, when the rows were others.
pub(super) async fn prepare(db: &mut PgConnection, fold: &mut Fold, page: &[Read], resumed: bool) -> Result<Holds> {
    let mut first: HashMap<RequestId, (u64, bool)> = HashMap::new();
    for read in page {
        let Ok(event) = &read.event else { continue };
        if let Some(request_id) = event.header.request_id {
            let authorizes = matches!(event.payload, Payload::RequestAuthorized(_));
            first.entry(request_id).or_insert((read.position, authorizes));
        }
    }
    let mut ids: Vec<Uuid> = first.keys().map(|id| id.0).collect();
    ids.sort_unstable();
    let rows: Holds = hold_rows(db, &ids).await?.into_iter().map(|row| (row.0.request_id, row)).collect();
    // What was forgotten was equal to its row: had it no authorization then, the row would name none, or an earlier one.
    let is_new = |id: &RequestId, (position, authorizes): (u64, bool)| {
        let authorized_at = rows.get(id).and_then(|row| row.0.authorized_at);
        !resumed && authorizes && authorized_at == Some(position)
    };
    let doubtful: Vec<Uuid> = first
        .iter()
        .filter(|(id, at)| !fold.books.holds.contains_key(id) && !is_new(id, **at))
        .map(|(id, _)| id.0)
        .collect();
    bring_back(db, fold, &doubtful).await?;
    Ok(rows)
}

/// Folds requests again from their own events, up to where the fold is. Of those that are new there are none.
async fn bring_back(db: &mut PgConnection, fold: &mut Fold, ids: &[Uuid]) -> Result<()> {
    if ids.is_empty() || fold.position == 0 {
        return Ok(());
    }
    let rows = sqlx::query!(
        "select position, recorded_at, event from ledger.events where request_id = any($1) and position <= $2 order by position",
        ids,
        fold.position as i64
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        // One that is no event was told of when it was read.
        let Ok(event) = Event::decode(&row.event) else { continue };
        let (Some(request_id), Some(account_id)) = (event.header.request_id, event.header.account_id) else { continue };
        let mut hold = fold.books.holds.get(&request_id).copied().unwrap_or_else(|| fresh(request_id, account_id));
        let before = hold.slots;
        fill(fold, &mut hold, row.position as u64, &event);
        let facts = fold.facts.entry(request_id).or_default();
        facts.learn(row.position as u64, row.recorded_at, &event, (&before, &hold.slots), Some(&fold.books));
        fold.books.holds.insert(request_id, hold);
    }
    Ok(())
}

fn fresh(request_id: RequestId, account_id: AccountId) -> Hold {
    Hold { request_id, account_id, gateway: None, authorized_at: None, key_period: None, slots: Slots::default() }
}

/// Fills a slot as the books do. What the books rejected was told of then, and fills nothing here either.
fn fill(fold: &Fold, hold: &mut Hold, position: u64, event: &Event) {
    let mut slots = hold.slots;
    let filled = match &event.payload {
        Payload::RequestAuthorized(data) => {
            let fenced = fold.fences.get(&event.header.emitter).is_some_and(|fence| *fence < position);
            if slots.authorization.is_none() {
                hold.gateway = Some(event.header.emitter);
                hold.authorized_at = Some(position);
                hold.key_period = hold.key_period.or_else(|| fold.books.key_period(data.api_key_id, hold.request_id));
            }
            slots.fill_authorization(data.hold, !fenced)
        }
        Payload::UsageRecorded(data) => {
            let prices = fold.books.prices.get(&data.price_version);
            let rating = prices.and_then(|prices| rate(&prices.book, &data.model, &data.usage).ok());
            match rating {
                Some(rating) => {
                    hold.key_period =
                        hold.key_period.or_else(|| fold.books.key_period(data.api_key_id, hold.request_id));
                    slots.fill_usage(rating.charge)
                }
                None => return,
            }
        }
        Payload::CreditsDeducted(data) => slots.fill_ending(Ending::Deducted(data.amount)),
        Payload::AuthorizationReleased(_) => slots.fill_ending(Ending::Released),
        Payload::AuthorizationExpired(_) => slots.fill_ending(Ending::Expired),
        _ => return,
    };
    if filled.is_ok() {
        hold.slots = slots;
    }
}

/// Compares the requests of a page and forgets those that are final.
pub(super) async fn compare(
    db: &mut PgConnection,
    fold: &mut Fold,
    page: &Page,
    rows: &Holds,
    models: Option<Models>,
    report: &mut Report,
) -> Result<()> {
    let ids: Vec<RequestId> = page.requests.iter().copied().collect();
    let usages = match models {
        Some(models) => usage_rows(db, models, &ids).await?,
        None => Usages::default(),
    };
    let mut unequal = Vec::new();
    for id in ids {
        let Some(one) = One::of(fold, id) else { continue };
        let same = one.is_held_in(rows) && (models.is_none() || one.facts.told || one.is_used_in(&usages));
        match (same, one.hold.slots.has_ended()) {
            (true, _) => forget(fold, id),
            (false, true) => unequal.push(id),
            // It goes on, or is compared at the end.
            (false, false) => {}
        }
    }
    if unequal.is_empty() {
        return Ok(());
    }
    let later = later_events(db, &unequal, fold.position).await?;
    for id in unequal {
        let Some(one) = One::of(fold, id) else { continue };
        let next = later.get(&id).copied();
        let (held, used) = (one.is_held_in(rows), one.facts.told || one.is_used_in(&usages));
        let mut told = one.facts.told;
        if let Some(models) = models.filter(|models| !used && next.is_none_or(|next| next > models.position)) {
            one.usage_differs(&usages, models.position, report);
            told = true;
        }
        if !held && next.is_none() {
            one.hold_differs(rows, report);
        }
        if next.is_none() || (held && (used || told)) {
            forget(fold, id);
        } else if let Some(facts) = fold.facts.get_mut(&id) {
            facts.told = told;
        }
    }
    Ok(())
}

/// All that are in memory, at the end of the log.
pub(super) async fn compare_rest(db: &mut PgConnection, fold: &mut Fold, report: &mut Report) -> Result<()> {
    let mut ids: Vec<RequestId> = fold.books.holds.keys().copied().collect();
    ids.sort_unstable();
    for chunk in ids.chunks(CHUNK) {
        let wanted: Vec<Uuid> = chunk.iter().map(|id| id.0).collect();
        let rows: Holds = hold_rows(db, &wanted).await?.into_iter().map(|row| (row.0.request_id, row)).collect();
        for one in chunk.iter().filter_map(|id| One::of(fold, *id)) {
            if !one.is_held_in(&rows) {
                one.hold_differs(&rows, report);
            }
        }
    }
    Ok(())
}

/// All that are in memory, at the read models' checkpoint.
pub(super) async fn compare_usages(
    db: &mut PgConnection,
    fold: &Fold,
    models: Models,
    report: &mut Report,
) -> Result<()> {
    let mut ids: Vec<RequestId> = fold.books.holds.keys().copied().collect();
    ids.sort_unstable();
    for chunk in ids.chunks(CHUNK) {
        let usages = usage_rows(db, models, chunk).await?;
        for one in chunk.iter().filter_map(|id| One::of(fold, *id)) {
            if !one.facts.told && !one.is_used_in(&usages) {
                one.usage_differs(&usages, models.position, report);
            }
        }
    }
    Ok(())
}

/// Rows of requests in the read models.
#[derive(Default)]
struct Usages {
    of: HashMap<RequestId, UsageRow>,
    /// Some may be of a projector that knew no codes of errors.
    may_lack_codes: bool,
    /// Older ones have no row any more.
    since: Option<Uuid>,
}

/// One request as the fold has it.
struct One<'a> {
    hold: &'a Hold,
    facts: &'a Facts,
}

impl<'a> One<'a> {
    fn of(fold: &'a Fold, id: RequestId) -> Option<Self> {
        Some(Self { hold: fold.books.holds.get(&id)?, facts: fold.facts.get(&id)? })
    }

    fn is_held_in(&self, rows: &Holds) -> bool {
        rows.get(&self.hold.request_id)
            .is_some_and(|(hold, time)| hold == self.hold && *time == self.facts.authorized_time)
    }

    fn is_used_in(&self, rows: &Usages) -> bool {
        let id = self.hold.request_id;
        rows.since.is_some_and(|since| id.0 < since)
            || rows.of.get(&id).is_some_and(|row| {
                let mut should = self.facts.row(self.hold);
                if rows.may_lack_codes && row.error_code.is_none() {
                    should.error_code = None;
                }
                *row == should
            })
    }

    fn hold_differs(&self, rows: &Holds, report: &mut Report) {
        let id = self.hold.request_id;
        let what = match rows.get(&id) {
            None => format!("{id} is missing"),
            Some(row) => {
                let (should, is) = (self.hold, &row.0);
                let time = (self.facts.authorized_time != row.1)
                    .then(|| format!("; authorized at {:?}, not {:?}", self.facts.authorized_time, row.1));
                format!("{id}: the events say {should:?}, the table says {is:?}{}", time.unwrap_or_default())
            }
        };
        report.differs(Some(self.facts.position), "holds", what);
    }

    fn usage_differs(&self, rows: &Usages, as_of: u64, report: &mut Report) {
        let id = self.hold.request_id;
        let what = match rows.of.get(&id) {
            None => format!("{id} is missing"),
            Some(row) => format!("{id}, as of {as_of}: {}", self.facts.row(self.hold).differences(row)),
        };
        report.differs(Some(self.facts.position), "usage_logs", what);
    }
}

fn forget(fold: &mut Fold, id: RequestId) {
    fold.books.holds.remove(&id);
    fold.facts.remove(&id);
}

/// Of requests that have events after a position, the next one.
async fn later_events(db: &mut PgConnection, ids: &[RequestId], after: u64) -> Result<HashMap<RequestId, u64>> {
    let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select request_id as "request_id!", min(position) as "position!" from ledger.events
           where request_id = any($1) and position > $2 group by request_id"#,
        &wanted,
        after as i64
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (RequestId(row.request_id), row.position as u64)).collect())
}

/// Rows of requests in a version of the read models.
async fn usage_rows(db: &mut PgConnection, models: Models, ids: &[RequestId]) -> Result<Usages> {
    // With the times inside, so that each is looked for in one partition.
    let (wanted, times): (Vec<Uuid>, Vec<DateTime<Utc>>) =
        ids.iter().filter_map(|id| time_of(id.0).map(|time| (id.0, time))).unzip();
    let rows = sqlx::query!(
        r#"select r.request_id, r.created_at, r.account_id, r.livemode,
            (r.hold_credits * 1000000000)::int8 as hold, r.hold_counts, (r.rated_credits * 1000000000)::int8 as rated, r.ending,
            (r.charged_credits * 1000000000)::int8 as charged, r.ended, r.api_key_id, r.model_id, r.served_model_id, r.provider,
            r.upstream, r.request_type, r.streamed, r.price_version::int8 as price_version, r.input_tokens, r.cached_tokens,
            r.cache_write_tokens, r.output_tokens, r.reasoning_tokens, r.images, r.searches,
            (r.cost_usd * 1000000000000)::int8 as "cost_usd!", r.usage_source, r.provider_request_id, r.latency_ms, r.ttft_ms,
            r.status, r.error_message, r.error_code, r.finished_at, r.position
           from unnest($2::uuid[], $3::timestamptz[]) as w(request_id, created_at)
           join read_models.requests r
             on r.version = $1 and r.request_id = w.request_id and r.created_at = w.created_at"#,
        models.version,
        &wanted,
        &times
    )
    .fetch_all(db)
    .await
    .context("the read models cannot be read")?;
    let rows = rows.into_iter().map(|row| {
        let id = RequestId(row.request_id);
        let row = UsageRow {
            created_at: Some(row.created_at),
            account_id: row.account_id,
            livemode: row.livemode,
            hold: row.hold,
            hold_counts: row.hold_counts,
            rated: row.rated,
            ending: row.ending,
            charged: row.charged,
            ended: row.ended,
            api_key_id: row.api_key_id,
            model_id: row.model_id,
            served_model_id: row.served_model_id,
            provider: row.provider,
            upstream: row.upstream,
            request_type: row.request_type,
            streamed: row.streamed,
            price_version: row.price_version,
            input_tokens: row.input_tokens,
            cached_tokens: row.cached_tokens,
            cache_write_tokens: row.cache_write_tokens,
            output_tokens: row.output_tokens,
            reasoning_tokens: row.reasoning_tokens,
            images: row.images,
            searches: row.searches,
            cost_usd: row.cost_usd,
            usage_source: row.usage_source,
            provider_request_id: row.provider_request_id,
            latency_ms: row.latency_ms,
            ttft_ms: row.ttft_ms,
            status: row.status,
            error_message: row.error_message,
            error_code: row.error_code,
            finished_at: row.finished_at,
            position: row.position,
        };
        (id, row)
    });
    let since = Some(models.kept.first_request());
    Ok(Usages { of: rows.collect(), may_lack_codes: models.history_from != 1, since })
}
