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

/// Numbers of the texts of one batch, by where they lie: columns with a dictionary have the same few texts in row after row.
#[derive(Debug)]
pub(super) struct Memo {
    /// Address, length, batch and number.
    slots: Vec<(usize, u32, u32, u32)>,
    batch: u32,
}

impl Memo {
    const SLOTS: usize = 1 << 12;

    pub(super) fn new() -> Self {
        Self { slots: vec![(0, 0, 0, 0); Self::SLOTS], batch: 0 }
    }

    /// Another batch: where a text lay, another may lie now.
    pub(super) fn forget(&mut self) {
        self.batch = self.batch.wrapping_add(1);
        if self.batch == 0 {
            self.slots.fill((0, 0, 0, 0));
            self.batch = 1;
        }
    }

    /// The number of a text, as it was found before in this batch, else by `find`. To be called after [`Self::forget`], with texts that stay where they
    /// are until the next call of it.
    pub(super) fn get(&mut self, text: &str, find: impl FnOnce(&str) -> Option<u32>) -> Option<u32> {
        let (at, len) = (text.as_ptr() as usize, text.len() as u32);
        // Texts of a dictionary lie one behind the other.
        let slot = self.slots.get_mut((at ^ at >> 12) % Self::SLOTS)?;
        if (slot.0, slot.1, slot.2) == (at, len, self.batch) {
            return Some(slot.3);
        }
        let number = find(text)?;
        *slot = (at, len, self.batch, number);
        Some(number)
    }
}

fn text_at<'a>(bytes: &'a str, ends: &[usize], place: u32) -> &'a str {
    let at = place as usize;
    let from = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(at).and_then(|to| bytes.get(from..*to)).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_once_a_batch() {
        let (mut memo, mut looks) = (Memo::new(), 0);
        let texts = "10.0.0.1,10.0.0.12";
        for _ in 0..3 {
            memo.forget();
            for text in [&texts[..8], &texts[9..], &texts[9..17], &texts[..8], &texts[9..]] {
                let mut find = |text: &str| {
                    looks += 1;
                    Some(text.len() as u32)
                };
                assert_eq!(memo.get(text, &mut find), Some(text.len() as u32), "{text}");
            }
        }
        // The third text takes the place of the second, which begins where it does.
        assert_eq!(looks, 3 * 4);
        assert_eq!(memo.get("unknown", |_| None), None);
    }
}
