//! API tokens: one's own, and all for administrators.

use aggregator::record::Micros;
use aggregator::state::now;
use aggregator::state::tokens::{MAX_PER_USER, NewToken, Token};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};

use super::me::own;
use super::{Told, done, told};
use crate::api::params::body;
use crate::api::rows::moment;
use crate::api::types::{Done, MadeToken, NewTokenRequest, Problem, TokenInfo, Tokens};
use crate::app::Shared;
use crate::door::{Caller, Least, entry, hash_secret, new_token_secret};
use crate::problem::ApiError;

/// Longest life of a token.
const MAX_DAYS: u16 = 366;
const DAY: i64 = 24 * 3600 * 1_000_000;

fn info(token: Token) -> TokenInfo {
    TokenInfo {
        id: token.id,
        user: token.user,
        name: token.name,
        scope: token.scope,
        created: moment(token.created),
        expires: moment(token.expires),
        used: token.used.map(moment),
        revoked: token.revoked.map(moment),
    }
}

async fn list(app: &Shared, user: Option<String>) -> Result<Json<Tokens>, ApiError> {
    let found = app.blocking(move |lake| Ok(lake.state().tokens(user.as_deref())?)).await?;
    Ok(Json(Tokens { tokens: found.into_iter().map(info).collect() }))
}

/// One's own tokens.
#[utoipa::path(get, path = "/api/v1/me/tokens",
    responses((status = 200, body = Tokens), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn my_tokens(State(app): State<Shared>, caller: Caller) -> Result<Json<Tokens>, ApiError> {
    list(&app, Some(own(&caller)?)).await
}

/// All tokens.
#[utoipa::path(get, path = "/api/v1/tokens",
    responses((status = 200, body = Tokens), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn tokens(State(app): State<Shared>) -> Result<Json<Tokens>, ApiError> {
    list(&app, None).await
}

/// Make a token in one's own name. Its secret is in this answer only.
#[utoipa::path(post, path = "/api/v1/me/tokens", request_body = NewTokenRequest,
    responses((status = 200, body = MadeToken), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn add_token(
    State(app): State<Shared>,
    caller: Caller,
    new: Result<Json<NewTokenRequest>, JsonRejection>,
) -> Result<Told<MadeToken>, ApiError> {
    let (user, new) = (own(&caller)?, body(new)?);
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(ApiError::Bad("name: say in 1 to 64 characters what the token is for".to_owned()));
    }
    if new.days == 0 || new.days > MAX_DAYS {
        return Err(ApiError::Bad(format!("days: from 1 to {MAX_DAYS}")));
    }
    if let Some(role) = new.scope.role()
        && !caller.may(Least::Role(role))
    {
        return Err(ApiError::Role { least: Least::Role(role), name: user });
    }
    let secret = new_token_secret().map_err(|error| ApiError::Broken(format!("no random numbers: {error}")))?;
    let kept = hash_secret(&secret);
    let entry = entry(&caller, "token.add", &name, &format!("{} for {} days", new.scope.as_str(), new.days));
    let made = app
        .blocking(move |lake| {
            let Some(user) = lake.state().user(&user)? else { return Err(ApiError::Unauthorized) };
            let expires = Micros(now().0 + i64::from(new.days) * DAY);
            let token = NewToken { user: user.id, name, scope: new.scope.as_str().to_owned(), expires };
            Ok(lake.state().add_token(&kept, &token, now(), &entry)?)
        })
        .await?;
    match made {
        Some(id) => Ok(told(MadeToken { id, token: secret })),
        None => Err(ApiError::Refused(format!("there are {MAX_PER_USER} tokens in force: take some back first"))),
    }
}

async fn revoke(app: &Shared, caller: &Caller, id: i64, user: Option<String>) -> Result<Told<Done>, ApiError> {
    let entry = entry(caller, "token.revoke", &id.to_string(), "");
    let revoked = app.blocking(move |lake| Ok(lake.state().revoke_token(id, user.as_deref(), now(), &entry)?)).await?;
    if revoked { Ok(done()) } else { Err(ApiError::Missing(format!("token {id} in force"))) }
}

/// Take one's own token back.
#[utoipa::path(delete, path = "/api/v1/me/tokens/{id}", params(("id" = i64, Path, description = "Which token")),
    responses((status = 200, body = Done), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn revoke_mine(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Told<Done>, ApiError> {
    let user = own(&caller)?;
    revoke(&app, &caller, number(&id)?, Some(user)).await
}

/// Take any token back.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", params(("id" = i64, Path, description = "Which token")),
    responses((status = 200, body = Done), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(crate) async fn revoke_any(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Told<Done>, ApiError> {
    revoke(&app, &caller, number(&id)?, None).await
}

fn number(text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| ApiError::Missing(format!("token {text:?}: tokens have numbers")))
}
