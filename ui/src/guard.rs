//! The door: which requests are let in.
//!
//! In this order: the Host must be one of ours with our port (else a page of another site could reach us under its
//! own name, by DNS rebinding); a browser that says that another site sent it is refused; anything but GET and HEAD,
//! and a WebSocket, needs our Origin or the API token; and all but the health check needs a session or the API token.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::{App, Shared};
use crate::problem::ApiError;

/// Path that anyone may ask.
const OPEN: &str = "/api/v1/health";
/// Hosts under which we are reached.
const HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// How a request proved itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Credential {
    None,
    Session,
    ApiToken,
}

/// Lets a request in, or answers why not.
pub(crate) async fn guard(State(app): State<Shared>, request: Request, next: Next) -> Response {
    match admit(&app, request.method(), request.uri(), request.headers(), Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(error) if wants_page(request.uri(), request.headers()) => crate::assets::refusal(&error),
        Err(error) => error.into_response(),
    }
}

fn admit(app: &App, method: &Method, uri: &Uri, headers: &HeaderMap, now: Instant) -> Result<(), ApiError> {
    check_host(app.port, uri, headers)?;
    check_site(method, headers)?;
    let credential = credential(app, headers, now);
    // A page of another site may open a WebSocket to us: browsers say only by Origin who did.
    let changes = !matches!(*method, Method::GET | Method::HEAD) || headers.contains_key(header::UPGRADE);
    if changes && credential != Credential::ApiToken {
        check_origin(app.port, headers)?;
    }
    let link = uri.path() == "/" && crate::spot::link_secret(uri).is_some();
    if credential == Credential::None && uri.path() != OPEN && !link {
        return Err(ApiError::Unauthorized);
    }
    Ok(())
}

fn is_ours(authority: &str, port: u16) -> bool {
    HOSTS.iter().any(|host| {
        authority.strip_prefix(host).is_some_and(|rest| rest.strip_prefix(':').is_some_and(|p| p == port.to_string()))
    })
}

fn check_host(port: u16, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        _ => "",
    };
    let named = uri.authority().is_none_or(|authority| is_ours(authority.as_str(), port));
    if named && is_ours(&host.to_ascii_lowercase(), port) {
        return Ok(());
    }
    Err(ApiError::Forbidden(format!("the Host header must be 127.0.0.1:{port}, localhost:{port} or [::1]:{port}")))
}

/// Browsers say where a request was begun. Following a link to a page is harmless; all else from other sites is not.
fn check_site(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_)
            if *method == Method::GET
                && text("sec-fetch-mode") == Some("navigate")
                && text("sec-fetch-dest") == Some("document") =>
        {
            Ok(())
        }
        Some(site) => Err(ApiError::Forbidden(format!("the request was begun by another site ({site})"))),
    }
}

fn check_origin(port: u16, headers: &HeaderMap) -> Result<(), ApiError> {
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match origin.strip_prefix("http://") {
        Some(authority) if is_ours(authority, port) => Ok(()),
        _ => Err(ApiError::Forbidden(
            "a change, or a WebSocket, needs the Origin of Spotter's own pages, or the API token".to_owned(),
        )),
    }
}

fn credential(app: &App, headers: &HeaderMap, now: Instant) -> Credential {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if let Some(token) = bearer {
        return if app.auth.is_api_token(token.trim()) { Credential::ApiToken } else { Credential::None };
    }
    let name = app.cookie_name();
    let session = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name);
    match session {
        Some((_, secret)) if app.auth.is_session(secret, now) => Credential::Session,
        _ => Credential::None,
    }
}

/// Would a person see the answer?
fn wants_page(uri: &Uri, headers: &HeaderMap) -> bool {
    !uri.path().starts_with("/api/")
        && headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"))
}
