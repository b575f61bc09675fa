//! From the values of a mapped row to a row of a table. What is given and cannot be read refuses the row: a mapping that is
//! wrong must not pass for a log without these columns.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use super::Time;
use super::columns::Table;
use crate::logs::row::{LogAnswer, LogConnection, LogDns, LogKind, LogRequest, LogRow};
use crate::logs::text::{common, epoch, iso, protocol, qtype, rcode, seconds};
use crate::{AddressPair, DnsTransport, Ip, IpVersion, Nanos};

type Refused = &'static str;

/// The values of a row, by our names.
struct Values<'a>(&'a BTreeMap<&'static str, String>);

impl Values<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn number<T: FromStr + TryFrom<u64>>(&self, name: &str) -> Result<Option<T>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        // Some write every number with a point.
        let text = text.strip_suffix(".0").unwrap_or(text);
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok().and_then(|n| n.try_into().ok()),
            None => text.parse().ok(),
        };
        number.map(Some).ok_or("a number that is none, or too large")
    }

    fn ip(&self, name: &str) -> Result<Option<IpAddr>, Refused> {
        self.text(name).map(|text| text.parse().map_err(|_| "an address that is none")).transpose()
    }

    fn time(&self, name: &str, time: Time) -> Result<Option<Nanos>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let read = match time {
            Time::Epoch(1) => epoch(text),
            Time::Epoch(parts) => {
                let (whole, _) = text.split_once('.').unwrap_or((text, ""));
                whole.parse::<i64>().ok().and_then(|n| n.checked_mul(1_000_000_000 / parts)).map(Nanos)
            }
            Time::Iso => iso(text),
            Time::Common => common(text.trim_matches(['[', ']'])),
        };
        read.map(Some).ok_or("a time that is not written as the mapping says")
    }

    /// In seconds, or in thousandths by the name with `_ms`.
    fn duration(&self, name: &str) -> Result<Option<Nanos>, Refused> {
        if let Some(text) = self.text(name) {
            return seconds(text).map(Some).ok_or("a duration that is no number of seconds");
        }
        let Some(text) = self.text(&format!("{name}_ms")) else { return Ok(None) };
        let thousandths = text.parse::<f64>().ok().filter(|n| n.is_finite() && (0.0..1e12).contains(n));
        thousandths.map(|n| Some(Nanos((n * 1e6) as i64))).ok_or("a duration that is no number of milliseconds")
    }

    fn ends(&self, src: &str, dst: &str) -> Result<(Ip, Ip, IpVersion), Refused> {
        let (src, version) = self.ip(src)?.map(Ip::from_ip_addr).ok_or("no source address")?;
        let (dst, other) = self.ip(dst)?.map(Ip::from_ip_addr).ok_or("no destination address")?;
        if version == other { Ok((src, dst, version)) } else { Err("addresses of two versions") }
    }
}

/// Makes a row.
pub(super) fn row(
    kind: LogKind,
    table: Table,
    time: Time,
    values: &BTreeMap<&'static str, String>,
) -> Result<LogRow, Refused> {
    let values = Values(values);
    let first = values.time("first_seen", time)?.ok_or("no time")?;
    match table {
        Table::Flow => flow(kind, first, time, &values).map(|row| LogRow::Connection(Box::new(row))),
        Table::Dns => dns(kind, first, &values).map(|row| LogRow::Dns(Box::new(row))),
        Table::Proxy => proxy(kind, first, &values).map(|row| LogRow::Request(Box::new(row))),
    }
}

fn flow(kind: LogKind, first: Nanos, time: Time, values: &Values<'_>) -> Result<LogConnection, Refused> {
    let (src, dst, version) = values.ends("src_ip", "dst_ip")?;
    let proto = values.text("proto").map_or(Ok(0), |text| protocol(text).ok_or("a protocol that is not known"))?;
    let (src_port, dst_port): (u16, u16) =
        (values.number("src_port")?.unwrap_or_default(), values.number("dst_port")?.unwrap_or_default());
    // ICMP: type and code are in the destination port, as in the lake.
    let (src_port, dst_port) =
        if matches!(proto, 1 | 58) { (dst_port >> 8, dst_port & 0xff) } else { (src_port, dst_port) };
    let lasted = values.duration("duration")?.map(|duration| Nanos(first.0.saturating_add(duration.0)));
    let last = values.time("last_seen", time)?.or(lasted).unwrap_or(first).max(first);
    let back: (Option<u64>, Option<u64>) = (values.number("dst_packets")?, values.number("dst_bytes")?);
    let is_back = back.0.is_some() || back.1.is_some();
    let pair = AddressPair { src, dst, src_port, dst_port, proto, version };
    Ok(LogConnection {
        src_packets: values.number("src_packets")?.unwrap_or_default(),
        src_bytes: values.number("src_bytes")?.unwrap_or_default(),
        dst: is_back.then(|| (back.0.unwrap_or_default(), back.1.unwrap_or_default())),
        tcp_flags: tcp_flags(values)?.filter(|_| proto == 6),
        tos: values.number("src_tos")?,
        service: values.owned("service"),
        vlan: values.number("vlan")?.filter(|id| *id != 0),
        sampling: values.number("sampling")?.filter(|rate| *rate > 0).unwrap_or(1),
        exporter: values.ip("exporter_ip")?,
        input_if: values.number("input_if")?,
        output_if: values.number("output_if")?,
        src_as: values.number("src_as")?,
        dst_as: values.number("dst_as")?,
        ..LogConnection::new(kind, first, last, pair)
    })
}

/// A number, or letters as nfdump writes them: `.AP.SF`.
fn tcp_flags(values: &Values<'_>) -> Result<Option<u8>, Refused> {
    let Some(text) = values.text("src_tcp_flags") else { return Ok(None) };
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return values.number::<u16>("src_tcp_flags").map(|flags| flags.map(|flags| flags as u8));
    }
    let bit = |letter: char| "FSRPAUEC".find(letter.to_ascii_uppercase()).map(|bit| 1_u8 << bit);
    let letters = text.chars().filter(|letter| *letter != '.');
    letters.map(bit).try_fold(0, |all, bit| bit.map(|bit| all | bit)).map(Some).ok_or("TCP flags that are none")
}

fn dns(kind: LogKind, first: Nanos, values: &Values<'_>) -> Result<LogDns, Refused> {
    let (src, dst, version) = values.ends("client_ip", "server_ip")?;
    let is_tcp = match values.text("transport").map(str::to_ascii_lowercase).as_deref() {
        None | Some("udp") => false,
        Some("tcp" | "tls" | "dot" | "https" | "doh") => true,
        Some(_) => return Err("a transport that is not known"),
    };
    let number = |name: &str, known: fn(&str) -> Option<u16>| match values.text(name) {
        None => Ok(None),
        Some(text) => text.parse().ok().or_else(|| known(text)).map(Some).ok_or("a name of DNS that is not known"),
    };
    let (src_port, dst_port) =
        (values.number("client_port")?.unwrap_or_default(), values.number("server_port")?.unwrap_or(53));
    Ok(LogDns {
        first,
        rtt: values.duration("rtt")?,
        pair: AddressPair { src, dst, src_port, dst_port, proto: if is_tcp { 6 } else { 17 }, version },
        transport: if is_tcp { DnsTransport::Tcp } else { DnsTransport::Udp },
        id: values.number("id")?.unwrap_or_default(),
        query: values.owned("qname").ok_or("no name")?,
        qtype: number("qtype", qtype)?.unwrap_or_default(),
        qclass: number("qclass", |text| text.eq_ignore_ascii_case("in").then_some(1))?.unwrap_or(1),
        rcode: number("rcode", rcode)?,
        bits: [false; 4],
        answers: values
            .text("answers")
            .map(|text| text.split([',', ';']).map(|answer| LogAnswer::new(answer.trim(), 0)).collect())
            .unwrap_or_default(),
        kind,
    })
}

fn proxy(kind: LogKind, first: Nanos, values: &Values<'_>) -> Result<LogRequest, Refused> {
    let client = values.ip("client_ip")?.ok_or("no client address")?;
    let mut row = LogRequest::new(kind, first, client);
    row.client_port = values.number("client_port")?;
    row.server_ip = values.ip("server_ip")?;
    row.method = values.owned("method").unwrap_or_default();
    if let Some(uri) = values.text("full_uri") {
        row.set_uri(uri);
    }
    let or = |text: Option<String>, was: String| text.unwrap_or(was);
    row.scheme = or(values.owned("scheme"), row.scheme);
    row.host = or(values.owned("host"), row.host);
    row.server_port = values.number("server_port")?.or(row.server_port);
    if let Some(path) = values.text("uri_path") {
        row.set_path(path);
    }
    row.uri_query = values.owned("uri_query").or(row.uri_query);
    if row.full_uri.is_empty() {
        row.compose_uri();
    }
    row.user_agent = values.owned("user_agent");
    row.referer = values.owned("referer");
    row.content_type = values.owned("content_type");
    row.status = values.number("status")?.filter(|status| *status != 0);
    row.username = values.owned("username");
    row.auth_group = values.owned("auth_group");
    row.category = values.owned("category");
    row.action = values.owned("action");
    row.filter_result = values.owned("filter_result");
    row.exception_id = values.owned("exception_id");
    row.virus_id = values.owned("virus_id");
    row.app_name = values.owned("app_name");
    row.app_operation = values.owned("app_operation");
    row.duration_us = values.duration("duration")?.and_then(|duration| u64::try_from(duration.micros()).ok());
    row.request_bytes = values.number("request_bytes")?;
    row.response_bytes = values.number("response_bytes")?;
    row.tls_version = values.owned("tls_version");
    row.tls_sni = values.owned("tls_sni");
    row.tls_alpn = values.owned("tls_alpn");
    Ok(row)
}
