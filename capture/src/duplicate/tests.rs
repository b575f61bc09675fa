//! Copies, and what must not be taken for one.

use super::*;

const IP: usize = 14;

/// An Ethernet frame with IPv4 or IPv6, TCP with this identification, flags, sequence number and payload.
fn tcp(v6: bool, id: u16, flags: u8, seq: u32, payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x30, 0x39, 0x01, 0xbb];
    segment.extend_from_slice(&seq.to_be_bytes());
    segment.extend_from_slice(&[0, 0, 0, 1, 0x50, flags, 0x10, 0, 0xab, 0xcd, 0, 0]);
    segment.extend_from_slice(payload);
    packet(v6, id, 6, &segment)
}

fn udp(v6: bool, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x30, 0x39, 0x07, 0x6c];
    datagram.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
    datagram.extend_from_slice(&[0xab, 0xcd]);
    datagram.extend_from_slice(payload);
    packet(v6, id, 17, &datagram)
}

fn packet(v6: bool, id: u16, proto: u8, behind: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let length = behind.len() as u16;
    if v6 {
        frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&[proto, 64]);
        frame.extend((0..32).map(|n| n as u8));
    } else {
        frame.extend_from_slice(&[8, 0, 0x45, 0]);
        frame.extend_from_slice(&(20 + length).to_be_bytes());
        frame.extend_from_slice(&id.to_be_bytes());
        frame.extend_from_slice(&[0x40, 0, 64, proto, 0x11, 0x22, 10, 0, 0, 1, 10, 0, 0, 2]);
    }
    frame.extend_from_slice(behind);
    frame
}

fn look(detector: &mut Detector, counts: &mut Counts, micros: i64, data: &[u8]) -> Verdict {
    let frame = Frame { ts: Some(Nanos(micros * 1_000)), wire_len: data.len() as u32, data, link: LinkType::ETHERNET };
    detector.look(&frame, counts)
}

/// Looks at frames, a microsecond apart.
fn verdicts(frames: &[Vec<u8>]) -> Vec<Verdict> {
    let (mut detector, mut counts) = (Detector::new(1, Duplicates::Remove), Counts::default());
    frames.iter().zip(0..).map(|(frame, at)| look(&mut detector, &mut counts, at, frame)).collect()
}

const ACK: u8 = 0x10;

#[test]
fn the_same_packet_again_within_a_millisecond_is_a_copy() {
    for frame in
        [tcp(false, 7, ACK, 1, b""), udp(false, 7, b"x"), tcp(true, 0, ACK, 1, b"data"), tcp(true, 0, 2, 1, b"")]
    {
        let (mut detector, mut counts) = (Detector::new(1, Duplicates::Remove), Counts::default());
        let at: Vec<_> = [0, 1_000, 2_001].iter().map(|at| look(&mut detector, &mut counts, *at, &frame)).collect();
        assert_eq!(at, [Verdict::New, Verdict::Copy, Verdict::New]);
        assert_eq!((counts.judged, counts.copies, counts.unclear), (3, 1, 0));
    }
}

/// The copies of a mirror of "both" on a router: TTL, TOS, header checksum, MAC addresses and VLAN tag differ.
#[test]
fn a_hop_between_the_copies_does_not_hide_them() {
    let first = udp(false, 9, b"hello");
    let mut second = first.clone();
    second[..12].copy_from_slice(&[9; 12]);
    (second[IP + 1], second[IP + 8], second[IP + 10]) = (0xb8, 63, 0x99);
    second.splice(12..12, [0x81, 0, 0, 42]);
    // What a short frame is filled up with is not looked at.
    second.extend_from_slice(&[7; 12]);
    assert_eq!(verdicts(&[first, second]), [Verdict::New, Verdict::Copy]);
    let first = tcp(true, 0, ACK, 5, b"hello");
    let mut second = first.clone();
    (second[IP], second[IP + 1], second[IP + 7]) = (0x6b, 0x81, 63);
    assert_eq!(verdicts(&[first, second]), [Verdict::New, Verdict::Copy]);
}

#[test]
fn a_retransmission_is_no_copy() {
    let frames = [tcp(false, 7, ACK, 1, b"data"), tcp(false, 8, ACK, 1, b"data")];
    assert_eq!(verdicts(&frames), [Verdict::New; 2]);
}

#[test]
fn other_bytes_ports_fragments_or_addresses_are_no_copy() {
    let first = udp(false, 7, &[1; 64]);
    let changes = [IP + 2, IP + 5, IP + 7, IP + 9, IP + 15, IP + 19, IP + 20, IP + 23, IP + 26, IP + 28, IP + 90];
    let mut frames = vec![first.clone()];
    for at in changes {
        let mut other = first.clone();
        other[at] ^= 1;
        frames.push(other);
    }
    assert_eq!(verdicts(&frames), vec![Verdict::New; frames.len()]);
}

/// Duplicate ACKs of hosts that send no identification are alike; so are datagrams that an application says twice.
#[test]
fn what_hosts_send_twice_is_unclear_until_clear_copies_show_a_double_mirror() {
    for v6 in [false, true] {
        let (ack, said) = (tcp(v6, 0, ACK, 1, b""), udp(v6, 0, b"M-SEARCH"));
        let frames = [ack.clone(), ack.clone(), ack.clone(), said.clone(), said.clone()];
        use Verdict::{Copy, New, Unclear};
        assert_eq!(verdicts(&frames), [New, Unclear, New, New, Unclear]);
        // A mirror of both: every packet twice.
        let (mut detector, mut counts) = (Detector::new(1, Duplicates::Remove), Counts::default());
        for n in 0..100 {
            let data = tcp(v6, 0, ACK, n * 10, b"data");
            look(&mut detector, &mut counts, i64::from(n) * 10, &data);
            assert_eq!(look(&mut detector, &mut counts, i64::from(n) * 10 + 1, &data), Copy);
        }
        // Two duplicate ACKs and their copies are two packets.
        let found: Vec<_> = (0..4).map(|n| look(&mut detector, &mut counts, 2_000 + n, &ack)).collect();
        assert_eq!(found, [New, Copy, New, Copy]);
        assert!(counts.is_worth_a_warning());
    }
}

#[test]
fn what_has_no_ip_header_or_no_time_is_not_judged() {
    let (mut detector, mut counts) = (Detector::new(1, Duplicates::Remove), Counts::default());
    let whole = tcp(false, 7, ACK, 1, b"data");
    let labelled: Vec<u8> = whole[..12].iter().copied().chain([0x88, 0x47]).chain([0; 60]).collect();
    for data in [&whole[..13], &whole[..30], &[0; 60], &[], &labelled] {
        assert_eq!(look(&mut detector, &mut counts, 0, data), Verdict::NotJudged);
    }
    let frame = Frame { ts: None, wire_len: 60, data: &whole, link: LinkType::ETHERNET };
    assert_eq!(detector.look(&frame, &mut counts), Verdict::NotJudged);
    assert_eq!(counts, Counts::default());
}

#[test]
fn tags_labels_and_pppoe_are_looked_behind() {
    let whole = udp(false, 7, b"x");
    let wrapped = |header: &[u8]| [&whole[..12], header, &whole[IP..]].concat();
    let frames = [
        wrapped(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0]),
        wrapped(&[0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64]),
        wrapped(&[0x88, 0x64, 0x11, 0, 0, 9, 0, 0, 0, 0x21]),
    ];
    assert_eq!(verdicts(&frames), [Verdict::New, Verdict::Copy, Verdict::Copy]);
}

#[test]
fn a_flood_does_not_grow_memory_and_what_it_pushes_out_is_counted() {
    let (mut detector, mut counts) = (Detector::new(1, Duplicates::Remove), Counts::default());
    for n in 0..400_000_u32 {
        let data = tcp(false, 7, ACK, n, b"");
        // A hundred a microsecond: more than the table holds within its millisecond.
        assert_eq!(look(&mut detector, &mut counts, i64::from(n / 200), &data), Verdict::New);
    }
    assert!(counts.forgotten > 100_000, "{counts:?}");
    assert_eq!(detector.places.len(), PLACES / 2);
}
