//! What is written to the audit log: every change that came through the door, and every refusal for want of a role.

use std::net::IpAddr;

use aggregator::state::audit::NewEntry;
use axum::http::{Method, StatusCode, Uri};

use super::caller::Caller;
use crate::app::App;

/// In a response's extensions: the handler has written its own entry, with more than the address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audited;

/// An entry about what `caller` did.
pub(crate) fn entry(caller: &Caller, action: &str, subject: &str, detail: &str) -> NewEntry {
    entry_of(&caller.name, caller.address, action, subject, detail)
}

/// An entry about what somebody did who may have no session.
pub(crate) fn entry_of(actor: &str, address: IpAddr, action: &str, subject: &str, detail: &str) -> NewEntry {
    NewEntry {
        actor: actor.to_owned(),
        address: address.to_string(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_owned(),
    }
}

/// Writes the entry of a request that its handler has not written (`is_told`: it has).
pub(super) async fn note(
    app: &App,
    caller: &Caller,
    method: &Method,
    uri: &Uri,
    (status, is_told): (StatusCode, bool),
) {
    let is_change = !matches!(*method, Method::GET | Method::HEAD);
    // A path that is not there changes nothing.
    let is_nothing = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    if is_told || is_nothing || !(is_change || status == StatusCode::FORBIDDEN) {
        return;
    }
    let entry = entry(caller, method.as_str(), uri.path(), status.as_str());
    let written = app.blocking(move |lake| {
        if lake.is_writable() {
            lake.state().append_audit(&entry)?;
        }
        Ok(())
    });
    if let Err(error) = written.await {
        tracing::error!(%error, "an audit entry could not be written");
    }
}
