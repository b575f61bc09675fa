//! `spotter collect` and `[[collect]]`: what real exporters saw equals what the lake holds, and a kill leaves a gap that is in the ledger.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{command, rows};

/// A running collector, which says where it listens. Ended by SIGTERM; killed where a test fails.
pub(crate) struct Collecting {
    child: Child,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Collecting {
    fn start(args: &[&str], listeners: usize) -> Self {
        let mut child =
            command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spotter starts");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let (mut addresses, mut all) = (Vec::new(), String::new());
        while addresses.len() < listeners {
            let mut line = String::new();
            let count = said.read_line(&mut line).expect("text");
            assert!(count > 0, "ended before it listened: {all}");
            if let Some((_, rest)) = line.split_once("listening on ") {
                let word = rest.split_whitespace().next().expect("an address");
                addresses.push(word.parse().expect("an address"));
            }
            all.push_str(&line);
        }
        std::thread::spawn(move || drop(said.read_to_string(&mut String::new())));
        Self { child, addresses }
    }

    /// `spotter collect` on a free port.
    pub(crate) fn collect(lake: &Path, more: &[&str]) -> Self {
        let lake = lake.to_string_lossy().into_owned();
        let args = ["collect", "--json", "--listen", "127.0.0.1:0", "--lake", &lake, "--sensor", "router"];
        let others = more.iter().filter(|arg| arg.starts_with("--listen-")).count();
        Self::start(&[&args, more].concat(), 1 + others)
    }

    /// SIGTERM; its report.
    pub(crate) fn end(mut self) -> serde_json::Value {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(killed.success());
        let mut out = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut out).expect("text");
        assert_eq!(self.child.wait().expect("ends").code(), Some(0), "{out}");
        serde_json::from_str(&out).unwrap_or(serde_json::Value::Null)
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        drop(self.child.kill());
    }
}

/// Whether a peer is there; in CI it has to be.
pub(crate) fn has(program: &str, package: &str) -> bool {
    let there =
        Command::new("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|o| o.status.success());
    assert!(there || std::env::var_os("CI").is_none(), "{program} is missing: Debian package {package}");
    if !there {
        eprintln!("SKIPPED: {program} is not installed (Debian package {package})");
    }
    there
}

/// Some thousand packets of an organisation's day.
pub(crate) fn capture(dir: &Path) -> PathBuf {
    let path = dir.join("day.pcap");
    let config = perf::synth::SynthConfig {
        hosts: perf::synth::SynthConfig::MIN_HOSTS,
        activity: 0.05,
        volume: 0.05,
        attacks: std::collections::BTreeSet::new(),
        ..perf::synth::SynthConfig::default()
    };
    perf::synth::write_pcap(&config, fs::File::create(&path).expect("made"), &mut ()).expect("written");
    path
}

pub(crate) fn ran(command: &mut Command) -> String {
    let output = command.output().expect("runs");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

/// Flow, from whom to whom: packets and bytes. Ports of ICMP are left out: exporters differ in where they put type and code.
pub(crate) type Seen = BTreeMap<(String, String, u64, u64, u64), (u64, u64)>;

pub(crate) fn add(seen: &mut Seen, ends: (String, String), ports: (u64, u64), proto: u64, counts: (u64, u64)) {
    let ports = if matches!(proto, 1 | 58) { (0, 0) } else { ports };
    let sum = seen.entry((ends.0, ends.1, ports.0, ports.1, proto)).or_default();
    *sum = (sum.0 + counts.0, sum.1 + counts.1);
}

/// Every direction in the lake.
pub(crate) fn in_lake(lake: &Path) -> Seen {
    let mut seen = Seen::new();
    for row in rows(lake, "select * from flow") {
        let (text, number) =
            (|name: &str| row[name].as_str().unwrap_or_default().to_owned(), |name: &str| row[name].as_u64());
        let (ends, ports) =
            ((text("src_ip"), text("dst_ip")), (number("src_port").unwrap(), number("dst_port").unwrap()));
        let proto = number("proto").unwrap();
        add(&mut seen, ends.clone(), ports, proto, (number("src_packets").unwrap(), number("src_bytes").unwrap()));
        if let Some(packets) = number("dst_packets") {
            add(&mut seen, (ends.1, ends.0), (ports.1, ports.0), proto, (packets, number("dst_bytes").unwrap()));
        }
    }
    seen
}

#[track_caller]
pub(crate) fn same(ours: &Seen, theirs: &Seen) {
    assert!(!theirs.is_empty());
    let missing: Vec<_> = theirs.iter().filter(|(key, value)| ours.get(*key) != Some(value)).take(5).collect();
    let more: Vec<_> = ours.iter().filter(|(key, value)| theirs.get(*key) != Some(value)).take(5).collect();
    assert!(missing.is_empty() && more.is_empty(), "only theirs: {missing:#?}\nonly ours: {more:#?}");
}

/// What softflowd says of its flows: by protocol, bytes and packets.
fn softflowd_totals(said: &str) -> BTreeMap<u64, (u64, u64)> {
    let lines = said.lines().skip_while(|line| !line.starts_with("Per-protocol")).skip(1);
    lines
        .filter_map(|line| {
            let proto = line.split_once('(')?.1.split_once(')')?.0.parse().ok()?;
            let mut numbers = line.split_once(':')?.1.split_whitespace().map(|word| word.parse::<u64>());
            Some((proto, (numbers.next()?.ok()?, numbers.next()?.ok()?)))
        })
        .collect()
}

#[test]
fn what_softflowd_saw_is_in_the_lake_by_netflow_5_and_9_and_ipfix_over_udp_and_tcp() {
    if !has("softflowd", "softflowd") {
        return;
    }
    let dir = tempfile::tempdir().expect("folder");
    let capture = capture(dir.path());
    for (version, transport) in [("5", "udp"), ("9", "udp"), ("10", "udp"), ("10", "tcp")] {
        let lake = dir.path().join(format!("lake-{version}-{transport}"));
        let collecting = Collecting::collect(&lake, &["--listen-tcp", "127.0.0.1:0"]);
        let to = collecting.addresses[usize::from(transport == "tcp")].to_string();
        let mut command = Command::new("softflowd");
        command.arg("-r").arg(&capture).args(["-n", &to, "-v", version, "-P", transport, "-d", "-c", "none", "-p"]);
        let said = ran(command.arg(dir.path().join("pid")));
        // What is in the sockets is read before the end.
        let report = collecting.end();
        let expected = softflowd_totals(&said);
        let ledger = &report["ledger"];
        // softflowd 1.1.0 numbers IPFIX messages by other than their data records: none is missing, as its own count says.
        assert!(version == "10" || ledger["sequence.lost"] == 0, "{ledger:#}");
        let exported =
            said.lines().find_map(|line| line.strip_prefix("Flows exported: ")?.split_once('(')).expect("a count");
        let exported: u64 = exported.1.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a count");
        assert_eq!(ledger["exported.flows"], exported, "{said}");
        let found: BTreeMap<u64, (u64, u64)> = rows(
            &lake,
            "select proto, cast(sum(src_bytes + coalesce(dst_bytes, 0)) as bigint) as b, cast(sum(src_packets + coalesce(dst_packets, 0)) as bigint) as p from flow group by 1",
        )
        .iter()
        .map(|row| (row["proto"].as_u64().unwrap(), (row["b"].as_u64().unwrap(), row["p"].as_u64().unwrap())))
        .collect();
        assert!(expected.len() >= 2, "{said}");
        assert_eq!(found, expected, "version {version} over {transport}: {said}\n{ledger:#}");
    }
}

#[test]
fn what_pmacctd_saw_is_in_the_lake_flow_by_flow() {
    if !has("pmacctd", "pmacct") {
        return;
    }
    let dir = tempfile::tempdir().expect("folder");
    let (capture, lake) = (capture(dir.path()), dir.path().join("lake"));
    // The core hands packets to its plugins by 64 and keeps what is less: these push the real ones through.
    let mark = push(&capture);
    let collecting = Collecting::collect(&lake, &[]);
    let [config, table, log] = ["pmacctd.conf", "seen.csv", "log"].map(|name| dir.path().join(name));
    // One plugin exports, the other writes down what was seen.
    let text = format!(
        "daemonize: false\npcap_savefile: {}\npcap_savefile_wait: true\nlogfile: {}\nplugins: nfprobe[n], print[p]\nnfprobe_receiver[n]: {}\nnfprobe_version[n]: 10\n\
         aggregate[p]: src_host,dst_host,src_port,dst_port,proto\nprint_output[p]: csv\nprint_output_file[p]: {}\n\
         print_output_file_append[p]: true\nprint_refresh_time[p]: 86400\n",
        capture.display(),
        log.display(),
        collecting.addresses[0],
        table.display()
    );
    fs::write(&config, text).expect("written");
    let mut pmacctd = Command::new("pmacctd").arg("-f").arg(&config).spawn().expect("pmacctd starts");
    let end = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(&log).unwrap_or_default().contains("finished reading") {
        assert!(Instant::now() < end, "pmacctd has not read the capture within 60 s");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Its plugins are other processes: they get what is in their pipes before the signal.
    std::thread::sleep(Duration::from_secs(2));
    ran(Command::new("kill").args(["-INT", &pmacctd.id().to_string()]));
    pmacctd.wait().expect("ended");
    let report = collecting.end();
    assert_eq!(report["ledger"]["sequence.lost"], 0);
    let mut theirs = Seen::new();
    let table = fs::read_to_string(&table).expect("pmacctd wrote its table");
    for line in table.lines().filter(|line| !line.starts_with("SRC_IP")) {
        let words: Vec<&str> = line.split(',').collect();
        let [src, dst, src_port, dst_port, proto, packets, bytes] = words[..] else { panic!("{line}") };
        let number = |word: &str| word.parse::<u64>().expect(line);
        let proto = match proto {
            "tcp" => 6,
            "udp" => 17,
            "icmp" => 1,
            "ipv6-icmp" | "icmp6" => 58,
            other => number(other),
        };
        add(
            &mut theirs,
            (src.to_owned(), dst.to_owned()),
            (number(src_port), number(dst_port)),
            proto,
            (number(packets), number(bytes)),
        );
    }
    let mut ours = in_lake(&lake);
    for seen in [&mut ours, &mut theirs] {
        seen.retain(|(src, ..), _| *src != mark);
    }
    assert!(theirs.len() > 100);
    same(&ours, &theirs);
}

/// Adds UDP packets of an address that is nobody's, which it gives.
fn push(capture: &Path) -> String {
    let mut bytes = fs::read(capture).expect("read");
    let mut last = [0; 8];
    let mut at = 24;
    while let Some(head) = bytes.get(at..at + 16) {
        last.copy_from_slice(&head[..8]);
        at += 16 + u32::from_le_bytes(head[8..12].try_into().expect("4 bytes")) as usize;
    }
    let ethernet = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 203, 0, 113, 99, 203, 0, 113, 98];
    let udp = [0, 9, 0, 9, 0, 8, 0, 0];
    let frame = [&ethernet[..], &ip, &udp].concat();
    for _ in 0..200 {
        bytes.extend(last);
        bytes.extend([(frame.len() as u32).to_le_bytes(); 2].concat());
        bytes.extend(&frame);
    }
    fs::write(capture, bytes).expect("written");
    "203.0.113.99".to_owned()
}

#[test]
fn what_nfreplay_sends_is_in_the_lake_flow_by_flow() {
    if !has("nfreplay", "nfdump") || !has("nfpcapd", "nfdump") {
        return;
    }
    let dir = tempfile::tempdir().expect("folder");
    let capture = capture(dir.path());
    let made = dir.path().join("made");
    fs::create_dir(&made).expect("made");
    ran(Command::new("nfpcapd").args(["-t", "90000", "-r"]).arg(&capture).arg("-w").arg(&made));
    // It may begin another file at an odd hour.
    let files = fs::read_dir(&made).expect("read").map(|entry| entry.expect("an entry").path());
    let file = files.max_by_key(|path| path.metadata().map_or(0, |meta| meta.len()));
    let file = file.expect("nfpcapd made a file");
    for (version, filter) in [("9", "any"), ("5", "inet")] {
        let lake = dir.path().join(format!("lake-{version}"));
        let collecting = Collecting::collect(&lake, &[]);
        let port = collecting.addresses[0].port().to_string();
        ran(Command::new("nfreplay")
            .args(["-4", "-H", "127.0.0.1", "-p", &port, "-v", version, "-d", "100", "-r"])
            .arg(&file)
            .arg(filter));
        let report = collecting.end();
        assert_eq!(report["ledger"]["datagrams.dropped_by_socket"], 0);
        let listed = ran(Command::new("nfdump")
            .arg("-q")
            .args(["-o", "fmt:%pr,%sa,%da,%sp,%dp,%pkt,%byt", "-N", "-6", "-r"])
            .arg(&file)
            .arg(filter));
        let mut theirs = Seen::new();
        for line in listed.lines().filter(|line| line.contains(',')) {
            let words: Vec<&str> = line.split(',').map(str::trim).collect();
            let [proto, src, dst, src_port, dst_port, packets, bytes] = words[..] else { panic!("{line}") };
            let proto = proto.parse().expect(line);
            let port = |word: &str| word.split('.').next().unwrap_or_default().parse().unwrap_or(0);
            let ends = (src.to_owned(), dst.to_owned());
            add(
                &mut theirs,
                ends,
                (port(src_port), port(dst_port)),
                proto,
                (packets.parse().expect(line), bytes.parse().expect(line)),
            );
        }
        same(&in_lake(&lake), &theirs);
    }
}

/// A NetFlow v9 datagram with one flow, different for each number; the template on demand.
fn netflow9(number: u32, with_template: bool) -> Vec<u8> {
    let be16 = |numbers: &[u16]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    let mut datagram = be16(&[9, 1 + u16::from(with_template)]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() as u32;
    for word in [1_000, now, number, 0_u32] {
        datagram.extend(word.to_be_bytes());
    }
    if with_template {
        datagram.extend(be16(&[0, 36, 256, 7, 8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 4, 2, 4]));
    }
    let [_, a, b, c] = number.to_be_bytes();
    datagram.extend(be16(&[256, 25]));
    datagram.extend([10, a, b, c, 192, 0, 2, 1, 0x9c, 0x40, 1, 0xbb, 6, 0, 0, 0, 100, 0, 0, 0, 1]);
    datagram
}

fn total(lake: &Path, counter: &str) -> u64 {
    let sql = format!(
        "select cast(coalesce(sum(value), 0) as bigint) as n from ledger where source = 'collect' and counter = '{counter}'"
    );
    rows(lake, &sql)[0]["n"].as_u64().expect("a number")
}

#[test]
fn a_kill_keeps_the_templates_and_every_flow_is_in_a_record_or_counted_as_lost() {
    let dir = tempfile::tempdir().expect("folder");
    let lake = dir.path().join("lake");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let mut sent = 0_u32;
    let mut send = |to: SocketAddr, count: u32, with_template: bool| {
        for _ in 0..count {
            drop(socket.send_to(&netflow9(sent, with_template), to));
            sent += 1;
        }
    };
    let collecting = Collecting::collect(&lake, &["--flush", "1s", "--active-timeout", "1s"]);
    let address = collecting.addresses[0];
    send(address, 100, true);
    let end = Instant::now() + Duration::from_secs(30);
    // Written: nothing of these waits in memory any more.
    while rows_of_flows(&lake) < 100 {
        assert!(Instant::now() < end, "the first flows are not in the lake within 30 s");
        std::thread::sleep(Duration::from_millis(200));
    }
    // Received or not, these are in no set when the kill comes; the next find nobody.
    send(address, 50, false);
    collecting.kill();
    send(address, 30, false);
    let (before, down) = (100, 80);
    let collecting = Collecting::collect(&lake, &["--flush", "1s"]);
    send(collecting.addresses[0], 70, false);
    let report = collecting.end();
    let ledger = &report["ledger"];
    assert_eq!(ledger["sets.without_template"], 0, "the template outlived the kill: {ledger:#}");
    let (lost, crash) = (total(&lake, "sequence.lost"), total(&lake, "exported.lost_at_crash"));
    let kept = rows_of_flows(&lake);
    assert_eq!(kept + lost + crash, u64::from(sent), "kept {kept}, lost {lost}, lost at the crash {crash}: {ledger:#}");
    // A flush between sending and the kill may have brought some of the 50 into memory or the lake, never more.
    assert!(lost + crash >= 30 && lost + crash <= down, "lost {lost}, at the crash {crash}");
    assert!(kept >= before + 70);
    assert_eq!(total(&lake, "sequence.lost_over_restart"), lost);
    let exporter = rows(
        &lake,
        "select cast(sum(value) as bigint) as n from ledger where source like 'collect netflow9 127.0.0.1%' and counter = 'exporter.sequence.lost'",
    );
    assert_eq!(exporter[0]["n"].as_u64(), Some(lost), "who lost it is told");
}

fn rows_of_flows(lake: &Path) -> u64 {
    let lake = lake.to_string_lossy().into_owned();
    let ran = crate::support::spotter(["query", "--lake", &lake, "--format", "csv", "select count(*) from flow"]);
    ran.out.lines().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn the_appliance_collects_from_whom_it_is_told_to() {
    let dir = tempfile::tempdir().expect("folder");
    let (lake, config) = (dir.path().join("lake"), dir.path().join("spotter.toml"));
    let text = format!(
        "[lake]\ndir = {lake:?}\n[ui]\nenabled = false\n[score]\nenabled = false\n\
         [[collect]]\nname = \"all\"\nlisten = [\"127.0.0.1:0\"]\nallow = [\"127.0.0.0/8\"]\nflush = \"500ms\"\n\
         [[collect]]\nname = \"nobody\"\nlisten = [\"127.0.0.1:0\"]\nallow = [\"192.0.2.1\"]\nsensor = \"edge\"\nflush = \"500ms\"\n"
    );
    fs::write(&config, text).expect("written");
    let config = config.to_string_lossy().into_owned();
    crate::support::spotter(["config", "check", "-c", &config]).done();
    let running = Collecting::start(&["run", "-c", &config], 2);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    for address in &running.addresses {
        for number in 0..3 {
            socket.send_to(&netflow9(number, true), address).expect("sent");
        }
    }
    std::thread::sleep(Duration::from_millis(500));
    running.end();
    assert_eq!(rows_of_flows(&lake), 3);
    let denied = rows(
        &lake,
        "select source, sensor, sum(value) as n from ledger where counter = 'datagrams.denied' group by 1, 2",
    );
    assert_eq!(denied.len(), 1, "{denied:?}");
    assert_eq!(
        (&denied[0]["source"], &denied[0]["sensor"], denied[0]["n"].as_u64()),
        (&"nobody".into(), &"edge".into(), Some(3))
    );

    let bad = dir.path().join("bad.toml");
    fs::write(&bad, "[[collect]]\nname = \"a\"\nallow = [\"router\"]\nlisten_tls = [\"[::]:4740\"]\nlisten_dtls = [\"[::]:4740\"]\n")
        .expect("written");
    let told = crate::support::spotter(["config", "check", "-c", &bad.to_string_lossy()]);
    let parts = [
        "collect[0].allow: 'router' is not a network",
        "listen_tls needs tls_cert and tls_key",
        "listen_dtls needs tls_cert and tls_key",
    ];
    for part in parts {
        assert!(told.status == Some(2) && told.err.contains(part), "{part} in {}", told.err);
    }
}
