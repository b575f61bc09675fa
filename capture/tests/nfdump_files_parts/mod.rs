//! Datagrams that nfcapd is sent, and a writer of nfdump's layout 1 (nfdump 1.7 only reads it).

/// NetFlow v5: a TCP flow and an ICMP one, with AS numbers, masks and a next hop.
pub(crate) fn netflow5() -> Vec<u8> {
    let mut d = Vec::new();
    let put = |d: &mut Vec<u8>, numbers: &[(u64, usize)]| {
        for (n, len) in numbers {
            d.extend_from_slice(&n.to_be_bytes()[8 - len..]);
        }
    };
    put(
        &mut d,
        &[(5, 2), (2, 2), (3_600_000, 4), (1_700_000_000, 4), (123_000_000, 4), (1, 4), (0, 1), (9, 1), (0, 2)],
    );
    for (proto, port, flags) in [(6, 443, 0x1b), (1, 0x0800, 0)] {
        put(&mut d, &[(0x0a01_0203, 4), (0xc000_0205, 4), (0x0a01_0001, 4), (3, 2), (7, 2), (11, 4), (4_096, 4)]);
        put(
            &mut d,
            &[(3_590_000, 4), (3_599_500, 4), (50_001, 2), (port, 2), (0, 1), (flags, 1), (proto, 1), (0x48, 1)],
        );
        put(&mut d, &[(64_500, 2), (64_501, 2), (24, 1), (16, 1), (0, 2)]);
    }
    d
}

/// NetFlow v9 of domain 4242: a template with IPv6, MAC addresses, VLAN and counters of both ways, sampling in options data, two flows.
pub(crate) fn netflow9() -> Vec<u8> {
    let fields: [(u16, u16); 16] = [
        (27, 16),
        (28, 16),
        (7, 2),
        (11, 2),
        (4, 1),
        (6, 1),
        (5, 1),
        (1, 4),
        (2, 4),
        (22, 4),
        (21, 4),
        (56, 6),
        (80, 6),
        (58, 2),
        (62, 16),
        (48, 1),
    ];
    let mut template = vec![];
    for n in [260_u16, fields.len() as u16] {
        template.extend_from_slice(&n.to_be_bytes());
    }
    for (field, len) in fields {
        template.extend_from_slice(&field.to_be_bytes());
        template.extend_from_slice(&len.to_be_bytes());
    }
    // Scope system; sampler 1 takes one in 100 at random.
    let mut options = vec![];
    for n in [261_u16, 4, 12, 1, 4, 48, 1, 49, 1, 50, 4] {
        options.extend_from_slice(&n.to_be_bytes());
    }
    let mut sampler = vec![0, 0, 0, 1, 1, 2];
    sampler.extend_from_slice(&100_u32.to_be_bytes());
    let mut flows = vec![];
    for n in 1..=2_u8 {
        for last in [n, 9] {
            flows.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        flows.extend_from_slice(&[0xc3, 0x51, 0, 53, 17, 0, 0xb8, 0, 0, 1, 44, 0, 0, 0, 3]);
        flows.extend_from_slice(&3_590_000_u32.to_be_bytes());
        flows.extend_from_slice(&3_599_000_u32.to_be_bytes());
        flows.extend_from_slice(&[2, 0, 0, 0, 0, n, 2, 0, 0, 0, 0, 9, 0, 42]);
        flows.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, n]);
        flows.push(1);
    }
    let mut d = vec![0, 9, 0, 5];
    for n in [3_600_000_u32, 1_700_000_000, 1, 4_242] {
        d.extend_from_slice(&n.to_be_bytes());
    }
    for (id, mut set) in [(0_u16, template), (1, options), (261, sampler), (260, flows)] {
        set.resize(set.len().next_multiple_of(4), 0);
        d.extend_from_slice(&id.to_be_bytes());
        d.extend_from_slice(&(set.len() as u16 + 4).to_be_bytes());
        d.extend_from_slice(&set);
    }
    d
}

/// A file of layout 1 with one block of five records, not packed.
pub(crate) fn layout1(packing: u32) -> Vec<u8> {
    packed1(packing, <[u8]>::to_vec)
}

/// The same, packed.
pub(crate) fn packed1(packing: u32, pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    packed1_of(&records1(), packing, pack)
}

/// A file of layout 1 of one block.
pub(crate) fn packed1_of(records: &[u8], packing: u32, pack: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut file = vec![0x0c, 0xa5, 1, 0];
    file.extend_from_slice(&packing.to_le_bytes());
    file.extend_from_slice(&1_u32.to_le_bytes());
    file.extend_from_slice(b"test");
    file.resize(276, 0);
    let packed = pack(records);
    file.extend_from_slice(&5_u32.to_le_bytes());
    file.extend_from_slice(&(packed.len() as u32).to_le_bytes());
    file.extend_from_slice(&[2, 0, 0, 0]);
    file.extend_from_slice(&packed);
    file
}

fn record(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut record = kind.to_le_bytes().to_vec();
    record.extend_from_slice(&(body.len() as u16 + 4).to_le_bytes());
    record.extend_from_slice(body);
    record
}

/// An extension map; `size` is that of its extensions but the first three.
fn map(id: u16, size: u16, extensions: &[u16]) -> Vec<u8> {
    let mut body = id.to_le_bytes().to_vec();
    body.extend_from_slice(&size.to_le_bytes());
    let mut ids = extensions.to_vec();
    ids.push(0);
    if ids.len() % 2 == 1 {
        ids.push(0);
    }
    ids.iter().for_each(|id| body.extend_from_slice(&id.to_le_bytes()));
    record(2, &body)
}

/// An exporter, two extension maps, a TCP flow over IPv4, an ICMPv6 flow.
fn records1() -> Vec<u8> {
    let mut exporter = 9_u32.to_le_bytes().to_vec();
    exporter.extend_from_slice(&[0; 8]);
    exporter.extend_from_slice(&0xc633_6407_u32.to_le_bytes());
    exporter.extend_from_slice(&[0; 4]);
    for n in [2_u16, 3] {
        exporter.extend_from_slice(&n.to_le_bytes());
    }
    exporter.extend_from_slice(&77_u32.to_le_bytes());
    let mut all = record(7, &exporter);
    // Interfaces, AS, masks, next hop, VLAN, packets and bytes out, MAC addresses, exporter, received.
    all.extend(map(1, 88, &[1, 2, 3, 5, 7, 8, 9, 13, 15, 17, 20, 21, 23, 27]));
    all.extend(map(2, 52, &[1, 2, 3, 4, 8, 10, 12, 23, 27]));
    let common = |flags: u16, map: u16, proto: u8, tcp_flags: u8, ports: [u16; 2]| {
        let mut body = flags.to_le_bytes().to_vec();
        body.extend_from_slice(&map.to_le_bytes());
        for n in [250_u16, 750] {
            body.extend_from_slice(&n.to_le_bytes());
        }
        for n in [1_700_000_000_u32, 1_700_000_009] {
            body.extend_from_slice(&n.to_le_bytes());
        }
        body.extend_from_slice(&[64, tcp_flags, proto, 0x28]);
        for n in [ports[0], ports[1], 3, 0] {
            body.extend_from_slice(&n.to_le_bytes());
        }
        body
    };
    let mut four = common(6, 1, 6, 0x1b, [50_001, 443]);
    for n in [0x0a01_0203_u32, 0xc000_0205] {
        four.extend_from_slice(&n.to_le_bytes());
    }
    for n in [11_u64, 6_000_000_000] {
        four.extend_from_slice(&n.to_le_bytes());
    }
    for n in [3_u32, 70_000, 64_496, 64_511] {
        four.extend_from_slice(&n.to_le_bytes());
    }
    four.extend_from_slice(&[0xb8, 1, 24, 16]);
    four.extend_from_slice(&0x0a01_0001_u32.to_le_bytes());
    for n in [812_u16, 0] {
        four.extend_from_slice(&n.to_le_bytes());
    }
    for n in [5_u64, 5_000_000_000, 0x0200_0000_0001, 0, 0x0200_0000_0009, 0] {
        four.extend_from_slice(&n.to_le_bytes());
    }
    four.extend_from_slice(&0xc633_6407_u32.to_le_bytes());
    four.extend_from_slice(&1_700_000_010_123_u64.to_le_bytes());
    all.extend(record(10, &four));
    // Next hops over IPv6: flags 8 and 16.
    let mut six = common(1 | 8 | 16, 2, 58, 0, [0, 0x8000]);
    for last in [1_u64, 9] {
        six.extend_from_slice(&0x2001_0db8_0000_0000_u64.to_le_bytes());
        six.extend_from_slice(&last.to_le_bytes());
    }
    for n in [4_u32, 416] {
        six.extend_from_slice(&n.to_le_bytes());
    }
    for n in [1_u16, 2] {
        six.extend_from_slice(&n.to_le_bytes());
    }
    six.extend_from_slice(&[0, 0, 64, 48]);
    for last in [0xfe_u64, 0xff] {
        six.extend_from_slice(&0x2001_0db8_0000_0000_u64.to_le_bytes());
        six.extend_from_slice(&last.to_le_bytes());
    }
    six.extend_from_slice(&0xc633_6407_u32.to_le_bytes());
    six.extend_from_slice(&1_700_000_010_456_u64.to_le_bytes());
    all.extend(record(10, &six));
    all
}
