//! What surrounds a host on a day, by the raw records: its peers with the bytes between them, the names it asked for.

use aggregator::record::Micros;
use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;

use super::params::Params;
use super::rows::{parse_day, parse_limit, read};
use super::types::{AroundDns, AroundDnsQuery, AroundFlow, AroundFlowQuery, AroundName, AroundPeer, Problem};
use crate::app::Shared;
use crate::door::Opened;
use crate::problem::ApiError;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// The peers of an address on a day, those with the most bytes first.
#[utoipa::path(get, path = "/api/v1/around/flow", params(AroundFlowQuery), responses(
    (status = 200, body = AroundFlow), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn around_flow(
    State(app): State<Shared>,
    Params(query): Params<AroundFlowQuery>,
) -> Result<(Extension<Opened>, Json<AroundFlow>), ApiError> {
    let ip: std::net::IpAddr =
        query.ip.parse().map_err(|_| ApiError::Bad(format!("`ip` must be an address, not {:?}", query.ip)))?;
    let Micros(start) = parse_day(&query.date)?.start();
    let limit = parse_limit(query.limit)?;
    let ask = u64::from(limit) + 1;
    let side = |peer: &str, own: &str, sent: &str, received: &str| {
        format!(
            "SELECT {peer} AS peer, coalesce({sent}, CAST(0 AS BIGINT UNSIGNED)) AS sent, \
             coalesce({received}, CAST(0 AS BIGINT UNSIGNED)) AS received FROM flow \
             WHERE first_seen >= $1 AND first_seen < $2 AND {own} = $3"
        )
    };
    // Float sums: counters of the wire may be as large as their type, and their sum larger.
    let sql = format!(
        "SELECT peer, coalesce(is_private(peer), false) AS internal, sum(CAST(sent AS DOUBLE)) AS bytes_out, \
         sum(CAST(received AS DOUBLE)) AS bytes_in, count(*) AS connections FROM ({} UNION ALL {}) \
         GROUP BY peer ORDER BY bytes_out + bytes_in DESC, peer LIMIT {ask}",
        side("dst_ip", "src_ip", "src_bytes", "dst_bytes"),
        // A flow of an address with itself is counted once.
        side("src_ip", "src_ip <> dst_ip AND dst_ip", "dst_bytes", "src_bytes"),
    );
    let params = vec![Micros(start).into(), Micros(start + DAY).into(), ip.to_string().into()];
    let mut peers: Vec<AroundPeer> = read(app.in_turn(app.rows(&sql, params, ask)).await?, "flow")?;
    let more = peers.len() as u64 == ask;
    peers.truncate(limit as usize);
    let opened = Opened { record: None, rows: peers.len() as u64 };
    Ok((Extension(opened), Json(AroundFlow { peers, more })))
}

#[derive(Deserialize)]
struct RawName {
    client_ip: String,
    qname: String,
    rcode: Option<u16>,
    addresses: Option<String>,
    records: u64,
}

/// The names that a client asked for on a day, or the clients that asked for a name, with the addresses answered.
#[utoipa::path(get, path = "/api/v1/around/dns", params(AroundDnsQuery), responses(
    (status = 200, body = AroundDns), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn around_dns(
    State(app): State<Shared>,
    Params(query): Params<AroundDnsQuery>,
) -> Result<(Extension<Opened>, Json<AroundDns>), ApiError> {
    let (column, value) = match (query.client, query.name) {
        (Some(client), None) => {
            let ip: std::net::IpAddr =
                client.parse().map_err(|_| ApiError::Bad(format!("`client` must be an address, not {client:?}")))?;
            ("client_ip", ip.to_string())
        }
        (None, Some(name)) => ("qname", name.trim_end_matches('.').to_lowercase()),
        _ => return Err(ApiError::Bad("either `client` or `name` must be given".to_owned())),
    };
    let Micros(start) = parse_day(&query.date)?.start();
    let limit = parse_limit(query.limit)?;
    let ask = u64::from(limit) + 1;
    let sql = format!(
        "SELECT client_ip, qname, rcode, dns_addresses(answers) AS addresses, count(*) AS records FROM dns \
         WHERE first_seen >= $1 AND first_seen < $2 AND {column} = $3 \
         GROUP BY 1, 2, 3, 4 ORDER BY records DESC, client_ip, qname, rcode, addresses LIMIT {ask}"
    );
    let params = vec![Micros(start).into(), Micros(start + DAY).into(), value.into()];
    let mut rows: Vec<RawName> = read(app.in_turn(app.rows(&sql, params, ask)).await?, "dns")?;
    let more = rows.len() as u64 == ask;
    rows.truncate(limit as usize);
    let names: Vec<AroundName> = rows
        .into_iter()
        .map(|RawName { client_ip, qname, rcode, addresses, records }| AroundName {
            client_ip,
            qname,
            rcode,
            answers: addresses
                .unwrap_or_default()
                .split('|')
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .collect(),
            records,
        })
        .collect();
    let opened = Opened { record: None, rows: names.len() as u64 };
    Ok((Extension(opened), Json(AroundDns { names, more })))
}
