//! The state database beside the lake: `LAKE/state.sqlite`, small and transactional.
//!
//! One file per area: [`imports`], [`sets`] (the lake's journal), [`runs`], [`verdicts`], [`rules`],
//! [`settings`], [`jobs`], [`stories`], [`views`], [`users`], [`sessions`], [`tokens`], [`audit`],
//! [`queries`]; [`mod@backup`] copies all of it while it is used. Every change is one immediate
//! transaction; several processes may use it at once (write-ahead log, [`BUSY_TIMEOUT`]).

pub mod audit;
pub mod backup;
pub mod exporters;
pub mod imports;
pub mod jobs;
mod migrations;
pub mod queries;
pub mod rules;
pub mod runs;
pub mod sessions;
pub mod sets;
pub mod settings;
pub mod stories;
pub mod tokens;
pub mod users;
pub mod verdicts;
pub mod views;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::record::Micros;

/// File name in the lake.
pub const FILE: &str = "state.sqlite";

/// How long a writer waits for another process's transaction before it gives up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Errors of the state database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// SQLite's error.
    #[error("state database {}: {source}{}", path.display(), hint(source))]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's error.
        source: rusqlite::Error,
    },
    /// Written by a later Spotter.
    #[error("state database {} has version {found}, this Spotter knows up to {known}: use the Spotter that wrote it, or a later one", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Latest known here.
        known: i64,
    },
    /// A value in the database cannot be read.
    #[error("state database {}: {what}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A backup or restore was refused.
    #[error("{0}")]
    Backup(String),
    /// Files around the database.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl StateError {
    /// True where room on the disk would have helped.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => code(source) == Some(rusqlite::ErrorCode::DiskFull),
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}

fn code(error: &rusqlite::Error) -> Option<rusqlite::ErrorCode> {
    match error {
        // The index of the write-ahead log cannot grow: what SQLite calls an I/O error is a file system without a free page.
        rusqlite::Error::SqliteFailure(inner, _) if inner.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
            Some(rusqlite::ErrorCode::DiskFull)
        }
        rusqlite::Error::SqliteFailure(inner, _) => Some(inner.code),
        _ => None,
    }
}

fn hint(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DiskFull, NotADatabase, PermissionDenied, ReadOnly};
    match code(error) {
        Some(DiskFull) => "; make room on its file system and run it again",
        Some(DatabaseBusy) => "; another Spotter holds it for long, try again when it is done",
        Some(DatabaseCorrupt | NotADatabase) => {
            "; it is damaged: restore a backup (`spotter restore`), or move it away and Spotter reads the lake's files anew"
        }
        Some(PermissionDenied | ReadOnly) => "; check its owner and permissions",
        _ => "",
    }
}

/// The state database of a lake. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct State {
    connection: Arc<Mutex<Connection>>,
    path: Arc<Path>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("path", &self.path).finish_non_exhaustive()
    }
}

impl State {
    /// Opens the database, makes it if there is none, and brings it to the present version.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let fail = |source| StateError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open(path).map_err(fail)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
        // FULL: a transaction that returned is on disk; parts become visible by one.
        connection.pragma_update(None, "synchronous", "FULL").map_err(fail)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
        let state = Self { connection: Arc::new(Mutex::new(connection)), path: path.into() };
        state.migrate()?;
        Ok(state)
    }

    /// Opens an existing database for reading, without writing anything beside it.
    pub fn open_read_only(path: &Path) -> Result<Self, StateError> {
        let fail = |source| StateError::Sqlite { path: path.to_owned(), source };
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
            Ok(connection)
        };
        let connection = match open() {
            Ok(connection) => connection,
            // The write-ahead log needs a shared-memory file that cannot be made here: read a copy.
            Err(_) => Self::copy_to_memory(path)?,
        };
        let state = Self { connection: Arc::new(Mutex::new(connection)), path: path.into() };
        let found = state.version()?;
        if found != migrations::LATEST {
            return match found > migrations::LATEST {
                true => Err(StateError::Newer { path: path.to_owned(), found, known: migrations::LATEST }),
                false => Err(StateError::Damaged {
                    path: path.to_owned(),
                    what: format!(
                        "it has version {found}, {} is expected: open it once with write permission",
                        migrations::LATEST
                    ),
                }),
            };
        }
        connection_is_sound(&state.lock()).map_err(fail)?;
        Ok(state)
    }

    /// An empty database in memory: for a lake that has none and cannot be written.
    pub fn in_memory() -> Result<Self, StateError> {
        let path = Path::new(":memory:");
        let fail = |source| StateError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open_in_memory().map_err(fail)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
        let state = Self { connection: Arc::new(Mutex::new(connection)), path: path.into() };
        state.migrate()?;
        Ok(state)
    }

    /// Where it lies; `:memory:` for one without a file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Version of the schema (`user_version`).
    pub fn version(&self) -> Result<i64, StateError> {
        self.read(|c| c.query_row("PRAGMA user_version", [], |row| row.get(0)))
    }

    fn copy_to_memory(path: &Path) -> Result<Connection, StateError> {
        let fail = |source| StateError::Sqlite { path: path.to_owned(), source };
        let io = |doing| move |source| StateError::Io { doing, path: path.to_owned(), source };
        let folder = std::env::temp_dir().join(format!("spotter-state-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir(&folder).map_err(io("making a copy of"))?;
        let copy = folder.join(FILE);
        let copied = (|| {
            std::fs::copy(path, &copy).map_err(io("copying"))?;
            let log = with_suffix(path, "-wal");
            if log.exists() {
                std::fs::copy(&log, with_suffix(&copy, "-wal")).map_err(io("copying the log of"))?;
            }
            let on_disk = Connection::open(&copy).map_err(fail)?;
            let mut memory = Connection::open_in_memory().map_err(fail)?;
            let backup = rusqlite::backup::Backup::new(&on_disk, &mut memory).map_err(fail)?;
            backup.run_to_completion(1024, Duration::ZERO, None).map_err(fail)?;
            drop(backup);
            Ok(memory)
        })();
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "could not remove the temporary copy of the state database");
        }
        copied
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic while holding the lock cannot leave a transaction open: its guard rolled it back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs queries.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StateError> {
        work(&self.lock()).map_err(|source| self.error(source))
    }

    /// Runs one immediate transaction: all of it, or nothing.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, StateError> {
        let mut connection = self.lock();
        let run = || {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|source| self.error(source))
    }

    fn error(&self, source: rusqlite::Error) -> StateError {
        StateError::Sqlite { path: self.path.to_path_buf(), source }
    }
}

fn connection_is_sound(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sets", [], |_| Ok(()))
}

/// `path` with `suffix` after its last letter.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The present, from the system's clock.
pub fn now() -> Micros {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
