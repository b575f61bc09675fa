//! TLS ClientHellos through the stream decoders.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

mod conversation;

use capture::app::{AppConfig, AppDecoder};
use capture::{AddressPair, Body, Fragment, Ip, IpVersion, Link, Nanos, Packet, Service, Tcp, TlsClientHello};
use conversation::From::{Client, Server};
use conversation::{ACK, Conversation, SYN, counter};

/// A handshake message: the example of the JA4 specification, with GREASE, a name and protocols.
fn hello(padding: usize) -> Vec<u8> {
    let ciphers: [u16; 16] = [
        0x3a3a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ];
    let name = b"www.example.com";
    let mut server_name = (name.len() as u16 + 3).to_be_bytes().to_vec();
    server_name.push(0);
    server_name.extend((name.len() as u16).to_be_bytes());
    server_name.extend(name);
    let extensions: [(u16, Vec<u8>); 18] = [
        (0x1a1a, vec![]),
        (0x001b, vec![2, 0, 2]),
        (0x0000, server_name),
        (0x0033, vec![0, 0]),
        (0x0010, b"\x00\x0c\x02h2\x08http/1.1".to_vec()),
        (0x4469, vec![0, 3, 2, b'h', b'2']),
        (0x0017, vec![]),
        (0x002d, vec![1, 1]),
        (0x000d, [&[0, 16][..], &[4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1]].concat()),
        (0x0005, vec![1, 0, 0, 0, 0]),
        (0x0023, vec![]),
        (0x0012, vec![]),
        (0x002b, vec![7, 0xba, 0xba, 3, 4, 3, 3, 0]),
        (0xff01, vec![0]),
        (0x000b, vec![1, 0]),
        (0x000a, vec![0, 2, 0, 29]),
        (0x0015, vec![0; padding]),
        (0xfafa, vec![0]),
    ];
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat())
        .collect();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(32);
    body.extend([8; 32]);
    body.extend((ciphers.len() as u16 * 2).to_be_bytes());
    body.extend(ciphers.iter().flat_map(|c| c.to_be_bytes()));
    body.extend([1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat()
}

/// A handshake message in records of at most `size`.
fn records(handshake: &[u8], size: usize) -> Vec<u8> {
    handshake
        .chunks(size)
        .flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat())
        .collect()
}

fn only_hello(c: Conversation) -> TlsClientHello {
    let (seen, decoder) = c.finish();
    let [message] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(counter(&decoder, "tls_client_hellos"), 1);
    assert_eq!((message.pair.src_port, message.pair.dst_port), (40_000, 8_443));
    match &message.body {
        Body::TlsClientHello(hello) => (**hello).clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_and_fingerprint_however_it_is_cut() {
    let handshake = hello(1_800);
    for (record, segment) in [(20_000, 20_000), (20_000, 1_200), (500, 1_448), (100, 64), (1, 3), (7, 1)] {
        let mut c = Conversation::connected(8_443);
        for part in records(&handshake, record).chunks(segment) {
            c.say(Client, part);
        }
        let hello = only_hello(c);
        assert_eq!(hello.version, 0x0304, "records of {record}, segments of {segment}");
        assert_eq!(hello.sni.as_deref(), Some("www.example.com"));
        assert_eq!(hello.alpn.as_deref(), Some("h2,http/1.1"));
        assert_eq!(hello.ja4.as_deref(), Some("t13d1516h2_8daaf6152771_e5627efa2ab1"));
        assert_eq!(hello.bytes, handshake.len() as u64);
    }
}

#[test]
fn segments_swapped() {
    let handshake = records(&hello(1_800), 20_000);
    let mut c = Conversation::connected(8_443);
    let (first, second) = handshake.split_at(1_400);
    let start = c.next[0];
    c.packet(Client, ACK, start.wrapping_add(1_400), 0, second, second.len() as u32);
    c.packet(Client, ACK, start, 0, first, first.len() as u32);
    assert_eq!(only_hello(c).ja4.as_deref(), Some("t13d1516h2_8daaf6152771_e5627efa2ab1"));
}

#[test]
fn what_was_captured_of_it_is_kept() {
    let handshake = records(&hello(600), 20_000);
    let mut c = Conversation::connected(8_443);
    c.say_cut(Client, &handshake, 300);
    let hello = only_hello(c);
    assert_eq!((hello.sni.as_deref(), hello.version), (Some("www.example.com"), 0x0304));
    assert_eq!(hello.ja4, None, "a fingerprint of a part would be another");
    assert_eq!(hello.bytes, handshake.len() as u64 - 5);
}

#[test]
fn a_hello_without_extensions() {
    let mut body = vec![3, 0];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0, 5, 0, 10, 1, 0]);
    let handshake = [&[1, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat();
    let mut c = Conversation::connected(8_443);
    c.say(Client, records(&handshake, 100));
    let hello = only_hello(c);
    assert_eq!((hello.version, hello.sni, hello.alpn), (0x0300, None, None));
    assert!(hello.ja4.unwrap().starts_with("ts3i020000_"));
}

#[test]
fn only_the_hello_is_followed() {
    let mut c = Conversation::connected(8_443);
    c.say(Client, records(&hello(10), 20_000));
    c.say(Server, [22, 3, 3, 0, 4, 2, 0, 0, 0]);
    c.say(Client, [23, 3, 3, 0, 1, 0]);
    let (seen, decoder) = c.finish();
    assert_eq!(seen.len(), 1);
    assert_eq!(counter(&decoder, "streams_opened"), 1);
}

#[test]
fn a_hello_that_claims_too_much_is_bounded() {
    let mut c = Conversation::connected(8_443);
    c.say(Client, [&[22, 3, 1, 0xff, 0xff, 1, 0xff, 0xff, 0xff][..], &[0; 1_000]].concat());
    for _ in 0..100 {
        c.say(Client, [0; 1_000]);
    }
    let (seen, _) = c.finish();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn a_hello_sent_again_is_one_hello() {
    let mut c = Conversation::connected(8_443);
    let handshake = records(&hello(10), 20_000);
    let start = c.next[0];
    c.say(Client, &handshake);
    c.packet(Client, ACK, start, 0, &handshake, handshake.len() as u32);
    assert_eq!(c.seen.0.len(), 1);
    // On the same ports after another SYN it is another.
    c.packet(Client, SYN, start.wrapping_sub(1), 0, b"", 0);
    c.packet(Client, ACK, start, 0, &handshake, handshake.len() as u32);
    assert_eq!(c.seen.0.len(), 2);
}

/// HAProxy's `send-proxy` and `send-proxy-v2` before TLS: the flow is TLS's, the hello is found.
#[test]
fn a_hello_behind_a_proxys_header() {
    let handshake = hello(1_800);
    let binary = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &[1, 1, 1, 1, 2, 2, 2, 2, 0x30, 0x39, 1, 0xbb][..]].concat();
    for header in [b"PROXY TCP4 1.1.1.1 2.2.2.2 12345 443\r\n".to_vec(), binary] {
        let whole = [&header, &records(&handshake, 20_000)[..]].concat();
        for size in [1, 13, header.len(), header.len() + 2, 1_400, 20_000] {
            let mut c = Conversation::connected(8_443);
            whole.chunks(size).for_each(|part| c.say(Client, part));
            let hello = only_hello(c);
            assert_eq!((hello.sni.as_deref(), hello.bytes), (Some("www.example.com"), handshake.len() as u64));
            assert_eq!(hello.ja4.as_deref(), Some("t13d1516h2_8daaf6152771_e5627efa2ab1"));
        }
        let packet = Packet {
            ts: Nanos(0),
            pair: AddressPair {
                src: Ip::v4([10, 0, 0, 1]),
                dst: Ip::v4([10, 0, 0, 2]),
                src_port: 40_000,
                dst_port: 8_443,
                proto: 6,
                version: IpVersion::V4,
            },
            ip_bytes: 0,
            payload_bytes: whole.len() as u32,
            tcp: Tcp::default(),
            tos: 0,
            fragment: Fragment::Whole,
            link: Link::default(),
            tunnel: None,
            service: None,
        };
        let decoder = AppDecoder::new(AppConfig::default());
        assert_eq!(decoder.recognise(&packet, &whole), Some(Service::Tls));
        assert_eq!(decoder.recognise(&packet, &header), None);
    }
}
