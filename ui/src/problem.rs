//! Failures as `application/problem+json` (RFC 9457), each with what to do about it.

use aggregator::lake::LakeError;
use aggregator::state::StateError;
use analytics::sql::QueryError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::types::Problem;

/// What a handler answers instead of data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No session.
    #[error("no session")]
    Unauthorized,
    /// The request comes from another site, or names another host.
    #[error("refused: {0}")]
    Forbidden(String),
    /// A parameter is wrong: which one, and what was expected.
    #[error("{0}")]
    Bad(String),
    /// There is no such thing.
    #[error("there is no {0}")]
    Missing(String),
    /// Something was asked in a way that is not there.
    #[error("{0} is not possible here")]
    Method(String),
    /// Someone else changed it meanwhile.
    #[error("{0}")]
    Conflict(String),
    /// Too much at a time.
    #[error("too many requests at a time")]
    Busy,
    /// It took too long.
    #[error("the answer took more than {0} s")]
    Timeout(u64),
    /// The query failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The lake cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The state database cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A row has not the columns it should have.
    #[error("a row of {table} cannot be read: {reason}")]
    Row {
        /// Which table.
        table: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// No random numbers from the system, or a task broke.
    #[error("{0}")]
    Broken(String),
}

impl ApiError {
    fn parts(&self) -> (StatusCode, &'static str, &'static str, &'static str) {
        const AGAIN: &str = "Try again; if it happens again, look at the log of `spotter serve`.";
        match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "You are not signed in",
                "Open the one-time link that `spotter serve` prints, or send `Authorization: Bearer` with its API token.",
            ),
            Self::Forbidden(_) => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "The request was refused",
                "Use the address that `spotter serve` prints, and send changes from its own pages or with the API token.",
            ),
            Self::Bad(_) => (
                StatusCode::BAD_REQUEST,
                "bad_request",
                "The request cannot be understood",
                "Correct the parameter; /api/openapi.json says what is possible.",
            ),
            Self::Missing(_) => (
                StatusCode::NOT_FOUND,
                "not_found",
                "There is no such thing",
                "Look at /api/v1/days for what there is.",
            ),
            Self::Method(_) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "Not possible in this way",
                "/api/openapi.json says what is possible.",
            ),
            Self::Conflict(_) => (
                StatusCode::CONFLICT,
                "conflict",
                "It was changed meanwhile",
                "Read it again, and make your change on what it is now.",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "The server is busy",
                "Try again in a few seconds, or ask for less at a time.",
            ),
            Self::Timeout(_) | Self::Query(QueryError::Timeout(_)) => {
                (StatusCode::GATEWAY_TIMEOUT, "timeout", "It took too long", "Ask for a shorter time, or use a filter.")
            }
            Self::Query(QueryError::Memory { .. }) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "memory",
                "It needs too much memory",
                "Ask for less at a time, or give the engine more memory.",
            ),
            Self::Query(QueryError::Closed) => {
                (StatusCode::SERVICE_UNAVAILABLE, "closing", "The server is stopping", "Start it again: spotter serve.")
            }
            Self::Query(_) | Self::Lake(_) | Self::State(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "lake",
                "The lake could not be read",
                "Run `spotter doctor` on the lake.",
            ),
            Self::Row { .. } | Self::Broken(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something broke in the server", AGAIN)
            }
        }
    }

    /// As it is sent.
    pub(crate) fn problem(&self) -> Problem {
        let (status, kind, title, action) = self.parts();
        Problem {
            kind: kind.to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
            action: action.to_owned(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        if problem.status >= 500 {
            tracing::error!(error = %self, "request failed");
        }
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"spotter\""));
            }
            _ => {}
        }
        response
    }
}
