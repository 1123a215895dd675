//! The floor: pages of bytes are read, each envelope is decoded, amounts are summed up by account. No rule, no hash, no
//! comparison: what any fold in this language has to do at least.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use schemas::money::Nanocredits;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Deserialize)]
struct Bare<'a> {
    account_id: Option<Uuid>,
    #[serde(borrow)]
    data: Amounts<'a>,
}

#[derive(Deserialize)]
struct Amounts<'a> {
    #[serde(borrow)]
    hold: Option<&'a str>,
    #[serde(borrow)]
    charge: Option<&'a str>,
    #[serde(borrow)]
    amount: Option<&'a str>,
}

/// Folds the events of a file; gives how many there were, and the sum of all that they name.
///
/// # Errors
/// When it cannot be read.
pub fn fold(file: &Path) -> Result<(u64, i128)> {
    let (mut count, mut sums) = (0, HashMap::<Option<Uuid>, i128>::new());
    read(file, |page| {
        for bytes in page {
            let event: Bare<'_> = serde_json::from_slice(bytes)?;
            let sum = sums.entry(event.account_id).or_default();
            for amount in [event.data.hold, event.data.charge, event.data.amount].into_iter().flatten() {
                *sum += i128::from(amount.parse::<Nanocredits>()?.get());
            }
            count += 1;
        }
        Ok(())
    })?;
    Ok((count, sums.values().sum()))
}

/// Writes events one after the other, each with its length.
///
/// # Errors
/// When the file cannot be written.
pub struct Writer(BufWriter<File>);

impl Writer {
    /// A new file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(file: &Path) -> Result<Self> {
        Ok(Self(BufWriter::new(File::create(file).context("cannot make the file of bytes")?)))
    }

    /// The next event.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
        Ok(self.0.write_all(bytes)?)
    }

    /// The end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}

/// Reads a file in pages of a few thousand events.
///
/// # Errors
/// When it cannot be read, or `take` fails.
pub fn read(file: &Path, mut take: impl FnMut(&[Vec<u8>]) -> Result<()>) -> Result<()> {
    const PAGE: usize = 4_096;
    let mut file = BufReader::with_capacity(1 << 20, File::open(file).context("cannot open the file of bytes")?);
    let mut page: Vec<Vec<u8>> = vec![Vec::new(); PAGE];
    loop {
        let mut filled = 0;
        while filled < PAGE {
            let mut length = [0; 4];
            match file.read_exact(&mut length) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(error.into()),
            }
            let bytes = &mut page[filled];
            bytes.resize(u32::from_le_bytes(length) as usize, 0);
            file.read_exact(bytes)?;
            filled += 1;
        }
        if filled == 0 {
            return Ok(());
        }
        take(&page[..filled])?;
    }
}
