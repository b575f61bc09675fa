//! Rows for the lake's tests: deterministic, all different, every column used.
#![allow(dead_code, reason = "each test program uses some")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use aggregator::lake::{Lake, Part, Table};
use aggregator::record::{
    Direction, DnsRecord, EndReason, Exporter, FlowRecord, History, LedgerRow, Micros, Origin, ProxyRecord, RecordId,
};
use arrow::array::{Array as _, FixedSizeBinaryArray, RecordBatch};
use capture::{DnsTransport, Ip, IpVersion, ResourceRecord, Service, Tunnel};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// 2026-03-04 10:00:00 UTC (`date -u -d '2026-03-04 10:00' +%s`).
pub(crate) const TEN: i64 = 1_772_618_400_000_000;
pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;

/// A folder for a test, in memory where that is possible: the protocol's many fsyncs cost nothing there, and a
/// killed process loses no page it wrote.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).expect("a temporary folder")
}

/// Mixes a number, so that neighbours have nothing in common (SplitMix64).
pub(crate) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn id(table: u8, n: u64) -> RecordId {
    let mut bytes = [table; 16];
    bytes[..8].copy_from_slice(&mix(n).to_be_bytes());
    bytes[8..].copy_from_slice(&mix(n ^ u64::from(table) << 56).to_be_bytes());
    RecordId(bytes)
}

/// The `n`th flow, first seen at `at`.
pub(crate) fn flow(n: u64, at: i64) -> FlowRecord {
    let m = mix(n);
    let [a, b, c, d, e, f, g, h] = m.to_be_bytes();
    let v6 = n % 7 == 3;
    let mut history = History::default();
    b"ShADadFf".iter().for_each(|letter| history.push(*letter));
    FlowRecord {
        record_id: id(1, n),
        first_seen: Micros(at),
        last_seen: Micros(at + (m % 1_000_000) as i64),
        flow_start: Micros(at),
        segment: u32::from(n.is_multiple_of(3)),
        origin: Origin::Pcap,
        src_ip: if v6 {
            Ip([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, a, b, c, d, e, f, g, h])
        } else {
            Ip::v4([10, 0, a % 4, b])
        },
        dst_ip: if v6 { Ip([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, h, g, f, e, d, c, b, a]) } else { Ip::v4([203, c, d, e]) },
        version: if v6 { IpVersion::V6 } else { IpVersion::V4 },
        src_port: 1024 + (m % 60_000) as u16,
        dst_port: [443, 80, 53, 22][(m >> 20) as usize % 4],
        proto: if n.is_multiple_of(5) { 17 } else { 6 },
        src: Direction { packets: 1 + m % 50, bytes: 60 + m % 60_000, tcp_flags: Some(0x1b), tos: Some(0) },
        dst: (!n.is_multiple_of(11)).then_some(Direction {
            packets: m % 40,
            bytes: m % 90_000,
            tcp_flags: Some(0x13),
            tos: None,
        }),
        conn_state: Some(["SF", "S0", "REJ"][n as usize % 3]),
        history: Some(history),
        macs: (n.is_multiple_of(2)).then_some(([2, 0, 0, 0, 0, a % 16], [2, 0, 0, 0, 1, b % 16])),
        ethertype: Some(0x0800),
        vlan: (n.is_multiple_of(13)).then_some(42),
        cos: None,
        end_reason: EndReason::Idle,
        exporter: (n % 1_000 == 999).then(|| {
            Box::new(Exporter {
                exporter_ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9))),
                input_if: Some(7),
                ..Exporter::default()
            })
        }),
        sampling: 1,
        observations: 1,
        tunnel: (n.is_multiple_of(17)).then_some(Tunnel::Vxlan),
        service: Some(Service::Tls),
    }
}

/// The `n`th DNS question.
pub(crate) fn dns(n: u64, at: i64) -> DnsRecord {
    let m = mix(n);
    DnsRecord {
        record_id: id(2, n),
        first_seen: Micros(at),
        last_seen: Micros(at + 20_000),
        origin: Origin::Pcap,
        client_ip: Ip::v4([10, 0, 0, m as u8]),
        server_ip: Ip::v4([10, 0, 1, 53]),
        version: IpVersion::V4,
        client_port: m as u16,
        server_port: 53,
        transport: DnsTransport::Udp,
        id: (m >> 16) as u16,
        qname: format!("host{}.example.org", m % 1_000),
        qname_wire: format!("HoSt{}.example.org", m % 1_000),
        qtype: 1,
        qclass: 1,
        question: 0,
        opcode: 0,
        rcode: (!n.is_multiple_of(3)).then_some(0),
        rtt_us: (!n.is_multiple_of(3)).then_some(20_000),
        query_len: Some(40),
        response_len: Some(80),
        response_frame_len: Some(122),
        flags: 0x8180,
        edns_udp_size: None,
        answers: (0..n % 3)
            .map(|i| ResourceRecord {
                name: "host.example.org".into(),
                rtype: 1,
                ttl: 300,
                data: format!("192.0.2.{i}"),
            })
            .collect(),
        authorities: Vec::new(),
        additional_count: 1,
        damage: None,
    }
}

/// The `n`th request.
pub(crate) fn proxy(n: u64, at: i64) -> ProxyRecord {
    let mut row = ProxyRecord::new("wire", IpAddr::V4(Ipv4Addr::new(10, 0, 0, n as u8)));
    row.record_id = id(3, n);
    row.first_seen = Micros(at);
    row.last_seen = Micros(at + 1_000);
    row.scheme = "http".into();
    row.method = "GET".into();
    row.host = format!("www{}.example.org", n % 10);
    row.uri_path = format!("/page/{n}");
    row.full_uri = format!("http://www{}.example.org/page/{n}", n % 10);
    row.status = Some(200);
    row.user_agent = (n.is_multiple_of(2)).then(|| "curl/8".into());
    row
}

/// A ledger entry.
pub(crate) fn ledger(counter: &str, value: u64) -> LedgerRow {
    LedgerRow {
        interval_start: Micros(TEN),
        interval_end: Micros(TEN + HOUR),
        sensor: "tap".into(),
        source: "test".into(),
        queue: None,
        clock: "file".into(),
        counter: counter.into(),
        value,
    }
}

/// The rows of a part.
pub(crate) fn read(part: &Part) -> Vec<RecordBatch> {
    read_file(&part.path)
}

/// The rows of a Parquet file.
pub(crate) fn read_file(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    reader.build().expect("reader").map(|batch| batch.unwrap_or_else(|e| panic!("{}: {e}", path.display()))).collect()
}

/// The record_ids of a table, as readers see it. Fails on a duplicate.
pub(crate) fn ids(lake: &Lake, table: Table) -> BTreeSet<[u8; 16]> {
    let mut all = BTreeSet::new();
    for part in lake.parts(table, None).expect("parts") {
        let mut rows = 0;
        for batch in read(&part) {
            rows += batch.num_rows() as u64;
            let column = batch.column_by_name("record_id").expect("record_id");
            let column = column.as_any().downcast_ref::<FixedSizeBinaryArray>().expect("16 bytes");
            for row in 0..column.len() {
                let id = column.value(row).first_chunk().copied().expect("16 bytes");
                assert!(all.insert(id), "{} is in the lake twice", part.path.display());
            }
        }
        assert_eq!(rows, part.rows, "{}", part.path.display());
    }
    all
}

/// All Parquet files at visible places, whether the journal knows them or not.
pub(crate) fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "parquet") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Asserts that journal and files say the same, and nothing is left in staging.
pub(crate) fn assert_tidy(lake: &Lake) {
    let mut known: Vec<_> =
        Table::ALL.iter().flat_map(|t| lake.parts(*t, None).expect("parts")).map(|p| p.path).collect();
    known.sort();
    assert_eq!(known, files(lake.dir()), "journal and files differ");
    let staging = lake.dir().join(".staging");
    let left: Vec<_> = std::fs::read_dir(staging).expect("staging").map(|e| e.expect("entry").path()).collect();
    let left: Vec<_> = left.iter().filter(|p| p.is_dir()).collect();
    assert!(left.is_empty(), "left in staging: {left:?}");
}
