//! Records in the forms that other tools read: what every Export button gives.
//!
//! [`Exporter`] takes record batches of one kind of record and gives bytes, as they come; it holds no more than a batch,
//! except STIX and MISP, which name each thing once and therefore refuse more than [`MAX_OBJECT_ROWS`] rows.
//!
//! | format | form | made for |
//! |---|---|---|
//! | csv | RFC 4180, the columns of the query, formulas disarmed | spreadsheets, Apache Spot's scripts |
//! | jsonl | an object a line, the lake's columns | scripts |
//! | parquet | the lake's columns | DuckDB, Spark, pandas |
//! | zeek | conn, dns or http log, TSV | zeek-cut, RITA, Zui, `spotter import` |
//! | ecs | Elastic Common Schema 8.11, an object a line | Elastic, Malcolm, Security Onion |
//! | ocsf | OCSF 1.6.0, an object a line: 4001, 4002, 4003; 2004 for scored records | Security lakes |
//! | odm | Apache Spot's Open Data Model 1.1, an `event` a line | what was built on it |
//! | stix | STIX 2.1 bundle | threat intelligence |
//! | misp | MISP event | MISP |
//!
//! [`sigma`] makes a rule from a condition.

mod csv;
mod ecs;
mod misp;
mod ocsf;
mod odm;
mod row;
pub mod sigma;
mod stix;
mod zeek;

use std::collections::HashMap;

use aggregator::lake::Source;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::cell::unique_names;
use super::{OutputError, json, parquet};
use row::Row;

/// Rows that a STIX bundle or a MISP event is made of at most.
pub const MAX_OBJECT_ROWS: u64 = 100_000;

/// A form of export.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the module's table says it")]
pub enum ExportFormat {
    Csv,
    JsonLines,
    Parquet,
    Zeek,
    Ecs,
    Ocsf,
    Odm,
    Stix,
    Misp,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Csv,
        Self::JsonLines,
        Self::Parquet,
        Self::Zeek,
        Self::Ecs,
        Self::Ocsf,
        Self::Odm,
        Self::Stix,
        Self::Misp,
    ];

    /// As it is asked for.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
            Self::Zeek => "zeek",
            Self::Ecs => "ecs",
            Self::Ocsf => "ocsf",
            Self::Odm => "odm",
            Self::Stix => "stix",
            Self::Misp => "misp",
        }
    }

    /// Ending of the file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
            Self::Zeek => "log",
            Self::Ecs => "ecs.jsonl",
            Self::Ocsf => "ocsf.jsonl",
            Self::Odm => "odm.jsonl",
            Self::Stix => "stix.json",
            Self::Misp => "misp.json",
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLines | Self::Ecs | Self::Ocsf | Self::Odm => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Zeek => "text/tab-separated-values; charset=utf-8",
            Self::Stix => "application/stix+json;version=2.1",
            Self::Misp => "application/json",
        }
    }
}

impl std::str::FromStr for ExportFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|format| format.as_str() == name);
        known.ok_or_else(|| format!("there is no export format {name:?}: {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// What an export says of itself and of its rows.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Title of a bundle or event: plain text.
    pub title: String,
    /// When it is made, RFC 3339.
    pub made: String,
    /// Verdicts in force, by `record_id` as hexadecimal text: 1 high, 2 medium, 3 low.
    pub severities: HashMap<String, u8>,
}

/// Batches in, bytes out.
pub struct Exporter {
    format: ExportFormat,
    source: Source,
    about: About,
    names: Vec<String>,
    rows: u64,
    state: State,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").field("format", &self.format).field("source", &self.source).finish_non_exhaustive()
    }
}

/// What a format remembers between batches.
enum State {
    Lines,
    Parquet(Box<parquet::Encoder>),
    Stix(stix::Bundle),
    Misp(misp::Event),
}

impl Exporter {
    /// For batches of this schema, which are of one source.
    ///
    /// # Errors
    /// Where the columns are not those the format needs.
    pub fn new(format: ExportFormat, source: Source, schema: &SchemaRef, about: About) -> Result<Self, OutputError> {
        let names = unique_names(schema);
        let needs: &[&str] = match (format, source) {
            (ExportFormat::Csv | ExportFormat::JsonLines | ExportFormat::Parquet, _) => &[],
            (_, Source::Flow) => &["record_id", "first_seen", "src_ip", "dst_ip", "proto"],
            (_, Source::Dns) => &["record_id", "first_seen", "client_ip", "server_ip", "qname_wire"],
            (_, Source::Proxy) => &["record_id", "first_seen", "client_ip", "full_uri"],
        };
        if let Some(missing) = needs.iter().find(|need| !names.iter().any(|name| name == *need)) {
            return Err(OutputError::Format {
                format: format.as_str(),
                detail: format!("it needs the column {missing}; choose csv, jsonl or parquet for other columns"),
            });
        }
        let state = match format {
            ExportFormat::Parquet => State::Parquet(Box::new(parquet::Encoder::new(schema)?)),
            ExportFormat::Stix => State::Stix(stix::Bundle::default()),
            ExportFormat::Misp => State::Misp(misp::Event::default()),
            _ => State::Lines,
        };
        Ok(Self { format, source, about, names, rows: 0, state })
    }

    /// What stands before the first row.
    pub fn head(&mut self) -> Result<Vec<u8>, OutputError> {
        let mut out = Vec::new();
        match (&mut self.state, self.format) {
            (State::Lines, ExportFormat::Csv) => csv::head(&self.names, &mut out),
            (State::Lines, ExportFormat::Zeek) => zeek::head(self.source, &mut out),
            (State::Stix(bundle), _) => bundle.head(&self.about, &mut out)?,
            (State::Misp(event), _) => event.head(&self.about, &mut out)?,
            _ => {}
        }
        Ok(out)
    }

    /// The rows of a batch.
    pub fn batch(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, OutputError> {
        self.rows += batch.num_rows() as u64;
        if let State::Parquet(encoder) = &mut self.state {
            return encoder.batch(batch);
        }
        let mut out = Vec::new();
        for at in 0..batch.num_rows() {
            match self.format {
                ExportFormat::Csv => csv::row(batch, at, &mut out)?,
                ExportFormat::JsonLines => {
                    json::push_row(&mut out, &self.names, batch, at)?;
                    out.push(b'\n');
                }
                _ => self.record(&Row::new(&self.names, batch, at)?, &mut out)?,
            }
        }
        Ok(out)
    }

    fn record(&mut self, row: &Row, out: &mut Vec<u8>) -> Result<(), OutputError> {
        let severity = self.about.severities.get(row.text("record_id")).copied();
        match (&mut self.state, self.format) {
            (State::Stix(bundle), _) => bundle.row(self.source, row, severity, &self.about, out),
            (State::Misp(event), _) => event.row(self.source, row, severity, &self.about, out),
            (_, ExportFormat::Zeek) => {
                zeek::row(self.source, row, out);
                Ok(())
            }
            (_, ExportFormat::Odm) => {
                json::push_value(out, &odm::event(self.source, row, severity))?;
                out.push(b'\n');
                Ok(())
            }
            (_, ExportFormat::Ocsf) => {
                json::push_value(out, &ocsf::event(self.source, row, severity))?;
                out.push(b'\n');
                Ok(())
            }
            _ => {
                json::push_value(out, &ecs::event(self.source, row, severity))?;
                out.push(b'\n');
                Ok(())
            }
        }
    }

    /// What stands after the last row.
    pub fn tail(&mut self) -> Result<Vec<u8>, OutputError> {
        match &mut self.state {
            State::Parquet(encoder) => encoder.finish(),
            State::Stix(_) => Ok(b"\n]}\n".to_vec()),
            State::Misp(_) => Ok(b"\n]}}\n".to_vec()),
            State::Lines if self.format == ExportFormat::Zeek => Ok(b"#close\t-\n".to_vec()),
            State::Lines => Ok(Vec::new()),
        }
    }

    /// Rows taken.
    pub const fn rows(&self) -> u64 {
        self.rows
    }
}

#[cfg(test)]
mod tests;
