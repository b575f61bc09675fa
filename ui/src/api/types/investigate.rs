//! What the raw lake says of one address, network, name or URI, or of one service.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Show, Source};

/// What is asked about, and when.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SubjectQuery {
    /// An address, a network (`10.0.0.0/8`), a name (names below it count too), or a URI.
    pub subject: String,
    /// First moment, RFC 3339.
    pub from: String,
    /// First moment after the span, RFC 3339.
    pub to: String,
    /// Rows of each table, 1 to 200; 20 if left out, as in Apache Spot.
    pub top: Option<u32>,
}

/// The same for the connections table.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ConnectionsQuery {
    /// An address, a network, or a name.
    pub subject: String,
    /// First moment, RFC 3339.
    pub from: String,
    /// First moment after the span, RFC 3339.
    pub to: String,
    /// `connections` (if left out), `bytes` or `first_seen`.
    pub sort: Option<String>,
    /// Rows at most, 1 to 1000; 250 if left out.
    pub limit: Option<u32>,
}

/// What kind of thing a subject is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// An IPv4 or IPv6 address.
    Address,
    /// A network.
    Network,
    /// A host or domain name.
    Name,
    /// A whole URI.
    Uri,
}

/// All that the lake says of a subject.
#[derive(Debug, Serialize, ToSchema)]
pub struct Investigation {
    /// As it is looked for: canonical, lower case.
    pub subject: String,
    /// What it is.
    pub kind: SubjectKind,
    /// First moment.
    pub from: String,
    /// First moment after the span.
    pub to: String,
    /// When this was computed; an answer from the cache keeps it.
    pub computed_at: String,
    /// How long that took, ms.
    pub took_ms: u64,
    /// Is it inside the own network? Null for names and URIs.
    pub internal: Option<bool>,
    /// For a name: the addresses it resolved to in the span, which the flows are of. For an address: itself.
    pub addresses: Vec<String>,
    /// Records of each source.
    pub totals: Vec<SourceTotal>,
    /// Connections by who opens them. Empty where no flow is of the subject.
    pub ways: Vec<Way>,
    /// The peers that lead by connections or by bytes, of each way.
    pub peers: Vec<Peer>,
    /// Top lists: names, services, clients, user agents …
    pub facets: Vec<Facet>,
}

/// How much one source has of the subject.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SourceTotal {
    /// Which.
    pub source: Source,
    /// Records.
    pub records: u64,
    /// First moment.
    pub first_seen: Option<String>,
    /// Last moment.
    pub last_seen: Option<String>,
}

/// Who opens connections between the subject and a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The peer.
    In,
    /// The subject.
    Out,
    /// Both.
    TwoWay,
}

/// All peers of one way together.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Way {
    /// Which.
    pub way: Direction,
    /// Peers.
    pub peers: u64,
    /// Flow records.
    pub connections: u64,
    /// Bytes that the subject sent.
    pub bytes_out: u64,
    /// Bytes that it received.
    pub bytes_in: u64,
    /// Packets that it sent.
    pub packets_out: u64,
    /// Packets that it received.
    pub packets_in: u64,
    /// Most bytes of one record, both directions.
    pub max_bytes: u64,
    /// Most packets of one record, both directions.
    pub max_packets: u64,
    /// First moment.
    pub first_seen: String,
    /// Last moment.
    pub last_seen: String,
}

/// One peer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Its address.
    pub peer: String,
    /// Who opens the connections.
    pub way: Direction,
    /// Is it inside the own network?
    pub internal: bool,
    /// Flow records.
    pub connections: u64,
    /// Bytes that the subject sent.
    pub bytes_out: u64,
    /// Bytes that it received.
    pub bytes_in: u64,
    /// Packets that it sent.
    pub packets_out: u64,
    /// Packets that it received.
    pub packets_in: u64,
    /// Most bytes of one record.
    pub max_bytes: u64,
    /// Most packets of one record.
    pub max_packets: u64,
    /// Distinct responder ports, about.
    pub ports: u64,
    /// First moment.
    pub first_seen: String,
    /// Last moment.
    pub last_seen: String,
    /// Place by connections among the peers of its way, from 1.
    pub rank_connections: u64,
    /// Place by bytes.
    pub rank_bytes: u64,
}

/// A top list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Facet {
    /// Stable name, e.g. `dns_names`.
    pub key: String,
    /// Title.
    pub title: String,
    /// Which source it is of; null: leases of DHCP.
    pub source: Option<Source>,
    /// What the values are: `address`, `name`, `uri`, `service` (`tcp/443`), or `text`.
    pub value_kind: String,
    /// Are there more than `rows` has?
    pub more: bool,
    /// The leaders by count.
    pub rows: Vec<FacetRow>,
}

/// One value of a top list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FacetRow {
    /// The value.
    pub value: String,
    /// More about it.
    pub detail: Option<String>,
    /// Records.
    pub count: u64,
    /// Bytes, both directions, where the source has them.
    pub bytes: Option<u64>,
    /// First moment.
    pub first_seen: String,
    /// Last moment.
    pub last_seen: String,
}

/// Connections of a subject, grouped as Apache Spot's expanded search groups them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Connections {
    /// As it is looked for.
    pub subject: String,
    /// Are there more than `rows` has?
    pub more: bool,
    /// The rows.
    pub rows: Vec<Connection>,
}

/// The flow records that share both addresses and ports.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// First moment.
    pub first_seen: String,
    /// Last moment.
    pub last_seen: String,
    /// Initiator.
    pub src_ip: String,
    /// Responder.
    pub dst_ip: String,
    /// Initiator's port.
    pub src_port: u16,
    /// Responder's port.
    pub dst_port: u16,
    /// IANA protocol number.
    pub proto: u8,
    /// Flow records.
    pub connections: u64,
    /// Bytes, both directions.
    pub bytes: u64,
    /// Most bytes of one record.
    pub max_bytes: u64,
    /// Mean bytes of a record.
    pub avg_bytes: f64,
    /// Most packets of one record.
    pub max_packets: u64,
    /// Mean packets of a record.
    pub avg_packets: f64,
}

/// How much, when.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VolumeQuery {
    /// An address or network; all traffic if left out, with what the initiator sent as `out`.
    pub subject: Option<String>,
    /// First moment, RFC 3339.
    pub from: String,
    /// First moment after the span, RFC 3339.
    pub to: String,
    /// Seconds of a bucket: 60, 300, 900, 3600, 21600 or 86400; chosen by the span if left out.
    pub step: Option<u32>,
}

/// Bytes and packets over time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Volume {
    /// As it is looked for.
    pub subject: Option<String>,
    /// Start of the first bucket, Unix seconds.
    pub start: i64,
    /// Seconds of a bucket.
    pub step: u32,
    /// Per bucket: bytes the subject received.
    pub bytes_in: Vec<u64>,
    /// Per bucket: bytes it sent.
    pub bytes_out: Vec<u64>,
    /// Per bucket: packets it received.
    pub packets_in: Vec<u64>,
    /// Per bucket: packets it sent.
    pub packets_out: Vec<u64>,
    /// Per bucket: flow records that began.
    pub connections: Vec<u64>,
}

/// A span of time.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SpanQuery {
    /// First moment, RFC 3339.
    pub from: String,
    /// First moment after the span, RFC 3339.
    pub to: String,
    /// Rows of each table, 1 to 200; 20 if left out.
    pub top: Option<u32>,
}

/// One service over the whole network.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceFindings {
    /// IANA protocol number.
    pub proto: u8,
    /// Responder's port.
    pub port: u16,
    /// First moment.
    pub from: String,
    /// First moment after the span.
    pub to: String,
    /// Flow records.
    pub connections: u64,
    /// Bytes, both directions.
    pub bytes: u64,
    /// Hosts that open connections.
    pub clients: u64,
    /// Hosts that answer.
    pub servers: u64,
    /// Pairs of hosts.
    pub pairs: u64,
    /// First moment.
    pub first_seen: Option<String>,
    /// Last moment.
    pub last_seen: Option<String>,
    /// What crosses which border.
    pub borders: Vec<Border>,
    /// Servers, clients, protocols recognised.
    pub facets: Vec<Facet>,
    /// Pairs that had no such connection in the 14 days before the span.
    pub new_pairs: Vec<NewPair>,
    /// Are there more new pairs?
    pub more_new_pairs: bool,
    /// Is there anything in the 14 days before? If not, every pair is new and that says nothing.
    pub has_history: bool,
    /// Scored records of this service in the current runs.
    pub scored: u64,
    /// The most suspicious of them, one of each group.
    pub leaders: Vec<ServiceScore>,
    /// Suppression and allow rules that name this port.
    pub rules: Vec<ServiceRule>,
}

/// Traffic between inside and outside.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Border {
    /// Is the initiator inside?
    pub src_internal: bool,
    /// Is the responder inside?
    pub dst_internal: bool,
    /// Flow records.
    pub connections: u64,
    /// Bytes, both directions.
    pub bytes: u64,
    /// Pairs of hosts.
    pub pairs: u64,
}

/// Two hosts that were not seen together on this service before.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct NewPair {
    /// Initiator.
    pub src_ip: String,
    /// Responder.
    pub dst_ip: String,
    /// Flow records.
    pub connections: u64,
    /// Bytes, both directions.
    pub bytes: u64,
    /// First moment.
    pub first_seen: String,
}

/// A scored record of a service.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ServiceScore {
    /// Identity.
    pub record_id: String,
    /// The day of the run.
    pub date: String,
    /// Rank in it.
    pub rank: u32,
    /// First packet.
    pub first_seen: String,
    /// Initiator.
    pub src_ip: String,
    /// Responder.
    pub dst_ip: String,
    /// Share of records that are less surprising.
    pub percentile: f64,
    /// Records of its group that are of this service.
    pub alike: u64,
}

/// A rule that names a port.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceRule {
    /// Its number.
    pub rule_id: i64,
    /// `suppress` or `allow`.
    pub action: String,
    /// What it matches, JSON.
    pub matcher: String,
    /// Who made it.
    pub author: String,
    /// Why.
    pub note: Option<String>,
}

/// When, and how fine.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IngestQuery {
    /// First moment, RFC 3339.
    pub from: String,
    /// First moment after the span, RFC 3339.
    pub to: String,
    /// Seconds of a bucket: 60, 300, 900, 3600, 21600 or 86400; chosen by the span if left out.
    pub step: Option<u32>,
}

/// What arrived, and when nothing could.
#[derive(Debug, Serialize, ToSchema)]
pub struct IngestSpan {
    /// Start of the first bucket, Unix seconds.
    pub start: i64,
    /// Seconds of a bucket.
    pub step: u32,
    /// Buckets.
    pub buckets: u32,
    /// Records of each source and sensor.
    pub series: Vec<IngestSeries>,
    /// When each sensor was listening, by the ledger.
    pub coverage: Vec<Coverage>,
    /// What exporters sent, those with most messages first, at most 200.
    pub exporters: Vec<IngestExporter>,
}

/// What an exporter sent in a span of time, by the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub struct IngestExporter {
    /// Name of the sensor.
    pub sensor: String,
    /// Collector, protocol, address and observation domain, as the ledger names them.
    pub exporter: String,
    /// Messages read.
    pub messages: u64,
    /// Flows in them.
    pub flows: u64,
    /// What is missing by its numbering, in units of `lost_unit`.
    pub lost: u64,
    /// What its protocol numbers: `flows`, `datagrams` or `records`.
    pub lost_unit: String,
    /// Mean seconds from a flow's end, by the exporter's clock, to its arrival; `null` where no flow said when it ended.
    pub lag_seconds: Option<f64>,
}

/// Records of one source and sensor.
#[derive(Debug, Serialize, ToSchema)]
pub struct IngestSeries {
    /// Which.
    pub source: Source,
    /// Name of the sensor.
    pub sensor: String,
    /// Records in all.
    pub total: u64,
    /// Records of each bucket.
    pub values: Vec<u64>,
}

/// When a sensor was listening. A bucket without records is "no traffic" where it is covered and "not captured" where it
/// is not.
#[derive(Debug, Serialize, ToSchema)]
pub struct Coverage {
    /// Name of the sensor.
    pub sensor: String,
    /// Of each bucket, the share that lies in an interval of the ledger, 0 to 1.
    pub covered: Vec<f64>,
    /// Packets of each bucket's intervals that were lost, by every counter that says so; an interval's losses stand where
    /// it begins.
    pub lost: Vec<u64>,
}

/// What to export. Which parameters a table takes is said at the route; they are those of the table itself.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `csv` (Apache Spot's columns), `jsonl`, `parquet`, `zeek`, `ecs`, `ocsf`, `odm`, `stix`, `misp`, `sigma`.
    pub format: String,
    /// `suspicious`: the day; the latest that is scored if left out.
    pub date: Option<String>,
    /// `suspicious`, `records`: the query.
    pub filter: Option<String>,
    /// `suspicious`: the list's order.
    pub sort: Option<String>,
    /// `suspicious`: `off` for every record instead of the leader of each group.
    pub groups: Option<String>,
    /// `suspicious`: the records of this group.
    pub group: Option<String>,
    /// `suspicious`: which by what was said of them, as the list's; all of a group's, else those still open.
    #[param(inline)]
    pub show: Option<Show>,
    /// `records`: an address, network, name, URI or Community ID.
    pub subject: Option<String>,
    /// `records`: first moment, RFC 3339.
    pub from: Option<String>,
    /// `records`: first moment after the span, RFC 3339.
    pub to: Option<String>,
    /// `records`: only those that a current run keeps as suspicious, or that have a verdict.
    pub flagged: Option<bool>,
    /// `records`: `asc` (default) or `desc`, by time.
    pub order: Option<String>,
    /// `details`: a moment in the minute (flow) or hour.
    pub time: Option<String>,
    /// `details` of flow: one address.
    pub src: Option<String>,
    /// `details` of flow: the other.
    pub dst: Option<String>,
    /// `details` of dns: the name.
    pub name: Option<String>,
    /// `details` of proxy: the whole URI.
    pub uri: Option<String>,
    /// `details` of proxy: the client.
    pub client: Option<String>,
}
