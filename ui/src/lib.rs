//! The web application and its API: what an analyst sees of the lake.
//!
//! [`serve`] runs it. It promises:
//!
//! - Without TLS it listens on loopback only, or behind a reverse proxy that is named.
//! - Everything but `/api/v1/health` and the way in needs a session or a token. While there are no accounts a session
//!   begins with a one-time link, which the command prints (on loopback only), and the first account is made with a code
//!   that the console shows. Passwords are kept by Argon2id, all other secrets hashed; guessing is slow and locks nobody
//!   else out.
//! - Each route states the least role it asks for, in one table ([`api`]). What is changed is in the audit log, a chain of
//!   hashes whose head is in the lake's ledger.
//! - Requests that another web site makes the browser send are refused: by Host (DNS rebinding), by Origin and
//!   Sec-Fetch-Site, and because the cookie is SameSite.
//! - Pages run scripts and styles of their own only, and ask no other server for anything.
//! - Work is bounded: connections, requests at a time, their time and size. A client that goes away cancels its query.
//! - Every failure is a [`Problem`](api::types::Problem) that says what to do.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

pub mod api;
mod app;
mod assets;
pub mod audit;
mod author;
mod door;
mod etag;
mod headers;
mod live;
mod metrics;
mod problem;
mod query;
mod serve;
mod spot;
mod story;

pub use door::{PasswordError, Role, check_name, hash_password, hash_secret, new_token_secret};
pub use live::{Hub, ListenError};
pub use metrics::serve_metrics;
pub use serve::{
    ConsoleKeys, Network, NetworkError, Ready, ServeConfig, ServeError, TlsError, Transport, check_transport, serve,
};

#[cfg(test)]
mod tests;
