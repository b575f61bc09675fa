//! Tunnels that run over IP: which packets are one, and what their payload begins with.
//!
//! A tunnel over UDP is taken for one by its port and by what its header must look like; whether an IP
//! header is really in it is seen when it is read.

use super::ip::IpHeader;
use super::layers::Layer;
use super::transport::Transport;
use super::view::View;
use crate::{IpVersion, LinkType, Tunnel};

const IP_IN_IP: u8 = 4;
const UDP: u8 = 17;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
const ETHER_IP: u8 = 97;
const L2TP_IN_IP: u8 = 115;
const MPLS_IN_IP: u8 = 137;
const NSH: u8 = 145;

const VXLAN: u16 = 4789;
/// Linux's port before VXLAN had one.
const VXLAN_LINUX: u16 = 8472;
const VXLAN_GPE: u16 = 4790;
const GENEVE: u16 = 6081;
const GTP_U: u16 = 2152;
const TEREDO: u16 = 3544;
const L2TP: u16 = 1701;
const LISP: u16 = 4341;
const CAPWAP: u16 = 5247;
const MPLS_IN_UDP: u16 = 6635;

/// What a tunnel's payload begins with.
pub(super) type Entry<'a> = (Tunnel, Layer, View<'a>);

/// Whether a packet may be a tunnel, by what the hot parser knows of it.
#[inline]
pub(super) fn possible(proto: u8, src_port: u16, dst_port: u16) -> bool {
    match proto {
        UDP => {
            matches!(
                dst_port,
                VXLAN | VXLAN_LINUX | VXLAN_GPE | GENEVE | GTP_U | TEREDO | L2TP | LISP | CAPWAP | MPLS_IN_UDP
            ) || matches!(src_port, GTP_U | TEREDO | L2TP | CAPWAP)
        }
        IP_IN_IP | IPV6_IN_IP | GRE | ETHER_IP | L2TP_IN_IP | MPLS_IN_IP | NSH => true,
        _ => false,
    }
}

/// Enters the tunnel, if the packet is one.
pub(super) fn enter<'a>(ip: &IpHeader<'a>, transport: &Transport<'a>) -> Option<Entry<'a>> {
    match ip.proto {
        IP_IN_IP => Some((Tunnel::IpIp, Layer::Ipv4, ip.payload)),
        IPV6_IN_IP if ip.version == IpVersion::V4 => Some((Tunnel::SixInFour, Layer::Ipv6, ip.payload)),
        IPV6_IN_IP => Some((Tunnel::IpIp, Layer::Ipv6, ip.payload)),
        GRE => gre(ip.payload),
        MPLS_IN_IP => Some((Tunnel::Mpls, Layer::Mpls, ip.payload)),
        // RFC 3378: a version of 3, then a frame.
        ETHER_IP if ip.payload.u16(0)? == 0x3000 => Some((Tunnel::EtherIp, Layer::Ethernet, ip.payload.skip(2))),
        NSH => Some((Tunnel::Nsh, Layer::Nsh, ip.payload)),
        L2TP_IN_IP => l2tp_session(ip.payload),
        UDP if transport.readable => {
            let payload = transport.payload;
            match (transport.dst_port, transport.src_port) {
                (VXLAN | VXLAN_LINUX, _) => vxlan(payload),
                (VXLAN_GPE, _) => vxlan_gpe(payload),
                (GENEVE, _) => geneve(payload),
                (GTP_U, _) | (_, GTP_U) => gtp(payload),
                (TEREDO, _) | (_, TEREDO) => teredo(payload),
                (L2TP, _) | (_, L2TP) => l2tp(payload),
                (LISP, _) => lisp(payload),
                (CAPWAP, _) | (_, CAPWAP) => capwap(payload),
                (MPLS_IN_UDP, _) => Some((Tunnel::Mpls, Layer::Mpls, payload)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// GRE (RFC 2784, 2890), version 1 for PPTP (RFC 2637), and ERSPAN over it.
fn gre(view: View<'_>) -> Option<Entry<'_>> {
    let (flags, protocol) = (view.u16(0)?, view.u16(2)?);
    let option = |bit: u16| if flags & bit != 0 { 4 } else { 0 };
    if flags & 7 == 1 {
        // Key always; without a sequence number it is an acknowledgement alone.
        let inner = view.skip(8 + option(0x1000) + option(0x0080));
        return (protocol == 0x880b && flags & 0x1000 != 0).then_some((Tunnel::Gre, Layer::Ppp, inner));
    }
    // Source routes (RFC 1701) are long gone.
    if flags & 7 != 0 || flags & 0x4000 != 0 {
        return None;
    }
    let inner = view.skip(4 + option(0x8000) + option(0x2000) + option(0x1000));
    match protocol {
        // Type I has no header of its own, and no sequence number in GRE.
        0x88be if flags & 0x1000 == 0 => Some((Tunnel::Erspan, Layer::Ethernet, inner)),
        0x88be => Some((Tunnel::Erspan, Layer::Ethernet, inner.skip(8))),
        // Type III: a platform specific word pair if the last bit of the header says so.
        0x22eb => {
            let more = if inner.u8(11)? & 1 != 0 { 8 } else { 0 };
            let header = inner.skip(12 + more);
            // The frame type field: an Ethernet frame or, without link layer, IP.
            let layer = if inner.u8(10)? >> 2 & 0x1f == 2 { Layer::Ip } else { Layer::Ethernet };
            Some((Tunnel::Erspan, layer, header))
        }
        // WCCP version 2 puts a redirect header before the packet; version 1 does not.
        0x883e if inner.u8(0)? >> 4 != 4 => Some((Tunnel::Gre, Layer::Ipv4, inner.skip(4))),
        0x883e => Some((Tunnel::Gre, Layer::Ipv4, inner)),
        _ => Some((Tunnel::Gre, Layer::EtherType(protocol), inner)),
    }
}

/// VXLAN (RFC 7348).
fn vxlan(view: View<'_>) -> Option<Entry<'_>> {
    (view.u8(0)? & 0x08 != 0).then_some((Tunnel::Vxlan, Layer::Ethernet, view.skip(8)))
}

/// VXLAN with a next protocol (draft-ietf-nvo3-vxlan-gpe).
fn vxlan_gpe(view: View<'_>) -> Option<Entry<'_>> {
    let [flags, _, _, next] = view.array(0)?;
    let layer = match next {
        // Without the P bit it is plain VXLAN.
        _ if flags & 0x04 == 0 => Layer::Ethernet,
        1 => Layer::Ipv4,
        2 => Layer::Ipv6,
        3 => Layer::Ethernet,
        4 => Layer::Nsh,
        5 => Layer::Mpls,
        _ => return None,
    };
    (flags & 0x08 != 0).then_some((Tunnel::Vxlan, layer, view.skip(8)))
}

/// Geneve (RFC 8926).
fn geneve(view: View<'_>) -> Option<Entry<'_>> {
    let [first, _] = view.array(0)?;
    let protocol = view.u16(2)?;
    let inner = view.skip(8 + 4 * usize::from(first & 0x3f));
    (first >> 6 == 0).then_some((Tunnel::Geneve, Layer::EtherType(protocol), inner))
}

/// GTP-U version 1 (3GPP TS 29.281): a user's packet after optional fields and extension headers.
fn gtp(view: View<'_>) -> Option<Entry<'_>> {
    const USER_PACKET: u8 = 255;
    /// Extension headers are few; more is no GTP.
    const MAX_EXTENSIONS: usize = 16;
    let [flags, kind, ..] = view.array::<8>(0)?;
    if flags >> 4 != 3 || kind != USER_PACKET {
        return None;
    }
    let mut at = 8;
    if flags & 0x07 != 0 {
        at = 12;
        let mut next = if flags & 0x04 != 0 { view.u8(11)? } else { 0 };
        for _ in 0..MAX_EXTENSIONS {
            if next == 0 {
                break;
            }
            at += match usize::from(view.u8(at)?) * 4 {
                0 => return None,
                length => length,
            };
            next = view.u8(at - 1)?;
        }
    }
    Some((Tunnel::GtpU, Layer::Ip, view.skip(at)))
}

/// Teredo (RFC 4380): authentication and origin before the packet. Its length must fit, since the port
/// alone says little.
fn teredo(view: View<'_>) -> Option<Entry<'_>> {
    let mut view = view;
    if view.u16(0)? == 1 {
        view = view.skip(13 + usize::from(view.u8(2)?) + usize::from(view.u8(3)?));
    }
    if view.u16(0)? == 0 {
        view = view.skip(8);
    }
    (view.u8(0)? >> 4 == 6 && is_packet(view)).then_some((Tunnel::Teredo, Layer::Ipv6, view))
}

/// Whether an IP packet of exactly this length begins here: for tunnels whose port alone says little.
fn is_packet(view: View<'_>) -> bool {
    let length = match view.u8(0).map(|first| first >> 4) {
        Some(4) => view.u16(2).map(usize::from),
        Some(6) => view.u16(4).map(|length| 40 + usize::from(length)),
        _ => None,
    };
    length == Some(view.wire)
}

/// LISP data packets (RFC 9300): eight bytes, then the packet. Its length must fit.
fn lisp(view: View<'_>) -> Option<Entry<'_>> {
    let inner = view.skip(8);
    is_packet(inner).then_some((Tunnel::Lisp, Layer::Ip, inner))
}

/// CAPWAP data packets (RFC 5415) between an access point and its controller, not encrypted and not in fragments: a
/// frame of Ethernet or of 802.11.
fn capwap(view: View<'_>) -> Option<Entry<'_>> {
    let [preamble, b1, b2, b3] = view.array(0)?;
    let (words, binding) = (usize::from(b1 >> 3), (b2 >> 1) & 0x1f);
    let (native, fragment) = (b2 & 1 != 0, b3 & 0x80 != 0);
    // A header of 8 bytes at least. Keep-alives carry no frame.
    if preamble != 0 || words < 2 || fragment || b3 & 0x08 != 0 {
        return None;
    }
    let layer = match (native, binding) {
        (false, _) => Layer::Ethernet,
        (true, 1) => Layer::LinkType(LinkType(105)),
        (true, _) => return None,
    };
    Some((Tunnel::Capwap, layer, view.skip(4 * words)))
}

/// L2TP over UDP: version 2 (RFC 2661), PPP after optional fields, and version 3 (RFC 3931, 4.1.2).
fn l2tp(view: View<'_>) -> Option<Entry<'_>> {
    let flags = view.u16(0)?;
    if flags & 0x800f == 3 {
        return l2tp_session(view.skip(4));
    }
    if flags & 0x8000 != 0 || flags & 0x0f != 2 {
        return None;
    }
    let mut at = 6;
    if flags & 0x4000 != 0 {
        at += 2;
    }
    if flags & 0x0800 != 0 {
        at += 4;
    }
    if flags & 0x0200 != 0 {
        at += 2 + usize::from(view.u16(at)?);
    }
    Some((Tunnel::L2tp, Layer::Ppp, view.skip(at)))
}

/// A data message of L2TP version 3 from its session on (RFC 3931, 4.1.1). How long the cookie is (none, 4 or 8 bytes), whether
/// a sublayer of 4 bytes follows it, and what the pseudowire carries was agreed upon at the tunnel's setup: what fits is taken.
fn l2tp_session(view: View<'_>) -> Option<Entry<'_>> {
    // Session 0: a control message.
    if view.array::<4>(0)? == [0; 4] {
        return None;
    }
    [4, 8, 12, 16].into_iter().map(|at| view.skip(at)).find_map(|inner| Some((Tunnel::L2tp, pseudowire(inner)?, inner)))
}

/// What a pseudowire's payload is, if it is a packet of exactly its length, in Ethernet, in PPP, or as it is.
fn pseudowire(view: View<'_>) -> Option<Layer> {
    if is_packet(view) {
        return Some(Layer::Ip);
    }
    if [[0xff, 0x03, 0x00, 0x21], [0xff, 0x03, 0x00, 0x57]].contains(&view.array(0)?) && is_packet(view.skip(4)) {
        return Some(Layer::Ppp);
    }
    let mut at = 12;
    while at < 20 && matches!(view.u16(at)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    let version = match view.u16(at)? {
        0x0800 => 4,
        0x86dd => 6,
        _ => return None,
    };
    let packet = view.skip(at + 2);
    let is_whole = is_packet(packet) || is_padded(view.wire, packet);
    (packet.u8(0)? >> 4 == version && is_whole).then_some(Layer::Ethernet)
}

/// Whether a frame of `wire` bytes was filled up after an IPv4 packet to the least that Ethernet sends, with its tag or without.
fn is_padded(wire: usize, packet: View<'_>) -> bool {
    matches!(wire, 60 | 64) && packet.u16(2).is_some_and(|length| (20..packet.wire).contains(&usize::from(length)))
}
