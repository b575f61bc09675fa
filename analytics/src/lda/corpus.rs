//! The corpus: counts of words in documents, compressed by rows.

/// A bag of words per document. Documents and words are numbers given by the caller; within a document the words
/// stand in ascending order, each once, with a count of at least 1.
///
/// Memory: 8 bytes per (document, word) pair and 8 per document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corpus {
    offsets: Vec<usize>,
    words: Vec<u32>,
    counts: Vec<u32>,
    vocabulary: usize,
}

impl Corpus {
    /// Of (document, word, count) in any order; equal pairs are added up (to at most `u32::MAX`), pairs of count 0 and
    /// of numbers past `documents` or `vocabulary` are left out. Sorts in place.
    pub fn from_counts(documents: usize, vocabulary: usize, mut entries: Vec<(u32, u32, u32)>) -> Self {
        entries.retain(|(d, w, c)| (*d as usize) < documents && (*w as usize) < vocabulary && *c > 0);
        entries.sort_unstable();
        let mut corpus = Self { offsets: Vec::with_capacity(documents + 1), vocabulary, ..Self::default() };
        corpus.offsets.push(0);
        let mut open = 0_usize;
        for pair in entries.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some((document, word, _)) = pair.first().copied() else { continue };
            while open < document as usize {
                corpus.offsets.push(corpus.words.len());
                open += 1;
            }
            corpus.words.push(word);
            corpus.counts.push(pair.iter().fold(0, |sum: u32, entry| sum.saturating_add(entry.2)));
        }
        while corpus.offsets.len() <= documents {
            corpus.offsets.push(corpus.words.len());
        }
        corpus
    }

    /// Documents.
    pub fn documents(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Words of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// (document, word) pairs with a count.
    pub fn pairs(&self) -> usize {
        self.words.len()
    }

    /// Tokens: the sum of all counts.
    pub fn tokens(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The pairs of a document as places in the order of all pairs; empty past the last document.
    pub fn range(&self, document: usize) -> std::ops::Range<usize> {
        match (self.offsets.get(document), self.offsets.get(document + 1)) {
            (Some(from), Some(to)) => *from..*to,
            _ => 0..0,
        }
    }

    /// Words and counts of a document, by ascending word.
    pub fn document(&self, document: usize) -> (&[u32], &[u32]) {
        let range = self.range(document);
        (&self.words[range.clone()], &self.counts[range])
    }

    /// Where each document's pairs begin, and the last one's end; and all words.
    pub(super) fn offsets_and_words(&self) -> (&[usize], &[u32]) {
        (&self.offsets, &self.words)
    }

    /// All counts, as f32: exact up to 2^24, above to 24 bits.
    pub(super) fn counts_f32(&self) -> Vec<f32> {
        self.counts.iter().map(|count| *count as f32).collect()
    }

    /// The place of a pair among all pairs, if the document has the word. Binary search.
    pub fn place(&self, document: u32, word: u32) -> Option<usize> {
        let range = self.range(document as usize);
        let words = &self.words[range.clone()];
        words.binary_search(&word).ok().map(|at| range.start + at)
    }

    /// The document of a place; the last one past the end.
    pub fn document_of(&self, place: usize) -> u32 {
        (self.offsets.partition_point(|offset| *offset <= place).saturating_sub(1)) as u32
    }

    /// Word and count at a place.
    pub fn pair(&self, place: usize) -> Option<(u32, u32)> {
        Some((*self.words.get(place)?, *self.counts.get(place)?))
    }

    /// Tokens of a document.
    pub fn document_tokens(&self, document: usize) -> u64 {
        self.document(document).1.iter().map(|count| u64::from(*count)).sum()
    }

    /// For every word: its tokens, and the documents that have it.
    pub fn word_totals(&self) -> (Vec<u64>, Vec<u64>) {
        let (mut tokens, mut documents) = (vec![0; self.vocabulary], vec![0; self.vocabulary]);
        for (word, count) in self.words.iter().zip(&self.counts) {
            if let (Some(t), Some(d)) = (tokens.get_mut(*word as usize), documents.get_mut(*word as usize)) {
                *t += u64::from(*count);
                *d += 1;
            }
        }
        (tokens, documents)
    }

    /// Cuts the documents into at most `most` runs of about equal weight (pairs + 8 a document). Depends on the corpus
    /// alone, so sums over the runs in their order are the same everywhere.
    pub(crate) fn units(&self, most: usize) -> Vec<std::ops::Range<usize>> {
        const DOCUMENT_WEIGHT: usize = 8;
        const SMALLEST: usize = 1 << 14;
        let total = self.pairs() + DOCUMENT_WEIGHT * self.documents();
        let target = (total / most.max(1)).max(SMALLEST);
        let (mut units, mut from, mut weight) = (Vec::new(), 0, 0);
        for document in 0..self.documents() {
            weight += self.range(document).len() + DOCUMENT_WEIGHT;
            if weight >= target {
                units.push(from..document + 1);
                (from, weight) = (document + 1, 0);
            }
        }
        if from < self.documents() {
            units.push(from..self.documents());
        }
        units
    }
}
