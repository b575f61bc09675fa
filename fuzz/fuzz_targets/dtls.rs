//! DTLS sessions of exporters whose datagrams are lost, doubled, changed and forged: every datagram has one fate, no message comes of
//! anyone who is not verified.
#![no_main]

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use capture::Nanos;
use capture::collect::dtls::{DtlsEnd, DtlsError, DtlsLimits, DtlsServer, DtlsSink, DtlsTls};
use dimpl::crypto::rust_crypto;
use dimpl::{Config, Dtls, DtlsCertificate, Output};

struct Made {
    /// With and without a certificate asked for.
    servers: [DtlsTls; 2],
    /// Of an exporter that is believed, and of one that is not.
    exporters: [DtlsCertificate; 2],
    config: Arc<Config>,
    at: Nanos,
}

static MADE: LazyLock<Made> = LazyLock::new(|| {
    let dir = std::env::temp_dir().join(format!("spotter-fuzz-dtls-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let made = ["collector", "known", "unknown"]
        .map(|name| rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate"));
    let file = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let [own, known, unknown] = &made;
    let (chain, key) = (file("c.pem", own.cert.pem()), file("k.pem", own.signing_key.serialize_pem()));
    let authority = file("a.pem", known.cert.pem());
    let load = |authority| DtlsTls::load(&chain, &key, authority).expect("a server");
    let servers = [load(Some(authority.as_path())), load(None)];
    std::fs::remove_dir_all(&dir).expect("removed");
    let exporters = [known, unknown].map(|made| DtlsCertificate {
        certificate: made.cert.der().to_vec(),
        private_key: made.signing_key.serialize_der(),
    });
    let config = Config::builder().with_crypto_provider(rust_crypto::default_provider()).build().expect("a client");
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    Made { servers, exporters, config: Arc::new(config), at: Nanos(since.as_nanos() as i64) }
});

#[derive(Default)]
struct Seen {
    to: Vec<(SocketAddr, Vec<u8>)>,
    open: Vec<u64>,
    begun: u64,
}

impl DtlsSink for Seen {
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.to.push((to, datagram.to_vec()));
    }
    fn opened(&mut self, session: u64, _: SocketAddr) -> bool {
        self.open.push(session);
        self.begun += 1;
        true
    }
    fn refused(&mut self, _: SocketAddr) {}
    fn message(&mut self, session: u64, _: SocketAddr, _: Nanos, _: &[u8]) {
        assert!(self.open.contains(&session));
    }
    fn closed(&mut self, session: u64, _: SocketAddr, _: &DtlsEnd) {
        assert!(self.open.contains(&session));
        self.open.retain(|open| *open != session);
    }
    fn failed(&mut self, _: SocketAddr, _: &DtlsError) {}
}

/// An exporter, and its datagrams on the way.
struct Exporter {
    dtls: Dtls,
    way: Vec<Vec<u8>>,
}

impl Exporter {
    fn new(is_13: bool, is_known: bool, now: Instant) -> Self {
        let certificate = MADE.exporters[usize::from(!is_known)].clone();
        let begin = if is_13 { Dtls::new_13 } else { Dtls::new_12 };
        let mut dtls = begin(Arc::clone(&MADE.config), certificate, now);
        dtls.set_active(true);
        drop(dtls.handle_timeout(now));
        Self { dtls, way: Vec::new() }
    }

    fn poll(&mut self) {
        let mut buffer = vec![0; 1 << 16];
        for _ in 0..64 {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(datagram) => self.way.push(datagram.to_vec()),
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [settings, rest @ ..] = data else { return };
    let mut rest = rest;
    let (asks, is_13, is_known) = (settings & 1 == 0, settings & 2 != 0, settings & 4 == 0);
    let mut now = Instant::now();
    let limits = DtlsLimits { max_sessions: 2, max_handshakes: 2, ..DtlsLimits::default() };
    let mut server = DtlsServer::new(MADE.servers[usize::from(!asks)].clone(), limits, now).expect("random numbers");
    let (mut seen, from) = (Seen::default(), SocketAddr::from(([192, 0, 2, 1], 4_740)));
    let mut exporter = Exporter::new(is_13, is_known, now);
    for _ in 0..256 {
        let [action, after @ ..] = rest else { break };
        rest = after;
        exporter.poll();
        let next = if exporter.way.is_empty() { None } else { Some(exporter.way.remove(0)) };
        let mut give = |from, datagram: &[u8]| server.handle_datagram(now, MADE.at, from, datagram, &mut seen);
        match (action % 8, next) {
            (0 | 1, Some(datagram)) => give(from, &datagram),
            (2, _) => {}
            (3, Some(datagram)) => {
                give(from, &datagram);
                give(from, &datagram);
            }
            (4, Some(mut datagram)) => {
                // Two bytes say where, one by what.
                let [high, low, change, after @ ..] = rest else { break };
                rest = after;
                let length = datagram.len();
                datagram[usize::from(u16::from_be_bytes([*high, *low])) % length] ^= change;
                give(from, &datagram);
            }
            (5, _) => {
                // A datagram of its own, of the address or of another.
                let [port, length, after @ ..] = rest else { break };
                let (datagram, after) = after.split_at(usize::from(*length).min(after.len()));
                rest = after;
                give(SocketAddr::from(([192, 0, 2, 1], 4_740 + u16::from(*port % 4))), datagram);
            }
            (6, _) => {
                now += Duration::from_millis(700);
                server.handle_timeout(now, MADE.at, &mut seen);
                drop(exporter.dtls.handle_timeout(now));
            }
            (7, _) => match action / 8 % 3 {
                0 => drop(exporter.dtls.send_application_data(b"a message")),
                1 => drop(exporter.dtls.close()),
                _ => exporter = Exporter::new(is_13, is_known, now),
            },
            (_, _) => {}
        }
        for (to, datagram) in std::mem::take(&mut seen.to) {
            if to == from {
                drop(exporter.dtls.handle_packet(&datagram));
            }
        }
        assert!(server.counters().closes(), "{:?}", server.counters());
    }
    assert!(!asks || is_known || seen.begun == 0, "nobody unknown is let in");
    server.close(MADE.at, &mut seen);
    assert!(seen.open.is_empty());
});
