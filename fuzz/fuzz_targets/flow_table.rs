//! Any sequence of packets and of times, against a model of the flow table that is too simple to be wrong:
//! a map from key to counters, with the timeouts looked at one flow at a time.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use aggregator::record::{EndReason, FlowRecord, Origin};
use aggregator::{Aggregator, AggregatorConfig, Limits, Timeouts};
use arbitrary::Arbitrary;
use capture::{AddressPair, Fragment, Ip, IpVersion, Link, Nanos, Packet, Sink, Tcp};
use libfuzzer_sys::fuzz_target;

const SECOND: i64 = 1_000_000_000;
const ACTIVE: i64 = 60 * SECOND;
const IDLE: i64 = 15 * SECOND;

#[derive(Arbitrary, Debug)]
enum Operation {
    /// A UDP packet; the model knows all about it.
    Udp { wait_ms: u16, from: u8, to: u8, bytes: u16 },
    /// Any TCP packet; the model counts it.
    Tcp { wait_ms: u16, from: u8, to: u8, flags: u8, seq: u32, ack: u32, window: u16, bytes: u16, fragment: u8 },
    /// A packet from the past.
    Late { before_ms: u16, from: u8, to: u8 },
    /// The time is told.
    Advance { ms: u16 },
    /// What is finished is taken.
    Take,
}

#[derive(Arbitrary, Debug)]
struct Input {
    initial_flows: u8,
    hash_seed: u64,
    operations: Vec<Operation>,
}

/// A UDP flow of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    /// Ends of the key, the lower first; and whether the lower is the initiator.
    key: (u8, u8),
    initiator_is_low: bool,
    segment: u32,
    packets: [u64; 2],
    bytes: u64,
    first: i64,
    last: i64,
    begun_at: i64,
    active_at: i64,
}

#[derive(Default)]
struct Model {
    now: i64,
    flows: BTreeMap<(u8, u8), Flow>,
    finished: Vec<(Flow, u8)>,
    packets: u64,
    bytes: u64,
}

impl Model {
    /// Ends what is due.
    fn expire(&mut self) {
        let now = self.now;
        let finished = &mut self.finished;
        self.flows.retain(|_, flow| {
            let empty = |flow: &Flow| flow.packets == [0, 0];
            let idle_at = flow.active_at + IDLE;
            if !empty(flow) && flow.begun_at + ACTIVE < idle_at && flow.begun_at + ACTIVE <= now {
                finished.push((*flow, EndReason::Active as u8));
                (flow.packets, flow.bytes, flow.segment) = ([0, 0], 0, flow.segment + 1);
            }
            let keep = idle_at > now;
            if !keep && !empty(flow) {
                finished.push((*flow, EndReason::Idle as u8));
            }
            keep
        });
    }

    fn udp(&mut self, ts: i64, from: u8, to: u8, bytes: u32) {
        self.now = self.now.max(ts);
        self.expire();
        let now = self.now;
        let low = from <= to;
        let key = (from.min(to), from.max(to));
        let flow = self.flows.entry(key).or_insert(Flow {
            key,
            initiator_is_low: low,
            segment: 0,
            packets: [0, 0],
            bytes: 0,
            first: ts,
            last: ts,
            begun_at: now,
            active_at: now,
        });
        if flow.packets == [0, 0] {
            (flow.first, flow.last, flow.begun_at) = (ts, ts, now);
        }
        flow.first = flow.first.min(ts);
        flow.last = flow.last.max(ts);
        flow.active_at = now;
        flow.packets[usize::from(!low)] += 1;
        flow.bytes += u64::from(bytes);
    }
}

fn packet(ts: i64, proto: u8, from: u8, to: u8, ip_bytes: u32) -> Packet {
    Packet {
        ts: Nanos(ts),
        pair: AddressPair {
            src: Ip::v4([10, 0, 0, from]),
            dst: Ip::v4([10, 0, 0, to]),
            src_port: 1000 + u16::from(from),
            dst_port: 1000 + u16::from(to),
            proto,
            version: IpVersion::V4,
        },
        ip_bytes,
        payload_bytes: ip_bytes.saturating_sub(40),
        tcp: Tcp::default(),
        tos: 0,
        fragment: Fragment::Whole,
        link: Link::default(),
        tunnel: None,
        service: None,
    }
}

/// What the model and the record must agree on.
fn essence(r: &FlowRecord) -> ((u8, u8), u32, u64, u64, u64, i64, i64, u8) {
    let dst = r.dst.unwrap_or_default();
    let key = (r.src_ip.0[15], r.dst_ip.0[15]);
    let bytes = r.src.bytes + dst.bytes;
    (key, r.segment, r.src.packets, dst.packets, bytes, r.first_seen.0, r.last_seen.0, r.end_reason as u8)
}

fuzz_target!(|input: Input| {
    let timeouts = Timeouts {
        active: Duration::from_nanos(ACTIVE as u64),
        idle_other: Duration::from_nanos(IDLE as u64),
        ..Timeouts::default()
    };
    let limits = Limits { initial_flows: input.initial_flows.into(), ..Limits::default() };
    let mut aggregator = Aggregator::new(AggregatorConfig {
        timeouts,
        limits,
        hash_seed: input.hash_seed,
        ..AggregatorConfig::new("fuzz", Origin::Pcap)
    });
    let mut model = Model { now: 1_700_000_000 * SECOND, ..Model::default() };
    // Both clocks begin there, even if the first packet is a late one.
    aggregator.advance(Nanos(model.now));
    let mut records = Vec::new();
    for operation in input.operations {
        match operation {
            Operation::Udp { wait_ms, from, to, bytes } => {
                let ts = model.now + i64::from(wait_ms) * 1_000_000;
                aggregator.packet(&packet(ts, 17, from, to, bytes.into()));
                model.udp(ts, from, to, bytes.into());
                (model.packets, model.bytes) = (model.packets + 1, model.bytes + u64::from(bytes));
            }
            Operation::Tcp { wait_ms, from, to, flags, seq, ack, window, bytes, fragment } => {
                model.now += i64::from(wait_ms) * 1_000_000;
                let fragment = match fragment {
                    0 => Fragment::First,
                    1 => Fragment::Later { ports_known: true },
                    2 => Fragment::Later { ports_known: false },
                    _ => Fragment::Whole,
                };
                let tcp = Tcp { flags, seq, ack, window };
                aggregator.packet(&Packet { tcp, fragment, ..packet(model.now, 6, from, to, bytes.into()) });
                (model.packets, model.bytes) = (model.packets + 1, model.bytes + u64::from(bytes));
            }
            Operation::Late { before_ms, from, to } => {
                // Never so far behind that the clock is taken to have stepped back.
                let ts = model.now - i64::from(before_ms % 60_000) * 1_000_000;
                aggregator.packet(&packet(ts, 17, from, to, 100));
                model.udp(ts, from, to, 100);
                (model.packets, model.bytes) = (model.packets + 1, model.bytes + 100);
            }
            Operation::Advance { ms } => {
                model.now += i64::from(ms) * 1_000_000;
                aggregator.advance(Nanos(model.now));
                model.expire();
            }
            Operation::Take => records.append(&mut aggregator.take_records().flow),
        }
    }
    model.expire();
    aggregator.finish();
    records.append(&mut aggregator.take_records().flow);

    let stats = aggregator.stats();
    assert_eq!((stats.packets_exported, stats.packets_live), (model.packets, 0));
    assert_eq!((stats.bytes_exported, stats.bytes_live), (model.bytes, 0));
    assert_eq!((stats.flows_opened, stats.flows_live), (records.len() as u64, 0));
    assert_eq!(stats.flows_exported(), records.len() as u64);
    let all = |r: &FlowRecord| r.src.packets + r.dst.map_or(0, |dst| dst.packets);
    assert_eq!(records.iter().map(all).sum::<u64>(), model.packets);

    let open = model.flows.values().filter(|flow| flow.packets != [0, 0]).map(|flow| (*flow, EndReason::Forced as u8));
    let mut expected: Vec<_> = model
        .finished
        .iter()
        .copied()
        .chain(open)
        .map(|(flow, reason)| {
            let (low, high) = flow.key;
            let [from_low, from_high] = flow.packets;
            let (key, src, dst) = if flow.initiator_is_low {
                ((low, high), from_low, from_high)
            } else {
                ((high, low), from_high, from_low)
            };
            (key, flow.segment, src, dst, flow.bytes, flow.first / 1_000, flow.last / 1_000, reason)
        })
        .collect();
    let mut seen: Vec<_> = records.iter().filter(|r| r.proto == 17).map(essence).collect();
    expected.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, expected);
});
