//! OCSF 1.6.0: Network Activity (4001), HTTP Activity (4002), DNS Activity (4003); a scored record is a Detection Finding
//! (2004) with the record as evidence. `type_uid` is `class_uid * 100 + activity_id`.

use aggregator::lake::Source;
use serde_json::{Value, json};

use super::row::{Row, object, qtype, rcode, some_object, transport};

/// The schema the events are of; it moves, so it is pinned.
const VERSION: &str = "1.6.0";
/// Activity "Traffic" of network classes.
const TRAFFIC: u64 = 6;

pub(super) fn event(source: Source, row: &Row, severity: Option<u8>) -> Value {
    if row.is_scored() { finding(source, row, severity) } else { activity(source, row, severity) }
}

/// OCSF: 1 informational, 2 low, 3 medium, 4 high.
const fn severity_id(severity: Option<u8>) -> u64 {
    match severity {
        Some(1) => 4,
        Some(2) => 3,
        Some(3) => 2,
        _ => 1,
    }
}

fn millis(row: &Row, name: &str) -> Option<Value> {
    row.micros(name).map(|micros| json!(micros.div_euclid(1_000)))
}

fn metadata(row: &Row) -> Value {
    object([
        ("version", Some(json!(VERSION))),
        ("uid", row.value("record_id")),
        ("log_provider", row.value("sensor")),
        ("product", Some(json!({"name": "Spotter", "vendor_name": "Spotter"}))),
    ])
}

fn ends(source: Source, row: &Row) -> [(&'static str, Option<Value>); 2] {
    let (src_ip, src_port, dst_ip, dst_port) = match source {
        Source::Flow => ("src_ip", "src_port", "dst_ip", "dst_port"),
        _ => ("client_ip", "client_port", "server_ip", "server_port"),
    };
    let domain = (source == Source::Proxy).then(|| row.value("host")).flatten();
    [
        (
            "src_endpoint",
            some_object([("ip", row.value(src_ip)), ("port", row.value(src_port)), ("mac", row.value("src_mac"))]),
        ),
        (
            "dst_endpoint",
            some_object([
                ("ip", row.value(dst_ip)),
                ("port", row.value(dst_port)),
                ("mac", row.value("dst_mac")),
                ("hostname", domain),
            ]),
        ),
    ]
}

fn activity(source: Source, row: &Row, severity: Option<u8>) -> Value {
    let (class, name, activity) = match source {
        Source::Flow => (4001, "Network Activity", TRAFFIC),
        Source::Dns => (4003, "DNS Activity", TRAFFIC),
        Source::Proxy => (4002, "HTTP Activity", method(row.text("method"))),
    };
    let [src, dst] = ends(source, row);
    let mut event = object([
        ("class_uid", Some(json!(class))),
        ("class_name", Some(json!(name))),
        ("category_uid", Some(json!(4))),
        ("category_name", Some(json!("Network Activity"))),
        ("activity_id", Some(json!(activity))),
        ("type_uid", Some(json!(class * 100 + activity))),
        ("severity_id", Some(json!(severity_id(severity)))),
        ("time", millis(row, "first_seen")),
        ("start_time", millis(row, "first_seen")),
        ("end_time", millis(row, "last_seen")),
        ("metadata", Some(metadata(row))),
        src,
        dst,
        ("connection_info", connection(source, row)),
        ("traffic", traffic(source, row)),
    ]);
    let more: [(&str, Option<Value>); 6] = match source {
        Source::Flow => {
            [("app_name", row.value("service")), ("", None), ("", None), ("", None), ("", None), ("", None)]
        }
        Source::Dns => dns(row),
        Source::Proxy => proxy(row),
    };
    if let Value::Object(fields) = &mut event {
        fields.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    event
}

/// Activities of HTTP Activity.
fn method(method: &str) -> u64 {
    match method {
        "CONNECT" => 1,
        "DELETE" => 2,
        "GET" => 3,
        "HEAD" => 4,
        "OPTIONS" => 5,
        "POST" => 6,
        "PUT" => 7,
        "TRACE" => 8,
        _ => 99,
    }
}

fn connection(source: Source, row: &Row) -> Option<Value> {
    let proto = match source {
        Source::Flow => row.number("proto"),
        Source::Dns => Some(if row.text("transport") == "tcp" { 6 } else { 17 }),
        Source::Proxy => Some(6),
    };
    some_object([
        ("protocol_num", proto.map(Value::from)),
        ("protocol_name", proto.map(|proto| json!(transport(proto)))),
        // Unknown: who is inside is not the record's to say.
        ("direction_id", Some(json!(0))),
        ("community_uid", row.value("community_id")),
    ])
}

fn traffic(source: Source, row: &Row) -> Option<Value> {
    let (sent, received) = match source {
        Source::Flow => ("src_bytes", "dst_bytes"),
        Source::Dns => ("query_len", "response_len"),
        Source::Proxy => ("request_bytes", "response_bytes"),
    };
    let total = |a: &str, b: &str| row.number(a).map(|a| json!(a.saturating_add(row.number(b).unwrap_or(0))));
    some_object([
        ("bytes_out", row.value(sent)),
        ("bytes_in", row.value(received)),
        ("bytes", total(sent, received)),
        ("packets_out", row.value("src_packets")),
        ("packets_in", row.value("dst_packets")),
        ("packets", total("src_packets", "dst_packets")),
    ])
}

fn dns(row: &Row) -> [(&'static str, Option<Value>); 6] {
    let answers: Vec<Value> = row
        .answers()
        .into_iter()
        .map(|(data, ttl, kind)| json!({"rdata": data, "ttl": ttl, "type": qtype(kind)}))
        .collect();
    [
        (
            "query",
            some_object([
                ("hostname", row.value("qname_wire")),
                ("type", row.number("qtype").map(|kind| json!(qtype(kind)))),
                (
                    "class",
                    row.number("qclass")
                        .map(|class| json!(if class == 1 { "IN".to_owned() } else { class.to_string() })),
                ),
                ("packet_uid", row.value("id")),
            ]),
        ),
        ("answers", (!answers.is_empty()).then(|| json!(answers))),
        ("rcode_id", row.value("rcode")),
        ("rcode", row.number("rcode").map(|code| json!(rcode(code)))),
        ("query_time", millis(row, "first_seen")),
        ("response_time", row.get("rcode").and_then(|_| millis(row, "last_seen"))),
    ]
}

fn proxy(row: &Row) -> [(&'static str, Option<Value>); 6] {
    [
        (
            "http_request",
            some_object([
                ("http_method", row.value("method")),
                ("user_agent", row.value("user_agent")),
                ("referrer", row.value("referer")),
                (
                    "url",
                    some_object([
                        ("url_string", row.value("full_uri")),
                        ("scheme", row.value("scheme")),
                        ("hostname", row.value("host")),
                        ("path", row.value("uri_path")),
                        ("query_string", row.value("uri_query")),
                    ]),
                ),
            ]),
        ),
        (
            "http_response",
            some_object([
                ("code", row.value("status")),
                ("content_type", row.value("content_type")),
                ("length", row.value("response_bytes")),
            ]),
        ),
        ("tls", some_object([("sni", row.value("tls_sni")), ("version", row.value("tls_version"))])),
        ("", None),
        ("", None),
        ("", None),
    ]
}

fn finding(source: Source, row: &Row, severity: Option<u8>) -> Value {
    let [src, dst] = ends(source, row);
    let (what, who) = match source {
        Source::Flow => ("flow", row.text("src_ip")),
        Source::Dns => ("DNS question", row.text("client_ip")),
        Source::Proxy => ("request", row.text("client_ip")),
    };
    let rank = row.number("fused_rank").or_else(|| row.number("rank")).unwrap_or(0);
    object([
        ("class_uid", Some(json!(2004))),
        ("class_name", Some(json!("Detection Finding"))),
        ("category_uid", Some(json!(2))),
        ("category_name", Some(json!("Findings"))),
        ("activity_id", Some(json!(1))),
        ("type_uid", Some(json!(200_401))),
        ("severity_id", Some(json!(severity_id(severity)))),
        ("time", millis(row, "first_seen")),
        ("metadata", Some(metadata(row))),
        (
            "finding_info",
            some_object([
                ("uid", row.value("record_id")),
                ("title", Some(json!(format!("Unusual {what} of {who}, rank {rank} of its day")))),
                ("first_seen_time", millis(row, "first_seen")),
                ("last_seen_time", millis(row, "last_seen")),
                ("analytic", Some(json!({"name": "Spotter LDA", "type_id": 4, "type": "Learning (ML/DL)"}))),
            ]),
        ),
        (
            "confidence_score",
            row.float("confidence").map(|share| json!((share.clamp(0.0, 1.0) * 100.0).round() as u64)),
        ),
        ("risk_score", row.float("percentile").map(|share| json!((share.clamp(0.0, 1.0) * 100.0).round() as u64))),
        (
            "evidences",
            Some(json!([object([
                src,
                dst,
                ("connection_info", connection(source, row)),
                ("query", row.some("qname_wire").map(|name| json!({"hostname": name}))),
                ("url", row.some("full_uri").map(|uri| json!({"url_string": uri}))),
            ])])),
        ),
    ])
}
