//! Application decoders: from transport payloads to [`Message`](crate::Message)s.
//!
//! [`AppDecoder`] is handed the transport payload of every packet and gives its sink one message per DNS
//! message, HTTP/1.x request or response, and TLS ClientHello, as soon as the packet completes it. It has
//! no clock (time is the packets'), no socket and no thread.
//!
//! Promises: no byte sequence panics; a message that can be read in part is kept in part, with its damage
//! named; every buffer is bounded and each bound has a counter (see [`AppDecoder::counters`]).

mod counters;

use crate::{Nanos, Packet, Service, Sink};
use counters::Counters;

/// Bounds of the application decoders. The defaults suit a sensor; memory stays below
/// `max_streams × 256 B + max_buffered_bytes`.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// Seed of the stream table's hash. Live capture draws it at random, so that nobody can aim at one
    /// bucket; an import keeps it fixed, so that a second import gives the same records.
    pub seed: u64,
    /// TCP streams (one direction of a connection) followed at a time.
    pub max_streams: usize,
    /// Bytes held back for all streams together: incomplete heads and segments out of order.
    pub max_buffered_bytes: usize,
    /// A stream that is silent for longer (by packet time) is closed.
    pub stream_idle: Nanos,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            seed: 0x5350_4f54_5445_5221,
            max_streams: 65_536,
            max_buffered_bytes: 64 << 20,
            stream_idle: Nanos(120_000_000_000),
        }
    }
}

/// Reads DNS, HTTP/1.x and TLS ClientHellos out of transport payloads.
#[derive(Debug)]
pub struct AppDecoder {
    config: AppConfig,
    counters: Counters,
}

impl AppDecoder {
    /// A decoder without any stream.
    pub fn new(config: AppConfig) -> Self {
        Self { config, counters: Counters::default() }
    }

    /// Which application protocol the payload gives away, by its bytes and the ports of `packet.pair`.
    /// A few nanoseconds; keeps no state. `payload` is what was captured of the transport payload.
    pub fn recognise(&self, packet: &Packet, payload: &[u8]) -> Option<Service> {
        let _ = (packet, payload, &self.config);
        None
    }

    /// Reads one packet. Call it for every UDP datagram with a payload and for **every** TCP packet, also
    /// those without payload (SYN, FIN and RST begin and end streams, and a segment whose payload was cut
    /// off still moves the sequence on): packets of no interest cost a few nanoseconds.
    ///
    /// `payload` is what was captured of the transport payload, `packet.payload_bytes` what the headers
    /// say; the difference is treated as cut off. A fragmented datagram is handed over once, reassembled.
    /// `frame_len` is the wire length of the frame that brought (or completed) it.
    pub fn handle_payload(&mut self, packet: &Packet, payload: &[u8], frame_len: u32, sink: &mut impl Sink) {
        let _ = (packet, payload, frame_len, sink);
    }

    /// End of input: closes every stream, so that requests whose head was read are not lost.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        let _ = sink;
    }

    /// What was read and what was lost, by cause: ledger counter name and count.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.counters.list()
    }
}
