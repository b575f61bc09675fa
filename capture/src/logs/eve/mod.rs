//! Suricata's EVE log: an event a line. Events of flows, DNS, DHCP, HTTP, TLS and QUIC are rows; all others (alerts, statistics, files, …) are
//! lines of no row.
//!
//! A question and its answer are two events (in the log's DNS version 1 an event a record of the answer), the messages of a lease up to four;
//! each exchange becomes one row, as on the wire. What waits is bounded, in number and by the log's own clock, and comes out as it is.
//!
//! Suricata counts the bytes of whole Ethernet frames. Rows have those of IP: less 14 a packet, and 4 for each VLAN tag.

mod dhcp;
mod waiting;

use std::net::IpAddr;

use serde_json::{Map, Value};

use self::waiting::Waiting;
use super::row::{LogAnswer, LogConnection, LogDhcp, LogDns, LogKind, LogRequest, LogRow};
use super::text::{iso, protocol, qtype, rcode};
use crate::{AddressPair, DnsTransport, Ip, Nanos};

/// Longest name: 255 octets, each as `\DDD`. Names are what is remembered.
const NAME: usize = 1_024;
/// An answer later than this is one without its question; so is a message of a lease.
const PATIENCE: i64 = 60_000_000_000;
/// Records of one answer stand together, each in a line of its own.
const TOGETHER: i64 = 1_000_000_000;
/// Records of an answer of version 1, more than a message has room for.
const RECORDS: usize = 8_192;
const ETHERNET: u64 = 14;
const VLAN_TAG: u64 = 4;

/// Whether an object is an event.
pub(super) fn is_eve(object: &Map<String, Value>) -> bool {
    object.get("event_type").is_some_and(Value::is_string) && object.contains_key("timestamp")
}

/// Which questions an answer may belong to: flow and DNS id.
type Key = (u64, u16);

/// Reads events.
#[derive(Debug)]
pub(super) struct Eve {
    questions: Waiting<Key, LogDns>,
    /// Answers of version 1 that may have more records.
    answers: Waiting<Key, LogDns>,
    leases: Waiting<dhcp::Key, LogDhcp>,
    /// The latest time of an event that may wait.
    now: Nanos,
    /// Events that were none of a kind that is kept, or that wait.
    pub(super) rowless: u64,
}

impl Default for Eve {
    fn default() -> Self {
        Self {
            questions: Waiting::new(PATIENCE),
            answers: Waiting::new(TOGETHER),
            leases: Waiting::new(PATIENCE),
            now: Nanos(0),
            rowless: 0,
        }
    }
}

impl Eve {
    /// Reads an event; `None` where it gives no row, or not yet.
    pub(super) fn row(&mut self, object: &Map<String, Value>) -> Option<Result<LogRow, &'static str>> {
        let event = Event(object);
        let row = match event.text("event_type").unwrap_or_default() {
            "flow" => Some(event.flow().map(|row| LogRow::Connection(Box::new(row)))),
            "dns" => self.dns(&event).map(|row| row.map(|row| LogRow::Dns(Box::new(row)))),
            "dhcp" => self.dhcp(&event).map(|row| row.map(|row| LogRow::Dhcp(Box::new(row)))),
            "http" => Some(event.http().map(|row| LogRow::Request(Box::new(row)))),
            "tls" => Some(event.tls().map(|row| LogRow::Request(Box::new(row)))),
            "quic" => event.quic().map(|row| row.map(|row| LogRow::Request(Box::new(row)))),
            _ => None,
        };
        self.rowless += u64::from(row.is_none());
        row
    }

    fn dns(&mut self, event: &Event<'_>) -> Option<Result<LogDns, &'static str>> {
        let (row, part) = match event.dns() {
            Ok(read) => read,
            Err(reason) => return Some(Err(reason)),
        };
        let at = row.first;
        self.now = self.now.max(at);
        let key = (event.number("flow_id").unwrap_or_default(), row.id);
        match part {
            Part::Question => self.questions.push(key, at, row),
            Part::Answer => {
                let same = |asked: &LogDns| asked.qtype == row.qtype && asked.query.eq_ignore_ascii_case(&row.query);
                return Some(Ok(match self.questions.take(&key, same) {
                    Some(question) => answered(question, row),
                    None => row,
                }));
            }
            Part::Record => match self.answers.first_mut(&key).filter(|row| row.answers.len() < RECORDS) {
                Some(answer) => answer.answers.extend(row.answers),
                None => {
                    let question = self.questions.take(&key, |_| true);
                    // A record is of another name and type than the question where there are aliases.
                    let answer = match question {
                        Some(question) => LogDns { qtype: question.qtype, ..answered(question, row) },
                        None => row,
                    };
                    self.answers.push(key, at, answer);
                }
            },
        }
        None
    }

    fn dhcp(&mut self, event: &Event<'_>) -> Option<Result<LogDhcp, &'static str>> {
        let (key, message, is_last) = match event.dhcp() {
            Ok(read) => read,
            Err(reason) => return Some(Err(reason)),
        };
        let at = message.first;
        self.now = self.now.max(at);
        let is_full = match self.leases.first_mut(&key) {
            Some(row) => dhcp::add(row, message),
            None => {
                self.leases.push(key, at, message);
                false
            }
        };
        if is_last || is_full { self.leases.take(&key, |_| true).map(Ok) } else { None }
    }

    /// Rows that take room.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.questions.remembered() + self.answers.remembered() + self.leases.remembered()
    }

    /// A row that waited for too long; at the end (`all`), any that waits.
    pub(super) fn unanswered(&mut self, all: bool) -> Option<LogRow> {
        let dns = self.answers.due(self.now, all).or_else(|| self.questions.due(self.now, all));
        let dns = dns.map(|row| LogRow::Dns(Box::new(row)));
        dns.or_else(|| self.leases.due(self.now, all).map(|row| LogRow::Dhcp(Box::new(row))))
    }
}

/// What an event of DNS is.
#[derive(Clone, Copy)]
enum Part {
    Question,
    Answer,
    /// A record of an answer, or its failure, of version 1.
    Record,
}

fn answered(question: LogDns, answer: LogDns) -> LogDns {
    let rtt = answer.first.0.checked_sub(question.first.0).filter(|rtt| *rtt >= 0).map(Nanos);
    LogDns { first: question.first, rtt, query: question.query, ..answer }
}

/// As of the wire: `TLSv1.2`.
fn tls_version(text: &str) -> String {
    match text.strip_prefix("TLS ") {
        Some(number) => format!("TLSv{number}"),
        None if text == "TLSv1" => "TLSv1.0".to_owned(),
        None => text.to_owned(),
    }
}

/// An event, or a part of one.
#[derive(Clone, Copy)]
struct Event<'a>(&'a Map<String, Value>);

impl<'a> Event<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(Value::as_u64)
    }

    fn narrow<T: TryFrom<u64>>(&self, name: &str) -> Option<T> {
        self.number(name).and_then(|number| T::try_from(number).ok())
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn part(&self, name: &str) -> Option<Self> {
        self.0.get(name).and_then(Value::as_object).map(Self)
    }

    fn parts(&self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        self.0.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).map(Self)
    }

    fn texts(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    fn time(&self, name: &str) -> Option<Nanos> {
        self.text(name).and_then(iso)
    }

    /// Octet of hexadecimal digits, as flags are written.
    fn octet(&self, name: &str) -> Option<u8> {
        u8::from_str_radix(self.text(name)?, 16).ok()
    }

    fn pair(&self) -> Result<AddressPair, &'static str> {
        let ip = |name| self.text(name).and_then(|text| text.parse::<IpAddr>().ok()).map(Ip::from_ip_addr);
        let (src, version) = ip("src_ip").ok_or("no source")?;
        let (dst, other) = ip("dest_ip").ok_or("no destination")?;
        if version != other {
            return Err("addresses of two versions");
        }
        let proto = self.text("proto").and_then(protocol).ok_or("no protocol")?;
        let (src_port, dst_port) = match proto {
            1 | 58 => (self.narrow::<u8>("icmp_type").map(u16::from), self.narrow::<u8>("icmp_code").map(u16::from)),
            _ => (self.narrow("src_port"), self.narrow("dest_port")),
        };
        let (src_port, dst_port) = (src_port.unwrap_or_default(), dst_port.unwrap_or_default());
        Ok(AddressPair { src, dst, src_port, dst_port, proto, version })
    }

    fn flow(&self) -> Result<LogConnection, &'static str> {
        let flow = self.part("flow").ok_or("no flow")?;
        let pair = self.pair()?;
        let first = flow.time("start").or_else(|| self.time("timestamp")).ok_or("no time")?;
        let last = flow.time("end").or_else(|| self.time("timestamp")).unwrap_or(first).max(first);
        let vlans: Vec<u64> =
            self.0.get("vlan").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64).collect();
        let link = ETHERNET + VLAN_TAG * vlans.len() as u64;
        let side = |packets: &str, bytes: &str| {
            let packets = flow.number(packets)?;
            Some((packets, flow.number(bytes)?.saturating_sub(packets.saturating_mul(link))))
        };
        let (src_packets, src_bytes) = side("pkts_toserver", "bytes_toserver").ok_or("no packets")?;
        let tcp = self.part("tcp").filter(|_| pair.proto == 6);
        Ok(LogConnection {
            src_packets,
            src_bytes,
            dst: side("pkts_toclient", "bytes_toclient"),
            tcp_flags: tcp.and_then(|tcp| tcp.octet("tcp_flags_ts")),
            dst_tcp_flags: tcp.and_then(|tcp| tcp.octet("tcp_flags_tc")),
            service: self.text("app_proto").filter(|name| *name != "failed").map(str::to_owned),
            vlan: vlans.last().and_then(|id| u16::try_from(*id).ok()),
            ..LogConnection::new(LogKind::Suricata, first, last, pair)
        })
    }

    /// A question, an answer or a part of one. Version 3 (Suricata 8) has answers from the server to the client, those before from
    /// the client to the server; version 1 does not name itself.
    fn dns(&self) -> Result<(LogDns, Part), &'static str> {
        let dns = self.part("dns").ok_or("no dns")?;
        let is_answer = match dns.text("type") {
            Some("query" | "request") => false,
            Some("answer" | "response") => true,
            _ => return Err("neither a question nor an answer"),
        };
        let part = match (is_answer, dns.number("version")) {
            (false, _) => Part::Question,
            (true, None) => Part::Record,
            (true, Some(_)) => Part::Answer,
        };
        let pair = self.pair()?;
        let is_server = |port: u16| matches!(port, 53 | 5353 | 5355);
        let is_reversed = match (is_server(pair.src_port), is_server(pair.dst_port)) {
            (false, true) => false,
            (true, false) => true,
            _ => is_answer && dns.number("version") == Some(3),
        };
        let pair = if is_reversed { pair.reversed() } else { pair };
        let question = dns.parts("queries").next().unwrap_or(dns);
        let query = question.owned("rrname").unwrap_or_default();
        if query.len() > NAME {
            return Err("a name longer than names are");
        }
        let flags = dns.text("flags").and_then(|text| u16::from_str_radix(text, 16).ok());
        let bits = [("aa", 10), ("tc", 9), ("rd", 8), ("ra", 7)];
        let named = || dns.text("rcode").and_then(rcode);
        let row = LogDns {
            kind: LogKind::Suricata,
            first: self.time("timestamp").ok_or("no time")?,
            rtt: None,
            pair,
            transport: DnsTransport::of(pair.proto, pair.dst_port),
            id: dns.narrow("id").unwrap_or_default(),
            query,
            qtype: question.text("rrtype").and_then(qtype).unwrap_or_default(),
            qclass: 1,
            rcode: if is_answer { flags.map(|flags| flags & 0xf).or_else(named) } else { None },
            bits: bits.map(|(name, bit)| flags.map_or_else(|| dns.flag(name), |flags| flags >> bit & 1 == 1)),
            answers: match part {
                Part::Question => Vec::new(),
                Part::Answer => dns.parts("answers").map(|answer| answer.answer()).collect(),
                // A failure has no data; of what stands in for an answer (SOA), version 1 logs none.
                Part::Record => dns.text("rdata").map(|_| dns.answer()).into_iter().collect(),
            },
        };
        Ok((row, part))
    }

    fn answer(&self) -> LogAnswer {
        let target = || self.part("srv").and_then(|srv| srv.owned("name").or_else(|| srv.owned("target")));
        LogAnswer {
            data: self.owned("rdata").or_else(target).unwrap_or_default(),
            ttl: self.narrow("ttl").unwrap_or_default(),
            rtype: self.text("rrtype").and_then(qtype),
        }
    }

    /// The client, its server and the time of a request.
    fn request(&self) -> Result<LogRequest, &'static str> {
        let pair = self.pair()?;
        let time = self.time("timestamp").ok_or("no time")?;
        Ok(LogRequest::of_pair(LogKind::Suricata, time, &pair))
    }

    fn http(&self) -> Result<LogRequest, &'static str> {
        let http = self.part("http").ok_or("no http")?;
        let mut row = self.request()?;
        row.method = http.owned("http_method").unwrap_or_default();
        row.host = http.owned("hostname").unwrap_or_default();
        row.set_target(http.text("url").unwrap_or_default());
        row.user_agent = http.owned("http_user_agent");
        row.referer = http.owned("http_refer");
        row.content_type = http.owned("http_content_type");
        row.status = http.narrow("status");
        row.response_bytes = http.number("length");
        Ok(row)
    }

    fn tls(&self) -> Result<LogRequest, &'static str> {
        let tls = self.part("tls").ok_or("no tls")?;
        let mut row = self.request()?;
        row.set_tunnel(tls.owned("sni"));
        row.tls_version = tls.text("version").map(tls_version);
        row.tls_alpn = tls.texts("client_alpns").next().map(str::to_owned);
        row.ja4 = tls.owned("ja4");
        Ok(row)
    }

    /// The ClientHello that a QUIC connection begins with; other packets have none.
    fn quic(&self) -> Option<Result<LogRequest, &'static str>> {
        let quic = self.part("quic").filter(|quic| quic.text("sni").is_some())?;
        let row = self.request().map(|mut row| {
            row.set_tunnel(quic.owned("sni"));
            // TLS 1.3 is part of QUIC (RFC 9001).
            row.tls_version = Some("TLSv1.3".to_owned());
            let alpn = quic.parts("extensions").find(|extension| extension.number("type") == Some(16));
            row.tls_alpn = alpn.and_then(|alpn| alpn.texts("values").next().map(str::to_owned));
            row.ja4 = quic.owned("ja4");
            row
        });
        Some(row)
    }
}
