//! Services where they do not belong: a protocol recognised by its content on a port on which hardly anybody speaks it, and conversations with the
//! outside on a port that hardly anybody uses at all.
//!
//! The day says what is usual: the share of a protocol's clients that use it on this port. Ports registered for the protocol are never odd.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Ports a protocol is registered for, or at home on by long custom. Empty = not judged.
const fn home(service: &str) -> &'static [u16] {
    match service.as_bytes() {
        b"ssh" => &[22],
        b"tls" => &[443, 465, 563, 636, 853, 989, 990, 993, 995, 5061, 5986, 8443, 9443],
        b"http" => &[80, 631, 3128, 5985, 8000, 8008, 8080, 8081, 8088, 8530, 8888],
        b"dns" => &[53, 5353, 5355],
        b"smtp" => &[25, 465, 587],
        b"rdp" => &[3389],
        b"smb" => &[139, 445],
        b"ftp" => &[21],
        _ => &[],
    }
}

#[derive(Clone, Debug, Default)]
struct Use {
    clients: HashSet<IpAddr>,
    pairs: HashSet<(IpAddr, IpAddr)>,
}

/// Clients by protocol and port.
#[derive(Clone, Debug, Default)]
pub struct OddPorts {
    uses: HashMap<(Box<str>, u16), Use>,
    services: HashMap<String, HashSet<IpAddr>>,
    pairs: usize,
    outside: HashSet<IpAddr>,
    /// Conversations with the outside: clients by port and protocol number, and (port, server) by client.
    ports: HashMap<(u16, u8), HashSet<IpAddr>>,
    reached: HashMap<IpAddr, HashSet<(IpAddr, u16, u8)>>,
    talks: usize,
    overflow: u64,
}

/// Ports of one host that are looked at; who uses more uses them by nature (games, peer-to-peer).
const PORTS: usize = 64;

impl OddPorts {
    /// Outside, by port alone: what is recognised is judged by what it is.
    fn talk(&mut self, row: &FlowRow<'_>) {
        // A shell that waits for its first order has said nothing yet when its first record ends: it is open all the same.
        let open = row.is_conversation() || (row.conn_state == Some("S1") && row.dst_packets.is_some_and(|n| n > 0));
        if row.segment != 0 || !matches!(row.proto, 6 | 17) || row.dst_port == 0 || !open {
            return;
        }
        let clients = self.ports.entry((row.dst_port, row.proto)).or_default();
        if clients.len() < 1000 {
            clients.insert(row.src);
        }
        if self.talks >= CASES {
            self.overflow += 1;
            return;
        }
        let reached = self.reached.entry(row.src).or_default();
        if reached.len() < 4 * PORTS {
            self.talks += usize::from(reached.insert((row.dst, row.dst_port, row.proto)));
        }
    }

    /// Looks at a record.
    pub fn handle(&mut self, row: &FlowRow<'_>, from_inside: bool, to_outside: bool) {
        if from_inside && to_outside {
            self.talk(row);
        }
        let Some(service) = row.service.filter(|service| !home(service).is_empty()) else { return };
        if self.services.len() < 1000 {
            let clients = self.services.entry_ref(service).or_default();
            if clients.len() < CASES / 10 {
                clients.insert(row.src);
            }
        }
        if home(service).contains(&row.dst_port) {
            return;
        }
        if self.pairs >= CASES {
            self.overflow += 1;
            return;
        }
        if to_outside {
            self.outside.insert(row.dst);
        }
        let of = self.uses.entry((service.into(), row.dst_port)).or_default();
        of.clients.insert(row.src);
        self.pairs += usize::from(of.pairs.insert((row.src, row.dst)));
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { uses, services, outside, ports, reached, overflow, .. } = self;
        let (mut statistics, mut found) = (Vec::new(), Vec::new());
        // Clients at home on their ports are cases too, with nothing to show.
        statistics.resize(services.values().map(HashSet::len).sum(), 0.0);
        for ((service, port), of) in uses {
            let all = services.get(&*service).map_or(1, HashSet::len).max(1) as f64;
            let clients = of.clients.len() as f64;
            for (host, peers) in by_host(of.pairs) {
                // To the outside is worse: inside an odd port is mostly somebody's product.
                let way = if peers.iter().any(|peer| outside.contains(peer)) { 3.0 } else { 0.0 };
                let statistic = (all.max(20.0) / clients).ln().max(0.0) + way;
                statistics.push(statistic);
                let (covers, whose) = at_port(peers, port);
                let evidence = format!(
                    "{service} on port {port} of {whose}; {clients} of the {all} clients of {service} use it on this port"
                );
                found.push(Case { statistic, host, covers, evidence });
            }
        }
        findings.add("odd port", Scale::Probability, statistics, found, overflow);
        rare_ports(&ports, reached, findings);
    }
}

/// A client of many servers on one port is one case: as so many of the same strength they would vouch for each other.
fn by_host(pairs: HashSet<(IpAddr, IpAddr)>) -> HashMap<IpAddr, HashSet<IpAddr>> {
    let mut hosts: HashMap<IpAddr, HashSet<IpAddr>> = HashMap::new();
    for (host, peer) in pairs {
        hosts.entry(host).or_default().insert(peer);
    }
    hosts
}

/// Which records these are, and whose port it is in words.
fn at_port(peers: HashSet<IpAddr>, port: u16) -> (Covers, String) {
    let count = peers.len();
    match peers.iter().next().filter(|_| count == 1) {
        Some(peer) => (Covers::Pair { peer: *peer, port: Some(port) }, peer.to_string()),
        None => (Covers::Peers(peers.into_iter().map(|peer| (peer, port)).collect()), format!("{count} hosts")),
    }
}

/// Ports to the outside that few of the clients use. A host with many such ports divides the evidence among them.
fn rare_ports(
    ports: &HashMap<(u16, u8), HashSet<IpAddr>>,
    reached: HashMap<IpAddr, HashSet<(IpAddr, u16, u8)>>,
    findings: &mut Findings,
) {
    let all = reached.len().max(1) as f64;
    let (mut statistics, mut found) = (Vec::new(), Vec::new());
    for (host, reached) in reached {
        let users = |port: u16, proto: u8| ports.get(&(port, proto)).map_or(1, HashSet::len).max(1) as f64;
        let rarity = |port: u16, proto: u8| (all / users(port, proto)).ln().max(0.0);
        let few = all / 20.0;
        let rare: HashSet<(u16, u8)> = reached
            .iter()
            .filter(|(_, port, proto)| users(*port, *proto) <= few.max(1.0))
            .map(|(_, port, proto)| (*port, *proto))
            .collect();
        for (peer, port, proto) in reached {
            let statistic = (rarity(port, proto) - (rare.len().max(1) as f64).ln()).max(0.0);
            // By pair: mail servers, resolvers and clocks are alone on their ports and go to many, and so vouch for themselves.
            statistics.push(statistic);
            if rare.contains(&(port, proto)) && rare.len() <= PORTS && all >= 5.0 {
                let evidence = format!(
                    "port {port} of {peer}, which {} of {all} hosts that go outside use; the host uses {} such ports",
                    users(port, proto),
                    rare.len()
                );
                found.push(Case { statistic, host, covers: Covers::Pair { peer, port: Some(port) }, evidence });
            }
        }
    }
    findings.add("rare port", Scale::Probability, statistics, found, 0);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Flows;
    use super::super::rows::Internal;
    use super::*;

    fn tls(n: i64, src: [u8; 4], dst: [u8; 4], dst_port: u16) -> FlowRow<'static> {
        FlowRow {
            last_seen: n * 30_000_000 + 600_000_000,
            src_packets: 900,
            src_bytes: 400_000,
            dst_packets: Some(1_200),
            dst_bytes: Some(1_300_000),
            service: Some("tls"),
            ..FlowRow::sample(n * 30_000_000, src, dst, dst_port)
        }
    }

    /// Forty relays of one client were forty cases of the same strength, and vouched for each other.
    #[test]
    fn a_client_of_many_servers_on_an_odd_port_is_one_finding() {
        let mut flows = Flows::new(Internal::default());
        for client in 0..150 {
            (0..5).for_each(|n| flows.handle(&tls(n, [10, 0, 1, client], [192, 0, 2, n as u8], 443)));
        }
        (0..40).for_each(|n| flows.handle(&tls(n, [10, 0, 0, 7], [198, 18, n as u8, 7], 9_001)));
        let findings = flows.finish();
        let odd: Vec<_> = findings.list().iter().filter(|finding| finding.detector == "odd port").collect();
        let [odd] = odd.as_slice() else { panic!("one finding: {odd:?}") };
        assert!(odd.ln_expected < -2.0 && odd.evidence.starts_with("tls on port 9001 of 40 hosts"), "{odd:?}");
        let at = findings.list().iter().position(|finding| finding == *odd).expect("there") as u32;
        assert!(
            (0..40).all(|n| findings.of_flow(&tls(n, [10, 0, 0, 7], [198, 18, n as u8, 7], 9_001)).any(|of| of == at))
        );
    }
}
