//! Verdicts: given, listed, taken back; and what one would reach before it is given.

use aggregator::lake::Lake;
use aggregator::record::Micros;
use aggregator::state::verdicts::{BatchId, Ended, LogQuery, Logged, Severity, Subject, TakeBack};
use aggregator::{lake, state};
use analytics::feedback::preview::{Listed, RecordsError, Target};
use analytics::feedback::{Draft, FeedbackError, Reach};
use axum::extract::{Path, State};
use axum::{Extension, Json};

use super::params::{Given, Params, parse_number};
use super::rows::{moment, parse_day, parse_limit, parse_moment, parse_record_id};
use super::types::{
    Force, Preview, Problem, Source, Switch, TakeBackQuery, Verdict, VerdictDraft, VerdictDrafts, VerdictList,
    VerdictQuery,
};
use crate::app::{App, Shared};
use crate::author::Author;
use crate::door::{Audited, Caller, entry};
use crate::problem::ApiError;

/// Verdicts that one request may give.
const MAX_DRAFTS: usize = 200;

impl From<FeedbackError> for ApiError {
    fn from(error: FeedbackError) -> Self {
        match error {
            FeedbackError::Matcher(_) | FeedbackError::Draft(_) | FeedbackError::File(_) => {
                Self::Bad(error.to_string())
            }
            FeedbackError::NoRecord { source_name, record, place } => {
                Self::Missing(format!("{source_name} record {record}{place}"))
            }
            FeedbackError::Lake(error) => error.into(),
            FeedbackError::State(error) => error.into(),
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<lake::Source> for Source {
    fn from(source: lake::Source) -> Self {
        match source {
            lake::Source::Flow => Self::Flow,
            lake::Source::Dns => Self::Dns,
            lake::Source::Proxy => Self::Proxy,
        }
    }
}

/// What a request says, as the library has it.
pub(super) fn draft(body: VerdictDraft) -> Result<Draft, ApiError> {
    let VerdictDraft { source, record_id, date, scope, matcher, severity, note, expires, supersedes } = body;
    Ok(Draft {
        source: source.lake(),
        record: record_id.as_deref().map(parse_record_id).transpose()?.map(aggregator::record::RecordId),
        date: date.as_deref().map(parse_day).transpose()?,
        scope: scope.into(),
        matcher: matcher.as_ref().map(super::types::Matcher::read).transpose()?,
        severity: Severity::of(severity.into()).ok_or_else(|| {
            ApiError::Bad(format!("`severity` must be 1 (high), 2 (medium) or 3 (low), not {severity}"))
        })?,
        note,
        expires: expires.as_deref().map(|text| parse_moment("expires", text)).transpose()?,
        supersedes,
    })
}

/// A verdict as the API shows it.
pub(super) fn shown(logged: &Logged) -> Verdict {
    let verdict = &logged.verdict.verdict;
    let reach = verdict.reach.as_deref().and_then(|json| Reach::read(json).ok()).unwrap_or_default();
    let (record, rule) = match verdict.subject {
        Subject::Record(id) => (Some(id.0.iter().map(|byte| format!("{byte:02x}")).collect()), None),
        Subject::Rule(id) => (None, Some(id.0)),
        Subject::Pattern => (None, None),
    };
    let (state, superseded_by, taken_back_by, taken_back_at) = match &logged.ended {
        Ended::InForce => (Force::InForce, None, None, None),
        Ended::Expired => (Force::Expired, None, None, None),
        Ended::Superseded(by) => (Force::Superseded, Some(*by), None, None),
        Ended::TakenBack { by, at, .. } => (Force::TakenBack, None, Some(by.clone()), Some(moment(*at))),
    };
    Verdict {
        id: logged.verdict.id,
        source: verdict.source.into(),
        record_id: record,
        first_seen: reach.first_seen.map(|time| moment(Micros(time))),
        rule_id: rule,
        scope: verdict.scope.clone(),
        matcher: reach.of.map(Into::into),
        resembling: reach.resembling.map(Into::into),
        severity: verdict.severity as u8,
        author: verdict.author.clone(),
        time: moment(verdict.time),
        note: verdict.note.clone(),
        expires: verdict.expires.map(moment),
        supersedes: verdict.supersedes,
        state,
        superseded_by,
        taken_back_by,
        taken_back_at,
        batch: logged.verdict.batch.map(|batch| batch.0),
    }
}

/// One verdict of the log.
fn one(lake: &Lake, id: i64, now: Micros) -> Result<Verdict, ApiError> {
    let query = LogQuery { before: Some(id.saturating_add(1)), limit: Some(1), ..LogQuery::default() };
    let found = lake.state().verdict_log(query, now)?.into_iter().find(|logged| logged.verdict.id == id);
    found.as_ref().map(shown).ok_or_else(|| ApiError::Missing(format!("verdict {id}")))
}

/// Verdicts, latest first.
#[utoipa::path(get, path = "/api/v1/verdicts", params(VerdictQuery), responses(
    (status = 200, body = VerdictList), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn verdicts(
    State(app): State<Shared>,
    Params(query): Params<VerdictQuery>,
) -> Result<Json<VerdictList>, ApiError> {
    let limit = parse_limit(query.limit)?;
    let record = query.record_id.as_deref().map(parse_record_id).transpose()?;
    let ended = query.ended == Some(Switch::On);
    let log = LogQuery {
        source: query.source.map(Source::lake),
        record: record.map(aggregator::record::RecordId),
        before: query.before,
        in_force: !ended,
        limit: Some(limit + 1),
    };
    let work = app.blocking(move |lake| {
        let mut found = lake.state().verdict_log(log, state::now())?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let mut ids: Vec<BatchId> = found.iter().filter_map(|logged| logged.verdict.batch).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok((found, more, lake.state().batches(&ids)?))
    });
    let (found, more, batches) = app.in_turn(work).await?;
    let next_before = more.then(|| found.last().map(|logged| logged.verdict.id)).flatten();
    let batches = batches.into_iter().map(Into::into).collect();
    Ok(Json(VerdictList { verdicts: found.iter().map(shown).collect(), batches, next_before }))
}

/// Gives verdicts, all or none. They act at once on the lists, and on the ranks in the next run.
#[utoipa::path(post, path = "/api/v1/verdicts", request_body = VerdictDrafts, responses(
    (status = 200, body = VerdictList), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn give_verdicts(
    State(app): State<Shared>,
    caller: Caller,
    Given(body): Given<VerdictDrafts>,
) -> Result<(Extension<Audited>, Json<VerdictList>), ApiError> {
    if !(1..=MAX_DRAFTS).contains(&body.verdicts.len()) {
        return Err(ApiError::Bad(format!("`verdicts` may be 1 to {MAX_DRAFTS}, not {}", body.verdicts.len())));
    }
    let drafts: Vec<Draft> = body.verdicts.into_iter().map(draft).collect::<Result<_, _>>()?;
    let work = app.blocking(move |lake| {
        let now = state::now();
        let new = drafts.iter().map(|draft| draft.resolve(lake, &caller.name, now)).collect::<Result<Vec<_>, _>>()?;
        // Many rows that were chosen are one deed: taken back as one, too.
        let (batch, ids) = match new.len() {
            1 => (None, lake.state().append_verdicts(&new)?),
            many => {
                let (batch, ids) = lake.state().append_batch(&format!("{many} rows that were chosen"), &new)?;
                (Some(batch), ids)
            }
        };
        let batches = lake.state().batches(batch.as_slice())?;
        let given: Vec<Verdict> = ids.into_iter().rev().map(|id| one(lake, id, now)).collect::<Result<_, _>>()?;
        for verdict in given.iter().rev() {
            let subject = format!("{} verdict {}", verdict.source.as_str(), verdict.id);
            lake.state().append_audit(&entry(&caller, "verdict.give", &subject, &said(verdict)))?;
        }
        let batches = batches.into_iter().map(Into::into).collect();
        Ok(VerdictList { verdicts: given, batches, next_before: None })
    });
    Ok((Extension(Audited), Json(app.in_turn(work).await?)))
}

/// What a verdict says, for the audit log.
fn said(verdict: &Verdict) -> String {
    let Verdict { severity, scope, record_id, rule_id, matcher, note, expires, supersedes, .. } = verdict;
    let mut text = format!("severity {severity}, scope {scope}");
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(", {name} {value}"));
        }
    };
    add("record", record_id.clone());
    add("rule", rule_id.map(|id| id.to_string()));
    add("of", matcher.as_ref().and_then(|matcher| serde_json::to_string(matcher).ok()));
    add("in place of verdict", supersedes.map(|id| id.to_string()));
    add("until", expires.clone());
    add("note", note.as_ref().map(|note| format!("{note:?}")));
    text
}

/// What a verdict would reach; nothing is saved.
#[utoipa::path(post, path = "/api/v1/verdicts/preview", request_body = VerdictDraft, responses(
    (status = 200, body = Preview), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn preview_verdict(
    State(app): State<Shared>,
    Given(body): Given<VerdictDraft>,
) -> Result<Json<Preview>, ApiError> {
    let draft = draft(body)?;
    let date = draft.date;
    app.in_turn(async {
        let target = app.blocking(move |lake| Ok(Target::of_verdict(&draft.resolve(lake, "", state::now())?)?)).await?;
        preview(&app, target, date).await
    })
    .await
    .map(Json)
}

/// Takes a verdict back; what it had superseded is in force again. The log keeps both.
#[utoipa::path(delete, path = "/api/v1/verdicts/{id}", params(("id" = i64, Path, description = "Number of the verdict"), TakeBackQuery), responses(
    (status = 200, body = Verdict), (status = 404, body = Problem), (status = 400, body = Problem)))]
pub(super) async fn take_back_verdict(
    State(app): State<Shared>,
    Author(author): Author,
    Path(id): Path<String>,
    Params(query): Params<TakeBackQuery>,
) -> Result<Json<Verdict>, ApiError> {
    let id = parse_number("verdict", &id)?;
    let work = app.blocking(move |lake| {
        let now = state::now();
        match lake.state().take_back(id, &author, now, query.note.as_deref())? {
            TakeBack::Done => one(lake, id, now),
            TakeBack::Ended => Err(ApiError::Bad(format!("verdict {id} was superseded or taken back already"))),
            TakeBack::Missing => Err(ApiError::Missing(format!("verdict {id}"))),
        }
    });
    app.in_turn(work).await.map(Json)
}

/// What something not yet saved would reach on a day; the latest scored one if none is named.
pub(super) async fn preview(app: &App, target: Target, date: Option<lake::Day>) -> Result<Preview, ApiError> {
    let asked = target.clone();
    let (date, listed) = app
        .blocking(move |lake| {
            let scored = || -> Result<Option<lake::Day>, ApiError> {
                let runs = lake.state().runs(Some(asked.source))?;
                Ok(runs.iter().filter(|run| run.current).map(|run| run.date).max())
            };
            let date = if date.is_some() { date } else { scored()? };
            Ok((date, asked.listed(lake, date, state::now())?))
        })
        .await?;
    let records = match date {
        Some(date) => target.records(app.engine(), date).await.map_err(|error| match error {
            RecordsError::Feedback(error) => error.into(),
            RecordsError::Query(error) => ApiError::Query(error),
        })?,
        None => None,
    };
    let Listed { rows, groups, group_records, rated, best_rank, rows_of_all_days, days, sample } = listed;
    Ok(Preview {
        date: date.map(|date| date.to_string()),
        rows,
        groups,
        group_records,
        rated,
        best_rank,
        rows_of_all_days,
        days,
        sample,
        records: records.as_ref().map(|records| records.records),
        hosts: records.as_ref().map(|records| records.hosts),
        records_of_day: records.as_ref().map(|records| records.records_of_day),
    })
}
