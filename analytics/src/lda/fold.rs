//! New documents under a model that is there already: their mixes, with the words' topics as they are.

use rayon::prelude::*;

use super::simd::stride;
use super::{Corpus, Model};

/// Sweeps of a document.
const SWEEPS: usize = 12;

impl Model {
    /// A model of another corpus with this one's topics. `word_counts` has N_wk of each of the corpus's words, K numbers a word; a word of zeros is one this
    /// model has not seen: it takes its tokens' share of every topic. `start` gives the mix a document begins from (K expected counts), where it is known.
    /// Runs on the current rayon pool; the same for any number of threads.
    ///
    /// Memory: that of the model it gives, and 8·K per word more.
    #[must_use]
    pub fn fold_in<'m>(
        &self,
        corpus: &Corpus,
        word_counts: &[f64],
        start: &(dyn Fn(usize) -> Option<&'m [f32]> + Sync),
    ) -> Self {
        let topics = self.topics;
        let (tokens, _) = corpus.word_totals();
        let all = tokens.iter().sum::<u64>().max(1) as f64;
        let mut words = vec![0.0; corpus.vocabulary() * topics];
        for ((row, given), tokens) in
            words.chunks_exact_mut(topics.max(1)).zip(word_counts.chunks_exact(topics.max(1))).zip(&tokens)
        {
            if given.iter().any(|n| *n > 0.0) {
                row.copy_from_slice(given);
            } else {
                let share = *tokens as f64 / all;
                row.iter_mut().zip(&self.topic_totals).for_each(|(n, total)| *n = total * share);
            }
        }
        let mut totals = vec![0.0; topics];
        for row in words.chunks_exact(topics.max(1)) {
            totals.iter_mut().zip(row).for_each(|(total, n)| *total += n);
        }
        let (a, e) = (self.document_offset, self.word_offset);
        let vocabulary = corpus.vocabulary() as f64;
        let phi: Vec<f64> = words
            .chunks_exact(topics.max(1))
            .flat_map(|row| {
                row.iter().zip(&totals).map(|(n, total)| (n + e) / (total + vocabulary * e).max(f64::MIN_POSITIVE))
            })
            .collect();
        let documents: Vec<(Vec<f32>, f64)> = (0..corpus.documents())
            .into_par_iter()
            .map(|document| mix(corpus, document, &phi, topics, a, start(document)))
            .collect();
        let stride = stride(topics);
        let mut document_topics = Vec::with_capacity(documents.len() * stride);
        let mut log_likelihood = 0.0;
        for (row, likelihood) in documents {
            document_topics.extend(row);
            document_topics.resize(document_topics.len().next_multiple_of(stride), 0.0);
            log_likelihood += likelihood;
        }
        let mut word_topics = Vec::with_capacity(corpus.vocabulary() * stride);
        for row in words.chunks_exact(topics.max(1)) {
            word_topics.extend_from_slice(row);
            word_topics.resize(word_topics.len().next_multiple_of(stride), 0.0);
        }
        let iterations = self.iterations;
        Self {
            topics,
            document_topics,
            word_topics,
            topic_totals: totals,
            document_offset: a,
            word_offset: e,
            log_likelihood,
            iterations,
        }
    }
}

/// Expected topic counts of a document, and the log-likelihood of its tokens.
fn mix(corpus: &Corpus, document: usize, phi: &[f64], topics: usize, a: f64, start: Option<&[f32]>) -> (Vec<f32>, f64) {
    let (words, counts) = corpus.document(document);
    let tokens: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    let mut row = vec![tokens / topics as f64; topics];
    if let Some(start) = start {
        let sum: f64 = start.iter().map(|n| f64::from(*n)).sum();
        if sum > 0.0 {
            row.iter_mut().zip(start).for_each(|(n, start)| *n = tokens * f64::from(*start) / sum);
        }
    }
    let mut likelihood = 0.0;
    for _ in 0..SWEEPS {
        let theta: Vec<f64> =
            row.iter().map(|n| (n + a) / (tokens + a * topics as f64).max(f64::MIN_POSITIVE)).collect();
        row.fill(0.0);
        likelihood = 0.0;
        for (word, count) in words.iter().zip(counts) {
            let from = *word as usize * topics;
            let of_word = phi.get(from..from + topics).unwrap_or_default();
            let s: f64 = theta.iter().zip(of_word).map(|(t, p)| t * p).sum();
            if s > 0.0 {
                let weight = f64::from(*count) / s;
                row.iter_mut().zip(theta.iter().zip(of_word)).for_each(|(n, (t, p))| *n += weight * t * p);
                likelihood += f64::from(*count) * super::math::ln(s);
            }
        }
    }
    (row.into_iter().map(|n| n as f32).collect(), likelihood)
}
