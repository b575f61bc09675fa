//! The parser.

use crate::protocol::{DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ICMP, ICMPV6, ROUTING, SCTP, TCP, UDP};
use crate::{Declined, Ethernet, HeaderBytes, Headers, Shape};

/// VLAN tags that are passed over.
const MAX_VLANS: usize = 2;

/// IPv6 extension headers that are passed over.
const MAX_EXTENSIONS: usize = 6;

/// The flag of a VXLAN header that has an identifier.
const VXLAN_HAS_ID: u8 = 0x08;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// Parses an Ethernet frame.
#[inline(always)]
pub fn parse_ethernet<B: HeaderBytes + ?Sized>(frame: &B) -> Result<(Ethernet, Headers), Declined> {
    let shape = shape_ethernet(frame)?;
    let macs = frame.read(0).ok_or(Declined::Header)?;
    Ok((
        Ethernet { macs, ethertype: shape.ethertype, vlan: (shape.tags > 0).then_some(shape.tci) },
        headers(frame, &shape)?,
    ))
}

/// Parses an IP packet that begins at `offset`; its version field tells which.
#[inline(always)]
pub fn parse_ip<B: HeaderBytes + ?Sized>(packet: &B, offset: usize) -> Result<Headers, Declined> {
    let [first] = packet.read(offset).ok_or(Declined::Header)?;
    let shape = match first >> 4 {
        4 => parse_ipv4(packet, offset, Shape::default())?,
        6 => parse_ipv6(packet, offset, Shape::default())?,
        _ => return Err(Declined::Header),
    };
    headers(packet, &shape)
}

/// Parses an Ethernet frame up to the transport header, but takes no addresses and sequence numbers out of it: what the
/// kernel program looks at first, in as few registers as can be.
#[inline(always)]
pub fn shape_ethernet<B: HeaderBytes + ?Sized>(frame: &B) -> Result<Shape, Declined> {
    shape_at(frame, 0)
}

/// The shape of the packet in a VXLAN packet (RFC 7348) of this shape: its link layer is the outer frame's, its offsets count from the
/// outer frame's first byte. Declined unless it ends where the outer packet ends, or before.
#[inline(always)]
pub fn shape_in_vxlan<B: HeaderBytes + ?Sized>(frame: &B, outer: &Shape) -> Result<Shape, Declined> {
    let Shape { ethertype, tags, tci, payload_offset, payload_bytes, .. } = *outer;
    let at = usize::from(payload_offset);
    let [flags, ..]: [u8; 8] = frame.read(at).ok_or(Declined::Header)?;
    if flags & VXLAN_HAS_ID == 0 {
        return Err(Declined::Link);
    }
    let inner = shape_at(frame, at + 8)?;
    if u32::from(inner.ip_offset) + inner.ip_bytes > u32::from(payload_offset) + payload_bytes {
        return Err(Declined::Length);
    }
    Ok(Shape { ethertype, tags, tci, is_tunnelled: 1, ..inner })
}

/// The shape of the frame at `start`.
#[inline(always)]
fn shape_at<B: HeaderBytes + ?Sized>(frame: &B, start: usize) -> Result<Shape, Declined> {
    let [e0, e1] = frame.read(start + 12).ok_or(Declined::Header)?;
    let mut shape = Shape { ethertype: u16::from_be_bytes([e0, e1]), ..Shape::default() };
    let mut offset = start + 14;
    for _ in 0..MAX_VLANS {
        // 802.1Q, 802.1ad, and the tag that was used before it.
        if !matches!(shape.ethertype, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        let [t0, t1, e0, e1] = frame.read(offset).ok_or(Declined::Header)?;
        shape.tags += 1;
        shape.tci = u16::from_be_bytes([t0, t1]);
        shape.ethertype = u16::from_be_bytes([e0, e1]);
        offset += 4;
    }
    match shape.ethertype {
        ETHERTYPE_IPV4 => parse_ipv4(frame, offset, shape),
        ETHERTYPE_IPV6 => parse_ipv6(frame, offset, shape),
        _ => Err(Declined::Link),
    }
}

/// The shape with what it left out.
#[inline(always)]
fn headers<B: HeaderBytes + ?Sized>(packet: &B, shape: &Shape) -> Result<Headers, Declined> {
    let Shape {
        ethertype: _,
        tags: _,
        tci: _,
        is_tunnelled: _,
        version,
        proto,
        tos,
        tcp_flags,
        tcp_window,
        src_port,
        dst_port,
        ..
    } = *shape;
    let Shape { ip_offset, transport_offset, payload_offset, ip_bytes, payload_bytes, .. } = *shape;
    let mut headers = Headers {
        src_port,
        dst_port,
        version,
        proto,
        tos,
        tcp_flags,
        tcp_window,
        ip_offset,
        transport_offset,
        payload_offset,
        ip_bytes,
        payload_bytes,
        ..Headers::default()
    };
    let offset = usize::from(ip_offset);
    if version == 4 {
        let [s0, s1, s2, s3, d0, d1, d2, d3] = packet.read(offset + 12).ok_or(Declined::Header)?;
        headers.src = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, s0, s1, s2, s3];
        headers.dst = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, d0, d1, d2, d3];
    } else {
        headers.src = packet.read(offset + 8).ok_or(Declined::Header)?;
        headers.dst = packet.read(offset + 24).ok_or(Declined::Header)?;
    }
    if proto == TCP {
        let [s0, s1, s2, s3, a0, a1, a2, a3] =
            packet.read(usize::from(transport_offset) + 4).ok_or(Declined::Header)?;
        headers.tcp_seq = u32::from_be_bytes([s0, s1, s2, s3]);
        headers.tcp_ack = u32::from_be_bytes([a0, a1, a2, a3]);
    }
    Ok(headers)
}

#[inline(always)]
fn parse_ipv4<B: HeaderBytes + ?Sized>(packet: &B, offset: usize, link: Shape) -> Result<Shape, Declined> {
    let header: [u8; 20] = packet.read(offset).ok_or(Declined::Header)?;
    let [first, tos, l0, l1, _, _, f0, f1, _, proto, ..] = header;
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
    let shape = Shape { version: 4, proto, tos, ip_offset: offset as u16, ip_bytes: u32::from(total), ..link };
    parse_transport(packet, offset + header_len, payload, shape)
}

#[inline(always)]
fn parse_ipv6<B: HeaderBytes + ?Sized>(packet: &B, offset: usize, link: Shape) -> Result<Shape, Declined> {
    let header: [u8; 40] = packet.read(offset).ok_or(Declined::Header)?;
    let [c0, c1, _, _, l0, l1, next, ..] = header;
    if c0 >> 4 != 6 {
        return Err(Declined::Header);
    }
    let total = usize::from(u16::from_be_bytes([l0, l1]));
    if total == 0 {
        return Err(Declined::Length);
    }
    let shape = Shape {
        version: 6,
        proto: next,
        tos: c0 << 4 | c1 >> 4,
        ip_offset: offset as u16,
        ip_bytes: 40 + total as u32,
        ..link
    };
    if matches!(next, TCP | UDP | ICMPV6) {
        return parse_transport(packet, offset + 40, total, shape);
    }
    parse_extensions(packet, offset + 40, total, shape)
}

/// Passes over the extension headers within the `payload` bytes at `offset`.
#[inline(always)]
fn parse_extensions<B: HeaderBytes + ?Sized>(
    packet: &B,
    mut offset: usize,
    mut payload: usize,
    mut shape: Shape,
) -> Result<Shape, Declined> {
    for _ in 0..MAX_EXTENSIONS {
        match shape.proto {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                let [next, length] = packet.read(offset).ok_or(Declined::Header)?;
                let length = (usize::from(length) + 1) * 8;
                payload = payload.checked_sub(length).ok_or(Declined::Header)?;
                shape.proto = next;
                offset += length;
            }
            FRAGMENT => return Err(Declined::Fragment),
            _ => return parse_transport(packet, offset, payload, shape),
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
    shape: Shape,
) -> Result<Shape, Declined> {
    let ports = |[a, b, c, d]: [u8; 4]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let mut shape = Shape { transport_offset: offset as u16, ..shape };
    let header_len = match shape.proto {
        TCP => {
            let tcp: [u8; 16] = packet.read(offset).ok_or(Declined::Header)?;
            let [p0, p1, p2, p3, _, _, _, _, _, _, _, _, data_offset, flags, w0, w1] = tcp;
            (shape.src_port, shape.dst_port) = ports([p0, p1, p2, p3]);
            shape.tcp_flags = flags;
            shape.tcp_window = u16::from_be_bytes([w0, w1]);
            let header_len = usize::from(data_offset >> 4) * 4;
            if header_len < 20 {
                return Err(Declined::Header);
            }
            header_len
        }
        UDP => {
            let [p0, p1, p2, p3, l0, l1, _, _] = packet.read(offset).ok_or(Declined::Header)?;
            (shape.src_port, shape.dst_port) = ports([p0, p1, p2, p3]);
            // A length that leaves bytes over or wants more than there are is the full decoder's case.
            if usize::from(u16::from_be_bytes([l0, l1])) != payload {
                return Err(Declined::Length);
            }
            8
        }
        ICMP | ICMPV6 => {
            let header: [u8; 8] = packet.read(offset).ok_or(Declined::Header)?;
            let [kind, code, ..] = header;
            shape.src_port = u16::from(kind);
            shape.dst_port = u16::from(code);
            8
        }
        SCTP => {
            let header: [u8; 12] = packet.read(offset).ok_or(Declined::Header)?;
            let [p0, p1, p2, p3, ..] = header;
            (shape.src_port, shape.dst_port) = ports([p0, p1, p2, p3]);
            12
        }
        _ => return Err(Declined::Protocol),
    };
    shape.payload_bytes = payload.checked_sub(header_len).ok_or(Declined::Header)? as u32;
    shape.payload_offset = (offset + header_len) as u16;
    Ok(shape)
}
