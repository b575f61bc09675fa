//! The lake's journal: sets and their parts.
//!
//! ```text
//! begin ─► staging ─► publishing ─► published        parts:  staged ─► live ─► doomed ─► (deleted, row gone)
//! ```
//!
//! Readers see live parts only, so each arrow of a set is one transaction and the last one is the moment
//! at which all its parts appear, those it takes the place of disappear, and its import is done.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Transaction};
use serde::{Deserialize, Serialize};

use super::imports::ImportState;
use super::{State, StateError, now};
use crate::lake::{Arrival, Day, Table};
use crate::record::Micros;

/// What else happens when a set is published.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Detail {
    /// Parts (paths relative to the lake) that are replaced or expire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) dooms: Vec<String>,
    /// The import that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) import: Option<ImportEnd>,
    /// How far a followed source is read, with this set: source and position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) offset: Option<(String, String)>,
}

/// How an import ends when its set is published.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ImportEnd {
    pub(crate) import_id: i64,
    pub(crate) state: ImportState,
    pub(crate) counts: String,
    pub(crate) error: Option<String>,
}

/// A set that is not published.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OpenSet {
    pub(crate) set: String,
    pub(crate) kind: String,
    pub(crate) sensor: String,
    pub(crate) created: Micros,
    pub(crate) publishing: bool,
}

/// A row of `parts`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PartRow {
    /// Relative to the lake.
    pub(crate) path: String,
    pub(crate) set: String,
    pub(crate) table: Table,
    pub(crate) date: Day,
    pub(crate) hour: Option<u8>,
    pub(crate) sensor: String,
    pub(crate) run: Option<String>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) first: Micros,
    pub(crate) last: Micros,
    /// File name in the staging folder, until it is published.
    pub(crate) staged: Option<String>,
}

/// Whether a set could be published.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PublishEnd {
    /// It is.
    Published,
    /// A part it replaces is gone meanwhile, or its import is another set's; nothing was changed.
    Overtaken,
}

impl State {
    /// How many parts can have rows of a span, and when the last of them was published: as long as both stay, so
    /// does every answer about that span.
    pub fn parts_between(&self, from: Micros, to: Micros) -> Result<(i64, i64), StateError> {
        self.read(|c| {
            c.query_row(
                "SELECT count(*), coalesce(max(s.published), 0) FROM parts p JOIN sets s USING (set_id)
                 WHERE p.state = 'live' AND p.first < ?2 AND p.last >= ?1",
                (from.0, to.0),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
    }

    /// Enters a new set.
    pub(crate) fn begin_set(&self, set: &str, kind: &str, sensor: &str, import: Option<i64>) -> Result<(), StateError> {
        self.write(|t| {
            t.execute(
                "INSERT INTO sets (set_id, kind, sensor, state, created) VALUES (?1, ?2, ?3, 'staging', ?4)",
                (set, kind, sensor, now().0),
            )?;
            if let Some(import) = import {
                t.execute("UPDATE imports SET set_id = ?2 WHERE import_id = ?1", (import, set))?;
            }
            Ok(())
        })
    }

    /// The set's parts are complete and on disk in its staging folder: from here on it will be published.
    pub(crate) fn set_publishing(&self, set: &str, detail: &Detail, parts: &[PartRow]) -> Result<(), StateError> {
        let json = serde_json::to_string(detail).unwrap_or_default();
        self.write(|t| {
            t.execute("UPDATE sets SET state = 'publishing', detail = ?2 WHERE set_id = ?1", (set, json))?;
            parts.iter().try_for_each(|part| insert_part(t, part, "staged"))
        })
    }

    /// The set's parts are at their places: they become visible, by this transaction.
    pub(crate) fn set_published(&self, set: &str) -> Result<PublishEnd, StateError> {
        self.write(|t| {
            let detail: Option<String> = t
                .query_row("SELECT detail FROM sets WHERE set_id = ?1 AND state = 'publishing'", [set], |row| {
                    row.get(0)
                })
                .optional()?;
            let Some(detail) = detail else { return Ok(PublishEnd::Published) };
            let detail: Detail = serde_json::from_str(&detail).map_err(|e| damaged(e.into()))?;
            let mut doom = t.prepare("UPDATE parts SET state = 'doomed' WHERE path = ?1 AND state = 'live'")?;
            for path in &detail.dooms {
                if doom.execute([path])? != 1 {
                    // The transaction is not committed by an error; nothing of it stays.
                    return Err(overtaken());
                }
            }
            t.execute("UPDATE parts SET state = 'live', staged = NULL WHERE set_id = ?1 AND state = 'staged'", [set])?;
            t.execute("UPDATE sets SET state = 'published', published = ?2 WHERE set_id = ?1", (set, now().0))?;
            if let Some((source, position)) = &detail.offset {
                super::settings::put_offset(t, source, position)?;
            }
            if let Some(end) = &detail.import {
                let done = t.execute(
                    "UPDATE imports SET state = ?2, counts = ?3, error = ?4, finished = ?6
                     WHERE import_id = ?1 AND set_id = ?5 AND state = 'running'",
                    (end.import_id, end.state.as_str(), &end.counts, &end.error, set, now().0),
                )?;
                if done != 1 {
                    // Another process began the same content in the same moment, and the import is its own now.
                    return Err(overtaken());
                }
            }
            Ok(PublishEnd::Published)
        })
        .or_else(|error| match error {
            StateError::Sqlite { source, .. } if is_overtaken(&source) => Ok(PublishEnd::Overtaken),
            other => Err(other),
        })
    }

    /// Takes back a set that was not published: its parts are to be deleted, its import starts again.
    pub(crate) fn abandon_set(&self, set: &str) -> Result<(), StateError> {
        self.write(|t| {
            t.execute("UPDATE parts SET state = 'doomed' WHERE set_id = ?1 AND state = 'staged'", [set])?;
            t.execute(
                "UPDATE imports SET state = 'interrupted', set_id = NULL, finished = ?2 WHERE set_id = ?1 AND state = 'running'",
                (set, now().0),
            )?;
            t.execute("UPDATE sets SET state = 'published' WHERE set_id = ?1 AND state <> 'published'", [set])?;
            forget_empty_set(t, set)
        })
    }

    /// The sets that are not published.
    pub(crate) fn open_sets(&self) -> Result<Vec<OpenSet>, StateError> {
        self.read(|c| {
            c.prepare(
                "SELECT set_id, kind, sensor, created, state FROM sets WHERE state <> 'published' ORDER BY set_id",
            )?
            .query_map([], |row| {
                Ok(OpenSet {
                    set: row.get(0)?,
                    kind: row.get(1)?,
                    sensor: row.get(2)?,
                    created: Micros(row.get(3)?),
                    publishing: row.get_ref(4)?.as_str()? == "publishing",
                })
            })?
            .collect()
        })
    }

    /// The parts of a set that wait to be published.
    pub(crate) fn staged_parts(&self, set: &str) -> Result<Vec<PartRow>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{SELECT} WHERE set_id = ?1 AND state = 'staged' ORDER BY path"))?
                .query_map([set], read)?
                .collect()
        })
    }

    /// Drops a staged part whose file is gone.
    pub(crate) fn forget_part(&self, path: &str) -> Result<(), StateError> {
        self.write(|t| t.execute("DELETE FROM parts WHERE path = ?1", [path]).map(drop))
    }

    /// The live parts of a table that may overlap `[from, to)`, by date, hour and path.
    pub(crate) fn live_parts(&self, table: Table, from: Micros, to: Micros) -> Result<Vec<PartRow>, StateError> {
        self.read(|c| {
            c.prepare_cached(&format!(
                "{SELECT} WHERE tbl = ?1 AND state = 'live' AND last >= ?2 AND first < ?3 ORDER BY date, hour, path"
            ))?
            .query_map((table.as_str(), from.0, to.0), read)?
            .collect()
        })
    }

    /// When the set of each live part of a place was published.
    pub(crate) fn published_at(&self, set: &str) -> Result<Option<Micros>, StateError> {
        self.read(|c| {
            c.query_row("SELECT published FROM sets WHERE set_id = ?1", [set], |row| row.get::<_, Option<i64>>(0))
                .optional()
        })
        .map(|found| found.flatten().map(Micros))
    }

    /// Parts that no reader sees any more and whose files are to be deleted.
    pub(crate) fn doomed_parts(&self) -> Result<Vec<String>, StateError> {
        self.read(|c| {
            c.prepare("SELECT path FROM parts WHERE state = 'doomed' ORDER BY path")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
    }

    /// Their files are deleted: drops the rows, and sets that have no parts and no import left.
    pub(crate) fn forget_doomed(&self, paths: &[String]) -> Result<(), StateError> {
        self.write(|t| {
            for path in paths {
                let set: Option<String> = t
                    .query_row(
                        "DELETE FROM parts WHERE path = ?1 AND state = 'doomed' RETURNING set_id",
                        [path],
                        |row| row.get(0),
                    )
                    .optional()?;
                if let Some(set) = set {
                    forget_empty_set(t, &set)?;
                }
            }
            Ok(())
        })
    }

    /// Paths of all parts, whatever their state.
    pub(crate) fn known_parts(&self) -> Result<std::collections::HashSet<PathBuf>, StateError> {
        self.read(|c| {
            c.prepare("SELECT path FROM parts")?
                .query_map([], |row| Ok(Path::new(row.get_ref(0)?.as_str()?).to_owned()))?
                .collect()
        })
    }

    /// Registers parts found in the lake, dooms those that others replace, and learns imports from them.
    pub(crate) fn adopt_parts(
        &self,
        parts: &[PartRow],
        doomed: &[PartRow],
        missing: &[String],
        imports: &[(String, String, String)],
    ) -> Result<u64, StateError> {
        self.write(|t| {
            for path in missing {
                t.execute("DELETE FROM parts WHERE path = ?1", [path])?;
            }
            for (part, state) in parts.iter().map(|p| (p, "live")).chain(doomed.iter().map(|p| (p, "doomed"))) {
                t.execute(
                    "INSERT OR IGNORE INTO sets (set_id, kind, sensor, state, created, published)
                     VALUES (?1, 'adopted', ?2, 'published', ?3, ?3)",
                    (&part.set, &part.sensor, now().0),
                )?;
                t.execute("DELETE FROM parts WHERE path = ?1", [&part.path])?;
                insert_part(t, part, state)?;
            }
            let mut learnt = 0;
            for (content, sensor, set) in imports {
                learnt += t.execute(
                    "INSERT OR IGNORE INTO imports (content, sensor, path, size, state, set_id, started)
                     VALUES (?1, ?2, '', 0, 'done', ?3, ?4)",
                    (content, sensor, set, now().0),
                )?;
            }
            Ok(learnt as u64)
        })
    }

    /// The latest record of each sensor's flow, DNS and proxy table, by sensor and table.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn arrivals(&self) -> Result<Vec<Arrival>, StateError> {
        self.read(|c| {
            // Of a bare column beside max(), SQLite takes the row with the maximum.
            c.prepare(
                "SELECT p.sensor, p.tbl, sum(p.rows), max(p.last),
                        CASE WHEN s.kind NOT IN ('compaction', 'adopted') THEN s.published END
                 FROM parts p JOIN sets s USING (set_id)
                 WHERE p.state = 'live' AND p.tbl IN ('flow', 'dns', 'proxy') GROUP BY p.sensor, p.tbl ORDER BY 1, 2",
            )?
            .query_map([], |row| {
                Ok(Arrival {
                    sensor: row.get(0)?,
                    table: row.get(1)?,
                    rows: unsigned(row, 2)?,
                    last: Micros(row.get(3)?),
                    published: row.get::<_, Option<i64>>(4)?.map(Micros),
                })
            })?
            .collect()
        })
    }

    /// Live rows and bytes of each table.
    pub fn lake_size(&self) -> Result<Vec<(String, u64, u64)>, StateError> {
        self.read(|c| {
            c.prepare("SELECT tbl, sum(rows), sum(bytes) FROM parts WHERE state = 'live' GROUP BY tbl ORDER BY tbl")?
                .query_map([], |row| Ok((row.get(0)?, unsigned(row, 1)?, unsigned(row, 2)?)))?
                .collect()
        })
    }
}

fn insert_part(t: &Transaction<'_>, p: &PartRow, state: &str) -> rusqlite::Result<()> {
    t.prepare_cached(
        "INSERT INTO parts (path, set_id, tbl, date, hour, sensor, run_id, rows, bytes, first, last, state, staged)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(rusqlite::params![
        p.path,
        p.set,
        p.table.as_str(),
        p.date.0,
        p.hour,
        p.sensor,
        p.run,
        signed(p.rows),
        signed(p.bytes),
        p.first.0,
        p.last.0,
        state,
        p.staged
    ])
    .map(drop)
}

fn forget_empty_set(t: &Connection, set: &str) -> rusqlite::Result<()> {
    t.execute(
        "DELETE FROM sets WHERE set_id = ?1 AND state = 'published'
         AND NOT EXISTS (SELECT 1 FROM parts WHERE set_id = ?1) AND NOT EXISTS (SELECT 1 FROM imports WHERE set_id = ?1)",
        [set],
    )
    .map(drop)
}

const SELECT: &str =
    "SELECT path, set_id, tbl, date, hour, sensor, run_id, rows, bytes, first, last, staged FROM parts";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<PartRow> {
    let table = row.get_ref(2)?.as_str()?;
    Ok(PartRow {
        path: row.get(0)?,
        set: row.get(1)?,
        table: Table::from_name(table).ok_or_else(|| damaged(format!("unknown table {table}").into()))?,
        date: Day(row.get(3)?),
        hour: row.get(4)?,
        sensor: row.get(5)?,
        run: row.get(6)?,
        rows: unsigned(row, 7)?,
        bytes: unsigned(row, 8)?,
        first: Micros(row.get(9)?),
        last: Micros(row.get(10)?),
        staged: row.get(11)?,
    })
}

fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn damaged(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error)
}

/// Marks the way out of a transaction that must not be committed.
#[derive(Debug, thiserror::Error)]
#[error("another process was faster")]
struct OvertakenError;

fn overtaken() -> rusqlite::Error {
    damaged(Box::new(OvertakenError))
}

fn is_overtaken(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::FromSqlConversionFailure(_, _, inner) if inner.is::<OvertakenError>())
}
