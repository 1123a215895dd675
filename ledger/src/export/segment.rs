use std::io::{BufRead, Read, Write};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use schemas::merkle::note::VerifierKey;
use schemas::merkle::{Checkpoint, Edge, Hash, leaf_hash, verify_consistency};
use serde::{Deserialize, Serialize};

/// Named in each header; another form has another name.
const FORMAT: &str = "layers-segment/1";
/// No event is longer: NATS takes no message beyond it.
const LONGEST: u32 = 64 << 20;

/// The first line of a segment: what it is of, and the proof that it is.
///
/// A field that is not known is refused: one flipped bit in the name `checkpoint` would otherwise leave the segment unsigned, and
/// good. What has more fields has another format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// `layers-segment/1`.
    pub format: String,
    /// Its first position.
    pub first: u64,
    /// Its last position.
    pub last: u64,
    /// The right edge of the tree before it: roots of the full subtrees, the largest first.
    pub before: Vec<Hash>,
    /// Root of the tree up to its last event.
    pub root: Hash,
    /// A signed note on a tree that has at least some of it; absent where nothing of it was signed yet.
    pub checkpoint: Option<String>,
    /// That the tree up to its last event is the beginning of the checkpoint's (RFC 6962, 2.1.2); empty where the checkpoint
    /// is of that size or smaller.
    pub consistency: Vec<Hash>,
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub position: u64,
    /// When the ledger appended it.
    pub recorded_at: DateTime<Utc>,
    /// Its own bytes.
    pub bytes: Vec<u8>,
}

impl Header {
    /// For events of these positions.
    pub fn new(first: u64, last: u64, before: &Edge, root: Hash) -> Self {
        let before = before.peaks().to_vec();
        Self { format: FORMAT.to_owned(), first, last, before, root, checkpoint: None, consistency: Vec::new() }
    }

    /// Whether a signature covers all of it, so that it will not be written again.
    pub fn is_signed_whole(&self) -> bool {
        self.said().is_some_and(|checkpoint| checkpoint.size >= self.last)
    }

    /// What its note says, whoever signed it.
    pub fn said(&self) -> Option<Checkpoint> {
        let (text, _) = self.checkpoint.as_ref()?.rsplit_once("\n\n")?;
        format!("{text}\n").parse().ok()
    }
}

/// Writes a segment.
pub struct SegmentWriter<W: Write>(W);

impl<W: Write> SegmentWriter<W> {
    /// Begins with its header.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(mut out: W, header: &Header) -> Result<Self> {
        serde_json::to_writer(&mut out, header)?;
        out.write_all(b"\n")?;
        Ok(Self(out))
    }

    /// The next event.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, recorded_at: DateTime<Utc>, bytes: &[u8]) -> Result<()> {
        self.0.write_all(&recorded_at.timestamp_micros().to_be_bytes())?;
        self.0.write_all(&u32::try_from(bytes.len())?.to_be_bytes())?;
        Ok(self.0.write_all(bytes)?)
    }

    /// The end.
    pub fn finish(self) -> W {
        self.0
    }
}

/// Reads a segment, and proves it on the way.
pub struct SegmentReader<R: BufRead> {
    input: R,
    header: Header,
    edge: Edge,
    /// What the note says, and whether it was signed by a key that is known.
    said: Option<Checkpoint>,
    signed: bool,
}

impl<R: BufRead> SegmentReader<R> {
    /// Reads the header. With keys, the note must be signed by one of them.
    ///
    /// # Errors
    /// When it is none, or its note is not to be believed.
    pub fn begin(mut input: R, keys: &[VerifierKey]) -> Result<Self> {
        let mut line = Vec::new();
        input.by_ref().take(1 << 20).read_until(b'\n', &mut line).context("the header cannot be read")?;
        let header: Header = serde_json::from_slice(&line).context("the first line is not a header")?;
        ensure!(header.format == FORMAT, "its format is '{}', not '{FORMAT}'", header.format);
        ensure!(header.first >= 1 && header.first <= header.last, "positions {} to {}", header.first, header.last);
        let edge = Edge::from_peaks(header.first - 1, header.before.clone()).context("the edge before it")?;
        let said = match &header.checkpoint {
            Some(_) => Some(header.said().context("its checkpoint is none")?),
            None => None,
        };
        if let (Some(note), false) = (&header.checkpoint, keys.is_empty()) {
            Checkpoint::open(note, keys).context("its checkpoint is not to be believed")?;
        }
        let signed = said.is_some() && !keys.is_empty();
        Ok(Self { input, header, edge, said, signed })
    }

    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next event; none after the last one, when all of it is proved.
    ///
    /// # Errors
    /// When the file is damaged, or its events are not those that were signed.
    pub fn read_next(&mut self) -> Result<Option<Stored>> {
        let position = self.edge.size() + 1;
        if position > self.header.last {
            self.end()?;
            return Ok(None);
        }
        let (mut time, mut length) = ([0; 8], [0; 4]);
        let short = || format!("it ends before position {position}");
        self.input.read_exact(&mut time).with_context(short)?;
        self.input.read_exact(&mut length).with_context(short)?;
        let length = u32::from_be_bytes(length);
        ensure!(length <= LONGEST, "position {position} has {length} bytes");
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes).with_context(short)?;
        let recorded_at = DateTime::from_timestamp_micros(i64::from_be_bytes(time)).context("a time that is none")?;
        self.edge.push(leaf_hash(&bytes));
        if let Some(said) = self.said.as_ref().filter(|said| said.size == position) {
            ensure!(said.root == self.edge.root(), "positions 1 to {position} are not what was signed");
        }
        Ok(Some(Stored { position, recorded_at, bytes }))
    }

    /// The right edge of the tree after the last event that was read.
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// The last position of it that a signature by a known key covers.
    pub fn signed(&self) -> u64 {
        let said = self.said.as_ref().filter(|_| self.signed);
        said.map_or(0, |said| said.size.min(self.header.last))
    }

    fn end(&mut self) -> Result<()> {
        let Header { first, last, root, consistency, .. } = &self.header;
        ensure!(self.edge.root() == *root, "its events are not those of its header: the root up to {last} is another");
        if let Some(said) = self.said.as_ref().filter(|said| said.size > *last) {
            verify_consistency(*last, said.size, consistency, *root, said.root)
                .with_context(|| format!("positions {first} to {last} are not in what was signed"))?;
        }
        let rest = self.input.fill_buf().context("its end cannot be read")?;
        ensure!(rest.is_empty(), "something follows its last event");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::merkle::note::SignerKey;
    use schemas::merkle::{Frontier, Tile, Tiles, consistency_proof};

    use super::*;

    fn key() -> SignerKey {
        SignerKey::from_seed("layers/test", [3; 32]).unwrap()
    }

    /// A segment of a log of `total` events, signed as a whole.
    fn segment(total: u64, first: u64, last: u64) -> Vec<u8> {
        let events: Vec<Vec<u8>> = (1..=total).map(|position| format!("event {position}").into_bytes()).collect();
        let hashes: Vec<Hash> = events.iter().map(|event| leaf_hash(event)).collect();
        let (mut tree, mut tiles) = (Frontier::default(), Tiles::default());
        let grown = tree.extend(hashes.iter().copied());
        for (Tile { level, index, .. }, hashes) in &grown.0 {
            tiles.insert(*level, *index, &Hash::concat(hashes)).unwrap();
        }
        if !tree.open()[0].is_empty() {
            tiles.insert(0, total / 256, &Hash::concat(&tree.open()[0])).unwrap();
        }
        let edge = |size: u64| {
            let mut edge = Edge::default();
            hashes.iter().take(size as usize).for_each(|hash| edge.push(*hash));
            edge
        };
        let checkpoint = Checkpoint { origin: "log".to_owned(), size: total, root: tree.edge().root() };
        let mut header = Header::new(first, last, &edge(first - 1), edge(last).root());
        header.checkpoint = Some(checkpoint.sign(&key()));
        header.consistency = consistency_proof(last, total, &tiles).unwrap();
        let mut out = SegmentWriter::begin(Vec::new(), &header).unwrap();
        for event in &events[first as usize - 1..last as usize] {
            out.push(DateTime::UNIX_EPOCH, event).unwrap();
        }
        out.finish()
    }

    fn read(bytes: &[u8]) -> Result<u64> {
        let mut reader = SegmentReader::begin(bytes, &[key().verifier().clone()])?;
        let mut events = 0;
        while reader.read_next()?.is_some() {
            events += 1;
        }
        ensure!(reader.signed() == reader.header().last, "not all of it is signed");
        Ok(events)
    }

    #[test]
    fn no_bit_of_a_header_can_be_flipped() {
        let good = segment(300, 200, 280);
        let end = good.iter().position(|byte| *byte == b'\n').unwrap();
        for at in 0..=end {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(read(&bad).is_err(), "bit {bit} of byte {at}: {}", String::from_utf8_lossy(&bad[..=end]));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_segment_proves_itself_and_a_changed_one_does_not(
            total in 1_u64..600, a in 0.0..1.0, b in 0.0..1.0, at: prop::sample::Index, bit in 0_u8..8,
        ) {
            let pick = |share: f64| 1 + (share * (total - 1) as f64) as u64;
            let (first, last) = (pick(a).min(pick(b)), pick(a).max(pick(b)));
            let good = segment(total, first, last);
            prop_assert_eq!(read(&good).unwrap(), last - first + 1);
            let mut bad = good.clone();
            // Times are beside what is hashed; everything else is proved.
            let at = at.index(bad.len());
            bad[at] ^= 1 << bit;
            if let Ok(events) = read(&bad) {
                prop_assert_eq!(events, last - first + 1);
                let begin = good.iter().position(|byte| *byte == b'\n').unwrap();
                prop_assert!(at > begin, "byte {} of the header", at);
            }
            prop_assert!(read(&good[..good.len() - 1]).is_err());
            prop_assert!(read(&[good.as_slice(), b"x"].concat()).is_err());
        }
    }
}
