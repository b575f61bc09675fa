//! dnstap: what name servers log of themselves. Frame Streams (farsightsec.github.io/fstrm) that hold protocol buffers by
//! dnstap.proto (github.com/dnstap/dnstap.pb); the DNS messages go through the same reader as those of packets.
//!
//! A query comes from the events `*_QUERY`, a response from `*_RESPONSE`; the query that a response may hold beside it is taken only
//! where the file has no events of the queries themselves, which would count it twice.

use std::net::IpAddr;

use super::{ExportFileError, ExportSink, Source};
use crate::app::dns_message;
use crate::{AddressPair, Body, DnsTransport, Ip, IpVersion, Message, Nanos};

/// Bytes of a data frame: a DNS message of 64 KiB twice, and what stands around it.
const MAX_FRAME: usize = 256 << 10;
/// Bytes of a control frame; the library's own bound.
const MAX_CONTROL: usize = 512;
const START: u32 = 2;
const STOP: u32 = 3;
const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";

/// Whether a file begins so: a control frame that announces dnstap.
pub(super) fn is_dnstap(probe: &[u8]) -> bool {
    let u32_at = |at: usize| probe.get(at..).and_then(|b| b.first_chunk()).copied().map(u32::from_be_bytes);
    let length = u32_at(4).map_or(0, |n| n as usize);
    u32_at(0) == Some(0)
        && u32_at(8) == Some(START)
        && length <= MAX_CONTROL
        && probe.get(12..8 + length).is_some_and(|fields| fields.ends_with(CONTENT_TYPE))
}

/// What was met. `frames = messages' events + refused + other`.
///
/// | counter | meaning |
/// |---|---|
/// | `records.seen` | data frames |
/// | `dnstap.events` | of those: events whose messages were handed over |
/// | `records.quarantined` | of those: refused |
/// | `export.messages` | DNS messages handed over |
#[derive(Debug, Default)]
pub(super) struct Dnstap {
    frames: u64,
    events: u64,
    refused: u64,
    messages: u64,
    stopped: bool,
    /// Kinds of queries that have events of their own, a bit each.
    queries: u32,
}

impl Dnstap {
    pub(super) fn read(&mut self, source: &mut Source, sink: &mut impl ExportSink) -> Result<bool, ExportFileError> {
        let (begun, mut length) = (source.offset, [0; 4]);
        if !source.fill(&mut length, "a frame's length")? {
            return if self.stopped { Ok(false) } else { Err(ExportFileError::NotClosed) };
        }
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 {
            return self.control(begun, source).map(|()| true);
        }
        self.frames += 1;
        if length > MAX_FRAME {
            self.refuse(sink, "a frame longer than any is", &[]);
            return Err(ExportFileError::Damaged { offset: begun, what: "a frame longer than any is" });
        }
        let frame = match source.take(length, "a frame") {
            Ok(frame) => frame,
            Err(error) => {
                self.refuse(sink, "a frame that is cut", &[]);
                return Err(error);
            }
        };
        match self.event(&frame, sink) {
            Ok(()) => self.events += 1,
            Err(reason) => self.refuse(sink, reason, &frame),
        }
        Ok(true)
    }

    fn control(&mut self, begun: u64, source: &mut Source) -> Result<(), ExportFileError> {
        let mut length = [0; 4];
        if !source.fill(&mut length, "a control frame")? {
            return Err(ExportFileError::Truncated { offset: source.offset, what: "a control frame" });
        }
        let length = u32::from_be_bytes(length) as usize;
        if !(4..=MAX_CONTROL).contains(&length) {
            return Err(ExportFileError::Damaged { offset: begun, what: "a control frame of senseless length" });
        }
        let control = source.take(length, "a control frame")?;
        // After a stop another stream may begin: files are sometimes joined.
        self.stopped = control.first_chunk().copied().map(u32::from_be_bytes) == Some(STOP);
        Ok(())
    }

    fn refuse(&mut self, sink: &mut impl ExportSink, reason: &'static str, bytes: &[u8]) {
        self.refused += 1;
        sink.refused(self.frames, reason, bytes);
    }

    fn event(&mut self, frame: &[u8], sink: &mut impl ExportSink) -> Result<(), &'static str> {
        let mut message = None;
        fields(frame, |number, value| {
            if let (14, Value::Bytes(bytes)) = (number, value) {
                message = Some(bytes);
            }
        })
        .ok_or("no protocol buffer")?;
        let event = Event::of(message.ok_or("an event without a message")?).ok_or("no protocol buffer")?;
        let pair = event.pair()?;
        let is_query = event.kind % 2 == 1;
        let bit = 1_u32.checked_shl(event.kind).unwrap_or(0);
        if is_query {
            self.queries |= bit;
        }
        let wants_query = is_query || self.queries & bit >> 1 == 0;
        let mut given = 0;
        for (text, at, pair, wanted) in [
            (event.query, event.query_at, pair, wants_query),
            (event.response, event.response_at, pair.reversed(), !is_query),
        ] {
            let Some(text) = text.filter(|_| wanted) else { continue };
            let ts = at.ok_or("a message without its time")?;
            let body = dns_message(text, event.transport()).ok_or("no DNS message")?;
            given += 1;
            self.messages += 1;
            sink.message(Message { first_ts: ts, ts, pair, body: Body::Dns(Box::new(body)) });
        }
        if given == 0 { Err("an event without a DNS message") } else { Ok(()) }
    }

    pub(super) fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("records.seen", self.frames),
            ("dnstap.events", self.events),
            ("records.quarantined", self.refused),
            ("export.messages", self.messages),
        ]
    }

    pub(super) fn imbalance(&self) -> Option<String> {
        let right = self.events + self.refused;
        (self.frames != right)
            .then(|| format!("records.seen = dnstap.events + records.quarantined: {} and {right}", self.frames))
    }
}

/// dnstap.proto's `Message`.
#[derive(Default)]
struct Event<'a> {
    kind: u32,
    protocol: u64,
    addresses: [Option<&'a [u8]>; 2],
    ports: [u16; 2],
    query_at: Option<Nanos>,
    response_at: Option<Nanos>,
    query: Option<&'a [u8]>,
    response: Option<&'a [u8]>,
}

impl<'a> Event<'a> {
    fn of(message: &'a [u8]) -> Option<Self> {
        let (mut event, mut times) = (Self::default(), [[None; 2]; 2]);
        fields(message, |number, value| match (number, value) {
            (1, Value::Number(kind)) => event.kind = u32::try_from(kind).unwrap_or(u32::MAX),
            (3, Value::Number(protocol)) => event.protocol = protocol,
            (4, Value::Bytes(address)) => event.addresses[0] = Some(address),
            (5, Value::Bytes(address)) => event.addresses[1] = Some(address),
            (6, Value::Number(port)) => event.ports[0] = port as u16,
            (7, Value::Number(port)) => event.ports[1] = port as u16,
            (8, Value::Number(seconds)) => times[0][0] = Some(seconds),
            (9, Value::Number(nanos)) => times[0][1] = Some(nanos),
            (10, Value::Bytes(text)) => event.query = Some(text),
            (12, Value::Number(seconds)) => times[1][0] = Some(seconds),
            (13, Value::Number(nanos)) => times[1][1] = Some(nanos),
            (14, Value::Bytes(text)) => event.response = Some(text),
            _ => {}
        })?;
        let [query, response] = times.map(|[seconds, nanos]| {
            let seconds = i64::try_from(seconds?).ok()?.checked_mul(1_000_000_000)?;
            seconds.checked_add(i64::try_from(nanos.unwrap_or(0)).ok()?).map(Nanos)
        });
        (event.query_at, event.response_at) = (query, response);
        Some(event)
    }

    /// From who asked to who answers. A server that does not say its own address has none.
    fn pair(&self) -> Result<AddressPair, &'static str> {
        let address = |bytes: &[u8]| match bytes.len() {
            4 => bytes.first_chunk::<4>().map(|b| IpAddr::from(*b)),
            16 => bytes.first_chunk::<16>().map(|b| IpAddr::from(*b)),
            _ => None,
        };
        let [from, to] =
            self.addresses.map(|bytes| bytes.map(|bytes| address(bytes).ok_or("an address of no length known")));
        let (from, to) = (from.transpose()?, to.transpose()?);
        let version = match from.or(to) {
            Some(IpAddr::V4(_)) => IpVersion::V4,
            Some(IpAddr::V6(_)) => IpVersion::V6,
            None => return Err("an event without an address"),
        };
        let none = if version == IpVersion::V4 { Ip::v4([0; 4]) } else { Ip([0; 16]) };
        let end = |address: Option<IpAddr>| match address.map(Ip::from_ip_addr) {
            None => Ok(none),
            Some((ip, of)) if of == version => Ok(ip),
            Some(_) => Err("addresses of two versions"),
        };
        // TCP, TLS, HTTPS, DNSCrypt over TCP are streams; QUIC is not.
        let proto = if matches!(self.protocol, 2..=4 | 6) { 6 } else { 17 };
        let [src_port, dst_port] = self.ports;
        Ok(AddressPair { src: end(from)?, dst: end(to)?, src_port, dst_port, proto, version })
    }

    const fn transport(&self) -> DnsTransport {
        if matches!(self.protocol, 2..=4 | 6) { DnsTransport::Tcp } else { DnsTransport::Udp }
    }
}

/// A field of a protocol buffer.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Hands over the fields of a protocol buffer (protobuf.dev, encoding); `None` where it is none.
fn fields<'a>(bytes: &'a [u8], mut field: impl FnMut(u64, Value<'a>)) -> Option<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut rest)?),
            1 => Value::Number(u64::from_le_bytes(*take(&mut rest, 8)?.first_chunk()?)),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Value::Bytes(take(&mut rest, length)?)
            }
            5 => Value::Number(u32::from_le_bytes(*take(&mut rest, 4)?.first_chunk()?).into()),
            _ => return None,
        };
        field(key >> 3, value);
    }
    Some(())
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
