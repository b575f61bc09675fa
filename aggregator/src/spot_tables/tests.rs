//! Files as Hive, Impala and Spark write them.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{BinaryArray, Float32Array, Int32Array, Int64Array, StringArray};
use parquet::arrow::ArrowWriter;

use super::*;
use crate::import::{FileOutcome, ImportOptions, Input, import};
use crate::lake::Table;

fn words(list: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(list.to_vec()))
}

fn bytes(list: &[&str]) -> ArrayRef {
    Arc::new(BinaryArray::from(list.iter().map(|text| text.as_bytes()).collect::<Vec<_>>()))
}

fn ints(list: &[i32]) -> ArrayRef {
    Arc::new(Int32Array::from(list.to_vec()))
}

fn longs(list: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(list.to_vec()))
}

struct Day {
    dir: tempfile::TempDir,
    lake: Lake,
}

impl Day {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(dir.path().join("lake")).unwrap();
        Self { dir, lake }
    }

    fn write(&self, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
        let path = self.dir.path().join("part-00000");
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    }

    /// Imports a file; the outcome, rows refused, and the rows of a table as text.
    fn import(&self, path: &Path, table: Table) -> (FileOutcome, u64, Vec<serde_json::Value>) {
        let inputs = [Input::Path(path.to_owned())];
        let report =
            import(&self.lake, &inputs, &ImportOptions::new("hive"), &AtomicBool::new(false), &mut ()).unwrap();
        assert!(report.files[0].imbalances.is_empty(), "{report:?}");
        let mut rows = Vec::new();
        for part in self.lake.parts(table, None).unwrap() {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&part.path).unwrap()).unwrap();
            let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
            let mut json = arrow::json::LineDelimitedWriter::new(Vec::new());
            json.write_batches(&batches.iter().collect::<Vec<_>>()).unwrap();
            json.finish().unwrap();
            let text = String::from_utf8(json.into_inner()).unwrap();
            rows.extend(text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()));
        }
        let refused = report.total.ledger.get("rows.quarantined").copied().unwrap_or(0);
        (report.files[0].outcome, refused, rows)
    }
}

#[test]
fn flows_of_hive_become_flows_once_and_bad_rows_go_to_quarantine() {
    let day = Day::new();
    let path = day.write(vec![
        ("treceived", words(&[Some("2016-07-08 03:15:01"), Some("2016-07-08 03:15:02"), Some("x"), None])),
        ("unix_tstamp", longs(&[1_467_947_701, 0, 0, 1_467_947_701])),
        ("tdur", Arc::new(Float32Array::from(vec![1.5, f32::NAN, -1.0, 0.0]))),
        ("sip", bytes(&["10.0.0.1", "2001:db8::1", "10.0.0.1", "10.0.0.1"])),
        ("dip", bytes(&["198.51.100.2", "2001:db8::2", "10.0.0.2", "nowhere"])),
        ("sport", ints(&[40_000, 0, 1, 1])),
        ("dport", ints(&[443, 32_768, 1, 1])),
        ("proto", words(&[Some("TCP"), Some("ICMP6"), Some("UDP"), Some("6")])),
        ("flag", words(&[Some(".AP.SF"), Some("......"), None, None])),
        ("stos", ints(&[8, 0, 0, 0])),
        ("ipkt", longs(&[3, 1, 1, 1])),
        ("ibyt", longs(&[180, 64, 1, 1])),
        ("opkt", longs(&[2, 0, 0, 0])),
        ("obyt", longs(&[120, 0, 0, 0])),
        ("input", ints(&[7, 0, 0, 0])),
        ("rip", words(&[Some("192.0.2.1"), None, None, None])),
    ]);
    assert_eq!(crate::import::spot_table(&path), Ok(("flow", 4)));
    let (outcome, refused, rows) = day.import(&path, Table::Flow);
    assert_eq!((outcome, refused, rows.len()), (FileOutcome::Imported, 2, 2));
    let row = rows.iter().find(|row| row["proto"] == 6).unwrap();
    for (column, value) in [
        ("first_seen", "2016-07-08T03:15:01Z".into()),
        ("last_seen", "2016-07-08T03:15:02.500Z".into()),
        ("origin", "spot".into()),
        ("sensor", "hive".into()),
        ("src_ip", "10.0.0.1".into()),
        ("src_port", 40_000.into()),
        ("dst_port", 443.into()),
        ("src_packets", 3.into()),
        ("dst_bytes", 120.into()),
        ("src_tcp_flags", serde_json::json!(0x1b)),
        ("src_tos", 8.into()),
        ("input_if", 7.into()),
        ("exporter_ip", "192.0.2.1".into()),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
    let row = rows.iter().find(|row| row["proto"] == 58).unwrap();
    // Echo request: type 128, code 0.
    assert_eq!(
        (&row["first_seen"], &row["dst_port"], &row["src_port"]),
        (&"2016-07-08T03:15:02Z".into(), &32_768.into(), &0.into())
    );
    assert_eq!(row.get("dst_packets"), None);
    let kept = std::fs::read_dir(day.lake.dir().join("quarantine")).unwrap().next().unwrap().unwrap();
    let kept = std::fs::read_to_string(kept.path()).unwrap();
    assert!(kept.contains("\"no time\"") && kept.contains("\"no destination\"") && kept.contains("nowhere"), "{kept}");
    assert_eq!(day.import(&path, Table::Flow).0, FileOutcome::AlreadyImported);
}

#[test]
fn answers_of_hive_become_questions() {
    let day = Day::new();
    let path = day.write(vec![
        ("frame_time", words(&[Some("Jul  8 2016 03:15:01.25 UTC"), Some("-")])),
        ("unix_tstamp", longs(&[1_467_947_701, 1_467_947_702])),
        ("frame_len", ints(&[120, 60])),
        ("ip_dst", words(&[Some("10.0.0.9"), Some("10.0.0.9")])),
        ("ip_src", words(&[Some("10.0.0.53"), Some("10.0.0.53")])),
        ("dns_qry_name", words(&[Some("A.Example.COM"), Some("(empty)")])),
        ("dns_qry_class", words(&[Some("0x00000001"), None])),
        ("dns_qry_type", ints(&[28, 1])),
        ("dns_qry_rcode", ints(&[0, 3])),
        ("dns_a", words(&[Some("192.0.2.1,192.0.2.2"), None])),
    ]);
    let (outcome, refused, rows) = day.import(&path, Table::Dns);
    assert_eq!((outcome, refused, rows.len()), (FileOutcome::Imported, 1, 1));
    let row = &rows[0];
    assert_eq!((&row["client_ip"], &row["server_ip"]), (&"10.0.0.9".into(), &"10.0.0.53".into()));
    assert_eq!((&row["qname"], &row["qname_wire"]), (&"a.example.com".into(), &"A.Example.COM".into()));
    let numbers = ["qtype", "qclass", "rcode", "response_frame_len", "server_port"].map(|name| row[name].clone());
    assert_eq!(numbers, [28, 1, 0, 120, 53].map(serde_json::Value::from));
    assert_eq!(row["answers"].as_array().unwrap().len(), 2);
}

#[test]
fn requests_of_hive_become_requests() {
    let day = Day::new();
    let path = day.write(vec![
        ("p_date", words(&[Some("2016-07-08")])),
        ("p_time", words(&[Some("03:15:01")])),
        ("clientip", words(&[Some("10.0.0.1")])),
        ("host", words(&[Some("a.example")])),
        ("reqmethod", words(&[Some("GET")])),
        ("useragent", words(&[Some("\"curl/7\"")])),
        ("duration", ints(&[15])),
        ("username", words(&[Some("-")])),
        ("respcode", words(&[Some("200")])),
        ("urischeme", words(&[Some("http")])),
        ("uriport", words(&[Some("8080")])),
        ("uripath", words(&[Some("/x")])),
        ("uriquery", words(&[Some("?q=1")])),
        ("serverip", words(&[Some("198.51.100.2")])),
        ("scbytes", ints(&[2_000])),
        ("csbytes", ints(&[300])),
        ("fulluri", words(&[Some("a.example/x?q=1")])),
    ]);
    let (outcome, refused, rows) = day.import(&path, Table::Proxy);
    assert_eq!((outcome, refused, rows.len()), (FileOutcome::Imported, 0, 1));
    let row = &rows[0];
    for (column, value) in [
        ("first_seen", serde_json::json!("2016-07-08T03:15:01Z")),
        ("origin", serde_json::json!("spot")),
        ("full_uri", serde_json::json!("http://a.example/x?q=1")),
        ("user_agent", serde_json::json!("curl/7")),
        ("status", serde_json::json!(200)),
        ("server_port", serde_json::json!(8_080)),
        ("duration_us", serde_json::json!(15_000)),
        ("response_bytes", serde_json::json!(2_000)),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
    assert_eq!(row.get("username"), None);
}

#[test]
fn other_parquet_and_cut_files_are_refused_with_what_they_are() {
    let day = Day::new();
    let path = day.write(vec![("a", ints(&[1])), ("b", ints(&[1]))]);
    let (outcome, ..) = day.import(&path, Table::Flow);
    assert_eq!(outcome, FileOutcome::Failed);
    assert!(crate::import::spot_table(&path).unwrap_err().contains("its columns begin a, b"));
    // Scores hold a choice of the rows that the raw table has.
    let scored = day.write(vec![("ml_score", ints(&[1])), ("p_date", words(&[None]))]);
    crate::import::spot_table(&scored).unwrap_err();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(day.import(&path, Table::Flow).0, FileOutcome::Failed);
}
