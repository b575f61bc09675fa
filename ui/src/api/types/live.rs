//! The live feed.

use aggregator::feed::{LiveRecord, Second, Traffic};
use serde::Serialize;
use utoipa::ToSchema;

/// One message of `/api/v1/live` and `/api/v1/live.sse`, told apart by `type`.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveMessage {
    /// The first message of a connection: what was up to now.
    Snapshot(LiveSnapshot),
    /// A second of one source. Each source sends one a second, also when it is silent; watched folders only while files
    /// are read. To have the total of all sources, add those of the same `at`.
    Second(Box<Second>),
    /// This client did not keep up: the oldest messages were left out.
    Dropped(LiveDropped),
}

/// What was up to now.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveSnapshot {
    /// The latest second of each source, without its records.
    pub sources: Vec<Second>,
    /// The last 300 seconds of each source, oldest first.
    pub history: Vec<LivePoint>,
    /// The last records of all sources, at most 200, oldest first.
    pub last: Vec<LiveRecord>,
}

/// A second that is over.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct LivePoint {
    /// Name of the source.
    pub source: String,
    /// End of the second, RFC 3339.
    pub at: String,
    /// Time that was metered, microseconds.
    pub interval_us: u64,
    /// Packets and bytes.
    pub traffic: Traffic,
    /// Packets that were lost by overload.
    pub dropped: u64,
}

/// Messages that were left out for this client.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveDropped {
    /// Just now.
    pub messages: u64,
    /// Since the client connected.
    pub total: u64,
}
