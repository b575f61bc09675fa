//! What happened on a connection, in Zeek's words: `conn_state` and `history`
//! (docs.zeek.org, base/protocols/conn/main.zeek, and the TCP analyzer it rests on).
//!
//! Each end of a TCP connection is in a state; the pair of states names the connection's. Differences to Zeek,
//! which reassembles the stream: checksums are never judged (no `c`); a content gap (`g`) is seen from
//! acknowledgements beyond a hole, one hole at a time, so of several holes open at once only the first counts;
//! the direction is turned (`^`) by SYN and SYN+ACK alone, never by port numbers.

use capture::live::MicroDirection;
use capture::{Fragment, Packet, Tcp};

use crate::key::Side;
use crate::record::History;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Sequence numbers further apart than this say nothing about order.
const FAR: i32 = 1 << 20;

/// State of one end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum State {
    /// Sent nothing.
    Inactive,
    /// Sent something, but no SYN was seen.
    Partial,
    SynSent,
    SynAckSent,
    Established,
    /// Sent a FIN.
    Closed,
    /// Sent a RST.
    Reset,
}

impl State {
    const fn is_inactive(self) -> bool {
        matches!(self, Self::Inactive | Self::Partial)
    }
}

/// History letters that an end records once, or once for each sequence number.
mod seen {
    pub(super) const SYN: u8 = 1;
    pub(super) const FIN: u8 = 2;
    pub(super) const RST: u8 = 4;
    pub(super) const DATA: u8 = 8;
    pub(super) const ACK: u8 = 16;
    pub(super) const FIN_RST: u8 = 32;
    pub(super) const MULTI_FLAG: u8 = 64;
    /// Not a letter: the end sent payload.
    pub(super) const PAYLOAD: u8 = 128;
}

/// One end of the connection.
#[derive(Clone, Copy, Debug)]
struct End {
    state: State,
    previous: State,
    seen: u8,
    /// Sequence numbers mean nothing any more: a fragment was part of the stream.
    blind: bool,
    start: u32,
    /// One past the highest sequence number sent.
    last: u32,
    last_syn: u32,
    last_fin: u32,
    last_rst: u32,
    /// One past what was seen without a hole, and where the hole behind it ends (or the same).
    contiguous: u32,
    hole_end: u32,
    retransmissions: u32,
    zero_windows: u32,
    gaps: u32,
}

impl End {
    const NEW: Self = Self {
        state: State::Inactive,
        previous: State::Inactive,
        seen: 0,
        blind: false,
        start: 0,
        last: 0,
        last_syn: 0,
        last_fin: 0,
        last_rst: 0,
        contiguous: 0,
        hole_end: 0,
        retransmissions: 0,
        zero_windows: 0,
        gaps: 0,
    };

    fn enter(&mut self, state: State) {
        if state != self.state {
            self.previous = self.state;
            self.state = state;
        }
    }

    /// Established, or closed after having been.
    fn was_established(&self) -> bool {
        self.state == State::Established || self.state == State::Closed && self.previous == State::Established
    }

    /// Marks a letter; whether it is new.
    fn first(&mut self, letter: u8) -> bool {
        let new = self.seen & letter == 0;
        self.seen |= letter;
        new
    }
}

/// The states of both ends of a TCP or UDP conversation, by their place in the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends([End; 2]);

/// Distance from `b` to `a` in sequence space.
const fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// Counters that grow by powers of ten in the history: 1, 10, 100 …
fn scales(count: &mut u32) -> bool {
    *count = count.saturating_add(1);
    matches!(*count, 1 | 10 | 100 | 1_000 | 10_000 | 100_000 | 1_000_000 | 10_000_000 | 100_000_000)
}

/// The direction was turned: what was the originator is the responder.
pub(crate) fn turn(history: &mut History) {
    history.swap_ends();
    history.push(b'^');
}

fn push(history: &mut History, originated: bool, letter: u8) {
    history.push(if originated { letter } else { letter.to_ascii_lowercase() });
}

impl Ends {
    /// Nothing was sent yet.
    pub(crate) const NEW: Self = Self([End::NEW; 2]);

    /// A UDP packet.
    pub(crate) fn udp(&mut self, history: &mut History, sender: Side, originated: bool) {
        if self.0[sender as usize].first(seen::DATA) {
            push(history, originated, b'D');
        }
    }

    /// Zeek's conn_state of a UDP conversation.
    pub(crate) fn udp_state(&self, originator: Side) -> &'static str {
        let sent = |side: Side| self.0[side as usize].seen & seen::DATA != 0;
        match (sent(originator), sent(originator.other())) {
            (true, true) => "SF",
            (true, false) => "S0",
            (false, true) => "SHR",
            (false, false) => "OTH",
        }
    }

    /// A FIN in both directions, or a RST.
    pub(crate) fn has_ended(&self) -> bool {
        let [a, b] = &self.0;
        a.state == State::Reset || b.state == State::Reset || a.state == State::Closed && b.state == State::Closed
    }

    /// A FIN or a RST from either end: a SYN that follows begins another connection.
    pub(crate) fn is_ending(&self) -> bool {
        self.0.iter().any(|end| matches!(end.state, State::Closed | State::Reset))
    }

    /// A TCP packet whose header was captured.
    pub(crate) fn tcp(&mut self, history: &mut History, sender: Side, originated: bool, packet: &Packet) {
        let flags = packet.tcp.flags;
        let length = packet.payload_bytes;
        let me = sender as usize;
        let peer = sender.other() as usize;

        if packet.fragment == Fragment::First {
            self.0[me].blind = true;
        }
        if length > 0 {
            self.0[me].seen |= seen::PAYLOAD;
        }
        let span = if flags & RST == 0 { length } else { 0 };
        let span = span + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let after = packet.tcp.seq.wrapping_add(span);

        self.begin_end(me, packet, after);
        self.flag_letters(history, me, originated, packet);
        if packet.tcp.window == 0
            && flags & RST == 0
            && self.0[peer].state != State::Closed
            && self.0[me].state != State::Reset
            && scales(&mut self.0[me].zero_windows)
        {
            push(history, originated, b'W');
        }
        let retransmitted = self.0[me].advance(flags, length, packet.tcp.seq, after);
        if retransmitted && scales(&mut self.0[me].retransmissions) {
            push(history, originated, b'T');
        }
        self.next_state(me, peer, originated, flags, length);
        if flags & ACK != 0 && flags & RST == 0 && self.gap(me, peer, packet.tcp.ack) {
            push(history, !originated, b'G');
        }
    }

    /// TCP packets of one direction that were counted elsewhere: what the OR of their flags says, in the order in which
    /// a connection sends them. Sequence numbers are not known, so retransmissions and gaps are not seen from here on.
    ///
    /// `true`: more packets like these, without SYN, FIN and RST, change nothing, whatever comes in between.
    pub(crate) fn counted(
        &mut self,
        history: &mut History,
        sender: Side,
        originated: bool,
        first: &Packet,
        counted: &MicroDirection,
        payload: bool,
    ) -> bool {
        let me = sender as usize;
        let peer = sender.other() as usize;
        self.0[me].blind = true;
        let flags = counted.tcp_flags;
        let parts = [
            (counted.syn, SYN, 0, seen::SYN),
            (counted.syn_ack, SYN | ACK, 0, seen::SYN),
            (payload, ACK, 1, seen::DATA),
            (flags & ACK != 0 && !payload, ACK, 0, seen::ACK),
            (flags & FIN != 0, FIN | ACK, 0, seen::FIN),
            (flags & RST != 0, RST, 0, seen::RST),
        ];
        for (_, flags, payload_bytes, letter) in parts.into_iter().filter(|(there, ..)| *there) {
            if payload_bytes > 0 {
                self.0[me].seen |= seen::PAYLOAD;
            }
            if self.0[me].seen & letter == 0 {
                let packet = Packet { tcp: Tcp { flags, ..Tcp::default() }, payload_bytes, ..*first };
                self.flag_letters(history, me, originated, &packet);
            }
            self.next_state(me, peer, originated, flags, payload_bytes);
        }
        // An end that has sent stays what it is until it sends one of the three; letters come once.
        !counted.turns() && (payload || flags & ACK != 0) && self.0[me].state != State::Inactive
    }

    /// Sequence numbers of an end that sends for the first time, or begins again with another SYN.
    fn begin_end(&mut self, me: usize, packet: &Packet, after: u32) {
        let end = &mut self.0[me];
        let syn = packet.tcp.flags & SYN != 0;
        let begins = match end.state {
            State::Inactive => true,
            State::Closed | State::Reset => false,
            _ => syn && packet.tcp.seq != end.start,
        };
        if begins {
            end.start = if syn { packet.tcp.seq } else { packet.tcp.seq.wrapping_sub(1) };
            // So that the first packet is no retransmission.
            end.last = if packet.payload_bytes > 0 { packet.tcp.seq } else { after };
            end.contiguous = if syn { packet.tcp.seq.wrapping_add(1) } else { packet.tcp.seq };
            end.hole_end = end.contiguous;
        }
    }

    fn flag_letters(&mut self, history: &mut History, me: usize, originated: bool, packet: &Packet) {
        let (flags, seq, length) = (packet.tcp.flags, packet.tcp.seq, packet.payload_bytes);
        let end = &mut self.0[me];
        let letter = match (flags & SYN != 0, flags & FIN != 0, flags & RST != 0) {
            (_, true, true) => end.first(seen::FIN_RST).then_some(b'I'),
            (true, true, _) | (true, _, true) => end.first(seen::MULTI_FLAG).then_some(b'Q'),
            (true, ..) => {
                let again = std::mem::replace(&mut end.last_syn, seq) != seq;
                let letter = if flags & ACK == 0 { b'S' } else { b'H' };
                (end.first(seen::SYN) || again).then_some(letter)
            }
            (_, true, _) => {
                // The FIN stands after the data of its packet.
                let place = seq.wrapping_add(length);
                let again = std::mem::replace(&mut end.last_fin, place) != place;
                (end.first(seen::FIN) || again).then_some(b'F')
            }
            (.., true) => {
                let again = std::mem::replace(&mut end.last_rst, seq) != seq;
                (end.first(seen::RST) || again).then_some(b'R')
            }
            _ if length > 0 => end.first(seen::DATA).then_some(b'D'),
            _ if flags & ACK != 0 => end.first(seen::ACK).then_some(b'A'),
            _ => None,
        };
        if let Some(letter) = letter {
            push(history, originated, letter);
        }
    }

    fn next_state(&mut self, me: usize, peer: usize, originated: bool, flags: u8, length: u32) {
        let [syn, fin, rst, ack] = [SYN, FIN, RST, ACK].map(|flag| flags & flag != 0);
        let peer_state = self.0[peer].state;
        match self.0[me].state {
            State::Inactive => {
                if syn && originated {
                    self.0[me].enter(if ack { State::SynAckSent } else { State::SynSent });
                } else if syn {
                    if peer_state == State::SynSent {
                        self.0[peer].enter(State::Established);
                    }
                    self.0[me].enter(State::Established);
                }
                if fin {
                    self.0[me].enter(State::Closed);
                }
                if rst {
                    self.0[me].enter(State::Reset);
                }
                if self.0[me].state == State::Inactive {
                    let answers_syn = !originated && length == 0 && peer_state == State::SynSent;
                    if ack && peer_state == State::Established {
                        // The SYN was missed, the SYN+ACK was not.
                        self.0[me].enter(State::Established);
                    } else if !answers_syn {
                        self.0[me].enter(State::Partial);
                    }
                }
            }
            State::SynSent | State::SynAckSent => {
                if fin {
                    self.0[me].enter(State::Closed);
                }
                if rst {
                    self.0[me].enter(State::Reset);
                }
            }
            State::Established | State::Partial => {
                if syn && !ack && self.0[me].state == State::Partial && peer_state == State::Inactive {
                    self.0[me].enter(State::SynSent);
                }
                if fin && !rst {
                    self.0[me].enter(State::Closed);
                    let other = &mut self.0[peer];
                    if other.state == State::Reset && other.previous == State::Closed {
                        // FIN, then RST, then the answer to the FIN: a normal end after all.
                        other.enter(State::Closed);
                    }
                }
                if rst {
                    self.0[me].enter(State::Reset);
                }
            }
            State::Closed => {
                if rst && peer_state != State::Closed {
                    self.0[me].enter(State::Reset);
                }
            }
            State::Reset => {}
        }
    }

    /// Whether this acknowledgement says that the peer sent what was not seen.
    fn gap(&mut self, me: usize, peer: usize, ack: u32) -> bool {
        let established = self.0[me].was_established() && self.0[peer].was_established();
        let end = &mut self.0[peer];
        // One missing byte is a FIN that was not captured, or a keep-alive.
        let missing = distance(ack, end.contiguous);
        if !established || end.blind || missing <= 1 || missing > FAR {
            return false;
        }
        end.contiguous = if distance(ack, end.hole_end) >= 0 && distance(end.last, ack) > 0 { end.last } else { ack };
        end.hole_end = end.contiguous;
        scales(&mut end.gaps)
    }

    /// Zeek's conn_state of a TCP connection.
    pub(crate) fn tcp_state(&self, history: &History, originator: Side) -> &'static str {
        let orig = &self.0[originator as usize];
        let resp = &self.0[originator.other() as usize];
        let no_payload = (orig.seen | resp.seen) & seen::PAYLOAD == 0;
        match (orig.state, resp.state) {
            (State::SynSent | State::SynAckSent, State::Reset) => "REJ",
            (State::Reset, State::Reset) if no_payload => "REJ",
            (state, State::Reset) if state.is_inactive() => "RSTRH",
            (_, State::Reset) => "RSTR",
            (State::Reset, state) if state.is_inactive() && is_syn_then_reset(history) => "RSTOS0",
            (State::Reset, state) if state.is_inactive() => "OTH",
            (State::Reset, _) => "RSTO",
            (State::Closed, State::Closed) => "SF",
            (State::Closed, state) => {
                if state.is_inactive() {
                    "SH"
                } else {
                    "S2"
                }
            }
            (state, State::Closed) => {
                if state.is_inactive() {
                    "SHR"
                } else {
                    "S3"
                }
            }
            (State::SynSent, State::Inactive) => "S0",
            (State::Established, State::Established) => "S1",
            _ => "OTH",
        }
    }
}

/// A SYN, then a RST of the originator, and nothing of weight between (Zeek: `^?S[^HAFGIQ]*R`).
fn is_syn_then_reset(history: &History) -> bool {
    let letters = history.as_str();
    let letters = letters.strip_prefix('^').unwrap_or(letters);
    let stop = letters.find(['R', 'H', 'A', 'F', 'G', 'I', 'Q']);
    letters.starts_with('S') && stop.is_some_and(|at| letters.as_bytes().get(at) == Some(&b'R'))
}

impl End {
    /// Takes a segment into account; whether all of it had been sent before.
    fn advance(&mut self, flags: u8, length: u32, seq: u32, after: u32) -> bool {
        if self.state == State::Reset || self.blind {
            return false;
        }
        let ahead = distance(after, self.last);
        if flags & (SYN | RST) != 0 && ahead.unsigned_abs() > FAR.unsigned_abs() {
            return false;
        }
        // More than 2 GiB between SYN and FIN: the FIN is right.
        let only_syn = flags & FIN != 0 && self.last == self.start.wrapping_add(1);
        if ahead > 0 || only_syn {
            self.last = after;
        }
        if flags & RST == 0 {
            self.fill(seq.wrapping_add(u32::from(flags & SYN != 0)), after);
        }
        ahead <= 0 && length > 0 && !only_syn
    }

    /// Bytes from `from` to `to` were seen.
    fn fill(&mut self, from: u32, to: u32) {
        if distance(to, self.contiguous) <= 0 {
            return;
        }
        let has_hole = distance(self.hole_end, self.contiguous) > 0;
        if distance(from, self.contiguous) <= 0 {
            self.contiguous = to;
            if has_hole && distance(to, self.hole_end) >= 0 && distance(self.last, to) > 0 {
                // The hole is closed: what lies behind it had been seen.
                self.contiguous = self.last;
            }
            if distance(self.contiguous, self.hole_end) > 0 {
                self.hole_end = self.contiguous;
            }
        } else if !has_hole {
            self.hole_end = from;
        } else if distance(self.hole_end, from) > 0 {
            // A segment inside the hole: its nearer part is the hole now.
            self.hole_end = from;
        }
    }
}

#[cfg(test)]
mod tests {
    use capture::{AddressPair, Fragment, Ip, IpVersion, Link, Nanos, Tcp};
    use proptest::prelude::*;

    use super::*;

    fn packet(flags: u8, payload_bytes: u32, seq: u32) -> Packet {
        Packet {
            ts: Nanos(0),
            pair: AddressPair {
                src: Ip::v4([10, 0, 0, 1]),
                dst: Ip::v4([10, 0, 0, 2]),
                src_port: 1,
                dst_port: 2,
                proto: 6,
                version: IpVersion::V4,
            },
            ip_bytes: 40 + payload_bytes,
            payload_bytes,
            tcp: Tcp { flags, seq, ack: seq, window: 1 },
            tos: 0,
            fragment: Fragment::Whole,
            link: Link::default(),
            tunnel: None,
            service: None,
        }
    }

    /// What comes: packets by the slow path or counted, from either end.
    #[derive(Clone, Debug)]
    struct Step {
        sender: Side,
        flags: u8,
        payload: bool,
        seq: u32,
        is_counted: bool,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let flags = prop::sample::select(vec![0_u8, 0x10, 0x18, 0x02, 0x12, 0x11, 0x14, 0x04]);
        let step = (any::<bool>(), flags, any::<bool>(), 0..5_000_u32, any::<bool>()).prop_map(|step| {
            let (is_low, flags, payload, seq, is_counted) = step;
            let sender = if is_low { Side::Low } else { Side::High };
            // What begins and ends a connection is not counted in the kernel.
            Step { sender, flags, payload, seq, is_counted: is_counted && flags & 7 == 0 }
        });
        prop::collection::vec(step, 0..12)
    }

    fn take(ends: &mut Ends, history: &mut History, step: &Step) -> bool {
        let Step { sender, flags, payload, seq, is_counted } = *step;
        let packet = packet(flags, if payload { 100 } else { 0 }, seq);
        let originated = sender == Side::Low;
        if is_counted {
            let counted = MicroDirection { packets: 1, tcp_flags: flags, ..MicroDirection::default() };
            return ends.counted(history, sender, originated, &packet, &counted, payload);
        }
        ends.tcp(history, sender, originated, &packet);
        false
    }

    proptest! {
        #[test]
        fn what_is_settled_changes_nothing_later(before in steps(), between in steps(), sender in any::<bool>(), payload in any::<bool>()) {
            let (mut ends, mut history) = (Ends::NEW, History::NEW);
            let sender = if sender { Side::Low } else { Side::High };
            let step = Step { sender, flags: 0x18, payload, seq: 0, is_counted: true };
            for step in &before {
                take(&mut ends, &mut history, step);
            }
            if take(&mut ends, &mut history, &step) {
                for step in &between {
                    take(&mut ends, &mut history, step);
                }
                let (known, letters) = (format!("{ends:?}"), history);
                let ended = ends.has_ended();
                take(&mut ends, &mut history, &step);
                prop_assert_eq!((format!("{:?}", ends), history, ends.has_ended()), (known, letters, ended));
            }
        }
    }
}
