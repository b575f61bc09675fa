//! One `[[output]]` of the appliance: alerts leave. `spotter forward` is the same for one output.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aggregator::LedgerHead;
use aggregator::lake::{Day, Lake, SetKind, Source, Table, WriterOptions};
use aggregator::record::Micros;
use aggregator::state;
use analytics::forward::{Form, ForwardCounters, ForwardOptions, Forwarder, TargetOptions, Threshold, What};
use analytics::sql::{Engine, EngineLimits};
use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::config::{Config, Span, is_name};

/// Between two looks for new alerts.
const LOOK: Duration = Duration::from_secs(5);
/// Between two entries in the ledger.
const BOOKS: Duration = Duration::from_secs(300);
/// An output that cannot be opened is left so long.
const RETRY: Duration = Duration::from_secs(30);

/// One `[[output]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OutputConfig {
    /// Name of the output, unique; it stands in the ledger, and its queue is under it.
    pub(crate) name: String,
    /// `file:PATH`, `https://…` (webhook), `elastic+https://HOST:9200/INDEX`, `syslog+udp://HOST:514`, `syslog+tcp://…`, `syslog+tls://…`,
    /// `kafka://HOST:9092,…/TOPIC`, `kafka+tls://…`, `mongodb://HOST:27017/DATABASE/COLLECTION`, `mongodb+tls://…`, `ipfix+udp://HOST:4739`, `ipfix+tcp://…`.
    pub(crate) to: String,
    /// `alerts`, or `records`: every record of the tables, scored or not.
    pub(crate) what: String,
    /// `json`, `ecs`, `ocsf`, `odm`, `cef`, or for Kafka `avro`.
    pub(crate) form: String,
    /// For `avro`: the numbers a schema registry has given to the tables' schemas, as `{ flow = 12 }`. Without one a message has its schema's
    /// fingerprint.
    pub(crate) schema_ids: BTreeMap<String, u32>,
    /// Hosts that may be reached, as `siem.example` or `siem.example:8443`.
    pub(crate) allow: Vec<String>,
    /// Authorities (PEM) that vouch for the other side.
    pub(crate) tls_ca: Option<PathBuf>,
    /// File whose first line is the `authorization` header; with `sasl`, and for MongoDB, the user, and the password in its second line.
    pub(crate) authorization_file: Option<PathBuf>,
    /// Kafka: `plain`, `scram-sha-256` or `scram-sha-512`.
    pub(crate) sasl: Option<String>,
    /// Kafka by TLS: our certificate (PEM), and its key.
    pub(crate) tls_cert: Option<PathBuf>,
    /// See `tls_cert`.
    pub(crate) tls_key: Option<PathBuf>,
    /// Least strength of the strongest evidence: −log10 of the cases as strong that a day has by chance.
    pub(crate) min_strength: f64,
    /// Last place in the list that is an alert.
    pub(crate) max_rank: u32,
    /// Tables: `flow`, `dns`, `proxy`.
    pub(crate) sources: Vec<String>,
    /// Days before today whose alerts are sent, too, when they are new.
    pub(crate) days: u32,
    /// Bytes of the queue on disk.
    pub(crate) queue: ByteSize,
}

impl Default for OutputConfig {
    fn default() -> Self {
        let Threshold { min_strength, max_rank } = Threshold::default();
        Self {
            name: String::new(),
            to: String::new(),
            what: "alerts".to_owned(),
            form: "json".to_owned(),
            schema_ids: BTreeMap::new(),
            allow: Vec::new(),
            tls_ca: None,
            authorization_file: None,
            sasl: None,
            tls_cert: None,
            tls_key: None,
            min_strength,
            max_rank,
            sources: Source::ALL.map(|source| source.as_str().to_owned()).to_vec(),
            days: 1,
            queue: ByteSize::mib(64),
        }
    }
}

/// The table of a name. Alerts are of those that are scored.
pub(crate) fn table(name: &str, with_records: bool) -> Result<Table, String> {
    let known = Source::ALL.map(Source::table).into_iter().chain(with_records.then_some(Table::Dhcp));
    let names = if with_records { "flow, dns, proxy or dhcp" } else { "flow, dns or proxy (dhcp has records alone)" };
    known.into_iter().find(|table| table.as_str() == name).ok_or_else(|| format!("source \"{name}\": use {names}"))
}

impl OutputConfig {
    /// With every key, for the list of known ones.
    pub(super) fn full() -> Self {
        let path = Some(PathBuf::new());
        Self {
            tls_ca: path.clone(),
            authorization_file: path.clone(),
            sasl: Some(String::new()),
            tls_cert: path.clone(),
            tls_key: path,
            ..Self::default()
        }
    }

    fn target(&self) -> TargetOptions {
        TargetOptions {
            to: self.to.clone(),
            allow: self.allow.clone(),
            tls_ca: self.tls_ca.clone(),
            authorization_file: self.authorization_file.clone(),
            sasl: self.sasl.clone(),
            tls_client: self.tls_cert.clone().zip(self.tls_key.clone()),
        }
    }

    fn tables(&self) -> Result<Vec<Table>, String> {
        self.sources.iter().map(|name| table(name, self.what == "records")).collect()
    }

    fn schema_ids(&self) -> Result<Vec<(Table, u32)>, String> {
        let known = self.tables()?;
        let id = |(name, id): (&String, &u32)| match known.iter().find(|table| table.as_str() == name) {
            Some(table) => Ok((*table, *id)),
            None => Err(format!("schema_ids: \"{name}\" is none of the sources ({})", self.sources.join(", "))),
        };
        self.schema_ids.iter().map(id).collect()
    }

    /// What is wrong with the values, each with what to do.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |problem: Result<(), String>| found.extend(problem.err());
        let that = |good: bool, problem: &str| if good { Ok(()) } else { Err(problem.to_owned()) };
        check(that(is_name(&self.name), "name: use 1 to 64 letters, digits, '.', '_' or '-'"));
        check(self.target().check().map_err(|e| format!("to = {e}")));
        check(self.form.parse::<Form>().map(drop).map_err(|e| format!("form: {e}")));
        check(self.what.parse::<What>().map(drop).map_err(|e| format!("what: {e}")));
        check(that(
            !(self.what == "records" && self.form == "cef"),
            "form: records leave as json, ecs, ocsf, odm or avro",
        ));
        let is_kafka = self.to.starts_with("kafka");
        check(that(self.form != "avro" || is_kafka, "form: avro goes to Kafka alone"));
        let is_ipfix = self.to.starts_with("ipfix+");
        check(that(!is_ipfix || self.what == "records", "what: IPFIX carries flow records: use records"));
        check(that(
            !is_ipfix || self.sources == ["flow"],
            "sources: IPFIX carries flow records: use flow alone (--source flow)",
        ));
        check(that(self.tls_cert.is_some() == self.tls_key.is_some(), "tls_cert and tls_key go together"));
        let is_elastic = self.to.starts_with("elastic+");
        let is_mongodb = self.to.starts_with("mongodb");
        check(that(!(is_mongodb && self.form == "cef"), "form: MongoDB takes json, ecs, ocsf or odm"));
        check(that(!(is_elastic && self.form == "cef"), "form: Elasticsearch takes json, ecs, ocsf or odm"));
        check(self.tables().map(drop));
        if self.tables().is_ok() {
            check(self.schema_ids().map(drop));
        }
        check(that(self.schema_ids.is_empty() || self.form == "avro", "schema_ids: they are for form avro"));
        let has_dhcp = self.sources.iter().any(|name| name == "dhcp");
        check(that(!has_dhcp || matches!(self.form.as_str(), "json" | "avro"), "form: dhcp leaves as json or avro"));
        check(that(self.min_strength.is_finite() && self.min_strength >= 0.0, "min_strength: 0 or more"));
        check(that(self.max_rank >= 1, "max_rank: at least 1"));
        check(that((0..=36_500).contains(&self.days), "days: from 0 to 36500"));
        check(that(self.queue >= ByteSize::kib(64), "queue: at least 64KiB"));
        found
    }

    /// The forwarder, with its queue in the lake's folder.
    pub(crate) fn open(&self, lake: &Lake) -> anyhow::Result<Forwarder> {
        let options = ForwardOptions {
            target: self.target(),
            form: self.form.parse().map_err(anyhow::Error::msg)?,
            schema_ids: self.schema_ids().map_err(anyhow::Error::msg)?,
            what: self.what.parse().map_err(anyhow::Error::msg)?,
            threshold: Threshold { min_strength: self.min_strength, max_rank: self.max_rank },
            tables: self.tables().map_err(anyhow::Error::msg)?,
            dir: lake.dir().join(".forward").join(&self.name),
            max_bytes: self.queue.as_u64(),
        };
        Ok(Forwarder::open(options)?)
    }

    /// The first day whose alerts are sent.
    pub(crate) fn since(&self) -> Day {
        let back = i64::from(self.days) * 86_400_000_000;
        Day::of(Micros(state::now().0 - back))
    }
}

/// An engine for looks at the scores: small, since it stays.
pub(crate) fn engine(lake: &Lake) -> anyhow::Result<Engine> {
    let limits = EngineLimits { memory: 256 << 20, ..EngineLimits::default() };
    Ok(Engine::open(Lake::open_existing(lake.dir())?, limits)?)
}

/// Forwards until the interrupt. What cannot be opened is tried again.
pub(super) fn go_on(lake: &Lake, config: &Config, output: &OutputConfig, interrupt: &AtomicBool) {
    while !interrupt.load(Ordering::Relaxed) {
        if let Err(error) = follow(lake, &config.lake.sensor, output, interrupt) {
            tracing::error!("output \"{}\": {error:#}; trying again in {} s", output.name, RETRY.as_secs());
            super::pause(RETRY, interrupt);
        }
    }
}

/// Reasons that one outage is said to have, at most.
const REASONS: usize = 8;

/// What was said of an outage: each reason once, not with every try. What is in brackets (times, counts) makes no other reason.
#[derive(Default)]
struct Outage {
    said: Vec<String>,
}

impl Outage {
    fn is_news(&mut self, error: &str) -> bool {
        let reason = error.split('(').next().unwrap_or_default();
        if self.said.len() >= REASONS || self.said.iter().any(|said| said == reason) {
            return false;
        }
        self.said.push(reason.to_owned());
        true
    }

    /// Something was taken: whether there was an outage until now.
    fn is_over(&mut self) -> bool {
        !std::mem::take(&mut self.said).is_empty()
    }
}

/// Looks and sends until the interrupt.
pub(crate) fn follow(lake: &Lake, sensor: &str, output: &OutputConfig, interrupt: &AtomicBool) -> anyhow::Result<()> {
    let (engine, mut forwarder) = (engine(lake)?, output.open(lake)?);
    let (mut look, mut books, mut try_at) = (Instant::now(), Instant::now() + BOOKS, Instant::now());
    let (mut told, mut since) = (ForwardCounters::default(), state::now());
    let mut outage = Outage::default();
    while !interrupt.load(Ordering::Relaxed) {
        if Instant::now() >= look {
            if let Err(error) = forwarder.look(lake, &engine, output.since()) {
                tracing::error!("output \"{}\": {error}", output.name);
            }
            look = Instant::now() + LOOK;
        }
        if Instant::now() >= try_at {
            match forwarder.send() {
                Ok(0) => {}
                Ok(_) => {
                    if outage.is_over() {
                        tracing::info!("output \"{}\" takes records again", output.name);
                    }
                    continue;
                }
                Err(error) => {
                    let wait = Span(forwarder.wait());
                    let (name, seconds) = (&output.name, wait.0.as_secs());
                    if outage.is_news(&error) {
                        tracing::warn!("output \"{name}\": {error}; trying again until it works, first in {seconds} s");
                    } else {
                        tracing::debug!("output \"{name}\": {error}; trying again in {seconds} s");
                    }
                    try_at = Instant::now() + wait.0;
                }
            }
        }
        if Instant::now() >= books {
            book(lake, sensor, output, forwarder.counters(), &mut told, &mut since);
            books = Instant::now() + BOOKS;
        }
        super::pause(Duration::from_millis(500), interrupt);
    }
    book(lake, sensor, output, forwarder.counters(), &mut told, &mut since);
    Ok(())
}

/// Writes what changed since the last entry into the ledger.
pub(crate) fn book(
    lake: &Lake,
    sensor: &str,
    output: &OutputConfig,
    now: ForwardCounters,
    told: &mut ForwardCounters,
    since: &mut Micros,
) {
    if *told == now {
        return;
    }
    let end = state::now();
    let head = LedgerHead {
        interval_start: *since,
        interval_end: end,
        sensor: sensor.to_owned(),
        source: format!("output {}", output.name),
        queue: None,
        clock: "system".to_owned(),
    };
    let counters = now.list().into_iter().zip(told.list()).filter_map(|((name, now), (_, then))| {
        let value = if name.ends_with("waiting") { now } else { now.saturating_sub(then) };
        (value > 0).then(|| (name.to_owned(), value))
    });
    let rows = head.rows(counters.collect::<BTreeMap<_, _>>());
    let written = lake.begin(SetKind::Flush, WriterOptions::new(sensor)).and_then(|mut set| {
        set.ledger(&rows)?;
        set.commit()
    });
    match written {
        Ok(_) => (*told, *since) = (now, end),
        Err(error) => tracing::warn!("output \"{}\": the ledger was not written: {error}", output.name),
    }
}

#[cfg(test)]
mod tests {
    use super::Outage;

    #[test]
    fn an_outage_is_said_once_with_each_of_its_reasons() {
        let mut outage = Outage::default();
        assert!(!outage.is_over());
        let errors =
            ["refused (after 3 ms)", "refused (after 12 ms)", "answered 401", "answered 503", "refused (after 4 ms)"];
        assert_eq!(errors.map(|error| outage.is_news(error)), [true, false, true, true, false]);
        let many = (0..26).filter(|n| outage.is_news(&"x".repeat(*n))).count();
        assert_eq!(many, super::REASONS - 3);
        assert!(outage.is_over() && !outage.is_over());
        assert!(outage.is_news("refused (after 5 ms)"));
    }
}
