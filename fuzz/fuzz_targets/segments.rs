//! What a fuzzer's bytes mean to the stream decoders: a conversation in segments of any order.

use capture::app::{AppConfig, AppDecoder};
use capture::{AddressPair, Body, Fragment, Ip, IpVersion, Link, Message, Nanos, Packet, Sink, Tcp};

/// Checks every message it is given.
#[derive(Default)]
struct Check {
    messages: u64,
}

impl Sink for Check {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, message: Message) {
        self.messages += 1;
        assert!(message.first_ts <= message.ts);
        if let Body::Dns(dns) = &message.body {
            let names = dns.questions.iter().flat_map(|q| [&q.name, &q.name_wire]);
            let records = dns.answers.iter().chain(&dns.authorities).flat_map(|r| [&r.name, &r.data]);
            for text in names.chain(records) {
                assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
            }
            assert!(dns.questions.iter().all(|q| q.name == q.name_wire.to_ascii_lowercase()));
        }
    }
}

fn packet(src_port: u16, dst_port: u16, proto: u8) -> Packet {
    Packet {
        ts: Nanos(0),
        pair: AddressPair {
            src: Ip::v4([10, 0, 0, 1]),
            dst: Ip::v4([10, 0, 0, 2]),
            src_port,
            dst_port,
            proto,
            version: IpVersion::V4,
        },
        ip_bytes: 0,
        payload_bytes: 0,
        tcp: Tcp::default(),
        tos: 0,
        fragment: Fragment::Whole,
        link: Link::default(),
        tunnel: None,
        service: None,
    }
}

/// One datagram; the first byte says how much of it was cut off.
pub(crate) fn datagram(data: &[u8], port: u16) {
    let Some((&cut, payload)) = data.split_first() else { return };
    let mut decoder = AppDecoder::new(AppConfig::default());
    let mut packet = packet(40_000, port, 17);
    packet.payload_bytes = payload.len() as u32 + u32::from(cut);
    let _ = decoder.recognise(&packet, payload);
    decoder.handle_payload(&packet, payload, 1_500, &mut Check::default());
}

/// A conversation: operations of five bytes (side and flags, jump, length, cut), each with its data.
pub(crate) fn conversation(mut data: &[u8], port: u16) {
    // Small bounds, so that they are met.
    let config = AppConfig {
        max_streams: 4,
        max_buffered_bytes: 16 << 10,
        stream_idle: Nanos(1_000_000),
        ..AppConfig::default()
    };
    let mut decoder = AppDecoder::new(config);
    let mut check = Check::default();
    let mut next = [u32::MAX - 40, 7];
    let mut now = 0;
    while let Some((&[side, flags, jump, low, cut], rest)) = data.split_first_chunk::<5>() {
        let len = usize::from(low) | usize::from(side & 0x70) << 4;
        let (payload, rest) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        data = rest;
        let from = usize::from(side & 1);
        let mut packet = packet(40_000 + u16::from(side >> 1 & 7), port, 6);
        if from == 1 {
            packet.pair = packet.pair.reversed();
        }
        // Mostly in order; else back or ahead by a little, or by much.
        let shift = match jump {
            0..=199 => 0,
            200..=239 => i32::from(jump) - 220,
            _ => (i32::from(jump) - 247) << 12,
        };
        packet.tcp.seq = next[from].wrapping_add_signed(shift);
        packet.tcp.ack = next[1 - from];
        packet.tcp.flags = if flags < 200 { 16 } else { flags & 0x17 };
        packet.payload_bytes = payload.len() as u32 + u32::from(if cut < 200 { 0 } else { cut });
        next[from] = next[from].wrapping_add(packet.payload_bytes);
        now += i64::from(flags) * 100;
        packet.ts = Nanos(now);
        let _ = decoder.recognise(&packet, payload);
        decoder.handle_payload(&packet, payload, 60, &mut check);
    }
    decoder.finish(&mut check);
    let counters = decoder.counters();
    let of = |names: [&str; 4]| counters.iter().filter(|(name, _)| names.contains(name)).map(|(_, n)| n).sum::<u64>();
    let given = of(["dns_messages", "http_requests", "http_responses", "tls_client_hellos"]);
    assert_eq!(given, check.messages, "every message is counted once");
}
