//! From bytes to events: where packets come from, and what they say.
//!
//! A *source* ([`file`], [`af_packet`]) yields [`Frame`]s. The [`Decoder`] reads each frame, says what became of it
//! ([`Fate`]) and hands a [`Sink`] one [`Packet`] per IP packet and one [`Message`] per application
//! message (DNS, DHCP, HTTP, TLS ClientHello) that the packet completed. Decoders are sans-IO: no clock, no
//! socket, no file; time comes in with the frame.
//!
//! Promises: nothing panics on input, whatever the bytes; every frame has exactly one fate; every
//! table is bounded and counts what happens at its bound.

#![deny(unsafe_code)]

pub mod af_packet;
pub mod app;
pub mod collect;
pub mod confine;
mod decode;
pub mod doctor;
pub mod duplicate;
mod event;
pub mod file;
mod frame;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod keeper;
pub mod live;
pub mod logs;
#[cfg(feature = "probe")]
pub mod probe;
#[cfg(feature = "probe")]
pub mod xsk;

pub use decode::{Decoder, DecoderConfig, Place, Tunnels};
pub use event::{
    AddressPair, Body, DhcpAddress, DhcpMessage, DnsMessage, DnsQuestion, DnsTransport, Fragment, HttpRequest,
    HttpResponse, Ip, IpVersion, Link, Message, Nanos, Packet, ResourceRecord, Service, Sink, Tcp, TlsClientHello,
    Tunnel,
};
pub use frame::{Fate, Frame, LinkType};
