//! The writing thread: takes rows hour by hour, sorts them, and encodes them as row groups of the open
//! parts.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;

use super::columns::{CHUNK, Columns, DnsColumns, FlowColumns, LedgerColumns, ProxyColumns};
use super::metadata::Lineage;
use super::rows::Row;
use super::table::Place;
use super::{LakeError, SetKind, WriterOptions, failpoint, metadata, properties, schema};
use crate::record::{DnsRecord, FlowRecord, LedgerRow, Micros, ProxyRecord};

/// Text of a chunk past which it is handed to Parquet before it has [`CHUNK`] rows.
const CHUNK_BYTES: usize = 8 << 20;

/// What the front hands to the writing thread.
pub(super) enum Job {
    Flow(Place, Vec<FlowRecord>),
    Dns(Place, Vec<DnsRecord>),
    Proxy(Place, Vec<ProxyRecord>),
    Ledger(Place, Vec<LedgerRow>),
    /// Columns, with the earliest and latest time in them.
    Batch(Place, RecordBatch, Micros, Micros),
    /// The end of the set, with the ledger summed by counter.
    Finish(BTreeMap<String, u64>),
}

/// A part that is complete and on disk, in the staging folder.
#[derive(Clone, Debug)]
pub(super) struct StagedPart {
    pub(super) place: Place,
    pub(super) file: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) first: Micros,
    pub(super) last: Micros,
}

/// Encodes the rows of one set.
pub(super) struct Encoder {
    staging: PathBuf,
    set: String,
    kind: SetKind,
    options: WriterOptions,
    lineage: Lineage,
    open: HashMap<Place, OpenPart>,
    done: Vec<StagedPart>,
    turn: u64,
    flow: Option<FlowColumns>,
    dns: Option<DnsColumns>,
    proxy: Option<ProxyColumns>,
    ledger: Option<LedgerColumns>,
}

struct OpenPart {
    writer: ArrowWriter<File>,
    path: PathBuf,
    file: String,
    rows: u64,
    first: Micros,
    last: Micros,
    /// When it was last written to, in turns of the encoder.
    used: u64,
}

impl Encoder {
    pub(super) fn new(staging: PathBuf, set: &str, kind: SetKind, options: WriterOptions, lineage: Lineage) -> Self {
        Self {
            staging,
            set: set.to_owned(),
            kind,
            options,
            lineage,
            open: HashMap::new(),
            done: Vec::new(),
            turn: 0,
            flow: None,
            dns: None,
            proxy: None,
            ledger: None,
        }
    }

    /// Takes jobs until the end of the set and gives its parts. A writer that is gone, or `abandoned`, ends it
    /// early: what it wrote so far is the staging folder's, which the writer removes.
    pub(super) fn run(mut self, jobs: &Receiver<Job>, abandoned: &AtomicBool) -> Result<Vec<StagedPart>, LakeError> {
        for job in jobs {
            // Relaxed: a hint to stop early, it orders nothing.
            if abandoned.load(Ordering::Relaxed) {
                break;
            }
            match job {
                Job::Flow(place, rows) => {
                    let mut columns = self.flow.take().unwrap_or_else(|| FlowColumns::new(&self.options.sensor));
                    self.rows(place, rows, &mut columns)?;
                    self.flow = Some(columns);
                }
                Job::Dns(place, rows) => {
                    let mut columns = self.dns.take().unwrap_or_else(|| DnsColumns::new(&self.options.sensor));
                    self.rows(place, rows, &mut columns)?;
                    self.dns = Some(columns);
                }
                Job::Proxy(place, rows) => {
                    let mut columns = self.proxy.take().unwrap_or_else(|| ProxyColumns::new(&self.options.sensor));
                    self.rows(place, rows, &mut columns)?;
                    self.proxy = Some(columns);
                }
                Job::Ledger(place, rows) => {
                    let mut columns = self.ledger.take().unwrap_or_else(|| LedgerColumns::new(&self.options.sensor));
                    self.rows(place, rows, &mut columns)?;
                    self.ledger = Some(columns);
                }
                Job::Batch(place, batch, first, last) => self.batch(&place, &batch, first, last)?,
                Job::Finish(ledger) => return self.finish(&ledger),
            }
        }
        Ok(Vec::new())
    }

    /// One row group: `rows`, sorted by time and id.
    fn rows<R: Row>(&mut self, place: Place, rows: Vec<R>, columns: &mut R::Columns) -> Result<(), LakeError> {
        let mut order: Vec<(i64, u64, u32)> =
            rows.iter().zip(0u32..).map(|(row, at)| (row.first().0, row.id(), at)).collect();
        order.sort_unstable();
        let (Some(first), Some(last)) = (order.first().map(|key| key.0), rows.iter().map(Row::last).max()) else {
            return Ok(());
        };
        let part = self.part(&place, rows.len())?;
        let wrong = |source| LakeError::Columns { table: R::TABLE.as_str(), source };
        let (mut in_chunk, mut bytes) = (0, 0);
        for row in order.iter().filter_map(|key| rows.get(key.2 as usize)) {
            columns.push(row);
            in_chunk += 1;
            bytes += row.size();
            if in_chunk == CHUNK || bytes > CHUNK_BYTES {
                part.write(&columns.finish().map_err(wrong)?)?;
                (in_chunk, bytes) = (0, 0);
            }
        }
        if in_chunk > 0 {
            part.write(&columns.finish().map_err(wrong)?)?;
        }
        part.end_row_group(rows.len() as u64, Micros(first), last)?;
        self.close_if_large(&place)
    }

    /// Adds columns, in the order they are to have. A row group ends when it is full.
    pub(super) fn batch(
        &mut self,
        place: &Place,
        batch: &RecordBatch,
        first: Micros,
        last: Micros,
    ) -> Result<(), LakeError> {
        let group = self.options.row_group_rows.max(1);
        let part = self.part(place, group)?;
        part.write(batch)?;
        part.count(batch.num_rows() as u64, first, last);
        if part.writer.in_progress_rows() >= group {
            part.flush()?;
        }
        self.close_if_large(place)
    }

    /// The open part of a place; one is begun, and the one not used for longest closed, where needed.
    fn part(&mut self, place: &Place, rows: usize) -> Result<&mut OpenPart, LakeError> {
        self.turn += 1;
        if !self.open.contains_key(place) {
            if self.open.len() >= self.options.max_open_parts.max(1) {
                let oldest = self.open.iter().min_by_key(|(_, part)| part.used).map(|(place, _)| place.clone());
                if let Some(oldest) = oldest {
                    self.close(&oldest, &BTreeMap::new())?;
                }
            }
            let part = OpenPart::create(&self.staging, &self.kind, &self.set, place, rows)?;
            self.open.insert(place.clone(), part);
        }
        let turn = self.turn;
        match self.open.get_mut(place) {
            Some(part) => {
                part.used = turn;
                Ok(part)
            }
            None => Err(LakeError::Encoder("a part that was just opened is not open".to_owned())),
        }
    }

    fn close_if_large(&mut self, place: &Place) -> Result<(), LakeError> {
        let large =
            self.open.get(place).is_some_and(|part| part.writer.bytes_written() as u64 >= self.options.part_bytes);
        if large { self.close(place, &BTreeMap::new()) } else { Ok(()) }
    }

    fn close(&mut self, place: &Place, ledger: &BTreeMap<String, u64>) -> Result<(), LakeError> {
        if let Some(part) = self.open.remove(place) {
            self.done.push(part.close(place.clone(), &self.lineage, ledger)?);
        }
        Ok(())
    }

    /// Closes all parts.
    pub(super) fn finish(mut self, ledger: &BTreeMap<String, u64>) -> Result<Vec<StagedPart>, LakeError> {
        let mut places: Vec<Place> = self.open.keys().cloned().collect();
        places.sort();
        for place in places {
            self.close(&place, ledger)?;
        }
        Ok(self.done)
    }
}

impl OpenPart {
    fn create(
        staging: &std::path::Path,
        kind: &SetKind,
        set: &str,
        place: &Place,
        rows: usize,
    ) -> Result<Self, LakeError> {
        let file = format!("part-{}.parquet", uuid::Uuid::now_v7());
        let path = staging.join(&file);
        let doing = "creating";
        let handle = File::create_new(&path).map_err(|e| LakeError::io(doing, &path, e))?;
        let properties = properties::properties(place.table, rows, metadata::at_start(kind, set, place));
        let writer = ArrowWriter::try_new(handle, schema::of_table(place.table), Some(properties))
            .map_err(|e| LakeError::parquet(doing, &path, e))?;
        Ok(Self { writer, path, file, rows: 0, first: Micros(i64::MAX), last: Micros(i64::MIN), used: 0 })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.writer.write(batch).map_err(|e| LakeError::parquet("writing", &self.path, e))
    }

    fn flush(&mut self) -> Result<(), LakeError> {
        self.writer.flush().map_err(|e| LakeError::parquet("writing", &self.path, e))
    }

    fn count(&mut self, rows: u64, first: Micros, last: Micros) {
        self.rows += rows;
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }

    fn end_row_group(&mut self, rows: u64, first: Micros, last: Micros) -> Result<(), LakeError> {
        self.count(rows, first, last);
        self.flush()
    }

    /// Writes the footer and makes sure that the bytes are on disk.
    fn close(
        mut self,
        place: Place,
        lineage: &Lineage,
        ledger: &BTreeMap<String, u64>,
    ) -> Result<StagedPart, LakeError> {
        for entry in metadata::at_end(self.first, self.last, lineage, ledger) {
            self.writer.append_key_value_metadata(entry);
        }
        let footer = self.writer.finish().map_err(|e| LakeError::parquet("finishing", &self.path, e))?;
        let written = u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default();
        if written != self.rows {
            return Err(LakeError::RowCount { doing: "writing a part", expected: self.rows, got: written });
        }
        failpoint::pass("part.written")?;
        let bytes = self.writer.bytes_written() as u64;
        self.writer.inner().sync_all().map_err(|e| LakeError::io("syncing", &self.path, e))?;
        failpoint::pass("part.synced")?;
        Ok(StagedPart { place, file: self.file, rows: self.rows, bytes, first: self.first, last: self.last })
    }
}

/// Starts the writing thread.
pub(super) fn spawn(
    encoder: Encoder,
    jobs: Receiver<Job>,
    abandoned: Arc<AtomicBool>,
) -> std::io::Result<std::thread::JoinHandle<Result<Vec<StagedPart>, LakeError>>> {
    std::thread::Builder::new().name("lake-writer".to_owned()).spawn(move || encoder.run(&jobs, &abandoned))
}
