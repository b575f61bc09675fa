//! Which ICMP messages belong together: the request and reply types that Community ID v1 pairs
//! (github.com/corelight/community-id-spec), so that flows and Community IDs agree.

/// ICMP for IPv4.
pub(crate) const ICMP: u8 = 1;
/// ICMP for IPv6.
pub(crate) const ICMPV6: u8 = 58;

/// The type that answers, or asked for, `icmp_type`; `None` for messages that go one way.
pub(crate) const fn counterpart(proto: u8, icmp_type: u8) -> Option<u8> {
    Some(match (proto, icmp_type) {
        // Echo, router solicitation (an advertisement is mostly unasked: one way), timestamp, information,
        // address mask.
        (ICMP, 8) => 0,
        (ICMP, 0) => 8,
        (ICMP, 10) => 9,
        (ICMP, 13) => 14,
        (ICMP, 14) => 13,
        (ICMP, 15) => 16,
        (ICMP, 16) => 15,
        (ICMP, 17) => 18,
        (ICMP, 18) => 17,
        // Echo, multicast listener, router and neighbour discovery, node information, home agent.
        (ICMPV6, 128) => 129,
        (ICMPV6, 129) => 128,
        (ICMPV6, 130) => 131,
        (ICMPV6, 131) => 130,
        (ICMPV6, 133) => 134,
        (ICMPV6, 134) => 133,
        (ICMPV6, 135) => 136,
        (ICMPV6, 136) => 135,
        (ICMPV6, 139) => 140,
        (ICMPV6, 140) => 139,
        (ICMPV6, 144) => 145,
        (ICMPV6, 145) => 144,
        _ => return None,
    })
}

/// Whether a message asks and another answers it: of two that the clock cannot tell apart this one was first. The lists
/// above have only pairs in which the one that asks has the lower number, but for ICMP's echo and address solicitation.
pub(crate) const fn asks(proto: u8, icmp_type: u8) -> bool {
    match (proto, icmp_type) {
        (ICMP, 0) => false,
        (ICMP, 8 | 10) => true,
        _ => matches!(counterpart(proto, icmp_type), Some(answer) if icmp_type < answer),
    }
}
