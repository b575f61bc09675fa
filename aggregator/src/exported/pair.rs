//! Pairing: which uniflows belong together, and who of the two began.

use capture::collect::ExportedFlow;
use capture::{AddressPair, Ip, IpVersion};

use crate::icmp::{self, ICMP, ICMPV6};

pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;

/// Both ends of a connection, the lower first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    low: Ip,
    high: Ip,
    low_port: u16,
    high_port: u16,
    proto: u8,
    is_v6: bool,
    /// For ICMP messages that nothing answers: which end sent it, 1 or 2.
    one_way: u8,
}

impl std::hash::Hash for Key {
    /// In three words.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let Self { low, high, low_port, high_port, proto, is_v6, one_way } = *self;
        state.write_u128(u128::from_le_bytes(low.0));
        state.write_u128(u128::from_le_bytes(high.0));
        let rest =
            [proto, u8::from(is_v6), one_way].iter().fold(u64::from(low_port), |all, byte| all << 8 | u64::from(*byte));
        state.write_u64(u64::from(high_port) << 40 | rest);
    }
}

/// Which end sent: 0 the lower.
pub(super) type Side = usize;

impl Key {
    pub(super) fn new(pair: &AddressPair) -> (Self, Side) {
        let AddressPair { src, dst, src_port, dst_port, proto, version } = *pair;
        let is_v6 = version == IpVersion::V6;
        let side = usize::from((src, src_port) > (dst, dst_port));
        if matches!(proto, ICMP | ICMPV6) {
            let side = usize::from(src > dst);
            let (low, high) = if side == 0 { (src, dst) } else { (dst, src) };
            let (kind, one_way) = match icmp::counterpart(proto, src_port as u8) {
                Some(answer) => (src_port.min(u16::from(answer)), 0),
                None => (src_port, side as u8 + 1),
            };
            return (Self { low, high, low_port: kind, high_port: dst_port, proto, is_v6, one_way }, side);
        }
        let (low, high, low_port, high_port) =
            if side == 0 { (src, dst, src_port, dst_port) } else { (dst, src, dst_port, src_port) };
        (Self { low, high, low_port, high_port, proto, is_v6, one_way: 0 }, side)
    }
}

/// Which side began: 0 the lower.
pub(super) fn initiator(low: &ExportedFlow, high: &ExportedFlow) -> Side {
    let opens = |flow: &ExportedFlow| flow.forward.tcp_flags.is_some_and(|flags| flags & (SYN | ACK) == SYN);
    let syn = |flow: &ExportedFlow| flow.forward.tcp_flags.is_some_and(|flags| flags & SYN != 0);
    let by_syn = [opens as fn(&ExportedFlow) -> bool, syn].into_iter().find(|test| test(low) != test(high));
    if let Some(test) = by_syn {
        return usize::from(test(high));
    }
    let earlier = usize::from(high.first < low.first);
    if matches!(low.pair.proto, ICMP | ICMPV6) {
        // The type says who asks.
        let asks = |flow: &ExportedFlow| {
            matches!((flow.pair.proto, flow.pair.src_port), (ICMP, 8 | 10 | 13 | 15 | 17))
                || matches!((flow.pair.proto, flow.pair.src_port), (ICMPV6, 128 | 130 | 133 | 135 | 139 | 144))
        };
        return if asks(low) == asks(high) { earlier } else { usize::from(asks(high)) };
    }
    let (a, b) = (low.pair.src_port, low.pair.dst_port);
    match (a < 1_024, b < 1_024) {
        // The lower end's port is the service's: the other began.
        (true, false) => 1,
        (false, true) => 0,
        _ => earlier,
    }
}
