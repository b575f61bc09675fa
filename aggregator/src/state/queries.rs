//! Queries that analysts keep. Everyone sees them; their owners change them.

use super::{State, StateError, now};
use crate::record::Micros;

/// Queries that an owner may keep.
pub const MAX_PER_OWNER: i64 = 200;

/// A kept query.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Query {
    /// Identity.
    pub id: i64,
    /// Name of the account that keeps it.
    pub owner: String,
    /// What it is for.
    pub name: String,
    /// The statement.
    pub sql: String,
    /// When it was last changed.
    pub updated: Micros,
}

impl State {
    /// All kept queries, by name.
    pub fn queries(&self) -> Result<Vec<Query>, StateError> {
        self.read(|c| {
            c.prepare("SELECT query_id, owner, name, sql, updated FROM queries ORDER BY name, owner")?
                .query_map([], |row| {
                    Ok(Query {
                        id: row.get(0)?,
                        owner: row.get(1)?,
                        name: row.get(2)?,
                        sql: row.get(3)?,
                        updated: Micros(row.get(4)?),
                    })
                })?
                .collect()
        })
    }

    /// Keeps a query; one of the same owner and name is replaced. `None` where the owner keeps too many.
    pub fn keep_query(&self, owner: &str, name: &str, sql: &str) -> Result<Option<i64>, StateError> {
        self.write(|t| {
            let others = "SELECT count(*) FROM queries WHERE owner = ?1 AND name <> ?2";
            if t.query_row(others, (owner, name), |row| row.get::<_, i64>(0))? >= MAX_PER_OWNER {
                return Ok(None);
            }
            t.query_row(
                "INSERT INTO queries (owner, name, sql, updated) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (owner, name) DO UPDATE SET sql = excluded.sql, updated = excluded.updated RETURNING query_id",
                (owner, name, sql, now().0),
                |row| row.get(0),
            )
            .map(Some)
        })
    }

    /// Drops a kept query; with `owner`, only if it is of this one. False where there is none.
    pub fn drop_query(&self, id: i64, owner: Option<&str>) -> Result<bool, StateError> {
        self.write(|t| {
            let sql = "DELETE FROM queries WHERE query_id = ?1 AND (?2 IS NULL OR owner = ?2)";
            Ok(t.execute(sql, (id, owner))? == 1)
        })
    }
}
