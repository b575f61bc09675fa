//! Parquet's RLE / bit-packing hybrid (encoding 3 and 8 of the format): levels and dictionary codes.
//!
//! Eight or more equal values become a run, others are packed eight at a time. One pass, no buffer of its own.

/// Bits needed for values up to `largest`.
pub(super) const fn width(largest: u32) -> u32 {
    u32::BITS - largest.leading_zeros()
}

/// Appends `values`, each of which fits `width` bits.
pub(super) fn encode<T: Copy + Eq + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let mut at = 0;
    // Groups of eight that wait to be packed begin here.
    let mut packed = 0;
    while let Some(rest) = values.get(at..).filter(|rest| !rest.is_empty()) {
        match rest.first_chunk::<8>() {
            Some(eight) if eight.iter().any(|v| *v != eight[0]) => at += 8,
            Some(&[value, ..]) => {
                let run = rest.iter().position(|v| *v != value).unwrap_or(rest.len());
                pack(values.get(packed..at).unwrap_or_default(), width, out);
                push_run(run, value.into(), width, out);
                at += run;
                packed = at;
            }
            None => {
                // Fewer than eight are left: a run if they are equal, else the last group, filled up.
                let first = rest[0];
                if rest.iter().all(|v| *v == first) {
                    pack(values.get(packed..at).unwrap_or_default(), width, out);
                    push_run(rest.len(), first.into(), width, out);
                    packed = values.len();
                }
                at = values.len();
            }
        }
    }
    pack(values.get(packed..).unwrap_or_default(), width, out);
}

/// Appends a run of one value.
pub(super) fn push_run(length: usize, value: u32, width: u32, out: &mut Vec<u8>) {
    push_varint((length as u64) << 1, out);
    let bytes = value.to_le_bytes();
    out.extend_from_slice(bytes.get(..width.div_ceil(8) as usize).unwrap_or(&bytes));
}

/// Appends values packed, in groups of eight; the last is filled with zeros.
fn pack<T: Copy + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    push_varint((values.len().div_ceil(8) as u64) << 1 | 1, out);
    let bytes = width as usize;
    out.reserve(values.len().div_ceil(8) * bytes);
    for group in values.chunks(8) {
        if width <= 16 {
            let word = group.iter().rev().fold(0u128, |word, v| word << width | u128::from((*v).into()));
            out.extend_from_slice(word.to_le_bytes().get(..bytes).unwrap_or_default());
        } else {
            let halves = group.split_at_checked(4).unwrap_or((group, &[]));
            // Four values of 17 to 32 bits fill a half of the group: `width` times four bits, whole bytes or not.
            let [low, high] = [halves.0, halves.1]
                .map(|half| half.iter().rev().fold(0u128, |word, v| word << width | u128::from((*v).into())));
            let low_bits = 4 * width;
            let first = low | high.checked_shl(low_bits).unwrap_or(0);
            let second = if low_bits == 128 { high } else { high >> (128 - low_bits) };
            let whole = [first.to_le_bytes(), second.to_le_bytes()];
            out.extend_from_slice(whole.as_flattened().get(..bytes).unwrap_or_default());
        }
    }
}

/// Appends an unsigned LEB128 number.
pub(super) fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    /// A reader written from the format's text, bit by bit.
    fn decode(mut bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let mut out = Vec::new();
        while out.len() < count {
            let mut header = 0u64;
            for shift in (0..).step_by(7) {
                let (byte, rest) = bytes.split_first().unwrap();
                bytes = rest;
                header |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 0 {
                let (value, rest) = bytes.split_at(width.div_ceil(8) as usize);
                bytes = rest;
                let value = value.iter().rev().fold(0u32, |v, b| v << 8 | u32::from(*b));
                out.extend(std::iter::repeat_n(value, (header >> 1) as usize));
            } else {
                let groups = (header >> 1) as usize;
                let (packed, rest) = bytes.split_at(groups * width as usize);
                bytes = rest;
                let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
                for value in 0..groups * 8 {
                    out.push((0..width as usize).map(|b| bit(value * width as usize + b) << b).sum());
                }
            }
        }
        assert!(bytes.is_empty(), "nothing is left over");
        assert!(out[count..].iter().all(|v| *v == 0) && out.len() < count + 8);
        out.truncate(count);
        out
    }

    proptest! {
        #[test]
        fn reads_back(width in 0u32..=32, runs in prop::collection::vec((any::<u32>(), 1usize..40, any::<bool>()), 0..40)) {
            let mask = if width == 0 { 0 } else { u32::MAX >> (32 - width) };
            let mut values = Vec::new();
            for (seed, length, equal) in runs {
                values.extend((0..length as u32).map(|i| if equal { seed } else { seed.wrapping_mul(i * 2 + 1) } & mask));
            }
            let mut out = Vec::new();
            encode(&values, width, &mut out);
            prop_assert_eq!(decode(&out, width, values.len()), values);
        }
    }

    #[test]
    fn example_of_the_format() {
        // Encodings.md: 0 to 7 in three bits.
        let mut out = Vec::new();
        encode(&[0u32, 1, 2, 3, 4, 5, 6, 7], 3, &mut out);
        assert_eq!(out, [0b0000_0011, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
    }
}
