//! What can go wrong with a lake, said so that the reader knows what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::state::StateError;

/// Errors of the lake. After any of them the lake is as it was before the call, or as its journal will
/// make it at the next [`super::Lake::open`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    /// The folder is not a lake.
    #[error("{} is not a lake (it has neither state.sqlite nor table folders); give the folder that `spotter import --lake` made, or import something first", path.display())]
    NotALake {
        /// The folder.
        path: PathBuf,
    },
    /// No room on the file system.
    #[error("no space left while {doing} {}: the records not yet published are dropped, what was published is intact; make room (or lower `retention.max_bytes`) and run it again", path.display())]
    NoSpace {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Any other input or output error.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A Parquet file could not be written or read.
    #[error("{doing} {}: {source}", path.display())]
    Parquet {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// Parquet's error.
        source: parquet::errors::ParquetError,
    },
    /// Arrow refused the columns: a defect of Spotter.
    #[error("columns of {table} do not fit its schema: {source}")]
    Columns {
        /// Table.
        table: &'static str,
        /// Arrow's error.
        source: arrow::error::ArrowError,
    },
    /// A batch whose schema is not the table's.
    #[error("a batch for {table} has the wrong columns: expected {expected}, got {got}")]
    Schema {
        /// Table.
        table: &'static str,
        /// The first column (name and type) that differs, as the table has it.
        expected: String,
        /// The same, as the batch has it.
        got: String,
    },
    /// The state database.
    #[error(transparent)]
    State(#[from] StateError),
    /// A sensor's name cannot be a folder.
    #[error(
        "sensor name {name:?} cannot be used: {reason}; use 1 to 64 letters, digits, '-', '_' or '.', not starting with '.'"
    )]
    SensorName {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// One set would be spread over too many hours.
    #[error(
        "the records of one set fall into more than {limit} hours: the times of the input are damaged; mend them (editcap -t) or split the file"
    )]
    TooManyHours {
        /// [`super::WriterOptions::max_partitions`].
        limit: usize,
    },
    /// The lake is opened for reading only.
    #[error("the lake {} is open for reading only: {reason}", path.display())]
    ReadOnly {
        /// The lake.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Rows went missing between two steps; nothing was published.
    #[error("{doing}: {expected} rows expected, {got} found; nothing was changed")]
    RowCount {
        /// What was being done.
        doing: &'static str,
        /// Rows there should be.
        expected: u64,
        /// Rows there are.
        got: u64,
    },
    /// Another process replaced the same parts, or imported the same content, in the same moment.
    #[error("another process compacted, removed or imported the same meanwhile; nothing was changed, run it again")]
    Overtaken,
    /// A part that another program wrote.
    #[error("{} cannot be merged: its column {column} is missing or has another type; move the file out of the lake", path.display())]
    ForeignPart {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// The writing thread ended unexpectedly.
    #[error("the thread that writes Parquet ended: {0}")]
    Encoder(String),
    /// A fault asked for by a test.
    #[error("fault injected at {0}")]
    Injected(&'static str),
}

impl LakeError {
    /// Wraps an input/output error; a full disk gets its own variant.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_full(&source) { Self::NoSpace { doing, path, source } } else { Self::Io { doing, path, source } }
    }

    /// Wraps a Parquet error; a full disk underneath gets its own variant.
    pub(crate) fn parquet(doing: &'static str, path: &Path, source: parquet::errors::ParquetError) -> Self {
        use parquet::errors::ParquetError;
        let full = match &source {
            ParquetError::External(inner) => inner.downcast_ref::<io::Error>().is_some_and(is_full),
            // Some of Parquet's paths keep the text of the error only.
            other => other.to_string().contains("os error 28"),
        };
        let path = path.to_owned();
        if full {
            Self::NoSpace { doing, path, source: io::Error::from(io::ErrorKind::StorageFull) }
        } else {
            Self::Parquet { doing, path, source }
        }
    }

    /// True where room on the disk would have helped.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::State(error) => error.is_no_space(),
            _ => false,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
