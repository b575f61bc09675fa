//! Columns of texts of which few are different (addresses, states, services), read as numbers beside a dictionary where the file has one: what is made of
//! a text is made once for a row group, not once a row.

use std::net::IpAddr;
use std::str::FromStr;

use aggregator::lake::Table;
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
        let same = |texts: &StringArray| {
            let (known, given) = (texts.value_offsets(), column.values.value_offsets());
            std::ptr::eq(known, given) && std::ptr::eq(texts.values().as_ptr(), column.values.values().as_ptr())
        };
        if !self.texts.as_ref().is_some_and(same) {
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
