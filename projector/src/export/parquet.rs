use std::fs::File;
use std::sync::Arc;

use ::parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use ::parquet::errors::Result;
use ::parquet::file::metadata::{KeyValue, SortingColumn};
use ::parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use ::parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use ::parquet::schema::types::{ColumnPath, Type, TypePtr};
use bytes::Bytes;

use super::columns::{Column, DIGITS, Kind, Value};

/// Rows that are in memory at a time: what DuckDB reads in one go, on one core …
const GROUP_ROWS: usize = 65_536;
/// … or fewer, where they have many words.
const GROUP_BYTES: usize = 32 << 20;
/// 20 digits and a sign in two's complement: 10^20 < 2^71.
const DECIMAL_BYTES: usize = 9;

/// A Parquet file in the making: a group of rows is kept by column, then written.
pub(super) struct Groups {
    writer: SerializedFileWriter<File>,
    cells: Vec<Cells>,
    rows: usize,
    bytes: usize,
}

/// The cells of one column, and for each row whether it has one (1) or not (0).
struct Cells {
    required: bool,
    there: Vec<i16>,
    values: Values,
}

enum Values {
    /// All words in a row, and where each ends.
    Words(Vec<u8>, Vec<usize>),
    Whole(Vec<i64>),
    Boolean(Vec<bool>),
    Decimal(Vec<i64>),
}

impl Groups {
    /// A file with these columns; `about` is written into it.
    pub(super) fn new(file: File, columns: &[Column], about: &[(String, String)]) -> Result<Self> {
        let writer = SerializedFileWriter::new(file, schema(columns)?, properties(columns, about)?)?;
        let cells = columns.iter().map(Cells::new).collect();
        Ok(Self { writer, cells, rows: 0, bytes: 0 })
    }

    /// The next row.
    pub(super) fn row(&mut self, row: &[Value<'_>]) -> Result<()> {
        for (cells, cell) in self.cells.iter_mut().zip(row) {
            self.bytes += cells.push(cell);
        }
        self.rows += 1;
        if self.rows == GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Everything is with the system when this returns.
    pub(super) fn finish(mut self) -> Result<File> {
        self.flush()?;
        self.writer.into_inner()
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for cells in &mut self.cells {
            let Some(mut column) = group.next_column()? else { break };
            cells.write(&mut column)?;
            column.close()?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl Cells {
    fn new(column: &Column) -> Self {
        let values = match column.kind {
            Kind::Id | Kind::Text => Values::Words(Vec::new(), Vec::new()),
            Kind::Integer | Kind::Time => Values::Whole(Vec::new()),
            Kind::Boolean => Values::Boolean(Vec::new()),
            Kind::Decimal { .. } => Values::Decimal(Vec::new()),
        };
        Self { required: column.required, there: Vec::new(), values }
    }

    /// Adds a cell, and says how many bytes it takes.
    fn push(&mut self, cell: &Value<'_>) -> usize {
        let taken = match (&mut self.values, cell) {
            (Values::Words(words, ends), Value::Text(text)) => {
                words.extend_from_slice(text.as_bytes());
                ends.push(words.len());
                text.len() + size_of::<usize>()
            }
            (Values::Words(words, ends), Value::Id(id)) => {
                let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
                words.extend_from_slice(id.as_hyphenated().encode_lower(&mut buffer).as_bytes());
                ends.push(words.len());
                buffer.len() + size_of::<usize>()
            }
            (Values::Whole(values), Value::Integer(value)) | (Values::Decimal(values), Value::Decimal(value, _)) => {
                values.push(*value);
                size_of::<i64>()
            }
            (Values::Whole(values), Value::Time(time)) => {
                values.push(time.timestamp_micros());
                size_of::<i64>()
            }
            (Values::Boolean(values), Value::Boolean(value)) => {
                values.push(*value);
                1
            }
            // Nothing. A cell of another kind than its column's cannot be: both are of the same list.
            _ => 0,
        };
        self.there.push((taken > 0).into());
        taken
    }

    /// Writes all of them, and is empty again.
    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<()> {
        let there = (!self.required).then_some(&self.there[..]);
        match &mut self.values {
            Values::Words(words, ends) => {
                let words = Bytes::from(std::mem::take(words));
                let mut begin = 0;
                let slices: Vec<_> = std::mem::take(ends)
                    .into_iter()
                    .map(|end| ByteArray::from(words.slice(std::mem::replace(&mut begin, end)..end)))
                    .collect();
                put::<ByteArrayType>(column, &slices, there)?;
            }
            Values::Whole(values) => put::<Int64Type>(column, &std::mem::take(values), there)?,
            Values::Boolean(values) => put::<BoolType>(column, &std::mem::take(values), there)?,
            Values::Decimal(values) => {
                let wide = |value: i64| i128::from(value).to_be_bytes();
                let bytes: Vec<u8> = std::mem::take(values)
                    .into_iter()
                    .flat_map(|value| wide(value).into_iter().skip(size_of::<i128>() - DECIMAL_BYTES))
                    .collect();
                let bytes = Bytes::from(bytes);
                let slices: Vec<_> = (0..bytes.len())
                    .step_by(DECIMAL_BYTES)
                    .map(|at| FixedLenByteArray::from(ByteArray::from(bytes.slice(at..at + DECIMAL_BYTES))))
                    .collect();
                put::<FixedLenByteArrayType>(column, &slices, there)?;
            }
        }
        self.there.clear();
        Ok(())
    }
}

fn put<T: DataType>(column: &mut SerializedColumnWriter<'_>, values: &[T::T], there: Option<&[i16]>) -> Result<()> {
    column.typed::<T>().write_batch(values, there, None)?;
    Ok(())
}

fn schema(columns: &[Column]) -> Result<TypePtr> {
    let fields = columns.iter().map(|column| Ok(Arc::new(field(column)?))).collect::<Result<_>>()?;
    Ok(Arc::new(Type::group_type_builder("usage").with_fields(fields).build()?))
}

fn field(column: &Column) -> Result<Type> {
    let (physical, logical) = match column.kind {
        Kind::Id | Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Integer => (Physical::INT64, None),
        Kind::Boolean => (Physical::BOOLEAN, None),
        Kind::Decimal { scale } => {
            (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(scale as i32, DIGITS as i32)))
        }
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
    };
    let repetition = if column.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
    let builder =
        Type::primitive_type_builder(column.name, physical).with_repetition(repetition).with_logical_type(logical);
    match column.kind {
        Kind::Decimal { scale } => {
            builder.with_length(DECIMAL_BYTES as i32).with_precision(DIGITS as i32).with_scale(scale as i32).build()
        }
        _ => builder.build(),
    }
}

fn properties(columns: &[Column], about: &[(String, String)]) -> Result<WriterPropertiesPtr> {
    let about = about.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("layers projector ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_key_value_metadata(Some(about));
    if let Some(index) = columns.iter().position(|column| column.name == super::ORDER) {
        let order = SortingColumn { column_idx: index as i32, descending: false, nulls_first: false };
        properties = properties.set_sorting_columns(Some(vec![order]));
    }
    for column in columns {
        let path = ColumnPath::from(column.name);
        properties = match (column.kind, column.name) {
            // Each of them is another one: a dictionary would only be given up.
            (_, "request_id" | "provider_request_id") => properties.set_column_dictionary_enabled(path, false),
            (Kind::Time, _) | (_, "position") => properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            _ => properties,
        };
    }
    Ok(Arc::new(properties.build()))
}
