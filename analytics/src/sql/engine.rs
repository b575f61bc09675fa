//! The engine: SQL in, record batches out, within limits.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use aggregator::lake::{Lake, Table};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::common::{ParamValues, ScalarValue};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::context::{SessionConfig, SessionContext, TaskContext};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use object_store::local::LocalFileSystem;
use tokio::sync::Semaphore;

use super::answer::{Answer, Deadline};
use super::columns::Columns;
use super::error::{QueryError, explain};
use super::limits::EngineLimits;
use super::param::Param;
use super::rows::{RowLimits, Rows};
use super::table::{LakeTable, Listing, STORE, Snapshot};
use super::workers::Workers;
use super::{functions, guard, views};

/// The schema that holds the tables and views.
pub(super) const SCHEMA: &str = "lake";
const CATALOG: &str = "spotter";
/// Bytes of footers that are kept: those of some hundred large parts. What a page asks is asked again.
const FOOTERS: usize = 128 << 20;

/// SQL over one lake. Cheap to clone; all clones share the limits.
///
/// It has its own worker threads, so queries do not hold up the caller's runtime, and it may be called from
/// any tokio runtime with time enabled. Dropping an [`Answer`], or the future of a call, cancels the query.
#[derive(Clone)]
pub struct Engine {
    core: Arc<Core>,
    workers: Arc<Workers>,
    places: Arc<Semaphore>,
}

/// What the worker threads need of the engine.
pub(super) struct Core {
    listing: Arc<dyn Listing>,
    limits: EngineLimits,
    state: SessionState,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("lake", &self.core.listing.dir()).field("limits", &self.core.limits).finish()
    }
}

impl Engine {
    /// Opens a lake for queries. Nothing is read yet: each query sees the lake as it is when it starts.
    pub fn open(lake: Lake, limits: EngineLimits) -> Result<Self, QueryError> {
        Self::over(Arc::new(lake), limits)
    }

    /// The same over any listing of parts.
    pub(super) fn over(listing: Arc<dyn Listing>, limits: EngineLimits) -> Result<Self, QueryError> {
        let workers = Workers::start(limits.threads)?;
        let state = session(listing.dir(), &limits).map_err(|error| QueryError::Open(error.strip_backtrace()))?;
        let places = Arc::new(Semaphore::new(limits.concurrent.max(1)));
        let engine = Self { core: Arc::new(Core { listing, limits, state }), workers: Arc::new(workers), places };
        engine.create_views()?;
        Ok(engine)
    }

    /// On a worker: the caller may be inside a runtime, where waiting for one's own future is refused.
    fn create_views(&self) -> Result<(), QueryError> {
        let context = SessionContext::new_with_state(self.core.state.clone());
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let task = self.workers.spawn(async move {
            // The receiver waits below; there is nobody to tell if it is gone.
            let _ = sender.send(views::register(&context).await);
        });
        let made = receiver.recv().map_err(|_| QueryError::Closed)?;
        drop(task);
        made.map_err(|error| QueryError::Open(error.strip_backtrace()))
    }

    /// The limits.
    pub fn limits(&self) -> &EngineLimits {
        &self.core.limits
    }

    /// The names that can stand after FROM.
    pub fn tables(&self) -> Vec<String> {
        self.core.tables()
    }

    /// Runs `future` on the calling thread, for callers that have no runtime of their own. Not from
    /// within one.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.workers.block_on(future)
    }

    /// Plans and starts a query. Errors of planning come from here, those of running from the answer.
    pub async fn sql(&self, sql: &str) -> Result<Answer, QueryError> {
        self.sql_with(sql, Vec::new()).await
    }

    /// The same with values for the placeholders `$1`, `$2` …
    pub async fn sql_with(&self, sql: &str, params: Vec<Param>) -> Result<Answer, QueryError> {
        let limits = RowLimits { max_rows: self.core.limits.max_rows, timeout: self.core.limits.timeout };
        self.start(sql, params, limits).await
    }

    /// Runs a query to its end and gives the rows as JSON objects: for a web page, and for anything small.
    ///
    /// `limits` are taken where they are tighter than the engine's.
    pub async fn query_rows(&self, sql: &str, params: Vec<Param>, limits: RowLimits) -> Result<Rows, QueryError> {
        let answer = self.start(sql, params, limits.within(&self.core.limits)).await?;
        Rows::collect(answer).await
    }

    /// Plans and starts a query within `limits`, where they are tighter than the engine's.
    pub async fn sql_within(&self, sql: &str, limits: RowLimits) -> Result<Answer, QueryError> {
        self.start(sql, Vec::new(), limits.within(&self.core.limits)).await
    }

    /// Runs a query to its end and gives its columns: for a table on a page. At most `max_bytes` of text are kept.
    pub async fn query_columns(&self, sql: &str, limits: RowLimits, max_bytes: usize) -> Result<Columns, QueryError> {
        Columns::collect(self.sql_within(sql, limits).await?, max_bytes).await
    }

    async fn start(&self, sql: &str, params: Vec<Param>, limits: RowLimits) -> Result<Answer, QueryError> {
        let deadline = Deadline::after(Instant::now(), limits.timeout);
        let place = deadline.hold(Arc::clone(&self.places).acquire_owned()).await?;
        let place = place.map_err(|_| QueryError::Closed)?;
        let query = Query { core: Arc::clone(&self.core), sql: sql.to_owned(), params, fetch: limits.max_rows };
        Answer::start(query, limits, deadline, place, Arc::clone(&self.workers)).await
    }
}

/// One query, which can be planned again if the lake changes under it.
pub(super) struct Query {
    core: Arc<Core>,
    sql: String,
    params: Vec<Param>,
    fetch: Option<u64>,
}

/// A query ready to run.
pub(super) struct Planned {
    pub(super) schema: SchemaRef,
    pub(super) plan: Arc<dyn ExecutionPlan>,
    pub(super) context: Arc<TaskContext>,
}

impl Query {
    /// Plans over the lake as it is now.
    pub(super) async fn plan(&self) -> Result<Planned, QueryError> {
        let core = &self.core;
        let statement = guard::parse(&self.sql, core.limits.max_sql_bytes)?;
        let state = core.snapshot();
        guard::check_tables(&state, &statement, &core.tables())?;
        let plan = state.statement_to_plan(statement).await.map_err(|error| self.explain(error))?;
        guard::only_reads(&plan)?;
        let plan = self.bind(plan).map_err(|error| self.explain(error))?;
        let plan = state.create_physical_plan(&plan).await.map_err(|error| self.explain(error))?;
        Ok(Planned { schema: plan.schema(), plan, context: state.task_ctx() })
    }

    pub(super) fn explain(&self, error: datafusion::error::DataFusionError) -> QueryError {
        explain(error, self.core.limits.memory)
    }

    /// Puts the parameters in, and the row limit on (one more, to know whether there was more).
    fn bind(&self, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let values: Vec<ScalarValue> = self.params.iter().cloned().map(ScalarValue::from).collect();
        let plan = if values.is_empty() { plan } else { plan.with_param_values(ParamValues::from(values))? };
        match (&plan, self.fetch.and_then(|rows| usize::try_from(rows).ok())) {
            (LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_), _) | (_, None) => {
                Ok(plan)
            }
            (_, Some(rows)) => LogicalPlanBuilder::from(plan).limit(0, Some(rows.saturating_add(1)))?.build(),
        }
    }
}

impl Core {
    /// A session that sees one state of the lake.
    fn snapshot(&self) -> SessionState {
        let config = self.state.config().clone().with_extension(Arc::new(Snapshot::new(Arc::clone(&self.listing))));
        SessionStateBuilder::new_from_existing(self.state.clone()).with_config(config).build()
    }

    fn tables(&self) -> Vec<String> {
        let schema = self.state.catalog_list().catalog(CATALOG).and_then(|catalog| catalog.schema(SCHEMA));
        let mut names = schema.map(|schema| schema.table_names()).unwrap_or_default();
        names.sort_unstable();
        names
    }
}

fn session(lake: &Path, limits: &EngineLimits) -> DataFusionResult<SessionState> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(limits.threads.max(1))
        .with_parquet_bloom_filter_pruning(true)
        .with_parquet_page_index_pruning(true)
        .with_parquet_pruning(true);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let parquet = &mut config.options_mut().execution.parquet;
    parquet.pushdown_filters = true;
    parquet.reorder_filters = true;

    let mode = match (&limits.spill_dir, limits.spill) {
        (_, 0) => DiskManagerMode::Disabled,
        (Some(dir), _) => DiskManagerMode::Directories(vec![dir.clone()]),
        (None, _) => DiskManagerMode::OsTmpDirectory,
    };
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(limits.spill);
    let consumers = std::num::NonZeroUsize::MIN.saturating_add(2);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(limits.memory), consumers)))
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(FOOTERS)
        .build_arc()?;
    let files = LocalFileSystem::new_with_prefix(lake)?;
    runtime.register_object_store(ObjectStoreUrl::parse(STORE)?.as_ref(), Arc::new(files));

    let catalog = MemoryCatalogProvider::new();
    let schema = MemorySchemaProvider::new();
    for table in Table::ALL {
        schema.register_table(table.as_str().to_owned(), Arc::new(LakeTable::new(table)?))?;
    }
    schema.register_table("scores".to_owned(), Arc::new(LakeTable::scores()?))?;
    catalog.register_schema(SCHEMA, Arc::new(schema))?;

    let mut state =
        SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
    state.catalog_list().register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    functions::register(&mut state)?;
    Ok(state)
}
