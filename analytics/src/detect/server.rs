//! A client that serves: a host inside that otherwise asks, and answers others on a port on which hosts like it do not.
//!
//! A bind shell, a staging server, a peer of lateral movement. Ports that many hosts of the kind serve on are a product's and count for nothing; in
//! a network of servers one more is no news.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Different peers a client talks with at least: by one of its addresses, of which it may have two.
const PEERS: usize = 4;

/// Peers and clients counted of one host or port.
const MOST: usize = 64;

/// A network is one of servers where at least so many hosts, and one in four, are servers by profession.
const SERVERS: u32 = 3;

/// By host: whom it asks, and on which ports it answers whom.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    asks: HashMap<IpAddr, HashSet<IpAddr>>,
    answers: HashMap<(IpAddr, u16, u8), HashSet<IpAddr>>,
    overflow: u64,
}

/// The /24 or /64 of an address.
fn network(host: IpAddr) -> u64 {
    match host {
        IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
    }
}

impl Servers {
    /// Looks at a record.
    pub fn handle(&mut self, row: &FlowRow<'_>, from_inside: bool, to_inside: bool) {
        if !matches!(row.proto, 6 | 17) || row.dst_port == 0 || !row.is_conversation() {
            return;
        }
        if from_inside {
            if self.asks.len() < CASES || self.asks.contains_key(&row.src) {
                let peers = self.asks.entry(row.src).or_default();
                if peers.len() < MOST {
                    peers.insert(row.dst);
                }
            } else {
                self.overflow += 1;
            }
        }
        // Answers on dynamic ports to well-known ones are conversations seen from the wrong end.
        let backwards = row.src_port < 1024 && row.dst_port >= 1024;
        if to_inside && !backwards {
            let key = (row.dst, row.dst_port, row.proto);
            if self.answers.len() < CASES || self.answers.contains_key(&key) {
                let clients = self.answers.entry(key).or_default();
                if clients.len() < MOST {
                    clients.insert(row.src);
                }
            } else {
                self.overflow += 1;
            }
        }
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { asks, answers, overflow } = self;
        let mut served: HashMap<IpAddr, usize> = HashMap::new();
        for ((host, ..), clients) in &answers {
            let most = served.entry(*host).or_insert(0);
            *most = (*most).max(clients.len());
        }
        // One that has more clients than it asks peers, or more than were counted, is a server by profession.
        let is_server = |host: &IpAddr| {
            let clients = served.get(host).copied().unwrap_or(0);
            clients >= 2 && (clients >= MOST || asks.get(host).is_none_or(|peers| peers.len() < clients))
        };
        let hosts: HashSet<IpAddr> = asks.keys().chain(served.keys()).copied().collect();
        let mut networks: HashMap<u64, (u32, u32)> = HashMap::new();
        for host in &hosts {
            let (all, servers) = networks.entry(network(*host)).or_default();
            *all += 1;
            *servers += u32::from(is_server(host));
        }
        let is_among_servers = |host: &IpAddr| {
            let (all, servers) = networks.get(&network(*host)).copied().unwrap_or_default();
            servers >= SERVERS && servers * 4 >= all
        };
        let is_client = |host: &IpAddr| {
            let asks_enough = asks.get(host).is_some_and(|peers| peers.len() >= PEERS);
            asks_enough && !is_server(host) && !is_among_servers(host)
        };
        let clients_of_kind = asks.keys().filter(|host| is_client(host)).count().max(1) as f64;
        let mut ports: HashMap<(u16, u8), f64> = HashMap::new();
        for ((host, port, proto), _) in &answers {
            if is_client(host) {
                *ports.entry((*port, *proto)).or_insert(0.0) += 1.0;
            }
        }
        // Hosts that serve nothing are cases too.
        let mut statistics = vec![0.0; clients_of_kind as usize];
        let mut found = Vec::new();
        for ((host, port, proto), clients) in answers.into_iter().filter(|((host, ..), _)| is_client(host)) {
            let hosts = ports.get(&(port, proto)).copied().unwrap_or(1.0);
            let count = clients.len();
            // How few hosts of the kind serve on the port, and how many it serves: one client may be a person's own doing.
            let statistic = (clients_of_kind / hosts).ln().max(0.0) + (count as f64).ln();
            statistics.push(statistic);
            if count >= 2 && hosts * 10.0 <= clients_of_kind.max(20.0) {
                let asked = asks.get(&host).map_or(0, HashSet::len);
                let evidence = format!(
                    "answers {count} hosts on port {port}, and is itself a client of {asked}{}; of {clients_of_kind} hosts of the kind {hosts} serve on it",
                    if asked >= MOST { " or more" } else { "" }
                );
                found.push(Case { statistic, host, covers: Covers::Served { port, proto }, evidence });
            }
        }
        findings.add("client that serves", Scale::Probability, statistics, found, overflow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(watch: &mut Servers, src: [u8; 4], dst: [u8; 4], dst_port: u16, to_inside: bool) {
        let row = FlowRow::sample(0, src, dst, dst_port);
        watch.handle(&row, true, to_inside);
    }

    /// A proxy and a resolver, which ask more than they answer, were told as clients that serve; the shell on a workstation still is.
    #[test]
    fn a_proxy_among_servers_is_no_client_that_serves() {
        let mut watch = Servers::default();
        for client in 1..=80 {
            for server in 1..=3 {
                talk(&mut watch, [10, 0, 2, client], [10, 0, 1, server], 443, true);
            }
            for peer in 0..9 {
                talk(&mut watch, [10, 0, 2, client], [198, 51, 100, peer], 443, false);
            }
            // The resolver answers all and asks all of the world.
            talk(&mut watch, [10, 0, 2, client], [10, 0, 3, 53], 53, true);
            talk(&mut watch, [10, 0, 3, 53], [203, 0, 113, client], 53, false);
            if client <= 12 {
                talk(&mut watch, [10, 0, 2, client], [10, 0, 1, 14], 3128, true);
            }
            talk(&mut watch, [10, 0, 1, 14], [203, 0, 113, client], 443, false);
        }
        for client in 20..24 {
            talk(&mut watch, [10, 0, 2, client], [10, 0, 2, 7], 4444, true);
        }
        let mut findings = Findings::default();
        watch.finish(&mut findings);
        let told: Vec<_> = findings.list().iter().filter(|finding| finding.ln_expected < 0.0).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told.iter().all(|finding| finding.covers == Covers::Served { port: 4444, proto: 6 }), "{told:?}");
    }
}
