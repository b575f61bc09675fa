//! What is counted in the kernel, and what goes to user space.

use capture::probe::{ProbeOptions, Verdicts};

use crate::frames::{Way, tcp, udp, udp6};
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

/// A hundred times round rings of 64 and 32 entries, read in time: each flow has all its packets. Both ways of making entries
/// visible.
#[test]
fn rings_that_go_round_lose_nothing() {
    for stores_in_order in [true, false] {
        let options = ProbeOptions { slots4_shift: 4, slots6_shift: 4, ring_bytes: 4096, stores_in_order, ..by_hand() };
        let Some((probe, mut areas)) = load(&options) else { return };
        let mut memory = Memory::default();
        for round in 0..400 {
            for host in 0..30 {
                let way = Way::new(host, 5_000);
                probe.test_run(round, &udp(way, &[0; 20]), 1).unwrap();
                probe.test_run(round, &udp6(way, &[0; 20]), 1).unwrap();
            }
            // At most 45 records of each version since: what waited before, and what came.
            areas[0].drain_evicted(&mut memory, usize::MAX);
            if round % 100 == 99 {
                read_all(&probe, &mut areas[0], round, &mut memory);
            }
        }
        let books = areas[0].books();
        assert_eq!(books.imbalances(), []);
        assert_eq!(books.lost_ring_full.packets, 0);
        assert!(books.received_from_ring.packets > 64 * 100, "{books:?}");
        for host in 0..30 {
            for v6 in [false, true] {
                let is_of =
                    |m: &&capture::live::Microflow| m.low.0[15] == host && (m.version == capture::IpVersion::V6) == v6;
                let of_host = memory.microflows.iter().filter(is_of);
                assert_eq!(of_host.map(|m| m.from_low.packets).sum::<u64>(), 400, "host {host}, IPv6 {v6}");
            }
        }
    }
}

/// Of 1,024 slots 64 are used at first. 250 flows of each version get more and more of them; one gives them back. Nothing is
/// counted twice or lost on the way.
#[test]
fn more_slots_are_used_while_flows_displace_each_other() {
    let options = ProbeOptions { slots4_shift: 10, slots6_shift: 10, unused_shift: 4, ..by_hand() };
    let Some((probe, mut areas)) = load(&options) else { return };
    let (mut memory, mut displaced, mut sent) = (Memory::default(), Vec::new(), [0_u64; 250]);
    for generation in 0..14 {
        let flows = if (1..7).contains(&generation) { 1 } else { 250 };
        let before = areas[0].books().received_from_ring.packets;
        for n in 0..1_000 {
            let way = Way::new((n % flows) as u8, 5_000);
            probe.test_run(generation, &udp(way, &[0; 20]), 1).unwrap();
            probe.test_run(generation, &udp6(way, &[0; 20]), 1).unwrap();
            sent[n % flows] += 2;
        }
        read_all(&probe, &mut areas[0], generation, &mut memory);
        displaced.push(areas[0].books().received_from_ring.packets - before);
    }
    let books = areas[0].books();
    assert_eq!(books.imbalances(), []);
    assert_eq!(books.lost_ring_full.packets, 0);
    for (host, sent) in (0..).zip(sent) {
        let of_host = memory.microflows.iter().filter(|m| m.low.0[15] == host);
        assert_eq!(of_host.map(|m| m.from_low.packets).sum::<u64>(), sent, "host {host}");
    }
    // It begins with 1,024 slots, where every tenth of 250 flows displaces another; of 64 nearly each does.
    assert!(displaced[0] < 500 && displaced[6] == 0, "{displaced:?}");
    assert!(displaced[7] > 1_600 && displaced[13] < 500, "{displaced:?}");
}

/// Sixty gigabytes of one flow, and of two that take turns: no count of 32 bits overflows, wherever the packets waited.
#[test]
fn many_gigabytes_of_a_flow_are_counted_exactly() {
    const RUNS: u32 = 10_000_000;
    let Some((probe, mut areas)) = load(&by_hand()) else { return };
    let (long, other) = (udp(Way::new(1, 40_000), &[0; 3_000]), udp(Way::new(2, 40_000), &[0; 20]));
    for _ in 0..20 {
        probe.test_run(1, &long, RUNS / 20).unwrap();
        probe.test_run(1, &other, 1).unwrap();
    }
    probe.test_run(1, &long, RUNS).unwrap();
    let mut memory = Memory::default();
    read_all(&probe, &mut areas[0], 2, &mut memory);
    assert_eq!(areas[0].books().imbalances(), []);
    let of_host = |host: u8| memory.microflows.iter().filter(move |m| m.low.0[15] == host).map(|m| m.from_low);
    let bytes: u64 = of_host(1).map(|low| low.ip_bytes).sum();
    let packets: u64 = of_host(1).map(|low| low.packets).sum();
    assert_eq!((packets, bytes), (2 * u64::from(RUNS), 2 * u64::from(RUNS) * 3_028));
    assert!(of_host(1).all(|low| low.ip_bytes == low.packets * 3_028));
    assert_eq!(of_host(2).map(|low| low.packets).sum::<u64>(), 20);
}

/// A flood of SYNs has room for what it begins, and takes nobody else's packets to user space with it; nor does it take the
/// first packets of a connection that begins in the middle of it.
#[test]
fn a_flood_of_syns_does_not_send_other_flows_whole() {
    let Some((probe, mut areas)) = load(&ProbeOptions { slots4_shift: 16, ..by_hand() }) else { return };
    let mut memory = Memory::default();
    let mut state = 1_u32;
    let mut flood = |count: u32, memory: &mut Memory, area: &mut capture::probe::Area| {
        for n in 0..count {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, d] = state.to_be_bytes();
            let way = Way { src: [100, a, b, c], ..Way::new(1, 1_024 + u16::from(d)) };
            probe.test_run(1, &tcp(way, SYN, b""), 1).unwrap();
            if n % 1_000 == 0 {
                area.drain_copies(memory, usize::MAX);
            }
        }
        area.drain_copies(memory, usize::MAX);
    };
    flood(200_000, &mut memory, &mut areas[0]);
    memory.frames.clear();
    // Of these no SYN was seen.
    for host in 0..200 {
        for port in 0..20 {
            probe.test_run(2, &tcp(Way::new(host, 30_000 + port), ACK, &[0xaa; 100]), 1).unwrap();
        }
    }
    areas[0].drain_copies(&mut memory, usize::MAX);
    assert!(memory.frames.len() < 40, "{} of 4,000 packets went whole", memory.frames.len());
    memory.frames.clear();
    let way = Way::new(250, 40_001);
    probe.test_run(3, &tcp(way, SYN, b""), 1).unwrap();
    flood(500, &mut memory, &mut areas[0]);
    memory.frames.clear();
    for _ in 0..30 {
        probe.test_run(4, &tcp(way, ACK, &[0xaa; 100]), 1).unwrap();
    }
    read_all(&probe, &mut areas[0], 10, &mut memory);
    assert_eq!(memory.frames.len(), 20);
    assert_eq!(areas[0].books().imbalances(), []);
}
