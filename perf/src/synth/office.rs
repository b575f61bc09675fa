//! What people do at their workstations, and what the workstations do by themselves.

use std::net::IpAddr;
use std::sync::Arc;

use super::dns::{Answer, Dns, Rdata, qtype};
use super::http::{Request, Response};
use super::protocols;
use super::random::{LETTERS, Random};
use super::session::{Closing, Data, HOUR, MICRO, MILLI, MINUTE, Opening, SECOND, Session, Side, Transport};
use super::sim::{Rhythm, Schedule, Sim};
use super::sites::Kind;
use super::tls::Client;
use super::web;
use super::world::{DOMAIN, Department, Os, Role};

/// Gives a workstation its habits.
pub(crate) fn settle(sim: &mut Sim, host: usize) {
    let h = &sim.world.hosts[host];
    if h.role != Role::Workstation {
        return;
    }
    let (os, department, come) = (h.os, h.department, h.hours[0]);
    let often = |n: f64| Schedule::Chance(n, Rhythm::Office);
    let busy = match department {
        Department::Sales | Department::Management => 1.3,
        Department::Engineering => 1.0,
        Department::Finance | Department::Operations => 0.8,
    };
    sim.habit(host, Schedule::Daily { at: come, jitter: 10 * MINUTE }, log_on);
    sim.habit(host, often(7.0 * busy), web::browse);
    sim.habit(host, often(6.0), mail);
    sim.habit(host, often(4.0), files);
    sim.habit(host, often(1.2), print);
    sim.habit(host, often(1.0), mistype);
    sim.habit(host, often(2.0), neighbourhood);
    sim.habit(host, Schedule::Every { period: 3 * HOUR, jitter: 20 * MINUTE }, telemetry);
    sim.habit(host, Schedule::Every { period: 4 * HOUR, jitter: 2 * MINUTE }, clock);
    sim.habit(host, often(0.12 * busy), call);
    sim.habit(host, often(0.15), forgotten_password);
    match department {
        Department::Engineering => {
            sim.habit(host, often(5.0), code);
            sim.habit(host, often(1.2), packages);
            sim.habit(host, often(0.4), shell);
        }
        Department::Finance => sim.habit(host, often(6.0), ledger_database),
        Department::Sales => sim.habit(host, often(1.5), upload_documents),
        Department::Operations => {
            sim.habit(host, often(0.8), shell);
            sim.habit(host, often(0.5), remote_desktop);
        }
        Department::Management => (),
    }
    if os == Os::Windows {
        // All ask at about the same time: a burst.
        sim.habit(host, Schedule::Daily { at: 12 * HOUR + 30 * MINUTE, jitter: 20 * MINUTE }, system_update);
    }
    if host.is_multiple_of(12) {
        sim.habit(host, Schedule::Daily { at: come + 20 * MINUTE, jitter: 10 * MINUTE }, open_all_day);
    }
}

/// The machine is switched on: address, time, ticket, directory, profile.
fn log_on(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let controller = sim.world.serving(Role::Controller, host);
    let id = random.bits() as u32;
    let (address, mac, name) =
        (sim.world.hosts[host].v4, sim.world.hosts[host].mac, sim.world.hosts[host].name.clone());
    let (from, to, rtt) = sim.world.between_ports(host, 68, controller, 67, false);
    let lease = Session::new(at, from, to, Transport::Udp, rtt);
    let message = |client| protocols::dhcp(client, id, address, mac, &name);
    sim.push(lease.exchange(message(true), MILLI, message(false)));
    clock(sim, random, host, at + SECOND);
    // The directory's servers are found by SRV records.
    let target = sim.world.hosts[controller].name.clone();
    let name: Arc<str> = format!("_ldap._tcp.dc._msdcs.{DOMAIN}").into();
    let answers = vec![Answer { name: name.clone(), ttl: 600, data: Rdata::Srv(389, target.clone()) }];
    sim.ask(random, host, at + 2 * SECOND, &name, qtype::SRV, 200 * MICRO, |q| q.answer(0, true, answers, Vec::new()));
    lookup_inside(sim, random, host, controller, at + 2 * SECOND + 5 * MILLI);
    let user = web::user(host);
    let ticket = sim.inside(host, controller, 88, at + 3 * SECOND, Transport::TCP);
    sim.push(ticket.exchange(protocols::kerberos_request(&user, id), MILLI, protocols::kerberos_error(25)));
    let directory = sim.inside(host, controller, 636, at + 4 * SECOND, Transport::TCP);
    let size = random.range(900, 9_000);
    sim.push(web::tls(
        directory,
        random,
        Client::Windows,
        Some(target),
        &[(310, size, MILLI), (290, 1_400, 20 * MILLI)],
    ));
    let profile = sim.inside(host, controller, 445, at + 5 * SECOND, Transport::TCP);
    let session = protocols::smb(profile, random, &[(260, 700), (300, 4_200), (240, 2_600)]);
    sim.push(session);
    neighbourhood(sim, random, host, at + 7 * SECOND);
    telemetry(sim, random, host, at + 40 * SECOND);
}

/// The address of a server of the organisation.
pub(crate) fn lookup_inside(sim: &mut Sim, random: &mut Random, host: usize, server: usize, at: i64) {
    let name = sim.world.hosts[server].name.clone();
    let (v4, v6) = (sim.world.hosts[server].v4, sim.world.hosts[server].v6);
    let zone: Arc<str> = DOMAIN.into();
    for (i, kind) in [qtype::A, qtype::AAAA].into_iter().enumerate() {
        let data = if kind == qtype::A { Some(Rdata::A(v4)) } else { v6.map(Rdata::Aaaa) };
        let answers: Vec<Answer> =
            data.into_iter().map(|data| Answer { name: name.clone(), ttl: 3600, data }).collect();
        let soa = answers.is_empty().then(|| Answer {
            name: zone.clone(),
            ttl: 3600,
            data: Rdata::Soa(format!("dc1.{DOMAIN}").into()),
        });
        sim.ask(random, host, at + i as i64 * 90 * MICRO, &name, kind, 120 * MICRO, |q| {
            q.answer(0, true, answers, soa.into_iter().collect())
        });
    }
}

/// The mail client fetches (IMAPS) and now and then submits.
fn mail(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Mail, host);
    if random.chance(0.25) {
        lookup_inside(sim, random, host, server, at - 3 * MILLI);
    }
    let name = sim.world.hosts[server].name.clone();
    let down = random.quantile(&[(0.0, 400.0), (0.7, 6_000.0), (0.95, 90_000.0), (1.0, 4_000_000.0)]);
    let rounds = [(210, 600, MILLI), (160, sim.bulk(down), 10 * MILLI), (90, 140, 200 * MILLI)];
    let session = sim.inside(host, server, 993, at, Transport::TCP);
    sim.push(web::tls(session, random, client_of(sim, host), Some(name.clone()), &rounds));
    if random.chance(0.2) {
        let up = random.quantile(&[(0.0, 900.0), (0.8, 20_000.0), (1.0, 8_000_000.0)]);
        let session = sim.inside(host, server, 465, at + 2 * SECOND, Transport::TCP);
        sim.push(web::tls(
            session,
            random,
            client_of(sim, host),
            Some(name),
            &[(240, 300, MILLI), (sim.bulk(up), 120, 10 * MILLI)],
        ));
    }
}

fn client_of(sim: &Sim, host: usize) -> Client {
    match sim.world.hosts[host].os {
        Os::Windows => Client::Windows,
        Os::Mac => Client::Apple,
        Os::Linux => Client::OpenSsl,
    }
}

/// Files on the department's share.
fn files(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let department = sim.world.hosts[host].department as usize;
    let server = sim.world.serving(Role::Files, department);
    if random.chance(0.3) {
        lookup_inside(sim, random, host, server, at - 4 * MILLI);
    }
    let sizes: &[(f64, f64)] = &[(0.0, 300.0), (0.5, 12_000.0), (0.9, 900_000.0), (1.0, 60_000_000.0)];
    let rounds: Vec<(u64, u64)> = (0..random.range(1, 3))
        .map(|_| {
            let size = random.quantile(sizes);
            if random.chance(0.25) { (sim.bulk(size), 180) } else { (280, sim.bulk(size)) }
        })
        .collect();
    let session = sim.inside(host, server, 445, at, Transport::TCP);
    let session = protocols::smb(session, random, &rounds);
    sim.push(session);
}

fn print(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let printer = sim.world.serving(Role::Printer, host / 20);
    let size = random.quantile(&[(0.0, 20_000.0), (0.8, 400_000.0), (1.0, 9_000_000.0)]);
    let session = sim.inside(host, printer, 9100, at, Transport::TCP);
    sim.push(
        session
            .send(Side::Client, Data::Bytes(Arc::from(&b"\x1b%-12345X@PJL JOB\r\n"[..])))
            .send(Side::Client, Data::Fill(sim.bulk(size))),
    );
}

/// A name with a letter too many, tried again with the organisation's suffix as stub resolvers do.
fn mistype(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let site = sim.world.popularity.draw(random);
    let mut wrong = sim.world.sites[site].names[0].to_string();
    let at_letter = 4 + random.index(wrong.len().saturating_sub(13).max(1));
    wrong.insert(at_letter.min(wrong.len()), char::from(*random.pick(LETTERS)));
    let zone: Arc<str> = "example".into();
    for (i, (name, zone)) in
        [(wrong.clone(), zone), (format!("{wrong}.{DOMAIN}"), DOMAIN.into())].into_iter().enumerate()
    {
        sim.ask(random, host, at + i as i64 * 40 * MILLI, &name.into(), qtype::A, 25 * MILLI, |q| {
            Sim::nxdomain(q, &zone)
        });
    }
}

/// LLMNR (RFC 4795) and mDNS (RFC 6762) chatter on the local link.
fn neighbourhood(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let h = &sim.world.hosts[host];
    let (name, os, v4) = (h.name.clone(), h.os, h.v4);
    let short = name.split('.').next().unwrap_or_default().to_owned();
    if os == Os::Windows {
        for name in ["wpad".to_owned(), random.text(LETTERS, 10)].iter().take(random.range(1, 2) as usize) {
            let mut query = Dns::query(random.bits() as u16, name.as_str().into(), qtype::A, None);
            query.flags = 0;
            let port = sim.world.port(host);
            let session = group(sim, host, port, 5355, IpAddr::from([224, 0, 0, 252]), 1, at);
            sim.push(
                session
                    .send(Side::Client, Data::Dns(Box::new(query.clone())))
                    .wait(410 * MILLI)
                    .send(Side::Client, Data::Dns(Box::new(query))),
            );
        }
    } else {
        let mut query = Dns::query(0, "_services._dns-sd._udp.local".into(), qtype::PTR, None);
        query.flags = 0;
        let local: Arc<str> = format!("{short}.local").into();
        let announce = Dns {
            flags: 0x8400,
            has_question: false,
            answers: vec![Answer { name: local, ttl: 120, data: Rdata::A(v4) }],
            ..query.clone()
        };
        let session = group(sim, host, 5353, 5353, IpAddr::from([224, 0, 0, 251]), 255, at);
        sim.push(
            session
                .send(Side::Client, Data::Dns(Box::new(query)))
                .wait(120 * MILLI)
                .send(Side::Client, Data::Dns(Box::new(announce))),
        );
    }
}

/// A session to an IPv4 multicast group.
pub(crate) fn group(sim: &Sim, host: usize, own: u16, port: u16, address: IpAddr, ttl: u8, at: i64) -> Session {
    let (mut from, mut to, rtt) = sim.world.between_ports(host, own, host, port, false);
    from.ttl = ttl;
    to.ip = address;
    if let IpAddr::V4(a) = address {
        let [_, b, c, d] = a.octets();
        to.mac = [1, 0, 0x5e, b & 0x7f, c, d];
    }
    Session::new(at, from, to, Transport::Udp, rtt)
}

/// The system tells its maker how it is.
fn telemetry(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let service = match sim.world.hosts[host].os {
        Os::Windows => "telemetry-win.example",
        Os::Mac => "telemetry-mac.example",
        Os::Linux => return,
    };
    let site = sim.service(service);
    let (address, ready) = sim.resolve(random, host, site, 0, at, false);
    let (sni, rtt) = (sim.world.sites[site].names[0].clone(), sim.world.sites[site].rtt);
    let session = sim.outside(host, address, 443, rtt, ready, Transport::TCP);
    let up = random.range(700, 6_000);
    sim.push(web::tls(session, random, client_of(sim, host), Some(sni), &[(up, 310, MILLI)]));
}

/// NTP from the organisation's clock.
pub(crate) fn clock(sim: &mut Sim, _: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Clock, host);
    let six = sim.world.six(host, server);
    let (from, to, rtt) = sim.world.between_ports(host, 123, server, 123, six);
    let session = Session::new(at, from, to, Transport::Udp, rtt);
    sim.push(session.exchange(protocols::ntp(true, at), 60 * MICRO, protocols::ntp(false, at + MILLI)));
}

/// A video call: both ways, 50 packets a second at full volume (RFC 3551's 20 ms).
fn call(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let site = sim.service("meetings.example");
    let (address, ready) = sim.resolve(random, host, site, 2, at, false);
    let rtt = sim.world.sites[site].rtt;
    web::visit(sim, random, host, site, 1, at + 50 * MILLI);
    let length = random.quantile(&[(0.0, 120.0), (0.5, 1_200.0), (0.9, 3_000.0), (1.0, 5_400.0)]);
    // Thinned to two packets a second and side where the volume is low, so that idle timeouts do not cut it.
    let per_second = (50.0 * sim.config.volume).clamp(0.5, 50.0);
    let gap = (SECOND as f64 / per_second / 2.0) as i64;
    let session = sim.outside(host, address, 3480, rtt, ready + SECOND, Transport::Udp);
    sim.push(session.stream((length * per_second * 2.0) as u32, gap, (180, 1_150), Some((180, 1_150))));
}

/// A password typed wrong: two short logins, then one that holds.
fn forgotten_password(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let controller = sim.world.serving(Role::Controller, host);
    let user = web::user(host);
    for i in 0..random.range(1, 3) as i64 {
        let session = sim.inside(host, controller, 88, at + i * 6 * SECOND, Transport::TCP);
        let nonce = random.bits() as u32;
        sim.push(session.exchange(protocols::kerberos_request(&user, nonce), MILLI, protocols::kerberos_error(24)));
    }
}

/// Engineers fetch and push code over SSH and HTTPS.
fn code(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Git, host);
    let size = random.quantile(&[(0.0, 900.0), (0.7, 20_000.0), (1.0, 9_000_000.0)]);
    if random.chance(0.5) {
        let session = sim.inside(host, server, 22, at, Transport::TCP);
        let rounds = [(640, 480, 20 * MILLI), (220, 180, 3 * MILLI), (340, sim.bulk(size), 5 * MILLI)];
        let session = protocols::ssh(session, random, "OpenSSH_9.6", &rounds);
        sim.push(session);
    } else {
        lookup_inside(sim, random, host, server, at - 3 * MILLI);
        let name = sim.world.hosts[server].name.clone();
        let session = sim.inside(host, server, 443, at, Transport::TCP);
        sim.push(web::tls(
            session,
            random,
            Client::OpenSsl,
            Some(name),
            &[(420, 2_200, MILLI), (380, sim.bulk(size), 30 * MILLI)],
        ));
    }
}

/// Packages from a public repository, in the clear or over TLS.
fn packages(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let repositories: Vec<usize> =
        (0..sim.world.sites.len()).filter(|&i| sim.world.sites[i].kind == Kind::Repository).take(8).collect();
    let site = *random.pick(&repositories);
    let (address, ready) = sim.resolve(random, host, site, 0, at, false);
    let (sni, rtt) = (sim.world.sites[site].names[0].clone(), sim.world.sites[site].rtt);
    let size = random.quantile(&[(0.0, 9_000.0), (0.8, 700_000.0), (1.0, 90_000_000.0)]);
    let session = sim.outside(host, address, 443, rtt, ready, Transport::TCP);
    sim.push(web::tls(
        session,
        random,
        Client::Go,
        Some(sni),
        &[(330, 18_000, MILLI), (290, sim.bulk(size), 15 * MILLI)],
    ));
}

/// An interactive shell: short keystrokes, long pauses.
fn shell(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let servers = sim.world.of(Role::Application);
    let server = servers[random.index(servers.len())];
    let strokes = random.range(10, 45);
    let rounds: Vec<(u64, u64, i64)> = (0..strokes)
        .map(|_| {
            (
                36,
                random.range(36, 900),
                (random.quantile(&[(0.0, 0.1), (0.8, 6.0), (1.0, 300.0)]) * SECOND as f64) as i64,
            )
        })
        .collect();
    let session = sim.inside(host, server, 22, at, Transport::TCP);
    let session = protocols::ssh(session, random, "OpenSSH_9.6", &rounds);
    sim.push(session);
}

fn remote_desktop(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Controller, host);
    let rounds: Vec<(u64, u64, i64)> = (0..random.range(8, 30))
        .map(|_| (random.range(60, 300), random.range(300, 9_000), random.range(1, 20) as i64 * SECOND))
        .collect();
    let session = sim.inside(host, server, 3389, at, Transport::TCP);
    let session = protocols::rdp(session, random, &web::user(host), &rounds);
    sim.push(session);
}

fn ledger_database(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Database, 0);
    let name = sim.world.hosts[server].name.clone();
    let size = random.quantile(&[(0.0, 300.0), (0.8, 9_000.0), (1.0, 2_000_000.0)]);
    let session = sim.inside(host, server, 5432, at, Transport::TCP);
    let session = protocols::postgres(session, random, name, &[(340, 420, MILLI), (290, sim.bulk(size), 12 * MILLI)]);
    sim.push(session);
}

/// Documents into the cloud: uploads are not all bad.
fn upload_documents(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let site = sim.service("drive-sync.example");
    let (address, ready) = sim.resolve(random, host, site, 1, at, true);
    let (sni, rtt) = (sim.world.sites[site].names[1].clone(), sim.world.sites[site].rtt);
    let size = random.quantile(&[(0.0, 20_000.0), (0.8, 2_000_000.0), (1.0, 60_000_000.0)]);
    let session = sim.outside(host, address, 443, rtt, ready, Transport::TCP);
    sim.push(web::tls(
        session,
        random,
        client_of(sim, host),
        Some(sni),
        &[(900, 400, MILLI), (sim.bulk(size), 260, 40 * MILLI)],
    ));
}

/// System updates from the organisation's server, in the clear.
fn system_update(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Updates, host);
    let name: Arc<str> = format!("{}:8530", sim.world.hosts[server].name).into();
    let agent: Arc<str> = "Windows-Update-Agent/10.0.10011 Client-Protocol/2.50".into();
    let mut session = sim.inside(host, server, 8530, at, Transport::TCP);
    for _ in 0..random.range(1, 3) {
        let size = random.quantile(&[(0.0, 30_000.0), (0.8, 900_000.0), (1.0, 200_000_000.0)]);
        let target =
            format!("/Content/{}/{}.cab", random.text(b"0123456789ABCDEF", 2), random.text(b"0123456789ABCDEF", 40));
        let request = Request::get(name.clone(), target, agent.clone());
        let response = Response { status: 206, content_type: Some("application/octet-stream"), body: sim.bulk(size) };
        session = session.exchange(
            Data::Request(Box::new(request)),
            5 * MILLI,
            Data::Response { response: Box::new(response), to_connect: false },
        );
    }
    sim.push(session);
}

/// A connection that stays open all day, with a heartbeat every few minutes.
fn open_all_day(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let site = sim.world.sites.iter().position(|s| s.kind == Kind::Work).unwrap_or(0);
    let (address, ready) = sim.resolve(random, host, site, 1, at, true);
    let (sni, rtt) = (sim.world.sites[site].names[1].clone(), sim.world.sites[site].rtt);
    let beats: Vec<(u64, u64, i64)> =
        (0..random.range(60, 110)).map(|_| (48, 44, 4 * MINUTE + random.below(30) as i64 * SECOND)).collect();
    let closing = if random.chance(0.3) { Closing::Reset(Side::Server) } else { Closing::Fin(Side::Client) };
    let session = sim.outside(host, address, 443, rtt, ready, Transport::Tcp(Opening::Handshake, closing));
    sim.push(web::tls(session, random, client_of(sim, host), Some(sni), &beats));
}
