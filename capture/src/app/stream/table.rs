//! The connections that are followed, least recently used first, and a filter before them.

use super::key::{Key, Prehashed};
use std::collections::HashMap;

/// Buckets of the filter: 16 KiB, so that it stays in the first-level cache.
const FILTER: usize = 1 << 14;
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot<T> {
    key: Key,
    /// Toward less and more recent use.
    older: u32,
    newer: u32,
    value: Option<T>,
}

/// A bounded map from connections to `T` that knows which was used longest ago.
#[derive(Debug)]
pub(in crate::app) struct Table<T> {
    /// How many connections fall into each bucket; 255 stays 255. A packet whose bucket is empty belongs to
    /// none, which is all that most packets need to know.
    filter: Box<[u8]>,
    index: HashMap<Key, u32, Prehashed>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

const fn bucket(key: &Key) -> usize {
    // The map uses the low and the highest bits.
    (key.hash() >> 24) as usize % FILTER
}

impl<T> Table<T> {
    pub(in crate::app) fn new() -> Self {
        Self {
            filter: vec![0; FILTER].into_boxed_slice(),
            index: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
        }
    }

    /// Connections held.
    pub(in crate::app) fn len(&self) -> usize {
        self.index.len()
    }

    /// The connection's place, now the most recently used.
    pub(in crate::app) fn touch(&mut self, key: &Key) -> Option<u32> {
        if self.filter.get(bucket(key)).is_some_and(|&n| n == 0) {
            return None;
        }
        let at = *self.index.get(key)?;
        if at != self.newest {
            self.unlink(at);
            self.link_newest(at);
        }
        Some(at)
    }

    /// What stands at a place.
    pub(in crate::app) fn get_mut(&mut self, at: u32) -> Option<(&Key, &mut T)> {
        let slot = self.slots.get_mut(at as usize)?;
        Some((&slot.key, slot.value.as_mut()?))
    }

    /// Adds a connection that is not held yet.
    pub(in crate::app) fn insert(&mut self, key: Key, value: T) -> u32 {
        let slot = Slot { key, older: NONE, newer: NONE, value: Some(value) };
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(place) = self.slots.get_mut(at as usize) {
                    *place = slot;
                }
                at
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        self.index.insert(key, at);
        if let Some(count) = self.filter.get_mut(bucket(&key)) {
            *count = count.saturating_add(1);
        }
        self.link_newest(at);
        at
    }

    /// Takes a connection out.
    pub(in crate::app) fn remove(&mut self, at: u32) -> Option<(Key, T)> {
        let slot = self.slots.get_mut(at as usize)?;
        let (key, value) = (slot.key, slot.value.take()?);
        self.unlink(at);
        self.index.remove(&key);
        self.free.push(at);
        if let Some(count) = self.filter.get_mut(bucket(&key))
            && *count != u8::MAX
        {
            *count -= 1;
        }
        Some((key, value))
    }

    /// The connection used longest ago.
    pub(in crate::app) fn oldest(&self) -> Option<(u32, &T)> {
        let slot = self.slots.get(self.oldest as usize)?;
        Some((self.oldest, slot.value.as_ref()?))
    }

    fn unlink(&mut self, at: u32) {
        let Some(&Slot { older, newer, .. }) = self.slots.get(at as usize) else { return };
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }

    fn link_newest(&mut self, at: u32) {
        let older = self.newest;
        if let Some(slot) = self.slots.get_mut(at as usize) {
            (slot.older, slot.newer) = (older, NONE);
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AddressPair, Ip, IpVersion};

    fn key(port: u16) -> Key {
        let (src, dst) = (Ip::v4([10, 0, 0, 1]), Ip::v4([10, 0, 0, 2]));
        Key::of(&AddressPair { src, dst, src_port: port, dst_port: 80, proto: 6, version: IpVersion::V4 }, 7).0
    }

    #[test]
    fn both_directions_are_one_connection() {
        let (src, dst) = (Ip::v4([10, 0, 0, 1]), Ip::v4([10, 0, 0, 2]));
        let pair = AddressPair { src, dst, src_port: 9, dst_port: 8, proto: 6, version: IpVersion::V4 };
        let ((one, side), (two, other)) = (Key::of(&pair, 1), Key::of(&pair.reversed(), 1));
        assert_eq!((one, side), (two, other.other()));
        assert_eq!(one.pair(side), pair);
        assert_ne!(one.hash(), Key::of(&pair, 2).0.hash());
        assert_ne!(one, Key::of(&AddressPair { version: IpVersion::V6, ..pair }, 1).0);
    }

    #[test]
    fn use_decides_the_order_and_nothing_stays_behind() {
        let mut table = Table::new();
        for port in 0..1_000 {
            table.insert(key(port), port);
        }
        for port in (0..1_000).filter(|p| p % 3 == 0) {
            assert!(table.touch(&key(port)).is_some());
        }
        let mut order = Vec::new();
        while let Some((at, _)) = table.oldest() {
            order.push(table.remove(at).map(|(_, port)| port).expect("it is there"));
        }
        let (unused, used): (Vec<u16>, Vec<u16>) = (0..1_000).partition(|p| p % 3 != 0);
        assert_eq!(order, [unused, used].concat());
        assert!(table.filter.iter().all(|&n| n == 0));
        assert_eq!((table.len(), table.touch(&key(3))), (0, None));
        table.insert(key(5), 5);
        assert_eq!(table.slots.len(), 1_000);
    }
}
