//! Who changes something.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::door::Caller;
use crate::problem::ApiError;

/// The name that stands beside a story, a comment, a pin.
pub(crate) struct Author(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Author {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(Self(caller.name.to_string()))
    }
}
