//! The kernel program, loaded and run: needs root (CAP_BPF, CAP_NET_ADMIN). Elsewhere the tests say that they were
//! skipped and why; with CI=true they fail.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod counts;
mod events;
mod filter;
mod frames;
mod grace;
mod same_flows;
mod support;
mod verifier;
mod veth;
