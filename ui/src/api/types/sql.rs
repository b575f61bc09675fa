//! The SQL console.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A statement to run: SELECT, EXPLAIN, DESCRIBE or SHOW.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlRequest {
    /// The statement.
    pub sql: String,
    /// Rows at most, 1 to 10,000; absent: 1,000.
    pub max_rows: Option<u32>,
}

/// One column of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct SqlColumn {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    pub data_type: String,
    /// Its values, one a row: numbers, text, lists, objects, `null`. Whole numbers beyond 2⁵³ − 1 are text.
    #[schema(value_type = Vec<Value>)]
    pub values: Vec<Value>,
}

/// An answer, column by column.
#[derive(Debug, Serialize, ToSchema)]
pub struct SqlAnswer {
    /// The columns, in order.
    pub columns: Vec<SqlColumn>,
    /// How many rows they have.
    pub rows: u64,
    /// There were more rows than allowed, in number or in bytes.
    pub truncated: bool,
    /// Milliseconds it took.
    pub elapsed_ms: u64,
}

/// As what an answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SqlFormat {
    /// CSV (RFC 4180) in which no spreadsheet finds formulas.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Parquet.
    Parquet,
}

/// As what to write an answer.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SqlFormatQuery {
    /// `csv`, `jsonl` or `parquet`.
    pub format: SqlFormat,
}

/// A column of a table of the lake.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SchemaColumn {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    pub data_type: String,
    /// May it be null?
    pub nullable: bool,
}

/// A table or view of the lake.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SchemaTable {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<SchemaColumn>,
}

/// What can be asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SqlSchema {
    /// The tables and views, by name.
    pub tables: Vec<SchemaTable>,
}

/// A query that an analyst keeps.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavedQuery {
    /// Its number.
    pub id: i64,
    /// Who keeps it.
    pub owner: String,
    /// What it is for.
    pub name: String,
    /// The statement.
    pub sql: String,
    /// When it was last changed.
    pub updated: String,
}

/// Kept queries, by name.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavedQueries {
    /// The queries.
    pub queries: Vec<SavedQuery>,
}

/// A query to keep; one's own of the same name is replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSavedQuery {
    /// What it is for, 1 to 80 characters.
    pub name: String,
    /// The statement.
    pub sql: String,
}
