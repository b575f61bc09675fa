//! The import of one file: its own decoder, flow table and set.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use capture::collect::file::ExportFile;
use capture::duplicate::{Counts, Detector, Duplicates, Verdict};
use capture::file::{CaptureFile, CaptureReader, FileError};
use capture::logs::LogReader;
use capture::{Decoder, Fate, Nanos};

use super::content::{self, HashError};
use super::feed::FileFeed;
use super::list::Candidate;
use super::{FileOutcome, FileReport, ImportOptions, Originals};
use crate::exported_files::{self, FileEnd};
use crate::exported_import::{self, LogReading};
use crate::feed::Metered;
use crate::lake::{ImportMark, Lake, LakeError, SetKind, SetWriter, WriterOptions};
use crate::record::{Micros, Origin, Records};
use crate::spot_tables::{self, SpotFile};
use crate::state::imports::{Begun, ImportState};
use crate::vlan_split::VlanSplit;
use crate::{Aggregator, AggregatorConfig, Books, LedgerHead};

/// Frames between two looks at the interrupt, the progress and what is finished.
const STRIDE: u64 = 1_024;

/// Files are judged alike by every run.
const DUPLICATE_SEED: u64 = 0x5370_6f74_7465_7232;

/// Finished records that are worth handing over.
const BATCH: usize = 1_024;

/// What is done with a capture that ends inside a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    /// It is damaged: what could be read is kept.
    TakeAsItIs,
    /// Somebody may be writing it: it is left for later.
    Wait,
}

/// Imports one file.
pub(super) struct Unit<'a> {
    pub(super) lake: &'a Lake,
    pub(super) options: &'a ImportOptions,
    pub(super) interrupt: &'a AtomicBool,
    pub(super) feed: &'a RefCell<FileFeed>,
}

/// What was read of a file.
struct Reading {
    books: Books,
    first: Option<Nanos>,
    last: Option<Nanos>,
    /// The first thing wrong with the file.
    error: Option<String>,
    errors: u64,
    counters: Vec<(String, u64)>,
    /// Rows of a log; captures have none.
    rows: u64,
    imbalances: Vec<String>,
    /// Packets that came twice, where they are many.
    twice: Option<Counts>,
}

enum Opened {
    Capture(Box<CaptureReader>),
    Log(Box<LogReader>),
    Exports(Box<ExportFile>),
    SpotTable(Box<SpotFile>),
}

/// Why a file is of no kind that is read.
struct NotOpened {
    reason: String,
    /// It may be one when there is more of it.
    may_grow: bool,
}

enum End {
    Read(Box<Reading>),
    Interrupted,
    /// It ends inside a record and may still grow.
    Growing,
    /// Another process shortened it: what was read last is not the file's.
    Shortened,
}

impl Unit<'_> {
    /// Imports the file. `None` where it is to be tried again later. An error means that the lake cannot be written.
    pub(super) fn import(
        &self,
        file: &Candidate,
        patience: Patience,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Option<FileReport>, LakeError> {
        let mut report = FileReport::new(file.name.clone(), FileOutcome::Failed, None);
        report.bytes = file.bytes;
        let unreadable = |report, error| Ok(Some(failed(report, format!("cannot be read: {error}"))));
        let mut capture = match CaptureFile::open(&file.path) {
            Ok(capture) => capture,
            Err(error) => return unreadable(report, error),
        };
        let hashes = match content::hash(&mut capture, self.options.originals, self.interrupt) {
            Ok(hashes) => hashes,
            Err(HashError::Interrupted) => return Ok(Some(interrupted(report))),
            Err(HashError::Io(error)) => return unreadable(report, error),
        };
        report.content = Some(hashes.content.clone());
        let reader = match self.opened(file, capture) {
            Ok(opened) => opened,
            Err(NotOpened { may_grow: true, .. }) if patience == Patience::Wait => return Ok(None),
            Err(NotOpened { reason, .. }) => return Ok(Some(failed(report, reason))),
        };
        let name = file.name.to_string_lossy();
        let begun = self.lake.state().begin_import(&hashes.content, &self.options.sensor, &name, file.bytes)?;
        let import_id = match begun {
            Begun::New(id) => id,
            Begun::Already(row) => {
                report.outcome = FileOutcome::AlreadyImported;
                report.set = row.set;
                return Ok(Some(report));
            }
            Begun::Running(set) => {
                report.outcome = FileOutcome::InProgress;
                report.set = set;
                return Ok(Some(report));
            }
        };
        let state = self.lake.state();
        let end = self.read(file, reader, import_id, &hashes, patience, &mut report, progress);
        match end {
            Ok(Some(FileOutcome::Interrupted)) => {
                state.fail_import(import_id, ImportState::Interrupted, "interrupted")?;
                Ok(Some(interrupted(report)))
            }
            Ok(Some(FileOutcome::Failed)) => {
                let reason = report.error.clone().unwrap_or_default();
                state.fail_import(import_id, ImportState::Failed, &reason)?;
                report.outcome = FileOutcome::Failed;
                Ok(Some(report))
            }
            Ok(Some(outcome)) => {
                report.outcome = outcome;
                Ok(Some(report))
            }
            Ok(None) => {
                state.fail_import(import_id, ImportState::Interrupted, "still being written")?;
                Ok(None)
            }
            Err(LakeError::Overtaken) => {
                report.outcome = FileOutcome::InProgress;
                Ok(Some(report))
            }
            // Damaged times are the file's fault, not the lake's.
            Err(error @ LakeError::TooManyHours { .. }) => {
                let reason = error.to_string();
                state.fail_import(import_id, ImportState::Failed, &reason)?;
                Ok(Some(failed(report, reason)))
            }
            Err(error) => {
                // The first error is the one to tell; where the disk is full this one fails too.
                drop(state.fail_import(import_id, ImportState::Failed, &error.to_string()));
                Err(error)
            }
        }
    }

    /// Tells by the content what a file is.
    fn opened(&self, file: &Candidate, capture: CaptureFile) -> Result<Opened, NotOpened> {
        let not = |reason: String| NotOpened { reason, may_grow: false };
        if spot_tables::is_parquet(&file.path) {
            let table = SpotFile::open(&file.path).map_err(not)?;
            return Ok(Opened::SpotTable(Box::new(table)));
        }
        // First those that are sure by their first bytes: ERF and logs are told by what can be read of them.
        match ExportFile::open(&file.path, &self.options.decoder) {
            Ok(Some(exports)) => return Ok(Opened::Exports(Box::new(exports))),
            Ok(None) => {}
            // Damaged packing is told by the reader of captures, with the place.
            Err(error) => tracing::debug!(%error, "looking for an export file"),
        }
        let error = match capture.reader() {
            Ok(reader) => return Ok(Opened::Capture(Box::new(reader))),
            Err(error @ (FileError::Truncated { .. } | FileError::Empty { .. })) => {
                return Err(NotOpened { reason: error.to_string(), may_grow: true });
            }
            Err(error) => error,
        };
        let log = match &self.options.mapping {
            Some(mapping) => LogReader::open_mapped(&file.path, mapping).map(Some),
            None => LogReader::open(&file.path),
        };
        match log {
            Ok(Some(log)) => Ok(Opened::Log(Box::new(log))),
            Ok(None) => Err(not(of_no_known_kind(&error))),
            Err(log_error) if self.options.mapping.is_some() => {
                Err(not(format!("{}: by the mapping: {log_error}", file.path.display())))
            }
            Err(log_error) => Err(not(format!("{error}; as a log: {log_error}"))),
        }
    }

    /// Reads the file into a set and publishes it. `None` where the file is to be tried again later.
    #[expect(clippy::too_many_arguments, reason = "one call, each its own thing")]
    fn read(
        &self,
        file: &Candidate,
        opened: Opened,
        import_id: i64,
        hashes: &content::Hashes,
        patience: Patience,
        report: &mut FileReport,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Option<FileOutcome>, LakeError> {
        let mark = ImportMark { import_id, content: hashes.content.clone() };
        let mut options = WriterOptions::new(&self.options.sensor);
        options.memory_limit = self.options.memory_limit;
        let mut writer = self.lake.begin(SetKind::Import(mark), options)?;
        let end = match opened {
            Opened::Capture(reader) => self.frames(*reader, &mut writer, patience, progress)?,
            Opened::Log(reader) => self.log(*reader, &hashes.content, &mut writer, progress)?,
            Opened::SpotTable(table) => self.spot_table(*table, &hashes.content, &mut writer)?,
            Opened::Exports(exports) => self.exports(*exports, &hashes.content, patience, &mut writer, progress)?,
        };
        let reading = match end {
            End::Read(reading) => *reading,
            End::Interrupted => return Ok(Some(FileOutcome::Interrupted)),
            End::Growing => return Ok(None),
            End::Shortened => return Ok(changed(patience, report)),
        };
        if file.has_changed() {
            return Ok(changed(patience, report));
        }
        report.packets = reading.books.frames().packets;
        if let (Some(error), 0) = (&reading.error, report.packets + reading.rows) {
            report.error = Some(error.to_string());
            return Ok(Some(FileOutcome::Failed));
        }
        if let Some(twice) = &reading.twice {
            self.warn_of_duplicates(file, twice);
        }
        report.imbalances.clone_from(&reading.imbalances);
        let counters = reading.all_counters();
        report.ledger = counters.iter().cloned().collect();
        if let Some(head) = reading.head(&self.options.sensor, &file.name) {
            writer.ledger(&head.rows(counters))?;
        }
        if let Some(sha256) = &hashes.sha256
            && self.options.originals == Originals::Keep
        {
            content::keep_original(self.lake, &file.path, &file.name, sha256)?;
            self.lake.state().set_import_original(import_id, sha256)?;
        }
        let (outcome, state) = match reading.error {
            Some(_) => (FileOutcome::Damaged, ImportState::Damaged),
            None => (FileOutcome::Imported, ImportState::Done),
        };
        report.error = reading.error.as_ref().map(|error| match reading.errors {
            1 => error.to_string(),
            more => format!("{error} (and {} more places)", more - 1),
        });
        let counts = serde_json::json!({ "packets": report.packets, "bytes": report.bytes, "ledger": report.ledger });
        let published = writer.commit_import(state, &counts.to_string(), report.error.as_deref())?;
        self.feed.borrow_mut().file(&reading.books, &published.rows);
        report.records = published.rows;
        report.set = Some(published.set);
        Ok(Some(outcome))
    }

    fn look_at_vlans(&self, split: &mut VlanSplit, records: &Records) {
        if self.options.vlan_in_key {
            records.flow.iter().for_each(|flow| split.flow(flow));
        }
    }

    fn warn_of_duplicates(&self, file: &Candidate, twice: &Counts) {
        let what = match self.options.duplicates {
            Duplicates::Count => "flows count them double; import with --deduplicate to leave copies out",
            Duplicates::Remove => "they are left out",
        };
        let (name, share) = (file.name.display(), twice.share());
        tracing::warn!("{name}: {share}% of the packets come twice, as from a mirror port of both directions; {what}");
    }

    fn frames(
        &self,
        mut reader: CaptureReader,
        writer: &mut SetWriter,
        patience: Patience,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<End, LakeError> {
        let mut decoder = Decoder::new(self.options.decoder.clone());
        let mut aggregator = Aggregator::new(AggregatorConfig {
            timeouts: self.options.timeouts,
            limits: self.options.limits,
            vlan_in_key: self.options.vlan_in_key,
            ..AggregatorConfig::new(self.options.sensor.clone(), Origin::Pcap)
        });
        let (mut detector, mut twice) = (Detector::new(DUPLICATE_SEED, self.options.duplicates), Counts::default());
        let (mut books, mut first, mut last) = (Books::new(), None::<Nanos>, None::<Nanos>);
        let (mut error, mut errors) = (None::<String>, 0_u64);
        let (mut bytes, mut until) = (0_u64, STRIDE);
        let mut feed = self.feed.borrow_mut();
        let mut split = VlanSplit::default();
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => {
                    books.seen(frame.wire_len);
                    bytes += frame.data.len() as u64 + 16;
                    if let Some(ts) = frame.ts {
                        first = Some(first.map_or(ts, |first| first.min(ts)));
                        last = Some(last.map_or(ts, |last| last.max(ts)));
                    }
                    let mut meter = feed.meter();
                    if let Some(meter) = &mut meter {
                        meter.frames(1, frame.wire_len.into());
                    }
                    let is_copy = detector.look(&frame, &mut twice) == Verdict::Copy;
                    let fate = if is_copy && self.options.duplicates == Duplicates::Remove {
                        Fate::Filtered("duplicate")
                    } else {
                        decoder.handle_frame(&frame, &mut Metered::new(&mut aggregator, meter))
                    };
                    books.fate(frame.wire_len, fate);
                }
                Ok(None) => break,
                Err(FileError::Truncated { .. }) if patience == Patience::Wait => return Ok(End::Growing),
                Err(found) => {
                    errors += 1;
                    error.get_or_insert_with(|| found.to_string());
                }
            }
            until -= 1;
            if until == 0 {
                until = STRIDE;
                // Relaxed: a flag that orders nothing.
                if self.interrupt.load(Ordering::Relaxed) {
                    return Ok(End::Interrupted);
                }
                if reader.is_shortened() {
                    return Ok(End::Shortened);
                }
                if aggregator.finished() >= BATCH {
                    show(&mut feed, aggregator.records());
                    self.look_at_vlans(&mut split, aggregator.records());
                    writer.drain_records(aggregator.records_mut())?;
                }
                feed.step(&books);
                progress(bytes, books.frames().packets);
            }
        }
        if reader.is_shortened() {
            return Ok(End::Shortened);
        }
        decoder.finish(&mut Metered::new(&mut aggregator, feed.meter()));
        aggregator.finish();
        show(&mut feed, aggregator.records());
        self.look_at_vlans(&mut split, aggregator.records());
        writer.drain_records(aggregator.records_mut())?;
        let stats = aggregator.stats();
        let imbalances = match books.close(&stats) {
            Ok(()) => Vec::new(),
            Err(found) => found.iter().map(ToString::to_string).collect(),
        };
        for imbalance in &imbalances {
            tracing::error!(imbalance, "the books of an import do not close");
        }
        let counters = [stats.counters(), decoder.counters(), reader.counters(), twice.counters().to_vec()];
        let nonzero = counters.into_iter().flatten().chain([("flows.halves_by_vlan", split.halves())]);
        let counters = nonzero.filter(|(_, value)| *value != 0).map(|(name, value)| (name.to_owned(), value)).collect();
        if let Some(warning) = split.warning() {
            tracing::warn!("{warning}");
        }
        let twice = twice.is_worth_a_warning().then_some(twice);
        Ok(End::Read(Box::new(Reading { books, first, last, error, errors, counters, rows: 0, imbalances, twice })))
    }

    fn log(
        &self,
        reader: LogReader,
        content: &str,
        writer: &mut SetWriter,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<End, LakeError> {
        let Self { lake, options, interrupt, .. } = *self;
        let read = exported_import::read(lake, reader, &options.sensor, content, writer, interrupt, progress)?;
        Ok(read.map_or(End::Interrupted, |read| End::Read(Box::new(Reading::of_rows(read)))))
    }

    fn spot_table(&self, table: SpotFile, content: &str, writer: &mut SetWriter) -> Result<End, LakeError> {
        let Self { lake, options, interrupt, .. } = *self;
        let read = spot_tables::read(lake, table, &options.sensor, content, writer, interrupt)?;
        Ok(read.map_or(End::Interrupted, |read| End::Read(Box::new(Reading::of_rows(read)))))
    }

    fn exports(
        &self,
        exports: ExportFile,
        content: &str,
        patience: Patience,
        writer: &mut SetWriter,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<End, LakeError> {
        let Self { lake, options, interrupt, .. } = *self;
        let may_wait = patience == Patience::Wait;
        let sensor = &options.sensor;
        let read = exported_files::read(lake, exports, sensor, content, may_wait, writer, interrupt, progress)?;
        Ok(match read {
            FileEnd::Read(read) => End::Read(Box::new(Reading::of_rows(*read))),
            FileEnd::Interrupted => End::Interrupted,
            FileEnd::Growing => End::Growing,
        })
    }
}

impl Reading {
    /// Of what has rows instead of packets.
    fn of_rows(read: LogReading) -> Self {
        let LogReading { rows, first, last, error, counters, imbalances } = read;
        let errors = u64::from(error.is_some());
        Self { books: Books::new(), first, last, error, errors, counters, rows, imbalances, twice: None }
    }

    /// The ledger of the file. Counters of the books are always there, the others where they are not 0.
    fn all_counters(&self) -> Vec<(String, u64)> {
        // A log has no packets to keep books of.
        let mut counters = if self.rows == 0 { self.books.counters() } else { Vec::new() };
        counters.extend(self.counters.iter().cloned());
        if self.errors > 0 {
            counters.push(("file_errors".to_owned(), self.errors));
        }
        if !self.imbalances.is_empty() {
            counters.push(("books.imbalances".to_owned(), self.imbalances.len() as u64));
        }
        counters
    }

    /// What the ledger's rows share; `None` for a file without frames or rows, which has no interval. Frames without a time
    /// count as of the epoch, as in the decoder.
    fn head(&self, sensor: &str, name: &Path) -> Option<LedgerHead> {
        if self.books.frames().packets + self.rows == 0 {
            return None;
        }
        let micros = |time: Option<Nanos>| Micros(time.unwrap_or_default().micros());
        Some(LedgerHead {
            interval_start: micros(self.first),
            interval_end: micros(self.last),
            sensor: sensor.to_owned(),
            source: name.file_name().map_or_else(|| "-".into(), |n| n.to_string_lossy()).into_owned(),
            queue: None,
            clock: "file".to_owned(),
        })
    }
}

/// What is said of a file that is neither a capture nor a log: which kinds there are.
fn of_no_known_kind(error: &FileError) -> String {
    match error {
        FileError::UnknownFormat { file, magic } => format!(
            "{}: neither a capture nor a log: it begins with {magic}; expected {}; exports: {}; or a log: {}; plain or in \
             gzip, zstd or xz (other logs are read by a --mapping; NetFlow, IPFIX and sFlow from the network by `spotter collect`)",
            file.display(),
            capture::file::FORMATS,
            capture::collect::file::FORMATS,
            capture::logs::FORMATS
        ),
        other => other.to_string(),
    }
}

/// A file that is not what it was when its reading began: `None` where it is to be tried again.
fn changed(patience: Patience, report: &mut FileReport) -> Option<FileOutcome> {
    if patience == Patience::Wait {
        return None;
    }
    report.error = Some("it changed while it was read: import it again when it is complete".to_owned());
    Some(FileOutcome::Failed)
}

/// Shows finished records to those who watch.
fn show(feed: &mut FileFeed, records: &Records) {
    if let Some(meter) = feed.meter() {
        meter.records(&records.flow, &records.dns, &records.proxy);
    }
}

fn failed(mut report: FileReport, reason: String) -> FileReport {
    report.outcome = FileOutcome::Failed;
    report.error = Some(reason);
    report
}

fn interrupted(mut report: FileReport) -> FileReport {
    report.outcome = FileOutcome::Interrupted;
    report
}
