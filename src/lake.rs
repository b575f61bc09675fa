//! `spotter lake status|compact|retain|adopt`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::lake::{CompactOptions, Lake, RetainOptions, Table};
use aggregator::state;
use bytesize::ByteSize;
use clap::Subcommand;
use serde_json::json;

use crate::output::UsedWrongly;

/// Look after the lake by hand; `spotter run` does it by itself.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter lake status --lake /data/lake\n  spotter lake compact --lake /data/lake\n  \
    spotter lake retain --lake /data/lake --max-age 90d --max-bytes 1TiB\n  \
    spotter lake adopt --lake /data/copied-lake           after copying a lake without its state database"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Args)]
struct Where {
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Tables with their parts, rows, bytes and first and last day.
    Status(Where),
    /// Merge small files of an hour into large ones; the records stay the same.
    Compact {
        #[command(flatten)]
        at: Where,
        /// Leave hours alone that were written to within this time.
        #[arg(long, value_name = "TIME", default_value = "0s")]
        untouched_for: humantime::Duration,
        /// Fewest small files of an hour worth merging.
        #[arg(long, value_name = "N", default_value = "2")]
        min_parts: usize,
    },
    /// Delete the oldest hours, by age, by bytes, or both; what was deleted is written to the ledger.
    Retain {
        #[command(flatten)]
        at: Where,
        /// Delete hours that ended longer ago than this.
        #[arg(long, value_name = "TIME")]
        max_age: Option<humantime::Duration>,
        /// Delete oldest hours until the lake is no larger.
        #[arg(long, value_name = "BYTES")]
        max_bytes: Option<ByteSize>,
    },
    /// Register Parquet files the state database does not know.
    Adopt(Where),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Status(at) => status(at),
        Action::Compact { at, untouched_for, min_parts } => {
            let lake = existing(at)?;
            let options = CompactOptions {
                min_parts: (*min_parts).max(2),
                ..CompactOptions::new(state::now(), Duration::from(*untouched_for))
            };
            say(at.json, &lake.compact(&options)?)
        }
        Action::Retain { at, max_age, max_bytes } => {
            if max_age.is_none() && max_bytes.is_none() {
                return Err(UsedWrongly("nothing to do: give --max-age, --max-bytes or both".to_owned()).into());
            }
            let options = RetainOptions {
                max_age: max_age.map(Duration::from),
                max_bytes: max_bytes.map(|b| b.as_u64()),
                now: state::now(),
            };
            say(at.json, &existing(at)?.retain(&options)?)
        }
        Action::Adopt(at) => say(at.json, &existing(at)?.adopt()?),
    }
}

/// A lake that is there already, open for writing.
fn existing(at: &Where) -> anyhow::Result<Lake> {
    Lake::open_existing(&at.lake)?;
    Ok(Lake::open(&at.lake)?)
}

fn say(json: bool, what: &impl serde::Serialize) -> anyhow::Result<ExitCode> {
    let value = serde_json::to_value(what)?;
    let mut out = std::io::stdout().lock();
    match value.as_object().filter(|_| !json) {
        Some(fields) => {
            for (name, value) in fields {
                writeln!(out, "{:<14} {value}", name.replace('_', " "))?;
            }
        }
        None => writeln!(out, "{value}")?,
    }
    Ok(ExitCode::SUCCESS)
}

fn status(at: &Where) -> anyhow::Result<ExitCode> {
    let lake = Lake::open_existing(&at.lake)?;
    let mut out = std::io::stdout().lock();
    let mut tables = Vec::new();
    for table in Table::ALL {
        let parts = lake.parts(table, None)?;
        let dates: Vec<String> = parts.iter().map(|p| p.date.to_string()).collect();
        tables.push(json!({
            "table": table.as_str(),
            "parts": parts.len(),
            "rows": parts.iter().map(|p| p.rows).sum::<u64>(),
            "bytes": parts.iter().map(|p| p.bytes).sum::<u64>(),
            "first_day": dates.iter().min(),
            "last_day": dates.iter().max(),
        }));
    }
    if at.json {
        writeln!(out, "{}", json!({ "lake": lake.dir(), "tables": tables }))?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{:<14} {:>7} {:>12} {:>10}  days", "table", "parts", "rows", "size")?;
    for t in &tables {
        let days = match (t["first_day"].as_str(), t["last_day"].as_str()) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "-".to_owned(),
        };
        let size = ByteSize(t["bytes"].as_u64().unwrap_or_default()).to_string();
        writeln!(
            out,
            "{:<14} {:>7} {:>12} {size:>10}  {days}",
            t["table"].as_str().unwrap_or_default(),
            t["parts"],
            t["rows"]
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
