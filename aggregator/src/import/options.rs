//! What an import is told, and what it reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Limits, Timeouts};

/// Something to import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A file, or a folder with all files in and below it.
    Path(PathBuf),
    /// A capture on standard input. It is spooled to the lake's staging folder, so that it has a content hash.
    Stdin,
    /// A folder that is watched until the interrupt: its files, then those that arrive.
    Watch(PathBuf),
}

/// Whether the capture itself is kept, as evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Originals {
    /// Only its records.
    #[default]
    Leave,
    /// Stored as `LAKE/originals/ab/<sha256>.<ext>`, read only.
    Keep,
}

/// How a watched folder is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Follow {
    /// How often the folder is looked through.
    pub interval: Duration,
    /// A file is complete when its size and time have not changed for this long.
    pub settle: Duration,
}

impl Default for Follow {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), settle: Duration::from_secs(2) }
    }
}

/// Settings of an import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Name of the sensor; see [`crate::lake::check_sensor`].
    pub sensor: String,
    /// What is read and how: tunnels, ports, bounds.
    pub decoder: capture::DecoderConfig,
    /// When records end.
    pub timeouts: Timeouts,
    /// Bounds of the flow table and the matchers.
    pub limits: Limits,
    /// Whether the VLAN id keeps flows apart.
    pub vlan_in_key: bool,
    /// Whether captures are kept.
    pub originals: Originals,
    /// How watched folders are followed.
    pub follow: Follow,
    /// Bytes of rows in memory; see [`crate::lake::WriterOptions::memory_limit`].
    pub memory_limit: usize,
    /// What is done with packets that a mirror port delivered twice.
    pub duplicates: capture::duplicate::Duplicates,
    /// How files that are neither captures nor exports are read; without it, logs are told by their content.
    pub mapping: Option<capture::logs::Mapping>,
    /// Who is told, a second at a time, what is read of captures.
    pub feed: Option<crate::feed::Feed>,
}

impl ImportOptions {
    /// The defaults for a sensor.
    pub fn new(sensor: impl Into<String>) -> Self {
        Self {
            sensor: sensor.into(),
            decoder: capture::DecoderConfig::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            vlan_in_key: false,
            originals: Originals::Leave,
            follow: Follow::default(),
            memory_limit: 96 << 20,
            duplicates: Default::default(),
            mapping: None,
            feed: None,
        }
    }
}

/// How far an import is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step<'a> {
    /// File in work.
    pub path: &'a Path,
    /// Its number, from 0.
    pub file: usize,
    /// Files known so far.
    pub files: usize,
    /// Bytes read, over all files.
    pub bytes: u64,
    /// Bytes to read, over all files known so far.
    pub total_bytes: u64,
    /// Packets read, over all files.
    pub packets: u64,
}

/// Is told how an import goes. Called at most every few milliseconds, and at the end of each file.
pub trait Progress {
    /// How far it is.
    fn step(&mut self, step: Step<'_>) {
        let _ = step;
    }

    /// A file is done, skipped, or failed.
    fn file(&mut self, report: &FileReport) {
        let _ = report;
    }
}

/// Tells nobody.
impl Progress for () {}

/// What became of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileOutcome {
    /// All of it is in the lake.
    Imported,
    /// What could be read is in the lake; `error` says what was wrong.
    Damaged,
    /// Its content was in the lake before.
    AlreadyImported,
    /// Another process is importing the same content.
    InProgress,
    /// Not a capture, or not readable; `error` says why.
    Failed,
    /// The interrupt came first; nothing of it is in the lake.
    Interrupted,
}

impl FileOutcome {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Damaged => "damaged",
            Self::AlreadyImported => "already_imported",
            Self::InProgress => "in_progress",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What became of a file, with its counts.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct FileReport {
    /// The file; `-` for standard input.
    pub path: PathBuf,
    /// What became of it.
    pub outcome: FileOutcome,
    /// Why, where it failed or is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Hash of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Its set in the lake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// Bytes of the file.
    pub bytes: u64,
    /// Frames read.
    pub packets: u64,
    /// Records by table.
    pub records: BTreeMap<&'static str, u64>,
    /// The ledger of the file: counter and value.
    pub ledger: BTreeMap<String, u64>,
    /// Equations of the books that do not hold; none, unless Spotter is at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imbalances: Vec<String>,
}

/// Sums over all files.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct ImportTotals {
    /// Files by outcome.
    pub files: BTreeMap<&'static str, u64>,
    /// Bytes of the files imported.
    pub bytes: u64,
    /// Frames read.
    pub packets: u64,
    /// Records by table.
    pub records: BTreeMap<&'static str, u64>,
    /// The ledger: counter and value.
    pub ledger: BTreeMap<String, u64>,
}

/// What an import did.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct ImportReport {
    /// File by file, in the order they were read. A watch keeps the last 10,000.
    pub files: Vec<FileReport>,
    /// Sums.
    pub total: ImportTotals,
}
