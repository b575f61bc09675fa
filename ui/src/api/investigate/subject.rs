//! What is looked for, as conditions with placeholders: text from outside never becomes SQL.

use std::net::IpAddr;

use aggregator::record::Micros;
use analytics::sql::Param;
use serde::Deserialize;

use crate::api::rows::{moment, parse_moment, read};
use crate::api::types::{Source, SubjectKind};
use crate::app::App;
use crate::problem::ApiError;

/// Characters a subject may have: a URI of the wire can be long.
const MAX: usize = 4096;
/// Addresses of a name whose flows are looked at. A name with more is shared by so many that its flows say little.
pub(super) const MAX_ADDRESSES: u64 = 64;

/// A span of time: `from <= t < to`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::api) struct Span {
    pub(in crate::api) from: Micros,
    pub(in crate::api) to: Micros,
}

impl Span {
    pub(in crate::api) fn parse(from: &str, to: &str) -> Result<Self, ApiError> {
        let span = Self { from: parse_moment("from", from)?, to: parse_moment("to", to)? };
        if span.from.0 >= span.to.0 {
            return Err(ApiError::Bad(format!("`from` must be before `to`, not {from} and {to}")));
        }
        // Timestamps of the query engine are 64-bit nanoseconds in places: 1677 to 2262.
        let in_range = |Micros(time): Micros| (0..4_102_444_800_000_000).contains(&time);
        if !in_range(span.from) || !in_range(span.to) {
            return Err(ApiError::Bad("`from` and `to` must lie between 1970 and 2100".to_owned()));
        }
        Ok(span)
    }

    pub(in crate::api) fn texts(self) -> (String, String) {
        (moment(self.from), moment(self.to))
    }
}

/// What is looked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::api) enum Subject {
    Address(IpAddr),
    /// Address and prefix length.
    Network(IpAddr, u8),
    /// Lower case, no trailing dot.
    Name(String),
    Uri(String),
    /// A Community ID, as it is in the lake.
    Community(String),
}

impl Subject {
    /// An address, a network, a Community ID, a URI (with `://` or a slash) or else a name.
    pub(in crate::api) fn parse(text: &str) -> Result<Self, ApiError> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > MAX {
            return Err(ApiError::Bad(format!("`subject` must have 1 to {MAX} characters")));
        }
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Address(ip));
        }
        if let Some((address, length)) = text.split_once('/')
            && let Ok(ip) = address.parse::<IpAddr>()
        {
            let most = if ip.is_ipv4() { 32 } else { 128 };
            return match length.parse::<u8>() {
                Ok(length) if length <= most && !length.to_string().is_empty() => Ok(Self::Network(ip, length)),
                _ => Err(ApiError::Bad(format!(
                    "`subject`: {text:?} is no network; write it like 10.0.0.0/8 or 2001:db8::/32"
                ))),
            };
        }
        if text.starts_with("1:") && text.len() == 30 && text.ends_with('=') {
            return Ok(Self::Community(text.to_owned()));
        }
        if text.contains('/') {
            return Ok(Self::Uri(text.to_owned()));
        }
        let name = text.to_lowercase();
        let name = if name == "." { name } else { name.trim_end_matches('.').to_owned() };
        Ok(Self::Name(name))
    }

    pub(in crate::api) const fn kind(&self) -> SubjectKind {
        match self {
            Self::Address(_) => SubjectKind::Address,
            Self::Network(..) => SubjectKind::Network,
            Self::Name(_) => SubjectKind::Name,
            Self::Uri(_) | Self::Community(_) => SubjectKind::Uri,
        }
    }

    /// As it is looked for.
    pub(in crate::api) fn text(&self) -> String {
        match self {
            Self::Address(ip) => ip.to_string(),
            Self::Network(ip, length) => format!("{ip}/{length}"),
            Self::Name(text) | Self::Uri(text) | Self::Community(text) => text.clone(),
        }
    }
}

/// A subject in a span, with the addresses that stand for a name: what every query is made from.
pub(in crate::api) struct Target {
    pub(in crate::api) subject: Subject,
    pub(in crate::api) span: Span,
    /// Of a name: what it resolved to. Of an address: itself.
    pub(in crate::api) addresses: Vec<String>,
}

#[derive(Deserialize)]
struct Resolved {
    address: String,
}

impl Target {
    /// Finds what a name resolved to in the span.
    pub(in crate::api) async fn find(app: &App, subject: Subject, span: Span) -> Result<Self, ApiError> {
        let mut target = Self { subject, span, addresses: Vec::new() };
        match &target.subject {
            Subject::Address(ip) => target.addresses.push(ip.to_string()),
            Subject::Name(_) => {
                let Some(condition) = target.condition(Source::Dns) else { return Ok(target) };
                let sql = format!(
                    "SELECT address, count(*) AS n FROM (SELECT unnest(string_to_array(dns_addresses(answers), '|')) AS address \
                     FROM dns WHERE first_seen >= $1 AND first_seen < $2 AND {condition}) \
                     WHERE address <> '' GROUP BY address ORDER BY n DESC, address LIMIT {MAX_ADDRESSES}"
                );
                let rows = app.rows(&sql, target.params(), MAX_ADDRESSES).await?;
                target.addresses = read::<Resolved>(rows, "dns")?.into_iter().map(|row| row.address).collect();
            }
            _ => {}
        }
        Ok(target)
    }

    /// `$1` and `$2` are the span, `$3` and `$4` the text and what names below it end with, `$5` … the addresses.
    /// Queries that do not use one of them must not be given it: [`Self::params_for`].
    fn params(&self) -> Vec<Param> {
        let mut params: Vec<Param> = vec![self.span.from.into(), self.span.to.into()];
        let text = self.subject.text();
        params.push(text.as_str().into());
        params.push(format!(".{text}").into());
        params.extend(self.addresses.iter().map(|address| Param::from(address.as_str())));
        params
    }

    /// The values for the placeholders that [`Self::condition`] and [`Self::is_subject`] use.
    pub(in crate::api) fn params_for(&self) -> Vec<Param> {
        self.params()
    }

    /// The first placeholder that is free.
    pub(in crate::api) fn next(&self) -> usize {
        5 + self.addresses.len()
    }

    /// "This address column holds the subject", or nothing where no address is of it.
    pub(in crate::api) fn is_subject(&self, column: &str) -> Option<String> {
        match &self.subject {
            Subject::Address(_) => Some(format!("{column} = $3")),
            // in_cidr takes its network as a constant: it is written from parsed numbers, never from the text.
            Subject::Network(ip, length) => Some(format!("in_cidr({column}, '{ip}/{length}')")),
            Subject::Name(_) if !self.addresses.is_empty() => {
                let places: Vec<String> = (0..self.addresses.len()).map(|at| format!("${}", at + 5)).collect();
                Some(format!("{column} IN ({})", places.join(", ")))
            }
            Subject::Name(_) | Subject::Uri(_) | Subject::Community(_) => None,
        }
    }

    /// Which records of a source are of the subject, or nothing where none can be.
    pub(in crate::api) fn condition(&self, source: Source) -> Option<String> {
        let either = |a: &str, b: &str| Some(format!("({} OR {})", self.is_subject(a)?, self.is_subject(b)?));
        let below = |column: &str| format!("({column} = $3 OR ends_with({column}, $4))");
        match (&self.subject, source) {
            (Subject::Community(_), _) => Some("community_id = $3".to_owned()),
            (_, Source::Flow) => either("src_ip", "dst_ip"),
            (Subject::Address(_) | Subject::Network(..), Source::Dns | Source::Proxy) => {
                either("client_ip", "server_ip")
            }
            (Subject::Name(_), Source::Dns) => Some(below("qname")),
            (Subject::Name(_), Source::Proxy) => Some(below("host")),
            (Subject::Uri(_), Source::Proxy) => Some("(full_uri = $3 OR referer = $3)".to_owned()),
            (Subject::Uri(_), Source::Dns) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_told_apart() {
        let of = |text: &str| Subject::parse(text).unwrap();
        assert_eq!(of(" 10.0.0.5 "), Subject::Address("10.0.0.5".parse().unwrap()));
        assert_eq!(of("2001:DB8:0:0::1").text(), "2001:db8::1");
        assert_eq!(of("[::1]").text(), "::1");
        assert_eq!(of("10.0.0.0/8").text(), "10.0.0.0/8");
        assert_eq!(of("Evil.Example."), Subject::Name("evil.example".into()));
        assert_eq!(of("."), Subject::Name(".".into()));
        assert_eq!(of("http://A.example/b").text(), "http://A.example/b");
        assert_eq!(of("1:LQU9qZlK+B5F3KDmev6m5PMibrg=").kind(), SubjectKind::Uri);
        for bad in ["", "  ", "10.0.0.0/33", "10.0.0.0/x", "2001:db8::/129"] {
            assert!(Subject::parse(bad).is_err(), "{bad}");
        }
        assert!(Subject::parse(&"a".repeat(MAX + 1)).is_err());
    }

    #[test]
    fn text_from_outside_never_becomes_sql() {
        let span = Span::parse("2016-07-08T00:00:00Z", "2016-07-09T00:00:00Z").unwrap();
        for text in ["' OR 1=1 --", "x'; DROP TABLE flow; --", "http://a/' OR 1=1", "10.0.0.1') OR true --"] {
            let subject = Subject::parse(text).unwrap();
            let target = Target { subject, span, addresses: vec!["1.2.3.4' OR 1=1".into()] };
            for source in Source::ALL {
                let sql = target.condition(source).unwrap_or_default();
                assert!(!sql.contains("1=1") && !sql.contains("DROP") && !sql.contains("true --"), "{sql}");
            }
        }
    }

    #[test]
    fn a_span_has_a_length() {
        assert!(Span::parse("2016-07-08T00:00:00Z", "2016-07-08T00:00:00Z").is_err());
        assert!(Span::parse("0001-07-08T00:00:00Z", "2016-07-08T00:00:00Z").is_err());
    }
}
