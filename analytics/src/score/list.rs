//! What is in the lake to score, and what was scored: for commands that need no SQL.

use std::collections::BTreeMap;

use aggregator::lake::{Day, Lake, Source, Table, schema};
use aggregator::state::runs::Run;
use arrow::array::RecordBatch;

use super::{ScoreError, parts};

/// A day that has records of a source.
#[derive(Clone, PartialEq, Debug)]
pub struct DayRows {
    /// The day, UTC.
    pub date: Day,
    /// Its records.
    pub rows: u64,
    /// The run shown for it, if it was scored.
    pub run: Option<Run>,
}

/// The days that have records of a source, earliest first.
///
/// # Errors
/// The lake's journal cannot be read.
pub fn days(lake: &Lake, source: Source) -> Result<Vec<DayRows>, ScoreError> {
    let mut rows: BTreeMap<Day, u64> = BTreeMap::new();
    for part in lake.parts(source.table(), None)? {
        *rows.entry(part.date).or_insert(0) += part.rows;
    }
    let mut current: BTreeMap<Day, Run> = BTreeMap::new();
    current.extend(lake.state().runs(Some(source))?.into_iter().filter(|run| run.current).map(|run| (run.date, run)));
    Ok(rows.into_iter().map(|(date, rows)| DayRows { date, rows, run: current.remove(&date) }).collect())
}

/// The rows of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Ranked {
    /// The run and its card.
    pub run: Run,
    /// Its rows in rank order, with the columns of `scores` of the source.
    pub rows: RecordBatch,
}

/// The rows of the run shown for a source and day; `None` if the day was not scored. Holds all rows a run may have kept
/// ([`super::ScoreRequest::limit`], about 1 KiB each).
///
/// # Errors
/// The journal or a part cannot be read.
pub fn ranked(lake: &Lake, source: Source, date: Day) -> Result<Option<Ranked>, ScoreError> {
    let Some(run) = lake.state().current_run(source, date)? else { return Ok(None) };
    let table = Table::Scores(source);
    let schema = schema::scores(source);
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut batches: Vec<RecordBatch> = Vec::new();
    for part in lake.parts(table, None)?.iter().filter(|part| part.run.as_deref() == Some(run.run_id.as_str())) {
        parts::read(part, &columns, None, &mut |_, batch| {
            batches.push(batch.clone());
            Ok(())
        })?;
    }
    let nullable = batches.first().map_or_else(|| schema.clone(), RecordBatch::schema);
    let rows = arrow::compute::concat_batches(&nullable, &batches).map_err(ScoreError::Schema)?;
    let order = match rows.column_by_name("rank") {
        Some(rank) => arrow::compute::sort_to_indices(rank, None, None).map_err(ScoreError::Schema)?,
        None => return Ok(Some(Ranked { run, rows })),
    };
    let rows = arrow::compute::take_record_batch(&rows, &order).map_err(ScoreError::Schema)?;
    Ok(Some(Ranked { run, rows }))
}
