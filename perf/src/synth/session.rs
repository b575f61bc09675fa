//! A session: one connection or exchange, described by what its two ends say and when.
//!
//! Everything the generator makes, packets and records alike, is made of sessions, so both tell the same story.

use std::net::IpAddr;
use std::sync::Arc;

use super::dns::Dns;
use super::http::{Request, Response};
use super::tls::{self, Client, Hello};

/// Nanoseconds of a microsecond, a millisecond and a second.
pub(crate) const MICRO: i64 = 1_000;
pub(crate) const MILLI: i64 = 1_000_000;
pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// One end of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct End {
    pub(crate) ip: IpAddr,
    /// ICMP: the identifier on the client's side.
    pub(crate) port: u16,
    pub(crate) mac: [u8; 6],
    /// TTL or hop limit as seen at the tap.
    pub(crate) ttl: u8,
}

/// Who speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What carries the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transport {
    Tcp(Opening, Closing),
    Udp,
    /// Echo request and reply (RFC 792, RFC 4443).
    Echo,
}

impl Transport {
    /// An ordinary connection, closed by the client.
    pub(crate) const TCP: Self = Self::Tcp(Opening::Handshake, Closing::Fin(Side::Client));
}

/// How a TCP connection begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opening {
    /// SYN, SYN+ACK, ACK.
    Handshake,
    /// SYN and this many repetitions, no answer.
    Unanswered(u8),
    /// SYN, RST+ACK.
    Refused,
    /// SYN, SYN+ACK, RST: a scanner's half-open probe.
    HalfOpen,
}

/// How a TCP connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Closing {
    /// FIN by this side, FIN by the other, ACK.
    Fin(Side),
    /// RST by this side.
    Reset(Side),
    /// Nothing: left open.
    Left,
}

/// A step of the conversation.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Silence, nanoseconds.
    Wait(i64),
    /// One side sends; segments are `gap` nanoseconds apart. On UDP one datagram.
    Send { from: Side, data: Data, gap: i64 },
    /// Datagrams in turn from client and server (or the client alone), sizes uniform in the ranges.
    Stream { count: u32, gap: i64, client: (u16, u16), server: Option<(u16, u16)> },
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Bytes(Arc<[u8]>),
    /// Filler of this many bytes.
    Fill(u64),
    /// Filler in protocol frames, this many bytes with the frames' headers.
    Framed(Framing, u64),
    /// TLS ClientHello record.
    Hello(Box<Hello>),
    /// ServerHello, ChangeCipherSpec.
    ServerHello(Client, u64),
    Request(Box<Request>),
    Response {
        response: Box<Response>,
        to_connect: bool,
    },
    Dns(Box<Dns>),
    /// With the two-byte length of DNS over TCP.
    DnsTcp(Box<Dns>),
    /// ICMP echo: sequence number and payload length.
    Echo(u16, u16),
}

/// Framing of encrypted or opaque filler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    /// TLS application data records (RFC 8446 5.1).
    Tls,
    /// SMB 3 TRANSFORM_HEADER messages over the direct TCP transport (MS-SMB2 2.2.41).
    Smb,
}

impl Framing {
    const SMB_HEADER: u64 = 4 + 52;

    /// Bytes of a frame's header, and of the largest frame with it.
    pub(crate) const fn sizes(self) -> (u64, u64) {
        match self {
            Self::Tls => (5, 5 + 16_384),
            Self::Smb => (Self::SMB_HEADER, Self::SMB_HEADER + 65_536),
        }
    }

    /// At least a header and some content in every frame: the total is raised where the last would be too short.
    pub(crate) const fn fit(self, bytes: u64) -> u64 {
        let (header, frame) = self.sizes();
        let least = header + 32;
        let tail = bytes % frame;
        if bytes < least {
            least
        } else if tail != 0 && tail < least {
            bytes + least - tail
        } else {
            bytes
        }
    }

    /// The header of a frame with `content` bytes.
    fn header(self, content: u64, out: &mut [u8; 64]) {
        match self {
            Self::Tls => {
                out[..3].copy_from_slice(&[23, 3, 3]);
                out[3..5].copy_from_slice(&(content as u16).to_be_bytes());
            }
            Self::Smb => {
                out[..4].copy_from_slice(&((content + 52) as u32).to_be_bytes());
                out[4..8].copy_from_slice(b"\xfdSMB");
                // Signature and nonce look random, the rest of the header is in the clear.
                for (i, b) in out[8..40].iter_mut().enumerate() {
                    *b = (content as u8).wrapping_mul(31).wrapping_add((i as u8).wrapping_mul(59));
                }
                out[40..44].copy_from_slice(&(content as u32).to_le_bytes());
                out[44..46].copy_from_slice(&[0, 0]);
                out[46..48].copy_from_slice(&1u16.to_le_bytes());
                out[48..56].copy_from_slice(&0x0000_0400_0000_0019_u64.to_le_bytes());
            }
        }
    }

    /// Writes the headers that fall into bytes `from..` of a message of `total` bytes over `out`.
    pub(crate) fn overlay(self, from: u64, total: u64, out: &mut [u8]) {
        let (header, frame) = self.sizes();
        let mut start = from / frame * frame;
        while start < from + out.len() as u64 {
            let mut bytes = [0; 64];
            self.header(frame.min(total - start) - header, &mut bytes);
            for (i, b) in bytes.iter().enumerate().take(header as usize) {
                if let Some(slot) = (start + i as u64).checked_sub(from).and_then(|at| out.get_mut(at as usize)) {
                    *slot = *b;
                }
            }
            start += frame;
        }
    }
}

impl Data {
    /// Filler length and framing that follow the encoded bytes. Appends what has bytes of its own to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> (u64, Option<Framing>) {
        match self {
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Fill(n) => return (*n, None),
            Self::Framed(framing, n) => return (framing.fit(*n), Some(*framing)),
            Self::Hello(hello) => hello.write(out),
            Self::ServerHello(client, nonce) => tls::write_server_hello(*client, *nonce, out),
            Self::Request(request) => {
                request.head(out);
                return (request.body, None);
            }
            Self::Response { response, to_connect } => {
                response.head(*to_connect, out);
                let silent = matches!(response.status, 204 | 304) || *to_connect;
                return (if silent { 0 } else { response.body }, None);
            }
            Self::Dns(message) => message.write(out),
            Self::DnsTcp(message) => {
                let at = out.len();
                out.extend_from_slice(&[0, 0]);
                message.write(out);
                let length = (out.len() - at - 2) as u16;
                out[at..at + 2].copy_from_slice(&length.to_be_bytes());
            }
            Self::Echo(_, n) => return (u64::from(*n), None),
        }
        (0, None)
    }
}

/// A connection or exchange.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// When its first packet passes the tap, nanoseconds since the epoch.
    pub(crate) start: i64,
    pub(crate) client: End,
    pub(crate) server: End,
    pub(crate) transport: Transport,
    /// From the tap to the server and back, nanoseconds.
    pub(crate) rtt: i64,
    pub(crate) steps: Vec<Step>,
    /// Index of the incident it belongs to.
    pub(crate) incident: Option<u32>,
}

impl Session {
    pub(crate) fn new(start: i64, client: End, server: End, transport: Transport, rtt: i64) -> Self {
        Self { start, client, server, transport, rtt, steps: Vec::new(), incident: None }
    }

    pub(crate) fn wait(mut self, nanos: i64) -> Self {
        self.steps.push(Step::Wait(nanos));
        self
    }

    /// Sends at about 100 Mbit/s.
    pub(crate) fn send(self, from: Side, data: Data) -> Self {
        self.send_paced(from, data, 120 * MICRO)
    }

    pub(crate) fn send_paced(mut self, from: Side, data: Data, gap: i64) -> Self {
        self.steps.push(Step::Send { from, data, gap });
        self
    }

    /// Client's bytes, then the server's.
    pub(crate) fn exchange(self, query: Data, think: i64, reply: Data) -> Self {
        self.send(Side::Client, query).wait(think).send(Side::Server, reply)
    }

    /// The text lines of a dialogue, the server first.
    pub(crate) fn dialogue(mut self, lines: &[&str]) -> Self {
        for (i, line) in lines.iter().enumerate() {
            let from = if i % 2 == 0 { Side::Server } else { Side::Client };
            self = self.send(from, Data::Bytes(format!("{line}\r\n").into_bytes().into())).wait(2 * MILLI);
        }
        self
    }

    pub(crate) fn stream(mut self, count: u32, gap: i64, client: (u16, u16), server: Option<(u16, u16)>) -> Self {
        self.steps.push(Step::Stream { count, gap, client, server });
        self
    }

    /// IANA protocol number.
    pub(crate) const fn proto(&self) -> u8 {
        match (self.transport, self.client.ip) {
            (Transport::Tcp(..), _) => 6,
            (Transport::Udp, _) => 17,
            (Transport::Echo, IpAddr::V4(_)) => 1,
            (Transport::Echo, IpAddr::V6(_)) => 58,
        }
    }

    pub(crate) const fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}
