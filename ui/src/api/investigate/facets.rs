//! Top lists of a subject: what a person would count first.

use analytics::sql::Param;
use serde::Deserialize;

use super::subject::{Subject, Target};
use crate::api::leases;
use crate::api::rows::{moment, read};
use crate::api::types::{Facet, FacetRow, Source, SourceTotal};
use crate::app::App;
use crate::problem::ApiError;

/// What stands beside a value.
#[derive(Clone, Copy)]
pub(super) enum Detail {
    None,
    /// The protocol recognised, the questions that failed, the method.
    First,
    /// Of requests: the server's name in TLS.
    Other,
}

/// The list that is asked for by a condition of its own.
const RESOLVED: &str = "resolved_names";

/// One top list.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) source: Source,
    pub(super) value_kind: &'static str,
    /// SQL of the value; rows where it is null or empty are left out.
    pub(super) value: String,
    pub(super) detail: Detail,
    /// Condition beside the span.
    pub(super) condition: String,
}

const FLOW_BYTES: &str = "sum(src_bytes + coalesce(dst_bytes, CAST(0 AS BIGINT UNSIGNED)))";
const PROXY_BYTES: &str =
    "sum(coalesce(request_bytes, CAST(0 AS BIGINT UNSIGNED)) + coalesce(response_bytes, CAST(0 AS BIGINT UNSIGNED)))";
const NO_BYTES: &str = "CAST(NULL AS BIGINT UNSIGNED)";
const NO_TEXT: &str = "CAST(NULL AS VARCHAR)";

/// The records of each source, and the top lists that have rows: one scan of each source.
pub(super) async fn of(app: &App, target: &Target, top: u32) -> Result<(Vec<SourceTotal>, Vec<Facet>), ApiError> {
    let plans = plans(target);
    let order: Vec<&'static str> = plans.iter().map(|plan| plan.key).collect();
    // Names that resolve to an address stand in answers to others: a condition of its own, so a scan of its own.
    let (own, shared): (Vec<Plan>, Vec<Plan>) = plans.into_iter().partition(|plan| plan.key == RESOLVED);
    let (mut totals, mut facets) = (Vec::new(), Vec::new());
    for plan in own {
        let condition = plan.condition.clone();
        facets.extend(run(app, target.params_for(), plan.source, &condition, vec![plan], top).await?.1);
    }
    for source in Source::ALL {
        let mine: Vec<Plan> = shared.iter().filter(|plan| plan.source == source).cloned().collect();
        let (total, found) = match target.condition(source) {
            Some(condition) => run(app, target.params_for(), source, &condition, mine, top).await?,
            None => (SourceTotal { source, records: 0, first_seen: None, last_seen: None }, Vec::new()),
        };
        totals.push(total);
        facets.extend(found);
    }
    facets.sort_by_key(|facet| order.iter().position(|key| *key == facet.key));
    if let Subject::Address(ip) = target.subject {
        let held = leases::of(app, ip, (target.span.from, target.span.to)).await?;
        facets.splice(..0, by_dhcp(held, top));
    }
    Ok((totals, facets))
}

/// The hosts that held the address, the latest first.
fn by_dhcp(held: Vec<leases::HeldName>, top: u32) -> Option<Facet> {
    let more = held.len() > top as usize;
    let row = |held: leases::HeldName| FacetRow {
        value: held.name,
        detail: None,
        count: held.count,
        bytes: None,
        first_seen: moment(held.first),
        last_seen: moment(held.last),
    };
    let rows: Vec<FacetRow> = held.into_iter().take(top as usize).map(row).collect();
    (!rows.is_empty()).then(|| Facet {
        key: "dhcp_names".to_owned(),
        title: "Host names by DHCP".to_owned(),
        source: None,
        value_kind: "text".to_owned(),
        more,
        rows,
    })
}

#[derive(Deserialize)]
struct Counted {
    /// Which list; none for all records of the source.
    facet: Option<usize>,
    value: Option<String>,
    detail: Option<String>,
    other: Option<String>,
    count: u64,
    bytes: Option<u64>,
    first_seen: String,
    last_seen: String,
}

/// The total and the top lists of one source by one scan: each list is a grouping set. `$1` and `$2` of `params` are the
/// span, the rest is for `condition` and those of the lists.
pub(super) async fn run(
    app: &App,
    params: Vec<Param>,
    source: Source,
    condition: &str,
    plans: Vec<Plan>,
    top: u32,
) -> Result<(SourceTotal, Vec<Facet>), ApiError> {
    let sql = sql(source, condition, &plans, top);
    let most = (u64::from(top) + 1) * plans.len() as u64 + 1;
    let rows: Vec<Counted> = read(app.rows(&sql, params, most).await?, source.as_str())?;
    let mut total = SourceTotal { source, records: 0, first_seen: None, last_seen: None };
    let mut facets: Vec<Facet> = plans
        .iter()
        .map(|plan| Facet {
            key: plan.key.to_owned(),
            title: plan.title.to_owned(),
            source: Some(source),
            value_kind: plan.value_kind.to_owned(),
            more: false,
            rows: Vec::new(),
        })
        .collect();
    for Counted { facet, value, detail, other, count, bytes, first_seen, last_seen } in rows {
        let Some(at) = facet else {
            total = SourceTotal { source, records: count, first_seen: Some(first_seen), last_seen: Some(last_seen) };
            continue;
        };
        let Some(((facet, plan), value)) = facets.get_mut(at).zip(plans.get(at)).zip(value) else { continue };
        if facet.rows.len() == top as usize {
            facet.more = true;
            continue;
        }
        let detail = match plan.detail {
            Detail::None => None,
            Detail::First => detail,
            Detail::Other => other,
        };
        facet.rows.push(FacetRow { value, detail, count, bytes, first_seen, last_seen });
    }
    facets.retain(|facet| !facet.rows.is_empty());
    Ok((total, facets))
}

/// A column for each list, null where a record is not in it, and one that is the same in all records.
fn sql(source: Source, condition: &str, plans: &[Plan], top: u32) -> String {
    let ask = u64::from(top) + 1;
    let (bytes, detail, other) = match source {
        Source::Flow => (FLOW_BYTES, "max(service)", NO_TEXT),
        Source::Dns => (NO_BYTES, RCODES, NO_TEXT),
        Source::Proxy => (PROXY_BYTES, "max(method)", "max(tls_sni)"),
    };
    let each = |text: &dyn Fn(usize, &Plan) -> String| -> String {
        plans.iter().enumerate().map(|(at, plan)| text(at, plan)).collect()
    };
    let values = each(&|at, Plan { condition, value, .. }| {
        format!(", CASE WHEN {condition} THEN nullif({value}, '') END AS f{at}")
    });
    let which = each(&|at, _| format!(" WHEN f{at} IS NOT NULL THEN {at}"));
    let names = each(&|at, _| format!("f{at}, "));
    let sets = each(&|at, _| format!(", (f{at})"));
    format!(
        "SELECT facet, value, detail, other, count, bytes, first_seen, last_seen FROM \
         (SELECT *, row_number() OVER (PARTITION BY facet ORDER BY count DESC, value) AS place FROM \
          (SELECT present, CASE WHEN present IS NOT NULL THEN CAST(NULL AS INT){which} END AS facet, coalesce({names}NULL) AS value, \
           {detail} AS detail, {other} AS other, count(*) AS count, {bytes} AS bytes, min(first_seen) AS first_seen, max(last_seen) AS last_seen \
           FROM (SELECT *, CASE WHEN first_seen IS NOT NULL THEN 1 END AS present{values} FROM {} \
            WHERE first_seen >= $1 AND first_seen < $2 AND {condition}) \
           GROUP BY GROUPING SETS ((present){sets})) WHERE facet IS NOT NULL OR present IS NOT NULL) \
         WHERE place <= {ask} ORDER BY facet, place",
        source.as_str()
    )
}

fn plans(target: &Target) -> Vec<Plan> {
    use Detail::{First, None as Nothing, Other};
    let mut plans = Vec::new();
    let mut add = |key, title, source, value_kind, value: &str, detail, condition: Option<String>| {
        if let Some(condition) = condition {
            plans.push(Plan { key, title, source, value_kind, value: value.to_owned(), detail, condition });
        }
    };
    let is = |column: &str| target.is_subject(column);
    let whole = |source| target.condition(source);
    let (flow, dns, proxy) = (Source::Flow, Source::Dns, Source::Proxy);
    // Ports in the form of the service page: tcp/443.
    let service = "concat(lower(proto_name(proto)), '/', CAST(dst_port AS VARCHAR))";
    match &target.subject {
        Subject::Address(_) | Subject::Network(..) => {
            add("services_used", "Services it uses", flow, "service", service, First, is("src_ip"));
            add("services_offered", "Services it offers", flow, "service", service, First, is("dst_ip"));
            add("conn_states", "Ends of connections", flow, "text", "conn_state", Nothing, whole(flow));
            let resolved = match &target.subject {
                Subject::Address(_) => {
                    Some("strpos(concat('|', dns_addresses(answers), '|'), concat('|', $3, '|')) > 0".to_owned())
                }
                _ => None,
            };
            add(RESOLVED, "Names that resolved to it", dns, "name", "qname", Nothing, resolved);
            add("dns_names", "Names it asked for", dns, "name", "qname", First, is("client_ip"));
            add("dns_clients", "Clients it answered", dns, "address", "client_ip", Nothing, is("server_ip"));
            add("hosts", "Hosts it asked", proxy, "name", "host", First, is("client_ip"));
            add("hosts_served", "Hosts it served", proxy, "name", "host", First, is("server_ip"));
            add("user_agents", "User agents", proxy, "text", "user_agent", Nothing, is("client_ip"));
            add("ja4", "TLS fingerprints (JA4)", proxy, "text", "ja4", Other, is("client_ip"));
            add("users", "Users", proxy, "text", "username", Nothing, is("client_ip"));
            add("macs", "MAC addresses", flow, "text", "src_mac", Nothing, is("src_ip"));
        }
        Subject::Name(_) => {
            add("dns_clients", "Clients that asked", dns, "address", "client_ip", First, whole(dns));
            add("dns_names", "Names at and below it", dns, "name", "qname", First, whole(dns));
            add("dns_addresses", "Answers", dns, "text", "dns_addresses(answers)", Nothing, whole(dns));
            add("http_clients", "Clients that sent requests", proxy, "address", "client_ip", First, whole(proxy));
            add("uris", "URIs", proxy, "uri", "full_uri", First, whole(proxy));
            add("user_agents", "User agents", proxy, "text", "user_agent", Nothing, whole(proxy));
            add("ja4", "TLS fingerprints (JA4)", proxy, "text", "ja4", Other, whole(proxy));
            add("services", "Services at its addresses", flow, "service", service, First, is("dst_ip"));
        }
        Subject::Uri(_) => {
            add("http_clients", "Clients", proxy, "address", "client_ip", First, whole(proxy));
            add("referers", "Where they came from", proxy, "uri", "referer", Nothing, Some("full_uri = $3".to_owned()));
            add("referred", "What it referred to", proxy, "uri", "full_uri", Nothing, Some("referer = $3".to_owned()));
            add("methods", "Methods", proxy, "text", "method", Nothing, whole(proxy));
            add("statuses", "Response codes", proxy, "text", "CAST(status AS VARCHAR)", Nothing, whole(proxy));
            add("content_types", "Content types", proxy, "text", "content_type", Nothing, whole(proxy));
            add("user_agents", "User agents", proxy, "text", "user_agent", Nothing, whole(proxy));
        }
        Subject::Community(_) => {
            add("services", "Services", flow, "service", service, First, whole(flow));
            add("dns_names", "Names", dns, "name", "qname", First, whole(dns));
            add("hosts", "Hosts", proxy, "name", "host", First, whole(proxy));
        }
    }
    plans
}

/// How many of the questions failed, in words.
const RCODES: &str = "CASE WHEN count(*) FILTER (WHERE rcode = 3) > 0 THEN concat(CAST(count(*) FILTER (WHERE rcode = 3) AS VARCHAR), ' NXDOMAIN') END";
