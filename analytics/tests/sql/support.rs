//! Lakes made for a test, and rows for them.

use std::net::IpAddr;

use aggregator::lake::{Lake, SetKind, WriterOptions};
use aggregator::record::{
    Direction, DnsRecord, EndReason, FlowRecord, LedgerRow, Micros, Origin, ProxyRecord, RecordId,
};
use analytics::sql::{Engine, EngineLimits, QueryError, RowLimits};
use capture::{DnsTransport, Ip, ResourceRecord};
use serde_json::Value;

/// Microseconds of an RFC 3339 moment.
pub(crate) fn at(text: &str) -> Micros {
    Micros(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A finished TCP connection of which both directions were seen.
pub(crate) fn flow(number: u8, start: &str, src: &str, dst: &str) -> FlowRecord {
    let (src_ip, version) = Ip::from_ip_addr(ip(src));
    let (dst_ip, _) = Ip::from_ip_addr(ip(dst));
    let start = at(start);
    FlowRecord {
        record_id: RecordId([number; 16]),
        first_seen: start,
        last_seen: Micros(start.0 + 2_500_000),
        flow_start: start,
        segment: 0,
        origin: Origin::Pcap,
        src_ip,
        dst_ip,
        version,
        src_port: 50_123,
        dst_port: 443,
        proto: 6,
        src: Direction { packets: 12, bytes: 3_456, tcp_flags: Some(0x1b), tos: Some(0) },
        dst: Some(Direction { packets: 10, bytes: 65_536, tcp_flags: Some(0x13), tos: Some(8) }),
        conn_state: Some("SF"),
        history: None,
        macs: None,
        ethertype: Some(0x0800),
        vlan: None,
        cos: None,
        end_reason: EndReason::Detected,
        exporter: None,
        sampling: 1,
        observations: 1,
        tunnel: None,
        service: None,
    }
}

/// A query for an A record with its answer, 20 ms later.
pub(crate) fn dns(number: u8, start: &str, qname: &str) -> DnsRecord {
    let (client_ip, version) = Ip::from_ip_addr(ip("192.0.2.10"));
    let (server_ip, _) = Ip::from_ip_addr(ip("192.0.2.53"));
    let start = at(start);
    DnsRecord {
        record_id: RecordId([number; 16]),
        first_seen: start,
        last_seen: Micros(start.0 + 20_000),
        origin: Origin::Pcap,
        client_ip,
        server_ip,
        version,
        client_port: 40_000,
        server_port: 53,
        transport: DnsTransport::Udp,
        id: 7,
        qname: qname.to_lowercase(),
        qname_wire: qname.to_owned(),
        qtype: 1,
        qclass: 1,
        question: 0,
        opcode: 0,
        rcode: Some(0),
        rtt_us: Some(20_000),
        query_len: Some(40),
        response_len: Some(171),
        response_frame_len: Some(213),
        flags: 0x8180,
        edns_udp_size: None,
        answers: vec![],
        authorities: vec![],
        additional_count: 0,
        damage: None,
    }
}

pub(crate) fn answer(name: &str, rtype: u16, data: &str) -> ResourceRecord {
    ResourceRecord { name: name.to_owned(), rtype, ttl: 300, data: data.to_owned() }
}

pub(crate) fn proxy(number: u8, start: &str) -> ProxyRecord {
    let start = at(start);
    ProxyRecord {
        record_id: RecordId([number; 16]),
        first_seen: start,
        last_seen: start,
        scheme: "http".into(),
        method: "GET".into(),
        host: "www.example.com".into(),
        uri_path: "/a/b.html".into(),
        full_uri: "http://www.example.com/a/b.html".into(),
        ..ProxyRecord::new("wire", ip("192.0.2.10"))
    }
}

pub(crate) fn ledger(start: &str, counter: &str, value: u64) -> LedgerRow {
    let start = at(start);
    LedgerRow {
        interval_start: start,
        interval_end: Micros(start.0 + 60_000_000),
        sensor: "tap".into(),
        source: "test.pcap".into(),
        queue: None,
        clock: "pcap".into(),
        counter: counter.into(),
        value,
    }
}

/// A lake in a folder that goes with it.
pub(crate) struct TestLake {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) lake: Lake,
}

impl TestLake {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(dir.path().join("lake")).unwrap();
        Self { dir, lake }
    }

    /// One set of one sensor.
    pub(crate) fn publish(
        &self,
        sensor: &str,
        flow: &[FlowRecord],
        dns: &[DnsRecord],
        proxy: &[ProxyRecord],
        ledger: &[LedgerRow],
    ) {
        let mut writer = self.lake.begin(SetKind::Generated, WriterOptions::new(sensor)).unwrap();
        writer.flow(flow).unwrap();
        writer.dns(dns).unwrap();
        writer.proxy(proxy).unwrap();
        writer.ledger(ledger).unwrap();
        writer.commit().unwrap();
    }

    pub(crate) fn engine(&self) -> Engine {
        self.engine_with(limits())
    }

    pub(crate) fn engine_with(&self, limits: EngineLimits) -> Engine {
        Engine::open(self.lake.clone(), limits).unwrap()
    }
}

pub(crate) fn limits() -> EngineLimits {
    EngineLimits { threads: 2, ..EngineLimits::default() }
}

/// The rows of a query as arrays of values, in the order of the columns.
pub(crate) fn rows(engine: &Engine, sql: &str) -> Vec<Vec<Value>> {
    let answer = engine.block_on(engine.query_rows(sql, vec![], RowLimits::default())).unwrap();
    assert!(!answer.truncated);
    answer.rows.into_iter().map(|row| answer.columns.iter().map(|column| row[&column.name].clone()).collect()).collect()
}

/// The one value of a query.
pub(crate) fn value(engine: &Engine, sql: &str) -> Value {
    let mut rows = rows(engine, sql);
    assert_eq!(rows.len(), 1, "{sql}");
    rows.remove(0).remove(0)
}

pub(crate) fn error(engine: &Engine, sql: &str) -> QueryError {
    engine.block_on(engine.query_rows(sql, vec![], RowLimits::default())).unwrap_err()
}

/// The files that a query would open.
pub(crate) fn files(engine: &Engine, sql: &str) -> usize {
    let plans = rows(engine, &format!("EXPLAIN VERBOSE {sql}"));
    let is_plan = |row: &&Vec<Value>| row[0].as_str().unwrap().contains("physical") && row[1] != "SAME TEXT AS ABOVE";
    let last = plans.iter().rfind(is_plan).unwrap();
    last[1].as_str().unwrap().matches(".parquet").count()
}

/// Text of EXPLAIN (the physical plan), or of EXPLAIN ANALYZE.
pub(crate) fn plan(engine: &Engine, sql: &str) -> String {
    rows(engine, sql).into_iter().map(|row| row[1].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
}
