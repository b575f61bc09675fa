//! SQL over the lake, by DataFusion.
//!
//! [`Engine`] knows the tables `flow`, `dns`, `proxy`, `ledger`, `interfaces`, `scores` (all sources) and
//! `scores_flow`, `scores_dns`, `scores_proxy` with the columns of DATA-MODEL.md plus `date` and `hour` (or
//! `source`), the folders of the lake; and the views `spot_flow`, `spot_dns`, `spot_proxy` with Apache Spot's
//! columns. `SHOW TABLES` and `DESCRIBE flow` say so too.
//!
//! Promises: a query sees each table as it was when the query started, whatever is imported or compacted
//! meanwhile; a lake without data has empty tables; memory, disk, time and rows are bounded
//! ([`EngineLimits`]); nothing but reading is possible, and nothing outside the lake can be read.
//!
//! A query that names a time range (`first_seen`, `date`, or the views' `y`, `m`, `d`, `treceived`,
//! `unix_tstamp`) opens only the files of that range.

mod answer;
mod columns;
mod engine;
mod error;
mod functions;
mod guard;
mod limits;
mod param;
mod prune;
mod reader;
mod rows;
mod table;
#[cfg(test)]
mod tests;
mod views;
mod workers;

pub use answer::Answer;
pub use columns::{Column, Columns};
pub use engine::Engine;
pub use error::QueryError;
pub use limits::EngineLimits;
pub use param::Param;
pub use rows::{ColumnInfo, RowLimits, Rows};
