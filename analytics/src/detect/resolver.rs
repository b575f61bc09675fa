//! Strange resolvers: a server that answers a client's questions and that hardly any other client asks.
//!
//! A host whose resolver was changed, one that answers in the place of the network's own, an implant that asks a server of its own. The day says which
//! resolvers are usual. It is worse where the server is itself a client of the usual ones, and where it leads different domains to one network, more than
//! the day's domains lie together. One that itself asks many servers (a resolver at work) divides the evidence among them.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::domain::{is_special, registered};
use super::rows::{DnsRow, is_group};
use super::stats::{binomial_surprise, fingerprint};
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Fewest answers to a client to tell of: what is asked once is asked by a test.
const FEWEST: u64 = 8;

/// Clients counted of a server.
const CLIENTS: usize = 10_000;

/// Domains remembered of a server, the first: enough to see whether they lie together, and a busy resolver's other answers cost nothing.
const DOMAINS: usize = 512;

/// A resolver is strange if at most this share of the clients, or one, ask it.
const FEW: f64 = 0.05;

/// Fewest clients of a network in which anything is usual.
const NETWORK: usize = 5;

/// So much of the day's domains may always lie in one network: with few domains the day does not say.
const TOGETHER: f64 = 0.1;

#[derive(Clone, Debug, Default)]
struct Server {
    clients: HashSet<IpAddr>,
    /// By domain: the smallest network an answer led to.
    domains: HashMap<u64, u64>,
}

impl Server {
    /// The network that most of its domains lie in, with how many do.
    fn common(&self) -> (u64, u64) {
        let mut networks: HashMap<u64, u64> = HashMap::new();
        self.domains.values().for_each(|network| *networks.entry(*network).or_insert(0) += 1);
        networks.into_iter().map(|(network, domains)| (domains, network)).max().map_or((0, 0), |(n, at)| (at, n))
    }
}

/// Answers by client and server.
#[derive(Clone, Debug, Default)]
pub struct Resolvers {
    pairs: HashMap<(IpAddr, IpAddr), Pair>,
    numbers: HashMap<IpAddr, u32>,
    servers: Vec<Server>,
    domains: usize,
    overflow: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    answers: u64,
    /// Number of the server.
    server: u32,
}

impl Resolvers {
    /// Looks at a record.
    pub fn handle(&mut self, row: &DnsRow<'_>) {
        if row.rcode.is_none() || row.server == row.client || is_group(row.server) {
            return;
        }
        let key = (row.client, row.server);
        let number = match self.pairs.get_mut(&key) {
            Some(pair) => {
                pair.answers += 1;
                pair.server
            }
            None => match self.begin(key) {
                Some(number) => number,
                None => return,
            },
        };
        let Some(server) = self.servers.get_mut(number as usize) else { return };
        let network = row.addresses.iter().map(|(network, _)| *network).min();
        let Some(network) = network.filter(|_| server.domains.len() < DOMAINS && !row.damaged) else { return };
        if self.domains < CASES && !is_special(row.qname) {
            let known = server.domains.len();
            let of = server.domains.entry(fingerprint(registered(row.qname))).or_insert(network);
            *of = network.min(*of);
            self.domains += server.domains.len() - known;
        }
    }

    /// The first answer of a server to a client; `None` where there is no room.
    fn begin(&mut self, (client, server): (IpAddr, IpAddr)) -> Option<u32> {
        if self.pairs.len() >= CASES {
            self.overflow += 1;
            return None;
        }
        let number = *self.numbers.entry(server).or_insert(self.servers.len() as u32);
        if number as usize == self.servers.len() {
            self.servers.push(Server::default());
        }
        self.pairs.insert((client, server), Pair { answers: 1, server: number });
        if let Some(of) = self.servers.get_mut(number as usize).filter(|of| of.clients.len() < CLIENTS) {
            of.clients.insert(client);
        }
        Some(number)
    }

    pub(crate) fn finish(self, findings: &mut Findings) {
        let Self { pairs, numbers, servers, overflow, .. } = self;
        let of = |server: &IpAddr| numbers.get(server).and_then(|number| servers.get(*number as usize));
        let clients: HashSet<IpAddr> = pairs.keys().map(|(client, _)| *client).collect();
        let all = clients.len() as f64;
        let asked_by = |server: &IpAddr| of(server).map_or(1, |of| of.clients.len()).max(1);
        let is_strange = |server: &IpAddr| asked_by(server) as f64 <= (all * FEW).max(1.0);
        let mut strange: HashMap<IpAddr, u32> = HashMap::new();
        let mut usual: HashSet<IpAddr> = HashSet::new();
        for (client, server) in pairs.keys() {
            if is_strange(server) {
                *strange.entry(*client).or_insert(0) += 1;
            } else {
                usual.insert(*client);
            }
        }
        let is_client = |server: &IpAddr| is_strange(server) && usual.contains(server);
        let serving = numbers.keys().filter(|server| is_client(server)).count().max(1) as f64;
        let together = together(numbers.keys().filter(|server| !is_strange(server)).filter_map(of));
        let (mut statistics, mut found) = (Vec::new(), Vec::new());
        for ((client, server), Pair { answers, .. }) in pairs {
            let asked_by = asked_by(&server);
            let others = strange.get(&client).copied().unwrap_or(0).max(1);
            let mut statistic = ((all.max(20.0) / asked_by as f64).ln() - f64::from(others).ln()).max(0.0);
            if !is_strange(&server) || answers < FEWEST || clients.len() < NETWORK {
                statistics.push(statistic);
                continue;
            }
            let mut evidence = format!(
                "{answers} answers of {server}, which {asked_by} of {all} clients ask; the client asks {others} such servers"
            );
            if is_client(&server) {
                statistic += (all.max(20.0) / serving).ln();
                evidence.push_str("; the server is itself a client of the usual ones");
            }
            if let Some((domains, (_, common))) = of(&server).map(|of| (of.domains.len() as u64, of.common())) {
                // Servers of domains, which a resolver at work asks, have them in one network.
                statistic += binomial_surprise(common, domains, together) / f64::from(others);
                if common > 1 {
                    evidence.push_str(&format!("; {common} of {domains} domains lead to one network"));
                }
            }
            statistics.push(statistic);
            found.push(Case { statistic, host: client, covers: Covers::Resolver(server), evidence });
        }
        findings.add("strange resolver", Scale::Probability, statistics, found, overflow);
    }
}

/// The largest share of the domains of one of the usual servers that lie in one network.
fn together<'a>(usual: impl Iterator<Item = &'a Server>) -> f64 {
    let share = |of: &Server| of.common().1 as f64 / of.domains.len().max(1) as f64;
    usual.filter(|of| of.domains.len() >= 20).map(share).fold(TOGETHER, f64::max)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Names;
    use super::*;

    fn question(client: [u8; 4], server: [u8; 4], qname: &str) -> DnsRow<'_> {
        DnsRow {
            first_seen: 0,
            client: client.into(),
            server: server.into(),
            qname,
            qtype: 1,
            rcode: Some(0),
            damaged: false,
            response_len: Some(90),
            addresses: &[],
        }
    }

    fn found(rows: &[DnsRow<'_>]) -> (Findings, Vec<(IpAddr, Covers, f64)>) {
        let mut names = Names::default();
        rows.iter().for_each(|row| names.handle(row));
        let findings = names.finish();
        let strange = findings.list().iter().filter(|finding| finding.detector == "strange resolver");
        let told = strange.map(|finding| (finding.host, finding.covers.clone(), finding.ln_expected)).collect();
        (findings, told)
    }

    /// Two hundred clients of two resolvers; those resolvers ask the world.
    fn office() -> Vec<DnsRow<'static>> {
        let clients = (0..200_u8).flat_map(|host| (0..20).map(move |n| ([10, 0, 1, host], [10, 0, 0, 2 + n % 2])));
        let world = (0..200_u8).flat_map(|n| (0..10).map(move |_| ([10, 0, 0, 2], [198, 51, 100, n])));
        clients.chain(world).map(|(client, server)| question(client, server, "www.example.com")).collect()
    }

    /// A workstation answered DNS and was nowhere in the list.
    #[test]
    fn a_workstation_that_answers_two_of_two_hundred_is_told_and_a_resolver_at_work_is_not() {
        let mut rows = office();
        for host in [7, 8] {
            rows.extend((0..30).map(|_| question([10, 0, 1, host], [10, 0, 1, 99], "mail.example.com")));
        }
        let (findings, mut told) = found(&rows);
        told.sort_by_key(|(host, ..)| *host);
        let server = IpAddr::from([10, 0, 1, 99]);
        let hosts: Vec<_> =
            told.iter().filter(|(.., ln)| *ln < -2.0).map(|(host, covers, _)| (*host, covers.clone())).collect();
        assert_eq!(hosts, [7, 8].map(|host| (IpAddr::from([10, 0, 1, host]), Covers::Resolver(server))));
        // Their questions to it belong to the finding, those to the usual resolver do not.
        let [of_it, usual] = [[10, 0, 1, 99], [10, 0, 0, 2]].map(|server| question([10, 0, 1, 7], server, "x.example"));
        assert!(findings.of_name(&of_it).count() == 1 && findings.of_name(&usual).count() == 0);
    }

    /// One whose answers all lead to one place is told though it stands outside and the client asks no other.
    #[test]
    fn a_resolver_that_leads_every_domain_to_one_network_is_sure() {
        let mut rows = office();
        let names: Vec<String> = (0..40).map(|n| format!("www.domain{n}.example")).collect();
        for (n, name) in names.iter().enumerate() {
            let honest = [(100_000 + n as u64 / 2, 60)];
            rows.push(DnsRow { addresses: honest.to_vec().leak(), ..question([10, 0, 1, 5], [10, 0, 0, 2], name) });
            rows.push(DnsRow { addresses: &[(7, 60)], ..question([10, 0, 1, 6], [203, 0, 113, 53], name) });
            rows.push(DnsRow { addresses: honest.to_vec().leak(), ..question([10, 0, 1, 9], [203, 0, 113, 9], name) });
        }
        let (_, told) = found(&rows);
        let of = |host: u8| told.iter().find(|(of, ..)| *of == IpAddr::from([10, 0, 1, host])).map(|(.., ln)| *ln);
        assert!(of(6).is_some_and(|ln| ln < -20.0) && of(9).is_some_and(|ln| ln > -4.0) && of(5).is_none(), "{told:?}");
    }

    /// Everybody asks a resolver of their choice: no choice is strange.
    #[test]
    fn where_everybody_asks_another_none_is_strange() {
        let rows: Vec<_> = (0..60_u8)
            .flat_map(|host| (0..20).map(move |_| question([10, 0, 1, host], [198, 51, 100, host], "www.example.com")))
            .collect();
        assert!(found(&rows).1.iter().all(|(.., ln_expected)| *ln_expected > 2.0));
    }
}
