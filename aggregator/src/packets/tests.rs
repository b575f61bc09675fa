//! A store on a real disk, and what is carved out of it.

use std::fs;
use std::path::Path;

use capture::file::CaptureReader;
use capture::{Decoder, DecoderConfig, Frame, LinkType, Message, Nanos, Packet, Sink};

use super::*;

/// 2025-11-28, in nanoseconds.
const START: i64 = 1_764_288_000_000_000_000;

/// A UDP datagram from 10.0.0.1 to 10.0.0.2, or back.
fn udp(port: u16, back: bool, payload: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let length = 28 + payload as u16;
    frame.extend_from_slice(&[0x45, 0, (length >> 8) as u8, length as u8, 0, 1, 0, 0, 64, 17, 0, 0]);
    let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    frame.extend_from_slice(&if back { [b, a] } else { [a, b] }.concat());
    let ports = if back { [9_999, port] } else { [port, 9_999] };
    for word in [ports[0], ports[1], length - 20, 0] {
        frame.extend_from_slice(&word.to_be_bytes());
    }
    frame.resize(frame.len() + payload, 7);
    frame
}

struct Hashed(Option<u64>);

impl Sink for Hashed {
    fn packet(&mut self, packet: &Packet) {
        self.0 = Some(flow_hash(packet));
    }

    fn message(&mut self, _: Message) {}
}

/// Puts frames into a store, a microsecond apart, and gives its counters.
fn stored(options: &PacketOptions, frames: &[Vec<u8>]) -> std::collections::BTreeMap<&'static str, u64> {
    let store = PacketStore::open(options.clone(), &["tap0".to_owned()]).unwrap();
    let (counts, mut tap) = (store.counts(), store.tap());
    let writer = std::thread::spawn(|| store.run());
    let mut decoder = Decoder::new(DecoderConfig::default());
    for (data, at) in frames.iter().zip(0..) {
        let frame =
            Frame { ts: Some(Nanos(START + at * 1_000)), wire_len: data.len() as u32, data, link: LinkType::ETHERNET };
        let mut hashed = Hashed(None);
        decoder.handle_frame(&frame, &mut hashed);
        tap.frame(0, &frame, hashed.0);
        // Not faster than the writer: what a full queue does is another test.
        let waits = || {
            let of: std::collections::BTreeMap<_, _> = counts.counters().into_iter().collect();
            of["packets.store.offered"] > of["packets.store.stored"] + of["packets.store.cut_off"] + 100
        };
        while waits() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    drop(tap);
    writer.join().unwrap();
    let counters: std::collections::BTreeMap<_, _> = counts.counters().into_iter().collect();
    let of = |name: &str| counters[format!("packets.store.{name}").as_str()];
    assert_eq!(of("offered"), of("stored") + of("cut_off") + of("lost_queue") + of("lost_disk"), "{counters:?}");
    counters
}

fn flow(port: u16) -> Selection {
    Selection {
        addresses: Some(("10.0.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap())),
        ports: Some((9_999, port)),
        proto: Some(17),
        ..Selection::default()
    }
}

fn carved(dir: &Path, wanted: &Selection) -> (Carved, Vec<(i64, Vec<u8>)>) {
    let mut bytes = Vec::new();
    let carved = carve(&[dir.to_owned()], &[], wanted, &mut bytes).unwrap();
    let mut reader = CaptureReader::from_bytes(bytes, "carved").unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        assert_eq!(frame.link, LinkType::ETHERNET);
        frames.push((frame.ts.unwrap().0, frame.data.to_vec()));
    }
    assert_eq!((carved.packets, carved.files_damaged), (frames.len() as u64, 0));
    (carved, frames)
}

fn of_dir(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == extension));
    found
}

#[test]
fn a_flow_comes_out_as_it_went_in_with_and_without_index() {
    let folder = tempfile::tempdir().unwrap();
    let frames: Vec<_> = (0..300_u16).map(|n| udp(1_000 + n % 3, n % 2 == 1, usize::from(n))).collect();
    let counters = stored(&PacketOptions::new(folder.path()), &frames);
    assert_eq!((counters["packets.store.stored"], counters["packets.store.cut_off"]), (300, 0));
    let expected: Vec<_> =
        (0..).zip(&frames).filter(|(n, _)| n % 3 == 1).map(|(n, f)| (START + n * 1_000, f.clone())).collect();
    let (report, found) = carved(folder.path(), &flow(1_001));
    assert_eq!(found, expected);
    assert_eq!((report.files, report.files_without_index), (1, 0));
    // By Community ID, by addresses, and by time.
    let pair = AddressPair {
        src: capture::Ip::v4([10, 0, 0, 1]),
        dst: capture::Ip::v4([10, 0, 0, 2]),
        src_port: 1_001,
        dst_port: 9_999,
        proto: 17,
        version: capture::IpVersion::V4,
    };
    let id = crate::CommunityId::new(&pair).to_string();
    let by_id = Selection { community_id: Some(id), ..Selection::default() };
    assert_eq!(carved(folder.path(), &by_id).1, expected);
    let hosts = Selection { ports: None, proto: None, ..flow(0) };
    assert_eq!(carved(folder.path(), &hosts).0.packets, 300);
    let early = Selection { to: Some(Nanos(START + 10_000)), ..flow(1_001) };
    assert_eq!(carved(folder.path(), &early).0.packets, 4);
    let late = Selection { from: Some(Nanos(START + 300_000)), ..flow(1_001) };
    assert_eq!(carved(folder.path(), &late).0.packets, 0);
    assert_eq!(carved(folder.path(), &flow(2_000)).0.packets, 0);
    // A crash leaves no index, or one that is cut.
    let [index] = of_dir(folder.path(), "idx").try_into().unwrap();
    let whole = fs::read(&index).unwrap();
    for cut in [0, 7, 20, 30] {
        fs::write(&index, &whole[..cut]).unwrap();
        let (report, found) = carved(folder.path(), &flow(1_001));
        assert_eq!((found == expected, report.files_without_index), (true, 1), "{cut}");
    }
    fs::remove_file(&index).unwrap();
    assert_eq!(carved(folder.path(), &flow(1_001)).1, expected);
    // And a file that ends inside a packet.
    let [file] = of_dir(folder.path(), "pcapng").try_into().unwrap();
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 5]).unwrap();
    assert_eq!(carved(folder.path(), &flow(1_002)).0.packets, 99);
}

/// An index that lies: offsets that lead nowhere, and packets of others.
#[test]
fn a_wrong_index_gives_no_wrong_packets() {
    let folder = tempfile::tempdir().unwrap();
    stored(&PacketOptions::new(folder.path()), &[udp(1_000, false, 10), udp(1_001, false, 10)]);
    let [index] = of_dir(folder.path(), "idx").try_into().unwrap();
    let whole = fs::read(&index).unwrap();
    // Exchange the hashes: each flow is now said to be where the other is.
    let mut swapped = whole.clone();
    let offsets = [whole.len() - 4, whole.len() - 20];
    swapped[offsets[0]..].copy_from_slice(&whole[offsets[1]..offsets[1] + 4]);
    swapped[offsets[1]..offsets[1] + 4].copy_from_slice(&whole[offsets[0]..]);
    fs::write(&index, &swapped).unwrap();
    for port in [1_000, 1_001] {
        assert_eq!(carved(folder.path(), &flow(port)).0.packets, 0);
    }
    swapped[offsets[0]..].fill(0xff);
    swapped[offsets[1]..offsets[1] + 4].fill(0xff);
    fs::write(&index, &swapped).unwrap();
    let report = carve(&[folder.path().to_owned()], &[], &flow(1_000), Vec::new()).unwrap();
    assert_eq!((report.packets, report.files_damaged), (0, 1));
}

#[test]
fn of_each_flow_the_first_packets_or_bytes_are_kept() {
    let frames: Vec<_> = (0..100).map(|n| udp(1_000 + n % 2, false, 58)).collect();
    for (options, kept) in [
        (PacketOptions { first_packets: Some(3), ..PacketOptions::new("") }, 6),
        // Frames of 100 bytes: the one that reaches the bound is the last.
        (PacketOptions { first_bytes: Some(450), ..PacketOptions::new("") }, 10),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let counters = stored(&PacketOptions { dir: folder.path().into(), ..options }, &frames);
        assert_eq!((counters["packets.store.stored"], counters["packets.store.cut_off"]), (kept, 100 - kept));
        assert_eq!(carved(folder.path(), &Selection::default()).0.packets, kept);
    }
}

#[test]
fn packets_are_cut_at_the_snap_length() {
    let folder = tempfile::tempdir().unwrap();
    let options = PacketOptions { snaplen: 64, ..PacketOptions::new(folder.path()) };
    stored(&options, &[udp(1_000, false, 500)]);
    assert_eq!(carved(folder.path(), &flow(1_000)).1[0].1.len(), 64);
}

#[test]
fn the_oldest_go_when_the_store_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let options = PacketOptions { max_bytes: PacketOptions::LEAST_BYTES, ..PacketOptions::new(folder.path()) };
    // 100 MB through a store of 64 MiB.
    let frame = udp(1_000, false, 60_000);
    let counters = stored(&options, &vec![frame; 1_700]);
    let size: u64 = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(size <= PacketOptions::LEAST_BYTES, "{size}");
    assert!(counters["store.files_expired"] > 3, "{counters:?}");
    let (_, found) = carved(folder.path(), &flow(1_000));
    assert!(found.len() > 500 && found.len() as u64 + 300 < counters["packets.store.stored"], "{}", found.len());
    assert_eq!(found.last().unwrap().0, START + 1_699_000, "the newest are there");
}

#[test]
fn old_files_go_by_age() {
    let folder = tempfile::tempdir().unwrap();
    let options = PacketOptions { max_age: Some(Duration::from_secs(3_600)), ..PacketOptions::new(folder.path()) };
    stored(&options, &[udp(1_000, false, 10)]);
    let [file] = of_dir(folder.path(), "pcapng").try_into().unwrap();
    let old = std::time::SystemTime::now() - Duration::from_secs(4_000);
    fs::File::options().append(true).open(&file).unwrap().set_modified(old).unwrap();
    let counters = stored(&options, &[udp(1_001, false, 10)]);
    assert_eq!(counters["store.files_expired"], 1);
    assert_eq!(carved(folder.path(), &Selection::default()).0.packets, 1);
}

#[test]
fn a_full_queue_and_a_folder_that_is_gone_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let store = PacketStore::open(PacketOptions::new(&dir), &["tap0".to_owned()]).unwrap();
    let (counts, mut tap) = (store.counts(), store.tap());
    let data = udp(1_000, false, 60_000);
    let frame = Frame { ts: Some(Nanos(START)), wire_len: data.len() as u32, data: &data, link: LinkType::ETHERNET };
    // Nobody writes: 64 batches of five fit.
    (0..1_000).for_each(|_| tap.frame(0, &frame, None));
    drop(tap);
    fs::remove_dir(&dir).unwrap();
    store.run();
    let counters: std::collections::BTreeMap<_, _> = counts.counters().into_iter().collect();
    assert_eq!(counters["packets.store.offered"], 1_000);
    assert_eq!((counters["packets.store.lost_queue"], counters["packets.store.lost_disk"]), (680, 320));
}
