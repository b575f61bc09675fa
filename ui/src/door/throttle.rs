//! How fast passwords may be tried. It slows down whoever guesses and locks nobody else out:
//!
//! - Failures count for the pair of source and account, and for the source alone; never for the account alone. Someone
//!   elsewhere who guesses an account's password does not slow its owner down.
//! - A browser that has signed in to the account before has a device cookie, and is counted by it alone: whoever
//!   guesses from the same address (behind the same NAT, proxy or tunnel) does not slow it down either.
//!
//! A few failures are free; then each doubles the wait, up to a quarter of an hour. A quiet quarter forgets one. An attempt counts as a failure when it
//! begins, so that many at once gain nothing. The number of counters is bounded; the one untouched for longest gives way.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures of a source on one account that cost nothing.
pub(crate) const FREE_PAIR: u32 = 5;
/// Failures of a source on whatever account that cost nothing.
pub(crate) const FREE_SOURCE: u32 = 20;
/// Failures of a known device that cost nothing.
pub(crate) const FREE_DEVICE: u32 = 10;
/// Longest wait.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);
/// Counters that were not touched for this long are forgotten.
const MEMORY: Duration = Duration::from_secs(60 * 60);
/// Counters that are kept.
const MAX_COUNTERS: usize = 8192;

/// Who tries.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// From where.
    pub(crate) address: IpAddr,
    /// On which account; any text.
    pub(crate) account: String,
    /// The device's number, where the browser has signed in to this account before.
    pub(crate) device: Option<[u8; 16]>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Pair(IpAddr, String),
    Source(IpAddr),
    Device([u8; 16]),
}

impl Key {
    const fn free(&self) -> u32 {
        match self {
            Self::Pair(..) => FREE_PAIR,
            Self::Source(_) => FREE_SOURCE,
            Self::Device(_) => FREE_DEVICE,
        }
    }
}

struct Counter {
    failures: u32,
    until: Instant,
    touched: Instant,
}

/// The counters, in memory.
#[derive(Default)]
pub(crate) struct Throttle {
    counters: Mutex<HashMap<Key, Counter>>,
}

/// One IPv6 subscriber has a /64 at least.
const fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn keys(attempt: &Attempt) -> Vec<Key> {
    if let Some(device) = attempt.device {
        return vec![Key::Device(device)];
    }
    let source = source(attempt.address.to_canonical());
    vec![Key::Pair(source, attempt.account.to_lowercase()), Key::Source(source)]
}

impl Throttle {
    /// Begins an attempt; `Err` is the time to wait before the next one.
    pub(crate) fn begin(&self, attempt: &Attempt, now: Instant) -> Result<(), Duration> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = keys(attempt);
        let wait =
            keys.iter().filter_map(|key| counters.get(key)).map(|c| c.until.saturating_duration_since(now)).max();
        match wait {
            Some(wait) if !wait.is_zero() => return Err(wait),
            _ => {}
        }
        for key in keys {
            make_room(&mut counters, now);
            let free = key.free();
            let counter = counters.entry(key).or_insert(Counter { failures: 0, until: now, touched: now });
            let forgotten = now.saturating_duration_since(counter.touched).as_secs() / MAX_WAIT.as_secs();
            counter.failures = counter.failures.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX));
            counter.failures = counter.failures.saturating_add(1);
            counter.touched = now;
            if let Some(doubled) = counter.failures.checked_sub(free) {
                counter.until = now + Duration::from_secs(1 << doubled.min(16)).min(MAX_WAIT);
            }
        }
        Ok(())
    }

    /// The attempt was no failure. The pair (or device) begins anew; the source has this one taken off, so that one
    /// account of one's own buys no guesses at others.
    pub(crate) fn succeeded(&self, attempt: &Attempt, now: Instant) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys(attempt) {
            if !matches!(key, Key::Source(_)) {
                counters.remove(&key);
            } else if let Some(counter) = counters.get_mut(&key) {
                counter.failures = counter.failures.saturating_sub(1);
                counter.until = now;
            }
        }
    }
}

fn make_room(counters: &mut HashMap<Key, Counter>, now: Instant) {
    if counters.len() < MAX_COUNTERS {
        return;
    }
    counters.retain(|_, counter| now.saturating_duration_since(counter.touched) < MEMORY || counter.until > now);
    if counters.len() >= MAX_COUNTERS
        && let Some(oldest) = counters.iter().min_by_key(|(_, counter)| counter.touched).map(|(key, _)| key.clone())
    {
        counters.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(address: &str, account: &str) -> Attempt {
        Attempt { address: address.parse().unwrap(), account: account.to_owned(), device: None }
    }

    #[test]
    fn the_wait_doubles_after_a_few_failures_and_is_bounded() {
        let (throttle, mut now) = (Throttle::default(), Instant::now());
        let evil = attempt("192.0.2.1", "alice");
        let mut waits = Vec::new();
        while waits.len() < 14 {
            match throttle.begin(&evil, now) {
                Ok(()) => {}
                Err(wait) => {
                    waits.push(wait.as_secs());
                    now += wait;
                }
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]);
    }

    #[test]
    fn guessing_locks_neither_the_owner_elsewhere_nor_a_known_device_at_the_same_address_out() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        while throttle.begin(&attempt("192.0.2.1", "alice"), now).is_ok() {}
        assert!(throttle.begin(&attempt("192.0.2.2", "alice"), now).is_ok());
        assert!(throttle.begin(&attempt("192.0.2.1", "bob"), now).is_ok());
        let known = Attempt { device: Some([7; 16]), ..attempt("192.0.2.1", "alice") };
        assert!(throttle.begin(&known, now).is_ok());
    }

    #[test]
    fn trying_many_accounts_from_one_source_is_slowed_down_and_a_64_is_one_source() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let tried =
            (0..100).filter(|n| throttle.begin(&attempt("2001:db8::1", &format!("user{n}")), now).is_ok()).count();
        assert_eq!(tried, FREE_SOURCE as usize);
        assert!(throttle.begin(&attempt("2001:db8::ffff:1", "carol"), now).is_err());
        assert!(throttle.begin(&attempt("2001:db8:0:1::1", "carol"), now).is_ok());
        assert!(throttle.begin(&attempt("::ffff:192.0.2.9", "carol"), now).is_ok());
    }

    #[test]
    fn signing_in_to_one_s_own_account_buys_no_guesses_at_others() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let own = attempt("192.0.2.1", "mallory");
        let mut guesses = 0;
        for n in 0..200 {
            if throttle.begin(&own, now).is_ok() {
                throttle.succeeded(&own, now);
            }
            if throttle.begin(&attempt("192.0.2.1", &format!("user{n}")), now).is_ok() {
                guesses += 1;
            }
        }
        assert!(guesses <= FREE_SOURCE + 1, "{guesses}");
    }

    #[test]
    fn the_counters_are_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..(MAX_COUNTERS as u32 + 100) {
            let _ = throttle.begin(&attempt(&std::net::Ipv4Addr::from(n).to_string(), "alice"), now);
        }
        assert!(throttle.counters.lock().unwrap().len() <= MAX_COUNTERS + 1);
    }
}
