//! The pass that ranks: every record's scores and findings are looked up, and the most suspicious are kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{Array, FixedSizeBinaryArray, RecordBatch};
use rayon::prelude::*;

use super::fuse::{PairEvidence, add_up};
use super::judge::GroupIds;
use super::matched::Matched;
use super::passes::{GROUPS, Reading, RowsOf};
use super::request::{ScoreRequest, Stage};
use super::rows::Speller;
use super::run::Kept;
use super::select::{Candidate, Selection, is_kept};
use super::texts::{DocumentEnds, Numbers};
use super::train::DayCorpus;
use super::watch::{self, Ends};
use super::{ScoreError, parts};
use crate::detect::Findings;
use crate::feedback::{Feedback, Ruled, rows as feedback_rows};

/// What rows are ranked by.
pub(super) struct Evidence<'a> {
    pub(super) corpus: &'a DayCorpus,
    pub(super) scores: &'a [f64],
    pub(super) pairs: Option<&'a PairEvidence<'a>>,
    pub(super) findings: &'a Findings,
    pub(super) matched: &'a Matched,
    pub(super) feedback: &'a Feedback,
}

/// What the second pass found.
pub(super) struct Ranked {
    pub(super) kept: Kept,
    pub(super) below: u64,
    /// Records each rule matched, by its number in the feedback.
    pub(super) hits: BTreeMap<usize, u64>,
}

/// The pass that looks every record's scores and findings up and keeps the most suspicious.
pub(super) fn rank(
    reading: &Reading<'_>,
    request: &ScoreRequest,
    speller: &Speller,
    evidence: &Evidence<'_>,
    rows: &RowsOf<'_>,
) -> Result<Ranked, ScoreError> {
    reading.stage();
    let pairs = evidence.scores.len();
    let of_pair = |(place, score): (usize, &f64)| PairCell {
        score: *score,
        expected: evidence.pairs.map_or(f64::INFINITY, |pairs| pairs.expected(place)),
        decided: AtomicU32::new(0),
        grouped: AtomicU32::new(0),
    };
    let ranker = Ranker {
        request,
        evidence,
        groups: GroupIds::new(evidence.corpus, evidence.findings, &evidence.feedback.groups(), speller.scheme()),
        last: (reading.total.max(pairs as u64).max(1) as f64).ln() + 1.0,
        pairs: evidence.scores.par_iter().enumerate().map(of_pair).collect(),
        found: evidence.findings.list().iter().map(|_| AtomicU32::new(0)).collect(),
    };
    let mut columns = speller.columns().to_vec();
    columns.push("record_id");
    if evidence.pairs.is_some() {
        columns.extend(watch::columns(request.source));
    }
    if ranker.is_ruled() {
        columns.extend(feedback_rows::columns(request.source));
    }
    columns.sort_unstable();
    columns.dedup();
    let ranked: Result<Vec<Own>, ScoreError> = reading
        .groups(GROUPS)
        .into_par_iter()
        .map(|range| {
            let mut own = Own {
                selection: ranker.selection(),
                below: 0,
                hits: BTreeMap::new(),
                ends: Ends::default(),
                documents: DocumentEnds::default(),
            };
            let mut speller = speller.clone();
            reading.read(Stage::Score, range, &columns, rows, &mut |part, first, batch| {
                let numbers = rows(part as usize);
                let number = |row: u64| numbers.map_or(row, |list| list.get(row as usize).copied().unwrap_or(row));
                ranker.batch(&mut speller, part, &|row| number(first + row), batch, &mut own)
            })?;
            Ok(own)
        })
        .collect();
    let mut selection = ranker.selection();
    let (mut below, mut hits) = (0, BTreeMap::new());
    for own in ranked? {
        own.selection.finish().into_iter().for_each(|candidate| selection.push(candidate));
        below += own.below;
        for (rule, records) in own.hits {
            *hits.entry(rule).or_insert(0) += records;
        }
    }
    let number = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
    let kept = Kept {
        candidates: selection.finish(),
        decided: ranker.pairs.iter().map(|pair| number(&pair.decided)).collect(),
        grouped: ranker.pairs.iter().map(|pair| number(&pair.grouped)).collect(),
        found: ranker.found.iter().map(number).collect(),
    };
    Ok(Ranked { kept, below, hits })
}

/// What a group of parts comes to.
struct Own {
    selection: Selection,
    below: u64,
    hits: BTreeMap<usize, u64>,
    ends: Ends,
    documents: DocumentEnds,
}

/// What ranking asks of a pair, and counts of it: together, for each look is a miss of the cache.
struct PairCell {
    score: f64,
    /// ln E; infinite where rows are ranked by the score alone.
    expected: f64,
    /// Records whose score is the pair's.
    decided: AtomicU32,
    /// Records in whose ranking the pair decided.
    grouped: AtomicU32,
}

struct Ranker<'a> {
    request: &'a ScoreRequest,
    evidence: &'a Evidence<'a>,
    groups: GroupIds,
    /// Behind all: as if every record were like it.
    last: f64,
    /// By place.
    pairs: Vec<PairCell>,
    /// Records in whose ranking a finding decided, by its number.
    found: Vec<AtomicU32>,
}

fn count_up(count: &AtomicU32) {
    count.fetch_add(1, Ordering::Relaxed);
}

impl Ranker<'_> {
    /// Feedback moves rows. Spot's score is moved by training alone.
    fn is_ruled(&self) -> bool {
        self.evidence.pairs.is_some() && !self.evidence.feedback.is_empty()
    }

    fn selection(&self) -> Selection {
        Selection::new(self.request.limit, if self.request.members == 0 { usize::MAX } else { self.request.members })
    }

    fn batch(
        &self,
        speller: &mut Speller,
        part: u32,
        number: &dyn Fn(u64) -> u64,
        batch: &RecordBatch,
        own: &mut Own,
    ) -> Result<(), ScoreError> {
        let Evidence { pairs, findings, matched, feedback, .. } = *self.evidence;
        let source = self.request.source;
        let ids: &FixedSizeBinaryArray = parts::column(batch, "record_id")?;
        let seen = if self.is_ruled() { feedback_rows::seen(source, batch)? } else { Vec::new() };
        let by_row =
            if pairs.is_some() { watch::of_batch(findings, source, batch, &mut own.ends)? } else { Vec::new() };
        for Looked { row, first_seen, sides: [one, other] } in self.look_up(speller, batch, &mut own.documents)? {
            // The smaller of both sides; the source's where they are equal.
            let (mut second, mut pair) = match (one, other) {
                (Some(one), Some(other)) if other.score < one.score => (true, other),
                (Some(one), _) => (false, one),
                (None, Some(other)) => (true, other),
                // Every token of these files was counted by the first pass.
                (None, None) => continue,
            };
            let score = pair.score;
            self.pairs.get(pair.place).into_iter().for_each(|cell| count_up(&cell.decided));
            let mut record_id = [0; 16];
            if !ids.is_null(row) && ids.value(row).len() == record_id.len() {
                record_id.copy_from_slice(ids.value(row));
            }
            let (mut order_by, mut finding) = (score, 0);
            let numbers = by_row.get(row).cloned().unwrap_or_default();
            if pairs.is_some() {
                // The side with more evidence against it; Spot's where they are equal.
                for (side, of_side) in [(false, one), (true, other)] {
                    if let Some(better) = of_side.filter(|other| other.expected < pair.expected) {
                        (second, pair) = (side, better);
                    }
                }
                let words = pair.expected;
                let of = |number: &u32| findings.list().get(*number as usize).map(|f| f.ln_expected);
                order_by = add_up(numbers.iter().filter_map(of).chain([words]).chain(matched.expected(&record_id)));
                // The strongest finding, if it is stronger than the words.
                let strongest = numbers.iter().filter_map(|n| Some((of(n)?, *n))).min_by(|a, b| a.0.total_cmp(&b.0));
                finding = strongest.filter(|(ln, _)| *ln < words).map_or(0, |(_, number)| number + 1);
                match finding {
                    0 => self.pairs.get(pair.place).into_iter().for_each(|cell| count_up(&cell.grouped)),
                    number => self.found.get(number as usize - 1).into_iter().for_each(count_up),
                }
            }
            let mut rules = Vec::new();
            let before = order_by;
            if let Some(seen) = seen.get(row) {
                let group = || self.groups.of(pair.place, finding);
                match feedback.rule_on(seen, &group, order_by, self.last) {
                    Ruled::Suppressed(rule) => {
                        *own.hits.entry(rule).or_insert(0) += 1;
                        continue;
                    }
                    Ruled::Ranked(at, applied) => {
                        applied.iter().for_each(|rule| *own.hits.entry(*rule).or_insert(0) += 1);
                        (order_by, rules) = (at, applied);
                    }
                }
            }
            if is_kept(score, self.request.threshold) {
                own.below += 1;
                own.selection.push(Candidate {
                    order_by,
                    score,
                    first_seen,
                    record_id,
                    place: pair.place,
                    finding,
                    findings: numbers,
                    second,
                    part,
                    row: number(row as u64),
                    before,
                    rules,
                });
            }
        }
        Ok(())
    }

    /// What is known of the pairs of a batch's records. Each step in a short loop of its own, for each look is a miss of the cache, and these overlap.
    fn look_up(
        &self,
        speller: &mut Speller,
        batch: &RecordBatch,
        documents: &mut DocumentEnds,
    ) -> Result<Vec<Looked>, ScoreError> {
        let corpus = self.evidence.corpus;
        documents.turn_to(self.request.source, batch)?;
        let mut named = Vec::with_capacity(batch.num_rows());
        speller.spell(batch, &mut |row, tokens| {
            let Ok(tokens) = tokens else { return Ok(()) };
            let named_by = |numbers: &mut Numbers, (document, word)| {
                Some((numbers.get(row, || corpus.document(document))?, corpus.word(word)))
            };
            let one = named_by(&mut documents.first, tokens.first);
            let other = tokens.second.and_then(|token| named_by(&mut documents.second, token));
            named.push((row, tokens.first_seen, [one, other]));
            Ok(())
        })?;
        let placed: Vec<[Option<usize>; 2]> = named
            .iter()
            .map(|(.., sides)| sides.map(|side| side.and_then(|(document, word)| corpus.place_of(document, word))))
            .collect();
        let known =
            |place: usize| self.pairs.get(place).map(|cell| Side { place, score: cell.score, expected: cell.expected });
        let looked = named.into_iter().zip(placed);
        Ok(looked
            .map(|((row, first_seen, _), places)| Looked {
                row,
                first_seen,
                sides: places.map(|place| place.and_then(known)),
            })
            .collect())
    }
}

/// What is known of a record's pairs.
struct Looked {
    row: usize,
    first_seen: i64,
    sides: [Option<Side>; 2],
}

/// Of one of its sides.
#[derive(Clone, Copy)]
struct Side {
    place: usize,
    score: f64,
    expected: f64,
}
