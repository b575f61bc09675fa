//! Exports kept in files: nfdump's files (layouts 1 and 2), IPFIX files (RFC 5655) and dnstap, told by content, also in gzip, zstd
//! or xz.
//!
//! [`ExportFile`] reads a piece (a block, a message, a frame) at a time and gives an [`ExportSink`] its flows and DNS messages. What cannot be read goes to
//! [`ExportSink::refused`] with the reason, and the rest goes on; where the next piece cannot be found, the file ends with an error.
//!
//! Promises: nothing panics on input; a piece is held up to [`MAX_BLOCK`] bytes, packed and unpacked; every record is counted as a flow,
//! as refused, as of another kind, or as lost with its block.

mod dnstap;
mod ipfix;
mod nfdump;

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use super::ExportSink;
use crate::DecoderConfig;

/// What [`ExportFile`] reads, for messages.
pub const FORMATS: &str = "nfdump (layouts 1 and 2), IPFIX (RFC 5655) or dnstap";

/// Bytes of a block, packed and unpacked. nfdump itself holds 5 MiB.
pub const MAX_BLOCK: usize = 16 << 20;

/// Bytes by which a format is told: two IPFIX message headers and a message between them at most.
const PROBE: usize = 66 << 10;

/// Why a file ends early. What was read before it counts.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum ExportFileError {
    #[error("at byte {offset}: {source}")]
    Io { offset: u64, source: io::Error },
    #[error("at byte {offset}: the file ends within {what}")]
    Truncated { offset: u64, what: &'static str },
    #[error("at byte {offset}: {what}")]
    Damaged { offset: u64, what: &'static str },
    #[error("it was never closed: who writes it is still at it, or was killed")]
    NotClosed,
}

impl ExportFileError {
    /// Whether the file may be one that is still being written.
    pub const fn may_grow(&self) -> bool {
        matches!(self, Self::Truncated { .. } | Self::NotClosed)
    }
}

/// An export file.
pub struct ExportFile {
    format: Format,
    source: Source,
}

enum Format {
    Nfdump(Box<nfdump::Nfdump>),
    Ipfix(Box<ipfix::Ipfix>),
    Dnstap(Box<dnstap::Dnstap>),
}

/// What an export file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the formats'")]
pub enum ExportFormat {
    Nfdump,
    Ipfix,
    Dnstap,
}

impl ExportFile {
    /// Opens a file. `None` where the content is that of no format known.
    pub fn open(path: &Path, decoder: &DecoderConfig) -> io::Result<Option<Self>> {
        Self::from_reader(Box::new(File::open(path)?), decoder)
    }

    /// The same of a stream. `decoder` reads the packets that IPFIX records may hold.
    pub fn from_reader(mut reader: Box<dyn Read + Send>, decoder: &DecoderConfig) -> io::Result<Option<Self>> {
        let mut start = Vec::new();
        reader.by_ref().take(crate::file::Compression::MAGIC_LEN as u64).read_to_end(&mut start)?;
        let compression = crate::file::Compression::detect(&start);
        let whole: Box<dyn Read + Send> = Box::new(Cursor::new(start).chain(reader));
        let mut plain = match compression {
            Some(compression) => compression.reader(whole)?,
            None => whole,
        };
        let mut probe = Vec::new();
        // A damaged end shows again when it is read.
        let probed = plain.by_ref().take(PROBE as u64).read_to_end(&mut probe);
        if probe.is_empty() {
            probed?;
        }
        let format = if nfdump::is_nfdump(&probe) {
            Format::Nfdump(Box::default())
        } else if ipfix::is_ipfix(&probe) {
            Format::Ipfix(Box::new(ipfix::Ipfix::new(decoder.clone())))
        } else if dnstap::is_dnstap(&probe) {
            Format::Dnstap(Box::default())
        } else {
            return Ok(None);
        };
        let reader = BufReader::with_capacity(128 << 10, Cursor::new(probe).chain(plain));
        Ok(Some(Self { format, source: Source { reader: Box::new(reader), offset: 0 } }))
    }

    /// What it is.
    pub const fn format(&self) -> ExportFormat {
        match self.format {
            Format::Nfdump(_) => ExportFormat::Nfdump,
            Format::Ipfix(_) => ExportFormat::Ipfix,
            Format::Dnstap(_) => ExportFormat::Dnstap,
        }
    }

    /// Reads the next piece; `false` at the end. After an error there is nothing more to read.
    pub fn read(&mut self, sink: &mut impl ExportSink) -> Result<bool, ExportFileError> {
        match &mut self.format {
            Format::Nfdump(nfdump) => nfdump.read(&mut self.source, sink),
            Format::Ipfix(ipfix) => ipfix.read(&mut self.source, sink),
            Format::Dnstap(dnstap) => dnstap.read(&mut self.source, sink),
        }
    }

    /// The end of the file: what still waited for a template is given up.
    pub fn finish(&mut self, sink: &mut impl ExportSink) {
        if let Format::Ipfix(ipfix) = &mut self.format {
            ipfix.finish(sink);
        }
    }

    /// Bytes read, unpacked.
    pub const fn bytes(&self) -> u64 {
        self.source.offset
    }

    /// Ledger name and value of each counter.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        match &self.format {
            Format::Nfdump(nfdump) => nfdump.counters().list(),
            Format::Ipfix(ipfix) => ipfix.counters(),
            Format::Dnstap(dnstap) => dnstap.counters(),
        }
    }

    /// The equation of its counters that does not hold, in words.
    pub fn imbalance(&self) -> Option<String> {
        match &self.format {
            Format::Nfdump(nfdump) => nfdump.counters().imbalance(),
            Format::Ipfix(_) => None,
            Format::Dnstap(dnstap) => dnstap.imbalance(),
        }
    }
}

/// Bytes that come in order, and how many came.
struct Source {
    reader: Box<dyn Read + Send>,
    offset: u64,
}

impl Source {
    /// Fills `to`; `false` where the file ends before its first byte.
    fn fill(&mut self, to: &mut [u8], what: &'static str) -> Result<bool, ExportFileError> {
        let begun = self.offset;
        let mut rest = &mut *to;
        while !rest.is_empty() {
            match self.reader.read(rest) {
                Ok(0) if self.offset == begun => return Ok(false),
                Ok(0) => return Err(ExportFileError::Truncated { offset: self.offset, what }),
                Ok(count) => {
                    self.offset += count as u64;
                    rest = rest.get_mut(count..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ExportFileError::Io { offset: self.offset, source }),
            }
        }
        Ok(true)
    }

    /// The next `len` bytes, which have to be there.
    fn take(&mut self, len: usize, what: &'static str) -> Result<Vec<u8>, ExportFileError> {
        let mut bytes = Vec::new();
        let truncated = |offset| ExportFileError::Truncated { offset, what };
        // Grows with what comes, not with what is announced.
        match self.reader.by_ref().take(len as u64).read_to_end(&mut bytes) {
            Ok(count) => self.offset += count as u64,
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => return Err(truncated(self.offset)),
            Err(source) => return Err(ExportFileError::Io { offset: self.offset, source }),
        }
        if bytes.len() < len { Err(truncated(self.offset)) } else { Ok(bytes) }
    }
}
