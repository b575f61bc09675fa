//! Connections whose directions travel in different VLANs, counted apart because the VLAN id is part of the key.
//!
//! Some networks route each direction over a VLAN of its own, and a trunk port shows both. With `vlan_in_key` each direction
//! is then a flow, one-way, and scans and beacons cannot be told. The default is off for that reason. Sans-IO; memory is bounded:
//! one-way flows that wait for their other half give way, the older generation at once.

use std::mem;

use capture::Ip;
use hashbrown::HashMap;

use crate::record::FlowRecord;

/// One-way flows of a generation.
const WAITING: usize = 1 << 15;

/// Halves that found each other before it is believed.
const LEAST: u64 = 20;

/// A one-way flow, seen from its sender.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct OneWay {
    src: Ip,
    dst: Ip,
    src_port: u16,
    dst_port: u16,
    proto: u8,
}

/// Looks for halves of connections in different VLANs.
#[derive(Clone, Debug, Default)]
pub(crate) struct VlanSplit {
    generations: [HashMap<OneWay, Option<u16>>; 2],
    flows: u64,
    halves: u64,
    example: Option<[u16; 2]>,
}

impl VlanSplit {
    /// A finished flow.
    pub(crate) fn flow(&mut self, flow: &FlowRecord) {
        self.flows += 1;
        if flow.dst.is_some_and(|back| back.packets > 0) {
            return;
        }
        let FlowRecord { src_ip: src, dst_ip: dst, src_port, dst_port, proto, vlan, .. } = *flow;
        let this = OneWay { src, dst, src_port, dst_port, proto };
        let other = OneWay { src: dst, dst: src, src_port: dst_port, dst_port: src_port, proto };
        let [new, old] = &mut self.generations;
        let found = [&mut *new, &mut *old].into_iter().find_map(|map| {
            map.get(&other).filter(|theirs| **theirs != vlan)?;
            map.remove(&other)
        });
        if let Some(theirs) = found {
            self.halves += 2;
            self.example = Some([theirs.unwrap_or(0), vlan.unwrap_or(0)]);
            return;
        }
        if new.len() >= WAITING {
            *old = mem::take(new);
        }
        new.insert(this, vlan);
    }

    /// Flows that are half of a connection.
    pub(crate) const fn halves(&self) -> u64 {
        self.halves
    }

    /// What to tell, if half of the flows or more are halves.
    pub(crate) fn warning(&self) -> Option<String> {
        let Self { flows, halves, example, .. } = self;
        let [a, b] = (*example)?;
        (*halves >= LEAST && halves * 2 >= *flows).then(|| {
            format!(
                "{halves} of {flows} flows are one direction of a connection whose other direction is in another VLAN (as {a} and {b}): \
                 leave the VLAN id out of the key (no --vlan-in-key, flow.vlan_in_key = false)"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use capture::{AddressPair, Fragment, IpVersion, Link, Nanos, Packet, Sink, Tcp};

    use super::*;
    use crate::record::Origin;
    use crate::{Aggregator, AggregatorConfig};

    /// So many connections, both directions in these VLANs.
    fn split(connections: u16, there: u16, back: u16) -> VlanSplit {
        let config = AggregatorConfig { vlan_in_key: true, ..AggregatorConfig::new("test", Origin::Pcap) };
        let mut aggregator = Aggregator::new(config);
        for n in 0..connections {
            let pair = AddressPair {
                src: Ip::v4([10, 0, 0, 1]),
                dst: Ip::v4([10, 0, 0, 2]),
                src_port: 1_000 + n,
                dst_port: 53,
                proto: 17,
                version: IpVersion::V4,
            };
            for (pair, vlan) in [(pair, there), (pair.reversed(), back)] {
                aggregator.packet(&Packet {
                    ts: Nanos(i64::from(n) * 1_000_000),
                    pair,
                    ip_bytes: 60,
                    payload_bytes: 0,
                    tcp: Tcp::default(),
                    tos: 0,
                    fragment: Fragment::Whole,
                    link: Link { vlan: Some(vlan), ..Link::default() },
                    tunnel: None,
                    service: None,
                });
            }
        }
        aggregator.finish();
        let mut split = VlanSplit::default();
        aggregator.take_records().flow.iter().for_each(|flow| split.flow(flow));
        split
    }

    #[test]
    fn directions_in_two_vlans_are_warned_of() {
        let found = split(50, 10, 20);
        assert_eq!(found.halves(), 100);
        let warning = found.warning().expect("a warning");
        assert!(warning.contains("100 of 100 flows") && warning.contains("vlan_in_key = false"), "{warning}");
    }

    #[test]
    fn flows_within_their_vlan_are_not() {
        let found = split(50, 10, 10);
        assert_eq!((found.halves(), found.warning()), (0, None));
        // Too few to tell.
        assert_eq!(split(9, 10, 20).warning(), None);
    }

    #[test]
    fn a_scan_does_not_grow_memory() {
        let mut found = VlanSplit::default();
        let mut flow = {
            let mut aggregator = Aggregator::new(AggregatorConfig::new("test", Origin::Pcap));
            let pair = AddressPair {
                src: Ip::v4([10, 0, 0, 1]),
                dst: Ip::v4([10, 0, 0, 2]),
                src_port: 1,
                dst_port: 2,
                proto: 17,
                version: IpVersion::V4,
            };
            aggregator.packet(&Packet {
                ts: Nanos(0),
                pair,
                ip_bytes: 60,
                payload_bytes: 0,
                tcp: Tcp::default(),
                tos: 0,
                fragment: Fragment::Whole,
                link: Link::default(),
                tunnel: None,
                service: None,
            });
            aggregator.finish();
            aggregator.take_records().flow.remove(0)
        };
        for n in 0..200_000_u32 {
            flow.dst_ip = Ip::v4(n.to_be_bytes());
            found.flow(&flow);
            assert!(found.generations.iter().all(|map| map.len() <= WAITING));
        }
        assert_eq!(found.halves(), 0);
    }
}
