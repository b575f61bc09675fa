//! Uniflows in, records out.

use capture::collect::{ExportedDirection, Protocol};
use capture::{AddressPair, Ip, IpVersion};

use super::pair::ACK;
use super::*;
use crate::icmp::ICMP;

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
    let at_ingress =
        ExportedFlow { direction: Some(0), input_if: Some(1), output_if: Some(2), ..flow(A, B, (1, 2), 17, (0, 9), 5) };
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
    let told: Vec<_> =
        r.iter().map(|r| (r.segment, r.flow_start.0 / 1_000_000, r.src.packets, r.dst.map(|d| d.packets))).collect();
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
fn the_end_in_parts_is_the_end() {
    let taken = || {
        let mut exported = Exported::new(ExportedConfig::new("s"));
        (0..3_000_u16).for_each(|n| exported.handle_flow(&flow(A, B, (n, 443), 6, (i64::from(n * 7 % 100), 100), 1)));
        exported
    };
    let (mut whole, mut parts, mut records) = (taken(), taken(), Vec::new());
    whole.finish();
    while parts.finish_part(700) {
        assert_eq!(parts.records_mut().len(), 700);
        records.append(parts.records_mut());
    }
    records.append(parts.records_mut());
    assert_eq!((records.len(), &records), (3_000, &*whole.records_mut()));
    assert!(parts.counters().closes() && parts.counters().halves_waiting == 0);
}

#[test]
fn deadlines_of_a_flow_that_is_reported_for_ever_do_not_pile_up() {
    let mut exported = Exported::new(ExportedConfig::new("s"));
    for n in 0..50_000 {
        let sample = ExportedFlow { protocol: Protocol::SFlow, ..flow(A, B, (1, 2), 17, (n / 1_000, n / 1_000), 1) };
        exported.advance(sample.received);
        exported.handle_flow(&sample);
    }
    assert!(exported.queues.iter().all(|queue| queue.len() <= 2 + SPARE));
    exported.finish();
    assert_eq!((exported.records_mut().len(), exported.records_mut()[0].src.packets), (1, 50_000));
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
