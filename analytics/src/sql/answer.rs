//! A running query and its batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::engine::{Planned, Query};
use super::error::{QueryError, vanished_part};
use super::rows::RowLimits;
use super::workers::{Task, Workers};

/// Batches that wait between the workers and the reader.
const AHEAD: usize = 2;
/// How often a query is planned again because a part it had listed is gone.
const RETRIES: usize = 3;

/// The batches of a query, as they come. Dropping it cancels the query.
pub struct Answer {
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    pump: Option<Task<()>>,
    limits: RowLimits,
    deadline: Deadline,
    rows: u64,
    truncated: bool,
    _place: OwnedSemaphorePermit,
    _workers: Arc<Workers>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// The moment at which a query is given up.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Option<(Instant, Duration)>);

impl Deadline {
    pub(super) fn after(now: Instant, timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Some((now.checked_add(timeout)?, timeout))))
    }

    /// Waits for `future`, but no longer than this.
    pub(super) async fn hold<F: Future>(&self, future: F) -> Result<F::Output, QueryError> {
        match self.0 {
            None => Ok(future.await),
            Some((at, timeout)) => {
                tokio::time::timeout_at(at.into(), future).await.map_err(|_| QueryError::Timeout(timeout))
            }
        }
    }
}

impl Answer {
    pub(super) async fn start(
        query: Query,
        limits: RowLimits,
        deadline: Deadline,
        place: OwnedSemaphorePermit,
        workers: Arc<Workers>,
    ) -> Result<Self, QueryError> {
        let mut planning = workers.spawn(async move {
            let planned = query.plan().await;
            (query, planned)
        });
        let (query, planned) = deadline.hold(planning.join()).await?.map_err(|error| broke(&error))?;
        let planned = planned?;
        let schema = Arc::clone(&planned.schema);
        let (sender, batches) = mpsc::channel(AHEAD);
        let pump = workers.spawn(pump(query, planned, sender));
        Ok(Self {
            schema,
            batches,
            pump: Some(pump),
            limits,
            deadline,
            rows: 0,
            truncated: false,
            _place: place,
            _workers: workers,
        })
    }

    /// The columns.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch, never an empty one; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        let Some(pump) = &mut self.pump else { return Ok(None) };
        let received = match self.deadline.hold(self.batches.recv()).await {
            Ok(Some(received)) => received,
            // The sender is gone: the pump has ended, well or by a panic.
            Ok(None) => match pump.join().await {
                Ok(()) => {
                    self.pump = None;
                    return Ok(None);
                }
                Err(error) => Err(broke(&error)),
            },
            Err(timeout) => Err(timeout),
        };
        match received {
            Ok(batch) => Ok(self.limited(batch)),
            Err(error) => {
                self.pump = None;
                Err(error)
            }
        }
    }

    fn limited(&mut self, batch: RecordBatch) -> Option<RecordBatch> {
        let left = self.limits.max_rows.map(|max| max.saturating_sub(self.rows));
        let batch = match left.and_then(|left| usize::try_from(left).ok()) {
            Some(left) if batch.num_rows() > left => {
                self.truncated = true;
                self.pump = None;
                batch.slice(0, left)
            }
            _ => batch,
        };
        self.rows += batch.num_rows() as u64;
        (batch.num_rows() > 0).then_some(batch)
    }

    /// True once rows were left out because of the row limit.
    pub const fn truncated(&self) -> bool {
        self.truncated
    }

    /// Rows given so far.
    pub const fn rows(&self) -> u64 {
        self.rows
    }
}

fn broke(error: &tokio::task::JoinError) -> QueryError {
    if error.is_cancelled() {
        QueryError::Closed
    } else {
        QueryError::Run(format!("the query ended unexpectedly: {error}"))
    }
}

/// Moves batches from the plan to the reader. A part that is gone before the first batch was given makes
/// the query start again over the lake as it is then.
async fn pump(query: Query, mut planned: Planned, sender: mpsc::Sender<Result<RecordBatch, QueryError>>) {
    let (mut given, mut attempts) = (false, 0);
    'attempt: loop {
        let mut stream = match execute_stream(planned.plan, planned.context) {
            Ok(stream) => stream,
            Err(error) => {
                let _ = sender.send(Err(query.explain(error))).await;
                return;
            }
        };
        while let Some(result) = stream.next().await {
            let result = match result {
                Ok(batch) if batch.num_rows() == 0 => continue,
                Ok(batch) => Ok(batch),
                Err(error) if !given && attempts < RETRIES && vanished_part(&error).is_some() => {
                    attempts += 1;
                    match query.plan().await {
                        Ok(again) => {
                            planned = again;
                            continue 'attempt;
                        }
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(query.explain(error)),
            };
            given = true;
            let failed = result.is_err();
            if sender.send(result).await.is_err() || failed {
                return;
            }
        }
        return;
    }
}
