use super::*;
use crate::{Fragment, Ip, IpVersion, Link, Tcp, TlsClientHello};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The CRYPTO frame of RFC 9001, A.2.
const CRYPTO: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c000004130113020100\
    00c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e00050005010000000000330026\
    0024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e0403050306030203080408\
    050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e515708\
    06048000ffff";
const JA4: &str = "q13d0211an_62ed6f6ca7ad_4d634acda6c0";
const ID: &str = "8394c8f03e515708";

fn hello() -> Vec<u8> {
    hex(CRYPTO)[4..].to_vec()
}

fn datagram(src_port: u16) -> Packet {
    let (src, dst) = (Ip::v4([10, 0, 0, 1]), Ip::v4([192, 0, 2, 1]));
    let pair = AddressPair { src, dst, src_port, dst_port: 443, proto: 17, version: IpVersion::V4 };
    Packet {
        ts: Nanos(1_000),
        pair,
        ip_bytes: 1_228,
        payload_bytes: 1_200,
        tcp: Tcp::default(),
        tos: 0,
        fragment: Fragment::Whole,
        link: Link::default(),
        tunnel: None,
        service: None,
    }
}

/// A client's Initial packet to a connection id, padded.
fn initial(version: u32, keys: &InitialKeys, to: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
    let mut payload = frames.to_vec();
    payload.resize(payload.len().max(64), 0);
    let first = if version == 0x6b33_43cf { 0xd0 } else { 0xc0 };
    let mut head = vec![first];
    head.extend_from_slice(&version.to_be_bytes());
    head.push(to.len() as u8);
    head.extend_from_slice(to);
    head.extend_from_slice(&[2, 7, 7, 0]);
    head.extend_from_slice(&(0x4000 | (payload.len() + 17) as u16).to_be_bytes());
    head.push(number);
    keys.seal(&head, number.into(), 1, &payload)
}

fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let number = |n: usize| (0x4000 | n as u16).to_be_bytes();
    [&[6][..], &number(offset), &number(data.len()), data].concat()
}

fn client(version: u32, id: &[u8]) -> InitialKeys {
    InitialKeys::new(Version::of(version).unwrap(), id, Sender::Client).unwrap()
}

#[derive(Default)]
struct Reader {
    quic: Quic,
    counters: Counters,
    hellos: Vec<TlsClientHello>,
}

impl Reader {
    fn take(&mut self, packet: &Packet, payload: &[u8]) {
        assert!(is_long(payload));
        let hellos = &mut self.hellos;
        self.quic.handle(packet, payload, &mut self.counters, |message| match message.body {
            Body::TlsClientHello(hello) => hellos.push(*hello),
            other => panic!("{other:?}"),
        });
    }

    fn finish(&mut self) {
        let hellos = &mut self.hellos;
        self.quic.finish(&mut self.counters, &mut |message| match message.body {
            Body::TlsClientHello(hello) => hellos.push(*hello),
            other => panic!("{other:?}"),
        });
        assert_eq!(self.quic.held, 0);
    }
}

/// RFC 9001, A.2: the client's Initial packet.
fn rfc_9001_a2() -> Vec<u8> {
    let mut payload = hex(CRYPTO);
    payload.resize(1_162, 0);
    let packet = client(1, &hex(ID)).seal(&hex("c300000001088394c8f03e5157080000449e00000002"), 2, 4, &payload);
    // The packet of the appendix: its beginning and its tag, which depends on every byte.
    let begins = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c";
    assert!(packet.starts_with(&hex(begins)));
    assert!(packet.ends_with(&hex("e221af44860018ab0856972e194cd934")));
    assert_eq!(packet.len(), 1_200);
    packet
}

#[test]
fn the_client_s_initial_of_rfc_9001() {
    let mut reader = Reader::default();
    reader.take(&datagram(50_000), &rfc_9001_a2());
    let hello = &reader.hellos[0];
    assert_eq!((hello.sni.as_deref(), hello.alpn.as_deref()), (Some("example.com"), Some("alpn")));
    assert_eq!((hello.version, hello.bytes), (0x0304, 241));
    // By FoxIO's specification, computed apart from this code.
    assert_eq!(hello.ja4.as_deref(), Some(JA4));
    assert_eq!((reader.counters.quic_initials, reader.counters.quic_client_hellos), (1, 1));
}

#[test]
fn the_server_s_initials_of_rfc_9001_and_9369() {
    let plain = hex(
        "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a1200130100002e\
         00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304",
    );
    for (version, packet) in [
        (
            1,
            "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede\
             4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06ed\
             bb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee",
        ),
        (
            0x6b33_43cf,
            "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf8726301791535823\
             0035f7fd3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2c984c707f0a0812d8cd5\
             a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca84bed8521e2e140",
        ),
    ] {
        let packet = hex(packet);
        let keys = InitialKeys::new(Version::of(version).unwrap(), &hex(ID), Sender::Server).unwrap();
        let found: Vec<_> = packet::initials(&packet).collect();
        let &[Initial { to: [], number_at: 18, bytes, .. }] = &found[..] else { panic!("{found:?}") };
        assert_eq!(keys.open(bytes, 18).unwrap(), plain, "{version:x}");
    }
}

#[test]
fn a_hello_in_pieces_out_of_order_over_packets_and_coalesced() {
    for version in [1, 0x6b33_43cf, 0xff00_001d, 0xface_b002] {
        let (hello, id) = (hello(), [9; 12]);
        let keys = client(version, &id);
        let mut reader = Reader::default();
        let (a, b, c) = (&hello[..50], &hello[50..130], &hello[130..]);
        // Pieces of one packet are out of order, one comes twice, the last comes first.
        let last = initial(version, &keys, &id, 1, &crypto(130, c));
        let first = initial(
            version,
            &keys,
            &id,
            0,
            &[crypto(50, b), vec![1, 0, 0], crypto(0, a), crypto(20, &hello[20..60])].concat(),
        );
        reader.take(&datagram(50_000), &[last, first].concat());
        reader.finish();
        assert_eq!(reader.hellos.len(), 1, "{version:x}");
        let hello = &reader.hellos[0];
        assert_eq!(hello.sni.as_deref(), Some("example.com"));
        assert_eq!(hello.ja4.as_deref(), Some(JA4));
        assert_eq!(reader.counters.quic_initials, 2);
    }
}

#[test]
fn later_initials_go_to_the_server_s_id_and_a_retry_begins_anew() {
    let (hello, id, server_id) = (hello(), [9; 8], [3; 8]);
    let keys = client(1, &id);
    let mut reader = Reader::default();
    reader.take(&datagram(1), &initial(1, &keys, &id, 0, &crypto(0, &hello[..100])));
    // What the server answers is no hello and no fault.
    let answer = Packet { pair: datagram(1).pair.reversed(), ..datagram(1) };
    let server = InitialKeys::new(Version::of(1).unwrap(), &id, Sender::Server).unwrap();
    reader.take(&answer, &initial(1, &server, &[], 0, &crypto(0, b"\x02\0\0\0")));
    reader.take(&datagram(1), &initial(1, &keys, &server_id, 1, &crypto(100, &hello[100..])));
    assert_eq!((reader.hellos.len(), reader.counters.quic_initials_unreadable), (1, 0));
    // After a Retry the keys are those of the id that the server chose.
    reader.take(&datagram(2), &initial(1, &keys, &id, 0, &crypto(0, &hello[..100])));
    reader.take(&datagram(2), &initial(1, &client(1, &server_id), &server_id, 1, &crypto(0, &hello)));
    assert_eq!(reader.hellos.len(), 2);
    reader.finish();
    assert_eq!(reader.hellos.len(), 2);
}

#[test]
fn a_hello_that_never_ends_is_given_in_part() {
    let (hello, id) = (hello(), [9; 8]);
    let mut reader = Reader::default();
    reader.take(&datagram(1), &initial(1, &client(1, &id), &id, 0, &crypto(0, &hello[..120])));
    let late = Packet { ts: Nanos(IDLE + 2_000), ..datagram(2) };
    reader.take(&late, &initial(1, &client(1, &id), &id, 0, &crypto(0, &hello)));
    assert_eq!(reader.hellos.len(), 2);
    assert_eq!((reader.hellos[0].sni.as_deref(), &reader.hellos[0].ja4), (Some("example.com"), &None));
}

#[test]
fn what_is_no_client_s_is_counted() {
    let mut reader = Reader::default();
    let mut packet = rfc_9001_a2();
    packet[600] ^= 1;
    reader.take(&datagram(1), &packet);
    for len in 0..packet.len() {
        if is_long(&packet[..len]) {
            reader.take(&datagram(1), &packet[..len]);
        }
    }
    assert!(reader.hellos.is_empty());
    assert_eq!(reader.counters.quic_initials_unreadable, reader.counters.quic_initials);
    assert!(reader.quic.connections.is_empty());
}

#[test]
fn a_flood_of_connections_is_bounded() {
    let (hello, id) = (hello(), [9; 8]);
    let packet = initial(1, &client(1, &id), &id, 0, &crypto(0, &hello[..60]));
    let mut reader = Reader::default();
    for port in 0..MAX_CONNECTIONS as u16 + 100 {
        reader.take(&datagram(port), &packet);
    }
    assert_eq!((reader.quic.connections.len(), reader.quic.order.len()), (MAX_CONNECTIONS, MAX_CONNECTIONS));
    assert_eq!(reader.counters.quic_evicted, 100);
    // Each claims 32 KiB by its last byte; held is what they claim, and that is bounded, too.
    let far = initial(1, &client(1, &id), &id, 0, &crypto(16_000, &hello[..60]));
    for port in 0..2_000 {
        reader.take(&datagram(port), &far);
    }
    assert!(reader.quic.held <= MAX_HELD);
    reader.finish();
}
