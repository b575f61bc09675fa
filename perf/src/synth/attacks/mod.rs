//! Injected attacks. Rates, sizes and names are drawn from what was published; each attack names its source.

mod command;
mod many;
mod quiet;
mod reconnaissance;
mod theft;
mod tunnels;

use std::net::IpAddr;
use std::sync::Arc;

use super::config::{Attack, Intensity};
use super::dns::{Answer, Rdata, qtype};
use super::label::{Incident, Label, Selector, Source};
use super::random::Random;
use super::session::{DAY, HOUR, MILLI};
use super::sim::Sim;
use super::world::{Department, Role};

/// A series of like acts: so many, so far apart.
pub(crate) struct Campaign {
    pub(crate) incident: u32,
    left: u64,
    number: u64,
    gap: Gap,
    act: Do,
}

/// Nanoseconds to the next act, from the number of acts done.
type Gap = Box<dyn FnMut(&mut Random, u64) -> i64>;
/// One act: when, and its number from 0.
type Do = Box<dyn FnMut(&mut Sim, &mut Random, i64, u64)>;

impl Campaign {
    /// Does the next act; gives when the one after it is due.
    pub(crate) fn step(&mut self, sim: &mut Sim, random: &mut Random, at: i64) -> Option<i64> {
        (self.act)(sim, random, at, self.number);
        self.number += 1;
        self.left = self.left.saturating_sub(1);
        (self.left > 0).then(|| at + (self.gap)(random, self.number))
    }
}

/// What an attack says of itself.
struct Story {
    kind: Attack,
    description: String,
    /// Where rates and sizes come from.
    basis: &'static str,
    clients: Vec<IpAddr>,
    servers: Vec<IpAddr>,
    ports: Vec<u16>,
    names: Vec<String>,
    records: Vec<Selector>,
}

impl Story {
    /// Its records are flows of its clients to its servers on its ports, where there are any.
    fn with_flows(mut self, proto: Option<u8>) -> Self {
        self.records.push(Selector {
            client: self.clients.clone(),
            server: self.servers.clone(),
            server_port: self.ports.clone(),
            proto,
            ..Selector::of(Source::Flow)
        });
        self
    }

    /// Its records are those of its clients for its names.
    fn with_names(mut self, sources: &[Source]) -> Self {
        self.records.extend(sources.iter().map(|source| Selector {
            client: self.clients.clone(),
            name_under: self.names.clone(),
            ..Selector::of(*source)
        }));
        self
    }
}

/// Half a gap to one and a half.
fn around(gap: i64) -> Gap {
    Box::new(move |random, _| gap / 2 + random.below(gap as u64) as i64)
}

/// A gap, up to so many percent shorter.
fn sooner(gap: i64, percent: u64) -> Gap {
    Box::new(move |random, _| gap - random.below(gap as u64 * percent / 100) as i64)
}

/// Without a rhythm, at least so far apart.
fn scattered(mean: i64, least: i64) -> Gap {
    Box::new(move |random, _| (random.exponential(mean as f64) as i64).max(least))
}

/// Adds the configured attacks to the last day.
pub(crate) fn settle(sim: &mut Sim) {
    let wanted = sim.config.attacks.clone();
    for kind in wanted {
        let mut random = Random::new(sim.config.seed, 100 + kind as u64);
        match kind {
            Attack::ScanVertical => reconnaissance::vertical(sim, &mut random),
            Attack::ScanHorizontal => reconnaissance::horizontal(sim, &mut random),
            Attack::ScanSlow => reconnaissance::slow(sim, &mut random),
            Attack::SshBruteForce => reconnaissance::ssh(sim, &mut random),
            Attack::BeaconHttps => command::https(sim, &mut random),
            Attack::BeaconHttp => command::http(sim, &mut random),
            Attack::RareUserAgent => command::rare_user_agent(sim, &mut random),
            Attack::DnsTunnelTxt => tunnels::txt(sim, &mut random),
            Attack::DnsTunnelNull => tunnels::null(sim, &mut random),
            Attack::Dga => tunnels::dga(sim, &mut random),
            Attack::ExfiltrationNight => theft::exfiltrate(sim, &mut random, kind),
            Attack::ExfiltrationDay => theft::exfiltrate(sim, &mut random, kind),
            Attack::LateralMovement => theft::lateral(sim, &mut random),
            Attack::OddPort => theft::odd_port(sim, &mut random),
            Attack::ScanUdp => many::scan_udp(sim, &mut random),
            Attack::ScanIpv6 => many::scan_ipv6(sim, &mut random),
            Attack::PasswordSpray => many::spray(sim, &mut random),
            Attack::BeaconJitter => quiet::jitter(sim, &mut random),
            Attack::BeaconSeldom => quiet::seldom(sim, &mut random),
            Attack::BeaconFronted => quiet::fronted(sim, &mut random),
            Attack::DohTunnel => quiet::doh(sim, &mut random),
            Attack::IcmpTunnel => quiet::icmp(sim, &mut random),
            Attack::DnsTunnelSlow => quiet::dns_slow(sim, &mut random),
            Attack::DgaFew => quiet::dga_few(sim, &mut random),
            Attack::ExfiltrationSpread => many::spread(sim, &mut random),
            Attack::ReverseShell => quiet::shell(sim, &mut random),
            Attack::NewServer => many::new_server(sim, &mut random),
            Attack::FastFlux => quiet::fast_flux(sim, &mut random),
            Attack::LateralWinrm => many::winrm(sim, &mut random),
        }
    }
}

/// Registers an incident and its campaign, `count` acts from `first` on.
fn begin(sim: &mut Sim, story: Story, first: i64, count: u64, gap: Gap, act: Do) {
    let incident = open(sim, story);
    add(sim, incident, first, count, gap, act);
}

fn open(sim: &mut Sim, story: Story) -> u32 {
    let incident = sim.incidents.len() as u32;
    let label = Label {
        id: format!("{}-1", story.kind.name()),
        kind: story.kind,
        intensity: sim.config.intensity,
        first: i64::MAX,
        last: i64::MIN,
        clients: story.clients,
        servers: story.servers,
        ports: story.ports,
        names: story.names,
        description: story.description,
        basis: story.basis.to_owned(),
        records: story.records,
    };
    sim.incidents.push(Incident { label });
    incident
}

fn add(sim: &mut Sim, incident: u32, first: i64, count: u64, gap: Gap, act: Do) {
    sim.attacker(first, Campaign { incident, left: count, number: 0, gap, act });
}

/// The value for the configured intensity.
fn by<T>(sim: &Sim, low: T, medium: T, high: T) -> T {
    match sim.config.intensity {
        Intensity::Low => low,
        Intensity::Medium => medium,
        Intensity::High => high,
    }
}

/// A time of the last day.
fn last_day(sim: &Sim, time: i64) -> i64 {
    sim.end() - DAY + time
}

/// A time in office hours of the last day, with `room` hours left before the evening.
fn office_time(sim: &Sim, random: &mut Random, room: i64) -> i64 {
    last_day(sim, 9 * HOUR) + random.below(((8 - room.min(7)) * HOUR) as u64) as i64
}

/// A workstation that falls victim; each attack takes another, so that incidents do not mix.
fn victim(sim: &Sim, kind: Attack, random: &mut Random) -> usize {
    let stations = sim.world.of(Role::Workstation);
    let share = stations.len() / Attack::ALL.len();
    let first = kind as usize * stations.len() / Attack::ALL.len() + random.index(share.max(1));
    (0..stations.len())
        .map(|i| stations[(first + i) % stations.len()])
        // Finance goes through the proxy, which would be the client of everything.
        .find(|&host| sim.world.hosts[host].department != Department::Finance)
        .unwrap_or(stations[0])
}

/// The other workstations.
fn colleagues(sim: &Sim, host: usize) -> Vec<usize> {
    sim.world.of(Role::Workstation).iter().copied().filter(|&h| h != host).collect()
}

/// Addresses of a host.
fn addresses(sim: &Sim, host: usize) -> Vec<IpAddr> {
    let h = &sim.world.hosts[host];
    std::iter::once(h.v4.into()).chain(h.v6.map(Into::into)).collect()
}

/// The victim looks a name up, and the answer is one address.
fn look_up(
    sim: &mut Sim,
    random: &mut Random,
    host: usize,
    at: i64,
    name: &Arc<str>,
    address: std::net::Ipv4Addr,
    ttl: u32,
) {
    let answers = vec![Answer { name: name.clone(), ttl, data: Rdata::A(address) }];
    sim.ask(random, host, at - 60 * MILLI, name, qtype::A, 35 * MILLI, |q| q.answer(0, false, answers, Vec::new()));
}
