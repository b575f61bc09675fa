//! Answers as text and files.

use std::io::{self, Write};

use crate::support::*;
use analytics::output::{self, Format, OutputError, WriteOptions, Written, is_unsafe};
use analytics::sql::{Engine, EngineLimits};
use arrow::array::AsArray;
use arrow::datatypes::{UInt16Type, UInt64Type};
use serde_json::{Value, json};

const PIPE: WriteOptions = WriteOptions { terminal: None, spreadsheet: false };

fn written(engine: &Engine, sql: &str, format: Format, options: WriteOptions) -> Vec<u8> {
    let mut out = Vec::new();
    engine.block_on(async {
        let mut answer = engine.sql(sql).await.unwrap();
        output::write(&mut answer, format, &mut out, options).await.unwrap();
    });
    out
}

fn text(engine: &Engine, sql: &str, format: Format, options: WriteOptions) -> String {
    String::from_utf8(written(engine, sql, format, options)).unwrap()
}

/// A name that clears the screen, turns text around and ends its line.
const HOSTILE: &str = "a\u{1b}[2J\u{202e}b\u{9b}31m\nc\u{200b}\u{7f}";

fn hostile() -> TestLake {
    let lake = TestLake::new();
    let mut request = proxy(1, "2026-11-22T10:00:00Z");
    request.host = HOSTILE.into();
    request.user_agent = Some(HOSTILE.into());
    let mut question = dns(2, "2026-11-22T10:00:00Z", "x");
    question.qname = HOSTILE.into();
    question.answers = vec![answer(HOSTILE, 16, HOSTILE)];
    lake.publish("tap", &[], &[question], &[request], &[]);
    lake
}

#[test]
fn nothing_from_the_wire_steers_a_terminal() {
    let lake = hostile();
    let engine = lake.engine();
    let terminal = WriteOptions { terminal: Some(200), spreadsheet: false };
    let queries =
        ["SELECT host, user_agent FROM proxy", "SELECT qname, answers FROM dns", "SELECT 1 AS \"\u{1b}[2J\u{202e}\""];
    for sql in queries {
        for (format, options) in [
            (Format::Table, terminal),
            (Format::Table, PIPE),
            (Format::Csv, terminal),
            (Format::Json, terminal),
            (Format::Json, PIPE),
            (Format::JsonLines, terminal),
        ] {
            let shown = text(&engine, sql, format, options);
            let bad: Vec<char> = shown.chars().filter(|c| *c != '\n' && is_unsafe(*c)).collect();
            assert!(bad.is_empty(), "{format:?} {sql}: {bad:?} in {shown}");
        }
    }
    let shown = text(&engine, "SELECT host FROM proxy", Format::Table, PIPE);
    assert!(shown.contains("a\\x1b[2J\\u{202e}b\\x9b31m\\nc\\u{200b}\\x7f"), "{shown}");
    // JSON says the same text, whole.
    let rows: Value = serde_json::from_str(&text(&engine, "SELECT host FROM proxy", Format::Json, PIPE)).unwrap();
    assert_eq!(rows, json!([{"host": HOSTILE}]));
    // A file gets it as it is.
    assert_eq!(text(&engine, "SELECT host FROM proxy", Format::Csv, PIPE), format!("host\n\"{HOSTILE}\"\n"));
}

#[test]
fn csv_tells_nothing_from_empty_and_quotes_what_it_must() {
    let lake = TestLake::new();
    let engine = lake.engine();
    let sql = "SELECT * FROM (VALUES (1, 'a,b', true), (2, 'say \"hi\"', NULL), (NULL, '', false), (4, NULL, NULL), (5, ' x', NULL), (6, 'l1\nl2', NULL)) \
               AS t(n, s, b)";
    assert_eq!(
        text(&engine, sql, Format::Csv, PIPE),
        "n,s,b\n1,\"a,b\",true\n2,\"say \"\"hi\"\"\",\n,\"\",false\n4,,\n5,\" x\",\n6,\"l1\nl2\",\n"
    );
    assert_eq!(text(&engine, "SELECT 1 AS n WHERE false", Format::Csv, PIPE), "n\n");
}

#[test]
fn values_have_one_form_in_every_format() {
    let lake = TestLake::new();
    let mut question = dns(2, "2026-11-22T10:00:00.5Z", "x.example");
    question.answers = vec![answer("x.example", 1, "198.51.100.1")];
    lake.publish("tap", &[], &[question], &[], &[ledger("2026-11-22T10:00:00Z", "c", u64::MAX)]);
    let engine = lake.engine();
    let sql = "SELECT record_id, first_seen, date, answers, 0.1 + 0.2 AS f, CAST('NaN' AS DOUBLE) AS nan, CAST(0.1 AS FLOAT) AS g FROM dns";
    let id = "02".repeat(16);
    let list = r#"[{"name":"x.example","type":1,"ttl":300,"data":"198.51.100.1"}]"#;
    assert_eq!(
        text(&engine, sql, Format::JsonLines, PIPE),
        format!(
            "{{\"record_id\":\"{id}\",\"first_seen\":\"2026-11-22T10:00:00.500000Z\",\"date\":\"2026-11-22\",\"answers\":{list},\
             \"f\":0.30000000000000004,\"nan\":\"NaN\",\"g\":0.1}}\n"
        )
    );
    assert_eq!(
        text(&engine, sql, Format::Csv, PIPE),
        format!(
            "record_id,first_seen,date,answers,f,nan,g\n{id},2026-11-22T10:00:00.500000Z,2026-11-22,\"{}\",0.30000000000000004,NaN,0.1\n",
            list.replace('"', "\"\"")
        )
    );
    assert_eq!(
        text(&engine, "SELECT value, queue FROM ledger", Format::Json, PIPE),
        "[\n{\"value\":18446744073709551615,\"queue\":null}\n]\n"
    );
    assert_eq!(text(&engine, "SELECT 1 AS n WHERE false", Format::Json, PIPE), "[]\n");
    assert_eq!(text(&engine, "SELECT 1 AS n WHERE false", Format::JsonLines, PIPE), "");
    // A name given twice would lose a value in an object.
    let twice = "SELECT a.x, b.x, 3 AS x_2 FROM (SELECT 1 AS x) a, (SELECT 2 AS x) b";
    assert_eq!(text(&engine, twice, Format::JsonLines, PIPE), "{\"x\":1,\"x_3\":2,\"x_2\":3}\n");
    assert_eq!(text(&engine, twice, Format::Csv, PIPE), "x,x_3,x_2\n1,2,3\n");
}

#[test]
fn a_table_is_aligned_and_cut_only_for_a_terminal() {
    let lake = TestLake::new();
    let engine = lake.engine();
    let sql = "SELECT * FROM (VALUES (1, 'short', 1.5), (12345, 'a rather long text', NULL)) AS t(number, label, part) ORDER BY number";
    assert_eq!(
        text(&engine, sql, Format::Table, PIPE),
        "number  label               part\n\
         ──────  ──────────────────  ────\n\
         \u{20}    1  short                1.5\n\
         \u{20}12345  a rather long text  NULL\n"
    );
    assert_eq!(
        text(&engine, sql, Format::Table, WriteOptions { terminal: Some(26), spreadsheet: false }),
        "number  label         part\n\
         ──────  ────────────  ────\n\
         \u{20}    1  short          1.5\n\
         \u{20}12345  a rather lo…  NULL\n"
    );
    // Wide characters take two columns.
    let wide = "SELECT * FROM (VALUES ('例え', 1), ('ab', 2)) AS t(s, n) ORDER BY n";
    assert_eq!(text(&engine, wide, Format::Table, PIPE), "s     n\n────  ─\n例え  1\nab    2\n");
    assert_eq!(text(&engine, "SELECT 1 AS n WHERE false", Format::Table, PIPE), "n\n─\n");
}

#[test]
fn parquet_holds_the_same_rows() {
    let lake = TestLake::new();
    let flows: Vec<_> = (0..50).map(|n| flow(n, "2026-11-22T10:00:00Z", "192.0.2.1", "192.0.2.2")).collect();
    lake.publish("tap", &flows, &[], &[], &[]);
    let engine = lake.engine();
    let bytes = written(&engine, "SELECT * FROM flow", Format::Parquet, PIPE);
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(arrow_bytes(bytes), 1024).unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 50);
    let batch = &batches[0];
    assert_eq!(batch.column_by_name("dst_port").unwrap().as_primitive::<UInt16Type>().value(0), 443);
    assert_eq!(batch.column_by_name("src_bytes").unwrap().as_primitive::<UInt64Type>().value(0), 3456);
    assert_eq!(batch.num_columns(), 46);

    let empty = written(&engine, "SELECT src_ip FROM flow WHERE false", Format::Parquet, PIPE);
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(arrow_bytes(empty), 1024).unwrap();
    assert_eq!(reader.count(), 0);

    let to_terminal = engine.block_on(async {
        let mut answer = engine.sql("SELECT 1").await.unwrap();
        output::write(
            &mut answer,
            Format::Parquet,
            &mut Vec::new(),
            WriteOptions { terminal: Some(80), spreadsheet: false },
        )
        .await
    });
    assert!(matches!(to_terminal, Err(OutputError::BinaryToTerminal)));
}

fn arrow_bytes(bytes: Vec<u8>) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file
}

/// Takes so many bytes, then says that the reader is gone.
struct Head(usize);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_endless_answer_is_streamed() {
    let lake = TestLake::new();
    let engine = lake.engine();
    let endless = "SELECT value, value * 2 AS twice FROM generate_series(1, 9000000000000000)";
    for format in [Format::Csv, Format::Json, Format::JsonLines, Format::Table] {
        let result = engine.block_on(async {
            let mut answer = engine.sql(endless).await.unwrap();
            output::write(&mut answer, format, &mut Head(1 << 20), PIPE).await
        });
        assert!(
            matches!(&result, Err(OutputError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe),
            "{format:?} {result:?}"
        );
    }
}

#[test]
fn what_was_left_out_is_said() {
    let lake = TestLake::new();
    let engine = lake.engine_with(EngineLimits { max_rows: Some(3), ..limits() });
    let result = engine.block_on(async {
        let mut answer = engine.sql("SELECT value FROM generate_series(1, 10)").await.unwrap();
        output::write(&mut answer, Format::Csv, &mut Vec::new(), PIPE).await.unwrap()
    });
    assert_eq!(result, Written { rows: 3, truncated: true });
}

#[test]
fn an_error_in_the_middle_is_an_error() {
    let lake = TestLake::new();
    let engine = lake.engine();
    let result = engine.block_on(async {
        let mut answer = engine.sql("SELECT 1 / (50000 - value) FROM generate_series(1, 60000)").await.unwrap();
        output::write(&mut answer, Format::Csv, &mut Vec::new(), PIPE).await
    });
    assert!(matches!(&result, Err(OutputError::Query(error)) if error.to_string().contains("ivide")), "{result:?}");
}

#[test]
fn format_names() {
    for (name, format) in Format::NAMES {
        assert_eq!(name.parse(), Ok(format));
    }
    assert!("xml".parse::<Format>().unwrap_err().contains("table, csv, json, jsonl or parquet"));
}
