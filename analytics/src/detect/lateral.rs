//! Lateral movement: a host that logs in to many peers by administrative protocols where hardly anybody else does.
//!
//! Counts a host's conversations with responders inside on such ports that have at most two clients all day: servers have many, workstations
//! none. What one host has is compared with a Poisson rate learned from the others. A host is all of its addresses, as far as [`Hosts`] knows.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::FlowRow;
use super::stations::Hosts;
use super::stats::poisson_surprise;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Remote administration: RPC, SMB, SSH, telnet, RDP, VNC, WinRM, and the first dynamic RPC ports.
const fn is_administrative(port: u16) -> bool {
    matches!(port, 22 | 23 | 135 | 139 | 445 | 3389 | 5900 | 5985 | 5986 | 49_152..=49_700)
}

/// Clients that are kept of a responder. Three hosts are as many as a thousand, and two have four addresses at the most.
const MOST: usize = 5;

/// Clients by responder and port.
#[derive(Clone, Debug, Default)]
pub struct Lateral {
    clients: HashMap<(IpAddr, u16), HashSet<IpAddr>>,
    overflow: u64,
}

impl Lateral {
    /// Looks at a record between hosts inside.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        if row.proto != 6 || !is_administrative(row.dst_port) || !row.is_conversation() {
            return;
        }
        let key = (row.dst, row.dst_port);
        if self.clients.len() >= CASES && !self.clients.contains_key(&key) {
            self.overflow += 1;
            return;
        }
        let clients = self.clients.entry(key).or_default();
        if clients.len() < MOST {
            clients.insert(row.src);
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings, known: &Hosts) {
        let Self { clients, overflow } = self;
        let mut by_host: HashMap<(IpAddr, u16), HashSet<IpAddr>> = HashMap::new();
        for ((target, port), clients) in &clients {
            by_host.entry((known.of(*target), *port)).or_default().extend(clients.iter().map(|ip| known.of(*ip)));
        }
        let mut hosts: HashMap<IpAddr, Host> = HashMap::new();
        for ((target, port), clients) in &clients {
            let peer = known.of(*target);
            let few = by_host.get(&(peer, *port)).is_some_and(|clients| clients.len() < 3);
            let mut clients: Vec<IpAddr> = clients.iter().copied().collect();
            clients.sort_unstable();
            clients.truncate(if few { MOST } else { 3 });
            for client in clients {
                let host = hosts.entry(known.of(client)).or_default();
                host.addresses.insert(client);
                if few {
                    host.peers.insert(peer);
                    host.targets.insert((*target, *port));
                }
            }
        }
        let usual: u64 = hosts.values().map(|host| host.peers.len().min(3) as u64).sum();
        let rate = (usual as f64 / hosts.len().max(1) as f64).max(0.2);
        let (mut statistics, mut found) = (Vec::with_capacity(hosts.len()), Vec::new());
        for Host { addresses, peers, targets } in hosts.into_values() {
            let count = peers.len();
            let statistic = poisson_surprise(count as f64, rate);
            statistics.push(statistic);
            if count >= 2 {
                let mut ports: Vec<u16> = targets.iter().map(|(_, port)| *port).collect();
                ports.sort_unstable();
                ports.dedup();
                ports.truncate(6);
                let evidence = format!(
                    "logged in to {count} hosts to which at most one other goes, on ports {ports:?}; others have {rate:.1} such hosts"
                );
                // One case; the records of each address belong to it.
                found.extend(addresses.into_iter().map(|host| Case {
                    statistic,
                    host,
                    covers: Covers::Peers(targets.clone()),
                    evidence: evidence.clone(),
                }));
            }
        }
        findings.add("lateral movement", Scale::Probability, statistics, found, overflow);
    }
}

/// What a host does, by whichever of its addresses.
#[derive(Default)]
struct Host {
    addresses: HashSet<IpAddr>,
    /// Hosts it alone logs in to, or with one other.
    peers: HashSet<IpAddr>,
    /// Their addresses and ports.
    targets: HashSet<(IpAddr, u16)>,
}

#[cfg(test)]
mod tests {
    use super::super::Flows;
    use super::super::rows::{Internal, Mac};
    use super::*;

    /// Two targets, one by each address family, were one target of each of two hosts: missed for one seed of the synthetic day.
    #[test]
    fn a_host_of_two_families_that_logs_in_by_both_is_one_host_with_two_targets() {
        let found = |macs: bool| {
            let mut flows = Flows::new(Internal::default());
            let (v4, v6): (IpAddr, IpAddr) = ([10, 0, 0, 7].into(), [0xfd00, 0, 0, 0, 0, 0, 0, 7_u16].into());
            let mac = macs.then_some(Mac([2, 0, 0, 0, 0, 7]));
            // Everybody has the file server.
            for n in 10..60_u8 {
                flows.handle(&FlowRow::sample(i64::from(n), [10, 0, 0, n], [10, 0, 0, 2], 445));
            }
            flows.handle(&FlowRow { src_mac: mac, ..FlowRow::sample(100, v4, [10, 0, 0, 20], 5985) });
            let other: IpAddr = [0xfd00, 0, 0, 0, 0, 0, 0, 0x21_u16].into();
            flows.handle(&FlowRow { src_mac: mac, ..FlowRow::sample(200, v6, other, 5985) });
            let findings = flows.finish();
            let mut hosts: Vec<(IpAddr, String)> = findings
                .list()
                .iter()
                .filter(|finding| finding.detector == "lateral movement")
                .map(|finding| (finding.host, finding.evidence.clone()))
                .collect();
            hosts.sort();
            let covered = findings.of_flow(&FlowRow::sample(100, v4, [10, 0, 0, 20], 5985)).count()
                + findings.of_flow(&FlowRow::sample(200, v6, other, 5985)).count();
            (hosts, covered)
        };
        let evidence =
            "logged in to 2 hosts to which at most one other goes, on ports [5985]; others have 0.5 such hosts";
        let (hosts, covered) = found(true);
        let named: Vec<_> = hosts.iter().map(|(host, said)| (host.to_string(), said.as_str())).collect();
        assert_eq!(named, [("10.0.0.7".to_owned(), evidence), ("fd00::7".to_owned(), evidence)]);
        assert_eq!(covered, 2, "the records of both addresses belong to it");
        assert_eq!(found(false).0, [], "without hardware addresses nobody can tell");
    }
}
