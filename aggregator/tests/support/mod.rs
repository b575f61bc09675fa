//! Packets for tests, by hand.
#![allow(dead_code, unreachable_pub, reason = "each test file includes it and uses its part")]

use aggregator::record::{FlowRecord, Origin};
use aggregator::{Aggregator, AggregatorConfig};
use capture::{AddressPair, Fragment, Ip, IpVersion, Link, Nanos, Packet, Sink, Tcp};

pub const SECOND: i64 = 1_000_000_000;
/// 2024-01-01T00:00:00Z: tests speak of seconds after it.
pub const START: i64 = 1_704_067_200 * SECOND;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// A time, seconds after [`START`].
pub fn at(seconds: f64) -> Nanos {
    Nanos(START + (seconds * 1e9).round() as i64)
}

pub fn pair(proto: u8, src: [u8; 4], src_port: u16, dst: [u8; 4], dst_port: u16) -> AddressPair {
    AddressPair { src: Ip::v4(src), dst: Ip::v4(dst), src_port, dst_port, proto, version: IpVersion::V4 }
}

/// A packet of 100 IP bytes.
pub fn packet(ts: Nanos, pair: AddressPair) -> Packet {
    Packet {
        ts,
        pair,
        ip_bytes: 100,
        payload_bytes: 0,
        tcp: Tcp::default(),
        tos: 0,
        fragment: Fragment::Whole,
        link: Link::default(),
        tunnel: None,
        service: None,
    }
}

pub fn udp(seconds: f64, src: ([u8; 4], u16), dst: ([u8; 4], u16)) -> Packet {
    packet(at(seconds), pair(17, src.0, src.1, dst.0, dst.1))
}

pub fn aggregator() -> Aggregator {
    Aggregator::new(AggregatorConfig::new("test", Origin::Pcap))
}

/// All flow records of these packets, by canonical order.
pub fn flows(packets: impl IntoIterator<Item = Packet>) -> Vec<FlowRecord> {
    let mut aggregator = aggregator();
    for packet in packets {
        aggregator.packet(&packet);
    }
    aggregator.finish();
    let mut records = aggregator.take_records();
    records.sort();
    records.flow
}

pub const CLIENT: [u8; 4] = [192, 0, 2, 1];
pub const SERVER: [u8; 4] = [198, 51, 100, 7];

/// A TCP connection between CLIENT:40000 and SERVER:80, written down packet by packet. Sequence numbers are
/// kept by it, as real stacks would; `raw` sets all fields.
#[derive(Clone)]
pub struct Script {
    pub packets: Vec<Packet>,
    seconds: f64,
    next: [u32; 2],
}

/// Who sends.
#[derive(Clone, Copy)]
pub enum By {
    Client = 0,
    Server = 1,
}
pub use By::{Client, Server};

impl Script {
    pub fn new() -> Self {
        Self { packets: Vec::new(), seconds: 0.0, next: [1_000, 5_000_000] }
    }

    /// Time passes before the next packet.
    pub fn wait(mut self, seconds: f64) -> Self {
        self.seconds += seconds;
        self
    }

    /// The next packet has these flags and bytes of payload.
    pub fn send(mut self, by: By, flags: u8, payload: u32) -> Self {
        let seq = self.next[by as usize];
        let span = payload + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        if flags & RST == 0 {
            self.next[by as usize] = seq.wrapping_add(span);
        }
        self.raw(by, flags, payload, seq, 1_000)
    }

    /// A packet whose sequence number and window are given.
    pub fn raw(mut self, by: By, flags: u8, payload: u32, seq: u32, window: u16) -> Self {
        let to_server = pair(6, CLIENT, 40_000, SERVER, 80);
        let (pair, ack) = match by {
            Client => (to_server, self.next[1]),
            Server => (to_server.reversed(), self.next[0]),
        };
        let mut packet = packet(at(self.seconds), pair);
        packet.payload_bytes = payload;
        packet.ip_bytes = 40 + payload;
        packet.tcp = Tcp { flags, seq, ack: if flags & ACK == 0 { 0 } else { ack }, window };
        self.packets.push(packet);
        self.seconds += 0.01;
        self
    }

    /// The sender's next sequence number.
    pub fn seq(&self, by: By) -> u32 {
        self.next[by as usize]
    }

    /// Bytes that are sent but not captured.
    pub fn lose(mut self, by: By, bytes: u32) -> Self {
        self.next[by as usize] = self.next[by as usize].wrapping_add(bytes);
        self
    }

    pub fn handshake(self) -> Self {
        self.send(Client, SYN, 0).send(Server, SYN | ACK, 0).send(Client, ACK, 0)
    }

    /// (conn_state, history) of its only record.
    pub fn zeek(self) -> (&'static str, String) {
        let records = flows(self.packets);
        assert_eq!(records.len(), 1, "{records:#?}");
        let history = records[0].history.as_ref().map(|history| history.as_str().to_owned());
        (records[0].conn_state.unwrap(), history.unwrap_or_default())
    }
}
