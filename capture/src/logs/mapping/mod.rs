//! Logs of any program, by a mapping: a TOML file that says how the log is written and which of its columns is which of ours.
//!
//! ```toml
//! table = "flow"                  # flow, dns or proxy
//! format = "csv"                  # csv, json (an object a line) or squid (a logformat)
//! time = "epoch_ms"               # how times are written: epoch (seconds), epoch_ms, epoch_us, epoch_ns, iso or common
//!
//! [columns]                       # ours = the log's; in JSON, a.b is b in a
//! first_seen = "start"
//! src_ip = "client.ip"
//! dst_ip = "server.ip"
//! ```
//!
//! CSV has `delimiter = ","` and `header = true` besides; without a header, columns are numbered from 1. Squid needs only
//! `logformat = "%ts.%03tu %6tr %>a …"`, or the name of one that Squid defines. Rows are lines: a quoted line feed ends its row.

mod columns;
mod csv;
mod row;
mod squid;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value as Json;
use toml::{Table as Toml, Value};

use super::row::{LogKind, LogRow};
use columns::{DNS, FLOW, PROXY, Table};
pub(super) use squid::Format as SquidFormat;

/// Why a mapping is none, or does not fit a log: what stands there, and what was expected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct MappingError(String);

/// How a log is written and what its columns are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    layout: Layout,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Layout {
    Csv { columns: Columns, delimiter: u8, header: bool },
    Json { columns: Columns },
    Squid(SquidFormat),
}

/// Which of the log's columns is which of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Columns {
    kind: LogKind,
    table: Table,
    time: Time,
    /// Ours, and the log's.
    names: Vec<(&'static str, String)>,
}

/// How times are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Time {
    /// Parts of a second to a second: 1, 1,000 … Fractions are read.
    Epoch(i64),
    Iso,
    Common,
}

/// A mapping at work on one log.
#[derive(Debug)]
pub(super) struct Mapped {
    mapping: Mapping,
    /// CSV: where each of the columns stands; empty before the header.
    places: Vec<usize>,
}

impl Mapping {
    /// Reads a mapping.
    pub fn parse(text: &str) -> Result<Self, MappingError> {
        let toml: Toml = text.parse().map_err(|error: toml::de::Error| MappingError(error.to_string()))?;
        let format = text_of(&toml, "format")?.ok_or_else(|| wrong("`format` is missing: csv, json or squid"))?;
        let known: &[&str] = match format {
            "csv" => &["table", "format", "time", "columns", "delimiter", "header"],
            "json" => &["table", "format", "time", "columns"],
            "squid" => &["table", "format", "logformat"],
            other => return Err(wrong(&format!("`format = \"{other}\"`: expected csv, json or squid"))),
        };
        if let Some(key) = toml.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(wrong(&format!("`{key}` is no key of a mapping of {format}: expected {}", known.join(", "))));
        }
        let layout = match format {
            "squid" => {
                let text = text_of(&toml, "logformat")?.ok_or_else(|| wrong("`logformat` is missing"))?;
                if text_of(&toml, "table")?.is_some_and(|table| table != "proxy") {
                    return Err(wrong("`table`: a logformat of Squid gives rows of proxy"));
                }
                Layout::Squid(SquidFormat::parse(text).map_err(|reason| wrong(&format!("`logformat`: {reason}")))?)
            }
            "json" => Layout::Json { columns: Columns::of(&toml, LogKind::Json)? },
            _ => {
                let delimiter = match text_of(&toml, "delimiter")?.unwrap_or(",").as_bytes() {
                    &[one] if one.is_ascii() && !matches!(one, b'"' | b'\n' | b'\r') => one,
                    _ => return Err(wrong("`delimiter`: expected one ASCII character, as \",\", \";\" or \"\\t\"")),
                };
                let header = match toml.get("header") {
                    None => true,
                    Some(Value::Boolean(header)) => *header,
                    Some(_) => return Err(wrong("`header`: expected true or false")),
                };
                Layout::Csv { columns: Columns::of(&toml, LogKind::Csv)?, delimiter, header }
            }
        };
        let mapping = Self { layout };
        // Without a header, the columns are numbers.
        Mapped::new(mapping.clone()).map(|_| mapping)
    }
}

fn wrong(text: &str) -> MappingError {
    MappingError(text.to_owned())
}

fn text_of<'t>(toml: &'t Toml, key: &str) -> Result<Option<&'t str>, MappingError> {
    match toml.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(&format!("`{key}`: expected text in quotes"))),
    }
}

impl Columns {
    fn of(toml: &Toml, kind: LogKind) -> Result<Self, MappingError> {
        let (table, known) = match text_of(toml, "table")? {
            Some("flow") => (Table::Flow, FLOW),
            Some("dns") => (Table::Dns, DNS),
            Some("proxy") => (Table::Proxy, PROXY),
            Some(other) => return Err(wrong(&format!("`table = \"{other}\"`: expected flow, dns or proxy"))),
            None => return Err(wrong("`table` is missing: flow, dns or proxy")),
        };
        let time = match text_of(toml, "time")?.unwrap_or("epoch") {
            "epoch" => Time::Epoch(1),
            "epoch_ms" => Time::Epoch(1_000),
            "epoch_us" => Time::Epoch(1_000_000),
            "epoch_ns" => Time::Epoch(1_000_000_000),
            "iso" => Time::Iso,
            "common" => Time::Common,
            other => {
                let expected = "epoch, epoch_ms, epoch_us, epoch_ns, iso or common";
                return Err(wrong(&format!("`time = \"{other}\"`: expected {expected}")));
            }
        };
        let Some(Value::Table(given)) = toml.get("columns") else {
            return Err(wrong("`[columns]` is missing: a line `ours = \"the log's\"` for each column"));
        };
        let mut names = Vec::new();
        for (ours, theirs) in given {
            let Some(ours) = known.iter().find(|name| *name == ours) else {
                let table = table.as_str();
                return Err(wrong(&format!("`{ours}` is no column of {table}: expected {}", known.join(", "))));
            };
            let theirs = match theirs {
                Value::String(name) => name.clone(),
                Value::Integer(number) => number.to_string(),
                _ => return Err(wrong(&format!("`{ours}`: expected the name of a column in quotes, or its number"))),
            };
            names.push((*ours, theirs));
        }
        let missing: Vec<&str> =
            table.required().iter().copied().filter(|name| names.iter().all(|(ours, _)| ours != name)).collect();
        if !missing.is_empty() {
            return Err(wrong(&format!("`[columns]` lacks {}, which {} needs", missing.join(", "), table.as_str())));
        }
        Ok(Self { kind, table, time, names })
    }

    fn row(&self, mut value: impl FnMut(usize, &str) -> Option<String>) -> Result<LogRow, &'static str> {
        let values: BTreeMap<&'static str, String> = self
            .names
            .iter()
            .enumerate()
            .filter_map(|(at, (ours, theirs))| Some((*ours, value(at, theirs)?)))
            .filter(|(_, text)| !text.is_empty() && text != "-")
            .collect();
        row::row(self.kind, self.table, self.time, &values)
    }
}

impl Mapped {
    pub(super) fn new(mapping: Mapping) -> Result<Self, MappingError> {
        let mut places = Vec::new();
        if let Layout::Csv { columns, header: false, .. } = &mapping.layout {
            for (ours, theirs) in &columns.names {
                let place = theirs.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                places.push(place.ok_or_else(|| {
                    wrong(&format!("`{ours} = \"{theirs}\"`: without a header, columns are numbers from 1"))
                })?);
            }
        }
        Ok(Self { mapping, places })
    }

    /// Whether the beginning of a log fits: the names of CSV's header are checked, and one row has to be readable.
    pub(super) fn check(&self, lines: &[&str]) -> Result<(), MappingError> {
        let mut trial = Self { mapping: self.mapping.clone(), places: self.places.clone() };
        let mut first = None;
        for line in lines {
            match trial.row(line)? {
                Some(Ok(_)) => return Ok(()),
                Some(Err(reason)) => first = first.or(Some(reason)),
                None => {}
            }
        }
        match first {
            Some(reason) => Err(wrong(&format!("the mapping reads none of its first rows: {reason}"))),
            None => Ok(()),
        }
    }

    /// Reads a line; `None` where it is the header. An error where the header lacks a column.
    pub(super) fn row(&mut self, line: &str) -> Result<Option<Result<LogRow, &'static str>>, MappingError> {
        let Self { mapping: Mapping { layout }, places } = self;
        Ok(Some(match layout {
            Layout::Squid(format) => format.row(line),
            Layout::Json { columns } => match serde_json::from_str::<Json>(line) {
                Ok(object @ Json::Object(_)) => columns.row(|_, name| text_at(&object, name)),
                _ => Err("no JSON object"),
            },
            Layout::Csv { columns, delimiter, .. } => match csv::fields(line, *delimiter) {
                Err(reason) => Err(reason),
                Ok(names) if places.is_empty() => {
                    *places = places_of(columns, &names)?;
                    return Ok(None);
                }
                Ok(fields) if places.iter().any(|place| *place >= fields.len()) => Err("too few columns"),
                Ok(fields) => columns.row(|at, _| fields.get(*places.get(at)?).map(|field| field.trim().to_owned())),
            },
        }))
    }
}

/// Where the header has each of the columns.
fn places_of(columns: &Columns, names: &[Cow<'_, str>]) -> Result<Vec<usize>, MappingError> {
    let place = |(ours, theirs): &(&str, String)| {
        names.iter().position(|name| name.trim().trim_start_matches('\u{feff}') == theirs).ok_or_else(|| {
            let names: Vec<&str> = names.iter().take(64).map(|name| name.as_ref()).collect();
            wrong(&format!("`{ours} = \"{theirs}\"`: no such column in the header: {}", names.join(", ")))
        })
    };
    columns.names.iter().map(place).collect()
}

/// The value of a name or, where there are points in it, of a path.
fn text_at(object: &Json, name: &str) -> Option<String> {
    let value = match object.get(name) {
        Some(value) => value,
        None => name.split('.').try_fold(object, |value, part| value.get(part))?,
    };
    Some(match value {
        Json::Null => return None,
        Json::String(text) => text.clone(),
        Json::Array(values) => {
            let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            values.iter().map(text).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
