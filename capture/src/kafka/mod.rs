//! Kafka, by librdkafka: topics as a source of records and as a way out for them.
//!
//! [`KafkaConsumer`] is one member of a group. It commits nothing by itself: whoever reads says where each partition is begun, and
//! commits what is safe. [`KafkaProducer`] sends batches and returns when brokers on all in-sync replicas have them.
//!
//! Promises: at most [`QUEUED_KIB`] of messages wait in memory; a message that this build cannot unpack ends the reading
//! with an error and is not passed over.

mod sys;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sys::{Client, Event, Role, Topic};

/// KiB of messages fetched and not read, of each consumer.
pub const QUEUED_KIB: u32 = 32 << 10;
/// Messages and KiB that a producer holds at once.
const PRODUCED: (&str, &str) = ("100000", "65536");
/// How long brokers are asked for what the group has committed.
const ASKING: Duration = Duration::from_secs(10);

/// How a user is proved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are SASL's")]
pub enum Sasl {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Sasl {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl std::str::FromStr for Sasl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Plain, Self::ScramSha256, Self::ScramSha512];
        let found = known.into_iter().find(|mechanism| mechanism.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("there is no mechanism \"{text}\": use plain, scram-sha-256 or scram-sha-512"))
    }
}

/// How brokers are reached.
#[derive(Clone, Debug, Default)]
pub struct KafkaOptions {
    /// `HOST:PORT` of some brokers; they name the others.
    pub brokers: Vec<String>,
    /// TLS.
    pub tls: bool,
    /// Authorities (PEM) that vouch for the brokers, in place of the system's.
    pub tls_ca: Option<PathBuf>,
    /// Our certificate and its key, PEM, where brokers ask for one.
    pub tls_client: Option<(PathBuf, PathBuf)>,
    /// Mechanism, and a file with the user in its first line and the password in its second.
    pub sasl: Option<(Sasl, PathBuf)>,
}

impl KafkaOptions {
    /// What is wrong with the values, without a look at files or network.
    ///
    /// # Errors
    /// What to do.
    pub fn check(&self) -> Result<(), KafkaError> {
        if self.brokers.is_empty() {
            return Err(KafkaError::setting("name a broker, as kafka.example:9092".to_owned()));
        }
        for broker in &self.brokers {
            let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
            let is_good = port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
            if !is_good || broker.contains(['/', ',', ' ', '@']) {
                return Err(KafkaError::setting(format!("broker \"{broker}\": write it as kafka.example:9092")));
            }
        }
        if !self.tls && (self.tls_ca.is_some() || self.tls_client.is_some()) {
            return Err(KafkaError::setting("certificates are for TLS: turn it on, too".to_owned()));
        }
        Ok(())
    }

    /// As librdkafka's properties.
    fn properties(&self) -> Result<Vec<(String, String)>, KafkaError> {
        self.check()?;
        let mut all = vec![
            ("bootstrap.servers", self.brokers.join(",")),
            ("client.id", "spotter".to_owned()),
            // What librdkafka says comes through our log, escaped; without this it writes to standard error itself.
            ("log.queue", "true".to_owned()),
        ];
        let readable = |path: &Path| match std::fs::File::open(path) {
            Ok(_) => Ok(path.to_string_lossy().into_owned()),
            Err(error) => Err(KafkaError::setting(format!("reading {}: {error}", path.display()))),
        };
        let protocol = match (self.tls, self.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        all.push(("security.protocol", protocol.to_owned()));
        if let Some(path) = &self.tls_ca {
            all.push(("ssl.ca.location", readable(path)?));
        }
        if let Some((cert, key)) = &self.tls_client {
            all.extend([("ssl.certificate.location", readable(cert)?), ("ssl.key.location", readable(key)?)]);
        }
        if let Some((mechanism, path)) = &self.sasl {
            let wrong = |error| KafkaError::setting(format!("reading {}: {error}", path.display()));
            let text = std::fs::read_to_string(path).map_err(wrong)?;
            let mut lines = text.lines().map(str::trim_end);
            let (Some(user), Some(password)) = (lines.next(), lines.next()) else {
                let text = format!("{}: the user in the first line, the password in the second", path.display());
                return Err(KafkaError::setting(text));
            };
            if *mechanism == Sasl::Plain && !self.tls {
                tracing::warn!("SASL PLAIN without TLS: the password can be read on the way");
            }
            all.push(("sasl.mechanism", mechanism.as_str().to_owned()));
            all.extend([("sasl.username", user.to_owned()), ("sasl.password", password.to_owned())]);
        }
        Ok(all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// What went wrong, in librdkafka's words.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("Kafka: {text}")]
pub struct KafkaError {
    text: String,
    /// Messages cannot be unpacked by this build.
    is_unreadable: bool,
    /// A message is refused for good.
    is_refusal: bool,
    /// The client is of no use any more.
    is_fatal: bool,
    /// A broker cannot be reached.
    is_unreachable: bool,
    /// All are down: what each of them had is said before.
    is_summary: bool,
}

impl KafkaError {
    /// Whether it says that a broker cannot be reached, which librdkafka says again with each try.
    pub const fn is_unreachable(&self) -> bool {
        self.is_unreachable
    }

    const fn setting(text: String) -> Self {
        Self {
            text,
            is_unreadable: false,
            is_refusal: false,
            is_fatal: false,
            is_unreachable: false,
            is_summary: false,
        }
    }
}

/// A partition and an offset in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// Name of the topic.
    pub topic: String,
    /// Its number.
    pub number: i32,
    /// Offset of the next message to read; `None` where it is not known.
    pub offset: Option<i64>,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Message {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub payload: Vec<u8>,
}

/// Where a group that has committed nothing begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Begin {
    /// With the oldest message.
    #[default]
    Earliest,
    /// With the next one.
    Latest,
}

/// Which group a consumer is of, and what it reads.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Name of the group.
    pub group: String,
    /// The topics.
    pub topics: Vec<String>,
    /// Where a new group begins.
    pub begin: Begin,
    /// After so long without a sign of a member its partitions are given to others.
    pub session: Duration,
}

/// What a consumer has to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Consumed {
    /// A message.
    Message(Message),
    /// These partitions are ours, with the offset the group has committed: answer with [`KafkaConsumer::read_from`].
    Assigned(Vec<Partition>),
    /// None is ours any more: what was read must be safe and committed before [`KafkaConsumer::give_back`].
    Revoked,
    /// Something failed; librdkafka goes on trying.
    Failed(KafkaError),
}

/// One member of a group of consumers.
#[derive(Debug)]
pub struct KafkaConsumer {
    client: Client,
    told: VecDeque<Event>,
}

impl KafkaConsumer {
    /// Joins the group. Brokers that cannot be reached are tried again for ever, and told of as [`Consumed::Failed`].
    ///
    /// # Errors
    /// The settings.
    pub fn open(options: &KafkaOptions, of: &Membership) -> Result<Self, KafkaError> {
        let Membership { group, topics, begin, session } = of;
        let mut properties = options.properties()?;
        let begin = if *begin == Begin::Earliest { "earliest" } else { "latest" };
        let own = [
            ("group.id", group.as_str()),
            ("auto.offset.reset", begin),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("allow.auto.create.topics", "false"),
            ("partition.assignment.strategy", "range,roundrobin"),
        ];
        properties.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for (name, part) in [("session.timeout.ms", 1), ("heartbeat.interval.ms", 4)] {
            properties.push((name.to_owned(), (session.as_millis() / part).max(1).to_string()));
        }
        properties.push(("queued.max.messages.kbytes".to_owned(), QUEUED_KIB.to_string()));
        let client = Client::new(Role::Consumer, &properties)?;
        client.subscribe(topics)?;
        Ok(Self { client, told: VecDeque::new() })
    }

    /// The next thing there is, after so long at most.
    ///
    /// # Errors
    /// Nothing more can be read: messages that cannot be unpacked, or a client that gave up.
    pub fn next(&mut self, wait: Duration) -> Result<Option<Consumed>, KafkaError> {
        if self.told.is_empty() {
            let Self { client, told } = self;
            client.poll(wait, &mut |event| told.push_back(event));
        }
        Ok(match self.told.pop_front() {
            Some(Event::Message(message)) => Some(Consumed::Message(message)),
            Some(Event::Assigned(partitions)) => {
                Some(Consumed::Assigned(self.client.committed(&partitions, ASKING).unwrap_or(partitions)))
            }
            Some(Event::Revoked) => Some(Consumed::Revoked),
            Some(Event::Failed(error)) if error.is_unreadable || error.is_fatal => return Err(error),
            Some(Event::Failed(error)) => Some(Consumed::Failed(error)),
            Some(Event::Log(text)) => {
                tracing::debug!("librdkafka: {text}");
                None
            }
            Some(Event::Delivered(_)) | None => None,
        })
    }

    /// Begins to read the partitions, each from its offset.
    ///
    /// # Errors
    /// librdkafka's.
    pub fn read_from(&self, partitions: &[Partition]) -> Result<(), KafkaError> {
        self.client.assign(partitions)
    }

    /// Answers [`Consumed::Revoked`]: messages that were fetched and not read are forgotten.
    ///
    /// # Errors
    /// librdkafka's.
    pub fn give_back(&mut self) -> Result<(), KafkaError> {
        self.told.retain(|event| !matches!(event, Event::Message(_)));
        self.client.assign(&[])
    }

    /// Tells the brokers that everything before these offsets is done.
    ///
    /// # Errors
    /// Brokers cannot be reached, or the partitions are another member's.
    pub fn commit(&self, positions: &[Partition]) -> Result<(), KafkaError> {
        self.client.commit(positions)
    }

    /// Leaves the group, so that others need not wait for a time-out.
    pub fn leave(self) {
        self.client.leave();
    }
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Produced {
    /// Taken by the brokers.
    pub sent: u64,
    /// Refused for good: too large for the topic, or invalid.
    pub refused: u64,
}

/// Sends to one topic.
#[derive(Debug)]
pub struct KafkaProducer {
    // Dropped before the client.
    topic: Topic,
    client: Client,
    wait: Duration,
}

impl KafkaProducer {
    /// A producer that gives up a batch after `wait`.
    ///
    /// # Errors
    /// The settings.
    pub fn open(options: &KafkaOptions, topic: &str, wait: Duration) -> Result<Self, KafkaError> {
        let mut properties = options.properties()?;
        let own = [
            ("enable.idempotence", "true"),
            ("compression.codec", "lz4"),
            ("linger.ms", "5"),
            ("queue.buffering.max.messages", PRODUCED.0),
            ("queue.buffering.max.kbytes", PRODUCED.1),
        ];
        properties.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        properties.push(("message.timeout.ms".to_owned(), wait.as_millis().max(1).to_string()));
        let client = Client::new(Role::Producer, &properties)?;
        Ok(Self { topic: client.topic(topic)?, client, wait })
    }

    /// Sends a batch of (key, payload), in order; returns when every message is taken or refused for good.
    ///
    /// # Errors
    /// Some were neither: try all of it again. What was taken of it comes twice then.
    pub fn send<'a>(&mut self, batch: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Result<Produced, KafkaError> {
        let (mut done, mut failed, mut open) = (Produced::default(), None::<KafkaError>, 0_usize);
        for (key, payload) in batch {
            match self.client.produce(&self.topic, key, payload) {
                Ok(()) => open += 1,
                Err(error) if error.is_refusal => done.refused += 1,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // librdkafka tells of each message within its own time-out; the rest is for a process that was stopped meanwhile.
        let end = Instant::now() + self.wait + Duration::from_secs(5);
        let mut reason = None::<KafkaError>;
        while open > 0 {
            if Instant::now() >= end {
                self.client.purge();
            }
            self.client.poll(Duration::from_millis(100), &mut |event| match event {
                Event::Delivered(error) => {
                    open -= 1;
                    match error {
                        None => done.sent += 1,
                        Some(error) if error.is_refusal => done.refused += 1,
                        Some(error) => failed = Some(error),
                    }
                }
                Event::Failed(error) => {
                    // Why brokers are down says more than that they are.
                    if reason.is_none() || !error.is_summary {
                        reason = Some(error);
                    }
                }
                Event::Log(text) => tracing::debug!("librdkafka: {text}"),
                Event::Message(_) | Event::Assigned(_) | Event::Revoked => {}
            });
        }
        match failed {
            // "Message timed out" says less than what the connections said meanwhile.
            Some(error) => Err(reason.unwrap_or(error)),
            None => Ok(done),
        }
    }
}

/// librdkafka's mock cluster: brokers in this process, on loopback, that can be taken down. For tests.
#[derive(Debug)]
pub struct MockCluster(sys::Mock);

impl MockCluster {
    /// So many brokers.
    ///
    /// # Errors
    /// librdkafka's.
    pub fn new(brokers: u8) -> Result<Self, KafkaError> {
        sys::Mock::new(brokers).map(Self)
    }

    /// How it is reached.
    pub fn options(&self) -> KafkaOptions {
        let brokers = self.0.brokers().split(',').map(str::to_owned).collect();
        KafkaOptions { brokers, ..KafkaOptions::default() }
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// librdkafka's.
    pub fn create(&self, topic: &str, partitions: i32) -> Result<(), KafkaError> {
        self.0.create(topic, partitions)
    }

    /// Takes a broker (from 1) down, or up again.
    ///
    /// # Errors
    /// There is no such broker.
    pub fn set_up(&self, broker: i32, is_up: bool) -> Result<(), KafkaError> {
        self.0.set_up(broker, is_up)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
