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
