//! Early drop: packets that nobody wants records of, by network, port and protocol.
//!
//! A filter is a list of rules; what matches any of them is dropped, and counted. A rule is a list of terms, which must
//! all match:
//!
//! ```text
//! net 10.1.0.0/16        either address is in the network
//! port 9100              either port; also a range, 9100-9200
//! proto tcp              tcp, udp, icmp, icmp6, sctp, or a number
//! ```
//!
//! `net 10.1.0.0/16 port 9100 proto tcp`. Only the outermost IP header of plain packets is looked at: what is
//! fragmented, inside a tunnel, or cannot be read is never dropped by a filter.

use std::net::IpAddr;
use std::str::FromStr;

use probe_common::{Headers, protocol};
use serde::{Deserialize, Serialize};

use crate::{Ip, IpVersion};

/// Most rules: the kernel keeps sets of them in 64 bits.
pub const MAX_RULES: usize = 64;

/// See the [module](self). The default drops nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Rule>", into = "Vec<Rule>")]
pub struct Filter {
    rules: Vec<Rule>,
}

/// One rule: all terms that are there must match.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rule {
    /// Either address is in it.
    pub net: Option<Net>,
    /// Either port is in it, first and last.
    pub ports: Option<(u16, u16)>,
    /// IANA protocol number.
    pub proto: Option<u8>,
}

/// A network: an address with the bits behind its prefix 0, in 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Net {
    /// First address.
    pub first: Ip,
    /// Prefix length of the 16 bytes: 96 more than an IPv4 prefix.
    pub prefix: u8,
    /// IPv4 or IPv6.
    pub version: IpVersion,
}

/// Why a filter is refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FilterError {
    /// Not a network.
    #[error(
        "'{0}' is not a network: expected an address, or one with a prefix length, as 192.0.2.0/24 or 2001:db8::/32"
    )]
    Network(String),
    /// Not a term, or without its value.
    #[error("filter '{rule}': '{word}' is not understood: expected net CIDR, port N or N-M, proto NAME")]
    Word {
        /// The rule.
        rule: String,
        /// What stands there.
        word: String,
    },
    /// The same term twice.
    #[error("filter '{rule}': '{word}' stands twice; give several filters instead")]
    Twice {
        /// The rule.
        rule: String,
        /// Which.
        word: String,
    },
    /// It would drop everything.
    #[error("an empty filter would drop everything: give net, port or proto")]
    Empty,
    /// Too many.
    #[error("{0} filters are more than {MAX_RULES}, which is all that the kernel program keeps: use larger networks")]
    TooMany(usize),
}

impl Filter {
    /// Drops what any of the rules matches.
    pub fn new(rules: Vec<Rule>) -> Result<Self, FilterError> {
        if rules.len() > MAX_RULES {
            return Err(FilterError::TooMany(rules.len()));
        }
        if rules.contains(&Rule::default()) {
            return Err(FilterError::Empty);
        }
        Ok(Self { rules })
    }

    /// One rule a text.
    pub fn parse<S: AsRef<str>>(rules: impl IntoIterator<Item = S>) -> Result<Self, FilterError> {
        Self::new(rules.into_iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>()?)
    }

    /// Its rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Drops nothing.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a packet with these headers is dropped.
    #[inline]
    pub fn drops(&self, headers: &Headers) -> bool {
        self.rules.iter().any(|rule| rule.matches(headers))
    }
}

impl TryFrom<Vec<Rule>> for Filter {
    type Error = FilterError;

    fn try_from(rules: Vec<Rule>) -> Result<Self, FilterError> {
        Self::new(rules)
    }
}

impl From<Filter> for Vec<Rule> {
    fn from(filter: Filter) -> Self {
        filter.rules
    }
}

impl Rule {
    fn matches(&self, headers: &Headers) -> bool {
        let Self { net, ports, proto } = self;
        let has_ports = matches!(headers.proto, protocol::TCP | protocol::UDP | protocol::SCTP);
        proto.is_none_or(|proto| proto == headers.proto)
            && ports.is_none_or(|(first, last)| {
                has_ports && [headers.src_port, headers.dst_port].iter().any(|port| (first..=last).contains(port))
            })
            && net.is_none_or(|net| {
                net.version as u8 == headers.version && (net.contains(headers.src) || net.contains(headers.dst))
            })
    }
}

impl Net {
    /// Whether the address, IPv4 as `::ffff:`, is in it.
    pub fn contains(&self, address: [u8; 16]) -> bool {
        (u128::from_be_bytes(address) ^ u128::from_be_bytes(self.first.0)) & mask(self.prefix) == 0
    }
}

const fn mask(prefix: u8) -> u128 {
    match prefix {
        0 => 0,
        1..=127 => u128::MAX << (128 - prefix),
        _ => u128::MAX,
    }
}

impl FromStr for Rule {
    type Err = FilterError;

    fn from_str(rule: &str) -> Result<Self, FilterError> {
        let mut out = Self::default();
        let mut words = rule.split_whitespace();
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_default();
            let bad = || FilterError::Word { rule: rule.to_owned(), word: format!("{word} {value}").trim().to_owned() };
            let taken = match word {
                "net" => out.net.replace(network(value).ok_or_else(bad)?).is_some(),
                "port" => out.ports.replace(range(value).ok_or_else(bad)?).is_some(),
                "proto" => out.proto.replace(number(value).ok_or_else(bad)?).is_some(),
                _ => return Err(bad()),
            };
            if taken {
                return Err(FilterError::Twice { rule: rule.to_owned(), word: word.to_owned() });
            }
        }
        if out == Self::default() { Err(FilterError::Empty) } else { Ok(out) }
    }
}

impl FromStr for Net {
    type Err = FilterError;

    /// `192.0.2.0/24`, or an address alone.
    fn from_str(text: &str) -> Result<Self, FilterError> {
        network(text).ok_or_else(|| FilterError::Network(text.to_owned()))
    }
}

fn network(text: &str) -> Option<Net> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let (ip, version) = Ip::from_ip_addr(address.parse::<IpAddr>().ok()?);
    let (longest, before) = match version {
        IpVersion::V4 => (32, 96),
        IpVersion::V6 => (128, 0),
    };
    let prefix = prefix.unwrap_or(longest);
    if prefix > longest {
        return None;
    }
    let prefix = prefix + before;
    let first = Ip((u128::from_be_bytes(ip.0) & mask(prefix)).to_be_bytes());
    Some(Net { first, prefix, version })
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn number(text: &str) -> Option<u8> {
    Some(match text {
        "tcp" => protocol::TCP,
        "udp" => protocol::UDP,
        "icmp" => protocol::ICMP,
        "icmp6" => protocol::ICMPV6,
        "sctp" => protocol::SCTP,
        _ => return text.parse().ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(src: &str, dst: &str, ports: (u16, u16), proto: u8) -> Headers {
        let (src, version) = Ip::from_ip_addr(src.parse().expect("address"));
        let (dst, _) = Ip::from_ip_addr(dst.parse().expect("address"));
        Headers {
            src: src.0,
            dst: dst.0,
            src_port: ports.0,
            dst_port: ports.1,
            proto,
            version: version as u8,
            ..Headers::default()
        }
    }

    #[test]
    fn all_terms_of_a_rule_and_either_end() {
        let filter = Filter::parse(["net 10.1.0.0/16 port 9100-9200 proto tcp", "net 2001:db8::/32"]).expect("valid");
        for (src, dst, ports, proto, dropped) in [
            ("10.1.2.3", "192.0.2.1", (40_000, 9_100), 6, true),
            ("192.0.2.1", "10.1.255.255", (9_200, 40_000), 6, true),
            ("192.0.2.1", "10.1.255.255", (9_201, 40_000), 6, false),
            ("10.1.2.3", "192.0.2.1", (40_000, 9_100), 17, false),
            ("10.2.0.0", "192.0.2.1", (40_000, 9_100), 6, false),
            ("2001:db8:ffff::1", "fe80::1", (1, 2), 58, true),
            ("2001:db9::1", "fe80::1", (1, 2), 17, false),
            ("::ffff:10.1.2.3", "fe80::1", (1, 9_100), 6, false),
        ] {
            assert_eq!(filter.drops(&packet(src, dst, ports, proto)), dropped, "{src} {dst} {ports:?} {proto}");
        }
        assert!(!Filter::default().drops(&packet("10.1.2.3", "10.1.2.4", (9_100, 9_100), 6)));
    }

    #[test]
    fn icmp_types_are_not_ports() {
        let filter = Filter::parse(["port 8"]).expect("valid");
        assert!(!filter.drops(&packet("10.1.2.3", "10.1.2.4", (8, 0), protocol::ICMP)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text: &str| Filter::parse([text]).expect_err("refused").to_string();
        assert!(wrong("net 10.0.0.0/33").contains("net 10.0.0.0/33"));
        assert!(wrong("port 9-3").contains("port 9-3"));
        assert!(wrong("host 10.0.0.1").contains("host 10.0.0.1"));
        assert!(wrong("port").contains("'port'"));
        assert!(wrong("port 1 port 2").contains("twice"));
        assert!(wrong("").contains("everything"));
        assert!(Filter::parse(vec!["port 1"; MAX_RULES + 1]).is_err());
    }

    #[test]
    fn a_filter_from_another_process_is_checked_as_any() {
        let filter = Filter::parse(["net 10.1.0.0/16 port 9100-9200 proto tcp", "net 2001:db8::/32"]).expect("valid");
        let text = serde_json::to_string(&filter).expect("JSON");
        assert_eq!(serde_json::from_str::<Filter>(&text).expect("the same"), filter);
        let rule = serde_json::to_string(&filter.rules()[0]).expect("JSON");
        let many = format!("[{}]", vec![rule; MAX_RULES + 1].join(","));
        assert!(serde_json::from_str::<Filter>(&many).is_err());
        assert!(serde_json::from_str::<Filter>(r#"[{"net":null,"ports":null,"proto":null}]"#).is_err());
    }
}
