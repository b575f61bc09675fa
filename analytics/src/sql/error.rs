//! Why a query failed, and what to do about it.

use std::error::Error as StdError;
use std::time::Duration;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

/// What an [`Engine`](super::Engine) answers instead of rows. The text is made for the one who asked:
/// it names the fault and the way out.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The engine could not be set up.
    #[error("the query engine could not be opened: {0}")]
    Open(String),
    /// The text is no SQL.
    #[error("this is no SQL that Spotter reads: {0}")]
    Syntax(String),
    /// More than one statement, or none.
    #[error("one statement at a time, please: {found} found")]
    Statements {
        /// How many there were.
        found: usize,
    },
    /// The text is longer, or nests deeper, than a query may.
    #[error("the query has {found} {what}, the limit is {limit}; {advice}")]
    TooComplex {
        /// What was counted.
        what: &'static str,
        /// How many there were.
        found: usize,
        /// The bound.
        limit: usize,
        /// The way out.
        advice: &'static str,
    },
    /// A statement that would change something.
    #[error(
        "the lake is read by SQL, never written: only SELECT, EXPLAIN, DESCRIBE and SHOW are allowed \
         (DataFusion says: {0})"
    )]
    ReadOnly(String),
    /// A table that is not there.
    #[error("there is no table `{name}`{}; the tables are {}", did_you_mean(.nearest), .known.join(", "))]
    UnknownTable {
        /// The name as asked.
        name: String,
        /// The nearest existing name, if one is near.
        nearest: Option<String>,
        /// All that there are.
        known: Vec<String>,
    },
    /// A column that is not there.
    #[error("there is no column `{name}` here{}; the columns are {}", did_you_mean(.nearest), .known.join(", "))]
    UnknownColumn {
        /// The name as asked.
        name: String,
        /// The nearest existing name, if one is near.
        nearest: Option<String>,
        /// All that there are at this place of the query.
        known: Vec<String>,
    },
    /// The statement is SQL, but has no meaning here: a wrong type, an unknown function, a missing group.
    #[error("the query cannot be planned: {0}")]
    Plan(String),
    /// It failed while it ran, for a reason in the data or the expression (a cast, a division by zero).
    #[error("the query failed: {0}")]
    Run(String),
    /// It needed more memory than it may have.
    #[error(
        "the query needs more memory than it may have ({limit} bytes for all queries together); \
         narrow the time range, select fewer columns, or raise the memory limit ({detail})"
    )]
    Memory {
        /// Bytes of [`EngineLimits::memory`](super::EngineLimits::memory).
        limit: usize,
        /// Which operator asked for how much.
        detail: String,
    },
    /// It did not end in time.
    #[error("the query was stopped after {}; narrow the time range (first_seen or date) or raise the timeout", seconds(.0))]
    Timeout(Duration),
    /// A part of the lake was removed (by compaction or retention) under the query, after rows were given.
    #[error("a part of the lake was replaced while the query read it; run it again ({0})")]
    PartVanished(String),
    /// A part cannot be read: damaged or from somewhere else.
    #[error("a part of the lake cannot be read: {0}")]
    Part(String),
    /// The lake's journal could not be read.
    #[error("the lake's journal could not be read: {0}")]
    Journal(String),
    /// The engine was shut down under the query.
    #[error("the query engine was shut down")]
    Closed,
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

fn seconds(duration: &Duration) -> String {
    if duration.as_secs() == 0 { format!("{} ms", duration.as_millis()) } else { format!("{} s", duration.as_secs()) }
}

/// The nearest of `known` to `name`, if one is near enough to be what was meant.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_owned())
}

/// The object store says that a file is not there (any more): which one.
pub(super) fn vanished_part(error: &DataFusionError) -> Option<String> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(object_store::Error::NotFound { path, .. }) = error.downcast_ref() {
            return Some(path.clone());
        }
        if let Some(boxed) = error.downcast_ref::<Box<object_store::Error>>()
            && let object_store::Error::NotFound { path, .. } = boxed.as_ref()
        {
            return Some(path.clone());
        }
        cause = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::ObjectStore(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            _ => error.source(),
        };
    }
    // The Parquet reader hands on the store's error as text only.
    let text = error.to_string();
    let (_, rest) = text.split_once("Object at location ")?;
    let (path, _) = rest.split_once(" not found")?;
    Some(path.to_owned())
}

/// Sorts out DataFusion's errors.
pub(super) fn explain(error: DataFusionError, memory: usize) -> QueryError {
    if let Some(path) = vanished_part(&error) {
        return QueryError::PartVanished(path);
    }
    match error.find_root() {
        DataFusionError::SchemaError(schema_error, _) => match schema_error.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let known: Vec<String> = valid_fields.iter().map(|column| column.name().to_owned()).collect();
                QueryError::UnknownColumn {
                    name: field.name().to_owned(),
                    nearest: nearest(field.name(), known.iter().map(String::as_str)),
                    known,
                }
            }
            other => QueryError::Plan(other.to_string()),
        },
        DataFusionError::ResourcesExhausted(detail) => QueryError::Memory { limit: memory, detail: detail.clone() },
        DataFusionError::SQL(detail, _) => QueryError::Syntax(detail.to_string()),
        DataFusionError::Plan(detail)
        | DataFusionError::NotImplemented(detail)
        | DataFusionError::Configuration(detail) => QueryError::Plan(detail.clone()),
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => {
            QueryError::Part(error.strip_backtrace())
        }
        DataFusionError::External(inner) => match inner.downcast_ref::<QueryError>() {
            Some(QueryError::Journal(detail)) => QueryError::Journal(detail.clone()),
            Some(QueryError::Part(detail)) => QueryError::Part(detail.clone()),
            _ => QueryError::Run(inner.to_string()),
        },
        // The spill limit comes as an I/O error inside an Arrow error.
        _ => match error.strip_backtrace() {
            detail if detail.contains("during the spilling process") => QueryError::Memory { limit: memory, detail },
            detail => QueryError::Run(detail),
        },
    }
}
