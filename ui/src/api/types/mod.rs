//! What the API says, as types: the OpenAPI document and the browser's types are made from them.
//!
//! Times are RFC 3339 in UTC with microseconds, days `YYYY-MM-DD` in UTC, identifiers lower-case hexadecimal.
//! `null` means "not observed", as in the lake.

mod accounts;
mod around;
mod context;
mod details;
mod feedback;
mod investigate;
mod list;
mod live;
mod of_query;
mod query;
mod sql;
mod status;
mod story;
mod timeline;
mod topics;
mod views;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use accounts::*;
pub use around::*;
pub use context::*;
pub use details::*;
pub use feedback::*;
pub use investigate::*;
pub use list::*;
pub use live::*;
pub use of_query::*;
pub use query::*;
pub use sql::*;
pub use status::*;
pub use story::*;
pub use timeline::*;
pub use topics::*;
pub use views::*;

/// Which records: the three sources of Apache Spot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Flow records.
    Flow,
    /// DNS questions.
    Dns,
    /// HTTP and TLS requests.
    Proxy,
}

impl Source {
    /// All three, in the order they are shown.
    pub const ALL: [Self; 3] = [Self::Flow, Self::Dns, Self::Proxy];

    /// The name in addresses, and of the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Dns => "dns",
            Self::Proxy => "proxy",
        }
    }
}

/// That the server runs. The only answer that needs no session.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`: a server that cannot answer does not.
    pub status: String,
    /// Version of Spotter.
    pub version: String,
}

/// The days that have records, latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Days {
    /// Today, in UTC.
    pub today: String,
    /// The days.
    pub days: Vec<Day>,
}

/// One day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Day {
    /// The day.
    pub date: String,
    /// Its flow records.
    pub flow: SourceDay,
    /// Its DNS questions.
    pub dns: SourceDay,
    /// Its requests.
    pub proxy: SourceDay,
}

/// One source on one day.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct SourceDay {
    /// Records in the lake.
    pub rows: u64,
    /// Their size on disk.
    pub bytes: u64,
    /// Records that the current run keeps; `null` where the day is not scored.
    pub scored: Option<u64>,
}

/// Which day.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DayQuery {
    /// The day, `YYYY-MM-DD`.
    pub date: String,
}

/// A failure (RFC 9457), with what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// A stable name, e.g. `unknown_day`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What went wrong.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What was expected and what came.
    pub detail: String,
    /// What to do.
    pub action: String,
}

/// A new one-time link.
#[derive(Debug, Serialize, ToSchema)]
pub struct Link {
    /// Open it in a browser, once.
    pub url: String,
}
