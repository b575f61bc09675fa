//! Ethernet frames with correct lengths and checksums (RFC 791, 8200, 9293, 768, 792, 4443).

use std::net::IpAddr;

use super::play::{Planned, Player, SYN, SYN_OPTIONS};
use super::session::{Data, Session, Side, Transport};

/// Shortest Ethernet frame without FCS: shorter packets are padded, as on the wire.
const MINIMUM: usize = 60;

/// TCP window of every segment.
pub(crate) const WINDOW: u16 = 64_240;

/// IP bytes of a packet: header, transport header, payload.
pub(crate) fn ip_bytes(session: &Session, packet: &Planned) -> u32 {
    let network = if session.client.ip.is_ipv4() { 20 } else { 40 };
    let transport = match session.transport {
        Transport::Tcp(..) if packet.flags & SYN != 0 => 20 + SYN_OPTIONS,
        Transport::Tcp(..) => 20,
        Transport::Udp | Transport::Echo => 8,
    };
    network + transport as u32 + u32::from(packet.len)
}

/// Bytes of the frame on the wire, without FCS.
pub(crate) fn frame_bytes(session: &Session, packet: &Planned) -> u32 {
    (14 + ip_bytes(session, packet)).max(MINIMUM as u32)
}

/// Writes the whole frame into `out`, which is cleared first.
pub(crate) fn build(player: &Player, packet: &Planned, out: &mut Vec<u8>) {
    let session = &player.session;
    let (src, dst) = (session.end(packet.from), session.end(packet.from.other()));
    out.clear();
    out.extend_from_slice(&dst.mac);
    out.extend_from_slice(&src.mac);
    let length = ip_bytes(session, packet);
    let proto = session.proto();
    match (src.ip, dst.ip) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend_from_slice(&[0x08, 0x00, 0x45, 0]);
            out.extend_from_slice(&(length as u16).to_be_bytes());
            out.extend_from_slice(&packet.number.to_be_bytes());
            out.extend_from_slice(&[if proto == 6 { 0x40 } else { 0 }, 0, src.ttl, proto, 0, 0]);
            out.extend_from_slice(&from.octets());
            out.extend_from_slice(&to.octets());
            let sum = checksum(0, &out[14..34]);
            out[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        (from, to) => {
            out.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
            out.extend_from_slice(&((length - 40) as u16).to_be_bytes());
            out.extend_from_slice(&[proto, src.ttl]);
            out.extend_from_slice(&six(from));
            out.extend_from_slice(&six(to));
        }
    }
    let at = out.len();
    match session.transport {
        Transport::Tcp(..) => {
            out.extend_from_slice(&src.port.to_be_bytes());
            out.extend_from_slice(&dst.port.to_be_bytes());
            out.extend_from_slice(&packet.seq.to_be_bytes());
            out.extend_from_slice(&packet.ack.to_be_bytes());
            let syn = packet.flags & SYN != 0;
            out.extend_from_slice(&[if syn { 0x80 } else { 0x50 }, packet.flags]);
            out.extend_from_slice(&WINDOW.to_be_bytes());
            out.extend_from_slice(&[0; 4]);
            if syn {
                let mss: u16 = if session.client.ip.is_ipv4() { 1460 } else { 1440 };
                out.extend_from_slice(&[2, 4]);
                out.extend_from_slice(&mss.to_be_bytes());
                out.extend_from_slice(&[1, 3, 3, 8, 1, 1, 4, 2]);
            }
        }
        Transport::Udp => {
            out.extend_from_slice(&src.port.to_be_bytes());
            out.extend_from_slice(&dst.port.to_be_bytes());
            out.extend_from_slice(&(packet.len + 8).to_be_bytes());
            out.extend_from_slice(&[0, 0]);
        }
        Transport::Echo => {
            out.extend_from_slice(&[echo_type(proto, packet.from) as u8, 0, 0, 0]);
            out.extend_from_slice(&session.client.port.to_be_bytes());
            out.extend_from_slice(&echo_number(player, packet).to_be_bytes());
        }
    }
    if packet.len > 0 {
        player.payload(packet, out);
    }
    let pseudo = if proto == 1 { 0 } else { pseudo_header(src.ip, dst.ip, proto, (out.len() - at) as u32) };
    let sum = checksum(pseudo, &out[at..]);
    let (slot, sum) = match session.transport {
        Transport::Tcp(..) => (at + 16, sum),
        // RFC 768: a sum of zero is sent as all ones.
        Transport::Udp => (at + 6, if sum == 0 { 0xffff } else { sum }),
        Transport::Echo => (at + 2, sum),
    };
    out[slot..slot + 2].copy_from_slice(&sum.to_be_bytes());
    if out.len() < MINIMUM {
        out.resize(MINIMUM, 0);
    }
}

/// ICMP type of an echo request or reply.
pub(crate) const fn echo_type(proto: u8, from: Side) -> u16 {
    match (proto, from) {
        (1, Side::Client) => 8,
        (1, Side::Server) => 0,
        (_, Side::Client) => 128,
        (_, Side::Server) => 129,
    }
}

fn echo_number(player: &Player, packet: &Planned) -> u16 {
    match player.data(player.current()) {
        Some((_, Data::Echo(number, _))) => *number,
        _ => packet.number,
    }
}

fn six(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(a) => a.octets(),
        IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
    }
}

fn pseudo_header(src: IpAddr, dst: IpAddr, proto: u8, length: u32) -> u64 {
    let mut sum = u64::from(proto) + u64::from(length);
    for ip in [src, dst] {
        sum += match ip {
            IpAddr::V4(a) => partial(&a.octets()),
            IpAddr::V6(a) => partial(&a.octets()),
        };
    }
    sum
}

/// Sum of 16-bit words without the final fold.
fn partial(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(4);
    let mut sum = 0u64;
    for chunk in &mut chunks {
        sum += u64::from(u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
    }
    let mut tail = [0; 4];
    tail[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    sum + u64::from(u32::from_be_bytes(tail))
}

/// The Internet checksum (RFC 1071). Adding 32-bit words and folding gives the sum of the 16-bit ones.
fn checksum(start: u64, bytes: &[u8]) -> u16 {
    let mut sum = start + partial(bytes);
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    #[test]
    fn checksum_of_rfc_1071() {
        // RFC 1071 section 3: 0001 f203 f4f5 f6f7 sums to ddf2, the checksum is its complement.
        assert_eq!(super::checksum(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }
}
