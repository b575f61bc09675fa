//! Programs of the throughput benches: a traffic generator, and the receivers that do nothing, which are the ceiling.
//!
//! The generator is run by `BPF_PROG_TEST_RUN` with live frames: each run writes one whole frame and redirects it to an
//! interface. It keeps its rate by its own clock, because a call of `BPF_PROG_TEST_RUN` takes 24 ms whatever it does.

#![no_std]
#![no_main]

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT};
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::btf_maps::{Array, XskMap};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_redirect, bpf_xdp_adjust_meta, bpf_xdp_adjust_tail};
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use probe_common::generator::{BURST, Orders};

#[btf_map]
static ORDERS: Array<Orders, 1, { BPF_F_MMAPABLE as usize }> = Array::new();
/// Packets and bytes that a receiver of these saw.
#[btf_map]
static SEEN: Array<u64, 2, { BPF_F_MMAPABLE as usize }> = Array::new();
#[btf_map]
static SOCKETS: XskMap<64> = XskMap::new();

/// Looks at the clock so often before a run gives up: a few microseconds.
const LOOKS: u32 = 256;

const PLAIN: usize = 60;
/// A question of 34 bytes, and its answer of 50, behind 42 bytes of headers.
const QUESTION: usize = 76;
const ANSWER: usize = 92;
/// Ethernet, IPv4, UDP, VXLAN.
const OUTER: usize = 50;

/// Ethernet frames of 60 bytes (64 with their check sequence); DNS is as long as it is.
#[xdp]
pub fn generate(ctx: XdpContext) -> u32 {
    one::<0>(&ctx)
}

/// The same in VXLAN.
#[xdp]
pub fn generate_vxlan(ctx: XdpContext) -> u32 {
    one::<OUTER>(&ctx)
}

/// Everything goes on: what an interface needs that live frames are sent to.
#[xdp(frags)]
pub fn pass(_ctx: XdpContext) -> u32 {
    XDP_PASS
}

/// Counts and drops.
#[xdp(frags)]
pub fn drop_all(ctx: XdpContext) -> u32 {
    count(&ctx);
    XDP_DROP
}

/// Everything into AF_XDP sockets, with the time before it as the probe does.
#[xdp(frags)]
pub fn to_socket(ctx: XdpContext) -> u32 {
    count(&ctx);
    // SAFETY: the context is that of the running program; its pointers are read anew below.
    if unsafe { bpf_xdp_adjust_meta(ctx.ctx.cast::<xdp_md>(), -8) } != 0 {
        return XDP_ABORTED;
    }
    let (meta, data) = (ctx.metadata(), ctx.data());
    if meta + 8 > data {
        return XDP_ABORTED;
    }
    // SAFETY: the bytes are there, as was just seen.
    unsafe { core::ptr::write_unaligned(meta as *mut u64, bpf_ktime_get_ns()) };
    match SOCKETS.redirect(ctx.rx_queue_index(), 0) {
        Ok(_) => XDP_REDIRECT,
        Err(_) => XDP_ABORTED,
    }
}

#[inline(always)]
fn count(ctx: &XdpContext) {
    let len = (ctx.data_end() - ctx.data()) as u64;
    for (index, amount) in [(0, 1), (1, len)] {
        if let Some(sum) = SEEN.get_ptr_mut(index) {
            // SAFETY: an entry of the array; one queue at a time.
            unsafe { *sum += amount };
        }
    }
}

#[inline(always)]
fn one<const BASE: usize>(ctx: &XdpContext) -> u32 {
    let Some(orders) = ORDERS.get_ptr_mut(0) else { return XDP_ABORTED };
    // SAFETY: the array's only entry; one generator runs at a time, and user space reads it afterwards.
    let orders = unsafe { &mut *orders };
    if orders.credit == 0 && !wait(orders) {
        return XDP_DROP;
    }
    let mut x = orders.random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    orders.random = x;
    let is_dns = (x & 0xffff) < orders.dns;
    let answer = is_dns && orders.dns_sent & 1 == 1;
    let length = BASE + if !is_dns { PLAIN } else if answer { ANSWER } else { QUESTION };
    // Live frames come as long as the frame that was handed in: a plain one.
    // SAFETY: the context is that of the running program; its pointers are read anew below.
    if is_dns && unsafe { bpf_xdp_adjust_tail(ctx.ctx, (length - BASE - PLAIN) as i32) } != 0 {
        return XDP_ABORTED;
    }
    let frame = Frame { start: ctx.data(), end: ctx.data_end() };
    let written = if is_dns {
        dns::<BASE>(&frame, orders.dns_sent >> 1, answer)
    } else {
        let flow = ((x >> 32) * orders.flows) >> 32;
        plain::<BASE>(&frame, flow as u32, x & 0x1_0000 != 0)
    };
    if written.is_none() {
        return XDP_ABORTED;
    }
    orders.credit -= 1;
    orders.sent += 1;
    orders.bytes += length as u64;
    orders.dns_sent += u64::from(is_dns);
    // SAFETY: no precondition.
    unsafe { bpf_redirect(orders.ifindex as u32, 0) as u32 }
}

/// Waits for the time of the next packets. `false`: it has not come yet.
#[inline(always)]
fn wait(orders: &mut Orders) -> bool {
    if orders.gap == 0 {
        orders.credit = BURST;
        return true;
    }
    for _ in 0..LOOKS {
        // SAFETY: no precondition.
        let now = unsafe { bpf_ktime_get_ns() };
        if orders.start == 0 {
            orders.start = now;
        }
        let due = ((now - orders.start) << 16) / orders.gap;
        let done = orders.sent + orders.skipped;
        if due > done {
            let behind = due - done;
            if behind > orders.patience {
                orders.skipped += behind - BURST;
            }
            orders.credit = if behind > BURST { BURST } else { behind };
            return true;
        }
    }
    false
}

/// The frame that is written.
struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    /// Writes a value as it is in memory.
    #[inline(always)]
    fn put<T: Copy>(&self, offset: usize, value: T) -> Option<()> {
        let at = self.start + offset;
        if at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: the bytes are there, as was just seen; the verifier checks that, too.
        unsafe { core::ptr::write_unaligned(at as *mut T, value) };
        Some(())
    }

    /// Ethernet and IPv4 headers.
    #[inline(always)]
    fn ip(&self, at: usize, proto: u8, length: u16, src: u32, dst: u32) -> Option<()> {
        self.put(at, 0x0100_0000_0002_u64 | 0x0002 << 48)?;
        self.put(at + 8, 0x0200_0000_u32)?;
        self.put(at + 12, 0x0008_u16)?;
        self.put(at + 14, 0x0045_u16)?;
        self.put(at + 16, length.to_be())?;
        self.put(at + 18, 0x0040_0000_u32)?;
        self.put(at + 22, u16::from(proto) << 8 | 64)?;
        self.put(at + 24, 0_u16)?;
        self.put(at + 26, src.to_be())?;
        self.put(at + 30, dst.to_be())
    }

    /// A UDP header, without checksum.
    #[inline(always)]
    fn udp(&self, at: usize, src: u16, dst: u16, length: u16) -> Option<()> {
        self.put(at, src.to_be())?;
        self.put(at + 2, dst.to_be())?;
        self.put(at + 4, length.to_be())?;
        self.put(at + 6, 0_u16)
    }

    /// The headers outside.
    #[inline(always)]
    fn vxlan(&self, inner: usize, from: u32, back: bool) -> Option<()> {
        let (one, other) = (0x0aff_0001, 0x0aff_0002);
        let (src, dst) = if back { (other, one) } else { (one, other) };
        self.ip(0, 17, (OUTER - 14 + inner) as u16, src, dst)?;
        self.udp(34, 0xc000 | from as u16 & 0x3fff, 4789, (16 + inner) as u16)?;
        self.put(42, 0x08_u32)?;
        self.put(46, 42_u32.to_be() >> 8)
    }
}

/// A TCP segment that says nothing but ACK, padded: both directions of so many connections.
#[inline(always)]
fn plain<const BASE: usize>(frame: &Frame, flow: u32, back: bool) -> Option<()> {
    let client = 0x0a00_0000 | flow.wrapping_mul(0x9e37_79b1) >> 8;
    let server = 0xc612_0000 | flow >> 15;
    let client_port = 1024 + (flow & 0x7fff) as u16;
    let (src, dst) = if back { (server, client) } else { (client, server) };
    let (src_port, dst_port) = if back { (443, client_port) } else { (client_port, 443) };
    if BASE > 0 {
        frame.vxlan(PLAIN, flow, back)?;
    }
    frame.ip(BASE, 6, 40, src, dst)?;
    frame.put(BASE + 34, u16::to_be(src_port))?;
    frame.put(BASE + 36, u16::to_be(dst_port))?;
    frame.put(BASE + 38, 0x0100_0000_u32)?;
    frame.put(BASE + 42, 0x0100_0000_u32)?;
    // Five words of header, ACK, a window, no urgent data, padding.
    frame.put(BASE + 46, 0x1050_u16)?;
    frame.put(BASE + 48, 0xffff_u16)?;
    frame.put(BASE + 50, 0_u32)?;
    frame.put(BASE + 54, 0_u32)?;
    frame.put(BASE + 58, 0_u16)
}

/// A question for a name of its own, or its answer with an address.
#[inline(always)]
fn dns<const BASE: usize>(frame: &Frame, pair: u64, answer: bool) -> Option<()> {
    let client = 0x0a01_0000 | pair as u32 & 0xffff;
    let server = 0xc000_0235;
    let client_port = 20_000 + (pair & 0x3fff) as u16;
    let (src, dst) = if answer { (server, client) } else { (client, server) };
    let (src_port, dst_port) = if answer { (53, client_port) } else { (client_port, 53) };
    let length = if answer { ANSWER } else { QUESTION };
    if BASE > 0 {
        frame.vxlan(length, pair as u32, answer)?;
    }
    frame.ip(BASE, 17, (length - 14) as u16, src, dst)?;
    frame.udp(BASE + 34, src_port, dst_port, (length - 34) as u16)?;
    let at = BASE + 42;
    frame.put(at, (pair as u16).to_be())?;
    frame.put(at + 2, if answer { 0x8081_u16 } else { 0x0001 })?;
    frame.put(at + 4, 0x0100_u16)?;
    frame.put(at + 6, if answer { 0x0100_u16 } else { 0 })?;
    frame.put(at + 8, 0_u32)?;
    // Eight letters for the number of the pair; then `example`.
    let mut letters = 0_u64;
    let mut rest = pair;
    for _ in 0..8 {
        letters = letters << 8 | (0x61 + (rest & 0xf));
        rest >>= 4;
    }
    frame.put(at + 12, 8_u8)?;
    frame.put(at + 13, letters)?;
    frame.put(at + 21, u64::from_le_bytes(*b"\x07example"))?;
    frame.put(at + 29, 0_u8)?;
    frame.put(at + 30, 0x0100_0100_u32)?;
    if answer {
        frame.put(at + 34, u64::from_le_bytes([0xc0, 12, 0, 1, 0, 1, 0, 0]))?;
        frame.put(at + 42, u64::from_le_bytes([14, 16, 0, 4, 192, 0, 2, 7]))?;
    }
    Some(())
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
