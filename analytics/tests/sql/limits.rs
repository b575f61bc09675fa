//! What a query may not do, and what it is told.

use std::time::{Duration, Instant};

use crate::support::*;
use analytics::sql::{EngineLimits, Param, QueryError, RowLimits};
use serde_json::json;

/// More rows than anyone can wait for.
const ENDLESS: &str =
    "SELECT count(*) FROM generate_series(1, 100000000) AS a(x), generate_series(1, 100000000) AS b(y) WHERE x + y = 3";

#[test]
fn nothing_but_reading_is_let_through() {
    let lake = TestLake::new();
    lake.publish("tap", &[flow(1, "2026-11-22T10:00:00Z", "192.0.2.1", "192.0.2.2")], &[], &[], &[]);
    let engine = lake.engine();
    let file = lake.dir.path().join("stolen.csv");
    let file = file.display();
    for sql in [
        "INSERT INTO ledger SELECT * FROM ledger".to_owned(),
        "DELETE FROM flow".to_owned(),
        "UPDATE flow SET src_port = 1".to_owned(),
        "DROP TABLE flow".to_owned(),
        "DROP VIEW spot_flow".to_owned(),
        "CREATE TABLE x AS SELECT 1".to_owned(),
        "CREATE VIEW x AS SELECT 1".to_owned(),
        "CREATE SCHEMA x".to_owned(),
        format!("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{file}'"),
        format!("COPY (SELECT 1) TO '{file}'"),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'"),
        "EXPLAIN INSERT INTO ledger SELECT * FROM ledger".to_owned(),
        "SET datafusion.execution.batch_size = 1".to_owned(),
        "BEGIN".to_owned(),
        "PREPARE p AS SELECT 1".to_owned(),
        "EXECUTE p".to_owned(),
    ] {
        let error = error(&engine, &sql);
        assert!(
            matches!(error, QueryError::ReadOnly(_) | QueryError::Plan(_) | QueryError::Syntax(_)),
            "{sql}: {error:?}"
        );
        assert_eq!(value(&engine, "SELECT count(*) FROM flow"), json!(1), "{sql}");
    }
    assert!(!lake.dir.path().join("stolen.csv").exists());
    assert!(matches!(error(&engine, "DROP TABLE flow"), QueryError::ReadOnly(_)));
    assert!(error(&engine, "DROP TABLE flow").to_string().contains("only SELECT, EXPLAIN, DESCRIBE and SHOW"));
}

#[test]
fn files_outside_the_lake_are_no_tables() {
    let lake = TestLake::new();
    std::fs::write(lake.dir.path().join("secret.csv"), "a\n1\n").unwrap();
    let secret = lake.dir.path().join("secret.csv");
    let secret = secret.display();
    let engine = lake.engine();
    for from in [
        format!("'{secret}'"),
        format!("\"{secret}\""),
        format!("'file://{secret}'"),
        format!("read_csv('{secret}')"),
        "'lake://files/state.sqlite'".to_owned(),
        "'https://example.com/x.parquet'".to_owned(),
    ] {
        let error = error(&engine, &format!("SELECT * FROM {from}"));
        assert!(
            matches!(error, QueryError::UnknownTable { .. } | QueryError::Plan(_) | QueryError::Syntax(_)),
            "{from}: {error:?}"
        );
    }
}

#[test]
fn errors_say_what_to_do() {
    let lake = TestLake::new();
    let engine = lake.engine();
    let text = |sql: &str| error(&engine, sql).to_string();

    let tables = text("SELECT * FROM flows");
    assert!(
        tables.starts_with(
            "there is no table `flows`, did you mean `flow`?; the tables are dhcp, dns, flow, interfaces,"
        ),
        "{tables}"
    );
    assert!(text("SELECT * FROM lake.flaw").contains("did you mean `flow`?"));
    assert!(text("WITH t AS (SELECT 1) SELECT * FROM t, zzz").contains("there is no table `zzz`; the tables are"));

    let column = text("SELECT source_ip FROM flow");
    assert!(
        column.starts_with("there is no column `source_ip` here, did you mean `src_ip`?; the columns are record_id,"),
        "{column}"
    );
    assert!(text("SELECT qnmae FROM dns WHERE qtype = 1").contains("did you mean `qname`?"));

    assert!(matches!(error(&engine, "SELEC 1"), QueryError::Syntax(_)));
    assert!(matches!(error(&engine, "SELECT 'x"), QueryError::Syntax(_)));
    assert!(matches!(error(&engine, ""), QueryError::Statements { found: 0 }));
    assert!(matches!(error(&engine, "SELECT 1; SELECT 2"), QueryError::Statements { found: 2 }));
    assert!(text("SELECT sum(src_ip) FROM flow").contains("cannot be planned"));
    assert!(text("SELECT in_cidr('10.0.0.1', '10.0.0.0/33')").contains("is no network: write 10.0.0.0/8"));
    assert!(text("SELECT no_such_function(1)").contains("no_such_function"));
    assert!(text("SELECT CAST('x' AS INT)").contains("'x'"));
    assert_eq!(value(&engine, "SELECT 1;"), json!(1));
}

#[test]
fn a_query_cannot_be_deep_enough_to_overflow_a_stack() {
    let lake = TestLake::new();
    let engine = lake.engine_with(EngineLimits { max_sql_bytes: 10 << 20, ..limits() });
    let long = |unit: &str, times: usize| unit.repeat(times);
    for sql in [
        format!("SELECT 1{}", long("+1", 100_000)),
        format!("SELECT count(*) FROM flow WHERE src_port = 1{}", long(" OR src_port = 2", 100_000)),
        format!("SELECT {}1", long("NOT ", 100_000)),
        format!("SELECT {}1", long("- ", 100_000)),
        format!("SELECT {}1{}", long("(", 100_000), long(")", 100_000)),
        format!("SELECT {}1{}", long("abs(", 100_000), long(")", 100_000)),
        format!("SELECT 1{}", long("::int", 100_000)),
        format!("SELECT 1{}", long(" UNION ALL SELECT 1", 100_000)),
        format!("SELECT 1 FROM flow{}", long(", flow", 100_000)),
        format!("SELECT 1 FROM flow{}", long(" CROSS JOIN flow", 100_000)),
        format!("SELECT a{} FROM flow", long(".a", 100_000)),
        format!("SELECT [1]{}", long("[1]", 100_000)),
        format!("SELECT {}1{}", long("(SELECT ", 10_000), long(")", 10_000)),
        format!("SELECT {}1{}", long("CASE WHEN true THEN ", 10_000), long(" END", 10_000)),
        format!("SELECT 1 FROM {}flow{}", long("(", 10_000), long(")", 10_000)),
        format!("{}SELECT 1", long("EXPLAIN ", 10_000)),
    ] {
        let start = sql.get(..60).unwrap();
        let error = error(&engine, &sql);
        assert!(
            matches!(error, QueryError::TooComplex { .. } | QueryError::Syntax(_) | QueryError::Plan(_)),
            "{start}: {error}"
        );
    }
    // What the guard lets through fits the stack.
    for sql in [
        format!("SELECT 1{}", long("+1", 480)),
        format!("SELECT count(*) FROM flow WHERE src_port = 1{}", long(" OR src_port + 1 = 2", 150)),
        format!("SELECT concat('', src_ip{}) FROM flow", long(" || src_ip", 480)),
        format!("SELECT 1{}", long(" UNION ALL SELECT 1", 200)),
        format!("SELECT count(*) FROM flow WHERE src_port IN (1{})", long(",2", 20_000)),
    ] {
        let answer = engine.block_on(engine.query_rows(&sql, vec![], RowLimits::default()));
        assert!(answer.is_ok(), "{}: {:?}", sql.get(..60).unwrap(), answer.unwrap_err());
    }
    let engine = lake.engine();
    assert!(matches!(error(&engine, &long(" ", 65_537)), QueryError::TooComplex { what: "bytes", .. }));
}

#[test]
fn a_query_ends_in_time() {
    let lake = TestLake::new();
    let engine = lake.engine_with(EngineLimits { timeout: Some(Duration::from_millis(300)), ..limits() });
    let start = Instant::now();
    let error = error(&engine, ENDLESS);
    assert!(matches!(error, QueryError::Timeout(_)), "{error:?}");
    assert!(error.to_string().contains("300 ms"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn dropping_an_answer_frees_its_place() {
    let lake = TestLake::new();
    let engine = lake.engine_with(EngineLimits { concurrent: 1, timeout: Some(Duration::from_secs(20)), ..limits() });
    engine.block_on(async {
        let held = engine.sql(ENDLESS).await.unwrap();
        // The only place is taken: another query waits for it, in vain.
        let impatient = RowLimits { timeout: Some(Duration::from_millis(100)), ..RowLimits::default() };
        let waited = engine.query_rows("SELECT 1 AS one", vec![], impatient).await;
        assert!(matches!(waited, Err(QueryError::Timeout(_))), "{waited:?}");
        drop(held);
        let rows = engine.query_rows("SELECT 1 AS one", vec![], RowLimits::default()).await.unwrap();
        assert_eq!(rows.rows[0]["one"], json!(1));
        // The future of a call, dropped while it waits, frees its place too.
        let call = engine.query_rows(ENDLESS, vec![], RowLimits::default());
        assert!(tokio::time::timeout(Duration::from_millis(100), call).await.is_err());
        engine.query_rows("SELECT 1 AS one", vec![], RowLimits::default()).await.unwrap();
    });
}

#[test]
fn memory_is_bounded_by_spilling_or_by_an_error() {
    let lake = TestLake::new();
    let sort = "SELECT sum(r) AS s FROM (SELECT x, row_number() OVER (ORDER BY md DESC) AS r FROM \
                (SELECT x, (x * 7919) % 1000003 AS md FROM generate_series(1, 3000000) AS t(x)))";
    let engine = lake.engine_with(EngineLimits { memory: 40 << 20, spill: 0, ..limits() });
    let refused = error(&engine, sort);
    assert!(matches!(refused, QueryError::Memory { limit, .. } if limit == 40 << 20), "{refused:?}");
    assert!(refused.to_string().contains("narrow the time range"), "{refused}");
    let spill_dir = lake.dir.path().join("spill");
    std::fs::create_dir(&spill_dir).unwrap();
    let spilling = EngineLimits { memory: 40 << 20, spill: 1 << 30, spill_dir: Some(spill_dir.clone()), ..limits() };
    let engine = lake.engine_with(spilling);
    assert_eq!(value(&engine, sort), json!(3_000_000_i64 * 3_000_001 / 2));
    // A query that aggregates to more groups than fit.
    drop(engine);
    let capped = EngineLimits { memory: 40 << 20, spill: 4 << 20, spill_dir: Some(spill_dir), ..limits() };
    let refused = error(&lake.engine_with(capped), sort);
    assert!(matches!(refused, QueryError::Memory { .. }), "{refused:?}");
}

#[test]
fn rows_are_bounded_and_marked() {
    let lake = TestLake::new();
    let engine = lake.engine_with(EngineLimits { max_rows: Some(10), ..limits() });
    engine.block_on(async {
        for (count, expected, truncated) in [(9, 9, false), (10, 10, false), (11, 10, true), (100_000, 10, true)] {
            let sql = format!("SELECT value FROM generate_series(1, {count}) ORDER BY value");
            let mut answer = engine.sql(&sql).await.unwrap();
            let mut rows = 0;
            while let Some(batch) = answer.next().await.unwrap() {
                rows += batch.num_rows();
            }
            assert_eq!((rows, answer.truncated(), answer.rows()), (expected, truncated, expected as u64), "{count}");
            assert!(answer.next().await.unwrap().is_none());
            // The tighter limit counts.
            let two = RowLimits { max_rows: Some(2), ..RowLimits::default() };
            let rows = engine.query_rows(&sql, vec![], two).await.unwrap();
            assert_eq!((rows.rows.len(), rows.truncated), (2, true));
            let many = RowLimits { max_rows: Some(1_000), ..RowLimits::default() };
            assert_eq!(engine.query_rows(&sql, vec![], many).await.unwrap().rows.len(), expected);
        }
        let none = RowLimits { max_rows: Some(0), ..RowLimits::default() };
        let rows = engine.query_rows("SELECT 1", vec![], none).await.unwrap();
        assert_eq!((rows.rows.len(), rows.truncated), (0, true));
    });
}

#[test]
fn parameters_are_values_never_sql() {
    let lake = TestLake::new();
    let flows = [
        flow(1, "2026-11-22T10:00:00Z", "192.0.2.1", "192.0.2.2"),
        flow(2, "2026-11-22T11:00:00Z", "2001:db8::1", "192.0.2.2"),
    ];
    lake.publish("tap", &flows, &[], &[], &[]);
    let engine = lake.engine();
    let count = |condition: &str, params: Vec<Param>| {
        let sql = format!("SELECT count(*) AS n FROM flow WHERE {condition}");
        engine.block_on(engine.query_rows(&sql, params, RowLimits::default())).unwrap().rows[0]["n"].clone()
    };
    assert_eq!(count("src_ip = $1", vec!["192.0.2.1".into()]), json!(1));
    assert_eq!(count("src_ip = $1", vec!["x' OR '1'='1".into()]), json!(0));
    assert_eq!(count("src_ip = $1 OR src_ip = $2", vec!["192.0.2.1".into(), "2001:db8::1".into()]), json!(2));
    assert_eq!(count("first_seen >= $1", vec![at("2026-11-22T11:00:00Z").into()]), json!(1));
    assert_eq!(count("first_seen >= $1", vec!["2026-11-22T11:00:00Z".into()]), json!(1));
    assert_eq!(count("date = $1", vec!["2026-11-22".into()]), json!(2));
    assert_eq!(count("record_id = $1", vec![aggregator::record::RecordId([2; 16]).into()]), json!(1));
    assert_eq!(count("dst_port = $1 AND hour = $2", vec![443_u16.into(), 10_u32.into()]), json!(1));
    assert_eq!(count("src_bytes > $1", vec![3455_i64.into()]), json!(2));
    assert_eq!(count("$1 IS NULL", vec![Param::from(None::<String>)]), json!(2));

    let missing = engine.block_on(engine.query_rows("SELECT $1 + $2", vec![1_i64.into()], RowLimits::default()));
    assert!(missing.unwrap_err().to_string().contains("$2"));
    let none =
        engine.block_on(engine.query_rows("SELECT src_ip FROM flow WHERE src_port = $1", vec![], RowLimits::default()));
    assert!(none.unwrap_err().to_string().contains("$1"));
}

#[test]
fn many_requests_at_once_on_a_foreign_runtime() {
    let lake = TestLake::new();
    let flows: Vec<_> = (0..100).map(|n| flow(n, "2026-11-22T10:00:00Z", "192.0.2.1", "192.0.2.2")).collect();
    lake.publish("tap", &flows, &[], &[], &[]);
    let engine = lake.engine_with(EngineLimits { concurrent: 3, ..limits() });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let found = runtime.block_on(async move {
        let calls: Vec<_> = (0..40)
            .map(|n: i64| {
                let engine = engine.clone();
                tokio::spawn(async move {
                    let sql = "SELECT count(*) AS n FROM flow WHERE src_port > $1";
                    engine.query_rows(sql, vec![(n * 1_000).into()], RowLimits::default()).await.unwrap().rows[0]["n"]
                        .clone()
                })
            })
            .collect();
        let mut found = Vec::new();
        for call in calls {
            found.push(call.await.unwrap());
        }
        // Dropping the last engine inside a runtime must not panic.
        drop(engine);
        found
    });
    assert_eq!(found, vec![json!(100); 40]);
}
