//! The door: who is let in, and to what.
//!
//! [`guard`] lets requests in, [`routes`] is the table of what each route asks for, [`caller`] is who asks. Accounts are
//! in the state database; [`passwords`], [`throttle`] and [`device`] keep guessing slow, [`setup`] makes the first one.

mod caller;
mod console;
mod device;
mod guard;
mod login;
mod opened;
mod pages;
mod passwords;
mod record;
mod role;
mod routes;
mod session;
mod setup;
mod site;
mod stay;
mod throttle;
mod work;

pub use passwords::{PasswordError, check_name, hash as hash_password};
pub use role::Role;
pub use session::{hash as hash_secret, new_token_secret};

pub(crate) use caller::{Caller, Via};
pub(crate) use console::{Console, SESSION_LIFE};
pub(crate) use guard::{CALLER, Guard, Peer, guard};
pub(crate) use login::{begin, check_password, login, login_page, setup, setup_page, with_cookies};
pub(crate) use opened::{Lately, Opened};
pub(crate) use pages::{escape, script, style};
pub(crate) use passwords::Gate;
pub(crate) use record::{Audited, Searched, entry, searched};
pub(crate) use role::{ADMIN, ANALYST, Least, OPEN, VIEWER};
#[cfg(test)]
pub(crate) use routes::Declared;
pub(crate) use routes::Routes;
pub(crate) use session::{LIFE, cookie, cookie_name, set_cookie};
pub(crate) use setup::Setup;
pub(crate) use site::Site;
pub(crate) use stay::Stay;
#[cfg(test)]
pub(crate) use throttle::Attempt;
pub(crate) use throttle::Throttle;
pub(crate) use work::{Work, asked};
