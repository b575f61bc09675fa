//! Addresses and numbers as text, without `std::fmt`: the writer formats two or more addresses per row.

use capture::{Ip, IpVersion};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `0` to `255` as text: the digits, and how many.
static OCTETS: [([u8; 3], u8); 256] = octets();

const fn octets() -> [([u8; 3], u8); 256] {
    let mut table = [([0; 3], 0); 256];
    let mut n = 0;
    while n < 256 {
        let (hundreds, tens, ones) = (b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8);
        table[n] = match n {
            0..10 => ([ones, 0, 0], 1),
            10..100 => ([tens, ones, 0], 2),
            _ => ([hundreds, tens, ones], 3),
        };
        n += 1;
    }
    table
}

/// Appends an address in canonical text.
pub(super) fn push_ip(out: &mut Vec<u8>, ip: Ip, version: IpVersion) {
    match version {
        IpVersion::V4 => {
            let [.., a, b, c, d] = ip.0;
            push_v4(out, [a, b, c, d]);
        }
        IpVersion::V6 => push_v6(out, ip.0),
    }
}

fn push_v4(out: &mut Vec<u8>, octets: [u8; 4]) {
    let mut text = [0u8; 16];
    let mut at = 0;
    for octet in octets {
        let (digits, len) = OCTETS[usize::from(octet)];
        // Three digits are always copied; the next octet overwrites those that do not count.
        text[at..at + 3].copy_from_slice(&digits);
        at += usize::from(len);
        text[at] = b'.';
        at += 1;
    }
    out.extend_from_slice(&text[..at - 1]);
}

/// RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as `::`, and
/// IPv4-mapped addresses with their IPv4 part dotted.
fn push_v6(out: &mut Vec<u8>, octets: [u8; 16]) {
    let [.., a, b, c, d] = octets;
    if octets[..10] == [0; 10] && octets[10..12] == [0xff, 0xff] {
        out.extend_from_slice(b"::ffff:");
        return push_v4(out, [a, b, c, d]);
    }
    let mut groups = [0u16; 8];
    for (group, pair) in groups.iter_mut().zip(octets.chunks_exact(2)) {
        *group = u16::from_be_bytes([pair[0], pair[1]]);
    }
    let (mut longest, mut longest_at, mut run) = (1, 8, 0);
    for (at, group) in groups.iter().enumerate() {
        run = if *group == 0 { run + 1 } else { 0 };
        if run > longest {
            (longest, longest_at) = (run, at + 1 - run);
        }
    }
    let mut at = 0;
    while at < 8 {
        if at == longest_at {
            out.extend_from_slice(b"::");
            at += longest;
            continue;
        }
        if at > 0 && at != longest_at + longest {
            out.push(b':');
        }
        push_hex(out, groups[at]);
        at += 1;
    }
}

fn push_hex(out: &mut Vec<u8>, group: u16) {
    let nibbles = [group >> 12, group >> 8 & 15, group >> 4 & 15, group & 15].map(|n| DIGITS[usize::from(n)]);
    let leading = (group | 1).leading_zeros() as usize / 4;
    out.extend_from_slice(&nibbles[leading..]);
}

/// Appends a MAC address: six pairs of lower-case hexadecimal digits with colons.
pub(super) fn push_mac(out: &mut Vec<u8>, mac: [u8; 6]) {
    let mut text = *b"00:00:00:00:00:00";
    for (place, octet) in text.chunks_mut(3).zip(mac) {
        place[0] = DIGITS[usize::from(octet >> 4)];
        place[1] = DIGITS[usize::from(octet & 15)];
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn text(ip: IpAddr) -> String {
        let mut out = Vec::new();
        let (ip, version) = Ip::from_ip_addr(ip);
        push_ip(&mut out, ip, version);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn examples_of_rfc_5952() {
        // RFC 5952, sections 2, 4.2.2, 4.2.3, 5; the last two have a run at the end and one group only.
        for canonical in [
            "2001:db8::1",
            "2001:db8:0:1:1:1:1:1",
            "2001:db8::1:0:0:1",
            "2001:0:0:1::1",
            "::ffff:192.0.2.1",
            "::",
            "::1",
            "fe80::",
            "1:2:3:4:5:6:7:0",
        ] {
            assert_eq!(text(canonical.parse().unwrap()), canonical);
        }
    }

    #[test]
    fn version_decides_not_the_bytes() {
        let mapped = Ip::v4([192, 0, 2, 1]);
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        push_ip(&mut v4, mapped, IpVersion::V4);
        push_ip(&mut v6, mapped, IpVersion::V6);
        assert_eq!((v4.as_slice(), v6.as_slice()), (&b"192.0.2.1"[..], &b"::ffff:192.0.2.1"[..]));
    }

    #[test]
    fn mac_addresses() {
        let mut out = Vec::new();
        push_mac(&mut out, [0x00, 0x1b, 0x21, 0xff, 0x0a, 0x9e]);
        assert_eq!(out, b"00:1b:21:ff:0a:9e");
    }

    proptest! {
        #[test]
        fn v4_as_the_standard_library(bits: u32) {
            let ip = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(text(ip.into()), ip.to_string());
        }

        // Groups are drawn with many zeros, so that runs of every length and place come up.
        #[test]
        fn v6_as_the_standard_library(groups in prop::array::uniform8(prop_oneof![Just(0u16), 0u16..20, any::<u16>()])) {
            let ip = Ipv6Addr::from(groups);
            prop_assert_eq!(text(ip.into()), ip.to_string());
        }
    }
}
