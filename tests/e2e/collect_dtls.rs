//! `spotter collect --listen-dtls`: OpenSSL is the exporter.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::collect::{Collecting, has, ran};
use crate::support::{rows, spotter};

/// Certificate and key, PEM.
struct Identity {
    cert: PathBuf,
    key: PathBuf,
}

fn identity(dir: &Path, name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let [cert, key] = ["cert", "key"].map(|what| dir.join(format!("{name}-{what}.pem")));
    fs::write(&cert, made.cert.pem()).expect("written");
    fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    Identity { cert, key }
}

/// `openssl s_client`, which makes a record of each write to its standard input.
struct Exporter(Child);

impl Exporter {
    fn start(to: SocketAddr, from: u16, authority: &Path, own: Option<&Identity>) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-dtls1_2", "-connect", &to.to_string(), "-bind", &format!("127.0.0.1:{from}")]);
        command.args(["-verify_return_error", "-CAfile"]).arg(authority);
        if let Some(own) = own {
            command.arg("-cert").arg(&own.cert).arg("-key").arg(&own.key);
        }
        Self(
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("openssl starts"),
        )
    }

    /// Its handshake is done.
    fn connected(mut self) -> Self {
        let mut said = BufReader::new(self.0.stdout.take().expect("piped"));
        let mut all = String::new();
        while !all.contains("Verify return code: 0 (ok)") {
            if said.read_line(&mut all).expect("text") == 0 {
                let mut error = String::new();
                self.0.stderr.take().expect("piped").read_to_string(&mut error).expect("text");
                panic!("no handshake: {all}\n{error}");
            }
        }
        std::thread::spawn(move || drop(said.read_to_string(&mut String::new())));
        self
    }

    fn send(&mut self, message: &[u8]) {
        self.0.stdin.as_mut().expect("piped").write_all(message).expect("written");
        // Two writes at once would be one record.
        std::thread::sleep(Duration::from_millis(40));
    }

    /// The end of its input: it closes the session.
    fn close(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().expect("ends").success());
    }

    /// Without a goodbye.
    fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }

    /// What it says when it is turned away.
    fn refused(self) -> String {
        let output = self.0.wait_with_output().expect("ends");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{text}");
        text
    }
}

/// An IPFIX message with one flow, the template on demand.
fn ipfix(number: u32, with_template: bool) -> Vec<u8> {
    let be16 = |numbers: &[u16]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    let mut sets = Vec::new();
    if with_template {
        sets.extend(be16(&[2, 36, 256, 7, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 4, 2, 4]));
    }
    sets.extend(be16(&[256, 25]));
    let [_, _, a, b] = number.to_be_bytes();
    sets.extend([10, 7, a, b, 192, 0, 2, 1, 0x9c, 0x40, 1, 0xbb, 6, 0, 0, 0, 100, 0, 0, 0, 1]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() as u32;
    let mut message = be16(&[10, 16 + sets.len() as u16]);
    for word in [now, number, 7_u32] {
        message.extend(word.to_be_bytes());
    }
    message.extend(sets);
    message
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").expect("bound").local_addr().expect("an address").port()
}

#[test]
fn what_openssl_sends_over_dtls_is_in_the_lake_if_its_certificate_is_known() {
    if !has("openssl", "openssl") {
        return;
    }
    let dir = tempfile::tempdir().expect("folder");
    let lake = dir.path().join("lake");
    let [own, router, stranger] = ["collector", "router", "stranger"].map(|name| identity(dir.path(), name));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let files = [&own.cert, &own.key, &router.cert].map(|path| text(path));
    let tls = ["--tls-cert", &files[0], "--tls-key", &files[1], "--tls-client-ca", &files[2]];
    let collecting = Collecting::collect(&lake, &[&["--listen-dtls", "127.0.0.1:0"][..], &tls].concat());
    let to = collecting.addresses[1];
    let port = free_port();
    let mut first = Exporter::start(to, port, &own.cert, Some(&router)).connected();
    // One message is missing on the way.
    for number in (0..20).filter(|number| *number != 7) {
        first.send(&ipfix(number, number == 0));
    }
    // Nobody ends a session by what anyone can send, and who shows no certificate, or another, brings nothing.
    UdpSocket::bind("127.0.0.1:0").expect("bound").send_to(b"no DTLS", to).expect("sent");
    let said = Exporter::start(to, free_port(), &own.cert, None).refused();
    assert!(said.contains("alert"), "{said}");
    let mut told = Exporter::start(to, free_port(), &own.cert, Some(&stranger));
    drop(told.0.stdin.as_mut().expect("piped").write_all(&ipfix(0, true)));
    let said = told.refused();
    assert!(said.contains("alert"), "{said}");
    first.send(&ipfix(20, false));
    // It begins anew from the same port, with templates and numbers of its own.
    first.kill();
    let mut second = Exporter::start(to, port, &own.cert, Some(&router)).connected();
    for number in 0..5 {
        second.send(&ipfix(number + 100, number == 0));
    }
    second.close();
    // What is in the socket when the end comes is read.
    let mut third = Exporter::start(to, free_port(), &own.cert, Some(&router)).connected();
    third.send(&ipfix(200, true));
    let report = collecting.end();
    drop(third.0.kill());
    let ledger = &report["ledger"];
    let expected = [
        ("connections.accepted", 3),
        ("connections.failed", 0),
        ("dtls.handshakes.begun", 5),
        ("dtls.handshakes.done", 3),
        ("dtls.handshakes.failed", 2),
        ("dtls.handshakes.evicted", 0),
        ("dtls.handshakes.waiting", 0),
        ("dtls.datagrams.stray", 1),
        ("dtls.messages", 26),
        ("datagrams.seen", 26),
        ("datagrams.ipfix", 26),
        ("datagrams.denied", 0),
        ("datagrams.dropped_by_socket", 0),
        ("sequence.lost", 1),
        ("sets.without_template", 0),
        ("exported.flows", 26),
    ];
    for (counter, value) in expected {
        assert_eq!(ledger[counter], value, "{counter}: {ledger:#}");
    }
    let number = |name: &str| ledger[name].as_u64().expect("a number");
    let fates = ["of_handshakes", "of_sessions", "stray"].map(|fate| number(&format!("dtls.datagrams.{fate}")));
    assert_eq!(number("datagrams.received"), fates.iter().sum::<u64>(), "{ledger:#}");
    assert_eq!(report["imbalances"], serde_json::json!([]));
    let found: Vec<String> = rows(&lake, "select src_ip, src_bytes, src_packets from flow order by src_ip")
        .iter()
        .map(|row| format!("{} {} {}", row["src_ip"].as_str().expect("text"), row["src_bytes"], row["src_packets"]))
        .collect();
    let numbers = (0..21).filter(|number| *number != 7).chain(100..105).chain([200]);
    let mut sent: Vec<String> = numbers.map(|number| format!("10.7.0.{number} 100 1")).collect();
    sent.sort();
    assert_eq!(found, sent);
}

#[test]
fn an_rsa_key_is_refused_with_what_to_use_instead() {
    if !has("openssl", "openssl") {
        return;
    }
    let dir = tempfile::tempdir().expect("folder");
    let [cert, key, lake] = ["c.pem", "k.pem", "lake"].map(|name| dir.path().join(name).to_string_lossy().into_owned());
    let subject = ["-subj", "/CN=collector", "-days", "2", "-keyout", &key, "-out", &cert];
    ran(Command::new("openssl").args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"]).args(subject));
    let listen = ["--listen", "127.0.0.1:0", "--listen-dtls", "127.0.0.1:0", "--duration", "1s", "--lake", &lake];
    let tried = spotter(["collect", "--tls-cert", &cert, "--tls-key", &key].into_iter().chain(listen));
    tried.failed(1, "k.pem cannot be used: DTLS needs an ECDSA key, P-256 or P-384");
}
