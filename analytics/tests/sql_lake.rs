//! SQL over lakes written by the lake's own writer. One binary: linking DataFusion once is enough.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "sql/limits.rs"]
mod limits;
#[path = "sql/output.rs"]
mod output;
#[path = "sql/support.rs"]
mod support;
#[path = "sql/tables.rs"]
mod tables;
#[path = "sql/views.rs"]
mod views;
