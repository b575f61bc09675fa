//! From events to records, and from records to the lake.
//!
//! Two halves. The sans-IO half ([`Aggregator`], ledger) takes [`capture`] events and time as arguments
//! and gives [`record`]s; it touches no clock, socket, file or thread. The lake half ([`lake`]) keeps
//! records as Parquet in atomic sets, with a journal that survives any crash.

pub mod record;
