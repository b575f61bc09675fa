//! The probe: what the kernel does with each packet that arrives on a captured interface.
//!
//! ```text
//! parse ─► filter ─► sample ─► plain packet of an established flow? ── yes ─► count it in the flow cache
//!                                        │ no
//!                                        └─► whole to user space: AF_XDP socket, or a copy in a ring
//! ```
//!
//! Every packet has one fate and one verdict, counted in the books of the area and generation in which it was
//! handled. What user space and this program share is in `probe_common::layout`.

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

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_REDIRECT};
use aya_ebpf::macros::{classifier, xdp};
use aya_ebpf::programs::{TcContext, XdpContext};

use crate::cache::FlowCache;
use crate::run::{Verdict, run};

/// For drivers that hand out packets in several buffers.
#[xdp(frags)]
pub fn spotter_frags(ctx: XdpContext) -> u32 {
    action(run::<FlowCache>(&ctx, true))
}

/// For drivers that refuse such programs.
#[xdp]
pub fn spotter(ctx: XdpContext) -> u32 {
    action(run::<FlowCache>(&ctx, false))
}

/// For what the host itself sends (`inline`): XDP sees only what it receives. Whatever comes of it, the packet goes on to
/// the next program and the device.
#[classifier]
pub fn spotter_sent(ctx: TcContext) -> i32 {
    const NEXT: i32 = -1;
    run::<FlowCache>(&ctx, true);
    NEXT
}

#[inline(always)]
fn action(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Drop => XDP_DROP,
        Verdict::Pass => XDP_PASS,
        Verdict::Redirect => XDP_REDIRECT,
    }
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
