//! Live capture on real wires: the same records as an import of the same packets, and books that close whatever happens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use perf::synth::{SynthConfig, write_pcap};

use crate::capture_net::{Frames, Wires, counter};
use crate::support::{rows, shared, spotter};

/// All columns but those that are times, or made of times, or say how the packets came.
const FLOW: &str = "select segment, src_ip, dst_ip, src_port, dst_port, proto, src_packets, src_bytes, dst_packets, dst_bytes, \
    src_tcp_flags, dst_tcp_flags, src_tos, dst_tos, conn_state, history, src_mac, dst_mac, ethertype, vlan, cos, end_reason, \
    sampling, observations, tunnel, service, community_id from flow";
const DNS: &str = "select client_ip, client_port, server_ip, server_port, transport, id, qname, qname_wire, qtype, qclass, question, \
    opcode, rcode, query_len, response_len, response_frame_len, flags, edns_udp_size, answers, authorities, additional_count, \
    damage, community_id from dns";
const PROXY: &str = "select client_ip, client_port, server_ip, server_port, scheme, method, host, uri_path, uri_query, full_uri, \
    user_agent, referer, content_type, status, username, request_bytes, response_bytes, tls_version, tls_sni, tls_alpn, ja4, \
    community_id from proxy";

/// How often each row stands in the lake.
fn content(lake: &Path) -> BTreeMap<String, i64> {
    let mut out = BTreeMap::new();
    for sql in [FLOW, DNS, PROXY] {
        for row in rows(lake, sql) {
            *out.entry(row.to_string()).or_default() += 1;
        }
    }
    out
}

#[track_caller]
fn assert_same(captured: &BTreeMap<String, i64>, imported: &BTreeMap<String, i64>, how: &str) {
    let count = |rows: &BTreeMap<String, i64>, row: &String| rows.get(row).copied().unwrap_or(0);
    let differ = |a: &BTreeMap<String, i64>, b: &BTreeMap<String, i64>| -> Vec<String> {
        let more = a.iter().filter(|(row, n)| **n > count(b, row));
        more.map(|(row, n)| format!("{}x {row}", n - count(b, row))).collect()
    };
    let (more, missing) = (differ(captured, imported), differ(imported, captured));
    assert!(
        more.is_empty() && missing.is_empty(),
        "{how}: {} rows too many, {} missing of {}\nonly captured: {:#?}\nonly imported: {:#?}",
        more.len(),
        missing.len(),
        imported.len(),
        more.iter().take(5).collect::<Vec<_>>(),
        missing.iter().take(5).collect::<Vec<_>>(),
    );
}

/// The lake of an import of the frames.
fn imported(frames: &Frames, folder: &Path) -> BTreeMap<String, i64> {
    let (pcap, lake) = (folder.join("frames.pcap"), folder.join("imported"));
    frames.write_pcap(&pcap);
    spotter([Path::new("import"), Path::new("--lake"), &lake, &pcap]).done();
    content(&lake)
}

/// The generator's frames of a quiet day of a small office with attacks.
fn synthetic(folder: &Path) -> PathBuf {
    let config = SynthConfig { hosts: 40, activity: 0.3, volume: 0.0005, ..SynthConfig::default() };
    let path = folder.join("synthetic.pcap");
    let file = std::fs::File::create(&path).expect("created");
    write_pcap(&config, file, &mut ()).expect("generated");
    path
}

fn corpus(folder: &Path, test: &str, largest: u64) -> Vec<PathBuf> {
    let mut paths = vec![synthetic(folder)];
    if let Some(data) = shared(test) {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(data.join("pcap")).expect("readable").map(|entry| entry.expect("entry").path()).collect();
        files.retain(|path| path.metadata().is_ok_and(|m| m.len() <= largest));
        files.sort();
        paths.extend(files);
    }
    paths
}

#[test]
fn the_same_packets_make_the_same_records_as_an_import_by_any_queue_and_any_shard() {
    let name = "the_same_packets_make_the_same_records";
    let Some(wires) = Wires::new(name, 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    // Sent within two seconds: the shortest timeout of the flow table. (All captures, whatever their times: `live_queues` of
    // the aggregator.)
    let mut frames = Frames::of_files(&corpus(folder.path(), name, 100_000));
    frames.0.truncate(40_000);
    let expected = imported(&frames, folder.path());
    assert!(expected.len() > 500, "{}", expected.len());
    for (receivers, shards) in [("1", "1"), ("1", "3"), ("3", "1"), ("3", "4")] {
        let how = format!("{receivers} receivers, {shards} shards");
        let lake = folder.path().join(format!("captured-{receivers}-{shards}"));
        let arguments =
            ["-i", "tap0", "--mode", "af_packet", "--receivers", receivers, "--shards", shards, "--flush", "500ms"];
        let capture = wires.capture(&lake, &arguments);
        frames.send(&wires.injector(0));
        let report = capture.stop_well();
        assert_eq!(counter(&report, "packets.offered"), frames.0.len() as u64, "{how}");
        assert_eq!(counter(&report, "packets.seen"), frames.0.len() as u64, "{how}: {report:#}");
        assert_eq!(counter(&report, "bytes.seen"), frames.bytes(), "{how}");
        assert_same(&content(&lake), &expected, &how);
    }
}

/// What the kernel's cache keeps of flows, which has one time for 4 ms: what each end sent the other, whoever began.
const ENDS: &str = "select src_ip as ip, src_port as port, dst_ip as to_ip, dst_port as to_port, proto, vlan, src_packets as packets, \
    src_bytes as bytes, src_tcp_flags as flags from flow where src_packets > 0 union all \
    select dst_ip, case when proto in (1, 58) then src_port else dst_port end, src_ip, \
    case when proto in (1, 58) then dst_port else src_port end, proto, vlan, dst_packets, dst_bytes, dst_tcp_flags \
    from flow where dst_packets > 0";

fn ends_and_messages(lake: &Path) -> BTreeMap<String, i64> {
    let sums = format!(
        "select ip, port, to_ip, to_port, proto, vlan, sum(packets) as packets, sum(bytes) as bytes, bit_or(flags) as flags \
         from ({ENDS}) group by 1, 2, 3, 4, 5, 6"
    );
    let mut out = BTreeMap::new();
    for sql in [&sums, DNS, PROXY] {
        for row in rows(lake, sql) {
            *out.entry(row.to_string()).or_default() += 1;
        }
    }
    out
}

#[cfg(feature = "probe")]
#[test]
fn by_xdp_the_same_packets_make_the_same_sums_dns_rows_and_requests_as_an_import() {
    let name = "by_xdp_the_same_packets";
    let Some(wires) = Wires::new(name, 1) else { return };
    for end in
        [format!("link set {} mtu 1500", wires.here[0]), format!("-n {} link set tap0 mtu 1500", wires.namespace)]
    {
        crate::capture_net::ip(&end);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = corpus(folder.path(), name, 100_000);
    // DNS over QUIC first: the only QUIC among them on Ethernet.
    files.sort_by_key(|path| !path.to_string_lossy().contains("doq"));
    let mut frames = Frames::of_files(&files);
    frames.0.retain(|frame| frame.len() <= 1_514);
    frames.0.truncate(40_000);
    imported(&frames, folder.path());
    let expected = ends_and_messages(&folder.path().join("imported"));
    assert!(expected.len() > 500, "{}", expected.len());
    let has_quic = expected.keys().any(|row| row.contains("\"ja4\":\"q"));
    assert!(has_quic || files.len() == 1, "QUIC is among the real captures");
    for slow_path in ["af_xdp", "ring"] {
        let lake = folder.path().join(slow_path);
        let arguments = ["-i", "tap0", "--mode", "xdp", "--slow-path", slow_path, "--flush", "500ms", "--pins", "none"];
        let capture = wires.capture(&lake, &arguments);
        frames.send(&wires.injector(0));
        let report = capture.stop_well();
        assert_eq!(counter(&report, "packets.seen"), frames.0.len() as u64, "{report:#}");
        let redirected = counter(&report, "packets.redirected");
        assert_eq!(redirected > 0, slow_path == "af_xdp", "{report:#}");
        assert_same(&ends_and_messages(&lake), &expected, slow_path);
    }
}

#[test]
fn each_direction_on_its_own_port_makes_the_same_records() {
    let name = "each_direction_on_its_own_port";
    let Some(wires) = Wires::new(name, 2) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut frames = Frames::of_files(&corpus(folder.path(), name, 60_000));
    frames.0.truncate(6_000);
    let expected = imported(&frames, folder.path());
    for shards in ["1", "2"] {
        let lake = folder.path().join(format!("captured-{shards}"));
        let capture =
            wires.capture(&lake, &["-i", "tap0,tap1", "--mode", "af_packet", "--shards", shards, "--flush", "1s"]);
        frames.send_by_direction(&[wires.injector(0), wires.injector(1)]);
        let report = capture.stop_well();
        assert_eq!(counter(&report, "packets.seen"), frames.0.len() as u64);
        let queues = report["queues"].as_array().expect("queues");
        assert!(queues.iter().all(|queue| queue["ledger"]["packets.seen"].as_u64() > Some(500)), "{report:#}");
        assert_same(&content(&lake), &expected, &format!("two ports, {shards} shards"));
    }
}

/// Small rings, and more packets than a stopped process can take: each packet is in one term.
#[test]
fn under_overload_every_packet_is_in_exactly_one_term() {
    let Some(wires) = Wires::new("overload", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let frames = Frames::of_files(&[synthetic(folder.path())]);
    let lake = folder.path().join("lake");
    let arguments =
        ["--mode", "af_packet", "--ring", "1MiB", "--shard-ring", "64KiB", "--shards", "2", "--flush", "200ms"];
    let capture = wires.capture(&lake, &[&["-i", "tap0", "--receivers", "2"][..], &arguments].concat());
    let injector = wires.injector(0);
    let mut sent = 0;
    for round in 0..6 {
        // Stopped: the kernel's ring fills. Going on: the rings to the shards fill.
        capture.signal(if round % 2 == 0 { "STOP" } else { "CONT" });
        frames.send(&injector);
        sent += frames.0.len() as u64;
    }
    let report = capture.stop_well();
    assert_eq!(counter(&report, "packets.offered"), sent, "{report:#}");
    let (missed, seen) = (counter(&report, "packets.missed_before_probe"), counter(&report, "packets.seen"));
    assert_eq!(missed + seen, sent);
    assert!(missed > 0, "the kernel's ring never was full: {report:#}");
    let terms = ["lost_shard_ring", "received", "not_ip", "malformed", "filtered", "sampled_out"];
    let sum: u64 = terms.iter().map(|term| counter(&report, &format!("packets.{term}"))).sum();
    assert_eq!(sum, seen, "{report:#}");
    // What the ledger in the lake says, summed over the intervals, is what the command printed.
    let sql = "select counter, sum(value) as value from ledger where counter like 'packets.%' group by counter";
    for row in rows(&lake, sql) {
        let name = row["counter"].as_str().expect("text");
        if !name.contains(".in_") && !name.ends_with(".live") {
            assert_eq!(row["value"].as_u64(), Some(counter(&report, name)), "{name}");
        }
    }
    let packets = rows(&lake, "select sum(src_packets) + sum(dst_packets) as n from flow");
    assert_eq!(packets[0]["n"].as_u64(), Some(counter(&report, "packets.exported")));
}

#[test]
fn records_are_in_the_lake_while_capture_goes_on_and_survive_a_kill() {
    let Some(wires) = Wires::new("kill", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let frames = Frames::of_files(&[synthetic(folder.path())]);
    let lake = folder.path().join("lake");
    let arguments = ["-i", "tap0", "--mode", "af_packet", "--flush", "300ms", "--active-timeout", "1s"];
    let capture = wires.capture(&lake, &arguments);
    let injector = wires.injector(0);
    let end = Instant::now() + Duration::from_secs(20);
    let count = || rows(&lake, "select count(*) as n from flow")[0]["n"].as_u64().unwrap_or(0);
    // Idle flows and segments come out by the clock: no packet pushes them.
    frames.send(&injector);
    let mut seen = 0;
    while seen < 100 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
        seen = count();
    }
    assert!(seen >= 100, "{seen} flows after 20 s");
    frames.send(&injector);
    capture.kill();
    // What was published stays; the lake is sound, and the next capture goes on in it.
    assert!(count() >= seen);
    let capture = wires.capture(&lake, &arguments);
    frames.send(&injector);
    let report = capture.stop_well();
    assert_eq!(counter(&report, "packets.offered"), frames.0.len() as u64);
}

#[test]
fn an_interface_that_goes_down_or_vanishes_is_waited_for() {
    let Some(wires) = Wires::new("link", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let frames = Frames::of_files(&[synthetic(folder.path())]);
    let lake = folder.path().join("lake");
    let mut capture =
        wires.capture(&lake, &["-i", "tap0", "--mode", "af_packet", "--receivers", "2", "--flush", "500ms"]);
    frames.send(&wires.injector(0));
    let namespace = &wires.namespace;
    crate::capture_net::ip(&format!("-n {namespace} link set tap0 down"));
    capture.wait_for("tap0: set down");
    crate::capture_net::ip(&format!("-n {namespace} link set tap0 up"));
    capture.wait_for("tap0: up again");
    frames.send(&wires.injector(0));
    wires.unplug(0);
    capture.wait_for("tap0: gone");
    wires.plug(0);
    capture.wait_for("tap0: back");
    // The receivers drain the old sockets before they look at the new ones.
    std::thread::sleep(Duration::from_millis(300));
    frames.send(&wires.injector(0));
    let report = capture.stop_well();
    assert_eq!(counter(&report, "packets.offered"), 3 * frames.0.len() as u64);
    assert_eq!(counter(&report, "packets.seen"), 3 * frames.0.len() as u64);
    assert_eq!(counter(&report, "interface_returns"), 1);
}

#[test]
fn filters_drop_early_and_are_read_again_at_sighup() {
    let Some(wires) = Wires::new("filter", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let frames = Frames::of_files(&[synthetic(folder.path())]);
    let (lake, rules) = (folder.path().join("lake"), folder.path().join("rules"));
    std::fs::write(&rules, "# nothing yet\n").expect("written");
    let rules_text = rules.to_str().expect("UTF-8");
    let mut capture = wires.capture(
        &lake,
        &["-i", "tap0", "--mode", "af_packet", "--filter-file", rules_text, "--filter", "proto icmp", "--flush", "1s"],
    );
    frames.send(&wires.injector(0));
    std::thread::sleep(Duration::from_millis(300));
    std::fs::write(&rules, "proto udp # names, too\nproto tcp\n").expect("written");
    capture.signal("HUP");
    capture.wait_for("3 filters from now on");
    // The control thread has handed them over; receivers look at each turn.
    std::thread::sleep(Duration::from_millis(300));
    frames.send(&wires.injector(0));
    let report = capture.stop_well();
    let (seen, filtered) = (counter(&report, "packets.seen"), counter(&report, "packets.filtered"));
    assert_eq!(seen, 2 * frames.0.len() as u64);
    assert!(filtered >= frames.0.len() as u64 * 9 / 10 && filtered < seen, "{filtered} of {seen}");
    assert!(rows(&lake, "select * from flow where proto = 1").is_empty());
    assert!(!rows(&lake, "select * from dns limit 1").is_empty());
}

#[test]
fn wrong_use_is_refused_with_what_to_do() {
    spotter(["capture"]).failed(2, "--interface");
    spotter(["capture", "-i", "lo", "--mode", "magic"]).failed(2, "auto, xdp, xdp_generic or af_packet");
    spotter(["capture", "-i", "lo", "--filter", "host 1.2.3.4"]).failed(2, "net CIDR");
    spotter(["capture", "-i", "lo,lo"]).failed(2, "twice");
    let folder = tempfile::tempdir().expect("a folder");
    let lake = folder.path().to_str().expect("UTF-8");
    spotter(["capture", "-i", "no-such-if", "--lake", lake]).failed(1, "there is no interface 'no-such-if'");
    // The loopback interface has an address: as a tap the machine would lose it.
    if Wires::new("wrong_use", 0).is_some() {
        spotter(["capture", "-i", "lo", "--policy", "tap", "--lake", lake]).failed(1, "--force");
    }
}
