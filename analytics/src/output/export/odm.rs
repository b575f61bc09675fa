//! Apache Spot's Open Data Model 1.1: a record as a row of its `event` table, a flat JSON object. The columns are those of its DDL; times
//! are milliseconds since 1970. What the model has no column for is in `additional_attrs`.

use std::net::IpAddr;

use aggregator::lake::Source;
use serde_json::{Map, Value, json};

use super::row::{Row, qtype, rcode, transport};

/// How a column of the lake becomes one of the model's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum As {
    /// As it is.
    Same,
    /// A number as text.
    Text,
    /// A moment.
    Millis,
    /// An address, where it is IPv4: as text, and as a number.
    Ip4,
    Ip4Number,
    /// Where it is IPv6.
    Ip6,
    /// A protocol number as its name.
    Protocol,
    /// TCP flags as nfdump's letters.
    Flags,
    /// Query type, class and response code by name.
    Rcode,
    Class,
    /// The addresses and names of answers, with commas.
    Answers,
}

/// Column of the model, column of the lake.
pub(super) type Field = (&'static str, &'static str, As);

/// Of every record.
const COMMON: &[Field] = &[
    ("event_id", "record_id", As::Same),
    ("event_time", "first_seen", As::Millis),
    ("begin_time", "first_seen", As::Millis),
    ("end_time", "last_seen", As::Millis),
    ("dvc_host", "sensor", As::Same),
    ("risk", "percentile", As::Same),
];

const FLOW: &[Field] = &[
    ("src_ip4", "src_ip", As::Ip4Number),
    ("src_ip4_str", "src_ip", As::Ip4),
    ("src_ip6", "src_ip", As::Ip6),
    ("src_ip6_str", "src_ip", As::Ip6),
    ("dst_ip4", "dst_ip", As::Ip4Number),
    ("dst_ip4_str", "dst_ip", As::Ip4),
    ("dst_ip6", "dst_ip", As::Ip6),
    ("dst_ip6_str", "dst_ip", As::Ip6),
    ("src_port", "src_port", As::Same),
    ("dst_port", "dst_port", As::Same),
    ("src_mac", "src_mac", As::Same),
    ("dst_mac", "dst_mac", As::Same),
    ("src_asn", "src_as", As::Same),
    ("dst_asn", "dst_as", As::Same),
    ("src_tos", "src_tos", As::Text),
    ("dst_tos", "dst_tos", As::Text),
    ("n_proto", "proto", As::Protocol),
    ("a_proto", "service", As::Same),
    ("net_flags", "src_tcp_flags", As::Flags),
    ("in_bytes", "src_bytes", As::Same),
    ("out_bytes", "dst_bytes", As::Same),
    ("flow_in_packets", "src_packets", As::Same),
    ("flow_out_packets", "dst_packets", As::Same),
    ("flow_conn_state", "conn_state", As::Same),
    ("flow_history", "history", As::Same),
    ("flow_input", "input_if", As::Text),
    ("flow_output", "output_if", As::Text),
    ("flow_fwd_status", "fwd_status", As::Text),
    ("dvc_ip4", "exporter_ip", As::Ip4Number),
    ("dvc_ip4_str", "exporter_ip", As::Ip4),
    ("dvc_ip6", "exporter_ip", As::Ip6),
    ("dvc_ip6_str", "exporter_ip", As::Ip6),
];

/// Of DNS and proxy records: client and server.
const ENDS: &[Field] = &[
    ("src_ip4", "client_ip", As::Ip4Number),
    ("src_ip4_str", "client_ip", As::Ip4),
    ("src_ip6", "client_ip", As::Ip6),
    ("src_ip6_str", "client_ip", As::Ip6),
    ("dst_ip4", "server_ip", As::Ip4Number),
    ("dst_ip4_str", "server_ip", As::Ip4),
    ("dst_ip6", "server_ip", As::Ip6),
    ("dst_ip6_str", "server_ip", As::Ip6),
    ("src_port", "client_port", As::Same),
    ("dst_port", "server_port", As::Same),
];

const DNS: &[Field] = &[
    ("n_proto", "transport", As::Same),
    ("dns_query", "qname_wire", As::Same),
    ("dns_class", "qclass", As::Class),
    ("dns_type", "qtype", As::Same),
    ("dns_response_code", "rcode", As::Rcode),
    ("dns_len", "response_frame_len", As::Same),
    ("dns_answers", "answers", As::Answers),
];

const PROXY: &[Field] = &[
    ("dst_host", "host", As::Same),
    ("user_name", "username", As::Same),
    ("in_bytes", "response_bytes", As::Same),
    ("out_bytes", "request_bytes", As::Same),
    ("prx_method", "method", As::Same),
    ("prx_type", "scheme", As::Same),
    ("prx_host", "host", As::Same),
    ("prx_query", "uri_query", As::Same),
    ("prx_code", "status", As::Text),
    ("prx_action", "action", As::Same),
    ("prx_category", "category", As::Same),
    ("prx_filter_result", "filter_result", As::Same),
    ("prx_browser", "user_agent", As::Same),
    ("prx_referrer", "referer", As::Same),
    ("http_request_method", "method", As::Same),
    ("http_request_uri", "full_uri", As::Same),
    ("http_request_user_name", "username", As::Same),
    ("http_response_status_code", "status", As::Same),
    ("http_response_mime_types", "content_type", As::Same),
    ("tls_server_name", "tls_sni", As::Same),
    ("tls_version", "tls_version", As::Same),
    ("tls_next_protocol", "tls_alpn", As::Same),
];

/// Columns of the lake that are in `additional_attrs`, by their own names.
const MORE: &[&str] = &[
    "community_id",
    "vlan",
    "tunnel",
    "sampling",
    "segment",
    "end_reason",
    "ja4",
    "virus_id",
    "exception_id",
    "rtt_us",
    "fused_rank",
    "run_id",
];

/// The fields of a source, in order.
pub(super) fn fields(source: Source) -> Vec<Field> {
    let own: [&[Field]; 2] = match source {
        Source::Flow => [FLOW, &[]],
        Source::Dns => [ENDS, DNS],
        Source::Proxy => [ENDS, PROXY],
    };
    [COMMON, own[0], own[1]].concat()
}

pub(super) fn event(source: Source, row: &Row, severity: Option<u8>) -> Value {
    let mut event = Map::new();
    event.insert("type".to_owned(), json!(source.as_str()));
    event.insert("dvc_vendor".to_owned(), json!("Spotter"));
    event.insert("dvc_type".to_owned(), json!(source.as_str()));
    for (to, from, how) in fields(source) {
        if let Some(value) = value(row, from, how) {
            event.insert(to.to_owned(), value);
        }
    }
    if let (Some(first), Some(last)) = (row.micros("first_seen"), row.micros("last_seen")) {
        event.insert("duration".to_owned(), json!(last.saturating_sub(first) as f64 / 1e6));
    }
    if let Some(severity) = severity {
        event.insert("severity".to_owned(), json!(severity.to_string()));
    }
    let text = |value: Value| match value {
        Value::String(text) => Value::String(text),
        other => Value::String(other.to_string()),
    };
    let more: Map<String, Value> =
        MORE.iter().filter_map(|name| Some(((*name).to_owned(), text(row.value(name)?)))).collect();
    if !more.is_empty() {
        event.insert("additional_attrs".to_owned(), Value::Object(more));
    }
    Value::Object(event)
}

fn value(row: &Row, name: &str, how: As) -> Option<Value> {
    let ip = || row.some(name).and_then(|text| text.parse::<IpAddr>().ok());
    match how {
        As::Same => row.value(name).filter(|value| value.as_str() != Some("")),
        As::Text => row.number(name).map(|number| json!(number.to_string())),
        As::Millis => row.micros(name).map(|micros| json!(micros.div_euclid(1_000))),
        As::Ip4 => ip().filter(IpAddr::is_ipv4).map(|ip| json!(ip.to_string())),
        As::Ip4Number => match ip()? {
            IpAddr::V4(ip) => Some(json!(ip.to_bits())),
            IpAddr::V6(_) => None,
        },
        As::Ip6 => ip().filter(IpAddr::is_ipv6).map(|ip| json!(ip.to_string())),
        As::Protocol => row.number(name).map(|proto| json!(transport(proto))),
        As::Flags => row.number(name).map(|flags| json!(letters(flags))),
        As::Rcode => row.number(name).map(|code| json!(rcode(code))),
        As::Class => row.number(name).map(|class| json!(if class == 1 { "IN".to_owned() } else { class.to_string() })),
        As::Answers => {
            let answers: Vec<String> =
                row.answers().into_iter().map(|(data, _, kind)| format!("{} {data}", qtype(kind))).collect();
            (!answers.is_empty()).then(|| json!(answers.join(",")))
        }
    }
}

/// `.AP.SF`, with C and E before them where they are set, as nfdump writes flags.
fn letters(flags: u64) -> String {
    let rare = [(0x80, 'C'), (0x40, 'E')].into_iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| letter);
    let usual = [(0x20, 'U'), (0x10, 'A'), (0x08, 'P'), (0x04, 'R'), (0x02, 'S'), (0x01, 'F')];
    rare.chain(usual.into_iter().map(|(bit, letter)| if flags & bit != 0 { letter } else { '.' })).collect()
}
