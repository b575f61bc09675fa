//! Collecting over loopback and importing logs, down to the lake.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::UdpSocket;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aggregator::exported_live::{CollectOptions, CollectReport, collect};
use aggregator::import::{FileOutcome, ImportOptions, Input, import};
use aggregator::lake::Lake;
use capture::collect::socket::open_group;

fn be16(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

/// A NetFlow v9 datagram of these flow sets.
fn netflow9(number: u32, sets: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut datagram = be16(&[9, sets.len() as u16]);
    for word in [1_000, 1_700_000_000, number, 0_u32] {
        datagram.extend(word.to_be_bytes());
    }
    for (id, set) in sets {
        datagram.extend(be16(&[*id, 4 + set.len() as u16]));
        datagram.extend(set);
    }
    datagram
}

fn template() -> (u16, Vec<u8>) {
    (0, be16(&[256, 7, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 4, 2, 4]))
}

fn row(src: [u8; 4], dst: [u8; 4], ports: [u16; 2], packets: u32) -> Vec<u8> {
    let counters = [packets * 100, packets].map(u32::to_be_bytes).concat();
    [src.to_vec(), dst.to_vec(), be16(&ports), vec![6], counters].concat()
}

/// Collects for a moment while `send` sends.
fn run(lake: &Lake, send: impl FnOnce(&UdpSocket) + Send) -> CollectReport {
    let receivers = open_group("127.0.0.1:0".parse().unwrap(), 2, 1 << 20).unwrap();
    let address = receivers[0].local_addr().unwrap();
    assert!(receivers.iter().all(|r| r.local_addr().unwrap() == address));
    let mut options = CollectOptions::new("router");
    (options.flush, options.duration) = (Duration::from_millis(300), Some(Duration::from_millis(1_200)));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(address).unwrap();
            send(&socket);
        });
        collect(lake, receivers, &options, &AtomicBool::new(false)).unwrap()
    })
}

#[test]
fn what_is_sent_is_in_the_lake_and_templates_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    let (client, server) = ([10, 0, 0, 9], [10, 0, 0, 1]);
    let report = run(&lake, |socket| {
        socket.send(&netflow9(0, &[template(), (256, row(client, server, [50_000, 443], 5))])).unwrap();
        socket.send(&netflow9(1, &[(256, row(server, client, [443, 50_000], 7))])).unwrap();
        socket.send(b"GET / HTTP/1.1\r\n").unwrap();
    });
    assert_eq!(report.records.get("flow"), Some(&1), "{report:?}");
    assert_eq!((&report.imbalances, &report.error), (&Vec::new(), &None));
    for (counter, value) in [
        ("datagrams.received", 3),
        ("datagrams.not_an_export", 1),
        ("export.flows", 2),
        ("exported.paired", 1),
        ("sequence.lost", 0),
        ("datagrams.dropped_by_socket", 0),
    ] {
        assert_eq!(report.ledger.get(counter), Some(&value), "{counter}");
    }
    let parts = lake.parts(aggregator::lake::Table::Flow, None).unwrap();
    assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), 1);
    // Another process: no template is sent.
    let report = run(&lake, |socket| {
        socket.send(&netflow9(9, &[(256, row(client, server, [50_001, 443], 5))])).unwrap();
    });
    assert_eq!(report.ledger.get("sets.without_template"), Some(&0));
    assert_eq!(report.records.get("flow"), Some(&1));
}

#[test]
fn a_log_is_imported_once_and_its_bad_rows_are_kept_with_their_reason() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let good =
        "1461576382.642    161 127.0.0.1 TCP_MISS/200 103701 GET http://www.cnn.com/ - DIRECT/199.27.79.73 text/html\n";
    fs::write(&log, format!("{good}what is this\n\n{good}")).unwrap();
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let run = || {
        let inputs = [Input::Path(log.clone())];
        import(&lake, &inputs, &ImportOptions::new("proxy"), &AtomicBool::new(false), &mut ()).unwrap()
    };
    let report = run();
    let file = &report.files[0];
    assert_eq!(file.outcome, FileOutcome::Imported, "{:?}", file.error);
    assert_eq!((file.records.get("proxy"), &file.imbalances), (Some(&2), &Vec::new()));
    for (counter, value) in [
        ("lines.seen", 4),
        ("rows.stored", 2),
        ("rows.quarantined", 1),
        ("rows.quarantined.no_time", 1),
        ("lines.other", 1),
    ] {
        assert_eq!(file.ledger.get(counter), Some(&value), "{counter}: {:?}", file.ledger);
    }
    let kept: Vec<_> = fs::read_dir(dir.path().join("lake/quarantine")).unwrap().collect();
    assert_eq!(kept.len(), 1);
    let kept = fs::read_to_string(kept[0].as_ref().unwrap().path()).unwrap();
    assert_eq!(kept, "{\"line\":2,\"reason\":\"no time\",\"text\":\"what is this\"}\n");
    assert_eq!(run().files[0].outcome, FileOutcome::AlreadyImported);
}
