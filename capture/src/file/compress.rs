//! Decompression, told by the first bytes: gzip (RFC 1952), zstd (RFC 8878) and xz, with several members.
//!
//! Everything is streamed: memory is bounded by the formats' windows ([`ZSTD_WINDOW_LOG`], [`XZ_MEMORY`]),
//! however much a small file unpacks to.

use std::io::{self, BufReader, Read};

/// Largest zstd window accepted, as a power of two: 128 MiB, what `zstd --long` uses by default.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Memory an xz stream may ask for: `xz -9` needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// A compressed format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    Xz,
}

impl Compression {
    /// Longest magic number below.
    pub(super) const MAGIC_LEN: usize = 6;

    /// Which format `start`, the first bytes of the input, belongs to.
    pub(super) fn detect(start: &[u8]) -> Option<Self> {
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
    pub(super) fn reader(self, reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        let reader = BufReader::with_capacity(256 << 10, reader);
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
