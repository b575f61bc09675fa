//! A followed connection: both directions and what they carry.

use super::half::{Half, Piece, Segment};
use super::key::{Key, Side};
use crate::app::counters::Counters;
use crate::app::dns::tcp::DnsStream;
use crate::app::http::HttpConnection;
use crate::app::preface::{self, Preface};
use crate::app::start::{self, Start};
use crate::app::tls::ClientHelloStream;
use crate::{DnsTransport, Message, Nanos, Packet};

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;
/// What a stream may say before it must be clear what it carries, without what a proxy says first ([`preface::MAX`]).
const MAX_UNDECIDED: usize = 16;

/// What a decoder of a stream is given beside the bytes.
pub(in crate::app) struct Context<'a> {
    /// The connection.
    pub(in crate::app) key: &'a Key,
    /// Wire length of the frame that brought them.
    pub(in crate::app) frame_len: u32,
    pub(in crate::app) counters: &'a mut Counters,
    pub(in crate::app) out: &'a mut Vec<Message>,
}

#[derive(Debug)]
enum Carries {
    /// Not clear yet: the side whose bytes will tell, and what it said so far; what a proxy said before is not among it any more.
    Undecided(Side, Vec<u8>, bool),
    Dns(Box<[DnsStream; 2]>),
    Http(Box<HttpConnection>),
    Tls(Box<ClientHelloStream>),
    /// Nothing of interest, any more.
    Nothing,
}

/// Both directions of a connection.
#[derive(Debug)]
pub(in crate::app) struct Connection {
    halves: [Half; 2],
    carries: Carries,
    last_ts: Nanos,
    /// What the table has counted of [`buffered`](Self::buffered).
    pub(super) accounted: usize,
}

impl Connection {
    fn new(carries: Carries) -> Self {
        Self { halves: Default::default(), carries, last_ts: Nanos(i64::MIN), accounted: 0 }
    }

    /// What it carries will be seen by its first bytes.
    pub(super) fn undecided(side: Side) -> Self {
        Self::new(Carries::Undecided(side, Vec::new(), false))
    }

    /// DNS; `from_start` tells of the low and the high side that their first byte will be seen.
    pub(super) fn dns(transport: DnsTransport, from_start: [bool; 2]) -> Self {
        let [low, high] = from_start;
        Self::new(Carries::Dns(Box::new([
            DnsStream::new(transport, Side::Low, low),
            DnsStream::new(transport, Side::High, high),
        ])))
    }

    pub(super) fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Low => &mut self.halves[0],
            Side::High => &mut self.halves[1],
        }
    }

    pub(super) fn last_ts(&self) -> Nanos {
        self.last_ts
    }

    /// Bytes held back.
    pub(super) fn buffered(&self) -> usize {
        let held = match &self.carries {
            Carries::Undecided(_, bytes, _) => bytes.capacity(),
            Carries::Dns(streams) => streams.iter().map(DnsStream::buffered).sum(),
            Carries::Http(http) => http.buffered(),
            Carries::Tls(hello) => hello.buffered(),
            Carries::Nothing => 0,
        };
        held + self.halves.iter().map(Half::buffered).sum::<usize>()
    }

    /// Whether there is no reason to follow it any longer.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.carries, Carries::Nothing) || self.halves.iter().all(Half::is_ended)
    }

    /// One packet of side `side`.
    #[expect(clippy::too_many_arguments, reason = "all of it is the packet's")]
    pub(super) fn handle(
        &mut self,
        key: &Key,
        side: Side,
        packet: &Packet,
        segment: &Segment<'_>,
        frame_len: u32,
        counters: &mut Counters,
        out: &mut Vec<Message>,
    ) {
        self.last_ts = self.last_ts.max(packet.ts);
        let flags = packet.tcp.flags;
        if flags & ACK != 0 && flags & SYN == 0 {
            // Whoever answers has received the question.
            self.feed(key, side.other(), frame_len, counters, out, |half, give| {
                half.acknowledged(packet.tcp.ack, give);
            });
            if self.half(side.other()).is_ended() {
                self.end(key, side.other(), counters, out);
            }
        }
        self.feed(key, side, frame_len, counters, out, |half, give| {
            half.segment(*segment, give);
        });
        if flags & FIN != 0 {
            self.half(side).fin(segment.seq.wrapping_add(segment.len));
        }
        if self.half(side).is_ended() {
            self.end(key, side, counters, out);
        }
    }

    /// Nothing more comes, in either direction.
    pub(super) fn close(&mut self, key: &Key, counters: &mut Counters, out: &mut Vec<Message>) {
        // Requests before responses, whichever side they are from.
        let first = match &self.carries {
            Carries::Http(http) => http.client(),
            _ => Side::Low,
        };
        for side in [first, first.other()] {
            self.feed(key, side, 0, counters, out, |half, give| half.flush(give));
            self.end(key, side, counters, out);
        }
    }

    fn feed(
        &mut self,
        key: &Key,
        side: Side,
        frame_len: u32,
        counters: &mut Counters,
        out: &mut Vec<Message>,
        with: impl FnOnce(&mut Half, &mut dyn FnMut(Nanos, Piece<'_>)),
    ) {
        let carries = &mut self.carries;
        let half = match side {
            Side::Low => &mut self.halves[0],
            Side::High => &mut self.halves[1],
        };
        with(half, &mut |ts, piece| {
            if let Piece::Passed(bytes) | Piece::Lost(bytes) = piece {
                counters.stream_gaps += 1;
                counters.stream_gap_bytes += u64::from(bytes);
            }
            carries.take(side, ts, piece, &mut Context { key, frame_len, counters, out });
        });
    }

    fn end(&mut self, key: &Key, side: Side, counters: &mut Counters, out: &mut Vec<Message>) {
        let mut context = Context { key, frame_len: 0, counters, out };
        match &mut self.carries {
            Carries::Dns(streams) => streams[side as usize].end(&mut context),
            Carries::Http(http) => http.end(side, &mut context),
            Carries::Tls(hello) if hello.client() == side => hello.end(&mut context),
            _ => (),
        }
    }
}

impl Carries {
    fn take(&mut self, side: Side, ts: Nanos, piece: Piece<'_>, context: &mut Context<'_>) {
        match self {
            Self::Undecided(asked, ..) if *asked != side => (),
            Self::Undecided(_, bytes, is_own) => match piece {
                Piece::Data(data) => {
                    let is_own = *is_own;
                    let mut so_far = std::mem::take(bytes);
                    let data = if so_far.is_empty() {
                        data
                    } else {
                        so_far.extend_from_slice(data);
                        &so_far
                    };
                    self.begin(side, ts, data, is_own, context);
                }
                Piece::Cut(_) | Piece::Passed(_) | Piece::Lost(_) => *self = Self::Nothing,
            },
            Self::Dns(streams) => streams[side as usize].take(ts, piece, context),
            Self::Http(http) => {
                http.take(side, ts, piece, context);
                if http.is_done() {
                    *self = Self::Nothing;
                }
            }
            Self::Tls(hello) if hello.client() == side => {
                hello.take(ts, piece, context);
                if hello.is_done() {
                    *self = Self::Nothing;
                }
            }
            Self::Tls(..) | Self::Nothing => (),
        }
    }

    /// The beginning of a stream, `is_own` without what a proxy says before.
    fn begin(&mut self, side: Side, ts: Nanos, bytes: &[u8], is_own: bool, context: &mut Context<'_>) {
        let header = if is_own { Preface::None } else { preface::of(bytes) };
        match header {
            Preface::Whole(length) => {
                context.counters.proxy_headers += 1;
                match bytes.get(length..) {
                    Some(own) if !own.is_empty() => self.decide(side, ts, own, true, context),
                    _ => *self = Self::Undecided(side, Vec::new(), true),
                }
            }
            Preface::Part => *self = Self::Undecided(side, bytes.to_vec(), false),
            Preface::None => self.decide(side, ts, bytes, is_own, context),
        }
    }

    fn decide(&mut self, side: Side, ts: Nanos, bytes: &[u8], is_own: bool, context: &mut Context<'_>) {
        *self = match start::classify_own(bytes) {
            Start::Http => {
                let client = if start::is_response(bytes) { side.other() } else { side };
                Self::Http(Box::new(HttpConnection::new(client)))
            }
            Start::Tls => Self::Tls(Box::new(ClientHelloStream::new(side))),
            Start::Maybe if bytes.len() <= MAX_UNDECIDED => {
                *self = Self::Undecided(side, bytes.to_vec(), is_own);
                return;
            }
            Start::Maybe | Start::Other => Self::Nothing,
        };
        self.take(side, ts, Piece::Data(bytes), context);
    }
}
