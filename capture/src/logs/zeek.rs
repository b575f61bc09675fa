//! Zeek's conn, dns, dhcp, http and ssl logs, as TSV and as JSON.

use std::net::IpAddr;

use serde_json::Value;

use super::row::{LogAnswer, LogConnection, LogDhcp, LogDns, LogKind, LogRequest, LogRow};
use super::text::{epoch, iso, mac, seconds};
use crate::{AddressPair, DnsTransport, Ip, Nanos, app};

/// What the `#` lines of a TSV log said.
#[derive(Clone, Debug)]
pub(super) struct Header {
    separator: char,
    set_separator: String,
    empty: String,
    unset: String,
    path: String,
    fields: Vec<String>,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            separator: '\t',
            set_separator: ",".into(),
            empty: "(empty)".into(),
            unset: "-".into(),
            path: String::new(),
            fields: Vec::new(),
        }
    }
}

impl Header {
    /// Reads a `#` line. False where it is none of Zeek's.
    pub(super) fn read(&mut self, line: &str) -> bool {
        let Some(rest) = line.strip_prefix('#') else { return false };
        if let Some(separator) = rest.strip_prefix("separator ") {
            let hex = separator.trim().strip_prefix("\\x").and_then(|hex| u8::from_str_radix(hex, 16).ok());
            // A new log begins.
            *self = Self { separator: hex.map_or('\t', char::from), ..Self::default() };
            return true;
        }
        let (name, value) = rest.split_once(self.separator).or_else(|| rest.split_once(' ')).unwrap_or((rest, ""));
        match name {
            "set_separator" => self.set_separator = value.to_owned(),
            "empty_field" => self.empty = value.to_owned(),
            "unset_field" => self.unset = value.to_owned(),
            "path" => self.path = value.to_owned(),
            "fields" => self.fields = value.split(self.separator).map(str::to_owned).collect(),
            "open" | "close" | "types" => {}
            _ => return false,
        }
        true
    }

    /// Whether rows can be read.
    pub(super) fn is_ready(&self) -> bool {
        !self.fields.is_empty()
    }
}

/// A row's values by name.
struct Values<'a>(Vec<(&'a str, Text<'a>)>);

enum Text<'a> {
    One(&'a str),
    Owned(String),
    Many(Vec<String>),
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        match &self.0.iter().find(|(known, _)| *known == name)?.1 {
            Text::One(text) => Some(text),
            Text::Owned(text) => Some(text),
            Text::Many(_) => None,
        }
    }

    fn list(&self, name: &str) -> Vec<String> {
        match self.0.iter().find(|(known, _)| *known == name) {
            Some((_, Text::Many(list))) => list.clone(),
            Some((_, Text::One(text))) => vec![(*text).to_owned()],
            Some((_, Text::Owned(text))) => vec![text.clone()],
            None => Vec::new(),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == name)
    }

    /// What a host gave as its name, or said.
    fn said(&self, name: &str) -> Option<String> {
        self.get(name).filter(|text| !text.is_empty()).map(|text| app::printable(text.as_bytes()))
    }

    fn mac(&self, name: &str) -> Option<[u8; 6]> {
        self.get(name).and_then(mac)
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("T" | "true"))
    }
}

/// Reads a TSV row.
pub(super) fn tsv(header: &Header, line: &str) -> Result<LogRow, &'static str> {
    let mut parts = line.split(header.separator);
    let mut values = Vec::with_capacity(header.fields.len());
    for name in &header.fields {
        let Some(value) = parts.next() else { return Err("too few columns") };
        if value == header.unset {
            continue;
        }
        let is_list = matches!(
            name.as_str(),
            "answers" | "TTLs" | "proxied" | "tunnel_parents" | "resp_mime_types" | "msg_types" | "uids"
        );
        let text = match (value == header.empty, is_list) {
            (true, true) => Text::Many(Vec::new()),
            (true, false) => Text::One(""),
            (false, true) => Text::Many(value.split(header.set_separator.as_str()).map(unescape).collect()),
            (false, false) if value.contains("\\x") => Text::Owned(unescape(value)),
            (false, false) => Text::One(value),
        };
        values.push((name.as_str(), text));
    }
    if parts.next().is_some() {
        return Err("too many columns");
    }
    row(&header.path, &Values(values))
}

/// `\x2c`: how Zeek writes separators and what is not printable.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.strip_prefix(b"x").and_then(|hex| hex.first_chunk::<2>());
        let byte = hex.filter(|_| *first == b'\\').and_then(|hex| std::str::from_utf8(hex).ok());
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether an object is one of Zeek's.
pub(super) fn is_zeek(object: &serde_json::Map<String, Value>) -> bool {
    // The log of DHCP has no connection.
    let is_row = |object: &serde_json::Map<String, Value>| {
        let has = |name| object.contains_key(name);
        has("id.orig_h") || has("msg_types") && (has("uids") || has("_path"))
    };
    is_row(object) || wrapped(object).is_some_and(|(_, inner)| is_row(inner))
}

/// `{"dns": {…}}`, as the Kafka plugin writes.
fn wrapped(object: &serde_json::Map<String, Value>) -> Option<(&str, &serde_json::Map<String, Value>)> {
    match object.iter().next() {
        Some((name, Value::Object(inner))) if object.len() == 1 => Some((name, inner)),
        _ => None,
    }
}

/// Reads a JSON row.
pub(super) fn json(object: &serde_json::Map<String, Value>) -> Result<LogRow, &'static str> {
    let (path, object) = wrapped(object).unwrap_or(("", object));
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let values = object.iter().filter_map(|(name, value)| {
        let text = match value {
            Value::Null | Value::Object(_) => return None,
            Value::String(text) => Text::One(text),
            Value::Array(list) => Text::Many(list.iter().map(text).collect()),
            other => Text::Owned(other.to_string()),
        };
        Some((name.as_str(), text))
    });
    let values = Values(values.collect());
    let path = values.get("_path").unwrap_or(path).to_owned();
    row(&path, &values)
}

fn row(path: &str, values: &Values<'_>) -> Result<LogRow, &'static str> {
    // Logs without a path are told by their own columns.
    let path = match path.rsplit('/').next().unwrap_or_default() {
        "" if values.get("conn_state").is_some() || values.get("history").is_some() => "conn",
        "" if values.has("msg_types") || values.has("assigned_ip") => "dhcp",
        "" if values.get("trans_id").is_some() || values.get("qtype_name").is_some() => "dns",
        "" if values.get("method").is_some()
            || values.get("status_code").is_some()
            || values.get("trans_depth").is_some() =>
        {
            "http"
        }
        "" if values.get("cipher").is_some() || values.get("server_name").is_some() => "ssl",
        path => path,
    };
    let time = values.get("ts").and_then(|text| epoch(text).or_else(|| iso(text)).or_else(|| seconds(text)));
    let ts = time.ok_or("no time")?;
    match path.trim_start_matches("open_").trim_end_matches("_cut") {
        "conn" => conn(ts, values).map(|row| LogRow::Connection(Box::new(row))),
        "dhcp" => dhcp(ts, values).map(|row| LogRow::Dhcp(Box::new(row))),
        "dns" => dns(ts, values).map(|row| LogRow::Dns(Box::new(row))),
        "http" => http(ts, values).map(|row| LogRow::Request(Box::new(row))),
        "ssl" | "tls" => ssl(ts, values).map(|row| LogRow::Request(Box::new(row))),
        _ => Err("a log that is not kept"),
    }
}

fn pair(values: &Values<'_>, proto: u8) -> Result<AddressPair, &'static str> {
    let ip = |names: [&str; 2]| names.iter().find_map(|n| values.number::<IpAddr>(n)).map(Ip::from_ip_addr);
    let port = |names: [&str; 2]| names.iter().find_map(|n| values.number::<u16>(n));
    let (src, version) = ip(["id.orig_h", "src"]).ok_or("no originator")?;
    let (dst, other) = ip(["id.resp_h", "dst"]).ok_or("no responder")?;
    if version != other {
        return Err("addresses of two versions");
    }
    let (src_port, dst_port) =
        (port(["id.orig_p", "src_port"]).unwrap_or_default(), port(["id.resp_p", "dst_port"]).unwrap_or_default());
    Ok(AddressPair { src, dst, src_port, dst_port, proto, version })
}

fn protocol(values: &Values<'_>) -> u8 {
    let v6 = values.get("id.orig_h").is_some_and(|ip| ip.contains(':'));
    values.number("ip_proto").unwrap_or(match values.get("proto") {
        Some("tcp") => 6,
        Some("udp") => 17,
        Some("icmp") if v6 => 58,
        Some("icmp") => 1,
        Some("icmp6") => 58,
        Some(other) => other.parse().unwrap_or(0),
        None => 0,
    })
}

fn conn(ts: Nanos, values: &Values<'_>) -> Result<LogConnection, &'static str> {
    let pair = pair(values, protocol(values))?;
    let duration =
        values.get("duration").and_then(|text| seconds(text).or_else(|| clock_duration(text))).unwrap_or_default();
    // IP bytes where they were counted, else the payload's.
    let bytes = |ip: &str, payload: &str| values.number::<u64>(ip).or_else(|| values.number(payload));
    let back = (values.number("resp_pkts"), bytes("resp_ip_bytes", "resp_bytes"));
    let last = Nanos(ts.0.saturating_add(duration.0));
    Ok(LogConnection {
        src_packets: values.number("orig_pkts").unwrap_or_default(),
        src_bytes: bytes("orig_ip_bytes", "orig_bytes").unwrap_or_default(),
        dst: match back {
            (None, None) => None,
            (packets, bytes) => Some((packets.unwrap_or_default(), bytes.unwrap_or_default())),
        },
        conn_state: values.text("conn_state"),
        history: values.text("history"),
        service: values.text("service"),
        vlan: values.number("inner_vlan").or_else(|| values.number("vlan")),
        tunnelled: !values.list("tunnel_parents").is_empty(),
        macs: values.mac("orig_l2_addr").zip(values.mac("resp_l2_addr")),
        ..LogConnection::new(LogKind::Zeek, ts, last, pair)
    })
}

/// `0:00:01.5`, as some JSON writers put intervals.
fn clock_duration(text: &str) -> Option<Nanos> {
    let mut parts = text.splitn(3, ':');
    let (hours, minutes): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let rest = seconds(parts.next()?)?;
    Some(Nanos(
        hours
            .checked_mul(3_600)?
            .checked_add(minutes.checked_mul(60)?)?
            .checked_mul(1_000_000_000)?
            .checked_add(rest.0)?,
    ))
}

fn dns(ts: Nanos, values: &Values<'_>) -> Result<LogDns, &'static str> {
    let proto = if values.get("proto") == Some("tcp") { 6 } else { 17 };
    let pair = pair(values, proto)?;
    let ttls = values.list("TTLs");
    let ttl = |at: usize| ttls.get(at).and_then(|ttl| seconds(ttl)).map_or(0, |ttl| (ttl.0 / 1_000_000_000) as u32);
    let answers =
        values.list("answers").into_iter().enumerate().map(|(at, data)| LogAnswer::new(data, ttl(at))).collect();
    Ok(LogDns {
        kind: LogKind::Zeek,
        first: ts,
        rtt: values.get("rtt").and_then(|text| seconds(text).or_else(|| clock_duration(text))),
        pair,
        transport: DnsTransport::of(proto, pair.dst_port),
        id: values.number("trans_id").unwrap_or_default(),
        query: values.text("query").unwrap_or_default(),
        qtype: values.number("qtype").unwrap_or_default(),
        qclass: values.number("qclass").unwrap_or_default(),
        rcode: values.number("rcode"),
        bits: ["AA", "TC", "RD", "RA"].map(|name| values.flag(name)),
        answers,
    })
}

/// The log of Zeek since 2.6; of before, which has one row for an acknowledgement.
fn dhcp(ts: Nanos, values: &Values<'_>) -> Result<LogDhcp, &'static str> {
    // What stands there has to be an address; 0.0.0.0 says that there is none.
    let ip = |names: [&str; 2]| match names.iter().find_map(|name| values.get(name)).map(str::parse::<IpAddr>) {
        Some(Err(_)) => Err("an address that is none"),
        Some(Ok(ip)) if !ip.is_unspecified() => Ok(Some(ip)),
        _ => Ok(None),
    };
    let port = |names: [&str; 2]| names.iter().find_map(|name| values.number(name));
    let length = |name: &str| values.get(name).and_then(|text| seconds(text).or_else(|| clock_duration(text)));
    Ok(LogDhcp {
        kind: LogKind::Zeek,
        first: ts,
        duration: length("duration"),
        xid: values.number("trans_id"),
        client_addr: ip(["client_addr", "id.orig_h"])?,
        client_port: port(["client_port", "id.orig_p"]),
        server_addr: ip(["server_addr", "id.resp_h"])?,
        server_port: port(["server_port", "id.resp_p"]),
        mac: values.mac("mac"),
        host_name: values.said("host_name"),
        client_fqdn: values.said("client_fqdn"),
        domain: values.said("domain"),
        requested_addr: ip(["requested_addr", "requested_ip"])?,
        assigned_addr: ip(["assigned_addr", "assigned_ip"])?,
        lease_time: length("lease_time").and_then(|time| u32::try_from(time.0 / 1_000_000_000).ok()),
        client_message: values.said("client_message"),
        server_message: values.said("server_message"),
        msg_types: values.list("msg_types"),
    })
}

fn request(ts: Nanos, values: &Values<'_>) -> Result<LogRequest, &'static str> {
    Ok(LogRequest::of_pair(LogKind::Zeek, ts, &pair(values, 6)?))
}

fn http(ts: Nanos, values: &Values<'_>) -> Result<LogRequest, &'static str> {
    let mut row = request(ts, values)?;
    row.method = values.text("method").unwrap_or_default();
    row.host = values.text("host").unwrap_or_default();
    row.set_target(values.get("uri").unwrap_or_default());
    row.user_agent = values.text("user_agent");
    row.referer = values.text("referrer");
    row.username = values.text("username");
    row.status = values.number("status_code");
    row.content_type = values.list("resp_mime_types").into_iter().next();
    row.request_bytes = values.number("request_body_len");
    row.response_bytes = values.number("response_body_len");
    Ok(row)
}

fn ssl(ts: Nanos, values: &Values<'_>) -> Result<LogRequest, &'static str> {
    let mut row = request(ts, values)?;
    row.set_tunnel(values.text("server_name"));
    row.tls_version = values.text("version");
    row.tls_alpn = values.text("next_protocol");
    Ok(row)
}
