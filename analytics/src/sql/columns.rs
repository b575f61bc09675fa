//! Small answers column by column, as a table on a page takes them.

use serde::Serialize;
use serde_json::Value;

use super::answer::Answer;
use super::error::QueryError;
use crate::output::cell;

/// Largest whole number that JavaScript holds exactly.
const MAX_SAFE: u64 = (1 << 53) - 1;

/// One column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// Its name, made unique where the query gives a name twice (`n`, `n_2`).
    pub name: String,
    /// Its Arrow type, as text.
    pub data_type: String,
    /// Its values. As in [`Rows`](super::Rows), and whole numbers beyond 2⁵³ − 1 are text.
    pub values: Vec<Value>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Columns {
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// How many rows they have.
    pub rows: u64,
    /// There were more rows than allowed, in number or in bytes.
    pub truncated: bool,
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(size).sum::<usize>() + 2,
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + 4 + size(value)).sum::<usize>() + 2,
        _ => 8,
    }
}

/// A number that JavaScript would round becomes text.
fn exact(value: Value) -> Value {
    let is_large =
        value.as_u64().is_some_and(|n| n > MAX_SAFE) || value.as_i64().is_some_and(|n| n.unsigned_abs() > MAX_SAFE);
    if is_large { Value::String(value.to_string()) } else { value }
}

impl Columns {
    /// Takes rows until `max_bytes` are passed.
    pub(super) async fn collect(mut answer: Answer, max_bytes: usize) -> Result<Self, QueryError> {
        let names = cell::unique_names(answer.schema());
        let mut columns: Vec<Column> = names
            .into_iter()
            .zip(answer.schema().fields())
            .map(|(name, field)| Column { name, data_type: field.data_type().to_string(), values: Vec::new() })
            .collect();
        let (mut bytes, mut rows) = (0, 0);
        while let Some(batch) = answer.next().await? {
            for row in 0..batch.num_rows() {
                for (column, array) in columns.iter_mut().zip(batch.columns()) {
                    let value = serde_json::to_value(cell::Cell::new(array.as_ref(), row))
                        .map_err(|error| QueryError::Run(error.to_string()))?;
                    let value = exact(value);
                    bytes += size(&value);
                    column.values.push(value);
                }
                rows += 1;
                if bytes > max_bytes {
                    return Ok(Self { columns, rows, truncated: true });
                }
            }
        }
        Ok(Self { columns, rows, truncated: answer.truncated() })
    }
}
