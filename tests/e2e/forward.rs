//! `spotter forward`: the suspicious records of a day leave once, over an outage, in the forms others read.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use crate::support::{Disk, rows, spotter};

/// Records of a table that are alerts, by the lake.
fn alerts_of(table: &str, lake: &std::path::Path, condition: &str) -> impl Iterator<Item = String> {
    rows(lake, &format!("select record_id, detectors from scores_{table} where fused_rank <= 50 and {condition}"))
        .into_iter()
        .filter(|row| row["detectors"].as_array().unwrap().iter().any(|d| d["strength"].as_f64() >= Some(2.0)))
        .map(|row| row["record_id"].as_str().unwrap().to_owned())
}

/// The record of an alert in JSON.
fn id_of(line: &str) -> String {
    serde_json::from_str::<serde_json::Value>(line).expect("JSON")["record_id"].as_str().unwrap().to_owned()
}

#[test]
fn alerts_of_a_day_go_once_to_a_file_a_webhook_and_as_cef() {
    let dir = tempfile::tempdir().expect("folder");
    let lake = dir.path().join("lake");
    let lake_text = lake.to_string_lossy().into_owned();
    spotter(["-q", "demo", "--lake", &lake_text, "--hosts", "40", "--no-serve"]).done();
    let wanted: BTreeSet<_> =
        ["flow", "dns", "proxy"].iter().flat_map(|table| alerts_of(table, &lake, "true")).collect();
    assert!(wanted.len() > 10, "{}", wanted.len());
    let forward = |more: &[&str]| {
        let fixed = ["forward", "--lake", &lake_text, "--days", "366", "--max-rank", "50", "--json"];
        spotter(fixed.iter().copied().chain(more.iter().copied()))
    };
    let counters = |said: &str| -> serde_json::Value {
        said.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("{said}"))
    };

    let file = dir.path().join("alerts.jsonl");
    let to_file = format!("file:{}", file.display());
    let first = forward(&["--name", "file", "--to", &to_file]).done();
    assert_eq!(counters(&first.err)["sent"], wanted.len());
    let text = std::fs::read_to_string(&file).expect("written");
    let ids: Vec<String> = text.lines().map(id_of).collect();
    assert_eq!((ids.len(), ids.into_iter().collect::<BTreeSet<_>>()), (wanted.len(), wanted.clone()));
    // Again: nothing is new.
    let again = forward(&["--name", "file", "--to", &to_file]).done();
    assert_eq!(counters(&again.err)["sent"], 0);
    assert_eq!(std::fs::read_to_string(&file).expect("there"), text);

    // Nobody listens: exit status 1, the alerts wait; then they arrive.
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let hook = format!("http://{}/", listener.local_addr().expect("bound"));
    drop(listener);
    forward(&["--name", "hook", "--to", &hook, "--allow", "127.0.0.1", "--form", "ocsf"])
        .failed(1, "wait in the queue");
    let listener = TcpListener::bind(hook.trim_start_matches("http://").trim_end_matches('/')).expect("bound again");
    let server = std::thread::spawn(move || {
        let mut alerts = Vec::new();
        for stream in listener.incoming().flatten() {
            let (mut reader, mut length) = (BufReader::new(&stream), 0);
            for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("the body");
            (&stream)
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .expect("answered");
            let list: Vec<serde_json::Value> = serde_json::from_slice(&body).expect("a JSON array");
            // The test's own end.
            if list.is_empty() {
                break;
            }
            alerts.extend(list);
        }
        alerts
    });
    let sent = forward(&["--name", "hook", "--to", &hook, "--allow", "127.0.0.1", "--form", "ocsf"]).done();
    assert_eq!(counters(&sent.err)["sent"], wanted.len());
    let address = hook.trim_start_matches("http://").trim_end_matches('/');
    let mut last = std::net::TcpStream::connect(address).expect("connected");
    last.write_all(b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n[]").expect("sent");
    let alerts = server.join().expect("served");
    assert_eq!(alerts.len(), wanted.len());
    assert!(alerts.iter().all(|alert| alert["class_uid"] == 2004), "{}", alerts[0]);

    let cef = forward(&["--name", "cef", "--to", "file:-", "--form", "cef"]).done();
    assert_eq!(cef.out.lines().count(), wanted.len());
    for line in cef.out.lines() {
        assert!(line.starts_with("CEF:0|Spotter|Spotter|") && line.contains("externalId="), "{line}");
    }
    let ledger =
        rows(&lake, "select source, sum(value) as n from ledger where counter = 'alerts.sent' group by 1 order by 1");
    let told: Vec<_> =
        ledger.iter().map(|row| (row["source"].as_str().unwrap(), row["n"].as_u64().unwrap() as usize)).collect();
    assert_eq!(told, [("output cef", wanted.len()), ("output file", wanted.len()), ("output hook", wanted.len())]);

    // Scored again in another way: the former run's rows are no alerts, and a record is one once. Nor is what was dismissed since.
    let again = ["score", "--lake", &lake_text, "--source", "flow", "--words", "spot"];
    let day = rows(&lake, "select max(date) as day from scores_flow")[0]["day"].as_str().unwrap().to_owned();
    spotter(again.into_iter().chain(["--date", &day])).done();
    let current = "(select run_id from scores_flow order by scored_at desc limit 1)";
    let now: BTreeSet<String> = alerts_of("flow", &lake, &format!("run_id = {current}")).collect();
    let dismissed = now.first().expect("an alert").clone();
    spotter([
        "verdict",
        "add",
        "--lake",
        &lake_text,
        "--source",
        "flow",
        "--record",
        &dismissed,
        "--scope",
        "record",
        "--severity",
        "3",
    ])
    .done();
    let rescored = forward(&["--name", "again", "--to", "file:-", "--source", "flow"]).done();
    let ids: Vec<String> = rescored.out.lines().map(id_of).collect();
    assert!(!ids.contains(&dismissed), "{dismissed} was dismissed");
    let open: BTreeSet<String> = now.into_iter().filter(|id| *id != dismissed).collect();
    assert_eq!((ids.len(), ids.into_iter().collect::<BTreeSet<_>>()), (open.len(), open));

    forward(&["--to", "https://elsewhere.example/"]).failed(2, "not allowed");
    forward(&["--to", "file:x", "--form", "xml"]).failed(2, "json, ecs, ocsf, odm, cef or avro");
}

/// The queue's disk is full, and nobody listens. Then somebody does: all alerts arrive, in as many pieces as there is room for.
#[test]
fn a_full_disk_under_the_queue_keeps_no_alert_back() {
    let dir = tempfile::tempdir().expect("folder");
    let lake = dir.path().join("lake");
    let lake_text = lake.to_string_lossy().into_owned();
    spotter(["-q", "demo", "--lake", &lake_text, "--hosts", "40", "--no-serve"]).done();
    let Some(_disk) = Disk::new(lake.join(".forward"), "size=48k") else { return };
    let wanted: BTreeSet<_> =
        ["flow", "dns", "proxy"].iter().flat_map(|table| alerts_of(table, &lake, "true")).collect();
    let forward = |to: &str| {
        let fixed =
            ["forward", "--lake", &lake_text, "--days", "366", "--max-rank", "50", "--name", "full", "--to", to];
        spotter(fixed.into_iter().chain(["--allow", "127.0.0.1"]))
    };
    let held = forward("http://127.0.0.1:9/").failed(1, "No space left on device");
    assert!(held.err.contains("wait in the queue"), "{}", held.err);
    let file = dir.path().join("alerts.jsonl");
    forward(&format!("file:{}", file.display())).done();
    let ids: Vec<String> = std::fs::read_to_string(&file).expect("written").lines().map(id_of).collect();
    assert_eq!(ids.iter().cloned().collect::<BTreeSet<_>>(), wanted);
    // The first process could not note what it had queued: only that much is sent twice.
    assert!(ids.len() < 2 * wanted.len(), "{} alerts of {}", ids.len(), wanted.len());
}
