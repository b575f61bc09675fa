//! What the sweeps reach of what the processor could do: for the benches.

use super::packed::Packed;
use super::simd::{Instructions, Unit, stride};

/// A corpus to sweep on one thread, with topics that stand still.
pub struct Sweeper<'a> {
    corpus: &'a Packed,
    stride: usize,
    phi: Vec<f32>,
    rows: Vec<f32>,
    instructions: Instructions,
}

impl<'a> Sweeper<'a> {
    /// With this many topics, 1 to 32.
    pub fn new(corpus: &'a Packed, topics: usize, instructions: Instructions) -> Self {
        let stride = stride(topics.clamp(1, 32));
        let even = 1.0 / corpus.vocabulary().max(1) as f32;
        let phi = vec![even; corpus.vocabulary() * stride];
        Self { corpus, stride, phi, rows: vec![1.0; corpus.rows() * stride], instructions }
    }

    fn unit(&self) -> Unit<'_> {
        Unit {
            stride: self.stride,
            phi: &self.phi,
            offsets: &self.corpus.offsets,
            words: &self.corpus.words,
            counts: &self.corpus.counts,
            weights: &self.corpus.weights,
            a: 0.1,
            sweeps: 1,
        }
    }

    /// One sweep of all documents, without the words' sums.
    pub fn sweep(&mut self) -> bool {
        let mut rows = std::mem::take(&mut self.rows);
        let done = self.unit().run(self.instructions, &mut rows, None);
        self.rows = rows;
        done
    }

    /// The loads and multiply-adds of that sweep, and nothing else.
    pub fn floor(&self) -> Option<f32> {
        self.unit().floor(self.instructions)
    }
}
