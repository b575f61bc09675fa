//! TCP streams: put in order, bounded, and handed to the decoder of what they carry.
//!
//! A connection is followed from the first payload that begins HTTP/1.x or TLS, or that is on a DNS port;
//! all other TCP packets are passed over after a look at a filter and a byte or two. Where a SYN was
//! seen, the place where the stream begins is remembered for a while, so that a first segment that comes
//! late (a ClientHello in two segments, swapped) is still the first.

pub(super) mod connection;
pub(super) mod half;
pub(super) mod key;
mod recent;
pub(super) mod table;

use crate::{Message, Nanos, Packet};
use connection::Connection;
use half::Segment;
use key::{Key, Side};
use recent::Recent;
use table::Table;

use super::counters::Counters;
use super::start::{self, Start};
use super::{AppConfig, dns};

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// How far after its beginning a stream may first be seen and still be waited for.
const FIRST_WINDOW: u32 = 64 << 10;

/// All followed connections.
#[derive(Debug)]
pub(super) struct Streams {
    table: Table<Connection>,
    /// Sequence number of the first byte.
    beginnings: Recent,
    /// Sequence number after the last byte that was read of a stream no longer followed: what is sent again is not
    /// read again.
    ends: Recent,
    /// Bytes held by all connections together.
    buffered: usize,
    /// Latest packet time.
    now: Nanos,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { table: Table::new(), beginnings: Recent::new(), ends: Recent::new(), buffered: 0, now: Nanos(i64::MIN) }
    }

    /// One TCP packet. What it completes is appended to `out`.
    pub(super) fn handle(
        &mut self,
        config: &AppConfig,
        counters: &mut Counters,
        packet: &Packet,
        payload: &[u8],
        frame_len: u32,
        out: &mut Vec<Message>,
    ) {
        let flags = packet.tcp.flags;
        if packet.payload_bytes == 0 && flags & (FIN | SYN | RST) == 0 {
            return;
        }
        let (key, side) = Key::of(&packet.pair, config.seed);
        let first_seq = packet.tcp.seq.wrapping_add(u32::from(flags & SYN != 0));
        let mut at = self.table.touch(&key);
        if flags & SYN != 0 {
            self.remember(&key, side, first_seq);
            // A SYN without ACK begins a new connection on the same ports.
            if flags & ACK == 0
                && let Some(old) = at.take_if(|&mut at| self.is_reuse(at, side, first_seq))
            {
                self.close(old, counters, out);
            }
        }
        let segment = Segment { ts: packet.ts, seq: first_seq, data: payload, len: packet.payload_bytes };
        let at = match at {
            Some(at) => at,
            None => match self.open(config, counters, packet, &key, side, &segment, out) {
                Some(at) => at,
                None => return,
            },
        };
        self.now = self.now.max(packet.ts);
        let Some((key, connection)) = self.table.get_mut(at) else { return };
        connection.handle(key, side, packet, &segment, frame_len, counters, out);
        let (before, after, done) = (connection.accounted, connection.buffered(), connection.is_done());
        connection.accounted = after;
        self.buffered = self.buffered + after - before;
        if done || flags & RST != 0 {
            self.close(at, counters, out);
        }
        self.expire(config, counters, out);
    }

    /// Packet time has come to `now`.
    pub(super) fn advance(&mut self, config: &AppConfig, counters: &mut Counters, now: Nanos, out: &mut Vec<Message>) {
        self.now = self.now.max(now);
        self.expire(config, counters, out);
    }

    /// End of input.
    pub(super) fn finish(&mut self, counters: &mut Counters, out: &mut Vec<Message>) {
        while let Some((at, _)) = self.table.oldest() {
            self.close(at, counters, out);
        }
    }

    /// Begins to follow a connection if this segment is a reason to.
    #[expect(clippy::too_many_arguments, reason = "all of it is the packet's")]
    fn open(
        &mut self,
        config: &AppConfig,
        counters: &mut Counters,
        packet: &Packet,
        key: &Key,
        side: Side,
        segment: &Segment<'_>,
        out: &mut Vec<Message>,
    ) -> Option<u32> {
        if segment.len == 0 || packet.tcp.flags & RST != 0 {
            return None;
        }
        let dns = dns::tcp_transport(packet.pair.src_port, packet.pair.dst_port);
        let begins = self.beginning(key, side).filter(|&begins| segment.seq.wrapping_sub(begins) <= FIRST_WINDOW);
        let connection = match (dns, start::classify(segment.data)) {
            (Some(transport), _) => {
                let other = self.beginning(key, side.other()).is_some();
                let from_start = match side {
                    Side::Low => [begins.is_some(), other],
                    Side::High => [other, begins.is_some()],
                };
                Connection::dns(transport, from_start)
            }
            _ if self.is_repeated(key, side, segment) => return None,
            (None, Start::Http | Start::Tls | Start::Maybe) => Connection::undecided(side),
            // The bytes say nothing; perhaps they only came before those that would.
            (None, Start::Other) if begins.is_some_and(|begins| begins != segment.seq) => Connection::undecided(side),
            (None, Start::Other) => {
                if begins.is_some() {
                    self.forget(key, side);
                }
                return None;
            }
        };
        while self.table.len() >= config.max_streams.max(1) {
            let (oldest, _) = self.table.oldest()?;
            counters.streams_evicted += 1;
            self.close(oldest, counters, out);
        }
        counters.streams_opened += 1;
        let other = self.beginning(key, side.other());
        let at = self.table.insert(*key, connection);
        if let Some((_, connection)) = self.table.get_mut(at) {
            connection.half(side).begin(begins.unwrap_or(segment.seq));
            // Where the other direction begins: by its SYN, or by what it is acknowledged up to.
            let acked = (packet.tcp.flags & ACK != 0).then_some(packet.tcp.ack);
            if let Some(seq) = other.or(acked) {
                connection.half(side.other()).begin(seq);
            }
        }
        self.forget(key, side);
        Some(at)
    }

    /// Whether a SYN with this first byte does not belong to the connection that is held.
    fn is_reuse(&mut self, at: u32, side: Side, first_seq: u32) -> bool {
        self.table.get_mut(at).is_some_and(|(_, connection)| connection.half(side).begun_elsewhere(first_seq))
    }

    fn close(&mut self, at: u32, counters: &mut Counters, out: &mut Vec<Message>) {
        if let Some((key, mut connection)) = self.table.remove(at) {
            self.buffered -= connection.accounted;
            connection.close(&key, counters, out);
            for side in [Side::Low, Side::High] {
                if let Some(read) = connection.half(side).next() {
                    self.ends.set(&key, side, read);
                }
            }
        }
    }

    /// Closes what was silent for too long, and what was silent longest while too much is held.
    fn expire(&mut self, config: &AppConfig, counters: &mut Counters, out: &mut Vec<Message>) {
        while let Some((at, connection)) = self.table.oldest() {
            if connection.last_ts().0.saturating_add(config.stream_idle.0) < self.now.0 {
                counters.streams_idle += 1;
            } else if self.buffered > config.max_buffered_bytes {
                counters.streams_evicted += 1;
            } else {
                return;
            }
            self.close(at, counters, out);
        }
    }

    /// A SYN: the stream begins, and what ended before is another.
    fn remember(&mut self, key: &Key, side: Side, seq: u32) {
        self.beginnings.set(key, side, seq);
        self.ends.forget(key, side);
    }

    fn beginning(&self, key: &Key, side: Side) -> Option<u32> {
        self.beginnings.get(key, side)
    }

    fn forget(&mut self, key: &Key, side: Side) {
        self.beginnings.forget(key, side);
    }

    /// Whether all of a segment was read before, in a stream that is no longer followed.
    fn is_repeated(&self, key: &Key, side: Side, segment: &Segment<'_>) -> bool {
        let end = segment.seq.wrapping_add(segment.len);
        self.ends.get(key, side).is_some_and(|read| half::distance(end, read) <= 0)
    }
}
