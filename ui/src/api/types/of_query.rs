//! One verdict on every row that a query finds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Show, Source};

/// The same verdict on every row that a query of a day's list finds.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryVerdict {
    /// Kind of record.
    pub source: Source,
    /// The day, UTC.
    pub date: String,
    /// The query; all rows if left out or empty.
    pub filter: Option<String>,
    /// Which rows by what was said of them; `open` if left out.
    pub show: Option<Show>,
    /// 1 high, 2 medium, 3 low.
    pub severity: u8,
    /// Why.
    pub note: Option<String>,
    /// Until when, RFC 3339; for ever if left out.
    pub expires: Option<String>,
    /// The run that was looked at: given only if it is still the day's.
    pub run_id: Option<String>,
    /// Rows that were seen: given only if there are still as many.
    pub rows: Option<u64>,
}

/// What a verdict on a query's rows would reach.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryReach {
    /// The day.
    pub date: String,
    /// The run whose list it is.
    pub run_id: String,
    /// Rows the query finds.
    pub rows: u64,
    /// Groups they are of.
    pub groups: u64,
    /// Rows among them that have a verdict already: theirs take its place.
    pub rated: u64,
    /// Best place among them.
    pub best_rank: Option<u32>,
    /// The most suspicious of the rows, 20 at most.
    pub sample: Vec<String>,
    /// Rows that one verdict may be given on.
    pub most: u64,
}

/// A batch that was given.
#[derive(Debug, Serialize, ToSchema)]
pub struct GivenBatch {
    /// Its number: it is taken back by it.
    pub batch: i64,
    /// Verdicts in it, one a row.
    pub verdicts: u64,
}

/// A batch that was taken back.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchTakenBack {
    /// Verdicts that are out of force now.
    pub taken_back: u64,
    /// Those that had been superseded or taken back before.
    pub ended_before: u64,
}
