//! What is said of a kept row beyond its record: its group, how rare it is, on what evidence, and why.

use std::sync::Arc;

use hashbrown::HashMap;

use super::card::CONFIDENCE_TOKENS;
use super::select::Candidate;
use super::train::{DayCorpus, render};
use crate::explain::{Explainer, Explanation};
use crate::lda::Model;
use crate::lda::model::{LeftOut, PairCounts};
use crate::words::Scheme;

/// Smoothing of the left-out scores: document offset, word offset.
pub(super) const LEFT_OUT_PRIORS: [f64; 2] = [0.1, 0.01];

/// What is known of a kept row beyond its record.
pub(super) struct Scored {
    pub(super) candidate: Candidate,
    pub(super) group_id: u64,
    pub(super) group_size: u32,
    pub(super) word_df: u64,
    pub(super) percentile: f64,
    pub(super) confidence: f64,
    pub(super) left_out: Option<LeftOut>,
    pub(super) explanation: Arc<Explanation>,
}

/// The kept rows, judged.
pub(super) struct Judged {
    pub(super) rows: Vec<Scored>,
    pub(super) groups: u64,
}

/// What is the same for all rows of a group.
struct Group {
    id: u64,
    word_df: u64,
    confidence: f64,
    left_out: Option<LeftOut>,
    explanation: Arc<Explanation>,
}

/// Judges the candidates, in their order. `decided` says by place how many records of the day the pair decided.
pub(super) fn judge(
    day: &DayCorpus,
    model: &Model,
    scores: &[f64],
    candidates: Vec<Candidate>,
    decided: &[u32],
    scheme: &dyn Scheme,
) -> Judged {
    let (word_tokens, word_documents) = day.corpus.word_totals();
    let all: u64 = word_tokens.iter().sum();
    let percentiles = Percentiles::new(scores, decided);
    let mut explainer = Explainer::new(day, model, scheme, &word_tokens);
    let mut groups: HashMap<usize, Group> = HashMap::new();
    let mut rows = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let place = candidate.place;
        let group = groups.entry(place).or_insert_with(|| {
            let document = day.corpus.document_of(place);
            let (word, count) = day.corpus.pair(place).unwrap_or_default();
            let tokens = day.corpus.document_tokens(document as usize) as f64;
            let word_total = word_tokens.get(word as usize).copied().unwrap_or(0) as f64;
            let counts = PairCounts { pair: f64::from(count), document: tokens, word: word_total, all: all as f64 };
            let [a, e] = LEFT_OUT_PRIORS;
            Group {
                id: group_id(day.document_name(document), &render(scheme, day.code(word))),
                word_df: word_documents.get(word as usize).copied().unwrap_or(0),
                confidence: tokens / (tokens + CONFIDENCE_TOKENS),
                left_out: model.left_out(document as usize, word as usize, counts, a, e),
                explanation: Arc::new(explainer.explain(document, word, candidate.score)),
            }
        });
        rows.push(Scored {
            candidate,
            group_id: group.id,
            group_size: decided.get(place).copied().unwrap_or(0),
            word_df: group.word_df,
            percentile: percentiles.above(candidate.score),
            confidence: group.confidence,
            left_out: group.left_out,
            explanation: Arc::clone(&group.explanation),
        });
    }
    Judged { rows, groups: groups.len() as u64 }
}

/// The same for the same host and word, in every run.
fn group_id(host: &str, word: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(host.as_bytes());
    hasher.update(&[0]);
    hasher.update(word.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// How many of the day's records have a higher score.
struct Percentiles {
    /// Scores, ascending, with the records up to and including it.
    steps: Vec<(f64, u64)>,
    records: u64,
}

impl Percentiles {
    fn new(scores: &[f64], decided: &[u32]) -> Self {
        let records = |pair: &(&f64, &u32)| *pair.1 > 0;
        let mut steps: Vec<(f64, u64)> =
            scores.iter().zip(decided).filter(records).map(|(score, count)| (*score, u64::from(*count))).collect();
        steps.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut sum = 0;
        for step in &mut steps {
            sum += step.1;
            step.1 = sum;
        }
        Self { steps, records: sum }
    }

    fn above(&self, score: f64) -> f64 {
        let up_to = self.steps.partition_point(|step| step.0 <= score);
        let not_above = up_to.checked_sub(1).and_then(|at| self.steps.get(at)).map_or(0, |step| step.1);
        (self.records - not_above) as f64 / self.records.max(1) as f64
    }
}
