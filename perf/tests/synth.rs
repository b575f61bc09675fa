//! What the generator promises: the same bytes for the same seed, packets that others read without complaint, records
//! that are those of an import, labels that find their incident and nothing else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::process::Command;
use std::sync::OnceLock;

use aggregator::lake::{Lake, Table, WriterOptions};
use aggregator::record::{Origin, Records};
use aggregator::{Aggregator, AggregatorConfig};
use capture::{Decoder, DecoderConfig, file::CaptureReader};
use perf::synth::{
    Attack, Intensity, Label, Source, Summary, SynthConfig, make_records, read_labels, write_labels, write_lake,
    write_pcap, write_pcap_hourly,
};

/// A small network's day, whole frames.
fn small() -> SynthConfig {
    SynthConfig { hosts: 60, volume: 0.002, snaplen: 0, ..SynthConfig::default() }
}

/// The small day as a capture, made once.
fn capture() -> &'static (Vec<u8>, Summary) {
    static CAPTURE: OnceLock<(Vec<u8>, Summary)> = OnceLock::new();
    CAPTURE.get_or_init(|| {
        let mut bytes = Vec::new();
        let summary = write_pcap(&small(), &mut bytes, &mut ()).unwrap();
        (bytes, summary)
    })
}

/// The small day's records, made once.
fn records() -> &'static (Records, Vec<Label>) {
    static RECORDS: OnceLock<(Records, Vec<Label>)> = OnceLock::new();
    RECORDS.get_or_init(|| all_records(&small()))
}

fn all_records(config: &SynthConfig) -> (Records, Vec<Label>) {
    let mut all = Records::default();
    let summary = make_records(config, "test", &mut (), |mut batch| {
        all.flow.append(&mut batch.flow);
        all.dns.append(&mut batch.dns);
        all.dhcp.append(&mut batch.dhcp);
        all.proxy.append(&mut batch.proxy);
        Ok(())
    })
    .unwrap();
    assert_eq!((summary.flows, summary.dns), (all.flow.len() as u64, all.dns.len() as u64));
    all.sort();
    (all, summary.labels)
}

/// Hashes what is written.
struct Hashed(DefaultHasher);

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hash(config: &SynthConfig) -> u64 {
    let mut out = Hashed(DefaultHasher::new());
    write_pcap(config, &mut out, &mut ()).unwrap();
    out.0.finish()
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_seed_others() {
    let config = SynthConfig { hosts: 40, ..small() };
    let first = hash(&config);
    assert_eq!(first, hash(&config));
    assert_ne!(first, hash(&SynthConfig { seed: 2, ..config.clone() }));
    assert_ne!(first, hash(&SynthConfig { intensity: Intensity::High, ..config }));
}

#[test]
fn packets_are_in_time_order_and_within_the_day() {
    let (bytes, summary) = capture();
    let begin = 1_773_187_200_000_000_000i64;
    let mut reader = CaptureReader::from_reader(io::Cursor::new(bytes.clone()), "synthetic").unwrap();
    let (mut last, mut packets, mut wire) = (begin, 0u64, 0u64);
    while let Some(frame) = reader.next_frame().unwrap() {
        let ts = frame.ts.unwrap().0;
        assert!(ts >= last, "packet {packets} at {ts} after {last}");
        last = ts;
        packets += 1;
        wire += u64::from(frame.wire_len);
        assert_eq!(frame.data.len() as u32, frame.wire_len);
    }
    assert!(last < begin + 86_400_000_000_000);
    assert_eq!((packets, wire, bytes.len() as u64), (summary.packets, summary.wire_bytes, summary.file_bytes));
    assert!(summary.sessions_at_once < 500, "memory is proportional to this: {}", summary.sessions_at_once);
}

#[test]
fn a_capture_of_the_day_imports_to_the_records_made_without_it() {
    let (bytes, _) = capture();
    let mut reader = CaptureReader::from_reader(io::Cursor::new(bytes.clone()), "synthetic").unwrap();
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut aggregator = Aggregator::new(AggregatorConfig::new("test", Origin::Pcap));
    while let Some(frame) = reader.next_frame().unwrap() {
        decoder.handle_frame(&frame, &mut aggregator);
    }
    decoder.finish(&mut aggregator);
    aggregator.finish();
    let mut imported = aggregator.take_records();
    imported.sort();
    let (made, _) = records();
    assert!(made.flow.len() > 5_000 && made.dns.len() > 2_000 && made.proxy.len() > 500);
    same("flow", &imported.flow, &made.flow);
    same("dns", &imported.dns, &made.dns);
    same("proxy", &imported.proxy, &made.proxy);
    assert!(made.dhcp.len() > 20, "{} leases", made.dhcp.len());
    same("dhcp", &imported.dhcp, &made.dhcp);
}

fn same<T: PartialEq + std::fmt::Debug>(table: &str, imported: &[T], made: &[T]) {
    for (i, (a, b)) in imported.iter().zip(made).enumerate() {
        assert!(a == b, "{table} row {i}: imported {a:#?}\nmade {b:#?}");
    }
    assert_eq!(imported.len(), made.len(), "{table} rows");
}

#[test]
fn both_ip_versions_and_every_application_take_part() {
    let (records, _) = records();
    let six = records.flow.iter().filter(|f| f.version == capture::IpVersion::V6).count();
    assert!(six * 10 > records.flow.len(), "{six} of {} flows are IPv6", records.flow.len());
    let services: BTreeSet<String> = records.flow.iter().filter_map(|f| f.service).map(|s| format!("{s:?}")).collect();
    for wanted in
        ["Dns", "Mdns", "Llmnr", "Http", "Tls", "Ssh", "Quic", "Ntp", "Dhcp", "Smtp", "Rdp", "Smb", "Snmp", "Sip"]
    {
        assert!(services.contains(wanted), "{wanted} missing in {services:?}");
    }
    let types: BTreeSet<u16> = records.dns.iter().map(|d| d.qtype).collect();
    for wanted in [1, 10, 12, 15, 16, 28, 33, 48, 65] {
        assert!(types.contains(&wanted), "query type {wanted} missing in {types:?}");
    }
    assert!(records.dns.iter().any(|d| d.transport == capture::DnsTransport::Tcp));
    // An announcement over mDNS answers nobody: that is all a row without a question means.
    let announcement = |d: &&aggregator::record::DnsRecord| {
        d.damage == Some("no_question") && d.transport == capture::DnsTransport::Mdns
    };
    let damaged = records.dns.iter().filter(|d| d.damage.is_some()).find(|d| !announcement(d));
    assert!(damaged.is_none(), "every message is well-formed: {damaged:#?}");
    let agents: BTreeMap<&str, usize> =
        records.proxy.iter().filter_map(|p| p.user_agent.as_deref()).fold(BTreeMap::new(), |mut m, a| {
            *m.entry(a).or_default() += 1;
            m
        });
    assert!(agents.len() >= 6, "{agents:?}");
    let prints: BTreeSet<&str> = records.proxy.iter().filter_map(|p| p.ja4.as_deref()).collect();
    assert!(prints.len() >= 7, "{prints:?}");
}

#[test]
fn every_label_finds_its_records() {
    let (records, labels) = records();
    assert_eq!(labels.iter().map(|l| l.kind).collect::<BTreeSet<_>>(), Attack::ALL.into());
    for label in labels {
        let found = [
            (Source::Flow, records.flow.iter().filter(|r| label.takes_flow(r)).count()),
            (Source::Dns, records.dns.iter().filter(|r| label.takes_dns(r)).count()),
            (Source::Proxy, records.proxy.iter().filter(|r| label.takes_proxy(r)).count()),
        ];
        for (source, count) in found {
            let selects = label.records.iter().any(|s| s.table == Some(source));
            assert_eq!(selects, label.sql(source).is_some());
            assert!(count > 0 || !selects, "{} finds nothing in {source:?}", label.id);
        }
    }
    let beacon = labels.iter().find(|l| l.kind == Attack::BeaconHttps).unwrap();
    let flows = records.flow.iter().filter(|r| beacon.takes_flow(r)).count();
    // Nine hours, every 5 minutes less up to 20 %: 108 to 135 check-ins.
    assert!((100..=140).contains(&flows), "{flows}");
}

#[test]
fn labels_take_nothing_of_a_day_without_attacks() {
    let (_, labels) = records();
    let (quiet, none) = all_records(&SynthConfig { attacks: BTreeSet::new(), ..small() });
    assert!(none.is_empty());
    for label in labels {
        let wrong = quiet.flow.iter().filter(|r| label.takes_flow(r)).count()
            + quiet.dns.iter().filter(|r| label.takes_dns(r)).count()
            + quiet.proxy.iter().filter(|r| label.takes_proxy(r)).count();
        assert_eq!(wrong, 0, "{} takes rows of a day without it", label.id);
    }
}

#[test]
fn intensity_makes_attacks_louder() {
    let count = |intensity| {
        let attacks = [Attack::ScanVertical, Attack::DnsTunnelTxt].into();
        let (records, labels) = all_records(&SynthConfig { attacks, intensity, hosts: 40, activity: 0.01, ..small() });
        let flows = records
            .flow
            .iter()
            .filter(|r| labels.iter().any(|l| l.kind == Attack::ScanVertical && l.takes_flow(r)))
            .count();
        let dns = records
            .dns
            .iter()
            .filter(|r| labels.iter().any(|l| l.kind == Attack::DnsTunnelTxt && l.takes_dns(r)))
            .count();
        (flows, dns)
    };
    let (low, medium, high) = (count(Intensity::Low), count(Intensity::Medium), count(Intensity::High));
    // 100, 1,000 and 4,000 ports, each one flow; tunnel questions are seen twice, at the resolver and behind it.
    assert_eq!((low.0, medium.0, high.0), (100, 1_000, 4_000));
    assert_eq!((low.1, medium.1, high.1), (480, 1_400, 6_000));
}

#[test]
fn label_files_read_back() {
    let (_, labels) = records();
    let mut file = Vec::new();
    write_labels(labels, &mut file).unwrap();
    assert_eq!(&read_labels(file.as_slice()).unwrap(), labels);
    assert!(read_labels(&b"{\"id\": 7}\n"[..]).is_err());
}

#[test]
fn frames_are_cut_and_keep_their_length() {
    let config = SynthConfig { hosts: 40, snaplen: 256, ..small() };
    let mut bytes = Vec::new();
    let summary = write_pcap(&config, &mut bytes, &mut ()).unwrap();
    let mut reader = CaptureReader::from_reader(io::Cursor::new(bytes), "synthetic").unwrap();
    let mut wire = 0;
    while let Some(frame) = reader.next_frame().unwrap() {
        assert!(frame.data.len() <= 256 && frame.data.len() == (frame.wire_len as usize).min(256));
        wire += u64::from(frame.wire_len);
    }
    assert_eq!(wire, summary.wire_bytes);
}

#[test]
fn hourly_files_hold_the_same_packets() {
    let folder = tempfile::tempdir().unwrap();
    let summary = write_pcap_hourly(&small(), folder.path(), &mut ()).unwrap();
    assert_eq!(summary.files.len(), 24);
    let mut joined = std::fs::read(&summary.files[0]).unwrap();
    for file in &summary.files[1..] {
        joined.extend_from_slice(&std::fs::read(file).unwrap()[24..]);
    }
    assert!(joined == capture().0, "the hours put together are the day");
}

#[test]
fn the_lake_has_every_record_once() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).unwrap();
    let (summary, _) = write_lake(&small(), &lake, WriterOptions::new("test"), &mut ()).unwrap();
    let rows = |table| lake.parts(table, None).unwrap().iter().map(|p| p.rows).sum::<u64>();
    assert_eq!((rows(Table::Flow), rows(Table::Dns), rows(Table::Proxy)), (summary.flows, summary.dns, summary.proxy));
    let (made, _) = records();
    assert_eq!(
        (summary.flows, summary.dns, summary.proxy),
        (made.flow.len() as u64, made.dns.len() as u64, made.proxy.len() as u64)
    );
}

#[test]
fn wrong_settings_are_errors_that_say_the_range() {
    for config in [
        SynthConfig { hosts: 3, ..small() },
        SynthConfig { days: 0, ..small() },
        SynthConfig { activity: f64::NAN, ..small() },
        SynthConfig { volume: 0.0, ..small() },
        SynthConfig { snaplen: 10, ..small() },
    ] {
        let error = write_pcap(&config, io::sink(), &mut ()).unwrap_err().to_string();
        assert!(error.contains("out of range: expected"), "{error}");
    }
    assert!(Attack::set("scan_slow,nonsense").unwrap_err().to_string().contains("'nonsense' is not an attack"));
    assert_eq!(Attack::set("dga, scan_slow").unwrap(), [Attack::Dga, Attack::ScanSlow].into());
}

#[test]
fn tshark_finds_no_fault() {
    if Command::new("tshark").arg("-v").output().is_err() {
        eprintln!("skipped: tshark is not installed (Debian package tshark)");
        return;
    }
    let file = tempfile::NamedTempFile::with_suffix(".pcap").unwrap();
    std::fs::write(file.path(), &capture().0).unwrap();
    // Checksums are checked, and a wrong one is an expert error.
    let checks = ["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"];
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file.path())
        .args(checks.iter().flat_map(|c| ["-o", c]))
        .args(["-q", "-z", "expert,error"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("Errors ("), "{text}");
    assert!(!text.contains("Malformed"), "{text}");
}
