//! What a query may use: memory, disk, time, rows, company.

use std::path::PathBuf;
use std::time::Duration;

/// Bounds of an [`Engine`](super::Engine). Every one of them ends in an error or a mark that says which
/// bound was met and what to do; none of them ends in a wrong answer.
#[derive(Clone, Debug)]
pub struct EngineLimits {
    /// Bytes that the sorts, joins and aggregations of all running queries may hold together. What does
    /// not fit is spilled to [`Self::spill_dir`]; what cannot be spilled fails with
    /// [`QueryError::Memory`](super::QueryError::Memory). The decoded batches on their way (some tens of MiB a
    /// query) are not counted.
    pub memory: usize,
    /// Where spilled runs go. `None`: the system's temporary folder. The files have no name that outlives
    /// the query.
    pub spill_dir: Option<PathBuf>,
    /// Bytes of spill for all running queries together. 0 forbids spilling.
    pub spill: u64,
    /// Time from the call to the last batch, waiting for a place included. `None`: as long as it takes.
    pub timeout: Option<Duration>,
    /// Rows an answer gives at most; at the bound it ends and is marked
    /// [`truncated`](super::Answer::truncated). `None`: all of them.
    pub max_rows: Option<u64>,
    /// Queries that run at the same time; the next ones wait.
    pub concurrent: usize,
    /// Worker threads, and the number of partitions a scan is split into.
    pub threads: usize,
    /// Bytes of SQL text a query may have.
    pub max_sql_bytes: usize,
}

impl Default for EngineLimits {
    /// 1 GiB of memory, 16 GiB of spill in the temporary folder, 5 minutes, all rows, 4 queries, all CPUs.
    fn default() -> Self {
        Self {
            memory: 1 << 30,
            spill_dir: None,
            spill: 16 << 30,
            timeout: Some(Duration::from_secs(300)),
            max_rows: None,
            concurrent: 4,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            max_sql_bytes: 64 << 10,
        }
    }
}
