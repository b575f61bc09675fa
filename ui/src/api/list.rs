//! Suspicious records: the current run's rows of a day, ranked, grouped, filtered, page by page; what was rated or ruled on since is left out at once.

use std::sync::Arc;

use aggregator::lake::{self, Day, Lake, Table};
use aggregator::record::RecordId;
use analytics::feedback;
use analytics::sql::Param;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::filter::condition;
use super::params::Params;
use super::rows::{moment, parse_day, parse_limit, parse_record_id, read};
use super::types::{
    DayQuery, DnsList, DnsRow, FlowList, FlowRow, ListQuery, ListState, Problem, ProxyList, ProxyRow, Run, Said,
    Source, Standing, Switch, Why,
};
use super::words;
use crate::app::{App, Shared};
use crate::problem::ApiError;

/// Columns that every scores table has.
const COMMON: &str = "record_id, rank, fused_rank, detectors, group_id, group_size, score, surprise_bits, word_df, percentile, confidence, words, \
    deciding_side, explanation, first_seen, sensor, community_id, rules_applied, score_before, usual";

/// What every list can be sorted by.
const COMMON_SORTS: [&str; 9] = [
    "rank",
    "spot_rank",
    "surprise_bits",
    "score",
    "percentile",
    "confidence",
    "word_hosts",
    "group_size",
    "first_seen",
];

/// What the list needs to know of a source.
trait Listed: Sized {
    const SOURCE: Source;
    /// Columns beyond [`COMMON`], as SQL.
    const COLUMNS: &'static str;
    /// Columns it can be sorted by.
    const SORTS: &'static [&'static str];
    /// A row as it is read.
    type Raw: DeserializeOwned;
    fn of(raw: Self::Raw) -> Self;
    /// Identity of the record, and what is said of it.
    fn said(&mut self) -> (&str, &mut Said);
}

/// The common columns of a row as it is read.
#[derive(Deserialize)]
struct Common {
    record_id: String,
    rank: u32,
    fused_rank: u32,
    #[serde(default)]
    detectors: Option<Vec<super::types::Fired>>,
    group_id: u64,
    group_size: u32,
    score: f64,
    surprise_bits: Option<f64>,
    word_df: u64,
    percentile: f64,
    confidence: f64,
    words: String,
    deciding_side: Option<String>,
    explanation: Option<Explanation>,
    first_seen: String,
    sensor: String,
    community_id: Option<String>,
    #[serde(default)]
    rules_applied: Option<Vec<String>>,
    score_before: Option<f64>,
    #[serde(default)]
    usual: Option<Vec<super::types::Usual>>,
}

#[derive(Deserialize, Default)]
struct Explanation {
    deciding_score: Option<f64>,
    feature: Option<String>,
    value: Option<String>,
    host_share: Option<f64>,
    all_share: Option<f64>,
    nearest_common: Option<String>,
}

impl Common {
    fn standing(&self) -> Standing {
        Standing {
            rank: self.fused_rank,
            spot_rank: self.rank,
            group_id: format!("{:016x}", self.group_id),
            group_size: self.group_size,
            score: self.score,
            surprise_bits: self.surprise_bits,
            percentile: self.percentile,
            confidence: self.confidence,
            word_hosts: self.word_df,
            words: self.words.clone(),
        }
    }

    fn said(&mut self) -> Said {
        Said { moved_by: self.rules_applied.take().unwrap_or_default(), before: self.score_before, ..Said::default() }
    }

    fn why(
        &mut self,
        host: String,
        word: String,
        other_word: Option<String>,
        features: Vec<super::types::Feature>,
    ) -> Why {
        let explanation = self.explanation.take().unwrap_or_default();
        Why {
            host,
            side: self.deciding_side.take(),
            word,
            other_word,
            features,
            feature: explanation.feature,
            value: explanation.value,
            deciding_score: explanation.deciding_score,
            host_share: explanation.host_share,
            all_share: explanation.all_share,
            nearest_common: explanation.nearest_common,
            fired: self.detectors.take().unwrap_or_default(),
            usual: self.usual.take().unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RawFlow {
    #[serde(flatten)]
    common: Common,
    last_seen: String,
    src_ip: String,
    dst_ip: String,
    src_port: u16,
    dst_port: u16,
    proto: u8,
    src_packets: u64,
    src_bytes: u64,
    dst_packets: Option<u64>,
    dst_bytes: Option<u64>,
    conn_state: Option<String>,
    service: Option<String>,
    src_word: String,
    dst_word: String,
    src_internal: Option<bool>,
    dst_internal: Option<bool>,
}

impl Listed for FlowRow {
    const SOURCE: Source = Source::Flow;
    const COLUMNS: &'static str = "last_seen, src_ip, dst_ip, src_port, dst_port, proto, src_packets, src_bytes, dst_packets, \
        dst_bytes, conn_state, service, src_word, dst_word, src_internal, dst_internal";
    const SORTS: &'static [&'static str] =
        &["src_ip", "dst_ip", "src_port", "dst_port", "proto", "src_packets", "src_bytes", "dst_packets", "dst_bytes"];
    type Raw = RawFlow;

    fn said(&mut self) -> (&str, &mut Said) {
        (&self.record_id, &mut self.said)
    }

    fn of(mut raw: RawFlow) -> Self {
        let (host, word, other) = if raw.common.deciding_side.as_deref() == Some("dst") {
            (raw.dst_ip.clone(), raw.dst_word, raw.src_word)
        } else {
            (raw.src_ip.clone(), raw.src_word, raw.dst_word)
        };
        let features = words::flow(&word, raw.proto);
        Self {
            standing: raw.common.standing(),
            said: raw.common.said(),
            why: raw.common.why(host, word, Some(other), features),
            record_id: raw.common.record_id,
            first_seen: raw.common.first_seen,
            last_seen: raw.last_seen,
            sensor: raw.common.sensor,
            src_ip: raw.src_ip,
            dst_ip: raw.dst_ip,
            src_port: raw.src_port,
            dst_port: raw.dst_port,
            proto: raw.proto,
            src_packets: raw.src_packets,
            src_bytes: raw.src_bytes,
            dst_packets: raw.dst_packets,
            dst_bytes: raw.dst_bytes,
            conn_state: raw.conn_state,
            service: raw.service,
            src_internal: raw.src_internal,
            dst_internal: raw.dst_internal,
            community_id: raw.common.community_id.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RawDns {
    #[serde(flatten)]
    common: Common,
    client_ip: String,
    server_ip: String,
    transport: String,
    qname: String,
    qname_wire: String,
    qtype: u16,
    qclass: u16,
    rcode: Option<u16>,
    response_frame_len: Option<u32>,
    word: String,
}

impl Listed for DnsRow {
    const SOURCE: Source = Source::Dns;
    const COLUMNS: &'static str =
        "client_ip, server_ip, transport, qname, qname_wire, qtype, qclass, rcode, response_frame_len, word";
    const SORTS: &'static [&'static str] = &["client_ip", "qname", "qtype", "qclass", "rcode", "response_frame_len"];
    type Raw = RawDns;

    fn said(&mut self) -> (&str, &mut Said) {
        (&self.record_id, &mut self.said)
    }

    fn of(mut raw: RawDns) -> Self {
        let features = words::dns(&raw.word);
        Self {
            standing: raw.common.standing(),
            said: raw.common.said(),
            why: raw.common.why(raw.client_ip.clone(), raw.word, None, features),
            record_id: raw.common.record_id,
            first_seen: raw.common.first_seen,
            sensor: raw.common.sensor,
            client_ip: raw.client_ip,
            server_ip: raw.server_ip,
            transport: raw.transport,
            qname: raw.qname,
            qname_wire: raw.qname_wire,
            qtype: raw.qtype,
            qclass: raw.qclass,
            rcode: raw.rcode,
            response_frame_len: raw.response_frame_len,
            community_id: raw.common.community_id.unwrap_or_default(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RawProxy {
    #[serde(flatten)]
    common: Common,
    client_ip: String,
    server_ip: Option<String>,
    scheme: String,
    method: String,
    host: String,
    full_uri: String,
    user_agent: Option<String>,
    referer: Option<String>,
    content_type: Option<String>,
    category: Option<String>,
    status: Option<u16>,
    request_bytes: Option<u64>,
    response_bytes: Option<u64>,
    word: String,
}

impl Listed for ProxyRow {
    const SOURCE: Source = Source::Proxy;
    const COLUMNS: &'static str = "client_ip, server_ip, scheme, method, host, full_uri, user_agent, referer, content_type, \
        category, status, request_bytes, response_bytes, word";
    const SORTS: &'static [&'static str] =
        &["client_ip", "host", "method", "full_uri", "category", "status", "response_bytes"];
    type Raw = RawProxy;

    fn said(&mut self) -> (&str, &mut Said) {
        (&self.record_id, &mut self.said)
    }

    fn of(mut raw: RawProxy) -> Self {
        let features = words::proxy(&raw.word, &raw.method);
        Self {
            standing: raw.common.standing(),
            said: raw.common.said(),
            why: raw.common.why(raw.client_ip.clone(), raw.word, None, features),
            record_id: raw.common.record_id,
            first_seen: raw.common.first_seen,
            sensor: raw.common.sensor,
            client_ip: raw.client_ip,
            server_ip: raw.server_ip,
            scheme: raw.scheme,
            method: raw.method,
            host: raw.host,
            full_uri: raw.full_uri,
            user_agent: raw.user_agent,
            referer: raw.referer,
            content_type: raw.content_type,
            category: raw.category,
            status: raw.status,
            request_bytes: raw.request_bytes,
            response_bytes: raw.response_bytes,
        }
    }
}

/// The run that a page shows, and the records of its day.
pub(super) struct Found {
    pub(super) date: Day,
    records: u64,
    pub(super) run: Option<Run>,
}

/// The run as the API shows it. `rows`: records it keeps.
pub(super) fn run_of(run: &aggregator::state::runs::Run, rows: u64) -> Run {
    Run {
        run_id: run.run_id.clone(),
        source: run.source.into(),
        date: run.date.to_string(),
        scored_at: moment(run.created),
        rows,
        words: run.words.clone(),
        model: run.model.clone().unwrap_or_default(),
        current: run.current,
        card: serde_json::from_str(&run.card).ok(),
    }
}

/// Looks up the day and its run: the one named, else the current one.
pub(super) fn find(
    lake: &Lake,
    source: Source,
    date: Option<Day>,
    run_id: Option<&str>,
) -> Result<Option<Found>, ApiError> {
    let state = lake.state();
    let table = source.lake().table();
    let date = match date {
        Some(date) => Some(date),
        None => {
            let scored = state.runs(Some(source.lake()))?.iter().filter(|run| run.current).map(|run| run.date).max();
            match scored {
                Some(date) => Some(date),
                None => lake.parts(table, None)?.iter().map(|part| part.date).max(),
            }
        }
    };
    let Some(date) = date else { return Ok(None) };
    let run = match run_id {
        None => state.current_run(source.lake(), date)?,
        Some(id) => state.runs(Some(source.lake()))?.into_iter().find(|run| run.run_id == id && run.date == date),
    };
    let on_day = |table| -> Result<Vec<lake::Part>, ApiError> {
        let mut parts = lake.parts(table, None)?;
        parts.retain(|part| part.date == date);
        Ok(parts)
    };
    let records = on_day(table)?.iter().map(|part| part.rows).sum();
    let run = match run {
        None => None,
        Some(run) => {
            let parts = on_day(Table::Scores(source.lake()))?;
            let kept = parts.iter().filter(|part| part.run.as_deref() == Some(&run.run_id)).map(|part| part.rows).sum();
            Some(run_of(&run, kept))
        }
    };
    Ok(Some(Found { date, records, run }))
}

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

async fn page<R: Listed>(app: &App, query: ListQuery) -> Result<Page<R>, ApiError> {
    let source = R::SOURCE;
    let limit = parse_limit(query.limit)?;
    let order = order_by::<R>(query.sort.as_deref())?;
    let (run_id, offset) = parse_cursor(query.cursor.as_deref())?;
    let date = query.date.as_deref().map(parse_day).transpose()?;
    let filter = condition(source, query.filter.as_deref(), 3)?;
    let group = query.group.as_deref().map(parse_group).transpose()?;
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

    let mut params: Vec<Param> = vec![run.run_id.as_str().into(), date.to_string().into()];
    params.extend(filter.params);
    let mut wanted = format!("run_id = $1 AND date = $2 AND {}", filter.sql);
    if let Some(group) = group {
        // A number that was parsed: no text from outside.
        wanted = format!("{wanted} AND group_id = CAST('{group}' AS BIGINT UNSIGNED)");
    }
    let overlay = overlay(app, source, &run).await?;
    // Whoever opens a group wants to see all of it.
    let show = query.show.map_or(if group.is_some() { feedback::Show::All } else { feedback::Show::Open }, Into::into);
    if let Some((sql, ids)) = overlay.condition(show, params.len() + 1) {
        wanted = format!("{wanted} AND {sql}");
        params.push(ids);
    }
    let table = format!("scores_{}", source.as_str());
    let counts =
        format!("SELECT count(*) AS matching, count(DISTINCT group_id) AS group_count FROM {table} WHERE {wanted}");
    let counts: Vec<Counts> = read(app.rows(&counts, params.clone(), 1).await?, "scores")?;
    let Counts { matching, group_count: groups } = counts.into_iter().next().unwrap_or_default();

    let flat = group.is_some() || query.groups == Some(Switch::Off);
    let columns = format!("{COMMON}, {}", R::COLUMNS);
    let (from, total) = if flat {
        (format!("{table} WHERE {wanted}"), matching)
    } else {
        let places = format!(
            "SELECT *, row_number() OVER (PARTITION BY group_id ORDER BY fused_rank, rank) AS place FROM {table} WHERE {wanted}"
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
        rows: rows.into_iter().map(|raw| laid_over(R::of(raw), &overlay)).collect(),
        run: Some(run),
    })
}

/// What is said of the rows of a run.
async fn overlay(app: &App, source: Source, run: &Run) -> Result<Arc<feedback::Overlay>, ApiError> {
    let (overlays, run_id) = (Arc::clone(&app.overlays), run.run_id.clone());
    app.blocking(move |lake| overlays.of(lake, source.lake(), &run_id)).await
}

/// A row with what is said of it now.
fn laid_over<R: Listed>(mut row: R, overlay: &feedback::Overlay) -> R {
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

pub(super) fn parse_group(text: &str) -> Result<u64, ApiError> {
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
    Ok(laid_over(row, &*overlay(app, source, &run).await?))
}

macro_rules! endpoints {
    ($($(#[$doc:meta])* $list:ident $one:ident $row:ident $page:ident $path:literal;)*) => {$(
        $(#[$doc])*
        #[utoipa::path(get, path = concat!("/api/v1/suspicious/", $path), params(ListQuery), responses(
            (status = 200, body = $page), (status = 400, body = Problem), (status = 401, body = Problem)))]
        pub(super) async fn $list(State(app): State<Shared>, Params(query): Params<ListQuery>) -> Result<Json<$page>, ApiError> {
            let Page { date, state, run, records, matching, groups, left_out, rows, next_cursor } =
                app.in_turn(page::<$row>(&app, query)).await?;
            Ok(Json($page { date, state, run, records, matching, groups, left_out, rows, next_cursor }))
        }

        /// One scored record, wherever it ranks.
        #[utoipa::path(get, path = concat!("/api/v1/suspicious/", $path, "/{record_id}"),
            params(("record_id" = String, Path, description = "Identity, 32 hexadecimal digits"), DayQuery), responses(
            (status = 200, body = $row), (status = 404, body = Problem), (status = 401, body = Problem)))]
        pub(super) async fn $one(
            State(app): State<Shared>, Path(record_id): Path<String>, Params(query): Params<DayQuery>,
        ) -> Result<Json<$row>, ApiError> {
            app.in_turn(one::<$row>(&app, &record_id, &query)).await.map(Json)
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
