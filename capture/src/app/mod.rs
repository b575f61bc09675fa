//! Application decoders: from transport payloads to [`Message`](crate::Message)s.
//!
//! [`AppDecoder`] is handed the transport payload of every packet and gives its sink one message per DNS
//! message, DHCP message, HTTP/1.x request or response, and TLS ClientHello (over TCP and QUIC), as soon as the packet completes it. It has
//! no clock (time is the packets'), no socket and no thread.
//!
//! Promises: no byte sequence panics; a message that can be read in part is kept in part, with its damage
//! named; every buffer is bounded and each bound has a counter (see [`AppDecoder::counters`]).

mod counters;
mod dhcp;
mod dns;
mod http;
mod preface;
mod quic;
mod recognise;
mod start;
mod stream;
mod tls;

use crate::{Body, DnsMessage, DnsTransport, Message, Nanos, Packet, Service, Sink};
use counters::Counters;
use stream::Streams;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Reads a DNS message that came without a frame: its [`DnsMessage::frame_len`] is 0. `None` if not even the header is there.
pub(crate) fn dns_message(message: &[u8], transport: DnsTransport) -> Option<DnsMessage> {
    let envelope = dns::message::Envelope { transport, message_len: message.len(), frame_len: 0 };
    dns::message::read(message, envelope).map(|(message, _)| message)
}

/// Octets of a text of others as printable ASCII: what is not stands as RFC 1035 `\DDD`, and `\` doubled.
pub(crate) fn printable(octets: &[u8]) -> String {
    let mut out = Vec::new();
    dns::rdata::write_octets(octets, b' ', &mut out);
    dns::rdata::into_string(out)
}

/// Bounds of the application decoders. The defaults suit a sensor; memory stays below
/// `max_streams × 1 KiB + max_buffered_bytes`.
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
            stream_idle: Nanos(300_000_000_000),
        }
    }
}

/// Reads DNS, HTTP/1.x and TLS ClientHellos out of transport payloads.
#[derive(Debug)]
pub struct AppDecoder {
    config: AppConfig,
    counters: Counters,
    streams: Streams,
    quic: quic::Quic,
    /// Messages of streams on their way to the sink.
    out: Vec<Message>,
}

impl AppDecoder {
    /// A decoder without any stream.
    pub fn new(config: AppConfig) -> Self {
        Self {
            config,
            counters: Counters::default(),
            streams: Streams::new(),
            quic: quic::Quic::default(),
            out: Vec::new(),
        }
    }

    /// Which application protocol the payload gives away, by its bytes and the ports of `packet.pair`.
    /// A few nanoseconds; keeps no state. `payload` is what was captured of the transport payload.
    pub fn recognise(&self, packet: &Packet, payload: &[u8]) -> Option<Service> {
        recognise::service(packet, payload)
    }

    /// Reads one packet. Call it for every UDP datagram with a payload and for **every** TCP packet, also
    /// those without payload (SYN, FIN and RST begin and end streams, and a segment whose payload was cut
    /// off still moves the sequence on): packets of no interest cost a few nanoseconds.
    ///
    /// `payload` is what was captured of the transport payload, `packet.payload_bytes` what the headers
    /// say; the difference is treated as cut off. A fragmented datagram is handed over once, reassembled.
    /// `frame_len` is the wire length of the frame that brought (or completed) it.
    pub fn handle_payload(&mut self, packet: &Packet, payload: &[u8], frame_len: u32, sink: &mut impl Sink) {
        match packet.pair.proto {
            TCP => {
                let Self { config, counters, streams, out, .. } = self;
                streams.handle(config, counters, packet, payload, frame_len, out);
                if !out.is_empty() {
                    out.drain(..).for_each(|message| sink.message(message));
                }
            }
            UDP => self.datagram(packet, payload, frame_len, sink),
            _ => (),
        }
    }

    /// Time has come to `now` without packets: closes the streams that are silent for too long. Live capture
    /// calls it now and then; packets bring the time along by themselves.
    pub fn advance(&mut self, now: Nanos, sink: &mut impl Sink) {
        self.quic.expire(now, &mut self.counters, &mut |message| self.out.push(message));
        self.streams.advance(&self.config, &mut self.counters, now, &mut self.out);
        self.out.drain(..).for_each(|message| sink.message(message));
    }

    /// End of input: closes every stream, so that requests whose head was read are not lost.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        self.quic.finish(&mut self.counters, &mut |message| self.out.push(message));
        self.streams.finish(&mut self.counters, &mut self.out);
        self.out.drain(..).for_each(|message| sink.message(message));
    }

    /// What was read and what was lost, by cause: ledger counter name and count.
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        self.counters.list()
    }

    fn datagram(&mut self, packet: &Packet, payload: &[u8], frame_len: u32, sink: &mut impl Sink) {
        let Some(transport) = dns::udp_transport(packet.pair.src_port, packet.pair.dst_port) else {
            if dhcp::is_on_port(&packet.pair) {
                self.dhcp(packet, payload, sink);
            } else if quic::is_long(payload) {
                self.quic.handle(packet, payload, &mut self.counters, |message| sink.message(message));
            }
            return;
        };
        let envelope = dns::message::Envelope { transport, message_len: packet.payload_bytes as usize, frame_len };
        match dns::message::read(payload, envelope) {
            Some((message, left_out)) => {
                self.counters.count_dns(&message, left_out);
                let body = Body::Dns(Box::new(message));
                sink.message(Message { first_ts: packet.ts, ts: packet.ts, pair: packet.pair, body });
            }
            None => self.counters.dns_not_dns += 1,
        }
    }

    fn dhcp(&mut self, packet: &Packet, payload: &[u8], sink: &mut impl Sink) {
        let Some((message, left_out)) = dhcp::read(packet, payload) else {
            self.counters.dhcp_not_dhcp += 1;
            return;
        };
        self.counters.dhcp_messages += 1;
        self.counters.dhcp_damaged += u64::from(message.damage.is_some());
        self.counters.dhcp_addresses_over_limit += left_out;
        let body = Body::Dhcp(Box::new(message));
        sink.message(Message { first_ts: packet.ts, ts: packet.ts, pair: packet.pair, body });
    }
}
