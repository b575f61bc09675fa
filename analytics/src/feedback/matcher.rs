//! What a rule or a verdict is about: conditions on a record, all of which must hold.

use std::net::IpAddr;

use aggregator::lake::Source;

use super::span::Span;
use crate::detect::domain::is_under;
use crate::detect::rows::within;
use crate::sql::Param;

/// Characters a text of a matcher may have.
const MAX_TEXT: usize = 2048;

/// Conditions on a record; everything stated must hold. JSON in the state database and in the API.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// A group, by its `group_id` in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The initiator or client: an address or a network (`10.1.0.0/16`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The responder or server, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Either of them, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// flow: the responder's port or a range of ports (`"8000-8100"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Span>,
    /// flow: the initiator's, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_port: Option<Span>,
    /// flow: IANA protocol number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<u8>,
    /// flow: packets of the initiator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<Span>,
    /// flow: bytes of the initiator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Span>,
    /// dns, proxy: a domain; `qname` or `host` is it or lies under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// dns: type of the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qtype: Option<u16>,
    /// proxy: what the URI begins with, with or without its scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// proxy: the user agent, exactly; a `*` at the end stands for any rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// Why a matcher is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MatcherError {
    /// Not the JSON of one.
    #[error("a matcher: {0}")]
    Json(String),
    /// It would take everything.
    #[error("a matcher must state at least one condition, or it would take every record")]
    Empty,
    /// Not an address or network.
    #[error("{field} must be an address or a network (10.1.0.0/16), not {found:?}")]
    Network {
        /// Which field.
        field: &'static str,
        /// What stands there.
        found: String,
    },
    /// Not sixteen hexadecimal digits.
    #[error("group must be 16 hexadecimal digits, not {0:?}")]
    Group(String),
    /// A port past 65535.
    #[error("{field} must be from 0 to 65535, not {found}")]
    Port {
        /// Which field.
        field: &'static str,
        /// What stands there.
        found: Span,
    },
    /// A text that matches everything, or is too long.
    #[error("{field} must have 1 to {MAX_TEXT} characters beside blanks, dots and stars")]
    Text {
        /// Which field.
        field: &'static str,
    },
    /// Records of the source have no such field.
    #[error("{source_name} records have no {field}: {known} can be stated")]
    Field {
        /// flow, dns or proxy.
        source_name: &'static str,
        /// Which field.
        field: &'static str,
        /// Those it has.
        known: &'static str,
    },
}

/// What matchers look at in a record.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "they are the fields of the matcher")]
pub struct Seen<'a> {
    pub record_id: [u8; 16],
    pub host: Option<IpAddr>,
    pub peer: Option<IpAddr>,
    pub port: Option<u16>,
    pub src_port: Option<u16>,
    pub proto: Option<u8>,
    pub packets: Option<u64>,
    pub bytes: Option<u64>,
    pub name: Option<&'a str>,
    pub qtype: Option<u16>,
    pub uri: Option<&'a str>,
    pub agent: Option<&'a str>,
}

/// A network: an address and how many of its bits count.
pub type Network = (IpAddr, u8);

/// A matcher, read.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Pattern {
    pub(super) record: Option<[u8; 16]>,
    pub(super) group: Option<u64>,
    pub(super) host: Option<Network>,
    pub(super) peer: Option<Network>,
    pub(super) address: Option<Network>,
    pub(super) port: Option<Span>,
    pub(super) src_port: Option<Span>,
    pub(super) proto: Option<u8>,
    pub(super) packets: Option<Span>,
    pub(super) bytes: Option<Span>,
    pub(super) domain: Option<String>,
    pub(super) qtype: Option<u16>,
    pub(super) uri: Option<String>,
    pub(super) agent: Option<String>,
}

impl Matcher {
    /// Reads the JSON of a matcher.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(json: &str) -> Result<Self, MatcherError> {
        let matcher: Self = serde_json::from_str(json).map_err(|error| MatcherError::Json(error.to_string()))?;
        matcher.pattern().map(|_| matcher)
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        // Plain options of text and numbers: nothing of it can fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Is it sound, and are its fields those of a source?
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, source: Source) -> Result<(), MatcherError> {
        self.pattern()?;
        let known = match source {
            Source::Flow => "group, host, peer, address, port, src_port, proto, packets, bytes",
            Source::Dns => "group, host, peer, address, domain, qtype",
            Source::Proxy => "group, host, peer, address, domain, uri, agent",
        };
        let stated = [
            ("port", self.port.is_some()),
            ("src_port", self.src_port.is_some()),
            ("proto", self.proto.is_some()),
            ("packets", self.packets.is_some()),
            ("bytes", self.bytes.is_some()),
            ("domain", self.domain.is_some()),
            ("qtype", self.qtype.is_some()),
            ("uri", self.uri.is_some()),
            ("agent", self.agent.is_some()),
        ];
        match stated.iter().find(|(field, stated)| *stated && !known.split(", ").any(|name| name == *field)) {
            Some((field, _)) => Err(MatcherError::Field { source_name: source.as_str(), field, known }),
            None => Ok(()),
        }
    }

    pub(crate) fn pattern(&self) -> Result<Pattern, MatcherError> {
        if *self == Self::default() {
            return Err(MatcherError::Empty);
        }
        let network = |field, text: &Option<String>| {
            let wrong = |found: &str| MatcherError::Network { field, found: found.to_owned() };
            text.as_deref().map(|text| read_network(text).ok_or_else(|| wrong(text))).transpose()
        };
        let port = |field, span: Option<Span>| match span {
            Some(found) if found.high > u64::from(u16::MAX) => Err(MatcherError::Port { field, found }),
            span => Ok(span),
        };
        let words = |field, text: &Option<String>| match text.as_deref().map(str::trim) {
            Some(text) if text.trim_matches(['.', '*', ' ']).is_empty() || text.chars().count() > MAX_TEXT => {
                Err(MatcherError::Text { field })
            }
            text => Ok(text.map(str::to_owned)),
        };
        let group = self.group.as_deref().map(|text| {
            u64::from_str_radix(text, 16)
                .ok()
                .filter(|_| text.len() == 16 && !text.starts_with('+'))
                .ok_or_else(|| MatcherError::Group(text.to_owned()))
        });
        Ok(Pattern {
            record: None,
            group: group.transpose()?,
            host: network("host", &self.host)?,
            peer: network("peer", &self.peer)?,
            address: network("address", &self.address)?,
            port: port("port", self.port)?,
            src_port: port("src_port", self.src_port)?,
            proto: self.proto,
            packets: self.packets,
            bytes: self.bytes,
            domain: words("domain", &self.domain)?.map(|name| name.trim_matches('.').to_lowercase()),
            qtype: self.qtype,
            uri: words("uri", &self.uri)?.map(|uri| without_scheme(&uri).to_owned()),
            agent: words("agent", &self.agent)?,
        })
    }
}

/// `10.1.0.0/16`, `2001:db8::/32`, or an address.
pub fn read_network(text: &str) -> Option<Network> {
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let ip: IpAddr = ip.parse().ok()?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|_| !bits.starts_with('+')))?;
    (bits <= most).then_some((ip, bits))
}

fn without_scheme(uri: &str) -> &str {
    uri.split_once("://").map_or(uri, |(_, rest)| rest)
}

impl Pattern {
    pub(super) fn takes(&self, seen: &Seen<'_>, group: &dyn Fn() -> u64) -> bool {
        let lies = |network: Option<Network>, ip: Option<IpAddr>| match (network, ip) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((network, bits)), Some(ip)) => within(ip, network, bits),
        };
        let holds =
            |span: Option<Span>, number: Option<u64>| span.is_none_or(|span| number.is_some_and(|n| span.holds(n)));
        self.record.is_none_or(|record| record == seen.record_id)
            && lies(self.host, seen.host)
            && lies(self.peer, seen.peer)
            && (self.address.is_none() || lies(self.address, seen.host) || lies(self.address, seen.peer))
            && holds(self.port, seen.port.map(u64::from))
            && holds(self.src_port, seen.src_port.map(u64::from))
            && self.proto.is_none_or(|proto| seen.proto == Some(proto))
            && holds(self.packets, seen.packets)
            && holds(self.bytes, seen.bytes)
            && self.domain.as_deref().is_none_or(|domain| seen.name.is_some_and(|name| is_in_domain(name, domain)))
            && self.qtype.is_none_or(|qtype| seen.qtype == Some(qtype))
            && self.uri.as_deref().is_none_or(|uri| seen.uri.is_some_and(|seen| without_scheme(seen).starts_with(uri)))
            && self.agent.as_deref().is_none_or(|agent| seen.agent.is_some_and(|seen| is_agent(seen, agent)))
            && self.group.is_none_or(|wanted| wanted == group())
    }

    /// The condition as SQL on the records' own table, with the values of its placeholders numbered from `first`. `None` where a record alone does
    /// not say whether it is meant: groups are of scores.
    pub(super) fn condition(&self, source: Source, first: usize) -> Option<(String, Vec<Param>)> {
        let mut parts: Vec<String> = Vec::new();
        let mut params: Vec<Param> = Vec::new();
        let (host, peer) = match source {
            Source::Flow => ("src_ip", "dst_ip"),
            Source::Dns | Source::Proxy => ("client_ip", "server_ip"),
        };
        // From a parsed address and a number: no text from outside.
        let cidr = |column: &str, (ip, bits): Network| format!("in_cidr({column}, '{ip}/{bits}')");
        parts.extend(self.host.map(|network| cidr(host, network)));
        parts.extend(self.peer.map(|network| cidr(peer, network)));
        parts.extend(self.address.map(|network| format!("({} OR {})", cidr(host, network), cidr(peer, network))));
        for (column, span) in [
            ("dst_port", self.port),
            ("src_port", self.src_port),
            ("src_packets", self.packets),
            ("src_bytes", self.bytes),
            ("proto", self.proto.map(|proto| Span::of(proto.into()))),
            ("qtype", self.qtype.map(|qtype| Span::of(qtype.into()))),
        ] {
            parts.extend(
                span.map(|Span { low, high }| format!("CAST({column} AS BIGINT UNSIGNED) BETWEEN {low} AND {high}")),
            );
        }
        let mut value = |text: String| {
            params.push(text.into());
            format!("${}", first + params.len() - 1)
        };
        if let Some(record) = self.record {
            let record: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
            parts.push(format!("encode(record_id, 'hex') = {}", value(record)));
        }
        if let Some(domain) = &self.domain {
            let column = if matches!(source, Source::Dns) { "qname" } else { "host" };
            let (whole, under) = (value(domain.clone()), value(format!(".{domain}")));
            parts.push(format!("(lower({column}) = {whole} OR ends_with(lower({column}), {under}))"));
        }
        if let Some(uri) = &self.uri {
            let uri = value(uri.clone());
            parts.push(format!("starts_with(regexp_replace(full_uri, '^[A-Za-z]+://', ''), {uri})"));
        }
        match self.agent.as_deref().map(|agent| agent.strip_suffix('*').ok_or(agent)) {
            Some(Ok(beginning)) => {
                let beginning = value(beginning.to_owned());
                parts.push(format!("starts_with(user_agent, {beginning})"));
            }
            Some(Err(whole)) => {
                let whole = value(whole.to_owned());
                parts.push(format!("user_agent = {whole}"));
            }
            None => {}
        }
        (self.group.is_none() && !parts.is_empty()).then(|| (parts.join(" AND "), params))
    }
}

fn is_in_domain(name: &str, domain: &str) -> bool {
    let name = name.trim_end_matches('.');
    is_under(name, domain)
        || (name.bytes().any(|byte| byte.is_ascii_uppercase()) && is_under(&name.to_lowercase(), domain))
}

fn is_agent(seen: &str, agent: &str) -> bool {
    match agent.strip_suffix('*') {
        Some(beginning) => seen.starts_with(beginning),
        None => seen == agent,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn matchers_are_read_or_refused() {
        let matcher = Matcher::read(r#"{"host":"10.1.0.0/16","port":445}"#).unwrap();
        assert_eq!(matcher.port, Some(Span::of(445)));
        for bad in [
            "{}",
            "[]",
            r#"{"host":"10.1"}"#,
            r#"{"host":"10.0.0.0/33"}"#,
            r#"{"host":"10.0.0.0/+8"}"#,
            r#"{"group":"12"}"#,
            r#"{"group":"+00000000000000f"}"#,
            r#"{"hots":"10.0.0.1"}"#,
            r#"{"port":65536}"#,
            r#"{"port":"90-80"}"#,
            r#"{"domain":"."}"#,
            r#"{"agent":" * "}"#,
            r#"{"uri":""}"#,
        ] {
            assert!(Matcher::read(bad).is_err(), "{bad}");
        }
        let on_flow = Matcher { domain: Some("example.com".into()), ..Matcher::default() }.check(Source::Flow);
        assert!(on_flow.unwrap_err().to_string().contains("flow records have no domain: group, host"));
    }

    #[test]
    fn all_that_is_stated_must_hold() {
        let takes = |matcher: Matcher, seen: &Seen<'_>| matcher.pattern().unwrap().takes(seen, &|| 7);
        let seen = |host: &str, name| Seen { host: host.parse().ok(), name: Some(name), ..Seen::default() };
        let both =
            || Matcher { host: Some("10.1.0.0/16".into()), domain: Some("Example.com.".into()), ..Matcher::default() };
        assert!(takes(both(), &seen("10.1.9.9", "a.example.com")));
        assert!(takes(both(), &seen("10.1.9.9", "A.EXAMPLE.com")));
        assert!(!takes(both(), &seen("10.2.9.9", "a.example.com")));
        assert!(!takes(both(), &seen("10.1.9.9", "notexample.com")));
        let flow = Seen {
            host: "2001:db8::1".parse().ok(),
            peer: "198.51.100.7".parse().ok(),
            port: Some(8050),
            bytes: Some(54),
            ..Seen::default()
        };
        let either = || Matcher { address: Some("198.51.100.0/24".into()), ..Matcher::default() };
        assert!(takes(either(), &flow));
        assert!(takes(Matcher { port: Some(Span { low: 8000, high: 8100 }), ..either() }, &flow));
        assert!(!takes(Matcher { port: Some(Span::of(80)), ..either() }, &flow));
        // What a record does not have does not hold.
        assert!(!takes(Matcher { packets: Some(Span { low: 0, high: u64::MAX }), ..either() }, &flow));
        assert!(takes(Matcher { group: Some("0000000000000007".into()), ..either() }, &flow));
        let request = Seen { uri: Some("http://a.example/x?y"), agent: Some("curl/8.1"), ..Seen::default() };
        assert!(takes(Matcher { uri: Some("https://a.example/x".into()), ..Matcher::default() }, &request));
        assert!(takes(Matcher { agent: Some("curl/*".into()), ..Matcher::default() }, &request));
        assert!(!takes(Matcher { agent: Some("curl".into()), ..Matcher::default() }, &request));
    }

    #[test]
    fn text_from_outside_never_becomes_sql() {
        let hostile = "x'; DROP TABLE dns; --";
        let matcher = Matcher { domain: Some(hostile.into()), host: Some("10.0.0.0/8".into()), ..Matcher::default() };
        let (sql, params) = matcher.pattern().unwrap().condition(Source::Dns, 3).unwrap();
        assert!(!sql.contains("drop") && sql.contains("$3") && sql.contains("$4"), "{sql}");
        assert_eq!(params, [Param::from(hostile.to_lowercase()), Param::from(format!(".{}", hostile.to_lowercase()))]);
        let group = Matcher { group: Some("00000000000000ff".into()), ..Matcher::default() };
        assert_eq!(group.pattern().unwrap().condition(Source::Flow, 1), None);
    }
}
