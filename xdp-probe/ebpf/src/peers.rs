//! Programs for benches: the probe, and the same program with the kernel's own hash tables in place of its cache, over
//! frames whose flow changes from run to run.
//!
//! `BPF_PROG_TEST_RUN` repeats one frame. Each program here first takes the next flow number from `FLOWS` (its place is kept
//! in the frame itself) and writes it into the source address; `empty` does that and nothing else.

#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "an atomic exchange; see `displaced.rs`")]

mod cache;
mod clocks;
mod displaced;
mod filter;
mod judge;
mod maps;
mod packet;
mod run;
mod slot;
mod slow;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::bindings::{BPF_ANY, BPF_F_MMAPABLE};
use aya_ebpf::btf_maps::{Array, LruPerCpuHashMap, PerCpuHashMap};
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use probe_common::layout::{Counts, Slot4, Slot6};
use probe_common::{HeaderBytes, Shape, shape_ethernet};

use crate::cache::{FlowCache, ticks};
use crate::displaced::send;
use crate::slot::{Slot, add, word};
use crate::maps::{Area, settings};
use crate::packet::{Bytes, Packet, Size};
use crate::run::{Table, Verdict, run};

/// Flow numbers in the order in which packets come.
const FLOWS_LEN: usize = 1 << 20;
/// More flows than any bench has: nothing is displaced, which flatters the peers.
const ENTRIES: usize = 600_000;

#[btf_map]
static FLOWS: Array<u64, FLOWS_LEN, { BPF_F_MMAPABLE as usize }> = Array::new();

#[btf_map]
static HASH4: PerCpuHashMap<[u64; 2], Counts, ENTRIES> = PerCpuHashMap::new();
#[btf_map]
static HASH6: PerCpuHashMap<[u64; 5], Counts, ENTRIES> = PerCpuHashMap::new();
#[btf_map]
static LRU4: LruPerCpuHashMap<[u64; 2], Counts, ENTRIES> = LruPerCpuHashMap::new();
#[btf_map]
static LRU6: LruPerCpuHashMap<[u64; 5], Counts, ENTRIES> = LruPerCpuHashMap::new();

/// The frame alone: what the generator and the test run cost.
#[xdp(frags)]
pub fn empty(ctx: XdpContext) -> u32 {
    next_flow(&ctx);
    XDP_DROP
}

/// The probe.
#[xdp(frags)]
pub fn cache(ctx: XdpContext) -> u32 {
    next_flow(&ctx);
    action(run::<FlowCache>(&ctx, true))
}

/// The parser and the books, and no table.
#[xdp(frags)]
pub fn no_table(ctx: XdpContext) -> u32 {
    next_flow(&ctx);
    action(run::<NoTable>(&ctx, true))
}

/// The parser and the judgement alone: no books.
#[xdp(frags)]
pub fn parse_only(ctx: XdpContext) -> u32 {
    next_flow(&ctx);
    let frame = ctx.frame();
    let Ok(shape) = shape_ethernet(&frame) else { return XDP_PASS };
    if judge::is_plain(&ctx, &frame, &shape, Packet::len(&ctx)) { XDP_DROP } else { XDP_PASS }
}

/// Each packet a record in the ring.
#[xdp(frags)]
pub fn digest(ctx: XdpContext) -> u32 {
    next_flow(&ctx);
    action(run::<Digest>(&ctx, true))
}

/// The cache while it is hit, else a record for each packet.
#[xdp(frags)]
pub fn adaptive(ctx: XdpContext) -> u32 {
    next_flow(&ctx);
    action(run::<Adaptive>(&ctx, true))
}

/// PERCPU_HASH.
#[xdp(frags)]
pub fn percpu_hash(ctx: XdpContext) -> u32 {
    next_flow(&ctx);
    action(run::<PerCpuHash>(&ctx, true))
}

/// LRU_PERCPU_HASH.
#[xdp(frags)]
pub fn lru_percpu_hash(ctx: XdpContext) -> u32 {
    next_flow(&ctx);
    action(run::<LruPerCpuHash>(&ctx, true))
}

#[inline(always)]
fn action(verdict: Verdict) -> u32 {
    if verdict == Verdict::Drop { XDP_DROP } else { XDP_PASS }
}

/// Writes the next flow number into the source address: the last four bytes of an IPv4 or IPv6 frame without tags. The place
/// in `FLOWS` is in the last four bytes of the frame's first 100.
#[inline(always)]
fn next_flow(ctx: &XdpContext) {
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + 100 > end {
        return;
    }
    // SAFETY: within the first 100 bytes, which are there; the verifier checks that, too.
    unsafe {
        let place = (start + 96) as *mut u32;
        let at = place.read_unaligned();
        place.write_unaligned(at.wrapping_add(1));
        let Some(flow) = FLOWS.get(at & (FLOWS_LEN as u32 - 1)) else { return };
        let offset = if *((start + 12) as *const u8) == 0x08 { 26 } else { 34 };
        ((start + offset) as *mut u32).write_unaligned(*flow as u32);
    }
}

struct NoTable;

impl Table for NoTable {
    #[inline(always)]
    fn count(_: &impl Packet, _: &Area, _: &Bytes, _: &Shape, _: Size) -> bool {
        true
    }

    #[inline(always)]
    fn turn(_: &Area, _: &Bytes, _: &Shape) {}
}

/// IPv4 only: a record for each packet.
struct Digest;

impl Table for Digest {
    #[inline(always)]
    fn count(packet: &impl Packet, area: &Area, frame: &Bytes, shape: &Shape, size: Size) -> bool {
        let Some((addresses, side)) = Slot4::ends(frame, shape) else { return false };
        let counts = fresh(frame, shape, side, ticks(packet, area), size);
        let slot = Slot4 { addresses, key: word(shape, side), counts };
        let books = area.books();
        books.evicted += 1;
        if !send(&slot, area) {
            books.evicted_lost += 1;
            books.lost_ring_full.packets += u64::from(size.packets);
            books.lost_ring_full.bytes += u64::from(size.wire);
        }
        true
    }

    #[inline(always)]
    fn turn(_: &Area, _: &Bytes, _: &Shape) {}
}

/// Packets of the cache after which it is seen how many displaced another flow.
const WINDOW: u64 = 4_096;
/// Packets that are digests before the cache is tried again.
const AWAY: u64 = 16 * WINDOW;

/// The cache, left for a while when more than three quarters of a window's packets displace a flow.
struct Adaptive;

impl Table for Adaptive {
    #[inline(always)]
    fn count(packet: &impl Packet, area: &Area, frame: &Bytes, shape: &Shape, size: Size) -> bool {
        let books = area.books();
        let [left, displaced_before, ..] = books.reserved;
        if left > WINDOW {
            books.reserved[0] = if left - 1 == WINDOW { 0 } else { left - 1 };
            return Digest::count(packet, area, frame, shape, size);
        }
        if left == 0 {
            books.reserved = [WINDOW, books.evicted, 0, 0, 0];
        } else if left == 1 {
            let displaced = books.evicted - displaced_before;
            books.reserved[0] = if displaced * 4 > WINDOW * 3 { WINDOW + AWAY } else { 0 };
        } else {
            books.reserved[0] = left - 1;
        }
        FlowCache::count(packet, area, frame, shape, size)
    }

    #[inline(always)]
    fn turn(_: &Area, _: &Bytes, _: &Shape) {}
}

/// What the record keeps of a flow's first packet, as the cache does.
#[inline(always)]
fn fresh(frame: &Bytes, shape: &Shape, side: usize, now: u32, size: Size) -> Counts {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = frame.read(0).unwrap_or_default();
    let macs = if side == 0 { [g, h, i, j, k, l, a, b, c, d, e, f] } else { [a, b, c, d, e, f, g, h, i, j, k, l] };
    let mut counts = Counts { macs, ..Counts::default() };
    add(&mut counts, side, now, shape, size);
    counts
}

macro_rules! hash_table {
    ($name:ident, $v4:ident, $v6:ident) => {
        struct $name;

        impl Table for $name {
            #[inline(always)]
            fn count(packet: &impl Packet, area: &Area, frame: &Bytes, shape: &Shape, size: Size) -> bool {
                let now = ticks(packet, area);
                if shape.version == 4 {
                    let Some((addresses, side)) = Slot4::ends(frame, shape) else { return false };
                    let key = [addresses, word(shape, side) & settings().key_mask()];
                    match $v4.get_ptr_mut(&key) {
                        // SAFETY: this CPU's copy of a live value.
                        Some(counts) => add(unsafe { &mut *counts }, side, now, shape, size),
                        None => {
                            return $v4.insert(&key, &fresh(frame, shape, side, now, size), u64::from(BPF_ANY)).is_ok();
                        }
                    }
                } else {
                    let Some(([a, b, c, d], side)) = Slot6::ends(frame, shape) else { return false };
                    let key = [a, b, c, d, word(shape, side) & settings().key_mask()];
                    match $v6.get_ptr_mut(&key) {
                        // SAFETY: as above.
                        Some(counts) => add(unsafe { &mut *counts }, side, now, shape, size),
                        None => {
                            return $v6.insert(&key, &fresh(frame, shape, side, now, size), u64::from(BPF_ANY)).is_ok();
                        }
                    }
                }
                true
            }

            #[inline(always)]
            fn turn(_: &Area, _: &Bytes, _: &Shape) {}
        }
    };
}

hash_table!(PerCpuHash, HASH4, HASH6);
hash_table!(LruPerCpuHash, LRU4, LRU6);

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
