//! Collecting: sockets, decoders and the writer around the sans-IO [`Collector`] and [`Exported`].
//!
//! A receiver thread per socket reads and decodes; one writer pairs flows and publishes a set an interval with its ledger.
//! Between them is a bounded channel: when the lake is slower than the exporters, the sockets fill up, and what the
//! kernel drops is counted as `datagrams.dropped_by_socket`. Templates are stored with each set, so that data decodes at once after
//! a restart, however it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use capture::collect::socket::{Receiver, ReceiverCounters};
use capture::collect::{CollectCounters, CollectLimits, Collector, ExportSink, ExportedFlow, InterfaceCounters};
use capture::{DecoderConfig, Message, Nanos, Sink as _};
use crossbeam::channel::{RecvTimeoutError, Sender, bounded};

use crate::exported::{Exported, ExportedConfig};
use crate::exported_interfaces::interfaces;
use crate::lake::{Lake, LakeError, SetKind, SetWriter, Table, WriterOptions, check_sensor};
use crate::record::{Micros, Origin};
use crate::{Aggregator, AggregatorConfig, LedgerHead};

/// Longest wait of a receiver for datagrams, and so for its stop.
const RECEIVER_WAIT: Duration = Duration::from_millis(50);
/// Batches that may wait for the writer.
const BATCHES: usize = 64;
/// What a batch holds before it is sent.
const BATCH: usize = 512;
/// Templates are stored again at most this often.
const REMEMBER_EVERY: Duration = Duration::from_secs(1);
/// Where in the state database.
const REMEMBERED: &str = "collect:templates";

/// Settings of [`collect`].
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// Name of the sensor.
    pub sensor: String,
    /// Bounds of templates and of what waits for them, of each receiver.
    pub limits: CollectLimits,
    /// How sampled packets are read.
    pub decoder: DecoderConfig,
    /// How flows are paired.
    pub pairing: ExportedConfig,
    /// Who may export; empty: everybody.
    pub allowed: BTreeSet<IpAddr>,
    /// Between two sets. 10 s.
    pub flush: Duration,
    /// Bytes of rows in memory; see [`WriterOptions::memory_limit`].
    pub memory_limit: usize,
    /// Ends after this time.
    pub duration: Option<Duration>,
}

impl CollectOptions {
    /// The defaults for a sensor.
    pub fn new(sensor: &str) -> Self {
        Self {
            sensor: sensor.to_owned(),
            limits: CollectLimits::default(),
            decoder: DecoderConfig::default(),
            pairing: ExportedConfig::new(sensor),
            allowed: BTreeSet::new(),
            flush: Duration::from_secs(10),
            memory_limit: 96 << 20,
            duration: None,
        }
    }
}

/// What collecting did.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct CollectReport {
    /// How long it took.
    pub seconds: f64,
    /// Records by table.
    pub records: BTreeMap<&'static str, u64>,
    /// Sets published.
    pub sets: u64,
    /// The ledger: counter and value.
    pub ledger: BTreeMap<String, u64>,
    /// Equations that do not hold; none, unless Spotter is at fault.
    pub imbalances: Vec<String>,
    /// Why the last set could not be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

enum Item {
    Flow(ExportedFlow),
    Interface(InterfaceCounters),
    Message(Message),
}

#[derive(Default)]
struct Batch(Vec<Item>);

impl ExportSink for Batch {
    fn flow(&mut self, flow: &ExportedFlow) {
        self.0.push(Item::Flow(flow.clone()));
    }
    fn interface(&mut self, counters: &InterfaceCounters) {
        self.0.push(Item::Interface(counters.clone()));
    }
    fn message(&mut self, message: Message) {
        self.0.push(Item::Message(message));
    }
}

/// What a receiver tells.
#[derive(Clone, Debug, Default)]
struct Told {
    collected: CollectCounters,
    received: ReceiverCounters,
    denied: u64,
    errors: u64,
    waiting: u64,
    decoder: Vec<(&'static str, u64)>,
    memory: String,
}

type Named = BTreeMap<String, u64>;

/// Collects until the interrupt, or for the given time. An error means the lake cannot be opened for writing at all.
pub fn collect(
    lake: &Lake,
    receivers: Vec<Receiver>,
    options: &CollectOptions,
    interrupt: &AtomicBool,
) -> Result<CollectReport, LakeError> {
    check_sensor(&options.sensor)?;
    lake.recover()?;
    let memory = lake.state().offset(REMEMBERED)?.unwrap_or_default();
    let begun = Instant::now();
    let told: Vec<Mutex<Told>> = receivers.iter().map(|_| Mutex::new(Told::default())).collect();
    let stop = AtomicBool::new(false);
    let (to, from) = bounded(BATCHES);
    let mut report = std::thread::scope(|scope| {
        for (receiver, told) in receivers.into_iter().zip(&told) {
            let (to, stop, memory) = (to.clone(), &stop, memory.as_str());
            scope.spawn(move || receive(receiver, options, memory, &to, stop, told));
        }
        drop(to);
        let mut writer = Writer::new(lake, options, &told);
        let mut next = Instant::now() + options.flush;
        loop {
            match from.recv_timeout(Duration::from_millis(50)) {
                Ok(Batch(items)) => writer.take(items),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let over = options.duration.is_some_and(|duration| begun.elapsed() >= duration);
            // Relaxed: flags that order nothing.
            if over || interrupt.load(Ordering::Relaxed) {
                stop.store(true, Ordering::Relaxed);
            }
            if Instant::now() >= next {
                next = Instant::now() + options.flush;
                writer.flush(false);
            }
        }
        writer.flush(true);
        writer.report
    });
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// A receiver, until it is stopped and its socket is empty.
fn receive(
    mut receiver: Receiver,
    options: &CollectOptions,
    memory: &str,
    to: &Sender<Batch>,
    stop: &AtomicBool,
    told: &Mutex<Told>,
) {
    let mut collector = Collector::new(options.limits, options.decoder.clone());
    // Each receiver remembers all: which exporter comes to which is not known yet.
    for part in memory.split('\u{1e}').filter(|part| !part.is_empty()) {
        if let Err(error) = collector.remember(part) {
            tracing::warn!(%error, "what was remembered of exporters is damaged; the rest of it is left out");
        }
    }
    let (mut batch, mut denied, mut errors, mut remembered) = (Batch::default(), 0_u64, 0_u64, Instant::now());
    let mut tell = |collector: &Collector, receiver: &Receiver, denied: u64, errors: u64, last: bool| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        (told.collected, told.received) = (*collector.counters(), receiver.counters());
        (told.denied, told.errors, told.waiting) = (denied, errors, collector.waiting().0);
        if last || told.memory.is_empty() || remembered.elapsed() >= REMEMBER_EVERY {
            remembered = Instant::now();
            told.memory = collector.memory();
            told.decoder = collector.decoder_counters();
        }
    };
    loop {
        // Before the look into the socket: what came before the stop is read.
        let stopped = stop.load(Ordering::Relaxed);
        let wait = if stopped { Duration::ZERO } else { RECEIVER_WAIT };
        let received = receiver.receive(wait, |from, at, datagram| {
            if !options.allowed.is_empty() && !options.allowed.contains(&from.ip()) {
                denied += 1;
            } else {
                collector.handle_datagram(Nanos(at), from.ip(), datagram, &mut batch);
            }
        });
        let idle = match received {
            Ok(count) => count == 0,
            Err(error) => {
                errors += 1;
                if errors.is_power_of_two() {
                    tracing::warn!(%error, times = errors, "receiving failed; trying again");
                }
                std::thread::sleep(RECEIVER_WAIT);
                true
            }
        };
        if !batch.0.is_empty() && (idle || batch.0.len() >= BATCH) {
            // The writer ends after all receivers.
            drop(to.send(std::mem::take(&mut batch)));
        }
        if idle || batch.0.is_empty() {
            tell(&collector, &receiver, denied, errors, idle && stopped);
        }
        if idle && stopped {
            break;
        }
    }
}

struct Writer<'a> {
    lake: &'a Lake,
    options: &'a CollectOptions,
    told: &'a [Mutex<Told>],
    exported: Exported,
    messages: Aggregator,
    interfaces: Vec<InterfaceCounters>,
    set: Option<SetWriter>,
    before: Named,
    stored: String,
    start: Micros,
    lost: u64,
    report: CollectReport,
}

impl<'a> Writer<'a> {
    fn new(lake: &'a Lake, options: &'a CollectOptions, told: &'a [Mutex<Told>]) -> Self {
        Self {
            lake,
            options,
            told,
            exported: Exported::new(ExportedConfig { sensor: options.sensor.clone(), ..options.pairing.clone() }),
            messages: Aggregator::new(AggregatorConfig::new(options.sensor.clone(), Origin::SFlow)),
            interfaces: Vec::new(),
            set: None,
            before: Named::new(),
            stored: String::new(),
            start: crate::state::now(),
            lost: 0,
            report: CollectReport::default(),
        }
    }

    fn take(&mut self, items: Vec<Item>) {
        for item in items {
            match item {
                Item::Flow(flow) => {
                    self.exported.advance(flow.received);
                    self.exported.handle_flow(&flow);
                }
                Item::Interface(counters) => self.interfaces.push(counters),
                Item::Message(message) => {
                    self.messages.advance(message.ts);
                    self.messages.message(message);
                }
            }
        }
        if self.exported.records_mut().len() >= BATCH
            || self.messages.finished() >= BATCH
            || self.interfaces.len() >= BATCH
        {
            self.drain();
        }
    }

    /// Finished records go to the set; those that cannot are lost and counted.
    fn drain(&mut self) {
        let flows = std::mem::take(self.exported.records_mut());
        let mut records = self.messages.take_records();
        records.flow.extend(flows);
        let interfaces = std::mem::take(&mut self.interfaces);
        let count = (records.flow.len() + records.dns.len() + records.proxy.len() + interfaces.len()) as u64;
        if count == 0 {
            return;
        }
        let sensor = self.options.sensor.clone();
        let written = self.set().and_then(|set| {
            set.records(records)?;
            if interfaces.is_empty() {
                Ok(())
            } else {
                set.batch(Table::Interfaces, &self::interfaces(&sensor, &interfaces)?)
            }
        });
        if let Err(error) = written {
            self.give_up(count, &error);
        }
    }

    fn give_up(&mut self, records: u64, error: &LakeError) {
        tracing::error!(%error, "records cannot be written and are counted as lost");
        self.report.error = Some(error.to_string());
        self.lost += records;
        self.set = None;
    }

    fn set(&mut self) -> Result<&mut SetWriter, LakeError> {
        if self.set.is_none() {
            let mut options = WriterOptions::new(&self.options.sensor);
            options.memory_limit = self.options.memory_limit;
            self.set = Some(self.lake.begin(SetKind::Flush, options)?);
        }
        self.set.as_mut().ok_or_else(|| LakeError::Encoder("no set".to_owned()))
    }

    fn flush(&mut self, at_end: bool) {
        let now = crate::state::now();
        let clock = Nanos(now.0.saturating_mul(1_000));
        self.exported.advance(clock);
        self.messages.advance(clock);
        if at_end {
            self.exported.finish();
            self.messages.finish();
        }
        self.drain();
        let counters = self.counters();
        if !self.exported.counters().closes() {
            let text = format!("exported.flows do not close: {:?}", self.exported.counters());
            tracing::error!(text, "the books of collecting do not close");
            self.report.imbalances.push(text);
        }
        let rows = LedgerHead {
            interval_start: self.start,
            interval_end: now,
            sensor: self.options.sensor.clone(),
            source: "collect".to_owned(),
            queue: None,
            clock: "exporter".to_owned(),
        }
        .rows(since(&self.before, &counters));
        let committed = self.set().and_then(|set| set.ledger(&rows)).and_then(|()| match self.set.take() {
            Some(set) => set.commit(),
            None => Err(LakeError::Encoder("no set".to_owned())),
        });
        match committed {
            Ok(published) => {
                self.start = now;
                self.before.clone_from(&counters);
                self.report.sets += 1;
                self.report.error = None;
                for (table, rows) in &published.rows {
                    *self.report.records.entry(table).or_default() += rows;
                }
            }
            // The next ledger covers this interval, too.
            Err(error) => self.give_up(0, &error),
        }
        self.report.ledger = counters;
        self.remember();
    }

    /// Stores what is known of the exporters, if it is more than what is stored.
    fn remember(&mut self) {
        let parts = self.told.iter().map(|told| told.lock().unwrap_or_else(PoisonError::into_inner).memory.clone());
        let memory = parts.collect::<Vec<_>>().join("\u{1e}");
        if memory != self.stored {
            match self.lake.state().set_offset(REMEMBERED, &memory) {
                Ok(()) => self.stored = memory,
                Err(error) => tracing::warn!(%error, "templates could not be stored"),
            }
        }
    }

    fn counters(&self) -> Named {
        let mut all = Named::new();
        for told in self.told {
            let told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let Told { collected, received, denied, errors, waiting, decoder, .. } = &*told;
            let own = [
                ("datagrams.received", received.datagrams),
                ("datagrams.dropped_by_socket", received.dropped_by_socket),
                ("datagrams.denied", *denied),
                ("receive_errors", *errors),
                ("sets.waiting", *waiting),
            ];
            for (name, value) in collected.list().into_iter().chain(own).chain(decoder.iter().copied()) {
                *all.entry(name.to_owned()).or_default() += value;
            }
        }
        let stats = self.messages.stats().counters();
        let dns = stats
            .into_iter()
            .filter(|(name, value)| *value > 0 && (name.starts_with("dns.") || name.starts_with("http.")));
        all.extend(
            self.exported.counters().list().into_iter().chain(dns).map(|(name, value)| (name.to_owned(), value)),
        );
        all.insert("records.lost_on_write".to_owned(), self.lost);
        all
    }
}

/// What an interval brought; stocks as they are. What stayed 0 is left out, but for what came and what was lost.
fn since(before: &Named, now: &Named) -> Named {
    let told = |name: &str| {
        matches!(
            name,
            "datagrams.seen" | "bytes.seen" | "datagrams.dropped_by_socket" | "sequence.lost" | "exported.flows"
        )
    };
    now.iter()
        .filter_map(|(name, value)| {
            let is_stock = name.ends_with("waiting");
            let was = before.get(name).copied().unwrap_or(0);
            let value = if is_stock { *value } else { value.saturating_sub(was) };
            (value > 0 || told(name)).then(|| (name.clone(), value))
        })
        .collect()
}
