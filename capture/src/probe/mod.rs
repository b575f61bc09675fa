//! The probe in user space: loads the kernel program, flips its generations, and reads what it counted.
//!
//! ```text
//!            kernel                            user space
//!  ┌──────────────────────────┐
//!  │ flow cache, generation 0 │──┐ closed by flip, read after the grace period
//!  │            generation 1  │  └──► Area::sweep ────────► microflows
//!  │ ring: slots that left    │─────► Area::drain_evicted ► microflows
//!  │ ring: copied frames      │─────► Area::take_copies ──► frames
//!  │   or AF_XDP sockets      │─────► crate::xsk ─────────► frames
//!  └──────────────────────────┘
//! ```
//!
//! [`Probe`] and [`Area`] are for tests and benches, which have no interface; [`Xdp`] is the live source.

mod area;
mod attach;
mod bench;
mod clock;
mod filter;
mod flow;
mod handed;
mod kept;
mod load;
mod map;
mod options;
mod pin;
mod receiver;
mod segment;
mod size;
pub mod stage;
mod wire;
mod xdp;

pub use area::Area;
pub use bench::{Bench, BenchProgram};
pub(crate) use handed::Areas;
pub use load::Probe;
pub use options::{PinTo, ProbeClock, ProbeError, ProbeOptions, Verdicts};
pub(crate) use pin::give_up_left;
pub use wire::{Attached, Generator, Sent, Traffic, WireProgram};
pub use xdp::{Xdp, XdpOptions};

use std::sync::Arc;

impl Probe {
    /// Loads the program. Takes CAP_BPF and CAP_NET_ADMIN (or root). The second value reads what it counts.
    pub fn load(options: &ProbeOptions) -> Result<(Self, Vec<Area>), ProbeError> {
        let (probe, rings) = Self::load_parts(options)?;
        let area = |(index, rings)| Area::new(index, Arc::clone(&probe.shared), rings);
        let areas = rings.into_iter().enumerate().map(area).collect();
        Ok((probe, areas))
    }
}
