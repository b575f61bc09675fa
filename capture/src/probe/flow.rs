//! From the flow cache's slots to microflows.

use probe_common::layout::{Carried, Counts, Key, Slot4, Slot6};
use probe_common::protocol::{ICMP, ICMPV6};

use crate::live::{MicroDirection, Microflow};
use crate::{Ip, IpVersion, Link, Nanos, Tunnel};

/// How ticks become times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Time {
    /// Nanoseconds of a tick.
    pub(super) tick: u64,
    /// When tick 0 was, by the program's clock in nanoseconds.
    pub(super) phase: i64,
    /// UTC less the program's clock, nanoseconds.
    pub(super) offset: i64,
}

impl Time {
    /// The moment of a tick, rounded down.
    pub(super) fn at(self, tick: u64) -> Nanos {
        // Jiffies count from five minutes before they overflow 32 bits, so tick 0 is before the clock's beginning.
        let since = i64::try_from(tick.saturating_mul(self.tick)).unwrap_or(i64::MAX);
        Nanos(since.saturating_add(self.phase).saturating_add(self.offset))
    }

    /// The moment of the program's clock in nanoseconds.
    pub(super) fn of_nanos(self, nanos: u64) -> Nanos {
        Nanos(i64::try_from(nanos).unwrap_or(i64::MAX).saturating_add(self.offset))
    }
}

/// The microflow of an IPv4 slot.
pub(super) fn of_v4(addresses: u64, key: u64, counts: &Counts, base: u64, time: Time) -> Microflow {
    let ip = |word: u32| Ip::v4(word.to_be_bytes());
    build((ip((addresses >> 32) as u32), ip(addresses as u32)), IpVersion::V4, key, counts, base, time)
}

/// The microflow of an IPv6 slot.
pub(super) fn of_v6(addresses: [u64; 4], key: u64, counts: &Counts, base: u64, time: Time) -> Microflow {
    let [a, b, c, d] = addresses;
    let ip = |upper: u64, lower: u64| Ip((u128::from(upper) << 64 | u128::from(lower)).to_be_bytes());
    build((ip(a, b), ip(c, d)), IpVersion::V6, key, counts, base, time)
}

fn build(ends: (Ip, Ip), version: IpVersion, key: u64, counts: &Counts, base: u64, time: Time) -> Microflow {
    let Counts { carried: [low, high], last, link_bytes, macs, tcp_flags, tos } = *counts;
    let [a, b, c, d, e, f, g, h, i, j, k, l] = macs;
    let tag = Key::tag(key);
    let (low_port, high_port) = match (Key::ports(key), Key::proto(key)) {
        // Both have type and code; each direction has a slot of its own.
        ((kind, _), ICMP | ICMPV6) => (kind >> 8, kind & 0xff),
        (ports, _) => ports,
    };
    let last = base.saturating_add(u64::from(last));
    // Bytes beyond IP are counted for the slot: shared out by packets, the rest to the first that has any.
    let packets = u64::from(low.packets) + u64::from(high.packets);
    let low_link = (u64::from(link_bytes) * u64::from(low.packets)).checked_div(packets).unwrap_or(0);
    let direction = |carried: Carried, link: u64, flags: u8, tos: u8| {
        if carried.packets == 0 {
            return MicroDirection::default();
        }
        MicroDirection {
            packets: u64::from(carried.packets),
            ip_bytes: u64::from(carried.bytes),
            wire_bytes: u64::from(carried.bytes) + link,
            first: time.at(base.saturating_add(u64::from(carried.first))),
            last: time.at(last),
            tcp_flags: flags,
            tos,
            // Packets with SYN go to user space whole.
            syn: false,
            syn_ack: false,
        }
    };
    Microflow {
        low: ends.0,
        high: ends.1,
        low_port,
        high_port,
        proto: Key::proto(key),
        version,
        link: Link {
            macs: Some(([a, b, c, d, e, f], [g, h, i, j, k, l])),
            ethertype: Some(if version == IpVersion::V4 { 0x0800 } else { 0x86dd }),
            vlan: tag.map(|tci| tci & 0xfff),
            cos: tag.map(|tci| (tci >> 13) as u8),
        },
        tunnel: (key & Key::IN_VXLAN != 0).then_some(Tunnel::Vxlan),
        from_low: direction(low, low_link, tcp_flags[0], tos[0]),
        from_high: direction(high, u64::from(link_bytes) - low_link, tcp_flags[1], tos[1]),
    }
}

/// A slot that counts something.
pub(super) fn is_used4(slot: &Slot4) -> bool {
    slot.key != 0
}

/// A slot that counts something.
pub(super) fn is_used6(slot: &Slot6) -> bool {
    slot.key != 0
}
