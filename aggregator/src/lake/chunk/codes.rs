//! Dictionary codes: the distinct values of a column, numbered in the order they come.
//!
//! The hash is keyed by a number drawn once per process, so that crafted names and addresses do not pile up; the
//! codes do not depend on it.

use std::hash::BuildHasher as _;
use std::sync::LazyLock;

use super::column::Scratch;
use super::hybrid;
use super::pile::Pile;

/// A value that a dictionary can be keyed by.
pub(in crate::lake) trait Key: Copy + Eq {
    /// Its bits, in one or more words, given to `mix` one after the other.
    fn words(&self, mix: impl FnMut(u128));
}

impl Key for i64 {
    #[inline]
    fn words(&self, mut mix: impl FnMut(u128)) {
        mix(*self as u64 as u128);
    }
}

/// A word that the program knows, told apart by where it stands: that is one comparison. The same word at two places
/// would be two entries of a dictionary, which means the same.
#[derive(Clone, Copy)]
pub(in crate::lake) struct Word(pub(in crate::lake) &'static str);

impl PartialEq for Word {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Word {}

impl Key for Word {
    #[inline]
    fn words(&self, mut mix: impl FnMut(u128)) {
        mix((self.0.as_ptr() as usize as u128) << 16 | self.0.len() as u128);
    }
}

impl Key for &str {
    #[inline]
    fn words(&self, mut mix: impl FnMut(u128)) {
        let (wholes, rest) = self.as_bytes().as_chunks::<16>();
        for whole in wholes {
            mix(u128::from_le_bytes(*whole));
        }
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        // Of two texts of which one goes on with zeros, the lengths differ.
        mix(u128::from_le_bytes(last) ^ (self.len() as u128) << 120);
    }
}

static SEEDS: LazyLock<[u64; 2]> = LazyLock::new(|| {
    let random = std::hash::RandomState::new();
    [random.hash_one(0), random.hash_one(1)]
});

/// Hashes keys.
#[derive(Clone, Copy)]
struct Hasher([u64; 2]);

impl Hasher {
    #[inline]
    fn hash(self, key: &impl Key) -> u32 {
        let [mut state, seed] = self.0;
        key.words(|word| {
            let product = u128::from(state ^ word as u64).wrapping_mul(u128::from((word >> 64) as u64 ^ seed));
            // The state is mixed again: a product by zero must not forget the rest.
            let folded = (product >> 64) as u64 ^ product as u64 ^ word as u64;
            let again = u128::from(folded ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            state = (again >> 64) as u64 ^ again as u64;
        });
        (state >> 32) as u32
    }
}

/// Open addressing over hash and code; who asks compares the values.
struct Index {
    hasher: Hasher,
    /// Hash in the upper half, code + 1 in the lower; 0 = vacant.
    places: Vec<u64>,
    len: u32,
}

/// Places when the first value comes.
const PLACES: usize = 16;

impl Index {
    fn new() -> Self {
        Self { hasher: Hasher(*SEEDS), places: Vec::new(), len: 0 }
    }

    /// The code of the value with this hash of which `is` says that it is the one; a new code if there is none.
    #[inline]
    fn code(&mut self, hash: u32, is: impl Fn(u32) -> bool) -> (u32, bool) {
        if self.len as usize * 2 >= self.places.len() {
            self.grow();
        }
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let place = self.places[at];
            if place == 0 {
                break;
            }
            let code = place as u32 - 1;
            if (place >> 32) as u32 == hash && is(code) {
                return (code, false);
            }
            at = (at + 1) & mask;
        }
        let code = self.len;
        self.places[at] = u64::from(hash) << 32 | u64::from(code + 1);
        self.len += 1;
        (code, true)
    }

    #[cold]
    fn grow(&mut self) {
        let old = std::mem::take(&mut self.places);
        self.places = vec![0; (old.len() * 4).max(PLACES)];
        let mask = self.places.len() - 1;
        for place in old.into_iter().filter(|place| *place != 0) {
            let mut at = (place >> 32) as usize & mask;
            while self.places[at] != 0 {
                at = (at + 1) & mask;
            }
            self.places[at] = place;
        }
    }

    fn clear(&mut self) {
        self.places.clear();
        self.len = 0;
    }
}

/// The codes of a column's values. While there is one distinct value they are only counted.
#[derive(Default)]
struct Sequence {
    codes: Pile<u32>,
    len: usize,
}

impl Sequence {
    #[inline]
    fn push(&mut self, code: u32) {
        if code != 0 || !self.codes.is_empty() {
            self.push_other(code);
        }
        self.len += 1;
    }

    #[inline]
    fn push_other(&mut self, code: u32) {
        if self.codes.is_empty() {
            (0..self.len).for_each(|_| self.codes.push(0));
        }
        self.codes.push(code);
    }

    /// Appends the codes of these values, as a page has them.
    fn page(&self, at: &[u32], distinct: usize, scratch: &mut Scratch, out: &mut Vec<u8>) {
        let width = match hybrid::width(u32::try_from(distinct.saturating_sub(1)).unwrap_or(u32::MAX)) {
            // Codes of addresses take a sixth less when the compressor sees them as bytes.
            9..16 if scratch.for_compression => 16,
            width => width,
        };
        let scratch = &mut scratch.codes;
        out.push(width as u8);
        if self.codes.is_empty() {
            return hybrid::push_run(at.len(), 0, width, out);
        }
        scratch.clear();
        scratch.extend(at.iter().map(|at| self.codes.get(*at)));
        hybrid::encode(scratch, width, out);
    }

    fn code(&self, at: u32) -> u32 {
        if self.codes.is_empty() { 0 } else { self.codes.get(at) }
    }

    fn clear(&mut self) {
        self.codes.clear();
        self.len = 0;
    }
}

/// Values as codes, with small fixed-size keys.
pub(super) struct Codes<K> {
    index: Index,
    pub(super) keys: Vec<K>,
    sequence: Sequence,
    last: Option<(K, u32)>,
}

impl<K: Key> Codes<K> {
    pub(super) fn new() -> Self {
        Self { index: Index::new(), keys: Vec::new(), sequence: Sequence::default(), last: None }
    }

    #[inline]
    pub(super) fn push(&mut self, key: K) {
        let code = match self.last {
            Some((last, code)) if last == key => code,
            _ => self.look_up(key),
        };
        self.sequence.push(code);
    }

    fn look_up(&mut self, key: K) -> u32 {
        let Self { index, keys, .. } = self;
        let (code, new) = index.code(index.hasher.hash(&key), |code| keys[code as usize] == key);
        if new {
            keys.push(key);
        }
        self.last = Some((key, code));
        code
    }

    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.keys.clear();
        self.sequence.clear();
        self.last = None;
    }
}

impl<K> Codes<K> {
    pub(super) const fn len(&self) -> usize {
        self.sequence.len
    }

    /// The code of a value.
    pub(super) fn code(&self, at: u32) -> u32 {
        self.sequence.code(at)
    }

    /// Appends the codes of these values, as a page has them.
    pub(super) fn page(&self, at: &[u32], scratch: &mut Scratch, out: &mut Vec<u8>) {
        self.sequence.page(at, self.keys.len(), scratch, out);
    }
}

/// Texts as codes.
pub(super) struct TextCodes {
    index: Index,
    pub(super) bytes: Vec<u8>,
    /// Where each distinct text ends.
    pub(super) ends: Vec<usize>,
    sequence: Sequence,
    /// Code of the text that came last: answers have one name again and again.
    last: u32,
}

impl TextCodes {
    pub(super) fn new() -> Self {
        Self { index: Index::new(), bytes: Vec::new(), ends: Vec::new(), sequence: Sequence::default(), last: 0 }
    }

    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        let Self { index, bytes, ends, sequence, last } = self;
        if ends.len() as u32 > *last && get(bytes, ends, *last) == text.as_bytes() {
            return sequence.push(*last);
        }
        let (code, new) = index.code(index.hasher.hash(&text), |code| get(bytes, ends, code) == text.as_bytes());
        if new {
            bytes.extend_from_slice(text.as_bytes());
            ends.push(bytes.len());
        }
        *last = code;
        sequence.push(code);
    }

    pub(super) fn clear(&mut self) {
        self.last = 0;
        self.index.clear();
        self.bytes.clear();
        self.ends.clear();
        self.sequence.clear();
    }

    pub(super) const fn len(&self) -> usize {
        self.sequence.len
    }

    /// The code of a value.
    pub(super) fn code(&self, at: u32) -> u32 {
        self.sequence.code(at)
    }

    /// Appends the codes of these values, as a page has them.
    pub(super) fn page(&self, at: &[u32], scratch: &mut Scratch, out: &mut Vec<u8>) {
        self.sequence.page(at, self.ends.len(), scratch, out);
    }
}

/// The distinct text with a code.
#[inline]
pub(super) fn get<'a>(bytes: &'a [u8], ends: &[usize], code: u32) -> &'a [u8] {
    let code = code as usize;
    let start = if code == 0 { 0 } else { ends[code - 1] };
    &bytes[start..ends[code]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_order_of_first_appearance() {
        let mut codes = Codes::new();
        let values: Vec<i64> = (0..10_000).map(|i| i * i % 1_117).collect();
        values.iter().for_each(|v| codes.push(*v));
        let mut seen: Vec<i64> = Vec::new();
        for (value, code) in values.iter().zip((0..).map(|at| codes.code(at))) {
            let expected = seen.iter().position(|s| s == value).unwrap_or_else(|| {
                seen.push(*value);
                seen.len() - 1
            });
            assert_eq!(code as usize, expected);
        }
        assert_eq!(codes.keys, seen);
    }

    #[test]
    fn texts_that_differ_in_zeros_or_length_differ() {
        let texts = ["", "\0", "\0\0", "a", "a\0", "0123456789abcdef", "0123456789abcdef\0", "0123456789abcdefg"];
        let mut codes = TextCodes::new();
        for _ in 0..3 {
            texts.iter().for_each(|t| codes.push(t));
        }
        let all: Vec<u32> = (0..24).map(|at| codes.code(at)).collect();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7].repeat(3));
        codes.clear();
        codes.push("b");
        assert_eq!((codes.len(), codes.code(0), get(&codes.bytes, &codes.ends, 0)), (1, 0, b"b".as_slice()));
    }
}
