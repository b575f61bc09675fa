//! Link layers and what lies between them and IP.

use super::make::{after, ethernet, hex, inner4, inner6, ipv4, join, label, snap, udp};
use super::{frame, one};
use crate::{Fate, IpVersion, Tunnels};

/// The frame's outermost IP packet is `inner4` or `inner6`.
fn carries(name: &str, link: u16, data: &[u8]) {
    let packet = one(Tunnels::Outer, &frame(link, data)).unwrap_or_else(|fate| panic!("{name}: {fate:?}"));
    let expected = match packet.pair.version {
        IpVersion::V4 => (1111, 2222, 36),
        IpVersion::V6 => (3333, 4444, 56),
    };
    assert_eq!((packet.pair.src_port, packet.pair.dst_port, packet.ip_bytes), expected, "{name}");
    assert_eq!((packet.pair.proto, packet.payload_bytes), (17, 8), "{name}");
    // Any cut leaves a packet or a fate, never a wrong address.
    for length in 0..data.len() {
        let cut = crate::Frame { data: &data[..length], ..frame(link, data) };
        if let Ok(cut) = one(Tunnels::Outer, &cut) {
            assert_eq!((cut.pair.src, cut.pair.dst), (packet.pair.src, packet.pair.dst), "{name} cut to {length}");
        }
    }
}

#[test]
fn link_types() {
    let (v4, v6) = (inner4(), inner6());
    let eth = ethernet(0x0800, &v4);
    let llc = snap(0x0800, &v4);
    let zeros = |n: usize| vec![0; n];
    let cases: &[(&str, u16, Vec<u8>)] = &[
        ("null, little-endian", 0, after("02000000", &v4)),
        ("null, big-endian", 0, after("00000002", &v4)),
        ("null, FreeBSD", 0, after("1c000000", &v6)),
        ("null, Darwin", 0, after("1e000000", &v6)),
        ("loop", 108, after("00000018", &v6)),
        ("token ring", 6, after("1040 020000000001 020000000002", &llc)),
        ("token ring, routed", 6, after("1040 020000000001 820000000002 0680 0011 0020", &llc)),
        ("ppp", 9, after("ff030021", &v4)),
        ("ppp, compressed", 9, after("57", &v6)),
        ("ppp, mpls", 9, join(&[&hex("0281"), &label(16, true), &v4])),
        ("fddi", 10, after("50 020000000001 020000000002", &llc)),
        ("raw", 12, v4.clone()),
        ("raw", 14, v6.clone()),
        ("raw", 101, v6.clone()),
        ("ipv4", 228, v4.clone()),
        ("ipv6", 229, v6.clone()),
        ("atm, llc", 100, llc.clone()),
        ("atm, bridged", 100, join(&[&hex("aaaa03 0080c2 0007 0000"), &eth])),
        ("atm, nlpid", 100, after("fefe03cc", &v4)),
        ("cisco hdlc", 104, after("0f000800", &v4)),
        ("hdlc is ppp", 50, after("ff030021", &v4)),
        ("hdlc is cisco's", 50, after("8f0086dd", &v6)),
        ("pppoe session", 51, after("110000010026 0021", &v4)),
        ("frame relay", 107, after("184103cc", &v4)),
        ("frame relay, padded snap", 107, after("18410300 80 000000 0800", &v4)),
        ("frame relay, cisco's", 107, after("18410800", &v4)),
        ("enc", 109, after("02000000 00000001 00000000", &v4)),
        ("cooked", 113, after("0000 0001 0006 020000000001 0000 0800", &v4)),
        ("cooked, vlan", 113, after("0000 0001 0006 020000000001 0000 8100 0064 86dd", &v6)),
        ("cooked, llc", 113, join(&[&hex("0000 0001 0006 020000000001 0000 0004"), &llc])),
        ("cooked 2", 276, after("0800 0000 00000002 0001 00 06 0200000000010000", &v4)),
        ("pflog", 117, join(&[&[61, 2], &zeros(62), &v4])),
        ("fibre channel", 122, join(&[&zeros(16), &llc])),
        ("sunatm", 123, join(&[&hex("02000020"), &llc])),
        ("firewire", 138, join(&[&zeros(16), &hex("0800"), &v4])),
        ("pppd", 166, after("00 030021", &v4)[..1].iter().copied().chain(after("ff030021", &v4)).collect()),
        ("ppi", 192, after("00000800 01000000", &eth)),
        ("erf", 197, join(&[&hex("0000000000000060 0204 0044 0000 0036 0000"), &eth])),
        ("mpls", 219, join(&[&label(16, false), &label(17, true), &v6])),
        ("ipnet", 226, join(&[&hex("0102"), &zeros(22), &v4])),
        ("nflog", 239, after("02000000 2800 0900", &v4)),
        ("ipoib", 242, join(&[&zeros(40), &hex("08000000"), &v4])),
        ("pktap", 258, join(&[&hex("6c000000 01000000 01000000"), &zeros(96), &eth])),
        ("mpacket", 274, after("555555555555 55d5", &eth)),
        ("dsa", 284, after("020000000001 020000000002 40000064 0800", &v4)),
        ("edsa", 285, after("020000000001 020000000002 dada000040000064 0800", &v4)),
        ("juniper", 178, join(&[&hex("4d474380 0006 010101020101"), &eth])),
    ];
    for (name, link, data) in cases {
        carries(name, *link, data);
    }
}

#[test]
fn wireless() {
    let llc = snap(0x0800, &inner4());
    let data = |control: u8, flags: u8, more: &str| {
        let header = format!("{control:02x}{flags:02x}0000 020000000001 020000000002 020000000003 0000 {more}");
        after(&header, &llc)
    };
    carries("data", 105, &data(0x08, 1, ""));
    carries("four addresses", 105, &data(0x08, 3, "020000000004"));
    carries("qos", 105, &data(0x88, 1, "0000"));
    carries("qos and ht control", 105, &data(0x88, 0x81, "0000 00000000"));
    carries("mesh", 105, &data(0x88, 3, "020000000004 0001 001f00000001"));
    carries("radiotap", 127, &join(&[&hex("00000800 00000000"), &data(0x08, 1, "")]));
    carries("radiotap, padded", 127, &join(&[&hex("00000900 02000000 20"), &data(0x88, 1, "0000 0000")]));
    let stamped = hex("00001100 03000000 0000000000000000 20");
    carries("radiotap with a time stamp, padded", 127, &join(&[&stamped, &data(0x88, 1, "0000 0000")]));
    carries("prism", 119, &join(&[&hex("44000000 90000000"), &[0; 136], &data(0x08, 1, "")]));
    carries("avs", 163, &join(&[&hex("80211001 00000040"), &[0; 56], &data(0x08, 1, "")]));
    let fate = |data: &[u8]| one(Tunnels::Outer, &frame(105, data)).unwrap_err();
    assert_eq!(fate(&data(0x08, 0x41, "")), Fate::NotIp("not_ip_80211_encrypted"));
    assert_eq!(fate(&data(0x48, 1, "")), Fate::NotIp("not_ip_80211"));
    assert_eq!(fate(&data(0x80, 0, "")), Fate::NotIp("not_ip_80211"));
    assert_eq!(fate(&hex("d4000000 020000000001")), Fate::NotIp("not_ip_80211"));
}

#[test]
fn tags_and_encapsulations_of_ethernet() {
    let (v4, v6) = (inner4(), inner6());
    let eth = ethernet(0x0800, &v4);
    let tagged = |ethertype: u16, header: &str, rest: &[u8]| ethernet(ethertype, &after(header, rest));
    let cases: &[(&str, Vec<u8>)] = &[
        ("802.1Q", tagged(0x8100, "00640800", &v4)),
        ("QinQ", tagged(0x88a8, "0064 8100 0065 86dd", &v6)),
        ("9100", tagged(0x9100, "0064 8100 0065 0800", &v4)),
        ("9200", tagged(0x9200, "0064 0800", &v4)),
        ("three tags", tagged(0x88a8, "0064 8100 0065 8100 0066 0800", &v4)),
        ("SNAP", ethernet(44, &snap(0x0800, &v4))),
        ("LLC with IP", ethernet(39, &after("060603", &v4))),
        ("802.1Q and SNAP", tagged(0x8100, "0064 002c", &snap(0x0800, &v4))),
        ("PBB", tagged(0x88e7, "00000001", &eth)),
        ("PBB in a backbone VLAN", tagged(0x88a8, "0064 88e7 00000001", &eth)),
        ("VN-Tag", tagged(0x8926, "00000001 0800", &v4)),
        ("E-Tag", tagged(0x893f, "000000000000 86dd", &v6)),
        ("HSR", tagged(0x892f, "00400001 0800", &v4)),
        ("R-Tag", tagged(0xf1c1, "00000001 0800", &v4)),
        ("Cisco MetaData", tagged(0x8909, "0101 0001 0010 0800", &v4)),
        ("FabricPath", tagged(0x8903, "0000", &eth)),
        ("TRILL", tagged(0x22f3, "000000010002", &eth)),
        ("TRILL with options", tagged(0x22f3, "004000010002 00000000", &eth)),
        ("NSH with IP", tagged(0x894f, "0fc20201 00000100", &v4)),
        ("NSH with Ethernet", tagged(0x894f, "0fc60103 00000100 00000000000000000000000000000000", &eth)),
        ("Arista, 64 bits", tagged(0xd28b, "0001 0010 0000000000000000 0800", &v4)),
        ("Arista, 48 bits", tagged(0xd28b, "0001 0120 000000000000 0800", &v4)),
        ("MACsec, integrity alone", tagged(0x88e5, "200000000001 0200000000020001 0800", &v4)),
        ("PPPoE", tagged(0x8864, "110000010026 0021", &v4)),
        ("MPLS", ethernet(0x8847, &join(&[&label(16, false), &label(17, true), &v6]))),
        ("pseudowire", ethernet(0x8847, &join(&[&label(17, true), &eth]))),
        ("pseudowire with control word", ethernet(0x8847, &join(&[&label(17, true), &[0; 4], &eth]))),
        (
            "pseudowire to a MAC of zeros",
            ethernet(0x8847, &join(&[&label(17, true), &hex("001b00000001 001b00000002 0800"), &v4])),
        ),
        ("ISL", join(&[&hex("01000c000000 020000000002 0044 aaaa03 00000c 0064 0000 0000"), &eth, &[0; 4]])),
    ];
    for (name, data) in cases {
        carries(name, 1, data);
    }
}

#[test]
fn the_record_keeps_the_innermost_vlan_and_the_macs() {
    let data = ethernet(0x88a8, &after("2064 8100 6065 0800", &inner4()));
    let packet = one(Tunnels::Inner, &frame(1, &data)).unwrap();
    assert_eq!((packet.link.vlan, packet.link.cos, packet.link.ethertype), (Some(101), Some(3), Some(0x0800)));
    assert_eq!(packet.link.macs, Some(([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])));
    let packet = one(Tunnels::Inner, &frame(101, &inner4())).unwrap();
    assert_eq!(packet.link, crate::Link::default());
}

#[test]
fn what_carries_no_ip_has_its_cause() {
    let fate = |link: u16, data: &[u8]| one(Tunnels::Inner, &frame(link, data)).unwrap_err();
    assert_eq!(fate(1, &ethernet(0x0806, &[0; 28])), Fate::NotIp("not_ip_arp"));
    assert_eq!(fate(1, &ethernet(0x88cc, &[0; 28])), Fate::NotIp("not_ip_lldp"));
    assert_eq!(fate(1, &ethernet(0x9000, &[0; 28])), Fate::NotIp("not_ip_ethertype"));
    assert_eq!(fate(1, &ethernet(38, &hex("424203 0000"))), Fate::NotIp("not_ip_llc"));
    assert_eq!(fate(1, &ethernet(0x8863, &[0; 28])), Fate::NotIp("not_ip_pppoe_discovery"));
    assert_eq!(fate(1, &ethernet(0x88e5, &hex("0c0000000001"))), Fate::NotIp("not_ip_macsec"));
    assert_eq!(fate(9, &hex("ff03c021 01010004")), Fate::NotIp("not_ip_ppp"));
    assert_eq!(fate(0, &hex("07000000 00")), Fate::NotIp("not_ip_pseudo_header"));
    assert_eq!(fate(147, &inner4()), Fate::NotIp("not_ip_link_type"));
    assert_eq!(fate(1, &[0; 13]), Fate::Malformed("malformed_link"));
    assert_eq!(fate(1, &ethernet(0x0800, &inner6())), Fate::Malformed("malformed_ip_version"));
    assert_eq!(fate(1, &ethernet(0x0800, &inner4()[..19])), Fate::Malformed("malformed_ip_truncated"));
    assert_eq!(fate(1, &ethernet(0x86dd, &inner6()[..39])), Fate::Malformed("malformed_ip_truncated"));
    // A header of four words; a datagram of 19 bytes.
    let (mut short, mut small) = (inner4(), ipv4(17, [1, 2], 1, 0, &udp(1, 2, b"")));
    (short[0], small[3]) = (0x44, 19);
    assert_eq!(fate(1, &ethernet(0x0800, &short)), Fate::Malformed("malformed_ip_header_length"));
    assert_eq!(fate(1, &ethernet(0x0800, &small)), Fate::Malformed("malformed_ip_total_length"));
    // Tags without end.
    let tags = "8100 0064".repeat(40);
    assert_eq!(fate(1, &after(&format!("020000000001 020000000002 {tags}"), &[])), Fate::Malformed("malformed_layers"));
}
