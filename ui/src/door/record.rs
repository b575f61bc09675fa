//! What is written to the audit log: every change that came through the door, every search that was answered, every record
//! that was opened, and every refusal for want of a role.

use std::net::IpAddr;
use std::time::Instant;

use aggregator::lake::Lake;
use aggregator::state::audit::NewEntry;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;

use super::caller::Caller;
use super::opened::Opened;
use super::work::{asked, counted};
use crate::app::App;
use crate::problem::ApiError;

/// In a response's extensions: the handler has written its own entry, with more than the address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audited;

/// In a response's extensions: a search was answered, with so many rows. `None`: the client has the answer already, and it is
/// not known here any more how long it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Searched(pub(crate) Option<u64>);

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

/// Appends an entry and gives its number; `None` where the lake can only be read.
pub(crate) async fn append(app: &App, entry: NewEntry) -> Result<Option<i64>, ApiError> {
    let write = move |lake: &Lake| lake.is_writable().then(|| lake.state().append_audit(&entry)).transpose();
    app.blocking(move |lake| Ok(write(lake)?)).await
}

/// Writes that a search was answered.
pub(crate) async fn searched(app: &App, caller: &Caller, subject: &str, rows: u64) -> Result<(), ApiError> {
    append(app, entry(caller, "search", subject, &counted(rows))).await.map(drop)
}

/// What is known of an answer when it goes out.
pub(super) struct Answered {
    status: StatusCode,
    is_told: bool,
    searched: Option<Searched>,
    opened: Option<Opened>,
}

impl Answered {
    pub(super) fn of(response: &Response) -> Self {
        let extensions = response.extensions();
        Self {
            status: response.status(),
            is_told: extensions.get::<Audited>().is_some(),
            searched: extensions.get::<Searched>().copied(),
            opened: extensions.get::<Opened>().cloned(),
        }
    }
}

/// Writes the entry of a request that its handler has not written.
pub(super) async fn note(app: &App, caller: &Caller, method: &Method, uri: &Uri, answered: Answered) {
    let Answered { status, is_told, searched, opened } = answered;
    let is_change = !matches!(*method, Method::GET | Method::HEAD);
    // A path that is not there changes nothing.
    let is_nothing = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
    let entry = match searched {
        _ if is_told || is_nothing => return,
        None if opened.is_some() => match opened.and_then(|opened| entry_of_opened(app, caller, uri, &opened)) {
            Some(entry) => entry,
            None => return,
        },
        Some(Searched(rows)) => {
            entry(caller, "search", &asked(uri), &rows.map_or_else(|| "as answered before".to_owned(), counted))
        }
        None if is_change || status == StatusCode::FORBIDDEN => {
            entry(caller, method.as_str(), uri.path(), status.as_str())
        }
        None => return,
    };
    if let Err(error) = append(app, entry).await {
        tracing::error!(%error, "an audit entry could not be written");
    }
}

/// The entry of what was opened; `None` where it was told lately. Without a record's identity the request itself is the subject.
fn entry_of_opened(app: &App, caller: &Caller, uri: &Uri, Opened { record, rows }: &Opened) -> Option<NewEntry> {
    let asked = asked(uri);
    let detail = counted(*rows);
    let entry = match record {
        Some((source, id)) => {
            entry(caller, "open", &format!("{} record {id}", source.as_str()), &format!("{asked}: {detail}"))
        }
        None => entry(caller, "open", &asked, &detail),
    };
    app.opened.is_new(caller, &asked, Instant::now()).then_some(entry)
}
