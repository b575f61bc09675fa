//! How many records arrived, per minute of a day: Apache Spot's ingest summary.

use std::collections::BTreeMap;

use aggregator::record::Micros;
use aggregator::state::exporters::lost_unit;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::investigate::{Buckets, Span, cache};
use super::params::{Params, parse_source};
use super::rows::{parse_day, parse_moment, read};
use super::types::{
    Coverage, DayQuery, Ingest, IngestExporter, IngestQuery, IngestSeries, IngestSpan, Problem, Source,
};
use crate::app::{App, Shared};
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

/// Intervals of the ledger that are looked at; more is an error that asks for a shorter span.
const MAX_INTERVALS: u64 = 1_000_000;

/// Records per minute, or coarser, of any span, by source and sensor, with what the ledger says of the gaps.
#[utoipa::path(get, path = "/api/v1/ingest", params(IngestQuery), responses(
    (status = 200, body = IngestSpan), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn ingest_span(
    State(app): State<Shared>,
    headers: HeaderMap,
    Params(query): Params<IngestQuery>,
) -> Result<Response, ApiError> {
    let span = Span::parse(&query.from, &query.to)?;
    let buckets = Buckets::over(span, query.step)?;
    cache::answer(&app, &headers, &format!("ingest {}", buckets.step), span, measure(&app, span, buckets), None).await
}

#[derive(Deserialize)]
struct Bucket {
    sensor: String,
    bucket: usize,
    total: u64,
}

#[derive(Deserialize)]
struct Interval {
    sensor: String,
    interval_start: String,
    interval_end: String,
    lost: Option<u64>,
}

async fn measure(app: &App, span: Span, buckets: Buckets) -> Result<IngestSpan, ApiError> {
    let params = || vec![span.from.into(), span.to.into()];
    let mut series: BTreeMap<(usize, String), Vec<u64>> = BTreeMap::new();
    for (at, source) in Source::ALL.into_iter().enumerate() {
        let sql = format!(
            "SELECT sensor, {} AS bucket, count(*) AS total FROM {} WHERE first_seen >= $1 AND first_seen < $2 GROUP BY 1, 2",
            buckets.sql("first_seen"),
            source.as_str()
        );
        for row in read::<Bucket>(app.rows(&sql, params(), MAX_INTERVALS).await?, source.as_str())? {
            let values = series.entry((at, row.sensor)).or_insert_with(|| vec![0; buckets.count]);
            if let Some(place) = values.get_mut(row.bucket) {
                *place += row.total;
            }
        }
    }
    let lost: Vec<String> = super::books::LOST.iter().map(|name| format!("counter = 'packets.{name}'")).collect();
    let sql = format!(
        "SELECT sensor, interval_start, interval_end, sum(value) FILTER (WHERE {}) AS lost FROM ledger \
         WHERE interval_start < $2 AND interval_end >= $1 GROUP BY 1, 2, 3",
        lost.join(" OR ")
    );
    let rows = app.rows(&sql, params(), MAX_INTERVALS).await?;
    if rows.truncated {
        return Err(ApiError::Bad(format!(
            "the ledger has more than {MAX_INTERVALS} intervals there: ask for a shorter span"
        )));
    }
    let mut by_sensor: BTreeMap<String, Vec<(i64, i64, u64)>> = BTreeMap::new();
    for row in read::<Interval>(rows, "ledger")? {
        let Micros(from) = parse_moment("interval_start", &row.interval_start)?;
        let Micros(to) = parse_moment("interval_end", &row.interval_end)?;
        by_sensor.entry(row.sensor).or_default().push((from, to, row.lost.unwrap_or(0)));
    }
    let coverage = by_sensor
        .into_iter()
        .map(|(sensor, intervals)| {
            let (covered, lost) = cover(buckets, intervals);
            Coverage { sensor, covered, lost }
        })
        .collect();
    Ok(IngestSpan {
        start: buckets.start,
        step: buckets.step,
        buckets: u32::try_from(buckets.count).unwrap_or(u32::MAX),
        series: series
            .into_iter()
            .map(|((at, sensor), values)| IngestSeries {
                source: Source::ALL.get(at).copied().unwrap_or(Source::Flow),
                sensor,
                total: values.iter().sum(),
                values,
            })
            .collect(),
        coverage,
        exporters: exporters(app, span).await?,
    })
}

/// Exporters told.
const EXPORTERS: u64 = 200;

#[derive(Deserialize)]
struct Exported {
    sensor: String,
    source: String,
    messages: Option<u64>,
    flows: Option<u64>,
    lost: Option<u64>,
    timed: Option<u64>,
    lag_ms: Option<u64>,
}

/// What exporters sent: the collectors write a source of its own for each, `NAME PROTOCOL ADDRESS DOMAIN`.
async fn exporters(app: &App, span: Span) -> Result<Vec<IngestExporter>, ApiError> {
    let sum = |counter: &str, name: &str| format!("sum(value) FILTER (WHERE counter = 'exporter.{counter}') AS {name}");
    let sql = format!(
        "SELECT sensor, source, {}, {}, {}, {}, {} FROM ledger \
         WHERE interval_start < $2 AND interval_end >= $1 AND starts_with(counter, 'exporter.') \
         GROUP BY 1, 2 ORDER BY messages DESC NULLS LAST, sensor, source LIMIT {EXPORTERS}",
        sum("messages", "messages"),
        sum("flows", "flows"),
        sum("sequence.lost", "lost"),
        sum("flows.timed", "timed"),
        sum("lag_ms", "lag_ms"),
    );
    let rows = app.rows(&sql, vec![span.from.into(), span.to.into()], EXPORTERS).await?;
    let told = |row: Exported| {
        let protocol = row.source.rsplit(' ').nth(2).unwrap_or_default();
        IngestExporter {
            lost_unit: lost_unit(protocol).to_owned(),
            sensor: row.sensor,
            messages: row.messages.unwrap_or(0),
            flows: row.flows.unwrap_or(0),
            lost: row.lost.unwrap_or(0),
            lag_seconds: row
                .timed
                .filter(|timed| *timed > 0)
                .map(|timed| row.lag_ms.unwrap_or(0) as f64 / timed as f64 / 1e3),
            exporter: row.source,
        }
    };
    Ok(read::<Exported>(rows, "ledger")?.into_iter().map(told).collect())
}

/// Of each bucket the share that lies in an interval, and what was lost in those that begin there. Intervals are
/// microseconds, first and last; they may overlap.
fn cover(buckets: Buckets, mut intervals: Vec<(i64, i64, u64)>) -> (Vec<f64>, Vec<u64>) {
    let wide = i64::from(buckets.step) * 1_000_000;
    let start = buckets.start * 1_000_000;
    let mut lost = vec![0_u64; buckets.count];
    let mut micros = vec![0_i64; buckets.count];
    intervals.sort_unstable();
    let mut done = i64::MIN;
    for (from, to, missed) in intervals {
        let at = usize::try_from((from.max(start) - start) / wide).unwrap_or(usize::MAX);
        if let Some(place) = lost.get_mut(at) {
            *place = place.saturating_add(missed);
        }
        // Never count a moment twice.
        let mut now = from.max(done).max(start);
        while now < to {
            let at = (now - start) / wide;
            let Some(place) = usize::try_from(at).ok().and_then(|at| micros.get_mut(at)) else { break };
            let end = to.min(start + (at + 1) * wide);
            *place += end - now;
            now = end;
        }
        done = done.max(to);
    }
    (micros.into_iter().map(|micros| (micros as f64 / wide as f64).min(1.0)).collect(), lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_ledger_covers_is_counted_once_and_clipped() {
        let buckets = Buckets { start: 60, step: 60, count: 4 };
        let second = |s: i64| s * 1_000_000;
        let intervals = vec![
            (second(90), second(120), 0),
            // Overlaps the first, and reaches into the next bucket.
            (second(100), second(135), 3),
            // Begins before the span: its losses stand in the first bucket.
            (second(0), second(75), 2),
            // Ends after it.
            (second(270), second(9_000), 1),
        ];
        let (covered, lost) = cover(buckets, intervals);
        assert_eq!(covered, [0.75, 0.25, 0.0, 0.5]);
        assert_eq!(lost, [5, 0, 0, 1]);
    }
}
