//! The teller: once a second what the shards metered, with the books as they are, to whoever watches.
//!
//! It asks workers and receivers, waits for the answers a moment, and reports. An answer that is late is part of the next
//! report; nobody waits for the teller.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use capture::live::source::{Mode, Tally};
use crossbeam::channel::{Receiver, RecvTimeoutError};

use super::LiveOptions;
use super::books::{Named, Snapshot};
use super::crash::Losses;
use super::worker::Counted;
use super::write::{Asked, Source, counts, have_answered};
use crate::feed::{
    Feed, Gauges, Loss, Part, QueueMeter, RecordCounts, Report, Second, SourceKind, Traffic, Volume, time,
};
use crate::packets::SharedCounts;
use crate::record::Micros;

/// How long answers are waited for: a receiver looks every 50 ms.
const PATIENCE: Duration = Duration::from_millis(300);

/// Terms of the books that are losses by overload.
const LOSSES: [&str; 9] = [
    "missed_before_probe",
    "lost_ring_full",
    "lost_xsk",
    "lost_copy_ring",
    "redirect_failed",
    "lost_shard_ring",
    "lost_onward_ring",
    "lost_on_write",
    "lost_at_crash",
];

/// What a worker metered.
pub(super) struct Metering {
    pub(super) worker: usize,
    /// The question it answers.
    pub(super) asked: u64,
    pub(super) part: Box<Part>,
    pub(super) counted: Box<Counted>,
}

/// See the [module](self).
pub(super) struct Teller<'a> {
    feed: &'a Feed,
    options: &'a LiveOptions,
    sources: &'a [Source],
    modes: &'a [Mode],
    asked: &'a Asked,
    latest: Vec<Counted>,
    part: Part,
    wire: Tally,
    lost: Named,
    told: Instant,
    kept: Option<SharedCounts>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(
        feed: &'a Feed,
        options: &'a LiveOptions,
        sources: &'a [Source],
        modes: &'a [Mode],
        asked: &'a Asked,
        workers: usize,
        kept: Option<SharedCounts>,
    ) -> Self {
        Self {
            feed,
            options,
            sources,
            modes,
            asked,
            latest: vec![Counted::default(); workers],
            part: Part::default(),
            wire: Tally::default(),
            lost: Named::new(),
            told: Instant::now(),
            kept,
        }
    }

    /// Until all workers have ended.
    pub(super) fn run(mut self, from: &Receiver<Metering>) {
        let mut number = 0;
        loop {
            let (deadline, at) = next_second();
            if !self.take_until(from, deadline, &mut |_| false) {
                break;
            }
            number += 1;
            self.asked.feed.store(number, Ordering::Release);
            let (patience, mut waiting) = (Instant::now() + PATIENCE, self.latest.len());
            let more = self.take_until(from, patience, &mut |asked| {
                waiting -= usize::from(asked == number && waiting > 0);
                waiting == 0
            });
            if !more {
                break;
            }
            while !have_answered(&self.asked.feed_answers, number) && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(5));
            }
            self.tell(at, false);
        }
        self.tell(next_second().1, true);
        self.feed.to.ended(&self.feed.source);
    }

    /// Takes what comes until the deadline or `enough`. `false`: nothing comes any more.
    fn take_until(&mut self, from: &Receiver<Metering>, until: Instant, enough: &mut dyn FnMut(u64) -> bool) -> bool {
        loop {
            match from.recv_deadline(until) {
                Ok(Metering { worker, asked, part, counted }) => {
                    if let Some(latest) = self.latest.get_mut(worker) {
                        *latest = *counted;
                    }
                    self.part.merge(*part);
                    if enough(asked) {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    fn tell(&mut self, at: Micros, ended: bool) {
        let told = self.asked.written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut workers = Counted::default();
        self.latest.iter().for_each(|counted| workers.add(counted));
        let (flows, (ring_batches, ring_batches_limit)) = (workers.stats.flows_live, workers.rings);
        let taken: Tally = workers.taken.iter().copied().sum();
        let snapshot = Snapshot {
            receivers: counts(&self.asked.feed_answers),
            workers,
            written: told.written,
            lost: told.lost,
            write_errors: told.write_errors,
            halves: told.halves,
            store: self.kept.as_ref().map(|kept| kept.counters()).unwrap_or_default(),
            // The first ledger has them.
            losses: Losses::default(),
        };
        let queues = self.sources.iter().zip(self.modes).enumerate().map(|(at, (source, mode))| QueueMeter {
            interface: source.name.interface.clone(),
            queue: source.name.queue,
            mode: mode.as_str().to_owned(),
            ledger: snapshot.queue(at),
        });
        let queues: Vec<QueueMeter> = queues.collect();
        let whole = snapshot.whole();
        let sums = sums(&queues, &whole);
        let mut second = Second {
            source: self.feed.source.clone(),
            kind: SourceKind::Capture,
            sensor: self.options.sensor.clone(),
            at: time(at),
            interval_us: 0,
            ended,
            traffic: Traffic::default(),
            records: RecordCounts::default(),
            talkers: Vec::new(),
            pairs: Vec::new(),
            names: Vec::new(),
            short: Volume::default(),
            last: Vec::new(),
            drops: losses(&self.lost, &sums),
            ledger: main_terms(&sums),
            reports_lost: 0,
        };
        std::mem::take(&mut self.part).tell(&mut second, &self.feed.home);
        let before = std::mem::replace(&mut self.wire, taken);
        second.traffic.wire = Volume { packets: taken.packets - before.packets, bytes: taken.bytes - before.bytes };
        let now = Instant::now();
        let interval = now.duration_since(std::mem::replace(&mut self.told, now));
        second.interval_us = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
        self.lost = sums;
        self.feed.to.report(Report {
            second,
            queues,
            whole,
            written: told.records.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect(),
            sets: told.sets,
            gauges: Gauges {
                flows,
                flows_limit: self.options.limits.max_flows as u64,
                ring_batches,
                ring_batches_limit,
            },
        });
    }
}

/// When this second ends, and its name.
fn next_second() -> (Instant, Micros) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_secs(1).saturating_sub(Duration::from_nanos(since.subsec_nanos().into()));
    let at = i64::try_from(since.as_secs() + 1).unwrap_or(0).saturating_mul(1_000_000);
    (Instant::now() + left, Micros(at))
}

/// All counters, over all queues.
fn sums(queues: &[QueueMeter], whole: &Named) -> Named {
    let mut sums = whole.clone();
    for (name, value) in queues.iter().flat_map(|queue| &queue.ledger) {
        *sums.entry(name.clone()).or_default() += value;
    }
    sums
}

fn losses(before: &Named, now: &Named) -> Vec<Loss> {
    let loss = |cause: &&str| {
        let name = format!("packets.{cause}");
        let total = now.get(&name).copied().unwrap_or(0);
        let packets = total.saturating_sub(before.get(&name).copied().unwrap_or(0));
        (total > 0).then(|| Loss { cause: (*cause).to_owned(), packets, total })
    };
    let mut losses: Vec<Loss> = LOSSES.iter().filter_map(loss).collect();
    losses.sort_by_key(|loss| std::cmp::Reverse(loss.total));
    losses
}

/// The terms without their causes, in packets, and the flows.
fn main_terms(sums: &Named) -> BTreeMap<String, u64> {
    let packets = sums.iter().filter_map(|(name, value)| {
        let term = name.strip_prefix("packets.").filter(|term| !term.contains('.'))?;
        Some((term.to_owned(), *value))
    });
    let flows = ["flows.opened", "flows.exported", "flows.live"];
    packets.chain(flows.into_iter().filter_map(|name| Some((name.to_owned(), *sums.get(name)?)))).collect()
}
