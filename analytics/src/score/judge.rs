//! What is said of a kept row beyond its record: its group, how rare it is, on what evidence, and why.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::beside::Beside;
use super::card::CONFIDENCE_TOKENS;
use super::fuse::PairEvidence;
use super::matched::Matched;
use super::run::Kept;
use super::select::{Candidate, Group as Reason};
use super::train::{DayCorpus, render};
use crate::detect::{Finding, Findings};
use crate::explain::{Explainer, Explanation};
use crate::feedback::Feedback;
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
    /// Place of its group, 1 = most suspicious; of the row, where Spot's score ranks.
    pub(super) fused_rank: u32,
    /// Place by Spot's score among the kept rows.
    pub(super) rank: u32,
    /// What fired.
    pub(super) fired: Arc<Vec<Fired>>,
    /// Verdicts and rules that moved it, and log10 E without them.
    pub(super) rules: Vec<String>,
    pub(super) score_before: Option<f64>,
}

/// A detector or score that fired.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Fired {
    pub(super) name: String,
    /// −log10 of the number of such or stronger cases a day has by chance.
    pub(super) strength: f64,
    pub(super) evidence: String,
}

/// Told from this many expected cases down.
const TOLD: f64 = 10.0;

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

/// Judges the kept rows, in their order. Without `evidence` Spot's score ranks.
#[expect(clippy::too_many_arguments, reason = "what a judgement rests on, each from another step")]
pub(super) fn judge(
    day: &DayCorpus,
    model: &Model,
    scores: &[f64],
    kept: &Kept,
    evidence: Option<&PairEvidence<'_>>,
    (findings, matched): (&Findings, &Matched),
    beside: Option<&Beside>,
    feedback: &Feedback,
    scheme: &dyn Scheme,
) -> Judged {
    let Kept { candidates, decided, grouped, found } = kept;
    let (word_tokens, word_documents) = day.corpus.word_totals();
    let all: u64 = word_tokens.iter().sum();
    let percentiles = Percentiles::new(scores, decided);
    let mut explainer = Explainer::new(day, model, scheme, &word_tokens);
    let mut groups: HashMap<usize, Group> = HashMap::new();
    let mut rows = Vec::with_capacity(candidates.len());
    let ranks = spot_ranks(candidates);
    let mut places: HashMap<Reason, u32> = HashMap::new();
    let mut told: HashMap<(usize, Vec<u32>), Arc<Vec<Fired>>> = HashMap::new();
    for ((at, candidate), rank) in candidates.iter().enumerate().zip(ranks) {
        let next = places.len() as u32 + 1;
        let group_rank = *places.entry(candidate.group()).or_insert(next);
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
                // Of the side that decided; the row's is the smaller of both.
                explanation: Arc::new(explainer.explain(
                    document,
                    word,
                    scores.get(place).copied().unwrap_or(candidate.score),
                )),
            }
        });
        let finding = candidate.finding.checked_sub(1).and_then(|number| findings.list().get(number as usize));
        let size = |counts: &[u32], at: usize| counts.get(at).copied().unwrap_or(0);
        let (group_id, group_size) = match (finding, evidence) {
            (Some(finding), _) => (finding_id(finding), size(found, candidate.finding as usize - 1)),
            (None, Some(_)) => (group.id, size(grouped, place)),
            (None, None) => (group.id, size(decided, place)),
        };
        let fired = told
            .entry((place, candidate.findings.clone()))
            .or_insert_with(|| Arc::new(fired(place, &candidate.findings, evidence, findings)));
        let fired = with_rules(fired, matched, beside, &candidate.record_id);
        rows.push(Scored {
            candidate: candidate.clone(),
            fused_rank: if evidence.is_some() { group_rank } else { at as u32 + 1 },
            rank,
            fired,
            rules: candidate.rules.iter().map(|rule| feedback.name(*rule)).collect(),
            score_before: (!candidate.rules.is_empty()).then(|| candidate.before / std::f64::consts::LN_10),
            group_id,
            group_size,
            word_df: group.word_df,
            percentile: percentiles.above(candidate.score),
            confidence: group.confidence,
            left_out: group.left_out,
            explanation: Arc::clone(&group.explanation),
        });
    }
    Judged { rows, groups: places.len() as u64 }
}

/// Places of the rows by Spot's score.
fn spot_ranks(candidates: &[Candidate]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_unstable_by(|a, b| match (candidates.get(*a), candidates.get(*b)) {
        (Some(a), Some(b)) => a.spot_order(b),
        _ => std::cmp::Ordering::Equal,
    });
    let mut ranks = vec![0; candidates.len()];
    for (rank, at) in (1..).zip(order) {
        if let Some(place) = ranks.get_mut(at) {
            *place = rank;
        }
    }
    ranks
}

/// What fired, with the rule files that are about the record, and its place in another model's list.
fn with_rules(
    fired: &Arc<Vec<Fired>>,
    matched: &Matched,
    beside: Option<&Beside>,
    record: &[u8; 16],
) -> Arc<Vec<Fired>> {
    let mut said = matched.said(record).peekable();
    let other = beside.zip(matched.beside.by_record.get(record));
    if said.peek().is_none() && other.is_none() {
        return Arc::clone(fired);
    }
    // So many cases as strong has the day for that model.
    let other = other.map(|(beside, (place, score))| Fired {
        name: beside.name.clone(),
        strength: -f64::from(*place).log10(),
        evidence: format!(
            "place {place} of {} with score {score:e} in the imported results; not counted in the rank",
            beside.rows
        ),
    });
    let of = |(name, strength, evidence): (&str, f64, &str)| Fired {
        name: name.to_owned(),
        strength,
        evidence: evidence.to_owned(),
    };
    let mut all: Vec<Fired> = fired.iter().cloned().chain(said.map(of)).chain(other).collect();
    strongest_first(&mut all);
    Arc::new(all)
}

fn strongest_first(fired: &mut [Fired]) {
    fired.sort_by(|a, b| b.strength.total_cmp(&a.strength).then_with(|| a.name.cmp(&b.name)));
}

/// What fired for a row, the strongest first.
fn fired(place: usize, numbers: &[u32], evidence: Option<&PairEvidence<'_>>, findings: &Findings) -> Vec<Fired> {
    let of = |name: &str, ln_expected: f64, evidence| Fired {
        name: name.to_owned(),
        strength: -ln_expected / std::f64::consts::LN_10,
        evidence,
    };
    let words = evidence.map(|evidence| evidence.told(place, TOLD)).unwrap_or_default();
    let mut fired: Vec<Fired> = numbers
        .iter()
        .filter_map(|number| findings.list().get(*number as usize))
        .map(|finding| of(finding.detector, finding.ln_expected, finding.evidence.clone()))
        .chain(words.into_iter().map(|(name, ln_expected, evidence)| of(name, ln_expected, evidence)))
        .collect();
    strongest_first(&mut fired);
    fired
}

/// The `group_id`s that feedback asks for, by what decided.
pub(super) struct GroupIds {
    findings: Vec<u64>,
    pairs: HashMap<usize, u64>,
}

impl GroupIds {
    /// Computes them for all findings, and for the pairs of the wanted groups. Nothing where none is wanted.
    pub(super) fn new(day: &DayCorpus, findings: &Findings, wanted: &HashSet<u64>, scheme: &dyn Scheme) -> Self {
        let mut this = Self { findings: Vec::new(), pairs: HashMap::new() };
        if wanted.is_empty() {
            return this;
        }
        this.findings = findings.list().iter().map(finding_id).collect();
        for document in 0..day.corpus.documents() {
            let range = day.corpus.range(document);
            for (place, word) in range.zip(day.corpus.document(document).0) {
                let id = group_id(day.document_name(document as u32), &render(scheme, day.code(*word)));
                if wanted.contains(&id) {
                    this.pairs.insert(place, id);
                }
            }
        }
        this
    }

    /// Of a row by its pair and its finding (number + 1; 0 = the pair decided); 0 for a group nobody asks for.
    pub(super) fn of(&self, place: usize, finding: u32) -> u64 {
        match finding.checked_sub(1) {
            Some(number) => self.findings.get(number as usize).copied().unwrap_or(0),
            None => self.pairs.get(&place).copied().unwrap_or(0),
        }
    }
}

/// The same for the same detector, host and subject, in every run.
fn finding_id(finding: &Finding) -> u64 {
    group_id(&finding.host.to_string(), &format!("{}\0{}", finding.detector, finding.subject()))
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
