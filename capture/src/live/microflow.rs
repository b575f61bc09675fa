//! Flows that were counted in the kernel.

use crate::{Ip, IpVersion, Link, Nanos, Tunnel};

/// What one direction of a [`Microflow`] carried. All 0 where it carried nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MicroDirection {
    /// Packets.
    pub packets: u64,
    /// Their IP bytes; see [`crate::Packet::ip_bytes`].
    pub ip_bytes: u64,
    /// Their bytes on the wire, as the queue's books count them.
    pub wire_bytes: u64,
    /// When the first came.
    pub first: Nanos,
    /// When the last came.
    pub last: Nanos,
    /// OR of the TCP flags.
    pub tcp_flags: u8,
    /// TOS or traffic class of the first.
    pub tos: u8,
    /// One of them had SYN without ACK.
    pub syn: bool,
    /// One of them had SYN and ACK.
    pub syn_ack: bool,
}

impl MicroDirection {
    /// Whether one of them begins or ends a TCP connection: SYN, FIN or RST.
    #[inline]
    pub const fn turns(&self) -> bool {
        self.syn || self.syn_ack || self.tcp_flags & 0x07 != 0
    }
}

/// A part of a flow, counted in the kernel between two sweeps: both directions of one key. Merging microflows is
/// commutative: the same packets in other portions, or in another order, make the same flow.
///
/// ICMP has its type in `low_port` and its code in `high_port`, whoever sent it: request and reply are two microflows,
/// which user space brings together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Microflow {
    /// The end with the lower (address, port), IPv4 as `::ffff:`; ICMP: by address alone.
    pub low: Ip,
    /// The other end.
    pub high: Ip,
    /// Port of the low end; 0 where the protocol has none.
    pub low_port: u16,
    /// Port of the high end; 0 where the protocol has none.
    pub high_port: u16,
    /// IANA protocol number.
    pub proto: u8,
    /// How the addresses are read.
    pub version: IpVersion,
    /// Link-layer fields of the first packet, its MAC addresses as (low end's, high end's).
    pub link: Link,
    /// The tunnel of the first packet.
    pub tunnel: Option<Tunnel>,
    /// From the low end to the high end.
    pub from_low: MicroDirection,
    /// From the high end to the low end.
    pub from_high: MicroDirection,
}
