//! Rich words of DNS records.

use super::super::domain::{DomainClass, DomainLists};
use super::super::maths::entropy_bin;
use super::super::{Invalid, TimeOfDay, WordCode};
use super::{Feature, Features, Popularity, Reading, components, of, quantity, split_name, text_key};

/// What a rich word looks at. `None` is null.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are the columns of the table")]
pub struct RichDns<'a> {
    pub first_seen: Option<i64>,
    pub client: Option<&'a str>,
    pub qname: Option<&'a str>,
    pub qtype: Option<u16>,
    pub rcode: Option<u16>,
    pub transport: Option<&'a str>,
    pub query_len: Option<u16>,
    pub response_len: Option<u16>,
    /// Answers, with the type and time to live (seconds) of the first; `None` where no answer was seen or it is not known.
    pub answers: Option<(u64, u16, u32)>,
}

const CLASSES: Reading = Reading::Names(&[
    ("other", "not a well-known domain"),
    ("top", "a well-known domain"),
    ("own", "own domain"),
    ("reverse", "a reverse lookup"),
    ("local", "a name of the local network"),
    ("single", "a name of one label"),
]);
const TRANSPORTS: Reading = Reading::Names(&[
    ("-", "transport not known"),
    ("udp", "UDP"),
    ("tcp", "TCP"),
    ("mdns", "multicast DNS"),
    ("llmnr", "LLMNR"),
    ("other", "another transport"),
]);
const SHAPES: Reading = Reading::Names(&[
    ("-", "no answer records known"),
    ("address", "addresses"),
    ("alias", "aliases"),
    ("text", "text or raw data"),
    ("mail", "mail servers or services"),
    ("other", "other records"),
]);

pub(super) const FEATURES: &[Feature] = &[
    of("class", "domain class", false, CLASSES),
    of("type", "query type", false, Reading::QueryType),
    of("rcode", "response code", false, Reading::ResponseCode),
    of("hour", "hour", true, Reading::Hour),
    of("length", "length of the response", true, Reading::Quantity("bytes")),
    of("sub", "subdomain length", true, Reading::Quantity("characters")),
    of("entropy", "subdomain entropy", true, Reading::Entropy),
    of("labels", "labels of the subdomain", true, Reading::Number("labels")),
    of("clients", "clients that ask under the domain", true, Reading::Hosts("clients")),
    of("answers", "answers", true, Reading::Quantity("records")),
    of("shape", "kind of the answers", false, SHAPES),
    of("ttl", "time to live", true, Reading::Quantity("seconds")),
    of("transport", "transport", false, TRANSPORTS),
    of("digits", "share of digits in the subdomain", true, Reading::Number("quarters")),
    of("query", "length of the query", true, Reading::Quantity("bytes")),
];

pub(super) const COMPONENTS_OF: [super::Component; FEATURES.len()] = components(FEATURES);

/// See `perf/eval/README.md` for the table.
pub(super) const CHOSEN: u16 = 1 | 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9;

impl RichDns<'_> {
    /// The word, or why there is none. `domains` has the clients by registered domain.
    ///
    /// # Errors
    /// The first cause found.
    pub fn word(&self, features: Features, domains: &Popularity, lists: &DomainLists) -> Result<WordCode, Invalid> {
        let hour = TimeOfDay::from_micros(self.first_seen.ok_or(Invalid::Time)?).hour()?;
        self.client.filter(|client| !client.is_empty()).ok_or(Invalid::Address)?;
        let name = self.qname.filter(|name| !name.is_empty()).ok_or(Invalid::Name)?;
        let (domain, sub) = split_name(name);
        let class = class(name, domain, lists);
        let digits = sub.bytes().filter(u8::is_ascii_digit).count();
        let (answers, shape, ttl) = match self.answers {
            None => (0, 0, 0),
            Some((0, ..)) => (quantity(Some(0)), 0, 0),
            Some((count, kind, ttl)) => {
                let shape = match kind {
                    1 | 28 => 1,
                    5 | 39 => 2,
                    10 | 16 | 65_399 => 3,
                    15 | 33 => 4,
                    _ => 5,
                };
                (quantity(Some(count)), shape, quantity(Some(ttl.into())))
            }
        };
        Ok(features.keep([
            class,
            self.qtype.map_or(0, |kind| u32::from(kind) + 1),
            self.rcode.map_or(0, |code| u32::from(code) + 1),
            u32::from(hour) + 1,
            quantity(self.response_len.map(u64::from)),
            quantity(Some(sub.len() as u64)),
            entropy_bin(sub),
            if sub.is_empty() { 1 } else { (sub.split('.').count() as u32).min(32) + 1 },
            domains.bin(text_key(domain)),
            answers,
            shape,
            ttl,
            match self.transport {
                None => 0,
                Some("udp") => 1,
                Some("tcp") => 2,
                Some("mdns") => 3,
                Some("llmnr") => 4,
                Some(_) => 5,
            },
            if sub.is_empty() { 0 } else { (4 * digits / sub.len()) as u32 + 1 },
            quantity(self.query_len.map(u64::from)),
            0,
        ]))
    }
}

fn class(name: &str, domain: &str, lists: &DomainLists) -> u32 {
    let label = domain.split('.').next().unwrap_or("");
    if !lists.user_domain.is_empty() && label.eq_ignore_ascii_case(&lists.user_domain) {
        return 2;
    }
    if lists.top.contains(label) {
        return 1;
    }
    let under = |zone: &str| {
        let at = name.len().checked_sub(zone.len());
        at.and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(zone))
    };
    match () {
        () if under(".in-addr.arpa") || under(".ip6.arpa") => 3,
        () if under(".local") || under(".localhost") || under(".lan") || under(".home.arpa") => 4,
        () if !name.trim_end_matches('.').contains('.') => 5,
        () => DomainClass::Other as u32,
    }
}

/// Counts who asks under which domain: the pass before any word.
pub fn count_client(domains: &mut Popularity, client: &str, qname: &str) {
    domains.add(text_key(split_name(qname).0), text_key(client));
}
