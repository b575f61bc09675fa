//! The rolling packet store: the last packets as they were on the wire, by time and size, to be carved out when a record
//! asks for them.
//!
//! ```text
//! DIR/1764352800-0198….pcapng     named by the second it begins in; a plain pcapng file that any tool opens
//! DIR/1764352800-0198….idx        which flow's packets are where in it; written when the file is complete
//! ```
//!
//! Workers hand batches of frames to one writer thread through a bounded queue; a full queue loses the batch, counted,
//! and holds nobody up. Of each flow the first packets or bytes only may be kept: it is what Zeek, Arkime and Stenographer
//! users do against bulk transfers. When the store is as large or as old as it may be, or the disk is full, its oldest files go.
//! A file that a crash left has no index and is read from end to end; so is the one that is being written.

mod carve;
mod index;
mod pcapng;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use capture::{AddressPair, Packet};

use crate::key::{Key, KeyHasher};

pub use carve::{CarveError, Carved, Selection, carve};
pub(crate) use store::{PacketStore, Tap};

/// The index is read by other processes: its hash is the same everywhere. Who makes flows collide has them carved together,
/// were it not that addresses and ports of each packet are compared.
const SEED: u64 = 0x7061_636b_6574_7321;

/// Settings of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PacketOptions {
    /// Its folder; made if missing.
    pub dir: PathBuf,
    /// Bytes of its files, at most. At least 64 MiB.
    pub max_bytes: u64,
    /// How long packets are kept.
    pub max_age: Option<Duration>,
    /// Bytes kept of a packet.
    pub snaplen: u32,
    /// Of each flow, packets kept.
    pub first_packets: Option<u64>,
    /// Of each flow, bytes kept (frames).
    pub first_bytes: Option<u64>,
}

impl PacketOptions {
    /// Smallest `max_bytes`.
    pub const LEAST_BYTES: u64 = 64 << 20;

    /// The defaults for a folder: 10 GiB, whole packets, all of each flow.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_bytes: 10 << 30,
            max_age: None,
            snaplen: u32::MAX,
            first_packets: None,
            first_bytes: None,
        }
    }
}

/// Which flow's packet: the same for both directions, and for every process.
pub(crate) fn flow_hash(packet: &Packet) -> u64 {
    KeyHasher::new(SEED).hash(&Key::of(packet, false).0).max(1)
}

/// The hash of a flow, by its addresses.
fn pair_hash(pair: &AddressPair) -> u64 {
    flow_hash(&Packet {
        ts: capture::Nanos(0),
        pair: *pair,
        ip_bytes: 0,
        payload_bytes: 0,
        tcp: capture::Tcp::default(),
        tos: 0,
        fragment: capture::Fragment::Whole,
        link: capture::Link::default(),
        tunnel: None,
        service: None,
    })
}

macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $field:ident: $name:literal,)+) => {
        /// What became of packets that were to be kept. `packets.store.offered` is the sum of `stored`, `cut_off`,
        /// `lost_queue`, `lost_disk` and what waits.
        #[derive(Debug, Default)]
        pub(crate) struct StoreCounts {
            $($(#[doc = $doc])+ pub(crate) $field: AtomicU64,)+
            /// The writer has ended: nothing changes any more.
            pub(crate) is_final: AtomicBool,
        }

        impl StoreCounts {
            /// Names in the ledger, and values.
            pub(crate) fn counters(&self) -> Vec<(&'static str, u64)> {
                vec![$(($name, self.$field.load(Ordering::Relaxed)),)+]
            }
        }
    };
}

counts! {
    /// Packets that were to be kept.
    offered: "packets.store.offered",
    /// In the store (or expired since).
    stored: "packets.store.stored",
    /// Behind the first of their flow.
    cut_off: "packets.store.cut_off",
    /// The queue to the writer was full.
    lost_queue: "packets.store.lost_queue",
    /// They could not be written.
    lost_disk: "packets.store.lost_disk",
    /// Bytes of the packets stored.
    bytes: "bytes.store.stored",
    /// Files that expired, by age or by size.
    expired: "store.files_expired",
}

impl StoreCounts {
    fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }
}

/// Counters that several threads share.
pub(crate) type SharedCounts = Arc<StoreCounts>;

#[cfg(test)]
mod tests;
