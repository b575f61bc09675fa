//! Texts as small numbers, in one growing buffer: no allocation for a text already known.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Numbers for texts, in the order they came. Bounded in entries and in bytes; the hash is keyed, so that crafted texts cannot slow it.
///
/// Memory: the texts' bytes, and about 14 bytes each.
#[derive(Clone, Debug)]
pub(super) struct Interner {
    bytes: String,
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    most: usize,
    most_bytes: usize,
}

impl Interner {
    /// For at most so many texts of at most so many bytes together.
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            bytes: String::new(),
            ends: Vec::new(),
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            most: most.min(u32::MAX as usize - 1),
            most_bytes,
        }
    }

    /// The text's number, a new one if there is room; `None` if there is not.
    pub(super) fn place(&mut self, text: &str) -> Option<u32> {
        if let Some(place) = self.get(text) {
            return Some(place);
        }
        let room = self.ends.len() < self.most && self.bytes.len().saturating_add(text.len()) <= self.most_bytes;
        room.then(|| self.insert(text))
    }

    /// The text's number, a new one even past the bounds: for the one or two names that stand for all others.
    pub(super) fn force(&mut self, text: &str) -> u32 {
        self.get(text).unwrap_or_else(|| self.insert(text))
    }

    /// The text's number, if it has one.
    pub(super) fn get(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.table.find(hash, |place| text_at(&self.bytes, &self.ends, *place) == text).copied()
    }

    fn insert(&mut self, text: &str) -> u32 {
        let place = self.ends.len() as u32;
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
        let Self { bytes, ends, table, hasher, .. } = self;
        let hash = hasher.hash_one(text);
        table.insert_unique(hash, place, |place| hasher.hash_one(text_at(bytes, ends, *place)));
        place
    }

    /// The text of a number; empty for a number never given.
    pub(super) fn text(&self, place: u32) -> &str {
        text_at(&self.bytes, &self.ends, place)
    }

    /// Texts.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

fn text_at<'a>(bytes: &'a str, ends: &[usize], place: u32) -> &'a str {
    let at = place as usize;
    let from = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(at).and_then(|to| bytes.get(from..*to)).unwrap_or("")
}
