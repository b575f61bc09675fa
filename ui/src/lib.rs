//! The web application and its API: what an analyst sees of the lake.
//!
//! [`serve`] runs it. It promises:
//!
//! - It listens on loopback only, and refuses any other address: there are no accounts yet, and one secret link
//!   is no protection on a network.
//! - Everything but `/api/v1/health` needs a session. A session begins with a one-time link, which the command
//!   prints; scripts send the API token as `Authorization: Bearer`. Secrets are kept hashed, in memory only.
//! - Requests that another web site makes the browser send are refused: by Host (DNS rebinding), by Origin and
//!   Sec-Fetch-Site, and because the cookie is SameSite=Strict.
//! - Pages run scripts and styles of their own only, and ask no other server for anything.
//! - Work is bounded: connections, requests at a time, their time and size. A client that goes away cancels its query.
//! - Every failure is a [`Problem`](api::types::Problem) that says what to do.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

pub mod api;
mod app;
mod assets;
mod auth;
mod author;
mod guard;
mod headers;
mod live;
mod metrics;
mod problem;
mod query;
mod serve;
mod spot;
mod story;

pub use live::{Hub, ListenError};
pub use metrics::serve_metrics;
pub use serve::{Ready, ServeConfig, ServeError, serve};

#[cfg(test)]
mod tests;
