//! Zeek's conn, dns and http logs as TSV, which `spotter import` reads back.
//!
//! `orig_ip_bytes` and `resp_ip_bytes` are what Spotter counts (IP total length); the payload's bytes are not known and
//! stand unset. `uid` is made of the record's identity. ICMP's type and code stand in the ports, as Zeek has them.

use std::fmt::Write;

use aggregator::lake::Source;

use super::row::{Row, qtype, rcode, transport};

type Column = (&'static str, &'static str);

const CONN: [Column; 22] = [
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("proto", "enum"),
    ("service", "string"),
    ("duration", "interval"),
    ("orig_bytes", "count"),
    ("resp_bytes", "count"),
    ("conn_state", "string"),
    ("local_orig", "bool"),
    ("local_resp", "bool"),
    ("missed_bytes", "count"),
    ("history", "string"),
    ("orig_pkts", "count"),
    ("orig_ip_bytes", "count"),
    ("resp_pkts", "count"),
    ("resp_ip_bytes", "count"),
    ("ip_proto", "count"),
    ("community_id", "string"),
];

const DNS: [Column; 23] = [
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("proto", "enum"),
    ("trans_id", "count"),
    ("rtt", "interval"),
    ("query", "string"),
    ("qclass", "count"),
    ("qtype", "count"),
    ("qtype_name", "string"),
    ("rcode", "count"),
    ("rcode_name", "string"),
    ("AA", "bool"),
    ("TC", "bool"),
    ("RD", "bool"),
    ("RA", "bool"),
    ("answers", "vector[string]"),
    ("TTLs", "vector[interval]"),
    ("rejected", "bool"),
    ("community_id", "string"),
];

const HTTP: [Column; 18] = [
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("trans_depth", "count"),
    ("method", "string"),
    ("host", "string"),
    ("uri", "string"),
    ("referrer", "string"),
    ("user_agent", "string"),
    ("request_body_len", "count"),
    ("response_body_len", "count"),
    ("status_code", "count"),
    ("username", "string"),
    ("resp_mime_types", "vector[string]"),
    ("community_id", "string"),
];

const fn log(source: Source) -> (&'static str, &'static [Column]) {
    match source {
        Source::Flow => ("conn", &CONN),
        Source::Dns => ("dns", &DNS),
        Source::Proxy => ("http", &HTTP),
    }
}

pub(super) fn head(source: Source, out: &mut Vec<u8>) {
    let (path, columns) = log(source);
    let mut text =
        format!("#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\t{path}\n#fields");
    for (name, _) in columns {
        text.push('\t');
        text.push_str(name);
    }
    text.push_str("\n#types");
    for (_, kind) in columns {
        text.push('\t');
        text.push_str(kind);
    }
    text.push('\n');
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn row(source: Source, row: &Row, out: &mut Vec<u8>) {
    for (at, (name, kind)) in log(source).1.iter().enumerate() {
        if at > 0 {
            out.push(b'\t');
        }
        let value = match source {
            Source::Flow => conn(name, row),
            Source::Dns => dns(name, row),
            Source::Proxy => http(name, row),
        };
        match value {
            None => out.push(b'-'),
            // Lists are joined, and their items escaped, where they are made.
            Some(text) if kind.starts_with("vector") => out.extend_from_slice(text.as_bytes()),
            Some(text) => out.extend_from_slice(escape(&text).as_bytes()),
        }
    }
    out.push(b'\n');
}

/// Zeek's escapes: what is not printable ASCII, the separators, and text that reads as "unset" or "empty".
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let whole = matches!(text, "-" | "(empty)");
    for byte in text.bytes() {
        // Writing to a String cannot fail.
        let _ = match byte {
            b'\\' => out.write_str("\\x5c"),
            0x20..=0x7e if !whole => {
                out.push(char::from(byte));
                Ok(())
            }
            other => write!(out, "\\x{other:02x}"),
        };
    }
    if text.is_empty() { "(empty)".to_owned() } else { out }
}

fn list<'a>(items: impl Iterator<Item = std::borrow::Cow<'a, str>>) -> Option<String> {
    let items: Vec<String> = items.map(|item| escape(&item).replace(',', "\\x2c")).collect();
    (!items.is_empty()).then(|| items.join(","))
}

/// Seconds with six digits.
fn seconds(micros: i64) -> String {
    format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))
}

fn uid(row: &Row) -> String {
    format!("C{}", row.text("record_id").chars().take(17).collect::<String>())
}

fn number(row: &Row, name: &str) -> Option<String> {
    row.number(name).map(|number| number.to_string())
}

fn given(row: &Row, name: &str) -> Option<String> {
    row.some(name).map(str::to_owned)
}

fn conn(name: &str, row: &Row) -> Option<String> {
    let proto = row.number("proto").unwrap_or(0);
    let is_icmp = matches!(proto, 1 | 58);
    let code = row.number("dst_port").unwrap_or(0);
    match name {
        "ts" => row.micros("first_seen").map(seconds),
        "uid" => Some(uid(row)),
        "id.orig_h" => given(row, "src_ip"),
        "id.resp_h" => given(row, "dst_ip"),
        "id.orig_p" if is_icmp => Some((code >> 8).to_string()),
        "id.resp_p" if is_icmp => Some((code & 0xff).to_string()),
        "id.orig_p" => number(row, "src_port"),
        "id.resp_p" => number(row, "dst_port"),
        "proto" => Some(match proto {
            6 | 17 => transport(proto),
            1 | 58 => "icmp".to_owned(),
            _ => "unknown_transport".to_owned(),
        }),
        "service" => match row.text("service") {
            "tls" => Some("ssl".to_owned()),
            _ => given(row, "service"),
        },
        "duration" => {
            let length = row.micros("last_seen")?.checked_sub(row.micros("first_seen")?)?;
            Some(seconds(length.max(0)))
        }
        "conn_state" | "history" | "community_id" => given(row, name),
        "orig_pkts" => number(row, "src_packets"),
        "orig_ip_bytes" => number(row, "src_bytes"),
        "resp_pkts" => number(row, "dst_packets"),
        "resp_ip_bytes" => number(row, "dst_bytes"),
        "ip_proto" => Some(proto.to_string()),
        _ => None,
    }
}

fn dns(name: &str, row: &Row) -> Option<String> {
    let flag = |bit: u64| Some(if row.number("flags").unwrap_or(0) & bit == 0 { "F" } else { "T" }.to_owned());
    match name {
        "ts" => row.micros("first_seen").map(seconds),
        "uid" => Some(uid(row)),
        "id.orig_h" => given(row, "client_ip"),
        "id.resp_h" => given(row, "server_ip"),
        "id.orig_p" => number(row, "client_port"),
        "id.resp_p" => number(row, "server_port"),
        "proto" => Some(if row.text("transport") == "tcp" { "tcp" } else { "udp" }.to_owned()),
        "trans_id" => number(row, "id"),
        "rtt" => row.number("rtt_us").and_then(|rtt| i64::try_from(rtt).ok()).map(seconds),
        "query" => Some(row.text("qname_wire").to_owned()),
        "qclass" | "qtype" | "rcode" => number(row, name),
        "qtype_name" => row.number("qtype").map(qtype),
        "rcode_name" => row.number("rcode").map(rcode),
        "AA" => flag(0x0400),
        "TC" => flag(0x0200),
        "RD" => flag(0x0100),
        "RA" => flag(0x0080),
        "answers" => list(row.answers().into_iter().map(|(data, _, _)| data.into())),
        "TTLs" => list(row.answers().into_iter().map(|(_, ttl, _)| format!("{ttl}.000000").into())),
        "rejected" => Some(if row.number("rcode") == Some(5) { "T" } else { "F" }.to_owned()),
        "community_id" => given(row, name),
        _ => None,
    }
}

fn http(name: &str, row: &Row) -> Option<String> {
    match name {
        "ts" => row.micros("first_seen").map(seconds),
        "uid" => Some(uid(row)),
        "id.orig_h" => given(row, "client_ip"),
        // A log of a proxy may not say which server it was; Zeek's always does.
        "id.resp_h" => given(row, "server_ip")
            .or_else(|| Some(if row.text("client_ip").contains(':') { "::" } else { "0.0.0.0" }.to_owned())),
        "id.orig_p" => Some(row.number("client_port").unwrap_or(0).to_string()),
        "id.resp_p" => Some(row.number("server_port").unwrap_or(0).to_string()),
        "trans_depth" => Some("1".to_owned()),
        "method" | "host" | "username" | "community_id" | "user_agent" => given(row, name),
        "uri" => Some(match row.text("scheme") {
            "http" if row.text("method") != "CONNECT" => {
                let path = row.text("uri_path");
                let query = row.some("uri_query").map(|query| query.strip_prefix('?').unwrap_or(query));
                query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
            }
            _ => row.text("full_uri").to_owned(),
        }),
        "referrer" => given(row, "referer"),
        "request_body_len" => number(row, "request_bytes"),
        "response_body_len" => number(row, "response_bytes"),
        "status_code" => number(row, "status"),
        "resp_mime_types" => list(row.some("content_type").into_iter().map(Into::into)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_wire_cannot_make_columns_or_rows() {
        assert_eq!(escape("a\tb\nc"), "a\\x09b\\x0ac");
        assert_eq!(escape("\\x09"), "\\x5cx09");
        assert_eq!(escape("-"), "\\x2d");
        assert_eq!(escape(""), "(empty)");
        assert_eq!(escape("(empty)"), "\\x28\\x65\\x6d\\x70\\x74\\x79\\x29");
        assert_eq!(escape("bücher"), "b\\xc3\\xbccher");
        assert_eq!(list(["a,b".into(), "c".into()].into_iter()).as_deref(), Some("a\\x2cb,c"));
        assert_eq!((seconds(1_500_000), seconds(7)), ("1.500000".into(), "0.000007".into()));
    }
}
