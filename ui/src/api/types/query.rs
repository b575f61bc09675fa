//! Queries that are being written.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A query to look at.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QueryQuery {
    /// The query.
    #[serde(default)]
    pub q: String,
    /// Where the cursor stands, in UTF-16 units: what may come there is suggested. Nothing is, if left out.
    pub at: Option<u32>,
    /// The day whose values are suggested and that the SQL is about; the latest scored one if left out.
    pub date: Option<String>,
}

/// What a query says, or what is wrong with it, and how it may go on.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryAnswer {
    /// What is wrong; `null` if nothing is.
    pub fault: Option<QueryFault>,
    /// The same question as SQL, for the console and `spotter query`; `null` if there is a fault.
    pub sql: Option<String>,
    /// The part of the query that a suggestion takes the place of.
    pub replace: Option<TextSpan>,
    /// How it may go on.
    pub suggestions: Vec<Suggestion>,
}

/// A part of a text, in UTF-16 units.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct TextSpan {
    /// From.
    pub start: u32,
    /// Up to, and without.
    pub end: u32,
}

/// What is wrong with a query.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueryFault {
    /// What was expected, what came.
    pub message: String,
    /// Where.
    pub start: u32,
    /// Where it ends; the same as `start` where something is missing.
    pub end: u32,
}

/// What may come next.
#[derive(Debug, Serialize, ToSchema)]
pub struct Suggestion {
    /// What stands there then.
    pub insert: String,
    /// What it is.
    pub help: String,
    /// Records of the day that have this value.
    pub count: Option<u64>,
}
