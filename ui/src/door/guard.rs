//! Which requests are let in.
//!
//! In this order: the address is not too long; the Host is one of ours; a browser that says that another site sent the
//! request is refused; anything but GET and HEAD, and every WebSocket, needs our Origin or an API token; and every path
//! that is not open needs a caller. What the caller may do is checked by the route ([`super::routes`]).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use aggregator::lake::Lake;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::caller::Caller;
use super::record::{Answered, note};
use super::role::Least;
use super::routes::Declared;
use super::session::{Asks, Credential, identify};
use super::site::check_fetch_site;
use crate::app::{App, Shared};
use crate::problem::ApiError;

/// Bytes of a request's address.
const MAX_ADDRESS: usize = 24 << 10;

tokio::task_local! {
    /// The name of whoever the present request is answered for: what it may use at a time is counted by it.
    pub(crate) static CALLER: Arc<str>;
}

/// What the guard knows.
#[derive(Clone)]
pub(crate) struct Guard {
    app: Shared,
    open: Arc<BTreeSet<&'static str>>,
}

impl Guard {
    /// Paths that the table leaves open are let through without a caller.
    pub(crate) fn new(app: Shared, table: &[Declared]) -> Self {
        let open = table.iter().filter(|route| route.least == Least::Open).map(|route| route.path).collect();
        Self { app, open: Arc::new(open) }
    }
}

/// The client's address: the other end of the connection, or what a trusted proxy says. Set by the listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Lets a request in, or answers why not.
pub(crate) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    match admit(&guard, Asked::of(&request)).await {
        Ok(caller) => {
            let Some(caller) = caller else { return next.run(request).await };
            let (method, uri) = (request.method().clone(), request.uri().clone());
            request.extensions_mut().insert(caller.clone());
            let response = CALLER.scope(Arc::clone(&caller.name), next.run(request)).await;
            note(&guard.app, &caller, &method, &uri, Answered::of(&response)).await;
            response
        }
        Err(error) if wants_page(request.uri(), request.headers()) => {
            if matches!(error, ApiError::Unauthorized) {
                way_in(&guard.app).await
            } else {
                crate::assets::refusal(&error)
            }
        }
        Err(error) => error.into_response(),
    }
}

/// What of a request decides whether it is let in; without its body, so that it may wait.
struct Asked {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    address: IpAddr,
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            address: address(request),
        }
    }
}

async fn admit(guard: &Guard, asked: Asked) -> Result<Option<Caller>, ApiError> {
    let Asked { method, uri, headers, address } = &asked;
    let app = &guard.app;
    if uri.path_and_query().is_some_and(|text| text.as_str().len() > MAX_ADDRESS) {
        return Err(ApiError::LongAddress(MAX_ADDRESS));
    }
    app.site.check_host(uri, headers)?;
    check_fetch_site(method, headers)?;
    let is_change = !matches!(*method, Method::GET | Method::HEAD) || headers.contains_key(header::UPGRADE);
    // Only a script sends a token; a browser that another site deceives sends cookies.
    if is_change && !headers.contains_key(header::AUTHORIZATION) {
        app.site.check_origin(headers)?;
    }
    let caller = match Credential::of(headers, &app.cookie_name()) {
        None => None,
        Some(credential) => {
            let (app_of, address) = (Arc::clone(app), *address);
            let work = move |lake: &Lake| Ok(identify(lake, &app_of.console, &credential, address, Asks::Anew)?);
            app.blocking(work).await?
        }
    };
    let link = uri.path() == "/" && crate::spot::link_secret(uri).is_some();
    if caller.is_none() && !link && !guard.open.contains(uri.path()) {
        return Err(ApiError::Unauthorized);
    }
    Ok(caller)
}

/// Where the request comes from.
pub(crate) fn address(request: &Request) -> IpAddr {
    request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0)
}

/// Where a person without a session goes on: the browser keeps the fragment, so that the page is the same afterwards.
async fn way_in(app: &App) -> Response {
    let is_set_up = app.blocking(|lake| Ok(lake.state().has_admin()?)).await;
    match is_set_up {
        Ok(true) => Redirect::to("/login").into_response(),
        Ok(false) if app.site.any_address => Redirect::to("/setup").into_response(),
        Ok(false) => crate::assets::refusal(&ApiError::Unauthorized),
        Err(error) => crate::assets::refusal(&error),
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
