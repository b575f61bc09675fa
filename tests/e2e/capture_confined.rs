//! What the threads of a running capture may do: those that touch packets, nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::capture_net::Wires;

/// Name of each thread, and lines of its status by their names.
fn threads(pid: u32) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let status = read("status");
        let lines = status.lines().filter_map(|line| line.split_once(':'));
        let lines = lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        found.push((read("comm").trim().to_owned(), lines));
    }
    found
}

#[test]
fn threads_that_touch_packets_have_no_capability_and_few_system_calls() {
    let Some(wires) = Wires::new("confined", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for mode in ["af_packet", "xdp"] {
        let lake = folder.path().join(mode);
        let arguments = ["-i", "tap0", "--mode", mode, "--shards", "2", "--pins", "none"];
        let capture = wires.capture(&lake, &arguments);
        let is_confined = |lines: &BTreeMap<String, String>| {
            let of = |name: &str| lines.get(name).map_or("", String::as_str);
            let capabilities = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|name| u64::from_str_radix(of(name), 16));
            capabilities == [const { Ok(0) }; 4] && of("NoNewPrivs") == "1" && of("Seccomp") == "2"
        };
        let touches = |name: &str| name.starts_with("receive-") || name.starts_with("shard-");
        // They give up their rights as the first thing they do.
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let all = threads(capture.pid());
            let those: Vec<_> = all.iter().filter(|(name, _)| touches(name)).collect();
            if those.len() >= 3 && those.iter().all(|(_, lines)| is_confined(lines)) {
                break;
            }
            assert!(Instant::now() < end, "{mode}: {those:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        // Who opened the interface opens it again when it comes back.
        let main = threads(capture.pid()).into_iter().find(|(name, _)| name == "spotter").expect("a first thread");
        assert!(!is_confined(&main.1));
        capture.stop_well();
    }
}
