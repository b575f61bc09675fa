//! Accounts, for administrators.

use aggregator::state::users::{Changed, User};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};

use super::{Told, done};
use crate::api::params::body;
use crate::api::rows::moment;
use crate::api::types::{Account, AccountChange, Accounts, Done, NewAccount, Problem};
use crate::app::Shared;
use crate::door::{Caller, Role, entry};
use crate::problem::ApiError;

fn account(user: User) -> Account {
    Account {
        name: user.name,
        role: user.role.parse().unwrap_or(Role::Viewer),
        created: moment(user.created),
        password_changed: moment(user.changed),
        last_login: user.login.map(moment),
        disabled: user.disabled.map(moment),
    }
}

/// What came of a change, as an answer.
pub(super) fn outcome(changed: Changed) -> Result<(), ApiError> {
    match changed {
        Changed::Done => Ok(()),
        Changed::NoSuchUser => Err(ApiError::Missing("such account".to_owned())),
        Changed::NameTaken => Err(ApiError::Refused("there is an account of this name".to_owned())),
        Changed::LastAdmin => {
            Err(ApiError::Refused("there has to be an administrator who can sign in: make one first".to_owned()))
        }
    }
}

/// All accounts.
#[utoipa::path(get, path = "/api/v1/users",
    responses((status = 200, body = Accounts), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn users(State(app): State<Shared>) -> Result<Json<Accounts>, ApiError> {
    let users = app.blocking(|lake| Ok(lake.state().users()?)).await?;
    Ok(Json(Accounts { users: users.into_iter().map(account).collect() }))
}

/// Make an account. The first one is an administrator; one-time links open nothing afterwards.
#[utoipa::path(post, path = "/api/v1/users", request_body = NewAccount,
    responses((status = 200, body = Done), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn add_user(
    State(app): State<Shared>,
    caller: Caller,
    new: Result<Json<NewAccount>, JsonRejection>,
) -> Result<Told<Done>, ApiError> {
    let new = body(new)?;
    let phc = app.gate.hash(new.name.clone(), new.password).await?;
    let entry = entry(&caller, "user.add", &new.name, new.role.as_str());
    let add = move |lake: &aggregator::lake::Lake| {
        Ok(lake.state().add_user(&new.name, &phc, new.role.as_str(), false, &entry)?)
    };
    outcome(app.blocking(add).await?)?;
    Ok(done())
}

/// Change an account. Its sessions end.
#[utoipa::path(patch, path = "/api/v1/users/{name}", params(("name" = String, Path, description = "Which account")),
    request_body = AccountChange,
    responses((status = 200, body = Done), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn change_user(
    State(app): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    change: Result<Json<AccountChange>, JsonRejection>,
) -> Result<Told<Done>, ApiError> {
    let change = body(change)?;
    if change.role.is_none() && change.enabled.is_none() && change.password.is_none() {
        return Err(ApiError::Bad("nothing to change: give role, enabled or password".to_owned()));
    }
    let phc = match change.password {
        Some(password) => Some(app.gate.hash(name.clone(), password).await?),
        None => None,
    };
    if let Some(role) = change.role {
        let (name, entry) = (name.clone(), entry(&caller, "user.role", &name, role.as_str()));
        outcome(app.blocking(move |lake| Ok(lake.state().set_role(&name, role.as_str(), &entry)?)).await?)?;
    }
    if let Some(enabled) = change.enabled {
        let what = if enabled { "user.enable" } else { "user.disable" };
        let (name, entry) = (name.clone(), entry(&caller, what, &name, ""));
        outcome(app.blocking(move |lake| Ok(lake.state().set_enabled(&name, enabled, &entry)?)).await?)?;
    }
    if let Some(phc) = phc {
        let (name, entry) = (name.clone(), entry(&caller, "user.password", &name, ""));
        outcome(app.blocking(move |lake| Ok(lake.state().set_password(&name, &phc, &entry)?)).await?)?;
    }
    Ok(done())
}
