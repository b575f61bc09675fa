//! How many records arrived, per minute of a day: Apache Spot's ingest summary.

use aggregator::record::Micros;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::params::{Params, parse_source};
use super::rows::{parse_day, read};
use super::types::{DayQuery, Ingest, Problem, Source};
use crate::app::Shared;
use crate::problem::ApiError;

/// Minutes of a day.
const MINUTES: usize = 1440;
/// Microseconds of a minute.
const MINUTE: i64 = 60_000_000;

#[derive(Deserialize)]
struct Row {
    minute: usize,
    total: u64,
}

/// Records per minute of one day, by their first moment.
#[utoipa::path(get, path = "/api/v1/ingest/{source}",
    params(("source" = Source, Path, description = "Which records"), DayQuery),
    responses((status = 200, body = Ingest), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn ingest(
    State(app): State<Shared>,
    Path(source): Path<String>,
    Params(query): Params<DayQuery>,
) -> Result<Json<Ingest>, ApiError> {
    let source = parse_source(&source)?;
    let date = parse_day(&query.date)?;
    let Micros(start) = date.start();
    // Both numbers are ours: whole seconds of the day's start.
    let sql = format!(
        "SELECT (unix_seconds(first_seen) - {}) / 60 AS minute, count(*) AS total FROM {} \
         WHERE first_seen >= $1 AND first_seen < $2 GROUP BY 1",
        start / 1_000_000,
        source.as_str()
    );
    let end = start + MINUTES as i64 * MINUTE;
    let rows = app.in_turn(app.rows(&sql, vec![Micros(start).into(), Micros(end).into()], MINUTES as u64)).await?;
    let mut per_minute = vec![0; MINUTES];
    for Row { minute, total } in read(rows, source.as_str())? {
        if let Some(place) = per_minute.get_mut(minute) {
            *place += total;
        }
    }
    Ok(Json(Ingest { source, date: date.to_string(), total: per_minute.iter().sum(), per_minute }))
}
