//! Fragmented datagrams.

use super::make::{after, hex, ipv4, ipv6, join, udp};
use super::{Keep, count, frame};
use crate::{Body, Decoder, DecoderConfig, Fragment, Frame, Nanos};

/// A DNS query of some length, from port 40000.
fn query() -> Vec<u8> {
    let label = format!("3f{}", "61".repeat(63)).repeat(3);
    udp(40_000, 53, &after(&format!("1234 0100 0001 0000 0000 0000 {label} 00 0001 0001"), &[]))
}

/// The datagram in three pieces, of 80, 80 and the rest.
fn pieces_v4(id: u16) -> Vec<Vec<u8>> {
    let whole = query();
    [(0, 80, 0x2000), (80, 160, 0x2000), (160, whole.len(), 0)]
        .map(|(from, to, more)| ipv4(17, [1, 2], id, more | (from / 8) as u16, &whole[from..to]))
        .to_vec()
}

fn pieces_v6(id: u32, first_header: u8, whole: &[u8]) -> Vec<Vec<u8>> {
    [(0, 80, 1), (80, whole.len(), 0)]
        .map(|(from, to, more): (usize, usize, u16)| {
            let header = format!("{first_header:02x}00 {:04x} {id:08x}", from as u16 | more);
            ipv6(44, [1, 2], &join(&[&hex(&header), &whole[from..to]]))
        })
        .to_vec()
}

fn feed(decoder: &mut Decoder, pieces: &[Vec<u8>]) -> Keep {
    let mut keep = Keep::default();
    for piece in pieces {
        decoder.handle_frame(&frame(101, piece), &mut keep);
    }
    keep
}

fn names(keep: &Keep) -> usize {
    let dns = keep.messages.iter().filter(|m| matches!(&m.body, Body::Dns(dns) if dns.questions[0].name.len() == 191));
    dns.count()
}

#[test]
fn later_fragments_take_the_ports_of_the_first() {
    let mut decoder = Decoder::new(DecoderConfig::default());
    let keep = feed(&mut decoder, &pieces_v4(1));
    let ports: Vec<_> = keep.packets.iter().map(|p| (p.pair.src_port, p.pair.dst_port, p.fragment)).collect();
    let later = Fragment::Later { ports_known: true };
    assert_eq!(ports, [(40_000, 53, Fragment::First), (40_000, 53, later), (40_000, 53, later)]);
    assert_eq!(names(&keep), 1);
    assert_eq!(keep.messages[0].pair, keep.packets[0].pair);
    assert_eq!((count(&decoder, "fragments"), count(&decoder, "reassembled")), (3, 1));
}

#[test]
fn any_order_is_reassembled() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut decoder = Decoder::new(DecoderConfig::default());
        let pieces = pieces_v4(1);
        let keep = feed(&mut decoder, &order.map(|n| pieces[n].clone()));
        assert_eq!(names(&keep), 1, "{order:?}");
        let early = order.iter().position(|&n| n == 0).unwrap() as u64;
        assert_eq!(count(&decoder, "fragments_without_first"), early, "{order:?}");
        let bytes: u32 = keep.packets.iter().map(|p| p.ip_bytes).sum();
        assert_eq!(bytes as usize, query().len() + 60);
    }
}

#[test]
fn ipv6_fragments_with_a_header_inside() {
    let whole = join(&[&hex("1100 010400000000"), &query()]);
    let mut decoder = Decoder::new(DecoderConfig::default());
    let keep = feed(&mut decoder, &pieces_v6(9, 60, &whole));
    assert_eq!(names(&keep), 1);
    assert_eq!((keep.packets[0].pair.src_port, keep.packets[0].pair.proto), (40_000, 17));
    // The later fragment's own header says 60, and that is what it is counted as.
    assert_eq!(keep.packets[1].pair.proto, 60);
    let keep = feed(&mut decoder, &pieces_v6(10, 17, &query()));
    assert_eq!((names(&keep), keep.packets[1].pair.src_port), (1, 40_000));
}

#[test]
fn overlaps_keep_what_came_first() {
    let mut pieces = pieces_v4(1);
    let mut forged = pieces[1].clone();
    forged[20..].fill(b'z');
    pieces.insert(2, forged);
    let mut decoder = Decoder::new(DecoderConfig::default());
    let keep = feed(&mut decoder, &pieces);
    let Body::Dns(dns) = &keep.messages[0].body else { panic!("DNS") };
    assert!(!dns.questions[0].name.contains('z'), "{}", dns.questions[0].name);
    assert_eq!(count(&decoder, "fragments_overlapping"), 1);
}

#[test]
fn what_stays_incomplete_is_read_as_far_as_it_goes() {
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut keep = feed(&mut decoder, &pieces_v4(1)[..2]);
    assert!(keep.messages.is_empty());
    let late = inner_at(40);
    decoder.handle_frame(&Frame { ts: Some(Nanos(40_000_000_000)), ..frame(101, &late) }, &mut keep);
    assert_eq!(count(&decoder, "fragmented_incomplete"), 1);
    let Body::Dns(dns) = &keep.messages[0].body else { panic!("DNS") };
    assert!(dns.damage.is_some(), "{dns:?}");
    assert_eq!(keep.messages[0].ts, Nanos(1_000_000_000));
}

fn inner_at(port: u16) -> Vec<u8> {
    ipv4(17, [1, 2], 1, 0, &udp(port, port, b"x"))
}

#[test]
fn a_used_id_begins_a_new_datagram() {
    let mut decoder = Decoder::new(DecoderConfig::default());
    assert_eq!(names(&feed(&mut decoder, &pieces_v4(1))), 1);
    assert_eq!(names(&feed(&mut decoder, &pieces_v4(1))), 1);
    assert_eq!(count(&decoder, "reassembled"), 2);
}

#[test]
fn the_tables_are_bounded() {
    let config = DecoderConfig { max_fragmented: 100, max_fragment_bytes: 64 << 10, ..DecoderConfig::default() };
    let mut decoder = Decoder::new(config);
    let mut keep = Keep::default();
    for id in 0..10_000_u16 {
        // Holes on purpose: nothing is ever complete.
        let piece = ipv4(17, [1, 2], id, 0x2000 | 100, &[7; 1_000]);
        decoder.handle_frame(&frame(101, &piece), &mut keep);
    }
    assert_eq!(keep.packets.len(), 10_000);
    assert!(decoder.fragments.held() <= (100, 64 << 10), "{:?}", decoder.fragments.held());
    assert!(count(&decoder, "fragmented_evicted") + count(&decoder, "reassembly_over_limit") > 9_000);
}

#[test]
fn ids_used_again_do_not_pile_up() {
    let mut decoder = Decoder::new(DecoderConfig { max_fragmented: 10, ..DecoderConfig::default() });
    let pieces = pieces_v4(1);
    for _ in 0..1_000 {
        feed(&mut decoder, &pieces);
    }
    assert_eq!(count(&decoder, "reassembled"), 1_000);
    assert!(decoder.fragments.order_len() <= 20, "{}", decoder.fragments.order_len());
}

#[test]
fn a_datagram_of_too_many_pieces_is_given_up() {
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut keep = Keep::default();
    for n in 0..1_000_u16 {
        let piece = ipv4(17, [1, 2], 1, 0x2000 | (2 * n), &[7; 8]);
        decoder.handle_frame(&frame(101, &piece), &mut keep);
    }
    assert_eq!(count(&decoder, "reassembly_over_limit"), 1);
    assert_eq!(decoder.fragments.held().1, 0);
}

#[test]
fn a_datagram_beyond_65535_bytes_is_given_up() {
    let mut decoder = Decoder::new(DecoderConfig::default());
    let piece = ipv4(17, [1, 2], 1, 0x1fff, &[7; 100]);
    let keep = feed(&mut decoder, &[piece]);
    assert_eq!((keep.packets.len(), count(&decoder, "fragments_invalid")), (1, 1));
    assert_eq!(count(&decoder, "reassembly_over_limit"), 1);
}
