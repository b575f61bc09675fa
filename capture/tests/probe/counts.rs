//! What is counted in the kernel, and what goes to user space.

use capture::probe::{ProbeOptions, Verdicts};

use crate::frames::{Way, tcp, udp};
use crate::support::{Memory, by_hand, load, read_all};

const DROP: u32 = 1;
const PASS: u32 = 2;
const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;

#[test]
fn both_directions_meet_in_one_microflow() {
    let Some((probe, mut areas)) = load(&by_hand()) else { return };
    let way = Way::new(7, 40_000);
    let (there, back) = (udp(way, b"a plain datagram"), udp(way.back(), b"its answer"));
    for (ts, frame) in [(1_000, &there), (2_000, &back), (3_500, &there)] {
        assert_eq!(probe.test_run(ts, frame, 1).unwrap().0, DROP);
    }
    let mut memory = Memory::default();
    read_all(&probe, &mut areas[0], 4_000, &mut memory);
    assert!(memory.frames.is_empty(), "{:?}", memory.frames);
    let [flow] = memory.microflows.as_slice() else { panic!("{:?}", memory.microflows) };
    let (low, high) = (&flow.from_low, &flow.from_high);
    assert_eq!((low.packets, low.ip_bytes, low.first.0, low.last.0), (2, 2 * (28 + 16), 1_000_000, 3_500_000));
    assert_eq!((high.packets, high.ip_bytes, high.first.0), (1, 28 + 10, 2_000_000));
    assert_eq!((flow.low_port, flow.high_port, flow.proto), (40_000, 9_000, 17));
    assert_eq!(flow.link.macs, Some(([2, 0, 0, 0, 0, 7], [2, 0, 0, 0, 0, 1])));
    let books = areas[0].books();
    assert_eq!(books.imbalances(), []);
    assert_eq!((books.seen.packets, books.cached.packets, books.swept.packets), (3, 3, 3));
    assert_eq!(books.swept.bytes, (there.len() * 2 + back.len()) as u64);
}

/// Twenty flows in sixteen slots: what is displaced comes through the ring, and nothing is counted twice or lost.
#[test]
fn a_collision_costs_a_record_never_a_count() {
    let options = ProbeOptions { slots4_shift: 4, ..by_hand() };
    let Some((probe, mut areas)) = load(&options) else { return };
    for round in 0..50 {
        for host in 0..20 {
            probe.test_run(round * 100, &udp(Way::new(host, 5_000), &[0; 20]), 1).unwrap();
        }
    }
    let mut memory = Memory::default();
    read_all(&probe, &mut areas[0], 10_000, &mut memory);
    assert_eq!(memory.packets(), 1_000);
    for host in 0..20 {
        let of_host = memory.microflows.iter().filter(|m| m.low.0[15] == host);
        assert_eq!(of_host.map(|m| m.from_low.packets).sum::<u64>(), 50, "host {host}");
    }
    let books = areas[0].books();
    assert_eq!(books.imbalances(), []);
    assert!(books.received_from_ring.packets > 0 && books.swept.packets > 0, "{books:?}");
}

/// A ring of a page is full soon: what finds no room is lost with all its packets and bytes, and the books say so.
#[test]
fn a_full_ring_loses_packets_in_the_books() {
    let options = ProbeOptions { slots4_shift: 4, ring_bytes: 4096, ..by_hand() };
    let Some((probe, mut areas)) = load(&options) else { return };
    let frames = 5_000;
    for n in 0..frames {
        probe.test_run(n, &udp(Way::new((n % 250) as u8, 5_000), &[0; 20]), 1).unwrap();
    }
    let mut memory = Memory::default();
    read_all(&probe, &mut areas[0], 10_000, &mut memory);
    let books = areas[0].books();
    assert_eq!(books.imbalances(), []);
    assert!(books.lost_ring_full.packets > 4_000, "{books:?}");
    assert_eq!(memory.packets() + books.lost_ring_full.packets, frames);
}

/// Handshake and first packets, end, and names go to user space; the bulk does not.
#[test]
fn what_begins_and_ends_a_connection_goes_to_user_space() {
    let Some((probe, mut areas)) = load(&by_hand()) else { return };
    let way = Way::new(9, 40_001);
    let mut sent = vec![tcp(way, SYN, b""), tcp(way.back(), SYN | ACK, b"")];
    sent.extend((0..30).map(|_| tcp(way, ACK, &[0xaa; 100])));
    sent.push(tcp(way, FIN | ACK, b""));
    sent.push(udp(Way { dst_port: 53, ..way }, &[0; 30]));
    for (ts, frame) in (0..).zip(&sent) {
        probe.test_run(ts, frame, 1).unwrap();
    }
    let mut memory = Memory::default();
    areas[0].drain_evicted(&mut memory, usize::MAX);
    // The FIN sent the counts before it: user space has them when it sees the FIN.
    assert_eq!(memory.packets(), 10);
    read_all(&probe, &mut areas[0], 10_000, &mut memory);
    assert_eq!(memory.packets(), 10);
    let received: Vec<&Vec<u8>> = memory.frames.iter().map(|f| &f.data).collect();
    let expected: Vec<&Vec<u8>> = sent[..22].iter().chain(&sent[32..]).collect();
    assert_eq!(received, expected);
    assert_eq!(areas[0].books().imbalances(), []);
}

#[test]
fn inline_lets_everything_pass() {
    let options = ProbeOptions { verdicts: Verdicts::Inline, ..by_hand() };
    let Some((probe, mut areas)) = load(&options) else { return };
    let way = Way::new(9, 40_001);
    for frame in [tcp(way, SYN, b""), udp(way, b"cached"), vec![0xff; 60]] {
        assert_eq!(probe.test_run(1, &frame, 1).unwrap().0, PASS);
    }
    let mut memory = Memory::default();
    read_all(&probe, &mut areas[0], 10, &mut memory);
    let books = areas[0].books();
    assert_eq!(books.imbalances(), []);
    assert_eq!((books.passed.packets, books.cached.packets, books.received.packets), (3, 1, 2));
}
