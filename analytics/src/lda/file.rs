//! Files: a corpus to be read document by document, and a model to be kept.
//!
//! Both are little-endian, begin with a magic number and their sizes, and are checked before they are believed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::packed::Documents;
use super::simd::stride;
use super::{Model, TOPICS_LIMIT};

/// A corpus in a file: three u64 (documents, words of the vocabulary, pairs), where each document's pairs begin and the last one's end (u64), the pairs' words (u32), their
/// counts (u32). Read from one end to the other, with a few buffers; what is in it is checked by who packs it.
#[derive(Debug)]
pub struct CorpusFile {
    path: PathBuf,
    documents: u64,
    vocabulary: usize,
    pairs: u64,
}

const HEADER: u64 = 24;

fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

impl CorpusFile {
    /// Opens it and compares its sizes with its length.
    ///
    /// # Errors
    /// It cannot be read, or its length is not what its sizes say.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut header = [0; HEADER as usize];
        file.read_exact(&mut header)?;
        let (numbers, _) = header.as_chunks::<8>();
        let [documents, vocabulary, pairs] = [0, 1, 2].map(|at: usize| u64::from_le_bytes(numbers[at]));
        let length =
            (|| (documents.checked_add(1)?.checked_mul(8)?).checked_add(pairs.checked_mul(8)?)?.checked_add(HEADER))();
        if length != Some(file.metadata()?.len()) {
            return Err(damaged(path, "the length is not what the numbers of documents and pairs say"));
        }
        let vocabulary = u32::try_from(vocabulary).map_err(|_| damaged(path, "more than 2^32 words"))? as usize;
        Ok(Self { path: path.to_owned(), documents, vocabulary, pairs })
    }

    fn section(&self, at: u64) -> io::Result<BufReader<File>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(BufReader::with_capacity(1 << 18, file))
    }
}

impl Documents for CorpusFile {
    fn documents(&self) -> usize {
        self.documents as usize
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn each(&self, each: &mut dyn FnMut(&[u32], &[u32])) -> io::Result<()> {
        let words_at = HEADER + 8 * (self.documents + 1);
        let mut offsets = self.section(HEADER)?;
        let mut sections = [self.section(words_at)?, self.section(words_at + 4 * self.pairs)?];
        let mut offset = || {
            let mut bytes = [0; 8];
            offsets.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
        };
        let mut from = offset()?;
        let (mut bytes, mut numbers) = (Vec::new(), [Vec::new(), Vec::new()]);
        for _ in 0..self.documents {
            let to = offset()?;
            if to < from || to > self.pairs {
                return Err(damaged(&self.path, "a document ends before it begins or past the last pair"));
            }
            for (numbers, section) in numbers.iter_mut().zip(&mut sections) {
                bytes.resize((to - from) as usize * 4, 0);
                section.read_exact(&mut bytes)?;
                numbers.clear();
                numbers.extend(bytes.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number)));
            }
            let [words, counts] = &numbers;
            each(words, counts);
            from = to;
        }
        Ok(())
    }
}

const MAGIC: &[u8; 8] = b"SpotLDA1";

impl Model {
    /// Writes the model: magic, K, documents, words, iterations (u64), offsets and log-likelihood (f64), N_dk (f32), N_wk and N_k (f64), each without padding, and a
    /// checksum (FNV-1a of 64 bits, over all before it).
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut to = Summed { inner: to, sum: FNV };
        to.write_all(MAGIC)?;
        for size in [self.topics, self.documents(), self.vocabulary(), self.iterations] {
            to.write_all(&(size as u64).to_le_bytes())?;
        }
        for number in [self.document_offset, self.word_offset, self.log_likelihood] {
            to.write_all(&number.to_le_bytes())?;
        }
        let stride = stride(self.topics);
        let mut bytes = Vec::new();
        for row in self.document_topics.chunks_exact(stride) {
            bytes.clear();
            bytes.extend(row[..self.topics].iter().flat_map(|n| n.to_le_bytes()));
            to.write_all(&bytes)?;
        }
        for row in self.word_topics.chunks_exact(stride).map(|row| &row[..self.topics]).chain([&self.topic_totals[..]])
        {
            bytes.clear();
            bytes.extend(row.iter().flat_map(|n| n.to_le_bytes()));
            to.write_all(&bytes)?;
        }
        let sum = to.sum;
        to.inner.write_all(&sum.to_le_bytes())
    }

    /// Reads a model that [`Self::write`] wrote, of at most `limit` documents and words together.
    ///
    /// # Errors
    /// It cannot be read, is no such file, is larger, or is damaged.
    pub fn read(from: &mut dyn Read, limit: usize) -> io::Result<Self> {
        let mut from = Summed { inner: from, sum: FNV };
        let Sizes { topics, documents, words, iterations, numbers } = Sizes::read(&mut from, limit)?;
        let stride = stride(topics);
        let mut document_topics = Vec::new();
        let mut row = vec![0; topics * 8];
        for _ in 0..documents {
            from.read_exact(&mut row[..topics * 4])?;
            document_topics.extend(row[..topics * 4].as_chunks::<4>().0.iter().map(|n| f32::from_le_bytes(*n)));
            document_topics.resize(document_topics.len() + stride - topics, 0.0);
        }
        let (mut word_topics, mut topic_totals) = (Vec::new(), Vec::new());
        for word in 0..=words {
            from.read_exact(&mut row)?;
            let numbers = row.as_chunks::<8>().0.iter().map(|n| f64::from_le_bytes(*n));
            if word < words {
                word_topics.extend(numbers);
                word_topics.resize(word_topics.len() + stride - topics, 0.0);
            } else {
                topic_totals.extend(numbers);
            }
        }
        let sum = from.sum;
        let mut bytes = [0; 8];
        from.inner.read_exact(&mut bytes)?;
        let sound = |numbers: &[f64]| numbers.iter().all(|n| n.is_finite() && *n >= 0.0);
        let [document_offset, word_offset, log_likelihood] = numbers;
        let finite = document_topics.iter().all(|n| n.is_finite()) && log_likelihood.is_finite();
        if u64::from_le_bytes(bytes) != sum || !finite || !sound(&word_topics) || !sound(&topic_totals) {
            return Err(wrong("damaged"));
        }
        Ok(Self {
            topics,
            document_topics,
            word_topics,
            topic_totals,
            document_offset,
            word_offset,
            log_likelihood,
            iterations,
        })
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("model: {what}"))
}

/// What a model's file begins with.
struct Sizes {
    topics: usize,
    documents: usize,
    words: usize,
    iterations: usize,
    /// Document offset, word offset, log-likelihood.
    numbers: [f64; 3],
}

impl Sizes {
    /// Bytes of it.
    const LENGTH: u64 = 64;

    fn read(from: &mut Summed<'_, dyn Read + '_>, limit: usize) -> io::Result<Self> {
        let mut eight = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes).map(|()| bytes)
        };
        if &eight()? != MAGIC {
            return Err(wrong("not a model of this version"));
        }
        let mut sizes = [0_u64; 4];
        for size in &mut sizes {
            *size = u64::from_le_bytes(eight()?);
        }
        let mut numbers = [0.0; 3];
        for number in &mut numbers {
            *number = f64::from_le_bytes(eight()?);
        }
        let [topics, documents, words, iterations] = sizes.map(|size| usize::try_from(size).unwrap_or(usize::MAX));
        if !(1..=TOPICS_LIMIT).contains(&topics) || documents.saturating_add(words) > limit {
            return Err(wrong("larger than allowed"));
        }
        Ok(Self { topics, documents, words, iterations, numbers })
    }
}

/// A model that stays in its file: checked once from one end to the other, then single rows are read.
///
/// Memory: 8 bytes a topic, and a row while it is read.
#[derive(Debug)]
pub struct ModelFile {
    path: PathBuf,
    /// Where the first document's row stands.
    rows_at: u64,
    documents: usize,
    words: usize,
    topic_totals: Vec<f64>,
}

impl ModelFile {
    /// Checks the model that [`Model::write`] wrote at byte `at` of a file, of at most `limit` documents and words together. Every word's
    /// expected topic counts are shown to `word` on the way, with its number.
    ///
    /// # Errors
    /// It cannot be read, is no such file, is larger, or is damaged.
    pub fn check(path: &Path, at: u64, limit: usize, word: &mut dyn FnMut(usize, &[f64])) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(at))?;
        let mut file = BufReader::with_capacity(1 << 18, file);
        let mut from = Summed { inner: &mut file as &mut dyn Read, sum: FNV };
        let Sizes { topics, documents, words, .. } = Sizes::read(&mut from, limit)?;
        let mut row = vec![0; topics * 8];
        for _ in 0..documents {
            from.read_exact(&mut row[..topics * 4])?;
        }
        let mut numbers: Vec<f64> = Vec::with_capacity(topics);
        for place in 0..=words {
            from.read_exact(&mut row)?;
            numbers.clear();
            numbers.extend(row.as_chunks::<8>().0.iter().map(|n| f64::from_le_bytes(*n)));
            if !numbers.iter().all(|n| n.is_finite() && *n >= 0.0) {
                return Err(wrong("damaged"));
            }
            if place < words {
                word(place, &numbers);
            }
        }
        let sum = from.sum;
        let mut bytes = [0; 8];
        from.inner.read_exact(&mut bytes)?;
        if u64::from_le_bytes(bytes) != sum {
            return Err(wrong("damaged"));
        }
        let rows_at = at.saturating_add(Sizes::LENGTH);
        Ok(Self { path: path.to_owned(), rows_at, documents, words, topic_totals: numbers })
    }

    /// Documents.
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// Words.
    pub fn vocabulary(&self) -> usize {
        self.words
    }

    /// N_k, K numbers.
    pub fn topic_totals(&self) -> &[f64] {
        &self.topic_totals
    }

    /// N_dk of a document, K numbers; `None` for one the model does not know.
    ///
    /// # Errors
    /// The file is gone or cannot be read any more.
    pub fn document_counts(&self, document: usize) -> io::Result<Option<Vec<f64>>> {
        if document >= self.documents {
            return Ok(None);
        }
        let width = 4 * self.topic_totals.len() as u64;
        let row = self.row(document as u64 * width, width)?;
        Ok(Some(row.as_chunks::<4>().0.iter().map(|n| f64::from(f32::from_le_bytes(*n))).collect()))
    }

    /// N_wk of a word, K numbers; `None` for one the model does not know.
    ///
    /// # Errors
    /// As [`Self::document_counts`].
    pub fn word_counts(&self, word: usize) -> io::Result<Option<Vec<f64>>> {
        if word >= self.words {
            return Ok(None);
        }
        let topics = self.topic_totals.len() as u64;
        let row = self.row(self.documents as u64 * topics * 4 + word as u64 * topics * 8, topics * 8)?;
        Ok(Some(row.as_chunks::<8>().0.iter().map(|n| f64::from_le_bytes(*n)).collect()))
    }

    fn row(&self, at: u64, width: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.rows_at.saturating_add(at)))?;
        let mut row = vec![0; width as usize];
        file.read_exact(&mut row)?;
        Ok(row)
    }
}

const FNV: u64 = 0xcbf2_9ce4_8422_2325;

/// Sums up what passes.
struct Summed<'a, T: ?Sized> {
    inner: &'a mut T,
    sum: u64,
}

impl<T: ?Sized> Summed<'_, T> {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.sum = (self.sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Summed<'_, dyn Write + '_> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.add(bytes);
        self.inner.write_all(bytes)
    }
}

impl Summed<'_, dyn Read + '_> {
    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.add(bytes);
        Ok(())
    }
}
