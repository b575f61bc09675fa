//! What is asked of the lake: SQL, words, topics, scores, and why.
//!
//! Two halves over the same Parquet. [`sql`] answers questions, within limits and for many at a time;
//! [`output`] writes the answers. The scoring half makes words of records, learns topics, and ranks what
//! does not fit.

#![deny(unsafe_code)]

pub mod context;
pub mod detect;
pub mod explain;
pub mod feedback;
pub mod forward;
pub mod lda;
pub mod migrate;
pub mod output;
pub mod rules;
pub mod score;
pub mod sql;
pub mod words;
