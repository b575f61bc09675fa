//! MPLS (RFC 3032): IP, or an Ethernet pseudowire (RFC 4448), under a stack of labels.

use super::cause::Cause;
use super::layers::{Layer, Next};
use super::view::View;

/// Labels in one stack, at most.
const MAX_LABELS: usize = 32;

/// Passes over the labels.
pub(super) fn labels(view: View<'_>) -> Next<'_> {
    let mut view = view;
    for _ in 0..MAX_LABELS {
        let label = view.u32(0).ok_or(Cause::Link)?;
        view = view.skip(4);
        if label & 0x100 != 0 {
            // The stack says nothing of its content: the first nibble does (RFC 4928).
            return match view.u8(0).ok_or(Cause::Link)? >> 4 {
                4 => Ok((Layer::Ipv4, view)),
                6 => Ok((Layer::Ipv6, view)),
                // Associated channel: operation and maintenance.
                1 => Err(Cause::Mpls),
                0 if is_ethernet(view.skip(4)) || !is_ethernet(view) => Ok((Layer::Ethernet, view.skip(4))),
                _ => Ok((Layer::Ethernet, view)),
            };
        }
    }
    Err(Cause::Layers)
}

/// Whether a type or length that is known stands where an Ethernet header has it: the control word of a
/// pseudowire is optional, and a destination address may begin with its zero bits.
fn is_ethernet(view: View<'_>) -> bool {
    matches!(
        view.u16(12),
        Some(
            0x0800 | 0x86dd | 0x8100 | 0x88a8 | 0x9100 | 0x8847 | 0x8848 | 0x0806 | 0x8863 | 0x8864 | 0x88cc | 0x0026
                ..=0x05dc
        )
    )
}
