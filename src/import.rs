//! `spotter import`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use aggregator::import::{
    FileOutcome, FileReport, ImportOptions, ImportReport, Input, Originals, Progress, Step, import,
};
use aggregator::lake::Lake;
use capture::duplicate::Duplicates;
use capture::logs::Mapping;
use indicatif::ProgressBar;

use crate::appliance::config::{Span, Tunnels};
use crate::appliance::interrupt;
use crate::output::{self, UsedWrongly};

/// Read capture files, exports and logs into the lake.
///
/// Captures: pcap, pcapng, snoop, ERF. Exports: nfdump files (layouts 1 and 2), IPFIX files, dnstap. Logs: Zeek (TSV, JSON),
/// Suricata (EVE), Blue Coat and W3C extended format, Squid, HAProxy, pmacct JSON; any CSV, JSON Lines or Squid logformat by a mapping. Also
/// compressed (gzip, zstd, xz); told by content, not by name. Each file is imported once, by content: the same file again adds
/// nothing. Rows and records that cannot be read are kept in LAKE/quarantine with their reason.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  spotter import capture.pcapng                         into ./lake\n  \
    spotter import --lake /data/lake --sensor tap1 /var/captures\n  \
    zcat big.pcap.gz | spotter import -\n  \
    spotter import --watch /var/spool/tap                 until interrupted\n  \
    spotter import --json a.pcap | jq .total.ledger\n  \
    spotter import nfcapd.202611281200 flows.ipfix        exports\n  \
    spotter import conn.log.gz dns.log eve.json           logs of Zeek and Suricata\n  \
    spotter import --mapping flows.toml flows.csv.gz      a log of any program\n\n\
A mapping says how a log is written, and which of its columns is which of ours:\n  \
    table = \"flow\"            # flow, dns or proxy\n  \
    format = \"csv\"            # csv, or json: an object a line\n  \
    time = \"epoch_ms\"         # epoch (seconds), epoch_ms, epoch_us, epoch_ns, iso or common\n  \
    delimiter = \";\"           # csv: default \",\"\n  \
    header = true             # csv: without one, columns are numbers from 1\n  \
    [columns]                 # ours = the log's; in JSON, a.b is b in a\n  \
    first_seen = \"start\"\n  \
    src_ip = \"client\"\n  \
    dst_ip = \"server\"\n\n\
A custom logformat of Squid (or its name: squid, common, combined):\n  \
    format = \"squid\"\n  \
    logformat = '%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru \"%{User-Agent}>h\"'")]
pub(crate) struct Args {
    /// Capture files, exports, logs, folders (read recursively), or - for standard input.
    #[arg(value_name = "PATH", required_unless_present = "watch")]
    paths: Vec<PathBuf>,
    /// The lake's folder; made if missing.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// Name of the sensor that made the captures.
    #[arg(long, value_name = "NAME", default_value = "spotter")]
    sensor: String,
    /// Also import what is in this folder, and go on with what arrives until interrupted.
    #[arg(long, value_name = "DIR")]
    watch: Vec<PathBuf>,
    /// Which IP header of a tunnelled packet makes the record.
    #[arg(long, value_enum, default_value = "inner")]
    tunnels: Tunnels,
    /// A mapping (TOML, see below) by which files are read that are neither captures nor exports.
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// Keep flows of different VLANs apart.
    #[arg(long)]
    vlan_in_key: bool,
    /// A connection this long makes a record and goes on in the next.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    active_timeout: humantime::Duration,
    /// Leave out packets that a mirror port of both directions delivered twice; the ledger counts them.
    #[arg(long)]
    deduplicate: bool,
    /// Store the captures themselves in the lake too, by sha256, as evidence.
    #[arg(long)]
    keep_originals: bool,
    /// Print the report as JSON: files, packets, records, the ledger.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    aggregator::lake::check_sensor(&args.sensor).map_err(|e| UsedWrongly(e.to_string()))?;
    if args.active_timeout.as_secs() == 0 {
        return Err(UsedWrongly("--active-timeout: at least 1s".to_owned()).into());
    }
    let mut options = options(args);
    if let Some(path) = &args.mapping {
        options.mapping = Some(mapping(path).map_err(|error| UsedWrongly(format!("--mapping {error}")))?);
    }
    let lake = Lake::open(&args.lake)?;
    let stdin = PathBuf::from("-");
    let path = |p: &PathBuf| if *p == stdin { Input::Stdin } else { Input::Path(p.clone()) };
    let inputs: Vec<Input> = args.paths.iter().map(path).chain(args.watch.iter().cloned().map(Input::Watch)).collect();
    let mut shown = Shown { bar: output::byte_bar(0), files: 0 };
    let report = import(&lake, &inputs, &options, interrupt::flag()?, &mut shown)?;
    shown.bar.finish_and_clear();
    print(&report, args.json)?;
    let failed = report.files.iter().any(|f| matches!(f.outcome, FileOutcome::Failed | FileOutcome::Interrupted));
    let unbalanced = report.files.iter().any(|f| !f.imbalances.is_empty());
    Ok(if failed || unbalanced { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Reads a mapping; the error names its file.
pub(crate) fn mapping(path: &Path) -> Result<Mapping, String> {
    let at = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{at}: cannot be read: {error}"))?;
    Mapping::parse(&text).map_err(|error| format!("{at}: {error}"))
}

fn options(args: &Args) -> ImportOptions {
    let mut options = ImportOptions::new(&args.sensor);
    options.decoder.tunnels = args.tunnels.into();
    options.timeouts.active = Span(args.active_timeout.into()).0.max(Duration::from_secs(1));
    options.vlan_in_key = args.vlan_in_key;
    options.duplicates = if args.deduplicate { Duplicates::Remove } else { Duplicates::Count };
    options.originals = if args.keep_originals { Originals::Keep } else { Originals::Leave };
    options
}

/// Tells of each file as it is done: a line to the log, a bar on a terminal.
pub(crate) struct Shown {
    pub(crate) bar: ProgressBar,
    pub(crate) files: usize,
}

impl Progress for Shown {
    fn step(&mut self, step: Step<'_>) {
        self.bar.set_length(step.total_bytes);
        self.bar.set_position(step.bytes);
        if step.file != self.files || step.file == 0 {
            self.files = step.file;
            let name = step.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            self.bar.set_message(output::safe(&name));
        }
    }

    fn file(&mut self, report: &FileReport) {
        self.bar.suspend(|| tell(report));
    }
}

/// One log line a file, at the level its outcome deserves.
pub(crate) fn tell(report: &FileReport) {
    let path = output::safe(&report.path.to_string_lossy());
    // Errors of the file itself name it; others do not.
    let error = output::safe(report.error.as_deref().unwrap_or_default());
    let error = if error.starts_with(&path) { error } else { format!("{path}: {error}") };
    match report.outcome {
        FileOutcome::Imported => tracing::debug!("{path}: {} packets", report.packets),
        FileOutcome::AlreadyImported => tracing::info!("{path}: skipped, its content is in the lake already"),
        FileOutcome::InProgress => tracing::info!("{path}: skipped, another process is importing the same content"),
        FileOutcome::Damaged => {
            tracing::warn!("{error} (what could be read is in the lake: {} packets)", report.packets)
        }
        FileOutcome::Failed => tracing::error!("{error}"),
        FileOutcome::Interrupted => tracing::warn!("{path}: interrupted; nothing of it is in the lake"),
    }
    for imbalance in &report.imbalances {
        tracing::error!("{path}: the books do not close: {imbalance}");
    }
}

fn print(report: &ImportReport, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
        return Ok(());
    }
    let list = |counts: &std::collections::BTreeMap<&'static str, u64>| {
        let parts: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {}", name.replace('_', " "))).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    let total = &report.total;
    writeln!(out, "files    {}", list(&total.files))?;
    writeln!(out, "packets  {}", total.packets)?;
    writeln!(out, "records  {}", list(&total.records))?;
    let notable = total.ledger.iter().filter(|(name, value)| **value > 0 && !name.starts_with("bytes."));
    writeln!(
        out,
        "ledger   {}",
        notable.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    )?;
    Ok(())
}
