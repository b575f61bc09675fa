//! The main job: a day of packets goes in, records, scores and reasons come out; twice is the same as once.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::{rows, shared, spotter};

/// A small synthetic day, imported and scored.
fn small_day(lake: &Path) -> serde_json::Value {
    let lake = lake.to_string_lossy();
    spotter(["-q", "demo", "--lake", &lake, "--hosts", "60", "--no-serve", "--json"]).done().json()
}

fn record_ids(lake: &Path, table: &str) -> BTreeSet<String> {
    let found = rows(lake, &format!("select record_id from {table}"));
    let ids: BTreeSet<String> = found.iter().map(|r| r["record_id"].as_str().expect("text").to_owned()).collect();
    assert_eq!(ids.len(), found.len(), "a record_id stands twice in {table}");
    ids
}

#[test]
fn a_day_goes_the_whole_way() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = folder.path().join("lake");
    let incidents = small_day(&lake);
    let incidents = incidents.as_array().expect("a list");
    let kinds: BTreeSet<&str> = incidents.iter().filter_map(|i| i["kind"].as_str()).collect();
    assert_eq!(kinds.len(), 29, "{kinds:?}");
    assert!(incidents.iter().all(|i| i["records"].as_u64() > Some(0)), "an incident has no records: {incidents:?}");
    assert!(incidents.iter().any(|i| i["best_rank"].as_u64().is_some_and(|rank| rank <= 250)), "none in the top 250");

    for source in ["flow", "dns", "proxy"] {
        let scores = rows(&lake, &format!("select rank, score, record_id from scores_{source} order by rank"));
        assert!(!scores.is_empty(), "{source} has no scores");
        let in_order = scores.windows(2).all(|w| w[0]["score"].as_f64() <= w[1]["score"].as_f64());
        assert!(in_order, "{source}: ranks do not follow the score");
        let ids = record_ids(&lake, source);
        assert!(
            scores.iter().all(|s| ids.contains(s["record_id"].as_str().expect("text"))),
            "{source}: a score without record"
        );
    }

    // The books: each packet of the capture has one fate, and what was received is what was exported.
    let count = |counter: &str| {
        rows(&lake, &format!("select sum(value) as n from ledger where counter = '{counter}'"))[0]["n"]
            .as_u64()
            .unwrap_or(0)
    };
    assert!(count("packets.seen") > 0);
    assert_eq!(count("packets.seen"), count("packets.received") + count("packets.not_ip") + count("packets.malformed"));
    let exported = rows(&lake, "select sum(src_packets) + sum(dst_packets) as n from flow")[0]["n"].as_u64();
    assert_eq!(exported, Some(count("packets.received")));
}

#[test]
fn a_second_import_adds_nothing_and_another_lake_gets_the_same_records() {
    let folder = tempfile::tempdir().expect("folder");
    let (lake, other) = (folder.path().join("lake"), folder.path().join("other"));
    small_day(&lake);
    let capture = lake.join("demo/day.pcap");
    let import = |into: &Path| {
        let into = into.to_string_lossy().into_owned();
        spotter(["import", "--lake", &into, "--sensor", "demo", "--json", &capture.to_string_lossy()]).done().json()
    };
    let before = ["flow", "dns", "proxy"].map(|t| record_ids(&lake, t));
    let report = import(&lake);
    assert_eq!(report["files"][0]["outcome"], "already_imported", "{report}");
    assert_eq!(import(&other)["files"][0]["outcome"], "imported");
    for (table, ids) in ["flow", "dns", "proxy"].into_iter().zip(&before) {
        assert_eq!(&record_ids(&lake, table), ids, "{table} changed by a second import");
        assert_eq!(&record_ids(&other, table), ids, "{table} differs in another lake");
    }
}

#[test]
fn scores_are_the_same_twice_and_after_compaction() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = folder.path().join("lake");
    small_day(&lake);
    let scores = || {
        let current = rows(&lake, "select run_id from scores_dns order by scored_at desc limit 1");
        let run = current[0]["run_id"].as_str().expect("a run").to_owned();
        rows(
            &lake,
            &format!(
                "select rank, record_id, score, word, group_id from scores_dns where run_id = '{run}' order by rank"
            ),
        )
    };
    let first = scores();
    let date = rows(&lake, "select date from dns limit 1")[0]["date"].as_str().expect("a date").to_owned();
    let text = lake.to_string_lossy().into_owned();
    let counts = || rows(&lake, "select count(*) as n, count(distinct record_id) as ids from dns");
    let before = counts();
    spotter(["lake", "compact", "--lake", &text]).done();
    assert_eq!(counts(), before, "compaction changed the records");
    spotter(["score", "--lake", &text, "--source", "dns", "--date", &date]).done();
    assert_eq!(scores(), first);
}

#[test]
fn a_backup_brings_the_state_back() {
    let folder = tempfile::tempdir().expect("folder");
    let lake = folder.path().join("lake");
    small_day(&lake);
    let (lake_text, backup) =
        (lake.to_string_lossy().into_owned(), folder.path().join("backup").to_string_lossy().into_owned());
    spotter(["backup", "--lake", &lake_text, &backup]).done();
    let before = record_ids(&lake, "flow");
    std::fs::remove_file(lake.join("state.sqlite")).expect("removed");
    for leftover in ["state.sqlite-wal", "state.sqlite-shm"] {
        let _ = std::fs::remove_file(lake.join(leftover));
    }
    spotter(["restore", "--lake", &lake_text, &backup]).done();
    assert_eq!(record_ids(&lake, "flow"), before);
    let capture = lake.join("demo/day.pcap").to_string_lossy().into_owned();
    let report = spotter(["import", "--lake", &lake_text, "--sensor", "demo", "--json", &capture]).done().json();
    assert_eq!(report["files"][0]["outcome"], "already_imported", "the restored state knows its imports");
}

#[test]
fn text_from_the_wire_never_reaches_a_terminal_raw() {
    let folder = tempfile::tempdir().expect("folder");
    let (capture, lake) = (folder.path().join("hostile.pcap"), folder.path().join("lake"));
    let request = b"GET /\xe2\x80\xae HTTP/1.1\r\nHost: h.example\r\nUser-Agent: a\x1b[2Jb\r\n\r\n";
    std::fs::write(&capture, tcp_capture(request)).expect("written");
    let text = lake.to_string_lossy().into_owned();
    spotter(["import", "--lake", &text, &capture.to_string_lossy()]).done();
    for format in ["table", "json", "jsonl"] {
        let shown =
            spotter(["query", "--lake", &text, "--format", format, "select host, user_agent, full_uri from proxy"])
                .done()
                .out;
        assert!(shown.contains("h.example"), "{shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{format}: {shown:?}");
    }
}

/// A capture of one TCP segment from 192.0.2.1:40000 to 192.0.2.2:80.
fn tcp_capture(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let length = u16::try_from(40 + payload.len()).expect("short");
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend([0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    let size = u32::try_from(frame.len()).expect("short");
    for field in [1_700_000_000, 0, size, size] {
        file.extend(field.to_le_bytes());
    }
    file.extend(frame);
    file
}

#[test]
fn real_captures_compressed_and_by_standard_input_give_the_same_records() {
    let Some(data) = shared("real_captures_compressed_and_by_standard_input_give_the_same_records") else { return };
    let source = std::fs::read(data.join("pcap/ndpi__1kxun.pcap")).expect("a capture");
    let folder = tempfile::tempdir().expect("folder");
    let plain = folder.path().join("plain");
    let file = folder.path().join("a.pcap");
    std::fs::write(&file, &source).expect("written");
    spotter(["import", "--lake", &plain.to_string_lossy(), &file.to_string_lossy()]).done();
    let packed = std::process::Command::new("gzip").arg("-k").arg(&file).status().expect("gzip runs");
    assert!(packed.success());
    let zipped = folder.path().join("zipped");
    let name = folder.path().join("a.pcap.gz").to_string_lossy().into_owned();
    spotter(["import", "--lake", &zipped.to_string_lossy(), &name]).done();
    let piped = folder.path().join("piped");
    let mut child = crate::support::command();
    let input = std::fs::File::open(&name).expect("open");
    let status =
        child.args(["import", "--lake", &piped.to_string_lossy(), "-"]).stdin(input).output().expect("runs").status;
    assert!(status.success());
    for table in ["flow", "dns", "proxy"] {
        let ids = record_ids(&plain, table);
        assert_eq!(ids, record_ids(&zipped, table), "{table} of the gzip file");
        assert_eq!(ids, record_ids(&piped, table), "{table} by standard input");
    }
}
