//! Port scans and password guessing.

use std::net::IpAddr;

use super::super::config::Attack;
use super::super::label::{Selector, Source};
use super::super::protocols;
use super::super::random::Random;
use super::super::session::{Closing, HOUR, MICRO, MILLI, MINUTE, Opening, SECOND, Session, Side, Transport};
use super::super::sim::Sim;
use super::super::sites::rented;
use super::super::world::Role;
use super::{Story, begin, by, last_day, office_time, victim};

/// Ports that answer on the organisation's servers.
fn opening(sim: &Sim, random: &mut Random, target: usize, port: u16) -> Opening {
    let server = sim.world.hosts[target].role < Role::Workstation;
    match port {
        22 | 80 | 443 if server => Opening::HalfOpen,
        445 | 3389 if random.chance(0.4) => Opening::HalfOpen,
        _ if random.chance(0.85) => Opening::Refused,
        _ => Opening::Unanswered(1),
    }
}

fn probe(sim: &mut Sim, random: &mut Random, from: usize, target: usize, port: u16, at: i64) {
    let opening = opening(sim, random, target, port);
    let own = sim.world.port(from);
    let (a, b, rtt) = sim.world.between_ports(from, own, target, port, false);
    sim.push(Session::new(at, a, b, Transport::Tcp(opening, Closing::Left), rtt));
}

/// Many ports of one server. Nmap scans 100 ports with -F and 1000 by default; -T2 waits 400 ms between probes, -T4
/// and -T5 at most 10 and 5 ms (nmap.org/book/performance-timing-templates.html).
pub(super) fn vertical(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::ScanVertical, random);
    let target = sim.world.of(Role::Recorder)[0];
    let ports: u16 = by(sim, 100, 1_000, 4_000);
    let gap = by(sim, 400 * MILLI, 10 * MILLI, 2 * MILLI);
    let from: IpAddr = sim.world.hosts[host].v4.into();
    let to: IpAddr = sim.world.hosts[target].v4.into();
    let story = Story {
        kind: Attack::ScanVertical,
        description: format!("{from} probes {ports} ports of {to}"),
        basis: "Nmap -F, default and all-port scans; timing templates T2, T4, T5",
        clients: vec![from],
        servers: vec![to],
        ports: Vec::new(),
        names: Vec::new(),
        records: vec![Selector { client: vec![from], server: vec![to], proto: Some(6), ..Selector::of(Source::Flow) }],
    };
    let first = office_time(sim, random, 1);
    // Nmap shuffles the ports: a walk by a step without a common factor visits each once. The counts are 100, 1,000 and 4,000, of factors 2 and 5.
    let odd = random.range(1_000, 3_000) * 2 + 1;
    let step = if odd.is_multiple_of(5) { odd + 2 } else { odd };
    begin(
        sim,
        story,
        first,
        u64::from(ports),
        Box::new(move |random, _| gap + random.below(gap as u64 / 2) as i64),
        Box::new(move |sim, random, at, number| {
            let port = (number * step % u64::from(ports)) as u16 * (65_535 / ports) + 1;
            probe(sim, random, host, target, port, at);
        }),
    );
}

/// One port of many hosts. Hofstede ("Flow-based compromise detection", 2016) takes 200 flows a minute as the mark of
/// the scan phase; the quiet end stays under it.
pub(super) fn horizontal(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::ScanHorizontal, random);
    let others: Vec<usize> = sim.world.of(Role::Workstation).iter().copied().filter(|&h| h != host).collect();
    let wanted: usize = by(sim, 40, 200, 1_000);
    let count = others.len().min(wanted);
    let start = random.index(others.len());
    let targets: Vec<usize> = (0..count).map(|i| others[(start + i) % others.len()]).collect();
    let gap = by(sim, 600 * MILLI, 90 * MILLI, 6 * MILLI);
    let port = *random.pick(&[3389, 5985, 8005]);
    let from: IpAddr = sim.world.hosts[host].v4.into();
    let story = Story {
        kind: Attack::ScanHorizontal,
        description: format!("{from} probes port {port} of {count} workstations"),
        basis: "Hofstede 2016: 200 flows a minute mark the scan phase; here 100 to 10,000",
        clients: vec![from],
        servers: targets.iter().map(|&t| sim.world.hosts[t].v4.into()).collect(),
        ports: vec![port],
        names: Vec::new(),
        records: vec![Selector {
            client: vec![from],
            server_port: vec![port],
            proto: Some(6),
            ..Selector::of(Source::Flow)
        }],
    };
    let first = office_time(sim, random, 1);
    begin(
        sim,
        story,
        first,
        count as u64,
        Box::new(move |random, _| gap / 2 + random.below(gap as u64) as i64),
        Box::new(move |sim, random, at, number| {
            let target = targets[number as usize % targets.len()];
            probe(sim, random, host, target, port, at);
        }),
    );
}

/// A few probes an hour. Nmap -T1 waits 15 s and -T0 five minutes between probes (same source); --scan-delay makes it
/// slower still.
pub(super) fn slow(sim: &mut Sim, random: &mut Random) {
    const PORTS: [u16; 24] = [
        21, 23, 25, 110, 111, 135, 139, 143, 389, 512, 873, 1099, 1433, 1521, 2049, 2375, 3306, 5432, 5900, 6379, 8000,
        8443, 9200, 27017,
    ];
    let host = victim(sim, Attack::ScanSlow, random);
    let targets: Vec<usize> =
        sim.world.of(Role::Application).iter().chain(sim.world.of(Role::Database)).copied().take(8).collect();
    let gap = by(sim, 15 * MINUTE, 5 * MINUTE, 15 * SECOND);
    let count = (12 * HOUR / gap).min(1_500) as u64;
    let from: IpAddr = sim.world.hosts[host].v4.into();
    let servers: Vec<IpAddr> = targets.iter().map(|&t| sim.world.hosts[t].v4.into()).collect();
    let story = Story {
        kind: Attack::ScanSlow,
        description: format!("{from} probes {count} ports of the servers, one every {} s", gap / SECOND),
        basis: "Nmap -T0 (300 s), -T1 (15 s), --scan-delay 15m",
        clients: vec![from],
        servers: servers.clone(),
        ports: PORTS.to_vec(),
        names: Vec::new(),
        records: vec![Selector {
            client: vec![from],
            server: servers,
            server_port: PORTS.to_vec(),
            proto: Some(6),
            ..Selector::of(Source::Flow)
        }],
    };
    let first = last_day(sim, 8 * HOUR) + random.below(HOUR as u64) as i64;
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| gap + random.below(gap as u64 / 10) as i64),
        Box::new(move |sim, random, at, number| {
            let target = targets[number as usize % targets.len()];
            probe(sim, random, host, target, PORTS[(number * 7) as usize % PORTS.len()], at);
        }),
    );
}

/// Password guessing from the Internet. SSHCure (Hellemons et al., AIMS 2012) finds 11 to 51 packets a flow in the
/// brute-force phase; OpenSSH allows 6 tries a connection (MaxAuthTries) and answers a wrong one after about 2 s;
/// THC Hydra runs 16 connections at once by default.
pub(super) fn ssh(sim: &mut Sim, random: &mut Random) {
    let attacker = rented(random);
    let target = sim.world.of(Role::Web)[0];
    let count = by(sim, 60, 400, 2_000);
    let gap = by(sim, 25 * SECOND, 1_500 * MILLI, 150 * MILLI);
    let (from, to): (IpAddr, IpAddr) = (attacker.into(), sim.world.hosts[target].v4.into());
    let story = Story {
        kind: Attack::SshBruteForce,
        description: format!("{from} guesses passwords of {to} in {count} connections"),
        basis: "SSHCure 2012: 11 to 51 packets a flow; OpenSSH MaxAuthTries 6; Hydra's 16 tasks",
        clients: vec![from],
        servers: vec![to],
        ports: vec![22],
        names: Vec::new(),
        records: vec![Selector {
            client: vec![from],
            server: vec![to],
            server_port: vec![22],
            ..Selector::of(Source::Flow)
        }],
    };
    let first = last_day(sim, 3 * HOUR) + random.below(15 * HOUR as u64) as i64;
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| (random.exponential(gap as f64) as i64).max(20 * MILLI)),
        Box::new(move |sim, random, at, number| {
            let own = 30_000 + (number * 3 % 30_000) as u16;
            let (a, b, rtt) = sim.world.inward(from, own, target, 22, 70 * MILLI);
            let tries = random.range(1, 6);
            let rounds: Vec<(u64, u64, i64)> =
                (0..tries).map(|_| (148, 52, 1_800 * MILLI + random.below(600 * MILLI as u64) as i64)).collect();
            let closing = if tries == 6 { Closing::Fin(Side::Server) } else { Closing::Fin(Side::Client) };
            let session = Session::new(at, a, b, Transport::Tcp(Opening::Handshake, closing), rtt + 20 * MICRO);
            sim.push(protocols::ssh(session, random, "libssh2_1.10.0", &rounds));
        }),
    );
}
