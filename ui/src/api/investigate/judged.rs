//! What scores and verdicts say of raw records: which of them stand out, and what stands beside each.

use std::collections::HashMap;

use aggregator::lake::Day;
use aggregator::record::{Micros, RecordId};
use aggregator::state::verdicts::Subject as VerdictSubject;
use analytics::sql::Param;
use serde::Deserialize;

use super::Span;
use crate::api::rows::{parse_record_id, read, record_text};
use crate::api::types::{Event, Fired, Source};
use crate::app::App;
use crate::problem::ApiError;

/// Which records of a span a current run keeps as suspicious, or have a verdict; with the values of its placeholders, the
/// first of which is `$free`.
pub(in crate::api) async fn flagged(
    app: &App,
    source: Source,
    span: Span,
    free: usize,
) -> Result<(String, Vec<Param>), ApiError> {
    let runs = current_runs(app, source, span).await?;
    let judged = verdicts(app, source).await?;
    let places =
        |from: usize, count: usize| (from..from + count).map(|at| format!("${at}")).collect::<Vec<String>>().join(", ");
    let mut tests = Vec::new();
    if !runs.is_empty() {
        tests.push(format!(
            "record_id IN (SELECT record_id FROM scores_{} WHERE first_seen >= $1 AND first_seen < $2 AND run_id IN ({}))",
            source.as_str(),
            places(free, runs.len())
        ));
    }
    if !judged.is_empty() {
        tests.push(format!("record_id IN ({})", places(free + runs.len(), judged.len())));
    }
    if tests.is_empty() {
        return Ok(("false".to_owned(), Vec::new()));
    }
    let values = runs.into_iter().map(Param::from).chain(judged.into_keys().map(Param::from));
    Ok((format!("({})", tests.join(" OR ")), values.collect()))
}

/// The runs that are shown, of the days of a span.
pub(super) async fn current_runs(app: &App, source: Source, span: Span) -> Result<Vec<String>, ApiError> {
    let (first, last) = (Day::of(span.from), Day::of(Micros(span.to.0 - 1)));
    app.blocking(move |lake| {
        let runs = lake.state().runs(Some(source.lake()))?;
        Ok(runs
            .into_iter()
            .filter(|run| run.current && run.date >= first && run.date <= last)
            .map(|run| run.run_id)
            .collect())
    })
    .await
}

/// The verdicts in force on single records.
async fn verdicts(app: &App, source: Source) -> Result<HashMap<RecordId, (u8, String)>, ApiError> {
    let all = app.blocking(move |lake| Ok(lake.state().verdicts(source.lake(), aggregator::state::now())?)).await?;
    Ok(all
        .into_iter()
        .filter_map(|verdict| match verdict.verdict.subject {
            VerdictSubject::Record(id) => Some((id, (verdict.verdict.severity as u8, verdict.verdict.author))),
            VerdictSubject::Rule(_) | VerdictSubject::Pattern => None,
        })
        .collect())
}

#[derive(Deserialize)]
struct ScoreRow {
    record_id: String,
    rank: u32,
    percentile: f64,
    #[serde(default)]
    detectors: Option<Vec<Fired>>,
}

/// Puts scores and verdicts on the rows of a source.
pub(super) async fn judge(app: &App, source: Source, span: Span, rows: &mut [Event]) -> Result<(), ApiError> {
    let mut mine: HashMap<String, &mut Event> =
        rows.iter_mut().filter(|event| event.source == source).map(|event| (event.record_id.clone(), event)).collect();
    if mine.is_empty() {
        return Ok(());
    }
    for (id, (severity, author)) in verdicts(app, source).await? {
        if let Some(event) = mine.get_mut(&record_text(id)) {
            event.severity = Some(severity);
            event.severity_by = Some(author);
        }
    }
    let runs = current_runs(app, source, span).await?;
    if runs.is_empty() {
        return Ok(());
    }
    let mut params: Vec<Param> = vec![span.from.into(), span.to.into()];
    let run_places: Vec<String> = (0..runs.len()).map(|at| format!("${}", at + 3)).collect();
    params.extend(runs.into_iter().map(Param::from));
    let mut id_places = Vec::new();
    for id in mine.keys() {
        params.push(RecordId(parse_record_id(id)?).into());
        id_places.push(format!("${}", params.len()));
    }
    let sql = format!(
        "SELECT record_id, fused_rank AS rank, percentile, detectors FROM scores_{} WHERE first_seen >= $1 AND first_seen < $2 \
         AND run_id IN ({}) AND record_id IN ({})",
        source.as_str(),
        run_places.join(", "),
        id_places.join(", ")
    );
    let most = id_places.len() as u64;
    for row in read::<ScoreRow>(app.rows(&sql, params, most).await?, "scores")? {
        if let Some(event) = mine.get_mut(&row.record_id) {
            event.rank = Some(row.rank);
            event.percentile = Some(row.percentile);
            event.detectors = row.detectors.unwrap_or_default();
        }
    }
    Ok(())
}
