//! One verdict on every row that a query finds: what it would reach, given as a batch, taken back as one.
//!
//! The query is the list's own. Each row gets a verdict on its record alone: no pattern is guessed, nothing that the query did
//! not find is reached, on no other day. Patterns are the business of [`super::verdicts`].

use aggregator::lake::Day;
use aggregator::record::{Micros, RecordId};
use aggregator::state;
use aggregator::state::verdicts::BatchId;
use analytics::feedback;
use analytics::feedback::preview::SAMPLE;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Deserialize;

use super::list::{self, Choice, Chosen};
use super::params::{Given, Params, parse_number};
use super::rows::{parse_day, parse_record_id, read};
use super::types::{
    BatchTakenBack, GivenBatch, Problem, QueryReach, QueryVerdict, Run, TakeBackQuery, VerdictDraft, VerdictScope,
};
use super::verdicts::draft;
use crate::app::{App, Shared};
use crate::door::{Audited, Caller, entry};
use crate::problem::ApiError;

/// Rows that one verdict may be given on. The lists of many runs have less.
const MAX_ROWS: u64 = 5000;

/// The rows that are meant, and the day and run they are of.
struct Meant {
    date: Day,
    run: Run,
    rows: Chosen,
}

async fn meant(app: &App, asked: &QueryVerdict) -> Result<Meant, ApiError> {
    let (source, date) = (asked.source, parse_day(&asked.date)?);
    let choice = Choice::read(source, asked.filter.as_deref(), None, asked.show)?;
    let found = app.blocking(move |lake| list::find(lake, source, Some(date), None)).await?;
    let run = found
        .and_then(|found| found.run)
        .ok_or_else(|| ApiError::Missing(format!("scored {} records on {date}", source.as_str())))?;
    let rows = choice.of(app, date, &run).await?;
    Ok(Meant { date, run, rows })
}

#[derive(Deserialize, Default)]
struct Counts {
    matching: u64,
    group_count: u64,
    rated: u64,
    best_rank: Option<u32>,
}

#[derive(Deserialize)]
struct Found {
    record_id: String,
    /// µs since 1970 UTC.
    at: i64,
}

impl Meant {
    async fn counts(&self, app: &App) -> Result<Counts, ApiError> {
        let Chosen { from, overlay, params, .. } = &self.rows;
        let mut params = params.clone();
        let rated = match overlay.condition(feedback::Show::Rated, params.len() + 1) {
            Some((sql, ids)) => {
                params.push(ids);
                format!("count(*) FILTER (WHERE {sql})")
            }
            None => "0".to_owned(),
        };
        let sql = format!(
            "SELECT count(*) AS matching, count(DISTINCT group_id) AS group_count, min(fused_rank) AS best_rank, {rated} AS rated FROM {from}"
        );
        let counts: Vec<Counts> = read(app.rows(&sql, params, 1).await?, "scores")?;
        Ok(counts.into_iter().next().unwrap_or_default())
    }

    /// The most suspicious of the rows.
    async fn first(&self, app: &App, most: u64) -> Result<Vec<Found>, ApiError> {
        let Chosen { from, params, .. } = &self.rows;
        let sql = format!(
            "SELECT record_id, CAST(first_seen AS BIGINT) AS at FROM {from} ORDER BY fused_rank, rank LIMIT {most}"
        );
        read(app.rows(&sql, params.clone(), most).await?, "scores")
    }
}

/// What a verdict on a query's rows would reach; nothing is saved.
#[utoipa::path(post, path = "/api/v1/verdicts/query/preview", request_body = QueryVerdict, responses(
    (status = 200, body = QueryReach), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn preview_query(
    State(app): State<Shared>,
    Given(asked): Given<QueryVerdict>,
) -> Result<Json<QueryReach>, ApiError> {
    app.in_turn(async {
        let meant = meant(&app, &asked).await?;
        let Counts { matching, group_count, rated, best_rank } = meant.counts(&app).await?;
        let sample = meant.first(&app, SAMPLE as u64).await?;
        Ok(QueryReach {
            date: meant.date.to_string(),
            run_id: meant.run.run_id,
            rows: matching,
            groups: group_count,
            rated,
            best_rank,
            sample: sample.into_iter().map(|found| found.record_id).collect(),
            most: MAX_ROWS,
        })
    })
    .await
    .map(Json)
}

/// Gives the same verdict on every row that a query finds, all or none, as a batch.
#[utoipa::path(post, path = "/api/v1/verdicts/query", request_body = QueryVerdict, responses(
    (status = 200, body = GivenBatch), (status = 400, body = Problem), (status = 404, body = Problem),
    (status = 409, body = Problem)))]
pub(super) async fn give_on_query(
    State(app): State<Shared>,
    caller: Caller,
    Given(asked): Given<QueryVerdict>,
) -> Result<(Extension<Audited>, Json<GivenBatch>), ApiError> {
    app.in_turn(give(&app, caller, asked)).await.map(|given| (Extension(Audited), Json(given)))
}

async fn give(app: &App, caller: Caller, asked: QueryVerdict) -> Result<GivenBatch, ApiError> {
    let meant = meant(app, &asked).await?;
    let rows = meant.first(app, MAX_ROWS + 1).await?;
    let count = rows.len() as u64;
    if count == 0 {
        return Err(ApiError::Bad("the query finds no row: there is nothing to score".to_owned()));
    }
    if count > MAX_ROWS {
        let all = meant.counts(app).await?.matching;
        return Err(ApiError::Bad(format!(
            "the query finds {all} rows, and one verdict may be given on {MAX_ROWS} at most: narrow it, or score a pattern"
        )));
    }
    if asked.run_id.as_ref().is_some_and(|run| *run != meant.run.run_id) {
        return Err(ApiError::Conflict(
            "the day was scored again meanwhile: look at the list, and score it anew".to_owned(),
        ));
    }
    if let Some(expected) = asked.rows.filter(|rows| *rows != count) {
        return Err(ApiError::Conflict(format!(
            "the query finds {count} rows now, not {expected}: look at the list, and score it anew"
        )));
    }
    let records = rows
        .iter()
        .map(|row| Ok((RecordId(parse_record_id(&row.record_id)?), Micros(row.at))))
        .collect::<Result<Vec<_>, ApiError>>()?;
    let query = in_words(&asked, meant.date, meant.rows.show);
    let QueryVerdict { source, severity, note, expires, .. } = asked;
    let terms = draft(VerdictDraft {
        source,
        record_id: None,
        date: None,
        scope: VerdictScope::Record,
        matcher: None,
        severity,
        note,
        expires: expires.clone(),
        supersedes: None,
    })?;
    let run_id = meant.run.run_id;
    app.blocking(move |lake| {
        let new = terms.on_each(lake, &records, &caller.name, state::now())?;
        let (BatchId(batch), _) = lake.state().append_batch(&query, &new)?;
        let mut detail = format!("severity {severity}, scope record, {count} rows of run {run_id}, {query}");
        for (name, value) in [("until", expires), ("note", terms.note.map(|note| format!("{note:?}")))] {
            detail.extend(value.map(|value| format!(", {name} {value}")));
        }
        let subject = format!("{} verdict batch {batch}", source.as_str());
        lake.state().append_audit(&entry(&caller, "verdict.give", &subject, &detail))?;
        Ok(GivenBatch { batch, verdicts: count })
    })
    .await
}

/// The query as people read it later.
fn in_words(asked: &QueryVerdict, date: Day, show: feedback::Show) -> String {
    let which = match show {
        feedback::Show::Open => "",
        feedback::Show::Rated => ", scored before",
        feedback::Show::Ruled => ", allowed or suppressed",
        feedback::Show::All => ", scored or not",
    };
    match asked.filter.as_deref().map(str::trim).filter(|filter| !filter.is_empty()) {
        Some(filter) => format!("{date}{which}: {filter}"),
        None => format!("{date}{which}: all rows"),
    }
}

/// Takes a batch of verdicts back, as one. What they had superseded is in force again; the log keeps all.
#[utoipa::path(delete, path = "/api/v1/verdict-batches/{id}", params(("id" = i64, Path, description = "Number of the batch"), TakeBackQuery), responses(
    (status = 200, body = BatchTakenBack), (status = 404, body = Problem), (status = 400, body = Problem)))]
pub(super) async fn take_batch_back(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Params(query): Params<TakeBackQuery>,
) -> Result<(Extension<Audited>, Json<BatchTakenBack>), ApiError> {
    let id = parse_number("batch of verdicts", &id)?;
    let work = app.blocking(move |lake| {
        let ended = lake
            .state()
            .take_batch_back(BatchId(id), &caller.name, state::now(), query.note.as_deref())?
            .ok_or_else(|| ApiError::Missing(format!("batch of verdicts {id}")))?;
        if ended.ended == 0 {
            return Err(ApiError::Bad(format!("all verdicts of batch {id} were superseded or taken back already")));
        }
        let detail = format!("{} verdicts, {} had ended before", ended.ended, ended.before);
        lake.state().append_audit(&entry(&caller, "verdict.take_back", &format!("verdict batch {id}"), &detail))?;
        Ok(BatchTakenBack { taken_back: ended.ended, ended_before: ended.before })
    });
    Ok((Extension(Audited), Json(app.in_turn(work).await?)))
}
