//! Slow beacons: a client that comes back to the same place every few hours, day and night, too seldom for one day to tell.
//!
//! The test is that of [`beacon`](super::beacon), over the contacts of several days. Only cases that the last of them has are watched, so that
//! the days before are looked at for little. People have a rhythm too, of work and sleep: what pauses longer at one time of the day than its
//! intervals are is theirs.

use std::fmt::Debug;
use std::hash::Hash;
use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::beacon::{Clients, Contacts, DAY, PlaceOf, Rhythm, judge};
use super::tail::Scale;
use super::{Covers, Findings};

/// More contacts on the last day than this are enough for that day to tell.
const SELDOM: usize = 24;
/// More contacts than this over all days are no slow beacon's.
const MOST: usize = 8 * SELDOM;
/// Contacts of earlier days that are kept, of all cases.
const KEPT: usize = 8_000_000;
/// Longest median interval, microseconds: once a day is a habit, and a plan of updates.
const INTERVAL: f64 = 13.0 * 3.6e9;
/// A pause at the same time every day, in median intervals.
const PAUSE: f64 = 1.25;

/// Pairs of a client, a server and its port.
pub type SlowFlows = Slow<(IpAddr, IpAddr, u16), (IpAddr, u16)>;
/// Pairs of a client and a server's name.
pub type SlowRequests = Slow<(IpAddr, Box<str>), Box<str>>;

/// What is watched over several days. Memory: 24 bytes a contact, as in [`Beacons`](super::beacon::Beacons).
#[derive(Clone, Debug)]
pub struct Slow<K, P> {
    cases: HashMap<K, Contacts>,
    places: HashMap<P, Clients>,
    /// Clients of the last day, in all.
    pub(super) all: usize,
    kept: usize,
    overflow: u64,
}

impl<K, P> Default for Slow<K, P> {
    fn default() -> Self {
        Self { cases: HashMap::new(), places: HashMap::new(), all: 0, kept: 0, overflow: 0 }
    }
}

impl<K: Hash + Eq + Clone + Debug + PlaceOf<P>, P: Hash + Eq> Slow<K, P> {
    /// Takes in a case of the last day, if it is seldom enough. One that was answered and then not is one case.
    pub(super) fn watch(&mut self, case: &K, place: P, contacts: &Contacts, clients: &Clients) {
        if contacts.0.len() > SELDOM {
            return;
        }
        let of_place = self.places.entry(place).or_default();
        clients.0.iter().for_each(|client| of_place.add(*client));
        self.cases.entry(case.clone()).or_default().0.extend_from_slice(&contacts.0);
    }

    /// No case is worth a look at earlier days.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Whether a place is watched: its clients count, whoever they are.
    pub fn watches(&self, place: &P) -> bool {
        self.places.contains_key(place)
    }

    /// How many contacts of a case are worth giving: of one that is not watched, the first tells that the place has a client more.
    pub fn counts(&self, case: &K) -> usize {
        if self.cases.contains_key(case) { MOST + 1 } else { 1 }
    }

    /// A contact of an earlier day at a time (microseconds), with the bytes the client sent and its port, as in
    /// [`Beacons::handle`](super::beacon::Beacons::handle).
    pub fn handle(&mut self, case: &K, time: i64, bytes: u64, port: u16) {
        if let Some(clients) = self.places.get_mut(&case.place()) {
            clients.add(case.client());
        }
        match self.cases.get_mut(case) {
            // Watched no more: a contact too many tells.
            Some(contacts) if contacts.0.len() > MOST => (),
            Some(_) if self.kept >= KEPT => self.overflow += 1,
            Some(contacts) => {
                contacts.0.push((time, bytes, port));
                self.kept += 1;
            }
            None => (),
        }
    }

    fn finish_as(self, findings: &mut Findings, of: impl Fn(&K) -> Option<(IpAddr, Covers)>) {
        let Self { cases, places, all, overflow, .. } = self;
        let rhythms: Vec<(K, Rhythm)> =
            cases.into_iter().filter_map(|(case, contacts)| Some((case, rhythm_of(contacts)?))).collect();
        let (statistics, found) = judge(rhythms, &places, all, of);
        findings.add("slow beacon", Scale::Probability, statistics, found, overflow);
    }
}

impl SlowFlows {
    /// Adds the findings.
    pub fn finish(self, findings: &mut Findings) {
        self.finish_as(findings, |(host, peer, port)| Some((*host, Covers::Pair { peer: *peer, port: Some(*port) })));
    }
}

impl SlowRequests {
    /// Adds the findings.
    pub fn finish(self, findings: &mut Findings) {
        self.finish_as(findings, |(client, host)| Some((*client, Covers::Host(host.clone()))));
    }
}

/// The rhythm of a case that is slow, of several days, and of no person.
fn rhythm_of(contacts: Contacts) -> Option<Rhythm> {
    let days: HashSet<i64> = contacts.0.iter().map(|(time, ..)| time.div_euclid(DAY)).collect();
    if contacts.0.len() > MOST || days.len() < 2 {
        return None;
    }
    let pause = pause(contacts.0.iter().map(|(time, ..)| time.rem_euclid(DAY)).collect());
    Rhythm::of(contacts).filter(|rhythm| rhythm.median <= INTERVAL && pause as f64 <= PAUSE * rhythm.median)
}

/// The longest time without a contact on a clock of all days laid over each other.
fn pause(mut times: Vec<i64>) -> i64 {
    times.sort_unstable();
    let between = times.windows(2).filter_map(|w| Some(w.get(1)? - w.first()?)).max().unwrap_or(0);
    match (times.first(), times.last()) {
        (Some(first), Some(last)) => between.max(first + DAY - last),
        _ => DAY,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]
    use super::super::Flows;
    use super::super::rows::{FlowRow, Internal};
    use super::*;

    const HOUR: i64 = 3_600_000_000;
    const MINUTE: i64 = 60_000_000;

    fn contact(time: i64, host: u8, place: u8) -> FlowRow<'static> {
        FlowRow {
            src_port: (time / MINUTE % 60_000) as u16,
            ..FlowRow::sample(time, [10, 0, 0, host], [203, 0, 113, place], 443)
        }
    }

    /// Seven days of contacts: the last seen by the day's detectors, those before by what they leave open.
    fn found(contacts: &[(i64, u8, u8)]) -> Vec<(IpAddr, f64, String)> {
        let mut flows = Flows::new(Internal::default());
        let is_last = |time: i64| time >= 6 * DAY;
        contacts.iter().filter(|c| is_last(c.0)).for_each(|c| flows.handle(&contact(c.0, c.1, c.2)));
        let mut slow = flows.seldom();
        for (time, host, place) in contacts.iter().filter(|c| !is_last(c.0)) {
            let row = contact(*time, *host, *place);
            slow.handle(&(row.src, row.dst, row.dst_port), row.flow_start, row.src_bytes, row.src_port);
        }
        let mut findings = Findings::default();
        slow.finish(&mut findings);
        findings.list().iter().map(|f| (f.host, f.ln_expected, f.evidence.clone())).collect()
    }

    /// Every six hours, a quarter of an hour more or less: four contacts of a day say nothing.
    #[test]
    fn four_contacts_a_day_over_a_week_are_found() {
        let contacts: Vec<_> = (0..28).map(|n| (n * 6 * HOUR + n * n * 7 % 31 * MINUTE, 7, 9)).collect();
        let found = found(&contacts);
        let [(host, ln_expected, evidence)] = found.as_slice() else { panic!("one: {found:?}") };
        assert_eq!(*host, IpAddr::from([10, 0, 0, 7]));
        assert!(*ln_expected < -20.0, "{ln_expected}");
        assert!(evidence.starts_with("28 contacts in 162.") && evidence.contains("one every 6.0 h"), "{evidence}");
    }

    /// A page that one looks at in the morning, at noon and in the evening of every day, and one opened now and then.
    #[test]
    fn people_are_no_beacons() {
        let at_work = |day: i64| [8, 12, 17].map(|hour| day * DAY + hour * HOUR + day * day * 5 % 13 * MINUTE);
        let mut contacts: Vec<_> = (0..7).flat_map(at_work).map(|time| (time, 8, 10)).collect();
        contacts.extend((0..7).map(|day| (day * DAY + 9 * HOUR + day * 3 % 7 * MINUTE, 9, 11)));
        contacts.extend([2, 3, 29, 30, 31, 80, 81, 83, 121, 148, 150, 161].map(|hour| (hour * HOUR, 12, 12)));
        assert_eq!(found(&contacts), []);
    }

    /// What a fourth client has done too on an earlier day is the place's habit.
    #[test]
    fn clients_of_earlier_days_count() {
        let of = |host: u8| (0..28).map(move |n| (n * 6 * HOUR + n * n * 7 % 31 * MINUTE, host, 9));
        let alone = found(&of(7).collect::<Vec<_>>());
        let shared: Vec<_> = of(7).chain((20..30).flat_map(|host| of(host).filter(|c| c.0 < 5 * DAY))).collect();
        let shared = found(&shared);
        assert!(alone.first().is_some_and(|f| f.1 < -20.0) && shared.iter().all(|f| f.1 > 0.0), "{shared:?}");
    }
}
