//! `spotter forward --to ipfix+…`: our own collector and nfcapd read the flows of a lake.

use std::fs;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::collect::{Collecting, Seen, add, capture, has, in_lake, ran, same};
use crate::support::spotter;

fn forward(lake: &str, name: &str, to: &str) -> serde_json::Value {
    let fixed = ["forward", "--lake", lake, "--name", name, "--to", to, "--allow", "127.0.0.1"];
    let ran = spotter(fixed.into_iter().chain(["--what", "records", "--source", "flow", "--days", "36500", "--json"]));
    let said = ran.done().err;
    said.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn what_is_exported_is_read_by_our_own_collector_and_by_nfcapd() {
    let dir = tempfile::tempdir().expect("folder");
    let lake = dir.path().join("lake");
    let lake_text = lake.to_string_lossy().into_owned();
    let pcap = capture(dir.path());
    spotter(["import", "--lake", &lake_text, &pcap.to_string_lossy()]).done();
    let ours = in_lake(&lake);
    for (at, transport) in ["udp", "tcp"].into_iter().enumerate() {
        let there = dir.path().join(transport);
        let collecting = Collecting::collect(&there, &["--listen-tcp", "127.0.0.1:0"]);
        let counters = forward(&lake_text, transport, &format!("ipfix+{transport}://{}", collecting.addresses[at]));
        assert_eq!((&counters["waiting"], &counters["rejected"]), (&0.into(), &0.into()), "{counters}");
        let report = collecting.end();
        let ledger = &report["ledger"];
        assert_eq!((&ledger["sequence.lost"], &ledger["exported.flows"]), (&0.into(), &counters["sent"]), "{ledger:#}");
        same(&in_lake(&there), &ours);
    }

    if !has("nfcapd", "nfdump") {
        return;
    }
    let made = dir.path().join("nfcapd");
    fs::create_dir(&made).expect("made");
    // A port that is free: nfcapd says none.
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("bound").port();
    let mut nfcapd = Command::new("nfcapd")
        .args(["-b", "127.0.0.1", "-B", "8000000", "-t", "3600", "-p", &port.to_string(), "-w"])
        .arg(&made)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nfcapd starts");
    let end = Instant::now() + Duration::from_secs(20);
    let bound = || fs::read_to_string("/proc/net/udp").is_ok_and(|text| text.contains(&format!(":{port:04X} ")));
    while !bound() {
        assert!(Instant::now() < end, "nfcapd does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    forward(&lake_text, "nfcapd", &format!("ipfix+udp://127.0.0.1:{port}"));
    std::thread::sleep(Duration::from_millis(500));
    ran(Command::new("kill").arg(nfcapd.id().to_string()));
    nfcapd.wait().expect("ended");
    let mut theirs = Seen::new();
    for entry in fs::read_dir(&made).expect("read") {
        let listed = ran(Command::new("nfdump")
            .arg("-q")
            .args(["-o", "fmt:%pr,%sa,%da,%sp,%dp,%ipkt,%ibyt,%opkt,%obyt", "-N", "-6", "-r"])
            .arg(entry.expect("an entry").path()));
        for line in listed.lines().filter(|line| line.contains(',')) {
            let words: Vec<&str> = line.split(',').map(str::trim).collect();
            let [proto, src, dst, src_port, dst_port, packets, bytes, back_packets, back_bytes] = words[..] else {
                panic!("{line}")
            };
            let number = |word: &str| word.parse::<u64>().unwrap_or_else(|_| panic!("{line}"));
            let port = |word: &str| word.split('.').next().unwrap_or_default().parse().unwrap_or(0);
            let (ends, ports) = ((src.to_owned(), dst.to_owned()), (port(src_port), port(dst_port)));
            add(&mut theirs, ends.clone(), ports, number(proto), (number(packets), number(bytes)));
            if number(back_packets) > 0 {
                let counts = (number(back_packets), number(back_bytes));
                add(&mut theirs, (ends.1, ends.0), (ports.1, ports.0), number(proto), counts);
            }
        }
    }
    // A way back without packets is no flow of nfdump's.
    let sent = ours.into_iter().filter(|(_, (packets, _))| *packets > 0).collect();
    same(&sent, &theirs);
}

#[test]
fn what_ipfix_cannot_carry_is_said() {
    let dir = tempfile::tempdir().expect("folder");
    let lake = dir.path().to_string_lossy().into_owned();
    let forward = |more: &[&str]| {
        let fixed = ["forward", "--lake", &lake, "--to", "ipfix+udp://127.0.0.1:4739", "--allow", "127.0.0.1"];
        spotter(fixed.into_iter().chain(more.iter().copied()))
    };
    forward(&["--source", "flow"]).failed(2, "records");
    forward(&["--what", "records"]).failed(2, "source");
}
