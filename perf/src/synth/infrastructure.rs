//! The servers: what they do for others, for each other, and at night.

use std::sync::Arc;

use super::dns::{Answer, Rdata, qtype};
use super::http::{Request, Response};
use super::protocols;
use super::random::{HEX, LETTERS, Random};
use super::session::{Closing, Data, HOUR, MICRO, MILLI, MINUTE, Opening, SECOND, Session, Side, Transport};
use super::sim::{Rhythm, Schedule, Sim};
use super::sites::{BROWSERS, stranger};
use super::tls::Client;
use super::web;
use super::world::{DOMAIN, Role};

/// Gives a server its habits.
pub(crate) fn settle(sim: &mut Sim, host: usize) {
    let role = sim.world.hosts[host].role;
    if role >= Role::Workstation {
        return;
    }
    sim.habit(host, Schedule::Daily { at: HOUR + 30 * MINUTE, jitter: 25 * MINUTE }, back_up);
    sim.habit(host, Schedule::Daily { at: 4 * HOUR, jitter: 50 * MINUTE }, update);
    sim.habit(host, Schedule::Every { period: 2 * HOUR, jitter: MINUTE }, super::office::clock);
    sim.habit(host, Schedule::Every { period: 40 * MINUTE, jitter: 5 * MINUTE }, log);
    let minutes = |n: i64| Schedule::Every { period: n * MINUTE, jitter: 2 * SECOND };
    match role {
        Role::Web => {
            sim.habit(host, Schedule::Chance(260.0, Rhythm::Public), visitor);
            sim.habit(host, Schedule::Chance(70.0, Rhythm::Flat), background_noise);
        }
        Role::Mail => {
            sim.habit(host, Schedule::Chance(140.0, Rhythm::Public), mail_arrives);
            sim.habit(host, Schedule::Chance(60.0, Rhythm::Office), mail_leaves);
        }
        Role::Application => {
            sim.habit(host, minutes(15), query_database);
            sim.habit(host, Schedule::Chance(6.0, Rhythm::Flat), call_interface);
        }
        Role::Controller => sim.habit(host, minutes(60), replicate),
        Role::Resolver => sim.habit(host, Schedule::Chance(8.0, Rhythm::Flat), zone_keys),
        Role::Clock => sim.habit(host, minutes(17), upstream_clock),
        Role::Monitor => sim.habit(host, minutes(10), watch),
        Role::Scanner => {
            sim.habit(host, Schedule::Daily { at: 2 * HOUR + 15 * MINUTE, jitter: 5 * MINUTE }, authorised_scan)
        }
        _ => (),
    }
}

/// Nightly backup: the largest transfers of the day, all to one server.
fn back_up(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Backup, host);
    if server == host {
        return;
    }
    let bytes = random.quantile(&[(0.0, 2e6), (0.5, 20e6), (0.9, 90e6), (1.0, 400e6)]);
    let name = sim.world.hosts[server].name.clone();
    let session = sim.inside(host, server, 8400, at, Transport::TCP);
    sim.push(web::tls(
        session,
        random,
        Client::Go,
        Some(name),
        &[(sim.bulk(bytes), 900, 20 * MILLI), (310, 120, SECOND)],
    ));
}

/// Packages from the distribution's mirror.
fn update(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let site = sim.service("packages-linux.example");
    let (address, ready) = sim.resolve(random, host, site, 0, at, false);
    let (name, rtt) = (sim.world.sites[site].names[0].clone(), sim.world.sites[site].rtt);
    let agent: Arc<str> = "Debian APT-HTTP/1.3 (2.6.1)".into();
    let mut session = sim.outside(host, address, 80, rtt, ready, Transport::TCP);
    for i in 0..random.range(2, 4) {
        let target = if i == 0 {
            "/debian/dists/bookworm-security/InRelease".to_owned()
        } else {
            let package = random.text(LETTERS, 7);
            format!("/debian/pool/main/{}/{package}/{package}_{}_amd64.deb", &package[..1], random.range(1, 9))
        };
        let size = random.quantile(&[(0.0, 900.0), (0.7, 200_000.0), (1.0, 40_000_000.0)]);
        let status = if i == 0 && random.chance(0.5) { 304 } else { 200 };
        let response = Response {
            status,
            content_type: (status == 200).then_some("application/octet-stream"),
            body: sim.bulk(size),
        };
        let request = Request::get(name.clone(), target, agent.clone());
        session = session.exchange(
            Data::Request(Box::new(request)),
            3 * MILLI,
            Data::Response { response: Box::new(response), to_connect: false },
        );
    }
    sim.push(session);
}

fn log(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Monitor, host);
    if server == host {
        return;
    }
    let (name, lines) = (sim.world.hosts[host].name.clone(), random.range(1, 5));
    let (from, to, rtt) = sim.world.between_ports(host, 514, server, 514, sim.world.six(host, server));
    let mut session = Session::new(at, from, to, Transport::Udp, rtt);
    for _ in 0..lines {
        let line = protocols::syslog(&name, &format!("job {} finished", random.text(HEX, 8)));
        session = session.send_paced(Side::Client, line, 300 * MILLI);
    }
    sim.push(session);
}

/// Somebody on the Internet visits the organisation's site.
fn visitor(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let six = sim.world.hosts[host].v6.is_some() && random.chance(0.35);
    let from = stranger(random, six);
    let rtt = random.range(8, 180) as i64 * MILLI;
    let own = random.range(1_024, 65_000) as u16;
    let name: Arc<str> = format!("www.{DOMAIN}").into();
    let (client, agent) = *random.pick(&BROWSERS);
    if random.chance(0.2) {
        let (a, b, back) = sim.world.inward(from, own, host, 80, rtt);
        let request = Request::get(name.clone(), "/".to_owned(), agent.into());
        let response = Response { status: 301, content_type: Some("text/html"), body: 162 };
        let session = Session::new(at, a, b, Transport::TCP, back).wait(rtt);
        sim.push(session.exchange(
            Data::Request(Box::new(request)),
            MILLI,
            Data::Response { response: Box::new(response), to_connect: false },
        ));
    }
    let (a, b, back) = sim.world.inward(from, own.wrapping_add(1).max(1024), host, 443, rtt);
    let rounds = web::rounds(sim, random, 3);
    let session = Session::new(at + 2 * rtt, a, b, Transport::TCP, back).wait(rtt);
    sim.push(web::tls(session, random, client, Some(name), &rounds));
}

/// The Internet's own noise: single probes of closed ports from everywhere.
fn background_noise(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let port = *random.pick(&[22, 23, 25, 445, 1433, 2323, 3389, 5900, 6379, 8080, 8443, 9200]);
    let from = stranger(random, false);
    let own = random.range(1_024, 65_000) as u16;
    let (a, b, back) = sim.world.inward(from, own, host, port, 60 * MILLI);
    let opening = if random.chance(0.7) { Opening::Unanswered(random.below(2) as u8) } else { Opening::Refused };
    sim.push(Session::new(at, a, b, Transport::Tcp(opening, Closing::Left), back));
}

fn mail_arrives(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let from = stranger(random, false);
    let own = random.range(1_024, 65_000) as u16;
    let (a, b, back) = sim.world.inward(from, own, host, 25, 50 * MILLI);
    let std::net::IpAddr::V4(v4) = from else { return };
    let [w, x, y, z] = v4.octets();
    // The server asks who that is, and where the sender's domain allows mail from.
    let pointer: Arc<str> = format!("{z}.{y}.{x}.{w}.in-addr.arpa").into();
    let name: Arc<str> = format!("mx{}.{}.example", random.below(9), random.text(LETTERS, 8)).into();
    let zone: Arc<str> = format!("{x}.{w}.in-addr.arpa").into();
    let known = random.chance(0.8);
    sim.ask(random, host, at + MILLI, &pointer, qtype::PTR, 30 * MILLI, |q| {
        if known {
            q.answer(
                0,
                false,
                vec![Answer { name: pointer.clone(), ttl: 3600, data: Rdata::Ptr(name.clone()) }],
                Vec::new(),
            )
        } else {
            Sim::nxdomain(q, &zone)
        }
    });
    let domain: Arc<str> = name.split_once('.').map_or("example", |(_, d)| d).into();
    let policy = format!("v=spf1 ip4:{v4} include:_spf.{domain} ~all").into_bytes();
    if random.chance(0.15) {
        let many: Vec<Answer> = (0..6)
            .map(|_| Answer {
                name: domain.clone(),
                ttl: 3600,
                data: Rdata::Txt(format!("site-verification={}", random.text(HEX, 220)).into_bytes().into()),
            })
            .collect();
        sim.ask_large(random, host, at + 5 * MILLI, &domain, qtype::TXT, many);
    } else {
        sim.ask(random, host, at + 5 * MILLI, &domain, qtype::TXT, 40 * MILLI, |q| {
            q.answer(
                0,
                false,
                vec![Answer { name: domain.clone(), ttl: 3600, data: Rdata::Txt(policy.into()) }],
                Vec::new(),
            )
        });
    }
    let session = Session::new(at, a, b, Transport::TCP, back).wait(50 * MILLI);
    sim.push(smtp(session, random, &name, sim.config.volume));
}

/// An SMTP dialogue (RFC 5321) with one message.
fn smtp(session: Session, random: &mut Random, helo: &str, volume: f64) -> Session {
    let helo = format!("EHLO {helo}");
    let user = random.text(LETTERS, 6);
    let (from, to) = (format!("MAIL FROM:<{user}@sender.example>"), format!("RCPT TO:<{user}@{DOMAIN}>"));
    let size = random.quantile(&[(0.0, 900.0), (0.7, 20_000.0), (1.0, 6_000_000.0)]);
    let size = if size > 30_000.0 { 30_000.0 + (size - 30_000.0) * volume } else { size } as u64;
    session
        .dialogue(&[
            "220 mail1.corp.example ESMTP",
            &helo,
            "250 mail1.corp.example",
            &from,
            "250 2.1.0 Ok",
            &to,
            "250 2.1.5 Ok",
            "DATA",
            "354 End data with <CR><LF>.<CR><LF>",
        ])
        .send(Side::Client, Data::Bytes(Arc::from(&b"Subject: report\r\n\r\n"[..])))
        .send(Side::Client, Data::Fill(size))
        .send(Side::Client, Data::Bytes(Arc::from(&b"\r\n.\r\n"[..])))
        .wait(20 * MILLI)
        .dialogue(&["250 2.0.0 Ok: queued", "QUIT", "221 2.0.0 Bye"])
}

fn mail_leaves(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let site = sim.world.popularity.draw(random);
    let s = &sim.world.sites[site];
    let (domain, rtt, to) = (s.domain.clone(), s.rtt, s.address(at, false, 1));
    let exchanger: Arc<str> = format!("mx1.{domain}").into();
    sim.ask(random, host, at, &domain, qtype::MX, 25 * MILLI, |q| {
        q.answer(
            0,
            false,
            vec![Answer { name: domain.clone(), ttl: 3600, data: Rdata::Mx(10, exchanger.clone()) }],
            Vec::new(),
        )
    });
    if let std::net::IpAddr::V4(v4) = to {
        sim.ask(random, host, at + 30 * MILLI, &exchanger, qtype::A, 25 * MILLI, |q| {
            q.answer(0, false, vec![Answer { name: exchanger.clone(), ttl: 3600, data: Rdata::A(v4) }], Vec::new())
        });
    }
    let session = sim.outside(host, to, 25, rtt, at + 60 * MILLI, Transport::TCP);
    let session = smtp(session, random, &format!("mail1.{DOMAIN}"), sim.config.volume);
    sim.push(session);
}

fn query_database(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Database, host);
    let name = sim.world.hosts[server].name.clone();
    let rounds: Vec<(u64, u64, i64)> = (0..random.range(2, 8))
        .map(|_| (random.range(90, 900), random.range(120, 9_000), random.range(1, 20_000) as i64 * MILLI))
        .collect();
    let session = sim.inside(host, server, 5432, at, Transport::TCP);
    let session = protocols::postgres(session, random, name, &rounds);
    sim.push(session);
}

/// An application calls somebody's interface on the Internet, through the proxy's allow-list or straight.
fn call_interface(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let site = (host * 7) % 40;
    let (address, ready) = sim.resolve(random, host, site, 1, at, false);
    let s = &sim.world.sites[site];
    let (sni, rtt) = (s.names[1 % s.names.len()].clone(), s.rtt);
    let session = sim.outside(host, address, 443, rtt, ready, Transport::TCP);
    let size = random.range(300, 20_000);
    sim.push(web::tls(session, random, Client::Go, Some(sni), &[(random.clone().range(200, 2_000), size, MILLI)]));
}

fn replicate(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let controllers = sim.world.of(Role::Controller).to_vec();
    for peer in controllers.into_iter().filter(|&p| p != host).take(2) {
        let session = sim.inside(host, peer, 445, at, Transport::TCP);
        let size = random.range(2_000, 40_000);
        let session = protocols::smb(session, random, &[(400, size), (300, 500)]);
        sim.push(session);
    }
}

/// Keys of a signed zone: too large for a datagram.
fn zone_keys(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    use super::dns::Dns;
    let site = sim.world.popularity.draw(random);
    let s = &sim.world.sites[site];
    let (zone, server, rtt) = (s.domain.clone(), s.address(at, false, 2), s.rtt);
    let query = Dns { flags: 0, ..Dns::query(random.bits() as u16, zone.clone(), qtype::DNSKEY, Some(1232)) };
    let answers = (0..5).map(|_| Answer { name: zone.clone(), ttl: 3600, data: Rdata::Dnskey(256) }).collect();
    let (cut, whole) = (query.truncated(), query.answer(0, true, answers, Vec::new()));
    let udp = sim.outside(host, server, 53, rtt, at, Transport::Udp);
    sim.push(udp.exchange(Data::Dns(Box::new(query.clone())), MILLI, Data::Dns(Box::new(cut))));
    let tcp = sim.outside(host, server, 53, rtt, at + rtt + 5 * MILLI, Transport::TCP);
    sim.push(tcp.exchange(Data::DnsTcp(Box::new(query)), MILLI, Data::DnsTcp(Box::new(whole))));
}

fn upstream_clock(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = std::net::Ipv4Addr::new(198, 18, 0xf2, 1 + random.below(4) as u8);
    let (mut from, to, rtt) = sim.world.outward(host, server.into(), 123, 9 * MILLI);
    from.port = 123;
    let session = Session::new(at, from, to, Transport::Udp, rtt);
    sim.push(session.exchange(protocols::ntp(true, at), 30 * MICRO, protocols::ntp(false, at + 5 * MILLI)));
}

/// Monitoring: pings, SNMP and a look at the web servers, always the same.
fn watch(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let targets: Vec<usize> = (0..sim.world.hosts.len())
        .filter(|&i| {
            i != host && (sim.world.hosts[i].role < Role::Workstation || sim.world.hosts[i].role == Role::Printer)
        })
        .take(400)
        .collect();
    // A third of the estate each time.
    let turn = (at / (10 * MINUTE)).rem_euclid(3) as usize;
    for (i, target) in targets.into_iter().enumerate().filter(|(i, _)| i % 3 == turn) {
        let when = at + i as i64 * 40 * MILLI;
        let six = sim.world.six(host, target);
        let id = random.bits() as u16;
        let (from, to, rtt) = sim.world.between_ports(host, id, target, 0, six);
        let mut ping = Session::new(when, from, to, Transport::Echo, rtt);
        for number in 1..=2 {
            ping = ping.exchange(Data::Echo(number, 56), 0, Data::Echo(number, 56)).wait(20 * MILLI);
        }
        sim.push(ping);
        let printer = sim.world.hosts[target].role == Role::Printer;
        if printer || i % 2 == 0 {
            let session = sim.inside(host, target, 161, when + 100 * MILLI, Transport::Udp);
            let (id, ticks) = (random.bits() as u32, (at / 10_000_000) as u32);
            sim.push(session.exchange(protocols::snmp(id, None), MILLI, protocols::snmp(id, Some(ticks))));
        }
        if sim.world.hosts[target].role == Role::Web {
            let name: Arc<str> = sim.world.hosts[target].name.clone();
            let request = Request::get(name, "/health".to_owned(), "check_http/v2.3.3".into());
            let response = Response { status: 200, content_type: Some("text/plain"), body: 3 };
            let session = sim.inside(host, target, 80, when + 200 * MILLI, Transport::TCP);
            sim.push(session.exchange(
                Data::Request(Box::new(request)),
                MILLI,
                Data::Response { response: Box::new(response), to_connect: false },
            ));
        }
    }
}

/// The organisation's own vulnerability scanner, which looks like an attack and is none.
fn authorised_scan(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    const PORTS: [u16; 20] =
        [21, 22, 23, 25, 53, 80, 110, 111, 135, 139, 143, 443, 445, 993, 1433, 3306, 3389, 5432, 5900, 8080];
    let first = random.index(sim.world.hosts.len());
    for i in 0..30 {
        let target = (first + i * 7) % sim.world.hosts.len();
        if target == host {
            continue;
        }
        for (j, port) in PORTS.into_iter().enumerate() {
            let when = at + (i as i64 * 25 + j as i64) * SECOND;
            let opening = match port {
                22 | 80 | 443 | 445 if sim.world.hosts[target].role < Role::Workstation => Opening::HalfOpen,
                _ => Opening::Refused,
            };
            let session = sim.inside(host, target, port, when, Transport::Tcp(opening, Closing::Left));
            sim.push(session);
        }
    }
}
