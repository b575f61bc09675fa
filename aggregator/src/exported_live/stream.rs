//! TCP and TLS: a thread that takes connections, and one for each of them.

use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Scope;
use std::time::Instant;

use capture::Nanos;
use capture::collect::Collector;
use capture::collect::stream_socket::{StreamListener, StreamRead};
use crossbeam::channel::Sender;

use super::receive::Outbox;
use super::{Batch, Shared, Told, Transport, WAIT};

/// Counters of connections.
///
/// | counter | meaning |
/// |---|---|
/// | `connections.accepted` | connections taken; sessions of DTLS whose exporter is verified |
/// | `connections.denied`, `connections.refused` | closed at once: not on the allow-list (with DTLS, `datagrams.denied`); too many |
/// | `connections.failed` | ended by an error: not IPFIX, TLS, the network |
/// | `connections.idle` | closed because nothing came |
/// | `bytes.cut_by_connection_end` | of messages whose end never came |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectionCounters {
    pub(super) accepted: u64,
    pub(super) denied: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) idle: u64,
    pub(super) bytes_cut: u64,
}

impl ConnectionCounters {
    pub(super) const fn list(&self) -> [(&'static str, u64); 6] {
        [
            ("connections.accepted", self.accepted),
            ("connections.denied", self.denied),
            ("connections.refused", self.refused),
            ("connections.failed", self.failed),
            ("connections.idle", self.idle),
            ("bytes.cut_by_connection_end", self.bytes_cut),
        ]
    }
}

/// Takes connections until the stop, and those that waited then.
pub(super) fn listen<'scope, 'env>(
    scope: &'scope Scope<'scope, 'env>,
    listener: StreamListener,
    shared: &'scope Shared<'scope>,
    to: &Sender<Batch>,
) {
    let listener = Arc::new(listener);
    let mut collector = Collector::new(shared.options.limits, shared.options.decoder.clone());
    let (mut outbox, mut told) = (Outbox::new(shared, Transport::Stream, to), Told::default());
    loop {
        // Before the look: those that wait when the stop comes have sent what the kernel has already taken from them.
        let stopped = shared.is_stopped();
        match listener.accept() {
            Ok(Some((stream, from))) => {
                let counters = &mut told.connections;
                let from = from.ip();
                if !shared.options.allowed.allows(from) {
                    counters.denied += 1;
                } else if shared.connections.load(Ordering::Relaxed) >= shared.options.max_connections {
                    counters.refused += 1;
                    tracing::warn!(%from, most = shared.options.max_connections, "too many connections: one is closed");
                } else {
                    counters.accepted += 1;
                    shared.connections.fetch_add(1, Ordering::Relaxed);
                    let (listener, to) = (Arc::clone(&listener), to.clone());
                    scope.spawn(move || {
                        connection(&listener, stream, from, shared, &to);
                        shared.connections.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                outbox.send(&mut collector, told.clone(), true, false);
                if !shared.is_over() {
                    continue;
                }
            }
            Ok(None) => {}
            Err(error) => {
                told.errors += 1;
                if told.errors.is_power_of_two() {
                    tracing::warn!(%error, times = told.errors, "taking a connection failed; trying again");
                }
            }
        }
        if stopped {
            break;
        }
        std::thread::sleep(WAIT);
    }
    outbox.send(&mut collector, told, true, true);
}

/// Reads a connection to its end, or to the stop.
fn connection(listener: &StreamListener, stream: TcpStream, from: IpAddr, shared: &Shared<'_>, to: &Sender<Batch>) {
    let options = shared.options;
    let mut collector = Collector::new(options.limits, options.decoder.clone());
    let (mut outbox, mut told) = (Outbox::new(shared, Transport::Stream, to), Told::default());
    let mut opened = match listener.open(stream, WAIT) {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(%from, %error, "a connection cannot be read");
            told.connections.failed += 1;
            outbox.send(&mut collector, told, true, true);
            return;
        }
    };
    let mut heard = Instant::now();
    loop {
        let stopped = shared.is_stopped();
        let read = opened.receive(|message| {
            let now = Nanos(crate::state::now().0.saturating_mul(1_000));
            collector.handle_datagram(now, from, message, &mut outbox.items);
        });
        let (mut is_last, mut idle) = (false, true);
        match read {
            Ok(StreamRead::Some) => (heard, idle) = (Instant::now(), false),
            Ok(StreamRead::Nothing) if stopped => is_last = true,
            Ok(StreamRead::Nothing) if heard.elapsed() >= options.connection_idle => {
                told.connections.idle += 1;
                is_last = true;
            }
            Ok(StreamRead::Nothing) => {}
            Ok(StreamRead::Closed { left }) => {
                told.connections.bytes_cut += left as u64;
                is_last = true;
            }
            Err(error) => {
                tracing::warn!(%from, %error, "a connection is closed");
                told.connections.failed += 1;
                is_last = true;
            }
        }
        is_last |= shared.is_over();
        told.collected = *collector.counters();
        told.waiting = collector.waiting().0;
        if is_last {
            // No template comes any more.
            told.collected.sets_lost += told.waiting;
            told.collected.bytes_lost += collector.waiting().1;
            told.waiting = 0;
        }
        outbox.send(&mut collector, told.clone(), idle, is_last);
        if is_last {
            break;
        }
    }
}
