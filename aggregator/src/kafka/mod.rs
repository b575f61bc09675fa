//! Kafka topics into the lake: pmacct's and Zeek's JSON, and our own records, an object a line, one or more in a message.
//!
//! Where each partition stands is written by the transaction that publishes a set, and the group's offsets are committed after it. A
//! consumer goes on at what the lake says, or at what the group says if that is further (another member read on). So after a crash
//! nothing is in the lake twice and nothing is missing, whatever the brokers had heard. Two consumers of one lake need two names.
//!
//! Memory: [`QUEUED_KIB`](capture::kafka::QUEUED_KIB) of messages in librdkafka, the rows of a set
//! ([`WriterOptions::memory_limit`]), and [`OWN_ROWS`] of our own records.

mod own;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use capture::kafka::{Begin, Consumed, KafkaConsumer, KafkaError, KafkaOptions, Membership, Message, Partition};
use capture::logs::json_row;
use serde_json::Value;

use crate::LedgerHead;
use crate::exported_logs::LogRecords;
use crate::lake::{Hour, Lake, LakeError, SetWriter, check_sensor};
use crate::quarantine::Quarantine;
use crate::record::{Micros, Records};
use own::{Added, OwnRows};

/// Longest wait for messages, and so for the stop.
const WAIT: Duration = Duration::from_millis(100);
/// Our own records that wait to become columns.
pub const OWN_ROWS: usize = 65_536;
/// Records handed to the set at once.
const BATCH: usize = 4_096;
/// Hours that one set may touch before it is published: a set of very many would be refused.
const HOURS: usize = 512;
/// Bytes of refused rows kept by a process; more are only counted.
const MAX_QUARANTINE: u64 = 64 << 20;

/// Settings of [`consume`].
#[derive(Clone, Debug)]
pub struct ConsumeOptions {
    /// Name of the sensor of rows that have none of their own.
    pub sensor: String,
    /// Name of this consumer, unique in its lake: it is the source in the ledger, and positions are kept under it.
    pub name: String,
    /// How brokers are reached.
    pub client: KafkaOptions,
    /// What is read, as a member of which group. `spotter`, from the earliest message, 10 s.
    pub member: Membership,
    /// Between two sets. 10 s.
    pub flush: Duration,
    /// Bytes of rows in memory; see [`WriterOptions::memory_limit`].
    pub memory_limit: usize,
    /// Ends after this time.
    pub duration: Option<Duration>,
}

impl ConsumeOptions {
    /// The defaults for a sensor.
    pub fn new(sensor: &str, client: KafkaOptions, topics: Vec<String>) -> Self {
        Self {
            sensor: sensor.to_owned(),
            name: "kafka".to_owned(),
            client,
            member: Membership {
                group: "spotter".to_owned(),
                topics,
                begin: Begin::Earliest,
                session: Duration::from_secs(10),
            },
            flush: Duration::from_secs(10),
            memory_limit: 96 << 20,
            duration: None,
        }
    }

    /// Where in the state database the positions are.
    fn positions(&self) -> String {
        format!("{}:kafka", self.name)
    }
}

/// What consuming did.
///
/// Counters: `rows.seen = rows.stored + rows.twice + rows.quarantined`; `kafka.messages`, `kafka.bytes`;
/// `kafka.offsets_skipped`: offsets between messages that never came (deleted by retention, compacted, or of transactions);
/// `kafka.positions_reset`: partitions that stood behind their end (a topic made anew); `kafka.rebalances`, `kafka.failures` (told by
/// librdkafka, which tries again), `kafka.commit_failures` (the lake goes by its own positions); `rows.quarantined.REASON`,
/// `quarantine.cut`: refused rows that were only counted.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct ConsumeReport {
    /// How long it took.
    pub seconds: f64,
    /// Records by table.
    pub records: BTreeMap<&'static str, u64>,
    /// Sets published.
    pub sets: u64,
    /// The ledger: counter and value.
    pub ledger: BTreeMap<String, u64>,
}

/// Why consuming ended.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The lake cannot be written: what was not published is read again.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The topics cannot be read.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

impl From<crate::state::StateError> for ConsumeError {
    fn from(error: crate::state::StateError) -> Self {
        Self::Lake(error.into())
    }
}

/// Reads the topics until the interrupt, or for the given time; then what was read is published and committed.
///
/// # Errors
/// The lake cannot be written, or messages cannot be read; what was published before stays, the rest is read again by the next call.
pub fn consume(lake: &Lake, options: &ConsumeOptions, interrupt: &AtomicBool) -> Result<ConsumeReport, ConsumeError> {
    check_sensor(&options.sensor)?;
    lake.recover()?;
    let begun = Instant::now();
    let mut reader = Reader::new(lake, options)?;
    let mut consumer = KafkaConsumer::open(&options.client, &options.member)?;
    let (mut next, mut last_failure, mut outage) = (Instant::now() + options.flush, None, Outage::default());
    loop {
        // Relaxed: a flag that orders nothing.
        if interrupt.load(Ordering::Relaxed) || options.duration.is_some_and(|duration| begun.elapsed() >= duration) {
            break;
        }
        match consumer.next(WAIT)? {
            Some(Consumed::Message(message)) => reader.message(&message)?,
            Some(Consumed::Assigned(partitions)) => consumer.read_from(&reader.begin(partitions))?,
            Some(Consumed::Revoked) => {
                reader.flush(&consumer)?;
                consumer.give_back()?;
                reader.give_back();
            }
            Some(Consumed::Failed(error)) => {
                reader.count("kafka.failures", 1);
                if error.is_unreachable() {
                    outage.failed(Instant::now(), &options.name, &error);
                } else if last_failure.as_ref() != Some(&error) {
                    tracing::warn!("\"{}\": {error}", options.name);
                    last_failure = Some(error);
                }
            }
            None => {}
        }
        if Instant::now() >= next || reader.is_full() {
            next = Instant::now() + options.flush;
            reader.flush(&consumer)?;
        }
    }
    reader.flush(&consumer)?;
    consumer.leave();
    reader.report.seconds = begun.elapsed().as_secs_f64();
    Ok(reader.report)
}

/// Failures without so long a pause between them are one outage: librdkafka tries again every 10 s, and is silent about
/// what is the same for up to 30 s.
const PAUSE: Duration = Duration::from_secs(60);

/// Brokers that cannot be reached: said once, not with every try, of which each has another text.
#[derive(Default)]
struct Outage {
    last: Option<Instant>,
}

impl Outage {
    /// Whether this failure begins an outage.
    fn begins(&mut self, now: Instant) -> bool {
        self.last.replace(now).is_none_or(|last| now.saturating_duration_since(last) >= PAUSE)
    }

    fn failed(&mut self, now: Instant, name: &str, error: &KafkaError) {
        if self.begins(now) {
            tracing::warn!("\"{name}\": {error}; trying again until it works (the ledger counts: kafka.failures)");
        } else {
            tracing::debug!("\"{name}\": {error}");
        }
    }
}

/// Topic and partition.
type Place = (String, i32);

/// `TOPIC PARTITION OFFSET` a line: the offset of the next message.
fn parse_positions(text: &str) -> BTreeMap<Place, i64> {
    let position = |line: &str| {
        let mut words = line.split(' ');
        let place = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        Some((place, words.next()?.parse().ok()?))
    };
    text.lines().filter_map(position).collect()
}

struct Reader<'a> {
    lake: &'a Lake,
    options: &'a ConsumeOptions,
    /// Offsets of the next messages, of all partitions ever read under the name.
    positions: BTreeMap<Place, i64>,
    /// Of those that are ours now: what the group was told.
    ours: BTreeMap<Place, i64>,
    logs: LogRecords,
    records: Records,
    own: OwnRows,
    set: Option<SetWriter>,
    quarantine: Option<Quarantine>,
    quarantined: u64,
    hours: std::collections::HashSet<Hour>,
    /// Counters since the last set.
    counters: BTreeMap<String, u64>,
    start: Micros,
    report: ConsumeReport,
}

impl<'a> Reader<'a> {
    fn new(lake: &'a Lake, options: &'a ConsumeOptions) -> Result<Self, ConsumeError> {
        let positions = parse_positions(&lake.state().offset(&options.positions())?.unwrap_or_default());
        Ok(Self {
            lake,
            options,
            positions,
            ours: BTreeMap::new(),
            logs: LogRecords::new(&options.sensor),
            records: Records::default(),
            own: OwnRows::default(),
            set: None,
            quarantine: None,
            quarantined: 0,
            hours: std::collections::HashSet::new(),
            counters: BTreeMap::new(),
            start: crate::state::now(),
            report: ConsumeReport::default(),
        })
    }

    fn count(&mut self, counter: &str, by: u64) {
        *self.counters.entry(counter.to_owned()).or_default() += by;
    }

    /// From where the partitions are read: what the lake says or, where it is further, what the group says.
    fn begin(&mut self, partitions: Vec<Partition>) -> Vec<Partition> {
        self.count("kafka.rebalances", 1);
        let from = |mut partition: Partition| {
            let place = (partition.topic.clone(), partition.number);
            partition.offset = partition.offset.max(self.positions.get(&place).copied());
            match partition.offset {
                Some(offset) => self.positions.insert(place.clone(), offset),
                None => self.positions.remove(&place),
            };
            self.ours.insert(place, partition.offset.unwrap_or(-1));
            partition
        };
        partitions.into_iter().map(from).collect()
    }

    fn give_back(&mut self) {
        self.ours.clear();
    }

    fn is_full(&self) -> bool {
        self.hours.len() >= HOURS
    }

    fn message(&mut self, message: &Message) -> Result<(), ConsumeError> {
        let Message { topic, partition, offset, payload } = message;
        let place = (topic.clone(), *partition);
        match self.positions.insert(place, offset.saturating_add(1)) {
            Some(expected) if *offset > expected => self.count("kafka.offsets_skipped", offset.abs_diff(expected)),
            Some(expected) if *offset < expected => {
                tracing::warn!(
                    "{topic}[{partition}] goes on at {offset} instead of {expected}: the topic was made anew"
                );
                self.count("kafka.positions_reset", 1);
            }
            _ => {}
        }
        self.count("kafka.messages", 1);
        self.count("kafka.bytes", payload.len() as u64);
        // A topic's name has no blank, so the place is the same for nothing else.
        let place = format!("{topic} {partition} {offset} ");
        for (row, line) in payload.split(|b| *b == b'\n').enumerate() {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            self.count("rows.seen", 1);
            if let Err(reason) = self.row(&format!("{place}{row}"), line)? {
                self.refuse(message, reason, line)?;
            }
        }
        if self.records.len() >= BATCH {
            self.drain()?;
        }
        if self.own.count() >= OWN_ROWS {
            self.own_to_set()?;
        }
        Ok(())
    }

    /// Takes a row, or says why it is none.
    fn row(&mut self, place: &str, line: &[u8]) -> Result<Result<(), &'static str>, ConsumeError> {
        if line.len() > capture::logs::MAX_LINE {
            return Ok(Err("longer than a line may be"));
        }
        // serde_json refuses nesting deeper than 128.
        let Ok(Value::Object(object)) = serde_json::from_slice(line) else { return Ok(Err("no JSON object")) };
        if object.contains_key("record_id") {
            let hour = object.get("first_seen").and_then(Value::as_str).and_then(|text| text.get(..13)).map(own_hour);
            let added = match self.own.add(object) {
                Ok(added) => added,
                Err(reason) => return Ok(Err(reason)),
            };
            self.hours.extend(hour.flatten());
            self.count(if added == Added::Stored { "rows.stored" } else { "rows.twice" }, 1);
            return Ok(Ok(()));
        }
        let row = match json_row(&object) {
            Ok(row) => row,
            Err(reason) => return Ok(Err(reason)),
        };
        self.logs.add_at(place.as_bytes(), row, &mut self.records);
        let Records { flow, dns, dhcp, proxy } = &self.records;
        let times = [
            flow.last().map(|r| r.first_seen),
            dns.last().map(|r| r.first_seen),
            dhcp.last().map(|r| r.first_seen),
            proxy.last().map(|r| r.first_seen),
        ];
        self.hours.extend(times.into_iter().flatten().map(Hour::of));
        self.count("rows.stored", 1);
        Ok(Ok(()))
    }

    fn refuse(&mut self, message: &Message, reason: &'static str, line: &[u8]) -> Result<(), ConsumeError> {
        self.count("rows.quarantined", 1);
        self.count(&format!("rows.quarantined.{}", reason.replace(' ', "_")), 1);
        let text: String = String::from_utf8_lossy(line).chars().take(4_096).collect();
        self.quarantined += text.len() as u64;
        if self.quarantined > MAX_QUARANTINE {
            self.count("quarantine.cut", 1);
            return Ok(());
        }
        let id = self.set()?.id().to_owned();
        let quarantine = self.quarantine.get_or_insert_with(|| Quarantine::new(self.lake, &format!("kafka{id}")));
        let at = u64::try_from(message.offset).unwrap_or_default();
        let reason = format!("{reason} ({} partition {})", message.topic, message.partition);
        Ok(quarantine.add("offset", at, &reason, &text)?)
    }

    fn set(&mut self) -> Result<&mut SetWriter, LakeError> {
        self.lake.flush_set(&mut self.set, &self.options.sensor, self.options.memory_limit)
    }

    fn drain(&mut self) -> Result<(), LakeError> {
        let mut records = std::mem::take(&mut self.records);
        self.set()?.drain_records(&mut records)?;
        self.records = records;
        Ok(())
    }

    fn own_to_set(&mut self) -> Result<(), LakeError> {
        let mut own = std::mem::take(&mut self.own);
        let written = self.set().and_then(|set| own.write(set));
        self.own = own;
        written
    }

    /// Publishes what was read, with how far it was read, and then tells the group. Nothing new: nothing happens.
    fn flush(&mut self, consumer: &KafkaConsumer) -> Result<(), ConsumeError> {
        if self.counters.is_empty() {
            return Ok(());
        }
        self.drain()?;
        if self.own.count() > 0 {
            self.own_to_set()?;
        }
        if let Some(mut quarantine) = self.quarantine.take() {
            let cut = quarantine.finish()?;
            if cut > 0 {
                self.count("quarantine.cut", cut);
            }
        }
        let now = crate::state::now();
        let head = LedgerHead {
            interval_start: self.start,
            interval_end: now,
            sensor: self.options.sensor.clone(),
            source: self.options.name.clone(),
            queue: None,
            clock: "kafka".to_owned(),
        };
        let counters = std::mem::take(&mut self.counters);
        let lines = self.positions.iter().map(|((topic, number), offset)| format!("{topic} {number} {offset}\n"));
        let positions: String = lines.collect();
        self.set()?.ledger(&head.rows(counters.clone()))?;
        if let Some(set) = self.set.take() {
            let published = set.commit_at(&self.options.positions(), &positions)?;
            for (table, rows) in &published.rows {
                *self.report.records.entry(table).or_default() += rows;
            }
        }
        self.report.sets += 1;
        for (name, value) in counters {
            *self.report.ledger.entry(name).or_default() += value;
        }
        self.start = now;
        self.hours.clear();
        self.commit(consumer);
        Ok(())
    }

    fn commit(&mut self, consumer: &KafkaConsumer) {
        let mut news = Vec::new();
        for (place, told) in &self.ours {
            if let Some(offset) = self.positions.get(place).filter(|offset| *offset > told) {
                news.push(Partition { topic: place.0.clone(), number: place.1, offset: Some(*offset) });
            }
        }
        if news.is_empty() {
            return;
        }
        match consumer.commit(&news) {
            Ok(()) => {
                for Partition { topic, number, offset } in news {
                    self.ours.insert((topic, number), offset.unwrap_or(-1));
                }
            }
            Err(error) => {
                tracing::warn!("\"{}\": {error}; the lake goes by its own positions", self.options.name);
                self.count("kafka.commit_failures", 1);
            }
        }
    }
}

/// The hour of `2026-03-02T10`.
fn own_hour(text: &str) -> Option<Hour> {
    let (date, hour) = text.split_once(['T', ' '])?;
    let mut parts = date.splitn(3, '-').map(str::parse);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let day = chrono::NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?;
    let start = day.and_hms_opt(hour.parse().ok()?, 0, 0)?.and_utc();
    Some(Hour::of(Micros(start.timestamp_micros())))
}
