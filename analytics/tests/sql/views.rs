//! The views with Apache Spot's columns: names, order, types and values.

use crate::support::*;
use aggregator::lake::{SetKind, WriterOptions};
use aggregator::record::{DhcpLease, DhcpRecord, Direction, Exporter, Origin};
use serde_json::{Value, json};

/// `column type` of a table, in order.
fn columns(engine: &analytics::sql::Engine, table: &str) -> Vec<String> {
    let answer = engine.block_on(engine.query_rows(&format!("SELECT * FROM {table}"), vec![], Default::default()));
    answer.unwrap().columns.into_iter().map(|c| format!("{} {}", c.name, c.data_type)).collect()
}

#[test]
fn columns_are_those_of_spots_tables() {
    let lake = TestLake::new();
    let engine = lake.engine();
    // spot-setup's create tables: STRING = Utf8, BIGINT = Int64, INT = Int32, FLOAT = Float32.
    let flow = "treceived Utf8, unix_tstamp Int64, tryear Int32, trmonth Int32, trday Int32, trhour Int32, trminute Int32, \
                trsec Int32, tdur Float32, sip Utf8, dip Utf8, sport Int32, dport Int32, proto Utf8, flag Utf8, fwd Int32, \
                stos Int32, ipkt Int64, ibyt Int64, opkt Int64, obyt Int64, input Int32, output Int32, sas Int32, das Int32, \
                dtos Int32, dir Int32, rip Utf8, y Int16, m Int8, d Int8, h Int8";
    let dns = "frame_time Utf8, unix_tstamp Int64, frame_len Int32, ip_dst Utf8, ip_src Utf8, dns_qry_name Utf8, \
               dns_qry_class Utf8, dns_qry_type Int32, dns_qry_rcode Int32, dns_a Utf8, y Int16, m Int8, d Int8, h Int8";
    let proxy = "p_date Utf8, p_time Utf8, clientip Utf8, host Utf8, reqmethod Utf8, useragent Utf8, resconttype Utf8, \
                 duration Int32, username Utf8, authgroup Utf8, exceptionid Utf8, filterresult Utf8, webcat Utf8, \
                 referer Utf8, respcode Utf8, action Utf8, urischeme Utf8, uriport Utf8, uripath Utf8, uriquery Utf8, \
                 uriextension Utf8, serverip Utf8, scbytes Int32, csbytes Int32, virusid Utf8, bcappname Utf8, \
                 bcappoper Utf8, fulluri Utf8, y Utf8, m Utf8, d Utf8, h Utf8";
    for (view, expected) in [("spot_flow", flow), ("spot_dns", dns), ("spot_proxy", proxy)] {
        assert_eq!(columns(&engine, view), expected.split(", ").collect::<Vec<_>>(), "{view}");
    }
}

#[test]
fn a_tcp_connection_as_spot_had_it() {
    let lake = TestLake::new();
    let record = flow(1, "2026-11-22T10:15:30.250000Z", "192.0.2.10", "198.51.100.7");
    lake.publish("tap", &[record], &[], &[], &[]);
    // date -u -d '2026-11-22 10:15:30' +%s; flags 0x1b as nfdump 1.7.1 prints them.
    let expected = json!([
        "2026-11-22 10:15:30",
        1_795_342_530,
        2026,
        11,
        22,
        10,
        15,
        30,
        2.5,
        "192.0.2.10",
        "198.51.100.7",
        50123,
        443,
        "TCP",
        "...AP.SF",
        null,
        0,
        12,
        3456,
        10,
        65536,
        null,
        null,
        null,
        null,
        8,
        null,
        null,
        2026,
        11,
        22,
        10
    ]);
    assert_eq!(Value::from(rows(&lake.engine(), "SELECT * FROM spot_flow").remove(0)), expected);
}

#[test]
fn what_an_exporter_saw_and_what_does_not_fit() {
    let lake = TestLake::new();
    let mut record = flow(2, "1969-12-31T23:59:59.500000Z", "2001:db8::1", "2001:db8::2");
    record.proto = 58;
    record.dst_port = 128 * 256;
    record.src = Direction { packets: u64::MAX, bytes: 1 << 63, tcp_flags: None, tos: None };
    record.dst = None;
    record.exporter = Some(Box::new(Exporter {
        exporter_ip: Some(ip("203.0.113.1")),
        input_if: Some(3),
        output_if: Some(4_000_000_000),
        fwd_status: Some(64),
        src_as: Some(64_512),
        dst_as: Some(4_200_000_000),
        ..Exporter::default()
    }));
    lake.publish("tap", &[record], &[], &[], &[]);
    let columns = "treceived, unix_tstamp, sip, dport, proto, flag, fwd, stos, ipkt, ibyt, opkt, obyt, input, output, sas, das, rip";
    // A moment before 1970 lies in the second before it, not after.
    let expected = json!([
        "1969-12-31 23:59:59",
        -1,
        "2001:db8::1",
        32768,
        "ICMP6",
        "........",
        64,
        null,
        i64::MAX,
        i64::MAX,
        null,
        null,
        3,
        null,
        64512,
        null,
        "203.0.113.1"
    ]);
    assert_eq!(Value::from(rows(&lake.engine(), &format!("SELECT {columns} FROM spot_flow")).remove(0)), expected);
}

#[test]
fn protocols_and_flags_are_named_as_nfdump_does() {
    // Made by nfdump 1.7.1 from NetFlow v5 records with these numbers (`nfdump -o csv`).
    let protocols = [
        (0, "0"),
        (1, "ICMP"),
        (2, "IGMP"),
        (6, "TCP"),
        (17, "UDP"),
        (33, "DCCP"),
        (41, "IPv6"),
        (46, "RSVP"),
        (47, "GRE"),
        (50, "ESP"),
        (51, "AH"),
        (58, "ICMP6"),
        (88, "EIGRP"),
        (89, "OSPF"),
        (99, "99"),
        (103, "PIM"),
        (112, "VRRP"),
        (115, "L2TP"),
        (132, "SCTP"),
        (136, "UDP-L"),
        (137, "MPLS"),
        (138, "138"),
        (255, "255"),
    ];
    let lake = TestLake::new();
    let engine = lake.engine();
    for (number, name) in protocols {
        assert_eq!(value(&engine, &format!("SELECT proto_name({number})")), json!(name));
    }
    let flags = [
        (0, "........"),
        (1, ".......F"),
        (2, "......S."),
        (4, ".....R.."),
        (8, "....P..."),
        (16, "...A...."),
        (27, "...AP.SF"),
        (32, "..U....."),
        (64, ".E......"),
        (128, "C......."),
        (194, "CE....S."),
        (255, "CEUAPRSF"),
    ];
    for (number, text) in flags {
        assert_eq!(value(&engine, &format!("SELECT tcp_flags({number})")), json!(text));
    }
    assert_eq!(value(&engine, "SELECT proto_name(NULL)"), Value::Null);
    assert_eq!(value(&engine, "SELECT tcp_flags(NULL)"), Value::Null);
}

#[test]
fn dns_answers_as_spot_had_them() {
    let lake = TestLake::new();
    let mut found = dns(1, "2026-11-02T03:04:05.000001Z", "WwW.Example.COM");
    found.answers = vec![
        answer("www.example.com", 5, "cdn.example.net"),
        answer("cdn.example.net", 1, "198.51.100.1"),
        answer("cdn.example.net", 1, "198.51.100.2"),
        answer("cdn.example.net", 28, "2001:db8::2"),
    ];
    let mut missing = dns(2, "2026-11-02T03:04:06.000000Z", "nothing.example.com");
    missing.rcode = Some(3);
    missing.qclass = 255;
    missing.qtype = 16;
    missing.response_frame_len = Some(u32::MAX);
    let mut unanswered = dns(3, "2026-11-02T03:04:07.000000Z", "silent.example.com");
    unanswered.rcode = None;
    lake.publish("tap", &[], &[found, missing, unanswered], &[], &[]);
    let engine = lake.engine();
    // frame.time of tshark: two places for the day; Spot's ingest dropped the comma. The answer came 20 ms later.
    let expected = json!([
        [
            "Nov  2 2026 03:04:05.020001000 UTC",
            1_793_588_645,
            213,
            "192.0.2.10",
            "192.0.2.53",
            "WwW.Example.COM",
            "0x00000001",
            1,
            0,
            "198.51.100.1|198.51.100.2|2001:db8::2",
            2026,
            11,
            2,
            3
        ],
        [
            "Nov  2 2026 03:04:06.020000000 UTC",
            1_793_588_646,
            2147483647,
            "192.0.2.10",
            "192.0.2.53",
            "nothing.example.com",
            "0x000000ff",
            16,
            3,
            null,
            2026,
            11,
            2,
            3
        ],
    ]);
    assert_eq!(json!(rows(&engine, "SELECT * FROM spot_dns ORDER BY unix_tstamp")), expected);
    assert_eq!(value(&engine, "SELECT count(*) FROM dns"), json!(3));
}

#[test]
fn a_request_as_spot_had_it() {
    let lake = TestLake::new();
    let mut full = proxy(1, "2026-01-05T00:07:09.900000Z");
    full.server_ip = Some(ip("198.51.100.7"));
    full.server_port = Some(8080);
    full.uri_query = Some("?q=1".into());
    full.uri_extension = Some("html".into());
    full.user_agent = Some("curl/8".into());
    full.referer = Some("http://a/".into());
    full.content_type = Some("text/html".into());
    full.status = Some(404);
    full.username = Some("u".into());
    full.auth_group = Some("g".into());
    full.category = Some("News".into());
    full.action = Some("TCP_MISS".into());
    full.filter_result = Some("OBSERVED".into());
    full.exception_id = Some("e".into());
    full.virus_id = Some("v".into());
    full.app_name = Some("n".into());
    full.app_operation = Some("o".into());
    full.duration_us = Some(1_234_567);
    full.request_bytes = Some(500);
    full.response_bytes = Some(3_000_000_000);
    let mut bare = proxy(2, "2026-01-05T01:00:00.000000Z");
    bare.uri_path = "/".into();
    lake.publish("tap", &[], &[], &[full, bare], &[]);
    let expected = json!([
        [
            "2026-01-05",
            "00:07:09",
            "192.0.2.10",
            "www.example.com",
            "GET",
            "curl/8",
            "text/html",
            1234,
            "u",
            "g",
            "e",
            "OBSERVED",
            "News",
            "http://a/",
            "404",
            "TCP_MISS",
            "http",
            "8080",
            "/a/b.html",
            "?q=1",
            "html",
            "198.51.100.7",
            2147483647,
            500,
            "v",
            "n",
            "o",
            "www.example.com/a/b.html?q=1",
            "2026",
            "01",
            "05",
            "00"
        ],
        [
            "2026-01-05",
            "01:00:00",
            "192.0.2.10",
            "www.example.com",
            "GET",
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            "http",
            null,
            "/",
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            null,
            "www.example.com",
            "2026",
            "01",
            "05",
            "01"
        ],
    ]);
    assert_eq!(json!(rows(&lake.engine(), "SELECT * FROM spot_proxy ORDER BY p_time")), expected);
}

#[test]
fn spots_own_time_filters_open_only_the_files_of_that_time() {
    let lake = TestLake::new();
    let flows: Vec<_> =
        (0..24).map(|h| flow(h, &format!("2026-11-22T{h:02}:30:00.000000Z"), "192.0.2.1", "192.0.2.2")).collect();
    lake.publish("tap", &flows, &[], &[], &[]);
    let engine = lake.engine();
    let all = "SELECT sip FROM spot_flow";
    assert_eq!(files(&engine, all), 24);
    for (filter, hours) in [
        ("y = 2026 AND m = 11 AND d = 22 AND h = 7", 1),
        ("y = 2026 AND m = 11 AND d = 22 AND h >= 20", 4),
        ("treceived >= '2026-11-22 07:00:00' AND treceived < '2026-11-22 08:00:00'", 1),
        ("unix_tstamp BETWEEN 1795330800 AND 1795334399", 1),
        ("unix_tstamp = 1795332600", 1),
        ("trhour = 7", 24),
    ] {
        assert_eq!(files(&engine, &format!("{all} WHERE {filter}")), hours, "{filter}");
    }
    // The same rows whether files are left out or not.
    for filter in [
        "h = 7",
        "treceived = '2026-11-22 07:30:00'",
        "treceived > '2026-11-22 06:30:00' AND treceived <= '2026-11-22 07:30:00'",
        "unix_tstamp = 1795332600",
        "trhour = 7",
        "trhour + 0 = 7",
        "concat(treceived, '') = '2026-11-22 07:30:00'",
        // Not a whole second: compared as text.
        "treceived > '2026-11-22 07:' AND treceived < '2026-11-22 08'",
    ] {
        let found = rows(&engine, &format!("SELECT treceived FROM spot_flow WHERE {filter}"));
        assert_eq!(json!(found), json!([["2026-11-22 07:30:00"]]), "{filter}");
    }
}

/// Zeek's columns in Zeek's order; what is there of each version of DHCP.
#[test]
fn leases_as_zeek_has_them() {
    let lake = TestLake::new();
    let mut lease = DhcpRecord::new(Origin::Pcap, at("2026-01-05T01:02:03.5Z"));
    lease.last_seen = at("2026-01-05T01:02:05Z");
    (lease.client_port, lease.server_port, lease.server_addr) = (Some(68), Some(67), Some(ip("192.0.2.1")));
    (lease.mac, lease.host_name) = (Some([2, 0, 0, 0, 0, 7]), Some("laptop".into()));
    (lease.assigned_addr, lease.lease_time) = (Some(ip("192.0.2.10")), Some(3_600));
    lease.leases = vec![DhcpLease { address: ip("192.0.2.10"), prefix_len: 32, valid_s: 3_600 }];
    lease.msg_types = vec!["REQUEST".into(), "ACK".into()];
    let mut writer = lake.lake.begin(SetKind::Generated, WriterOptions::new("tap")).unwrap();
    writer.dhcp(&[lease]).unwrap();
    writer.commit().unwrap();
    let engine = lake.engine();
    let expected = json!([[
        "2026-01-05T01:02:03.500000Z",
        null,
        "192.0.2.1",
        68,
        67,
        "02:00:00:00:00:07",
        "laptop",
        null,
        null,
        null,
        "192.0.2.10",
        3600.0,
        null,
        null,
        ["REQUEST", "ACK"],
        1.5
    ]]);
    assert_eq!(json!(rows(&engine, "SELECT * FROM zeek_dhcp")), expected);
    let held = "SELECT l['address'], l['prefix_len'], l['valid_s'] FROM (SELECT unnest(leases) AS l FROM dhcp)";
    assert_eq!(json!(rows(&engine, held)), json!([["192.0.2.10", 32, 3600]]));
}
