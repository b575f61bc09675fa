//! What a packet costs the aggregator, beside hashbrown with foldhash holding the same flows. CPU time of the
//! thread, less that of making the packets. Not a check: run it by hand,
//!
//! `cargo test --release -p aggregator --lib cost -- --ignored --nocapture`

use std::hint::black_box;

use capture::{AddressPair, Fragment, Ip, IpVersion, Link, Nanos, Packet, Sink, Tcp};

use crate::flow::{Flow, FlowTimeouts};
use crate::key::{Key, KeyHasher};
use crate::record::{EndReason, Origin};
use crate::record_id::RecordIds;
use crate::{Aggregator, AggregatorConfig, Limits, Timeouts};

const PACKETS: usize = 2_000_000;

/// Nanoseconds this thread has run.
fn cpu() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 11
}

/// Which flow each packet belongs to: Zipf with exponent 1, popular flows spread over the numbers.
fn zipf(flows: u32) -> Vec<u32> {
    let mut state = 1;
    let draw = |state: &mut u64| {
        let u = random(state) as f64 / (1_u64 << 53) as f64;
        let rank = f64::from(flows).powf(u) as u32 - 1;
        rank.min(flows - 1).wrapping_mul(0x9e37_79b1) % flows
    };
    (0..PACKETS).map(|_| draw(&mut state)).collect()
}

fn packet(i: usize, flow: u32, proto: u8, nanos_apart: i64) -> Packet {
    let [a, b, c, d] = flow.to_be_bytes();
    let pair = AddressPair {
        src: Ip::v4([10, b, c, d]),
        dst: Ip::v4([203, 0, a, d >> 1]),
        src_port: flow as u16 | 1024,
        dst_port: 443,
        proto,
        version: IpVersion::V4,
    };
    let back = i & 1 == 1;
    Packet {
        ts: Nanos(1_700_000_000_000_000_000 + i as i64 * nanos_apart),
        pair: if back { pair.reversed() } else { pair },
        ip_bytes: 1_000,
        payload_bytes: 960,
        tcp: if proto == 6 { Tcp { flags: 0x10, seq: i as u32 * 960, ack: 1, window: 500 } } else { Tcp::default() },
        tos: 0,
        fragment: Fragment::Whole,
        link: Link { macs: Some(([1; 6], [2; 6])), ethertype: Some(0x0800), vlan: None, cos: None },
        tunnel: None,
        service: None,
    }
}

/// Best of three.
fn measure(packets: usize, mut run: impl FnMut()) -> f64 {
    let best = (0..3).map(|_| {
        let start = cpu();
        run();
        cpu() - start
    });
    best.min().unwrap() as f64 / packets as f64
}

#[test]
#[ignore = "a measurement"]
fn packets() {
    println!("Flow is {} bytes", size_of::<Flow>());
    for proto in [17, 6] {
        for flows in [1_024, 65_536, 524_288] {
            let ids = zipf(flows);
            let making = measure(PACKETS, || {
                ids.iter().enumerate().for_each(|(i, &flow)| {
                    black_box(packet(i, flow, proto, 500));
                });
            });
            let limits = Limits { max_flows: 1 << 20, ..Limits::default() };
            let config = AggregatorConfig { limits, ..AggregatorConfig::new("cost", Origin::Pcap) };
            let mut aggregator = Aggregator::new(config);
            let mut feed =
                || ids.iter().enumerate().for_each(|(i, &flow)| aggregator.packet(&packet(i, flow, proto, 500)));
            feed();
            let ours = measure(PACKETS, feed) - making;

            let timeouts = FlowTimeouts::from(&Timeouts::default());
            let mut map: hashbrown::HashMap<Key, Flow> = hashbrown::HashMap::new();
            let mut feed = || {
                for (i, &flow) in ids.iter().enumerate() {
                    let packet = packet(i, flow, proto, 500);
                    let (key, sender) = Key::of(&packet, false);
                    let now = packet.ts.0;
                    let flow = map.entry(key).or_insert_with(|| Flow::open(key, 0, 0, now, sender, &packet));
                    black_box(flow.deadline(&timeouts));
                    flow.add(now, sender, &packet);
                }
            };
            feed();
            let peer = measure(PACKETS, feed) - making;
            println!(
                "proto {proto}, {flows} flows: {ours:.1} ns a packet; hashbrown {peer:.1}; ratio {:.2} (making the packet {making:.1})",
                peer / ours
            );
        }
    }
}

/// Every packet begins a flow, and every flow becomes a record: a scan.
#[test]
#[ignore = "a measurement"]
fn records() {
    let count = 1_000_000;
    let ns = measure(count, || {
        let mut aggregator = Aggregator::new(AggregatorConfig::new("cost", Origin::Pcap));
        for i in 0..count {
            aggregator.packet(&packet(i & !1, i as u32, 17, 40_000));
            if aggregator.finished() > 10_000 {
                black_box(aggregator.take_records());
            }
        }
        aggregator.finish();
        black_box(aggregator.take_records());
    });
    println!("one-packet flows: {ns:.0} ns for packet, flow and record");

    let mut ids = RecordIds::new("cost", Origin::Pcap);
    let packet = packet(0, 1, 6, 0);
    let (key, sender) = Key::of(&packet, false);
    let flow = Flow::open(key, KeyHasher::new(1).hash(&key) as u32, 0, 0, sender, &packet);
    let mut record = flow.record(Origin::Pcap, Default::default(), EndReason::Idle);
    let ns = measure(count, || {
        for i in 0..count {
            record.flow_start.0 = i as i64;
            black_box(ids.flow(&record, 0));
        }
    });
    println!("record id: {ns:.0} ns");
    let ns = measure(count, || {
        for _ in 0..count {
            black_box(crate::CommunityId::of_flow(black_box(&record)));
        }
    });
    println!("Community ID: {ns:.0} ns");
}
