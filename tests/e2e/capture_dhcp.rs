//! Leases on the wire: four messages of DHCP that an interface delivers are one record, by each way packets come.

use crate::capture_net::{Frames, Wires, counter};
use crate::support::rows;

const CLIENT: [u8; 6] = [0x02, 0, 0, 0, 0, 0xaa];
const SERVER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];

/// RFC 2131 section 2: a message with its options (RFC 2132), in Ethernet, IPv4 and UDP; of the client or of the server.
fn frame(from_client: bool, yours: [u8; 4], options: &[u8], vlan: Option<u16>) -> Vec<u8> {
    let mut message = vec![if from_client { 1 } else { 2 }, 1, 6, 0, 0x12, 0x34, 0x56, 0x78];
    message.resize(16, 0);
    message.extend(yours);
    message.resize(28, 0);
    message.extend(CLIENT);
    message.resize(236, 0);
    message.extend([99, 130, 83, 99]);
    message.extend(options);
    message.push(255);

    let (mac, from, ports) =
        if from_client { (CLIENT, [0; 4], [68_u16, 67]) } else { (SERVER, [10, 0, 0, 1], [67, 68]) };
    let mut udp: Vec<u8> = ports.into_iter().flat_map(u16::to_be_bytes).collect();
    udp.extend((8 + message.len() as u16).to_be_bytes());
    // No checksum, as RFC 768 allows.
    udp.extend([0, 0]);
    udp.extend(message);

    let mut ip = vec![0x45, 0];
    ip.extend((20 + udp.len() as u16).to_be_bytes());
    ip.extend([0, 1, 0, 0, 64, 17, 0, 0]);
    ip.extend(from.into_iter().chain([255; 4]));
    let sum: u32 = ip.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!folded as u16).to_be_bytes());

    let mut frame: Vec<u8> = [255; 6].into_iter().chain(mac).collect();
    if let Some(vlan) = vlan {
        frame.extend([0x81, 0x00]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend([0x08, 0x00]);
    frame.extend(ip);
    frame.extend(udp);
    frame
}

fn lease(vlan: Option<u16>) -> Frames {
    const NAME: &[u8] = b"\x0c\x09printer-3";
    const ASKED: &[u8] = b"\x32\x04\x0a\x00\x00\x4d\x36\x04\x0a\x00\x00\x01";
    const GIVEN: &[u8] = b"\x36\x04\x0a\x00\x00\x01\x33\x04\x00\x00\x0e\x10";
    let (none, given) = ([0; 4], [10, 0, 0, 77]);
    let of = |kind: u8, rest: &[&[u8]]| [&[53, 1, kind][..], &rest.concat()].concat();
    Frames(vec![
        frame(true, none, &of(1, &[NAME]), vlan),
        frame(false, given, &of(2, &[GIVEN]), vlan),
        frame(true, none, &of(3, &[NAME, ASKED]), vlan),
        frame(false, given, &of(5, &[GIVEN]), vlan),
    ])
}

fn is_recorded(test: &str, mode: &str) {
    let Some(wires) = Wires::new(test, 1) else { return };
    for vlan in [None, Some(7)] {
        let folder = tempfile::tempdir().expect("a folder");
        let lake = folder.path().join("lake");
        let capture = wires.capture(&lake, &["-i", "tap0", "--mode", mode, "--flush", "300ms"]);
        lease(vlan).send(&wires.injector(0));
        let report = capture.stop_well();
        assert_eq!(counter(&report, "packets.seen"), 4, "{report:#}");
        let sql = "select mac, host_name, assigned_addr, requested_addr, server_addr, lease_time, \
            array_to_string(msg_types, ' ') as messages from dhcp";
        let expected = serde_json::json!({
            "mac": "02:00:00:00:00:aa", "host_name": "printer-3", "assigned_addr": "10.0.0.77",
            "requested_addr": "10.0.0.77", "server_addr": "10.0.0.1", "lease_time": 3600,
            "messages": "DISCOVER OFFER REQUEST ACK",
        });
        assert_eq!(rows(&lake, sql), [expected], "tag {vlan:?}");
    }
}

#[test]
fn a_lease_on_the_wire_is_a_record_by_af_packet() {
    is_recorded("lease-by-packet", "af_packet");
}

#[cfg(feature = "probe")]
#[test]
fn a_lease_on_the_wire_is_a_record_by_xdp() {
    is_recorded("lease-by-xdp", "xdp");
}
