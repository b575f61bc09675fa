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
    let default = "../../shared";
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

/// A row, and what else both say of it: text that is compared beside the row.
#[derive(Clone, Default)]
struct Told {
    rows: Vec<Row>,
    /// First and last second, where times are compared.
    times: Vec<Row>,
    /// Autonomous systems.
    ases: Vec<Row>,
}

impl Told {
    fn add(&mut self, row: Row, times: (i64, i64), ases: (u32, u32)) {
        self.times.push(Row(format!("{} | {} {}", row.0, times.0, times.1)));
        self.ases.push(Row(format!("{} | AS {} {}", row.0, ases.0, ases.1)));
        self.rows.push(row);
    }
}

#[derive(Default)]
struct Flows {
    told: Told,
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
        let row = row(
            &src,
            &dst,
            (&sp.to_string(), &dp.to_string()),
            &pair.proto.to_string(),
            (flow.forward.packets * scale, bytes),
        );
        let second = |time: Nanos| time.0.div_euclid(1_000_000_000);
        let ases = (flow.src_as.unwrap_or(0), flow.dst_as.unwrap_or(0));
        self.told.add(row, (second(flow.first), second(flow.last)), ases);
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

/// `2023-11-14 22:13:20`, UTC, in seconds since the epoch.
fn second(text: &str) -> i64 {
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
    let (y, m, d) = (number(0, 4), number(5, 7), number(8, 10));
    // Days from civil, after Howard Hinnant.
    let y = if m <= 2 { y - 1 } else { y };
    let (era, of_era) = (y.div_euclid(400), y.rem_euclid(400));
    let of_year = (153 * (m + if m > 2 { -3 } else { 9 }) + 2) / 5 + d - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    (days * 24 + number(11, 13)) * 3_600 + number(14, 16) * 60 + number(17, 19)
}

fn nfdump(dir: &Path, group: &str, sflow: bool) -> Option<Told> {
    let text = fs::read_to_string(dir.join(format!("expected/{group}.nfdump.csv"))).ok()?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split(',').collect();
    let at = |name: &str| names.iter().position(|n| *n == name);
    let (sa, da, sp, dp, pr) = (at("sa")?, at("da")?, at("sp")?, at("dp")?, at("pr")?);
    let (packets, bytes) = (at("ipkt")?, at("ibyt")?);
    let (first, last, src_as, dst_as) = (at("ts")?, at("te")?, at("sas")?, at("das")?);
    let mut told = Told::default();
    for line in lines {
        let f: Vec<&str> = line.split(',').map(str::trim).collect();
        let (Some(src), Some(dst)) = (f.get(sa), f.get(da)) else { break };
        let Ok(src) = src.parse::<IpAddr>() else { break };
        let dst: IpAddr = dst.parse().unwrap();
        let bytes = if sflow { 0 } else { f[bytes].parse().unwrap() };
        let row = row(
            &src.to_string(),
            &dst.to_string(),
            (f[sp], f[dp]),
            &protocol_number(f[pr]),
            (f[packets].parse().unwrap(), bytes),
        );
        told.add(row, (second(f[first]), second(f[last])), (f[src_as].parse().unwrap(), f[dst_as].parse().unwrap()));
    }
    Some(told)
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
        let text = |rows: Vec<Row>| rows.into_iter().map(|row| row.0).collect::<Vec<_>>();
        let mut compare = |whose: &str, ours: &[Row], theirs: &[Row]| {
            let (ours, missing) = differences(ours, theirs);
            tell(whose, theirs.len(), text(ours), text(missing));
        };
        compare("nfdump", &flows.told.rows, &theirs.rows);
        // Of the rows that both have.
        let of = |told: &Told, more: &[Row], other: &Told| -> Vec<Row> {
            let both = told.rows.iter().zip(more).filter(|(row, _)| other.rows.contains(row));
            both.map(|(_, more)| more.clone()).collect()
        };
        let (ours, theirs) = (&flows.told, &theirs);
        compare("nfdump, AS", &of(ours, &ours.ases, theirs), &of(theirs, &theirs.ases, ours));
        // nfdump's times of sFlow are those of its run.
        if !flows.sflow {
            compare("nfdump, times", &of(ours, &ours.times, theirs), &of(theirs, &theirs.times, ours));
        }
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
    let path = "tests/expectations/netflow.txt";
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
