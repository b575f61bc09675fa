//! A slot of the flow cache: whose it is, where it is, what it counts.

use probe_common::layout::{Carried, Counts, Key, Slot4, Slot6};
use probe_common::protocol::{ICMP, ICMPV6};
use probe_common::{HeaderBytes, Shape};

use crate::cache::{settle4, settle6};
use crate::maps::{Area, DISPLACED4, DISPLACED6, SLOTS4, SLOTS6, settings};
use crate::packet::{Bytes, Size};

/// Which end sent: index of [`Counts::carried`].
pub type Side = usize;

/// The addresses of a key, and how a slot has them.
pub trait Slot: Copy {
    type Addresses: Copy;
    fn equal(a: &Self::Addresses, b: &Self::Addresses) -> bool;
    /// The addresses in order, and which end sent.
    fn ends(frame: &Bytes, shape: &Shape) -> Option<(Self::Addresses, Side)>;
    fn hash(addresses: &Self::Addresses, word: u64) -> u64;
    /// An area has 2 to this power.
    fn shift() -> u32;
    /// An entry of the array.
    fn at(index: u32) -> Option<*mut Self>;
    fn parts(&mut self) -> (&mut Self::Addresses, &mut u64, &mut Counts);
    /// Its ring of slots that left early is the area's first (0) or second.
    const RING: u32;
    /// The ring has 2 to this power.
    fn displaced_shift() -> u32;
    /// An entry of the rings.
    fn displaced_at(index: u32) -> Option<*mut Self>;
    /// Words that say something.
    const WORDS: usize;
    /// Counts what waits in its slots.
    fn settle(area: &Area);

    /// Whether it is the slot of this key.
    #[inline(always)]
    fn is_of(&mut self, addresses: &Self::Addresses, word: u64) -> bool {
        let (slot_addresses, slot_word, _) = self.parts();
        (*slot_word ^ word) & settings().key_mask() == 0 && Self::equal(slot_addresses, addresses)
    }

    /// Takes what another slot has.
    #[inline(always)]
    fn take(&mut self, other: &Self) {
        let (to, from) = ((&raw mut *self).cast::<u64>(), (&raw const *other).cast::<u64>());
        for at in 0..Self::WORDS {
            // Word by word, in this order: the compiler would call a function, and a ring's entry must be there before its count.
            // SAFETY: a slot is more than so many words.
            unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
        }
    }

    /// Becomes the slot of a flow of which one packet was seen.
    #[inline(always)]
    fn begin(
        &mut self,
        (addresses, word, side): (Self::Addresses, u64, Side),
        now: u32,
        frame: &Bytes,
        shape: &Shape,
        size: Size,
    ) {
        let (slot_addresses, slot_word, counts) = self.parts();
        *slot_addresses = addresses;
        *slot_word = word;
        // In the frame the destination stands first: bytes 0 to 6, then 6 to 12.
        let start = u64::from_le_bytes(frame.read(0).unwrap_or_default());
        let end = u64::from_le_bytes(frame.read(4).unwrap_or_default());
        let (sent, now) = (u64::from(size.ip) << 32 | u64::from(size.packets), u64::from(now));
        let link = u64::from(size.wire - size.ip) << 32;
        let (flags, tos) = (u64::from(shape.tcp_flags), u64::from(shape.tos));
        // `Counts` in words: written whole, and not byte by byte.
        let words = if side == 0 {
            let macs = [end >> 16 | start << 48, start >> 16 & 0xffff_ffff];
            [sent, now, 0, link | now, macs[0], macs[1] | flags << 32 | tos << 48]
        } else {
            let macs = [start, end >> 32];
            [0, sent << 32, now << 32 | sent >> 32, link | now, macs[0], macs[1] | flags << 40 | tos << 56]
        };
        let to = (&raw mut *counts).cast::<[u64; 6]>();
        for (at, word) in words.into_iter().enumerate() {
            // SAFETY: as in `take`.
            unsafe { (&raw mut (*to)[at]).write_volatile(word) };
        }
    }
}

/// One more packet.
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

/// What another slot of the same flow counted after this one. Without branches: which end sent cannot be foretold.
#[inline(always)]
pub fn add_all(counts: &mut Counts, later: &Counts) {
    counts.last = later.last;
    counts.link_bytes += later.link_bytes;
    for side in 0..2 {
        let (to, from) = (&mut counts.carried[side], &later.carried[side]);
        // All ones where nothing was counted before.
        let fresh = 0_u32.wrapping_sub((u64::from(to.packets).wrapping_sub(1) >> 63) as u32);
        to.first ^= (to.first ^ from.first) & fresh;
        counts.tos[side] ^= (counts.tos[side] ^ later.tos[side]) & fresh as u8;
        to.packets += from.packets;
        to.bytes += from.bytes;
        counts.tcp_flags[side] |= later.tcp_flags[side];
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
    const RING: u32 = 0;
    const WORDS: usize = 8;
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
    fn shift() -> u32 {
        settings().slots4_shift()
    }

    #[inline(always)]
    fn at(index: u32) -> Option<*mut Self> {
        SLOTS4.get_ptr_mut(index)
    }

    #[inline(always)]
    fn parts(&mut self) -> (&mut u64, &mut u64, &mut Counts) {
        (&mut self.addresses, &mut self.key, &mut self.counts)
    }

    #[inline(always)]
    fn displaced_shift() -> u32 {
        settings().displaced_shift()
    }

    #[inline(always)]
    fn settle(area: &Area) {
        settle4(area.generation, area.index);
    }

    #[inline(always)]
    fn displaced_at(index: u32) -> Option<*mut Self> {
        DISPLACED4.get_ptr_mut(index)
    }
}

impl Slot for Slot6 {
    const RING: u32 = 1;
    const WORDS: usize = 11;
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
    fn shift() -> u32 {
        settings().slots6_shift()
    }

    #[inline(always)]
    fn at(index: u32) -> Option<*mut Self> {
        SLOTS6.get_ptr_mut(index)
    }

    #[inline(always)]
    fn parts(&mut self) -> (&mut [u64; 4], &mut u64, &mut Counts) {
        (&mut self.addresses, &mut self.key, &mut self.counts)
    }

    #[inline(always)]
    fn displaced_shift() -> u32 {
        settings().displaced_shift() - 1
    }

    #[inline(always)]
    fn settle(area: &Area) {
        settle6(area.generation, area.index);
    }

    #[inline(always)]
    fn displaced_at(index: u32) -> Option<*mut Self> {
        DISPLACED6.get_ptr_mut(index)
    }
}
