//! From exported flows to records: opposite uniflows become one biflow, and a flow that several exporters or interfaces
//! report is counted once.
//!
//! - A uniflow waits for the opposite one up to the active timeout, and together they wait a little longer for others who saw the same.
//! - The initiator is who sent a SYN without ACK, else the end with the higher port if the other's is a service's (below
//!   1024) or clearly lower, else who spoke first. An exporter's own biflow (RFC 5103) has its initiator.
//! - The same direction from another exporter, interface or direction (ingress, egress) at an overlapping time is another observation: it counts
//!   in `observations` and nowhere else. The first who reported is believed.
//! - The same direction from the same observer is the next segment of a long connection, unless a SYN says that it is a new one.
//!   Sampled packets (sFlow) are added up instead, up to the active timeout.
//! - Counters are scaled by the sampling rate; `sampling` says by how much.
//!
//! Sans-IO; time is that at which datagrams came. Memory: [`ExportedConfig::max_flows`] of about 110 bytes, and 256 for each uniflow that
//! waits.

mod once;
mod pair;
mod record;
mod table;

use std::collections::VecDeque;
use std::time::Duration;

use capture::Nanos;
use capture::collect::ExportedFlow;

use crate::flow::nanos;
use crate::record::{FlowRecord, Micros, Origin};
use crate::record_id::RecordIds;
use once::{Again, Half};
use pair::{Key, SYN, Side};
use table::{Entry, Past, Table};

/// Settings of [`Exported`].
#[derive(Clone, Debug)]
pub struct ExportedConfig {
    /// Name of the sensor; part of every record's identity.
    pub sensor: String,
    /// How long a uniflow waits for the opposite one, and how long sampled packets are added up. 60 s.
    pub active: Duration,
    /// How long a pair waits for others who saw it. 5 s.
    pub settle: Duration,
    /// Most connections kept at once; at the bound the oldest is written early. 262,144.
    pub max_flows: usize,
}

impl ExportedConfig {
    /// The defaults for a sensor.
    pub fn new(sensor: impl Into<String>) -> Self {
        Self {
            sensor: sensor.into(),
            active: Duration::from_secs(60),
            settle: Duration::from_secs(5),
            max_flows: 1 << 18,
        }
    }
}

/// What [`Exported`] counted. `flows = merged + duplicates + halves_written + halves_waiting`.
///
/// | counter | meaning |
/// |---|---|
/// | `exported.flows` | flows taken from exporters |
/// | `exported.merged` | of those: sampled packets added to another |
/// | `exported.duplicates` | of those: observations of a flow that is counted already |
/// | `exported.records`, `exported.paired` | records written; of those made of two uniflows |
/// | `exported.halves_written`, `exported.halves_waiting` | flows that are in records; that wait |
/// | `exported.evicted` | records written early for room |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the table has them")]
pub struct ExportedCounters {
    pub flows: u64,
    pub merged: u64,
    pub duplicates: u64,
    pub records: u64,
    pub paired: u64,
    pub halves_written: u64,
    pub halves_waiting: u64,
    pub evicted: u64,
}

impl ExportedCounters {
    /// Ledger name and value of each.
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        let c = self;
        vec![
            ("exported.flows", c.flows),
            ("exported.merged", c.merged),
            ("exported.duplicates", c.duplicates),
            ("exported.records", c.records),
            ("exported.paired", c.paired),
            ("exported.halves_written", c.halves_written),
            ("exported.halves_waiting", c.halves_waiting),
            ("exported.evicted", c.evicted),
        ]
    }

    /// Whether every flow taken is somewhere.
    pub const fn closes(&self) -> bool {
        self.flows == self.merged + self.duplicates + self.halves_written + self.halves_waiting
    }
}

/// What becomes of what was taken: records, and what is counted.
#[derive(Debug)]
struct Out {
    sensor: String,
    ids: Vec<(Origin, RecordIds)>,
    records: Vec<FlowRecord>,
    counters: ExportedCounters,
}

/// When the connection at a place is due, unless its turn has gone on.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: i64,
    place: u32,
    turn: u32,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Exported {
    max_flows: usize,
    active: i64,
    settle: i64,
    table: Table,
    /// Deadlines of single uniflows, of pairs, and of what is only remembered: each in order.
    queues: [VecDeque<Due>; 3],
    now: i64,
    /// At the end: what is still to be written, the last first.
    ending: Option<Vec<u32>>,
    out: Out,
}

/// Deadlines that no longer hold may be so many, beside one for each connection.
const SPARE: usize = 4_096;

const SINGLE: usize = 0;
const PAIR: usize = 1;
const PAST: usize = 2;

impl Exported {
    /// Nothing taken yet.
    pub fn new(config: ExportedConfig) -> Self {
        let ExportedConfig { sensor, active, settle, max_flows } = config;
        Self {
            active: nanos(active),
            settle: nanos(settle),
            // Places are numbered in 32 bits.
            max_flows: max_flows.clamp(1, u32::MAX as usize),
            table: Table::default(),
            queues: Default::default(),
            now: i64::MIN / 2,
            ending: None,
            out: Out { sensor, ids: Vec::new(), records: Vec::new(), counters: ExportedCounters::default() },
        }
    }

    /// What was counted so far.
    pub const fn counters(&self) -> ExportedCounters {
        self.out.counters
    }

    /// Finished records that wait to be taken.
    pub const fn records_mut(&mut self) -> &mut Vec<FlowRecord> {
        &mut self.out.records
    }

    /// Takes a flow.
    pub fn handle_flow(&mut self, flow: &ExportedFlow) {
        self.out.counters.flows += 1;
        self.out.counters.halves_waiting += 1;
        self.now = self.now.max(flow.received.0);
        let (key, side) = Key::new(&flow.pair);
        let place = match self.table.find(&key) {
            Some(place) => place,
            None => {
                self.make_room();
                self.table.insert(key)
            }
        };
        let entry = self.table.entry(place);
        if !self.out.place(entry, side, flow, self.active) {
            // It does not belong to what is there: that is finished, and this begins anew.
            self.out.write(entry);
            put(entry, side, flow, self.active);
        }
        let is_pair = entry.halves.iter().all(Option::is_some) || flow.reverse.is_some();
        let (queue, wait) = if is_pair { (PAIR, self.settle) } else { (SINGLE, self.active) };
        self.wait_for(queue, wait, place);
    }

    /// The connection at a place is looked at again after so long, and not when it was said before.
    fn wait_for(&mut self, queue: usize, wait: i64, place: u32) {
        let entry = self.table.entry(place);
        entry.turn = entry.turn.wrapping_add(1);
        let due = Due { at: self.now.saturating_add(wait), place, turn: entry.turn };
        let Self { queues, table, .. } = self;
        if let Some(queue) = queues.get_mut(queue) {
            // Each report of a flow sets a deadline anew.
            if queue.len() >= 2 * table.len() + SPARE {
                queue.retain(|due| table.is_at(due.place, due.turn));
            }
            queue.push_back(due);
        }
    }

    /// Time has come to `now`: writes what has waited long enough.
    pub fn advance(&mut self, now: Nanos) {
        self.now = self.now.max(now.0);
        for queue in [SINGLE, PAIR, PAST] {
            while let Some(due) = self.queues.get_mut(queue).and_then(|q| q.pop_front_if(|due| due.at <= self.now)) {
                self.due(due);
            }
        }
    }

    fn due(&mut self, due: Due) {
        let entry = self.table.entry(due.place);
        if entry.turn != due.turn {
            return;
        }
        if entry.waits() {
            self.out.write(entry);
            self.wait_for(PAST, self.active.saturating_mul(2), due.place);
        } else {
            self.table.remove(due.place);
        }
    }

    /// At the bound: what is only remembered goes first, then what has waited longest.
    fn make_room(&mut self) {
        while self.table.len() >= self.max_flows {
            let oldest = [PAST, PAIR, SINGLE].into_iter().find_map(|queue| self.queues.get_mut(queue)?.pop_front());
            let Some(due) = oldest else { return };
            let entry = self.table.entry(due.place);
            if entry.turn != due.turn {
                continue;
            }
            if entry.waits() {
                self.out.counters.evicted += 1;
                self.out.write(entry);
            }
            self.table.remove(due.place);
        }
    }

    /// The end: everything is written, in the order in which it began.
    pub fn finish(&mut self) {
        while self.finish_part(usize::MAX) {}
    }

    /// The end in parts of so many records, for who takes them in between. `false` when that was the last; no flow may come before.
    pub fn finish_part(&mut self, most: usize) -> bool {
        let Self { table, out, queues, ending, .. } = self;
        let left = ending.get_or_insert_with(|| in_order(table));
        for place in left.drain(left.len().saturating_sub(most.max(1))..).rev() {
            out.write(table.entry(place));
        }
        if !left.is_empty() {
            return true;
        }
        *ending = None;
        table.clear();
        queues.iter_mut().for_each(VecDeque::clear);
        false
    }
}

/// What waits, by when it began, the last first.
fn in_order(table: &mut Table) -> Vec<u32> {
    let mut places = table.waiting();
    let mut begun = |place: u32| {
        let entry = table.entry(place);
        (entry.halves.iter().flatten().map(|half| half.flow.first).min(), entry.key)
    };
    places.sort_by_cached_key(|place| std::cmp::Reverse(begun(*place)));
    places
}

fn put(entry: &mut Entry, side: Side, flow: &ExportedFlow, active: i64) {
    // A SYN, or a long silence, is a new connection.
    let is_new = |past: &Past| {
        flow.forward.tcp_flags.is_some_and(|flags| flags & SYN != 0)
            || flow.first.0.saturating_sub(past.last.0) > active
            || flow.first.0 < past.flow_start.0
    };
    if !entry.waits() && entry.past.as_ref().is_some_and(is_new) {
        entry.past = None;
    }
    if let Some(half) = entry.halves.get_mut(side) {
        *half = Some(Box::new(Half::new(flow)));
    }
}

impl Out {
    /// Puts a flow into what is there; `false` if it does not belong to it.
    fn place(&mut self, entry: &mut Entry, side: Side, flow: &ExportedFlow, active: i64) -> bool {
        let [low, high] = &mut entry.halves;
        let (here, there) = if side == 0 { (low, high) } else { (high, low) };
        match (here, there) {
            (Some(half), _) => match half.again(flow, active) {
                Again::No => return false,
                Again::Merged => self.counters.merged += 1,
                Again::Duplicate => self.counters.duplicates += 1,
            },
            // A biflow has both directions: the opposite uniflow was reported by somebody else.
            (None, Some(opposite)) if opposite.flow.reverse.is_some() && opposite.overlaps(flow) => {
                opposite.observed(flow);
                self.counters.duplicates += 1;
            }
            (None, Some(opposite)) => {
                let apart = flow.first.0.saturating_sub(opposite.flow.first.0).saturating_abs();
                if apart > active && !opposite.overlaps(flow) || flow.reverse.is_some() {
                    return false;
                }
                put(entry, side, flow, active);
                return true;
            }
            (None, None) => {
                put(entry, side, flow, active);
                return true;
            }
        }
        self.counters.halves_waiting -= 1;
        true
    }

    /// Makes the record of what an entry has, which is then only remembered.
    fn write(&mut self, entry: &mut Entry) {
        let [low, high] = std::mem::take(&mut entry.halves);
        let count = u64::from(low.is_some()) + u64::from(high.is_some());
        let kept = entry.past.map(|past| usize::from(past.high_began));
        let (initiator, there, back) = match (low, high) {
            (Some(low), Some(high)) => match kept.unwrap_or_else(|| pair::initiator(&low.flow, &high.flow)) {
                0 => (0, low, Some(high)),
                _ => (1, high, Some(low)),
            },
            (Some(low), None) => (0, low, None),
            (None, Some(high)) => (1, high, None),
            (None, None) => return,
        };
        self.counters.halves_waiting -= count;
        self.counters.halves_written += count;
        self.counters.records += 1;
        self.counters.paired += u64::from(back.is_some());
        let mut record = record::record(&there, back.as_deref());
        let first = back.as_ref().map_or(there.flow.first, |back| back.flow.first.min(there.flow.first));
        let last = back.as_ref().map_or(there.flow.last, |back| back.flow.last.max(there.flow.last));
        let past = match entry.past {
            Some(past) => Past { segment: past.segment.saturating_add(1), last: last.max(past.last), ..past },
            None => Past { flow_start: first, last, segment: 0, high_began: initiator == 1 },
        };
        (record.flow_start, record.segment) = (Micros(past.flow_start.micros()), past.segment);
        entry.past = Some(past);
        let origin = record.origin;
        if !self.ids.iter().any(|(known, _)| *known == origin) {
            self.ids.push((origin, RecordIds::new(&self.sensor, origin)));
        }
        if let Some((_, ids)) = self.ids.iter_mut().find(|(known, _)| *known == origin) {
            record.record_id = ids.flow(&record, 0);
        }
        self.records.push(record);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
