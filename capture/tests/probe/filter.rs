//! The kernel program drops what the rules, asked in user space, drop.

use std::cell::{Cell, RefCell};

use capture::live::Filter;
use etherparse::PacketBuilder;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Memory, by_hand, load, read_all};

/// A network of few, which lie in one another, of both versions.
fn net() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_u8..4, 0_u8..3, prop::sample::select(vec![0, 7, 8, 15, 16, 23, 24, 31, 32]))
            .prop_map(|(b, d, prefix)| format!("10.{b}.0.{d}/{prefix}")),
        (0_u8..4, 0_u8..3, prop::sample::select(vec![0, 1, 31, 32, 63, 64, 65, 96, 127, 128]))
            .prop_map(|(b, d, prefix)| format!("2001:db8:{b}::{d}/{prefix}")),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let ports =
        prop_oneof![(0_u16..6).prop_map(|p| p.to_string()), (0_u16..4, 3_u16..9).prop_map(|(a, b)| format!("{a}-{b}"))];
    let proto = prop::sample::select(vec!["tcp", "udp", "icmp", "icmp6", "1"]);
    (prop::option::of(net()), prop::option::of(ports), prop::option::of(proto)).prop_filter_map(
        "no term",
        |(net, ports, proto)| {
            let terms = [
                net.map(|net| format!("net {net}")),
                ports.map(|p| format!("port {p}")),
                proto.map(|p| format!("proto {p}")),
            ];
            let terms: Vec<String> = terms.into_iter().flatten().collect();
            (!terms.is_empty()).then(|| terms.join(" "))
        },
    )
}

/// Hosts, ports, protocol (TCP, UDP, ICMP) and version of a packet.
type Packet = ((u8, u8), (u8, u8), [u16; 2], u8, bool);

fn packet() -> impl Strategy<Value = Packet> {
    ((0_u8..4, 0_u8..3), (0_u8..4, 0_u8..3), [0_u16..9, 0..9], 0_u8..3, any::<bool>())
}

fn frame(((a, b), (c, d), ports, proto, six): Packet) -> Vec<u8> {
    let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let v6 = |b: u8, d: u8| [0x20, 1, 0xd, 0xb8, 0, b, 0, 0, 0, 0, 0, 0, 0, 0, 0, d];
    let ip = if six { link.ipv6(v6(a, b), v6(c, d), 64) } else { link.ipv4([10, a, 0, b], [10, c, 0, d], 64) };
    let mut out = Vec::new();
    match proto {
        0 => ip.tcp(ports[0], ports[1], 1, 1000).ack(1).write(&mut out, &[0; 20]),
        1 => ip.udp(ports[0], ports[1]).write(&mut out, &[0; 20]),
        _ if six => ip.icmpv6_echo_request(ports[0], ports[1]).write(&mut out, &[0; 20]),
        _ => ip.icmpv4_echo_request(ports[0], ports[1]).write(&mut out, &[0; 20]),
    }
    .unwrap();
    out
}

#[test]
fn the_kernel_drops_what_the_rules_drop() {
    let Some((probe, areas)) = load(&by_hand()) else { return };
    let (areas, before, dropped, runs) = (RefCell::new(areas), Cell::new(0), Cell::new(0), Cell::new(0_u64));
    // Few rules, and all that there can be: those drop nearly everything.
    let rules = prop_oneof![3 => prop::collection::vec(rule(), 0..4), 1 => prop::collection::vec(rule(), 60..65)];
    let cases = (rules, prop::collection::vec(packet(), 1..40));
    TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() })
        .run(&cases, |(rules, packets)| {
            let filter = Filter::parse(&rules).unwrap();
            probe.set_filter(&filter).unwrap();
            let mut expected = 0;
            for packet in packets {
                let frame = frame(packet);
                let (_, headers) = probe_common::parse_ethernet(frame.as_slice()).unwrap();
                expected += u64::from(filter.drops(&headers));
                runs.set(runs.get() + 1);
                probe.test_run(runs.get(), &frame, 1).unwrap();
            }
            let area = &mut areas.borrow_mut()[0];
            read_all(&probe, area, runs.get(), &mut Memory::default());
            let books = area.books();
            prop_assert_eq!(books.imbalances(), []);
            let found = books.filtered.packets - before.replace(books.filtered.packets);
            prop_assert_eq!(found, expected, "{:?}", rules);
            dropped.set(dropped.get() + expected);
            Ok(())
        })
        .unwrap();
    // Both happened, often.
    let (dropped, runs) = (dropped.get(), runs.get());
    assert!(dropped > runs / 20 && dropped < runs * 19 / 20, "{dropped} of {runs}");
}
