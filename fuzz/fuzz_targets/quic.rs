//! QUIC datagrams of one conversation through the application decoder: no more hellos than Initial packets.
#![no_main]

use capture::app::{AppConfig, AppDecoder};
use capture::{AddressPair, Body, Fragment, Ip, IpVersion, Link, Message, Nanos, Packet, Sink, Tcp};

#[derive(Default)]
struct Hellos(u64);

impl Sink for Hellos {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, message: Message) {
        assert!(matches!(message.body, Body::TlsClientHello(_)));
        assert!(message.first_ts <= message.ts);
        self.0 += 1;
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut decoder = AppDecoder::new(AppConfig::default());
    let mut hellos = Hellos::default();
    // Each datagram after two bytes: its length, and its port in the upper bits.
    let (mut rest, mut now) = (data, 0_i64);
    while let Some((head, after)) = rest.split_first_chunk::<2>() {
        let head = u16::from_be_bytes(*head);
        let (datagram, after) = after.split_at(usize::from(head & 0x7ff).min(after.len()));
        let pair = AddressPair {
            src: Ip::v4([10, 0, 0, 1]),
            dst: Ip::v4([192, 0, 2, 1]),
            src_port: 40_000 + (head >> 11),
            dst_port: 443,
            proto: 17,
            version: IpVersion::V4,
        };
        let packet = Packet {
            ts: Nanos(now),
            pair,
            ip_bytes: 28 + datagram.len() as u32,
            payload_bytes: datagram.len() as u32,
            tcp: Tcp::default(),
            tos: 0,
            fragment: Fragment::Whole,
            link: Link::default(),
            tunnel: None,
            service: None,
        };
        decoder.handle_payload(&packet, datagram, 42 + datagram.len() as u32, &mut hellos);
        now += 1_000_000_000;
        rest = after;
    }
    decoder.finish(&mut hellos);
    let counters = decoder.counters();
    let value = |name: &str| counters.iter().find(|(known, _)| *known == name).map_or(0, |(_, value)| *value);
    assert_eq!(value("quic_client_hellos"), hellos.0);
    assert!(hellos.0 <= value("quic_initials"));
});
