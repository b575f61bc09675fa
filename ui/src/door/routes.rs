//! The table of routes: a route cannot be added without the least role it asks for.
//!
//! Each route checks the role of its caller, and reads its body whole, bounded in bytes and time, before its handler
//! runs. [`Routes::table`] is what the tests walk, route by route and role by role.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};

use super::caller::Caller;
use super::role::Least;
use crate::app::Shared;
use crate::problem::ApiError;

/// Bytes a request's body may have, where its route says nothing else.
pub(crate) const MAX_BODY: usize = 64 << 10;
/// Time a client has to send a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 20 });

/// A route that exists.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// GET stands for HEAD too.
    #[cfg_attr(not(test), expect(dead_code, reason = "what the tests ask by"))]
    pub(crate) method: Method,
    /// With `{parameters}`.
    pub(crate) path: &'static str,
    /// What it asks of its caller.
    pub(crate) least: Least,
}

/// Routes with the least role of each.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<Shared>,
    table: Vec<Declared>,
}

impl Routes {
    /// Adds `GET path` (and HEAD).
    pub(crate) fn get<T: 'static>(self, least: Least, path: &'static str, handler: impl Handler<T, Shared>) -> Self {
        self.add(Method::GET, MethodFilter::GET, least, path, 0, handler)
    }

    /// Adds `POST path` with a body of at most [`MAX_BODY`] bytes.
    pub(crate) fn post<T: 'static>(self, least: Least, path: &'static str, handler: impl Handler<T, Shared>) -> Self {
        self.post_sized(least, path, MAX_BODY, handler)
    }

    /// Adds `POST path` with a body of at most `bytes`.
    pub(crate) fn post_sized<T: 'static>(
        self,
        least: Least,
        path: &'static str,
        bytes: usize,
        handler: impl Handler<T, Shared>,
    ) -> Self {
        self.add(Method::POST, MethodFilter::POST, least, path, bytes, handler)
    }

    /// Adds `PUT path`.
    pub(crate) fn put<T: 'static>(self, least: Least, path: &'static str, handler: impl Handler<T, Shared>) -> Self {
        self.add(Method::PUT, MethodFilter::PUT, least, path, MAX_BODY, handler)
    }

    /// Adds `PATCH path`.
    pub(crate) fn patch<T: 'static>(self, least: Least, path: &'static str, handler: impl Handler<T, Shared>) -> Self {
        self.add(Method::PATCH, MethodFilter::PATCH, least, path, MAX_BODY, handler)
    }

    /// Adds `DELETE path`.
    pub(crate) fn delete<T: 'static>(self, least: Least, path: &'static str, handler: impl Handler<T, Shared>) -> Self {
        self.add(Method::DELETE, MethodFilter::DELETE, least, path, MAX_BODY, handler)
    }

    fn add<T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        least: Least,
        path: &'static str,
        max_body: usize,
        handler: impl Handler<T, Shared>,
    ) -> Self {
        let check = middleware::from_fn(move |request: Request, next: Next| check(least, max_body, request, next));
        let route: MethodRouter<Shared, Infallible> = on(filter, handler).route_layer(check);
        self.router = self.router.route(path, route);
        self.table.push(Declared { method, path, least });
        self
    }

    /// What was added.
    pub(crate) fn table(&self) -> &[Declared] {
        &self.table
    }

    /// The router of all of them.
    pub(crate) fn into_router(self) -> Router<Shared> {
        self.router
    }
}

async fn check(least: Least, max_body: usize, request: Request, next: Next) -> Response {
    if let Err(error) = may(least, request.extensions().get::<Caller>()) {
        return error.into_response();
    }
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    match whole(request, max_body).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn may(least: Least, caller: Option<&Caller>) -> Result<(), ApiError> {
    match (least, caller) {
        (Least::Open | Least::Link, _) => Ok(()),
        (_, None) => Err(ApiError::Unauthorized),
        (least, Some(caller)) if caller.may(least) => Ok(()),
        (least, Some(caller)) => Err(ApiError::Role { least, name: caller.name.to_string() }),
    }
}

/// Reads the body before the handler runs: a client that sends slowly holds no query's place.
async fn whole(request: Request, max_body: usize) -> Result<Request, ApiError> {
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, max_body)).await;
    let bytes = read.map_err(|_| ApiError::Slow(BODY_TIMEOUT.as_secs()))?.map_err(|error| {
        let is_long = std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error>::is::<http_body_util::LengthLimitError>);
        if is_long {
            ApiError::TooLarge(max_body)
        } else {
            ApiError::Bad(format!("the body could not be read: {error}"))
        }
    })?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}
