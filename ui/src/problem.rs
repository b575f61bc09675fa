//! Failures as `application/problem+json` (RFC 9457), each with what to do about it.

use aggregator::lake::LakeError;
use aggregator::state::StateError;
use analytics::sql::QueryError;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::types::Problem;
use crate::door::Least;

fn needs(least: &Least) -> String {
    match least {
        Least::Open | Least::Link => "it needs an account".to_owned(),
        Least::Metrics => "it needs the scope metrics".to_owned(),
        Least::Role(role) => format!("it needs the role {role}"),
    }
}

/// What a handler answers instead of data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// No session.
    #[error("no session")]
    Unauthorized,
    /// The request comes from another site, or names another host.
    #[error("refused: {0}")]
    Forbidden(String),
    /// The caller's role is too low.
    #[error("{name} may not do this: {}", needs(least))]
    Role {
        /// What is asked for.
        least: Least,
        /// Who asked.
        name: String,
    },
    /// The name or the password is wrong.
    #[error("the name or the password is wrong")]
    WrongPassword,
    /// Too many passwords were tried.
    #[error("too many wrong passwords from here: wait {0} s")]
    Throttled(u64),
    /// There is no set-up code any more.
    #[error("there is an account already, or the code has expired")]
    Closed,
    /// What was asked for does not go with what is there.
    #[error("{0}")]
    Refused(String),
    /// The body is too long.
    #[error("the request's body has more than {0} bytes")]
    TooLarge(usize),
    /// The address is too long.
    #[error("the request's address has more than {0} bytes")]
    LongAddress(usize),
    /// The client sends too slowly.
    #[error("the request's body did not come within {0} s")]
    Slow(u64),
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
            Self::Role { .. } => (
                StatusCode::FORBIDDEN,
                "role",
                "Your role does not allow it",
                "Ask an administrator for the role, or do it with an account that has it.",
            ),
            Self::WrongPassword => (
                StatusCode::UNAUTHORIZED,
                "wrong_password",
                "Not signed in",
                "Try again; an administrator sets a new password by `spotter user password NAME`.",
            ),
            Self::Throttled(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "throttled", "Too many tries", "Wait, then try again.")
            }
            Self::Closed => (
                StatusCode::FORBIDDEN,
                "closed",
                "Set-up is closed",
                "Make an account by `spotter user add NAME --role admin`, or start Spotter again for a new code.",
            ),
            Self::Refused(_) => (
                StatusCode::CONFLICT,
                "refused",
                "This cannot be done now",
                "See what is there, and ask for something else.",
            ),
            Self::TooLarge(_) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The request is too large", "Send less at a time.")
            }
            Self::LongAddress(_) => {
                (StatusCode::URI_TOO_LONG, "too_long", "The address is too long", "Use a shorter filter.")
            }
            Self::Slow(_) => (
                StatusCode::REQUEST_TIMEOUT,
                "slow",
                "The request did not arrive in time",
                "Send it again, over a faster connection.",
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
            StatusCode::TOO_MANY_REQUESTS => {
                if let Self::Throttled(seconds) = self {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"spotter\""));
            }
            _ => {}
        }
        response
    }
}
