//! DTLS: a thread for each socket, with the sessions of its exporters.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use capture::Nanos;
use capture::collect::Collector;
use capture::collect::dtls::{DtlsCounters, DtlsEnd, DtlsError, DtlsLimits, DtlsServer, DtlsSink, DtlsTls};
use capture::collect::socket::{Receiver, Replier};
use crossbeam::channel::Sender;

use super::receive::Outbox;
use super::{Batch, Shared, Told, Transport, WAIT};

/// A socket, and what it shows to exporters.
#[derive(Debug)]
pub struct DtlsSocket {
    /// Of a group as for UDP: an exporter stays with one socket.
    pub receiver: Receiver,
    /// Certificate and authorities.
    pub tls: DtlsTls,
}

/// What belongs to one exporter's session.
struct Session<'a> {
    collector: Collector,
    outbox: Outbox<'a>,
    /// Something came since the last look.
    is_touched: bool,
    /// Something may not be handed over yet.
    is_dirty: bool,
}

/// Takes what the sans-IO server gives.
struct Exporters<'a> {
    shared: &'a Shared<'a>,
    to: &'a Sender<Batch>,
    replier: Replier,
    sessions: HashMap<u64, Session<'a>>,
    told: Told,
    not_sent: u64,
    /// Handshakes, for the log.
    failed: u64,
}

impl Session<'_> {
    /// Hands over what there is; at the end, with what never found its template.
    fn send(&mut self, idle: bool, is_last: bool) {
        let (waiting, bytes) = self.collector.waiting();
        let mut told = Told { collected: *self.collector.counters(), waiting, ..Told::default() };
        if is_last {
            told.collected.sets_lost += waiting;
            told.collected.bytes_lost += bytes;
            told.waiting = 0;
        }
        self.outbox.send(&mut self.collector, told, idle, is_last);
    }
}

impl DtlsSink for Exporters<'_> {
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.replier.send_to(to, datagram) {
            self.not_sent += 1;
            if self.not_sent.is_power_of_two() {
                tracing::warn!(%to, %error, times = self.not_sent, "answering an exporter failed");
            }
        }
    }

    fn opened(&mut self, session: u64, from: SocketAddr) -> bool {
        let shared = self.shared;
        if shared.connections.load(Ordering::Relaxed) >= shared.options.max_connections {
            self.refused(from);
            return false;
        }
        self.told.connections.accepted += 1;
        shared.connections.fetch_add(1, Ordering::Relaxed);
        let session_of = Session {
            collector: Collector::new(shared.options.limits, shared.options.decoder.clone()),
            outbox: Outbox::new(shared, Transport::Stream, self.to),
            is_touched: false,
            is_dirty: false,
        };
        self.sessions.insert(session, session_of);
        true
    }

    fn refused(&mut self, from: SocketAddr) {
        self.told.connections.refused += 1;
        tracing::warn!(%from, most = self.shared.options.max_connections, "too many connections: a DTLS session is refused");
    }

    fn message(&mut self, session: u64, from: SocketAddr, at: Nanos, message: &[u8]) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.collector.handle_datagram(at, from.ip(), message, &mut session.outbox.items);
            (session.is_touched, session.is_dirty) = (true, true);
        }
    }

    fn closed(&mut self, session: u64, from: SocketAddr, end: &DtlsEnd) {
        match end {
            DtlsEnd::Failed(error) => {
                tracing::warn!(%from, %error, "a DTLS session is closed");
                self.told.connections.failed += 1;
            }
            DtlsEnd::Idle => self.told.connections.idle += 1,
            DtlsEnd::Replaced => tracing::info!(%from, "an exporter has begun a new DTLS session"),
            DtlsEnd::Closed | DtlsEnd::Stopped => {}
        }
        if let Some(mut session) = self.sessions.remove(&session) {
            session.send(true, true);
            self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn failed(&mut self, from: SocketAddr, error: &DtlsError) {
        // Anyone can make these.
        self.failed += 1;
        if self.failed.is_power_of_two() {
            tracing::warn!(%from, %error, times = self.failed, "a DTLS handshake failed");
        }
    }
}

impl Exporters<'_> {
    /// What was touched hands over what is much, the others that have something, all of it.
    fn hand_over(&mut self) {
        for session in self.sessions.values_mut().filter(|session| session.is_dirty) {
            session.is_dirty = session.is_touched;
            session.send(!session.is_touched, false);
            session.is_touched = false;
        }
    }
}

/// Receives from a DTLS socket until it is stopped and the socket is empty.
pub(super) fn serve(socket: DtlsSocket, shared: &Shared<'_>, to: &Sender<Batch>) {
    let DtlsSocket { mut receiver, tls } = socket;
    let options = shared.options;
    let limits =
        DtlsLimits { max_sessions: options.max_connections, idle: options.connection_idle, ..DtlsLimits::default() };
    let server = receiver.replier().and_then(|replier| Ok((replier, DtlsServer::new(tls, limits, Instant::now())?)));
    let (replier, mut server) = match server {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(%error, "a DTLS socket cannot be served");
            return;
        }
    };
    // Of the socket itself, which has no items.
    let mut collector = Collector::new(options.limits, options.decoder.clone());
    let mut outbox = Outbox::new(shared, Transport::Stream, to);
    let mut exporters =
        Exporters { shared, to, replier, sessions: HashMap::new(), told: Told::default(), not_sent: 0, failed: 0 };
    loop {
        // Before the look into the socket: what came before the stop is read.
        let stopped = shared.is_stopped();
        let received = receiver.receive(if stopped { Duration::ZERO } else { WAIT }, |from, at, datagram| {
            if options.allowed.allows(from.ip()) {
                server.handle_datagram(Instant::now(), Nanos(at), from, datagram, &mut exporters);
            } else {
                exporters.told.denied += 1;
            }
        });
        let idle = exporters.told.is_idle(received);
        let at = Nanos(crate::state::now().0.saturating_mul(1_000));
        let is_last = idle && stopped || shared.is_over();
        if is_last {
            server.close(at, &mut exporters);
        } else {
            server.handle_timeout(Instant::now(), at, &mut exporters);
        }
        exporters.hand_over();
        let dtls = DtlsCounters { not_sent: exporters.not_sent, ..server.counters() };
        (exporters.told.received, exporters.told.dtls) = (receiver.counters(), dtls);
        outbox.send(&mut collector, exporters.told.clone(), idle, is_last);
        if is_last {
            break;
        }
    }
}
