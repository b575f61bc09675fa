//! The staging folder of a set, and who owns it: `LAKE/.staging/<set>/lock` is locked (flock) by the
//! writer for as long as it lives, so that recovery can tell a set in work from one left behind.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::LakeError;

/// Folder of all staging folders, relative to the lake.
pub(super) const FOLDER: &str = ".staging";

const LOCK: &str = "lock";
const POSITION: &str = "position";

/// Held while staging folders are made or recovered, by one process at a time.
pub(super) struct Gate {
    _file: File,
}

impl Gate {
    /// Waits for its turn.
    pub(super) fn enter(lake: &Path) -> Result<Self, LakeError> {
        let folder = lake.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|e| LakeError::io("creating", &folder, e))?;
        let path = folder.join("gate");
        let file = open_lock(&path)?;
        file.lock().map_err(|e| LakeError::io("locking", &path, e))?;
        Ok(Self { _file: file })
    }
}

/// Held shared by those who read parts, and alone by who deletes parts.
#[derive(Debug)]
pub(super) struct Readers {
    _file: File,
}

impl Readers {
    /// Joins the readers; waits while files are being deleted. `None` where the lake cannot be written: then
    /// nobody can be told.
    pub(super) fn join(lake: &Path) -> Result<Option<Self>, LakeError> {
        let path = lake.join(FOLDER).join("readers");
        let Ok(file) = open_lock(&path) else { return Ok(None) };
        file.lock_shared().map_err(|e| LakeError::io("locking", &path, e))?;
        Ok(Some(Self { _file: file }))
    }

    /// Keeps readers out; `None` while there are some.
    pub(super) fn keep_out(lake: &Path) -> Result<Option<Self>, LakeError> {
        let path = lake.join(FOLDER).join("readers");
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(LakeError::io("locking", &path, e)),
        }
    }
}

fn open_lock(path: &Path) -> Result<File, LakeError> {
    let open = File::options().read(true).write(true).create(true).truncate(false).open(path);
    open.map_err(|e| LakeError::io("opening", path, e))
}

/// The staging folder of a set that is owned by this process. Dropping it gives up the ownership and
/// leaves the folder.
#[derive(Debug)]
pub(super) struct Staging {
    dir: PathBuf,
    lock: File,
}

impl Staging {
    /// Makes the folder and owns it. The gate must be held.
    pub(super) fn create(_gate: &Gate, lake: &Path, set: &str) -> Result<Self, LakeError> {
        let dir = lake.join(FOLDER).join(set);
        fs::create_dir(&dir).map_err(|e| LakeError::io("creating", &dir, e))?;
        let path = dir.join(LOCK);
        let lock = open_lock(&path)?;
        lock.lock().map_err(|e| LakeError::io("locking", &path, e))?;
        Ok(Self { dir, lock })
    }

    /// Takes over the folder of a set whose owner is dead; `None` where it lives. The gate must be held.
    pub(super) fn take_over(_gate: &Gate, lake: &Path, set: &str) -> Result<Option<Self>, LakeError> {
        let dir = lake.join(FOLDER).join(set);
        // A folder that is gone is made again: the owner died between removing it and the last entry.
        fs::create_dir_all(&dir).map_err(|e| LakeError::io("creating", &dir, e))?;
        let path = dir.join(LOCK);
        let lock = open_lock(&path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { dir, lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(LakeError::io("locking", &path, e)),
        }
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Notes how many rows were handed over, so that recovery can count what is lost. For sets without a source.
    pub(super) fn note_rows(&mut self, rows: u64) -> Result<(), LakeError> {
        let path = self.dir.join(LOCK);
        let write = |lock: &mut File| {
            lock.rewind()?;
            lock.write_all(&rows.to_le_bytes())
        };
        write(&mut self.lock).map_err(|e| LakeError::io("writing", &path, e))
    }

    /// What [`Self::note_rows`] noted last; 0 where nothing was.
    pub(super) fn noted_rows(&self) -> u64 {
        let bytes = fs::read(self.dir.join(LOCK)).unwrap_or_default();
        bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }

    /// Notes how far a source is read with this set: what recovery saves of it is then all or nothing.
    pub(super) fn note_position(&self, position: &(String, String)) -> Result<(), LakeError> {
        let path = self.dir.join(POSITION);
        let text = serde_json::to_vec(position).unwrap_or_default();
        fs::write(&path, text).map_err(|e| LakeError::io("writing", &path, e))
    }

    /// What [`Self::note_position`] noted.
    pub(super) fn noted_position(&self) -> Option<(String, String)> {
        serde_json::from_slice(&fs::read(self.dir.join(POSITION)).ok()?).ok()
    }

    /// The Parquet files in it.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, LakeError> {
        let fail = |e| LakeError::io("listing", &self.dir, e);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.extension().is_some_and(|e| e == "parquet") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Makes sure that the folder's entries are on disk.
    pub(super) fn sync(&self) -> Result<(), LakeError> {
        sync_folder(&self.dir)
    }

    /// Removes the folder and all in it.
    pub(super) fn remove(self) -> Result<(), LakeError> {
        match fs::remove_dir_all(&self.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(LakeError::io("removing", &self.dir, e)),
            _ => Ok(()),
        }
    }
}

/// Names of the staging folders.
pub(super) fn list(lake: &Path) -> Result<Vec<String>, LakeError> {
    let folder = lake.join(FOLDER);
    let fail = |e| LakeError::io("listing", &folder, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_type().map_err(fail)?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

/// Makes sure that a folder's entries are on disk.
pub(super) fn sync_folder(path: &Path) -> Result<(), LakeError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|e| LakeError::io("syncing", path, e))
}

/// Makes `relative` below `base`, and notes the folders that got a new one: they are to be synced.
pub(super) fn make_folders(base: &Path, relative: &Path, grown: &mut BTreeSet<PathBuf>) -> Result<PathBuf, LakeError> {
    let mut path = base.to_owned();
    for step in relative {
        let parent = path.clone();
        path.push(step);
        match fs::create_dir(&path) {
            Ok(()) => {
                grown.insert(parent);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(LakeError::io("creating", &path, e)),
        }
    }
    Ok(path)
}
