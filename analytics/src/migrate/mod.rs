//! From Apache Spot: what of an installation is taken over, into what, and what has no counterpart.
//!
//! [`look`] walks folders and files and changes nothing: settings (`spot.conf`, `ingest_conf.json`), context files, Hive's tables as
//! Parquet, feedback files. Settings become the text of a configuration ([`Found::config`]); records go the way of every import, and
//! verdicts that of every file of verdicts, so that doing it twice adds nothing.
//!
//! Promises: links are not followed, at most [`MAX_FILES`] files are looked at; what is not known is listed, with its path.

mod conf;
mod tables;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aggregator::import::spot_table;
use aggregator::lake::Lake;
use aggregator::record::Micros;

use crate::context::Kind;
use crate::feedback::FeedbackError;
use crate::feedback::exchange::{self, Imported};

pub use conf::Setting;
pub use tables::Threats;

/// Files that are looked at.
pub const MAX_FILES: usize = 1_000_000;
/// Bytes of a file of settings.
const MAX_CONF: u64 = 4 << 20;
/// Verdicts taken at once.
const AT_ONCE: usize = 50_000;

/// Why it cannot be gone on.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is not what its name says.
    #[error("{}: {reason}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// More files than are looked at.
    #[error("more than {MAX_FILES} files: name the folders of Spot's tables one by one")]
    TooMany,
    /// Verdicts.
    #[error(transparent)]
    Feedback(#[from] FeedbackError),
}

/// Files and rows of one table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Extent {
    /// Files.
    pub files: u64,
    /// Rows, by their footers.
    pub rows: u64,
}

impl Extent {
    fn add(&mut self, rows: u64) {
        self.files += 1;
        self.rows += rows;
    }
}

/// What has no counterpart, and why.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Left {
    /// A key, a table, or a file.
    pub what: String,
    /// Why, and what there is instead.
    pub why: String,
}

/// What was found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Found {
    /// Settings that have a counterpart.
    pub settings: Vec<Setting>,
    /// Context files, with their kind.
    pub context: Vec<(Kind, PathBuf)>,
    /// The raw tables: `flow`, `dns`, `proxy`.
    pub tables: BTreeMap<&'static str, Extent>,
    /// Their files.
    #[serde(skip)]
    pub records: Vec<PathBuf>,
    /// Feedback files.
    pub feedback: Vec<PathBuf>,
    /// The tables of what analysts scored.
    pub threats: BTreeMap<&'static str, Extent>,
    /// Their files.
    #[serde(skip)]
    pub threat_files: Vec<(Threats, PathBuf)>,
    /// What has no counterpart.
    pub left: Vec<Left>,
    /// Files of no known kind.
    pub unknown: Vec<PathBuf>,
}

/// Looks at files and folders. Nothing is changed.
///
/// # Errors
/// A path that cannot be read; a file of settings that is none.
pub fn look(paths: &[PathBuf]) -> Result<Found, MigrateError> {
    let (mut found, mut count) = (Found::default(), 0);
    let mut others: BTreeMap<&'static str, Extent> = BTreeMap::new();
    let mut left: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    while let Some(path) = left.pop() {
        let wrong = |source| MigrateError::Io { path: path.clone(), source };
        let meta = fs::symlink_metadata(&path).map_err(wrong)?;
        // What was named is followed; what lies below it is not.
        let meta = if meta.is_symlink() && paths.contains(&path) { fs::metadata(&path).map_err(wrong)? } else { meta };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if meta.is_dir() {
            let mut below = fs::read_dir(&path)
                .map_err(wrong)?
                .map(|e| e.map(|e| e.path()))
                .collect::<io::Result<Vec<_>>>()
                .map_err(wrong)?;
            below.sort_unstable_by(|a, b| b.cmp(a));
            left.extend(below);
            continue;
        }
        // Marks of Hadoop: _SUCCESS, _metadata, .part.crc.
        if !meta.is_file() || name.starts_with(['.', '_']) || meta.len() == 0 {
            continue;
        }
        count += 1;
        if count > MAX_FILES {
            return Err(MigrateError::TooMany);
        }
        file(&path, &name, &mut found, &mut others)?;
    }
    for (table, extent) in others {
        let Extent { files, rows } = extent;
        let why = tables::why_left(table).to_owned();
        found.left.push(Left { what: format!("table {table} ({files} files, {rows} rows)"), why });
    }
    Ok(found)
}

fn file(
    path: &Path,
    name: &str,
    found: &mut Found,
    others: &mut BTreeMap<&'static str, Extent>,
) -> Result<(), MigrateError> {
    match name {
        "spot.conf" => conf::spot_conf(&text(path)?, found),
        "ingest_conf.json" => {
            let wrong = |reason| MigrateError::File { path: path.to_owned(), reason };
            conf::ingest_conf(&text(path)?, found).map_err(wrong)?;
        }
        "engine.json" | "iana_config.json" | "nc_config.json" | "reputation_config.json" => {
            found.left.push(Left { what: name.to_owned(), why: conf::why_file_left(name).to_owned() });
        }
        _ if is_feedback(path) => found.feedback.push(path.to_owned()),
        _ if starts_with(path, b"PAR1") => parquet(path, found, others)?,
        _ => match Kind::of_name(name) {
            Some(kind) => found.context.push((kind, path.to_owned())),
            None => found.unknown.push(path.to_owned()),
        },
    }
    Ok(())
}

fn parquet(path: &Path, found: &mut Found, others: &mut BTreeMap<&'static str, Extent>) -> Result<(), MigrateError> {
    if let Ok((table, rows)) = spot_table(path) {
        found.tables.entry(table).or_default().add(rows);
        found.records.push(path.to_owned());
        return Ok(());
    }
    let wrong = |reason| MigrateError::File { path: path.to_owned(), reason };
    match tables::of(path).map_err(wrong)? {
        (tables::Table::Threats(threats), rows) => {
            found.threats.entry(threats.as_str()).or_default().add(rows);
            found.threat_files.push((threats, path.to_owned()));
        }
        (tables::Table::Other(name), rows) => others.entry(name).or_default().add(rows),
        (tables::Table::Unknown, _) => found.unknown.push(path.to_owned()),
    }
    Ok(())
}

fn starts_with(path: &Path, magic: &[u8]) -> bool {
    let mut start = vec![0; magic.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == magic
}

/// Told by the name, and by what it begins with: the name alone is that of the folder's other files, too.
fn is_feedback(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == "csv")
        && [
            "sev,tstart",
            "sev\ttstart",
            "frame_time,frame_len",
            "frame_time\tframe_len",
            "p_date,p_time",
            "p_date\tp_time",
        ]
        .iter()
        .any(|start| starts_with(path, start.as_bytes()))
}

fn text(path: &Path) -> Result<String, MigrateError> {
    let wrong = |source| MigrateError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).map_err(wrong)?.take(MAX_CONF).read_to_string(&mut text).map_err(wrong)?;
    Ok(text)
}

impl Found {
    /// Nothing of Apache Spot's is among what was given.
    pub fn is_nothing(&self) -> bool {
        let Self { settings, context, tables, feedback, threats, left, .. } = self;
        settings.is_empty()
            && context.is_empty()
            && tables.is_empty()
            && feedback.is_empty()
            && threats.is_empty()
            && left.is_empty()
    }

    /// The configuration: what was found, all else at its default.
    pub fn config(&self) -> String {
        conf::to_toml(&self.settings)
    }

    /// Takes the verdicts: feedback files, and the tables of what analysts scored.
    ///
    /// # Errors
    /// A file cannot be read; the state database. What was taken before stays.
    pub fn take_verdicts(&self, lake: &Lake, author: &str, now: Micros) -> Result<Imported, MigrateError> {
        let mut sum = Imported::default();
        let mut add = |done: Imported| {
            sum.added += done.added;
            sum.known += done.known;
            sum.ended += done.ended;
            sum.rejections += done.rejections;
            sum.rejected.extend(done.rejected);
            sum.rejected.truncate(100);
        };
        for path in &self.feedback {
            let bytes = fs::read(path).map_err(|source| MigrateError::Io { path: path.clone(), source })?;
            add(exchange::import(lake, &bytes, author, now)?);
        }
        for (threats, path) in &self.threat_files {
            let wrong = |reason| MigrateError::File { path: path.clone(), reason };
            let items = threats.read(path).map_err(wrong)?;
            for some in items.chunks(AT_ONCE) {
                let json = serde_json::to_vec(some)
                    .map_err(|e| MigrateError::File { path: path.clone(), reason: e.to_string() })?;
                add(exchange::import(lake, &json, author, now)?);
            }
        }
        Ok(sum)
    }
}
