//! NetFlow v1, v5 and v7: a header and rows of fixed layout (Cisco, NetFlow Services Solutions Guide).

use super::build::{Head, seconds};
use super::bytes::Bytes;
use super::flow::{ExportedDirection, ExportedFlow, Protocol};
use crate::{AddressPair, Ip, IpVersion, Nanos};

/// A header of v1, v5 or v7.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) exported: Nanos,
    pub(super) uptime: u32,
    pub(super) count: u16,
    /// v5 and v7: flows exported before this datagram.
    pub(super) sequence: Option<u32>,
    /// Engine type and id.
    pub(super) engine: u16,
    pub(super) sampling: u32,
}

/// Reads the header after the version.
pub(super) fn header(protocol: Protocol, bytes: &mut Bytes<'_>) -> Option<Header> {
    let count = bytes.u16()?;
    let uptime = bytes.u32()?;
    let (whole, nanos) = (bytes.u32()?, bytes.u32()?);
    let exported = Nanos(seconds(u64::from(whole)).0 + i64::from(nanos.min(999_999_999)));
    let mut header = Header { exported, uptime, count, sequence: None, engine: 0, sampling: 1 };
    if protocol != Protocol::NetFlow1 {
        header.sequence = Some(bytes.u32()?);
        header.engine = bytes.u16()?;
        let sampling = bytes.u16()?;
        if protocol == Protocol::NetFlow5 {
            // The upper two bits are the mode; some exporters leave it 0 and still give the interval.
            header.sampling = u32::from(sampling & 0x3fff).max(1);
        }
    }
    Some(header)
}

/// Bytes of a row, where `left` bytes of rows follow the header. Of v1 there are two: some exporters leave out four
/// reserved bytes at the end.
pub(super) fn row_len(protocol: Protocol, count: u16, left: usize) -> usize {
    match protocol {
        Protocol::NetFlow7 => 52,
        Protocol::NetFlow1 if left >= usize::from(count) * 52 => 52,
        _ => 48,
    }
}

/// Reads one row.
pub(super) fn row(head: &Head, header: &Header, row: &[u8]) -> Option<ExportedFlow> {
    let protocol = head.protocol;
    let mut bytes = Bytes(row);
    let (src, dst, hop) = (bytes.array()?, bytes.array()?, bytes.array::<4>()?);
    let (input, output) = (bytes.u16()?, bytes.u16()?);
    let (packets, octets, first, last) = (bytes.u32()?, bytes.u32()?, bytes.u32()?, bytes.u32()?);
    let (src_port, dst_port) = (bytes.u16()?, bytes.u16()?);
    let (flags, proto, tos);
    let (mut src_as, mut dst_as, mut masks) = (None, None, None);
    if protocol == Protocol::NetFlow1 {
        bytes.u16()?;
        (proto, tos, flags) = (bytes.u8()?, bytes.u8()?, bytes.u8()?);
    } else {
        bytes.u8()?;
        (flags, proto, tos) = (bytes.u8()?, bytes.u8()?, bytes.u8()?);
        (src_as, dst_as) = (Some(bytes.u16()?), Some(bytes.u16()?));
        masks = Some((bytes.u8()?, bytes.u8()?));
    }
    let (src_port, dst_port) = match proto {
        1 | 58 => (dst_port >> 8, dst_port & 0xff),
        _ => (src_port, dst_port),
    };
    let pair = AddressPair { src: Ip::v4(src), dst: Ip::v4(dst), src_port, dst_port, proto, version: IpVersion::V4 };
    let at = |uptime| head.at_uptime(uptime).unwrap_or(head.exported);
    let (first, last) = (at(first), at(last));
    let forward = ExportedDirection {
        packets: u64::from(packets),
        bytes: u64::from(octets),
        tcp_flags: (proto == 6).then_some(flags),
        tos: Some(tos),
    };
    Some(ExportedFlow {
        first: first.min(last),
        last: last.max(first),
        forward,
        sampling: header.sampling,
        input_if: Some(u32::from(input)),
        output_if: Some(u32::from(output)),
        src_as: src_as.map(u32::from),
        dst_as: dst_as.map(u32::from),
        src_mask: masks.map(|(src, _)| src),
        dst_mask: masks.map(|(_, dst)| dst),
        next_hop: (hop != [0; 4]).then(|| hop.into()),
        ..ExportedFlow::new(protocol, head.exporter, head.domain, head.received, pair)
    })
}
