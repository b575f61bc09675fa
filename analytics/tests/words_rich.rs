//! Rich words: what they see that Spot's did not, by example, and that no record breaks them.
#![allow(clippy::unwrap_used, reason = "tests")]

use analytics::detect::rows::Internal;
use analytics::words::domain::{DomainLists, TopDomains};
use analytics::words::rich::dns::{RichDns, count_client};
use analytics::words::rich::flow::{RichFlow, count_peers};
use analytics::words::rich::proxy::{Programs, RichProxy};
use analytics::words::rich::{Features, Kind, Popularity, RichScheme, take_apart};
use analytics::words::{Invalid, Scheme, WordCode};
use proptest::prelude::*;

fn text(kind: Kind, word: WordCode) -> String {
    RichScheme::new(kind, Features::all(kind)).render(word)
}

fn flow() -> RichFlow<'static> {
    RichFlow {
        first_seen: Some(1_773_230_400_000_000),
        last_seen: Some(1_773_230_401_500_000),
        src: Some("10.0.0.9".parse().unwrap()),
        dst: Some("203.0.113.5".parse().unwrap()),
        src_port: Some(50_123),
        dst_port: Some(443),
        proto: 6,
        src_packets: Some(9),
        src_bytes: Some(1_500),
        dst_packets: Some(12),
        dst_bytes: Some(9_000),
        src_flags: Some(0x1b),
        dst_flags: Some(0x1b),
        conn_state: Some("SF"),
        service: Some("tls"),
    }
}

fn words(flow: &RichFlow<'_>, peers: &Popularity) -> Result<[String; 2], Invalid> {
    let internal = Internal::default();
    let words = flow.words(Features::all(Kind::Flow), peers, &internal)?;
    Ok(words.map(|word| text(Kind::Flow, word)))
}

#[test]
fn a_connection_to_the_outside() {
    let mut peers = Popularity::new(100);
    count_peers(&mut peers, flow().src.unwrap(), flow().dst.unwrap());
    let [src, dst] = words(&flow(), &peers).unwrap();
    // 1,500 bytes: 1024 to 2047, bin 11; 9,000: bin 14; 9 and 12 packets: bin 4; 1.5 s: 1024 to 4095 ms, bin 6. 12:00 UTC.
    assert_eq!(
        src,
        "role=client port=443 proto=TCP hour=12 sent=11 got=14 packets=4 back=4 time=6 state=ok scope=out peer=1 flags=27 service=tls ratio=1"
    );
    assert!(dst.starts_with("role=server port=443 "));
    let told = take_apart(Kind::Flow, &src);
    let meaning = |name: &str| told.iter().find(|told| told.name == name).unwrap().meaning.clone();
    assert_eq!(meaning("bytes sent by the client"), "1024 to 2047 bytes");
    assert_eq!(meaning("duration"), "1.024 to 4.096 s");
    assert_eq!(meaning("hosts that talk with the peer"), "1 hosts");
}

#[test]
fn states_are_told_by_counts_where_no_state_is_known() {
    let peers = Popularity::new(1);
    let state = |flow: RichFlow<'_>| {
        let [src, _] = words(&flow, &peers).unwrap();
        src.split(' ').find_map(|part| part.strip_prefix("state=")).unwrap().to_owned()
    };
    let of = |sent, back, bytes| RichFlow {
        conn_state: None,
        src_packets: Some(sent),
        src_bytes: Some(bytes),
        dst_packets: back,
        dst_bytes: back.map(|packets| packets * 40),
        ..flow()
    };
    assert_eq!(state(of(1, Some(0), 60)), "unanswered");
    assert_eq!(state(of(1, Some(1), 60)), "empty");
    assert_eq!(state(of(8, Some(7), 2_000)), "ok");
    assert_eq!(state(RichFlow { proto: 17, ..of(3, None, 200) }), "oneway");
    assert_eq!(state(RichFlow { conn_state: Some("REJ"), ..flow() }), "refused");
}

#[test]
fn a_responder_seen_from_the_wrong_end_is_still_the_server() {
    let turned = RichFlow { src_port: Some(443), dst_port: Some(50_123), ..flow() };
    let [src, dst] = words(&turned, &Popularity::new(1)).unwrap();
    assert!(src.starts_with("role=server port=443 ") && dst.starts_with("role=client port=443 "), "{src} {dst}");
}

#[test]
fn names_are_taken_apart_by_the_public_suffix_list() {
    let mut domains = Popularity::new(100);
    let lists = DomainLists { top: TopDomains::from_domains(["bbc.co.uk"]), user_domain: "corp".into() };
    for client in ["10.0.0.1", "10.0.0.2", "10.0.0.3"] {
        count_client(&mut domains, client, "www.bbc.co.uk");
    }
    let question = |qname: &'static str| RichDns {
        first_seen: Some(0),
        client: Some("10.0.0.1"),
        qname: Some(qname),
        qtype: Some(16),
        rcode: Some(0),
        transport: Some("udp"),
        query_len: Some(40),
        response_len: Some(200),
        answers: Some((2, 16, 60)),
    };
    let word = |qname| {
        let word = question(qname).word(Features::all(Kind::Dns), &domains, &lists).unwrap();
        text(Kind::Dns, word)
    };
    assert_eq!(
        word("www.bbc.co.uk"),
        "class=top type=16 rcode=0 hour=0 length=8 sub=2 entropy=0 labels=1 clients=2 answers=2 shape=text ttl=6 transport=udp digits=0 query=6"
    );
    // Spot sees no domain, no length and no entropy under a new ending.
    assert!(
        word("aaaabbbbccccdddd.t.evil.info")
            .contains("class=other type=16 rcode=0 hour=0 length=8 sub=5 entropy=8 labels=2")
    );
    assert!(word("x.CORP.example").starts_with("class=own"));
    assert!(word("4.3.2.1.in-addr.arpa").starts_with("class=reverse"));
}

#[test]
fn rare_programs_show() {
    let mut programs = Programs::new(100);
    for client in 0..40 {
        programs.add(&format!("10.0.0.{client}"), Some("www.example.com:8080"), Some("Browser"), None);
    }
    programs.add("10.0.0.7", Some("203.0.113.9"), Some("curl/8"), Some("t13d"));
    let request = |host, agent| RichProxy {
        first_seen: Some(0),
        client: Some("10.0.0.7"),
        host: Some(host),
        method: "post",
        scheme: Some("http"),
        uri: "/gate.php",
        content_type: Some("text/html; charset=utf-8"),
        status: Some(404),
        user_agent: Some(agent),
        ja4: None,
        referer: false,
        request_bytes: Some(1_000),
        response_bytes: None,
    };
    let word = |host, agent| {
        let word = request(host, agent).word(Features::all(Kind::Proxy), &programs, &DomainLists::default()).unwrap();
        text(Kind::Proxy, word)
    };
    let rare = word("203.0.113.9", "curl/8");
    assert!(rare.starts_with("class=address method=POST content=text hour=0 status=4 length=4 "), "{rare}");
    assert!(rare.contains(" clients=1 agent=1 ja4=0 sent=10 got=- "), "{rare}");
    assert!(word("www.example.com", "Browser").contains("clients=6 agent=6"));
}

proptest! {
    #[test]
    fn no_flow_breaks_a_word(
        times in (any::<Option<i64>>(), any::<Option<i64>>()), ports in (any::<Option<u16>>(), any::<Option<u16>>()), proto in any::<u8>(),
        counters in (any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<u64>>()),
        flags in (any::<Option<u8>>(), any::<Option<u8>>()), ip in any::<[u8; 16]>(), state in proptest::option::of("[A-Z0-9]{0,5}"),
    ) {
        let record = RichFlow {
            first_seen: times.0, last_seen: times.1, src: Some(ip.into()), dst: Some([ip[0], ip[1], ip[2], ip[3]].into()),
            src_port: ports.0, dst_port: ports.1, proto, src_packets: counters.0, src_bytes: counters.1, dst_packets: counters.2,
            dst_bytes: counters.3, src_flags: flags.0, dst_flags: flags.1, conn_state: state.as_deref(), service: state.as_deref(),
        };
        if let Ok(texts) = words(&record, &Popularity::new(1)) {
            for text in texts {
                prop_assert_eq!(take_apart(Kind::Flow, &text).len(), Features::all(Kind::Flow).keys(Kind::Flow).count(), "{}", text);
            }
        }
    }

    #[test]
    fn no_name_breaks_a_word(qname in "\\PC{0,300}", qtype in any::<Option<u16>>(), rcode in any::<Option<u16>>(), answers in any::<Option<(u64, u16, u32)>>()) {
        let mut domains = Popularity::new(2);
        count_client(&mut domains, &qname, &qname);
        let record = RichDns {
            first_seen: Some(i64::MAX), client: Some("c"), qname: Some(&qname), qtype, rcode, transport: None, query_len: qtype, response_len: rcode, answers,
        };
        if let Ok(word) = record.word(Features::all(Kind::Dns), &domains, &DomainLists::default()) {
            let text = text(Kind::Dns, word);
            prop_assert!(!take_apart(Kind::Dns, &text).is_empty(), "{}", text);
        }
        let mut programs = Programs::new(2);
        programs.add("c", Some(&qname), Some(&qname), None);
        let request = RichProxy {
            first_seen: Some(i64::MIN), client: Some("c"), host: Some(&qname), method: &qname, scheme: None, uri: &qname, content_type: Some(&qname),
            status: qtype, user_agent: Some(&qname), ja4: Some(&qname), referer: true, request_bytes: Some(u64::MAX), response_bytes: None,
        };
        if let Ok(word) = request.word(Features::all(Kind::Proxy), &programs, &DomainLists::default()) {
            let text = text(Kind::Proxy, word);
            prop_assert!(!take_apart(Kind::Proxy, &text).is_empty(), "{}", text);
        }
    }
}
