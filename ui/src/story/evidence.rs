//! The evidence bundle of a story: a tar with the records, the captures that were kept, the ledger, and hashes.
//!
//! `SHA256SUMS` is the last file, in the form of `sha256sum -c`. Small files are made beforehand; captures are streamed,
//! a chunk at a time, and a reader that goes away ends the work.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use axum::body::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::Sender;

use super::tar;

/// Bytes sent at a time.
const CHUNK: usize = 256 << 10;

/// One file of the bundle.
pub(crate) enum Entry {
    /// Made in memory.
    Made(String, Vec<u8>),
    /// On disk.
    Kept(String, PathBuf),
}

/// Sends the bundle, chunk by chunk. Blocks: run it off the reactor. `time` is Unix seconds, of every file.
pub(crate) fn send(entries: Vec<Entry>, time: u64, to: &Sender<io::Result<Bytes>>) {
    let mut sums = String::new();
    for entry in entries {
        let sent = match entry {
            Entry::Made(name, bytes) => {
                let size = bytes.len() as u64;
                put(&name, size, time, &mut bytes.as_slice(), to).map(|sum| (name, sum))
            }
            Entry::Kept(name, path) => File::open(&path)
                .and_then(|mut file| {
                    let size = file.metadata()?.len();
                    put(&name, size, time, &mut file, to)
                })
                .map(|sum| (name, sum)),
        };
        match sent {
            Ok((name, sum)) => sums.push_str(&format!("{sum}  {name}\n")),
            Err(error) => {
                // The reader sees a bundle that breaks off: never one that looks whole.
                if error.kind() != io::ErrorKind::BrokenPipe {
                    tracing::warn!(%error, "evidence bundle");
                }
                drop(to.blocking_send(Err(error)));
                return;
            }
        }
    }
    let sums = sums.into_bytes();
    if let Err(error) = put("SHA256SUMS", sums.len() as u64, time, &mut sums.as_slice(), to) {
        drop(to.blocking_send(Err(error)));
        return;
    }
    drop(to.blocking_send(Ok(Bytes::from(vec![0; 2 * tar::BLOCK]))));
}

fn push(bytes: Vec<u8>, to: &Sender<io::Result<Bytes>>) -> io::Result<()> {
    to.blocking_send(Ok(Bytes::from(bytes))).map_err(|_| io::ErrorKind::BrokenPipe.into())
}

/// One file; gives its SHA-256.
fn put(name: &str, size: u64, time: u64, from: &mut dyn Read, to: &Sender<io::Result<Bytes>>) -> io::Result<String> {
    let header = tar::header(name, size, time).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{name}: too long a name or too large a file"))
    })?;
    push(header.to_vec(), to)?;
    let mut sum = Sha256::new();
    let mut left = size;
    while left > 0 {
        let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        from.read_exact(&mut chunk)?;
        left -= chunk.len() as u64;
        sum.update(&chunk);
        push(chunk, to)?;
    }
    push(vec![0; tar::padding(size)], to)?;
    Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(entries: Vec<Entry>) -> Result<Vec<u8>, io::Error> {
        let (to, mut from) = tokio::sync::mpsc::channel(1024);
        send(entries, 0, &to);
        drop(to);
        let mut all = Vec::new();
        while let Some(chunk) = from.blocking_recv() {
            all.extend_from_slice(&chunk?);
        }
        Ok(all)
    }

    #[test]
    fn tar_reads_it_and_sha256sum_agrees() {
        let dir = tempfile::tempdir().unwrap();
        let capture = dir.path().join("day.pcap");
        std::fs::write(&capture, vec![7; 700_001]).unwrap();
        let entries = vec![
            Entry::Made("empty.jsonl".into(), Vec::new()),
            Entry::Made("story.json".into(), b"{}\n".to_vec()),
            Entry::Kept("originals/day.pcap".into(), capture),
        ];
        let file = dir.path().join("bundle.tar");
        std::fs::write(&file, bundle(entries).unwrap()).unwrap();
        let run = |program: &str, args: &[&str]| {
            let done = std::process::Command::new(program).args(args).current_dir(dir.path()).output().unwrap();
            assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
            String::from_utf8(done.stdout).unwrap()
        };
        assert_eq!(run("tar", &["xvf", "bundle.tar"]), "empty.jsonl\nstory.json\noriginals/day.pcap\nSHA256SUMS\n");
        assert_eq!(
            run("sha256sum", &["-c", "SHA256SUMS"]),
            "empty.jsonl: OK\nstory.json: OK\noriginals/day.pcap: OK\n"
        );
    }

    #[test]
    fn a_capture_that_is_gone_breaks_the_bundle_off() {
        assert!(bundle(vec![Entry::Kept("originals/x".into(), "/nonexistent/x".into())]).is_err());
    }
}
