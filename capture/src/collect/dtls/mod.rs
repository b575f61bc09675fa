//! IPFIX over DTLS (RFC 7011, 10.3 and 11; RFC 6347 and 9147), sans-IO: datagrams in, the plaintexts of records out, each an IPFIX message.
//!
//! [`DtlsServer`] keeps the sessions of one socket by the exporter's address. Templates, and the numbering, belong to a session: give each a
//! [`Collector`](super::Collector) of its own. DTLS repeats no data: what the network loses is a gap of the numbering, as over UDP.
//!
//! A ClientHello of DTLS 1.2 is answered by a cookie, and forgotten; only who sends the cookie back from the same address gets a handshake.
//! DTLS 1.3 has its cookie in the library, which remembers a handshake for it: these are bounded by themselves, and the oldest makes room.
//! An exporter that begins anew at an address that has a session gets another handshake (RFC 6347, 4.2.8); the session before goes on until
//! the new one is verified, so nobody ends it who cannot take its place.

mod counters;
mod hello;
mod identity;
mod session;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use counters::DtlsCounters;
pub use identity::DtlsTls;
pub use session::DtlsError;

use hello::{Cookies, Hello};
use session::{Out, Progress, Session};

use crate::Nanos;

/// Between two looks at what is due. Timers of the protocol are of a second and more.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Bytes of the largest record with all that protects it, (RFC 5246, 6.2.3): no datagram is longer that an exporter makes of one message.
const LONGEST: usize = (1 << 14) + 2_048;

/// Bounds of a [`DtlsServer`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DtlsLimits {
    /// Sessions at once; more are refused. 64.
    pub max_sessions: usize,
    /// Handshakes at once that an address has shown to be its own, and as many of DTLS 1.3 that have not; the oldest makes room. 64.
    pub max_handshakes: usize,
    /// A handshake that is not done after so long is given up. 15 s.
    pub handshake: Duration,
    /// A session that brings nothing for so long is closed. 1 h.
    pub idle: Duration,
}

impl Default for DtlsLimits {
    fn default() -> Self {
        Self {
            max_sessions: 64,
            max_handshakes: 64,
            handshake: Duration::from_secs(15),
            idle: Duration::from_secs(3_600),
        }
    }
}

/// How a session ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DtlsEnd {
    /// The exporter closed it.
    Closed,
    /// The exporter has another one from the same address.
    Replaced,
    /// Nothing came for [`DtlsLimits::idle`].
    Idle,
    /// [`DtlsServer::close`] was called.
    Stopped,
    /// An error.
    Failed(DtlsError),
}

/// Takes what a [`DtlsServer`] gives.
pub trait DtlsSink {
    /// A datagram to an exporter.
    fn send(&mut self, to: SocketAddr, datagram: &[u8]);
    /// An exporter is verified; its messages will come by this number. False refuses it.
    fn opened(&mut self, session: u64, from: SocketAddr) -> bool;
    /// There are [`DtlsLimits::max_sessions`]: one more is refused.
    fn refused(&mut self, from: SocketAddr);
    /// A message of a session.
    fn message(&mut self, session: u64, from: SocketAddr, at: Nanos, message: &[u8]);
    /// Nothing more comes of a session.
    fn closed(&mut self, session: u64, from: SocketAddr, end: &DtlsEnd);
    /// A handshake came to nothing.
    fn failed(&mut self, from: SocketAddr, error: &DtlsError);
}

/// A handshake that goes on.
struct HalfOpen {
    session: Session,
    begun: Instant,
    /// Of its ClientHello.
    random: [u8; 32],
    /// The exporter receives what is sent to its address.
    is_proven: bool,
}

/// A session whose handshake is done.
struct Established {
    session: Session,
    id: u64,
    /// Of its ClientHello.
    random: [u8; 32],
    heard: Instant,
    /// A message came: the exporter has all of the handshake.
    is_confirmed: bool,
}

/// When and whence a datagram comes.
#[derive(Clone, Copy)]
struct Arrival {
    now: Instant,
    at: Nanos,
    from: SocketAddr,
}

/// Where the datagrams and messages of one session go.
struct To<'a, S> {
    sink: &'a mut S,
    from: SocketAddr,
    at: Nanos,
    id: u64,
    messages: u64,
}

impl<S: DtlsSink> Out for To<'_, S> {
    fn datagram(&mut self, datagram: &[u8]) {
        self.sink.send(self.from, datagram);
    }
    fn message(&mut self, message: &[u8]) {
        self.messages += 1;
        self.sink.message(self.id, self.from, self.at, message);
    }
}

/// The sessions of one socket. Memory: for a session some KiB, for a handshake up to 16 datagrams of at most 18 KiB.
pub struct DtlsServer {
    tls: DtlsTls,
    limits: DtlsLimits,
    cookies: Cookies,
    start: Instant,
    looked: Instant,
    half_open: HashMap<SocketAddr, HalfOpen>,
    established: HashMap<SocketAddr, Established>,
    next_id: u64,
    counters: DtlsCounters,
    buffer: Vec<u8>,
}

impl DtlsServer {
    /// A server without a session. `now` begins its time.
    ///
    /// # Errors
    /// The system gives no random numbers for the secret of the cookies.
    pub fn new(tls: DtlsTls, limits: DtlsLimits, now: Instant) -> io::Result<Self> {
        Ok(Self {
            tls,
            limits,
            cookies: Cookies::new().map_err(|_| io::Error::other("no random numbers for cookies"))?,
            start: now,
            looked: now,
            half_open: HashMap::new(),
            established: HashMap::new(),
            next_id: 0,
            counters: DtlsCounters::default(),
            buffer: Vec::new(),
        })
    }

    /// What was counted so far.
    pub fn counters(&self) -> DtlsCounters {
        DtlsCounters { waiting: self.half_open.len() as u64, ..self.counters }
    }

    /// Takes a datagram. `now` never goes back; `at` is when it was received, by which certificates are valid or not.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        at: Nanos,
        from: SocketAddr,
        datagram: &[u8],
        sink: &mut impl DtlsSink,
    ) {
        let arrival = Arrival { now, at, from };
        self.counters.datagrams += 1;
        if datagram.len() > LONGEST {
            self.counters.stray += 1;
        } else if let Some(hello) = Hello::parse(datagram) {
            self.counters.of_handshakes += 1;
            self.hello(arrival, &hello, datagram, sink);
        } else if self.half_open.contains_key(&from) {
            let of_session = self.in_handshake(arrival, datagram, sink);
            *(if of_session { &mut self.counters.of_sessions } else { &mut self.counters.of_handshakes }) += 1;
        } else if self.established.contains_key(&from) {
            self.counters.of_sessions += 1;
            let messages = self.in_session(arrival, datagram, sink);
            self.counters.silent += u64::from(messages == 0);
        } else {
            self.counters.stray += 1;
        }
    }

    /// A ClientHello.
    fn hello(&mut self, arrival: Arrival, hello: &Hello<'_>, datagram: &[u8], sink: &mut impl DtlsSink) {
        let Arrival { now, from, .. } = arrival;
        // What the network brings again of a handshake that is done begins no other.
        if self.established.get(&from).is_some_and(|established| established.random == hello.random) {
            return;
        }
        let going_on = self.half_open.get(&from);
        if hello.is_13 {
            // Its cookie is the library's. What is no answer to that, it leaves alone.
            match going_on {
                Some(_) => drop(self.in_handshake(arrival, datagram, sink)),
                None => self.begin(arrival, hello, None, datagram, sink),
            }
            return;
        }
        let seconds = now.saturating_duration_since(self.start).as_secs();
        let Some(cookie) = self.cookies.brought(from, seconds, hello) else {
            self.counters.cookies_sent += 1;
            sink.send(from, &self.cookies.ask(from, seconds, hello));
            return;
        };
        if going_on.is_some_and(|half| half.random == hello.random) {
            self.in_handshake(arrival, datagram, sink);
        } else if hello.message_seq == 1 {
            self.begin(arrival, hello, Some(cookie), datagram, sink);
        }
    }

    fn begin(
        &mut self,
        arrival: Arrival,
        hello: &Hello<'_>,
        cookie: Option<hello::Cookie>,
        datagram: &[u8],
        sink: &mut impl DtlsSink,
    ) {
        let Arrival { now, from, .. } = arrival;
        let is_proven = cookie.is_some();
        // One of the same address makes room first, else the oldest of its kind.
        let alike = || self.half_open.iter().filter(|(_, half)| half.is_proven == is_proven);
        let gone = if self.half_open.contains_key(&from) {
            Some(from)
        } else if alike().count() >= self.limits.max_handshakes.max(1) {
            alike().min_by_key(|(_, half)| half.begun).map(|(address, _)| *address)
        } else {
            None
        };
        if let Some(gone) = gone {
            self.counters.evicted += u64::from(self.half_open.remove(&gone).is_some());
        }
        self.counters.begun += 1;
        let begun = Session::new(&self.tls, hello.is_13, now).and_then(|mut session| {
            match cookie {
                Some(cookie) => session.take_up(hello, cookie, datagram, now)?,
                None => session.handle(datagram, now)?,
            }
            Ok(session)
        });
        match begun {
            Ok(session) => {
                let half = HalfOpen { session, begun: now, random: hello.random, is_proven };
                self.go_on(arrival, half, sink);
            }
            Err(error) => {
                self.counters.failed += 1;
                sink.failed(from, &error);
            }
        }
    }

    /// A datagram of an address with a handshake: of that, or of the session before it. Gives whether it was of the session.
    fn in_handshake(&mut self, arrival: Arrival, datagram: &[u8], sink: &mut impl DtlsSink) -> bool {
        let Arrival { now, at, from } = arrival;
        if let Some(mut half) = self.half_open.remove(&from) {
            match half.session.handle(datagram, now) {
                Ok(()) => {
                    if self.go_on(arrival, half, sink) {
                        return false;
                    }
                }
                Err(error) => self.fail(at, from, half, &error, sink),
            }
        }
        !is_plaintext(datagram) && self.established.contains_key(&from) && self.in_session(arrival, datagram, sink) > 0
    }

    /// Looks what a handshake has to say. Gives whether it is done.
    fn go_on(&mut self, arrival: Arrival, mut half: HalfOpen, sink: &mut impl DtlsSink) -> bool {
        let Arrival { at, from, .. } = arrival;
        let mut to = To { sink: &mut *sink, from, at, id: 0, messages: 0 };
        match half.session.drive(&self.tls, at, &mut self.buffer, &mut to) {
            Ok(Progress::Waits) => {
                self.half_open.insert(from, half);
                false
            }
            Ok(Progress::Closed) => {
                self.counters.failed += 1;
                false
            }
            Ok(Progress::Connected) => {
                self.counters.done += 1;
                self.establish(arrival, half, sink);
                true
            }
            Err(error) => {
                self.fail(at, from, half, &error, sink);
                false
            }
        }
    }

    fn fail(&mut self, at: Nanos, from: SocketAddr, mut half: HalfOpen, error: &DtlsError, sink: &mut impl DtlsSink) {
        self.counters.failed += 1;
        let mut to = To { sink: &mut *sink, from, at, id: 0, messages: 0 };
        half.session.end(&mut self.buffer, Some(error), &mut to);
        sink.failed(from, error);
    }

    /// A handshake is done: in place of the session before, or beside the others.
    fn establish(&mut self, arrival: Arrival, half: HalfOpen, sink: &mut impl DtlsSink) {
        let Arrival { now, at, from } = arrival;
        let HalfOpen { mut session, random, .. } = half;
        if let Some(before) = self.established.remove(&from) {
            sink.closed(before.id, from, &DtlsEnd::Replaced);
        }
        let id = self.next_id;
        let is_room = self.established.len() < self.limits.max_sessions;
        if !is_room {
            sink.refused(from);
        }
        if !is_room || !sink.opened(id, from) {
            let mut to = To { sink, from, at, id, messages: 0 };
            session.end(&mut self.buffer, None, &mut to);
            return;
        }
        self.next_id += 1;
        // What came together with the end of the handshake.
        self.take(arrival, Established { session, id, random, heard: now, is_confirmed: false }, sink);
    }

    /// A datagram of a session. Gives how many messages came of it.
    fn in_session(&mut self, arrival: Arrival, datagram: &[u8], sink: &mut impl DtlsSink) -> u64 {
        let Arrival { now, at, from } = arrival;
        let Some(mut established) = self.established.remove(&from) else { return 0 };
        // In the clear nothing shows who sent it.
        if is_plaintext(datagram) && (established.is_confirmed || !established.session.takes_plaintext()) {
            self.established.insert(from, established);
            return 0;
        }
        match established.session.handle(datagram, now) {
            Ok(()) => self.take(arrival, established, sink),
            Err(error) => {
                self.end(at, from, established, &DtlsEnd::Failed(error), sink);
                0
            }
        }
    }

    /// Takes the messages out of a session, and keeps it if it goes on. Gives how many there were.
    fn take(&mut self, arrival: Arrival, mut established: Established, sink: &mut impl DtlsSink) -> u64 {
        let Arrival { now, at, from } = arrival;
        let mut to = To { sink: &mut *sink, from, at, id: established.id, messages: 0 };
        let progress = established.session.drive(&self.tls, at, &mut self.buffer, &mut to);
        let messages = to.messages;
        self.counters.messages += messages;
        if messages > 0 {
            (established.heard, established.is_confirmed) = (now, true);
        }
        match progress {
            Ok(Progress::Waits | Progress::Connected) => drop(self.established.insert(from, established)),
            Ok(Progress::Closed) => sink.closed(established.id, from, &DtlsEnd::Closed),
            Err(error) => self.end(at, from, established, &DtlsEnd::Failed(error), sink),
        }
        messages
    }

    fn end(&mut self, at: Nanos, from: SocketAddr, mut gone: Established, end: &DtlsEnd, sink: &mut impl DtlsSink) {
        let mut to = To { sink: &mut *sink, from, at, id: gone.id, messages: 0 };
        gone.session.end(&mut self.buffer, None, &mut to);
        sink.closed(gone.id, from, end);
    }

    /// Repeats what may be lost, and ends what is too old. Call it again and again.
    pub fn handle_timeout(&mut self, now: Instant, at: Nanos, sink: &mut impl DtlsSink) {
        if now.saturating_duration_since(self.looked) < LOOK_EVERY {
            return;
        }
        self.looked = now;
        let limits = self.limits;
        let is_old = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let due = |half: &HalfOpen| half.session.due <= now || is_old(half.begun, limits.handshake);
        let half_open: Vec<SocketAddr> = self.half_open.iter().filter(|(_, half)| due(half)).map(|(a, _)| *a).collect();
        for from in half_open {
            let Some(mut half) = self.half_open.remove(&from) else { continue };
            let advanced =
                if is_old(half.begun, limits.handshake) { Err(DtlsError::Slow) } else { half.session.advance(now) };
            match advanced {
                Ok(()) => drop(self.go_on(Arrival { now, at, from }, half, sink)),
                Err(error) => self.fail(at, from, half, &error, sink),
            }
        }
        let due = |kept: &Established| kept.session.due <= now || is_old(kept.heard, limits.idle);
        let established: Vec<SocketAddr> = self.established.iter().filter(|(_, e)| due(e)).map(|(a, _)| *a).collect();
        for from in established {
            let Some(mut kept) = self.established.remove(&from) else { continue };
            if is_old(kept.heard, limits.idle) {
                self.end(at, from, kept, &DtlsEnd::Idle, sink);
                continue;
            }
            match kept.session.advance(now) {
                Ok(()) => drop(self.take(Arrival { now, at, from }, kept, sink)),
                Err(error) => self.end(at, from, kept, &DtlsEnd::Failed(error), sink),
            }
        }
    }

    /// Says goodbye to all exporters. Handshakes that go on are given up.
    pub fn close(&mut self, at: Nanos, sink: &mut impl DtlsSink) {
        self.counters.failed += self.half_open.drain().count() as u64;
        for (from, established) in std::mem::take(&mut self.established) {
            self.end(at, from, established, &DtlsEnd::Stopped, sink);
        }
    }
}

/// Whether a datagram begins with a record of DTLS 1.2 in the clear: of epoch 0. Records of DTLS 1.3 begin otherwise (RFC 9147, 4).
fn is_plaintext(datagram: &[u8]) -> bool {
    matches!(datagram, [20..=26, _, _, 0, 0, ..])
}
