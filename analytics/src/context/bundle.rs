//! One file that carries all context files to a machine without a network: a tar under zstd, a manifest with sizes and hashes first.
//!
//! ```text
//! manifest.json            {"format": 1, "files": [{"kind": "reputation", "name": "bad.csv", "bytes": 17, "sha256": "…"}, …]}
//! reputation/bad.csv
//! ```
//!
//! Nothing is put in place before everything was read, is whole, and is what it says. What the archive may unpack to is bounded, whatever it says of itself.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::store::{check_bytes, safe_name};
use super::{ContextError, FileReport, Kind, Store};

/// Files of a bundle.
const MAX_FILES: usize = 256;
/// Bytes it may unpack to.
const MAX_BYTES: u64 = 4 << 30;
/// Bytes of the manifest.
const MAX_MANIFEST: u64 = 1 << 20;
/// The manifest's name.
const MANIFEST: &str = "manifest.json";

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    files: Vec<Listed>,
}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    kind: Kind,
    name: String,
    bytes: u64,
    sha256: String,
}

impl Listed {
    fn path(&self) -> String {
        format!("{}/{}", self.kind.as_str(), self.name)
    }
}

fn wrong<T>(text: impl Into<String>) -> Result<T, ContextError> {
    Err(ContextError::File(text.into()))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> ContextError {
    move |source| ContextError::Io { path: path.to_owned(), source }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts the files of a bundle in their folders, all or none. Files of the same kind and name are replaced; others stay.
///
/// # Errors
/// The bundle is damaged, past a bound, or a file of it is none of its kind. Nothing was changed then, except where writing itself failed.
pub fn update(store: &Store, bundle: &Path) -> Result<Vec<FileReport>, ContextError> {
    let file = File::open(bundle).map_err(io(bundle))?;
    let unpacked = zstd::Decoder::new(BufReader::new(file)).map_err(io(bundle))?;
    let mut archive = tar::Archive::new(unpacked.take(MAX_BYTES));
    let mut entries = archive.entries().map_err(io(bundle))?;
    let manifest = match entries.next() {
        Some(entry) => read_manifest(&mut entry.map_err(io(bundle))?, bundle)?,
        None => return wrong("an empty archive"),
    };
    let staging = store.dir().join(format!(".update-{}", uuid::Uuid::now_v7()));
    fs::create_dir_all(&staging).map_err(io(&staging))?;
    let mut staged: Vec<(Listed, PathBuf, FileReport)> = Vec::new();
    let done = (|| {
        for entry in entries {
            let mut entry = entry.map_err(io(bundle))?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let listed = manifest.files.iter().find(|listed| listed.path() == path);
            let Some(listed) = listed.filter(|_| entry.header().entry_type().is_file()) else {
                return wrong(format!("{path:?} is no file of the manifest"));
            };
            if staged.iter().any(|(other, ..)| other.path() == path) {
                return wrong(format!("{path} stands twice"));
            }
            let mut bytes = Vec::new();
            (&mut entry).take(listed.bytes + 1).read_to_end(&mut bytes).map_err(io(bundle))?;
            if bytes.len() as u64 != listed.bytes || sha256(&bytes) != listed.sha256.to_lowercase() {
                return wrong(format!(
                    "{path} is not what the manifest says: {} bytes or their SHA-256 differ",
                    listed.bytes
                ));
            }
            let place = staging.join(format!("{}", staged.len()));
            let write = || {
                let mut file = File::create(&place)?;
                file.write_all(&bytes)?;
                file.sync_all()
            };
            write().map_err(io(&place))?;
            let report = check_bytes(listed.kind, &listed.name, bytes)?;
            staged.push((listed.clone(), place, report));
        }
        if let Some(missing) =
            manifest.files.iter().find(|listed| !staged.iter().any(|(s, ..)| s.path() == listed.path()))
        {
            return wrong(format!("{} is in the manifest and not in the archive", missing.path()));
        }
        for (listed, place, _) in &staged {
            let folder = store.dir().join(listed.kind.as_str());
            let moved = || {
                fs::create_dir_all(&folder)?;
                fs::rename(place, folder.join(&listed.name))?;
                File::open(&folder)?.sync_all()
            };
            moved().map_err(io(&folder))?;
        }
        Ok(staged.into_iter().map(|(_, _, report)| report).collect())
    })();
    if let Err(error) = fs::remove_dir_all(&staging) {
        tracing::warn!(folder = %staging.display(), %error, "could not remove the staging folder of an update");
    }
    done
}

fn read_manifest(entry: &mut impl ReadEntry, bundle: &Path) -> Result<Manifest, ContextError> {
    if entry.name() != MANIFEST {
        return wrong(format!("the first file must be {MANIFEST}, not {:?}", entry.name()));
    }
    let mut text = Vec::new();
    entry.take(MAX_MANIFEST + 1).read_to_end(&mut text).map_err(io(bundle))?;
    if text.len() as u64 > MAX_MANIFEST {
        return wrong("the manifest has more than 1 MiB");
    }
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| ContextError::File(format!("the manifest: {error}")))?;
    if manifest.format != 1 {
        return wrong(format!("the manifest has format {}, this Spotter knows 1", manifest.format));
    }
    if manifest.files.len() > MAX_FILES {
        return wrong(format!("the manifest has {} files, {MAX_FILES} are allowed", manifest.files.len()));
    }
    for listed in &manifest.files {
        safe_name(&listed.name)?;
        if listed.bytes > listed.kind.max_bytes() {
            return wrong(format!(
                "{}: more than {} bytes, which is the most for its kind",
                listed.path(),
                listed.kind.max_bytes()
            ));
        }
    }
    Ok(manifest)
}

/// An entry that is read: its name, and its bytes.
trait ReadEntry: Read {
    fn name(&self) -> String;
}

impl<R: Read> ReadEntry for tar::Entry<'_, R> {
    fn name(&self) -> String {
        String::from_utf8_lossy(&self.path_bytes()).into_owned()
    }
}

/// Packs files, each with its kind, into a bundle.
///
/// # Errors
/// A file is none of its kind, or cannot be read; the bundle cannot be written.
pub fn pack(files: &[(Kind, PathBuf)], bundle: &Path) -> Result<Vec<FileReport>, ContextError> {
    let mut manifest = Manifest { format: 1, files: Vec::new() };
    let mut reports = Vec::new();
    for (kind, path) in files {
        let report = super::check(*kind, path)?;
        let bytes = fs::read(path).map_err(io(path))?;
        let listed =
            Listed { kind: *kind, name: report.name.clone(), bytes: bytes.len() as u64, sha256: sha256(&bytes) };
        if manifest.files.iter().any(|other| other.path() == listed.path()) {
            return wrong(format!("{} stands twice", listed.path()));
        }
        manifest.files.push(listed);
        reports.push(report);
    }
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| ContextError::File(error.to_string()))?;
    let out = BufWriter::new(File::create(bundle).map_err(io(bundle))?);
    let write = || {
        let mut archive = tar::Builder::new(zstd::Encoder::new(out, 9)?);
        let mut add = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, bytes)
        };
        add(MANIFEST, &text)?;
        for (listed, (_, path)) in manifest.files.iter().zip(files) {
            add(&listed.path(), &fs::read(path)?)?;
        }
        archive.into_inner()?.finish()?.flush()
    };
    write().map_err(io(bundle))?;
    Ok(reports)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn archive(entries: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.tar.zst");
        let mut archive = tar::Builder::new(zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap());
        for (name, bytes) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        (folder, path)
    }

    fn manifest(files: &[(&str, &str, u64, &str)]) -> Vec<u8> {
        let files: Vec<serde_json::Value> = files
            .iter()
            .map(|(kind, name, bytes, sha256)| serde_json::json!({"kind": kind, "name": name, "bytes": bytes, "sha256": sha256}))
            .collect();
        serde_json::to_vec(&serde_json::json!({"format": 1, "files": files})).unwrap()
    }

    #[test]
    fn there_and_back() {
        let folder = tempfile::tempdir().unwrap();
        let (ranges, bad) = (folder.path().join("ipranges.csv"), folder.path().join("bad.csv"));
        fs::write(&ranges, "10.0.0.0/8,Site\n").unwrap();
        fs::write(&bad, "198.51.100.7\n").unwrap();
        let bundle = folder.path().join("update.tar.zst");
        assert_eq!(pack(&[(Kind::Internal, ranges), (Kind::Reputation, bad)], &bundle).unwrap().len(), 2);
        let store = Store::of_lake(folder.path());
        assert_eq!(update(&store, &bundle).unwrap().len(), 2);
        let context = store.current();
        assert_eq!(context.internal("10.1.1.1".parse().unwrap()), Some("Site"));
        assert_eq!(fs::read_dir(store.dir()).unwrap().count(), 2, "no staging folder stays");
        // A byte turned over is an error, and nothing changes.
        let mut bytes = fs::read(&bundle).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(&bundle, bytes).unwrap();
        assert!(update(&store, &bundle).is_err());
        assert_eq!(store.current().internal("10.1.1.1".parse().unwrap()), Some("Site"));
    }

    #[test]
    fn hostile_bundles_change_nothing() {
        let good = b"10.0.0.0/8,Site\n".as_slice();
        let hash = sha256(good);
        let size = good.len() as u64;
        let honest = manifest(&[("internal", "a.csv", size, &hash)]);
        let cases: Vec<Vec<(&str, Vec<u8>)>> = vec![
            vec![],
            vec![("internal/a.csv", good.to_vec())],
            vec![(MANIFEST, b"{".to_vec())],
            vec![(MANIFEST, "[".repeat(100_000).into_bytes())],
            vec![(MANIFEST, manifest(&[("internal", "../../x", size, &hash)])), ("internal/../../x", good.to_vec())],
            vec![
                (MANIFEST, manifest(&[("internal", "a.csv", u64::MAX - 1, &hash)])),
                ("internal/a.csv", good.to_vec()),
            ],
            vec![(MANIFEST, manifest(&[("internal", "a.csv", size, "00")])), ("internal/a.csv", good.to_vec())],
            vec![(MANIFEST, honest.clone()), ("../a.csv", good.to_vec())],
            vec![(MANIFEST, honest.clone())],
            vec![(MANIFEST, honest.clone()), ("internal/a.csv", vec![b'x'; 1 << 20])],
            vec![(MANIFEST, honest.clone()), ("internal/a.csv", good.to_vec()), ("internal/a.csv", good.to_vec())],
            vec![(MANIFEST, vec![b' '; 2 << 20])],
        ];
        for case in cases {
            let entries: Vec<(&str, &[u8])> = case.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
            let (folder, path) = archive(&entries);
            let store = Store::of_lake(folder.path());
            assert!(update(&store, &path).is_err(), "{:?}", entries.iter().map(|(name, _)| name).collect::<Vec<_>>());
            assert!(store.current().files().is_empty());
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, b"no zstd").unwrap();
        assert!(update(&Store::of_lake(folder.path()), &path).is_err());
    }
}
