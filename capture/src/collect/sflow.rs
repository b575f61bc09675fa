//! sFlow version 5 (sflow.org/sflow_version_5.txt): reading datagrams, samples and their records. XDR throughout.

use std::net::IpAddr;

use super::bytes::Bytes;
use crate::{AddressPair, Ip, IpVersion, LinkType};

/// What a datagram begins with, after the version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) agent: IpAddr,
    pub(super) sub_agent: u32,
    pub(super) sequence: u32,
    pub(super) samples: u32,
}

pub(super) fn header(bytes: &mut Bytes<'_>) -> Option<Header> {
    let agent = address(bytes)??;
    let (sub_agent, sequence) = (bytes.u32()?, bytes.u32()?);
    bytes.u32()?;
    Some(Header { agent, sub_agent, sequence, samples: bytes.u32()? })
}

/// An address of the type it says; the inner `None` is "unknown".
fn address(bytes: &mut Bytes<'_>) -> Option<Option<IpAddr>> {
    match bytes.u32()? {
        0 => Some(None),
        1 => Some(Some(IpAddr::from(bytes.array::<4>()?))),
        2 => Some(Some(IpAddr::from(bytes.array::<16>()?))),
        _ => None,
    }
}

/// A tagged, counted piece: enterprise, format, content.
pub(super) fn piece<'a>(bytes: &mut Bytes<'a>) -> Option<(u32, u32, &'a [u8])> {
    let tag = bytes.u32()?;
    let len = bytes.u32()? as usize;
    Some((tag >> 12, tag & 0xfff, bytes.take(len)?))
}

/// A sampled packet, with what was said of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FlowSample<'a> {
    pub(super) rate: u32,
    pub(super) input_if: Option<u32>,
    pub(super) output_if: Option<u32>,
    pub(super) dropped: bool,
    pub(super) packet: Option<Sampled<'a>>,
    pub(super) vlan: Option<u16>,
    pub(super) next_hop: Option<IpAddr>,
    pub(super) masks: Option<(u8, u8)>,
    pub(super) ases: Option<(u32, u32)>,
    pub(super) peer_dst: Option<IpAddr>,
}

/// What of the packet is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sampled<'a> {
    /// Its first bytes.
    Header { link: LinkType, wire_len: u32, bytes: &'a [u8] },
    /// Fields the agent read.
    Fields { pair: AddressPair, ip_bytes: u32, tcp_flags: u8, tos: u8 },
}

/// Reads a flow sample, or an expanded one.
pub(super) fn flow_sample(sample: &[u8], expanded: bool) -> Option<FlowSample<'_>> {
    let mut bytes = Bytes(sample);
    bytes.take(if expanded { 12 } else { 8 })?;
    let rate = bytes.u32()?;
    bytes.take(8)?;
    let (input, output) = if expanded {
        ((bytes.u32()?, bytes.u32()?), (bytes.u32()?, bytes.u32()?))
    } else {
        let split = |n: u32| (n >> 30, n & 0x3fff_ffff);
        (split(bytes.u32()?), split(bytes.u32()?))
    };
    // Format 0 is an index, where all ones are the device itself; 1 a reason for dropping, 2 a number of interfaces.
    let unknown = if expanded { u32::MAX } else { 0x3fff_ffff };
    let index = |(format, value): (u32, u32)| (format == 0 && value != unknown).then_some(value);
    let mut out = FlowSample {
        rate: rate.max(1),
        input_if: index(input),
        output_if: index(output),
        dropped: output.0 == 1,
        ..FlowSample::default()
    };
    for _ in 0..bytes.u32()? {
        // A record that is cut ends the sample; what was read before is kept.
        let Some((enterprise, format, record)) = piece(&mut bytes) else { break };
        if enterprise == 0 {
            flow_record(format, record, &mut out);
        }
    }
    Some(out)
}

fn flow_record<'a>(format: u32, record: &'a [u8], out: &mut FlowSample<'a>) -> Option<()> {
    let mut bytes = Bytes(record);
    match format {
        1 => {
            let (protocol, wire_len, _, len) = (bytes.u32()?, bytes.u32()?, bytes.u32()?, bytes.u32()?);
            let link = match protocol {
                1 => LinkType::ETHERNET,
                7 => LinkType(9),
                11 => LinkType::IPV4,
                12 => LinkType::IPV6,
                4 => LinkType(107),
                _ => LinkType::UNKNOWN,
            };
            let bytes = bytes.0.get(..len as usize).unwrap_or(bytes.0);
            out.packet = Some(Sampled::Header { link, wire_len, bytes });
        }
        3 | 4 if out.packet.is_none() => out.packet = Some(fields(&mut bytes, format == 4)?),
        1001 => {
            // The VLAN it came in by; 0 and all ones are none.
            out.vlan = u16::try_from(bytes.u32()?).ok().filter(|id| (1..4095).contains(id));
        }
        1002 => {
            out.next_hop = address(&mut bytes)?.filter(|ip| !ip.is_unspecified());
            let byte = |n: u32| u8::try_from(n).ok();
            out.masks = byte(bytes.u32()?).zip(byte(bytes.u32()?));
        }
        1003 => gateway(&mut bytes, out)?,
        _ => {}
    }
    Some(())
}

fn fields<'a>(bytes: &mut Bytes<'a>, v6: bool) -> Option<Sampled<'a>> {
    let (ip_bytes, proto) = (bytes.u32()?, bytes.u32()? as u8);
    let (src, dst, version) = match v6 {
        true => (Ip(bytes.array()?), Ip(bytes.array()?), IpVersion::V6),
        false => (Ip::v4(bytes.array()?), Ip::v4(bytes.array()?), IpVersion::V4),
    };
    let (src_port, dst_port) = (bytes.u32()? as u16, bytes.u32()? as u16);
    let (tcp_flags, tos) = (bytes.u32()? as u8, bytes.u32()? as u8);
    Some(Sampled::Fields {
        pair: AddressPair { src, dst, src_port, dst_port, proto, version },
        ip_bytes,
        tcp_flags,
        tos,
    })
}

/// BGP: the next hop, the router's own AS, the source's AS and its peer's, and the path, whose last is the destination's.
fn gateway(bytes: &mut Bytes<'_>, out: &mut FlowSample<'_>) -> Option<()> {
    out.peer_dst = address(bytes)?.filter(|ip| !ip.is_unspecified());
    let (_, src_as, _) = (bytes.u32()?, bytes.u32()?, bytes.u32()?);
    let mut dst_as = 0;
    for _ in 0..bytes.u32()? {
        let (_, count) = (bytes.u32()?, bytes.u32()? as usize);
        let path = bytes.take(count.checked_mul(4)?)?;
        if let Some(last) = path.last_chunk::<4>() {
            dst_as = u32::from_be_bytes(*last);
        }
    }
    out.ases = Some((src_as, dst_as));
    Some(())
}

/// Generic interface counters of a counter sample, if it has them.
pub(super) struct Generic {
    pub(super) if_index: u32,
    pub(super) if_type: u32,
    pub(super) if_speed: u64,
    pub(super) if_direction: u32,
    pub(super) if_status: u32,
    pub(super) incoming: [Option<u64>; 7],
    pub(super) outgoing: [Option<u64>; 6],
}

/// Reads the generic counters of each record of a counter sample, or an expanded one.
pub(super) fn counter_sample(sample: &[u8], expanded: bool, mut each: impl FnMut(Generic)) -> Option<()> {
    let mut bytes = Bytes(sample);
    bytes.take(if expanded { 12 } else { 8 })?;
    for _ in 0..bytes.u32()? {
        let (enterprise, format, record) = piece(&mut bytes)?;
        if (enterprise, format) == (0, 1) {
            each(generic(&mut Bytes(record))?);
        }
    }
    Some(())
}

fn generic(bytes: &mut Bytes<'_>) -> Option<Generic> {
    let narrow = |n: u32| (n != u32::MAX).then_some(u64::from(n));
    let wide = |n: u64| (n != u64::MAX).then_some(n);
    let (if_index, if_type, if_speed) = (bytes.u32()?, bytes.u32()?, bytes.u64()?);
    let (if_direction, if_status) = (bytes.u32()?, bytes.u32()?);
    let mut incoming = [wide(bytes.u64()?), None, None, None, None, None, None];
    for slot in incoming.iter_mut().skip(1) {
        *slot = narrow(bytes.u32()?);
    }
    let mut outgoing = [wide(bytes.u64()?), None, None, None, None, None];
    for slot in outgoing.iter_mut().skip(1) {
        *slot = narrow(bytes.u32()?);
    }
    Some(Generic { if_index, if_type, if_speed, if_direction, if_status, incoming, outgoing })
}
