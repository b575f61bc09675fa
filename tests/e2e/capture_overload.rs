//! More than there is room for, wherever room may end: socket, rings, flow table, disk. Every packet that was sent has one
//! place.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use perf::synth::{SynthConfig, write_pcap};

use crate::capture_books::{assert_every_packet_has_a_place, ledger, refused};
use crate::capture_net::{Frames, Wires, counter, ip};
use crate::support::{Disk, rows};

/// A wire of MTU 1,500, and the frames of a small office that fit.
fn wired(test: &str, folder: &Path) -> Option<(Wires, Frames)> {
    let wires = Wires::new(test, 1)?;
    ip(&format!("link set {} mtu 1500", wires.here[0]));
    ip(&format!("-n {} link set tap0 mtu 1500", wires.namespace));
    let config = SynthConfig { hosts: 40, activity: 0.3, volume: 0.0005, ..SynthConfig::default() };
    let path = folder.join("synthetic.pcap");
    write_pcap(&config, std::fs::File::create(&path).expect("created"), &mut ()).expect("generated");
    let mut frames = Frames::of_files(&[path]);
    frames.0.retain(|frame| frame.len() <= 1_500);
    Some((wires, frames))
}

/// Questions for names, each of its own: user space wants them whole.
fn names(frames: &Frames, count: usize) -> Frames {
    let is_name = |frame: &&Vec<u8>| frame.get(12..14) == Some(&[8, 0]) && frame.get(36..38) == Some(&[0, 53]);
    let found: Vec<&Vec<u8>> = frames.0.iter().filter(is_name).collect();
    assert!(!found.is_empty());
    Frames(found.into_iter().cycle().take(count).cloned().collect())
}

/// A process that does not read, and then does, with small rings behind it. What was lost where it should be.
fn overloaded(test: &str, mode: &[&str], names_sent: usize, lost: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((wires, frames)) = wired(test, folder.path()) else { return };
    let names = names(&frames, names_sent);
    let lake = folder.path().join("lake");
    let arguments = ["--shard-ring", "64KiB", "--shards", "2", "--flush", "200ms", "--pins", "none"];
    let capture = wires.capture(&lake, &[&["-i", "tap0"], mode, &arguments].concat());
    let (injector, before) = (wires.injector(0), refused(&wires));
    capture.signal("STOP");
    names.send(&injector);
    frames.send(&injector);
    capture.signal("CONT");
    frames.send(&injector);
    let report = capture.stop_well();
    let sent = (names.0.len() + 2 * frames.0.len()) as u64 - (refused(&wires) - before);
    let told = assert_every_packet_has_a_place(&lake, sent);
    assert_eq!(counter(&report, "packets.offered"), sent, "{report:#}");
    assert!(ledger(&lake, lost) > 0, "{lost} is 0: {told}");
    println!("{mode:?}: {told}");
    // By queue, too: what a receiver handed over is in a flow or in a term of that queue.
    for queue in report["queues"].as_array().expect("queues") {
        let of = |name: &str| queue["ledger"][format!("packets.{name}")].as_u64().unwrap_or(0);
        let terms = ["not_ip", "malformed", "filtered", "sampled_out", "lost_ring_full", "lost_copy_ring", "lost_xsk"];
        let more = ["redirect_failed", "lost_shard_ring", "received"];
        assert_eq!(of("seen"), terms.iter().chain(&more).map(|name| of(name)).sum::<u64>(), "{queue:#}");
    }
}

#[test]
fn a_full_af_xdp_socket_loses_packets_in_the_ledger() {
    overloaded("over_xsk", &["--mode", "xdp", "--slow-path", "af_xdp", "--policy", "tap"], 20_000, "lost_xsk");
}

#[test]
fn a_full_copy_ring_of_a_tap_loses_packets_in_the_ledger() {
    overloaded("over_tap", &["--mode", "xdp", "--policy", "tap"], 300_000, "lost_copy_ring");
}

#[test]
fn a_full_copy_ring_loses_packets_in_the_ledger() {
    overloaded("over_copy", &["--mode", "xdp", "--policy", "inline"], 80_000, "lost_copy_ring");
}

#[test]
fn a_full_copy_ring_of_generic_xdp_loses_packets_in_the_ledger() {
    overloaded("over_generic", &["--mode", "xdp_generic", "--policy", "tap"], 200_000, "lost_copy_ring");
}

#[test]
fn a_full_packet_socket_loses_packets_in_the_ledger() {
    overloaded("over_ring", &["--mode", "af_packet", "--ring", "1MiB"], 20_000, "missed_before_probe");
}

#[test]
fn a_full_flow_table_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((wires, frames)) = wired("over_flows", folder.path()) else { return };
    for mode in [["--mode", "af_packet"], ["--mode", "xdp"]] {
        let lake = folder.path().join(mode[1]);
        let arguments = ["-i", "tap0", "--max-flows", "256", "--flush", "200ms", "--pins", "none"];
        let capture = wires.capture(&lake, &[&arguments[..], &mode].concat());
        let before = refused(&wires);
        frames.send(&wires.injector(0));
        let report = capture.stop_well();
        let sent = frames.0.len() as u64 - (refused(&wires) - before);
        let told = assert_every_packet_has_a_place(&lake, sent);
        assert!(counter(&report, "flows.exported.evicted") > 0, "{told}\n{report:#}");
    }
}

/// The disk is full for a while: what could not be written is in the next ledger.
#[test]
fn a_full_disk_loses_records_in_the_ledger() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((wires, frames)) = wired("over_disk", folder.path()) else { return };
    let Some(disk) = Disk::new(folder.path().join("disk"), "size=12M") else { return };
    let lake = disk.0.join("lake");
    let arguments = ["-i", "tap0", "--mode", "xdp", "--flush", "200ms", "--active-timeout", "1s", "--pins", "none"];
    let mut capture = wires.capture(&lake, &arguments);
    let (injector, before) = (wires.injector(0), refused(&wires));
    frames.send(&injector);
    // All that is left, to the last page.
    let filler = disk.0.join("filler");
    let _ = Command::new("dd").args(["if=/dev/zero", "bs=4k"]).arg(format!("of={}", filler.display())).output();
    frames.send(&injector);
    capture.wait_for("could not be written and are counted as lost");
    std::fs::remove_file(&filler).expect("removed");
    std::thread::sleep(Duration::from_millis(300));
    frames.send(&injector);
    let report = capture.stop_well();
    let sent = 3 * frames.0.len() as u64 - (refused(&wires) - before);
    let told = assert_every_packet_has_a_place(&lake, sent);
    assert!(counter(&report, "packets.lost_on_write") > 0, "{told}");
    assert!(rows(&lake, "select count(*) as n from flow")[0]["n"].as_u64() > Some(0), "{told}");
    println!("disk: {told}");
}
