//! What a real network has on the first day: another's XDP program on the port, and directions in VLANs of their own.

use std::collections::BTreeMap;
use std::path::Path;

use crate::capture_mirror::office;
use crate::capture_net::{Frames, Wires, counter, direction};
use crate::support::{rows, spotter};

#[cfg(feature = "probe")]
#[test]
fn a_foreign_xdp_program_is_left_alone_and_what_to_do_is_said() {
    use capture::probe::{Attached, WireProgram, stage};
    let Some(wires) = Wires::new("foreign", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().join("lake");
    let (name, lake) = (wires.here[0].as_str(), lake.to_str().expect("UTF-8"));
    crate::capture_net::ip(&format!("link set {name} mtu 1500"));
    let index = stage::interface_index(name).expect("an interface");
    let foreign = Attached::new(index, WireProgram::Pass).expect("attached");
    for mode in ["xdp", "xdp_generic"] {
        let ran =
            spotter(["capture", "-i", name, "--mode", mode, "--pins", "none", "--lake", lake, "--duration", "1s"]);
        ran.failed(1, "has an XDP program already").failed(1, "--mode af_packet");
    }
    // What it lets pass is seen behind it.
    let arguments = ["capture", "-i", name, "--pins", "none", "--lake", lake, "--duration", "1s", "--json"];
    let ran = spotter(arguments).done();
    assert_eq!(ran.json()["queues"][0]["mode"], "af_packet", "{}", ran.out);
    let output = std::process::Command::new("ip").args(["-details", "link", "show", name]).output().expect("ip starts");
    assert!(String::from_utf8_lossy(&output.stdout).contains("prog/xdp"), "it is still there");
    drop(foreign);
    let ran = spotter(arguments).done();
    assert_eq!(ran.json()["queues"][0]["mode"], "xdp_driver", "{}", ran.out);
}

/// Packets and bytes between two ends, in one number for both directions: who began what had no SYN is told by times, and
/// those of the kernel's cache are 4 ms apart.
fn between(lake: &Path) -> BTreeMap<String, i64> {
    let sql = "select least(src_ip || ' ' || src_port, dst_ip || ' ' || dst_port) as a, \
        greatest(src_ip || ' ' || src_port, dst_ip || ' ' || dst_port) as b, proto, count(*) as flows, \
        sum(src_packets) + sum(dst_packets) as packets, sum(src_bytes) + sum(dst_bytes) as bytes from flow group by 1, 2, 3";
    rows(lake, sql).into_iter().map(|row| (row.to_string(), 1)).collect()
}

/// The frame with a tag: a VLAN for each direction.
fn tagged(frame: &[u8]) -> Vec<u8> {
    let vlan = if direction(frame) == 0 { 10 } else { 20 };
    [&frame[..12], &[0x81, 0, 0, vlan], &frame[12..]].concat()
}

#[test]
fn directions_in_vlans_of_their_own_are_one_flow_unless_the_vlan_is_in_the_key() {
    let Some(wires) = Wires::new("vlans", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut plain = office(folder.path(), 3_000);
    plain.0.retain(|frame| matches!(frame[12..14], [8, 0] | [0x86, 0xdd]) && frame.len() < 1_400);
    let frames = Frames(plain.0.iter().map(|frame| tagged(frame)).collect());
    for end in
        [format!("link set {} mtu 1500", wires.here[0]), format!("-n {} link set tap0 mtu 1500", wires.namespace)]
    {
        crate::capture_net::ip(&end);
    }
    let captured = |name: &str, frames: &Frames, more: &[&str]| {
        let lake = folder.path().join(name);
        let arguments = ["-i", "tap0", "--flush", "300ms", "--pins", "none"];
        let capture = wires.capture(&lake, &[&arguments[..], more].concat());
        frames.send(&wires.injector(0));
        let report = capture.stop_well();
        assert_eq!(counter(&report, "packets.received"), frames.0.len() as u64, "{more:?}: {report:#}");
        (between(&lake), report)
    };
    for mode in ["af_packet", "xdp"] {
        let (bare, _) = captured(&format!("bare-{mode}"), &plain, &["--mode", mode]);
        let (together, report) = captured(&format!("together-{mode}"), &frames, &["--mode", mode]);
        let differ: Vec<_> = together.keys().filter(|row| !bare.contains_key(*row)).take(3).collect();
        assert!(together == bare, "{mode}: {} pairs, {} without tags; {differ:#?}", together.len(), bare.len());
        assert_eq!(counter(&report, "flows.halves_by_vlan"), 0);
        let (apart, report) = captured(&format!("apart-{mode}"), &frames, &["--mode", mode, "--vlan-in-key"]);
        assert!(apart != bare, "{mode}: the VLAN is not in the key");
        assert!(counter(&report, "flows.halves_by_vlan") > 0, "{mode}: {report:#}");
    }
}
