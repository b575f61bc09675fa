//! REST under `/api/v1`, described by `/api/openapi.json` (checked in as `ui/openapi.json`).

mod accounts;
mod around;
mod books;
mod context;
mod days;
mod details;
mod export;
mod filter;
pub(crate) mod graphql;
mod high;
mod ingest;
mod investigate;
mod leases;
mod list;
pub(crate) mod live;
mod of_query;
pub(crate) mod overlays;
mod params;
mod query;
mod record;
mod rows;
mod rules;
pub(crate) mod sql;
mod status;
mod stories;
mod topics;
pub mod types;
mod verdicts;
mod views;
mod words;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, middleware};
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;

use crate::app::Shared;
use crate::door::{ADMIN, ANALYST, Guard, Least, OPEN, Routes, VIEWER};
use crate::problem::ApiError;
use crate::{assets, door, etag, headers, metrics, spot};
pub(crate) use investigate::cache::Cache;
pub(crate) use topics::Models;
use types::{Health, Link};

/// The OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Spotter",
        description = "Records, scores and the ledger of a Spotter lake. Sign in with the one-time link, or send `Authorization: Bearer TOKEN`."
    ),
    paths(
        health,
        ready,
        new_link,
        days::days,
        list::suspicious_flow,
        list::suspicious_dns,
        list::suspicious_proxy,
        list::scored_flow,
        list::scored_dns,
        list::scored_proxy,
        details::flow_details,
        details::dns_details,
        details::proxy_details,
        record::record,
        topics::topics,
        ingest::ingest,
        ingest::ingest_span,
        investigate::investigation,
        investigate::connections,
        investigate::timeline,
        investigate::volume,
        investigate::service,
        investigate::board,
        stories::stories,
        stories::tell,
        stories::story,
        stories::edit,
        stories::retire,
        stories::comment,
        stories::pin,
        stories::unpin,
        stories::report,
        stories::evidence,
        export::export,
        high::high,
        query::query,
        views::saved_views,
        views::save_view,
        views::delete_view,
        views::begin_with_view,
        views::begin_without_view,
        around::around_flow,
        around::around_dns,
        live::live,
        live::live_sse,
        status::status,
        accounts::me::me,
        accounts::me::logout,
        accounts::me::password,
        accounts::me::sessions,
        accounts::me::end_session,
        accounts::settings::set_defaults,
        accounts::settings::set_display,
        accounts::tokens::my_tokens,
        accounts::tokens::add_token,
        accounts::tokens::revoke_mine,
        accounts::users::users,
        accounts::users::add_user,
        accounts::users::change_user,
        accounts::tokens::tokens,
        accounts::tokens::revoke_any,
        accounts::audit::audit,
        accounts::audit::check_audit,
        sql::run,
        sql::schema,
        sql::export,
        sql::saved::list,
        sql::saved::keep,
        sql::saved::remove,
        context::context,
        verdicts::verdicts,
        verdicts::give_verdicts,
        verdicts::preview_verdict,
        verdicts::take_back_verdict,
        of_query::preview_query,
        of_query::give_on_query,
        of_query::take_batch_back,
        rules::rules,
        rules::make_rule,
        rules::preview_rule,
        rules::retire_rule,
    ),
    components(schemas(types::Problem, types::SqlFormat))
)]
struct Document;

/// The OpenAPI document as pretty JSON with a newline at the end: what is checked in.
///
/// # Errors
/// None in practice: the document is made of plain values.
pub fn openapi() -> Result<String, serde_json::Error> {
    let mut document = Document::openapi();
    // The server's version is no part of the contract.
    document.info.version = "1".to_owned();
    document.to_pretty_json().map(|text| text + "\n")
}

/// Every route with the least role it asks for. A new route goes here.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .get(OPEN, "/api/v1/health", health)
        .get(OPEN, "/healthz", health)
        .get(OPEN, "/readyz", ready)
        .get(OPEN, "/login", door::login_page)
        .post(OPEN, "/login", door::login)
        .get(OPEN, "/setup", door::setup_page)
        .post(OPEN, "/setup", door::setup)
        .get(OPEN, "/door.css", door::style)
        .get(OPEN, "/door.js", door::script)
        .post(ADMIN, "/api/v1/links", new_link)
        .get(VIEWER, "/api/v1/days", days::days)
        .get(VIEWER, "/api/v1/suspicious/flow", list::suspicious_flow)
        .get(VIEWER, "/api/v1/suspicious/dns", list::suspicious_dns)
        .get(VIEWER, "/api/v1/suspicious/proxy", list::suspicious_proxy)
        .get(VIEWER, "/api/v1/suspicious/flow/{record_id}", list::scored_flow)
        .get(VIEWER, "/api/v1/suspicious/dns/{record_id}", list::scored_dns)
        .get(VIEWER, "/api/v1/suspicious/proxy/{record_id}", list::scored_proxy)
        .get(VIEWER, "/api/v1/details/flow", details::flow_details)
        .get(VIEWER, "/api/v1/details/dns", details::dns_details)
        .get(VIEWER, "/api/v1/details/proxy", details::proxy_details)
        .get(VIEWER, "/api/v1/record/{source}/{record_id}", record::record)
        .get(VIEWER, "/api/v1/topics/{source}/{record_id}", topics::topics)
        .get(VIEWER, "/api/v1/ingest/{source}", ingest::ingest)
        .get(VIEWER, "/api/v1/ingest", ingest::ingest_span)
        .get(VIEWER, "/api/v1/investigation", investigate::investigation)
        .get(VIEWER, "/api/v1/investigation/connections", investigate::connections)
        .get(VIEWER, "/api/v1/timeline", investigate::timeline)
        .get(VIEWER, "/api/v1/volume", investigate::volume)
        .get(VIEWER, "/api/v1/service/{proto}/{port}", investigate::service)
        .get(VIEWER, "/api/v1/export/{view}/{source}", export::export)
        .get(VIEWER, "/api/v1/high", high::high)
        .get(VIEWER, "/api/v1/board", investigate::board)
        .get(VIEWER, "/api/v1/stories", stories::stories)
        .post(ANALYST, "/api/v1/stories", stories::tell)
        .get(VIEWER, "/api/v1/stories/{story_id}", stories::story)
        .put(ANALYST, "/api/v1/stories/{story_id}", stories::edit)
        .delete(ANALYST, "/api/v1/stories/{story_id}", stories::retire)
        .post(ANALYST, "/api/v1/stories/{story_id}/comments", stories::comment)
        .post(ANALYST, "/api/v1/stories/{story_id}/pins", stories::pin)
        .delete(ANALYST, "/api/v1/stories/{story_id}/pins/{source}/{record_id}", stories::unpin)
        .get(VIEWER, "/api/v1/stories/{story_id}/report.html", stories::report)
        .get(VIEWER, "/api/v1/stories/{story_id}/evidence.tar", stories::evidence)
        .get(VIEWER, "/api/v1/around/flow", around::around_flow)
        .get(VIEWER, "/api/v1/around/dns", around::around_dns)
        .get(VIEWER, "/api/v1/views", views::saved_views)
        .post(VIEWER, "/api/v1/views", views::save_view)
        .delete(VIEWER, "/api/v1/views/{id}", views::delete_view)
        .put(VIEWER, "/api/v1/views/{id}/default", views::begin_with_view)
        .delete(VIEWER, "/api/v1/views/{id}/default", views::begin_without_view)
        .get(VIEWER, "/api/v1/query/{source}", query::query)
        .get(VIEWER, "/api/v1/live", live::live)
        .get(VIEWER, "/api/v1/live.sse", live::live_sse)
        .get(Least::Metrics, "/metrics", metrics::metrics)
        .get(VIEWER, "/api/v1/status", status::status)
        .get(VIEWER, "/api/v1/me", accounts::me::me)
        .post(VIEWER, "/api/v1/logout", accounts::me::logout)
        .post(VIEWER, "/api/v1/me/password", accounts::me::password)
        .get(VIEWER, "/api/v1/me/sessions", accounts::me::sessions)
        .delete(VIEWER, "/api/v1/me/sessions/{id}", accounts::me::end_session)
        .get(VIEWER, "/api/v1/me/tokens", accounts::tokens::my_tokens)
        .post(VIEWER, "/api/v1/me/tokens", accounts::tokens::add_token)
        .delete(VIEWER, "/api/v1/me/tokens/{id}", accounts::tokens::revoke_mine)
        .put(VIEWER, "/api/v1/me/display", accounts::settings::set_display)
        .put(ADMIN, "/api/v1/defaults", accounts::settings::set_defaults)
        .get(ADMIN, "/api/v1/users", accounts::users::users)
        .post(ADMIN, "/api/v1/users", accounts::users::add_user)
        .patch(ADMIN, "/api/v1/users/{name}", accounts::users::change_user)
        .get(ADMIN, "/api/v1/tokens", accounts::tokens::tokens)
        .delete(ADMIN, "/api/v1/tokens/{id}", accounts::tokens::revoke_any)
        .get(ADMIN, "/api/v1/audit", accounts::audit::audit)
        .get(ADMIN, "/api/v1/audit/check", accounts::audit::check_audit)
        .post(ANALYST, "/api/v1/sql", sql::run)
        .post(ANALYST, "/api/v1/sql/export", sql::export)
        .get(ANALYST, "/api/v1/sql/schema", sql::schema)
        .get(ANALYST, "/api/v1/sql/queries", sql::saved::list)
        .post(ANALYST, "/api/v1/sql/queries", sql::saved::keep)
        .delete(ANALYST, "/api/v1/sql/queries/{id}", sql::saved::remove)
        .get(VIEWER, "/api/v1/context/{value}", context::context)
        .get(VIEWER, "/api/v1/verdicts", verdicts::verdicts)
        .post(ANALYST, "/api/v1/verdicts", verdicts::give_verdicts)
        .post(ANALYST, "/api/v1/verdicts/preview", verdicts::preview_verdict)
        .delete(ANALYST, "/api/v1/verdicts/{id}", verdicts::take_back_verdict)
        .post(ANALYST, "/api/v1/verdicts/query", of_query::give_on_query)
        .post(ANALYST, "/api/v1/verdicts/query/preview", of_query::preview_query)
        .delete(ANALYST, "/api/v1/verdict-batches/{id}", of_query::take_batch_back)
        .get(VIEWER, "/api/v1/rules", rules::rules)
        .post(ANALYST, "/api/v1/rules", rules::make_rule)
        .post(ANALYST, "/api/v1/rules/preview", rules::preview_rule)
        .delete(ANALYST, "/api/v1/rules/{id}", rules::retire_rule)
        .post_sized(VIEWER, "/graphql", graphql::MAX_BODY, graphql::graphql)
        .get(VIEWER, "/api/openapi.json", document)
        .get(VIEWER, "/index.html", index)
        .get(VIEWER, "/icon.svg", assets::icon)
        .get(VIEWER, "/assets/{*path}", assets::asset)
        .get(VIEWER, "/files/ui/{folder}/{page}", spot::old_page)
        .get(Least::Link, "/", spot::front)
}

/// All routes behind the guard.
pub(crate) fn router(app: Shared) -> Router {
    let routes = routes();
    let guard = Guard::new(app.clone(), routes.table());
    routes
        .into_router()
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn_with_state(guard, door::guard))
        .layer(middleware::from_fn(etag::tag))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(headers::secure))
        .layer(middleware::from_fn_with_state(app.clone(), metrics::count))
        .with_state(app)
}

/// Does the server run? Needs no session.
#[utoipa::path(get, path = "/api/v1/health", responses((status = 200, body = Health)), security(()))]
async fn health() -> Json<Health> {
    Json(Health { status: "ok".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
}

/// Can the server answer? Its state database can be read, then. Needs no session.
#[utoipa::path(get, path = "/readyz", responses((status = 200, body = Health), (status = 503, body = Health)), security(()))]
async fn ready(State(app): State<Shared>) -> (StatusCode, Json<Health>) {
    let (code, status) = match app.blocking(|lake| Ok(lake.state().has_admin()?)).await {
        Ok(_) => (StatusCode::OK, "ok"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the state database cannot be read"),
    };
    (code, Json(Health { status: status.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }))
}

/// A new one-time link, for another browser.
#[utoipa::path(post, path = "/api/v1/links", responses((status = 200, body = Link), (status = 403, body = types::Problem), (status = 409, body = types::Problem)))]
async fn new_link(State(app): State<Shared>) -> Result<Json<Link>, ApiError> {
    if app.blocking(|lake| Ok(lake.state().has_admin()?)).await? {
        return Err(ApiError::Refused("there are accounts: links open nothing any more".to_owned()));
    }
    let secret = app
        .console
        .new_link()
        .map_err(|error| ApiError::Broken(format!("no random numbers from the system: {error}")))?;
    Ok(Json(Link { url: format!("http://127.0.0.1:{}/?token={}", app.port, secret.reveal()) }))
}

async fn document() -> Result<Response, ApiError> {
    let text = openapi().map_err(|error| ApiError::Broken(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

async fn index(headers: HeaderMap) -> Response {
    assets::index(&headers)
}

async fn nothing(uri: Uri) -> ApiError {
    ApiError::Missing(format!("page {:?}", uri.path()))
}

async fn not_so(method: Method, uri: Uri) -> ApiError {
    ApiError::Method(format!("{method} {:?}", uri.path()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn operations_have_names_of_their_own() {
        let document: serde_json::Value = serde_json::from_str(&super::openapi().unwrap()).unwrap();
        let mut names: Vec<&str> = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|path| path.as_object().unwrap().values())
            .filter_map(|operation| operation["operationId"].as_str())
            .collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(all > 15, "{all}");
    }

    /// `UPDATE_OPENAPI=1 cargo nextest run -p ui openapi` writes it anew.
    #[test]
    fn the_checked_in_openapi_document_is_the_server_s() {
        let path = Path::new("openapi.json");
        let made = super::openapi().unwrap();
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == made,
            "ui/openapi.json is not what the server says: run UPDATE_OPENAPI=1 cargo nextest run -p ui openapi"
        );
    }
}
