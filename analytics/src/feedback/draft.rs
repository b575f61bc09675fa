//! A verdict before it is given: from "this record, as far as its endpoints" to the pattern that is written down.

use aggregator::lake::{Day, Lake, Source, Table};
use aggregator::record::{Micros, RecordId};
use aggregator::state::verdicts::{NewVerdict, Severity, Subject};
use arrow::array::{Array, TimestampMicrosecondArray, UInt64Array};
use hashbrown::HashMap;

use super::{FeedbackError, Matcher, MatcherError, Seen, Span, force, rows};
use crate::detect::domain::registered;
use crate::score::{ScoreError, parts};

/// Characters of a note at most.
const MAX_NOTE: usize = 4000;

/// How far a verdict reaches from its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The record alone.
    Record,
    /// Its group: the same host, and the same word or the same finding of a detector, on every day.
    Group,
    /// The same two ends: host and peer with port and protocol (flow), host and name (dns, proxy).
    Endpoints,
    /// All of its host (initiator, client).
    Host,
    /// All that go to its peer.
    Peer,
    /// All that go to its registered domain.
    Domain,
    /// All of its user agent.
    Agent,
    /// What the matcher says, with or without a record.
    Pattern,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Record, Self::Group, Self::Endpoints, Self::Host, Self::Peer, Self::Domain, Self::Agent, Self::Pattern];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Group => "group",
            Self::Endpoints => "endpoints",
            Self::Host => "host",
            Self::Peer => "peer",
            Self::Domain => "domain",
            Self::Agent => "agent",
            Self::Pattern => "pattern",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|scope| scope.as_str()).collect();
            format!("unknown scope {text:?}: {}", all.join(", "))
        })
    }
}

/// What a verdict reaches, as it is written down with it.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// What it is about beside its record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Matcher>,
    /// What resembles it, if it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resembling: Option<Matcher>,
    /// First packet of its record, microseconds since 1970 UTC: where to find it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<i64>,
}

impl Reach {
    /// Reads its JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(json: &str) -> Result<Self, MatcherError> {
        serde_json::from_str(json).map_err(|error| MatcherError::Json(error.to_string()))
    }

    /// As JSON.
    pub fn to_json(&self) -> String {
        // Plain options of text and numbers: nothing of it can fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A verdict before it is given.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    /// Kind of record.
    pub source: Source,
    /// The record it begins from; not needed for [`Scope::Pattern`].
    pub record: Option<RecordId>,
    /// The record's day, if known: it is looked for there only.
    pub date: Option<Day>,
    /// How far it reaches.
    pub scope: Scope,
    /// [`Scope::Pattern`]: what it reaches.
    pub matcher: Option<Matcher>,
    /// How bad.
    pub severity: Severity,
    /// Why.
    pub note: Option<String>,
    /// Until when.
    pub expires: Option<Micros>,
    /// The verdict it takes the place of.
    pub supersedes: Option<i64>,
}

impl Draft {
    /// A verdict on a record.
    pub const fn on(source: Source, record: RecordId, scope: Scope, severity: Severity) -> Self {
        Self {
            source,
            record: Some(record),
            date: None,
            scope,
            matcher: None,
            severity,
            note: None,
            expires: None,
            supersedes: None,
        }
    }

    /// A verdict on a pattern.
    pub const fn pattern(source: Source, matcher: Matcher, severity: Severity) -> Self {
        Self {
            source,
            record: None,
            date: None,
            scope: Scope::Pattern,
            matcher: Some(matcher),
            severity,
            note: None,
            expires: None,
            supersedes: None,
        }
    }

    /// Works out what it reaches. `now`: when it is given.
    ///
    /// # Errors
    /// It is about nothing, its record is not there, or the record has not what the scope asks for.
    pub fn resolve(&self, lake: &Lake, author: &str, now: Micros) -> Result<NewVerdict, FeedbackError> {
        self.check(lake, now)?;
        let reach = match (self.scope, self.record, &self.matcher) {
            (Scope::Pattern, record, Some(matcher)) => {
                matcher.check(self.source)?;
                let first_seen = match record {
                    Some(record) => find(lake, self.source, record, self.date)?.map(|found| found.first_seen),
                    None => None,
                };
                Reach { of: Some(matcher.clone()), resembling: None, first_seen }
            }
            (Scope::Pattern, _, None) => return Err(FeedbackError::Draft("scope pattern needs a matcher".into())),
            (_, _, Some(_)) => return Err(FeedbackError::Draft("a matcher goes with scope pattern only".into())),
            (scope, None, _) => {
                return Err(FeedbackError::Draft(format!("scope {} needs a record", scope.as_str())));
            }
            (scope, Some(record), None) => self.reach_from(lake, scope, record)?,
        };
        let reach = reach.to_json();
        let supersedes = match self.supersedes {
            None => self.standing(lake, &reach, now)?,
            named => named,
        };
        Ok(self.written(reach, supersedes, author, now))
    }

    /// The same verdict on each of many records, with the moment of its first packet: what [`Self::resolve`] gives for
    /// [`Scope::Record`], with one look at what is in force. The caller has found the records.
    ///
    /// # Errors
    /// It would have expired, its note is too long, the state database cannot be read.
    pub fn on_each(
        &self,
        lake: &Lake,
        records: &[(RecordId, Micros)],
        author: &str,
        now: Micros,
    ) -> Result<Vec<NewVerdict>, FeedbackError> {
        self.check(lake, now)?;
        let mut standing: HashMap<RecordId, i64> = HashMap::new();
        for verdict in lake.state().verdicts(self.source, now)? {
            if let Subject::Record(record) = verdict.verdict.subject {
                standing.insert(record, verdict.id);
            }
        }
        let on = |(record, first_seen): &(RecordId, Micros)| {
            let reach = Reach { first_seen: Some(first_seen.0), ..Reach::default() }.to_json();
            let supersedes = standing.get(record).copied();
            let alone = Self { record: Some(*record), scope: Scope::Record, ..self.clone() };
            alone.written(reach, supersedes, author, now)
        };
        Ok(records.iter().map(on).collect())
    }

    fn written(&self, reach: String, supersedes: Option<i64>, author: &str, now: Micros) -> NewVerdict {
        NewVerdict {
            source: self.source,
            subject: self.record.map_or(Subject::Pattern, Subject::Record),
            reach: Some(reach),
            severity: self.severity,
            scope: self.scope.as_str().to_owned(),
            author: author.to_owned(),
            time: now,
            note: self.note.clone().filter(|note| !note.trim().is_empty()),
            expires: self.expires,
            supersedes,
        }
    }

    /// The verdict in force on the same record, or on the same pattern: the new one takes its place.
    fn standing(&self, lake: &Lake, reach: &str, now: Micros) -> Result<Option<i64>, FeedbackError> {
        let in_force = lake.state().verdicts(self.source, now)?;
        let same = |subject: Subject, of: Option<&str>| match (self.record, subject) {
            (Some(record), Subject::Record(other)) => record == other,
            (None, Subject::Pattern) => of == Some(reach),
            _ => false,
        };
        let same = in_force.iter().rev().find(|v| same(v.verdict.subject, v.verdict.reach.as_deref()));
        Ok(same.map(|verdict| verdict.id))
    }

    fn check(&self, lake: &Lake, now: Micros) -> Result<(), FeedbackError> {
        let wrong = |text: String| Err(FeedbackError::Draft(text));
        if self.expires.is_some_and(|end| end <= now) {
            return wrong("it would have expired before it is given: choose a later end".into());
        }
        if self.note.as_ref().is_some_and(|note| note.chars().count() > MAX_NOTE) {
            return wrong(format!("a note may have {MAX_NOTE} characters"));
        }
        match self.supersedes {
            Some(id) if lake.state().verdict(id)?.is_none_or(|found| found.verdict.source != self.source) => {
                wrong(format!("there is no {} verdict {id} to supersede", self.source.as_str()))
            }
            _ => Ok(()),
        }
    }

    fn reach_from(&self, lake: &Lake, scope: Scope, record: RecordId) -> Result<Reach, FeedbackError> {
        let source = self.source;
        let found = find(lake, source, record, self.date)?.ok_or_else(|| FeedbackError::NoRecord {
            source_name: source.as_str(),
            record: hexadecimal(record),
            place: self.date.map_or_else(|| " among the scores; name its day".to_owned(), |date| format!(" on {date}")),
        })?;
        let Found { first_seen, group, .. } = found;
        let seen = found.seen();
        let missing = |what: &str| FeedbackError::Draft(format!("the record has no {what}: choose another scope"));
        let host = || seen.host.map(|ip| ip.to_string()).ok_or_else(|| missing("client address"));
        let peer = || seen.peer.map(|ip| ip.to_string()).ok_or_else(|| missing("server address"));
        let name = || seen.name.map(str::to_owned).ok_or_else(|| missing("name"));
        let empty = Matcher::default;
        let of = match scope {
            Scope::Record | Scope::Pattern => None,
            Scope::Group => Some(Matcher {
                group: Some(format!(
                    "{:016x}",
                    group.ok_or_else(|| {
                        FeedbackError::Draft(
                            "the record has no score, so no group: score its day, or choose another scope".into(),
                        )
                    })?
                )),
                ..empty()
            }),
            Scope::Endpoints if matches!(source, Source::Flow) => Some(Matcher {
                host: Some(host()?),
                peer: Some(peer()?),
                port: seen.port.map(|port| Span::of(port.into())),
                proto: seen.proto,
                ..empty()
            }),
            Scope::Endpoints => Some(Matcher { host: Some(host()?), domain: Some(name()?), ..empty() }),
            Scope::Host => Some(Matcher { host: Some(host()?), ..empty() }),
            Scope::Peer => Some(Matcher { peer: Some(peer()?), ..empty() }),
            Scope::Domain => Some(Matcher { domain: Some(registered(&name()?).to_owned()), ..empty() }),
            Scope::Agent => {
                Some(Matcher { agent: Some(seen.agent.ok_or_else(|| missing("user agent"))?.to_owned()), ..empty() })
            }
        };
        if let Some(of) = &of {
            of.check(source)?;
        }
        // The root of the name space and the like are nobody's place.
        let near = matches!(scope, Scope::Group | Scope::Endpoints).then(|| force::place(source, &seen)).flatten();
        let resembling = near.filter(|place| place.check(source).is_ok());
        Ok(Reach { of, resembling, first_seen: Some(first_seen) })
    }
}

pub(crate) fn hexadecimal(record: RecordId) -> String {
    record.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A record that was found, with what matchers look at.
struct Found {
    first_seen: i64,
    group: Option<u64>,
    source: Source,
    batch: arrow::array::RecordBatch,
}

impl Found {
    fn seen(&self) -> Seen<'_> {
        rows::seen(self.source, &self.batch).ok().and_then(|rows| rows.into_iter().next()).unwrap_or_default()
    }
}

/// Finds a record: among the scores, the latest run first; else, if the day is known, among the day's records.
fn find(lake: &Lake, source: Source, record: RecordId, date: Option<Day>) -> Result<Option<Found>, ScoreError> {
    let mut scored = lake.parts(Table::Scores(source), None)?;
    scored.retain(|part| date.is_none_or(|date| part.date == date));
    let current: Vec<String> =
        lake.state().runs(Some(source))?.into_iter().filter(|run| run.current).map(|run| run.run_id).collect();
    // The current run's group first: the finding that decides may have another name in an older run.
    scored.sort_by_key(|part| {
        (!part.run.as_ref().is_some_and(|run| current.contains(run)), std::cmp::Reverse(part.date))
    });
    let found = find_in(&scored, source, record, true)?;
    match (found, date) {
        (None, Some(date)) => find_in(&parts::of_day(lake, source.table(), date)?, source, record, false),
        (found, _) => Ok(found),
    }
}

fn find_in(
    parts: &[aggregator::lake::Part],
    source: Source,
    record: RecordId,
    scored: bool,
) -> Result<Option<Found>, ScoreError> {
    let mut columns = rows::columns(source).to_vec();
    columns.push("first_seen");
    if scored {
        columns.push("group_id");
    }
    let mut found = None;
    for part in parts {
        parts::read(part, &columns, None, &mut |_, batch| {
            let ids: &arrow::array::FixedSizeBinaryArray = parts::column(batch, "record_id")?;
            if found.is_none()
                && let Some(at) = (0..ids.len()).find(|at| !ids.is_null(*at) && ids.value(*at) == record.0)
            {
                let batch = batch.slice(at, 1);
                let time: &TimestampMicrosecondArray = parts::column(&batch, "first_seen")?;
                let group = if scored {
                    let groups: &UInt64Array = parts::column(&batch, "group_id")?;
                    (!groups.is_null(0)).then(|| groups.value(0))
                } else {
                    None
                };
                found = Some(Found { first_seen: time.value(0), group, source, batch });
            }
            Ok(())
        })?;
        if found.is_some() {
            break;
        }
    }
    Ok(found)
}
