//! The front page, one-time links, and Apache Spot's old addresses.

use std::time::Instant;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::app::Shared;
use crate::assets;
use crate::door::{SESSION_LIFE, set_cookie, with_cookies};
use crate::problem::ApiError;

/// The secret of a one-time link.
pub(crate) fn link_secret(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("token="))
}

fn see_other(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
        Err(error) => ApiError::Broken(error.to_string()).into_response(),
    }
}

/// `GET /`: the application. With a link's secret: a session, and on to the clean address, so that the secret
/// stays in no history.
pub(crate) async fn front(State(app): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(secret) = link_secret(&uri) else { return assets::index(&headers) };
    match app.blocking(|lake| Ok(lake.state().has_admin()?)).await {
        // There are accounts: links open nothing any more.
        Ok(true) => return see_other("/"),
        Ok(false) => {}
        Err(error) => return error.into_response(),
    }
    match app.console.redeem(secret, Instant::now()) {
        Ok(Some(session)) => {
            let seconds = i64::try_from(SESSION_LIFE.as_secs()).unwrap_or(i64::MAX);
            let cookie = set_cookie(&app.site, &app.cookie_name(), session.reveal(), "Strict", seconds);
            with_cookies(see_other("/"), [cookie])
        }
        // A link that was used: whoever has the session already only wants the page.
        Ok(None) => see_other("/"),
        Err(error) => ApiError::Broken(format!("no random numbers from the system: {error}")).into_response(),
    }
}

/// Apache Spot's pages, as they stood in its addresses.
const OLD_PAGES: [(&str, &str); 4] = [
    ("suspicious.html", "suspicious"),
    ("threat-investigation.html", "threat-investigation"),
    ("storyboard.html", "storyboard"),
    ("ingest-summary.html", "ingest-summary"),
];
/// Its folders: one for each source, and one for the ingest summary.
const OLD_FOLDERS: [&str; 4] = ["flow", "dns", "proxy", "ingest"];

/// `GET /files/ui/{folder}/{page}`: the browser keeps the fragment (`date=…|filter=…`), the application reads it.
pub(crate) async fn old_page(Path((folder, page)): Path<(String, String)>) -> Response {
    let known = OLD_FOLDERS.into_iter().find(|known| *known == folder);
    let found = OLD_PAGES.into_iter().find(|(file, _)| *file == page);
    match (known, found) {
        (Some(folder), Some((_, page))) => see_other(&format!("/?spot={folder}&page={page}")),
        _ => ApiError::Missing(format!("page {page:?} of Apache Spot in {folder:?}")).into_response(),
    }
}
