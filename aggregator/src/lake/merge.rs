//! Merging sorted runs of a table: a k-way merge that holds one batch of each run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, FixedSizeBinaryArray, RecordBatch, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{LakeError, Table, schema};

/// Rows read from a run at once.
const READ_ROWS: usize = 1_024;
/// Rows given out at once.
const GIVE_ROWS: usize = 2_048;

/// What rows are ordered by: time, identity, run (so that equal rows keep the order of the runs).
type Key = (i64, [u8; 16], usize);

/// Several sorted runs, read as one.
pub(super) struct Merge {
    table: Table,
    schema: SchemaRef,
    runs: Vec<Run>,
    heap: BinaryHeap<Reverse<Key>>,
}

struct Run {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<Loaded>,
    row: usize,
}

struct Loaded {
    batch: RecordBatch,
    times: TimestampMicrosecondArray,
    ids: Option<FixedSizeBinaryArray>,
}

impl Merge {
    /// Opens the row groups of `parts` as runs: each is sorted.
    pub(super) fn open(table: Table, parts: &[PathBuf]) -> Result<Self, LakeError> {
        let mut runs = Vec::new();
        for path in parts {
            let file = File::open(path).map_err(|e| LakeError::io("opening", path, e))?;
            let wrong = |e| LakeError::parquet("reading", path, e);
            let footer = ArrowReaderMetadata::load(&file, Default::default()).map_err(wrong)?;
            for group in 0..footer.metadata().num_row_groups() {
                let file = file.try_clone().map_err(|e| LakeError::io("opening", path, e))?;
                let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer.clone())
                    .with_row_groups(vec![group])
                    .with_batch_size(READ_ROWS)
                    .build()
                    .map_err(wrong)?;
                runs.push(Run { path: path.clone(), reader, batch: None, row: 0 });
            }
        }
        let mut merge = Self { table, schema: schema::of_table(table), runs, heap: BinaryHeap::new() };
        for at in 0..merge.runs.len() {
            merge.load(at)?;
        }
        Ok(merge)
    }

    /// The next rows, in order; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut place: Vec<Option<usize>> = vec![None; self.runs.len()];
        let mut rows = Vec::with_capacity(GIVE_ROWS);
        while rows.len() < GIVE_ROWS {
            let Some(Reverse((_, _, at))) = self.heap.pop() else { break };
            let (Some(run), Some(slot)) = (self.runs.get_mut(at), place.get_mut(at)) else { break };
            let Some(loaded) = &run.batch else { break };
            let batch = *slot.get_or_insert_with(|| {
                batches.push(loaded.batch.clone());
                batches.len() - 1
            });
            rows.push((batch, run.row));
            run.row += 1;
            if run.row < loaded.batch.num_rows() {
                let key = loaded.key(run.row, at);
                self.heap.push(Reverse(key));
            } else {
                *slot = None;
                self.load(at)?;
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        let merged = interleave_record_batch(&batches, &rows);
        merged.map(Some).map_err(|source| LakeError::Columns { table: self.table.as_str(), source })
    }

    /// Loads the next batch of a run that is used up.
    fn load(&mut self, at: usize) -> Result<(), LakeError> {
        let Some(run) = self.runs.get_mut(at) else { return Ok(()) };
        run.row = 0;
        run.batch = None;
        for batch in run.reader.by_ref() {
            let batch = batch.map_err(|e| LakeError::parquet("reading", &run.path, e.into()))?;
            if batch.num_rows() == 0 {
                continue;
            }
            let loaded = Loaded::new(self.table, conform(batch, &self.schema, self.table, &run.path)?)?;
            self.heap.push(Reverse(loaded.key(0, at)));
            run.batch = Some(loaded);
            break;
        }
        Ok(())
    }
}

impl Loaded {
    fn new(table: Table, batch: RecordBatch) -> Result<Self, LakeError> {
        let times = batch.column_by_name(schema::time_column(table));
        let times = times.and_then(|c| c.as_any().downcast_ref::<TimestampMicrosecondArray>()).cloned();
        let times = times.ok_or_else(|| LakeError::Encoder("a part without times".to_owned()))?;
        let ids = batch.column_by_name("record_id");
        let ids = ids.and_then(|c| c.as_any().downcast_ref::<FixedSizeBinaryArray>()).cloned();
        Ok(Self { batch, times, ids })
    }

    fn key(&self, row: usize, run: usize) -> Key {
        let id = self.ids.as_ref().and_then(|ids| ids.value(row).first_chunk().copied());
        (self.times.value(row), id.unwrap_or_default(), run)
    }
}

/// The columns of the present schema: those an old file lacks are null.
fn conform(batch: RecordBatch, schema: &SchemaRef, table: Table, path: &Path) -> Result<RecordBatch, LakeError> {
    if batch.schema().fields() == schema.fields() {
        return Ok(batch);
    }
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        None if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
        _ => Err(LakeError::ForeignPart { path: path.to_owned(), column: field.name().clone() }),
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, LakeError>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|source| LakeError::Columns { table: table.as_str(), source })
}
