//! `spotter backup` and `spotter restore`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use aggregator::lake::{self, Lake};

/// Copy the state database (verdicts, rules, imports, runs) and the models, consistent while everything runs.
///
/// The records are plain files that never change: copy the lake's folder as it is.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter backup --lake /data/lake /backup/spotter-2026-11-22")]
pub(crate) struct BackupArgs {
    /// The folder to write; it must not exist or be empty.
    to: PathBuf,
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
}

/// Put a backup in the place of a lake's state, then bring it in line with the files that are there.
///
/// Nothing may have the lake open. The state that was there is kept as state.sqlite.before-restore.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter restore --lake /data/lake /backup/spotter-2026-11-22")]
pub(crate) struct RestoreArgs {
    /// The folder that `spotter backup` wrote.
    from: PathBuf,
    /// The lake's folder.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
}

pub(crate) fn backup(args: &BackupArgs) -> anyhow::Result<ExitCode> {
    let copied = Lake::open_existing(&args.lake)?.state().backup(&args.to)?;
    writeln!(std::io::stdout(), "{}: {}", args.to.display(), serde_json::to_string(&copied)?)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn restore(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let (copied, adopted) = lake::restore(&args.from, &args.lake)?;
    writeln!(std::io::stdout(), "{}: {}", args.lake.display(), serde_json::to_string(&(copied, adopted))?)?;
    Ok(ExitCode::SUCCESS)
}
