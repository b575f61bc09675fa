//! Small answers as JSON rows.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::answer::Answer;
use super::error::QueryError;
use super::limits::EngineLimits;
use crate::output::cell;

/// How much one call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLimits {
    /// Rows; more are left out and [`Rows::truncated`] says so.
    pub max_rows: Option<u64>,
    /// Time, waiting included.
    pub timeout: Option<Duration>,
}

impl Default for RowLimits {
    /// 10,000 rows, 30 seconds.
    fn default() -> Self {
        Self { max_rows: Some(10_000), timeout: Some(Duration::from_secs(30)) }
    }
}

impl RowLimits {
    pub(super) fn within(self, limits: &EngineLimits) -> Self {
        fn tighter<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self { max_rows: tighter(self.max_rows, limits.max_rows), timeout: tighter(self.timeout, limits.timeout) }
    }
}

/// One column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnInfo {
    /// Its key in the rows. Made unique where the query gives a name twice (`n`, `n_2`).
    pub name: String,
    /// Its Arrow type, as text.
    pub data_type: String,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rows {
    /// The columns, in order.
    pub columns: Vec<ColumnInfo>,
    /// One object a row. Moments are ISO 8601 text with Z, binary values hexadecimal text, integers numbers
    /// (64 bits: read them with care in JavaScript), floating point that JSON cannot say text (`NaN`, `inf`).
    pub rows: Vec<Map<String, Value>>,
    /// There were more rows than allowed.
    pub truncated: bool,
}

impl Rows {
    pub(super) async fn collect(mut answer: Answer) -> Result<Self, QueryError> {
        let names = cell::unique_names(answer.schema());
        let columns = names
            .iter()
            .zip(answer.schema().fields())
            .map(|(name, field)| ColumnInfo { name: name.clone(), data_type: field.data_type().to_string() })
            .collect();
        let mut rows = Vec::new();
        while let Some(batch) = answer.next().await? {
            for row in 0..batch.num_rows() {
                let mut object = Map::with_capacity(names.len());
                for (name, array) in names.iter().zip(batch.columns()) {
                    let value = serde_json::to_value(cell::Cell::new(array.as_ref(), row))
                        .map_err(|error| QueryError::Run(error.to_string()))?;
                    object.insert(name.clone(), value);
                }
                rows.push(object);
            }
        }
        Ok(Self { columns, rows, truncated: answer.truncated() })
    }
}
