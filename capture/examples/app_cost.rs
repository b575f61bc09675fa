//! What the application decoders cost, in nanoseconds of CPU time a packet (Linux only):
//! `cargo run --release -p capture --example app_cost`.

use capture::app::{AppConfig, AppDecoder};
use capture::{AddressPair, Fragment, Ip, IpVersion, Link, Message, Nanos, Packet, Sink, Tcp};
use std::hint::black_box;

#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, message: Message) {
        black_box(&message);
        self.0 += 1;
    }
}

fn packet(proto: u8, src_port: u16, dst_port: u16, payload: &[u8]) -> Packet {
    Packet {
        ts: Nanos(1_700_000_000_000_000_000),
        pair: AddressPair {
            src: Ip::v4([10, 1, 2, 3]),
            dst: Ip::v4([192, 0, 2, 53]),
            src_port,
            dst_port,
            proto,
            version: IpVersion::V4,
        },
        ip_bytes: payload.len() as u32 + 40,
        payload_bytes: payload.len() as u32,
        tcp: Tcp { flags: 0x10, seq: 1, ack: 1, window: 512 },
        tos: 0,
        fragment: Fragment::Whole,
        link: Link::default(),
        tunnel: None,
        service: None,
    }
}

/// Nanoseconds this thread has run, which other programs on the machine do not add to.
fn cpu_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with scheduler statistics");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds come first")
}

/// The least of several runs: the machine may be busy.
fn measure(name: &str, mut packets: Vec<(Packet, Vec<u8>)>) {
    let rounds = 2_000_000 / packets.len();
    let mut least = f64::MAX;
    for _ in 0..7 {
        let mut decoder = AppDecoder::new(AppConfig::default());
        let mut sink = Count::default();
        let start = cpu_time();
        for _ in 0..rounds {
            for (packet, payload) in &mut packets {
                packet.service = decoder.recognise(packet, payload);
                decoder.handle_payload(packet, payload, 100, &mut sink);
            }
        }
        let per_packet = (cpu_time() - start) / (rounds * packets.len()) as f64;
        least = least.min(per_packet);
        black_box(sink.0);
    }
    println!("{name}: {least:.1} ns");
}

fn main() {
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x03www\x07example\x03com\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00".to_vec();
    let mut response = query[..12].to_vec();
    response[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 3]);
    response.extend_from_slice(&query[12..33]);
    response.extend_from_slice(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x01\x2c\x00\x06\x03cdn\xc0\x10");
    for last in [1, 2] {
        response.extend_from_slice(b"\xc0\x2d\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xcb\x00\x71");
        response.push(last);
    }
    response.extend_from_slice(&query[33..]);
    measure("DNS query (UDP, EDNS)", vec![(packet(17, 40_000, 53, &query), query)]);
    measure("DNS response (CNAME, 2 A, EDNS)", vec![(packet(17, 53, 40_000, &response), response)]);

    // Ports spread over many connections, payload of encrypted traffic and of none.
    let many = |payload: &[u8]| -> Vec<_> {
        (0..1024).map(|i| (packet(6, 1024 + i, 443, payload), payload.to_vec())).collect()
    };
    let mut record = vec![0x17, 3, 3, 0x05, 0xa0];
    record.resize(1_400, 0xa5);
    measure("TCP payload of no interest (TLS application data, 1,024 connections)", many(&record));
    let binary = [0x8f; 1_400];
    measure("TCP payload of no interest (binary)", many(&binary));
    measure("TCP payload of no interest (text)", many("lorem ipsum dolor sit amet ".repeat(50).as_bytes()));
    measure("TCP without payload", many(&[]));
    let udp: Vec<_> = (0..1024).map(|i| (packet(17, 1024 + i, 6_881, &binary), binary.to_vec())).collect();
    measure("UDP payload of no interest", udp);

    let request = b"GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n\r\n".to_vec();
    let mut requests = Vec::new();
    for i in 0..1024_u32 {
        let mut p = packet(6, 50_000, 80, &request);
        p.tcp.seq = 1 + i * request.len() as u32;
        requests.push((p, request.clone()));
    }
    // The sequence begins anew each round: SYN.
    let mut syn = packet(6, 50_000, 80, &[]);
    syn.tcp = Tcp { flags: 2, seq: 0, ack: 0, window: 0 };
    requests.insert(0, (syn, Vec::new()));
    let mut fin = packet(6, 50_000, 80, &[]);
    fin.tcp = Tcp { flags: 4, seq: 0, ack: 0, window: 0 };
    requests.push((fin, Vec::new()));
    measure("HTTP request (keep-alive)", requests);
}
