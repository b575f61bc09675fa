//! `spotter rules add|list|remove|check`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use aggregator::lake::{Day, Lake, Source};
use aggregator::state;
use aggregator::state::rules::{Action as Does, NewRule, RuleId};
use analytics::feedback::preview::Target;
use analytics::feedback::{exchange, heuristics};
use analytics::rules::{RuleFile, read_file};
use analytics::sql::{Engine, EngineLimits};
use clap::Subcommand;

use crate::output::{UsedWrongly, safe};
use crate::reach::{self, Reach, Terms};

/// Rules that allow or suppress what is known, with hits and expiry; and rule files (SQL, Sigma) that detect.
///
/// A rule that suppresses takes its records out of the lists; one that allows puts them behind all others. Both act at once. Rule files are detectors
/// that users share: `spotter score --rules DIR`, or `[rules] folder` of the appliance, puts what they match among the detectors.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter rules add --source flow --suppress --host 10.9.0.0/16 --port 161 --name \"monitoring\"\n  \
    spotter rules add --source dns --allow --domain corp.example --expires 365d --preview\n  \
    spotter rules add --heuristic spot-empty-flow      one of Apache Spot's four old heuristics\n  \
    spotter rules list\n  spotter rules remove 3\n  \
    spotter rules check dns_tunnel.yml --date 2026-11-22     reads rule files, and says what they match on a day"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Args)]
struct At {
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Add {
    #[command(flatten)]
    at: At,
    /// One of Apache Spot's old heuristics: spot-empty-flow, spot-three-packets, spot-two-packets, spot-no-source-port.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "suppress", "allow"])]
    heuristic: Option<String>,
    /// Kind of record: flow, dns or proxy.
    #[arg(long, value_parser = reach::parse_source, required_unless_present = "heuristic")]
    source: Option<Source>,
    /// Take its records out of the lists.
    #[arg(long, conflicts_with = "allow")]
    suppress: bool,
    /// Put its records behind all others.
    #[arg(long)]
    allow: bool,
    #[command(flatten)]
    reach: Reach,
    /// What people call it.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Subcommand)]
enum Action {
    /// Make a rule.
    Add(Box<Add>),
    /// The rules in force with their hits.
    List {
        #[command(flatten)]
        at: At,
        /// What expired or was removed too.
        #[arg(long)]
        ended: bool,
    },
    /// Read rule files (Sigma .yml, SQL .sql): say what is wrong with which line, and what they match on a day.
    Check {
        #[command(flatten)]
        at: At,
        /// Ask the lake for this day, UTC.
        #[arg(long, value_name = "YYYY-MM-DD", value_parser = crate::score::parse_day)]
        date: Option<Day>,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Take a rule out of force; the log keeps it.
    Remove {
        #[command(flatten)]
        at: At,
        /// Its number, as `spotter rules list` shows it.
        id: i64,
        /// Who removes it.
        #[arg(long, value_name = "NAME")]
        author: Option<String>,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Add(add) => make(add),
        Action::List { at, ended } => list(at, *ended),
        Action::Check { at, date, files } => check(at, *date, files),
        Action::Remove { at, id, author } => {
            let lake = Lake::open_existing(&at.lake)?;
            let removed = lake.state().retire_rule(RuleId(*id), &reach::author(author.as_deref()))?;
            anyhow::ensure!(removed, "there is no rule {id} in force; `spotter rules list` shows them");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn rule(add: &Add) -> anyhow::Result<(NewRule, Target)> {
    let author = reach::author(add.terms.author.as_deref());
    if let Some(name) = &add.heuristic {
        let known = heuristics::all();
        let names: Vec<&str> = known.iter().map(|rule| rule.name).collect();
        let found = known.iter().find(|rule| rule.name == name);
        let found = found.ok_or_else(|| UsedWrongly(format!("--heuristic {name}: one of {}", names.join(", "))))?;
        let rule = NewRule { expires: add.terms.expires, ..found.rule(&author) };
        return Ok((rule, Target::of_rule(found.source, found.matcher.clone())));
    }
    let (Some(source), true) = (add.source, add.suppress || add.allow) else {
        return Err(UsedWrongly("give --suppress or --allow".into()).into());
    };
    let matcher = add.reach.matcher();
    let matcher =
        matcher.ok_or_else(|| UsedWrongly("about what? Give conditions such as --host or --domain".into()))?;
    reach::checked(source, &matcher)?;
    let rule = NewRule {
        name: add.name.clone(),
        action: if add.allow { Does::Allow } else { Does::Suppress },
        source,
        matcher: matcher.to_json(),
        author,
        expires: add.terms.expires,
        note: add.terms.note.clone(),
    };
    Ok((rule, Target::of_rule(source, matcher)))
}

fn make(add: &Add) -> anyhow::Result<ExitCode> {
    let (rule, target) = rule(add)?;
    let lake = Lake::open_existing(&add.at.lake)?;
    let told = reach::preview(&lake, &target, None)?;
    let mut out = std::io::stdout().lock();
    let id = if add.terms.preview { None } else { Some(lake.state().add_rule(&rule)?.0) };
    if add.at.json {
        writeln!(out, "{}", serde_json::json!({ "id": id, "reach": told }))?;
    } else {
        let head = id.map_or_else(|| "nothing was saved".to_owned(), |id| format!("rule {id}"));
        writeln!(out, "{head}\n{}", told.text())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(at: &At, ended: bool) -> anyhow::Result<ExitCode> {
    let lake = Lake::open_existing(&at.lake)?;
    let now = state::now();
    let mut out = std::io::stdout().lock();
    for rule in lake.state().all_rules(None)? {
        let state = match (&rule.retired, rule.rule.expires) {
            (Some(_), _) => "removed",
            (None, Some(end)) if end <= now => "expired",
            _ => "in force",
        };
        if state != "in force" && !ended {
            continue;
        }
        let NewRule { name, action, source, matcher, author, expires, note } = &rule.rule;
        if at.json {
            let matcher: serde_json::Value = serde_json::from_str(matcher).unwrap_or_default();
            let line = serde_json::json!({
                "id": rule.id.0, "name": name, "action": action, "source": source.as_str(), "matcher": matcher, "author": author,
                "note": note, "expires": expires.map(exchange::moment), "hits": rule.hits, "state": state,
            });
            writeln!(out, "{line}")?;
            continue;
        }
        let line = format!(
            "{:<4} {:<5} {:<8} {:>9} hits  {state:<8} {matcher} {} {}",
            rule.id.0,
            source.as_str(),
            action.as_str(),
            rule.hits,
            name.as_deref().unwrap_or_default(),
            note.as_deref().unwrap_or_default()
        );
        writeln!(out, "{}", safe(&line.replace(['\n', '\t'], " ")).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn check(at: &At, date: Option<Day>, files: &[PathBuf]) -> anyhow::Result<ExitCode> {
    use anyhow::Context;
    let engine = match date {
        Some(_) => Some(Engine::open(Lake::open_existing(&at.lake)?, EngineLimits::default())?),
        None => None,
    };
    let mut out = std::io::stdout().lock();
    let mut wrong = 0_u32;
    for path in files {
        let read = read_file(path).with_context(|| path.display().to_string())?;
        let found = match (&read.rule, &engine, date) {
            (Ok(rule), Some(engine), Some(date)) => {
                Some(engine.block_on(rule.matches(engine, date)).map(|found| found.len()))
            }
            _ => None,
        };
        let error = match (&read.rule, &found) {
            (Err(error), _) => Some(error.to_string()),
            (_, Some(Err(error))) => Some(error.to_string()),
            _ => None,
        };
        wrong += u32::from(error.is_some());
        let rule = read.rule.as_ref().ok();
        let matches = found.and_then(Result::ok);
        if at.json {
            let line = serde_json::json!({
                "file": path, "error": error, "title": rule.map(|rule| &rule.title), "source": rule.map(|rule| rule.source.as_str()),
                "level": rule.map(|rule| rule.level), "sql": rule.map(|rule| &rule.sql), "matches": matches,
            });
            writeln!(out, "{line}")?;
        } else if let Some(error) = error {
            writeln!(std::io::stderr(), "{}: {}", path.display(), safe(&error))?;
        } else if let Some(RuleFile { title, source, sql, .. }) = rule {
            let matches = matches.map(|matches| format!(", matches {matches} records")).unwrap_or_default();
            writeln!(out, "{}: {} ({}){matches}\n  {}", path.display(), safe(title), source.as_str(), safe(sql))?;
        }
    }
    Ok(ExitCode::from(u8::from(wrong > 0)))
}
