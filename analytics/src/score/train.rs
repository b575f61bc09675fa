//! The corpus of a day: counts by (document, word), in an order that depends on the records alone.

use hashbrown::HashMap;
use rayon::prelude::*;

use super::intern::Interner;
use super::texts::Numbers;
use crate::lda::Corpus;
use crate::words::{Scheme, WordCode};

/// The word of tokens past a bound; rendered [`OTHER`].
pub const OTHER_WORD: WordCode = WordCode([u32::MAX; crate::words::COMPONENTS]);

/// The name of the document of hosts past the bound, and the text of [`OTHER_WORD`].
pub const OTHER: &str = "(other)";

/// Bounds of a corpus. At each bound what comes after is counted together with the rest (document or word [`OTHER`]), and how often that
/// happened is in the run's card: a flood of spoofed sources makes the model coarser, never larger.
///
/// Memory at the defaults and at all three bounds: about 1.8 GiB while the corpus is built, less in the passes after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CorpusLimits {
    /// Documents (hosts).
    pub documents: usize,
    /// Words.
    pub words: usize,
    /// (document, word) pairs.
    pub pairs: usize,
}

impl Default for CorpusLimits {
    fn default() -> Self {
        Self { documents: 2_000_000, words: 500_000, pairs: 32_000_000 }
    }
}

/// Bytes of all documents' names at most, each.
const NAME_BYTES: usize = 64;

/// Runs of pairs kept beside each other, before they are counted into one.
const RUNS: usize = 64;

/// A token given from outside, to be counted beside the day's: the way an analyst's verdict enters the training (Spot copies a dismissed row
/// DUPFACTOR times). It is trained on, never scored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExtraToken {
    /// The host.
    pub document: String,
    /// The word.
    pub word: WordCode,
    /// How often it counts.
    pub weight: u32,
}

/// How often a bound was reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Overflow {
    /// Tokens of hosts that share the document [`OTHER`].
    pub document_tokens: u64,
    /// Tokens of words that share the word [`OTHER`].
    pub word_tokens: u64,
    /// Tokens whose pair found no room and stand at their host's pair with the word [`OTHER`].
    pub pair_tokens: u64,
}

/// A word in a document, both by their number in a [`CorpusBuilder`], so many times.
pub(super) struct Pair {
    document: u32,
    word: u32,
    weight: u32,
}

/// Counts tokens.
#[derive(Clone, Debug)]
pub struct CorpusBuilder {
    documents: Interner,
    words: HashMap<WordCode, u32>,
    codes: Vec<WordCode>,
    /// Counts by document << 32 | word.
    pairs: HashMap<u64, u32>,
    /// The same, taken over from others; a pair may stand in several.
    runs: Vec<Vec<(u64, u32)>>,
    limits: CorpusLimits,
    overflow: Overflow,
}

impl CorpusBuilder {
    /// An empty corpus.
    pub fn new(limits: CorpusLimits) -> Self {
        Self {
            documents: Interner::new(limits.documents, limits.documents.saturating_mul(NAME_BYTES)),
            words: HashMap::new(),
            codes: Vec::new(),
            pairs: HashMap::new(),
            runs: Vec::new(),
            limits,
            overflow: Overflow::default(),
        }
    }

    /// Counts a word in a document `weight` times.
    pub fn add(&mut self, document: &str, word: WordCode, weight: u32) {
        let document = self.documents.place(document);
        let pair = self.pair_of(document, word, weight);
        self.add_pairs([pair]);
    }

    /// The pair of a word and the document in a row of a column, for [`Self::add_pairs`].
    pub(super) fn pair_of_row(
        &mut self,
        (numbers, row): (&mut Numbers, usize),
        document: &str,
        word: WordCode,
        weight: u32,
    ) -> Pair {
        let document = numbers.get(row, || self.documents.place(document));
        self.pair_of(document, word, weight)
    }

    /// Counts pairs, in a short loop: each is a miss of the cache, and these overlap.
    pub(super) fn add_pairs(&mut self, pairs: impl IntoIterator<Item = Pair>) {
        for Pair { document, word, weight } in pairs {
            self.add_pair(document, word, weight);
        }
    }

    fn pair_of(&mut self, document: Option<u32>, word: WordCode, weight: u32) -> Pair {
        let document = match document {
            Some(place) => place,
            None => {
                self.overflow.document_tokens += u64::from(weight);
                self.documents.force(OTHER)
            }
        };
        let word = match self.words.get(&word) {
            Some(place) => *place,
            None if self.codes.len() < self.limits.words => self.insert_word(word),
            None => {
                self.overflow.word_tokens += u64::from(weight);
                self.insert_word(OTHER_WORD)
            }
        };
        Pair { document, word, weight }
    }

    /// Counts a word in a document once, unless it is counted there already.
    pub(super) fn ensure(&mut self, document: &str, word: WordCode) {
        self.settle();
        let known = self.documents.get(document).zip(self.words.get(&word).copied());
        let has = known.is_some_and(|(d, w)| self.pairs.contains_key(&(u64::from(d) << 32 | u64::from(w))));
        if !has {
            self.add(document, word, 1);
        }
    }

    /// Pairs, those of several runs counted in each: at least as many as there are.
    fn most_pairs(&self) -> usize {
        self.pairs.len() + self.runs.iter().map(Vec::len).sum::<usize>()
    }

    /// Counts what was taken over as if it had been added here.
    fn settle(&mut self) {
        for run in std::mem::take(&mut self.runs) {
            for (pair, count) in run {
                self.add_pair((pair >> 32) as u32, pair as u32, count);
            }
        }
    }

    fn add_pair(&mut self, document: u32, word: u32, weight: u32) {
        let mut pair = u64::from(document) << 32 | u64::from(word);
        if !self.runs.is_empty() && self.most_pairs() >= self.limits.pairs {
            // Exactly, now that it matters.
            self.settle();
        }
        if self.pairs.len() >= self.limits.pairs && !self.pairs.contains_key(&pair) {
            self.overflow.pair_tokens += u64::from(weight);
            pair = u64::from(document) << 32 | u64::from(self.insert_word(OTHER_WORD));
        }
        let count = self.pairs.entry(pair).or_insert(0);
        *count = count.saturating_add(weight);
    }

    /// Puts the pairs in order, which takes a third of the memory. For one that others wait for to [`Self::merge`].
    pub(super) fn pack(&mut self) {
        if self.runs.is_empty() {
            let mut run: Vec<(u64, u32)> = std::mem::take(&mut self.pairs).into_iter().collect();
            run.sort_unstable();
            self.runs.push(run);
        }
    }

    /// Counts what another has counted, in the order it met things.
    pub fn merge(&mut self, mut other: Self) {
        other.pack();
        let Self { documents, codes, pairs, runs, overflow, .. } = other;
        let mut document_places = Vec::with_capacity(documents.len());
        for place in 0..documents.len() as u32 {
            let name = documents.text(place);
            document_places.push(self.documents.place(name));
        }
        let mut word_places = Vec::with_capacity(codes.len());
        for code in codes {
            let known = self.words.get(&code).copied();
            let place = known.or_else(|| (self.codes.len() < self.limits.words).then(|| self.insert_word(code)));
            word_places.push(place);
        }
        self.overflow.document_tokens += overflow.document_tokens;
        self.overflow.word_tokens += overflow.word_tokens;
        self.overflow.pair_tokens += overflow.pair_tokens;
        // Pairs in the order of their places: what stands past the bound does not depend on the order of a hash table.
        let mut left: Vec<(u64, u32)> = pairs.into_iter().collect();
        left.sort_unstable();
        for mut run in runs.into_iter().chain([left]) {
            for (pair, count) in &mut run {
                let document = document_places.get((*pair >> 32) as usize).copied().flatten().unwrap_or_else(|| {
                    self.overflow.document_tokens += u64::from(*count);
                    self.documents.force(OTHER)
                });
                let word = word_places.get(*pair as u32 as usize).copied().flatten().unwrap_or_else(|| {
                    self.overflow.word_tokens += u64::from(*count);
                    self.insert_word(OTHER_WORD)
                });
                *pair = u64::from(document) << 32 | u64::from(word);
            }
            if self.runs.len() < RUNS && self.most_pairs().saturating_add(run.len()) <= self.limits.pairs {
                self.runs.push(run);
                continue;
            }
            self.settle();
            for (pair, count) in run {
                self.add_pair((pair >> 32) as u32, pair as u32, count);
            }
        }
    }

    /// Counts tokens given from outside.
    pub fn add_extra(&mut self, tokens: &[ExtraToken]) {
        for token in tokens {
            self.add(&token.document, token.word, token.weight);
        }
    }

    fn insert_word(&mut self, word: WordCode) -> u32 {
        let codes = &mut self.codes;
        *self.words.entry(word).or_insert_with(|| {
            codes.push(word);
            (codes.len() - 1) as u32
        })
    }

    /// Puts documents (by name) and words (by text) in order, so that the corpus, and with it every model and score, does not depend on
    /// the order the records were read in.
    pub fn finish(self, scheme: &dyn Scheme) -> DayCorpus {
        let Self { documents, mut words, codes, pairs, runs, overflow, .. } = self;
        let mut by_name: Vec<u32> = (0..documents.len() as u32).collect();
        by_name.sort_unstable_by(|a, b| documents.text(*a).cmp(documents.text(*b)));
        let document_order = inverse(&by_name);
        let mut by_text: Vec<(String, WordCode, u32)> =
            codes.iter().zip(0..).map(|(code, place)| (render(scheme, *code), *code, place)).collect();
        by_text.sort_unstable();
        let word_order = inverse(&by_text.iter().map(|(_, _, place)| *place).collect::<Vec<_>>());
        let reorder = |order: &[u32], place: u32| order.get(place as usize).copied().unwrap_or(0);
        let mut entries = Vec::with_capacity(pairs.len() + runs.iter().map(Vec::len).sum::<usize>());
        for run in std::iter::once(pairs.into_iter().collect()).chain(runs) {
            entries.par_extend(run.into_par_iter().map(|(pair, count)| {
                (reorder(&document_order, (pair >> 32) as u32), reorder(&word_order, pair as u32), count)
            }));
        }
        entries.par_sort_unstable();
        let corpus = Corpus::from_counts(by_name.len(), by_text.len(), entries);
        for place in words.values_mut() {
            *place = reorder(&word_order, *place);
        }
        let codes = by_text.into_iter().map(|(_, code, _)| code).collect();
        DayCorpus { documents, document_order, by_name, words, codes, corpus, overflow }
    }
}

fn inverse(order: &[u32]) -> Vec<u32> {
    let mut inverse = vec![0; order.len()];
    for (to, from) in order.iter().enumerate() {
        if let Some(place) = inverse.get_mut(*from as usize) {
            *place = to as u32;
        }
    }
    inverse
}

/// A word's text, [`OTHER`] for the word of those past the bound.
pub(crate) fn render(scheme: &dyn Scheme, word: WordCode) -> String {
    if word == OTHER_WORD { OTHER.into() } else { scheme.render(word) }
}

/// A day's corpus, with the names behind its numbers.
#[derive(Debug)]
pub struct DayCorpus {
    documents: Interner,
    document_order: Vec<u32>,
    by_name: Vec<u32>,
    words: HashMap<WordCode, u32>,
    codes: Vec<WordCode>,
    /// The counts.
    pub corpus: Corpus,
    /// How often a bound was reached.
    pub overflow: Overflow,
}

impl DayCorpus {
    /// The document's number.
    pub fn document(&self, name: &str) -> Option<u32> {
        let place = self.documents.get(name).or_else(|| self.documents.get(OTHER))?;
        self.document_order.get(place as usize).copied()
    }

    /// The document's name.
    pub fn document_name(&self, document: u32) -> &str {
        self.by_name.get(document as usize).map_or("", |place| self.documents.text(*place))
    }

    /// The word's number, exactly: `None` for a word past the bound too.
    pub fn word(&self, word: WordCode) -> Option<u32> {
        self.words.get(&word).copied()
    }

    /// The word of a number.
    pub fn code(&self, word: u32) -> WordCode {
        self.codes.get(word as usize).copied().unwrap_or(OTHER_WORD)
    }

    /// All words, by number.
    pub fn codes(&self) -> &[WordCode] {
        &self.codes
    }

    /// Document and place (among all pairs) of a token that was counted: its own pair, or the one it was counted in past a bound.
    pub fn place(&self, document: &str, word: WordCode) -> Option<(u32, usize)> {
        let document = self.document(document)?;
        Some((document, self.place_of(document, self.word(word))?))
    }

    /// The same for a document's number, and the word's if it has one.
    pub(super) fn place_of(&self, document: u32, word: Option<u32>) -> Option<usize> {
        let own = word.and_then(|word| self.corpus.place(document, word));
        own.or_else(|| self.corpus.place(document, self.word(OTHER_WORD)?))
    }

    /// A hash of documents, words and counts: equal exactly when the training data is.
    pub fn digest(&self, scheme: &dyn Scheme) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let mut text = |text: &str, end: u8| {
            hasher.update(text.as_bytes());
            hasher.update(&[end]);
        };
        for document in 0..self.by_name.len() as u32 {
            text(self.document_name(document), 0);
        }
        for code in &self.codes {
            text(&render(scheme, *code), 1);
        }
        for document in 0..self.corpus.documents() {
            let (words, counts) = self.corpus.document(document);
            for (word, count) in words.iter().zip(counts) {
                hasher.update(&word.to_le_bytes());
                hasher.update(&count.to_le_bytes());
            }
            hasher.update(&u32::MAX.to_le_bytes());
        }
        hasher.finalize()
    }
}
