//! The lake: records kept as plain Hive-partitioned Parquet, published in atomic sets.
//!
//! ```text
//! LAKE/{flow,dns,proxy,ledger,interfaces}/date=YYYY-MM-DD/hour=HH/sensor=NAME/part-<uuidv7>.parquet
//! LAKE/scores/source={flow,dns,proxy}/date=YYYY-MM-DD/part-<uuidv7>.parquet
//! LAKE/state.sqlite            the state database, and in it the journal of sets and parts
//! LAKE/.staging/<set>/         parts being written, never read by anyone
//! LAKE/originals/ab/<sha256>…  captures kept as evidence
//! ```
//!
//! Promises: the parts of a set become visible to [`Lake::parts`] by one transaction, after their
//! bytes and names are on disk; a crash at any moment leaves the set published or not, never half; what
//! cannot be recovered is counted in the ledger. Foreign readers (who list folders) see the parts of a
//! set appear one by one while it is published, and may for that moment (one rename per part) see both a
//! compacted file and the files it replaces.
//!
//! Refuses: records without a place (sensor names that are not folder names, more than
//! [`WriterOptions::max_partitions`] hours in one set).

mod error;
mod options;
pub mod schema;
mod table;
mod writer;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::record::Micros;
use crate::state::State;

pub use error::LakeError;
pub use options::{
    Adopted, CompactOptions, Compacted, ImportMark, Published, RetainOptions, Retained, SetKind, WriterOptions,
};
pub use table::{Day, Hour, Part, Source, Table, check_sensor};
pub use writer::SetWriter;

/// A lake. Cheap to clone; clones share the state database's connection. Several processes may have the
/// same lake open.
#[derive(Clone, Debug)]
pub struct Lake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: std::path::PathBuf,
    state: State,
    /// Why nothing may be written; `None` where it may.
    read_only: Option<String>,
}

impl Lake {
    /// Opens a lake, makes it if there is none, and brings what a crash left into order: see the module.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, LakeError> {
        todo!("{}", dir.as_ref().display())
    }

    /// Opens an existing lake. Works without write permission, and without a state database: then its
    /// files are listed and read for what they replace.
    pub fn open_existing(dir: impl AsRef<Path>) -> Result<Self, LakeError> {
        todo!("{}", dir.as_ref().display())
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Its state database.
    pub fn state(&self) -> &State {
        &self.inner.state
    }

    /// Begins a set.
    pub fn begin(&self, kind: SetKind, options: WriterOptions) -> Result<SetWriter, LakeError> {
        todo!("{kind:?} {options:?}")
    }

    /// The parts of a table that may hold rows of a time range (all for `None`), by date, hour and path. For scores
    /// these are the parts of every run still kept; see [`State::current_run`].
    pub fn parts(&self, table: Table, range: Option<Range<Micros>>) -> Result<Vec<Part>, LakeError> {
        todo!("{table:?} {range:?} {:?}", self.inner.read_only)
    }

    /// Merges small parts of the same table, hour and sensor. Rows and record_ids stay the same.
    pub fn compact(&self, options: &CompactOptions) -> Result<Compacted, LakeError> {
        todo!("{options:?}")
    }

    /// Removes the oldest hours, by age and by bytes, and writes what it removed to the ledger.
    pub fn retain(&self, options: &RetainOptions) -> Result<Retained, LakeError> {
        todo!("{options:?}")
    }

    /// Registers parts the journal does not know (a lake copied or restored without its state), leaving
    /// out those that others replace. Harmless where there are none.
    pub fn adopt(&self) -> Result<Adopted, LakeError> {
        todo!()
    }
}
