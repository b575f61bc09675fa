//! Traffic that is known, and figures that can be checked.
//!
//! [`synth`] makes a day of network traffic with labelled attacks, as packets or as records.

pub mod synth;
