//! The writer: finished records to the lake, an atomic set an interval, with the ledger of that interval.
//!
//! A set that cannot be written (disk full) is lost and counted, records and packets, in the first ledger that can be written again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use capture::duplicate::{Counts, Duplicates};
use capture::live::source::QueueName;
use crossbeam::channel::{Receiver, RecvTimeoutError};

use super::books::{Named, ReceiverCount, Snapshot, Written, since};
use super::crash::{Losses, Position};
use super::worker::Counted;
use super::{Flushed, LiveOptions};
use crate::LedgerHead;
use crate::lake::{Lake, LakeError, Published, SetWriter};
use crate::packets::SharedCounts;
use crate::record::{Micros, Records};
use crate::vlan_split::VlanSplit;

/// What workers send.
pub(super) enum Sent {
    Records(Box<Records>),
    /// All that was counted, and all records before it were sent. `last`: the worker ends with it.
    Counted {
        worker: usize,
        counted: Box<Counted>,
        last: bool,
    },
}

/// How the writer asks, and where receivers answer.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Counted up to ask the workers, then the receivers.
    pub(super) workers: AtomicU64,
    pub(super) receivers: AtomicU64,
    /// The answers, with the number of the question.
    pub(super) answers: Vec<Mutex<(u64, ReceiverCount)>>,
    /// The same for the live feed, which asks workers and receivers at once.
    pub(super) feed: AtomicU64,
    pub(super) feed_answers: Vec<Mutex<(u64, ReceiverCount)>>,
    /// Ledgers published.
    pub(super) published: AtomicU64,
    /// What the writer has done.
    pub(super) written: Mutex<WriterTold>,
}

/// What the writer has done since its start, for the feed.
#[derive(Clone, Debug, Default)]
pub(super) struct WriterTold {
    pub(super) written: Written,
    pub(super) lost: Written,
    pub(super) write_errors: u64,
    pub(super) records: BTreeMap<&'static str, u64>,
    pub(super) sets: u64,
    pub(super) halves: u64,
}

/// Where receivers put their answers.
type Answers = [Mutex<(u64, ReceiverCount)>];

pub(super) fn answer(answers: &Answers, receiver: usize, number: u64, count: ReceiverCount) {
    if let Some(slot) = answers.get(receiver) {
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = (number, count);
    }
}

pub(super) fn have_answered(answers: &Answers, number: u64) -> bool {
    answers.iter().all(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).0 >= number)
}

pub(super) fn counts(answers: &Answers) -> Vec<ReceiverCount> {
    answers.iter().map(|slot| slot.lock().unwrap_or_else(PoisonError::into_inner).1.clone()).collect()
}

/// A queue's place in the ledger.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: QueueName,
    pub(super) clock: String,
}

enum Phase {
    Between,
    AskedWorkers,
    AskedReceivers,
}

/// See the [module](self).
pub(super) struct Writer<'a> {
    pub(super) lake: &'a Lake,
    pub(super) options: &'a LiveOptions,
    pub(super) sources: &'a [Source],
    pub(super) asked: &'a Asked,
    set: Option<SetWriter>,
    /// What is in the set.
    in_set: Written,
    /// Nothing more is written in this interval: the set could not be.
    failed: bool,
    latest: Vec<Counted>,
    snapshot: Snapshot,
    told: (Vec<Named>, Named),
    interval_start: Micros,
    records: BTreeMap<&'static str, u64>,
    sets: u64,
    /// Packets that came twice, by queue, when they were looked at last; and when that was warned of.
    twice: Vec<(Counts, Option<Instant>)>,
    /// Of the packet store.
    kept: Option<SharedCounts>,
    /// Directions in different VLANs; told once.
    split: VlanSplit,
    split_told: bool,
    /// What is told for the case of a SIGKILL.
    position: Option<Position>,
}

/// How long the packet store may take to write what it has, at the end.
const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// Between two warnings of the same.
const WARN_AGAIN: Duration = Duration::from_secs(600);

/// What the writer leaves.
pub(super) struct Ended {
    pub(super) snapshot: Snapshot,
    pub(super) records: BTreeMap<&'static str, u64>,
    pub(super) sets: u64,
    pub(super) error: Option<LakeError>,
}

fn now() -> Micros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        lake: &'a Lake,
        options: &'a LiveOptions,
        sources: &'a [Source],
        asked: &'a Asked,
        workers: usize,
        kept: Option<SharedCounts>,
    ) -> Self {
        Self {
            lake,
            options,
            sources,
            asked,
            set: None,
            in_set: Written::default(),
            failed: false,
            latest: vec![Counted::default(); workers],
            snapshot: Snapshot::default(),
            told: (vec![Named::new(); sources.len()], Named::new()),
            interval_start: now(),
            records: BTreeMap::new(),
            sets: 0,
            twice: vec![Default::default(); sources.len()],
            kept,
            split: VlanSplit::default(),
            split_told: false,
            position: None,
        }
    }

    /// Goes on after a capture that was killed, and tells the next what it needs to go on after this one.
    pub(super) fn after(mut self, position: Position, losses: Losses) -> Self {
        self.position = Some(position);
        self.snapshot.losses = losses;
        self
    }

    /// Runs until all workers have ended.
    pub(super) fn run(mut self, from: &Receiver<Sent>, flushed: &dyn Fn(Flushed)) -> Ended {
        let (mut phase, mut number, mut waiting) = (Phase::Between, 0, 0);
        let mut next = Instant::now() + self.options.flush;
        loop {
            match from.recv_timeout(Duration::from_millis(10)) {
                Ok(Sent::Records(records)) => self.take(*records),
                Ok(Sent::Counted { worker, counted, last }) => {
                    if let Some(latest) = self.latest.get_mut(worker) {
                        *latest = *counted;
                    }
                    waiting -= i32::from(!last);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            match phase {
                Phase::Between if Instant::now() >= next => {
                    next = Instant::now() + self.options.flush;
                    number += 1;
                    waiting = self.latest.len() as i32;
                    self.asked.workers.store(number, Ordering::Release);
                    phase = Phase::AskedWorkers;
                }
                // The workers first, so that what they took is in what the receivers say.
                Phase::AskedWorkers if waiting <= 0 => {
                    self.asked.receivers.store(number, Ordering::Release);
                    phase = Phase::AskedReceivers;
                }
                Phase::AskedReceivers if have_answered(&self.asked.answers, number) => {
                    if let Err(error) = self.close_interval(false, flushed) {
                        tracing::error!(%error, "records of this interval could not be written and are counted as lost");
                    }
                    phase = Phase::Between;
                }
                _ => {}
            }
        }
        self.wait_for_store();
        let error = self.close_interval(true, flushed).err();
        Ended { snapshot: self.snapshot, records: self.records, sets: self.sets, error }
    }

    /// What the store still writes belongs into the last ledger. Not for ever: a disk may hang.
    fn wait_for_store(&self) {
        let end = Instant::now() + STORE_PATIENCE;
        while self.kept.as_ref().is_some_and(|kept| !kept.is_final.load(Ordering::Acquire)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn take(&mut self, mut records: Records) {
        let sample = u64::from(self.options.sample.max(1));
        let count = |rows: usize| rows as u64;
        let (dns, dhcp, proxy) = (count(records.dns.len()), count(records.dhcp.len()), count(records.proxy.len()));
        let mut content = Written { dns, dhcp, proxy, ..Written::default() };
        for flow in &mut records.flow {
            content.flows += 1;
            if self.options.vlan_in_key {
                self.split.flow(flow);
            }
            for direction in std::iter::once(&mut flow.src).chain(&mut flow.dst) {
                content.packets += direction.packets;
                content.ip_bytes += direction.bytes;
                direction.packets = direction.packets.saturating_mul(sample);
                direction.bytes = direction.bytes.saturating_mul(sample);
            }
            flow.sampling = self.options.sample.max(1);
        }
        if self.failed {
            self.snapshot.lost += content;
            return;
        }
        self.in_set += content;
        if let Err(error) = self.write(records) {
            tracing::error!(%error, "records of this interval cannot be written and are counted as lost");
            self.give_up();
        }
    }

    fn begin(&mut self) -> Result<&mut SetWriter, LakeError> {
        self.lake.flush_set(&mut self.set, &self.options.sensor, self.options.memory_limit)
    }

    fn write(&mut self, mut records: Records) -> Result<(), LakeError> {
        self.begin()?.drain_records(&mut records)
    }

    /// The set is lost.
    fn give_up(&mut self) {
        self.set = None;
        self.failed = true;
        self.snapshot.write_errors += 1;
        self.snapshot.lost += std::mem::take(&mut self.in_set);
    }

    /// Ends the interval: its ledger, and the set is published.
    fn close_interval(&mut self, at_end: bool, flushed: &dyn Fn(Flushed)) -> Result<(), LakeError> {
        self.snapshot.receivers = counts(&self.asked.answers);
        let mut workers = Counted::default();
        for counted in &self.latest {
            workers.add(counted);
        }
        self.snapshot.workers = workers;
        self.snapshot.store = self.kept.as_ref().map(|kept| kept.counters()).unwrap_or_default();
        self.warn_of_duplicates();
        self.snapshot.halves = self.split.halves();
        if let (false, Some(warning)) = (self.split_told, self.split.warning()) {
            self.split_told = true;
            tracing::warn!("{warning}");
        }
        let start = std::mem::replace(&mut self.interval_start, now());
        let end = self.interval_start;
        self.failed = false;
        // As if the set were written: if it is not, its records are lost, and this ledger with them.
        let queues: Vec<Named> = (0..self.sources.len()).map(|at| self.snapshot.queue(at)).collect();
        let whole = self.snapshot.whole();
        let names: Vec<QueueName> = self.sources.iter().map(|source| source.name.clone()).collect();
        if !at_end {
            for imbalance in self.snapshot.imbalances(&names, false) {
                tracing::error!(imbalance, "the books of an interval do not close");
            }
        }
        let published = self.publish((start, end), &queues, &whole, at_end);
        let closed = match published {
            Ok(published) => {
                self.snapshot.written += std::mem::take(&mut self.in_set);
                self.told = (queues, whole);
                self.sets += 1;
                self.asked.published.fetch_add(1, Ordering::AcqRel);
                for (table, rows) in &published.rows {
                    *self.records.entry(table).or_default() += rows;
                }
                flushed(Flushed { start, end, rows: published.rows });
                Ok(())
            }
            Err(error) => {
                self.give_up();
                self.failed = false;
                // The next ledger covers this interval, too.
                self.interval_start = start;
                Err(error)
            }
        };
        let Self { snapshot: Snapshot { written, lost, write_errors, halves, .. }, records, sets, asked, .. } = self;
        *asked.written.lock().unwrap_or_else(PoisonError::into_inner) = WriterTold {
            written: *written,
            lost: *lost,
            write_errors: *write_errors,
            records: records.clone(),
            sets: *sets,
            halves: *halves,
        };
        closed
    }

    /// A mirror port that delivers packets twice makes every flow look twice as large.
    fn warn_of_duplicates(&mut self) {
        let now = &self.snapshot.workers.duplicates;
        for ((source, (before, warned)), now) in self.sources.iter().zip(&mut self.twice).zip(now) {
            let Counts { judged, copies, .. } = std::mem::replace(before, *now);
            let found = Counts { judged: now.judged - judged, copies: now.copies - copies, ..Counts::default() };
            let is_new = warned.is_none_or(|at| at.elapsed() >= WARN_AGAIN);
            if found.is_worth_a_warning() && is_new {
                *warned = Some(Instant::now());
                let QueueName { interface, queue } = &source.name;
                let what = match self.options.duplicates {
                    Duplicates::Count => {
                        "flows count them double: mirror one direction of each port, or leave copies out (deduplicate)"
                    }
                    Duplicates::Remove => "they are left out",
                };
                tracing::warn!(
                    "{interface} queue {queue}: {}% of the packets come twice, as from a mirror port of both directions; {what}",
                    found.share()
                );
            }
        }
    }

    fn publish(
        &mut self,
        (start, end): (Micros, Micros),
        queues: &[Named],
        whole: &Named,
        at_end: bool,
    ) -> Result<Published, LakeError> {
        let head = |source: String, queue: Option<i32>, clock: String| LedgerHead {
            interval_start: start,
            interval_end: end,
            sensor: self.options.sensor.clone(),
            source,
            queue,
            clock,
        };
        let mut rows = Vec::new();
        for ((source, before), now) in self.sources.iter().zip(&self.told.0).zip(queues) {
            let queue = i32::try_from(source.name.queue).ok();
            let head = head(source.name.interface.clone(), queue, source.clock.clone());
            rows.extend(head.rows(since(before, now)));
        }
        let mut names: Vec<&str> = self.sources.iter().map(|s| s.name.interface.as_str()).collect();
        names.dedup();
        let clock = self.sources.first().map(|s| s.clock.clone()).unwrap_or_default();
        rows.extend(head(names.join(","), None, clock).rows(since(&self.told.1, whole)));
        // As if this set were written: it is published with it.
        let mut told = self.snapshot.clone();
        told.written += self.in_set;
        let position = self.position.as_ref().map(|position| position.told(&told, self.sources, at_end));
        let set = self.begin()?;
        set.ledger(&rows)?;
        if let Some((source, position)) = position {
            set.position(&source, &position)?;
        }
        self.set.take().ok_or_else(|| LakeError::Encoder("no set".to_owned()))?.commit()
    }
}
