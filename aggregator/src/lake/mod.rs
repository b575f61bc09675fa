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

mod adopt;
pub mod books;
mod buckets;
mod chunk;
mod columns;
mod compact;
mod encode;
mod error;
#[doc(hidden)]
pub mod failpoint;
mod keeping;
mod merge;
mod metadata;
mod options;
mod part_file;
mod properties;
mod publish;
mod recover;
mod retain;
mod rows;
pub mod schema;
mod staging;
mod table;
mod text;
mod writer;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::record::Micros;
use crate::state::{self, State};

pub use error::LakeError;
pub use keeping::{Arrival, KeptHour, RetentionNote, Room};
pub use metadata::REPLACES;
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
    dir: PathBuf,
    state: State,
    /// Why nothing may be written; `None` where it may.
    read_only: Option<String>,
}

impl Lake {
    /// Opens a lake, makes it if there is none, and brings what a crash left into order: see the module. A lake
    /// without a state database (a copy) is adopted.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, LakeError> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(|e| LakeError::io("creating", dir, e))?;
        let dir = dir.canonicalize().map_err(|e| LakeError::io("opening", dir, e))?;
        let is_new = !dir.join(state::FILE).exists();
        let state = State::open(&dir.join(state::FILE))?;
        staging::sync_folder(&dir)?;
        let lake = Self { inner: Arc::new(Inner { dir, state, read_only: None }) };
        lake.recover()?;
        if is_new {
            let adopted = lake.adopt()?;
            if adopted.parts > 0 {
                tracing::info!(?adopted, "registered the files of a lake that had no state database");
            }
        }
        Ok(lake)
    }

    /// Opens an existing lake. Works without write permission, and without a state database: then its
    /// files are listed and read for what they replace.
    pub fn open_existing(dir: impl AsRef<Path>) -> Result<Self, LakeError> {
        let given = dir.as_ref();
        let not_a_lake = || LakeError::NotALake { path: given.to_owned() };
        let dir = match given.canonicalize() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(not_a_lake()),
            other => other.map_err(|e| LakeError::io("opening", given, e))?,
        };
        let database = dir.join(state::FILE);
        let has_state = database.try_exists().map_err(|e| LakeError::io("looking for", &database, e))?;
        if has_state && is_writable(&dir) && is_writable(&database) {
            return Self::open(dir);
        }
        if has_state {
            let state = State::open_read_only(&database)?;
            let read_only = Some("there is no permission to write to it".to_owned());
            return Ok(Self { inner: Arc::new(Inner { dir, state, read_only }) });
        }
        if Table::ALL.iter().all(|table| !dir.join(table.folder()).is_dir()) {
            return Err(not_a_lake());
        }
        let read_only = Some("it has no state database; `spotter import` or `spotter run` makes one".to_owned());
        let lake = Self { inner: Arc::new(Inner { dir, state: State::in_memory()?, read_only }) };
        lake.adopt()?;
        Ok(lake)
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Its state database.
    pub fn state(&self) -> &State {
        &self.inner.state
    }

    /// True where sets may be written.
    pub fn is_writable(&self) -> bool {
        self.inner.read_only.is_none()
    }

    fn writable(&self) -> Result<(), LakeError> {
        match &self.inner.read_only {
            None => Ok(()),
            Some(reason) => Err(LakeError::ReadOnly { path: self.inner.dir.clone(), reason: reason.clone() }),
        }
    }

    /// Begins a set.
    pub fn begin(&self, kind: SetKind, options: WriterOptions) -> Result<SetWriter, LakeError> {
        SetWriter::begin(self, kind, options)
    }

    /// The set of what comes in now: the one that is open, or one that is begun.
    pub(crate) fn flush_set<'a>(
        &self,
        open: &'a mut Option<SetWriter>,
        sensor: &str,
        memory_limit: usize,
    ) -> Result<&'a mut SetWriter, LakeError> {
        if open.is_none() {
            let mut options = WriterOptions::new(sensor);
            options.memory_limit = memory_limit;
            *open = Some(self.begin(SetKind::Flush, options)?);
        }
        open.as_mut().ok_or_else(|| LakeError::Encoder("no set".to_owned()))
    }

    /// The parts of a table that may hold rows of a time range (all for `None`), by date, hour and path. For scores
    /// these are the parts of every run still kept; see [`State::current_run`].
    pub fn parts(&self, table: Table, range: Option<Range<Micros>>) -> Result<Vec<Part>, LakeError> {
        let range = range.unwrap_or(Micros(i64::MIN)..Micros(i64::MAX));
        let rows = self.state().live_parts(table, range.start, range.end)?;
        let parts = rows.into_iter().map(|row| Part {
            path: self.dir().join(&row.path),
            table: row.table,
            date: row.date,
            hour: row.hour,
            sensor: row.sensor,
            set: row.set,
            run: row.run,
            rows: row.rows,
            bytes: row.bytes,
            first: row.first,
            last: row.last,
        });
        Ok(parts.collect())
    }
}

/// A folder inside the lake for input that has to be kept while it is imported; removed when dropped, or at
/// the next start.
#[derive(Debug)]
pub(crate) struct SpoolHold {
    staging: Option<staging::Staging>,
    dir: PathBuf,
}

impl SpoolHold {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for SpoolHold {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.staging.take().map(staging::Staging::remove) {
            tracing::warn!(%error, "left to the next start");
        }
    }
}

impl Lake {
    /// Makes a folder for spooled input.
    pub(crate) fn spool(&self) -> Result<SpoolHold, LakeError> {
        self.writable()?;
        let gate = staging::Gate::enter(self.dir())?;
        let staging = staging::Staging::create(&gate, self.dir(), &format!("spool-{}", uuid::Uuid::now_v7()))?;
        Ok(SpoolHold { dir: staging.dir().to_owned(), staging: Some(staging) })
    }
}

/// As long as it is held, files of parts that were listed after it was taken stay readable: what compaction and
/// retention replace meanwhile is hidden at once and deleted later.
#[derive(Debug)]
pub struct Reading {
    _readers: Option<staging::Readers>,
}

impl Lake {
    /// To be taken before [`Self::parts`], and held until the files are read. Waits, at most for the milliseconds
    /// that a deletion in progress takes.
    pub fn reading(&self) -> Result<Reading, LakeError> {
        Ok(Reading { _readers: staging::Readers::join(self.dir())? })
    }
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok() && !on_read_only_mount(path)
}

/// `access` says yes to root on some read-only file systems; the mount's own flag does not.
fn on_read_only_mount(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|s| s.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// Restores the state database and models of a backup ([`State::backup`]) into a lake, and brings the journal in line
/// with the files that are there: parts written after the backup are adopted, parts that are gone are forgotten.
///
/// # Errors
/// The backup is not sound, or another process has the lake open. Nothing is changed then.
pub fn restore(from: &Path, lake: &Path) -> Result<(state::backup::Copied, Adopted), LakeError> {
    let copied = state::backup::put_back(from, lake)?;
    let lake = Lake::open(lake)?;
    let adopted = lake.adopt()?;
    Ok((copied, adopted))
}
