//! Every log of the shared data is read: each line is a row, a row refused with its reason, or a header, comment or blank line. How
//! many of each stands in `tests/expectations/logs.txt`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use capture::logs::{Entry, LogReader, LogRow};

fn shared(folder: &str) -> Option<PathBuf> {
    let default = "../../shared";
    let dir =
        PathBuf::from(std::env::var_os("SPOTTER_SHARED").unwrap_or_else(|| default.into())).join("data").join(folder);
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: no {}", dir.display());
    None
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
    found.sort();
}

fn told(path: &Path) -> String {
    let Some(mut reader) = LogReader::open(path).unwrap() else { return "    no log\n".to_owned() };
    let (mut rows, mut reasons) = (BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new());
    let mut sums = [0_u64; 2];
    while let Some(entry) = reader.next_entry().unwrap() {
        match entry {
            Entry::Row(LogRow::Connection(row)) => {
                *rows.entry("connections").or_default() += 1;
                sums[0] += row.src_packets + row.dst.map_or(0, |d| d.0);
                sums[1] += row.src_bytes + row.dst.map_or(0, |d| d.1);
            }
            Entry::Row(LogRow::Dhcp(_)) => *rows.entry("dhcp").or_default() += 1,
            Entry::Row(LogRow::Dns(_)) => *rows.entry("dns").or_default() += 1,
            Entry::Row(LogRow::Request(row)) => *rows.entry(row.kind.as_str()).or_default() += 1,
            Entry::Refused(refused) => *reasons.entry(refused.reason).or_default() += 1,
        }
    }
    let c = reader.counters();
    let refused: u64 = reasons.values().sum();
    assert_eq!(c.rows, rows.values().sum::<u64>());
    assert_eq!(c.refused, refused);
    assert_eq!(c.lines, c.rows + c.refused + c.other_lines, "{}", path.display());
    let list = |counts: &BTreeMap<&str, u64>| {
        counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
    };
    let mut out =
        format!("    {} lines = {} rows + {} refused + {} other\n", c.lines, c.rows, c.refused, c.other_lines);
    writeln!(out, "    rows: {}", list(&rows)).unwrap();
    if sums != [0, 0] {
        writeln!(out, "    {} packets, {} bytes", sums[0], sums[1]).unwrap();
    }
    if refused > 0 {
        writeln!(out, "    refused: {}", list(&reasons)).unwrap();
    }
    out
}

#[test]
fn every_log_is_read_or_refused_row_by_row() {
    let mut all = String::new();
    for folder in ["proxylogs", "zeeklogs"] {
        let Some(dir) = shared(folder) else { return };
        let mut found = Vec::new();
        files(&dir, &mut found);
        assert!(found.len() >= 20, "{folder}: {}", found.len());
        for path in found.iter().filter(|path| !path.ends_with("manifest.csv")) {
            writeln!(all, "{folder}/{}", path.strip_prefix(&dir).unwrap().display()).unwrap();
            all.push_str(&told(path));
        }
    }
    let path = "tests/expectations/logs.txt";
    let text = fs::read_to_string(path).unwrap_or_default();
    // Lines that begin with # say why; they are not compared.
    let expected: String =
        text.lines().filter(|l| !l.trim_start().starts_with('#')).map(|l| format!("{l}\n")).collect();
    if all != expected {
        let fresh = std::env::temp_dir().join("logs-found.txt");
        fs::write(&fresh, &all).unwrap();
        panic!("not what {path} says; what was found is in {}", fresh.display());
    }
}

/// The same rows, written by Zeek as TSV and as JSON by somebody else.
#[test]
fn zeek_rows_are_the_same_in_tsv_and_json() {
    let Some(dir) = shared("zeeklogs") else { return };
    let read = |name: &str| {
        let mut reader = LogReader::open(&dir.join(name)).unwrap().unwrap();
        let mut rows = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let Entry::Row(LogRow::Dns(row)) = entry else { continue };
            rows.push((row.first, row.pair, row.id, row.query.clone(), row.qtype, row.rcode));
        }
        rows.sort_by(|a, b| (a.0, a.2, &a.3, a.4, a.1.src_port).cmp(&(b.0, b.2, &b.3, b.4, b.1.src_port)));
        rows
    };
    let (tsv, json) = (read("brim__dns.log.gz"), read("brim__dns.json.gz"));
    assert!(tsv.len() > 50_000, "{}", tsv.len());
    assert!(tsv == json, "{} rows in TSV, {} in JSON", tsv.len(), json.len());
}

/// Metron's own parse of its sample.
#[test]
fn squid_rows_are_what_metron_reads() {
    let Some(dir) = shared("proxylogs") else { return };
    let expected = fs::read_to_string(dir.join("squid__metron_parsed.json")).unwrap();
    let expected: Vec<serde_json::Value> = expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut reader = LogReader::open(&dir.join("squid__metron_raw.log")).unwrap().unwrap();
    let mut count = 0;
    for theirs in &expected {
        let Some(Entry::Row(LogRow::Request(row))) = reader.next_entry().unwrap() else { panic!("fewer rows") };
        assert_eq!(Some(row.full_uri.as_str()), theirs["url"].as_str());
        assert_eq!(row.status.map(u64::from), theirs["code"].as_u64());
        assert_eq!(row.response_bytes, theirs["bytes"].as_u64());
        assert_eq!(Some(row.client_ip.to_string().as_str()), theirs["ip_src_addr"].as_str());
        assert_eq!(row.action.as_deref(), theirs["action"].as_str());
        count += 1;
    }
    assert!(count >= 1);
}
