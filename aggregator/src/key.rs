//! The key of a flow: the same for both directions, 40 bytes, with everything that tells two flows apart.

use std::hash::Hasher;

use capture::{AddressPair, Fragment, Ip, IpVersion, Packet};

use crate::icmp::{self, ICMP, ICMPV6};

/// Which end of a key sent a packet. The ends are ordered by (address, port).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Side {
    Low = 0,
    High = 1,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::High => Self::Low,
        }
    }
}

/// Both ends, protocol, IP version and, where configured, VLAN.
///
/// Five words, compared whole: the low address (2), the high address (2), and
/// `low port << 48 | high port << 32 | VLAN + 1 << 16 | protocol << 8 | mark | version`.
///
/// ICMP has its type for the sender's port and the type of the counterpart for the receiver's, so request
/// and reply meet. Messages that go one way have (type, code), the ends unsorted, and a mark.
#[derive(Clone, Copy, Eq, PartialOrd, Ord, Debug)]
#[cfg_attr(test, derive(Hash))]
#[cfg_attr(test, expect(clippy::derived_hash_with_manual_eq, reason = "both go by the same words"))]
#[repr(C)]
pub(crate) struct Key(pub(crate) [u64; 5]);

impl PartialEq for Key {
    /// Word by word: the compiler would call a comparison of memory.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }
}

const ONE_WAY: u64 = 0x80;

impl Key {
    /// No packet has this key.
    pub(crate) const NONE: Self = Self([0; 5]);

    /// The packet's key, and which end sent it.
    pub(crate) fn of(packet: &Packet, vlan_in_key: bool) -> (Self, Side) {
        let pair = &packet.pair;
        let (mut src_port, mut dst_port) = (pair.src_port, pair.dst_port);
        let mut one_way = false;
        if matches!(pair.proto, ICMP | ICMPV6) && packet.fragment != (Fragment::Later { ports_known: false }) {
            match icmp::counterpart(pair.proto, src_port as u8) {
                Some(reply) => dst_port = u16::from(reply),
                None => one_way = true,
            }
            src_port &= 0xff;
        }
        let [src, dst] = [pair.src, pair.dst].map(|ip| u128::from_be_bytes(ip.0));
        let sender = if one_way || (src, src_port) <= (dst, dst_port) { Side::Low } else { Side::High };
        let (low, high, low_port, high_port) = match sender {
            Side::Low => (src, dst, src_port, dst_port),
            Side::High => (dst, src, dst_port, src_port),
        };
        let vlan = match packet.link.vlan {
            Some(id) if vlan_in_key => u64::from(id & 0xfff) + 1,
            _ => 0,
        };
        let last = u64::from(low_port) << 48
            | u64::from(high_port) << 32
            | vlan << 16
            | u64::from(pair.proto) << 8
            | if one_way { ONE_WAY } else { 0 }
            | pair.version as u64;
        (Self([(low >> 64) as u64, low as u64, (high >> 64) as u64, high as u64, last]), sender)
    }

    /// The address of one end.
    pub(crate) fn ip(&self, side: Side) -> Ip {
        let [a, b, c, d, _] = self.0;
        let (upper, lower) = match side {
            Side::Low => (a, b),
            Side::High => (c, d),
        };
        Ip((u128::from(upper) << 64 | u128::from(lower)).to_be_bytes())
    }

    /// The port of one end; for ICMP see [`Key`].
    pub(crate) const fn port(&self, side: Side) -> u16 {
        match side {
            Side::Low => (self.0[4] >> 48) as u16,
            Side::High => (self.0[4] >> 32) as u16,
        }
    }

    /// IANA protocol number.
    #[inline]
    pub(crate) const fn proto(&self) -> u8 {
        (self.0[4] >> 8) as u8
    }

    /// VLAN id + 1, or 0 if the VLAN is not part of the key.
    pub(crate) const fn vlan(&self) -> u16 {
        (self.0[4] >> 16) as u16
    }

    /// How both addresses are read.
    pub(crate) const fn version(&self) -> IpVersion {
        if self.0[4] & 0xf == 4 { IpVersion::V4 } else { IpVersion::V6 }
    }
}

/// A keyed hash of 40 bytes: three 64×64→128 multiplications, folded. Whoever does not know the seeds cannot
/// choose keys that collide; whoever does can, which is why live capture draws them at random.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHasher {
    seeds: [u64; 6],
    /// Bits of the hash that are left: none, and every key collides with every other.
    #[cfg(test)]
    mask: u64,
}

impl KeyHasher {
    /// Seeds from one number (splitmix64).
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        let seeds = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Self {
            seeds,
            #[cfg(test)]
            mask: u64::MAX,
        }
    }

    /// The same with only these bits of the hash left.
    #[cfg(test)]
    pub(crate) const fn masked(self, mask: u64) -> Self {
        Self { mask, ..self }
    }

    /// The hash.
    #[inline]
    pub(crate) fn hash(&self, key: &Key) -> u64 {
        let [a, b, c, d, e] = key.0;
        let s = &self.seeds;
        let low = fold(a ^ s[0], b ^ s[1]);
        let high = fold(c ^ s[2], d ^ s[3]);
        // Not `low ^ high`: what two equal ends would cancel.
        let hash = fold(low ^ e ^ s[4], high.rotate_left(32) ^ s[5]);
        #[cfg(test)]
        let hash = hash & self.mask;
        hash
    }
}

impl KeyHasher {
    /// The hash of addresses and ports in this direction, and of up to 24 bits more.
    pub(crate) fn pair(&self, pair: &AddressPair, more: u32) -> u64 {
        let [src, dst] = [pair.src, pair.dst].map(|ip| u128::from_be_bytes(ip.0));
        let last = u64::from(pair.src_port) << 48
            | u64::from(pair.dst_port) << 32
            | u64::from(more) << 8
            | pair.version as u64;
        self.hash(&Key([(src >> 64) as u64, src as u64, (dst >> 64) as u64, dst as u64, last]))
    }
}

/// Takes a key's own hash as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Keys give one number; whatever else would come still counts.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The 128-bit product, its halves folded together.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ends_do_not_cancel() {
        let hasher = KeyHasher::new(3);
        let hashes: std::collections::BTreeSet<u64> = (0..1_000).map(|n| hasher.hash(&Key([n, n, n, n, 0]))).collect();
        assert_eq!(hashes.len(), 1_000);
    }
}
