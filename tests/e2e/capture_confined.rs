//! What the processes and threads of a running capture may do: those that touch packets, nothing; and how both processes end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::capture_books::{in_flows, ledger};
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

/// CAP_CHOWN, CAP_DAC_OVERRIDE and CAP_FOWNER.
const FILES: u64 = 0b1011;
const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;

/// All it has or could take.
fn capabilities(lines: &BTreeMap<String, String>) -> u64 {
    let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|name| lines.get(name).map_or("", String::as_str));
    sets.iter().map(|set| u64::from_str_radix(set, 16).expect("hexadecimal")).fold(0, |all, set| all | set)
}

#[test]
fn threads_that_touch_packets_have_no_capability_and_few_system_calls() {
    let Some(wires) = Wires::new("confined", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for mode in ["af_packet", "xdp"] {
        let lake = folder.path().join(mode);
        let arguments = ["-i", "tap0", "--mode", mode, "--shards", "2", "--pins", "none"];
        let capture = wires.capture(&lake, &arguments);
        let reader = capture.reader();
        let is_confined = |lines: &BTreeMap<String, String>| {
            let of = |name: &str| lines.get(name).map_or("", String::as_str);
            let capabilities = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|name| u64::from_str_radix(of(name), 16));
            capabilities == [const { Ok(0) }; 4] && of("NoNewPrivs") == "1" && of("Seccomp") == "2"
        };
        let touches = |name: &str| name.starts_with("receive-") || name.starts_with("shard-");
        // They give up their rights as the first thing they do.
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let all = threads(reader);
            let those: Vec<_> = all.iter().filter(|(name, _)| touches(name)).collect();
            if those.len() >= 3 && those.iter().all(|(_, lines)| is_confined(lines)) {
                break;
            }
            assert!(Instant::now() < end, "{mode}: {those:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        // The process that reads packets has no thread left with a right beyond files; the one that opens interfaces touches no packet.
        for (name, lines) in threads(reader) {
            assert_eq!(capabilities(&lines) & !FILES, 0, "{mode}: {name}");
        }
        let kept = threads(capture.pid());
        assert!(kept.iter().all(|(name, _)| !touches(name)), "{mode}: {kept:?}");
        let main = kept.iter().find(|(name, _)| name == "spotter").expect("a first thread");
        assert_eq!(capabilities(&main.1) & 1 << NET_ADMIN, 1 << NET_ADMIN);
        assert_eq!(capabilities(&main.1) & 1 << SYS_ADMIN, 0);
        capture.stop_well();
    }
}

#[test]
fn whichever_of_the_two_processes_is_killed_the_other_ends() {
    let Some(wires) = Wires::new("two", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let is_there = |pid: u32| {
        // A zombie is gone: nobody has to have asked for its end.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    let ends = |pid: u32, what: &str| {
        let end = Instant::now() + Duration::from_secs(10);
        while is_there(pid) {
            assert!(Instant::now() < end, "{what} goes on alone");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    for mode in ["af_packet", "xdp"] {
        let lake = folder.path().join(mode);
        let arguments = ["-i", "tap0", "--mode", mode, "--pins", "none"];
        let capture = wires.capture(&lake, &arguments);
        let (keeper, reader) = (capture.pid(), capture.reader());
        capture.kill();
        ends(reader, "the reader");
        let capture = wires.capture(&lake, &arguments);
        let (again, reader) = (capture.pid(), capture.reader());
        assert_ne!(again, keeper);
        let killed = std::process::Command::new("kill").args(["-KILL", &reader.to_string()]).status();
        assert!(killed.expect("kill starts").success());
        ends(again, "the keeper");
        assert_eq!(capture.exit_code(), Some(128 + 9));
    }
}

#[test]
fn a_signal_to_both_processes_is_meant_once() {
    let Some(wires) = Wires::new("both", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let capture = wires.capture(&folder.path().join("lake"), &["-i", "tap0", "--pins", "none"]);
    // As systemd ends a service: everything in its group.
    let both = [capture.pid(), capture.reader()].map(|pid| pid.to_string());
    let killed = std::process::Command::new("kill").arg("-TERM").args(both).status();
    assert!(killed.expect("kill starts").success());
    capture.ended_well();
}

#[test]
fn an_appliance_captures_without_rights_and_ends_well() {
    let Some(wires) = Wires::new("appliance", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (lake, config) = (folder.path().join("lake"), folder.path().join("spotter.toml"));
    let text = "[ui]\nenabled = false\n[score]\nenabled = false\n[[capture]]\nname = \"tap\"\ninterfaces = [\"tap0\"]";
    std::fs::write(&config, format!("[lake]\ndir = {lake:?}\n{text}\n")).expect("written");
    let capture = wires.appliance(&config);
    let reader = capture.reader();
    for (name, lines) in threads(reader) {
        assert_eq!(capabilities(&lines) & !FILES, 0, "{name}");
    }
    let frames: Vec<Vec<u8>> = (0..200_u8).map(datagram).collect();
    for frame in &frames {
        wires.injector(0).send(&[frame]).expect("sent");
    }
    std::thread::sleep(Duration::from_secs(1));
    capture.signal("TERM");
    assert_eq!(capture.exit_code(), Some(0));
    assert_eq!((ledger(&lake, "offered"), in_flows(&lake)), (200, 200));
}

/// A UDP datagram without payload, from a port of its own.
fn datagram(number: u8) -> Vec<u8> {
    let ethernet = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]].concat();
    let ip = [0x45, 0, 0, 28, 0, number, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    let udp = [0x10, number, 0, 9, 0, 8, 0, 0];
    [&ethernet[..], &[8, 0], &ip, &udp].concat()
}
