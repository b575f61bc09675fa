//! Who is it? Cookies and tokens against the state database.

use std::net::IpAddr;

use aggregator::lake::Lake;
use aggregator::record::Micros;
use aggregator::state::sessions::Life;
use aggregator::state::users::User;
use aggregator::state::{State, StateError, now};
use axum::http::{HeaderMap, header};

use super::caller::{Caller, Via};
use super::console::{Console, Secret};
use super::role::Role;
use super::site::Site;

/// A session without a request for so long ends.
pub(crate) const IDLE: Micros = Micros(8 * 3600 * 1_000_000);
/// A session ends after this time whatever happens.
pub(crate) const ABSOLUTE: Micros = Micros(7 * 24 * 3600 * 1_000_000);
/// Both.
pub(crate) const LIFE: Life = Life { idle: IDLE, absolute: ABSOLUTE };
/// What API tokens begin with: secret scanners know them by it.
pub(crate) const TOKEN_PREFIX: &str = "spt_";
/// Longest secret that is looked at.
const MAX_SECRET: usize = 128;

/// A new API token: `spt_` and 256 random bits.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_token_secret() -> Result<String, getrandom::Error> {
    Secret::new().map(|secret| format!("{TOKEN_PREFIX}{}", secret.reveal()))
}

/// How the secret of a session or token is kept: it is random, so one round will do.
pub fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

/// What a request brings to prove who sends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Credential {
    /// `Authorization: Bearer`.
    Token(String),
    /// The session cookie.
    Cookie(String),
}

impl Credential {
    /// A token counts before a cookie.
    pub(crate) fn of(headers: &HeaderMap, cookie_name: &str) -> Option<Self> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok()?.strip_prefix("Bearer ")?.trim();
            return (token.len() <= MAX_SECRET).then(|| Self::Token(token.to_owned()));
        }
        let secret = cookie(headers, cookie_name)?;
        (secret.len() <= MAX_SECRET).then(|| Self::Cookie(secret.to_owned()))
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Is it a person who asks, or a stream that goes on by itself? Only the first keeps a session from idling out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asks {
    Anew,
    Still,
}

/// The caller behind a credential; `None` where it opens nothing (any more).
pub(crate) fn identify(
    lake: &Lake,
    console: &Console,
    credential: &Credential,
    address: IpAddr,
    asks: Asks,
) -> Result<Option<Caller>, StateError> {
    let (state, is_new) = (lake.state(), asks == Asks::Anew);
    let is_console = match credential {
        Credential::Token(token) => console.is_api_token(token),
        Credential::Cookie(secret) if is_new => console.is_session(secret, std::time::Instant::now()),
        Credential::Cookie(secret) => console.session_goes_on(secret, std::time::Instant::now()),
    };
    if is_console {
        // Once there is an administrator's account, only accounts open the door.
        let caller = Caller { name: "console".into(), role: Some(Role::Admin), via: Via::Console, address };
        return Ok((!state.has_admin()?).then_some(caller));
    }
    Ok(match credential {
        Credential::Token(token) if token.starts_with(TOKEN_PREFIX) => {
            state.token_user(&hash(token), now())?.map(|(user, scope)| by_token(&user, &scope, address))
        }
        Credential::Token(_) => None,
        Credential::Cookie(secret) => {
            let found = if is_new { State::session_user } else { State::session_goes_on };
            let user = found(state, &hash(secret), now(), LIFE)?;
            user.map(|user| Caller { name: user.name.as_str().into(), role: role(&user), via: Via::Session, address })
        }
    })
}

fn role(user: &User) -> Option<Role> {
    user.role.parse().ok()
}

/// A token may do what its scope says, and never more than its account may today.
fn by_token(user: &User, scope: &str, address: IpAddr) -> Caller {
    let role = scope.parse::<Role>().ok().and_then(|scope| role(user).map(|own| own.min(scope)));
    Caller { name: user.name.as_str().into(), role, via: Via::Token, address }
}

/// The name of the session cookie. Under TLS a `__Host-` name: no other host, path or plain connection can set it. Cookies
/// do not know ports, so without TLS the name does.
pub(crate) fn cookie_name(site: &Site, port: u16) -> String {
    if site.scheme == "https" { "__Host-spotter".to_owned() } else { format!("spotter_session_{port}") }
}

/// A `Set-Cookie` value that lasts `seconds`; 0 takes the cookie away.
pub(crate) fn set_cookie(site: &Site, name: &str, value: &str, same_site: &str, seconds: i64) -> String {
    let secure = if site.scheme == "https" { "; Secure" } else { "" };
    format!("{name}={value}; HttpOnly{secure}; SameSite={same_site}; Path=/; Max-Age={seconds}")
}
