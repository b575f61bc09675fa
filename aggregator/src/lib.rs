//! From events to records, and from records to the lake.
//!
//! Two halves. The sans-IO half ([`Aggregator`], ledger) takes [`capture`] events and time as arguments
//! and gives [`record`]s; it touches no clock, socket, file or thread. The lake half ([`lake`]) keeps
//! records as Parquet in atomic sets, with a journal that survives any crash.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod aggregate;
mod community_id;
mod config;
mod conn_state;
#[cfg(test)]
mod cost;
mod dhcp_match;
mod dns_match;
pub mod exported;
mod exported_files;
mod exported_import;
mod exported_interfaces;
pub mod exported_live;
pub mod exported_logs;
pub mod feed;
mod flow;
mod flows;
mod http_match;
mod icmp;
pub mod import;
#[cfg(feature = "kafka")]
pub mod kafka;
mod key;
pub mod lake;
mod ledger;
pub mod live;
pub mod packets;
mod quarantine;
pub mod record;
mod record_id;
mod slab;
mod spot_tables;
pub mod state;
mod stats;
mod table;
mod vlan_split;
mod wheel;

pub use aggregate::Aggregator;
pub use community_id::CommunityId;
pub use config::{AggregatorConfig, Limits, Timeouts};
pub use ledger::{Books, Imbalance, LedgerHead, Totals};
pub use stats::Stats;
