//! Parameters of a request; what cannot be read is a problem that names it.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::types::Source;
use crate::problem::ApiError;

/// The query's parameters. An unknown name is an error, not silence.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::Bad(rejection.body_text())),
        }
    }
}

/// The JSON body; what is wrong with it is a problem that says so.
pub(super) fn body<T>(json: Result<Json<T>, JsonRejection>) -> Result<T, ApiError> {
    json.map(|Json(value)| value).map_err(|rejection| ApiError::Bad(rejection.body_text()))
}

/// The JSON body as an argument of a handler; what cannot be read is a problem that says where.
pub(super) struct Given<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Given<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::Bad(rejection.body_text())),
        }
    }
}

/// A number in a path.
pub(super) fn parse_number(what: &str, text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| ApiError::Missing(format!("{what} {text:?}: a number is expected")))
}

/// `flow`, `dns` or `proxy` in a path.
pub(super) fn parse_source(text: &str) -> Result<Source, ApiError> {
    Source::ALL
        .into_iter()
        .find(|source| source.as_str() == text)
        .ok_or_else(|| ApiError::Missing(format!("source {text:?}: there are flow, dns and proxy")))
}
