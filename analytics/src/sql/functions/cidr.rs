//! `in_cidr` and `is_private`: addresses against networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::cast::as_string_array;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::{Wanted, coerce};

/// A network: an address range given by its first bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Network {
    /// IPv4 in its own space (`false`), IPv6 (`true`): `0.0.0.0/0` has no IPv6 address in it.
    six: bool,
    bits: u128,
    mask: u128,
}

/// An address as the number and the space it lies in; IPv4-mapped IPv6 is IPv4.
fn number(ip: IpAddr) -> (bool, u128) {
    match ip.to_canonical() {
        IpAddr::V4(ip) => (false, u128::from(u32::from(ip))),
        IpAddr::V6(ip) => (true, u128::from(ip)),
    }
}

impl Network {
    const fn v4(ip: Ipv4Addr, length: u32) -> Self {
        let mask = ((u32::MAX as u64) << (32 - length)) as u32 as u128;
        Self { six: false, bits: ip.to_bits() as u128 & mask, mask }
    }

    const fn v6(ip: Ipv6Addr, length: u32) -> Self {
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        Self { six: true, bits: ip.to_bits() & mask, mask }
    }

    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone.
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.trim().split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text.trim(), None),
        };
        // No sign, no blanks: `u32::from_str` alone would take "+8".
        let length = match length {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse::<u32>().ok()?),
            Some(_) => return None,
            None => None,
        };
        match address.parse().ok()? {
            IpAddr::V4(ip) => (length.unwrap_or(32) <= 32).then(|| Self::v4(ip, length.unwrap_or(32))),
            IpAddr::V6(ip) => match (ip.to_ipv4_mapped(), length.unwrap_or(128)) {
                (Some(ip), length @ 96..=128) => Some(Self::v4(ip, length - 96)),
                (_, length @ 0..=128) => Some(Self::v6(ip, length)),
                _ => None,
            },
        }
    }

    fn contains(&self, ip: IpAddr) -> bool {
        let (six, bits) = number(ip);
        six == self.six && bits & self.mask == self.bits
    }
}

/// The networks of [`IsPrivate`].
const PRIVATE: [Network; 9] = [
    Network::v4(Ipv4Addr::new(10, 0, 0, 0), 8),
    Network::v4(Ipv4Addr::new(172, 16, 0, 0), 12),
    Network::v4(Ipv4Addr::new(192, 168, 0, 0), 16),
    Network::v4(Ipv4Addr::new(127, 0, 0, 0), 8),
    Network::v4(Ipv4Addr::new(169, 254, 0, 0), 16),
    Network::v4(Ipv4Addr::new(100, 64, 0, 0), 10),
    Network::v6(Ipv6Addr::LOCALHOST, 128),
    Network::v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    Network::v6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
];

fn test(addresses: &StringArray, networks: &[Network]) -> ArrayRef {
    let verdicts: BooleanArray = addresses
        .iter()
        .map(|text| {
            let ip: IpAddr = text?.parse().ok()?;
            Some(networks.iter().any(|network| network.contains(ip)))
        })
        .collect();
    Arc::new(verdicts)
}

/// Applies a test to an argument that is an array or one value.
fn each(argument: &ColumnarValue, rows: usize, networks: &[Network]) -> Result<ColumnarValue> {
    let scalar = matches!(argument, ColumnarValue::Scalar(_));
    let addresses = argument.to_array(if scalar { 1 } else { rows })?;
    let verdicts = test(as_string_array(&addresses)?, networks);
    Ok(if scalar {
        ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&verdicts, 0)?)
    } else {
        ColumnarValue::Array(verdicts)
    })
}

/// `in_cidr(ip, network, …)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct InCidr {
    signature: Signature,
    aliases: Vec<String>,
}

impl InCidr {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), aliases: vec!["cidr_match".to_owned()] }
    }
}

impl ScalarUDFImpl for InCidr {
    fn name(&self) -> &str {
        "in_cidr"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.name(), Wanted::Text, None, types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((address, networks)) = args.args.split_first() else {
            return exec_err!("in_cidr needs an address and at least one network: in_cidr(src_ip, '10.0.0.0/8')");
        };
        if networks.is_empty() {
            return exec_err!("in_cidr needs at least one network: in_cidr(src_ip, '10.0.0.0/8')");
        }
        let mut parsed = Vec::with_capacity(networks.len());
        for network in networks {
            let ColumnarValue::Scalar(value) = network else {
                return exec_err!("the networks of in_cidr must be constants such as '10.0.0.0/8'");
            };
            let Some(text) = value.try_as_str().flatten() else {
                return exec_err!("the networks of in_cidr must not be null");
            };
            let Some(network) = Network::parse(text) else {
                return exec_err!("in_cidr: {text:?} is no network: write 10.0.0.0/8, 2001:db8::/32 or an address");
            };
            parsed.push(network);
        }
        each(address, args.number_rows, &parsed)
    }
}

/// `is_private(ip)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IsPrivate {
    signature: Signature,
}

impl IsPrivate {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for IsPrivate {
    fn name(&self) -> &str {
        "is_private"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.name(), Wanted::Text, Some(1), types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [address] => each(address, args.number_rows, &PRIVATE),
            _ => exec_err!("is_private needs one address"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn contains(network: &str, ip: &str) -> bool {
        Network::parse(network).unwrap().contains(ip.parse().unwrap())
    }

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        assert!(contains("10.0.0.0/8", "10.255.255.255"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        // Host bits in the network are ignored, as with ipcalc and PostgreSQL's inet.
        assert!(contains("10.1.2.3/8", "10.9.9.9"));
        assert!(contains("0.0.0.0/0", "255.255.255.255"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("::/0", "2001:db8::1"));
        assert!(!contains("::/0", "192.0.2.1"));
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::"));
        assert!(contains("192.0.2.0/24", "::ffff:192.0.2.77"));
        assert!(contains("::ffff:192.0.2.0/120", "192.0.2.77"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/ 8",
            "x",
            "::ffff:1.2.3.4/33x",
        ] {
            assert_eq!(Network::parse(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_prefix_of_an_address_holds_exactly_what_shares_its_bits(a: u32, b: u32, length in 0u32..=32) {
            let network = Network::parse(&format!("{}/{length}", Ipv4Addr::from(a))).unwrap();
            let shared = (a ^ b).leading_zeros() >= length;
            prop_assert_eq!(network.contains(Ipv4Addr::from(b).into()), shared);
        }

        #[test]
        fn the_same_for_ipv6(a: u128, flip in 0u32..128, length in 0u32..=128) {
            let (a, b) = (Ipv6Addr::from(a), Ipv6Addr::from(a ^ (1 << (127 - flip))));
            prop_assume!(a.to_ipv4_mapped().is_none() && b.to_ipv4_mapped().is_none());
            let network = Network::parse(&format!("{a}/{length}")).unwrap();
            prop_assert_eq!(network.contains(b.into()), flip >= length);
            prop_assert!(network.contains(a.into()));
        }
    }
}
