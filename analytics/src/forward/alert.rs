//! Which scored records are alerts, and what of them is sent.

use std::collections::HashSet;

use aggregator::lake::{Day, Lake, Source};
use aggregator::state::verdicts::Severity;
use aggregator::state::{self, StateError};
use arrow::array::RecordBatch;
use serde_json::{Map, Value};

use super::queue::Entry;
use super::{ForwardOptions, What, avro, cef};
use crate::feedback::exchange::parse_record;
use crate::feedback::{FeedbackError, Overlay, Show, overlay};
use crate::output::OutputError;
use crate::output::export::{About, ExportFormat, Exporter};
use crate::sql::{Engine, Param, QueryError};

/// In which form an alert is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// The lake's columns as a JSON object.
    Json,
    /// Elastic Common Schema 8.11.
    Ecs,
    /// OCSF 1.6.0, Detection Finding (2004).
    Ocsf,
    /// Apache Spot's Open Data Model.
    Odm,
    /// Common Event Format.
    Cef,
    /// Avro, for Kafka; see [`super::avro_schema`].
    Avro,
}

impl std::str::FromStr for Form {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "json" => Ok(Self::Json),
            "ecs" => Ok(Self::Ecs),
            "ocsf" => Ok(Self::Ocsf),
            "odm" => Ok(Self::Odm),
            "cef" => Ok(Self::Cef),
            "avro" => Ok(Self::Avro),
            other => Err(format!("there is no form \"{other}\": use json, ecs, ocsf, odm, cef or avro")),
        }
    }
}

/// What makes a scored record an alert: both must hold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Threshold {
    /// Strength of the strongest evidence, −log10 of the cases as strong that a day has by chance: at 2 a day without an attack has one in a hundred
    /// days. Rows without evidence have 0.
    pub min_strength: f64,
    /// Place in the list, from 1.
    pub max_rank: u32,
}

impl Default for Threshold {
    fn default() -> Self {
        Self { min_strength: 2.0, max_rank: 1_000 }
    }
}

/// Why alerts could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The lake did not answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Which runs are shown cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// What was said of them cannot be read.
    #[error(transparent)]
    Feedback(#[from] FeedbackError),
    /// A row could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A row is not what it should be.
    #[error("a scored record cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// Alerts at once: what is beyond comes with the next look.
const MOST: usize = 10_000;

/// The alerts of the days since `since`: of each day's current run, the most suspicious first, each record once. What a verdict of low severity
/// dismisses and what a rule allows or suppresses is none, from the moment that it was said. `is_new` says of an id whether it is wanted.
pub(super) fn alerts(
    lake: &Lake,
    engine: &Engine,
    source: Source,
    since: Day,
    options: &ForwardOptions,
    is_new: impl Fn(&str) -> bool,
) -> Result<Vec<Entry>, AlertError> {
    let mut found: Vec<Entry> = Vec::new();
    let mut taken = HashSet::new();
    let runs = lake.state().runs(Some(source))?;
    for run in runs.iter().filter(|run| run.current && run.date >= since) {
        let said = overlay(lake, source, &run.run_id, state::now())?;
        let sql = format!(
            "SELECT * FROM scores_{} WHERE run_id = $1 AND date = $2 AND fused_rank <= {} ORDER BY fused_rank, record_id",
            source.as_str(),
            options.threshold.max_rank
        );
        let params: Vec<Param> = vec![run.run_id.as_str().into(), run.date.to_string().into()];
        let full = engine.block_on(async {
            let mut answer = engine.sql_with(&sql, params).await?;
            while let Some(batch) = answer.next().await? {
                let mut rows = Exporter::new(ExportFormat::JsonLines, source, &batch.schema(), About::default())?;
                for at in 0..batch.num_rows() {
                    let one = batch.slice(at, 1);
                    let text = rows.batch(&one)?;
                    let row: Map<String, Value> = serde_json::from_slice(&text)?;
                    let id = row.get("record_id").and_then(Value::as_str).unwrap_or_default();
                    let strength = strength(&row);
                    if strength < options.threshold.min_strength || !is_new(id) || is_dismissed(&said, id) {
                        continue;
                    }
                    if taken.insert(id.to_owned()) {
                        found.push(Entry { id: id.to_owned(), payload: payload(options, source, text, &row, &one)? });
                    }
                    if found.len() >= MOST {
                        return Ok::<_, AlertError>(true);
                    }
                }
            }
            Ok(false)
        })?;
        if full {
            break;
        }
    }
    Ok(found)
}

/// Was it said that this record is no matter?
fn is_dismissed(said: &Overlay, id: &str) -> bool {
    let mark = parse_record(id).ok().and_then(|id| said.mark(id));
    mark.is_some_and(|mark| mark.is_in(Show::Ruled) || matches!(mark.verdict, Some((_, Severity::Low))))
}

/// A row in the form that is asked for; `text` is its line of JSON.
fn payload(
    options: &ForwardOptions,
    source: Source,
    text: Vec<u8>,
    row: &Map<String, Value>,
    one: &RecordBatch,
) -> Result<Vec<u8>, AlertError> {
    let export = |format| -> Result<Vec<u8>, AlertError> {
        Ok(trimmed(Exporter::new(format, source, &one.schema(), About::default())?.batch(one)?))
    };
    match options.form {
        Form::Json => Ok(trimmed(text)),
        Form::Avro => Ok(avro::messages(What::Alerts, source.table(), options.schema_id(source.table()), one)?
            .pop()
            .unwrap_or_default()),
        Form::Cef => Ok(cef::line(source.as_str(), name(row), severity(strength(row)), row).into_bytes()),
        Form::Ecs => export(ExportFormat::Ecs),
        Form::Ocsf => export(ExportFormat::Ocsf),
        Form::Odm => export(ExportFormat::Odm),
    }
}

fn trimmed(mut line: Vec<u8>) -> Vec<u8> {
    while line.last() == Some(&b'\n') {
        line.pop();
    }
    line
}

fn fired(row: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    row.get("detectors").and_then(Value::as_array).into_iter().flatten()
}

fn strength(row: &Map<String, Value>) -> f64 {
    fired(row).filter_map(|d| d.get("strength")?.as_f64()).fold(0.0, f64::max)
}

/// The strongest detector.
fn name(row: &Map<String, Value>) -> &str {
    fired(row).find_map(|d| d.get("name")?.as_str()).unwrap_or("suspicious record")
}

/// CEF's 0 to 10 of a strength: 3 at one case a day by chance, 10 at one in ten million days.
fn severity(strength: f64) -> u8 {
    (strength + 3.0).clamp(0.0, 10.0).round() as u8
}
