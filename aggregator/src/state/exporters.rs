//! Exporters: what each sent and how late, for whoever watches over them. The books are in the ledger; this is where they stand.

use rusqlite::Row;

use super::{State, StateError};
use crate::record::Micros;

/// Exporters that are kept: those heard last.
const KEPT: i64 = 5_000;
/// One that was silent for so long is forgotten.
const SILENT: i64 = 90 * 86_400_000_000;
/// Numbers beyond it stay at it: their sum must fit.
const MOST: i64 = 1 << 61;

/// An exporter. As a note: what it did since the last one; as read: since it is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exporter {
    /// Name of the collector: the source of its ledger.
    pub collector: String,
    /// Protocol, address and observation domain, as `ipfix 192.0.2.1 5`.
    pub exporter: String,
    /// Name of the sensor.
    pub sensor: String,
    /// When its last message came.
    pub last: Micros,
    /// The latest end of a flow, by its clock.
    pub ended: Option<Micros>,
    /// Messages read.
    pub messages: u64,
    /// Flows (v5, v7), datagrams (v9, sFlow) or data records (IPFIX) missing by its numbering.
    pub lost: u64,
    /// Messages a little behind.
    pub reordered: u64,
    /// Numbering begun anew.
    pub restarts: u64,
    /// Data sets whose template had not come.
    pub without_template: u64,
    /// Flows.
    pub flows: u64,
    /// Of those: ended more than a second after they came.
    pub ahead: u64,
    /// Of those: ended more than a day before they came.
    pub behind: u64,
    /// Flows of the last set with a time that can be compared, their milliseconds from end to arrival together, and the longest.
    pub recent_flows: u64,
    #[expect(missing_docs, reason = "said above")]
    pub recent_lag_ms: u64,
    #[expect(missing_docs, reason = "said above")]
    pub recent_longest_ms: u64,
}

/// The parts of an exporter's name: protocol, address, observation domain.
pub fn parts(exporter: &str) -> [&str; 3] {
    let mut parts = exporter.splitn(3, ' ');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// What a protocol numbers, and so what [`Exporter::lost`] counts.
pub fn lost_unit(protocol: &str) -> &'static str {
    match protocol {
        "netflow5" | "netflow7" => "flows",
        "ipfix" => "records",
        _ => "datagrams",
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(MOST).min(MOST)
}

impl State {
    /// Adds what exporters did to what is known of them.
    pub fn note_exporters(&self, notes: &[Exporter], now: Micros) -> Result<(), StateError> {
        self.write(|t| {
            let mut put = t.prepare_cached(PUT)?;
            for note in notes {
                put.execute(rusqlite::params![
                    note.collector,
                    note.exporter,
                    note.sensor,
                    note.last.0,
                    note.ended.map(|ended| ended.0),
                    number(note.messages),
                    number(note.lost),
                    number(note.reordered),
                    number(note.restarts),
                    number(note.without_template),
                    number(note.flows),
                    number(note.ahead),
                    number(note.behind),
                    number(note.recent_flows),
                    number(note.recent_lag_ms),
                    number(note.recent_longest_ms),
                ])?;
            }
            t.execute("DELETE FROM exporters WHERE last < ?1", [now.0.saturating_sub(SILENT)])?;
            t.execute(
                "DELETE FROM exporters WHERE (collector, exporter) IN
                 (SELECT collector, exporter FROM exporters ORDER BY last DESC, collector, exporter LIMIT -1 OFFSET ?1)",
                [KEPT],
            )
            .map(drop)
        })
    }

    /// At most `limit` exporters, those heard last first.
    pub fn exporters(&self, limit: u32) -> Result<Vec<Exporter>, StateError> {
        self.read(|c| {
            c.prepare("SELECT * FROM exporters ORDER BY last DESC, collector, exporter LIMIT ?1")?
                .query_map([limit], read)?
                .collect()
        })
    }
}

const PUT: &str = "INSERT INTO exporters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
    ON CONFLICT (collector, exporter) DO UPDATE SET
        sensor = excluded.sensor,
        last = max(last, excluded.last),
        ended = coalesce(max(ended, excluded.ended), ended, excluded.ended),
        messages = min(messages + excluded.messages, 1 << 61),
        lost = min(lost + excluded.lost, 1 << 61),
        reordered = min(reordered + excluded.reordered, 1 << 61),
        restarts = min(restarts + excluded.restarts, 1 << 61),
        without_template = min(without_template + excluded.without_template, 1 << 61),
        flows = min(flows + excluded.flows, 1 << 61),
        ahead = min(ahead + excluded.ahead, 1 << 61),
        behind = min(behind + excluded.behind, 1 << 61),
        recent_flows = iif(excluded.recent_flows > 0, excluded.recent_flows, recent_flows),
        recent_lag_ms = iif(excluded.recent_flows > 0, excluded.recent_lag_ms, recent_lag_ms),
        recent_longest_ms = iif(excluded.recent_flows > 0, excluded.recent_longest_ms, recent_longest_ms)";

fn read(row: &Row<'_>) -> rusqlite::Result<Exporter> {
    let count = |at: usize| row.get::<_, i64>(at).map(|value| u64::try_from(value).unwrap_or_default());
    Ok(Exporter {
        collector: row.get(0)?,
        exporter: row.get(1)?,
        sensor: row.get(2)?,
        last: Micros(row.get(3)?),
        ended: row.get::<_, Option<i64>>(4)?.map(Micros),
        messages: count(5)?,
        lost: count(6)?,
        reordered: count(7)?,
        restarts: count(8)?,
        without_template: count(9)?,
        flows: count(10)?,
        ahead: count(11)?,
        behind: count(12)?,
        recent_flows: count(13)?,
        recent_lag_ms: count(14)?,
        recent_longest_ms: count(15)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(exporter: &str, last: i64) -> Exporter {
        Exporter {
            collector: "collect".to_owned(),
            exporter: exporter.to_owned(),
            sensor: "edge".to_owned(),
            last: Micros(last),
            ..Exporter::default()
        }
    }

    #[test]
    fn notes_add_up_and_the_lag_is_that_of_the_last_flows() {
        let state = State::in_memory().unwrap();
        let first = Exporter {
            ended: Some(Micros(5)),
            messages: 3,
            lost: u64::MAX,
            flows: 20,
            recent_flows: 20,
            recent_lag_ms: 4_000,
            recent_longest_ms: 900,
            ..note("ipfix 192.0.2.1 5", 10)
        };
        state.note_exporters(&[first.clone(), note("sflow 2001:db8::1 0", 8)], Micros(10)).unwrap();
        let silent = Exporter { messages: 1, lost: u64::MAX, ..note("ipfix 192.0.2.1 5", 30) };
        state.note_exporters(&[silent], Micros(30)).unwrap();
        let known = state.exporters(10).unwrap();
        let expected = Exporter { messages: 4, lost: 1 << 61, last: Micros(30), ..first };
        assert_eq!(known, [expected, note("sflow 2001:db8::1 0", 8)]);
        assert_eq!(state.exporters(1).unwrap().len(), 1);
    }

    #[test]
    fn names_are_taken_apart_whatever_they_are() {
        assert_eq!(parts("ipfix 2001:db8::1 7"), ["ipfix", "2001:db8::1", "7"]);
        assert_eq!((parts(""), parts("x")), (["", "", ""], ["x", "", ""]));
        assert_eq!(["netflow5", "netflow9", "ipfix"].map(lost_unit), ["flows", "datagrams", "records"]);
    }

    #[test]
    fn the_silent_and_those_past_the_bound_are_forgotten() {
        let state = State::in_memory().unwrap();
        let many: Vec<Exporter> = (0..KEPT + 20).map(|n| note(&format!("ipfix 192.0.2.1 {n}"), n)).collect();
        state.note_exporters(&many, Micros(0)).unwrap();
        let known = state.exporters(u32::MAX).unwrap();
        assert_eq!((known.len() as i64, known.last().map(|last| last.last)), (KEPT, Some(Micros(20))));
        state.note_exporters(&[note("netflow5 192.0.2.2 0", SILENT + KEPT)], Micros(SILENT + KEPT)).unwrap();
        assert!(state.exporters(u32::MAX).unwrap().iter().all(|kept| kept.last >= Micros(KEPT)));
    }
}
