//! What every request shares.

use std::sync::Arc;
use std::time::Duration;

use aggregator::lake::Lake;
use analytics::sql::{Answer, Engine, Param, RowLimits, Rows};
use tokio::sync::Semaphore;

use crate::auth::Auth;
use crate::live::Hub;
use crate::problem::ApiError;

/// API requests that are answered at a time; each may run a few queries.
const CONCURRENT: usize = 8;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest a request may take in all.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The server's state.
pub(crate) struct App {
    engine: Engine,
    lake: Lake,
    pub(crate) auth: Auth,
    /// The port that is listened on: part of the Host that is expected.
    pub(crate) port: u16,
    turns: Semaphore,
    /// Answers that cost much.
    pub(crate) cache: crate::api::Cache,
    /// What is on the wire now.
    pub(crate) live: Arc<Hub>,
    /// Places for those who watch it.
    pub(crate) watchers: Arc<Semaphore>,
}

/// Shared by every request.
pub(crate) type Shared = Arc<App>;

impl App {
    pub(crate) fn new(lake: Lake, engine: Engine, auth: Auth, port: u16) -> Self {
        let (turns, watchers) = (Semaphore::new(CONCURRENT), crate::api::live::places());
        Self { engine, lake, auth, port, turns, cache: crate::api::Cache::default(), live: Arc::default(), watchers }
    }

    /// The same, with a hub to which sources report.
    pub(crate) fn with_live(self, live: Arc<Hub>) -> Self {
        Self { live, ..self }
    }

    /// The name of the session cookie. Cookies do not know ports, so the name does.
    pub(crate) fn cookie_name(&self) -> String {
        format!("spotter_session_{}", self.port)
    }

    /// Runs a request in its turn and within its time. Dropping the future cancels its queries.
    pub(crate) async fn in_turn<T>(&self, work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| ApiError::Busy)?.map_err(|_| ApiError::Busy)?;
        tokio::time::timeout(REQUEST_TIMEOUT, work).await.map_err(|_| ApiError::Timeout(REQUEST_TIMEOUT.as_secs()))?
    }

    /// Rows of a query of ours, with values for its placeholders. At most `max_rows`.
    pub(crate) async fn rows(&self, sql: &str, params: Vec<Param>, max_rows: u64) -> Result<Rows, ApiError> {
        let limits = RowLimits { max_rows: Some(max_rows), timeout: Some(REQUEST_TIMEOUT) };
        Ok(self.engine.query_rows(sql, params, limits).await?)
    }

    /// A query of ours whose batches are taken one by one, for files. Waits its turn to start, and has the engine's time.
    pub(crate) async fn answer(&self, sql: &str, params: Vec<Param>) -> Result<Answer, ApiError> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| ApiError::Busy)?.map_err(|_| ApiError::Busy)?;
        Ok(self.engine.sql_with(sql, params).await?)
    }

    /// Runs what blocks (the state database, the journal) off the reactor.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Lake) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let lake = self.lake.clone();
        tokio::task::spawn_blocking(move || work(&lake))
            .await
            .map_err(|error| ApiError::Broken(format!("a task of the server ended unexpectedly: {error}")))?
    }
}
