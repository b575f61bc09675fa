use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::{AddressPair, DhcpAddress, Fragment, Ip, Link, Nanos, Tcp};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn packet(src: &str, dst: &str, ports: (u16, u16), len: usize) -> Packet {
    let ((src, version), (dst, _)) = (Ip::from_ip_addr(ip(src)), Ip::from_ip_addr(ip(dst)));
    Packet {
        ts: Nanos(0),
        pair: AddressPair { src, dst, src_port: ports.0, dst_port: ports.1, proto: 17, version },
        ip_bytes: 0,
        payload_bytes: len as u32,
        tcp: Tcp::default(),
        tos: 0,
        fragment: Fragment::Whole,
        link: Link { macs: Some(([2, 0, 0, 0, 0, 7], [2, 0, 0, 0, 0, 9])), ..Link::default() },
        tunnel: None,
        service: None,
    }
}

/// An option of version 4.
fn opt(code: u8, octets: &[u8]) -> Vec<u8> {
    [&[code, octets.len() as u8], octets].concat()
}

/// A message of version 4: operation, addresses (ciaddr, yiaddr, giaddr) and options; `sname` and `file`.
fn v4(op: u8, addresses: [[u8; 4]; 3], options: &[u8], sname: &[u8], file: &[u8]) -> Vec<u8> {
    let [client, yours, relay] = addresses;
    let mut out = vec![op, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0];
    [client, yours, [0; 4], relay].iter().for_each(|ip| out.extend(ip));
    out.extend([2, 0, 0, 0, 0, 1]);
    out.resize(44, 0);
    out.extend(sname);
    out.resize(108, 0);
    out.extend(file);
    out.resize(236, 0);
    out.extend([99, 130, 83, 99]);
    out.extend(options);
    out
}

fn read_v4(message: &[u8]) -> DhcpMessage {
    let packet = match message[0] {
        1 => packet("0.0.0.0", "255.255.255.255", (68, 67), message.len()),
        _ => packet("10.0.0.254", "255.255.255.255", (67, 68), message.len()),
    };
    read(&packet, message).unwrap().0
}

/// Option of version 6.
fn opt6(code: u16, octets: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), &(octets.len() as u16).to_be_bytes(), octets].concat()
}

fn v6(kind: u8, options: &[Vec<u8>]) -> Vec<u8> {
    [&[kind, 0xab, 0xcd, 0xef][..], &options.concat()].concat()
}

fn ia(addresses: &[(&str, u32)]) -> Vec<u8> {
    let one = |(ip, valid): &(&str, u32)| {
        let ip: Ipv6Addr = ip.parse().unwrap();
        opt6(5, &[&ip.octets()[..], &[0, 0, 0, 9], &valid.to_be_bytes()].concat())
    };
    opt6(3, &[vec![0; 12], addresses.iter().flat_map(one).collect()].concat())
}

fn relay(kind: u8, link: &str, peer: &str, options: &[Vec<u8>]) -> Vec<u8> {
    let [link, peer] = [link, peer].map(|ip| ip.parse::<Ipv6Addr>().unwrap().octets());
    [&[kind, 0][..], &link, &peer, &options.concat()].concat()
}

fn read_v6(message: &[u8]) -> (DhcpMessage, u64) {
    let packet = match message[0] {
        2 | 7 => packet("fe80::1", "fe80::aa", (547, 546), message.len()),
        12 => packet("2001:db8:1::1", "2001:db8::547", (547, 547), message.len()),
        13 => packet("2001:db8::547", "2001:db8:1::1", (547, 547), message.len()),
        _ => packet("fe80::aa", "ff02::1:2", (546, 547), message.len()),
    };
    read(&packet, message).unwrap()
}

const NONE: [u8; 4] = [0; 4];

#[test]
fn a_request_and_its_ack() {
    let options = [
        opt(53, &[3]),
        opt(61, &[1, 2, 0, 0, 0, 0, 1]),
        opt(50, &[10, 0, 0, 5]),
        opt(12, b"laptop-7\0"),
        opt(81, b"\x05\0\0\x08laptop-7\x04corp\x07example\0"),
        opt(60, b"MSFT 5.0"),
        opt(55, &[1, 3, 6, 15, 249]),
        vec![255],
    ];
    let request = read_v4(&v4(1, [NONE; 3], &options.concat(), b"", b""));
    assert_eq!((request.message_type, request.from_server, request.xid), (3, false, 0xdead_beef));
    assert_eq!((request.mac, request.client_addr, request.server_addr), (Some([2, 0, 0, 0, 0, 1]), None, None));
    assert_eq!(request.client_id.as_deref(), Some(&[1, 2, 0, 0, 0, 0, 1][..]));
    assert_eq!(request.addresses, [DhcpAddress { address: ip("10.0.0.5"), prefix_len: 32, valid: None }]);
    assert_eq!(request.host_name.as_deref(), Some("laptop-7"));
    assert_eq!(request.client_fqdn.as_deref(), Some("laptop-7.corp.example"));
    assert_eq!((request.vendor_class.as_deref(), request.param_list), (Some("MSFT 5.0"), vec![1, 3, 6, 15, 249]));
    assert_eq!(request.damage, None);

    let options = [
        opt(53, &[5]),
        opt(54, &[10, 0, 0, 1]),
        opt(51, &[0, 0, 0x0e, 0x10]),
        opt(15, b"corp.example"),
        opt(81, b"\x03\xff\xfflaptop-7.corp.example."),
        vec![255],
    ];
    let ack = read_v4(&v4(2, [NONE, [10, 0, 0, 5], [10, 0, 9, 1]], &options.concat(), b"", b""));
    assert_eq!((ack.message_type, ack.from_server, ack.server_addr), (5, true, Some(ip("10.0.0.1"))));
    assert_eq!(ack.addresses, [DhcpAddress { address: ip("10.0.0.5"), prefix_len: 32, valid: Some(3600) }]);
    assert_eq!((ack.relay_addr, ack.domain.as_deref()), (Some(ip("10.0.9.1")), Some("corp.example")));
    assert_eq!((ack.client_fqdn.as_deref(), ack.damage), (Some("laptop-7.corp.example"), None), "in ASCII, with a dot");
}

#[test]
fn a_release_gives_up_the_address_it_comes_from() {
    let release = v4(1, [[10, 0, 0, 5], NONE, NONE], &[opt(53, &[7]), vec![255]].concat(), b"", b"");
    let release = read_v4(&release);
    assert_eq!(release.client_addr, Some(ip("10.0.0.5")));
    assert_eq!(release.addresses, [DhcpAddress { address: ip("10.0.0.5"), prefix_len: 32, valid: Some(0) }]);
}

/// Found by the fuzzer: an address of zeros is none, wherever it stands.
#[test]
fn zeros_are_no_address() {
    let options = [opt(53, &[3]), opt(50, &[0; 4]), opt(54, &[0; 4]), vec![255]].concat();
    let request = read_v4(&v4(1, [NONE; 3], &options, b"", b""));
    assert_eq!((request.addresses, request.server_addr, request.damage), (vec![], None, None));
}

/// RFC 3396: one option in pieces, over the fields that option 52 opens, in their order.
#[test]
fn options_in_pieces_and_in_the_fields_of_names() {
    let options = [opt(52, &[3]), opt(53, &[1]), opt(12, b"lap"), vec![255]].concat();
    let sname = [opt(12, b"-7"), vec![255]].concat();
    let file = [vec![0, 0], opt(12, b"top"), vec![255]].concat();
    let read = read_v4(&v4(1, [NONE; 3], &options, &sname, &file));
    assert_eq!((read.host_name.as_deref(), read.message_type, read.damage), (Some("laptop-7"), 1, None));
    // A field that is not opened holds a name, not options.
    let read = read_v4(&v4(1, [NONE; 3], &[opt(53, &[1]), opt(52, &[1]), vec![255]].concat(), &sname, &file));
    assert_eq!((read.host_name.as_deref(), read.damage), (Some("top"), None));
}

#[test]
fn an_overload_inside_an_overload_opens_nothing() {
    let options = [opt(53, &[1]), opt(52, &[1]), vec![255]].concat();
    let file = [opt(52, &[2]), opt(12, b"a"), vec![255]].concat();
    let read = read_v4(&v4(1, [NONE; 3], &options, &[opt(12, b"b"), vec![255]].concat(), &file));
    assert_eq!((read.host_name.as_deref(), read.damage), (Some("a"), Some("bad_overload")));
    for bad in [&[0][..], &[4], &[255]] {
        let read = read_v4(&v4(1, [NONE; 3], &[opt(53, &[1]), opt(52, bad), vec![255]].concat(), b"", &file));
        assert_eq!((read.host_name, read.damage), (None, Some("bad_overload")), "{bad:?}");
    }
}

#[test]
fn names_that_are_no_text() {
    let with = |name: &[u8]| read_v4(&v4(1, [NONE; 3], &[opt(53, &[1]), opt(12, name), vec![255]].concat(), b"", b""));
    let cases: [(&[u8], Option<&str>); 6] = [
        (b"", None),
        (b"\0\0", None),
        (b"a b", Some("a b")),
        (b"\x1b[31mred\r\n", Some("\\027[31mred\\013\\010")),
        ("caf\u{e9}".as_bytes(), Some("caf\\195\\169")),
        (b"\xff\\\0x\0", Some("\\255\\\\\\000x")),
    ];
    for (octets, text) in cases {
        let read = with(octets);
        assert_eq!((read.host_name.as_deref(), read.damage), (text, None));
    }
    // Two pieces of 255 octets are more than is kept.
    let long = [opt(53, &[1]), opt(12, &[b'a'; 255]), opt(12, b"b"), vec![255]].concat();
    let read = read_v4(&v4(1, [NONE; 3], &long, b"", b""));
    assert_eq!((read.host_name, read.damage), (Some("a".repeat(255)), Some("over_limit")));
    // Labels: cut, too long, pointing, and without the root (RFC 4702 2.3.1: the beginning of a name).
    let cases: [(&[u8], Option<&str>, Option<&str>); 6] = [
        (b"\x04\0\0\x04host\x02a", Some("host"), Some("bad_name")),
        (b"\x04\0\0\x04host\xc0\x00", Some("host"), Some("bad_name")),
        (b"\x04\0\0\x40host", None, Some("bad_name")),
        (b"\x04\0\0\x04host", Some("host"), None),
        (b"\x04\0\0\x04a.b\n\0", Some("a\\.b\\010"), None),
        (b"\x04\0", None, Some("option_length")),
    ];
    for (octets, text, damage) in cases {
        let read = read_v4(&v4(1, [NONE; 3], &[opt(53, &[1]), opt(81, octets), vec![255]].concat(), b"", b""));
        assert_eq!((read.client_fqdn.as_deref(), read.damage), (text, damage), "{octets:?}");
    }
}

#[test]
fn options_that_lie_about_their_length() {
    let cases: [(Vec<u8>, &str); 6] = [
        ([opt(53, &[1]), vec![12, 200, b'a']].concat(), "ends_early"),
        ([opt(53, &[1]), vec![12]].concat(), "ends_early"),
        (opt(53, &[1]), "no_end_option"),
        ([opt(53, &[1, 2]), vec![255]].concat(), "option_length"),
        ([opt(53, &[1]), opt(51, &[1, 2]), vec![255]].concat(), "option_length"),
        ([opt(53, &[1]), opt(54, &[1, 2, 3, 4, 5]), vec![255]].concat(), "option_length"),
    ];
    for (options, damage) in cases {
        let read = read_v4(&v4(1, [NONE; 3], &options, b"", b""));
        assert_eq!((read.message_type, read.damage), (1, Some(damage)), "{options:?}");
    }
    let message = v4(1, [NONE; 3], &[opt(53, &[1]), opt(12, b"abc"), vec![255]].concat(), b"", b"");
    let cut = &message[..message.len() - 3];
    let read = read(&packet("0.0.0.0", "255.255.255.255", (68, 67), message.len()), cut).unwrap().0;
    assert_eq!((read.message_type, read.host_name, read.damage), (1, None, Some("truncated")));
}

#[test]
fn what_is_no_message() {
    let good = v4(1, [NONE; 3], &[opt(53, &[1]), vec![255]].concat(), b"", b"");
    let on = packet("0.0.0.0", "255.255.255.255", (68, 67), good.len());
    let mut op = good.clone();
    op[0] = 3;
    let mut cookie = good.clone();
    cookie[239] = 0;
    for bad in [&good[..239], &op, &cookie, b""] {
        assert_eq!(read(&on, bad), None);
    }
    let on = packet("fe80::aa", "ff02::1:2", (546, 547), 64);
    for bad in [&[0, 0, 0, 0][..], &[37, 0, 0, 0], &[1, 0, 0], &[12; 33], b""] {
        assert_eq!(read(&on, bad), None);
    }
}

#[test]
fn a_solicit_and_a_reply_of_version_6() {
    let duid = [0, 1, 0, 1, 0x28, 0x83, 0x36, 0xa5, 0x18, 0xf7, 0x78, 0x6f, 0x96, 0xee];
    let solicit = [
        opt6(8, &[0, 0]),
        opt6(1, &duid),
        ia(&[]),
        opt6(39, b"\0\x0fDESKTOP-ABC1234"),
        opt6(16, b"\0\0\x01\x37\0\x08MSFT 5.0"),
        opt6(6, &[0, 17, 0, 23, 0, 24, 0, 39]),
    ];
    let (solicit, _) = read_v6(&v6(1, &solicit));
    assert_eq!((solicit.message_type, solicit.from_server, solicit.xid), (1, false, 0x00ab_cdef));
    assert_eq!(solicit.client_id.as_deref(), Some(&duid[..]));
    // The frame's sender, not the interface of which the DUID was made.
    assert_eq!((solicit.mac, solicit.client_addr), (Some([2, 0, 0, 0, 0, 7]), Some(ip("fe80::aa"))));
    assert_eq!(solicit.client_fqdn.as_deref(), Some("DESKTOP-ABC1234"));
    assert_eq!((solicit.vendor_class.as_deref(), solicit.param_list), (Some("MSFT 5.0"), vec![17, 23, 24, 39]));
    assert_eq!((solicit.addresses, solicit.damage), (vec![], None));

    let prefix = [
        &[0; 12][..],
        &opt6(26, &[&[0, 0, 0, 1, 0, 0, 0, 2, 56][..], &"2001:db8:a::".parse::<Ipv6Addr>().unwrap().octets()].concat()),
    ]
    .concat();
    let refused = [
        &[0; 12][..],
        &opt6(
            5,
            &[
                &"2001:db8::bad".parse::<Ipv6Addr>().unwrap().octets()[..],
                &[0, 0, 0, 9, 0, 0, 0, 9],
                &opt6(13, b"\0\x02no"),
            ]
            .concat(),
        ),
    ]
    .concat();
    let reply = [
        opt6(1, &duid),
        ia(&[("2001:db8::5", 7200), ("2001:db8::6", u32::MAX)]),
        opt6(25, &prefix),
        opt6(3, &refused),
        opt6(24, b"\x04corp\x07example\0\x05other\0"),
        opt6(13, b"\0\0all well"),
    ];
    let (reply, _) = read_v6(&v6(7, &reply));
    let address = |address, prefix_len, valid| DhcpAddress { address: ip(address), prefix_len, valid: Some(valid) };
    let addresses =
        [address("2001:db8::5", 128, 7200), address("2001:db8::6", 128, u32::MAX), address("2001:db8:a::", 56, 2)];
    assert_eq!(reply.addresses, addresses);
    assert_eq!((reply.from_server, reply.server_addr), (true, Some(ip("fe80::1"))));
    assert_eq!((reply.client_addr, reply.mac), (Some(ip("fe80::aa")), Some([2, 0, 0, 0, 0, 9])));
    assert_eq!((reply.domain.as_deref(), reply.text.as_deref()), (Some("corp.example"), Some("all well")));
    assert_eq!(reply.damage, None);
    let (release, _) = read_v6(&v6(8, &[opt6(1, &duid), ia(&[("2001:db8::5", 7200)])]));
    assert_eq!(release.addresses, [address("2001:db8::5", 128, 0)]);
}

#[test]
fn what_relays_carry() {
    let inner = v6(3, &[opt6(1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 0x55]), opt6(39, b"\x01\x01h\0")]);
    let near = relay(
        12,
        "2001:db8:1::1",
        "fe80::aa",
        &[opt6(18, b"eth0"), opt6(79, &[0, 1, 2, 0, 0, 0, 0, 0x77]), opt6(9, &inner)],
    );
    let far = relay(12, "::", "2001:db8:1::1", &[opt6(9, &near)]);
    let (read, _) = read_v6(&far);
    assert_eq!((read.message_type, read.from_server, read.xid), (3, false, 0x00ab_cdef));
    assert_eq!((read.client_addr, read.relay_addr), (Some(ip("fe80::aa")), Some(ip("2001:db8:1::1"))));
    assert_eq!((read.mac, read.client_fqdn.as_deref(), read.damage), (Some([2, 0, 0, 0, 0, 0x77]), Some("h"), None));
    // Without what the relay says, the DUID has a hardware address.
    let (read, _) = read_v6(&relay(12, "2001:db8:1::1", "fe80::aa", &[opt6(9, &inner)]));
    assert_eq!(read.mac, Some([2, 0, 0, 0, 0, 0x55]));
    let (read, _) = read_v6(&relay(12, "2001:db8:1::1", "fe80::aa", &[opt6(18, b"eth0")]));
    assert_eq!((read.message_type, read.damage), (12, Some("no_relay_message")));
    let (read, _) = read_v6(&relay(13, "2001:db8:1::1", "fe80::aa", &[opt6(9, &v6(7, &[ia(&[("2001:db8::5", 60)])]))]));
    assert_eq!((read.message_type, read.from_server, read.addresses.len()), (7, true, 1));
}

#[test]
fn a_bomb_of_relays_ends_at_the_eighth() {
    let mut message = v6(3, &[opt6(39, b"\0\x01h\0")]);
    for depth in 1..=12 {
        message = relay(12, "2001:db8:1::1", "fe80::aa", &[opt6(9, &message)]);
        let (read, _) = read_v6(&message);
        match depth {
            ..=8 => assert_eq!((read.message_type, read.damage), (3, None), "{depth}"),
            _ => assert_eq!((read.message_type, read.damage), (12, Some("relay_depth")), "{depth}"),
        }
    }
}

#[test]
fn many_addresses_are_counted() {
    let many: Vec<(String, u32)> = (0..100).map(|n| (format!("2001:db8::{n:x}"), 9)).skip(1).collect();
    let many: Vec<(&str, u32)> = many.iter().map(|(ip, valid)| (ip.as_str(), *valid)).collect();
    let (read, left_out) = read_v6(&v6(7, &[ia(&many)]));
    assert_eq!((read.addresses.len(), left_out, read.damage), (64, 35, Some("over_limit")));
}

/// Every message cut at every octet, and every octet changed: nothing panics, and texts are printable.
#[test]
fn any_octet_may_be_wrong() {
    let v4 = v4(
        2,
        [[10, 0, 0, 5]; 3],
        &[opt(52, &[3]), opt(53, &[5]), opt(81, b"\x04\0\0\x01h\0"), opt(61, &[1; 7]), vec![255]].concat(),
        &[opt(12, b"a"), vec![255]].concat(),
        &[opt(15, b"b"), vec![255]].concat(),
    );
    let v6 = relay(
        12,
        "2001:db8:1::1",
        "fe80::aa",
        &[opt6(9, &v6(3, &[opt6(1, &[0; 14]), ia(&[("2001:db8::5", 7)]), opt6(39, b"\0\x01h")]))],
    );
    for (message, packet) in [
        (v4, packet("10.0.0.1", "10.0.0.5", (67, 68), 0)),
        (v6, packet("2001:db8:1::1", "2001:db8::547", (547, 547), 0)),
    ] {
        for at in 0..message.len() {
            for octet in 0..=255 {
                let mut changed = message.clone();
                changed[at] = octet;
                for bytes in [&changed[..], &changed[..at]] {
                    let Some((read, _)) = read(&packet, bytes) else { continue };
                    let texts = [read.host_name, read.client_fqdn, read.domain, read.text, read.vendor_class];
                    assert!(texts.iter().flatten().all(|text| text.bytes().all(|b| (b' '..=b'~').contains(&b))));
                }
            }
        }
    }
}
