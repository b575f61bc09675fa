//! One pass of incremental EM over a packed corpus, and what it works on.
//!
//! A pass goes through the shards of its rows one after the other. A shard's units are swept beside each other with the same φ, each with f32
//! sums of its own; then, in the units' order and in f64, the shard's new N_wk takes the place of its old, and φ is made anew. With a fixed number of
//! shards and units, which depend on the corpus alone, the threads change nothing.

use rayon::prelude::*;

use super::Model;
use super::math::{exp, ln};
use super::packed::Packed;
use super::random::Random;
use super::simd::{Instructions, LANES, Unit, stride};

/// Words of a chunk of the model when sums over words are made, in the chunks' order.
const CHUNK: usize = 512;

/// Offsets of the priors: a = α − 1 and e = η − 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offsets {
    pub(super) document: f32,
    pub(super) word: f64,
}

/// The state of a fit.
pub(super) struct Engine<'a> {
    pub(super) corpus: &'a Packed,
    pub(super) topics: usize,
    stride: usize,
    offsets: Offsets,
    pub(super) instructions: Instructions,
    /// N_dk by row, as far as stages have come.
    pub(super) rows: Vec<f32>,
    /// N_wk.
    pub(super) word_topics: Vec<f64>,
    /// N_k.
    pub(super) topic_totals: Vec<f64>,
    pub(super) phi: Vec<f32>,
    /// Sums of the units abreast, zero between shards.
    sums: Vec<Vec<f32>>,
}

/// Rows that take part in passes, and what they have put in.
pub(super) struct Stage {
    shards: Vec<Shard>,
    /// What stands for the shards that have not been swept yet: a share of the counts before the stage.
    before: Vec<f64>,
    unseen: f64,
}

struct Shard {
    units: Vec<std::ops::Range<usize>>,
    tokens: f64,
    /// Its N_wk, once it was swept.
    counts: Vec<f32>,
}

impl<'a> Engine<'a> {
    /// A model without structure: every word's tokens over the topics by chance, every document without a mix.
    pub(super) fn new(
        corpus: &'a Packed,
        topics: usize,
        offsets: Offsets,
        instructions: Instructions,
        seed: u64,
    ) -> Self {
        let stride = stride(topics);
        let size = corpus.vocabulary() * stride;
        let mut engine = Self {
            corpus,
            topics,
            stride,
            offsets,
            instructions,
            rows: Vec::new(),
            word_topics: vec![0.0; size],
            topic_totals: vec![0.0; topics],
            phi: vec![0.0; size],
            sums: Vec::new(),
        };
        let tokens = &corpus.word_tokens;
        let order = &corpus.word_order;
        engine.word_topics.par_chunks_exact_mut(stride).zip(tokens).zip(order).for_each(|((row, tokens), word)| {
            let mut random = Random::at(seed, u64::from(*word));
            let mut sum = 0.0;
            for n in row.iter_mut().take(topics) {
                *n = random.open01() + 0.05;
                sum += *n;
            }
            for n in row.iter_mut().take(topics) {
                *n *= tokens / sum;
            }
        });
        engine.make_phi();
        engine
    }

    /// N_k and φ of N_wk.
    fn make_phi(&mut self) {
        let Self { corpus, topics, stride, offsets, word_topics, topic_totals, phi, .. } = self;
        let partial: Vec<Vec<f64>> = word_topics
            .par_chunks(*stride * CHUNK)
            .map(|rows| {
                let mut sums = vec![0.0; *stride];
                for row in rows.chunks_exact(*stride) {
                    for (sum, n) in sums.iter_mut().zip(row) {
                        *sum += n;
                    }
                }
                sums
            })
            .collect();
        topic_totals.fill(0.0);
        for sums in &partial {
            for (total, sum) in topic_totals.iter_mut().zip(sums) {
                *total += sum;
            }
        }
        let (e, smoothing) = (offsets.word, corpus.vocabulary() as f64 * offsets.word);
        let mut inverse = vec![0.0; *stride];
        for (inverse, total) in inverse.iter_mut().zip(topic_totals.iter()).take(*topics) {
            *inverse = 1.0 / (total + smoothing);
        }
        phi.par_chunks_mut(*stride * CHUNK).zip(word_topics.par_chunks(*stride * CHUNK)).for_each(|(phi, n)| {
            for (phi, n) in phi.chunks_exact_mut(*stride).zip(n.chunks_exact(*stride)) {
                for ((phi, n), inverse) in phi.iter_mut().zip(n).zip(&inverse) {
                    *phi = ((n + e) * inverse) as f32;
                }
            }
        });
    }

    /// Rows to pass over, in `shards` parts. The model's present counts stand for them, scaled to their tokens, until they were swept.
    pub(super) fn stage(&mut self, rows: std::ops::Range<usize>, shards: usize) -> Stage {
        /// Units of a shard at most.
        const UNITS: usize = 16;
        /// Weight of a unit at least, and per word of the vocabulary: what it costs to take in its sums.
        const SMALLEST: usize = 32 << 10;
        const PER_WORD: usize = 10;
        let corpus = self.corpus;
        self.reach(rows.end);
        let tokens = |rows: &std::ops::Range<usize>| {
            let sum = |row: usize| corpus.counts[corpus.range(row)].iter().map(|c| f64::from(*c)).sum::<f64>();
            rows.clone().map(|row| f64::from(corpus.weights[row]) * sum(row)).sum::<f64>()
        };
        let shards: Vec<Shard> = corpus
            .cut(rows, shards)
            .into_iter()
            .filter(|rows| !rows.is_empty())
            .map(|rows| {
                let weight = corpus.offsets[rows.end] - corpus.offsets[rows.start] + 8 * rows.len();
                let units = (weight / SMALLEST.max(PER_WORD * corpus.vocabulary())).clamp(1, UNITS);
                let tokens = tokens(&rows);
                let units = corpus.cut(rows, units).into_iter().filter(|unit| !unit.is_empty()).collect();
                Shard { units, tokens, counts: Vec::new() }
            })
            .collect();
        let abreast = shards.iter().map(|shard| shard.units.len()).max().unwrap_or(0);
        self.sums.resize_with(abreast, || vec![0.0; self.corpus.vocabulary() * self.stride]);
        let unseen: f64 = shards.iter().map(|shard| shard.tokens).sum();
        let now: f64 = self.topic_totals.iter().sum();
        let scale = if now > 0.0 { unseen / now } else { 0.0 };
        self.word_topics.par_iter_mut().for_each(|n| *n *= scale);
        Stage { shards, before: self.word_topics.clone(), unseen }
    }

    /// Makes room for the mixes of all rows before `end`.
    fn reach(&mut self, end: usize) {
        let missing = (end * self.stride).saturating_sub(self.rows.len());
        self.rows.reserve_exact(missing);
        self.rows.resize(self.rows.len() + missing, 0.0);
    }

    /// One pass: every shard of the stage is swept, `sweeps` times each document.
    pub(super) fn pass(&mut self, stage: &mut Stage, sweeps: usize) {
        let Stage { shards, before, unseen } = stage;
        let all = *unseen;
        for shard in shards.iter_mut() {
            self.sweep(shard, sweeps);
            let share = if shard.counts.is_empty() { shard.tokens / all.max(f64::MIN_POSITIVE) } else { 0.0 };
            self.take_in(shard, before, share);
            self.make_phi();
        }
        // Every shard speaks for itself now.
        *before = Vec::new();
    }

    fn sweep(&mut self, shard: &Shard, sweeps: usize) {
        let Self { corpus, stride, offsets, instructions, rows, phi, sums, .. } = self;
        let mut slices = Vec::with_capacity(shard.units.len());
        let mut rest = rows.as_mut_slice();
        let mut done = 0;
        for unit in &shard.units {
            let (_, tail) = rest.split_at_mut((unit.start - done) * *stride);
            let (slice, tail) = tail.split_at_mut(unit.len() * *stride);
            (rest, done) = (tail, unit.end);
            slices.push(slice);
        }
        shard.units.par_iter().zip(slices).zip(sums.par_iter_mut()).for_each(|((unit, rows), sums)| {
            begin_rows(corpus, unit.clone(), rows, *stride);
            let unit = documents(corpus, unit.clone(), phi, *stride, offsets.document, sweeps);
            assert!(unit.run(*instructions, rows, Some(sums)), "a packed corpus fits its own model");
        });
    }

    /// N_wk − the shard's old + its new, which is φ·sums; the sums are zero after it. While the shard has no old, a share of what stood for it goes.
    fn take_in(&mut self, shard: &mut Shard, before: &[f64], share: f64) {
        let Self { stride, word_topics, phi, sums, .. } = self;
        let (first, tokens) = (shard.counts.is_empty(), shard.tokens);
        if first {
            shard.counts = vec![0.0; phi.len()];
        }
        let size = *stride * CHUNK;
        let mut chunks: Vec<Vec<&mut [f32]>> = Vec::new();
        chunks.resize_with(phi.len().div_ceil(size.max(1)), Vec::new);
        for sums in sums.iter_mut().take(shard.units.len()) {
            for (chunk, part) in chunks.iter_mut().zip(sums.chunks_mut(size)) {
                chunk.push(part);
            }
        }
        let work = word_topics.par_chunks_mut(size).zip(shard.counts.par_chunks_mut(size)).zip(phi.par_chunks(size));
        work.zip(chunks).enumerate().for_each(|(chunk, (((n, counts), phi), mut sums))| {
            let before = if first { before.get(chunk * size..).unwrap_or(&[]) } else { &[] };
            let mut totals = [0.0_f64; LANES];
            for at in (0..n.len()).step_by(LANES) {
                totals.fill(0.0);
                for sums in &mut sums {
                    for (total, sum) in totals.iter_mut().zip(&mut sums[at..at + LANES]) {
                        *total += f64::from(*sum);
                        *sum = 0.0;
                    }
                }
                let fields = n[at..at + LANES].iter_mut().zip(&mut counts[at..at + LANES]).zip(&phi[at..at + LANES]);
                for ((((n, count), phi), total), lane) in fields.zip(totals).zip(0..) {
                    // No word has more than all tokens: keeps what overflowed f32 finite.
                    let new = (f64::from(*phi) * total).min(tokens) as f32;
                    let old = f64::from(*count) + share * before.get(at + lane).copied().unwrap_or(0.0);
                    *n = (*n - old + f64::from(new)).max(0.0);
                    *count = new;
                }
            }
        });
    }

    /// Natural log-likelihood of the tokens of those of `rows` that have mixes, under their mixes and the model, and the tokens. In f64, by fixed runs of rows.
    pub(super) fn log_likelihood(&self, rows: std::ops::Range<usize>) -> (f64, f64) {
        let end = rows.end.min(self.rows.len() / self.stride);
        let rows = rows.start.min(end)..end;
        log_likelihood(self.corpus, rows.clone(), &self.rows[rows.start * self.stride..rows.end * self.stride], self)
    }

    /// Perplexity of `halves.1` with mixes found from `halves.0` alone, by `sweeps` sweeps from no mix.
    pub(super) fn completion(&self, halves: &(Packed, Packed), sweeps: usize) -> f64 {
        let (seen, asked) = halves;
        let mut rows = vec![0.0; seen.rows() * self.stride];
        let units = seen.cut(0..seen.rows(), 64);
        let mut rest = rows.as_mut_slice();
        let mut slices = Vec::new();
        for unit in &units {
            let (slice, tail) = rest.split_at_mut(unit.len() * self.stride);
            slices.push(slice);
            rest = tail;
        }
        units.par_iter().zip(slices).for_each(|(unit, rows)| {
            begin_rows(seen, unit.clone(), rows, self.stride);
            let unit = documents(seen, unit.clone(), &self.phi, self.stride, self.offsets.document, sweeps);
            assert!(unit.run(self.instructions, rows, None), "halves of a packed corpus fit its model");
        });
        let (sum, tokens) = log_likelihood(asked, 0..asked.rows(), &rows, self);
        if tokens > 0.0 { exp(-sum / tokens) } else { f64::NAN }
    }
}

/// The unit of some rows.
fn documents<'c>(
    corpus: &'c Packed,
    rows: std::ops::Range<usize>,
    phi: &'c [f32],
    stride: usize,
    a: f32,
    sweeps: usize,
) -> Unit<'c> {
    Unit {
        stride,
        phi,
        offsets: &corpus.offsets[rows.start..=rows.end],
        words: &corpus.words,
        counts: &corpus.counts,
        weights: &corpus.weights[rows],
        a,
        sweeps: sweeps.max(1),
    }
}

/// Documents without a mix begin with an even one.
fn begin_rows(corpus: &Packed, unit: std::ops::Range<usize>, rows: &mut [f32], stride: usize) {
    for (document, row) in unit.zip(rows.chunks_exact_mut(stride)) {
        if row.iter().all(|n| *n == 0.0) {
            let tokens: f32 = corpus.counts[corpus.range(document)].iter().sum();
            row.fill(tokens / stride as f32);
        }
    }
}

fn log_likelihood(corpus: &Packed, rows: std::ops::Range<usize>, mixes: &[f32], engine: &Engine<'_>) -> (f64, f64) {
    const ROWS: usize = 1024;
    let Engine { stride, topics, offsets, phi, .. } = engine;
    let first = rows.start;
    let partial: Vec<(f64, f64)> = mixes
        .par_chunks(stride * ROWS)
        .enumerate()
        .map(|(chunk, mixes)| {
            let (mut sum, mut tokens) = (0.0, 0.0);
            for (row, mix) in mixes.chunks_exact(*stride).enumerate() {
                let row = first + chunk * ROWS + row;
                let weight = f64::from(corpus.weights[row]);
                let mix: Vec<f32> = mix.iter().map(|n| n + offsets.document).collect();
                let total: f64 = mix.iter().take(*topics).map(|t| f64::from(*t)).sum();
                let mut own = 0.0;
                for at in corpus.range(row) {
                    let word = corpus.words[at] as usize * *stride;
                    let mut lanes = [0.0_f32; LANES];
                    for (mix, phi) in mix.chunks_exact(LANES).zip(phi[word..word + *stride].chunks_exact(LANES)) {
                        for lane in 0..LANES {
                            lanes[lane] += mix[lane] * phi[lane];
                        }
                    }
                    let p: f32 = lanes.iter().sum();
                    let count = f64::from(corpus.counts[at]);
                    own += count * ln(f64::from(p) / total);
                    tokens += weight * count;
                }
                sum += weight * own;
            }
            (sum, tokens)
        })
        .collect();
    partial.into_iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

impl Engine<'_> {
    /// Joins the most alike topics, two at a time, until `topics` are left. What is alike is the words' shares (Bhattacharyya's coefficient, over the most
    /// frequent words), weighed by the smaller topic's tokens.
    pub(super) fn join_topics(&mut self, topics: usize) {
        let old = self.stride;
        let mut alike = self.likeness();
        let mut sizes = self.topic_totals.clone();
        let mut into: Vec<usize> = (0..self.topics).collect();
        let mut left = self.topics;
        while left > topics {
            let mut best: Option<(f64, usize, usize)> = None;
            for a in (0..self.topics).filter(|a| into[*a] == *a) {
                for b in (a + 1..self.topics).filter(|b| into[*b] == *b) {
                    let (x, y) = (sizes[a], sizes[b]);
                    // What telling them apart is worth: close to the tokens times their divergence.
                    let worth = x * y / (x + y).max(f64::MIN_POSITIVE) * (1.0 - alike[a][b]);
                    if best.is_none_or(|best| worth < best.0) {
                        best = Some((worth, a, b));
                    }
                }
            }
            let Some((_, a, b)) = best else { break };
            let (x, y) = (sizes[a], sizes[b]);
            let share = x / (x + y).max(f64::MIN_POSITIVE);
            // √(mix) is near the mix of the roots where both are alike.
            let joined: Vec<f64> = alike[a].iter().zip(&alike[b]).map(|(a, b)| share * a + (1.0 - share) * b).collect();
            for (row, joined) in alike.iter_mut().zip(&joined) {
                row[a] = *joined;
            }
            alike[a] = joined;
            sizes[a] += y;
            into[b] = a;
            left -= 1;
        }
        let mut names = vec![0; self.topics];
        let mut next = 0;
        for topic in 0..self.topics {
            if into[topic] == topic {
                names[topic] = next;
                next += 1;
            }
        }
        let target: Vec<usize> = (0..self.topics)
            .map(|mut topic| {
                while into[topic] != topic {
                    topic = into[topic];
                }
                names[topic]
            })
            .collect();
        let new = stride(topics);
        let words = self.corpus.vocabulary();
        let mut word_topics = vec![0.0; words * new];
        for (to, from) in word_topics.chunks_exact_mut(new).zip(self.word_topics.chunks_exact(old)) {
            for (target, n) in target.iter().zip(from) {
                to[*target] += n;
            }
        }
        // In place: a row of the new never begins after its old.
        let mut joined = vec![0.0; new];
        let rows = self.rows.len() / old;
        for row in 0..rows {
            joined.fill(0.0);
            for (target, n) in target.iter().zip(&self.rows[row * old..(row + 1) * old]) {
                joined[*target] += n;
            }
            self.rows[row * new..(row + 1) * new].copy_from_slice(&joined);
        }
        self.rows.truncate(rows * new);
        self.rows.shrink_to_fit();
        (self.topics, self.stride, self.word_topics) = (topics, new, word_topics);
        self.topic_totals = vec![0.0; topics];
        self.phi = vec![0.0; words * new];
        self.sums.clear();
        self.make_phi();
    }

    /// Takes over the words' counts of another model, by the caller's words.
    pub(super) fn set_words(&mut self, word_topics: &[f64]) {
        let rows = self.word_topics.chunks_exact_mut(self.stride).zip(&self.corpus.word_order);
        for (row, word) in rows {
            let from = *word as usize * self.topics;
            row.fill(0.0);
            for (n, given) in row.iter_mut().zip(&word_topics[from..from + self.topics]) {
                *n = *given;
            }
        }
        self.make_phi();
    }

    /// Mixes of some rows, and the words' counts, to come back to.
    pub(super) fn save(&self, rows: std::ops::Range<usize>) -> (Vec<f32>, Vec<f64>) {
        (self.rows[rows.start * self.stride..rows.end * self.stride].to_vec(), self.word_topics.clone())
    }

    /// Back to what [`Self::save`] gave.
    pub(super) fn restore(&mut self, rows: std::ops::Range<usize>, mixes: &[f32], words: &[f64]) {
        self.rows[rows.start * self.stride..rows.end * self.stride].copy_from_slice(mixes);
        self.word_topics.copy_from_slice(words);
        self.make_phi();
    }

    pub(super) fn word_probabilities(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.corpus.vocabulary() * self.topics];
        for (row, word) in self.phi.chunks_exact(self.stride).zip(&self.corpus.word_order) {
            let at = *word as usize * self.topics;
            out[at..at + self.topics].copy_from_slice(&row[..self.topics]);
        }
        out
    }

    /// The model, by the caller's documents and words.
    pub(super) fn into_model(mut self, document_offset: f64, iterations: usize) -> Model {
        self.reach(self.corpus.rows());
        let (log_likelihood, _) = self.log_likelihood(0..self.corpus.rows());
        let Self { corpus, topics, stride, offsets, rows, word_topics: by_rank, topic_totals, .. } = self;
        let mut document_topics = vec![0.0; corpus.documents() * stride];
        for (document, to) in document_topics.chunks_exact_mut(stride).enumerate() {
            if let Some(row) = corpus.place(document) {
                to[..topics].copy_from_slice(&rows[row * stride..row * stride + topics]);
            }
        }
        drop(rows);
        let mut word_topics = vec![0.0; by_rank.len()];
        for (row, word) in by_rank.chunks_exact(stride).zip(&corpus.word_order) {
            let at = *word as usize * stride;
            word_topics[at..at + stride].copy_from_slice(row);
        }
        let word_offset = offsets.word;
        Model {
            topics,
            document_topics,
            word_topics,
            topic_totals,
            document_offset,
            word_offset,
            log_likelihood,
            iterations,
        }
    }

    fn likeness(&self) -> Vec<Vec<f64>> {
        const WORDS: usize = 8192;
        let mut sums = vec![vec![0.0; self.topics]; self.topics];
        let mut roots = vec![0.0; self.topics];
        let mut own = vec![0.0; self.topics];
        for row in self.word_topics.chunks_exact(self.stride).take(WORDS) {
            for (root, n) in roots.iter_mut().zip(row) {
                *root = n.max(0.0).sqrt();
            }
            for (sums, a) in sums.iter_mut().zip(&roots) {
                for (sum, b) in sums.iter_mut().zip(&roots) {
                    *sum += a * b;
                }
            }
        }
        for (topic, own) in own.iter_mut().enumerate() {
            *own = sums[topic][topic].max(1e-150).sqrt();
        }
        for a in 0..self.topics {
            for b in 0..self.topics {
                sums[a][b] /= own[a] * own[b];
            }
        }
        sums
    }
}
