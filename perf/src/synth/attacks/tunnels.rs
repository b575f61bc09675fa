//! DNS as a channel: tunnels and generated names.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::config::Attack;
use super::super::dns::{Answer, Dns, Rdata, qtype};
use super::super::label::{Selector, Source};
use super::super::random::{HEX, LETTERS, Random};
use super::super::session::{Data, MILLI, MINUTE, SECOND, Transport};
use super::super::sim::Sim;
use super::super::sites::rented;
use super::super::tls::{Client, noise};
use super::super::web;
use super::{Story, addresses, begin, by, look_up, office_time, victim};

/// The story of a tunnel: rows are known by the name in the DNS table, and the resolver's own questions by the server.
pub(super) fn story(
    sim: &Sim,
    kind: Attack,
    host: usize,
    server: IpAddr,
    zone: &str,
    basis: &'static str,
    description: String,
) -> Story {
    let clients = addresses(sim, host);
    let names = vec![zone.to_owned()];
    let dns = Selector { name_under: names.clone(), ..Selector::of(Source::Dns) };
    let flow = Selector { server: vec![server], server_port: vec![53], ..Selector::of(Source::Flow) };
    Story { kind, description, basis, clients, servers: vec![server], ports: vec![53], names, records: vec![dns, flow] }
}

/// One question and its answer: from the victim to the resolver, and from there to the attacker's server.
#[expect(clippy::too_many_arguments, reason = "an incident is told by all of these, once")]
pub(super) fn carry(
    sim: &mut Sim,
    random: &mut Random,
    host: usize,
    server: std::net::Ipv4Addr,
    at: i64,
    name: Arc<str>,
    kind: u16,
    data: Rdata,
) {
    let rtt = 28 * MILLI;
    let answers = vec![Answer { name: name.clone(), ttl: 3, data }];
    let resolver = sim.resolver(host);
    let mut query = Dns::query(random.bits() as u16, name.clone(), kind, Some(1232));
    query.flags = 0;
    let reply = query.answer(0, true, answers.clone(), Vec::new());
    let outer = sim.outside(resolver, server.into(), 53, rtt, at + MILLI / 2, Transport::Udp);
    sim.push(outer.exchange(Data::Dns(Box::new(query)), MILLI, Data::Dns(Box::new(reply))));
    let query = Dns::query(random.bits() as u16, name, kind, Some(4096));
    let reply = query.answer(0, false, answers, Vec::new());
    let inner = sim.inside(host, resolver, 53, at, Transport::Udp);
    sim.push(inner.exchange(Data::Dns(Box::new(query)), rtt + 2 * MILLI, Data::Dns(Box::new(reply))));
}

/// After dnscat2: hexadecimal labels, polling once a second by default (`--delay 1000`), types TXT, CNAME and MX; here TXT.
pub(super) fn txt(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::DnsTunnelTxt, random);
    let server = rented(random);
    let zone = "t.status-node.example";
    let (delay, count) = by(sim, (45 * SECOND, 240), (4 * SECOND, 700), (SECOND, 3_000));
    let description = format!("{count} TXT questions under {zone}, one every {} s", delay / SECOND);
    let basis = "dnscat2: hexadecimal labels, one poll a second by default, slower with --delay";
    let story = story(sim, Attack::DnsTunnelTxt, host, server.into(), zone, basis, description);
    let first = office_time(sim, random, 4);
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| delay + random.below(delay as u64 / 20) as i64),
        Box::new(move |sim, random, at, _| {
            // A header of 9 bytes when idle, up to about 100 bytes of data when something is sent.
            let data = if random.chance(0.7) { 18 } else { random.range(60, 190) as usize };
            let text = random.text(HEX, data);
            let labels: Vec<&str> = text.as_bytes().chunks(60).filter_map(|c| std::str::from_utf8(c).ok()).collect();
            let name = format!("{}.{zone}", labels.join(".")).into();
            let down = if random.chance(0.8) { 18 } else { random.range(60, 240) as usize };
            let answer = random.text(HEX, down).into_bytes().into();
            carry(sim, random, host, server, at, name, qtype::TXT, Rdata::Txt(answer));
        }),
    );
}

/// After iodine: NULL records by default, names up to 255 octets (`-M 255`), a poll at least every 4 s (`-I 4`), fragments
/// of up to about 1,130 bytes downstream; bursts while data flows.
pub(super) fn null(sim: &mut Sim, random: &mut Random) {
    const BASE32: &[u8] = b"abcdefghijklmnopqrstuvwxyz012345";
    let host = victim(sim, Attack::DnsTunnelNull, random);
    let server = rented(random);
    let zone = "io.relay-net.example";
    let (count, active) = by(sim, (300, 0.1), (1_000, 0.5), (4_000, 0.9));
    let description = format!("{count} NULL questions under {zone}");
    let basis = "iodine(8): NULL first, -M 255, -I 4; 50 to 680 kbit/s while data flows";
    let story = story(sim, Attack::DnsTunnelNull, host, server.into(), zone, basis, description);
    let first = office_time(sim, random, 3);
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| {
            if random.chance(active) {
                random.range(30, 120) as i64 * MILLI
            } else {
                4 * SECOND - random.below(200) as i64 * MILLI
            }
        }),
        Box::new(move |sim, random, at, _| {
            let busy = random.chance(active);
            let length = if busy { random.range(150, 215) as usize } else { 6 };
            let text = random.text(BASE32, length);
            let labels: Vec<&str> = text.as_bytes().chunks(57).filter_map(|c| std::str::from_utf8(c).ok()).collect();
            let name = format!("{}.{zone}", labels.join(".")).into();
            let mut answer = Vec::new();
            let size = if busy { random.range(300, 1_130) } else { 2 };
            noise(random.bits(), size as usize, &mut answer);
            carry(sim, random, host, server, at, name, qtype::NULL, Rdata::Null(answer.into()));
        }),
    );
}

/// Generated names. Plohmann et al. ("A comprehensive measurement study of domain generating malware", USENIX Security
/// 2016): 40 names a day (Ranbyus), 250 (Conficker A), 1,000 (GameOver Zeus, CryptoLocker) and more; mostly 8 to 24
/// letters over a few top-level domains, nearly all without an entry.
pub(super) fn dga(sim: &mut Sim, random: &mut Random) {
    const TOP: [&str; 6] = ["com", "net", "org", "info", "biz", "ru"];
    let host = victim(sim, Attack::Dga, random);
    let count: usize = by(sim, 40, 250, 1_000);
    let names: Vec<String> = (0..count)
        .map(|_| {
            // At least 14 letters: no such name is anybody's.
            let n = random.range(14, 24) as usize;
            format!("{}.{}", random.text(LETTERS, n), random.pick(&TOP))
        })
        .collect();
    let server = rented(random);
    let clients = addresses(sim, host);
    let story = Story {
        kind: Attack::Dga,
        description: format!("{count} generated names, the last one exists"),
        basis: "Plohmann et al. 2016: 40 (Ranbyus), 250 (Conficker A), 1,000 names a day (GameOver Zeus)",
        servers: vec![server.into()],
        ports: vec![53, 443],
        records: vec![
            Selector { client: clients.clone(), name_under: names.clone(), ..Selector::of(Source::Dns) },
            Selector { client: clients.clone(), server: vec![server.into()], ..Selector::of(Source::Flow) },
            Selector { client: clients.clone(), name_under: names.clone(), ..Selector::of(Source::Proxy) },
        ],
        clients,
        names: names.clone(),
    };
    let first = office_time(sim, random, 2);
    begin(
        sim,
        story,
        first,
        count as u64,
        // Runs of about 25 names, half a second apart, with pauses.
        Box::new(|random, number| {
            if number % 25 == 0 { random.range(60, 240) as i64 * SECOND } else { random.range(200, 900) as i64 * MILLI }
        }),
        Box::new(move |sim, random, at, number| {
            let name: Arc<str> = names[number as usize % names.len()].as_str().into();
            let zone: Arc<str> = name.rsplit('.').next().unwrap_or("com").into();
            if number as usize + 1 < names.len() {
                return sim.ask(random, host, at, &name, qtype::A, 45 * MILLI, |q| Sim::nxdomain(q, &zone));
            }
            look_up(sim, random, host, at, &name, server, 150);
            let session = sim.outside(host, server.into(), 443, 52 * MILLI, at, Transport::TCP);
            sim.push(web::tls(session, random, Client::Implant, Some(name), &[(512, 900, 2 * MINUTE / 60)]));
        }),
    );
}
