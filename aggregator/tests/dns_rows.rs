//! DNS messages in, one row for each question out.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use aggregator::record::{DnsRecord, Micros, Origin};
use aggregator::{Aggregator, AggregatorConfig, Limits};
use capture::{AddressPair, Body, DnsMessage, DnsQuestion, DnsTransport, Message, ResourceRecord, Sink};
use support::*;

const RESOLVER: ([u8; 4], u16) = ([9, 9, 9, 9], 53);
const HOST: ([u8; 4], u16) = ([10, 0, 0, 5], 33_333);

fn question(name: &str, qtype: u16) -> DnsQuestion {
    DnsQuestion { name: name.to_lowercase(), name_wire: name.to_owned(), qtype, qclass: 1 }
}

fn answer(name: &str, data: &str) -> ResourceRecord {
    ResourceRecord { name: name.to_owned(), rtype: 1, ttl: 60, data: data.to_owned() }
}

fn query(id: u16, questions: Vec<DnsQuestion>) -> DnsMessage {
    DnsMessage {
        transport: DnsTransport::Udp,
        id,
        flags: 0x0100,
        rcode: 0,
        message_len: 30,
        frame_len: 72,
        questions,
        answers: Vec::new(),
        authorities: Vec::new(),
        additional_count: 1,
        edns_udp_size: Some(1_232),
        damage: None,
    }
}

fn response(id: u16, questions: Vec<DnsQuestion>, answers: Vec<ResourceRecord>) -> DnsMessage {
    let query = query(id, questions);
    DnsMessage {
        flags: 0x8180,
        message_len: 60,
        frame_len: 102,
        answers,
        additional_count: 0,
        edns_udp_size: None,
        ..query
    }
}

fn send(aggregator: &mut Aggregator, seconds: f64, pair: AddressPair, dns: DnsMessage) {
    let ts = at(seconds);
    aggregator.packet(&packet(ts, pair));
    aggregator.message(Message { first_ts: ts, ts, pair, body: Body::Dns(Box::new(dns)) });
}

fn asks() -> AddressPair {
    pair(17, HOST.0, HOST.1, RESOLVER.0, RESOLVER.1)
}

/// Rows of these messages; the equations of the books hold.
fn rows(messages: Vec<(f64, AddressPair, DnsMessage)>) -> Vec<DnsRecord> {
    let mut aggregator = aggregator();
    for (seconds, pair, dns) in messages {
        send(&mut aggregator, seconds, pair, dns);
    }
    aggregator.finish();
    let stats = aggregator.stats();
    assert_eq!(stats.dns_query_questions, stats.dns_answered + stats.dns_unanswered + stats.dns_repeats);
    assert_eq!(stats.dns_response_questions, stats.dns_answered + stats.dns_unasked);
    assert_eq!(stats.dns_waiting, 0);
    aggregator.take_records().dns
}

#[test]
fn query_and_answer_are_one_row() {
    let q = || vec![question("wWw.Example.COM", 1)];
    let rows = rows(vec![
        (0.0, asks(), query(7, q())),
        (
            0.025,
            asks().reversed(),
            response(7, vec![question("www.example.com", 1)], vec![answer("www.example.com", "192.0.2.80")]),
        ),
    ]);
    assert_eq!(rows.len(), 1);
    let r = &rows[0];
    assert_eq!(
        (r.qname.as_str(), r.qname_wire.as_str(), r.qtype, r.qclass),
        ("www.example.com", "wWw.Example.COM", 1, 1)
    );
    assert_eq!((r.client_port, r.server_port, r.id), (33_333, 53, 7));
    assert_eq!((r.rcode, r.rtt_us), (Some(0), Some(25_000)));
    assert_eq!((r.query_len, r.response_len, r.response_frame_len), (Some(30), Some(60), Some(102)));
    assert_eq!((r.flags, r.edns_udp_size, r.additional_count), (0x8180, Some(1_232), 0));
    assert_eq!((r.first_seen, r.last_seen), (Micros(at(0.0).micros()), Micros(at(0.025).micros())));
    assert_eq!(r.answers, [answer("www.example.com", "192.0.2.80")]);
}

#[test]
fn an_unanswered_query_is_a_row_when_its_time_is_up() {
    let mut aggregator = aggregator();
    send(&mut aggregator, 0.0, asks(), query(7, vec![question("a.test", 28)]));
    aggregator.advance(at(4.999));
    assert_eq!(aggregator.take_records().dns, []);
    aggregator.advance(at(5.0));
    let row = aggregator.take_records().dns.remove(0);
    assert_eq!((row.rcode, row.rtt_us, row.response_len, row.query_len), (None, None, None, Some(30)));
    // Too late: a row of its own.
    send(&mut aggregator, 6.0, asks().reversed(), response(7, vec![question("a.test", 28)], Vec::new()));
    let row = aggregator.take_records().dns.remove(0);
    assert_eq!((row.rcode, row.rtt_us, row.query_len, row.client_port), (Some(0), None, None, 33_333));
}

#[test]
fn tcp_waits_longer() {
    let mut aggregator = aggregator();
    let tcp = |dns| DnsMessage { transport: DnsTransport::Tcp, ..dns };
    let over_tcp = AddressPair { proto: 6, ..asks() };
    send(&mut aggregator, 0.0, over_tcp, tcp(query(7, vec![question("a.test", 252)])));
    send(&mut aggregator, 0.0, asks(), query(7, vec![question("a.test", 252)]));
    aggregator.advance(at(29.0));
    let gone = aggregator.take_records().dns;
    assert_eq!(gone.iter().map(|r| r.transport).collect::<Vec<_>>(), [DnsTransport::Udp]);
    send(&mut aggregator, 29.5, over_tcp.reversed(), tcp(response(7, vec![question("a.test", 252)], Vec::new())));
    assert_eq!(aggregator.take_records().dns[0].rtt_us, Some(29_500_000));
}

#[test]
fn another_id_name_type_server_or_port_does_not_match() {
    let q = |name: &str, qtype| vec![question(name, qtype)];
    let others = [
        (asks(), 8, q("a.test", 1)),
        (asks(), 7, q("b.test", 1)),
        (asks(), 7, q("a.test", 28)),
        (AddressPair { dst_port: 5_353, ..asks() }, 7, q("a.test", 1)),
        (pair(17, HOST.0, HOST.1, [8, 8, 8, 8], 53), 7, q("a.test", 1)),
        (pair(17, HOST.0, 1, RESOLVER.0, 53), 7, q("a.test", 1)),
    ];
    for (pair, id, questions) in others {
        let rows = rows(vec![
            (0.0, asks(), query(7, q("a.test", 1))),
            (0.1, pair.reversed(), response(id, questions, Vec::new())),
        ]);
        assert_eq!(rows.iter().map(|r| r.rcode).collect::<Vec<_>>(), [Some(0), None], "{pair:?}");
    }
}

#[test]
fn a_repeated_query_is_one_row_and_waits_from_its_last_copy() {
    let q = || query(7, vec![question("a.test", 1)]);
    let rows = rows(vec![
        (0.0, asks(), q()),
        (4.0, asks(), q()),
        (8.5, asks().reversed(), response(7, vec![question("a.test", 1)], Vec::new())),
    ]);
    assert_eq!(rows.iter().map(|r| (r.rcode, r.rtt_us)).collect::<Vec<_>>(), [(Some(0), Some(8_500_000))]);
}

#[test]
fn a_second_answer_is_a_row_of_its_own() {
    let a = || response(7, vec![question("a.test", 1)], Vec::new());
    let rows = rows(vec![
        (0.0, asks(), query(7, vec![question("a.test", 1)])),
        (0.1, asks().reversed(), a()),
        (0.1, asks().reversed(), a()),
        (0.1, asks().reversed(), a()),
    ]);
    assert_eq!(rows.iter().map(|r| r.query_len.is_some()).collect::<Vec<_>>(), [true, false, false]);
    let ids: std::collections::BTreeSet<_> = rows.iter().map(|r| r.record_id).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn each_question_is_a_row() {
    let questions = || vec![question("a.test", 1), question("b.test", 1)];
    let rows = rows(vec![
        (0.0, asks(), query(7, questions())),
        (0.1, asks().reversed(), response(7, questions(), vec![answer("a.test", "192.0.2.1")])),
    ]);
    let seen: Vec<_> = rows.iter().map(|r| (r.question, r.qname.as_str(), r.answers.len(), r.rtt_us)).collect();
    assert_eq!(seen, [(0, "a.test", 1, Some(100_000)), (1, "b.test", 0, Some(100_000))]);
}

#[test]
fn a_response_without_question_answers_what_waits_or_names_itself() {
    let matched = rows(vec![
        (0.0, asks(), query(7, vec![question("a.test", 1)])),
        (0.1, asks().reversed(), DnsMessage { rcode: 1, ..response(7, Vec::new(), Vec::new()) }),
    ]);
    let seen: Vec<_> = matched.iter().map(|r| (r.qname.as_str(), r.rcode, r.damage)).collect();
    assert_eq!(seen, [("a.test", Some(1), Some("no_question"))]);

    let group = pair(17, [10, 0, 0, 9], 5_353, [224, 0, 0, 251], 5_353);
    let announced = |answers| DnsMessage { transport: DnsTransport::Mdns, ..response(0, Vec::new(), answers) };
    let alone = rows(vec![
        (0.0, group, announced(vec![answer("printer.local", "10.0.0.9")])),
        (0.1, group, announced(Vec::new())),
    ]);
    let seen: Vec<_> = alone.iter().map(|r| (r.qname.as_str(), r.qtype, r.damage)).collect();
    assert_eq!(seen, [("printer.local", 1, Some("no_question")), (".", 0, Some("no_question"))]);
    assert_eq!(alone[0].server_ip, capture::Ip::v4([10, 0, 0, 9]));
    assert_eq!(alone[0].client_ip, capture::Ip::v4([224, 0, 0, 251]));
}

#[test]
fn a_unicast_answer_to_a_multicast_query_is_matched() {
    let to_group = pair(17, HOST.0, HOST.1, [224, 0, 0, 252], 5_355);
    let from_neighbour = pair(17, [10, 0, 0, 77], 5_355, HOST.0, HOST.1);
    let llmnr = |dns| DnsMessage { transport: DnsTransport::Llmnr, ..dns };
    let rows = rows(vec![
        (0.0, to_group, llmnr(query(3, vec![question("wpad", 1)]))),
        (0.2, from_neighbour, llmnr(response(3, vec![question("wpad", 1)], vec![answer("wpad", "10.0.0.77")]))),
    ]);
    assert_eq!(
        rows.iter().map(|r| (r.server_ip, r.rtt_us)).collect::<Vec<_>>(),
        [(capture::Ip::v4([10, 0, 0, 77]), Some(200_000))]
    );
}

#[test]
fn what_waits_is_bounded() {
    for limits in [Limits { max_dns: 10, ..Limits::default() }, Limits { max_dns_bytes: 4_000, ..Limits::default() }] {
        let mut aggregator =
            Aggregator::new(AggregatorConfig { limits, ..AggregatorConfig::new("test", Origin::Pcap) });
        for id in 0..1_000 {
            send(&mut aggregator, 0.001 * f64::from(id), asks(), query(id, vec![question("flood.test", 1)]));
            assert!(aggregator.stats().dns_waiting <= 30);
        }
        let stats = aggregator.stats();
        let rows = aggregator.take_records().dns;
        assert_eq!(rows.len() as u64, stats.dns_evicted);
        assert_eq!(stats.dns_evicted + stats.dns_waiting, 1_000);
        assert!(rows.iter().map(|r| r.id).eq(0..rows.len() as u16), "the oldest goes first");
    }
}

#[test]
fn a_flood_of_answered_queries_leaves_nothing_behind() {
    let limits = Limits { max_dns: 10, ..Limits::default() };
    let mut aggregator = Aggregator::new(AggregatorConfig { limits, ..AggregatorConfig::new("test", Origin::Pcap) });
    for id in 0..5_000 {
        let q = || vec![question("a.test", 1)];
        send(&mut aggregator, 0.0, asks(), query(id, q()));
        send(&mut aggregator, 0.0, asks().reversed(), response(id, q(), Vec::new()));
    }
    assert_eq!(aggregator.stats().dns_answered, 5_000);
    assert_eq!((aggregator.stats().dns_evicted, aggregator.stats().dns_waiting), (0, 0));
}
