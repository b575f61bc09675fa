//! Memory that the kernel program and user space share: settings, the flow cache's slots, the books. `#[repr(C)]`,
//! native byte order, no padding that is not named.
//!
//! The flow cache is an array of slots per *area*, twice: the program writes in one generation while user space reads
//! the other. An area has one writer at a time: it belongs to a receive queue (driver mode), or to a CPU.

/// Settings of a loaded program, constants for it: what is switched off costs nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Settings {
    /// Keys of the slot hash, random; [`Settings::multipliers`] are odd.
    pub seeds: [u64; 2],
    /// See `seeds`.
    pub multipliers: [u64; 2],
    /// Bits of [`Key::word`] that tell flows apart: [`Key::MASK`], or [`Key::MASK_WITH_VLAN`].
    pub key_mask: u64,
    /// IPv4 slots of an area are 2 to this power.
    pub slots4_shift: u32,
    /// IPv6 slots of an area, likewise.
    pub slots6_shift: u32,
    /// Areas of a generation.
    pub areas: u32,
    /// 1: an area is a CPU's, 0: a receive queue's.
    pub area_is_cpu: u32,
    /// [`policy`]: what becomes of a packet.
    pub policy: u32,
    /// One packet of this many is looked at; 1 = all.
    pub sample: u32,
    /// 1: the time is in 8 bytes of metadata before the frame, in microseconds (tests); else a tick is a jiffy.
    pub clock_is_metadata: u32,
    /// Number of the first area of sent packets; there is one for each CPU, behind those of received packets.
    pub first_egress: u32,
    /// 1: of a packet in VXLAN the inner one is counted.
    pub enters_vxlan: u32,
    /// Unused.
    pub reserved: u32,
}

/// Values of [`Settings::policy`].
pub mod policy {
    /// Every packet ends here; the slow path goes to an AF_XDP socket.
    pub const TAP_REDIRECT: u32 = 0;
    /// Every packet ends here; the slow path is copied into a ring.
    pub const TAP_COPY: u32 = 1;
    /// Every packet goes on to the host; the slow path is copied into a ring.
    pub const INLINE: u32 = 2;
}

/// What user space tells a running program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Control {
    /// Which generation is written, 0 or 1.
    pub generation: u32,
    /// Filter rules in use.
    pub rules: u32,
    /// Tick at which each generation began.
    pub base: [u64; 2],
}

/// Where two flows meet: ends ordered, then the rest in one word.
///
/// ```text
///  63      48 47      32 31    24 23    16 15               0
/// ┌──────────┬──────────┬────────┬────────┬──────────────────┐
/// │ low port │ high port│ proto  │ state  │ VLAN tag control │
/// └──────────┴──────────┴────────┴────────┴──────────────────┘
/// ```
///
/// ICMP has `type << 8 | code` for both ports, and [`Key::HIGH_SENT`]: each direction is a slot of its own.
pub struct Key;

impl Key {
    /// State: a VLAN tag was there.
    pub const TAGGED: u64 = 1 << 16;
    /// State: ICMP that the high end sent.
    pub const HIGH_SENT: u64 = 1 << 17;
    /// State: it came in VXLAN.
    pub const IN_VXLAN: u64 = 1 << 18;
    /// State: packets that still go to user space whole, from this bit on (5 bits).
    pub const QUOTA_SHIFT: u32 = 19;
    /// Bits of the quota.
    pub const QUOTA_MASK: u64 = 0x1f << Self::QUOTA_SHIFT;
    /// The key without the VLAN.
    pub const MASK: u64 = 0xffff_ffff_ff00_0000 | Self::HIGH_SENT;
    /// The key with the VLAN id.
    pub const MASK_WITH_VLAN: u64 = Self::MASK | Self::TAGGED | 0x0fff;

    /// The word of a key.
    #[inline(always)]
    pub const fn word(low_port: u16, high_port: u16, proto: u8, state: u64, tci: u16) -> u64 {
        (low_port as u64) << 48 | (high_port as u64) << 32 | (proto as u64) << 24 | state | tci as u64
    }

    /// The ports of the low and of the high end.
    pub const fn ports(word: u64) -> (u16, u16) {
        ((word >> 48) as u16, (word >> 32) as u16)
    }

    /// The protocol; 0 in a vacant slot.
    pub const fn proto(word: u64) -> u8 {
        (word >> 24) as u8
    }

    /// Tag control information, if there was a tag.
    pub const fn tag(word: u64) -> Option<u16> {
        if word & Self::TAGGED == 0 { None } else { Some(word as u16) }
    }
}

/// Packets of a connection that go to user space whole after its SYN was seen: requests and answers begin there, and the
/// handshake is completed.
pub const QUOTA: u64 = 20;

/// What one direction carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Carried {
    /// Packets.
    pub packets: u32,
    /// IP bytes; the slot leaves before they overflow.
    pub bytes: u32,
    /// Ticks from the generation's base to the first.
    pub first: u32,
}

/// What a slot counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Counts {
    /// From the low end, from the high end.
    pub carried: [Carried; 2],
    /// Ticks from the generation's base to the last packet of both.
    pub last: u32,
    /// Bytes on the wire beyond the IP bytes.
    pub link_bytes: u32,
    /// MAC addresses of the low and of the high end, by the slot's first packet.
    pub macs: [u8; 12],
    /// OR of the TCP flags.
    pub tcp_flags: [u8; 2],
    /// TOS or traffic class of the first packet of each direction.
    pub tos: [u8; 2],
}

impl Counts {
    /// Packets of both directions.
    #[inline(always)]
    pub const fn packets(&self) -> u64 {
        self.carried[0].packets as u64 + self.carried[1].packets as u64
    }

    /// Their bytes on the wire.
    #[inline(always)]
    pub const fn wire_bytes(&self) -> u64 {
        self.carried[0].bytes as u64 + self.carried[1].bytes as u64 + self.link_bytes as u64
    }
}

/// One cache line: an IPv4 flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, align(64))]
pub struct Slot4 {
    /// Low address in the upper half, high address in the lower.
    pub addresses: u64,
    /// See [`Key`]; 0 = vacant.
    pub key: u64,
    /// What was counted.
    pub counts: Counts,
}

/// Two cache lines: an IPv6 flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, align(64))]
pub struct Slot6 {
    /// Low address, high address: 16 bytes each, network order read as native words.
    pub addresses: [u64; 4],
    /// See [`Key`]; 0 = vacant.
    pub key: u64,
    /// What was counted.
    pub counts: Counts,
    /// Unused.
    pub reserved: [u64; 5],
}

/// An IPv4 slot that left early, as it stands in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Evicted4 {
    /// Tick its times count from.
    pub base: u64,
    /// See [`Slot4::addresses`].
    pub addresses: u64,
    /// See [`Key`].
    pub key: u64,
    /// What was counted.
    pub counts: Counts,
}

/// An IPv6 slot that left early, as it stands in the ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Evicted6 {
    /// Tick its times count from.
    pub base: u64,
    /// See [`Slot6::addresses`].
    pub addresses: [u64; 4],
    /// See [`Key`].
    pub key: u64,
    /// What was counted.
    pub counts: Counts,
}

/// Packets and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Sum {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

/// What the program counts of one area in one generation. Only packets that are not cached are counted under a name
/// here: what was seen is the sum of the fates, and a second count of `seen` says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, align(64))]
pub struct Books {
    /// Packets the program looked at.
    pub seen: Sum,
    /// Fate: counted in a slot.
    pub cached: Sum,
    /// Fate: to user space, whole.
    pub to_slow_path: Sum,
    /// Fate: carries no IP (ARP).
    pub not_ip: Sum,
    /// Fate: dropped by a filter rule.
    pub filtered: Sum,
    /// Fate: not in the sample.
    pub sampled_out: Sum,
    /// Verdict: ends here.
    pub dropped: Sum,
    /// Verdict: goes on to the host.
    pub passed: Sum,
    /// Verdict: into an AF_XDP socket.
    pub redirected: Sum,
    /// Of the cached: the ring was full.
    pub lost_ring_full: Sum,
    /// Of the slow path: the copy ring was full.
    pub lost_copy_ring: Sum,
    /// Of the slow path: no socket, or no room for the time before the frame.
    pub redirect_failed: Sum,
    /// Slots that left early.
    pub evicted: u64,
    /// Of those, records that found the ring full.
    pub evicted_lost: u64,
    /// Frames whose copy was cut at the largest size class.
    pub copies_cut: u64,
    /// Unused.
    pub reserved: [u64; 5],
}

/// Before each frame in the copy ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct CopyHead {
    /// When, in nanoseconds of the monotonic clock; bit 0 is the generation.
    pub ts: u64,
    /// Length of the frame, without the tag.
    pub wire_len: u32,
    /// Bytes that follow.
    pub len: u32,
    /// VLAN tag that the device puts in: protocol identifier, 0 = none.
    pub tpid: u16,
    /// Its control information.
    pub tci: u16,
    /// Payload bytes of each of the segments that the device makes of the frame; 0 = it is none.
    pub segment: u16,
    /// Unused.
    pub reserved: u16,
}

/// Sizes of entries of the copy ring, powers of two; a frame is shorter than its entry.
pub const COPY_CLASSES: [usize; 3] = [256, 2048, 16384];

/// Sets of filter rules: bit `r` is rule `r`. A packet is dropped by the rules that are in all of: the set of its protocol, that of its IP version, those
/// of its ports together, and those of the networks that its addresses are in together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct RuleSets {
    /// Rules for IPv4, and for IPv6: those with a network of it, and those without a network.
    pub versions: [u64; 2],
    /// Rules that take any port.
    pub any_port: u64,
    /// Rules that take any address.
    pub any_net: u64,
}

/// Most filter rules: the bits of a set.
pub const MAX_RULES: usize = 64;
/// Ports, each with the set of the rules that take it.
pub const PORTS: usize = 1 << 16;
/// Protocols, each with the set of the rules that take it.
pub const PROTOCOLS: usize = 256;

const _: () = assert!(size_of::<Counts>() == 48 && size_of::<Slot4>() == 64 && size_of::<Slot6>() == 128);
const _: () = assert!(size_of::<Evicted4>() == 72 && size_of::<Evicted6>() == 96 && size_of::<Books>() == 256);
const _: () = assert!(size_of::<CopyHead>() == 24);
