//! Verdicts as files: JSON and CSV of ours, there and back; and Apache Spot's feedback files.
//!
//! A verdict is exported with what it reaches, so that it means the same in another lake. Importing a file twice adds nothing. What cannot be read is
//! rejected line by line with its reason; the rest is taken.

use aggregator::lake::{Day, Lake, Source};
use aggregator::record::{Micros, RecordId};
use aggregator::state::verdicts::{Ended, Logged, NewVerdict, Severity, Subject};

use super::draft::hexadecimal;
use super::{Draft, FeedbackError, Matcher, Reach, Scope, spot_csv};

/// Bytes a file may have.
pub const MAX_BYTES: usize = 64 << 20;
/// Verdicts a file may have.
pub const MAX_ITEMS: usize = 100_000;

/// A verdict as it stands in a file.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Number in the lake it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// flow, dns or proxy.
    pub source: String,
    /// 1 high, 2 medium, 3 low.
    pub severity: i64,
    /// How far it reaches, in a word; `pattern` where a matcher stands, else `group`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The record, 32 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_id: Option<String>,
    /// The record's day, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// What it reaches, for scope `pattern`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matcher: Option<Matcher>,
    /// What it reaches, resolved: of an exported verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// Who said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Until when, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `in_force`, `expired`, `superseded`, `taken_back`; only what is in force is imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The columns of the CSV, in order: the fields of an [`Item`], matcher and reach as JSON.
const COLUMNS: [&str; 13] = [
    "id",
    "source",
    "severity",
    "scope",
    "record_id",
    "date",
    "matcher",
    "reach",
    "author",
    "time",
    "note",
    "expires",
    "state",
];

/// How verdicts are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileFormat {
    /// A JSON array.
    Json,
    /// CSV with a header.
    Csv,
}

/// What an import did.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct Imported {
    /// Verdicts added.
    pub added: u64,
    /// In force already, said by the same author at the same time.
    pub known: u64,
    /// Not in force where they came from.
    pub ended: u64,
    /// Not taken: line or number of the item, and why; the first thousand.
    pub rejected: Vec<(u64, String)>,
    /// All that were not taken.
    pub rejections: u64,
}

impl Imported {
    /// Rejections told one by one.
    const TOLD: usize = 1000;

    fn reject(&mut self, at: u64, why: String) {
        self.rejections += 1;
        if self.rejected.len() < Self::TOLD {
            self.rejected.push((at, why));
        }
    }
}

/// A verdict of the log as it is written.
pub fn item(logged: &Logged) -> Item {
    let verdict = &logged.verdict.verdict;
    let state = match &logged.ended {
        Ended::InForce => "in_force",
        Ended::Expired => "expired",
        Ended::Superseded(_) => "superseded",
        Ended::TakenBack { .. } => "taken_back",
    };
    let record = match verdict.subject {
        Subject::Record(record) => Some(record),
        Subject::Rule(_) | Subject::Pattern => None,
    };
    Item {
        id: Some(logged.verdict.id),
        source: verdict.source.as_str().to_owned(),
        severity: verdict.severity as i64,
        scope: Some(verdict.scope.clone()),
        record_id: record.map(hexadecimal),
        date: None,
        matcher: None,
        reach: verdict.reach.as_deref().and_then(|json| Reach::read(json).ok()),
        author: Some(verdict.author.clone()),
        time: Some(moment(verdict.time)),
        note: verdict.note.clone(),
        expires: verdict.expires.map(moment),
        state: Some(state.to_owned()),
    }
}

/// Writes verdicts.
///
/// # Errors
/// The writer's.
pub fn write(items: &[Item], format: FileFormat, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    match format {
        FileFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, items)?;
            writeln!(out)
        }
        FileFormat::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(COLUMNS)?;
            for item in items {
                let json = |value: Option<String>| value.unwrap_or_default();
                csv.write_record([
                    item.id.map(|id| id.to_string()).unwrap_or_default(),
                    item.source.clone(),
                    item.severity.to_string(),
                    item.scope.clone().unwrap_or_default(),
                    item.record_id.clone().unwrap_or_default(),
                    item.date.clone().unwrap_or_default(),
                    json(item.matcher.as_ref().map(Matcher::to_json)),
                    json(item.reach.as_ref().map(Reach::to_json)),
                    item.author.clone().unwrap_or_default(),
                    item.time.clone().unwrap_or_default(),
                    item.note.clone().unwrap_or_default(),
                    item.expires.clone().unwrap_or_default(),
                    item.state.clone().unwrap_or_default(),
                ])?;
            }
            csv.flush()
        }
    }
}

/// Reads a file of verdicts into the lake's state: JSON, CSV, or Spot's feedback, told by its first bytes.
///
/// # Errors
/// It is none of them, or past a bound; the state database. Items that cannot be taken are no error: [`Imported::rejected`].
pub fn import(lake: &Lake, bytes: &[u8], author: &str, now: Micros) -> Result<Imported, FeedbackError> {
    if bytes.len() > MAX_BYTES {
        return Err(FeedbackError::File(format!("the file has {} bytes, {MAX_BYTES} are allowed", bytes.len())));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| FeedbackError::File(format!("not UTF-8 text at byte {}", error.valid_up_to())))?;
    let text = text.trim_start_matches('\u{feff}');
    let read = if text.trim_start().starts_with('[') { read_json(text)? } else { read_csv(text)? };
    if read.len() > MAX_ITEMS {
        return Err(FeedbackError::File(format!("the file has {} verdicts, {MAX_ITEMS} are allowed", read.len())));
    }
    let mut outcome = Imported::default();
    let mut known: Vec<NewVerdict> = Vec::new();
    for source in Source::ALL {
        known.extend(lake.state().verdicts(source, now)?.into_iter().map(|verdict| verdict.verdict));
    }
    let key = |v: &NewVerdict| {
        let record = match v.subject {
            Subject::Record(record) => Some(record),
            Subject::Rule(_) | Subject::Pattern => None,
        };
        (v.source.as_str(), record, v.reach.clone(), v.severity as i64, v.author.clone(), v.note.clone())
    };
    let mut keys: std::collections::HashSet<_> = known.iter().map(key).collect();
    let mut new = Vec::new();
    for (at, item) in read {
        let verdict = item.and_then(|item| match item.state.as_deref() {
            None | Some("in_force" | "") => verdict(lake, &item, author, now).map(Some),
            Some(_) => Ok(None),
        });
        match verdict {
            Ok(None) => outcome.ended += 1,
            Ok(Some(verdict)) if !keys.insert(key(&verdict)) => outcome.known += 1,
            Ok(Some(verdict)) => new.push(verdict),
            Err(why) => outcome.reject(at, why),
        }
    }
    outcome.added = lake.state().append_verdicts(&new)?.len() as u64;
    Ok(outcome)
}

type Read = Vec<(u64, Result<Item, String>)>;

fn read_json(text: &str) -> Result<Read, FeedbackError> {
    let values: Vec<serde_json::Value> = serde_json::from_str(text)
        .map_err(|error| FeedbackError::File(format!("a JSON array of verdicts is expected: {error}")))?;
    let item = |value| serde_json::from_value::<Item>(value).map_err(|error| error.to_string());
    Ok((1..).zip(values.into_iter().map(item)).collect())
}

fn read_csv(text: &str) -> Result<Read, FeedbackError> {
    let header = text.lines().next().unwrap_or_default();
    if let Some(spot) = spot_csv::Layout::of(header) {
        return Ok(spot.read(text));
    }
    let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let names: Vec<String> =
        csv.headers().map_err(|error| FeedbackError::File(error.to_string()))?.iter().map(str::to_owned).collect();
    if !["source", "severity"].iter().all(|needed| names.iter().any(|name| name == needed)) {
        return Err(FeedbackError::File(format!(
            "no file of verdicts: a JSON array, CSV with the columns {}, or Spot's ml_feedback.csv is expected",
            COLUMNS.join(",")
        )));
    }
    if let Some(name) = names.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
        return Err(FeedbackError::File(format!("there is no column {name:?}: {}", COLUMNS.join(","))));
    }
    Ok(csv
        .records()
        .zip(2..)
        .map(|(record, line)| {
            let item = record.map_err(|error| error.to_string()).and_then(|record| of_record(&names, &record));
            (line, item)
        })
        .collect())
}

fn of_record(names: &[String], record: &csv::StringRecord) -> Result<Item, String> {
    if record.len() != names.len() {
        return Err(format!("{} fields, the header has {}", record.len(), names.len()));
    }
    let mut item = Item::default();
    for (name, text) in names.iter().zip(record).filter(|(_, text)| !text.is_empty()) {
        let owned = || Some(text.to_owned());
        match name.as_str() {
            "id" => item.id = text.parse().ok(),
            "source" => item.source = text.to_owned(),
            "severity" => item.severity = text.parse().map_err(|_| format!("severity {text:?}: 1, 2 or 3"))?,
            "scope" => item.scope = owned(),
            "record_id" => item.record_id = owned(),
            "date" => item.date = owned(),
            "matcher" => item.matcher = Some(Matcher::read(text).map_err(|error| error.to_string())?),
            "reach" => item.reach = Some(Reach::read(text).map_err(|error| error.to_string())?),
            "author" => item.author = owned(),
            "time" => item.time = owned(),
            "note" => item.note = owned(),
            "expires" => item.expires = owned(),
            "state" => item.state = owned(),
            _ => {}
        }
    }
    Ok(item)
}

fn verdict(lake: &Lake, item: &Item, author: &str, now: Micros) -> Result<NewVerdict, String> {
    let source: Source = item.source.parse()?;
    let severity = Severity::of(item.severity).ok_or_else(|| format!("severity {}: 1, 2 or 3", item.severity))?;
    let record = item.record_id.as_deref().map(parse_record).transpose()?;
    let author = item.author.as_deref().filter(|author| !author.is_empty()).unwrap_or(author);
    let time = item.time.as_deref().map(parse_moment).transpose()?.unwrap_or(now);
    let expires = item.expires.as_deref().map(parse_moment).transpose()?;
    if let Some(reach) = &item.reach {
        for matcher in reach.of.iter().chain(&reach.resembling) {
            matcher.check(source).map_err(|error| error.to_string())?;
        }
        let subject = match (record, &reach.of) {
            (Some(record), _) => Subject::Record(record),
            (None, Some(_)) => Subject::Pattern,
            (None, None) => return Err("it is about no record and no pattern".to_owned()),
        };
        return Ok(NewVerdict {
            source,
            subject,
            reach: Some(reach.to_json()),
            severity,
            scope: item.scope.clone().unwrap_or_else(|| Scope::Pattern.as_str().to_owned()),
            author: author.to_owned(),
            time,
            note: item.note.clone(),
            expires,
            supersedes: None,
        });
    }
    let scope = match item.scope.as_deref() {
        Some(scope) => scope.parse()?,
        None if item.matcher.is_some() => Scope::Pattern,
        None => Scope::Group,
    };
    let date = item.date.as_deref().map(str::parse::<Day>).transpose()?;
    let draft = Draft {
        source,
        record,
        date,
        scope,
        matcher: item.matcher.clone(),
        severity,
        note: item.note.clone(),
        expires,
        supersedes: None,
    };
    let resolved = draft.resolve(lake, author, now).map_err(|error| error.to_string())?;
    Ok(NewVerdict { time, ..resolved })
}

/// A moment as it stands in a file: RFC 3339 in UTC.
pub fn moment(time: Micros) -> String {
    chrono::DateTime::<chrono::Utc>::from_timestamp_micros(time.0)
        .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
        .unwrap_or_default()
}

/// A moment as RFC 3339 has it.
fn parse_moment(text: &str) -> Result<Micros, String> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|at| Micros(at.timestamp_micros()))
        .map_err(|_| format!("{text:?} is no moment: write 2026-11-22T10:15:00Z"))
}

/// 32 hexadecimal digits.
///
/// # Errors
/// They are none.
pub fn parse_record(text: &str) -> Result<RecordId, String> {
    let mut id = [0; 16];
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{text:?} is no record_id: 32 hexadecimal digits"));
    }
    for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or_default();
    }
    Ok(RecordId(id))
}
