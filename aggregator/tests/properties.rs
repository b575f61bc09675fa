//! What holds for any sequence of packets.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use aggregator::record::{FlowRecord, Origin};
use aggregator::{Aggregator, AggregatorConfig, Books, Limits, Stats};
use capture::{Fate, Fragment, Packet, Sink};
use proptest::prelude::*;
use support::*;

/// A packet among few hosts and ports, so that flows meet, end, begin again and collide; times go back
/// sometimes.
#[derive(Clone, Debug)]
struct Step {
    wait_ms: i64,
    src: u8,
    dst: u8,
    port: u16,
    proto: u8,
    flags: u8,
    bytes: u16,
    advance: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![6 => 0..50_i64, 2 => 0..5_000_i64, 1 => 10_000..70_000_i64, 1 => -3_000..0_i64];
    let proto = prop::sample::select(vec![6, 6, 6, 17, 1, 58, 47]);
    let flags = prop::sample::select(vec![SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK, 0, 0xff]);
    (wait, 1..4_u8, 1..4_u8, 0..3_u16, proto, flags, 0..1_400_u16, prop::bool::weighted(0.1)).prop_map(
        |(wait_ms, src, dst, port, proto, flags, bytes, advance)| Step {
            wait_ms,
            src,
            dst,
            port,
            proto,
            flags,
            bytes,
            advance,
        },
    )
}

fn packets(steps: &[Step]) -> Vec<(Packet, bool)> {
    let mut seconds = 0.0;
    let packet_of = |step: &Step| {
        seconds += step.wait_ms as f64 / 1_000.0;
        // The client has the port; the server's is 80.
        let (src_port, dst_port) = match step.proto {
            6 | 17 if step.src < step.dst => (40_000 + step.port, 80),
            6 | 17 => (80, 40_000 + step.port),
            1 | 58 => ([8, 0, 3][usize::from(step.port)], step.port),
            _ => (0, 0),
        };
        let mut packet =
            packet(at(seconds), pair(step.proto, [10, 0, 0, step.src], src_port, [10, 0, 0, step.dst], dst_port));
        packet.ip_bytes = 40 + u32::from(step.bytes);
        packet.payload_bytes = u32::from(step.bytes);
        packet.tos = step.port as u8;
        packet.link.vlan = (step.port > 0).then_some(step.port);
        if step.bytes.is_multiple_of(7) {
            packet.fragment = Fragment::First;
        }
        if step.proto == 6 {
            packet.tcp.flags = step.flags;
            packet.tcp.seq = u32::from(step.bytes) * 1_000;
            packet.tcp.ack = u32::from(step.bytes) * 900;
            packet.tcp.window = u16::from(!step.bytes.is_multiple_of(5));
        }
        (packet, step.advance)
    };
    steps.iter().map(packet_of).collect()
}

fn run(config: AggregatorConfig, packets: &[(Packet, bool)], use_advance: bool) -> (Vec<FlowRecord>, Stats) {
    let mut aggregator = Aggregator::new(config);
    let mut records = Vec::new();
    for (packet, advance) in packets {
        if *advance && use_advance {
            aggregator.advance(packet.ts);
            records.append(&mut aggregator.take_records().flow);
        }
        aggregator.packet(packet);
    }
    aggregator.finish();
    records.append(&mut aggregator.take_records().flow);
    (records, aggregator.stats())
}

fn config() -> AggregatorConfig {
    AggregatorConfig::new("test", Origin::Pcap)
}

fn canonical(flow: Vec<FlowRecord>) -> Vec<FlowRecord> {
    let mut records = aggregator::record::Records { flow, ..Default::default() };
    records.sort();
    records.flow
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn packets_and_bytes_in_are_packets_and_bytes_out(
        steps in prop::collection::vec(step(), 0..300),
        max_flows in 1..40_usize,
    ) {
        let packets = packets(&steps);
        let limits = Limits { initial_flows: 1, max_flows, ..Limits::default() };
        let (records, stats) = run(AggregatorConfig { limits, ..config() }, &packets, true);
        let out = |f: fn(&aggregator::record::Direction) -> u64| records.iter().map(|r| f(&r.src) + r.dst.as_ref().map_or(0, f)).sum::<u64>();
        prop_assert_eq!(out(|d| d.packets), packets.len() as u64);
        prop_assert_eq!(out(|d| d.bytes), packets.iter().map(|(p, _)| u64::from(p.ip_bytes)).sum::<u64>());
        prop_assert_eq!(stats.flows_exported(), records.len() as u64);
        let mut books = Books::new();
        for (packet, _) in &packets {
            books.seen(packet.ip_bytes + 14);
            books.fate(packet.ip_bytes + 14, Fate::Received { ip_bytes: packet.ip_bytes });
        }
        prop_assert_eq!(books.close(&stats), Ok(()));
        for r in &records {
            prop_assert!(r.src.packets + r.dst.unwrap().packets > 0, "an empty record: {:?}", r);
            prop_assert!(r.first_seen <= r.last_seen);
        }
        let ids: std::collections::BTreeSet<_> = records.iter().map(|r| r.record_id).collect();
        prop_assert_eq!(ids.len(), records.len(), "ids are unique");
    }

    /// The same records in the same order, whatever the table's first size and the seed of its hash.
    #[test]
    fn table_size_and_hash_seed_change_nothing(
        steps in prop::collection::vec(step(), 0..300),
        initial_flows in 1..2_000_usize,
        hash_seed: u64,
    ) {
        let packets = packets(&steps);
        let limits = Limits { initial_flows, ..Limits::default() };
        let (one, _) = run(config(), &packets, true);
        let (other, _) = run(AggregatorConfig { limits, hash_seed, ..config() }, &packets, true);
        prop_assert_eq!(one, other);
    }

    /// The same records, whether or not the time is told between packets.
    #[test]
    fn telling_the_time_changes_nothing(steps in prop::collection::vec(step(), 0..300)) {
        let packets = packets(&steps);
        let (with, _) = run(config(), &packets, true);
        let (without, _) = run(config(), &packets, false);
        prop_assert_eq!(canonical(with), canonical(without));
    }
}
