//! The `spotter` command end to end: real files in, what a user sees out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod appliance;
mod command;
mod journey;
mod support;
