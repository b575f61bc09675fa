//! `spotter.toml`: everything the appliance does, in one validated file.
//!
//! Every key has a default, so an empty file is a valid configuration. An unknown key is an error that names
//! the nearest known one; a value out of range is an error that says the range. All problems are reported at
//! once, not the first only.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aggregator::feed::{HomeError, HomeNetworks};
use aggregator::packets::PacketOptions;
use bytesize::ByteSize;
use capture::live::{Filter, ModeChoice, PolicyChoice};
use serde::{Deserialize, Serialize};
use ui::{Network, Transport};

use super::collect::CollectConfig;
use super::forward::OutputConfig;
#[cfg(feature = "kafka")]
use super::kafka::KafkaConfig;
use crate::serve::{Service, TLS_FOLDER};

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

/// Why a configuration is refused. Each problem is one line that says what to do.
#[derive(Debug)]
pub(crate) struct Problems(pub(crate) Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Config {
    /// Reads and validates `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, Problems> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Problems(vec![format!(
                "cannot read {}: {e}; `spotter config show` prints the defaults to start from",
                path.display()
            )])
        })?;
        Self::parse(&text).map_err(|p| Problems(p.0.into_iter().map(|m| format!("{}: {m}", path.display())).collect()))
    }

    /// Parses and validates the text of a configuration.
    pub(crate) fn parse(text: &str) -> Result<Self, Problems> {
        let mut unknown = Vec::new();
        let deserializer = toml::Deserializer::parse(text).map_err(|e| Problems(vec![e.to_string()]))?;
        let config: Self = serde_ignored::deserialize(deserializer, |key| unknown.push(key.to_string()))
            .map_err(|e| Problems(vec![e.to_string()]))?;
        let mut problems: Vec<String> = unknown.iter().map(|key| unknown_key(key)).collect();
        problems.extend(config.problems());
        if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
    }

    /// What is wrong with the values, each with what to do.
    fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |bad: bool, text: String| {
            if bad {
                found.push(text);
            }
        };
        let LakeConfig { sensor, maintenance_every, max_age, max_bytes, .. } = &self.lake;
        check(!is_name(sensor), format!("lake.sensor = \"{sensor}\": use 1 to 64 letters, digits, '.', '_' or '-'"));
        check(maintenance_every.0 < Duration::from_secs(1), "lake.maintenance_every: at least 1s".to_owned());
        check(
            max_age.is_some_and(|a| a.0 < Duration::from_secs(3600)),
            "lake.max_age: at least 1h, since whole hours expire".to_owned(),
        );
        check(max_bytes.is_some_and(|b| b < ByteSize::mib(16)), "lake.max_bytes: at least 16MiB".to_owned());

        let FlowConfig { active_timeout, idle_timeout, tcp_idle_timeout, max_flows, .. } = &self.flow;
        for (name, span) in
            [("active_timeout", active_timeout), ("idle_timeout", idle_timeout), ("tcp_idle_timeout", tcp_idle_timeout)]
        {
            check(
                span.0 < Duration::from_secs(1) || span.0 > Duration::from_secs(86_400),
                format!("flow.{name}: from 1s to 1d"),
            );
        }
        check(!(1_024..=64_000_000).contains(max_flows), "flow.max_flows: from 1024 to 64000000".to_owned());

        let mut names = BTreeSet::new();
        for (i, capture) in self.capture.iter().enumerate() {
            capture.problems(&format!("capture[{i}]")).into_iter().for_each(|problem| check(true, problem));
            check(!names.insert(&capture.name), format!("capture[{i}].name = \"{}\" stands twice", capture.name));
        }
        for (i, collect) in self.collect.iter().enumerate() {
            collect.problems(&format!("collect[{i}]")).into_iter().for_each(|problem| check(true, problem));
            check(!names.insert(&collect.name), format!("collect[{i}].name = \"{}\" stands twice", collect.name));
        }
        #[cfg(feature = "kafka")]
        for (i, kafka) in self.kafka.iter().enumerate() {
            kafka.problems().into_iter().for_each(|problem| check(true, format!("kafka[{i}].{problem}")));
            check(!names.insert(&kafka.name), format!("kafka[{i}].name = \"{}\" stands twice", kafka.name));
        }
        for (i, output) in self.output.iter().enumerate() {
            output.problems().into_iter().for_each(|problem| check(true, format!("output[{i}].{problem}")));
            check(!names.insert(&output.name), format!("output[{i}].name = \"{}\" stands twice", output.name));
        }
        for (i, watch) in self.watch.iter().enumerate() {
            let at = format!("watch[{i}]");
            check(
                !is_name(&watch.name),
                format!("{at}.name = \"{}\": use 1 to 64 letters, digits, '.', '_' or '-'", watch.name),
            );
            check(!names.insert(&watch.name), format!("{at}.name = \"{}\" stands twice: names are unique", watch.name));
            check(watch.dir.as_os_str().is_empty(), format!("{at}.dir is missing: name the folder to watch"));
            if let Some(Err(error)) = watch.mapping.as_deref().map(crate::import::mapping) {
                check(true, format!("{at}.mapping: {error}"));
            }
            if let Some(sensor) = &watch.sensor {
                check(
                    !is_name(sensor),
                    format!("{at}.sensor = \"{sensor}\": use 1 to 64 letters, digits, '.', '_' or '-'"),
                );
            }
        }

        let PacketsConfig { dir, size, snaplen, .. } = &self.packets;
        check(size.as_u64() < PacketOptions::LEAST_BYTES, "packets.size: at least 64MiB".to_owned());
        check(snaplen.is_some_and(|bytes| bytes < 14), "packets.snaplen: at least 14".to_owned());
        let xdp = self.capture.iter().find(|capture| dir.is_some() && capture.mode == "xdp");
        let name = xdp.map(|capture| capture.name.as_str()).unwrap_or_default();
        check(
            xdp.is_some(),
            format!(
                "packets.dir: capture \"{name}\" has mode = \"xdp\", which does not hand out every packet: use auto or af_packet"
            ),
        );
        let home = self.network.home().err().map(|e| e.to_string());
        check(home.is_some(), format!("network.home: {}", home.unwrap_or_default()));

        let ScoreConfig { at, sources, limit, topics, .. } = &self.score;
        check(minute_of_day(at).is_none(), format!("score.at = \"{at}\": a time of day, UTC, as 00:30"));
        for source in sources {
            check(
                !["flow", "dns", "proxy"].contains(&source.as_str()),
                format!("score.sources has \"{source}\": use flow, dns, proxy"),
            );
        }
        check(*limit == 0, "score.limit: at least 1".to_owned());
        check(!(2..=256).contains(topics), "score.topics: from 2 to 256".to_owned());
        let ui = &self.ui;
        check(
            ui.tls_cert.is_some() != ui.tls_key.is_some(),
            "ui.tls_cert and ui.tls_key go together: give both or neither".to_owned(),
        );
        let ways = [ui.tls, ui.tls_cert.is_some(), !ui.insecure_behind_proxy.is_empty()];
        check(
            ways.into_iter().filter(|is_given| *is_given).count() > 1,
            "ui: give one of tls, tls_cert with tls_key, and insecure_behind_proxy".to_owned(),
        );
        for network in &ui.insecure_behind_proxy {
            if let Err(error) = network.parse::<Network>() {
                check(true, format!("ui.insecure_behind_proxy: {error}"));
            }
        }
        if let Err(error) = ui.service(&self.lake.dir).check() {
            check(true, format!("ui.listen = \"{}\": {error}", ui.listen));
        }
        found
    }

    /// What of the machine does not fit the configuration: folders that are missing.
    pub(crate) fn missing_on_this_machine(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .watch
            .iter()
            .filter(|w| !w.dir.is_dir())
            .map(|w| {
                format!("watch \"{}\": {} is not a folder; create it or correct watch.dir", w.name, w.dir.display())
            })
            .collect();
        if let Some(list) = self.score.top_domains.as_ref().filter(|p| !p.is_file()) {
            found.push(format!("score.top_domains: there is no file {}", list.display()));
        }
        if let Some(folder) = self.rules.folder.as_ref().filter(|p| !p.is_dir()) {
            found.push(format!("rules.folder: there is no folder {}", folder.display()));
        }
        found
    }

    /// As TOML, every key with its value.
    pub(crate) fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

/// Names that are safe in paths and logs.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Minutes after midnight of `HH:MM`.
pub(crate) fn minute_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number =
        |s: &str| (s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse::<u32>().ok()).flatten();
    let (hour, minute) = (number(hour)?, number(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// The message for a key that does not exist, with the nearest one that does.
fn unknown_key(key: &str) -> String {
    let shape: String =
        key.split('.').map(|p| if p.parse::<usize>().is_ok() { "0" } else { p }).collect::<Vec<_>>().join(".");
    let known = known_keys();
    let nearest =
        known.iter().max_by(|a, b| strsim::jaro_winkler(a, &shape).total_cmp(&strsim::jaro_winkler(b, &shape)));
    match nearest.filter(|n| strsim::jaro_winkler(n, &shape) > 0.7) {
        Some(nearest) => format!("there is no key `{key}`; did you mean `{}`?", nearest.replace(".0.", "[].")),
        None => format!("there is no key `{key}`; `spotter config show` lists all keys"),
    }
}

/// Every key there is, dotted; list elements as `0`.
fn known_keys() -> BTreeSet<String> {
    let mut full = Config {
        capture: vec![CaptureConfig {
            sensor: Some(String::new()),
            filter: vec![String::new()],
            filter_file: Some(PathBuf::new()),
            ..CaptureConfig::default()
        }],
        collect: vec![CollectConfig::full()],
        #[cfg(feature = "kafka")]
        kafka: vec![KafkaConfig::full()],
        output: vec![OutputConfig::full()],
        watch: vec![WatchConfig {
            sensor: Some(String::new()),
            mapping: Some(PathBuf::new()),
            ..WatchConfig::default()
        }],
        ..Config::default()
    };
    full.lake.max_bytes = Some(ByteSize::b(0));
    full.score.top_domains = Some(PathBuf::new());
    full.score.user_domain = Some(String::new());
    full.ui.feed_socket = Some(PathBuf::new());
    full.metrics.socket = Some(PathBuf::new());
    full.packets = PacketsConfig {
        dir: Some(PathBuf::new()),
        age: Some(Span(Duration::ZERO)),
        snaplen: Some(0),
        first_packets: Some(0),
        first_bytes: Some(ByteSize::b(0)),
        ..PacketsConfig::default()
    };
    full.rules.folder = Some(PathBuf::new());
    let mut keys = BTreeSet::new();
    if let Ok(value) = toml::Value::try_from(&full) {
        collect_keys("", &value, &mut keys);
    }
    keys
}

fn collect_keys(prefix: &str, value: &toml::Value, into: &mut BTreeSet<String>) {
    let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(name, inner)| {
            into.insert(join(name));
            collect_keys(&join(name), inner, into);
        }),
        toml::Value::Array(list) => list.iter().take(1).for_each(|inner| collect_keys(&join("0"), inner, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        Config::parse(text).expect_err("should be refused").to_string()
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = Config::parse("").expect("valid");
        assert_eq!(config.flow.active_timeout, Span(Duration::from_secs(60)));
        assert_eq!(config.ui.listen.to_string(), "127.0.0.1:8889");
    }

    #[test]
    fn what_show_prints_is_read_back_the_same() {
        let text = Config::default().to_toml().expect("serialises");
        let again = Config::parse(&text).expect("valid").to_toml().expect("serialises");
        assert_eq!(text, again);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        assert!(problems("[flow]\nactive_timout = \"60s\"").contains("did you mean `flow.active_timeout`?"));
        assert!(
            problems("[[watch]]\nname=\"a\"\ndir=\"/tmp\"\nsensr=\"x\"").contains("did you mean `watch[].sensor`?")
        );
        assert!(problems("[laek]\ndir=\"x\"").contains("did you mean `lake`?"));
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let text = problems("[ui]\nlisten=\"0.0.0.0:80\"\n[score]\nat=\"25:00\"\ntopics=1\n[flow]\nmax_flows=1");
        for part in ["ui.listen", "score.at", "score.topics", "flow.max_flows"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn wrong_types_say_where_and_what_was_expected() {
        let text = problems("[flow]\nactive_timeout = \"soon\"");
        assert!(text.contains("active_timeout") && text.contains("60s"), "{text}");
        assert!(problems("[flow]\nmax_flows = \"many\"").contains("max_flows"));
    }

    #[test]
    fn a_capture_says_what_is_wrong_with_it() {
        let text = problems(
            "[[capture]]\nname=\"tap\"\nmode=\"magic\"\nfilter=[\"host 1\"]\n[[capture]]\nname=\"tap\"\ninterfaces=[\"a\"]\nsampel=2",
        );
        for part in [
            "capture[0].interfaces",
            "auto, xdp, xdp_generic or af_packet",
            "net CIDR",
            "stands twice",
            "`capture[].sample`",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let good = "[[capture]]\nname=\"tap\"\ninterfaces=[\"eth1\",\"eth2\"]\nring=\"256MiB\"\nfilter=[\"port 9100\"]";
        let config = Config::parse(good).expect("valid");
        assert_eq!((config.capture[0].ring, config.capture[0].shards), (ByteSize::mib(256), 1));
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn topics_say_what_is_wrong_with_them() {
        let text = problems("[[kafka]]\nname=\"k\"\nbrokers=[\"kafka\"]\nsasl=\"plain\"\nbegin=\"now\"\nflsh=\"1s\"");
        for part in ["sasl and sasl_file", "kafka[0].topics", "earliest or latest", "`kafka[].flush`"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let good = "[[kafka]]\nname=\"k\"\nbrokers=[\"a:9092\",\"b:9092\"]\ntopics=[\"pmacct\"]\nflush=\"1s\"";
        assert_eq!(Config::parse(good).expect("valid").kafka[0].options("s").expect("options").member.group, "spotter");
    }

    #[test]
    fn several_inputs_have_unique_names() {
        assert!(
            problems("[[watch]]\nname=\"a\"\ndir=\"/x\"\n[[watch]]\nname=\"a\"\ndir=\"/y\"").contains("stands twice")
        );
    }
}
