//! Copies of the state database, consistent while it is used.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{FILE, State, StateError, with_suffix};

/// Folder of the model files, in the lake and in a backup.
pub const MODELS: &str = "models";

/// What a backup or restore copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Copied {
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Model files.
    pub models: u64,
    /// Their bytes.
    pub model_bytes: u64,
}

impl State {
    /// Writes a copy of the database and of the model files to the new folder `to`: the state of one moment, while others
    /// go on reading and writing.
    ///
    /// # Errors
    /// `to` exists and is not an empty folder; the copy cannot be written. What was written is removed.
    pub fn backup(&self, to: &Path) -> Result<Copied, StateError> {
        let io = |doing| move |source| StateError::Io { doing, path: to.to_owned(), source };
        fs::create_dir_all(to).map_err(io("creating"))?;
        if fs::read_dir(to).map_err(io("listing"))?.next().is_some() {
            return Err(StateError::Backup(format!("{} is not empty: give a new folder for the backup", to.display())));
        }
        let database = to.join(FILE);
        let name = database.to_str().ok_or_else(|| {
            StateError::Backup(format!("{} is not a UTF-8 name, which SQLite needs: give another folder", to.display()))
        })?;
        let copied = (|| {
            self.read(|c| c.execute("VACUUM INTO ?1", [name]).map(drop))?;
            let file = fs::File::open(&database).map_err(io("opening the copy in"))?;
            file.sync_all().map_err(io("syncing the copy in"))?;
            let (models, model_bytes) = match self.folder() {
                Some(lake) => copy_models(&lake.join(MODELS), &to.join(MODELS))?,
                None => (0, 0),
            };
            let database_bytes = file.metadata().map_err(io("reading the copy in"))?.len();
            Ok(Copied { database_bytes, models, model_bytes })
        })();
        if copied.is_err()
            && let Err(error) = fs::remove_dir_all(to)
        {
            tracing::warn!(folder = %to.display(), %error, "could not remove the unfinished backup");
        }
        copied
    }

    fn folder(&self) -> Option<PathBuf> {
        self.path().parent().filter(|folder| folder.is_dir()).map(Path::to_owned)
    }
}

/// Puts a backup in the place of a lake's state database; the old one is kept as `state.sqlite.before-restore`.
/// No process may have the lake open. Afterwards [`crate::lake::Lake::adopt`] brings the journal in line with the files
/// ([`crate::lake::restore`] does both).
///
/// # Errors
/// The backup is not a sound Spotter database of a known version; the lake is in use. Nothing is changed then.
pub(crate) fn put_back(from: &Path, lake: &Path) -> Result<Copied, StateError> {
    let backup = from.join(FILE);
    check(&backup)?;
    let database = lake.join(FILE);
    let io = |doing: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| StateError::Io { doing, path, source }
    };
    fs::create_dir_all(lake).map_err(io("creating", lake))?;
    let fresh = with_suffix(&database, ".restoring");
    fs::copy(&backup, &fresh).map_err(io("copying", &backup))?;
    fs::File::open(&fresh).and_then(|file| file.sync_all()).map_err(io("syncing", &fresh))?;
    let (models, model_bytes) = copy_models(&from.join(MODELS), &lake.join(MODELS))?;
    if database.exists() {
        settle(&database)?;
        let kept = with_suffix(&database, ".before-restore");
        fs::rename(&database, &kept).map_err(io("keeping", &database))?;
    }
    // A log that stayed would be replayed into the restored database.
    for suffix in ["-wal", "-shm"] {
        let log = with_suffix(&database, suffix);
        match fs::remove_file(&log) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io("removing", &log)(e)),
            _ => {}
        }
    }
    fs::rename(&fresh, &database).map_err(io("renaming to", &database))?;
    fs::File::open(lake).and_then(|folder| folder.sync_all()).map_err(io("syncing", lake))?;
    let database_bytes = fs::metadata(&database).map_err(io("reading", &database))?.len();
    Ok(Copied { database_bytes, models, model_bytes })
}

/// Brings the log into the database, and refuses where another process has it open.
fn settle(database: &Path) -> Result<(), StateError> {
    let fail = |source| StateError::Sqlite { path: database.to_owned(), source };
    let connection = Connection::open(database).map_err(fail)?;
    let busy = || {
        StateError::Backup(format!(
            "{} is in use: stop `spotter run`, `serve` and `import` on this lake, then restore",
            database.display()
        ))
    };
    // Only the sole user of a database can leave write-ahead mode.
    let mode: String =
        connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).map_err(|_| busy())?;
    if mode == "delete" { Ok(()) } else { Err(busy()) }
}

fn check(backup: &Path) -> Result<(), StateError> {
    if !backup.is_file() {
        return Err(StateError::Backup(format!(
            "{} is not there: give the folder that `spotter backup` made",
            backup.display()
        )));
    }
    let fail = |source| StateError::Sqlite { path: backup.to_owned(), source };
    let connection = Connection::open_with_flags(backup, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(fail)?;
    let sound: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(fail)?;
    if sound != "ok" {
        return Err(StateError::Damaged { path: backup.to_owned(), what: format!("the backup is damaged: {sound}") });
    }
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(fail)?;
    if found > super::migrations::LATEST {
        return Err(StateError::Newer { path: backup.to_owned(), found, known: super::migrations::LATEST });
    }
    if found == 0 {
        return Err(StateError::Damaged { path: backup.to_owned(), what: "it is not a Spotter database".to_owned() });
    }
    Ok(())
}

/// Copies the files of a flat folder; an absent one has none.
fn copy_models(from: &Path, to: &Path) -> Result<(u64, u64), StateError> {
    let io = |doing: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| StateError::Io { doing, path, source }
    };
    if !from.is_dir() {
        return Ok((0, 0));
    }
    fs::create_dir_all(to).map_err(io("creating", to))?;
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(from).map_err(io("listing", from))? {
        let path = entry.map_err(io("listing", from))?.path();
        let Some(name) = path.file_name().filter(|_| path.is_file()) else { continue };
        let copy = to.join(name);
        bytes += fs::copy(&path, &copy).map_err(io("copying", &path))?;
        fs::File::open(&copy).and_then(|file| file.sync_all()).map_err(io("syncing", &copy))?;
        files += 1;
    }
    Ok((files, bytes))
}
