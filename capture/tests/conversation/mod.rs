//! A TCP connection for tests: what the sides say becomes packets, in the order and pieces the test wants.

#![allow(dead_code, reason = "each test program uses its part")]

use capture::app::{AppConfig, AppDecoder};
use capture::{AddressPair, Fragment, Ip, IpVersion, Link, Message, Nanos, Packet, Sink, Tcp};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// Collects messages.
#[derive(Default)]
pub(crate) struct Seen(pub(crate) Vec<Message>);

impl Sink for Seen {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, message: Message) {
        self.0.push(message);
    }
}

/// One connection, with a decoder of its own.
pub(crate) struct Conversation {
    pub(crate) decoder: AppDecoder,
    pub(crate) seen: Seen,
    pub(crate) port: u16,
    pub(crate) now: i64,
    /// Next sequence numbers of client and server.
    pub(crate) next: [u32; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Client,
    Server,
}

impl Conversation {
    pub(crate) fn new(port: u16) -> Self {
        // Sequence numbers that wrap soon, so that every test crosses the wrap.
        Self {
            decoder: AppDecoder::new(AppConfig::default()),
            seen: Seen::default(),
            port,
            now: 1_000,
            next: [u32::MAX - 20, u32::MAX - 10],
        }
    }

    /// The same after a handshake.
    pub(crate) fn connected(port: u16) -> Self {
        let mut c = Self::new(port);
        let [client, server] = c.next;
        c.packet(From::Client, SYN, client.wrapping_sub(1), 0, b"", 0);
        c.packet(From::Server, SYN | ACK, server.wrapping_sub(1), client, b"", 0);
        c
    }

    /// One packet with everything given; `len` is the payload's length on the wire.
    pub(crate) fn packet(&mut self, from: From, flags: u8, seq: u32, ack: u32, data: &[u8], len: u32) {
        self.now += 1_000;
        let pair = AddressPair {
            src: Ip::v4([10, 0, 0, 1]),
            dst: Ip::v4([10, 0, 0, 2]),
            src_port: 40_000,
            dst_port: self.port,
            proto: 6,
            version: IpVersion::V4,
        };
        let packet = Packet {
            ts: Nanos(self.now),
            pair: if from == From::Client { pair } else { pair.reversed() },
            ip_bytes: 40 + len,
            payload_bytes: len,
            tcp: Tcp { flags, seq, ack, window: 1_000 },
            tos: 0,
            fragment: Fragment::Whole,
            link: Link::default(),
            tunnel: None,
            service: None,
        };
        self.decoder.handle_payload(&packet, data, 54 + len, &mut self.seen);
    }

    /// The next bytes of a side, in one segment.
    pub(crate) fn say(&mut self, from: From, data: impl AsRef<[u8]>) {
        let data = data.as_ref();
        let seq = self.skip(from, data.len());
        let ack = self.next[1 - from as usize];
        self.packet(from, ACK, seq, ack, data, data.len() as u32);
    }

    /// The next bytes of a side, of which only the first `captured` are.
    pub(crate) fn say_cut(&mut self, from: From, data: impl AsRef<[u8]>, captured: usize) {
        let data = data.as_ref();
        let seq = self.skip(from, data.len());
        let ack = self.next[1 - from as usize];
        self.packet(from, ACK, seq, ack, &data[..captured.min(data.len())], data.len() as u32);
    }

    /// The next bytes of a side are lost. Returns where they stood.
    pub(crate) fn skip(&mut self, from: From, len: usize) -> u32 {
        let next = &mut self.next[from as usize];
        let seq = *next;
        *next = next.wrapping_add(len as u32);
        seq
    }

    /// A side closes.
    pub(crate) fn close(&mut self, from: From) {
        let (seq, ack) = (self.skip(from, 1), self.next[1 - from as usize]);
        self.packet(from, FIN | ACK, seq, ack, b"", 0);
    }

    /// End of input; all that was seen.
    pub(crate) fn finish(mut self) -> (Vec<Message>, AppDecoder) {
        self.decoder.finish(&mut self.seen);
        (self.seen.0, self.decoder)
    }
}

/// A counter's value.
pub(crate) fn counter(decoder: &AppDecoder, name: &str) -> u64 {
    decoder.counters().into_iter().find(|(n, _)| *n == name).map(|(_, v)| v).unwrap_or_else(|| panic!("no {name}"))
}
