//! TLS ClientHello (RFC 8446 4.1.2) at the beginning of a stream, over as many records and segments as it
//! takes. Everything after it is encrypted and not looked at.

pub(super) mod hello;
mod ja4;

use super::stream::connection::Context;
use super::stream::half::Piece;
use super::stream::key::Side;
use crate::{Body, Message, Nanos};

/// Bytes of a ClientHello; with large key shares some have 2 KiB.
const MAX_HELLO: usize = 32 << 10;
/// Type and length of a handshake message (RFC 8446 4).
const HANDSHAKE_HEADER: usize = 4;
/// Type, version and length of a record (RFC 8446 5.1).
const RECORD_HEADER: usize = 5;
const HANDSHAKE: u8 = 22;

/// What carries a hello.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Over {
    #[default]
    Tcp,
    Quic,
}

/// What the client says first.
#[derive(Debug)]
pub(super) struct ClientHelloStream {
    client: Side,
    /// Part of a record header.
    record_header: Vec<u8>,
    /// Bytes left of the record.
    record_left: usize,
    /// The handshake message so far.
    held: Vec<u8>,
    first_ts: Option<Nanos>,
    last_ts: Nanos,
    done: bool,
}

impl ClientHelloStream {
    pub(super) fn new(client: Side) -> Self {
        Self {
            client,
            record_header: Vec::new(),
            record_left: 0,
            held: Vec::new(),
            first_ts: None,
            last_ts: Nanos(0),
            done: false,
        }
    }

    /// The side that says hello.
    pub(super) fn client(&self) -> Side {
        self.client
    }

    /// Nothing more is wanted.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Bytes held back.
    pub(super) fn buffered(&self) -> usize {
        self.held.capacity() + self.record_header.capacity()
    }

    /// The next piece of what the client sends.
    pub(super) fn take(&mut self, ts: Nanos, piece: Piece<'_>, context: &mut Context<'_>) {
        match piece {
            Piece::Data(data) => {
                self.first_ts.get_or_insert(ts);
                self.last_ts = ts;
                self.records(data, context);
            }
            Piece::Cut(_) | Piece::Passed(_) | Piece::Lost(_) => self.end(context),
        }
    }

    /// Nothing more comes: what there is of a hello is given out.
    pub(super) fn end(&mut self, context: &mut Context<'_>) {
        if !self.done {
            self.give(context);
        }
    }

    fn records(&mut self, mut data: &[u8], context: &mut Context<'_>) {
        while !data.is_empty() && !self.done {
            if self.record_left == 0 {
                let (here, rest) =
                    data.split_at_checked(RECORD_HEADER - self.record_header.len()).unwrap_or((data, &[]));
                self.record_header.extend_from_slice(here);
                data = rest;
                let Some(&[kind, major, _, high, low]) = self.record_header.first_chunk::<RECORD_HEADER>() else {
                    return;
                };
                self.record_header.clear();
                self.record_left = usize::from(u16::from_be_bytes([high, low]));
                // A hello is interrupted by no other record; an alert or garbage ends it.
                if kind != HANDSHAKE || major != 3 || self.record_left == 0 {
                    return self.give(context);
                }
            }
            let (here, rest) = data.split_at_checked(self.record_left).unwrap_or((data, &[]));
            self.held.extend_from_slice(here);
            self.record_left -= here.len();
            data = rest;
            match self.wanted() {
                Some(wanted) if self.held.len() >= wanted => self.give(context),
                Some(_) if self.held.len() > MAX_HELLO => self.give(context),
                _ => (),
            }
        }
    }

    /// Bytes of the handshake message with its header, once its length is known.
    fn wanted(&self) -> Option<usize> {
        let &[_, a, b, c] = self.held.first_chunk::<HANDSHAKE_HEADER>()?;
        Some(HANDSHAKE_HEADER + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)))
    }

    fn give(&mut self, context: &mut Context<'_>) {
        self.done = true;
        let wanted = self.wanted().unwrap_or(usize::MAX);
        let held = std::mem::take(&mut self.held);
        let body = held.get(HANDSHAKE_HEADER..held.len().min(wanted)).unwrap_or_default();
        match hello::read(body, held.len() >= wanted, Over::Tcp) {
            Some(mut hello) => {
                hello.bytes = wanted as u64;
                context.counters.tls_client_hellos += 1;
                context.out.push(Message {
                    first_ts: self.first_ts.unwrap_or(self.last_ts),
                    ts: self.last_ts,
                    pair: context.key.pair(self.client),
                    body: Body::TlsClientHello(Box::new(hello)),
                });
            }
            None => context.counters.tls_unreadable += 1,
        }
    }
}
