//! From exported flows to records: opposite uniflows become one biflow, and a flow that several exporters or interfaces
//! report is counted once.
//!
//! - A uniflow waits for the opposite one up to the active timeout, and together they wait a little longer for others who saw the same.
//! - The initiator is who sent a SYN without ACK, else the end with the higher port if the other's is a service's (below
//!   1024) or clearly lower, else who spoke first. An exporter's own biflow (RFC 5103) has its initiator.
//! - The same direction from another exporter, interface or direction (ingress, egress) at an overlapping time is another observation: it counts
//!   in `observations` and nowhere else. The first who reported is believed.
//! - The same direction from the same observer is the next segment of a long connection, unless a SYN says that it is a new one.
//!   Sampled packets (sFlow) are added up instead, up to the active timeout.
//! - Counters are scaled by the sampling rate; `sampling` says by how much.
//!
//! Sans-IO; time is that at which datagrams came. Memory: [`ExportedConfig::max_flows`] of about 700 bytes.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use capture::collect::{ExportedDirection, ExportedFlow, Protocol};
use capture::{AddressPair, Ip, IpVersion, Nanos};

use crate::flow::nanos;
use crate::icmp::{self, ICMP, ICMPV6};
use crate::record::{Direction, EndReason, Exporter, FlowRecord, Micros, Origin, RecordId};
use crate::record_id::RecordIds;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
/// Observers of one direction that are told apart.
const MAX_OBSERVERS: usize = 16;

/// Settings of [`Exported`].
#[derive(Clone, Debug)]
pub struct ExportedConfig {
    /// Name of the sensor; part of every record's identity.
    pub sensor: String,
    /// How long a uniflow waits for the opposite one, and how long sampled packets are added up. 60 s.
    pub active: Duration,
    /// How long a pair waits for others who saw it. 5 s.
    pub settle: Duration,
    /// Most connections kept at once; at the bound the oldest is written early. 262,144.
    pub max_flows: usize,
}

impl ExportedConfig {
    /// The defaults for a sensor.
    pub fn new(sensor: impl Into<String>) -> Self {
        Self {
            sensor: sensor.into(),
            active: Duration::from_secs(60),
            settle: Duration::from_secs(5),
            max_flows: 1 << 18,
        }
    }
}

/// What [`Exported`] counted. `flows = merged + duplicates + halves_written + halves_waiting`.
///
/// | counter | meaning |
/// |---|---|
/// | `exported.flows` | flows taken from exporters |
/// | `exported.merged` | of those: sampled packets added to another |
/// | `exported.duplicates` | of those: observations of a flow that is counted already |
/// | `exported.records`, `exported.paired` | records written; of those made of two uniflows |
/// | `exported.halves_written`, `exported.halves_waiting` | flows that are in records; that wait |
/// | `exported.evicted` | records written early for room |
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the table has them")]
pub struct ExportedCounters {
    pub flows: u64,
    pub merged: u64,
    pub duplicates: u64,
    pub records: u64,
    pub paired: u64,
    pub halves_written: u64,
    pub halves_waiting: u64,
    pub evicted: u64,
}

impl ExportedCounters {
    /// Ledger name and value of each.
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        let c = self;
        vec![
            ("exported.flows", c.flows),
            ("exported.merged", c.merged),
            ("exported.duplicates", c.duplicates),
            ("exported.records", c.records),
            ("exported.paired", c.paired),
            ("exported.halves_written", c.halves_written),
            ("exported.halves_waiting", c.halves_waiting),
            ("exported.evicted", c.evicted),
        ]
    }

    /// Whether every flow taken is somewhere.
    pub const fn closes(&self) -> bool {
        self.flows == self.merged + self.duplicates + self.halves_written + self.halves_waiting
    }
}

/// Both ends of a connection, the lower first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Key {
    low: Ip,
    high: Ip,
    low_port: u16,
    high_port: u16,
    proto: u8,
    is_v6: bool,
    /// For ICMP messages that nothing answers: which end sent it, 1 or 2.
    one_way: u8,
}

/// Which end sent: 0 the lower.
type Side = usize;

impl Key {
    fn new(pair: &AddressPair) -> (Self, Side) {
        let AddressPair { src, dst, src_port, dst_port, proto, version } = *pair;
        let is_v6 = version == IpVersion::V6;
        let side = usize::from((src, src_port) > (dst, dst_port));
        if matches!(proto, ICMP | ICMPV6) {
            let side = usize::from(src > dst);
            let (low, high) = if side == 0 { (src, dst) } else { (dst, src) };
            let (kind, one_way) = match icmp::counterpart(proto, src_port as u8) {
                Some(answer) => (src_port.min(u16::from(answer)), 0),
                None => (src_port, side as u8 + 1),
            };
            return (Self { low, high, low_port: kind, high_port: dst_port, proto, is_v6, one_way }, side);
        }
        let (low, high, low_port, high_port) =
            if side == 0 { (src, dst, src_port, dst_port) } else { (dst, src, dst_port, src_port) };
        (Self { low, high, low_port, high_port, proto, is_v6, one_way: 0 }, side)
    }
}

/// Who reports: an exporter's view of a flow at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Observer {
    exporter: IpAddr,
    domain: u32,
    direction: u8,
    input_if: u32,
    output_if: u32,
}

impl Observer {
    fn of(flow: &ExportedFlow) -> Self {
        Self {
            exporter: flow.exporter,
            domain: flow.domain,
            direction: flow.direction.unwrap_or(u8::MAX),
            input_if: flow.input_if.unwrap_or(u32::MAX),
            output_if: flow.output_if.unwrap_or(u32::MAX),
        }
    }
}

/// One direction.
#[derive(Debug)]
struct Half {
    flow: ExportedFlow,
    observer: Observer,
    others: Vec<Observer>,
}

/// What is kept of a connection whose record was written, for the next segment.
#[derive(Clone, Copy, Debug)]
struct Past {
    flow_start: Nanos,
    segment: u32,
    last: Nanos,
    initiator: Side,
}

#[derive(Debug, Default)]
struct Entry {
    halves: [Option<Half>; 2],
    past: Option<Past>,
    /// Tells which of the entries in the queues is meant.
    turn: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub struct Exported {
    config: ExportedConfig,
    active: i64,
    settle: i64,
    table: HashMap<Key, Entry>,
    /// Deadlines of single uniflows, of pairs, and of what is only remembered: each in order.
    queues: [VecDeque<(i64, Key, u64)>; 3],
    turns: u64,
    now: i64,
    ids: Vec<(Origin, RecordIds)>,
    records: Vec<FlowRecord>,
    counters: ExportedCounters,
}

const SINGLE: usize = 0;
const PAIR: usize = 1;
const PAST: usize = 2;

impl Exported {
    /// Nothing taken yet.
    pub fn new(config: ExportedConfig) -> Self {
        Self {
            active: nanos(config.active),
            settle: nanos(config.settle),
            config,
            table: HashMap::new(),
            queues: Default::default(),
            turns: 0,
            now: i64::MIN / 2,
            ids: Vec::new(),
            records: Vec::new(),
            counters: ExportedCounters::default(),
        }
    }

    /// What was counted so far.
    pub const fn counters(&self) -> ExportedCounters {
        self.counters
    }

    /// Finished records that wait to be taken.
    pub const fn records_mut(&mut self) -> &mut Vec<FlowRecord> {
        &mut self.records
    }

    /// Takes a flow.
    pub fn handle_flow(&mut self, flow: &ExportedFlow) {
        self.counters.flows += 1;
        self.counters.halves_waiting += 1;
        self.now = self.now.max(flow.received.0);
        let (key, side) = Key::new(&flow.pair);
        let mut entry = match self.table.remove(&key) {
            Some(entry) => entry,
            None => {
                self.make_room();
                Entry::default()
            }
        };
        if let Some(flow) = self.place(&mut entry, side, flow) {
            // It does not belong to what is there: that is finished, and this begins anew.
            self.write(&mut entry);
            self.put(&mut entry, side, flow);
        }
        self.turns += 1;
        entry.turn = self.turns;
        let is_pair = entry.halves.iter().all(Option::is_some) || flow.reverse.is_some();
        let (queue, wait) = if is_pair { (PAIR, self.settle) } else { (SINGLE, self.active) };
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.push_back((self.now.saturating_add(wait), key, entry.turn));
        }
        self.table.insert(key, entry);
    }

    /// Puts a flow into what is there; gives it back if it does not belong to it.
    fn place<'f>(&mut self, entry: &mut Entry, side: Side, flow: &'f ExportedFlow) -> Option<&'f ExportedFlow> {
        let (near, active) = (self.active, self.active);
        let overlaps = |other: &ExportedFlow| {
            flow.first.0 <= other.last.0.saturating_add(1_000_000_000)
                && other.first.0 <= flow.last.0.saturating_add(1_000_000_000)
        };
        let [low, high] = &mut entry.halves;
        let (here, there) = if side == 0 { (low, high) } else { (high, low) };
        match (here, there) {
            (Some(half), _) => {
                let observer = Observer::of(flow);
                let begins = flow.first.0.min(half.flow.first.0);
                if half.observer == observer {
                    if flow.protocol != Protocol::SFlow || flow.last.0.saturating_sub(begins) >= active {
                        return Some(flow);
                    }
                    add(&mut half.flow, flow);
                    self.counters.merged += 1;
                } else {
                    if !overlaps(&half.flow) {
                        return Some(flow);
                    }
                    if !half.others.contains(&observer) && half.others.len() < MAX_OBSERVERS {
                        half.others.push(observer);
                    }
                    self.counters.duplicates += 1;
                }
                self.counters.halves_waiting -= 1;
                None
            }
            // A biflow has both directions: the opposite uniflow was reported by somebody else.
            (None, Some(opposite)) if opposite.flow.reverse.is_some() && overlaps(&opposite.flow) => {
                let observer = Observer::of(flow);
                if !opposite.others.contains(&observer) && opposite.others.len() < MAX_OBSERVERS {
                    opposite.others.push(observer);
                }
                self.counters.duplicates += 1;
                self.counters.halves_waiting -= 1;
                None
            }
            (None, Some(opposite)) => {
                let apart = flow.first.0.saturating_sub(opposite.flow.first.0).saturating_abs();
                if apart > near && !overlaps(&opposite.flow) || flow.reverse.is_some() {
                    return Some(flow);
                }
                self.put(entry, side, flow);
                None
            }
            (None, None) => {
                self.put(entry, side, flow);
                None
            }
        }
    }

    fn put(&self, entry: &mut Entry, side: Side, flow: &ExportedFlow) {
        // A SYN, or a long silence, is a new connection.
        let is_new = |past: &Past| {
            flow.forward.tcp_flags.is_some_and(|flags| flags & SYN != 0)
                || flow.first.0.saturating_sub(past.last.0) > self.active
                || flow.first.0 < past.flow_start.0
        };
        if entry.halves.iter().all(Option::is_none) && entry.past.as_ref().is_some_and(is_new) {
            entry.past = None;
        }
        if let Some(half) = entry.halves.get_mut(side) {
            *half = Some(Half { flow: flow.clone(), observer: Observer::of(flow), others: Vec::new() });
        }
    }

    /// Time has come to `now`: writes what has waited long enough.
    pub fn advance(&mut self, now: Nanos) {
        self.now = self.now.max(now.0);
        for queue in [SINGLE, PAIR, PAST] {
            while let Some((_, key, turn)) =
                self.queues.get_mut(queue).and_then(|q| q.pop_front_if(|(due, ..)| *due <= self.now))
            {
                self.due(key, turn);
            }
        }
    }

    fn due(&mut self, key: Key, turn: u64) {
        let Some(mut entry) = self.table.remove(&key) else { return };
        if entry.turn != turn {
            self.table.insert(key, entry);
            return;
        }
        if entry.halves.iter().any(Option::is_some) {
            self.write(&mut entry);
            self.turns += 1;
            entry.turn = self.turns;
            let due = self.now.saturating_add(self.active.saturating_mul(2));
            if let Some(queue) = self.queues.get_mut(PAST) {
                queue.push_back((due, key, entry.turn));
            }
            self.table.insert(key, entry);
        }
    }

    /// At the bound: what is only remembered goes first, then what has waited longest.
    fn make_room(&mut self) {
        while self.table.len() >= self.config.max_flows.max(1) {
            let oldest = [PAST, PAIR, SINGLE].into_iter().find_map(|queue| self.queues.get_mut(queue)?.pop_front());
            let Some((_, key, turn)) = oldest else { return };
            if self.table.get(&key).is_some_and(|entry| entry.turn == turn)
                && let Some(mut entry) = self.table.remove(&key)
                && entry.halves.iter().any(Option::is_some)
            {
                self.counters.evicted += 1;
                self.write(&mut entry);
            }
        }
    }

    /// The end: everything is written, in the order in which it began.
    pub fn finish(&mut self) {
        let mut all: Vec<(Key, Entry)> = self.table.drain().collect();
        let begun = |entry: &Entry| entry.halves.iter().flatten().map(|half| half.flow.first).min();
        all.sort_by_key(|(key, entry)| (begun(entry), *key));
        for (_, entry) in &mut all {
            self.write(entry);
        }
        self.queues.iter_mut().for_each(VecDeque::clear);
    }

    /// Makes the record of what an entry has, which is then only remembered.
    fn write(&mut self, entry: &mut Entry) {
        let [low, high] = std::mem::take(&mut entry.halves);
        let count = u64::from(low.is_some()) + u64::from(high.is_some());
        let kept = entry.past.map(|past| past.initiator);
        let (initiator, there, back) = match (low, high) {
            (Some(low), Some(high)) => match kept.unwrap_or_else(|| initiator(&low.flow, &high.flow)) {
                0 => (0, low, Some(high)),
                _ => (1, high, Some(low)),
            },
            (Some(low), None) => (0, low, None),
            (None, Some(high)) => (1, high, None),
            (None, None) => return,
        };
        self.counters.halves_waiting -= count;
        self.counters.halves_written += count;
        self.counters.records += 1;
        self.counters.paired += u64::from(back.is_some());
        let mut record = record(&there, back.as_ref());
        let first = back.as_ref().map_or(there.flow.first, |back| back.flow.first.min(there.flow.first));
        let last = back.as_ref().map_or(there.flow.last, |back| back.flow.last.max(there.flow.last));
        let past = match entry.past {
            Some(past) => Past { segment: past.segment.saturating_add(1), last: last.max(past.last), ..past },
            None => Past { flow_start: first, segment: 0, last, initiator },
        };
        (record.flow_start, record.segment) = (Micros(past.flow_start.micros()), past.segment);
        entry.past = Some(past);
        let origin = record.origin;
        if !self.ids.iter().any(|(known, _)| *known == origin) {
            self.ids.push((origin, RecordIds::new(&self.config.sensor, origin)));
        }
        if let Some((_, ids)) = self.ids.iter_mut().find(|(known, _)| *known == origin) {
            record.record_id = ids.flow(&record, 0);
        }
        self.records.push(record);
    }
}

/// Which side began: 0 the lower.
fn initiator(low: &ExportedFlow, high: &ExportedFlow) -> Side {
    let opens = |flow: &ExportedFlow| flow.forward.tcp_flags.is_some_and(|flags| flags & (SYN | ACK) == SYN);
    let syn = |flow: &ExportedFlow| flow.forward.tcp_flags.is_some_and(|flags| flags & SYN != 0);
    let by_syn = [opens as fn(&ExportedFlow) -> bool, syn].into_iter().find(|test| test(low) != test(high));
    if let Some(test) = by_syn {
        return usize::from(test(high));
    }
    let earlier = usize::from(high.first < low.first);
    if matches!(low.pair.proto, ICMP | ICMPV6) {
        // The type says who asks.
        let asks = |flow: &ExportedFlow| {
            matches!((flow.pair.proto, flow.pair.src_port), (ICMP, 8 | 10 | 13 | 15 | 17))
                || matches!((flow.pair.proto, flow.pair.src_port), (ICMPV6, 128 | 130 | 133 | 135 | 139 | 144))
        };
        return if asks(low) == asks(high) { earlier } else { usize::from(asks(high)) };
    }
    let (a, b) = (low.pair.src_port, low.pair.dst_port);
    match (a < 1_024, b < 1_024) {
        // The lower end's port is the service's: the other began.
        (true, false) => 1,
        (false, true) => 0,
        _ => earlier,
    }
}

/// Adds sampled packets of the same direction.
fn add(to: &mut ExportedFlow, more: &ExportedFlow) {
    // Another rate: both are brought to packets of the wire.
    if to.sampling != more.sampling {
        let scale = u64::from(std::mem::replace(&mut to.sampling, 1));
        to.forward.packets = to.forward.packets.saturating_mul(scale);
        to.forward.bytes = to.forward.bytes.saturating_mul(scale);
    }
    let scale = if to.sampling == more.sampling { 1 } else { u64::from(more.sampling) };
    to.forward.packets = to.forward.packets.saturating_add(more.forward.packets.saturating_mul(scale));
    to.forward.bytes = to.forward.bytes.saturating_add(more.forward.bytes.saturating_mul(scale));
    to.forward.tcp_flags = match (to.forward.tcp_flags, more.forward.tcp_flags) {
        (Some(a), Some(b)) => Some(a | b),
        (a, b) => a.or(b),
    };
    to.first = to.first.min(more.first);
    to.last = to.last.max(more.last);
}

const fn origin(protocol: Protocol) -> Origin {
    match protocol {
        // Version 1 is version 5 without its numbering.
        Protocol::NetFlow1 | Protocol::NetFlow5 => Origin::NetFlow5,
        Protocol::NetFlow7 => Origin::NetFlow7,
        Protocol::NetFlow9 => Origin::NetFlow9,
        Protocol::Ipfix => Origin::Ipfix,
        Protocol::SFlow => Origin::SFlow,
    }
}

fn direction(counted: &ExportedDirection, sampling: u32) -> Direction {
    Direction {
        packets: counted.packets.saturating_mul(u64::from(sampling)),
        bytes: counted.bytes.saturating_mul(u64::from(sampling)),
        tcp_flags: counted.tcp_flags,
        tos: counted.tos,
    }
}

fn record(there: &Half, back: Option<&Half>) -> FlowRecord {
    let flow = &there.flow;
    let first = back.map_or(flow.first, |back| back.flow.first.min(flow.first));
    let last = back.map_or(flow.last, |back| back.flow.last.max(flow.last));
    let pair = &flow.pair;
    let (src_port, dst_port) = match pair.proto {
        ICMP | ICMPV6 => (0, (pair.src_port & 0xff) << 8 | pair.dst_port & 0xff),
        _ => (pair.src_port, pair.dst_port),
    };
    let others = there.others.len().max(back.map_or(0, |back| back.others.len()));
    let reverse = flow.reverse.as_ref().map(|reverse| direction(reverse, flow.sampling));
    let end_reason = match flow.end_reason.or(back.and_then(|back| back.flow.end_reason)) {
        Some(2) => EndReason::Active,
        Some(3) => EndReason::Detected,
        Some(4) => EndReason::Forced,
        Some(5) => EndReason::LackOfResources,
        _ => EndReason::Idle,
    };
    FlowRecord {
        record_id: RecordId::default(),
        first_seen: Micros(first.micros()),
        last_seen: Micros(last.micros()),
        flow_start: Micros(first.micros()),
        segment: 0,
        origin: origin(flow.protocol),
        src_ip: pair.src,
        dst_ip: pair.dst,
        version: pair.version,
        src_port,
        dst_port,
        proto: pair.proto,
        src: direction(&flow.forward, flow.sampling),
        dst: reverse.or_else(|| back.map(|back| direction(&back.flow.forward, back.flow.sampling))),
        conn_state: None,
        history: None,
        macs: flow.macs,
        ethertype: flow.ethertype,
        vlan: flow.vlan,
        cos: flow.cos,
        end_reason,
        exporter: Some(Box::new(Exporter {
            exporter_ip: Some(flow.exporter),
            input_if: flow.input_if,
            output_if: flow.output_if,
            fwd_status: flow.fwd_status,
            src_as: flow.src_as,
            dst_as: flow.dst_as,
            src_mask: flow.src_mask,
            dst_mask: flow.dst_mask,
            next_hop: flow.next_hop,
            peer_src: None,
            peer_dst: flow.peer_dst,
        })),
        sampling: flow.sampling,
        observations: u16::try_from(others + 1).unwrap_or(u16::MAX),
        tunnel: flow.tunnel,
        service: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn flow(src: [u8; 4], dst: [u8; 4], ports: (u16, u16), proto: u8, span: (i64, i64), packets: u64) -> ExportedFlow {
        let pair = AddressPair {
            src: Ip::v4(src),
            dst: Ip::v4(dst),
            src_port: ports.0,
            dst_port: ports.1,
            proto,
            version: IpVersion::V4,
        };
        let at = |second: i64| Nanos(second * SECOND);
        let new = ExportedFlow::new(Protocol::NetFlow9, "192.0.2.1".parse().unwrap(), 0, at(span.1), pair);
        let forward = ExportedDirection { packets, bytes: packets * 100, tcp_flags: None, tos: Some(0) };
        ExportedFlow { first: at(span.0), last: at(span.1), forward, ..new }
    }

    const A: [u8; 4] = [10, 0, 0, 9];
    const B: [u8; 4] = [10, 0, 0, 1];

    fn records(flows: &[ExportedFlow]) -> (Vec<FlowRecord>, ExportedCounters) {
        let mut exported = Exported::new(ExportedConfig::new("s"));
        for flow in flows {
            exported.advance(flow.received);
            exported.handle_flow(flow);
            assert!(exported.counters().closes());
        }
        exported.finish();
        assert!(exported.counters().closes() && exported.counters().halves_waiting == 0);
        (std::mem::take(exported.records_mut()), exported.counters())
    }

    #[test]
    fn opposite_uniflows_are_one_record_begun_by_the_client() {
        let (r, _) = records(&[flow(B, A, (443, 50_000), 6, (0, 9), 7), flow(A, B, (50_000, 443), 6, (1, 8), 5)]);
        assert_eq!(r.len(), 1);
        assert_eq!((r[0].src_ip, r[0].src_port, r[0].dst_port), (Ip::v4(A), 50_000, 443));
        assert_eq!((r[0].src.packets, r[0].dst.map(|d| d.packets)), (5, Some(7)));
        assert_eq!((r[0].first_seen.0, r[0].last_seen.0), (0, 9_000_000));
    }

    #[test]
    fn a_syn_without_ack_outweighs_the_port() {
        let mut client = flow(A, B, (80, 50_000), 6, (0, 9), 1);
        client.forward.tcp_flags = Some(SYN);
        let mut server = flow(B, A, (50_000, 80), 6, (0, 9), 1);
        server.forward.tcp_flags = Some(SYN | ACK);
        let (r, _) = records(&[server, client]);
        assert_eq!((r.len(), r[0].src_port), (1, 80));
    }

    #[test]
    fn several_observers_are_counted_once() {
        let at_ingress = ExportedFlow {
            direction: Some(0),
            input_if: Some(1),
            output_if: Some(2),
            ..flow(A, B, (1, 2), 17, (0, 9), 5)
        };
        let at_egress = ExportedFlow { direction: Some(1), ..at_ingress.clone() };
        let elsewhere = ExportedFlow { exporter: "192.0.2.2".parse().unwrap(), ..at_ingress.clone() };
        let (r, c) = records(&[at_ingress, at_egress.clone(), elsewhere, at_egress]);
        assert_eq!((r.len(), r[0].src.packets, r[0].observations), (1, 5, 3));
        assert_eq!((c.duplicates, c.records, c.paired), (3, 1, 0));
        assert_eq!(r[0].dst, None);
    }

    #[test]
    fn segments_of_a_long_connection_go_on_and_a_new_one_begins_at_0() {
        let mut again = flow(A, B, (50_000, 443), 6, (150, 160), 1);
        again.forward.tcp_flags = Some(SYN);
        let flows = [
            flow(A, B, (50_000, 443), 6, (0, 60), 1),
            flow(B, A, (443, 50_000), 6, (0, 60), 2),
            flow(A, B, (50_000, 443), 6, (60, 120), 3),
            flow(B, A, (443, 50_000), 6, (60, 120), 4),
            again,
        ];
        let (r, _) = records(&flows);
        let told: Vec<_> = r
            .iter()
            .map(|r| (r.segment, r.flow_start.0 / 1_000_000, r.src.packets, r.dst.map(|d| d.packets)))
            .collect();
        assert_eq!(told, [(0, 0, 1, Some(2)), (1, 0, 3, Some(4)), (0, 150, 1, None)]);
    }

    #[test]
    fn sampled_packets_are_added_up_and_scaled() {
        let sample = |second: i64, packets| ExportedFlow {
            protocol: Protocol::SFlow,
            sampling: 100,
            ..flow(A, B, (1, 2), 17, (second, second), packets)
        };
        let (r, c) = records(&[sample(0, 1), sample(5, 1), sample(61, 1)]);
        let told: Vec<_> = r.iter().map(|r| (r.src.packets, r.sampling, r.segment)).collect();
        assert_eq!((told, c.merged), (vec![(200, 100, 0), (100, 100, 1)], 1));
    }

    #[test]
    fn echo_and_its_reply_are_one_record_and_unreachables_are_not() {
        let icmp = |src, dst, kind| flow(src, dst, (kind, 0), ICMP, (0, 1), 1);
        let (r, _) = records(&[icmp(B, A, 0), icmp(A, B, 8), icmp(A, B, 3), icmp(B, A, 3)]);
        let mut told: Vec<_> = r.iter().map(|r| (r.src_ip, r.dst_port, r.dst.is_some())).collect();
        told.sort();
        assert_eq!(told, [(Ip::v4(B), 768, false), (Ip::v4(A), 768, false), (Ip::v4(A), 2048, true)]);
    }

    #[test]
    fn uniflows_wait_as_long_as_they_should_and_no_more_than_fit() {
        let mut exported = Exported::new(ExportedConfig { max_flows: 2, ..ExportedConfig::new("s") });
        exported.handle_flow(&flow(A, B, (1, 9), 17, (0, 0), 1));
        exported.advance(Nanos(59 * SECOND));
        assert!(exported.records_mut().is_empty());
        exported.advance(Nanos(60 * SECOND));
        assert_eq!(exported.records_mut().len(), 1);
        for port in 2..5 {
            exported.handle_flow(&flow(A, B, (port, 9), 17, (61, 61), 1));
        }
        // The first was only remembered; the second made room for the fourth.
        assert_eq!((exported.counters().evicted, exported.records_mut().len()), (1, 2));
        exported.finish();
        assert!(exported.counters().closes() && exported.counters().records == 4);
    }
}
