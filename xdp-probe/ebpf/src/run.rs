//! The way of a packet through the program.

use aya_ebpf::helpers::bpf_get_prandom_u32;
use probe_common::layout::{Books, Sum, policy};
use probe_common::{Declined, Shape, shape_ethernet, shape_in_vxlan};

use crate::maps::{Area, settings};
use crate::packet::{Bytes, Packet, Size};
use crate::{filter, judge, slow};

/// Where plain packets are counted. The probe's is the flow cache; benches put others in its place.
pub trait Table {
    /// Counts a packet. `false`: it belongs to the beginning of a connection and goes to user space.
    fn count(packet: &impl Packet, area: &Area, frame: &Bytes, shape: &Shape, size: Size) -> bool;

    /// A connection begins or ends; the packet goes to user space.
    fn turn(area: &Area, frame: &Bytes, shape: &Shape);
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ends here.
    Drop,
    /// It goes on.
    Pass,
    /// Into an AF_XDP socket.
    Redirect,
}

/// One packet. `frags`: it may be in several buffers.
#[inline(always)]
pub fn run<T: Table>(packet: &impl Packet, frags: bool) -> Verdict {
    // Cannot fail: the arrays have an entry for every area, and areas are bounded.
    let Some(area) = Area::of(packet) else { return Verdict::Pass };
    let frame = packet.frame();
    let len = if frags { packet.len() } else { frame.len() };
    let offloaded = packet.offloaded();
    // The device's tag is part of the frame on the wire.
    let len = if offloaded.tag.0 == 0 { len } else { len + 4 };
    // Apart from what follows: so no field of a shape has to stand somewhere before it is known.
    let mut shape = match shape_ethernet(&frame) {
        Ok(shape) => shape,
        Err(declined) => {
            let size = Size::of_frame(len);
            let books = area.books();
            add(&mut books.seen, size);
            if is_left_out() {
                return end(books, size, |books| &mut books.sampled_out);
            }
            if declined == Declined::Link && frame.is_arp() {
                return end(books, size, |books| &mut books.not_ip);
            }
            return slow::hand_over(packet, &area, size, offloaded);
        }
    };
    let mut size = Size::of(&shape, len, offloaded);
    let books = area.books();
    add(&mut books.seen, size);
    if is_left_out() {
        return end(books, size, |books| &mut books.sampled_out);
    }
    if offloaded.tag.0 != 0 {
        if shape.tags == 0 {
            shape.tci = offloaded.tag.1;
        }
        shape.tags += 1;
    }
    if area.rules != 0 && filter::drops(&frame, &shape) {
        return end(books, size, |books| &mut books.filtered);
    }
    let whole = size;
    if packet.enters_tunnels() && judge::is_vxlan(&shape) {
        match shape_in_vxlan(&frame, &shape) {
            // The record has the outer frame's EtherType, and a slot its own IP version's.
            Ok(inner) if inner.version == shape.version => shape = inner,
            _ => return slow::hand_over(packet, &area, size, offloaded),
        }
        size.ip = shape.ip_bytes;
    }
    if judge::is_plain(packet, &frame, &shape, len) {
        if T::count(packet, &area, &frame, &shape, size) {
            return end(books, size, |books| &mut books.cached);
        }
    } else if judge::is_turn(&shape) {
        T::turn(&area, &frame, &shape);
    }
    slow::hand_over(packet, &area, whole, offloaded)
}

/// Whether the packet is one of those that are not looked at.
#[inline(always)]
fn is_left_out() -> bool {
    let sample = settings().sample();
    // SAFETY: no precondition.
    sample > 1 && (u64::from(unsafe { bpf_get_prandom_u32() }) * u64::from(sample)) >> 32 != 0
}

/// The fate, and the verdict of what does not go to user space.
#[inline(always)]
fn end(books: &mut Books, size: Size, fate: impl Fn(&mut Books) -> &mut Sum) -> Verdict {
    add(fate(books), size);
    if settings().policy() == policy::INLINE {
        add(&mut books.passed, size);
        Verdict::Pass
    } else {
        add(&mut books.dropped, size);
        Verdict::Drop
    }
}

#[inline(always)]
pub fn add(sum: &mut Sum, size: Size) {
    sum.packets += u64::from(size.packets);
    sum.bytes += u64::from(size.wire);
}
