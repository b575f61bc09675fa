//! What every request shares.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aggregator::lake::Lake;
use analytics::context::{Context, Store};
use analytics::sql::{Answer, Engine, Param, RowLimits, Rows};
use tokio::sync::{AcquireError, Semaphore};

use crate::api::graphql::SpotSchema;
use crate::api::overlays::Overlays;
use crate::api::sql::SqlConsole;
use crate::door::{CALLER, Console, Gate, Setup, Site, Throttle, cookie_name};
use crate::live::Hub;
use crate::problem::ApiError;

/// API requests that are answered at a time; each may run a few queries.
const CONCURRENT: usize = 8;
/// Of them those of one user.
const PER_USER: usize = 4;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest a request may take in all.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// The server's state.
pub(crate) struct App {
    engine: Engine,
    lake: Lake,
    pub(crate) console: Console,
    /// What files say of addresses and names.
    context: Arc<Store>,
    /// What is said of the rows of the lists.
    pub(crate) overlays: Arc<Overlays>,
    /// The topics of kept models.
    pub(crate) models: Arc<crate::api::Models>,
    /// How browsers reach us.
    pub(crate) site: Site,
    /// The port that is listened on.
    pub(crate) port: u16,
    /// The first account's code.
    pub(crate) setup: Setup,
    /// Which opened records were told to the audit log lately.
    pub(crate) opened: crate::door::Lately,
    /// How fast passwords may be tried.
    pub(crate) throttle: Throttle,
    /// How many passwords are hashed at a time.
    pub(crate) gate: Gate,
    /// Device cookies are made with it.
    pub(crate) device_key: [u8; 32],
    /// The SQL console.
    pub(crate) sql: SqlConsole,
    /// Spot's GraphQL operations.
    pub(crate) graphql: SpotSchema,
    turns: Semaphore,
    /// Answers that cost much.
    pub(crate) cache: crate::api::Cache,
    /// What is on the wire now.
    pub(crate) live: Arc<Hub>,
    /// Places for those who watch it.
    pub(crate) watchers: Arc<Semaphore>,
    users: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

/// Shared by every request.
pub(crate) type Shared = Arc<App>;

/// What the server is started with.
pub(crate) struct Parts {
    pub(crate) lake: Lake,
    pub(crate) engine: Engine,
    pub(crate) console: Console,
    pub(crate) site: Site,
    pub(crate) port: u16,
}

impl App {
    /// Takes the key of the device cookies from the state database, or makes it.
    pub(crate) fn new(parts: Parts) -> Result<Self, ApiError> {
        let Parts { lake, engine, console, site, port } = parts;
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(|error| ApiError::Broken(format!("no random numbers: {error}")))?;
        let device_key = if lake.is_writable() { lake.state().secret("device", &fresh)? } else { fresh };
        let sql = SqlConsole::open(lake.clone())?;
        let context = Arc::new(Store::of_lake(lake.dir()));
        Ok(Self {
            engine,
            lake,
            context,
            overlays: Arc::default(),
            models: Arc::default(),
            opened: crate::door::Lately::default(),
            sql,
            graphql: crate::api::graphql::schema(),
            console,
            site,
            port,
            setup: Setup::default(),
            throttle: Throttle::default(),
            gate: Gate::new(),
            device_key,
            turns: Semaphore::new(CONCURRENT),
            users: Mutex::default(),
            cache: crate::api::Cache::default(),
            live: Arc::default(),
            watchers: crate::api::live::places(),
        })
    }

    /// The same, with a hub to which sources report.
    pub(crate) fn with_live(self, live: Arc<Hub>) -> Self {
        Self { live, ..self }
    }

    /// The name of the session cookie.
    pub(crate) fn cookie_name(&self) -> String {
        cookie_name(&self.site, self.port)
    }

    /// Runs a request in its turn and within its time. Dropping the future cancels its queries. One user has half of the
    /// turns at most, so that others get theirs.
    pub(crate) async fn in_turn<T>(&self, work: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        let name = CALLER.try_with(Arc::clone).unwrap_or_else(|_| "".into());
        let own = {
            // As many as there are accounts.
            let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(users.entry(name).or_insert_with(|| Arc::new(Semaphore::new(PER_USER))))
        };
        let turn = async { Ok((own.acquire().await?, self.turns.acquire().await?)) };
        let turn: Result<Result<_, AcquireError>, _> = tokio::time::timeout(PATIENCE, turn).await;
        let _turn = turn.map_err(|_| ApiError::Busy)?.map_err(|_| ApiError::Busy)?;
        tokio::time::timeout(REQUEST_TIMEOUT, work).await.map_err(|_| ApiError::Timeout(REQUEST_TIMEOUT.as_secs()))?
    }

    /// The engine of the pages.
    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
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

    /// What the files of the context say, as they are now.
    pub(crate) async fn context(&self) -> Result<Arc<Context>, ApiError> {
        let store = Arc::clone(&self.context);
        self.blocking(move |_| Ok(store.current())).await
    }
}
