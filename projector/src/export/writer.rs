use std::fs::File;
use std::path::Path;

use super::columns::{USAGE, Value};
use super::file::Partial;
use super::parquet::Groups;
use super::text::Lines;
use super::{ExportError, Format};

/// A file of one of the formats.
pub(super) enum Writer {
    Parquet(Box<Groups>),
    Csv(Lines),
    Ndjson(Lines),
}

/// What went wrong with a file whose name the caller knows.
pub(super) enum WriteError {
    Parquet(::parquet::errors::ParquetError),
    File(std::io::Error),
}

impl Writer {
    /// A new file under a name that it has once it is whole.
    pub(super) fn create(
        path: &Path,
        format: Format,
        about: &[(String, String)],
    ) -> Result<(Partial, Self), ExportError> {
        let (partial, file) =
            Partial::create(path.to_owned()).map_err(|error| ExportError::File(path.to_owned(), error))?;
        let writer = Self::new(file, format, about).map_err(|error| error.of(path))?;
        Ok((partial, writer))
    }

    fn new(file: File, format: Format, about: &[(String, String)]) -> Result<Self, WriteError> {
        Ok(match format {
            Format::Parquet => Self::Parquet(Box::new(Groups::new(file, &USAGE, about)?)),
            Format::Csv => {
                let mut lines = Lines::new(file)?;
                lines.csv_head(&USAGE)?;
                Self::Csv(lines)
            }
            Format::Ndjson => Self::Ndjson(Lines::new(file)?),
        })
    }

    /// The next row.
    pub(super) fn row(&mut self, cells: &[Value<'_>]) -> Result<(), WriteError> {
        match self {
            Self::Parquet(groups) => Ok(groups.row(cells)?),
            Self::Csv(lines) => Ok(lines.csv_row(cells)?),
            Self::Ndjson(lines) => Ok(lines.json_row(&USAGE, cells)?),
        }
    }

    /// Everything is with the system when this returns.
    pub(super) fn finish(self) -> Result<File, WriteError> {
        match self {
            Self::Parquet(groups) => Ok(groups.finish()?),
            Self::Csv(lines) | Self::Ndjson(lines) => Ok(lines.finish()?),
        }
    }
}

impl WriteError {
    pub(super) fn of(self, path: &Path) -> ExportError {
        match self {
            Self::Parquet(error) => ExportError::Parquet(path.to_owned(), error),
            Self::File(error) => ExportError::File(path.to_owned(), error),
        }
    }
}

impl From<::parquet::errors::ParquetError> for WriteError {
    fn from(error: ::parquet::errors::ParquetError) -> Self {
        Self::Parquet(error)
    }
}

impl From<std::io::Error> for WriteError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}
