//! Settings changed at run time, of all and of each account, and positions in followed inputs.

use rusqlite::{OptionalExtension as _, Transaction};

use super::{State, StateError, now};

impl State {
    /// A setting's value.
    pub fn setting(&self, key: &str) -> Result<Option<String>, StateError> {
        self.read(|c| c.query_row("SELECT value FROM settings WHERE key = ?1", [key], |row| row.get(0)).optional())
    }

    /// Sets a setting.
    pub fn set_setting(&self, key: &str, value: &str) -> Result<(), StateError> {
        self.write(|t| {
            t.execute(
                "INSERT INTO settings VALUES (?1, ?2, ?3)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated = excluded.updated",
                (key, value, now().0),
            )
            .map(drop)
        })
    }

    /// All settings, by key.
    pub fn settings(&self) -> Result<Vec<(String, String)>, StateError> {
        self.read(|c| {
            c.prepare("SELECT key, value FROM settings ORDER BY key")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// How an account wants things shown; `None` if it never said.
    pub fn display(&self, owner: &str) -> Result<Option<String>, StateError> {
        self.read(|c| c.query_row("SELECT value FROM displays WHERE owner = ?1", [owner], |row| row.get(0)).optional())
    }

    /// Sets how an account wants things shown.
    pub fn set_display(&self, owner: &str, value: &str) -> Result<(), StateError> {
        self.write(|t| {
            t.execute(
                "INSERT INTO displays VALUES (?1, ?2, ?3)
                 ON CONFLICT (owner) DO UPDATE SET value = excluded.value, updated = excluded.updated",
                (owner, value, now().0),
            )
            .map(drop)
        })
    }

    /// How far a followed input was read.
    pub fn offset(&self, source: &str) -> Result<Option<String>, StateError> {
        self.read(|c| {
            c.query_row("SELECT position FROM offsets WHERE source = ?1", [source], |row| row.get(0)).optional()
        })
    }

    /// Sources whose names begin so, and how far they were read.
    pub(crate) fn offsets(&self, prefix: &str) -> Result<Vec<(String, String)>, StateError> {
        self.read(|c| {
            c.prepare("SELECT source, position FROM offsets WHERE substr(source, 1, length(?1)) = ?1 ORDER BY source")?
                .query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Remembers how far a followed input was read.
    pub fn set_offset(&self, source: &str, position: &str) -> Result<(), StateError> {
        self.write(|t| put_offset(t, source, position))
    }
}

/// The same within a transaction of more.
pub(super) fn put_offset(t: &Transaction<'_>, source: &str, position: &str) -> rusqlite::Result<()> {
    t.execute(
        "INSERT INTO offsets VALUES (?1, ?2, ?3)
         ON CONFLICT (source) DO UPDATE SET position = excluded.position, updated = excluded.updated",
        (source, position, now().0),
    )
    .map(drop)
}
