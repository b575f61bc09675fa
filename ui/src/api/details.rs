//! Raw records around a suspicious one: Apache Spot's details.

use aggregator::record::Micros;
use analytics::sql::{Param, Rows};
use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::params::Params;
use super::rows::{moment, parse_limit, parse_moment, parse_record_id, read};
use super::types::{
    DnsDetail, DnsDetails, DnsDetailsQuery, FlowDetail, FlowDetails, FlowDetailsQuery, Problem, ProxyDetail,
    ProxyDetails, ProxyDetailsQuery, Source,
};
use crate::app::{App, Shared};
use crate::door::Opened;
use crate::problem::ApiError;

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;

/// The minute or hour that `time` lies in.
struct Span {
    from: Micros,
    to: Micros,
}

impl Span {
    fn of(time: &str, length: i64) -> Result<Self, ApiError> {
        let Micros(time) = parse_moment("time", time)?;
        let from = time - time.rem_euclid(length);
        Ok(Self { from: Micros(from), to: Micros(from + length) })
    }
}

/// Flows between two addresses, either way.
const BETWEEN: &str = "((src_ip = $3 AND dst_ip = $4) OR (src_ip = $4 AND dst_ip = $3))";
/// Questions for a name, and for names below it.
const BELOW: &str = "(qname = $3 OR ends_with(qname, $4))";
/// Requests of a client for a URI.
const OF_CLIENT: &str = "full_uri = $3 AND client_ip = $4";

/// The condition and the span of a source's details, for an export of them.
pub(super) fn around(source: Source, time: &str) -> Result<(&'static str, (Micros, Micros)), ApiError> {
    let (condition, length) = match source {
        Source::Flow => (BETWEEN, MINUTE),
        Source::Dns => (BELOW, HOUR),
        Source::Proxy => (OF_CLIENT, HOUR),
    };
    let span = Span::of(time, length)?;
    Ok((condition, (span.from, span.to)))
}

struct Found<T> {
    from: String,
    to: String,
    more: bool,
    rows: Vec<T>,
}

/// Rows of `sql`, which has `$1` and `$2` for the span, oldest first. One more than `limit` is asked for.
async fn find<T: DeserializeOwned>(
    app: &App,
    table: &'static str,
    sql: String,
    span: Span,
    mut params: Vec<Param>,
    limit: Option<u32>,
) -> Result<Found<T>, ApiError> {
    let limit = parse_limit(limit)?;
    let ask = u64::from(limit) + 1;
    params.splice(0..0, [span.from.into(), span.to.into()]);
    let sql = format!("{sql} ORDER BY first_seen, record_id LIMIT {ask}");
    let mut rows: Rows = app.rows(&sql, params, ask).await?;
    let more = rows.rows.len() as u64 == ask;
    rows.rows.truncate(limit as usize);
    Ok(Found { from: moment(span.from), to: moment(span.to), more, rows: read(rows, table)? })
}

/// What the audit log is told: the record that the rows were asked for, if that was said, and how many they are.
fn opened(source: Source, record_id: Option<String>, rows: usize) -> Result<Extension<Opened>, ApiError> {
    if let Some(id) = &record_id {
        parse_record_id(id)?;
    }
    Ok(Extension(Opened { record: record_id.map(|id| (source, id)), rows: rows as u64 }))
}

/// Raw flows between two addresses in the same minute, either way.
#[utoipa::path(get, path = "/api/v1/details/flow", params(FlowDetailsQuery), responses(
    (status = 200, body = FlowDetails), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn flow_details(
    State(app): State<Shared>,
    Params(query): Params<FlowDetailsQuery>,
) -> Result<(Extension<Opened>, Json<FlowDetails>), ApiError> {
    let sql = "SELECT record_id, first_seen, last_seen, src_ip, dst_ip, src_port, dst_port, proto, src_tcp_flags, dst_tcp_flags, \
        src_tos, src_packets, src_bytes, dst_packets, dst_bytes, conn_state, service, exporter_ip, input_if, output_if \
        FROM flow WHERE first_seen >= $1 AND first_seen < $2 AND ";
    let sql = format!("{sql}{BETWEEN}");
    let span = Span::of(&query.time, MINUTE)?;
    let params = vec![query.src.into(), query.dst.into()];
    let found = app.in_turn(find::<FlowDetail>(&app, "flow", sql, span, params, query.limit)).await?;
    let Found { from, to, more, rows } = found;
    Ok((opened(Source::Flow, query.record_id, rows.len())?, Json(FlowDetails { from, to, more, rows })))
}

#[derive(Deserialize)]
struct RawDns {
    answers: Vec<Answer>,
    #[serde(flatten)]
    rest: DnsDetail,
}

#[derive(Deserialize)]
struct Answer {
    data: String,
}

/// Raw questions for a name, or a name below it, in the same hour.
#[utoipa::path(get, path = "/api/v1/details/dns", params(DnsDetailsQuery), responses(
    (status = 200, body = DnsDetails), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn dns_details(
    State(app): State<Shared>,
    Params(query): Params<DnsDetailsQuery>,
) -> Result<(Extension<Opened>, Json<DnsDetails>), ApiError> {
    let sql = "SELECT record_id, first_seen, client_ip, server_ip, qname_wire AS qname, qtype, qclass, rcode, response_frame_len, \
        rtt_us, answers, damage FROM dns WHERE first_seen >= $1 AND first_seen < $2 AND ";
    let sql = format!("{sql}{BELOW}");
    let span = Span::of(&query.time, HOUR)?;
    let name = query.name.to_lowercase();
    let params = vec![name.as_str().into(), format!(".{name}").into()];
    let found = app.in_turn(find::<RawDns>(&app, "dns", sql, span, params, query.limit)).await?;
    let Found { from, to, more, rows } = found;
    let rows: Vec<DnsDetail> = rows
        .into_iter()
        .map(|raw| DnsDetail { answers: raw.answers.into_iter().map(|answer| answer.data).collect(), ..raw.rest })
        .collect();
    Ok((opened(Source::Dns, query.record_id, rows.len())?, Json(DnsDetails { from, to, more, rows })))
}

/// Raw requests of a client for an address in the same hour.
#[utoipa::path(get, path = "/api/v1/details/proxy", params(ProxyDetailsQuery), responses(
    (status = 200, body = ProxyDetails), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn proxy_details(
    State(app): State<Shared>,
    Params(query): Params<ProxyDetailsQuery>,
) -> Result<(Extension<Opened>, Json<ProxyDetails>), ApiError> {
    let sql = "SELECT record_id, first_seen, client_ip, server_ip, server_port, host, method, status, category, user_agent, \
        content_type, referer, request_bytes, response_bytes, full_uri FROM proxy \
        WHERE first_seen >= $1 AND first_seen < $2 AND ";
    let sql = format!("{sql}{OF_CLIENT}");
    let span = Span::of(&query.time, HOUR)?;
    let params = vec![query.uri.into(), query.client.into()];
    let found = app.in_turn(find::<ProxyDetail>(&app, "proxy", sql, span, params, query.limit)).await?;
    let Found { from, to, more, rows } = found;
    Ok((opened(Source::Proxy, query.record_id, rows.len())?, Json(ProxyDetails { from, to, more, rows })))
}
