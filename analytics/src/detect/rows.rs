//! What the detectors see of a record, and which addresses are the organisation's own.

use std::net::IpAddr;

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mac(pub [u8; 6]);

impl std::str::FromStr for Mac {
    type Err = ();
    /// Six pairs of hexadecimal digits with colons, as the lake has them.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut octets = text.split(':');
        let mut mac = [0; 6];
        for slot in &mut mac {
            *slot = octets.next().and_then(|hex| u8::from_str_radix(hex, 16).ok()).ok_or(())?;
        }
        octets.next().is_none().then_some(Self(mac)).ok_or(())
    }
}

/// A flow record. Times are microseconds since the epoch.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are the columns of the table")]
pub struct FlowRow<'a> {
    pub first_seen: i64,
    pub last_seen: i64,
    pub flow_start: i64,
    pub segment: u32,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    pub proto: u8,
    pub src_packets: u64,
    pub src_bytes: u64,
    pub dst_packets: Option<u64>,
    pub dst_bytes: Option<u64>,
    pub conn_state: Option<&'a str>,
    pub service: Option<&'a str>,
    pub src_mac: Option<Mac>,
}

#[cfg(test)]
impl FlowRow<'static> {
    /// A conversation of TCP at a time, for tests: what matters to one is stated there.
    pub(crate) fn sample(at: i64, src: impl Into<IpAddr>, dst: impl Into<IpAddr>, dst_port: u16) -> Self {
        Self {
            first_seen: at,
            last_seen: at,
            flow_start: at,
            segment: 0,
            src: src.into(),
            dst: dst.into(),
            src_port: 40_000,
            dst_port,
            proto: 6,
            src_packets: 6,
            src_bytes: 500,
            dst_packets: Some(5),
            dst_bytes: Some(800),
            conn_state: Some("SF"),
            service: None,
            src_mac: None,
        }
    }
}

impl FlowRow<'_> {
    /// ICMP or ICMPv6.
    pub const fn is_icmp(&self) -> bool {
        matches!(self.proto, 1 | 58)
    }

    /// Echo requests: type 8, of ICMPv6 128. The type is the upper half of the responder's port.
    pub const fn is_echo(&self) -> bool {
        matches!((self.proto, self.dst_port >> 8), (1, 8) | (58, 128))
    }

    /// An attempt that carried no data: refused, unanswered, or dropped after the handshake. By counts and sizes where no connection state says it, so
    /// that exporters are read the same: an IP packet of TCP without payload has at most 60 bytes (IPv6: 80), and a conversation, however short,
    /// takes more than three packets of its initiator.
    pub fn is_probe(&self) -> bool {
        let header = if self.src.is_ipv6() { 80 } else { 60 };
        let empty = |packets: u64, bytes: u64| bytes <= packets.saturating_mul(header);
        let (back, back_bytes) = (self.dst_packets.unwrap_or(0), self.dst_bytes.unwrap_or(0));
        let few = (back == 0 && self.src_packets <= 8) || (self.src_packets <= 3 && back <= 3);
        match self.proto {
            _ if self.segment != 0 => false,
            6 if matches!(self.conn_state, Some("SF" | "S2" | "S3")) => false,
            6 if matches!(self.conn_state, Some("S0" | "REJ" | "RSTOS0" | "SH")) => true,
            6 => few && empty(self.src_packets, self.src_bytes) && empty(back, back_bytes),
            17 => self.dst_packets == Some(0) && self.src_packets <= 3,
            1 | 58 => self.is_echo() && self.dst_packets == Some(0) && self.src_packets <= 8,
            // A protocol that hardly any host speaks. Tunnels and routing may be one-way, too, but not with a few packets.
            _ => self.dst_packets == Some(0) && self.src_packets <= 3,
        }
    }

    /// A piece of a connection whose begin and end were not seen: cut off by the idle timeout while it was silent. From either end.
    pub fn is_piece(&self) -> bool {
        self.proto == 6 && self.conn_state == Some("OTH")
    }

    /// The same from the other end.
    #[must_use]
    pub fn turned(&self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
            src_packets: self.dst_packets.unwrap_or(0),
            src_bytes: self.dst_bytes.unwrap_or(0),
            dst_packets: Some(self.src_packets),
            dst_bytes: Some(self.src_bytes),
            src_mac: None,
            ..*self
        }
    }

    /// Data went in both directions.
    pub fn is_conversation(&self) -> bool {
        !self.is_probe() && self.dst_packets.is_some_and(|packets| packets > 0)
    }
}

/// A DNS question.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are the columns of the table")]
pub struct DnsRow<'a> {
    pub first_seen: i64,
    pub client: IpAddr,
    pub server: IpAddr,
    pub qname: &'a str,
    pub qtype: u16,
    pub rcode: Option<u16>,
    /// The message could not be read whole: the name may be cut.
    pub damaged: bool,
    pub response_len: Option<u16>,
    /// Networks (/24, /48) of the addresses in the answer, and the smallest time to live in seconds.
    pub addresses: &'a [(u64, u32)],
}

/// A request.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names are the columns of the table")]
pub struct ProxyRow<'a> {
    pub first_seen: i64,
    pub client: IpAddr,
    pub server: Option<IpAddr>,
    pub method: &'a str,
    pub host: &'a str,
    pub uri_path: &'a str,
    pub uri_query: &'a str,
    pub status: Option<u16>,
    pub user_agent: Option<&'a str>,
    pub referer: Option<&'a str>,
    pub ja4: Option<&'a str>,
    pub request_bytes: Option<u64>,
    pub response_bytes: Option<u64>,
}

#[cfg(test)]
impl ProxyRow<'static> {
    /// A page of a server outside, for tests: what matters to one is stated there.
    pub(crate) fn sample(client: impl Into<IpAddr>) -> Self {
        Self {
            first_seen: 0,
            client: client.into(),
            server: Some([203, 0, 113, 1].into()),
            method: "GET",
            host: "www.example",
            uri_path: "/",
            uri_query: "",
            status: Some(200),
            user_agent: None,
            referer: None,
            ja4: None,
            request_bytes: Some(300),
            response_bytes: Some(2_000),
        }
    }
}

/// Networks of the organisation. Without any stated, the private ones (RFC 1918, RFC 4193), link-local and loopback.
#[derive(Clone, Debug, Default)]
pub struct Internal {
    networks: Vec<(IpAddr, u8)>,
}

impl Internal {
    /// These networks, each an address and the bits that count, beside the private ones.
    pub fn new(networks: Vec<(IpAddr, u8)>) -> Self {
        Self { networks }
    }

    /// The address is the organisation's.
    pub fn holds(&self, ip: IpAddr) -> bool {
        let private = match ip {
            IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
            IpAddr::V6(v6) => {
                let [first, ..] = v6.segments();
                first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80 || v6.is_loopback() || v6.is_unspecified()
            }
        };
        private || self.networks.iter().any(|(network, bits)| within(ip, *network, *bits))
    }

    /// The address is one of the outside world: neither the organisation's nor a group's.
    pub fn outside(&self, ip: IpAddr) -> bool {
        !self.holds(ip) && !is_group(ip)
    }
}

/// Multicast or broadcast.
pub fn is_group(ip: IpAddr) -> bool {
    ip.is_multicast() || matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}

/// Bytes of IP packets of an address's family, without their headers (options left aside): so that both families compare.
pub(crate) fn segment_bytes(ip: IpAddr, packets: u64, bytes: u64) -> u64 {
    bytes.saturating_sub(packets.saturating_mul(if ip.is_ipv6() { 40 } else { 20 }))
}

/// The address lies in the network: its first `bits` bits agree.
pub(crate) fn within(ip: IpAddr, network: IpAddr, bits: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let drop = width.saturating_sub(bits.into());
        drop >= width || a >> drop == b >> drop
    };
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn tcp(sent: (u64, u64), back: (u64, u64), conn_state: Option<&'static str>) -> FlowRow<'static> {
        FlowRow {
            first_seen: 0,
            last_seen: 0,
            flow_start: 0,
            segment: 0,
            src: [10, 0, 0, 1].into(),
            dst: [10, 0, 0, 2].into(),
            src_port: 40_000,
            dst_port: 21,
            proto: 6,
            src_packets: sent.0,
            src_bytes: sent.1,
            dst_packets: Some(back.0),
            dst_bytes: Some(back.1),
            conn_state,
            service: None,
            src_mac: None,
        }
    }

    /// A password cracker's sessions have fewer bytes a packet than a SYN with options, and were taken for probes.
    #[test]
    fn short_sessions_are_no_probes() {
        assert!(!tcp((6, 277), (5, 330), None).is_probe());
        assert!(!tcp((3, 130), (2, 100), Some("SF")).is_probe());
        assert!(tcp((1, 44), (1, 40), None).is_probe());
        assert!(tcp((6, 360), (0, 0), None).is_probe());
        assert!(tcp((2, 100), (1, 60), Some("REJ")).is_probe());
    }

    #[test]
    fn inside_and_outside() {
        let own = Internal::new(vec![("198.51.100.0".parse().unwrap(), 24), ("2001:db8::".parse().unwrap(), 32)]);
        for inside in ["10.1.2.3", "172.31.0.1", "192.168.9.9", "fd20::1", "fe80::1", "198.51.100.77", "2001:db8:1::5"]
        {
            assert!(own.holds(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "172.32.0.1", "198.51.101.1", "2001:db9::1"] {
            assert!(own.outside(outside.parse().unwrap()), "{outside}");
        }
        assert!(!own.outside("224.0.0.251".parse().unwrap()) && !own.outside("ff02::fb".parse().unwrap()));
    }
}
