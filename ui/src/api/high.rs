//! What was judged a high threat: where Apache Spot's threat investigation begins.

use std::collections::HashMap;

use aggregator::record::RecordId;
use aggregator::state::verdicts::{Severity, Subject as VerdictSubject};
use analytics::sql::Param;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::investigate::Span;
use super::params::Params;
use super::rows::{read, record_text};
use super::types::{High, HighRow, Problem, Source, SpanQuery};
use crate::app::{App, Shared};
use crate::problem::ApiError;

/// Verdicts shown; the latest.
const MOST: usize = 1_000;

/// The High verdicts in force that are about a record of a span, or about more than a record; latest first.
#[utoipa::path(get, path = "/api/v1/high", params(SpanQuery), responses(
    (status = 200, body = High), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn high(State(app): State<Shared>, Params(query): Params<SpanQuery>) -> Result<Json<High>, ApiError> {
    let span = Span::parse(&query.from, &query.to)?;
    let work = async {
        let mut rows = Vec::new();
        for source in Source::ALL {
            rows.extend(of(&app, source, span).await?);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.verdict_id));
        rows.truncate(MOST);
        Ok(Json(High { rows }))
    };
    app.in_turn(work).await
}

#[derive(Deserialize)]
struct Row {
    record_id: String,
    first_seen: String,
    one: Option<String>,
    two: Option<String>,
}

async fn of(app: &App, source: Source, span: Span) -> Result<Vec<HighRow>, ApiError> {
    let verdicts =
        app.blocking(move |lake| Ok(lake.state().verdicts(source.lake(), aggregator::state::now())?)).await?;
    let high: Vec<_> =
        verdicts.into_iter().rev().filter(|verdict| verdict.verdict.severity == Severity::High).take(MOST).collect();
    let ids: Vec<RecordId> = high
        .iter()
        .filter_map(|verdict| match verdict.verdict.subject {
            VerdictSubject::Record(id) => Some(id),
            _ => None,
        })
        .collect();
    let records = records(app, source, span, &ids).await?;
    Ok(high
        .into_iter()
        .filter_map(|verdict| {
            let (id, made) = (verdict.id, verdict.verdict);
            let record_id = match made.subject {
                VerdictSubject::Record(id) => Some(record_text(id)),
                _ => None,
            };
            let found = record_id.as_ref().and_then(|id| records.get(id));
            // A record of another time belongs to another day's list.
            if record_id.is_some() && found.is_none() {
                return None;
            }
            let subjects = found.map(|row| [&row.one, &row.two].into_iter().flatten().cloned().collect());
            Some(HighRow {
                verdict_id: id,
                source,
                first_seen: found.map(|row| row.first_seen.clone()),
                record_id,
                subjects: subjects.unwrap_or_default(),
                scope: made.scope,
                author: made.author,
                note: made.note,
            })
        })
        .collect())
}

async fn records(app: &App, source: Source, span: Span, ids: &[RecordId]) -> Result<HashMap<String, Row>, ApiError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let (one, two) = match source {
        Source::Flow => ("src_ip", "dst_ip"),
        Source::Dns => ("qname", "client_ip"),
        Source::Proxy => ("full_uri", "client_ip"),
    };
    let mut params: Vec<Param> = vec![span.from.into(), span.to.into()];
    let mut places = Vec::new();
    for id in ids {
        params.push((*id).into());
        places.push(format!("${}", params.len()));
    }
    let sql = format!(
        "SELECT record_id, first_seen, {one} AS one, {two} AS two FROM {} WHERE first_seen >= $1 AND first_seen < $2 AND record_id IN ({})",
        source.as_str(),
        places.join(", ")
    );
    let rows = app.rows(&sql, params, ids.len() as u64).await?;
    Ok(read::<Row>(rows, source.as_str())?.into_iter().map(|row| (row.record_id.clone(), row)).collect())
}
