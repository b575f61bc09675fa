//! Captures made to exhaust their reader: memory stays within the bounds, what happens at them is counted, the books close.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::fs::File;

use aggregator::record::{Origin, Records};
use aggregator::{Aggregator, AggregatorConfig, Books, Limits};
use capture::app::AppConfig;
use capture::file::CaptureReader;
use capture::{Decoder, DecoderConfig};
use perf::synth::{Hostile, write_hostile};

/// Attempts of each kind: some ten times what the bounds below let in.
const COUNT: u32 = 10_000;

/// The process, the bounds of [`read`], and what of a mapped capture is not given back yet.
const PEAK_KIB: u64 = 160 << 10;

/// What a kind left behind: counters, and the most bytes that the process had in memory.
struct Left {
    counters: BTreeMap<&'static str, u64>,
    records: u64,
    peak_kib: u64,
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn read(kind: Hostile) -> Left {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(kind.as_str());
    let packets = write_hostile(kind, COUNT, File::create(&path).unwrap()).unwrap();
    let app = AppConfig { max_streams: 1_000, max_buffered_bytes: 1 << 20, ..AppConfig::default() };
    let mut decoder = Decoder::new(DecoderConfig {
        max_fragmented: 500,
        max_fragment_bytes: 1 << 20,
        app,
        ..DecoderConfig::default()
    });
    let limits =
        Limits { initial_flows: 64, max_flows: 2_000, max_dns: 1_000, max_dns_bytes: 1 << 20, ..Limits::default() };
    let mut aggregator = Aggregator::new(AggregatorConfig { limits, ..AggregatorConfig::new("s", Origin::Pcap) });
    let mut reader = CaptureReader::open(&path).unwrap();
    let (mut books, mut records) = (Books::new(), 0);
    // From here on nothing may grow with the number of packets.
    let mut take = |aggregator: &mut Aggregator| {
        let Records { flow, dns, dhcp, proxy } = aggregator.take_records();
        records += (flow.len() + dns.len() + dhcp.len() + proxy.len()) as u64;
    };
    while let Some(frame) = reader.next_frame().unwrap() {
        books.seen(frame.wire_len);
        let fate = decoder.handle_frame(&frame, &mut aggregator);
        books.fate(frame.wire_len, fate);
        take(&mut aggregator);
    }
    decoder.finish(&mut aggregator);
    aggregator.finish();
    take(&mut aggregator);
    let stats = aggregator.stats();
    books.close(&stats).unwrap();
    assert_eq!(books.frames().packets, packets);
    let counters = stats.counters().into_iter().chain(decoder.counters()).collect();
    Left { counters, records, peak_kib: peak_kib() }
}

#[test]
fn hostile_captures_meet_bounds_that_count() {
    for (kind, counter, at_least) in [
        (Hostile::OnePacketFlows, "flows.exported.evicted", 7_000),
        (Hostile::EndlessHeads, "streams_evicted", 8_000),
        (Hostile::Holes, "streams_evicted", 8_000),
        (Hostile::Questions, "dns.evicted", 9_000),
        (Hostile::Answers, "dns.rows.unasked", 10_000),
        (Hostile::Fragments, "fragmented_evicted", 9_000),
    ] {
        let Left { counters, records, peak_kib } = read(kind);
        println!("{}: {} {counter}, {records} records, peak {peak_kib} KiB", kind.as_str(), counters[counter]);
        assert!(counters[counter] >= at_least, "{}: {counters:?}", kind.as_str());
        assert!(peak_kib < PEAK_KIB, "{}: peak {peak_kib} KiB", kind.as_str());
        assert!(records > 0);
    }
}
