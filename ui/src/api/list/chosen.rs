//! Which rows of a run are meant: a query, a group, and what was said of them, as one condition.

use std::sync::Arc;

use aggregator::lake::Day;
use analytics::feedback;
use analytics::sql::Param;

use super::{overlay, parse_group};
use crate::api::filter::condition;
use crate::api::types::{Run, Show, Source};
use crate::app::App;
use crate::problem::ApiError;

/// Rows of a run.
pub(in crate::api) struct Chosen {
    /// `scores_flow WHERE …`
    pub(in crate::api) from: String,
    /// Values of its placeholders.
    pub(in crate::api) params: Vec<Param>,
    pub(in crate::api) overlay: Arc<feedback::Overlay>,
    pub(in crate::api) show: feedback::Show,
}

/// What is asked for, before it is known of which run.
pub(in crate::api) struct Choice {
    source: Source,
    filter: crate::query::Condition,
    group: Option<u64>,
    show: feedback::Show,
}

impl Choice {
    /// Reads what was asked. Whoever opens a group wants to see all of it.
    pub(in crate::api) fn read(
        source: Source,
        filter: Option<&str>,
        group: Option<&str>,
        show: Option<Show>,
    ) -> Result<Self, ApiError> {
        let filter = condition(source, filter, 3)?;
        let group = group.map(parse_group).transpose()?;
        let usual = if group.is_some() { feedback::Show::All } else { feedback::Show::Open };
        Ok(Self { source, filter, group, show: show.map_or(usual, Into::into) })
    }

    /// The rows of it on a day of a run.
    pub(in crate::api) async fn of(self, app: &App, date: Day, run: &Run) -> Result<Chosen, ApiError> {
        let Self { source, filter, group, show } = self;
        let mut params: Vec<Param> = vec![run.run_id.as_str().into(), date.to_string().into()];
        params.extend(filter.params);
        let mut from = format!("scores_{} WHERE run_id = $1 AND date = $2 AND {}", source.as_str(), filter.sql);
        if let Some(group) = group {
            // A number that was parsed: no text from outside.
            from = format!("{from} AND group_id = CAST('{group}' AS BIGINT UNSIGNED)");
        }
        let overlay = overlay(app, source, run).await?;
        if let Some((sql, ids)) = overlay.condition(show, params.len() + 1) {
            from = format!("{from} AND {sql}");
            params.push(ids);
        }
        Ok(Chosen { from, params, overlay, show })
    }
}
