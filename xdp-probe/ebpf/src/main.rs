//! The probe: what the kernel does with each packet that arrives on a captured interface.
//!
//! ```text
//! parse ─► filter ─► sample ─► plain packet of an established flow? ── yes ─► count it in the flow cache
//!                                        │ no
//!                                        └─► whole to user space: AF_XDP socket, or a copy in a ring
//! ```
//!
//! Every packet has one fate and one verdict, counted in the [`Books`] of the area and generation in which it was
//! handled. What user space and this program share is in `probe_common::layout`.

#![no_std]
#![no_main]

mod cache;
mod filter;
mod judge;
mod maps;
mod packet;
mod slow;

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::helpers::bpf_get_prandom_u32;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use probe_common::layout::{Books, Sum, policy};
use probe_common::{Declined, shape_ethernet};

use crate::maps::{Area, settings};
use crate::packet::Bytes;

/// For drivers that hand out packets in several buffers.
#[xdp(frags)]
pub fn spotter_frags(ctx: XdpContext) -> u32 {
    run(&ctx, true)
}

/// For drivers that refuse such programs.
#[xdp]
pub fn spotter(ctx: XdpContext) -> u32 {
    run(&ctx, false)
}

#[inline(always)]
fn run(ctx: &XdpContext, frags: bool) -> u32 {
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
                if cache::count(ctx, &area, &frame, &shape, len) {
                    return end(books, len, |books| &mut books.cached);
                }
            } else if judge::is_turn(&shape) {
                cache::turn(&area, &frame, &shape);
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
fn add(sum: &mut Sum, len: u32) {
    sum.packets += 1;
    sum.bytes += u64::from(len);
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing panics: the verifier would refuse a program that could come here.
    loop {}
}

// Programs without a GPL-compatible licence string may not call the clock.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
