//! Accounts, sessions, tokens and the audit log.

pub(super) mod audit;
pub(super) mod me;
pub(super) mod settings;
pub(super) mod tokens;
pub(super) mod users;

use axum::Extension;
use axum::Json;

use super::types::Done;
use crate::door::Audited;

/// An answer whose handler has written its own audit entry.
type Told<T> = (Extension<Audited>, Json<T>);

fn told<T>(answer: T) -> Told<T> {
    (Extension(Audited), Json(answer))
}

fn done() -> Told<Done> {
    told(Done { done: true })
}
