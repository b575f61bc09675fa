//! What a capture is told, and what it tells: settings, surroundings, report and errors.

use std::collections::BTreeMap;
use std::time::Duration;

use capture::DecoderConfig;
use capture::duplicate::Duplicates;
use capture::live::Filter;
use capture::live::source::LinkEvent;

use crate::feed::Feed;
use crate::lake::{LakeError, check_sensor};
use crate::packets::PacketOptions;
use crate::record::Micros;
use crate::{Limits, Timeouts};

/// Settings of [`run`](super::run).
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Name of the sensor.
    pub sensor: String,
    /// What is read and how.
    pub decoder: DecoderConfig,
    /// When records end.
    pub timeouts: Timeouts,
    /// Bounds of the flow table and the matchers, over all shards.
    pub limits: Limits,
    /// Whether the VLAN id keeps flows apart.
    pub vlan_in_key: bool,
    /// Shards, each with a thread. 1 to 64.
    pub shards: usize,
    /// Bytes of the rings between a receiver and its shards: all of it where there is one shard, a half for each of two, a
    /// quarter for each of more. They take what a sweep of the kernel's cache brings at once. Default 64 MiB.
    pub ring_bytes: u64,
    /// How long a packet is held back for a queue that neither brings anything nor says that nothing comes: only in
    /// the order of time is it known who spoke first. Default 1 s.
    pub patience: Duration,
    /// Between two sets. Default 10 s.
    pub flush: Duration,
    /// Bytes of rows in memory; see [`crate::lake::WriterOptions::memory_limit`].
    pub memory_limit: usize,
    /// Sources keep one packet in so many; flow records are scaled by it.
    pub sample: u32,
    /// Ends after this time.
    pub duration: Option<Duration>,
    /// What is done with packets that a mirror port delivers twice.
    pub duplicates: Duplicates,
    /// Where the last packets are kept as they are.
    pub packets: Option<PacketOptions>,
    /// Who is told, a second at a time, what is on the wire.
    pub feed: Option<Feed>,
}

impl LiveOptions {
    /// The defaults for a sensor.
    pub fn new(sensor: impl Into<String>) -> Self {
        Self {
            sensor: sensor.into(),
            decoder: DecoderConfig::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            vlan_in_key: false,
            shards: 1,
            ring_bytes: 64 << 20,
            patience: Duration::from_secs(1),
            flush: Duration::from_secs(10),
            memory_limit: 96 << 20,
            sample: 1,
            duration: None,
            duplicates: Duplicates::Count,
            packets: None,
            feed: None,
        }
    }

    /// Whether all is within its range.
    pub(super) fn check(&self) -> Result<(), LiveError> {
        check_sensor(&self.sensor)?;
        if !(1..=64).contains(&self.shards) {
            return Err(LiveError::OutOfRange { name: "shards", range: "1 to 64" });
        }
        if self.packets.as_ref().is_some_and(|packets| packets.max_bytes < PacketOptions::LEAST_BYTES) {
            return Err(LiveError::OutOfRange { name: "the packet store's size", range: "at least 64 MiB" });
        }
        if self.flush < Duration::from_millis(100) {
            return Err(LiveError::OutOfRange { name: "flush", range: "at least 100 ms" });
        }
        Ok(())
    }
}

/// What a thread of the capture does; see [`Shell::thread_starts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Reads packets from the kernel.
    Receiver,
    /// Decodes and counts.
    Worker,
    /// Writes to the lake.
    Writer,
    /// Tells those who watch.
    Feed,
}

/// A set was published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flushed {
    /// Its interval.
    pub start: Micros,
    /// Its end.
    pub end: Micros,
    /// Rows by table.
    pub rows: BTreeMap<&'static str, u64>,
}

/// What surrounds a capture.
pub trait Shell: Sync {
    /// Capture is to end.
    fn is_interrupted(&self) -> bool;

    /// A new filter, once.
    fn new_filter(&self) -> Option<Filter> {
        None
    }

    /// Something happened to an interface.
    fn link(&self, interface: &str, event: &LinkEvent) {
        let _ = (interface, event);
    }

    /// Records became visible.
    fn flushed(&self, flushed: &Flushed) {
        let _ = flushed;
    }

    /// Called on each thread before it touches a packet: the place to give up privileges.
    fn thread_starts(&self, role: Role) {
        let _ = role;
    }
}

/// One queue in the report: its counters from the beginning, as the ledger names them.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct QueueReport {
    /// The interface.
    pub interface: String,
    /// The queue.
    pub queue: u32,
    /// How its packets left the kernel.
    pub mode: &'static str,
    /// Counters.
    pub ledger: BTreeMap<String, u64>,
}

/// What a capture did.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct LiveReport {
    /// How long it went.
    pub seconds: f64,
    /// The queues.
    pub queues: Vec<QueueReport>,
    /// Counters of the queues, summed, and of the capture as a whole.
    pub ledger: BTreeMap<String, u64>,
    /// Records by table.
    pub records: BTreeMap<&'static str, u64>,
    /// Sets published.
    pub sets: u64,
    /// Equations of the books that do not hold; none, unless Spotter is at fault.
    pub imbalances: Vec<String>,
    /// The last set could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Why a capture did not begin.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The lake refuses.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Nothing to capture.
    #[error("no interface to capture")]
    NoInterface,
    /// A setting out of its range.
    #[error("{name} is out of range: expected {range}")]
    OutOfRange {
        /// Which.
        name: &'static str,
        /// What is allowed.
        range: &'static str,
    },
    /// The packet store.
    #[error("packets cannot be kept in {folder}: {error}")]
    Packets {
        /// Where.
        folder: std::path::PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// No thread.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}
