//! What the parser reads out of a packet.

/// IANA protocol numbers the parser knows.
#[allow(missing_docs, reason = "the names are the protocols'")]
pub mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const SCTP: u8 = 132;
}

/// The link layer of an Ethernet frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ethernet {
    /// Destination and source address, as they stand in the frame.
    pub macs: [u8; 12],
    /// EtherType after the VLAN tags.
    pub ethertype: u16,
    /// Tag control information of the last VLAN tag.
    pub vlan: Option<u16>,
}

/// The fields of an IP packet that make its flow. Offsets count from the first byte parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Headers {
    /// Source address; IPv4 as `::ffff:a.b.c.d`.
    pub src: [u8; 16],
    /// Destination address, in the same form.
    pub dst: [u8; 16],
    /// Source port; ICMP: type.
    pub src_port: u16,
    /// Destination port; ICMP: code.
    pub dst_port: u16,
    /// 4 or 6.
    pub version: u8,
    /// IANA protocol number, after the extension headers.
    pub proto: u8,
    /// IPv4 TOS or IPv6 traffic class.
    pub tos: u8,
    /// CWR ECE URG ACK PSH RST SYN FIN; 0 unless TCP.
    pub tcp_flags: u8,
    /// TCP sequence number.
    pub tcp_seq: u32,
    /// TCP acknowledgement number.
    pub tcp_ack: u32,
    /// TCP window.
    pub tcp_window: u16,
    /// Where the IP header begins.
    pub ip_offset: u16,
    /// Where the transport header begins.
    pub transport_offset: u16,
    /// Where the transport payload begins.
    pub payload_offset: u16,
    /// IPv4 Total Length, or 40 + IPv6 Payload Length.
    pub ip_bytes: u32,
    /// Bytes of transport payload by the headers, captured or not.
    pub payload_bytes: u32,
}

/// What [`Headers`] and [`Ethernet`] say, without addresses and sequence numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "as in Headers and Ethernet")]
pub struct Shape {
    pub ethertype: u16,
    /// VLAN tags, and the last one's control information. Not an `Option`: half of one that is `None` is left unset, and the
    /// kernel's verifier refuses programs that copy such bits.
    pub tags: u8,
    pub tci: u16,
    /// 1: what is said from here on is of a packet in a tunnel.
    pub is_tunnelled: u8,
    pub src_port: u16,
    pub dst_port: u16,
    pub version: u8,
    pub proto: u8,
    pub tos: u8,
    pub tcp_flags: u8,
    pub tcp_window: u16,
    pub ip_offset: u16,
    pub transport_offset: u16,
    pub payload_offset: u16,
    pub ip_bytes: u32,
    pub payload_bytes: u32,
}

/// Why a packet was left to the full decoder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Declined {
    /// The EtherType is neither IP nor a VLAN tag, or a third tag follows.
    Link,
    /// A header is cut off, or contradicts itself.
    Header,
    /// A length of zero: a superframe or a jumbogram.
    Length,
    /// Part of a fragmented datagram.
    Fragment,
    /// A protocol other than TCP, UDP, ICMP and SCTP, or too many extension headers.
    Protocol,
}
