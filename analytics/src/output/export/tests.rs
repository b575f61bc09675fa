//! Formats against what their specifications and tools say.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use aggregator::lake::{Source, schema};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::json::ReaderBuilder;
use serde_json::{Map, Value, json};

use super::stix::uuid5;
use super::{About, ExportFormat, Exporter};

/// One row of a table: what is not given is blank, or null where it may be.
fn batch(schema: &SchemaRef, given: &Value) -> RecordBatch {
    let blank = |data_type: &DataType| match data_type {
        DataType::Utf8 => json!(""),
        DataType::List(_) => json!([]),
        DataType::Timestamp(..) => json!("2016-07-08T00:00:00Z"),
        DataType::FixedSizeBinary(_) => json!("00".repeat(16)),
        _ => json!(0),
    };
    let row: Map<String, Value> = schema
        .fields()
        .iter()
        .map(|field| {
            let value = given.get(field.name()).cloned();
            let value =
                value.unwrap_or_else(|| if field.is_nullable() { Value::Null } else { blank(field.data_type()) });
            (field.name().clone(), value)
        })
        .collect();
    let mut decoder = ReaderBuilder::new(Arc::clone(schema)).build_decoder().unwrap();
    decoder.serialize(&[Value::Object(row)]).unwrap();
    decoder.flush().unwrap().unwrap()
}

fn flow() -> Value {
    json!({
        "record_id": "0123456789abcdef0123456789abcdef", "first_seen": "2016-07-08T10:15:01.000001Z",
        "last_seen": "2016-07-08T10:15:03.5Z", "sensor": "tap", "src_ip": "10.0.0.1", "dst_ip": "198.51.100.3", "src_port": 40000,
        "dst_port": 443, "proto": 6, "src_packets": 5, "src_bytes": 500, "dst_packets": 4, "dst_bytes": 4000, "conn_state": "SF",
        "history": "ShADadFf", "service": "tls", "community_id": "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
    })
}

fn export(format: ExportFormat, source: Source, row: &Value, severity: Option<u8>) -> String {
    let schema = match source {
        Source::Flow => schema::flow(),
        Source::Dns => schema::dns(),
        Source::Proxy => schema::proxy(),
    };
    let mut about =
        About { title: "a \"title\"".into(), made: "2016-07-09T00:00:00.000000Z".into(), ..About::default() };
    if let Some(severity) = severity {
        about.severities.insert(row["record_id"].as_str().unwrap().to_owned(), severity);
    }
    let mut exporter = Exporter::new(format, source, &schema, about).unwrap();
    let mut out = exporter.head().unwrap();
    out.extend(exporter.batch(&batch(&schema, row)).unwrap());
    out.extend(exporter.tail().unwrap());
    String::from_utf8(out).unwrap()
}

/// RFC 9562, A.4; and what Python's uuid makes of `{"value":"198.51.100.3"}` in the namespace of STIX observables.
#[test]
fn identifiers_are_those_of_the_specifications() {
    let dns = [0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
    assert_eq!(uuid5(&dns, "www.example.com"), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    let bundle: Value = serde_json::from_str(&export(ExportFormat::Stix, Source::Flow, &flow(), None)).unwrap();
    let ids: Vec<&str> = bundle["objects"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"), "{ids:?}");
}

#[test]
fn a_zeek_line_has_what_the_header_says() {
    let text = export(ExportFormat::Zeek, Source::Flow, &flow(), None);
    let fields: Vec<&str> = text.lines().find_map(|line| line.strip_prefix("#fields\t")).unwrap().split('\t').collect();
    let types: Vec<&str> = text.lines().find_map(|line| line.strip_prefix("#types\t")).unwrap().split('\t').collect();
    let row: Vec<&str> = text.lines().find(|line| !line.starts_with('#')).unwrap().split('\t').collect();
    assert_eq!((fields.len(), types.len(), row.len()), (22, 22, 22));
    let value = |name: &str| row[fields.iter().position(|field| *field == name).unwrap()];
    for (name, expected) in [
        ("ts", "1467972901.000001"),
        ("uid", "C0123456789abcdef0"),
        ("duration", "2.499999"),
        ("proto", "tcp"),
        ("service", "ssl"),
        ("orig_ip_bytes", "500"),
        ("resp_pkts", "4"),
        ("orig_bytes", "-"),
        ("conn_state", "SF"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
}

#[test]
fn only_what_was_judged_high_becomes_an_indicator() {
    let kinds = |severity| -> Vec<String> {
        let bundle: Value = serde_json::from_str(&export(ExportFormat::Stix, Source::Flow, &flow(), severity)).unwrap();
        bundle["objects"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap().to_owned()).collect()
    };
    assert!(!kinds(None).contains(&"indicator".to_owned()) && !kinds(Some(3)).contains(&"indicator".to_owned()));
    assert!(kinds(Some(1)).contains(&"indicator".to_owned()) && kinds(Some(2)).contains(&"opinion".to_owned()));
    let event = |severity| -> Value {
        serde_json::from_str(&export(ExportFormat::Misp, Source::Flow, &flow(), severity)).unwrap()
    };
    let ids = |event: &Value| -> Vec<bool> {
        event["Event"]["Attribute"].as_array().unwrap().iter().map(|one| one["to_ids"].as_bool().unwrap()).collect()
    };
    assert_eq!((ids(&event(None)), ids(&event(Some(1)))), (vec![false, false], vec![false, true]));
    assert_eq!(event(None)["Event"]["info"], "a \"title\"");
}

/// A name that wants to end the pattern, the string and the line.
#[test]
fn hostile_names_stay_values() {
    let name = "a' OR x.\"\\\n</b>\u{202e}.example";
    let row = json!({
        "record_id": "00".repeat(16), "client_ip": "10.0.0.1", "server_ip": "10.0.0.53", "qname": name, "qname_wire": name, "qtype": 1, "qclass": 1,
        "rcode": 0, "answers": [{"name": name, "type": 1, "ttl": 60, "data": "a,b"}],
    });
    let bundle: Value = serde_json::from_str(&export(ExportFormat::Stix, Source::Dns, &row, Some(1))).unwrap();
    let objects = bundle["objects"].as_array().unwrap();
    assert_eq!(objects.iter().find(|one| one["type"] == "domain-name").unwrap()["value"], name.to_lowercase());
    let pattern = objects.iter().find(|one| one["type"] == "indicator").unwrap()["pattern"].as_str().unwrap();
    assert!(pattern.starts_with("[domain-name:value = 'a\\' or x.\"\\\\"), "{pattern}");
    let zeek = export(ExportFormat::Zeek, Source::Dns, &row, None);
    assert_eq!(zeek.lines().filter(|line| !line.starts_with('#')).count(), 1, "{zeek}");
    assert!(zeek.contains("a\\x2cb"), "{zeek}");
    for format in [ExportFormat::Ecs, ExportFormat::Ocsf] {
        let text = export(format, Source::Dns, &row, None);
        let value: Value = serde_json::from_str(&text).unwrap();
        let shown = value.pointer("/dns/question/name").or_else(|| value.pointer("/query/hostname"));
        assert_eq!(shown, Some(&json!(name)), "{text}");
    }
}

#[test]
fn a_format_refuses_columns_it_cannot_use() {
    let schema = schema::ledger();
    for format in ExportFormat::ALL {
        let made = Exporter::new(format, Source::Flow, &schema, About::default());
        let any = matches!(format, ExportFormat::Csv | ExportFormat::JsonLines | ExportFormat::Parquet);
        assert_eq!(made.is_ok(), any, "{format:?}");
    }
    assert!("xls".parse::<ExportFormat>().is_err());
}

#[test]
fn an_odm_event_has_the_columns_of_the_model() {
    let event = |source, row: &Value| -> Value {
        serde_json::from_str(&export(ExportFormat::Odm, source, row, Some(1))).unwrap()
    };
    let mut row = flow();
    row["src_tcp_flags"] = json!(0x1b);
    row["input_if"] = json!(7);
    let got = event(Source::Flow, &row);
    for (column, value) in [
        ("type", json!("flow")),
        ("event_time", json!(1_467_972_901_000_i64)),
        ("duration", json!(2.499_999)),
        ("src_ip4", json!(0x0a00_0001)),
        ("src_ip4_str", json!("10.0.0.1")),
        ("dst_port", json!(443)),
        ("n_proto", json!("tcp")),
        ("net_flags", json!(".AP.SF")),
        ("in_bytes", json!(500)),
        ("flow_out_packets", json!(4)),
        ("flow_input", json!("7")),
        ("severity", json!("1")),
    ] {
        assert_eq!(got[column], value, "{column}");
    }
    assert_eq!((got.get("src_ip6"), got.get("dvc_ip4")), (None, None));
    assert_eq!(got["additional_attrs"]["community_id"], "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    let dns = json!({
        "record_id": "00".repeat(16), "client_ip": "2001:db8::1", "server_ip": "2001:db8::53", "client_port": 5, "server_port": 53,
        "transport": "udp", "qname_wire": "A.example", "qtype": 28, "qclass": 1, "rcode": 3,
        "answers": [{"name": "a", "type": 5, "ttl": 1, "data": "b.example"}, {"name": "b", "type": 28, "ttl": 1, "data": "2001:db8::2"}],
    });
    let got = event(Source::Dns, &dns);
    for (column, value) in [
        ("src_ip6_str", json!("2001:db8::1")),
        ("dns_query", json!("A.example")),
        ("dns_class", json!("IN")),
        ("dns_type", json!(28)),
        ("dns_response_code", json!("NXDOMAIN")),
        ("dns_answers", json!("CNAME b.example,AAAA 2001:db8::2")),
    ] {
        assert_eq!(got[column], value, "{column}");
    }
    assert_eq!(got.get("src_ip4"), None);
}

#[test]
fn the_page_of_mappings_lists_every_field_of_the_model() {
    let page = std::fs::read_to_string("../docs/mappings.md").unwrap();
    for source in Source::ALL {
        let title = format!("## {}", source.as_str());
        let section = page.split(&title).nth(1).unwrap().split("\n## ").next().unwrap();
        let rows: Vec<Vec<&str>> = section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split('|').map(|cell| cell.trim()).collect())
            .collect();
        let schema = match source {
            Source::Flow => schema::flow(),
            Source::Dns => schema::dns(),
            Source::Proxy => schema::proxy(),
        };
        for (to, from, _) in super::odm::fields(source) {
            let (from, to) = (format!("`{from}`"), format!("`{to}`"));
            let row = rows.iter().find(|row| row[1] == from).unwrap_or_else(|| panic!("{source:?}: no row of {from}"));
            assert!(row[2].split(", ").any(|name| name == to), "{source:?} {from}: no {to} in {}", row[2]);
        }
        for row in &rows {
            let name = row[1].trim_matches('`');
            let known =
                schema.column_with_name(name).is_some() || ["percentile", "fused_rank", "run_id"].contains(&name);
            assert!(known, "{source:?}: there is no column {name}");
        }
    }
}
