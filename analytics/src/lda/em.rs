//! Batch MAP-EM.
//!
//! With offsets a = α − 1, e = η − 1 and θ_dk = N_dk + a, φ_wk = (N_wk + e)/(N_k + V·e), an iteration is, for every pair of
//! count c: s = Σ_k θ_dk φ_wk, r = c/s; then N_dk ← θ_dk Σ_w r φ_wk and N_wk ← φ_wk Σ_d r θ_dk. That is
//! γ ∝ (N_wk+e)(N_dk+a)/(N_k+Ve) with the counts re-aggregated, as Spark's `EMLDAOptimizer` does it edge by edge.

use rayon::prelude::*;

use super::kernel::{add_scaled, dot};
use super::math::ln;
use super::random::Random;
use super::simd::{self, Instructions, stride};
use super::{Corpus, LdaError, Model, Progress, check_positive, check_topics};

/// Work units of an iteration: each has its own f32 sums, added up in f64 in the units' order.
const UNITS: usize = 32;

/// Parameters. The defaults are Spot's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EmParameters {
    /// K.
    pub topics: usize,
    /// α, above 1 (the offset α − 1 acts).
    pub alpha: f64,
    /// η (Spot calls it beta), above 1.
    pub beta: f64,
    /// Iterations.
    pub iterations: usize,
    /// Seed of the first assignment.
    pub seed: u64,
}

impl Default for EmParameters {
    fn default() -> Self {
        Self { topics: 20, alpha: 1.02, beta: 1.001, iterations: 20, seed: 0 }
    }
}

/// Fits a model on the current rayon pool.
///
/// Memory, with K′ = topics rounded up to 8: 4·K′ + 4 bytes per document, 4 per pair, (8 + 4)·K′ per word, and 4·K′ per word and thread.
///
/// # Errors
/// A parameter out of range, or `progress` said stop.
pub fn fit(corpus: &Corpus, parameters: &EmParameters, progress: Progress<'_>) -> Result<Model, LdaError> {
    let EmParameters { topics, alpha, beta, iterations, seed } = *parameters;
    check_topics(topics)?;
    check_positive("alpha - 1", alpha - 1.0)?;
    check_positive("beta - 1", beta - 1.0)?;
    let mut fit = Fit::new(corpus, parameters);
    fit.pass(Pass::Assign(seed));
    let mut log_likelihood = 0.0;
    for done in 0..iterations {
        if !progress(done, iterations) {
            return Err(LdaError::Stopped);
        }
        log_likelihood = fit.pass(Pass::Sweep { log_likelihood: done + 1 == iterations });
    }
    progress(iterations, iterations);
    let Fit { document_topics, word_topics, topic_totals, .. } = fit;
    Ok(Model {
        topics,
        document_topics,
        word_topics,
        topic_totals,
        document_offset: alpha - 1.0,
        word_offset: beta - 1.0,
        log_likelihood,
        iterations,
    })
}

/// What a pass over the corpus does.
#[derive(Clone, Copy)]
enum Pass {
    /// Draws the first soft assignment of every pair.
    Assign(u64),
    /// One iteration of EM.
    Sweep { log_likelihood: bool },
}

struct Fit<'a> {
    corpus: &'a Corpus,
    units: Vec<std::ops::Range<usize>>,
    topics: usize,
    stride: usize,
    a: f32,
    e: f64,
    document_topics: Vec<f32>,
    word_topics: Vec<f64>,
    topic_totals: Vec<f64>,
    phi: Vec<f32>,
    counts: Vec<f32>,
    /// 1 for each document.
    weights: Vec<f32>,
    instructions: Instructions,
}

impl<'a> Fit<'a> {
    fn new(corpus: &'a Corpus, parameters: &EmParameters) -> Self {
        let stride = stride(parameters.topics);
        Self {
            corpus,
            units: corpus.units(UNITS),
            topics: parameters.topics,
            stride,
            a: (parameters.alpha - 1.0) as f32,
            e: parameters.beta - 1.0,
            document_topics: vec![0.0; corpus.documents() * stride],
            word_topics: vec![0.0; corpus.vocabulary() * stride],
            topic_totals: vec![0.0; parameters.topics],
            phi: vec![0.0; corpus.vocabulary() * stride],
            counts: corpus.counts_f32(),
            weights: vec![1.0; corpus.documents()],
            instructions: Instructions::detect(),
        }
    }

    /// Runs a pass over all units and takes over its counts. Returns the log-likelihood before it, if asked for.
    fn pass(&mut self, pass: Pass) -> f64 {
        let Self { corpus, units, topics, stride, a, document_topics, word_topics, topic_totals, phi, .. } = self;
        let (corpus, topics, stride, a) = (*corpus, *topics, *stride, *a);
        let (counts, weights, instructions) = (&self.counts, &self.weights, self.instructions);
        let mut slices = split(document_topics, units, stride);
        let mut sums = vec![vec![0.0_f32; corpus.vocabulary() * stride]; rayon::current_num_threads().clamp(1, UNITS)];
        let mut log_likelihood = 0.0;
        word_topics.fill(0.0);
        let abreast = sums.len();
        for (units, slices) in units.chunks(abreast).zip(slices.chunks_mut(abreast)) {
            let likelihoods: Vec<f64> = units
                .par_iter()
                .zip(slices.par_iter_mut())
                .zip(sums.par_iter_mut())
                .map(|((unit, slice), sums)| {
                    sums.fill(0.0);
                    let mut work = Unit { corpus, counts, weights, instructions, topics, stride, phi, a, sums };
                    match pass {
                        Pass::Assign(seed) => work.assign(unit.clone(), slice, seed),
                        Pass::Sweep { log_likelihood } => work.sweep(unit.clone(), slice, log_likelihood),
                    }
                })
                .collect();
            for likelihood in likelihoods {
                log_likelihood += likelihood;
            }
            // In the units' order, so that the sum does not depend on how many run abreast.
            word_topics.par_chunks_mut(stride * 4096).enumerate().for_each(|(chunk, totals)| {
                for sums in sums.iter().take(units.len()) {
                    let from = chunk * stride * 4096;
                    for (total, sum) in totals.iter_mut().zip(sums.iter().skip(from)) {
                        *total += f64::from(*sum);
                    }
                }
            });
        }
        if matches!(pass, Pass::Sweep { .. }) {
            word_topics.par_iter_mut().zip(phi.par_iter()).for_each(|(n, phi)| *n *= f64::from(*phi));
        }
        topic_totals.fill(0.0);
        for row in word_topics.chunks_exact(stride) {
            for (total, n) in topic_totals.iter_mut().zip(row) {
                *total += n;
            }
        }
        self.rebuild_phi();
        log_likelihood
    }

    fn rebuild_phi(&mut self) {
        let Self { corpus, topics, stride, e, word_topics, topic_totals, phi, .. } = self;
        let smoothing = corpus.vocabulary() as f64 * *e;
        let inverse: Vec<f64> = topic_totals.iter().map(|total| 1.0 / (total + smoothing)).collect();
        phi.par_chunks_exact_mut(*stride).zip(word_topics.par_chunks_exact(*stride)).for_each(|(phi, row)| {
            for ((phi, n), inverse) in phi.iter_mut().zip(row).zip(&inverse).take(*topics) {
                *phi = ((n + *e) * inverse) as f32;
            }
        });
    }
}

/// Cuts the documents' rows at the units' borders.
fn split<'s>(mut rows: &'s mut [f32], units: &[std::ops::Range<usize>], stride: usize) -> Vec<&'s mut [f32]> {
    let mut slices = Vec::with_capacity(units.len());
    for unit in units {
        let (slice, rest) = rows.split_at_mut(unit.len() * stride);
        slices.push(slice);
        rows = rest;
    }
    slices
}

/// One unit of documents at work.
struct Unit<'a> {
    corpus: &'a Corpus,
    topics: usize,
    stride: usize,
    counts: &'a [f32],
    weights: &'a [f32],
    instructions: Instructions,
    phi: &'a [f32],
    a: f32,
    /// Σ r·θ (sweep) or Σ c·γ (first assignment) by word.
    sums: &'a mut [f32],
}

impl Unit<'_> {
    fn assign(&mut self, documents: std::ops::Range<usize>, rows: &mut [f32], seed: u64) -> f64 {
        let mut gamma = vec![0.0_f32; self.stride];
        for (document, row) in documents.zip(rows.chunks_exact_mut(self.stride)) {
            row.fill(0.0);
            let (words, counts) = self.corpus.document(document);
            for (word, count) in words.iter().zip(counts) {
                let mut random = Random::at(seed, (document as u64) << 32 | u64::from(*word));
                let mut sum = 0.0;
                for gamma in gamma.iter_mut().take(self.topics) {
                    *gamma = random.open01() as f32;
                    sum += *gamma;
                }
                let scale = *count as f32 / sum;
                add_scaled(row, scale, &gamma);
                let at = *word as usize * self.stride;
                add_scaled(&mut self.sums[at..at + self.stride], scale, &gamma);
            }
        }
        0.0
    }

    fn sweep(&mut self, documents: std::ops::Range<usize>, rows: &mut [f32], log_likelihood: bool) -> f64 {
        let likelihood = if log_likelihood { self.log_likelihood(documents.clone(), rows) } else { 0.0 };
        let (offsets, words) = self.corpus.offsets_and_words();
        let unit = simd::Unit {
            stride: self.stride,
            phi: self.phi,
            offsets: &offsets[documents.start..=documents.end],
            words,
            counts: self.counts,
            weights: &self.weights[documents],
            a: self.a,
            sweeps: 1,
        };
        assert!(unit.run(self.instructions, rows, Some(self.sums)), "a corpus fits its own model");
        likelihood
    }

    fn log_likelihood(&self, documents: std::ops::Range<usize>, rows: &[f32]) -> f64 {
        let mut theta = vec![0.0_f32; self.stride];
        let mut likelihood = 0.0;
        for (document, row) in documents.zip(rows.chunks_exact(self.stride)) {
            let mut weight = 0.0_f64;
            for (theta, n) in theta.iter_mut().zip(row).take(self.topics) {
                *theta = n + self.a;
                weight += f64::from(*theta);
            }
            let (words, counts) = self.corpus.document(document);
            for (word, count) in words.iter().zip(counts) {
                let at = *word as usize * self.stride;
                let s = dot(&theta, &self.phi[at..at + self.stride]);
                likelihood += f64::from(*count) * ln(f64::from(s) / weight);
            }
        }
        likelihood
    }
}
