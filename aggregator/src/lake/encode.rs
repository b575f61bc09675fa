//! The encoder: takes rows hour by hour, sorts them, and encodes them as row groups of the open
//! parts.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::file::writer::SerializedFileWriter;

use super::buckets::Gathered;
use super::chunk::{GroupWriter, Specs, Workshop};
use super::columns::Columns as _;
use super::metadata::Lineage;
use super::part_file::PartFile;
use super::rows::Row;
use super::table::Place;
use super::{LakeError, SetKind, WriterOptions, failpoint, metadata, properties, schema};
use crate::record::{DhcpRecord, DnsRecord, FlowRecord, LedgerRow, Micros, ProxyRecord};

/// What the rows of a page may take, before it has [`properties::PAGE_ROWS`].
const PAGE_BYTES: usize = 8 << 20;

/// What the front hands to the writing thread.
pub(super) enum Job {
    Flow(Place, Gathered<FlowRecord>),
    Dns(Place, Gathered<DnsRecord>),
    Proxy(Place, Gathered<ProxyRecord>),
    Dhcp(Place, Gathered<DhcpRecord>),
    Ledger(Place, Gathered<LedgerRow>),
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
    /// A place that gets rows as well as columns has two parts: the flag says which is the one of rows.
    open: HashMap<(Place, bool), OpenPart>,
    done: Vec<StagedPart>,
    turn: u64,
    workshop: Option<Workshop>,
}

enum Writer {
    /// For what is columns already.
    Columns(Box<ArrowWriter<PartFile>>),
    /// For rows, which become columns and row groups here.
    Rows(Box<SerializedFileWriter<PartFile>>, Specs),
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("staging", &self.staging).finish_non_exhaustive()
    }
}

struct OpenPart {
    writer: Writer,
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
            workshop: None,
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
                Job::Finish(ledger) => return self.finish(&ledger),
                job => self.job(job)?,
            }
        }
        Ok(Vec::new())
    }

    /// Encodes one job. The end of the set is [`Self::finish`].
    pub(super) fn job(&mut self, job: Job) -> Result<(), LakeError> {
        match job {
            Job::Flow(place, rows) => self.rows(place, rows)?,
            Job::Dns(place, rows) => self.rows(place, rows)?,
            Job::Proxy(place, rows) => self.rows(place, rows)?,
            Job::Dhcp(place, rows) => self.rows(place, rows)?,
            Job::Ledger(place, rows) => self.rows(place, rows)?,
            Job::Batch(place, batch, first, last) => self.batch(&place, &batch, first, last)?,
            Job::Finish(_) => return Err(LakeError::Encoder("the end of a set is no row group".to_owned())),
        }
        Ok(())
    }

    /// One row group: the rows, sorted by time and id. Rows with equal ones keep their order.
    fn rows<R: Row>(&mut self, place: Place, gathered: Gathered<R>) -> Result<(), LakeError> {
        let Gathered { mut columns, keys, last, bytes } = gathered;
        let rows = keys.len();
        let order = order(&keys);
        let Some(&(first, _)) = order.first().and_then(|at| keys.get(*at as usize)) else { return Ok(()) };
        let page_rows = (PAGE_BYTES / (bytes / rows).max(1)).clamp(1, properties::PAGE_ROWS);
        let mut workshop = match self.workshop.take() {
            Some(workshop) => workshop,
            None => Workshop::new().map_err(|e| LakeError::Encoder(e.to_string()))?,
        };
        let part = self.part(&place, true, rows)?;
        part.row_group::<R>(&mut columns, &mut workshop, &order, page_rows)?;
        part.count(rows as u64, first, last);
        self.workshop = Some(workshop);
        self.close_if_large(&(place, true))
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
        let part = self.part(place, false, group)?;
        part.columns(batch, group)?;
        part.count(batch.num_rows() as u64, first, last);
        self.close_if_large(&(place.clone(), false))
    }

    /// The open part of a place; one is begun, and the one not used for longest closed, where needed.
    fn part(&mut self, place: &Place, of_rows: bool, rows: usize) -> Result<&mut OpenPart, LakeError> {
        self.turn += 1;
        let key = (place.clone(), of_rows);
        if !self.open.contains_key(&key) {
            if self.open.len() >= self.options.max_open_parts.max(1) {
                let oldest = self.open.iter().min_by_key(|(_, part)| part.used).map(|(key, _)| key.clone());
                if let Some(oldest) = oldest {
                    self.close(&oldest, &BTreeMap::new())?;
                }
            }
            let part = OpenPart::create(&self.staging, &self.kind, &self.set, place, of_rows, rows)?;
            self.open.insert(key.clone(), part);
        }
        let turn = self.turn;
        match self.open.get_mut(&key) {
            Some(part) => {
                part.used = turn;
                Ok(part)
            }
            None => Err(LakeError::Encoder("a part that was just opened is not open".to_owned())),
        }
    }

    fn close_if_large(&mut self, key: &(Place, bool)) -> Result<(), LakeError> {
        let large = self.open.get(key).is_some_and(|part| part.bytes_written() as u64 >= self.options.part_bytes);
        if large { self.close(key, &BTreeMap::new()) } else { Ok(()) }
    }

    fn close(&mut self, key: &(Place, bool), ledger: &BTreeMap<String, u64>) -> Result<(), LakeError> {
        if let Some(part) = self.open.remove(key) {
            self.done.push(part.close(key.0.clone(), &self.lineage, ledger)?);
        }
        Ok(())
    }

    /// Closes all parts.
    pub(super) fn finish(mut self, ledger: &BTreeMap<String, u64>) -> Result<Vec<StagedPart>, LakeError> {
        let mut keys: Vec<(Place, bool)> = self.open.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.close(&key, ledger)?;
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
        of_rows: bool,
        rows: usize,
    ) -> Result<Self, LakeError> {
        let file = format!("part-{}.parquet", uuid::Uuid::now_v7());
        let path = staging.join(&file);
        let doing = "creating";
        let handle = File::create_new(&path).map_err(|e| LakeError::io(doing, &path, e))?;
        let properties = properties::properties(place.table, rows, metadata::at_start(kind, set, place));
        let wrong = |e| LakeError::parquet(doing, &path, e);
        let arrow = ArrowWriter::try_new(PartFile::new(handle), schema::of_table(place.table), Some(properties))
            .map_err(wrong)?;
        let writer = if of_rows {
            // Only the file's own writer, with the schema that readers of Arrow look for.
            let (writer, _) = arrow.into_serialized_writer().map_err(wrong)?;
            let specs = Specs::new(place.table, writer.schema_descr(), writer.properties());
            Writer::Rows(Box::new(writer), specs)
        } else {
            Writer::Columns(Box::new(arrow))
        };
        Ok(Self { writer, path, file, rows: 0, first: Micros(i64::MAX), last: Micros(i64::MIN), used: 0 })
    }

    /// Adds columns; a row group ends when it has `group` rows.
    fn columns(&mut self, batch: &RecordBatch, group: usize) -> Result<(), LakeError> {
        let wrong = |e| LakeError::parquet("writing", &self.path, e);
        let Writer::Columns(writer) = &mut self.writer else { return Err(wrong_writer()) };
        writer.write(batch).map_err(wrong)?;
        if writer.in_progress_rows() >= group { writer.flush().map_err(wrong) } else { Ok(()) }
    }

    /// Adds a row group: the rows that `columns` have in this order, in pages of so many.
    fn row_group<R: Row>(
        &mut self,
        columns: &mut R::Columns,
        workshop: &mut Workshop,
        order: &[u32],
        page_rows: usize,
    ) -> Result<(), LakeError> {
        let wrong = |e| LakeError::parquet("writing", &self.path, e);
        let Writer::Rows(file, specs) = &mut self.writer else { return Err(wrong_writer()) };
        let mut group = GroupWriter::begin(file, specs, workshop, order, page_rows).map_err(wrong)?;
        columns.write(&mut group).map_err(wrong)?;
        group.end().map_err(wrong)
    }

    fn bytes_written(&self) -> usize {
        match &self.writer {
            Writer::Columns(writer) => writer.bytes_written(),
            Writer::Rows(writer, _) => writer.bytes_written(),
        }
    }

    fn count(&mut self, rows: u64, first: Micros, last: Micros) {
        self.rows += rows;
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }

    /// Writes the footer and makes sure that the bytes are on disk.
    fn close(
        mut self,
        place: Place,
        lineage: &Lineage,
        ledger: &BTreeMap<String, u64>,
    ) -> Result<StagedPart, LakeError> {
        let entries = metadata::at_end(self.first, self.last, lineage, ledger);
        let footer = match &mut self.writer {
            Writer::Columns(writer) => {
                entries.into_iter().for_each(|entry| writer.append_key_value_metadata(entry));
                writer.finish()
            }
            Writer::Rows(writer, _) => {
                entries.into_iter().for_each(|entry| writer.append_key_value_metadata(entry));
                writer.finish()
            }
        }
        .map_err(|e| LakeError::parquet("finishing", &self.path, e))?;
        let written = u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default();
        if written != self.rows {
            return Err(LakeError::RowCount { doing: "writing a part", expected: self.rows, got: written });
        }
        failpoint::pass("part.written")?;
        let bytes = self.bytes_written() as u64;
        let file = match &self.writer {
            Writer::Columns(writer) => writer.inner(),
            Writer::Rows(writer, _) => writer.inner(),
        };
        file.sync().map_err(|e| LakeError::io("syncing", &self.path, e))?;
        failpoint::pass("part.synced")?;
        Ok(StagedPart { place, file: self.file, rows: self.rows, bytes, first: self.first, last: self.last })
    }
}

/// The rows by time, those of one time by id, those of one id as they came.
fn order(keys: &[(Micros, u64)]) -> Vec<u32> {
    let least = keys.iter().map(|(first, _)| first.0).min().unwrap_or_default();
    // Time since the first and place in one number, as an hour's microseconds allow: that is sorted three times as quickly.
    let packed: Option<Vec<u64>> = keys
        .iter()
        .zip(0_u32..)
        .map(|((first, _), at)| Some(u64::from(u32::try_from(first.0.checked_sub(least)?).ok()?) << 32 | u64::from(at)))
        .collect();
    let Some(mut packed) = packed else {
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        order.sort_by_key(|at| keys[*at as usize]);
        return order;
    };
    packed.sort_unstable();
    let mut order: Vec<u32> = packed.iter().map(|packed| *packed as u32).collect();
    let mut begin = 0;
    for same in packed.chunk_by(|a, b| a >> 32 == b >> 32) {
        if same.len() > 1 {
            order[begin..begin + same.len()].sort_by_key(|at| keys[*at as usize].1);
        }
        begin += same.len();
    }
    order
}

fn wrong_writer() -> LakeError {
    LakeError::Encoder("rows and columns went to one part".to_owned())
}

/// Starts the writing thread.
pub(super) fn spawn(
    encoder: Encoder,
    jobs: Receiver<Job>,
    abandoned: Arc<AtomicBool>,
) -> std::io::Result<std::thread::JoinHandle<Result<Vec<StagedPart>, LakeError>>> {
    std::thread::Builder::new().name("lake-writer".to_owned()).spawn(move || encoder.run(&jobs, &abandoned))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Times near to each other and times far beyond an hour; ids that tie.
        #[test]
        fn rows_are_ordered_by_time_then_id_then_place(
            keys in prop::collection::vec((prop_oneof![0_i64..20, any::<i64>(), -3_000_000_000_i64..3_000_000_000], 0_u64..4), 0..300),
        ) {
            let keys: Vec<(Micros, u64)> = keys.into_iter().map(|(time, id)| (Micros(time), id)).collect();
            let mut expected: Vec<(Micros, u64, u32)> = keys.iter().zip(0..).map(|((time, id), at)| (*time, *id, at)).collect();
            expected.sort();
            prop_assert_eq!(order(&keys), expected.into_iter().map(|(.., at)| at).collect::<Vec<u32>>());
        }
    }
}
