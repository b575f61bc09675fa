//! Top lists of a subject: what a person would count first.

use serde::Deserialize;

use super::subject::{Subject, Target};
use crate::api::rows::read;
use crate::api::types::{Facet, FacetRow, Source, SourceTotal};
use crate::app::App;
use crate::problem::ApiError;

/// One top list.
struct Plan {
    key: &'static str,
    title: &'static str,
    source: Source,
    value_kind: &'static str,
    /// SQL of the value; rows where it is null or empty are left out.
    value: String,
    /// SQL of the detail, an aggregate; empty for none.
    detail: &'static str,
    /// Condition beside the span.
    condition: String,
    /// Does the source count bytes?
    bytes: &'static str,
}

const FLOW_BYTES: &str = "sum(src_bytes + coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED)))";
const PROXY_BYTES: &str =
    "sum(coalesce(request_bytes, CAST(0 AS BIGINT UNSIGNED)) + coalesce(response_bytes, CAST(0 AS BIGINT UNSIGNED)))";
const NO_BYTES: &str = "CAST(NULL AS BIGINT UNSIGNED)";

#[derive(Deserialize)]
struct Total {
    records: u64,
    first_seen: Option<String>,
    last_seen: Option<String>,
}

/// Records of each source.
pub(super) async fn totals(app: &App, target: &Target) -> Result<Vec<SourceTotal>, ApiError> {
    let mut totals = Vec::new();
    for source in Source::ALL {
        let mut total = Total { records: 0, first_seen: None, last_seen: None };
        if let Some(condition) = target.condition(source) {
            let sql = format!(
                "SELECT count(*) AS records, min(first_seen) AS first_seen, max(last_seen) AS last_seen FROM {} \
                 WHERE first_seen >= $1 AND first_seen < $2 AND {condition}",
                source.as_str()
            );
            if let Some(found) = read(app.rows(&sql, target.params_for(), 1).await?, source.as_str())?.pop() {
                total = found;
            }
        }
        let Total { records, first_seen, last_seen } = total;
        totals.push(SourceTotal { source, records, first_seen, last_seen });
    }
    Ok(totals)
}

/// The top lists that have rows.
pub(super) async fn all(app: &App, target: &Target, totals: &[SourceTotal], top: u32) -> Result<Vec<Facet>, ApiError> {
    let mut facets = Vec::new();
    for plan in plans(target) {
        let empty = totals.iter().any(|total| total.source == plan.source && total.records == 0);
        // Names that resolve to an address stand in answers to others.
        if empty && plan.key != "resolved_names" {
            continue;
        }
        let facet = run(app, target, plan, top).await?;
        if !facet.rows.is_empty() {
            facets.push(facet);
        }
    }
    Ok(facets)
}

async fn run(app: &App, target: &Target, plan: Plan, top: u32) -> Result<Facet, ApiError> {
    let ask = u64::from(top) + 1;
    let Plan { key, title, source, value_kind, value, detail, condition, bytes } = plan;
    let detail = if detail.is_empty() { "CAST(NULL AS VARCHAR)" } else { detail };
    let sql = format!(
        "SELECT value, {detail} AS detail, count(*) AS count, {bytes} AS bytes, min(first_seen) AS first_seen, max(last_seen) AS last_seen \
         FROM (SELECT *, {value} AS value FROM {} WHERE first_seen >= $1 AND first_seen < $2 AND {condition}) \
         WHERE value IS NOT NULL AND value <> '' GROUP BY value ORDER BY count DESC, value LIMIT {ask}",
        source.as_str()
    );
    let mut rows: Vec<FacetRow> = read(app.rows(&sql, target.params_for(), ask).await?, source.as_str())?;
    let more = rows.len() as u64 == ask;
    rows.truncate(top as usize);
    Ok(Facet { key: key.to_owned(), title: title.to_owned(), source, value_kind: value_kind.to_owned(), more, rows })
}

fn plans(target: &Target) -> Vec<Plan> {
    let mut plans = Vec::new();
    let mut add = |key, title, source, value_kind, value: &str, detail, condition: Option<String>| {
        let bytes = match source {
            Source::Flow => FLOW_BYTES,
            Source::Dns => NO_BYTES,
            Source::Proxy => PROXY_BYTES,
        };
        if let Some(condition) = condition {
            plans.push(Plan { key, title, source, value_kind, value: value.to_owned(), detail, condition, bytes });
        }
    };
    let is = |column: &str| target.is_subject(column);
    let whole = |source| target.condition(source);
    let (flow, dns, proxy) = (Source::Flow, Source::Dns, Source::Proxy);
    // Ports in the form of the service page: tcp/443.
    let service = "concat(lower(proto_name(proto)), '/', CAST(dst_port AS VARCHAR))";
    let recognised = "max(service)";
    match &target.subject {
        Subject::Address(_) | Subject::Network(..) => {
            add("services_used", "Services it uses", flow, "service", service, recognised, is("src_ip"));
            add("services_offered", "Services it offers", flow, "service", service, recognised, is("dst_ip"));
            add("conn_states", "Ends of connections", flow, "text", "conn_state", "", whole(flow));
            let resolved = match &target.subject {
                Subject::Address(_) => {
                    Some("strpos(concat('|', dns_addresses(answers), '|'), concat('|', $3, '|')) > 0".to_owned())
                }
                _ => None,
            };
            add("resolved_names", "Names that resolved to it", dns, "name", "qname", "", resolved);
            add("dns_names", "Names it asked for", dns, "name", "qname", RCODES, is("client_ip"));
            add("dns_clients", "Clients it answered", dns, "address", "client_ip", "", is("server_ip"));
            add("hosts", "Hosts it asked", proxy, "name", "host", "max(method)", is("client_ip"));
            add("hosts_served", "Hosts it served", proxy, "name", "host", "max(method)", is("server_ip"));
            add("user_agents", "User agents", proxy, "text", "user_agent", "", is("client_ip"));
            add("ja4", "TLS fingerprints (JA4)", proxy, "text", "ja4", "max(tls_sni)", is("client_ip"));
            add("users", "Users", proxy, "text", "username", "", is("client_ip"));
            add("macs", "MAC addresses", flow, "text", "src_mac", "", is("src_ip"));
        }
        Subject::Name(_) => {
            add("dns_clients", "Clients that asked", dns, "address", "client_ip", RCODES, whole(dns));
            add("dns_names", "Names at and below it", dns, "name", "qname", RCODES, whole(dns));
            add("dns_addresses", "Answers", dns, "text", "dns_addresses(answers)", "", whole(dns));
            add(
                "http_clients",
                "Clients that sent requests",
                proxy,
                "address",
                "client_ip",
                "max(method)",
                whole(proxy),
            );
            add("uris", "URIs", proxy, "uri", "full_uri", "max(method)", whole(proxy));
            add("user_agents", "User agents", proxy, "text", "user_agent", "", whole(proxy));
            add("ja4", "TLS fingerprints (JA4)", proxy, "text", "ja4", "max(tls_sni)", whole(proxy));
            add("services", "Services at its addresses", flow, "service", service, recognised, is("dst_ip"));
        }
        Subject::Uri(_) => {
            add("http_clients", "Clients", proxy, "address", "client_ip", "max(method)", whole(proxy));
            add("referers", "Where they came from", proxy, "uri", "referer", "", Some("full_uri = $3".to_owned()));
            add("referred", "What it referred to", proxy, "uri", "full_uri", "", Some("referer = $3".to_owned()));
            add("methods", "Methods", proxy, "text", "method", "", whole(proxy));
            add("statuses", "Response codes", proxy, "text", "CAST(status AS VARCHAR)", "", whole(proxy));
            add("content_types", "Content types", proxy, "text", "content_type", "", whole(proxy));
            add("user_agents", "User agents", proxy, "text", "user_agent", "", whole(proxy));
        }
        Subject::Community(_) => {
            add("services", "Services", flow, "service", service, recognised, whole(flow));
            add("dns_names", "Names", dns, "name", "qname", RCODES, whole(dns));
            add("hosts", "Hosts", proxy, "name", "host", "max(method)", whole(proxy));
        }
    }
    plans
}

/// How many of the questions failed, in words.
const RCODES: &str = "CASE WHEN count(*) FILTER (WHERE rcode = 3) > 0 THEN concat(CAST(count(*) FILTER (WHERE rcode = 3) AS VARCHAR), ' NXDOMAIN') END";
