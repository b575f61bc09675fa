//! Capture files of every format, whole and damaged, made by hand from the formats' specifications.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

mod file_parts;

use std::io::{Cursor, Write};
use std::path::Path;

use capture::file::{CaptureReader, FileError};
use file_parts::{block, enhanced, interface, order_bytes, pcap, pcap_header, record, section, simple};

/// Time in nanoseconds, wire length, link type, data.
type Seen = (Option<i64>, u32, u16, Vec<u8>);

/// All frames and errors of a reader.
fn read(reader: Result<CaptureReader, FileError>) -> (Vec<Seen>, Vec<String>, Vec<(&'static str, u64)>) {
    let (mut frames, mut errors) = (Vec::new(), Vec::new());
    let mut reader = match reader {
        Ok(reader) => reader,
        Err(error) => return (frames, vec![error.to_string()], Vec::new()),
    };
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                frames.push((frame.ts.map(|ts| ts.0), frame.wire_len, frame.link.0, frame.data.to_vec()));
            }
            Ok(None) => break,
            Err(error) => errors.push(error.to_string()),
        }
        assert!(frames.len() + errors.len() < 100_000);
    }
    let counters = reader.counters().into_iter().filter(|(_, n)| *n > 0).collect();
    (frames, errors, counters)
}

/// Reads the bytes as a file, in memory and as a stream: the same must come out.
fn read_all_ways(bytes: &[u8]) -> (Vec<Seen>, Vec<String>, Vec<(&'static str, u64)>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture");
    std::fs::write(&path, bytes).unwrap();
    let mapped = read(CaptureReader::open(&path));
    let memory = read(CaptureReader::from_bytes(bytes.to_vec(), &path));
    let stream = read(CaptureReader::from_reader(Cursor::new(bytes.to_vec()), &path));
    assert_eq!(mapped, memory);
    assert_eq!(mapped, stream);
    let short = |errors: Vec<String>| {
        errors.into_iter().map(|e| e.replace(&path.display().to_string(), "FILE")).collect::<Vec<_>>()
    };
    (mapped.0, short(mapped.1), mapped.2)
}

fn frames(bytes: &[u8]) -> Vec<Seen> {
    let (frames, errors, _) = read_all_ways(bytes);
    assert_eq!(errors, Vec::<String>::new());
    frames
}

const DATA: &[u8] = b"0123456789abcdef";

#[test]
fn pcap_in_both_byte_orders_and_resolutions() {
    for big in [false, true] {
        let micro = [pcap_header(big, 0xa1b2_c3d4, 1), record(big, 5, 7, 20, DATA)].concat();
        assert_eq!(frames(&micro), [(Some(5_000_007_000), 20, 1, DATA.to_vec())]);
        let nano = [pcap_header(big, 0xa1b2_3c4d, 101), record(big, 5, 7, 20, DATA)].concat();
        assert_eq!(frames(&nano), [(Some(5_000_000_007), 20, 101, DATA.to_vec())]);
        let mut wide = record(big, 5, 7, 20, b"");
        wide[8..12].copy_from_slice(&order_bytes(big, 16));
        let modified = [pcap_header(big, 0xa1b2_cd34, 1), wide, vec![0; 8], DATA.to_vec()].concat();
        assert_eq!(frames(&modified), [(Some(5_000_007_000), 20, 1, DATA.to_vec())]);
        let ixia = [pcap_header(big, 0x1c00_01ac, 1), vec![0; 4], record(big, 5, 7, 20, DATA)].concat();
        assert_eq!(frames(&ixia), [(Some(5_000_000_007), 20, 1, DATA.to_vec())]);
    }
}

#[test]
fn seconds_are_unsigned() {
    let late = [pcap_header(false, 0xa1b2_c3d4, 1), record(false, 0xffff_ffff, 0, 16, DATA)].concat();
    assert_eq!(frames(&late)[0].0, Some(4_294_967_295_000_000_000));
}

#[test]
fn the_upper_half_of_the_link_type_is_not_the_link_type() {
    let file = [pcap_header(false, 0xa1b2_c3d4, 0x3400_0001), record(false, 5, 7, 20, DATA)].concat();
    assert_eq!(frames(&file)[0].2, 1);
}

#[test]
fn lengths_changed_places_before_version_2_4() {
    let mut file = [pcap_header(false, 0xa1b2_c3d4, 1), record(false, 5, 7, 16, &[7; 20])].concat();
    // Captured 20, wire 16, written in the order wire, captured by version 2.2.
    file[6] = 2;
    file[32..36].copy_from_slice(&16_u32.to_le_bytes());
    file[36..40].copy_from_slice(&20_u32.to_le_bytes());
    assert_eq!(frames(&file)[0].3.len(), 20);
}

#[test]
fn captures_may_be_appended_to_each_other() {
    let first = pcap(&[DATA, DATA]);
    let second = [pcap_header(true, 0xa1b2_3c4d, 101), record(true, 9, 9, 16, DATA)].concat();
    let (frames, errors, counters) = read_all_ways(&[first, second].concat());
    assert_eq!((frames.len(), errors.len(), frames[2].0, frames[2].2), (3, 0, Some(9_000_000_009), 101));
    assert!(counters.contains(&("file_concatenated_captures", 1)));
}

#[test]
fn an_appended_file_header_that_is_cut_off_is_reported_once() {
    let second = pcap_header(false, 0xa1b2_c3d4, 1);
    for cut in 16..24 {
        let (frames, errors, _) = read_all_ways(&[&pcap(&[DATA])[..], &second[..cut]].concat());
        assert_eq!((frames.len(), errors.len()), (1, 1), "{errors:?}");
        assert!(errors[0].contains("inside the pcap file header that begins at offset 56"), "{errors:?}");
    }
}

#[test]
fn pcapng_in_both_byte_orders() {
    for big in [false, true] {
        let file = [
            section(big),
            interface(big, 1, 0, &[]),
            // Nanoseconds, an hour later; then 1/1024 seconds.
            interface(
                big,
                101,
                0,
                &[(9, vec![9]), (14, if big { 3_600_i64.to_be_bytes() } else { 3_600_i64.to_le_bytes() }.to_vec())],
            ),
            interface(big, 113, 8, &[(9, vec![0x8a])]),
            enhanced(big, 0, 1_500_000, 20, DATA),
            enhanced(big, 1, 1_500_000_001, 17, b"odd"),
            enhanced(big, 2, 512, 17, b"12345678"),
            simple(big, 16, DATA),
            block(big, 0x0bad, b"custom!!"),
        ]
        .concat();
        let (frames, errors, counters) = read_all_ways(&file);
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!(
            frames,
            [
                (Some(1_500_000_000), 20, 1, DATA.to_vec()),
                (Some(3_601_500_000_001), 17, 101, b"odd".to_vec()),
                (Some(500_000_000), 17, 113, b"12345678".to_vec()),
                (None, 16, 1, DATA.to_vec()),
            ]
        );
        assert_eq!(counters, [("file_frames", 4), ("file_frames_without_time", 1), ("file_blocks_skipped", 1)]);
    }
}

#[test]
fn each_section_has_its_own_interfaces_and_byte_order() {
    let file = [
        section(false),
        interface(false, 1, 0, &[]),
        enhanced(false, 0, 1, 16, DATA),
        section(true),
        interface(true, 101, 0, &[]),
        enhanced(true, 0, 2, 16, DATA),
    ]
    .concat();
    assert_eq!(frames(&file).iter().map(|f| (f.0, f.2)).collect::<Vec<_>>(), [(Some(1_000), 1), (Some(2_000), 101)]);
}

#[test]
fn the_obsolete_packet_block() {
    let mut body = Vec::new();
    body.extend([1, 0, 3, 0]);
    for value in [0_u32, 1_500_000, 16, 20] {
        body.extend(value.to_le_bytes());
    }
    body.extend(DATA);
    let file =
        [section(false), interface(false, 1, 0, &[]), interface(false, 101, 0, &[]), block(false, 2, &body)].concat();
    let (frames, errors, counters) = read_all_ways(&file);
    assert_eq!((frames, errors.len()), (vec![(Some(1_500_000_000), 20, 101, DATA.to_vec())], 0));
    assert!(counters.contains(&("file_dropped_before_file", 3)));
}

#[test]
fn simple_packets_are_cut_at_the_first_interface_s_limit() {
    let file = [section(false), interface(false, 1, 10, &[]), simple(false, 16, &DATA[..10])].concat();
    assert_eq!(frames(&file), [(None, 16, 1, DATA[..10].to_vec())]);
}

#[test]
fn damaged_blocks_are_left_out_and_the_first_is_reported() {
    let mut lying = enhanced(false, 0, 1, 16, DATA);
    lying[20] = 200;
    let file = [
        section(false),
        interface(false, 1, 0, &[]),
        lying.clone(),
        enhanced(false, 7, 1, 16, DATA),
        enhanced(false, 0, 2, 16, DATA),
    ]
    .concat();
    let (frames, errors, counters) = read_all_ways(&file);
    assert_eq!(frames, [(Some(2_000), 16, 1, DATA.to_vec())]);
    assert_eq!(
        errors,
        ["FILE: at offset 48: a packet of 200 bytes in a block of 48; expected a captured length that fits its block"]
    );
    assert!(counters.contains(&("file_damaged_records", 2)));
    assert!(counters.contains(&("file_frames_without_interface", 1)));
}

#[test]
fn a_block_length_that_leads_nowhere_is_resumed_at_the_next_section() {
    let mut lost = enhanced(false, 0, 1, 16, DATA);
    lost[4] = 36;
    let good = [section(false), interface(false, 1, 0, &[]), enhanced(false, 0, 1, 16, DATA)].concat();
    let (frames, errors, counters) = read_all_ways(&[good.clone(), lost, good].concat());
    assert_eq!((frames.len(), errors.len()), (2, 1));
    assert!(errors[0].starts_with("FILE: at offset 96: a block of 36 bytes that ends with length"), "{errors:?}");
    assert!(counters.contains(&("file_resynced_bytes", 48)), "{counters:?}");
}

#[test]
fn a_block_of_four_gigabytes_is_beyond_the_end() {
    let mut file = [section(false), block(false, 0x0bad, b"custom!!")].concat();
    file[32..36].fill(0xff);
    let (frames, errors, _) = read_all_ways(&file);
    assert_eq!(frames.len(), 0);
    let end = file.len();
    let expected =
        format!("FILE: ends at offset {end} inside a pcapng block that begins at offset 28 and needs 4294967296 bytes");
    assert_eq!(errors, [expected]);
}

#[test]
fn a_cut_file_gives_everything_before_the_cut() {
    let whole = pcap(&[DATA, DATA, DATA]);
    for cut in 25..whole.len() {
        let (frames, errors, _) = read_all_ways(&whole[..cut]);
        let (count, rest) = ((cut - 24) / 32, (cut - 24) % 32);
        assert_eq!((frames.len(), errors.len()), (count, usize::from(rest > 0)), "cut at {cut}");
        if rest > 0 {
            let (what, needed) = if rest < 16 { ("a pcap record header", 16) } else { ("a pcap record", 32) };
            let begins = 24 + 32 * count;
            assert_eq!(
                errors[0],
                format!(
                    "FILE: ends at offset {cut} inside {what} that begins at offset {begins} and needs {needed} bytes"
                )
            );
        }
    }
    let whole = [section(false), interface(false, 1, 0, &[]), enhanced(false, 0, 1, 16, DATA)].concat();
    for cut in 49..whole.len() {
        let (frames, errors, _) = read_all_ways(&whole[..cut]);
        assert_eq!((frames.len(), errors.len()), (0, 1), "cut at {cut}");
        assert!(errors[0].contains("that begins at offset 48"), "{errors:?}");
    }
}

#[test]
fn a_record_that_cannot_be_is_passed_over() {
    let mut file = pcap(&[DATA, DATA, DATA, DATA]);
    // The second record's captured length.
    file[24 + 32 + 8..24 + 32 + 12].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
    let (frames, errors, counters) = read_all_ways(&file);
    assert_eq!(frames.len(), 3);
    assert_eq!(
        errors,
        [
            "FILE: at offset 56: a record of 2147483647 bytes; expected a record no longer than the snapshot length or 262144 bytes"
        ]
    );
    assert!(counters.contains(&("file_resynced_bytes", 32)), "{counters:?}");
}

#[test]
fn a_frame_longer_than_the_snapshot_length_is_delivered_and_counted() {
    let mut file = pcap(&[DATA]);
    file[16] = 4;
    (file[17], file[18], file[19]) = (0, 0, 0);
    let (frames, errors, counters) = read_all_ways(&file);
    assert_eq!((frames.len(), errors.len()), (1, 0));
    assert!(counters.contains(&("file_caplen_over_snaplen", 1)));
}

#[test]
fn snoop() {
    let mut file = b"snoop\0\0\0".to_vec();
    for value in [2_u32, 4] {
        file.extend(value.to_be_bytes());
    }
    for (length, drops) in [(16_u32, 0_u32), (13, 5)] {
        let padded = length.next_multiple_of(4);
        for value in [20, length, 24 + padded, drops, 7, 9] {
            file.extend(value.to_be_bytes());
        }
        file.extend(&DATA[..length as usize]);
        file.extend(vec![0; (padded - length) as usize]);
    }
    let (seen, errors, counters) = read_all_ways(&file);
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(seen, [(Some(7_000_009_000), 20, 1, DATA.to_vec()), (Some(7_000_009_000), 20, 1, DATA[..13].to_vec())]);
    assert!(counters.contains(&("file_dropped_before_file", 5)));
    let (seen, errors, _) = read_all_ways(&file[..file.len() - 10]);
    assert_eq!((seen.len(), errors.len()), (1, 1));
}

#[test]
fn erf() {
    let record = |kind: u8, extra: &[u8], seconds: u64| {
        let mut record = (seconds << 32 | 1 << 31).to_le_bytes().to_vec();
        let length = (16 + extra.len() + DATA.len()) as u16;
        record.extend([kind, 4]);
        record.extend(length.to_be_bytes());
        record.extend([0, 0, 0, 16]);
        record.extend(extra);
        record.extend(DATA);
        record
    };
    let file = [record(2, &[0, 0], 100), record(22, &[], 101), record(0x82, &[0; 10], 102), record(48, &[], 102)];
    let seen = frames(&file.concat());
    let times: Vec<_> = seen.iter().map(|f| (f.0, f.2)).collect();
    assert_eq!(times, [(Some(100_500_000_000), 1), (Some(101_500_000_000), 228), (Some(102_500_000_000), 1)]);
    assert!(seen.iter().all(|f| f.3 == DATA));
}

#[test]
fn compressed_captures_of_several_members() {
    let capture = pcap(&[DATA; 100]);
    let (a, b) = capture.split_at(1_000);
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let xz = |bytes: &[u8]| {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let skippable = [0x184d_2a50_u32.to_le_bytes(), 4_u32.to_le_bytes(), [1, 2, 3, 4]].concat();
    let cases = [
        ("gzip", [gzip(a), gzip(b)].concat()),
        ("zstd", [skippable, zstd(a), zstd(b)].concat()),
        ("xz", [xz(a), xz(b)].concat()),
    ];
    for (name, bytes) in cases {
        assert_eq!(frames(&bytes).len(), 100, "{name}");
        // A cut or damaged stream: what came before it, and an error that names the format.
        let (seen, errors, _) = read_all_ways(&bytes[..bytes.len() - 9]);
        assert_eq!(errors.len(), 1, "{name}: {errors:?}");
        assert!(errors[0].starts_with(&format!("FILE: damaged {name} data after")), "{errors:?}");
        assert!(seen.len() > 25, "{name}: {}", seen.len());
    }
    let twice = gzip(&gzip(&capture));
    let (_, errors, _) = read_all_ways(&twice);
    assert!(errors[0].contains("compressed twice"), "{errors:?}");
}

/// Hands out a few bytes at a time.
struct Dribble(Cursor<Vec<u8>>);

impl std::io::Read for Dribble {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = out.len().min(1 + self.0.position() as usize % 13);
        self.0.read(&mut out[..n])
    }
}

#[test]
fn frames_before_the_damage_in_a_compressed_file_were_lost_with_it() {
    // Four bits of chance in each byte, so that the compressed length follows the frames.
    let mut x = 1_u32;
    let mut data = || -> Vec<u8> {
        (0..200)
            .map(|_| {
                (x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223), b"0123456789abcdef"[(x >> 28) as usize]).1
            })
            .collect()
    };
    let mut capture = pcap_header(false, 0xa1b2_c3d4, 1);
    (0..1_000).for_each(|n| capture.extend(record(false, n, 0, 200, &data())));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&capture).unwrap();
    let xz = {
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&capture).unwrap();
        xz.finish().unwrap()
    };
    for mut damaged in [gzip.finish().unwrap(), zstd::encode_all(&capture[..], 1).unwrap(), xz] {
        let at = damaged.len() / 4 * 3;
        damaged[at..].fill(0xff);
        let dribbled = read(CaptureReader::from_reader(Dribble(Cursor::new(damaged.clone())), Path::new("a")));
        let (frames, errors, _) = read_all_ways(&damaged);
        assert_eq!(frames, dribbled.0, "however the bytes come");
        assert!(frames.len() > 500 && !errors.is_empty(), "{} frames, {errors:?}", frames.len());
    }
}

#[test]
fn what_is_no_capture_is_an_error_that_says_so() {
    let (_, errors, _) = read_all_ways(b"");
    assert_eq!(errors, ["FILE: the file is empty; expected a capture (pcap, pcapng, snoop or ERF)"]);
    let (_, errors, _) = read_all_ways(b"GET / HTTP/1.1\r\n");
    assert_eq!(
        errors,
        [
            "FILE: not a capture: it begins with 47 45 54 20 2f 20 48 54; expected pcap, pcapng, snoop or ERF, plain or in gzip, zstd or xz"
        ]
    );
    let (_, errors, _) = read_all_ways(&pcap(&[])[..10]);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("inside the pcap file header"), "{errors:?}");
    let missing = CaptureReader::open("/no/such/file").map(|_| ()).unwrap_err();
    assert!(matches!(missing, FileError::Io { .. }) && missing.to_string().starts_with("/no/such/file: "));
    let folder = CaptureReader::open(Path::new(".")).map(|_| ()).unwrap_err();
    assert!(matches!(folder, FileError::Io { .. }), "{folder}");
}
