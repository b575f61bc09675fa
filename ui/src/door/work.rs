//! Exports and statements in the audit log: an entry before the first row is read, and one when it is over, with the
//! number of rows that were given out. What breaks off says so, what never ends has its first entry.

use aggregator::state::audit::NewEntry;
use axum::http::Uri;

use super::caller::Caller;
use super::record::{append, entry};
use crate::app::Shared;
use crate::problem::ApiError;

/// Work that is going on. Dropped before [`Work::done`], it is told as broken off.
pub(crate) struct Work {
    app: Shared,
    /// The entry of its end, but for its detail.
    end: NewEntry,
    rows: u64,
    is_told: bool,
}

impl Work {
    /// Writes that `caller` begins; nothing is done where that cannot be written.
    pub(crate) async fn begin(app: &Shared, caller: &Caller, action: &str, subject: &str) -> Result<Self, ApiError> {
        let number = append(app, entry(caller, action, subject, "")).await?;
        let of = number.map_or_else(String::new, |number| format!("entry {number}"));
        let end = entry(caller, &format!("{action}.end"), &of, "");
        Ok(Self { app: app.clone(), end, rows: 0, is_told: number.is_none() })
    }

    /// So many rows were given out so far.
    pub(crate) const fn rows(&mut self, rows: u64) {
        self.rows = rows;
    }

    /// It is over, and whole. Returns when that is written.
    pub(crate) async fn done(self) {
        let detail = counted(self.rows);
        self.tell(detail).await;
    }

    /// It is over: `why` it gave no more.
    pub(crate) async fn failed(self, why: &str) {
        let detail = format!("broke off after {}: {why}", counted(self.rows));
        self.tell(detail).await;
    }

    async fn tell(mut self, detail: String) {
        self.is_told = true;
        let entry = NewEntry { detail, ..self.end.clone() };
        if let Err(error) = append(&self.app, entry).await {
            tracing::error!(%error, "an audit entry could not be written");
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // Nobody waits any more: the client went away, or the request's time is over.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.is_told {
            return;
        }
        let detail = format!("given up after {}", counted(self.rows));
        let (app, entry) = (self.app.clone(), NewEntry { detail, ..self.end.clone() });
        runtime.spawn(async move {
            if let Err(error) = append(&app, entry).await {
                tracing::error!(%error, "an audit entry could not be written");
            }
        });
    }
}

/// "1 row", "250 rows".
pub(super) fn counted(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// A request as a person reads it: `/api/v1/timeline subject="10.0.0.5" order="desc"`.
pub(crate) fn asked(uri: &Uri) -> String {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    pairs.map_or_else(
        |_| uri.to_string(),
        |axum::extract::Query(pairs)| {
            pairs.iter().fold(uri.path().to_owned(), |text, (name, value)| format!("{text} {name}={value:?}"))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_so_that_a_value_cannot_look_like_another() {
        let uri = "/api/v1/timeline?subject=a%22%20order%3D%22b&order=desc".parse().unwrap();
        assert_eq!(asked(&uri), r#"/api/v1/timeline subject="a\" order=\"b" order="desc""#);
        assert_eq!(asked(&"/x?subject=%0a%E2%80%AE".parse().unwrap()), "/x subject=\"\\n\\u{202e}\"");
        assert_eq!(asked(&"/x".parse().unwrap()), "/x");
        assert_eq!((counted(0), counted(1)), ("0 rows".to_owned(), "1 row".to_owned()));
    }
}
