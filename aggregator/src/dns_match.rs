//! DNS transactions: a query and its answer become one record for each question.
//!
//! - A question waits under (client, server, ports, transport, id); the answer must have its name, type and
//!   class. An answer that came too late, or twice, or whose query was not captured, is a record of its own
//!   (`query_len` null); so is a query without answer (`rcode` null), when its time is up.
//! - A query repeated while it waits (a retransmission) has no row of its own and is counted; the row keeps the
//!   times and the length of the first copy, so `rtt_us` is what the client waited, and waits on from the last.
//! - Several questions: one row each; the sections of the message are on the row of question 0.
//! - A response without question (RFC 6762 announcements, some errors) answers what waits under its id; if
//!   nothing does, its first answer's owner name and type stand for the question. Damage `no_question` says so.
//! - Multicast: the client of a query is its sender and the server the group. The server of a response is its
//!   sender; sent to the group, the group is the client. A unicast response (LLMNR, mDNS "QU") is matched with
//!   the query to the group, and the server is the one who answered.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use capture::{AddressPair, DnsMessage, DnsQuestion, DnsTransport, Ip, IpVersion, Nanos, ResourceRecord};

use crate::aggregate::Carried;
use crate::config::AggregatorConfig;
use crate::flow::nanos;
use crate::key::{KeyHasher, Prehashed};
use crate::record::{DnsRecord, Micros, Origin};
use crate::record_id::RecordIds;
use crate::stats::Stats;

const NO_QUESTION: &str = "no_question";
/// Questions that wait under one key: as many as are kept of one message. Each is compared with the next that comes, so
/// without a bound who asks under one key for ever new names would make every packet dearer.
const MAX_UNDER_ONE_KEY: usize = 256;
/// mDNS: unicast response wanted, in the class of a question (RFC 6762 5.4).
const UNICAST_RESPONSE: u16 = 0x8000;

/// With its keyed hash: a transaction looks it up four times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    hash: u64,
    client_to_server: AddressPair,
    transport: DnsTransport,
    id: u16,
}

impl Key {
    fn new(hasher: &KeyHasher, client_to_server: AddressPair, transport: DnsTransport, id: u16) -> Self {
        let hash = hasher.pair(&client_to_server, u32::from(id) << 8 | transport as u32);
        Self { hash, client_to_server, transport, id }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// One question that waits.
#[derive(Debug)]
struct Waiting {
    /// Tells this question from others that waited under the same key.
    number: u64,
    deadline: i64,
    first_ts: Nanos,
    ts: Nanos,
    question: DnsQuestion,
    index: u8,
    flags: u16,
    message_len: u16,
    edns_udp_size: Option<u16>,
    additional_count: u16,
    damage: Option<&'static str>,
    answers: Vec<ResourceRecord>,
    authorities: Vec<ResourceRecord>,
}

/// Where rows and counters go.
pub(crate) struct Out<'a> {
    pub(crate) records: &'a mut Vec<DnsRecord>,
    pub(crate) stats: &'a mut Stats,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct DnsMatcher {
    hasher: KeyHasher,
    waiting: HashMap<Key, Vec<Waiting>, BuildHasherDefault<Prehashed>>,
    /// (deadline, key, number) in the order of deadlines, one queue for each timeout. An entry whose question
    /// has gone, or has a later deadline by now, is passed over.
    udp: VecDeque<(i64, Key, u64)>,
    tcp: VecDeque<(i64, Key, u64)>,
    udp_timeout: i64,
    tcp_timeout: i64,
    count: usize,
    bytes: usize,
    max_count: usize,
    max_bytes: usize,
    next_number: u64,
    origin: Origin,
    ids: RecordIds,
}

impl DnsMatcher {
    pub(crate) fn new(config: &AggregatorConfig, hasher: KeyHasher, ids: RecordIds) -> Self {
        Self {
            hasher,
            waiting: HashMap::default(),
            udp: VecDeque::new(),
            tcp: VecDeque::new(),
            udp_timeout: nanos(config.timeouts.dns_udp),
            tcp_timeout: nanos(config.timeouts.dns_tcp),
            count: 0,
            bytes: 0,
            max_count: config.limits.max_dns.max(1),
            max_bytes: config.limits.max_dns_bytes,
            next_number: 0,
            origin: config.origin,
            ids,
        }
    }

    /// A message, at `clock`. `message` has the times and the addresses.
    pub(crate) fn handle(&mut self, clock: i64, message: &Carried, dns: DnsMessage, out: &mut Out<'_>) {
        self.advance(clock, out);
        if dns.is_response() { self.response(message, dns, out) } else { self.query(clock, message, dns, out) }
    }

    /// Gives up the questions whose time is up at `now`.
    pub(crate) fn advance(&mut self, now: i64, out: &mut Out<'_>) {
        for transport in [DnsTransport::Udp, DnsTransport::Tcp] {
            while self.queue(transport).front().is_some_and(|&(deadline, ..)| deadline <= now) {
                self.give_up_first(transport, true, out);
            }
        }
    }

    /// Gives up all questions, in the order of their deadlines.
    pub(crate) fn finish(&mut self, out: &mut Out<'_>) {
        while let Some(transport) = self.next_queue() {
            self.give_up_first(transport, false, out);
        }
    }

    fn queue(&mut self, transport: DnsTransport) -> &mut VecDeque<(i64, Key, u64)> {
        if transport == DnsTransport::Tcp { &mut self.tcp } else { &mut self.udp }
    }

    /// The queue with the earlier deadline in front.
    fn next_queue(&self) -> Option<DnsTransport> {
        match (self.udp.front(), self.tcp.front()) {
            (None, None) => None,
            (Some(udp), Some(tcp)) if tcp.0 < udp.0 => Some(DnsTransport::Tcp),
            (None, Some(_)) => Some(DnsTransport::Tcp),
            _ => Some(DnsTransport::Udp),
        }
    }

    /// Takes the first entry of a queue; writes its question unanswered if it still waits. With `due_only`, a
    /// question whose deadline was put off stays: a later entry is its own.
    fn give_up_first(&mut self, transport: DnsTransport, due_only: bool, out: &mut Out<'_>) -> bool {
        let Some((deadline, key, number)) = self.queue(transport).pop_front() else { return false };
        let gone = self.take(&key, |waiting| waiting.number == number && (!due_only || waiting.deadline <= deadline));
        let Some(waiting) = gone else { return false };
        self.unanswered(&key, waiting, out);
        true
    }

    fn unanswered(&mut self, key: &Key, waiting: Waiting, out: &mut Out<'_>) {
        out.stats.dns_unanswered += 1;
        let record = self.record(key, Some(waiting), None);
        self.write(record, out);
    }

    /// Takes out the first question under a key that fits.
    fn take(&mut self, key: &Key, fits: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        let questions = self.waiting.get_mut(key)?;
        let at = questions.iter().position(fits)?;
        let waiting = questions.remove(at);
        if questions.is_empty() {
            self.waiting.remove(key);
        }
        self.count -= 1;
        self.bytes -= waiting.cost();
        Some(waiting)
    }

    fn query(&mut self, clock: i64, message: &Carried, dns: DnsMessage, out: &mut Out<'_>) {
        let key = Key::new(&self.hasher, message.pair, dns.transport, dns.id);
        let timeout = if dns.transport == DnsTransport::Tcp { self.tcp_timeout } else { self.udp_timeout };
        let deadline = clock.saturating_add(timeout);
        let DnsMessage { questions, mut answers, mut authorities, flags, message_len, .. } = dns;
        let damage = if questions.is_empty() { dns.damage.or(Some(NO_QUESTION)) } else { dns.damage };
        let questions = if questions.is_empty() { vec![stand_in(&answers)] } else { questions };
        for (index, question) in (0..=u8::MAX).zip(questions) {
            out.stats.dns_query_questions += 1;
            if self.repeats(&key, &question, message, deadline) {
                out.stats.dns_repeats += 1;
                continue;
            }
            if self.waiting.get(&key).is_some_and(|questions| questions.len() >= MAX_UNDER_ONE_KEY)
                && let Some(oldest) = self.take(&key, |_| true)
            {
                out.stats.dns_evicted += 1;
                self.unanswered(&key, oldest, out);
            }
            let waiting = Waiting {
                number: self.next_number,
                deadline,
                first_ts: message.first_ts,
                ts: message.ts,
                question,
                index,
                flags,
                message_len,
                edns_udp_size: dns.edns_udp_size,
                additional_count: dns.additional_count,
                damage,
                answers: std::mem::take(&mut answers),
                authorities: std::mem::take(&mut authorities),
            };
            self.next_number += 1;
            self.count += 1;
            self.bytes += waiting.cost();
            let number = waiting.number;
            // Nearly always there is one: the least that a vector takes by itself is four.
            self.waiting.entry(key).or_insert_with(|| Vec::with_capacity(1)).push(waiting);
            self.enqueue(deadline, key, number);
        }
        while self.count > self.max_count || self.bytes > self.max_bytes {
            let Some(transport) = self.next_queue() else { break };
            if self.give_up_first(transport, false, out) {
                out.stats.dns_evicted += 1;
            }
        }
    }

    /// Whether this question repeats one that waits; then that one waits on.
    fn repeats(&mut self, key: &Key, question: &DnsQuestion, message: &Carried, deadline: i64) -> bool {
        let Some(questions) = self.waiting.get_mut(key) else { return false };
        let Some(waiting) = questions.iter_mut().find(|waiting| asks_same(&waiting.question, question, key.transport))
        else {
            return false;
        };
        waiting.ts = waiting.ts.max(message.ts);
        if deadline > waiting.deadline {
            waiting.deadline = deadline;
            let number = waiting.number;
            self.enqueue(deadline, *key, number);
        }
        true
    }

    /// Notes when to look at a question again. The queue is bounded: entries of questions that have gone are
    /// taken out when they outnumber those that can wait.
    fn enqueue(&mut self, deadline: i64, key: Key, number: u64) {
        let queue = if key.transport == DnsTransport::Tcp { &mut self.tcp } else { &mut self.udp };
        queue.push_back((deadline, key, number));
        if queue.len() > self.max_count.saturating_mul(2).saturating_add(64) {
            queue.retain(|(deadline, key, number)| {
                let mut questions = self.waiting.get(key).into_iter().flatten();
                questions.any(|waiting| waiting.number == *number && waiting.deadline <= *deadline)
            });
        }
    }

    fn response(&mut self, message: &Carried, mut dns: DnsMessage, out: &mut Out<'_>) {
        let key = Key::new(&self.hasher, message.pair.reversed(), dns.transport, dns.id);
        let mut questions = std::mem::take(&mut dns.questions);
        let no_question = questions.is_empty();
        if no_question {
            questions.push(stand_in(&dns.answers));
            dns.damage = dns.damage.or(Some(NO_QUESTION));
        }
        for (index, question) in (0..=u8::MAX).zip(questions) {
            out.stats.dns_response_questions += 1;
            let query =
                self.asked(&key, |waiting| no_question || asks_same(&waiting.question, &question, key.transport));
            if query.is_some() {
                out.stats.dns_answered += 1;
            } else {
                out.stats.dns_unasked += 1;
            }
            // The first question has the sections.
            let answers = std::mem::take(&mut dns.answers);
            let authorities = std::mem::take(&mut dns.authorities);
            let answer = Answer { message, dns: &dns, question, index, answers, authorities };
            let record = self.record(&key, query, Some(answer));
            self.write(record, out);
        }
    }

    /// The query that a response answers: sent to its sender, or to the group its sender listens to.
    fn asked(&mut self, key: &Key, fits: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
        self.take(key, &fits).or_else(|| {
            let group = multicast_group(key)?;
            let client_to_server = AddressPair { dst: group, ..key.client_to_server };
            self.take(&Key::new(&self.hasher, client_to_server, key.transport, key.id), fits)
        })
    }

    fn record(&self, key: &Key, query: Option<Waiting>, answer: Option<Answer<'_>>) -> DnsRecord {
        let pair = &key.client_to_server;
        let mut record = DnsRecord {
            record_id: crate::record::RecordId::default(),
            first_seen: Micros(0),
            last_seen: Micros(0),
            origin: self.origin,
            client_ip: pair.src,
            server_ip: pair.dst,
            version: pair.version,
            client_port: pair.src_port,
            server_port: pair.dst_port,
            transport: key.transport,
            id: key.id,
            qname: String::new(),
            qname_wire: String::new(),
            qtype: 0,
            qclass: 0,
            question: 0,
            opcode: 0,
            rcode: None,
            rtt_us: None,
            query_len: None,
            response_len: None,
            response_frame_len: None,
            flags: 0,
            edns_udp_size: None,
            answers: Vec::new(),
            authorities: Vec::new(),
            additional_count: 0,
            damage: None,
        };
        let mut asked_at = None;
        if let Some(query) = query {
            asked_at = Some(query.first_ts);
            record.first_seen = Micros(query.first_ts.micros());
            record.last_seen = Micros(query.ts.micros());
            record.question = query.index;
            record.query_len = Some(query.message_len);
            record.flags = query.flags;
            record.edns_udp_size = query.edns_udp_size;
            record.additional_count = query.additional_count;
            record.damage = query.damage;
            record.set_question(query.question);
            record.answers = query.answers;
            record.authorities = query.authorities;
        }
        if let Some(Answer { message, dns, question, index, answers, authorities }) = answer {
            let first = Micros(message.first_ts.micros());
            if let Some(asked_at) = asked_at {
                record.first_seen = record.first_seen.min(first);
                record.rtt_us =
                    message.first_ts.0.checked_sub(asked_at.0).and_then(|ns| u32::try_from(ns / 1_000).ok());
            } else {
                record.first_seen = first;
                record.question = index;
                record.set_question(question);
            }
            record.last_seen = record.last_seen.max(Micros(message.ts.micros())).max(record.first_seen);
            record.rcode = Some(dns.rcode);
            record.response_len = Some(dns.message_len);
            record.response_frame_len = Some(dns.frame_len);
            record.flags = dns.flags;
            record.edns_udp_size = dns.edns_udp_size.or(record.edns_udp_size);
            record.additional_count = dns.additional_count;
            record.damage = dns.damage.or(record.damage);
            record.answers = answers;
            record.authorities = authorities;
        }
        record.opcode = (record.flags >> 11 & 0xf) as u8;
        record
    }

    fn write(&mut self, mut record: DnsRecord, out: &mut Out<'_>) {
        record.record_id = self.ids.dns(&record);
        out.records.push(record);
    }

    /// Questions that wait.
    pub(crate) const fn waiting(&self) -> usize {
        self.count
    }
}

/// A response, or the part of it that is about one question.
struct Answer<'a> {
    message: &'a Carried,
    dns: &'a DnsMessage,
    question: DnsQuestion,
    index: u8,
    answers: Vec<ResourceRecord>,
    authorities: Vec<ResourceRecord>,
}

impl Waiting {
    /// Bytes it holds, about.
    fn cost(&self) -> usize {
        let text = |records: &[ResourceRecord]| {
            records
                .iter()
                .map(|record| record.name.len() + record.data.len() + size_of::<ResourceRecord>())
                .sum::<usize>()
        };
        size_of::<Self>()
            + self.question.name.len()
            + self.question.name_wire.len()
            + text(&self.answers)
            + text(&self.authorities)
    }
}

impl DnsRecord {
    fn set_question(&mut self, question: DnsQuestion) {
        self.qname = question.name;
        self.qname_wire = question.name_wire;
        self.qtype = question.qtype;
        self.qclass = question.qclass;
    }
}

fn asks_same(a: &DnsQuestion, b: &DnsQuestion, transport: DnsTransport) -> bool {
    let class = |question: &DnsQuestion| match transport {
        DnsTransport::Mdns => question.qclass & !UNICAST_RESPONSE,
        _ => question.qclass,
    };
    a.qtype == b.qtype && class(a) == class(b) && a.name == b.name
}

/// What stands for the question of a message that has none.
fn stand_in(answers: &[ResourceRecord]) -> DnsQuestion {
    let (name, qtype) = answers.first().map_or((".", 0), |record| (record.name.as_str(), record.rtype));
    DnsQuestion { name: name.to_owned(), name_wire: name.to_owned(), qtype, qclass: if qtype == 0 { 0 } else { 1 } }
}

/// The group that queries of this transport are sent to (RFC 6762 3, RFC 4795 2).
fn multicast_group(key: &Key) -> Option<Ip> {
    let version = key.client_to_server.version;
    match (key.transport, version) {
        (DnsTransport::Mdns, IpVersion::V4) => Some(Ip::v4([224, 0, 0, 251])),
        (DnsTransport::Llmnr, IpVersion::V4) => Some(Ip::v4([224, 0, 0, 252])),
        (DnsTransport::Mdns, IpVersion::V6) => Some(Ip([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb])),
        (DnsTransport::Llmnr, IpVersion::V6) => Some(Ip([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3])),
        _ => None,
    }
}
