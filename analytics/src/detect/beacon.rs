//! Beacons: a client that comes back to the same place at even intervals.
//!
//! The four sub-scores are RITA's (timestamps, data sizes, coverage of the day, histogram by hour) and stand in the evidence. The strength is a
//! test: had the client no clock, its intervals would be exponential, and the share of them within a band around their median is
//! known whatever their rate; how unlikely is the share that was seen? An implant with 50 % jitter stays in the widest band. What many clients do towards
//! one place (updates, telemetry) is a property of the place: they share the evidence.
//!
//! Whole connections count, by their start: a long connection cut by timeouts is one.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::domain::registered;
use super::slow::Slow;
use super::stats::{binomial_surprise, evenness, fingerprint, quantile};
use super::tail::Scale;
use super::{CASES, Case, Covers, Findings};

/// Contacts kept of a case, the earliest; past it the day is known well enough.
const CONTACTS: usize = 2_000;

/// Clients counted of a place; more are as many.
const CLIENTS: usize = 64;

/// So many clients of a place may be victims of one master.
const VICTIMS: usize = 3;

/// Fewest contacts to speak of intervals.
const FEWEST: usize = 6;

/// Contacts closer than this are one: a browser's parallel connections.
const TOGETHER: i64 = 500_000;

/// Shortest time between the first and the last contact.
const SPAN: i64 = 30 * 60 * 1_000_000;

const HOUR: i64 = 3_600_000_000;
pub(super) const DAY: i64 = 24 * HOUR;

/// Regular contacts by case `K` (client and place), with the number of clients of a place `P`.
#[derive(Clone, Debug)]
pub struct Beacons<K, P> {
    cases: HashMap<K, Contacts>,
    places: HashMap<P, Clients>,
    clients: HashSet<u64>,
    overflow: u64,
}

/// Contacts of a case: start, bytes sent, source port.
#[derive(Clone, Debug, Default)]
pub(super) struct Contacts(pub(super) Vec<(i64, u64, u16)>);

/// Clients of a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients(pub(super) HashSet<u64>);

impl<K, P> Default for Beacons<K, P> {
    fn default() -> Self {
        Self { cases: HashMap::new(), places: HashMap::new(), clients: HashSet::new(), overflow: 0 }
    }
}

impl<K: Hash + Eq + Clone + Debug + PlaceOf<P>, P: Hash + Eq> Beacons<K, P> {
    /// A contact of a case at a time (microseconds), with the bytes the client sent. Contacts from the same port are one
    /// connection that was silent in between; port 0 = not a connection.
    pub fn handle(&mut self, case: K, place: P, time: i64, bytes: u64, port: u16) {
        let client = case.client();
        if self.clients.len() < CASES {
            self.clients.insert(client);
        }
        if let Some(known) = self.places.get_mut(&place) {
            known.add(client);
        } else if self.places.len() < CASES {
            self.places.entry(place).or_default().add(client);
        }
        if let Some(contacts) = self.cases.get_mut(&case) {
            contacts.add(time, bytes, port);
        } else if self.cases.len() < CASES {
            self.cases.entry(case).or_default().add(time, bytes, port);
        } else {
            self.overflow += 1;
        }
    }

    /// A contact of a case for which there is no room.
    pub(crate) fn leave_out(&mut self) {
        self.overflow += 1;
    }

    /// Whether a case is watched.
    pub(crate) fn watches(&self, case: &K) -> bool {
        self.cases.contains_key(case)
    }

    /// Gives what a slow beacon may be to who looks at more days: cases that are not judged by `is_judged` are left out.
    pub(super) fn seldom(&self, into: &mut Slow<K, P>, is_judged: impl Fn(&K) -> bool) {
        into.all = into.all.max(self.clients.len());
        for (case, contacts) in self.cases.iter().filter(|(case, _)| is_judged(case)) {
            let place = case.place();
            let Some(clients) = self.places.get(&place).filter(|clients| clients.0.len() <= VICTIMS) else { continue };
            into.watch(case, place, contacts, clients);
        }
    }

    /// Adds the findings as those of `detector`; `of` names host and records of a case, `None` for one that is not judged.
    pub(crate) fn finish(
        self,
        findings: &mut Findings,
        detector: &'static str,
        of: impl Fn(&K) -> Option<(IpAddr, Covers)>,
    ) {
        let Self { cases, places, clients, overflow } = self;
        let rhythms: Vec<(K, Rhythm)> =
            cases.into_iter().filter_map(|(case, contacts)| Some((case, Rhythm::of(contacts)?))).collect();
        let (statistics, found) = judge(rhythms, &places, clients.len(), of);
        findings.add(detector, Scale::Probability, statistics, found, overflow);
    }
}

/// The statistics of all rhythms, and the cases worth telling.
pub(super) fn judge<K: PlaceOf<P>, P: Hash + Eq>(
    rhythms: Vec<(K, Rhythm)>,
    places: &HashMap<P, Clients>,
    all: usize,
    of: impl Fn(&K) -> Option<(IpAddr, Covers)>,
) -> (Vec<f64>, Vec<Case>) {
    let fleets = Fleets::of(&rhythms);
    let (mut statistics, mut found) = (Vec::new(), Vec::new());
    for (case, rhythm) in rhythms {
        let clients = places.get(&case.place()).map_or(1, |clients| clients.0.len().max(1));
        let Some((host, covers)) = of(&case) else { continue };
        let statistic = rhythm.statistic(clients.max(fleets.clients(case.wide(), &rhythm)), all);
        statistics.push(statistic);
        if statistic >= 3.0 {
            found.push(Case { statistic, host, covers, evidence: rhythm.evidence(clients) });
        }
    }
    (statistics, found)
}

/// What a case is made of.
pub trait PlaceOf<P> {
    /// Where it goes.
    fn place(&self) -> P;
    /// A number for its client.
    fn client(&self) -> u64;
    /// A number for what one operator has around the place: the network and port, or the registered domain.
    fn wide(&self) -> u64;
}

/// Clients that do as one program does: a product's devices are dealt out to several servers.
struct Fleets {
    /// At the same pace to one operator's places, by operator and pace.
    operators: HashMap<(u64, i32), HashSet<u64>>,
    /// At the same pace with the same size, to a percent or three, wherever they go: devices of two address families reach their maker in two networks.
    programs: HashMap<(i32, i32), HashSet<u64>>,
}

impl Fleets {
    fn of<K: PlaceOf<P>, P>(rhythms: &[(K, Rhythm)]) -> Self {
        let (mut operators, mut programs) = (HashMap::new(), HashMap::new());
        let add = |clients: &mut HashSet<u64>, client: u64| {
            if clients.len() < CLIENTS {
                clients.insert(client);
            }
        };
        for (case, rhythm) in rhythms.iter().filter(|(_, rhythm)| rhythm.surprise >= 3.0) {
            add(operators.entry((case.wide(), rhythm.pace())).or_default(), case.client());
            if let Some(program) = rhythm.program() {
                add(programs.entry(program).or_default(), case.client());
            }
        }
        Self { operators, programs }
    }

    /// How many there are of a rhythm's pace or the next.
    fn clients(&self, wide: u64, rhythm: &Rhythm) -> usize {
        let near = |at: i32| [at.saturating_sub(1), at, at.saturating_add(1)];
        let operator = near(rhythm.pace()).into_iter().filter_map(|pace| self.operators.get(&(wide, pace)));
        let sizes =
            |(pace, size): (i32, i32)| near(pace).into_iter().flat_map(move |pace| near(size).map(|size| (pace, size)));
        let program = rhythm.program().into_iter().flat_map(sizes).filter_map(|program| self.programs.get(&program));
        let count = |clients: &mut dyn Iterator<Item = &HashSet<u64>>| clients.flatten().collect::<HashSet<_>>().len();
        count(&mut operator.into_iter()).max(count(&mut program.into_iter()))
    }
}

fn number(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64 ^ (v6.to_bits() as u64).rotate_left(17),
    }
}

impl PlaceOf<(IpAddr, u16)> for (IpAddr, IpAddr, u16) {
    fn place(&self) -> (IpAddr, u16) {
        (self.1, self.2)
    }
    fn client(&self) -> u64 {
        number(self.0)
    }
    fn wide(&self) -> u64 {
        let network = match self.1 {
            IpAddr::V4(v4) => u64::from(v4.to_bits() >> 8),
            IpAddr::V6(v6) => (v6.to_bits() >> 80) as u64,
        };
        network << 16 | u64::from(self.2)
    }
}

impl PlaceOf<Box<str>> for (IpAddr, Box<str>) {
    fn place(&self) -> Box<str> {
        self.1.clone()
    }
    fn client(&self) -> u64 {
        number(self.0)
    }
    fn wide(&self) -> u64 {
        fingerprint(registered(&self.1))
    }
}

impl Clients {
    pub(super) fn add(&mut self, client: u64) {
        if self.0.len() < CLIENTS {
            self.0.insert(client);
        }
    }
}

impl Contacts {
    fn add(&mut self, time: i64, bytes: u64, port: u16) {
        self.0.push((time, bytes, port));
        if self.0.len() >= 2 * CONTACTS {
            self.0.sort_unstable();
            self.0.truncate(CONTACTS);
        }
    }
}

/// How regular a case is.
pub(super) struct Rhythm {
    contacts: usize,
    /// Microseconds.
    pub(super) median: f64,
    /// Bytes sent, the median.
    size: f64,
    /// −ln of the chance of such even intervals without a clock.
    surprise: f64,
    timing: f64,
    sizes: f64,
    coverage: f64,
    histogram: f64,
    hours: f64,
}

impl Rhythm {
    pub(super) fn of(Contacts(mut times): Contacts) -> Option<Self> {
        times.sort_unstable();
        times.truncate(CONTACTS);
        let mut ports: HashSet<(u16, i64)> = HashSet::new();
        // A port of another day is another connection's.
        times.retain(|(time, _, port)| *port == 0 || ports.insert((*port, time.div_euclid(DAY))));
        times.dedup_by(|b, a| b.0.saturating_sub(a.0) < TOGETHER);
        let (first, last) = (times.first()?.0, times.last()?.0);
        let span = last.saturating_sub(first);
        if times.len() < FEWEST || span < SPAN {
            return None;
        }
        let mut intervals: Vec<f64> =
            times.windows(2).filter_map(|w| Some((w.get(1)?.0.saturating_sub(w.first()?.0)) as f64)).collect();
        intervals.sort_unstable_by(f64::total_cmp);
        let mut sizes: Vec<f64> = times.iter().map(|(_, bytes, _)| *bytes as f64).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let mean = |(a, b): (f64, f64)| (a + b) / 2.0;
        let median = quantile(&intervals, 0.5);
        let (coverage, histogram) = by_hour(&times, first);
        Some(Self {
            contacts: times.len(),
            median,
            size: quantile(&sizes, 0.5),
            surprise: surprise(&intervals, median),
            timing: mean(evenness(&intervals)),
            sizes: mean(evenness(&sizes)),
            coverage,
            histogram,
            hours: span as f64 / HOUR as f64,
        })
    }

    /// The evidence of one client: less where sizes vary. Each other client of the place is a reason more to take the rhythm for the place's: in a
    /// small network any, in a large one from a share of the clients on, so that a few victims of one master do not excuse each other. Where more go than
    /// [`VICTIMS`], it is a product and its maker's server: they share the evidence at least.
    fn statistic(&self, clients: usize, all: usize) -> f64 {
        const SMALL: f64 = 20.0;
        let crowd = (clients as f64).powi(2) * (SMALL / (all as f64).max(1.0)).min(1.0);
        let shared = if clients > VICTIMS { crowd.max(clients as f64) } else { crowd };
        self.surprise * (0.5 + 0.5 * self.sizes) / shared.max(1.0)
    }

    /// Which fifth, in the logarithm, the median interval lies in.
    fn pace(&self) -> i32 {
        (5.0 * self.median.max(1.0).ln()).round() as i32
    }

    /// Pace and size in steps of three hundredths, if its contacts are of one size.
    fn program(&self) -> Option<(i32, i32)> {
        let step = |value: f64| (33.0 * value.max(1.0).ln()).round() as i32;
        (self.sizes >= 0.9 && self.size >= 1.0).then(|| (step(self.median), step(self.size)))
    }

    fn evidence(&self, clients: usize) -> String {
        let Self { contacts, median, timing, sizes, coverage, histogram, hours, .. } = self;
        format!(
            "{contacts} contacts in {hours:.1} h, one every {} (median); evenness of intervals {timing:.2}, of sizes {sizes:.2}, \
             hours covered {coverage:.2}, by hour {histogram:.2}; {} go there",
            seconds(median / 1e6),
            match clients {
                1 => "no other clients".to_owned(),
                CLIENTS.. => format!("{CLIENTS} or more clients"),
                n => format!("{n} clients"),
            }
        )
    }
}

/// The smallest of three bands around the median, and its price for having looked at three.
fn surprise(intervals: &[f64], median: f64) -> f64 {
    if median <= 0.0 {
        return 0.0;
    }
    let n = intervals.len() as u64;
    let best = [0.1, 0.25, 0.5]
        .map(|band: f64| {
            let inside = intervals.iter().filter(|i| ((*i / median) - 1.0).abs() <= band).count() as u64;
            // The share of an exponential distribution within the band around its own median.
            let share = (-(1.0 - band) * std::f64::consts::LN_2).exp() - (-(1.0 + band) * std::f64::consts::LN_2).exp();
            binomial_surprise(inside, n, share)
        })
        .into_iter()
        .fold(0.0, f64::max);
    (best - 3_f64.ln()).max(0.0)
}

/// Share of the hours between first and last contact that have one, and 1 − CV of the contacts of those hours.
fn by_hour(times: &[(i64, u64, u16)], first: i64) -> (f64, f64) {
    let mut hours: HashMap<i64, u64> = HashMap::new();
    for (time, ..) in times {
        *hours.entry(time.saturating_sub(first) / HOUR).or_insert(0) += 1;
    }
    let all = hours.keys().max().copied().unwrap_or(0) + 1;
    let (n, sum) = (hours.len().max(1) as f64, times.len() as f64);
    let mean = sum / n;
    let variance = hours.values().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / n;
    (n / all as f64, (1.0 - variance.sqrt() / mean.max(1e-9)).max(0.0))
}

/// `45 s`, `5.0 min`, `2.0 h`.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5_400.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Seventeen devices of a maker each called home every two hours: seventeen false groups a day.
    #[test]
    fn a_fleet_that_calls_home_is_no_beacon_and_two_victims_are() {
        let times = (0..12).map(|i| (i * 2 * HOUR + i * i * 1_000_000, 700, 0)).collect();
        let rhythm = Rhythm::of(Contacts(times)).unwrap();
        assert!(rhythm.statistic(17, 640) < 3.0, "{}", rhythm.statistic(17, 640));
        assert!(rhythm.statistic(2, 640) > 20.0, "{}", rhythm.statistic(2, 640));
        // However many are the network's hosts, three victims do not excuse each other.
        assert_eq!(rhythm.statistic(3, 10_000), rhythm.statistic(1, 10_000));
    }

    /// The maker's devices were dealt out to three servers, five or six each, and each was told.
    #[test]
    fn a_fleet_is_one_over_all_servers_of_its_maker() {
        let mut watch = Beacons::<(IpAddr, IpAddr, u16), (IpAddr, u16)>::default();
        let mut add = |client: [u8; 4], server: [u8; 4], bytes: u64| {
            for i in 0..12 {
                let time = i * 2 * HOUR + i * i * 1_000_000;
                watch.handle((client.into(), server.into(), 443), (server.into(), 443), time, bytes, 0);
            }
        };
        for device in 0..17 {
            add([10, 0, 7, device], [198, 51, 100, device % 3], 700);
        }
        // Two of them are led to the maker's other network: they were told, for two victims do not excuse each other.
        (17..19).for_each(|device| add([10, 0, 7, device], [192, 0, 2, 77], 700 + u64::from(device % 2)));
        add([10, 0, 1, 9], [203, 0, 113, 5], 912);
        let mut findings = Findings::default();
        watch.finish(&mut findings, "beacon", |(host, peer, port)| {
            Some((*host, Covers::Pair { peer: *peer, port: Some(*port) }))
        });
        let hosts: Vec<IpAddr> = findings.list().iter().filter(|f| f.ln_expected < 0.0).map(|f| f.host).collect();
        assert_eq!(hosts, [IpAddr::from([10, 0, 1, 9])]);
    }
}
