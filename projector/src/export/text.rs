use std::fs::File;
use std::io::{self, Write};

use zstd::Encoder;

use super::columns::{Column, Value};

/// Fast; more effort gains a few percent.
const LEVEL: i32 = 3;

/// A file of lines, compressed with zstd.
pub(super) struct Lines {
    encoder: Encoder<'static, File>,
    /// The line in the making; kept for its room.
    line: String,
}

impl Lines {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let mut encoder = Encoder::new(file, LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(Self { encoder, line: String::new() })
    }

    /// The names of the columns, as CSV (RFC 4180).
    pub(super) fn csv_head(&mut self, columns: &[Column]) -> io::Result<()> {
        let names: Vec<_> = columns.iter().map(|column| Value::Text(column.name)).collect();
        self.csv_row(&names)
    }

    /// One row of CSV. Nothing is an empty cell, and empty words are `""`.
    pub(super) fn csv_row(&mut self, cells: &[Value<'_>]) -> io::Result<()> {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                self.line.push(',');
            }
            match cell {
                Value::Text(words) if needs_quotes(words) => {
                    self.line.push('"');
                    self.line.push_str(&words.replace('"', "\"\""));
                    self.line.push('"');
                }
                cell => cell.write(&mut self.line),
            }
        }
        // DuckDB, pandas and spreadsheets take either end of a line; this one is half as long.
        self.end_line()
    }

    /// One row as a JSON object. Amounts are strings, as everywhere: a JSON number is read as a float.
    pub(super) fn json_row(&mut self, columns: &[Column], cells: &[Value<'_>]) -> io::Result<()> {
        for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
            self.line.push(if index == 0 { '{' } else { ',' });
            self.line.push('"');
            self.line.push_str(column.name);
            self.line.push_str("\":");
            match cell {
                Value::Null => self.line.push_str("null"),
                Value::Integer(_) | Value::Boolean(_) => cell.write(&mut self.line),
                Value::Id(_) | Value::Decimal(..) | Value::Time(_) => {
                    self.line.push('"');
                    cell.write(&mut self.line);
                    self.line.push('"');
                }
                Value::Text(words) => self.line.push_str(&serde_json::to_string(words)?),
            }
        }
        self.line.push('}');
        self.end_line()
    }

    /// Everything is with the system when this returns.
    pub(super) fn finish(self) -> io::Result<File> {
        self.encoder.finish()
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.line.push('\n');
        self.encoder.write_all(self.line.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}

/// Empty words too, so that they are not taken for nothing.
fn needs_quotes(words: &str) -> bool {
    words.is_empty() || words.contains([',', '"', '\n', '\r']) || words.starts_with(' ') || words.ends_with(' ')
}
