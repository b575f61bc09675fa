//! `spotter config check|show`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::appliance::config::Config;
use crate::output::UsedWrongly;

/// Check a configuration, or show it with every default filled in.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter config show > spotter.toml      all keys with their defaults, to edit\n  \
    spotter config check -c spotter.toml    says everything that is wrong, exit status 2 if anything is"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Read and validate the file; also look whether this machine has the folders it names.
    Check {
        /// The configuration file.
        #[arg(long, short, default_value = "/etc/spotter/spotter.toml")]
        config: PathBuf,
    },
    /// Print the configuration with every default filled in; without --config the defaults.
    Show {
        /// The configuration file.
        #[arg(long, short)]
        config: Option<PathBuf>,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match &args.action {
        Action::Check { config: path } => {
            let config = Config::load(path).map_err(|p| UsedWrongly(p.to_string()))?;
            let missing = config.missing_on_this_machine();
            if !missing.is_empty() {
                anyhow::bail!("{}: {}", path.display(), missing.join("\n"));
            }
            writeln!(out, "{}: ok", path.display())?;
        }
        Action::Show { config } => {
            let config = match config {
                Some(path) => Config::load(path).map_err(|p| UsedWrongly(p.to_string()))?,
                None => Config::default(),
            };
            out.write_all(config.to_toml()?.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
