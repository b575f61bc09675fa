//! IEEE 802.11 data frames, and the headers that capturing machines put before them.

use super::cause::Cause;
use super::layers::{Layer, Next, Passed};
use super::view::View;
use crate::LinkType;

/// Whether the 802.11 header is padded to a multiple of four bytes (a habit of Atheros cards).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Padding {
    None,
    ToFour,
}

/// Reads an 802.11 header; only data frames that are not encrypted lead on.
pub(super) fn header<'a>(view: View<'a>, padding: Padding, passed: &mut Passed) -> Next<'a> {
    let [control, flags, ..] = view.array::<24>(0).ok_or_else(|| match view.u8(0) {
        // Control frames are short.
        Some(control) if control & 0x0c != 0x08 => Cause::Wlan,
        _ => Cause::Link,
    })?;
    // Type data, subtype without the bit that means no data.
    if control & 0x0c != 0x08 || control & 0x40 != 0 {
        return Err(Cause::Wlan);
    }
    if flags & 0x40 != 0 {
        return Err(Cause::WlanEncrypted);
    }
    if view.u8(22).is_some_and(|sequence| sequence & 0xf != 0) {
        return Err(Cause::WlanFragment);
    }
    let four_addresses = flags & 0x03 == 0x03;
    let mut length = if four_addresses { 30 } else { 24 };
    let (mut aggregated, mut mesh) = (false, false);
    if control & 0x80 != 0 {
        let [qos, more] = view.array(length).ok_or(Cause::Link)?;
        aggregated = qos & 0x80 != 0;
        // Mesh stations use four addresses; elsewhere the bit means something else.
        mesh = four_addresses && more & 1 != 0;
        length += 2;
        // HT control.
        length += if flags & 0x80 != 0 { 4 } else { 0 };
    }
    if padding == Padding::ToFour {
        length = length.next_multiple_of(4);
    }
    if mesh && !aggregated {
        // Flags, TTL, sequence number, up to two addresses.
        length += 6 + 6 * usize::from(view.u8(length).ok_or(Cause::Link)? & 3);
    }
    let (dst, src) = match flags & 0x03 {
        0 => (4, 10),
        1 => (16, 10),
        2 => (4, 16),
        _ => (16, 24),
    };
    if let (Some(dst), Some(src)) = (view.array(dst), view.array(src)) {
        passed.link.macs.get_or_insert((src, dst));
    }
    // An aggregate of several frames: the first, after its addresses and length.
    passed.aggregated = aggregated;
    let length = if aggregated { length + 14 } else { length };
    Ok((Layer::Llc, view.skip(length)))
}

/// Reads a radiotap header (radiotap.org).
pub(super) fn radiotap<'a>(view: View<'a>, passed: &mut Passed) -> Next<'a> {
    let [_, _, l0, l1, p0, _, _, p3] = view.array(0).ok_or(Cause::Link)?;
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    if length < 8 {
        return Err(Cause::Link);
    }
    // More words of presence bits follow while their highest bit is set.
    let (mut at, mut last) = (8, p3);
    while last & 0x80 != 0 {
        last = view.u8(at + 3).filter(|_| at + 4 <= length).ok_or(Cause::Link)?;
        at += 4;
    }
    // The time stamp (bit 0) comes before the flags (bit 1), aligned to its size.
    let at = if p0 & 1 != 0 { at.next_multiple_of(8) + 8 } else { at };
    let flags = if p0 & 2 != 0 { view.u8(at).filter(|_| at < length).unwrap_or(0) } else { 0 };
    header(view.skip(length), if flags & 0x20 != 0 { Padding::ToFour } else { Padding::None }, passed)
}

/// Reads a Per-Packet Information header; it names the link type of what follows.
pub(super) fn ppi(view: View<'_>) -> Next<'_> {
    let [_, _, l0, l1, t0, t1, ..] = view.array::<8>(0).ok_or(Cause::Link)?;
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    let link = LinkType(u16::from_le_bytes([t0, t1]));
    if length < 8 { Err(Cause::Link) } else { Ok((Layer::LinkType(link), view.skip(length))) }
}

/// Reads a Prism or AVS header.
pub(super) fn prism<'a>(view: View<'a>, passed: &mut Passed) -> Next<'a> {
    let [code, length] = [view.array(0), view.array::<4>(4)].map(|b| b.ok_or(Cause::Link));
    let (code, length) = (code?, length?);
    // AVS is in network byte order, Prism in that of its host; its code is 0x44 or 0x41.
    let length = match code {
        [0x80, 0x21, _, _] | [0, 0, 0, _] => u32::from_be_bytes(length),
        _ => u32::from_le_bytes(length),
    } as usize;
    if !(8..=1024).contains(&length) {
        return Err(Cause::Link);
    }
    header(view.skip(length), Padding::None, passed)
}
