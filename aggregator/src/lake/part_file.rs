//! A part's file while it is written: buffered, because the Parquet library hands chunks on in pieces of 8 KiB, each of
//! which would be a system call.

use std::fs::File;
use std::io::{self, Write};

/// Bytes that come together before they are written; parts open at once are bounded by
/// [`WriterOptions::max_open_parts`](super::WriterOptions::max_open_parts).
const BUFFER: usize = 64 << 10;

/// See the [module](self).
#[derive(Debug)]
pub(super) struct PartFile {
    file: File,
    buffer: Vec<u8>,
}

impl PartFile {
    /// Writes to `file`.
    pub(super) const fn new(file: File) -> Self {
        Self { file, buffer: Vec::new() }
    }

    /// Makes sure that what was written is on disk. It must have been flushed.
    pub(super) fn sync(&self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            return Err(io::Error::other("a part is synced before all of it was written"));
        }
        self.file.sync_all()
    }

    fn empty(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer);
        // After an error the part is abandoned: nothing may be written twice.
        self.buffer.clear();
        written
    }
}

impl Write for PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.empty()?;
        }
        if bytes.len() >= BUFFER {
            return self.file.write(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.empty()?;
        self.file.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_in_order_whatever_their_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part");
        let mut part = PartFile::new(File::create_new(&path).unwrap());
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut rest = bytes.as_slice();
        for piece in [1, 8_192, 70_000, 0, 65_536, 65_535, 3, 200_000].into_iter().cycle() {
            let (now, later) = rest.split_at(piece.min(rest.len()));
            part.write_all(now).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        part.write_all(b"end").unwrap();
        assert!(part.sync().is_err());
        part.flush().unwrap();
        part.sync().unwrap();
        assert!(std::fs::read(&path).unwrap() == [&bytes, b"end".as_slice()].concat());
    }
}
