//! Columns of text.

use parquet::bloom_filter::Sbbf;
use parquet::data_type::ByteArray;
use parquet::errors::Result;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::codes::{Codes, Key, TextCodes, Word, get};
use super::column::{Leaf, Push, Scratch, Summary, Wanted};
use super::delta;
use super::pile::Pile;
use super::thrift::Code;

/// Longest text kept as a column's least or greatest value.
const LONGEST_BOUND: usize = 64;

/// Letters in which texts of one length may be alike: the version of a Community ID, `1:`.
const SHARED: usize = 2;

/// A key that stands for a text.
pub(in crate::lake) trait ByKey: Key {
    /// Appends the text, valid UTF-8.
    fn text(&self, out: &mut Vec<u8>);
}

impl ByKey for Word {
    fn text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

/// Distinct texts, their ends, and how many values there are: what both kinds of dictionary are written from.
struct Distinct<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
    values: usize,
}

impl<'a> Distinct<'a> {
    fn texts(&self) -> impl Iterator<Item = &'a [u8]> {
        let (bytes, ends) = (self.bytes, self.ends);
        (0..ends.len() as u32).map(move |code| get(bytes, ends, code))
    }

    /// A dictionary of what hardly repeats is longer than the column.
    fn repeats(&self) -> bool {
        self.ends.len() * 4 <= self.values * 3 || self.values < 64
    }

    fn summary(&self, wanted: Wanted) -> Result<Summary> {
        let mut summary = Summary::default();
        if self.repeats() {
            let mut dictionary = Vec::with_capacity(self.bytes.len() + 4 * self.ends.len());
            self.texts().for_each(|text| push_plain(text, &mut dictionary));
            summary.dictionary = Some((dictionary, self.ends.len()));
        }
        summary.statistics = wanted.statistics.map(|nulls| statistics(self.texts(), nulls));
        summary.bloom = wanted.bloom.map(|fpp| bloom(self.ends.len(), fpp, self.texts())).transpose()?;
        Ok(summary)
    }

    fn encoding(&self) -> Code {
        if self.repeats() { Code::RleDictionary } else { Code::Plain }
    }

    /// Appends the texts with these codes, one after the other.
    fn plain(&self, codes: impl Iterator<Item = u32>, out: &mut Vec<u8>) {
        codes.for_each(|code| push_plain(get(self.bytes, self.ends, code), out));
    }
}

fn push_plain(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(text);
}

fn bloom<'a>(distinct: usize, fpp: f64, texts: impl Iterator<Item = &'a [u8]>) -> Result<Sbbf> {
    let mut bloom = Sbbf::new_with_ndv_fpp(distinct.max(1) as u64, fpp)?;
    texts.for_each(|text| bloom.insert(text));
    Ok(bloom)
}

/// The least and the greatest text; a long one is left out.
fn statistics<'a>(texts: impl Iterator<Item = &'a [u8]>, nulls: u64) -> Statistics {
    let extremes = texts.fold(None, |extremes: Option<(&[u8], &[u8])>, text| match extremes {
        None => Some((text, text)),
        Some((least, greatest)) => Some((least.min(text), greatest.max(text))),
    });
    let (least, greatest) = extremes.unzip();
    let short = |text: Option<&[u8]>| text.filter(|t| t.len() <= LONGEST_BOUND).map(|t| ByteArray::from(t.to_vec()));
    let (least, greatest) = (short(least), short(greatest));
    Statistics::ByteArray(ValueStatistics::new(least, greatest, None, Some(nulls), false))
}

/// Texts by a key that is quicker to compare and hash than the text: each is formatted once.
pub(in crate::lake) struct Keyed<K> {
    codes: Codes<K>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl<K: Key> Default for Keyed<K> {
    fn default() -> Self {
        Self { codes: Codes::new(), bytes: Vec::new(), ends: Vec::new() }
    }
}

impl<K: ByKey> Push<K> for Keyed<K> {
    #[inline]
    fn push(&mut self, key: K) {
        self.codes.push(key);
    }
}

impl Push<&'static str> for Keyed<Word> {
    #[inline]
    fn push(&mut self, word: &'static str) {
        self.codes.push(Word(word));
    }
}

impl<K> Keyed<K> {
    fn distinct(&self) -> Distinct<'_> {
        Distinct { bytes: &self.bytes, ends: &self.ends, values: self.codes.len() }
    }
}

impl<K: ByKey> Leaf for Keyed<K> {
    fn len(&self) -> usize {
        self.codes.len()
    }

    fn summary(&mut self, wanted: Wanted) -> Result<Summary> {
        let Self { codes, bytes, ends } = self;
        for key in &codes.keys {
            key.text(bytes);
            ends.push(bytes.len());
        }
        self.distinct().summary(wanted)
    }

    fn encoding(&self) -> Code {
        self.distinct().encoding()
    }

    fn page(&self, at: &[u32], scratch: &mut Scratch, out: &mut Vec<u8>) {
        let distinct = self.distinct();
        if distinct.repeats() {
            self.codes.page(at, scratch, out);
        } else {
            distinct.plain(at.iter().map(|at| self.codes.code(*at)), out);
        }
    }

    fn clear(&mut self) {
        self.codes.clear();
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Texts that may repeat.
pub(in crate::lake) struct Texts(TextCodes);

impl Default for Texts {
    fn default() -> Self {
        Self(TextCodes::new())
    }
}

impl Push<&str> for Texts {
    #[inline]
    fn push(&mut self, text: &str) {
        self.0.push(text);
    }
}

impl Texts {
    /// The same text, so many times.
    pub(super) fn constant(text: &str, count: usize) -> Self {
        let mut texts = Self::default();
        (0..count).for_each(|_| texts.push(text));
        texts
    }

    fn distinct(&self) -> Distinct<'_> {
        Distinct { bytes: &self.0.bytes, ends: &self.0.ends, values: self.0.len() }
    }
}

impl Leaf for Texts {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn summary(&mut self, wanted: Wanted) -> Result<Summary> {
        self.distinct().summary(wanted)
    }

    fn encoding(&self) -> Code {
        self.distinct().encoding()
    }

    fn page(&self, at: &[u32], scratch: &mut Scratch, out: &mut Vec<u8>) {
        let distinct = self.distinct();
        if distinct.repeats() {
            self.0.page(at, scratch, out);
        } else {
            distinct.plain(at.iter().map(|at| self.0.code(*at)), out);
        }
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Texts that hardly repeat.
#[derive(Default)]
pub(in crate::lake) struct Plain {
    /// As the pages have them: each after its length.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Push<&str> for Plain {
    #[inline]
    fn push(&mut self, text: &str) {
        push_plain(text.as_bytes(), &mut self.bytes);
        self.ends.push(self.bytes.len());
    }
}

impl Plain {
    fn start(&self, at: usize) -> usize {
        at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default()
    }
}

impl Leaf for Plain {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn summary(&mut self, wanted: Wanted) -> Result<Summary> {
        let texts = || {
            let ends = self.ends.iter().enumerate();
            ends.map(|(at, end)| self.bytes.get(self.start(at) + 4..*end).unwrap_or_default())
        };
        Ok(Summary {
            dictionary: None,
            statistics: wanted.statistics.map(|nulls| statistics(texts(), nulls)),
            bloom: wanted.bloom.map(|fpp| bloom(self.ends.len(), fpp, texts())).transpose()?,
        })
    }

    fn encoding(&self) -> Code {
        Code::Plain
    }

    fn page(&self, at: &[u32], _: &mut Scratch, out: &mut Vec<u8>) {
        for at in at.iter().map(|at| *at as usize) {
            out.extend_from_slice(self.bytes.get(self.start(at)..self.start(at + 1)).unwrap_or_default());
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Texts of one length that hardly repeat but for their first [`SHARED`] letters, which are written once a page.
#[derive(Default)]
pub(in crate::lake) struct FixedText<const N: usize> {
    texts: Pile<[u8; N]>,
}

impl<const N: usize> Push<[u8; N]> for FixedText<N> {
    #[inline]
    fn push(&mut self, text: [u8; N]) {
        self.texts.push(text);
    }
}

impl<const N: usize> Leaf for FixedText<N> {
    fn len(&self) -> usize {
        self.texts.len()
    }

    fn summary(&mut self, wanted: Wanted) -> Result<Summary> {
        let texts = || self.texts.iter().map(<[u8; N]>::as_slice);
        Ok(Summary {
            dictionary: None,
            statistics: wanted.statistics.map(|nulls| statistics(texts(), nulls)),
            bloom: wanted.bloom.map(|fpp| bloom(self.texts.len(), fpp, texts())).transpose()?,
        })
    }

    fn encoding(&self) -> Code {
        Code::DeltaByteArray
    }

    fn page(&self, at: &[u32], _: &mut Scratch, out: &mut Vec<u8>) {
        let first = at.first().map(|at| self.texts.get(*at));
        let shared =
            |text: &[u8; N]| first.is_some_and(|first| text.iter().zip(first).take(SHARED).all(|(a, b)| *a == b));
        // Whether all begin alike is asked of the values, not of who puts them.
        let prefix = if at.iter().all(|at| shared(&self.texts.get(*at))) { SHARED.min(N) } else { 0 };
        delta::encode_after(0, at.len(), prefix as i64, out);
        delta::encode_after(N as i64, at.len(), (N - prefix) as i64, out);
        out.reserve(at.len() * N);
        for (at, skip) in at.iter().zip(std::iter::once(0).chain(std::iter::repeat(prefix))) {
            out.extend_from_slice(self.texts.get(*at).get(skip..).unwrap_or_default());
        }
    }

    fn clear(&mut self) {
        self.texts.clear();
    }
}
