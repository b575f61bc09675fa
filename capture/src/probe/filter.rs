//! The filter as the kernel program has it: sets of rules by what a packet has; see `xdp-probe/ebpf/src/filter.rs`.

use std::sync::{Mutex, PoisonError};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{MapData, MapError};
use probe_common::layout::{MAX_RULES, PORTS, PROTOCOLS, RuleSets};

use super::map::Mapped;
use crate::IpVersion;
use crate::live::{Net, Rule};

/// The maps of the filter.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) sets: Mapped<RuleSets>,
    pub(super) of_protocol: Mapped<u64>,
    pub(super) of_port: Mapped<u64>,
    pub(super) of_net: Mutex<LpmTrie<MapData, [u8; 16], u64>>,
}

impl Rules {
    /// Takes the place of what was there. No program may look meanwhile.
    ///
    /// # Errors
    /// The kernel's, of the networks: some are missing then.
    pub(super) fn write(&self, rules: &[Rule]) -> Result<(), MapError> {
        let rules = &rules[..rules.len().min(MAX_RULES)];
        self.sets.write(0, sets(rules));
        for protocol in 0..PROTOCOLS {
            let takes = |rule: &Rule| rule.proto.is_none_or(|proto| usize::from(proto) == protocol);
            self.of_protocol.write(protocol, set(rules, takes));
        }
        for port in 0..PORTS {
            let takes = |rule: &Rule| {
                rule.ports.is_some_and(|(first, last)| (usize::from(first)..=usize::from(last)).contains(&port))
            };
            self.of_port.write(port, set(rules, takes));
        }
        let mut nets = self.of_net.lock().unwrap_or_else(PoisonError::into_inner);
        for key in nets.keys().collect::<Result<Vec<_>, _>>()? {
            nets.remove(&key)?;
        }
        for net in rules.iter().filter_map(|rule| rule.net) {
            let contain =
                |rule: &Rule| rule.net.is_some_and(|wide| wide.prefix <= net.prefix && wide.contains(net.first.0));
            nets.insert(&Key::new(u32::from(net.prefix), net.first.0), set(rules, contain), 0)?;
        }
        Ok(())
    }
}

/// The rules that do.
fn set(rules: &[Rule], takes: impl Fn(&Rule) -> bool) -> u64 {
    (0..).zip(rules).filter(|(_, rule)| takes(rule)).fold(0, |set, (bit, _)| set | 1 << bit)
}

fn sets(rules: &[Rule]) -> RuleSets {
    let of_version = |version| set(rules, |rule| rule.net.is_none_or(|net: Net| net.version == version));
    RuleSets {
        versions: [of_version(IpVersion::V4), of_version(IpVersion::V6)],
        any_port: set(rules, |rule| rule.ports.is_none()),
        any_net: set(rules, |rule| rule.net.is_none()),
    }
}
