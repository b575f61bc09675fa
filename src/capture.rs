//! `spotter capture`

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::feed::{Feed, HomeNetworks, Listener, Report, SocketFeed};
use aggregator::lake::Lake;
use aggregator::live::{LiveOptions, LiveReport, run as capture_live};
use aggregator::packets::PacketOptions;
use bytesize::ByteSize;
use capture::confine::Keep;
use capture::duplicate::Duplicates;
use capture::keeper::{Parted, part};
use capture::live::{ModeChoice, OpenOptions, PolicyChoice, SlowPath};
use ui::Hub;

use crate::appliance::capture::{CaptureShell, confine, filter, open_all, owner, whole_packets};
use crate::appliance::config::Tunnels;
use crate::appliance::{interrupt, metrics};
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
    spotter capture -i eth1 --packets /data/packets --packets-size 100GB --packets-age 24h --packets-first-bytes 1MiB\n  \
    spotter capture -i eth1 --metrics /run/spotter/metrics.sock\n  \
    spotter capture -i eth1 --feed /run/spotter/live.sock  the Live page of a web application in another process\n  \
    spotter capture -i eth1 --filter 'net 10.9.0.0/16 port 9100 proto tcp'   leave out the backup network"
)]
pub(crate) struct Args {
    /// Interfaces, with commas or repeated.
    #[arg(long, short, value_name = "IF", required = true, value_delimiter = ',')]
    interface: Vec<String>,
    /// Way of capture: auto, xdp (in the driver where it can, else in the stack), xdp_generic (in the stack) or af_packet.
    #[arg(long, default_value = "auto", value_parser = parse::<ModeChoice>)]
    mode: ModeChoice,
    /// How packets that are not only counted come out of the kernel with XDP in the driver: af_xdp, ring, or auto: AF_XDP where the driver
    /// does it without a copy.
    #[arg(long, default_value = "auto", value_parser = parse::<SlowPath>)]
    slow_path: SlowPath,
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
    /// Rings between each receiver and its shards: all of it for one shard, a half for each of two, a quarter for each of more.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    shard_ring: ByteSize,
    /// Flows in work, over all shards; past it the one that was idle for longest makes its record early, and that is counted.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(256..))]
    max_flows: Option<u32>,
    /// Which IP header of a tunnelled packet makes the record.
    #[arg(long, value_enum, default_value = "inner")]
    tunnels: Tunnels,
    /// Keep flows of different VLANs apart.
    #[arg(long)]
    vlan_in_key: bool,
    /// Leave out packets that a mirror port of both directions delivers twice; the ledger counts them. By AF_PACKET, since it takes
    /// every packet whole.
    #[arg(long)]
    deduplicate: bool,
    /// Keep the last packets as they are, in this folder: `spotter packets` carves them out. By AF_PACKET.
    #[arg(long, value_name = "DIR")]
    packets: Option<PathBuf>,
    /// Bytes of kept packets; the oldest go.
    #[arg(long, value_name = "SIZE", default_value = "10GB", requires = "packets")]
    packets_size: ByteSize,
    /// How long packets are kept, at most.
    #[arg(long, value_name = "TIME", requires = "packets")]
    packets_age: Option<humantime::Duration>,
    /// Bytes kept of each packet; all without it.
    #[arg(long, value_name = "BYTES", requires = "packets", value_parser = clap::value_parser!(u32).range(14..))]
    packets_snaplen: Option<u32>,
    /// Of each flow, keep the first N packets.
    #[arg(long, value_name = "N", requires = "packets")]
    packets_first: Option<u64>,
    /// Of each flow, keep the first bytes.
    #[arg(long, value_name = "SIZE", requires = "packets")]
    packets_first_bytes: Option<ByteSize>,
    /// A connection this long makes a record and goes on in the next.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    active_timeout: humantime::Duration,
    /// Unix socket of the web application (`spotter serve --feed-socket`, `ui.feed_socket`): its Live page then shows this capture.
    #[arg(long, value_name = "SOCKET")]
    feed: Option<PathBuf>,
    /// Networks of ours beside the private ones, for the live feed; with commas or repeated.
    #[arg(long, value_name = "NET", value_delimiter = ',')]
    home: Vec<String>,
    /// Unix socket with metrics for Prometheus (`curl --unix-socket SOCKET http://localhost/metrics`).
    #[arg(long, value_name = "SOCKET")]
    metrics: Option<PathBuf>,
    /// XDP: folder in a BPF file system where the kernel's counts outlive a kill, until the next capture of the interface takes
    /// them over; `none`: they do not.
    #[arg(long, value_name = "DIR", default_value = capture::live::PINS)]
    pins: PathBuf,
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
    let mut options = options(args)?;
    let keeper = match part()? {
        Parted::Keeper(code) => return Ok(ExitCode::from(code)),
        Parted::Reader(keeper) => keeper,
    };
    let hub: Arc<Hub> = Arc::default();
    options.feed = feed(args, &hub)?;
    let opening = OpenOptions {
        mode: whole_packets(args.mode, args.deduplicate || args.packets.is_some())?,
        slow_path: args.slow_path,
        policy: args.policy,
        force: args.force,
        receivers: args.receivers,
        ring_bytes: args.ring.as_u64(),
        snaplen: args.snaplen.unwrap_or(u32::MAX),
        sample: args.sample,
        filter: filter(&args.filter, args.filter_file.as_deref())?,
        vlan_in_key: args.vlan_in_key,
        enters_tunnels: capture::Tunnels::from(args.tunnels) == capture::Tunnels::Inner,
        pins: (args.pins != *"none").then(|| args.pins.clone()),
        owner: 0,
    };
    let lake = Lake::open(&args.lake)?;
    let opening = OpenOptions { owner: owner(&lake), ..opening };
    let shell = CaptureShell::new(args.filter.clone(), args.filter_file.clone(), interrupt::flag()?)?;
    let interfaces = open_all(&args.interface, &opening, &keeper)?;
    let done = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        if let Some(socket) = &args.metrics {
            scope.spawn(|| {
                confine(Keep::Files);
                metrics::go_on(socket, &hub, &lake, &done);
            });
        }
        let report = capture_live(&lake, interfaces, &options, &shell);
        done.store(true, Ordering::Relaxed);
        report
    })?;
    print(&report, args.json)?;
    Ok(if report.imbalances.is_empty() && report.error.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The packet store.
fn packets(args: &Args) -> anyhow::Result<Option<PacketOptions>> {
    let Some(dir) = &args.packets else { return Ok(None) };
    if args.packets_size.as_u64() < PacketOptions::LEAST_BYTES {
        return Err(UsedWrongly("--packets-size: at least 64MiB".to_owned()).into());
    }
    Ok(Some(PacketOptions {
        max_bytes: args.packets_size.as_u64(),
        max_age: args.packets_age.map(Into::into),
        snaplen: args.packets_snaplen.unwrap_or(u32::MAX),
        first_packets: args.packets_first,
        first_bytes: args.packets_first_bytes.map(|size| size.as_u64()),
        ..PacketOptions::new(dir)
    }))
}

/// The way to the web application.
fn feed(args: &Args, hub: &Arc<Hub>) -> anyhow::Result<Option<Feed>> {
    let home = HomeNetworks::new(&args.home).map_err(|e| UsedWrongly(format!("--home: {e}")))?;
    let mut to: Vec<Arc<dyn Listener>> = Vec::new();
    if let Some(path) = &args.feed {
        to.push(Arc::new(SocketFeed::new(path, || confine(Keep::Files))?));
    }
    if args.metrics.is_some() {
        to.push(Arc::clone(hub) as _);
    }
    let feed = Feed { source: args.interface.join(","), home: Arc::new(home), to: Arc::new(Everybody(to)) };
    Ok((args.metrics.is_some() || args.feed.is_some()).then_some(feed))
}

/// All of them get every report.
struct Everybody(Vec<Arc<dyn Listener>>);

impl Listener for Everybody {
    fn report(&self, report: Report) {
        self.0.iter().for_each(|to| to.report(report.clone()));
    }

    fn ended(&self, source: &str) {
        self.0.iter().for_each(|to| to.ended(source));
    }
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
    if let Some(flows) = args.max_flows {
        options.limits.max_flows = flows as usize;
    }
    options.flush = at_least("flush", args.flush.into(), Duration::from_millis(100))?;
    options.vlan_in_key = args.vlan_in_key;
    options.duplicates = if args.deduplicate { Duplicates::Remove } else { Duplicates::Count };
    options.packets = packets(args)?;
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
