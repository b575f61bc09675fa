//! Online variational Bayes (Hoffman, Blei and Bach), for corpora too large for passes and for Spot's `online` setting.
//!
//! Differs from Spot on purpose in one thing: Spot's mini-batch is about one document, so its 20 iterations see 21 documents; here a
//! mini-batch is [`OnlineParameters::batch`] documents, drawn from the whole corpus with the seed. Expectations are computed as log
//! differences against the largest, so that ψ of a small prior (e^−1111 at 0.0009) neither underflows all topics nor makes NaN.

use rayon::prelude::*;

use super::math::{exp, ln};
use super::random::Random;
use super::simd::stride;
use super::special::{digamma, trigamma};
use super::{Corpus, LdaError, Model, Progress, check_positive, check_topics};

/// Parameters. The defaults are those Spot's documentation recommends for this optimiser.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OnlineParameters {
    /// K.
    pub topics: usize,
    /// Document concentration to start from, above 0; optimised as the fit goes (Newton, as Blei, Ng and Jordan A.4.2).
    pub alpha: f64,
    /// Topic concentration, above 0.
    pub beta: f64,
    /// Iterations (mini-batches).
    pub iterations: usize,
    /// Documents of a mini-batch.
    pub batch: usize,
    /// Seed.
    pub seed: u64,
}

impl Default for OnlineParameters {
    fn default() -> Self {
        Self { topics: 20, alpha: 0.0009, beta: 0.00001, iterations: 200, batch: 256, seed: 0 }
    }
}

/// Learning rate (tau0 + t)^−kappa, and the shape of the first draw, as Spot sets them.
const TAU0: f64 = 1024.0;
const KAPPA: f64 = 0.51;
const SHAPE: f64 = 100.0;
/// Rounds of a document's inference, and the mean change at which it stops.
const ROUNDS: usize = 100;
const CHANGE: f64 = 1e-3;

/// Fits a model on the current rayon pool.
///
/// Memory, K′ = topics rounded up to 8: 16·K′ bytes per word, 4·K′ per document, and the words of a mini-batch × 8·K.
///
/// # Errors
/// A parameter out of range, or `progress` said stop.
pub fn fit(corpus: &Corpus, parameters: &OnlineParameters, progress: Progress<'_>) -> Result<Model, LdaError> {
    let OnlineParameters { topics, alpha, beta, iterations, batch, seed } = *parameters;
    check_topics(topics)?;
    check_positive("alpha", alpha)?;
    check_positive("beta", beta)?;
    check_positive("batch", batch as f64)?;
    let filled: Vec<usize> = (0..corpus.documents()).filter(|d| !corpus.range(*d).is_empty()).collect();
    let mut state = State::new(corpus, topics, alpha, seed);
    for done in 0..iterations {
        if !progress(done, iterations) {
            return Err(LdaError::Stopped);
        }
        let documents = draw(&filled, batch, seed, done);
        state.step(&documents, filled.len(), beta, done);
    }
    progress(iterations, iterations);
    Ok(state.into_model(beta, iterations))
}

/// The documents of a mini-batch: all of them if there are no more, else a sample without repetition.
fn draw(filled: &[usize], batch: usize, seed: u64, iteration: usize) -> Vec<usize> {
    if filled.len() <= batch {
        return filled.to_vec();
    }
    let mut random = Random::at(seed ^ 0x6f6e_6c69_6e65, iteration as u64);
    // Floyd's sampling: `batch` draws, each once.
    let mut chosen = std::collections::BTreeSet::new();
    for last in filled.len() - batch..filled.len() {
        let at = random.below(last + 1);
        if !chosen.insert(at) {
            chosen.insert(last);
        }
    }
    chosen.into_iter().filter_map(|at| filled.get(at).copied()).collect()
}

struct State<'a> {
    corpus: &'a Corpus,
    topics: usize,
    stride: usize,
    alpha: Vec<f64>,
    /// λ, V × K′.
    lambda: Vec<f64>,
    totals: Vec<f64>,
}

/// What inference says of one document.
struct Inferred {
    gamma: Vec<f64>,
    /// c·γ of each of its words, K numbers a word.
    weights: Vec<f64>,
}

impl<'a> State<'a> {
    fn new(corpus: &'a Corpus, topics: usize, alpha: f64, seed: u64) -> Self {
        let stride = stride(topics);
        let mut lambda = vec![0.0; corpus.vocabulary() * stride];
        for (word, row) in lambda.chunks_exact_mut(stride).enumerate() {
            let mut random = Random::at(seed, word as u64);
            for value in row.iter_mut().take(topics) {
                *value = random.gamma(SHAPE) / SHAPE;
            }
        }
        let mut state = Self { corpus, topics, stride, alpha: vec![alpha; topics], lambda, totals: vec![0.0; topics] };
        state.sum_up();
        state
    }

    fn sum_up(&mut self) {
        self.totals.fill(0.0);
        for row in self.lambda.chunks_exact(self.stride) {
            for (total, value) in self.totals.iter_mut().zip(row) {
                *total += value;
            }
        }
    }

    /// Variational inference of one document; the start is the same every time.
    fn infer(&self, document: usize, totals: &[f64]) -> Inferred {
        let (words, counts) = self.corpus.document(document);
        // E[ln β] of its words.
        let mut beta = Vec::with_capacity(words.len() * self.topics);
        for word in words {
            let at = *word as usize * self.stride;
            let row = &self.lambda[at..at + self.topics];
            beta.extend(row.iter().zip(totals).map(|(l, t)| digamma(l.max(f64::MIN_POSITIVE)) - t));
        }
        let tokens: f64 = counts.iter().map(|c| f64::from(*c)).sum();
        let mut gamma: Vec<f64> = self.alpha.iter().map(|a| a + tokens / self.topics as f64).collect();
        let mut weights = vec![0.0; beta.len()];
        for _ in 0..ROUNDS {
            let theta: Vec<f64> = gamma.iter().map(|g| digamma(g.max(f64::MIN_POSITIVE))).collect();
            let mut next = self.alpha.clone();
            for ((beta, weights), count) in
                beta.chunks_exact(self.topics).zip(weights.chunks_exact_mut(self.topics)).zip(counts)
            {
                softmax(&theta, beta, f64::from(*count), weights);
                for (next, weight) in next.iter_mut().zip(weights.iter()) {
                    *next += weight;
                }
            }
            let change: f64 = next.iter().zip(&gamma).map(|(a, b)| (a - b).abs()).sum::<f64>() / self.topics as f64;
            gamma = next;
            if change < CHANGE {
                break;
            }
        }
        Inferred { gamma, weights }
    }

    fn digamma_totals(&self) -> Vec<f64> {
        self.totals.iter().map(|t| digamma(t.max(f64::MIN_POSITIVE))).collect()
    }

    fn step(&mut self, documents: &[usize], all: usize, eta: f64, iteration: usize) {
        if documents.is_empty() {
            return;
        }
        let totals = self.digamma_totals();
        let inferred: Vec<Inferred> = documents.par_iter().map(|d| self.infer(*d, &totals)).collect();
        let rho = exp(-KAPPA * ln(TAU0 + iteration as f64 + 1.0));
        let scale = rho * all as f64 / documents.len() as f64;
        for row in self.lambda.chunks_exact_mut(self.stride) {
            for value in row.iter_mut().take(self.topics) {
                *value = (1.0 - rho) * *value + rho * eta;
            }
        }
        for (document, inferred) in documents.iter().zip(&inferred) {
            let (words, _) = self.corpus.document(*document);
            for (word, weights) in words.iter().zip(inferred.weights.chunks_exact(self.topics)) {
                let at = *word as usize * self.stride;
                for (value, weight) in self.lambda[at..at + self.topics].iter_mut().zip(weights) {
                    *value += scale * weight;
                }
            }
        }
        self.sum_up();
        self.update_alpha(&inferred, rho);
    }

    /// One Newton step of the document concentration, damped by the learning rate; kept positive.
    fn update_alpha(&mut self, inferred: &[Inferred], rho: f64) {
        let n = inferred.len() as f64;
        let mut log_theta = vec![0.0; self.topics];
        for document in inferred {
            let total = digamma(document.gamma.iter().sum::<f64>().max(f64::MIN_POSITIVE));
            for (sum, gamma) in log_theta.iter_mut().zip(&document.gamma) {
                *sum += (digamma(gamma.max(f64::MIN_POSITIVE)) - total) / n;
            }
        }
        let total: f64 = self.alpha.iter().sum();
        let gradient: Vec<f64> =
            self.alpha.iter().zip(&log_theta).map(|(a, l)| n * (digamma(total) - digamma(*a) + l)).collect();
        let q: Vec<f64> = self.alpha.iter().map(|a| -n * trigamma(*a)).collect();
        let c = n * trigamma(total);
        let b = gradient.iter().zip(&q).map(|(g, q)| g / q).sum::<f64>()
            / (1.0 / c + q.iter().map(|q| 1.0 / q).sum::<f64>());
        let next: Vec<f64> =
            self.alpha.iter().zip(gradient.iter().zip(&q)).map(|(a, (g, q))| a + rho * -(g - b) / q).collect();
        if next.iter().all(|a| a.is_finite() && *a > 0.0) {
            self.alpha = next;
        }
    }

    fn into_model(self, eta: f64, iterations: usize) -> Model {
        let totals = self.digamma_totals();
        let rows: Vec<(Vec<f64>, f64)> = (0..self.corpus.documents())
            .into_par_iter()
            .map(|document| {
                let inferred = self.infer(document, &totals);
                let likelihood = self.likelihood(document, &inferred.gamma);
                (inferred.gamma, likelihood)
            })
            .collect();
        let mut document_topics = vec![0.0_f32; self.corpus.documents() * self.stride];
        let mut log_likelihood = 0.0;
        for ((row, (gamma, likelihood)), document) in document_topics.chunks_exact_mut(self.stride).zip(&rows).zip(0..)
        {
            log_likelihood += likelihood;
            // A document without tokens stays without a mix.
            if !self.corpus.range(document).is_empty() {
                for (value, gamma) in row.iter_mut().zip(gamma) {
                    *value = *gamma as f32;
                }
            }
        }
        Model {
            topics: self.topics,
            document_topics,
            word_topics: self.lambda,
            topic_totals: self.totals,
            document_offset: self.alpha.iter().sum::<f64>() / self.topics as f64,
            word_offset: eta,
            log_likelihood,
            iterations,
        }
    }

    fn likelihood(&self, document: usize, gamma: &[f64]) -> f64 {
        let weight: f64 = gamma.iter().sum();
        let (words, counts) = self.corpus.document(document);
        let mut sum = 0.0;
        for (word, count) in words.iter().zip(counts) {
            let at = *word as usize * self.stride;
            let row = &self.lambda[at..at + self.topics];
            let p: f64 = row.iter().zip(&self.totals).zip(gamma).map(|((l, t), g)| l / t * g / weight).sum();
            sum += f64::from(*count) * ln(p);
        }
        sum
    }
}

/// weights ← count · softmax(theta + beta).
fn softmax(theta: &[f64], beta: &[f64], count: f64, weights: &mut [f64]) {
    let mut largest = f64::NEG_INFINITY;
    for ((weight, theta), beta) in weights.iter_mut().zip(theta).zip(beta) {
        *weight = theta + beta;
        largest = largest.max(*weight);
    }
    let mut sum = 0.0;
    for weight in weights.iter_mut() {
        *weight = exp(*weight - largest);
        sum += *weight;
    }
    for weight in weights.iter_mut() {
        *weight *= count / sum;
    }
}
