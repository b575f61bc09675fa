//! Attacks that avoid what a simple detector looks for: jitter, long pauses, borrowed names, channels inside other protocols.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::super::config::Attack;
use super::super::dns::{Answer, Rdata, qtype};
use super::super::label::{Selector, Source};
use super::super::random::{LETTERS, Random};
use super::super::session::{Data, HOUR, MILLI, MINUTE, SECOND, Side, Transport};
use super::super::sim::Sim;
use super::super::sites::rented;
use super::super::tls::Client;
use super::super::web;
use super::{Story, addresses, around, begin, by, last_day, look_up, office_time, scattered, sooner, victim};

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
    Story {
        kind,
        description,
        basis,
        clients: addresses(sim, host),
        servers: vec![server],
        ports: vec![443],
        names: vec![name.to_owned()],
        records: Vec::new(),
    }
    .with_flows(None)
    .with_names(&[Source::Dns, Source::Proxy])
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
        around(sleep),
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
        sooner(sleep, 10),
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
        records: Vec::new(),
        clients,
        names,
    }
    .with_names(&[Source::Dns, Source::Proxy]);
    let first = last_day(sim, 8 * HOUR) + random.below(HOUR as u64) as i64;
    begin(
        sim,
        story,
        first,
        count,
        sooner(sleep, 15),
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
        scattered(gap, SECOND),
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
        records: Vec::new(),
    }
    .with_flows(Some(1));
    let first = office_time(sim, random, 3);
    begin(
        sim,
        story,
        first,
        count,
        around(gap),
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
        around(gap),
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
        records: Vec::new(),
        clients,
        names: names.clone(),
    }
    .with_names(&[Source::Dns]);
    let first = last_day(sim, 8 * HOUR) + random.below(HOUR as u64) as i64;
    let gap = 9 * HOUR / count as i64;
    begin(
        sim,
        story,
        first,
        count as u64,
        around(gap),
        Box::new(move |sim, random, at, number| {
            let name: Arc<str> = names[number as usize % names.len()].as_str().into();
            let zone: Arc<str> = name.rsplit('.').next().unwrap_or("com").into();
            sim.ask(random, host, at, &name, qtype::A, 45 * MILLI, |q| Sim::nxdomain(q, &zone));
        }),
    );
}

/// A shell that calls home and stays (MITRE ATT&CK T1059, T1571): one connection for hours, a few bytes now and then.
pub(super) fn shell(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::ReverseShell, random);
    let server = rented(random);
    let port = *random.pick(&[4_444, 1_337, 9_001, 8_443]);
    let (hours, strokes) = by(sim, (2, 20), (5, 120), (9, 900));
    let pause = hours * HOUR / strokes;
    let clients = addresses(sim, host);
    let mut story = Story {
        kind: Attack::ReverseShell,
        description: format!("a shell at {server}:{port} for {hours} h, {strokes} commands"),
        basis: "MITRE ATT&CK T1059 and T1571; Metasploit listens on 4444 by default",
        servers: vec![server.into()],
        ports: vec![port],
        names: Vec::new(),
        records: Vec::new(),
        clients,
    }
    .with_flows(None);
    if pause / 2 > MINUTE {
        // Cut by silence into pieces, each of which begins with the server's order.
        story.records.push(Selector {
            client: story.servers.clone(),
            server: story.clients.clone(),
            ..Selector::of(Source::Flow)
        });
    }
    let first = last_day(sim, 8 * HOUR) + random.below(2 * HOUR as u64) as i64;
    begin(
        sim,
        story,
        first,
        1,
        Box::new(|_, _| SECOND),
        Box::new(move |sim, random, at, _| {
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
        records: Vec::new(),
        clients,
    }
    .with_names(&[Source::Dns, Source::Proxy]);
    let first = office_time(sim, random, 7);
    begin(
        sim,
        story,
        first,
        count,
        scattered(gap, 10 * SECOND),
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
