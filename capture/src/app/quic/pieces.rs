//! The beginning of a handshake, put together from pieces that come in any order and more than once.

use std::ops::Range;

/// Bytes of a ClientHello that are put together.
pub(super) const MAX_BYTES: usize = 32 << 10;
/// Holes between pieces; browsers send some dozens of pieces on purpose.
const MAX_RANGES: usize = 256;
/// Type and length of a handshake message (RFC 8446 4).
const HEADER: usize = 4;

/// What has come.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// Which of them are there: apart and in order.
    ranges: Vec<Range<usize>>,
}

impl Pieces {
    /// Adds a piece; `false` where it goes beyond the bounds. What is there already stays as it is.
    pub(super) fn add(&mut self, offset: u64, data: &[u8]) -> bool {
        let Some(begin) = usize::try_from(offset).ok().filter(|begin| begin.saturating_add(data.len()) <= MAX_BYTES)
        else {
            return false;
        };
        let end = begin + data.len();
        if data.is_empty() {
            return true;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let mut merged = begin..end;
        let mut at = begin;
        let mut kept = Vec::with_capacity(self.ranges.len() + 1);
        for range in self.ranges.drain(..) {
            if range.end < begin || range.start > end {
                kept.push(range);
                continue;
            }
            // Up to this range is new.
            copy(&mut self.bytes, begin, data, at..range.start.min(end));
            at = at.max(range.end);
            merged = merged.start.min(range.start)..merged.end.max(range.end);
        }
        copy(&mut self.bytes, begin, data, at..end);
        let place = kept.partition_point(|range| range.start < merged.start);
        kept.insert(place, merged);
        self.ranges = kept;
        self.ranges.len() <= MAX_RANGES
    }

    /// Bytes from the beginning without a hole.
    pub(super) fn start(&self) -> &[u8] {
        let end = self.ranges.first().filter(|range| range.start == 0).map_or(0, |range| range.end);
        self.bytes.get(..end).unwrap_or_default()
    }

    /// Bytes of the first handshake message with its header, once its length is known.
    pub(super) fn wanted(&self) -> Option<usize> {
        let &[_, a, b, c] = self.start().first_chunk::<HEADER>()?;
        Some(HEADER + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)))
    }

    /// The first handshake message, as far as it is there, without its header, and whether it is whole.
    pub(super) fn message(&self) -> (&[u8], bool) {
        let (start, wanted) = (self.start(), self.wanted().unwrap_or(usize::MAX));
        (start.get(HEADER..start.len().min(wanted)).unwrap_or_default(), start.len() >= wanted)
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Copies what of `data`, which begins at `begin`, lies in `part`.
fn copy(bytes: &mut [u8], begin: usize, data: &[u8], part: Range<usize>) {
    let from = data.get(part.start.saturating_sub(begin)..part.end.saturating_sub(begin));
    if let (Some(to), Some(from)) = (bytes.get_mut(part), from) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_order_gives_the_whole(
            len in 1_usize..600,
            cuts in proptest::collection::vec((0_usize..600, 1_usize..80), 1..40),
        ) {
            let whole: Vec<u8> = (0..len).map(|n| (n * 7 + 3) as u8).collect();
            let mut pieces = Pieces::default();
            let mut there = vec![false; len];
            for (begin, size) in cuts {
                let (begin, end) = (begin.min(len), (begin + size).min(len));
                prop_assert!(pieces.add(begin as u64, &whole[begin..end]));
                there[begin..end].fill(true);
            }
            let start = there.iter().take_while(|t| **t).count();
            prop_assert_eq!(pieces.start(), &whole[..start]);
            prop_assert!(pieces.ranges.windows(2).all(|w| w[0].end < w[1].start));
        }
    }

    #[test]
    fn what_came_first_counts() {
        let mut pieces = Pieces::default();
        assert!(pieces.add(2, b"cd") && pieces.add(0, b"abXXe"));
        assert_eq!(pieces.start(), b"abcde");
    }

    #[test]
    fn pieces_beyond_the_bounds_are_refused() {
        let mut pieces = Pieces::default();
        assert!(!pieces.add(u64::MAX, b"x") && !pieces.add(MAX_BYTES as u64, b"x"));
        let alternate = (0..=MAX_RANGES as u64).all(|n| pieces.add(n * 2, b"x"));
        assert!(!alternate);
    }
}
