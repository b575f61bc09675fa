//! Which days have records, and which are scored.

use std::collections::BTreeMap;

use aggregator::lake::{self, Day, Lake, Table};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};

use super::types::{self, Days, Problem, SourceDay};
use crate::app::Shared;
use crate::problem::ApiError;

impl types::Source {
    /// The lake's name of it.
    pub(super) const fn lake(self) -> lake::Source {
        match self {
            Self::Flow => lake::Source::Flow,
            Self::Dns => lake::Source::Dns,
            Self::Proxy => lake::Source::Proxy,
        }
    }
}

/// The days that have records, latest first.
#[utoipa::path(get, path = "/api/v1/days", responses((status = 200, body = Days), (status = 401, body = Problem)))]
pub(super) async fn days(State(app): State<Shared>) -> Result<Json<Days>, ApiError> {
    app.in_turn(app.blocking(all)).await.map(Json)
}

fn all(lake: &Lake) -> Result<Days, ApiError> {
    let mut days: BTreeMap<Day, [SourceDay; 3]> = BTreeMap::new();
    for (at, source) in types::Source::ALL.into_iter().enumerate() {
        for part in lake.parts(source.lake().table(), None)? {
            let day = days.entry(part.date).or_default();
            if let Some(day) = day.get_mut(at) {
                day.rows += part.rows;
                day.bytes += part.bytes;
            }
        }
        let mut scored: BTreeMap<String, u64> = BTreeMap::new();
        for part in lake.parts(Table::Scores(source.lake()), None)? {
            *scored.entry(part.run.unwrap_or_default()).or_default() += part.rows;
        }
        for run in lake.state().runs(Some(source.lake()))? {
            if run.current
                && let Some(day) = days.entry(run.date).or_default().get_mut(at)
            {
                day.scored = Some(scored.get(&run.run_id).copied().unwrap_or(0));
            }
        }
    }
    let today: DateTime<Utc> = std::time::SystemTime::now().into();
    Ok(Days {
        today: today.format("%Y-%m-%d").to_string(),
        days: days
            .into_iter()
            .rev()
            .map(|(date, [flow, dns, proxy])| types::Day { date: date.to_string(), flow, dns, proxy })
            .collect(),
    })
}
