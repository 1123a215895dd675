//! Usage as files, for DuckDB, pandas and whatever else reads Parquet, CSV or lines of JSON:
//!
//! | phase | what |
//! |---|---|
//! | look | the folder has none of the files, or they may be replaced |
//! | snapshot | one transaction sees one state throughout; the rows' partitions are held, so that a rebuild drops none of them |
//! | write | a file a day (UTC): a query by the order of the primary key, row by row as they come |
//! | report | files, rows, sums |
//!
//! What is in memory is a group of rows, whatever their number: the server sends on as they are taken.

mod columns;
mod file;
mod parquet;
mod text;
mod writer;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Instant;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgTransaction};
use uuid::Uuid;

pub use columns::{Column, Kind, USAGE, Value};

use self::columns::{CREDITS, USD, decimal};
use self::file::Partial;
use self::writer::Writer;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet, compressed inside.
    Parquet,
    /// RFC 4180, compressed as a whole.
    Csv,
    /// A JSON object a line, compressed as a whole.
    Ndjson,
}

/// What is exported.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The first day (UTC) on which requests came.
    pub from: NaiveDate,
    /// The day after the last one.
    pub until: NaiveDate,
    /// Only this account's.
    pub account: Option<Uuid>,
    /// Only live (true) or only sandbox accounts (false).
    pub livemode: Option<bool>,
    /// How.
    pub format: Format,
    /// Into which folder.
    pub folder: PathBuf,
    /// Whether files that are there are replaced.
    pub overwrite: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Which day is written.
    pub day: NaiveDate,
    /// Days that are done, of so many.
    pub done: u64,
    /// All of them.
    pub days: u64,
    /// Rows so far.
    pub rows: u64,
}

/// What was exported.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// A day each, in order; days without a request have none.
    pub files: Vec<Written>,
    /// Rows in all of them.
    pub rows: u64,
    /// Sum of `credits_used`, a decimal.
    pub credits_used: String,
    /// Sum of `cost_usd`, a decimal.
    pub cost_usd: String,
    /// The last event whose rows are there.
    pub position: i64,
    /// When the ledger recorded that event.
    pub as_of: Option<DateTime<Utc>>,
    /// How long it took.
    pub seconds: f64,
    /// The most memory that the process had, KiB; absent where the system does not tell.
    pub peak_memory_kib: Option<u64>,
}

/// One file.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    /// Where it is.
    pub file: PathBuf,
    /// Whose requests.
    pub day: NaiveDate,
    /// How many.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// Why nothing more was exported. Files that are there are whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// No day is in the range.
    #[error("--until is the day after the last one: it must be later than --from")]
    NoDays,
    /// Files would be replaced.
    #[error("{0} is there already (and {1} more): --overwrite replaces it")]
    Exists(PathBuf, usize),
    /// No version of the read models is live.
    #[error("no version of the read models is live: `projector rebuild` makes one")]
    NotLive,
    /// A file could not be written.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A Parquet file could not be written.
    #[error("{0}: {1}")]
    Parquet(PathBuf, ::parquet::errors::ParquetError),
    /// The database's word.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Rows of a file come in this order, and so in that of time: the id is a UUIDv7.
const ORDER: &str = "request_id";
/// Progress is told every so many rows.
const TELL_EVERY: u64 = 8_192;

/// Writes `usage_logs` of a range of days, a file a day.
///
/// # Errors
/// Each file that is there then is whole.
pub async fn usage(
    connection: &mut PgConnection,
    wanted: &Wanted,
    mut tell: impl FnMut(Progress),
) -> Result<Report, ExportError> {
    let begin = Instant::now();
    let days: Vec<_> = wanted.from.iter_days().take_while(|day| *day < wanted.until).collect();
    if days.is_empty() {
        return Err(ExportError::NoDays);
    }
    look(wanted, &days)?;
    let in_folder = |error| ExportError::File(wanted.folder.clone(), error);
    std::fs::create_dir_all(&wanted.folder).map_err(in_folder)?;
    let mut snapshot = connection.begin().await?;
    let (position, as_of, about) = begin_snapshot(&mut snapshot, wanted).await?;
    let (mut files, mut sums) = (Vec::new(), Sums::default());
    for (done, day) in days.iter().enumerate() {
        let mut progress = Progress { day: *day, done: done as u64, days: days.len() as u64, rows: sums.rows };
        tell(progress);
        let written = one_day(&mut snapshot, wanted, *day, &about, &mut sums, |rows| {
            progress.rows = rows;
            tell(progress);
        });
        files.extend(written.await?);
    }
    snapshot.rollback().await?;
    file::sync_folder(&wanted.folder).map_err(in_folder)?;
    Ok(Report {
        files,
        rows: sums.rows,
        credits_used: decimal(sums.credits_used, scale(CREDITS)),
        cost_usd: decimal(sums.cost_usd, scale(USD)),
        position,
        as_of,
        seconds: begin.elapsed().as_secs_f64(),
        peak_memory_kib: peak_memory_kib(),
    })
}

impl Wanted {
    /// The file of a day.
    fn file(&self, day: NaiveDate) -> PathBuf {
        let ending = match self.format {
            Format::Parquet => "parquet",
            Format::Csv => "csv.zst",
            Format::Ndjson => "ndjson.zst",
        };
        self.folder.join(format!("usage-{day}.{ending}"))
    }
}

/// Nothing is written where something would be lost.
fn look(wanted: &Wanted, days: &[NaiveDate]) -> Result<(), ExportError> {
    let mut there = days.iter().map(|day| wanted.file(*day)).filter(|path| path.exists());
    match there.next() {
        Some(first) if !wanted.overwrite => Err(ExportError::Exists(first, there.count())),
        _ => Ok(()),
    }
}

/// From here on the transaction sees one state. Says which, and writes down what the columns mean.
async fn begin_snapshot(
    snapshot: &mut PgTransaction<'_>,
    wanted: &Wanted,
) -> Result<(i64, Option<DateTime<Utc>>, Vec<(String, String)>), ExportError> {
    sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut **snapshot).await?;
    // Before the first look, which fixes what is seen: a rebuild that swaps while we read must leave us our rows. Its drop of
    // them waits, and tries again later.
    sqlx::query("lock table read_models.requests in access share mode").execute(&mut **snapshot).await?;
    let live =
        sqlx::query!(r#"select position as "position!", as_of from public.projection where name = 'read_models'"#)
            .fetch_optional(&mut **snapshot)
            .await?
            .ok_or(ExportError::NotLive)?;
    let comments = sqlx::query!(
        r#"select attname::text as "name!", coalesce(col_description(attrelid, attnum), '') as "comment!"
           from pg_attribute where attrelid = 'public.usage_logs'::regclass and attnum > 0 and not attisdropped"#
    )
    .fetch_all(&mut **snapshot)
    .await?;
    let described = USAGE.map(|column| {
        let comment = comments.iter().find(|comment| comment.name == column.name).map(|comment| &comment.comment);
        json!({ "name": column.name, "type": column.sql_type(), "comment": comment })
    });
    let described = serde_json::Value::from(described.to_vec());
    let path = wanted.folder.join("usage-columns.json");
    write_whole(&path, &format!("{described:#}\n")).map_err(|error| ExportError::File(path, error))?;
    let about = vec![
        ("layers.columns".to_owned(), described.to_string()),
        ("layers.position".to_owned(), live.position.to_string()),
        ("layers.as_of".to_owned(), live.as_of.map(|time| time.to_rfc3339()).unwrap_or_default()),
    ];
    Ok((live.position, live.as_of, about))
}

#[derive(Default)]
struct Sums {
    rows: u64,
    credits_used: i128,
    cost_usd: i128,
}

/// Writes the file of one day, if there is something to write.
async fn one_day(
    snapshot: &mut PgTransaction<'_>,
    wanted: &Wanted,
    day: NaiveDate,
    about: &[(String, String)],
    sums: &mut Sums,
    mut tell: impl FnMut(u64),
) -> Result<Option<Written>, ExportError> {
    let path = wanted.file(day);
    let (begin, end) = (midnight(day), midnight(day.checked_add_days(Days::new(1)).unwrap_or(day)));
    let selected: Vec<_> = USAGE.iter().map(Column::select).collect();
    let mut sql = format!(
        "select {} from public.usage_logs where request_id >= $1 and request_id < $2 and created_at >= $3 and created_at < $4",
        selected.join(", ")
    );
    // A condition that is not asked is not there: the plan is made for what is.
    if wanted.account.is_some() {
        sql.push_str(" and account_id = $5");
    }
    if let Some(livemode) = wanted.livemode {
        sql.push_str(if livemode { " and livemode" } else { " and not livemode" });
    }
    sql.push_str(" order by ");
    sql.push_str(ORDER);
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(first_id(begin)).bind(first_id(end)).bind(begin).bind(end);
    if let Some(account) = wanted.account {
        query = query.bind(account);
    }
    let mut rows = pin!(query.fetch(&mut **snapshot));
    let mut writer = None;
    let before = sums.rows;
    while let Some(row) = rows.try_next().await? {
        let mut cells = [Value::Null; USAGE.len()];
        for (index, (column, cell)) in USAGE.iter().zip(&mut cells).enumerate() {
            *cell = column.read(&row, index)?;
            match (column.name, &cell) {
                ("credits_used", Value::Decimal(units, _)) => sums.credits_used += i128::from(*units),
                ("cost_usd", Value::Decimal(units, _)) => sums.cost_usd += i128::from(*units),
                _ => {}
            }
        }
        let (_, writer) = match &mut writer {
            Some(writer) => writer,
            none => none.insert(Writer::create(&path, wanted.format, about)?),
        };
        writer.row(&cells).map_err(|error| error.of(&path))?;
        sums.rows += 1;
        if sums.rows.is_multiple_of(TELL_EVERY) {
            tell(sums.rows);
        }
    }
    let Some((partial, writer)) = writer else {
        // What was exported before, and is usage no more under these conditions.
        if path.exists() {
            std::fs::remove_file(&path).map_err(|error| ExportError::File(path, error))?;
        }
        return Ok(None);
    };
    let file = writer.finish().map_err(|error| error.of(&path))?;
    let bytes = partial.finish(&file).map_err(|error| ExportError::File(path.clone(), error))?;
    Ok(Some(Written { file: path, day, rows: sums.rows - before, bytes }))
}

fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let (partial, mut file) = Partial::create(path.to_owned())?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    partial.finish(&file)?;
    Ok(())
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// The smallest UUIDv7 of a time: the key begins with the time, so a day is a range of it.
fn first_id(time: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(milliseconds << 80)
}

fn scale(kind: Kind) -> u32 {
    match kind {
        Kind::Decimal { scale } => scale,
        _ => 0,
    }
}

/// As Linux counts it.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
