//! The slow path: packets that user space reads whole.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT};
use aya_ebpf::bindings::{BPF_RB_NO_WAKEUP, xdp_md};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_xdp_adjust_meta, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;
use probe_common::layout::{COPY_CLASSES, CopyHead, policy};

use crate::cache::metadata_clock;
use crate::maps::{Area, COPIES, SOCKETS, settings};
use crate::run::add;

/// User space looks at the rings by itself: no wake-up for each record.
pub const NO_WAKEUP: u64 = BPF_RB_NO_WAKEUP as u64;

/// Gives the packet to user space; the verdict.
#[inline(always)]
pub fn hand_over(ctx: &XdpContext, area: &Area, len: u32) -> u32 {
    add(&mut area.books().to_slow_path, len);
    if settings().policy() == policy::TAP_REDIRECT {
        return redirect(ctx, area, len);
    }
    copy(ctx, area, len);
    if settings().policy() == policy::INLINE {
        add(&mut area.books().passed, len);
        XDP_PASS
    } else {
        add(&mut area.books().dropped, len);
        XDP_DROP
    }
}

/// When, in nanoseconds, and in bit 0 the generation in whose books the packet is.
#[inline(always)]
fn stamp(ctx: &XdpContext, area: &Area) -> u64 {
    let now = if settings().clock_is_metadata() == 1 {
        metadata_clock(ctx) * 1000
    } else {
        // SAFETY: no precondition.
        unsafe { bpf_ktime_get_ns() }
    };
    now & !1 | u64::from(area.generation)
}

/// Into the queue's AF_XDP socket, the time in the 8 bytes before the frame.
#[inline(always)]
fn redirect(ctx: &XdpContext, area: &Area, len: u32) -> u32 {
    let stamp = stamp(ctx, area);
    // In tests the time is there already.
    let room = settings().clock_is_metadata() == 1
        // SAFETY: the context is that of the running program; its pointers are read anew below.
        || unsafe { bpf_xdp_adjust_meta(ctx.ctx.cast::<xdp_md>(), -8) } == 0;
    let (meta, data) = (ctx.metadata(), ctx.data());
    if room && meta + 8 <= data {
        // SAFETY: the bytes are there, as was just seen; the verifier checks that, too.
        unsafe { core::ptr::write_unaligned(meta as *mut u64, stamp) };
        if SOCKETS.redirect(ctx.rx_queue_index(), 0).is_ok() {
            add(&mut area.books().redirected, len);
            return XDP_REDIRECT;
        }
    }
    let books = area.books();
    add(&mut books.redirect_failed, len);
    add(&mut books.dropped, len);
    XDP_DROP
}

/// Into the area's ring, in the smallest size class that takes it.
#[inline(always)]
fn copy(ctx: &XdpContext, area: &Area, len: u32) {
    let stamp = stamp(ctx, area);
    let [small, middle, _] = COPY_CLASSES;
    let done = if (len as usize) < small {
        copy_class::<{ COPY_CLASSES[0] }>(ctx, area, len, stamp)
    } else if (len as usize) < middle {
        copy_class::<{ COPY_CLASSES[1] }>(ctx, area, len, stamp)
    } else {
        copy_class::<{ COPY_CLASSES[2] }>(ctx, area, len, stamp)
    };
    if !done {
        add(&mut area.books().lost_copy_ring, len);
    }
}

#[repr(C, align(8))]
struct Copy<const N: usize> {
    head: CopyHead,
    bytes: [u8; N],
}

#[inline(always)]
fn copy_class<const N: usize>(ctx: &XdpContext, area: &Area, wire_len: u32, ts: u64) -> bool {
    let Some(ring) = COPIES.get(area.index) else { return false };
    let Some(mut entry) = ring.reserve_untyped::<Copy<N>>(0) else { return false };
    let mut len = wire_len;
    if len as usize >= N {
        len = N as u32 - 1;
        area.books().copies_cut += 1;
    }
    // Read back and masked: so the verifier sees the bound on the very value that is used, whatever the compiler knows.
    // SAFETY: a live local.
    let len = unsafe { (&raw const len).read_volatile() } & (N as u32 - 1);
    if len == 0 {
        entry.discard(NO_WAKEUP);
        return false;
    }
    let copy = entry.as_mut_ptr();
    // SAFETY: the reserved entry is as large as a `Copy<N>`, and `len` is less than N.
    let loaded = unsafe {
        (&raw mut (*copy).head).write(CopyHead { ts, wire_len, len });
        bpf_xdp_load_bytes(ctx.ctx, 0, (&raw mut (*copy).bytes).cast(), len)
    };
    if loaded == 0 {
        entry.submit(NO_WAKEUP);
    } else {
        entry.discard(NO_WAKEUP);
    }
    loaded == 0
}
