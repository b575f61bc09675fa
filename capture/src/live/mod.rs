//! Packets from the wire: what a live source is ([`source`]), what the interface is for ([`Policy`]), and which
//! packets are left out ([`Filter`]).

mod filter;
mod microflow;
mod open;
mod policy;
pub mod source;
mod stacked;

pub use filter::{Filter, FilterError, MAX_RULES, Net, Rule};
pub use microflow::{MicroDirection, Microflow};
pub(crate) use open::open_kept;
pub use open::{ModeChoice, OpenOptions, PINS, SlowPath, open};
pub use policy::{HostUse, Policy, PolicyChoice};
pub use stacked::{Stacked, check_together};
