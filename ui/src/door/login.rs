//! Signing in and out, and the first account.

use std::net::IpAddr;
use std::time::Instant;

use aggregator::record::Micros;
use aggregator::state::now;
use aggregator::state::users::{Changed, User};
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::console::Secret;
use super::guard::Peer;
use super::pages::{Page, page};
use super::record::entry_of;
use super::session::{ABSOLUTE, Credential, LIFE, hash, set_cookie};
use super::throttle::Attempt;
use super::{device, passwords};
use crate::app::{App, Shared};
use crate::problem::ApiError;

/// Longest text of a browser about itself that is kept.
const MAX_AGENT: usize = 256;
/// Said of a wrong name, a wrong password and a disabled account alike.
const WRONG: &str = "The name or the password is wrong.";

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))))
    }
}

/// What the form of `/login` sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginForm {
    name: String,
    password: String,
}

/// What the form of `/setup` sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupForm {
    code: String,
    name: String,
    password: String,
    again: String,
}

/// `GET /login`
pub(crate) async fn login_page(State(app): State<Shared>) -> Response {
    match app.blocking(|lake| Ok(lake.state().has_admin()?)).await {
        Ok(true) => page(Page::Login, StatusCode::OK, None, ""),
        Ok(false) if app.setup.is_open(Instant::now()) => Redirect::to("/setup").into_response(),
        Ok(false) => crate::assets::refusal(&ApiError::Unauthorized),
        Err(error) => crate::assets::refusal(&error),
    }
}

/// `GET /setup`
pub(crate) async fn setup_page(State(app): State<Shared>) -> Response {
    match app.blocking(|lake| Ok(lake.state().has_admin()?)).await {
        Ok(true) => Redirect::to("/login").into_response(),
        Ok(false) if app.setup.is_open(Instant::now()) => page(Page::Setup, StatusCode::OK, None, ""),
        Ok(false) => crate::assets::refusal(&ApiError::Closed),
        Err(error) => crate::assets::refusal(&error),
    }
}

fn failed(of: Page, error: &ApiError, name: &str) -> Response {
    let problem = error.problem();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    let text = match error {
        ApiError::WrongPassword => WRONG.to_owned(),
        _ => format!("{}: {}", problem.title, problem.detail),
    };
    let mut response = page(of, status, Some(&text), name);
    if let ApiError::Throttled(seconds) = error {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
    }
    response
}

/// `POST /login`
pub(crate) async fn login(
    State(app): State<Shared>,
    Peer(address): Peer,
    headers: HeaderMap,
    form: Result<Form<LoginForm>, FormRejection>,
) -> Response {
    let Form(form) = match form {
        Ok(form) => form,
        Err(error) => return failed(Page::Login, &ApiError::Bad(error.body_text()), ""),
    };
    let name = form.name.trim().to_owned();
    let signed_in = async {
        let user = check_password(&app, &headers, address, &name, form.password).await?;
        begin(&app, &headers, address, &user, "login").await
    };
    match signed_in.await {
        Ok(cookies) => onward(cookies),
        Err(error) => failed(Page::Login, &error, &name),
    }
}

/// The account, if the password is its own; throttled, and noted where not.
pub(crate) async fn check_password(
    app: &App,
    headers: &HeaderMap,
    address: IpAddr,
    name: &str,
    password: String,
) -> Result<User, ApiError> {
    if name.len() > passwords::MAX_NAME || password.len() > passwords::MAX_BYTES {
        return Err(ApiError::WrongPassword);
    }
    let device = device::known(&app.device_key, headers, &device::name(&app.site, app.port), name, seconds(now()));
    let attempt = Attempt { address, account: name.to_owned(), device };
    app.throttle.begin(&attempt, Instant::now()).map_err(|wait| ApiError::Throttled(wait.as_secs().max(1)))?;
    let asked = name.to_owned();
    let found = app.blocking(move |lake| Ok(lake.state().user_password(&asked)?)).await?;
    let (user, phc) = found.map_or((None, None), |(user, phc)| (Some(user), Some(phc)));
    let fits = app.gate.verify(password, phc, device.is_some()).await?;
    match user {
        Some(user) if fits && user.disabled.is_none() => {
            app.throttle.succeeded(&attempt, Instant::now());
            Ok(user)
        }
        user => {
            // A name that is not an account's may be a password typed into the wrong box: it is not written down.
            let subject = user.map_or_else(|| "(no such account)".to_owned(), |user| user.name);
            let entry = entry_of("-", address, "login.failed", &subject, "");
            app.blocking(move |lake| Ok(lake.state().append_audit(&entry)?)).await?;
            Err(ApiError::WrongPassword)
        }
    }
}

fn seconds(time: Micros) -> i64 {
    time.0 / 1_000_000
}

fn no_random(error: getrandom::Error) -> ApiError {
    ApiError::Broken(format!("no random numbers from the system: {error}"))
}

/// Begins a session with a secret of its own, and ends the one that the browser came with. Gives the cookies.
pub(crate) async fn begin(
    app: &App,
    headers: &HeaderMap,
    address: IpAddr,
    user: &User,
    action: &str,
) -> Result<[String; 2], ApiError> {
    let secret = Secret::new().map_err(no_random)?;
    let known = device::issue(&app.device_key, &user.name, seconds(now())).map_err(no_random)?;
    let old = match Credential::of(headers, &app.cookie_name()) {
        Some(Credential::Cookie(old)) => Some(hash(&old)),
        _ => None,
    };
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agent: String = agent.chars().take(MAX_AGENT).collect();
    let (id, kept, entry) = (user.id, hash(secret.reveal()), entry_of(&user.name, address, action, &user.name, ""));
    app.blocking(move |lake| {
        let place = (&*address.to_string(), &*agent);
        Ok(lake.state().begin_session(id, &kept, old.as_ref(), (now(), LIFE), place, &entry)?)
    })
    .await?;
    // Lax: a link from a colleague's message opens the view. Nothing is changed by GET, and changes need our Origin.
    Ok([
        set_cookie(&app.site, &app.cookie_name(), secret.reveal(), "Lax", seconds(ABSOLUTE)),
        set_cookie(&app.site, &device::name(&app.site, app.port), &known, "Strict", device::LIFE_SECONDS),
    ])
}

/// Adds `Set-Cookie` headers.
pub(crate) fn with_cookies(mut response: Response, cookies: impl IntoIterator<Item = String>) -> Response {
    for cookie in cookies {
        match HeaderValue::from_str(&cookie) {
            Ok(value) => {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
            Err(error) => return ApiError::Broken(error.to_string()).into_response(),
        }
    }
    response
}

fn onward(cookies: [String; 2]) -> Response {
    with_cookies(Redirect::to("/").into_response(), cookies)
}

/// `POST /setup`
pub(crate) async fn setup(
    State(app): State<Shared>,
    Peer(address): Peer,
    headers: HeaderMap,
    form: Result<Form<SetupForm>, FormRejection>,
) -> Response {
    let Form(form) = match form {
        Ok(form) => form,
        Err(error) => return failed(Page::Setup, &ApiError::Bad(error.body_text()), ""),
    };
    let name = form.name.trim().to_owned();
    match first_account(&app, &headers, address, &name, form).await {
        Ok(cookies) => onward(cookies),
        Err(error) => failed(Page::Setup, &error, &name),
    }
}

async fn first_account(
    app: &App,
    headers: &HeaderMap,
    address: IpAddr,
    name: &str,
    form: SetupForm,
) -> Result<[String; 2], ApiError> {
    if !app.setup.is_open(Instant::now()) {
        return Err(ApiError::Closed);
    }
    let attempt = Attempt { address, account: "(setup)".to_owned(), device: None };
    app.throttle.begin(&attempt, Instant::now()).map_err(|wait| ApiError::Throttled(wait.as_secs().max(1)))?;
    if !app.setup.check(&form.code, Instant::now()) {
        let entry = entry_of("-", address, "setup.failed", "", "");
        app.blocking(move |lake| Ok(lake.state().append_audit(&entry)?)).await?;
        return Err(ApiError::Bad("the set-up code is wrong".to_owned()));
    }
    app.throttle.succeeded(&attempt, Instant::now());
    if form.password != form.again {
        return Err(ApiError::Bad("the two passwords are not the same".to_owned()));
    }
    let phc = app.gate.hash(name.to_owned(), form.password).await?;
    let (owned, entry) = (name.to_owned(), entry_of(name, address, "setup", name, "admin"));
    let (changed, user) = app
        .blocking(move |lake| {
            let changed = lake.state().add_user(&owned, &phc, "admin", true, &entry)?;
            Ok((changed, lake.state().user(&owned)?))
        })
        .await?;
    match (changed, user) {
        (Changed::Done, Some(user)) => {
            app.setup.close();
            begin(app, headers, address, &user, "login").await
        }
        _ => Err(ApiError::Closed),
    }
}
