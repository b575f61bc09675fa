//! What a decoder says of a packet: the vocabulary between `capture` and `aggregator`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Nanoseconds since the Unix epoch, UTC (years 1677 to 2262).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Nanos(pub i64);

impl Nanos {
    /// Microseconds since the Unix epoch, rounded down: what records carry.
    pub const fn micros(self) -> i64 {
        self.0.div_euclid(1_000)
    }
}

/// Which Internet Protocol. Part of every key: `::ffff:192.0.2.1` on IPv6 is not `192.0.2.1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum IpVersion {
    /// IPv4 (RFC 791).
    V4 = 4,
    /// IPv6 (RFC 8200).
    V6 = 6,
}

/// An address in 16 bytes: IPv6 as it is, IPv4 in the last four bytes after `::ffff:`. The version is
/// kept beside it, see [`IpVersion`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Ip(pub [u8; 16]);

impl Ip {
    /// From the four bytes of an IPv4 header.
    pub const fn v4(b: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, b[0], b[1], b[2], b[3]])
    }

    /// The standard library's address; `version` decides how the bytes are read.
    pub const fn to_ip_addr(self, version: IpVersion) -> IpAddr {
        match version {
            IpVersion::V4 => IpAddr::V4(Ipv4Addr::new(self.0[12], self.0[13], self.0[14], self.0[15])),
            IpVersion::V6 => IpAddr::V6(Ipv6Addr::from_octets(self.0)),
        }
    }

    /// From the standard library's address, with its version.
    pub const fn from_ip_addr(addr: IpAddr) -> (Self, IpVersion) {
        match addr {
            IpAddr::V4(a) => (Self::v4(a.octets()), IpVersion::V4),
            IpAddr::V6(a) => (Self(a.octets()), IpVersion::V6),
        }
    }
}

impl fmt::Debug for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Ipv6Addr::from_octets(self.0))
    }
}

/// Who sent to whom: the directed five-tuple.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AddressPair {
    /// Sender.
    pub src: Ip,
    /// Receiver.
    pub dst: Ip,
    /// Sender's port; ICMP: the type; 0 where the protocol has none or it was not captured.
    pub src_port: u16,
    /// Receiver's port; ICMP: the code; 0 where the protocol has none or it was not captured.
    pub dst_port: u16,
    /// IANA protocol number, after the IPv6 extension headers.
    pub proto: u8,
    /// How `src` and `dst` are to be read.
    pub version: IpVersion,
}

impl AddressPair {
    /// The same, seen from the other side. (ICMP types are not mapped to their counterparts.)
    pub const fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src, src_port: self.dst_port, dst_port: self.src_port, ..self }
    }
}

/// Place of a packet in a fragmented datagram.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fragment {
    /// Whole datagram (also an IPv6 atomic fragment).
    Whole,
    /// Offset 0 with more to come.
    First,
    /// Offset above 0; its ports were taken from the first fragment if `ports_known`.
    Later {
        /// The first fragment was seen, so the ports are right; else they are 0.
        ports_known: bool,
    },
}

/// What of TCP the flow table needs. Zero for other protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tcp {
    /// CWR ECE URG ACK PSH RST SYN FIN, 0 if not captured.
    pub flags: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Window, not scaled.
    pub window: u16,
}

/// What of the link layer the record keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// Source and destination MAC address, where the link has them.
    pub macs: Option<([u8; 6], [u8; 6])>,
    /// EtherType that led to the IP header.
    pub ethertype: Option<u16>,
    /// Innermost 802.1Q VLAN id.
    pub vlan: Option<u16>,
    /// Its priority code point.
    pub cos: Option<u8>,
}

/// The tunnel that was entered last to reach the packet's IP header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the protocols'")]
pub enum Tunnel {
    Gre,
    Erspan,
    Vxlan,
    Geneve,
    GtpU,
    Mpls,
    Pppoe,
    IpIp,
    SixInFour,
    Teredo,
    L2tp,
    EtherIp,
    Nsh,
    Lisp,
    Capwap,
}

/// Application protocol recognised from the bytes, not from the port alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the protocols'")]
pub enum Service {
    Dns,
    Mdns,
    Llmnr,
    Http,
    Tls,
    Ssh,
    Quic,
    Ntp,
    Dhcp,
    Smtp,
    Ftp,
    Rdp,
    Smb,
    Snmp,
    Sip,
}

/// One IP packet, as the flow table counts it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Packet {
    /// When it was captured.
    pub ts: Nanos,
    /// From whom to whom.
    pub pair: AddressPair,
    /// IP bytes by the header: IPv4 Total Length, or 40 + IPv6 Payload Length (jumbo option honoured).
    /// Where that field is 0 (superframes): what the wire length leaves from the IP header on.
    pub ip_bytes: u32,
    /// Bytes of transport payload by the headers (not by what was captured).
    pub payload_bytes: u32,
    /// TCP fields.
    pub tcp: Tcp,
    /// IPv4 TOS or IPv6 traffic class.
    pub tos: u8,
    /// Place in a fragmented datagram.
    pub fragment: Fragment,
    /// Link-layer fields of the frame.
    pub link: Link,
    /// Tunnel entered last, if any.
    pub tunnel: Option<Tunnel>,
    /// Application protocol this packet's payload gives away, if any.
    pub service: Option<Service>,
}

/// Where a decoder puts what it read. For each frame: its packet first, then the messages it completed.
pub trait Sink {
    /// One IP packet.
    fn packet(&mut self, packet: &Packet);
    /// One application message.
    fn message(&mut self, message: Message);
    /// Offers a transport payload before the decoder reads it itself. A sink that returns `true` has taken it, to
    /// hand it to the decoder that keeps the connection ([`Decoder::handle_payload_of`](crate::Decoder::handle_payload_of)).
    #[inline]
    fn payload(&mut self, packet: &Packet, payload: &[u8], frame_len: u32) -> bool {
        let _ = (packet, payload, frame_len);
        false
    }
}

/// One application message.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// Capture time of the packet that began the message.
    pub first_ts: Nanos,
    /// Capture time of the packet that completed it.
    pub ts: Nanos,
    /// Sender and receiver of the message.
    pub pair: AddressPair,
    /// What it says.
    pub body: Body,
}

/// The kinds of message.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// A DNS query or response.
    Dns(Box<DnsMessage>),
    /// An HTTP/1.x request.
    HttpRequest(Box<HttpRequest>),
    /// An HTTP/1.x response.
    HttpResponse(Box<HttpResponse>),
    /// A TLS ClientHello.
    TlsClientHello(Box<TlsClientHello>),
    /// A DHCP message.
    Dhcp(Box<DhcpMessage>),
}

/// How a DNS message travelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the transports'")]
pub enum DnsTransport {
    Udp,
    Tcp,
    Mdns,
    Llmnr,
}

impl DnsTransport {
    /// By the protocol and the port of the server.
    pub const fn of(proto: u8, server_port: u16) -> Self {
        match (proto, server_port) {
            (6, _) => Self::Tcp,
            (_, 5353) => Self::Mdns,
            (_, 5355) => Self::Llmnr,
            _ => Self::Udp,
        }
    }
}

/// A DNS message (RFC 1035), as far as it could be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsMessage {
    /// How it travelled.
    pub transport: DnsTransport,
    /// Transaction id.
    pub id: u16,
    /// The 16 flag bits of the header (QR is the highest).
    pub flags: u16,
    /// Response code, with the upper bits of EDNS.
    pub rcode: u16,
    /// Bytes of the DNS message, by the transport's length.
    pub message_len: u16,
    /// Bytes of the frame that carried its end, on the wire.
    pub frame_len: u32,
    /// The question section, as far as it could be read.
    pub questions: Vec<DnsQuestion>,
    /// The answer section.
    pub answers: Vec<ResourceRecord>,
    /// The authority section.
    pub authorities: Vec<ResourceRecord>,
    /// ARCOUNT of the header.
    pub additional_count: u16,
    /// UDP payload size of the OPT record (RFC 6891).
    pub edns_udp_size: Option<u16>,
    /// What could not be read: compression_loop, name_too_long, truncated, trailing_bytes …
    pub damage: Option<&'static str>,
}

impl DnsMessage {
    /// QR bit: a response.
    pub const fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// OPCODE.
    pub const fn opcode(&self) -> u8 {
        (self.flags >> 11 & 0xf) as u8
    }
}

/// One entry of the question section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsQuestion {
    /// Lower case, no trailing dot, RFC 4343 escapes; root is ".".
    pub name: String,
    /// The same with the letters as sent.
    pub name_wire: String,
    /// QTYPE.
    pub qtype: u16,
    /// QCLASS.
    pub qclass: u16,
}

/// One resource record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceRecord {
    /// Owner name, in the form of [`DnsQuestion::name`].
    pub name: String,
    /// TYPE.
    pub rtype: u16,
    /// TTL, seconds.
    pub ttl: u32,
    /// RDATA as text: addresses canonical, names as above, binary data as RFC 1035 `\DDD` escapes.
    pub data: String,
}

/// An HTTP/1.x request (RFC 9112). Text is as sent, bytes that are not UTF-8 replaced.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HttpRequest {
    /// Method.
    pub method: String,
    /// Request target, in whichever form it was sent.
    pub target: String,
    /// Host header.
    pub host: Option<String>,
    /// User-Agent header.
    pub user_agent: Option<String>,
    /// Referer header.
    pub referer: Option<String>,
    /// User of Basic (Proxy-)Authorization; never the password.
    pub username: Option<String>,
    /// Head and body: bytes seen, and bytes not seen that the receiver acknowledged.
    pub bytes: u64,
    /// Its number on the connection, from 0: requests and responses are matched by it.
    pub index: u32,
}

/// An HTTP/1.x final response (interim 1xx are skipped, 101 is final).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Content-Type header.
    pub content_type: Option<String>,
    /// Head and body: bytes seen, and bytes not seen that the receiver acknowledged.
    pub bytes: u64,
    /// Number of the request it answers, from 0.
    pub index: u32,
}

/// A TLS ClientHello (RFC 8446 4.1.2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsClientHello {
    /// Highest version offered (supported_versions, else legacy_version), GREASE left out.
    pub version: u16,
    /// server_name.
    pub sni: Option<String>,
    /// ALPN protocols, in order, comma separated.
    pub alpn: Option<String>,
    /// JA4 fingerprint.
    pub ja4: Option<String>,
    /// Bytes of the handshake message.
    pub bytes: u64,
}

/// A DHCP message (RFC 2131, RFC 8415), as far as it could be read. Texts are as sent; octets that are not printable ASCII
/// stand as RFC 1035 `\DDD`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DhcpMessage {
    /// DHCPv4 or DHCPv6.
    pub version: IpVersion,
    /// Message type (IANA); of the innermost message, where relays carry it. 0: BOOTP, which has none.
    pub message_type: u8,
    /// Sent by a server.
    pub from_server: bool,
    /// Transaction id; 24 bits in DHCPv6.
    pub xid: u32,
    /// Client's hardware address.
    pub mac: Option<[u8; 6]>,
    /// Client identifier (option 61) or DUID (DHCPv6 option 1).
    pub client_id: Option<Box<[u8]>>,
    /// The address that the client has while it speaks.
    pub client_addr: Option<IpAddr>,
    /// Server identifier, else the server's address.
    pub server_addr: Option<IpAddr>,
    /// Address of the relay agent nearest to the client, on the client's link.
    pub relay_addr: Option<IpAddr>,
    /// Addresses the client asks for or gives up, or the server offers or gives.
    pub addresses: Vec<DhcpAddress>,
    /// Host name (option 12).
    pub host_name: Option<String>,
    /// Client FQDN (option 81, RFC 4702; DHCPv6 option 39, RFC 4704), without the dot at the end.
    pub client_fqdn: Option<String>,
    /// Domain name (option 15), or the first of the domain search list (DHCPv6 option 24).
    pub domain: Option<String>,
    /// Message (option 56), or that of the status code (DHCPv6 option 13).
    pub text: Option<String>,
    /// Vendor class identifier (option 60), or the first vendor class (DHCPv6 option 16).
    pub vendor_class: Option<String>,
    /// Codes of the options asked for, in order (option 55, DHCPv6 option 6).
    pub param_list: Vec<u16>,
    /// The first thing that could not be read: truncated, ends_early, option_length …
    pub damage: Option<&'static str>,
}

impl DhcpMessage {
    /// A message of which nothing is known but its version.
    pub const fn empty(version: IpVersion) -> Self {
        Self {
            version,
            message_type: 0,
            from_server: false,
            xid: 0,
            mac: None,
            client_id: None,
            client_addr: None,
            server_addr: None,
            relay_addr: None,
            addresses: Vec::new(),
            host_name: None,
            client_fqdn: None,
            domain: None,
            text: None,
            vendor_class: None,
            param_list: Vec::new(),
            damage: None,
        }
    }
}

/// An address or prefix in a DHCP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DhcpAddress {
    /// The address, or the first of the prefix.
    pub address: IpAddr,
    /// 32 or 128 for an address, else the length of a delegated prefix.
    pub prefix_len: u8,
    /// For how long, seconds: lease time or valid lifetime; 0 = given up, `u32::MAX` = for ever; `None` = not said.
    pub valid: Option<u32>,
}
