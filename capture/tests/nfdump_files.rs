//! nfdump's files, field by field against nfdump itself: nfcapd writes what exporters send, nfdump packs it in every way it knows
//! and prints it as JSON; nfanon changes addresses. Files of layout 1 are written here and read by nfdump, too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::io::{Cursor, Read as _};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use capture::collect::file::{ExportFile, ExportFileError};
use capture::collect::{ExportSink, ExportedDirection, ExportedFlow, Protocol};
use capture::file::CaptureReader;
use capture::{AddressPair, Decoder, DecoderConfig, Ip, IpVersion, Message, Nanos, Packet, Sink};
use serde_json::Value;

mod nfdump_files_parts;
use nfdump_files_parts::{layout1, netflow5, netflow9};

#[derive(Default)]
struct Read {
    flows: Vec<ExportedFlow>,
    refused: Vec<&'static str>,
}

impl ExportSink for Read {
    fn flow(&mut self, flow: &ExportedFlow) {
        self.flows.push(flow.clone());
    }
    fn refused(&mut self, _: u64, reason: &'static str, _: &[u8]) {
        self.refused.push(reason);
    }
}

fn read(bytes: Vec<u8>) -> (Read, Vec<(&'static str, u64)>, Option<ExportFileError>) {
    let mut file = ExportFile::from_reader(Box::new(Cursor::new(bytes)), &DecoderConfig::default()).unwrap().unwrap();
    let (mut seen, mut error) = (Read::default(), None);
    loop {
        match file.read(&mut seen) {
            Ok(true) => {}
            Ok(false) => break,
            Err(found) => {
                error = Some(found);
                break;
            }
        }
    }
    assert_eq!(file.imbalance(), None);
    let flows = file.counters().iter().find(|(name, _)| *name == "export.flows").unwrap().1;
    assert_eq!(flows, seen.flows.len() as u64);
    (seen, file.counters(), error)
}

fn counter(counters: &[(&str, u64)], name: &str) -> u64 {
    counters.iter().find(|(known, _)| *known == name).unwrap().1
}

fn has_nfdump(test: &str) -> bool {
    let found = Command::new("nfdump").arg("-V").output().is_ok() && Command::new("nfcapd").arg("-V").output().is_ok();
    if !found {
        eprintln!("SKIPPED {test}: no nfdump (scripts/setup.sh test)");
        assert!(std::env::var_os("CI").is_none(), "CI installs nfdump");
    }
    found
}

fn nfdump(args: &[&str]) -> String {
    let output = Command::new("nfdump").args(args).env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "nfdump {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn millis(text: &str) -> i64 {
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (y, m, d) = (number(0, 4), number(5, 7), number(8, 10));
    // Days from civil, after Howard Hinnant.
    let y = if m <= 2 { y - 1 } else { y };
    let (era, yoe) = (y.div_euclid(400), y.rem_euclid(400));
    let doy = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    ((days * 24 + number(11, 13)) * 60 + number(14, 16)) * 60_000 + number(17, 19) * 1_000 + number(20, 23)
}

/// The flow that a record of nfdump's JSON says; `None` where it has no addresses.
fn flow(record: &Value) -> Option<ExportedFlow> {
    let number = |name: &str| record.get(name).and_then(Value::as_u64);
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let address = |name: &str| text(name).map(|t| t.parse::<IpAddr>().unwrap());
    let known = |a: &IpAddr| !a.is_unspecified();
    let time = |name: &str| Nanos(millis(text(name).unwrap()) * 1_000_000);
    let six = address("src6_addr").zip(address("dst6_addr"));
    let four = address("src4_addr").zip(address("dst4_addr"));
    let (src, dst) = six.filter(|(s, d)| known(s) || known(d)).or(four)?;
    let version = if src.is_ipv6() { IpVersion::V6 } else { IpVersion::V4 };
    let ip = |address: IpAddr| match address {
        IpAddr::V4(a) => Ip::v4(a.octets()),
        IpAddr::V6(a) => Ip(a.octets()),
    };
    let port = |name: &str, icmp: &str| number(icmp).or(number(name)).unwrap() as u16;
    let proto = number("proto").unwrap() as u8;
    let pair = AddressPair {
        src: ip(src),
        dst: ip(dst),
        src_port: port("src_port", "icmp_type"),
        dst_port: port("dst_port", "icmp_code"),
        proto,
        version,
    };
    let exporter = address("ip4_router").or(address("ip6_router")).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut flow = ExportedFlow::new(Protocol::Nfdump, exporter, 0, time("received"), pair);
    (flow.first, flow.last) = (time("first"), time("last"));
    flow.last = flow.last.max(flow.first);
    let flags = text("tcp_flags")
        .map(|t| t.bytes().zip("CEUAPRSF".bytes()).fold(0, |all, (is, name)| all << 1 | u8::from(is == name)));
    flow.forward = ExportedDirection {
        packets: number("in_packets").unwrap(),
        bytes: number("in_bytes").unwrap(),
        tcp_flags: flags.filter(|_| proto == 6),
        tos: number("src_tos").map(|t| t as u8),
    };
    let back = (number("out_packets").unwrap_or(0), number("out_bytes").unwrap_or(0));
    flow.reverse = (back != (0, 0)).then(|| ExportedDirection {
        packets: back.0,
        bytes: back.1,
        tcp_flags: None,
        tos: number("dst_tos").map(|t| t as u8),
    });
    let narrow = |name: &str| number(name).map(|n| n as u32);
    let byte = |name: &str| number(name).map(|n| n as u8);
    flow.fwd_status = byte("fwd_status").filter(|s| *s != 0);
    (flow.input_if, flow.output_if) = (narrow("input_snmp"), narrow("output_snmp"));
    (flow.src_mask, flow.dst_mask) = (byte("src_mask"), byte("dst_mask"));
    flow.direction = byte("direction").filter(|d| *d <= 1);
    (flow.src_as, flow.dst_as) = (narrow("src_as"), narrow("dst_as"));
    flow.next_hop = address("ip4_next_hop").filter(known).or(address("ip6_next_hop").filter(known));
    flow.peer_dst = address("bgp4_next_hop").filter(known).or(address("bgp6_next_hop").filter(known));
    flow.vlan = ["src_vlan", "dst_vlan"].into_iter().filter_map(number).map(|v| v as u16).find(|v| *v != 0);
    let mac = |name: &str| {
        let bytes: Vec<u8> = text(name)?.split(':').map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
        <[u8; 6]>::try_from(bytes).ok().filter(|mac| *mac != [0; 6])
    };
    let (src, dst) = (mac("in_src_mac").or(mac("out_src_mac")), mac("in_dst_mac").or(mac("out_dst_mac")));
    flow.macs = (src.is_some() || dst.is_some()).then(|| (src.unwrap_or_default(), dst.unwrap_or_default()));
    Some(flow)
}

/// What nfdump says of a file, without the domain and the sampling, which its JSON has not; and how many records have no addresses.
fn told(path: &Path) -> (Vec<ExportedFlow>, usize) {
    let json = nfdump(&["-r", path.to_str().unwrap(), "-o", "json"]);
    let records: Vec<Value> = serde_json::from_str(&json).unwrap();
    let flows: Vec<_> = records.iter().filter_map(flow).collect();
    let without = records.len() - flows.len();
    (flows, without)
}

fn plain(flows: &[ExportedFlow]) -> Vec<ExportedFlow> {
    flows.iter().map(|flow| ExportedFlow { domain: 0, sampling: 1, ..flow.clone() }).collect()
}

/// UDP payloads of a capture.
#[derive(Default)]
struct Payloads(Vec<Vec<u8>>);

impl Sink for Payloads {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, _: Message) {}
    fn payload(&mut self, packet: &Packet, payload: &[u8], _: u32) -> bool {
        if packet.pair.proto == 17 {
            self.0.push(payload.to_vec());
        }
        true
    }
}

/// Datagrams of the shared groups, where they are; each group from an address of its own.
fn shared_datagrams() -> Vec<Vec<Vec<u8>>> {
    let default = "../../shared";
    let dir = PathBuf::from(std::env::var_os("SPOTTER_SHARED").unwrap_or_else(|| default.into())).join("data/netflow");
    let Ok(groups) = fs::read_to_string(dir.join("groups.csv")) else { return Vec::new() };
    let groups = groups.lines().skip(1).filter(|line| !line.contains("sflow"));
    groups
        .map(|line| {
            let f: Vec<&str> = line.split(',').collect();
            let mut all = Payloads::default();
            for file in f[2].split(' ') {
                let path = dir.join(file);
                if f[1] == "pcap" {
                    let mut reader = CaptureReader::open(&path).unwrap();
                    let mut decoder = Decoder::new(DecoderConfig::default());
                    while let Ok(Some(frame)) = reader.next_frame() {
                        decoder.handle_frame(&frame, &mut all);
                    }
                } else {
                    all.0.push(fs::read(&path).unwrap());
                }
            }
            all.0
        })
        .collect()
}

/// Has nfcapd write what is sent, each group from an address of its own; gives its file.
fn collected(dir: &Path, groups: &[Vec<Vec<u8>>], more: &[&str]) -> PathBuf {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut daemon = Command::new("nfcapd")
        .args(["-w", dir.to_str().unwrap(), "-p", &port.to_string(), "-b", "127.0.0.1", "-t", "3600"])
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    for (group, datagrams) in groups.iter().enumerate() {
        let from = UdpSocket::bind((Ipv4Addr::new(127, 0, 2, group as u8 + 1), 0)).unwrap();
        for (at, datagram) in datagrams.iter().enumerate() {
            // ICMP of a daemon that is not up is told on the next send; what counts is what it wrote.
            let _ = from.send_to(datagram, ("127.0.0.1", port));
            if at % 16 == 15 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    std::thread::sleep(Duration::from_millis(500));
    Command::new("kill").arg(daemon.id().to_string()).status().unwrap();
    let mut said = String::new();
    daemon.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    daemon.wait().unwrap();
    let mut files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let found = files.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("nfcapd.2"));
    found.unwrap_or_else(|| panic!("nfcapd wrote nothing: {said}"))
}

#[test]
fn every_field_of_every_packing_is_nfdumps() {
    if !has_nfdump("every_field_of_every_packing_is_nfdumps") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut groups = shared_datagrams();
    groups.push(vec![netflow5(), netflow9()]);
    let collected = collected(dir.path(), &groups, &[]);
    let (expected, without_addresses) = told(&collected);
    assert!(expected.len() >= 6, "{}", expected.len());
    let whole = fs::read(&collected).unwrap();
    let (seen, counters, error) = read(whole.clone());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seen.refused, vec!["a record without addresses"; without_addresses]);
    assert_eq!(seen.flows.len(), expected.len());
    for (ours, mut theirs) in plain(&seen.flows).into_iter().zip(expected) {
        // In a record with addresses of both versions nfdump 1.7.1 prints one over the other: all zeros, or an IPv4
        // address as the end of an IPv6 one. Ports, counters and times are still compared.
        let is_overwritten = |ip: Ip| ip.0[..12] == [0; 12] || ip == Ip::v4([0; 4]);
        if is_overwritten(theirs.pair.src) && is_overwritten(theirs.pair.dst) {
            (theirs.pair.src, theirs.pair.dst) = (ours.pair.src, ours.pair.dst);
        }
        // Its JSON has no reason of the end.
        theirs.end_reason = ours.end_reason;
        // Which of both versions a record with both has is told by the address that is not empty.
        if (theirs.pair.src, theirs.pair.dst) == (ours.pair.src, ours.pair.dst) {
            theirs.pair.version = ours.pair.version;
        }
        assert_eq!(ours, theirs);
    }
    assert!(counter(&counters, "records.other") > 0);
    for option in ["-z", "-y", "-j"] {
        let packed = dir.path().join(format!("packed{option}"));
        nfdump(&["-r", collected.to_str().unwrap(), "-w", packed.to_str().unwrap(), option]);
        let (again, _, error) = read(fs::read(&packed).unwrap());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(plain(&again.flows), plain(&seen.flows), "{option}");
    }
    let (again, ..) = read(repacked(&whole, 4, |plain| zstd::bulk::compress(plain, 1).unwrap()));
    assert_eq!(again.flows, seen.flows, "zstd, as nfdump 1.7.2 writes");
    let gzipped = dir.path().join("file.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &whole).unwrap();
    fs::write(&gzipped, encoder.finish().unwrap()).unwrap();
    let mut file = ExportFile::open(&gzipped, &DecoderConfig::default()).unwrap().unwrap();
    let mut unzipped = Read::default();
    while file.read(&mut unzipped).unwrap() {}
    assert_eq!(unzipped.flows, seen.flows);
}

#[test]
fn addresses_changed_by_nfanon_are_told() {
    if !has_nfdump("addresses_changed_by_nfanon_are_told") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [first, from, to] = ["layout1", "layout2", "anonymised"].map(|name| dir.path().join(name));
    fs::write(&first, layout1(0)).unwrap();
    // nfanon leaves out records of layout 1.
    nfdump(&["-r", first.to_str().unwrap(), "-w", from.to_str().unwrap()]);
    let key = "0123456789abcdef0123456789abcdef";
    let status = Command::new("nfanon")
        .args(["-K", key, "-q", "-r", from.to_str().unwrap(), "-w", to.to_str().unwrap()])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let (seen, counters, error) = read(fs::read(&to).unwrap());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(plain(&seen.flows), told(&to).0);
    assert_eq!(counter(&counters, "nfdump.flows_anonymised"), seen.flows.len() as u64);
    assert!(!seen.flows.is_empty());
}

#[test]
fn the_sampling_that_nfcapd_is_told_is_read_and_its_counters_are_those_of_the_wire() {
    if !has_nfdump("the_sampling_that_nfcapd_is_told_is_read_and_its_counters_are_those_of_the_wire") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = collected(dir.path(), &[vec![netflow5()]], &["-s", "50"]);
    let (seen, counters, error) = read(fs::read(&path).unwrap());
    assert!(error.is_none(), "{error:?}");
    let of = |flow: &ExportedFlow| (flow.sampling, flow.scale(), flow.forward.packets, flow.forward.bytes);
    assert_eq!(seen.flows.iter().map(of).collect::<Vec<_>>(), [(50, 1, 550, 204_800); 2]);
    assert_eq!(counter(&counters, "nfdump.sampler_unknown"), 0);
    assert_eq!(plain(&seen.flows), told(&path).0);
}

#[test]
fn layout_1_is_read_as_nfdump_reads_it() {
    let (seen, counters, error) = read(layout1(0));
    assert!(error.is_none(), "{error:?}");
    assert_eq!((seen.flows.len(), seen.refused.len()), (2, 0));
    assert_eq!(counter(&counters, "records.other"), 3);
    let (four, six) = (&seen.flows[0], &seen.flows[1]);
    assert_eq!(four.exporter.to_string(), "198.51.100.7");
    assert_eq!((four.domain, four.sampling, four.vlan), (77, 1, Some(812)));
    assert_eq!((four.src_as, four.dst_as), (Some(64_496), Some(64_511)));
    assert_eq!(four.reverse.map(|r| (r.packets, r.bytes)), Some((5, 5_000_000_000)));
    assert_eq!((six.pair.src_port, six.pair.dst_port, six.pair.proto), (128, 0, 58));
    assert_eq!(six.pair.src.to_ip_addr(IpVersion::V6).to_string(), "2001:db8::1");
    if !has_nfdump("layout_1_is_read_as_nfdump_reads_it") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (packing, pack) in [
        (0_u32, (|b: &[u8]| b.to_vec()) as fn(&[u8]) -> Vec<u8>),
        (1, |b| lzokay::compress::compress(b).unwrap()),
        (8, |b| {
            let mut packed = Vec::new();
            bzip2::read::BzEncoder::new(b, bzip2::Compression::best()).read_to_end(&mut packed).unwrap();
            packed
        }),
        (16, lz4_flex::block::compress),
    ] {
        let bytes = nfdump_files_parts::packed1(packing, pack);
        let path = dir.path().join(packing.to_string());
        fs::write(&path, &bytes).unwrap();
        let (again, _, error) = read(bytes);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(again.flows, seen.flows, "packing {packing}");
        assert_eq!((plain(&again.flows), 0), told(&path), "packing {packing}");
    }
}

/// A file of layout 2 whose blocks are packed anew.
fn repacked(whole: &[u8], packing: u8, pack: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = whole[..40].to_vec();
    out[16] = packing;
    let mut rest = &whole[40..];
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        let packed = if rest[10] & 1 == 1 { rest[12..12 + size].to_vec() } else { pack(&rest[12..12 + size]) };
        out.extend_from_slice(&rest[..4]);
        out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        out.extend_from_slice(&rest[8..12]);
        out.extend_from_slice(&packed);
        rest = &rest[12 + size..];
    }
    out
}

#[test]
fn a_block_that_does_not_unpack_is_refused_and_the_next_is_read() {
    let mut file = nfdump_files_parts::packed1(16, lz4_flex::block::compress);
    let block = file[276..].to_vec();
    let damaged = file.len() + 12;
    file.extend_from_slice(&block);
    file.extend_from_slice(&block);
    file[damaged..damaged + 20].fill(0xff);
    file[8..12].copy_from_slice(&3_u32.to_le_bytes());
    let (seen, counters, error) = read(file);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seen.refused, ["a block that does not unpack"]);
    assert_eq!(seen.flows.len(), 4);
    assert_eq!((counter(&counters, "nfdump.blocks_unreadable"), counter(&counters, "nfdump.records_lost")), (1, 5));
}

#[test]
fn a_decompression_bomb_ends_in_a_counter() {
    let bomb = vec![0_u8; 20 << 20];
    for (packing, pack) in [
        (
            8,
            (|b: &[u8]| {
                let mut packed = Vec::new();
                bzip2::read::BzEncoder::new(b, bzip2::Compression::fast()).read_to_end(&mut packed).unwrap();
                packed
            }) as fn(&[u8]) -> Vec<u8>,
        ),
        (16, lz4_flex::block::compress),
    ] {
        let file = nfdump_files_parts::packed1_of(&bomb, packing, pack);
        let (seen, _, error) = read(file);
        assert!(error.is_none(), "{error:?}");
        assert_eq!((seen.flows.len(), &seen.refused[..]), (0, &["a block that does not unpack"][..]));
    }
}

#[test]
fn every_cut_and_every_changed_byte_is_survived() {
    let whole = layout1(0);
    for len in 4..whole.len() {
        let (seen, _, error) = read(whole[..len].to_vec());
        assert!(seen.flows.len() <= 2 && error.is_some(), "cut at {len}");
        assert!(error.unwrap().may_grow());
    }
    for at in 4..whole.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            read(bytes);
        }
    }
}
