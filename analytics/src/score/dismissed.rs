//! Spot's feedback as it was meant: records of severity 3, of any day, copied into the training of the day that is scored.

use std::collections::BTreeSet;

use aggregator::lake::{Hour, Lake, Source, Table};
use aggregator::record::Micros;
use arrow::array::{Array, FixedSizeBinaryArray};
use hashbrown::{HashMap, HashSet};

use super::rows::Speller;
use super::train::ExtraToken;
use super::{ScoreError, parts};
use crate::feedback::Feedback;

/// The tokens of the dismissed records that are still in the lake, each `copies` times. Records that retention took away say nothing any more.
pub(super) fn tokens(
    lake: &Lake,
    source: Source,
    feedback: &Feedback,
    speller: &mut Speller,
    copies: u32,
) -> Result<Vec<ExtraToken>, ScoreError> {
    let mut by_hour: HashMap<Hour, HashSet<[u8; 16]>> = HashMap::new();
    let mut unknown: HashSet<[u8; 16]> = HashSet::new();
    for (record, seen) in feedback.dismissed() {
        match seen {
            Some(time) => drop(by_hour.entry(Hour::of(*time)).or_default().insert(*record)),
            None => drop(unknown.insert(*record)),
        }
    }
    if !unknown.is_empty() {
        for (record, time) in times(lake, source, &unknown)? {
            by_hour.entry(Hour::of(time)).or_default().insert(record);
        }
    }
    let hours: BTreeSet<Hour> = by_hour.keys().copied().collect();
    let mut columns = speller.columns().to_vec();
    columns.push("record_id");
    columns.sort_unstable();
    columns.dedup();
    let mut tokens = Vec::new();
    for hour in hours {
        let Some(wanted) = by_hour.get(&hour) else { continue };
        let of_hour = parts::of_day(lake, source.table(), hour.day)?;
        for part in of_hour.iter().filter(|part| part.hour.is_none_or(|at| at == hour.hour)) {
            parts::read(part, &columns, None, &mut |_, batch| {
                let ids: &FixedSizeBinaryArray = parts::column(batch, "record_id")?;
                let meant = |row: usize| {
                    !ids.is_null(row) && ids.value(row).try_into().is_ok_and(|id: [u8; 16]| wanted.contains(&id))
                };
                if !(0..batch.num_rows()).any(meant) {
                    return Ok(());
                }
                speller.spell(batch, &mut |row, spelt| {
                    if let (true, Ok(spelt)) = (meant(row), spelt) {
                        for (document, word) in [Some(spelt.first), spelt.second].into_iter().flatten() {
                            tokens.push(ExtraToken { document: document.to_owned(), word, weight: copies });
                        }
                    }
                    Ok(())
                })
            })?;
        }
    }
    Ok(tokens)
}

/// When the records were seen, from the scores of all days.
fn times(lake: &Lake, source: Source, wanted: &HashSet<[u8; 16]>) -> Result<HashMap<[u8; 16], Micros>, ScoreError> {
    let mut times = HashMap::new();
    for part in lake.parts(Table::Scores(source), None)? {
        if times.len() == wanted.len() {
            break;
        }
        parts::read(&part, &["record_id", "first_seen"], None, &mut |_, batch| {
            let ids: &FixedSizeBinaryArray = parts::column(batch, "record_id")?;
            let first: &arrow::array::TimestampMicrosecondArray = parts::column(batch, "first_seen")?;
            for row in (0..ids.len()).filter(|row| !ids.is_null(*row) && !first.is_null(*row)) {
                if let Ok(id) = ids.value(row).try_into()
                    && wanted.contains(&id)
                {
                    times.insert(id, Micros(first.value(row)));
                }
            }
            Ok(())
        })?;
    }
    Ok(times)
}
