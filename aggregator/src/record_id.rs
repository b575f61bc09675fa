//! Identity of records: the same for the same thing seen again, wherever and however often it is imported.
//!
//! A record id is the first 16 bytes of BLAKE3 in keyed mode. The key is
//! `BLAKE3 derive_key("spotter record id 1", sensor ‖ 00 ‖ origin)`; what is hashed, all numbers little-endian,
//! times in microseconds:
//!
//! | record | bytes |
//! |---|---|
//! | flow | `46` · flow_start (8) · src_ip (16) · dst_ip (16) · src_port (2) · dst_port (2) · protocol (1) · IP version (1) · VLAN + 1 if in the key, else 0 (2) · segment (4) · twin (4) |
//! | dns | `44` · first_seen (8) · client_ip (16) · server_ip (16) · client_port (2) · server_port (2) · transport (1) · IP version (1) · id (2) · question (1) · qtype (2) · qclass (2) · kind (1: 1 query, 2 answer, 3 both) · twin (4) · qname_wire |
//! | dhcp | `48` · first_seen (8) · client_addr (16) · server_addr (16) · transaction id (4) · version (1) · twin (4) · hardware address (6, or none) · client identifier, host name, assigned address, 00 between them |
//! | proxy | `50` · first_seen (8) · client_ip (16) · server_ip (16) · client_port (2) · server_port (2) · kind (1: 1 HTTP, 2 TLS, 3 from a log) · index on the connection (4) · twin (4) · from a log: origin, method, URI and user agent, 00 between them |
//!
//! Addresses are 16 bytes, IPv4 after `::ffff:`; all 0 where there is none. A flow's 57 bytes are one BLAKE3 block. *Twin* tells apart
//! records that are the same in all of the above, as two connections of one key that began in the same
//! microsecond: they are numbered in the order in which they are written; the first is 0. The last number is
//! remembered for some thousand records, far more than can fall into a microsecond. Records of a Kafka topic have no twin number: topic,
//! partition, offset and row in the message follow instead.

use capture::DnsTransport;

use crate::record::{DhcpRecord, DnsRecord, FlowRecord, Micros, Origin, ProxyRecord, RecordId};

/// Makes the ids of one sensor and origin.
#[derive(Clone, Debug)]
pub(crate) struct RecordIds {
    key: [u8; 32],
    /// Latest ids without twin, direct-mapped by the id itself, with the twin given last. 80 KiB.
    latest: Vec<(RecordId, u32)>,
    /// Where the record stands in its source; see [`Self::set_place`].
    place: Vec<u8>,
}

/// Bytes of each kind of record, without twin and name.
const FLOW: usize = 53;
const DNS: usize = 55;
const DHCP: usize = 46;
const PROXY: usize = 50;
const MAX_HEAD: usize = 60;

/// A fixed number of bytes, put in one after the other.
struct Bytes<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Bytes<N> {
    #[inline(always)]
    const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    #[inline(always)]
    fn put<const M: usize>(mut self, part: [u8; M]) -> Self {
        debug_assert!(self.len + M <= N, "the layout's length is wrong");
        if let Some(room) = self.bytes.get_mut(self.len..self.len + M) {
            room.copy_from_slice(&part);
            self.len += M;
        }
        self
    }
}

/// An address of which there may be none.
fn octets(ip: Option<std::net::IpAddr>) -> [u8; 16] {
    ip.map_or([0; 16], |ip| capture::Ip::from_ip_addr(ip).0.0)
}

/// What of a proxy record on the wire makes its identity.
pub(crate) struct WireRequest {
    pub(crate) first_seen: Micros,
    pub(crate) pair: capture::AddressPair,
    pub(crate) is_tls: bool,
    pub(crate) index: u32,
}

impl RecordIds {
    const REMEMBERED: usize = 1 << 12;

    pub(crate) fn new(sensor: &str, origin: Origin) -> Self {
        let mut material = Vec::with_capacity(sensor.len() + 16);
        material.extend_from_slice(sensor.as_bytes());
        material.push(0);
        material.extend_from_slice(origin.as_str().as_bytes());
        Self {
            key: blake3::derive_key("spotter record id 1", &material),
            latest: vec![(RecordId::default(), 0); Self::REMEMBERED],
            place: Vec::new(),
        }
    }

    /// The records that follow stand at this place of their source, which has an order that stays (a topic): it becomes a part of what is
    /// hashed, behind all else, so that they have the same ids wherever and however often they are read, without twins.
    #[cfg(feature = "kafka")]
    pub(crate) fn set_place(&mut self, place: &[u8]) {
        self.place.clear();
        self.place.extend_from_slice(place);
    }

    /// Id of a flow record; `vlan` is the VLAN id + 1 if it is part of the key, else 0.
    pub(crate) fn flow(&mut self, record: &FlowRecord, vlan: u16) -> RecordId {
        let bytes = Bytes::<FLOW>::new()
            .put([b'F'])
            .put(record.flow_start.0.to_le_bytes())
            .put(record.src_ip.0)
            .put(record.dst_ip.0)
            .put(record.src_port.to_le_bytes())
            .put(record.dst_port.to_le_bytes())
            .put([record.proto, record.version as u8])
            .put(vlan.to_le_bytes())
            .put(record.segment.to_le_bytes());
        self.identify(bytes, &[])
    }

    /// Id of a DNS record.
    pub(crate) fn dns(&mut self, record: &DnsRecord) -> RecordId {
        let transport = match record.transport {
            DnsTransport::Udp => 1,
            DnsTransport::Tcp => 2,
            DnsTransport::Mdns => 3,
            DnsTransport::Llmnr => 4,
        };
        let kind = u8::from(record.query_len.is_some()) | u8::from(record.response_len.is_some()) << 1;
        let bytes = Bytes::<DNS>::new()
            .put([b'D'])
            .put(record.first_seen.0.to_le_bytes())
            .put(record.client_ip.0)
            .put(record.server_ip.0)
            .put(record.client_port.to_le_bytes())
            .put(record.server_port.to_le_bytes())
            .put([transport, record.version as u8])
            .put(record.id.to_le_bytes())
            .put([record.question])
            .put(record.qtype.to_le_bytes())
            .put(record.qclass.to_le_bytes())
            .put([kind]);
        self.identify(bytes, record.qname_wire.as_bytes())
    }

    /// Id of a DHCP record.
    pub(crate) fn dhcp(&mut self, record: &DhcpRecord) -> RecordId {
        let bytes = Bytes::<DHCP>::new()
            .put([b'H'])
            .put(record.first_seen.0.to_le_bytes())
            .put(octets(record.client_addr))
            .put(octets(record.server_addr))
            .put(record.xid.unwrap_or(0).to_le_bytes())
            .put([record.version]);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let assigned = record.assigned_addr.map(|ip| ip.to_string()).unwrap_or_default();
        let texts = [text(&record.client_id), text(&record.host_name), assigned].join("\0");
        let mac = record.mac.as_ref().map_or(&[][..], |mac| &mac[..]);
        self.identify(bytes, &[mac, texts.as_bytes()].concat())
    }

    /// Id of a request seen on the wire.
    pub(crate) fn wire_request(&mut self, request: &WireRequest) -> RecordId {
        let WireRequest { first_seen, pair, is_tls, index } = request;
        let bytes = Bytes::<PROXY>::new()
            .put([b'P'])
            .put(first_seen.0.to_le_bytes())
            .put(pair.src.0)
            .put(pair.dst.0)
            .put(pair.src_port.to_le_bytes())
            .put(pair.dst_port.to_le_bytes())
            .put([if *is_tls { 2 } else { 1 }])
            .put(index.to_le_bytes());
        self.identify(bytes, &[])
    }

    /// Id of a request of a log, which has no place on a connection: its text stands for it.
    pub(crate) fn log_request(&mut self, record: &ProxyRecord) -> RecordId {
        let bytes = Bytes::<PROXY>::new()
            .put([b'P'])
            .put(record.first_seen.0.to_le_bytes())
            .put(octets(Some(record.client_ip)))
            .put(octets(record.server_ip))
            .put(record.client_port.unwrap_or(0).to_le_bytes())
            .put(record.server_port.unwrap_or(0).to_le_bytes())
            .put([3])
            .put([0; 4]);
        let texts = [record.origin, &record.method, &record.full_uri, record.user_agent.as_deref().unwrap_or_default()];
        self.identify(bytes, texts.join("\0").as_bytes())
    }

    fn identify<const N: usize>(&mut self, head: Bytes<N>, tail: &[u8]) -> RecordId {
        let head = head.bytes;
        if !self.place.is_empty() {
            return self.hash(&head, 0, &[tail, &self.place].concat());
        }
        let id = self.hash(&head, 0, tail);
        let place = usize::from(u16::from_le_bytes([id.0[0], id.0[1]])) % Self::REMEMBERED;
        let (latest, twin) = &mut self.latest[place];
        if *latest != id {
            (*latest, *twin) = (id, 0);
            return id;
        }
        *twin = twin.saturating_add(1);
        let twin = *twin;
        self.hash(&head, twin, tail)
    }

    fn hash<const N: usize>(&self, head: &[u8; N], twin: u32, tail: &[u8]) -> RecordId {
        let hash = if tail.is_empty() {
            let mut bytes = [0; MAX_HEAD + 4];
            bytes[..N].copy_from_slice(head);
            bytes[N..N + 4].copy_from_slice(&twin.to_le_bytes());
            blake3::keyed_hash(&self.key, &bytes[..N + 4])
        } else {
            let mut hasher = blake3::Hasher::new_keyed(&self.key);
            hasher.update(head).update(&twin.to_le_bytes()).update(tail);
            hasher.finalize()
        };
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_bytes()[..16]);
        RecordId(id)
    }
}
