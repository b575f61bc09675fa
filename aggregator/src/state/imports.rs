//! Imports: which content is in the lake, so that no file is read twice.

use rusqlite::OptionalExtension as _;

use super::{State, StateError, now};
use crate::record::Micros;

/// How an import stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// It is being read (or the process that read it died: see [`ImportState::Interrupted`]).
    Running,
    /// All of it is in the lake.
    Done,
    /// What could be read of it is in the lake; `error` says what was wrong.
    Damaged,
    /// Nothing of it is in the lake; `error` says why.
    Failed,
    /// Nothing of it is in the lake: the process ended before it was published.
    Interrupted,
}

impl ImportState {
    const ALL: [Self; 5] = [Self::Running, Self::Done, Self::Damaged, Self::Failed, Self::Interrupted];

    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Damaged => "damaged",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }

    /// Its records are in the lake.
    pub const fn is_in_lake(self) -> bool {
        matches!(self, Self::Done | Self::Damaged)
    }
}

/// A row of `imports`.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct ImportRow {
    /// Number.
    pub id: i64,
    /// Hash of the file's bytes: `b3:<hex>` (BLAKE3).
    pub content: String,
    /// Sensor it was imported for.
    pub sensor: String,
    /// Where it lay when it was imported.
    pub path: String,
    /// Bytes of the file.
    pub size: u64,
    /// How it stands.
    pub state: ImportState,
    /// Its set in the lake.
    pub set: Option<String>,
    /// sha256 of the original, where it was kept (`LAKE/originals`).
    pub original: Option<String>,
    /// When it began.
    #[serde(serialize_with = "micros")]
    pub started: Micros,
    /// When it ended.
    #[serde(serialize_with = "opt_micros")]
    pub finished: Option<Micros>,
    /// Packets, bytes and records, JSON.
    pub counts: String,
    /// What was wrong.
    pub error: Option<String>,
}

fn micros<S: serde::Serializer>(time: &Micros, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_i64(time.0)
}

fn opt_micros<S: serde::Serializer>(time: &Option<Micros>, s: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => s.serialize_some(&time.0),
        None => s.serialize_none(),
    }
}

/// What [`State::begin_import`] found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begun {
    /// Go on: this is the row's number.
    New(i64),
    /// The content is in the lake.
    Already(Box<ImportRow>),
    /// Another import of the same content is running (its set is given).
    Running(Option<String>),
}

impl State {
    /// Registers the import of a content for a sensor, unless it is in the lake or being read.
    pub fn begin_import(&self, content: &str, sensor: &str, path: &str, size: u64) -> Result<Begun, StateError> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.write(|t| {
            let sql = format!("{SELECT} WHERE content = ?1 AND sensor = ?2");
            if let Some(row) = t.query_row(&sql, (content, sensor), read).optional()? {
                if row.state.is_in_lake() {
                    return Ok(Begun::Already(Box::new(row)));
                }
                if row.state == ImportState::Running && set_is_open(t, row.set.as_deref())? {
                    return Ok(Begun::Running(row.set));
                }
            }
            t.execute(
                "INSERT INTO imports (content, sensor, path, size, state, started) VALUES (?1, ?2, ?3, ?4, 'running', ?5)
                 ON CONFLICT (content, sensor) DO UPDATE SET path = excluded.path, size = excluded.size, state = 'running',
                     started = excluded.started, set_id = NULL, finished = NULL, error = NULL, counts = '{}'",
                (content, sensor, path, size, now().0),
            )?;
            let id = t.query_row(
                "SELECT import_id FROM imports WHERE content = ?1 AND sensor = ?2",
                (content, sensor),
                |row| row.get(0),
            )?;
            Ok(Begun::New(id))
        })
    }

    /// Ends an import of which nothing is in the lake.
    pub fn fail_import(&self, id: i64, state: ImportState, error: &str) -> Result<(), StateError> {
        self.write(|t| {
            t.execute(
                "UPDATE imports SET state = ?2, error = ?3, finished = ?4, set_id = NULL WHERE import_id = ?1 AND state IN ('running', 'interrupted')",
                (id, state.as_str(), error, now().0),
            )
            .map(drop)
        })
    }

    /// Notes that the original was kept.
    pub fn set_import_original(&self, id: i64, sha256: &str) -> Result<(), StateError> {
        self.write(|t| t.execute("UPDATE imports SET original = ?2 WHERE import_id = ?1", (id, sha256)).map(drop))
    }

    /// The import of a content for a sensor.
    pub fn import(&self, content: &str, sensor: &str) -> Result<Option<ImportRow>, StateError> {
        self.read(|c| {
            c.query_row(&format!("{SELECT} WHERE content = ?1 AND sensor = ?2"), (content, sensor), read).optional()
        })
    }

    /// The latest imports, newest first.
    pub fn imports(&self, limit: u32) -> Result<Vec<ImportRow>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{SELECT} ORDER BY started DESC, import_id DESC LIMIT ?1"))?
                .query_map([limit], read)?
                .collect()
        })
    }
}

fn set_is_open(t: &rusqlite::Connection, set: Option<&str>) -> rusqlite::Result<bool> {
    t.query_row("SELECT count(*) FROM sets WHERE set_id = ?1 AND state <> 'published'", [set], |row| {
        row.get::<_, i64>(0).map(|n| n > 0)
    })
}

const SELECT: &str = "SELECT import_id, content, sensor, path, size, state, set_id, original, started, finished, counts, error FROM imports";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<ImportRow> {
    let state = row.get_ref(5)?.as_str()?;
    let state = ImportState::ALL.into_iter().find(|s| s.as_str() == state).unwrap_or(ImportState::Failed);
    Ok(ImportRow {
        id: row.get(0)?,
        content: row.get(1)?,
        sensor: row.get(2)?,
        path: row.get(3)?,
        size: u64::try_from(row.get::<_, i64>(4)?).unwrap_or_default(),
        state,
        set: row.get(6)?,
        original: row.get(7)?,
        started: Micros(row.get(8)?),
        finished: row.get::<_, Option<i64>>(9)?.map(Micros),
        counts: row.get(10)?,
        error: row.get(11)?,
    })
}
