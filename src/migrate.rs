//! `spotter migrate`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aggregator::import::{FileOutcome, ImportOptions, Input, import};
use aggregator::lake::Lake;
use aggregator::state;
use analytics::context::Store;
use analytics::feedback::exchange::Imported;
use analytics::migrate::{Extent, Found, look};
use anyhow::Context;
use serde::Serialize;

use crate::appliance::config::Config;
use crate::appliance::interrupt;
use crate::output::{self, UsedWrongly, safe};

/// Take over an installation of Apache Spot: settings, context files, Hive's tables, what analysts scored.
///
/// Looks at files and folders, however they are laid out, and says what becomes of each and what has no counterpart. Nothing is changed without --apply.
/// Doing it again adds nothing. Copy Hive's tables out of Hadoop first: hdfs dfs -get /user/spot/flow/hive flow
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter migrate /etc/spot.conf spot-ingest/ingest_conf.json spot-oa/context hive/      says what would be done\n  \
    spotter migrate --apply --lake ./lake --config spotter.toml /etc/spot.conf spot-oa/context hive/\n  \
    spotter score --lake ./lake                                                         then: scores the days that were taken over\n\n\
    Read: spot.conf, ingest_conf.json; ipranges.csv, iploc.csv, networkcontext_1.csv, top-1m.csv; Parquet of the tables flow, dns, proxy and\n\
    flow_, dns_ and proxy_threat_investigation; ml_feedback.csv."
)]
pub(crate) struct Args {
    /// Files and folders.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Do it.
    #[arg(long)]
    apply: bool,
    /// The configuration to write. A file that says something else is not replaced.
    #[arg(long, value_name = "FILE", default_value = "spotter.toml")]
    config: PathBuf,
    /// The lake's folder; made if missing.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// Name of the sensor of the records.
    #[arg(long, value_name = "NAME", default_value = "spot")]
    sensor: String,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// What was done.
#[derive(Default, Serialize)]
struct Done {
    /// The configuration was written; false: it was there already, as it is.
    config: bool,
    /// Files of tables by what became of them.
    files: std::collections::BTreeMap<&'static str, u64>,
    /// Records by table.
    records: std::collections::BTreeMap<&'static str, u64>,
    /// Rows that could not be read, in the lake's folder quarantine.
    quarantined: u64,
    /// Context files that were put in their place.
    context: u64,
    verdicts: Imported,
    /// What could not be done.
    failed: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    aggregator::lake::check_sensor(&args.sensor).map_err(|e| UsedWrongly(e.to_string()))?;
    let found = look(&args.paths)?;
    if found.is_nothing() {
        let shown: Vec<String> = args.paths.iter().map(|path| safe(&path.to_string_lossy())).collect();
        anyhow::bail!(
            "nothing of Apache Spot's in {}: give spot.conf, ingest_conf.json, the folder of its context files, or folders with the \
             Parquet of its tables (`spotter migrate --help` has their names)",
            shown.join(", ")
        );
    }
    Config::parse(&found.config()).context("the configuration that would be written is not valid")?;
    let done = if args.apply { Some(apply(args, &found)?) } else { None };
    let failed = done.as_ref().is_some_and(|done| !done.failed.is_empty());
    if args.json {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &serde_json::json!({ "found": found, "done": done }))?;
        writeln!(out)?;
    } else {
        print(args, &found, done.as_ref())?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn apply(args: &Args, found: &Found) -> anyhow::Result<Done> {
    let mut done = Done::default();
    if !found.settings.is_empty() {
        done.config = write_config(&args.config, &found.config())?;
    }
    let lake = Lake::open(&args.lake)?;
    let store = Store::of_lake(lake.dir());
    for (kind, path) in &found.context {
        match store.add(*kind, path) {
            Ok(_) => done.context += 1,
            Err(error) => done.failed.push(format!("{}: {error}", path.display())),
        }
    }
    let inputs: Vec<Input> = found.records.iter().cloned().map(Input::Path).collect();
    let mut shown = crate::import::Shown { bar: output::byte_bar(0), files: 0 };
    let report = import(&lake, &inputs, &ImportOptions::new(&args.sensor), interrupt::flag()?, &mut shown)?;
    shown.bar.finish_and_clear();
    done.files = report.total.files;
    done.records = report.total.records;
    done.quarantined = report.total.ledger.get("rows.quarantined").copied().unwrap_or(0);
    for file in report.files {
        if matches!(file.outcome, FileOutcome::Failed | FileOutcome::Interrupted | FileOutcome::Damaged) {
            done.failed.push(format!("{}: {}", file.path.display(), file.error.unwrap_or_default()));
        }
    }
    done.verdicts = found.take_verdicts(&lake, "migrate", state::now())?;
    Ok(done)
}

/// Says whether it was written.
fn write_config(path: &Path, text: &str) -> anyhow::Result<bool> {
    match std::fs::read_to_string(path) {
        Ok(there) if there == text => return Ok(false),
        Ok(_) => {
            anyhow::bail!("{} is there and says something else: give another --config, or move it away", path.display())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(true)
}

fn print(args: &Args, found: &Found, done: Option<&Done>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut line = |from: &str, to: &str| writeln!(out, "{:<52} {}", safe(from), safe(to));
    for setting in &found.settings {
        line(&setting.from, &format!("{} = {}", setting.to, setting.value.replace('\n', ", ")))?;
    }
    for (kind, path) in &found.context {
        line(&path.to_string_lossy(), &format!("context, {}", kind.as_str()))?;
    }
    for (table, Extent { files, rows }) in &found.tables {
        line(&format!("table {table}: {files} files, {rows} rows"), &format!("records, {table}"))?;
    }
    for (table, Extent { files, rows }) in &found.threats {
        line(&format!("table {table}: {files} files, {rows} rows"), "verdicts")?;
    }
    for path in &found.feedback {
        line(&path.to_string_lossy(), "verdicts")?;
    }
    for left in &found.left {
        line(&left.what, &format!("no counterpart: {}", left.why))?;
    }
    for path in found.unknown.iter().take(20) {
        line(&path.to_string_lossy(), "not known, left")?;
    }
    if found.unknown.len() > 20 {
        line(&format!("and {} more files", found.unknown.len() - 20), "not known, left")?;
    }
    let Some(done) = done else {
        writeln!(
            out,
            "\nnothing was changed; with --apply: into {} and {}",
            args.lake.display(),
            args.config.display()
        )?;
        return Ok(());
    };
    let list = |counts: &std::collections::BTreeMap<&'static str, u64>| {
        let parts: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {}", name.replace('_', " "))).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    if !found.settings.is_empty() {
        let what = if done.config { "written" } else { "as it is" };
        writeln!(out, "\nconfig    {}: {what}", args.config.display())?;
    }
    writeln!(out, "files     {}", list(&done.files))?;
    writeln!(out, "records   {}; {} rows in quarantine", list(&done.records), done.quarantined)?;
    writeln!(out, "context   {} files", done.context)?;
    let Imported { added, known, rejections, .. } = &done.verdicts;
    writeln!(out, "verdicts  {added} added, {known} known already, {rejections} rejected")?;
    for failed in &done.failed {
        tracing::error!("{}", safe(failed));
    }
    Ok(())
}
