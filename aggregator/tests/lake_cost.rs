//! What a row costs to write: prints figures, run by hand on an optimised build.
//!
//! ```text
//! CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo test -p aggregator --test lake_cost -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod lake_support;

use std::collections::BTreeMap;
use std::time::Instant;

use aggregator::lake::{Lake, SetKind, Table, WriterOptions};
use lake_support::*;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

/// CPU time of the process so far, user and system, in nanoseconds; its clock ticks 100 times a second.
fn cpu() -> i64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // proc_pid_stat(5): after the name in parentheses, utime and stime are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: i64 = fields[11..13].iter().map(|f| f.parse::<i64>().unwrap()).sum();
    ticks * 10_000_000
}

#[test]
#[ignore = "prints figures; needs an optimised build"]
fn flow_rows() {
    const ROWS: u64 = 1_000_000;
    // One flow in 2 ms, in the order a flow table gives them: by end, so nearly by start.
    let rows: Vec<_> = (0..ROWS).map(|n| flow(n, TEN + n as i64 * 2_000 + (mix(n) % 60_000_000) as i64)).collect();
    for _ in 0..3 {
        let dir = scratch();
        let lake = Lake::open(dir.path().join("lake")).unwrap();
        let (cpu_before, before) = (cpu(), Instant::now());
        let mut writer = lake.begin(SetKind::Generated, WriterOptions::new("tap")).unwrap();
        for some in rows.chunks(1_000) {
            writer.flow(some).unwrap();
        }
        let published = writer.commit().unwrap();
        let (spent, wall) = (cpu() - cpu_before, before.elapsed());
        println!(
            "flow: {} ns CPU a row, {} ns wall, {:.1} B a row, {} parts",
            spent as u64 / ROWS,
            wall.as_nanos() as u64 / ROWS,
            published.bytes as f64 / ROWS as f64,
            published.parts
        );
        if std::env::var_os("SPOTTER_COLUMNS").is_some() {
            let mut columns: BTreeMap<String, (i64, i64)> = BTreeMap::new();
            for part in lake.parts(Table::Flow, None).unwrap() {
                let file = SerializedFileReader::new(std::fs::File::open(&part.path).unwrap()).unwrap();
                for group in file.metadata().row_groups() {
                    for column in group.columns() {
                        let sums = columns.entry(column.column_path().string()).or_default();
                        sums.0 += column.compressed_size();
                        sums.1 += i64::from(column.bloom_filter_length().unwrap_or_default());
                    }
                }
            }
            for (name, (data, bloom)) in columns {
                println!(
                    "{name:24} {:6.2} B data {:5.2} B bloom",
                    data as f64 / ROWS as f64,
                    bloom as f64 / ROWS as f64
                );
            }
        }
    }
}

#[test]
#[ignore = "prints figures; needs an optimised build"]
fn hashes() {
    use sha2::Digest as _;
    let data = vec![0x5a_u8; 1 << 30];
    for _ in 0..2 {
        let before = cpu();
        let mut blake = blake3::Hasher::new();
        for chunk in data.chunks(128 << 10) {
            blake.update(chunk);
        }
        std::hint::black_box(blake.finalize());
        let between = cpu();
        let mut sha = sha2::Sha256::new();
        data.chunks(128 << 10).for_each(|chunk| sha.update(chunk));
        std::hint::black_box(sha.finalize());
        let after = cpu();
        let rate = |nanos: i64| data.len() as f64 / nanos as f64;
        println!("BLAKE3 {:.2} GB/s, SHA-256 {:.2} GB/s", rate(between - before), rate(after - between));
    }
}
