//! Answers as text or files: what `spotter query --format` writes.
//!
//! [`write`] streams: it holds one batch (a table: its first thousand rows, to choose the widths), never the
//! whole answer. Names and values in the lake come from the wire, so whatever could steer a terminal or
//! turn text around (control characters, bidirectional marks, invisible characters) is escaped: always in
//! tables and JSON, in CSV where a terminal reads it. Files and pipes get CSV as it is.
//!
//! Moments are ISO 8601 with Z, binary values hexadecimal, lists and structs JSON.

pub(crate) mod cell;
mod csv;
mod escape;
pub mod export;
mod json;
mod parquet;
mod table;

use std::io::{self, Write};

use crate::sql::{Answer, QueryError};

pub use escape::{escaped, is_unsafe};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns, for people.
    Table,
    /// RFC 4180, with a header line. Null is nothing, empty text is `""`.
    Csv,
    /// One JSON array, an object a line.
    Json,
    /// One JSON object a line (NDJSON).
    JsonLines,
    /// Parquet, zstd.
    Parquet,
}

impl Format {
    /// All names, as on the command line.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("table", Self::Table),
        ("csv", Self::Csv),
        ("json", Self::Json),
        ("jsonl", Self::JsonLines),
        ("parquet", Self::Parquet),
    ];
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, format)| *format)
            .ok_or_else(|| format!("there is no format `{name}`: table, csv, json, jsonl or parquet"))
    }
}

/// Who reads what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// A terminal, and how many columns it has: tables are cut to it, and CSV is escaped. `None`: a file or a
    /// pipe.
    pub terminal: Option<usize>,
    /// A spreadsheet will open it: text in CSV that it would take for a formula (`=`, `+`, `-`, `@` or a tab at the
    /// beginning) gets an apostrophe before it. Numbers stay as they are.
    pub spreadsheet: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// There were more rows than the limits allow.
    pub truncated: bool,
}

/// Why an answer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The query failed, perhaps after rows were written.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The writer refused. `BrokenPipe` means that the reader has had enough.
    #[error("the answer could not be written: {0}")]
    Io(#[from] io::Error),
    /// A value that the format cannot hold.
    #[error("the answer cannot be written as {format}: {detail}")]
    Format {
        /// Name of the format.
        format: &'static str,
        /// The cause.
        detail: String,
    },
    /// Parquet to a terminal.
    #[error(
        "Parquet is binary and no terminal can show it; send it to a file (> answer.parquet), or choose another format"
    )]
    BinaryToTerminal,
}

/// Writes an answer as it comes, and flushes.
pub async fn write(
    answer: &mut Answer,
    format: Format,
    out: &mut dyn Write,
    options: WriteOptions,
) -> Result<Written, OutputError> {
    match format {
        Format::Table => table::write(answer, out, options).await?,
        Format::Csv => csv::write(answer, out, options).await?,
        Format::Json => json::write(answer, out, json::Shape::Array).await?,
        Format::JsonLines => json::write(answer, out, json::Shape::Lines).await?,
        Format::Parquet if options.terminal.is_some() => return Err(OutputError::BinaryToTerminal),
        Format::Parquet => parquet::write(answer, out).await?,
    }
    out.flush()?;
    Ok(Written { rows: answer.rows(), truncated: answer.truncated() })
}
