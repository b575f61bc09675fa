//! A Kafka topic as a target: `kafka://HOST:9092,HOST:9092/TOPIC`, a message a record, its id the key.
//!
//! Hosts of the URL must be allowed; the brokers that these name are then reached, too.

use std::time::Duration;

use capture::kafka::{KafkaOptions, KafkaProducer};

use super::ForwardError;
use super::target::{Target, TargetOptions};

/// Longest wait for the brokers to take a batch.
const WAIT: Duration = Duration::from_secs(15);

impl TargetOptions {
    fn kafka(&self) -> Result<(KafkaOptions, String), String> {
        let (scheme, rest) = self.to.split_once("://").unwrap_or_default();
        let (brokers, topic) = rest.split_once('/').unwrap_or((rest, ""));
        let is_topic = (1..=249).contains(&topic.len())
            && topic.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !is_topic {
            return Err("the path is the topic, as /spotter-alerts".to_owned());
        }
        let sasl = match (&self.sasl, &self.authorization_file) {
            (Some(mechanism), Some(file)) => Some((mechanism.parse()?, file.clone())),
            (None, None) => None,
            _ => {
                return Err(
                    "sasl goes with a file that has the user in its first line, the password in its second".to_owned()
                );
            }
        };
        let options = KafkaOptions {
            brokers: brokers.split(',').map(str::to_owned).collect(),
            tls: scheme == "kafka+tls",
            tls_ca: self.tls_ca.clone(),
            tls_client: self.tls_client.clone(),
            sasl,
        };
        options.check().map_err(|e| e.to_string())?;
        Ok((options, topic.to_owned()))
    }

    pub(super) fn check_kafka(&self) -> Result<(), ForwardError> {
        self.kafka().map(drop).map_err(|reason| ForwardError::Target { to: self.to.clone(), reason })
    }

    pub(super) fn open_kafka(&self) -> Result<Target, ForwardError> {
        let wrong = |reason| ForwardError::Target { to: self.to.clone(), reason };
        let (options, topic) = self.kafka().map_err(wrong)?;
        let opened = KafkaProducer::open(&options, &topic, WAIT);
        opened.map(Target::Kafka).map_err(|e| wrong(e.to_string()))
    }
}
