//! The passes over a day's parts, side by side: groups of parts, and the detectors beside the words.
//!
//! Promises: what a pass gives depends on the parts and their order, not on threads. Groups are runs of parts of about equal rows, cut by the parts alone.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use aggregator::lake::Part;
use arrow::array::{Array, FixedSizeBinaryArray, RecordBatch};
use rayon::prelude::*;

use super::card::RowsCard;
use super::fuse::{PairEvidence, add_up};
use super::intern::Memo;
use super::judge::GroupIds;
use super::matched::Matched;
use super::request::{Progress, ScoreRequest, Stage};
use super::rows::Speller;
use super::run::Kept;
use super::select::{Candidate, Selection, is_kept};
use super::texts::coded_of;
use super::train::{CorpusBuilder, DayCorpus};
use super::watch::{self, Ends, Watch};
use super::{ScoreError, parts};
use crate::detect::Findings;
use crate::feedback::{Feedback, Ruled, rows as feedback_rows};

/// Groups of parts a pass is cut into. More than any useful number of threads would cost memory, for each group counts for itself.
const GROUPS: usize = 8;

/// The rows to read of a part: all, or those with these numbers (ascending).
pub(super) type RowsOf<'a> = dyn Fn(usize) -> Option<&'a [u64]> + Sync + 'a;

/// A day's parts, and who is told of progress.
pub(super) struct Reading<'a> {
    pub(super) parts: &'a [Part],
    /// The first part to be read.
    pub(super) from: usize,
    progress: Mutex<&'a mut dyn Progress>,
    done: AtomicU64,
    stopped: AtomicBool,
    total: u64,
}

impl<'a> Reading<'a> {
    pub(super) fn new(parts: &'a [Part], from: usize, progress: &'a mut dyn Progress) -> Self {
        let total = parts.iter().skip(from).map(|part| part.rows).sum();
        Self {
            parts,
            from,
            progress: Mutex::new(progress),
            done: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            total,
        }
    }

    /// Begins a stage anew.
    pub(super) fn stage(&self) {
        self.done.store(0, Ordering::Relaxed);
    }

    fn step(&self, stage: Stage, rows: u64) -> Result<(), ScoreError> {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        if let Ok(mut progress) = self.progress.lock() {
            progress.step(stage, done.min(self.total), self.total);
            if progress.stopped() {
                self.stopped.store(true, Ordering::Relaxed);
            }
        }
        if self.stopped.load(Ordering::Relaxed) { Err(ScoreError::Stopped) } else { Ok(()) }
    }

    /// Runs of parts of about equal rows.
    pub(super) fn groups(&self, most: usize) -> Vec<std::ops::Range<usize>> {
        let target = self.total.div_ceil(most.max(1) as u64).max(1);
        let (mut groups, mut from, mut rows) = (Vec::new(), self.from, 0);
        for (number, part) in self.parts.iter().enumerate().skip(self.from) {
            rows += part.rows;
            if rows >= target {
                groups.push(from..number + 1);
                (from, rows) = (number + 1, 0);
            }
        }
        if from < self.parts.len() {
            groups.push(from..self.parts.len());
        }
        groups
    }

    /// Calls `each` for all batches of some parts: part, first row's number, batch.
    pub(super) fn read(
        &self,
        stage: Stage,
        range: std::ops::Range<usize>,
        columns: &[&str],
        rows: &RowsOf<'_>,
        each: &mut dyn FnMut(u32, u64, &RecordBatch) -> Result<(), ScoreError>,
    ) -> Result<(), ScoreError> {
        for number in range {
            let Some(part) = self.parts.get(number) else { continue };
            let wanted = rows(number);
            if wanted.is_some_and(<[u64]>::is_empty) {
                continue;
            }
            parts::read_as(part, columns, coded_of(part.table), wanted, &mut |first, batch| {
                each(number as u32, first, batch)?;
                self.step(stage, batch.num_rows() as u64)
            })?;
        }
        Ok(())
    }
}

/// All rows of every part.
pub(super) fn all(_: usize) -> Option<&'static [u64]> {
    None
}

/// The pass before any word: who has what.
pub(super) fn prepare(reading: &Reading<'_>, speller: &mut Speller) -> Result<(), ScoreError> {
    let columns = speller.first_columns();
    if columns.is_empty() {
        return Ok(());
    }
    reading.stage();
    let counted: Result<Vec<Speller>, ScoreError> = reading
        .groups(if speller.is_divisible() { GROUPS } else { 1 })
        .into_par_iter()
        .map(|range| {
            let mut own = speller.empty();
            reading.read(Stage::Agents, range, columns, &all, &mut |_, _, batch| own.count(batch))?;
            Ok(own)
        })
        .collect();
    for own in counted? {
        speller.take_in(own);
    }
    Ok(())
}

/// What the first pass has counted.
pub(super) struct Counts {
    pub(super) builder: CorpusBuilder,
    pub(super) card: RowsCard,
    /// Tokens that dismissed records were counted beside their own.
    pub(super) copied: u64,
}

/// What is counted more than once: what feedback dismisses, and how often more.
pub(super) type Copies<'a> = Option<(&'a Feedback, u32)>;

/// The pass that counts words, and beside it the detectors' look at every record.
pub(super) fn count(
    reading: &Reading<'_>,
    request: &ScoreRequest,
    speller: &mut Speller,
    watches: &mut [Watch],
    copies: Copies<'_>,
) -> Result<Counts, ScoreError> {
    reading.stage();
    let groups = reading.groups(if speller.is_divisible() { GROUPS } else { 1 });
    let columns = watch::columns(request.source);
    let mut counted: Vec<Option<Result<(Counts, Speller), ScoreError>>> = Vec::new();
    counted.resize_with(groups.len(), || None);
    let mut watched: Vec<Result<(), ScoreError>> = watches.iter().map(|_| Ok(())).collect();
    // In this order, also on the thread that spawns them: the longest first.
    rayon::scope_fifo(|scope| {
        for (watch, outcome) in watches.iter_mut().zip(&mut watched) {
            scope.spawn_fifo(move |_| {
                let range = reading.from..reading.parts.len();
                *outcome = reading.read(Stage::Count, range, columns, &all, &mut |_, _, batch| watch.handle(batch));
            });
        }
        let speller = &*speller;
        for (range, outcome) in groups.into_iter().zip(&mut counted) {
            scope.spawn_fifo(move |_| {
                let mut own = speller.clone();
                let counts = spell(reading, request, range, &mut own, copies).map(|mut counts| {
                    counts.builder.pack();
                    counts
                });
                *outcome = Some(counts.map(|counts| (counts, own)));
            });
        }
    });
    watched.into_iter().collect::<Result<(), _>>()?;
    let mut all = Counts { builder: CorpusBuilder::new(request.corpus), card: RowsCard::default(), copied: 0 };
    for outcome in counted.into_iter().flatten() {
        let (Counts { builder, card, copied }, own) = outcome?;
        all.copied += copied;
        all.builder.merge(builder);
        all.card.read += card.read;
        all.card.scored += card.scored;
        for (cause, rows) in card.invalid {
            *all.card.invalid.entry(cause).or_insert(0) += rows;
        }
        speller.note(own);
    }
    Ok(all)
}

fn spell(
    reading: &Reading<'_>,
    request: &ScoreRequest,
    range: std::ops::Range<usize>,
    speller: &mut Speller,
    copies: Copies<'_>,
) -> Result<Counts, ScoreError> {
    let mut counts = Counts { builder: CorpusBuilder::new(request.corpus), card: RowsCard::default(), copied: 0 };
    let Counts { builder, card, copied } = &mut counts;
    let mut memo = Memo::new();
    let mut columns = speller.columns().to_vec();
    if copies.is_some() {
        columns.extend(feedback_rows::columns(request.source));
        columns.sort_unstable();
        columns.dedup();
    }
    reading.read(Stage::Count, range, &columns, &all, &mut |_, _, batch| {
        card.read += batch.num_rows() as u64;
        let seen = if copies.is_some() { feedback_rows::seen(request.source, batch)? } else { Vec::new() };
        let more = |row: usize| match (copies, seen.get(row)) {
            (Some((feedback, times)), Some(seen)) if feedback.dismisses_pattern(seen) => times,
            _ => 0,
        };
        memo.forget();
        speller.spell(batch, &mut |row, tokens| {
            match tokens {
                Ok(tokens) => {
                    card.scored += 1;
                    let more = more(row);
                    for (document, word) in [Some(tokens.first), tokens.second].into_iter().flatten() {
                        builder.add_of_batch(&mut memo, document, word, 1 + more);
                        *copied += u64::from(more);
                    }
                }
                Err(cause) => *card.invalid.entry(cause.as_str()).or_insert(0) += 1,
            }
            Ok(())
        })
    })?;
    Ok(counts)
}

/// Counts the words that rows of earlier parts have now, where their pair is not counted yet, once.
pub(super) fn recount(
    reading: &Reading<'_>,
    speller: &Speller,
    builder: &mut CorpusBuilder,
    to: usize,
    rows: &RowsOf<'_>,
) -> Result<(), ScoreError> {
    let mut speller = speller.clone();
    let columns = speller.columns();
    reading.read(Stage::Count, 0..to, columns, rows, &mut |_, _, batch| {
        speller.spell(batch, &mut |_, tokens| {
            if let Ok(tokens) = tokens {
                for (document, word) in [Some(tokens.first), tokens.second].into_iter().flatten() {
                    builder.ensure(document, word);
                }
            }
            Ok(())
        })
    })
}

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
                memo: Memo::new(),
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
    memo: Memo,
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
        let Evidence { corpus, pairs, findings, matched, feedback, .. } = *self.evidence;
        let source = self.request.source;
        let ids: &FixedSizeBinaryArray = parts::column(batch, "record_id")?;
        let seen = if self.is_ruled() { feedback_rows::seen(source, batch)? } else { Vec::new() };
        let by_row =
            if pairs.is_some() { watch::of_batch(findings, source, batch, &mut own.ends)? } else { Vec::new() };
        own.memo.forget();
        speller.spell(batch, &mut |row, tokens| {
            let Ok(tokens) = tokens else { return Ok(()) };
            let mut look_up = |(document, word)| {
                let document = own.memo.get(document, |name| corpus.document(name))?;
                let place = corpus.place_in(document, word)?;
                Some((place, self.pairs.get(place)?))
            };
            let one = look_up(tokens.first);
            let other = tokens.second.and_then(look_up);
            // The smaller of both sides; the source's where they are equal.
            let (mut second, (mut place, mut pair)) = match (one, other) {
                (Some(one), Some(other)) if other.1.score < one.1.score => (true, other),
                (Some(one), _) => (false, one),
                (None, Some(other)) => (true, other),
                // Every token of these files was counted by the first pass.
                (None, None) => return Ok(()),
            };
            let score = pair.score;
            count_up(&pair.decided);
            let mut record_id = [0; 16];
            if !ids.is_null(row) && ids.value(row).len() == record_id.len() {
                record_id.copy_from_slice(ids.value(row));
            }
            let (mut order_by, mut finding) = (score, 0);
            let numbers = by_row.get(row).cloned().unwrap_or_default();
            if pairs.is_some() {
                // The side with more evidence against it; Spot's where they are equal.
                for (side, of_side) in [(false, one), (true, other)] {
                    if let Some(better) = of_side.filter(|(_, cell)| cell.expected < pair.expected) {
                        (second, (place, pair)) = (side, better);
                    }
                }
                let words = pair.expected;
                let of = |number: &u32| findings.list().get(*number as usize).map(|f| f.ln_expected);
                order_by = add_up(numbers.iter().filter_map(of).chain([words]).chain(matched.expected(&record_id)));
                // The strongest finding, if it is stronger than the words.
                let strongest = numbers.iter().filter_map(|n| Some((of(n)?, *n))).min_by(|a, b| a.0.total_cmp(&b.0));
                finding = strongest.filter(|(ln, _)| *ln < words).map_or(0, |(_, number)| number + 1);
                match finding {
                    0 => count_up(&pair.grouped),
                    number => self.found.get(number as usize - 1).into_iter().for_each(count_up),
                }
            }
            let mut rules = Vec::new();
            let before = order_by;
            if let Some(seen) = seen.get(row) {
                let group = || self.groups.of(place, finding);
                match feedback.rule_on(seen, &group, order_by, self.last) {
                    Ruled::Suppressed(rule) => {
                        *own.hits.entry(rule).or_insert(0) += 1;
                        return Ok(());
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
                    first_seen: tokens.first_seen,
                    record_id,
                    place,
                    finding,
                    findings: numbers,
                    second,
                    part,
                    row: number(row as u64),
                    before,
                    rules,
                });
            }
            Ok(())
        })
    }
}
