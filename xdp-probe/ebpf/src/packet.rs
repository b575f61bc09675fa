//! The packet's bytes, read as the verifier asks for it.

use aya_ebpf::helpers::generated::bpf_xdp_get_buff_len;
use aya_ebpf::programs::XdpContext;
use probe_common::{HeaderBytes, Shape};

/// The first buffer of a packet.
#[derive(Clone, Copy)]
pub struct Bytes {
    start: usize,
    end: usize,
}

impl Bytes {
    #[inline(always)]
    pub fn of(ctx: &XdpContext) -> Self {
        Self { start: ctx.data(), end: ctx.data_end() }
    }

    /// Bytes in the first buffer.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        (self.end - self.start) as u32
    }

    /// Bytes in all buffers.
    #[inline(always)]
    pub fn len_with_frags(&self, ctx: &XdpContext) -> u32 {
        // SAFETY: the context is that of the running program.
        unsafe { bpf_xdp_get_buff_len(ctx.ctx) as u32 }
    }

    /// Source and destination of an IPv4 packet.
    #[inline(always)]
    pub fn addresses4(&self, shape: &Shape) -> Option<(u64, u64)> {
        let [a, b, c, d, e, f, g, h] = self.read(usize::from(shape.ip_offset) + 12)?;
        let word = |bytes| u64::from(u32::from_be_bytes(bytes));
        Some((word([a, b, c, d]), word([e, f, g, h])))
    }

    /// Source and destination of an IPv6 packet, two halves each: their order is that of the bytes.
    #[inline(always)]
    pub fn addresses6(&self, shape: &Shape) -> Option<[u64; 4]> {
        let at = self.start + usize::from(shape.ip_offset) + 8;
        if at + 32 > self.end {
            return None;
        }
        // SAFETY: the bytes are there, as was just seen; the verifier checks that, too.
        let halves = unsafe { core::ptr::read_unaligned(at as *const [u64; 4]) };
        Some(halves.map(u64::from_be))
    }

    /// Whether the EtherType behind the addresses says ARP.
    #[inline(always)]
    pub fn is_arp(&self) -> bool {
        self.read(12) == Some([0x08, 0x06])
    }
}

impl HeaderBytes for Bytes {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let at = self.start + offset;
        if at + N > self.end {
            return None;
        }
        // SAFETY: the bytes are there, as was just seen; the verifier checks that, too.
        Some(unsafe { *(at as *const [u8; N]) })
    }
}
