//! Rich words of proxy records.

use super::super::domain::DomainLists;
use super::super::maths::entropy_bin;
use super::super::{Invalid, TimeOfDay, WordCode};
use super::{Feature, Features, Popularity, Reading, components, of, quantity, split_name, text_key};

/// What a rich word looks at. `None` is null.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are the columns of the table")]
pub struct RichProxy<'a> {
    pub first_seen: Option<i64>,
    pub client: Option<&'a str>,
    pub host: Option<&'a str>,
    pub method: &'a str,
    pub scheme: Option<&'a str>,
    /// Path and query.
    pub uri: &'a str,
    pub content_type: Option<&'a str>,
    pub status: Option<u16>,
    pub user_agent: Option<&'a str>,
    pub ja4: Option<&'a str>,
    pub referer: bool,
    pub request_bytes: Option<u64>,
    pub response_bytes: Option<u64>,
}

const CLASSES: Reading = Reading::Names(&[
    ("other", "not a well-known domain"),
    ("top", "a well-known domain"),
    ("own", "own domain"),
    ("address", "an address in place of a name"),
]);
const METHODS: Reading = Reading::Names(&[
    ("other", "another method"),
    ("GET", "GET"),
    ("POST", "POST"),
    ("HEAD", "HEAD"),
    ("PUT", "PUT"),
    ("CONNECT", "CONNECT"),
    ("OPTIONS", "OPTIONS"),
    ("DELETE", "DELETE"),
    ("PATCH", "PATCH"),
    ("PROPFIND", "PROPFIND"),
]);
const CONTENTS: Reading = Reading::Names(&[
    ("other", "another content type"),
    ("-", "no content type"),
    ("text", "text"),
    ("image", "image"),
    ("application", "application"),
    ("audio", "audio"),
    ("video", "video"),
    ("font", "font"),
    ("multipart", "multipart"),
    ("message", "message"),
]);

pub(super) const FEATURES: &[Feature] = &[
    of("class", "domain class", false, CLASSES),
    of("method", "method", false, METHODS),
    of("content", "content type", false, CONTENTS),
    of("hour", "hour", true, Reading::Hour),
    of("status", "status", false, Reading::Number("hundreds")),
    of("length", "URI length", true, Reading::Quantity("characters")),
    of("entropy", "URI entropy", true, Reading::Entropy),
    of("clients", "clients that go to the domain", true, Reading::Hosts("clients")),
    of("agent", "clients that have the program", true, Reading::Hosts("clients")),
    of("ja4", "clients that have the TLS fingerprint", true, Reading::Hosts("clients")),
    of("sent", "bytes sent", true, Reading::Quantity("bytes")),
    of("got", "bytes received", true, Reading::Quantity("bytes")),
    of("referer", "referer", false, Reading::Names(&[("no", "no referer"), ("yes", "with a referer")])),
    of("host", "clients that go to the host", true, Reading::Hosts("clients")),
];

pub(super) const COMPONENTS_OF: [super::Component; FEATURES.len()] = components(FEATURES);

/// See `perf/eval/README.md` for the table.
pub(super) const CHOSEN: u16 = 1 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9;

/// Popularity of what a request has: domains, hosts, programs and fingerprints by clients.
#[derive(Clone, Debug)]
pub struct Programs {
    domains: Popularity,
    agents: Popularity,
    fingerprints: Popularity,
}

impl Programs {
    /// For at most so many of each.
    pub fn new(most: usize) -> Self {
        Self { domains: Popularity::new(most), agents: Popularity::new(most), fingerprints: Popularity::new(most) }
    }

    /// Counts a record: the pass before any word.
    pub fn add(&mut self, client: &str, host: Option<&str>, agent: Option<&str>, ja4: Option<&str>) {
        let client = text_key(client);
        if let Some(host) = host {
            let (domain, sub) = split_name(without_port(host));
            self.domains.add(text_key(domain), client);
            if !sub.is_empty() {
                self.domains.add(text_key(without_port(host)), client);
            }
        }
        for (list, text) in [(&mut self.agents, agent), (&mut self.fingerprints, ja4)] {
            if let Some(text) = text {
                list.add(text_key(text), client);
            }
        }
    }

    /// The three lists: domains and hosts, programs, fingerprints.
    pub const fn lists(&self) -> [&Popularity; 3] {
        [&self.domains, &self.agents, &self.fingerprints]
    }

    /// The lists to add to.
    pub const fn lists_mut(&mut self) -> [&mut Popularity; 3] {
        [&mut self.domains, &mut self.agents, &mut self.fingerprints]
    }

    /// Records of things that found no room.
    pub const fn overflow(&self) -> u64 {
        self.domains.overflow() + self.agents.overflow() + self.fingerprints.overflow()
    }
}

/// `example.com` of `example.com:8443`; an IPv6 address without brackets stays as it is.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
        }
        _ => host,
    }
}

fn named(reading: Reading, text: &str, otherwise: u32) -> u32 {
    let Reading::Names(names) = reading else { return otherwise };
    names.iter().position(|(name, _)| name.eq_ignore_ascii_case(text)).map_or(otherwise, |at| at as u32)
}

impl RichProxy<'_> {
    /// The word, or why there is none.
    ///
    /// # Errors
    /// The first cause found.
    pub fn word(&self, features: Features, programs: &Programs, lists: &DomainLists) -> Result<WordCode, Invalid> {
        let hour = TimeOfDay::from_micros(self.first_seen.ok_or(Invalid::Time)?).hour()?;
        self.client.filter(|client| !client.is_empty()).ok_or(Invalid::Address)?;
        let host = without_port(self.host.ok_or(Invalid::Host)?);
        let (domain, _) = split_name(host);
        let label = domain.split('.').next().unwrap_or("");
        let class = if host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() {
            3
        } else if !lists.user_domain.is_empty() && label.eq_ignore_ascii_case(&lists.user_domain) {
            2
        } else {
            u32::from(lists.top.contains(label))
        };
        let content = self.content_type.map_or("-", |text| text.split(['/', ';']).next().unwrap_or("-").trim());
        let rarity = |list: &Popularity, text: Option<&str>| text.map_or(0, |text| list.bin(text_key(text)));
        Ok(features.keep([
            class,
            named(METHODS, self.method, 0),
            named(CONTENTS, if content.is_empty() { "-" } else { content }, 0),
            u32::from(hour) + 1,
            self.status.map_or(0, |status| u32::from(status / 100).min(9) + 1),
            quantity(Some(self.uri.len() as u64)),
            entropy_bin(self.uri),
            programs.domains.bin(text_key(domain)),
            rarity(&programs.agents, self.user_agent),
            rarity(&programs.fingerprints, self.ja4),
            quantity(self.request_bytes),
            quantity(self.response_bytes),
            self.referer.into(),
            programs.domains.bin(text_key(host)),
            0,
            0,
        ]))
    }
}
