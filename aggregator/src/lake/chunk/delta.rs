//! Parquet's DELTA_BINARY_PACKED (encoding 5): blocks of 128 differences in four miniblocks of 32, each with its own
//! width.

use super::hybrid::push_varint;

const BLOCK: usize = 128;
const MINIBLOCK: usize = 32;
const MINIBLOCKS: usize = BLOCK / MINIBLOCK;

/// How wide the column's numbers are: differences wrap within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::lake) enum Width {
    Bits32,
    Bits64,
}

impl Width {
    pub(super) const fn bytes(self) -> u32 {
        match self {
            Self::Bits32 => 4,
            Self::Bits64 => 8,
        }
    }
}

/// Appends `values`.
pub(super) fn encode(values: &[i64], width: Width, out: &mut Vec<u8>) {
    push_head(values.len(), values.first().copied().unwrap_or_default(), out);
    blocks(values, width, out);
}

fn blocks(values: &[i64], width: Width, out: &mut Vec<u8>) {
    let mut deltas = [0i64; BLOCK];
    let mut before = values.first().copied().unwrap_or_default();
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let mut least = i64::MAX;
        for (delta, &value) in deltas.iter_mut().zip(block) {
            *delta = match width {
                Width::Bits32 => i64::from((value as i32).wrapping_sub(before as i32)),
                Width::Bits64 => value.wrapping_sub(before),
            };
            least = least.min(*delta);
            before = value;
        }
        push_zigzag(least, out);
        let used = deltas.get_mut(..block.len()).unwrap_or_default();
        for delta in &mut *used {
            *delta = delta.wrapping_sub(least);
        }
        let widths_at = out.len();
        out.extend_from_slice(&[0; MINIBLOCKS]);
        for (mini, part) in used.chunks(MINIBLOCK).enumerate() {
            let all = part.iter().fold(0, |all, delta| all | *delta as u64);
            let width = u64::BITS - all.leading_zeros();
            if let Some(place) = out.get_mut(widths_at + mini) {
                *place = width as u8;
            }
            pack(part, width, out);
        }
    }
}

/// Appends `count` values: one, then always another.
pub(super) fn encode_after(first: i64, count: usize, value: i64, out: &mut Vec<u8>) {
    push_head(count, if count == 0 { 0 } else { first }, out);
    let mut begin = [value; 1 + BLOCK];
    begin[0] = first;
    blocks(begin.get(..count).unwrap_or(&begin), Width::Bits32, out);
    for _ in 0..count.saturating_sub(1 + BLOCK).div_ceil(BLOCK) {
        // The least difference is 0, and so are all widths.
        out.extend_from_slice(&[0; 1 + MINIBLOCKS]);
    }
}

fn push_head(count: usize, first: i64, out: &mut Vec<u8>) {
    push_varint(BLOCK as u64, out);
    push_varint(MINIBLOCKS as u64, out);
    push_varint(count as u64, out);
    push_zigzag(first, out);
}

/// Appends 32 numbers of `width` bits; those that are not there are zeros.
fn pack(part: &[i64], width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let end = out.len() + MINIBLOCK / 8 * width as usize;
    let (mut word, mut bits) = (0u64, 0);
    for &value in part {
        let value = value as u64;
        word |= value << bits;
        bits += width;
        if bits >= u64::BITS {
            out.extend_from_slice(&word.to_le_bytes());
            bits -= u64::BITS;
            word = if bits == 0 { 0 } else { value >> (width - bits) };
        }
    }
    out.extend_from_slice(&word.to_le_bytes());
    out.resize(end, 0);
}

fn push_zigzag(value: i64, out: &mut Vec<u8>) {
    push_varint((value as u64) << 1 ^ (value >> 63) as u64, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_after_another_is_a_case_of_any() {
        for (first, value) in [(30, 30), (0, 2), (30, 28)] {
            for count in [0, 1, 2, 128, 129, 130, 257, 258, 1_000] {
                let (mut any, mut after) = (Vec::new(), Vec::new());
                let mut values = vec![value; count];
                values.iter_mut().take(1).for_each(|v| *v = first);
                encode(&values, Width::Bits32, &mut any);
                encode_after(first, count, value, &mut after);
                assert_eq!(any, after, "{count} of {value} after {first}");
            }
        }
    }

    #[test]
    fn example_of_the_format() {
        // Encodings.md: 7, 5, 3, 1, 2, 3, 4, 5 have the first value 7, the least difference -2 and the differences
        // 0 0 0 3 3 3 3 above it, in two bits.
        let mut out = Vec::new();
        encode(&[7, 5, 3, 1, 2, 3, 4, 5], Width::Bits64, &mut out);
        let head = [0x80, 0x01, 4, 8, 14, 3, 2, 0, 0, 0];
        assert_eq!(out, [head.as_slice(), &[0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0]].concat());
    }
}
