//! Suspicious records: the current run's rows of a day, ranked, grouped, filtered, page by page; what was rated or ruled on since is left out at once.

use std::sync::Arc;

use aggregator::record::RecordId;
use analytics::context::Context;
use analytics::feedback;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Deserialize;

mod chosen;
mod rows;
mod run;

pub(super) use self::chosen::{Choice, Chosen};
use self::rows::{COMMON, Listed};
use self::run::Found;
pub(super) use self::run::{find, run_of};
use super::context::known_of;
use super::params::Params;
use super::rows::{parse_day, parse_limit, parse_record_id, read};
use super::types::{
    DayQuery, DnsList, DnsRow, FlowList, FlowRow, ListQuery, ListState, Problem, ProxyList, ProxyRow, Run, Source,
    Switch,
};
use crate::app::{App, Shared};
use crate::door::{Opened, Searched};
use crate::problem::ApiError;

/// What every list can be sorted by.
const COMMON_SORTS: [&str; 10] = [
    "rank",
    "spot_rank",
    "surprise_bits",
    "score",
    "percentile",
    "confidence",
    "word_hosts",
    "group_size",
    "days_before",
    "first_seen",
];

/// `run.offset`
fn parse_cursor(text: Option<&str>) -> Result<(Option<String>, u64), ApiError> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok((None, 0)),
        Some(text) => text
            .rsplit_once('.')
            .and_then(|(run, offset)| Some((Some(run.to_owned()), offset.parse().ok()?)))
            .ok_or_else(|| ApiError::Bad(format!("`cursor` must be the `next_cursor` of a page, not {text:?}"))),
    }
}

/// The ORDER BY of a sort: checked against the columns there are, never text from outside.
fn order_by<R: Listed>(sort: Option<&str>) -> Result<String, ApiError> {
    let text = sort.unwrap_or_default();
    let (name, direction) = text.strip_prefix('-').map_or((text, "ASC"), |name| (name, "DESC"));
    let known = COMMON_SORTS.iter().chain(R::SORTS);
    match known.into_iter().find(|column| **column == name) {
        _ if text.is_empty() => Ok("fused_rank, rank".to_owned()),
        // The most surprising have no bits: their score is 0.
        Some(&"surprise_bits") => {
            Ok(format!("score {}, fused_rank, rank", if direction == "ASC" { "DESC" } else { "ASC" }))
        }
        Some(&"rank") => Ok(format!("fused_rank {direction}, rank {direction}")),
        Some(&"spot_rank") => Ok(format!("rank {direction}")),
        Some(&"word_hosts") => Ok(format!("word_df {direction}, fused_rank, rank")),
        Some(column) => Ok(format!("{column} {direction} NULLS LAST, fused_rank, rank")),
        None => Err(ApiError::Bad(format!(
            "`sort` must be one of {}, {}, with `-` before it for descending; not {text:?}",
            COMMON_SORTS.join(", "),
            R::SORTS.join(", ")
        ))),
    }
}

/// The ORDER BY of a source's list.
pub(super) fn order_of(source: Source, sort: Option<&str>) -> Result<String, ApiError> {
    match source {
        Source::Flow => order_by::<FlowRow>(sort),
        Source::Dns => order_by::<DnsRow>(sort),
        Source::Proxy => order_by::<ProxyRow>(sort),
    }
}

/// A page of the list and the counts around it.
struct Page<R> {
    date: String,
    state: ListState,
    run: Option<Run>,
    records: u64,
    matching: u64,
    groups: u64,
    left_out: u64,
    rows: Vec<R>,
    next_cursor: Option<String>,
}

/// Does it look for something? The day's list does not, nor does a search's next page.
fn is_search(query: &ListQuery) -> bool {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    given(&query.filter) && !given(&query.cursor)
}

async fn page<R: Listed>(app: &App, query: ListQuery) -> Result<Page<R>, ApiError> {
    let source = R::SOURCE;
    let limit = parse_limit(query.limit)?;
    let order = order_by::<R>(query.sort.as_deref())?;
    let (run_id, offset) = parse_cursor(query.cursor.as_deref())?;
    let date = query.date.as_deref().map(parse_day).transpose()?;
    let choice = Choice::read(source, query.filter.as_deref(), query.group.as_deref(), query.show)?;
    let found = app.blocking(move |lake| find(lake, source, date, run_id.as_deref())).await?;

    let empty = |found: Option<Found>| Page {
        state: if found.as_ref().is_some_and(|found| found.records > 0) {
            ListState::NotScored
        } else {
            ListState::NoData
        },
        records: found.as_ref().map_or(0, |found| found.records),
        date: found.map_or_else(|| query.date.clone().unwrap_or_default(), |found| found.date.to_string()),
        run: None,
        matching: 0,
        groups: 0,
        left_out: 0,
        rows: Vec::new(),
        next_cursor: None,
    };
    let Some(Found { date, records, run }) = found else { return Ok(empty(None)) };
    let Some(run) = run else { return Ok(empty(Some(Found { date, records, run: None }))) };

    let Chosen { from, params, overlay, show } = choice.of(app, date, &run).await?;
    let context = app.context().await?;
    let counts = format!("SELECT count(*) AS matching, count(DISTINCT group_id) AS group_count FROM {from}");
    let counts: Vec<Counts> = read(app.rows(&counts, params.clone(), 1).await?, "scores")?;
    let Counts { matching, group_count: groups } = counts.into_iter().next().unwrap_or_default();

    let flat = query.group.is_some() || query.groups == Some(Switch::Off);
    let columns = format!("{COMMON}, {}", R::COLUMNS);
    let (from, total) = if flat {
        (from, matching)
    } else {
        let places = format!(
            "SELECT *, row_number() OVER (PARTITION BY group_id ORDER BY fused_rank, rank) AS place FROM {from}"
        );
        (format!("({places}) AS ranked WHERE place = 1"), groups)
    };
    let rows = format!("SELECT {columns} FROM {from} ORDER BY {order} LIMIT {limit} OFFSET {offset}");
    let rows = read::<R::Raw>(app.rows(&rows, params, limit.into()).await?, "scores")?;
    let end = offset.saturating_add(rows.len() as u64);
    Ok(Page {
        date: date.to_string(),
        state: ListState::Ready,
        records,
        matching,
        groups,
        left_out: overlay.left_out(show, run.rows),
        next_cursor: (!rows.is_empty() && end < total).then(|| format!("{}.{end}", run.run_id)),
        rows: rows.into_iter().map(|raw| laid_over(R::of(raw), &overlay, &context)).collect(),
        run: Some(run),
    })
}

/// What is said of the rows of a run.
async fn overlay(app: &App, source: Source, run: &Run) -> Result<Arc<feedback::Overlay>, ApiError> {
    let (overlays, run_id) = (Arc::clone(&app.overlays), run.run_id.clone());
    app.blocking(move |lake| overlays.of(lake, source.lake(), &run_id)).await
}

/// A row with what is said of it, and known of its values, now.
fn laid_over<R: Listed>(mut row: R, overlay: &feedback::Overlay, context: &Context) -> R {
    *row.known() =
        row.values().into_iter().filter_map(|(field, value, kind)| known_of(context, field, value, kind)).collect();
    let (record, said) = row.said();
    if let Some(mark) = parse_record_id(record).ok().and_then(|id| overlay.mark(RecordId(id))) {
        said.verdict = mark.verdict.map(|(id, _)| id);
        said.severity = mark.verdict.map(|(_, severity)| severity as u8);
        said.allowed_by = mark.allowed.map(|rule| rule.0);
        said.suppressed_by = mark.suppressed.map(|rule| rule.0);
        said.resembles = mark.resembles;
    }
    row
}

#[derive(Deserialize, Default)]
struct Counts {
    matching: u64,
    group_count: u64,
}

fn parse_group(text: &str) -> Result<u64, ApiError> {
    Some(text)
        .filter(|text| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or_else(|| ApiError::Bad(format!("`group` must be the `group_id` of a row, not {text:?}")))
}

async fn one<R: Listed>(app: &App, record_id: &str, query: &DayQuery) -> Result<R, ApiError> {
    let source = R::SOURCE;
    let id = parse_record_id(record_id)?;
    let date = parse_day(&query.date)?;
    let found = app.blocking(move |lake| find(lake, source, Some(date), None)).await?;
    let missing = || ApiError::Missing(format!("score of the {} record {record_id} on {date}", source.as_str()));
    let run = found.and_then(|found| found.run).ok_or_else(missing)?;
    let sql = format!(
        "SELECT {COMMON}, {} FROM scores_{} WHERE run_id = $1 AND date = $2 AND record_id = $3 LIMIT 1",
        R::COLUMNS,
        source.as_str()
    );
    let params = vec![run.run_id.as_str().into(), date.to_string().into(), RecordId(id).into()];
    let rows = read::<R::Raw>(app.rows(&sql, params, 1).await?, "scores")?;
    let row = rows.into_iter().next().map(R::of).ok_or_else(missing)?;
    Ok(laid_over(row, &*overlay(app, source, &run).await?, &*app.context().await?))
}

macro_rules! endpoints {
    ($($(#[$doc:meta])* $list:ident $one:ident $row:ident $page:ident $path:literal;)*) => {$(
        $(#[$doc])*
        #[utoipa::path(get, path = concat!("/api/v1/suspicious/", $path), params(ListQuery), responses(
            (status = 200, body = $page), (status = 400, body = Problem), (status = 401, body = Problem)))]
        pub(super) async fn $list(
            State(app): State<Shared>, Params(query): Params<ListQuery>,
        ) -> Result<(Option<Extension<Searched>>, Json<$page>), ApiError> {
            let is_search = is_search(&query);
            let Page { date, state, run, records, matching, groups, left_out, rows, next_cursor } =
                app.in_turn(page::<$row>(&app, query)).await?;
            let searched = is_search.then_some(Extension(Searched(Some(matching))));
            Ok((searched, Json($page { date, state, run, records, matching, groups, left_out, rows, next_cursor })))
        }

        /// One scored record, wherever it ranks.
        #[utoipa::path(get, path = concat!("/api/v1/suspicious/", $path, "/{record_id}"),
            params(("record_id" = String, Path, description = "Identity, 32 hexadecimal digits"), DayQuery), responses(
            (status = 200, body = $row), (status = 404, body = Problem), (status = 401, body = Problem)))]
        pub(super) async fn $one(
            State(app): State<Shared>, Path(record_id): Path<String>, Params(query): Params<DayQuery>,
        ) -> Result<(Extension<Opened>, Json<$row>), ApiError> {
            let row = app.in_turn(one::<$row>(&app, &record_id, &query)).await?;
            Ok((Extension(Opened::one($row::SOURCE, &record_id)), Json(row)))
        }
    )*};
}

endpoints! {
    /// Suspicious flow records, most suspicious first.
    suspicious_flow scored_flow FlowRow FlowList "flow";
    /// Suspicious DNS questions, most suspicious first.
    suspicious_dns scored_dns DnsRow DnsList "dns";
    /// Suspicious requests, most suspicious first.
    suspicious_proxy scored_proxy ProxyRow ProxyList "proxy";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_are_columns_that_exist() {
        assert_eq!(order_by::<FlowRow>(None).unwrap(), "fused_rank, rank");
        assert_eq!(order_by::<FlowRow>(Some("-src_bytes")).unwrap(), "src_bytes DESC NULLS LAST, fused_rank, rank");
        assert_eq!(order_by::<DnsRow>(Some("-surprise_bits")).unwrap(), "score ASC, fused_rank, rank");
        for bad in ["qname", "-", "src_ip; DROP TABLE flow", "--rank"] {
            assert!(order_by::<FlowRow>(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn cursors_and_groups_are_read_or_refused() {
        assert_eq!(parse_cursor(Some("a.b.250")).unwrap(), (Some("a.b".to_owned()), 250));
        assert_eq!(parse_cursor(Some("")).unwrap(), (None, 0));
        assert!(parse_cursor(Some("250")).is_err() && parse_cursor(Some("a.-1")).is_err());
        assert_eq!(parse_group("00000000000000ff").unwrap(), 255);
        assert!(parse_group("ff").is_err() && parse_group("+0000000000000ff").is_err());
    }
}
