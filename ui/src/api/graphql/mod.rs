//! Apache Spot's GraphQL operations, for scripts that were written for it: `POST /graphql`, the same names, arguments and
//! meanings (where Spot's own were defects, what they were meant to be: a score is of its day, IPv6 is an address, bytes
//! are 64 bits).
//!
//! Bounded: one operation a request, by POST and in JSON only; depth, complexity (each field that reads the lake counts
//! [`READS`]) and the size of the text. Everyone may ask, analysts may change; each change is in the audit log.

mod dns;
mod flow;
mod proxy;
mod scalars;
mod scored;
mod story;

use aggregator::lake::{Day, Source};
use aggregator::record::Micros;
use analytics::sql::Param;
use async_graphql::parser::types::OperationType;
use async_graphql::{
    Context, EmptySubscription, Error, ErrorExtensions as _, Guard, Object, Request, Result, Schema, SimpleObject,
    Value,
};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::params::body;
use super::rows::read;
use crate::app::{App, Shared};
use crate::door::{Audited, Caller, Least, Role, searched};
use crate::problem::ApiError;
use scalars::{SpotDate, SpotDatetime};

/// Fields below one another.
const MAX_DEPTH: usize = 14;
/// Sum of what the fields cost.
const MAX_COMPLEXITY: usize = 500;
/// What a field costs that reads the lake or changes something: so at most a dozen of them in a request, whatever their
/// aliases.
const READS: usize = 40;
/// Directives on one field.
const MAX_DIRECTIVES: usize = 4;
/// Bytes of the operation's text.
const MAX_TEXT: usize = 16 << 10;
/// Bytes of a request: scripts send back what `threat.details` gave, 1000 rows at most.
pub(super) const MAX_BODY: usize = 1 << 20;
/// Rows of Spot's lists.
const LIST: u64 = 250;
/// Days of an ingest summary.
const MAX_DAYS: i32 = 366;
/// Minutes of an ingest summary.
const MAX_MINUTES: u64 = 100_000;

/// The schema: built once, holds no data.
pub(crate) type SpotSchema = Schema<SpotQuery, SpotMutation, EmptySubscription>;

/// Spot's schema.
pub(crate) fn schema() -> SpotSchema {
    Schema::build(SpotQuery, SpotMutation, EmptySubscription)
        .limit_depth(MAX_DEPTH)
        .limit_complexity(MAX_COMPLEXITY)
        .limit_directives(MAX_DIRECTIVES)
        .limit_recursive_depth(2 * MAX_DEPTH)
        .finish()
}

/// What is sent: one operation, never a batch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Asked {
    query: String,
    #[serde(default)]
    variables: Option<serde_json::Value>,
    #[serde(default)]
    operation_name: Option<String>,
}

/// `POST /graphql`
pub(super) async fn graphql(
    State(app): State<Shared>,
    caller: Caller,
    asked: std::result::Result<Json<Asked>, JsonRejection>,
) -> std::result::Result<(Extension<Audited>, Json<async_graphql::Response>), ApiError> {
    let Asked { query, variables, operation_name } = body(asked)?;
    if query.len() > MAX_TEXT {
        return Err(ApiError::TooLarge(MAX_TEXT));
    }
    // What changes something writes entries of its own.
    let search = reads(&query).then(|| {
        let variables = variables.as_ref().map(|value| format!(" variables={value}")).unwrap_or_default();
        (caller.clone(), format!("/graphql query={query:?}{variables}"))
    });
    let mut request = Request::new(query).data(caller).data(app.clone());
    if let Some(variables) = variables {
        request = request.variables(async_graphql::Variables::from_json(variables));
    }
    if let Some(name) = operation_name {
        request = request.operation_name(name);
    }
    let work = async { Ok(app.graphql.execute(request).await) };
    let answer = app.in_turn(work).await?;
    if let Some((caller, subject)) = search {
        searched(&app, &caller, &subject, listed(&answer.data)).await?;
    }
    Ok((Extension(Audited), Json(answer)))
}

/// Has the document an operation that reads? One that cannot be parsed has none.
fn reads(document: &str) -> bool {
    let parsed = async_graphql::parser::parse_query(document);
    parsed.is_ok_and(|document| document.operations.iter().any(|(_, one)| one.node.ty == OperationType::Query))
}

/// Rows of an answer: the elements of its outermost lists.
fn listed(value: &Value) -> u64 {
    match value {
        Value::List(rows) => rows.len() as u64,
        Value::Object(fields) => fields.values().map(listed).sum(),
        _ => 0,
    }
}

/// Roles below analyst change nothing.
pub(super) struct NeedsAnalyst;

impl Guard for NeedsAnalyst {
    async fn check(&self, context: &Context<'_>) -> Result<()> {
        let caller = context.data::<Caller>()?;
        let least = Least::Role(Role::Analyst);
        if caller.may(least) { Ok(()) } else { Err(fail(ApiError::Role { least, name: caller.name.to_string() })) }
    }
}

/// A failure as GraphQL says it: what went wrong, its kind and what to do in the extensions.
fn fail(error: ApiError) -> Error {
    let problem = error.problem();
    if problem.status >= 500 {
        tracing::error!(%error, "graphql");
    }
    Error::new(problem.detail).extend_with(|_, extensions| {
        extensions.set("type", problem.kind);
        extensions.set("action", problem.action);
    })
}

fn app<'a>(context: &Context<'a>) -> Result<&'a Shared> {
    context.data::<Shared>()
}

/// Rows of a query of ours.
async fn rows<T: DeserializeOwned>(
    app: &App,
    table: &'static str,
    sql: &str,
    params: Vec<Param>,
    max: u64,
) -> Result<Vec<T>> {
    let found = app.rows(sql, params, max).await.map_err(fail)?;
    read(found, table).map_err(fail)
}

/// The name of the run that a day's list shows.
async fn current_run(app: &App, source: Source, date: Day) -> Result<Option<String>> {
    let found = app.blocking(move |lake| Ok(lake.state().current_run(source, date)?)).await.map_err(fail)?;
    Ok(found.map(|run| run.run_id))
}

/// A day as parameters: its first moment and the first after it.
fn span(date: Day) -> [Param; 2] {
    [date.start().into(), Day(date.0.saturating_add(1)).start().into()]
}

/// The minute or hour that a moment lies in.
fn around(time: Micros, length: i64) -> [Param; 2] {
    let from = time.0 - time.0.rem_euclid(length);
    [Micros(from).into(), Micros(from + length).into()]
}

/// A text as LIKE takes it, anywhere in the value.
fn like(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

#[derive(SimpleObject, Deserialize)]
#[graphql(name = "SpotIngestSummaryType")]
struct IngestSummary {
    /// A minute that has records.
    datetime: SpotDatetime,
    /// How many.
    total: u64,
}

/// Records per minute, from the first day to the last.
async fn ingest_summary(
    context: &Context<'_>,
    table: &'static str,
    from: SpotDate,
    to: SpotDate,
) -> Result<Vec<IngestSummary>> {
    let (SpotDate(from), SpotDate(to)) = (from, to);
    if to < from || to.0 - from.0 >= MAX_DAYS {
        return Err(fail(ApiError::Bad(format!("endDate: from startDate to {MAX_DAYS} days after it"))));
    }
    let sql = format!(
        "SELECT date_trunc('minute', first_seen) AS datetime, count(*) AS total FROM {table} \
         WHERE first_seen >= $1 AND first_seen < $2 GROUP BY 1 ORDER BY 1 LIMIT {MAX_MINUTES}"
    );
    let [start, _] = span(from);
    let [_, end] = span(to);
    rows(app(context)?, table, &sql, vec![start, end], MAX_MINUTES).await
}

#[derive(SimpleObject)]
#[graphql(name = "SpotOperationOutputType")]
struct Outcome {
    /// Whether something was done.
    success: bool,
}

pub(crate) struct SpotQuery;

#[Object(name = "SpotQueryType")]
impl SpotQuery {
    /// Flow records.
    async fn flow(&self) -> flow::Query {
        flow::Query
    }

    /// DNS questions.
    async fn dns(&self) -> dns::Query {
        dns::Query
    }

    /// Requests.
    async fn proxy(&self) -> proxy::Query {
        proxy::Query
    }
}

pub(crate) struct SpotMutation;

#[Object(name = "SpotMutationType", guard = "NeedsAnalyst")]
impl SpotMutation {
    /// Flow records.
    async fn flow(&self) -> flow::Mutation {
        flow::Mutation
    }

    /// DNS questions.
    async fn dns(&self) -> dns::Mutation {
        dns::Mutation
    }

    /// Requests.
    async fn proxy(&self) -> proxy::Mutation {
        proxy::Mutation
    }
}
