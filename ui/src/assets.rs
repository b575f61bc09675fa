//! The web application's files, built by `make web` and embedded when the server is compiled.

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::door::escape;
use crate::problem::ApiError;

#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct Dist;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// `GET /assets/{*path}` and the few files beside `index.html`.
pub(crate) async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    // Vite puts a hash of the content into the names: they never change.
    file(&format!("assets/{path}"), "private, max-age=31536000, immutable", &headers)
}

/// `GET /icon.svg`
pub(crate) async fn icon(headers: HeaderMap) -> Response {
    file("icon.svg", "private, max-age=86400", &headers)
}

/// The application's page, or what to do where it was not built.
pub(crate) fn index(headers: &HeaderMap) -> Response {
    if Dist::get("index.html").is_none() {
        let page = page(
            "The web application is not built",
            "This server was compiled without it. Run <code>make web</code>, compile again, and reload. The API works: see \
             <code>/api/openapi.json</code>.",
        );
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::CONTENT_TYPE, HTML)], page).into_response();
    }
    file("index.html", "private, no-cache", headers)
}

fn file(path: &str, cache: &'static str, headers: &HeaderMap) -> Response {
    let Some(file) = Dist::get(path) else {
        return ApiError::Missing(format!("file {path:?}")).into_response();
    };
    let hash = file.metadata.sha256_hash();
    let tag: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let (status, body) = if known {
        (StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        (StatusCode::OK, Body::from(file.data.into_owned()))
    };
    let kind = match path.rsplit('.').next() {
        Some("html") => HTML,
        Some("js") => HeaderValue::from_static("text/javascript; charset=utf-8"),
        Some("css") => HeaderValue::from_static("text/css; charset=utf-8"),
        Some("svg") => HeaderValue::from_static("image/svg+xml"),
        Some("json") => HeaderValue::from_static("application/json"),
        _ => HeaderValue::from_static("application/octet-stream"),
    };
    let mut response = (status, body).into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, kind);
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    response
}

/// A refusal for a person's eyes.
pub(crate) fn refusal(error: &ApiError) -> Response {
    let problem = error.problem();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::FORBIDDEN);
    let text = format!("{}<br>{}", escape(&problem.detail), escape(&problem.action));
    (status, [(header::CONTENT_TYPE, HTML)], page(&problem.title, &text)).into_response()
}

fn page(title: &str, text: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title} – Spotter</title><h1>{title}</h1><p>{text}</p></html>\n"
    )
}
