//! What was scored: verdicts on single records of a day.

use std::collections::{HashMap, HashSet};

use aggregator::lake::{Day, Source};
use aggregator::record::RecordId;
use aggregator::state::now;
use aggregator::state::verdicts::{NewVerdict, Severity, Subject};
use analytics::sql::Param;
use async_graphql::{Context, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{app, current_run, fail, rows};
use crate::door::{Caller, entry};
use crate::problem::ApiError;

/// Records that one score may reach.
const MAX_SCORED: u64 = 5_000;
/// Scored records of a day that are looked at.
const MAX_LISTED: usize = 5_000;

#[derive(Deserialize)]
struct Identified {
    record_id: String,
}

pub(super) fn severity(score: i32) -> Result<Severity> {
    match score {
        1 => Ok(Severity::High),
        2 => Ok(Severity::Medium),
        3 => Ok(Severity::Low),
        other => Err(fail(ApiError::Bad(format!("score: 1 high, 2 medium or 3 low, not {other}")))),
    }
}

fn parse_id(text: &str) -> Result<RecordId> {
    super::super::rows::parse_record_id(text).map(RecordId).map_err(fail)
}

/// The verdicts in force on single records of a source.
pub(super) async fn verdicts(context: &Context<'_>, source: Source) -> Result<HashMap<RecordId, (i64, Severity)>> {
    let found = app(context)?.blocking(move |lake| Ok(lake.state().verdicts(source, now())?)).await.map_err(fail)?;
    let by_record = found.into_iter().filter_map(|verdict| match verdict.verdict.subject {
        Subject::Record(id) => Some((id, (verdict.id, verdict.verdict.severity))),
        Subject::Rule(_) | Subject::Pattern => None,
    });
    Ok(by_record.collect())
}

/// Gives a verdict on each record of the day's list for which `condition` holds (parameters from `$3` on). False where
/// there is none.
pub(super) async fn score(
    context: &Context<'_>,
    (source, date): (Source, Day),
    severity: Severity,
    condition: &str,
    values: Vec<Param>,
) -> Result<bool> {
    let (app, caller) = (app(context)?, context.data::<Caller>()?);
    let Some(run) = current_run(app, source, date).await? else { return Ok(false) };
    let mut params: Vec<Param> = vec![run.into(), date.to_string().into()];
    params.extend(values);
    let table = source.as_str();
    let sql = format!(
        "SELECT record_id FROM scores_{table} WHERE run_id = $1 AND date = $2 AND {condition} LIMIT {MAX_SCORED}"
    );
    let found: Vec<Identified> = rows(app, "scores", &sql, params, MAX_SCORED).await?;
    let ids = found.iter().map(|row| parse_id(&row.record_id)).collect::<Result<Vec<_>>>()?;
    if ids.is_empty() {
        return Ok(false);
    }
    let before = verdicts(context, source).await?;
    let author = caller.name.to_string();
    let note = entry(
        caller,
        "verdict",
        &format!("{table} {date}"),
        &format!("{} records, severity {}", ids.len(), severity as i64),
    );
    app.blocking(move |lake| {
        for id in ids {
            let verdict = NewVerdict {
                source,
                subject: Subject::Record(id),
                reach: None,
                severity,
                scope: "record".to_owned(),
                author: author.clone(),
                time: now(),
                note: None,
                expires: None,
                supersedes: before.get(&id).map(|(verdict, _)| *verdict),
            };
            lake.state().append_verdict(&verdict)?;
        }
        lake.state().append_audit(&note)?;
        Ok(())
    })
    .await
    .map_err(fail)?;
    Ok(true)
}

/// Takes the verdicts on single records of a day out of force: each is superseded by one that has expired.
pub(super) async fn reset(context: &Context<'_>, source: Source, date: Day) -> Result<bool> {
    let (app, caller) = (app(context)?, context.data::<Caller>()?);
    let all = verdicts(context, source).await?;
    let on_day: Vec<Identified> =
        of_day(context, source, date, "record_id", &all.keys().copied().collect::<Vec<_>>()).await?;
    let on_day: HashSet<RecordId> = on_day.iter().map(|row| parse_id(&row.record_id)).collect::<Result<_>>()?;
    let author = caller.name.to_string();
    let note =
        entry(caller, "verdict.reset", &format!("{} {date}", source.as_str()), &format!("{} records", on_day.len()));
    app.blocking(move |lake| {
        for (id, (verdict, severity)) in all.into_iter().filter(|(id, _)| on_day.contains(id)) {
            let withdrawn = NewVerdict {
                source,
                subject: Subject::Record(id),
                reach: None,
                severity,
                scope: "record".to_owned(),
                author: author.clone(),
                time: now(),
                note: Some("reset".to_owned()),
                expires: Some(now()),
                supersedes: Some(verdict),
            };
            lake.state().append_verdict(&withdrawn)?;
        }
        lake.state().append_audit(&note)?;
        Ok(())
    })
    .await
    .map_err(fail)?;
    Ok(true)
}

/// Columns of those of these records that lie on a day, oldest first.
pub(super) async fn of_day<T: DeserializeOwned>(
    context: &Context<'_>,
    source: Source,
    date: Day,
    columns: &str,
    ids: &[RecordId],
) -> Result<Vec<T>> {
    let ids = ids.get(..ids.len().min(MAX_LISTED)).unwrap_or_default();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let places: Vec<String> = (0..ids.len()).map(|at| format!("${}", at + 3)).collect();
    let mut params: Vec<Param> = super::span(date).into();
    params.extend(ids.iter().map(|id| Param::from(*id)));
    let table = source.as_str();
    let sql = format!(
        "SELECT {columns} FROM {table} WHERE first_seen >= $1 AND first_seen < $2 AND record_id IN ({}) \
         ORDER BY first_seen, record_id",
        places.join(", ")
    );
    rows(app(context)?, "records", &sql, params, ids.len() as u64).await
}
