//! The flow cache: one or two cache lines a flow, both directions in one slot. A flow may have either of two slots that
//! stand side by side. One that finds both taken sends the counts of the one that was longer unused to user space and takes
//! its slot: a collision costs a record, never a count.
//!
//! ```text
//! packet ─► same flow as the last that waits? ─ yes ─► counted there
//!                     │ no
//!                     ▼
//!           its connection has just begun? ─ yes ─► whole to user space
//!                     │ no
//!                     ▼
//!           waits; when all places are taken, all that wait are counted in their slots
//! ```
//!
//! A slot of a hundred thousands is not in the processor's caches, and waiting for memory is most of a packet's cost. Those of
//! many flows are asked for together, and come in the time of one.

use aya_ebpf::helpers::generated::bpf_jiffies64;
use probe_common::Shape;
use probe_common::layout::{QUOTA, QUOTAS_BITS, Slot4, Slot6, WAITING, WaitingHead, waiting_head};
use probe_common::protocol::TCP;

use crate::displaced::send;
use crate::maps::{Area, QUOTAS, settings};
use crate::packet::{Bytes, Packet, Size};
use crate::run::Table;
use crate::slot::{Slot, add, add_all, word};

const SYN: u8 = 0x02;

/// A slot whose bytes have passed this leaves, and one that waits takes no more at half of it: so no sum, with another
/// IP packet of at most 65,575 bytes, comes to 2^32.
const MANY_BYTES: u32 = 1 << 31;

/// The probe's table.
pub struct FlowCache;

impl Table for FlowCache {
    #[inline(always)]
    fn count(packet: &impl Packet, area: &Area, frame: &Bytes, shape: &Shape, size: Size) -> bool {
        if shape.version == 4 {
            count_in::<Slot4, _>(packet, area, frame, shape, size)
        } else {
            count_in::<Slot6, _>(packet, area, frame, shape, size)
        }
    }

    /// What was counted of the key so far leaves first, so that user space gets things in their order. After a SYN the first
    /// requests and answers go there, too.
    #[inline(always)]
    fn turn(area: &Area, frame: &Bytes, shape: &Shape) {
        if shape.version == 4 { turn_in::<Slot4>(area, frame, shape) } else { turn_in::<Slot6>(area, frame, shape) }
    }
}

#[inline(always)]
fn count_in<S: Slot, P: Packet>(packet: &P, area: &Area, frame: &Bytes, shape: &Shape, size: Size) -> bool {
    let Some((addresses, side)) = S::ends(frame, shape) else { return false };
    let word = word(shape, side);
    let first = first_waiting::<S>(area);
    let Some(mut head) = head::<S>(first) else { return false };
    let now = ticks(packet, area);
    if head.count != 0
        && let Some(last) = S::at(first + head.count)
    {
        // SAFETY: an entry of the array, not the head; see `head`.
        let last = unsafe { &mut *last };
        let is_of = last.is_of(&addresses, word);
        let (_, _, counts) = last.parts();
        if is_of && counts.carried[0].bytes.max(counts.carried[1].bytes) <= MANY_BYTES / 2 {
            add(counts, side, now, shape, size);
            return true;
        }
    }
    let hash = S::hash(&addresses, word & settings().key_mask());
    if shape.proto == TCP && use_quota(area, hash) {
        return false;
    }
    if head.count >= WAITING {
        S::settle(area);
        // Read anew: it was changed.
        let Some(settled) = self::head::<S>(first) else { return false };
        head = settled;
    }
    let place = head.count;
    let Some(slot) = head.slots.get_mut(place as usize) else { return false };
    *slot = area.slot(hash, S::shift());
    let Some(waiting) = S::at(first + 1 + place) else { return false };
    // SAFETY: as in `head`.
    unsafe { &mut *waiting }.begin((addresses, word, side), now, frame, shape, size);
    head.count = place + 1;
    true
}

#[inline(always)]
fn turn_in<S: Slot>(area: &Area, frame: &Bytes, shape: &Shape) {
    let Some((addresses, side)) = S::ends(frame, shape) else { return };
    let word = word(shape, side);
    let hash = S::hash(&addresses, word & settings().key_mask());
    S::settle(area);
    let Some(place) = S::at(choose::<S>(area.slot(hash, S::shift()), &addresses, word)) else { return };
    // SAFETY: as in `head`.
    let slot = unsafe { &mut *place };
    if slot.is_of(&addresses, word) {
        leave(slot, area);
        let (_, slot_word, _) = slot.parts();
        *slot_word = 0;
    }
    if shape.tcp_flags & SYN != 0 {
        give_quota(area, hash);
    }
}

/// The first entry of what waits.
#[inline(always)]
fn first_waiting<S: Slot>(area: &Area) -> u32 {
    waiting_head(settings().areas(), S::shift(), area.generation * settings().areas() + area.index)
}

#[inline(always)]
fn head<S: Slot>(first: u32) -> Option<&'static mut WaitingHead> {
    // SAFETY: an entry of the array, at least as large as a head; one program at a time runs in an area, and user space reads
    // only generations in which none runs.
    S::at(first).map(|head| unsafe { &mut *head.cast::<WaitingHead>() })
}

/// Counts what waits in its slots. Functions of their own that take numbers alone: the verifier follows each once, and not on
/// every way on which a packet comes to it.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn settle4(generation: u32, index: u32) -> u32 {
    settle::<Slot4>(generation, index)
}

/// As [`settle4`].
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn settle6(generation: u32, index: u32) -> u32 {
    settle::<Slot6>(generation, index)
}

#[inline(always)]
fn settle<S: Slot>(generation: u32, index: u32) -> u32 {
    let Some(area) = Area::numbered(generation, index) else { return 0 };
    let area = &area;
    let first = first_waiting::<S>(area);
    let Some(head) = head::<S>(first) else { return 0 };
    for at in 0..WAITING {
        if at >= head.count {
            break;
        }
        // Asked for together: nothing waits for what is read here.
        let place = head.slots[at as usize];
        touch::<S>(place);
        touch::<S>(beside(place));
    }
    for at in 0..WAITING {
        if at >= head.count {
            break;
        }
        let Some(waiting) = S::at(first + 1 + at) else { break };
        // SAFETY: as in `head`.
        settle_one(head.slots[at as usize], unsafe { &mut *waiting }, area);
    }
    head.count = 0;
    1
}

/// The other of the two slots that a flow may have.
#[inline(always)]
fn beside(place: u32) -> u32 {
    place ^ 1
}

/// Asks for the memory of a slot.
#[inline(always)]
fn touch<S: Slot>(place: u32) {
    let Some(slot) = S::at(place) else { return };
    // SAFETY: as in `head`.
    let (_, word, counts) = unsafe { &mut *slot }.parts();
    // SAFETY: live values.
    unsafe { ((&raw const *word).read_volatile(), (&raw const counts.last).read_volatile()) };
}

/// The slot of a key, which may have this one and the one beside it: where it is, else the one that is vacant or was longer
/// unused.
#[inline(always)]
fn choose<S: Slot>(place: u32, addresses: &S::Addresses, key: u64) -> u32 {
    let (Some(here), Some(there)) = (S::at(place), S::at(beside(place))) else { return place };
    // SAFETY: as in `head`; two entries.
    let (here, there) = unsafe { (&mut *here, &mut *there) };
    if here.is_of(addresses, key) {
        return place;
    }
    if there.is_of(addresses, key) || used(there) < used(here) { beside(place) } else { place }
}

/// When a slot was used last, 0 for a vacant one.
#[inline(always)]
fn used<S: Slot>(slot: &mut S) -> u64 {
    let (_, word, counts) = slot.parts();
    if *word == 0 { 0 } else { u64::from(counts.last) + 1 }
}

#[inline(always)]
fn settle_one<S: Slot>(place: u32, waiting: &mut S, area: &Area) {
    let (addresses, word, later) = waiting.parts();
    // User space has read it.
    if *word == 0 {
        return;
    }
    let Some(slot) = S::at(choose::<S>(place, addresses, *word)) else { return };
    // SAFETY: as in `head`; not the one that waits.
    let slot = unsafe { &mut *slot };
    let is_of = slot.is_of(addresses, *word);
    let (_, slot_word, counts) = slot.parts();
    if is_of && counts.carried[0].bytes.max(counts.carried[1].bytes) <= MANY_BYTES {
        add_all(counts, later);
    } else {
        if *slot_word != 0 {
            leave(slot, area);
        }
        slot.take(waiting);
    }
    let (_, word, _) = waiting.parts();
    *word = 0;
}

/// Place and mark of a connection among the quotas.
#[inline(always)]
fn quota(area: &Area, hash: u64) -> Option<(&'static mut u16, u16)> {
    let quotas = QUOTAS.get_ptr_mut(area.index)?;
    // SAFETY: an entry of the array; one program at a time runs in an area, and nobody else looks at it.
    let entry = unsafe { &mut (*quotas).0[(hash >> (64 - QUOTAS_BITS)) as usize] };
    Some((entry, (hash >> 32) as u16 & MARK))
}

/// Bits of an entry that say whose it is.
const MARK: u16 = 0xffe0;

#[inline(always)]
fn give_quota(area: &Area, hash: u64) {
    if let Some((entry, mark)) = quota(area, hash) {
        *entry = mark | QUOTA;
    }
}

/// Whether the packet is one of the first of its connection.
#[inline(always)]
fn use_quota(area: &Area, hash: u64) -> bool {
    let Some((entry, mark)) = quota(area, hash) else { return false };
    let is_one = *entry & MARK == mark && *entry & !MARK != 0;
    if is_one {
        *entry -= 1;
    }
    is_one
}

/// The counts go to user space, if there are any.
#[inline(always)]
fn leave<S: Slot>(slot: &mut S, area: &Area) {
    let (_, _, counts) = slot.parts();
    let (packets, bytes) = (counts.packets(), counts.wire_bytes());
    if packets == 0 {
        return;
    }
    let books = area.books();
    books.evicted += 1;
    if !send(slot, area) {
        books.evicted_lost += 1;
        books.lost_ring_full.packets += packets;
        books.lost_ring_full.bytes += bytes;
    }
}

/// Ticks since the generation began.
#[inline(always)]
pub fn ticks(packet: &impl Packet, area: &Area) -> u32 {
    let now = if settings().clock_is_metadata() == 1 {
        packet.metadata_clock()
    } else {
        // The kernel reads it in place; the coarse clock, which is no finer, is a call of 13 ns.
        // SAFETY: no precondition.
        unsafe { bpf_jiffies64() }
    };
    // A generation is a second or so; user space that stands still for an hour gets late times, not lost counts.
    let since = now.saturating_sub(area.base);
    if since > u64::from(u32::MAX) { u32::MAX } else { since as u32 }
}
