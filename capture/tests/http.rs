//! HTTP/1.x through the stream decoders: what RFC 9112 allows, and what captures do to it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

mod conversation;

use capture::{Body, HttpRequest, HttpResponse, Message};
use conversation::From::{Client, Server};
use conversation::{ACK, Conversation, RST, SYN, counter};

/// Method, target, bytes and index, or status, bytes and index.
fn short(messages: &[Message]) -> Vec<String> {
    messages
        .iter()
        .map(|m| match &m.body {
            Body::HttpRequest(r) => format!("{} {} {} #{}", r.method, r.target, r.bytes, r.index),
            Body::HttpResponse(r) => format!("{} {} #{}", r.status, r.bytes, r.index),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn requests(messages: &[Message]) -> Vec<&HttpRequest> {
    messages.iter().filter_map(|m| if let Body::HttpRequest(r) = &m.body { Some(&**r) } else { None }).collect()
}

fn responses(messages: &[Message]) -> Vec<&HttpResponse> {
    messages.iter().filter_map(|m| if let Body::HttpResponse(r) = &m.body { Some(&**r) } else { None }).collect()
}

#[test]
fn fields_times_and_addresses() {
    let mut c = Conversation::connected(8080);
    let begin = c.now;
    c.say(Client, "POST /a?b=c HTTP/1.1\r\nHOST: shop.example:8080\r\nuser-agent:  Curl/8  \r\nReferer: http://r/\r\n");
    c.say(Client, "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\nContent-Length: 4\r\n\r\nab");
    c.say(Client, "cd");
    c.say(Server, "HTTP/1.1 201 Created\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 0\r\n\r\n");
    let (seen, decoder) = c.finish();
    let [request, response] = &seen[..] else { panic!("{seen:?}") };
    let Body::HttpRequest(r) = &request.body else { panic!("{request:?}") };
    assert_eq!((r.method.as_str(), r.target.as_str()), ("POST", "/a?b=c"));
    assert_eq!(r.host.as_deref(), Some("shop.example:8080"));
    assert_eq!(r.user_agent.as_deref(), Some("Curl/8"));
    assert_eq!(r.referer.as_deref(), Some("http://r/"));
    // RFC 7617 section 2: the user, and nothing of the password.
    assert_eq!(r.username.as_deref(), Some("Aladdin"));
    assert!(!format!("{request:?}").contains("open sesame"));
    assert_eq!((request.first_ts.0, request.ts.0), (begin + 1_000, begin + 3_000));
    assert_eq!((request.pair.src_port, request.pair.dst_port), (40_000, 8080));
    let Body::HttpResponse(r) = &response.body else { panic!("{response:?}") };
    assert_eq!((r.status, r.content_type.as_deref()), (201, Some("text/html; charset=utf-8")));
    assert_eq!((response.pair.src_port, response.pair.dst_port), (8080, 40_000));
    assert_eq!((counter(&decoder, "http_requests"), counter(&decoder, "http_responses")), (1, 1));
}

#[test]
fn keep_alive_pipelining_and_every_framing() {
    let head = "HEAD /h HTTP/1.1\r\n\r\n";
    let get = "GET /g HTTP/1.1\r\n\r\n";
    let chunked = "PUT /c HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n";
    let odd = "mkcol http://absolute.example/x HTTP/1.0\n\n";
    let options = "OPTIONS * HTTP/1.1\r\n\r\n";
    let asked = [head, get, chunked, odd, options, get].concat();
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.0 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    ]
    .concat();
    let expected = vec![
        format!("HEAD /h {} #0", head.len()),
        format!("GET /g {} #1", get.len()),
        format!("PUT /c {} #2", chunked.len()),
        format!("mkcol http://absolute.example/x {} #3", odd.len()),
        format!("OPTIONS * {} #4", options.len()),
        format!("GET /g {} #5", get.len()),
        "200 40 #0".to_owned(),
        "304 48 #1".to_owned(),
        "200 62 #2".to_owned(),
        "204 27 #3".to_owned(),
        "200 46 #4".to_owned(),
        "200 32 #5".to_owned(),
    ];
    // Whatever the segments: the same messages.
    for size in [1, 2, 3, 7, 64, 10_000] {
        let mut c = Conversation::connected(80);
        for part in asked.as_bytes().chunks(size) {
            c.say(Client, part);
        }
        for part in answers.as_bytes().chunks(size) {
            c.say(Server, part);
        }
        c.close(Server);
        assert_eq!(short(&c.seen.0), expected, "segments of {size}");
    }
}

#[test]
fn segments_in_any_order_and_repeated() {
    let asked = "GET /order HTTP/1.1\r\nHost: a.example\r\n\r\nGET /second HTTP/1.1\r\nHost: b.example\r\n\r\n";
    let mut c = Conversation::connected(80);
    let start = c.next[0];
    let parts: Vec<(usize, &[u8])> = asked.as_bytes().chunks(9).enumerate().map(|(i, p)| (i * 9, p)).collect();
    // Backwards, so the very first segment comes last; then all again.
    for (at, part) in parts.iter().rev().chain(parts.iter()) {
        c.packet(Client, ACK, start.wrapping_add(*at as u32), 0, part, part.len() as u32);
    }
    let (seen, _) = c.finish();
    assert_eq!(short(&seen), ["GET /order 40 #0", "GET /second 41 #1"]);
}

#[test]
fn loss_within_a_body_does_not_lose_the_stream() {
    let mut c = Conversation::connected(80);
    c.say(Client, "GET /big HTTP/1.1\r\n\r\n");
    c.say(Server, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    c.say(Server, vec![b'x'; 1_000]);
    c.skip(Server, 3_000);
    c.say(Server, vec![b'x'; 1_000]);
    c.say(Client, "GET /next HTTP/1.1\r\n\r\n");
    c.say(Server, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let (seen, decoder) = c.finish();
    // The client acknowledged what the capture missed: it was on the wire.
    assert_eq!(short(&seen), ["GET /big 21 #0", "200 5041 #0", "GET /next 22 #1", "404 45 #1"]);
    assert_eq!((counter(&decoder, "stream_gaps"), counter(&decoder, "stream_gap_bytes")), (1, 3_000));
}

#[test]
fn loss_of_messages_keeps_responses_with_their_requests() {
    let mut c = Conversation::connected(80);
    c.say(Client, "GET /0 HTTP/1.1\r\n\r\n");
    c.say(Server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    // A request that was not captured: its response is numbered, the number of the request is left out.
    c.skip(Client, 19);
    c.say(Server, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    c.say(Client, "GET /2 HTTP/1.1\r\n\r\n");
    // A response that was not captured, then one to the next request.
    c.skip(Server, 60);
    c.say(Client, "GET /3 HTTP/1.1\r\n\r\n");
    c.say(Server, "HTTP/1.1 203 Else\r\nContent-Length: 0\r\n\r\n");
    let (seen, _) = c.finish();
    let numbers: Vec<_> = requests(&seen).iter().map(|r| (r.target.as_str(), r.index)).collect();
    assert_eq!(numbers, [("/0", 0), ("/2", 2), ("/3", 3)]);
    let numbers: Vec<_> = responses(&seen).iter().map(|r| (r.status, r.index)).collect();
    assert_eq!(numbers, [(200, 0), (201, 1), (203, 3)]);
}

#[test]
fn heads_that_were_cut_are_kept() {
    let mut c = Conversation::connected(80);
    let body = "x".repeat(600);
    let request = format!("POST /upload?id=1 HTTP/1.1\r\nHost: cut.example\r\nContent-Length: 600\r\n\r\n{body}");
    c.say_cut(Client, &request, 60);
    c.say_cut(Server, "HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 10\r\n\r\n0123456789", 45);
    c.say_cut(Client, "GET /after HTTP/1.1\r\nHost: cut.example\r\nCookie: abcdefg\r\n\r\n", 45);
    c.say_cut(Server, "HTTP/1.1 404 Not Found\r\n\r\n", 16);
    let (seen, _) = c.finish();
    let of = requests(&seen);
    assert_eq!(
        of.iter().map(|r| (r.target.as_str(), r.index)).collect::<Vec<_>>(),
        [("/upload?id=1", 0), ("/after", 1)]
    );
    assert_eq!(of.iter().map(|r| r.host.as_deref()).collect::<Vec<_>>(), [Some("cut.example"), Some("cut.example")]);
    // What was cut off was on the wire.
    assert_eq!(of[0].bytes, request.len() as u64);
    assert_eq!(responses(&seen).iter().map(|r| (r.status, r.index)).collect::<Vec<_>>(), [(200, 0), (404, 1)]);
    assert_eq!(responses(&seen)[0].content_type.as_deref(), Some("text/css"));
}

#[test]
fn a_request_without_end_is_given_out_at_the_end() {
    for how in ["reset", "finish", "idle", "time", "new connection"] {
        let mut c = Conversation::connected(80);
        c.say(Client, "GET /unfinished HTTP/1.1\r\nHost: h.exam");
        assert!(c.seen.0.is_empty());
        let last = c.now;
        match how {
            "reset" => c.packet(Server, RST, 0, 0, b"", 0),
            "idle" => {
                c.now += 1_000_000_000_000;
                c.port = 81;
                c.say(Client, "GET /other HTTP/1.1\r\n\r\n");
            }
            "time" => c.decoder.advance(capture::Nanos(last + 301_000_000_000), &mut c.seen),
            "new connection" => c.packet(Client, SYN, 77, 0, b"", 0),
            _ => c.decoder.finish(&mut c.seen),
        }
        let of: Vec<_> = requests(&c.seen.0).into_iter().filter(|r| r.target == "/unfinished").collect();
        assert_eq!(of.len(), 1, "{how}");
        assert_eq!(of[0].host.as_deref(), Some("h.exam"), "{how}");
        let message = c.seen.0.iter().find(|m| matches!(&m.body, Body::HttpRequest(r) if r.target == "/unfinished"));
        assert_eq!(message.unwrap().ts.0, last, "{how}: it ended when its last byte came");
    }
}

#[test]
fn a_tunnel_ends_http_and_what_is_in_it_is_read() {
    let mut c = Conversation::connected(3128);
    c.say(Client, "CONNECT inner.example:80 HTTP/1.1\r\nHost: inner.example:80\r\n\r\n");
    c.say(Server, "HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n");
    c.say(Client, "GET /inside HTTP/1.1\r\n\r\n");
    let (seen, _) = c.finish();
    assert_eq!(short(&seen), ["CONNECT inner.example:80 61 #0", "200 58 #0", "GET /inside 24 #0"]);
}

#[test]
fn a_request_of_http_0_9_is_a_request() {
    let mut c = Conversation::connected(80);
    c.say(Client, "GET /scripts/..%2f../cmd.exe?/c+dir\r\n");
    c.close(Client);
    let (seen, _) = c.finish();
    assert_eq!(short(&seen), ["GET /scripts/..%2f../cmd.exe?/c+dir 37 #0"]);
}

#[test]
fn an_upgrade_ends_http() {
    let mut c = Conversation::connected(80);
    c.say(Client, "GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    c.say(Server, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
    c.say(Client, [0x81, 0x85, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let (seen, decoder) = c.finish();
    assert_eq!(short(&seen), ["GET /chat 63 #0", "101 56 #0"]);
    assert_eq!(counter(&decoder, "http_unreadable"), 0);
}

#[test]
fn joined_in_the_middle_of_a_body() {
    let mut c = Conversation::new(80);
    c.say(Server, vec![b'z'; 1_000]);
    c.say(Client, "GET /1 HTTP/1.1\r\n\r\n");
    c.say(Server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let (seen, _) = c.finish();
    assert_eq!(short(&seen), ["GET /1 19 #0", "200 40 #0"]);
}

#[test]
fn a_response_whose_request_was_not_seen_does_not_answer_the_next() {
    let mut c = Conversation::new(80);
    c.say(Server, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    c.say(Client, "GET /1 HTTP/1.1\r\n\r\n");
    c.say(Server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let (seen, _) = c.finish();
    assert_eq!(short(&seen), ["500 40 #0", "GET /1 19 #1", "200 38 #1"]);
}

#[test]
fn bounds_hold_and_are_counted() {
    let mut c = Conversation::connected(80);
    c.say(Client, "GET /endless HTTP/1.1\r\nHost: long.example\r\n");
    for _ in 0..100 {
        c.say(Client, format!("X-Filler: {}\r\n", "f".repeat(1_000)));
    }
    let (seen, decoder) = c.finish();
    assert_eq!(requests(&seen).iter().map(|r| r.host.as_deref()).collect::<Vec<_>>(), [Some("long.example")]);
    assert_eq!(counter(&decoder, "http_head_over_limit"), 1);
}

#[test]
fn a_full_table_gives_up_the_oldest_and_counts_it() {
    let mut c = Conversation::new(80);
    c.decoder = capture::app::AppDecoder::new(capture::app::AppConfig { max_streams: 2, ..Default::default() });
    for port in 1..=3 {
        c.port = port;
        c.say(Client, format!("GET /{port} HTTP/1.1\r\n"));
    }
    assert_eq!(short(&c.seen.0), ["GET /1 17 #0"]);
    assert_eq!(counter(&c.decoder, "streams_evicted"), 1);
}

#[test]
fn what_is_not_http_is_left_alone() {
    let mut c = Conversation::connected(80);
    c.say(Client, "SSH-2.0-OpenSSH_9.2\r\n");
    c.say(Server, "220 mail.example ESMTP\r\n");
    c.say(Client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let (seen, decoder) = c.finish();
    assert!(seen.is_empty(), "{seen:?}");
    assert_eq!(counter(&decoder, "streams_opened"), 0);
}

/// Headers of the PROXY protocol, versions 1 and 2, the second with what a load balancer adds (TLVs).
fn proxy_headers() -> [Vec<u8>; 3] {
    let tlvs = [&[0x20, 0, 200][..], &[b'x'; 200]].concat();
    let length = 12 + tlvs.len() as u16;
    let addresses = [192, 0, 2, 1, 10, 0, 0, 2, 0xdc, 4, 0, 80];
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11";
    [
        b"PROXY TCP4 192.0.2.1 10.0.0.2 56324 80\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        [&head[..], &length.to_be_bytes(), &addresses, &tlvs].concat(),
    ]
}

#[test]
fn a_request_behind_a_proxys_header_is_found_however_it_is_cut() {
    let request = "GET /a HTTP/1.1\r\nHost: b.example\r\n\r\n";
    let expected = [format!("GET /a {} #0", request.len()), "204 27 #0".to_owned()];
    for header in proxy_headers() {
        let whole = [&header, request.as_bytes()].concat();
        let mut cuts: Vec<Vec<&[u8]>> = (1..whole.len()).map(|at| vec![&whole[..at], &whole[at..]]).collect();
        cuts.push(vec![&whole]);
        cuts.push(whole.chunks(1).collect());
        cuts.push(whole.chunks(7).collect());
        for parts in cuts {
            let mut c = Conversation::connected(8080);
            parts.iter().for_each(|part| c.say(Client, part));
            c.say(Server, "HTTP/1.1 204 No Content\r\n\r\n");
            let (seen, decoder) = c.finish();
            assert_eq!(short(&seen), expected, "{} parts, {:?}", parts.len(), parts[0]);
            assert_eq!(counter(&decoder, "proxy_headers"), 1);
        }
        // The request first.
        let mut c = Conversation::connected(8080);
        let at = c.skip(Client, header.len());
        c.say(Client, request);
        c.packet(Client, ACK, at, 0, &header, header.len() as u32);
        assert_eq!(short(&c.finish().0), expected[..1]);
    }
}

#[test]
fn one_header_is_passed_over_and_no_more() {
    let [line, _, binary] = proxy_headers();
    let get = b"GET / HTTP/1.1\r\n\r\n";
    for wrong in [[&line[..], &binary, get].concat(), [&b"PROXY TCP4 "[..], &[b'1'; 300], get].concat()] {
        let mut c = Conversation::connected(8080);
        c.say(Client, &wrong);
        assert_eq!(short(&c.finish().0), [""; 0]);
    }
    // A header that promises more than is waited for holds nothing back: what begins in a segment of its own is found.
    let mut c = Conversation::connected(8080);
    c.say(Client, [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"[..], &[0; 400]].concat());
    c.say(Client, get);
    assert_eq!(short(&c.finish().0), ["GET / 18 #0"]);
}
