//! Link types: what each header looks like and what follows it (tcpdump.org/linktypes.html).

use super::cause::Cause;
use super::ethernet::type_at;
use super::layers::{Layer, Next, Passed};
use super::view::View;
use super::{ppp, wlan};
use crate::file::erf_payload;
use crate::{Link, LinkType};

/// Enters the header of a link type.
pub(super) fn enter<'a>(link_type: LinkType, view: View<'a>, passed: &mut Passed) -> Next<'a> {
    match link_type.0 {
        0 | 108 => loopback(view),
        1 => Ok((Layer::Ethernet, view)),
        6 => token_ring(view, &mut passed.link),
        // SLIP with the BSD header of 16 bytes.
        8 => Ok((Layer::Ip, view.skip(16))),
        9 => Ok((Layer::Ppp, view)),
        10 => fddi(view, &mut passed.link),
        11 | 100 => Ok((Layer::Llc, view)),
        12 | 14 | 101 => Ok((Layer::Ip, view)),
        228 => Ok((Layer::Ipv4, view)),
        229 => Ok((Layer::Ipv6, view)),
        19 | 106 => Ok((Layer::Ip, view)),
        50 => ppp::hdlc(view),
        51 => Ok((Layer::Pppoe, view)),
        104 => ppp::cisco_hdlc(view),
        105 => wlan::header(view, wlan::Padding::None, passed),
        107 => ppp::frame_relay(view),
        109 => encrypted_host(view),
        113 => cooked(view, 2, 14, 16),
        276 => cooked(view, 8, 0, 20),
        117 => packet_filter(view),
        119 | 163 => wlan::prism(view, passed),
        122 => Ok((Layer::Llc, view.skip(16))),
        123 => sun_atm(view),
        127 => wlan::radiotap(view, passed),
        138 => type_at(view, 16),
        166 | 204 => Ok((Layer::Ppp, view.skip(1))),
        205 => ppp::cisco_hdlc(view.skip(1)),
        206 => ppp::frame_relay(view.skip(1)),
        178..=181 => juniper(link_type.0, view),
        192 => wlan::ppi(view),
        197 => {
            let kind = view.u8(8).ok_or(Cause::Link)?;
            let (inner, at) = erf_payload(kind, view.data).ok_or(Cause::LinkType)?;
            Ok((Layer::LinkType(inner), view.skip(at)))
        }
        219 => Ok((Layer::Mpls, view)),
        226 => ipnet(view),
        239 => netfilter_log(view),
        // Hilscher netANALYZER: four bytes, then the frame; or its preamble too.
        240 => Ok((Layer::Ethernet, view.skip(4))),
        241 => Ok((Layer::Ethernet, view.skip(12))),
        // IP over InfiniBand: global route header, type, two reserved bytes.
        242 => Ok((Layer::EtherType(view.u16(40).ok_or(Cause::Link)?), view.skip(44))),
        258 => packet_tap(view),
        // Preamble and start delimiter, then the frame.
        274 => Ok((Layer::Ethernet, view.skip(8))),
        // Switch tags: after the addresses (Broadcom, Marvell DSA and EDSA), or before them.
        281 | 284 => switch_tag(view, 4, &mut passed.link),
        285 => switch_tag(view, 8, &mut passed.link),
        282 => Ok((Layer::Ethernet, view.skip(4))),
        _ => Err(Cause::LinkType),
    }
}

/// BSD loopback: an address family in either byte order.
fn loopback(view: View<'_>) -> Next<'_> {
    let bytes = view.array(0).ok_or(Cause::Link)?;
    let inner = view.skip(4);
    match u32::from_be_bytes(bytes).min(u32::from_le_bytes(bytes)) {
        // Some writers keep an EtherType in the second half, and what they like in the first.
        0x1_0000.. => by_family(u16::from_be_bytes([bytes[2], bytes[3]]).into(), inner),
        family => by_family(family, inner),
    }
}

/// Address families of the systems that write captures; values above 1500 are EtherTypes.
fn by_family(family: u32, view: View<'_>) -> Next<'_> {
    match family {
        2 => Ok((Layer::Ipv4, view)),
        // Linux, NetBSD and OpenBSD, FreeBSD, Darwin, Solaris.
        10 | 24 | 28 | 30 | 26 => Ok((Layer::Ipv6, view)),
        1501..=0xffff => Ok((Layer::EtherType(family as u16), view)),
        _ => Err(Cause::Pseudo),
    }
}

/// Linux cooked capture, version 1 or 2: where the ARPHRD_ type and the protocol stand, and the length.
fn cooked(view: View<'_>, arphrd: usize, protocol: usize, length: usize) -> Next<'_> {
    let arphrd = view.u16(arphrd).ok_or(Cause::Link)?;
    let protocol = view.u16(protocol).ok_or(Cause::Link)?;
    let inner = view.skip(length);
    if view.data.len() < length {
        return Err(Cause::Link);
    }
    match (arphrd, protocol) {
        (801, _) => Ok((Layer::LinkType(LinkType(105)), inner)),
        (802, _) => Ok((Layer::LinkType(LinkType(119)), inner)),
        (803, _) => Ok((Layer::LinkType(LinkType(127)), inner)),
        // Netlink and CAN have no EtherType there.
        (824 | 280, _) => Err(Cause::Pseudo),
        (_, 0x0004) => Ok((Layer::Llc, inner)),
        (_, 0x0600..) => Ok((Layer::EtherType(protocol), inner)),
        _ => Err(Cause::Pseudo),
    }
}

fn token_ring<'a>(view: View<'a>, link: &mut Link) -> Next<'a> {
    let [_, control] = view.array(0).ok_or(Cause::Link)?;
    let (dst, src): ([u8; 6], [u8; 6]) = view.array(2).zip(view.array(8)).ok_or(Cause::Link)?;
    if control & 0xc0 != 0x40 {
        return Err(Cause::Llc);
    }
    let [first, rest @ ..] = src;
    let mut length = 14;
    // The source address' group bit announces a route.
    if first & 0x80 != 0 {
        length += usize::from(view.u8(14).ok_or(Cause::Link)? & 0x1f).max(2);
    }
    let [s1, s2, s3, s4, s5] = rest;
    link.macs = Some(([first & 0x7f, s1, s2, s3, s4, s5], dst));
    Ok((Layer::Llc, view.skip(length)))
}

fn fddi<'a>(view: View<'a>, link: &mut Link) -> Next<'a> {
    let control = view.u8(0).ok_or(Cause::Link)?;
    let (dst, src) = view.array(1).zip(view.array(7)).ok_or(Cause::Link)?;
    link.macs = Some((src, dst));
    // Asynchronous or synchronous LLC.
    if control & 0x70 == 0x50 || control & 0x70 == 0x10 { Ok((Layer::Llc, view.skip(13))) } else { Err(Cause::Llc) }
}

/// OpenBSD's enc(4): address family, SPI, flags.
fn encrypted_host(view: View<'_>) -> Next<'_> {
    let bytes = view.array(0).ok_or(Cause::Link)?;
    by_family(u32::from_be_bytes(bytes).min(u32::from_le_bytes(bytes)), view.skip(12))
}

/// pflog: its own length, padded to four bytes, and the address family.
fn packet_filter(view: View<'_>) -> Next<'_> {
    let [length, family] = view.array(0).ok_or(Cause::Link)?;
    by_family(u32::from(family), view.skip(usize::from(length).next_multiple_of(4)))
}

fn sun_atm(view: View<'_>) -> Next<'_> {
    match view.u8(0).ok_or(Cause::Link)? & 0x0f {
        2 => Ok((Layer::Llc, view.skip(4))),
        _ => Err(Cause::Llc),
    }
}

/// Solaris ipnet: version, address family, then 22 bytes of lengths and interfaces.
fn ipnet(view: View<'_>) -> Next<'_> {
    by_family(u32::from(view.u8(1).ok_or(Cause::Link)?), view.skip(24))
}

/// Darwin's PKTAP: its length and the link type of what follows, in the host's (little-endian) order.
fn packet_tap(view: View<'_>) -> Next<'_> {
    let (length, link) = view.array(0).zip(view.array(8)).ok_or(Cause::Link)?;
    let (length, link) = (u32::from_le_bytes(length) as usize, u32::from_le_bytes(link));
    match u16::try_from(link) {
        Ok(link) if length >= 12 => Ok((Layer::LinkType(LinkType(link)), view.skip(length))),
        _ => Err(Cause::Link),
    }
}

/// A tag of `length` bytes between the addresses and the type.
fn switch_tag<'a>(view: View<'a>, length: usize, link: &mut Link) -> Next<'a> {
    let (dst, src) = view.array(0).zip(view.array(6)).ok_or(Cause::Link)?;
    link.macs = Some((src, dst));
    type_at(view, 12 + length)
}

/// Linux NFLOG: address family, then attributes; one of them is the packet.
fn netfilter_log(view: View<'_>) -> Next<'_> {
    const PAYLOAD: u16 = 9;
    let [family, version, ..] = view.array::<4>(0).ok_or(Cause::Link)?;
    if version != 0 {
        return Err(Cause::Pseudo);
    }
    let mut at = 4;
    // Attributes are in the capturing host's byte order, as a rule little-endian; a packet has some ten.
    for _ in 0..64 {
        let (length, kind) = view.array(at).zip(view.array(at + 2)).ok_or(Cause::Link)?;
        let (mut length, mut kind) = (u16::from_le_bytes(length), u16::from_le_bytes(kind));
        if kind & 0x7fff > 0xff {
            (length, kind) = (length.swap_bytes(), kind.swap_bytes());
        }
        let length = usize::from(length);
        if length < 4 {
            return Err(Cause::Link);
        }
        if kind & 0x7fff == PAYLOAD {
            let inner = view.skip(at + 4);
            let inner = if inner.wire > length - 4 { inner.sized(length - 4) } else { inner };
            return match family {
                2 => Ok((Layer::Ipv4, inner)),
                10 => Ok((Layer::Ipv6, inner)),
                _ => Ok((Layer::Ip, inner)),
            };
        }
        at += length.next_multiple_of(4);
    }
    Err(Cause::Pseudo)
}

/// Juniper's header: magic, flags, extensions; then the link's own header unless a flag says there is none.
fn juniper(link_type: u16, view: View<'_>) -> Next<'_> {
    let [m0, m1, m2, flags] = view.array(0).ok_or(Cause::Link)?;
    if [m0, m1, m2] != *b"MGC" {
        return Err(Cause::Link);
    }
    let extensions = if flags & 0x80 != 0 { 2 + usize::from(view.u16(4).ok_or(Cause::Link)?) } else { 0 };
    let inner = view.skip(4 + extensions);
    // Without a link header: the address family in four bytes.
    if flags & 0x02 != 0 {
        let family = inner.array(0).ok_or(Cause::Link)?;
        return by_family(u32::from_le_bytes(family), inner.skip(4));
    }
    match link_type {
        178 => Ok((Layer::Ethernet, inner)),
        179 => Ok((Layer::Ppp, inner)),
        180 => ppp::frame_relay(inner),
        _ => ppp::cisco_hdlc(inner),
    }
}
