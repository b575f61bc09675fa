//! Every capture of the shared test data through reader and decoder, against what independent tools
//! counted: packets and IP bytes per protocol and address pair, and per five-tuple and direction.
//!
//! The data is not part of the repository. Where it is absent the tests say so and check nothing.
//! `SPOTTER_SHARED` names its folder; the default is `../shared` beside the workspace.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use capture::file::CaptureReader;
use capture::{AddressPair, Decoder, DecoderConfig, Fate, Fragment, Message, Packet, Sink, Tunnels};

/// Address and port.
type End = (IpAddr, u16);
/// Protocol and the two ends, the lesser first: packets and bytes from the lesser, then from the greater.
type Totals = BTreeMap<(u8, End, End), [u64; 4]>;

/// Which differences from the truth are known, and why.
const EXPECTATIONS: &str = "../tests/expectations/flows.tsv";

#[derive(Default)]
struct Sum {
    flows: Totals,
    packets: u64,
    bytes: u64,
}

fn add(totals: &mut Totals, proto: u8, a: End, b: End, [pa, ba, pb, bb]: [u64; 4]) {
    let (key, counts) = match a.cmp(&b) {
        std::cmp::Ordering::Less => ((proto, a, b), [pa, ba, pb, bb]),
        std::cmp::Ordering::Greater => ((proto, b, a), [pb, bb, pa, ba]),
        std::cmp::Ordering::Equal => ((proto, a, b), [pa + pb, ba + bb, 0, 0]),
    };
    for (total, count) in totals.entry(key).or_default().iter_mut().zip(counts) {
        *total += count;
    }
}

impl Sink for Sum {
    fn packet(&mut self, packet: &Packet) {
        let AddressPair { src, dst, src_port, dst_port, proto, version } = packet.pair;
        // The truth has no ICMP type and code, and no ports in later fragments.
        let unmapped = matches!(proto, 1 | 58) || matches!(packet.fragment, Fragment::Later { .. });
        let (src_port, dst_port) = if unmapped { (0, 0) } else { (src_port, dst_port) };
        let bytes = u64::from(packet.ip_bytes);
        self.packets += 1;
        self.bytes += bytes;
        let (src, dst) = (src.to_ip_addr(version), dst.to_ip_addr(version));
        add(&mut self.flows, proto, (src, src_port), (dst, dst_port), [1, bytes, 0, 0]);
    }

    fn message(&mut self, _: Message) {}
}

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("SPOTTER_SHARED")
        .map_or_else(|| Path::new("../../shared").to_owned(), PathBuf::from)
        .join("data");
    if folder.join("pcap").is_dir() {
        return Some(folder);
    }
    println!("skipped: no test data in {} (set SPOTTER_SHARED)", folder.display());
    None
}

/// A CSV file without quoted line breaks, as rows of column name to value.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines().map(fields);
    let header = lines.next().unwrap_or_default();
    lines.map(|row| header.iter().cloned().zip(row).collect()).collect()
}

fn fields(line: &str) -> Vec<String> {
    let (mut out, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(String::new()),
            c => out.last_mut().unwrap().push(c),
        }
    }
    out
}

fn truth(path: &Path) -> Totals {
    let mut totals = Totals::new();
    for row in table(path) {
        let end = |ip: &str, port: &str| (row[ip].parse::<IpAddr>().unwrap(), row[port].parse::<u16>().unwrap());
        let counts = ["packets_ab", "bytes_ab", "packets_ba", "bytes_ba"].map(|name| row[name].parse::<u64>().unwrap());
        add(&mut totals, row["proto"].parse().unwrap(), end("ip_a", "port_a"), end("ip_b", "port_b"), counts);
    }
    totals
}

fn without_ports(totals: &Totals) -> Totals {
    let mut out = Totals::new();
    for (&(proto, (a, _), (b, _)), &counts) in totals {
        add(&mut out, proto, (a, 0), (b, 0), counts);
    }
    out
}

/// Reads a capture to its end; checks that every frame has one fate and every packet one frame.
fn read(path: &Path, tunnels: Tunnels) -> (Sum, u64) {
    let mut sum = Sum::default();
    let mut decoder = Decoder::new(DecoderConfig { tunnels, ..DecoderConfig::default() });
    let (mut frames, mut received, mut received_bytes, mut errors) = (0, 0, 0, 0);
    let mut reader = match CaptureReader::open(path) {
        Ok(reader) => reader,
        Err(error) => {
            println!("{error}");
            return (sum, 0);
        }
    };
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                frames += 1;
                if let Fate::Received { ip_bytes } = decoder.handle_frame(&frame, &mut sum) {
                    received += 1;
                    received_bytes += u64::from(ip_bytes);
                }
            }
            Ok(None) => break,
            Err(error) => {
                errors += 1;
                assert!(errors <= frames + 2, "{}: errors without end", path.display());
                println!("{error}");
            }
        }
    }
    decoder.finish(&mut sum);
    assert_eq!((received, received_bytes), (sum.packets, sum.bytes), "{}: books", path.display());
    (sum, frames)
}

/// `file⇥truth table⇥what differs⇥why`, one line a known difference.
fn expected() -> BTreeMap<(String, String), String> {
    let text = fs::read_to_string(EXPECTATIONS).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let [file, table, difference, _reason] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("four columns: {line}")
            };
            ((file.to_owned(), table.to_owned()), difference.to_owned())
        })
        .collect()
}

/// Both tables' difference in one line; empty if they agree.
fn difference(truth: &Totals, ours: &Totals) -> String {
    let keys: BTreeSet<_> = truth.keys().chain(ours.keys()).collect();
    let differing: Vec<_> = keys.into_iter().filter(|key| truth.get(key) != ours.get(key)).collect();
    let Some(first) = differing.first() else { return String::new() };
    let [t, o] = [truth, ours].map(|totals| totals.get(first).map_or("none".to_owned(), |c| format!("{c:?}")));
    let (proto, a, b) = first;
    format!("{} differ: {proto} {}:{} {}:{} truth {t} here {o}", differing.len(), a.0, a.1, b.0, b.1)
}

/// A capture, and the truths of which one must be met.
struct Case {
    file: String,
    truths: Vec<PathBuf>,
}

fn compare(name: &str, tunnels: Tunnels, folder: &Path, cases: &[Case]) {
    let expected = expected();
    let mut wrong = Vec::new();
    for Case { file, truths } in cases {
        let (sum, _) = read(&folder.join("pcap").join(file), tunnels);
        let differences = truths.iter().map(|path| {
            let truth = truth(path);
            let pairs = difference(&without_ports(&truth), &without_ports(&sum.flows));
            if pairs.is_empty() { difference(&truth, &sum.flows) } else { pairs }
        });
        let found = differences.min_by_key(String::len).unwrap();
        let known = expected.get(&(file.clone(), name.to_owned())).map_or("", String::as_str);
        if known != found {
            wrong.push(format!("{file}\t{name}\t{found}\t(expected: {known:?})"));
        }
    }
    let files: BTreeSet<_> = cases.iter().map(|case| case.file.as_str()).collect();
    let stale: Vec<_> = expected.keys().filter(|key| key.1 == name && !files.contains(key.0.as_str())).collect();
    assert!(stale.is_empty(), "expectations for captures that are not compared: {stale:?}");
    let known = expected.keys().filter(|key| key.1 == name).count();
    println!("{name}: {} captures, {known} of them with a known difference", cases.len());
    assert!(wrong.is_empty(), "{} unexplained:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn flows_equal_the_truth() {
    let Some(folder) = shared() else { return };
    let cases: Vec<_> = table(&folder.join("manifest.csv"))
        .into_iter()
        .filter(|row| folder.join("pcap").join(&row["file"]).exists() && row["truth_status"] != "robustness_only")
        .map(|row| {
            let file = row["file"].clone();
            let truths = ["flows", "flows_alt"].map(|t| folder.join(format!("truth/{t}/{file}.csv")));
            let truths: Vec<_> = truths.into_iter().filter(|path| path.exists()).collect();
            assert!(!truths.is_empty(), "{file}: no truth");
            Case { file, truths }
        })
        .collect();
    compare("flows", Tunnels::Outer, &folder, &cases);
}

#[test]
fn inner_flows_equal_the_truth() {
    let Some(folder) = shared() else { return };
    let cases: Vec<_> = table(&folder.join("inner_summary.csv"))
        .into_iter()
        .filter(|row| row["agree"] != "neither" && folder.join("pcap").join(&row["file"]).exists())
        .map(|row| {
            let file = row["file"].clone();
            Case { truths: vec![folder.join(format!("truth/flows_inner/{file}.csv"))], file }
        })
        .collect();
    compare("flows_inner", Tunnels::Inner, &folder, &cases);
}

#[test]
fn frames_equal_the_truth() {
    let Some(folder) = shared() else { return };
    let mut wrong = Vec::new();
    for row in table(&folder.join("summary.csv")) {
        let path = folder.join("pcap").join(&row["file"]);
        if row["status"] == "robustness_only" || !path.exists() {
            continue;
        }
        let (_, frames) = read(&path, Tunnels::Inner);
        if frames.to_string() != row["frames"] {
            wrong.push(format!("{}: {frames} frames, truth {}", row["file"], row["frames"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
