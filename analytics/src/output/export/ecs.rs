//! Elastic Common Schema 8.11, the fields that Elastic, Malcolm, Arkime and Security Onion search.

use aggregator::lake::Source;
use serde_json::{Value, json};

use super::row::{Row, object, qtype, rcode, some_object, transport};

/// Version that is written to `ecs.version`.
const VERSION: &str = "8.11.0";

pub(super) fn event(source: Source, row: &Row, severity: Option<u8>) -> Value {
    let text = |name: &str| row.some(name).map(Value::from);
    let mut event = match source {
        Source::Flow => flow(row),
        Source::Dns => dns(row),
        Source::Proxy => proxy(row),
    };
    let category = if source == Source::Proxy { json!(["network", "web"]) } else { json!(["network"]) };
    let own = [
        ("@timestamp", text("first_seen")),
        ("ecs", Some(json!({"version": VERSION}))),
        (
            "event",
            some_object([
                ("kind", Some(json!(if row.is_scored() { "alert" } else { "event" }))),
                ("category", Some(category)),
                ("type", Some(json!(if source == Source::Flow { ["connection"] } else { ["protocol"] }))),
                ("dataset", Some(json!(format!("spotter.{}", source.as_str())))),
                ("id", text("record_id")),
                ("start", text("first_seen")),
                ("end", text("last_seen")),
                ("risk_score", row.float("percentile").map(|share| json!(share * 100.0))),
                ("severity", severity.map(Value::from)),
            ]),
        ),
        ("observer", some_object([("name", text("sensor"))])),
        (
            "labels",
            some_object([
                ("ja4", text("ja4")),
                ("spotter_rank", row.value("fused_rank")),
                ("spotter_run", text("run_id")),
            ]),
        ),
    ];
    if let Value::Object(fields) = &mut event {
        fields.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    event
}

fn sum(row: &Row, a: &str, b: &str) -> Option<Value> {
    row.number(a).map(|a| json!(a.saturating_add(row.number(b).unwrap_or(0))))
}

fn flow(row: &Row) -> Value {
    object([
        (
            "source",
            some_object([
                ("ip", row.value("src_ip")),
                ("port", row.value("src_port")),
                ("bytes", row.value("src_bytes")),
                ("packets", row.value("src_packets")),
                ("mac", row.value("src_mac")),
            ]),
        ),
        (
            "destination",
            some_object([
                ("ip", row.value("dst_ip")),
                ("port", row.value("dst_port")),
                ("bytes", row.value("dst_bytes")),
                ("packets", row.value("dst_packets")),
                ("mac", row.value("dst_mac")),
            ]),
        ),
        (
            "network",
            some_object([
                ("transport", row.number("proto").map(|proto| json!(transport(proto)))),
                ("iana_number", row.number("proto").map(|proto| json!(proto.to_string()))),
                ("protocol", row.value("service")),
                ("community_id", row.value("community_id")),
                ("bytes", sum(row, "src_bytes", "dst_bytes")),
                ("packets", sum(row, "src_packets", "dst_packets")),
            ]),
        ),
    ])
}

fn dns(row: &Row) -> Value {
    let answers: Vec<Value> = row
        .answers()
        .into_iter()
        .map(|(data, ttl, kind)| json!({"data": data, "ttl": ttl, "type": qtype(kind)}))
        .collect();
    let resolved: Vec<&str> =
        row.answers().into_iter().filter(|(_, _, kind)| matches!(kind, 1 | 28)).map(|(data, _, _)| data).collect();
    object([
        ("source", some_object([("ip", row.value("client_ip")), ("port", row.value("client_port"))])),
        ("destination", some_object([("ip", row.value("server_ip")), ("port", row.value("server_port"))])),
        (
            "network",
            some_object([
                ("transport", Some(json!(if row.text("transport") == "tcp" { "tcp" } else { "udp" }))),
                ("protocol", Some(json!("dns"))),
                ("community_id", row.value("community_id")),
            ]),
        ),
        (
            "dns",
            some_object([
                ("id", row.number("id").map(|id| json!(id.to_string()))),
                ("type", Some(json!(if row.get("rcode").is_some() { "answer" } else { "query" }))),
                (
                    "question",
                    some_object([
                        ("name", row.value("qname_wire")),
                        ("type", row.number("qtype").map(|kind| json!(qtype(kind)))),
                        (
                            "class",
                            row.number("qclass")
                                .map(|class| json!(if class == 1 { "IN".to_owned() } else { class.to_string() })),
                        ),
                    ]),
                ),
                ("response_code", row.number("rcode").map(|code| json!(rcode(code)))),
                ("answers", (!answers.is_empty()).then(|| json!(answers))),
                ("resolved_ip", (!resolved.is_empty()).then(|| json!(resolved))),
            ]),
        ),
    ])
}

fn proxy(row: &Row) -> Value {
    let body = |name: &str| row.value(name).map(|bytes| json!({"bytes": bytes}));
    object([
        (
            "source",
            some_object([
                ("ip", row.value("client_ip")),
                ("port", row.value("client_port")),
                ("bytes", row.value("request_bytes")),
                ("user", some_object([("name", row.value("username"))])),
            ]),
        ),
        (
            "destination",
            some_object([
                ("ip", row.value("server_ip")),
                ("port", row.value("server_port")),
                ("bytes", row.value("response_bytes")),
                ("domain", row.value("host")),
            ]),
        ),
        (
            "network",
            some_object([
                ("transport", Some(json!("tcp"))),
                ("protocol", Some(json!(if row.text("scheme") == "http" { "http" } else { "tls" }))),
                ("community_id", row.value("community_id")),
            ]),
        ),
        (
            "url",
            some_object([
                ("original", row.value("full_uri")),
                ("full", row.value("full_uri")),
                ("scheme", row.value("scheme")),
                ("domain", row.value("host")),
                ("path", row.value("uri_path")),
                ("query", row.some("uri_query").map(|query| json!(query.trim_start_matches('?')))),
            ]),
        ),
        (
            "http",
            some_object([
                (
                    "request",
                    some_object([
                        ("method", row.value("method")),
                        ("referrer", row.value("referer")),
                        ("body", body("request_bytes")),
                    ]),
                ),
                (
                    "response",
                    some_object([
                        ("status_code", row.value("status")),
                        ("mime_type", row.value("content_type")),
                        ("body", body("response_bytes")),
                    ]),
                ),
            ]),
        ),
        ("user_agent", some_object([("original", row.value("user_agent"))])),
        (
            "tls",
            some_object([
                ("client", some_object([("server_name", row.value("tls_sni"))])),
                ("version", row.value("tls_version")),
                ("next_protocol", row.value("tls_alpn")),
            ]),
        ),
    ])
}
