//! The hub, and reports through a real socket.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use aggregator::feed::{Listener, SocketFeed, Volume};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::TryRecvError;

use super::*;

/// A report of a source that saw so many packets.
pub(crate) fn report(source: &str, packets: u64) -> Report {
    serde_json::from_value(json!({
        "second": {
            "source": source, "kind": "capture", "sensor": "s", "at": format!("2026-11-28T18:00:{:02}.000000Z", packets % 60),
            "interval_us": 1_000_000, "ended": false,
            "traffic": {
                "wire": {"packets": packets, "bytes": packets * 100},
                "incoming": {"packets": 0, "bytes": 0}, "outgoing": {"packets": 0, "bytes": 0},
                "internal": {"packets": 0, "bytes": 0}, "external": {"packets": 0, "bytes": 0}
            },
            "records": {"flows_opened": 1, "flow": 0, "dns": 0, "proxy": 0},
            "talkers": [], "pairs": [], "names": [], "short": {"packets": 0, "bytes": 0},
            "last": [], "drops": [{"cause": "lost_shard_ring", "packets": 2, "total": 5}], "ledger": {"seen": packets}, "reports_lost": 0
        },
        "queues": [{"interface": "tap0", "queue": 0, "mode": "af_packet", "ledger": {"packets.seen": packets}}],
        "whole": {"flows.opened": 1}, "written": {"flow": 3}, "sets": 1,
        "gauges": {"flows": 1, "flows_limit": 10, "ring_batches": 2, "ring_batches_limit": 20}
    }))
    .unwrap()
}

fn json(text: &Utf8Bytes) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn a_client_gets_a_snapshot_and_then_every_second_once() {
    let hub = Hub::default();
    for n in 0..(HISTORY as u64 + 10) {
        hub.report(report("tap", n));
    }
    let (snapshot, mut messages) = hub.subscribe().unwrap();
    let snapshot = json(&snapshot);
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["history"].as_array().unwrap().len(), HISTORY);
    assert_eq!(snapshot["history"][HISTORY - 1]["traffic"]["wire"]["packets"], HISTORY as u64 + 9);
    assert_eq!(snapshot["history"][0]["dropped"], 2);
    assert_eq!(snapshot["sources"].as_array().unwrap().len(), 1);
    assert_eq!(messages.try_recv(), Err(TryRecvError::Empty), "what is in the snapshot is not told again");
    hub.report(report("tap", 1_000));
    let message = json(&messages.recv().await.unwrap());
    assert_eq!((&message["type"], &message["traffic"]["wire"]["packets"]), (&json!("second"), &json!(1_000)));
    hub.close();
    assert_eq!(messages.try_recv(), Err(TryRecvError::Closed));
    assert!(hub.subscribe().is_none());
}

#[test]
fn sources_are_bounded_and_the_longest_silent_gives_way() {
    let hub = Hub::default();
    for n in 0..=SOURCES {
        hub.report(report(&format!("s{n}"), 1));
        hub.report(report("s0", 1));
    }
    let latest = hub.latest();
    assert_eq!(latest.len(), SOURCES);
    let names: Vec<_> = latest.iter().map(|report| report.second.source.as_str()).collect();
    assert!(names.contains(&"s0") && !names.contains(&"s1"), "{names:?}");
}

#[test]
fn a_source_ends_once() {
    let hub = Hub::default();
    hub.report(report("tap", 7));
    let (_, mut messages) = hub.subscribe().unwrap();
    hub.ended("tap");
    hub.ended("tap");
    hub.ended("unknown");
    let last = json(&messages.try_recv().unwrap());
    assert_eq!((&last["ended"], &last["traffic"]["wire"]["packets"]), (&json!(true), &json!(0)));
    assert_eq!(messages.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test]
async fn reports_of_another_process_come_through_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.sock");
    // A file that a killed process left.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let socket = UnixSocket::bind(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(matches!(UnixSocket::bind(&path), Err(ListenError::InUse(_))));
    let hub = Arc::new(Hub::default());
    let (_, mut messages) = hub.subscribe().unwrap();
    let server = tokio::spawn(listen(socket, Arc::clone(&hub)));
    let feed = SocketFeed::new(&path, || ()).unwrap();
    feed.report(report("tap", 42));
    let message = tokio::time::timeout(Duration::from_secs(10), messages.recv()).await.unwrap().unwrap();
    assert_eq!(json(&message)["traffic"]["wire"], json!(Volume { packets: 42, bytes: 4_200 }));
    // Off the reactor: it waits for its thread.
    tokio::task::spawn_blocking(|| drop(feed)).await.unwrap();
    let message = tokio::time::timeout(Duration::from_secs(10), messages.recv()).await.unwrap().unwrap();
    assert_eq!(json(&message)["ended"], true, "who is gone has ended");
    server.abort();
    drop(server.await);
    assert!(!path.exists());
}

#[tokio::test]
async fn nonsense_through_the_socket_ends_that_connection_only() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.sock");
    let hub = Arc::new(Hub::default());
    let server = tokio::spawn(listen(UnixSocket::bind(&path).unwrap(), Arc::clone(&hub)));
    for nonsense in ["{}\n", "\u{0}\n", "GET / HTTP/1.1\r\n\r\n", "{\"second\":"] {
        let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // Reset or closed: both are ends.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }
    let mut long = tokio::net::UnixStream::connect(&path).await.unwrap();
    let block = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while long.write_all(&block).await.is_ok() {
        sent += block.len();
        assert!(sent < 4 * aggregator::feed::MAX_LINE, "a line without an end");
    }
    assert!(hub.latest().is_empty());
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let line = serde_json::to_string(&report("tap", 1)).unwrap() + "\n";
    let (_, mut messages) = hub.subscribe().unwrap();
    stream.write_all(line.as_bytes()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), messages.recv()).await.unwrap().unwrap();
    server.abort();
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes");
    std::fs::write(&path, "mine").unwrap();
    assert!(matches!(UnixSocket::bind(&path), Err(ListenError::NoSocket(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert!(matches!(UnixSocket::bind(&folder.path().join("no/where")), Err(ListenError::Io { .. })));
}
