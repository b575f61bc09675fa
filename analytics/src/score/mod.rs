//! Scores of a day: words, corpus, model, P(word | document) for every record, and the most suspicious of them written to the lake.
//!
//! Ranked by all evidence there is ([`fuse`]): calibrated scores of the model and the findings of the detectors; or by Spot's score alone.
//!
//! Two passes over the lake (rich words: one more, over who has what): the first counts tokens, the second looks every record's pair up and keeps
//! the lowest. Groups of parts side by side, and the detectors beside the words. No row is held in memory but the candidates; only the needed columns are read.
//!
//! Promises: the scores of a day depend on its records, for slow beacons on those of the six days before, the parameters and the seed; not on threads, on the order of files, on compaction
//! or a second import. Memory is bounded by [`CorpusLimits`] and the limit of rows. Every row read is scored or counted with its cause.
//! Refuses: a day without records ([`ScoreError::NoRecords`]).

mod answers;
pub mod before;
mod beside;
mod card;
mod dismissed;
mod enrich;
mod fit;
pub mod fuse;
mod intern;
mod judge;
mod list;
mod live;
mod matched;
pub(crate) mod parts;
mod passes;
mod rank;
mod request;
mod rich;
mod rows;
mod run;
mod saved;
mod select;
mod slow;
pub(crate) mod texts;
mod topics;
mod train;
mod watch;
mod write;

pub use beside::Beside;
pub use card::{BesideCard, CorpusCard, FitCard, ModelCard, RowsCard, TopDomainsCard};
pub use list::{DayRows, Ranked, days, ranked};
pub use live::{Live, Looked, is_live};
pub use request::{Optimizer, Progress, Ranking, ScoreRequest, Stage, WordScheme};
pub use run::{ScoreRun, score};
pub use saved::{DriftCard, KEPT, SavedModel};
pub use select::is_kept;
pub use topics::{Topic, TopicWord, Topics};
pub use train::{CorpusBuilder, CorpusLimits, DayCorpus, ExtraToken, OTHER, OTHER_WORD, Overflow};

use std::path::PathBuf;

use aggregator::lake::{Day, LakeError};
use aggregator::state::StateError;

use crate::lda::LdaError;
use crate::words::domain::TopDomainsError;

/// Why a day could not be scored. Nothing is written then; the former scores stay.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// There is nothing to score.
    #[error("no {source_name} records on {date}: import some, or choose another day")]
    NoRecords {
        /// flow, dns or proxy.
        source_name: &'static str,
        /// The day.
        date: Day,
    },
    /// There are records, and none can be put into words.
    #[error("none of the {rows} {source_name} records of {date} has a word: {causes}")]
    NoWords {
        /// flow, dns or proxy.
        source_name: &'static str,
        /// The day.
        date: Day,
        /// Rows read.
        rows: u64,
        /// How many for which cause.
        causes: String,
    },
    /// A setting is out of range.
    #[error("{name} must be {expected}, found {found}")]
    Setting {
        /// Which.
        name: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// The fit.
    #[error(transparent)]
    Lda(#[from] LdaError),
    /// The caller asked to stop.
    #[error("stopped; the former scores stay")]
    Stopped,
    /// The list of well-known domains.
    #[error("{}: {source}", path.display())]
    TopDomains {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TopDomainsError,
    },
    /// A file cannot be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A part vanished: the lake was compacted or an hour removed meanwhile.
    #[error("{} was removed while the day was being scored (compaction or retention): score it again", path.display())]
    Changed {
        /// The part.
        path: PathBuf,
    },
    /// A part is not readable Parquet.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// The part.
        path: PathBuf,
        /// What is wrong.
        source: parquet::errors::ParquetError,
    },
    /// A part's columns cannot be read.
    #[error("{}: {source}", path.display())]
    Arrow {
        /// The part.
        path: PathBuf,
        /// What is wrong.
        source: arrow::error::ArrowError,
    },
    /// Columns do not fit the lake's schema.
    #[error("columns of the lake: {0}")]
    Schema(arrow::error::ArrowError),
    /// A column is not of its type.
    #[error("column {name} is not {expected}")]
    Column {
        /// Which.
        name: &'static str,
        /// The type it should have.
        expected: &'static str,
    },
    /// The card cannot be written as JSON.
    #[error("the run's card: {0}")]
    Card(String),
    /// Rule files cannot be asked.
    #[error("rule files: {0}")]
    Rules(String),
    /// Another model's results.
    #[error("results of another model: {0}")]
    Beside(String),
    /// Threads cannot be started.
    #[error("starting threads: {0}")]
    Threads(String),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The state database.
    #[error(transparent)]
    State(#[from] StateError),
}
