//! The way of slots that leave before the sweep: a ring of each IP version for each area, in memory that user space has mapped.
//! One writer, one reader, no lock: the kernel's ring buffer takes one for each record.

// `AtomicU64` has no exchange for this target, though its instruction set does (version 3).
use core::intrinsics::{AtomicOrdering, atomic_xchg};

use probe_common::layout::Key;

use crate::maps::{Area, RING_ENDS, settings};
use crate::slot::Slot;

/// Writes the slot to its ring. `false`: the ring is full.
#[inline(always)]
pub fn send<S: Slot>(slot: &S, area: &Area) -> bool {
    let Some(ends) = RING_ENDS.get_ptr_mut(2 * area.index + S::RING) else { return false };
    // SAFETY: an entry of the array, this half of which only this program writes.
    let (written, seen) = unsafe { ((*ends).written, (*ends).read_seen) };
    let shift = S::displaced_shift();
    if written.wrapping_sub(seen) >= 1 << shift {
        // SAFETY: as above; volatile, because user space writes it.
        let read = unsafe { (&raw const (*ends).read).read_volatile() };
        // SAFETY: as above.
        unsafe { (*ends).read_seen = read };
        if written.wrapping_sub(read) >= 1 << shift {
            return false;
        }
    }
    let at = written as u32 & ((1 << shift) - 1);
    let Some(entry) = S::displaced_at((area.index << shift) + at) else { return false };
    // SAFETY: an entry of the array, which user space has read.
    let entry = unsafe { &mut *entry };
    entry.take(slot);
    if area.generation == 1 {
        let (_, word, _) = entry.parts();
        // SAFETY: a live word; volatile as in `take`.
        unsafe { (&raw mut *word).write_volatile(*word | Key::LATER_GENERATION) };
    }
    // SAFETY: as above. The entry is there before it is counted: by the processor's order of stores, or by an exchange, which
    // orders them everywhere.
    unsafe {
        let count = &raw mut (*ends).written;
        if settings().stores_in_order() == 1 {
            count.write_volatile(written + 1);
        } else {
            atomic_xchg::<u64, { AtomicOrdering::SeqCst }>(count, written + 1);
        }
    }
    true
}
