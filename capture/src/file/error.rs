//! What can be wrong with a capture file.

use std::io;
use std::path::PathBuf;

/// Why a capture file could not be read, or not to its end. Every variant names the file; offsets count
/// bytes of the capture itself, after decompression.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Not a byte in it.
    #[error("{}: the file is empty; expected a capture (pcap, pcapng, snoop or ERF)", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The first bytes belong to no format that is known here.
    #[error(
        "{}: not a capture: it begins with {magic}; expected pcap, pcapng, snoop or ERF, plain or in gzip, zstd or xz",
        file.display()
    )]
    UnknownFormat {
        /// The file.
        file: PathBuf,
        /// Its first bytes, in hexadecimal, and what they are if that is known.
        magic: String,
    },
    /// The file ends inside a header or record. Everything before it was delivered.
    #[error("{}: ends at offset {end} inside {what} that begins at offset {offset} and needs {needed} bytes", file.display())]
    Truncated {
        /// The file.
        file: PathBuf,
        /// Where the header or record begins.
        offset: u64,
        /// Where the file ends.
        end: u64,
        /// What was begun.
        what: &'static str,
        /// Bytes it takes.
        needed: u64,
    },
    /// Something in the file contradicts its format.
    #[error("{}: at offset {offset}: {found}; expected {expected}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where.
        offset: u64,
        /// What is there.
        found: String,
        /// What the format asks for.
        expected: &'static str,
    },
    /// The compressed stream is damaged. Everything before it was delivered.
    #[error("{}: damaged {format} data after {offset} decompressed bytes: {source}", file.display())]
    Decompress {
        /// The file.
        file: PathBuf,
        /// gzip, zstd or xz.
        format: &'static str,
        /// Bytes that were decompressed before.
        offset: u64,
        /// What the decompressor said.
        source: io::Error,
    },
}
