//! `spotter forward`: the suspicious records of a day leave once, over an outage, in the forms others read.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use crate::support::{rows, spotter};

/// Records that are alerts, by the lake.
fn wanted(lake: &std::path::Path) -> BTreeSet<String> {
    ["flow", "dns", "proxy"]
        .iter()
        .flat_map(|table| {
            rows(lake, &format!("select record_id, detectors from scores_{table} where fused_rank <= 50"))
        })
        .filter(|row| row["detectors"].as_array().unwrap().iter().any(|d| d["strength"].as_f64() >= Some(2.0)))
        .map(|row| row["record_id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn alerts_of_a_day_go_once_to_a_file_a_webhook_and_as_cef() {
    let dir = tempfile::tempdir().expect("folder");
    let lake = dir.path().join("lake");
    let lake_text = lake.to_string_lossy().into_owned();
    spotter(["-q", "demo", "--lake", &lake_text, "--hosts", "40", "--no-serve"]).done();
    let wanted = wanted(&lake);
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
    let ids: Vec<String> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("JSON")["record_id"].as_str().unwrap().to_owned()
        })
        .collect();
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

    forward(&["--to", "https://elsewhere.example/"]).failed(2, "not allowed");
    forward(&["--to", "file:x", "--form", "xml"]).failed(2, "json, ecs, ocsf, odm, cef or avro");
}
