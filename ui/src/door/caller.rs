//! Who asks. A handler takes [`Caller`] as an argument and knows name and role.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::role::{Least, Role};
use crate::problem::ApiError;

/// By what a caller proved itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Via {
    /// A session that began with a one-time link of the console, or the console's own token.
    Console,
    /// A session of an account.
    Session,
    /// An API token.
    Token,
}

/// The one who asks. The guard has checked it; routes that are not open always have one.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Name of the account, `console` for the person at the console: the author of what is changed.
    pub(crate) name: Arc<str>,
    /// What it may do; `None` for a token that may read metrics only.
    pub(crate) role: Option<Role>,
    /// How it came in.
    pub(crate) via: Via,
    /// From where.
    pub(crate) address: IpAddr,
}

impl Caller {
    /// May it ask what asks for `least`?
    pub(crate) fn may(&self, least: Least) -> bool {
        match least {
            Least::Open | Least::Link | Least::Metrics => true,
            Least::Role(role) => self.role.is_some_and(|own| own >= role),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or(ApiError::Unauthorized)
    }
}
