//! The lake's tables in SQL: what is in them, and what is read for an answer.

use crate::support::*;
use aggregator::lake::{Table, schema};
use serde_json::{Value, json};

#[test]
fn an_empty_lake_has_empty_tables() {
    let lake = TestLake::new();
    let engine = lake.engine();
    let tables = [
        "dhcp",
        "dns",
        "flow",
        "interfaces",
        "ledger",
        "proxy",
        "scores",
        "scores_dns",
        "scores_flow",
        "scores_proxy",
        "spot_dns",
        "spot_flow",
        "spot_proxy",
        "zeek_dhcp",
    ];
    assert_eq!(engine.tables(), tables);
    for table in tables {
        assert_eq!(value(&engine, &format!("SELECT count(*) FROM {table}")), json!(0), "{table}");
        assert_eq!(rows(&engine, &format!("SELECT * FROM {table} LIMIT 5")), Vec::<Vec<Value>>::new(), "{table}");
    }
    assert_eq!(value(&engine, "SELECT max(first_seen) FROM flow"), Value::Null);
}

#[test]
fn columns_are_those_of_the_data_model_and_the_folders() {
    let lake = TestLake::new();
    let engine = lake.engine();
    for table in Table::ALL {
        let mut expected: Vec<Value> = schema::of_table(table).fields().iter().map(|f| json!(f.name())).collect();
        expected.extend(if table.is_hourly() {
            [json!("date"), json!("hour")]
        } else {
            [json!("date"), json!("source")]
        });
        let described: Vec<Value> =
            rows(&engine, &format!("DESCRIBE {}", table.as_str())).into_iter().map(|mut row| row.remove(0)).collect();
        assert_eq!(described, expected, "{}", table.as_str());
    }
    let shown = rows(&engine, "SHOW TABLES");
    assert!(shown.iter().any(|row| row.contains(&json!("spot_flow"))), "{shown:?}");
    let typed = "SELECT data_type FROM information_schema.columns WHERE table_name = 'flow' AND column_name = 'date'";
    assert_eq!(value(&engine, typed), json!("Date32"));
}

#[test]
fn rows_are_what_was_written() {
    let lake = TestLake::new();
    let mut question = dns(7, "2026-11-22T10:00:00.000001Z", "A.example");
    question.answers = vec![answer("a.example", 1, "198.51.100.1")];
    lake.publish(
        "tap-1",
        &[flow(1, "2026-11-22T23:59:59.999999Z", "192.0.2.1", "2001:db8::2")],
        &[question],
        &[proxy(9, "2026-11-22T10:00:00Z")],
        &[ledger("2026-11-22T10:00:00Z", "packets.seen", u64::MAX)],
    );
    let engine = lake.engine();
    let sql =
        "SELECT record_id, first_seen, sensor, origin, src_ip, src_bytes, src_tcp_flags, vlan, date, hour FROM flow";
    assert_eq!(
        json!(rows(&engine, sql)),
        json!([[
            "01".repeat(16),
            "2026-11-22T23:59:59.999999Z",
            "tap-1",
            "pcap",
            "192.0.2.1",
            3456,
            27,
            null,
            "2026-11-22",
            23
        ]])
    );
    let sql = "SELECT qname, qname_wire, answers, authorities FROM dns";
    let answers = json!([{"name": "a.example", "type": 1, "ttl": 300, "data": "198.51.100.1"}]);
    assert_eq!(json!(rows(&engine, sql)), json!([["a.example", "A.example", answers, []]]));
    assert_eq!(value(&engine, "SELECT value FROM ledger"), json!(u64::MAX));
    assert_eq!(value(&engine, "SELECT host FROM proxy WHERE status IS NULL"), json!("www.example.com"));
    assert_eq!(value(&engine, "SELECT encode(record_id, 'hex') FROM dns"), json!("07".repeat(16)));
    let by_id = format!("SELECT qname FROM dns WHERE record_id = decode('{}', 'hex')", "07".repeat(16));
    assert_eq!(value(&engine, &by_id), json!("a.example"));
    let unnested = "SELECT r['data'] FROM (SELECT unnest(answers) AS r FROM dns) WHERE r['type'] = 1";
    assert_eq!(value(&engine, unnested), json!("198.51.100.1"));
}

/// Three days of one flow and one ledger row an hour from two sensors.
fn three_days() -> TestLake {
    let lake = TestLake::new();
    for sensor in ["east", "west"] {
        let hours = (20..=22).flat_map(|day| (0..24).map(move |hour| format!("2026-11-{day}T{hour:02}:30:00Z")));
        let flows: Vec<_> =
            hours.clone().zip(0..).map(|(start, n)| flow(n, &start, "192.0.2.1", "192.0.2.2")).collect();
        let books: Vec<_> = hours.map(|start| ledger(&start, "packets.seen", 22)).collect();
        lake.publish(sensor, &flows, &[], &[], &books);
    }
    lake
}

#[test]
fn a_query_opens_only_the_parts_of_its_time_and_sensor() {
    let lake = three_days();
    let engine = lake.engine();
    for (filter, parts) in [
        ("true", 144),
        ("first_seen >= '2026-11-22T10:00:00Z' AND first_seen < '2026-11-22T12:00:00Z'", 4),
        ("first_seen BETWEEN '2026-11-21' AND '2026-11-21T03:00:00Z'", 6),
        ("last_seen > '2026-11-22T22:00:00Z'", 4),
        ("date = '2026-11-21'", 48),
        ("date = '2026-11-21' AND hour BETWEEN 3 AND 4", 4),
        ("date > '2026-11-21' AND sensor = 'west'", 24),
        ("sensor IN ('north', 'east')", 72),
        ("sensor LIKE 'ea%'", 72),
        ("hour = 3 OR hour = 4", 12),
        ("date_part('day', date) = 20 AND hour = 1", 2),
        ("first_seen > now()", 0),
        ("date = '2020-01-01'", 0),
        ("src_port = 1 AND date = '2026-11-20' AND hour = 0", 2),
    ] {
        assert_eq!(files(&engine, &format!("SELECT src_ip FROM flow WHERE {filter}")), parts, "{filter}");
    }
    let books = "SELECT value FROM ledger WHERE interval_start >= '2026-11-22T10:00:00Z' AND interval_end < '2026-11-22T12:00:00Z'";
    assert_eq!(files(&engine, books), 4);
    // Left out or not, the rows are the same.
    let hours = "SELECT count(*) FROM flow WHERE";
    for (filter, count) in [
        ("hour = 3 AND date = '2026-11-21'", 2),
        ("hour + 0 = 3 AND CAST(date AS VARCHAR) = '2026-11-21'", 2),
        ("first_seen = '2026-11-21T03:30:00Z'", 2),
        ("hour = 3 AND src_port = 50123 AND NOT (date <> '2026-11-21')", 2),
        ("hour IS NULL", 0),
        ("date = '2026-11-21' OR src_port = 1", 48),
    ] {
        assert_eq!(value(&engine, &format!("{hours} {filter}")), json!(count), "{filter}");
    }
}

#[test]
fn counting_opens_no_file() {
    let lake = three_days();
    let engine = lake.engine();
    for (sql, count) in [
        ("SELECT count(*) FROM flow", 144),
        ("SELECT count(*) FROM flow WHERE date = '2026-11-21'", 48),
        ("SELECT count(*) FROM flow WHERE date >= '2026-11-21' AND hour < 12", 48),
    ] {
        assert_eq!(files(&engine, sql), 0, "{sql}");
        assert_eq!(value(&engine, sql), json!(count), "{sql}");
    }
    // Where a filter looks at rows, the files' own statistics are no answer.
    assert_eq!(value(&engine, "SELECT count(*) FROM flow WHERE src_port = 1"), json!(0));
    assert_eq!(value(&engine, "SELECT min(first_seen) FROM flow"), json!("2026-11-20T00:30:00.000000Z"));
}

#[test]
fn names_and_addresses_are_found_by_bloom_filter() {
    let lake = TestLake::new();
    let flows: Vec<_> =
        (0..200).map(|n| flow(n, "2026-11-22T10:00:00Z", &format!("10.0.0.{n}"), "192.0.2.2")).collect();
    lake.publish("tap", &flows, &[], &[], &[]);
    let engine = lake.engine();
    // Between the smallest and the largest address, so only the Bloom filter can know.
    let absent = plan(&engine, "EXPLAIN ANALYZE SELECT src_port FROM flow WHERE src_ip = '10.0.0.1x'");
    assert!(absent.contains("row_groups_pruned_bloom_filter=1 total → 0 matched"), "{absent}");
    assert_eq!(value(&engine, "SELECT count(*) FROM flow WHERE src_ip = '10.0.0.17'"), json!(1));
}

#[test]
fn a_join_of_a_table_with_itself_sees_one_state() {
    let lake = TestLake::new();
    lake.publish("tap", &[flow(1, "2026-11-22T10:00:00Z", "192.0.2.1", "192.0.2.2")], &[], &[], &[]);
    let engine = lake.engine();
    let both = "SELECT (SELECT count(*) FROM flow) - (SELECT count(*) FROM flow WHERE src_port > 0)";
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 2..30 {
                lake.publish("tap", &[flow(n, "2026-11-22T10:00:00Z", "192.0.2.1", "192.0.2.2")], &[], &[], &[]);
            }
        });
        while !writing.is_finished() {
            assert_eq!(value(&engine, both), json!(0));
        }
        writing.join().unwrap();
    });
    assert_eq!(value(&engine, "SELECT count(*) FROM flow"), json!(29));
}

#[test]
fn networks_are_matched_in_both_families() {
    let lake = TestLake::new();
    let flows = [
        flow(1, "2026-11-22T10:00:00Z", "10.1.2.3", "192.0.2.2"),
        flow(2, "2026-11-22T10:00:00Z", "192.0.2.9", "192.0.2.2"),
        flow(3, "2026-11-22T10:00:00Z", "2001:db8:5::1", "2001:db8::2"),
        flow(4, "2026-11-22T10:00:00Z", "fe80::1", "ff02::1"),
    ];
    lake.publish("tap", &flows, &[], &[], &[]);
    let engine = lake.engine();
    for (condition, count) in [
        ("in_cidr(src_ip, '10.0.0.0/8')", 1),
        ("cidr_match(src_ip, '10.0.0.0/8', '2001:db8::/32')", 2),
        ("in_cidr(src_ip, '0.0.0.0/0')", 2),
        ("in_cidr(src_ip, '::/0')", 2),
        ("NOT in_cidr(src_ip, '10.0.0.0/8')", 3),
        ("is_private(src_ip)", 2),
        ("in_cidr(exporter_ip, '::/0')", 0),
        ("in_cidr(service, '::/0') IS NULL", 4),
    ] {
        assert_eq!(
            value(&engine, &format!("SELECT count(*) FROM flow WHERE {condition}")),
            json!(count),
            "{condition}"
        );
    }
}
