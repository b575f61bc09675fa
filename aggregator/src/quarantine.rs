//! What could not be read of an import, kept with its reason: `LAKE/quarantine/CONTENT.jsonl`, an object a line.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use crate::lake::{Lake, LakeError};

/// Bytes of the quarantine file of one import; what comes after is only counted.
const MAX_QUARANTINE: u64 = 64 << 20;

/// The file of refused rows; made with the first, in its place when it is whole.
pub(crate) struct Quarantine {
    folder: PathBuf,
    name: String,
    file: Option<BufWriter<File>>,
    bytes: u64,
    cut: u64,
}

impl Quarantine {
    pub(crate) fn new(lake: &Lake, content: &str) -> Self {
        let name = content.chars().filter(char::is_ascii_alphanumeric).collect();
        Self { folder: lake.dir().join("quarantine"), name, file: None, bytes: 0, cut: 0 }
    }

    fn fresh(&self) -> PathBuf {
        self.folder.join(format!(".{}.part", self.name))
    }

    /// Adds what was refused: which one of its kind (line, record, block), why, and what stands there.
    pub(crate) fn add(&mut self, kind: &str, number: u64, reason: &str, text: &str) -> Result<(), LakeError> {
        let line = serde_json::json!({ (kind): number, "reason": reason, "text": text }).to_string();
        if self.bytes + line.len() as u64 >= MAX_QUARANTINE {
            self.cut += 1;
            return Ok(());
        }
        let path = self.fresh();
        if self.file.is_none() {
            fs::create_dir_all(&self.folder).map_err(|e| LakeError::io("creating", &self.folder, e))?;
            self.file = Some(BufWriter::new(File::create(&path).map_err(|e| LakeError::io("creating", &path, e))?));
        }
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}").map_err(|e| LakeError::io("writing", &path, e))?;
            self.bytes += line.len() as u64 + 1;
        }
        Ok(())
    }

    /// Puts the file in its place; gives how many rows it has no room for.
    pub(crate) fn finish(&mut self) -> Result<u64, LakeError> {
        if let Some(file) = self.file.take() {
            let (fresh, to) = (self.fresh(), self.folder.join(format!("{}.jsonl", self.name)));
            let file = file.into_inner().map_err(|e| LakeError::io("writing", &fresh, e.into_error()))?;
            file.sync_all().map_err(|e| LakeError::io("syncing", &fresh, e))?;
            fs::rename(&fresh, &to).map_err(|e| LakeError::io("renaming to", &to, e))?;
        }
        Ok(self.cut)
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Interrupted: nothing of the log is in the lake.
            drop(fs::remove_file(self.fresh()));
        }
    }
}
