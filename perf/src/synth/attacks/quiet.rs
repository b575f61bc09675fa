//! Attacks that avoid what a simple detector looks for: jitter, long pauses, borrowed names, one try a host, pieces to many places.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::super::config::Attack;
use super::super::dns::{Answer, Rdata, qtype};
use super::super::label::{Selector, Source};
use super::super::protocols;
use super::super::random::{LETTERS, Random};
use super::super::session::{
    Closing, Data, Framing, HOUR, MICRO, MILLI, MINUTE, Opening, SECOND, Session, Side, Transport,
};
use super::super::sim::Sim;
use super::super::sites::rented;
use super::super::tls::Client;
use super::super::web;
use super::super::world::Role;
use super::{Story, addresses, begin, by, last_day, look_up, office_time, victim};

/// UDP probes at ports of many servers. Nmap -sU sends one datagram a port and repeats what is silent.
pub(super) fn scan_udp(sim: &mut Sim, random: &mut Random) {
    const PORTS: [u16; 10] = [69, 111, 161, 500, 623, 1434, 1604, 1900, 11_211, 27_960];
    let host = victim(sim, Attack::ScanUdp, random);
    let others: Vec<usize> = sim.world.of(Role::Workstation).iter().copied().filter(|&h| h != host).take(40).collect();
    let count: u64 = by(sim, 24, 120, 400);
    let gap = by(sim, 20 * SECOND, SECOND, 20 * MILLI);
    let from: IpAddr = sim.world.hosts[host].v4.into();
    let servers: Vec<IpAddr> = others.iter().map(|&t| sim.world.hosts[t].v4.into()).collect();
    let story = Story {
        kind: Attack::ScanUdp,
        description: format!("{from} sends {count} UDP probes to {} workstations", servers.len()),
        basis: "Nmap -sU: one datagram a port, most are never answered",
        clients: vec![from],
        servers: servers.clone(),
        ports: PORTS.to_vec(),
        names: Vec::new(),
        records: vec![Selector {
            client: vec![from],
            server: servers,
            server_port: PORTS.to_vec(),
            proto: Some(17),
            ..Selector::of(Source::Flow)
        }],
    };
    let first = office_time(sim, random, 2);
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| gap / 2 + random.below(gap as u64) as i64),
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
    let others: Vec<usize> = sim
        .world
        .of(Role::Workstation)
        .iter()
        .copied()
        .filter(|&h| h != host && sim.world.hosts[h].v6.is_some())
        .collect();
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
        servers: servers.clone(),
        ports: vec![22],
        names: Vec::new(),
        records: vec![Selector {
            client: vec![from],
            server: servers,
            server_port: vec![22],
            proto: Some(6),
            ..Selector::of(Source::Flow)
        }],
    };
    let first = office_time(sim, random, 2);
    begin(
        sim,
        story,
        first,
        count as u64,
        Box::new(move |random, _| gap / 2 + random.below(gap as u64) as i64),
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
    let others: Vec<usize> = sim.world.of(Role::Workstation).iter().copied().filter(|&h| h != host).collect();
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
        records: vec![Selector {
            client: clients.clone(),
            server: servers.clone(),
            server_port: vec![445],
            proto: Some(6),
            ..Selector::of(Source::Flow)
        }],
        clients,
        servers,
    };
    let first = office_time(sim, random, 4);
    begin(
        sim,
        story,
        first,
        count as u64,
        Box::new(move |random, _| (random.exponential(gap as f64) as i64).max(SECOND)),
        Box::new(move |sim, random, at, number| {
            let session = sim.inside(host, targets[number as usize % targets.len()], 445, at, Transport::TCP);
            let session = protocols::smb(session, random, &[(520, 150)]);
            sim.push(session);
        }),
    );
}

/// What a command channel over TLS says of itself.
fn channel(
    sim: &Sim,
    kind: Attack,
    host: usize,
    server: IpAddr,
    name: &str,
    basis: &'static str,
    description: String,
) -> Story {
    let clients = addresses(sim, host);
    let names = vec![name.to_owned()];
    Story {
        kind,
        description,
        basis,
        servers: vec![server],
        ports: vec![443],
        records: vec![
            Selector {
                client: clients.clone(),
                server: vec![server],
                server_port: vec![443],
                ..Selector::of(Source::Flow)
            },
            Selector { client: clients.clone(), name_under: names.clone(), ..Selector::of(Source::Dns) },
            Selector { client: clients.clone(), name_under: names.clone(), ..Selector::of(Source::Proxy) },
        ],
        clients,
        names,
    }
}

/// A beacon with much jitter, by the TLS library of a browser. Sliver's default jitter is half its interval; Mythic and Havoc profiles have 30 to 50 %.
pub(super) fn jitter(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::BeaconJitter, random);
    let server = rented(random);
    let name: Arc<str> = format!("{}.weather-tiles.example", random.pick(&["a", "b", "maps", "eu1"])).into();
    let sleep = by(sim, 20 * MINUTE, 8 * MINUTE, 60 * SECOND);
    let count = (10 * HOUR / sleep) as u64;
    let description = format!("implant checks in every {} s, jitter 50 % either way, by TLS as {name}", sleep / SECOND);
    let basis = "Sliver: jitter of half the interval by default; other profiles 30 to 50 %";
    let story = channel(sim, Attack::BeaconJitter, host, server.into(), &name, basis, description);
    let first = last_day(sim, 8 * HOUR) + random.below(HOUR as u64) as i64;
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| sleep / 2 + random.below(sleep as u64) as i64),
        Box::new(move |sim, random, at, number| {
            if number % 10 == 0 {
                look_up(sim, random, host, at, &name, server, 300);
            }
            let session = sim.outside(host, server.into(), 443, 44 * MILLI, at, Transport::TCP);
            let rounds = [(random.range(300, 420), random.range(120, 180), MILLI)];
            sim.push(web::tls(session, random, Client::Chromium, Some(name.clone()), &rounds));
        }),
    );
}

/// A beacon that comes once an hour or less, day and night.
pub(super) fn seldom(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::BeaconSeldom, random);
    let server = rented(random);
    let name: Arc<str> = "licence.print-tools.example".into();
    let sleep = by(sim, 2 * HOUR, HOUR, 20 * MINUTE);
    let count = ((23 * HOUR - MINUTE) / sleep) as u64;
    let description = format!("implant checks in every {} min, jitter 10 %, day and night, as {name}", sleep / MINUTE);
    let basis = "MITRE ATT&CK T1029; long-haul servers of Cobalt Strike operators check in once in hours";
    let story = channel(sim, Attack::BeaconSeldom, host, server.into(), &name, basis, description);
    let first = last_day(sim, 10 * MINUTE) + random.below(30 * MINUTE as u64) as i64;
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| sleep - random.below(sleep as u64 / 10) as i64),
        Box::new(move |sim, random, at, _| {
            look_up(sim, random, host, at, &name, server, 300);
            let session = sim.outside(host, server.into(), 443, 61 * MILLI, at, Transport::TCP);
            sim.push(web::tls(session, random, Client::Go, Some(name.clone()), &[(310, 140, MILLI)]));
        }),
    );
}

/// A beacon by a worker at a delivery network: a name of its own under the network's, at addresses that half the Internet has (MITRE ATT&CK
/// T1090.004 and T1102).
pub(super) fn fronted(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::BeaconFronted, random);
    let name: Arc<str> = format!("{}.edge.quickcache.example", random.text(LETTERS, 12)).into();
    let sleep = by(sim, 10 * MINUTE, 3 * MINUTE, 30 * SECOND);
    let count = (9 * HOUR / sleep) as u64;
    let clients = addresses(sim, host);
    let names = vec![name.to_string()];
    let story = Story {
        kind: Attack::BeaconFronted,
        description: format!("implant checks in every {} s, jitter 15 %, as {name}", sleep / SECOND),
        basis: "MITRE ATT&CK T1090.004, T1102",
        servers: Vec::new(),
        ports: vec![443],
        records: vec![
            Selector { client: clients.clone(), name_under: names.clone(), ..Selector::of(Source::Dns) },
            Selector { client: clients.clone(), name_under: names.clone(), ..Selector::of(Source::Proxy) },
        ],
        clients,
        names,
    };
    let first = last_day(sim, 8 * HOUR) + random.below(HOUR as u64) as i64;
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| sleep - random.below(sleep as u64 * 15 / 100) as i64),
        Box::new(move |sim, random, at, number| {
            // One of the network's pool of 64 addresses, which change by the hour.
            let server = Ipv4Addr::new(198, 18, 0xf0, (at / HOUR * 5 % 64) as u8);
            if number % 8 == 0 {
                look_up(sim, random, host, at, &name, server, 300);
            }
            let session = sim.outside(host, server.into(), 443, 12 * MILLI, at, Transport::TCP);
            sim.push(web::tls(session, random, Client::Chromium, Some(name.clone()), &[(360, 150, MILLI)]));
        }),
    );
}

/// DNS over HTTPS as a channel (RFC 8484): small requests of even size to a resolver nobody else uses, one connection each minute.
pub(super) fn doh(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::DohTunnel, random);
    let server = rented(random);
    let name: Arc<str> = "doh.free-resolver.example".into();
    let (gap, count) = by(sim, (6 * MINUTE, 60), (90 * SECOND, 200), (10 * SECOND, 1_200));
    let description = format!("{count} connections of DNS over HTTPS to {name}");
    let basis = "RFC 8484; dnscat2 and godoh carry their polls in it";
    let story = channel(sim, Attack::DohTunnel, host, server.into(), &name, basis, description);
    let first = office_time(sim, random, 5);
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| (random.exponential(gap as f64) as i64).max(SECOND)),
        Box::new(move |sim, random, at, number| {
            if number == 0 {
                look_up(sim, random, host, at, &name, server, 3_600);
            }
            let session = sim.outside(host, server.into(), 443, 18 * MILLI, at, Transport::TCP);
            let rounds: Vec<(u64, u64, i64)> = (0..random.range(2, 8))
                .map(|_| (random.range(210, 330), random.range(320, 480), 300 * MILLI))
                .collect();
            sim.push(web::tls(session, random, Client::Go, Some(name.clone()), &rounds));
        }),
    );
}

/// Data in echo messages, after ptunnel and icmpsh: payloads of up to 1,024 bytes, polls of 64.
pub(super) fn icmp(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::IcmpTunnel, random);
    let server = rented(random);
    let (count, busy) = by(sim, (60, 0.3), (400, 0.4), (4_000, 0.8));
    let gap = by(sim, 30 * SECOND, 4 * SECOND, 200 * MILLI);
    let from: IpAddr = sim.world.hosts[host].v4.into();
    let story = Story {
        kind: Attack::IcmpTunnel,
        description: format!("{count} echo messages with data to {server}"),
        basis: "ptunnel: up to 1,024 bytes a message; icmpsh: 64 bytes, a poll every 200 ms",
        clients: vec![from],
        servers: vec![server.into()],
        ports: Vec::new(),
        names: Vec::new(),
        records: vec![Selector {
            client: vec![from],
            server: vec![server.into()],
            proto: Some(1),
            ..Selector::of(Source::Flow)
        }],
    };
    let first = office_time(sim, random, 3);
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| gap / 2 + random.below(gap as u64) as i64),
        Box::new(move |sim, random, at, number| {
            let size = if random.chance(busy) { random.range(700, 1_024) } else { 64 } as u16;
            let down = if random.chance(busy) { random.range(200, 1_024) } else { 64 } as u16;
            let session = sim.outside(host, server.into(), 0, 30 * MILLI, at, Transport::Echo);
            let (up, down) = (Data::Echo(number as u16, size), Data::Echo(number as u16, down));
            sim.push(session.exchange(up, MILLI, down));
        }),
    );
}

/// A tunnel that takes its time and has no odd types: A, AAAA, CNAME and MX, a question a minute or less, short labels.
pub(super) fn dns_slow(sim: &mut Sim, random: &mut Random) {
    const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let host = victim(sim, Attack::DnsTunnelSlow, random);
    let server = rented(random);
    let zone = "ns.cloud-metrics.example";
    let (gap, count) = by(sim, (8 * MINUTE, 90), (2 * MINUTE, 300), (15 * SECOND, 2_000));
    let description = format!("{count} A, AAAA, CNAME and MX questions under {zone}, one every {} s", gap / SECOND);
    let basis = "iodine -T CNAME, MX, A; dnscat2 --delay; Ozery et al. 2023: down to 0.7 bytes a second";
    let story = super::tunnels::story(sim, Attack::DnsTunnelSlow, host, server.into(), zone, basis, description);
    let first = last_day(sim, 7 * HOUR) + random.below(HOUR as u64) as i64;
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| gap / 2 + random.below(gap as u64) as i64),
        Box::new(move |sim, random, at, _| {
            let length = random.range(20, 40) as usize;
            let name: Arc<str> = format!("{}.{zone}", random.text(BASE32, length)).into();
            let word = random.bits();
            let back: Arc<str> = format!("{}.{zone}", random.text(BASE32, 20)).into();
            let (kind, data) = match random.below(4) {
                0 => (qtype::A, Rdata::A(Ipv4Addr::from(word as u32))),
                1 => (qtype::AAAA, Rdata::Aaaa(u128::from(word).wrapping_mul(0x1_0000_0001_0000_0001).into())),
                2 => (qtype::CNAME, Rdata::Cname(back)),
                _ => (qtype::MX, Rdata::Mx(10, back)),
            };
            super::tunnels::carry(sim, random, host, server, at, name, kind, data);
        }),
    );
}

/// Few generated names a day, far apart: what a patient family asks for (Plohmann et al. 2016 list families with 5 to 40 a day).
pub(super) fn dga_few(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::DgaFew, random);
    let count: usize = by(sim, 8, 16, 30);
    let names: Vec<String> = (0..count)
        .map(|_| {
            let length = random.range(13, 18) as usize;
            format!("{}.{}", random.text(LETTERS, length), random.pick(&["com", "net", "top"]))
        })
        .collect();
    let clients = addresses(sim, host);
    let story = Story {
        kind: Attack::DgaFew,
        description: format!("{count} generated names over the day, none exists"),
        basis: "Plohmann et al. 2016: families with 5 to 40 names a day",
        servers: Vec::new(),
        ports: vec![53],
        records: vec![Selector { client: clients.clone(), name_under: names.clone(), ..Selector::of(Source::Dns) }],
        clients,
        names: names.clone(),
    };
    let first = last_day(sim, 8 * HOUR) + random.below(HOUR as u64) as i64;
    let gap = 9 * HOUR / count as i64;
    begin(
        sim,
        story,
        first,
        count as u64,
        Box::new(move |random, _| gap / 2 + random.below(gap as u64) as i64),
        Box::new(move |sim, random, at, number| {
            let name: Arc<str> = names[number as usize % names.len()].as_str().into();
            let zone: Arc<str> = name.rsplit('.').next().unwrap_or("com").into();
            sim.ask(random, host, at, &name, qtype::A, 45 * MILLI, |q| Sim::nxdomain(q, &zone));
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
        records: vec![Selector {
            client: clients.clone(),
            server: servers.clone(),
            server_port: vec![443],
            ..Selector::of(Source::Flow)
        }],
        clients,
    };
    let bytes = sim.bulk(megabytes * 1e6 / places as f64);
    let first = office_time(sim, random, 5);
    begin(
        sim,
        story,
        first,
        places as u64,
        Box::new(|random, _| (random.exponential(4.0 * MINUTE as f64) as i64).max(5 * SECOND)),
        Box::new(move |sim, random, at, number| {
            let server = servers[number as usize % servers.len()];
            let session = sim.outside(host, server, 443, 35 * MILLI, at, Transport::TCP);
            let session = web::tls(session, random, Client::Go, None, &[(600, 300, MILLI)]);
            let session = session.send_paced(Side::Client, Data::Framed(Framing::Tls, bytes), 100 * MICRO);
            sim.push(session.wait(20 * MILLI).send(Side::Server, Data::Framed(Framing::Tls, 300)));
        }),
    );
}

/// A shell that calls home and stays (MITRE ATT&CK T1059, T1571): one connection for hours, a few bytes now and then.
pub(super) fn shell(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::ReverseShell, random);
    let server = rented(random);
    let port = *random.pick(&[4_444, 1_337, 9_001, 8_443]);
    let (hours, strokes) = by(sim, (2, 20), (5, 120), (9, 900));
    let clients = addresses(sim, host);
    let story = Story {
        kind: Attack::ReverseShell,
        description: format!("a shell at {server}:{port} for {hours} h, {strokes} commands"),
        basis: "MITRE ATT&CK T1059 and T1571; Metasploit listens on 4444 by default",
        servers: vec![server.into()],
        ports: vec![port],
        names: Vec::new(),
        records: vec![Selector {
            client: clients.clone(),
            server: vec![server.into()],
            server_port: vec![port],
            ..Selector::of(Source::Flow)
        }],
        clients,
    };
    let first = last_day(sim, 8 * HOUR) + random.below(2 * HOUR as u64) as i64;
    begin(
        sim,
        story,
        first,
        1,
        Box::new(|_, _| SECOND),
        Box::new(move |sim, random, at, _| {
            let pause = hours * HOUR / strokes;
            let mut session = sim.outside(host, server.into(), port, 55 * MILLI, at, Transport::TCP);
            for _ in 0..strokes {
                session = session.wait(pause / 2 + random.below(pause as u64) as i64);
                // The server gives the order, the client the output.
                session = session.send(Side::Server, Data::Fill(random.range(4, 60))).wait(40 * MILLI);
                session = session.send(Side::Client, Data::Fill(random.range(40, 2_500)));
            }
            sim.push(session);
        }),
    );
}

/// A workstation that begins to serve: a bind shell or a staging server that peers fetch from (MITRE ATT&CK T1570).
pub(super) fn new_server(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::NewServer, random);
    let port = *random.pick(&[8_000, 8_888, 4_445, 9_999]);
    let others: Vec<usize> = sim.world.of(Role::Workstation).iter().copied().filter(|&h| h != host).collect();
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
        Box::new(|random, _| (random.exponential(3.0 * MINUTE as f64) as i64).max(SECOND)),
        Box::new(move |sim, random, at, number| {
            let peer = peers[number as usize % peers.len()];
            let session = sim.inside(peer, host, port, at, Transport::TCP);
            let session = session.exchange(Data::Fill(180), 3 * MILLI, Data::Fill(random.range(40_000, 300_000)));
            sim.push(session);
        }),
    );
}

/// A name whose addresses change with every look (MITRE ATT&CK T1568.001): ever new hosts of a botnet, a time to live of minutes.
pub(super) fn fast_flux(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::FastFlux, random);
    let name: Arc<str> = "shop.best-pills.example".into();
    let (gap, count) = by(sim, (30 * MINUTE, 16), (10 * MINUTE, 50), (3 * MINUTE, 160));
    let clients = addresses(sim, host);
    let story = Story {
        kind: Attack::FastFlux,
        description: format!("{count} looks at {name}, each time other addresses"),
        basis: "MITRE ATT&CK T1568.001; time to live of 180 to 300 s",
        servers: Vec::new(),
        ports: vec![443],
        names: vec![name.to_string()],
        records: vec![
            Selector { client: clients.clone(), name_under: vec![name.to_string()], ..Selector::of(Source::Dns) },
            Selector { client: clients.clone(), name_under: vec![name.to_string()], ..Selector::of(Source::Proxy) },
        ],
        clients,
    };
    let first = office_time(sim, random, 7);
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| (random.exponential(gap as f64) as i64).max(10 * SECOND)),
        Box::new(move |sim, random, at, _| {
            let bots: Vec<Ipv4Addr> = (0..5)
                .map(|_| {
                    let [.., low, high] = random.bits().to_be_bytes();
                    // Bots are customers of access networks: all over the benchmark range.
                    Ipv4Addr::new(198, 18 + (low & 1), high, low | 1)
                })
                .collect();
            let answers =
                bots.iter().map(|bot| Answer { name: name.clone(), ttl: 180, data: Rdata::A(*bot) }).collect();
            sim.ask(random, host, at - 60 * MILLI, &name, qtype::A, 70 * MILLI, |q| {
                q.answer(0, false, answers, Vec::new())
            });
            let server = bots.first().copied().unwrap_or(Ipv4Addr::new(198, 18, 0, 1));
            let session = sim.outside(host, server.into(), 443, 90 * MILLI, at, Transport::TCP);
            sim.push(web::tls(session, random, Client::Chromium, Some(name.clone()), &[(500, 4_000, MILLI)]));
        }),
    );
}

/// Remote administration by WinRM from one workstation to a few others (MITRE ATT&CK T1021.006), by hand.
pub(super) fn winrm(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::LateralWinrm, random);
    let others: Vec<usize> = sim.world.of(Role::Workstation).iter().copied().filter(|&h| h != host).collect();
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
        records: vec![Selector {
            client: clients.clone(),
            server: servers.clone(),
            server_port: vec![5985],
            ..Selector::of(Source::Flow)
        }],
        clients,
        servers,
    };
    let first = office_time(sim, random, 4);
    begin(
        sim,
        story,
        first,
        count as u64 * 2,
        Box::new(|random, _| (random.exponential(9.0 * MINUTE as f64) as i64).max(20 * SECOND)),
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
