//! The slow path: packets that user space reads whole.

use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use probe_common::layout::{COPY_CLASSES, CopyHead, policy};

use crate::maps::{Area, COPIES, settings};
use crate::packet::{Offloaded, Packet, Size};
use crate::run::{Verdict, add};

/// User space looks at the rings by itself: no wake-up for each record.
pub const NO_WAKEUP: u64 = BPF_RB_NO_WAKEUP as u64;

/// Gives the packet to user space; the verdict.
#[inline(always)]
pub fn hand_over(packet: &impl Packet, area: &Area, size: Size, offloaded: Offloaded) -> Verdict {
    add(&mut area.books().to_slow_path, size);
    if settings().policy() == policy::TAP_REDIRECT {
        return redirect(packet, area, size);
    }
    copy(packet, area, size, offloaded);
    if settings().policy() == policy::INLINE {
        add(&mut area.books().passed, size);
        Verdict::Pass
    } else {
        add(&mut area.books().dropped, size);
        Verdict::Drop
    }
}

/// When, in nanoseconds, and in bit 0 the generation in whose books the packet is.
#[inline(always)]
fn stamp(packet: &impl Packet, area: &Area) -> u64 {
    let now = if settings().clock_is_metadata() == 1 {
        packet.metadata_clock() * 1000
    } else {
        // SAFETY: no precondition.
        unsafe { bpf_ktime_get_ns() }
    };
    now & !1 | u64::from(area.generation)
}

/// Into the queue's AF_XDP socket, the time in the 8 bytes before the frame.
#[inline(always)]
fn redirect(packet: &impl Packet, area: &Area, size: Size) -> Verdict {
    let stamp = stamp(packet, area);
    let books = area.books();
    if packet.redirect(stamp) {
        add(&mut books.redirected, size);
        return Verdict::Redirect;
    }
    add(&mut books.redirect_failed, size);
    add(&mut books.dropped, size);
    Verdict::Drop
}

/// Into the area's ring, in the smallest size class that takes it.
#[inline(always)]
fn copy(packet: &impl Packet, area: &Area, size: Size, offloaded: Offloaded) {
    let (tpid, tci) = offloaded.tag;
    // Without the device's tag, which is told beside the frame. Of a superframe all of it, cut by user space.
    let whole = packet.len();
    let segment = if size.packets > 1 { offloaded.segment as u16 } else { 0 };
    let head = CopyHead { ts: stamp(packet, area), wire_len: whole, len: 0, tpid, tci, segment, reserved: 0 };
    let [small, middle, large, _] = COPY_CLASSES;
    let done = if (whole as usize) < small {
        copy_class::<{ COPY_CLASSES[0] }>(packet, area, head)
    } else if (whole as usize) < middle {
        copy_class::<{ COPY_CLASSES[1] }>(packet, area, head)
    } else if (whole as usize) < large {
        copy_class::<{ COPY_CLASSES[2] }>(packet, area, head)
    } else {
        copy_class::<{ COPY_CLASSES[3] }>(packet, area, head)
    };
    if !done {
        add(&mut area.books().lost_copy_ring, size);
    }
}

#[repr(C, align(8))]
struct Copy<const N: usize> {
    head: CopyHead,
    bytes: [u8; N],
}

#[inline(always)]
fn copy_class<const N: usize>(packet: &impl Packet, area: &Area, head: CopyHead) -> bool {
    let Some(ring) = COPIES.get(area.index) else { return false };
    let Some(mut entry) = ring.reserve_untyped::<Copy<N>>(0) else { return false };
    let mut len = head.wire_len;
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
        (&raw mut (*copy).head).write(CopyHead { len, ..head });
        packet.load((&raw mut (*copy).bytes).cast(), len)
    };
    if loaded {
        entry.submit(NO_WAKEUP);
    } else {
        entry.discard(NO_WAKEUP);
    }
    loaded
}
