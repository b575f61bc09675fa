//! The parser.

use crate::protocol::{DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6, ROUTING, SCTP, TCP, UDP};
use crate::{Declined, Ethernet, HeaderBytes, Headers};

/// VLAN tags that are passed over.
const MAX_VLANS: usize = 2;

/// IPv6 extension headers that are passed over.
const MAX_EXTENSIONS: usize = 6;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Parses an Ethernet frame.
#[inline(always)]
pub fn parse_ethernet<B: HeaderBytes + ?Sized>(frame: &B) -> Result<(Ethernet, Headers), Declined> {
    let header: [u8; 14] = frame.read(0).ok_or(Declined::Header)?;
    let [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, e0, e1] = header;
    let mut link = Ethernet {
        macs: [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11],
        ethertype: u16::from_be_bytes([e0, e1]),
        vlan: None,
    };
    let mut offset = 14;
    for _ in 0..MAX_VLANS {
        // 802.1Q, 802.1ad, and the tag that was used before it.
        if !matches!(link.ethertype, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        let [t0, t1, e0, e1] = frame.read(offset).ok_or(Declined::Header)?;
        link.vlan = Some(u16::from_be_bytes([t0, t1]));
        link.ethertype = u16::from_be_bytes([e0, e1]);
        offset += 4;
    }
    let headers = match link.ethertype {
        ETHERTYPE_IPV4 => parse_ipv4(frame, offset)?,
        ETHERTYPE_IPV6 => parse_ipv6(frame, offset)?,
        _ => return Err(Declined::Link),
    };
    Ok((link, headers))
}

/// Parses an IP packet that begins at `offset`; its version field tells which.
#[inline(always)]
pub fn parse_ip<B: HeaderBytes + ?Sized>(packet: &B, offset: usize) -> Result<Headers, Declined> {
    let [first] = packet.read(offset).ok_or(Declined::Header)?;
    match first >> 4 {
        4 => parse_ipv4(packet, offset),
        6 => parse_ipv6(packet, offset),
        _ => Err(Declined::Header),
    }
}

#[inline(always)]
fn parse_ipv4<B: HeaderBytes + ?Sized>(packet: &B, offset: usize) -> Result<Headers, Declined> {
    let header: [u8; 20] = packet.read(offset).ok_or(Declined::Header)?;
    let [first, tos, l0, l1, _, _, f0, f1, _, proto, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let header_len = usize::from(first & 0xf) * 4;
    let total = u16::from_be_bytes([l0, l1]);
    if first >> 4 != 4 || header_len < 20 {
        return Err(Declined::Header);
    }
    if total == 0 {
        return Err(Declined::Length);
    }
    // More fragments, or an offset.
    if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 {
        return Err(Declined::Fragment);
    }
    let payload = usize::from(total).checked_sub(header_len).ok_or(Declined::Header)?;
    let headers = Headers {
        src: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, s0, s1, s2, s3],
        dst: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, d0, d1, d2, d3],
        version: 4,
        proto,
        tos,
        ip_offset: offset as u16,
        ip_bytes: u32::from(total),
        ..Headers::default()
    };
    parse_transport(packet, offset + header_len, payload, headers)
}

#[inline(always)]
fn parse_ipv6<B: HeaderBytes + ?Sized>(packet: &B, offset: usize) -> Result<Headers, Declined> {
    let header: [u8; 40] = packet.read(offset).ok_or(Declined::Header)?;
    let ([c0, c1, _, _, l0, l1, next, _], addresses) = split8(&header);
    if c0 >> 4 != 6 {
        return Err(Declined::Header);
    }
    let total = usize::from(u16::from_be_bytes([l0, l1]));
    if total == 0 {
        return Err(Declined::Length);
    }
    let (src, dst) = addresses;
    let headers = Headers {
        src,
        dst,
        version: 6,
        proto: next,
        tos: c0 << 4 | c1 >> 4,
        ip_offset: offset as u16,
        ip_bytes: 40 + total as u32,
        ..Headers::default()
    };
    if matches!(next, TCP | UDP | ICMPV6) {
        return parse_transport(packet, offset + 40, total, headers);
    }
    parse_extensions(packet, offset + 40, total, headers)
}

/// Passes over the extension headers within the `payload` bytes at `offset`.
#[inline(always)]
fn parse_extensions<B: HeaderBytes + ?Sized>(
    packet: &B,
    mut offset: usize,
    mut payload: usize,
    mut headers: Headers,
) -> Result<Headers, Declined> {
    for _ in 0..MAX_EXTENSIONS {
        match headers.proto {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let [next, length] = packet.read(offset).ok_or(Declined::Header)?;
                let length = (usize::from(length) + 1) * 8;
                payload = payload.checked_sub(length).ok_or(Declined::Header)?;
                headers.proto = next;
                offset += length;
            }
            FRAGMENT => return Err(Declined::Fragment),
            _ => return parse_transport(packet, offset, payload, headers),
        }
    }
    Err(Declined::Protocol)
}

/// Reads the transport header at `offset`, which has `payload` bytes by the IP header.
#[inline(always)]
fn parse_transport<B: HeaderBytes + ?Sized>(
    packet: &B,
    offset: usize,
    payload: usize,
    headers: Headers,
) -> Result<Headers, Declined> {
    let ports = |[a, b, c, d]: [u8; 4]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let mut headers = Headers { transport_offset: offset as u16, ..headers };
    let header_len = match headers.proto {
        TCP => {
            let tcp: [u8; 16] = packet.read(offset).ok_or(Declined::Header)?;
            let [p0, p1, p2, p3, s0, s1, s2, s3, a0, a1, a2, a3, data_offset, flags, w0, w1] = tcp;
            (headers.src_port, headers.dst_port) = ports([p0, p1, p2, p3]);
            headers.tcp_seq = u32::from_be_bytes([s0, s1, s2, s3]);
            headers.tcp_ack = u32::from_be_bytes([a0, a1, a2, a3]);
            headers.tcp_flags = flags;
            headers.tcp_window = u16::from_be_bytes([w0, w1]);
            let header_len = usize::from(data_offset >> 4) * 4;
            if header_len < 20 {
                return Err(Declined::Header);
            }
            header_len
        }
        UDP => {
            let [p0, p1, p2, p3, l0, l1, _, _] = packet.read(offset).ok_or(Declined::Header)?;
            (headers.src_port, headers.dst_port) = ports([p0, p1, p2, p3]);
            // A length that leaves bytes over or wants more than there are is the full decoder's case.
            if usize::from(u16::from_be_bytes([l0, l1])) != payload {
                return Err(Declined::Length);
            }
            8
        }
        ICMP | ICMPV6 => {
            let header: [u8; 8] = packet.read(offset).ok_or(Declined::Header)?;
            let [kind, code, ..] = header;
            headers.src_port = u16::from(kind);
            headers.dst_port = u16::from(code);
            8
        }
        SCTP => {
            let header: [u8; 12] = packet.read(offset).ok_or(Declined::Header)?;
            let [p0, p1, p2, p3, ..] = header;
            (headers.src_port, headers.dst_port) = ports([p0, p1, p2, p3]);
            12
        }
        _ => return Err(Declined::Protocol),
    };
    headers.payload_bytes = payload.checked_sub(header_len).ok_or(Declined::Header)? as u32;
    headers.payload_offset = (offset + header_len) as u16;
    Ok(headers)
}

/// An IPv6 header's first eight bytes, and its addresses.
#[inline(always)]
fn split8(header: &[u8; 40]) -> ([u8; 8], ([u8; 16], [u8; 16])) {
    let (mut first, mut src, mut dst) = ([0; 8], [0; 16], [0; 16]);
    // Constant ranges of an array: checked at compile time, no branch is left.
    first.copy_from_slice(&header[..8]);
    src.copy_from_slice(&header[8..24]);
    dst.copy_from_slice(&header[24..]);
    (first, (src, dst))
}
