//! One's own account.

use aggregator::lake::Lake;
use aggregator::state::now;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::settings::{display, zone};
use super::{Told, done};
use crate::api::params::body;
use crate::api::rows::moment;
use crate::api::types::{Done, Me, PasswordChange, Problem, SessionInfo, Sessions};
use crate::api::views::defaults;
use crate::app::Shared;
use crate::door::{self, Caller, LIFE, Via, entry, hash_secret, set_cookie, with_cookies};
use crate::problem::ApiError;

/// Who is signed in?
#[utoipa::path(get, path = "/api/v1/me", responses((status = 200, body = Me), (status = 401, body = Problem)))]
pub(crate) async fn me(State(app): State<Shared>, caller: Caller) -> Result<Json<Me>, ApiError> {
    let role = caller.role.ok_or(ApiError::Unauthorized)?;
    let via = match caller.via {
        Via::Console => "console",
        Via::Session => "session",
        Via::Token => "token",
    };
    let name = caller.name.to_string();
    let owner = name.clone();
    let is_account = caller.via == Via::Session;
    let work = move |lake: &Lake| {
        let display = is_account.then(|| display(lake, &owner)).transpose()?;
        Ok((zone(lake)?, defaults(lake, &owner)?, display))
    };
    let (zone, views, display) = app.blocking(work).await?;
    Ok(Json(Me { name, role, via: via.to_owned(), zone, views, display }))
}

/// What belongs to an account of one's own needs a session of it: neither the console nor a token will do.
pub(super) fn own(caller: &Caller) -> Result<String, ApiError> {
    match caller.via {
        Via::Session => Ok(caller.name.to_string()),
        Via::Console => Err(ApiError::Refused(
            "the console has no account: make the first one by `spotter user add NAME --role admin`".to_owned(),
        )),
        Via::Token => Err(ApiError::Forbidden("a token cannot do this: sign in".to_owned())),
    }
}

/// The secret of the session that asks, as it is kept.
fn secret(headers: &HeaderMap, name: &str) -> Option<[u8; 32]> {
    door::cookie(headers, name).map(hash_secret)
}

/// End this session.
#[utoipa::path(post, path = "/api/v1/logout", responses((status = 200, body = Done), (status = 401, body = Problem)))]
pub(crate) async fn logout(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = app.cookie_name();
    if let Some(cookie) = door::cookie(&headers, &name) {
        app.console.end_session(cookie);
        let (kept, entry) = (hash_secret(cookie), entry(&caller, "logout", &caller.name, ""));
        app.blocking(move |lake| Ok(lake.is_writable() && lake.state().end_session(&kept, &entry)?)).await?;
    }
    let gone = set_cookie(&app.site, &name, "", "Lax", 0);
    Ok(with_cookies(done().into_response(), [gone]))
}

/// Set a new password; all sessions end, and this browser gets a new one.
#[utoipa::path(post, path = "/api/v1/me/password", request_body = PasswordChange,
    responses((status = 200, body = Done), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem), (status = 429, body = Problem)))]
pub(crate) async fn password(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    change: Result<Json<PasswordChange>, JsonRejection>,
) -> Result<Response, ApiError> {
    let (name, change) = (own(&caller)?, body(change)?);
    let user = door::check_password(&app, &headers, caller.address, &name, change.current).await;
    let user = user.map_err(|error| match error {
        ApiError::WrongPassword => ApiError::Bad("the present password is wrong".to_owned()),
        error => error,
    })?;
    let phc = app.gate.hash(name.clone(), change.new).await?;
    let entry = entry(&caller, "user.password", &name, "");
    let changed = app.blocking(move |lake| Ok(lake.state().set_password(&name, &phc, &entry)?)).await?;
    super::users::outcome(changed)?;
    let cookies = door::begin(&app, &headers, caller.address, &user, "login").await?;
    Ok(with_cookies(done().into_response(), cookies))
}

/// One's own sessions.
#[utoipa::path(get, path = "/api/v1/me/sessions",
    responses((status = 200, body = Sessions), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn sessions(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Json<Sessions>, ApiError> {
    let name = own(&caller)?;
    let current = secret(&headers, &app.cookie_name());
    let found = app.blocking(move |lake| Ok(lake.state().sessions(&name, now(), LIFE)?)).await?;
    let current: Option<String> = current.map(|hash| hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect());
    let sessions = found.into_iter().map(|session| SessionInfo {
        current: current.as_deref() == Some(&session.id),
        id: session.id,
        created: moment(session.created),
        used: moment(session.used),
        expires: moment(session.expires),
        address: session.address,
        agent: session.agent,
    });
    Ok(Json(Sessions { sessions: sessions.collect() }))
}

/// End one of one's own sessions.
#[utoipa::path(delete, path = "/api/v1/me/sessions/{id}", params(("id" = String, Path, description = "Which session")),
    responses((status = 200, body = Done), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn end_session(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Told<Done>, ApiError> {
    let name = own(&caller)?;
    let (entry, missing) = (entry(&caller, "session.end", &id, ""), id.clone());
    let ended = app.blocking(move |lake| Ok(lake.state().end_session_by_id(&name, &id, &entry)?)).await?;
    if ended { Ok(done()) } else { Err(ApiError::Missing(format!("session {missing:?} of yours"))) }
}
