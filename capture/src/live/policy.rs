//! What a captured interface is for: only for capture, or for the host too.

use std::fs;
use std::str::FromStr;

use crate::af_packet::Control;
use crate::live::Stacked;
use crate::live::source::SourceError;

/// What a captured interface is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// Only for capture: promiscuous, received frames alone.
    Tap,
    /// The host uses it, too: nothing of its traffic is taken away; what it receives and sends is captured.
    Inline,
}

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub enum PolicyChoice {
    /// Inline if the interface has an address, a route or a master, else tap.
    #[default]
    Auto,
    /// Tap; refused where the host uses the interface, unless forced.
    Tap,
    /// Inline.
    Inline,
}

impl FromStr for PolicyChoice {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "tap" => Ok(Self::Tap),
            "inline" => Ok(Self::Inline),
            _ => Err(SourceError::OutOfRange { name: "policy", range: "auto, tap or inline".to_owned() }),
        }
    }
}

/// What the host does with an interface.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostUse {
    /// An address that is not link-local.
    pub has_address: bool,
    /// The default route leads over it.
    pub has_default_route: bool,
    /// Any other route does.
    pub has_route: bool,
    /// It is part of a bridge or bond, or another interface (a VLAN, a macvlan) stands on it.
    pub has_master: bool,
}

impl HostUse {
    /// Looks at the interface.
    pub fn of(interface: &str) -> Result<Self, SourceError> {
        let kernel = |error| SourceError::kernel("looking at the addresses", interface, error);
        let control = Control::new().map_err(kernel)?;
        if control.index(interface).map_err(kernel)?.is_none() {
            return Err(SourceError::NoInterface(interface.to_owned()));
        }
        let stacked = Stacked::of(interface);
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut found = Self {
            has_address: control.has_ipv4_address(interface).map_err(kernel)?
                || has_ipv6_address(&read("/proc/self/net/if_inet6"), interface),
            has_master: stacked.master.is_some() || !stacked.upper.is_empty(),
            ..Self::default()
        };
        found.routes(&read("/proc/self/net/route"), &read("/proc/self/net/ipv6_route"), interface);
        Ok(found)
    }

    /// `Iface Destination Gateway Flags RefCnt Use Metric Mask …` and
    /// `destination prefix source prefix gateway metric refcnt use flags iface`, all in hexadecimal.
    fn routes(&mut self, v4: &str, v6: &str, interface: &str) {
        for line in v4.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [name, destination, _, _, _, _, _, mask, ..] = words.as_slice()
                && *name == interface
            {
                let is_default = *destination == "00000000" && *mask == "00000000";
                *(if is_default { &mut self.has_default_route } else { &mut self.has_route }) = true;
            }
        }
        for line in v6.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Link-local and multicast routes are everywhere, also on a port nobody uses.
            if let [destination, prefix, .., name] = words.as_slice()
                && *name == interface
                && !destination.starts_with("fe80")
                && !destination.starts_with("ff")
            {
                let is_default = *prefix == "00";
                *(if is_default { &mut self.has_default_route } else { &mut self.has_route }) = true;
            }
        }
    }

    /// The policy for an interface in this use.
    pub fn policy(&self, interface: &str, choice: PolicyChoice, force: bool) -> Result<Policy, SourceError> {
        let Self { has_address, has_default_route, has_route, has_master } = *self;
        match choice {
            PolicyChoice::Inline => Ok(Policy::Inline),
            PolicyChoice::Auto if has_address || has_default_route || has_route || has_master => Ok(Policy::Inline),
            PolicyChoice::Auto => Ok(Policy::Tap),
            PolicyChoice::Tap if force || !(has_address || has_default_route || has_master) => Ok(Policy::Tap),
            PolicyChoice::Tap if !(has_address || has_default_route) => Err(SourceError::Refused(format!(
                "'{interface}' belongs to a bond or bridge, or a VLAN stands on it: as a tap it would take their packets away; use --policy inline, \
                 take it out (ip link set {interface} nomaster), or --force"
            ))),
            PolicyChoice::Tap => Err(SourceError::Refused(format!(
                "'{interface}' has {}: as a tap this host could not be reached over it any more; use --policy inline, or --force",
                if has_default_route { "the default route" } else { "an address" }
            ))),
        }
    }
}

/// `address index prefix scope flags name`, scope 20 is link-local.
fn has_ipv6_address(table: &str, interface: &str) -> bool {
    table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), [_, _, _, scope, _, name] if *name == interface && *scope != "20")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth1\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const V6: &str = "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001     tap0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
        fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth2\n";

    fn use_of(interface: &str) -> HostUse {
        let mut found = HostUse::default();
        found.routes(V4, V6, interface);
        found
    }

    #[test]
    fn a_tap_with_the_default_route_is_refused_unless_forced() {
        for name in ["eth0", "eth2"] {
            let found = use_of(name);
            assert!(found.has_default_route && !found.has_route, "{name}");
            let error = found.policy(name, PolicyChoice::Tap, false).expect_err("refused").to_string();
            assert!(error.contains("default route") && error.contains("--force"), "{error}");
            assert_eq!(found.policy(name, PolicyChoice::Tap, true).expect("forced"), Policy::Tap);
            assert_eq!(found.policy(name, PolicyChoice::Auto, false).expect("auto"), Policy::Inline);
        }
    }

    #[test]
    fn auto_is_tap_only_where_nobody_uses_the_interface() {
        assert_eq!(use_of("eth1").policy("eth1", PolicyChoice::Auto, false).expect("auto"), Policy::Inline);
        assert_eq!(use_of("tap0"), HostUse::default());
        assert_eq!(use_of("tap0").policy("tap0", PolicyChoice::Auto, false).expect("auto"), Policy::Tap);
        let member = HostUse { has_master: true, ..HostUse::default() };
        assert_eq!(member.policy("eth3", PolicyChoice::Auto, false).expect("auto"), Policy::Inline);
        let refused = member.policy("eth3", PolicyChoice::Tap, false).expect_err("refused").to_string();
        assert!(refused.contains("ip link set eth3 nomaster") && refused.contains("--policy inline"), "{refused}");
        assert_eq!(member.policy("eth3", PolicyChoice::Tap, true).expect("forced"), Policy::Tap);
    }

    #[test]
    fn link_local_addresses_are_not_the_hosts_use() {
        let table =
            "fe800000000000000cdf5bfffe2d3d4d 02 40 20 80    tap0\n20010db8000000000000000000000001 02 40 00 80 eth2\n";
        assert!(!has_ipv6_address(table, "tap0"));
        assert!(has_ipv6_address(table, "eth2"));
    }
}
