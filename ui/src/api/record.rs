//! One raw record with every column.

use aggregator::record::{Micros, RecordId};
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::Value;

use super::params::{Params, parse_source};
use super::rows::{parse_day, parse_record_id};
use super::types::{DayQuery, LakeRecord, Problem, RecordColumn};
use crate::app::Shared;
use crate::door::Opened;
use crate::problem::ApiError;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// One raw record with every column of its table.
#[utoipa::path(get, path = "/api/v1/record/{source}/{record_id}",
    params(("source" = super::types::Source, Path, description = "Which table"),
        ("record_id" = String, Path, description = "Identity, 32 hexadecimal digits"), DayQuery),
    responses((status = 200, body = LakeRecord), (status = 404, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn record(
    State(app): State<Shared>,
    Path((source, record_id)): Path<(String, String)>,
    Params(query): Params<DayQuery>,
) -> Result<(Extension<Opened>, Json<LakeRecord>), ApiError> {
    let source = parse_source(&source)?;
    let id = parse_record_id(&record_id)?;
    let date = parse_day(&query.date)?;
    let Micros(start) = date.start();
    let sql = format!(
        "SELECT * FROM {} WHERE first_seen >= $1 AND first_seen < $2 AND record_id = $3 LIMIT 1",
        source.as_str()
    );
    let params = vec![Micros(start).into(), Micros(start + DAY).into(), RecordId(id).into()];
    let mut rows = app.in_turn(app.rows(&sql, params, 1)).await?;
    let mut row = rows
        .rows
        .pop()
        .ok_or_else(|| ApiError::Missing(format!("{} record {record_id} on {date}", source.as_str())))?;
    let columns = rows
        .columns
        .into_iter()
        .map(|column| RecordColumn { value: text(row.remove(&column.name)), name: column.name })
        .collect();
    Ok((Extension(Opened::one(source, &record_id)), Json(LakeRecord { source, record_id, columns })))
}

fn text(value: Option<Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}
