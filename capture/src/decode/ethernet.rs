//! Ethernet, its tags and encapsulations, and IEEE 802.2.

use super::cause::Cause;
use super::layers::{Layer, Next};
use super::view::View;
use crate::Link;

/// Types from here on are EtherTypes; up to 1500 they are lengths of IEEE 802.3 frames.
const FIRST_ETHERTYPE: u16 = 0x0600;

/// Reads the MAC header.
pub(super) fn header<'a>(view: View<'a>, link: &mut Link) -> Next<'a> {
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = view.array(0).ok_or(Cause::Link)?;
    let (dst, src) = ([d0, d1, d2, d3, d4, d5], [s0, s1, s2, s3, s4, s5]);
    // Cisco ISL puts 26 bytes before the frame; its destination has 40 bits and a type.
    if matches!(dst, [0x01 | 0x03 | 0x0c, 0x00, 0x0c, 0x00, 0x00, _]) && view.array(14) == Some([0xaa, 0xaa, 0x03]) {
        return Ok((Layer::Ethernet, view.skip(26)));
    }
    link.macs.get_or_insert((src, dst));
    by_type(u16::from_be_bytes([t0, t1]), view.skip(14))
}

/// What follows a type or length field.
fn by_type(value: u16, view: View<'_>) -> Next<'_> {
    if value >= FIRST_ETHERTYPE {
        return Ok((Layer::EtherType(value), view));
    }
    // Novell's raw 802.3 has IPX straight after the length.
    if view.u16(0) == Some(0xffff) { Err(Cause::Llc) } else { Ok((Layer::Llc, view)) }
}

/// The type or length field at `at`, and what follows it.
pub(super) fn type_at(view: View<'_>, at: usize) -> Next<'_> {
    by_type(view.u16(at).ok_or(Cause::Link)?, view.skip(at + 2))
}

/// Passes over the header that this EtherType announces.
pub(super) fn payload<'a>(ethertype: u16, view: View<'a>, link: &mut Link) -> Next<'a> {
    match ethertype {
        0x0800 => {
            link.ethertype = Some(ethertype);
            Ok((Layer::Ipv4, view))
        }
        0x86dd => {
            link.ethertype = Some(ethertype);
            Ok((Layer::Ipv6, view))
        }
        // 802.1Q, 802.1ad, and the tags used before it.
        0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => {
            let tag = view.u16(0).ok_or(Cause::Link)?;
            link.vlan = Some(tag & 0xfff);
            link.cos = Some((tag >> 13) as u8);
            type_at(view, 2)
        }
        0x8847 | 0x8848 => {
            link.ethertype = Some(ethertype);
            Ok((Layer::Mpls, view))
        }
        0x8864 => {
            link.ethertype = Some(ethertype);
            Ok((Layer::Pppoe, view))
        }
        0x880b => Ok((Layer::Ppp, view)),
        // Transparent Ethernet bridging.
        0x6558 => Ok((Layer::Ethernet, view)),
        // 802.1ah (PBB): a service tag of four bytes, then the customer's frame.
        0x88e7 => Ok((Layer::Ethernet, view.skip(4))),
        // VN-Tag.
        0x8926 => type_at(view, 4),
        // E-Tag (802.1BR).
        0x893f => type_at(view, 6),
        // R-Tag (802.1CB), HSR.
        0xf1c1 | 0x892f => type_at(view, 4),
        // Cisco MetaData.
        0x8909 => type_at(view, 6),
        // Cisco FabricPath: forwarding tag and TTL.
        0x8903 => Ok((Layer::Ethernet, view.skip(2))),
        // TRILL (RFC 6325): six bytes with the EtherType, options in words.
        0x22f3 => {
            let words = usize::from(view.u16(0).ok_or(Cause::Link)? >> 6 & 0x1f);
            Ok((Layer::Ethernet, view.skip(6 + 4 * words)))
        }
        0x894f => Ok((Layer::Nsh, view)),
        0xd28b => arista(view),
        0x88e5 => macsec(view),
        // Jumbo frames with IEEE 802.2.
        0x8870 => Ok((Layer::Llc, view)),
        0x8863 => Err(Cause::PppoeDiscovery),
        0x0806 | 0x8035 => Err(Cause::Arp),
        0x88cc => Err(Cause::Lldp),
        _ => Err(Cause::EtherType),
    }
}

/// Reads IEEE 802.2 and SNAP.
pub(super) fn llc(view: View<'_>) -> Next<'_> {
    match view.array(0).ok_or(Cause::Link)? {
        [0xaa | 0xab, 0xaa | 0xab, 0x03] => {
            let [o0, o1, o2, t0, t1] = view.array(3).ok_or(Cause::Link)?;
            let kind = u16::from_be_bytes([t0, t1]);
            match [o0, o1, o2] {
                // Encapsulated Ethernet, bridge tunnel, and Cisco's use of it.
                [0, 0, 0] | [0, 0, 0xf8] if kind >= FIRST_ETHERTYPE => Ok((Layer::EtherType(kind), view.skip(8))),
                // RFC 2684: a bridged Ethernet frame after two bytes of padding.
                [0, 0x80, 0xc2] if matches!(kind, 1 | 7) => Ok((Layer::Ethernet, view.skip(10))),
                _ => Err(Cause::Llc),
            }
        }
        [0x06, 0x06, 0x03] => Ok((Layer::Ipv4, view.skip(3))),
        // Routed ISO protocols with an NLPID that says IP.
        [0xfe, 0xfe, 0x03] => match view.u8(3) {
            Some(0xcc) => Ok((Layer::Ipv4, view.skip(4))),
            Some(0x8e) => Ok((Layer::Ipv6, view.skip(4))),
            _ => Err(Cause::Llc),
        },
        _ => Err(Cause::Llc),
    }
}

/// Reads a network service header (RFC 8300).
pub(super) fn nsh(view: View<'_>) -> Next<'_> {
    let [_, length, _, next] = view.array(0).ok_or(Cause::Link)?;
    let words = usize::from(length & 0x3f);
    if words < 2 {
        return Err(Cause::Link);
    }
    let inner = view.skip(4 * words);
    match next {
        1 => Ok((Layer::Ipv4, inner)),
        2 => Ok((Layer::Ipv6, inner)),
        3 => Ok((Layer::Ethernet, inner)),
        4 => Ok((Layer::Nsh, inner)),
        5 => Ok((Layer::Mpls, inner)),
        _ => Err(Cause::EtherType),
    }
}

/// Arista's header with a time stamp of 64 or 48 bits before the original type.
fn arista(view: View<'_>) -> Next<'_> {
    let [kind, format] = [view.u16(0).ok_or(Cause::Link)?, view.u16(2).ok_or(Cause::Link)?];
    match (kind, format & 0xf0) {
        (1, 0x10) => type_at(view, 12),
        (1, 0x20) => type_at(view, 10),
        _ => Err(Cause::EtherType),
    }
}

/// MACsec (802.1AE): readable if only the integrity is protected.
fn macsec(view: View<'_>) -> Next<'_> {
    let tci = view.u8(0).ok_or(Cause::Link)?;
    if tci & 0x0c != 0 {
        return Err(Cause::MacSec);
    }
    type_at(view, if tci & 0x20 == 0 { 6 } else { 14 })
}
