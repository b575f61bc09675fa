//! ArcSight's Common Event Format, version 0, as its implementation standard has it: a line that QRadar, Splunk and ArcSight read.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Backslash and pipe are escaped in the head.
fn head(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\r', '\n'], " ")
}

/// Backslash and equals sign are escaped in values; lines end as `\n`.
fn extension(text: &str) -> String {
    text.replace('\\', "\\\\").replace('=', "\\=").replace('\r', "\\r").replace('\n', "\\n")
}

/// The columns of a scored record and the keys that hold them.
const KEYS: [(&str, &str); 24] = [
    ("src_ip", "src"),
    ("client_ip", "src"),
    ("src_port", "spt"),
    ("client_port", "spt"),
    ("dst_ip", "dst"),
    ("server_ip", "dst"),
    ("dst_port", "dpt"),
    ("server_port", "dpt"),
    ("proto", "proto"),
    ("transport", "proto"),
    ("src_bytes", "out"),
    ("dst_bytes", "in"),
    ("request_bytes", "out"),
    ("response_bytes", "in"),
    ("method", "requestMethod"),
    ("full_uri", "request"),
    ("user_agent", "requestClientApplication"),
    ("username", "suser"),
    ("action", "act"),
    ("host", "dhost"),
    ("qname", "destinationDnsDomain"),
    ("sensor", "dvchost"),
    ("record_id", "externalId"),
    ("service", "app"),
];

/// The line of a scored record. `severity`: 0 to 10.
pub(super) fn line(source: &str, name: &str, severity: u8, row: &Map<String, Value>) -> String {
    let mut out =
        format!("CEF:0|Spotter|Spotter|{}|{}|{}|{severity}|", env!("CARGO_PKG_VERSION"), head(source), head(name));
    let mut add = |key: &str, value: &str| {
        let space = if out.ends_with('|') { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(out, "{space}{key}={}", extension(value));
    };
    for (column, key) in KEYS {
        match row.get(column) {
            Some(Value::String(text)) if !text.is_empty() => add(key, text),
            Some(Value::Number(number)) => add(key, &number.to_string()),
            _ => {}
        }
    }
    for (column, key) in [("first_seen", "start"), ("last_seen", "end")] {
        let time = row.get(column).and_then(Value::as_str).and_then(|t| chrono::DateTime::parse_from_rfc3339(t).ok());
        if let Some(time) = time {
            add(key, &time.timestamp_millis().to_string());
        }
    }
    let fired = row.get("detectors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let evidence: Vec<String> = fired
        .iter()
        .filter_map(|d| Some(format!("{}: {}", d.get("name")?.as_str()?, d.get("evidence")?.as_str()?)))
        .collect();
    if !evidence.is_empty() {
        add("msg", &evidence.join("; "));
    }
    if let Some(rank) = row.get("fused_rank").and_then(Value::as_u64) {
        add("cn1Label", "rank");
        add("cn1", &rank.to_string());
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_line_is_escaped() {
        let row = serde_json::json!({
            "src_ip": "10.0.0.9", "dst_port": 443, "full_uri": "http://a/?x=1\\2\nCEF:0|forged", "record_id": "ab",
            "first_seen": "2026-03-02T10:00:00.5Z", "fused_rank": 3,
            "detectors": [{"name": "beacon|pair", "strength": 4.2, "evidence": "every 60 s"}]
        });
        let Value::Object(row) = row else { panic!() };
        assert_eq!(
            line("flow", "beacon|pair", 7, &row),
            format!(
                "CEF:0|Spotter|Spotter|{}|flow|beacon\\|pair|7|src=10.0.0.9 dpt=443 request=http://a/?x\\=1\\\\2\\nCEF:0|forged \
                 externalId=ab start=1772445600500 msg=beacon|pair: every 60 s cn1Label=rank cn1=3",
                env!("CARGO_PKG_VERSION")
            )
        );
    }
}
