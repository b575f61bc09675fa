//! The running simulation: who acts when, and what the actors share (caches, ports, the list of sessions).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::config::SynthConfig;
use super::dns::{Answer, Dns, NXDOMAIN, Rdata, qtype};
use super::label::Incident;
use super::random::Random;
use super::session::{Closing, DAY, Data, HOUR, MICRO, MILLI, MINUTE, Opening, SECOND, Session, Side, Transport};
use super::world::{Host, Os, Role, World};
use super::{attacks, devices, infrastructure, office};

/// When an actor acts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Schedule {
    /// So many times a day on average, by chance, following a rhythm.
    Chance(f64, Rhythm),
    /// Every so many nanoseconds, each time moved by up to the jitter.
    Every { period: i64, jitter: i64 },
    /// Once a day at this time of the day, give or take the jitter.
    Daily { at: i64, jitter: i64 },
    /// The actor itself says when it acts next.
    Own,
}

/// The rhythm of a day.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rhythm {
    /// The host's working hours.
    Office,
    /// Visitors from the Internet: most in the evening, fewest before dawn.
    Public,
    /// Always the same.
    Flat,
}

/// Average of [`Rhythm::Public`]'s weights.
const PUBLIC: [f64; 24] = [
    0.35, 0.25, 0.2, 0.15, 0.15, 0.2, 0.3, 0.45, 0.6, 0.7, 0.75, 0.8, 0.8, 0.8, 0.75, 0.75, 0.8, 0.85, 0.9, 1.0, 1.0,
    0.9, 0.7, 0.5,
];

/// Something a host does again and again.
pub(crate) struct Actor {
    pub(crate) host: usize,
    pub(crate) schedule: Schedule,
    /// Makes the sessions of one occasion.
    pub(crate) act: Act,
    random: Random,
}

/// What an actor does.
pub(crate) enum Act {
    Habit(fn(&mut Sim, &mut Random, usize, i64)),
    Attack(attacks::Campaign),
}

/// The simulation.
pub(crate) struct Sim {
    pub(crate) config: SynthConfig,
    pub(crate) world: World,
    pub(crate) incidents: Vec<Incident>,
    /// Sessions made and not yet taken.
    pub(crate) out: Vec<Session>,
    actors: Vec<Actor>,
    /// When each actor acts next; `i64::MAX` for never. Beside the actors so that asking all of them is quick.
    due: Vec<i64>,
    begin: i64,
    end: i64,
    now: i64,
    host_cache: Vec<Vec<(u32, i64)>>,
    resolver_cache: HashMap<(usize, u32), i64>,
    incident: Option<u32>,
}

/// Names a stub resolver remembers: a handful is enough for an afternoon, and bounds the memory of large networks.
const HOST_CACHE: usize = 48;

impl Sim {
    pub(crate) fn new(config: SynthConfig) -> Self {
        let world = World::new(config.seed, config.hosts);
        let begin = config.date.midnight();
        let end = begin + i64::from(config.days) * DAY;
        let hosts = world.hosts.len();
        let mut sim = Self {
            config,
            world,
            incidents: Vec::new(),
            out: Vec::new(),
            actors: Vec::new(),
            due: Vec::new(),
            begin,
            end,
            now: begin,
            host_cache: vec![Vec::new(); hosts],
            resolver_cache: HashMap::new(),
            incident: None,
        };
        for host in 0..hosts {
            office::settle(&mut sim, host);
            devices::settle(&mut sim, host);
            infrastructure::settle(&mut sim, host);
        }
        attacks::settle(&mut sim);
        sim
    }

    /// Adds a habit. Its first occasion is drawn at once.
    pub(crate) fn habit(&mut self, host: usize, schedule: Schedule, act: fn(&mut Self, &mut Random, usize, i64)) {
        self.add(host, schedule, Act::Habit(act), None);
    }

    /// Adds an attacker whose first step is at `first`.
    pub(crate) fn attacker(&mut self, first: i64, campaign: attacks::Campaign) {
        self.add(0, Schedule::Own, Act::Attack(campaign), Some(first));
    }

    fn add(&mut self, host: usize, schedule: Schedule, act: Act, first: Option<i64>) {
        let random = Random::new(self.config.seed, 1000 + self.actors.len() as u64);
        let mut actor = Actor { host, schedule, act, random };
        let due = first.unwrap_or_else(|| match schedule {
            // Periodic things are somewhere within their period when the day begins.
            Schedule::Every { period, .. } => self.begin + actor.random.below(period as u64) as i64,
            _ => self.following(&mut actor, self.begin),
        });
        self.actors.push(actor);
        self.due.push(due);
    }

    /// When the actor acts after `at`.
    fn following(&self, actor: &mut Actor, at: i64) -> i64 {
        let Actor { host, schedule, random, .. } = actor;
        match *schedule {
            Schedule::Own => i64::MAX,
            Schedule::Every { period, jitter } => at + period + random.below(2 * jitter as u64 + 1) as i64 - jitter,
            Schedule::Daily { at: time, jitter } => {
                let mut day = (at - self.begin).div_euclid(DAY);
                loop {
                    let when = self.begin + day * DAY + time + random.below(2 * jitter as u64 + 1) as i64 - jitter;
                    if when > at {
                        return when;
                    }
                    day += 1;
                }
            }
            Schedule::Chance(per_day, rhythm) => {
                // Thinning (Lewis and Shedler 1979): draw at the highest rate, keep by the rate of the moment.
                let mean = DAY as f64 * rhythm.average() / (per_day * self.config.activity).max(1e-9);
                let mut when = at;
                loop {
                    when = when.saturating_add((random.exponential(mean) as i64).max(1));
                    if when >= self.end {
                        return i64::MAX;
                    }
                    if random.chance(self.weight(rhythm, &self.world.hosts[*host], when)) {
                        return when;
                    }
                }
            }
        }
    }

    /// Weight of a moment, 0 to 1.
    fn weight(&self, rhythm: Rhythm, host: &Host, at: i64) -> f64 {
        let (day, time) = ((at - self.begin).div_euclid(DAY), (at - self.begin).rem_euclid(DAY));
        match rhythm {
            Rhythm::Flat => 1.0,
            Rhythm::Public => PUBLIC[(time / HOUR) as usize % 24],
            Rhythm::Office if self.config.date.is_weekend(day) => 0.02,
            Rhythm::Office => {
                let [come, lunch, back, go] = host.hours;
                match time {
                    t if t < come - 20 * MINUTE || t > go + 3 * HOUR => 0.01,
                    t if t > go => 0.05,
                    t if t >= lunch && t < back => 0.3,
                    t if t >= come => 1.0,
                    _ => 0.1,
                }
            }
        }
    }

    /// Lets everybody act until `until`; the sessions, ordered by start, may begin later than that by a little.
    pub(crate) fn run(&mut self, until: i64) -> Vec<Session> {
        let until = until.min(self.end);
        for i in 0..self.actors.len() {
            while self.due[i] < until {
                let at = self.due[i];
                // The actor is taken out while it acts on the simulation it is part of.
                let random = Random::new(0, 0);
                let idle = Actor { host: 0, schedule: Schedule::Own, act: Act::Habit(|_, _, _, _| ()), random };
                let mut actor = std::mem::replace(&mut self.actors[i], idle);
                let next = match &mut actor.act {
                    Act::Habit(act) => {
                        act(self, &mut actor.random, actor.host, at);
                        self.following(&mut actor, at)
                    }
                    Act::Attack(campaign) => {
                        self.incident = Some(campaign.incident);
                        let next = campaign.step(self, &mut actor.random, at);
                        self.incident = None;
                        next.map_or(i64::MAX, |next| next.max(at + 1))
                    }
                };
                self.actors[i] = actor;
                self.due[i] = next;
            }
        }
        self.now = until;
        let mut out = std::mem::take(&mut self.out);
        out.sort_by_key(|s| s.start);
        out
    }

    pub(crate) fn begin(&self) -> i64 {
        self.begin
    }

    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// Adds a session. What an attacker causes, its lookups included, belongs to its incident.
    pub(crate) fn push(&mut self, mut session: Session) {
        session.incident = self.incident;
        self.out.push(session);
    }

    /// Bytes of a bulk transfer, by the configured volume: what is above 12 kB is scaled.
    pub(crate) fn bulk(&self, bytes: f64) -> u64 {
        const KEPT: f64 = 12_000.0;
        if bytes <= KEPT { bytes as u64 } else { (KEPT + (bytes - KEPT) * self.config.volume) as u64 }
    }

    /// A connection between two hosts of the organisation.
    pub(crate) fn inside(&mut self, client: usize, server: usize, port: u16, at: i64, transport: Transport) -> Session {
        let (from, to, rtt) = self.world.between(client, server, port);
        Session::new(at, from, to, transport, rtt)
    }

    /// A connection to the Internet.
    pub(crate) fn outside(
        &mut self,
        client: usize,
        server: IpAddr,
        port: u16,
        rtt: i64,
        at: i64,
        transport: Transport,
    ) -> Session {
        let (from, to, rtt) = self.world.outward(client, server, port, rtt);
        Session::new(at, from, to, transport, rtt)
    }

    /// The host's resolver.
    pub(crate) fn resolver(&self, host: usize) -> usize {
        self.world.serving(Role::Resolver, host)
    }

    /// One question to the host's resolver over UDP. `think`: how long the resolver takes.
    #[expect(clippy::too_many_arguments, reason = "a question is made of all of these, once")]
    pub(crate) fn ask(
        &mut self,
        random: &mut Random,
        host: usize,
        at: i64,
        name: &Arc<str>,
        kind: u16,
        think: i64,
        answer: impl FnOnce(&Dns) -> Dns,
    ) {
        let resolver = self.resolver(host);
        let edns = (self.world.hosts[host].os == Os::Linux).then_some(1232);
        let query = Dns::query(random.bits() as u16, name.clone(), kind, edns);
        let reply = answer(&query);
        let session = self.inside(host, resolver, 53, at, Transport::Udp);
        self.push(session.exchange(Data::Dns(Box::new(query)), think, Data::Dns(Box::new(reply))));
    }

    /// A question whose answer is too large for UDP: cut there, then whole over TCP (RFC 7766).
    pub(crate) fn ask_large(
        &mut self,
        random: &mut Random,
        host: usize,
        at: i64,
        name: &Arc<str>,
        kind: u16,
        answers: Vec<Answer>,
    ) {
        let resolver = self.resolver(host);
        let query = Dns::query(random.bits() as u16, name.clone(), kind, Some(1232));
        let cut = query.truncated();
        let whole = query.answer(0, false, answers, Vec::new());
        let udp = self.inside(host, resolver, 53, at, Transport::Udp);
        self.push(udp.exchange(Data::Dns(Box::new(query.clone())), 20 * MILLI, Data::Dns(Box::new(cut))));
        let mut again = query;
        again.id = random.bits() as u16;
        let whole = Dns { id: again.id, ..whole };
        let tcp = self.inside(
            host,
            resolver,
            53,
            at + 25 * MILLI,
            Transport::Tcp(Opening::Handshake, Closing::Fin(Side::Client)),
        );
        self.push(tcp.exchange(Data::DnsTcp(Box::new(again)), MILLI, Data::DnsTcp(Box::new(whole))));
    }

    /// The answer that a name does not exist, with the zone's SOA.
    pub(crate) fn nxdomain(query: &Dns, zone: &Arc<str>) -> Dns {
        let soa = Answer { name: zone.clone(), ttl: 300, data: Rdata::Soa(format!("ns1.{zone}").into()) };
        query.answer(NXDOMAIN, false, Vec::new(), vec![soa])
    }

    /// Resolves a name of a site for a host: from its cache, its resolver's, or the Internet. Gives the address to
    /// connect to and when it is known.
    pub(crate) fn resolve(
        &mut self,
        random: &mut Random,
        host: usize,
        site: usize,
        name: usize,
        at: i64,
        browser: bool,
    ) -> (IpAddr, i64) {
        let s = &self.world.sites[site];
        let has_six = self.world.hosts[host].v6.is_some();
        let (qname, zone, site_six, ttl, rtt) =
            (s.names[name % s.names.len()].clone(), s.domain.clone(), s.six, s.ttl, s.rtt);
        let address = s.address(at, has_six && site_six, host);
        let key = (site as u32) << 3 | name as u32;
        let cache = &mut self.host_cache[host];
        if cache.iter().any(|(k, until)| *k == key && *until > at) {
            return (address, at);
        }
        cache.retain(|(_, until)| *until > at);
        if cache.len() >= HOST_CACHE {
            cache.swap_remove(0);
        }
        let resolver = self.resolver(host);
        let known = self.resolver_cache.get(&(resolver, key)).copied().filter(|until| *until > at);
        let until = known.unwrap_or(at + i64::from(ttl) * SECOND);
        let left = ((until - at) / SECOND) as u32;
        let think = if known.is_some() { 150 * MICRO } else { rtt + MILLI };
        if known.is_none() {
            self.resolver_cache.insert((resolver, key), until);
            self.recurse(random, resolver, site, &qname, at + MILLI / 2);
        }
        self.host_cache[host].push((key, until));
        let mut kinds = vec![qtype::A];
        if has_six || self.world.hosts[host].os != Os::Linux {
            kinds.push(qtype::AAAA);
        }
        if browser && random.chance(0.4) {
            kinds.push(qtype::HTTPS);
        }
        for (i, kind) in kinds.into_iter().enumerate() {
            let answers = match kind {
                qtype::HTTPS => Vec::new(),
                kind => self.world.sites[site].answers(&qname, at, kind == qtype::AAAA, left.max(1)),
            };
            let soa = answers.is_empty().then(|| Answer {
                name: zone.clone(),
                ttl: 300,
                data: Rdata::Soa(format!("ns1.{zone}").into()),
            });
            self.ask(random, host, at + i as i64 * 120 * MICRO, &qname, kind, think, |q| {
                q.answer(0, false, answers, soa.into_iter().collect())
            });
        }
        (address, at + think + MILLI)
    }

    /// The resolver asks the zone's own server.
    fn recurse(&mut self, random: &mut Random, resolver: usize, site: usize, qname: &Arc<str>, at: i64) {
        let s = &self.world.sites[site];
        let (server, rtt) = (s.address(at, false, 2), s.rtt);
        for six in [false, true] {
            let s = &self.world.sites[site];
            let answers = s.answers(qname, at, six, s.ttl);
            let authorities = vec![Answer {
                name: s.domain.clone(),
                ttl: 86_400,
                data: Rdata::Ns(format!("ns1.{}", s.domain).into()),
            }];
            let kind = if six { qtype::AAAA } else { qtype::A };
            let mut query = Dns::query(random.bits() as u16, qname.clone(), kind, Some(1232));
            query.flags = 0;
            let reply = query.answer(0, true, answers, authorities);
            let session = self.outside(resolver, server, 53, rtt, at + i64::from(six) * 200 * MICRO, Transport::Udp);
            self.push(session.exchange(Data::Dns(Box::new(query)), MILLI / 4, Data::Dns(Box::new(reply))));
        }
    }

    /// Index of one of the fixed services at the end of the sites.
    pub(crate) fn service(&self, domain: &str) -> usize {
        self.world.sites.iter().rposition(|s| &*s.domain == domain).unwrap_or(0)
    }
}

impl Rhythm {
    /// Mean weight of a day.
    fn average(self) -> f64 {
        match self {
            Self::Flat => 1.0,
            Self::Public => PUBLIC.iter().sum::<f64>() / 24.0,
            Self::Office => 0.36,
        }
    }
}
