//! Exports of exactly what is shown: one route for every table.
//!
//! The query is the table's own, without its page; the rows stream as they are read, and a client that goes away ends the
//! query. A failure after the first byte breaks the answer off, so that no half file looks whole.

use std::collections::HashMap;
use std::io;

use aggregator::record::RecordId;
use aggregator::state::verdicts::Subject as VerdictSubject;
use analytics::output::export::{About, ExportFormat, Exporter, MAX_OBJECT_ROWS, sigma};
use analytics::sql::{Answer, Param};
use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Path, State};
use axum::response::Response;

use super::filter::of_records;
use super::investigate::{Order, Span, Subject, Target, flagged};
use super::params::{Params, parse_source};
use super::rows::{moment, parse_day, record_text};
use super::stories::{file, from_channel};
use super::types::{ExportQuery, Problem, Source};
use super::{details, list};
use crate::app::{App, Shared};
use crate::door::{Caller, Work, asked};
use crate::problem::ApiError;

/// Rows of one export. More is an error that says so, before the first byte where it can be known, else by breaking off.
const MAX_ROWS: u64 = 10_000_000;

/// What is exported: a table of records and the condition on it.
struct Selection {
    source: Source,
    /// Everything after SELECT's columns.
    from: String,
    params: Vec<Param>,
    /// Is it of the scores?
    scored: bool,
    title: String,
    /// The same as tests of a rule.
    tests: Vec<Vec<sigma::Test>>,
}

/// A table as a file.
#[utoipa::path(get, path = "/api/v1/export/{view}/{source}",
    params(("view" = String, Path, description = "`suspicious`: the list (date, filter, sort, groups, group); `records`: raw records of a subject \
        (subject, from, to, flagged, filter, order); `details`: the raw records around one (time, src and dst, or name, or uri and client)"),
        ("source" = Source, Path, description = "Which records"), ExportQuery),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 400, body = Problem),
    (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn export(
    State(app): State<Shared>,
    caller: Caller,
    OriginalUri(uri): OriginalUri,
    Path((view, source)): Path<(String, String)>,
    Params(query): Params<ExportQuery>,
) -> Result<Response, ApiError> {
    let source = parse_source(&source)?;
    let selection = match view.as_str() {
        "suspicious" => suspicious(&app, source, &query).await?,
        "records" => records(&app, source, &query).await?,
        "details" => around(source, &query)?,
        other => return Err(ApiError::Missing(format!("table {other:?}: there are suspicious, records and details"))),
    };
    let name = format!("spotter-{view}-{}", source.as_str());
    if query.format == "sigma" {
        let rule = rule(&selection)?;
        // Made of the filter: it has no row.
        Work::begin(&app, &caller, "export", &asked(&uri)).await?.done().await;
        return Ok(file("application/yaml", &format!("{name}.yml"), Body::from(sigma::write(&rule))));
    }
    let format: ExportFormat = query.format.parse().map_err(ApiError::Bad)?;
    let work = Work::begin(&app, &caller, "export", &asked(&uri)).await?;
    match begin(&app, selection, format).await {
        Ok(begun) => Ok(stream(begun, work, &name)),
        Err(error) => {
            work.failed(&error.to_string()).await;
            Err(error)
        }
    }
}

/// An export whose first bytes are there.
struct Begun {
    answer: Answer,
    exporter: Exporter,
    format: ExportFormat,
    /// Rows that it may have.
    most: u64,
    first: Vec<u8>,
    /// There may be more batches.
    goes_on: bool,
}

/// Runs the query as far as its first batch: most failures are known by then, and can still be told.
async fn begin(app: &Shared, selection: Selection, format: ExportFormat) -> Result<Begun, ApiError> {
    let Selection { source, from, params, scored, title, .. } = selection;
    let columns = match format {
        ExportFormat::Csv => spot_columns(source, scored),
        _ => "*",
    };
    let most = if matches!(format, ExportFormat::Stix | ExportFormat::Misp) { MAX_OBJECT_ROWS } else { MAX_ROWS };
    // One more, to know that there was more.
    let sql = format!("SELECT {columns} {from} LIMIT {}", most + 1);
    let severities = match format {
        ExportFormat::Ecs | ExportFormat::Ocsf | ExportFormat::Odm | ExportFormat::Stix | ExportFormat::Misp => {
            severities(app, source).await?
        }
        _ => HashMap::new(),
    };
    let about = About { title, made: moment(aggregator::state::now()), severities };
    let mut answer = app.answer(&sql, params).await?;
    let mut exporter = Exporter::new(format, source.lake(), answer.schema(), about)
        .map_err(|error| ApiError::Bad(error.to_string()))?;
    let broken = |error: &dyn std::fmt::Display| ApiError::Broken(error.to_string());
    let mut first = exporter.head().map_err(|error| broken(&error))?;
    let goes_on = match answer.next().await? {
        Some(batch) => {
            first.extend(exporter.batch(&batch).map_err(|error| broken(&error))?);
            true
        }
        None => false,
    };
    Ok(Begun { answer, exporter, format, most, first, goes_on })
}

/// Sends what was begun, and the rest of it as it is read.
fn stream(begun: Begun, mut work: Work, name: &str) -> Response {
    let Begun { mut answer, mut exporter, format, most, first, goes_on } = begun;
    let (to, chunks) = tokio::sync::mpsc::channel::<io::Result<Bytes>>(4);
    tokio::spawn(async move {
        // Gives back whether all of it was written; it is not where the reader is gone, which ends the query.
        let write = async {
            let failed = |error: String| io::Error::other(error);
            work.rows(exporter.rows());
            if to.send(Ok(Bytes::from(first))).await.is_err() {
                return Ok(None);
            }
            while goes_on && let Some(batch) = answer.next().await.map_err(|error| failed(error.to_string()))? {
                let bytes = exporter.batch(&batch).map_err(|error| failed(error.to_string()))?;
                work.rows(exporter.rows());
                if exporter.rows() > most {
                    return Err(failed(format!("more than {most} rows: ask for less")));
                }
                if !bytes.is_empty() && to.send(Ok(Bytes::from(bytes))).await.is_err() {
                    return Ok(None);
                }
            }
            exporter.tail().map(Some).map_err(|error| failed(error.to_string()))
        };
        match write.await {
            // Before its last bytes: whoever has the whole file is in the log.
            Ok(Some(tail)) => {
                work.done().await;
                let _ = to.send(Ok(Bytes::from(tail))).await;
            }
            Ok(None) => drop(work),
            Err(error) => {
                tracing::warn!(%error, "an export broke off");
                work.failed(&error.to_string()).await;
                // Nobody to tell if the reader is gone.
                let _ = to.send(Err(error)).await;
            }
        }
    });
    let body = Body::from_stream(from_channel(chunks));
    file(format.media_type(), &format!("{name}.{}", format.extension()), body)
}

/// The list of suspicious records, as [`list`] shows it.
async fn suspicious(app: &App, source: Source, query: &ExportQuery) -> Result<Selection, ApiError> {
    let date = query.date.as_deref().map(parse_day).transpose()?;
    let choice = list::Choice::read(source, query.filter.as_deref(), query.group.as_deref(), query.show)?;
    let order = list::order_of(source, query.sort.as_deref())?;
    let found = app.blocking(move |lake| list::find(lake, source, date, None)).await?;
    let missing = || ApiError::Missing(format!("scored {} records on that day", source.as_str()));
    let found = found.ok_or_else(missing)?;
    let (date, run) = (found.date, found.run.ok_or_else(missing)?);
    let list::Chosen { from, params, .. } = choice.of(app, date, &run).await?;
    let from = if query.group.is_some() || query.groups.as_deref() == Some("off") {
        format!("FROM {from} ORDER BY {order}")
    } else {
        format!(
            "FROM (SELECT * EXCEPT (place) FROM (SELECT *, row_number() OVER (PARTITION BY group_id ORDER BY fused_rank, rank) AS place \
             FROM {from}) AS ranked WHERE place = 1) ORDER BY {order}"
        )
    };
    let filter = query.filter.clone().unwrap_or_default();
    let tests = Subject::parse(&filter).map(|subject| tests(source, &subject)).unwrap_or_default();
    Ok(Selection {
        source,
        from,
        params,
        scored: true,
        title: format!("Suspicious {} records of {date}", source.as_str()),
        tests,
    })
}

/// Raw records of a subject, as the timeline and the investigation show them.
async fn records(app: &App, source: Source, query: &ExportQuery) -> Result<Selection, ApiError> {
    let need = |name: &str, value: &Option<String>| {
        value.clone().ok_or_else(|| ApiError::Bad(format!("`{name}` is needed for this table")))
    };
    let subject = Subject::parse(&need("subject", &query.subject)?)?;
    let span = Span::parse(&need("from", &query.from)?, &need("to", &query.to)?)?;
    let tests = tests(source, &subject);
    let target = app.in_turn(Target::find(app, subject, span)).await?;
    let mut condition = target.condition(source).unwrap_or_else(|| "false".to_owned());
    let mut params = target.params_for();
    if query.flagged.unwrap_or(false) {
        let (flagged, values) = flagged(app, source, span, target.next()).await?;
        condition = format!("{condition} AND {flagged}");
        params.extend(values);
    }
    let filter = of_records(source, query.filter.as_deref(), params.len() + 1)?;
    condition = format!("{condition} AND {}", filter.sql);
    params.extend(filter.params);
    let way = Order::parse(query.order.as_deref())?.sql();
    Ok(Selection {
        source,
        from: format!(
            "FROM {} WHERE first_seen >= $1 AND first_seen < $2 AND {condition} ORDER BY first_seen {way}, record_id {way}",
            source.as_str()
        ),
        params,
        scored: false,
        title: format!("{} records of {}", source.as_str(), target.subject.text()),
        tests,
    })
}

/// Raw records around a suspicious one, as the details show them.
fn around(source: Source, query: &ExportQuery) -> Result<Selection, ApiError> {
    let need = |name: &str, value: &Option<String>| {
        value.clone().ok_or_else(|| ApiError::Bad(format!("`{name}` is needed for this table")))
    };
    let time = need("time", &query.time)?;
    let given = match source {
        Source::Flow => vec![need("src", &query.src)?, need("dst", &query.dst)?],
        Source::Dns => vec![need("name", &query.name)?.to_lowercase()],
        Source::Proxy => vec![need("uri", &query.uri)?, need("client", &query.client)?],
    };
    let (condition, span) = details::around(source, &time)?;
    let mut params: Vec<Param> = vec![span.0.into(), span.1.into()];
    params.extend(given.iter().map(|text| Param::from(text.as_str())));
    if source == Source::Dns {
        params.extend(given.iter().map(|name| Param::from(format!(".{name}"))));
    }
    let subject = given.first().and_then(|text| Subject::parse(text).ok());
    Ok(Selection {
        source,
        from: format!(
            "FROM {} WHERE first_seen >= $1 AND first_seen < $2 AND {condition} ORDER BY first_seen, record_id",
            source.as_str()
        ),
        params,
        scored: false,
        title: format!("{} records around {time}", source.as_str()),
        tests: subject.map(|subject| tests(source, &subject)).unwrap_or_default(),
    })
}

/// Apache Spot's columns in Apache Spot's order: `flow_scores`, `dns_scores`, `proxy_scores`, and the edge tables for raw
/// records. What Spotter knows beyond them is in the other formats.
const fn spot_columns(source: Source, scored: bool) -> &'static str {
    match (source, scored) {
        (Source::Flow, true) => {
            "spot_time(first_seen) AS tstart, src_ip AS srcip, dst_ip AS dstip, src_port AS sport, dst_port AS dport, proto_name(proto) AS proto, \
             src_packets AS ipkt, src_bytes AS ibyt, dst_packets AS opkt, dst_bytes AS obyt, score AS ml_score, rank - 1 AS rank, \
             CASE WHEN src_internal THEN 1 WHEN NOT src_internal THEN 0 END AS srcip_internal, \
             CASE WHEN dst_internal THEN 1 WHEN NOT dst_internal THEN 0 END AS dstip_internal, src_geo AS src_geoloc, dst_geo AS dst_geoloc, \
             src_name AS src_domain, dst_name AS dst_domain, reputation AS src_rep, reputation AS dst_rep"
        }
        (Source::Flow, false) => {
            "spot_time(first_seen) AS tstart, src_ip AS srcip, dst_ip AS dstip, src_port AS sport, dst_port AS dport, proto_name(proto) AS proto, \
             tcp_flags(coalesce(src_tcp_flags, CAST(0 AS TINYINT UNSIGNED))) AS flags, src_tos AS tos, src_bytes AS ibyt, src_packets AS ipkt, \
             input_if AS input, output_if AS output, exporter_ip AS rip, dst_bytes AS obyt, dst_packets AS opkt, \
             CAST(date_part('hour', first_seen) AS INT) AS hh, CAST(date_part('minute', first_seen) AS INT) AS mn"
        }
        (Source::Dns, true) => {
            "to_char(first_seen, '%b %e %Y %H:%M:%S.%6f000 UTC') AS frame_time, unix_seconds(first_seen) AS unix_tstamp, \
             response_frame_len AS frame_len, client_ip AS ip_dst, qname_wire AS dns_qry_name, concat('0x', lpad(to_hex(qclass), 8, '0')) AS dns_qry_class, \
             qtype AS dns_qry_type, rcode AS dns_qry_rcode, score AS ml_score, reputation AS query_rep, \
             CAST(date_part('hour', first_seen) AS INT) AS hh, network_context"
        }
        (Source::Dns, false) => {
            "to_char(last_seen, '%b %e %Y %H:%M:%S.%6f000 UTC') AS frame_time, unix_seconds(last_seen) AS unix_tstamp, response_frame_len AS frame_len, \
             client_ip AS ip_dst, server_ip AS ip_src, qname_wire AS dns_qry_name, concat('0x', lpad(to_hex(qclass), 8, '0')) AS dns_qry_class, \
             qtype AS dns_qry_type, rcode AS dns_qry_rcode, dns_addresses(answers) AS dns_a, CAST(date_part('hour', last_seen) AS INT) AS hh"
        }
        (Source::Proxy, true) => {
            "to_char(first_seen, '%Y-%m-%d') AS tdate, to_char(first_seen, '%H:%M:%S') AS time, client_ip AS clientip, host, method AS reqmethod, \
             user_agent AS useragent, content_type AS resconttype, category AS webcat, referer, status AS respcode, \
             server_ip AS serverip, response_bytes AS scbytes, request_bytes AS csbytes, full_uri AS fulluri, word, score AS ml_score, \
             reputation AS uri_rep, network_context"
        }
        (Source::Proxy, false) => {
            "to_char(first_seen, '%Y-%m-%d') AS tdate, to_char(first_seen, '%H:%M:%S') AS time, client_ip AS clientip, host, category AS webcat, \
             status AS respcode, method AS reqmethod, user_agent AS useragent, content_type AS resconttype, referer, server_port AS uriport, \
             server_ip AS serverip, response_bytes AS scbytes, request_bytes AS csbytes, full_uri AS fulluri, \
             CAST(date_part('hour', first_seen) AS INT) AS hh"
        }
    }
}

/// The verdicts in force on single records.
async fn severities(app: &App, source: Source) -> Result<HashMap<String, u8>, ApiError> {
    let all = app.blocking(move |lake| Ok(lake.state().verdicts(source.lake(), aggregator::state::now())?)).await?;
    let of_record = |subject| match subject {
        VerdictSubject::Record(id) => Some(id),
        _ => None,
    };
    Ok(all
        .into_iter()
        .filter_map(|verdict| {
            let id: RecordId = of_record(verdict.verdict.subject)?;
            Some((record_text(id), verdict.verdict.severity as u8))
        })
        .collect())
}

/// What a rule of Zeek's log tests for a subject.
fn tests(source: Source, subject: &Subject) -> Vec<Vec<sigma::Test>> {
    use sigma::Match;
    let of =
        |field: &str, how, value: &str| vec![sigma::Test { field: field.to_owned(), how, value: value.to_owned() }];
    let ends = |how, value: &str| vec![of("id.orig_h", how, value), of("id.resp_h", how, value)];
    let below =
        |field: &str, name: &str| vec![of(field, Match::Is, name), of(field, Match::EndsWith, &format!(".{name}"))];
    match (subject, source) {
        (Subject::Address(ip), _) => ends(Match::Is, &ip.to_string()),
        (Subject::Network(ip, length), _) => ends(Match::Cidr, &format!("{ip}/{length}")),
        (Subject::Community(id), _) => of("community_id", Match::Is, id).into_iter().map(|test| vec![test]).collect(),
        (Subject::Name(name), Source::Dns) => below("query", name),
        (Subject::Name(name), Source::Proxy) => below("host", name),
        (Subject::Uri(uri), Source::Proxy) => {
            let rest = uri.split_once("://").map_or(uri.as_str(), |(_, rest)| rest);
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let mut all = of("host", Match::Is, host);
            all.extend(of("uri", Match::Is, if path.is_empty() { "/" } else { path }));
            vec![all]
        }
        _ => Vec::new(),
    }
}

fn rule(selection: &Selection) -> Result<sigma::Rule, ApiError> {
    if selection.tests.is_empty() {
        return Err(ApiError::Bad(
            "a Sigma rule is made of one address, network, name or URI that this log has; filter by one".to_owned(),
        ));
    }
    Ok(sigma::Rule {
        source: selection.source.lake(),
        title: selection.title.clone(),
        description: "Made by Spotter from a filter.".to_owned(),
        date: moment(aggregator::state::now()).chars().take(10).collect(),
        any: selection.tests.clone(),
    })
}
