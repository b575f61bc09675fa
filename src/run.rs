//! `spotter run`

use std::path::PathBuf;
use std::process::ExitCode;

use capture::keeper::{Parted, part};

use crate::appliance::config::Config;
use crate::appliance::{self, interrupt};
use crate::output::UsedWrongly;

/// Run the appliance: watched folders, compaction, retention, the nightly fit and the web application.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter config show > spotter.toml && $EDITOR spotter.toml\n  \
    spotter config check -c spotter.toml && spotter run -c spotter.toml\n\nSIGTERM and SIGINT end it cleanly.")]
pub(crate) struct Args {
    /// The configuration file.
    #[arg(long, short, default_value = "/etc/spotter/spotter.toml")]
    config: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config).map_err(|p| UsedWrongly(p.to_string()))?;
    let mut keeper = None;
    if !config.capture.is_empty() {
        match part()? {
            Parted::Keeper(code) => return Ok(ExitCode::from(code)),
            Parted::Reader(reader) => keeper = Some(reader),
        }
    }
    appliance::run(&config, keeper.as_ref(), interrupt::flag()?)?;
    Ok(ExitCode::SUCCESS)
}
