//! Corpora to fit: drawn from a topic model shaped as network traffic is.
//!
//! Documents are hosts: the tokens of one follow a Pareto law of exponent 0.85, cut at 200,000, its mix is Dirichlet(0.1). A topic is Dirichlet around word
//! shares that fall as rank^−1.05, ranks shuffled by topic for four fifths. 4,000 documents more are held out, each count split in two by a fair coin.
//! Seeded by SplitMix64: the same corpus for ever.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Size of a corpus.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) documents: usize,
    pub(super) words: usize,
    pub(super) topics: usize,
    /// Tokens of the smallest document.
    pub(super) smallest: f64,
    pub(super) seed: u64,
}

/// Documents held out.
pub(super) const HELD_OUT: usize = 4000;

/// Counts by document.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) offsets: Vec<u64>,
    pub(super) words: Vec<u32>,
    pub(super) counts: Vec<u32>,
}

impl Counts {
    fn new() -> Self {
        Self { offsets: vec![0], ..Self::default() }
    }

    pub(super) fn documents(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Words and counts of a document.
    pub(super) fn document(&self, at: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = self.offsets[at] as usize..self.offsets[at + 1] as usize;
        self.words[range.clone()].iter().zip(&self.counts[range]).map(|(w, c)| (*w as usize, f64::from(*c)))
    }

    fn end_document(&mut self) {
        self.offsets.push(self.words.len() as u64);
    }

    /// Writes the first `documents`: three u64 (documents, words, pairs), where each document begins and the last ends (u64), words (u32), counts (u32), all
    /// little-endian.
    pub(super) fn write(&self, path: &Path, vocabulary: usize, documents: usize) -> std::io::Result<()> {
        let documents = documents.min(self.documents());
        let pairs = self.offsets[documents];
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        for number in [documents as u64, vocabulary as u64, pairs] {
            file.write_all(&number.to_le_bytes())?;
        }
        for offset in &self.offsets[..=documents] {
            file.write_all(&offset.to_le_bytes())?;
        }
        for numbers in [&self.words, &self.counts] {
            for number in &numbers[..pairs as usize] {
                file.write_all(&number.to_le_bytes())?;
            }
        }
        file.flush()
    }
}

/// A drawn corpus.
pub(super) struct Drawn {
    pub(super) train: Counts,
    /// Halves of the held-out documents.
    pub(super) seen: Counts,
    pub(super) asked: Counts,
    /// The true topics: K numbers a word.
    pub(super) truth: Vec<f32>,
}

struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In (0, 1).
    fn open01(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (self.open01(), self.open01());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Gamma of scale 1 (Marsaglia and Tsang, 2000); below shape 1 by shape + 1 and a power.
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * self.open01().powf(1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.open01().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    fn dirichlet(&mut self, shapes: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut shares: Vec<f64> = shapes.map(|shape| self.gamma(shape)).collect();
        let sum: f64 = shares.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        shares.iter_mut().for_each(|share| *share /= sum);
        shares
    }
}

/// Draws in constant time from a fixed distribution (Vose's alias method).
struct Alias(Vec<(f64, u32)>);

impl Alias {
    fn new(shares: &[f64]) -> Self {
        let n = shares.len();
        let mut left: Vec<f64> = shares.iter().map(|share| share * n as f64).collect();
        let mut table: Vec<(f64, u32)> = (0..n as u32).map(|own| (1.0, own)).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|at| left[*at] < 1.0);
        while let (Some(less), Some(more)) = (small.pop(), large.last().copied()) {
            table[less] = (left[less], more as u32);
            left[more] -= 1.0 - left[less];
            if left[more] < 1.0 {
                large.pop();
                small.push(more);
            }
        }
        Self(table)
    }

    fn draw(&self, random: &mut Random) -> u32 {
        let at = random.below(self.0.len());
        let (share, other) = self.0[at];
        if random.open01() < share { at as u32 } else { other }
    }
}

/// Draws a corpus.
pub(super) fn draw(shape: &Shape) -> Drawn {
    let Shape { documents, words, topics, smallest, seed } = *shape;
    let mut random = Random(seed);
    let phi = draw_topics(&mut random, words, topics);
    let tables: Vec<Alias> = phi.iter().map(|row| Alias::new(row)).collect();
    let mut drawn = Drawn { train: Counts::new(), seen: Counts::new(), asked: Counts::new(), truth: Vec::new() };
    drawn.truth = (0..words).flat_map(|word| phi.iter().map(move |row| row[word] as f32)).collect();
    let mut tokens = Vec::new();
    for document in 0..documents + HELD_OUT {
        draw_document(&mut random, &tables, smallest, &mut tokens);
        for same in tokens.chunk_by(|a, b| a == b) {
            let count = same.len() as u32;
            if document < documents {
                drawn.train.words.push(same[0]);
                drawn.train.counts.push(count);
                continue;
            }
            let seen = same.iter().filter(|_| random.bits() & 1 == 1).count() as u32;
            for (half, count) in [(&mut drawn.seen, seen), (&mut drawn.asked, count - seen)] {
                if count > 0 {
                    half.words.push(same[0]);
                    half.counts.push(count);
                }
            }
        }
        if document < documents {
            drawn.train.end_document();
        } else {
            drawn.seen.end_document();
            drawn.asked.end_document();
        }
    }
    drawn
}

fn draw_topics(random: &mut Random, words: usize, topics: usize) -> Vec<Vec<f64>> {
    let mut base: Vec<f64> = (1..=words).map(|rank| (rank as f64).powf(-1.05)).collect();
    let sum: f64 = base.iter().sum();
    base.iter_mut().for_each(|share| *share /= sum);
    let mut order: Vec<usize> = (0..words).collect();
    (0..topics)
        .map(|_| {
            for last in (1..words).rev() {
                order.swap(last, random.below(last + 1));
            }
            let shape = |word: usize| (0.8 * base[order[word]] + 0.2 * base[word]) * words as f64 * 0.3;
            let shapes: Vec<f64> = (0..words).map(|word| shape(word).max(1e-4)).collect();
            random.dirichlet(shapes.into_iter())
        })
        .collect()
}

/// The tokens of a document, in order.
fn draw_document(random: &mut Random, tables: &[Alias], smallest: f64, tokens: &mut Vec<u32>) {
    const LARGEST: f64 = 200_000.0;
    let length = (smallest * random.open01().powf(-1.0 / 0.85)).min(LARGEST) as usize;
    let mix = Alias::new(&random.dirichlet(tables.iter().map(|_| 0.1)));
    tokens.clear();
    for _ in 0..length {
        let topic = mix.draw(random) as usize;
        tokens.push(tables[topic].draw(random));
    }
    tokens.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_corpus_has_the_shape_asked_for() {
        let shape = Shape { documents: 3000, words: 400, topics: 5, smallest: 10.0, seed: 1 };
        let drawn = draw(&shape);
        assert_eq!((drawn.train.documents(), drawn.seen.documents(), drawn.truth.len()), (3000, HELD_OUT, 2000));
        for topic in 0..5 {
            let sum: f32 = drawn.truth.iter().skip(topic).step_by(5).sum();
            assert!((sum - 1.0).abs() < 1e-3, "{sum}");
        }
        // Median of 10 · u^(−1/0.85): 22.6 tokens.
        let mut sizes: Vec<f64> = (0..3000).map(|d| drawn.train.document(d).map(|(_, c)| c).sum()).collect();
        sizes.sort_by(f64::total_cmp);
        assert!((20.0..26.0).contains(&sizes[1500]) && sizes[0] >= 10.0, "{} {}", sizes[0], sizes[1500]);
        let tokens = |half: &Counts| half.counts.iter().sum::<u32>();
        let (seen, asked) = (f64::from(tokens(&drawn.seen)), f64::from(tokens(&drawn.asked)));
        assert!((seen / asked - 1.0).abs() < 0.02, "{seen} {asked}");
        assert_eq!(draw(&shape).train.words, drawn.train.words);
    }

    #[test]
    fn an_alias_table_draws_its_shares() {
        let (table, mut random) = (Alias::new(&[0.5, 0.0, 0.2, 0.3]), Random(7));
        let mut hits = [0_u32; 4];
        for _ in 0..100_000 {
            hits[table.draw(&mut random) as usize] += 1;
        }
        assert_eq!(hits[1], 0);
        assert!(hits[0].abs_diff(50_000) < 700 && hits[2].abs_diff(20_000) < 600, "{hits:?}");
    }
}
