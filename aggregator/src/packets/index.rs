//! The index beside a packet file: for each flow, at which bytes its packets are.
//!
//! ```text
//! "SPOTIDX1" | first ts i64 | last ts i64 | flows u32 | flow hash u64, packets u32, offsets u32 × packets | …   (little-endian, by hash)
//! ```
//!
//! Offsets are those of the Enhanced Packet Blocks. Packets without IP have the hash 0.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use hashbrown::HashMap;

const MAGIC: &[u8; 8] = b"SPOTIDX1";

/// Packets of one file, at most: offsets are 32 bits wide and blocks at least 32 bytes.
const MOST: usize = u32::MAX as usize / 32;

/// What is known of a file while it is written.
#[derive(Debug, Default)]
pub(super) struct Index {
    flows: HashMap<u64, Vec<u32>>,
    times: Option<(i64, i64)>,
}

impl Index {
    pub(super) fn add(&mut self, hash: u64, at: u64, ts: i64) {
        self.flows.entry(hash).or_default().push(u32::try_from(at).unwrap_or(u32::MAX));
        let (first, last) = self.times.unwrap_or((ts, ts));
        self.times = Some((first.min(ts), last.max(ts)));
    }

    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (first, last) = self.times.unwrap_or_default();
        to.write_all(MAGIC)?;
        to.write_all(&first.to_le_bytes())?;
        to.write_all(&last.to_le_bytes())?;
        to.write_all(&(self.flows.len() as u32).to_le_bytes())?;
        let sorted: BTreeMap<_, _> = self.flows.iter().collect();
        for (hash, offsets) in sorted {
            to.write_all(&hash.to_le_bytes())?;
            to.write_all(&(offsets.len() as u32).to_le_bytes())?;
            for offset in offsets {
                to.write_all(&offset.to_le_bytes())?;
            }
        }
        to.flush()
    }
}

/// An index that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Found {
    pub(super) first: i64,
    pub(super) last: i64,
    /// Of the flow asked for, in order.
    pub(super) offsets: Vec<u32>,
}

/// Looks a flow up. An index that is cut or damaged is an error: the file itself is read then.
pub(super) fn find(from: &mut impl Read, wanted: u64) -> io::Result<Found> {
    fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        from.read_exact(&mut bytes)?;
        Ok(bytes)
    }
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "no index of packets");
    if &array::<8>(from)? != MAGIC {
        return Err(damaged());
    }
    let (first, last) = (i64::from_le_bytes(array(from)?), i64::from_le_bytes(array(from)?));
    let flows = u32::from_le_bytes(array(from)?);
    let mut offsets = Vec::new();
    for _ in 0..flows {
        let hash = u64::from_le_bytes(array(from)?);
        let packets = u32::from_le_bytes(array(from)?) as usize;
        if packets > MOST {
            return Err(damaged());
        }
        if hash < wanted {
            let skipped = io::copy(&mut from.by_ref().take(4 * packets as u64), &mut io::sink())?;
            if skipped != 4 * packets as u64 {
                return Err(damaged());
            }
            continue;
        }
        if hash == wanted {
            for _ in 0..packets {
                offsets.push(u32::from_le_bytes(array(from)?));
            }
        }
        break;
    }
    Ok(Found { first, last, offsets })
}
