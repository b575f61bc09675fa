//! Our DNS reader against the `domain` crate: what that one reads without complaint, we read the same.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

mod conversation;

use capture::app::{AppConfig, AppDecoder};
use capture::{AddressPair, Body, DnsMessage, Fragment, Ip, IpVersion, Link, Nanos, Packet, Tcp};
use conversation::Seen;
use domain::base::iana::Rtype;
use domain::base::name::{ParsedName, ToLabelIter};
use domain::base::{Message, RecordSection};
use domain::rdata::{A, Aaaa, Cname, Mx, Srv, Txt};
use proptest::prelude::*;

fn read(message: &[u8]) -> Option<DnsMessage> {
    let mut seen = Seen::default();
    let packet = Packet {
        ts: Nanos(0),
        pair: AddressPair {
            src: Ip::v4([10, 0, 0, 1]),
            dst: Ip::v4([10, 0, 0, 2]),
            src_port: 53,
            dst_port: 40_000,
            proto: 17,
            version: IpVersion::V4,
        },
        ip_bytes: 28 + message.len() as u32,
        payload_bytes: message.len() as u32,
        tcp: Tcp::default(),
        tos: 0,
        fragment: Fragment::Whole,
        link: Link::default(),
        tunnel: None,
        service: None,
    };
    AppDecoder::new(AppConfig::default()).handle_payload(&packet, message, 100, &mut seen);
    seen.0.pop().map(|m| match m.body {
        Body::Dns(dns) => *dns,
        other => panic!("{other:?}"),
    })
}

/// RFC 4343 text of a name as the other library reads it.
fn text(name: &ParsedName<&[u8]>) -> String {
    let labels = name.iter_labels().filter(|label| !label.is_root());
    let labels: Vec<_> = labels
        .map(|label| {
            let octets = label.iter().map(|b| match b.to_ascii_lowercase() {
                b @ (b'.' | b'\\') => format!("\\{}", char::from(b)),
                b @ 0x21..=0x7e => char::from(b).to_string(),
                b => format!("\\{b:03}"),
            });
            octets.collect::<String>()
        })
        .collect();
    if labels.is_empty() { ".".to_owned() } else { labels.join(".") }
}

/// Name, type, TTL, and data of the types whose text is told by their values alone.
type Entry = (String, u16, u32, Option<String>);

/// `None` if the other library refuses anything.
fn other_records(section: RecordSection<'_, [u8]>) -> Option<Vec<Entry>> {
    let mut out = Vec::new();
    for record in section {
        let record = record.ok()?;
        let owner = text(&record.owner());
        let (rtype, ttl) = (record.rtype(), record.ttl().as_secs());
        let data = match rtype {
            Rtype::A => Some(record.to_record::<A>().ok()??.data().addr().to_string()),
            Rtype::AAAA => Some(record.to_record::<Aaaa>().ok()??.data().addr().to_string()),
            Rtype::CNAME => Some(text(record.to_record::<Cname<_>>().ok()??.data().cname())),
            Rtype::MX => {
                let record = record.to_record::<Mx<_>>().ok()??;
                Some(format!("{} {}", record.data().preference(), text(record.data().exchange())))
            }
            Rtype::SRV => {
                let record = record.to_record::<Srv<_>>().ok()??;
                let srv = record.data();
                Some(format!("{} {} {} {}", srv.priority(), srv.weight(), srv.port(), text(srv.target())))
            }
            Rtype::TXT => {
                let record = record.to_record::<Txt<_>>().ok()??;
                let quote = |text: &[u8]| {
                    let octets = text.iter().map(|&b| match b {
                        b'"' | b'\\' => format!("\\{}", char::from(b)),
                        b' '..=b'~' => char::from(b).to_string(),
                        b => format!("\\{b:03}"),
                    });
                    format!("\"{}\"", octets.collect::<String>())
                };
                Some(record.data().iter().map(quote).collect::<Vec<_>>().join(" "))
            }
            _ => None,
        };
        out.push((owner, rtype.to_int(), ttl, data));
    }
    Some(out)
}

fn same(message: &[u8]) -> Option<()> {
    let other = Message::from_slice(message).ok()?;
    let ours = read(message).expect("it has a header");
    let questions: Vec<_> = other.question().map(|q| q.ok()).collect::<Option<_>>()?;
    let questions: Vec<_> =
        questions.iter().map(|q| (text(q.qname()), q.qtype().to_int(), q.qclass().to_int())).collect();
    let ours_questions: Vec<_> = ours.questions.iter().map(|q| (q.name.clone(), q.qtype, q.qclass)).collect();
    assert_eq!(ours_questions, questions);
    let sections = [(&ours.answers, other.answer().ok()?), (&ours.authorities, other.authority().ok()?)];
    for (ours, section) in sections {
        let records = other_records(section)?;
        assert_eq!(ours.len(), records.len());
        for (ours, (owner, rtype, ttl, data)) in ours.iter().zip(records) {
            assert_eq!((&ours.name, ours.rtype, ours.ttl), (&owner, rtype, ttl));
            if let Some(data) = data {
                assert_eq!(ours.data, data, "type {rtype}");
            }
        }
    }
    Some(())
}

/// A query's and response's parts, to be put together in any way.
const PARTS: [&[u8]; 12] = [
    b"\x03WwW\x07eXample\x03com\x00\x00\x01\x00\x01",
    b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01",
    b"\xc0\x10\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
    b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x06\x03cDn\xc0\x10",
    b"\xc0\x0c\x00\x0f\x00\x01\x00\x01\x51\x80\x00\x07\x00\x0a\x02mx\xc0\x10",
    b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00\x00\x09\x03a\"\\\x04\x00\xffb ",
    b"\x04_sip\x04_tcp\xc0\x10\x00\x21\x00\x01\x00\x00\x00\x01\x00\x08\x00\x01\x00\x02\x13\xc4\xc0\x0c",
    b"\x00\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x01",
    b"\x05a.b\\ \xc0\x18\x00\x0a\x00\x01\x00\x00\x00\x07\x00\x02\x00\xfe",
    b"\xc0\x0c\x00\x02\x00\x01\x00\x00\x02\x58\x00\x05\x02ns\xc0\x18",
    b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00",
    b"\xc0\x0c\x00\x2b\x00\x01\x00\x00\x00\x3c\x00\x06\x12\x34\x08\x02\xab\xcd",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_where_the_other_reads_all(
        counts in proptest::collection::vec(0_u8..4, 3),
        parts in proptest::collection::vec(proptest::sample::select(PARTS.to_vec()), 0..8),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut message = b"\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
        for (at, count) in [7, 9, 11].into_iter().zip(counts) {
            message[at] = count;
        }
        message.extend_from_slice(PARTS[0]);
        message.extend(parts.concat());
        for (at, value) in flips {
            let at = 12 + at.index(message.len() - 12);
            message[at] = value;
        }
        let _ = same(&message);
    }
}

#[test]
fn the_whole_of_a_good_message_is_compared() {
    let mut message = b"\x12\x34\x81\x80\x00\x01\x00\x09\x00\x01\x00\x00".to_vec();
    message.extend(PARTS[..11].concat());
    // Nine answers and one authority of these; OPT stands in the additional section.
    message[11] = 1;
    message[9] = 0;
    assert_eq!(same(&message), Some(()));
    let ours = read(&message).unwrap();
    assert_eq!((ours.damage, ours.answers.len(), ours.edns_udp_size), (None, 9, Some(4_096)));
}
