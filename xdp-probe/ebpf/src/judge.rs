//! Which packets the cache counts, and which go to user space whole.
//!
//! User space must see what begins and ends a connection and what carries a message; the bulk in between is only
//! counted. The ports and first bytes here are those by which user space recognises a protocol.

use probe_common::Shape;
use probe_common::protocol::{TCP, UDP};

use crate::packet::{Bytes, Packet};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// A packet that says no more than its shape.
#[inline(always)]
pub fn is_plain(packet: &impl Packet, frame: &Bytes, shape: &Shape, len: u32) -> bool {
    // Longer than the frame: the full decoder counts it.
    if u32::from(shape.ip_offset) + shape.ip_bytes > len {
        return false;
    }
    match shape.proto {
        TCP => tcp(packet, frame, shape),
        UDP => udp(packet, frame, shape),
        _ => true,
    }
}

/// VXLAN, by the ports that it has by RFC 7348 and had in Linux before.
#[inline(always)]
pub fn is_vxlan(shape: &Shape) -> bool {
    shape.proto == UDP && matches!(shape.dst_port, 4789 | 8472)
}

/// A TCP packet with which a connection begins or ends.
#[inline(always)]
pub fn is_turn(shape: &Shape) -> bool {
    shape.proto == TCP && shape.tcp_flags & (FIN | SYN | RST) != 0
}

/// A packet of a TCP connection that has begun and goes on.
#[inline(always)]
fn tcp(packet: &impl Packet, frame: &Bytes, shape: &Shape) -> bool {
    // No flags at all and a closed window are rare, and tell user space something.
    if shape.tcp_flags & (FIN | SYN | RST) != 0 || shape.tcp_flags == 0 || shape.tcp_window == 0 {
        return false;
    }
    if shape.payload_bytes == 0 {
        return true;
    }
    !is_dns(shape) && !begins_message(packet, frame, usize::from(shape.payload_offset), shape.payload_bytes)
}

#[inline(always)]
fn udp(packet: &impl Packet, frame: &Bytes, shape: &Shape) -> bool {
    if is_known(shape.src_port) | is_known(shape.dst_port) {
        return false;
    }
    let Some(first) = packet.peek::<8>(frame, usize::from(shape.payload_offset)) else { return true };
    if shape.payload_bytes < 8 {
        return true;
    }
    let [head, v0, v1, v2, v3, ..] = first;
    if head & 0xc0 == 0xc0 {
        // QUIC with a long header, of a version in use: handshakes.
        let version = u32::from_be_bytes([v0, v1, v2, v3]);
        let known = matches!(version, 1 | 0x6b33_43cf | 0xff00_0001..=0xff00_0022 | 0xface_b000..=0xface_b00f);
        return !(known || v0 == b'Q' && v1 == b'0');
    }
    !is_sip(first)
}

/// UDP ports, a bit each: DNS, DHCP, NTP, SNMP, DHCPv6, L2TP, GTP-U, Teredo, VXLAN, LISP, SIP, CAPWAP, Geneve, MPLS, VXLAN of Linux.
static KNOWN_PORTS: [u8; 1 << 13] = {
    let ports = [
        53, 5353, 5355, 67, 68, 123, 161, 162, 546, 547, 1701, 2152, 3544, 4341, 4789, 4790, 5060, 5061, 5247, 6081,
        6635, 8472,
    ];
    let mut bits = [0; 1 << 13];
    let mut at = 0;
    while at < ports.len() {
        bits[ports[at] >> 3] |= 1 << (ports[at] & 7);
        at += 1;
    }
    bits
};

/// Read and not compared: the verifier follows each comparison both ways, to the end of the program.
#[inline(always)]
fn is_known(port: u16) -> bool {
    // SAFETY: a valid static, in its bounds; volatile, so that it is read.
    let bits = unsafe { (&raw const KNOWN_PORTS).cast::<u8>().add(usize::from(port >> 3)).read_volatile() };
    bits >> (port & 7) & 1 != 0
}

/// Port 53, 5353 or 5355.
#[inline(always)]
fn is_dns(shape: &Shape) -> bool {
    matches!(shape.src_port, 53 | 5353 | 5355) || matches!(shape.dst_port, 53 | 5353 | 5355)
}

#[inline(always)]
fn is_sip([a, b, c, d, e, f, g, h]: [u8; 8]) -> bool {
    matches!([a, b, c, d], [b'S', b'I', b'P', b'/'])
        || matches!([a, b, c, d, e, f, g], [b'I', b'N', b'V', b'I', b'T', b'E', b' '])
        || matches!([a, b, c, d, e, f, g, h], [b'R', b'E', b'G', b'I', b'S', b'T', b'E', b'R'])
        || matches!([a, b, c, d, e, f, g], [b'O', b'P', b'T', b'I', b'O', b'N', b'S'])
        || matches!([a, b, c, d], [b'A', b'C', b'K', b' '] | [b'B', b'Y', b'E', b' '])
        || matches!([a, b, c, d], [b'S', b'U', b'B', b'S'] | [b'N', b'O', b'T', b'I'] | [b'M', b'E', b'S', b'S'])
}

/// Whether a TCP payload may begin a message that user space reads: HTTP, TLS, SSH, SMB, RDP, SMTP, FTP, SIP, and what a proxy says before. By its
/// first four bytes, so a few others go there too.
#[inline(always)]
fn begins_message(packet: &impl Packet, frame: &Bytes, offset: usize, payload: u32) -> bool {
    if payload < 4 {
        // Too short to tell.
        return true;
    }
    // Out of reach: user space can see it.
    let Some([a, b, c, d]) = packet.peek::<4>(frame, offset) else { return true };
    match a {
        0x16 => b == 3,
        0x03 => b == 0,
        // A NetBIOS session message, if "SMB" follows.
        0x00 => {
            packet.peek::<8>(frame, offset).is_none_or(|bytes| matches!(bytes[4..], [0xfd..=0xff, b'S', b'M', b'B']))
        }
        b'2' => b == b'2' && c == b'0',
        // The signature of the PROXY protocol, version 2. (A line of version 1 looks like a method.)
        b'\r' => b == b'\n' && c == b'\r' && d == b'\n',
        b'E' | b'e' | b'H' | b'h' if b & 0xdf == b'E' && c & 0xdf == b'L' && d & 0xdf == b'O' => true,
        b'E' | b'e' | b'H' | b'h' if b & 0xdf == b'H' && c & 0xdf == b'L' && d & 0xdf == b'O' => true,
        // A method, "HTTP", "SSH-", "USER", "SIP/": capital letters, and what may stand after three of them.
        b'A'..=b'Z' => {
            b.is_ascii_uppercase()
                && (c.is_ascii_uppercase() || c == b'T')
                && (d.is_ascii_uppercase() || matches!(d, b' ' | b'-' | b'/'))
        }
        _ => false,
    }
}
