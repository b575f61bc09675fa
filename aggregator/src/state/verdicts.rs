//! Verdicts of analysts: events that are appended and never changed. A later one supersedes.

use super::{State, StateError};
use crate::lake::Source;
use crate::record::{Micros, RecordId};
use crate::state::rules::RuleId;

/// What a verdict is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// One record.
    Record(RecordId),
    /// All a rule matches.
    Rule(RuleId),
}

/// How bad it is, in Spot's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Severity {
    High = 1,
    Medium = 2,
    Low = 3,
}

/// A verdict to append.
#[derive(Clone, PartialEq, Debug)]
pub struct NewVerdict {
    /// Kind of record.
    pub source: Source,
    /// About what.
    pub subject: Subject,
    /// How bad.
    pub severity: Severity,
    /// How far it reaches: `record`, `group`, `host`, `word` …
    pub scope: String,
    /// Who says so.
    pub author: String,
    /// When.
    pub time: Micros,
    /// Why.
    pub note: Option<String>,
    /// Until when.
    pub expires: Option<Micros>,
    /// The verdict it takes the place of.
    pub supersedes: Option<i64>,
}

/// A verdict that was appended.
#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// Its number.
    pub id: i64,
    /// What it says.
    pub verdict: NewVerdict,
}

impl State {
    /// Appends a verdict and gives its number.
    pub fn append_verdict(&self, v: &NewVerdict) -> Result<i64, StateError> {
        let (record, rule) = match v.subject {
            Subject::Record(id) => (Some(id.0), None),
            Subject::Rule(id) => (None, Some(id.0)),
        };
        self.write(|t| {
            t.execute(
                "INSERT INTO verdicts (source, record_id, rule_id, severity, scope, author, time, note, expires, supersedes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                rusqlite::params![
                    v.source.as_str(),
                    record,
                    rule,
                    v.severity as i64,
                    v.scope,
                    v.author,
                    v.time.0,
                    v.note,
                    v.expires.map(|m| m.0),
                    v.supersedes
                ],
            )?;
            Ok(t.last_insert_rowid())
        })
    }

    /// The verdicts in force at `now`: not superseded, not expired; oldest first.
    pub fn verdicts(&self, source: Source, now: Micros) -> Result<Vec<Verdict>, StateError> {
        self.read(|c| {
            c.prepare(&format!(
                "{SELECT} WHERE source = ?1 AND (expires IS NULL OR expires > ?2)
                 AND verdict_id NOT IN (SELECT supersedes FROM verdicts WHERE supersedes IS NOT NULL)
                 ORDER BY verdict_id"
            ))?
            .query_map((source.as_str(), now.0), read)?
            .collect()
        })
    }

    /// Every verdict ever given on a record, oldest first.
    pub fn verdict_history(&self, record: RecordId) -> Result<Vec<Verdict>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{SELECT} WHERE record_id = ?1 ORDER BY verdict_id"))?
                .query_map([record.0], read)?
                .collect()
        })
    }
}

const SELECT: &str = "SELECT verdict_id, source, record_id, rule_id, severity, scope, author, time, note, expires, supersedes FROM verdicts";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Verdict> {
    let subject = match (row.get::<_, Option<[u8; 16]>>(2)?, row.get::<_, Option<i64>>(3)?) {
        (Some(id), _) => Subject::Record(RecordId(id)),
        (None, rule) => Subject::Rule(RuleId(rule.unwrap_or_default())),
    };
    let severity = match row.get::<_, i64>(4)? {
        1 => Severity::High,
        2 => Severity::Medium,
        _ => Severity::Low,
    };
    Ok(Verdict {
        id: row.get(0)?,
        verdict: NewVerdict {
            source: super::runs::read_source(row, 1)?,
            subject,
            severity,
            scope: row.get(5)?,
            author: row.get(6)?,
            time: Micros(row.get(7)?),
            note: row.get(8)?,
            expires: row.get::<_, Option<i64>>(9)?.map(Micros),
            supersedes: row.get(10)?,
        },
    })
}
