//! Numbers of an exporter's messages: what is missing, late, or begun anew; and where it stands, which outlives a restart.

use super::counters::CollectCounters;
use super::store::ExporterKey;
use super::{Collector, memory};
use crate::Nanos;

/// Numbers so far behind are a restart of the exporter, not a datagram that came late.
const REORDERED: u32 = 1_024;
/// So many late messages, each following the one before: the exporter has begun anew.
const RESTARTED: u32 = 4;

/// What one exporter did since [`Collector::positions`] was called last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExporterTally {
    /// Messages read.
    pub messages: u64,
    /// Flows (v5, v7), datagrams (v9, sFlow) or data records (IPFIX) missing by its numbering. Below 0: what was missing before came late.
    pub lost: i64,
    /// Messages a little behind.
    pub reordered: u64,
    /// Numbering begun anew.
    pub restarts: u64,
    /// Data sets whose template had not come.
    pub without_template: u64,
}

impl ExporterTally {
    /// Adds what it did after that.
    pub fn add(&mut self, later: &Self) {
        self.messages += later.messages;
        self.lost += later.lost;
        self.reordered += later.reordered;
        self.restarts += later.restarts;
        self.without_template += later.without_template;
    }
}

/// Where an exporter stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// Protocol, address and observation domain, as `ipfix 192.0.2.1 5`.
    pub exporter: String,
    /// Number its next message should have; `None` where that is not known, or where the exporter was forgotten for others
    /// ([`CollectLimits::max_exporters`](super::CollectLimits::max_exporters)).
    pub expected: Option<u32>,
    /// What it did since the last call.
    pub tally: ExporterTally,
}

/// Of one exporter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbering {
    /// Number the next message should have.
    pub(super) expected: Option<u32>,
    pub(super) tally: ExporterTally,
    /// Lost and not come late since.
    missing: u64,
    /// `expected` is of before the collector's restart.
    resumed: bool,
    /// The message that would follow the last late one, and how many followed so.
    late: Option<(u32, u32)>,
    /// Something came since the last [`Collector::positions`].
    pub(super) moved: bool,
}

impl Numbering {
    /// Compares a message's number with the one that should come. `units` is what this message adds to the numbering; `None`
    /// where that is known only when the message is read (IPFIX; see [`Self::read`]). True where the message is late.
    pub(super) fn handle(&mut self, number: u32, units: Option<u32>, counters: &mut CollectCounters) -> bool {
        self.moved = true;
        self.tally.messages += 1;
        let resumed = std::mem::take(&mut self.resumed);
        if let Some(expected) = self.expected {
            let ahead = number.wrapping_sub(expected);
            if ahead != 0 && ahead < 1 << 31 {
                self.tally.lost += i64::from(ahead);
                self.missing += u64::from(ahead);
                counters.sequence_lost += u64::from(ahead);
                counters.sequence_lost_over_restart += if resumed { u64::from(ahead) } else { 0 };
            } else if ahead != 0 {
                let follows = self.late.filter(|(next, _)| *next == number).map_or(0, |(_, run)| run);
                // After a restart of the collector nothing can be late: what came before is not known message by message.
                if ahead.wrapping_neg() <= REORDERED && follows + 1 < RESTARTED && !resumed {
                    self.tally.reordered += 1;
                    counters.sequence_reordered += 1;
                    self.late = Some((number, follows + 1));
                    if let Some(units) = units {
                        self.came_late(number, units, counters);
                    }
                    return true;
                }
                self.tally.restarts += 1;
                counters.sequence_restarts += 1;
            }
        }
        self.late = None;
        self.expected = units.map(|units| number.wrapping_add(units));
        false
    }

    /// A message whose units were not known is read; `None` where they still are not: numbering is taken up with the next.
    pub(super) fn read(&mut self, number: u32, is_late: bool, units: Option<u32>, counters: &mut CollectCounters) {
        if is_late {
            self.came_late(number, units.unwrap_or_default(), counters);
        } else {
            self.expected = units.map(|units| number.wrapping_add(units));
        }
    }

    /// What a late message brings was counted as lost when a later one came.
    fn came_late(&mut self, number: u32, units: u32, counters: &mut CollectCounters) {
        if let Some((next, _)) = &mut self.late {
            *next = number.wrapping_add(units);
        }
        let back = units.min(u32::try_from(self.missing).unwrap_or(u32::MAX));
        self.tally.lost -= i64::from(back);
        self.missing -= u64::from(back);
        let back = u64::from(back);
        counters.sequence_lost = counters.sequence_lost.saturating_sub(back);
    }
}

impl Collector {
    /// Where those exporters stand that sent something since the last call, those first that were forgotten since.
    pub fn positions(&mut self) -> Vec<Position> {
        let position = |key, expected, tally| Some(Position { exporter: memory::name(&key)?, expected, tally });
        let gone = self.store.take_forgotten().into_iter();
        let mut positions: Vec<Position> = gone.filter_map(|(key, tally)| position(key, None, tally)).collect();
        positions.extend(self.store.moved().filter_map(|(key, numbering)| {
            numbering.moved = false;
            position(key, numbering.expected, std::mem::take(&mut numbering.tally))
        }));
        positions
    }

    /// Exporters that were forgotten since the last [`Self::positions`]. Past 4,096, what they did is told of no one.
    pub fn forgotten(&self) -> usize {
        self.store.forgotten()
    }

    /// Takes up an exporter's numbering where it stood before a restart: what is missing since then is counted as lost. A name
    /// that cannot be read is left out; gives whether it could.
    pub fn resume(&mut self, exporter: &str, expected: u32) -> bool {
        let Some(key) = memory::key(exporter) else { return false };
        self.resume_key(key, expected);
        true
    }

    fn resume_key(&mut self, key: ExporterKey, expected: u32) {
        let exporter = self.store.exporter(key, Nanos(0), &self.limits, &mut self.counters);
        exporter.numbering.expected = Some(expected);
        exporter.numbering.resumed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exporter_that_begins_anew_a_little_behind_is_not_late_for_ever() {
        let (mut numbering, mut counters) = (Numbering::default(), CollectCounters::default());
        for number in 0..500 {
            assert!(!numbering.handle(number, Some(1), &mut counters));
        }
        let late: Vec<bool> = (0..10).map(|number| numbering.handle(number, Some(1), &mut counters)).collect();
        assert_eq!(late.iter().filter(|late| **late).count(), 3);
        assert_eq!((counters.sequence_restarts, counters.sequence_lost), (1, 0));
        assert_eq!(numbering.expected, Some(10));
    }

    #[test]
    fn what_comes_late_was_lost_only_for_a_while() {
        let (mut numbering, mut counters) = (Numbering::default(), CollectCounters::default());
        for number in [0, 30, 90, 60, 120] {
            numbering.handle(number, Some(30), &mut counters);
        }
        assert_eq!((counters.sequence_lost, counters.sequence_reordered, numbering.expected), (0, 1, Some(150)));
        // Late without a gap of its own takes nothing from others.
        numbering.handle(0, Some(30), &mut counters);
        assert_eq!((counters.sequence_lost, numbering.tally.lost, numbering.missing), (0, 0, 0));
    }

    #[test]
    fn numbers_wrap() {
        let (mut numbering, mut counters) = (Numbering::default(), CollectCounters::default());
        for number in [u32::MAX - 1, u32::MAX, 0, 2] {
            numbering.handle(number, Some(1), &mut counters);
        }
        assert_eq!((counters.sequence_lost, counters.sequence_restarts), (1, 0));
    }
}
