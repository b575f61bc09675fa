//! The corpus as the engine sweeps it: equal documents merged, words numbered by frequency, documents in an order that is as good as random.

use super::Corpus;
use super::random::mix;

/// Documents one after the other, to pack.
pub trait Documents {
    /// How many.
    fn documents(&self) -> usize;
    /// How many words there are.
    fn vocabulary(&self) -> usize;
    /// Calls `each` with words and counts of every document, in the same order every time: words ascending and below the vocabulary, counts at
    /// least 1.
    ///
    /// # Errors
    /// They cannot be read.
    fn each(&self, each: &mut dyn FnMut(&[u32], &[u32])) -> std::io::Result<()>;
}

impl Documents for Corpus {
    fn documents(&self) -> usize {
        Self::documents(self)
    }

    fn vocabulary(&self) -> usize {
        Self::vocabulary(self)
    }

    fn each(&self, each: &mut dyn FnMut(&[u32], &[u32])) -> std::io::Result<()> {
        for document in 0..Self::documents(self) {
            let (words, counts) = self.document(document);
            each(words, counts);
        }
        Ok(())
    }
}

/// The place of a document without words.
const NOWHERE: u32 = u32::MAX;

/// A packed corpus.
///
/// Memory: 8 bytes per (distinct document, word) pair, 12 per distinct document, 4 per document, 12 per word; while it is packed 16 per document more.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    pub(super) offsets: Vec<usize>,
    pub(super) words: Vec<u32>,
    /// Exact up to 2^24, above rounded to f32 (relative 6e-8).
    pub(super) counts: Vec<f32>,
    /// How many equal documents each stands for.
    pub(super) weights: Vec<f32>,
    vocabulary: usize,
    /// The caller's number of each word.
    pub(super) word_order: Vec<u32>,
    /// The row of each of the caller's documents.
    places: Vec<u32>,
    /// Tokens of each word, by its new number.
    pub(super) word_tokens: Vec<f64>,
    tokens: f64,
}

impl Packed {
    /// Packs a corpus. The result depends on the documents as a set: their order changes their rows' order at equal documents only.
    ///
    /// # Errors
    /// The documents cannot be read, or are not as [`Documents`] promises.
    pub fn new(documents: &dyn Documents) -> std::io::Result<Self> {
        let vocabulary = documents.vocabulary();
        let mut frequency = vec![0_u64; vocabulary];
        // (hash, document), by hash: equal ones are neighbours, and the order has nothing to do with what they are.
        let mut order: Vec<(u64, u32)> = Vec::with_capacity(documents.documents());
        let mut lengths: Vec<u32> = Vec::with_capacity(documents.documents());
        let mut wrong = None;
        documents.each(&mut |words, counts| {
            let ascending = words.is_sorted_by(|a, b| a < b);
            if !ascending || words.len() != counts.len() || counts.contains(&0) || lengths.len() >= NOWHERE as usize {
                wrong = wrong.or(Some(lengths.len()));
                return;
            }
            for word in words {
                match frequency.get_mut(*word as usize) {
                    Some(n) => *n += 1,
                    None => {
                        wrong = wrong.or(Some(lengths.len()));
                        return;
                    }
                }
            }
            if !words.is_empty() {
                order.push((hash(words, counts), lengths.len() as u32));
            }
            lengths.push(words.len() as u32);
        })?;
        if let Some(document) = wrong {
            let why = format!("document {document}: words must ascend below the vocabulary, each with a count above 0");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        order.sort_unstable();
        let mut packed = Self { vocabulary, places: vec![NOWHERE; lengths.len()], ..Self::default() };
        let rank = packed.number_words(&frequency);
        packed.offsets.push(0);
        let mut end = 0;
        for same in order.chunk_by(|a, b| a.0 == b.0 && lengths.get(a.1 as usize) == lengths.get(b.1 as usize)) {
            for (_, document) in same {
                if let Some(place) = packed.places.get_mut(*document as usize) {
                    *place = packed.weights.len() as u32;
                }
            }
            let length = same.first().and_then(|(_, first)| lengths.get(*first as usize)).copied().unwrap_or(0);
            end += length as usize;
            packed.offsets.push(end);
            packed.weights.push(0.0);
        }
        drop(order);
        drop(lengths);
        packed.words = vec![0; end];
        packed.counts = vec![0.0; end];
        let mut document = 0;
        let mut odd = Vec::new();
        documents.each(&mut |words, counts| {
            if !packed.take(document, words, counts, &rank) {
                odd.push((document, words.to_vec(), counts.to_vec()));
            }
            document += 1;
        })?;
        for (document, words, counts) in odd {
            packed.append(document, &words, &counts, &rank);
        }
        packed.sum_up();
        Ok(packed)
    }

    /// Numbers words by falling frequency; ties as they were. Returns the new number of each.
    fn number_words(&mut self, frequency: &[u64]) -> Vec<u32> {
        self.word_order = (0..frequency.len() as u32).collect();
        self.word_order.sort_by_key(|word| std::cmp::Reverse(frequency.get(*word as usize).copied()));
        let mut rank = vec![0; frequency.len()];
        for (new, old) in self.word_order.iter().zip(0..).map(|(old, new)| (new, *old)) {
            if let Some(rank) = rank.get_mut(old as usize) {
                *rank = new;
            }
        }
        rank
    }

    /// Writes a document to its row, or counts it there if its equal already stands there. False if another document of the same hash does.
    fn take(&mut self, document: usize, words: &[u32], counts: &[u32], rank: &[u32]) -> bool {
        let Some(row) = self.places.get(document).copied().filter(|row| *row != NOWHERE) else { return true };
        let row = row as usize;
        let range = self.range(row);
        let Some(weight) = self.weights.get_mut(row) else { return true };
        let pairs = self.words[range.clone()].iter_mut().zip(&mut self.counts[range]);
        let mut given = words.iter().map(|word| rank.get(*word as usize).copied().unwrap_or(0)).zip(counts);
        if *weight > 0.0 {
            let same = pairs.zip(given).all(|((word, count), (w, c))| (*word, *count) == (w, *c as f32));
            *weight += if same { 1.0 } else { 0.0 };
            return same;
        }
        *weight = 1.0;
        for (word, count) in pairs {
            if let Some((w, c)) = given.next() {
                (*word, *count) = (w, *c as f32);
            }
        }
        true
    }

    /// A row of its own at the end, for a document whose hash another one has.
    fn append(&mut self, document: usize, words: &[u32], counts: &[u32], rank: &[u32]) {
        if let Some(place) = self.places.get_mut(document) {
            *place = self.weights.len() as u32;
        }
        self.words.extend(words.iter().map(|word| rank.get(*word as usize).copied().unwrap_or(0)));
        self.counts.extend(counts.iter().map(|count| *count as f32));
        self.offsets.push(self.words.len());
        self.weights.push(1.0);
    }

    /// Distinct documents with words.
    pub fn rows(&self) -> usize {
        self.weights.len()
    }

    /// Documents, as they were given.
    pub fn documents(&self) -> usize {
        self.places.len()
    }

    /// Words of the vocabulary.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The caller's number of each word.
    pub fn order(&self) -> &[u32] {
        &self.word_order
    }

    /// Pairs of the distinct documents.
    pub fn pairs(&self) -> usize {
        self.words.len()
    }

    /// Tokens of all documents.
    pub fn tokens(&self) -> f64 {
        self.tokens
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        8 * self.words.len() + 12 * self.weights.len() + 4 * self.places.len() + 12 * self.word_order.len()
    }

    /// The row of a document; none without words.
    pub fn place(&self, document: usize) -> Option<usize> {
        self.places.get(document).filter(|row| **row != NOWHERE).map(|row| *row as usize)
    }

    pub(super) fn range(&self, row: usize) -> std::ops::Range<usize> {
        match (self.offsets.get(row), self.offsets.get(row + 1)) {
            (Some(from), Some(to)) => *from..*to,
            _ => 0..0,
        }
    }

    fn sum_up(&mut self) {
        self.word_tokens = vec![0.0; self.vocabulary];
        for (ends, weight) in self.offsets.windows(2).zip(&self.weights) {
            let range = ends[0]..ends[1];
            for (word, count) in self.words[range.clone()].iter().zip(&self.counts[range]) {
                if let Some(tokens) = self.word_tokens.get_mut(*word as usize) {
                    *tokens += f64::from(*weight) * f64::from(*count);
                }
            }
        }
        self.tokens = self.word_tokens.iter().sum();
    }

    /// Two corpora of the same rows and words: of every count about one half in each. Which gets the odd one is as good as chance, and the same every time.
    pub(super) fn halves(&self, rows: std::ops::Range<usize>) -> (Self, Self) {
        let mut halves = [(); 2].map(|()| Self { vocabulary: self.vocabulary, offsets: vec![0], ..Self::default() });
        for row in rows {
            for at in self.range(row) {
                let (word, count) = (self.words[at], self.counts[at]);
                let half = (count / 2.0).floor();
                let odd = mix(mix(row as u64) ^ u64::from(word)) & 1 == 1;
                let other = count - half;
                for (into, count) in halves.iter_mut().zip(if odd { [half, other] } else { [other, half] }) {
                    if count > 0.0 {
                        into.words.push(word);
                        into.counts.push(count);
                    }
                }
            }
            for half in &mut halves {
                half.offsets.push(half.words.len());
                half.weights.push(self.weights[row]);
            }
        }
        let [seen, asked] = halves;
        (seen, asked)
    }

    /// Cuts rows into `parts` runs of about equal weight (pairs + 8 a row), some of them empty where there are few rows.
    pub(super) fn cut(&self, rows: std::ops::Range<usize>, parts: usize) -> Vec<std::ops::Range<usize>> {
        let weight = |row: usize| self.offsets.get(row).copied().unwrap_or(0) + 8 * row;
        let (low, high) = (weight(rows.start), weight(rows.end));
        let mut cuts = Vec::with_capacity(parts);
        let mut from = rows.start;
        for part in 1..=parts {
            let target = low + ((high - low) as u128 * part as u128 / parts as u128) as usize;
            // The first row whose end is at or past the target.
            let (mut a, mut b) = (from, rows.end);
            while a < b {
                let middle = a.midpoint(b);
                if weight(middle) < target { a = middle + 1 } else { b = middle }
            }
            cuts.push(from..a);
            from = a;
        }
        cuts
    }
}

fn hash(words: &[u32], counts: &[u32]) -> u64 {
    let mut state = words.len() as u64;
    for (word, count) in words.iter().zip(counts) {
        state = mix(state ^ (u64::from(*word) << 32 | u64::from(*count)));
    }
    state
}
