//! Peer-to-peer: a host that talks with many peers outside, each on a port of its own.
//!
//! Servers have one port for all their clients; members of a mesh choose theirs: file sharing, and bots that have no master to take down
//! (Sality, ZeroAccess, Hajime). Calls and games have a few such peers a day.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Peers kept of a host.
const MOST: usize = 1_024;

/// Fewest different ports to tell of.
const FEWEST: usize = 40;

/// Peers outside, with their ports, by host.
#[derive(Clone, Debug, Default)]
pub struct Meshes {
    hosts: HashMap<IpAddr, HashSet<(IpAddr, u16)>>,
    peers: usize,
    overflow: u64,
}

impl Meshes {
    /// Looks at a record from the inside out.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        let dynamic = row.src_port >= 1024 && row.dst_port >= 1024;
        if row.segment != 0 || !matches!(row.proto, 6 | 17) || !dynamic || !row.is_conversation() {
            return;
        }
        if self.peers >= CASES {
            self.overflow += 1;
            return;
        }
        let peers = self.hosts.entry(row.src).or_default();
        if peers.len() < MOST {
            self.peers += usize::from(peers.insert((row.dst, row.dst_port)));
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { hosts, overflow, .. } = self;
        let (mut statistics, mut found) = (Vec::with_capacity(hosts.len()), Vec::new());
        for (host, peers) in hosts {
            let different = peers.iter().map(|(peer, _)| *peer).collect::<HashSet<IpAddr>>().len();
            let ports = peers.iter().map(|(_, port)| *port).collect::<HashSet<u16>>().len();
            let count = different.min(ports);
            // Where many peers share a port, it is a service's.
            let statistic = if ports * 2 >= different { (1.0 + count as f64).ln() } else { 0.0 };
            statistics.push(statistic);
            if statistic > 0.0 && count >= FEWEST {
                let evidence = format!(
                    "talks with {different}{} hosts outside on {ports} different ports",
                    if peers.len() >= MOST { " or more" } else { "" }
                );
                found.push(Case { statistic, host, covers: Covers::Peers(peers), evidence });
            }
        }
        findings.add("peer-to-peer", Scale::Quantity { usual: f64::ln(30.0) }, statistics, found, overflow);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Flows;
    use super::super::rows::Internal;
    use super::*;

    /// A bot of a network without a master: each peer on another port, none of them reached twice.
    #[test]
    fn a_bot_of_six_hundred_peers_is_found_and_a_product_with_one_port_is_not() {
        let mut flows = Flows::new(Internal::default());
        let row = |n: u16, src: [u8; 4], dst: [u8; 4], dst_port: u16| FlowRow {
            src_port: 16_470,
            proto: 17,
            src_packets: 2,
            src_bytes: 200,
            dst_packets: Some(2),
            dst_bytes: Some(400),
            ..FlowRow::sample(i64::from(n) * 120_000_000, src, dst, dst_port)
        };
        for n in 0..600_u16 {
            let [high, low] = n.to_be_bytes();
            flows.handle(&row(n, [10, 0, 0, 7], [198, 18, high, low], 10_000 + n * 37));
            flows.handle(&row(n, [10, 0, 0, 8], [198, 19, high, low], 3_478));
            flows.handle(&row(n, [10, 0, 1, low], [203, 0, 113, low], 8_801));
        }
        let findings = flows.finish();
        let found: Vec<_> = findings.list().iter().filter(|finding| finding.detector == "peer-to-peer").collect();
        let [bot] = found.as_slice() else { panic!("one: {found:?}") };
        let host: IpAddr = [10, 0, 0, 7].into();
        assert!(bot.host == host && bot.ln_expected < 0.0, "{bot:?}");
        assert_eq!(bot.evidence, "talks with 600 hosts outside on 600 different ports");
    }
}
