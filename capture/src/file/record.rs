//! What the file formats' readers hand to the [`CaptureReader`](super::CaptureReader).

use std::ops::Range;

use crate::{LinkType, Nanos};

/// One captured frame: where its bytes are (see [`Source::bytes`](super::source::Source::bytes)).
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) ts: Option<Nanos>,
    pub(super) wire_len: u32,
    pub(super) link: LinkType,
    pub(super) data: Range<usize>,
}

/// What is wrong, before the file's name is put to it.
#[derive(Debug)]
pub(super) enum Fault {
    /// The input ends inside something.
    Truncated { offset: u64, what: &'static str, needed: u64 },
    /// Something contradicts the format.
    Malformed { offset: u64, found: String, expected: &'static str },
}

/// `length` bytes at `at`, or nothing if they are not all there.
#[inline]
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Byte order of a file's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    #[inline]
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}
