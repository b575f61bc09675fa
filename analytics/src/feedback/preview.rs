//! What a verdict or rule would reach, before it is saved.

use aggregator::lake::{Day, Lake, Source, Table};
use aggregator::record::{Micros, RecordId};
use aggregator::state::verdicts::{NewVerdict, Subject};
use arrow::array::{Array, UInt32Array, UInt64Array};
use hashbrown::HashSet;

use super::matcher::Pattern;
use super::{FeedbackError, Matcher, Reach, overlay, rows};
use crate::score::parts;
use crate::sql::{Engine, Param, QueryError, RowLimits};

/// Records of a sample at most.
pub const SAMPLE: usize = 20;

/// Something that is not saved yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Target {
    /// Kind of record.
    pub source: Source,
    /// The record it is about.
    pub record: Option<RecordId>,
    /// What else it reaches.
    pub reach: Reach,
}

/// What of the lists it would reach.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize)]
pub struct Listed {
    /// Rows of the day's list.
    pub rows: u64,
    /// Groups they form.
    pub groups: u64,
    /// Records of the whole day in those groups: a list keeps only a few of each.
    pub group_records: u64,
    /// Rows among them that have a verdict already.
    pub rated: u64,
    /// Best place among them, 1 = most suspicious.
    pub best_rank: Option<u32>,
    /// Rows of the lists of all days that are scored.
    pub rows_of_all_days: u64,
    /// How many days they are on.
    pub days: u64,
    /// Records of the day's list, the most suspicious first, [`SAMPLE`] at most, in hexadecimal.
    pub sample: Vec<String>,
}

/// What of a day's records it would reach, whether listed or not.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Records {
    /// Records it takes.
    pub records: u64,
    /// Hosts they are of.
    pub hosts: u64,
    /// Records of the day.
    pub records_of_day: u64,
}

impl Target {
    /// Of a verdict that was resolved.
    ///
    /// # Errors
    /// Its reach cannot be read.
    pub fn of_verdict(verdict: &NewVerdict) -> Result<Self, FeedbackError> {
        let record = match verdict.subject {
            Subject::Record(record) => Some(record),
            Subject::Rule(_) | Subject::Pattern => None,
        };
        let reach = verdict.reach.as_deref().map(Reach::read).transpose()?.unwrap_or_default();
        Ok(Self { source: verdict.source, record, reach })
    }

    /// Of a rule.
    pub fn of_rule(source: Source, matcher: Matcher) -> Self {
        Self { source, record: None, reach: Reach { of: Some(matcher), ..Reach::default() } }
    }

    fn patterns(&self) -> Result<Vec<Pattern>, FeedbackError> {
        let record = self.record.map(|record| Pattern { record: Some(record.0), ..Pattern::default() });
        let of = self.reach.of.as_ref().map(Matcher::pattern).transpose()?;
        Ok(record.into_iter().chain(of).collect())
    }

    /// Looks through the current lists.
    ///
    /// # Errors
    /// A matcher that is none; lists that cannot be read.
    pub fn listed(&self, lake: &Lake, date: Option<Day>, now: Micros) -> Result<Listed, FeedbackError> {
        let patterns = self.patterns()?;
        let mut listed = Listed::default();
        let mut columns = rows::columns(self.source).to_vec();
        columns.extend(["group_id", "group_size", "fused_rank"]);
        let runs = lake.state().runs(Some(self.source))?;
        let parts = lake.parts(Table::Scores(self.source), None)?;
        let mut groups: HashSet<u64> = HashSet::new();
        let mut sample: Vec<(u32, RecordId)> = Vec::new();
        for run in runs.iter().filter(|run| run.current) {
            let mut of_run = 0_u64;
            let is_day = date == Some(run.date);
            for part in parts.iter().filter(|part| part.run.as_deref() == Some(run.run_id.as_str())) {
                parts::read(part, &columns, None, &mut |_, batch| {
                    let group: &UInt64Array = parts::column(batch, "group_id")?;
                    let (size, rank): (&UInt32Array, &UInt32Array) =
                        (parts::column(batch, "group_size")?, parts::column(batch, "fused_rank")?);
                    for (at, seen) in rows::seen(self.source, batch)?.iter().enumerate() {
                        let group_id = || if group.is_null(at) { 0 } else { group.value(at) };
                        if !patterns.iter().any(|pattern| pattern.takes(seen, &group_id)) {
                            continue;
                        }
                        of_run += 1;
                        if is_day {
                            if groups.insert(group_id()) {
                                listed.group_records += u64::from(size.value(at));
                            }
                            sample.push((rank.value(at), RecordId(seen.record_id)));
                        }
                    }
                    Ok(())
                })?;
            }
            listed.rows_of_all_days += of_run;
            listed.days += u64::from(of_run > 0);
            if is_day && of_run > 0 {
                let marks = overlay(lake, self.source, &run.run_id, now)?;
                let rated = |(_, id): &&(u32, RecordId)| marks.mark(*id).is_some_and(|mark| mark.verdict.is_some());
                listed.rated = sample.iter().filter(rated).count() as u64;
            }
        }
        sample.sort_unstable_by_key(|(rank, id)| (*rank, id.0));
        listed.rows = sample.len() as u64;
        listed.groups = groups.len() as u64;
        listed.best_rank = sample.first().map(|(rank, _)| *rank);
        listed.sample = sample.iter().take(SAMPLE).map(|(_, id)| super::draft::hexadecimal(*id)).collect();
        Ok(listed)
    }

    /// Counts a day's records. `None` where the records alone do not say (groups are of scores): then [`Listed::group_records`] does.
    ///
    /// # Errors
    /// A matcher that is none; the query.
    pub async fn records(&self, engine: &Engine, date: Day) -> Result<Option<Records>, RecordsError> {
        let mut conditions: Vec<String> = Vec::new();
        let mut params: Vec<Param> = vec![date.to_string().into()];
        for pattern in self.patterns()? {
            let Some((sql, values)) = pattern.condition(self.source, params.len() + 1) else { return Ok(None) };
            conditions.push(format!("({sql})"));
            params.extend(values);
        }
        if conditions.is_empty() {
            return Ok(None);
        }
        let host = if matches!(self.source, Source::Flow) { "src_ip" } else { "client_ip" };
        let takes = conditions.join(" OR ");
        let sql = format!(
            "SELECT count(*) FILTER (WHERE {takes}) AS records, count(DISTINCT CASE WHEN {takes} THEN {host} END) AS hosts, \
             count(*) AS records_of_day FROM {} WHERE date = $1",
            self.source.as_str()
        );
        let mut rows = engine.query_rows(&sql, params, RowLimits { max_rows: Some(1), ..RowLimits::default() }).await?;
        let row = rows.rows.pop().map(serde_json::Value::Object).unwrap_or_default();
        Ok(Some(serde_json::from_value(row).map_err(|error| QueryError::Run(error.to_string()))?))
    }
}

/// Why a day's records are not counted.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The matcher.
    #[error(transparent)]
    Feedback(#[from] FeedbackError),
    /// The query.
    #[error(transparent)]
    Query(#[from] QueryError),
}
