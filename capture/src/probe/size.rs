//! How many of its slots a probe uses: few while they are enough, since those stay in the processor's caches and are read more
//! quickly; more when flows displace each other, since each that is displaced is a record for user space. It begins with all:
//! where it takes its place beside half a million connections, each of them is new at once.

use std::sync::{Mutex, PoisonError};

use super::load::Shared;

/// Packets counted in a generation, and slots that left it early.
type Activity = (u64, u64);

/// See the [module](self).
pub(super) struct Size {
    /// At least 2 to the power of the slots' shift less this are used.
    most_unused: u32,
    /// Of each generation, when it was last closed.
    before: Mutex<[Activity; 2]>,
}

impl Size {
    /// Of a probe that may leave so many unused.
    pub(super) fn new(most_unused: u32) -> Self {
        Self { most_unused, before: Mutex::new([(0, 0); 2]) }
    }

    /// The [`unused_shift`](probe_common::layout::Control::unused_shift) of the generation after `closing`.
    pub(super) fn next(&self, shared: &Shared, closing: usize) -> u32 {
        let unused = shared.memory.control.read(0).unused_shift[closing];
        if self.most_unused == 0 {
            return unused;
        }
        let (mut counted, mut displaced) = (0_u64, 0_u64);
        for area in 0..shared.areas {
            let books = shared.memory.books.read(closing * shared.areas + area);
            counted = counted.wrapping_add(books.cached.packets);
            displaced = displaced.wrapping_add(books.evicted);
        }
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let (counted_before, displaced_before) = std::mem::replace(&mut before[closing], (counted, displaced));
        let since = (counted.wrapping_sub(counted_before), displaced.wrapping_sub(displaced_before));
        let slots = (shared.areas as u64) << shared.slots4_shift.saturating_sub(unused);
        next(since, slots, unused, self.most_unused)
    }
}

/// More where every eighth packet displaces a slot, and so many that they are a part of all slots worth mentioning; fewer where
/// not one in 64 does: half as many slots make at most four times as many displaced, so neither leads to the other.
fn next((counted, displaced): Activity, slots: u64, unused: u32, most_unused: u32) -> u32 {
    if displaced > slots / 16 && displaced > counted / 8 {
        unused.saturating_sub(1)
    } else if displaced <= counted / 64 {
        (unused + 1).min(most_unused)
    } else {
        unused
    }
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn slots_are_taken_while_flows_displace_each_other_and_given_back_when_they_do_not() {
        let slots = 1 << 18;
        // Half of the packets displace: one step each time, and no further than all.
        assert_eq!(next((1_000_000, 500_000), slots, 2, 2), 1);
        assert_eq!(next((1_000_000, 500_000), slots, 0, 2), 0);
        // Half, of a few packets.
        assert_eq!(next((1_000, 500), slots, 2, 2), 2);
        // Between the bounds: as it is. Without traffic none are needed.
        assert_eq!(next((1_000_000, 60_000), slots, 1, 2), 1);
        assert_eq!(next((0, 0), slots, 1, 2), 2);
        assert_eq!(next((1_000_000, 1_000), slots, 0, 2), 1);
        assert_eq!(next((1_000_000, 1_000), slots, 2, 2), 2);
    }
}
