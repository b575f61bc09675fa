//! DHCP messages: version 4 (RFC 2131, RFC 2132) and version 6 (RFC 8415), also inside those of relays.
//!
//! Promises: a message with a readable header is always given out, with what of its options could be read and, in `damage`, the
//! first thing that could not. Nothing is kept from one message to the next, and what one message may hold is bounded:
//! [`MAX_TEXT`] octets of a text, [`MAX_ADDRESSES`] addresses, [`v6::MAX_RELAYS`] relays.

mod v4;
mod v6;

use super::dns::{name, rdata};
use crate::{AddressPair, DhcpMessage, IpVersion, Packet};

/// Octets of a text option that are kept: what one option holds. More comes of options in pieces (RFC 3396).
const MAX_TEXT: usize = 255;
/// Addresses kept of one message.
const MAX_ADDRESSES: usize = 64;

/// The message was not captured to its end.
const TRUNCATED: &str = "truncated";
/// The message ends inside an option.
const ENDS_EARLY: &str = "ends_early";
/// An option is shorter or longer than its kind may be.
const OPTION_LENGTH: &str = "option_length";
/// A text is longer than [`MAX_TEXT`], or the addresses are more than [`MAX_ADDRESSES`].
const OVER_LIMIT: &str = "over_limit";
/// A name that is not made of labels.
const BAD_NAME: &str = "bad_name";

/// Whether a datagram goes from or to a port of DHCP.
pub(super) const fn is_on_port(pair: &AddressPair) -> bool {
    match pair.version {
        IpVersion::V4 => matches!((pair.src_port, pair.dst_port), (67 | 68, _) | (_, 67 | 68)),
        IpVersion::V6 => matches!((pair.src_port, pair.dst_port), (546 | 547, _) | (_, 546 | 547)),
    }
}

/// Reads a datagram on a port of DHCP. `None` if it is no DHCP message. Second: addresses left out because of [`MAX_ADDRESSES`].
pub(super) fn read(packet: &Packet, payload: &[u8]) -> Option<(DhcpMessage, u64)> {
    let cut = packet.payload_bytes as usize > payload.len();
    match packet.pair.version {
        IpVersion::V4 => v4::read(packet, payload, cut).map(|message| (message, 0)),
        IpVersion::V6 => v6::read(packet, payload, cut),
    }
}

/// The first damage of a message.
#[derive(Default)]
struct Damage(Option<&'static str>);

impl Damage {
    fn note(&mut self, damage: &'static str) {
        self.0.get_or_insert(damage);
    }

    /// A text option: without the NULs that some put at the end (RFC 2132 2), `None` if nothing is left.
    fn text(&mut self, octets: &[u8]) -> Option<String> {
        let end = octets.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
        let kept = octets.get(..end.min(MAX_TEXT)).unwrap_or_default();
        if kept.len() < end {
            self.note(OVER_LIMIT);
        }
        (!kept.is_empty()).then(|| super::printable(kept))
    }

    /// A name in labels without compression (RFC 1035 3.1). Without the root's octet it is the beginning of a name (RFC 4704 4.2), which is kept.
    fn wire_name(&mut self, octets: &[u8]) -> Option<String> {
        let (mut out, mut rest) = (Vec::new(), octets.get(..octets.len().min(MAX_TEXT)).unwrap_or_default());
        while let Some((&len, tail)) = rest.split_first() {
            if len == 0 {
                break;
            }
            // No label is as long, and nothing may be pointed to.
            let Some((label, tail)) = tail.split_at_checked(len.into()).filter(|_| len < 64) else {
                self.note(BAD_NAME);
                break;
            };
            if !out.is_empty() {
                out.push(b'.');
            }
            label.iter().for_each(|&b| name::write_label_octet(b, &mut out));
            rest = tail;
        }
        (!out.is_empty()).then(|| rdata::into_string(out))
    }

    /// The first octets of an option that has exactly so many.
    fn exactly<const N: usize>(&mut self, octets: &[u8]) -> Option<[u8; N]> {
        if octets.len() != N {
            self.note(OPTION_LENGTH);
        }
        octets.first_chunk().copied()
    }
}

/// Ethernet address of a hardware type and address (IANA, ARP hardware types).
fn ethernet(hardware: u16, address: &[u8]) -> Option<[u8; 6]> {
    let mac: [u8; 6] = address.try_into().ok()?;
    (hardware == 1 && mac != [0; 6]).then_some(mac)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
