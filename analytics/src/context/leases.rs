//! Who held an address when: host names from DHCP, from the lake.
//!
//! - An address is a host's from the first message of the transaction in which a server acknowledged it (ACK, REPLY) until the lease
//!   time is over, the client gives it up (RELEASE, DECLINE), or another client gets it. The newest lease before a moment decides; where
//!   that is over nothing is known, however long an earlier one would have been.
//! - The name is the client's: its FQDN, else its host name; said in that transaction, or where it said none in an earlier one.
//! - A host with an address of its own that asks for settings (INFORM) and is answered has it for [`INFORM_HOLDS`], unless a lease says more.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aggregator::lake::{Day, Lake, Table};
use arrow::array::{Array, AsArray as _, RecordBatch, StringArray};
use arrow::datatypes::{TimestampMicrosecondType, UInt8Type, UInt32Type};
use hashbrown::{HashMap, HashSet};

use crate::score::{ScoreError, parts};

/// Days before a record in which its lease may have begun. Leases take hours or days; a client asks again at half of it.
const LOOK_BACK: i32 = 31;
/// How long the answer to an INFORM holds, µs: a day.
const INFORM_HOLDS: i64 = 86_400_000_000;
/// Leases and names that are kept while they are collected; more are counted in [`Leases::overflow`] and left out.
const MAX_EVENTS: usize = 1 << 21;

const COLUMNS: [&str; 9] =
    ["first_seen", "last_seen", "version", "client_addr", "mac", "client_id", "host_name", "client_fqdn", "leases"];

/// Who holds an address, and from when to when.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Held {
    from: i64,
    until: i64,
    client: u32,
    name: Option<Box<str>>,
}

/// What a transaction says of an address.
#[derive(Debug)]
struct Event {
    at: i64,
    /// `None`: given up.
    until: Option<i64>,
    is_inform: bool,
    client: u32,
    name: Option<Box<str>>,
}

/// The hosts that held addresses.
#[derive(Debug, Default)]
pub struct Leases {
    by_address: HashMap<IpAddr, Vec<Held>>,
    /// What was left out: more than is kept.
    pub overflow: u64,
}

/// Collects what transactions say, in any order.
#[derive(Debug, Default)]
struct Collector<'a> {
    wanted: Option<&'a HashSet<IpAddr>>,
    clients: HashMap<String, u32>,
    /// By client: names, from the moments they were said.
    names: HashMap<u32, BTreeMap<i64, Box<str>>>,
    events: HashMap<IpAddr, Vec<Event>>,
    kept: usize,
    overflow: u64,
}

impl Leases {
    /// Collects the leases of these addresses that may be in force on days, the first to the last.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub fn collect(lake: &Lake, (first, last): (Day, Day), wanted: &HashSet<IpAddr>) -> Result<Self, ScoreError> {
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let mut collector = Collector { wanted: Some(wanted), ..Collector::default() };
        let span = Day(first.0.saturating_sub(LOOK_BACK)).start()..Day(last.0.saturating_add(1)).start();
        for part in lake.parts(Table::Dhcp, Some(span))? {
            let columns = [&COLUMNS[..], &["msg_types"]].concat();
            parts::read(&part, &columns, None, &mut |_, batch| collector.batch(batch))?;
        }
        Ok(collector.finish())
    }

    /// The same of one address.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub fn of_address(lake: &Lake, days: (Day, Day), ip: IpAddr) -> Result<Self, ScoreError> {
        Self::collect(lake, days, &HashSet::from_iter([ip]))
    }

    /// The name of the host that held an address at a moment (µs since 1970).
    pub fn of(&self, ip: IpAddr, at: i64) -> Option<&str> {
        let held = self.by_address.get(&ip)?;
        let newest = held.partition_point(|held| held.from <= at).checked_sub(1)?;
        held.get(newest).filter(|held| at <= held.until)?.name.as_deref()
    }
}

impl Leases {
    /// The names of the hosts that held an address within a span (`from <= t < to`, µs since 1970), each with the first and the last moment
    /// of its being so, in order of time.
    pub fn within(&self, ip: IpAddr, from: i64, to: i64) -> impl Iterator<Item = (&str, i64, i64)> {
        let held = self.by_address.get(&ip).into_iter().flatten();
        held.filter(move |held| held.from < to && held.until >= from)
            .filter_map(move |held| Some((held.name.as_deref()?, held.from.max(from), held.until.min(to - 1))))
    }
}

impl Collector<'_> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), ScoreError> {
        let first = parts::column::<arrow::array::PrimitiveArray<TimestampMicrosecondType>>(batch, "first_seen")?;
        let last = parts::column::<arrow::array::PrimitiveArray<TimestampMicrosecondType>>(batch, "last_seen")?;
        let version = parts::column::<arrow::array::PrimitiveArray<UInt8Type>>(batch, "version")?;
        let text = |name| parts::column::<StringArray>(batch, name);
        let (address, mac, id) = (text("client_addr")?, text("mac")?, text("client_id")?);
        let (host, fqdn) = (text("host_name")?, text("client_fqdn")?);
        let leases: &arrow::array::ListArray = parts::column(batch, "leases")?;
        let types: &arrow::array::ListArray = parts::column(batch, "msg_types")?;
        let some = |column: &'_ StringArray, row: usize| (!column.is_null(row)).then(|| column.value(row).to_owned());
        for row in 0..batch.num_rows() {
            if leases.is_null(row) || types.is_null(row) {
                continue;
            }
            // A DUID is the host's; the hardware address of version 6 is not always known.
            let identity = match version.value(row) {
                6 => some(id, row).or_else(|| some(mac, row)),
                _ => some(mac, row).or_else(|| some(id, row)),
            };
            let Some(identity) = identity else { continue };
            let name = some(fqdn, row).or_else(|| some(host, row)).filter(|name| !name.is_empty());
            let (first, last) = (first.value(row), last.value(row));
            let client = self.client(&identity);
            if let Some(name) = &name {
                self.say(client, first, name);
            }
            let held = leases.value(row);
            let held = held.as_struct();
            let (addresses, prefixes, times) = (
                held.column(0).as_string_opt::<i32>(),
                held.column(1).as_primitive_opt::<UInt8Type>(),
                held.column(2).as_primitive_opt::<UInt32Type>(),
            );
            if let (Some(addresses), Some(prefixes), Some(times)) = (addresses, prefixes, times) {
                for at in 0..held.len() {
                    let until = match times.value(at) {
                        0 => None,
                        u32::MAX => Some(i64::MAX),
                        seconds => Some(last.saturating_add(i64::from(seconds) * 1_000_000)),
                    };
                    // A delegated prefix is a network's.
                    if matches!(prefixes.value(at), 32 | 128) {
                        self.add(
                            addresses.value(at),
                            Event { at: first, until, is_inform: false, client, name: name.as_deref().map(Into::into) },
                        );
                    }
                }
            }
            let types = types.value(row);
            let has = |kind: &str| {
                types.as_string_opt::<i32>().is_some_and(|types| types.iter().flatten().any(|known| known == kind))
            };
            if held.is_empty() && !address.is_null(row) && has("INFORM") && has("ACK") {
                let until = Some(last.saturating_add(INFORM_HOLDS));
                self.add(
                    address.value(row),
                    Event { at: first, until, is_inform: true, client, name: name.as_deref().map(Into::into) },
                );
            }
        }
        Ok(())
    }

    fn client(&mut self, identity: &str) -> u32 {
        let next = self.clients.len() as u32;
        *self.clients.entry_ref(identity).or_insert(next)
    }

    /// A client says its name. Kept are the moments at which it is another than before.
    fn say(&mut self, client: u32, at: i64, name: &str) {
        let names = self.names.entry(client).or_default();
        let before = names.range(..=at).next_back().map(|(_, name)| &**name);
        if before == Some(name) {
            return;
        }
        if self.kept >= MAX_EVENTS {
            self.overflow += 1;
            return;
        }
        self.kept += 1;
        names.insert(at, name.into());
    }

    fn add(&mut self, address: &str, event: Event) {
        let Ok(ip) = address.parse::<IpAddr>() else { return };
        if self.wanted.is_some_and(|wanted| !wanted.contains(&ip)) {
            return;
        }
        if self.kept >= MAX_EVENTS {
            self.overflow += 1;
            return;
        }
        self.kept += 1;
        self.events.entry(ip).or_default().push(event);
    }

    fn finish(self) -> Leases {
        let Self { names, events, overflow, .. } = self;
        let by_address = events.into_iter().map(|(ip, mut events)| {
            events.sort_by_key(|event| (event.at, event.client, event.until));
            let mut held: Vec<Held> = Vec::new();
            for event in events {
                take(&mut held, event, &names);
            }
            (ip, held)
        });
        Leases { by_address: by_address.collect(), overflow }
    }
}

/// The next event of an address.
fn take(held: &mut Vec<Held>, event: Event, names: &HashMap<u32, BTreeMap<i64, Box<str>>>) {
    let Event { at, until, is_inform, client, name } = event;
    let last = held.last_mut().filter(|last| last.until >= at);
    let Some(until) = until else {
        // Who does not hold it has nothing to give up.
        if let Some(last) = last.filter(|last| last.client == client) {
            last.until = at;
        }
        return;
    };
    let said = || names.get(&client)?.range(..=at).next_back().map(|(_, name)| name.clone());
    let name = name.or_else(said);
    if let Some(last) = last {
        if is_inform {
            return;
        }
        if last.client == client && last.name == name {
            last.until = last.until.max(until);
            return;
        }
        last.until = at - 1;
    }
    held.push(Held { from: at, until, client, name });
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// (second, client, name, address, seconds of the lease; 0 = given up; −1 = an INFORM).
    fn leases(said: &[(i64, &str, Option<&str>, &str, i64)]) -> Leases {
        let mut collector = Collector::default();
        for (at, client, name, address, seconds) in said {
            let client = collector.client(client);
            let at = at * SECOND;
            if let Some(name) = name {
                collector.say(client, at, name);
            }
            let until = match seconds {
                0 => None,
                -1 => Some(at + INFORM_HOLDS),
                seconds => Some(at + seconds * SECOND),
            };
            let name = name.map(Into::into);
            collector.add(address, Event { at, until, is_inform: *seconds == -1, client, name });
        }
        collector.finish()
    }

    fn name<'a>(leases: &'a Leases, address: &str, second: i64) -> Option<&'a str> {
        leases.of(ip(address), second * SECOND)
    }

    #[test]
    fn an_address_is_called_as_the_host_that_held_it_then() {
        let leases = leases(&[(500, "b", Some("bert"), "10.0.0.5", 100), (100, "a", Some("anna"), "10.0.0.5", 100)]);
        let at = [99, 100, 200, 201, 499, 500, 600, 601].map(|second| name(&leases, "10.0.0.5", second));
        assert_eq!(at, [None, Some("anna"), Some("anna"), None, None, Some("bert"), Some("bert"), None]);
        assert_eq!(name(&leases, "10.0.0.6", 100), None);
        let within: Vec<_> = leases.within(ip("10.0.0.5"), 150 * SECOND, 550 * SECOND).collect();
        assert_eq!(within, [("anna", 150 * SECOND, 200 * SECOND), ("bert", 500 * SECOND, 550 * SECOND - 1)]);
    }

    #[test]
    fn the_newest_lease_ends_the_one_before() {
        let leases = leases(&[
            (100, "a", Some("anna"), "10.0.0.5", 10_000),
            (200, "b", Some("bert"), "10.0.0.5", 50),
            (400, "c", None, "10.0.0.5", 50),
        ]);
        let at = [150, 200, 251, 300, 420].map(|second| name(&leases, "10.0.0.5", second));
        // Anna's would still be in force by its time; but the address was given to others.
        assert_eq!(at, [Some("anna"), Some("bert"), None, None, None]);
    }

    #[test]
    fn a_lease_goes_on_by_renewal_and_ends_by_release() {
        let leases = leases(&[
            (100, "a", Some("anna"), "10.0.0.5", 100),
            (150, "a", None, "10.0.0.5", 100),
            (220, "b", None, "10.0.0.5", 0),
            (240, "a", None, "10.0.0.5", 0),
        ]);
        let at = [149, 201, 230, 241].map(|second| name(&leases, "10.0.0.5", second));
        assert_eq!(at, [Some("anna"), Some("anna"), Some("anna"), None], "b had nothing to give up");
    }

    #[test]
    fn a_name_that_is_said_once_holds_for_later_leases_and_not_for_earlier_ones() {
        let leases = leases(&[
            (10, "a", None, "10.0.0.4", 50),
            (100, "a", Some("anna"), "10.0.0.5", 50),
            (200, "a", None, "10.0.0.6", 50),
            (300, "a", Some("andrea"), "10.0.0.6", 50),
        ]);
        let at = [("10.0.0.4", 20), ("10.0.0.6", 220), ("10.0.0.6", 320)].map(|(ip, second)| name(&leases, ip, second));
        assert_eq!(at, [None, Some("anna"), Some("andrea")]);
    }

    #[test]
    fn an_inform_says_less_than_a_lease() {
        let leases = leases(&[
            (100, "a", Some("anna"), "10.0.0.5", 100),
            (110, "b", Some("bert"), "10.0.0.5", -1),
            (300, "c", Some("carl"), "10.0.0.5", -1),
        ]);
        let at = [150, 250, 350, 300 + 86_400, 301 + 86_400].map(|second| name(&leases, "10.0.0.5", second));
        assert_eq!(at, [Some("anna"), None, Some("carl"), Some("carl"), None]);
    }
}
