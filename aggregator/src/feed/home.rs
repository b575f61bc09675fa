//! Which addresses are ours: what makes traffic incoming, outgoing, internal or external.

use std::net::IpAddr;

use capture::{Ip, IpVersion};

/// Private networks: RFC 1918, RFC 6598, link-local (RFC 3927, RFC 4291), unique local (RFC 4193), loopback.
const PRIVATE: [&str; 9] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
];

/// A network in the form of [`Ip`]: IPv4 is `::ffff:a.b.c.d`, but never meets IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Network {
    version: IpVersion,
    bits: u128,
    mask: u128,
}

/// See the [module](self).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HomeNetworks(Vec<Network>);

/// A network that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("\"{0}\" is not a network: write it as 192.0.2.0/24 or 2001:db8::/32")]
pub struct HomeError(String);

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        let (ip, version) = Ip::from_ip_addr(address.parse::<IpAddr>().ok()?);
        let width: u32 = if version == IpVersion::V4 { 32 } else { 128 };
        let length = if text.contains('/') { length.parse().ok().filter(|n| *n <= width)? } else { width };
        let mask = u128::MAX.checked_shl(width - length).unwrap_or(0);
        // The 96 bits before an IPv4 address are the same for all.
        let mask = if version == IpVersion::V4 { mask | u128::MAX << 32 } else { mask };
        Some(Self { version, bits: u128::from_be_bytes(ip.0) & mask, mask })
    }
}

/// Between whom a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Incoming,
    Outgoing,
    Internal,
    External,
}

impl Default for HomeNetworks {
    /// The private networks: RFC 1918, RFC 6598, link-local, unique local, loopback.
    fn default() -> Self {
        Self(PRIVATE.iter().filter_map(|text| Network::parse(text)).collect())
    }
}

impl HomeNetworks {
    /// These networks beside the private ones, each as `ADDRESS/LENGTH` or one address.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub fn new<S: AsRef<str>>(more: &[S]) -> Result<Self, HomeError> {
        let mut out = Self::default();
        for text in more {
            let text = text.as_ref().trim();
            out.0.push(Network::parse(text).ok_or_else(|| HomeError(text.to_owned()))?);
        }
        Ok(out)
    }

    /// The address is one of ours.
    #[inline]
    pub fn holds(&self, ip: Ip, version: IpVersion) -> bool {
        let bits = u128::from_be_bytes(ip.0);
        self.0.iter().any(|network| network.version == version && bits & network.mask == network.bits)
    }

    /// To a group (multicast, broadcast) goes what stays where its sender is.
    #[inline]
    pub(super) fn way(&self, src: Ip, dst: Ip, version: IpVersion) -> Way {
        match (self.holds(src, version), self.holds(dst, version) || is_group(dst, version)) {
            (true, true) => Way::Internal,
            (true, false) => Way::Outgoing,
            (false, true) => Way::Incoming,
            (false, false) => Way::External,
        }
    }
}

fn is_group(ip: Ip, version: IpVersion) -> bool {
    match version {
        IpVersion::V4 => ip.0[12] & 0xf0 == 0xe0 || ip.0[12..] == [255; 4],
        IpVersion::V6 => ip.0[0] == 0xff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(home: &HomeNetworks, src: &str, dst: &str) -> Way {
        let ((src, version), (dst, _)) =
            (Ip::from_ip_addr(src.parse().unwrap()), Ip::from_ip_addr(dst.parse().unwrap()));
        home.way(src, dst, version)
    }

    #[test]
    fn private_networks_are_home_and_others_when_told() {
        let home = HomeNetworks::default();
        for (src, dst, expected) in [
            ("10.1.2.3", "8.8.8.8", Way::Outgoing),
            ("8.8.8.8", "172.31.255.255", Way::Incoming),
            ("172.32.0.1", "8.8.8.8", Way::External),
            ("192.168.1.1", "100.127.0.1", Way::Internal),
            ("fd00::1", "2001:db8::1", Way::Outgoing),
            ("fe80::1", "ff02::fb", Way::Internal),
            ("10.0.0.1", "224.0.0.251", Way::Internal),
            ("10.0.0.1", "255.255.255.255", Way::Internal),
            // An IPv6 packet with a mapped address is not the IPv4 host.
            ("::ffff:10.0.0.1", "2001:db8::1", Way::External),
        ] {
            assert_eq!(way(&home, src, dst), expected, "{src} {dst}");
        }
        let home = HomeNetworks::new(&["2001:db8::/32", "198.51.100.7"]).unwrap();
        assert_eq!(way(&home, "2001:db8:ffff::1", "2001:db9::1"), Way::Outgoing);
        assert_eq!(way(&home, "198.51.100.7", "10.0.0.1"), Way::Internal);
        assert_eq!(way(&home, "198.51.100.8", "10.0.0.1"), Way::Incoming);
    }

    #[test]
    fn everything_and_nonsense() {
        let all = HomeNetworks::new(&["0.0.0.0/0", "::/0"]).unwrap();
        assert_eq!(way(&all, "8.8.8.8", "1.1.1.1"), Way::Internal);
        assert_eq!(way(&all, "2001:db8::1", "2001:db9::1"), Way::Internal);
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "example.com", "10.0.0.0/-1"] {
            assert!(HomeNetworks::new(&[text]).is_err(), "{text}");
        }
    }
}
