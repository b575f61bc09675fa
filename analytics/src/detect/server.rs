//! A client that serves: a host inside that otherwise asks, and answers others on a port on which hosts like it do not.
//!
//! A bind shell, a staging server, a peer of lateral movement. Ports that many hosts of the kind serve on are a product's and count for nothing.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::FlowRow;
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Different peers a client talks with at least.
const PEERS: usize = 8;

/// Peers and clients counted of one host or port.
const MOST: usize = 64;

/// By host: whom it asks, and on which ports it answers whom.
#[derive(Clone, Debug, Default)]
pub struct Servers {
    asks: HashMap<IpAddr, HashSet<IpAddr>>,
    answers: HashMap<(IpAddr, u16, u8), HashSet<IpAddr>>,
    overflow: u64,
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
        // One that has more clients than it asks peers is a server by profession.
        let is_client = |host: &IpAddr| {
            asks.get(host)
                .is_some_and(|peers| peers.len() >= PEERS && peers.len() >= served.get(host).copied().unwrap_or(0))
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
