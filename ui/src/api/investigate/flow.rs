//! Connections of a subject: in, out, two way; peers by connections and bytes.

use serde::Deserialize;

use super::subject::{Subject, Target};
use crate::api::rows::read;
use crate::api::types::{Connection, Peer, Source, Way};
use crate::app::App;
use crate::problem::ApiError;

/// Flow records from the subject's side. Two scans, each of one address column, so that Bloom filters can rule files
/// out; a record between two addresses of the subject is counted once, as outbound.
fn sides(target: &Target) -> Option<String> {
    let (src, dst) = (target.is_subject("src_ip")?, target.is_subject("dst_ip")?);
    Some(format!(
        "SELECT dst_ip AS peer, true AS opened, first_seen, last_seen, dst_port, src_bytes AS bytes_out, \
         coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED)) AS bytes_in, src_packets AS packets_out, coalesce(dst_packets, CAST(0 AS BIGINT UNSIGNED)) AS packets_in \
         FROM flow WHERE first_seen >= $1 AND first_seen < $2 AND {src} \
         UNION ALL \
         SELECT src_ip, false, first_seen, last_seen, dst_port, coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED)), src_bytes, coalesce(dst_packets, CAST(0 AS BIGINT UNSIGNED)), src_packets \
         FROM flow WHERE first_seen >= $1 AND first_seen < $2 AND {dst} AND NOT ({src})"
    ))
}

/// One row a peer.
pub(super) fn by_peer(target: &Target) -> Option<String> {
    Some(format!(
        "SELECT peer, CASE WHEN bool_or(opened) AND bool_or(NOT opened) THEN 'two_way' WHEN bool_or(opened) THEN 'out' ELSE 'in' END AS way, \
         count(*) AS connections, sum(bytes_out) AS bytes_out, sum(bytes_in) AS bytes_in, sum(packets_out) AS packets_out, \
         sum(packets_in) AS packets_in, max(bytes_out + bytes_in) AS max_bytes, max(packets_out + packets_in) AS max_packets, \
         count(DISTINCT dst_port) AS ports, min(first_seen) AS first_seen, max(last_seen) AS last_seen \
         FROM ({}) GROUP BY peer",
        sides(target)?
    ))
}

/// A peer with the totals of its way beside it.
#[derive(Deserialize)]
struct Ranked {
    #[serde(flatten)]
    peer: Peer,
    of_peers: u64,
    of_connections: u64,
    of_bytes_out: u64,
    of_bytes_in: u64,
    of_packets_out: u64,
    of_packets_in: u64,
    of_max_bytes: u64,
    of_max_packets: u64,
    of_first_seen: String,
    of_last_seen: String,
}

/// Totals by who opens, and the `top` peers of each way by connections and by bytes: one query, since it reads every
/// record of the subject.
pub(super) async fn ways_and_peers(app: &App, target: &Target, top: u32) -> Result<(Vec<Way>, Vec<Peer>), ApiError> {
    let Some(peers) = by_peer(target) else { return Ok((Vec::new(), Vec::new())) };
    let sql = format!(
        "SELECT *, is_private(peer) AS internal FROM (SELECT *, \
         row_number() OVER (PARTITION BY way ORDER BY connections DESC, peer) AS rank_connections, \
         row_number() OVER (PARTITION BY way ORDER BY bytes_out + bytes_in DESC, peer) AS rank_bytes, \
         count(*) OVER (PARTITION BY way) AS of_peers, sum(connections) OVER (PARTITION BY way) AS of_connections, \
         sum(bytes_out) OVER (PARTITION BY way) AS of_bytes_out, sum(bytes_in) OVER (PARTITION BY way) AS of_bytes_in, \
         sum(packets_out) OVER (PARTITION BY way) AS of_packets_out, sum(packets_in) OVER (PARTITION BY way) AS of_packets_in, \
         max(max_bytes) OVER (PARTITION BY way) AS of_max_bytes, max(max_packets) OVER (PARTITION BY way) AS of_max_packets, \
         min(first_seen) OVER (PARTITION BY way) AS of_first_seen, max(last_seen) OVER (PARTITION BY way) AS of_last_seen \
         FROM ({peers})) WHERE rank_connections <= {top} OR rank_bytes <= {top} ORDER BY bytes_out + bytes_in DESC, peer"
    );
    let rows: Vec<Ranked> = read(app.rows(&sql, target.params_for(), 6 * u64::from(top)).await?, "flow")?;
    let mut ways: Vec<Way> = Vec::new();
    for row in &rows {
        if ways.iter().all(|way| way.way != row.peer.way) {
            ways.push(Way {
                way: row.peer.way,
                peers: row.of_peers,
                connections: row.of_connections,
                bytes_out: row.of_bytes_out,
                bytes_in: row.of_bytes_in,
                packets_out: row.of_packets_out,
                packets_in: row.of_packets_in,
                max_bytes: row.of_max_bytes,
                max_packets: row.of_max_packets,
                first_seen: row.of_first_seen.clone(),
                last_seen: row.of_last_seen.clone(),
            });
        }
    }
    ways.sort_by_key(|way| way.way);
    Ok((ways, rows.into_iter().map(|row| row.peer).collect()))
}

/// How connections are sorted.
#[derive(Clone, Copy)]
pub(super) enum Sort {
    Connections,
    Bytes,
    FirstSeen,
}

impl Sort {
    pub(super) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text.unwrap_or("connections") {
            "connections" => Ok(Self::Connections),
            "bytes" => Ok(Self::Bytes),
            "first_seen" => Ok(Self::FirstSeen),
            other => Err(ApiError::Bad(format!("`sort` must be connections, bytes or first_seen, not {other:?}"))),
        }
    }

    const fn sql(self) -> &'static str {
        match self {
            Self::Connections => "connections DESC, bytes DESC",
            Self::Bytes => "bytes DESC",
            Self::FirstSeen => "first_seen",
        }
    }
}

/// Apache Spot's `threat.details`: one row for each pair of addresses and ports.
pub(super) async fn connections(
    app: &App,
    target: &Target,
    sort: Sort,
    limit: u32,
) -> Result<(Vec<Connection>, bool), ApiError> {
    let Some(condition) = target.condition(Source::Flow) else { return Ok((Vec::new(), false)) };
    let ask = u64::from(limit) + 1;
    let sql = format!(
        "SELECT src_ip, dst_ip, src_port, dst_port, proto, min(first_seen) AS first_seen, max(last_seen) AS last_seen, \
         count(*) AS connections, sum(bytes) AS bytes, max(bytes) AS max_bytes, avg(bytes) AS avg_bytes, \
         max(packets) AS max_packets, avg(packets) AS avg_packets FROM \
         (SELECT *, src_bytes + coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED)) AS bytes, src_packets + coalesce(dst_packets, CAST(0 AS BIGINT UNSIGNED)) AS packets FROM flow \
          WHERE first_seen >= $1 AND first_seen < $2 AND {condition}) \
         GROUP BY src_ip, dst_ip, src_port, dst_port, proto ORDER BY {}, src_ip, dst_ip, src_port, dst_port, proto LIMIT {ask}",
        sort.sql()
    );
    let mut rows: Vec<Connection> = read(app.rows(&sql, target.params_for(), ask).await?, "flow")?;
    let more = rows.len() as u64 == ask;
    rows.truncate(limit as usize);
    Ok((rows, more))
}

#[derive(Deserialize)]
struct Internal {
    internal: bool,
}

/// Is an address or network inside? As `is_private` says.
pub(super) async fn is_internal(app: &App, target: &Target) -> Result<Option<bool>, ApiError> {
    let address = match &target.subject {
        Subject::Address(ip) | Subject::Network(ip, _) => ip.to_string(),
        _ => return Ok(None),
    };
    let rows = app.rows("SELECT is_private($1) AS internal", vec![address.into()], 1).await?;
    Ok(read::<Internal>(rows, "constants")?.pop().map(|row| row.internal))
}
