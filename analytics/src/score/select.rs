//! Keeps the most suspicious rows of a stream: the lowest scores, at most so many of a group, in bounded memory.

use hashbrown::HashMap;

/// A row that may be kept. The order of the fields is the order of the ranking: what it is ranked by, Spot's score, then the record itself.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Candidate {
    /// What it is ranked by, the lowest first: ln E of all evidence, or Spot's score once more.
    pub(super) order_by: f64,
    pub(super) score: f64,
    pub(super) first_seen: i64,
    pub(super) record_id: [u8; 16],
    /// The deciding pair.
    pub(super) place: usize,
    /// The finding that decided, by number + 1; 0 where the pair did. Pair or finding is the group.
    pub(super) finding: u32,
    /// All its findings, by number.
    pub(super) findings: Vec<u32>,
    /// What it was ranked by before feedback, and the rules that moved it.
    pub(super) before: f64,
    pub(super) rules: Vec<usize>,
    /// The deciding token is the record's second.
    pub(super) second: bool,
    pub(super) part: u32,
    pub(super) row: u64,
}

/// What rows of one group share: the finding that decided, else the pair.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Group {
    Pair(usize),
    Finding(u32),
}

impl Candidate {
    pub(super) const fn group(&self) -> Group {
        match self.finding.checked_sub(1) {
            Some(number) => Group::Finding(number),
            None => Group::Pair(self.place),
        }
    }

    fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.order_by.total_cmp(&other.order_by).then_with(|| self.spot_order(other))
    }

    /// Spot's order: the score, then the record itself.
    pub(super) fn spot_order(&self, other: &Self) -> std::cmp::Ordering {
        self.score
            .total_cmp(&other.score)
            .then(self.first_seen.cmp(&other.first_seen))
            .then(self.record_id.cmp(&other.record_id))
    }
}

/// Spot's filter: at most the threshold, and not the mark of a word error.
pub fn is_kept(score: f64, threshold: f64) -> bool {
    score <= threshold && score > -1.0
}

/// The `limit` first rows of the ranking in which each group has at most `members` rows. Exact: a row once beaten by `limit` others stays beaten,
/// since a member that leaves its group makes room only for a better one of the same group.
///
/// Memory: at most 4·limit + 65,536 candidates of about 150 bytes.
pub(super) struct Selection {
    limit: usize,
    members: usize,
    kept: Vec<Candidate>,
    worst: Option<Candidate>,
}

impl Selection {
    pub(super) fn new(limit: usize, members: usize) -> Self {
        Self { limit: limit.max(1), members: members.max(1), kept: Vec::new(), worst: None }
    }

    pub(super) fn push(&mut self, candidate: Candidate) {
        if self.worst.as_ref().is_some_and(|worst| candidate.order(worst).is_gt()) {
            return;
        }
        self.kept.push(candidate);
        if self.kept.len() >= self.limit.saturating_mul(4).saturating_add(1 << 16) {
            self.prune();
        }
    }

    fn prune(&mut self) {
        self.kept.sort_unstable_by(Candidate::order);
        let mut seen: HashMap<Group, usize> = HashMap::new();
        let members = self.members;
        self.kept.retain(|candidate| {
            let count = seen.entry(candidate.group()).or_insert(0);
            *count += 1;
            *count <= members
        });
        self.kept.truncate(self.limit);
        if self.kept.len() == self.limit {
            self.worst = self.kept.last().cloned();
        }
    }

    /// The rows, most suspicious first.
    pub(super) fn finish(mut self) -> Vec<Candidate> {
        self.prune();
        self.kept
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spots_score_filter() {
        let kept: Vec<f64> = [-1.0, 1.0, 5e-7, 0.05, 1e-4].into_iter().filter(|s| is_kept(*s, 10e-5)).collect();
        assert_eq!(kept, [5e-7, 1e-4]);
        assert!(!is_kept(f64::NAN, f64::INFINITY));
    }

    proptest! {
        #[test]
        fn equals_sorting_everything(rows in proptest::collection::vec((0_u8..4, 0_i64..6, 0_usize..5), 0..200), limit in 1_usize..40,
                                     members in 1_usize..6, step in 1_usize..50) {
            let candidates: Vec<Candidate> = rows.iter().enumerate().map(|(row, (score, first_seen, place))| Candidate {
                order_by: f64::from(*score) / 4.0, score: 0.5, finding: 0, findings: Vec::new(), before: 0.0, rules: Vec::new(), first_seen: *first_seen, record_id: [(row % 251) as u8; 16], place: *place, second: false,
                part: 0, row: row as u64,
            }).collect();
            let mut sorted = candidates.clone();
            sorted.sort_by(Candidate::order);
            let mut count = [0_usize; 5];
            sorted.retain(|c| { count[c.place] += 1; count[c.place] <= members });
            sorted.truncate(limit);
            let mut selection = Selection::new(limit, members);
            for (n, candidate) in candidates.into_iter().enumerate() {
                selection.push(candidate);
                if n % step == 0 {
                    selection.prune();
                }
            }
            prop_assert_eq!(selection.finish(), sorted);
        }
    }
}
