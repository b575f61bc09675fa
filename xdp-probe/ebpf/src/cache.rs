//! The flow cache: direct-mapped, one or two cache lines a flow, both directions in one slot. A flow that finds its
//! slot taken sends the other's counts to user space and takes it: a collision costs a record, never a count.

use aya_ebpf::helpers::generated::bpf_jiffies64;
use probe_common::layout::{Carried, Counts, Evicted4, Evicted6, Key, QUOTA, Slot4, Slot6};
use probe_common::protocol::{ICMP, ICMPV6};
use probe_common::{HeaderBytes, Shape};

use crate::maps::{Area, EVICTED, SLOTS4, SLOTS6, settings};
use crate::packet::{Bytes, Packet, Size};
use crate::run::Table;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// A slot whose bytes have passed this leaves: IP packets have at most 65,575, so the sum stays below 2^32.
const MANY_BYTES: u32 = 1 << 31;

/// Which end sent: index of [`Counts::carried`].
pub type Side = usize;

/// The addresses of a key, and how a slot has them.
pub trait Slot: Copy {
    type Addresses: Copy;
    fn equal(a: &Self::Addresses, b: &Self::Addresses) -> bool;
    /// The addresses in order, and which end sent.
    fn ends(frame: &Bytes, shape: &Shape) -> Option<(Self::Addresses, Side)>;
    fn hash(addresses: &Self::Addresses, word: u64) -> u64;
    /// The slot of a hash.
    fn find(area: &Area, hash: u64) -> Option<*mut Self>;
    fn parts(&mut self) -> (&mut Self::Addresses, &mut u64, &mut Counts);
    /// Writes the slot to the ring.
    fn send(&self, area: &Area) -> bool;
}

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

    /// What was counted of the key so far leaves first, so that user space gets things in their order. After SYN+ACK the
    /// slot waits for the first requests and answers; a SYN alone waits only where nobody is displaced, so that a scan
    /// cannot empty the cache.
    #[inline(always)]
    fn turn(area: &Area, frame: &Bytes, shape: &Shape) {
        if shape.version == 4 { turn_in::<Slot4>(area, frame, shape) } else { turn_in::<Slot6>(area, frame, shape) }
    }
}

#[inline(always)]
fn count_in<S: Slot, P: Packet>(packet: &P, area: &Area, frame: &Bytes, shape: &Shape, size: Size) -> bool {
    let Some((addresses, side)) = S::ends(frame, shape) else { return false };
    let word = word(shape, side);
    let Some(place) = S::find(area, S::hash(&addresses, word & settings().key_mask())) else { return false };
    // SAFETY: an entry of the array; one program at a time runs in an area, and user space reads only generations
    // in which none runs.
    let slot = unsafe { &mut *place };
    let (slot_addresses, slot_word, counts) = slot.parts();
    let same = (*slot_word ^ word) & settings().key_mask() == 0 && S::equal(slot_addresses, &addresses);
    let now = ticks(packet, area);
    if !same {
        if *slot_word != 0 {
            leave(slot, area);
        }
        open(slot, addresses, word, frame, side);
    } else if *slot_word & Key::QUOTA_MASK != 0 {
        *slot_word -= 1 << Key::QUOTA_SHIFT;
        return false;
    } else if counts.carried[0].bytes.max(counts.carried[1].bytes) > MANY_BYTES {
        leave(slot, area);
        open(slot, addresses, word, frame, side);
    }
    let (_, _, counts) = slot.parts();
    add(counts, side, now, shape, size);
    true
}

#[inline(always)]
pub fn add(counts: &mut Counts, side: Side, now: u32, shape: &Shape, size: Size) {
    counts.last = now;
    counts.link_bytes += size.wire - size.ip;
    // Two branches, not an index: the verifier follows constants more quickly.
    if side == 0 {
        direction(&mut counts.carried[0], now, shape, size, &mut counts.tcp_flags[0], &mut counts.tos[0]);
    } else {
        direction(&mut counts.carried[1], now, shape, size, &mut counts.tcp_flags[1], &mut counts.tos[1]);
    }
}

#[inline(always)]
fn direction(carried: &mut Carried, now: u32, shape: &Shape, size: Size, tcp_flags: &mut u8, tos: &mut u8) {
    if carried.packets == 0 {
        carried.first = now;
        *tos = shape.tos;
    }
    carried.packets += size.packets;
    carried.bytes += size.ip;
    *tcp_flags |= shape.tcp_flags;
}

#[inline(always)]
fn turn_in<S: Slot>(area: &Area, frame: &Bytes, shape: &Shape) {
    let Some((addresses, side)) = S::ends(frame, shape) else { return };
    let word = word(shape, side);
    let Some(place) = S::find(area, S::hash(&addresses, word & settings().key_mask())) else { return };
    // SAFETY: as in `count_in`.
    let slot = unsafe { &mut *place };
    let (slot_addresses, slot_word, _) = slot.parts();
    let vacant = *slot_word == 0;
    let same = (*slot_word ^ word) & settings().key_mask() == 0 && S::equal(slot_addresses, &addresses);
    let opens = shape.tcp_flags & SYN != 0 && (same || vacant || shape.tcp_flags & ACK != 0);
    if !vacant && (same || opens) {
        leave(slot, area);
    }
    if opens {
        open(slot, addresses, word | QUOTA << Key::QUOTA_SHIFT, frame, side);
    } else if same {
        // Its quota goes on.
        let (_, slot_word, counts) = slot.parts();
        let macs = counts.macs;
        clear(counts);
        counts.macs = macs;
        if shape.tcp_flags & SYN != 0 {
            *slot_word |= QUOTA << Key::QUOTA_SHIFT;
        }
    }
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
    if !slot.send(area) {
        books.evicted_lost += 1;
        books.lost_ring_full.packets += packets;
        books.lost_ring_full.bytes += bytes;
    }
}

#[inline(always)]
fn open<S: Slot>(slot: &mut S, addresses: S::Addresses, word: u64, frame: &Bytes, side: Side) {
    let (slot_addresses, slot_word, counts) = slot.parts();
    *slot_addresses = addresses;
    *slot_word = word;
    // In the frame the destination stands first.
    let [a, b, c, d, e, f, g, h, i, j, k, l] = frame.read(0).unwrap_or_default();
    let macs = if side == 0 { [g, h, i, j, k, l, a, b, c, d, e, f] } else { [a, b, c, d, e, f, g, h, i, j, k, l] };
    clear(counts);
    counts.macs = macs;
}

/// Zeros all counts and the MAC addresses, word by word: the compiler would call a loop over bytes.
#[inline(always)]
fn clear(counts: &mut Counts) {
    let words = (&raw mut *counts).cast::<[u64; 6]>();
    for word in 0..6 {
        // SAFETY: the counts are 48 bytes and stand at a multiple of 8 in every slot.
        unsafe { (&raw mut (*words)[word]).write_volatile(0) };
    }
}

/// The word of the key; see [`Key`].
#[inline(always)]
pub fn word(shape: &Shape, side: Side) -> u64 {
    let tagged = if shape.tags > 0 { Key::TAGGED } else { 0 };
    let tagged = if shape.is_tunnelled == 1 { tagged | Key::IN_VXLAN } else { tagged };
    let (low_port, high_port, sent) = if matches!(shape.proto, ICMP | ICMPV6) {
        let kind = shape.src_port << 8 | shape.dst_port & 0xff;
        (kind, kind, if side == 1 { Key::HIGH_SENT } else { 0 })
    } else if side == 0 {
        (shape.src_port, shape.dst_port, 0)
    } else {
        (shape.dst_port, shape.src_port, 0)
    };
    Key::word(low_port, high_port, shape.proto, tagged | sent, shape.tci)
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

#[inline(always)]
fn mix(hash: u64, word: u64, round: usize) -> u64 {
    let hash = (hash ^ word ^ settings().seeds(round)).wrapping_mul(settings().multipliers(round));
    hash ^ hash >> 32
}

/// Whether the sender is the end with the lower (address, port).
#[inline(always)]
fn sender(src_is_less: bool, equal: bool, shape: &Shape) -> Side {
    let low = src_is_less || equal && shape.src_port <= shape.dst_port;
    usize::from(!low)
}

impl Slot for Slot4 {
    type Addresses = u64;

    #[inline(always)]
    fn equal(a: &u64, b: &u64) -> bool {
        a == b
    }

    #[inline(always)]
    fn ends(frame: &Bytes, shape: &Shape) -> Option<(u64, Side)> {
        let (src, dst) = frame.addresses4(shape)?;
        let side = sender(src < dst, src == dst, shape);
        Some((if side == 0 { src << 32 | dst } else { dst << 32 | src }, side))
    }

    #[inline(always)]
    fn hash(addresses: &u64, word: u64) -> u64 {
        mix(mix(0, *addresses, 0), word, 1).wrapping_mul(settings().multipliers(0))
    }

    #[inline(always)]
    fn find(area: &Area, hash: u64) -> Option<*mut Self> {
        SLOTS4.get_ptr_mut(area.slot(hash, settings().slots4_shift()))
    }

    #[inline(always)]
    fn parts(&mut self) -> (&mut u64, &mut u64, &mut Counts) {
        (&mut self.addresses, &mut self.key, &mut self.counts)
    }

    #[inline(always)]
    fn send(&self, area: &Area) -> bool {
        let Some(ring) = EVICTED.get(area.index) else { return false };
        let Some(mut entry) = ring.reserve_untyped::<Evicted4>(0) else { return false };
        let Self { addresses, key, counts } = *self;
        entry.write(Evicted4 { base: area.base, addresses, key, counts });
        entry.submit(crate::slow::NO_WAKEUP);
        true
    }
}

impl Slot for Slot6 {
    type Addresses = [u64; 4];

    #[inline(always)]
    fn equal(a: &[u64; 4], b: &[u64; 4]) -> bool {
        // Not `==`, which would call memcmp.
        a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3]
    }

    #[inline(always)]
    fn ends(frame: &Bytes, shape: &Shape) -> Option<([u64; 4], Side)> {
        let [a, b, c, d] = frame.addresses6(shape)?;
        let equal = a == c && b == d;
        let side = sender(a < c || a == c && b < d, equal, shape);
        Some((if side == 0 { [a, b, c, d] } else { [c, d, a, b] }, side))
    }

    #[inline(always)]
    fn hash(addresses: &[u64; 4], word: u64) -> u64 {
        let [a, b, c, d] = *addresses;
        let hash = mix(mix(mix(0, a, 0), b, 1), c, 0);
        mix(mix(hash, d, 1), word, 0).wrapping_mul(settings().multipliers(1))
    }

    #[inline(always)]
    fn find(area: &Area, hash: u64) -> Option<*mut Self> {
        SLOTS6.get_ptr_mut(area.slot(hash, settings().slots6_shift()))
    }

    #[inline(always)]
    fn parts(&mut self) -> (&mut [u64; 4], &mut u64, &mut Counts) {
        (&mut self.addresses, &mut self.key, &mut self.counts)
    }

    #[inline(always)]
    fn send(&self, area: &Area) -> bool {
        let Some(ring) = EVICTED.get(area.index) else { return false };
        let Some(mut entry) = ring.reserve_untyped::<Evicted6>(0) else { return false };
        let Self { addresses, key, counts, reserved: _ } = *self;
        entry.write(Evicted6 { base: area.base, addresses, key, counts });
        entry.submit(crate::slow::NO_WAKEUP);
        true
    }
}
