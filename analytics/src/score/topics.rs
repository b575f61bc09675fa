//! What the topics of a kept model are about, and how a host is made of them: for explanations.
//!
//! A model of a million hosts is a hundred megabytes. It is read once from one end to the other, and checked; kept in memory are each topic's most
//! probable words and where every [`STEP`]-th name stands. After that a host or a word is found in the file by bisection, and only its row is read.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aggregator::lake::Day;

use super::saved::{ENTRIES, TEXT, damaged, header, text};
use crate::lda::file::ModelFile;

/// One name in so many has its place in the file kept.
const STEP: usize = 64;

/// Words told of a topic.
const WORDS: usize = 3;

/// Bytes of a topic's word that are kept.
const WORD_BYTES: usize = 512;

/// A word of a topic.
#[derive(Clone, PartialEq, Debug)]
pub struct TopicWord {
    /// Its text; cut after 512 bytes.
    pub word: String,
    /// P(word | topic).
    pub share: f64,
}

/// A topic of a model.
#[derive(Clone, PartialEq, Debug)]
pub struct Topic {
    /// Its share of all hosts' tokens.
    pub share: f64,
    /// Its most probable words, the most probable first.
    pub words: Vec<TopicWord>,
}

/// The topics of a kept model.
///
/// Memory: 1,700 bytes a topic at most, and 8 bytes for every 64 hosts or words.
#[derive(Debug)]
pub struct Topics {
    path: PathBuf,
    date: Day,
    documents: Names,
    words: Names,
    model: ModelFile,
    topics: Vec<Topic>,
}

impl Topics {
    /// Reads and checks a model's file.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut from = BufReader::with_capacity(1 << 18, File::open(path)?);
        let header = header(&mut from)?;
        let words = Names::read(&mut from, header.words)?;
        let documents = Names::read(&mut from, header.documents)?;
        // Of each thing of a popularity list two numbers stand between.
        let between = header.popularity.iter().map(|things| 16 * *things as u64).sum::<u64>();
        let at = from.stream_position()?.saturating_add(between);
        let mut most: Vec<Vec<(f64, usize)>> = Vec::new();
        let model = ModelFile::check(path, at, 2 * ENTRIES, &mut |word, counts| {
            most.resize(counts.len(), Vec::new());
            for (list, count) in most.iter_mut().zip(counts) {
                let place = list.partition_point(|(other, _)| other >= count);
                if place < WORDS && *count > 0.0 {
                    list.insert(place, (*count, word));
                    list.truncate(WORDS);
                }
            }
        })?;
        if model.documents() != header.documents || model.vocabulary() != header.words {
            return Err(damaged("its parts do not fit together"));
        }
        let date = header.date.parse().map_err(|_| damaged("its date"))?;
        let all = model.topic_totals().iter().sum::<f64>();
        let mut topics = Vec::with_capacity(most.len());
        for (list, total) in most.into_iter().zip(model.topic_totals()) {
            let word = |(count, word): (f64, usize)| {
                let text = String::from_utf8_lossy(&words.text(&mut from, word)?).into_owned();
                let end = text.floor_char_boundary(WORD_BYTES);
                Ok(TopicWord { word: text.get(..end).unwrap_or_default().to_owned(), share: part(count, *total) })
            };
            let words = list.into_iter().map(word).collect::<io::Result<_>>()?;
            topics.push(Topic { share: part(*total, all), words });
        }
        Ok(Self { path: path.to_owned(), date, documents, words, model, topics })
    }

    /// The day the model was trained on.
    pub const fn date(&self) -> Day {
        self.date
    }

    /// The topics, by number.
    pub fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// θ: the share of each topic in a host's tokens. `None` for a host the model does not know.
    ///
    /// # Errors
    /// The file is gone or cannot be read any more.
    pub fn of_host(&self, host: &str) -> io::Result<Option<Vec<f64>>> {
        let Some(place) = self.documents.find(&mut self.again()?, host)? else { return Ok(None) };
        let Some(counts) = self.model.document_counts(place)? else { return Ok(None) };
        let all = counts.iter().sum::<f64>();
        Ok((all > 0.0).then(|| counts.iter().map(|count| part(*count, all)).collect()))
    }

    /// φ: P(word | topic) for each topic. `None` for a word the model does not know.
    ///
    /// # Errors
    /// As [`Self::of_host`].
    pub fn of_word(&self, word: &str) -> io::Result<Option<Vec<f64>>> {
        let Some(place) = self.words.find(&mut self.again()?, word)? else { return Ok(None) };
        let Some(counts) = self.model.word_counts(place)? else { return Ok(None) };
        Ok(Some(counts.iter().zip(self.model.topic_totals()).map(|(count, total)| part(*count, *total)).collect()))
    }

    fn again(&self) -> io::Result<BufReader<File>> {
        File::open(&self.path).map(BufReader::new)
    }
}

fn part(of: f64, all: f64) -> f64 {
    if all > 0.0 { of / all } else { 0.0 }
}

/// Texts in a file, in ascending order, each behind its length.
#[derive(Debug)]
struct Names {
    count: usize,
    /// Where every [`STEP`]-th begins.
    at: Vec<u64>,
}

impl Names {
    /// Goes through so many texts. Leaves the reader behind them.
    fn read(from: &mut BufReader<File>, count: usize) -> io::Result<Self> {
        let mut at = Vec::with_capacity(count.div_ceil(STEP));
        let mut before = Vec::new();
        for place in 0..count {
            if place % STEP == 0 {
                at.push(from.stream_position()?);
            }
            let text = text(from)?;
            if text < before {
                return Err(damaged("its names are not in order"));
            }
            before = text;
        }
        Ok(Self { count, at })
    }

    /// The number of a text.
    fn find(&self, from: &mut BufReader<File>, wanted: &str) -> io::Result<Option<usize>> {
        let wanted = wanted.as_bytes().get(..TEXT).unwrap_or(wanted.as_bytes());
        // The last block that begins at or before it.
        let (mut low, mut high) = (0, self.at.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.block(from, middle)?.as_slice() <= wanted { low = middle + 1 } else { high = middle }
        }
        let Some(block) = low.checked_sub(1) else { return Ok(None) };
        let mut found = self.block(from, block)?;
        for place in block * STEP..self.count.min((block + 1) * STEP) {
            if place > block * STEP {
                found = text(from)?;
            }
            match found.as_slice().cmp(wanted) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(place)),
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    /// The text of a number.
    fn text(&self, from: &mut BufReader<File>, place: usize) -> io::Result<Vec<u8>> {
        let mut found = self.block(from, place / STEP)?;
        for _ in 0..place % STEP {
            found = text(from)?;
        }
        Ok(found)
    }

    /// The first text of a block. Leaves the reader behind it.
    fn block(&self, from: &mut BufReader<File>, block: usize) -> io::Result<Vec<u8>> {
        let at = self.at.get(block).ok_or_else(|| damaged("a name is missing"))?;
        from.seek(SeekFrom::Start(*at))?;
        text(from)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Write as _;

    use super::*;

    fn names(count: usize) -> (tempfile::NamedTempFile, Names) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for place in 0..count {
            let name = format!("host-{:06}", 2 * place);
            file.write_all(&(name.len() as u32).to_le_bytes()).unwrap();
            file.write_all(name.as_bytes()).unwrap();
        }
        let read = Names::read(&mut BufReader::new(File::open(file.path()).unwrap()), count).unwrap();
        (file, read)
    }

    /// Every name at every place of a block, and none that is not there.
    #[test]
    fn names_are_found_by_bisection() {
        for count in [0, 1, STEP - 1, STEP, STEP + 1, 3 * STEP + 7] {
            let (file, names) = names(count);
            let mut from = BufReader::new(File::open(file.path()).unwrap());
            for n in 0..2 * count + 2 {
                let name = format!("host-{n:06}");
                let expected = (n % 2 == 0 && n < 2 * count).then_some(n / 2);
                assert_eq!(names.find(&mut from, &name).unwrap(), expected, "{name} of {count}");
                if let Some(place) = expected {
                    assert_eq!(names.text(&mut from, place).unwrap(), name.as_bytes());
                }
            }
            assert_eq!(names.find(&mut from, "").unwrap(), None);
            assert_eq!(names.find(&mut from, &"z".repeat(2 * TEXT)).unwrap(), None);
        }
    }

    #[test]
    fn names_out_of_order_or_cut_off_are_refused() {
        let read = |bytes: &[u8], count| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            Names::read(&mut BufReader::new(File::open(file.path()).unwrap()), count).map(|_| ()).map_err(|e| e.kind())
        };
        assert_eq!(read(b"\x01\0\0\0b\x01\0\0\0a", 2), Err(io::ErrorKind::InvalidData));
        assert_eq!(read(b"\x01\0\0\0a\x02\0\0\0b", 2), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(read(b"\xff\xff\xff\xff", 1), Err(io::ErrorKind::InvalidData));
    }
}
