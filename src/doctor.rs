//! `spotter doctor`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use capture::doctor::{Check, State, examine, interfaces};
use console::Style;
use serde_json::json;

use crate::output;

/// Look at what this machine and its interfaces can do for capture, what is wrong, and what to do about it.
///
/// Changes nothing. Exit status 1 if anything is bad.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter doctor                       the machine and all interfaces\n  \
    spotter doctor -i eth1 --lake /data/lake\n  spotter doctor --json | jq '.[] | select(.state == \"bad\")'")]
pub(crate) struct Args {
    /// Interfaces, with commas or repeated; all without it.
    #[arg(long, short, value_name = "IF", value_delimiter = ',')]
    interface: Vec<String>,
    /// The lake, whose disk is measured.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// One JSON array: interface, name, state, found, why, mend.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let names = if args.interface.is_empty() { interfaces() } else { args.interface.clone() };
    let checks = examine(&names, &args.lake);
    let mut out = std::io::stdout().lock();
    if args.json {
        let list: Vec<_> = checks
            .iter()
            .map(|check| {
                let Check { interface, name, state, found, why, mend } = check;
                json!({ "interface": interface, "name": name, "state": state.as_str(), "found": found, "why": why, "mend": mend })
            })
            .collect();
        serde_json::to_writer_pretty(&mut out, &list)?;
        writeln!(out)?;
    } else {
        for check in &checks {
            print(&mut out, check)?;
        }
    }
    let bad = checks.iter().any(|check| check.state == State::Bad);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(out: &mut impl Write, check: &Check) -> std::io::Result<()> {
    let style = match check.state {
        State::Good => Style::new().green(),
        State::Unknown => Style::new().dim(),
        State::Warning => Style::new().yellow(),
        State::Bad => Style::new().red().bold(),
    };
    let state = style.apply_to(format!("{:<8}", check.state.as_str()));
    let name = match &check.interface {
        Some(interface) => format!("{} {}", output::safe(interface), check.name),
        None => check.name.to_owned(),
    };
    writeln!(out, "{state} {name:<24} {}", output::safe(&check.found))?;
    if let Some(mend) = &check.mend {
        writeln!(out, "{:33} why: {}", "", check.why)?;
        writeln!(out, "{:33} do:  {}", "", output::safe(mend))?;
    }
    Ok(())
}
