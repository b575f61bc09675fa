//! Queries that analysts keep.

use aggregator::state::queries::MAX_PER_OWNER;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};

use crate::api::params::body;
use crate::api::rows::moment;
use crate::api::types::{Done, NewSavedQuery, Problem, SavedQueries, SavedQuery};
use crate::app::Shared;
use crate::door::{Caller, Least, Role};
use crate::problem::ApiError;

/// Bytes of a kept statement.
const MAX_SQL: usize = 32 << 10;

/// All kept queries.
#[utoipa::path(get, path = "/api/v1/sql/queries", operation_id = "saved_queries",
    responses((status = 200, body = SavedQueries), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(State(app): State<Shared>) -> Result<Json<SavedQueries>, ApiError> {
    let found = app.blocking(|lake| Ok(lake.state().queries()?)).await?;
    let queries = found.into_iter().map(|query| SavedQuery {
        id: query.id,
        owner: query.owner,
        name: query.name,
        sql: query.sql,
        updated: moment(query.updated),
    });
    Ok(Json(SavedQueries { queries: queries.collect() }))
}

/// Keep a query; one's own of the same name is replaced.
#[utoipa::path(post, path = "/api/v1/sql/queries", operation_id = "save_query", request_body = NewSavedQuery,
    responses((status = 200, body = Done), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn keep(
    State(app): State<Shared>,
    caller: Caller,
    new: Result<Json<NewSavedQuery>, JsonRejection>,
) -> Result<Json<Done>, ApiError> {
    let new = body(new)?;
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 80 || name.chars().any(char::is_control) {
        return Err(ApiError::Bad("name: say in 1 to 80 characters what the query is for".to_owned()));
    }
    if new.sql.trim().is_empty() || new.sql.len() > MAX_SQL {
        return Err(ApiError::Bad(format!("sql: a statement of at most {MAX_SQL} bytes")));
    }
    let owner = caller.name.to_string();
    match app.blocking(move |lake| Ok(lake.state().keep_query(&owner, &name, &new.sql)?)).await? {
        Some(_) => Ok(Json(Done { done: true })),
        None => Err(ApiError::Refused(format!("you keep {MAX_PER_OWNER} queries: drop some first"))),
    }
}

/// Drop a kept query of one's own; an administrator may drop any.
#[utoipa::path(delete, path = "/api/v1/sql/queries/{id}", operation_id = "drop_query",
    params(("id" = i64, Path, description = "Which query")),
    responses((status = 200, body = Done), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn remove(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Done>, ApiError> {
    let missing = || ApiError::Missing(format!("query {id:?} of yours"));
    let number: i64 = id.parse().map_err(|_| missing())?;
    let owner = (!caller.may(Least::Role(Role::Admin))).then(|| caller.name.to_string());
    let dropped = app.blocking(move |lake| Ok(lake.state().drop_query(number, owner.as_deref())?)).await?;
    if dropped { Ok(Json(Done { done: true })) } else { Err(missing()) }
}
