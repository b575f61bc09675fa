//! One service over the whole network: Apache Spot's "port perspective".

use aggregator::record::Micros;
use analytics::sql::Param;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::facets::{self, Detail, Plan};
use super::{Span, cache, parse_top};
use crate::api::params::Params;
use crate::api::rows::read;
use crate::api::types::{Border, NewPair, Problem, ServiceFindings, ServiceRule, ServiceScore, Source, SpanQuery};
use crate::app::{App, Shared};
use crate::problem::ApiError;

/// How far before the span a pair must not have been seen to be new.
const HISTORY: i64 = 14 * 86_400_000_000;
/// New pairs and scored records shown.
const SHOWN: u64 = 100;
/// Flows of the service.
const OF_SERVICE: &str = "proto = $3 AND dst_port = $4";
/// Protocols by name in the address.
const PROTOCOLS: [(&str, u8); 6] = [("tcp", 6), ("udp", 17), ("icmp", 1), ("icmp6", 58), ("sctp", 132), ("gre", 47)];

/// One service: how much, who, what is new, what crosses the border, what is suspicious, which rules apply.
#[utoipa::path(get, path = "/api/v1/service/{proto}/{port}",
    params(("proto" = String, Path, description = "tcp, udp, icmp, icmp6, sctp, gre, or the IANA number"),
        ("port" = u16, Path, description = "Responder's port; ICMP: type·256+code"), SpanQuery),
    responses((status = 200, body = ServiceFindings), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(in crate::api) async fn service(
    State(app): State<Shared>,
    headers: HeaderMap,
    Path((proto, port)): Path<(String, String)>,
    Params(query): Params<SpanQuery>,
) -> Result<Response, ApiError> {
    let known = PROTOCOLS.into_iter().find(|(name, _)| *name == proto).map(|(_, number)| number);
    let proto = known.or_else(|| proto.parse().ok()).ok_or_else(|| {
        ApiError::Bad(format!("the protocol must be tcp, udp, icmp, icmp6, sctp, gre or 0 to 255, not {proto:?}"))
    })?;
    let port: u16 = port.parse().map_err(|_| ApiError::Bad(format!("the port must be 0 to 65535, not {port:?}")))?;
    let span = Span::parse(&query.from, &query.to)?;
    let top = parse_top(query.top)?;
    // Rules and runs change without new records in the span: they are part of the key.
    let rules = rules(&app, port).await?;
    let runs = super::judged::current_runs(&app, Source::Flow, span).await?;
    let key = format!("service {proto}/{port} {top} {rules:?} {runs:?}");
    let rows = |found: &ServiceFindings| found.connections;
    cache::answer(&app, &headers, &key, span, find(&app, proto, port, span, top, runs, rules), Some(rows)).await
}

#[derive(Deserialize)]
struct Totals {
    connections: u64,
    bytes: Option<u64>,
    clients: u64,
    servers: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

/// A scored record with the number of all of them.
#[derive(Deserialize)]
struct Scored {
    count: u64,
    #[serde(flatten)]
    score: ServiceScore,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

async fn find(
    app: &App,
    proto: u8,
    port: u16,
    span: Span,
    top: u32,
    runs: Vec<String>,
    rules: Vec<ServiceRule>,
) -> Result<ServiceFindings, ApiError> {
    let params =
        || -> Vec<Param> { vec![span.from.into(), span.to.into(), u64::from(proto).into(), u64::from(port).into()] };
    let of = format!("FROM flow WHERE first_seen >= $1 AND first_seen < $2 AND {OF_SERVICE}");
    let bytes = "sum(src_bytes + coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED))) AS bytes";
    let sql = format!(
        "SELECT count(*) AS connections, {bytes}, count(DISTINCT src_ip) AS clients, count(DISTINCT dst_ip) AS servers, \
         min(first_seen) AS first_seen, max(last_seen) AS last_seen {of}"
    );
    let totals: Totals = read(app.rows(&sql, params(), 1).await?, "flow")?
        .pop()
        .ok_or_else(|| ApiError::Broken("a query without groups gave no row".to_owned()))?;
    let sql = format!(
        "SELECT src_internal, dst_internal, sum(connections) AS connections, sum(bytes) AS bytes, count(*) AS pairs FROM \
         (SELECT is_private(src_ip) AS src_internal, is_private(dst_ip) AS dst_internal, src_ip, dst_ip, count(*) AS connections, {bytes} \
          {of} GROUP BY 1, 2, 3, 4) GROUP BY src_internal, dst_internal ORDER BY connections DESC"
    );
    let borders: Vec<Border> = read(app.rows(&sql, params(), 4).await?, "flow")?;
    let lists = [
        ("servers", "Servers", "address", "dst_ip"),
        ("clients", "Clients", "address", "src_ip"),
        ("protocols", "Protocols recognised", "text", "service"),
        ("conn_states", "Ends of connections", "text", "conn_state"),
    ];
    let plans = lists.map(|(key, title, value_kind, value)| Plan {
        key,
        title,
        source: Source::Flow,
        value_kind,
        value: value.to_owned(),
        detail: Detail::None,
        condition: OF_SERVICE.to_owned(),
    });
    let (_, facets) = facets::run(app, params(), Source::Flow, OF_SERVICE, plans.to_vec(), top).await?;
    let (new_pairs, more_new_pairs) = new_pairs(app, params(), &of, span).await?;
    let sql = "SELECT count(*) AS count FROM (SELECT 1 FROM flow WHERE first_seen >= $1 AND first_seen < $2 LIMIT 1)";
    let before = vec![Micros(span.from.0 - HISTORY).into(), span.from.into()];
    let has_history = read::<Count>(app.rows(sql, before, 1).await?, "flow")?.first().is_some_and(|row| row.count > 0);
    let (scored, leaders) = scored(app, proto, port, span, &runs).await?;
    let (from, to) = span.texts();
    Ok(ServiceFindings {
        proto,
        port,
        from,
        to,
        connections: totals.connections,
        bytes: totals.bytes.unwrap_or(0),
        clients: totals.clients,
        servers: totals.servers,
        pairs: borders.iter().map(|border| border.pairs).sum(),
        first_seen: totals.first_seen,
        last_seen: totals.last_seen,
        borders,
        facets,
        new_pairs,
        more_new_pairs,
        has_history,
        scored,
        leaders,
        rules,
    })
}

async fn new_pairs(app: &App, mut params: Vec<Param>, of: &str, span: Span) -> Result<(Vec<NewPair>, bool), ApiError> {
    let ask = SHOWN + 1;
    params.push(Micros(span.from.0 - HISTORY).into());
    let sql = format!(
        "SELECT n.src_ip, n.dst_ip, n.connections, n.bytes, n.first_seen FROM \
         (SELECT src_ip, dst_ip, count(*) AS connections, sum(src_bytes + coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED))) AS bytes, min(first_seen) AS first_seen \
          {of} GROUP BY src_ip, dst_ip) n LEFT ANTI JOIN \
         (SELECT DISTINCT src_ip, dst_ip FROM flow WHERE first_seen >= $5 AND first_seen < $1 AND proto = $3 AND dst_port = $4) b \
         ON n.src_ip = b.src_ip AND n.dst_ip = b.dst_ip ORDER BY n.bytes DESC, n.src_ip, n.dst_ip LIMIT {ask}"
    );
    let mut rows: Vec<NewPair> = read(app.rows(&sql, params, ask).await?, "flow")?;
    let more = rows.len() as u64 == ask;
    rows.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    Ok((rows, more))
}

/// How many records of the runs are of the service, and the leaders of the groups that stand first.
async fn scored(
    app: &App,
    proto: u8,
    port: u16,
    span: Span,
    runs: &[String],
) -> Result<(u64, Vec<ServiceScore>), ApiError> {
    if runs.is_empty() {
        return Ok((0, Vec::new()));
    }
    let mut params: Vec<Param> =
        vec![span.from.into(), span.to.into(), u64::from(proto).into(), u64::from(port).into()];
    let places: Vec<String> = (0..runs.len()).map(|at| format!("${}", at + 5)).collect();
    params.extend(runs.iter().map(|run| Param::from(run.as_str())));
    let sql = format!(
        "SELECT * FROM (SELECT count(*) OVER () AS count, record_id, CAST(date AS VARCHAR) AS date, fused_rank AS rank, first_seen, \
         src_ip, dst_ip, percentile, CAST(count(*) OVER (PARTITION BY run_id, group_id) AS BIGINT UNSIGNED) AS alike, \
         row_number() OVER (PARTITION BY run_id, group_id ORDER BY rank, record_id) AS place \
         FROM scores_flow WHERE first_seen >= $1 AND first_seen < $2 AND proto = $3 AND dst_port = $4 AND run_id IN ({})) \
         WHERE place = 1 ORDER BY rank, record_id LIMIT 20",
        places.join(", ")
    );
    let rows: Vec<Scored> = read(app.rows(&sql, params, 20).await?, "scores_flow")?;
    Ok((rows.first().map_or(0, |row| row.count), rows.into_iter().map(|row| row.score).collect()))
}

/// The rules whose matcher has this port as a number.
async fn rules(app: &App, port: u16) -> Result<Vec<ServiceRule>, ApiError> {
    let rules =
        app.blocking(|lake| Ok(lake.state().rules(aggregator::lake::Source::Flow, aggregator::state::now())?)).await?;
    let names = |matcher: &str| {
        serde_json::from_str::<serde_json::Value>(matcher).is_ok_and(|value| mentions(&value, u64::from(port)))
    };
    Ok(rules
        .into_iter()
        .filter(|rule| names(&rule.rule.matcher))
        .map(|rule| ServiceRule {
            rule_id: rule.id.0,
            action: match rule.rule.action {
                aggregator::state::rules::Action::Suppress => "suppress",
                aggregator::state::rules::Action::Allow => "allow",
            }
            .to_owned(),
            matcher: rule.rule.matcher,
            author: rule.rule.author,
            note: rule.rule.note,
        })
        .collect())
}

/// Is `port` the value of a key that names a port, or within such a range?
fn mentions(value: &serde_json::Value, port: u64) -> bool {
    use serde_json::Value;
    let holds = |value: &Value| match value {
        Value::Number(number) => number.as_u64() == Some(port),
        Value::Array(items) => match items.as_slice() {
            [low, high] if low.is_u64() && high.is_u64() => {
                low.as_u64().is_some_and(|low| low <= port) && high.as_u64().is_some_and(|high| port <= high)
            }
            items => items.iter().any(|item| item.as_u64() == Some(port)),
        },
        Value::String(text) => match text.split_once('-') {
            Some((low, high)) => {
                low.parse().is_ok_and(|low: u64| low <= port) && high.parse().is_ok_and(|high: u64| port <= high)
            }
            None => text.parse() == Ok(port),
        },
        _ => false,
    };
    match value {
        Value::Object(entries) => {
            entries.iter().any(|(key, value)| (key.contains("port") && holds(value)) || mentions(value, port))
        }
        Value::Array(items) => items.iter().any(|item| mentions(item, port)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn rules_that_name_a_port_are_found_in_every_form() {
        let of = |value| super::mentions(&value, 445);
        assert!(of(json!({"dst_port": 445})));
        assert!(of(json!({"all": [{"src_ip": "10.0.0.1"}, {"dst_port": [400, 500]}]})));
        assert!(of(json!({"port": "440-450"})) && of(json!({"dst_ports": [80, 443, 445]})));
        assert!(!of(json!({"dst_port": 446})) && !of(json!({"bytes": 445})) && !of(json!({"dst_ports": [80, 443]})));
    }
}
