//! Every group of NetFlow, IPFIX and sFlow datagrams gives the flows that nfdump and tshark give; each difference stands, with
//! its reason, in `tests/expectations/netflow.txt`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use capture::collect::{CollectLimits, Collector, ExportSink, ExportedFlow, InterfaceCounters, Protocol};
use capture::file::CaptureReader;
use capture::{Decoder, DecoderConfig, IpVersion, Message, Nanos, Packet, Sink};

fn shared() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    let dir = PathBuf::from(std::env::var_os("SPOTTER_SHARED").unwrap_or_else(|| default.into())).join("data/netflow");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: no {}", dir.display());
    None
}

/// A row both can be told by: what nfdump prints, without what is its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Row(String);

fn row(src: &str, dst: &str, ports: (&str, &str), proto: &str, counters: (u64, u64)) -> Row {
    Row(format!("{src} {dst} {} {} {proto} {} {}", ports.0, ports.1, counters.0, counters.1))
}

#[derive(Default)]
struct Flows {
    rows: Vec<Row>,
    addresses: Vec<String>,
    sflow: bool,
    interfaces: usize,
}

impl ExportSink for Flows {
    fn flow(&mut self, flow: &ExportedFlow) {
        let pair = &flow.pair;
        let text = |ip: capture::Ip| ip.to_ip_addr(pair.version).to_string();
        let (src, dst) = (text(pair.src), text(pair.dst));
        let (sp, dp) = match pair.proto {
            1 | 58 => (0, u32::from(pair.src_port) << 8 | u32::from(pair.dst_port)),
            _ => (u32::from(pair.src_port), u32::from(pair.dst_port)),
        };
        self.sflow |= flow.protocol == Protocol::SFlow;
        let scale = u64::from(flow.sampling);
        let bytes = if flow.protocol == Protocol::SFlow { 0 } else { flow.forward.bytes * scale };
        self.addresses.push(format!("{src} {dst}"));
        self.rows.push(row(
            &src,
            &dst,
            (&sp.to_string(), &dp.to_string()),
            &pair.proto.to_string(),
            (flow.forward.packets * scale, bytes),
        ));
        assert!(pair.version == IpVersion::V6 || pair.src.0[10] == 0xff);
        assert!(flow.first <= flow.last);
    }
    fn interface(&mut self, _: &InterfaceCounters) {
        self.interfaces += 1;
    }
}

/// UDP payloads of a capture, with their senders.
#[derive(Default)]
struct Payloads(Vec<(Nanos, IpAddr, Vec<u8>)>);

impl Sink for Payloads {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, _: Message) {}
    fn payload(&mut self, packet: &Packet, payload: &[u8], _: u32) -> bool {
        if packet.pair.proto == 17 {
            self.0.push((packet.ts, packet.pair.src.to_ip_addr(packet.pair.version), payload.to_vec()));
        }
        true
    }
}

fn datagrams(dir: &Path, form: &str, files: &str) -> Vec<(Nanos, IpAddr, Vec<u8>)> {
    let mut all = Payloads::default();
    for file in files.split(' ') {
        let path = dir.join(file);
        if form == "pcap" {
            let mut reader = CaptureReader::open(&path).unwrap();
            let mut decoder = Decoder::new(DecoderConfig::default());
            while let Ok(Some(frame)) = reader.next_frame() {
                decoder.handle_frame(&frame, &mut all);
            }
        } else {
            all.0.push((Nanos(1_700_000_000_000_000_000), "192.0.2.1".parse().unwrap(), fs::read(&path).unwrap()));
        }
    }
    all.0
}

fn protocol_number(name: &str) -> String {
    let number = match name {
        "TCP" => 6,
        "UDP" => 17,
        "ICMP" => 1,
        "ICMP6" => 58,
        "IGMP" => 2,
        "GRE" => 47,
        "ESP" => 50,
        "OSPF" => 89,
        "SCTP" => 132,
        "IPIP" | "IPinIP" => 94,
        "IPv6" => 41,
        "PIM" => 103,
        "VRRP" => 112,
        "NET" => 63,
        "HOPOPT" | "0" => 0,
        _ => return name.to_owned(),
    };
    number.to_string()
}

fn nfdump(dir: &Path, group: &str, sflow: bool) -> Option<Vec<Row>> {
    let text = fs::read_to_string(dir.join(format!("expected/{group}.nfdump.csv"))).ok()?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split(',').collect();
    let at = |name: &str| names.iter().position(|n| *n == name);
    let (sa, da, sp, dp, pr) = (at("sa")?, at("da")?, at("sp")?, at("dp")?, at("pr")?);
    let (packets, bytes) = (at("ipkt")?, at("ibyt")?);
    let mut rows = Vec::new();
    for line in lines {
        let f: Vec<&str> = line.split(',').map(str::trim).collect();
        let (Some(src), Some(dst)) = (f.get(sa), f.get(da)) else { break };
        let Ok(src) = src.parse::<IpAddr>() else { break };
        let dst: IpAddr = dst.parse().unwrap();
        let bytes = if sflow { 0 } else { f[bytes].parse().unwrap() };
        rows.push(row(
            &src.to_string(),
            &dst.to_string(),
            (f[sp], f[dp]),
            &protocol_number(f[pr]),
            (f[packets].parse().unwrap(), bytes),
        ));
    }
    Some(rows)
}

/// tshark's pairs of addresses, in order, where it gives as many sources as destinations.
fn tshark(dir: &Path, group: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(dir.join(format!("expected/{group}.tshark.tsv"))).ok()?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split('\t').collect();
    let at = |name: &str| names.iter().position(|n| *n == name);
    let columns = [(at("cflow.srcaddr")?, at("cflow.dstaddr")?), (at("cflow.srcaddrv6")?, at("cflow.dstaddrv6")?)];
    let mut pairs = Vec::new();
    for line in lines {
        let f: Vec<&str> = line.split('\t').collect();
        for (src, dst) in columns {
            let list = |at: usize| f.get(at).copied().unwrap_or_default().split('|').filter(|s| !s.is_empty());
            if list(src).count() != list(dst).count() {
                return None;
            }
            pairs.extend(list(src).zip(list(dst)).map(|(s, d)| format!("{s} {d}")));
        }
    }
    Some(pairs)
}

fn differences<T: Ord + Clone>(ours: &[T], theirs: &[T]) -> (Vec<T>, Vec<T>) {
    let mut count: BTreeMap<T, i64> = BTreeMap::new();
    ours.iter().for_each(|row| *count.entry(row.clone()).or_default() += 1);
    theirs.iter().for_each(|row| *count.entry(row.clone()).or_default() -= 1);
    let (mut only_ours, mut only_theirs) = (Vec::new(), Vec::new());
    for (row, n) in count {
        for _ in 0..n.unsigned_abs() {
            if n > 0 { only_ours.push(row.clone()) } else { only_theirs.push(row.clone()) }
        }
    }
    (only_ours, only_theirs)
}

/// What stands in the expectation file of one group.
fn found(dir: &Path, group: &str, form: &str, files: &str) -> String {
    let mut collector = Collector::new(CollectLimits::default(), DecoderConfig::default());
    let mut flows = Flows::default();
    for (ts, from, datagram) in datagrams(dir, form, files) {
        collector.handle_datagram(ts, from, &datagram, &mut flows);
    }
    let counters = collector.counters();
    let mut out = format!("{group}\n");
    let notable = counters.list().into_iter().filter(|(name, value)| {
        *value > 0 && !matches!(*name, "bytes.seen" | "datagrams.seen" | "bytes.lost_without_template" | "rows.seen")
    });
    let notable: Vec<String> = notable.map(|(name, value)| format!("{name} {value}")).collect();
    writeln!(out, "    {}", notable.join(", ")).unwrap();
    if collector.waiting().0 > 0 {
        writeln!(out, "    waiting for a template: {} sets", collector.waiting().0).unwrap();
    }
    let mut tell = |whose: &str, theirs: usize, ours: Vec<String>, missing: Vec<String>| {
        writeln!(out, "    {whose}: {theirs} flows, {} only here, {} only there", ours.len(), missing.len()).unwrap();
        for (sign, rows) in [("+", ours), ("-", missing)] {
            for row in rows.iter().take(3) {
                writeln!(out, "        {sign} {row}").unwrap();
            }
            if rows.len() > 3 {
                writeln!(out, "        {sign} … {} more", rows.len() - 3).unwrap();
            }
        }
    };
    if let Some(theirs) = nfdump(dir, group, flows.sflow) {
        let (ours, missing) = differences(&flows.rows, &theirs);
        let text = |rows: Vec<Row>| rows.into_iter().map(|row| row.0).collect();
        tell("nfdump", theirs.len(), text(ours), text(missing));
    }
    if let Some(theirs) = tshark(dir, group).filter(|_| !flows.sflow) {
        let (ours, missing) = differences(&flows.addresses, &theirs);
        tell("tshark", theirs.len(), ours, missing);
    }
    out
}

#[test]
fn every_group_gives_the_expected_flows() {
    let Some(dir) = shared() else { return };
    let groups = fs::read_to_string(dir.join("groups.csv")).unwrap();
    let mut all = String::new();
    let mut count = 0;
    for line in groups.lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        all.push_str(&found(&dir, f[0], f[1], f[2]));
        count += 1;
    }
    assert!(count >= 100, "{count} groups");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/expectations/netflow.txt");
    let text = fs::read_to_string(path).unwrap_or_default();
    // Lines that begin with # say why; they are not compared.
    let expected: String =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).map(|l| format!("{l}\n")).collect();
    if all != expected {
        let fresh = std::env::temp_dir().join("netflow-found.txt");
        fs::write(&fresh, &all).unwrap();
        panic!("other flows than {path} says; what was found is in {}", fresh.display());
    }
}
