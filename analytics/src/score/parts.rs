//! Reads a few columns of a day's parts, batch after batch, straight from Parquet.

use std::fs::File;
use std::sync::Arc;

use aggregator::lake::{Day, Lake, Part, Table, schema};
use aggregator::record::Micros;
use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};

use super::ScoreError;

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
    let path = &part.path;
    let file = File::open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ScoreError::Changed { path: path.clone() },
        _ => ScoreError::Open { path: path.clone(), source },
    })?;
    let wrong = |source| ScoreError::Parquet { path: path.clone(), source };
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(wrong)?;
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

fn conform(batch: &RecordBatch, wanted: &SchemaRef) -> Result<RecordBatch, arrow::error::ArrowError> {
    let columns: Result<Vec<ArrayRef>, _> = wanted
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => arrow::compute::cast(column, field.data_type()),
        })
        .collect();
    RecordBatch::try_new(Arc::clone(wanted), columns?)
}

/// A column of a known type. The types are those of the schema, so a miss is a slip of ours and said as such.
pub(crate) fn column<'b, T: Array + 'static>(batch: &'b RecordBatch, name: &'static str) -> Result<&'b T, ScoreError> {
    batch
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref::<T>())
        .ok_or(ScoreError::Column { name, expected: std::any::type_name::<T>() })
}
