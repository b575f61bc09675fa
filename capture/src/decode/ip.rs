//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, read as far as they can be.
//!
//! Whatever has a whole fixed header with consistent lengths is a packet, also if options, extension
//! headers or the payload are cut off: this is where the hot parser's declined packets come to.

use super::cause::Cause;
use super::view::View;
use crate::{Ip, IpVersion};

use probe_common::protocol::{DESTINATION_OPTIONS, FRAGMENT, HOP_BY_HOP, ROUTING};

/// Extension headers that are passed over in one packet.
const MAX_EXTENSIONS: usize = 64;

const IPV6_HEADER: usize = 40;

/// An IP header and what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct IpHeader<'a> {
    pub(super) version: IpVersion,
    pub(super) src: Ip,
    pub(super) dst: Ip,
    /// After the IPv6 extension headers.
    pub(super) proto: u8,
    pub(super) tos: u8,
    /// As in [`crate::Packet::ip_bytes`].
    pub(super) ip_bytes: u32,
    /// The header's length field is 0, so the frame's length counts.
    pub(super) superframe: bool,
    pub(super) part: Option<Part<'a>>,
    /// What follows the headers, without what the link layer added. Its `wire` is the payload by the
    /// header's lengths.
    pub(super) payload: View<'a>,
}

/// A fragment's place in its datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) id: u32,
    /// In bytes.
    pub(super) offset: u32,
    pub(super) more: bool,
    /// Protocol that the datagram's payload begins with (IPv6: perhaps an extension header).
    pub(super) proto: u8,
    /// The fragment's piece of that payload.
    pub(super) payload: View<'a>,
}

/// Reads the header of this version.
pub(super) fn read(version: IpVersion, view: View<'_>) -> Result<IpHeader<'_>, Cause> {
    match version {
        IpVersion::V4 => read_v4(view),
        IpVersion::V6 => read_v6(view),
    }
}

fn read_v4(view: View<'_>) -> Result<IpHeader<'_>, Cause> {
    let first = view.u8(0).ok_or(Cause::IpTruncated)?;
    if first >> 4 != 4 {
        return Err(Cause::IpVersion);
    }
    let header: [u8; 20] = view.array(0).ok_or(Cause::IpTruncated)?;
    let [_, tos, l0, l1, i0, i1, f0, f1, _, proto, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let header_len = usize::from(first & 0xf) * 4;
    if header_len < 20 {
        return Err(Cause::IpHeaderLength);
    }
    // A superframe: segmentation was left to the card, the length to the frame.
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let total = if length == 0 { view.wire } else { length };
    let payload_len = total.checked_sub(header_len).ok_or(Cause::IpTotalLength)?;
    let fragment = u16::from_be_bytes([f0, f1]);
    let (offset, more) = (u32::from(fragment & 0x1fff) * 8, fragment & 0x2000 != 0);
    let id = u32::from(u16::from_be_bytes([i0, i1]));
    let payload = view.skip(header_len).sized(payload_len);
    Ok(IpHeader {
        version: IpVersion::V4,
        src: Ip::v4([s0, s1, s2, s3]),
        dst: Ip::v4([d0, d1, d2, d3]),
        proto,
        tos,
        ip_bytes: u32::try_from(total).unwrap_or(u32::MAX),
        superframe: length == 0,
        part: (more || offset > 0).then_some(Part { id, offset, more, proto, payload }),
        payload,
    })
}

fn read_v6(view: View<'_>) -> Result<IpHeader<'_>, Cause> {
    let first = view.u8(0).ok_or(Cause::IpTruncated)?;
    if first >> 4 != 6 {
        return Err(Cause::IpVersion);
    }
    let [_, second, _, _, l0, l1, next, _] = view.array(0).ok_or(Cause::IpTruncated)?;
    let (src, dst) = view.array(8).zip(view.array(24)).ok_or(Cause::IpTruncated)?;
    let length = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => jumbo_length(next, view),
        length => Some(length),
    };
    let total = length.map_or(view.wire, |length| IPV6_HEADER.saturating_add(length));
    let mut header = IpHeader {
        version: IpVersion::V6,
        src: Ip(src),
        dst: Ip(dst),
        proto: next,
        tos: first << 4 | second >> 4,
        ip_bytes: u32::try_from(total).unwrap_or(u32::MAX),
        superframe: length.is_none(),
        part: None,
        payload: view.skip(IPV6_HEADER).sized(total.saturating_sub(IPV6_HEADER)),
    };
    walk_extensions(&mut header);
    Ok(header)
}

/// Passes over hop-by-hop options, routing, destination options and the fragment header. Authentication,
/// encryption and mobility headers end the walk, and so does one that is cut off.
pub(super) fn walk_extensions(header: &mut IpHeader<'_>) {
    for _ in 0..MAX_EXTENSIONS {
        let Some([next, length, o0, o1, i0, i1, i2, i3]) = header.payload.array(0) else { return };
        let length = match header.proto {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => (usize::from(length) + 1) * 8,
            FRAGMENT => {
                let bits = u16::from_be_bytes([o0, o1]);
                let (offset, more) = (u32::from(bits & 0xfff8), bits & 1 != 0);
                if offset > 0 || more {
                    let id = u32::from_be_bytes([i0, i1, i2, i3]);
                    let payload = header.payload.skip(8);
                    header.part = Some(Part { id, offset, more, proto: next, payload });
                }
                8
            }
            _ => return,
        };
        // The header's own lengths decide, not what was captured.
        if length > header.payload.wire {
            return;
        }
        header.proto = next;
        header.payload = header.payload.skip(length);
        if header.part.is_some_and(|part| part.offset > 0) {
            return;
        }
    }
}

/// The Jumbo Payload option (RFC 2675) of the hop-by-hop header after the fixed header.
fn jumbo_length(next: u8, view: View<'_>) -> Option<usize> {
    if next != HOP_BY_HOP {
        return None;
    }
    let length = (usize::from(view.u8(IPV6_HEADER + 1)?) + 1) * 8;
    let mut at = IPV6_HEADER + 2;
    while at < IPV6_HEADER + length {
        match view.u8(at)? {
            // Pad1.
            0 => at += 1,
            0xc2 => return (view.u8(at + 1)? == 4).then_some(view.u32(at + 2)? as usize),
            _ => at += 2 + usize::from(view.u8(at + 1)?),
        }
    }
    None
}
