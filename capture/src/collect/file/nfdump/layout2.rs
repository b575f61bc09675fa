//! Records of layout 2: a head, then elements that say their kind and length, in any order.

use std::net::{IpAddr, Ipv4Addr};

use super::{Flags, Read, ends4, ends6, known, macs, pair, time, u16_at, u32_at, u64_at, v4, v6, vlan};
use crate::collect::{ExportedDirection, ExportedFlow, Protocol};

/// Bytes of the file's header.
pub(super) const HEADER: usize = 40;
/// Bytes of a record's head.
const HEAD: usize = 12;

/// Kinds of elements, with the bytes they have at least. Later versions of nfdump make some longer.
mod element {
    pub(super) const GENERIC: (u16, usize) = (1, 48);
    pub(super) const IPV4: (u16, usize) = (2, 8);
    pub(super) const IPV6: (u16, usize) = (3, 32);
    pub(super) const MISC: (u16, usize) = (4, 12);
    pub(super) const COUNTERS: (u16, usize) = (5, 24);
    pub(super) const VLAN: (u16, usize) = (6, 8);
    pub(super) const AS: (u16, usize) = (7, 8);
    pub(super) const BGP_HOP4: (u16, usize) = (8, 4);
    pub(super) const BGP_HOP6: (u16, usize) = (9, 16);
    pub(super) const HOP4: (u16, usize) = (10, 4);
    pub(super) const HOP6: (u16, usize) = (11, 16);
    pub(super) const RECEIVED4: (u16, usize) = (12, 4);
    pub(super) const RECEIVED6: (u16, usize) = (13, 16);
    pub(super) const MAC: (u16, usize) = (15, 32);
    /// The highest number that is looked at.
    pub(super) const LAST: u16 = MAC.0;
}

/// The elements of a record by their kind; of two of a kind the first counts, as in nfdump.
struct Elements<'a>([Option<&'a [u8]>; element::LAST as usize + 1]);

impl<'a> Elements<'a> {
    fn of(record: &'a [u8]) -> Result<Self, &'static str> {
        let mut elements = Self([None; element::LAST as usize + 1]);
        let count = u16_at(record, 4);
        let mut rest = record.get(HEAD..).ok_or("a record shorter than its head")?;
        for _ in 0..count {
            let (kind, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
            let (element, after) = rest.split_at_checked(length).ok_or("an element longer than its record")?;
            let data = element.get(4..).ok_or("an element shorter than its head")?;
            rest = after;
            if let Some(slot) = elements.0.get_mut(usize::from(kind)) {
                slot.get_or_insert(data);
            }
        }
        Ok(elements)
    }

    /// The element's bytes; `None` where it is not there, or too short to be it.
    fn get(&self, (kind, len): (u16, usize)) -> Option<&'a [u8]> {
        self.0.get(usize::from(kind)).copied().flatten().filter(|data| data.len() >= len)
    }
}

/// Reads a record of kind 11.
pub(super) fn flow(record: &[u8]) -> Result<Read, &'static str> {
    let elements = Elements::of(record)?;
    let flags = record.get(10).copied().unwrap_or_default();
    let generic = elements.get(element::GENERIC).ok_or("a record without times and counters")?;
    // Templates with both versions leave one empty.
    let six = elements.get(element::IPV6);
    let four = elements.get(element::IPV4).filter(|_| six.is_none_or(|six| six.iter().take(32).all(|b| *b == 0)));
    let ends = four.map(ends4).or_else(|| six.map(ends6));
    let byte = |bytes: &[u8], at: usize| bytes.get(at).copied().unwrap_or_default();
    let proto = byte(generic, 44);
    let pair = pair(ends.ok_or("a record without addresses")?, (u16_at(generic, 40), u16_at(generic, 42)), proto);
    let hop = |four, six| {
        let six = || elements.get(six).map(|b| v6(b, 0)).and_then(known);
        elements.get(four).map(|b| v4(u32_at(b, 0))).and_then(known).or_else(six)
    };
    let (first, last, received) = (u64_at(generic, 0), u64_at(generic, 8), u64_at(generic, 16));
    let exporter = hop(element::RECEIVED4, element::RECEIVED6).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let received = time(if received == 0 { last } else { received });
    let mut flow = ExportedFlow::new(Protocol::Nfdump, exporter, 0, received, pair);
    (flow.first, flow.last) = (time(first), time(last.max(first)));
    flow.forward = ExportedDirection {
        packets: u64_at(generic, 24),
        bytes: u64_at(generic, 32),
        tcp_flags: (proto == 6).then(|| byte(generic, 45)),
        tos: Some(byte(generic, 47)),
    };
    flow.fwd_status = Some(byte(generic, 46)).filter(|status| *status != 0);
    let misc = elements.get(element::MISC);
    if let Some(misc) = misc {
        (flow.input_if, flow.output_if) = (Some(u32_at(misc, 0)), Some(u32_at(misc, 4)));
        (flow.src_mask, flow.dst_mask) = (Some(byte(misc, 8)), Some(byte(misc, 9)));
        flow.direction = Some(byte(misc, 10)).filter(|direction| *direction <= 1);
        // Since 1.7.2 the end reason is there.
        flow.end_reason = misc.get(13).copied().filter(|reason| (1..=5).contains(reason));
    }
    flow.reverse = elements.get(element::COUNTERS).and_then(|b| {
        let (packets, bytes) = (u64_at(b, 8), u64_at(b, 16));
        let tos = misc.map(|misc| byte(misc, 11));
        (packets | bytes != 0).then_some(ExportedDirection { packets, bytes, tcp_flags: None, tos })
    });
    flow.vlan = elements.get(element::VLAN).and_then(|b| vlan(u32_at(b, 0), u32_at(b, 4)));
    if let Some(ases) = elements.get(element::AS) {
        (flow.src_as, flow.dst_as) = (Some(u32_at(ases, 0)), Some(u32_at(ases, 4)));
    }
    flow.next_hop = hop(element::HOP4, element::HOP6);
    flow.peer_dst = hop(element::BGP_HOP4, element::BGP_HOP6);
    flow.macs = elements.get(element::MAC).and_then(|b| macs(u64_at(b, 0), u64_at(b, 8), u64_at(b, 16), u64_at(b, 24)));
    let flags = Flags { event: flags & 1 != 0, sampled: flags & 2 != 0, anonymised: flags & 4 != 0 };
    Ok(Read { flow, exporter: u16_at(record, 8), flags })
}
