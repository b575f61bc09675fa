//! What a report says: the JSON that goes through the socket and, as [`Second`], to the browser.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Packets and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = LiveVolume)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl AddAssign for Volume {
    fn add_assign(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What the packets come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Interfaces, live.
    Capture,
    /// Files that are being read; rates are those of the reading.
    Import,
}

/// The traffic of a second. Ways are by the home networks; their bytes are IP bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Traffic {
    /// Frames that were decoded or counted in the kernel, with their bytes on the wire: IP or not.
    pub wire: Volume,
    /// IP packets from elsewhere to home.
    pub incoming: Volume,
    /// IP packets from home to elsewhere.
    pub outgoing: Volume,
    /// IP packets between home and home (or a multicast group).
    pub internal: Volume,
    /// IP packets between others.
    pub external: Volume,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        let Self { wire, incoming, outgoing, internal, external } = other;
        self.wire += wire;
        self.incoming += incoming;
        self.outgoing += outgoing;
        self.internal += internal;
        self.external += external;
    }
}

/// An address and what it sent and received within the second.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Host {
    /// The address.
    pub ip: String,
    /// It is one of ours.
    pub home: bool,
    /// What it sent, IP bytes.
    pub sent: Volume,
    /// What it received, IP bytes.
    pub received: Volume,
}

/// Two addresses and what went between them within the second.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Pair {
    /// The lower address.
    pub a: String,
    /// The higher address.
    pub b: String,
    /// From `a` to `b`, IP bytes.
    pub a_to_b: Volume,
    /// From `b` to `a`, IP bytes.
    pub b_to_a: Volume,
}

/// Where a name was seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NameKind {
    /// Asked by DNS.
    Dns,
    /// Host of an HTTP request.
    Http,
    /// server_name of a TLS ClientHello.
    Tls,
}

/// A name and how often it was asked for within the second.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Name {
    /// The name.
    pub name: String,
    /// Where it was seen.
    pub kind: NameKind,
    /// Questions, requests or hellos.
    pub count: u64,
}

/// A way in which packets were lost by overload (filters and sampling are not losses).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Loss {
    /// The ledger's term, e.g. `missed_before_probe`, `lost_shard_ring`.
    pub cause: String,
    /// Packets lost within the second.
    pub packets: u64,
    /// Packets lost since the source began.
    pub total: u64,
}

/// Records that were finished within the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct RecordCounts {
    /// Flows that began.
    pub flows_opened: u64,
    /// Flow records finished.
    pub flow: u64,
    /// DNS questions finished.
    pub dns: u64,
    /// Requests finished.
    pub proxy: u64,
}

/// Which table a record goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecordSource {
    /// `flow`
    Flow,
    /// `dns`
    Dns,
    /// `proxy`
    Proxy,
}

/// A record as it was finished; or, with `open`, a flow as it began: its record comes when it ends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct LiveRecord {
    /// Which table.
    pub source: RecordSource,
    /// A flow that has just begun: counts are those of its first packet, and there is no `record_id` yet.
    pub open: bool,
    /// The record, once it is in the lake (at the next flush).
    pub record_id: Option<String>,
    /// First moment, RFC 3339.
    pub first_seen: String,
    /// Last moment, RFC 3339.
    pub last_seen: String,
    /// Initiator or client.
    pub src_ip: String,
    /// Its port.
    pub src_port: Option<u16>,
    /// Responder or server.
    pub dst_ip: Option<String>,
    /// Its port.
    pub dst_port: Option<u16>,
    /// IANA protocol number; of flows.
    pub proto: Option<u8>,
    /// Packets, both directions; of flows.
    pub packets: Option<u64>,
    /// IP bytes, both directions; of requests their own and the response's.
    pub bytes: Option<u64>,
    /// Zeek's conn_state; of flows.
    pub state: Option<String>,
    /// Name asked for, or host.
    pub name: Option<String>,
    /// QTYPE; of DNS.
    pub qtype: Option<u16>,
    /// RCODE, absent where no answer came; of DNS.
    pub rcode: Option<u16>,
    /// Method (`CONNECT`, `GET`, …; of TLS empty).
    pub method: Option<String>,
    /// Path; of requests.
    pub path: Option<String>,
    /// Status; of requests.
    pub status: Option<u16>,
}

/// One second of one source: what `/api/v1/live` sends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, ToSchema)]
pub struct Second {
    /// Name of the source: of a capture, or of a watched folder.
    pub source: String,
    /// What its packets come from.
    pub kind: SourceKind,
    /// Sensor name of its records.
    pub sensor: String,
    /// End of the second by this machine's clock, RFC 3339: whole seconds, the same for all sources.
    pub at: String,
    /// Time that was metered, microseconds: about 1,000,000.
    pub interval_us: u64,
    /// The source has ended: this is its last.
    pub ended: bool,
    /// Packets and bytes.
    pub traffic: Traffic,
    /// Records finished.
    pub records: RecordCounts,
    /// The heaviest hosts by bytes, at most 20, heaviest first.
    pub talkers: Vec<Host>,
    /// The heaviest pairs of hosts by bytes, at most 20, heaviest first.
    pub pairs: Vec<Pair>,
    /// The most asked names, at most 20.
    pub names: Vec<Name>,
    /// What an entry of `talkers` and `pairs` may be short of, because more pairs spoke than are kept. 0 in all but floods.
    pub short: Volume,
    /// The last records of each kind, at most 40 of a kind, oldest first.
    pub last: Vec<LiveRecord>,
    /// Losses that ever happened, worst first.
    pub drops: Vec<Loss>,
    /// The books since the source began, summed over its queues: `offered`, `seen`, `filtered`, `received` … in packets.
    pub ledger: BTreeMap<String, u64>,
    /// Reports of this source that were lost on their way, since it began.
    pub reports_lost: u64,
}

/// One queue's counters since it was opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct QueueMeter {
    /// The interface.
    pub interface: String,
    /// The queue.
    pub queue: u32,
    /// How its packets leave the kernel.
    pub mode: String,
    /// All counters of the ledger.
    pub ledger: BTreeMap<String, u64>,
}

/// How full things are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Gauges {
    /// Flows in memory.
    pub flows: u64,
    /// How many there may be.
    pub flows_limit: u64,
    /// Batches in the rings between receivers and shards.
    pub ring_batches: u64,
    /// How many there may be.
    pub ring_batches_limit: u64,
}

/// What a source reports once a second.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// For those who watch.
    pub second: Second,
    /// By queue, for `/metrics`.
    pub queues: Vec<QueueMeter>,
    /// Counters that belong to no queue, since the start.
    pub whole: BTreeMap<String, u64>,
    /// Rows written to the lake, by table, since the start.
    pub written: BTreeMap<String, u64>,
    /// Sets published, since the start.
    pub sets: u64,
    /// How full things are.
    pub gauges: Gauges,
}
