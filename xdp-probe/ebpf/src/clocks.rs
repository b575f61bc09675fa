//! How the clock of the cache stands to the monotonic clock.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_ktime_get_ns};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;

/// Writes jiffies and nanoseconds of the monotonic clock into the first 16 bytes. User space runs it; no interface has it.
#[xdp]
pub fn clocks(ctx: XdpContext) -> u32 {
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + 16 > end {
        return XDP_DROP;
    }
    // SAFETY: the bytes are there, as was just seen; the helpers have no precondition.
    unsafe {
        (start as *mut u64).write_unaligned(bpf_jiffies64());
        ((start + 8) as *mut u64).write_unaligned(bpf_ktime_get_ns());
    }
    XDP_PASS
}
