//! The appliance: what it holds, its books, its runs.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Run, Source};

/// Records per minute of one day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ingest {
    /// Which records.
    pub source: Source,
    /// The day.
    pub date: String,
    /// Records in all.
    pub total: u64,
    /// One count per minute of the day: 1440 of them, from 00:00 UTC.
    pub per_minute: Vec<u64>,
}

/// What the appliance holds, and whether its books close.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// Version of Spotter.
    pub version: String,
    /// When this was looked up.
    pub at: String,
    /// The lake's folder.
    pub lake: String,
    /// What is in it.
    pub tables: Vec<TableStatus>,
    /// The last books, latest first, at most 50.
    pub books: Vec<Book>,
    /// Scoring runs, latest first, at most 50.
    pub runs: Vec<Run>,
    /// How long things are kept, and what there is room for.
    pub keeping: Keeping,
    /// The latest record of each sensor's flow, DNS and proxy table.
    pub arrivals: Vec<Arrival>,
    /// Routers and switches that export to collectors, those heard last first, at most 200.
    pub exporters: Vec<ExporterStatus>,
}

/// How long things are kept, and what there is room for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Keeping {
    /// What retention was told; absent where no appliance (`spotter run`) keeps this lake.
    pub retention: Option<Retention>,
    /// The oldest hour: it goes first.
    pub oldest: Option<KeptHour>,
    /// Bytes of all records, scores and books.
    pub bytes: u64,
    /// Bytes of the records of the last whole day before the latest record's.
    pub bytes_of_a_day: Option<u64>,
    /// Bytes of the file system in all.
    pub disk_total: Option<u64>,
    /// Bytes of it that may still be written.
    pub disk_free: Option<u64>,
    /// Days until the file system, or the lake by what retention was told, is full, at the pace of that day.
    pub days_left: Option<f64>,
}

/// What retention was told.
#[derive(Debug, Serialize, ToSchema)]
pub struct Retention {
    /// Hours that ended longer ago than so many seconds are removed; `null`: none is by age.
    pub max_age_seconds: Option<u64>,
    /// The oldest hours are removed until the lake has no more bytes; `null`: none is by size.
    pub max_bytes: Option<u64>,
    /// When it last looked.
    pub looked: String,
    /// When the oldest hour goes by age.
    pub next: Option<String>,
}

/// An hour of records.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeptHour {
    /// Its first moment.
    pub from: String,
    /// The first moment after it.
    pub to: String,
    /// Rows in it, scores too.
    pub rows: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// The latest record of a sensor's table.
#[derive(Debug, Serialize, ToSchema)]
pub struct Arrival {
    /// The sensor.
    pub sensor: String,
    /// Which records.
    pub source: String,
    /// Rows of it in all.
    pub rows: u64,
    /// The last moment of the latest record.
    pub last: String,
    /// Seconds since then.
    pub age_seconds: f64,
    /// Seconds from that moment to when the record came into the lake; `null` where its file was merged with others since.
    pub lag_seconds: Option<f64>,
}

/// What an exporter sent since it is known, how late, and what is missing by its numbering.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExporterStatus {
    /// Who collects from it: the sensor.
    pub sensor: String,
    /// The collector, by its name in the ledger.
    pub collector: String,
    /// netflow5, netflow7, netflow9, ipfix, sflow.
    pub protocol: String,
    /// Its address.
    pub address: String,
    /// Observation domain, source id, engine or sub-agent.
    pub domain: String,
    /// When its last message came.
    pub last: String,
    /// Seconds since then.
    pub age_seconds: f64,
    /// The latest end of a flow, by its clock; `null` where it says none (sFlow).
    pub last_ended: Option<String>,
    /// Seconds from a flow's end to its arrival, the mean of those that came with the last set; the exporter's own timeouts are part of it.
    pub lag_seconds: Option<f64>,
    /// The longest of them.
    pub lag_longest_seconds: Option<f64>,
    /// Messages read.
    pub messages: u64,
    /// Flows in them.
    pub flows: u64,
    /// What is missing by its numbering, in units of `lost_unit`.
    pub lost: u64,
    /// What its protocol numbers: `flows`, `datagrams` or `records`.
    pub lost_unit: String,
    /// Messages that came a little late.
    pub reordered: u64,
    /// How often its numbering began anew.
    pub restarts: u64,
    /// Data sets that came before their template.
    pub without_template: u64,
    /// Flows that ended more than a second after they came: its clock is ahead.
    pub clock_ahead: u64,
    /// Flows that ended more than a day before they came.
    pub clock_behind: u64,
}

/// One table of the lake.
#[derive(Debug, Serialize, ToSchema)]
pub struct TableStatus {
    /// Its name.
    pub table: String,
    /// Parquet files.
    pub parts: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// First moment in it.
    pub first: Option<String>,
    /// Last moment in it.
    pub last: Option<String>,
}

/// The ledger of one source over one interval.
#[derive(Debug, Serialize, ToSchema)]
pub struct Book {
    /// Which sensor.
    pub sensor: String,
    /// Which input: a file, an interface, a collector, `lake`.
    pub source: String,
    /// First moment.
    pub from: String,
    /// End.
    pub to: String,
    /// The equations that apply.
    pub equations: Vec<Equation>,
    /// Do all of them hold? `null` where none applies.
    pub closed: Option<bool>,
    /// Packets lost or dropped, by any counter that says so.
    pub lost: u64,
    /// Every counter.
    pub counters: Vec<Counter>,
}

/// `total = sum of the terms`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Equation {
    /// Packets, bytes or flows.
    pub unit: String,
    /// Left side.
    pub total: Counter,
    /// Right side; terms of value 0 are left out.
    pub terms: Vec<Counter>,
    /// Left minus right, as text since it may be negative and large; `0` where the books close.
    pub difference: String,
}

/// A counter of the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Counter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: u64,
}
