//! Flow records as IPFIX (RFC 7011), both directions in one record (RFC 5103), over UDP or TCP: `ipfix+udp://HOST:4739`, `ipfix+tcp://HOST:4739`.
//!
//! Four templates: IPv4 and IPv6, with and without the way back. Over UDP they are sent with the first message and again every
//! [`RESEND`]; over TCP once a connection. Counts are those of the lake: what was sampled is scaled already. Times are milliseconds;
//! type and code of ICMP are in the destination's port, as in NetFlow.

use std::io::{self, Write as _};
use std::net::{IpAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimestampMicrosecondType, UInt64Type};

use super::queue::Entry;

/// Between two sendings of the templates over UDP (RFC 7011 section 8.1).
const RESEND: Duration = Duration::from_secs(60);
/// The largest message: over UDP within a usual link's MTU, so that it is not fragmented.
const MAX_DATAGRAM: usize = 1_400;
const MAX_MESSAGE: usize = 16 << 10;
const MESSAGE_HEAD: usize = 16;
const SET_HEAD: usize = 4;
/// Everything is of one observation domain.
const DOMAIN: u32 = 1;
/// The set of templates.
const TEMPLATES: u16 = 2;
/// The first template; see [`template`].
const FIRST_TEMPLATE: u16 = 256;
/// Private enterprise number of reverse elements (RFC 5103).
const REVERSE: u32 = 29_305;

/// Element, bytes, and the column, of which nothing is written as 0.
type Field = (u16, u16, &'static str);

/// Of every record, behind times and addresses (IANA's names: sourceTransportPort, destinationTransportPort, protocolIdentifier,
/// tcpControlBits, ipClassOfService, octetDeltaCount, packetDeltaCount, ingressInterface, egressInterface, bgpSourceAsNumber,
/// bgpDestinationAsNumber, vlanId, flowEndReason).
const FORWARD: [Field; 13] = [
    (7, 2, "src_port"),
    (11, 2, "dst_port"),
    (4, 1, "proto"),
    (6, 1, "src_tcp_flags"),
    (5, 1, "src_tos"),
    (1, 8, "src_bytes"),
    (2, 8, "src_packets"),
    (10, 4, "input_if"),
    (14, 4, "output_if"),
    (16, 4, "src_as"),
    (17, 4, "dst_as"),
    (58, 2, "vlan"),
    (136, 1, "end_reason"),
];

/// The way back.
const BACK: [Field; 4] = [(6, 1, "dst_tcp_flags"), (5, 1, "dst_tos"), (1, 8, "dst_bytes"), (2, 8, "dst_packets")];

/// flowStartMilliseconds, flowEndMilliseconds.
const TIMES: [(u16, &str); 2] = [(152, "first_seen"), (153, "last_seen")];

/// Which template a record is of.
const fn template(is_ipv6: bool, has_back: bool) -> u16 {
    FIRST_TEMPLATE + is_ipv6 as u16 * 2 + has_back as u16
}

/// The template set.
fn templates() -> Vec<u8> {
    let mut set = Vec::new();
    for (is_ipv6, has_back) in [(false, false), (false, true), (true, false), (true, true)] {
        let addresses: [(u16, u16); 2] = if is_ipv6 { [(27, 16), (28, 16)] } else { [(8, 4), (12, 4)] };
        let fields = TIMES.iter().map(|(id, _)| (*id, 8));
        let fields: Vec<(u16, u16)> =
            fields.chain(addresses).chain(FORWARD.iter().map(|(id, length, _)| (*id, *length))).collect();
        let back: &[Field] = if has_back { &BACK } else { &[] };
        let count = u16::try_from(fields.len() + back.len()).unwrap_or(0);
        set.extend(template(is_ipv6, has_back).to_be_bytes());
        set.extend(count.to_be_bytes());
        for (id, length) in fields {
            set.extend([id.to_be_bytes(), length.to_be_bytes()].concat());
        }
        for (id, length, _) in back {
            set.extend((id | 0x8000).to_be_bytes());
            set.extend(length.to_be_bytes());
            set.extend(REVERSE.to_be_bytes());
        }
    }
    with_head(TEMPLATES, &set)
}

/// A set with its head.
fn with_head(id: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + SET_HEAD).unwrap_or(u16::MAX);
    [&id.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
}

/// The flows of a batch as entries: the template's number, then the record. A row that cannot be written is empty, and refused when it is sent.
pub(super) fn entries(batch: &RecordBatch, id: impl Fn(usize) -> String) -> Vec<Entry> {
    let columns = Columns::new(batch);
    (0..batch.num_rows()).map(|at| Entry { id: id(at), payload: columns.record(at).unwrap_or_default() }).collect()
}

/// The columns by name: numbers as 64 bits, times in microseconds, text.
struct Columns<'a> {
    batch: &'a RecordBatch,
    numbers: std::collections::HashMap<&'static str, arrow::array::ArrayRef>,
}

impl<'a> Columns<'a> {
    fn new(batch: &'a RecordBatch) -> Self {
        let numbers = FORWARD
            .iter()
            .chain(&BACK)
            .filter_map(|(_, _, name)| Some((*name, cast(batch.column_by_name(name)?, &DataType::UInt64).ok()?)));
        Self { batch, numbers: numbers.collect() }
    }

    fn number(&self, name: &str, at: usize) -> Option<u64> {
        let column = self.numbers.get(name).filter(|column| !column.is_null(at))?;
        Some(column.as_primitive_opt::<UInt64Type>()?.value(at))
    }

    fn ip(&self, name: &str, at: usize) -> Option<IpAddr> {
        let column = cast(&self.batch.column_by_name(name)?.slice(at, 1), &DataType::Utf8).ok()?;
        column.as_string_opt::<i32>()?.value(0).parse().ok()
    }

    fn record(&self, at: usize) -> Option<Vec<u8>> {
        let (src, dst) = (self.ip("src_ip", at)?, self.ip("dst_ip", at)?);
        let has_back = self.number("dst_packets", at).is_some();
        let mut out = template(src.is_ipv6(), has_back).to_be_bytes().to_vec();
        for (_, name) in TIMES {
            let micros = self.batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?.value(at);
            out.extend(u64::try_from(micros.div_euclid(1_000)).unwrap_or(0).to_be_bytes());
        }
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => out.extend([src.octets(), dst.octets()].concat()),
            (IpAddr::V6(src), IpAddr::V6(dst)) => out.extend([src.octets(), dst.octets()].concat()),
            _ => return None,
        }
        let back: &[Field] = if has_back { &BACK } else { &[] };
        for (_, length, name) in FORWARD.iter().chain(back) {
            let bytes = self.number(name, at).unwrap_or(0).to_be_bytes();
            out.extend(bytes.get(8 - usize::from(*length)..)?);
        }
        Some(out)
    }
}

/// How messages travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Transport {
    /// Nothing tells whether they arrive.
    Udp,
    /// They arrived as far as the peer's kernel took them.
    Tcp,
}

enum Open {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

/// An exporting process.
pub(super) struct Ipfix {
    transport: Transport,
    address: String,
    timeout: Duration,
    open: Option<Open>,
    /// When the templates were sent last on what is open.
    told: Option<Instant>,
    /// Data records sent on what is open.
    sequence: u32,
}

impl Ipfix {
    pub(super) fn new(transport: Transport, address: &str, timeout: Duration) -> Self {
        Self { transport, address: address.to_owned(), timeout, open: None, told: None, sequence: 0 }
    }

    /// Sends all, or says that it could not. Gives how many are no records and are left out.
    pub(super) fn send(&mut self, entries: &[Entry]) -> io::Result<u64> {
        let result = self.try_send(entries);
        if result.is_err() {
            self.open = None;
        }
        result
    }

    fn try_send(&mut self, entries: &[Entry]) -> io::Result<u64> {
        if !self.open.as_ref().is_some_and(Open::is_alive) {
            // Over TCP templates and numbering are of the connection.
            (self.open, self.told) = (Some(self.connect()?), None);
            if self.transport == Transport::Tcp {
                self.sequence = 0;
            }
        }
        let now = chrono::Utc::now().timestamp();
        let max = if self.transport == Transport::Udp { MAX_DATAGRAM } else { MAX_MESSAGE };
        if self.told.is_none_or(|told| self.transport == Transport::Udp && told.elapsed() >= RESEND) {
            self.message(now, &templates(), 0)?;
            self.told = Some(Instant::now());
        }
        let mut refused = 0;
        let (mut id, mut body, mut count) = (0, Vec::new(), 0_u32);
        for entry in entries {
            let Some((&template, record)) = entry.payload.split_first_chunk::<2>() else {
                refused += 1;
                continue;
            };
            let template = u16::from_be_bytes(template);
            if template != id || MESSAGE_HEAD + SET_HEAD + body.len() + record.len() > max {
                self.data(now, id, &std::mem::take(&mut body), std::mem::take(&mut count))?;
                id = template;
            }
            body.extend(record);
            count += 1;
        }
        self.data(now, id, &body, count)?;
        Ok(refused)
    }

    fn data(&mut self, now: i64, template: u16, body: &[u8], count: u32) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.message(now, &with_head(template, body), count)?;
        // An exporter of UDP that sends as fast as it can is faster than any collector's socket.
        if self.transport == Transport::Udp {
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    fn message(&mut self, now: i64, sets: &[u8], records: u32) -> io::Result<()> {
        let length = u16::try_from(MESSAGE_HEAD + sets.len()).map_err(|_| io::Error::other("a message too large"))?;
        let mut message = Vec::with_capacity(MESSAGE_HEAD + sets.len());
        message.extend(10_u16.to_be_bytes());
        message.extend(length.to_be_bytes());
        // 32 bits of seconds, as the protocol has them.
        message.extend((now as u32).to_be_bytes());
        message.extend(self.sequence.to_be_bytes());
        message.extend(DOMAIN.to_be_bytes());
        message.extend(sets);
        match &mut self.open {
            Some(Open::Udp(socket)) => drop(socket.send(&message)?),
            Some(Open::Tcp(stream)) => stream.write_all(&message)?,
            None => return Err(io::ErrorKind::NotConnected.into()),
        }
        self.sequence = self.sequence.wrapping_add(records);
        Ok(())
    }

    fn connect(&self) -> io::Result<Open> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", self.address));
        for address in self.address.to_socket_addrs()? {
            let opened = match self.transport {
                Transport::Udp => {
                    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                    UdpSocket::bind(any).and_then(|socket| socket.connect(address).map(|()| Open::Udp(socket)))
                }
                Transport::Tcp => TcpStream::connect_timeout(&address, self.timeout).and_then(|stream| {
                    stream.set_write_timeout(Some(self.timeout))?;
                    Ok(Open::Tcp(stream))
                }),
            };
            match opened {
                Ok(open) => return Ok(open),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Open {
    /// False where the collector has closed: what is written then goes nowhere.
    fn is_alive(&self) -> bool {
        let Self::Tcp(stream) = self else { return true };
        let quiet = |nonblocking| stream.set_nonblocking(nonblocking).is_ok();
        let waits = |read: io::Result<usize>| match read {
            Ok(count) => count > 0,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        quiet(true) && waits(stream.peek(&mut [0])) && quiet(false)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_template_set_is_as_the_rfc_writes_it() {
        let set = templates();
        let length = u16::try_from(set.len()).unwrap().to_be_bytes();
        // The set of templates; 256 with 17 fields.
        assert_eq!(set[..8], [0, 2, length[0], length[1], 1, 0, 0, 17]);
        // flowStartMilliseconds, 8 bytes, is the first field.
        assert_eq!(set[8..12], [0, 152, 0, 8]);
        // The last field of the last template: reverse packetDeltaCount, 8 bytes, enterprise 29305.
        assert_eq!(set[set.len() - 8..], [0x80, 2, 0, 8, 0, 0, 0x72, 0x79]);
    }

    #[test]
    fn a_message_carries_head_and_number_and_what_is_no_record_is_left_out() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let mut ipfix = Ipfix::new(Transport::Udp, &address, Duration::from_secs(1));
        let record = |payload: &[u8]| Entry { id: String::new(), payload: payload.to_vec() };
        assert_eq!(ipfix.send(&[record(&[1, 0, 7]), record(&[1]), record(&[1, 0, 8]), record(&[1, 2, 9])]).unwrap(), 1);
        let receive = || {
            let mut bytes = [0; 2_000];
            let count = socket.recv(&mut bytes).unwrap();
            assert_eq!(bytes[..2], [0, 10]);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), count);
            bytes[8..count].to_vec()
        };
        assert_eq!(receive()[8..], templates());
        assert_eq!(receive(), [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 6, 7, 8]);
        assert_eq!(receive(), [0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 0, 5, 9]);
        // Templates are not sent again at once.
        ipfix.send(&[record(&[1, 0, 7])]).unwrap();
        assert_eq!(receive(), [0, 0, 0, 3, 0, 0, 0, 1, 1, 0, 0, 5, 7]);
    }
}
