//! Lakes for the tests: empty, and one with a day whose every row is known.

use aggregator::lake::{Day, Lake, SetKind, Source, Table, WriterOptions, schema};
use aggregator::record::Micros;
use aggregator::state::runs::Run;
use arrow::datatypes::DataType;
use arrow::json::ReaderBuilder;
use serde_json::{Map, Value, json};

/// A lake with nothing in it.
pub(super) fn empty() -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    (dir, lake)
}

/// The scored day.
pub(super) const DAY: &str = "2016-07-08";
/// A day with records and no scores.
pub(super) const UNSCORED: &str = "2016-07-09";
/// A name that wants to be more than text.
pub(super) const HOSTILE: &str = "<img src=x onerror=alert(1)>.\u{202e}evil.example";

/// `record_id` of the n-th record.
pub(super) fn id(n: u32) -> String {
    format!("{n:032x}")
}

/// What stands in a column that a test does not care for.
fn blank(data_type: &DataType) -> Value {
    match data_type {
        DataType::Utf8 => json!(""),
        DataType::List(_) => json!([]),
        DataType::Struct(_) => json!({}),
        DataType::Boolean => json!(false),
        DataType::Timestamp(..) => json!(format!("{DAY}T00:00:00Z")),
        DataType::FixedSizeBinary(size) => json!("00".repeat(usize::try_from(*size).unwrap())),
        _ => json!(0),
    }
}

/// Rows as columns: what is missing is blank, or null where it may be.
fn batch(table: Table, rows: &[Value]) -> arrow::array::RecordBatch {
    let schema = schema::of_table(table);
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let given = row.as_object().unwrap();
            let mut whole = Map::new();
            for field in schema.fields() {
                let value = given.get(field.name()).cloned();
                let blank = || if field.is_nullable() { Value::Null } else { blank(field.data_type()) };
                whole.insert(field.name().clone(), value.unwrap_or_else(blank));
            }
            for name in given.keys() {
                assert!(whole.contains_key(name), "{table:?} has no column {name}");
            }
            Value::Object(whole)
        })
        .collect();
    let mut decoder = ReaderBuilder::new(schema).build_decoder().unwrap();
    decoder.serialize(&rows).unwrap();
    decoder.flush().unwrap().unwrap()
}

/// Writes rows as one set.
pub(super) fn write(lake: &Lake, kind: SetKind, table: Table, rows: &[Value]) {
    let mut set = lake.begin(kind, WriterOptions::new("tap")).unwrap();
    set.batch(table, &batch(table, rows)).unwrap();
    set.commit().unwrap();
}

/// Writes the scores of a run and makes it the current one.
pub(super) fn write_run(lake: &Lake, run_id: &str, source: Source, date: &str, rows: &[Value]) {
    let date: Day = date.parse().unwrap();
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut row = row.clone();
            row["run_id"] = json!(run_id);
            row["scored_at"] = json!("2016-07-09T01:12:00Z");
            row
        })
        .collect();
    if !rows.is_empty() {
        write(lake, SetKind::Scores { run_id: run_id.to_owned(), source, date }, Table::Scores(source), &rows);
    }
    let run = Run {
        run_id: run_id.to_owned(),
        source,
        date,
        words: "spot".to_owned(),
        model: None,
        card: r#"{"topics": 20, "seed": 1}"#.to_owned(),
        created: Micros(1_468_026_720_000_000),
        current: true,
    };
    lake.state().put_run(&run).unwrap();
}

pub(super) fn flow_record(n: u32, time: &str, src: &str, dst: &str, dst_port: u16, bytes: u64) -> Value {
    json!({
        "record_id": id(n), "first_seen": time, "last_seen": time, "flow_start": time, "sensor": "tap", "origin": "pcap",
        "src_ip": src, "dst_ip": dst, "src_port": 40000 + n, "dst_port": dst_port, "proto": 6, "src_packets": n, "src_bytes": bytes,
        "src_tcp_flags": 0x1b, "end_reason": 3, "sampling": 1, "observations": 1, "community_id": format!("1:{n}"),
    })
}

/// Adds one flow record to a lake.
pub(super) fn add_flow(lake: &Lake, n: u32, time: &str, src: &str, dst: &str, dst_port: u16, bytes: u64) {
    write(lake, SetKind::Generated, Table::Flow, &[flow_record(n, time, src, dst, dst_port, bytes)]);
}

fn flow_score(n: u32, rank: u32, group: u64, size: u32, record: &Value, side: &str) -> Value {
    let mut row = json!({
        "rank": rank, "fused_rank": rank, "group_id": group, "group_size": size, "score": 0.001 * f64::from(rank - 1),
        "surprise_bits": if rank == 1 { Value::Null } else { json!(-(0.001 * f64::from(rank - 1)).log2()) },
        "word_df": n, "percentile": 1.0 - f64::from(rank) / 1e4, "confidence": 0.5, "model": "m1", "words": "spot",
        "src_word": "333333_TCP_3_10_2", "dst_word": "-1_23_TCP_3_10_2", "deciding_side": side,
        "usual": [{"feature": "hour", "value": "09:00 to 09:59 UTC", "share": 0.75}],
        "explanation": {"deciding_score": 0.002, "feature": "hour", "value": "03:00 to 03:59 UTC", "host_share": 0.01, "all_share": 0.1,
            "nearest_common": "09:00 to 09:59 UTC"},
    });
    let columns = schema::scores(Source::Flow);
    for (name, value) in record.as_object().unwrap() {
        if columns.field_with_name(name).is_ok() {
            row[name] = value.clone();
        }
    }
    row
}

/// A lake with one scored day and one unscored. Flow records 1 to 6 of the day; 2, 3 and 4 are one group.
pub(super) fn known() -> (tempfile::TempDir, Lake) {
    let (dir, lake) = empty();
    let at = |clock: &str| format!("{DAY}T{clock}Z");
    let flows = [
        flow_record(1, &at("03:15:01.000001"), "10.0.0.1", "198.51.100.1", 23, u64::MAX >> 1),
        flow_record(2, &at("03:15:02"), "10.0.0.2", "198.51.100.2", 23, 500),
        flow_record(3, &at("03:15:59.999999"), "198.51.100.2", "10.0.0.2", 23, 700),
        flow_record(4, &at("03:16:00"), "10.0.0.2", "198.51.100.2", 23, 600),
        flow_record(5, &at("12:00:00"), "2001:db8::5", "2001:db8::99", 443, 1),
        flow_record(6, &at("23:59:59.999999"), "10.0.0.6", "10.200.0.6", 443, 2),
    ];
    write(&lake, SetKind::Generated, Table::Flow, &flows);
    let other = flow_record(7, &format!("{UNSCORED}T01:00:00Z"), "10.0.0.7", "198.51.100.7", 443, 2);
    write(&lake, SetKind::Generated, Table::Flow, &[other]);
    // An older run that must not be seen.
    write_run(&lake, "run-0", Source::Flow, DAY, &[flow_score(6, 1, 9, 1, &flows[5], "src")]);
    let scores = [
        flow_score(1, 1, 0xfedc_ba98_7654_3210, 1, &flows[0], "src"),
        flow_score(2, 2, 2, 3, &flows[1], "dst"),
        flow_score(4, 3, 2, 3, &flows[3], "dst"),
        flow_score(3, 4, 2, 3, &flows[2], "dst"),
        flow_score(5, 5, 5, 1, &flows[4], "src"),
    ];
    write_run(&lake, "run-1", Source::Flow, DAY, &scores);
    write_names(&lake);
    write_requests(&lake);
    write_ledger(&lake);
    (dir, lake)
}

/// A run of that day with so many rows, each of a group and a port of its own: 1, 2, …
pub(super) fn write_list(lake: &Lake, rows: u32) {
    let of = |n: u32| {
        let mut record = flow_record(n, &format!("{DAY}T03:00:00Z"), "10.0.0.1", "198.51.100.1", 23, 1);
        record["src_port"] = json!(n);
        flow_score(n, n, n.into(), 1, &record, "src")
    };
    write_run(lake, "run-2", Source::Flow, DAY, &(1..=rows).map(of).collect::<Vec<_>>());
}

fn write_names(lake: &Lake) {
    let question = |n: u32, time: &str, name: &str, rcode: Value| {
        json!({
            "record_id": id(n), "first_seen": time, "last_seen": time, "sensor": "tap", "client_ip": "10.0.0.1", "client_port": 5353,
            "server_ip": "10.0.0.53", "server_port": 53, "transport": "udp", "qname": name.to_lowercase(), "qname_wire": name, "qtype": 16, "qclass": 1,
            "rcode": rcode, "response_frame_len": 180,
            "answers": [{"name": name, "type": 16, "ttl": 60, "data": "a\\000b"}],
        })
    };
    let records = [
        question(101, &format!("{DAY}T03:00:00Z"), HOSTILE, json!(3)),
        question(102, &format!("{DAY}T03:59:59.999999Z"), "a.EVIL.example", Value::Null),
        question(103, &format!("{DAY}T04:00:00Z"), "evil.example", json!(0)),
    ];
    write(lake, SetKind::Generated, Table::Dns, &records);
    let columns = schema::scores(Source::Dns);
    let mut row = json!({
        "rank": 1, "fused_rank": 1, "group_id": 1, "group_size": 1, "score": 0.0, "word_df": 1, "percentile": 0.99995, "confidence": 0.1,
        "words": "spot", "word": "0_7_3_2_10_1_16_3", "explanation": {"feature": "query type", "value": "TXT"},
    });
    for (name, value) in records[0].as_object().unwrap() {
        if columns.field_with_name(name).is_ok() {
            row[name] = value.clone();
        }
    }
    write_run(lake, "run-dns", Source::Dns, DAY, &[row]);
}

/// An address that two hosts had on the day, one after the other.
pub(super) fn write_leases(lake: &Lake, address: &str) {
    let lease = |n: u32, time: &str, mac: &str, name: &str, seconds: u32| {
        json!({
            "record_id": id(n), "first_seen": time, "last_seen": time, "sensor": "tap", "version": 4, "mac": mac, "host_name": name,
            "leases": [{"address": address, "prefix_len": 32, "valid_s": seconds}], "msg_types": ["REQUEST", "ACK"],
        })
    };
    let records = [
        lease(301, &format!("{DAY}T02:00:00Z"), "02:00:00:00:00:01", "anna", 3600),
        lease(302, &format!("{DAY}T04:00:00Z"), "02:00:00:00:00:02", "bert", 3600),
        lease(303, &format!("{DAY}T04:30:00Z"), "02:00:00:00:00:02", "bert", 3600),
    ];
    write(lake, SetKind::Generated, Table::Dhcp, &records);
}

fn write_requests(lake: &Lake) {
    let time = format!("{DAY}T05:30:00Z");
    let record = json!({
        "record_id": id(201), "first_seen": time, "last_seen": time, "sensor": "tap", "client_ip": "10.0.0.1", "server_ip": "198.51.100.80",
        "server_port": 80, "scheme": "http", "method": "POST", "host": "drop.example", "full_uri": "http://drop.example/a?b=1%20' OR 1=1",
        "user_agent": "curl/7.88", "category": "unknown", "status": 200, "request_bytes": 90_000_000, "response_bytes": 12,
    });
    write(lake, SetKind::Generated, Table::Proxy, std::slice::from_ref(&record));
    let columns = schema::scores(Source::Proxy);
    let mut row = json!({
        "rank": 1, "fused_rank": 1, "group_id": 1, "group_size": 1, "score": 0.25, "surprise_bits": 2.0, "word_df": 1, "percentile": 0.5, "confidence": 0.1,
        "words": "spot", "word": "0_5_POST_14_unknown_content_type_0_5_200", "explanation": {},
    });
    for (name, value) in record.as_object().unwrap() {
        if columns.field_with_name(name).is_ok() {
            row[name] = value.clone();
        }
    }
    write_run(lake, "run-proxy", Source::Proxy, DAY, &[row]);
}

fn write_ledger(lake: &Lake) {
    let mut rows = Vec::new();
    let mut book = |source: &str, hour: u32, counters: &[(&str, u64)]| {
        for (queue, half) in [(Value::from(0), 0), (Value::from(1), 1)] {
            for (counter, value) in counters {
                rows.push(json!({
                    "interval_start": format!("{DAY}T{hour:02}:00:00Z"), "interval_end": format!("{DAY}T{hour:02}:59:59Z"), "sensor": "tap",
                    "source": source, "queue": queue, "clock": "file", "counter": counter, "value": (value + half) / 2,
                }));
            }
        }
    };
    book(
        "good.pcap",
        3,
        &[("packets.seen", 101), ("packets.received", 90), ("packets.not_ip", 11), ("packets.malformed", 0)],
    );
    book(
        "bad.pcap",
        4,
        &[("packets.seen", 100), ("packets.received", 90), ("packets.not_ip", 8), ("packets.lost_xsk", 4)],
    );
    // What a collector says of two exporters, over two intervals.
    for (hour, lag) in [(3, 4_000), (4, 8_000)] {
        let mut exporter = |source: &str, counters: &[(&str, u64)]| {
            for (counter, value) in counters {
                rows.push(json!({
                    "interval_start": format!("{DAY}T{hour:02}:10:00Z"), "interval_end": format!("{DAY}T{hour:02}:10:10Z"), "sensor": "tap",
                    "source": source, "clock": "exporter", "counter": counter, "value": value,
                }));
            }
        };
        let routed = [
            ("exporter.messages", 5),
            ("exporter.flows", 20),
            ("exporter.flows.timed", 10),
            ("exporter.lag_ms", lag),
            ("exporter.sequence.lost", 3),
        ];
        exporter("collect netflow5 192.0.2.1 0", &routed);
        exporter("collect sflow 2001:db8::9 0", &[("exporter.messages", 2), ("exporter.flows", 2)]);
    }
    write(lake, SetKind::Books, Table::Ledger, &rows);
}
