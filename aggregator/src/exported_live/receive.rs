//! A UDP receiver's thread.

use std::time::{Duration, Instant};

use capture::Nanos;
use capture::collect::socket::Receiver;
use capture::collect::{Collector, Position};
use crossbeam::channel::Sender;
use crossbeam::queue::ArrayQueue;

use super::{BATCH, Batch, Items, Memory, REMEMBER_EVERY, Shared, Told, Transport, WAIT};

/// What a receiver or a connection has to hand over, and what it handed over last.
pub(super) struct Outbox<'a> {
    pub(super) items: Items,
    number: usize,
    transport: Transport,
    to: &'a Sender<Batch>,
    spare: &'a ArrayQueue<Items>,
    last: Told,
    remembered: Option<Instant>,
    templates: u64,
}

impl<'a> Outbox<'a> {
    pub(super) fn new(shared: &'a Shared<'_>, transport: Transport, to: &'a Sender<Batch>) -> Self {
        let (number, items, spare) = (shared.number(), Items::default(), &shared.spare);
        Self { items, number, transport, to, spare, last: Told::default(), remembered: None, templates: 0 }
    }

    /// Hands over what there is, if it is much, if nothing else is to be done, or if it is the last.
    pub(super) fn send(&mut self, collector: &mut Collector, told: Told, idle: bool, is_last: bool) {
        let collected = collector.counters();
        // Whatever a template brings or takes.
        let templates = collected.templates_learnt + collected.templates_withdrawn + collected.rows_options;
        let due = self.remembered.is_none_or(|at| at.elapsed() >= REMEMBER_EVERY);
        let is_due = self.templates != templates && due;
        let is_much = self.items.0.len() >= BATCH || collector.forgotten() >= BATCH;
        if !(is_last || is_much || idle && (is_due || told != self.last)) {
            return;
        }
        // Not before it is sure that it is handed over.
        let memory = (is_last || is_due).then(|| {
            (self.remembered, self.templates) = (Some(Instant::now()), templates);
            Memory { templates: collector.memory(), decoder: collector.decoder_counters() }
        });
        let positions: Vec<Position> = collector.positions();
        self.last.clone_from(&told);
        // Room that was used before is in memory already.
        let items = std::mem::replace(&mut self.items, self.spare.pop().unwrap_or_default());
        let batch = Batch { from: self.number, items, told, positions, memory, transport: self.transport, is_last };
        // The writer ends after all receivers.
        drop(self.to.send(batch));
    }
}

/// A receiver, until it is stopped and its socket is empty.
pub(super) fn receive(mut receiver: Receiver, shared: &Shared<'_>, to: &Sender<Batch>) {
    let options = shared.options;
    let mut collector = Collector::new(options.limits, options.decoder.clone());
    // Each receiver remembers all: which exporter comes to which is not known yet.
    for part in shared.memory.split('\u{1e}').filter(|part| !part.is_empty()) {
        if let Err(error) = collector.remember(part) {
            tracing::warn!(%error, "what was remembered of exporters is damaged; the rest of it is left out");
        }
    }
    for (exporter, expected) in shared.resume {
        if !collector.resume(exporter, *expected) {
            tracing::warn!(exporter, "where an exporter stood cannot be read");
        }
    }
    let (mut outbox, mut told) = (Outbox::new(shared, Transport::Datagrams, to), Told::default());
    loop {
        // Before the look into the socket: what came before the stop is read.
        let stopped = shared.is_stopped();
        let wait = if stopped { Duration::ZERO } else { WAIT };
        let denied = &mut told.denied;
        let received = receiver.receive(wait, |from, at, datagram| {
            if options.allowed.allows(from.ip()) {
                collector.handle_datagram(Nanos(at), from.ip(), datagram, &mut outbox.items);
            } else {
                *denied += 1;
            }
        });
        let idle = told.is_idle(received);
        (told.collected, told.received) = (*collector.counters(), receiver.counters());
        told.waiting = collector.waiting().0;
        let is_last = idle && stopped || shared.is_over();
        outbox.send(&mut collector, told.clone(), idle, is_last);
        if is_last {
            break;
        }
    }
}
