//! Against small servers on loopback: outages, refusals, overload, and what arrives.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::queue::Entry;
use super::*;

fn entry(number: u32) -> Entry {
    Entry { id: format!("{number:032x}"), payload: format!("{{\"n\":{number}}}").into_bytes() }
}

fn options(dir: &Path, to: &str) -> ForwardOptions {
    ForwardOptions {
        schema_ids: Vec::new(),
        target: TargetOptions {
            to: to.to_owned(),
            allow: vec!["127.0.0.1".into(), "localhost".into()],
            ..TargetOptions::default()
        },
        form: Form::Json,
        what: What::Alerts,
        threshold: Threshold::default(),
        tables: vec![Table::Flow, Table::Dns, Table::Proxy],
        dir: dir.to_owned(),
        max_bytes: 1 << 20,
    }
}

/// A request: its first line and heads, and its body.
type Request = (String, String);

/// Reads one request of a connection.
fn request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

/// Answers each request by `answer`: status line and body. Gives what was asked, too.
fn serve(
    listener: TcpListener,
    mut answer: impl FnMut(&Request) -> (&'static str, String) + Send + 'static,
) -> Arc<Mutex<Vec<Request>>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(request) = request(&stream) {
                let (status, body) = answer(&request);
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                kept.lock().unwrap().push(request);
                let mut stream = stream;
                drop(stream.write_all((head + &body).as_bytes()));
            }
        }
    });
    asked
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Sends until nothing waits.
fn drain(forwarder: &mut Forwarder) {
    while forwarder.send().unwrap() > 0 {}
}

#[test]
fn alerts_outlive_an_outage_of_the_webhook_and_a_restart_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let to = format!("http://{address}/hook");
    let mut forwarder = Forwarder::open(options(dir.path(), &to)).unwrap();
    let all: Vec<Entry> = (0..450).map(entry).collect();
    assert_eq!(forwarder.queue_all(&all).unwrap(), 450);
    let mut waits = Vec::new();
    for _ in 0..4 {
        assert!(forwarder.send().is_err());
        waits.push(forwarder.wait().as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8]);
    assert_eq!((forwarder.counters().failures, forwarder.counters().waiting), (4, 450));
    drop(forwarder);
    let mut turn = 0;
    let asked = serve(TcpListener::bind(address).unwrap(), move |_| {
        turn += 1;
        if turn == 2 { ("503 Service Unavailable", "later".into()) } else { ("200 OK", String::new()) }
    });
    let mut forwarder = Forwarder::open(options(dir.path(), &to)).unwrap();
    assert!(all.iter().all(|entry| forwarder.seen.has(&entry.id)), "what is an alert is remembered");
    assert_eq!(forwarder.send().unwrap(), 200);
    let refused = forwarder.send().unwrap_err();
    assert!(refused.contains("503") && refused.contains("later"), "{refused}");
    drain(&mut forwarder);
    assert_eq!((forwarder.counters().sent, forwarder.counters().waiting), (450, 0));
    let asked = asked.lock().unwrap();
    let numbers: Vec<u64> = asked
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != 1)
        .flat_map(|(_, (_, body))| serde_json::from_str::<Vec<serde_json::Value>>(body).unwrap())
        .map(|alert| alert["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..450).collect::<Vec<_>>());
    assert!(asked[0].0.starts_with("POST /hook ") && asked[0].0.contains("application/json"), "{}", asked[0].0);
}

#[test]
fn one_alert_that_is_refused_for_good_does_not_hold_up_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}/", listener.local_addr().unwrap());
    serve(listener, |(_, body)| {
        if body.contains("\"n\":3}") {
            ("422 Unprocessable Content", "no".into())
        } else {
            ("204 No Content", String::new())
        }
    });
    let mut forwarder = Forwarder::open(options(dir.path(), &to)).unwrap();
    forwarder.queue_all(&(0..6).map(entry).collect::<Vec<_>>()).unwrap();
    drain(&mut forwarder);
    assert_eq!((forwarder.counters().sent, forwarder.counters().rejected), (5, 1));
}

#[test]
fn elasticsearch_gets_each_alert_under_its_id_and_is_asked_again_where_it_is_overloaded() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("elastic+http://{}/alerts-2026", listener.local_addr().unwrap());
    let mut turn = 0;
    let asked = serve(listener, move |_| {
        turn += 1;
        let last = if turn == 1 { 429 } else { 201 };
        // The second time the first is there already, and one has a field of another type.
        let first = if turn == 1 { 201 } else { 409 };
        let items = [first, 400, last].map(|status| format!("{{\"create\":{{\"status\":{status}}}}}")).join(",");
        ("200 OK", format!("{{\"errors\":true,\"items\":[{items}]}}"))
    });
    let secret = dir.path().join("key");
    fs::write(&secret, "ApiKey abc\n").unwrap();
    let mut options = options(&dir.path().join("queue"), &to);
    options.target.authorization_file = Some(secret);
    let mut forwarder = Forwarder::open(options).unwrap();
    forwarder.queue_all(&(0..3).map(entry).collect::<Vec<_>>()).unwrap();
    assert!(forwarder.send().unwrap_err().contains("overloaded"));
    drain(&mut forwarder);
    assert_eq!((forwarder.counters().sent, forwarder.counters().rejected, forwarder.counters().failures), (2, 1, 1));
    let asked = asked.lock().unwrap();
    let (head, body) = &asked[1];
    assert!(head.starts_with("POST /_bulk ") && head.contains("authorization: ApiKey abc"), "{head}");
    let lines: Vec<serde_json::Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[2], serde_json::json!({"create": {"_index": "alerts-2026", "_id": entry(1).id}}));
    assert_eq!(lines[3]["n"], 1);
}

#[test]
fn only_allowed_hosts_are_reached_and_no_redirect_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |to: &str| options(dir.path(), to).target.check().unwrap_err().to_string();
    assert!(refused("https://metadata.internal/").contains("not allowed"));
    assert!(refused("ftp://127.0.0.1/").contains("no way ftp"));
    assert!(refused("syslog+tcp://127.0.0.1").contains("port"));
    assert!(refused("elastic+https://127.0.0.1:9200/").contains("index"));
    assert!(refused("https://user:secret@127.0.0.1/").contains("authorization"));
    assert!(refused("127.0.0.1:514").contains("file:PATH"));
    let (elsewhere, listener) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let to = format!("http://{}/", listener.local_addr().unwrap());
    let location = format!("302 Found\r\nlocation: http://{}/", elsewhere.local_addr().unwrap());
    let status: &'static str = Box::leak(location.into_boxed_str());
    serve(listener, move |_| (status, String::new()));
    let reached = serve(elsewhere, |_| ("200 OK", String::new()));
    let mut forwarder = Forwarder::open(options(dir.path(), &to)).unwrap();
    forwarder.queue_all(&[entry(1)]).unwrap();
    assert!(forwarder.send().unwrap_err().contains("302"));
    assert!(reached.lock().unwrap().is_empty());
}

/// The next message of a stream with octet counting.
fn framed(stream: &mut impl Read) -> String {
    let mut length = String::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        if byte[0] == b' ' {
            break;
        }
        length.push(byte[0] as char);
    }
    let mut message = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut message).unwrap();
    String::from_utf8(message).unwrap()
}

#[track_caller]
fn is_alert(message: &str, number: u32) {
    assert!(message.starts_with("<132>1 20"), "{message}");
    assert!(message.ends_with(&format!(" alert - {{\"n\":{number}}}")), "{message}");
}

#[test]
fn syslog_over_udp_and_over_tcp_to_a_server_that_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let to = format!("syslog+udp://{}", socket.local_addr().unwrap());
    let mut forwarder = Forwarder::open(options(&dir.path().join("udp"), &to)).unwrap();
    let large = Entry { id: "f".repeat(32), payload: vec![b'x'; 70_000] };
    forwarder.queue_all(&[entry(1), large, entry(2)]).unwrap();
    drain(&mut forwarder);
    assert_eq!((forwarder.counters().sent, forwarder.counters().rejected), (2, 1));
    for number in [1, 2] {
        let mut bytes = [0; 2_000];
        let count = socket.recv(&mut bytes).unwrap();
        is_alert(&String::from_utf8_lossy(&bytes[..count]), number);
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let mut forwarder = Forwarder::open(options(&dir.path().join("tcp"), &to)).unwrap();
    forwarder.queue_all(&[entry(1), entry(2)]).unwrap();
    drain(&mut forwarder);
    let (mut first, _) = listener.accept().unwrap();
    is_alert(&framed(&mut first), 1);
    is_alert(&framed(&mut first), 2);
    // The server restarts: what is sent next must not vanish in the old connection.
    drop(first);
    std::thread::sleep(Duration::from_millis(50));
    forwarder.queue_all(&[entry(3)]).unwrap();
    drain(&mut forwarder);
    is_alert(&framed(&mut listener.accept().unwrap().0), 3);
}

#[test]
fn syslog_over_tls_believes_only_its_authority() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (good, bad) = (file("good.pem", made.cert.pem()), file("bad.pem", other.cert.pem()));
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("syslog+tls://localhost:{}", listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        let mut messages = Vec::new();
        for turn in 0..2 {
            let (stream, _) = listener.accept().unwrap();
            let mut tls = rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            if turn == 0 {
                assert!(tls.read(&mut [0; 1]).is_err(), "the client does not believe us");
            } else {
                messages.extend([framed(&mut tls), framed(&mut tls)]);
            }
        }
        messages
    });
    let with = |authority: &Path| {
        let mut options = options(&dir.path().join("queue"), &to);
        options.target.tls_ca = Some(authority.to_owned());
        Forwarder::open(options).unwrap()
    };
    let mut forwarder = with(&bad);
    forwarder.queue_all(&[entry(1), entry(2)]).unwrap();
    let refused = forwarder.send().unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    drop(forwarder);
    let mut forwarder = with(&good);
    assert_eq!(forwarder.send().unwrap(), 2);
    let messages = server.join().unwrap();
    is_alert(&messages[0], 1);
    is_alert(&messages[1], 2);
}

#[test]
fn a_full_queue_refuses_and_what_it_refused_is_still_new() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alerts.jsonl");
    let mut options = options(&dir.path().join("queue"), &format!("file:{}", file.display()));
    options.max_bytes = 500;
    let mut forwarder = Forwarder::open(options).unwrap();
    let all: Vec<Entry> = (0..30).map(entry).collect();
    let mut rounds = 0;
    loop {
        let new: Vec<Entry> = all.iter().filter(|entry| !forwarder.seen.has(&entry.id)).cloned().collect();
        if new.is_empty() {
            break;
        }
        assert!(forwarder.queue_all(&new).unwrap() > 0);
        drain(&mut forwarder);
        rounds += 1;
    }
    assert!(rounds >= 3 && forwarder.counters().queue_full == rounds - 1, "{rounds} {:?}", forwarder.counters());
    let lines: Vec<String> = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines, all.iter().map(|e| String::from_utf8(e.payload.clone()).unwrap()).collect::<Vec<_>>());
}

#[test]
fn what_is_remembered_is_bounded_and_outlives_a_cut_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("seen");
    let ids: Vec<String> = (0..3).map(|n| entry(n).id).collect();
    Seen::open(path.clone()).unwrap().add(&[&ids[0], &ids[1]]).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 5]).unwrap();
    Seen::open(path.clone()).unwrap().add(&[&ids[2]]).unwrap();
    let seen = Seen::open(path).unwrap();
    assert_eq!([0, 1, 2].map(|n| seen.has(&ids[n])), [true, false, true]);
}
