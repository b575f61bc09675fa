//! Who may export.

use std::net::IpAddr;

use crate::Ip;
use crate::live::{FilterError, Net};

/// Networks from which exports are taken. Empty: from everywhere.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AllowList(Vec<Net>);

impl AllowList {
    /// From addresses and networks (`192.0.2.1`, `2001:db8::/32`).
    ///
    /// # Errors
    /// The first that is neither.
    pub fn parse<S: AsRef<str>>(networks: impl IntoIterator<Item = S>) -> Result<Self, FilterError> {
        networks.into_iter().map(|text| text.as_ref().trim().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether this address may export.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|net| net.contains(Ip::from_ip_addr(address.to_canonical()).0.0))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_networks_and_both_versions() {
        let list = AllowList::parse(["192.0.2.1", "198.51.100.0/24", "2001:db8::/32"]).unwrap();
        let allows = |text: &str| list.allows(text.parse().unwrap());
        for (address, expected) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.2", false),
            ("198.51.100.255", true),
            ("198.51.101.0", false),
            ("2001:db8:1::", true),
            ("2001:db9::", false),
        ] {
            assert_eq!(allows(address), expected, "{address}");
        }
        assert!(AllowList::default().allows("203.0.113.9".parse().unwrap()));
        assert!(AllowList::parse(["192.0.2.0/33"]).is_err() && AllowList::parse(["router"]).is_err());
    }
}
