//! Detectors: what an attack looks like, beside what LDA finds unlikely.
//!
//! Each looks at every record once ([`Flows::handle`], [`Names::handle`], [`Requests::handle`]) and says at the end, for every
//! case it saw (a pair, a client, a name), how strong the evidence is, in the one measure all share: how many such or stronger
//! cases a day like this has by chance ([`tail::Tail`]). What is left are [`Finding`]s with their evidence in words; [`Findings`] says which
//! of them a record belongs to.
//!
//! Promises: sans-IO; a finding depends on the records, not on their order or batches; memory is bounded per detector, and what found
//! no room is counted ([`Family::overflow`]); no record makes a value NaN. Past a bound the cases that came first are watched.

pub mod agent;
pub mod amplification;
pub mod attack;
pub mod beacon;
pub mod burst;
pub mod collection;
pub mod dga;
pub mod domain;
pub mod exfiltration;
mod findings;
pub mod flood;
pub mod flux;
pub mod guessing;
pub mod icmp;
pub mod lateral;
pub mod lone;
pub mod long;
pub mod mesh;
pub mod port;
pub mod resolver;
pub mod rows;
pub mod scan;
pub mod script;
pub mod server;
pub mod slow;
pub mod stations;
pub mod stats;
pub mod tail;
pub mod tunnel;
mod typo;
pub mod unanswered;
pub mod web;

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

pub(crate) use self::findings::Case;
pub use self::findings::{Covers, Family, Finding, Findings};
use self::rows::{DnsRow, FlowRow, Internal, ProxyRow};

/// Most cases a detector watches.
pub const CASES: usize = 1_000_000;

/// The detectors of flow records.
#[derive(Clone, Debug)]
pub struct Flows {
    internal: Internal,
    probing: Option<Probing>,
    talking: Option<Talking>,
}

/// Those that look at who is reached.
#[derive(Clone, Debug, Default)]
struct Probing {
    scans: scan::Scans,
    guessing: guessing::Guessing,
    lateral: lateral::Lateral,
    stations: stations::Stations,
    icmp: icmp::IcmpTunnels,
    servers: server::Servers,
    floods: flood::Floods,
    amplification: amplification::Amplification,
    collection: collection::Collection,
}

/// Those that look at what is said.
#[derive(Clone, Debug, Default)]
struct Talking {
    beacons: beacon::Beacons<(IpAddr, IpAddr, u16), (IpAddr, u16)>,
    unanswered: unanswered::Unanswered,
    long: long::LongConnections,
    exfiltration: exfiltration::Exfiltration,
    ports: port::OddPorts,
    bursts: burst::Bursts,
    meshes: mesh::Meshes,
}

/// A record, and whose its ends are.
struct Seen<'a> {
    row: &'a FlowRow<'a>,
    from_inside: bool,
    to_inside: bool,
}

impl Probing {
    fn handle(&mut self, seen: &[Seen<'_>]) {
        let Self { scans, guessing, lateral, stations, icmp, servers, floods, amplification, collection } = self;
        let macs =
            seen.iter().filter(|seen| seen.from_inside).filter_map(|seen| Some((seen.row.src_mac?, seen.row.src)));
        macs.for_each(|(mac, host)| stations.see(mac, host));
        seen.iter().for_each(|seen| scans.handle(seen.row));
        seen.iter().for_each(|seen| floods.handle(seen.row, seen.from_inside != seen.to_inside));
        let inwards = seen.iter().filter(|seen| seen.to_inside && !seen.from_inside);
        inwards.for_each(|seen| amplification.handle(seen.row));
        seen.iter().for_each(|seen| guessing.handle(seen.row));
        let within = seen.iter().filter(|seen| seen.from_inside && seen.to_inside);
        within.clone().for_each(|seen| lateral.handle(seen.row));
        within.for_each(|seen| collection.handle(seen.row));
        seen.iter().for_each(|seen| servers.handle(seen.row, seen.from_inside, seen.to_inside));
        seen.iter().for_each(|seen| icmp.handle(seen.row));
    }
}

impl Talking {
    fn handle(&mut self, seen: &[Seen<'_>]) {
        let Self { beacons, unanswered, long, exfiltration, ports, bursts, meshes } = self;
        for Seen { row, from_inside, to_inside } in seen {
            if *from_inside && !to_inside {
                exfiltration.handle(row);
            }
            if *to_inside {
                exfiltration.serves(row);
            }
        }
        let outwards = seen.iter().filter(|seen| seen.from_inside && !seen.to_inside).map(|seen| seen.row);
        for Seen { row, from_inside, to_inside } in seen {
            if *from_inside && !to_inside {
                long.handle(row);
            }
            if *to_inside && !from_inside && row.is_piece() {
                long.handle(&row.turned());
            }
        }
        outwards.clone().for_each(|row| meshes.handle(row));
        // Clocks and resolvers are regular by profession.
        for row in outwards.filter(|row| row.segment == 0 && !row.is_icmp() && !matches!(row.dst_port, 53 | 123)) {
            if row.is_probe() {
                unanswered.handle(row);
            } else {
                let peer = (row.dst, row.dst_port);
                let sent = rows::segment_bytes(row.src, row.src_packets, row.src_bytes);
                let port = if row.proto == 6 { row.src_port } else { 0 };
                beacons.handle((row.src, row.dst, row.dst_port), peer, row.flow_start, sent, port);
            }
        }
        seen.iter().for_each(|seen| ports.handle(seen.row, seen.from_inside, !seen.to_inside));
        seen.iter().for_each(|seen| bursts.handle(seen.row));
    }
}

impl Flows {
    /// All of them, with the organisation's networks.
    pub fn new(internal: Internal) -> Self {
        Self { internal, probing: Some(Probing::default()), talking: Some(Talking::default()) }
    }

    /// The same in two halves, each of which looks at every record.
    pub(crate) fn side_by_side(internal: &Internal) -> [Self; 2] {
        let [mut one, mut other] = [internal; 2].map(|internal| Self::new(internal.clone()));
        (one.talking, other.probing) = (None, None);
        [one, other]
    }

    /// Looks at a record.
    pub fn handle(&mut self, row: &FlowRow<'_>) {
        self.handle_all(std::slice::from_ref(row));
    }

    /// Looks at records, one detector after the other: on a day of millions each look is a miss of the cache, and those of a detector's own
    /// short loop overlap.
    pub(crate) fn handle_all(&mut self, rows: &[FlowRow<'_>]) {
        let Self { internal, probing, talking } = self;
        let seen: Vec<Seen<'_>> = rows
            .iter()
            .filter(|row| !rows::is_group(row.dst))
            .map(|row| Seen { row, from_inside: internal.holds(row.src), to_inside: internal.holds(row.dst) })
            .collect();
        if let Some(probing) = probing {
            probing.handle(&seen);
        }
        if let Some(talking) = talking {
            talking.handle(&seen);
        }
    }

    /// What the days before are looked at for.
    pub fn seldom(&self) -> slow::SlowFlows {
        let mut slow = slow::SlowFlows::default();
        if let Some(Talking { beacons, unanswered, .. }) = &self.talking {
            beacons.seldom(&mut slow, |_| true);
            unanswered.seldom(&mut slow);
        }
        slow
    }

    /// The findings.
    pub fn finish(self) -> Findings {
        let mut findings = Findings::default();
        if let Some(Probing { scans, guessing, lateral, stations, icmp, servers, floods, amplification, collection }) =
            self.probing
        {
            let hosts = stations.hosts();
            scans.finish(&mut findings, &hosts);
            guessing.finish(&mut findings);
            lateral.finish(&mut findings, &hosts);
            icmp.finish(&mut findings);
            servers.finish(&mut findings);
            floods.finish(&mut findings);
            amplification.finish(&mut findings);
            collection.finish(&mut findings);
            findings.stations = hosts;
        }
        if let Some(Talking { beacons, unanswered, long, exfiltration, ports, bursts, meshes }) = self.talking {
            beacons.finish(&mut findings, "beacon", |(host, peer, port)| {
                Some((*host, Covers::Pair { peer: *peer, port: Some(*port) }))
            });
            unanswered.finish(&mut findings);
            long.finish(&mut findings);
            exfiltration.finish(&mut findings);
            ports.finish(&mut findings);
            bursts.finish(&mut findings);
            meshes.finish(&mut findings);
        }
        findings
    }
}

/// The detectors of DNS questions.
#[derive(Clone, Debug, Default)]
pub struct Names {
    tunnels: tunnel::DnsTunnels,
    generated: dga::Generated,
    flux: flux::FastFlux,
    resolvers: resolver::Resolvers,
}

impl Names {
    /// Looks at a record.
    pub fn handle(&mut self, row: &DnsRow<'_>) {
        self.tunnels.handle(row);
        self.generated.handle(row);
        self.flux.handle(row);
        self.resolvers.handle(row);
    }

    /// The findings.
    pub fn finish(self) -> Findings {
        let mut findings = Findings::default();
        self.tunnels.finish(&mut findings);
        self.generated.finish(&mut findings);
        self.flux.finish(&mut findings);
        self.resolvers.finish(&mut findings);
        findings
    }
}

/// The detectors of requests.
#[derive(Clone, Debug)]
pub struct Requests {
    internal: Internal,
    beacons: beacon::Beacons<(IpAddr, Box<str>), Box<str>>,
    agents: agent::RareAgents,
    attacks: attack::Attacks,
    lone: lone::LoneNames,
    scripts: script::LoneScripts,
    web: web::Web,
    /// Names asked of servers inside: many where the server is a proxy.
    inside: HashMap<IpAddr, HashSet<Box<str>>>,
    /// Names answered from outside.
    outside: HashSet<Box<str>>,
}

/// A server inside that answers for more names than this is a proxy, and the names are outside.
const PROXY_NAMES: usize = 24;

impl Requests {
    /// With the organisation's networks.
    pub fn new(internal: Internal) -> Self {
        Self {
            internal,
            beacons: beacon::Beacons::default(),
            agents: agent::RareAgents::default(),
            attacks: attack::Attacks::default(),
            lone: lone::LoneNames::default(),
            scripts: script::LoneScripts::default(),
            web: web::Web::default(),
            inside: HashMap::new(),
            outside: HashSet::new(),
        }
    }

    /// Looks at a record.
    pub fn handle(&mut self, row: &ProxyRow<'_>) {
        match row.server.filter(|server| self.internal.holds(*server)) {
            Some(server) if self.inside.len() < CASES || self.inside.contains_key(&server) => {
                let names = self.inside.entry(server).or_default();
                if names.len() <= PROXY_NAMES && !names.contains(row.host) {
                    names.insert(row.host.into());
                }
            }
            None if self.outside.len() < CASES && !self.outside.contains(row.host) => {
                self.outside.insert(row.host.into());
            }
            _ => (),
        }
        if !row.host.is_empty() {
            let key = (row.client, row.host.into());
            self.beacons.handle(key, row.host.into(), row.first_seen, row.request_bytes.unwrap_or(0), 0);
        }
        self.agents.handle(row);
        self.attacks.handle(row);
        self.lone.handle(row);
        self.web.handle(row);
        if row.server.is_some_and(|server| self.internal.holds(server)) {
            self.scripts.handle(row);
        }
    }

    /// Names that are the organisation's own: of servers inside that are no proxies, and never answered from outside.
    fn own(&self) -> HashSet<Box<str>> {
        let servers = self.inside.values().filter(|names| names.len() <= PROXY_NAMES);
        servers.flatten().filter(|name| !self.outside.contains(*name)).cloned().collect()
    }

    /// What the days before are looked at for.
    pub fn seldom(&self) -> slow::SlowRequests {
        let (mut slow, own) = (slow::SlowRequests::default(), self.own());
        self.beacons.seldom(&mut slow, |(_, host)| !own.contains(host));
        slow
    }

    /// The findings.
    pub fn finish(self) -> Findings {
        let own = self.own();
        let Self { beacons, agents, attacks, lone, scripts, web, .. } = self;
        let mut findings = Findings::default();
        beacons.finish(&mut findings, "beacon", |(client, host)| {
            (!own.contains(host)).then(|| (*client, Covers::Host(host.clone())))
        });
        agents.finish(&mut findings, &own);
        attacks.finish(&mut findings);
        lone.finish(&mut findings, &own);
        scripts.finish(&mut findings);
        web.finish(&mut findings, &own);
        findings
    }
}

#[cfg(test)]
mod tests;
