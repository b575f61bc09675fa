//! DNS messages (RFC 1035 and its successors) from datagrams and from TCP streams.
//!
//! Promises: a message with a readable header is always given out, with what of its sections could be
//! read and, in `damage`, the first thing that could not. Memory per message is bounded
//! ([`message::MAX_TEXT`]).

pub(super) mod message;
pub(super) mod name;
mod param;
pub(super) mod rdata;
pub(super) mod tcp;

use crate::DnsTransport;

/// Bytes of a DNS header (RFC 1035 4.1.1).
pub(super) const HEADER: usize = 12;

const PORT: u16 = 53;
const MDNS_PORT: u16 = 5353;
const LLMNR_PORT: u16 = 5355;

/// The transport that the ports of a UDP datagram stand for. A response leaves from the well-known
/// port, so either side counts; 53 wins, because clients may pick 5353 or 5355 as source port.
pub(super) const fn udp_transport(src: u16, dst: u16) -> Option<DnsTransport> {
    if src == PORT || dst == PORT {
        Some(DnsTransport::Udp)
    } else if src == MDNS_PORT || dst == MDNS_PORT {
        Some(DnsTransport::Mdns)
    } else if src == LLMNR_PORT || dst == LLMNR_PORT {
        Some(DnsTransport::Llmnr)
    } else {
        None
    }
}

/// The same for TCP (LLMNR over TCP: RFC 4795 2.4).
pub(super) const fn tcp_transport(src: u16, dst: u16) -> Option<DnsTransport> {
    if src == PORT || dst == PORT {
        Some(DnsTransport::Tcp)
    } else if src == LLMNR_PORT || dst == LLMNR_PORT {
        Some(DnsTransport::Llmnr)
    } else {
        None
    }
}

/// Whether bytes can be a DNS header: opcode assigned, the reserved bit clear, and a number of questions
/// and records that a message can hold. Used to recognise the protocol and to find the beginning of a
/// message in a stream joined late, never to refuse a message.
pub(super) fn plausible_header(bytes: &[u8]) -> bool {
    let Some(h) = bytes.first_chunk::<HEADER>() else { return false };
    let opcode = h[2] >> 3 & 0xf;
    let questions = u16::from_be_bytes([h[4], h[5]]);
    let records = [(h[6], h[7]), (h[8], h[9]), (h[10], h[11])].map(|(a, b)| u16::from_be_bytes([a, b]));
    let response = h[2] & 0x80 != 0;
    opcode <= 6
        && opcode != 3
        && h[3] & 0x40 == 0
        && questions <= 16
        && (response || questions > 0 || records[0] > 0)
        && records.iter().all(|&n| n <= 6_000)
}
