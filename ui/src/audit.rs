//! The audit log beside the lake's ledger: where its head was noted, and whether both agree.

use aggregator::lake::books::{AUDIT_HEAD, AUDIT_SOURCE};
use aggregator::lake::{Lake, LakeError};
use aggregator::state::StateError;
use aggregator::state::audit::{Checked, Head};
use analytics::sql::{Engine, QueryError, RowLimits};

/// Heads that are compared: the newest.
const MAX_HEADS: u64 = 100_000;

/// Why the log could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The state database cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The ledger cannot be written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// The heads of the audit log that the ledger has noted, newest first.
pub(crate) async fn noted_heads(engine: &Engine) -> Result<Vec<Head>, QueryError> {
    let sql = "SELECT counter, value FROM ledger WHERE source = $1 AND starts_with(counter, $2) ORDER BY value DESC";
    let limits = RowLimits { max_rows: Some(MAX_HEADS), ..RowLimits::default() };
    let rows = engine.query_rows(sql, vec![AUDIT_SOURCE.into(), AUDIT_HEAD.into()], limits).await?;
    let head = |row: &serde_json::Map<String, serde_json::Value>| {
        let hash = row.get("counter")?.as_str()?.strip_prefix(AUDIT_HEAD)?.to_owned();
        Some(Head { seq: row.get("value")?.as_i64()?, hash })
    };
    Ok(rows.rows.iter().filter_map(head).collect())
}

/// Computes the chain of the audit log anew and compares it with the heads in the ledger. Gives what was found, and how
/// many heads there were.
///
/// # Errors
/// The lake or its state database cannot be read.
pub async fn verify(lake: &Lake, engine: &Engine) -> Result<(Checked, usize), AuditError> {
    let heads = noted_heads(engine).await?;
    Ok((lake.state().check_audit(&heads)?, heads.len()))
}
