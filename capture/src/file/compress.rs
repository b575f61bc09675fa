//! Decompression, told by the first bytes: gzip (RFC 1952), zstd (RFC 8878) and xz, with several members.
//!
//! Everything is streamed: memory is bounded by the formats' windows ([`ZSTD_WINDOW_LOG`], [`XZ_MEMORY`]),
//! however much a small file unpacks to.

use std::io::{self, BufRead, Read};

/// Largest zstd window accepted, as a power of two: 128 MiB, what `zstd --long` uses by default.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Memory an xz stream may ask for: `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// Compressed bytes a decoder is given at a time. A decoder that meets damage drops what it made of the piece with
/// the damage in it, so this bounds what a damaged file loses.
const PIECE: usize = 4 << 10;

/// Hands out pieces of [`PIECE`] bytes, however the bytes come: what can be read of a damaged file is the same whether
/// it is a file or a pipe.
struct Pieces {
    reader: Box<dyn Read + Send>,
    piece: Box<[u8; PIECE]>,
    at: usize,
    end: usize,
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.end {
            (self.at, self.end) = (0, 0);
            while let Some(free) = self.piece.get_mut(self.end..).filter(|free| !free.is_empty()) {
                match self.reader.read(free) {
                    Ok(0) => break,
                    Ok(n) => self.end = (self.end + n).min(PIECE),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    // What came before the error is handed out; the error comes again, or the input ends.
                    Err(_) if self.end > 0 => break,
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(self.piece.get(self.at..self.end).unwrap_or_default())
    }

    fn consume(&mut self, n: usize) {
        self.at = (self.at + n).min(self.end);
    }
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let n = piece.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), piece.get(..n)) {
            to.copy_from_slice(from);
        }
        self.consume(n);
        Ok(n)
    }
}

/// A compressed format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
    Xz,
}

impl Compression {
    /// Longest magic number below.
    pub(crate) const MAGIC_LEN: usize = 6;

    /// Which format `start`, the first bytes of the input, belongs to.
    pub(crate) fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            // A skippable frame (magic 0x184D2A50 to …5F) may come first: pzstd and seekable zstd do so.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            _ => None,
        }
    }

    /// Its name, for errors.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }

    /// The decompressed bytes of `reader`.
    pub(crate) fn reader(self, reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        let reader = Pieces { reader, piece: Box::new([0; PIECE]), at: 0, end: 0 };
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
            }
        })
    }
}
