//! What needs a listing that a real lake would not give: old files, and files that go away.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use aggregator::lake::{Day, LakeError, Part, Table, schema};
use aggregator::record::Micros;
use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt8Array, UInt16Array, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::table::Listing;
use super::{Engine, EngineLimits, QueryError, RowLimits};

/// Gives one listing after the other, then the last one for ever.
struct Script {
    dir: tempfile::TempDir,
    listings: Mutex<Vec<Vec<Part>>>,
    asked: AtomicUsize,
}

impl Script {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), listings: Mutex::default(), asked: AtomicUsize::new(0) }
    }

    fn part(&self, name: &str, batch: &RecordBatch) -> Part {
        let path = self.dir.path().join(name);
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        Part {
            bytes: path.metadata().unwrap().len(),
            path,
            table: Table::Flow,
            date: Day::from_ymd(2026, 11, 22).unwrap(),
            hour: Some(10),
            sensor: "tap".into(),
            set: "set".into(),
            run: None,
            rows: batch.num_rows() as u64,
            first: Micros(0),
            last: Micros(0),
        }
    }
}

impl Listing for Script {
    fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn parts(&self, table: Table) -> Result<Vec<Part>, LakeError> {
        if table != Table::Flow {
            return Ok(vec![]);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut listings = self.listings.lock().unwrap();
        Ok(if listings.len() > 1 { listings.remove(0) } else { listings[0].clone() })
    }
}

fn engine(script: Script) -> (Engine, Arc<Script>) {
    let script = Arc::new(script);
    let listing: Arc<dyn Listing> = script.clone();
    let limits = EngineLimits { threads: 2, ..EngineLimits::default() };
    (Engine::over(listing, limits).unwrap(), script)
}

fn ask(engine: &Engine, sql: &str) -> Result<serde_json::Value, QueryError> {
    let rows = engine.block_on(engine.query_rows(sql, vec![], RowLimits::default()))?;
    Ok(json!(rows.rows))
}

fn ports(ports: &[u16]) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("src_port", DataType::UInt16, false)]));
    RecordBatch::try_new(schema, vec![Arc::new(UInt16Array::from(ports.to_vec()))]).unwrap()
}

/// The whole schema, null but for one column.
fn whole(schema: &SchemaRef, name: &str, column: ArrayRef) -> RecordBatch {
    let nullable: SchemaRef = Arc::new(Schema::new(
        schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
    ));
    let columns = nullable.fields().iter().map(|field| match field.name() == name {
        true => Arc::clone(&column),
        false => new_null_array(field.data_type(), column.len()),
    });
    RecordBatch::try_new(Arc::clone(&nullable), columns.collect()).unwrap()
}

#[test]
fn a_column_that_an_old_file_lacks_is_null() {
    let script = Script::new();
    let old = script.part("old.parquet", &ports(&[1, 2]));
    let new =
        script.part("new.parquet", &whole(&schema::flow(), "src_ip", Arc::new(StringArray::from(vec!["192.0.2.1"]))));
    // A file of the future, with a column unknown here and another order and type.
    let future = Arc::new(Schema::new(vec![
        Field::new("mood", DataType::Utf8, false),
        Field::new("proto", DataType::UInt8, false),
        Field::new("src_port", DataType::UInt8, false),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["good"])),
        Arc::new(UInt8Array::from(vec![6])),
        Arc::new(UInt8Array::from(vec![3])),
    ];
    let future = script.part("future.parquet", &RecordBatch::try_new(future, columns).unwrap());
    *script.listings.lock().unwrap() = vec![vec![old, new, future]];
    let (engine, _script) = engine(script);
    assert_eq!(
        ask(&engine, "SELECT src_port, src_ip, proto, hour FROM flow ORDER BY src_port NULLS FIRST").unwrap(),
        json!([
            {"src_port": null, "src_ip": "192.0.2.1", "proto": null, "hour": 10},
            {"src_port": 1, "src_ip": null, "proto": null, "hour": 10},
            {"src_port": 2, "src_ip": null, "proto": null, "hour": 10},
            {"src_port": 3, "src_ip": null, "proto": 6, "hour": 10},
        ])
    );
    assert_eq!(ask(&engine, "SELECT count(*) AS n FROM flow WHERE src_ip IS NULL").unwrap(), json!([{"n": 3}]));
    assert_eq!(ask(&engine, "SELECT count(*) AS n FROM flow WHERE src_ip = '192.0.2.1'").unwrap(), json!([{"n": 1}]));
}

#[test]
fn a_part_replaced_before_the_first_row_makes_the_query_start_again() {
    let script = Script::new();
    let small = [script.part("a.parquet", &ports(&[1])), script.part("b.parquet", &ports(&[2]))];
    let merged = script.part("ab.parquet", &ports(&[1, 2]));
    std::fs::remove_file(&small[0].path).unwrap();
    std::fs::remove_file(&small[1].path).unwrap();
    *script.listings.lock().unwrap() = vec![small.to_vec(), vec![merged]];
    let (engine, script) = engine(script);
    assert_eq!(ask(&engine, "SELECT sum(src_port) AS s FROM flow").unwrap(), json!([{"s": 3}]));
    assert_eq!(script.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn a_part_that_stays_away_is_a_clear_error() {
    let script = Script::new();
    let gone = script.part("gone.parquet", &ports(&[1]));
    std::fs::remove_file(&gone.path).unwrap();
    *script.listings.lock().unwrap() = vec![vec![gone]];
    let (engine, _script) = engine(script);
    let error = ask(&engine, "SELECT src_port FROM flow").unwrap_err();
    assert!(matches!(&error, QueryError::PartVanished(path) if path.contains("gone.parquet")), "{error:?}");
    assert!(error.to_string().contains("run it again"));
}

#[test]
fn a_damaged_part_is_named() {
    let script = Script::new();
    let part = script.part("broken.parquet", &ports(&[1]));
    std::fs::write(&part.path, b"PAR1 no parquet, but of some length PAR1").unwrap();
    *script.listings.lock().unwrap() = vec![vec![part]];
    let (engine, _script) = engine(script);
    let error = ask(&engine, "SELECT src_port FROM flow").unwrap_err();
    assert!(matches!(&error, QueryError::Part(text) if text.contains("broken.parquet")), "{error:?}");
}
