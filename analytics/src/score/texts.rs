//! Columns of texts of which few are different (addresses, states, services), read as numbers beside a dictionary where the file has one: what is made of
//! a text is made once for a row group, not once a row.

use std::net::IpAddr;
use std::str::FromStr;

use aggregator::lake::{Source, Table};
use arrow::array::{Array, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int32Type};

use super::ScoreError;

/// The columns of a table that the passes read with their dictionary.
pub(super) const fn coded_of(table: Table) -> &'static [&'static str] {
    match table {
        Table::Flow => &["src_ip", "dst_ip", "conn_state", "service", "src_mac"],
        _ => &[],
    }
}

/// The type such a column is asked for.
pub(super) fn coded_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// A column of texts, with or without a dictionary.
#[derive(Clone, Copy)]
pub(crate) struct Texts<'b> {
    keys: Option<&'b Int32Array>,
    values: &'b StringArray,
}

impl<'b> Texts<'b> {
    /// A column of a batch.
    pub(crate) fn of(batch: &'b RecordBatch, name: &'static str) -> Result<Self, ScoreError> {
        let column = batch.column_by_name(name).map(|column| column.as_any());
        let plain = column.and_then(|column| column.downcast_ref::<StringArray>());
        let coded = || {
            let coded: &DictionaryArray<Int32Type> = column?.downcast_ref()?;
            Some(Self { keys: Some(coded.keys()), values: coded.values().as_any().downcast_ref()? })
        };
        plain
            .map(|values| Self { keys: None, values })
            .or_else(coded)
            .ok_or(ScoreError::Column { name, expected: std::any::type_name::<StringArray>() })
    }

    fn has_the_dictionary(self, texts: &StringArray) -> bool {
        let (known, given) = (texts.value_offsets(), self.values.value_offsets());
        std::ptr::eq(known, given) && std::ptr::eq(texts.values().as_ptr(), self.values.values().as_ptr())
    }

    /// The text of a row; `None` for null.
    pub(crate) fn get(self, row: usize) -> Option<&'b str> {
        let at = match self.keys {
            None => row,
            Some(keys) if keys.is_null(row) => return None,
            Some(keys) => keys.value(row) as usize,
        };
        (at < self.values.len() && !self.values.is_null(at)).then(|| self.values.value(at))
    }

    /// The same; `None` for an empty text too.
    pub(crate) fn filled(self, row: usize) -> Option<&'b str> {
        self.get(row).filter(|text| !text.is_empty())
    }
}

/// What the texts of a column say (addresses), read once for every dictionary.
#[derive(Clone, Debug)]
pub(super) struct Readings<T> {
    /// The dictionary they are of: held, so that another cannot take its place in memory and be mistaken for it.
    texts: Option<StringArray>,
    read: Vec<Option<T>>,
}

impl<T> Default for Readings<T> {
    fn default() -> Self {
        Self { texts: None, read: Vec::new() }
    }
}

impl<T: Copy + FromStr> Readings<T> {
    /// Those of a batch's column; `None` for what is null or says nothing of the kind.
    pub(super) fn of<'a>(&'a mut self, column: Texts<'a>) -> ReadColumn<'a, T> {
        if !self.texts.as_ref().is_some_and(|texts| column.has_the_dictionary(texts)) {
            self.read.clear();
            self.read.extend(column.values.iter().map(|text| text.and_then(|text| text.parse().ok())));
            self.texts = column.keys.is_some().then(|| column.values.clone());
        }
        ReadColumn { keys: column.keys, read: &self.read }
    }
}

/// Addresses of a column.
pub(super) type Addresses = Readings<IpAddr>;

/// What was read of a batch's column, by row.
#[derive(Clone, Copy)]
pub(super) struct ReadColumn<'a, T> {
    keys: Option<&'a Int32Array>,
    read: &'a [Option<T>],
}

impl<T: Copy> ReadColumn<'_, T> {
    pub(super) fn get(self, row: usize) -> Option<T> {
        let at = match self.keys {
            None => row,
            Some(keys) if keys.is_null(row) => return None,
            Some(keys) => keys.value(row) as usize,
        };
        self.read.get(at).copied().flatten()
    }
}

/// Numbers given to the texts of a column with a dictionary, each text looked up once for the dictionary.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    /// As of [`Readings`].
    texts: Option<StringArray>,
    keys: Option<Int32Array>,
    /// By key.
    known: Vec<u32>,
}

/// Not looked up so far.
const UNKNOWN: u32 = u32::MAX;

impl Numbers {
    /// Goes on with a batch's column.
    pub(super) fn turn_to(&mut self, column: Texts<'_>) {
        self.keys = column.keys.cloned();
        if !self.texts.as_ref().is_some_and(|texts| column.has_the_dictionary(texts)) {
            self.known.clear();
            self.known.resize(if column.keys.is_some() { column.values.len() } else { 0 }, UNKNOWN);
            self.texts = column.keys.is_some().then(|| column.values.clone());
        }
    }

    /// The number of the text in a row: as it was found before, else by `find`.
    pub(super) fn get(&mut self, row: usize, find: impl FnOnce() -> Option<u32>) -> Option<u32> {
        let key = self.keys.as_ref().filter(|keys| !keys.is_null(row)).map(|keys| keys.value(row) as usize);
        match key.and_then(|key| self.known.get_mut(key)) {
            None => find(),
            Some(known) if *known != UNKNOWN => Some(*known),
            Some(known) => {
                *known = find()?;
                Some(*known)
            }
        }
    }
}

/// Numbers of the documents in the rows of a batch.
#[derive(Clone, Debug, Default)]
pub(super) struct DocumentEnds {
    pub(super) first: Numbers,
    pub(super) second: Numbers,
}

impl DocumentEnds {
    /// Goes on with a batch. The documents of a flow are its ends; those of the others stand in columns without a dictionary.
    pub(super) fn turn_to(&mut self, source: Source, batch: &RecordBatch) -> Result<(), ScoreError> {
        if source == Source::Flow {
            self.first.turn_to(Texts::of(batch, "src_ip")?);
            self.second.turn_to(Texts::of(batch, "dst_ip")?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use super::*;

    fn batch(array: Arc<dyn Array>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable([("src_ip", array, true)]).unwrap()
    }

    #[test]
    fn with_and_without_a_dictionary_the_same() {
        let texts = [Some("10.0.0.1"), None, Some("fd00::1"), Some(""), Some("no address"), Some("10.0.0.1")];
        let coded: DictionaryArray<Int32Type> = texts.into_iter().collect();
        let (plain, coded) = (batch(Arc::new(StringArray::from(texts.to_vec()))), batch(Arc::new(coded)));
        let (mut one, mut other) = (Addresses::default(), Addresses::default());
        for _ in 0..2 {
            let columns = [&plain, &coded].map(|batch| Texts::of(batch, "src_ip").unwrap());
            let addresses = [one.of(columns[0]), other.of(columns[1])];
            for (row, text) in texts.iter().enumerate() {
                let address = text.and_then(|text| text.parse::<IpAddr>().ok());
                assert_eq!(columns.map(|column| column.get(row)), [*text; 2], "row {row}");
                assert_eq!(addresses.map(|column| column.get(row)), [address; 2], "row {row}");
            }
        }
    }

    #[test]
    fn a_text_is_looked_up_once_a_dictionary() {
        let coded: DictionaryArray<Int32Type> = ["a", "bb", "a", "", "bb", "a"].map(Some).into_iter().collect();
        let plain = StringArray::from(vec!["a", "bb", "a"]);
        let (coded, plain, mut numbers, mut looks) =
            (batch(Arc::new(coded)), batch(Arc::new(plain)), Numbers::default(), 0);
        for (batch, expected) in [(&coded, 3), (&coded, 3), (&plain, 6), (&coded, 9), (&plain, 12)] {
            let texts = Texts::of(batch, "src_ip").unwrap();
            numbers.turn_to(texts);
            for row in 0..batch.num_rows() {
                let text = texts.get(row).unwrap();
                let number = numbers.get(row, || {
                    looks += 1;
                    Some(text.len() as u32)
                });
                assert_eq!(number, Some(text.len() as u32), "row {row}");
            }
            assert_eq!(looks, expected);
        }
        assert_eq!(Numbers::default().get(0, || None), None);
    }

    /// Another dictionary is read anew, whatever its size.
    #[test]
    fn another_dictionary_is_told_from_the_one_before() {
        let mut addresses = Addresses::default();
        for n in 0..50_u8 {
            let text = format!("10.0.0.{}", 100 + n);
            let coded: DictionaryArray<Int32Type> = [Some(text.as_str())].into_iter().collect();
            let batch = batch(Arc::new(coded));
            let column = Texts::of(&batch, "src_ip").unwrap();
            assert_eq!(addresses.of(column).get(0), Some(IpAddr::from([10, 0, 0, 100 + n])));
        }
    }
}
