//! QUIC's ClientHello: the Initial packets of a client (RFC 9001, versions 1 and 2) are opened with the keys that their connection id
//! gives, and their CRYPTO frames put together, whatever their order and number, until the hello is whole.
//!
//! Bounds: [`MAX_CONNECTIONS`], [`MAX_HELD`] bytes for all of them, [`pieces::MAX_BYTES`] for one; at a bound the oldest gives out what
//! it has. A client is known by its addresses and ports: where its first Initial was not seen, the connection cannot be read.

mod keys;
mod packet;
mod pieces;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;

use std::collections::{HashMap, VecDeque};

use super::counters::Counters;
use super::tls;
use crate::{AddressPair, Body, Message, Nanos, Packet};
use keys::{InitialKeys, Sender, Version};
use packet::Initial;
use pieces::Pieces;

/// Connections whose hello is not whole, or was whole a moment ago.
const MAX_CONNECTIONS: usize = 4_096;
/// Bytes held back for all connections.
const MAX_HELD: usize = 8 << 20;
/// A connection is forgotten after this time without an Initial packet: nanoseconds.
const IDLE: i64 = 30_000_000_000;
/// Least bytes of the connection id that a client makes up (RFC 9000, 7.2).
const MIN_ID: usize = 8;

/// A client's connection.
struct Connection {
    keys: InitialKeys,
    first: Nanos,
    last: Nanos,
    pieces: Pieces,
    done: bool,
}

/// Reads ClientHellos out of QUIC datagrams.
#[derive(Default)]
pub(super) struct Quic {
    connections: HashMap<AddressPair, Connection>,
    /// In the order in which they began.
    order: VecDeque<AddressPair>,
    held: usize,
}

impl std::fmt::Debug for Quic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quic").field("connections", &self.connections.len()).field("held", &self.held).finish()
    }
}

/// Whether a datagram may begin with a packet that is read here; a few nanoseconds.
#[inline]
pub(super) fn is_long(payload: &[u8]) -> bool {
    let Some(&[first, a, b, c, d]) = payload.first_chunk::<5>() else { return false };
    first & 0xc0 == 0xc0 && Version::of(u32::from_be_bytes([a, b, c, d])).is_some()
}

impl Quic {
    /// Reads a datagram that [`is_long`].
    pub(super) fn handle(
        &mut self,
        packet: &Packet,
        payload: &[u8],
        counters: &mut Counters,
        mut give: impl FnMut(Message),
    ) {
        self.expire(packet.ts, counters, &mut give);
        for initial in packet::initials(payload) {
            counters.quic_initials += 1;
            self.initial(packet, &initial, counters, &mut give);
        }
    }

    fn initial(
        &mut self,
        packet: &Packet,
        initial: &Initial<'_>,
        counters: &mut Counters,
        give: &mut impl FnMut(Message),
    ) {
        let pair = packet.pair;
        let known = self.connections.get_mut(&pair);
        let opened = known.as_ref().and_then(|c| c.keys.open(initial.bytes, initial.number_at));
        let opened = match (opened, known) {
            (Some(payload), Some(_)) => payload,
            (_, known) => {
                if known.is_none() && self.connections.contains_key(&pair.reversed()) {
                    // The server's.
                    return;
                }
                // A connection begins, or begins again with another id: after a Retry, or from the same port.
                let keys = (initial.to.len() >= MIN_ID)
                    .then(|| InitialKeys::new(initial.version, initial.to, Sender::Client))
                    .flatten();
                let payload = keys.as_ref().and_then(|keys| keys.open(initial.bytes, initial.number_at));
                let (Some(keys), Some(payload)) = (keys, payload) else {
                    counters.quic_initials_unreadable += 1;
                    return;
                };
                self.begin(packet, keys, counters, give);
                payload
            }
        };
        let Some(connection) = self.connections.get_mut(&pair).filter(|c| !c.done) else { return };
        connection.last = packet.ts;
        let before = connection.pieces.held();
        let mut fits = true;
        let whole = packet::crypto_frames(&opened, |offset, data| fits &= connection.pieces.add(offset, data));
        counters.quic_initials_unreadable += u64::from(whole.is_none());
        self.held = self.held + connection.pieces.held() - before;
        let wanted = connection.pieces.wanted();
        let is_whole = wanted.is_some_and(|wanted| connection.pieces.start().len() >= wanted);
        if is_whole || !fits || wanted.is_some_and(|wanted| wanted > pieces::MAX_BYTES) {
            counters.quic_over_limit += u64::from(!is_whole);
            self.give(pair, counters, give);
        }
        while self.held > MAX_HELD {
            self.evict(counters, give);
        }
    }

    fn begin(&mut self, packet: &Packet, keys: InitialKeys, counters: &mut Counters, give: &mut impl FnMut(Message)) {
        if let Some(before) = self.connections.remove(&packet.pair) {
            self.held -= before.pieces.held();
            self.order.retain(|pair| *pair != packet.pair);
        }
        while self.connections.len() >= MAX_CONNECTIONS {
            self.evict(counters, give);
        }
        let pieces = Pieces::default();
        let connection = Connection { keys, first: packet.ts, last: packet.ts, pieces, done: false };
        self.connections.insert(packet.pair, connection);
        self.order.push_back(packet.pair);
    }

    /// Gives out what there is of a hello.
    fn give(&mut self, pair: AddressPair, counters: &mut Counters, give: &mut impl FnMut(Message)) {
        let Some(connection) = self.connections.get_mut(&pair).filter(|c| !c.done) else { return };
        connection.done = true;
        let pieces = std::mem::take(&mut connection.pieces);
        self.held -= pieces.held();
        let (body, whole) = pieces.message();
        match tls::hello::read(body, whole, tls::Over::Quic) {
            Some(mut hello) => {
                hello.bytes = pieces.wanted().unwrap_or_default() as u64;
                counters.quic_client_hellos += 1;
                let body = Body::TlsClientHello(Box::new(hello));
                give(Message { first_ts: connection.first, ts: connection.last, pair, body });
            }
            None => counters.quic_without_hello += 1,
        }
    }

    /// Forgets the oldest for room.
    fn evict(&mut self, counters: &mut Counters, give: &mut impl FnMut(Message)) {
        let Some(pair) = self.order.pop_front() else { return };
        if self.connections.get(&pair).is_some_and(|c| !c.done) {
            counters.quic_evicted += 1;
            self.give(pair, counters, give);
        }
        self.connections.remove(&pair);
    }

    /// Forgets those that are silent, oldest first.
    pub(super) fn expire(&mut self, now: Nanos, counters: &mut Counters, give: &mut impl FnMut(Message)) {
        while let Some(pair) = self.order.front().copied() {
            if self.connections.get(&pair).is_some_and(|c| now.0.saturating_sub(c.last.0) < IDLE) {
                return;
            }
            self.order.pop_front();
            self.give(pair, counters, give);
            self.connections.remove(&pair);
        }
    }

    /// The end: what there is of each hello is given out, in the order in which they began.
    pub(super) fn finish(&mut self, counters: &mut Counters, give: &mut impl FnMut(Message)) {
        self.expire(Nanos(i64::MAX), counters, give);
    }
}
