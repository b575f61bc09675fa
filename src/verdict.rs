//! `spotter verdict add|list|undo|import|export`

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aggregator::lake::{Day, Lake, Source};
use aggregator::record::RecordId;
use aggregator::state;
use aggregator::state::verdicts::{BatchEnded, BatchId, Ended, LogQuery, Logged, Severity, TakeBack};
use analytics::feedback::exchange::{self, FileFormat};
use analytics::feedback::preview::Target;
use analytics::feedback::{Draft, FeedbackError, Scope};
use clap::Subcommand;

use crate::output::{UsedWrongly, safe};
use crate::reach::{self, Reach, Terms};

/// Say what records are: 1 high, 2 medium, 3 low. It holds on every day, until it is taken back or expires.
///
/// Severity 3 puts the record and what its scope reaches behind all others; severity 1 raises what goes to the same place. Lists leave
/// out what was rated at once; ranks follow in the next run. Nothing is ever deleted: the log keeps who said what.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter verdict add --source flow --record 9f86d081884c7d659a2feaa0c55ad015 --severity 3 --note \"our scanner\"\n  \
    spotter verdict add --source dns --domain cdn.example --severity 3 --expires 90d --preview\n  \
    spotter verdict add --source flow --peer 198.51.100.0/24 --port 8000-8100 --severity 1\n  \
    spotter verdict list --ended\n  spotter verdict undo 17 --note \"wrong host\"\n  spotter verdict undo --batch 3\n  \
    spotter verdict export --format csv > verdicts.csv\n  spotter verdict import ml_feedback.csv        Apache Spot's file, or an export"
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
    /// Kind of record: flow, dns or proxy.
    #[arg(long, value_parser = reach::parse_source)]
    source: Source,
    /// 1 high, 2 medium, 3 low.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    severity: u8,
    /// The record, by its record_id.
    #[arg(long, value_name = "HEX", value_parser = exchange::parse_record)]
    record: Option<RecordId>,
    /// The record's day, UTC: it is looked for there only, among all its records.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = crate::score::parse_day)]
    date: Option<Day>,
    /// How far it reaches from the record: record, group, endpoints, host, peer, domain or agent.
    #[arg(long, conflicts_with_all = ["host", "peer", "address", "port", "domain", "uri", "agent"])]
    scope: Option<Scope>,
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Subcommand)]
enum Action {
    /// Give a verdict on a record, or on all that match.
    Add(Box<Add>),
    /// What is in force, latest first.
    List {
        #[command(flatten)]
        at: At,
        /// flow, dns or proxy; all if left out.
        #[arg(long, value_parser = reach::parse_source)]
        source: Option<Source>,
        /// What expired, was superseded or taken back too.
        #[arg(long)]
        ended: bool,
    },
    /// Take a verdict back; what it had superseded is in force again.
    Undo {
        #[command(flatten)]
        at: At,
        /// Its number, as `spotter verdict list` shows it.
        #[arg(required_unless_present = "batch")]
        id: Option<i64>,
        /// All that stands of a batch: of the rows of a query that were rated as one in the web application.
        #[arg(long, value_name = "N", conflicts_with = "id")]
        batch: Option<i64>,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Who says so.
        #[arg(long, value_name = "NAME")]
        author: Option<String>,
    },
    /// Take verdicts of a file: JSON or CSV of `spotter verdict export`, or Apache Spot's ml_feedback.csv. Twice is the same as once.
    Import {
        #[command(flatten)]
        at: At,
        /// The file, or - for standard input.
        file: PathBuf,
        /// Who stands for those without an author.
        #[arg(long, value_name = "NAME")]
        author: Option<String>,
    },
    /// Write verdicts to standard output, with what they reach.
    Export {
        #[command(flatten)]
        at: At,
        /// json or csv.
        #[arg(long, default_value = "json", value_parser = ["json", "csv"])]
        format: String,
        /// What ended too.
        #[arg(long)]
        ended: bool,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Add(add) => give(add),
        Action::List { at, source, ended } => list(at, *source, *ended),
        Action::Undo { at, id, batch, note, author } => match (id, batch) {
            (Some(id), _) => undo(at, *id, note.as_deref(), author.as_deref()),
            (None, batch) => undo_batch(at, BatchId(batch.unwrap_or_default()), note.as_deref(), author.as_deref()),
        },
        Action::Import { at, file, author } => import(at, file, author.as_deref()),
        Action::Export { at, format, ended } => {
            let lake = Lake::open_existing(&at.lake)?;
            let items: Vec<_> = log(&lake, None, *ended)?.iter().map(exchange::item).collect();
            let format = if format == "csv" { FileFormat::Csv } else { FileFormat::Json };
            exchange::write(&items, format, &mut std::io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn log(lake: &Lake, source: Option<Source>, ended: bool) -> anyhow::Result<Vec<Logged>> {
    let mut found = lake.state().verdict_log(LogQuery { source, ..LogQuery::default() }, state::now())?;
    found.retain(|logged| ended || logged.ended == Ended::InForce);
    Ok(found)
}

fn give(add: &Add) -> anyhow::Result<ExitCode> {
    let matcher = add.reach.matcher();
    let scope = match (add.scope, &matcher, add.record) {
        (_, Some(_), _) => Scope::Pattern,
        (Some(scope), None, _) => scope,
        (None, None, Some(_)) => Scope::Group,
        (None, None, None) => {
            return Err(
                UsedWrongly("about what? Give --record, or conditions such as --peer or --domain".into()).into()
            );
        }
    };
    let lake = Lake::open_existing(&add.at.lake)?;
    let draft = Draft {
        source: add.source,
        record: add.record,
        date: add.date,
        scope,
        matcher,
        severity: Severity::of(add.severity.into()).unwrap_or(Severity::Medium),
        note: add.terms.note.clone(),
        expires: add.terms.expires,
        supersedes: None,
    };
    let wrongly = |error: FeedbackError| match error {
        FeedbackError::Matcher(_) | FeedbackError::Draft(_) => anyhow::Error::from(UsedWrongly(error.to_string())),
        other => other.into(),
    };
    let verdict = draft.resolve(&lake, &reach::author(add.terms.author.as_deref()), state::now()).map_err(wrongly)?;
    let mut out = std::io::stdout().lock();
    let told = reach::preview(&lake, &Target::of_verdict(&verdict)?, add.date)?;
    if add.terms.preview {
        match add.at.json {
            true => writeln!(out, "{}", serde_json::to_string(&told)?)?,
            false => writeln!(out, "{}\nnothing was saved", told.text())?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let id = lake.state().append_verdict(&verdict)?;
    match add.at.json {
        true => writeln!(out, "{}", serde_json::json!({ "id": id, "reach": told }))?,
        false => writeln!(out, "verdict {id}\n{}", told.text())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(at: &At, source: Option<Source>, ended: bool) -> anyhow::Result<ExitCode> {
    let lake = Lake::open_existing(&at.lake)?;
    let mut out = std::io::stdout().lock();
    for logged in log(&lake, source, ended)? {
        let item = exchange::item(&logged);
        let batch = logged.verdict.batch.map(|batch| batch.0);
        if at.json {
            let mut item = serde_json::to_value(&item)?;
            if let Some(batch) = batch {
                item["batch"] = batch.into();
            }
            writeln!(out, "{item}")?;
            continue;
        }
        let about = item.reach.as_ref().and_then(|reach| reach.of.as_ref()).map(|of| of.to_json());
        let line = format!(
            "{:<5} {:<5} {} {:<9} {:<34} {:<27} {:<10} {} {} {}",
            logged.verdict.id,
            item.source,
            item.severity,
            item.scope.unwrap_or_default(),
            about.or(item.record_id).unwrap_or_default(),
            item.time.unwrap_or_default(),
            item.author.unwrap_or_default(),
            item.state.filter(|_| ended).unwrap_or_default(),
            batch.map(|batch| format!("batch {batch}")).unwrap_or_default(),
            item.note.unwrap_or_default(),
        );
        // One line a verdict, whatever stands in a note.
        writeln!(out, "{}", safe(&line.replace(['\n', '\t'], " ")).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn undo(at: &At, id: i64, note: Option<&str>, author: Option<&str>) -> anyhow::Result<ExitCode> {
    let lake = Lake::open_existing(&at.lake)?;
    match lake.state().take_back(id, &reach::author(author), state::now(), note)? {
        TakeBack::Done => {}
        TakeBack::Ended => anyhow::bail!("verdict {id} was superseded or taken back already"),
        TakeBack::Missing => anyhow::bail!("there is no verdict {id}; `spotter verdict list` shows them"),
    }
    if !at.json {
        writeln!(std::io::stdout(), "verdict {id} taken back")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn undo_batch(at: &At, batch: BatchId, note: Option<&str>, author: Option<&str>) -> anyhow::Result<ExitCode> {
    let lake = Lake::open_existing(&at.lake)?;
    let done = lake.state().take_batch_back(batch, &reach::author(author), state::now(), note)?;
    let Some(BatchEnded { ended, before }) = done else {
        anyhow::bail!("there is no batch {}; `spotter verdict list` shows them", batch.0);
    };
    if !at.json {
        writeln!(std::io::stdout(), "{ended} verdicts of batch {} taken back, {before} had ended before", batch.0)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn import(at: &At, file: &Path, author: Option<&str>) -> anyhow::Result<ExitCode> {
    use anyhow::Context;
    let lake = Lake::open_existing(&at.lake)?;
    let bound = exchange::MAX_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().lock().take(bound).read_to_end(&mut bytes)?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| file.display().to_string())?;
        opened.take(bound).read_to_end(&mut bytes).with_context(|| file.display().to_string())?;
    }
    let done = exchange::import(&lake, &bytes, &reach::author(author), state::now())
        .with_context(|| file.display().to_string())?;
    let mut out = std::io::stdout().lock();
    if at.json {
        writeln!(out, "{}", serde_json::to_string(&done)?)?;
    } else {
        for (line, why) in &done.rejected {
            writeln!(std::io::stderr(), "{}:{line}: {}", file.display(), safe(why))?;
        }
        writeln!(
            out,
            "{} added, {} known already, {} not in force any more, {} rejected",
            done.added, done.known, done.ended, done.rejections
        )?;
    }
    // All of it wrong is a failure; a few lines are told.
    let nothing = done.rejections > 0 && done.added + done.known + done.ended == 0;
    Ok(ExitCode::from(u8::from(nothing)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use aggregator::record::Micros;
    use aggregator::state::verdicts::{NewVerdict, Subject};

    use super::*;

    #[test]
    fn a_batch_is_taken_back_as_one_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = At { lake: dir.path().join("lake"), json: true };
        let lake = Lake::open(&at.lake).unwrap();
        let verdict = |record| NewVerdict {
            source: Source::Flow,
            subject: Subject::Record(RecordId([record; 16])),
            reach: None,
            severity: Severity::Low,
            scope: "record".into(),
            author: "ann".into(),
            time: Micros(1),
            note: None,
            expires: None,
            supersedes: None,
        };
        let (batch, ids) = lake.state().append_batch("src_ip == 10.0.0.5", &[verdict(1), verdict(2)]).unwrap();
        undo(&at, ids[0], None, Some("bob")).unwrap();
        undo_batch(&at, batch, Some("wrong query"), Some("bob")).unwrap();
        assert!(log(&lake, None, false).unwrap().is_empty(), "nothing of it stands");
        let ended = log(&lake, None, true).unwrap();
        let notes = ended.iter().map(|logged| match &logged.ended {
            Ended::TakenBack { by, .. } => by.as_str(),
            _ => "",
        });
        assert_eq!(notes.collect::<Vec<_>>(), ["bob", "bob"]);
        let missing = undo_batch(&at, BatchId(batch.0 + 1), None, None).unwrap_err();
        assert!(missing.to_string().contains("spotter verdict list"), "{missing}");
    }
}
