//! A column while its row group is gathered.

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

/// Room for the values of a page.
#[derive(Default)]
pub(in crate::lake) struct Scratch {
    pub(super) codes: Vec<u32>,
    pub(super) numbers: Vec<i64>,
    /// Whether the page may be compressed: that does better with whole bytes.
    pub(super) for_compression: bool,
}

/// The values of a column, without the nulls, in the order in which the rows came.
pub(in crate::lake) trait Leaf {
    /// How many.
    fn len(&self) -> usize;
    /// Called once, before any page is asked for.
    fn summary(&mut self, wanted: Wanted) -> Result<Summary>;
    /// How the pages are encoded.
    fn encoding(&self) -> Code;
    /// Appends the values of a page: those at these places, in this order.
    fn page(&self, at: &[u32], scratch: &mut Scratch, out: &mut Vec<u8>);
    /// Least and greatest of a page, as the column index has them. Numbers only.
    fn bounds(&self, _at: &[u32]) -> Option<(Vec<u8>, Vec<u8>)> {
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
