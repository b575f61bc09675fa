//! The live feed: what is on the wire now, a second at a time, for whoever watches.
//!
//! ```text
//! shard: Meter ─ Part ─┐
//! shard: Meter ─ Part ─┴─► Tally, once a second ─► Report ─► Listener ─┬─ in this process
//!                                                                     └─ SocketFeed ─ unix socket ─► the UI process
//! ```
//!
//! A [`Meter`] sits beside a flow table and sees the same packets. Once a second what it metered is put together with the ledger
//! into a [`Report`]; its [`Second`] is what a browser gets, its queues are what `/metrics` tells.
//!
//! Promises: the feed never makes capture wait (who does not keep up loses the oldest reports, and is told how many);
//! memory is bounded whatever the traffic (lists of the heaviest have a bound, and say how much an entry may be short
//! of); a source that is silent reports that too, so that "no traffic" and "no capture" can be told apart.

mod heavy;
mod home;
mod meter;
mod shape;
mod socket;

use std::fmt;
use std::sync::Arc;

pub use home::{HomeError, HomeNetworks};
pub(crate) use meter::time;
pub use meter::{Meter, Metered, Part};
pub use shape::{
    Gauges, Host, LiveRecord, Loss, Name, NameKind, Pair, QueueMeter, RecordCounts, RecordSource, Report, Second,
    SourceKind, Traffic, Volume,
};
pub use socket::{MAX_LINE, SocketFeed};

/// Where reports go. It must not block.
pub trait Listener: Send + Sync {
    /// A source's last second.
    fn report(&self, report: Report);

    /// The source with this name has ended.
    fn ended(&self, source: &str) {
        let _ = source;
    }
}

/// A source's way to those who watch.
#[derive(Clone)]
pub struct Feed {
    /// Name of the source: of a capture, or of a watched folder.
    pub source: String,
    /// Which addresses are ours.
    pub home: Arc<HomeNetworks>,
    /// Who listens.
    pub to: Arc<dyn Listener>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("source", &self.source).field("home", &self.home).finish_non_exhaustive()
    }
}

impl Feed {
    /// A meter for a shard of this source.
    pub fn meter(&self) -> Meter {
        Meter::new(Arc::clone(&self.home))
    }
}

#[cfg(test)]
mod tests;
