//! Part `collect`: exports become records, by us and by nfcapd, of the same datagrams in turn.
//!
//! `nfpcapd` makes flows of a synthetic day, of which `nfreplay` exports the busiest hour once, as NetFlow v9, to a socket here that keeps its
//! datagrams. A sender of our own sends these to each contender over loopback: in steps with a pause, so that nothing is lost (CPU per flow and
//! sizes), and without a pause (losses). Loss is what the kernel counts at the contender's socket (`/proc/net/udp`); both ask for the same receive buffer.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

use super::child::{measure, version};
use super::{BenchError, BenchOptions, Better, Figure, Part, Runs, beside};
use crate::synth::{SynthConfig, write_pcap};

/// Flows of the synthetic day; each is two of an exporter.
const FLOWS: u64 = 400_000;
/// Receive buffer of both.
const BUFFER: usize = 32 << 20;
/// Datagrams sent between two looks at what waits in the contender's socket, and how much may wait there.
const STEP: usize = 64;
const MAY_WAIT: u64 = 4 << 20;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who collects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Contender {
    Spotter,
    /// With the compression that writes fastest: none.
    Nfcapd,
    /// With the compression that writes least: bzip2.
    NfcapdBest,
}

/// What a run gave.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    cpu: f64,
    memory: f64,
    /// Datagrams the socket dropped.
    dropped: f64,
    /// Bytes of the files with flows.
    bytes: f64,
    seconds: f64,
}

/// How datagrams are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pace {
    /// Never more waits in the socket than fits.
    Gentle,
    /// As fast as one thread can.
    Flat,
}

fn other(message: impl Into<String>) -> BenchError {
    BenchError::Io(std::io::Error::other(message.into()))
}

pub(super) fn run(options: &BenchOptions, emit: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    let Some(number) = version("nfcapd", "-V") else {
        let why = "nfcapd is not installed: Debian package nfdump".to_owned();
        emit(&beside(Part::Collect, "flows per core", "flows/s", &Runs::default(), Better::More, "nfcapd", Err(why)));
        return Ok(());
    };
    let peer = format!("nfcapd {number}");
    let folder = tempfile::tempdir()?;
    let replay = replay(options, folder.path())?;
    let (flows, datagrams) = (replay.flows as f64, replay.datagrams.len() as f64);
    let (mut own, mut plain, mut best, mut own_flat, mut plain_flat) = (vec![], vec![], vec![], vec![], vec![]);
    for turn in 0..options.runs.max(1) {
        let dir = folder.path().join(format!("turn-{turn}"));
        fs::create_dir(&dir)?;
        let one = |name: &str, contender, pace| contend(contender, pace, options, &replay, &dir.join(name));
        own.push(one("own", Contender::Spotter, Pace::Gentle)?);
        plain.push(one("plain", Contender::Nfcapd, Pace::Gentle)?);
        best.push(one("best", Contender::NfcapdBest, Pace::Gentle)?);
        own_flat.push(one("own-flat", Contender::Spotter, Pace::Flat)?);
        plain_flat.push(one("plain-flat", Contender::Nfcapd, Pace::Flat)?);
    }
    let runs = |list: &[Outcome], value: &dyn Fn(&Outcome) -> f64| Runs(list.iter().map(value).collect());
    let kept = |o: &Outcome| flows * (1.0 - o.dropped / datagrams);
    let mut figure =
        |name: &str, unit, better, who: &str, ours: &[Outcome], theirs: &[Outcome], value: &dyn Fn(&Outcome) -> f64| {
            let mut figure =
                beside(Part::Collect, name, unit, &runs(ours, value), better, who, Ok(&runs(theirs, value)));
            figure.note = Some(format!("{flows} flows in {datagrams} datagrams of NetFlow v9"));
            emit(&figure);
        };
    let with_best = format!("{peer} -j");
    figure("flows per core", "flows/s", Better::More, &peer, &own, &plain, &|o| kept(o) / o.cpu);
    figure("flows per core", "flows/s", Better::More, &with_best, &own, &best, &|o| kept(o) / o.cpu);
    figure("file size", "bytes/flow", Better::Less, &with_best, &own, &best, &|o| o.bytes / kept(o));
    figure("file size", "bytes/flow", Better::Less, &peer, &own, &plain, &|o| o.bytes / kept(o));
    figure("peak memory", "MiB", Better::Less, &peer, &own, &plain, &|o| o.memory / 1_048_576.0);
    figure("kept without pace", "of datagrams", Better::More, &peer, &own_flat, &plain_flat, &|o| {
        1.0 - o.dropped / datagrams
    });
    figure("sent without pace", "flows/s", Better::More, &peer, &own_flat, &plain_flat, &|o| flows / o.seconds);
    Ok(())
}

/// What is sent.
struct Replay {
    datagrams: Vec<Vec<u8>>,
    flows: u64,
}

/// Flows of the given capture, or of a synthetic day, as nfreplay exports them.
fn replay(options: &BenchOptions, folder: &Path) -> Result<Replay, BenchError> {
    let capture = match &options.file {
        Some(given) => given.clone(),
        None => {
            let path = folder.join("synthetic.pcap");
            let config = SynthConfig { snaplen: 96, ..SynthConfig::for_flows(FLOWS) };
            write_pcap(&config, std::io::BufWriter::new(fs::File::create(&path)?), &mut ())?;
            path
        }
    };
    let made = folder.join("made");
    fs::create_dir(&made)?;
    // One file for the whole day.
    measure(Command::new("nfpcapd").args(["-t", "90000", "-r"]).arg(&capture).arg("-w").arg(&made))?;
    let files = files_below(&made)?;
    let Some(file) = files.iter().max_by_key(|(_, bytes)| *bytes).map(|(path, _)| path) else {
        return Err(other("nfpcapd made no file"));
    };
    let sender = |to: &str, port: u16| {
        let mut command = Command::new("nfreplay");
        command.args(["-4", "-v", "9", "-d", "60", "-H", to, "-p", &port.to_string(), "-r"]).arg(file);
        if options.file.is_none() {
            let day = SynthConfig::default().date.to_string().replace('-', "/");
            command.arg("-t").arg(format!("{day}.10:00:00-{day}.10:59:59"));
        }
        command
    };
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let port = socket.local_addr()?.port();
    let mut child =
        sender("127.0.0.1", port).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let (mut datagrams, mut buffer, begun) = (Vec::new(), vec![0; 65_536], Instant::now());
    loop {
        match socket.recv(&mut buffer) {
            Ok(count) => datagrams.push(buffer.get(..count).unwrap_or_default().to_vec()),
            Err(_) if child.try_wait()?.is_some() => break,
            Err(_) if begun.elapsed() > PATIENCE => {
                child.kill()?;
                return Err(other("nfreplay does not end"));
            }
            Err(_) => {}
        }
    }
    let flows = count_flows(&datagrams);
    if flows == 0 { Err(other("nfreplay sent no flow")) } else { Ok(Replay { datagrams, flows }) }
}

/// Data records, counted by our own decoder.
fn count_flows(datagrams: &[Vec<u8>]) -> u64 {
    struct Nowhere;
    impl capture::collect::ExportSink for Nowhere {
        fn flow(&mut self, _: &capture::collect::ExportedFlow) {}
    }
    let mut collector =
        capture::collect::Collector::new(capture::collect::CollectLimits::default(), capture::DecoderConfig::default());
    for datagram in datagrams {
        collector.handle_datagram(capture::Nanos(0), [127, 0, 0, 1].into(), datagram, &mut Nowhere);
    }
    collector.counters().flows
}

fn contend(
    contender: Contender,
    pace: Pace,
    options: &BenchOptions,
    replay: &Replay,
    dir: &Path,
) -> Result<Outcome, BenchError> {
    fs::create_dir(dir)?;
    // A port that was free a moment ago.
    let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut command = match contender {
        Contender::Spotter => {
            let mut command = Command::new(&options.spotter);
            command.args(["collect", "--json", "--listen", &address.to_string()]);
            command.args(["--buffer", &BUFFER.to_string(), "--lake"]).arg(dir);
            command
        }
        Contender::Nfcapd | Contender::NfcapdBest => {
            let mut command = Command::new("nfcapd");
            command.args(["-b", "127.0.0.1", "-p", &port.to_string(), "-t", "3600", "-B", &BUFFER.to_string(), "-w"]);
            command.arg(dir);
            if contender == Contender::NfcapdBest {
                command.arg("-j");
            }
            command
        }
    };
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let sent = send(&mut child, port, address, pace, replay);
    let (dropped, seconds) = match sent {
        Ok(sent) => sent,
        Err(error) => {
            child.kill()?;
            child.wait4()?;
            return Err(error);
        }
    };
    let killed = Command::new("kill").arg(child.id().to_string()).status()?;
    let begun = Instant::now();
    let used = loop {
        if let Some(used) = child.try_wait4()? {
            break used;
        }
        if begun.elapsed() > PATIENCE || !killed.success() {
            child.kill()?;
            child.wait4()?;
            return Err(other(format!("{contender:?} does not end")));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    // Templates come first in each of nfreplay's datagrams: what is lost are data. Names of files with flows.
    let is_flows = |path: &PathBuf| match contender {
        Contender::Spotter => path.starts_with(dir.join("flow")),
        _ => path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("nfcapd.")),
    };
    let bytes: u64 = files_below(dir)?.iter().filter(|(path, _)| is_flows(path)).map(|(_, bytes)| bytes).sum();
    if bytes == 0 {
        return Err(other(format!("{contender:?} wrote no flow")));
    }
    Ok(Outcome {
        cpu: (used.rusage.utime + used.rusage.stime).as_secs_f64(),
        memory: used.rusage.maxrss as f64,
        dropped: dropped as f64,
        bytes: bytes as f64,
        seconds,
    })
}

/// Sends all datagrams, and waits until the contender has read them. Gives what its socket dropped and how long sending took.
fn send(child: &mut Child, port: u16, to: SocketAddr, pace: Pace, replay: &Replay) -> Result<(u64, f64), BenchError> {
    let begun = Instant::now();
    while socket(port)?.is_none() {
        if let Some(status) = child.try_wait()? {
            return Err(other(format!("the collector ended at once: {status}")));
        }
        if begun.elapsed() > PATIENCE {
            return Err(other("the collector does not listen"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let from = UdpSocket::bind("127.0.0.1:0")?;
    from.connect(to)?;
    let begun = Instant::now();
    for step in replay.datagrams.chunks(STEP) {
        for datagram in step {
            from.send(datagram)?;
        }
        if pace == Pace::Gentle {
            wait(port, MAY_WAIT)?;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    wait(port, 0)?;
    // What was read is in its memory; both write when they end.
    std::thread::sleep(Duration::from_millis(300));
    let (_, dropped) = socket(port)?.ok_or_else(|| other("the collector is gone"))?;
    Ok((dropped, seconds))
}

fn wait(port: u16, bytes: u64) -> Result<(), BenchError> {
    let begun = Instant::now();
    while socket(port)?.is_some_and(|(waiting, _)| waiting > bytes) {
        if begun.elapsed() > PATIENCE {
            return Err(other("the collector does not read"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Bytes that wait in the UDP socket bound to this port of loopback, and datagrams it dropped.
fn socket(port: u16) -> Result<Option<(u64, u64)>, BenchError> {
    let text = fs::read_to_string("/proc/net/udp")?;
    let local = format!("0100007F:{port:04X}");
    Ok(text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.get(1) == Some(&local.as_str())).then_some(())?;
        let waiting = u64::from_str_radix(words.get(4)?.split_once(':')?.1, 16).ok()?;
        Some((waiting, words.last()?.parse().ok()?))
    }))
}

fn files_below(dir: &Path) -> std::io::Result<Vec<(PathBuf, u64)>> {
    let (mut found, mut left) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_dir() {
                left.push(entry.path());
            } else {
                found.push((entry.path(), meta.len()));
            }
        }
    }
    Ok(found)
}
