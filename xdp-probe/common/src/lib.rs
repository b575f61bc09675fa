//! What the kernel program and user space share: the header parser of the hot path.
//!
//! [`parse_ethernet`] and [`parse_ip`] read the plain cases of traffic (Ethernet, up to two VLAN tags, IPv4
//! with options, IPv6 with extension headers, TCP, UDP, ICMP, SCTP) and decline everything else with a
//! [`Declined`], never with a guess: fragments, tunnels below IP, headers cut off or contradicting
//! themselves go to the full decoder. What they accept is exact.
//!
//! No allocation, no panic, every loop bounded, every read checked by [`HeaderBytes`]: the kernel program
//! implements that trait over its own packet pointers.

#![no_std]
#![forbid(unsafe_code)]

mod bytes;
pub mod generator;
mod headers;
pub mod layout;
mod parse;

pub use bytes::HeaderBytes;
pub use headers::{Declined, Ethernet, Headers, Shape, protocol};
pub use parse::{parse_ethernet, parse_ip, shape_ethernet, shape_in_vxlan};
