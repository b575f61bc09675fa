//! Command and control over HTTP and HTTPS.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::config::Attack;
use super::super::http::{Request, Response};
use super::super::label::{Selector, Source};
use super::super::random::{ALPHANUMERIC, Random};
use super::super::session::{Data, HOUR, MILLI, MINUTE, SECOND, Session, Side, Transport};
use super::super::sim::Sim;
use super::super::sites::rented;
use super::super::tls::Client;
use super::super::web;
use super::{Story, addresses, begin, by, look_up, office_time, victim};

/// Time from one check-in to the next. Cobalt Strike sleeps between `sleep × (1 − jitter)` and `sleep`; its defaults are
/// 60 s and no jitter, Empire's 5 s and none; public Malleable C2 profiles use minutes and 10 to 50 percent.
struct Sleep {
    sleep: i64,
    jitter: f64,
}

impl Sleep {
    fn draw(&self, random: &mut Random) -> i64 {
        self.sleep - (random.unit() * self.jitter * self.sleep as f64) as i64
    }
}

#[expect(clippy::too_many_arguments, reason = "an incident is told by all of these, once")]
fn story(
    sim: &Sim,
    kind: Attack,
    host: usize,
    server: IpAddr,
    port: u16,
    name: &str,
    basis: &'static str,
    description: String,
) -> Story {
    let clients = addresses(sim, host);
    let flow = Selector {
        client: clients.clone(),
        server: vec![server],
        server_port: vec![port],
        ..Selector::of(Source::Flow)
    };
    let names = vec![name.to_owned()];
    let dns = Selector { client: clients.clone(), name_under: names.clone(), ..Selector::of(Source::Dns) };
    let proxy = Selector { client: clients.clone(), name_under: names.clone(), ..Selector::of(Source::Proxy) };
    Story {
        kind,
        description,
        basis,
        clients,
        servers: vec![server],
        ports: vec![port],
        names,
        records: vec![flow, dns, proxy],
    }
}

/// Check-ins over TLS, with a server name.
pub(super) fn https(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::BeaconHttps, random);
    let server = rented(random);
    let name: Arc<str> = format!("{}.update-check.example", random.pick(&["cdn", "api", "edge", "sync"])).into();
    let sleep = by(
        sim,
        Sleep { sleep: 30 * MINUTE, jitter: 0.5 },
        Sleep { sleep: 5 * MINUTE, jitter: 0.2 },
        Sleep { sleep: 60 * SECOND, jitter: 0.0 },
    );
    let hours = 9;
    let count = ((hours * HOUR) as f64 / (sleep.sleep as f64 * (1.0 - sleep.jitter / 2.0))) as u64;
    let description = format!(
        "implant checks in every {} s, jitter {:.0} %, by TLS as {name}",
        sleep.sleep / SECOND,
        sleep.jitter * 100.0
    );
    let basis = "Cobalt Strike: 60 s, no jitter by default; Malleable C2 profiles: minutes, 10 to 50 %";
    let story = story(sim, Attack::BeaconHttps, host, server.into(), 443, &name, basis, description);
    let first = super::last_day(sim, 9 * HOUR) + random.below(HOUR as u64) as i64;
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| sleep.draw(random)),
        Box::new(move |sim, random, at, number| {
            if number % 12 == 0 {
                look_up(sim, random, host, at, &name, server, 300);
            }
            let session = sim.outside(host, server.into(), 443, 34 * MILLI, at, Transport::TCP);
            // Mostly nothing to do; now and then a task and its result.
            let rounds: &[(u64, u64, i64)] = if random.chance(0.06) {
                &[(341, 2_900, MILLI), (6_200, 133, 800 * MILLI)]
            } else {
                &[(341, 133, MILLI)]
            };
            sim.push(web::tls(session, random, Client::Implant, Some(name.clone()), rounds));
        }),
    );
}

/// Check-ins in the clear: GET with an encoded cookie-like query, small answers.
pub(super) fn http(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::BeaconHttp, random);
    let server = rented(random);
    let name: Arc<str> = "static.image-store.example".into();
    let (sleep, hours) = by(
        sim,
        (Sleep { sleep: 20 * MINUTE, jitter: 0.4 }, 9),
        (Sleep { sleep: 60 * SECOND, jitter: 0.3 }, 6),
        (Sleep { sleep: 5 * SECOND, jitter: 0.0 }, 2),
    );
    let count = ((hours * HOUR) as f64 / (sleep.sleep as f64 * (1.0 - sleep.jitter / 2.0))) as u64;
    let description = format!(
        "implant checks in every {} s, jitter {:.0} %, by HTTP at {name}",
        sleep.sleep / SECOND,
        sleep.jitter * 100.0
    );
    let basis = "Empire: 5 s, no jitter by default; Cobalt Strike: 60 s; profiles up to 40 %";
    let story = story(sim, Attack::BeaconHttp, host, server.into(), 80, &name, basis, description);
    let first = office_time(sim, random, hours);
    let agent: Arc<str> = "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko".into();
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| sleep.draw(random)),
        Box::new(move |sim, random, at, number| {
            if number % 30 == 0 {
                look_up(sim, random, host, at, &name, server, 600);
            }
            let target = format!("/jquery-3.3.1.min.js?__cfduid={}", random.text(ALPHANUMERIC, 43));
            let request = Request::get(name.clone(), target, agent.clone());
            let response =
                Response { status: 200, content_type: Some("application/javascript"), body: 5_543 + random.below(3) };
            let session = sim.outside(host, server.into(), 80, 41 * MILLI, at, Transport::TCP);
            sim.push(answer(session, request, response));
        }),
    );
}

fn answer(session: Session, request: Request, response: Response) -> Session {
    session
        .send(Side::Client, Data::Request(Box::new(request)))
        .wait(4 * MILLI)
        .send(Side::Server, Data::Response { response: Box::new(response), to_connect: false })
}

/// POSTs with a user agent nobody else has (MITRE ATT&CK T1071.001; commodity loaders post form data to a `.php` gate,
/// a few times an hour to a few times a minute).
pub(super) fn rare_user_agent(sim: &mut Sim, random: &mut Random) {
    let host = victim(sim, Attack::RareUserAgent, random);
    let server = rented(random);
    let name: Arc<str> = "panel.invoice-cloud.example".into();
    let agent: Arc<str> = format!(
        "{}/{}.0 (compatible; {})",
        random.pick(&["Agent", "Mozila", "WinHttpClient"]),
        random.range(1, 4),
        random.text(ALPHANUMERIC, 6)
    )
    .into();
    let count = by(sim, 6, 30, 150);
    let gap = by(sim, 40 * MINUTE, 6 * MINUTE, 40 * SECOND);
    let description = format!("{count} POSTs to {name} with the user agent {agent}");
    let basis = "MITRE ATT&CK T1071.001; six POSTs a day to one every 40 s";
    let mut story = story(sim, Attack::RareUserAgent, host, server.into(), 80, &name, basis, description);
    story.records.push(Selector { user_agent: Some(agent.to_string()), ..Selector::of(Source::Proxy) });
    let first = office_time(sim, random, 4);
    begin(
        sim,
        story,
        first,
        count,
        Box::new(move |random, _| (random.exponential(gap as f64) as i64).max(SECOND)),
        Box::new(move |sim, random, at, number| {
            if number % 8 == 0 {
                look_up(sim, random, host, at, &name, server, 900);
            }
            let body = random.range(180, 4_000);
            let request = Request {
                method: "POST",
                content_type: Some("application/octet-stream"),
                body,
                ..Request::get(name.clone(), format!("/{}/gate.php", random.text(ALPHANUMERIC, 5)), agent.clone())
            };
            let status = if random.chance(0.2) { 404 } else { 200 };
            let response = Response { status, content_type: Some("text/html"), body: random.range(4, 60) };
            let session = sim.outside(host, server.into(), 80, 63 * MILLI, at, Transport::TCP);
            sim.push(answer(session, request, response));
        }),
    );
}
