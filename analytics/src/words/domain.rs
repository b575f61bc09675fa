//! The parts of a name that words look at, by Spot's rules, and the list of well-known domains.

use std::collections::HashSet;
use std::io::BufRead;

use super::labels;

/// What Spot writes where a name has no domain, or no subdomain.
pub const NONE: &str = "None";

/// Most labels a top-domain list may hold (the public lists have one million lines).
pub const TOP_DOMAINS_LIMIT: usize = 4_000_000;

/// Longest line of a top-domain list.
const LINE_LIMIT: usize = 1024;

/// A name taken apart by Spot's rules: see [`NameParts::of`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameParts<'a> {
    /// The label before the public ending; `None` where Spot finds none.
    pub domain: Option<&'a str>,
    /// What stands before the domain, dots included; `None` where there is nothing.
    pub subdomain: Option<&'a str>,
    /// Labels of the whole name, trailing empty ones not counted.
    pub parts: usize,
}

impl<'a> NameParts<'a> {
    /// Takes a name apart as Spot does: case matters, trailing empty labels do not exist, one country label and then one
    /// generic label are stripped from the end, and a name that ends in neither has no domain at all (so `x.info` has none, and
    /// `bbc.co.uk` has the domain `co`).
    pub fn of(name: &'a str) -> Self {
        // A split of the empty string is one empty part; of dots alone, none.
        let trimmed = name.trim_end_matches('.');
        let parts = match (name.is_empty(), trimmed.is_empty()) {
            (true, _) => 1,
            (false, true) => 0,
            (false, false) => trimmed.split('.').count(),
        };
        let nothing = Self { domain: None, subdomain: None, parts };
        if parts < 2 || (parts > 2 && trimmed.ends_with(".in-addr.arpa")) {
            return nothing;
        }
        let last = last_label(trimmed).1;
        if !labels::is_country(last) && !labels::is_generic(last) {
            return nothing;
        }
        // `rest` is what is left; the option is empty once every label is stripped.
        let mut rest = Some(trimmed);
        if labels::is_country(last) {
            rest = rest.and_then(|name| last_label(name).0);
        }
        if let Some(name) = rest {
            let (before, label) = last_label(name);
            if labels::is_generic(label) {
                rest = before;
            }
        }
        let Some(rest) = rest else { return nothing };
        let (subdomain, domain) = last_label(rest);
        Self { domain: Some(domain), subdomain, parts }
    }

    /// The domain, `None` as the word Spot writes.
    pub fn domain_text(&self) -> &'a str {
        self.domain.unwrap_or(NONE)
    }

    /// 2 the organisation's own domain, 1 a well-known domain, 0 else.
    pub fn class(&self, lists: &DomainLists) -> DomainClass {
        // Spot looks "None" up as if it were a label; no list has it.
        match self.domain {
            Some(domain) if !lists.user_domain.is_empty() && domain == lists.user_domain => DomainClass::Own,
            Some(domain) if lists.top.contains(domain) => DomainClass::Top,
            _ => DomainClass::Other,
        }
    }
}

/// (what stands before the last dot, the last label).
fn last_label(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('.') {
        Some((before, label)) => (Some(before), label),
        None => (None, name),
    }
}

/// Which kind of domain a name belongs to: the first component of DNS and proxy words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum DomainClass {
    /// Neither of the two below.
    Other = 0,
    /// In the list of well-known domains.
    Top = 1,
    /// The organisation's own.
    Own = 2,
}

impl DomainClass {
    /// In plain words.
    pub const fn describe(value: u32) -> &'static str {
        match value {
            0 => "not a well-known domain",
            1 => "a well-known domain",
            _ => "own domain",
        }
    }
}

/// The two lists a name is judged by. Empty by default.
#[derive(Clone, Debug, Default)]
pub struct DomainLists {
    /// Well-known domains.
    pub top: TopDomains,
    /// The organisation's own second-level label (`example` of example.com); empty = none. Spot takes `intel` for
    /// proxy records whatever is set; here one setting serves both.
    pub user_domain: String,
}

/// Labels of well-known domains. As in Spot the *first* label of each listed host counts, bare: `google` also matches google.tk.
#[derive(Clone, Debug, Default)]
pub struct TopDomains {
    labels: HashSet<Box<str>>,
}

/// Why a list of domains could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TopDomainsError {
    /// The reader failed, or the text is not UTF-8.
    #[error("top domains, line {line}: {source}")]
    Read {
        /// Counted from 1.
        line: usize,
        /// What the reader said.
        source: std::io::Error,
    },
    /// A line is neither `rank,domain` nor a domain.
    #[error("top domains, line {line}: expected `rank,domain` or a domain, found {found:?}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Its beginning.
        found: String,
    },
    /// Too many.
    #[error("top domains: more than {TOP_DOMAINS_LIMIT} different labels; cut the list")]
    TooMany,
}

impl TopDomains {
    /// Reads a list in the format of Tranco, Umbrella and Alexa (`rank,domain`), or one domain a line. Empty lines and lines
    /// that begin with # are skipped; a byte order mark, CR and double quotes are taken off.
    ///
    /// # Errors
    /// A line of another shape, more labels than [`TOP_DOMAINS_LIMIT`], or the reader's own error.
    pub fn read(reader: impl BufRead) -> Result<Self, TopDomainsError> {
        let mut labels = HashSet::new();
        for (index, text) in reader.lines().enumerate() {
            let line = index + 1;
            let text = text.map_err(|source| TopDomainsError::Read { line, source })?;
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let bad = || TopDomainsError::Line { line, found: text.chars().take(80).collect() };
            let domain = match text.split_once(',') {
                Some((rank, domain)) => {
                    unquote(rank).parse::<u64>().map_err(|_| bad())?;
                    unquote(domain)
                }
                None => unquote(text),
            };
            if domain.is_empty() || text.len() > LINE_LIMIT || domain.contains([',', ' ', '\t', '/']) {
                return Err(bad());
            }
            if let Some(label) = domain.split('.').next().filter(|label| !label.is_empty()) {
                labels.insert(label.into());
            }
            if labels.len() > TOP_DOMAINS_LIMIT {
                return Err(TopDomainsError::TooMany);
            }
        }
        Ok(Self { labels })
    }

    /// A list of labels or domains given directly.
    pub fn from_domains<'a>(domains: impl IntoIterator<Item = &'a str>) -> Self {
        Self { labels: domains.into_iter().filter_map(|domain| domain.split('.').next()).map(Into::into).collect() }
    }

    /// The bare label is that of a listed domain.
    pub fn contains(&self, label: &str) -> bool {
        self.labels.contains(label)
    }

    /// Different labels.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// No list.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

fn unquote(text: &str) -> &str {
    text.trim().trim_matches('"').trim()
}
