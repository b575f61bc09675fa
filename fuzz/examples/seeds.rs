//! Writes the seed corpora, a few hundred bytes each, to `corpus/TARGET/`: `cargo run --example seeds`.
//!
//! The seeds are made here, from the specifications; what the fuzzer finds beside them is not kept.

use std::fs;
use std::path::Path;

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn ipv4(proto: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let [f0, f1] = fragment.to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 1, f0, f1, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    [&header, payload].concat()
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0, length[0], length[1], next, 64], &[0xfd; 16][..], &[0xfe; 16][..], payload].concat()
}

fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    [&src.to_be_bytes(), &dst.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2; 12], &ethertype.to_be_bytes()[..], payload].concat()
}

/// Frames in the form the target `packet` takes.
fn frames(frames: &[(u16, &[u8])]) -> Vec<u8> {
    let frame = |(link, data): &(u16, &[u8])| {
        [&link.to_le_bytes(), &(data.len() as u16).to_le_bytes(), &[1, 0][..], data].concat()
    };
    frames.iter().flat_map(frame).collect()
}

fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let query = hex("1234 0100 0001 0000 0000 0000 07 6578616d706c65 00 0001 0001");
    let dns = ipv4(17, 0, &udp(40_000, 53, &query));
    let eth = ethernet(0x0800, &dns);
    let tcp = |flags: u8, seq: u8, data: &[u8]| {
        ipv4(6, 0, &[&hex(&format!("9c400050 000000{seq:02x} 00000000 50{flags:02x}0400 00000000")), data].concat())
    };
    let datagram = udp(40_000, 53, &query);
    let (head, tail) = datagram.split_at(16);
    let (syn, get) = (tcp(2, 1, b""), tcp(0x18, 2, b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n"));
    let over_gre = |kind: &str, inner: &[u8]| ethernet(0x0800, &ipv4(47, 0, &[&hex(kind), inner].concat()));
    let over_udp = |port, kind: &str, inner: &[u8]| {
        ethernet(0x0800, &ipv4(17, 0, &udp(50_000, port, &[&hex(kind), inner].concat())))
    };
    let six = ipv6(
        0,
        &[
            &hex("2b00 010400000000 3c02 0000 00000000 00000000000000000000000000000000 1100 010400000000"),
            &datagram[..],
        ]
        .concat(),
    );
    let fragment6 = ipv6(44, &[&hex("1100 0001 00000007"), head].concat());
    let wlan =
        [&hex("88010000 020000000001 020000000002 020000000003 0000 0000 aaaa03 000000 0800"), &dns[..]].concat();
    vec![
        ("ethernet", frames(&[(1, &eth), (1, &ethernet(0x8100, &[&hex("0064 0800"), &dns[..]].concat()))])),
        ("tcp", frames(&[(101, &syn), (101, &get)])),
        ("fragments", frames(&[(101, &ipv4(17, 0x2000, head)), (101, &ipv4(17, 2, tail)), (229, &fragment6)])),
        ("extensions", frames(&[(229, &six)])),
        (
            "gre",
            frames(&[(1, &over_gre("00000800", &dns)), (1, &over_gre("100088be 00000001 1001000000000000", &eth))]),
        ),
        (
            "vxlan",
            frames(&[(1, &over_udp(4789, "0800000000000100", &eth)), (1, &over_udp(6081, "0000655800000100", &eth))]),
        ),
        ("gtp", frames(&[(1, &over_udp(2152, "34ff002c 00000001 00000085 01000100", &dns))])),
        ("l2tp", frames(&[(1, &over_udp(1701, "4002 0030 0001 0001 ff030021", &dns))])),
        ("mpls", frames(&[(1, &ethernet(0x8847, &[&hex("00010140"), &dns[..]].concat()))])),
        ("pppoe", frames(&[(1, &ethernet(0x8864, &[&hex("110000010026 0021"), &dns[..]].concat()))])),
        ("wlan", frames(&[(105, &wlan), (127, &[&hex("00000900 02000000 00"), &wlan[..]].concat())])),
        (
            "cooked",
            frames(&[
                (113, &[&hex("0000 0001 0006 020000000001 0000 0800"), &dns[..]].concat()),
                (239, &[&hex("02000000 3500 0900"), &dns[..]].concat()),
            ]),
        ),
    ]
}

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let record = hex("01000000 02000000 04000000 06000000 61626364");
    let header = hex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000");
    let section = hex("0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000");
    let interface = hex("01000000 20000000 0100 0000 00000000 0900 0100 09000000 00000000 20000000");
    let enhanced = hex("06000000 24000000 00000000 00000000 01000000 04000000 04000000 61626364 24000000");
    let simple = hex("03000000 14000000 04000000 61626364 14000000");
    let erf =
        [hex("0000000001000000 1600 0014 0000 0004 61626364"), hex("0000000002000000 1600 0014 0000 0004 61626364")];
    let big =
        hex("a1b23c4d 0002 0004 00000000 00000000 0000ffff 00000065 00000001 00000002 00000004 00000004 61626364");
    let snoop =
        hex("736e6f6f70000000 00000002 00000004 00000004 00000004 0000001c 00000000 00000001 00000002 61626364");
    vec![
        ("pcap", [header.clone(), record.clone(), record.clone()].concat()),
        ("pcap-big-nano", big.clone()),
        ("pcap-appended", [header, record, big].concat()),
        ("pcapng", [section.clone(), interface, enhanced, simple, section].concat()),
        ("snoop", snoop),
        ("erf", erf.concat()),
    ]
}

/// In the form the target `dhcp` takes: version and ports, octets cut off, message.
fn dhcp() -> Vec<(&'static str, Vec<u8>)> {
    let header = |op: &str, yours: &str| {
        [hex(&format!("{op} 01 06 00 deadbeef 00000000 00000000 {yours} 00000000 00000000 020000000001")), vec![0; 202]].concat()
    };
    let cookie = hex("63825363");
    let request = hex("350103 3204 0a000005 0c08 6c6170746f702d37 510b 040000 03616263 02 6465 00 3c04 4d534654 3704 01030645 3d07 01020000000001 ff");
    let ack = hex("340103 350105 3604 0a000001 3304 00000e10 0f04 636f7270 3803 796573 ff");
    let mut overloaded = [header("02", "0a000005"), cookie.clone(), ack].concat();
    overloaded[44..50].copy_from_slice(&hex("0c026162 ff 00"));
    overloaded[108..114].copy_from_slice(&hex("0c026364 ff 00"));
    let duid = "0001 000e 0001000128833 6a518f7786f96ee";
    let solicit = format!("01abcdef 0008 0002 0000 {duid} 0003 000c 000000010000000000000000 0027 0004 00 026869 0010 000a 00000137 0004 4d534654 0006 0004 0011 0027");
    let reply = format!("07abcdef {duid} 0003 0028 000000010000000000000000 0005 0018 20010db8000000000000000000000005 00000009 0000000a 0019 0029 000000010000000000000000 001a 0019 00000009 0000000a 38 20010db8000a00000000000000000000 000d 0004 0000 6f6b 0018 0005 03616263 00");
    let relay = |kind: &str, inner: &[u8]| {
        let head = hex(&format!("{kind} 00 20010db8000100000000000000000001 fe8000000000000000000000000000aa 004f 0008 0001 020000000077 0009"));
        [&head, &(inner.len() as u16).to_be_bytes()[..], inner].concat()
    };
    let seed = |how: u8, message: &[u8]| [&[how, 0], message].concat();
    let relayed = relay("0c", &relay("0c", &hex(&solicit)));
    vec![
        ("request", seed(0, &[header("01", "00000000"), cookie, request].concat())),
        ("overloaded", seed(2, &overloaded)),
        ("solicit", seed(1, &hex(&solicit))),
        ("reply", seed(3, &hex(&reply))),
        ("relayed", seed(5, &relayed)),
        ("relayed-reply", seed(5, &relay("0d", &hex(&reply)))),
    ]
}

/// Both versions of the protocol, a certificate asked for or not, of one who is known or not: a handshake, two messages, the end.
fn dtls() -> Vec<(&'static str, Vec<u8>)> {
    let names = ["12-asked", "12", "13-asked", "13", "12-asked-unknown", "12-unknown", "13-asked-unknown", "13-unknown"];
    let steps = [&[0; 24][..], &[7, 0, 7, 0, 15, 0]].concat();
    (0_u8..).zip(names).map(|(settings, name)| (name, [&[settings], steps.as_slice()].concat())).collect()
}

fn main() -> std::io::Result<()> {
    for (target, seeds) in [("packet", packets()), ("capture_file", files()), ("dhcp", dhcp()), ("dtls", dtls())] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(format!("seed-{name}")), bytes)?;
        }
    }
    Ok(())
}
