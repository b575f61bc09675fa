//! All records of the lake, part by part, into the queue.

use std::fs::File;

use aggregator::lake::{Day, Lake, LakeError, Part, REPLACES, Source, Table};
use arrow::array::{AsArray as _, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::queue::{Entry, Pushed};
use super::{Form, ForwardError, ForwardOptions, Forwarder, What, avro, ipfix};
use crate::output::OutputError;
use crate::output::export::{About, ExportFormat, Exporter};

/// Rows read at once.
const ROWS: usize = 1_024;
/// Records that one look puts into the queue, at most; the others come with the next.
const MOST: u64 = 100_000;

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The lake did not answer.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A part could not be read.
    #[error("reading {part}: {source}")]
    Part {
        /// Its path.
        part: String,
        /// What is wrong.
        source: ParquetError,
    },
    /// A row could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// The name under which a part is remembered: as long as a record's id.
fn remembered(path: &str) -> String {
    blake3::hash(path.as_bytes()).to_hex().as_str().get(..32).unwrap_or_default().to_owned()
}

/// As it is named in the metadata of what it is merged into.
fn path(lake: &Lake, part: &Part) -> String {
    part.path.strip_prefix(lake.dir()).unwrap_or(&part.path).to_string_lossy().into_owned()
}

impl Forwarder {
    /// Puts the records of parts since a day that were not there before into the queue, until it is full; gives how many.
    pub(super) fn look_at_parts(&mut self, lake: &Lake, since: Day) -> Result<u64, ForwardError> {
        // Files that are listed stay, as long as this is held.
        let _reading = lake.reading().map_err(RecordsError::from)?;
        let mut count = 0;
        for table in self.options.tables.clone() {
            for part in lake.parts(table, None).map_err(RecordsError::from)? {
                if part.date < since || self.seen.has(&remembered(&path(lake, &part))) {
                    continue;
                }
                let (queued, is_whole) = self.part(lake, table, &part)?;
                count += queued;
                if !is_whole || count >= MOST {
                    return Ok(count);
                }
            }
        }
        Ok(count)
    }

    /// Queues a part's rows; says how many, and whether all of them are in the queue now.
    fn part(&mut self, lake: &Lake, table: Table, part: &Part) -> Result<(u64, bool), ForwardError> {
        let name = path(lake, part);
        let wrong = |source| RecordsError::Part { part: part.path.display().to_string(), source };
        let file = File::open(&part.path).map_err(|e| wrong(e.into()))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(wrong)?;
        let entries = builder.metadata().file_metadata().key_value_metadata();
        let replaces = entries.and_then(|all| all.iter().find(|entry| entry.key == REPLACES)?.value.as_deref());
        let replaces: Vec<String> = replaces.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let replaces: Vec<String> = replaces.iter().map(|path| remembered(path)).collect();
        let mut queued = 0;
        // What was merged of parts that have left needs not leave again.
        if replaces.is_empty() || !replaces.iter().all(|id| self.seen.has(id)) {
            let begun = self.begun.take().filter(|(path, _)| *path == name).map_or(0, |(_, rows)| rows);
            let mut at = begun;
            let rows = builder.with_batch_size(ROWS).with_offset(begun).build().map_err(wrong)?;
            for batch in rows {
                let batch = batch.map_err(|e| wrong(e.into()))?;
                let entries = if self.options.target.is_ipfix() {
                    ipfix::entries(&batch, ids(&batch))
                } else {
                    entries_of(table, &self.options, &batch).map_err(RecordsError::from)?
                };
                let taken = self
                    .push_records(&entries)
                    .map_err(|source| ForwardError::Queue { dir: self.options.dir.clone(), source })?;
                at += taken;
                queued += taken as u64;
                if taken < entries.len() {
                    self.begun = Some((name, at));
                    return Ok((queued, false));
                }
            }
        }
        let done: Vec<String> = replaces.into_iter().chain([remembered(&name)]).collect();
        let done: Vec<&str> = done.iter().map(String::as_str).filter(|id| !self.seen.has(id)).collect();
        self.seen.add(&done).map_err(|source| ForwardError::Queue { dir: self.options.dir.clone(), source })?;
        Ok((queued, true))
    }

    /// Puts records into the queue until it is full; gives how many are done with.
    fn push_records(&mut self, entries: &[Entry]) -> std::io::Result<usize> {
        let mut done = 0;
        for entry in entries {
            match self.queue.push(entry)? {
                Pushed::Taken => self.counters.queued += 1,
                Pushed::TooLarge => self.counters.too_large += 1,
                Pushed::Full => {
                    self.counters.queue_full += 1;
                    break;
                }
            }
            done += 1;
        }
        self.queue.sync()?;
        Ok(done)
    }
}

fn entries_of(table: Table, options: &ForwardOptions, batch: &RecordBatch) -> Result<Vec<Entry>, OutputError> {
    let form = options.form;
    let id = ids(batch);
    let entry = |(at, payload)| Entry { id: id(at), payload };
    if form == Form::Avro {
        let messages = avro::messages(What::Records, table, options.schema_id(table), batch)?;
        return Ok(messages.into_iter().enumerate().map(entry).collect());
    }
    let format = match form {
        Form::Ecs => ExportFormat::Ecs,
        Form::Ocsf => ExportFormat::Ocsf,
        Form::Odm => ExportFormat::Odm,
        Form::Json | Form::Cef | Form::Avro => ExportFormat::JsonLines,
    };
    let source = match (table.scored(), format) {
        (Some(source), _) => source,
        // The columns, whatever they are.
        (None, ExportFormat::JsonLines) => Source::Flow,
        (None, _) => {
            let detail = format!("{} records leave as json or avro", table.as_str());
            return Err(OutputError::Format { format: format.as_str(), detail });
        }
    };
    let text = Exporter::new(format, source, &batch.schema(), About::default())?.batch(batch)?;
    // One line a row: a line break within a value is escaped.
    let lines = text.split(|b| *b == b'\n').take(batch.num_rows());
    Ok(lines.map(<[u8]>::to_vec).enumerate().map(entry).collect())
}

/// The ids of rows, as hexadecimal text.
fn ids(batch: &RecordBatch) -> impl Fn(usize) -> String {
    let ids = batch.column_by_name("record_id").and_then(|column| column.as_fixed_size_binary_opt().cloned());
    move |at| {
        let bytes = ids.as_ref().map(|ids| ids.value(at)).unwrap_or_default();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
