//! Statements in, columns out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aggregator::lake::Lake;
use analytics::sql::{Engine, EngineLimits, QueryError, RowLimits};
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::{Extension, Json};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::api::params::body;
use crate::api::types::{Problem, SchemaColumn, SchemaTable, SqlAnswer, SqlColumn, SqlRequest, SqlSchema};
use crate::app::Shared;
use crate::door::{Audited, Caller, Work};
use crate::problem::ApiError;

/// Memory of all console queries together.
const MEMORY: usize = 512 << 20;
/// Spilled bytes of all console queries together.
const SPILL: u64 = 2 << 30;
/// Queries of all users at a time.
const CONCURRENT: usize = 3;
/// Queries of one user at a time; the next one waits.
const PER_USER: usize = 1;
/// How long it waits.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time of a query that is shown.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);
/// Time of a query that is written to a file.
pub(super) const EXPORT_TIMEOUT: Duration = Duration::from_secs(300);
/// Rows that are written to a file.
pub(super) const EXPORT_ROWS: u64 = 1_000_000;
/// Rows that are shown.
const MAX_ROWS: u32 = 10_000;
/// Bytes that are shown.
const MAX_BYTES: usize = 8 << 20;

/// The engine of the console.
pub(crate) struct SqlConsole {
    pub(super) engine: Engine,
    users: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
    schema: OnceCell<SqlSchema>,
}

impl SqlConsole {
    /// An engine over the lake, with limits of its own.
    pub(crate) fn open(lake: Lake) -> Result<Self, QueryError> {
        let limits = EngineLimits {
            memory: MEMORY,
            spill: SPILL,
            timeout: Some(EXPORT_TIMEOUT),
            max_rows: Some(EXPORT_ROWS),
            concurrent: CONCURRENT,
            threads: std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2)),
            ..EngineLimits::default()
        };
        Ok(Self { engine: Engine::open(lake, limits)?, users: Mutex::default(), schema: OnceCell::new() })
    }

    /// The caller's turn: one query at a time.
    pub(super) async fn turn(&self, caller: &Caller) -> Result<OwnedSemaphorePermit, ApiError> {
        let own = {
            let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(users.entry(Arc::clone(&caller.name)).or_insert_with(|| Arc::new(Semaphore::new(PER_USER))))
        };
        let turn = tokio::time::timeout(PATIENCE, own.acquire_owned()).await;
        turn.map_err(|_| ApiError::Busy)?.map_err(|_| ApiError::Busy)
    }
}

/// What is wrong with a statement is the fault of the one who wrote it, not of the lake.
pub(super) fn fault(error: QueryError) -> ApiError {
    match error {
        QueryError::Syntax(_)
        | QueryError::Statements { .. }
        | QueryError::TooComplex { .. }
        | QueryError::ReadOnly(_)
        | QueryError::UnknownTable { .. }
        | QueryError::UnknownColumn { .. }
        | QueryError::Plan(_)
        | QueryError::Run(_) => ApiError::Bad(error.to_string()),
        error => ApiError::Query(error),
    }
}

/// Run one reading statement: at most 30 s, 10,000 rows and 8 MiB.
#[utoipa::path(post, path = "/api/v1/sql", operation_id = "run_sql", request_body = SqlRequest,
    responses((status = 200, body = SqlAnswer), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 503, body = Problem), (status = 504, body = Problem)))]
pub(crate) async fn run(
    State(app): State<Shared>,
    caller: Caller,
    request: Result<Json<SqlRequest>, JsonRejection>,
) -> Result<(Extension<Audited>, Json<SqlAnswer>), ApiError> {
    let request = body(request)?;
    let max_rows = request.max_rows.unwrap_or(1000);
    if !(1..=MAX_ROWS).contains(&max_rows) {
        return Err(ApiError::Bad(format!("max_rows: from 1 to {MAX_ROWS}")));
    }
    let _turn = app.sql.turn(&caller).await?;
    // Before it runs: one that never ends is there too.
    let mut work = Work::begin(&app, &caller, "sql", &request.sql).await?;
    let began = Instant::now();
    let limits = RowLimits { max_rows: Some(max_rows.into()), timeout: Some(TIMEOUT) };
    let found = match app.sql.engine.query_columns(&request.sql, limits, MAX_BYTES).await {
        Ok(found) => found,
        Err(error) => {
            work.failed(&error.to_string()).await;
            return Err(fault(error));
        }
    };
    work.rows(found.rows);
    work.done().await;
    let columns = found.columns.into_iter().map(|column| SqlColumn {
        name: column.name,
        data_type: column.data_type,
        values: column.values,
    });
    let answer = SqlAnswer {
        columns: columns.collect(),
        rows: found.rows,
        truncated: found.truncated,
        elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    Ok((Extension(Audited), Json(answer)))
}

/// The tables, views and columns that statements may name.
#[utoipa::path(get, path = "/api/v1/sql/schema", operation_id = "sql_schema",
    responses((status = 200, body = SqlSchema), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn schema(State(app): State<Shared>) -> Result<Json<SqlSchema>, ApiError> {
    let found = app.sql.schema.get_or_try_init(|| describe(&app.sql.engine)).await?;
    Ok(Json(found.clone()))
}

async fn describe(engine: &Engine) -> Result<SqlSchema, ApiError> {
    let mut tables = Vec::new();
    for name in engine.tables() {
        // The names are the engine's own.
        let rows = engine.query_rows(&format!("DESCRIBE {name}"), Vec::new(), RowLimits::default()).await?;
        let text = |row: &serde_json::Map<String, serde_json::Value>, key: &str| {
            row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
        };
        let columns = rows.rows.iter().map(|row| SchemaColumn {
            name: text(row, "column_name"),
            data_type: text(row, "data_type"),
            nullable: text(row, "is_nullable") == "YES",
        });
        tables.push(SchemaTable { columns: columns.collect(), name });
    }
    Ok(SqlSchema { tables })
}
