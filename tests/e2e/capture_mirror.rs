//! Day one at a mirror port: packets that come twice, and links on which everything is in a tunnel.

use std::collections::BTreeMap;
use std::path::Path;

use perf::synth::{SynthConfig, write_pcap};

use crate::capture_net::{Frames, Wires, counter};
use crate::support::{rows, shared, spotter};

/// The generator's frames: a few thousand of a small office.
pub(crate) fn office(folder: &Path, most: usize) -> Frames {
    let config = SynthConfig { hosts: 40, activity: 0.3, volume: 0.0005, ..SynthConfig::default() };
    let path = folder.join("office.pcap");
    let file = std::fs::File::create(&path).expect("created");
    write_pcap(&config, file, &mut ()).expect("generated");
    let mut frames = Frames::of_files(&[path]);
    frames.0.truncate(most);
    frames
}

/// Each frame two times, one after the other.
fn doubled(frames: &Frames) -> Frames {
    Frames(frames.0.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect())
}

fn sums(lake: &Path) -> BTreeMap<String, i64> {
    let sql = "select src_ip, dst_ip, src_port, dst_port, proto, tunnel, sum(src_packets) as there, sum(dst_packets) as back, \
        sum(src_bytes) + sum(dst_bytes) as bytes from flow group by 1, 2, 3, 4, 5, 6";
    let mut out = BTreeMap::new();
    for row in rows(lake, sql) {
        *out.entry(row.to_string()).or_default() += 1;
    }
    out
}

fn import(lake: &Path, frames: &Frames, more: &[&str]) -> (serde_json::Value, String) {
    let pcap = lake.with_extension("pcap");
    frames.write_pcap(&pcap);
    let (lake, pcap) = (lake.to_str().expect("UTF-8"), pcap.to_str().expect("UTF-8"));
    let ran = spotter([&["import", "--json", "--lake", lake, pcap], more].concat()).done();
    (ran.json()["total"]["ledger"].clone(), ran.err)
}

#[test]
fn packets_that_a_mirror_port_delivers_twice_are_told_and_left_out() {
    let Some(wires) = Wires::new("duplicates", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let once = office(folder.path(), 8_000);
    let (twice, count) = (doubled(&once), once.0.len() as u64);
    // What the generator sends has an identification in all but IPv6.
    let (ledger, said) = import(&at("once"), &once, &["--deduplicate"]);
    assert_eq!(ledger["duplicates.copies"].as_u64().unwrap_or(0), 0, "{ledger:#}");
    assert!(!said.contains("twice"), "{said}");
    let expected = sums(&at("once"));
    assert!(expected.len() > 100);

    let (ledger, said) = import(&at("counted"), &twice, &[]);
    assert!(said.contains("50% of the packets come twice") && said.contains("--deduplicate"), "{said}");
    assert!(sums(&at("counted")) != expected && ledger["packets.filtered.duplicate"].is_null(), "{ledger:#}");

    let (ledger, _) = import(&at("removed"), &twice, &["--deduplicate"]);
    let removed = ledger["packets.filtered.duplicate"].as_u64().unwrap_or(0);
    let unclear = ledger["duplicates.unclear"].as_u64().unwrap_or(0);
    assert!(removed + unclear + 20 >= count && removed <= count, "{removed} of {count}, {unclear} unclear: {ledger:#}");

    let arguments = ["-i", "tap0", "--mode", "af_packet", "--shards", "2", "--flush", "300ms"];
    let mut capture = wires.capture(&at("warned"), &arguments);
    twice.send(&wires.injector(0));
    // How many is told at the first look, which may lie between a packet and its copy.
    capture.wait_for("% of the packets come twice");
    let report = capture.stop_well();
    assert!(counter(&report, "duplicates.copies") > count / 16, "one in eight is judged: {report:#}");
    assert_eq!(counter(&report, "packets.filtered"), 0);

    let capture = wires.capture(&at("left-out"), &[&arguments[..], &["--deduplicate"]].concat());
    twice.send(&wires.injector(0));
    let report = capture.stop_well();
    let (left_out, unclear) = (counter(&report, "packets.filtered.duplicate"), counter(&report, "duplicates.unclear"));
    assert!(left_out + unclear + 20 >= count && left_out <= count, "{left_out}, {unclear} of {count}: {report:#}");
    assert_eq!(counter(&report, "packets.seen"), 2 * count);
}

/// Captures that do have packets twice, as tshark shows: the same ip.id (not 0), addresses, ports and checksum within 1 ms. Two were
/// captured on a mirror of both directions, some on bridges, some are a file put behind itself.
const DOUBLED: [&str; 12] = [
    "arkime__wireshark-retrans.pcap",
    "elcabezzonn__sharpnopsexec.pcap",
    "ipfixprobe__vlan.pcap",
    "markofu__blaster.pcap",
    "markofu__ftp-crack.pcap",
    "ndpi__1kxun.pcap",
    "ndpi__psiphon3.pcap",
    "pcapplusplus__tcp-malformed.pcap",
    "sidn__sidnlabs-test-xz-compression-multiple-parts-2-packets.pcap",
    "tcpdump__pptp.pcap",
    "zeek__ipv4_fragmented-2.pcap",
    "zeek__q-in-q.pcap",
];

/// Retransmissions, duplicate ACKs and whatever real networks do twice is not taken for a mirror port's work.
#[test]
fn real_captures_have_few_packets_that_look_like_copies() {
    let Some(data) = shared("real_captures_have_few_packets_that_look_like_copies") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (mut judged, mut copies, mut worst) = (0, 0, Vec::new());
    let mut files: Vec<_> =
        std::fs::read_dir(data.join("pcap")).expect("readable").map(|e| e.expect("entry").path()).collect();
    files.retain(|path| path.metadata().is_ok_and(|m| m.len() < 3_000_000));
    files.sort();
    let lake = folder.path().join("lake");
    let mut arguments = vec!["import".to_owned(), "--json".into(), "--deduplicate".into(), "--lake".into()];
    arguments.push(lake.to_str().expect("UTF-8").to_owned());
    arguments.extend(files.iter().map(|path| path.to_str().expect("UTF-8").to_owned()));
    let ran = spotter(&arguments);
    for file in ran.json()["files"].as_array().expect("files") {
        let of = |name: &str| file["ledger"][name].as_u64().unwrap_or(0);
        let (these, all) = (of("duplicates.copies"), of("duplicates.judged"));
        let path = file["path"].as_str().unwrap_or_default().to_owned();
        if DOUBLED.iter().any(|name| path.ends_with(name)) {
            assert!(
                these > 0,
                "{path} has packets with the same identification, checksum and ports within a millisecond"
            );
            continue;
        }
        (judged, copies) = (judged + all, copies + these);
        if these > 0 {
            worst.push((these * 1_000 / all.max(1), these, path));
        }
    }
    worst.sort_unstable_by(|a, b| b.cmp(a));
    println!(
        "{copies} of {judged} packets look like copies; worst, in thousandths: {:#?}",
        &worst[..worst.len().min(12)]
    );
    assert!(judged > 10_000 && copies * 1_000 < judged, "{copies} of {judged}: {worst:#?}");
}

/// A frame's packet inside another: what is put before its IP header, or before all of it.
fn wrapped(frame: &[u8], how: &str) -> Vec<u8> {
    let outer = |payload: &[u8], port: u16| {
        let length = payload.len() as u16;
        let mut out = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0, 0x45, 0];
        out.extend_from_slice(&(28 + length).to_be_bytes());
        out.extend_from_slice(&[0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        for word in [50_000, port, 8 + length, 0] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(payload);
        out
    };
    let packet = &frame[14..];
    match how {
        "vxlan" => outer(&[&[8, 0, 0, 0, 0, 0, 42, 0], frame].concat(), 4_789),
        "gtpu" => {
            let length = (packet.len() as u16).to_be_bytes();
            outer(&[&[0x30, 0xff, length[0], length[1], 0, 0, 0, 7], packet].concat(), 2_152)
        }
        _ => {
            let length = (packet.len() as u16 + 2).to_be_bytes();
            let protocol = if packet[0] >> 4 == 6 { 0x57 } else { 0x21 };
            let session = [0x88, 0x64, 0x11, 0, 0, 9, length[0], length[1], 0, protocol];
            [&frame[..12], &session, packet].concat()
        }
    }
}

fn tunnels(mode: &[&str]) {
    let Some(wires) = Wires::new("tunnels", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut plain = office(folder.path(), 3_000);
    plain.0.retain(|frame| matches!(frame[12..14], [8, 0] | [0x86, 0xdd]));
    let bare = folder.path().join("bare");
    import(&bare, &plain, &[]);
    let without = |rows: BTreeMap<String, i64>, tunnel: &str| -> BTreeMap<String, i64> {
        let cut = |row: String| row.replace(&format!("\"tunnel\":\"{tunnel}\""), "\"tunnel\":null");
        rows.into_iter().map(|(row, n)| (cut(row), n)).collect()
    };
    for (how, tunnel) in [("vxlan", "vxlan"), ("gtpu", "gtpu"), ("pppoe", "pppoe")] {
        let frames = Frames(plain.0.iter().map(|frame| wrapped(frame, how)).collect());
        let lake = folder.path().join(how);
        let capture = wires.capture(&lake, &[&["-i", "tap0", "--flush", "300ms"], mode].concat());
        frames.send(&wires.injector(0));
        let report = capture.stop_well();
        assert_eq!(counter(&report, "packets.received"), frames.0.len() as u64, "{how}: {report:#}");
        let found = sums(&lake);
        assert!(
            found.keys().all(|row| row.contains(&format!("\"tunnel\":\"{tunnel}\""))),
            "{how}: {:?}",
            found.keys().next()
        );
        let (found, expected) = (without(found, tunnel), sums(&bare));
        let differ: Vec<_> = found.keys().filter(|row| !expected.contains_key(*row)).take(3).collect();
        assert!(found == expected, "{how}: {} flows, {} expected; {differ:#?}", found.len(), expected.len());
    }
}

#[test]
fn a_link_that_is_all_tunnels_gives_the_flows_inside() {
    tunnels(&["--mode", "af_packet", "--shards", "2"]);
}

#[cfg(feature = "probe")]
#[test]
fn a_link_that_is_all_tunnels_gives_the_flows_inside_by_xdp() {
    tunnels(&["--mode", "xdp"]);
}
