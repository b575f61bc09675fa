//! Verdicts of analysts: events that are appended and never changed. A later one may supersede an earlier one, or take it back.

use rusqlite::Transaction;

use super::{State, StateError};
use crate::lake::Source;
use crate::record::{Micros, RecordId};
use crate::state::rules::RuleId;

/// What a verdict is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// One record; [`NewVerdict::reach`] says what else.
    Record(RecordId),
    /// All a rule matches.
    Rule(RuleId),
    /// All that [`NewVerdict::reach`] matches, which must be there.
    Pattern,
}

/// How bad it is, in Spot's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Severity {
    High = 1,
    Medium = 2,
    Low = 3,
}

impl Severity {
    /// From Spot's number.
    pub const fn of(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::High),
            2 => Some(Self::Medium),
            3 => Some(Self::Low),
            _ => None,
        }
    }
}

/// A verdict to append.
#[derive(Clone, PartialEq, Debug)]
pub struct NewVerdict {
    /// Kind of record.
    pub source: Source,
    /// About what.
    pub subject: Subject,
    /// What it reaches, JSON of the analytics crate. A record without it: the record, or its group, as `scope` says.
    pub reach: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// How far it reaches, in a word: `record`, `group`, `endpoints`, `domain` …
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
    /// The batch it was given in.
    pub batch: Option<BatchId>,
}

/// Number of a batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BatchId(pub i64);

/// Verdicts that were given in one go, on what a query found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Its number.
    pub id: BatchId,
    /// What was asked, in words.
    pub query: String,
    /// Verdicts that were given.
    pub given: u64,
    /// Those of them that nobody has superseded or taken back.
    pub standing: u64,
}

/// What [`State::take_batch_back`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchEnded {
    /// Verdicts that are out of force now.
    pub ended: u64,
    /// Those that were superseded or taken back before.
    pub before: u64,
}

/// How a verdict ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Ended {
    /// It has not.
    InForce,
    /// Its time is over.
    Expired,
    /// A later verdict took its place: its number.
    Superseded(i64),
    /// Somebody took it back.
    TakenBack {
        /// Who.
        by: String,
        /// When.
        at: Micros,
        /// Why.
        note: Option<String>,
    },
}

/// A verdict of the log.
#[derive(Clone, PartialEq, Debug)]
pub struct Logged {
    /// The verdict.
    pub verdict: Verdict,
    /// What became of it.
    pub ended: Ended,
}

/// What [`State::take_back`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TakeBack {
    /// The verdict is out of force; what it had superseded is in force again.
    Done,
    /// It was out of force already: superseded or taken back.
    Ended,
    /// There is no such verdict.
    Missing,
}

/// Which verdicts of the log.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct LogQuery {
    /// Of a source.
    pub source: Option<Source>,
    /// On a record.
    pub record: Option<RecordId>,
    /// With a smaller number than this: the page after.
    pub before: Option<i64>,
    /// Only what is in force.
    pub in_force: bool,
    /// At most so many; `None` = all.
    pub limit: Option<u32>,
}

/// A verdict that was itself taken back takes nobody's place.
const STANDS: &str = "v.severity > 0 AND NOT EXISTS (SELECT 1 FROM verdicts s WHERE s.supersedes = v.verdict_id
    AND NOT EXISTS (SELECT 1 FROM verdicts t WHERE t.supersedes = s.verdict_id AND t.severity = 0))";

/// Events that take verdicts back: by ?2 at ?3 because of ?4.
const TAKE_BACK: &str =
    "INSERT INTO verdicts (source, record_id, rule_id, reach, severity, scope, author, time, note, supersedes)
    SELECT source, record_id, rule_id, reach, 0, scope, ?2, ?3, ?4, verdict_id FROM verdicts v";

impl State {
    /// Appends a verdict and gives its number.
    pub fn append_verdict(&self, v: &NewVerdict) -> Result<i64, StateError> {
        self.append_verdicts(std::slice::from_ref(v)).map(|ids| ids.first().copied().unwrap_or_default())
    }

    /// Appends verdicts, all or none, and gives their numbers.
    pub fn append_verdicts(&self, verdicts: &[NewVerdict]) -> Result<Vec<i64>, StateError> {
        self.write(|t| append(t, verdicts, None))
    }

    /// Appends verdicts as one batch, all or none, and gives its number and theirs. `query`: what found their records, in words.
    pub fn append_batch(&self, query: &str, verdicts: &[NewVerdict]) -> Result<(BatchId, Vec<i64>), StateError> {
        self.write(|t| {
            t.execute("INSERT INTO verdict_batches (query) VALUES (?1)", [query])?;
            let id = BatchId(t.last_insert_rowid());
            Ok((id, append(t, verdicts, Some(id))?))
        })
    }

    /// Takes what stands of a batch back, each verdict as an event of its own; `None` if there is no such batch.
    pub fn take_batch_back(
        &self,
        id: BatchId,
        author: &str,
        time: Micros,
        note: Option<&str>,
    ) -> Result<Option<BatchEnded>, StateError> {
        self.write(|t| {
            let given: i64 =
                t.query_row("SELECT count(*) FROM verdicts WHERE batch = ?1 AND severity > 0", [id.0], |row| {
                    row.get(0)
                })?;
            if given == 0 {
                return Ok(None);
            }
            let ended = t.execute(
                &format!("{TAKE_BACK} WHERE batch = ?1 AND {STANDS}"),
                rusqlite::params![id.0, author, time.0, note],
            )?;
            let ended = ended as u64;
            Ok(Some(BatchEnded { ended, before: given.unsigned_abs().saturating_sub(ended) }))
        })
    }

    /// Batches by their numbers.
    pub fn batches(&self, ids: &[BatchId]) -> Result<Vec<Batch>, StateError> {
        self.read(|c| {
            let mut read = c.prepare(&format!(
                "SELECT b.query, count(*), count(*) FILTER (WHERE {STANDS}) FROM verdict_batches b
                 JOIN verdicts v ON v.batch = b.batch_id AND v.severity > 0 WHERE b.batch_id = ?1 GROUP BY b.batch_id"
            ))?;
            let mut batches = Vec::with_capacity(ids.len());
            for id in ids {
                let found = read.query_map([id.0], |row| {
                    Ok(Batch {
                        id: *id,
                        query: row.get(0)?,
                        given: row.get::<_, i64>(1)?.unsigned_abs(),
                        standing: row.get::<_, i64>(2)?.unsigned_abs(),
                    })
                })?;
                for batch in found {
                    batches.push(batch?);
                }
            }
            Ok(batches)
        })
    }

    /// Takes a verdict back, as an event of its own. What it had superseded is in force again.
    pub fn take_back(&self, id: i64, author: &str, time: Micros, note: Option<&str>) -> Result<TakeBack, StateError> {
        self.write(|t| {
            let found: i64 =
                t.query_row("SELECT count(*) FROM verdicts WHERE verdict_id = ?1 AND severity > 0", [id], |r| {
                    r.get(0)
                })?;
            if found == 0 {
                return Ok(TakeBack::Missing);
            }
            let done = t.execute(
                &format!("{TAKE_BACK} WHERE verdict_id = ?1 AND {STANDS}"),
                rusqlite::params![id, author, time.0, note],
            )?;
            Ok(if done == 1 { TakeBack::Done } else { TakeBack::Ended })
        })
    }

    /// The verdicts in force at `now`: not superseded, not taken back, not expired; oldest first.
    pub fn verdicts(&self, source: Source, now: Micros) -> Result<Vec<Verdict>, StateError> {
        self.read(|c| {
            c.prepare(&format!(
                "SELECT {COLUMNS} FROM verdicts v WHERE source = ?1 AND (expires IS NULL OR expires > ?2) AND {STANDS} ORDER BY verdict_id"
            ))?
            .query_map((source.as_str(), now.0), read)?
            .collect()
        })
    }

    /// A verdict by its number, whatever became of it.
    pub fn verdict(&self, id: i64) -> Result<Option<Verdict>, StateError> {
        self.read(|c| {
            c.prepare(&format!("SELECT {COLUMNS} FROM verdicts v WHERE verdict_id = ?1 AND severity > 0"))?
                .query_map([id], read)?
                .next()
                .transpose()
        })
    }

    /// Every verdict ever given on a record, oldest first.
    pub fn verdict_history(&self, record: RecordId) -> Result<Vec<Verdict>, StateError> {
        self.read(|c| {
            c.prepare(&format!(
                "SELECT {COLUMNS} FROM verdicts v WHERE record_id = ?1 AND severity > 0 ORDER BY verdict_id"
            ))?
            .query_map([record.0], read)?
            .collect()
        })
    }

    /// All verdicts with what became of them at `now`, latest first.
    pub fn verdict_log(&self, query: LogQuery, now: Micros) -> Result<Vec<Logged>, StateError> {
        let LogQuery { source, record, before, in_force, limit } = query;
        self.read(|c| {
            c.prepare(&format!(
                "SELECT {COLUMNS}, s.verdict_id, s.severity, s.author, s.time, s.note FROM verdicts v
                 LEFT JOIN verdicts s ON s.verdict_id = (
                     SELECT max(e.verdict_id) FROM verdicts e WHERE e.supersedes = v.verdict_id
                     AND NOT EXISTS (SELECT 1 FROM verdicts t WHERE t.supersedes = e.verdict_id AND t.severity = 0))
                 WHERE v.severity > 0 AND (?1 IS NULL OR v.source = ?1) AND (?2 IS NULL OR v.record_id = ?2)
                 AND (?3 IS NULL OR v.verdict_id < ?3)
                 AND (NOT ?5 OR (s.verdict_id IS NULL AND (v.expires IS NULL OR v.expires > ?6))) ORDER BY v.verdict_id DESC LIMIT ?4"
            ))?
            .query_map(
                rusqlite::params![
                    source.map(Source::as_str),
                    record.map(|id| id.0),
                    before,
                    limit.map_or(-1, i64::from),
                    in_force,
                    now.0
                ],
                |row| {
                    let verdict = read(row)?;
                    let ended = match (row.get::<_, Option<i64>>(13)?, row.get::<_, Option<i64>>(14)?) {
                        (Some(_), Some(0)) => {
                            Ended::TakenBack { by: row.get(15)?, at: Micros(row.get(16)?), note: row.get(17)? }
                        }
                        (Some(by), _) => Ended::Superseded(by),
                        _ if verdict.verdict.expires.is_some_and(|end| end <= now) => Ended::Expired,
                        _ => Ended::InForce,
                    };
                    Ok(Logged { verdict, ended })
                },
            )?
            .collect()
        })
    }

    /// A number that changes whenever a verdict or a rule is added, taken back or retired: what was computed of them before is old then.
    pub fn feedback_version(&self) -> Result<(i64, i64, i64), StateError> {
        self.read(|c| {
            c.query_row(
                "SELECT (SELECT coalesce(max(verdict_id), 0) FROM verdicts), (SELECT coalesce(max(rule_id), 0) FROM rules),
                 (SELECT count(*) FROM rules WHERE retired IS NOT NULL)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
        })
    }
}

const COLUMNS: &str = "v.verdict_id, v.source, v.record_id, v.rule_id, v.reach, v.severity, v.scope, v.author, v.time, v.note, v.expires, v.supersedes, v.batch";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Verdict> {
    let subject = match (row.get::<_, Option<[u8; 16]>>(2)?, row.get::<_, Option<i64>>(3)?) {
        (Some(id), _) => Subject::Record(RecordId(id)),
        (None, Some(rule)) => Subject::Rule(RuleId(rule)),
        (None, None) => Subject::Pattern,
    };
    Ok(Verdict {
        id: row.get(0)?,
        verdict: NewVerdict {
            source: super::runs::read_source(row, 1)?,
            subject,
            reach: row.get(4)?,
            severity: Severity::of(row.get(5)?).unwrap_or(Severity::Low),
            scope: row.get(6)?,
            author: row.get(7)?,
            time: Micros(row.get(8)?),
            note: row.get(9)?,
            expires: row.get::<_, Option<i64>>(10)?.map(Micros),
            supersedes: row.get(11)?,
        },
        batch: row.get::<_, Option<i64>>(12)?.map(BatchId),
    })
}

fn append(t: &Transaction<'_>, verdicts: &[NewVerdict], batch: Option<BatchId>) -> rusqlite::Result<Vec<i64>> {
    let mut insert = t.prepare(
        "INSERT INTO verdicts (source, record_id, rule_id, reach, severity, scope, author, time, note, expires, supersedes, batch)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let mut ids = Vec::with_capacity(verdicts.len());
    for v in verdicts {
        let (record, rule) = match v.subject {
            Subject::Record(id) => (Some(id.0), None),
            Subject::Rule(id) => (None, Some(id.0)),
            Subject::Pattern => (None, None),
        };
        insert.execute(rusqlite::params![
            v.source.as_str(),
            record,
            rule,
            v.reach,
            v.severity as i64,
            v.scope,
            v.author,
            v.time.0,
            v.note,
            v.expires.map(|m| m.0),
            v.supersedes,
            batch.map(|batch| batch.0)
        ])?;
        ids.push(t.last_insert_rowid());
    }
    Ok(ids)
}
