//! What a fit leaves: expected counts of topics in documents and in words, and the probabilities made of them.

use rayon::prelude::*;

use super::Corpus;
use super::simd::stride;

/// A fitted topic model.
///
/// Memory: 4·K′ bytes per document and 8·K′ per word, K′ = topics rounded up to 8.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub(super) topics: usize,
    /// N_dk, stride K′, zero-padded.
    pub(super) document_topics: Vec<f32>,
    /// N_wk, stride K′, zero-padded.
    pub(super) word_topics: Vec<f64>,
    /// N_k.
    pub(super) topic_totals: Vec<f64>,
    /// The document offset a = α − 1 of the fit.
    pub(super) document_offset: f64,
    /// The word offset e = η − 1.
    pub(super) word_offset: f64,
    /// Natural log-likelihood of the training tokens under the smoothed model, before the last update.
    pub(super) log_likelihood: f64,
    pub(super) iterations: usize,
}

/// Scores of a (document, word) pair of the training corpus that look at the pair as if it had not been seen: see `LDA` in the manual.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeftOut {
    /// P(word | document) of the model without this pair ("leave the entry out"), above 0.
    pub probability: f64,
    /// log2 of that over the word's share of all other tokens: below 0 = rarer here than elsewhere.
    pub lift_bits: f64,
    /// log10 P(X ≥ count), X Poisson with the rate this document would have of the word. Far below 0 = a burst.
    pub tail_log10: f64,
}

/// The counts around a pair, for [`Model::left_out`].
#[derive(Clone, Copy, Debug)]
pub struct PairCounts {
    /// Tokens of the pair.
    pub pair: f64,
    /// Tokens of the document.
    pub document: f64,
    /// Tokens of the word.
    pub word: f64,
    /// All tokens.
    pub all: f64,
}

impl Model {
    /// Topics.
    pub fn topics(&self) -> usize {
        self.topics
    }

    /// Documents.
    pub fn documents(&self) -> usize {
        self.document_topics.len() / stride(self.topics)
    }

    /// Words.
    pub fn vocabulary(&self) -> usize {
        self.word_topics.len() / stride(self.topics)
    }

    /// Natural log-likelihood of the training tokens under the smoothed model, as of the last iteration's start.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// N_dk of a document, K numbers; `None` for a document the model does not know.
    pub fn document_counts(&self, document: usize) -> Option<&[f32]> {
        self.document_row(document).and_then(|row| row.get(..self.topics))
    }

    /// N_wk of a word, K numbers; `None` for a word the model does not know.
    pub fn word_counts(&self, word: usize) -> Option<&[f64]> {
        self.word_row(word).and_then(|row| row.get(..self.topics))
    }

    /// Iterations done.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// N_k: the tokens of a topic; 0 for one the model does not have.
    pub fn topic_tokens(&self, topic: usize) -> f64 {
        self.topic_totals.get(topic).copied().unwrap_or(0.0)
    }

    fn document_row(&self, document: usize) -> Option<&[f32]> {
        self.document_topics.chunks_exact(stride(self.topics)).nth(document)?.get(..self.topics)
    }

    fn word_row(&self, word: usize) -> Option<&[f64]> {
        self.word_topics.chunks_exact(stride(self.topics)).nth(word)?.get(..self.topics)
    }

    /// θ_d: the document's topic mix without smoothing, N_dk / Σ N_dk. `None` for a document the model does not know or that had no token.
    pub fn topic_mix(&self, document: usize) -> Option<Vec<f32>> {
        let row = self.document_row(document)?;
        let total: f64 = row.iter().map(|n| f64::from(*n)).sum();
        (total > 0.0).then(|| row.iter().map(|n| (f64::from(*n) / total) as f32).collect())
    }

    /// φ_w: the word's probability in each topic without smoothing, N_wk / N_k. Zeros for a word the model does not know.
    pub fn word_vector(&self, word: usize) -> Vec<f64> {
        let mut vector = vec![0.0; self.topics];
        if let Some(row) = self.word_row(word) {
            for ((p, n), total) in vector.iter_mut().zip(row).zip(&self.topic_totals) {
                *p = if *total > 0.0 { n / total } else { 0.0 };
            }
        }
        vector
    }

    /// Spot's score, P(word | document) = Σ θ·φ without smoothing: 0 for an unknown word (the most suspicious), `None` for an
    /// unknown document.
    pub fn probability(&self, document: usize, word: usize) -> Option<f64> {
        Some(dot32(&self.topic_mix(document)?, &self.word_vector(word)))
    }

    /// Spot's score of every (document, word) pair of the training corpus, [`significant`], in the order of its places. Runs on the current rayon pool.
    ///
    /// Memory: 8 bytes per pair and 8·K per word.
    pub fn pair_probabilities(&self, corpus: &Corpus) -> Vec<f64> {
        let words: Vec<f64> = (0..self.vocabulary()).flat_map(|word| self.word_vector(word)).collect();
        (0..corpus.documents())
            .into_par_iter()
            .flat_map_iter(|document| {
                let mix = self.topic_mix(document).unwrap_or_default();
                let words = &words;
                corpus.document(document).0.iter().map(move |word| {
                    let vector = words.chunks_exact(self.topics).nth(*word as usize).unwrap_or_default();
                    significant(dot32(&mix, vector))
                })
            })
            .collect()
    }

    /// The scores of a pair as if it had not been in the corpus: subtracts the pair's expected topic counts from the
    /// document's and the word's, and smooths what is left with the given offsets. `None` where document or word are unknown.
    pub fn left_out(&self, document: usize, word: usize, counts: PairCounts, a: f64, e: f64) -> Option<LeftOut> {
        let (in_document, in_word) = (self.document_row(document)?, self.word_row(word)?);
        let vocabulary = self.vocabulary() as f64;
        let theta = |k: usize| f64::from(in_document[k]) + a;
        let phi = |k: usize| (in_word[k] + e) / (self.topic_totals[k] + vocabulary * e);
        let s: f64 = (0..self.topics).map(|k| theta(k) * phi(k)).sum();
        if s.is_nan() || s <= 0.0 {
            return None;
        }
        let (mut mixed, mut weight) = (0.0, 0.0);
        for k in 0..self.topics {
            let taken = counts.pair * theta(k) * phi(k) / s;
            let rest = (f64::from(in_document[k]) - taken).max(0.0) + a;
            let total = (self.topic_totals[k] - taken).max(0.0) + vocabulary * e;
            mixed += rest * (((in_word[k] - taken).max(0.0) + e) / total);
            weight += rest;
        }
        let probability = (mixed / weight).clamp(f64::MIN_POSITIVE, 1.0);
        let elsewhere =
            ((counts.word - counts.pair).max(0.0) + e) / ((counts.all - counts.pair).max(0.0) + vocabulary * e);
        let rate = (counts.document - counts.pair).max(1.0) * probability;
        Some(LeftOut {
            probability,
            lift_bits: super::math::log2(probability / elsewhere),
            tail_log10: super::special::poisson_tail_ln(counts.pair, rate) / std::f64::consts::LN_10,
        })
    }
}

/// A probability to 16 significant bits (relative 8e-6). A fit in f32 from random starts says no more: pairs of equal evidence come out equal, so
/// that a ranking breaks their tie by the record and not by noise.
pub fn significant(probability: f64) -> f64 {
    const DROPPED: u32 = f64::MANTISSA_DIGITS - 1 - 16;
    let bits = probability.max(0.0).to_bits().saturating_add(1 << (DROPPED - 1));
    f64::from_bits(bits & (u64::MAX << DROPPED)).min(1.0)
}

/// Σ θ·φ with both in f64.
pub fn dot64(mix: &[f64], word: &[f64]) -> f64 {
    mix.iter().zip(word).map(|(a, b)| a * b).sum()
}

/// Σ θ·φ with the mix in f32, as Spot's 32-bit transport of topic mixes has it.
pub fn dot32(mix: &[f32], word: &[f64]) -> f64 {
    mix.iter().zip(word).map(|(a, b)| f64::from(*a) * b).sum()
}
