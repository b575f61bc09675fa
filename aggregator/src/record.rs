//! The rows of the lake, before they are columns. The meaning of every field is DATA-MODEL's.

use std::borrow::Cow;
use std::net::IpAddr;

use capture::{Ip, IpVersion, ResourceRecord, Service, Tunnel};

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize)]
pub struct Micros(pub i64);

/// Identity of a record: a hash of sensor, origin, start, key and segment. The same after a second
/// import, a compaction, or on another machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RecordId(pub [u8; 16]);

/// Where a record comes from: the `origin` column of flow and dns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the formats'")]
pub enum Origin {
    Xdp,
    AfPacket,
    Pcap,
    NetFlow5,
    NetFlow7,
    NetFlow9,
    Ipfix,
    SFlow,
    Nfdump,
    Zeek,
    Suricata,
    Pmacct,
    Csv,
    Dnstap,
    Json,
    Spot,
}

impl Origin {
    /// The text of the column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::AfPacket => "af_packet",
            Self::Pcap => "pcap",
            Self::NetFlow5 => "netflow5",
            Self::NetFlow7 => "netflow7",
            Self::NetFlow9 => "netflow9",
            Self::Ipfix => "ipfix",
            Self::SFlow => "sflow",
            Self::Nfdump => "nfdump",
            Self::Zeek => "zeek",
            Self::Suricata => "suricata",
            Self::Pmacct => "pmacct",
            Self::Csv => "csv",
            Self::Dnstap => "dnstap",
            Self::Json => "json",
            Self::Spot => "spot",
        }
    }
}

/// IPFIX flowEndReason (IANA, element 136).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum EndReason {
    /// Idle timeout.
    Idle = 1,
    /// Active timeout: the connection goes on in the next segment.
    Active = 2,
    /// FIN in both directions, or RST.
    Detected = 3,
    /// End of the input, or shutdown.
    Forced = 4,
    /// The flow table was full.
    LackOfResources = 5,
}

/// One row of `flow`: a biflow (RFC 5103), or one segment of a long one.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowRecord {
    /// Identity.
    pub record_id: RecordId,
    /// First packet of this record.
    pub first_seen: Micros,
    /// Last packet of this record.
    pub last_seen: Micros,
    /// Start of the whole connection.
    pub flow_start: Micros,
    /// 0 for the first record of the connection, counted up at each active timeout.
    pub segment: u32,
    /// Where it was read.
    pub origin: Origin,
    /// Initiator and responder.
    pub src_ip: Ip,
    /// Responder.
    pub dst_ip: Ip,
    /// How both addresses are read.
    pub version: IpVersion,
    /// Initiator's port.
    pub src_port: u16,
    /// Responder's port; ICMP: type·256+code of the initiator's message.
    pub dst_port: u16,
    /// IANA protocol number.
    pub proto: u8,
    /// Initiator to responder.
    pub src: Direction,
    /// Responder to initiator; `None` where the source sees one direction only.
    pub dst: Option<Direction>,
    /// Zeek's conn_state, where packets were seen.
    pub conn_state: Option<&'static str>,
    /// Zeek's history, where packets were seen.
    pub history: Option<History>,
    /// Initiator's and responder's MAC address.
    pub macs: Option<([u8; 6], [u8; 6])>,
    /// EtherType of the first packet.
    pub ethertype: Option<u16>,
    /// Innermost VLAN id of the first packet.
    pub vlan: Option<u16>,
    /// Its priority.
    pub cos: Option<u8>,
    /// Why the record ended.
    pub end_reason: EndReason,
    /// What only an exporter knows.
    pub exporter: Option<Box<Exporter>>,
    /// 1 = every packet.
    pub sampling: u32,
    /// How many exporters or interfaces reported it.
    pub observations: u16,
    /// Tunnel entered.
    pub tunnel: Option<Tunnel>,
    /// Protocol recognised.
    pub service: Option<Service>,
}

/// Counters of one direction of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Direction {
    /// Packets.
    pub packets: u64,
    /// IP bytes, header included.
    pub bytes: u64,
    /// OR of the TCP flags; `None` where the protocol has none.
    pub tcp_flags: Option<u8>,
    /// TOS or traffic class of the direction's first packet.
    pub tos: Option<u8>,
}

/// Zeek's history string, at most [`History::CAPACITY`] letters, in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct History {
    letters: [u8; Self::CAPACITY],
    len: u8,
}

impl History {
    /// Letters kept. What comes after is left out, as with Zeek's repeat rules most flows need under 20.
    pub const CAPACITY: usize = 31;

    /// No letter yet.
    pub const NEW: Self = Self { letters: [0; Self::CAPACITY], len: 0 };

    /// Appends an ASCII letter if there is room.
    pub fn push(&mut self, letter: u8) {
        if let Some(slot) = self.letters.get_mut(usize::from(self.len)) {
            *slot = letter;
            self.len += 1;
        }
    }

    /// Exchanges upper and lower case: what the other end did.
    pub fn swap_ends(&mut self) {
        for letter in &mut self.letters {
            *letter =
                if letter.is_ascii_uppercase() { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() };
        }
    }

    /// Letters and length as two numbers.
    pub(crate) fn words(&self) -> [u128; 2] {
        let mut bytes = [[0; 16]; 2];
        let (letters, len) = bytes.as_flattened_mut().split_at_mut(Self::CAPACITY);
        letters.copy_from_slice(&self.letters);
        len.fill(self.len);
        bytes.map(u128::from_le_bytes)
    }

    /// The letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.letters[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// Flow fields that only an exporter (NetFlow, IPFIX, sFlow) gives.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names are the columns of DATA-MODEL, and IPFIX's")]
pub struct Exporter {
    pub exporter_ip: Option<IpAddr>,
    pub input_if: Option<u32>,
    pub output_if: Option<u32>,
    pub fwd_status: Option<u8>,
    pub src_as: Option<u32>,
    pub dst_as: Option<u32>,
    pub src_mask: Option<u8>,
    pub dst_mask: Option<u8>,
    pub next_hop: Option<IpAddr>,
    pub peer_src: Option<IpAddr>,
    pub peer_dst: Option<IpAddr>,
}

/// One row of `dns`: a question with its query, its answer, or both.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the columns of DATA-MODEL")]
pub struct DnsRecord {
    pub record_id: RecordId,
    pub first_seen: Micros,
    pub last_seen: Micros,
    pub origin: Origin,
    pub client_ip: Ip,
    pub server_ip: Ip,
    pub version: IpVersion,
    pub client_port: u16,
    pub server_port: u16,
    pub transport: capture::DnsTransport,
    pub id: u16,
    pub qname: String,
    pub qname_wire: String,
    pub qtype: u16,
    pub qclass: u16,
    /// Index of the question.
    pub question: u8,
    pub opcode: u8,
    pub rcode: Option<u16>,
    pub rtt_us: Option<u32>,
    pub query_len: Option<u16>,
    pub response_len: Option<u16>,
    pub response_frame_len: Option<u32>,
    pub flags: u16,
    pub edns_udp_size: Option<u16>,
    pub answers: Vec<ResourceRecord>,
    pub authorities: Vec<ResourceRecord>,
    pub additional_count: u16,
    pub damage: Option<&'static str>,
}

/// One row of `dhcp`: the messages of a transaction, from the wire or from a log. Fields are Zeek's where it has them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the columns of DATA-MODEL")]
pub struct DhcpRecord {
    pub record_id: RecordId,
    pub first_seen: Micros,
    pub last_seen: Micros,
    pub origin: Origin,
    /// 4 or 6.
    pub version: u8,
    pub xid: Option<u32>,
    pub client_addr: Option<IpAddr>,
    pub client_port: Option<u16>,
    pub server_addr: Option<IpAddr>,
    pub server_port: Option<u16>,
    pub relay_addr: Option<IpAddr>,
    pub mac: Option<[u8; 6]>,
    /// Client identifier or DUID, hexadecimal.
    pub client_id: Option<String>,
    pub host_name: Option<String>,
    pub client_fqdn: Option<String>,
    pub domain: Option<String>,
    pub requested_addr: Option<IpAddr>,
    pub assigned_addr: Option<IpAddr>,
    /// Seconds.
    pub lease_time: Option<u32>,
    pub leases: Vec<DhcpLease>,
    pub client_message: Option<String>,
    pub server_message: Option<String>,
    pub vendor_class: Option<String>,
    /// Codes of the options asked for, with commas.
    pub param_list: Option<String>,
    pub msg_types: Vec<Cow<'static, str>>,
    pub damage: Option<&'static str>,
    pub community_id: Option<String>,
}

/// An address or prefix that a server acknowledged, or that a client gave up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DhcpLease {
    /// The address, or the first of the prefix.
    pub address: IpAddr,
    /// 32 or 128, or the length of a delegated prefix.
    pub prefix_len: u8,
    /// Seconds; 0 = given up, `u32::MAX` = for ever.
    pub valid_s: u32,
}

impl DhcpRecord {
    /// A record of version 4 of which only the origin and the time are known.
    pub const fn new(origin: Origin, first_seen: Micros) -> Self {
        Self {
            record_id: RecordId([0; 16]),
            first_seen,
            last_seen: first_seen,
            origin,
            version: 4,
            xid: None,
            client_addr: None,
            client_port: None,
            server_addr: None,
            server_port: None,
            relay_addr: None,
            mac: None,
            client_id: None,
            host_name: None,
            client_fqdn: None,
            domain: None,
            requested_addr: None,
            assigned_addr: None,
            lease_time: None,
            leases: Vec::new(),
            client_message: None,
            server_message: None,
            vendor_class: None,
            param_list: None,
            msg_types: Vec::new(),
            damage: None,
            community_id: None,
        }
    }

    /// Bytes it holds in memory, about.
    pub(crate) fn cost(&self) -> usize {
        let texts = [
            &self.client_id,
            &self.host_name,
            &self.client_fqdn,
            &self.domain,
            &self.client_message,
            &self.server_message,
            &self.vendor_class,
            &self.param_list,
            &self.community_id,
        ];
        size_of::<Self>()
            + texts.iter().map(|text| text.as_ref().map_or(0, String::len)).sum::<usize>()
            + self.leases.len() * size_of::<DhcpLease>()
            + self.msg_types.len() * size_of::<Cow<'static, str>>()
    }
}

/// One row of `proxy`: a request, from the wire or from a log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the columns of DATA-MODEL")]
pub struct ProxyRecord {
    pub record_id: RecordId,
    pub first_seen: Micros,
    pub last_seen: Micros,
    /// wire, bluecoat, squid, haproxy, w3c, zeek, json, spot
    pub origin: &'static str,
    pub client_ip: IpAddr,
    pub client_port: Option<u16>,
    pub server_ip: Option<IpAddr>,
    pub server_port: Option<u16>,
    /// http, https, connect, tls
    pub scheme: String,
    pub method: String,
    pub host: String,
    pub uri_path: String,
    pub uri_query: Option<String>,
    pub uri_extension: Option<String>,
    pub full_uri: String,
    pub user_agent: Option<String>,
    pub referer: Option<String>,
    pub content_type: Option<String>,
    pub status: Option<u16>,
    pub username: Option<String>,
    pub auth_group: Option<String>,
    pub category: Option<String>,
    pub action: Option<String>,
    pub filter_result: Option<String>,
    pub exception_id: Option<String>,
    pub virus_id: Option<String>,
    pub app_name: Option<String>,
    pub app_operation: Option<String>,
    pub duration_us: Option<u64>,
    pub request_bytes: Option<u64>,
    pub response_bytes: Option<u64>,
    pub tls_version: Option<String>,
    pub tls_sni: Option<String>,
    pub tls_alpn: Option<String>,
    pub ja4: Option<String>,
    pub community_id: Option<String>,
}

impl ProxyRecord {
    /// A record of which only the origin and the client are known; all else is null or empty.
    pub const fn new(origin: &'static str, client_ip: IpAddr) -> Self {
        Self {
            record_id: RecordId([0; 16]),
            first_seen: Micros(0),
            last_seen: Micros(0),
            origin,
            client_ip,
            client_port: None,
            server_ip: None,
            server_port: None,
            scheme: String::new(),
            method: String::new(),
            host: String::new(),
            uri_path: String::new(),
            uri_query: None,
            uri_extension: None,
            full_uri: String::new(),
            user_agent: None,
            referer: None,
            content_type: None,
            status: None,
            username: None,
            auth_group: None,
            category: None,
            action: None,
            filter_result: None,
            exception_id: None,
            virus_id: None,
            app_name: None,
            app_operation: None,
            duration_us: None,
            request_bytes: None,
            response_bytes: None,
            tls_version: None,
            tls_sni: None,
            tls_alpn: None,
            ja4: None,
            community_id: None,
        }
    }
}

/// One row of `ledger`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerRow {
    /// First moment of the interval.
    pub interval_start: Micros,
    /// Its end.
    pub interval_end: Micros,
    /// Which sensor.
    pub sensor: String,
    /// Which input: a file's name, an interface, a collector, `lake` for the lake's own books.
    pub source: String,
    /// Receive queue, where there are several.
    pub queue: Option<i32>,
    /// Which clock gave the times, and its resolution.
    pub clock: String,
    /// Name of the counter, documented where it is counted. `packets.seen`, `bytes.seen` …
    pub counter: String,
    /// Its value over the interval.
    pub value: u64,
}

/// What the aggregator hands over, in the order it was finished.
#[derive(Debug, Default)]
pub struct Records {
    /// Finished flows.
    pub flow: Vec<FlowRecord>,
    /// Finished DNS questions.
    pub dns: Vec<DnsRecord>,
    /// Finished DHCP transactions.
    pub dhcp: Vec<DhcpRecord>,
    /// Finished requests.
    pub proxy: Vec<ProxyRecord>,
}

impl Records {
    /// Puts each kind in canonical order: by time, then by key, which is the same whatever the timeouts let end
    /// first.
    pub fn sort(&mut self) {
        self.flow.sort_by_cached_key(|r| {
            (r.first_seen, r.proto, r.src_ip, r.dst_ip, r.src_port, r.dst_port, r.flow_start, r.segment, r.record_id)
        });
        self.dns.sort_by_cached_key(|r| {
            (r.first_seen, r.client_ip, r.server_ip, r.client_port, r.server_port, r.id, r.question, r.record_id)
        });
        self.dhcp.sort_by_cached_key(|r| (r.first_seen, r.version, r.xid, r.mac, r.record_id));
        self.proxy.sort_by_cached_key(|r| {
            (r.first_seen, r.client_ip, r.server_ip, r.client_port, r.server_port, r.record_id)
        });
    }

    /// How many.
    pub const fn len(&self) -> usize {
        self.flow.len() + self.dns.len() + self.dhcp.len() + self.proxy.len()
    }

    /// Nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
