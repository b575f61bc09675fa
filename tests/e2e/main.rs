//! The `spotter` command end to end: real files in, what a user sees out.

mod command;
mod support;
