//! Models and scoring runs, with their cards; which run of a source and day is the current one.

use rusqlite::OptionalExtension as _;

use super::{State, StateError};
use crate::lake::{Day, Source};
use crate::record::Micros;

/// A fitted model.
#[derive(Clone, PartialEq, Debug)]
pub struct Model {
    /// Identity.
    pub model_id: String,
    /// What it was fitted on.
    pub source: Source,
    /// Word scheme: `spot` or `rich`.
    pub words: String,
    /// Its file, relative to the lake, where it was kept.
    pub file: Option<String>,
    /// Model card, JSON.
    pub card: String,
    /// When it was fitted.
    pub created: Micros,
}

/// One scoring of a day.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// Identity: the `run_id` column of `scores`.
    pub run_id: String,
    /// What was scored.
    pub source: Source,
    /// Which day.
    pub date: Day,
    /// Word scheme: `spot` or `rich`.
    pub words: String,
    /// The model, where it was kept.
    pub model: Option<String>,
    /// Card of the run: parameters, counts, times; JSON.
    pub card: String,
    /// When it was made.
    pub created: Micros,
    /// It is the one shown for its source and day.
    pub current: bool,
}

impl State {
    /// Keeps a model's card, or takes a new one for the same id.
    pub fn put_model(&self, model: &Model) -> Result<(), StateError> {
        self.write(|t| {
            t.execute(
                "INSERT INTO models (model_id, source, words, file, card, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (model_id) DO UPDATE SET file = excluded.file, card = excluded.card",
                (&model.model_id, model.source.as_str(), &model.words, &model.file, &model.card, model.created.0),
            )
            .map(drop)
        })
    }

    /// A model by its id.
    pub fn model(&self, model_id: &str) -> Result<Option<Model>, StateError> {
        self.read(|c| c.query_row(&format!("{MODELS} WHERE model_id = ?1"), [model_id], read_model).optional())
    }

    /// The models of a source, newest first.
    pub fn models(&self, source: Source) -> Result<Vec<Model>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{MODELS} WHERE source = ?1 ORDER BY created DESC, model_id"))?
                .query_map([source.as_str()], read_model)?
                .collect()
        })
    }

    /// Records a run. With `current` set it takes the place of the former current run of its source and day.
    pub fn put_run(&self, run: &Run) -> Result<(), StateError> {
        self.write(|t| {
            if run.current {
                clear_current(t, run.source, run.date)?;
            }
            t.execute(
                "INSERT INTO runs (run_id, source, date, words, model, card, created, current)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (run_id) DO UPDATE SET card = excluded.card, current = excluded.current",
                (
                    &run.run_id,
                    run.source.as_str(),
                    run.date.0,
                    &run.words,
                    &run.model,
                    &run.card,
                    run.created.0,
                    run.current,
                ),
            )
            .map(drop)
        })
    }

    /// Makes a run the current one of its source and day. False where there is no such run.
    pub fn set_current_run(&self, run_id: &str) -> Result<bool, StateError> {
        self.write(|t| {
            let Some(run) = t.query_row(&format!("{RUNS} WHERE run_id = ?1"), [run_id], read_run).optional()? else {
                return Ok(false);
            };
            clear_current(t, run.source, run.date)?;
            t.execute("UPDATE runs SET current = 1 WHERE run_id = ?1", [run_id])?;
            Ok(true)
        })
    }

    /// The run shown for a source and day.
    pub fn current_run(&self, source: Source, date: Day) -> Result<Option<Run>, StateError> {
        self.read(|c| {
            c.query_row(
                &format!("{RUNS} WHERE source = ?1 AND date = ?2 AND current = 1"),
                (source.as_str(), date.0),
                read_run,
            )
            .optional()
        })
    }

    /// The runs of a source, latest day first; all sources for `None`.
    pub fn runs(&self, source: Option<Source>) -> Result<Vec<Run>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{RUNS} WHERE ?1 IS NULL OR source = ?1 ORDER BY date DESC, created DESC, run_id"))?
                .query_map([source.map(Source::as_str)], read_run)?
                .collect()
        })
    }
}

fn clear_current(t: &rusqlite::Connection, source: Source, date: Day) -> rusqlite::Result<()> {
    t.execute("UPDATE runs SET current = 0 WHERE source = ?1 AND date = ?2 AND current = 1", (source.as_str(), date.0))
        .map(drop)
}

const MODELS: &str = "SELECT model_id, source, words, file, card, created FROM models";
const RUNS: &str = "SELECT run_id, source, date, words, model, card, created, current FROM runs";

fn read_model(row: &rusqlite::Row<'_>) -> rusqlite::Result<Model> {
    Ok(Model {
        model_id: row.get(0)?,
        source: read_source(row, 1)?,
        words: row.get(2)?,
        file: row.get(3)?,
        card: row.get(4)?,
        created: Micros(row.get(5)?),
    })
}

fn read_run(row: &rusqlite::Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        run_id: row.get(0)?,
        source: read_source(row, 1)?,
        date: Day(row.get(2)?),
        words: row.get(3)?,
        model: row.get(4)?,
        card: row.get(5)?,
        created: Micros(row.get(6)?),
        current: row.get(7)?,
    })
}

pub(super) fn read_source(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Source> {
    row.get_ref(column)?.as_str()?.parse().map_err(|reason: String| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason.into())
    })
}
