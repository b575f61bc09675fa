//! The heaviest keys of a stream, in bounded memory.

use std::hash::Hash;

use hashbrown::HashMap;

use super::Volume;

/// Sums by key. When more keys come than there is place for, the lighter half is forgotten; `short` says by how much a
/// sum that is still there may be too small.
#[derive(Clone, Debug)]
pub(super) struct Heavy<K> {
    sums: HashMap<K, Volume>,
    bound: usize,
    short: Volume,
}

impl<K: Hash + Eq> Heavy<K> {
    /// At most so many keys; at least 2.
    pub(super) fn new(bound: usize) -> Self {
        Self { sums: HashMap::new(), bound: bound.max(2), short: Volume::default() }
    }

    pub(super) fn add(&mut self, key: K, volume: Volume) {
        if let Some(sum) = self.sums.get_mut(&key) {
            *sum += volume;
            return;
        }
        if self.sums.len() >= self.bound {
            self.forget();
        }
        self.sums.insert(key, volume);
    }

    /// Adds to a key that is there already, without making one.
    pub(super) fn add_known<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, volume: Volume) -> bool
    where
        K: std::borrow::Borrow<Q>,
    {
        self.sums.get_mut(key).map(|sum| *sum += volume).is_some()
    }

    /// Forgets the lighter half. A key of theirs that comes again has lost at most what the heaviest of them had.
    fn forget(&mut self) {
        let weight = |volume: &Volume| (volume.bytes, volume.packets);
        let mut weights: Vec<(u64, u64)> = self.sums.values().map(weight).collect();
        let middle = weights.len() / 2;
        let (_, limit, _) = weights.select_nth_unstable(middle);
        let limit = *limit;
        let mut most = Volume::default();
        self.sums.retain(|_, volume| {
            if weight(volume) > limit {
                return true;
            }
            most = Volume { packets: most.packets.max(volume.packets), bytes: most.bytes.max(volume.bytes) };
            false
        });
        self.short += most;
    }

    /// Adds the sums of another.
    pub(super) fn merge(&mut self, other: Self) {
        self.short += other.short;
        for (key, volume) in other.sums {
            self.add(key, volume);
        }
    }

    /// What a sum may be short of.
    pub(super) const fn short(&self) -> Volume {
        self.short
    }

    pub(super) fn into_sums(self) -> impl Iterator<Item = (K, Volume)> {
        self.sums.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: u64) -> Volume {
        Volume { packets: 1, bytes }
    }

    #[test]
    fn within_the_bound_sums_are_exact() {
        let mut heavy = Heavy::new(4);
        for key in [1, 2, 3, 4, 1, 1] {
            heavy.add(key, bytes(10));
        }
        let mut sums: Vec<_> = heavy.clone().into_sums().collect();
        sums.sort_unstable_by_key(|(key, _)| *key);
        assert_eq!(sums[0], (1, Volume { packets: 3, bytes: 30 }));
        assert_eq!((sums.len(), heavy.short()), (4, Volume::default()));
    }

    /// A scan of a million addresses must neither grow memory nor hide who really sends.
    #[test]
    fn a_flood_of_keys_keeps_the_heavy_and_the_bound() {
        let mut heavy = Heavy::new(1_024);
        let mut sent = 0;
        for key in 1..=200_000_u32 {
            heavy.add(key, bytes(60));
            if key % 100 == 0 {
                sent += 1_500;
                heavy.add(0, bytes(1_500));
            }
            assert!(heavy.sums.len() <= 1_024);
        }
        let found = heavy.sums[&0].bytes;
        assert!(found <= sent && found + heavy.short().bytes >= sent, "{found} of {sent}");
        assert!(found > sent / 2, "{found} of {sent}");
    }
}
