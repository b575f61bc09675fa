//! The writer: batches in, sets with their ledger out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use capture::collect::InterfaceCounters;
use capture::{Nanos, Sink as _};

use super::deeds::Deeds;
use super::lag::Lags;
use super::{BATCH, Batch, CollectOptions, CollectReport, Item, Items, Told};
use crate::exported::{Exported, ExportedConfig};
use crate::exported_interfaces::interfaces;
use crate::lake::{Lake, LakeError, SetWriter, Table};
use crate::record::{Micros, Origin};
use crate::{Aggregator, AggregatorConfig, LedgerHead};

type Named = BTreeMap<String, u64>;

/// Where things stand with a set: which number each exporter's next message should have, and what waits in memory.
///
/// ```text
/// waiting 17
/// netflow5 192.0.2.1 0 = 4711
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stood {
    /// Exporter and number.
    pub(super) expected: BTreeMap<String, u32>,
    /// Flows that waited for their opposite, and data sets that waited for their template.
    waiting: u64,
}

impl Stood {
    /// What cannot be read is left out.
    pub(super) fn parse(text: &str) -> Self {
        let mut stood = Self::default();
        for line in text.lines() {
            if let Some(count) = line.strip_prefix("waiting ") {
                stood.waiting = count.parse().unwrap_or_default();
            } else if let Some((name, Ok(number))) = line.split_once(" = ").map(|(name, n)| (name, n.parse())) {
                stood.expected.insert(name.to_owned(), number);
            }
        }
        stood
    }

    fn to_text(&self) -> String {
        let lines = self.expected.iter().map(|(name, number)| format!("{name} = {number}\n"));
        format!("waiting {}\n{}", self.waiting, lines.collect::<String>())
    }
}

/// What the writer knows of a receiver.
#[derive(Default)]
struct Source {
    told: Told,
    templates: String,
    decoder: Vec<(&'static str, u64)>,
}

pub(super) struct Writer<'a> {
    lake: &'a Lake,
    options: &'a CollectOptions,
    sources: HashMap<usize, Source>,
    /// Counters of connections that are over.
    ended: Named,
    lags: Lags,
    /// What exporters did since the last set.
    deeds: Deeds,
    exported: Exported,
    messages: Aggregator,
    interfaces: Vec<InterfaceCounters>,
    set: Option<SetWriter>,
    /// Records that were given to it.
    in_set: u64,
    before: Named,
    stood: Stood,
    /// Flows that waited in memory when the collector was killed, until they are in the ledger.
    lost_at_crash: u64,
    stored: String,
    start: Micros,
    lost: u64,
    report: CollectReport,
}

impl<'a> Writer<'a> {
    pub(super) fn new(lake: &'a Lake, options: &'a CollectOptions, stood: Stood) -> Self {
        if stood.waiting > 0 {
            tracing::warn!(
                flows = stood.waiting,
                "the collector did not end cleanly: flows that waited in memory are lost"
            );
        }
        Self {
            lake,
            options,
            sources: HashMap::new(),
            ended: Named::new(),
            lags: Lags::default(),
            deeds: Deeds::default(),
            exported: Exported::new(ExportedConfig { sensor: options.sensor.clone(), ..options.pairing.clone() }),
            messages: Aggregator::new(AggregatorConfig::new(options.sensor.clone(), Origin::SFlow)),
            interfaces: Vec::new(),
            set: None,
            in_set: 0,
            before: Named::new(),
            lost_at_crash: stood.waiting,
            stood: Stood { waiting: 0, ..stood },
            stored: String::new(),
            start: crate::state::now(),
            lost: 0,
            report: CollectReport::default(),
        }
    }

    pub(super) fn into_report(self) -> CollectReport {
        self.report
    }

    /// Takes a batch; gives the room of its items.
    pub(super) fn take(&mut self, batch: Batch) -> Items {
        let Batch { from, mut items, told, positions, memory, transport, is_last } = batch;
        for item in items.0.drain(..) {
            match item {
                Item::Flow(flow) => {
                    self.lags.handle(&flow);
                    self.exported.advance(flow.received);
                    self.exported.handle_flow(&flow);
                    if self.exported.records_mut().len() >= BATCH {
                        self.drain();
                    }
                }
                Item::Interface(counters) => self.interfaces.push(counters),
                Item::Message(message) => {
                    self.messages.advance(message.ts);
                    self.messages.message(message);
                }
            }
        }
        if is_last && !told.closes() {
            self.imbalance(format!("datagrams of DTLS do not close: {told:?}"));
        }
        let source = self.sources.entry(from).or_default();
        source.told = told;
        for position in positions {
            if transport.outlives_restart() {
                match position.expected {
                    Some(number) => self.stood.expected.insert(position.exporter.clone(), number),
                    None => self.stood.expected.remove(&position.exporter),
                };
            }
            self.deeds.tally(position.exporter, &position.tally);
        }
        if let Some(memory) = memory {
            source.decoder = memory.decoder;
            if transport.outlives_restart() {
                source.templates = memory.templates;
            }
        }
        if is_last && !transport.outlives_restart() {
            self.end_of_connection(from);
        }
        if self.exported.records_mut().len() >= BATCH
            || self.messages.finished() >= BATCH
            || self.interfaces.len() >= BATCH
        {
            self.drain();
        }
        items
    }

    fn imbalance(&mut self, text: String) {
        tracing::error!(text, "the books of collecting do not close");
        self.report.imbalances.push(text);
    }

    /// Only the sums of a connection that is over are kept.
    fn end_of_connection(&mut self, from: usize) {
        if let Some(source) = self.sources.remove(&from) {
            add(&mut self.ended, &source);
        }
    }

    /// Finished records go to the set; those that cannot are lost and counted.
    fn drain(&mut self) {
        let mut records = self.messages.take_records();
        records.flow.append(self.exported.records_mut());
        let interfaces = std::mem::take(&mut self.interfaces);
        let count = (records.len() + interfaces.len()) as u64;
        if count == 0 {
            return;
        }
        self.in_set += count;
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
            self.give_up(&error);
        }
    }

    /// A set that cannot be written is lost with all that is in it.
    fn give_up(&mut self, error: &LakeError) {
        self.lost += std::mem::take(&mut self.in_set);
        tracing::error!(%error, lost = self.lost, "records cannot be written and are counted as lost");
        self.report.error = Some(error.to_string());
        self.set = None;
    }

    fn set(&mut self) -> Result<&mut SetWriter, LakeError> {
        self.lake.flush_set(&mut self.set, &self.options.sensor, self.options.memory_limit)
    }

    fn head(&self, source: String, clock: &str) -> LedgerHead {
        LedgerHead {
            interval_start: self.start,
            interval_end: crate::state::now(),
            sensor: self.options.sensor.clone(),
            source,
            queue: None,
            clock: clock.to_owned(),
        }
    }

    pub(super) fn flush(&mut self, at_end: bool) {
        let now = crate::state::now();
        let clock = Nanos(now.0.saturating_mul(1_000));
        self.exported.advance(clock);
        self.messages.advance(clock);
        if at_end {
            while self.exported.finish_part(BATCH) {
                self.drain();
            }
            self.messages.finish();
        }
        self.drain();
        let counters = self.counters();
        if !self.exported.counters().closes() {
            self.imbalance(format!("exported.flows do not close: {:?}", self.exported.counters()));
        }
        self.stood.waiting = self.exported.counters().halves_waiting + counters.get("sets.waiting").unwrap_or(&0);
        let mut rows =
            self.head(self.options.name.clone(), "exporter").rows(since(&self.before, &counters, self.lost_at_crash));
        rows.extend(self.exporter_rows());
        let (source, position) = (self.options.positions(), self.stood.to_text());
        let committed = self.set().and_then(|set| set.ledger(&rows)).and_then(|()| match self.set.take() {
            Some(set) => set.commit_at(&source, &position),
            None => Err(LakeError::Encoder("no set".to_owned())),
        });
        match committed {
            Ok(published) => {
                self.start = now;
                self.before = counters;
                self.lost_at_crash = 0;
                self.report.sets += 1;
                self.report.error = None;
                for (table, rows) in &published.rows {
                    *self.report.records.entry(table).or_default() += rows;
                }
                self.note_exporters(now);
                self.deeds.are_told();
                self.in_set = 0;
            }
            // The next ledger covers this interval, too.
            Err(error) => self.give_up(&error),
        }
        self.report.ledger = self.counters();
        self.remember();
    }

    /// What each exporter did since the last set, as ledger rows of a source of its own.
    fn exporter_rows(&mut self) -> Vec<crate::record::LedgerRow> {
        self.deeds.lags(&mut self.lags, crate::state::now());
        let name = &self.options.name;
        let rows = self.deeds.counters().flat_map(|(exporter, counters)| {
            let counters = counters.into_iter().filter(|(_, value)| *value > 0);
            let counters = counters.map(|(name, value)| (name.to_owned(), value)).collect::<Named>();
            self.head(format!("{name} {exporter}"), "exporter").rows(counters)
        });
        rows.collect()
    }

    /// Where the exporters stand goes to the state database. It is no part of the books.
    fn note_exporters(&mut self, now: Micros) {
        let notes = self.deeds.notes(&self.options.name, &self.options.sensor);
        if notes.is_empty() {
            return;
        }
        if let Err(error) = self.lake.state().note_exporters(&notes, now) {
            tracing::warn!(%error, "where the exporters stand could not be noted");
        }
    }

    /// Stores what is known of the exporters, if it is more than what is stored.
    fn remember(&mut self) {
        let parts: BTreeSet<&str> =
            self.sources.values().map(|source| source.templates.as_str()).filter(|text| !text.is_empty()).collect();
        let memory = parts.into_iter().collect::<Vec<_>>().join("\u{1e}");
        if !memory.is_empty() && memory != self.stored {
            match self.lake.state().set_offset(&self.options.templates(), &memory) {
                Ok(()) => self.stored = memory,
                Err(error) => tracing::warn!(%error, "templates could not be stored"),
            }
        }
    }

    fn counters(&self) -> Named {
        let mut all = self.ended.clone();
        for source in self.sources.values() {
            add(&mut all, source);
        }
        let stats = self.messages.stats().counters();
        let dns = stats
            .into_iter()
            .filter(|(name, value)| *value > 0 && (name.starts_with("dns.") || name.starts_with("http.")));
        all.extend(
            self.exported.counters().list().into_iter().chain(dns).map(|(name, value)| (name.to_owned(), value)),
        );
        all.insert("records.lost_on_write".to_owned(), self.lost);
        all.insert("exported.lag_not_measured".to_owned(), self.lags.not_measured);
        all
    }
}

/// Adds a receiver's counters.
fn add(all: &mut Named, source: &Source) {
    let Told { collected, received, denied, errors, waiting, connections, dtls } = &source.told;
    let own = [
        ("datagrams.received", received.datagrams),
        ("datagrams.dropped_by_socket", received.dropped_by_socket),
        ("datagrams.denied", *denied),
        ("receive_errors", *errors),
        ("sets.waiting", *waiting),
    ];
    let lists = collected
        .list()
        .into_iter()
        .chain(own)
        .chain(connections.list())
        .chain(dtls.list())
        .chain(source.decoder.iter().copied());
    for (name, value) in lists {
        *all.entry(name.to_owned()).or_default() += value;
    }
}

/// What an interval brought; stocks as they are. What stayed 0 is left out, but for what came and what was lost.
fn since(before: &Named, now: &Named, lost_at_crash: u64) -> Named {
    let told = |name: &str| {
        matches!(
            name,
            "datagrams.seen" | "bytes.seen" | "datagrams.dropped_by_socket" | "sequence.lost" | "exported.flows"
        )
    };
    let crash = (lost_at_crash > 0).then(|| ("exported.lost_at_crash".to_owned(), lost_at_crash));
    now.iter()
        .filter_map(|(name, value)| {
            let is_stock = name.ends_with("waiting");
            let was = before.get(name).copied().unwrap_or(0);
            let value = if is_stock { *value } else { value.saturating_sub(was) };
            (value > 0 || told(name)).then(|| (name.clone(), value))
        })
        .chain(crash)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_exporters_stood_is_read_back() {
        let mut stood = Stood { waiting: 3, ..Stood::default() };
        stood.expected.insert("ipfix 2001:db8::1 7".to_owned(), u32::MAX);
        stood.expected.insert("netflow5 192.0.2.1 0".to_owned(), 0);
        assert_eq!(Stood::parse(&stood.to_text()), stood);
        assert_eq!(Stood::parse("waiting x\n = \nnonsense\na = -1\n"), Stood::default());
    }
}
