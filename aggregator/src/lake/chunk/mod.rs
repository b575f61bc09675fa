//! Column chunks of Parquet, encoded from rows by ourselves.
//!
//! Rows of packets and messages become row groups here; columns that are columns already (scores, what compaction
//! merges) go through the Parquet library's own writer. What the library does for every value is done once for every
//! distinct value here: an address is formatted, hashed for the bloom filter and compared for the statistics when it
//! first comes, and a column that holds one value or none costs a run. Files, footers and indexes stay the library's
//! ([`SerializedFileWriter`](parquet::file::writer::SerializedFileWriter)); its readers, DuckDB and pyarrow are the tests' oracles.
//!
//! Encodings: dictionary with RLE / bit-packed codes, DELTA_BINARY_PACKED, BYTE_STREAM_SPLIT, DELTA_BYTE_ARRAY, PLAIN; data
//! pages of version 1; zstd where a sample of the column shows that it helps.

mod codes;
mod column;
mod delta;
mod hybrid;
mod levels;
mod numbers;
mod pile;
mod text;
mod thrift;
mod write;

pub(in crate::lake) use codes::{Key, Word};
pub(in crate::lake) use column::{Column, Push};
pub(in crate::lake) use levels::Repeats;
pub(in crate::lake) use numbers::{Coded, Fixed, Packed, Split, Whole};
pub(in crate::lake) use text::{ByKey, FixedText, Keyed, Plain, Texts};
pub(in crate::lake) use write::{GroupWriter, Specs, Workshop};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
