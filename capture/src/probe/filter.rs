//! Filter rules as the kernel program has them.

use probe_common::layout;

use crate::IpVersion;
use crate::live::Rule;

/// The rule in the kernel's form.
pub(super) fn in_kernel(rule: &Rule) -> layout::Rule {
    let Rule { net, ports, proto } = *rule;
    let mut out = layout::Rule { proto: proto.unwrap_or(0), ..layout::Rule::default() };
    if let Some(net) = net {
        let mask = u128::MAX.checked_shl(128 - u32::from(net.prefix.min(128))).unwrap_or(0);
        let first = u128::from_be_bytes(net.first.0) & mask;
        out.net = halves(first);
        out.mask = halves(mask);
        out.version = if net.version == IpVersion::V4 { 4 } else { 6 };
    }
    if let Some((first, last)) = ports {
        (out.ports, out.has_ports) = ([first, last], 1);
    }
    out
}

const fn halves(word: u128) -> [u64; 2] {
    [(word >> 64) as u64, word as u64]
}
