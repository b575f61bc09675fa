//! Which addresses are one host's: a host with IPv4 and IPv6 is one host, not two.
//!
//! Told by the hardware address that sends them, and only where it can be no router's: it sends for exactly one address of IPv4 and
//! one of IPv6 (beside a link-local one) all day. Who sends for more may be a router, or a host that changes its address for privacy: its
//! addresses stay apart. So do those that two hardware addresses send for.

use std::net::IpAddr;

use hashbrown::{HashMap, HashSet};

use super::CASES;
use super::rows::Mac;

/// The addresses that hardware addresses send for.
#[derive(Clone, Debug, Default)]
pub struct Stations {
    seen: HashMap<Mac, Seen>,
    /// What came last: most rows say the same again.
    last: Option<(Mac, IpAddr)>,
}

/// What one sends for: IPv4, IPv6, link-local.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    addresses: [Option<IpAddr>; 3],
    more: bool,
}

/// For an address of IPv6 its host's address of IPv4.
#[derive(Clone, Debug, Default)]
pub struct Hosts(HashMap<IpAddr, IpAddr>);

impl Stations {
    /// A hardware address sends for an address inside.
    pub fn see(&mut self, mac: Mac, ip: IpAddr) {
        if self.last == Some((mac, ip)) {
            return;
        }
        self.last = Some((mac, ip));
        if self.seen.len() >= CASES && !self.seen.contains_key(&mac) {
            return;
        }
        let seen = self.seen.entry(mac).or_default();
        let kind = match ip {
            IpAddr::V4(_) => 0,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => 2,
            IpAddr::V6(_) => 1,
        };
        seen.more |= *seen.addresses[kind].get_or_insert(ip) != ip;
    }

    pub(crate) fn hosts(self) -> Hosts {
        let mut hosts: HashMap<IpAddr, IpAddr> = HashMap::new();
        let mut doubtful: HashSet<IpAddr> = HashSet::new();
        // An address of IPv4 that two send for is as doubtful as one of IPv6.
        let mut senders: HashMap<IpAddr, u32> = HashMap::new();
        let alone = self.seen.values().filter(|seen| !seen.more);
        for Seen { addresses: [v4, global, local], .. } in alone {
            let Some(v4) = v4 else { continue };
            *senders.entry(*v4).or_default() += 1;
            for ip in [global, local].into_iter().flatten() {
                if hosts.insert(*ip, *v4).is_some_and(|other| other != *v4) {
                    doubtful.insert(*ip);
                }
            }
        }
        hosts.retain(|ip, v4| !doubtful.contains(ip) && senders.get(v4) == Some(&1));
        Hosts(hosts)
    }
}

impl Hosts {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The address that stands for a host's: that of IPv4, where it is known.
    pub(crate) fn of(&self, ip: IpAddr) -> IpAddr {
        self.0.get(&ip).copied().unwrap_or(ip)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn hosts(seen: &[(u8, &str)]) -> Hosts {
        let mut stations = Stations::default();
        for (mac, ip) in seen.iter().chain(seen) {
            stations.see(Mac([2, 0, 0, 0, 0, *mac]), ip.parse().unwrap());
        }
        stations.hosts()
    }

    fn of(hosts: &Hosts, ip: &str) -> String {
        hosts.of(ip.parse().unwrap()).to_string()
    }

    #[test]
    fn a_host_of_two_families_is_one() {
        let hosts = hosts(&[(1, "10.0.0.1"), (1, "fd00::1"), (1, "fe80::1"), (2, "10.0.0.2"), (3, "fd00::3")]);
        let at = ["10.0.0.1", "fd00::1", "fe80::1", "10.0.0.2", "fd00::3"].map(|ip| of(&hosts, ip));
        assert_eq!(at, ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "fd00::3"]);
    }

    #[test]
    fn what_a_router_sends_stays_apart() {
        // Two hosts behind one; one that changes its address of IPv6; two that send for one.
        let seen = [
            (1, "10.0.0.1"),
            (1, "10.1.0.1"),
            (1, "fd00::1"),
            (2, "10.0.0.2"),
            (2, "fd00::2"),
            (2, "fd00::22"),
            (3, "10.0.0.3"),
            (3, "fd00::3"),
            (4, "10.0.0.4"),
            (4, "fd00::3"),
            (5, "10.0.0.5"),
            (5, "fd00::5"),
            (6, "10.0.0.5"),
            (6, "fd00::6"),
        ];
        let hosts = hosts(&seen);
        for (_, ip) in seen {
            assert_eq!(of(&hosts, ip), ip);
        }
    }

    /// A link-local address that two links have.
    #[test]
    fn three_that_send_for_one_address_are_doubtful_too() {
        let seen = [(1, "10.0.0.1"), (1, "fe80::1"), (2, "10.0.0.2"), (2, "fe80::1"), (3, "10.0.0.1"), (3, "fe80::1")];
        let hosts = hosts(&seen);
        assert_eq!(of(&hosts, "fe80::1"), "fe80::1");
    }
}
