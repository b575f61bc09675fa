//! IPFIX files and dnstap. `data/unbound.dnstap` is what unbound 1.17.1 (through fstrm_capture 0.6.1) wrote of six queries for
//! names of `example.`; what is expected of it is what dnstap-ldns 0.2.1 prints.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::Cursor;

use capture::collect::file::{ExportFile, ExportFileError, ExportFormat};
use capture::collect::{ExportSink, ExportedFlow, Protocol};
use capture::{Body, DecoderConfig, DnsTransport, Message, Nanos};

const UNBOUND: &[u8] = include_bytes!("data/unbound.dnstap");

#[derive(Default)]
struct Read {
    flows: Vec<ExportedFlow>,
    messages: Vec<Message>,
    refused: Vec<&'static str>,
}

impl ExportSink for Read {
    fn flow(&mut self, flow: &ExportedFlow) {
        self.flows.push(flow.clone());
    }
    fn message(&mut self, message: Message) {
        self.messages.push(message);
    }
    fn refused(&mut self, _: u64, reason: &'static str, _: &[u8]) {
        self.refused.push(reason);
    }
}

fn open(bytes: &[u8]) -> Option<ExportFile> {
    ExportFile::from_reader(Box::new(Cursor::new(bytes.to_vec())), &DecoderConfig::default()).unwrap()
}

fn read(bytes: &[u8]) -> (Read, Vec<(&'static str, u64)>, Option<ExportFileError>) {
    let mut file = open(bytes).unwrap();
    let (mut seen, mut error) = (Read::default(), None);
    loop {
        match file.read(&mut seen) {
            Ok(true) => {}
            Ok(false) => break,
            Err(found) => {
                error = Some(found);
                break;
            }
        }
    }
    file.finish(&mut seen);
    assert_eq!(file.imbalance(), None);
    (seen, file.counters(), error)
}

fn counter(counters: &[(&str, u64)], name: &str) -> u64 {
    counters.iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn unbound_s_dnstap_is_read_as_dnstap_ldns_reads_it() {
    let (seen, counters, error) = read(UNBOUND);
    assert!(error.is_none() && seen.refused.is_empty(), "{error:?} {:?}", seen.refused);
    assert_eq!(open(UNBOUND).unwrap().format(), ExportFormat::Dnstap);
    let told: Vec<_> = seen
        .messages
        .iter()
        .map(|m| {
            let Body::Dns(dns) = &m.body else { panic!("{m:?}") };
            let q = &dns.questions[0];
            let client = if dns.is_response() { (m.pair.dst, m.pair.src_port) } else { (m.pair.src, m.pair.dst_port) };
            assert_eq!(client.0.to_ip_addr(m.pair.version).to_string(), "127.0.0.1");
            let micros = m.ts.0 / 1_000 % 60_000_000;
            (micros, dns.is_response(), dns.transport, dns.message_len, q.name_wire.clone(), q.qtype)
        })
        .collect();
    let (udp, tcp) = (DnsTransport::Udp, DnsTransport::Tcp);
    let expected = [
        (9_812_847, false, udp, 52, "www.example", 1),
        (9_812_878, true, udp, 56, "www.example", 1),
        (10_026_804, false, udp, 52, "www.example", 28),
        (10_026_826, true, udp, 68, "www.example", 28),
        (10_260_324, false, udp, 52, "txt.example", 16),
        (10_260_351, true, udp, 60, "txt.example", 16),
        (10_526_730, false, udp, 53, "nope.example", 1),
        (10_526_749, true, udp, 41, "nope.example", 1),
        (10_808_832, false, udp, 52, "WwW.ExAmPlE", 1),
        (10_808_853, true, udp, 56, "WwW.ExAmPlE", 1),
        (11_035_905, false, tcp, 52, "www.example", 1),
        (11_035_927, true, tcp, 56, "www.example", 1),
    ];
    let expected: Vec<_> =
        expected.map(|(at, is, over, len, name, kind)| (at, is, over, len, name.to_owned(), kind)).into();
    assert_eq!(told, expected);
    let Body::Dns(answer) = &seen.messages[5].body else { panic!() };
    assert_eq!((answer.answers[0].data.as_str(), answer.frame_len), (r#""\"hello\"""#, 0));
    assert_eq!((counter(&counters, "records.seen"), counter(&counters, "export.messages")), (12, 12));
}

#[test]
fn joined_dnstap_files_are_one() {
    let (seen, _, error) = read(&[UNBOUND, UNBOUND].concat());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seen.messages.len(), 24);
}

#[test]
fn a_dnstap_file_without_its_stop_was_not_closed() {
    let stop = UNBOUND.len() - 12;
    let (seen, _, error) = read(&UNBOUND[..stop]);
    assert!(matches!(error, Some(ExportFileError::NotClosed)), "{error:?}");
    assert_eq!(seen.messages.len(), 12);
}

/// A field of a protocol buffer: a number, or bytes.
fn number(field: u64, mut n: u64, out: &mut Vec<u8>) {
    out.push((field << 3) as u8);
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn bytes(field: u64, data: &[u8], out: &mut Vec<u8>) {
    out.push((field << 3 | 2) as u8);
    assert!(data.len() < 128);
    out.push(data.len() as u8);
    out.extend_from_slice(data);
}

/// A dnstap file of events: type, and whether they hold a query and a response.
fn dnstap(events: &[(u64, bool, bool)]) -> Vec<u8> {
    let start = &UNBOUND[..8 + u32::from_be_bytes(UNBOUND[4..8].try_into().unwrap()) as usize];
    let mut file = start.to_vec();
    for (kind, query, response) in events {
        let dns = |flags: u8| {
            let mut dns = vec![0, 7, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1];
            dns.extend_from_slice(b"a\x07example\0\0\x01\0\x01");
            dns
        };
        let mut message = Vec::new();
        number(1, *kind, &mut message);
        number(3, 1, &mut message);
        bytes(4, &[10, 0, 0, 1], &mut message);
        number(6, 40_000, &mut message);
        for (field, text, is_there) in [(8, dns(1), *query), (12, dns(0x80), *response)] {
            if is_there {
                number(field, 1_700_000_000, &mut message);
                bytes(field + 2, &text, &mut message);
            }
        }
        let mut event = Vec::new();
        bytes(14, &message, &mut event);
        number(15, 1, &mut event);
        file.extend_from_slice(&(event.len() as u32).to_be_bytes());
        file.extend_from_slice(&event);
    }
    file.extend_from_slice(&UNBOUND[UNBOUND.len() - 12..]);
    file
}

#[test]
fn a_query_beside_its_response_is_counted_once() {
    // Only responses, as some resolvers are told to log.
    let (seen, ..) = read(&dnstap(&[(6, true, true), (6, true, true)]));
    assert_eq!(seen.messages.len(), 4);
    // With events of the queries, the ones beside the responses are those again.
    let (seen, ..) = read(&dnstap(&[(5, true, false), (6, true, true)]));
    assert_eq!(seen.messages.len(), 2);
    // What one kind says is nothing about another.
    let (seen, ..) = read(&dnstap(&[(5, true, false), (4, true, true)]));
    assert_eq!(seen.messages.len(), 3);
}

#[test]
fn events_without_a_message_are_refused_and_the_next_are_read() {
    let mut file = dnstap(&[(5, false, false), (5, true, false)]);
    let (seen, counters, error) = read(&file);
    assert!(error.is_none());
    assert_eq!((seen.messages.len(), &seen.refused[..]), (1, &["an event without a DNS message"][..]));
    assert_eq!(counter(&counters, "records.quarantined"), 1);
    // A frame of 4 GiB cannot be: where the next one is, is not known.
    let first = 8 + u32::from_be_bytes(file[4..8].try_into().unwrap()) as usize;
    file[first..first + 4].fill(0xff);
    let (seen, _, error) = read(&file);
    assert!(matches!(error, Some(ExportFileError::Damaged { .. })), "{error:?}");
    assert_eq!(seen.refused, ["a frame longer than any is"]);
}

#[test]
fn every_cut_and_changed_byte_of_dnstap_is_survived() {
    let start = 8 + u32::from_be_bytes(UNBOUND[4..8].try_into().unwrap()) as usize;
    for len in start..UNBOUND.len() {
        let (seen, _, error) = read(&UNBOUND[..len]);
        assert!(error.is_some_and(|error| error.may_grow()), "cut at {len}");
        assert!(seen.messages.len() <= 12);
    }
    for at in start..UNBOUND.len() {
        for change in [1, 0x80, 0xff] {
            let mut bytes = UNBOUND.to_vec();
            bytes[at] ^= change;
            read(&bytes);
        }
    }
}

/// An IPFIX message of domain 7 with its sets.
fn message(number: u32, sets: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (id, set) in sets {
        body.extend_from_slice(&id.to_be_bytes());
        body.extend_from_slice(&(set.len() as u16 + 4).to_be_bytes());
        body.extend_from_slice(set);
    }
    let mut message = vec![0, 10];
    message.extend_from_slice(&(body.len() as u16 + 16).to_be_bytes());
    for n in [1_700_000_000, number, 7] {
        message.extend_from_slice(&u32::to_be_bytes(n));
    }
    message.extend_from_slice(&body);
    message
}

fn template() -> (u16, Vec<u8>) {
    // Addresses, ports, protocol, octets, packets, start and end in milliseconds.
    let fields = [(8_u16, 4_u16), (12, 4), (7, 2), (11, 2), (4, 1), (1, 8), (2, 8), (152, 8), (153, 8)];
    let mut set = vec![];
    for n in [256, fields.len() as u16] {
        set.extend_from_slice(&n.to_be_bytes());
    }
    for (field, len) in fields {
        set.extend_from_slice(&field.to_be_bytes());
        set.extend_from_slice(&len.to_be_bytes());
    }
    (2, set)
}

fn row(last: u8) -> (u16, Vec<u8>) {
    let mut row = vec![10, 0, 0, last, 192, 0, 2, 1, 0xc3, 0x50, 1, 0xbb, 6];
    for n in [900_u64, 7, 1_700_000_000_123, 1_700_000_001_456] {
        row.extend_from_slice(&n.to_be_bytes());
    }
    (256, row)
}

#[test]
fn an_ipfix_file_gives_its_flows() {
    let file = [message(0, &[template(), row(1)]), message(1, &[row(2), row(3)]), message(3, &[])].concat();
    let (seen, counters, error) = read(&file);
    assert!(error.is_none() && seen.refused.is_empty(), "{error:?} {:?}", seen.refused);
    assert_eq!(seen.flows.len(), 3);
    let flow = &seen.flows[2];
    assert_eq!((flow.protocol, flow.domain), (Protocol::Ipfix, 7));
    assert_eq!((flow.first, flow.last), (Nanos(1_700_000_000_123_000_000), Nanos(1_700_000_001_456_000_000)));
    assert_eq!((flow.forward.packets, flow.forward.bytes, flow.pair.dst_port), (7, 900, 443));
    assert_eq!((counter(&counters, "datagrams.ipfix"), counter(&counters, "sequence.lost")), (3, 0));
}

#[test]
fn bad_messages_of_an_ipfix_file_are_refused_and_the_next_are_read() {
    let bomb = (2, [&[1, 1, 0xff, 0xff][..], &[0, 8, 0, 4].repeat(300)].concat());
    let cut = (256, vec![1; 40]);
    let file = [
        message(0, &[template(), row(1)]),
        message(1, &[bomb]),
        message(1, &[cut, (1, vec![0; 8])]),
        message(2, &[(999, vec![0; 8])]),
        message(2, &[row(2)]),
    ]
    .concat();
    let (seen, counters, error) = read(&file);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(seen.flows.len(), 2);
    assert_eq!(
        seen.refused,
        ["a template that cannot be", "a set whose length is senseless", "data sets whose template is not in the file"]
    );
    assert_eq!(counter(&counters, "messages.quarantined"), 2);
    // Something else where a message should begin: the rest cannot be read.
    let (seen, _, error) = read(&[&file[..], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"].concat());
    assert!(matches!(error, Some(ExportFileError::Damaged { .. })), "{error:?}");
    assert_eq!(seen.flows.len(), 2);
}

#[test]
fn what_begins_like_an_export_and_is_none_is_not_read_as_one() {
    for other in
        [&b"\0\x0a"[..], b"", b"\x0c\xa5", b"\0\x0a\0\x20hello, this is no message", b"#separator \\x09", &[0; 64]]
    {
        assert!(open(other).is_none(), "{other:?}");
    }
    let (seen, _, error) = read(&[0x0c, 0xa5, 7, 0, 0, 0, 0, 0]);
    assert!(seen.flows.is_empty());
    assert!(error.unwrap().to_string().contains("expected 1 or 2"));
}

#[test]
fn every_cut_of_an_ipfix_file_may_grow() {
    let file = [message(0, &[template(), row(1)]), message(1, &[row(2)])].concat();
    let first = message(0, &[template(), row(1)]).len();
    for len in first + 1..file.len() {
        let (seen, _, error) = read(&file[..len]);
        assert!(error.is_some_and(|error| error.may_grow()), "cut at {len}");
        assert_eq!(seen.flows.len(), 1);
    }
}
