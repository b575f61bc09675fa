//! Early drop by rules that user space may change while packets flow.
//!
//! Rules are not asked one after the other: each field of the packet gives the set of the rules that take it, and what is left of all sets decides (the
//! bit vectors of Lakshman and Stiliadis, SIGCOMM 1998). So 64 rules cost what one does, and networks are looked up only for a packet that a rule with a
//! network would drop.

use aya_ebpf::btf_maps::lpm_trie::Key;
use probe_common::Shape;
use probe_common::protocol::{SCTP, TCP, UDP};

use crate::maps::{RULE_SETS, RULES_OF_NET, RULES_OF_PORT, RULES_OF_PROTOCOL};
use crate::packet::Bytes;

/// Whether any rule matches.
#[inline(always)]
pub fn drops(frame: &Bytes, shape: &Shape) -> bool {
    let Some(sets) = RULE_SETS.get(0) else { return false };
    let Some(of_protocol) = RULES_OF_PROTOCOL.get(u32::from(shape.proto)) else { return false };
    let of_ports = match shape.proto {
        TCP | UDP | SCTP => sets.any_port | of_port(shape.src_port) | of_port(shape.dst_port),
        _ => sets.any_port,
    };
    let left = of_protocol & of_ports & sets.versions[usize::from(shape.version != 4)];
    left & sets.any_net != 0 || left != 0 && left & of_nets(frame, shape) != 0
}

#[inline(always)]
fn of_port(port: u16) -> u64 {
    RULES_OF_PORT.get(u32::from(port)).copied().unwrap_or(0)
}

/// The rules whose network either address is in.
#[inline(always)]
fn of_nets(frame: &Bytes, shape: &Shape) -> u64 {
    if shape.version == 4 {
        let Some((src, dst)) = frame.addresses4(shape) else { return 0 };
        of_net(0, 0xffff_0000_0000 | src) | of_net(0, 0xffff_0000_0000 | dst)
    } else {
        let Some([a, b, c, d]) = frame.addresses6(shape) else { return 0 };
        of_net(a, b) | of_net(c, d)
    }
}

/// The upper and the lower half of an address.
#[inline(always)]
fn of_net(upper: u64, lower: u64) -> u64 {
    // Halves are words of the machine; the trie compares bytes in the order of the network.
    let halves = [upper.to_be(), lower.to_be()];
    // SAFETY: as many bytes.
    let address: [u8; 16] = unsafe { core::mem::transmute(halves) };
    RULES_OF_NET.get(&Key::new(128, address)).copied().unwrap_or(0)
}
