//! Early drop by rules that user space may change while packets flow.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use probe_common::Shape;
use probe_common::layout::Rule;
use probe_common::protocol::{SCTP, TCP, UDP};

use crate::maps::RULES;
use crate::packet::Bytes;

/// What rules are asked about.
#[repr(C)]
struct Question {
    src: [u64; 2],
    dst: [u64; 2],
    src_port: u16,
    dst_port: u16,
    proto: u8,
    version: u8,
    has_ports: u8,
    /// The answer: some rule matched.
    drops: u8,
}

/// Whether any of the first `rules` rules matches.
///
/// A helper runs the loop: unrolled, it would be more than the verifier follows.
#[inline(always)]
pub fn drops(frame: &Bytes, shape: &Shape, rules: u32) -> bool {
    let Some((src, dst)) = addresses(frame, shape) else { return false };
    let mut question = Question {
        src,
        dst,
        src_port: shape.src_port,
        dst_port: shape.dst_port,
        proto: shape.proto,
        version: shape.version,
        has_ports: u8::from(matches!(shape.proto, TCP | UDP | SCTP)),
        drops: 0,
    };
    // SAFETY: the helper calls `ask` with the indices below `rules` and the pointer to `question`.
    unsafe { bpf_loop(rules, ask as *mut c_void, (&raw mut question).cast(), 0) };
    question.drops == 1
}

/// One rule; 1 ends the loop.
unsafe extern "C" fn ask(index: u32, question: *mut Question) -> i64 {
    let Some(rule) = RULES.get(index) else { return 1 };
    // SAFETY: the pointer `drops` gave.
    let q = unsafe { &mut *question };
    let Rule { net, mask, ports, proto, version, has_ports, reserved: _ } = *rule;
    let inside = |ip: [u64; 2]| (ip[0] & mask[0]) == net[0] && (ip[1] & mask[1]) == net[1];
    let in_range = |port: u16| ports[0] <= port && port <= ports[1];
    let matches = (proto == 0 || proto == q.proto)
        && (version == 0 || version == q.version)
        && (has_ports == 0 || q.has_ports == 1 && (in_range(q.src_port) || in_range(q.dst_port)))
        && (inside(q.src) || inside(q.dst));
    if matches {
        q.drops = 1;
        return 1;
    }
    0
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
