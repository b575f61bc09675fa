//! The packet store: packets that were kept are carved out by record, flow and time, into files that tshark reads.

use std::path::Path;
use std::process::Command;

use perf::synth::{SynthConfig, write_pcap};

use crate::capture_net::{Frames, Wires, counter};
use crate::support::{Disk, rows, spotter};

fn office(folder: &Path) -> Frames {
    let config = SynthConfig { hosts: 40, activity: 0.3, volume: 0.0005, ..SynthConfig::default() };
    let path = folder.join("office.pcap");
    let file = std::fs::File::create(&path).expect("created");
    write_pcap(&config, file, &mut ()).expect("generated");
    let mut frames = Frames::of_files(&[path]);
    frames.0.truncate(10_000);
    frames
}

/// How many packets tshark finds; `None`, after saying so, without tshark.
fn tshark(path: &Path, filter: &str) -> Option<usize> {
    let output = Command::new("tshark")
        .args(["-r", path.to_str()?, "-Y", filter, "-T", "fields", "-e", "frame.number"])
        .output();
    let Ok(output) = output else {
        assert!(std::env::var_os("CI").is_none(), "no tshark in CI");
        eprintln!("SKIPPED: no tshark");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("cut short"), "{said}");
    Some(String::from_utf8_lossy(&output.stdout).lines().count())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A flow of the lake with two-way TCP, as the command line takes it, with its packets.
fn a_flow(lake: &Path) -> (String, String, u64) {
    let sql = "select record_id, src_ip, src_port, dst_ip, dst_port, src_packets + dst_packets as packets, community_id from flow \
        where proto = 6 and dst_packets > 3 and src_ip not like '%:%' and segment = 0 order by packets desc limit 1";
    let row = rows(lake, sql).remove(0);
    let of = |name: &str| row[name].to_string().trim_matches('"').to_owned();
    let flow = format!("tcp {}:{} {}:{}", of("dst_ip"), of("dst_port"), of("src_ip"), of("src_port"));
    (of("record_id"), flow, row["packets"].as_u64().expect("number"))
}

#[test]
fn packets_of_a_record_a_flow_and_a_time_are_carved_into_a_file_that_tshark_reads() {
    let Some(wires) = Wires::new("packets", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let frames = office(folder.path());
    let (lake, store, out) = (at("lake"), at("store"), at("out.pcapng"));
    let arguments =
        ["-i", "tap0", "--packets", text(&store), "--packets-size", "64MiB", "--shards", "2", "--flush", "300ms"];
    let capture = wires.capture(&lake, &arguments);
    frames.send(&wires.injector(0));
    let report = capture.stop_well();
    let all = frames.0.len() as u64;
    assert_eq!(
        counter(&report, "packets.store.stored") + counter(&report, "packets.store.lost_queue"),
        all,
        "{report:#}"
    );
    assert_eq!(counter(&report, "packets.store.lost_queue"), 0, "{report:#}");
    let (record, flow, packets) = a_flow(&lake);
    let (ip_text, port) = flow.rsplit_once(' ').and_then(|(_, end)| end.rsplit_once(':')).expect("an end");
    let filter = format!("ip.addr == {ip_text} && tcp.port == {port}");
    for asked in [["--record", &record], ["--flow", &flow]] {
        let lake = ["--lake", text(&lake)];
        let ran =
            spotter([&["packets", "--json", "--packets", text(&store), "-w", text(&out)], &asked[..], &lake].concat())
                .done();
        assert_eq!(ran.json()["packets"].as_u64(), Some(packets), "{asked:?}: {}", ran.out);
        if let Some(found) = tshark(&out, &filter) {
            assert_eq!(found as u64, packets, "{asked:?}");
            assert_eq!(tshark(&out, "frame"), Some(found), "nothing else is in it");
        }
    }
    // All of a time, through standard output.
    let ran = Command::new(env!("CARGO_BIN_EXE_spotter"))
        .args(["packets", "--packets", text(&store), "--from", "2020-01-01T00:00:00Z", "-w", "-"])
        .output()
        .expect("starts");
    std::fs::write(&out, &ran.stdout).expect("written");
    if let Some(found) = tshark(&out, "frame") {
        assert_eq!(found as u64, all);
    }
    spotter(["packets", "--packets", text(&store), "--to", "2020-01-01T00:00:00Z", "-w", text(&out)])
        .failed(1, "no such packets");
    spotter(["packets", "--packets", text(&store), "-w", "-"]).failed(2, "--record, --flow");
    spotter(["packets", "--packets", "/no/where", "--flow", "tcp 1.1.1.1 2.2.2.2", "-w", "-"]).failed(2, "no folder");
    spotter(["packets", "--packets", text(&store), "--flow", "tcp 1.1.1.1", "-w", "-"]).failed(2, "write it as");
    spotter(["capture", "-i", "lo", "--mode", "xdp", "--packets", text(&store)]).failed(2, "--mode af_packet");
}

#[test]
fn packets_of_imports_are_carved_from_the_originals() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (lake, pcap, out) = (at("lake"), at("a.pcap"), at("out.pcapng"));
    office(folder.path()).write_pcap(&pcap);
    spotter(["import", "--keep-originals", "--lake", text(&lake), text(&pcap)]).done();
    let (record, _, packets) = a_flow(&lake);
    let ran = spotter(["packets", "--json", "--lake", text(&lake), "--record", &record, "-w", text(&out)]).done();
    assert_eq!(ran.json()["packets"].as_u64(), Some(packets));
    if let Some(found) = tshark(&out, "tcp") {
        assert_eq!(found as u64, packets);
    }
    let unknown = "00000000000000000000000000000000";
    spotter(["packets", "--lake", text(&lake), "--record", unknown, "-w", text(&out)]).failed(1, "no record");
}

/// A disk that is full loses packets, counted; records, capture and what was kept before go on.
#[test]
fn a_full_disk_of_the_store_is_survived_and_counted() {
    let Some(wires) = Wires::new("packets_full", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (lake, store) = (folder.path().join("lake"), folder.path().join("store"));
    let Some(_disk) = Disk::new(store.clone(), "size=20M") else { return };
    let frames = Frames((0..900_u16).map(big).collect());
    let arguments = ["-i", "tap0", "--packets", text(&store), "--packets-size", "64MiB", "--flush", "300ms"];
    let mut capture = wires.capture(&lake, &arguments);
    for _ in 0..2 {
        frames.send(&wires.injector(0));
    }
    capture.wait_for("packets cannot be kept");
    let report = capture.stop_well();
    let of = |name: &str| counter(&report, &format!("packets.store.{name}"));
    assert_eq!(of("offered"), of("stored") + of("lost_disk") + of("lost_queue"), "{report:#}");
    assert!(of("lost_disk") > 100 && of("stored") > 100, "{report:#}");
    // What came in is in flows or was lost on the way to them, whatever the store does.
    let packets = |name: &str| counter(&report, &format!("packets.{name}"));
    assert_eq!(packets("received") + packets("lost_shard_ring"), packets("seen"), "{report:#}");
    assert!(packets("received") > 100, "{report:#}");
    let out = folder.path().join("out.pcapng");
    spotter(["packets", "--packets", text(&store), "--flow", "udp 10.0.0.1 10.0.0.2", "-w", text(&out)]).done();
}

/// A datagram of 30 kB.
fn big(n: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    let length = 30_000_u16;
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&n.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    for word in [5_000, 6_000, length - 20, 0] {
        frame.extend_from_slice(&word.to_be_bytes());
    }
    frame.resize(14 + usize::from(length), n as u8);
    frame
}
