//! A query that is being written: is it one, what does it say in SQL, and how may it go on?

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::list::find;
use super::params::{Params, parse_source};
use super::rows::{parse_day, read};
use super::types::{Problem, QueryAnswer, QueryFault, QueryQuery, Source, Suggestion, TextSpan};
use crate::app::{App, Shared};
use crate::problem::ApiError;
use crate::query::{Context, Field, Kind, MAX_LENGTH, Scope, bytes, compile, context, literal, utf16};

/// Suggestions at most.
const MOST: usize = 12;

/// Is it a query, what is it in SQL, and what may come next?
#[utoipa::path(get, path = "/api/v1/query/{source}",
    params(("source" = Source, Path, description = "Which records"), QueryQuery),
    responses((status = 200, body = QueryAnswer), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn query(
    State(app): State<Shared>,
    Path(source): Path<String>,
    Params(query): Params<QueryQuery>,
) -> Result<Json<QueryAnswer>, ApiError> {
    let source = parse_source(&source)?;
    let date = query.date.as_deref().map(parse_day).transpose()?;
    if query.q.len() > 4 * MAX_LENGTH {
        return Err(ApiError::Bad(format!("`q` may have {MAX_LENGTH} bytes")));
    }
    let found = app.blocking(move |lake| find(lake, source, date, None)).await?;
    let run = found.and_then(|found| found.run.map(|run| (found.date.to_string(), run.run_id)));
    let scope = Scope { source, scores: true };
    let text = query.q.as_str();
    let (fault, sql) = match compile(scope, text, 1) {
        Ok(condition) => {
            let day = run.as_ref().map_or_else(String::new, |(date, run)| {
                format!("date = '{date}' AND run_id = '{}' AND ", run.replace('\'', "''"))
            });
            let sql =
                format!("SELECT * FROM {} WHERE {day}{} ORDER BY fused_rank, rank", scope.table(), condition.literal());
            (None, Some(sql))
        }
        Err(error) => {
            let (start, end) = (utf16(text, error.span.start), utf16(text, error.span.end));
            (Some(QueryFault { message: error.message, start, end }), None)
        }
    };
    let Some(at) = query.at else {
        return Ok(Json(QueryAnswer { fault, sql, replace: None, suggestions: Vec::new() }));
    };
    let (expected, span, typed) = context(scope, text, bytes(text, at));
    let suggestions = match expected {
        Context::Field => fields(scope, &typed),
        Context::Operator(field) => words(field.operators(), &typed, field.help),
        Context::Joint => words(&["and", "or"], &typed, ""),
        Context::Value(field) => values(&app, scope, field, run, &typed).await?,
    };
    let replace = Some(TextSpan { start: utf16(text, span.start), end: utf16(text, span.end) });
    Ok(Json(QueryAnswer { fault, sql, replace, suggestions }))
}

fn suggestion(insert: &str, help: &str) -> Suggestion {
    Suggestion { insert: insert.to_owned(), help: help.to_owned(), count: None }
}

/// Fields whose name has what was typed: those that begin with it first.
fn fields(scope: Scope, typed: &str) -> Vec<Suggestion> {
    let typed = typed.to_lowercase();
    let mut found: Vec<&Field> = scope.fields().filter(|field| field.name.contains(&typed)).collect();
    found.sort_by_key(|field| !field.name.starts_with(&typed));
    found
        .iter()
        .take(if typed.is_empty() { 2 * MOST } else { MOST })
        .map(|field| suggestion(field.name, field.help))
        .collect()
}

fn words(all: &[&str], typed: &str, help: &str) -> Vec<Suggestion> {
    let typed = typed.to_lowercase();
    all.iter().filter(|word| word.starts_with(&typed)).map(|word| suggestion(word, help)).collect()
}

#[derive(Deserialize)]
struct Value {
    value: Option<String>,
    total: u64,
}

/// Values that the day's scored records have, the most frequent first; names of numbers before them.
async fn values(
    app: &App,
    scope: Scope,
    field: &Field,
    run: Option<(String, String)>,
    typed: &str,
) -> Result<Vec<Suggestion>, ApiError> {
    let folded = typed.to_lowercase();
    if let Kind::Number(names) = field.kind
        && !names.all().is_empty()
    {
        let matching = names.all().iter().filter(|(name, _)| name.to_lowercase().starts_with(&folded));
        return Ok(matching.take(MOST).map(|(name, number)| suggestion(name, &number.to_string())).collect());
    }
    if field.kind == Kind::Flag {
        return Ok(words(&["true", "false"], &folded, field.help));
    }
    let (Some((date, run)), false) = (run, matches!(field.kind, Kind::Real | Kind::Time)) else {
        return Ok(Vec::new());
    };
    let each: Vec<String> = field
        .columns
        .iter()
        .map(|column| {
            format!(
                "SELECT CAST({column} AS VARCHAR) AS value FROM {} WHERE run_id = $1 AND date = $2 \
                 AND starts_with(lower(CAST({column} AS VARCHAR)), $3)",
                scope.table()
            )
        })
        .collect();
    let sql = format!(
        "SELECT value, count(*) AS total FROM ({}) GROUP BY value ORDER BY total DESC, value LIMIT {MOST}",
        each.join(" UNION ALL ")
    );
    let params = vec![run.into(), date.into(), folded.into()];
    let rows = app.in_turn(app.rows(&sql, params, MOST as u64)).await?;
    let found: Vec<Value> = read(rows, "scores")?;
    let shown = found.into_iter().filter_map(|Value { value, total }| {
        let value = value.filter(|value| !value.is_empty() && value.len() < MAX_LENGTH / 2)?;
        Some(Suggestion { insert: literal(&value), help: String::new(), count: Some(total) })
    });
    Ok(shown.collect())
}
