//! A captured frame, as a source hands it to the decoder, and what became of it.

use crate::Nanos;

/// One captured frame. Borrowed from the source: valid until the source is asked for the next.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When it was captured. `None` where the file has no time (pcapng Simple Packet Block).
    pub ts: Option<Nanos>,
    /// Length on the wire, bytes. At least `data.len()` unless the file lies.
    pub wire_len: u32,
    /// The captured bytes, from the link-layer header on.
    pub data: &'a [u8],
    /// What the bytes begin with.
    pub link: LinkType,
}

/// Link-layer header type: the LINKTYPE_ registry's number (tcpdump.org/linktypes.html).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkType(pub u16);

#[expect(missing_docs, reason = "the names are the registry's")]
impl LinkType {
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    pub const TOKEN_RING: Self = Self(6);
    pub const C_HDLC: Self = Self(104);
    pub const FDDI: Self = Self(10);
    pub const RAW: Self = Self(101);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    /// PPP in HDLC-like framing, or Cisco HDLC: the first byte tells.
    pub const PPP_HDLC_OR_C_HDLC: Self = Self(50);
    /// No number of the registry: what a file format knows and the registry does not.
    pub const UNKNOWN: Self = Self(u16::MAX);
}

/// What became of a frame: each frame has exactly one fate, so the ledger's books close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Counted in a flow. `ip_bytes` as in [`crate::Packet::ip_bytes`].
    Received {
        /// IP bytes counted.
        ip_bytes: u32,
    },
    /// Carries no IP (ARP, STP, LLDP …) or has a link type without IP. The cause is the ledger's counter name.
    NotIp(&'static str),
    /// Says it carries IP, but no IP header can be read. The cause is the ledger's counter name.
    Malformed(&'static str),
    /// Left out by a configured filter or by sampling. The cause is the ledger's counter name.
    Filtered(&'static str),
}
