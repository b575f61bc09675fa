//! Collecting: sockets, decoders and the writer around the sans-IO [`Collector`](capture::collect::Collector) and
//! [`Exported`](crate::exported::Exported).
//!
//! A thread per UDP or DTLS socket, and per TCP or TLS connection, reads and decodes; one writer pairs flows and publishes a set an interval with
//! its ledger. Between them is a bounded channel: when the lake is slower than the exporters, UDP sockets fill up, and what the
//! kernel drops is counted as `datagrams.dropped_by_socket`; TCP exporters wait.
//!
//! What outlives the process, however it ends, is in the state database: templates as they come, and, in the transaction that
//! publishes a set, where the numbering of each exporter stood with that set. So after a crash every flow that an exporter numbered is in one
//! term: in a record, `sequence.lost_over_restart`, or `exported.lost_at_crash` (it waited in memory for its opposite).

mod deeds;
mod dtls;
mod lag;
mod receive;
mod stream;
mod write;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use capture::collect::dtls::DtlsCounters;
use capture::collect::socket::{Receiver, ReceiverCounters};
use capture::collect::stream_socket::StreamListener;
use capture::collect::{
    AllowList, CollectCounters, CollectLimits, ExportSink, ExportedFlow, InterfaceCounters, Position,
};
use capture::{DecoderConfig, Message};
use crossbeam::channel::{RecvTimeoutError, bounded};
use crossbeam::queue::ArrayQueue;

use crate::exported::ExportedConfig;
use crate::lake::{Lake, LakeError, check_sensor};
pub use dtls::DtlsSocket;
use receive::receive;
use stream::listen;
use write::Writer;

/// Longest wait of a receiver for datagrams, and so for its stop.
const WAIT: Duration = Duration::from_millis(50);
/// Batches that may wait for the writer.
const BATCHES: usize = 64;
/// What a batch holds before it is sent.
const BATCH: usize = 512;
/// Exporters that send without a pause after the stop are heard for so long.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Templates are stored again at most this often.
const REMEMBER_EVERY: Duration = Duration::from_secs(1);

/// Settings of [`collect`].
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// Name of the sensor.
    pub sensor: String,
    /// Name of this collector, unique in its lake: it is the source in the ledger. `collect`.
    pub name: String,
    /// Bounds of templates and of what waits for them, of each receiver.
    pub limits: CollectLimits,
    /// How sampled packets are read.
    pub decoder: DecoderConfig,
    /// How flows are paired.
    pub pairing: ExportedConfig,
    /// Who may export.
    pub allowed: AllowList,
    /// TCP and TLS connections and DTLS sessions at once; more are closed again. 64.
    pub max_connections: usize,
    /// A connection that brings nothing for so long is closed. 1 h.
    pub connection_idle: Duration,
    /// Between two sets. 10 s.
    pub flush: Duration,
    /// Bytes of rows in memory; see [`WriterOptions::memory_limit`](crate::lake::WriterOptions::memory_limit).
    pub memory_limit: usize,
    /// Ends after this time.
    pub duration: Option<Duration>,
}

impl CollectOptions {
    /// The defaults for a sensor.
    pub fn new(sensor: &str) -> Self {
        Self {
            sensor: sensor.to_owned(),
            name: "collect".to_owned(),
            limits: CollectLimits::default(),
            decoder: DecoderConfig::default(),
            pairing: ExportedConfig::new(sensor),
            allowed: AllowList::default(),
            max_connections: 64,
            connection_idle: Duration::from_secs(3_600),
            flush: Duration::from_secs(10),
            memory_limit: 96 << 20,
            duration: None,
        }
    }

    /// Where in the state database the templates are.
    fn templates(&self) -> String {
        format!("{}:templates", self.name)
    }

    /// Where in the state database the exporters' numbering is.
    fn positions(&self) -> String {
        format!("{}:positions", self.name)
    }
}

/// What exports come to.
#[derive(Debug, Default)]
pub struct Sockets {
    /// UDP.
    pub datagrams: Vec<Receiver>,
    /// TCP and TLS.
    pub streams: Vec<StreamListener>,
    /// DTLS.
    pub dtls: Vec<DtlsSocket>,
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

struct Items(Vec<Item>);

impl Default for Items {
    /// Room for a batch and what one more look into the socket brings.
    fn default() -> Self {
        Self(Vec::with_capacity(2 * BATCH))
    }
}

impl ExportSink for Items {
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

/// What a receiver counted, as of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    collected: CollectCounters,
    received: ReceiverCounters,
    denied: u64,
    errors: u64,
    waiting: u64,
    connections: stream::ConnectionCounters,
    /// Of a DTLS socket.
    dtls: DtlsCounters,
}

impl Told {
    /// Whether a look into a socket brought nothing. One that failed is counted, and the next waits.
    fn is_idle(&mut self, received: std::io::Result<usize>) -> bool {
        match received {
            Ok(count) => count == 0,
            Err(error) => {
                self.errors += 1;
                if self.errors.is_power_of_two() {
                    tracing::warn!(%error, times = self.errors, "receiving failed; trying again");
                }
                std::thread::sleep(WAIT);
                true
            }
        }
    }

    /// Whether each datagram of a DTLS socket was denied or handed over, and has its one fate.
    const fn closes(&self) -> bool {
        let Self { received, denied, dtls, .. } = self;
        dtls.datagrams == 0 || dtls.closes() && received.datagrams == *denied + dtls.datagrams
    }
}

/// From a receiver to the writer: items, and the receiver's books with exactly these and all before.
struct Batch {
    /// Which receiver.
    from: usize,
    items: Items,
    told: Told,
    positions: Vec<Position>,
    /// Templates and the sampled packets' counters, now and then.
    memory: Option<Memory>,
    transport: Transport,
    /// Nothing more comes from it.
    is_last: bool,
}

/// How exports come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Transport {
    Datagrams,
    /// TCP, TLS or DTLS: templates and numbering are of the connection (RFC 7011, 3.1 and 8).
    Stream,
}

impl Transport {
    /// Whether templates and numbering go on after a restart.
    const fn outlives_restart(self) -> bool {
        matches!(self, Self::Datagrams)
    }
}

#[derive(Default)]
struct Memory {
    templates: String,
    decoder: Vec<(&'static str, u64)>,
}

/// What receivers share.
struct Shared<'a> {
    options: &'a CollectOptions,
    /// Templates of before.
    memory: &'a str,
    /// Exporters and the numbers that should come next, of before.
    resume: &'a [(String, u32)],
    stop: AtomicBool,
    /// When it came.
    stopped: OnceLock<Instant>,
    /// The next receiver's number.
    next: AtomicUsize,
    connections: AtomicUsize,
    /// Room of items that the writer is done with, to be filled again.
    spare: ArrayQueue<Items>,
}

impl Shared<'_> {
    fn number(&self) -> usize {
        // Relaxed: it only has to be another one.
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn is_stopped(&self) -> bool {
        // Relaxed: a flag that orders nothing.
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether the stop is long ago.
    fn is_over(&self) -> bool {
        self.is_stopped() && self.stopped.get_or_init(Instant::now).elapsed() >= LAST_WORDS
    }
}

/// Collects until the interrupt, or for the given time.
///
/// # Errors
/// The lake cannot be opened for writing at all.
pub fn collect(
    lake: &Lake,
    sockets: Sockets,
    options: &CollectOptions,
    interrupt: &AtomicBool,
) -> Result<CollectReport, LakeError> {
    check_sensor(&options.sensor)?;
    lake.recover()?;
    let memory = lake.state().offset(&options.templates())?.unwrap_or_default();
    let stood = write::Stood::parse(&lake.state().offset(&options.positions())?.unwrap_or_default());
    let begun = Instant::now();
    let (to, from) = bounded(BATCHES);
    let resume: Vec<(String, u32)> = stood.expected.iter().map(|(name, number)| (name.clone(), *number)).collect();
    let shared = Shared {
        options,
        memory: &memory,
        resume: &resume,
        stop: AtomicBool::new(false),
        stopped: OnceLock::new(),
        next: AtomicUsize::new(0),
        connections: AtomicUsize::new(0),
        spare: ArrayQueue::new(BATCHES),
    };
    let mut report = std::thread::scope(|scope| {
        let shared = &shared;
        for receiver in sockets.datagrams {
            let to = to.clone();
            scope.spawn(move || receive(receiver, shared, &to));
        }
        for listener in sockets.streams {
            let to = to.clone();
            scope.spawn(move || listen(scope, listener, shared, &to));
        }
        for socket in sockets.dtls {
            let to = to.clone();
            scope.spawn(move || dtls::serve(socket, shared, &to));
        }
        drop(to);
        let mut writer = Writer::new(lake, options, stood);
        let mut next = Instant::now() + options.flush;
        loop {
            match from.recv_timeout(WAIT) {
                Ok(batch) => {
                    // Where there is enough of it, it is given back.
                    drop(shared.spare.push(writer.take(batch)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let over = options.duration.is_some_and(|duration| begun.elapsed() >= duration);
            if over || interrupt.load(Ordering::Relaxed) {
                shared.stop.store(true, Ordering::Relaxed);
            }
            if Instant::now() >= next {
                next = Instant::now() + options.flush;
                writer.flush(false);
            }
        }
        writer.flush(true);
        writer.into_report()
    });
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}
