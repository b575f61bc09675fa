//! Verdicts and rules laid over a list that was ranked before they were given: they act at once, without a new run.

use std::collections::BTreeMap;

use aggregator::lake::{Lake, Source, Table};
use aggregator::record::{Micros, RecordId};
use aggregator::state::rules::RuleId;
use aggregator::state::verdicts::Severity;
use arrow::array::{Array, UInt64Array};

use super::{Feedback, FeedbackError, Said, rows};
use crate::score::parts;
use crate::sql::Param;

/// Which rows of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Show {
    /// Those nobody has rated, no rule allows and none suppresses: what is still to be looked at.
    #[default]
    Open,
    /// Those with a verdict.
    Rated,
    /// Those that a rule allows or suppresses.
    Ruled,
    /// All.
    All,
}

/// What was said of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// The verdict that stands: one on the record itself before one on a pattern, the later before the earlier.
    pub verdict: Option<(i64, Severity)>,
    /// The rule that allows it.
    pub allowed: Option<RuleId>,
    /// The rule that suppresses it.
    pub suppressed: Option<RuleId>,
    /// The verdict on something else that goes to the same place, and was confirmed.
    pub resembles: Option<i64>,
}

impl Mark {
    /// Is it shown?
    pub const fn is_in(&self, show: Show) -> bool {
        let ruled = self.allowed.is_some() || self.suppressed.is_some();
        match show {
            Show::Open => self.verdict.is_none() && !ruled,
            Show::Rated => self.verdict.is_some(),
            Show::Ruled => ruled,
            Show::All => true,
        }
    }
}

/// The marks of a run's rows, by record. Rows of which nothing was said have none.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    marks: BTreeMap<[u8; 16], Mark>,
    until: Option<Micros>,
}

impl Overlay {
    /// What was said of a record.
    pub fn mark(&self, record: RecordId) -> Option<&Mark> {
        self.marks.get(&record.0)
    }

    /// Until when it holds, if nothing is said meanwhile: the first expiry.
    pub const fn until(&self) -> Option<Micros> {
        self.until
    }

    /// How many rows a list of `show` leaves out, of so many.
    pub fn left_out(&self, show: Show, rows: u64) -> u64 {
        let shown = self.marks.values().filter(|mark| mark.is_in(show)).count() as u64;
        let unmarked = if Mark::default().is_in(show) { rows.saturating_sub(self.marks.len() as u64) } else { 0 };
        rows.saturating_sub(shown + unmarked)
    }

    /// Rows with a mark.
    pub fn iter(&self) -> impl Iterator<Item = (RecordId, &Mark)> {
        self.marks.iter().map(|(id, mark)| (RecordId(*id), mark))
    }

    /// The condition for a list of `show`, with the value of its placeholder `$number`: for `among(record_id, $number)`. `None`: no condition.
    pub fn condition(&self, show: Show, number: usize) -> Option<(String, Param)> {
        let ids = |keep: &dyn Fn(&Mark) -> bool| {
            let kept = self.marks.iter().filter(|(_, mark)| keep(mark));
            Param::Bytes(kept.flat_map(|(id, _)| *id).collect())
        };
        match show {
            Show::All => None,
            Show::Open if self.marks.values().all(|mark| mark.is_in(Show::Open)) => None,
            Show::Open => Some((format!("NOT among(record_id, ${number})"), ids(&|mark| !mark.is_in(Show::Open)))),
            show => Some((format!("among(record_id, ${number})"), ids(&|mark| mark.is_in(show)))),
        }
    }
}

/// Lays what is in force at `now` over the rows of a run. Reads the run's rows, if anything is in force at all.
///
/// # Errors
/// The state database or the run's parts cannot be read.
pub fn overlay(lake: &Lake, source: Source, run_id: &str, now: Micros) -> Result<Overlay, FeedbackError> {
    let feedback = Feedback::read(lake, source, now)?;
    let mut overlay = Overlay { until: feedback.until(), ..Overlay::default() };
    if feedback.is_empty() {
        return Ok(overlay);
    }
    let mut columns = rows::columns(source).to_vec();
    columns.push("group_id");
    for part in lake.parts(Table::Scores(source), None)?.iter().filter(|part| part.run.as_deref() == Some(run_id)) {
        parts::read(part, &columns, None, &mut |_, batch| {
            let groups: &UInt64Array = parts::column(batch, "group_id")?;
            for (at, seen) in rows::seen(source, batch)?.iter().enumerate() {
                let group = || if groups.is_null(at) { 0 } else { groups.value(at) };
                let mark = mark(&feedback.said(seen, &group));
                if mark != Mark::default() {
                    overlay.marks.insert(seen.record_id, mark);
                }
            }
            Ok(())
        })?;
    }
    Ok(overlay)
}

fn mark(said: &[(Said, bool, bool)]) -> Mark {
    let mut mark = Mark::default();
    let mut standing = (false, i64::MIN);
    for (said, direct, exact) in said {
        match *said {
            Said::Verdict(id, severity) if *direct => {
                if (*exact, id) >= standing {
                    (standing, mark.verdict) = ((*exact, id), Some((id, severity)));
                }
            }
            Said::Verdict(id, _) => mark.resembles = mark.resembles.max(Some(id)),
            Said::Allow(rule) => mark.allowed = mark.allowed.or(Some(rule)),
            Said::Suppress(rule) => mark.suppressed = mark.suppressed.or(Some(rule)),
        }
    }
    // A row that was confirmed is not taken out by a rule.
    if matches!(mark.verdict, Some((_, Severity::High))) {
        (mark.allowed, mark.suppressed) = (None, None);
    }
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_on_the_record_stands_before_those_on_patterns() {
        let verdict = |id, severity| Said::Verdict(id, severity);
        let of = |said: &[(Said, bool, bool)]| mark(said).verdict;
        assert_eq!(
            of(&[(verdict(9, Severity::Low), true, false), (verdict(3, Severity::High), true, true)]),
            Some((3, Severity::High))
        );
        assert_eq!(
            of(&[(verdict(3, Severity::Low), true, false), (verdict(9, Severity::Medium), true, false)]),
            Some((9, Severity::Medium))
        );
        let near = mark(&[(verdict(4, Severity::High), false, false)]);
        assert_eq!((near.verdict, near.resembles, near.is_in(Show::Open)), (None, Some(4), true));
        let ruled = [(Said::Suppress(RuleId(2)), true, false), (verdict(4, Severity::High), true, false)];
        assert!(mark(&ruled[..1]).is_in(Show::Ruled) && !mark(&ruled[..1]).is_in(Show::Open));
        assert_eq!(mark(&ruled).suppressed, None);
    }
}
