//! Importing capture files: each file its own unit, with its own decoder, flow table and set.
//!
//! A file is identified by the hash of its bytes, so the same content is imported once whatever its name.
//! A file that cannot be read is reported and the others go on; of a damaged capture what could be read is
//! kept and marked.

mod content;
mod feed;
mod list;
mod options;
mod unit;
mod watch;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::lake::{Lake, LakeError, check_sensor};
use crate::spot_tables::SpotFile;

use feed::FileFeed;
use list::Candidate;
pub use options::{
    FileOutcome, FileReport, Follow, ImportOptions, ImportReport, ImportTotals, Input, Originals, Progress, Step,
};
use unit::{Patience, Unit};

/// File reports kept by a watch that runs for long; the sums go on.
const KEPT_REPORTS: usize = 10_000;

/// How often progress is told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Which of Apache Spot's raw tables (`flow`, `dns`, `proxy`) a Parquet file is of, and its rows; the reason where it is of none.
///
/// # Errors
/// It cannot be read, or has other columns.
pub fn spot_table(path: &Path) -> Result<(&'static str, u64), String> {
    let file = SpotFile::open(path)?;
    Ok((file.table().as_str(), file.rows()))
}

/// Imports `inputs` in order (folders: their files, sorted by path, recursively). Returns when all were
/// read, or soon after `interrupt` is set: the file in work is then abandoned, nothing of it is in the lake.
///
/// An error means the lake itself cannot be written; what was published before stays. Everything wrong with an
/// input is in the report.
pub fn import(
    lake: &Lake,
    inputs: &[Input],
    options: &ImportOptions,
    interrupt: &AtomicBool,
    progress: &mut dyn Progress,
) -> Result<ImportReport, LakeError> {
    check_sensor(&options.sensor)?;
    lake.recover()?;
    let mut run = Run::new(lake, options, interrupt, progress);
    let mut files = VecDeque::new();
    let mut watched = Vec::new();
    for input in inputs {
        match input {
            Input::Path(path) => {
                let found = list::files(path);
                files.extend(found.files);
                found.unread.into_iter().for_each(|(path, reason)| run.failed(&path, reason));
            }
            Input::Stdin => {
                let (spooled, hold) = content::spool_stdin(lake)?;
                files.push_back(Candidate::spooled(spooled, hold));
            }
            Input::Watch(folder) => watched.push(folder.clone()),
        }
    }
    run.files = files.len();
    run.total_bytes = files.iter().map(|file| file.bytes).sum();
    while let Some(file) = files.pop_front() {
        if run.interrupted() {
            break;
        }
        run.file(&file, Patience::TakeAsItIs)?;
    }
    if !watched.is_empty() {
        watch::watch(&mut run, &watched)?;
    }
    Ok(run.report())
}

/// An import on its way.
struct Run<'a> {
    lake: &'a Lake,
    options: &'a ImportOptions,
    interrupt: &'a AtomicBool,
    progress: &'a mut dyn Progress,
    reports: VecDeque<FileReport>,
    total: ImportTotals,
    files: usize,
    done: usize,
    total_bytes: u64,
    done_bytes: u64,
    packets: u64,
    told: Instant,
    feed: RefCell<FileFeed>,
}

impl<'a> Run<'a> {
    fn new(
        lake: &'a Lake,
        options: &'a ImportOptions,
        interrupt: &'a AtomicBool,
        progress: &'a mut dyn Progress,
    ) -> Self {
        Self {
            lake,
            options,
            interrupt,
            progress,
            reports: VecDeque::new(),
            total: ImportTotals::default(),
            files: 0,
            done: 0,
            total_bytes: 0,
            done_bytes: 0,
            packets: 0,
            told: Instant::now(),
            feed: RefCell::new(FileFeed::new(options.feed.as_ref(), &options.sensor)),
        }
    }

    fn interrupted(&self) -> bool {
        // Relaxed: a flag that orders nothing.
        self.interrupt.load(Ordering::Relaxed)
    }

    /// Imports one file. `None` where it is to be tried again later.
    fn file(&mut self, file: &Candidate, patience: Patience) -> Result<Option<FileOutcome>, LakeError> {
        let unit = Unit { lake: self.lake, options: self.options, interrupt: self.interrupt, feed: &self.feed };
        let before = (self.done_bytes, self.packets);
        let Self { progress, done, files, total_bytes, told, .. } = self;
        let report = unit.import(file, patience, &mut |bytes, packets| {
            if told.elapsed() >= PROGRESS_INTERVAL {
                *told = Instant::now();
                progress.step(Step {
                    path: &file.path,
                    file: *done,
                    files: *files,
                    bytes: before.0 + bytes.min(file.bytes),
                    total_bytes: *total_bytes,
                    packets: before.1 + packets,
                });
            }
        })?;
        let Some(report) = report else { return Ok(None) };
        self.done_bytes += file.bytes;
        self.packets += report.packets;
        let outcome = report.outcome;
        self.add(report);
        Ok(Some(outcome))
    }

    /// An input, or a folder in one, that cannot even be listed.
    fn failed(&mut self, path: &Path, reason: String) {
        self.files += 1;
        self.add(FileReport::new(path.to_owned(), FileOutcome::Failed, Some(reason)));
    }

    fn add(&mut self, report: FileReport) {
        self.done += 1;
        self.total.add(&report);
        self.progress.file(&report);
        self.progress.step(Step {
            path: &report.path,
            file: self.done.saturating_sub(1),
            files: self.files.max(self.done),
            bytes: self.done_bytes,
            total_bytes: self.total_bytes,
            packets: self.packets,
        });
        if self.reports.len() == KEPT_REPORTS {
            self.reports.pop_front();
        }
        self.reports.push_back(report);
    }

    fn report(self) -> ImportReport {
        self.feed.borrow_mut().end();
        ImportReport { files: self.reports.into(), total: self.total }
    }
}

impl FileReport {
    fn new(path: PathBuf, outcome: FileOutcome, error: Option<String>) -> Self {
        Self {
            path,
            outcome,
            error,
            content: None,
            set: None,
            bytes: 0,
            packets: 0,
            records: Default::default(),
            ledger: Default::default(),
            imbalances: Vec::new(),
        }
    }
}

impl ImportTotals {
    fn add(&mut self, report: &FileReport) {
        *self.files.entry(report.outcome.as_str()).or_default() += 1;
        if !matches!(report.outcome, FileOutcome::Imported | FileOutcome::Damaged) {
            return;
        }
        self.bytes += report.bytes;
        self.packets += report.packets;
        for (table, rows) in &report.records {
            *self.records.entry(table).or_default() += rows;
        }
        for (counter, value) in &report.ledger {
            let sum = self.ledger.entry(counter.clone()).or_default();
            *sum = sum.saturating_add(*value);
        }
    }
}
