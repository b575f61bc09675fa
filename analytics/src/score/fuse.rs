//! One measure for all evidence, and one rule to add it up.
//!
//! Every score of a (document, word) pair and every finding of a detector is turned into the number of cases at least as strong that a
//! day like this has by chance ([`Tail`]). Evidence adds up as 1/E = Σ 1/Eᵢ: the limit of the Cauchy combination of p-values (Liu and Xie 2020) for small
//! p, which holds whatever the dependence between them, as the harmonic mean does (Wilson 2019). The rule has no weights to tune; a
//! score whose direction is wrong for a source does not take part ([`scores_of`]).

use aggregator::lake::Source;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::judge::LEFT_OUT_PRIORS;
use super::train::DayCorpus;
use crate::detect::tail::{Scale, Tail};
use crate::lda::Model;
use crate::lda::model::{LeftOut, PairCounts};

/// A score of a (document, word) pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairScore {
    /// −ln P(word | document), Spot's.
    Surprise,
    /// How much rarer the word is here than elsewhere, had it not been seen here.
    Lift,
    /// A burst: so many of a word that the document should hardly have.
    Burst,
    /// Few documents have the word at all.
    RareWord,
}

impl PairScore {
    /// Its name in `detectors`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Surprise => "unlikely word",
            Self::Lift => "word of others",
            Self::Burst => "burst",
            Self::RareWord => "rare word",
        }
    }

    /// What its statistic is. Traffic comes in bursts, which the Poisson law of the tail test does not know: the surprise of a burst is taken as a quantity
    /// with a heavy tail of its own, of which 20 nats are usual.
    const fn scale(self) -> Scale {
        match self {
            Self::Burst => Scale::Quantity { usual: 3.0 },
            Self::Surprise | Self::Lift | Self::RareWord => Scale::Probability,
        }
    }

    /// The statistic: larger is more suspicious.
    fn of(self, values: &PairValues) -> f64 {
        let statistic = match self {
            Self::Surprise => -values.score.max(1e-300).ln(),
            Self::Lift => values.left_out.map_or(0.0, |left| -left.lift_bits * std::f64::consts::LN_2),
            Self::Burst => {
                let surprise = values.left_out.map_or(0.0, |left| -left.tail_log10 * std::f64::consts::LN_10);
                (1.0 + surprise.max(0.0)).ln()
            }
            Self::RareWord => (values.documents / values.word_documents.max(1.0)).ln(),
        };
        if statistic.is_finite() { statistic.max(0.0) } else { 0.0 }
    }
}

/// The scores that take part in a source's fusion: those that were better than chance on most of the development sets of the source
/// (`perf/eval`; ROC-AUC on the flow sets botnet-4, 001, 008: lift .62 .84 .68, P(word | document) .53 .82 .19; left out are the Poisson tail, .45 .35 .78, and
/// the document frequency, .40 .68 .20; on the questions of 009 only rarity of the word, .998, held). No labelled set of requests is of use: there the scores
/// are those of Spot and the rarity of the word.
pub const fn scores_of(source: Source) -> &'static [PairScore] {
    match source {
        Source::Flow => &[PairScore::Surprise, PairScore::Lift],
        Source::Dns => &[PairScore::RareWord],
        Source::Proxy => &[PairScore::Surprise, PairScore::RareWord],
    }
}

/// What the scores of a pair are made of.
struct PairValues {
    score: f64,
    left_out: Option<LeftOut>,
    documents: f64,
    word_documents: f64,
}

/// Adds evidence up: ln E of all from ln Eᵢ of each.
pub fn add_up(expected: impl Iterator<Item = f64>) -> f64 {
    // −ln Σ exp(−ln Eᵢ), the largest term taken out.
    let (mut least, mut sum) = (f64::INFINITY, 0.0_f64);
    for ln_expected in expected.filter(|value| !value.is_nan()) {
        if ln_expected < least {
            sum = sum * (ln_expected - least).exp() + 1.0;
            least = ln_expected;
        } else {
            sum += (least - ln_expected).exp();
        }
    }
    if sum > 0.0 { least - sum.ln() } else { f64::INFINITY }
}

/// How a score of pairs was calibrated on a day: kept with the model, for records that come later.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calibration {
    /// Which score.
    score: PairScore,
    /// The day's tail.
    tail: Tail,
}

/// The scores of all pairs of a day, calibrated.
///
/// Memory: 8 bytes a pair; while it is made 8 more for each score.
pub(super) struct PairEvidence<'a> {
    day: &'a DayCorpus,
    model: &'a Model,
    scores: &'a [f64],
    word_tokens: Vec<u64>,
    word_documents: Vec<u64>,
    all_tokens: f64,
    families: Vec<(PairScore, Tail)>,
    /// ln E by place.
    expected: Vec<f64>,
}

impl<'a> PairEvidence<'a> {
    /// Calibrated on the day itself.
    pub(super) fn new(day: &'a DayCorpus, model: &'a Model, scores: &'a [f64], source: Source) -> Self {
        Self::with(day, model, scores, scores_of(source), None)
    }

    /// Calibrated on an earlier day.
    pub(super) fn calibrated(
        day: &'a DayCorpus,
        model: &'a Model,
        scores: &'a [f64],
        calibrations: Vec<Calibration>,
    ) -> Self {
        let kinds: Vec<PairScore> = calibrations.iter().map(|calibration| calibration.score).collect();
        Self::with(day, model, scores, &kinds, Some(calibrations))
    }

    fn with(
        day: &'a DayCorpus,
        model: &'a Model,
        scores: &'a [f64],
        kinds: &[PairScore],
        calibrations: Option<Vec<Calibration>>,
    ) -> Self {
        let (word_tokens, word_documents) = day.corpus.word_totals();
        let all_tokens = word_tokens.iter().sum::<u64>() as f64;
        let mut this = Self {
            day,
            model,
            scores,
            word_tokens,
            word_documents,
            all_tokens,
            families: Vec::new(),
            expected: Vec::new(),
        };
        let documents = day.corpus.documents();
        // By document, in order: the same for any number of threads.
        let statistics: Vec<Vec<f64>> = (0..documents)
            .into_par_iter()
            .map(|document| {
                let tokens = day.corpus.document_tokens(document) as f64;
                let mut row = Vec::with_capacity(day.corpus.range(document).len() * kinds.len());
                for place in day.corpus.range(document) {
                    let values = this.values(document, place, tokens);
                    row.extend(kinds.iter().map(|kind| kind.of(&values)));
                }
                row
            })
            .collect();
        let columns: Vec<Vec<f64>> = (0..kinds.len())
            .map(|column| statistics.iter().flatten().skip(column).step_by(kinds.len()).copied().collect())
            .collect();
        drop(statistics);
        this.families = match calibrations {
            Some(given) => given.into_iter().map(|Calibration { score, tail }| (score, tail)).collect(),
            None => {
                let of =
                    |(kind, column): (&PairScore, &Vec<f64>)| (*kind, Tail::new(&mut column.clone(), kind.scale()));
                kinds.iter().zip(&columns).map(of).collect()
            }
        };
        this.expected = (0..scores.len())
            .into_par_iter()
            .map(|place| {
                let each = this.families.iter().zip(&columns);
                add_up(each.map(|((_, tail), column)| tail.ln_expected(column.get(place).copied().unwrap_or(0.0))))
            })
            .collect();
        this
    }

    fn values(&self, document: usize, place: usize, tokens: f64) -> PairValues {
        let (word, count) = self.day.corpus.pair(place).unwrap_or_default();
        let of = |list: &[u64]| list.get(word as usize).copied().unwrap_or(0) as f64;
        let counts =
            PairCounts { pair: count.into(), document: tokens, word: of(&self.word_tokens), all: self.all_tokens };
        let [a, e] = LEFT_OUT_PRIORS;
        PairValues {
            score: self.scores.get(place).copied().unwrap_or(1.0),
            left_out: self.model.left_out(document, word as usize, counts, a, e),
            documents: self.day.corpus.documents() as f64,
            word_documents: of(&self.word_documents),
        }
    }

    /// How each score was calibrated.
    pub(super) fn calibrations(&self) -> Vec<Calibration> {
        self.families.iter().map(|(score, tail)| Calibration { score: *score, tail: tail.clone() }).collect()
    }

    /// ln E of a pair.
    pub(super) fn expected(&self, place: usize) -> f64 {
        self.expected.get(place).copied().unwrap_or(f64::INFINITY)
    }

    /// The scores of a pair by which fewer than `most` such pairs are expected: name, ln E, in words.
    pub(super) fn told(&self, place: usize, most: f64) -> Vec<(&'static str, f64, String)> {
        let document = self.day.corpus.document_of(place) as usize;
        let tokens = self.day.corpus.document_tokens(document) as f64;
        let values = self.values(document, place, tokens);
        let count = self.day.corpus.pair(place).map_or(0, |(_, count)| count);
        let mut told = Vec::new();
        for (kind, tail) in &self.families {
            let ln_expected = tail.ln_expected(kind.of(&values));
            if ln_expected > most.ln() {
                continue;
            }
            let evidence = match kind {
                PairScore::Surprise => format!("P(word | host) is {:.2e}", values.score),
                PairScore::Lift => values.left_out.map_or_else(String::new, |left| {
                    format!(
                        "the host would have this word {:.0} times less often than others",
                        (-left.lift_bits).exp2()
                    )
                }),
                PairScore::Burst => values.left_out.map_or_else(String::new, |left| {
                    format!(
                        "{count} of it, where {:.2} are expected",
                        (tokens - f64::from(count)).max(1.0) * left.probability
                    )
                }),
                PairScore::RareWord => {
                    format!("{} of {} hosts have this word", values.word_documents, values.documents)
                }
            };
            told.push((kind.as_str(), ln_expected, evidence));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn evidence_adds_as_rates_of_surprise() {
        // Two pieces of which half a case is expected each: a quarter.
        assert!((add_up([0.5_f64.ln(); 2].into_iter()) - 0.25_f64.ln()).abs() < 1e-12);
        // Beside strong evidence weak evidence says nothing.
        assert!((add_up([-700.0, 8.0, f64::INFINITY].into_iter()) + 700.0).abs() < 1e-9);
        assert_eq!(add_up(std::iter::empty()), f64::INFINITY);
    }

    proptest! {
        #[test]
        fn more_evidence_is_never_less_suspicious(values in proptest::collection::vec(-5000.0..50.0_f64, 1..8), extra in -5000.0..50.0_f64) {
            let before = add_up(values.iter().copied());
            let after = add_up(values.iter().copied().chain([extra]));
            prop_assert!(before.is_finite() && after <= before + 1e-9);
            let mut turned = values.clone();
            turned.reverse();
            prop_assert!((add_up(turned.into_iter()) - before).abs() < 1e-6);
        }
    }
}
