//! What a file is told by: the hash of its bytes; and keeping the bytes themselves.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use capture::file::CaptureFile;
use sha2::{Digest as _, Sha256};

use super::Originals;
use crate::lake::{Lake, LakeError, SpoolHold};

/// Hashes of a file's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Hashes {
    /// `b3:` and BLAKE3 in hexadecimal: what an import is known by. Every byte of every capture goes through it,
    /// so it is the faster of the two (`tests/lake_cost.rs` prints both).
    pub(super) content: String,
    /// SHA-256 in hexadecimal, where the original is kept: what courts and other tools use.
    pub(super) sha256: Option<String>,
}

/// Why a file could not be hashed.
#[derive(Debug)]
pub(super) enum HashError {
    Io(io::Error),
    Interrupted,
}

/// Reads through a file and hashes it.
pub(super) fn hash(file: &mut CaptureFile, originals: Originals, interrupt: &AtomicBool) -> Result<Hashes, HashError> {
    let mut blake = blake3::Hasher::new();
    let mut sha = (originals == Originals::Keep).then(Sha256::new);
    let whole = file.read_through(|bytes| {
        blake.update(bytes);
        if let Some(sha) = &mut sha {
            sha.update(bytes);
        }
        // Relaxed: a flag that orders nothing.
        !interrupt.load(Ordering::Relaxed)
    });
    if !whole.map_err(HashError::Io)? {
        return Err(HashError::Interrupted);
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    Ok(Hashes { content: format!("b3:{}", blake.finalize().to_hex()), sha256: sha.map(|sha| hex(&sha.finalize())) })
}

/// Keeps a file as `LAKE/originals/ab/<sha256>.<ext>`, read only. One that is there already is left.
pub(super) fn keep_original(lake: &Lake, file: &Path, name: &Path, sha256: &str) -> Result<(), LakeError> {
    let folder = lake.dir().join("originals").join(sha256.get(..2).unwrap_or_default());
    fs::create_dir_all(&folder).map_err(|e| LakeError::io("creating", &folder, e))?;
    let to = folder.join(format!("{sha256}{}", extension(name)));
    if to.exists() {
        return Ok(());
    }
    let fresh = folder.join(format!(".{}.part", uuid::Uuid::now_v7()));
    let copied = (|| {
        let mut source = File::open(file).map_err(|e| LakeError::io("opening", file, e))?;
        let mut copy = File::create_new(&fresh).map_err(|e| LakeError::io("creating", &fresh, e))?;
        io::copy(&mut source, &mut copy).map_err(|e| LakeError::io("keeping the original as", &fresh, e))?;
        let mut permissions = copy.metadata().map_err(|e| LakeError::io("reading", &fresh, e))?.permissions();
        permissions.set_readonly(true);
        copy.set_permissions(permissions).map_err(|e| LakeError::io("protecting", &fresh, e))?;
        copy.sync_all().map_err(|e| LakeError::io("syncing", &fresh, e))?;
        fs::rename(&fresh, &to).map_err(|e| LakeError::io("renaming to", &to, e))?;
        File::open(&folder).and_then(|f| f.sync_all()).map_err(|e| LakeError::io("syncing", &folder, e))
    })();
    if copied.is_err() {
        // Absent where the error came before it was made, or after it was renamed.
        drop(fs::remove_file(&fresh));
    }
    copied
}

/// The extension of a capture's name, with the one before it for compressed files: `.pcap.gz`. Only plain
/// letters and digits, so that it cannot lead anywhere else.
fn extension(name: &Path) -> String {
    let name = name.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let parts: Vec<&str> = name.split('.').skip(1).collect();
    let kept = parts
        .iter()
        .rev()
        .take(2)
        .take_while(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()));
    let kept: Vec<&str> = kept.copied().collect();
    let compressed = kept.first().is_some_and(|last| matches!(*last, "gz" | "zst" | "xz"));
    kept.iter().take(if compressed { 2 } else { 1 }).rev().map(|part| format!(".{part}")).collect()
}

/// Copies standard input into the lake's staging folder, so that it has a hash like a file.
pub(super) fn spool_stdin(lake: &Lake) -> Result<(PathBuf, SpoolHold), LakeError> {
    let hold = lake.spool()?;
    let path = hold.dir().join("stdin");
    let mut file = File::create_new(&path).map_err(|e| LakeError::io("creating", &path, e))?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(|e| LakeError::io("copying standard input to", &path, e))?;
    file.flush().map_err(|e| LakeError::io("copying standard input to", &path, e))?;
    Ok((path, hold))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn hashes_are_those_of_other_programs() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("abc");
        fs::write(&file, "abc").unwrap();
        let mut file = CaptureFile::open(&file).unwrap();
        let hashes = hash(&mut file, Originals::Keep, &AtomicBool::new(false)).unwrap();
        // sha256sum; b3sum (the BLAKE3 test vector for "abc").
        assert_eq!(hashes.sha256.as_deref(), Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
        assert_eq!(hashes.content, "b3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    }

    #[test]
    fn extensions_lead_nowhere() {
        for (name, kept) in [
            ("a.pcap", ".pcap"),
            ("a.b.pcapng.gz", ".pcapng.gz"),
            ("a.pcap.zst", ".pcap.zst"),
            ("noext", ""),
            ("a.b c", ""),
            ("x.tar.ext-ra", ""),
            ("-", ""),
        ] {
            assert_eq!(extension(Path::new(name)), kept, "{name}");
        }
    }
}
