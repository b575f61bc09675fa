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

/// The file, or all files in and below the folder, sorted by path. Hidden files and folders (names that
/// begin with a dot) are left out, and links to folders are not followed. Pipes and devices are refused: they
/// have no content to tell them by (`-` reads a pipe).
pub(super) fn files(path: &Path) -> Result<Vec<Candidate>, String> {
    let metadata = fs::metadata(path).map_err(|e| e.to_string())?;
    if metadata.is_file() {
        return Candidate::now(path).map(|file| vec![file]).map_err(|e| e.to_string());
    }
    if !metadata.is_dir() {
        return Err("neither a file nor a folder; give `-` and let the program write to standard input".to_owned());
    }
    let mut found = Vec::new();
    walk(path, MAX_DEPTH, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn walk(folder: &Path, depth: u32, found: &mut Vec<Candidate>) -> Result<(), String> {
    let fail = |e: std::io::Error| format!("{}: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type().map_err(fail)?);
        if kind.is_dir() {
            if depth > 0 {
                walk(&path, depth - 1, found)?;
            }
        } else if path.is_file() {
            // One that vanishes meanwhile is no longer to import.
            found.extend(Candidate::now(&path));
        }
    }
    Ok(())
}
