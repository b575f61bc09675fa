//! One judge for all: perplexity by document completion.

use super::corpus::{Counts, Drawn};

/// Rounds of a document's inference, and the offset of its prior: the same for every model.
const ROUNDS: usize = 100;
const ALPHA: f64 = 0.1;

/// Perplexity of the held-out documents' second halves, mixes found from the first, with topics `phi` (`topics` numbers a word, in any scale). A millionth of each topic is spread
/// over all words, so that a word a model never gave a chance is not infinitely surprising.
pub(super) fn perplexity(phi: &[f32], topics: usize, drawn: &Drawn) -> f64 {
    let mut totals = vec![0.0_f64; topics];
    for row in phi.chunks_exact(topics) {
        for (total, p) in totals.iter_mut().zip(row) {
            *total += f64::from(*p);
        }
    }
    let words = (phi.len() / topics) as f64;
    let shares: Vec<f64> = phi
        .chunks_exact(topics)
        .flat_map(|row| {
            row.iter()
                .zip(&totals)
                .map(|(p, total)| f64::from(*p) / total.max(f64::MIN_POSITIVE) * (1.0 - 1e-6) + 1e-6 / words)
        })
        .collect();
    let documents = drawn.seen.documents();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let part = documents.div_ceil(threads).max(1);
    let (shares, seen, asked) = (&shares, &drawn.seen, &drawn.asked);
    let sums: Vec<(f64, f64)> = std::thread::scope(|scope| {
        let starts = (0..documents).step_by(part);
        let parts: Vec<_> = starts
            .map(|from| {
                scope.spawn(move || {
                    (from..(from + part).min(documents))
                        .map(|document| complete(shares, topics, seen, asked, document))
                        .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
                })
            })
            .collect();
        parts.into_iter().filter_map(|part| part.join().ok()).collect()
    });
    let (ln, tokens) = sums.into_iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (-ln / tokens).exp()
}

fn complete(shares: &[f64], topics: usize, seen: &Counts, asked: &Counts, document: usize) -> (f64, f64) {
    let row = |word: usize| &shares[word * topics..(word + 1) * topics];
    let p = |word: usize, mix: &[f64]| row(word).iter().zip(mix).map(|(a, b)| a * b).sum::<f64>();
    let mut mix = vec![1.0 / topics as f64; topics];
    let mut next = vec![0.0; topics];
    for _ in 0..ROUNDS {
        next.fill(0.0);
        for (word, count) in seen.document(document) {
            let r = count / p(word, &mix);
            for (next, share) in next.iter_mut().zip(row(word)) {
                *next += r * share;
            }
        }
        let mut sum = 0.0;
        for (mix, next) in mix.iter_mut().zip(&next) {
            *mix = *mix * next + ALPHA;
            sum += *mix;
        }
        mix.iter_mut().for_each(|share| *share /= sum);
    }
    asked.document(document).fold((0.0, 0.0), |sum, (word, count)| (sum.0 + count * p(word, &mix).ln(), sum.1 + count))
}

#[cfg(test)]
mod tests {
    use super::super::corpus::{Shape, draw};
    use super::perplexity;

    #[test]
    fn the_truth_is_hard_to_beat() {
        let drawn = draw(&Shape { documents: 10, words: 300, topics: 4, smallest: 10.0, seed: 3 });
        let truth = perplexity(&drawn.truth, 4, &drawn);
        // Scale does not matter.
        let scaled: Vec<f32> = drawn.truth.iter().map(|p| p * 7.0).collect();
        assert!((perplexity(&scaled, 4, &drawn) / truth - 1.0).abs() < 1e-5);
        let blurred: Vec<f32> = drawn.truth.iter().map(|p| p + 1.0 / 300.0).collect();
        let even = perplexity(&vec![1.0; 300 * 4], 4, &drawn);
        assert!((even - 300.0).abs() < 1e-6, "{even}");
        assert!(truth < perplexity(&blurred, 4, &drawn) && truth < even / 2.0, "{truth} {even}");
    }
}
