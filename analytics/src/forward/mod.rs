//! Alerts leave: scored records above a threshold go to a webhook, Elasticsearch or OpenSearch, MongoDB, a syslog server, a Kafka topic or a file. And
//! all records, where that is asked for.
//!
//! ```text
//! scores ─► alerts (new ones) ─┐
//!                              ├─► queue on disk ─► target        at least once; retries wait longer and longer
//! parts ──► records (new ones) ┘
//! ```
//!
//! Promises: an alert is sent once it is in the queue, over outages and restarts, at least once (Elasticsearch and MongoDB keep one by its id; the others may see one
//! twice after a crash). The queue is bounded: when it is full new alerts wait in the lake. A record is an alert once, however often its day is scored
//! again, and only where the current run of its day has it and nobody has dismissed it; that is remembered for the last [`MAX_SEEN`] alerts. What the other side refuses for good is counted and left out. Records leave by part of the
//! lake ([`MAX_SEEN`] parts are remembered): parts that were merged before all of them had left are sent whole, so some records twice.

mod alert;
mod avro;
mod cef;
mod http;
mod ipfix;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "mongodb")]
mod mongodb;
mod queue;
mod records;
mod syslog;
mod target;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use aggregator::lake::{Day, Lake, Table};

pub use alert::{AlertError, Form, Threshold};
pub use avro::avro_schema;
pub use records::RecordsError;
pub use target::TargetOptions;

use crate::sql::Engine;
use queue::{Pushed, Queue};
use target::Target;

/// Alerts that are remembered, so that they are not sent again.
pub const MAX_SEEN: usize = 200_000;
/// Alerts in one request.
const BATCH: usize = 200;
/// The first wait after a failure, doubled by each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Settings of a [`Forwarder`].
#[derive(Clone, Debug)]
pub struct ForwardOptions {
    /// Where alerts go.
    pub target: TargetOptions,
    /// In which form.
    pub form: Form,
    /// Numbers that a schema registry has given to what leaves of a table, for [`Form::Avro`].
    pub schema_ids: Vec<(Table, u32)>,
    /// What leaves.
    pub what: What,
    /// What is an alert.
    pub threshold: Threshold,
    /// Of which tables. Alerts are of those that are scored; what is not leaves as JSON or Avro.
    pub tables: Vec<Table>,
    /// Folder of the queue.
    pub dir: PathBuf,
    /// Bytes of the queue.
    pub max_bytes: u64,
}

impl ForwardOptions {
    fn schema_id(&self, table: Table) -> Option<u32> {
        self.schema_ids.iter().find(|(known, _)| *known == table).map(|(_, id)| *id)
    }
}

/// What leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum What {
    /// Scored records above the threshold.
    #[default]
    Alerts,
    /// Every record of the tables.
    Records,
}

impl std::str::FromStr for What {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "alerts" => Ok(Self::Alerts),
            "records" => Ok(Self::Records),
            other => Err(format!("\"{other}\": use alerts or records")),
        }
    }
}

/// Why nothing can be forwarded.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The target cannot be used.
    #[error("{to}: {reason}")]
    Target {
        /// As it was given.
        to: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The queue cannot be read or written.
    #[error("the queue {}: {source}; what is new waits in the lake", dir.display())]
    Queue {
        /// Its folder.
        dir: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The alerts cannot be read.
    #[error(transparent)]
    Alerts(#[from] AlertError),
    /// The records cannot be read.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

/// What a [`Forwarder`] counted.
///
/// | counter | meaning |
/// |---|---|
/// | `alerts.queued` | alerts put into the queue |
/// | `alerts.sent` | taken by the target |
/// | `alerts.rejected` | refused by it for good (or too large for a datagram) |
/// | `alerts.too_large` | larger than an entry of the queue may be |
/// | `alerts.queue_full` | looks that found no room: the alerts wait in the lake |
/// | `alerts.failures` | tries that failed |
/// | `alerts.waiting` | in the queue now |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
#[expect(missing_docs, reason = "the table has them")]
pub struct ForwardCounters {
    pub queued: u64,
    pub sent: u64,
    pub rejected: u64,
    pub too_large: u64,
    pub queue_full: u64,
    pub failures: u64,
    pub waiting: u64,
}

impl ForwardCounters {
    /// Ledger name and value of each.
    pub const fn list(&self) -> [(&'static str, u64); 7] {
        [
            ("alerts.queued", self.queued),
            ("alerts.sent", self.sent),
            ("alerts.rejected", self.rejected),
            ("alerts.too_large", self.too_large),
            ("alerts.queue_full", self.queue_full),
            ("alerts.failures", self.failures),
            ("alerts.waiting", self.waiting),
        ]
    }
}

/// Sends alerts. One process at a time may have a folder.
pub struct Forwarder {
    options: ForwardOptions,
    target: Target,
    queue: Queue,
    seen: Seen,
    counters: ForwardCounters,
    failed_in_a_row: u32,
    /// The part that the queue had no room for, and how many of its rows are in the queue.
    begun: Option<(String, usize)>,
}

impl Forwarder {
    /// Opens the target and the queue.
    ///
    /// # Errors
    /// Neither can be used.
    pub fn open(options: ForwardOptions) -> Result<Self, ForwardError> {
        let target = options.target.open()?;
        let wrong = |source| ForwardError::Queue { dir: options.dir.clone(), source };
        let queue = Queue::open(&options.dir, options.max_bytes).map_err(wrong)?;
        let seen = Seen::open(options.dir.join("seen")).map_err(wrong)?;
        Ok(Self { options, target, queue, seen, counters: ForwardCounters::default(), failed_in_a_row: 0, begun: None })
    }

    /// What was counted so far.
    pub const fn counters(&self) -> ForwardCounters {
        ForwardCounters { waiting: self.queue.waiting(), ..self.counters }
    }

    /// Puts new alerts, or records, of the days since `since` into the queue; gives how many.
    ///
    /// # Errors
    /// The lake, or the queue. What was queued before stays.
    pub fn look(&mut self, lake: &Lake, engine: &Engine, since: Day) -> Result<u64, ForwardError> {
        if self.options.what == What::Records {
            return self.look_at_parts(lake, since);
        }
        let mut count = 0;
        for source in self.options.tables.clone().into_iter().filter_map(Table::scored) {
            let found = alert::alerts(lake, engine, source, since, &self.options, |id| !self.seen.has(id))?;
            let queued = self.queue_all(&found);
            let queued = queued.map_err(|source| ForwardError::Queue { dir: self.options.dir.clone(), source })?;
            count += queued;
        }
        Ok(count)
    }

    fn queue_all(&mut self, found: &[queue::Entry]) -> io::Result<u64> {
        let mut taken = Vec::new();
        let mut pushed = Ok(());
        for entry in found {
            match self.queue.push(entry) {
                Ok(Pushed::Taken) => taken.push(entry.id.as_str()),
                Ok(Pushed::TooLarge) => {
                    self.counters.too_large += 1;
                    self.seen.add(&[&entry.id])?;
                }
                Ok(Pushed::Full) => {
                    self.counters.queue_full += 1;
                    tracing::warn!(waiting = self.queue.waiting(), "the queue is full: what is new waits in the lake");
                    break;
                }
                Err(error) => {
                    pushed = Err(error);
                    break;
                }
            }
        }
        // A crash between the two sends them twice, and loses none. What a full disk took is in the queue: it is not new at the next look.
        let synced = self.queue.sync();
        self.counters.queued += taken.len() as u64;
        let noted = if synced.is_ok() {
            self.seen.add(&taken)
        } else {
            // Only this process knows that they wait.
            taken.iter().for_each(|id| self.seen.note(id));
            synced
        };
        pushed.and(noted).map(|()| taken.len() as u64)
    }

    /// Sends the oldest alerts that wait, in one request; gives how many are done with.
    ///
    /// # Errors
    /// Why they were not taken; try again after [`Self::wait`].
    pub fn send(&mut self) -> Result<u64, String> {
        let (entries, position) =
            self.queue.front(BATCH).map_err(|e| format!("the queue {}: {e}", self.options.dir.display()))?;
        if entries.is_empty() {
            return Ok(0);
        }
        match self.target.send(&entries, self.options.form) {
            Ok(taken) => {
                self.failed_in_a_row = 0;
                self.counters.sent += taken.sent;
                self.counters.rejected += taken.rejected;
                let count = entries.len() as u64;
                if let Err(error) = self.queue.acknowledge(count, position) {
                    tracing::warn!(
                        "{}: {error}: after a restart the last alerts are sent again",
                        self.options.dir.display()
                    );
                }
                Ok(count)
            }
            Err(error) => {
                self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
                self.counters.failures += 1;
                Err(error)
            }
        }
    }

    /// How long to wait before the next try: nothing after a success.
    pub fn wait(&self) -> Duration {
        match self.failed_in_a_row {
            0 => Duration::ZERO,
            n => FIRST_WAIT.saturating_mul(1 << (n - 1).min(16)).min(LONGEST_WAIT),
        }
    }
}

/// Ids of alerts that were queued, in a file with one a line; the newest are kept.
struct Seen {
    path: PathBuf,
    ids: HashSet<String>,
    order: VecDeque<String>,
    lines: usize,
}

impl Seen {
    fn open(path: PathBuf) -> io::Result<Self> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut seen = Self { path, ids: HashSet::new(), order: VecDeque::new(), lines: 0 };
        // The last line may be cut by a crash.
        for id in text.lines().filter(|line| line.len() == 32) {
            seen.note(id);
            seen.lines += 1;
        }
        Ok(seen)
    }

    fn has(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    fn note(&mut self, id: &str) {
        if self.ids.insert(id.to_owned()) {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > MAX_SEEN {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }

    fn add(&mut self, ids: &[&str]) -> io::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        ids.iter().for_each(|id| self.note(id));
        self.lines += ids.len();
        if self.lines > MAX_SEEN * 2 {
            let fresh = self.path.with_extension("new");
            let mut file = File::create(&fresh)?;
            file.write_all(self.order.iter().flat_map(|id| [id.as_str(), "\n"]).collect::<String>().as_bytes())?;
            file.sync_all()?;
            self.lines = self.order.len();
            return fs::rename(fresh, &self.path);
        }
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        // After a line that a crash cut.
        let text: String = ids.iter().flat_map(|id| ["\n", id]).chain(["\n"]).collect();
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }
}
