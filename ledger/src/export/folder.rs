use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use schemas::merkle::Hash;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Named in the summary; another form has another name.
const FORMAT: &str = "layers-export/1";
/// Fast, and within a few percent of what more effort gives for JSON.
const LEVEL: i32 = 6;

/// A folder of an export.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// What is in no event and yet part of the books, with the place in the log up to which the folder goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beside {
    /// `layers-export/1`.
    pub format: String,
    /// The last position in the folder.
    pub position: u64,
    /// Root of the tree up to there.
    pub root: Hash,
    /// Of the stream that the ledger read; whoever imports opens the next one.
    pub generation: u64,
    /// Of the writer.
    pub epoch: u64,
    /// Everything that was signed.
    pub checkpoints: Vec<CheckpointRow>,
    /// Lives of gateways.
    pub lives: Vec<LifeRow>,
    /// Messages that are no events that can be true.
    pub quarantine: Vec<QuarantineRow>,
    /// How often emitters' messages came again.
    #[serde(default)]
    pub repeats: Vec<RepeatRow>,
}

/// A row of `ledger.checkpoints`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CheckpointRow {
    pub size: u64,
    pub root: Hash,
    pub note: String,
    pub created_at: DateTime<Utc>,
}

/// A row of `ledger.lives`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct LifeRow {
    pub gateway: Uuid,
    pub process: Uuid,
    pub generation: i64,
    pub gates: Vec<i64>,
    pub state: String,
    pub closed_gates: i64,
    pub registered_at: DateTime<Utc>,
}

/// A row of `ledger.quarantine`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct QuarantineRow {
    pub id: i64,
    pub received_at: DateTime<Utc>,
    pub generation: i64,
    pub stream_seq: i64,
    pub subject: String,
    pub emitter: Option<Uuid>,
    pub seq: Option<i64>,
    pub reason: String,
    /// Its bytes, in hexadecimal.
    pub message: String,
    pub state: String,
    pub position: Option<i64>,
    pub retry_reason: Option<String>,
    pub retried_at: Option<DateTime<Utc>>,
}

/// A row of `ledger.repeats`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct RepeatRow {
    pub emitter: Uuid,
    pub count: i64,
    pub last_at: DateTime<Utc>,
}

impl Beside {
    /// The name of this form.
    pub fn format() -> String {
        FORMAT.to_owned()
    }
}

impl Folder {
    /// One that is there, or is to be.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Its segments by their first position.
    ///
    /// # Errors
    /// When it cannot be read. A folder that is not there has none.
    pub fn segments(&self) -> Result<Vec<(u64, PathBuf)>> {
        let entries = match std::fs::read_dir(self.0.join("events")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.0.display())),
        };
        let mut segments = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".zst"));
            if let Some(first) = name.and_then(|name| name.parse().ok()) {
                segments.push((first, path));
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// Where the segment that begins at a position is.
    pub fn segment(&self, first: u64) -> PathBuf {
        self.0.join("events").join(format!("{first:020}.zst"))
    }

    /// What is beside the events; none where the folder was never finished.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn beside(&self) -> Result<Option<Beside>> {
        let path = self.0.join("beside.json.zst");
        if !path.exists() {
            return Ok(None);
        }
        let read = || -> Result<Beside> {
            let beside: Beside = from_json(&path)?;
            ensure!(beside.format == FORMAT, "its format is '{}', not '{FORMAT}'", beside.format);
            Ok(beside)
        };
        read().map(Some).with_context(|| path.display().to_string())
    }

    /// Writes what is beside the events, last of all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_beside(&self, beside: &Beside) -> Result<()> {
        write(&self.0.join("beside.json.zst"), |out| Ok(serde_json::to_writer(out, beside)?))
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(&self) -> Result<()> {
        let events = self.0.join("events");
        std::fs::create_dir_all(&events).with_context(|| format!("cannot make {}", events.display()))
    }
}

/// Opens a compressed file for reading.
pub(super) fn open(path: &Path) -> Result<BufReader<zstd::Decoder<'static, BufReader<File>>>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(BufReader::with_capacity(1 << 16, zstd::Decoder::new(file)?))
}

/// Writes a compressed file, with a checksum: whole or not at all.
pub(super) fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let fresh = path.with_extension("new");
    let all = || -> Result<()> {
        let mut out = zstd::Encoder::new(BufWriter::new(File::create(&fresh)?), LEVEL)?;
        out.include_checksum(true)?;
        fill(&mut out)?;
        let file = out.finish()?.into_inner()?;
        file.sync_all()?;
        Ok(std::fs::rename(&fresh, path)?)
    };
    all().with_context(|| format!("cannot write {}", path.display()))
}

fn from_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    Ok(serde_json::from_reader(open(path)?)?)
}
