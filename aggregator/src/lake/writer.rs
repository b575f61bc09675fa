//! Writing a set: rows in, gathered by hour, encoded (beside the gathering, where there is enough for two), published
//! at once.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::{Array as _, RecordBatch, UInt32Array};
use arrow::datatypes::TimestampMicrosecondType;

use super::buckets::{Buckets, Gathered};
use super::encode::{self, Encoder, Job, StagedPart};
use super::metadata::Lineage;
use super::publish::Plan;
use super::rows::Row;
use super::staging::Staging;
use super::table::{Hour, Place, check_sensor};
use super::{Lake, LakeError, Published, SetKind, Table, WriterOptions, schema};
use crate::record::{DhcpRecord, DnsRecord, FlowRecord, LedgerRow, Micros, ProxyRecord, Records};
use crate::state::imports::ImportState;
use crate::state::sets::ImportEnd;

/// Row groups that may wait for the writing thread.
const QUEUE: usize = 1;

/// Writes one set. Nothing is visible before [`Self::commit`]; dropping the writer abandons the set.
///
/// # Memory
/// Rows are kept until an hour has a row group of them, within [`WriterOptions::memory_limit`]; past it the
/// fullest hour is encoded early. One row group waits and one is encoded on the writing thread, which is begun with the
/// first of them. So the bound is
/// the limit, plus two row groups of rows, plus the encoder's buffers (about one row group of columns).
#[derive(Debug)]
pub struct SetWriter {
    lake: Lake,
    set: String,
    kind: SetKind,
    options: WriterOptions,
    staging: Option<Staging>,
    encoder: EncoderAt,
    abandoned: Arc<AtomicBool>,
    flow: Buckets<FlowRecord>,
    dns: Buckets<DnsRecord>,
    proxy: Buckets<ProxyRecord>,
    dhcp: Buckets<DhcpRecord>,
    ledger: Buckets<LedgerRow>,
    /// Rows by table that came as columns.
    batches: BTreeMap<Table, u64>,
    sums: BTreeMap<String, u64>,
    places: std::collections::HashSet<(Table, Hour)>,
    /// The place visited last: most rows fall into the same.
    visited: Option<(Table, Hour)>,
    rows: u64,
}

/// Where row groups are encoded. A set whose rows all come together at its end has nothing to do meanwhile: it needs
/// no thread, and is cheaper without.
#[derive(Debug)]
enum EncoderAt {
    /// In the thread that gives the rows.
    Here(Box<Encoder>),
    /// Beside it.
    Thread(SyncSender<Job>, JoinHandle<Result<Vec<StagedPart>, LakeError>>),
    /// It ended, or failed.
    Gone,
}

impl SetWriter {
    pub(super) fn begin(lake: &Lake, kind: SetKind, options: WriterOptions) -> Result<Self, LakeError> {
        check_sensor(&options.sensor)?;
        let set = uuid::Uuid::now_v7().to_string();
        let import = match &kind {
            SetKind::Import(mark) => Some(mark.import_id),
            _ => None,
        };
        let staging = lake.begin_staging(&set, kind.as_str(), &options.sensor, import)?;
        let encoder = Encoder::new(staging.dir().to_owned(), &set, kind.clone(), options.clone(), Lineage::of(&kind));
        let abandoned = Arc::new(AtomicBool::new(false));
        Ok(Self {
            lake: lake.clone(),
            set,
            kind,
            options,
            staging: Some(staging),
            encoder: EncoderAt::Here(Box::new(encoder)),
            abandoned,
            flow: Buckets::default(),
            dns: Buckets::default(),
            proxy: Buckets::default(),
            dhcp: Buckets::default(),
            ledger: Buckets::default(),
            batches: BTreeMap::new(),
            sums: BTreeMap::new(),
            places: std::collections::HashSet::new(),
            visited: None,
            rows: 0,
        })
    }

    /// The set's id.
    pub fn id(&self) -> &str {
        &self.set
    }

    /// Adds flows.
    pub fn flow(&mut self, records: &[FlowRecord]) -> Result<(), LakeError> {
        self.take(records, |w| &mut w.flow, Job::Flow)
    }

    /// Adds DNS questions.
    pub fn dns(&mut self, records: &[DnsRecord]) -> Result<(), LakeError> {
        self.take(records, |w| &mut w.dns, Job::Dns)
    }

    /// Adds requests.
    pub fn proxy(&mut self, records: &[ProxyRecord]) -> Result<(), LakeError> {
        self.take(records, |w| &mut w.proxy, Job::Proxy)
    }

    /// Adds DHCP transactions.
    pub fn dhcp(&mut self, records: &[DhcpRecord]) -> Result<(), LakeError> {
        self.take(records, |w| &mut w.dhcp, Job::Dhcp)
    }

    /// Adds what an aggregator finished.
    pub fn records(&mut self, mut records: Records) -> Result<(), LakeError> {
        self.drain_records(&mut records)
    }

    /// The same, leaving the emptied vectors to be filled again.
    pub(crate) fn drain_records(&mut self, records: &mut Records) -> Result<(), LakeError> {
        let Records { flow, dns, dhcp, proxy } = records;
        self.flow(flow)?;
        flow.clear();
        self.dns(dns)?;
        dns.clear();
        self.proxy(proxy)?;
        proxy.clear();
        self.dhcp(dhcp)?;
        dhcp.clear();
        Ok(())
    }

    /// Adds ledger entries. They are also written, summed by counter, to the metadata of the parts still open.
    pub fn ledger(&mut self, rows: &[LedgerRow]) -> Result<(), LakeError> {
        for row in rows {
            let sum = self.sums.entry(row.counter.clone()).or_default();
            *sum = sum.saturating_add(row.value);
        }
        self.take(rows, |w| &mut w.ledger, Job::Ledger)
    }

    /// Adds rows that are columns already, with exactly the schema of the table ([`super::schema`]), times not null. Rows of
    /// `scores` keep their order; those of other tables should be sorted by time.
    pub fn batch(&mut self, table: Table, batch: &RecordBatch) -> Result<(), LakeError> {
        let sensor = self.options.sensor.clone();
        self.batch_of(&sensor, table, batch)
    }

    /// The same of another sensor. The caller bounds how many there are: each opens parts of its own.
    pub(crate) fn batch_of(&mut self, sensor: &str, table: Table, batch: &RecordBatch) -> Result<(), LakeError> {
        check_sensor(sensor)?;
        check_schema(table, batch)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        *self.batches.entry(table).or_default() += batch.num_rows() as u64;
        let wrong = |source| LakeError::Columns { table: table.as_str(), source };
        let times = times(batch, schema::time_column(table))?;
        if let (Table::Scores(_), SetKind::Scores { date, .. }) = (table, &self.kind) {
            let place = Place { table, date: *date, hour: None, sensor: String::new() };
            let (first, last) = span(&times);
            return self.job(Job::Batch(place, batch.clone(), first, last));
        }
        let mut by_hour: BTreeMap<Hour, Vec<u32>> = BTreeMap::new();
        for (time, at) in times.iter().zip(0u32..) {
            by_hour.entry(Hour::of(Micros(*time))).or_default().push(at);
        }
        for (hour, rows) in by_hour {
            self.visit(table, hour)?;
            let part = arrow::compute::take_record_batch(batch, &UInt32Array::from(rows)).map_err(wrong)?;
            let (first, mut last) = span(&self::times(&part, schema::time_column(table))?);
            for column in ["last_seen", "interval_end"] {
                if let Ok(times) = self::times(&part, column) {
                    last = last.max(span(&times).1);
                }
            }
            self.send(table, hour, |place| {
                let sensor = if table.is_hourly() { sensor.to_owned() } else { place.sensor };
                Job::Batch(Place { sensor, ..place }, part, first, last)
            })?;
        }
        Ok(())
    }

    /// With this set a source is read as far as this: the transaction that publishes the set says so. To be called when all rows
    /// were given; a crash from then on leaves all of the set, or counts all of it as lost.
    pub(crate) fn position(&self, source: &str, position: &str) -> Result<(), LakeError> {
        let staging = self.staging.as_ref().ok_or_else(failed_before)?;
        staging.note_position(&(source.to_owned(), position.to_owned()))
    }

    /// Publishes the set. For an import: everything of it could be read.
    pub fn commit(self) -> Result<Published, LakeError> {
        self.commit_import(ImportState::Done, "{}", None)
    }

    /// Publishes the set of an import with its end: state, counts (JSON) and what was wrong. The same transaction
    /// makes its records visible and marks it as done.
    pub fn commit_import(self, state: ImportState, counts: &str, error: Option<&str>) -> Result<Published, LakeError> {
        let import = match &self.kind {
            SetKind::Import(mark) => Some(ImportEnd {
                import_id: mark.import_id,
                state,
                counts: counts.to_owned(),
                error: error.map(str::to_owned),
            }),
            _ => None,
        };
        self.end(Vec::new(), import)
    }

    /// Publishes the set; the same transaction remembers how far `source` was read
    /// ([`State::offset`](crate::state::State::offset)): after a crash both are there, or neither.
    pub fn commit_at(self, source: &str, position: &str) -> Result<Published, LakeError> {
        self.end_at(Vec::new(), None, Some((source.to_owned(), position.to_owned())))
    }

    /// Publishes scores in place of what was published under the same run before: readers see the one or the other.
    ///
    /// # Errors
    /// Those of [`Self::commit`]; [`LakeError::Overtaken`] where another process replaced the same parts meanwhile.
    pub fn commit_again(self) -> Result<(), LakeError> {
        let SetKind::Scores { run_id, source, .. } = &self.kind else { return self.commit().map(drop) };
        let parts = self.lake.state().live_parts(Table::Scores(*source), Micros(i64::MIN), Micros(i64::MAX))?;
        let former = parts.into_iter().filter(|part| part.run.as_ref() == Some(run_id)).map(|part| part.path).collect();
        self.commit_dooming(former)
    }

    /// Publishes the set; the same transaction hides the parts `dooms`.
    pub(super) fn commit_dooming(self, dooms: Vec<String>) -> Result<(), LakeError> {
        self.end(dooms, None).map(drop)
    }

    fn end(self, dooms: Vec<String>, import: Option<ImportEnd>) -> Result<Published, LakeError> {
        self.end_at(dooms, import, None)
    }

    fn end_at(
        mut self,
        dooms: Vec<String>,
        import: Option<ImportEnd>,
        offset: Option<(String, String)>,
    ) -> Result<Published, LakeError> {
        self.drain()?;
        let sums = std::mem::take(&mut self.sums);
        let parts = match std::mem::replace(&mut self.encoder, EncoderAt::Gone) {
            EncoderAt::Here(encoder) => encoder.finish(&sums)?,
            EncoderAt::Thread(jobs, thread) => {
                // Where it is gone, its error is what joining gives.
                drop(jobs.send(Job::Finish(sums)));
                drop(jobs);
                join(thread)?
            }
            EncoderAt::Gone => return Err(failed_before()),
        };
        let written = parts.iter().map(|p| p.rows).sum::<u64>();
        let Self { flow, dns, proxy, dhcp, ledger, batches, .. } = &self;
        let given = flow.rows + dns.rows + proxy.rows + dhcp.rows + ledger.rows + batches.values().sum::<u64>();
        if written != given {
            return Err(LakeError::RowCount { doing: "publishing a set", expected: given, got: written });
        }
        let run = match &self.kind {
            SetKind::Scores { run_id, .. } => Some(run_id.clone()),
            _ => None,
        };
        let staging = self.staging.take().ok_or_else(|| LakeError::Encoder("it was ended before".to_owned()))?;
        let offset = offset.or_else(|| staging.noted_position());
        self.lake.publish(staging, &self.set, Plan { parts, run, dooms, import, offset })
    }

    /// Adds rows of one table.
    fn take<R: Row>(
        &mut self,
        rows: &[R],
        buckets: fn(&mut Self) -> &mut Buckets<R>,
        job: fn(Place, Gathered<R>) -> Job,
    ) -> Result<(), LakeError> {
        let group = self.options.row_group_rows;
        for row in rows {
            self.place(row)?;
            // Taken out for the call, so that the table's rows can be borrowed beside it.
            let sensor = std::mem::take(&mut self.options.sensor);
            let full = buckets(self).add(row, &sensor, group);
            self.options.sensor = sensor;
            if let Some((hour, rows)) = full {
                self.encode_beside()?;
                self.send(R::TABLE, hour, |place| job(place, rows))?;
            }
        }
        self.note_rows()
    }

    /// Counts a row, and the hour it opens. The memory bound is kept at every row: one may be large.
    fn place<R: Row>(&mut self, row: &R) -> Result<(), LakeError> {
        self.rows += 1;
        if self.kept_bytes() > self.options.memory_limit {
            self.spill()?;
        }
        self.visit(R::TABLE, Hour::of(row.head().0))
    }

    fn kept_bytes(&self) -> usize {
        // An hour costs its entry in the map; its part costs a footer, which the bound on open parts covers.
        let hours = self.places.len() * size_of::<(Table, Hour)>() * 2;
        let Self { flow, dns, proxy, dhcp, ledger, .. } = self;
        hours + flow.bytes + dns.bytes + proxy.bytes + dhcp.bytes + ledger.bytes
    }

    fn visit(&mut self, table: Table, hour: Hour) -> Result<(), LakeError> {
        if self.visited == Some((table, hour)) {
            return Ok(());
        }
        self.visited = Some((table, hour));
        if self.places.insert((table, hour)) && self.places.len() > self.options.max_partitions {
            return Err(LakeError::TooManyHours { limit: self.options.max_partitions });
        }
        Ok(())
    }

    /// Encodes the fullest hours early, until the rest is within the bound.
    fn spill(&mut self) -> Result<(), LakeError> {
        self.encode_beside()?;
        while self.kept_bytes() > self.options.memory_limit {
            let Self { flow, dns, proxy, dhcp, ledger, .. } = self;
            let kept = [
                (flow.bytes, Table::Flow),
                (dns.bytes, Table::Dns),
                (proxy.bytes, Table::Proxy),
                (dhcp.bytes, Table::Dhcp),
                (ledger.bytes, Table::Ledger),
            ];
            match kept.into_iter().max_by_key(|(bytes, _)| *bytes) {
                None | Some((0, _)) => break,
                Some((_, Table::Dns)) => self.spill_fullest(|w| &mut w.dns, Job::Dns)?,
                Some((_, Table::Proxy)) => self.spill_fullest(|w| &mut w.proxy, Job::Proxy)?,
                Some((_, Table::Dhcp)) => self.spill_fullest(|w| &mut w.dhcp, Job::Dhcp)?,
                Some((_, Table::Ledger)) => self.spill_fullest(|w| &mut w.ledger, Job::Ledger)?,
                Some(_) => self.spill_fullest(|w| &mut w.flow, Job::Flow)?,
            }
        }
        Ok(())
    }

    fn spill_fullest<R: Row>(
        &mut self,
        buckets: fn(&mut Self) -> &mut Buckets<R>,
        job: fn(Place, Gathered<R>) -> Job,
    ) -> Result<(), LakeError> {
        let Some((hour, rows)) = buckets(self).take_fullest() else { return Ok(()) };
        self.send(R::TABLE, hour, |place| job(place, rows))
    }

    /// Notes how many rows were given, for sets without a source.
    fn note_rows(&mut self) -> Result<(), LakeError> {
        match (&self.kind, &mut self.staging) {
            (SetKind::Flush, Some(staging)) => staging.note_rows(self.rows),
            _ => Ok(()),
        }
    }

    /// Hands over all rows still kept.
    fn drain(&mut self) -> Result<(), LakeError> {
        self.drain_table(|w| &mut w.flow, Job::Flow)?;
        self.drain_table(|w| &mut w.dns, Job::Dns)?;
        self.drain_table(|w| &mut w.proxy, Job::Proxy)?;
        self.drain_table(|w| &mut w.dhcp, Job::Dhcp)?;
        self.drain_table(|w| &mut w.ledger, Job::Ledger)
    }

    fn drain_table<R: Row>(
        &mut self,
        buckets: fn(&mut Self) -> &mut Buckets<R>,
        job: fn(Place, Gathered<R>) -> Job,
    ) -> Result<(), LakeError> {
        for hour in buckets(self).hours() {
            if let Some((hour, rows)) = buckets(self).take(hour) {
                self.send(R::TABLE, hour, |place| job(place, rows))?;
            }
        }
        Ok(())
    }

    fn send(&mut self, table: Table, hour: Hour, job: impl FnOnce(Place) -> Job) -> Result<(), LakeError> {
        let sensor = if table.is_hourly() { self.options.sensor.clone() } else { String::new() };
        let at = table.is_hourly().then_some(hour.hour);
        self.job(job(Place { table, date: hour.day, hour: at, sensor }))
    }

    /// Encodes a job here, or hands it to the writing thread. Where that is gone, its error is this call's.
    fn job(&mut self, job: Job) -> Result<(), LakeError> {
        let sent = match &mut self.encoder {
            EncoderAt::Here(encoder) => return encoder.job(job),
            EncoderAt::Thread(jobs, _) => jobs.send(job).is_ok(),
            EncoderAt::Gone => return Err(failed_before()),
        };
        match std::mem::replace(&mut self.encoder, EncoderAt::Gone) {
            at if sent => self.encoder = at,
            EncoderAt::Thread(jobs, thread) => {
                drop(jobs);
                join(thread)?;
                return Err(failed_before());
            }
            _ => return Err(failed_before()),
        }
        Ok(())
    }

    /// From now on there are rows to gather while others are encoded: that is a second thread's work.
    fn encode_beside(&mut self) -> Result<(), LakeError> {
        if !matches!(self.encoder, EncoderAt::Here(_)) {
            return Ok(());
        }
        let EncoderAt::Here(encoder) = std::mem::replace(&mut self.encoder, EncoderAt::Gone) else {
            return Ok(());
        };
        let (jobs, receiver) = sync_channel(QUEUE);
        let thread = encode::spawn(*encoder, receiver, Arc::clone(&self.abandoned)).map_err(|e| {
            let staging = self.staging.as_ref().map_or(self.lake.dir(), Staging::dir);
            LakeError::io("starting the writing thread for", staging, e)
        })?;
        self.encoder = EncoderAt::Thread(jobs, thread);
        Ok(())
    }
}

fn failed_before() -> LakeError {
    LakeError::Encoder("it failed before".to_owned())
}

fn join(thread: JoinHandle<Result<Vec<StagedPart>, LakeError>>) -> Result<Vec<StagedPart>, LakeError> {
    match thread.join() {
        Ok(end) => end,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(LakeError::Encoder(text.unwrap_or_else(|| "it panicked".to_owned())))
        }
    }
}

impl Drop for SetWriter {
    fn drop(&mut self) {
        // Relaxed: a hint, the join below is what orders.
        self.abandoned.store(true, Ordering::Relaxed);
        if let EncoderAt::Thread(jobs, thread) = std::mem::replace(&mut self.encoder, EncoderAt::Gone) {
            drop(jobs);
            // Its error is of no use any more: the set is abandoned either way.
            drop(thread.join());
        }
        if let Some(staging) = self.staging.take()
            && let Err(error) = self.lake.abandon(staging, &self.set)
        {
            tracing::warn!(set = %self.set, %error, "an abandoned set is left to the next start");
        }
    }
}

fn times(batch: &RecordBatch, column: &str) -> Result<Vec<i64>, LakeError> {
    let column = batch
        .column_by_name(column)
        .and_then(|c| c.as_any().downcast_ref::<arrow::array::PrimitiveArray<TimestampMicrosecondType>>());
    column.map(|times| times.values().to_vec()).ok_or_else(|| LakeError::Encoder("a batch without times".to_owned()))
}

fn span(times: &[i64]) -> (Micros, Micros) {
    let (first, last) = times.iter().fold((i64::MAX, i64::MIN), |(first, last), t| (first.min(*t), last.max(*t)));
    (Micros(first), Micros(last))
}

fn check_schema(table: Table, batch: &RecordBatch) -> Result<(), LakeError> {
    let expected = schema::of_table(table);
    let got = batch.schema();
    let text = |field: Option<&Arc<arrow::datatypes::Field>>| {
        field.map_or("no more columns".to_owned(), |f| {
            format!("{} {}{}", f.name(), f.data_type(), if f.is_nullable() { "?" } else { "" })
        })
    };
    for at in 0..expected.fields().len().max(got.fields().len()) {
        let (want, have) = (expected.fields().get(at), got.fields().get(at));
        let same = match (want, have) {
            (Some(want), Some(have)) => {
                want.name() == have.name()
                    && want.data_type() == have.data_type()
                    && want.is_nullable() == have.is_nullable()
            }
            _ => false,
        };
        if !same {
            return Err(LakeError::Schema { table: table.as_str(), expected: text(want), got: text(have) });
        }
    }
    Ok(())
}
