//! `spotter manual`: manual pages and shell completions, made from the same definitions as `--help`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Subcommand};
use clap_complete::Shell;

/// Write manual pages, or completions for a shell.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter manual completions bash > /etc/bash_completion.d/spotter\n  \
    spotter manual pages /usr/local/share/man/man1")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Print the completions for a shell on standard output.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write spotter.1 and a page for each subcommand.
    Pages {
        /// An existing folder.
        folder: PathBuf,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Completions { shell } => {
            clap_complete::generate(*shell, &mut crate::Cli::command(), "spotter", &mut std::io::stdout().lock());
        }
        What::Pages { folder } => pages(folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn pages(folder: &Path) -> anyhow::Result<()> {
    clap_mangen::generate_to(crate::Cli::command(), folder)
        .with_context(|| format!("{}: cannot write the manual pages; is it an existing folder?", folder.display()))
}
