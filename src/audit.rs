//! `spotter audit`

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use analytics::sql::{Engine, EngineLimits};
use clap::Subcommand;

use crate::user::{Where, time};

/// Entries that are read at a time.
const PAGE: u32 = 1000;

/// The audit log: who did what. Each entry's hash covers it and the entry before it; the ledger notes the newest.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter audit verify --lake /data/lake        exit status 1 where something was changed\n  \
    spotter audit export > audit.jsonl"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Compute every hash anew, and compare with what the ledger has noted.
    Verify {
        #[command(flatten)]
        at: Where,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write all entries to standard output, oldest first, as JSON Lines.
    Export {
        #[command(flatten)]
        at: Where,
        /// From this entry on.
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        from: i64,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Verify { at, json } => verify(at, *json),
        Action::Export { at, from } => export(at, *from),
    }
}

fn verify(at: &Where, json: bool) -> anyhow::Result<ExitCode> {
    let lake = at.lake()?;
    let engine = Engine::open(lake.clone(), EngineLimits::default())?;
    let (checked, heads) = engine.block_on(ui::audit::verify(&lake, &engine))?;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::json!({ "checked": checked, "heads_in_ledger": heads }))?;
    }
    match &checked.broken {
        None => {
            if !json {
                writeln!(out, "{} entries fit, and the {heads} heads that the ledger has noted", checked.entries)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(broken) => anyhow::bail!(
            "the audit log was changed at entry {}: {}; compare with a copy made by `spotter audit export` or `spotter backup`",
            broken.seq,
            broken.what
        ),
    }
}

fn export(at: &Where, from: i64) -> anyhow::Result<ExitCode> {
    let lake = at.lake()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut next = from.max(1);
    loop {
        let page = lake.state().audit_from(next, PAGE)?;
        for entry in &page {
            let mut line = serde_json::to_value(entry)?;
            line["time"] = time(entry.time.0).into();
            line["time_us"] = entry.time.0.into();
            writeln!(out, "{line}")?;
        }
        match page.last() {
            Some(last) => next = last.seq + 1,
            None => break,
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
