//! The few calls of librdkafka that are used, made safe. Its event interface is used throughout: whatever it has to say comes
//! from [`Client::poll`], and no callback of ours runs on its threads.
#![allow(unsafe_code, reason = "librdkafka is a C library; each block says why it is sound")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka_sys as rd;

use super::{KafkaError, Message, Partition};

/// Room for librdkafka's words about an error.
const ERROR_TEXT: usize = 512;

/// What a client is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Consumer,
    Producer,
}

/// What [`Client::poll`] tells.
#[derive(Debug)]
pub(super) enum Event {
    Message(Message),
    /// These partitions are to be read from now on; [`Client::assign`] answers.
    Assigned(Vec<Partition>),
    /// These are another's now; [`Client::assign`] of nothing answers.
    Revoked,
    /// What became of a message produced.
    Delivered(Option<KafkaError>),
    Failed(KafkaError),
    Log(String),
}

/// A handle of librdkafka and the queue of its events.
#[derive(Debug)]
pub(super) struct Client {
    rk: NonNull<rd::rd_kafka_t>,
    queue: NonNull<rd::rd_kafka_queue_t>,
    role: Role,
}

// SAFETY: librdkafka's handles and queues may be used from any thread ("fully thread-safe", rdkafka.h, "Thread safety").
unsafe impl Send for Client {}

/// A list of partitions, as librdkafka has it.
struct List(NonNull<rd::rd_kafka_topic_partition_list_t>);

impl List {
    fn new() -> Result<Self, KafkaError> {
        // SAFETY: takes a hint of the size and gives a list that is ours until it is destroyed.
        NonNull::new(unsafe { rd::rd_kafka_topic_partition_list_new(8) }).map(Self).ok_or_else(out_of_memory)
    }

    fn of(partitions: &[Partition]) -> Result<Self, KafkaError> {
        let list = Self::new()?;
        for partition in partitions {
            list.add(&partition.topic, partition.number, partition.offset)?;
        }
        Ok(list)
    }

    fn add(&self, topic: &str, number: i32, offset: Option<i64>) -> Result<(), KafkaError> {
        let topic = text_to_c(topic)?;
        // SAFETY: the list lives, the name is copied; what comes back points into the list and is written before it can grow again.
        unsafe {
            let entry = rd::rd_kafka_topic_partition_list_add(self.0.as_ptr(), topic.as_ptr(), number);
            if let Some(entry) = entry.as_mut() {
                entry.offset = offset.unwrap_or(i64::from(rd::RD_KAFKA_OFFSET_INVALID));
            }
        }
        Ok(())
    }

    fn partitions(&self) -> Vec<Partition> {
        // SAFETY: the list lives while `self` is borrowed.
        unsafe { partitions(self.0.as_ptr()) }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it is ours, and destroyed once.
        unsafe { rd::rd_kafka_topic_partition_list_destroy(self.0.as_ptr()) }
    }
}

/// Copies a list.
///
/// # Safety
/// `list` is null or points to a list that lives during the call.
unsafe fn partitions(list: *const rd::rd_kafka_topic_partition_list_t) -> Vec<Partition> {
    // SAFETY: by the contract; `elems` has `cnt` entries whose topics are C strings (rdkafka.h).
    unsafe {
        let Some(list) = list.as_ref() else { return Vec::new() };
        if list.elems.is_null() {
            return Vec::new();
        }
        let count = usize::try_from(list.cnt).unwrap_or(0);
        let entry = |entry: &rd::rd_kafka_topic_partition_t| Partition {
            topic: text(entry.topic),
            number: entry.partition,
            offset: Some(entry.offset).filter(|offset| *offset >= 0),
        };
        std::slice::from_raw_parts(list.elems, count).iter().map(entry).collect()
    }
}

/// # Safety
/// `pointer` is null or points to a C string that lives during the call.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by the contract.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

fn text_to_c(text: &str) -> Result<CString, KafkaError> {
    CString::new(text).map_err(|_| KafkaError::setting(format!("{text:?}: no NUL bytes")))
}

fn out_of_memory() -> KafkaError {
    KafkaError::setting("librdkafka has no memory".to_owned())
}

/// An error of librdkafka, with its own words where it has more than the code's.
fn error(code: rd::rd_kafka_resp_err_t, more: String) -> KafkaError {
    use rd::rd_kafka_resp_err_t as Code;
    // SAFETY: gives a static string for every code.
    let name = unsafe { text(rd::rd_kafka_err2str(code)) };
    KafkaError {
        text: if more.is_empty() || more == name { name } else { format!("{name}: {more}") },
        // What of a topic cannot be unpacked by this build must not be passed over in silence.
        is_unreadable: matches!(
            code,
            Code::RD_KAFKA_RESP_ERR__BAD_COMPRESSION | Code::RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED
        ),
        is_refusal: matches!(
            code,
            Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
                | Code::RD_KAFKA_RESP_ERR_INVALID_MSG
                | Code::RD_KAFKA_RESP_ERR_INVALID_RECORD
        ),
        is_fatal: code == Code::RD_KAFKA_RESP_ERR__FATAL,
        is_unreachable: matches!(
            code,
            Code::RD_KAFKA_RESP_ERR__TRANSPORT
                | Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
                | Code::RD_KAFKA_RESP_ERR__RESOLVE
                | Code::RD_KAFKA_RESP_ERR__TIMED_OUT
        ),
        is_summary: code == Code::RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
    }
}

fn checked(code: rd::rd_kafka_resp_err_t) -> Result<(), KafkaError> {
    match code {
        rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => Err(error(code, String::new())),
    }
}

fn millis(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

impl Client {
    /// A client with these properties (librdkafka's CONFIGURATION.md).
    pub(super) fn new(role: Role, properties: &[(String, String)]) -> Result<Self, KafkaError> {
        let mut words = [0 as c_char; ERROR_TEXT];
        // SAFETY: `conf` is ours until `rd_kafka_new` takes it, which it does only where it succeeds; `words` has the length that is said.
        unsafe {
            let conf = NonNull::new(rd::rd_kafka_conf_new()).ok_or_else(out_of_memory)?;
            let set = || {
                for (name, value) in properties {
                    let (c_name, c_value) = (text_to_c(name)?, text_to_c(value)?);
                    let mut words = [0 as c_char; ERROR_TEXT];
                    let room = (words.as_mut_ptr(), words.len());
                    let set = rd::rd_kafka_conf_set(conf.as_ptr(), c_name.as_ptr(), c_value.as_ptr(), room.0, room.1);
                    if set != rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                        return Err(KafkaError::setting(text(words.as_ptr())));
                    }
                }
                Ok(())
            };
            if let Err(wrong) = set() {
                rd::rd_kafka_conf_destroy(conf.as_ptr());
                return Err(wrong);
            }
            let events = rd::RD_KAFKA_EVENT_ERROR
                | match role {
                    Role::Consumer => rd::RD_KAFKA_EVENT_FETCH | rd::RD_KAFKA_EVENT_REBALANCE,
                    Role::Producer => rd::RD_KAFKA_EVENT_DR,
                };
            rd::rd_kafka_conf_set_events(conf.as_ptr(), events | rd::RD_KAFKA_EVENT_LOG);
            let kind = match role {
                Role::Consumer => rd::rd_kafka_type_t::RD_KAFKA_CONSUMER,
                Role::Producer => rd::rd_kafka_type_t::RD_KAFKA_PRODUCER,
            };
            let Some(rk) = NonNull::new(rd::rd_kafka_new(kind, conf.as_ptr(), words.as_mut_ptr(), words.len())) else {
                rd::rd_kafka_conf_destroy(conf.as_ptr());
                return Err(KafkaError::setting(text(words.as_ptr())));
            };
            let queue = match role {
                Role::Consumer => {
                    rd::rd_kafka_poll_set_consumer(rk.as_ptr());
                    rd::rd_kafka_queue_get_consumer(rk.as_ptr())
                }
                Role::Producer => rd::rd_kafka_queue_get_main(rk.as_ptr()),
            };
            let Some(queue) = NonNull::new(queue) else {
                rd::rd_kafka_destroy(rk.as_ptr());
                return Err(out_of_memory());
            };
            rd::rd_kafka_set_log_queue(rk.as_ptr(), queue.as_ptr());
            Ok(Self { rk, queue, role })
        }
    }

    /// Hands over what there is; waits so long for the first.
    pub(super) fn poll(&self, wait: Duration, to: &mut dyn FnMut(Event)) {
        // SAFETY: the queue lives as long as `self`; the event is ours until it is destroyed below, and what is read of it is copied.
        unsafe {
            let event = rd::rd_kafka_queue_poll(self.queue.as_ptr(), millis(wait));
            if event.is_null() {
                return;
            }
            match rd::rd_kafka_event_type(event) {
                rd::RD_KAFKA_EVENT_FETCH | rd::RD_KAFKA_EVENT_DR => {
                    while let Some(message) = rd::rd_kafka_event_message_next(event).as_ref() {
                        to(self.message(message));
                    }
                }
                rd::RD_KAFKA_EVENT_REBALANCE => {
                    let assigned = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
                    to(if rd::rd_kafka_event_error(event) == assigned {
                        Event::Assigned(partitions(rd::rd_kafka_event_topic_partition_list(event)))
                    } else {
                        Event::Revoked
                    });
                }
                rd::RD_KAFKA_EVENT_ERROR => {
                    let words = text(rd::rd_kafka_event_error_string(event));
                    let mut failed = error(rd::rd_kafka_event_error(event), words);
                    failed.is_fatal |= rd::rd_kafka_event_error_is_fatal(event) != 0;
                    to(Event::Failed(failed));
                }
                rd::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut words, mut level) = (ptr::null(), ptr::null(), 0);
                    if rd::rd_kafka_event_log(event, &raw mut facility, &raw mut words, &raw mut level) == 0 {
                        to(Event::Log(text(words)));
                    }
                }
                _ => {}
            }
            rd::rd_kafka_event_destroy(event);
        }
    }

    /// # Safety
    /// The message is of an event that lives.
    unsafe fn message(&self, message: &rd::rd_kafka_message_t) -> Event {
        let failed = message.err != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        // SAFETY: by the contract; payload and topic live as long as the event.
        unsafe {
            if self.role == Role::Producer {
                return Event::Delivered(failed.then(|| error(message.err, String::new())));
            }
            if failed {
                return Event::Failed(error(message.err, text(rd::rd_kafka_message_errstr(message))));
            }
            let payload = match message.payload.is_null() {
                true => Vec::new(),
                false => std::slice::from_raw_parts(message.payload.cast::<u8>(), message.len).to_vec(),
            };
            let topic = if message.rkt.is_null() { String::new() } else { text(rd::rd_kafka_topic_name(message.rkt)) };
            Event::Message(Message { topic, partition: message.partition, offset: message.offset, payload })
        }
    }

    /// Joins the group for these topics.
    pub(super) fn subscribe(&self, topics: &[String]) -> Result<(), KafkaError> {
        let list = List::new()?;
        topics.iter().try_for_each(|topic| list.add(topic, -1, None))?;
        // SAFETY: both live; the list is copied.
        checked(unsafe { rd::rd_kafka_subscribe(self.rk.as_ptr(), list.0.as_ptr()) })
    }

    /// Reads these partitions, each from its offset, or from where its group stands; none: no more.
    pub(super) fn assign(&self, partitions: &[Partition]) -> Result<(), KafkaError> {
        let list = List::of(partitions)?;
        let list = if partitions.is_empty() { ptr::null() } else { list.0.as_ptr().cast_const() };
        // SAFETY: both live (null means nothing); the list is copied.
        checked(unsafe { rd::rd_kafka_assign(self.rk.as_ptr(), list) })
    }

    /// Where the group stands with these partitions.
    pub(super) fn committed(&self, of: &[Partition], wait: Duration) -> Result<Vec<Partition>, KafkaError> {
        let list = List::of(of)?;
        // SAFETY: both live; the list's offsets are filled in.
        checked(unsafe { rd::rd_kafka_committed(self.rk.as_ptr(), list.0.as_ptr(), millis(wait)) })?;
        Ok(list.partitions())
    }

    /// Tells the group that everything before these offsets is done; returns when the broker has it.
    pub(super) fn commit(&self, positions: &[Partition]) -> Result<(), KafkaError> {
        let list = List::of(positions)?;
        // SAFETY: both live; 0 waits for the broker.
        checked(unsafe { rd::rd_kafka_commit(self.rk.as_ptr(), list.0.as_ptr(), 0) })
    }

    /// Leaves the group.
    pub(super) fn leave(&self) {
        // SAFETY: a consumer; nobody polls while it closes, since `poll` takes no other thread's call of this module.
        let left = checked(unsafe { rd::rd_kafka_consumer_close(self.rk.as_ptr()) });
        if let Err(error) = left {
            tracing::debug!(%error, "leaving the group");
        }
    }

    /// Where messages are produced to.
    pub(super) fn topic(&self, name: &str) -> Result<Topic, KafkaError> {
        let name = text_to_c(name)?;
        // SAFETY: the client lives, the name is copied, null is the default configuration.
        let topic = unsafe { rd::rd_kafka_topic_new(self.rk.as_ptr(), name.as_ptr(), ptr::null_mut()) };
        NonNull::new(topic).map(Topic).ok_or_else(|| self.last_error())
    }

    /// Queues a message; its [`Event::Delivered`] comes later.
    pub(super) fn produce(&self, topic: &Topic, key: &[u8], payload: &[u8]) -> Result<(), KafkaError> {
        let (partition, copy) = (-1, rd::RD_KAFKA_MSG_F_COPY as c_int);
        // SAFETY: key and payload are copied (F_COPY) before it returns; no pointer of ours is kept.
        let failed = unsafe {
            rd::rd_kafka_produce(
                topic.0.as_ptr(),
                partition,
                copy,
                payload.as_ptr().cast_mut().cast::<c_void>(),
                payload.len(),
                key.as_ptr().cast::<c_void>(),
                key.len(),
                ptr::null_mut(),
            )
        };
        if failed == 0 { Ok(()) } else { Err(self.last_error()) }
    }

    /// Drops what was not delivered; each message is told of as failed.
    pub(super) fn purge(&self) {
        let flags = rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_INFLIGHT;
        // SAFETY: the client lives.
        unsafe { rd::rd_kafka_purge(self.rk.as_ptr(), flags as c_int) };
    }

    fn last_error(&self) -> KafkaError {
        // SAFETY: the code of this thread's last failed call.
        error(unsafe { rd::rd_kafka_last_error() }, String::new())
    }

    pub(super) fn mock(&self, brokers: c_int) -> Result<NonNull<rd::rd_kafka_mock_cluster_t>, KafkaError> {
        // SAFETY: the client lives; `MockCluster` keeps it as long as the cluster.
        NonNull::new(unsafe { rd::rd_kafka_mock_cluster_new(self.rk.as_ptr(), brokers) }).ok_or_else(out_of_memory)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: both are ours and destroyed once, the queue first (rdkafka.h, rd_kafka_queue_get_main); topics are gone, since they
        // are fields dropped before the client.
        unsafe {
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
            rd::rd_kafka_destroy(self.rk.as_ptr());
        }
    }
}

/// A topic of a producer. To be dropped before its client.
#[derive(Debug)]
pub(super) struct Topic(NonNull<rd::rd_kafka_topic_t>);

// SAFETY: as for the client.
unsafe impl Send for Topic {}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: it is ours, and destroyed once.
        unsafe { rd::rd_kafka_topic_destroy(self.0.as_ptr()) }
    }
}

/// librdkafka's own brokers, in this process, on loopback.
#[derive(Debug)]
pub(super) struct Mock {
    cluster: NonNull<rd::rd_kafka_mock_cluster_t>,
    /// It lives on this client's threads.
    _client: Client,
}

// SAFETY: as for the client: the mock cluster has a lock of its own (rdkafka_mock.c).
unsafe impl Send for Mock {}

impl Mock {
    pub(super) fn new(brokers: u8) -> Result<Self, KafkaError> {
        let client = Client::new(Role::Producer, &[])?;
        let cluster = client.mock(brokers.into())?;
        // A new group waits three seconds for more members.
        // SAFETY: the cluster lives.
        unsafe { rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster.as_ptr(), 100) };
        Ok(Self { cluster, _client: client })
    }

    pub(super) fn brokers(&self) -> String {
        // SAFETY: the cluster lives, and so does its string.
        unsafe { text(rd::rd_kafka_mock_cluster_bootstraps(self.cluster.as_ptr())) }
    }

    pub(super) fn create(&self, topic: &str, partitions: i32) -> Result<(), KafkaError> {
        let topic = text_to_c(topic)?;
        // SAFETY: the cluster lives, the name is copied.
        checked(unsafe { rd::rd_kafka_mock_topic_create(self.cluster.as_ptr(), topic.as_ptr(), partitions, 1) })
    }

    pub(super) fn set_up(&self, broker: i32, is_up: bool) -> Result<(), KafkaError> {
        // SAFETY: the cluster lives.
        checked(unsafe {
            match is_up {
                true => rd::rd_kafka_mock_broker_set_up(self.cluster.as_ptr(), broker),
                false => rd::rd_kafka_mock_broker_set_down(self.cluster.as_ptr(), broker),
            }
        })
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        // SAFETY: it is ours and destroyed once, before the client it lives on.
        unsafe { rd::rd_kafka_mock_cluster_destroy(self.cluster.as_ptr()) }
    }
}
