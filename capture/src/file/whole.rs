//! A capture file as a whole: read through once, as bytes, before its frames are read.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use super::compress::Compression;
use super::map::Mapping;
use super::source::Source;
use super::{CaptureReader, FileError};

/// Bytes handed out at once: they stay in the second-level cache while they are worked on.
const PIECE: usize = 128 << 10;

/// An open file. Plain files are mapped once, for both readings.
#[derive(Debug)]
pub struct CaptureFile {
    path: PathBuf,
    file: File,
    /// None for what has no length, or lies on a file system that maps no files.
    mapping: Option<Mapping>,
}

impl CaptureFile {
    /// Opens a file, pipe or device; what is in it is not looked at.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // Pipes and devices have no length; files of /proc have one of 0 and still content.
        let has_length = metadata.is_file() && metadata.len() > 0;
        let mapping = if has_length { Mapping::new(&file).ok() } else { None };
        Ok(Self { path, file, mapping })
    }

    /// Gives all bytes to `take`, piece by piece in order, until it says `false`; whether it never did. For regular
    /// files: what a pipe gives is gone then.
    pub fn read_through(&mut self, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
        if let Some(mapping) = &mut self.mapping {
            return mapping.read_through(PIECE, take);
        }
        let mut buffer = vec![0; PIECE];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) if take(buffer.get(..read).unwrap_or_default()) => {}
                Ok(_) => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.file.rewind()?;
        Ok(true)
    }

    /// Its frames. An empty file, or one of no known format, is an error.
    pub fn reader(self) -> Result<CaptureReader, FileError> {
        let Self { path, file, mapping } = self;
        let Some(mapping) = mapping else { return CaptureReader::from_reader(file, path) };
        let start = mapping.bytes().get(..Compression::MAGIC_LEN).unwrap_or(mapping.bytes());
        match Compression::detect(start) {
            None => CaptureReader::new(&path, Source::mapped(mapping), None),
            Some(compression) => CaptureReader::compressed(&path, compression, Box::new(file)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn all_bytes_then_all_frames() {
        // 100 MiB: parts of the mapping are given back in both readings.
        let mut bytes = vec![0; 24];
        bytes[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
        bytes[4] = 2;
        bytes[6] = 4;
        bytes[20] = 1;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        let frame = 256 << 10;
        for n in 0..400u32 {
            for word in [n, 0, frame, frame] {
                file.write_all(&word.to_le_bytes()).unwrap();
            }
            file.write_all(&vec![n as u8; frame as usize]).unwrap();
        }
        let mut whole = CaptureFile::open(file.path()).unwrap();
        let (mut length, mut last) = (0u64, 0);
        assert!(
            whole
                .read_through(|piece| {
                    length += piece.len() as u64;
                    last = piece.last().copied().unwrap_or_default();
                    true
                })
                .unwrap()
        );
        assert_eq!((length, last), (24 + 400 * (16 + u64::from(frame)), 399u32 as u8));
        let mut reader = whole.reader().unwrap();
        let mut frames = 0u32;
        while let Some(frame) = reader.next_frame().unwrap() {
            assert!(frame.data.iter().all(|b| *b == frames as u8));
            frames += 1;
        }
        assert_eq!(frames, 400);
    }

    #[test]
    fn reading_through_can_be_given_up() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![7; PIECE * 3]).unwrap();
        let mut pieces = 0;
        let went_through = CaptureFile::open(file.path()).unwrap().read_through(|_| {
            pieces += 1;
            pieces < 2
        });
        assert_eq!((went_through.unwrap(), pieces), (false, 2));
        assert!(CaptureFile::open(std::env::temp_dir()).is_err());
    }
}
