//! Verdicts and rules: what is said of records, and what it would reach.

use analytics::feedback;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Source;
use crate::problem::ApiError;

/// Conditions on a record; all that is stated must hold.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// A group, by its `group_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The initiator or client: an address or a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The responder or server, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Either of them, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// flow: the responder's port, `445` or `8000-8100`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// flow: the initiator's, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src_port: Option<String>,
    /// flow: IANA protocol number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<u8>,
    /// flow: packets of the initiator, a number or a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<String>,
    /// flow: bytes of the initiator, a number or a range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<String>,
    /// dns, proxy: a domain; the name is it or lies under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// dns: type of the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qtype: Option<u16>,
    /// proxy: what the URI begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// proxy: the user agent; a `*` at the end stands for any rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl Matcher {
    /// As the library has it.
    pub(crate) fn read(&self) -> Result<feedback::Matcher, ApiError> {
        let span = |field: &str, text: &Option<String>| {
            let read = text.as_deref().map(str::parse::<feedback::Span>).transpose();
            read.map_err(|error| ApiError::Bad(format!("`{field}`: {error}")))
        };
        let Self { group, host, peer, address, proto, domain, qtype, uri, agent, .. } = self.clone();
        Ok(feedback::Matcher {
            group,
            host,
            peer,
            address,
            port: span("port", &self.port)?,
            src_port: span("src_port", &self.src_port)?,
            proto,
            packets: span("packets", &self.packets)?,
            bytes: span("bytes", &self.bytes)?,
            domain,
            qtype,
            uri,
            agent,
        })
    }
}

impl From<feedback::Matcher> for Matcher {
    fn from(matcher: feedback::Matcher) -> Self {
        let text = |span: Option<feedback::Span>| span.map(|span| span.to_string());
        let feedback::Matcher {
            group,
            host,
            peer,
            address,
            port,
            src_port,
            proto,
            packets,
            bytes,
            domain,
            qtype,
            uri,
            agent,
        } = matcher;
        Self {
            group,
            host,
            peer,
            address,
            port: text(port),
            src_port: text(src_port),
            proto,
            packets: text(packets),
            bytes: text(bytes),
            domain,
            qtype,
            uri,
            agent,
        }
    }
}

/// How far a verdict reaches from its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerdictScope {
    /// The record alone.
    Record,
    /// Its group, on every day.
    Group,
    /// The same two ends: host and peer with port (flow), host and name (dns, proxy).
    Endpoints,
    /// All of its host.
    Host,
    /// All that go to its peer.
    Peer,
    /// All that go to its registered domain.
    Domain,
    /// All of its user agent.
    Agent,
    /// What the matcher says.
    Pattern,
}

impl From<VerdictScope> for feedback::Scope {
    fn from(scope: VerdictScope) -> Self {
        match scope {
            VerdictScope::Record => Self::Record,
            VerdictScope::Group => Self::Group,
            VerdictScope::Endpoints => Self::Endpoints,
            VerdictScope::Host => Self::Host,
            VerdictScope::Peer => Self::Peer,
            VerdictScope::Domain => Self::Domain,
            VerdictScope::Agent => Self::Agent,
            VerdictScope::Pattern => Self::Pattern,
        }
    }
}

/// A verdict to be given.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerdictDraft {
    /// Kind of record.
    pub source: Source,
    /// The record it begins from; not needed for scope `pattern`.
    pub record_id: Option<String>,
    /// The record's day: it is looked for there only.
    pub date: Option<String>,
    /// How far it reaches.
    pub scope: VerdictScope,
    /// Scope `pattern`: what it reaches.
    pub matcher: Option<Matcher>,
    /// 1 high, 2 medium, 3 low.
    pub severity: u8,
    /// Why.
    pub note: Option<String>,
    /// Until when, RFC 3339; for ever if left out.
    pub expires: Option<String>,
    /// The verdict it takes the place of; without it the one in force on the same record or pattern.
    pub supersedes: Option<i64>,
}

/// Verdicts to be given, all or none.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerdictDrafts {
    /// 1 to 200 of them.
    pub verdicts: Vec<VerdictDraft>,
}

/// What became of a verdict or rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Force {
    /// It acts.
    InForce,
    /// Its time is over.
    Expired,
    /// A later verdict took its place.
    Superseded,
    /// Somebody took it back.
    TakenBack,
}

/// A verdict.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Verdict {
    /// Its number.
    pub id: i64,
    /// Kind of record.
    pub source: Source,
    /// The record it was given on.
    pub record_id: Option<String>,
    /// When that record was first seen, where it is known.
    pub first_seen: Option<String>,
    /// The rule it was given on.
    pub rule_id: Option<i64>,
    /// How far it reaches, in a word.
    pub scope: String,
    /// What it reaches beside its record.
    pub matcher: Option<Matcher>,
    /// What resembles it, and is raised where it is of severity 1.
    pub resembling: Option<Matcher>,
    /// 1 high, 2 medium, 3 low.
    pub severity: u8,
    /// Who said so.
    pub author: String,
    /// When.
    pub time: String,
    /// Why.
    pub note: Option<String>,
    /// Until when.
    pub expires: Option<String>,
    /// The verdict it took the place of.
    pub supersedes: Option<i64>,
    /// What became of it.
    pub state: Force,
    /// The verdict that took its place.
    pub superseded_by: Option<i64>,
    /// Who took it back.
    pub taken_back_by: Option<String>,
    /// When it was taken back.
    pub taken_back_at: Option<String>,
    /// The batch it was given in.
    pub batch: Option<i64>,
}

/// Verdicts that were given in one go, on what a query found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct VerdictBatch {
    /// Its number.
    pub id: i64,
    /// What was asked: the day and the query, in words.
    pub query: String,
    /// Verdicts that were given.
    pub given: u64,
    /// Those of them that nobody has superseded or taken back.
    pub standing: u64,
}

impl From<aggregator::state::verdicts::Batch> for VerdictBatch {
    fn from(batch: aggregator::state::verdicts::Batch) -> Self {
        let aggregator::state::verdicts::Batch { id, query, given, standing } = batch;
        Self { id: id.0, query, given, standing }
    }
}

/// Verdicts, latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct VerdictList {
    /// The verdicts.
    pub verdicts: Vec<Verdict>,
    /// The batches they were given in.
    pub batches: Vec<VerdictBatch>,
    /// Give it back as `before` for what follows; `null` at the end.
    pub next_before: Option<i64>,
}

/// Which verdicts.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VerdictQuery {
    /// Kind of record; all if left out.
    pub source: Option<Source>,
    /// On this record only.
    pub record_id: Option<String>,
    /// `on`: those that ended too; `off` (default): what is in force.
    pub ended: Option<super::Switch>,
    /// At most so many, 1 to 1000; 250 if left out.
    pub limit: Option<u32>,
    /// `next_before` of the page before.
    pub before: Option<i64>,
}

/// What a verdict or rule would reach.
#[derive(Debug, Serialize, ToSchema)]
pub struct Preview {
    /// The day that was looked at; `null` where no day has scores.
    pub date: Option<String>,
    /// Rows of the day's list.
    pub rows: u64,
    /// Groups they form.
    pub groups: u64,
    /// Records of the whole day in those groups.
    pub group_records: u64,
    /// Rows among them that have a verdict already.
    pub rated: u64,
    /// Best place among them.
    pub best_rank: Option<u32>,
    /// Rows of the lists of all days that are scored.
    pub rows_of_all_days: u64,
    /// How many days they are on.
    pub days: u64,
    /// The most suspicious of the rows, 20 at most.
    pub sample: Vec<String>,
    /// Records of the day it takes, listed or not; `null` where they alone do not say (groups are of scores).
    pub records: Option<u64>,
    /// Hosts they are of.
    pub hosts: Option<u64>,
    /// Records of the day.
    pub records_of_day: Option<u64>,
}

/// What a rule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Not shown.
    Suppress,
    /// Known to be benign: behind all others.
    Allow,
}

/// A rule to be made.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleDraft {
    /// What people call it.
    pub name: Option<String>,
    /// What it does.
    pub action: RuleAction,
    /// Kind of record.
    pub source: Source,
    /// What it matches.
    pub matcher: Matcher,
    /// Until when, RFC 3339; for ever if left out.
    pub expires: Option<String>,
    /// Why.
    pub note: Option<String>,
    /// The day a preview looks at.
    pub date: Option<String>,
}

/// A rule.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rule {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: Option<String>,
    /// What it does.
    pub action: RuleAction,
    /// Kind of record.
    pub source: Source,
    /// What it matches.
    pub matcher: Matcher,
    /// Who made it.
    pub author: String,
    /// When.
    pub created: String,
    /// Until when.
    pub expires: Option<String>,
    /// Why.
    pub note: Option<String>,
    /// Records it matched in scoring runs.
    pub hits: u64,
    /// When it last matched.
    pub last_hit: Option<String>,
    /// What became of it: `in_force`, `expired`, `taken_back`.
    pub state: Force,
    /// Who took it out of force.
    pub retired_by: Option<String>,
    /// When.
    pub retired_at: Option<String>,
}

/// Rules, oldest first, and those that can be asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct RuleList {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Apache Spot's old heuristics, none of which is in force by itself.
    pub heuristics: Vec<Heuristic>,
}

/// A rule that can be asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Heuristic {
    /// Its name.
    pub name: String,
    /// What it takes, in words.
    pub about: String,
    /// Kind of record.
    pub source: Source,
    /// What it takes.
    pub matcher: Matcher,
}

/// Which rules.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RuleQuery {
    /// Kind of record; all if left out.
    pub source: Option<Source>,
    /// `on`: those that ended too; `off` (default): what is in force.
    pub ended: Option<super::Switch>,
}

/// Why something is taken back.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TakeBackQuery {
    /// In words.
    pub note: Option<String>,
}

/// What was said of a row of a list.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Said {
    /// Number of the verdict that stands.
    pub verdict: Option<i64>,
    /// Its severity: 1 high, 2 medium, 3 low.
    pub severity: Option<u8>,
    /// The rule that allows it.
    pub allowed_by: Option<i64>,
    /// The rule that suppresses it.
    pub suppressed_by: Option<i64>,
    /// The confirmed verdict on something else that goes to the same place.
    pub resembles: Option<i64>,
    /// Verdicts and rules that moved it when the day was scored.
    pub moved_by: Vec<String>,
    /// log10 of the cases expected by chance, before they moved it.
    pub before: Option<f64>,
}

/// Which rows of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Show {
    /// Those nobody has rated, no rule allows and none suppresses.
    Open,
    /// Those with a verdict.
    Rated,
    /// Those that a rule allows or suppresses.
    Ruled,
    /// All.
    All,
}

impl From<Show> for feedback::Show {
    fn from(show: Show) -> Self {
        match show {
            Show::Open => Self::Open,
            Show::Rated => Self::Rated,
            Show::Ruled => Self::Ruled,
            Show::All => Self::All,
        }
    }
}
