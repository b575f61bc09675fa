//! Community ID v1 (github.com/corelight/community-id-spec), seed 0: the key that Zeek, Suricata and Arkime
//! give the same flow, in both directions.

use std::fmt;

use capture::{AddressPair, IpVersion};
use sha1::{Digest, Sha1};

use crate::icmp::{self, ICMP, ICMPV6};
use crate::record::{DnsRecord, FlowRecord};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// `1:` and 28 characters of base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommunityId([u8; Self::LEN]);

impl CommunityId {
    /// Characters of an id.
    pub const LEN: usize = 30;

    /// The id of the flow that a packet with these addresses belongs to. ICMP has its type and code in the
    /// ports, as [`AddressPair`] says; protocols without ports (all but TCP, UDP, SCTP and ICMP) are hashed
    /// without.
    pub fn new(pair: &AddressPair) -> Self {
        let mut ports = (pair.src_port, pair.dst_port);
        let mut one_way = false;
        let has_ports = match pair.proto {
            TCP | UDP | SCTP => true,
            ICMP | ICMPV6 => {
                match icmp::counterpart(pair.proto, pair.src_port as u8) {
                    Some(reply) => ports.1 = u16::from(reply),
                    None => one_way = true,
                }
                true
            }
            _ => {
                ports = (0, 0);
                false
            }
        };
        let (mut src, mut dst) = (pair.src, pair.dst);
        if !one_way && (src, ports.0) > (dst, ports.1) {
            (src, dst) = (dst, src);
            ports = (ports.1, ports.0);
        }

        // Seed, addresses, protocol, padding, ports; in network byte order. In one piece: it is one block of SHA-1.
        let mut bytes = [0; 2 + 2 * 16 + 2 + 4];
        let mut len = 2;
        let mut put = |part: &[u8]| {
            if let Some(room) = bytes.get_mut(len..len + part.len()) {
                room.copy_from_slice(part);
                len += part.len();
            }
        };
        for ip in [src, dst] {
            match pair.version {
                IpVersion::V4 => put(&ip.0[12..]),
                IpVersion::V6 => put(&ip.0),
            }
        }
        put(&[pair.proto, 0]);
        if has_ports {
            put(&ports.0.to_be_bytes());
            put(&ports.1.to_be_bytes());
        }
        let mut hash = Sha1::new();
        hash.update(&bytes[..len]);
        Self::from_digest(hash.finalize().into())
    }

    /// The id of a flow record.
    pub fn of_flow(record: &FlowRecord) -> Self {
        let (src_port, dst_port) = match record.proto {
            ICMP | ICMPV6 => (record.dst_port >> 8, record.dst_port & 0xff),
            _ => (record.src_port, record.dst_port),
        };
        Self::new(&AddressPair {
            src: record.src_ip,
            dst: record.dst_ip,
            src_port,
            dst_port,
            proto: record.proto,
            version: record.version,
        })
    }

    /// The id of the flow that carried a DNS record.
    pub fn of_dns(record: &DnsRecord) -> Self {
        Self::new(&AddressPair {
            src: record.client_ip,
            dst: record.server_ip,
            src_port: record.client_port,
            dst_port: record.server_port,
            proto: if record.transport == capture::DnsTransport::Tcp { TCP } else { UDP },
            version: record.version,
        })
    }

    fn from_digest(digest: [u8; 20]) -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = [b'='; Self::LEN];
        text[..2].copy_from_slice(b"1:");
        let letter = |bits: u32| ALPHABET[(bits & 0x3f) as usize];
        let (threes, rest) = digest.as_chunks::<3>();
        let (fours, _) = text[2..].as_chunks_mut::<4>();
        for (&[a, b, c], four) in threes.iter().zip(&mut *fours) {
            let bits = u32::from_be_bytes([0, a, b, c]);
            *four = [letter(bits >> 18), letter(bits >> 12), letter(bits >> 6), letter(bits)];
        }
        // 20 bytes: six times three, and two that give three letters; the `=` is there.
        if let (&[a, b], Some([first, second, third, _])) = (rest, fours.last_mut()) {
            let bits = u32::from_be_bytes([0, a, b, 0]);
            (*first, *second, *third) = (letter(bits >> 18), letter(bits >> 12), letter(bits >> 6));
        }
        Self(text)
    }

    /// The text's letters.
    pub(crate) const fn into_bytes(self) -> [u8; Self::LEN] {
        self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    /// The specification's baseline for seed 0 (baseline_deflt.json). ICMP there has type and counterpart in
    /// the ports; here the type and code that the wire has.
    const BASELINE: [(u8, &str, &str, u16, u16, &str); 23] = [
        (58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
        (58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 136, 0, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
        (58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 135, 0, "1:zavyT/cezQr1fmImYCwYnMXbgck="),
        (58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 136, 0, "1:zavyT/cezQr1fmImYCwYnMXbgck="),
        (58, "3ffe:501:1800:2345::2", "3ffe:507:0:1:200:86ff:fe05:80da", 3, 0, "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="),
        (
            58,
            "3ffe:501:410:0:2c0:dfff:fe47:33e",
            "3ffe:507:0:1:200:86ff:fe05:80da",
            1,
            4,
            "1:hLZd0XGWojozrvxqE0dWB1iM6R0=",
        ),
        (58, "3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:501:0:1001::2", 128, 0, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
        (58, "3ffe:501:0:1001::2", "3ffe:507:0:1:200:86ff:fe05:80da", 129, 0, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
        (58, "fe80::200:86ff:fe05:80da", "ff02::2", 133, 0, "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="),
        (58, "fe80::260:97ff:fe07:69ea", "ff02::1", 134, 0, "1:pkvHqCL88/tg1k4cPigmZXUtL00="),
        (1, "192.168.0.89", "192.168.0.1", 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (1, "192.168.0.1", "192.168.0.89", 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
        (1, "10.0.0.1", "10.0.0.2", 11, 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
        (
            6,
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            "2607:f8b0:400c:c03::1a",
            63943,
            25,
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (
            6,
            "2607:f8b0:400c:c03::1a",
            "2001:470:e5bf:dead:4957:2174:e82c:4887",
            25,
            63943,
            "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        ),
        (132, "192.168.170.8", "192.168.170.56", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        (132, "192.168.170.56", "192.168.170.8", 7, 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
        (6, "128.232.110.120", "66.35.250.204", 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (6, "66.35.250.204", "128.232.110.120", 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        (17, "192.168.1.52", "8.8.8.8", 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (17, "8.8.8.8", "192.168.1.52", 53, 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        (46, "10.1.12.1", "10.1.12.2", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
        (46, "10.1.12.2", "10.1.12.1", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
    ];

    #[test]
    fn equals_the_specification_s_baseline() {
        for (proto, src, dst, src_port, dst_port, expected) in BASELINE {
            let (src, version) = capture::Ip::from_ip_addr(src.parse::<IpAddr>().unwrap());
            let (dst, _) = capture::Ip::from_ip_addr(dst.parse::<IpAddr>().unwrap());
            let pair = AddressPair { src, dst, src_port, dst_port, proto, version };
            assert_eq!(CommunityId::new(&pair).as_str(), expected, "{pair:?}");
        }
    }
}
