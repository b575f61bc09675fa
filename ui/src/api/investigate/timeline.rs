//! Every record of one subject in the order of time, page by page: flow, DNS and proxy, with scores and verdicts.
//!
//! Each source gives its next rows after the cursor; they are merged here. The cursor is the last row's time, source
//! and identity, so a page is the same however often it is asked for, and new records in between do not shift it.

use aggregator::record::{Micros, RecordId};
use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;

use super::judged::{flagged, judge};
use super::{Span, Subject, Target};
use crate::api::filter::{of_records, sources_of};
use crate::api::params::{Params, parse_source};
use crate::api::rows::{parse_limit, parse_moment, parse_record_id, read};
use crate::api::types::{Event, Problem, Source, Timeline, TimelineQuery};
use crate::app::{App, Shared};
use crate::door::Searched;
use crate::problem::ApiError;

/// Everything of an address, network, name, URI or Community ID, in the order of time.
#[utoipa::path(get, path = "/api/v1/timeline", params(TimelineQuery), responses(
    (status = 200, body = Timeline), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(in crate::api) async fn timeline(
    State(app): State<Shared>,
    Params(query): Params<TimelineQuery>,
) -> Result<(Option<Extension<Searched>>, Json<Timeline>), ApiError> {
    let subject = Subject::parse(&query.subject)?;
    let span = Span::parse(&query.from, &query.to)?;
    let limit = parse_limit(query.limit)?;
    let sources = parse_sources(query.sources.as_deref())?;
    let asked = sources_of(&sources, query.filter.as_deref())?;
    let order = Order::parse(query.order.as_deref())?;
    let cursor = query.cursor.as_deref().map(Cursor::parse).transpose()?;
    let flagged = query.flagged.unwrap_or(false);
    // Pages after the first are of a search that was told.
    let is_first = cursor.is_none();
    let work = async {
        let target = Target::find(&app, subject, span).await?;
        let filter = query.filter.as_deref();
        let page = Page { target: &target, order, cursor, flagged, filter, limit };
        page.read(&app, &asked).await
    };
    let mut page = app.in_turn(work).await?;
    page.without = sources.into_iter().filter(|source| !asked.contains(source)).collect();
    Ok((is_first.then_some(Extension(Searched(Some(page.rows.len() as u64)))), Json(page)))
}

fn parse_sources(text: Option<&str>) -> Result<Vec<Source>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Source::ALL.to_vec()) };
    text.split(',').map(|name| parse_source(name.trim())).collect()
}

/// By time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Order {
    Ascending,
    Descending,
}

impl Order {
    pub(in crate::api) fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        match text.unwrap_or("asc") {
            "asc" => Ok(Self::Ascending),
            "desc" => Ok(Self::Descending),
            other => Err(ApiError::Bad(format!("`order` must be asc or desc, not {other:?}"))),
        }
    }

    pub(in crate::api) const fn sql(self) -> &'static str {
        match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
        }
    }
}

/// The place after which a page begins.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Cursor {
    time: Micros,
    source: Source,
    record: RecordId,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let wrong = || ApiError::Bad("`cursor` must be the `next_cursor` of the last page".to_owned());
        let mut parts = text.splitn(3, '~');
        let (Some(time), Some(source), Some(record)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        Ok(Self {
            time: parse_moment("cursor", time).map_err(|_| wrong())?,
            source: parse_source(source).map_err(|_| wrong())?,
            record: RecordId(parse_record_id(record).map_err(|_| wrong())?),
        })
    }

    fn of(event: &Event) -> String {
        format!("{}~{}~{}", event.first_seen, event.source.as_str(), event.record_id)
    }
}

fn place(source: Source) -> usize {
    Source::ALL.iter().position(|known| *known == source).unwrap_or(0)
}

struct Page<'a> {
    target: &'a Target,
    order: Order,
    cursor: Option<Cursor>,
    flagged: bool,
    filter: Option<&'a str>,
    limit: u32,
}

impl Page<'_> {
    async fn read(&self, app: &App, sources: &[Source]) -> Result<Timeline, ApiError> {
        let mut rows = Vec::new();
        for source in Source::ALL.into_iter().filter(|source| sources.contains(source)) {
            rows.extend(self.of(app, source).await?);
        }
        // RFC 3339 in UTC with six digits sorts as text.
        let key = |event: &Event| (event.first_seen.clone(), place(event.source), event.record_id.clone());
        match self.order {
            Order::Ascending => rows.sort_by_cached_key(key),
            Order::Descending => rows.sort_by_cached_key(|event| std::cmp::Reverse(key(event))),
        }
        let more = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        for source in Source::ALL {
            judge(app, source, self.target.span, &mut rows).await?;
        }
        Ok(Timeline {
            subject: self.target.subject.text(),
            addresses: self.target.addresses.clone(),
            without: Vec::new(),
            next_cursor: rows.last().filter(|_| more).map(Cursor::of),
            rows,
        })
    }

    async fn of(&self, app: &App, source: Source) -> Result<Vec<Event>, ApiError> {
        let Some(condition) = self.target.condition(source) else { return Ok(Vec::new()) };
        let mut params = self.target.params_for();
        let mut free = self.target.next();
        let mut conditions = vec!["first_seen >= $1".to_owned(), "first_seen < $2".to_owned(), condition];
        if let Some(cursor) = &self.cursor {
            let (past, from) = match self.order {
                Order::Ascending => (">", ">="),
                Order::Descending => ("<", "<="),
            };
            let is_later = match self.order {
                Order::Ascending => place(source) > place(cursor.source),
                Order::Descending => place(source) < place(cursor.source),
            };
            let at = format!("${free}");
            params.push(cursor.time.into());
            free += 1;
            if source == cursor.source {
                conditions.push(format!("first_seen {from} {at}"));
                conditions.push(format!("(first_seen <> {at} OR record_id {past} ${free})"));
                params.push(cursor.record.into());
                free += 1;
            } else {
                conditions.push(format!("first_seen {} {at}", if is_later { from } else { past }));
            }
        }
        if self.flagged {
            let (flagged, values) = flagged(app, source, self.target.span, free).await?;
            conditions.push(flagged);
            params.extend(values);
        }
        let filter = of_records(source, self.filter, params.len() + 1)?;
        conditions.push(filter.sql);
        params.extend(filter.params);
        let ask = u64::from(self.limit) + 1;
        let way = self.order.sql();
        let sql = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY first_seen {way}, record_id {way} LIMIT {ask}",
            columns(source),
            source.as_str(),
            conditions.join(" AND ")
        );
        let rows = app.rows(&sql, params, ask).await?;
        Ok(match source {
            Source::Flow => read::<FlowRow>(rows, "flow")?.into_iter().map(FlowRow::event).collect(),
            Source::Dns => read::<DnsRow>(rows, "dns")?.into_iter().map(DnsRow::event).collect(),
            Source::Proxy => read::<ProxyRow>(rows, "proxy")?.into_iter().map(ProxyRow::event).collect(),
        })
    }
}

const fn columns(source: Source) -> &'static str {
    match source {
        Source::Flow => {
            "record_id, first_seen, last_seen, sensor, src_ip, src_port, dst_ip, dst_port, lower(proto_name(proto)) AS transport, \
             service, conn_state, src_bytes, dst_bytes, history, tunnel, community_id"
        }
        Source::Dns => {
            "record_id, first_seen, last_seen, sensor, client_ip, client_port, server_ip, server_port, transport, qname_wire, qtype, \
             rcode, query_len, response_len, answers, damage, community_id"
        }
        Source::Proxy => {
            "record_id, first_seen, last_seen, sensor, client_ip, client_port, server_ip, server_port, scheme, method, full_uri, \
             status, request_bytes, response_bytes, user_agent, ja4, community_id"
        }
    }
}

#[derive(Deserialize)]
struct FlowRow {
    record_id: String,
    first_seen: String,
    last_seen: String,
    sensor: String,
    src_ip: String,
    src_port: u16,
    dst_ip: String,
    dst_port: u16,
    transport: String,
    service: Option<String>,
    conn_state: Option<String>,
    src_bytes: u64,
    dst_bytes: Option<u64>,
    history: Option<String>,
    tunnel: Option<String>,
    community_id: Option<String>,
}

impl FlowRow {
    fn event(self) -> Event {
        let detail = match (self.history, self.tunnel) {
            (history, Some(tunnel)) => Some(format!("{} in {tunnel}", history.unwrap_or_default())),
            (history, None) => history,
        };
        Event {
            what: self.service.unwrap_or_else(|| format!("{}/{}", self.transport, self.dst_port)),
            source: Source::Flow,
            record_id: self.record_id,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            sensor: self.sensor,
            src_ip: self.src_ip,
            src_port: Some(self.src_port),
            dst_ip: Some(self.dst_ip),
            dst_port: Some(self.dst_port),
            transport: self.transport,
            outcome: self.conn_state,
            bytes_out: Some(self.src_bytes),
            bytes_in: self.dst_bytes,
            detail,
            community_id: self.community_id,
            rank: None,
            percentile: None,
            detectors: Vec::new(),
            severity: None,
            severity_by: None,
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    data: String,
}

#[derive(Deserialize)]
struct DnsRow {
    record_id: String,
    first_seen: String,
    last_seen: String,
    sensor: String,
    client_ip: String,
    client_port: u16,
    server_ip: String,
    server_port: u16,
    transport: String,
    qname_wire: String,
    qtype: u16,
    rcode: Option<u16>,
    query_len: Option<u16>,
    response_len: Option<u16>,
    #[serde(default)]
    answers: Option<Vec<Answer>>,
    damage: Option<String>,
    community_id: Option<String>,
}

impl DnsRow {
    fn event(self) -> Event {
        let mut detail: Vec<String> = vec![qtype(self.qtype)];
        detail.extend(self.answers.unwrap_or_default().into_iter().map(|answer| answer.data));
        detail.extend(self.damage.map(|damage| format!("damaged: {damage}")));
        Event {
            source: Source::Dns,
            record_id: self.record_id,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            sensor: self.sensor,
            src_ip: self.client_ip,
            src_port: Some(self.client_port),
            dst_ip: Some(self.server_ip),
            dst_port: Some(self.server_port),
            transport: self.transport,
            what: self.qname_wire,
            outcome: Some(self.rcode.map_or_else(|| "no answer".to_owned(), rcode)),
            bytes_out: self.query_len.map(u64::from),
            bytes_in: self.response_len.map(u64::from),
            detail: Some(detail.join(" ")),
            community_id: self.community_id,
            rank: None,
            percentile: None,
            detectors: Vec::new(),
            severity: None,
            severity_by: None,
        }
    }
}

#[derive(Deserialize)]
struct ProxyRow {
    record_id: String,
    first_seen: String,
    last_seen: String,
    sensor: String,
    client_ip: String,
    client_port: Option<u16>,
    server_ip: Option<String>,
    server_port: Option<u16>,
    scheme: String,
    method: String,
    full_uri: String,
    status: Option<u16>,
    request_bytes: Option<u64>,
    response_bytes: Option<u64>,
    user_agent: Option<String>,
    ja4: Option<String>,
    community_id: Option<String>,
}

impl ProxyRow {
    fn event(self) -> Event {
        Event {
            source: Source::Proxy,
            record_id: self.record_id,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            sensor: self.sensor,
            src_ip: self.client_ip,
            src_port: self.client_port,
            dst_ip: self.server_ip,
            dst_port: self.server_port,
            transport: self.scheme,
            what: format!("{} {}", self.method, self.full_uri),
            outcome: self.status.map(|status| status.to_string()),
            bytes_out: self.request_bytes,
            bytes_in: self.response_bytes,
            detail: self.user_agent.or(self.ja4),
            community_id: self.community_id,
            rank: None,
            percentile: None,
            detectors: Vec::new(),
            severity: None,
            severity_by: None,
        }
    }
}

/// Names of the query types that an analyst meets (IANA).
fn qtype(number: u16) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        43 => "DS",
        46 => "RRSIG",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        252 => "AXFR",
        255 => "ANY",
        other => return format!("TYPE{other}"),
    };
    name.to_owned()
}

/// Names of the response codes (IANA).
fn rcode(number: u16) -> String {
    let name = match number {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        9 => "NOTAUTH",
        other => return format!("RCODE{other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::rows::record_text;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_refused() {
        let text = format!("2016-07-09T01:12:00.000001Z~dns~{}", record_text(RecordId([7; 16])));
        let cursor = Cursor::parse(&text).unwrap();
        assert_eq!(
            (cursor.time, cursor.source, cursor.record),
            (Micros(1_468_026_720_000_001), Source::Dns, RecordId([7; 16]))
        );
        for bad in
            ["", "x", "2016-07-08T00:00:00Z~dns", "2016-07-08T00:00:00Z~smtp~00", "~~", "2016-07-08T00:00:00Z~dns~xyz"]
        {
            assert!(Cursor::parse(bad).is_err(), "{bad}");
        }
    }
}
