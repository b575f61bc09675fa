//! REST under `/api/v1`, described by `/api/openapi.json` (checked in as `ui/openapi.json`).

mod around;
mod books;
mod days;
mod details;
mod export;
mod filter;
mod high;
mod ingest;
mod investigate;
mod list;
pub(crate) mod live;
mod params;
mod query;
mod record;
mod rows;
mod status;
mod stories;
pub mod types;
mod views;
mod words;

use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;

use crate::app::Shared;
use crate::problem::ApiError;
use crate::{assets, guard, headers, metrics, spot};
pub(crate) use investigate::cache::Cache;
use types::{Health, Link};

/// Bytes a request's body may have.
const MAX_BODY: usize = 64 << 10;

/// The OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Spotter",
        description = "Records, scores and the ledger of a Spotter lake. Sign in with the one-time link, or send `Authorization: Bearer TOKEN`."
    ),
    paths(
        health,
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
        around::around_flow,
        around::around_dns,
        live::live,
        live::live_sse,
        status::status,
    ),
    components(schemas(types::Problem))
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

/// All routes behind the guard.
pub(crate) fn router(app: Shared) -> Router {
    let api = Router::new()
        .route("/health", get(health))
        .route("/links", post(new_link))
        .route("/days", get(days::days))
        .route("/suspicious/flow", get(list::suspicious_flow))
        .route("/suspicious/dns", get(list::suspicious_dns))
        .route("/suspicious/proxy", get(list::suspicious_proxy))
        .route("/suspicious/flow/{record_id}", get(list::scored_flow))
        .route("/suspicious/dns/{record_id}", get(list::scored_dns))
        .route("/suspicious/proxy/{record_id}", get(list::scored_proxy))
        .route("/details/flow", get(details::flow_details))
        .route("/details/dns", get(details::dns_details))
        .route("/details/proxy", get(details::proxy_details))
        .route("/record/{source}/{record_id}", get(record::record))
        .route("/ingest/{source}", get(ingest::ingest))
        .route("/ingest", get(ingest::ingest_span))
        .route("/investigation", get(investigate::investigation))
        .route("/investigation/connections", get(investigate::connections))
        .route("/timeline", get(investigate::timeline))
        .route("/volume", get(investigate::volume))
        .route("/service/{proto}/{port}", get(investigate::service))
        .route("/export/{view}/{source}", get(export::export))
        .route("/high", get(high::high))
        .route("/board", get(investigate::board))
        .route("/stories", get(stories::stories).post(stories::tell))
        .route("/stories/{story_id}", get(stories::story).put(stories::edit).delete(stories::retire))
        .route("/stories/{story_id}/comments", post(stories::comment))
        .route("/stories/{story_id}/pins", post(stories::pin))
        .route("/stories/{story_id}/pins/{source}/{record_id}", delete(stories::unpin))
        .route("/stories/{story_id}/report.html", get(stories::report))
        .route("/stories/{story_id}/evidence.tar", get(stories::evidence))
        .route("/around/flow", get(around::around_flow))
        .route("/around/dns", get(around::around_dns))
        .route("/views", get(views::saved_views).post(views::save_view))
        .route("/views/{id}", delete(views::delete_view))
        .route("/query/{source}", get(query::query))
        .route("/live", get(live::live))
        .route("/live.sse", get(live::live_sse))
        .route("/status", get(status::status));
    Router::new()
        .nest("/api/v1", api)
        .route("/metrics", get(metrics::metrics))
        .route("/api/openapi.json", get(document))
        .route("/", get(spot::front))
        .route("/index.html", get(index))
        .route("/icon.svg", get(assets::icon))
        .route("/assets/{*path}", get(assets::asset))
        .route("/files/ui/{folder}/{page}", get(spot::old_page))
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
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

/// A new one-time link, for another browser.
#[utoipa::path(post, path = "/api/v1/links", responses((status = 200, body = Link), (status = 403, body = types::Problem)))]
async fn new_link(State(app): State<Shared>) -> Result<Json<Link>, ApiError> {
    let secret =
        app.auth.new_link().map_err(|error| ApiError::Broken(format!("no random numbers from the system: {error}")))?;
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
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
        let made = super::openapi().unwrap();
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == made,
            "ui/openapi.json is not what the server says: run UPDATE_OPENAPI=1 cargo nextest run -p ui openapi"
        );
    }
}
