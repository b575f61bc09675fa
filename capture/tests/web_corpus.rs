//! HTTP/1.x requests and responses and TLS ClientHellos (over TCP and QUIC, with JA4) of every capture of the shared test data, against tshark
//! on the same files. It takes minutes, so it is run by hand:
//! `cargo test -p capture --test web_corpus -- --ignored --nocapture`.
//!
//! Without the data (`SPOTTER_SHARED`, default `../shared` beside the workspace) or without tshark it says so
//! and checks nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use capture::file::CaptureReader;
use capture::{Body, Decoder, DecoderConfig, Message, Packet, Sink};
use sha2::{Digest as _, Sha256};

const EXPECTATIONS: &str = "../tests/expectations/web_messages.tsv";

/// What was said, by kind, and how often.
type Said = BTreeMap<(&'static str, String), i64>;

#[derive(Default)]
struct Web(Said);

impl Web {
    fn add(&mut self, kind: &'static str, what: String) {
        *self.0.entry((kind, what)).or_default() += 1;
    }
}

impl Sink for Web {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, message: Message) {
        match message.body {
            Body::HttpRequest(r) => {
                self.add("request", format!("{} {}", r.method, printable(&r.target)));
                if let Some(host) = r.host.as_ref().filter(|host| !host.is_empty()) {
                    self.add("host", printable(host));
                }
                if let Some(agent) = &r.user_agent {
                    self.add("agent", printable(agent));
                }
            }
            Body::HttpResponse(r) => self.add("response", r.status.to_string()),
            Body::TlsClientHello(h) => {
                if let Some(sni) = &h.sni {
                    self.add("sni", printable(sni));
                }
                let over = if message.pair.proto == 17 { "quic" } else { "hello" };
                self.add(over, format!("{:?}", h.alpn.unwrap_or_default()));
                h.ja4.into_iter().for_each(|ja4| self.add("ja4", ja4));
            }
            Body::Dns(_) | Body::Dhcp(_) => (),
        }
    }
}

/// Both sides show what is not ASCII in their own way.
fn printable(text: &str) -> String {
    let text: String = text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    text.trim().to_owned()
}

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("SPOTTER_SHARED")
        .map_or_else(|| Path::new("../../shared").to_owned(), PathBuf::from)
        .join("data");
    if !folder.join("pcap").is_dir() {
        println!("skipped: no test data in {} (set SPOTTER_SHARED)", folder.display());
        return None;
    }
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: no tshark");
        return None;
    }
    Some(folder)
}

fn ours(path: &Path) -> Said {
    let mut web = Web::default();
    let mut decoder = Decoder::new(DecoderConfig::default());
    let Ok(mut reader) = CaptureReader::open(path) else { return Said::new() };
    while let Ok(Some(frame)) = reader.next_frame() {
        decoder.handle_frame(&frame, &mut web);
    }
    decoder.finish(&mut web);
    web.0
}

/// What tshark shows of the frames that pass `filter`: for each frame its fields' values.
fn tshark(path: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<Vec<String>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-Y", filter, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]);
    command.args(["-E", "aggregator=\u{1f}"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| {
            line.split('\t')
                .map(|v| if v.is_empty() { Vec::new() } else { v.split('\u{1f}').map(str::to_owned).collect() })
                .collect()
        })
        .collect()
}

fn truth(path: &Path) -> Said {
    let mut web = Web::default();
    let filter = "(tcp || quic) && (http.request || http.response || tls.handshake.type == 1) && !icmp && !icmpv6";
    let fields = [
        "quic.version",
        "http.request.method",
        "http.request.uri",
        "http.host",
        "http.user_agent",
        "http.response.code",
        "tls.handshake.type",
        "tls.handshake.extensions_server_name",
        "tls.handshake.extensions_alpn_str",
        "tls.handshake.version",
        "tls.handshake.extensions.supported_version",
        "tls.handshake.ciphersuite",
        "tls.handshake.extension.type",
        "tls.handshake.sig_hash_alg",
    ];
    for frame in tshark(path, filter, &fields) {
        let [quic, methods, uris, hosts, agents, statuses, types, names, protocols, hello @ ..] = &frame[..] else {
            panic!("{frame:?}")
        };
        let over = if quic.is_empty() { "hello" } else { "quic" };
        for (i, method) in methods.iter().enumerate() {
            let uri = uris.get(i).map_or("", String::as_str);
            web.add("request", format!("{method} {}", printable(uri)));
        }
        hosts.iter().for_each(|host| web.add("host", printable(host)));
        agents.iter().for_each(|agent| web.add("agent", printable(agent)));
        // Interim responses are not messages of their own here.
        let is_final = |status: &&String| !status.starts_with('1') || status.as_str() == "101";
        statuses.iter().filter(is_final).for_each(|status| web.add("response", status.clone()));
        names.iter().for_each(|name| web.add("sni", printable(name)));
        match types.iter().filter(|t| *t == "1").count() {
            1 => web.add(over, format!("{:?}", protocols.join(","))),
            hellos => (0..hellos).for_each(|_| web.add(over, "\"\"".to_owned())),
        }
        if let (["1"], [legacy, versions, ciphers, extensions, signatures]) =
            (&types.iter().map(String::as_str).collect::<Vec<_>>()[..], hello)
        {
            let version = versions.iter().map(|v| number(v)).filter(|v| !is_grease(*v)).max();
            let version = version.unwrap_or_else(|| legacy.first().map_or(0, |v| number(v)));
            let lists = [ciphers, extensions, signatures].map(|list| list.iter().map(|v| number(v)).collect());
            web.add("ja4", ja4(over == "quic", version, protocols.first(), &lists));
        }
    }
    web.0
}

/// A number as tshark prints it, decimal or hexadecimal.
fn number(text: &str) -> u16 {
    text.strip_prefix("0x").map_or_else(|| text.parse().unwrap(), |digits| u16::from_str_radix(digits, 16).unwrap())
}

const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// JA4 by FoxIO's description, of the fields that tshark reads (4.0 has no field of its own): ciphers, extensions, signatures.
fn ja4(quic: bool, version: u16, alpn: Option<&String>, [ciphers, extensions, signatures]: &[Vec<u16>; 3]) -> String {
    let without = |list: &[u16]| list.iter().copied().filter(|v| !is_grease(*v)).collect::<Vec<_>>();
    let (mut ciphers, all, signatures) = (without(ciphers), without(extensions), without(signatures));
    let mut sorted: Vec<u16> = all.iter().copied().filter(|e| !matches!(e, 0 | 16)).collect();
    ciphers.sort_unstable();
    sorted.sort_unstable();
    let hex = |list: &[u16]| list.iter().map(|v| format!("{v:04x}")).collect::<Vec<_>>().join(",");
    let hash = |text: String| match text.as_str() {
        "" => "000000000000".to_owned(),
        text => Sha256::digest(text).iter().take(6).map(|b| format!("{b:02x}")).collect(),
    };
    let version = match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        _ => "00",
    };
    let alpn = alpn.filter(|name| !name.is_empty()).map_or("00".to_owned(), |name| {
        let (first, last) = (name.chars().next().unwrap(), name.chars().last().unwrap());
        format!("{first}{last}")
    });
    let signed = if signatures.is_empty() { hex(&sorted) } else { format!("{}_{}", hex(&sorted), hex(&signatures)) };
    format!(
        "{}{version}{}{:02}{:02}{alpn}_{}_{}",
        if quic { 'q' } else { 't' },
        if all.contains(&0) { 'd' } else { 'i' },
        ciphers.len().min(99),
        all.len().min(99),
        hash(hex(&ciphers)),
        hash(if sorted.is_empty() { String::new() } else { signed }),
    )
}

#[test]
#[ignore = "runs tshark over every capture: some minutes"]
fn web_messages_equal_tshark_s() {
    let Some(folder) = shared() else { return };
    let expected: BTreeSet<[String; 4]> = fs::read_to_string(EXPECTATIONS)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let [file, kind, side, what, reason] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("five columns: {line}")
            };
            assert!(!reason.is_empty(), "{line}");
            [file, kind, side, what].map(str::to_owned)
        })
        .collect();
    let only = std::env::var("SPOTTER_CAPTURE").ok();
    let (mut met, mut report, mut same) = (BTreeSet::new(), Vec::new(), BTreeMap::<_, i64>::new());
    let mut files: Vec<_> = fs::read_dir(folder.join("pcap")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for path in files {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if only.as_ref().is_some_and(|only| !file.contains(only.as_str())) {
            continue;
        }
        let (truth, ours) = (truth(&path), ours(&path));
        let keys: BTreeSet<_> = truth.keys().chain(ours.keys()).collect();
        for key in keys {
            let [t, o] = [&truth, &ours].map(|said| said.get(key).copied().unwrap_or(0));
            *same.entry(key.0).or_default() += t.min(o);
            let side = match t.cmp(&o) {
                std::cmp::Ordering::Equal => continue,
                std::cmp::Ordering::Greater => "missing",
                std::cmp::Ordering::Less => "extra",
            };
            let exact = [&file, key.0, side, &key.1].map(str::to_owned);
            let any = [&file, key.0, side, "*"].map(str::to_owned);
            match [&exact, &any].into_iter().find(|line| expected.contains(*line)) {
                Some(line) => drop(met.insert(line.clone())),
                None => report.push(format!("{file}\t{}\t{side}\t{}\ttshark {t} here {o}", key.0, key.1)),
            }
        }
    }
    println!("equal: {same:?}, {} known differences", met.len());
    assert!(report.is_empty(), "{} unexplained:\n{}", report.len(), report.join("\n"));
    let stale: Vec<_> = expected.difference(&met).collect();
    assert!(only.is_some() || stale.is_empty(), "expected and not met: {stale:?}");
}
