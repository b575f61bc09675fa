//! SIGKILL at random moments: the probe's memory is pinned, the next capture goes on with it, and every packet that was
//! sent is in exactly one term of the ledger, or in a flow of the lake.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use perf::synth::{SynthConfig, write_pcap};

use crate::capture_books::{assert_every_packet_has_a_place, in_flows, ledger, refused};
use crate::capture_net::{Frames, Wires};

/// A BPF file system of the test's own.
struct Pins(PathBuf);

impl Pins {
    fn new(test: &str, folder: &Path) -> Option<Self> {
        let path = folder.join("bpf");
        std::fs::create_dir(&path).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "bpf", "bpf"]).arg(&path).output();
        if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("CI").is_none(), "no BPF file system in CI: {mounted:?}");
            eprintln!("SKIPPED {test}: no BPF file system: {mounted:?}");
            return None;
        }
        Some(Self(path))
    }

    /// Names of all that is pinned.
    fn pinned(&self) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![self.0.join("spotter")]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
            }
        }
        found
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        // Lazily: processes of the test may still have it in their own view.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Tells to stop when it is dropped.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends until told to stop, and counts it.
fn send(wires: &Wires, frames: &Frames, stop: &AtomicBool, sent: &AtomicU64) {
    let injector = wires.injector(0);
    for batch in frames.0.chunks(32).cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let batch: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
        injector.send(&batch).expect("sent");
        sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills after so many milliseconds each, and starts again.
fn killed_again_and_again(test: &str, policy: &str, moments: &[u64]) {
    let Some(wires) = Wires::new(test, 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let Some(pins) = Pins::new(test, folder.path()) else { return };
    let config = SynthConfig { hosts: 40, activity: 0.3, volume: 0.0005, ..SynthConfig::default() };
    let path = folder.path().join("synthetic.pcap");
    write_pcap(&config, std::fs::File::create(&path).expect("created"), &mut ()).expect("generated");
    let mut frames = Frames::of_files(&[path]);
    // Nothing that a veth with XDP does not take: it asks for frames of a page.
    frames.0.retain(|frame| frame.len() <= 1_500);
    crate::capture_net::ip(&format!("link set {} mtu 1500", wires.here[0]));
    crate::capture_net::ip(&format!("-n {} link set tap0 mtu 1500", wires.namespace));
    let lake = folder.path().join("lake");
    let root = pins.0.join("spotter");
    let arguments = ["-i", "tap0", "--mode", "xdp", "--policy", policy, "--flush", "200ms", "--active-timeout", "1s"];
    let arguments = [&arguments[..], &["--pins", root.to_str().expect("UTF-8")]].concat();
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut capture = Some(wires.capture(&lake, &arguments));
    let before = refused(&wires);
    let report = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(&wires, &frames, &stop, &sent));
        // Whatever fails below: who waits for the sender would wait for ever.
        let ends = Stops(&stop);
        for moment in moments {
            std::thread::sleep(Duration::from_millis(*moment));
            capture.take().expect("it runs").kill();
            assert!(!pins.pinned().is_empty());
            capture = Some(wires.capture(&lake, &arguments));
        }
        std::thread::sleep(Duration::from_millis(700));
        drop(ends);
        sender.join().expect("it sends");
        capture.take().expect("it runs").stop_well()
    });
    let sent = sent.into_inner() - (refused(&wires) - before);
    let told = assert_every_packet_has_a_place(&lake, sent);
    assert_eq!(ledger(&lake, "seen"), sent, "{told}\n{report:#}");
    let lost = ledger(&lake, "lost_at_crash");
    assert!(lost > 0 && in_flows(&lake) > 0, "nothing was on its way, or all was lost: {told}");
    assert_eq!(pins.pinned(), Vec::<PathBuf>::new(), "what ends well leaves nothing");
    println!("{policy}, {} kills: {told}", moments.len());
}

/// Milliseconds that nobody chose.
fn moments(count: u64) -> Vec<u64> {
    let mut state = u64::from(std::process::id()) << 32 | 0x5370;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        20 + (state >> 33) % 600
    })
    .take(count as usize)
    .collect()
}

#[test]
fn a_tap_that_is_killed_loses_no_packet_without_a_term() {
    killed_again_and_again("kill_tap", "tap", &moments(4));
}

#[test]
fn inline_capture_that_is_killed_loses_no_packet_without_a_term() {
    killed_again_and_again("kill_inline", "inline", &moments(3));
}

#[test]
fn a_killed_capture_that_has_not_ended_yet_is_waited_for() {
    let Some(wires) = Wires::new("dying", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let Some(pins) = Pins::new("dying", folder.path()) else { return };
    let (lake, root) = (folder.path().join("lake"), pins.0.join("spotter"));
    let arguments = ["-i", "tap0", "--mode", "xdp", "--pins", root.to_str().expect("UTF-8")];
    wires.capture(&lake, &arguments).kill();
    let place =
        pins.pinned().iter().find_map(|path| path.ancestors().find(|above| is_interface(above)).map(Path::to_owned));
    // As the rest of a killed process does that still writes: it holds the lock a while.
    let mut dying = Command::new("flock").arg(place.expect("pins")).args(["sleep", "1"]).spawn().expect("flock starts");
    std::thread::sleep(Duration::from_millis(200));
    wires.capture(&lake, &arguments).stop_well();
    assert!(dying.wait().expect("it ends").success());
}

/// Its program, pinned, would have taken the packets of the next capture for ever, and `ip link` cannot take it off.
#[test]
fn a_killed_capture_of_another_version_does_not_stand_in_the_way_of_the_next() {
    let Some(wires) = Wires::new("upgrade", 1) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let Some(pins) = Pins::new("upgrade", folder.path()) else { return };
    let root = pins.0.join("spotter");
    for mode in ["xdp", "auto", "af_packet"] {
        let lake = folder.path().join(mode);
        let arguments = ["-i", "tap0", "--mode", mode, "--pins", root.to_str().expect("UTF-8")];
        wires.capture(&lake, &[&arguments[..3], &["xdp"], &arguments[4..]].concat()).kill();
        std::fs::rename(root.join("v3"), root.join("v2")).expect("renamed");
        assert!(!pins.pinned().is_empty());
        let capture = wires.capture(&lake, &arguments);
        wires.injector(0).send(&[&[0xff_u8; 60][..]; 40]).expect("sent");
        let report = capture.stop_well();
        assert_eq!(ledger(&lake, "seen"), 40, "{mode}: {report:#}");
        assert_eq!(pins.pinned(), Vec::<PathBuf>::new(), "{mode}: nothing is left of it");
    }
}

/// The folder of an interface: what is locked.
fn is_interface(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|name| name == "v3")
}
