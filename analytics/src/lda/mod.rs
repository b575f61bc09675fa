//! Latent Dirichlet allocation over (document, word, count): what is normal for every host.
//!
//! [`em::fit`] is batch MAP expectation maximisation, Spark's `EMLDAOptimizer` (Asuncion, Welling, Smyth and Teh, UAI 2009) in multiplicative
//! form: Spot's default. [`online::fit`] is online variational Bayes (Hoffman, Blei and Bach, NIPS 2010): Spot's other one. [`incremental::fit`] has EM's
//! fixed points in a fraction of its time: for everything else. All give a [`Model`].
//!
//! Promises: the same corpus, parameters and seed give the same bits whatever the number of threads and the machine's vector
//! instructions (f32 lanes and fused multiply-adds in a fixed order, sums over fixed work units in f64 in the units' order); no value is ever NaN.
//! Pure: no file, no clock. Memory is stated at each entry point.

pub mod corpus;
pub mod em;
mod engine;
pub mod file;
mod fold;
pub mod incremental;
mod kernel;
mod math;
pub mod model;
pub mod online;
pub mod packed;
mod random;
pub mod roofline;
mod simd;
mod special;

pub use corpus::Corpus;
pub use model::Model;
pub use simd::Instructions;

/// Why a model cannot be fitted.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum LdaError {
    /// A parameter is out of its range.
    #[error("{name} must be {expected}, found {found}")]
    Parameter {
        /// Which.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What came.
        found: f64,
    },
    /// The corpus has more documents than numbers (2^32 − 1).
    #[error("the corpus has more than 4,294,967,294 documents")]
    Corpus,
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}

/// Most topics. Spot uses 20; the state of a fit grows with topics × (documents + words).
pub const TOPICS_LIMIT: usize = 1024;

pub(crate) fn check_topics(topics: usize) -> Result<(), LdaError> {
    if (1..=TOPICS_LIMIT).contains(&topics) {
        return Ok(());
    }
    Err(LdaError::Parameter { name: "topics", expected: "1 to 1024", found: topics as f64 })
}

pub(crate) fn check_positive(name: &'static str, value: f64) -> Result<(), LdaError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(LdaError::Parameter { name, expected: "a number above 0", found: value })
}

/// What a fit tells while it runs; return `false` to stop it.
pub type Progress<'a> = &'a mut (dyn FnMut(usize, usize) -> bool + Send);
