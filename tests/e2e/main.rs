//! The `spotter` command end to end: real files in, what a user sees out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod accounts;
mod appliance;
mod capture;
mod capture_books;
mod capture_confined;
mod capture_crash;
mod capture_day_one;
mod capture_dhcp;
mod capture_hosts;
mod capture_mirror;
mod capture_net;
mod capture_overload;
mod capture_packets;
mod collect;
mod collect_dtls;
mod command;
mod feedback;
mod forward;
mod ipfix_export;
mod journey;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka")]
mod kafka_gateway;
#[cfg(feature = "kafka")]
mod kafka_secure;
mod live;
mod migrate;
mod support;
