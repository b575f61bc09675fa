//! What analysts said, applied to the ranking: verdicts and rules of the state database that are in force.
//!
//! Severity 3 (and a rule that allows) says that a pattern is explained: its rows stand behind all others, as if every record of the day were like it, and
//! nothing else moves. Severity 1 says that it is real: the pattern, and whoever else goes to the same place, is expected a thousand times less often.
//! Severity 2 changes nothing. A rule that suppresses takes its rows out of the list. Nothing is trained on, so the host's other rows keep their
//! scores; a verdict that expired or was superseded leaves no trace. Verdicts hold for all days until they expire.

use std::net::IpAddr;

use aggregator::lake::{Lake, Source, Table};
use aggregator::record::Micros;
use aggregator::state::rules::Action;
use aggregator::state::verdicts::{Severity, Subject, Verdict};
use arrow::array::{Array, FixedSizeBinaryArray, StringArray, UInt16Array, UInt64Array};
use hashbrown::{HashMap, HashSet};

use super::{ScoreError, parts};
use crate::detect::domain::{is_under, registered};

/// ln of how many times less often a confirmed pattern is expected.
const RAISED: f64 = 6.907_755_278_982_137;

/// What a rule is about: everything stated must hold. JSON in the state database.
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
    /// The responder's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A domain: `qname` or `host` is it or ends in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// Why a matcher is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MatcherError {
    /// Not the JSON of one.
    #[error("a rule's matcher: {0}")]
    Json(String),
    /// It would take everything.
    #[error("a rule's matcher must state a group, host, peer, port or domain")]
    Empty,
    /// Not an address or network.
    #[error("a rule's {field} must be an address or a network, not {found:?}")]
    Network {
        /// Which field.
        field: &'static str,
        /// What stands there.
        found: String,
    },
    /// Not sixteen hexadecimal digits.
    #[error("a rule's group must be 16 hexadecimal digits, not {0:?}")]
    Group(String),
}

/// A matcher, read.
#[derive(Clone, PartialEq, Debug, Default)]
struct Pattern {
    record: Option<[u8; 16]>,
    group: Option<u64>,
    host: Option<(IpAddr, u8)>,
    peer: Option<(IpAddr, u8)>,
    port: Option<u16>,
    domain: Option<String>,
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

    fn pattern(&self) -> Result<Pattern, MatcherError> {
        if *self == Self::default() {
            return Err(MatcherError::Empty);
        }
        let network = |field, text: &Option<String>| {
            let wrong = |found: &str| MatcherError::Network { field, found: found.to_owned() };
            text.as_deref().map(|text| read_network(text).ok_or_else(|| wrong(text))).transpose()
        };
        let group = self.group.as_deref().map(|text| {
            u64::from_str_radix(text, 16)
                .ok()
                .filter(|_| text.len() == 16)
                .ok_or_else(|| MatcherError::Group(text.to_owned()))
        });
        Ok(Pattern {
            record: None,
            group: group.transpose()?,
            host: network("host", &self.host)?,
            peer: network("peer", &self.peer)?,
            port: self.port,
            domain: self.domain.as_deref().map(|name| name.trim_matches('.').to_lowercase()),
        })
    }
}

fn read_network(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
    let ip: IpAddr = ip.parse().ok()?;
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some((ip, bits))
}

/// What a rule looks at in a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    pub(super) record_id: [u8; 16],
    pub(super) host: Option<IpAddr>,
    pub(super) peer: Option<IpAddr>,
    pub(super) port: Option<u16>,
    pub(super) name: Option<&'a str>,
}

impl Pattern {
    fn takes(&self, seen: &Seen<'_>, group: &dyn Fn() -> u64) -> bool {
        let within = |network: Option<(IpAddr, u8)>, ip: Option<IpAddr>| match (network, ip) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some((network, bits)), Some(ip)) => crate::detect::rows::within(ip, network, bits),
        };
        self.record.is_none_or(|record| record == seen.record_id)
            && within(self.host, seen.host)
            && within(self.peer, seen.peer)
            && self.port.is_none_or(|port| seen.port == Some(port))
            && self.domain.as_deref().is_none_or(|domain| seen.name.is_some_and(|name| is_under(name, domain)))
            && self.group.is_none_or(|wanted| wanted == group())
    }
}

/// What is done with rows of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    Suppress,
    Explain,
    Raise,
}

/// Verdicts and rules in force.
#[derive(Clone, Debug, Default)]
pub(super) struct Feedback {
    patterns: Vec<(Pattern, Deed, String)>,
    /// Rules by number of their pattern, for their hits.
    rules: HashMap<usize, aggregator::state::rules::RuleId>,
}

/// What feedback makes of a row.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Ruled {
    /// Out of the list.
    Suppressed(usize),
    /// Ranked by this ln E, by these rules.
    Ranked(f64, Vec<usize>),
}

impl Feedback {
    /// Reads what is in force now. A matcher that cannot be read is told in the log and left out: one bad rule must not stop a run.
    pub(super) fn read(lake: &Lake, source: Source, now: Micros) -> Result<Self, ScoreError> {
        let mut this = Self::default();
        let rules = lake.state().rules(source, now)?;
        let mut said: HashMap<i64, Severity> = HashMap::new();
        let mut records: Vec<Verdict> = Vec::new();
        for verdict in lake.state().verdicts(source, now)? {
            match verdict.verdict.subject {
                // The later one stands: they come oldest first.
                Subject::Rule(rule) => drop(said.insert(rule.0, verdict.verdict.severity)),
                Subject::Record(_) => records.push(verdict),
            }
        }
        for rule in rules {
            let pattern = match Matcher::read(&rule.rule.matcher).and_then(|matcher| matcher.pattern()) {
                Ok(pattern) => pattern,
                Err(error) => {
                    tracing::warn!(rule = rule.id.0, %error, "rule left out");
                    continue;
                }
            };
            let deed = match (said.get(&rule.id.0), rule.rule.action) {
                (Some(Severity::High), _) => Deed::Raise,
                (Some(Severity::Medium), _) => continue,
                (Some(Severity::Low), Action::Allow) | (None, Action::Allow) => Deed::Explain,
                (_, Action::Suppress) => Deed::Suppress,
            };
            this.rules.insert(this.patterns.len(), rule.id);
            this.patterns.push((pattern, deed, format!("rule {}", rule.id.0)));
        }
        this.add_records(lake, source, &records)?;
        Ok(this)
    }

    /// Verdicts on records: the record alone, or its group on every day.
    fn add_records(&mut self, lake: &Lake, source: Source, verdicts: &[Verdict]) -> Result<(), ScoreError> {
        let mut latest: HashMap<[u8; 16], &Verdict> = HashMap::new();
        for verdict in verdicts {
            if let Subject::Record(id) = verdict.verdict.subject {
                latest.insert(id.0, verdict);
            }
        }
        let reaching: HashSet<[u8; 16]> =
            latest.iter().filter(|(_, verdict)| verdict.verdict.scope != "record").map(|(id, _)| *id).collect();
        let known = if reaching.is_empty() { HashMap::new() } else { look_up(lake, source, &reaching)? };
        let mut ordered: Vec<([u8; 16], &Verdict)> = latest.into_iter().collect();
        ordered.sort_by_key(|(_, verdict)| verdict.id);
        for (record, verdict) in ordered {
            let deed = match verdict.verdict.severity {
                Severity::High => Deed::Raise,
                Severity::Medium => continue,
                Severity::Low => Deed::Explain,
            };
            let name = format!("verdict {}", verdict.id);
            match known.get(&record) {
                None => self.patterns.push((Pattern { record: Some(record), ..Pattern::default() }, deed, name)),
                Some(row) => {
                    let group = Pattern { group: Some(row.group), ..Pattern::default() };
                    self.patterns.push((group, deed, name.clone()));
                    // Who goes to the same place resembles what was confirmed; what is innocent here may be guilty there.
                    if let (Deed::Raise, Some(place)) = (deed, &row.place) {
                        self.patterns.push((place.clone(), deed, name));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The groups that patterns name.
    pub(super) fn groups(&self) -> HashSet<u64> {
        self.patterns.iter().filter_map(|(pattern, ..)| pattern.group).collect()
    }

    /// The name of a rule, as it stands in `rules_applied`.
    pub(super) fn name(&self, number: usize) -> &str {
        self.patterns.get(number).map_or("", |(_, _, name)| name)
    }

    /// The rule of the state database behind a pattern.
    pub(super) fn rule(&self, number: usize) -> Option<aggregator::state::rules::RuleId> {
        self.rules.get(&number).copied()
    }

    /// What becomes of a row that stands at `order_by`; `last` is the place behind all.
    pub(super) fn rule_on(&self, seen: &Seen<'_>, group: &dyn Fn() -> u64, order_by: f64, last: f64) -> Ruled {
        let (mut at, mut applied) = (order_by, Vec::new());
        let (mut raised, mut explained) = (false, false);
        for (number, (pattern, deed, _)) in self.patterns.iter().enumerate() {
            if !pattern.takes(seen, group) {
                continue;
            }
            applied.push(number);
            match deed {
                Deed::Suppress => return Ruled::Suppressed(number),
                Deed::Explain => explained = true,
                Deed::Raise => raised = true,
            }
        }
        // What is confirmed somewhere is not explained away by another rule.
        if raised {
            at -= RAISED;
        } else if explained {
            at = last;
        }
        Ruled::Ranked(at, applied)
    }
}

/// What a verdict's record is part of.
struct Known {
    group: u64,
    place: Option<Pattern>,
}

/// Finds records among the scores of all days.
fn look_up(lake: &Lake, source: Source, wanted: &HashSet<[u8; 16]>) -> Result<HashMap<[u8; 16], Known>, ScoreError> {
    let columns: &[&str] = match source {
        Source::Flow => &["record_id", "group_id", "dst_ip", "dst_port"],
        Source::Dns => &["record_id", "group_id", "qname"],
        Source::Proxy => &["record_id", "group_id", "host"],
    };
    let mut known = HashMap::new();
    for part in lake.parts(Table::Scores(source), None)? {
        if known.len() == wanted.len() {
            break;
        }
        parts::read(&part, columns, None, &mut |_, batch| {
            let ids: &FixedSizeBinaryArray = parts::column(batch, "record_id")?;
            let groups: &UInt64Array = parts::column(batch, "group_id")?;
            for row in 0..batch.num_rows() {
                let Some(id) = (!ids.is_null(row)).then(|| ids.value(row)).and_then(|id| <[u8; 16]>::try_from(id).ok())
                else {
                    continue;
                };
                if !wanted.contains(&id) {
                    continue;
                }
                let text = |name| -> Result<Option<String>, ScoreError> {
                    let column: &StringArray = parts::column(batch, name)?;
                    Ok((!column.is_null(row)).then(|| column.value(row).to_owned()))
                };
                let place = match source {
                    Source::Flow => {
                        let ports: &UInt16Array = parts::column(batch, "dst_port")?;
                        let peer = text("dst_ip")?.and_then(|ip| read_network(&ip));
                        let port = (!ports.is_null(row)).then(|| ports.value(row));
                        peer.map(|peer| Pattern { peer: Some(peer), port, ..Pattern::default() })
                    }
                    Source::Dns => text("qname")?
                        .map(|name| Pattern { domain: Some(registered(&name).to_owned()), ..Pattern::default() }),
                    Source::Proxy => text("host")?.map(|name| Pattern { domain: Some(name), ..Pattern::default() }),
                };
                known.insert(id, Known { group: groups.value(row), place });
            }
            Ok(())
        })?;
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn matchers_are_read_or_refused() {
        let matcher = Matcher::read(r#"{"host":"10.1.0.0/16","port":445}"#).unwrap();
        assert_eq!(matcher.port, Some(445));
        for bad in [
            "{}",
            "[]",
            r#"{"host":"10.1"}"#,
            r#"{"host":"10.0.0.0/33"}"#,
            r#"{"group":"12"}"#,
            r#"{"hots":"10.0.0.1"}"#,
        ] {
            assert!(Matcher::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn all_that_is_stated_must_hold() {
        let pattern =
            Matcher { host: Some("10.1.0.0/16".into()), domain: Some("Example.com.".into()), ..Matcher::default() };
        let pattern = pattern.pattern().unwrap();
        let seen = |host: &str, name| Seen {
            record_id: [0; 16],
            host: host.parse().ok(),
            peer: None,
            port: None,
            name: Some(name),
        };
        assert!(pattern.takes(&seen("10.1.9.9", "a.example.com"), &|| 0));
        assert!(!pattern.takes(&seen("10.2.9.9", "a.example.com"), &|| 0));
        assert!(!pattern.takes(&seen("10.1.9.9", "anexample.com"), &|| 0));
    }

    #[test]
    fn what_is_confirmed_is_not_explained_away() {
        let all = Pattern { port: Some(443), ..Pattern::default() };
        let seen = Seen { record_id: [1; 16], host: None, peer: None, port: Some(443), name: None };
        let of = |deeds: &[Deed]| Feedback {
            patterns: deeds.iter().map(|deed| (all.clone(), *deed, String::new())).collect(),
            rules: HashMap::new(),
        };
        let ranked = |deeds: &[Deed]| of(deeds).rule_on(&seen, &|| 0, -3.0, 9.0);
        assert_eq!(ranked(&[]), Ruled::Ranked(-3.0, vec![]));
        assert_eq!(ranked(&[Deed::Explain]), Ruled::Ranked(9.0, vec![0]));
        assert_eq!(ranked(&[Deed::Explain, Deed::Raise]), Ruled::Ranked(-3.0 - RAISED, vec![0, 1]));
        assert_eq!(ranked(&[Deed::Raise, Deed::Suppress]), Ruled::Suppressed(1));
    }
}
