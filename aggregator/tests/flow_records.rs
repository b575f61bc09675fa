//! What a flow record is: when it begins and ends, who the initiator is, what it counts.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use aggregator::record::{EndReason, Micros, Origin};
use aggregator::{Aggregator, AggregatorConfig, Limits, Timeouts};
use capture::{Fragment, Packet, Sink};
use support::*;

const A: ([u8; 4], u16) = ([10, 0, 0, 1], 5_000);
const B: ([u8; 4], u16) = ([10, 0, 0, 2], 53);

fn micros(seconds: f64) -> Micros {
    Micros(at(seconds).micros())
}

#[test]
fn both_directions_are_one_record() {
    let mut answer = udp(0.5, B, A);
    answer.ip_bytes = 300;
    answer.tos = 0x20;
    let records = flows([udp(0.0, A, B), answer, udp(1.0, A, B)]);
    assert_eq!(records.len(), 1);
    let r = &records[0];
    assert_eq!((r.src_port, r.dst_port, r.proto), (5_000, 53, 17));
    assert_eq!((r.src.packets, r.src.bytes, r.src.tos), (2, 200, Some(0)));
    let dst = r.dst.unwrap();
    assert_eq!((dst.packets, dst.bytes, dst.tos, dst.tcp_flags), (1, 300, Some(0x20), None));
    assert_eq!((r.first_seen, r.last_seen, r.flow_start), (micros(0.0), micros(1.0), micros(0.0)));
    assert_eq!((r.end_reason, r.segment), (EndReason::Forced, 0));
}

#[test]
fn a_silent_responder_sent_zero_packets_not_an_unknown_number() {
    let records = flows([udp(0.0, A, B)]);
    assert_eq!(records[0].dst.map(|dst| (dst.packets, dst.bytes, dst.tos)), Some((0, 0, None)));
}

#[test]
fn idle_ends_at_15_s_for_udp_and_60_s_for_tcp_exactly() {
    let before = flows([udp(0.0, A, B), udp(14.999_999_999, A, B)]);
    assert_eq!(before.len(), 1);
    let at_deadline = flows([udp(0.0, A, B), udp(15.0, A, B)]);
    assert_eq!(at_deadline.iter().map(|r| r.end_reason).collect::<Vec<_>>(), [EndReason::Idle, EndReason::Forced]);

    let syn = Script::new().send(Client, SYN, 0);
    let mut aggregator = aggregator();
    aggregator.packet(&syn.packets[0]);
    aggregator.advance(at(59.999_999_999));
    assert_eq!(aggregator.finished(), 0);
    aggregator.advance(at(60.0));
    let records = aggregator.take_records();
    assert_eq!(records.flow.len(), 1);
    assert_eq!(records.flow[0].end_reason, EndReason::Idle);
}

#[test]
fn a_long_connection_goes_on_in_segments() {
    // A packet every 10 s for 150 s: segments begin at 0, 60 and 120.
    let packets: Vec<Packet> = (0..=15)
        .map(|i| if i % 3 == 0 { udp(f64::from(i) * 10.0, A, B) } else { udp(f64::from(i) * 10.0, B, A) })
        .collect();
    let records = flows(packets);
    let seen: Vec<_> = records
        .iter()
        .map(|r| (r.segment, r.first_seen, r.last_seen, r.src.packets + r.dst.unwrap().packets, r.end_reason))
        .collect();
    assert_eq!(
        seen,
        [
            (0, micros(0.0), micros(50.0), 6, EndReason::Active),
            (1, micros(60.0), micros(110.0), 6, EndReason::Active),
            (2, micros(120.0), micros(150.0), 4, EndReason::Forced),
        ]
    );
    assert!(
        records.iter().all(|r| r.flow_start == micros(0.0) && r.src_port == 5_000),
        "initiator and start never change"
    );
    let ids: std::collections::BTreeSet<_> = records.iter().map(|r| r.record_id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_connection_that_falls_silent_after_its_active_timeout_leaves_no_empty_record() {
    let mut aggregator = aggregator();
    for i in 0..6 {
        aggregator.packet(&udp(f64::from(i) * 10.0, A, B));
    }
    aggregator.advance(at(1_000.0));
    let records = aggregator.take_records().flow;
    assert_eq!(
        records.iter().map(|r| (r.segment, r.src.packets, r.end_reason)).collect::<Vec<_>>(),
        [(0, 6, EndReason::Active)]
    );
    aggregator.packet(&udp(1_001.0, B, A));
    aggregator.finish();
    let next = aggregator.take_records().flow;
    assert_eq!((next[0].segment, next[0].src_port), (0, 53), "another flow, with its own initiator");
    let stats = aggregator.stats();
    assert_eq!((stats.flows_opened, stats.flows_exported(), stats.flows_live), (2, 2, 0));
}

#[test]
fn tcp_ends_two_seconds_after_fin_and_fin() {
    let script = Script::new().handshake().send(Client, FIN | ACK, 0).send(Server, FIN | ACK, 0).send(Client, ACK, 0);
    let mut aggregator = aggregator();
    script.packets.iter().for_each(|p| aggregator.packet(p));
    // The second FIN is the packet at 0.04 s.
    aggregator.advance(at(2.039));
    assert_eq!(aggregator.finished(), 0);
    aggregator.advance(at(2.04));
    let record = aggregator.take_records().flow.remove(0);
    assert_eq!((record.end_reason, record.conn_state, record.src.packets), (EndReason::Detected, Some("SF"), 4));
    assert_eq!(record.src.tcp_flags, Some(SYN | ACK | FIN));
}

#[test]
fn a_new_syn_after_the_end_is_a_new_connection() {
    for end in [RST, FIN | ACK] {
        let script = Script::new().handshake().send(Client, end, 0).send(Client, SYN, 0).send(Server, SYN | ACK, 0);
        let records = flows(script.packets);
        let seen: Vec<_> = records.iter().map(|r| (r.segment, r.src.packets, r.end_reason)).collect();
        assert_eq!(seen, [(0, 3, EndReason::Detected), (0, 1, EndReason::Forced)]);
    }
}

#[test]
fn a_retransmitted_syn_is_not_a_new_connection() {
    let records = flows(Script::new().send(Client, SYN, 0).raw(Client, SYN, 0, 1_000, 1_000).packets);
    assert_eq!(records.len(), 1);
}

#[test]
fn the_initiator_is_the_syn_s_sender_or_the_syn_ack_s_receiver() {
    let first = flows(Script::new().send(Server, SYN | ACK, 0).packets);
    assert_eq!((first[0].src_port, first[0].dst_port, first[0].src.packets), (40_000, 80, 0));
    let later = flows(Script::new().send(Server, ACK, 5).send(Server, SYN | ACK, 0).packets);
    assert_eq!((later[0].src_port, later[0].dst.unwrap().packets), (40_000, 2));
    let never = flows(Script::new().send(Server, ACK, 5).send(Client, ACK, 5).packets);
    assert_eq!(never[0].src_port, 80);
}

#[test]
fn echo_request_and_reply_are_one_flow() {
    let request = packet(at(0.0), pair(1, A.0, 8, B.0, 0));
    let reply = packet(at(0.1), pair(1, B.0, 0, A.0, 0));
    let records = flows([request, reply]);
    assert_eq!(records.len(), 1);
    let r = &records[0];
    assert_eq!((r.src_port, r.dst_port, r.src.packets, r.dst.unwrap().packets), (0, 8 * 256, 1, 1));
    assert_eq!((r.conn_state, r.history), (Some("OTH"), None));
    // The other's own request is another flow.
    let crossed = flows([request, packet(at(0.1), pair(1, B.0, 8, A.0, 0))]);
    assert_eq!(crossed.len(), 2);
}

#[test]
fn one_way_icmp_is_kept_apart_by_direction_type_and_code() {
    let unreachable = |seconds, from: [u8; 4], to, code| packet(at(seconds), pair(1, from, 3, to, code));
    let records = flows([
        unreachable(0.0, A.0, B.0, 1),
        unreachable(0.1, B.0, A.0, 1),
        unreachable(0.2, A.0, B.0, 3),
        unreachable(0.3, A.0, B.0, 1),
    ]);
    let seen: Vec<_> = records.iter().map(|r| (r.dst_port, r.src.packets)).collect();
    assert_eq!(seen, [(3 * 256 + 1, 2), (3 * 256 + 1, 1), (3 * 256 + 3, 1)]);
}

#[test]
fn a_later_fragment_of_an_unseen_datagram_stands_with_ports_0() {
    let mut later = packet(at(0.1), pair(1, A.0, 0, B.0, 0));
    later.fragment = Fragment::Later { ports_known: false };
    let request = packet(at(0.0), pair(1, A.0, 8, B.0, 0));
    let records = flows([request, later]);
    assert_eq!(records.iter().map(|r| (r.src_port, r.dst_port)).collect::<Vec<_>>(), [(0, 2048), (0, 0)]);

    let mut known = udp(0.1, A, B);
    known.fragment = Fragment::Later { ports_known: true };
    assert_eq!(flows([udp(0.0, A, B), known]).len(), 1);
}

#[test]
fn a_vlan_divides_flows_only_if_it_is_in_the_key() {
    let mut tagged = udp(0.1, B, A);
    tagged.link.vlan = Some(7);
    assert_eq!(flows([udp(0.0, A, B), tagged]).len(), 1);
    let mut aggregator =
        Aggregator::new(AggregatorConfig { vlan_in_key: true, ..AggregatorConfig::new("test", Origin::Pcap) });
    aggregator.packet(&udp(0.0, A, B));
    aggregator.packet(&tagged);
    aggregator.finish();
    let records = aggregator.take_records().flow;
    assert_eq!(records.iter().map(|r| (r.vlan, r.src.packets)).collect::<Vec<_>>(), [(None, 1), (Some(7), 1)]);
}

#[test]
fn ipv4_and_the_ipv6_address_that_looks_like_it_are_two_flows() {
    let mut v6 = udp(0.1, B, A);
    v6.pair.version = capture::IpVersion::V6;
    assert_eq!(flows([udp(0.0, A, B), v6]).len(), 2);
}

#[test]
fn mac_addresses_follow_the_initiator() {
    let mut syn_ack = Script::new().send(Server, SYN | ACK, 0).packets.remove(0);
    syn_ack.link.macs = Some(([1; 6], [2; 6]));
    assert_eq!(flows([syn_ack])[0].macs, Some(([2; 6], [1; 6])));
}

#[test]
fn late_packets_count_where_they_belong() {
    let records = flows([udp(10.0, A, B), udp(9.0, A, B), udp(20.0, ([10, 0, 0, 9], 1), B), udp(19.0, A, B)]);
    let seen: Vec<_> = records.iter().map(|r| (r.first_seen, r.last_seen, r.src.packets)).collect();
    assert_eq!(seen, [(micros(9.0), micros(19.0), 3), (micros(20.0), micros(20.0), 1)]);
}

#[test]
fn files_put_one_after_the_other_do_not_stop_the_clock() {
    let mut aggregator = aggregator();
    aggregator.packet(&udp(7_200.0, A, B));
    // The second file begins two hours earlier; a packet every second.
    for i in 0..600 {
        aggregator.packet(&udp(f64::from(i), ([10, 0, 0, 3], 1), ([10, 0, 0, 4], 2)));
    }
    aggregator.finish();
    let stats = aggregator.stats();
    assert_eq!(stats.clock_steps_back, 1);
    let segments: Vec<u64> =
        aggregator.take_records().flow.iter().filter(|r| r.src_port == 1).map(|r| r.src.packets).collect();
    // 64 packets before the step was sure, and what came up to the active timeout after it.
    assert_eq!(segments.iter().sum::<u64>(), 600);
    assert_eq!(segments.len(), 9, "{segments:?}");
}

#[test]
fn a_single_packet_from_the_past_does_not_move_the_clock() {
    let mut aggregator = aggregator();
    aggregator.packet(&udp(1_000.0, A, B));
    aggregator.packet(&udp(0.0, ([10, 0, 0, 3], 1), B));
    aggregator.packet(&udp(1_001.0, A, B));
    aggregator.finish();
    assert_eq!(aggregator.take_records().flow.len(), 2);
    assert_eq!((aggregator.stats().late_packets, aggregator.stats().clock_steps_back), (1, 0));
}

#[test]
fn a_full_table_gives_up_the_idlest_and_says_so() {
    let config = AggregatorConfig {
        limits: Limits { initial_flows: 4, max_flows: 16, ..Limits::default() },
        ..AggregatorConfig::new("test", Origin::Pcap)
    };
    let mut aggregator = Aggregator::new(config);
    // One flow talks all the time; a flood of single packets passes.
    for i in 0..1_000_u32 {
        let [.., c, d] = i.to_be_bytes();
        aggregator.packet(&udp(f64::from(i) * 0.01, ([172, 16, c, d], 1), B));
        aggregator.packet(&udp(f64::from(i) * 0.01, A, B));
    }
    aggregator.finish();
    let stats = aggregator.stats();
    let records = aggregator.take_records().flow;
    assert_eq!(records.iter().filter(|r| r.src_port == A.1).map(|r| r.src.packets).collect::<Vec<_>>(), [1_000]);
    assert_eq!(records.len(), 1_001);
    assert_eq!(
        stats.flows_evicted,
        records.iter().filter(|r| r.end_reason == EndReason::LackOfResources).count() as u64
    );
    assert_eq!((stats.flows_evicted, stats.packets_exported, stats.packets_live), (1_001 - 16, 2_000, 0));
}

#[test]
fn same_key_restarting_within_a_microsecond_gets_its_own_id() {
    let mut packets = Script::new().send(Client, SYN, 0).send(Server, RST | ACK, 0).packets;
    packets.extend(packets.clone());
    packets.extend(packets.clone());
    packets.iter_mut().for_each(|p| p.ts = at(0.0));
    let records = flows(packets.clone());
    let ids: std::collections::BTreeSet<_> = records.iter().map(|r| r.record_id).collect();
    assert_eq!((records.len(), ids.len()), (4, 4));
    assert_eq!(flows(packets), records, "and the same ids again");
}

#[test]
fn record_id_is_what_the_documentation_says() {
    let record = flows([udp(0.0, A, B)]).remove(0);
    let key = blake3::derive_key("spotter record id 1", b"test\0pcap");
    let mut bytes = vec![b'F'];
    bytes.extend(micros(0.0).0.to_le_bytes());
    bytes.extend(record.src_ip.0);
    bytes.extend(record.dst_ip.0);
    bytes.extend(5_000_u16.to_le_bytes());
    bytes.extend(53_u16.to_le_bytes());
    bytes.extend([17, 4, 0, 0]);
    bytes.extend([0; 8]);
    assert_eq!(record.record_id.0, blake3::keyed_hash(&key, &bytes).as_bytes()[..16]);
}

#[test]
fn what_ends_at_the_same_moment_comes_in_the_order_it_began() {
    let mut aggregator = aggregator();
    let ports = [9, 3, 7, 1, 8];
    for port in ports {
        aggregator.packet(&udp(1.0, (A.0, port), B));
    }
    aggregator.packet(&udp(0.5, (A.0, 2), B));
    aggregator.advance(at(100.0));
    let order: Vec<u16> = aggregator.take_records().flow.iter().map(|r| r.src_port).collect();
    assert_eq!(order, [9, 3, 7, 1, 8, 2]);
}

#[test]
fn timeouts_of_zero_and_for_ever_are_possible() {
    use std::time::Duration;
    for (timeout, expected) in [(Duration::ZERO, 3), (Duration::MAX, 1)] {
        let timeouts = Timeouts { active: timeout, idle_tcp: timeout, idle_other: timeout, ..Timeouts::default() };
        let mut aggregator =
            Aggregator::new(AggregatorConfig { timeouts, ..AggregatorConfig::new("test", Origin::Pcap) });
        (0..3).for_each(|i| aggregator.packet(&udp(f64::from(i), A, B)));
        aggregator.finish();
        assert_eq!(aggregator.take_records().flow.len(), expected);
    }
}
