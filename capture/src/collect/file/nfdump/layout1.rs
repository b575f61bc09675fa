//! Records of layout 1: a common head, addresses and counters whose size its flags say, then what an extension map, read
//! before, lists.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::{Flags, Read, ends4, ends6, kind, known, macs, pair, time, u16_at, u32_at, u64_at, v4, v6, vlan};
use crate::collect::{ExportedDirection, ExportedFlow, Protocol};

/// Bytes of the file's header and the statistics behind it.
pub(super) const HEADER: usize = 276;

/// Most extensions of a map: there are 50.
const MAX_EXTENSIONS: usize = 64;

/// Extension maps by their number; nfdump numbers them in 16 bits.
#[derive(Default)]
pub(super) struct Maps(HashMap<u16, Vec<u16>>);

impl Maps {
    pub(super) fn learn(&mut self, record: &[u8]) -> Result<(), &'static str> {
        if record.len() < 8 {
            return Err("an extension map that is cut");
        }
        let ids = record.get(8..).unwrap_or_default().chunks_exact(2).map(|id| u16_at(id, 0)).take_while(|id| *id != 0);
        let ids: Vec<u16> = ids.take(MAX_EXTENSIONS + 1).collect();
        if ids.len() > MAX_EXTENSIONS {
            return Err("an extension map longer than any is");
        }
        self.0.insert(u16_at(record, 4), ids);
        Ok(())
    }
}

/// What is left of a record.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let (head, tail) = self.0.split_at_checked(len).ok_or("a record shorter than its extensions")?;
        self.0 = tail;
        Ok(head)
    }

    /// A counter of 32 or 64 bits.
    fn counter(&mut self, is_wide: bool) -> Result<u64, &'static str> {
        if is_wide { Ok(u64_at(self.take(8)?, 0)) } else { Ok(u64::from(u32_at(self.take(4)?, 0))) }
    }
}

/// Bytes of the extensions that are stepped over.
const fn skipped(id: u16) -> Option<usize> {
    Some(match id {
        // Aggregated flows.
        18 => 4,
        19 => 8,
        // MPLS labels, router id, adjacent AS.
        22 => 40,
        25 => 4,
        26 => 8,
        // NSEL and NEL: event, ports, addresses after NAT, ACL, user.
        37 => 20,
        38 => 4,
        39 => 8,
        40 => 32,
        41 => 24,
        42 => 24,
        43 => 72,
        // Latency, NEL, port blocks, user.
        45 => 24,
        46 => 12,
        47 => 8,
        48 => 8,
        50 => 64,
        _ => return None,
    })
}

/// Reads a record of kind 1 or 10.
pub(super) fn flow(record: &[u8], maps: &Maps) -> Result<Read, &'static str> {
    let is_v0 = u16_at(record, 0) == kind::COMMON_V0;
    let byte = |at: usize| record.get(at).copied().unwrap_or_default();
    let (flags, exporter, head) = match is_v0 {
        true => (u16::from(byte(4)), u16::from(byte(5)), 28),
        false => (u16_at(record, 4), u16_at(record, 28), 32),
    };
    let mut rest = Rest(record.get(head..).ok_or("a record shorter than its head")?);
    let map = maps.0.get(&u16_at(record, 6)).ok_or("a record before its extension map")?;
    let ms = |seconds, ms| u64::from(u32_at(record, seconds)) * 1_000 + u64::from(u16_at(record, ms));
    let (first, last) = (ms(12, 8), ms(16, 10));
    let proto = byte(22);
    let ends = if flags & 1 != 0 { ends6(rest.take(32)?) } else { ends4(rest.take(8)?) };
    let pair = pair(ends, (u16_at(record, 24), u16_at(record, 26)), proto);
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut flow = ExportedFlow::new(Protocol::Nfdump, nobody, 0, time(last), pair);
    (flow.first, flow.last) = (time(first), time(last.max(first)));
    flow.forward = ExportedDirection {
        packets: rest.counter(flags & 2 != 0)?,
        bytes: rest.counter(flags & 4 != 0)?,
        tcp_flags: (proto == 6).then(|| byte(21)),
        tos: Some(byte(23)),
    };
    flow.fwd_status = Some(byte(20)).filter(|status| *status != 0);
    let mut more = More::default();
    for id in map {
        extension(*id, &mut rest, &mut flow, &mut more)?;
    }
    let More { dst_tos, back: [packets, bytes], macs: [in_src, out_dst, in_dst, out_src] } = more;
    flow.reverse =
        (packets | bytes != 0).then_some(ExportedDirection { packets, bytes, tcp_flags: None, tos: dst_tos });
    flow.macs = macs(in_src, out_dst, in_dst, out_src);
    // That addresses were changed stands in the file's header only.
    Ok(Read { flow, exporter, flags: Flags { event: flags & 64 != 0, sampled: flags & 128 != 0, anonymised: false } })
}

/// What several extensions make together.
#[derive(Default)]
struct More {
    dst_tos: Option<u8>,
    back: [u64; 2],
    /// In source, out destination, in destination, out source.
    macs: [u64; 4],
}

fn extension(id: u16, rest: &mut Rest<'_>, flow: &mut ExportedFlow, more: &mut More) -> Result<(), &'static str> {
    let words = |b: &[u8]| (Some(u32_at(b, 0)), Some(u32_at(b, 4)));
    let halves = |b: &[u8]| (Some(u32::from(u16_at(b, 0))), Some(u32::from(u16_at(b, 2))));
    match id {
        // Addresses and counters stand in every record.
        1..=3 => {}
        4 => (flow.input_if, flow.output_if) = halves(rest.take(4)?),
        5 => (flow.input_if, flow.output_if) = words(rest.take(8)?),
        6 => (flow.src_as, flow.dst_as) = halves(rest.take(4)?),
        7 => (flow.src_as, flow.dst_as) = words(rest.take(8)?),
        8 => {
            let Some([tos, direction, src_mask, dst_mask]) = rest.take(4)?.first_chunk().copied() else {
                return Ok(());
            };
            more.dst_tos = Some(tos);
            flow.direction = (direction <= 1).then_some(direction);
            (flow.src_mask, flow.dst_mask) = (Some(src_mask), Some(dst_mask));
        }
        9 => flow.next_hop = known(v4(u32_at(rest.take(4)?, 0))),
        10 => flow.next_hop = known(v6(rest.take(16)?, 0)),
        11 => flow.peer_dst = known(v4(u32_at(rest.take(4)?, 0))),
        12 => flow.peer_dst = known(v6(rest.take(16)?, 0)),
        13 => {
            let ids = rest.take(4)?;
            flow.vlan = vlan(u16_at(ids, 0).into(), u16_at(ids, 2).into());
        }
        14 | 15 => more.back[0] = rest.counter(id == 15)?,
        16 | 17 => more.back[1] = rest.counter(id == 17)?,
        20 => {
            let b = rest.take(16)?;
            (more.macs[0], more.macs[1]) = (u64_at(b, 0), u64_at(b, 8));
        }
        21 => {
            let b = rest.take(16)?;
            (more.macs[2], more.macs[3]) = (u64_at(b, 0), u64_at(b, 8));
        }
        23 => flow.exporter = v4(u32_at(rest.take(4)?, 0)),
        24 => flow.exporter = v6(rest.take(16)?, 0),
        27 => {
            let received = u64_at(rest.take(8)?, 0);
            if received != 0 {
                flow.received = time(received);
            }
        }
        other => {
            rest.take(skipped(other).ok_or("an extension that is not known")?)?;
        }
    }
    Ok(())
}
