//! DHCP messages against tshark: messages made here of parts in any order, and all of the shared captures. (BOOTP without DHCP's
//! magic cookie, which tshark shows under the same name, is none.)
//!
//! Without tshark, or for the captures without the data (`SPOTTER_SHARED`, default `../shared` beside the workspace), it says so
//! and checks nothing.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests"))]

use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use capture::file::CaptureReader;
use capture::{Body, Decoder, DecoderConfig, DhcpMessage, IpVersion, Message, Packet, Sink};

const V4: [&str; 14] = [
    "dhcp.cookie",
    "dhcp.type",
    "dhcp.id",
    "dhcp.hw.mac_addr",
    "dhcp.ip.your",
    "dhcp.ip.relay",
    "dhcp.option.dhcp",
    "dhcp.option.hostname",
    "dhcp.fqdn.name",
    "dhcp.option.domain_name",
    "dhcp.option.requested_ip_address",
    "dhcp.option.ip_address_lease_time",
    "dhcp.option.dhcp_server_id",
    "dhcp.option.vendor_class_id",
];
const V6: [&str; 7] = [
    "dhcpv6.tld",
    "dhcpv6.msgtype",
    "dhcpv6.xid",
    "dhcpv6.duid.bytes",
    "dhcpv6.iaaddr.ip",
    "dhcpv6.iaprefix.pref_addr",
    "dhcpv6.client_domain",
];

/// The same of a message of ours; `None` where ours says more than the message alone.
fn row(m: &DhcpMessage) -> Vec<Option<String>> {
    let text = |text: &Option<String>| Some(text.clone().unwrap_or_default());
    let shown = |ip: Option<IpAddr>| ip.map(|ip| ip.to_string());
    if m.version == IpVersion::V4 {
        let address = m.addresses.first();
        let is_asked = !m.from_server && address.is_some_and(|address| address.valid != Some(0));
        return vec![
            None,
            Some(if m.from_server { "2" } else { "1" }.to_owned()),
            Some(format!("{:#010x}", m.xid)),
            m.mac.map(|mac| mac.map(|octet| format!("{octet:02x}")).join(":")),
            if m.from_server { Some(shown(address.map(|a| a.address)).unwrap_or("0.0.0.0".into())) } else { None },
            Some(shown(m.relay_addr).unwrap_or("0.0.0.0".into())),
            Some(if m.message_type == 0 { String::new() } else { m.message_type.to_string() }),
            text(&m.host_name),
            text(&m.client_fqdn),
            text(&m.domain),
            if is_asked { shown(address.map(|a| a.address)) } else { None },
            if m.from_server { address.and_then(|a| a.valid).map(|valid| valid.to_string()) } else { None },
            if m.from_server { None } else { Some(shown(m.server_addr).unwrap_or_default()) },
            text(&m.vendor_class),
        ];
    }
    let addresses = |is_prefix: bool| {
        let of_kind = m.addresses.iter().filter(|a| (a.prefix_len < 128) == is_prefix);
        Some(of_kind.map(|a| a.address.to_string()).collect::<Vec<_>>().join(","))
    };
    let duid = m.client_id.as_deref().unwrap_or_default().iter().map(|octet| format!("{octet:02x}"));
    vec![
        None,
        Some(m.message_type.to_string()),
        Some(format!("{:#08x}", m.xid)),
        Some(duid.collect::<String>()),
        addresses(false),
        addresses(true),
        text(&m.client_fqdn),
    ]
}

#[derive(Default)]
struct Dhcp(Vec<Message>);

impl Sink for Dhcp {
    fn packet(&mut self, _: &Packet) {}
    fn message(&mut self, message: Message) {
        if matches!(message.body, Body::Dhcp(_)) {
            self.0.push(message);
        }
    }
}

fn ours(path: &Path) -> Vec<DhcpMessage> {
    let mut sink = Dhcp::default();
    let mut decoder = Decoder::new(DecoderConfig::default());
    let Ok(mut reader) = CaptureReader::open(path) else { return Vec::new() };
    while let Ok(Some(frame)) = reader.next_frame() {
        decoder.handle_frame(&frame, &mut sink);
    }
    decoder.finish(&mut sink);
    let bodies = sink.0.into_iter().map(|message| message.body);
    bodies.filter_map(|body| if let Body::Dhcp(message) = body { Some(*message) } else { None }).collect()
}

/// Values by field and frame; `None` without tshark.
fn tshark(path: &Path, filter: &str, fields: &[&str]) -> Option<Vec<Vec<Vec<String>>>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(path).args(["-Y", filter, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]);
    command.args(["-E", "aggregator=\u{1f}"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().ok()?;
    let split =
        |value: &str| if value.is_empty() { Vec::new() } else { value.split('\u{1f}').map(str::to_owned).collect() };
    Some(String::from_utf8_lossy(&output.stdout).lines().map(|line| line.split('\t').map(split).collect()).collect())
}

/// Compares the messages of a file; how many there are. `None` without tshark.
fn compare(path: &Path) -> Option<usize> {
    let ours = ours(path);
    let mut count = 0;
    for (version, filter, fields) in
        [(IpVersion::V4, "dhcp && !icmp", &V4[..]), (IpVersion::V6, "dhcpv6 && !icmpv6", &V6[..])]
    {
        let ours: Vec<_> = ours.iter().filter(|message| message.version == version).collect();
        let mut theirs = tshark(path, filter, fields)?;
        // BOOTP. (Of what was not captured to its end it says neither.)
        // A name of one label it keeps elsewhere.
        for fields in theirs.iter_mut().filter(|fields| version == IpVersion::V6 && fields[6].is_empty()) {
            fields.swap(0, 6);
        }
        theirs.retain(|fields| version == IpVersion::V6 || !fields[0].is_empty() || fields[1].is_empty());
        assert_eq!(ours.len(), theirs.len(), "{}: messages of version {version:?}", path.display());
        for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            let damage = ours.damage;
            for (field, (ours, theirs)) in fields.iter().zip(row(ours).iter().zip(theirs)) {
                let theirs = match *field {
                    // Of what relays carry the innermost; of the DUIDs, which are the client's and the server's, one.
                    "dhcpv6.msgtype" => theirs.last().cloned().unwrap_or_default(),
                    "dhcpv6.duid.bytes" if ours.as_ref().is_some_and(|ours| theirs.contains(ours)) => {
                        ours.clone().unwrap_or_default()
                    }
                    "dhcp.hw.mac_addr" => theirs.first().cloned().unwrap_or_default(),
                    // With the root's dot.
                    "dhcpv6.client_domain" => theirs.join(",").trim_end_matches('.').to_owned(),
                    _ => theirs.join(","),
                };
                // It shows nothing of what was not captured to its end.
                if let Some(ours) = ours.as_ref().filter(|_| damage != Some("truncated")) {
                    assert_eq!(*ours, theirs, "{}: message {at}: {field}", path.display());
                }
            }
        }
        count += ours.len();
    }
    Some(count)
}

fn option(code: u8, octets: &[u8]) -> Vec<u8> {
    [&[code, octets.len() as u8], octets].concat()
}

fn option6(code: u16, octets: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), &(octets.len() as u16).to_be_bytes(), octets].concat()
}

fn address(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

/// A packet of IPv4 or IPv6 with a datagram.
fn datagram(version: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    let udp = [&ports.0.to_be_bytes(), &ports.1.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat();
    if version == 4 {
        let [l0, l1] = (length + 20).to_be_bytes();
        return [&[0x45, 0, l0, l1, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], &udp[..]].concat();
    }
    let [l0, l1] = length.to_be_bytes();
    [&[0x60, 0, 0, 0, l0, l1, 17, 64][..], &address("2001:db8::1"), &address("2001:db8::2"), &udp].concat()
}

/// A message of each combination of parts.
fn made() -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for n in 0_u16..512 {
        let has = |bit: u16| n >> bit & 1 == 1;
        let op = if has(0) { 2 } else { 1 };
        let mut message = vec![op, 1, 6, 0, 1, 2, (n >> 8) as u8, n as u8, 0, 0, 0, 0, 0, 0, 0, 0];
        message.extend(if has(0) { [10, 0, 0, 5] } else { [0; 4] });
        message.extend([0, 0, 0, 0]);
        message.extend(if has(1) { [10, 9, 0, 1] } else { [0; 4] });
        message.extend([2, 0, 0, 0, 1, n as u8]);
        message.resize(236, 0);
        message.extend([99, 130, 83, 99]);
        message.extend(option(53, &[if has(0) { 5 } else { 3 }]));
        let parts: [(u16, Vec<u8>); 7] = [
            (2, option(12, b"laptop-7")),
            (3, if has(1) { option(81, b"\x04\0\0\x01a\x02bc\0") } else { option(81, b"\x01\0\0a.bc") }),
            (4, option(15, b"corp.example")),
            (5, option(50, &[10, 0, 0, 9])),
            (6, option(51, &[0, 1, 0x51, 0x80])),
            (7, option(54, &[10, 0, 0, 1])),
            (8, [vec![0, 0], option(60, b"MSFT 5.0")].concat()),
        ];
        parts.iter().filter(|(bit, _)| has(*bit)).for_each(|(_, part)| message.extend(part));
        message.push(255);
        packets.push(datagram(4, if has(0) { (67, 68) } else { (68, 67) }, &message));
    }
    for n in 0_u16..64 {
        let has = |bit: u16| n >> bit & 1 == 1;
        let mut message = vec![if has(0) { 7 } else { 3 }, 1, 2, n as u8];
        let lifetimes = [0, 0, 0, 9, 0, 0, 0, 10];
        let one = |ip: &str| option6(5, &[&address(ip)[..], &lifetimes].concat());
        let prefix = option6(26, &[&lifetimes[..], &[56], &address("2001:db8:a::")].concat());
        let parts: [(u16, Vec<u8>); 4] = [
            (1, option6(1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 5])),
            (2, option6(3, &[&[0; 12][..], &one("2001:db8::5"), &one("2001:db8::6")].concat())),
            (3, option6(25, &[&[0; 12][..], &prefix].concat())),
            (4, option6(39, b"\0\x08laptop-7\x04corp\0")),
        ];
        parts.iter().filter(|(bit, _)| has(*bit)).for_each(|(_, part)| message.extend(part));
        let mut ports = if has(0) { (547, 546) } else { (546, 547) };
        if has(5) {
            let kind = if has(0) { 13 } else { 12 };
            message = [&[kind, 0][..], &address("2001:db8:1::1"), &address("fe80::aa"), &option6(9, &message)].concat();
            ports = (547, 547);
        }
        packets.push(datagram(6, ports, &message));
    }
    packets
}

#[test]
fn messages_are_read_as_tshark_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dhcp.pcap");
    // LINKTYPE_RAW.
    let mut file = [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101].map(u32::to_be_bytes).concat();
    for packet in made() {
        let length = packet.len() as u32;
        file.extend([1, 0, length, length].map(u32::to_be_bytes).concat());
        file.extend(packet);
    }
    std::fs::write(&path, file).unwrap();
    match compare(&path) {
        Some(count) => assert_eq!(count, 512 + 64),
        None => println!("SKIPPED: no tshark (scripts/setup.sh test)"),
    }
}

#[test]
fn the_captures_messages_are_tsharks() {
    let shared = std::env::var_os("SPOTTER_SHARED").map_or_else(|| Path::new("../../shared").to_owned(), PathBuf::from);
    let Ok(folder) = std::fs::read_dir(shared.join("data/pcap")) else {
        println!("SKIPPED: no captures (SPOTTER_SHARED or ../shared)");
        return;
    };
    let mut seen = (0, 0);
    for path in folder.map(|entry| entry.unwrap().path()) {
        if ours(&path).is_empty() {
            continue;
        }
        let Some(count) = compare(&path) else {
            println!("SKIPPED: no tshark (scripts/setup.sh test)");
            return;
        };
        seen = (seen.0 + 1, seen.1 + count);
    }
    println!("{} messages of {} captures", seen.1, seen.0);
    assert!(seen.0 > 0);
}
