//! The packings of nfdump's blocks. Each block stands alone and gives at most [`MAX_BLOCK`] bytes.

use std::io::Read as _;

use super::MAX_BLOCK;

/// How blocks are packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Packing {
    None,
    Lzo,
    Bzip2,
    Lz4,
    Zstd,
}

impl Packing {
    /// Layout 2: a number in the header.
    pub(super) const fn of_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Lzo,
            2 => Self::Bzip2,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return None,
        })
    }

    /// Layout 1: bits in the header.
    pub(super) const fn of_flags(flags: u32) -> Self {
        match flags & 0x19 {
            0 => Self::None,
            flags if flags & 0x1 != 0 => Self::Lzo,
            flags if flags & 0x8 != 0 => Self::Bzip2,
            _ => Self::Lz4,
        }
    }
}

/// Unpacks blocks into one buffer.
#[derive(Default)]
pub(super) struct Unpacker(Vec<u8>);

impl Unpacker {
    /// What a block holds; `None` where it does not unpack, or to more than a block may be.
    pub(super) fn unpack<'a>(&'a mut self, packing: Packing, packed: &'a [u8]) -> Option<&'a [u8]> {
        if packing == Packing::None {
            return Some(packed);
        }
        if packing == Packing::Bzip2 {
            self.0.clear();
            let room = MAX_BLOCK as u64 + 1;
            bzip2::read::BzDecoder::new(packed).take(room).read_to_end(&mut self.0).ok()?;
            return Some(self.0.as_slice()).filter(|plain| plain.len() <= MAX_BLOCK);
        }
        self.0.resize(MAX_BLOCK, 0);
        let len = match packing {
            Packing::Lzo => lzokay::decompress::decompress(packed, &mut self.0).ok()?,
            Packing::Lz4 => lz4_flex::block::decompress_into(packed, &mut self.0).ok()?,
            Packing::Zstd => zstd::bulk::decompress_to_buffer(packed, &mut self.0[..]).ok()?,
            Packing::None | Packing::Bzip2 => return None,
        };
        self.0.get(..len)
    }
}
