//! Traffic that is known, and figures that can be checked.
//!
//! [`synth`] makes a day of network traffic with labelled attacks, as packets or as records. [`bench`] measures Spotter
//! beside its peers in the same run.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod bench;
pub mod synth;
