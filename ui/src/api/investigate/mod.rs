//! What the raw lake says of one subject: Apache Spot's expanded search, over any days and all sources.
//!
//! `subject` reads what is looked for, `flow` and `facets` are the queries, `cache` keeps answers while the
//! lake has no new parts of their span. A client that goes away cancels its queries; the engine bounds their memory,
//! and each request its time.

mod board;
pub(super) mod cache;
mod facets;
mod flow;
mod judged;
mod places;
mod service;
mod subject;
mod timeline;
mod volume;

use std::time::Instant;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::{Extension, Json};

pub(super) use board::{__path_board, board, board_of};
pub(super) use judged::flagged;
pub(super) use service::{__path_service, service};
pub(super) use subject::{Span, Subject, Target};
pub(super) use timeline::{__path_timeline, Order, timeline};
pub(super) use volume::{__path_volume, Buckets, volume};

use super::params::Params;
use super::rows::{moment, parse_limit};
use super::types::{Connections, ConnectionsQuery, Investigation, Problem, SubjectQuery};
use crate::app::{App, Shared};
use crate::door::Searched;
use crate::problem::ApiError;

/// Rows of a table: 1 to 200; Apache Spot's 20 if nothing is said.
pub(super) fn parse_top(top: Option<u32>) -> Result<u32, ApiError> {
    match top.unwrap_or(20) {
        top @ 1..=200 => Ok(top),
        other => Err(ApiError::Bad(format!("`top` must be 1 to 200, not {other}"))),
    }
}

/// Everything about an address, network, name or URI in a span.
#[utoipa::path(get, path = "/api/v1/investigation", params(SubjectQuery), responses(
    (status = 200, body = Investigation), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 504, body = Problem)))]
pub(super) async fn investigation(
    State(app): State<Shared>,
    headers: HeaderMap,
    Params(query): Params<SubjectQuery>,
) -> Result<Response, ApiError> {
    let subject = Subject::parse(&query.subject)?;
    let span = Span::parse(&query.from, &query.to)?;
    let top = parse_top(query.top)?;
    let key = format!("investigation {} {top}", subject.text());
    let rows = |found: &Investigation| found.totals.iter().map(|total| total.records).sum();
    cache::answer(&app, &headers, &key, span, investigate(&app, subject, span, top), Some(rows)).await
}

pub(super) async fn investigate(app: &App, subject: Subject, span: Span, top: u32) -> Result<Investigation, ApiError> {
    let began = Instant::now();
    let target = Target::find(app, subject, span).await?;
    let internal = flow::is_internal(app, &target).await?;
    let (ways, peers) = flow::ways_and_peers(app, &target, top).await?;
    let (totals, facets) = facets::of(app, &target, top).await?;
    let (from, to) = span.texts();
    Ok(Investigation {
        kind: target.subject.kind(),
        subject: target.subject.text(),
        from,
        to,
        computed_at: moment(aggregator::state::now()),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        internal,
        addresses: target.addresses,
        totals,
        ways,
        peers,
        facets,
    })
}

/// The connections of a subject, grouped by addresses and ports: Apache Spot's table.
#[utoipa::path(get, path = "/api/v1/investigation/connections", params(ConnectionsQuery), responses(
    (status = 200, body = Connections), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn connections(
    State(app): State<Shared>,
    Params(query): Params<ConnectionsQuery>,
) -> Result<(Extension<Searched>, Json<Connections>), ApiError> {
    let subject = Subject::parse(&query.subject)?;
    let span = Span::parse(&query.from, &query.to)?;
    let limit = parse_limit(query.limit)?;
    let sort = flow::Sort::parse(query.sort.as_deref())?;
    let work = async {
        let target = Target::find(&app, subject, span).await?;
        let (rows, more) = flow::connections(&app, &target, sort, limit).await?;
        Ok((
            Extension(Searched(Some(rows.len() as u64))),
            Json(Connections { subject: target.subject.text(), more, rows }),
        ))
    };
    app.in_turn(work).await
}
