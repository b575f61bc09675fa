//! Everything of one subject in the order of time.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Fired, Source};

/// What is asked about, when, and which page.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TimelineQuery {
    /// An address, a network, a name, a URI, or a Community ID (`1:…`).
    pub subject: String,
    /// First moment, RFC 3339.
    pub from: String,
    /// First moment after the span, RFC 3339.
    pub to: String,
    /// `flow`, `dns`, `proxy`, joined by commas; all if left out.
    pub sources: Option<String>,
    /// `true`: only records that a current run keeps or a verdict names.
    pub flagged: Option<bool>,
    /// A query: of sources that do not have its fields nothing is given.
    pub filter: Option<String>,
    /// `asc` (if left out) or `desc`.
    pub order: Option<String>,
    /// Where the last page ended: its `next_cursor`.
    pub cursor: Option<String>,
    /// Rows at most, 1 to 1000; 250 if left out.
    pub limit: Option<u32>,
}

/// One page.
#[derive(Debug, Serialize, ToSchema)]
pub struct Timeline {
    /// As it is looked for.
    pub subject: String,
    /// For a name: the addresses whose flows are shown.
    pub addresses: Vec<String>,
    /// Sources that do not have the fields of the query.
    pub without: Vec<Source>,
    /// Send it as `cursor` for the next page; null after the last.
    pub next_cursor: Option<String>,
    /// The rows.
    pub rows: Vec<Event>,
}

/// One record of any source.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its table.
    pub source: Source,
    /// Its identity.
    pub record_id: String,
    /// First moment.
    pub first_seen: String,
    /// Last moment.
    pub last_seen: String,
    /// Name of the sensor.
    pub sensor: String,
    /// Initiator or client.
    pub src_ip: String,
    /// Its port.
    pub src_port: Option<u16>,
    /// Responder or server.
    pub dst_ip: Option<String>,
    /// Its port.
    pub dst_port: Option<u16>,
    /// Protocol: `tcp`, `udp`, `icmp` …
    pub transport: String,
    /// What was asked for: service, name, or URI.
    pub what: String,
    /// What became of it: connection state, rcode, status.
    pub outcome: Option<String>,
    /// Bytes that the initiator or client sent.
    pub bytes_out: Option<u64>,
    /// Bytes that came back.
    pub bytes_in: Option<u64>,
    /// More: answers, user agent, history.
    pub detail: Option<String>,
    /// Community ID v1.
    pub community_id: Option<String>,
    /// Rank in the current run of its day, if it is kept there.
    pub rank: Option<u32>,
    /// Share of records that are less surprising.
    pub percentile: Option<f64>,
    /// Detectors that fired on it.
    pub detectors: Vec<Fired>,
    /// The verdict in force, Spot's numbers: 1 high, 2 medium, 3 low.
    pub severity: Option<u8>,
    /// Who gave it.
    pub severity_by: Option<String>,
}
