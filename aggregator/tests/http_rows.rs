//! HTTP and TLS messages in, one row for each request out.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use aggregator::record::{Micros, Origin, ProxyRecord};
use aggregator::{Aggregator, AggregatorConfig, Limits};
use capture::{AddressPair, Body, HttpRequest, HttpResponse, Message, Sink, TlsClientHello};
use support::*;

fn to_server() -> AddressPair {
    pair(6, CLIENT, 40_000, SERVER, 8_080)
}

fn request(index: u32, method: &str, target: &str, host: Option<&str>) -> Body {
    let host = host.map(str::to_owned);
    Body::HttpRequest(Box::new(HttpRequest {
        method: method.into(),
        target: target.into(),
        host,
        bytes: 100,
        index,
        ..HttpRequest::default()
    }))
}

fn response(index: u32, status: u16) -> Body {
    let content_type = Some("text/html".to_owned());
    Body::HttpResponse(Box::new(HttpResponse { status, content_type, bytes: 5_000, index }))
}

fn send(aggregator: &mut Aggregator, seconds: f64, pair: AddressPair, body: Body) {
    let ts = at(seconds);
    aggregator.packet(&packet(ts, pair));
    aggregator.message(Message { first_ts: ts, ts, pair, body });
}

fn rows(messages: Vec<(f64, AddressPair, Body)>) -> Vec<ProxyRecord> {
    let mut aggregator = aggregator();
    messages.into_iter().for_each(|(seconds, pair, body)| send(&mut aggregator, seconds, pair, body));
    aggregator.finish();
    let s = aggregator.stats();
    assert_eq!(s.http_requests, s.http_answered + s.http_unanswered);
    assert_eq!(s.http_responses, s.http_answered + s.http_unasked);
    aggregator.take_records().proxy
}

#[test]
fn request_and_response_are_one_row() {
    let rows = rows(vec![
        (0.0, to_server(), request(0, "GET", "/a/b.html?q=1", Some("WWW.Example.com:8080"))),
        (0.5, to_server().reversed(), response(0, 200)),
    ]);
    assert_eq!(rows.len(), 1);
    let r = &rows[0];
    assert_eq!(
        (r.origin, r.scheme.as_str(), r.method.as_str(), r.host.as_str()),
        ("wire", "http", "GET", "www.example.com")
    );
    assert_eq!(
        (r.uri_path.as_str(), r.uri_query.as_deref(), r.uri_extension.as_deref()),
        ("/a/b.html", Some("?q=1"), Some("html"))
    );
    assert_eq!(r.full_uri, "www.example.com/a/b.html?q=1");
    assert_eq!((r.status, r.content_type.as_deref(), r.duration_us), (Some(200), Some("text/html"), Some(500_000)));
    assert_eq!((r.request_bytes, r.response_bytes), (Some(100), Some(5_000)));
    assert_eq!((r.client_ip, r.client_port), (std::net::IpAddr::from(CLIENT), Some(40_000)));
    assert_eq!((r.server_ip, r.server_port), (Some(std::net::IpAddr::from(SERVER)), Some(8_080)));
    assert_eq!((r.first_seen, r.last_seen), (Micros(at(0.0).micros()), Micros(at(0.5).micros())));
    assert!(r.community_id.as_ref().unwrap().starts_with("1:"));
}

/// target, Host → scheme, host, path, query, extension, full_uri. The last is Spot's rule: host, path if
/// longer than 1, query if longer than 1.
#[test]
fn targets_in_all_forms() {
    let cases = [
        ("/", Some("h.test"), "http", "h.test", "/", None, None, "h.test"),
        ("/x", None, "http", "", "/x", None, None, "/x"),
        ("/?", Some("h.test"), "http", "h.test", "/", Some("?"), None, "h.test"),
        (
            "http://U:p@Proxy.TEST:81/p.tar.gz?a=/b.c",
            Some("other"),
            "http",
            "proxy.test",
            "/p.tar.gz",
            Some("?a=/b.c"),
            Some("gz"),
            "proxy.test/p.tar.gz?a=/b.c",
        ),
        ("ftp://files.test", None, "ftp", "files.test", "/", None, None, "files.test"),
        ("http://h.test?q", None, "http", "h.test", "/", Some("?q"), None, "h.test?q"),
        ("*", Some("h.test"), "http", "h.test", "*", None, None, "h.test"),
        (
            "/to?u=http://evil.test/",
            Some("h.test"),
            "http",
            "h.test",
            "/to",
            Some("?u=http://evil.test/"),
            None,
            "h.test/to?u=http://evil.test/",
        ),
        ("/v1.2/x", Some("[2001:db8::1]:80"), "http", "[2001:db8::1]", "/v1.2/x", None, None, "[2001:db8::1]/v1.2/x"),
        ("/.htaccess", Some("h.test"), "http", "h.test", "/.htaccess", None, None, "h.test/.htaccess"),
        ("", Some("h.test"), "http", "h.test", "/", None, None, "h.test"),
    ];
    for (target, host, scheme, expected_host, path, query, extension, full) in cases {
        let r = rows(vec![(0.0, to_server(), request(0, "GET", target, host))]).remove(0);
        let seen = (
            r.scheme.as_str(),
            r.host.as_str(),
            r.uri_path.as_str(),
            r.uri_query.as_deref(),
            r.uri_extension.as_deref(),
            r.full_uri.as_str(),
        );
        assert_eq!(seen, (scheme, expected_host, path, query, extension, full), "{target}");
    }
}

#[test]
fn connect_has_the_target_for_host() {
    let full = |target: &str| {
        let r = rows(vec![(0.0, to_server(), request(0, "CONNECT", target, Some("x")))]).remove(0);
        assert_eq!((r.scheme.as_str(), r.uri_path.as_str(), r.uri_query), ("connect", "/", None));
        (r.host, r.full_uri)
    };
    assert_eq!(full("Mail.test:443"), ("mail.test".to_owned(), "mail.test".to_owned()));
    assert_eq!(full("mail.test:25"), ("mail.test".to_owned(), "mail.test:25".to_owned()));
}

#[test]
fn a_client_hello_is_a_row_by_itself() {
    let hello = |sni: Option<&str>| {
        Body::TlsClientHello(Box::new(TlsClientHello {
            version: 0x0304,
            sni: sni.map(str::to_owned),
            alpn: Some("h2,http/1.1".to_owned()),
            ja4: Some("t13d1516h2_8daaf6152771_b186095e22b6".to_owned()),
            bytes: 512,
        }))
    };
    let https = pair(6, CLIENT, 40_001, SERVER, 443);
    let rows = rows(vec![
        (0.0, https, hello(Some("Bank.test"))),
        (1.0, to_server(), hello(Some("bank.test"))),
        (2.0, https, hello(None)),
    ]);
    let seen: Vec<_> = rows.iter().map(|r| (r.host.as_str(), r.full_uri.as_str(), r.tls_sni.as_deref())).collect();
    assert_eq!(
        seen,
        [
            ("bank.test", "bank.test", Some("Bank.test")),
            ("bank.test", "bank.test:8080", Some("bank.test")),
            ("198.51.100.7", "198.51.100.7", None)
        ]
    );
    let r = &rows[0];
    assert_eq!((r.scheme.as_str(), r.method.as_str(), r.status), ("tls", "CONNECT", None));
    assert_eq!((r.tls_version.as_deref(), r.tls_alpn.as_deref()), (Some("TLSv1.3"), Some("h2,http/1.1")));
}

#[test]
fn pipelined_requests_meet_their_own_responses() {
    let rows = rows(vec![
        (0.0, to_server(), request(0, "GET", "/0", Some("h"))),
        (0.1, to_server(), request(1, "GET", "/1", Some("h"))),
        (0.2, to_server().reversed(), response(0, 200)),
        (0.3, to_server().reversed(), response(1, 404)),
    ]);
    assert_eq!(
        rows.iter().map(|r| (r.uri_path.as_str(), r.status)).collect::<Vec<_>>(),
        [("/0", Some(200)), ("/1", Some(404))]
    );
}

#[test]
fn a_request_without_response_is_a_row_and_a_response_without_request_is_counted() {
    let rows = rows(vec![
        (0.0, to_server(), request(0, "POST", "/", Some("h"))),
        (0.2, to_server().reversed(), response(3, 200)),
    ]);
    assert_eq!(rows.iter().map(|r| (r.status, r.duration_us)).collect::<Vec<_>>(), [(None, None)]);
}

#[test]
fn a_response_may_end_before_its_request() {
    let mut aggregator = aggregator();
    send(&mut aggregator, 1.0, to_server().reversed(), response(0, 413));
    let Body::HttpRequest(body) = request(0, "PUT", "/big", Some("h")) else { unreachable!() };
    // The request began at 0 s; its body ends at 2 s.
    aggregator.message(Message { first_ts: at(0.0), ts: at(2.0), pair: to_server(), body: Body::HttpRequest(body) });
    let row = aggregator.take_records().proxy.remove(0);
    assert_eq!((row.status, row.duration_us, row.last_seen), (Some(413), Some(1_000_000), Micros(at(2.0).micros())));
}

#[test]
fn ports_used_again_do_not_mix_connections() {
    let rows = rows(vec![
        (0.0, to_server(), request(0, "GET", "/first", Some("h"))),
        (9.0, to_server(), request(0, "GET", "/second", Some("h"))),
        (9.1, to_server().reversed(), response(0, 200)),
    ]);
    assert_eq!(
        rows.iter().map(|r| (r.uri_path.as_str(), r.status)).collect::<Vec<_>>(),
        [("/first", None), ("/second", Some(200))]
    );
}

#[test]
fn what_waits_is_bounded() {
    let limits = Limits { max_http: 10, ..Limits::default() };
    let mut aggregator = Aggregator::new(AggregatorConfig { limits, ..AggregatorConfig::new("test", Origin::Pcap) });
    for index in 0..1_000 {
        send(&mut aggregator, 0.0, to_server(), request(index, "GET", "/", Some("h")));
    }
    let stats = aggregator.stats();
    assert_eq!((stats.http_requests_waiting, stats.http_evicted, aggregator.finished()), (10, 990, 990));
}
