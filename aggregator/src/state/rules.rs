//! Suppression and allow rules. What a matcher says is the analytics crate's; here it is JSON.

use super::{State, StateError, now};
use crate::lake::Source;
use crate::record::Micros;

/// Identity of a rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct RuleId(pub i64);

/// What a rule does with what it matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Not shown.
    Suppress,
    /// Known to be benign.
    Allow,
}

impl Action {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suppress => "suppress",
            Self::Allow => "allow",
        }
    }
}

/// A rule to add.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewRule {
    /// What people call it.
    pub name: Option<String>,
    /// What it does.
    pub action: Action,
    /// Kind of record.
    pub source: Source,
    /// What it matches, JSON.
    pub matcher: String,
    /// Who made it.
    pub author: String,
    /// Until when.
    pub expires: Option<Micros>,
    /// Why.
    pub note: Option<String>,
}

/// A rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Identity.
    pub id: RuleId,
    /// What it says.
    pub rule: NewRule,
    /// When it was made.
    pub created: Micros,
    /// How often it matched.
    pub hits: u64,
    /// When it last matched.
    pub last_hit: Option<Micros>,
    /// When it was taken out of force, and by whom.
    pub retired: Option<(Micros, String)>,
}

impl State {
    /// Adds a rule.
    pub fn add_rule(&self, rule: &NewRule) -> Result<RuleId, StateError> {
        self.write(|t| {
            t.execute(
                "INSERT INTO rules (name, action, source, matcher, author, created, expires, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                (
                    &rule.name,
                    rule.action.as_str(),
                    rule.source.as_str(),
                    &rule.matcher,
                    &rule.author,
                    now().0,
                    rule.expires.map(|m| m.0),
                    &rule.note,
                ),
            )?;
            Ok(RuleId(t.last_insert_rowid()))
        })
    }

    /// Takes a rule out of force; it stays for history. False where it was not in force.
    pub fn retire_rule(&self, id: RuleId, by: &str) -> Result<bool, StateError> {
        self.write(|t| {
            let sql = "UPDATE rules SET retired = ?2, retired_by = ?3 WHERE rule_id = ?1 AND retired IS NULL";
            Ok(t.execute(sql, (id.0, now().0, by))? == 1)
        })
    }

    /// The rules in force at `now`, oldest first.
    pub fn rules(&self, source: Source, now: Micros) -> Result<Vec<Rule>, StateError> {
        self.read(|c| {
            c.prepare(&format!(
                "{SELECT} WHERE source = ?1 AND retired IS NULL AND (expires IS NULL OR expires > ?2) ORDER BY rule_id"
            ))?
            .query_map((source.as_str(), now.0), read)?
            .collect()
        })
    }

    /// All rules there ever were, of a source or of all, oldest first.
    pub fn all_rules(&self, source: Option<Source>) -> Result<Vec<Rule>, StateError> {
        self.read(|c| {
            c.prepare(&format!("{SELECT} WHERE ?1 IS NULL OR source = ?1 ORDER BY rule_id"))?
                .query_map([source.map(Source::as_str)], read)?
                .collect()
        })
    }

    /// Adds to the hits of a rule.
    pub fn count_rule_hits(&self, id: RuleId, hits: u64, at: Micros) -> Result<(), StateError> {
        let hits = i64::try_from(hits).unwrap_or(i64::MAX);
        self.write(|t| {
            t.execute("UPDATE rules SET hits = hits + ?2, last_hit = ?3 WHERE rule_id = ?1", (id.0, hits, at.0))
                .map(drop)
        })
    }
}

const SELECT: &str = "SELECT rule_id, action, source, matcher, author, created, expires, note, hits, last_hit, name, retired, retired_by FROM rules";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Rule> {
    let action = if row.get_ref(1)?.as_str()? == "allow" { Action::Allow } else { Action::Suppress };
    let retired = row.get::<_, Option<i64>>(11)?.map(Micros);
    Ok(Rule {
        id: RuleId(row.get(0)?),
        rule: NewRule {
            action,
            source: super::runs::read_source(row, 2)?,
            matcher: row.get(3)?,
            author: row.get(4)?,
            expires: row.get::<_, Option<i64>>(6)?.map(Micros),
            note: row.get(7)?,
            name: row.get(10)?,
        },
        created: Micros(row.get(5)?),
        hits: u64::try_from(row.get::<_, i64>(8)?).unwrap_or_default(),
        last_hit: row.get::<_, Option<i64>>(9)?.map(Micros),
        retired: retired.zip(Some(row.get::<_, Option<String>>(12)?.unwrap_or_default())),
    })
}
