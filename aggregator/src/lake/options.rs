//! What a set is for, and how it, a compaction and a retention run are bounded.

use std::time::Duration;

use crate::record::Micros;

use super::{Day, Source};

/// What a set of parts is for. It decides what recovery does when its writer dies before publishing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetKind {
    /// Records of one imported file: dropped at recovery, the import starts again from its source.
    Import(ImportMark),
    /// Records of live capture or a collector, which have no source to start again from: at recovery
    /// complete parts are published, the others counted as lost in the ledger.
    Flush,
    /// Records made by a generator (`spotter demo`, benches): dropped at recovery.
    Generated,
    /// Scores of one run: dropped at recovery.
    Scores {
        /// The run.
        run_id: String,
        /// What was scored.
        source: Source,
        /// Which day.
        date: Day,
    },
    /// The lake's own ledger entries.
    Books,
    /// Parts that take the place of others; [`super::Lake::compact`] makes them. Dropped at recovery.
    Compaction,
}

impl SetKind {
    /// The name in the journal and in the files' metadata.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Import(_) => "import",
            Self::Flush => "flush",
            Self::Generated => "generated",
            Self::Scores { .. } => "scores",
            Self::Books => "books",
            Self::Compaction => "compaction",
        }
    }
}

/// Which import a set belongs to: it is marked as done by the same transaction that publishes the set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportMark {
    /// Number of its row (see [`crate::state::imports`]).
    pub import_id: i64,
    /// Hash of the file's bytes; written to each part, so that a lake without state knows it.
    pub content: String,
}

/// Bounds of a [`super::SetWriter`].
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Name of the sensor; see [`super::check_sensor`].
    pub sensor: String,
    /// Bytes of rows kept in memory before they are encoded, over all hours and tables. At the bound the
    /// fullest hour is encoded, as a smaller row group. Default 96 MiB; the encoder needs about as much
    /// again for the row group in work.
    pub memory_limit: usize,
    /// Rows of a row group. Default 122,880.
    pub row_group_rows: usize,
    /// Bytes at which a part is closed and the next one begun. Default 256 MiB.
    pub part_bytes: u64,
    /// Files open at once. At the bound the one not used for longest is closed; its hour may get another part.
    /// Default 48.
    pub max_open_parts: usize,
    /// Hours times tables one set may touch; past it the set is refused. Default 20,000.
    pub max_partitions: usize,
}

impl WriterOptions {
    /// The defaults for a sensor.
    pub fn new(sensor: impl Into<String>) -> Self {
        Self {
            sensor: sensor.into(),
            memory_limit: 96 << 20,
            row_group_rows: 122_880,
            part_bytes: 256 << 20,
            max_open_parts: 48,
            max_partitions: 20_000,
        }
    }
}

/// Bounds of a compaction.
#[derive(Clone, Debug)]
pub struct CompactOptions {
    /// Size of file to reach. Parts of at least half of it are left alone. Default 256 MiB.
    pub target_bytes: u64,
    /// Fewest small parts of an hour and sensor worth merging. Default 4.
    pub min_parts: usize,
    /// Most parts merged at once: each costs one row group's buffers. Default 32.
    pub max_parts: usize,
    /// Only hours whose parts were all published before this moment (so that a live hour is left alone).
    pub published_before: Micros,
}

impl CompactOptions {
    /// The defaults; hours touched in the last `quiet` before `now` are left alone.
    pub fn new(now: Micros, quiet: Duration) -> Self {
        let quiet = i64::try_from(quiet.as_micros()).unwrap_or(i64::MAX);
        Self {
            target_bytes: 256 << 20,
            min_parts: 4,
            max_parts: 32,
            published_before: Micros(now.0.saturating_sub(quiet)),
        }
    }
}

/// What a compaction did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Compacted {
    /// Parts replaced.
    pub parts_before: u64,
    /// Parts that replace them.
    pub parts_after: u64,
    /// Rows in them: the same before and after.
    pub rows: u64,
    /// Bytes of the parts replaced.
    pub bytes_before: u64,
    /// Bytes of the parts that replace them.
    pub bytes_after: u64,
}

/// Bounds of the lake.
#[derive(Clone, Copy, Debug)]
pub struct RetainOptions {
    /// Hours that ended longer ago than this are removed. The ledger is kept ten times as long.
    pub max_age: Option<Duration>,
    /// Oldest hours are removed until the lake is no larger.
    pub max_bytes: Option<u64>,
    /// The present.
    pub now: Micros,
}

/// What retention removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Retained {
    /// Parts removed.
    pub parts: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a set brought into the lake.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Published {
    /// The set.
    pub set: String,
    /// Rows by table ([`super::Table::as_str`]); tables without rows are left out.
    pub rows: std::collections::BTreeMap<&'static str, u64>,
    /// Parts.
    pub parts: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What adoption found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Adopted {
    /// Parts registered.
    pub parts: u64,
    /// Their rows.
    pub rows: u64,
    /// Parts left out because another replaces them; they are deleted.
    pub replaced: u64,
    /// Parquet files that cannot be read; they are left where they are.
    pub unreadable: u64,
    /// Parts the journal knew whose file is gone; they are forgotten.
    pub missing: u64,
    /// Imports learnt from the parts' metadata.
    pub imports: u64,
}
