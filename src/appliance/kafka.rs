//! One `[[kafka]]` of the appliance, and what it and `spotter collect --kafka` read.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::kafka::{ConsumeOptions, consume};
use aggregator::lake::Lake;
use capture::kafka::{Begin, KafkaOptions, Sasl};
use serde::{Deserialize, Serialize};

use super::config::{Config, Span, is_name};

/// How long topics that cannot be read, or a lake that cannot be written, are left before the next try.
const RETRY: Duration = Duration::from_secs(10);

/// One `[[kafka]]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KafkaConfig {
    /// Name of the input, unique; it stands in the ledger, and positions are kept under it.
    pub(crate) name: String,
    /// Some brokers, as `kafka.example:9092`.
    pub(crate) brokers: Vec<String>,
    /// What is read: JSON of pmacct, Zeek, or our own records.
    pub(crate) topics: Vec<String>,
    /// The group of consumers.
    pub(crate) group: String,
    /// `earliest` or `latest`: where a new group begins.
    pub(crate) begin: String,
    /// After so long without a sign of a consumer others get its partitions.
    pub(crate) session_timeout: Span,
    /// TLS.
    pub(crate) tls: bool,
    /// Authorities (PEM) that vouch for the brokers, in place of the system's.
    pub(crate) tls_ca: Option<PathBuf>,
    /// Our certificate, PEM.
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub(crate) tls_key: Option<PathBuf>,
    /// `plain`, `scram-sha-256` or `scram-sha-512`; needs `sasl_file`.
    pub(crate) sasl: Option<String>,
    /// File with the user in its first line, the password in its second.
    pub(crate) sasl_file: Option<PathBuf>,
    /// Sensor name of rows that have none; `lake.sensor` if absent.
    pub(crate) sensor: Option<String>,
    /// How often what was read becomes visible, and is committed.
    pub(crate) flush: Span,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            brokers: Vec::new(),
            topics: Vec::new(),
            group: "spotter".to_owned(),
            begin: "earliest".to_owned(),
            session_timeout: Span(Duration::from_secs(10)),
            tls: false,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            sasl: None,
            sasl_file: None,
            sensor: None,
            flush: Span(Duration::from_secs(10)),
        }
    }
}

impl KafkaConfig {
    /// With every key, for the list of known ones.
    pub(super) fn full() -> Self {
        let path = Some(PathBuf::new());
        Self {
            tls_ca: path.clone(),
            tls_cert: path.clone(),
            tls_key: path.clone(),
            sasl: Some(String::new()),
            sasl_file: path,
            sensor: Some(String::new()),
            ..Self::default()
        }
    }

    fn client(&self) -> Result<KafkaOptions, String> {
        let sasl = match (&self.sasl, &self.sasl_file) {
            (Some(mechanism), Some(file)) => {
                Some((mechanism.parse::<Sasl>().map_err(|e| format!("sasl: {e}"))?, file.clone()))
            }
            (None, None) => None,
            _ => return Err("sasl and sasl_file go together".to_owned()),
        };
        let options = KafkaOptions {
            brokers: self.brokers.clone(),
            tls: self.tls,
            tls_ca: self.tls_ca.clone(),
            tls_client: self.tls_cert.clone().zip(self.tls_key.clone()),
            sasl,
        };
        options.check().map_err(|e| format!("brokers: {e}"))?;
        Ok(options)
    }

    fn begin(&self) -> Result<Begin, String> {
        match self.begin.as_str() {
            "earliest" => Ok(Begin::Earliest),
            "latest" => Ok(Begin::Latest),
            other => Err(format!("begin = \"{other}\": use earliest or latest")),
        }
    }

    /// What is wrong with the values, each with what to do.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |problem: Result<(), String>| found.extend(problem.err());
        let that = |good: bool, problem: &str| if good { Ok(()) } else { Err(problem.to_owned()) };
        let is_word = |text: &str, most| {
            (1..=most).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        check(that(is_name(&self.name), "name: use 1 to 64 letters, digits, '.', '_' or '-'"));
        check(self.client().map(drop));
        check(that(self.tls_cert.is_some() == self.tls_key.is_some(), "tls_cert and tls_key go together"));
        check(that(!self.topics.is_empty(), "topics is missing: name the topics, as [\"pmacct\"]"));
        check(that(
            self.topics.iter().all(|topic| is_word(topic, 249)),
            "topics: use letters, digits, '.', '_' or '-'",
        ));
        check(that(is_word(&self.group, 249), "group: use letters, digits, '.', '_' or '-'"));
        check(self.begin().map(drop));
        let session = self.session_timeout.0;
        check(that(
            (Duration::from_secs(6)..=Duration::from_secs(1_800)).contains(&session),
            "session_timeout: from 6s to 30min",
        ));
        check(that(self.sensor.as_deref().is_none_or(is_name), "sensor: use 1 to 64 letters, digits, '.', '_' or '-'"));
        let flush = self.flush.0;
        check(that(
            (Duration::from_millis(100)..=Duration::from_secs(120)).contains(&flush),
            "flush: from 100ms to 2min",
        ));
        found
    }

    /// As it is consumed.
    pub(crate) fn options(&self, sensor: &str) -> anyhow::Result<ConsumeOptions> {
        let client = self.client().map_err(anyhow::Error::msg)?;
        let sensor = self.sensor.as_deref().unwrap_or(sensor);
        let mut options = ConsumeOptions::new(sensor, client, self.topics.clone());
        options.name.clone_from(&self.name);
        options.member.group.clone_from(&self.group);
        options.member.begin = self.begin().map_err(anyhow::Error::msg)?;
        options.member.session = self.session_timeout.0;
        options.flush = self.flush.0;
        Ok(options)
    }
}

/// Consumes until the interrupt. What cannot be read or written is tried again.
pub(super) fn go_on(lake: &Lake, config: &Config, kafka: &KafkaConfig, interrupt: &AtomicBool) {
    while !interrupt.load(Ordering::Relaxed) {
        let consumed = kafka.options(&config.lake.sensor).and_then(|options| Ok(consume(lake, &options, interrupt)?));
        match consumed {
            Ok(report) => {
                let counter = |name: &str| report.ledger.get(name).copied().unwrap_or(0);
                tracing::info!(
                    "kafka \"{}\": {} messages, {} rows stored, {} quarantined",
                    kafka.name,
                    counter("kafka.messages"),
                    counter("rows.stored"),
                    counter("rows.quarantined"),
                );
            }
            Err(error) => {
                tracing::error!("kafka \"{}\": {error:#}; trying again in {} s", kafka.name, RETRY.as_secs());
                super::pause(RETRY, interrupt);
            }
        }
    }
}
