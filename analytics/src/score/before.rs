//! On how many of the days before a group was in the list: what is new stands apart from what comes back every day.

use std::collections::HashSet;

use aggregator::lake::{Day, Lake, Source, Table};
use arrow::array::UInt64Array;
use hashbrown::HashMap;

use super::{ScoreError, parts};

/// Scored days that are looked at, the latest before the day.
const DAYS: usize = 7;
/// None of them is further back, in days.
const BACK: i32 = 30;

/// See the [module](self). Memory: about 40 bytes for each group of seven lists.
#[derive(Debug, Default)]
pub(super) struct Before {
    days: usize,
    groups: HashMap<u64, u8>,
}

impl Before {
    /// What the lists of the days before `date` had.
    ///
    /// # Errors
    /// The journal or a part cannot be read.
    pub(super) fn of(lake: &Lake, source: Source, date: Day) -> Result<Self, ScoreError> {
        // Files that are listed stay, as long as this is held.
        let _reading = lake.reading()?;
        let runs = lake.state().runs(Some(source))?;
        let is_before = |day: Day| day < date && day.0 >= date.0.saturating_sub(BACK);
        let lists: HashSet<String> = runs
            .into_iter()
            .filter(|run| run.current && is_before(run.date))
            .take(DAYS)
            .map(|run| run.run_id)
            .collect();
        let mut before = Self { days: lists.len(), groups: HashMap::new() };
        let mut of_runs: HashMap<String, HashSet<u64>> = HashMap::new();
        for part in lake.parts(Table::Scores(source), None)? {
            let Some(run) = part.run.as_ref().filter(|run| lists.contains(*run)) else { continue };
            let of_run = of_runs.entry(run.clone()).or_default();
            parts::read(&part, &["group_id"], None, &mut |_, batch| {
                let groups: &UInt64Array = parts::column(batch, "group_id")?;
                of_run.extend(groups.iter().flatten());
                Ok(())
            })?;
        }
        for group in of_runs.into_values().flatten() {
            *before.groups.entry(group).or_insert(0) += 1;
        }
        Ok(before)
    }

    /// On how many of these days a group was there; `None` where none of them was scored.
    pub(super) fn days(&self, group: u64) -> Option<u8> {
        (self.days > 0).then(|| self.groups.get(&group).copied().unwrap_or(0))
    }
}
