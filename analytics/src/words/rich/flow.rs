//! Rich words of flow records.

use std::net::IpAddr;

use super::super::{Invalid, TimeOfDay, WordCode};
use super::{Feature, Features, Popularity, Reading, components, of, quantity};
use crate::detect::rows::{Internal, is_group};

/// What a rich word looks at. `None` is null.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are the columns of the table")]
pub struct RichFlow<'a> {
    pub first_seen: Option<i64>,
    pub last_seen: Option<i64>,
    pub src: Option<IpAddr>,
    pub dst: Option<IpAddr>,
    pub src_port: Option<u16>,
    pub dst_port: Option<u16>,
    pub proto: u8,
    pub src_packets: Option<u64>,
    pub src_bytes: Option<u64>,
    pub dst_packets: Option<u64>,
    pub dst_bytes: Option<u64>,
    pub src_flags: Option<u8>,
    pub dst_flags: Option<u8>,
    pub conn_state: Option<&'a str>,
    pub service: Option<&'a str>,
}

const ROLES: Reading = Reading::Names(&[("client", "it asked"), ("server", "it was asked")]);
const STATES: Reading = Reading::Names(&[
    ("none", "no connection state"),
    ("ok", "data in both directions"),
    ("unanswered", "no answer"),
    ("refused", "refused"),
    ("reset", "broken off"),
    ("oneway", "one direction only"),
    ("empty", "opened and closed without data"),
]);
const SCOPES: Reading = Reading::Names(&[
    ("inside", "between hosts of the organisation"),
    ("out", "from inside to outside"),
    ("in", "from outside to inside"),
    ("through", "between hosts outside"),
    ("group", "to a multicast or broadcast address"),
]);
const SERVICES: Reading = Reading::Names(&[
    ("-", "no protocol recognised"),
    ("dns", "DNS"),
    ("http", "HTTP"),
    ("tls", "TLS"),
    ("ssh", "SSH"),
    ("smb", "SMB"),
    ("rdp", "RDP"),
    ("smtp", "SMTP"),
    ("ftp", "FTP"),
    ("ntp", "NTP"),
    ("dhcp", "DHCP"),
    ("krb", "Kerberos"),
    ("ldap", "LDAP"),
    ("quic", "QUIC"),
    ("irc", "IRC"),
    ("other", "another protocol"),
]);

pub(super) const FEATURES: &[Feature] = &[
    of("role", "role", false, ROLES),
    of("port", "port", false, Reading::Port),
    of("proto", "protocol", false, Reading::Protocol),
    of("hour", "hour", true, Reading::Hour),
    of("sent", "bytes sent by the client", true, Reading::Quantity("bytes")),
    of("got", "bytes sent by the server", true, Reading::Quantity("bytes")),
    of("packets", "packets sent by the client", true, Reading::Quantity("packets")),
    of("back", "packets sent by the server", true, Reading::Quantity("packets")),
    of("time", "duration", true, Reading::Time),
    of("state", "connection state", false, STATES),
    of("scope", "direction", false, SCOPES),
    of("peer", "hosts that talk with the peer", true, Reading::Hosts("hosts")),
    of("flags", "TCP flags", false, Reading::Number("as a number, both directions")),
    of("service", "protocol recognised", false, SERVICES),
    of("ratio", "share of the bytes sent by the client", true, Reading::Number("eighths")),
];

pub(super) const COMPONENTS_OF: [super::Component; FEATURES.len()] = components(FEATURES);

/// See `perf/eval/README.md` for the table.
pub(super) const CHOSEN: u16 = 1 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 10 | 1 << 11;

/// Ports above 1023 that name a service: registered with IANA and in wide use.
const KNOWN: [u16; 45] = [
    1080, 1194, 1433, 1521, 1701, 1723, 1883, 1900, 2049, 2222, 2375, 3128, 3268, 3306, 3389, 4500, 5060, 5061, 5222,
    5353, 5355, 5432, 5672, 5900, 5985, 5986, 6379, 6443, 6667, 8000, 8008, 8080, 8081, 8443, 8530, 8883, 8888, 9000,
    9090, 9092, 9100, 9200, 9418, 11211, 27017,
];

const REGISTERED: u32 = 1 << 16;
const DYNAMIC: u32 = REGISTERED + 1;
const NO_PORT: u32 = REGISTERED + 2;
const ICMP: u32 = 1 << 17;

/// The port that names the service, and whether it is the source's: `port` for ports to 1023 and known services; above, whether it is
/// one that is registered (to 32767) or dynamic. ICMP has its type.
fn port_label(src: u16, dst: u16, proto: u8) -> (u32, bool) {
    let named = |port: u16| port != 0 && (port < 1024 || KNOWN.binary_search(&port).is_ok());
    match proto {
        1 | 58 => (ICMP + u32::from(dst >> 8), false),
        6 | 17 | 132 | 33 if named(dst) => (dst.into(), false),
        6 | 17 | 132 | 33 if named(src) => (src.into(), true),
        6 | 17 | 132 | 33 if dst == 0 && src == 0 => (NO_PORT, false),
        6 | 17 | 132 | 33 if dst < 32_768 => (REGISTERED, false),
        6 | 17 | 132 | 33 => (DYNAMIC, false),
        _ => (NO_PORT, false),
    }
}

pub(super) fn port_text(value: u32) -> String {
    match value {
        REGISTERED => "registered".into(),
        DYNAMIC => "dynamic".into(),
        NO_PORT => "none".into(),
        _ if value >= ICMP => format!("type{}", value - ICMP),
        _ => value.to_string(),
    }
}

pub(super) fn read_port(text: &str) -> Option<u32> {
    match text {
        "registered" => Some(REGISTERED),
        "dynamic" => Some(DYNAMIC),
        "none" => Some(NO_PORT),
        _ => match text.strip_prefix("type") {
            Some(kind) => kind.parse::<u8>().ok().map(|kind| ICMP + u32::from(kind)),
            None => text.parse::<u16>().ok().map(u32::from),
        },
    }
}

pub(super) fn describe_port(value: u32) -> String {
    match value {
        REGISTERED => "a registered port of no well-known service".into(),
        DYNAMIC => "a dynamic port (32768 and above)".into(),
        NO_PORT => "no port".into(),
        _ if value >= ICMP => format!("ICMP type {}", value - ICMP),
        _ => format!("port {value}"),
    }
}

fn service(text: Option<&str>) -> u32 {
    let Reading::Names(names) = SERVICES else { return 0 };
    match text {
        None => 0,
        Some(text) => names.iter().position(|(name, _)| *name == text).unwrap_or(names.len() - 1) as u32,
    }
}

impl RichFlow<'_> {
    /// By the state where it is known, else by counts.
    fn state(&self) -> u32 {
        const OK: u32 = 1;
        let back = self.dst_packets;
        match self.conn_state {
            Some("SF" | "S1" | "S2" | "S3") if back == Some(0) => 5,
            Some("SF" | "S1" | "S2" | "S3") => OK,
            Some("S0" | "SH") => 2,
            Some("REJ" | "RSTOS0") => 3,
            Some("RSTO" | "RSTR" | "RSTRH") => 4,
            Some("SHR" | "OTH") => 5,
            _ if back.is_none_or(|packets| packets == 0) && self.proto == 6 => 2,
            _ if back.is_none_or(|packets| packets == 0) => 5,
            _ if self.proto == 6 => {
                let header = if self.src.is_some_and(|ip| ip.is_ipv6()) { 80 } else { 60 };
                let empty = |bytes: Option<u64>, packets: Option<u64>| {
                    bytes.unwrap_or(0) <= packets.unwrap_or(0).saturating_mul(header)
                };
                let few = self.src_packets.unwrap_or(0) <= 3 && back.unwrap_or(0) <= 3;
                let without = few && empty(self.src_bytes, self.src_packets) && empty(self.dst_bytes, back);
                if without { 6 } else { OK }
            }
            _ => OK,
        }
    }

    /// The words of source and destination, or why there are none.
    ///
    /// # Errors
    /// The first cause found.
    pub fn words(&self, features: Features, peers: &Popularity, internal: &Internal) -> Result<[WordCode; 2], Invalid> {
        let time = self.first_seen.ok_or(Invalid::Time)?;
        let hour = TimeOfDay::from_micros(time).hour()?;
        let (src, dst) = self.src.zip(self.dst).ok_or(Invalid::Address)?;
        let (src_port, dst_port) = self.src_port.zip(self.dst_port).ok_or(Invalid::Port)?;
        self.src_packets.zip(self.src_bytes).ok_or(Invalid::Counter)?;
        let (port, turned) = port_label(src_port, dst_port, self.proto);
        let millis = self.last_seen.map(|last| (last.saturating_sub(time).max(0) / 1000) as u64);
        let scope = match (internal.holds(src), internal.holds(dst)) {
            _ if is_group(dst) => 4,
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        let flags = self.src_flags.map_or(0, |src| u32::from(src | self.dst_flags.unwrap_or(0)) & 0x3f) + 1;
        let (sent, got) = (self.src_bytes.unwrap_or(0) as f64, self.dst_bytes.unwrap_or(0) as f64);
        let ratio = if sent + got > 0.0 { (8.0 * sent / (sent + got)).round().min(8.0) as u32 + 1 } else { 0 };
        let word = |role: u32, peer: IpAddr| {
            features.keep([
                role,
                port,
                self.proto.into(),
                u32::from(hour) + 1,
                quantity(self.src_bytes),
                quantity(self.dst_bytes),
                quantity(self.src_packets),
                quantity(self.dst_packets),
                millis.map_or(0, |millis| (u64::BITS - millis.leading_zeros()).div_ceil(2) + 1),
                self.state(),
                scope,
                peers.bin(super::popularity::address_key(peer)),
                if self.proto == 6 { flags } else { 0 },
                service(self.service),
                ratio,
                0,
            ])
        };
        Ok([word(turned.into(), dst), word((!turned).into(), src)])
    }
}

/// Counts who talks with whom: the pass before any word.
pub fn count_peers(peers: &mut Popularity, src: IpAddr, dst: IpAddr) {
    let (a, b) = (super::popularity::address_key(src), super::popularity::address_key(dst));
    peers.add(b, a);
    peers.add(a, b);
}
