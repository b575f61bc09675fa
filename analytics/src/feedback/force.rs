//! The verdicts and rules in force, and what they do to a row of the ranking.
//!
//! A row is looked up by its record, group, addresses and domain; only patterns that state none of them exactly are tried one by one, so
//! that thousands of verdicts do not slow the pass over a day.

use std::net::IpAddr;

use aggregator::lake::{Lake, Source, Table};
use aggregator::record::Micros;
use aggregator::state::rules::{Action, RuleId};
use aggregator::state::verdicts::{Severity, Subject, Verdict};
use arrow::array::{Array, UInt64Array};
use hashbrown::{HashMap, HashSet};

use super::matcher::{Network, Pattern, Seen};
use super::{Matcher, Reach, rows};
use crate::detect::domain::registered;
use crate::score::{ScoreError, parts};

/// ln of how many times less often a confirmed pattern is expected.
const RAISED: f64 = 6.907_755_278_982_137;

/// What is done with rows of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deed {
    Suppress,
    Explain,
    Raise,
    /// Nothing: it is known.
    Note,
}

/// Who said something about a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// A verdict: its number and severity.
    Verdict(i64, Severity),
    /// A rule that allows.
    Allow(RuleId),
    /// A rule that suppresses.
    Suppress(RuleId),
}

#[derive(Clone, Debug)]
struct Entry {
    pattern: Pattern,
    deed: Deed,
    said: Said,
    /// The row itself is meant, not one that resembles it.
    direct: bool,
    /// It is about one record and so weighs more than a pattern.
    exact: bool,
}

/// Verdicts and rules in force.
#[derive(Clone, Debug, Default)]
pub struct Feedback {
    entries: Vec<Entry>,
    index: Index,
    /// Records of severity 3 that were given as such, with the moment of their first packet where it is known.
    dismissed: Vec<([u8; 16], Option<Micros>)>,
    /// When the first of it expires.
    until: Option<Micros>,
}

/// Entries by what they state exactly.
#[derive(Clone, Debug, Default)]
struct Index {
    record: HashMap<[u8; 16], Vec<usize>>,
    group: HashMap<u64, Vec<usize>>,
    peer: HashMap<IpAddr, Vec<usize>>,
    host: HashMap<IpAddr, Vec<usize>>,
    domain: HashMap<String, Vec<usize>>,
    rest: Vec<usize>,
}

/// What feedback makes of a row.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Ruled {
    /// Out of the list.
    Suppressed(usize),
    /// Ranked by this ln E, by these entries.
    Ranked(f64, Vec<usize>),
}

impl Feedback {
    /// Reads what is in force at `now`. A matcher that cannot be read is told in the log and left out: one bad rule must not stop a run.
    ///
    /// # Errors
    /// The state database or scores cannot be read.
    pub fn read(lake: &Lake, source: Source, now: Micros) -> Result<Self, ScoreError> {
        let mut this = Self::default();
        let verdicts = lake.state().verdicts(source, now)?;
        let mut on_rules: HashMap<i64, &Verdict> = HashMap::new();
        let mut on_records: HashMap<[u8; 16], &Verdict> = HashMap::new();
        let mut on_patterns: HashMap<&str, &Verdict> = HashMap::new();
        // The later one stands: they come oldest first.
        for verdict in &verdicts {
            let _earlier = match verdict.verdict.subject {
                Subject::Rule(rule) => on_rules.insert(rule.0, verdict),
                Subject::Record(id) => on_records.insert(id.0, verdict),
                Subject::Pattern => on_patterns.insert(verdict.verdict.reach.as_deref().unwrap_or_default(), verdict),
            };
        }
        let rules = lake.state().rules(source, now)?;
        let ends = verdicts.iter().map(|v| v.verdict.expires).chain(rules.iter().map(|rule| rule.rule.expires));
        this.until = ends.flatten().min();
        for rule in rules {
            let said = match (on_rules.get(&rule.id.0), rule.rule.action) {
                (Some(verdict), Action::Allow) => Said::Verdict(verdict.id, verdict.verdict.severity),
                (Some(verdict), _) if verdict.verdict.severity != Severity::Low => {
                    Said::Verdict(verdict.id, verdict.verdict.severity)
                }
                (_, Action::Allow) => Said::Allow(rule.id),
                (_, Action::Suppress) => Said::Suppress(rule.id),
            };
            match Matcher::read(&rule.rule.matcher).and_then(|matcher| matcher.pattern()) {
                Ok(pattern) => this.push(pattern, said, true, false),
                Err(error) => tracing::warn!(rule = rule.id.0, %error, "rule left out"),
            }
        }
        let mut ordered: Vec<&Verdict> = on_records.into_values().chain(on_patterns.into_values()).collect();
        ordered.sort_by_key(|verdict| verdict.id);
        this.add_verdicts(lake, source, &ordered)?;
        this.build_index();
        Ok(this)
    }

    fn add_verdicts(&mut self, lake: &Lake, source: Source, verdicts: &[&Verdict]) -> Result<(), ScoreError> {
        // What was given without saying what it reaches: the record alone, or its group on every day.
        let unresolved: HashSet<[u8; 16]> = verdicts
            .iter()
            .filter(|verdict| verdict.verdict.reach.is_none() && verdict.verdict.scope != "record")
            .filter_map(|verdict| record_of(verdict))
            .collect();
        let known = if unresolved.is_empty() { HashMap::new() } else { look_up(lake, source, &unresolved)? };
        for verdict in verdicts {
            let record = record_of(verdict);
            let reach = match &verdict.verdict.reach {
                Some(json) => match Reach::read(json) {
                    Ok(reach) => reach,
                    Err(error) => {
                        tracing::warn!(verdict = verdict.id, %error, "verdict left out");
                        continue;
                    }
                },
                None => record.and_then(|id| known.get(&id).cloned()).unwrap_or_default(),
            };
            let said = Said::Verdict(verdict.id, verdict.verdict.severity);
            if let (Some(id), Severity::Low) = (record, verdict.verdict.severity) {
                self.dismissed.push((id, reach.first_seen.map(Micros)));
            }
            if let Some(id) = record {
                self.push(Pattern { record: Some(id), ..Pattern::default() }, said, true, true);
            }
            let mut add = |matcher: &Option<Matcher>, direct| match matcher.as_ref().map(Matcher::pattern) {
                Some(Ok(pattern)) => self.push(pattern, said, direct, false),
                Some(Err(error)) => tracing::warn!(verdict = verdict.id, %error, "verdict left out"),
                None => {}
            };
            add(&reach.of, true);
            // Who goes to the same place resembles what was confirmed; what is innocent here may be guilty there.
            if verdict.verdict.severity == Severity::High {
                add(&reach.resembling, false);
            }
        }
        Ok(())
    }

    fn push(&mut self, pattern: Pattern, said: Said, direct: bool, exact: bool) {
        let deed = match said {
            Said::Verdict(_, Severity::High) => Deed::Raise,
            Said::Verdict(_, Severity::Medium) => Deed::Note,
            Said::Verdict(_, Severity::Low) | Said::Allow(_) => Deed::Explain,
            Said::Suppress(_) => Deed::Suppress,
        };
        self.entries.push(Entry { pattern, deed, said, direct, exact });
    }

    fn build_index(&mut self) {
        let alone = |network: Option<Network>| {
            network.and_then(|(ip, bits)| (bits == if ip.is_ipv4() { 32 } else { 128 }).then_some(ip))
        };
        for (number, Entry { pattern, .. }) in self.entries.iter().enumerate() {
            let index = &mut self.index;
            let list = if let Some(record) = pattern.record {
                index.record.entry(record).or_default()
            } else if let Some(group) = pattern.group {
                index.group.entry(group).or_default()
            } else if let Some(peer) = alone(pattern.peer) {
                index.peer.entry(peer).or_default()
            } else if let Some(host) = alone(pattern.host) {
                index.host.entry(host).or_default()
            } else if let Some(domain) = &pattern.domain {
                index.domain.entry(domain.clone()).or_default()
            } else {
                &mut index.rest
            };
            list.push(number);
        }
    }

    /// Nothing is in force.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When the first of what is in force expires.
    pub const fn until(&self) -> Option<Micros> {
        self.until
    }

    /// The groups that patterns name.
    pub(crate) fn groups(&self) -> HashSet<u64> {
        self.index.group.keys().copied().collect()
    }

    /// Records of severity 3 that were given as such, with the moment of their first packet where it is known.
    pub(crate) fn dismissed(&self) -> &[([u8; 16], Option<Micros>)] {
        &self.dismissed
    }

    /// A pattern of severity 3 that was given without a record, or a rule that allows, takes the row.
    pub(crate) fn dismisses_pattern(&self, seen: &Seen<'_>) -> bool {
        self.matching(seen, &|| 0).iter().filter_map(|number| self.entries.get(*number)).any(|entry| {
            entry.deed == Deed::Explain
                && entry.direct
                && entry.pattern.record.is_none()
                && entry.pattern.group.is_none()
        })
    }

    /// What was said of a row, in the order of the entries: who said it, whether the row itself is meant, and whether it is about the record alone.
    pub(crate) fn said(&self, seen: &Seen<'_>, group: &dyn Fn() -> u64) -> Vec<(Said, bool, bool)> {
        let matching = self.matching(seen, group);
        matching
            .iter()
            .filter_map(|number| self.entries.get(*number))
            .map(|entry| (entry.said, entry.direct, entry.exact))
            .collect()
    }

    /// The name of an entry, as it stands in `rules_applied`.
    pub(crate) fn name(&self, number: usize) -> String {
        match self.entries.get(number).map(|entry| entry.said) {
            Some(Said::Verdict(id, _)) => format!("verdict {id}"),
            Some(Said::Allow(id) | Said::Suppress(id)) => format!("rule {}", id.0),
            None => String::new(),
        }
    }

    /// The rule of the state database behind an entry.
    pub(crate) fn rule(&self, number: usize) -> Option<RuleId> {
        match self.entries.get(number)?.said {
            Said::Allow(id) | Said::Suppress(id) => Some(id),
            Said::Verdict(..) => None,
        }
    }

    fn matching(&self, seen: &Seen<'_>, group: &dyn Fn() -> u64) -> Vec<usize> {
        let mut numbers: Vec<usize> = Vec::new();
        let mut take = |list: Option<&Vec<usize>>| {
            let takes = |number: &&usize| self.entries.get(**number).is_some_and(|e| e.pattern.takes(seen, group));
            numbers.extend(list.into_iter().flatten().filter(takes));
        };
        let Index { record, group: groups, peer, host, domain, rest } = &self.index;
        take(record.get(&seen.record_id));
        if !groups.is_empty() {
            take(groups.get(&group()));
        }
        take(seen.peer.and_then(|ip| peer.get(&ip)));
        take(seen.host.and_then(|ip| host.get(&ip)));
        if let (false, Some(name)) = (domain.is_empty(), seen.name) {
            let name = name.trim_end_matches('.').to_lowercase();
            let starts = std::iter::once(0).chain(name.match_indices('.').map(|(at, _)| at + 1));
            starts.for_each(|at| take(name.get(at..).and_then(|under| domain.get(under))));
        }
        take(Some(rest));
        numbers.sort_unstable();
        numbers
    }

    /// What becomes of a row that stands at `order_by`; `last` is the place behind all.
    pub(crate) fn rule_on(&self, seen: &Seen<'_>, group: &dyn Fn() -> u64, order_by: f64, last: f64) -> Ruled {
        let (mut at, mut applied) = (order_by, Vec::new());
        let (mut raised, mut confirmed, mut explained, mut suppressed) = (false, false, false, None);
        for number in self.matching(seen, group) {
            let Some(entry) = self.entries.get(number) else { continue };
            match entry.deed {
                Deed::Suppress => suppressed = suppressed.or(Some(number)),
                Deed::Explain => explained = true,
                Deed::Raise => (raised, confirmed) = (true, confirmed || entry.direct),
                Deed::Note => continue,
            }
            let again = |other: &usize| self.entries.get(*other).is_some_and(|other| other.said == entry.said);
            if !applied.iter().any(again) {
                applied.push(number);
            }
        }
        // What is confirmed is not taken out or explained away by another rule.
        if let (Some(number), false) = (suppressed, confirmed) {
            return Ruled::Suppressed(number);
        }
        if raised {
            at -= RAISED;
        } else if explained {
            at = last;
        }
        Ruled::Ranked(at, applied)
    }
}

fn record_of(verdict: &Verdict) -> Option<[u8; 16]> {
    match verdict.verdict.subject {
        Subject::Record(id) => Some(id.0),
        Subject::Rule(_) | Subject::Pattern => None,
    }
}

/// Finds records among the scores of all days: their groups, and where they go.
fn look_up(lake: &Lake, source: Source, wanted: &HashSet<[u8; 16]>) -> Result<HashMap<[u8; 16], Reach>, ScoreError> {
    let mut columns = rows::columns(source).to_vec();
    columns.push("group_id");
    let mut known = HashMap::new();
    for part in lake.parts(Table::Scores(source), None)? {
        if known.len() == wanted.len() {
            break;
        }
        parts::read(&part, &columns, None, &mut |_, batch| {
            let groups: &UInt64Array = parts::column(batch, "group_id")?;
            for (at, seen) in rows::seen(source, batch)?.iter().enumerate() {
                if wanted.contains(&seen.record_id) && !groups.is_null(at) {
                    let of = Matcher { group: Some(format!("{:016x}", groups.value(at))), ..Matcher::default() };
                    let reach = Reach { of: Some(of), resembling: place(source, seen), first_seen: None };
                    known.insert(seen.record_id, reach);
                }
            }
            Ok(())
        })?;
    }
    Ok(known)
}

/// Where a record goes.
pub(super) fn place(source: Source, seen: &Seen<'_>) -> Option<Matcher> {
    let domain = |name: &str| Matcher { domain: Some(name.to_owned()), ..Matcher::default() };
    match source {
        Source::Flow => seen.peer.map(|peer| Matcher {
            peer: Some(peer.to_string()),
            port: seen.port.map(|port| super::Span::of(port.into())),
            ..Matcher::default()
        }),
        Source::Dns => seen.name.map(|name| domain(registered(name))),
        Source::Proxy => seen.name.map(domain),
    }
}
