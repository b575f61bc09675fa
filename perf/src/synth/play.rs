//! Plays a session: its packets, one after the other, in time order.
//!
//! A player says of each packet all that matters (time, flags, numbers, lengths); bytes are made only if somebody
//! asks for them, so counting a session costs no copying.

use std::collections::VecDeque;

use super::session::{Closing, Data, Framing, MICRO, MILLI, Opening, SECOND, Session, Side, Step, Transport};

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// Options of a SYN: MSS, SACK permitted, window scale, padded.
pub(crate) const SYN_OPTIONS: usize = 12;

/// Data segments between two acknowledgements of the receiver.
const SEGMENTS_PER_ACK: u32 = 4;

/// A packet to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Planned {
    /// When, nanoseconds since the epoch.
    pub(crate) ts: i64,
    pub(crate) from: Side,
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    /// Where in the message its payload begins, and how long it is.
    pub(crate) offset: u64,
    pub(crate) len: u16,
    /// Counts the sender's packets: the IPv4 identification; ICMP: the sequence number.
    pub(crate) number: u16,
}

/// The state of a session that is being played.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) session: Session,
    clock: i64,
    last: Side,
    step: usize,
    state: State,
    ready: VecDeque<Planned>,
    /// Next sequence number, and up to where the other side acknowledged, by side.
    seq: [u32; 2],
    acked: [u32; 2],
    numbers: [u16; 2],
    /// Encoded bytes of the current message, filler behind them, its framing, and what was sent of it.
    bytes: Vec<u8>,
    filler: u64,
    framing: Option<Framing>,
    sent: u64,
    segments: u32,
    lcg: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Opening,
    Step,
    Within,
    Closing,
    Done,
}

/// An event of the session: a packet, and whether it begins or completes the message of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    pub(crate) packet: Planned,
    /// Step whose message this packet begins and, with a short message, completes.
    pub(crate) begins: Option<usize>,
    /// Step whose message this packet completes.
    pub(crate) completes: Option<usize>,
}

impl Player {
    pub(crate) fn new(session: Session) -> Self {
        let port = u32::from(session.client.port) << 16 | u32::from(session.server.port);
        let seed = (session.start as u32).wrapping_mul(0x9e37_79b9) ^ port.wrapping_mul(0x85eb_ca6b);
        let mut player = Self {
            clock: session.start,
            last: Side::Client,
            step: 0,
            state: if matches!(session.transport, Transport::Tcp(..)) { State::Opening } else { State::Step },
            ready: VecDeque::with_capacity(4),
            seq: [seed, seed.rotate_left(13) ^ 0x5bd1_e995],
            acked: [0; 2],
            numbers: [seed as u16, (seed >> 16) as u16],
            bytes: Vec::new(),
            filler: 0,
            framing: None,
            sent: 0,
            segments: 0,
            lcg: seed | 1,
            session,
        };
        player.acked = player.seq;
        player
    }

    /// When the next packet passes, if there is one.
    pub(crate) fn peek(&mut self) -> Option<i64> {
        while self.ready.is_empty() {
            match self.state {
                State::Opening => self.open(),
                State::Step => self.begin(),
                State::Within => self.segment(),
                State::Closing => self.close(),
                State::Done => return None,
            }
        }
        self.ready.front().map(|p| p.ts)
    }

    /// The next packet.
    pub(crate) fn next(&mut self) -> Option<Event> {
        self.peek()?;
        let packet = self.ready.pop_front()?;
        // A message's payload packets are the only ones with a length; `step` still names it here.
        let carries = packet.len > 0 || (packet.flags == 0 && self.framing.is_none());
        let begins = (carries && packet.offset == 0).then_some(self.step);
        let completes = (carries && packet.offset + u64::from(packet.len) == self.total()).then_some(self.step);
        Some(Event { packet, begins, completes })
    }

    /// Bytes of the current message.
    pub(crate) fn total(&self) -> u64 {
        self.bytes.len() as u64 + self.filler
    }

    /// Number of the step being played.
    pub(crate) const fn current(&self) -> usize {
        self.step
    }

    /// Bytes of the current message that are not filler.
    pub(crate) fn own(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The message of a step.
    pub(crate) fn data(&self, step: usize) -> Option<(Side, &Data)> {
        match self.session.steps.get(step) {
            Some(Step::Send { from, data, .. }) => Some((*from, data)),
            _ => None,
        }
    }

    /// Appends the payload of a packet that [`Self::next`] gave last.
    pub(crate) fn payload(&self, packet: &Planned, out: &mut Vec<u8>) {
        let (from, len) = (packet.offset, usize::from(packet.len));
        let at = out.len();
        let own = self.bytes.len() as u64;
        if from < own {
            let slice = &self.bytes[from as usize..];
            out.extend_from_slice(&slice[..slice.len().min(len)]);
        }
        let rest = len - (out.len() - at);
        if rest > 0 {
            let filler = filler();
            let start = (from + (len - rest) as u64) as usize % FILLER_PERIOD;
            out.extend_from_slice(&filler[start..start + rest]);
        }
        if let Some(framing) = self.framing {
            framing.overlay(from, self.total(), &mut out[at..]);
        }
    }

    fn mss(&self) -> u64 {
        if self.session.client.ip.is_ipv4() { 1460 } else { 1440 }
    }

    /// The clock, moved on where the direction turns.
    fn turn(&mut self, side: Side, gap: i64) {
        self.clock += match (self.last == side, side) {
            (true, _) => gap,
            (false, Side::Server) => self.session.rtt,
            (false, Side::Client) => self.session.rtt / 16 + 40 * MICRO,
        };
        self.last = side;
    }

    fn push(&mut self, from: Side, flags: u8, len: u16, offset: u64) {
        let (own, other) = (from as usize, from.other() as usize);
        let ack = if flags & ACK != 0 { self.acked[other] } else { 0 };
        let packet =
            Planned { ts: self.clock, from, flags, seq: self.seq[own], ack, offset, len, number: self.numbers[own] };
        self.numbers[own] = self.numbers[own].wrapping_add(1);
        if flags != 0 {
            let control = u32::from(flags & (SYN | FIN) != 0);
            self.seq[own] = self.seq[own].wrapping_add(u32::from(len) + control);
        }
        self.ready.push_back(packet);
    }

    /// Everything the other side sent is now known to `side`.
    fn hear(&mut self, side: Side) {
        let other = side.other() as usize;
        self.acked[other] = self.seq[other];
    }

    fn open(&mut self) {
        let Transport::Tcp(opening, _) = self.session.transport else { return };
        self.state = State::Done;
        self.push(Side::Client, SYN, 0, 0);
        match opening {
            Opening::Unanswered(repeats) => {
                // RFC 6298: the same SYN again after 1 s, 2 s, 4 s …
                let first = self.ready[0];
                for i in 0..repeats.min(6) {
                    self.clock += SECOND << i;
                    self.ready.push_back(Planned {
                        ts: self.clock,
                        number: first.number.wrapping_add(u16::from(i) + 1),
                        ..first
                    });
                }
                return;
            }
            Opening::Refused => {
                self.turn(Side::Server, 0);
                self.hear(Side::Server);
                self.seq[1] = 0;
                self.push(Side::Server, RST | ACK, 0, 0);
                return;
            }
            Opening::Handshake | Opening::HalfOpen => {
                self.turn(Side::Server, 0);
                self.hear(Side::Server);
                self.push(Side::Server, SYN | ACK, 0, 0);
                self.turn(Side::Client, 0);
                self.hear(Side::Client);
            }
        }
        if opening == Opening::HalfOpen {
            self.push(Side::Client, RST, 0, 0);
        } else {
            self.push(Side::Client, ACK, 0, 0);
            self.clock += 30 * MICRO;
            self.state = State::Step;
        }
    }

    fn begin(&mut self) {
        self.bytes.clear();
        self.filler = 0;
        self.framing = None;
        match self.session.steps.get(self.step) {
            None => self.state = State::Closing,
            Some(Step::Wait(nanos)) => {
                let nanos = *nanos;
                self.clock += nanos;
                self.step += 1;
            }
            Some(Step::Send { data, .. }) => {
                (self.filler, self.framing) = data.encode(&mut self.bytes);
                self.sent = 0;
                self.segments = 0;
                self.state = State::Within;
            }
            Some(Step::Stream { .. }) => {
                self.segments = 0;
                self.state = State::Within;
            }
        }
    }

    /// The next packet of the current step. The step number moves on only when the queue is drained.
    fn segment(&mut self) {
        match self.session.steps.get(self.step) {
            Some(Step::Send { from, gap, .. }) => {
                let (from, gap) = (*from, *gap);
                if matches!(self.session.transport, Transport::Tcp(..)) {
                    self.tcp_segment(from, gap);
                } else if self.segments == 0 {
                    self.turn(from, gap);
                    self.segments = 1;
                    let len = self.total().min(1472) as u16;
                    self.push(from, 0, len, 0);
                } else {
                    self.finish_step();
                }
            }
            Some(Step::Stream { count, gap, client, server }) => {
                let (count, gap, client, server) = (*count, *gap, *client, *server);
                if self.segments == count {
                    return self.finish_step();
                }
                let (side, range) = match server {
                    Some(range) if self.segments % 2 == 1 => (Side::Server, range),
                    _ => (Side::Client, client),
                };
                self.lcg = self.lcg.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let spread = u32::from(range.1.saturating_sub(range.0)) + 1;
                let len = range.0 + ((self.lcg >> 16) % spread) as u16;
                if self.segments > 0 {
                    self.clock += gap;
                }
                self.last = side;
                self.segments += 1;
                // Offset 1: no message begins or ends with it.
                self.push(side, 0, len, 1);
            }
            _ => self.finish_step(),
        }
    }

    fn finish_step(&mut self) {
        self.step += 1;
        self.state = State::Step;
    }

    fn tcp_segment(&mut self, from: Side, gap: i64) {
        let total = self.total();
        if self.sent >= total {
            if self.segments > 1 {
                // The last segments are acknowledged at once: the next step may be long away.
                self.turn(from.other(), 0);
                self.hear(from.other());
                self.push(from.other(), ACK, 0, 0);
                self.segments = 0;
                return;
            }
            return self.finish_step();
        }
        self.turn(from, gap);
        self.hear(from);
        let len = (total - self.sent).min(self.mss());
        let push = if self.sent + len == total { PSH } else { 0 };
        self.push(from, ACK | push, len as u16, self.sent);
        self.sent += len;
        self.segments += 1;
        if self.segments.is_multiple_of(SEGMENTS_PER_ACK) && self.sent < total {
            // The receiver's acknowledgement has not seen the last segment yet.
            self.acked[from as usize] = self.seq[from as usize].wrapping_sub(len as u32);
            self.clock += 15 * MICRO;
            self.push(from.other(), ACK, 0, 0);
        }
    }

    fn close(&mut self) {
        self.state = State::Done;
        let Transport::Tcp(_, closing) = self.session.transport else { return };
        match closing {
            Closing::Left => (),
            Closing::Reset(by) => {
                self.turn(by, MILLI);
                self.hear(by);
                self.push(by, RST | ACK, 0, 0);
            }
            Closing::Fin(by) => {
                for side in [by, by.other()] {
                    self.turn(side, MILLI);
                    self.hear(side);
                    self.push(side, FIN | ACK, 0, 0);
                }
                self.turn(by, MILLI);
                self.hear(by);
                self.push(by, ACK, 0, 0);
            }
        }
    }
}

const FILLER_PERIOD: usize = 4096;

/// Printable, free of quotes, backslashes, ampersands and line ends, so that it is valid wherever a body is text.
fn filler() -> &'static [u8] {
    static FILLER: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FILLER.get_or_init(|| {
        let mut random = super::random::Random::new(0x5eed, 0);
        let period =
            random.text(b"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrst 0123456789", FILLER_PERIOD).into_bytes();
        [period.as_slice(), &period[..FILLER_PERIOD / 2]].concat()
    })
}
