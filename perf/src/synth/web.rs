//! Visits to web sites: over TLS, in the clear, over QUIC, and through the explicit proxy.

use std::net::IpAddr;
use std::sync::Arc;

use super::http::{Request, Response};
use super::random::{ALPHANUMERIC, LETTERS, Random};
use super::session::{Data, Framing, MICRO, MILLI, SECOND, Session, Side, Transport};
use super::sim::Sim;
use super::sites::{BROWSERS, Kind};
use super::tls::{Client, Hello};
use super::world::{Department, Role};

/// Sizes of responses in bytes: median under 10 kB, a tail of downloads. The shape (log-normal body, heavy tail)
/// is that of Barford and Crovella, "Generating representative web workloads", SIGMETRICS 1998.
const RESPONSES: [(f64, f64); 6] =
    [(0.0, 250.0), (0.3, 1_800.0), (0.6, 9_000.0), (0.9, 45_000.0), (0.99, 600_000.0), (1.0, 12_000_000.0)];
/// Sizes of requests with cookies.
const REQUESTS: [(f64, f64); 4] = [(0.0, 180.0), (0.5, 620.0), (0.9, 1_900.0), (1.0, 9_000.0)];
/// Reading time between two requests on a connection, seconds.
const THINK: [(f64, f64); 4] = [(0.0, 0.02), (0.6, 0.3), (0.9, 4.0), (1.0, 20.0)];

/// What a TLS connection says after TCP is up: the handshake, then rounds of request and response.
pub(crate) fn tls(
    session: Session,
    random: &mut Random,
    client: Client,
    sni: Option<Arc<str>>,
    rounds: &[(u64, u64, i64)],
) -> Session {
    let nonce = random.bits();
    let flight = random.range(1_900, 4_300);
    let mut session = session
        .send(Side::Client, Data::Hello(Box::new(Hello { client, sni, nonce })))
        .wait(600 * MICRO)
        .send(Side::Server, Data::ServerHello(client, nonce));
    session = if client.version() == 0x0304 {
        session.send(Side::Server, Data::Framed(Framing::Tls, flight))
    } else {
        // Session resumed: the server's Finished, encrypted.
        session.send(Side::Server, Data::Bytes(Arc::from(&FINISHED_12[..])))
    };
    session = session.send(Side::Client, Data::Bytes(Arc::from(&CHANGE_CIPHER[..])));
    session = session.send(Side::Client, Data::Framed(Framing::Tls, 79));
    for &(up, down, pause) in rounds {
        session = session
            .wait(pause)
            .send(Side::Client, Data::Framed(Framing::Tls, up))
            .wait(random.range(1, 30) as i64 * MILLI)
            .send(Side::Server, Data::Framed(Framing::Tls, down));
    }
    session
}

const CHANGE_CIPHER: [u8; 6] = [20, 3, 3, 0, 1, 1];
/// A handshake record of 40 encrypted bytes.
const FINISHED_12: [u8; 45] = {
    let mut record = [0x9d; 45];
    record[0] = 22;
    record[1] = 3;
    record[2] = 3;
    record[3] = 0;
    record[4] = 40;
    record
};

/// Rounds of a browser on one connection.
pub(crate) fn rounds(sim: &Sim, random: &mut Random, most: u64) -> Vec<(u64, u64, i64)> {
    let n = random.range(1, most);
    (0..n)
        .map(|i| {
            let down = random.quantile(&RESPONSES);
            let pause = if i == 0 { 0.001 } else { random.quantile(&THINK) };
            (random.quantile(&REQUESTS) as u64, sim.bulk(down), (pause * SECOND as f64) as i64)
        })
        .collect()
}

/// A person opens a page: the site itself and the third parties it includes.
pub(crate) fn browse(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let department = sim.world.hosts[host].department as usize;
    let services = super::sites::SERVICES.len();
    let browsing = sim.world.sites.len() - services;
    let mut site = sim.world.popularity.draw(random) % browsing;
    if random.chance(0.45) {
        // Each department has its own favourites: one site in five.
        site = (site / 5 * 5 + department) % browsing;
    }
    visit(sim, random, host, site, 0, at);
    let mut when = at + random.range(80, 400) as i64 * MILLI;
    if random.chance(0.7) {
        visit(sim, random, host, site, 1, when);
    }
    for _ in 0..random.below(3) {
        // Third parties are few and popular.
        let tracker = sim.world.popularity.draw(random) % browsing.min(60);
        let third =
            (0..browsing).map(|i| (tracker + i) % browsing).find(|&i| matches!(sim.world.sites[i].kind, Kind::Tracker));
        when += random.range(20, 900) as i64 * MILLI;
        let name = random.index(3);
        visit(sim, random, host, third.unwrap_or(site), name, when);
    }
}

/// One connection of a browser to a site.
pub(crate) fn visit(sim: &mut Sim, random: &mut Random, host: usize, site: usize, name: usize, at: i64) {
    let proxied =
        sim.world.hosts[host].department == Department::Finance && sim.world.hosts[host].role == Role::Workstation;
    let (client, agent) = BROWSERS[sim.world.hosts[host].browser];
    if proxied {
        return through_proxy(sim, random, host, site, name, at);
    }
    let (address, ready) = sim.resolve(random, host, site, name, at, true);
    let s = &sim.world.sites[site];
    let (sni, rtt, plain) = (s.names[name % s.names.len()].clone(), s.rtt, s.plain);
    if plain {
        let session = sim.outside(host, address, 80, rtt, ready, Transport::TCP);
        let session = requests(sim, random, session, &sni, agent, None);
        sim.push(session);
    } else if client == Client::Chromium && random.chance(0.12) {
        quic(sim, random, host, address, rtt, ready);
    } else {
        let rounds = rounds(sim, random, 3);
        let session = sim.outside(host, address, 443, rtt, ready, Transport::TCP);
        sim.push(tls(session, random, client, Some(sni), &rounds));
    }
}

/// Requests in the clear on one connection; through a proxy the target is in absolute form.
fn requests(
    sim: &Sim,
    random: &mut Random,
    mut session: Session,
    host: &Arc<str>,
    agent: &str,
    user: Option<Arc<str>>,
) -> Session {
    let mut referer = None;
    for i in 0..random.range(1, 4) {
        let path = path(random, i == 0);
        let target = if user.is_some() { format!("http://{host}{path}") } else { path };
        let kind = if i == 0 {
            "text/html"
        } else {
            *random.pick(&[
                "text/css",
                "application/javascript",
                "image/webp",
                "text/plain",
                "application/octet-stream",
            ])
        };
        let body = random.quantile(&RESPONSES);
        let status = *random.weighted(&[(88, 200), (6, 304), (3, 302), (3, 404)]);
        let request = Request {
            referer: referer.clone(),
            user: user.clone(),
            ..Request::get(host.clone(), target, agent.into())
        };
        referer.get_or_insert_with(|| format!("http://{host}/"));
        let response = Response {
            status,
            content_type: (status != 304).then_some(kind),
            body: if status == 302 { 0 } else { sim.bulk(body) },
        };
        session = session
            .send(Side::Client, Data::Request(Box::new(request)))
            .wait(random.range(2, 60) as i64 * MILLI)
            .send(Side::Server, Data::Response { response: Box::new(response), to_connect: false })
            .wait(random.range(5, 400) as i64 * MILLI);
    }
    session
}

/// A path with now and then a query.
fn path(random: &mut Random, page: bool) -> String {
    if page && random.chance(0.3) {
        return "/".to_owned();
    }
    let depth = random.range(1, 3);
    let mut path: String = (0..depth)
        .map(|_| {
            let n = random.range(3, 9) as usize;
            format!("/{}", random.text(LETTERS, n))
        })
        .collect();
    if !page {
        path.push_str(random.pick::<&str>(&[".css", ".js", ".webp", ".txt", ".zip"]));
    }
    if random.chance(0.25) {
        path.push_str(&format!("?id={}&v={}", random.text(ALPHANUMERIC, 8), random.below(100)));
    }
    path
}

/// The same through the explicit proxy: CONNECT for TLS, absolute form in the clear; and the proxy's own connection.
fn through_proxy(sim: &mut Sim, random: &mut Random, host: usize, site: usize, name: usize, at: i64) {
    let proxy = sim.world.serving(Role::Proxy, host);
    let (client, agent) = BROWSERS[sim.world.hosts[host].browser];
    let user: Arc<str> = user(host).into();
    let s = &sim.world.sites[site];
    let (domain, rtt, plain) = (s.names[name % s.names.len()].clone(), s.rtt, s.plain);
    let (address, ready) = sim.resolve(random, proxy, site, name, at + 2 * MILLI, false);
    let session = sim.inside(host, proxy, 3128, at, Transport::TCP);
    if plain {
        let session = requests(sim, random, session, &domain, agent, Some(user));
        sim.push(session);
        let up = sim.outside(proxy, address, 80, rtt, ready, Transport::TCP);
        let up = requests(sim, random, up, &domain, agent, None);
        sim.push(up);
        return;
    }
    let authority = format!("{domain}:443");
    let request = Request {
        method: "CONNECT",
        user: Some(user),
        ..Request::get(authority.as_str().into(), authority, agent.into())
    };
    let established = Response { status: 200, content_type: None, body: 0 };
    let rounds = rounds(sim, random, 3);
    let session = session
        .send(Side::Client, Data::Request(Box::new(request)))
        .wait(ready - at + rtt)
        .send(Side::Server, Data::Response { response: Box::new(established), to_connect: true });
    let mut again = random.clone();
    sim.push(tls(session, random, client, Some(domain.clone()), &rounds));
    let up = sim.outside(proxy, address, 443, rtt, ready, Transport::TCP);
    sim.push(tls(up, &mut again, client, Some(domain), &rounds));
}

/// HTTP/3 (RFC 9000): an Initial packet, then protected datagrams.
fn quic(sim: &mut Sim, random: &mut Random, host: usize, address: IpAddr, rtt: i64, at: i64) {
    let mut initial = vec![0xc3, 0, 0, 0, 1, 8];
    super::tls::noise(random.bits(), 8, &mut initial);
    // No source connection id, no token, 1182 bytes of protected payload.
    initial.extend_from_slice(&[0, 0, 0x44, 0x9e]);
    super::tls::noise(random.bits(), 1182, &mut initial);
    let mut answer = initial.clone();
    answer[16..].reverse();
    answer[14..18].copy_from_slice(&[0, 0, 0x44, 0x9e]);
    let down = random.quantile(&RESPONSES);
    let datagrams = (sim.bulk(down) / 700 + 6).min(400) as u32;
    let session = sim.outside(host, address, 443, rtt, at, Transport::Udp);
    let session = session.exchange(Data::Bytes(initial.into()), MILLI, Data::Bytes(answer.into())).stream(
        datagrams,
        900 * MICRO,
        (60, 320),
        Some((900, 1_200)),
    );
    sim.push(session);
}

/// Login name of a host's user.
pub(crate) fn user(host: usize) -> String {
    const GIVEN: [&str; 12] =
        ["anna", "ben", "carla", "david", "eva", "felix", "greta", "hugo", "ines", "jan", "kira", "leo"];
    format!("{}.{:03}", GIVEN[host % GIVEN.len()], host)
}
