//! What one shard meters: sans-IO, beside its flow table.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use capture::live::Microflow;
use capture::{AddressPair, Body, Ip, IpVersion, Message, Nanos, Packet, Sink};
use chrono::{DateTime, SecondsFormat};
use hashbrown::HashMap;

use super::heavy::Heavy;
use super::home::{HomeNetworks, Way};
use super::shape::{Host, LiveRecord, Name, NameKind, Pair, RecordCounts, RecordSource, Second, Traffic, Volume};
use crate::Aggregator;
use crate::packets::flow_hash;
use crate::record::{DnsRecord, FlowRecord, Micros, ProxyRecord, RecordId};

/// Pairs of hosts in memory, by shard.
const PAIRS: usize = 4_096;

/// Names in memory, by shard.
const NAMES: usize = 2_048;

/// Entries of a list.
const TOP: usize = 20;

/// Records of a kind that are shown.
const SHOWN: usize = 40;

/// Bytes of a text that is shown.
const TEXT: usize = 256;

/// Two addresses, the lower first, and one of the ways between them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Lane {
    low: Ip,
    high: Ip,
    version: IpVersion,
    upward: bool,
}

/// A flow that has begun.
#[derive(Clone, Copy, Debug)]
struct Opened {
    first: Nanos,
    last: Nanos,
    pair: AddressPair,
    volume: Volume,
}

/// What was metered since the last look; parts of several shards are added.
#[derive(Clone, Debug)]
pub struct Part {
    traffic: Traffic,
    lanes: Heavy<Lane>,
    names: Heavy<(NameKind, String)>,
    counts: RecordCounts,
    opened: VecDeque<Opened>,
    last: [VecDeque<LiveRecord>; 3],
}

impl Default for Part {
    fn default() -> Self {
        Self {
            traffic: Traffic::default(),
            lanes: Heavy::new(2 * PAIRS),
            names: Heavy::new(NAMES),
            counts: RecordCounts::default(),
            opened: VecDeque::new(),
            last: Default::default(),
        }
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Meter {
    home: Arc<HomeNetworks>,
    part: Part,
    /// A name with its kind, kept for its memory.
    name: (NameKind, String),
}

impl Meter {
    /// An empty meter.
    pub fn new(home: Arc<HomeNetworks>) -> Self {
        Self { home, part: Part::default(), name: (NameKind::Dns, String::new()) }
    }

    /// A frame, or so many that were counted in the kernel.
    #[inline]
    pub fn frames(&mut self, packets: u64, wire_bytes: u64) {
        self.part.traffic.wire += Volume { packets, bytes: wire_bytes };
    }

    /// IP packets from one address to another.
    #[inline]
    fn packets(&mut self, pair: &AddressPair, volume: Volume) {
        let AddressPair { src, dst, version, .. } = *pair;
        let Traffic { incoming, outgoing, internal, external, .. } = &mut self.part.traffic;
        *(match self.home.way(src, dst, version) {
            Way::Incoming => incoming,
            Way::Outgoing => outgoing,
            Way::Internal => internal,
            Way::External => external,
        }) += volume;
        let upward = src.0 <= dst.0;
        let (low, high) = if upward { (src, dst) } else { (dst, src) };
        self.part.lanes.add(Lane { low, high, version, upward }, volume);
    }

    fn opened(&mut self, first: Nanos, last: Nanos, pair: AddressPair, volume: Volume) {
        self.part.counts.flows_opened += 1;
        keep(&mut self.part.opened, Opened { first, last, pair, volume });
    }

    fn message(&mut self, message: &Message) {
        match &message.body {
            Body::Dns(dns) if !dns.is_response() => {
                dns.questions.iter().for_each(|question| self.named(NameKind::Dns, &question.name));
            }
            Body::HttpRequest(request) => {
                request.host.iter().for_each(|host| self.named(NameKind::Http, host));
            }
            Body::TlsClientHello(hello) => hello.sni.iter().for_each(|name| self.named(NameKind::Tls, name)),
            Body::Dns(_) | Body::Dhcp(_) | Body::HttpResponse(_) => {}
        }
    }

    fn named(&mut self, kind: NameKind, name: &str) {
        let once = Volume { packets: 1, bytes: 1 };
        self.name.0 = kind;
        self.name.1.clear();
        self.name.1.push_str(cut(name));
        if !self.part.names.add_known(&self.name, once) {
            self.part.names.add(self.name.clone(), once);
        }
    }

    /// Records that were finished.
    pub fn records(&mut self, flow: &[FlowRecord], dns: &[DnsRecord], proxy: &[ProxyRecord]) {
        let counts = &mut self.part.counts;
        counts.flow += flow.len() as u64;
        counts.dns += dns.len() as u64;
        counts.proxy += proxy.len() as u64;
        let [flows, names, requests] = &mut self.part.last;
        last_of(flow).for_each(|record| keep(flows, of_flow(record)));
        last_of(dns).for_each(|record| keep(names, of_dns(record)));
        last_of(proxy).for_each(|record| keep(requests, of_proxy(record)));
    }

    /// What was metered since the last call.
    pub fn take(&mut self) -> Part {
        std::mem::take(&mut self.part)
    }

    /// Puts back what could not be handed over.
    pub fn put_back(&mut self, part: Part) {
        let mut part = part;
        std::mem::swap(&mut part, &mut self.part);
        self.part.merge(part);
    }
}

fn last_of<T>(records: &[T]) -> impl Iterator<Item = &T> {
    records.iter().skip(records.len().saturating_sub(SHOWN))
}

fn keep<T>(list: &mut VecDeque<T>, entry: T) {
    if list.len() == SHOWN {
        list.pop_front();
    }
    list.push_back(entry);
}

/// The beginning of a text, whole characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT)]
}

/// An aggregator with a meter beside it: both see every packet and message.
#[derive(Debug)]
pub struct Metered<'a> {
    /// Makes records.
    pub aggregator: &'a mut Aggregator,
    /// Meters; none where nobody watches.
    pub meter: Option<&'a mut Meter>,
    /// The flow of the packet that was read last, for who wants it.
    pub(crate) flow: Option<u64>,
    pub(crate) wants_flow: bool,
}

impl<'a> Metered<'a> {
    /// Beside this aggregator.
    pub const fn new(aggregator: &'a mut Aggregator, meter: Option<&'a mut Meter>) -> Self {
        Self { aggregator, meter, flow: None, wants_flow: false }
    }
}

impl Metered<'_> {
    /// A part of a flow that was counted in the kernel.
    pub fn microflow(&mut self, microflow: &Microflow) {
        let before = self.aggregator.flows_opened();
        self.aggregator.microflow(microflow);
        let Some(meter) = self.meter.as_deref_mut() else { return };
        let Microflow { low, high, low_port, high_port, proto, version, from_low, from_high, .. } = microflow;
        let there = AddressPair {
            src: *low,
            dst: *high,
            src_port: *low_port,
            dst_port: *high_port,
            proto: *proto,
            version: *version,
        };
        let mut sum = Volume::default();
        for (pair, counted) in [(there, from_low), (there.reversed(), from_high)] {
            if counted.packets > 0 {
                let volume = Volume { packets: counted.packets, bytes: counted.ip_bytes };
                meter.packets(&pair, volume);
                sum += volume;
            }
        }
        if self.aggregator.flows_opened() > before {
            let from_high_first = from_high.packets > 0 && (from_low.packets == 0 || from_high.first < from_low.first);
            let (pair, first) =
                if from_high_first { (there.reversed(), from_high.first) } else { (there, from_low.first) };
            meter.opened(first, from_low.last.max(from_high.last), pair, sum);
        }
    }
}

impl Sink for Metered<'_> {
    fn packet(&mut self, packet: &Packet) {
        if self.wants_flow {
            self.flow = Some(flow_hash(packet));
        }
        let before = self.aggregator.flows_opened();
        self.aggregator.packet(packet);
        let Some(meter) = self.meter.as_deref_mut() else { return };
        let volume = Volume { packets: 1, bytes: packet.ip_bytes.into() };
        meter.packets(&packet.pair, volume);
        if self.aggregator.flows_opened() > before {
            meter.opened(packet.ts, packet.ts, packet.pair, volume);
        }
    }

    fn message(&mut self, message: Message) {
        if let Some(meter) = self.meter.as_deref_mut() {
            meter.message(&message);
        }
        self.aggregator.message(message);
    }
}

impl Part {
    /// Adds what another shard metered.
    pub fn merge(&mut self, other: Self) {
        let Self { traffic, lanes, names, counts, opened, last } = other;
        self.traffic += traffic;
        self.lanes.merge(lanes);
        self.names.merge(names);
        self.counts.flows_opened += counts.flows_opened;
        self.counts.flow += counts.flow;
        self.counts.dns += counts.dns;
        self.counts.proxy += counts.proxy;
        opened.into_iter().for_each(|entry| keep(&mut self.opened, entry));
        for (mine, theirs) in self.last.iter_mut().zip(last) {
            theirs.into_iter().for_each(|record| keep(mine, record));
        }
    }

    /// Puts it into a report.
    pub fn tell(self, second: &mut Second, home: &HomeNetworks) {
        let Self { traffic, lanes, names, counts, opened, last } = self;
        second.traffic = traffic;
        second.records = counts;
        second.short = lanes.short();
        (second.talkers, second.pairs) = heaviest(lanes, home);
        let mut sums: Vec<_> =
            names.into_sums().map(|((kind, name), sum)| (Reverse(sum.packets), name, kind)).collect();
        sums.sort_unstable();
        let names = sums.into_iter().take(TOP);
        second.names = names.map(|(Reverse(count), name, kind)| Name { name, kind, count }).collect();
        second.last = opened.iter().map(of_opened).chain(last.into_iter().flatten()).collect();
    }
}

/// Hosts and pairs, heaviest first; of the same weight, by address.
fn heaviest(lanes: Heavy<Lane>, home: &HomeNetworks) -> (Vec<Host>, Vec<Pair>) {
    let (mut pairs, mut hosts) = (HashMap::<_, [Volume; 2]>::new(), HashMap::<_, [Volume; 2]>::new());
    for (Lane { low, high, version, upward }, volume) in lanes.into_sums() {
        pairs.entry((version, low, high)).or_default()[usize::from(!upward)] += volume;
        let (src, dst) = if upward { (low, high) } else { (high, low) };
        hosts.entry((version, src)).or_default()[0] += volume;
        hosts.entry((version, dst)).or_default()[1] += volume;
    }
    let text = |ip: Ip, version: IpVersion| ip.to_ip_addr(version).to_string();
    let hosts = top(hosts).map(|((version, ip), [sent, received])| Host {
        ip: text(ip, version),
        home: home.holds(ip, version),
        sent,
        received,
    });
    let pairs = top(pairs).map(|((version, low, high), [a_to_b, b_to_a])| Pair {
        a: text(low, version),
        b: text(high, version),
        a_to_b,
        b_to_a,
    });
    (hosts.collect(), pairs.collect())
}

fn top<K: Ord + Copy>(sums: HashMap<K, [Volume; 2]>) -> impl Iterator<Item = (K, [Volume; 2])> {
    let mut list: Vec<_> = sums.into_iter().collect();
    list.sort_unstable_by_key(|(key, [a, b])| (Reverse(a.bytes + b.bytes), *key));
    list.into_iter().take(TOP)
}

/// RFC 3339 with microseconds.
pub(crate) fn time(Micros(micros): Micros) -> String {
    DateTime::from_timestamp_micros(micros)
        .map_or_else(|| format!("{micros} µs"), |at| at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

fn hex(RecordId(bytes): &RecordId) -> String {
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn record(source: RecordSource, first: Micros, last: Micros, client: IpAddr) -> LiveRecord {
    LiveRecord {
        source,
        open: false,
        record_id: None,
        first_seen: time(first),
        last_seen: time(last),
        src_ip: client.to_string(),
        src_port: None,
        dst_ip: None,
        dst_port: None,
        proto: None,
        packets: None,
        bytes: None,
        state: None,
        name: None,
        qtype: None,
        rcode: None,
        method: None,
        path: None,
        status: None,
    }
}

fn of_opened(opened: &Opened) -> LiveRecord {
    let Opened { first, last, pair, volume } = opened;
    LiveRecord {
        open: true,
        src_port: Some(pair.src_port),
        dst_ip: Some(pair.dst.to_ip_addr(pair.version).to_string()),
        dst_port: Some(pair.dst_port),
        proto: Some(pair.proto),
        packets: Some(volume.packets),
        bytes: Some(volume.bytes),
        ..record(RecordSource::Flow, Micros(first.micros()), Micros(last.micros()), pair.src.to_ip_addr(pair.version))
    }
}

fn of_flow(flow: &FlowRecord) -> LiveRecord {
    let back = flow.dst.unwrap_or_default();
    LiveRecord {
        record_id: Some(hex(&flow.record_id)),
        src_port: Some(flow.src_port),
        dst_ip: Some(flow.dst_ip.to_ip_addr(flow.version).to_string()),
        dst_port: Some(flow.dst_port),
        proto: Some(flow.proto),
        packets: Some(flow.src.packets + back.packets),
        bytes: Some(flow.src.bytes + back.bytes),
        state: flow.conn_state.map(str::to_owned),
        ..record(RecordSource::Flow, flow.first_seen, flow.last_seen, flow.src_ip.to_ip_addr(flow.version))
    }
}

fn of_dns(dns: &DnsRecord) -> LiveRecord {
    LiveRecord {
        record_id: Some(hex(&dns.record_id)),
        src_port: Some(dns.client_port),
        dst_ip: Some(dns.server_ip.to_ip_addr(dns.version).to_string()),
        dst_port: Some(dns.server_port),
        name: Some(cut(&dns.qname).to_owned()),
        qtype: Some(dns.qtype),
        rcode: dns.rcode,
        ..record(RecordSource::Dns, dns.first_seen, dns.last_seen, dns.client_ip.to_ip_addr(dns.version))
    }
}

fn of_proxy(proxy: &ProxyRecord) -> LiveRecord {
    let bytes = [proxy.request_bytes, proxy.response_bytes];
    LiveRecord {
        record_id: Some(hex(&proxy.record_id)),
        src_port: proxy.client_port,
        dst_ip: proxy.server_ip.map(|ip| ip.to_string()),
        dst_port: proxy.server_port,
        bytes: bytes.iter().any(Option::is_some).then(|| bytes.iter().flatten().sum()),
        name: Some(cut(&proxy.host).to_owned()),
        method: Some(cut(&proxy.method).to_owned()),
        path: Some(cut(&proxy.uri_path).to_owned()),
        status: proxy.status,
        ..record(RecordSource::Proxy, proxy.first_seen, proxy.last_seen, proxy.client_ip)
    }
}
