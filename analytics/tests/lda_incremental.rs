//! Incremental EM: the same bits everywhere, the fixed points of batch EM, the quality of its optima, and no NaN.
#![allow(clippy::unwrap_used, reason = "tests")]

use analytics::lda::em::{self, EmParameters};
use analytics::lda::file::CorpusFile;
use analytics::lda::incremental::{self, Fit, IncrementalParameters};
use analytics::lda::packed::{Documents, Packed};
use analytics::lda::{Corpus, Instructions, LdaError, Model};
use proptest::prelude::*;

fn go(_: usize, _: usize) -> bool {
    true
}

/// SplitMix64, for the corpora of these tests.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }
}

/// Documents of one to three of `topics` topics each, of some hundred words of which a fifth are in every topic.
struct Drawn {
    corpus: Corpus,
    /// exp of the mean −ln of the tokens' true probabilities, which no model can beat by much.
    oracle: f64,
}

fn drawn(documents: u32, words: usize, topics: usize, seed: u64) -> Drawn {
    let mut random = Random(seed);
    let phi: Vec<Vec<f64>> = (0..topics)
        .map(|topic| {
            let mut row: Vec<f64> = (0..words)
                .map(|w| {
                    if w % 5 == 0 || w % topics == topic {
                        -random.next().max(1e-9).ln() / (1.0 + (w / 7) as f64)
                    } else {
                        1e-5
                    }
                })
                .collect();
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= sum);
            row
        })
        .collect();
    let (mut entries, mut ln, mut tokens) = (Vec::new(), 0.0, 0);
    for document in 0..documents {
        let mut theta = vec![0.0; topics];
        for _ in 0..1 + random.below(3) {
            theta[random.below(topics)] += 0.1 + random.next();
        }
        let sum: f64 = theta.iter().sum();
        let mixed: Vec<f64> = (0..words).map(|w| (0..topics).map(|k| theta[k] / sum * phi[k][w]).sum()).collect();
        for _ in 0..(10.0 / (1.0 - random.next()).powf(0.7)).min(2000.0) as usize {
            let mut at = random.next();
            let word = mixed
                .iter()
                .position(|p| {
                    at -= p;
                    at < 0.0
                })
                .unwrap_or(words - 1);
            entries.push((document, word as u32, 1));
            ln += mixed[word].ln();
            tokens += 1;
        }
    }
    let corpus = Corpus::from_counts(documents as usize, words, entries);
    Drawn { corpus, oracle: (-ln / f64::from(tokens)).exp() }
}

fn perplexity(model: &Model, corpus: &Corpus) -> f64 {
    (-model.log_likelihood() / corpus.tokens() as f64).exp()
}

fn fitted(corpus: &Corpus, parameters: &IncrementalParameters, threads: usize) -> Model {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| incremental::fit(corpus, parameters, &mut go).unwrap())
}

#[test]
fn threads_runs_and_instructions_change_no_bit() {
    let Drawn { corpus, .. } = drawn(4000, 300, 6, 1);
    let parameters = IncrementalParameters { topics: 6, passes: 2, seed: 5, starts: 2, ..Default::default() };
    let first = fitted(&corpus, &parameters, 1);
    for threads in [1, 2, 4, 8] {
        assert!(fitted(&corpus, &parameters, threads) == first, "{threads} threads");
    }
    let small = drawn(120, 120, 4, 2).corpus;
    // Rows of one block, of the blocks kept in registers, and of many, even and odd.
    for topics in [1, 8, 20, 33, 57] {
        let mut parameters = IncrementalParameters { topics, passes: 1, ..Default::default() };
        let mut models = Instructions::available().into_iter().map(|instructions| {
            parameters.instructions = Some(instructions);
            (instructions, fitted(&small, &parameters, 2))
        });
        let (_, plain) = models.next().unwrap();
        for (instructions, model) in models {
            assert!(model == plain, "{topics} topics, {instructions:?}");
        }
    }
}

#[test]
fn the_order_of_equal_work_does_not_matter_but_seeds_do() {
    let Drawn { corpus, .. } = drawn(700, 80, 4, 3);
    let with = |seed| IncrementalParameters { topics: 4, seed, ..Default::default() };
    assert!(fitted(&corpus, &with(1), 2) != fitted(&corpus, &with(2), 2));
}

/// Where batch EM stands still, incremental EM must too: both have the same fixed points.
#[test]
fn batch_em_and_incremental_em_agree() {
    for seed in 0..2 {
        let Drawn { corpus, .. } = drawn(1000, 200, 5, 10 + seed);
        let (alpha, beta) = (1.1, 1.01);
        let batch = EmParameters { topics: 5, alpha, beta, iterations: 600, seed };
        let batch = em::fit(&corpus, &batch, &mut go).unwrap();
        let words: Vec<f64> = counts(&batch, &corpus);
        let packed = Packed::new(&corpus).unwrap();
        let parameters =
            IncrementalParameters { topics: 5, alpha, beta, passes: 150, tolerance: 0.0, ..Default::default() };
        let mut fit = Fit::resume(&packed, &parameters, &words).unwrap();
        while fit.step().is_some() {}
        let model = fit.finish();
        let (ours, theirs) = (perplexity(&model, &corpus), perplexity(&batch, &corpus));
        assert!((ours / theirs - 1.0).abs() < 2e-3, "seed {seed}: {ours} {theirs}");
        for (document, word) in [(0, 0), (3, 5), (700, 10), (900, 21)] {
            let (ours, theirs) =
                (model.probability(document, word).unwrap(), batch.probability(document, word).unwrap());
            assert!((ours - theirs).abs() < 0.02 * theirs + 2e-4, "seed {seed} ({document}, {word}): {ours} {theirs}");
        }
    }
}

/// N_wk of a model, K numbers a word.
fn counts(model: &Model, corpus: &Corpus) -> Vec<f64> {
    let totals: Vec<f64> = (0..model.topics()).map(|topic| model.topic_tokens(topic)).collect();
    (0..corpus.vocabulary())
        .flat_map(|word| model.word_vector(word).into_iter().zip(totals.clone()).map(|(p, total)| p * total))
        .collect()
}

#[test]
fn from_any_seed_it_ends_near_the_truth() {
    let Drawn { corpus, oracle } = drawn(4000, 400, 12, 7);
    let ends = |seed| {
        let parameters = IncrementalParameters { topics: 12, seed, ..Default::default() };
        let batch = EmParameters { topics: 12, alpha: 1.1, beta: 1.01, iterations: 100, seed };
        let ours = perplexity(&fitted(&corpus, &parameters, 2), &corpus);
        (ours / oracle, perplexity(&em::fit(&corpus, &batch, &mut go).unwrap(), &corpus) / oracle)
    };
    let ends: Vec<(f64, f64)> = (0..5).map(ends).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| ends.iter().map(of).sum::<f64>() / 5.0;
    let (ours, batch) = (mean(|e| e.0), mean(|e| e.1));
    assert!(ours < 1.02 && ours <= batch * 1.002, "{ends:?}");
}

#[test]
fn equal_documents_are_one_and_weigh_as_many() {
    let entries =
        |copies: u32| (0..copies).flat_map(|d| [(d, 0, 3), (d, 4, 1)]).chain([(copies, 1, 5), (copies + 1, 2, 7)]);
    let corpus = Corpus::from_counts(52, 5, entries(50).collect());
    let packed = Packed::new(&corpus).unwrap();
    assert_eq!((packed.rows(), packed.pairs(), packed.tokens()), (3, 4, 212.0));
    assert_eq!((packed.place(0), packed.documents()), (packed.place(49), 52));
    let model = incremental::fit(&corpus, &IncrementalParameters { topics: 3, ..Default::default() }, &mut go).unwrap();
    assert_eq!((0..3).map(|topic| model.topic_tokens(topic)).sum::<f64>().round(), 212.0);
    assert_eq!(model.topic_mix(0), model.topic_mix(49));
    assert!((model.probability(7, 0).unwrap() - 0.75).abs() < 0.05, "{:?}", model.probability(7, 0));
}

#[test]
fn yesterdays_model_saves_the_search() {
    let Drawn { corpus, .. } = drawn(6000, 300, 6, 4);
    let parameters = IncrementalParameters { topics: 6, ..Default::default() };
    let packed = Packed::new(&corpus).unwrap();
    let first = fitted(&corpus, &parameters, 2);
    let mut fit = Fit::resume(&packed, &parameters, &counts(&first, &corpus)).unwrap();
    let mut rows = 0;
    for _ in 0..3 {
        rows += fit.step().unwrap().rows;
    }
    assert!(rows <= 3 * 6000, "{rows}");
    let again = fit.finish();
    // As good, but for the mixes of the documents held out.
    assert!(
        again.log_likelihood() > first.log_likelihood() * 1.005,
        "{} {}",
        again.log_likelihood(),
        first.log_likelihood()
    );
    let wrong = Fit::resume(&packed, &parameters, &[f64::NAN]).err();
    assert!(matches!(wrong, Some(LdaError::Parameter { .. })), "{wrong:?}");
}

#[test]
fn what_is_wrong_is_refused() {
    let corpus = Corpus::from_counts(1, 1, vec![(0, 0, 1)]);
    let good = IncrementalParameters::default();
    for wrong in [
        IncrementalParameters { topics: 0, ..good },
        IncrementalParameters { alpha: 1.0, ..good },
        IncrementalParameters { beta: f64::INFINITY, ..good },
        IncrementalParameters { passes: 0, ..good },
        IncrementalParameters { starts: 0, ..good },
        IncrementalParameters { tolerance: f64::NAN, ..good },
    ] {
        let outcome = incremental::fit(&corpus, &wrong, &mut go);
        assert!(matches!(outcome, Err(LdaError::Parameter { .. })), "{wrong:?}");
    }
    assert_eq!(incremental::fit(&corpus, &good, &mut |_, _| false), Err(LdaError::Stopped));
}

struct Given(Vec<(Vec<u32>, Vec<u32>)>);

impl Documents for Given {
    fn documents(&self) -> usize {
        self.0.len()
    }

    fn vocabulary(&self) -> usize {
        9
    }

    fn each(&self, each: &mut dyn FnMut(&[u32], &[u32])) -> std::io::Result<()> {
        self.0.iter().for_each(|(words, counts)| each(words, counts));
        Ok(())
    }
}

#[test]
fn documents_that_break_their_promise_are_refused() {
    for (words, counts) in
        [(vec![9], vec![1]), (vec![2, 1], vec![1, 1]), (vec![2, 2], vec![1, 1]), (vec![1], vec![0]), (vec![1], vec![])]
    {
        let given = Given(vec![(vec![0], vec![1]), (words, counts)]);
        let error = Packed::new(&given).unwrap_err();
        assert!(error.to_string().starts_with("document 1:"), "{error}");
    }
}

#[test]
fn progress_counts_up_to_its_total() {
    let Drawn { corpus, .. } = drawn(5000, 200, 5, 9);
    let mut told = Vec::new();
    let parameters = IncrementalParameters { topics: 5, passes: 6, ..Default::default() };
    incremental::fit(&corpus, &parameters, &mut |done, total| {
        told.push((done, total));
        true
    })
    .unwrap();
    assert!(told.is_sorted_by(|a, b| a.0 <= b.0) && told.iter().all(|(done, total)| done <= total), "{told:?}");
    assert_eq!(told.last().map(|(done, total)| done == total), Some(true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn never_nan(entries in proptest::collection::vec((0_u32..6, 0_u32..9, prop_oneof![0_u32..5, Just(u32::MAX), Just(1_000_000)]), 0..40),
                 topics in 1_usize..45, passes in 1_usize..8, alpha in 1.000_001_f64..3.0, beta in 1.000_000_1_f64..2.0) {
        let corpus = Corpus::from_counts(6, 9, entries);
        let parameters = IncrementalParameters { topics, passes, alpha, beta, starts: 2, ..Default::default() };
        let model = incremental::fit(&corpus, &parameters, &mut go).unwrap();
        prop_assert!(model.log_likelihood().is_finite());
        for document in 0..6 {
            for word in 0..10 {
                match model.probability(document, word) {
                    Some(p) => prop_assert!((0.0..=1.0 + 1e-4).contains(&p), "{}", p),
                    None => prop_assert!(corpus.range(document).is_empty()),
                }
            }
        }
    }
}

#[test]
fn a_model_comes_back_from_its_file_and_damage_is_seen() {
    let Drawn { corpus, .. } = drawn(200, 50, 3, 6);
    let parameters = IncrementalParameters { topics: 3, passes: 2, ..Default::default() };
    let model = fitted(&corpus, &parameters, 2);
    let mut bytes = Vec::new();
    model.write(&mut bytes).unwrap();
    assert!(Model::read(&mut bytes.as_slice(), 250).unwrap() == model);
    assert!(Model::read(&mut bytes.as_slice(), 249).unwrap_err().to_string().contains("larger"));
    for at in [0, 20, 90, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Model::read(&mut damaged.as_slice(), 250).is_err(), "byte {at}");
    }
    assert!(Model::read(&mut &bytes[..bytes.len() - 1], 250).is_err());
}

#[test]
fn a_corpus_is_read_from_its_file_document_by_document() {
    let Drawn { corpus, .. } = drawn(300, 60, 3, 8);
    let numbers = |corpus: &Corpus, of: fn((u32, u32)) -> u32| -> Vec<u8> {
        (0..corpus.pairs()).flat_map(|at| of(corpus.pair(at).unwrap()).to_le_bytes()).collect()
    };
    let mut bytes: Vec<u8> = [300, 60, corpus.pairs() as u64].into_iter().flat_map(u64::to_le_bytes).collect();
    bytes.extend(
        (0..=300).flat_map(|d| (if d < 300 { corpus.range(d).start } else { corpus.pairs() } as u64).to_le_bytes()),
    );
    bytes.extend(numbers(&corpus, |pair| pair.0));
    bytes.extend(numbers(&corpus, |pair| pair.1));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("corpus.bin");
    std::fs::write(&path, &bytes).unwrap();
    let packed = Packed::new(&CorpusFile::open(&path).unwrap()).unwrap();
    let parameters = IncrementalParameters { topics: 3, passes: 2, ..Default::default() };
    let mut fit = Fit::new(&packed, &parameters).unwrap();
    while fit.step().is_some() {}
    assert!(fit.finish() == incremental::fit(&corpus, &parameters, &mut go).unwrap());
    // A length, an offset and a word that cannot be.
    for (at, wrong) in [(0, 9_u8), (24 + 8 * 4 + 7, 1), (24 + 8 * 301 + 3, 200)] {
        let mut damaged = bytes.clone();
        damaged[at] = wrong;
        std::fs::write(&path, &damaged).unwrap();
        let outcome = CorpusFile::open(&path).and_then(|file| Packed::new(&file));
        assert_eq!(outcome.err().map(|error| error.kind()), Some(std::io::ErrorKind::InvalidData), "byte {at}");
    }
}
