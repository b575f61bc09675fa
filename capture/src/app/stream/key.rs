//! Which connection a packet belongs to.

use crate::AddressPair;
use std::hash::{BuildHasher, Hash, Hasher};

/// Which side sent: the one with the lower or the higher address and port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::app) enum Side {
    Low,
    High,
}

impl Side {
    pub(in crate::app) const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// A connection, the same from both sides, with its hash. Equality compares all of the addresses.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Key {
    hash: u64,
    /// Seen from the low side.
    pair: AddressPair,
}

impl Key {
    /// The connection of a packet, and which side sent it.
    pub(in crate::app) fn of(pair: &AddressPair, seed: u64) -> (Self, Side) {
        let src = (u128::from_be_bytes(pair.src.0), pair.src_port);
        let dst = (u128::from_be_bytes(pair.dst.0), pair.dst_port);
        let (low, side) = if src <= dst { (*pair, Side::Low) } else { (pair.reversed(), Side::High) };
        (Self { hash: hash(&low, seed), pair: low }, side)
    }

    /// 64 well mixed bits.
    pub(in crate::app) const fn hash(&self) -> u64 {
        self.hash
    }

    /// The directed addresses of what `side` sends.
    pub(in crate::app) const fn pair(&self, side: Side) -> AddressPair {
        match side {
            Side::Low => self.pair,
            Side::High => self.pair.reversed(),
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.pair == other.pair
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Multiply and fold: every bit of the input and the seed reaches every bit of the result.
fn hash(pair: &AddressPair, seed: u64) -> u64 {
    const K0: u64 = 0x9e37_79b9_7f4a_7c15;
    const K1: u64 = 0xd6e8_feb8_6659_fd93;
    let words = |ip: [u8; 16]| {
        let v = u128::from_le_bytes(ip);
        (v as u64, (v >> 64) as u64)
    };
    let ((a, b), (c, d)) = (words(pair.src.0), words(pair.dst.0));
    let ports = u64::from(pair.src_port) << 32 | u64::from(pair.dst_port) << 16 | u64::from(pair.version as u8);
    let x = fold(a ^ seed, b ^ K0) ^ fold(c ^ seed.rotate_left(32), d ^ K1);
    fold(x ^ ports ^ K1, seed ^ K0 ^ ports.rotate_left(17))
}

const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    product as u64 ^ (product >> 64) as u64
}

/// Takes the key's own hash as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::app) struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.0 = self.0.rotate_left(8) ^ u64::from(b));
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl BuildHasher for Prehashed {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self::default()
    }
}
