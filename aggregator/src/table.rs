//! The index of the flow table: from a key to the number of its flow.
//!
//! Open addressing with linear probing; an entry is one cache line and has the whole key, so two flows are
//! never taken for one. Removal shifts back what follows, so there are no tombstones and a table that has
//! been full is as quick as a new one. It doubles at three quarters full and moves the old entries a few
//! at a time as new ones come, so no packet pays for all of it (the doubled array itself is allocated and
//! cleared at once: some 0.3 ms per MiB). Limit: [`Table::new`]'s `max`, above which the caller must not go.

use crate::key::{Key, KeyHasher};

/// Old entries moved with each insertion. The old array is empty long before the new one is full: it has
/// `n` places, and the new one takes 0.75·n more entries before it doubles again.
const MOVED_PER_INSERT: usize = 8;

/// One cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Entry {
    key: Key,
    hash: u64,
    /// Number of the flow + 1; 0 = vacant.
    occupant: u32,
}

impl Entry {
    const VACANT: Self = Self { key: Key::NONE, hash: 0, occupant: 0 };
}

/// One array of entries; its length is a power of two.
#[derive(Debug)]
struct Array {
    entries: Vec<Entry>,
    mask: usize,
    len: usize,
}

impl Array {
    fn new(places: usize) -> Self {
        let places = places.next_power_of_two();
        Self { entries: vec![Entry::VACANT; places], mask: places - 1, len: 0 }
    }

    #[inline]
    fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        let mut at = hash as usize & self.mask;
        // Bounded though a vacant place always exists: no loop without an end.
        for _ in 0..=self.mask {
            let entry = &self.entries[at];
            if entry.occupant == 0 {
                return None;
            }
            if entry.hash == hash && entry.key == *key {
                return Some(entry.occupant - 1);
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    /// Where the flow's entry is.
    fn place(&self, hash: u64, flow: u32) -> Option<usize> {
        let mut at = hash as usize & self.mask;
        for _ in 0..=self.mask {
            match self.entries[at].occupant {
                0 => return None,
                occupant if occupant == flow + 1 => return Some(at),
                _ => at = (at + 1) & self.mask,
            }
        }
        None
    }

    fn insert(&mut self, entry: Entry) {
        let mut at = entry.hash as usize & self.mask;
        while self.entries[at].occupant != 0 {
            at = (at + 1) & self.mask;
        }
        self.entries[at] = entry;
        self.len += 1;
    }

    /// Empties a place and closes the gap: each follower that may stand there moves back.
    fn remove_at(&mut self, place: usize) -> Entry {
        let removed = self.entries[place];
        let mut gap = place;
        let mut at = place;
        loop {
            at = (at + 1) & self.mask;
            let follower = self.entries[at];
            if follower.occupant == 0 {
                break;
            }
            let home = follower.hash as usize & self.mask;
            // Distances in the direction of probing: it may move unless its home lies after the gap.
            if (at.wrapping_sub(home) & self.mask) >= (at.wrapping_sub(gap) & self.mask) {
                self.entries[gap] = follower;
                gap = at;
            }
        }
        self.entries[gap] = Entry::VACANT;
        self.len -= 1;
        removed
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Table {
    hasher: KeyHasher,
    current: Array,
    /// The array before the last doubling, and the place up to which it has been emptied.
    old: Option<(Array, usize)>,
    max_places: usize,
    doublings: u64,
}

impl Table {
    /// Room for `initial` flows at first and for `max` at most.
    pub(crate) fn new(hasher: KeyHasher, initial: usize, max: usize) -> Self {
        let places = |flows: usize| (flows.max(12) / 3 * 4 + 4).next_power_of_two();
        Self { hasher, current: Array::new(places(initial.min(max))), old: None, max_places: places(max), doublings: 0 }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &Key) -> u64 {
        self.hasher.hash(key)
    }

    pub(crate) const fn doublings(&self) -> u64 {
        self.doublings
    }

    /// The number of the key's flow.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        match self.current.find(hash, key) {
            None => self.old.as_ref().and_then(|(old, _)| old.find(hash, key)),
            found => found,
        }
    }

    /// The key of a flow that is in the table.
    pub(crate) fn key(&self, hash: u64, flow: u32) -> Option<Key> {
        let in_array = |array: &Array| array.place(hash, flow).map(|at| array.entries[at].key);
        in_array(&self.current).or_else(|| self.old.as_ref().and_then(|(old, _)| in_array(old)))
    }

    /// Adds a flow whose key is not in the table.
    pub(crate) fn insert(&mut self, hash: u64, key: Key, flow: u32) {
        self.move_some(MOVED_PER_INSERT);
        let places = self.current.mask + 1;
        if (self.current.len + 1) * 4 > places * 3 && places < self.max_places {
            self.move_some(usize::MAX);
            let old = std::mem::replace(&mut self.current, Array::new(places * 2));
            self.old = Some((old, 0));
            self.doublings += 1;
        }
        self.current.insert(Entry { key, hash, occupant: flow + 1 });
    }

    /// Takes a flow out; gives its key.
    pub(crate) fn remove(&mut self, hash: u64, flow: u32) -> Option<Key> {
        if let Some(at) = self.current.place(hash, flow) {
            return Some(self.current.remove_at(at).key);
        }
        let (old, _) = self.old.as_mut()?;
        old.place(hash, flow).map(|at| old.remove_at(at).key)
    }

    /// Moves entries of up to `places` places of the old array to the current one.
    fn move_some(&mut self, places: usize) {
        let Some((old, at)) = &mut self.old else { return };
        let end = at.saturating_add(places).min(old.mask + 1);
        while *at < end {
            // What follows shifts into the emptied place, so the place is looked at until it is vacant.
            while old.entries[*at].occupant != 0 {
                let entry = old.remove_at(*at);
                self.current.insert(entry);
            }
            *at += 1;
        }
        if old.len == 0 {
            self.old = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn key(n: u64) -> Key {
        Key([n, 0, 0, n, 1])
    }

    /// Inserts and removes against a map; keys are few, so that both happen.
    fn equals_a_map(hasher: KeyHasher, operations: &[(bool, u16)]) {
        let mut table = Table::new(hasher, 4, 512);
        let mut model = BTreeMap::new();
        for &(insert, n) in operations {
            let key = key(u64::from(n % 512));
            let hash = table.hash(&key);
            let flow = u32::from(n % 512);
            assert_eq!(table.find(hash, &key), model.get(&key).copied());
            if insert && !model.contains_key(&key) {
                table.insert(hash, key, flow);
                model.insert(key, flow);
            } else if !insert && model.remove(&key).is_some() {
                assert_eq!(table.remove(hash, flow), Some(key));
            }
        }
        for n in 0..512 {
            let key = key(n);
            let hash = table.hash(&key);
            assert_eq!(table.find(hash, &key), model.get(&key).copied());
            assert_eq!(table.key(hash, n as u32), model.contains_key(&key).then_some(key));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn is_a_map(seed: u64, operations in prop::collection::vec((prop::bool::weighted(0.6), any::<u16>()), 0..2_000)) {
            equals_a_map(KeyHasher::new(seed), &operations);
        }

        #[test]
        fn is_a_map_when_all_keys_collide(operations in prop::collection::vec((prop::bool::weighted(0.6), any::<u16>()), 0..400)) {
            equals_a_map(KeyHasher::new(1).masked(0), &operations);
            equals_a_map(KeyHasher::new(1).masked(3 << 62 | 3), &operations);
        }
    }

    /// Entries looked at to find a key.
    fn probes(table: &Table, key: &Key) -> usize {
        let array = &table.current;
        let home = table.hash(key) as usize & array.mask;
        (0..=array.mask).find(|i| array.entries[(home + i) & array.mask].key == *key).map_or(usize::MAX, |i| i + 1)
    }

    #[test]
    fn scans_and_floods_do_not_cluster() {
        // A port scan, an address scan and a SYN flood from counted addresses, as keys have them.
        let pair = |low: u64, high: u64, ports: u64| {
            Key([0, 0xffff << 32 | low, 0, 0xffff << 32 | high, ports << 32 | 0x0604])
        };
        let patterns: [&dyn Fn(u64) -> Key; 3] = [
            &|i| pair(0x0a00_0001, 0x0a00_0002, 40_000 << 16 | i & 0xffff),
            &|i| pair(0x0a00_0001, 0x0b00_0000 + i, 40_000 << 16 | 22),
            &|i| pair(0x0a00_0001, 0x0b00_0000 + i.reverse_bits() as u32 as u64, 80 << 16 | i & 0xffff),
        ];
        for (n, pattern) in patterns.iter().enumerate() {
            let flows = 49_152;
            let mut table = Table::new(KeyHasher::new(7), flows, flows);
            for i in 0..flows as u64 {
                let key = pattern(i);
                table.insert(table.hash(&key), key, i as u32);
            }
            let mean = (0..flows as u64).map(|i| probes(&table, &pattern(i))).sum::<usize>() as f64 / flows as f64;
            // Knuth: 2.5 for random keys in a table three quarters full.
            assert!(mean < 2.8, "pattern {n}: {mean}");
        }
    }

    #[test]
    fn direction_does_not_cancel() {
        let hasher = KeyHasher::new(3);
        let hashes: std::collections::BTreeSet<u64> = (0..1_000).map(|n| hasher.hash(&Key([n, n, n, n, 0]))).collect();
        assert_eq!(hashes.len(), 1_000, "equal ends must not hash alike");
    }
}
