//! Detectors as files that users share: SQL over the lake's tables, and Sigma.
//!
//! A file becomes one statement ([`RuleFile`]) that gives the records of a day it is about; it runs through the engine with its guard and limits, so a
//! rule can only read. What it finds stands among a record's detectors under the rule's title. Whatever of Sigma has no meaning here is an error that
//! names the line; nothing is skipped in silence.

mod condition;
mod fields;
pub mod sigma;
mod sql_file;

use std::path::Path;

use aggregator::lake::{Day, Source};
use aggregator::record::RecordId;

use crate::sql::{Engine, Param, QueryError, RowLimits};

/// Bytes a rule file may have.
pub const MAX_BYTES: usize = 256 << 10;
/// Records of a day that a rule may name.
pub const MAX_MATCHES: u64 = 1_000_000;
/// Files of a folder.
const MAX_FILES: usize = 1000;

/// What is wrong with a rule file, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RuleError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, or not supported.
    pub what: String,
}

/// How sure a rule is of itself, in Sigma's words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Informational,
    /// Rarely an incident.
    Low,
    /// Often an incident.
    Medium,
    /// To be looked at at once.
    High,
    /// An incident.
    Critical,
}

impl Level {
    /// Its strength among the detectors: −log10 of the cases as strong that a day is taken to have by chance.
    pub const fn strength(self) -> f64 {
        match self {
            Self::Informational => -1.0,
            Self::Low => 0.0,
            Self::Medium => 1.0,
            Self::High => 2.0,
            Self::Critical => 4.0,
        }
    }

    fn read(text: &str) -> Option<Self> {
        match text.trim().to_lowercase().as_str() {
            "informational" => Some(Self::Informational),
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "critical" => Some(Self::Critical),
            _ => None,
        }
    }
}

/// A rule, ready to be asked of a day.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleFile {
    /// What it is called, as it stands among a record's detectors.
    pub title: String,
    /// Which records it is about.
    pub source: Source,
    /// How sure it is.
    pub level: Level,
    /// The statement: gives `record_id`, and maybe `evidence`; `$1` is the day.
    pub sql: String,
    /// Values of `$2` and on.
    pub params: Vec<Param>,
}

impl RuleFile {
    /// Reads a file: Sigma by `.yml` or `.yaml`, SQL by `.sql`.
    ///
    /// # Errors
    /// What is wrong with it, and on which line.
    pub fn read(name: &str, text: &str) -> Result<Self, RuleError> {
        let wrong = |what: String| RuleError { line: 1, what };
        if text.len() > MAX_BYTES {
            return Err(wrong(format!("{} bytes, {MAX_BYTES} are allowed", text.len())));
        }
        match Path::new(name).extension().and_then(|extension| extension.to_str()) {
            Some("yml" | "yaml") => sigma::read(text),
            Some("sql") => sql_file::read(name, text),
            _ => Err(wrong("a rule file ends in .yml, .yaml (Sigma) or .sql".to_owned())),
        }
    }

    /// The records of a day it is about, each with its evidence.
    ///
    /// # Errors
    /// The query; more records than [`MAX_MATCHES`].
    pub async fn matches(&self, engine: &Engine, date: Day) -> Result<Vec<(RecordId, String)>, QueryError> {
        let mut params: Vec<Param> = vec![date.to_string().into()];
        params.extend(self.params.iter().cloned());
        let limits = RowLimits { max_rows: Some(MAX_MATCHES), timeout: engine.limits().timeout };
        let rows = engine.query_rows(&self.sql, params, limits).await?;
        if rows.truncated {
            return Err(QueryError::Run(format!("{}: more than {MAX_MATCHES} records of {date}", self.title)));
        }
        let wrong = || QueryError::Run(format!("{}: its column record_id must be that of the table", self.title));
        rows.rows
            .iter()
            .map(|row| {
                let id = row.get("record_id").and_then(|id| id.as_str()).ok_or_else(wrong)?;
                let id = crate::feedback::exchange::parse_record(id).map_err(|_| wrong())?;
                let evidence = row.get("evidence").and_then(|text| text.as_str()).unwrap_or("matches the rule");
                Ok((id, evidence.chars().take(500).collect()))
            })
            .collect()
    }
}

/// A file of a folder, or why it is none.
#[derive(Clone, PartialEq, Debug)]
pub struct Read {
    /// Its name.
    pub name: String,
    /// The rule.
    pub rule: Result<RuleFile, RuleError>,
}

/// Reads the rule files of a folder, by name; others are passed over.
///
/// # Errors
/// The folder cannot be read, or has more files than are read.
pub fn read_folder(folder: &Path) -> std::io::Result<Vec<Read>> {
    let mut names: Vec<std::path::PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_rule = path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "yml" | "yaml" | "sql"));
        if is_rule && path.is_file() {
            names.push(path);
        }
        if names.len() > MAX_FILES {
            return Err(std::io::Error::other(format!("{}: more than {MAX_FILES} rule files", folder.display())));
        }
    }
    names.sort();
    names.iter().map(|path| read_file(path)).collect()
}

/// Reads one rule file.
///
/// # Errors
/// It cannot be read from the disk.
pub fn read_file(path: &Path) -> std::io::Result<Read> {
    use std::io::Read as _;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    let rule = match String::from_utf8(bytes) {
        Ok(text) => RuleFile::read(&name, &text),
        Err(_) => Err(RuleError { line: 1, what: "not UTF-8 text".to_owned() }),
    };
    Ok(Read { name, rule })
}
