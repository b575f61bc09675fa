//! Tunnels over IP.

use super::make::{after, ethernet, inner4, inner6, ipv4, ipv6, join, label, udp};
use super::{Keep, count, decoder, frame, one};
use crate::{Body, IpVersion, Tunnel, Tunnels};

/// 10.0.0.8 to 10.0.0.9 on Ethernet.
fn outer(proto: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(proto, [8, 9], 7, 0, payload))
}

fn outer_udp(dst_port: u16, payload: &[u8]) -> Vec<u8> {
    outer(17, &udp(50_000, dst_port, payload))
}

#[test]
fn inner_and_outer() {
    let (v4, v6) = (inner4(), inner6());
    let eth = ethernet(0x0800, &v4);
    let teredo = ipv6(17, [1, 2], &udp(3333, 4444, b"abcdefgh"));
    let cases: &[(&str, Tunnel, Vec<u8>)] = &[
        ("GRE", Tunnel::Gre, outer(47, &after("00000800", &v4))),
        ("GRE, checksum", Tunnel::Gre, outer(47, &after("80000800 00000000", &v4))),
        ("GRE, key and sequence", Tunnel::Gre, outer(47, &after("300086dd 00000001 00000002", &v6))),
        ("GRE, Ethernet", Tunnel::Gre, outer(47, &after("00006558", &eth))),
        ("GRE, MPLS", Tunnel::Mpls, outer(47, &join(&[&[0, 0, 0x88, 0x47], &label(16, true), &v4]))),
        ("PPTP", Tunnel::Gre, outer(47, &after("3001880b 00280001 00000001 ff030021", &v4))),
        ("PPTP, acknowledged", Tunnel::Gre, outer(47, &after("3081880b 00280001 00000001 00000001 21", &v4))),
        ("WCCP 1", Tunnel::Gre, outer(47, &after("0000883e", &v4))),
        ("WCCP 2", Tunnel::Gre, outer(47, &after("0000883e 01000000", &v4))),
        ("ERSPAN I", Tunnel::Erspan, outer(47, &after("000088be", &eth))),
        ("ERSPAN II", Tunnel::Erspan, outer(47, &after("100088be 00000001 1001000000000000", &eth))),
        ("ERSPAN III", Tunnel::Erspan, outer(47, &after("100022eb 00000001 200100000000000000000000", &eth))),
        (
            "ERSPAN III with platform words",
            Tunnel::Erspan,
            outer(47, &after("100022eb 00000001 200100000000000000000001 0000000000000000", &eth)),
        ),
        ("VXLAN", Tunnel::Vxlan, outer_udp(4789, &after("0800000000000100", &eth))),
        ("VXLAN-GPE, IP", Tunnel::Vxlan, outer_udp(4790, &after("0c00000100000100", &v4))),
        ("VXLAN-GPE, NSH", Tunnel::Vxlan, outer_udp(4790, &after("0c00000400000100 0fc20201 00000100", &v4))),
        ("Geneve", Tunnel::Geneve, outer_udp(6081, &after("0000655800000100", &eth))),
        ("Geneve with options", Tunnel::Geneve, outer_udp(6081, &after("020086dd00000100 0000000100000000", &v6))),
        ("GTP-U", Tunnel::GtpU, outer_udp(2152, &after("30ff0024 00000001", &v4))),
        ("GTP-U with sequence", Tunnel::GtpU, outer_udp(2152, &after("32ff0028 00000001 00010000", &v4))),
        ("GTP-U with extension", Tunnel::GtpU, outer_udp(2152, &after("34ff002c 00000001 00000085 01000100", &v4))),
        ("IP in IP", Tunnel::IpIp, outer(4, &v4)),
        ("IPv6 in IPv4", Tunnel::SixInFour, outer(41, &v6)),
        ("IPv6 in IPv6", Tunnel::IpIp, ethernet(0x86dd, &ipv6(41, [8, 9], &v6))),
        ("IPv4 in IPv6", Tunnel::IpIp, ethernet(0x86dd, &ipv6(4, [8, 9], &v4))),
        ("Teredo", Tunnel::Teredo, outer_udp(3544, &teredo)),
        ("Teredo with origin", Tunnel::Teredo, outer_udp(3544, &after("0000 1234 55667788", &teredo))),
        ("Teredo authenticated", Tunnel::Teredo, outer_udp(3544, &after("0001 0000 0000000000000000 00", &teredo))),
        ("L2TP", Tunnel::L2tp, outer_udp(1701, &after("4002 0030 0001 0001 ff030021", &v4))),
        ("L2TP, all fields", Tunnel::L2tp, outer_udp(1701, &after("4a02 0036 0001 0001 0000 0000 0002 0000 57", &v6))),
        // Linux by default: no cookie, the sublayer of RFC 3931, 4.6.
        ("L2TPv3, Ethernet", Tunnel::L2tp, outer(115, &after("00001001 40000007", &eth))),
        ("L2TPv3, neither cookie nor sublayer", Tunnel::L2tp, outer(115, &after("00001001", &eth))),
        ("L2TPv3, cookie of 8, no sublayer", Tunnel::L2tp, outer(115, &after("00001001 8a5c1b7744d2e93f", &eth))),
        ("L2TPv3, cookie of 8", Tunnel::L2tp, outer(115, &after("00001001 8a5c1b7744d2e93f 00000000", &eth))),
        ("L2TPv3, tagged", Tunnel::L2tp, outer(115, &after("00001001 020000000004 020000000003 8100 0007 86dd", &v6))),
        ("L2TPv3, filled up to 60", Tunnel::L2tp, outer(115, &join(&[&after("00001001 00000000", &eth), &[0; 10]]))),
        ("L2TPv3, PPP", Tunnel::L2tp, outer(115, &after("00001001 00000000 ff030057", &v6))),
        ("L2TPv3, IP", Tunnel::L2tp, outer(115, &after("00001001 8a5c1b77", &v4))),
        ("L2TPv3 in UDP", Tunnel::L2tp, outer_udp(1701, &after("0003 0000 00001001 00000000", &eth))),
        ("MPLS in IP", Tunnel::Mpls, outer(137, &join(&[&label(16, true), &v4]))),
        ("EtherIP", Tunnel::EtherIp, outer(97, &after("3000", &eth))),
        ("NSH in IP", Tunnel::Nsh, outer(145, &after("0fc20201 00000100", &v4))),
        ("LISP", Tunnel::Lisp, outer_udp(4341, &after("80000000 00000001", &v4))),
        ("LISP, IPv6", Tunnel::Lisp, outer_udp(4341, &after("80000000 00000001", &v6))),
        ("CAPWAP, Ethernet", Tunnel::Capwap, outer_udp(5247, &after("00100200 00000000", &eth))),
        (
            "CAPWAP, 802.11 with radio's address",
            Tunnel::Capwap,
            outer_udp(
                5247,
                &after(
                    "00200310 00000000 06020000000005 00 0801 0000 020000000001 020000000002 020000000003 0000 aaaa030000000800",
                    &v4,
                ),
            ),
        ),
        ("MPLS in UDP", Tunnel::Mpls, outer_udp(6635, &join(&[&label(16, true), &v4]))),
    ];
    for (name, tunnel, data) in cases {
        let inner = one(Tunnels::Inner, &frame(1, data)).unwrap();
        let expected = match inner.pair.version {
            IpVersion::V4 => (1111, 2222, 36),
            IpVersion::V6 => (3333, 4444, 56),
        };
        assert_eq!((inner.pair.src_port, inner.pair.dst_port, inner.ip_bytes), expected, "{name}");
        assert_eq!(inner.tunnel, Some(*tunnel), "{name}");
        assert_eq!(inner.link.macs, Some(([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])), "{name}");
        let outer = one(Tunnels::Outer, &frame(1, data)).unwrap();
        assert_eq!((outer.pair.src.0[15], outer.pair.dst.0[15], outer.tunnel), (8, 9, None), "{name}");
        assert_eq!(outer.ip_bytes as usize, data.len() - 14, "{name}");
    }
}

#[test]
fn what_is_no_tunnel_stays_outside() {
    let echo = outer_udp(2152, &after("32010004 00000000 00010000", &[]));
    let not_vxlan = outer_udp(4789, &after("0000000000000100", &ethernet(0x0800, &inner4())));
    let teredo_port = outer_udp(3544, &[0x60; 60]);
    let lisp_port = outer_udp(4341, &after("80000000 00000001", &[&inner4()[..], b"!"].concat()));
    let capwap_keepalive = outer_udp(5247, &after("00100208 00000000", &ethernet(0x0800, &inner4())));
    let keepalive = outer(47, &after("00000000", &[]));
    // Session 0 is control, over IP and over UDP (there T is set, too).
    let l2tp_control = outer(115, &after("00000000", &ethernet(0x0800, &inner4())));
    let l2tp_control_udp = outer_udp(1701, &after("c803 0014 00000000 0000 0000", &ethernet(0x0800, &inner4())));
    let l2tp_longer = outer(115, &after("00001001", &[&ethernet(0x0800, &inner4())[..], b"!"].concat()));
    let l2tp_empty = outer(115, &after("00001001", &[]));
    let cut = outer(4, &inner4()[..19]);
    for data in [
        echo,
        not_vxlan,
        teredo_port,
        lisp_port,
        capwap_keepalive,
        keepalive,
        cut,
        l2tp_control,
        l2tp_control_udp,
        l2tp_longer,
        l2tp_empty,
    ] {
        let packet = one(Tunnels::Inner, &frame(1, &data)).unwrap();
        assert_eq!((packet.pair.src.0[15], packet.tunnel), (8, None));
    }
}

#[test]
fn nesting_is_bounded_and_counted() {
    let mut packet = inner4();
    for _ in 0..20 {
        packet = ipv4(4, [8, 9], 1, 0, &packet);
    }
    let mut decoder = decoder(Tunnels::Inner);
    let mut keep = Keep::default();
    decoder.handle_frame(&frame(101, &packet), &mut keep);
    // Eight of twenty were entered.
    assert_eq!((keep.packets[0].pair.proto, keep.packets[0].ip_bytes), (4, 36 + 12 * 20));
    assert_eq!(count(&decoder, "tunnels_over_limit"), 1);
}

#[test]
fn messages_come_from_the_innermost_payload_also_when_the_outer_packet_is_counted() {
    let query = after("1234 0100 0001 0000 0000 0000 07 6578616d706c65 00 0001 0001", &[]);
    let inner = ipv4(17, [1, 2], 1, 0, &udp(5353, 53, &query));
    let data = outer(47, &after("00000800", &inner));
    for (tunnels, src) in [(Tunnels::Inner, 1), (Tunnels::Outer, 8)] {
        let mut keep = Keep::default();
        decoder(tunnels).handle_frame(&frame(1, &data), &mut keep);
        assert_eq!(keep.packets[0].pair.src.0[15], src);
        let [message] = keep.messages.as_slice() else { panic!("one message: {:?}", keep.messages) };
        assert_eq!((message.pair.src.0[15], message.pair.dst_port), (1, 53));
        let Body::Dns(dns) = &message.body else { panic!("DNS: {message:?}") };
        assert_eq!((dns.questions[0].name.as_str(), dns.frame_len as usize), ("example", data.len()));
    }
}
