//! What each exporter did since the last set that was published: kept until it is in a ledger.

use std::collections::BTreeMap;

use capture::collect::ExporterTally;

use super::lag::{Lag, Lags};
use crate::record::Micros;
use crate::state::exporters::Exporter;

/// Exporters told apart between two sets. A sender may forge any number of them.
const EXPORTERS: usize = 8_192;
/// What all others did goes by this name.
const OTHERS: &str = "others";

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Deed {
    tally: ExporterTally,
    lag: Lag,
    last: Micros,
}

impl Deed {
    /// | counter | meaning |
    /// |---|---|
    /// | `exporter.messages` | messages read |
    /// | `exporter.sequence.lost`, `.reordered`, `.restarts` | see [`ExporterTally`] |
    /// | `exporter.sets.without_template` | data sets whose template had not come |
    ///
    /// and those of [`Lag`].
    fn list(&self) -> Vec<(&'static str, u64)> {
        let ExporterTally { messages, lost, reordered, restarts, without_template } = self.tally;
        let tally = [
            ("exporter.messages", messages),
            // What came late after its loss was told is taken from the next that are lost.
            ("exporter.sequence.lost", lost.max(0).unsigned_abs()),
            ("exporter.sequence.reordered", reordered),
            ("exporter.sequence.restarts", restarts),
            ("exporter.sets.without_template", without_template),
        ];
        tally.into_iter().chain(self.lag.list()).collect()
    }
}

/// By exporter's name. Memory: about 350 bytes for each of at most [`EXPORTERS`].
#[derive(Debug, Default)]
pub(super) struct Deeds(BTreeMap<String, Deed>);

impl Deeds {
    fn of(&mut self, exporter: String) -> &mut Deed {
        let is_known = self.0.len() < EXPORTERS || self.0.contains_key(&exporter);
        self.0.entry(if is_known { exporter } else { OTHERS.to_owned() }).or_default()
    }

    pub(super) fn tally(&mut self, exporter: String, tally: &ExporterTally) {
        self.of(exporter).tally.add(tally);
    }

    /// Takes what flows said of their exporters. `now`: messages without a flow arrived at the latest then.
    pub(super) fn lags(&mut self, lags: &mut Lags, now: Micros) {
        for (exporter, lag) in lags.take() {
            self.of(exporter).lag.add(&lag);
        }
        for deed in self.0.values_mut() {
            deed.last = if deed.tally.messages > 0 { now } else { deed.lag.received.unwrap_or(deed.last) };
        }
    }

    /// By exporter, what goes into its ledger.
    pub(super) fn counters(&self) -> impl Iterator<Item = (&str, Vec<(&'static str, u64)>)> {
        self.0.iter().map(|(exporter, deed)| (exporter.as_str(), deed.list()))
    }

    /// The same for the state database.
    pub(super) fn notes(&self, collector: &str, sensor: &str) -> Vec<Exporter> {
        let all = self.0.iter().filter(|(exporter, deed)| *exporter != OTHERS && deed.last != Micros::default());
        let notes = all.map(|(exporter, Deed { tally, lag, last })| Exporter {
            collector: collector.to_owned(),
            exporter: exporter.clone(),
            sensor: sensor.to_owned(),
            last: *last,
            ended: lag.ended,
            messages: tally.messages,
            lost: tally.lost.max(0).unsigned_abs(),
            reordered: tally.reordered,
            restarts: tally.restarts,
            without_template: tally.without_template,
            flows: lag.flows,
            ahead: lag.ahead,
            behind: lag.behind,
            recent_flows: lag.timed,
            recent_lag_ms: lag.lag_ms,
            recent_longest_ms: lag.longest_ms,
        });
        notes.collect()
    }

    /// All of it is published. What came late of what was told as lost is remembered for as long as its exporter sends.
    pub(super) fn are_told(&mut self) {
        self.0.retain(|_, deed| {
            let owed = deed.tally.lost.min(0);
            let stays = owed < 0 && deed.tally.messages > 0;
            *deed = Deed { tally: ExporterTally { lost: owed, ..ExporterTally::default() }, ..Deed::default() };
            stays
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn tally(lost: i64) -> ExporterTally {
        ExporterTally { messages: 1, lost, ..ExporterTally::default() }
    }

    fn lost(deeds: &Deeds) -> u64 {
        let of = |list: Vec<(&str, u64)>| list.iter().find(|(name, _)| *name == "exporter.sequence.lost").unwrap().1;
        deeds.counters().map(|(_, list)| of(list)).sum()
    }

    #[test]
    fn what_comes_late_after_its_loss_was_told_is_taken_from_the_next_loss() {
        let mut deeds = Deeds::default();
        let mut told = 0;
        for interval in [30, -30, 0, 40] {
            deeds.tally("netflow5 192.0.2.1 0".to_owned(), &tally(interval));
            deeds.lags(&mut Lags::default(), Micros(1));
            told += lost(&deeds);
            assert_eq!(deeds.notes("c", "s").len(), 1);
            deeds.are_told();
        }
        assert_eq!(told, 40);
        assert_eq!(deeds.0.len(), 0);
    }

    #[test]
    fn forged_exporters_took_memory_without_bound() {
        let mut deeds = Deeds::default();
        for domain in 0..20_000 {
            deeds.tally(format!("ipfix 192.0.2.1 {domain}"), &tally(1));
        }
        deeds.tally("ipfix 192.0.2.1 7".to_owned(), &tally(1));
        deeds.lags(&mut Lags::default(), Micros(1));
        assert_eq!((deeds.0.len(), lost(&deeds)), (EXPORTERS + 1, 20_001));
        let notes = deeds.notes("c", "s");
        assert_eq!((notes.len(), notes.iter().map(|note| note.lost).sum::<u64>()), (EXPORTERS, EXPORTERS as u64 + 1));
        // Told nowhere yet: it stays.
        assert_eq!(lost(&deeds), 20_001);
        deeds.are_told();
        assert_eq!(deeds.0.len(), 0);
    }
}
