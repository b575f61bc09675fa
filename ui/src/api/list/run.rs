//! The day and the run that a page shows.

use aggregator::lake::{self, Day, Lake, Table};

use crate::api::rows::moment;
use crate::api::types::{Run, Source};
use crate::problem::ApiError;

/// The run that a page shows, and the records of its day.
pub(in crate::api) struct Found {
    pub(in crate::api) date: Day,
    pub(super) records: u64,
    pub(in crate::api) run: Option<Run>,
}

/// The run as the API shows it. `rows`: records it keeps.
pub(in crate::api) fn run_of(run: &aggregator::state::runs::Run, rows: u64) -> Run {
    Run {
        run_id: run.run_id.clone(),
        source: run.source.into(),
        date: run.date.to_string(),
        scored_at: moment(run.created),
        rows,
        words: run.words.clone(),
        model: run.model.clone().unwrap_or_default(),
        current: run.current,
        card: serde_json::from_str(&run.card).ok(),
    }
}

/// Looks up the day and its run: the one named, else the current one.
pub(in crate::api) fn find(
    lake: &Lake,
    source: Source,
    date: Option<Day>,
    run_id: Option<&str>,
) -> Result<Option<Found>, ApiError> {
    let state = lake.state();
    let table = source.lake().table();
    let date = match date {
        Some(date) => Some(date),
        None => {
            let scored = state.runs(Some(source.lake()))?.iter().filter(|run| run.current).map(|run| run.date).max();
            match scored {
                Some(date) => Some(date),
                None => lake.parts(table, None)?.iter().map(|part| part.date).max(),
            }
        }
    };
    let Some(date) = date else { return Ok(None) };
    let run = match run_id {
        None => state.current_run(source.lake(), date)?,
        Some(id) => state.runs(Some(source.lake()))?.into_iter().find(|run| run.run_id == id && run.date == date),
    };
    let on_day = |table| -> Result<Vec<lake::Part>, ApiError> {
        let mut parts = lake.parts(table, None)?;
        parts.retain(|part| part.date == date);
        Ok(parts)
    };
    let records = on_day(table)?.iter().map(|part| part.rows).sum();
    let run = match run {
        None => None,
        Some(run) => {
            let parts = on_day(Table::Scores(source.lake()))?;
            let kept = parts.iter().filter(|part| part.run.as_deref() == Some(&run.run_id)).map(|part| part.rows).sum();
            Some(run_of(&run, kept))
        }
    };
    Ok(Some(Found { date, records, run }))
}
