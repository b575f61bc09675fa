//! The fast way: plain packets of plain links.

use std::ops::Range;

use super::tunnel;
use crate::{AddressPair, Fragment, Frame, Ip, IpVersion, Link, LinkType, Nanos, Packet, Tcp};

use probe_common::protocol::{TCP, UDP};
use probe_common::{Ethernet, Headers, parse_ethernet, parse_ip};

/// The packet of a frame and where its transport payload is, if the hot parser reads it and it is no tunnel.
#[inline]
pub(super) fn packet(frame: &Frame<'_>, ts: Nanos) -> Option<(Packet, Range<usize>)> {
    let (link, headers) = match frame.link {
        LinkType::ETHERNET => {
            let (ethernet, headers) = parse_ethernet(frame.data).ok()?;
            (link(&ethernet), headers)
        }
        LinkType::RAW => (Link::default(), parse_ip(frame.data, 0).ok()?),
        _ => return None,
    };
    if !is_plain(&headers, frame.wire_len) {
        return None;
    }
    let end = usize::from(headers.ip_offset) + headers.ip_bytes as usize;
    let start = usize::from(headers.payload_offset);
    let payload = match headers.proto {
        TCP | UDP => start.min(frame.data.len())..end.min(frame.data.len()).max(start.min(frame.data.len())),
        _ => 0..0,
    };
    Some((of_headers(&headers, link, ts), payload))
}

/// Whether a packet with these headers is read here, on a wire of so many bytes.
#[inline(always)]
pub(super) fn is_plain(headers: &Headers, wire_len: u32) -> bool {
    // Longer than the frame: the full decoder counts it.
    !tunnel::possible(headers.proto, headers.src_port, headers.dst_port)
        && u32::from(headers.ip_offset) + headers.ip_bytes <= wire_len
}

#[inline(always)]
fn link(ethernet: &Ethernet) -> Link {
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5] = ethernet.macs;
    Link {
        macs: Some(([s0, s1, s2, s3, s4, s5], [d0, d1, d2, d3, d4, d5])),
        ethertype: Some(ethernet.ethertype),
        vlan: ethernet.vlan.map(|tag| tag & 0xfff),
        cos: ethernet.vlan.map(|tag| (tag >> 13) as u8),
    }
}

#[inline(always)]
fn of_headers(headers: &Headers, link: Link, ts: Nanos) -> Packet {
    Packet {
        ts,
        pair: AddressPair {
            src: Ip(headers.src),
            dst: Ip(headers.dst),
            src_port: headers.src_port,
            dst_port: headers.dst_port,
            proto: headers.proto,
            version: if headers.version == 4 { IpVersion::V4 } else { IpVersion::V6 },
        },
        ip_bytes: headers.ip_bytes,
        payload_bytes: headers.payload_bytes,
        tcp: Tcp { flags: headers.tcp_flags, seq: headers.tcp_seq, ack: headers.tcp_ack, window: headers.tcp_window },
        tos: headers.tos,
        fragment: Fragment::Whole,
        link,
        tunnel: None,
        service: None,
    }
}
