//! DNS over TCP (RFC 1035 4.2.2, RFC 7766): messages with two octets of length before them, in one
//! direction of a connection.
//!
//! A message that was lost or cut in part is given out as far as it goes; if its length is known, so is
//! where the next one begins. Otherwise, and where a stream is joined late, the next segment that begins
//! with a plausible length and header is taken for the beginning of a message.

use super::message::{self, Envelope};
use super::{HEADER, plausible_header};
use crate::app::stream::connection::Context;
use crate::app::stream::half::Piece;
use crate::app::stream::key::Side;
use crate::{Body, DnsTransport, Message, Nanos};

const LENGTH: usize = 2;

/// Where in the stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At or in a message, known from the beginning of the stream on.
    Known,
    /// The same, by a guess that the next header may disprove.
    Guessed,
    /// Somewhere.
    Lost,
}

/// One direction.
#[derive(Debug)]
pub(in crate::app) struct DnsStream {
    transport: DnsTransport,
    sender: Side,
    place: Place,
    /// What there is of the message that is not complete, its length octets first.
    held: Vec<u8>,
    first_ts: Nanos,
    last_ts: Nanos,
    last_frame_len: u32,
    /// Bytes of a message already given out that are still to come.
    skip: usize,
}

impl DnsStream {
    pub(in crate::app) fn new(transport: DnsTransport, sender: Side, from_start: bool) -> Self {
        Self {
            transport,
            sender,
            place: if from_start { Place::Known } else { Place::Lost },
            held: Vec::new(),
            first_ts: Nanos(0),
            last_ts: Nanos(0),
            last_frame_len: 0,
            skip: 0,
        }
    }

    pub(in crate::app) fn buffered(&self) -> usize {
        self.held.capacity()
    }

    pub(in crate::app) fn take(&mut self, ts: Nanos, piece: Piece<'_>, context: &mut Context<'_>) {
        match piece {
            Piece::Data(data) => {
                self.data(ts, data, context);
                (self.last_ts, self.last_frame_len) = (ts, context.frame_len);
            }
            Piece::Cut(bytes) | Piece::Passed(bytes) | Piece::Lost(bytes) => self.missing(bytes as usize, context),
        }
    }

    /// Nothing more comes: what is held is given out.
    pub(in crate::app) fn end(&mut self, context: &mut Context<'_>) {
        self.give_held(context);
        self.held = Vec::new();
    }

    fn data(&mut self, ts: Nanos, mut data: &[u8], context: &mut Context<'_>) {
        let skipped = self.skip.min(data.len());
        data = data.get(skipped..).unwrap_or_default();
        self.skip -= skipped;
        while !data.is_empty() {
            if self.held.is_empty() && self.place != Place::Known && !self.settle(data, context) {
                return;
            }
            if self.held.is_empty() {
                self.first_ts = ts;
                // The usual case: the whole message is here.
                if let Some((length, rest)) = data.split_first_chunk::<LENGTH>()
                    && let Some((msg, rest)) = rest.split_at_checked(u16::from_be_bytes(*length).into())
                {
                    self.give(msg, msg.len(), ts, context.frame_len, context);
                    data = rest;
                    continue;
                }
            }
            let wanted = self.wanted().saturating_sub(self.held.len());
            let (taken, rest) = data.split_at_checked(wanted).unwrap_or((data, &[]));
            self.held.extend_from_slice(taken);
            data = rest;
            if self.place != Place::Known && !self.settle(data, context) {
                return;
            }
            if self.held.len() >= LENGTH && self.held.len() == self.wanted() {
                let held = std::mem::take(&mut self.held);
                let msg = held.get(LENGTH..).unwrap_or_default();
                self.give(msg, msg.len(), ts, context.frame_len, context);
            }
        }
    }

    /// Bytes of the message that is held, with its length octets, as far as known.
    fn wanted(&self) -> usize {
        let length = self.held.first_chunk::<LENGTH>();
        LENGTH + length.map_or(0, |l| usize::from(u16::from_be_bytes(*l)))
    }

    /// Whether a message can begin with what is held or, if nothing is, with `data`; a guess. A header that
    /// is not complete is believed until it is.
    fn settle(&mut self, data: &[u8], context: &mut Context<'_>) -> bool {
        let begin = if self.held.is_empty() { data } else { &self.held };
        let plausible = match begin.split_first_chunk::<LENGTH>() {
            Some((length, rest)) => {
                usize::from(u16::from_be_bytes(*length)) >= HEADER && (rest.len() < HEADER || plausible_header(rest))
            }
            None => self.place == Place::Guessed,
        };
        if plausible {
            self.place = Place::Guessed;
        } else {
            self.place = Place::Lost;
            context.counters.dns_stream_bytes_skipped += (self.held.len() + data.len()) as u64;
            self.held.clear();
        }
        plausible
    }

    fn missing(&mut self, bytes: usize, context: &mut Context<'_>) {
        let rest = if self.held.len() >= LENGTH {
            let rest = self.wanted() - self.held.len();
            self.give_held(context);
            rest
        } else if self.held.is_empty() {
            self.skip
        } else {
            0
        };
        self.held.clear();
        if bytes <= rest {
            self.skip = rest - bytes;
        } else {
            self.skip = 0;
            self.place = Place::Lost;
        }
    }

    fn give_held(&mut self, context: &mut Context<'_>) {
        if self.held.len() < LENGTH {
            return;
        }
        let message_len = self.wanted() - LENGTH;
        let held = std::mem::take(&mut self.held);
        self.give(held.get(LENGTH..).unwrap_or_default(), message_len, self.last_ts, self.last_frame_len, context);
    }

    fn give(&self, msg: &[u8], message_len: usize, ts: Nanos, frame_len: u32, context: &mut Context<'_>) {
        let envelope = Envelope { transport: self.transport, message_len, frame_len };
        match message::read(msg, envelope) {
            Some((dns, left_out)) => {
                context.counters.count_dns(&dns, left_out);
                let body = Body::Dns(Box::new(dns));
                let pair = context.key.pair(self.sender);
                context.out.push(Message { first_ts: self.first_ts, ts, pair, body });
            }
            None => context.counters.dns_not_dns += 1,
        }
    }
}
