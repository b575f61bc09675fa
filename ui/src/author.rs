//! Who changes something.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::problem::ApiError;

/// The name that stands beside a story, a comment, a pin.
pub(crate) struct Author(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Author {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self("console".to_owned()))
    }
}
