//! The index of the flow table: from a hash to the number of the flow.
//!
//! Open addressing with linear probing over entries of 8 bytes: 32 bits of the keyed hash and the number of the
//! flow, whose own first cache line has the whole key. So a lookup reads the index, which stays in the cache
//! (1 MiB for 64 k flows), and then waits for memory once. Entries of a cache line with the key, and the flow
//! behind them, made it wait twice. The caller compares the whole key: two flows are never taken for one.
//!
//! Removal shifts back what follows, so there are no tombstones and a table that has been full is as quick as a
//! new one. It doubles at three quarters full and moves the old entries a few at a time as new ones come, so
//! no packet pays for all of it. Limit: [`Table::new`]'s `max`, above which the caller must not go.

/// Old places emptied with each insertion. The old array is empty long before the new one is full: it has
/// `n` places, and the new one takes 0.75·n more entries before it doubles again.
const MOVED_PER_INSERT: usize = 8;

/// Hash in the upper half, number of the flow + 1 in the lower; 0 = vacant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry(u64);

impl Entry {
    const fn new(hash: u32, flow: u32) -> Self {
        Self((hash as u64) << 32 | (flow as u64 + 1))
    }

    const fn hash(self) -> u32 {
        (self.0 >> 32) as u32
    }

    const fn flow(self) -> u32 {
        self.0 as u32 - 1
    }
}

/// One array of entries; its length is a power of two, at most 2^32.
#[derive(Debug)]
struct Array {
    /// As numbers, because a vector of zeros costs nothing until it is written.
    entries: Vec<u64>,
    mask: usize,
    len: usize,
}

impl Array {
    fn new(places: usize) -> Self {
        Self { entries: vec![0; places], mask: places - 1, len: 0 }
    }

    /// The first flow with this hash that is the one; and where its entry is.
    #[inline]
    fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
        let mut at = hash as usize & self.mask;
        // Bounded though a vacant place always exists: no loop without an end.
        for _ in 0..=self.mask {
            let entry = Entry(self.entries[at]);
            if entry.0 == 0 {
                return None;
            }
            if entry.hash() == hash && is(entry.flow()) {
                return Some((at, entry.flow()));
            }
            at = (at + 1) & self.mask;
        }
        None
    }

    fn insert(&mut self, entry: Entry) {
        let mut at = entry.hash() as usize & self.mask;
        while self.entries[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.entries[at] = entry.0;
        self.len += 1;
    }

    /// Empties a place and closes the gap: each follower that may stand there moves back.
    fn remove_at(&mut self, place: usize) -> Entry {
        let removed = Entry(self.entries[place]);
        let mut gap = place;
        let mut at = place;
        loop {
            at = (at + 1) & self.mask;
            let follower = Entry(self.entries[at]);
            if follower.0 == 0 {
                break;
            }
            let home = follower.hash() as usize & self.mask;
            // Distances in the direction of probing: it may move unless its home lies after the gap.
            if (at.wrapping_sub(home) & self.mask) >= (at.wrapping_sub(gap) & self.mask) {
                self.entries[gap] = follower.0;
                gap = at;
            }
        }
        self.entries[gap] = 0;
        self.len -= 1;
        removed
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Table {
    current: Array,
    /// The array before the last doubling, and the place up to which it has been emptied.
    old: Option<(Array, usize)>,
    max_places: usize,
    doublings: u64,
}

impl Table {
    /// Room for `initial` flows at first and for `max` at most.
    pub(crate) fn new(initial: usize, max: usize) -> Self {
        let places = |flows: usize| (flows.max(12) / 3 * 4 + 4).next_power_of_two();
        Self { current: Array::new(places(initial.min(max))), old: None, max_places: places(max), doublings: 0 }
    }

    pub(crate) const fn doublings(&self) -> u64 {
        self.doublings
    }

    /// The flow with this hash of which `is` says that it is the one.
    #[inline]
    pub(crate) fn find(&self, hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        match self.current.find(hash, &is) {
            Some((_, flow)) => Some(flow),
            None => self.old.as_ref().and_then(|(old, _)| old.find(hash, is)).map(|(_, flow)| flow),
        }
    }

    /// A flow with this hash, most likely the one.
    #[inline]
    pub(crate) fn guess(&self, hash: u32) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Adds a flow whose key is not in the table.
    pub(crate) fn insert(&mut self, hash: u32, flow: u32) {
        self.move_some(MOVED_PER_INSERT);
        let places = self.current.mask + 1;
        if (self.current.len + 1) * 4 > places * 3 && places < self.max_places {
            self.move_some(usize::MAX);
            let old = std::mem::replace(&mut self.current, Array::new(places * 2));
            self.old = Some((old, 0));
            self.doublings += 1;
        }
        self.current.insert(Entry::new(hash, flow));
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, hash: u32, flow: u32) {
        let is = |other: u32| other == flow;
        if let Some((at, _)) = self.current.find(hash, is) {
            self.current.remove_at(at);
        } else if let Some((old, _)) = &mut self.old
            && let Some((at, _)) = old.find(hash, is)
        {
            old.remove_at(at);
        }
    }

    /// Moves entries of up to `places` places of the old array to the current one.
    fn move_some(&mut self, places: usize) {
        let Some((old, at)) = &mut self.old else { return };
        let end = at.saturating_add(places).min(old.mask + 1);
        while *at < end {
            // What follows shifts into the emptied place, so the place is looked at until it is vacant.
            while old.entries[*at] != 0 {
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
    use crate::key::{Key, KeyHasher};

    /// The flow's number is its key.
    fn find(table: &Table, hash: u32, key: u32) -> Option<u32> {
        table.find(hash, |flow| flow == key)
    }

    /// Inserts and removes against a set; keys are few, so that both happen.
    fn equals_a_set(mask: u32, operations: &[(bool, u16)]) {
        let mut table = Table::new(4, 512);
        let mut model = BTreeMap::new();
        let hash = |key: u32| KeyHasher::new(1).hash(&Key([key.into(), 0, 0, 0, 0])) as u32 & mask;
        for &(insert, n) in operations {
            let key = u32::from(n % 512);
            assert_eq!(find(&table, hash(key), key), model.get(&key).copied());
            if insert && !model.contains_key(&key) {
                table.insert(hash(key), key);
                model.insert(key, key);
            } else if !insert && model.remove(&key).is_some() {
                table.remove(hash(key), key);
            }
        }
        for key in 0..512 {
            assert_eq!(find(&table, hash(key), key), model.get(&key).copied());
        }
        assert_eq!(table.current.len + table.old.map_or(0, |(old, _)| old.len), model.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn is_a_set(operations in prop::collection::vec((prop::bool::weighted(0.6), any::<u16>()), 0..2_000)) {
            equals_a_set(u32::MAX, &operations);
        }

        #[test]
        fn is_a_set_when_all_hashes_are_equal(operations in prop::collection::vec((prop::bool::weighted(0.6), any::<u16>()), 0..400)) {
            equals_a_set(0, &operations);
            equals_a_set(3, &operations);
            // The last homes: clusters wrap around the end.
            equals_a_set(u32::MAX << 3, &operations);
        }
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
            &|i| pair(0x0a00_0001, 0x0b00_0000 + u64::from((i as u32).reverse_bits()), 80 << 16 | i & 0xffff),
        ];
        let hasher = KeyHasher::new(7);
        for (n, pattern) in patterns.iter().enumerate() {
            let flows = 49_152;
            let mut table = Table::new(flows, flows);
            let hash = |i: u32| hasher.hash(&pattern(u64::from(i))) as u32;
            for i in 0..flows as u32 {
                table.insert(hash(i), i);
            }
            let array = &table.current;
            let probes = |i: u32| {
                let (at, _) = array.find(hash(i), |flow| flow == i).unwrap();
                (at.wrapping_sub(hash(i) as usize) & array.mask) + 1
            };
            let mean = (0..flows as u32).map(probes).sum::<usize>() as f64 / flows as f64;
            // Knuth: 2.5 for random keys in a table three quarters full.
            assert!(mean < 2.8, "pattern {n}: {mean}");
        }
    }
}
