//! PPP (RFC 1661), PPPoE (RFC 2516), Cisco HDLC and frame relay (RFC 2427).

use super::cause::Cause;
use super::ethernet::type_at;
use super::layers::{Layer, Next};
use super::view::View;

/// Reads a PPP header: address and control if there, and the protocol, compressed or not.
pub(super) fn header(view: View<'_>) -> Next<'_> {
    let view = if view.array(0) == Some([0xff, 0x03]) { view.skip(2) } else { view };
    let first = view.u8(0).ok_or(Cause::Link)?;
    let (protocol, view) =
        if first & 1 == 1 { (u16::from(first), view.skip(1)) } else { (view.u16(0).ok_or(Cause::Link)?, view.skip(2)) };
    match protocol {
        0x0021 => Ok((Layer::Ipv4, view)),
        0x0057 => Ok((Layer::Ipv6, view)),
        0x0281 | 0x0283 => Ok((Layer::Mpls, view)),
        // Bridging (RFC 3518): flags and MAC type 1, Ethernet.
        0x0031 if view.u8(1) == Some(1) => Ok((Layer::Ethernet, view.skip(2))),
        // Multilink (RFC 1990): readable if the frame is not a fragment.
        0x003d if view.u8(0).is_some_and(|flags| flags & 0xc0 == 0xc0) => Ok((Layer::Ppp, view.skip(4))),
        _ => Err(Cause::Ppp),
    }
}

/// Reads a PPPoE session header.
pub(super) fn pppoe(view: View<'_>) -> Next<'_> {
    let [version, code, ..] = view.array::<6>(0).ok_or(Cause::Link)?;
    if version != 0x11 {
        return Err(Cause::Link);
    }
    if code != 0 { Err(Cause::PppoeDiscovery) } else { Ok((Layer::Ppp, view.skip(6))) }
}

/// PPP in HDLC-like framing, or Cisco HDLC: the address tells.
pub(super) fn hdlc(view: View<'_>) -> Next<'_> {
    match view.u8(0) {
        Some(0x0f | 0x8f) => cisco_hdlc(view),
        _ => Ok((Layer::Ppp, view)),
    }
}

/// Cisco HDLC: address, control, EtherType.
pub(super) fn cisco_hdlc(view: View<'_>) -> Next<'_> {
    type_at(view, 2)
}

/// Frame relay: an address of two to four bytes, then a control byte and NLPID, or Cisco's EtherType.
pub(super) fn frame_relay(view: View<'_>) -> Next<'_> {
    let length = (0..4).find(|&i| view.u8(i).is_some_and(|b| b & 1 == 1)).ok_or(Cause::Link)? + 1;
    let view = view.skip(length.max(2));
    if view.u8(0).ok_or(Cause::Link)? != 3 {
        return type_at(view, 0);
    }
    // A byte of padding may come before the NLPID.
    let view = view.skip(if view.u8(1) == Some(0) { 2 } else { 1 });
    match view.u8(0).ok_or(Cause::Link)? {
        0xcc => Ok((Layer::Ipv4, view.skip(1))),
        0x8e => Ok((Layer::Ipv6, view.skip(1))),
        0xcf => Ok((Layer::Ppp, view.skip(1))),
        // SNAP without its first three bytes.
        0x80 => match view.array(1).ok_or(Cause::Link)? {
            [0, 0, 0, t0, t1] => Ok((Layer::EtherType(u16::from_be_bytes([t0, t1])), view.skip(6))),
            [0, 0x80, 0xc2, 0, 1 | 7] => Ok((Layer::Ethernet, view.skip(6))),
            _ => Err(Cause::Llc),
        },
        _ => Err(Cause::Llc),
    }
}
