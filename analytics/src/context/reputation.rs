//! Local lists of what is known to be bad: CSV, plain lists, STIX 2.1 bundles and MISP events, on Apache Spot's scale.
//!
//! −1 unverified, 0 none, 1 low, 2 medium, 3 high. Nothing is asked of any server.

use std::net::IpAddr;

use aggregator::record::Micros;
use hashbrown::HashMap;

use super::ContextError;
use super::ranges::{RangeMap, Ranges, parse_range};
use super::text::{Rejected, cells, lines, shown};

/// Indicators kept of all lists together.
const MAX_INDICATORS: usize = 8_000_000;
/// Level of an indicator of which nothing is said.
const UNSTATED: i8 = 3;

/// What a list says of something.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Reputation {
    /// Spot's scale, −1 to 3.
    pub level: i8,
    /// The list, and what it calls it.
    pub source: String,
    /// Not after this moment.
    #[serde(skip)]
    pub until: Option<Micros>,
}

/// Indicators being collected.
#[derive(Debug, Default)]
pub(super) struct Lists {
    ranges: Ranges<Reputation>,
    names: HashMap<Box<str>, Reputation>,
    uris: HashMap<Box<str>, Reputation>,
}

/// All lists, ready to be asked.
#[derive(Debug, Default)]
pub(super) struct Reputations {
    ranges: RangeMap<Reputation>,
    names: HashMap<Box<str>, Reputation>,
    uris: HashMap<Box<str>, Reputation>,
}

impl Lists {
    fn len(&self) -> usize {
        self.ranges.len() + self.names.len() + self.uris.len()
    }

    /// Adds an indicator: an address or range, a URI, or a domain. The worse of two stays.
    fn add(&mut self, indicator: &str, said: Reputation) -> Result<(), &'static str> {
        let indicator = indicator.trim();
        if self.len() >= MAX_INDICATORS {
            return Err("there are more indicators than are kept (8,000,000)");
        }
        if let Some(range) = parse_range(indicator) {
            self.ranges.add(range, said);
            return Ok(());
        }
        let bare = indicator.split_once("://").map_or(indicator, |(_, rest)| rest).to_lowercase();
        let (list, key) = match bare.trim_end_matches('/') {
            uri if uri.contains('/') => (&mut self.uris, uri.to_owned()),
            name => (&mut self.names, name.trim_matches('.').to_owned()),
        };
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        let host = key.split('/').next().unwrap_or_default();
        if host.is_empty()
            || host.len() > 253
            || !host.contains('.')
            || !host.split(':').next().unwrap_or_default().chars().all(is_name)
        {
            return Err("no address, range, domain or URI");
        }
        match list.entry(key.into_boxed_str()) {
            hashbrown::hash_map::Entry::Occupied(mut held) if held.get().level < said.level => drop(held.insert(said)),
            hashbrown::hash_map::Entry::Occupied(_) => {}
            hashbrown::hash_map::Entry::Vacant(place) => drop(place.insert(said)),
        }
        Ok(())
    }

    /// Reads a list, whichever it is, and gives how many indicators it added.
    pub(super) fn read(&mut self, name: &str, text: &str, rejected: &mut Rejected) -> Result<u64, ContextError> {
        let before = self.len();
        match text.trim_start().as_bytes().first() {
            Some(b'{' | b'[') => self.json(name, text, rejected)?,
            _ => self.table(name, text, rejected),
        }
        Ok((self.len() - before) as u64)
    }

    /// CSV with a header that names `indicator` (or ip, domain, url, value), and maybe `level`, `label`, `expires`; or an indicator a line.
    fn table(&mut self, name: &str, text: &str, rejected: &mut Rejected) {
        let rows = lines(text, rejected);
        let header: Vec<String> = rows
            .first()
            .and_then(|(_, line)| cells(line))
            .map(|cells| cells.iter().map(|cell| cell.to_lowercase()).collect())
            .unwrap_or_default();
        let place = |names: &[&str]| header.iter().position(|cell| names.contains(&cell.as_str()));
        let indicator = place(&["indicator", "value", "ip", "address", "domain", "hostname", "host", "url", "uri"]);
        let level = place(&["level", "score", "severity", "reputation", "rep"]);
        let label = place(&["label", "description", "comment", "category", "threat", "type"]);
        let expires = place(&["expires", "valid_until"]);
        let skip = usize::from(indicator.is_some());
        for (line, row) in rows.into_iter().skip(skip) {
            let Some(cells) = cells(row) else {
                rejected.add(line, "a quote is not closed");
                continue;
            };
            let cell =
                |at: Option<usize>| at.and_then(|at| cells.get(at)).map(String::as_str).filter(|c| !c.is_empty());
            let value = match indicator {
                Some(at) => cells.get(at).map_or("", String::as_str),
                // `0.0.0.0 name` of a hosts file; else what stands first.
                None => match row
                    .split(['\t', ' ', ',', ';'])
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .as_slice()
                {
                    ["0.0.0.0" | "127.0.0.1" | "::1", name, ..] => name,
                    [value, ..] => value,
                    [] => continue,
                },
            };
            let level = match cell(level).map(read_level) {
                None => UNSTATED,
                Some(Some(level)) => level,
                Some(None) => {
                    rejected.add(line, "the level must be -1 to 3, or unverified, none, low, medium, high");
                    continue;
                }
            };
            let until = match cell(expires).map(read_moment) {
                Some(None) => {
                    rejected.add(line, "expires must be a moment, as 2026-11-22T10:15:00Z");
                    continue;
                }
                other => other.flatten(),
            };
            let said = Reputation { level, source: source(name, cell(label)), until };
            if let Err(why) = self.add(value, said) {
                rejected.add(line, why);
            }
        }
    }

    fn json(&mut self, name: &str, text: &str, rejected: &mut Rejected) -> Result<(), ContextError> {
        // serde_json refuses what is nested deeper than 128.
        let file: File = serde_json::from_str(text)
            .map_err(|error| ContextError::File(format!("neither a STIX 2.1 bundle nor a MISP event: {error}")))?;
        match file {
            File::Stix { objects } => self.stix(name, &objects, rejected),
            File::Misp { event } => self.misp(name, &event, rejected),
            File::MispList(events) => events.iter().for_each(|wrapped| self.misp(name, &wrapped.event, rejected)),
            File::MispResponse { response } => {
                response.iter().for_each(|wrapped| self.misp(name, &wrapped.event, rejected));
            }
        }
        Ok(())
    }

    fn stix(&mut self, name: &str, objects: &[StixObject], rejected: &mut Rejected) {
        for (object, number) in objects.iter().zip(1..).filter(|(object, _)| object.kind == "indicator") {
            if object.revoked {
                continue;
            }
            let stix = object.pattern_type.as_deref().is_none_or(|kind| kind == "stix");
            let values = if stix { stix_values(object.pattern.as_deref().unwrap_or_default()) } else { Vec::new() };
            if values.is_empty() {
                rejected.add(number, "an indicator without a value of address, domain or URL compared by =");
                continue;
            }
            let until = match object.valid_until.as_deref().map(read_moment) {
                Some(None) => {
                    rejected.add(number, "valid_until is no moment");
                    continue;
                }
                other => other.flatten(),
            };
            // STIX has a confidence of 0 to 100 (section 3.2); benign indicators say so in their types.
            let benign = object.indicator_types.iter().any(|kind| kind == "benign");
            let level = match object.confidence {
                _ if benign => 0,
                None => UNSTATED,
                Some(0..30) => 1,
                Some(30..70) => 2,
                Some(_) => 3,
            };
            for value in values {
                let said = Reputation { level, source: source(name, object.name.as_deref()), until };
                if let Err(why) = self.add(&value, said) {
                    rejected.add(number, why);
                }
            }
        }
    }

    fn misp(&mut self, name: &str, event: &MispEvent, rejected: &mut Rejected) {
        // MISP: 1 high, 2 medium, 3 low, 4 undefined.
        let level =
            match event.threat_level_id.as_ref().map(|id| id.to_string().trim_matches('"').to_owned()).as_deref() {
                Some("1") => 3,
                Some("2") => 2,
                Some("3") => 1,
                Some("4") => -1,
                _ => UNSTATED,
            };
        let in_objects = event.objects.iter().flat_map(|object| object.attributes.iter());
        for (attribute, number) in event.attributes.iter().chain(in_objects).zip(1..) {
            // What is not for detection is context (a victim's address, say).
            if !attribute.to_ids || attribute.deleted {
                continue;
            }
            let parts: Vec<&str> = match attribute.kind.as_str() {
                "ip-src" | "ip-dst" | "domain" | "hostname" | "url" | "uri" => vec![attribute.value.as_str()],
                "ip-src|port" | "ip-dst|port" | "hostname|port" => attribute.value.split('|').take(1).collect(),
                "domain|ip" => attribute.value.split('|').collect(),
                _ => continue,
            };
            for part in parts {
                let said = Reputation { level, source: source(name, event.info.as_deref()), until: None };
                if let Err(why) = self.add(part, said) {
                    rejected.add(number, why);
                }
            }
        }
    }

    pub(super) fn build(self) -> Reputations {
        let Self { ranges, names, uris } = self;
        Reputations { ranges: ranges.build(), names, uris }
    }
}

impl Reputations {
    /// Of an address.
    pub(super) fn of_address(&self, ip: IpAddr, at: Micros) -> Option<&Reputation> {
        self.ranges.get(ip).filter(|said| in_force(said, at))
    }

    /// Of a name: itself, or a domain it lies under.
    pub(super) fn of_name(&self, name: &str, at: Micros) -> Option<&Reputation> {
        if self.names.is_empty() {
            return None;
        }
        let name = name.trim_end_matches('.').to_lowercase();
        let starts = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1));
        starts.filter_map(|start| self.names.get(name.get(start..)?)).find(|said| in_force(said, at))
    }

    /// Of a URI: with and without its query.
    pub(super) fn of_uri(&self, uri: &str, at: Micros) -> Option<&Reputation> {
        if self.uris.is_empty() {
            return None;
        }
        let bare = uri.split_once("://").map_or(uri, |(_, rest)| rest).to_lowercase();
        let path = bare.split(['?', '#']).next().unwrap_or_default();
        let forms = [bare.as_str(), path, path.trim_end_matches('/')];
        forms.into_iter().filter_map(|form| self.uris.get(form)).find(|said| in_force(said, at))
    }
}

fn in_force(said: &Reputation, at: Micros) -> bool {
    said.until.is_none_or(|end| at < end)
}

fn source(list: &str, label: Option<&str>) -> String {
    label.and_then(shown).map_or_else(|| list.to_owned(), |label| format!("{list}: {label}"))
}

/// A number of the scale, its word, or Spot's `service:label:value`.
fn read_level(text: &str) -> Option<i8> {
    let text = text.rsplit(':').next().unwrap_or_default().trim().to_lowercase();
    match text.as_str() {
        "unverified" | "unknown" => Some(-1),
        "none" | "benign" => Some(0),
        "low" | "minimal" => Some(1),
        "medium" | "suspicious" => Some(2),
        "high" | "malicious" | "critical" => Some(3),
        number => number.parse().ok().filter(|level| (-1..=3).contains(level)),
    }
}

fn read_moment(text: &str) -> Option<Micros> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| Micros(at.timestamp_micros()))
}

/// The values of the comparisons `[type:property = 'value']` of a STIX pattern, of the types that traffic shows, joined by OR or AND.
fn stix_values(pattern: &str) -> Vec<String> {
    const TYPES: [&str; 5] =
        ["ipv4-addr:value", "ipv6-addr:value", "domain-name:value", "url:value", "network-traffic:dst_ref.value"];
    let mut values = Vec::new();
    let mut rest = pattern;
    while let Some((at, name)) = TYPES.iter().filter_map(|name| Some((rest.find(name)?, name))).min() {
        rest = rest.get(at + name.len()..).unwrap_or_default();
        let Some(after) = rest.trim_start().strip_prefix('=') else { continue };
        let Some(quoted) = after.trim_start().strip_prefix('\'') else { continue };
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => value.extend(chars.next().map(|(_, c)| c)),
                '\'' => {
                    rest = quoted.get(at + 1..).unwrap_or_default();
                    values.push(value);
                    break;
                }
                c => value.push(c),
            }
        }
    }
    values
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum File {
    Stix {
        objects: Vec<StixObject>,
    },
    Misp {
        #[serde(rename = "Event")]
        event: MispEvent,
    },
    MispResponse {
        response: Vec<Wrapped>,
    },
    MispList(Vec<Wrapped>),
}

#[derive(serde::Deserialize)]
struct Wrapped {
    #[serde(rename = "Event")]
    event: MispEvent,
}

#[derive(serde::Deserialize)]
struct StixObject {
    #[serde(rename = "type", default)]
    kind: String,
    name: Option<String>,
    pattern: Option<String>,
    pattern_type: Option<String>,
    valid_until: Option<String>,
    confidence: Option<u32>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    indicator_types: Vec<String>,
}

#[derive(serde::Deserialize)]
struct MispEvent {
    info: Option<String>,
    threat_level_id: Option<serde_json::Value>,
    #[serde(rename = "Attribute", default)]
    attributes: Vec<MispAttribute>,
    #[serde(rename = "Object", default)]
    objects: Vec<MispObject>,
}

#[derive(serde::Deserialize)]
struct MispObject {
    #[serde(rename = "Attribute", default)]
    attributes: Vec<MispAttribute>,
}

#[derive(serde::Deserialize)]
struct MispAttribute {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    to_ids: bool,
    #[serde(default)]
    deleted: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NOW: Micros = Micros(1_780_000_000_000_000);

    fn read(text: &str) -> (Reputations, Rejected) {
        let (mut lists, mut rejected) = (Lists::default(), Rejected::default());
        lists.read("list", text, &mut rejected).unwrap();
        (lists.build(), rejected)
    }

    fn address(said: &Reputations, ip: &str) -> Option<i8> {
        said.of_address(ip.parse().unwrap(), NOW).map(|said| said.level)
    }

    #[test]
    fn tables_and_plain_lists() {
        let (said, rejected) = read(
            "indicator,level,label,expires\n198.51.100.0/24,2,scanner,\nevil.example,gti:High:3,\"c2, old\",\n\
             203.0.113.9,1,,2001-01-01T00:00:00Z\nhttp://drop.example/a/b,3,,\nbad indicator!,3,,\nx.example,9,,\n\"open,3,,\n",
        );
        assert_eq!((address(&said, "198.51.100.77"), address(&said, "198.51.101.1")), (Some(2), None));
        assert_eq!(address(&said, "203.0.113.9"), None, "expired");
        assert_eq!(said.of_name("a.EVIL.example.", NOW).unwrap().source, "list: c2, old");
        assert!(said.of_name("notevil.example", NOW).is_none());
        assert_eq!(said.of_uri("https://drop.example/a/b?x=1", NOW).unwrap().level, 3);
        assert!(said.of_uri("https://drop.example/a", NOW).is_none());
        assert_eq!(rejected.count, 3, "{rejected:?}");
        let (said, rejected) = read("# hosts\n0.0.0.0 ads.example\n2001:db8::/32\nplain.example\n");
        assert_eq!((address(&said, "2001:db8::9"), rejected.count), (Some(3), 0));
        assert!(said.of_name("ads.example", NOW).is_some() && said.of_name("plain.example", NOW).is_some());
    }

    #[test]
    fn stix_and_misp() {
        let stix = r#"{"type":"bundle","id":"bundle--1","objects":[
            {"type":"identity","name":"x"},
            {"type":"indicator","name":"c2","pattern_type":"stix","confidence":40,
             "pattern":"[ipv4-addr:value = '198.51.100.7/32'] OR [domain-name:value = 'it\\'s.example' OR url:value='http://u.example/p']"},
            {"type":"indicator","pattern":"[domain-name:value = 'old.example']","valid_until":"2001-01-01T00:00:00Z"},
            {"type":"indicator","pattern":"[domain-name:value = 'gone.example']","revoked":true},
            {"type":"indicator","pattern":"[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']"}]}"#;
        let (said, rejected) = read(stix);
        assert_eq!(address(&said, "198.51.100.7"), Some(2));
        assert_eq!(said.of_uri("u.example/p", NOW).unwrap().source, "list: c2");
        assert!(said.of_name("old.example", NOW).is_none() && said.of_name("gone.example", NOW).is_none());
        assert_eq!(rejected.count, 2, "the hash, and the name with a quote: {rejected:?}");
        let misp = r#"{"Event":{"info":"spam","threat_level_id":"2","Attribute":[
            {"type":"ip-dst|port","value":"203.0.113.5|443","to_ids":true},{"type":"domain","value":"victim.example","to_ids":false},
            {"type":"sha256","value":"aa","to_ids":true}],"Object":[{"Attribute":[{"type":"hostname","value":"h.example","to_ids":true}]}]}}"#;
        for text in [misp.to_owned(), format!("[{misp}]"), format!("{{\"response\":[{misp}]}}")] {
            let (said, rejected) = read(&text);
            assert_eq!((address(&said, "203.0.113.5"), rejected.count), (Some(2), 0));
            assert!(said.of_name("h.example", NOW).is_some() && said.of_name("victim.example", NOW).is_none());
        }
    }

    #[test]
    fn nested_or_cut_json_is_an_error() {
        let (mut lists, mut rejected) = (Lists::default(), Rejected::default());
        for text in ["[".repeat(1_000_000), "{\"a\":".repeat(100_000), "{}".to_owned(), "{\"objects\":[".to_owned()] {
            assert!(lists.read("x", &text, &mut rejected).is_err());
        }
    }
}
