//! `spotter.toml`: everything the appliance does, in one validated file.
//!
//! Every key has a default, so an empty file is a valid configuration. An unknown key is an error that names
//! the nearest known one; a value out of range is an error that says the range. All problems are reported at
//! once, not the first only.

mod check;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aggregator::feed::{HomeError, HomeNetworks};
use aggregator::packets::PacketOptions;
use bytesize::ByteSize;
use capture::live::{Filter, ModeChoice, PolicyChoice};
use serde::{Deserialize, Serialize};
use ui::Transport;

use super::collect::CollectConfig;
use super::forward::OutputConfig;
#[cfg(feature = "kafka")]
use super::kafka::KafkaConfig;
use crate::serve::{Service, TLS_FOLDER};
pub(crate) use check::{is_name, minute_of_day};

/// The whole of `spotter.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Config {
    /// Where records are kept, and for how long.
    pub(crate) lake: LakeConfig,
    /// What a flow is.
    pub(crate) flow: FlowConfig,
    /// Interfaces that are captured live.
    pub(crate) capture: Vec<CaptureConfig>,
    /// Where routers and switches export to.
    pub(crate) collect: Vec<CollectConfig>,
    /// Topics that are read.
    #[cfg(feature = "kafka")]
    pub(crate) kafka: Vec<KafkaConfig>,
    /// Where alerts go to.
    pub(crate) output: Vec<OutputConfig>,
    /// Folders of capture files that are read as they fill.
    pub(crate) watch: Vec<WatchConfig>,
    /// The nightly fit and what is kept of it.
    pub(crate) score: ScoreConfig,
    /// Detectors as rule files.
    pub(crate) rules: RulesConfig,
    /// The web application.
    pub(crate) ui: UiConfig,
    /// What of the network is ours.
    pub(crate) network: NetworkConfig,
    /// For Prometheus.
    pub(crate) metrics: MetricsConfig,
    /// The last packets as they are.
    pub(crate) packets: PacketsConfig,
}

/// `[rules]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RulesConfig {
    /// Folder of rule files (Sigma .yml, SQL .sql), read at each fit. Absent: none.
    pub(crate) folder: Option<PathBuf>,
}

/// `[lake]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LakeConfig {
    /// The lake's folder. Created if missing.
    pub(crate) dir: PathBuf,
    /// Name of this sensor in records and paths, unless an input has its own.
    pub(crate) sensor: String,
    /// How often small files are merged and old ones expire.
    pub(crate) maintenance_every: Span,
    /// Files below this size are merged.
    /// Size that merged files aim for.
    pub(crate) compact_to: ByteSize,
    /// Records older than this are deleted, whole hours at a time. Absent: kept for ever.
    pub(crate) max_age: Option<Span>,
    /// Once the lake is larger than this its oldest hours are deleted. Absent: no limit.
    pub(crate) max_bytes: Option<ByteSize>,
    /// The captures themselves are kept too, by sha256.
    pub(crate) keep_originals: bool,
}

impl Default for LakeConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("/var/lib/spotter/lake"),
            sensor: "spotter".to_owned(),
            maintenance_every: Span(Duration::from_secs(600)),
            compact_to: ByteSize::mib(256),
            max_age: Some(Span(Duration::from_secs(90 * 86_400))),
            max_bytes: None,
            keep_originals: false,
        }
    }
}

/// `[flow]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FlowConfig {
    /// A connection this long makes a record and goes on in the next.
    pub(crate) active_timeout: Span,
    /// Silence that ends a UDP, ICMP or other flow.
    pub(crate) idle_timeout: Span,
    /// Silence that ends a TCP connection.
    pub(crate) tcp_idle_timeout: Span,
    /// Flows in memory at once.
    pub(crate) max_flows: u32,
    /// The VLAN id is part of a flow's key.
    pub(crate) vlan_in_key: bool,
    /// Which IP header of a tunnelled packet makes the record.
    pub(crate) tunnels: Tunnels,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self {
            active_timeout: Span(Duration::from_secs(60)),
            idle_timeout: Span(Duration::from_secs(15)),
            tcp_idle_timeout: Span(Duration::from_secs(60)),
            max_flows: 524_288,
            vlan_in_key: false,
            tunnels: Tunnels::Inner,
        }
    }
}

/// `tunnels = "inner" | "outer"`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tunnels {
    /// The innermost readable IP header; the record says which tunnel was entered.
    Inner,
    /// The outermost IP header.
    Outer,
}

impl From<Tunnels> for capture::Tunnels {
    fn from(tunnels: Tunnels) -> Self {
        match tunnels {
            Tunnels::Inner => Self::Inner,
            Tunnels::Outer => Self::Outer,
        }
    }
}

/// One `[[capture]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CaptureConfig {
    /// Name of the input, unique; it stands in the log.
    pub(crate) name: String,
    /// Interfaces; several where each direction comes by a port of its own.
    pub(crate) interfaces: Vec<String>,
    /// `auto`, `xdp`, `xdp_generic` or `af_packet`.
    pub(crate) mode: String,
    /// `auto`, `tap` or `inline`.
    pub(crate) policy: String,
    /// Sensor name of its records; `lake.sensor` if absent.
    pub(crate) sensor: Option<String>,
    /// Packets dropped early: `net CIDR`, `port N[-M]`, `proto NAME`.
    pub(crate) filter: Vec<String>,
    /// More of them, one a line; read again at SIGHUP.
    pub(crate) filter_file: Option<PathBuf>,
    /// One packet in so many is kept.
    pub(crate) sample: u32,
    /// AF_PACKET: receivers an interface.
    pub(crate) receivers: u32,
    /// AF_PACKET: ring of each receiver.
    pub(crate) ring: ByteSize,
    /// Shards of decoder and flow table.
    pub(crate) shards: u16,
    /// How often finished records become visible.
    pub(crate) flush: Span,
    /// Packets that a mirror port delivers twice are left out (by AF_PACKET only).
    pub(crate) deduplicate: bool,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            interfaces: Vec::new(),
            mode: "auto".to_owned(),
            policy: "auto".to_owned(),
            sensor: None,
            filter: Vec::new(),
            filter_file: None,
            sample: 1,
            receivers: 1,
            ring: ByteSize::mib(64),
            shards: 1,
            flush: Span(Duration::from_secs(10)),
            deduplicate: false,
        }
    }
}

impl CaptureConfig {
    /// What is wrong with the values, each with what to do.
    fn problems(&self, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |problem: Result<(), String>| found.extend(problem.err().map(|p| format!("{at}.{p}")));
        let that = |good: bool, problem: &str| if good { Ok(()) } else { Err(problem.to_owned()) };
        check(that(is_name(&self.name), "name: use 1 to 64 letters, digits, '.', '_' or '-'"));
        check(that(!self.interfaces.is_empty(), "interfaces is missing: name the interfaces, as [\"eth1\"]"));
        check(self.mode.parse::<ModeChoice>().map(drop).map_err(|e| e.to_string()));
        check(that(!(self.deduplicate && self.mode == "xdp"), "deduplicate: needs mode = \"auto\" or \"af_packet\""));
        check(self.policy.parse::<PolicyChoice>().map(drop).map_err(|e| e.to_string()));
        check(that(self.sensor.as_deref().is_none_or(is_name), "sensor: use 1 to 64 letters, digits, '.', '_' or '-'"));
        check(Filter::parse(&self.filter).map(drop).map_err(|e| e.to_string()));
        check(that((1..=1_000_000).contains(&self.sample), "sample: from 1 to 1000000"));
        check(that((1..=64).contains(&self.receivers), "receivers: from 1 to 64"));
        check(that((1..=64).contains(&self.shards), "shards: from 1 to 64"));
        check(that(self.flush.0 >= Duration::from_millis(100), "flush: at least 100ms"));
        found
    }
}

/// One `[[watch]]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WatchConfig {
    /// Name of the input, unique; it stands in the ledger and in the log.
    pub(crate) name: String,
    /// The folder, read recursively. It must exist when the appliance starts.
    pub(crate) dir: PathBuf,
    /// Sensor name of its records; `lake.sensor` if absent.
    pub(crate) sensor: Option<String>,
    /// Packets that a mirror port delivered twice are left out.
    pub(crate) deduplicate: bool,
    /// A mapping (TOML) by which its logs are read; see `spotter import --help`.
    pub(crate) mapping: Option<PathBuf>,
}

/// `[score]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ScoreConfig {
    /// The nightly fit is on.
    pub(crate) enabled: bool,
    /// New records are scored as they arrive, against the newest kept model.
    pub(crate) live: bool,
    /// When the finished day is fitted and scored, UTC, `HH:MM`.
    pub(crate) at: String,
    /// Which tables: `flow`, `dns`, `proxy`.
    pub(crate) sources: Vec<String>,
    /// Rows kept per source and day.
    pub(crate) limit: u32,
    /// Topics of the model.
    pub(crate) topics: u16,
    /// List of popular domains (`rank,domain` or a name a line).
    pub(crate) top_domains: Option<PathBuf>,
    /// The organisation's own second-level domain label.
    pub(crate) user_domain: Option<String>,
}

impl Default for ScoreConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            live: true,
            at: "00:30".to_owned(),
            sources: ["flow", "dns", "proxy"].map(str::to_owned).to_vec(),
            limit: 3_000,
            topics: 20,
            top_domains: None,
            user_domain: None,
        }
    }
}

/// `[network]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NetworkConfig {
    /// Networks of ours beside the private ones (RFC 1918, RFC 6598, link-local, unique local): they make traffic of the Live
    /// page incoming or outgoing.
    pub(crate) home: Vec<String>,
}

impl NetworkConfig {
    pub(crate) fn home(&self) -> Result<HomeNetworks, HomeError> {
        HomeNetworks::new(&self.home)
    }
}

/// `[ui]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct UiConfig {
    /// The web application is served.
    pub(crate) enabled: bool,
    /// Where. Without TLS, and without a proxy that is named, only on loopback.
    pub(crate) listen: SocketAddr,
    /// Unix socket (0660) at which captures in other processes report (`spotter capture --feed`). Absent: none.
    pub(crate) feed_socket: Option<PathBuf>,
    /// Host names by which browsers reach it, beside localhost and IP addresses.
    pub(crate) hosts: Vec<String>,
    /// HTTPS with a certificate that is made and kept in the lake's folder `tls`.
    pub(crate) tls: bool,
    /// HTTPS with this certificate chain (PEM); needs `tls_key`.
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    pub(crate) tls_key: Option<PathBuf>,
    /// Plain HTTP for reverse proxies in these networks, which speak HTTPS to the browsers.
    pub(crate) insecure_behind_proxy: Vec<String>,
}

impl Default for UiConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 8889)),
            hosts: Vec::new(),
            tls: false,
            tls_cert: None,
            tls_key: None,
            insecure_behind_proxy: Vec::new(),
            feed_socket: None,
        }
    }
}

impl UiConfig {
    /// As the server takes it. Networks that are none are left out: [`Config::problems`] has refused them.
    pub(crate) fn service(&self, lake: &Path) -> Service {
        let transport = match (&self.tls_cert, &self.tls_key) {
            (Some(chain), Some(key)) => Transport::Certificate { chain: chain.clone(), key: key.clone() },
            _ if self.tls => Transport::Generated(lake.join(TLS_FOLDER)),
            _ if !self.insecure_behind_proxy.is_empty() => {
                Transport::BehindProxy(self.insecure_behind_proxy.iter().filter_map(|text| text.parse().ok()).collect())
            }
            _ => Transport::Plain,
        };
        Service { listen: self.listen, transport, names: self.hosts.clone(), feed_socket: self.feed_socket.clone() }
    }
}

/// `[packets]`: the last packets of every capture as they are, below `dir`. By AF_PACKET.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PacketsConfig {
    /// Folder of the store; a folder in it for each capture. Absent: no packets are kept.
    pub(crate) dir: Option<PathBuf>,
    /// Bytes of a capture's packets; the oldest go.
    pub(crate) size: ByteSize,
    /// How long packets are kept, at most.
    pub(crate) age: Option<Span>,
    /// Bytes kept of each packet. Absent: all.
    pub(crate) snaplen: Option<u32>,
    /// Of each flow, packets kept. Absent: all.
    pub(crate) first_packets: Option<u64>,
    /// Of each flow, bytes kept. Absent: all.
    pub(crate) first_bytes: Option<ByteSize>,
}

impl Default for PacketsConfig {
    fn default() -> Self {
        Self { dir: None, size: ByteSize::gb(10), age: None, snaplen: None, first_packets: None, first_bytes: None }
    }
}

impl PacketsConfig {
    /// The store of a capture.
    pub(crate) fn of(&self, capture: &str) -> Option<PacketOptions> {
        Some(PacketOptions {
            max_bytes: self.size.as_u64(),
            max_age: self.age.map(|age| age.0),
            snaplen: self.snaplen.unwrap_or(u32::MAX),
            first_packets: self.first_packets,
            first_bytes: self.first_bytes.map(|size| size.as_u64()),
            ..PacketOptions::new(self.dir.as_ref()?.join(capture))
        })
    }
}

/// `[metrics]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MetricsConfig {
    /// Unix socket (0660) with the metrics for Prometheus. They are also at /metrics of the web application. Absent: none.
    pub(crate) socket: Option<PathBuf>,
}

/// A length of time written as people write it: `90d`, `10min`, `60s`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Span(pub(crate) Duration);

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Span).map_err(|e| {
            serde::de::Error::custom(format!(
                "\"{text}\" is not a length of time ({e}); write it as 60s, 10min, 12h or 90d"
            ))
        })
    }
}
