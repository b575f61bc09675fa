//! What detectors found: each case with how many as strong a day has by chance, and which records belong to it.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::rows::{DnsRow, FlowRow, ProxyRow};
use super::stations::Hosts;
use super::tail::{Scale, Tail};
use super::{dga, domain};

/// Findings of which more than this many are expected by chance on such a day are none.
const EXPECTED: f64 = 30.0;

/// Most findings of a detector, the strongest.
const FINDINGS: usize = 5_000;

/// Which records a finding is about.
#[derive(Clone, PartialEq, Debug)]
pub enum Covers {
    /// Flows of the host to a peer, on one port or all.
    Pair {
        /// The responder.
        peer: IpAddr,
        /// Its port; `None` = any.
        port: Option<u16>,
    },
    /// Attempts of the host that carried no data: at one responder, at one port, or at all.
    Probes {
        /// The only responder.
        peer: Option<IpAddr>,
        /// The only port.
        port: Option<u16>,
    },
    /// Flows of the host to these responders and ports.
    Peers(HashSet<(IpAddr, u16)>),
    /// Flows of the host to these responders.
    Hosts(HashSet<IpAddr>),
    /// Flows to the host on a port: it is the responder.
    Served {
        /// The port.
        port: u16,
        /// IANA protocol number.
        proto: u8,
    },
    /// Questions of the host for names under a domain.
    Domain(Box<str>),
    /// Questions of the host for names that do not exist, outside reverse lookup.
    Missing,
    /// Questions of the host to a server.
    Resolver(IpAddr),
    /// Requests of the host for a server name.
    Host(Box<str>),
    /// Requests of the host for one path of a server name.
    Path {
        /// The server name.
        host: Box<str>,
        /// The path, without what was asked.
        path: Box<str>,
    },
}

/// Something a detector found.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// The detector's name, as it stands in `detectors`.
    pub detector: &'static str,
    /// Whose behaviour it is.
    pub host: IpAddr,
    /// Its records.
    pub covers: Covers,
    /// ln of the number of cases at least as strong that such a day has by chance.
    pub ln_expected: f64,
    /// In words, with the numbers.
    pub evidence: String,
}

impl Finding {
    /// What tells it from the other findings of its detector and host.
    pub fn subject(&self) -> String {
        match &self.covers {
            Covers::Pair { peer, port: Some(port) } => format!("{peer} {port}"),
            Covers::Pair { peer, port: None } => peer.to_string(),
            Covers::Domain(name) | Covers::Host(name) => name.to_string(),
            Covers::Resolver(server) => server.to_string(),
            Covers::Path { host, path } => format!("{host}{path}"),
            Covers::Served { port, proto } => format!("{port}/{proto}"),
            Covers::Probes { .. } | Covers::Peers(_) | Covers::Hosts(_) | Covers::Missing => String::new(),
        }
    }
}

/// A case of a detector, before it is known how rare its strength is.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) statistic: f64,
    pub(crate) host: IpAddr,
    pub(crate) covers: Covers,
    pub(crate) evidence: String,
}

/// What a detector looked at.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Family {
    /// The detector.
    pub detector: &'static str,
    /// Cases it measured.
    pub cases: u64,
    /// Findings it made.
    pub findings: u64,
    /// Records whose case found no room.
    pub overflow: u64,
}

/// Findings of a day of one source.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    by_host: HashMap<IpAddr, Vec<u32>>,
    families: Vec<Family>,
    /// Hosts of several addresses: what one has probed by any of them is one finding.
    pub(super) stations: Hosts,
}

impl Findings {
    /// The findings, by detector, the strongest first.
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// What each detector looked at.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// Takes what a detector measured: all cases' statistics, and those worth telling.
    pub(crate) fn add(
        &mut self,
        detector: &'static str,
        scale: Scale,
        mut statistics: Vec<f64>,
        cases: Vec<Case>,
        overflow: u64,
    ) {
        let tail = Tail::new(&mut statistics, scale);
        let mut found: Vec<Finding> = cases
            .into_iter()
            .map(|case| Finding {
                detector,
                host: case.host,
                covers: case.covers,
                ln_expected: tail.ln_expected(case.statistic),
                evidence: case.evidence,
            })
            .filter(|finding| finding.ln_expected <= EXPECTED.ln())
            .collect();
        found.sort_by(|a, b| {
            a.ln_expected
                .total_cmp(&b.ln_expected)
                .then(a.host.cmp(&b.host))
                .then_with(|| a.subject().cmp(&b.subject()))
                // Two services on one port of a server are two findings of equal rank.
                .then_with(|| a.evidence.cmp(&b.evidence))
        });
        found.truncate(FINDINGS);
        self.families.push(Family { detector, cases: tail.cases(), findings: found.len() as u64, overflow });
        for finding in found {
            self.by_host.entry(finding.host).or_default().push(self.list.len() as u32);
            self.list.push(finding);
        }
    }

    /// Takes in what others found, behind its own.
    pub(crate) fn append(&mut self, other: Self) {
        let first = self.list.len() as u32;
        for (host, numbers) in other.by_host {
            self.by_host.entry(host).or_default().extend(numbers.into_iter().map(|number| number + first));
        }
        if self.stations.is_empty() {
            self.stations = other.stations;
        }
        self.list.extend(other.list);
        self.families.extend(other.families);
    }

    fn of_host(&self, host: IpAddr) -> impl Iterator<Item = (u32, &Finding)> {
        let numbers = self.by_host.get(&host).map_or(&[][..], Vec::as_slice);
        numbers.iter().filter_map(|number| Some((*number, self.list.get(*number as usize)?)))
    }

    /// The findings a flow belongs to, by number in [`Findings::list`].
    pub fn of_flow(&self, row: &FlowRow<'_>) -> impl Iterator<Item = u32> {
        let row = *row;
        let served = self.of_host(row.dst).filter(move |(_, finding)| {
            match finding.covers {
                Covers::Served { port, proto } => port == row.dst_port && proto == row.proto,
                // A piece of the host's connection, seen from the server's end.
                Covers::Pair { peer, port } => row.is_piece() && peer == row.src && port == Some(row.src_port),
                _ => false,
            }
        });
        let probes = move |peer: Option<IpAddr>, port: Option<u16>| {
            row.is_probe() && peer.is_none_or(|peer| peer == row.dst) && port.is_none_or(|port| port == row.dst_port)
        };
        let station = Some(self.stations.of(row.src)).filter(|station| *station != row.src);
        let of_station = station
            .into_iter()
            .flat_map(|station| self.of_host(station))
            .filter(move |(_, finding)| matches!(finding.covers, Covers::Probes { peer, port } if probes(peer, port)));
        self.of_host(row.src)
            .filter(move |(_, finding)| match &finding.covers {
                Covers::Pair { peer, port } => *peer == row.dst && port.is_none_or(|port| port == row.dst_port),
                Covers::Probes { peer, port } => probes(*peer, *port),
                Covers::Peers(peers) => peers.contains(&(row.dst, row.dst_port)),
                Covers::Hosts(peers) => peers.contains(&row.dst),
                Covers::Served { .. }
                | Covers::Domain(_)
                | Covers::Missing
                | Covers::Resolver(_)
                | Covers::Host(_)
                | Covers::Path { .. } => false,
            })
            .chain(of_station)
            .chain(served)
            .map(|(number, _)| number)
    }

    /// The findings a question belongs to.
    pub fn of_name(&self, row: &DnsRow<'_>) -> impl Iterator<Item = u32> {
        let row = *row;
        self.of_host(row.client)
            .filter(move |(_, finding)| match &finding.covers {
                Covers::Domain(domain) => domain::is_under(row.qname, domain),
                Covers::Missing => dga::is_missing(&row),
                Covers::Resolver(server) => *server == row.server,
                _ => false,
            })
            .map(|(number, _)| number)
    }

    /// The findings a request belongs to.
    pub fn of_request(&self, row: &ProxyRow<'_>) -> impl Iterator<Item = u32> {
        let row = *row;
        self.of_host(row.client)
            .filter(move |(_, finding)| match &finding.covers {
                Covers::Host(host) => **host == *row.host,
                Covers::Path { host, path } => **host == *row.host && **path == *row.uri_path,
                _ => false,
            })
            .map(|(number, _)| number)
    }
}
