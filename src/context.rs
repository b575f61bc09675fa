//! `spotter context add|list|check|remove|update|pack`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aggregator::lake::Lake;
use analytics::context::{FileReport, Kind, Store, bundle, check};
use bytesize::ByteSize;
use clap::Subcommand;

use crate::output::{UsedWrongly, safe};

/// Files that say what addresses, names and ports are: networks, places, lists of what is bad and of what is popular.
///
/// Kinds: internal (ipranges.csv), geo (iploc.csv), mmdb (MaxMind's format), network (networkcontext_1.csv), reputation (CSV, plain lists, STIX 2.1,
/// MISP JSON), domains (rank,name: Tranco, Umbrella), services (IANA's CSV). What is running sees a change at its next look.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter context add ipranges.csv GeoLite2-City.mmdb\n  spotter context add --kind reputation blocklist.txt\n  \
    spotter context list\n  spotter context check --kind reputation feed.json        says what would be taken, changes nothing\n  \
    spotter context pack update.tar.zst ipranges.csv bad.json       on a machine with a network\n  \
    spotter context update update.tar.zst                           on the sensor: all of it, or nothing"
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
    /// Print one JSON object a file.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Check files and put them in their place; one of the same name is replaced.
    Add {
        #[command(flatten)]
        at: At,
        /// What they are; told by their names if left out.
        #[arg(long)]
        kind: Option<Kind>,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// The files in use, with what was taken of them and what was not.
    List(At),
    /// Say what would be taken of files, and change nothing.
    Check {
        /// What they are; told by their names if left out.
        #[arg(long)]
        kind: Option<Kind>,
        /// Print one JSON object a file.
        #[arg(long)]
        json: bool,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Take a file away.
    Remove {
        #[command(flatten)]
        at: At,
        /// What it is.
        kind: Kind,
        /// Its name, as `spotter context list` shows it.
        name: String,
    },
    /// Put all files of a bundle in their places, or none.
    Update {
        #[command(flatten)]
        at: At,
        /// The bundle: tar.zst with a manifest and hashes.
        bundle: PathBuf,
    },
    /// Make a bundle of files for a machine without a network.
    Pack {
        /// What they are; told by their names if left out.
        #[arg(long)]
        kind: Option<Kind>,
        /// Print one JSON object a file.
        #[arg(long)]
        json: bool,
        /// The bundle to write.
        bundle: PathBuf,
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Add { at, kind, files } => {
            let store = store(at)?;
            for file in files {
                tell(&[store.add(kind_of(*kind, file)?, file)?], at.json)?;
            }
        }
        Action::List(at) => tell(store(at)?.current().files(), at.json)?,
        Action::Check { kind, json, files } => {
            for file in files {
                tell(&[check(kind_of(*kind, file)?, file)?], *json)?;
            }
        }
        Action::Remove { at, kind, name } => {
            let removed = store(at)?.remove(*kind, name)?;
            anyhow::ensure!(removed, "there is no {} file {name}; `spotter context list` shows them", kind.as_str());
        }
        Action::Update { at, bundle } => tell(&bundle::update(&store(at)?, bundle)?, at.json)?,
        Action::Pack { kind, json, bundle, files } => {
            let kinds = files.iter().map(|file| Ok((kind_of(*kind, file)?, file.clone())));
            let files = kinds.collect::<anyhow::Result<Vec<_>>>()?;
            tell(&bundle::pack(&files, bundle)?, *json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn store(at: &At) -> anyhow::Result<Store> {
    Ok(Store::of_lake(Lake::open_existing(&at.lake)?.dir()))
}

fn kind_of(given: Option<Kind>, file: &Path) -> anyhow::Result<Kind> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    given.or_else(|| Kind::of_name(&name)).ok_or_else(|| {
        let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        UsedWrongly(format!("{name}: its name does not say what it is; give --kind {}", kinds.join("|"))).into()
    })
}

fn tell(files: &[FileReport], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for file in files {
        if json {
            writeln!(out, "{}", serde_json::to_string(file)?)?;
            continue;
        }
        let FileReport { kind, name, bytes, entries, rejected, error } = file;
        let size = ByteSize::b(*bytes);
        let line = match error {
            Some(error) => format!("{:<10} {name:<32} {size:>10}  NOT USED: {error}", kind.as_str()),
            None => {
                format!("{:<10} {name:<32} {size:>10}  {entries} entries, {} rejected", kind.as_str(), rejected.count)
            }
        };
        writeln!(out, "{}", safe(&line))?;
        for (line, why) in &rejected.first {
            writeln!(out, "           line {line}: {}", safe(why))?;
        }
    }
    Ok(())
}
