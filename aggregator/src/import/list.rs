//! The files of a folder, in a stable order.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::lake::SpoolHold;

/// Folders inside folders that are followed.
const MAX_DEPTH: u32 = 64;

/// A file to import.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// What the report and the ledger call it.
    pub(super) name: PathBuf,
    pub(super) bytes: u64,
    pub(super) modified: Option<SystemTime>,
    /// Keeps the copy of standard input until it is imported.
    _hold: Option<SpoolHold>,
}

impl Candidate {
    /// A file, as it is now.
    pub(super) fn now(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            name: path.to_owned(),
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            _hold: None,
        })
    }

    /// The copy of standard input.
    pub(super) fn spooled(path: PathBuf, hold: SpoolHold) -> Self {
        let metadata = fs::metadata(&path).ok();
        Self {
            name: PathBuf::from("-"),
            bytes: metadata.as_ref().map_or(0, fs::Metadata::len),
            modified: metadata.and_then(|m| m.modified().ok()),
            path,
            _hold: Some(hold),
        }
    }

    /// True where the file is not what it was.
    pub(super) fn has_changed(&self) -> bool {
        !Self::now(&self.path).is_ok_and(|now| now.bytes == self.bytes && now.modified == self.modified)
    }
}

/// What a path holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<Candidate>,
    /// What could not be looked into, and why; the rest is in `files` all the same.
    pub(super) unread: Vec<(PathBuf, String)>,
}

/// The file, or all files in and below the folder, sorted by path. Hidden files and folders (names that
/// begin with a dot) are left out, and links to folders are not followed. Pipes and devices are refused: they
/// have no content to tell them by (`-` reads a pipe).
pub(super) fn files(path: &Path) -> Found {
    let mut found = Found::default();
    let add = match fs::metadata(path) {
        Err(error) => Err(error.to_string()),
        Ok(metadata) if metadata.is_dir() => {
            walk(path, MAX_DEPTH, &mut found);
            Ok(())
        }
        Ok(metadata) if metadata.is_file() => {
            Candidate::now(path).map(|file| found.files.push(file)).map_err(|e| e.to_string())
        }
        Ok(_) => Err("neither a file nor a folder; give `-` and let the program write to standard input".to_owned()),
    };
    if let Err(reason) = add {
        found.unread.push((path.to_owned(), reason));
    }
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, depth: u32, found: &mut Found) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return found.unread.push((folder.to_owned(), error.to_string())),
    };
    for entry in entries {
        let entry = match entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind))) {
            Ok(entry) => entry,
            Err(error) => {
                found.unread.push((folder.to_owned(), error.to_string()));
                continue;
            }
        };
        let (entry, kind) = entry;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if kind.is_dir() {
            match depth.checked_sub(1) {
                Some(depth) => walk(&path, depth, found),
                None => found.unread.push((path, format!("it lies more than {MAX_DEPTH} folders deep"))),
            }
        } else if path.is_file() {
            // One that vanishes meanwhile is no longer to import.
            found.files.extend(Candidate::now(&path));
        }
    }
}
