//! How many hosts have something: a peer, a domain, a program.

use std::io::{self, Read, Write};
use std::net::IpAddr;

use hashbrown::HashMap;

/// Distinct hosts by thing, counted by linear counting in 64 bits (Whang, Vander-Zanden and Taylor 1990): exact enough up to a hundred, and beyond
/// that all are many. The same whatever the order.
///
/// Memory: at most `most` entries of about 18 bytes; things past the bound are not known ([`Self::bin`] 0), and counted.
#[derive(Clone, Debug)]
pub struct Popularity {
    seen: HashMap<u64, u64>,
    most: usize,
    overflow: u64,
}

/// Largest bin: 64 hosts or more.
const MOST: u32 = 7;

impl Popularity {
    /// For at most so many things.
    pub fn new(most: usize) -> Self {
        Self { seen: HashMap::new(), most, overflow: 0 }
    }

    /// A host has a thing.
    pub fn add(&mut self, thing: u64, host: u64) {
        let bit = 1_u64 << (mix(host) >> 58);
        if let Some(bits) = self.seen.get_mut(&thing) {
            *bits |= bit;
        } else if self.seen.len() < self.most {
            self.seen.insert(thing, bit);
        } else {
            self.overflow += 1;
        }
    }

    /// ⌈log2(hosts + 1)⌉, at most 7; 0 for a thing that is not known.
    pub fn bin(&self, thing: u64) -> u32 {
        let Some(bits) = self.seen.get(&thing) else { return 0 };
        let empty = f64::from(bits.count_zeros());
        let hosts = if empty < 1.0 { 1000.0 } else { -64.0 * (empty / 64.0).ln() };
        super::super::maths::counter_bin(hosts.round().max(1.0) as u64).min(MOST)
    }

    /// Things known.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Writes what is known, in order of the things: 16 bytes each, little-endian.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut all: Vec<(u64, u64)> = self.seen.iter().map(|(thing, bits)| (*thing, *bits)).collect();
        all.sort_unstable();
        for (thing, bits) in all {
            to.write_all(&thing.to_le_bytes())?;
            to.write_all(&bits.to_le_bytes())?;
        }
        Ok(())
    }

    /// Reads so many things that [`Self::write`] wrote.
    ///
    /// # Errors
    /// The reader's.
    pub fn read(from: &mut dyn Read, things: usize) -> io::Result<Self> {
        let mut this = Self::new(things);
        let mut eight = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
        };
        for _ in 0..things {
            let thing = eight()?;
            this.seen.insert(thing, eight()?);
        }
        Ok(this)
    }

    /// Adds what another knows.
    pub fn merge(&mut self, other: &Self) {
        for (thing, bits) in &other.seen {
            if let Some(known) = self.seen.get_mut(thing) {
                *known |= bits;
            } else if self.seen.len() < self.most {
                self.seen.insert(*thing, *bits);
            } else {
                self.overflow += 1;
            }
        }
        self.overflow += other.overflow;
    }

    /// Records of things that found no room.
    pub const fn overflow(&self) -> u64 {
        self.overflow
    }
}

/// Murmur3's finaliser: every bit of the result depends on every bit of the number.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

/// A number for a text, the same on every machine (FNV-1a, mixed); upper case counts as lower.
pub fn text_key(text: &str) -> u64 {
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    }))
}

/// A number for an address.
pub(super) fn address_key(ip: IpAddr) -> u64 {
    match ip {
        IpAddr::V4(v4) => mix(u64::from(v4.to_bits()) | 1 << 32),
        IpAddr::V6(v6) => mix((v6.to_bits() >> 64) as u64 ^ mix(v6.to_bits() as u64)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn hosts_are_counted_once_and_about_right() {
        let mut popularity = Popularity::new(3);
        for (thing, hosts) in [(1, 1), (2, 6), (3, 5000)] {
            for host in (0..hosts).chain(0..hosts) {
                popularity.add(thing, host);
            }
        }
        assert_eq!([1, 2, 3].map(|thing| popularity.bin(thing)), [1, 3, MOST]);
        popularity.add(4, 1);
        assert_eq!((popularity.bin(4), popularity.overflow()), (0, 1));
        let mut file = Vec::new();
        popularity.write(&mut file).unwrap();
        let again = Popularity::read(&mut file.as_slice(), 3).unwrap();
        assert_eq!([1, 2, 3, 4].map(|thing| again.bin(thing)), [1, 3, MOST, 0]);
        assert!(Popularity::read(&mut &file[..40], 3).is_err());
        assert_eq!(text_key("WWW.Example"), text_key("www.example"));
    }
}
