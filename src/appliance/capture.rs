//! Live capture in the process that reads packets: signals in, log lines out, threads that give up what is left of their rights; and
//! one `[[capture]]` of the appliance.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::feed::Feed;
use aggregator::lake::Lake;
use aggregator::live::{Flushed, LiveOptions, Role, Shell, run};
use anyhow::Context;
use capture::confine::{Keep, confine_thread};
use capture::duplicate::Duplicates;
use capture::keeper::Keeper;
use capture::live::source::{Interface, LinkEvent};
use capture::live::{Filter, ModeChoice, OpenOptions, check_together};

use super::config::{CaptureConfig, Config};
use crate::output::{self, UsedWrongly};

/// How long an interface that cannot be opened is left before the next try.
const RETRY: Duration = Duration::from_secs(10);

/// Rules given one by one and those of a file.
pub(crate) fn filter(rules: &[String], file: Option<&Path>) -> anyhow::Result<Filter> {
    let mut all = rules.to_vec();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        all.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
    }
    Filter::parse(all).map_err(|e| UsedWrongly(e.to_string()).into())
}

/// The mode where every packet must come whole: the kernel's flow cache counts most of them there.
pub(crate) fn whole_packets(mode: ModeChoice, needed: bool) -> anyhow::Result<ModeChoice> {
    match mode {
        _ if !needed => Ok(mode),
        ModeChoice::Auto | ModeChoice::AfPacket => Ok(ModeChoice::AfPacket),
        ModeChoice::Xdp | ModeChoice::XdpGeneric => Err(UsedWrongly(
            "XDP counts most packets in the kernel and does not hand them out: use --mode af_packet (or auto) to leave out \
             duplicates or to keep packets"
                .to_owned(),
        )
        .into()),
    }
}

/// Whose ledger a capture is told in: a number for the lake.
pub(crate) fn owner(lake: &Lake) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    lake.dir().hash(&mut hasher);
    hasher.finish()
}

/// Has the keeper open every interface, or none.
pub(crate) fn open_all(
    names: &[String],
    options: &OpenOptions,
    keeper: &Keeper,
) -> anyhow::Result<Vec<Box<dyn Interface>>> {
    check_together(names)?;
    let mut opened = Vec::new();
    for name in names {
        let interface = keeper.open(name, options)?;
        tracing::info!("{}: capturing by {}", output::safe(name), interface.mode().as_str());
        opened.push(interface);
    }
    Ok(opened)
}

/// See the [module](self).
pub(crate) struct CaptureShell<'a> {
    rules: Vec<String>,
    file: Option<PathBuf>,
    interrupt: &'a AtomicBool,
    hang_up: Arc<AtomicBool>,
}

impl<'a> CaptureShell<'a> {
    /// `rules` and those of `file` are the filter; SIGHUP reads the file again.
    pub(crate) fn new(rules: Vec<String>, file: Option<PathBuf>, interrupt: &'a AtomicBool) -> anyhow::Result<Self> {
        let hang_up = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&hang_up))?;
        Ok(Self { rules, file, interrupt, hang_up })
    }
}

impl Shell for CaptureShell<'_> {
    fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Relaxed)
    }

    fn new_filter(&self) -> Option<Filter> {
        if !self.hang_up.swap(false, Ordering::Relaxed) {
            return None;
        }
        match filter(&self.rules, self.file.as_deref()) {
            Ok(filter) => {
                tracing::info!("{} filters from now on", filter.rules().len());
                Some(filter)
            }
            Err(error) => {
                tracing::error!("the filters stay as they are: {error:#}");
                None
            }
        }
    }

    fn link(&self, interface: &str, event: &LinkEvent) {
        let name = output::safe(interface);
        match event {
            LinkEvent::Up => tracing::info!("{name}: up again"),
            LinkEvent::Down => tracing::warn!("{name}: set down; capture waits for it"),
            LinkEvent::Gone => tracing::warn!("{name}: gone; capture waits for it to come back"),
            LinkEvent::Back { ifindex } => tracing::info!("{name}: back, as interface {ifindex}"),
            LinkEvent::Mtu { from, to } => tracing::info!("{name}: MTU {to}, was {from}"),
            LinkEvent::Queues { from, to } => tracing::info!("{name}: {to} queues, was {from}"),
        }
    }

    fn flushed(&self, flushed: &Flushed) {
        tracing::debug!(rows = ?flushed.rows, "flushed");
    }

    fn thread_starts(&self, role: Role) {
        confine(match role {
            Role::Receiver => Keep::OpenSockets,
            Role::Worker => Keep::Nothing,
            Role::Writer | Role::Feed => Keep::Files,
        });
    }
}

/// Takes from the calling thread what it does not need.
pub(crate) fn confine(keep: Keep) {
    match confine_thread(keep) {
        Ok(confined) => tracing::debug!(?keep, ?confined, "rights given up"),
        Err(error) => tracing::warn!(?keep, %error, "a thread keeps rights it does not need"),
    }
}

/// Captures until the interrupt. What cannot be opened is tried again.
pub(super) fn go_on(
    lake: &Lake,
    config: &Config,
    (capture, keeper): (&CaptureConfig, &Keeper),
    feed: &Feed,
    interrupt: &AtomicBool,
) {
    while !interrupt.load(Ordering::Relaxed) {
        if let Err(error) = once(lake, config, (capture, keeper), feed, interrupt) {
            let name = &capture.name;
            tracing::error!("capture \"{name}\": {error:#}; trying again in {} s", RETRY.as_secs());
            super::pause(RETRY, interrupt);
        }
    }
}

fn once(
    lake: &Lake,
    config: &Config,
    (capture, keeper): (&CaptureConfig, &Keeper),
    feed: &Feed,
    interrupt: &AtomicBool,
) -> anyhow::Result<()> {
    let opening = OpenOptions {
        mode: whole_packets(capture.mode.parse()?, capture.deduplicate || config.packets.dir.is_some())?,
        policy: capture.policy.parse()?,
        receivers: capture.receivers,
        ring_bytes: capture.ring.as_u64(),
        sample: capture.sample,
        filter: filter(&capture.filter, capture.filter_file.as_deref())?,
        vlan_in_key: config.flow.vlan_in_key,
        enters_tunnels: capture::Tunnels::from(config.flow.tunnels) == capture::Tunnels::Inner,
        owner: owner(lake),
        ..OpenOptions::default()
    };
    let mut options = LiveOptions::new(capture.sensor.as_ref().unwrap_or(&config.lake.sensor));
    options.decoder.tunnels = config.flow.tunnels.into();
    options.timeouts.active = config.flow.active_timeout.0;
    options.timeouts.idle_tcp = config.flow.tcp_idle_timeout.0;
    options.timeouts.idle_other = config.flow.idle_timeout.0;
    options.limits.max_flows = config.flow.max_flows as usize;
    options.vlan_in_key = config.flow.vlan_in_key;
    options.shards = usize::from(capture.shards);
    options.flush = capture.flush.0;
    options.sample = capture.sample;
    options.duplicates = if capture.deduplicate { Duplicates::Remove } else { Duplicates::Count };
    options.packets = config.packets.of(&capture.name);
    options.feed = Some(feed.clone());
    let shell = CaptureShell::new(capture.filter.clone(), capture.filter_file.clone(), interrupt)?;
    let report = run(lake, open_all(&capture.interfaces, &opening, keeper)?, &options, &shell)?;
    for imbalance in &report.imbalances {
        tracing::error!("capture \"{}\": the books do not close: {imbalance}", capture.name);
    }
    let counter = |name: &str| report.ledger.get(name).copied().unwrap_or(0);
    tracing::info!(
        "capture \"{}\": {} packets offered, {} seen, {} lost on the way in, {} in flows",
        capture.name,
        counter("packets.offered"),
        counter("packets.seen"),
        counter("packets.missed_before_probe") + counter("packets.lost_shard_ring"),
        counter("packets.received"),
    );
    match report.error {
        Some(error) => anyhow::bail!("the last records could not be written: {error}"),
        None => Ok(()),
    }
}
