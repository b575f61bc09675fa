//! Columns of numbers, times and identities.

use parquet::data_type::FixedLenByteArray;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;

use super::codes::Codes;
use super::column::{Leaf, Push, Scratch, Summary, Wanted};
use super::delta::{self, Width};
use super::pile::Pile;
use super::thrift::Code;

/// A type of number: how Parquet stores and orders it.
pub(in crate::lake) trait Number: Copy {
    /// Physical type.
    const WIDTH: Width;
    /// The number in 64 bits, in a way that keeps the order of the type, or the bits of `u64`.
    fn wide(self) -> i64;
    /// What orders the wide form; done twice, it is nothing.
    #[inline]
    fn order(wide: i64) -> i64 {
        wide
    }
}

macro_rules! narrow {
    ($($number:ty),+) => {
        $(impl Number for $number {
            const WIDTH: Width = Width::Bits32;
            #[inline]
            fn wide(self) -> i64 {
                i64::from(self)
            }
        })+
    };
}

narrow!(u8, u16, u32, i32);

impl Number for u64 {
    const WIDTH: Width = Width::Bits64;
    #[inline]
    fn wide(self) -> i64 {
        self as i64
    }
    #[inline]
    fn order(wide: i64) -> i64 {
        wide ^ i64::MIN
    }
}

impl Number for i64 {
    const WIDTH: Width = Width::Bits64;
    #[inline]
    fn wide(self) -> i64 {
        self
    }
}

/// Least and greatest, in wide form.
fn extremes<T: Number>(values: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
    let ordered = values.map(T::order);
    let both = ordered.fold(None, |both: Option<(i64, i64)>, value| {
        let (least, greatest) = both.unwrap_or((value, value));
        Some((least.min(value), greatest.max(value)))
    });
    // The order is its own reverse.
    both.map(|(least, greatest)| (T::order(least), T::order(greatest)))
}

fn statistics<T: Number>(values: impl Iterator<Item = i64>, nulls: u64) -> Statistics {
    let (least, greatest) = extremes::<T>(values).unzip();
    match T::WIDTH {
        Width::Bits32 => {
            Statistics::int32(least.map(|v| v as i32), greatest.map(|v| v as i32), None, Some(nulls), false)
        }
        Width::Bits64 => Statistics::int64(least, greatest, None, Some(nulls), false),
    }
}

fn plain<T: Number>(value: i64, out: &mut Vec<u8>) {
    match T::WIDTH {
        Width::Bits32 => out.extend_from_slice(&(value as i32).to_le_bytes()),
        Width::Bits64 => out.extend_from_slice(&value.to_le_bytes()),
    }
}

/// How numbers that differ from row to row are laid out.
pub(in crate::lake) trait Layout {
    const CODE: Code;
    /// Appends a page of values.
    fn encode(values: &[i64], width: Width, out: &mut Vec<u8>);
}

/// Differences, packed: what rises slowly.
pub(in crate::lake) struct Delta;

/// The first bytes of all values, then the second ones, and so on: counters and ports, of which the upper bytes are
/// alike. Packed, each of 32 differences would be as wide as the widest of them.
pub(in crate::lake) struct Split;

/// As they are: times near to, but not in, the order of the rows. The compressor finds the upper bytes in the row before.
pub(in crate::lake) struct Whole;

impl Layout for Delta {
    const CODE: Code = Code::DeltaBinaryPacked;

    fn encode(values: &[i64], width: Width, out: &mut Vec<u8>) {
        delta::encode(values, width, out);
    }
}

impl Layout for Split {
    const CODE: Code = Code::ByteStreamSplit;

    fn encode(values: &[i64], width: Width, out: &mut Vec<u8>) {
        for byte in 0..width.bytes() {
            out.extend(values.iter().map(|value| (value >> (8 * byte)) as u8));
        }
    }
}

impl Layout for Whole {
    const CODE: Code = Code::Plain;

    fn encode(values: &[i64], width: Width, out: &mut Vec<u8>) {
        match width {
            Width::Bits32 => values.iter().for_each(|value| out.extend_from_slice(&(*value as i32).to_le_bytes())),
            Width::Bits64 => values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes())),
        }
    }
}

/// Numbers that differ from row to row.
pub(in crate::lake) struct Packed<T, L = Delta> {
    values: Pile<i64>,
    number: std::marker::PhantomData<(T, L)>,
}

impl<T, L> Default for Packed<T, L> {
    fn default() -> Self {
        Self { values: Pile::default(), number: std::marker::PhantomData }
    }
}

impl<T: Number, L> Push<T> for Packed<T, L> {
    #[inline]
    fn push(&mut self, value: T) {
        self.values.push(value.wide());
    }
}

impl<T: Number, L: Layout> Leaf for Packed<T, L> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn summary(&mut self, wanted: Wanted) -> Result<Summary> {
        let statistics = wanted.statistics.map(|nulls| statistics::<T>(self.values.iter().copied(), nulls));
        Ok(Summary { statistics, ..Summary::default() })
    }

    fn encoding(&self) -> Code {
        L::CODE
    }

    fn page(&self, at: &[u32], scratch: &mut Scratch, out: &mut Vec<u8>) {
        scratch.numbers.clear();
        scratch.numbers.extend(at.iter().map(|at| self.values.get(*at)));
        L::encode(&scratch.numbers, T::WIDTH, out);
    }

    fn bounds(&self, at: &[u32]) -> Option<(Vec<u8>, Vec<u8>)> {
        let (least, greatest) = extremes::<T>(at.iter().map(|at| self.values.get(*at)))?;
        let bytes = |value| {
            let mut bytes = Vec::with_capacity(8);
            plain::<T>(value, &mut bytes);
            bytes
        };
        Some((bytes(least), bytes(greatest)))
    }

    fn clear(&mut self) {
        self.values.clear();
    }
}

/// Numbers of which a few come again and again: a dictionary.
pub(in crate::lake) struct Coded<T> {
    codes: Codes<i64>,
    number: std::marker::PhantomData<T>,
}

impl<T> Default for Coded<T> {
    fn default() -> Self {
        Self { codes: Codes::new(), number: std::marker::PhantomData }
    }
}

impl<T: Number> Push<T> for Coded<T> {
    #[inline]
    fn push(&mut self, value: T) {
        self.codes.push(value.wide());
    }
}

impl<T: Number> Leaf for Coded<T> {
    fn len(&self) -> usize {
        self.codes.len()
    }

    fn summary(&mut self, wanted: Wanted) -> Result<Summary> {
        let keys = &self.codes.keys;
        let mut dictionary = Vec::with_capacity(keys.len() * 8);
        keys.iter().for_each(|key| plain::<T>(*key, &mut dictionary));
        Ok(Summary {
            dictionary: Some((dictionary, keys.len())),
            statistics: wanted.statistics.map(|nulls| statistics::<T>(keys.iter().copied(), nulls)),
            bloom: None,
        })
    }

    fn encoding(&self) -> Code {
        Code::RleDictionary
    }

    fn page(&self, at: &[u32], scratch: &mut Scratch, out: &mut Vec<u8>) {
        self.codes.page(at, scratch, out);
    }

    fn clear(&mut self) {
        self.codes.clear();
    }
}

/// Bytes of one length that never repeat.
#[derive(Default)]
pub(in crate::lake) struct Fixed<const N: usize> {
    bytes: Pile<[u8; N]>,
}

impl<const N: usize> Push<[u8; N]> for Fixed<N> {
    #[inline]
    fn push(&mut self, value: [u8; N]) {
        self.bytes.push(value);
    }
}

impl<const N: usize> Leaf for Fixed<N> {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn summary(&mut self, wanted: Wanted) -> Result<Summary> {
        let of = |bytes: Option<&[u8; N]>| bytes.map(|b| FixedLenByteArray::from(b.to_vec()));
        let statistics = wanted.statistics.map(|nulls| {
            let (least, greatest) = (of(self.bytes.iter().min()), of(self.bytes.iter().max()));
            Statistics::fixed_len_byte_array(least, greatest, None, Some(nulls), false)
        });
        Ok(Summary { statistics, ..Summary::default() })
    }

    fn encoding(&self) -> Code {
        Code::Plain
    }

    fn page(&self, at: &[u32], _: &mut Scratch, out: &mut Vec<u8>) {
        out.reserve(at.len() * N);
        at.iter().for_each(|at| out.extend_from_slice(&self.bytes.get(*at)));
    }

    fn clear(&mut self) {
        self.bytes.clear();
    }
}
