//! `spotter capture`

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::lake::Lake;
use aggregator::live::{LiveOptions, LiveReport, run as capture_live};
use bytesize::ByteSize;
use capture::live::{ModeChoice, OpenOptions, PolicyChoice};

use crate::appliance::capture::{CaptureShell, filter, open_all};
use crate::appliance::config::Tunnels;
use crate::appliance::interrupt;
use crate::output::{self, UsedWrongly};

/// Capture live from network interfaces into the lake.
///
/// Ends on SIGTERM or SIGINT, or after --duration: everything is flushed, and the books are printed. SIGHUP reads
/// --filter-file again.
///
/// Policies: `tap` is for an interface that is only for capture: promiscuous, what comes in is captured, GRO and LRO and the VLAN
/// filter are off while it lasts. `inline` is for one the host itself uses: what it receives and what it sends is
/// captured, and nothing of its traffic is taken away. `auto` is inline if the interface has an address, a route or a
/// master, else tap. A tap on an interface with an address or the default route is refused without --force.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  spotter capture --interface eth1                      until interrupted, into ./lake\n  \
    spotter capture --interface eth1,eth2                 an optical tap: each direction on its own port\n  \
    spotter capture -i eth1 --duration 60s --json | jq .ledger\n  \
    spotter capture -i eth1 --filter 'net 10.9.0.0/16 port 9100 proto tcp'   leave out the backup network"
)]
pub(crate) struct Args {
    /// Interfaces, with commas or repeated.
    #[arg(long, short, value_name = "IF", required = true, value_delimiter = ',')]
    interface: Vec<String>,
    /// Way of capture: auto, xdp or af_packet.
    #[arg(long, default_value = "auto", value_parser = parse::<ModeChoice>)]
    mode: ModeChoice,
    /// What the interfaces are for: auto, tap or inline.
    #[arg(long, default_value = "auto", value_parser = parse::<PolicyChoice>)]
    policy: PolicyChoice,
    /// Make a tap even of an interface this host is reached by.
    #[arg(long)]
    force: bool,
    /// The lake's folder; made if missing.
    #[arg(long, value_name = "DIR", default_value = "lake", env = "SPOTTER_LAKE")]
    lake: PathBuf,
    /// Name of this sensor.
    #[arg(long, value_name = "NAME", default_value = "spotter")]
    sensor: String,
    /// End after this long.
    #[arg(long, value_name = "TIME")]
    duration: Option<humantime::Duration>,
    /// How often finished records become visible in the lake.
    #[arg(long, value_name = "TIME", default_value = "10s")]
    flush: humantime::Duration,
    /// Drop packets early: terms `net CIDR`, `port N[-M]`, `proto NAME`, which must all match; repeat for alternatives.
    #[arg(long, value_name = "TERMS")]
    filter: Vec<String>,
    /// More of them, one a line, # begins a comment; read again at SIGHUP.
    #[arg(long, value_name = "FILE")]
    filter_file: Option<PathBuf>,
    /// Keep one packet in N; the records are scaled by it and say so.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sample: u32,
    /// Bytes kept of a frame; all without it.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(64..))]
    snaplen: Option<u32>,
    /// AF_PACKET: receivers an interface, each with a thread.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    receivers: u32,
    /// AF_PACKET: ring of each receiver.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    ring: ByteSize,
    /// Shards of decoder and flow table, each with a thread.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    shards: u16,
    /// Ring between each receiver and shard.
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    shard_ring: ByteSize,
    /// Which IP header of a tunnelled packet makes the record.
    #[arg(long, value_enum, default_value = "inner")]
    tunnels: Tunnels,
    /// Keep flows of different VLANs apart.
    #[arg(long)]
    vlan_in_key: bool,
    /// A connection this long makes a record and goes on in the next.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    active_timeout: humantime::Duration,
    /// Print the report as JSON: queues, records, the ledger.
    #[arg(long)]
    json: bool,
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|e: T::Err| e.to_string())
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = options(args)?;
    let opening = OpenOptions {
        mode: args.mode,
        policy: args.policy,
        force: args.force,
        receivers: args.receivers,
        ring_bytes: args.ring.as_u64(),
        snaplen: args.snaplen.unwrap_or(u32::MAX),
        sample: args.sample,
        filter: filter(&args.filter, args.filter_file.as_deref())?,
        vlan_in_key: args.vlan_in_key,
    };
    let lake = Lake::open(&args.lake)?;
    let shell = CaptureShell::new(args.filter.clone(), args.filter_file.clone(), interrupt::flag()?)?;
    let interfaces = open_all(&args.interface, &opening)?;
    let report = capture_live(&lake, interfaces, &options, &shell)?;
    print(&report, args.json)?;
    Ok(if report.imbalances.is_empty() && report.error.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn options(args: &Args) -> anyhow::Result<LiveOptions> {
    aggregator::lake::check_sensor(&args.sensor).map_err(|e| UsedWrongly(e.to_string()))?;
    let at_least = |name: &str, given: Duration, least: Duration| {
        if given < least {
            return Err(UsedWrongly(format!("--{name}: at least {}", humantime::format_duration(least))));
        }
        Ok(given)
    };
    let mut options = LiveOptions::new(&args.sensor);
    options.decoder.tunnels = args.tunnels.into();
    options.timeouts.active = at_least("active-timeout", args.active_timeout.into(), Duration::from_secs(1))?;
    options.flush = at_least("flush", args.flush.into(), Duration::from_millis(100))?;
    options.vlan_in_key = args.vlan_in_key;
    options.shards = usize::from(args.shards);
    options.ring_bytes = args.shard_ring.as_u64();
    options.sample = args.sample;
    options.duration = args.duration.map(Into::into);
    let mut names = args.interface.clone();
    names.sort();
    names.dedup();
    if names.len() != args.interface.len() {
        return Err(UsedWrongly("--interface: an interface stands twice".to_owned()).into());
    }
    Ok(options)
}

fn print(report: &LiveReport, json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        let of = |ledger: &BTreeMap<String, u64>, name: &str| ledger.get(name).copied().unwrap_or(0);
        for queue in &report.queues {
            let told = [
                "offered",
                "missed_before_probe",
                "seen",
                "filtered",
                "sampled_out",
                "lost_shard_ring",
                "received",
                "not_ip",
                "malformed",
            ];
            let told: Vec<String> =
                told.iter().map(|n| format!("{n} {}", of(&queue.ledger, &format!("packets.{n}")))).collect();
            let name = output::safe(&queue.interface);
            writeln!(out, "{name} queue {} ({}): packets {}", queue.queue, queue.mode, told.join(", "))?;
        }
        let records: Vec<String> = report.records.iter().map(|(name, n)| format!("{n} {name}")).collect();
        writeln!(out, "records  {}", if records.is_empty() { "none".to_owned() } else { records.join(", ") })?;
        let flows = ["flows.opened", "flows.exported", "flows.lost_on_write", "flows.live"];
        let flows: Vec<String> = flows.iter().map(|n| format!("{} {}", &n[6..], of(&report.ledger, n))).collect();
        writeln!(out, "flows    {}", flows.join(", "))?;
        writeln!(out, "books    {}", if report.imbalances.is_empty() { "closed" } else { "DO NOT CLOSE" })?;
    }
    for imbalance in &report.imbalances {
        tracing::error!("the books do not close: {imbalance}");
    }
    if let Some(error) = &report.error {
        tracing::error!("the last records could not be written: {error}");
    }
    Ok(())
}
