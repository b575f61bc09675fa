//! Values for the placeholders `$1`, `$2` … of a query: text from outside never becomes SQL.

use aggregator::record::{Micros, RecordId};
use datafusion::common::ScalarValue;

/// The value of one placeholder.
#[derive(Clone, PartialEq, Debug)]
pub enum Param {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that is never negative.
    UInt(u64),
    /// A number.
    Float(f64),
    /// Text. Compared with a time or date column it is read as ISO 8601.
    Text(String),
    /// A moment.
    Time(Micros),
    /// Identity of a record.
    Record(RecordId),
    /// Bytes: identities of records one after the other, for `among`.
    Bytes(Vec<u8>),
}

impl From<Param> for ScalarValue {
    fn from(param: Param) -> Self {
        match param {
            Param::Null => Self::Null,
            Param::Bool(value) => Self::Boolean(Some(value)),
            Param::Int(value) => Self::Int64(Some(value)),
            Param::UInt(value) => Self::UInt64(Some(value)),
            Param::Float(value) => Self::Float64(Some(value)),
            Param::Text(value) => Self::Utf8(Some(value)),
            Param::Time(Micros(value)) => Self::TimestampMicrosecond(Some(value), Some("UTC".into())),
            Param::Bytes(value) => Self::Binary(Some(value)),
            Param::Record(RecordId(value)) => Self::FixedSizeBinary(16, Some(value.to_vec())),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),*) => {$(
        impl From<$from> for Param {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from!(bool => Bool, i32 => Int, i64 => Int, u16 => UInt, u32 => UInt, u64 => UInt, f64 => Float, &str => Text, String => Text,
      Micros => Time, RecordId => Record);

impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
