//! Exporters in memory: the library's own client, and what it sends changed, lost, doubled and forged.

use std::path::Path;
use std::sync::Arc;

use dimpl::crypto::rust_crypto;
use dimpl::{Config, Dtls, DtlsCertificate, Output};

use super::*;

#[derive(Default)]
struct Seen {
    sent: Vec<(SocketAddr, Vec<u8>)>,
    opened: Vec<u64>,
    messages: Vec<(u64, Vec<u8>)>,
    closed: Vec<(u64, DtlsEnd)>,
    failed: Vec<DtlsError>,
    refused: usize,
}

impl DtlsSink for Seen {
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.sent.push((to, datagram.to_vec()));
    }
    fn opened(&mut self, session: u64, _: SocketAddr) -> bool {
        self.opened.push(session);
        true
    }
    fn refused(&mut self, _: SocketAddr) {
        self.refused += 1;
    }
    fn message(&mut self, session: u64, _: SocketAddr, _: Nanos, message: &[u8]) {
        assert!(self.opened.contains(&session) && self.closed.iter().all(|(closed, _)| *closed != session));
        self.messages.push((session, message.to_vec()));
    }
    fn closed(&mut self, session: u64, _: SocketAddr, end: &DtlsEnd) {
        self.closed.push((session, end.clone()));
    }
    fn failed(&mut self, _: SocketAddr, error: &DtlsError) {
        self.failed.push(error.clone());
    }
}

type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

fn made(name: &str) -> Made {
    rcgen::generate_simple_self_signed([name.to_owned()]).unwrap()
}

fn load(own: &Made, authority: Option<&Made>) -> DtlsTls {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (cert, key) = (file("c.pem", own.cert.pem()), file("k.pem", own.signing_key.serialize_pem()));
    let authority = authority.map(|made| file("a.pem", made.cert.pem()));
    DtlsTls::load(&cert, &key, authority.as_deref()).unwrap()
}

/// A server, and the time.
struct Net {
    server: DtlsServer,
    seen: Seen,
    now: Instant,
}

/// An exporter.
struct Client {
    dtls: Dtls,
    from: SocketAddr,
    is_connected: bool,
}

fn address(n: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, (n % 251) as u8], 1_024 + n))
}

impl Client {
    fn new(is_13: bool, own: &Made, from: SocketAddr, now: Instant) -> Self {
        let config = Config::builder().with_crypto_provider(rust_crypto::default_provider()).build().unwrap();
        let certificate =
            DtlsCertificate { certificate: own.cert.der().to_vec(), private_key: own.signing_key.serialize_der() };
        let begin = if is_13 { Dtls::new_13 } else { Dtls::new_12 };
        let mut dtls = begin(Arc::new(config), certificate, now);
        dtls.set_active(true);
        dtls.handle_timeout(now).unwrap();
        Self { dtls, from, is_connected: false }
    }

    fn poll(&mut self) -> Vec<Vec<u8>> {
        let (mut sent, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(datagram) => sent.push(datagram.to_vec()),
                Output::Connected => self.is_connected = true,
                Output::Timeout(_) => return sent,
                _ => {}
            }
        }
    }
}

impl Net {
    fn new(tls: DtlsTls, limits: DtlsLimits) -> Self {
        let now = Instant::now();
        Self { server: DtlsServer::new(tls, limits, now).unwrap(), seen: Seen::default(), now }
    }

    fn at() -> Nanos {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Nanos(since.as_nanos() as i64)
    }

    fn give(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.server.handle_datagram(self.now, Self::at(), from, datagram, &mut self.seen);
        assert!(self.server.counters().closes(), "{:?}", self.server.counters());
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.server.handle_timeout(self.now, Self::at(), &mut self.seen);
        assert!(self.server.counters().closes(), "{:?}", self.server.counters());
    }

    /// Carries what both have to say until nothing more comes. `copies` of each datagram are carried, by its number.
    fn carry(&mut self, client: &mut Client, mut copies: impl FnMut(usize) -> usize) {
        let mut number = 0;
        loop {
            let sent = client.poll();
            for datagram in &sent {
                for _ in 0..copies(number) {
                    self.give(client.from, datagram);
                }
                number += 1;
            }
            let from = client.from;
            let (to, others) = std::mem::take(&mut self.seen.sent).into_iter().partition(|(to, _)| *to == from);
            self.seen.sent = others;
            let to: Vec<(SocketAddr, Vec<u8>)> = to;
            for (_, datagram) in &to {
                for _ in 0..copies(number) {
                    drop(client.dtls.handle_packet(datagram));
                }
                number += 1;
            }
            if sent.is_empty() && to.is_empty() {
                return;
            }
        }
    }

    fn connect(&mut self, is_13: bool, own: &Made, n: u16) -> Client {
        let mut client = Client::new(is_13, own, address(n), self.now);
        self.carry(&mut client, |_| 1);
        client
    }

    fn send(&mut self, client: &mut Client, message: &[u8]) {
        client.dtls.send_application_data(message).unwrap();
        self.carry(client, |_| 1);
    }
}

#[test]
fn messages_come_through_and_a_close_ends_the_session() {
    let (own, exporter) = (made("collector"), made("exporter"));
    for (is_13, authority) in [(false, None), (false, Some(&exporter)), (true, None), (true, Some(&exporter))] {
        let mut net = Net::new(load(&own, authority), DtlsLimits::default());
        let mut client = net.connect(is_13, &exporter, 1);
        assert!(client.is_connected && net.seen.opened == [0], "{:?} {:?}", net.seen.failed, net.server.counters());
        let long = vec![7; 16_000];
        for message in [&b"one"[..], &long, b"three"] {
            net.send(&mut client, message);
        }
        let expected = [b"one".to_vec(), long, b"three".to_vec()].map(|message| (0, message));
        assert_eq!(net.seen.messages, expected);
        client.dtls.close().unwrap();
        net.carry(&mut client, |_| 1);
        assert_eq!(net.seen.closed, [(0, DtlsEnd::Closed)]);
        let counters = net.server.counters();
        assert_eq!((counters.begun, counters.done, counters.messages, counters.stray), (1, 1, 3, 0));
        // Nothing is remembered of the first ClientHello.
        assert_eq!(counters.cookies_sent, u64::from(!is_13));
        assert!(net.server.half_open.is_empty() && net.server.established.is_empty());
    }
}

#[test]
fn nothing_is_taken_of_an_exporter_whose_certificate_is_of_someone_else() {
    let (own, exporter, stranger) = (made("collector"), made("exporter"), made("exporter"));
    for is_13 in [false, true] {
        let mut net = Net::new(load(&own, Some(&exporter)), DtlsLimits::default());
        let mut client = Client::new(is_13, &stranger, address(1), net.now);
        client.dtls.send_application_data(b"early").unwrap();
        net.carry(&mut client, |_| 1);
        drop(client.dtls.send_application_data(b"late"));
        net.carry(&mut client, |_| 1);
        assert!(matches!(net.seen.failed[..], [DtlsError::Certificate(_)]), "{:?}", net.seen.failed);
        assert!(net.seen.opened.is_empty() && net.seen.messages.is_empty());
        assert_eq!((net.server.counters().failed, net.server.counters().done), (1, 0));
        // It hears so in the clear, where it can.
        assert!(is_13 || !client.is_connected);
    }
}

#[test]
fn a_certificate_is_not_believed_after_its_time() {
    let (own, key) = (made("collector"), rcgen::KeyPair::generate().unwrap());
    let mut params = rcgen::CertificateParams::new(["exporter".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2_020, 1, 1);
    let exporter = Made { cert: params.self_signed(&key).unwrap(), signing_key: key };
    let mut net = Net::new(load(&own, Some(&exporter)), DtlsLimits::default());
    net.connect(false, &exporter, 1);
    assert!(
        matches!(&net.seen.failed[..], [DtlsError::Certificate(why)] if why.contains("xpired")),
        "{:?}",
        net.seen.failed
    );
}

#[test]
fn datagrams_may_be_lost_and_come_twice() {
    let (own, exporter) = (made("collector"), made("exporter"));
    for is_13 in [false, true] {
        // Each datagram of the handshake lost once.
        for lost in 0..12 {
            let mut net = Net::new(load(&own, Some(&exporter)), DtlsLimits::default());
            let mut client = Client::new(is_13, &exporter, address(1), net.now);
            net.carry(&mut client, |number| usize::from(number != lost));
            for _ in 0..10 {
                net.pass(Duration::from_millis(1_300));
                client.dtls.handle_timeout(net.now).unwrap();
                net.carry(&mut client, |_| 1);
            }
            assert!(
                client.is_connected,
                "13: {is_13}, lost: {lost}, {:?} {:?}",
                net.seen.failed,
                net.server.counters()
            );
            net.send(&mut client, b"message");
            assert_eq!(net.seen.messages.last().unwrap().1, b"message", "13: {is_13}, lost: {lost}");
        }
        let mut net = Net::new(load(&own, Some(&exporter)), DtlsLimits::default());
        let mut client = Client::new(is_13, &exporter, address(1), net.now);
        net.carry(&mut client, |_| 2);
        for message in [b"one", b"two"] {
            client.dtls.send_application_data(message).unwrap();
            net.carry(&mut client, |_| 2);
        }
        assert_eq!(net.seen.messages, [(0, b"one".to_vec()), (0, b"two".to_vec())]);
        assert_eq!(net.seen.opened, [0]);
        // Of three, the second is lost and the last two change places.
        client.dtls.send_application_data(b"3").unwrap();
        client.dtls.send_application_data(b"4").unwrap();
        let first = client.poll();
        client.dtls.send_application_data(b"5").unwrap();
        let second = client.poll();
        for datagram in second.iter().chain(&first) {
            net.give(client.from, datagram);
        }
        assert_eq!(net.seen.messages.len(), 5);
    }
}

#[test]
fn forged_client_hellos_leave_nothing_behind_or_little() {
    let (own, exporter) = (made("collector"), made("exporter"));
    let limits = DtlsLimits { max_handshakes: 8, ..DtlsLimits::default() };
    let mut net = Net::new(load(&own, Some(&exporter)), limits);
    let mut client = net.connect(false, &exporter, 1);
    let flood = |is_13: bool, net: &Net| Client::new(is_13, &exporter, address(0), net.now).poll().remove(0);
    let (old, new) = (flood(false, &net), flood(true, &net));
    for n in 2..2_000 {
        net.give(address(n), &old);
    }
    assert_eq!((net.server.counters().cookies_sent, net.server.counters().begun), (1_999, 1));
    assert!(net.seen.sent.iter().all(|(_, datagram)| datagram.len() == 60 && datagram.len() < old.len()));
    for n in 2..500 {
        net.give(address(n), &new);
        assert!(net.server.half_open.len() <= limits.max_handshakes);
    }
    let counters = net.server.counters();
    assert_eq!((counters.begun, counters.waiting, counters.evicted), (499, 8, 490));
    // They are in nobody's way: the session goes on, and another may begin.
    net.send(&mut client, b"message");
    let mut second = net.connect(false, &exporter, 3_000);
    net.send(&mut second, b"another");
    assert_eq!(net.seen.messages, [(0, b"message".to_vec()), (1, b"another".to_vec())]);
    net.pass(limits.handshake);
    assert_eq!((net.server.counters().waiting, net.seen.closed.len()), (0, 0));
}

#[test]
fn a_cookie_is_of_one_address_and_of_its_time() {
    let (own, exporter) = (made("collector"), made("exporter"));
    let mut net = Net::new(load(&own, None), DtlsLimits::default());
    let mut client = Client::new(false, &exporter, address(1), net.now);
    net.give(address(1), &client.poll()[0]);
    let (_, cookie) = net.seen.sent.pop().unwrap();
    client.dtls.handle_packet(&cookie).unwrap();
    let with_cookie = client.poll().remove(0);
    net.give(address(2), &with_cookie);
    assert_eq!((net.server.counters().cookies_sent, net.server.counters().begun), (2, 0));
    net.now += Duration::from_secs(120);
    net.give(address(1), &with_cookie);
    assert_eq!((net.server.counters().cookies_sent, net.server.counters().begun), (3, 0));
    net.now -= Duration::from_secs(60);
    net.give(address(1), &with_cookie);
    assert_eq!((net.server.counters().cookies_sent, net.server.counters().begun), (3, 1));
}

#[test]
fn an_exporter_that_begins_anew_takes_the_place_of_its_session_and_nobody_else_does() {
    let (own, exporter, stranger) = (made("collector"), made("exporter"), made("stranger"));
    for is_13 in [false, true] {
        let mut net = Net::new(load(&own, Some(&exporter)), DtlsLimits::default());
        let mut before = net.connect(is_13, &exporter, 1);
        net.send(&mut before, b"1");
        // Forged, in both versions, without an answer.
        for forged in [false, true] {
            let hello = Client::new(forged, &stranger, address(1), net.now).poll().remove(0);
            net.give(address(1), &hello);
            net.seen.sent.clear();
            net.send(&mut before, b"2");
        }
        // Someone at the same address, whom the authority does not know.
        net.pass(DtlsLimits::default().handshake);
        net.connect(is_13, &stranger, 1);
        net.send(&mut before, b"3");
        let messages = [b"1", b"2", b"2", b"3"].map(|message| (0, message.to_vec()));
        assert_eq!((&net.seen.messages[..], &net.seen.closed[..]), (&messages[..], &[][..]));
        let mut after = net.connect(is_13, &exporter, 1);
        assert_eq!(net.seen.closed, [(0, DtlsEnd::Replaced)], "13: {is_13}, {:?}", net.seen.failed);
        net.send(&mut after, b"4");
        assert_eq!(net.seen.messages.last(), Some(&(1, b"4".to_vec())));
    }
}

#[test]
fn sessions_are_bounded_and_end_when_silent() {
    let (own, exporter) = (made("collector"), made("exporter"));
    let limits = DtlsLimits { max_sessions: 2, ..DtlsLimits::default() };
    let mut net = Net::new(load(&own, None), limits);
    let mut clients = [1, 2, 3].map(|n| net.connect(n == 2, &exporter, n));
    assert_eq!((net.seen.opened.len(), net.seen.refused, net.server.established.len()), (2, 1, 2));
    net.pass(limits.idle / 2);
    net.send(&mut clients[1], b"message");
    net.pass(limits.idle / 2);
    assert_eq!(net.seen.closed, [(0, DtlsEnd::Idle)]);
    net.server.close(Net::at(), &mut net.seen);
    assert_eq!(net.seen.closed.len(), 2);
    assert!(net.server.counters().closes());
}

/// Numbers without a pattern.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }
}

#[test]
fn noise_and_damaged_records_end_no_session_and_bring_no_message() {
    let (own, exporter) = (made("collector"), made("exporter"));
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for is_13 in [false, true] {
        let mut net = Net::new(load(&own, Some(&exporter)), DtlsLimits::default());
        let mut client = Client::new(is_13, &exporter, address(1), net.now);
        // What a client says, to be damaged.
        let mut said = Vec::new();
        for _ in 0..8 {
            let sent = client.poll();
            for datagram in &sent {
                net.give(address(1), datagram);
            }
            said.extend(sent);
            for (_, datagram) in std::mem::take(&mut net.seen.sent) {
                client.dtls.handle_packet(&datagram).unwrap();
                said.push(datagram);
            }
        }
        net.send(&mut client, b"message");
        client.dtls.send_application_data(b"kept back").unwrap();
        let kept_back = client.poll();
        said.extend(kept_back.clone());
        for round in 0..20_000 {
            let mut datagram = said[noise.next(said.len())].clone();
            match round % 4 {
                0 => datagram.truncate(noise.next(datagram.len())),
                1 => datagram = (0..noise.next(200)).map(|_| noise.next(256) as u8).collect(),
                _ => {
                    for _ in 0..=noise.next(4) {
                        let at = noise.next(datagram.len());
                        datagram[at] = noise.next(256) as u8;
                    }
                }
            }
            // What came out as it was is no forgery.
            if said.contains(&datagram) {
                continue;
            }
            // Of the session, of a handshake, and of nobody.
            net.give(address(1 + noise.next(3) as u16), &datagram);
            net.pass(Duration::from_millis(1));
        }
        assert_eq!((net.seen.messages.len(), &net.seen.closed[..]), (1, &[][..]), "13: {is_13}");
        assert!(net.seen.failed.iter().all(|error| *error != DtlsError::Library), "{:?}", net.seen.failed);
        for datagram in &kept_back {
            net.give(address(1), datagram);
        }
        assert_eq!(net.seen.messages.len(), 2, "13: {is_13}");
    }
}

#[test]
fn only_ecdsa_keys_that_fit_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (own, other) = (made("collector"), made("other"));
    let (cert, key) = (file("c.pem", own.cert.pem()), file("other.pem", other.signing_key.serialize_pem()));
    let refused = |cert: &Path, key: &Path| DtlsTls::load(cert, key, None).unwrap_err().to_string();
    assert!(refused(&cert, &key).contains("c.pem cannot be used"), "{}", refused(&cert, &key));
    let edwards = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let edwards = file("e.pem", edwards.serialize_pem());
    assert!(refused(&cert, &edwards).ends_with("e.pem cannot be used: DTLS needs an ECDSA key, P-256 or P-384"));
    assert!(refused(&edwards, &edwards).contains("e.pem holds no certificate"));
    let larger = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let params = rcgen::CertificateParams::new(["collector".to_owned()]).unwrap();
    let larger = Made { cert: params.self_signed(&larger).unwrap(), signing_key: larger };
    let mut net = Net::new(load(&larger, Some(&larger)), DtlsLimits::default());
    for (n, is_13) in [false, true].into_iter().enumerate() {
        assert!(net.connect(is_13, &larger, n as u16).is_connected, "{:?}", net.seen.failed);
    }
}
