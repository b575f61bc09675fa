//! Sequence numbers remembered by direction of a connection, in bounded room: sets of four by hash, of which the newest
//! stay.
//!
//! A direction is told by 32 bits of a keyed hash: a chance match costs a segment's buffer or one repeated read, never a
//! panic. What is forgotten early is only seen again as new.

use super::key::{Key, Side};

/// Sets; with [`WAYS`], 65,536 directions (512 KiB): those of seconds on a busy link, longer than a retransmission takes.
const SETS: usize = 1 << 14;
const WAYS: usize = 4;

/// Tag, never 0 where there is one, and sequence number.
type Entry = (u32, u32);

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Recent(Box<[[Entry; WAYS]]>);

impl Recent {
    pub(super) fn new() -> Self {
        Self(vec![[(0, 0); WAYS]; SETS].into_boxed_slice())
    }

    /// Remembers `seq`, in place of what was remembered of this direction, or of the oldest in its set.
    pub(super) fn set(&mut self, key: &Key, side: Side, seq: u32) {
        let (set, tag) = place(key, side);
        let Some(set) = self.0.get_mut(set) else { return };
        let last = set.iter().position(|entry| entry.0 == tag).unwrap_or(WAYS - 1);
        if let Some(newer) = set.get_mut(..=last) {
            newer.rotate_right(1);
        }
        set[0] = (tag, seq);
    }

    pub(super) fn get(&self, key: &Key, side: Side) -> Option<u32> {
        let (set, tag) = place(key, side);
        self.0.get(set)?.iter().find(|entry| entry.0 == tag).map(|entry| entry.1)
    }

    pub(super) fn forget(&mut self, key: &Key, side: Side) {
        let (set, tag) = place(key, side);
        let entries = self.0.get_mut(set).into_iter().flatten();
        entries.filter(|entry| entry.0 == tag).for_each(|entry| entry.0 = 0);
    }
}

const fn place(key: &Key, side: Side) -> (usize, u32) {
    let hash = match side {
        Side::Low => key.hash(),
        Side::High => key.hash().rotate_left(29),
    };
    (hash as usize % SETS, (hash >> 32) as u32 | 1)
}

#[cfg(test)]
mod tests {
    use crate::{AddressPair, Ip, IpVersion};

    use super::*;

    fn key(number: u32) -> Key {
        let (src, dst) = (Ip::v4(number.to_be_bytes()), Ip::v4([192, 0, 2, 1]));
        let pair = AddressPair { src, dst, src_port: 40_000, dst_port: 443, proto: 6, version: IpVersion::V4 };
        Key::of(&pair, 7).0
    }

    /// One place a hash forgot an ended connection as soon as any other of the same place ended, which with thousands of
    /// connections was soon: what was sent again was read again.
    #[test]
    fn what_ended_is_remembered_while_thousands_of_others_end() {
        let mut recent = Recent::new();
        (0..4_000).for_each(|number| recent.set(&key(number), Side::Low, number));
        assert_eq!((0..4_000).filter(|&number| recent.get(&key(number), Side::Low) != Some(number)).count(), 0);
        assert_eq!(recent.get(&key(0), Side::High), None);
    }

    #[test]
    fn a_direction_has_one_number_and_can_be_forgotten() {
        let mut recent = Recent::new();
        recent.set(&key(1), Side::Low, 5);
        recent.set(&key(1), Side::Low, 6);
        assert_eq!(recent.get(&key(1), Side::Low), Some(6));
        recent.forget(&key(1), Side::Low);
        assert_eq!(recent.get(&key(1), Side::Low), None);
    }
}
