//! Lengths that lie, and frames that were cut.

use super::make::{ethernet, hex, inner4, inner6, ipv4, ipv6, join, udp};
use super::{Keep, count, decoder, frame, one};
use crate::{Fragment, Frame, Tunnels};

#[test]
fn a_superframe_has_the_length_of_its_frame() {
    let (mut v4, mut v6) = (ipv4(17, [1, 2], 1, 0, &udp(5, 6, &[7; 100])), ipv6(17, [1, 2], &udp(5, 6, &[7; 100])));
    (v4[2], v4[3], v6[4], v6[5]) = (0, 0, 0, 0);
    for (ethertype, ip, bytes) in [(0x0800, v4, 128), (0x86dd, v6, 148)] {
        let data = ethernet(ethertype, &ip);
        let packet = one(Tunnels::Inner, &frame(1, &data)).unwrap();
        assert_eq!((packet.ip_bytes, packet.payload_bytes, packet.pair.dst_port), (bytes, 100, 6));
        // The length on the wire counts, not what was captured.
        let cut = Frame { wire_len: 70_000, ..frame(1, &data) };
        assert_eq!(one(Tunnels::Inner, &cut).unwrap().ip_bytes, 70_000 - 14);
    }
}

#[test]
fn a_jumbogram_has_the_length_of_its_option() {
    let hop_by_hop = hex("1100 c204 00011170");
    let mut data = ipv6(0, [1, 2], &join(&[&hop_by_hop, &udp(5, 6, b"")]));
    (data[4], data[5]) = (0, 0);
    (data[52], data[53]) = (0, 0);
    let packet = one(Tunnels::Inner, &Frame { wire_len: 70_040, ..frame(229, &data) }).unwrap();
    assert_eq!((packet.ip_bytes, packet.pair.src_port, packet.payload_bytes), (70_040, 5, 70_000 - 16));
}

#[test]
fn ports_need_four_bytes_within_the_packet() {
    let whole = ethernet(0x0800, &inner4());
    for (length, port) in [(34, 0), (37, 0), (38, 1111), (41, 1111)] {
        let cut = Frame { data: &whole[..length], ..frame(1, &whole) };
        let packet = one(Tunnels::Inner, &cut).unwrap();
        assert_eq!((packet.pair.src_port, packet.ip_bytes), (port, 36), "cut to {length}");
    }
    // Bytes after a datagram of 23 bytes are the link layer's padding, not ports.
    let mut padded = inner4();
    padded[3] = 23;
    assert_eq!(one(Tunnels::Inner, &frame(101, &padded)).unwrap().pair.src_port, 0);
}

#[test]
fn the_header_s_length_counts_even_beyond_the_frame() {
    let mut data = inner4();
    data[3] = 200;
    let mut decoder = decoder(Tunnels::Inner);
    let mut keep = Keep::default();
    decoder.handle_frame(&frame(101, &data), &mut keep);
    assert_eq!((keep.packets[0].ip_bytes, keep.packets[0].pair.dst_port), (200, 2222));
    assert_eq!(count(&decoder, "ip_length_over_frame"), 1);
}

#[test]
fn options_and_extension_headers_that_are_cut_off_leave_the_packet() {
    let mut options = inner4();
    options[0] = 0x4f;
    let packet = one(Tunnels::Inner, &Frame { wire_len: 100, ..frame(101, &options[..30]) });
    assert!(packet.is_err(), "36 bytes in all, 60 of them header");
    options[3] = 100;
    let packet = one(Tunnels::Inner, &Frame { wire_len: 100, ..frame(101, &options[..30]) }).unwrap();
    assert_eq!((packet.pair.proto, packet.pair.src_port, packet.payload_bytes), (17, 0, 32));
    let extended = ipv6(0, [1, 2], &join(&[&hex("1100 010400000000"), &udp(5, 6, b"y")]));
    let packet = one(Tunnels::Inner, &Frame { data: &extended[..44], ..frame(229, &extended) }).unwrap();
    assert_eq!((packet.pair.proto, packet.ip_bytes), (0, 57));
}

#[test]
fn an_authentication_header_ends_the_walk() {
    let packet = ipv6(51, [1, 2], &join(&[&hex("1104 0000 00000001 00000001"), &[0; 12], &udp(5, 6, b"y")]));
    let packet = one(Tunnels::Inner, &frame(229, &packet)).unwrap();
    assert_eq!((packet.pair.proto, packet.pair.src_port), (51, 0));
}

#[test]
fn an_atomic_fragment_is_whole() {
    let packet = ipv6(44, [1, 2], &join(&[&hex("1100 0000 00000001"), &udp(5, 6, b"y")]));
    let packet = one(Tunnels::Inner, &frame(229, &packet)).unwrap();
    assert_eq!((packet.fragment, packet.pair.src_port, packet.payload_bytes), (Fragment::Whole, 5, 1));
}

#[test]
fn a_frame_without_time_takes_that_of_the_frame_before() {
    let (data, mut keep, mut decoder) = (inner6(), Keep::default(), decoder(Tunnels::Inner));
    let timeless = Frame { ts: None, ..frame(229, &data) };
    for frame in [timeless, frame(229, &data), timeless] {
        decoder.handle_frame(&frame, &mut keep);
    }
    let times: Vec<i64> = keep.packets.iter().map(|packet| packet.ts.0).collect();
    assert_eq!(times, [0, 1_000_000_000, 1_000_000_000]);
    assert_eq!(count(&decoder, "frames_without_time"), 2);
}
