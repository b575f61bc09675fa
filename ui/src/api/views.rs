//! Views that people saved.

use std::sync::Arc;

use aggregator::lake::Lake;
use aggregator::state::views::{self, MAX_VIEWS, NewView};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};

use super::params::Params;
use super::rows::moment;
use super::types::{NewSavedView, Problem, SavedView, SavedViews, ViewsQuery};
use crate::app::{App, Shared};
use crate::door::Caller;
use crate::problem::ApiError;

/// Characters of a name.
const MAX_NAME: usize = 100;
/// Bytes of the parameters of an address.
const MAX_QUERY: usize = 8192;

fn shown(view: views::View, owner: &str, default: bool) -> SavedView {
    let views::View { id, view: NewView { page, name, owner: saved_by, shared, query }, created } = view;
    let own = saved_by == owner;
    SavedView { id, page, name, owner: saved_by, shared, query, created: moment(created), own, default }
}

/// What pages begin with for `owner`.
pub(super) fn defaults(lake: &Lake, owner: &str) -> Result<Vec<SavedView>, ApiError> {
    Ok(lake.state().default_views(owner)?.into_iter().map(|view| shown(view, owner, true)).collect())
}

/// Is it the path of a page: a few words, set apart by slashes?
fn is_page(page: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    page.len() <= 64 && page.split('/').all(word)
}

/// The views of a page: one's own, and those that others share.
#[utoipa::path(get, path = "/api/v1/views", params(ViewsQuery), responses(
    (status = 200, body = SavedViews), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn saved_views(
    State(app): State<Shared>,
    caller: Caller,
    Params(query): Params<ViewsQuery>,
) -> Result<Json<SavedViews>, ApiError> {
    let owner = Arc::clone(&caller.name);
    let work = move |lake: &Lake| Ok((lake.state().views(&query.page, &owner)?, lake.state().default_views(&owner)?));
    let (found, defaults) = app.blocking(work).await?;
    let is_default = |view: &views::View| defaults.iter().any(|other| other.id == view.id);
    let views = found.into_iter().map(|view| {
        let default = is_default(&view);
        shown(view, &caller.name, default)
    });
    Ok(Json(SavedViews { views: views.collect() }))
}

/// Saves a view; one's own of the same page and name is replaced.
#[utoipa::path(post, path = "/api/v1/views", request_body = NewSavedView, responses(
    (status = 200, body = SavedView), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn save_view(
    State(app): State<Shared>,
    caller: Caller,
    body: Result<Json<NewSavedView>, JsonRejection>,
) -> Result<Json<SavedView>, ApiError> {
    let Json(NewSavedView { page, name, shared, query }) =
        body.map_err(|rejection| ApiError::Bad(rejection.body_text()))?;
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(ApiError::Bad(format!("`name` must have 1 to {MAX_NAME} characters")));
    }
    if !is_page(&page) {
        return Err(ApiError::Bad(format!("`page` must be a page's path such as suspicious/flow, not {page:?}")));
    }
    if query.len() > MAX_QUERY {
        return Err(ApiError::Bad(format!("`query` may have {MAX_QUERY} bytes")));
    }
    let new = NewView { page, name, owner: caller.name.to_string(), shared, query };
    let work = move |lake: &Lake| {
        let owner = new.owner.clone();
        Ok((lake.state().save_view(&new)?, lake.state().default_views(&owner)?))
    };
    let (saved, defaults) = app.blocking(work).await?;
    let view = saved.ok_or_else(|| ApiError::Bad(format!("there are {MAX_VIEWS} views already; delete some first")))?;
    let default = defaults.iter().any(|other| other.id == view.id);
    Ok(Json(shown(view, &caller.name, default)))
}

/// Deletes one's own view.
#[utoipa::path(delete, path = "/api/v1/views/{id}", params(("id" = i64, Path, description = "Number of the view")), responses(
    (status = 200, body = SavedView), (status = 404, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn delete_view(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<SavedView>, ApiError> {
    let missing = || ApiError::Missing(format!("view {id:?} of yours"));
    let number: i64 = id.parse().map_err(|_| missing())?;
    let owner = Arc::clone(&caller.name);
    let found = app.blocking(move |lake| Ok(lake.state().delete_view(number, &owner)?)).await?;
    Ok(Json(shown(found.ok_or_else(missing)?, &caller.name, false)))
}

/// The page begins with the view from now on, for the one who asks: one of one's own, or a shared one.
#[utoipa::path(put, path = "/api/v1/views/{id}/default", params(("id" = i64, Path, description = "Number of the view")), responses(
    (status = 200, body = SavedView), (status = 404, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn begin_with_view(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<SavedView>, ApiError> {
    set_default(&app, &caller, &id, true).await
}

/// The page no longer begins with the view, for the one who asks.
#[utoipa::path(delete, path = "/api/v1/views/{id}/default", params(("id" = i64, Path, description = "Number of the view")), responses(
    (status = 200, body = SavedView), (status = 404, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn begin_without_view(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<SavedView>, ApiError> {
    set_default(&app, &caller, &id, false).await
}

async fn set_default(app: &App, caller: &Caller, id: &str, is_default: bool) -> Result<Json<SavedView>, ApiError> {
    let missing = || ApiError::Missing(format!("view {id:?} of yours, or shared"));
    let number: i64 = id.parse().map_err(|_| missing())?;
    let owner = Arc::clone(&caller.name);
    let found = app.blocking(move |lake| Ok(lake.state().set_default_view(number, &owner, is_default)?)).await?;
    Ok(Json(shown(found.ok_or_else(missing)?, &caller.name, is_default)))
}

#[cfg(test)]
mod tests {
    use super::is_page;

    #[test]
    fn pages_are_paths_of_words() {
        assert!(is_page("suspicious/flow") && is_page("sql"));
        for bad in ["", "/", "a//b", "A", "../x", "a b", &"a".repeat(65)] {
            assert!(!is_page(bad), "{bad}");
        }
    }
}
