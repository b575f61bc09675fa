//! The topic model against Apache Spot's toy tests, and its own promises: same bits, no NaN.
#![allow(clippy::unwrap_used, reason = "tests")]

use analytics::lda::em::{self, EmParameters};
use analytics::lda::model::{PairCounts, dot32, dot64, significant};
use analytics::lda::online::{self, OnlineParameters};
use analytics::lda::{Corpus, LdaError, Model};
use proptest::prelude::*;

fn go(_: usize, _: usize) -> bool {
    true
}

fn corpus(documents: usize, words: usize, entries: &[(u32, u32, u32)]) -> Corpus {
    Corpus::from_counts(documents, words, entries.to_vec())
}

fn fit_em(corpus: &Corpus, topics: usize, iterations: usize) -> Model {
    let parameters = EmParameters { topics, iterations, seed: 0xdead_beef, ..EmParameters::default() };
    em::fit(corpus, &parameters, &mut go).unwrap()
}

fn fit_online(corpus: &Corpus, topics: usize, iterations: usize) -> Model {
    let parameters = OnlineParameters { topics, iterations, seed: 0xdead_beef, ..OnlineParameters::default() };
    online::fit(corpus, &parameters, &mut go).unwrap()
}

fn near(found: Option<f64>, expected: f64, tolerance: f64) {
    assert!((found.unwrap() - expected).abs() <= tolerance, "{found:?} {expected}");
}

#[test]
fn cats_and_dogs() {
    let pets = corpus(1, 2, &[(0, 0, 1), (0, 1, 999)]);
    for model in [fit_em(&pets, 2, 20), fit_online(&pets, 2, 400)] {
        near(model.probability(0, 0), 0.001, 0.009);
        near(model.probability(0, 1), 0.999, 0.01);
    }
    // One document: exactly its frequencies, up to f32.
    near(fit_em(&pets, 2, 20).probability(0, 0), 0.001, 1e-6);
}

#[test]
fn two_documents_with_a_word_each() {
    let two = corpus(2, 2, &[(0, 0, 1), (1, 1, 1)]);
    for model in [fit_em(&two, 2, 100), fit_online(&two, 2, 400)] {
        for own in 0..2 {
            near(model.probability(own, own), 1.0, 0.01);
        }
    }
}

#[test]
fn toy_anomaly_scores() {
    // flow and proxy: 1 and 9; dns: 1 and 4. In the flow toy every record has two equal words in two documents.
    for (rare, common) in [(1, 9), (1, 4)] {
        let total = f64::from(rare + common);
        for documents in [1, 2] {
            let entries: Vec<_> = (0..documents).flat_map(|d| [(d, 0, rare as u32), (d, 1, common as u32)]).collect();
            let corpus = corpus(documents as usize, 2, &entries);
            for model in [fit_em(&corpus, 20, 20), fit_online(&corpus, 20, 200)] {
                for document in 0..documents as usize {
                    near(model.probability(document, 0), f64::from(rare) / total, 0.01);
                    near(model.probability(document, 1), f64::from(common) / total, 0.01);
                }
            }
        }
    }
}

#[test]
fn unknown_words_score_zero_and_unknown_documents_have_no_score() {
    let model = fit_em(&corpus(2, 2, &[(0, 0, 3)]), 4, 5);
    assert_eq!(model.probability(0, 7), Some(0.0));
    assert_eq!(model.probability(1, 0), None, "a document without tokens");
    assert_eq!(model.probability(9, 0), None);
}

#[test]
fn spots_corpus_formatting() {
    let corpus = corpus(3, 4, &[(0, 0, 8), (1, 1, 4), (2, 2, 2), (0, 3, 5)]);
    assert_eq!((corpus.documents(), corpus.vocabulary(), corpus.tokens()), (3, 4, 19));
    assert_eq!(corpus.document(0), (&[0, 3][..], &[8, 5][..]));
    assert_eq!((corpus.place(0, 3), corpus.place(2, 2), corpus.place(2, 3)), (Some(1), Some(3), None));
}

#[test]
fn spots_score_function() {
    assert_eq!(dot64(&[0.05; 4], &[0.05; 4]), 0.010000000000000002);
    assert_eq!(dot32(&[0.05; 4], &[0.05; 4]), 0.010000000149011612);
}

/// Words of equal counts in one document differed in the seventh digit, and the noise of the fit decided their rank.
#[test]
fn equal_evidence_ties() {
    let entries: Vec<_> = (0..200).map(|word| (0, word, 1 + word % 2)).collect();
    let corpus = corpus(1, 200, &entries);
    let scores = fit_em(&corpus, 20, 20).pair_probabilities(&corpus);
    let mut different: Vec<u64> = scores.iter().map(|score| score.to_bits()).collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 2, "{:?}", different.iter().map(|bits| f64::from_bits(*bits)).collect::<Vec<_>>());
    for (value, expected) in [(0.0, 0.0), (1.0, 1.0), (1.0000001, 1.0), (0.5, 0.5), (-0.0, 0.0)] {
        assert_eq!(significant(value), expected);
    }
    assert!((significant(1e-300) / 1e-300 - 1.0).abs() < 8e-6);
}

#[test]
fn parameters_out_of_range_are_refused() {
    let corpus = corpus(1, 1, &[(0, 0, 1)]);
    let wrong = [
        EmParameters { topics: 0, ..EmParameters::default() },
        EmParameters { alpha: 1.0, ..EmParameters::default() },
        EmParameters { beta: f64::NAN, ..EmParameters::default() },
    ];
    for parameters in wrong {
        assert!(matches!(em::fit(&corpus, &parameters, &mut go), Err(LdaError::Parameter { .. })));
    }
    assert_eq!(em::fit(&corpus, &EmParameters::default(), &mut |_, _| false), Err(LdaError::Stopped));
}

/// A corpus of a few thousand documents in three roles, so that several work units and topics are at play.
fn roles() -> Corpus {
    let mut entries = Vec::new();
    let mut state = 1_u64;
    let mut random = |n: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    };
    for document in 0..6000_u32 {
        let role = document % 3;
        for _ in 0..20 {
            let word = role * 100 + random(60) as u32;
            entries.push((document, word, 1 + random(4) as u32));
        }
    }
    Corpus::from_counts(6000, 300, entries)
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let corpus = roles();
    let parameters = EmParameters { topics: 5, iterations: 12, seed: 7, ..EmParameters::default() };
    let online = OnlineParameters { topics: 5, iterations: 10, batch: 64, seed: 7, ..OnlineParameters::default() };
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            (em::fit(&corpus, &parameters, &mut go).unwrap(), online::fit(&corpus, &online, &mut go).unwrap())
        })
    };
    let one = fit(1);
    for threads in [2, 4, 8, 1] {
        // Model compares every f32 and f64.
        assert!(fit(threads) == one, "{threads} threads");
    }
    let other = em::fit(&corpus, &EmParameters { seed: 8, ..parameters }, &mut go).unwrap();
    assert!(other != one.0, "the seed has no effect");
}

#[test]
fn a_word_of_another_role_is_rarer_than_any_own_word() {
    // Document 0 (role 0) once does what role 1 does.
    let mut entries = Vec::new();
    let base = roles();
    for document in 0..base.documents() {
        let (words, counts) = base.document(document);
        entries.extend(words.iter().zip(counts).map(|(w, c)| (document as u32, *w, *c)));
    }
    entries.push((0, 130, 1));
    let corpus = Corpus::from_counts(6000, 300, entries);
    let model = fit_em(&corpus, 5, 60);
    let odd = model.probability(0, 130).unwrap();
    let (words, _) = corpus.document(0);
    let own = words.iter().filter(|w| **w != 130).map(|w| model.probability(0, *w as usize).unwrap());
    let least = own.fold(f64::INFINITY, f64::min);
    assert!(odd * 3.0 < least, "odd {odd}, least own {least}");
    // Left out, it is below the word's share of all traffic; a word of its own role is above.
    let (tokens, _) = corpus.word_totals();
    let left_out = |word: u32| {
        let count = corpus.pair(corpus.place(0, word).unwrap()).unwrap().1;
        let counts = PairCounts {
            pair: count.into(),
            document: corpus.document_tokens(0) as f64,
            word: tokens[word as usize] as f64,
            all: corpus.tokens() as f64,
        };
        model.left_out(0, word as usize, counts, 0.1, 0.01).unwrap()
    };
    let (odd, own) = (left_out(130), left_out(words[0]));
    assert!(odd.lift_bits < -1.0 && own.lift_bits > 1.0, "{odd:?} {own:?}");
    assert!(odd.tail_log10 < own.tail_log10, "{odd:?} {own:?}");
}

#[test]
fn likelihood_rises() {
    let corpus = roles();
    let of = |iterations| fit_em(&corpus, 5, iterations).log_likelihood();
    let steps = [of(2), of(10), of(40)];
    assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
    // Perplexity ends near 60 words a role, from 180.
    let perplexity = (-steps[2] / corpus.tokens() as f64).exp();
    assert!((50.0..80.0).contains(&perplexity), "{perplexity}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn never_nan(entries in proptest::collection::vec((0_u32..6, 0_u32..9, prop_oneof![0_u32..5, Just(u32::MAX), Just(1_000_000)]), 0..40),
                 topics in 1_usize..12, iterations in 0_usize..8, alpha in 1.000_001_f64..3.0, beta in 1.000_000_1_f64..2.0) {
        let corpus = Corpus::from_counts(6, 9, entries);
        let parameters = EmParameters { topics, iterations, alpha, beta, seed: 3 };
        let em = em::fit(&corpus, &parameters, &mut go).unwrap();
        let parameters = OnlineParameters { topics, iterations, alpha: alpha - 1.0, beta: beta - 1.0, batch: 3, seed: 3 };
        let online = online::fit(&corpus, &parameters, &mut go).unwrap();
        for model in [em, online] {
            prop_assert!(model.log_likelihood().is_finite());
            for document in 0..6 {
                for word in 0..10 {
                    match model.probability(document, word) {
                        Some(p) => prop_assert!((0.0..=1.0 + 1e-5).contains(&p), "{}", p),
                        None => prop_assert!(corpus.range(document).is_empty()),
                    }
                }
            }
        }
    }
}
