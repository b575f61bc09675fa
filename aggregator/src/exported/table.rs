//! Connections that wait, or are remembered, in numbered places that are found by key.
//!
//! A place is small and its uniflows lie outside of it: most connections are only remembered for their next segment.

use capture::Nanos;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

use super::once::Half;
use super::pair::Key;

/// What is kept of a connection whose record was written, for the next segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) flow_start: Nanos,
    pub(super) last: Nanos,
    pub(super) segment: u32,
    /// Whether the higher end began.
    pub(super) high_began: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) halves: [Option<Box<Half>>; 2],
    pub(super) past: Option<Past>,
    /// Tells which of the deadlines is meant; it goes on when the place is taken again.
    pub(super) turn: u32,
}

impl Entry {
    /// Whether a uniflow waits.
    pub(super) fn waits(&self) -> bool {
        self.halves.iter().any(Option::is_some)
    }
}

/// Places that are made at once.
const CHUNK: usize = 1_024;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Seeded anew in each process.
    hasher: DefaultHashBuilder,
    index: HashTable<u32>,
    /// In chunks that never move, so that growing copies nothing.
    chunks: Vec<Vec<Entry>>,
    vacant: Vec<u32>,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Where the connection is.
    pub(super) fn find(&self, key: &Key) -> Option<u32> {
        let is = |at: &u32| get(&self.chunks, *at).key == *key;
        self.index.find(self.hasher.hash_one(key), is).copied()
    }

    /// A place for a connection that has none.
    pub(super) fn insert(&mut self, key: Key) -> u32 {
        let at = match self.vacant.pop() {
            Some(at) => {
                self.entry(at).key = key;
                at
            }
            None => {
                if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                    self.chunks.push(Vec::with_capacity(CHUNK));
                }
                let before = (self.chunks.len() - 1) * CHUNK;
                let chunk = &mut self.chunks[before / CHUNK];
                chunk.push(Entry { key, halves: [None, None], past: None, turn: 0 });
                (before + chunk.len() - 1) as u32
            }
        };
        let Self { hasher, index, chunks, .. } = self;
        index.insert_unique(hasher.hash_one(key), at, |at| hasher.hash_one(get(chunks, *at).key));
        at
    }

    /// What is at a place that [`Self::insert`] gave.
    pub(super) fn entry(&mut self, at: u32) -> &mut Entry {
        &mut self.chunks[at as usize / CHUNK][at as usize % CHUNK]
    }

    /// Whether a deadline that was set at this turn of a place holds.
    pub(super) fn is_at(&self, at: u32, turn: u32) -> bool {
        get(&self.chunks, at).turn == turn
    }

    /// The place is free again.
    pub(super) fn remove(&mut self, at: u32) {
        let entry = self.entry(at);
        (entry.halves, entry.past) = ([None, None], None);
        entry.turn = entry.turn.wrapping_add(1);
        let key = entry.key;
        if let Ok(found) = self.index.find_entry(self.hasher.hash_one(key), |other| *other == at) {
            found.remove();
            self.vacant.push(at);
        }
    }

    /// Places at which a uniflow waits.
    pub(super) fn waiting(&self) -> Vec<u32> {
        self.index.iter().copied().filter(|at| get(&self.chunks, *at).waits()).collect()
    }

    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.chunks.clear();
        self.vacant.clear();
    }
}

fn get(chunks: &[Vec<Entry>], at: u32) -> &Entry {
    &chunks[at as usize / CHUNK][at as usize % CHUNK]
}
