//! The passes over a day's parts, side by side: groups of parts, and the detectors beside the words. The last of them, which ranks, is in [`super::rank`].
//!
//! Promises: what a pass gives depends on the parts and their order, not on threads. Groups are runs of parts of about equal rows, cut by the parts alone.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aggregator::lake::Part;
use arrow::array::RecordBatch;
use rayon::prelude::*;

use super::card::RowsCard;
use super::request::{Progress, ScoreRequest, Stage};
use super::rows::Speller;
use super::texts::{DocumentEnds, coded_of};
use super::train::CorpusBuilder;
use super::watch::{self, Watch};
use super::{ScoreError, parts};
use crate::feedback::{Feedback, rows as feedback_rows};

/// Groups of parts a pass is cut into. More than any useful number of threads would cost memory, for each group counts for itself.
pub(super) const GROUPS: usize = 8;

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
    pub(super) total: u64,
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
    let (mut ends, mut pairs) = (DocumentEnds::default(), Vec::new());
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
        ends.turn_to(request.source, batch)?;
        speller.spell(batch, &mut |row, tokens| {
            match tokens {
                Ok(tokens) => {
                    card.scored += 1;
                    let more = more(row);
                    let ends = [(&mut ends.first, Some(tokens.first)), (&mut ends.second, tokens.second)];
                    for (numbers, token) in ends {
                        let Some((document, word)) = token else { continue };
                        pairs.push(builder.pair_of_row((numbers, row), document, word, 1 + more));
                        *copied += u64::from(more);
                    }
                }
                Err(cause) => *card.invalid.entry(cause.as_str()).or_insert(0) += 1,
            }
            Ok(())
        })?;
        builder.add_pairs(pairs.drain(..));
        Ok(())
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
