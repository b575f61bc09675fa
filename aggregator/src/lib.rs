//! From events to records, and from records to the lake.
//!
//! Two halves. The sans-IO half ([`Aggregator`], ledger) takes [`capture`] events and time as arguments
//! and gives [`record`]s; it touches no clock, socket, file or thread. The lake half ([`lake`]) keeps
//! records as Parquet in atomic sets, with a journal that survives any crash.

#![forbid(unsafe_code)]

mod aggregate;
mod config;
pub mod import;
pub mod lake;
mod ledger;
pub mod record;
pub mod state;
mod stats;

pub use aggregate::Aggregator;
pub use config::{AggregatorConfig, Limits, Timeouts};
pub use ledger::{Books, Imbalance, LedgerHead, Totals};
pub use stats::Stats;
