//! A column while its row group is gathered.

use std::ops::Range;

use parquet::bloom_filter::Sbbf;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;

use super::levels::Levels;
use super::thrift::Code;

/// What the values of a column say about themselves once all have come.
#[derive(Default)]
pub(in crate::lake) struct Summary {
    /// The distinct values, PLAIN, and how many.
    pub(super) dictionary: Option<(Vec<u8>, usize)>,
    pub(super) statistics: Option<Statistics>,
    pub(super) bloom: Option<Sbbf>,
}

/// What is wanted of a summary.
#[derive(Clone, Copy, Debug)]
pub(in crate::lake) struct Wanted {
    /// Rows without a value, told by the statistics; `None` where there are to be none.
    pub(super) statistics: Option<u64>,
    /// Share of false hits of the bloom filter.
    pub(super) bloom: Option<f64>,
}

/// The values of a column, without the nulls.
pub(in crate::lake) trait Leaf {
    /// How many.
    fn len(&self) -> usize;
    /// Makes room for so many.
    fn reserve(&mut self, values: usize);
    /// Called once, before any page is asked for.
    fn summary(&mut self, wanted: Wanted) -> Result<Summary>;
    /// How the pages are encoded.
    fn encoding(&self) -> Code;
    /// Appends the values of a page.
    fn page(&self, range: Range<usize>, out: &mut Vec<u8>);
    /// Least and greatest of a page, as the column index has them. Numbers only.
    fn bounds(&self, _range: Range<usize>) -> Option<(Vec<u8>, Vec<u8>)> {
        None
    }
    /// Begins again.
    fn clear(&mut self);
}

/// Values, and where there are none.
pub(in crate::lake) struct Column<V> {
    pub(super) values: V,
    pub(super) defined: Levels,
}

impl<V: Default> Default for Column<V> {
    fn default() -> Self {
        Self { values: V::default(), defined: Levels::default() }
    }
}

impl<V: Leaf> Column<V> {
    /// Makes room for so many rows at once, instead of moving them each time there is no more.
    pub(in crate::lake) fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows);
    }
}

impl<V> Column<V> {
    /// Adds a row with what `put` puts.
    #[inline]
    pub(in crate::lake) fn push_with(&mut self, put: impl FnOnce(&mut V)) {
        put(&mut self.values);
        self.defined.value();
    }

    /// Adds a row without a value.
    #[inline]
    pub(in crate::lake) fn push_null(&mut self) {
        self.defined.null();
    }

    /// Adds a row.
    #[inline]
    pub(in crate::lake) fn push<T>(&mut self, value: T)
    where
        V: Push<T>,
    {
        self.push_with(|values| values.push(value));
    }

    /// Adds a row, perhaps without a value.
    #[inline]
    pub(in crate::lake) fn push_opt<T>(&mut self, value: Option<T>)
    where
        V: Push<T>,
    {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }
}

/// Takes values of a type.
pub(in crate::lake) trait Push<T> {
    /// Adds one.
    fn push(&mut self, value: T);
}
