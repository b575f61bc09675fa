//! Memory that the kernel program and user space share: settings, the flow cache's slots, the books. `#[repr(C)]`,
//! native byte order, no padding that is not named.
//!
//! The flow cache is an array of slots per *area*, twice: the program writes in one generation while user space reads
//! the other. An area has one writer at a time: it belongs to a receive queue (driver mode), or to a CPU.
//!
//! Behind all slots stand, per area and generation, those of packets that wait to be counted in theirs ([`WAITING`]).

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
    /// Entries of a ring of IPv4 slots that left early are 2 to this power; one of IPv6 slots has half as many.
    pub displaced_shift: u32,
    /// 1: the processor makes stores visible in their order (x86).
    pub stores_in_order: u32,
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
    /// Of an area's slots each generation uses the first 2 to the power of their shift less this. Changed only of a generation
    /// that nobody writes and that was read.
    pub unused_shift: [u32; 2],
}

/// At least 2 to this power of an area's slots are used.
pub const FEWEST_SHIFT: u32 = 4;

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
    /// State, of a slot that left early: it left in generation 1.
    pub const LATER_GENERATION: u64 = 1 << 19;
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

/// Flows of an IP version whose packets wait, in an area and generation, to be counted in their slots, all together: so the
/// memory of many slots is waited for once. In user space's reading order they come after the slots.
pub const WAITING: u32 = 15;

/// The slots of one IP version's array: `1 << shift` for each of `areas` in each generation, and behind them the waiting.
pub const fn slots_in_all(areas: u32, shift: u32) -> u64 {
    let areas = 2 * areas as u64;
    (areas << shift) + areas * (WAITING as u64 + 1)
}

/// In that array the first slot of what waits, where `area` is generation × `areas` + number of the area: [`WaitingHead`],
/// and [`WAITING`] slots after it.
pub const fn waiting_head(areas: u32, shift: u32, area: u32) -> u32 {
    ((2 * areas) << shift) + area * (WAITING + 1)
}

/// What stands in the first slot of those that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct WaitingHead {
    /// How many wait, at most. User space leaves it as it is: slots that it has read are vacant.
    pub count: u32,
    /// Where each belongs, as an index of the array.
    pub slots: [u32; WAITING as usize],
}

/// Packets of a connection that go to user space whole after its SYN was seen: requests and answers begin there, and the
/// handshake is completed.
pub const QUOTA: u16 = 20;

/// Entries of [`Quotas`].
pub const QUOTAS_BITS: u32 = 16;

/// How many packets connections of an area may still send whole, by the upper bits of the slot hash. An entry is the hash's next
/// 11 bits, and 5 bits of packets left: another connection in its place takes it over.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Quotas(pub [u16; 1 << QUOTAS_BITS]);

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

/// Ends of a ring of slots that left early: the program writes, user space reads, and neither waits for the other. The ring
/// has a power of two of entries, and entry `n` stands at `n` modulo that.
///
/// An area has two, of IPv4 and of IPv6 slots; in the array they are at twice its number and after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, align(64))]
pub struct RingEnds {
    /// Entries written, ever.
    pub written: u64,
    /// Of `read`, what the program saw last: while there is room by it, it does not look again.
    pub read_seen: u64,
    /// Unused: each side writes a cache line of its own.
    pub reserved: [u64; 6],
    /// Entries read, ever.
    pub read: u64,
    /// Unused.
    pub reserved_read: [u64; 7],
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
pub const COPY_CLASSES: [usize; 4] = [256, 2048, 16384, 65536];

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
const _: () = assert!(size_of::<RingEnds>() == 128 && size_of::<Books>() == 256);
const _: () = assert!(size_of::<CopyHead>() == 24 && size_of::<WaitingHead>() == size_of::<Slot4>());
