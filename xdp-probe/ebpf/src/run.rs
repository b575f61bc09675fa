//! The way of a packet through the program.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::helpers::bpf_get_prandom_u32;
use aya_ebpf::programs::XdpContext;
use probe_common::layout::{Books, Sum, policy};
use probe_common::{Declined, Shape, shape_ethernet};

use crate::maps::{Area, settings};
use crate::packet::Bytes;
use crate::{filter, judge, slow};

/// Where plain packets are counted. The probe's is the flow cache; benches put others in its place.
pub trait Table {
    /// Counts a packet. `false`: it belongs to the beginning of a connection and goes to user space.
    fn count(ctx: &XdpContext, area: &Area, frame: &Bytes, shape: &Shape, len: u32) -> bool;

    /// A connection begins or ends; the packet goes to user space.
    fn turn(area: &Area, frame: &Bytes, shape: &Shape);
}

/// One packet; the verdict.
#[inline(always)]
pub fn run<T: Table>(ctx: &XdpContext, frags: bool) -> u32 {
    // Cannot fail: the arrays have an entry for every area, and areas are bounded.
    let Some(area) = Area::of(ctx) else { return XDP_PASS };
    let frame = Bytes::of(ctx);
    let len = if frags { frame.len_with_frags(ctx) } else { frame.len() };
    let books = area.books();
    add(&mut books.seen, len);
    // SAFETY: no precondition.
    if settings().sample() > 1
        && (u64::from(unsafe { bpf_get_prandom_u32() }) * u64::from(settings().sample())) >> 32 != 0
    {
        return end(books, len, |books| &mut books.sampled_out);
    }
    match shape_ethernet(&frame) {
        Ok(shape) => {
            if area.rules != 0 && filter::drops(&frame, &shape, area.rules) {
                return end(books, len, |books| &mut books.filtered);
            }
            if judge::is_plain(&frame, &shape, len) {
                if T::count(ctx, &area, &frame, &shape, len) {
                    return end(books, len, |books| &mut books.cached);
                }
            } else if judge::is_turn(&shape) {
                T::turn(&area, &frame, &shape);
            }
        }
        Err(Declined::Link) if frame.is_arp() => return end(books, len, |books| &mut books.not_ip),
        Err(_) => {}
    }
    slow::hand_over(ctx, &area, len)
}

/// The fate, and the verdict of what does not go to user space.
#[inline(always)]
fn end(books: &mut Books, len: u32, fate: impl Fn(&mut Books) -> &mut Sum) -> u32 {
    add(fate(books), len);
    if settings().policy() == policy::INLINE {
        add(&mut books.passed, len);
        XDP_PASS
    } else {
        add(&mut books.dropped, len);
        XDP_DROP
    }
}

#[inline(always)]
pub fn add(sum: &mut Sum, len: u32) {
    sum.packets += 1;
    sum.bytes += u64::from(len);
}
