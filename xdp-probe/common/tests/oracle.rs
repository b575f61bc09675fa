//! The hot parser against etherparse: what it accepts is what etherparse reads, and it accepts all plain traffic.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

use etherparse::{LaxNetSlice, LaxSlicedPacket, PacketBuilder, TransportSlice};
use probe_common::{Declined, Headers, parse_ethernet, parse_ip, protocol};
use proptest::prelude::*;

fn v4(address: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = address;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// What a packet is made from.
#[derive(Clone, Debug)]
struct Plan {
    vlans: u8,
    ipv6: bool,
    transport: u8,
    src_port: u16,
    dst_port: u16,
    flags: u8,
    seq: u32,
    options: usize,
    payload: Vec<u8>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    (0..3_u8, any::<bool>(), 0..3_u8, any::<(u16, u16)>(), any::<u8>(), any::<u32>(), 0..10_usize, bytes).prop_map(
        |(vlans, ipv6, transport, (src_port, dst_port), flags, seq, options, payload)| Plan {
            vlans,
            ipv6,
            transport,
            src_port,
            dst_port,
            flags,
            seq,
            options,
            payload,
        },
    )
}

/// The packet of a plan, and where its IP header begins.
fn build(plan: &Plan) -> (Vec<u8>, usize) {
    let mut ip = Vec::new();
    let options = vec![1_u8; plan.options * 4];
    let with_ip = |builder: etherparse::PacketBuilderStep<etherparse::Ethernet2Header>| {
        if plan.ipv6 {
            builder.ipv6([1; 16], [2; 16], 64)
        } else {
            let mut header =
                etherparse::Ipv4Header::new(0, 64, etherparse::IpNumber::UDP, [10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
            header.options = options.as_slice().try_into().unwrap();
            builder.ip(etherparse::IpHeaders::Ipv4(header, Default::default()))
        }
    };
    let step = with_ip(PacketBuilder::ethernet2([1; 6], [2; 6]));
    match plan.transport {
        0 => step.udp(plan.src_port, plan.dst_port).write(&mut ip, &plan.payload).unwrap(),
        1 => {
            let mut header = etherparse::TcpHeader::new(plan.src_port, plan.dst_port, plan.seq, 77);
            header.ack = plan.flags & 0x10 != 0;
            header.syn = plan.flags & 0x02 != 0;
            header.fin = plan.flags & 0x01 != 0;
            header.rst = plan.flags & 0x04 != 0;
            header.psh = plan.flags & 0x08 != 0;
            header.urg = plan.flags & 0x20 != 0;
            header.ece = plan.flags & 0x40 != 0;
            header.cwr = plan.flags & 0x80 != 0;
            header.set_options_raw(&options).unwrap();
            step.tcp_header(header).write(&mut ip, &plan.payload).unwrap();
        }
        _ if plan.ipv6 => step.icmpv6_echo_request(1, 2).write(&mut ip, &plan.payload).unwrap(),
        _ => step.icmpv4_echo_request(1, 2).write(&mut ip, &plan.payload).unwrap(),
    }
    let mut frame = ip[..12].to_vec();
    for n in 0..plan.vlans {
        frame.extend([
            if n == 0 && plan.vlans == 2 { 0x88 } else { 0x81 },
            if n == 0 && plan.vlans == 2 { 0xa8 } else { 0 },
            0x20,
            100 + n,
        ]);
    }
    frame.extend(&ip[12..]);
    (frame, 14 + 4 * usize::from(plan.vlans))
}

proptest! {
    #[test]
    fn plain_packets_are_read_exactly(plan in plans(), padding in 0..30_usize) {
        let (mut frame, ip_offset) = build(&plan);
        let ip_bytes = (frame.len() - ip_offset) as u32;
        frame.extend(vec![0xee; padding]);
        let (link, headers) = parse_ethernet(frame.as_slice()).unwrap();
        prop_assert_eq!(link.macs, [2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1]);
        prop_assert_eq!(link.ethertype, if plan.ipv6 { 0x86dd } else { 0x0800 });
        prop_assert_eq!(link.vlan.map(|tag| (tag >> 13, tag & 0xfff)), (plan.vlans > 0).then_some((1, 99 + u16::from(plan.vlans))));
        prop_assert_eq!(headers.src, if plan.ipv6 { [1; 16] } else { v4([10, 0, 0, 1]) });
        prop_assert_eq!(headers.dst, if plan.ipv6 { [2; 16] } else { v4([10, 0, 0, 2]) });
        prop_assert_eq!(headers.version, if plan.ipv6 { 6 } else { 4 });
        prop_assert_eq!(usize::from(headers.ip_offset), ip_offset);
        prop_assert_eq!(headers.ip_bytes, ip_bytes);
        prop_assert_eq!(headers.payload_bytes as usize, plan.payload.len());
        let at = usize::from(headers.payload_offset);
        prop_assert_eq!(&frame[at..at + plan.payload.len()], plan.payload.as_slice());
        let (proto, ports) = match plan.transport {
            0 => (protocol::UDP, (plan.src_port, plan.dst_port)),
            1 => (protocol::TCP, (plan.src_port, plan.dst_port)),
            _ if plan.ipv6 => (protocol::ICMPV6, (128, 0)),
            _ => (protocol::ICMP, (8, 0)),
        };
        prop_assert_eq!(headers.proto, proto);
        prop_assert_eq!((headers.src_port, headers.dst_port), ports);
        if plan.transport == 1 {
            prop_assert_eq!((headers.tcp_flags, headers.tcp_seq, headers.tcp_window), (plan.flags, plan.seq, 77));
        }
        // The same IP packet by itself.
        let alone = parse_ip(&frame[ip_offset..], 0).unwrap();
        prop_assert_eq!(Headers { ip_offset: headers.ip_offset, transport_offset: headers.transport_offset, payload_offset: headers.payload_offset, ..alone }, headers);
    }

    /// Damaged packets: whatever is accepted, etherparse reads the same of it.
    #[test]
    fn what_is_accepted_of_damaged_packets_is_what_etherparse_reads(
        plan in plans(),
        damage in proptest::collection::vec((0..80_usize, any::<u8>()), 0..4),
        cut in proptest::option::of(0..120_usize),
    ) {
        let (mut frame, _) = build(&plan);
        for (at, value) in damage {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame.truncate(cut.unwrap_or(frame.len()));
        if let Ok((link, headers)) = parse_ethernet(frame.as_slice()) {
            agree(&frame, link.ethertype, &headers)?;
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), offset in 0..220_usize) {
        let _ = parse_ethernet(bytes.as_slice());
        let _ = parse_ip(bytes.as_slice(), offset);
    }
}

fn agree(frame: &[u8], ethertype: u16, headers: &Headers) -> Result<(), TestCaseError> {
    let oracle = LaxSlicedPacket::from_ethernet(frame).unwrap();
    let net = oracle.net.as_ref().unwrap();
    let (src, dst, version) = match net {
        LaxNetSlice::Ipv4(ip) => (v4(ip.header().source()), v4(ip.header().destination()), 4),
        LaxNetSlice::Ipv6(ip) => (ip.header().source(), ip.header().destination(), 6),
        LaxNetSlice::Arp(_) => return Err(TestCaseError::fail(format!("ARP with type {ethertype:#x}"))),
    };
    prop_assert_eq!((headers.src, headers.dst, headers.version), (src, dst, version));
    match &oracle.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            prop_assert_eq!((headers.src_port, headers.dst_port), (tcp.source_port(), tcp.destination_port()));
            prop_assert_eq!(headers.tcp_seq, tcp.sequence_number());
            prop_assert_eq!(headers.tcp_flags & 0x02 != 0, tcp.syn());
        }
        Some(TransportSlice::Udp(udp)) => {
            prop_assert_eq!((headers.src_port, headers.dst_port), (udp.source_port(), udp.destination_port()));
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            prop_assert_eq!((headers.src_port, headers.dst_port), (icmp.type_u8().into(), icmp.code_u8().into()));
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            prop_assert_eq!((headers.src_port, headers.dst_port), (icmp.type_u8().into(), icmp.code_u8().into()));
        }
        Some(TransportSlice::Igmp(_)) => prop_assert!(false, "IGMP is not plain"),
        // Not known to the oracle, or its header is cut off within its options.
        None => {}
    }
    Ok(())
}

#[test]
fn what_is_not_plain_is_declined_with_its_reason() {
    let plan = Plan {
        vlans: 0,
        ipv6: false,
        transport: 0,
        src_port: 1,
        dst_port: 2,
        flags: 0,
        seq: 0,
        options: 0,
        payload: vec![0; 8],
    };
    let (frame, ip) = build(&plan);
    let with = |at: usize, value: u8| {
        let mut frame = frame.clone();
        frame[at] = value;
        parse_ethernet(frame.as_slice()).map(|_| ()).unwrap_err()
    };
    assert_eq!(with(12, 0x09), Declined::Link);
    assert_eq!(with(ip, 0x44), Declined::Header);
    assert_eq!(with(ip + 3, 0), Declined::Length);
    assert_eq!(with(ip + 6, 0x20), Declined::Fragment);
    assert_eq!(with(ip + 9, 47), Declined::Protocol);
    assert_eq!(with(ip + 25, 7), Declined::Length);
    assert_eq!(parse_ethernet(&frame[..ip + 27]).map(|_| ()), Err(Declined::Header));
}
