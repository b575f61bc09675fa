//! The frames in a block of the ring (`struct tpacket_block_desc` and `tpacket3_hdr`, linux/if_packet.h).

use crate::Nanos;
use crate::live::source::{LiveFrame, VlanTag};

/// Bits of `tp_status`.
const VLAN_VALID: u32 = 1 << 4;
const VLAN_TPID_VALID: u32 = 1 << 6;
const GSO_TCP: u32 = 1 << 8;

const NUM_PKTS: usize = 12;
const OFFSET_TO_FIRST_PKT: usize = 16;

/// Walks over the frames of a block. Offsets that lead out of the block end the walk: the kernel does not write such,
/// but nothing depends on that.
pub(super) struct Frames<'a> {
    block: &'a [u8],
    left: u32,
    at: usize,
}

/// One frame, and what else the kernel says of it.
pub(super) struct Found<'a> {
    pub(super) frame: LiveFrame<'a>,
    /// The stack put several segments together.
    pub(super) merged: bool,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl<'a> Frames<'a> {
    pub(super) fn of(block: &'a [u8]) -> Self {
        Self {
            block,
            left: u32_at(block, NUM_PKTS).unwrap_or(0),
            at: u32_at(block, OFFSET_TO_FIRST_PKT).unwrap_or(0) as usize,
        }
    }

    fn found(&self) -> Option<(Found<'a>, usize)> {
        let head: &[u8; 48] = self.block.get(self.at..)?.first_chunk()?;
        let [next, sec, nsec, captured, wire_len, status] = [0, 4, 8, 12, 16, 20].map(|at| u32_at(head, at));
        let (status, mac) = (status?, u16_at(head, 24)?);
        let start = self.at + usize::from(mac);
        let vlan = if status & VLAN_VALID != 0 {
            let tpid = if status & VLAN_TPID_VALID != 0 { u16_at(head, 36)? } else { 0x8100 };
            Some(VlanTag { tpid, tci: u32_at(head, 32)? as u16 })
        } else {
            None
        };
        let frame = LiveFrame {
            ts: Nanos(i64::from(sec?) * 1_000_000_000 + i64::from(nsec?)),
            data: self.block.get(start..start.checked_add(captured? as usize)?)?,
            wire_len: wire_len?,
            vlan,
        };
        Some((Found { frame, merged: status & GSO_TCP != 0 }, next? as usize))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (found, next) = self.found()?;
        self.at += next;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time (s, ns), bytes, length on the wire, status, tag.
    type Made<'a> = (u32, u32, &'a [u8], u32, u32, u16, u16);

    /// A block with these frames.
    fn block(frames: &[Made<'_>]) -> Vec<u8> {
        let mut out = vec![0; 48];
        out[NUM_PKTS..NUM_PKTS + 4].copy_from_slice(&(frames.len() as u32).to_ne_bytes());
        out[OFFSET_TO_FIRST_PKT..OFFSET_TO_FIRST_PKT + 4].copy_from_slice(&48_u32.to_ne_bytes());
        for (sec, nsec, data, wire_len, status, tci, tpid) in frames {
            let mut frame = vec![0; 82];
            frame.extend_from_slice(data);
            frame.resize(frame.len().next_multiple_of(16), 0xee);
            let next = frame.len() as u32;
            for (at, value) in
                [(0, next), (4, *sec), (8, *nsec), (12, data.len() as u32), (16, *wire_len), (20, *status)]
            {
                frame[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            }
            frame[24..26].copy_from_slice(&82_u16.to_ne_bytes());
            frame[32..36].copy_from_slice(&u32::from(*tci).to_ne_bytes());
            frame[36..38].copy_from_slice(&tpid.to_ne_bytes());
            out.extend_from_slice(&frame);
        }
        out
    }

    #[test]
    fn frames_with_their_times_lengths_and_tags() {
        let block = block(&[
            (1, 5, b"first", 5, 1, 7, 0x88a8),
            (2, 999_999_999, b"second frame", 1_500, 1 | VLAN_VALID | GSO_TCP, 0xa064, 0),
            (3, 0, b"", 0, VLAN_VALID | VLAN_TPID_VALID, 4095, 0x88a8),
        ]);
        let found: Vec<_> = Frames::of(&block)
            .map(|f| (f.frame.ts.0, f.frame.data.to_vec(), f.frame.wire_len, f.frame.vlan, f.merged))
            .collect();
        let tag = |tpid, tci| Some(VlanTag { tpid, tci });
        assert_eq!(
            found,
            [
                (1_000_000_005, b"first".to_vec(), 5, None, false),
                (2_999_999_999, b"second frame".to_vec(), 1_500, tag(0x8100, 0xa064), true),
                (3_000_000_000, Vec::new(), 0, tag(0x88a8, 4095), false),
            ]
        );
    }

    #[test]
    fn offsets_out_of_the_block_end_the_walk() {
        let good = block(&[(1, 5, b"first", 5, 1, 0, 0), (1, 6, b"second", 6, 1, 0, 0)]);
        for at in [NUM_PKTS, OFFSET_TO_FIRST_PKT, 48, 48 + 12, 48 + 24] {
            for value in [0, 1, 47, 200, 0xffff, u32::MAX] {
                let mut block = good.clone();
                block[at..at + 4].copy_from_slice(&value.to_ne_bytes());
                assert!(Frames::of(&block).take(100).count() <= 100);
            }
        }
        for length in 0..good.len() {
            assert!(Frames::of(&good[..length]).count() <= 2);
        }
    }
}
