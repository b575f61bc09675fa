//! What analysts say, and what becomes of it: verdicts and rules, from the state database to the ranking.
//!
//! A verdict is a severity (1 high, 2 medium, 3 low) on a record or on a pattern ([`Matcher`]), for as long as it says. When it is given it is
//! resolved ([`Draft::resolve`]): what it reaches is written down with it, so that it outlives the scores and records it was given on and holds on every
//! day until it is taken back, superseded or expires.
//!
//! It acts twice. In the next run ([`Feedback`]): severity 3 (and a rule that allows) says that a pattern is explained: its rows stand behind all others, as
//! if every record of the day were like it, and nothing else moves. Severity 1 says that it is real: the pattern, and whoever else goes to the same place,
//! is expected a thousand times less often. Severity 2 changes no rank. Where Spot's score ranks, severity 3 is trained on as Spot meant it: copied
//! DUPFACTOR times. And at once, on lists that were ranked before ([`Overlay`]): what is rated, allowed or suppressed is marked, and
//! left out where only open rows are asked for.
//!
//! [`preview`] says what a verdict or rule would reach before it is saved; [`exchange`] reads and writes files of them, Spot's too.

mod draft;
pub mod exchange;
mod force;
pub mod heuristics;
pub mod matcher;
mod overlay;
pub mod preview;
pub(crate) mod rows;
mod span;
mod spot_csv;

pub use draft::{Draft, Reach, Scope};
pub(crate) use force::Ruled;
pub use force::{Feedback, Said};
pub use matcher::{Matcher, MatcherError, Seen};
pub use overlay::{Mark, Overlay, Show, overlay};
pub use span::Span;

use aggregator::lake::LakeError;
use aggregator::state::StateError;

use crate::score::ScoreError;

/// Why a verdict or rule is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedbackError {
    /// Its pattern.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// It is about nothing, or about too much.
    #[error("{0}")]
    Draft(String),
    /// The record it names is not there.
    #[error("there is no {source_name} record {record}{place}")]
    NoRecord {
        /// flow, dns or proxy.
        source_name: &'static str,
        /// Its identity.
        record: String,
        /// Where it was looked for.
        place: String,
    },
    /// A file of verdicts.
    #[error("{0}")]
    File(String),
    /// The scores.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The state database.
    #[error(transparent)]
    State(#[from] StateError),
}
