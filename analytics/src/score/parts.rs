//! Reads a few columns of a day's parts, batch after batch, straight from Parquet.

use std::fs::File;
use std::sync::Arc;

use aggregator::lake::{Day, Lake, Part, Table, schema};
use aggregator::record::Micros;
use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};

use super::ScoreError;
use super::texts::coded_type;

/// Rows of a batch: small enough for the columns in work to stay in cache.
const BATCH_ROWS: usize = 8192;

/// The parts of a table that hold a day, in the journal's order. Fixed for a whole run: what is imported meanwhile is not seen.
pub(crate) fn of_day(lake: &Lake, table: Table, date: Day) -> Result<Vec<Part>, ScoreError> {
    let range = date.start()..Micros(Day(date.0.saturating_add(1)).start().0);
    let mut parts = lake.parts(table, Some(range))?;
    parts.retain(|part| part.date == date);
    Ok(parts)
}

/// Calls `each` with (row number of the batch's first row, batch) for every batch of a part. The batch has exactly `columns`, in that order
/// and with the table's types; a column the file does not have (an old one) is null.
pub(crate) fn read(
    part: &Part,
    columns: &[&str],
    rows: Option<&[u64]>,
    each: &mut dyn FnMut(u64, &RecordBatch) -> Result<(), ScoreError>,
) -> Result<(), ScoreError> {
    read_as(part, columns, &[], rows, each)
}

/// The same; the `coded` of the columns come with a dictionary, if the file has them as texts ([`super::texts::Texts`] reads both).
pub(super) fn read_as(
    part: &Part,
    columns: &[&str],
    coded: &[&str],
    rows: Option<&[u64]>,
    each: &mut dyn FnMut(u64, &RecordBatch) -> Result<(), ScoreError>,
) -> Result<(), ScoreError> {
    let path = &part.path;
    let file = File::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ScoreError::Changed { path: path.clone() },
        _ => ScoreError::Open { path: path.clone(), source },
    })?;
    let wrong = |source| ScoreError::Parquet { path: path.clone(), source };
    let mut meta = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(wrong)?;
    if !coded.is_empty() {
        let options = ArrowReaderOptions::new().with_schema(with_codes(meta.schema(), coded));
        meta = ArrowReaderMetadata::try_new(Arc::clone(meta.metadata()), options).map_err(wrong)?;
    }
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, meta);
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
    if let Some(rows) = rows {
        builder = builder.with_row_selection(selection(rows));
    }
    let wanted = projected(part.table, columns)?;
    let mut first = 0;
    for batch in builder.build().map_err(wrong)? {
        let batch = batch.map_err(|source| ScoreError::Arrow { path: path.clone(), source })?;
        let batch = conform(&batch, &wanted).map_err(|source| ScoreError::Arrow { path: path.clone(), source })?;
        each(first, &batch)?;
        first += batch.num_rows() as u64;
    }
    Ok(())
}

/// A file's schema, some of its columns of texts as codes.
fn with_codes(schema: &SchemaRef, coded: &[&str]) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let is_coded = coded.contains(&field.name().as_str()) && field.data_type() == &DataType::Utf8;
        if is_coded { Arc::new(field.as_ref().clone().with_data_type(coded_type())) } else { Arc::clone(field) }
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Ascending row numbers as runs to read and to skip.
fn selection(rows: &[u64]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = 0;
    for row in rows {
        if *row > at {
            selectors.push(RowSelector::skip((row - at) as usize));
        }
        selectors.push(RowSelector::select(1));
        at = row + 1;
    }
    selectors.into()
}

fn projected(table: Table, columns: &[&str]) -> Result<SchemaRef, ScoreError> {
    let all = schema::of_table(table);
    let fields: Result<Vec<_>, _> =
        columns.iter().map(|name| all.field_with_name(name).map(|field| field.clone().with_nullable(true))).collect();
    Ok(Arc::new(Schema::new(fields.map_err(ScoreError::Schema)?)))
}

fn conform(batch: &RecordBatch, wanted: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let coded = coded_type();
    let mut fields = Vec::with_capacity(wanted.fields().len());
    let columns: Result<Vec<ArrayRef>, ArrowError> = wanted
        .fields()
        .iter()
        .map(|field| {
            let column = match batch.column_by_name(field.name()) {
                None => new_null_array(field.data_type(), batch.num_rows()),
                Some(column) if column.data_type() == field.data_type() || column.data_type() == &coded => {
                    Arc::clone(column)
                }
                Some(column) => arrow::compute::cast(column, field.data_type())?,
            };
            let is_coded = column.data_type() == &coded;
            let of_codes = || Arc::new(field.as_ref().clone().with_data_type(coded.clone()));
            fields.push(if is_coded { of_codes() } else { Arc::clone(field) });
            Ok(column)
        })
        .collect();
    let columns = columns?;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// A column of a known type. The types are those of the schema, so a miss is a slip of ours and said as such.
pub(crate) fn column<'b, T: Array + 'static>(batch: &'b RecordBatch, name: &'static str) -> Result<&'b T, ScoreError> {
    batch
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref::<T>())
        .ok_or(ScoreError::Column { name, expected: std::any::type_name::<T>() })
}
