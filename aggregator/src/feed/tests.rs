//! A meter and its reports.

use std::collections::BTreeMap;
use std::sync::Arc;

use capture::live::{MicroDirection, Microflow};
use capture::{AddressPair, Fragment, Ip, IpVersion, Link, Nanos, Packet, Sink, Tcp};

use super::*;
use crate::record::Origin;
use crate::{Aggregator, AggregatorConfig};

pub(super) fn second(source: &str) -> Second {
    Second {
        source: source.to_owned(),
        kind: SourceKind::Capture,
        sensor: "test".to_owned(),
        at: "2026-11-28T18:00:00.000000Z".to_owned(),
        interval_us: 1_000_000,
        ended: false,
        traffic: Traffic::default(),
        records: RecordCounts::default(),
        talkers: Vec::new(),
        pairs: Vec::new(),
        names: Vec::new(),
        short: Volume::default(),
        last: Vec::new(),
        drops: Vec::new(),
        ledger: BTreeMap::new(),
        reports_lost: 0,
    }
}

pub(super) fn report(source: &str) -> Report {
    Report {
        second: second(source),
        queues: Vec::new(),
        whole: BTreeMap::new(),
        written: BTreeMap::new(),
        sets: 0,
        gauges: Gauges::default(),
    }
}

fn ip(text: &str) -> Ip {
    Ip::from_ip_addr(text.parse().unwrap()).0
}

fn pair(src: &str, dst: &str) -> AddressPair {
    AddressPair { src: ip(src), dst: ip(dst), src_port: 1_000, dst_port: 443, proto: 17, version: IpVersion::V4 }
}

fn packet(src: &str, dst: &str, ip_bytes: u32) -> Packet {
    Packet {
        ts: Nanos(1_700_000_000_000_000_000),
        pair: pair(src, dst),
        ip_bytes,
        payload_bytes: 0,
        tcp: Tcp::default(),
        tos: 0,
        fragment: Fragment::Whole,
        link: Link::default(),
        tunnel: None,
        service: None,
    }
}

#[test]
fn ways_talkers_and_pairs_are_what_was_sent() {
    let home = Arc::new(HomeNetworks::default());
    let mut meter = Meter::new(Arc::clone(&home));
    let mut aggregator = Aggregator::new(AggregatorConfig::new("test", Origin::Pcap));
    let mut metered = Metered::new(&mut aggregator, Some(&mut meter));
    for (src, dst, bytes) in [
        ("10.0.0.1", "8.8.8.8", 100),
        ("8.8.8.8", "10.0.0.1", 900),
        ("8.8.8.8", "10.0.0.1", 1_100),
        ("10.0.0.1", "10.0.0.2", 40),
        ("9.9.9.9", "8.8.8.8", 7),
    ] {
        metered.packet(&packet(src, dst, bytes));
    }
    let counted = |packets, ip_bytes| MicroDirection {
        packets,
        ip_bytes,
        first: Nanos(1_700_000_000_000_000_000),
        last: Nanos(1_700_000_000_500_000_000),
        ..MicroDirection::default()
    };
    let AddressPair { src, dst, .. } = pair("10.0.0.3", "10.0.0.4");
    metered.microflow(&Microflow {
        low: src,
        high: dst,
        low_port: 5,
        high_port: 6,
        proto: 6,
        version: IpVersion::V4,
        link: Link::default(),
        tunnel: None,
        from_low: counted(3, 300),
        from_high: counted(2, 200),
    });
    meter.frames(10, 3_000);
    let part = meter.take();
    let empty = second("tap");
    let mut second = empty.clone();
    part.tell(&mut second, &home);
    let volume = |packets, bytes| Volume { packets, bytes };
    assert_eq!(
        second.traffic,
        Traffic {
            wire: volume(10, 3_000),
            incoming: volume(2, 2_000),
            outgoing: volume(1, 100),
            internal: volume(6, 540),
            external: volume(1, 7),
        }
    );
    let hosts: Vec<_> =
        second.talkers.iter().map(|h| (h.ip.as_str(), h.home, h.sent.bytes, h.received.bytes)).collect();
    assert_eq!(
        hosts,
        [
            ("10.0.0.1", true, 140, 2_000),
            ("8.8.8.8", false, 2_000, 107),
            ("10.0.0.3", true, 300, 200),
            ("10.0.0.4", true, 200, 300),
            ("10.0.0.2", true, 0, 40),
            ("9.9.9.9", false, 7, 0),
        ]
    );
    let first = &second.pairs[0];
    assert_eq!((first.a.as_str(), first.b.as_str()), ("8.8.8.8", "10.0.0.1"));
    assert_eq!((first.a_to_b, first.b_to_a), (volume(2, 2_000), volume(1, 100)));
    assert_eq!((second.records.flows_opened, second.short), (5, volume(0, 0)));
    assert_eq!(second.last.len(), 5);
    let opened = &second.last[4];
    assert_eq!((opened.open, opened.packets, opened.bytes), (true, Some(5), Some(500)));
    assert_eq!(opened.first_seen, "2023-11-14T22:13:20.000000Z");
    // Nothing is told twice.
    let mut next = empty.clone();
    meter.take().tell(&mut next, &home);
    assert_eq!(next, empty.clone());
}

#[test]
fn what_could_not_be_handed_over_is_in_the_next_part() {
    let home = Arc::new(HomeNetworks::default());
    let mut meter = Meter::new(Arc::clone(&home));
    meter.frames(1, 60);
    let part = meter.take();
    meter.frames(2, 200);
    meter.put_back(part);
    let mut second = second("tap");
    meter.take().tell(&mut second, &home);
    assert_eq!(second.traffic.wire, Volume { packets: 3, bytes: 260 });
}

#[test]
fn a_report_survives_its_way_as_json() {
    let mut full = report("tap");
    full.queues.push(QueueMeter {
        interface: "eth0".to_owned(),
        queue: 1,
        mode: "af_packet".to_owned(),
        ledger: BTreeMap::from([("packets.seen".to_owned(), u64::MAX)]),
    });
    let text = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), full);
}
