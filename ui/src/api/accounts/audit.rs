//! The audit log, for administrators.

use axum::Json;
use axum::extract::State;

use crate::api::params::Params;
use crate::api::rows::moment;
use crate::api::types::{Audit, AuditCheck, AuditEntry, AuditQuery, Problem};
use crate::app::Shared;
use crate::audit::noted_heads;
use crate::problem::ApiError;

/// The audit log, newest first.
#[utoipa::path(get, path = "/api/v1/audit", params(AuditQuery),
    responses((status = 200, body = Audit), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn audit(
    State(app): State<Shared>,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Audit>, ApiError> {
    let limit = query.limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(ApiError::Bad("limit: from 1 to 500".to_owned()));
    }
    let found = app.blocking(move |lake| Ok(lake.state().audit(query.before, limit)?)).await?;
    let next = found.last().map(|entry| entry.seq).filter(|seq| *seq > 1);
    let entries = found.into_iter().map(|entry| AuditEntry {
        seq: entry.seq,
        time: moment(entry.time),
        actor: entry.actor,
        address: entry.address,
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
        hash: entry.hash,
    });
    Ok(Json(Audit { entries: entries.collect(), next }))
}

/// Compute the whole chain anew and compare it with the heads in the ledger.
#[utoipa::path(get, path = "/api/v1/audit/check",
    responses((status = 200, body = AuditCheck), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn check_audit(State(app): State<Shared>) -> Result<Json<AuditCheck>, ApiError> {
    let heads = app.in_turn(async { Ok(noted_heads(app.engine()).await?) }).await?;
    let count = heads.len() as u64;
    let checked = app.blocking(move |lake| Ok(lake.state().check_audit(&heads)?)).await?;
    let (broken_at, what) = checked.broken.map_or((None, None), |broken| (Some(broken.seq), Some(broken.what)));
    Ok(Json(AuditCheck { entries: checked.entries, heads: count, broken_at, what }))
}
