//! Capture files as a source of frames: pcap, pcapng, snoop and ERF, plain or compressed.
//!
//! [`CaptureReader`] tells formats by their first bytes, never by name. Plain files are memory-mapped and
//! their frames handed out in place; gzip, zstd and xz (several members too) and standard input are
//! streamed through one bounded buffer.
//!
//! A damaged file gives every frame before the damage, then an error that names file, offset and what was
//! expected, then whatever can be read after it.

mod compress;
mod counters;
mod erf;
mod error;
mod map;
mod pcap;
mod pcapng;
mod record;
mod shortened;
mod snoop;
mod source;
mod whole;

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::Frame;

pub(crate) use compress::Compression;
use counters::Counters;
use erf::Erf;
pub(crate) use erf::payload as erf_payload;
pub use error::FileError;
use pcap::Pcap;
use pcapng::PcapNg;
use record::{Fault, Record};
use snoop::Snoop;
use source::Source;
pub use whole::CaptureFile;

/// What [`CaptureReader`] reads, for messages.
pub const FORMATS: &str = "pcap, pcapng, snoop or ERF";

/// Reads the frames of one capture, in file order.
pub struct CaptureReader {
    file: PathBuf,
    source: Source,
    compression: Option<Compression>,
    format: Format,
    counters: Counters,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
    Snoop(Snoop),
    Erf(Erf),
}

impl CaptureReader {
    /// Opens a capture. An empty file, or one of no known format, is an error.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        CaptureFile::open(path).map_err(|source| FileError::Io { file: path.into(), source })?.reader()
    }

    /// Reads a capture from a stream, such as standard input. `name` stands for the file in errors.
    pub fn from_reader(mut reader: impl Read + Send + 'static, name: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = name.as_ref();
        let mut start = [0; Compression::MAGIC_LEN];
        let length =
            read_start(&mut reader, &mut start).map_err(|source| FileError::Io { file: path.into(), source })?;
        let start = start.get(..length).unwrap_or_default().to_vec();
        let compression = Compression::detect(&start);
        let whole = Box::new(Cursor::new(start).chain(reader));
        match compression {
            Some(compression) => Self::compressed(path, compression, whole),
            None => Self::new(path, Source::stream(whole), None),
        }
    }

    /// Reads a capture held in memory.
    pub fn from_bytes(bytes: Vec<u8>, name: impl AsRef<Path>) -> Result<Self, FileError> {
        match Compression::detect(&bytes) {
            Some(compression) => Self::compressed(name.as_ref(), compression, Box::new(Cursor::new(bytes))),
            None => Self::new(name.as_ref(), Source::memory(bytes), None),
        }
    }

    /// The next frame, or `None` at the end.
    ///
    /// After an error the reader may be asked again: it goes on with what can still be read, and ends
    /// with `None`. There are fewer errors than records, so asking until `None` comes to an end.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        let Self { source, format, counters, .. } = self;
        let next = match format {
            Format::Pcap(pcap) => pcap.next(source, counters),
            Format::PcapNg(pcapng) => pcapng.next(source, counters),
            Format::Snoop(snoop) => snoop.next(source, counters),
            Format::Erf(erf) => erf.next(source, counters),
        };
        match next {
            Ok(Some(Record { ts, wire_len, link, data })) => {
                let data = self.source.bytes(data);
                self.counters.frames += 1;
                self.counters.frames_without_time += u64::from(ts.is_none());
                self.counters.wire_len_below_captured += u64::from((wire_len as usize) < data.len());
                Ok(Some(Frame { ts, wire_len, data, link }))
            }
            Ok(None) => self.end().map(|()| None),
            Err(fault) => {
                // What looks cut off may be the decompressor's or the disk's failure.
                self.end()?;
                Err(name_fault(&self.file, self.source.offset(), fault))
            }
        }
    }

    /// Whether another process shortened the file while it was read: of what was read since some point, nothing is the
    /// file's. The last answer of [`next_frame`](Self::next_frame) but one says so too.
    pub fn is_shortened(&self) -> bool {
        self.source.is_shortened()
    }

    /// What was met on the way: ledger counter name and count.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.counters.list()
    }

    fn compressed(path: &Path, compression: Compression, reader: Box<dyn Read + Send>) -> Result<Self, FileError> {
        let reader = compression.reader(reader).map_err(|source| FileError::Decompress {
            file: path.into(),
            format: compression.name(),
            offset: 0,
            source,
        })?;
        Self::new(path, Source::stream(reader), Some(compression))
    }

    fn new(path: &Path, mut source: Source, compression: Option<Compression>) -> Result<Self, FileError> {
        let start = source.peek(12);
        let opened = if Pcap::detect(start) {
            Pcap::open(&mut source).map(Format::Pcap)
        } else if PcapNg::detect(start) {
            Ok(Format::PcapNg(PcapNg::open()))
        } else if Snoop::detect(start) {
            Snoop::open(&mut source).map(Format::Snoop)
        } else {
            let start = source.peek(erf::DETECT_LEN);
            let whole = start.len() < erf::DETECT_LEN;
            if Erf::detect(start, whole) {
                Ok(Format::Erf(Erf::open()))
            } else {
                let magic = describe(start);
                let empty = start.is_empty();
                read_error(path, compression, &mut source)?;
                let file = path.into();
                return Err(if empty { FileError::Empty { file } } else { FileError::UnknownFormat { file, magic } });
            }
        };
        let format = match opened {
            Ok(format) => format,
            Err(fault) => {
                source.skip(u64::MAX);
                read_error(path, compression, &mut source)?;
                return Err(name_fault(path, source.offset(), fault));
            }
        };
        Ok(Self { file: path.into(), source, compression, format, counters: Counters::default() })
    }

    /// At the end of the bytes: the error that made it the end, if there was one.
    fn end(&mut self) -> Result<(), FileError> {
        read_error(&self.file, self.compression, &mut self.source)
    }
}

fn name_fault(path: &Path, end: u64, fault: Fault) -> FileError {
    let file = path.into();
    match fault {
        Fault::Truncated { offset, what, needed } => FileError::Truncated { file, offset, end, what, needed },
        Fault::Malformed { offset, found, expected } => FileError::Malformed { file, offset, found, expected },
    }
}

/// The error that ended the source early, if there was one.
fn read_error(path: &Path, compression: Option<Compression>, source: &mut Source) -> Result<(), FileError> {
    let offset = source.offset();
    let file = path.into();
    match (source.take_error(), compression) {
        (None, _) => Ok(()),
        (Some(source), None) => Err(FileError::Io { file, source }),
        (Some(source), Some(compression)) => {
            Err(FileError::Decompress { file, format: compression.name(), offset, source })
        }
    }
}

/// Fills `start` as far as the input goes.
fn read_start(reader: &mut impl Read, start: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = start.get_mut(filled..).filter(|free| !free.is_empty()) {
        match reader.read(free) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// The first bytes of something unknown, and its name if they are some other format's.
fn describe(start: &[u8]) -> String {
    let name = match start {
        [b'B', b'Z', b'h', ..] => " (bzip2: unpack it first)",
        [0x04, 0x22, 0x4d, 0x18, ..] => " (lz4: unpack it first)",
        [b'P', b'K', 3, 4, ..] => " (zip: unpack it first)",
        [b'7', b'z', 0xbc, 0xaf, ..] => " (7-Zip: unpack it first)",
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            " (compressed twice: unpack it first)"
        }
        [b'b', b't', b's', b'n', b'o', b'o', b'p', ..] => " (btsnoop: Bluetooth, no IP)",
        [b'G', b'M', b'B', b'U', ..] | [b'R', b'T', b'S', b'S', ..] => {
            " (Microsoft Network Monitor: convert it with editcap)"
        }
        [b'X', b'C', b'P', 0, ..] => " (NetXRay or Windows Sniffer: convert it with editcap)",
        [b'T', b'R', b'S', b'N', b'I', b'F', b'F', ..] => " (Sniffer: convert it with editcap)",
        _ => "",
    };
    let bytes: Vec<String> = start.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("{}{name}", bytes.join(" "))
}
