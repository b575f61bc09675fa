//! Addresses to what is known of their range: the smallest range that holds the address wins, IPv4 and IPv6 alike.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// An address as a number; IPv4 lies where IPv6 maps it (`::ffff:a.b.c.d`).
pub fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// First and last address of `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, or of an address alone. `None` for anything else.
pub fn parse_range(text: &str) -> Option<(u128, u128)> {
    let text = text.trim();
    if let Some((ip, bits)) = text.split_once('/') {
        let ip: IpAddr = ip.parse().ok()?;
        let width: u32 = if ip.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= width)?;
        let host = if width == bits { 0 } else { u128::MAX >> (128 - (width - bits)) };
        return Some((number(ip) & !host, number(ip) | host));
    }
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (first.trim().parse::<IpAddr>().ok()?, last.trim().parse::<IpAddr>().ok()?),
        None => (text.parse().ok()?, text.parse().ok()?),
    };
    (first.is_ipv4() == last.is_ipv4() && first <= last).then(|| (number(first), number(last)))
}

/// Ranges being collected.
#[derive(Clone, Debug)]
pub struct Ranges<T> {
    ranges: Vec<(u128, u128)>,
    values: Vec<T>,
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self { ranges: Vec::new(), values: Vec::new() }
    }
}

impl<T> Ranges<T> {
    /// Adds a range, both ends included.
    pub fn add(&mut self, (first, last): (u128, u128), value: T) {
        if first <= last {
            self.ranges.push((first, last));
            self.values.push(value);
        }
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.ranges.len()
    }

    /// There are none.
    pub const fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Cuts them into pieces that do not overlap, so that a look-up is one binary search. Of ranges of the same size the first wins.
    pub fn build(self) -> RangeMap<T> {
        let Self { ranges, values } = self;
        let mut points: Vec<(u128, bool, usize)> = Vec::with_capacity(2 * ranges.len());
        for (at, (first, last)) in ranges.iter().enumerate() {
            points.push((*first, true, at));
            // A range that ends with the address space is never closed.
            points.extend(last.checked_add(1).map(|after| (after, false, at)));
        }
        points.sort_unstable();
        let mut map = RangeMap { starts: Vec::new(), holders: Vec::new(), values };
        let mut open: BTreeSet<(u128, usize)> = BTreeSet::new();
        for same in points.chunk_by(|a, b| a.0 == b.0) {
            let mut position = 0;
            for (at, opens, range) in same {
                position = *at;
                let Some((first, last)) = ranges.get(*range) else { continue };
                let key = (last - first, *range);
                if *opens {
                    open.insert(key)
                } else {
                    open.remove(&key)
                };
            }
            let holder = open.first().map(|(_, range)| *range);
            if map.holders.last().copied().flatten() != holder {
                map.starts.push(position);
                map.holders.push(holder);
            }
        }
        map
    }
}

/// Ranges ready to be looked up.
#[derive(Clone, Debug)]
pub struct RangeMap<T> {
    starts: Vec<u128>,
    holders: Vec<Option<usize>>,
    values: Vec<T>,
}

impl<T> Default for RangeMap<T> {
    fn default() -> Self {
        Self { starts: Vec::new(), holders: Vec::new(), values: Vec::new() }
    }
}

impl<T> RangeMap<T> {
    /// What is known of an address.
    pub fn get(&self, ip: IpAddr) -> Option<&T> {
        let at = self.starts.partition_point(|start| *start <= number(ip)).checked_sub(1)?;
        self.values.get((*self.holders.get(at)?)?)
    }

    /// How many ranges it was made of.
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// There are none.
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn get(map: &RangeMap<&'static str>, ip: &str) -> Option<&'static str> {
        map.get(ip.parse().unwrap()).copied()
    }

    #[test]
    fn the_smallest_range_wins_and_gaps_are_gaps() {
        let mut ranges = Ranges::default();
        for (range, name) in [
            ("10.0.0.0/8", "site"),
            ("10.1.0.0/16", "floor"),
            ("10.1.2.3", "printer"),
            ("10.1.2.3-10.1.2.3", "never: the first of the same size wins"),
            ("192.168.0.10-192.168.0.20", "pool"),
            ("2001:db8::/32", "six"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "last"),
        ] {
            ranges.add(parse_range(range).unwrap(), name);
        }
        let map = ranges.build();
        for (ip, name) in [
            ("10.200.0.1", Some("site")),
            ("10.1.2.2", Some("floor")),
            ("10.1.2.3", Some("printer")),
            ("10.1.2.4", Some("floor")),
            ("10.2.0.0", Some("site")),
            ("11.0.0.0", None),
            ("192.168.0.9", None),
            ("192.168.0.20", Some("pool")),
            ("192.168.0.21", None),
            ("2001:db8:ffff::1", Some("six")),
            ("2001:db9::", None),
            ("::ffff:10.1.2.3", Some("printer")),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("last")),
            ("::", None),
        ] {
            assert_eq!(get(&map, ip), name, "{ip}");
        }
    }

    #[test]
    fn ranges_are_read_or_refused() {
        assert_eq!(parse_range("0.0.0.0/0").map(|(a, b)| b - a), Some(u128::from(u32::MAX)));
        assert_eq!(parse_range("::/0"), Some((0, u128::MAX)));
        for bad in ["", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1-::1", "x", "10.0.0.0/-1", "::/129"] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn equals_trying_every_range(ranges in proptest::collection::vec((0_u8..40, 0_u8..40), 0..30), ip in 0_u8..45) {
            let mut all = Ranges::default();
            let mut tried: Vec<(u128, usize)> = Vec::new();
            let at = |n: u8| number(IpAddr::from([10, 0, 0, n]));
            for (order, (a, b)) in ranges.iter().enumerate() {
                let (first, last) = (at(*a.min(b)), at(*a.max(b)));
                all.add((first, last), order);
                if (first..=last).contains(&at(ip)) {
                    tried.push((last - first, order));
                }
            }
            let found = all.build().get(IpAddr::from([10, 0, 0, ip])).copied();
            prop_assert_eq!(found, tried.iter().min().map(|(_, order)| *order));
        }
    }
}
