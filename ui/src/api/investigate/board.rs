//! What the storyboard draws of a subject: incident progression, impact, map, timeline.

use std::collections::{BTreeMap, HashMap};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::volume::Buckets;
use super::{Span, Subject, Target, cache, facets, flow, parse_top, places};
use crate::api::params::Params;
use crate::api::rows::read;
use crate::api::types::{Board, BoardNode, BoardRequest, Direction, Drop, Peer, Problem, Source, SubjectQuery, Way};
use crate::app::{App, Shared};
use crate::problem::ApiError;

/// Peers on the timeline.
const DROPS: usize = 20;
/// Moments of one peer on the timeline; close ones are one.
const MOMENTS: i64 = 480;

/// The storyboard of a subject in a span.
#[utoipa::path(get, path = "/api/v1/board", params(SubjectQuery), responses(
    (status = 200, body = Board), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(in crate::api) async fn board(
    State(app): State<Shared>,
    headers: HeaderMap,
    Params(query): Params<SubjectQuery>,
) -> Result<Response, ApiError> {
    let subject = Subject::parse(&query.subject)?;
    let span = Span::parse(&query.from, &query.to)?;
    let top = parse_top(query.top)?;
    let key = format!("board {} {top} {}", subject.text(), app.context().await?.stamp());
    cache::answer(&app, &headers, &key, span, board_of(&app, subject, span, top), None).await
}

pub(in crate::api) async fn board_of(app: &App, subject: Subject, span: Span, top: u32) -> Result<Board, ApiError> {
    let target = Target::find(app, subject, span).await?;
    let (from, to) = span.texts();
    let context = app.context().await?;
    let mut board = Board {
        kind: target.subject.kind(),
        subject: target.subject.text(),
        from,
        to,
        progression: node(&target.subject.text(), "root"),
        drops: Vec::new(),
        places: Vec::new(),
        has_geo: context.has_geo(),
        requests: Vec::new(),
        referred: Vec::new(),
    };
    match &target.subject {
        Subject::Address(_) | Subject::Network(..) => {
            let (ways, peers) = flow::ways_and_peers(app, &target, top).await?;
            let contexts = contexts(app, &target).await?;
            board.progression.children = progression(&ways, &peers, &contexts);
            board.places = places::of(&context, &target.subject, &peers);
            let leaders: Vec<(String, Direction)> =
                peers.iter().take(DROPS).map(|peer| (peer.peer.clone(), peer.way)).collect();
            board.drops = drops_of_peers(app, &target, &leaders).await?;
        }
        Subject::Name(_) | Subject::Uri(_) | Subject::Community(_) => {
            let (_, facets) = facets::of(app, &target, top).await?;
            board.progression.children = facets
                .into_iter()
                .filter(|facet| {
                    ["dns_clients", "dns_names", "http_clients", "uris", "referers", "referred"]
                        .contains(&facet.key.as_str())
                })
                .map(|facet| {
                    let mut parent = node(&facet.title, "way");
                    parent.hidden = u64::from(facet.more);
                    parent.children = facet
                        .rows
                        .into_iter()
                        .map(|row| BoardNode {
                            count: row.count,
                            bytes: row.bytes.unwrap_or(0),
                            ..node(&row.value, &facet.value_kind)
                        })
                        .collect();
                    total(&mut parent);
                    parent
                })
                .collect();
            board.drops = drops_of_clients(app, &target).await?;
        }
    }
    if matches!(target.subject, Subject::Uri(_)) {
        board.requests = requests(app, &target, top).await?;
        board.referred = referred(app, &target, top).await?;
    }
    let root = &mut board.progression;
    root.count = root.children.iter().map(|child| child.count).sum();
    root.bytes = root.children.iter().map(|child| child.bytes).sum();
    Ok(board)
}

fn node(name: &str, kind: &str) -> BoardNode {
    BoardNode { name: name.to_owned(), kind: kind.to_owned(), count: 0, bytes: 0, hidden: 0, children: Vec::new() }
}

fn total(node: &mut BoardNode) {
    node.count = node.children.iter().map(|child| child.count).sum();
    node.bytes = node.children.iter().map(|child| child.bytes).sum();
}

#[derive(Deserialize)]
struct Context {
    way: Direction,
    internal: bool,
    peers: u64,
    connections: u64,
    bytes: u64,
}

/// Totals of each way inside and outside: exact, whatever is drawn of them.
async fn contexts(app: &App, target: &Target) -> Result<Vec<Context>, ApiError> {
    let Some(peers) = flow::by_peer(target) else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT way, is_private(peer) AS internal, count(*) AS peers, sum(connections) AS connections, sum(bytes_out + bytes_in) AS bytes \
         FROM ({peers}) GROUP BY 1, 2"
    );
    read(app.rows(&sql, target.params_for(), 6).await?, "flow")
}

fn progression(ways: &[Way], peers: &[Peer], contexts: &[Context]) -> Vec<BoardNode> {
    ways.iter()
        .map(|way| {
            let name = match way.way {
                Direction::In => "Inbound only",
                Direction::Out => "Outbound only",
                Direction::TwoWay => "Two way",
            };
            let mut parent = node(name, "way");
            parent.count = way.connections;
            parent.bytes = way.bytes_in + way.bytes_out;
            for context in contexts.iter().filter(|context| context.way == way.way) {
                let mut child = node(if context.internal { "Inside" } else { "Outside" }, "context");
                child.count = context.connections;
                child.bytes = context.bytes;
                child.children = peers
                    .iter()
                    .filter(|peer| peer.way == way.way && peer.internal == context.internal)
                    .map(|peer| BoardNode {
                        count: peer.connections,
                        bytes: peer.bytes_in + peer.bytes_out,
                        ..node(&peer.peer, "address")
                    })
                    .collect();
                child.hidden = context.peers.saturating_sub(child.children.len() as u64);
                parent.children.push(child);
            }
            parent.children.sort_by_key(|child| std::cmp::Reverse(child.bytes));
            parent
        })
        .collect()
}

#[derive(Deserialize)]
struct Seen {
    name: String,
    moment: i64,
    count: u64,
    most: Option<String>,
}

fn moments(span: Span) -> Buckets {
    let seconds = (span.to.0 - span.from.0) / 1_000_000;
    let step = u32::try_from((seconds / MOMENTS).max(1)).unwrap_or(u32::MAX);
    let start = span.from.0.div_euclid(1_000_000);
    Buckets { start, step, count: usize::try_from(MOMENTS + 2).unwrap_or(0) }
}

/// When each of the leading peers was seen, with the service most used at each moment.
async fn drops_of_peers(app: &App, target: &Target, leaders: &[(String, Direction)]) -> Result<Vec<Drop>, ApiError> {
    let (Some(src), Some(dst)) = (target.is_subject("src_ip"), target.is_subject("dst_ip")) else {
        return Ok(Vec::new());
    };
    if leaders.is_empty() {
        return Ok(Vec::new());
    }
    let mut params = target.params_for();
    let mut places = Vec::new();
    for (peer, _) in leaders {
        params.push(peer.as_str().into());
        places.push(format!("${}", params.len()));
    }
    let places = places.join(", ");
    let buckets = moments(target.span);
    let bucket = buckets.sql("first_seen");
    let service = "concat(lower(proto_name(proto)), '/', CAST(dst_port AS VARCHAR))";
    let sql = format!(
        "SELECT name, moment, sum(n) AS count, first_value(service ORDER BY n DESC, service) AS most FROM \
         (SELECT name, moment, service, count(*) AS n FROM \
          (SELECT CASE WHEN {src} THEN dst_ip ELSE src_ip END AS name, {bucket} AS moment, {service} AS service FROM flow \
           WHERE first_seen >= $1 AND first_seen < $2 AND (({src} AND dst_ip IN ({places})) OR ({dst} AND src_ip IN ({places})))) \
          GROUP BY name, moment, service) GROUP BY name, moment ORDER BY name, moment"
    );
    let most = leaders.len() as u64 * buckets.count as u64;
    let rows = read::<Seen>(app.rows(&sql, params, most).await?, "flow")?;
    let ways: HashMap<&str, Direction> = leaders.iter().map(|(peer, way)| (peer.as_str(), *way)).collect();
    let mut drops = gather(rows, buckets, |name| ways.get(name).copied().unwrap_or(Direction::Out));
    let order: HashMap<&str, usize> = leaders.iter().enumerate().map(|(at, (peer, _))| (peer.as_str(), at)).collect();
    drops.sort_by_key(|drop| order.get(drop.name.as_str()).copied().unwrap_or(usize::MAX));
    Ok(drops)
}

/// When each client asked for a name or URI, with the most common outcome.
async fn drops_of_clients(app: &App, target: &Target) -> Result<Vec<Drop>, ApiError> {
    let buckets = moments(target.span);
    let bucket = buckets.sql("first_seen");
    let mut parts = Vec::new();
    if let Some(condition) = target.condition(Source::Dns) {
        parts.push(format!(
            "SELECT client_ip AS name, {bucket} AS moment, coalesce(concat('rcode ', CAST(rcode AS VARCHAR)), 'no answer') AS outcome \
             FROM dns WHERE first_seen >= $1 AND first_seen < $2 AND {condition}"
        ));
    }
    if let Some(condition) = target.condition(Source::Proxy) {
        parts.push(format!(
            "SELECT client_ip AS name, {bucket} AS moment, coalesce(CAST(status AS VARCHAR), method) AS outcome FROM proxy WHERE first_seen >= $1 AND first_seen < $2 AND {condition}"
        ));
    }
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT name, moment, sum(n) AS count, first_value(outcome ORDER BY n DESC, outcome) AS most FROM \
         (SELECT name, moment, outcome, count(*) AS n FROM ({}) GROUP BY name, moment, outcome) GROUP BY name, moment ORDER BY name, moment",
        parts.join(" UNION ALL ")
    );
    // Clients beyond the leaders are cut below; the bound is for memory.
    let rows = read::<Seen>(app.rows(&sql, target.params_for(), 200_000).await?, "dns")?;
    let mut drops = gather(rows, buckets, |_| Direction::In);
    drops.sort_by_key(|drop| std::cmp::Reverse(drop.counts.iter().sum::<u64>()));
    drops.truncate(DROPS);
    Ok(drops)
}

fn gather(rows: Vec<Seen>, buckets: Buckets, way: impl Fn(&str) -> Direction) -> Vec<Drop> {
    let mut by_name: BTreeMap<String, (Drop, BTreeMap<String, u64>)> = BTreeMap::new();
    for row in rows {
        let (drop, most) = by_name.entry(row.name.clone()).or_insert_with(|| {
            let way = way(&row.name);
            (
                Drop { name: row.name.clone(), way, most: String::new(), times: Vec::new(), counts: Vec::new() },
                BTreeMap::new(),
            )
        });
        drop.times.push(buckets.start + row.moment * i64::from(buckets.step));
        drop.counts.push(row.count);
        if let Some(text) = row.most {
            *most.entry(text).or_default() += row.count;
        }
    }
    by_name
        .into_values()
        .map(|(mut drop, most)| {
            drop.most = most.into_iter().max_by_key(|(_, count)| *count).map(|(text, _)| text).unwrap_or_default();
            drop
        })
        .collect()
}

/// Apache Spot's incident progression of a URI.
async fn requests(app: &App, target: &Target, top: u32) -> Result<Vec<BoardRequest>, ApiError> {
    let sql = format!(
        "SELECT client_ip, referer, method, content_type, count(*) AS count FROM proxy WHERE first_seen >= $1 AND first_seen < $2 \
         AND full_uri = $3 GROUP BY client_ip, referer, method, content_type ORDER BY count DESC, client_ip, referer LIMIT {top}"
    );
    read(app.rows(&sql, target.params_for(), u64::from(top)).await?, "proxy")
}

#[derive(Deserialize)]
struct Referred {
    full_uri: String,
}

async fn referred(app: &App, target: &Target, top: u32) -> Result<Vec<String>, ApiError> {
    let sql = format!(
        "SELECT full_uri, count(*) AS n FROM proxy WHERE first_seen >= $1 AND first_seen < $2 AND referer = $3 \
         GROUP BY full_uri ORDER BY n DESC, full_uri LIMIT {top}"
    );
    let rows = app.rows(&sql, target.params_for(), u64::from(top)).await?;
    Ok(read::<Referred>(rows, "proxy")?.into_iter().map(|row| row.full_uri).collect())
}
