//! Reading a configuration and saying all that is wrong with it: keys that do not exist, with the nearest that does, and values
//! out of range, with the range.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use ui::Network;

use super::*;

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
