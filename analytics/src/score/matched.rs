//! What rule files and another model say of a day's records: found by SQL before the ranking, looked up by record while it goes.

use std::collections::BTreeMap;

use aggregator::lake::Lake;
use hashbrown::HashMap;

use super::ScoreError;
use super::beside::{Beside, Found};
use super::request::{Ranking, ScoreRequest};
use crate::sql::{Engine, EngineLimits};

/// Records that rule files are about.
#[derive(Debug, Default)]
pub(super) struct Matched {
    /// Title and strength of each rule.
    rules: Vec<(String, f64)>,
    by_record: HashMap<[u8; 16], Vec<(u32, String)>>,
    /// Records each rule is about, by title.
    pub(super) counts: BTreeMap<String, u64>,
    /// Rules that could not be asked, and why.
    pub(super) errors: BTreeMap<String, String>,
    /// Another model's results.
    pub(super) beside: Found,
}

impl Matched {
    /// Asks the rules of the request's source, where they rank, and looks for the other model's rows. A rule that fails is told and left out: it must
    /// not stop a run.
    pub(super) fn of(lake: &Lake, request: &ScoreRequest) -> Result<Self, ScoreError> {
        let mut this = Self::default();
        let is_wanted = |source| request.ranking == Ranking::Fused && source == request.source;
        let wanted: Vec<_> = request.rules.iter().filter(|rule| is_wanted(rule.source)).collect();
        if wanted.is_empty() && request.beside.is_none() {
            return Ok(this);
        }
        let limits = EngineLimits { threads: request.threads.unwrap_or(1), ..EngineLimits::default() };
        let engine = Engine::open(lake.clone(), limits).map_err(|error| ScoreError::Rules(error.to_string()))?;
        for rule in wanted {
            match engine.block_on(rule.matches(&engine, request.date)) {
                Ok(found) => {
                    let number = this.rules.len() as u32;
                    // A rule that is about many records says little of each: past a thousand, less by as much.
                    let noise = (found.len() as f64 / 1000.0).max(1.0).log10();
                    this.rules.push((rule.title.clone(), rule.level.strength() - noise));
                    *this.counts.entry(rule.title.clone()).or_insert(0) += found.len() as u64;
                    for (record, evidence) in found {
                        this.by_record.entry(record.0).or_default().push((number, evidence));
                    }
                }
                Err(error) => {
                    tracing::warn!(rule = %rule.title, %error, "rule left out");
                    this.errors.insert(rule.title.clone(), error.to_string());
                }
            }
        }
        if let Some(beside) = &request.beside {
            this.beside = this.find(&engine, beside, request)?;
        }
        Ok(this)
    }

    fn find(&self, engine: &Engine, beside: &Beside, request: &ScoreRequest) -> Result<Found, ScoreError> {
        let wrong = |found: &str| ScoreError::Beside(format!("{}: {found}", beside.name));
        if beside.source != request.source {
            return Err(wrong(&format!("it is of {} records", beside.source.as_str())));
        }
        let found = engine.block_on(beside.find(engine, request.date)).map_err(|error| wrong(&error.to_string()))?;
        if found.rows == 0 {
            let (rows, source, date) = (beside.rows, request.source.as_str(), request.date);
            return Err(wrong(&format!(
                "none of its {rows} rows is a {source} record of {date} (times are read as UTC)"
            )));
        }
        Ok(found)
    }

    /// ln E of each rule that is about a record.
    pub(super) fn expected(&self, record: &[u8; 16]) -> impl Iterator<Item = f64> {
        self.said(record).map(|(_, strength, _)| -strength * std::f64::consts::LN_10)
    }

    /// Title, strength and evidence of each rule that is about a record.
    pub(super) fn said(&self, record: &[u8; 16]) -> impl Iterator<Item = (&str, f64, &str)> {
        let said = self.by_record.get(record).map_or(&[][..], Vec::as_slice);
        said.iter().filter_map(|(number, evidence)| {
            let (title, strength) = self.rules.get(*number as usize)?;
            Some((title.as_str(), *strength, evidence.as_str()))
        })
    }
}
