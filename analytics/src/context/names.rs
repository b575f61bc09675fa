//! Names of addresses, as they were seen on the wire: who held an address by DHCP, else what DNS called it (passive DNS), from the lake.
//!
//! Where both know one, DHCP's stands: it says which host had the address at that moment, where DNS says what somebody was told before,
//! of an address that may have gone to another host since.

use std::net::IpAddr;

use aggregator::lake::{Day, Lake, Table};
use arrow::array::{Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray, UInt16Array};
use hashbrown::{HashMap, HashSet};

use super::Leases;
use crate::score::{ScoreError, parts};

/// Names kept of one address; later ones are counted in [`Names::overflow`] and left out.
const PER_ADDRESS: usize = 32;

/// A name that was answered with an address.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Answered {
    at: i64,
    client: Option<IpAddr>,
    name: Box<str>,
}

/// Where a name comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameSource {
    /// The host had the address by DHCP, and calls itself so.
    Dhcp,
    /// An answer of DNS.
    Dns,
}

impl NameSource {
    /// As it stands in columns.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dhcp => "dhcp",
            Self::Dns => "dns",
        }
    }
}

/// What addresses were called.
#[derive(Debug, Default)]
pub struct Names {
    leases: Leases,
    by_address: HashMap<IpAddr, Vec<Answered>>,
    /// Answers left out: an address has more names than are kept.
    pub overflow: u64,
}

impl Names {
    /// Collects the names of these addresses from the questions of days, and the leases before the end of the last of them. The name of DNS is the one that was asked for, whatever aliases (CNAME) led to the address.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub fn collect(lake: &Lake, days: &[Day], wanted: &HashSet<IpAddr>) -> Result<Self, ScoreError> {
        let mut this = Self::default();
        if wanted.is_empty() {
            return Ok(this);
        }
        if let (Some(first), Some(last)) = (days.iter().min(), days.iter().max()) {
            this.leases = Leases::collect(lake, (*first, *last), wanted)?;
        }
        for day in days {
            for part in parts::of_day(lake, Table::Dns, *day)? {
                parts::read(&part, &["last_seen", "client_ip", "qname", "answers"], None, &mut |_, batch| {
                    let time: &TimestampMicrosecondArray = parts::column(batch, "last_seen")?;
                    let (client, name): (&StringArray, &StringArray) =
                        (parts::column(batch, "client_ip")?, parts::column(batch, "qname")?);
                    let answers: &ListArray = parts::column(batch, "answers")?;
                    let Some(records) = answers.values().as_any().downcast_ref::<StructArray>() else { return Ok(()) };
                    let column = |name| records.column_by_name(name);
                    let types = column("type").and_then(|column| column.as_any().downcast_ref::<UInt16Array>());
                    let data = column("data").and_then(|column| column.as_any().downcast_ref::<StringArray>());
                    let (Some(types), Some(data)) = (types, data) else { return Ok(()) };
                    for row in 0..batch.num_rows() {
                        if answers.is_null(row) || name.is_null(row) {
                            continue;
                        }
                        let (Some(from), Some(to)) =
                            (answers.value_offsets().get(row), answers.value_offsets().get(row + 1))
                        else {
                            continue;
                        };
                        for at in (*from as usize)..(*to as usize) {
                            // A (RFC 1035) and AAAA (RFC 3596).
                            if !matches!(types.value(at), 1 | 28) {
                                continue;
                            }
                            let Ok(ip) = data.value(at).parse::<IpAddr>() else { continue };
                            if wanted.contains(&ip) {
                                let client = (!client.is_null(row)).then(|| client.value(row).parse().ok()).flatten();
                                this.add(ip, time.value(row), client, name.value(row));
                            }
                        }
                    }
                    Ok(())
                })?;
            }
        }
        for names in this.by_address.values_mut() {
            names.sort_unstable_by(|a, b| a.at.cmp(&b.at).then_with(|| a.name.cmp(&b.name)));
        }
        Ok(this)
    }

    fn add(&mut self, ip: IpAddr, at: i64, client: Option<IpAddr>, name: &str) {
        let held = self.by_address.entry(ip).or_default();
        // The same answer again: the first is when the name was known from.
        if let Some(same) = held.iter_mut().find(|held| *held.name == *name && held.client == client) {
            same.at = same.at.min(at);
        } else if held.len() < PER_ADDRESS {
            held.push(Answered { at, client, name: name.into() });
        } else {
            self.overflow += 1;
        }
    }

    /// What an address was called at a moment (µs since 1970) for a client, and who says so: the host that held it then; else what this client
    /// was told last before; else what anybody was told last before; else what anybody was told first after.
    pub fn of(&self, ip: IpAddr, at: i64, client: Option<IpAddr>) -> Option<(&str, NameSource)> {
        let holder = self.leases.of(ip, at).map(|name| (name, NameSource::Dhcp));
        holder.or_else(|| self.answered(ip, at, client).map(|name| (name, NameSource::Dns)))
    }

    fn answered(&self, ip: IpAddr, at: i64, client: Option<IpAddr>) -> Option<&str> {
        let held = self.by_address.get(&ip)?;
        let before = |own: bool| held.iter().rev().find(|held| held.at <= at && (!own || held.client == client));
        before(true).or_else(|| before(false)).or_else(|| held.first()).map(|held| &*held.name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_name_is_that_of_the_moment_and_of_the_client() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let (cdn, a, b) = (ip("198.51.100.1"), ip("10.0.0.1"), ip("10.0.0.2"));
        let mut names = Names::default();
        for (at, client, name) in
            [(10, a, "one.example"), (20, b, "two.example"), (30, b, "three.example"), (40, a, "one.example")]
        {
            names.add(cdn, at, Some(client), name);
        }
        let dns = |name| Some((name, NameSource::Dns));
        assert_eq!(names.of(cdn, 25, Some(a)), dns("one.example"));
        assert_eq!(names.of(cdn, 25, Some(b)), dns("two.example"));
        assert_eq!(names.of(cdn, 35, Some(ip("10.0.0.9"))), dns("three.example"));
        assert_eq!(names.of(cdn, 5, Some(b)), dns("one.example"), "nothing before: the first after");
        assert_eq!(names.of(a, 25, None), None);
        for n in 0..100 {
            names.add(cdn, n, None, &format!("n{n}.example"));
        }
        assert_eq!(names.overflow, 100 - (PER_ADDRESS as u64 - 3));
    }
}
