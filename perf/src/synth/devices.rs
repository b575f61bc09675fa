//! Printers, telephones and cameras.

use super::protocols;
use super::random::Random;
use super::session::{HOUR, MILLI, MINUTE, SECOND, Session, Side, Transport};
use super::sim::{Rhythm, Schedule, Sim};
use super::tls::Client;
use super::world::Role;
use super::{office, web};

/// Gives a device its habits.
pub(crate) fn settle(sim: &mut Sim, host: usize) {
    match sim.world.hosts[host].role {
        Role::Printer => {
            sim.habit(host, Schedule::Every { period: 6 * HOUR, jitter: 10 * MINUTE }, office::clock);
            sim.habit(host, Schedule::Chance(2.0, Rhythm::Office), announce);
        }
        Role::Phone => {
            sim.habit(host, Schedule::Every { period: HOUR, jitter: 30 * SECOND }, register);
            sim.habit(host, Schedule::Chance(2.5, Rhythm::Office), talk);
        }
        Role::Camera => {
            sim.habit(host, Schedule::Every { period: 2 * HOUR, jitter: MINUTE }, check_in);
            sim.habit(host, Schedule::Chance(10.0, Rhythm::Flat), motion);
            sim.habit(host, Schedule::Every { period: 3 * HOUR, jitter: MINUTE }, office::clock);
        }
        _ => (),
    }
}

/// mDNS: here I am.
fn announce(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    use super::dns::{Answer, Dns, Rdata, qtype};
    let name = sim.world.hosts[host].name.clone();
    let short = name.split('.').next().unwrap_or_default();
    let service: std::sync::Arc<str> = "_ipp._tcp.local".into();
    let mut message = Dns::query(0, service.clone(), qtype::PTR, None);
    message.flags = 0x8400;
    message.has_question = false;
    message.answers =
        vec![Answer { name: service, ttl: 4500, data: Rdata::Ptr(format!("{short}._ipp._tcp.local").into()) }];
    let session = office::group(sim, host, 5353, 5353, [224, 0, 0, 251].into(), 255, at);
    let data = || super::session::Data::Dns(Box::new(message.clone()));
    sim.push(
        session.send(Side::Client, data()).wait(random.range(900, 1100) as i64 * MILLI).send(Side::Client, data()),
    );
}

fn register(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Exchange, host);
    let (phone, pbx) = (sim.world.hosts[host].v4.to_string(), sim.world.hosts[server].v4.to_string());
    let (from, to, rtt) = sim.world.between_ports(host, 5060, server, 5060, false);
    let (request, answer) = protocols::sip_register(random, &phone, &pbx, 3600);
    sim.push(Session::new(at, from, to, Transport::Udp, rtt).exchange(request, 2 * MILLI, answer));
}

/// A telephone call through the exchange: 20 ms voice packets, thinned at low volume.
fn talk(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Exchange, host);
    let seconds = random.quantile(&[(0.0, 8.0), (0.5, 95.0), (0.9, 420.0), (1.0, 1_800.0)]);
    let per_second = (50.0 * sim.config.volume).clamp(0.5, 50.0);
    let gap = (SECOND as f64 / per_second / 2.0) as i64;
    let port = 16_384 + 2 * random.below(6000) as u16;
    let (mut from, to, rtt) = sim.world.between(host, server, port);
    from.ip = sim.world.hosts[host].v4.into();
    let to = super::session::End { ip: sim.world.hosts[server].v4.into(), ..to };
    let session = Session::new(at, from, to, Transport::Udp, rtt);
    sim.push(session.stream((seconds * per_second * 2.0) as u32 + 2, gap, (172, 172), Some((172, 172))));
}

/// The maker's cloud.
fn check_in(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let site = sim.service("devicecloud.example");
    let (address, ready) = sim.resolve(random, host, site, 0, at, false);
    let (sni, rtt) = (sim.world.sites[site].names[0].clone(), sim.world.sites[site].rtt);
    let session = sim.outside(host, address, 443, rtt, ready, Transport::TCP);
    sim.push(web::tls(session, random, Client::Device, Some(sni), &[(380, 190, MILLI)]));
}

/// A clip to the recorder.
fn motion(sim: &mut Sim, random: &mut Random, host: usize, at: i64) {
    let server = sim.world.serving(Role::Recorder, host);
    let bytes = random.quantile(&[(0.0, 300_000.0), (0.8, 3_000_000.0), (1.0, 20_000_000.0)]);
    let bytes = sim.bulk(bytes);
    let session = sim.inside(host, server, 8554, at, Transport::TCP);
    sim.push(session.send(Side::Client, super::session::Data::Fill(bytes)));
}
