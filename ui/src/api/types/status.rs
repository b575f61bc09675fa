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
