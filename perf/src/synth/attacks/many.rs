//! Attacks that reach many hosts quietly: one try each, long pauses, pieces to many places.

use std::net::IpAddr;

use super::super::config::Attack;
use super::super::label::{Selector, Source};
use super::super::protocols;
use super::super::random::Random;
use super::super::session::{Closing, Data, Framing, MICRO, MILLI, MINUTE, Opening, SECOND, Session, Side, Transport};
use super::super::sim::Sim;
use super::super::sites::rented;
use super::super::tls::Client;
use super::super::web;
use super::super::world::Role;
use super::{Story, addresses, around, begin, by, colleagues, office_time, scattered, victim};

/// UDP probes at ports of many servers. Nmap -sU sends one datagram a port and repeats what is silent.
pub(super) fn scan_udp(sim: &mut Sim, random: &mut Random) {
    const PORTS: [u16; 10] = [69, 111, 161, 500, 623, 1434, 1604, 1900, 11_211, 27_960];
    let host = victim(sim, Attack::ScanUdp, random);
    let others: Vec<usize> = colleagues(sim, host).into_iter().take(40).collect();
    let count: u64 = by(sim, 24, 120, 400);
    let gap = by(sim, 20 * SECOND, SECOND, 20 * MILLI);
    let from: IpAddr = sim.world.hosts[host].v4.into();
    let servers: Vec<IpAddr> = others.iter().map(|&t| sim.world.hosts[t].v4.into()).collect();
    let story = Story {
        kind: Attack::ScanUdp,
        description: format!("{from} sends {count} UDP probes to {} workstations", servers.len()),
        basis: "Nmap -sU: one datagram a port, most are never answered",
        clients: vec![from],
        servers,
        ports: PORTS.to_vec(),
        names: Vec::new(),
        records: Vec::new(),
    }
    .with_flows(Some(17));
    let first = office_time(sim, random, 2);
    begin(
        sim,
        story,
        first,
        count,
        around(gap),
        Box::new(move |sim, _, at, number| {
            let target = others[number as usize % others.len()];
            let port = PORTS[(number as usize / 4) % PORTS.len()];
            let own = sim.world.port(host);
            let (a, b, rtt) = sim.world.between_ports(host, own, target, port, false);
            sim.push(Session::new(at, a, b, Transport::Udp, rtt).send(Side::Client, Data::Fill(24)));
        }),
    );
}

/// A walk through IPv6 neighbours on one port (RFC 7707: low-byte and pattern addresses are guessed).
pub(super) fn scan_ipv6(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::ScanIpv6, random);
    let stations = sim.world.of(Role::Workstation);
    let place = stations.iter().position(|&h| h == host).unwrap_or(0);
    let with_six = (0..stations.len()).map(|i| stations[(place + i) % stations.len()]);
    let Some(host) = with_six.into_iter().find(|&h| sim.world.hosts[h].v6.is_some()) else { return };
    let Some(from) = sim.world.hosts[host].v6 else { return };
    let mut others = colleagues(sim, host);
    others.retain(|&h| sim.world.hosts[h].v6.is_some());
    if others.is_empty() {
        return;
    }
    let count = others.len().min(by(sim, 16, 60, 200));
    let gap = by(sim, 30 * SECOND, 2 * SECOND, 30 * MILLI);
    let from: IpAddr = from.into();
    let servers: Vec<IpAddr> =
        others.iter().take(count).filter_map(|&t| sim.world.hosts[t].v6).map(Into::into).collect();
    let story = Story {
        kind: Attack::ScanIpv6,
        description: format!("{from} probes SSH of {count} IPv6 addresses"),
        basis: "RFC 7707: low-byte and pattern addresses",
        clients: vec![from],
        servers,
        ports: vec![22],
        names: Vec::new(),
        records: Vec::new(),
    }
    .with_flows(Some(6));
    let first = office_time(sim, random, 2);
    begin(
        sim,
        story,
        first,
        count as u64,
        around(gap),
        Box::new(move |sim, random, at, number| {
            let target = others[number as usize % others.len()];
            let opening = if random.chance(0.8) { Opening::Refused } else { Opening::Unanswered(1) };
            let own = sim.world.port(host);
            let (a, b, rtt) = sim.world.between_ports(host, own, target, 22, true);
            sim.push(Session::new(at, a, b, Transport::Tcp(opening, Closing::Left), rtt));
        }),
    );
}

/// One password against many hosts (MITRE ATT&CK T1110.003): a session each, refused after the log-in. CrackMapExec and the like
/// take a list of hosts; spraying by hand leaves minutes in between.
pub(super) fn spray(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::PasswordSpray, random);
    let others = colleagues(sim, host);
    let count = others.len().min(by(sim, 12, 40, 150));
    let start = random.index(others.len());
    let targets: Vec<usize> = (0..count).map(|i| others[(start + i) % others.len()]).collect();
    let gap = by(sim, 10 * MINUTE, 45 * SECOND, 2 * SECOND);
    let clients = addresses(sim, host);
    let servers: Vec<IpAddr> = targets.iter().flat_map(|&t| addresses(sim, t)).collect();
    let story = Story {
        kind: Attack::PasswordSpray,
        description: format!("one password tried at SMB of {count} workstations"),
        basis: "MITRE ATT&CK T1110.003; CrackMapExec takes a list of hosts",
        ports: vec![445],
        names: Vec::new(),
        records: Vec::new(),
        clients,
        servers,
    }
    .with_flows(Some(6));
    let first = office_time(sim, random, 4);
    begin(
        sim,
        story,
        first,
        count as u64,
        scattered(gap, SECOND),
        Box::new(move |sim, random, at, number| {
            let session = sim.inside(host, targets[number as usize % targets.len()], 445, at, Transport::TCP);
            let session = protocols::smb(session, random, &[(520, 150)]);
            sim.push(session);
        }),
    );
}

/// A large upload in pieces to many places (MITRE ATT&CK T1030).
pub(super) fn spread(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::ExfiltrationSpread, random);
    let places: usize = by(sim, 12, 25, 60);
    let megabytes = by(sim, 60.0, 500.0, 4_000.0);
    let servers: Vec<IpAddr> = (0..places).map(|_| rented(random).into()).collect();
    let clients = addresses(sim, host);
    let story = Story {
        kind: Attack::ExfiltrationSpread,
        description: format!(
            "{megabytes:.0} MB (times the volume of {}) in pieces to {places} places",
            sim.config.volume
        ),
        basis: "MITRE ATT&CK T1030",
        servers: servers.clone(),
        ports: vec![443],
        names: Vec::new(),
        records: Vec::new(),
        clients,
    }
    .with_flows(None);
    let bytes = sim.bulk(megabytes * 1e6 / places as f64);
    let first = office_time(sim, random, 5);
    begin(
        sim,
        story,
        first,
        places as u64,
        scattered(4 * MINUTE, 5 * SECOND),
        Box::new(move |sim, random, at, number| {
            let server = servers[number as usize % servers.len()];
            let session = sim.outside(host, server, 443, 35 * MILLI, at, Transport::TCP);
            let session = web::tls(session, random, Client::Go, None, &[(600, 300, MILLI)]);
            let session = session.send_paced(Side::Client, Data::Framed(Framing::Tls, bytes), 100 * MICRO);
            sim.push(session.wait(20 * MILLI).send(Side::Server, Data::Framed(Framing::Tls, 300)));
        }),
    );
}

/// A workstation that begins to serve: a bind shell or a staging server that peers fetch from (MITRE ATT&CK T1570).
pub(super) fn new_server(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::NewServer, random);
    let port = *random.pick(&[8_000, 8_888, 4_445, 9_999]);
    let others = colleagues(sim, host);
    let count: usize = by(sim, 3, 8, 30);
    let start = random.index(others.len());
    let peers: Vec<usize> = (0..count).map(|i| others[(start + i * 5) % others.len()]).collect();
    let servers = addresses(sim, host);
    let clients: Vec<IpAddr> = peers.iter().flat_map(|&p| addresses(sim, p)).collect();
    let story = Story {
        kind: Attack::NewServer,
        description: format!("{count} workstations fetch from port {port} of another workstation"),
        basis: "MITRE ATT&CK T1570, T1105; python -m http.server listens on 8000",
        ports: vec![port],
        names: Vec::new(),
        records: vec![Selector { server: servers.clone(), server_port: vec![port], ..Selector::of(Source::Flow) }],
        clients,
        servers,
    };
    let first = office_time(sim, random, 3);
    begin(
        sim,
        story,
        first,
        count as u64 * 2,
        scattered(3 * MINUTE, SECOND),
        Box::new(move |sim, random, at, number| {
            let peer = peers[number as usize % peers.len()];
            let session = sim.inside(peer, host, port, at, Transport::TCP);
            let session = session.exchange(Data::Fill(180), 3 * MILLI, Data::Fill(random.range(40_000, 300_000)));
            sim.push(session);
        }),
    );
}

/// Remote administration by WinRM from one workstation to a few others (MITRE ATT&CK T1021.006), by hand.
pub(super) fn winrm(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::LateralWinrm, random);
    let others = colleagues(sim, host);
    let count: usize = by(sim, 2, 4, 12);
    let start = random.index(others.len());
    let targets: Vec<usize> = (0..count).map(|i| others[(start + i * 7) % others.len()]).collect();
    let clients = addresses(sim, host);
    let servers: Vec<IpAddr> = targets.iter().flat_map(|&t| addresses(sim, t)).collect();
    let story = Story {
        kind: Attack::LateralWinrm,
        description: format!("a workstation administers {count} others by WinRM"),
        basis: "MITRE ATT&CK T1021.006; HTTP on 5985, HTTPS on 5986",
        ports: vec![5985],
        names: Vec::new(),
        records: Vec::new(),
        clients,
        servers,
    }
    .with_flows(None);
    let first = office_time(sim, random, 4);
    begin(
        sim,
        story,
        first,
        count as u64 * 2,
        scattered(9 * MINUTE, 20 * SECOND),
        Box::new(move |sim, random, at, number| {
            let target = targets[number as usize % targets.len()];
            let mut session = sim.inside(host, target, 5985, at, Transport::TCP);
            for _ in 0..random.range(3, 12) {
                let (up, down) = (random.range(900, 2_400), random.range(600, 9_000));
                session = session.wait(random.range(1, 20) as i64 * SECOND).exchange(
                    Data::Fill(up),
                    20 * MILLI,
                    Data::Fill(down),
                );
            }
            sim.push(session);
        }),
    );
}
