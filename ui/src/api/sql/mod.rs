//! The SQL console: one statement at a time, within limits of its own, for analysts.
//!
//! What may be asked is decided by [`analytics::sql`]: reading statements only, tables and views of the lake only, no
//! function that opens a file or an address. The console has an engine of its own, so that a heavy query takes nothing
//! from the pages; each statement is in the audit log.

mod console;
mod export;
pub(super) mod saved;

pub(crate) use console::SqlConsole;
pub(super) use console::{__path_run, __path_schema, run, schema};
pub(super) use export::{__path_export, export};
