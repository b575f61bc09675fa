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

/// What rules are asked about.
#[repr(C)]
struct Question {
    src: Address,
    dst: Address,
    src_port: u16,
    dst_port: u16,
    proto: u8,
    version: u8,
    has_ports: u8,
    reserved: u8,
}

/// A whole address, as the trie is asked for it from `prefix` on: bytes in the order of the network, IPv4 as `::ffff:`. The halves are at
/// whole words of the stack: the verifier refuses stores across them.
#[repr(C)]
struct Address {
    reserved: u32,
    prefix: u32,
    halves: [u64; 2],
}

/// Whether any rule matches.
#[inline(always)]
pub fn drops(frame: &Bytes, shape: &Shape) -> bool {
    let Some((src, dst)) = addresses(frame, shape) else { return false };
    let question = Question {
        src: Address::of(src),
        dst: Address::of(dst),
        src_port: shape.src_port,
        dst_port: shape.dst_port,
        proto: shape.proto,
        version: shape.version,
        has_ports: u8::from(matches!(shape.proto, TCP | UDP | SCTP)),
        reserved: 0,
    };
    left(&question) != 0
}

/// The rules that take the packet. A function of its own: what it needs of registers and stack is not the caller's, whose many shapes
/// (tags, versions, buffers) the verifier would follow through it.
#[inline(never)]
fn left(question: &Question) -> u64 {
    let Some(sets) = RULE_SETS.get(0) else { return 0 };
    let Some(of_protocol) = RULES_OF_PROTOCOL.get(u32::from(question.proto)) else { return 0 };
    let mut of_ports = sets.any_port;
    if question.has_ports == 1 {
        of_ports |= of_port(question.src_port) | of_port(question.dst_port);
    }
    let of_version = if question.version == 4 { sets.versions[0] } else { sets.versions[1] };
    let left = of_protocol & of_ports & of_version;
    let without_net = left & sets.any_net;
    if left == 0 || without_net != 0 {
        return without_net;
    }
    left & (of_net(&question.src) | of_net(&question.dst))
}

#[inline(always)]
fn of_port(port: u16) -> u64 {
    RULES_OF_PORT.get(u32::from(port)).copied().unwrap_or(0)
}

#[inline(always)]
fn of_net(address: &Address) -> u64 {
    // SAFETY: a key is a prefix length and four words, without padding, as what follows the first word of an `Address` is.
    let key = unsafe { &*core::ptr::from_ref(address).cast::<u32>().add(1).cast::<Key<[u32; 4]>>() };
    RULES_OF_NET.get(key).copied().unwrap_or(0)
}

impl Address {
    /// Of the upper and the lower half.
    #[inline(always)]
    fn of(halves: [u64; 2]) -> Self {
        Self { reserved: 0, prefix: 128, halves: halves.map(u64::to_be) }
    }
}

/// Both addresses, IPv4 as `::ffff:`.
#[inline(always)]
fn addresses(frame: &Bytes, shape: &Shape) -> Option<([u64; 2], [u64; 2])> {
    if shape.version == 4 {
        let (src, dst) = frame.addresses4(shape)?;
        let mapped = |ip: u64| [0, 0xffff_0000_0000 | ip];
        Some((mapped(src), mapped(dst)))
    } else {
        let [a, b, c, d] = frame.addresses6(shape)?;
        Some(([a, b], [c, d]))
    }
}
