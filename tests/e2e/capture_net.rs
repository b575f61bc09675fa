//! Wires for tests of live capture: veth pairs between this namespace, where frames are sent, and one of its own, where
//! Spotter captures. Needs root; where that is missing the test says so and passes, with `CI=true` it fails.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use capture::Place;
use capture::af_packet::Injector;
use capture::file::CaptureReader;

/// Largest MTU of a veth.
const MTU: usize = 65_535;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A namespace with tap ports `tap0`, `tap1` … whose other ends are here.
pub(crate) struct Wires {
    pub(crate) namespace: String,
    /// Names of the ends here.
    pub(crate) here: Vec<String>,
}

pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("ip starts");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Switches IPv6 off: the kernel's own frames (neighbour discovery, MLD) break exact sums.
fn quiet(namespace: Option<&str>, interface: &str) {
    let key = format!("net.ipv6.conf.{interface}.disable_ipv6=1");
    let mut command = match namespace {
        Some(name) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", name, "sysctl", "-qw", &key]);
            command
        }
        None => {
            let mut command = Command::new("sysctl");
            command.args(["-qw", &key]);
            command
        }
    };
    // A kernel without IPv6 has nothing to switch off.
    let _ = command.output();
}

impl Wires {
    /// `ports` wires. `None`, after saying why, where they cannot be had.
    pub(crate) fn new(test: &str, ports: usize) -> Option<Self> {
        let id = format!("{}x{}", std::process::id() % 100_000, NEXT.fetch_add(1, Ordering::Relaxed));
        let namespace = format!("spotter-{id}");
        let made = Command::new("ip").args(["netns", "add", &namespace]).output();
        if !made.as_ref().is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("CI").is_none(), "no network namespace in CI: {made:?}");
            eprintln!("SKIPPED {test}: no network namespace (root and `ip` are needed): {made:?}");
            return None;
        }
        let mut wires = Self { namespace, here: Vec::new() };
        for port in 0..ports {
            wires.here.push(format!("s{id}p{port}"));
            wires.plug(port);
        }
        Some(wires)
    }

    /// Makes the wire of a port, also after it was [unplugged](Self::unplug).
    pub(crate) fn plug(&self, port: usize) {
        let (here, namespace) = (&self.here[port], &self.namespace);
        ip(&format!("link add {here} mtu {MTU} type veth peer name tap{port} mtu {MTU} netns {namespace}"));
        quiet(None, here);
        quiet(Some(namespace), &format!("tap{port}"));
        ip(&format!("-n {namespace} link set tap{port} up"));
        ip(&format!("link set {here} up"));
    }

    /// Removes both ends.
    pub(crate) fn unplug(&self, port: usize) {
        ip(&format!("link del {}", self.here[port]));
    }

    pub(crate) fn injector(&self, port: usize) -> Injector {
        Injector::open(&self.here[port]).expect("a wire to send through")
    }

    /// Starts `spotter run` in the namespace, and waits until it captures.
    pub(crate) fn appliance(&self, config: &Path) -> Capture {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, env!("CARGO_BIN_EXE_spotter"), "run", "-c"]).arg(config);
        command.env_remove("RUST_LOG").env_remove("SPOTTER_LAKE");
        Capture::start(command, 1)
    }

    /// Starts `spotter capture` with these arguments in the namespace, and waits until it captures.
    pub(crate) fn capture(&self, lake: &Path, arguments: &[&str]) -> Capture {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, env!("CARGO_BIN_EXE_spotter"), "capture", "--json"]);
        command.arg("--lake").arg(lake).args(arguments);
        command.env_remove("RUST_LOG").env_remove("SPOTTER_LAKE");
        let interfaces = arguments.iter().skip_while(|a| **a != "-i").nth(1).map_or(1, |list| list.split(',').count());
        Capture::start(command, interfaces)
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.namespace]).output();
        for here in &self.here {
            let _ = Command::new("ip").args(["link", "del", here]).output();
        }
    }
}

/// A capture on its way; killed when dropped.
pub(crate) struct Capture {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Capture {
    fn start(mut command: Command, interfaces: usize) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spotter starts");
        let stderr = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut capture = Self { child, lines, said: Vec::new() };
        (0..interfaces).for_each(|_| capture.wait_for("capturing by"));
        capture
    }

    /// Waits for a line on standard error that has this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = line.contains(text);
                    self.said.push(line);
                    if found {
                        return;
                    }
                }
                Err(why) => panic!("no {text:?} ({why}); it said: {:#?}", self.said),
            }
        }
    }

    /// Its number: `ip netns exec` becomes the command.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process that reads packets: a child of the one that keeps the interfaces.
    pub(crate) fn reader(&self) -> u32 {
        let (keeper, end) = (self.pid(), Instant::now() + Duration::from_secs(10));
        loop {
            let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).expect("it runs");
            match children.split_whitespace().next().map(str::parse) {
                Some(Ok(reader)) => return reader,
                _ => assert!(Instant::now() < end, "no reader: {children}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// STOP and CONT go to the reader: it is that which shall not read. All others are sent as a user does.
    pub(crate) fn signal(&self, name: &str) {
        let pid = if matches!(name, "STOP" | "CONT") { self.reader() } else { self.pid() };
        let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
        assert!(status.expect("kill starts").success());
    }

    /// Kills it at once, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Its exit status, once it has ended.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    /// Ends it by SIGTERM; its report and exit status.
    pub(crate) fn stop(self) -> (serde_json::Value, Option<i32>) {
        // What was sent may still be in the kernel's backlog, on its way to the interface.
        std::thread::sleep(Duration::from_millis(500));
        self.signal("TERM");
        self.report()
    }

    fn report(mut self) -> (serde_json::Value, Option<i32>) {
        let mut out = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut out).expect("UTF-8");
        let status = self.child.wait().expect("it ends");
        let said: Vec<String> = self.said.iter().cloned().chain(self.lines.iter()).collect();
        let report = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}\n{said:#?}"));
        assert!(!said.iter().any(|line| line.contains("panicked")), "{said:#?}");
        (report, status.code())
    }

    /// Ends it, and checks that all went well and the books closed.
    pub(crate) fn stop_well(self) -> serde_json::Value {
        Self::check(self.stop())
    }

    /// It was told to end: checks the same.
    pub(crate) fn ended_well(self) -> serde_json::Value {
        Self::check(self.report())
    }

    fn check((report, status): (serde_json::Value, Option<i32>)) -> serde_json::Value {
        assert_eq!(report["imbalances"], serde_json::json!([]), "{report:#}");
        assert_eq!((status, &report["error"]), (Some(0), &serde_json::Value::Null), "{report:#}");
        report
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A counter of the report.
pub(crate) fn counter(report: &serde_json::Value, name: &str) -> u64 {
    report["ledger"][name].as_u64().unwrap_or(0)
}

/// Frames to send, all of which a veth carries.
#[derive(Default)]
pub(crate) struct Frames(pub(crate) Vec<Vec<u8>>);

impl Frames {
    /// The Ethernet frames of capture files that were captured whole and that an interface can send.
    pub(crate) fn of_files(paths: &[PathBuf]) -> Self {
        let mut frames = Vec::new();
        for path in paths {
            let Ok(mut reader) = CaptureReader::open(path) else { continue };
            loop {
                match reader.next_frame() {
                    Ok(Some(frame)) => {
                        let whole = frame.data.len() == frame.wire_len as usize;
                        if frame.link == capture::LinkType::ETHERNET && whole && is_carried(frame.data) {
                            frames.push(frame.data.to_vec());
                        }
                    }
                    Ok(None) => break,
                    // Damaged captures: what can be read of them.
                    Err(_) => {}
                }
            }
        }
        Self(frames)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|frame| frame.len() as u64).sum()
    }

    /// As a capture file, a microsecond apart.
    pub(crate) fn write_pcap(&self, path: &Path) {
        let mut out = Vec::new();
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 0x0004_0000, 1] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for (at, frame) in (0_u32..).zip(&self.0) {
            let length = frame.len() as u32;
            for word in [1_700_000_000 + at / 1_000_000, at % 1_000_000 * 1_000, length, length] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            out.extend_from_slice(frame);
        }
        std::fs::write(path, out).expect("written");
    }

    /// Sends all, in order, by one wire: no faster than the kernel's backlog (1,000 packets) is emptied.
    pub(crate) fn send(&self, injector: &Injector) {
        for batch in self.0.chunks(64) {
            let frames: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
            injector.send(&frames).expect("sent");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Sends all, in order: each direction by a wire of its own.
    pub(crate) fn send_by_direction(&self, injectors: &[Injector; 2]) {
        let mut at = 0;
        while at < self.0.len() {
            let port = direction(&self.0[at]);
            let run = self.0[at..].iter().take(64).take_while(|frame| direction(frame) == port).count();
            let frames: Vec<&[u8]> = self.0[at..at + run].iter().map(Vec::as_slice).collect();
            injectors[port].send(&frames).expect("sent");
            // The kernel may deliver behind its back: what comes by the other wire comes later.
            std::thread::sleep(Duration::from_micros(200));
            at += run;
        }
    }
}

pub(crate) fn direction(frame: &[u8]) -> usize {
    match Place::of_ethernet(frame, frame.len() as u32) {
        Place::Plain(a, b) | Place::Deep(Some((a, b))) => usize::from(a > b),
        Place::Deep(None) => 0,
    }
}

/// A network device sends it, and the stack that receives it shows it to capture: whole headers, and behind a VLAN tag at least a type.
fn is_carried(frame: &[u8]) -> bool {
    let tagged = frame.get(12..14).is_some_and(|kind| matches!(kind, [0x81, 0x00] | [0x88, 0xa8]));
    frame.len() >= if tagged { 20 } else { 14 } && frame.len() <= MTU
}
