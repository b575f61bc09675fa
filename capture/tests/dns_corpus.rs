//! Every DNS message of the shared test data, field by field, against what tshark read.
//!
//! The data is not part of the repository. Where it is absent the test says so and checks nothing.
//! `SPOTTER_SHARED` names its folder; the default is `../shared` beside the workspace.
//!
//! The truth has a row for each frame, with the values of all its messages and sections in one list per
//! field. So lists of a frame with one message must begin with ours (we do not keep the additional
//! section), and ours must be contained, in order, in those of a frame with several.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use capture::file::CaptureReader;
use capture::{Body, Decoder, DecoderConfig, DnsMessage, DnsTransport, Message, Packet, ResourceRecord, Sink};

const EXPECTATIONS: &str = "../tests/expectations/dns_messages.tsv";

#[derive(Default)]
struct Messages {
    frame: u64,
    /// Frames by time: a message may be given out later than with the frame that brought its last byte.
    times: BTreeMap<i64, u64>,
    now: i64,
    dns: BTreeMap<u64, Vec<DnsMessage>>,
}

impl Sink for Messages {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, message: Message) {
        if let Body::Dns(dns) = message.body {
            let frame = if message.ts.0 == self.now { self.frame } else { self.times[&message.ts.0] };
            self.dns.entry(frame).or_default().push(*dns);
        }
    }
}

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("SPOTTER_SHARED")
        .map_or_else(|| Path::new("../../shared").to_owned(), PathBuf::from)
        .join("data");
    if folder.join("truth/dns").is_dir() {
        return Some(folder);
    }
    println!("skipped: no test data in {} (set SPOTTER_SHARED)", folder.display());
    None
}

fn read(path: &Path) -> Messages {
    let mut messages = Messages::default();
    let mut decoder = Decoder::new(DecoderConfig::default());
    let mut reader = CaptureReader::open(path).unwrap();
    while let Ok(Some(frame)) = reader.next_frame() {
        messages.frame += 1;
        messages.now = frame.ts.map_or(messages.now, |ts| ts.0);
        messages.times.entry(messages.now).or_insert(messages.frame);
        decoder.handle_frame(&frame, &mut messages);
    }
    messages.now = i64::MIN;
    decoder.finish(&mut messages);
    messages
}

/// The truth's rows: frame number to field to values.
fn truth(path: &Path) -> Vec<(u64, BTreeMap<String, Vec<String>>)> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let mut lines = text.lines();
    let header: Vec<_> = lines.next().unwrap().split('\t').map(str::to_owned).collect();
    lines
        .map(|line| {
            let values = line.split('\t').map(|v| match v {
                "" => Vec::new(),
                v => v.split('|').map(str::to_owned).collect(),
            });
            let row: BTreeMap<_, _> = header.iter().cloned().zip(values).collect();
            (row["frame.number"][0].parse().unwrap(), row)
        })
        .collect()
}

/// tshark writes names without escapes, the root in its own way, and replaces octets it cannot show.
fn as_tshark(name: &str) -> String {
    if name == "." {
        return "<root>".to_owned();
    }
    let (mut out, mut rest) = (String::new(), name);
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.get(..3).and_then(|d| d.parse::<u8>().ok()) {
            Some(octet) => {
                out.push(if (0x20..0x7f).contains(&octet) { char::from(octet) } else { '?' });
                rest = &rest[3..];
            }
            None => {
                out.extend(rest.chars().next());
                rest = &rest[1..];
            }
        }
    }
    out
}

/// A name of the truth in the same form, or nothing where the octets cannot be told from what it shows.
fn comparable(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    let plain =
        !lower.starts_with("<name ") && !lower.contains('\\') && lower.chars().all(|c| (' '..='~').contains(&c));
    plain.then_some(lower)
}

fn same_name(ours: &str, truth: &str) -> bool {
    comparable(truth).is_none_or(|truth| as_tshark(ours) == truth)
}

/// Values of the records of a type, one a string.
fn values(records: &[&ResourceRecord], rtype: u16) -> Vec<String> {
    // Updates name types without data.
    let of_type = records.iter().filter(|r| r.rtype == rtype && !r.data.is_empty());
    match rtype {
        15 => of_type.filter_map(|r| r.data.split_once(' ')).map(|(_, name)| name.to_owned()).collect(),
        16 => of_type.flat_map(|r| strings(&r.data)).collect(),
        _ => of_type.map(|r| r.data.clone()).collect(),
    }
}

/// The strings of a TXT record.
fn strings(data: &str) -> Vec<String> {
    let (mut out, mut quoted, mut chars) = (Vec::new(), None::<String>, data.chars());
    while let Some(c) = chars.next() {
        match (c, &mut quoted) {
            ('"', None) => quoted = Some(String::new()),
            ('"', Some(_)) => out.extend(quoted.take()),
            ('\\', Some(text)) => text.extend(['\\', chars.next().unwrap()]),
            (c, Some(text)) => text.push(c),
            (_, None) => (),
        }
    }
    out
}

/// Types as tshark lists them: those of the bit maps, and the one a signature covers, among the rest.
fn types(records: &[&ResourceRecord]) -> Vec<Option<u16>> {
    let mut out = Vec::new();
    for r in records {
        out.push(Some(r.rtype));
        let listed = match r.rtype {
            47 => r.data.split(' ').count() - 1,
            50 => r.data.split(' ').count().saturating_sub(5),
            _ => 0,
        };
        out.extend(std::iter::repeat_n(None, listed));
    }
    out
}

/// Whether `ours` stands at the beginning of `truth`, or anywhere in it in this order.
fn contained<O, T>(ours: &[O], truth: &[T], anywhere: bool, same: impl Fn(&O, &T) -> bool) -> bool {
    let mut truth = truth.iter();
    ours.iter().all(|o| if anywhere { truth.any(|t| same(o, t)) } else { truth.next().is_some_and(|t| same(o, t)) })
}

fn number(text: &str) -> u64 {
    text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16)).unwrap()
}

/// The message without the entry that the capture or the message's end cuts, which tshark leaves out.
fn without_cut_entry(message: &DnsMessage) -> DnsMessage {
    let mut m = message.clone();
    if matches!(m.damage, Some("truncated" | "ends_early")) {
        // Where it is cut within the authority section, the answers are whole, and so on.
        let _ = m.authorities.pop().is_some() || m.answers.pop().is_some() || m.questions.pop().is_some();
    }
    m
}

/// The fields in which a frame differs, with both values; the cut entry may be there or not.
fn differences(row: &BTreeMap<String, Vec<String>>, ours: &[DnsMessage]) -> Vec<(&'static str, String)> {
    let differences = differences_of(row, ours);
    if differences.is_empty() {
        return differences;
    }
    let whole: Vec<_> = ours.iter().map(without_cut_entry).collect();
    let without = differences_of(row, &whole);
    if without.is_empty() { without } else { differences }
}

fn differences_of(row: &BTreeMap<String, Vec<String>>, ours: &[DnsMessage]) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    let mut check = |field: &'static str, same: bool, detail: String| {
        if !same {
            out.push((field, detail));
        }
    };
    let several = ours.len() > 1;
    let mut header = |field: &'static str, ours: Vec<u64>| {
        let truth: Vec<u64> = row[field].iter().map(|v| number(v)).collect();
        // Updates and other opcodes have their own names for the counts, and for tshark no tc.
        if !truth.is_empty() {
            check(field, truth == ours, format!("{truth:?} here {ours:?}"));
        }
    };
    let all = |of: fn(&DnsMessage) -> u64| ours.iter().map(of).collect();
    header("dns.id", all(|m| m.id.into()));
    header("dns.flags.response", all(|m| m.is_response().into()));
    header("dns.flags.opcode", all(|m| m.opcode().into()));
    header("dns.flags.truncated", all(|m| (m.flags >> 9 & 1).into()));
    let rcodes = ours.iter().filter(|m| m.is_response()).map(|m| u64::from(m.rcode & 0xf)).collect();
    header("dns.flags.rcode", rcodes);
    if ours.iter().all(|m| m.damage.is_none_or(|d| d == "trailing_bytes")) {
        header("dns.count.queries", all(|m| m.questions.len() as u64));
        header("dns.count.answers", all(|m| m.answers.len() as u64));
        header("dns.count.auth_rr", all(|m| m.authorities.len() as u64));
    }
    header("dns.count.add_rr", all(|m| m.additional_count.into()));

    let questions: Vec<_> = ours.iter().flat_map(|m| m.questions.iter().map(move |q| (m, q))).collect();
    let names: Vec<_> = questions.iter().map(|(_, q)| q.name.as_str()).collect();
    let same = names.len() == row["dns.qry.name"].len()
        && contained(&names, &row["dns.qry.name"], false, |o, t| same_name(o, t));
    check("dns.qry.name", same, format!("{:?} here {names:?}", row["dns.qry.name"]));
    let qtypes: Vec<_> = questions.iter().map(|(_, q)| u64::from(q.qtype)).collect();
    let truth: Vec<_> = row["dns.qry.type"].iter().map(|v| number(v)).collect();
    check("dns.qry.type", qtypes == truth, format!("{truth:?} here {qtypes:?}"));
    // In mDNS the highest bit is not the class's (RFC 6762 18.12), and tshark shows it on its own.
    let class = |m: &DnsMessage, class: u16| match m.transport {
        DnsTransport::Mdns => u64::from(class & 0x7fff),
        _ => u64::from(class),
    };
    let qclasses: Vec<_> = questions.iter().map(|(m, q)| class(m, q.qclass)).collect();
    let truth: Vec<_> = row["dns.qry.class"].iter().map(|v| number(v)).collect();
    check("dns.qry.class", qclasses == truth, format!("{truth:?} here {qclasses:?}"));

    let records: Vec<_> = ours.iter().flat_map(|m| m.answers.iter().chain(&m.authorities)).collect();
    // The owner of SRV has a field of its own.
    let names: Vec<_> = records.iter().filter(|r| r.rtype != 33).map(|r| r.name.as_str()).collect();
    let same = contained(&names, &row["dns.resp.name"], several, |o, t| same_name(o, t));
    check("dns.resp.name", same, format!("{:?} here {names:?}", row["dns.resp.name"]));
    let truth: Vec<_> = row["dns.resp.type"].iter().map(|v| number(v)).collect();
    let ours_types = types(&records);
    let same = contained(&ours_types, &truth, several, |o, t| o.is_none_or(|o| u64::from(o) == *t));
    check("dns.resp.type", same, format!("{truth:?} here {ours_types:?}"));
    // OPT has no TTL; it does not stand in our sections, or it would be an error worth seeing.
    let truth: Vec<_> = row["dns.resp.ttl"].iter().map(|v| number(v)).collect();
    let ttls: Vec<_> = records.iter().map(|r| u64::from(r.ttl)).collect();
    check("dns.resp.ttl", contained(&ttls, &truth, several, |o, t| o == t), format!("{truth:?} here {ttls:?}"));
    for (field, rtype) in [
        ("dns.a", 1),
        ("dns.aaaa", 28),
        ("dns.cname", 5),
        ("dns.ns", 2),
        ("dns.ptr.domain_name", 12),
        ("dns.mx.mail_exchange", 15),
        ("dns.txt", 16),
    ] {
        let values = values(&records, rtype);
        let same = match rtype {
            1 | 28 => contained(&values, &row[field], several, |o, t| o == t),
            // The truth's separator may stand within a text, and it shows other octets than ASCII in its own way.
            16 if several || values.join("|").contains('\\') => true,
            16 => row[field].join("|").starts_with(&values.join("|")),
            _ => contained(&values, &row[field], several, |o, t| same_name(o, t)),
        };
        check(field, same, format!("{:?} here {values:?}", row[field]));
    }
    out
}

/// A frame whose DNS is not a message on the wire, but part of something else.
fn is_quoted(row: &BTreeMap<String, Vec<String>>) -> bool {
    let protocols = row["frame.protocols"].join("");
    ["icmp", "quic", "tls"].iter().any(|p| protocols.contains(p))
}

#[test]
fn dns_messages_equal_the_truth() {
    let Some(folder) = shared() else { return };
    let expected: BTreeSet<_> = fs::read_to_string(EXPECTATIONS)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let [file, frame, field, reason] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("four columns: {line}")
            };
            assert!(!reason.is_empty(), "{line}");
            (file.to_owned(), frame.to_owned(), field.to_owned())
        })
        .collect();
    let (mut found, mut report, mut captures, mut frames, mut messages) = (BTreeSet::new(), Vec::new(), 0, 0, 0);
    let mut truths: Vec<_> = fs::read_dir(folder.join("truth/dns")).unwrap().map(|e| e.unwrap().path()).collect();
    truths.sort();
    for path in truths {
        let file = path.file_name().unwrap().to_str().unwrap().strip_suffix(".dns.tsv").unwrap().to_owned();
        let capture = folder.join("pcap").join(&file);
        if !capture.exists() {
            continue;
        }
        captures += 1;
        let mut ours = read(&capture).dns;
        let mut differs = |frame: u64, field: &str, detail: String| {
            let any = (file.clone(), "*".to_owned(), field.to_owned());
            let key = if expected.contains(&any) { any } else { (file.clone(), frame.to_string(), field.to_owned()) };
            if !expected.contains(&key) {
                report.push(format!("{file}\t{frame}\t{field}\t{}", detail.chars().take(600).collect::<String>()));
            }
            found.insert(key);
        };
        for (frame, row) in truth(&path) {
            let of_frame = ours.remove(&frame);
            match of_frame {
                None if is_quoted(&row) => (),
                None => differs(frame, "message", "not here".to_owned()),
                Some(of_frame) => {
                    (frames, messages) = (frames + 1, messages + of_frame.len());
                    for (field, detail) in differences(&row, &of_frame) {
                        differs(frame, field, detail);
                    }
                }
            }
        }
        for (frame, left) in ours {
            differs(frame, "message", format!("not in the truth: {left:?}"));
        }
    }
    println!("{captures} captures, {frames} frames, {messages} messages, {} known differences", expected.len());
    let stale: Vec<_> = expected.difference(&found).collect();
    assert!(stale.is_empty(), "expected and not met: {stale:?}");
    assert!(report.is_empty(), "{} unexplained:\n{}", report.len(), report.join("\n"));
}
