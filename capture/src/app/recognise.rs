//! Which protocol a payload gives away by its first bytes. Ports only decide where bytes say little.

use super::preface::{self, Preface};
use super::{dns, start};
use crate::{DnsTransport, Packet, Service};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The protocol of this payload, if it says.
pub(super) fn service(packet: &Packet, payload: &[u8]) -> Option<Service> {
    let (src, dst) = (packet.pair.src_port, packet.pair.dst_port);
    match packet.pair.proto {
        UDP => udp(src, dst, payload),
        TCP => match preface::of(payload) {
            // Of what a proxy carries, not of what it says before.
            Preface::Whole(length) => tcp(src, dst, payload.get(length..).unwrap_or_default()),
            _ => tcp(src, dst, payload),
        },
        _ => None,
    }
}

fn udp(src: u16, dst: u16, payload: &[u8]) -> Option<Service> {
    if let Some(transport) = dns::udp_transport(src, dst) {
        return dns::plausible_header(payload).then_some(match transport {
            DnsTransport::Udp | DnsTransport::Tcp => Service::Dns,
            DnsTransport::Mdns => Service::Mdns,
            DnsTransport::Llmnr => Service::Llmnr,
        });
    }
    let on = |port: u16| src == port || dst == port;
    match *payload {
        [first, ..] if first & 0xc0 == 0xc0 && quic(payload) => Some(Service::Quic),
        // Version 1 to 4, mode not reserved (RFC 5905 7.3).
        [first, ..] if on(123) && payload.len() >= 48 && first & 7 != 0 && matches!(first >> 3 & 7, 1..=4) => {
            Some(Service::Ntp)
        }
        [1 | 2, ..] if payload.get(236..240) == Some(&[0x63, 0x82, 0x53, 0x63]) => Some(Service::Dhcp),
        // Between relays and servers both ports are 547 (RFC 8415 7.2).
        [1..=13, _, _, _, ..] if on(547) && (on(546) || src == dst) => Some(Service::Dhcp),
        [0x30, ..] if (on(161) || on(162)) && snmp(payload) => Some(Service::Snmp),
        _ if sip(payload) => Some(Service::Sip),
        _ => None,
    }
}

fn tcp(src: u16, dst: u16, payload: &[u8]) -> Option<Service> {
    let on = |port: u16| src == port || dst == port;
    match *payload {
        [] => None,
        _ if on(53) => payload.get(2..).is_some_and(dns::plausible_header).then_some(Service::Dns),
        // ClientHello or ServerHello in a record of version 3.0 to 3.4.
        [0x16, 3, 0..=4, _, _, 1 | 2, ..] => Some(Service::Tls),
        [b'S', b'S', b'H', b'-', b'1' | b'2', b'.', ..] => Some(Service::Ssh),
        // NetBIOS session message with an SMB header (MS-SMB2 2.1).
        [0, _, _, _, 0xfd..=0xff, b'S', b'M', b'B', ..] => Some(Service::Smb),
        // TPKT with an X.224 connection request or confirm (MS-RDPBCGR 2.2.1).
        [3, 0, _, _, _, 0xe0 | 0xd0, ..] if on(3389) || contains(payload, b"mstshash=") => Some(Service::Rdp),
        [b'2', b'2', b'0', b' ' | b'-', ..] => greeting(src, payload),
        [b'E' | b'e' | b'H' | b'h', ..] if hello(payload) => Some(Service::Smtp),
        [b'U', b'S', b'E', b'R', b' ', ..] if on(21) => Some(Service::Ftp),
        _ if start::is_http(payload) => Some(Service::Http),
        _ if sip(payload) => Some(Service::Sip),
        _ => None,
    }
}

/// A long header of a version that is in use (RFC 8999 5.1).
fn quic(payload: &[u8]) -> bool {
    let Some(&[_, v0, v1, v2, v3, id_len]) = payload.first_chunk::<6>() else { return false };
    let version = u32::from_be_bytes([v0, v1, v2, v3]);
    let known = matches!(version, 1 | 0x6b33_43cf | 0xff00_0001..=0xff00_0022 | 0xface_b000..=0xface_b00f)
        || v0 == b'Q' && v1 == b'0';
    known && (id_len <= 20 || v0 == b'Q') && payload.len() >= 20
}

/// A sequence that begins with the version 0, 1 or 3 (RFC 1157 4, RFC 3412 6).
fn snmp(payload: &[u8]) -> bool {
    let content = match payload.get(1) {
        Some(len @ 0x81..=0x84) => 2 + usize::from(len & 0x7f),
        Some(_) => 2,
        None => return false,
    };
    matches!(payload.get(content..), Some([2, 1, 0 | 1 | 3, ..]))
}

fn sip(payload: &[u8]) -> bool {
    if payload.starts_with(b"SIP/2.0 ") {
        return true;
    }
    let method = match payload {
        [b'I', b'N', b'V', ..] => b"INVITE sip:".as_slice(),
        [b'R', b'E', b'G', ..] => b"REGISTER sip:",
        [b'O', b'P', b'T', ..] => b"OPTIONS sip:",
        [b'A', b'C', b'K', ..] => b"ACK sip:",
        [b'B', b'Y', b'E', ..] => b"BYE sip:",
        [b'S', b'U', b'B', ..] => b"SUBSCRIBE sip:",
        [b'N', b'O', b'T', ..] => b"NOTIFY sip:",
        [b'M', b'E', b'S', ..] => b"MESSAGE sip:",
        [b'C', b'A', b'N', ..] => b"CANCEL sip:",
        _ => return false,
    };
    payload.starts_with(method)
}

/// A server's "220": mail (RFC 5321 3.1) or files (RFC 959 5.4), which begin alike.
fn greeting(src: u16, payload: &[u8]) -> Option<Service> {
    match src {
        25 | 465 | 587 | 2525 => Some(Service::Smtp),
        21 => Some(Service::Ftp),
        _ if contains(payload, b"SMTP") => Some(Service::Smtp),
        _ if contains(payload, b"FTP") => Some(Service::Ftp),
        _ => None,
    }
}

fn hello(payload: &[u8]) -> bool {
    payload.first_chunk::<5>().is_some_and(|p| p.eq_ignore_ascii_case(b"EHLO ") || p.eq_ignore_ascii_case(b"HELO "))
}

/// Looks at the first 128 bytes.
fn contains(payload: &[u8], what: &[u8]) -> bool {
    payload.get(..payload.len().min(128)).unwrap_or_default().windows(what.len()).any(|w| w == what)
}
