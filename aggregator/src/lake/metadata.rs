//! What each part says of itself in its Parquet key-value metadata, so that a lake without its state
//! database can be read and adopted.

use std::collections::BTreeMap;

use parquet::file::metadata::KeyValue;

use super::SetKind;
use super::schema;
use super::table::Place;
use crate::record::Micros;

/// Version of the schemas.
pub(super) const SCHEMA: &str = "spotter.schema";
/// The set it was published with.
pub(super) const SET: &str = "spotter.set";
/// What the set is for.
pub(super) const KIND: &str = "spotter.kind";
/// Its folder, relative to the lake.
pub(super) const PLACE: &str = "spotter.place";
/// The sensor.
pub(super) const SENSOR: &str = "spotter.sensor";
/// Paths of the parts it takes the place of, and of those they took the place of; JSON list.
pub const REPLACES: &str = "spotter.replaces";
/// Hashes of the imported files; JSON list.
pub(super) const IMPORTS: &str = "spotter.imports";
/// The scoring run.
pub(super) const RUN: &str = "spotter.run";
/// Earliest and latest time of its rows, microseconds.
pub(super) const FIRST: &str = "spotter.first";
/// See [`FIRST`].
pub(super) const LAST: &str = "spotter.last";
/// The interval's ledger, summed by counter; JSON object. Written to parts still open at the end of the set.
pub(super) const LEDGER: &str = "spotter.ledger";

/// Longest ledger written to a part, bytes of JSON; a longer one is in the ledger table alone.
const LEDGER_LIMIT: usize = 64 << 10;

fn entry(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue::new(key.to_owned(), Some(value.into()))
}

/// What is known when a part is begun.
pub(super) fn at_start(kind: &SetKind, set: &str, place: &Place) -> Vec<KeyValue> {
    let mut entries = vec![
        entry(SCHEMA, schema::VERSION.to_string()),
        entry(SET, set),
        entry(KIND, kind.as_str()),
        entry(PLACE, place.folder().to_string_lossy()),
        entry(SENSOR, place.sensor.clone()),
    ];
    match kind {
        SetKind::Scores { run_id, .. } => entries.push(entry(RUN, run_id.clone())),
        SetKind::Import(_) | SetKind::Flush | SetKind::Generated | SetKind::Books | SetKind::Compaction => {}
    }
    entries
}

/// Where a part's rows come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Lineage {
    /// Paths of the parts it takes the place of, and of those they took the place of.
    pub(super) replaces: Vec<String>,
    /// Hashes of the imported files.
    pub(super) imports: Vec<String>,
}

impl Lineage {
    /// Entries kept of each kind; older ancestors are long deleted.
    const LIMIT: usize = 4_096;

    /// Of a new set.
    pub(super) fn of(kind: &SetKind) -> Self {
        match kind {
            SetKind::Import(mark) => Self { replaces: Vec::new(), imports: vec![mark.content.clone()] },
            _ => Self::default(),
        }
    }

    /// Adds the lineage of a part that is replaced.
    pub(super) fn extend(&mut self, other: Self) {
        for (ours, theirs) in [(&mut self.replaces, other.replaces), (&mut self.imports, other.imports)] {
            for entry in theirs {
                if ours.len() < Self::LIMIT && !ours.contains(&entry) {
                    ours.push(entry);
                }
            }
        }
    }
}

/// The lineage a part tells of.
pub(super) fn lineage(entries: &[KeyValue]) -> Lineage {
    let list = |key| get(entries, key).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    Lineage { replaces: list(REPLACES), imports: list(IMPORTS) }
}

/// What is known when it is closed.
pub(super) fn at_end(first: Micros, last: Micros, lineage: &Lineage, ledger: &BTreeMap<String, u64>) -> Vec<KeyValue> {
    let mut entries = vec![entry(FIRST, first.0.to_string()), entry(LAST, last.0.to_string())];
    for (key, list) in [(REPLACES, &lineage.replaces), (IMPORTS, &lineage.imports)] {
        if !list.is_empty() {
            entries.push(entry(key, serde_json::to_string(list).unwrap_or_default()));
        }
    }
    if !ledger.is_empty() {
        let json = serde_json::to_string(ledger).unwrap_or_default();
        if json.len() <= LEDGER_LIMIT {
            entries.push(entry(LEDGER, json));
        }
    }
    entries
}

/// The value of a key.
pub(super) fn get<'a>(entries: &'a [KeyValue], key: &str) -> Option<&'a str> {
    entries.iter().find(|e| e.key == key)?.value.as_deref()
}
