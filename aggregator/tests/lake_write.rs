//! Rows in, rows out: what was written is read back, column by column, at its place.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod lake_support;

use std::sync::Arc;

use aggregator::lake::{Lake, LakeError, SetKind, Source, Table, WriterOptions, schema};
use aggregator::record::Micros;
use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use lake_support::*;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

fn open() -> (tempfile::TempDir, Lake) {
    let dir = scratch();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    (dir, lake)
}

#[test]
fn every_column_of_a_flow_reads_back() {
    let (_dir, lake) = open();
    let mut row = flow(999, TEN);
    row.vlan = Some(42);
    row.macs = Some(([0, 0x1b, 0x21, 0xaa, 0xbb, 0xcc], [2, 0, 0, 0, 0, 1]));
    let mut writer = lake.begin(SetKind::Generated, WriterOptions::new("tap")).unwrap();
    writer.flow(std::slice::from_ref(&row)).unwrap();
    let published = writer.commit().unwrap();
    assert_eq!(published.rows, [("flow", 1)].into());

    let parts = lake.parts(Table::Flow, None).unwrap();
    let [part] = parts.as_slice() else { panic!("{parts:?}") };
    let place = lake.dir().join("flow/date=2026-03-04/hour=10/sensor=tap");
    assert_eq!(part.path.parent(), Some(place.as_path()));
    assert_eq!((part.rows, part.first, part.last), (1, row.first_seen, row.last_seen));

    let batches = read(part);
    let [batch] = batches.as_slice() else { panic!("{batches:?}") };
    assert_eq!(batch.schema().fields(), schema::flow().fields());
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let text = |name: &str| {
        let array = column(name).as_string::<i32>();
        (!array.is_null(0)).then(|| array.value(0).to_owned())
    };
    let time = |name: &str| column(name).as_primitive::<TimestampMicrosecondType>().value(0);
    assert_eq!(column("record_id").as_fixed_size_binary().value(0), row.record_id.0);
    assert_eq!(time("first_seen"), row.first_seen.0);
    assert_eq!(time("last_seen"), row.last_seen.0);
    assert_eq!(text("sensor").as_deref(), Some("tap"));
    assert_eq!(text("origin").as_deref(), Some("pcap"));
    assert_eq!(text("src_ip").unwrap(), row.src_ip.to_ip_addr(row.version).to_string());
    assert_eq!(text("dst_ip").unwrap(), row.dst_ip.to_ip_addr(row.version).to_string());
    assert_eq!(column("src_port").as_primitive::<UInt16Type>().value(0), row.src_port);
    assert_eq!(column("dst_bytes").as_primitive::<UInt64Type>().value(0), row.dst.unwrap().bytes);
    assert_eq!(column("dst_tcp_flags").as_primitive::<UInt8Type>().value(0), 0x13);
    assert!(column("dst_tos").is_null(0) && column("cos").is_null(0) && column("src_as").is_null(0));
    assert_eq!(text("history").as_deref(), Some("ShADadFf"));
    assert_eq!(text("src_mac").as_deref(), Some("00:1b:21:aa:bb:cc"));
    assert_eq!(text("exporter_ip").as_deref(), Some("192.0.2.9"));
    assert_eq!(column("input_if").as_primitive::<UInt32Type>().value(0), 7);
    assert_eq!(text("service").as_deref(), Some("tls"));
    assert_eq!(text("community_id").map(|id| (id.len(), id.starts_with("1:"))), Some((30, true)));
    assert_tidy(&lake);
}

#[test]
fn answers_and_requests_read_back() {
    let (_dir, lake) = open();
    let mut writer = lake.begin(SetKind::Generated, WriterOptions::new("tap")).unwrap();
    let questions: Vec<_> = (0..10).map(|n| dns(n, TEN + n as i64)).collect();
    let requests: Vec<_> = (0..10).map(|n| proxy(n, TEN + n as i64)).collect();
    writer.dns(&questions).unwrap();
    writer.proxy(&requests).unwrap();
    writer.ledger(&[ledger("packets.seen", 20), ledger("packets.seen", 1)]).unwrap();
    writer.commit().unwrap();

    let batches = read(&lake.parts(Table::Dns, None).unwrap()[0]);
    let batch = &batches[0];
    assert_eq!(batch.schema().fields(), schema::dns().fields());
    let answers = batch.column_by_name("answers").unwrap().as_list::<i32>();
    for (row, question) in questions.iter().enumerate() {
        let list = answers.value(row);
        let data = list.as_struct().column_by_name("data").unwrap().as_string::<i32>();
        let read: Vec<&str> = data.iter().map(Option::unwrap).collect();
        let given: Vec<&str> = question.answers.iter().map(|a| a.data.as_str()).collect();
        assert_eq!(read, given);
    }
    let rcode = batch.column_by_name("rcode").unwrap();
    assert_eq!((rcode.is_null(0), rcode.is_null(1)), (true, false), "no answer is null, not NOERROR");

    let batches = read(&lake.parts(Table::Proxy, None).unwrap()[0]);
    assert_eq!(batches[0].schema().fields(), schema::proxy().fields());
    let uris = batches[0].column_by_name("full_uri").unwrap().as_string::<i32>();
    let given: Vec<&str> = requests.iter().map(|r| r.full_uri.as_str()).collect();
    assert_eq!(uris.iter().map(Option::unwrap).collect::<Vec<_>>(), given);

    let part = &lake.parts(Table::Ledger, None).unwrap()[0];
    assert_eq!((part.rows, part.last), (2, Micros(TEN + HOUR)));
    let footer = SerializedFileReader::new(std::fs::File::open(&part.path).unwrap()).unwrap();
    let entries = footer.metadata().file_metadata().key_value_metadata().unwrap().clone();
    let entry = |key: &str| entries.iter().find(|e| e.key == key).and_then(|e| e.value.clone());
    assert_eq!(entry("spotter.ledger").as_deref(), Some(r#"{"packets.seen":21}"#));
    assert_eq!(entry("spotter.sensor").as_deref(), Some("tap"));
    assert_eq!(entry("spotter.schema").as_deref(), Some("1"));
}

#[test]
fn rows_are_sorted_by_time_within_their_hour() {
    let (_dir, lake) = open();
    let mut options = WriterOptions::new("tap");
    options.row_group_rows = 500;
    let mut writer = lake.begin(SetKind::Generated, options).unwrap();
    // 3 hours, in an order that has nothing to do with time; some rows share their time.
    let rows: Vec<_> = (0..4_000).map(|n| flow(n, TEN + (mix(n) % 1_000) as i64 * 3 * HOUR / 1_000)).collect();
    for some in rows.chunks(77) {
        writer.flow(some).unwrap();
    }
    assert_eq!(writer.commit().unwrap().rows["flow"], 4_000);
    let parts = lake.parts(Table::Flow, None).unwrap();
    assert_eq!(parts.iter().map(|p| p.hour.unwrap()).collect::<Vec<_>>(), [10, 11, 12]);
    for part in &parts {
        let file = SerializedFileReader::new(std::fs::File::open(&part.path).unwrap()).unwrap();
        let groups: Vec<i64> = file.metadata().row_groups().iter().map(|g| g.num_rows()).collect();
        assert!(groups.len() >= 2 && groups.iter().all(|rows| *rows <= 500), "{groups:?}");
        let mut at = 0;
        let rows: Vec<(i64, Vec<u8>)> = read(part)
            .iter()
            .flat_map(|batch| {
                let times =
                    batch.column_by_name("first_seen").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
                let ids = batch.column_by_name("record_id").unwrap().as_fixed_size_binary().clone();
                (0..batch.num_rows()).map(move |row| (times.value(row), ids.value(row).to_vec()))
            })
            .collect();
        for group in groups {
            let end = at + group as usize;
            assert!(rows[at..end].is_sorted(), "a row group is not sorted");
            at = end;
        }
    }
    assert_eq!(ids(&lake, Table::Flow).len(), 4_000);
    // Pruning: a minute of the second hour asks for its part only.
    let minute = Micros(TEN + HOUR + 30 * MINUTE)..Micros(TEN + HOUR + 31 * MINUTE);
    let some = lake.parts(Table::Flow, Some(minute)).unwrap();
    assert_eq!(some.iter().map(|p| p.hour.unwrap()).collect::<Vec<_>>(), [11]);
}

#[test]
fn memory_and_open_files_are_bounded_and_nothing_is_lost() {
    let (_dir, lake) = open();
    let mut options = WriterOptions::new("tap");
    options.memory_limit = 200_000;
    options.max_open_parts = 3;
    let mut writer = lake.begin(SetKind::Generated, options).unwrap();
    let rows: Vec<_> = (0..3_000).map(|n| flow(n, TEN + (n % 10) as i64 * HOUR)).collect();
    for some in rows.chunks(100) {
        writer.flow(some).unwrap();
    }
    let published = writer.commit().unwrap();
    assert!(published.parts > 10, "hours were closed and opened again: {}", published.parts);
    let expected: std::collections::BTreeSet<_> = rows.iter().map(|r| r.record_id.0).collect();
    assert_eq!(ids(&lake, Table::Flow), expected);
    assert_tidy(&lake);
}

#[test]
fn too_many_hours_are_refused_and_leave_nothing() {
    let (_dir, lake) = open();
    let mut options = WriterOptions::new("tap");
    options.max_partitions = 10;
    let mut writer = lake.begin(SetKind::Generated, options).unwrap();
    let rows: Vec<_> = (0..11).map(|n| flow(n, TEN + n as i64 * HOUR)).collect();
    let error = writer.flow(&rows).unwrap_err();
    assert!(matches!(error, LakeError::TooManyHours { limit: 10 }), "{error}");
    drop(writer);
    assert!(lake.parts(Table::Flow, None).unwrap().is_empty());
    assert_tidy(&lake);
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let (_dir, lake) = open();
    let mut writer = lake.begin(SetKind::Generated, WriterOptions::new("tap")).unwrap();
    writer.flow(&[flow(1, TEN)]).unwrap();
    drop(writer);
    assert_tidy(&lake);
    assert!(files(lake.dir()).is_empty());
}

#[test]
fn names_that_are_no_folders_are_refused() {
    let (_dir, lake) = open();
    for name in ["", "..", "a/b", "a\0b", "sensor=1"] {
        let error = lake.begin(SetKind::Generated, WriterOptions::new(name)).unwrap_err();
        assert!(matches!(error, LakeError::SensorName { .. }), "{name:?}: {error}");
    }
}

fn null_scores(rows: usize) -> RecordBatch {
    let schema = schema::scores(Source::Dns);
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            nullable if field.is_nullable() => new_null_array(nullable, rows),
            DataType::Utf8 => Arc::new(arrow::array::StringArray::from(vec!["x"; rows])) as ArrayRef,
            DataType::FixedSizeBinary(16) => {
                Arc::new(arrow::array::FixedSizeBinaryArray::try_from_iter((0..rows).map(|n| [n as u8; 16])).unwrap())
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().map(|f| new_null_array(f.data_type(), rows)).collect();
                Arc::new(arrow::array::StructArray::new(fields.clone(), columns, None))
            }
            DataType::List(item) => Arc::new(arrow::array::ListArray::new(
                item.clone(),
                arrow::buffer::OffsetBuffer::new_zeroed(rows),
                arrow::array::new_empty_array(item.data_type()),
                None,
            )),
            other => {
                let zeros = arrow::array::Int64Array::from_iter_values((0..rows as i64).rev());
                arrow::compute::cast(&zeros, other).unwrap()
            }
        })
        .collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

#[test]
fn scores_lie_by_day_and_keep_their_order() {
    let (_dir, lake) = open();
    let batch = null_scores(5);
    let kind = SetKind::Scores { run_id: "run-1".into(), source: Source::Dns, date: "2026-03-04".parse().unwrap() };
    let mut writer = lake.begin(kind, WriterOptions::new("lake")).unwrap();
    writer.batch(Table::Scores(Source::Dns), &batch).unwrap();
    writer.commit().unwrap();
    let parts = lake.parts(Table::Scores(Source::Dns), None).unwrap();
    let [part] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!(part.path.parent(), Some(lake.dir().join("scores/source=dns/date=2026-03-04").as_path()));
    assert_eq!((part.run.as_deref(), part.hour), (Some("run-1"), None));
    assert_eq!(read(part), [batch]);
}

#[test]
fn batches_with_other_columns_are_refused() {
    let (_dir, lake) = open();
    let mut writer = lake.begin(SetKind::Generated, WriterOptions::new("tap")).unwrap();
    let error = writer.batch(Table::Flow, &null_scores(1)).unwrap_err();
    assert!(error.to_string().contains("expected record_id"), "{error}");
}

#[test]
fn flows_written_as_columns_land_in_their_hours() {
    let (_dir, lake) = open();
    let mut writer = lake.begin(SetKind::Generated, WriterOptions::new("a")).unwrap();
    writer.flow(&[flow(1, TEN), flow(2, TEN + 1)]).unwrap();
    writer.commit().unwrap();
    let batch = read(&lake.parts(Table::Flow, None).unwrap()[0]).remove(0);
    let (_dir, other) = open();
    let mut writer = other.begin(SetKind::Generated, WriterOptions::new("b")).unwrap();
    writer.batch(Table::Flow, &batch).unwrap();
    writer.commit().unwrap();
    let parts = other.parts(Table::Flow, None).unwrap();
    assert_eq!((parts.len(), parts[0].hour, parts[0].rows), (1, Some(10), 2));
    assert_eq!(parts[0].last, flow(1, TEN).last_seen.max(flow(2, TEN + 1).last_seen));
    assert_eq!(ids(&other, Table::Flow), ids(&lake, Table::Flow));
}
