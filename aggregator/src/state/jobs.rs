//! Jobs: what the appliance does on its own or was asked to do, for progress and history.

use rusqlite::OptionalExtension as _;

use super::{State, StateError, now};
use crate::record::Micros;

/// Identity of a job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct JobId(pub i64);

/// A job's row.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// Identity.
    pub id: JobId,
    /// What it does: import, score, fit, compact, retain, backup …
    pub kind: String,
    /// queued, running, done, failed, cancelled.
    pub state: String,
    /// Its parameters, JSON.
    pub detail: String,
    /// 0 to 1, where known.
    pub progress: Option<f64>,
    /// When it was asked for.
    pub created: Micros,
    /// When it began.
    pub started: Option<Micros>,
    /// When it ended.
    pub finished: Option<Micros>,
    /// Why it failed.
    pub error: Option<String>,
}

/// How a job ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobEnd {
    /// It is done.
    Done,
    /// It failed, with the reason.
    Failed(String),
    /// It was called off.
    Cancelled,
}

impl State {
    /// Queues a job. `detail` is JSON.
    pub fn queue_job(&self, kind: &str, detail: &serde_json::Value) -> Result<JobId, StateError> {
        self.write(|t| {
            t.execute(
                "INSERT INTO jobs (kind, state, detail, created) VALUES (?1, 'queued', ?2, ?3)",
                (kind, detail.to_string(), now().0),
            )?;
            Ok(JobId(t.last_insert_rowid()))
        })
    }

    /// Marks a queued job as running. False where it is not queued any more.
    pub fn start_job(&self, id: JobId) -> Result<bool, StateError> {
        self.write(|t| {
            let changed = t.execute(
                "UPDATE jobs SET state = 'running', started = ?2 WHERE job_id = ?1 AND state = 'queued'",
                (id.0, now().0),
            )?;
            Ok(changed == 1)
        })
    }

    /// Tells how far a running job is, 0 to 1.
    pub fn progress_job(&self, id: JobId, progress: f64) -> Result<(), StateError> {
        self.write(|t| {
            t.execute("UPDATE jobs SET progress = ?2 WHERE job_id = ?1 AND state = 'running'", (id.0, progress))
                .map(drop)
        })
    }

    /// Ends a job.
    pub fn end_job(&self, id: JobId, end: &JobEnd) -> Result<(), StateError> {
        let (state, error) = match end {
            JobEnd::Done => ("done", None),
            JobEnd::Failed(reason) => ("failed", Some(reason.as_str())),
            JobEnd::Cancelled => ("cancelled", None),
        };
        self.write(|t| {
            t.execute(
                "UPDATE jobs SET state = ?2, error = ?3, finished = ?4 WHERE job_id = ?1",
                (id.0, state, error, now().0),
            )
            .map(drop)
        })
    }

    /// One job.
    pub fn job(&self, id: JobId) -> Result<Option<Job>, StateError> {
        self.read(|c| c.query_row(&format!("{SELECT} WHERE job_id = ?1"), [id.0], read).optional())
    }

    /// The latest jobs, newest first.
    pub fn jobs(&self, limit: u32) -> Result<Vec<Job>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{SELECT} ORDER BY job_id DESC LIMIT ?1"))?.query_map([limit], read)?.collect()
        })
    }
}

const SELECT: &str = "SELECT job_id, kind, state, detail, progress, created, started, finished, error FROM jobs";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: JobId(row.get(0)?),
        kind: row.get(1)?,
        state: row.get(2)?,
        detail: row.get(3)?,
        progress: row.get(4)?,
        created: Micros(row.get(5)?),
        started: row.get::<_, Option<i64>>(6)?.map(Micros),
        finished: row.get::<_, Option<i64>>(7)?.map(Micros),
        error: row.get(8)?,
    })
}
