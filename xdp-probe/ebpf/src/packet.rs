//! A packet's bytes, with the comparisons the verifier asks for; and what a hook of the kernel tells of it.

use aya_ebpf::bindings::xdp_action::XDP_REDIRECT;
use aya_ebpf::bindings::{__sk_buff, xdp_md};
use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_skb_load_bytes, bpf_xdp_adjust_meta, bpf_xdp_get_buff_len, bpf_xdp_load_bytes,
};
use aya_ebpf::programs::{TcContext, XdpContext};
use probe_common::protocol::{TCP, UDP};
use probe_common::{HeaderBytes, Shape};

use crate::maps::{SOCKETS, settings};

/// A packet as a hook of the kernel has it.
pub trait Packet {
    /// Its first buffer.
    fn frame(&self) -> Bytes;
    /// Bytes in all buffers.
    fn len(&self) -> u32;
    /// Number of the area it is counted in.
    fn area(&self) -> u32;
    /// The time a test put before the frame; 0 if it did not.
    fn metadata_clock(&self) -> u64;
    /// What the kernel left for the device to do.
    fn offloaded(&self) -> Offloaded;
    /// Bytes in any buffer.
    fn peek<const N: usize>(&self, frame: &Bytes, offset: usize) -> Option<[u8; N]>;
    /// Copies the first `len` bytes. Whether that went well.
    ///
    /// # Safety
    /// There is room for them.
    unsafe fn load(&self, to: *mut u8, len: u32) -> bool;
    /// Whether tunnels are entered here.
    fn enters_tunnels(&self) -> bool;
    /// Into the queue's AF_XDP socket, with a time before the frame. Whether that went well.
    fn redirect(&self, stamp: u64) -> bool;
}

/// What the network device does to a sent packet.
#[derive(Clone, Copy, Default)]
pub struct Offloaded {
    /// The VLAN tag it puts in: protocol and control information; protocol 0 = none.
    pub tag: (u16, u16),
    /// Payload bytes of the segments it makes; 0 = none.
    pub segment: u32,
}

/// A packet as the wire has it: a superframe is its segments.
#[derive(Clone, Copy)]
pub struct Size {
    pub packets: u32,
    /// Bytes of all, from the Ethernet header on.
    pub wire: u32,
    /// IP bytes of all.
    pub ip: u32,
}

impl Size {
    /// One packet that is not an IP packet, or whose headers were not read.
    #[inline(always)]
    pub fn of_frame(len: u32) -> Self {
        Self { packets: 1, wire: len, ip: 0 }
    }

    /// As [`of_frame`](Self::of_frame) with the IP bytes; what the device cuts in pieces has headers before each.
    #[inline(always)]
    pub fn of(shape: &Shape, len: u32, offloaded: Offloaded) -> Self {
        let whole = Self { packets: 1, wire: len, ip: shape.ip_bytes };
        let Offloaded { segment, tag } = offloaded;
        if segment == 0 || shape.payload_bytes <= segment || !matches!(shape.proto, TCP | UDP) {
            return whole;
        }
        let packets = shape.payload_bytes.div_ceil(segment);
        let headers = u32::from(shape.payload_offset) + if tag.0 == 0 { 0 } else { 4 };
        let ip_headers = u32::from(shape.payload_offset - shape.ip_offset);
        Self { packets, wire: len + (packets - 1) * headers, ip: shape.ip_bytes + (packets - 1) * ip_headers }
    }
}

impl Packet for XdpContext {
    #[inline(always)]
    fn frame(&self) -> Bytes {
        Bytes { start: self.data(), end: self.data_end() }
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        // SAFETY: the context is that of the running program.
        unsafe { bpf_xdp_get_buff_len(self.ctx) as u32 }
    }

    #[inline(always)]
    fn area(&self) -> u32 {
        if settings().area_is_cpu() == 1 {
            // SAFETY: no precondition.
            unsafe { bpf_get_smp_processor_id() }
        } else {
            self.rx_queue_index()
        }
    }

    #[inline(always)]
    fn metadata_clock(&self) -> u64 {
        let (meta, data) = (self.metadata(), self.data());
        if meta + 8 > data {
            return 0;
        }
        // SAFETY: the bytes are there, as was just seen; the verifier checks that, too.
        unsafe { core::ptr::read_unaligned(meta as *const u64) }
    }

    #[inline(always)]
    fn offloaded(&self) -> Offloaded {
        Offloaded::default()
    }

    #[inline(always)]
    fn peek<const N: usize>(&self, frame: &Bytes, offset: usize) -> Option<[u8; N]> {
        frame.read(offset)
    }

    #[inline(always)]
    unsafe fn load(&self, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller says that there is room.
        unsafe { bpf_xdp_load_bytes(self.ctx, 0, to.cast(), len) == 0 }
    }

    #[inline(always)]
    fn enters_tunnels(&self) -> bool {
        settings().enters_vxlan() == 1
    }

    #[inline(always)]
    fn redirect(&self, stamp: u64) -> bool {
        // In tests the time is there already.
        let room = settings().clock_is_metadata() == 1
            // SAFETY: the context is that of the running program; its pointers are read anew below.
            || unsafe { bpf_xdp_adjust_meta(self.ctx.cast::<xdp_md>(), -8) } == 0;
        let (meta, data) = (self.metadata(), self.data());
        if !room || meta + 8 > data {
            return false;
        }
        // SAFETY: the bytes are there, as was just seen; the verifier checks that, too.
        unsafe { core::ptr::write_unaligned(meta as *mut u64, stamp) };
        SOCKETS.redirect(self.rx_queue_index(), 0) == Ok(XDP_REDIRECT)
    }
}

/// A packet the host sends, on its way to the device.
impl Packet for TcContext {
    #[inline(always)]
    fn frame(&self) -> Bytes {
        Bytes { start: self.data(), end: self.data_end() }
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        self.skb.len()
    }

    #[inline(always)]
    fn area(&self) -> u32 {
        // Nothing else that counts here runs on this CPU meanwhile: soft interrupts are off while packets are sent.
        // SAFETY: no precondition.
        settings().first_egress() + unsafe { bpf_get_smp_processor_id() }
    }

    #[inline(always)]
    fn metadata_clock(&self) -> u64 {
        // Tests run packets that are received.
        0
    }

    #[inline(always)]
    fn offloaded(&self) -> Offloaded {
        let skb: *const __sk_buff = self.skb.skb;
        // SAFETY: the context is that of the running program; these fields can be read.
        unsafe {
            let tag = if (*skb).vlan_present != 0 {
                (u16::from_be((*skb).vlan_proto as u16), (*skb).vlan_tci as u16)
            } else {
                (0, 0)
            };
            Offloaded { tag, segment: (*skb).gso_size }
        }
    }

    #[inline(always)]
    fn peek<const N: usize>(&self, frame: &Bytes, offset: usize) -> Option<[u8; N]> {
        // The payload of what a socket sends is not in the first buffer.
        if let Some(bytes) = frame.read(offset) {
            return Some(bytes);
        }
        let mut bytes = [0_u8; N];
        // SAFETY: a live array of N bytes.
        let failed =
            unsafe { bpf_skb_load_bytes(self.skb.skb.cast(), offset as u32, bytes.as_mut_ptr().cast(), N as u32) } != 0;
        if failed { None } else { Some(bytes) }
    }

    #[inline(always)]
    unsafe fn load(&self, to: *mut u8, len: u32) -> bool {
        // SAFETY: the caller says that there is room.
        unsafe { bpf_skb_load_bytes(self.skb.skb.cast(), 0, to.cast(), len) == 0 }
    }

    /// What the device cuts in pieces has outer headers before each: user space knows how.
    #[inline(always)]
    fn enters_tunnels(&self) -> bool {
        false
    }

    #[inline(always)]
    fn redirect(&self, _: u64) -> bool {
        false
    }
}

/// The first buffer of a packet.
#[derive(Clone, Copy)]
pub struct Bytes {
    start: usize,
    end: usize,
}

impl Bytes {
    /// Bytes in the first buffer.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        (self.end - self.start) as u32
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
