//! Collecting over loopback and importing logs, down to the lake.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Read, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aggregator::exported_live::{CollectOptions, CollectReport, Sockets, collect};
use aggregator::import::{FileOutcome, ImportOptions, Input, import};
use aggregator::lake::Lake;
use aggregator::lake::failpoint::{self, Fault};
use capture::collect::AllowList;
use capture::collect::socket::open_group;
use capture::collect::stream_socket::{StreamListener, StreamTls};

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
    run_with(CollectOptions::new("router"), lake, send)
}

fn run_with(mut options: CollectOptions, lake: &Lake, send: impl FnOnce(&UdpSocket) + Send) -> CollectReport {
    let receivers = open_group("127.0.0.1:0".parse().unwrap(), 2, 1 << 20).unwrap();
    let address = receivers[0].local_addr().unwrap();
    assert!(receivers.iter().all(|r| r.local_addr().unwrap() == address));
    (options.flush, options.duration) = (Duration::from_millis(300), Some(Duration::from_millis(1_200)));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(address).unwrap();
            send(&socket);
        });
        let sockets = Sockets { datagrams: receivers, ..Sockets::default() };
        collect(lake, sockets, &options, &AtomicBool::new(false)).unwrap()
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

/// Its records were lost without being counted, and what the exporters did was in no ledger.
#[test]
fn a_set_that_could_not_be_published_was_lost_silently() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    assert!(failpoint::arm("publish.before_journal", 0, Fault::Error));
    let mut options = CollectOptions::new("router");
    options.pairing.settle = Duration::from_millis(10);
    let report = run_with(options, &lake, |socket| {
        // Both directions: the record is finished soon, and is in the set that fails.
        let (client, server) = ([10, 0, 0, 9], [10, 0, 0, 1]);
        socket.send(&netflow9(0, &[template(), (256, row(client, server, [50_000, 443], 5))])).unwrap();
        socket.send(&netflow9(4, &[(256, row(server, client, [443, 50_000], 7))])).unwrap();
        std::thread::sleep(Duration::from_millis(700));
        socket.send(&netflow9(5, &[(256, row(client, server, [50_001, 443], 5))])).unwrap();
    });
    let counter = |name: &str| report.ledger.get(name).copied().unwrap_or_default();
    let written = report.records.get("flow").copied().unwrap_or_default();
    assert_eq!((counter("export.flows"), counter("exported.paired")), (3, 1), "{report:?}");
    assert_eq!((written, counter("records.lost_on_write")), (1, 1), "{report:?}");
    assert_eq!((&report.imbalances, &report.error), (&Vec::new(), &None));
    let exporters = lake.state().exporters(9).unwrap();
    let told: Vec<_> = exporters.iter().map(|e| (e.exporter.as_str(), e.messages, e.lost, e.flows)).collect();
    assert_eq!(told, [("netflow9 127.0.0.1 0", 3, 3, 3)]);
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

/// An IPFIX message: a template (if asked for) and one flow of one packet.
fn ipfix(number: u32, with_template: bool, port: u16) -> Vec<u8> {
    let mut sets = Vec::new();
    if with_template {
        sets.extend(be16(&[2, 36, 256, 7, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 4, 2, 4]));
    }
    let row = row([10, 0, 0, 9], [10, 0, 0, 1], [port, 443], 1);
    sets.extend(be16(&[256, 4 + row.len() as u16]));
    sets.extend(row);
    let mut message = be16(&[10, 16 + sets.len() as u16]);
    for word in [1_700_000_000, number, 7_u32] {
        message.extend(word.to_be_bytes());
    }
    message.extend(sets);
    message
}

/// Collects by TCP (or TLS) for a moment.
fn run_stream(
    lake: &Lake,
    tls: Option<StreamTls>,
    options: CollectOptions,
    send: impl FnOnce(SocketAddr) + Send,
) -> CollectReport {
    let listener = StreamListener::bind("127.0.0.1:0".parse().unwrap(), tls).unwrap();
    let address = listener.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Also where `send` panics: the collector would go on for ever.
            let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| send(address)));
            stop.store(true, Ordering::Relaxed);
            sent.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        collect(lake, Sockets { streams: vec![listener], ..Sockets::default() }, &options, &stop).unwrap()
    })
}

fn counters(report: &CollectReport, expected: &[(&str, u64)]) {
    for (counter, value) in expected {
        assert_eq!(report.ledger.get(*counter), Some(value), "{counter}: {:#?}", report.ledger);
    }
}

/// Reads until the collector closes.
fn closed(stream: &mut impl Read) -> bool {
    while matches!(stream.read(&mut [0; 4_096]), Ok(1..)) {}
    true
}

#[test]
fn a_connection_that_waited_when_the_stop_came_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    for round in 0..8 {
        let report = run_stream(&lake, None, CollectOptions::new("router"), |address| {
            // The listener looks for connections now and then: the stop comes before it looks again.
            std::thread::sleep(Duration::from_millis(90));
            TcpStream::connect(address).unwrap().write_all(&ipfix(0, true, 50_000 + round)).unwrap();
        });
        counters(&report, &[("connections.accepted", 1), ("export.flows", 1), ("exported.records", 1)]);
    }
}

#[test]
fn ipfix_over_tcp_in_pieces_two_connections_and_one_that_speaks_something_else() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    let report = run_stream(&lake, None, CollectOptions::new("router"), |address| {
        let connect = || TcpStream::connect(address).unwrap();
        let mut first = connect();
        // Byte by byte over the borders of messages, the last message cut.
        let all = [ipfix(0, true, 1_000), ipfix(1, false, 1_001), ipfix(3, false, 1_002)].concat();
        for part in all[..all.len() - 5].chunks(7) {
            first.write_all(part).unwrap();
        }
        first.shutdown(Shutdown::Write).unwrap();
        assert!(closed(&mut first));
        // Templates are of a connection: this one sends none.
        let mut second = connect();
        second.write_all(&ipfix(0, false, 1_003)).unwrap();
        second.shutdown(Shutdown::Write).unwrap();
        assert!(closed(&mut second));
        let mut third = connect();
        third.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(closed(&mut third));
    });
    counters(
        &report,
        &[
            ("connections.accepted", 3),
            ("connections.failed", 1),
            ("datagrams.ipfix", 3),
            ("export.flows", 2),
            ("sets.without_template", 1),
            ("sets.lost_without_template", 1),
            ("bytes.cut_by_connection_end", ipfix(3, false, 1_002).len() as u64 - 5),
        ],
    );
    assert_eq!(report.records.get("flow"), Some(&2));
    assert_eq!((&report.imbalances, &report.error), (&Vec::new(), &None));
}

#[test]
fn connections_are_bounded_denied_and_closed_when_silent() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    let mut options = CollectOptions::new("router");
    options.max_connections = 1;
    options.connection_idle = Duration::from_millis(300);
    let report = run_stream(&lake, None, options.clone(), |address| {
        let mut first = TcpStream::connect(address).unwrap();
        std::thread::sleep(Duration::from_millis(150));
        let mut second = TcpStream::connect(address).unwrap();
        assert!(closed(&mut second));
        assert!(closed(&mut first));
    });
    counters(&report, &[("connections.accepted", 1), ("connections.refused", 1), ("connections.idle", 1)]);
    options.allowed = AllowList::parse(["192.0.2.0/24"]).unwrap();
    let report = run_stream(&lake, None, options, |address| assert!(closed(&mut TcpStream::connect(address).unwrap())));
    counters(&report, &[("connections.accepted", 0), ("connections.denied", 1)]);
}

#[test]
fn ipfix_over_tls_with_certificates_of_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let exporter = rcgen::generate_simple_self_signed(["exporter".to_owned()]).unwrap();
    let (cert, key) = (file("c.pem", &made.cert.pem()), file("k.pem", &made.signing_key.serialize_pem()));
    let authorities = file("ca.pem", &exporter.cert.pem());
    assert!(StreamTls::load(&key, &cert, None).unwrap_err().to_string().contains("k.pem holds no certificate"));
    let tls = StreamTls::load(&cert, &key, Some(&authorities)).unwrap();

    let client = |with_certificate: bool| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = if with_certificate {
            let key = rustls_pki_types::PrivateKeyDer::try_from(exporter.signing_key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![exporter.cert.der().clone()], key).unwrap()
        } else {
            builder.with_no_client_auth()
        };
        rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
    };
    let lake = Lake::open(dir.path().join("lake")).unwrap();
    let report = run_stream(&lake, Some(tls), CollectOptions::new("router"), |address| {
        let mut stream = rustls::StreamOwned::new(client(true), TcpStream::connect(address).unwrap());
        for number in 0..200 {
            stream.write_all(&ipfix(number, number == 0, 1_000 + number as u16)).unwrap();
        }
        stream.conn.send_close_notify();
        stream.flush().unwrap();
        assert!(closed(&mut stream.sock));
        // Without a certificate of the authorities, and without TLS at all.
        let mut stranger = rustls::StreamOwned::new(client(false), TcpStream::connect(address).unwrap());
        drop(stranger.write_all(&ipfix(0, true, 1)));
        assert!(closed(&mut stranger));
        let mut plain = TcpStream::connect(address).unwrap();
        plain.write_all(&ipfix(0, true, 1)).unwrap();
        assert!(closed(&mut plain));
    });
    counters(
        &report,
        &[("connections.accepted", 3), ("connections.failed", 2), ("export.flows", 200), ("sequence.lost", 0)],
    );
    assert_eq!(report.records.get("flow"), Some(&200));
}
