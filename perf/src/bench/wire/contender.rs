//! What receives: Spotter in its two ways, the flow exporters of others, and the programs that only drop.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capture::probe::{Attached, ProbeError, WireProgram};

use super::super::child::version;
use super::super::{BenchError, BenchOptions};
use super::process::Process;
use super::stage::{IN, Stage};

/// Room for every flow of the benches: the peers' own defaults are 8,192.
const MAX_FLOWS: &str = "1000000";
/// Bytes of the peers' packet rings: as many as Spotter's own in AF_PACKET mode.
const RING: &str = "67108864";

/// See the [module](self).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Contender {
    /// An XDP program that counts and drops: nothing can be quicker.
    DropOnly,
    /// Spotter by XDP.
    Spotter,
    /// Spotter by AF_PACKET.
    SpotterAfPacket,
    Softflowd,
    Pmacctd,
}

/// A contender that receives.
pub(super) enum Running {
    DropOnly(Attached),
    Process {
        kind: Contender,
        process: Process,
        /// What makes the veth take frames, where the contender has no XDP.
        attached: Option<Attached>,
        /// CPU time it took to start.
        started: f64,
        scratch: tempfile::TempDir,
        _drain: Option<Drain>,
    },
}

/// What a contender counted, and what it took.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Packets that are in its flows.
    pub(super) counted: u64,
    /// User and system time of its process from the first packet to its end, seconds.
    pub(super) cpu: f64,
    /// Largest resident set, bytes.
    pub(super) memory: f64,
    /// What it says about losses.
    pub(super) says: String,
}

fn probe(error: ProbeError) -> BenchError {
    BenchError::Probe(error.to_string())
}

impl Contender {
    /// Its name, with version where it has one; or why it cannot be had.
    pub(super) fn name(self) -> Result<String, String> {
        let peer = |program: &str, argument: &str, package: &str| match version(program, argument) {
            Some(version) => Ok(format!("{program} {version}")),
            None => Err(format!("package missing: {package}")),
        };
        match self {
            Self::DropOnly => Ok("XDP drop-only".to_owned()),
            Self::Spotter => Ok("spotter, XDP".to_owned()),
            Self::SpotterAfPacket => Ok("spotter, AF_PACKET".to_owned()),
            Self::Softflowd => peer("softflowd", "-h", "softflowd"),
            Self::Pmacctd => peer("pmacctd", "-V", "pmacct"),
        }
    }

    /// Starts it; when this returns it receives.
    pub(super) fn start(self, stage: &Stage, options: &BenchOptions) -> Result<Running, BenchError> {
        if self == Self::DropOnly {
            return Ok(Running::DropOnly(Attached::new(stage.ifindex, WireProgram::Drop).map_err(probe)?.0));
        }
        let attached = match self {
            Self::Spotter => None,
            _ => Some(Attached::new(stage.ifindex, WireProgram::Pass).map_err(probe)?.0),
        };
        let scratch = tempfile::tempdir()?;
        let (process, drain) = match self {
            Self::Spotter => (spotter(options, scratch.path(), "xdp")?, None),
            Self::SpotterAfPacket => (spotter(options, scratch.path(), "af_packet")?, None),
            _ => {
                let drain = Drain::new()?;
                let mut process = match self {
                    Self::Softflowd => softflowd(scratch.path(), &drain.to)?,
                    _ => pmacctd(scratch.path(), &drain.to)?,
                };
                process.wait_for_socket(stage.ifindex)?;
                (process, Some(drain))
            }
        };
        // Whatever they still do at their start.
        std::thread::sleep(Duration::from_millis(500));
        let started = process.cpu()?;
        Ok(Running::Process { kind: self, process, attached, started, scratch, _drain: drain })
    }
}

impl Running {
    /// Its resident set now, bytes.
    pub(super) fn memory(&self) -> Result<f64, BenchError> {
        match self {
            Self::DropOnly(_) => Ok(0.0),
            Self::Process { process, .. } => process.memory(),
        }
    }

    /// Ends it, after it has taken what is on its way.
    pub(super) fn end(self) -> Result<Outcome, BenchError> {
        match self {
            Self::DropOnly(attached) => {
                Ok(Outcome { counted: attached.seen(), cpu: 0.0, memory: 0.0, says: String::new() })
            }
            Self::Process { kind, process, attached, started, scratch, _drain: drain } => {
                std::thread::sleep(Duration::from_millis(200));
                let mut outcome = match kind {
                    Contender::Softflowd => end_softflowd(process, &scratch.path().join("control"))?,
                    Contender::Pmacctd => end_pmacctd(process)?,
                    _ => end_spotter(process)?,
                };
                outcome.cpu -= started;
                drop((attached, drain));
                Ok(outcome)
            }
        }
    }
}

fn spotter(options: &BenchOptions, scratch: &Path, mode: &str) -> Result<Process, BenchError> {
    let mut command = Command::new(&options.spotter);
    command.args(["capture", "--json", "--lake"]).arg(scratch.join("lake"));
    command.args(["-i", IN, "--mode", mode, "--policy", "tap"]).env_remove("RUST_LOG").env_remove("SPOTTER_LAKE");
    let mut process = Process::start(&mut command)?;
    process.wait_for("capturing by")?;
    Ok(process)
}

fn end_spotter(process: Process) -> Result<Outcome, BenchError> {
    let left = process.end("TERM")?;
    let report: serde_json::Value = serde_json::from_str(&left.out).map_err(|error| BenchError::Failed {
        program: "spotter capture".to_owned(),
        status: format!("its report cannot be read: {error}"),
        message: left.said.join("; "),
    })?;
    let counter = |name: &str| report["ledger"][name].as_u64().unwrap_or(0);
    if report["imbalances"].as_array().is_none_or(|open| !open.is_empty()) {
        return Err(BenchError::Failed {
            program: "spotter capture".to_owned(),
            status: "the books do not close".to_owned(),
            message: report["imbalances"].to_string(),
        });
    }
    let losses = [
        "lost_ring_full",
        "lost_copy_ring",
        "lost_xsk",
        "missed_before_probe",
        "lost_shard_ring",
        "lost_onward_ring",
        "lost_on_write",
    ];
    let says: Vec<String> = losses
        .iter()
        .map(|name| (name, counter(&format!("packets.{name}"))))
        .filter(|(_, packets)| *packets > 0)
        .map(|(name, packets)| format!("{name} {packets}"))
        .collect();
    let lost_on_write = counter("packets.lost_on_write");
    let counted = counter("packets.received").saturating_sub(lost_on_write);
    Ok(Outcome { counted, cpu: left.cpu, memory: left.memory, says: says.join(", ") })
}

fn softflowd(scratch: &Path, to: &str) -> Result<Process, BenchError> {
    let mut command = Command::new("softflowd");
    command.args(["-d", "-i", IN, "-n", to, "-v", "9", "-m", MAX_FLOWS, "-B", RING, "-c"]);
    Process::start(command.arg(scratch.join("control")).arg("-p").arg(scratch.join("pid")))
}

/// softflowd says what it processed through its control socket, and exports its flows when it ends.
fn end_softflowd(process: Process, control: &Path) -> Result<Outcome, BenchError> {
    let output = Command::new("softflowctl").arg("-c").arg(control).arg("statistics").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |label: &str| {
        let line = text.lines().find(|line| line.contains(label));
        line.and_then(|line| line.rsplit(':').next())
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|word| word.parse().ok())
    };
    let processed: Option<u64> = value("Packets processed");
    let Some(processed) = processed else {
        return Err(BenchError::Failed {
            program: "softflowctl".to_owned(),
            status: output.status.to_string(),
            message: format!("no statistics: {text}"),
        });
    };
    let dropped: u64 = value("dropped by libpcap").unwrap_or(0);
    // About a thousand packets stay in libpcap's last block, whatever the rate: they are not lost.
    let counted = processed.max(value("received by libpcap").unwrap_or(0).saturating_sub(dropped));
    let left = process.end("TERM")?;
    Ok(Outcome { counted, cpu: left.cpu, memory: left.memory, says: format!("dropped by libpcap {dropped}") })
}

/// pmacctd with its plugin nfprobe exports flows as softflowd does.
fn pmacctd(scratch: &Path, to: &str) -> Result<Process, BenchError> {
    let configuration = scratch.join("pmacctd.conf");
    let text = format!(
        "daemonize: false\npcap_interface: {IN}\nplugins: nfprobe\nnfprobe_receiver: {to}\nnfprobe_version: 9\n\
         nfprobe_maxflows: {MAX_FLOWS}\nplugin_pipe_size: {RING}\nplugin_buffer_size: 65536\npmacctd_pipe_size: {RING}\n"
    );
    std::fs::write(&configuration, text)?;
    Process::start(Command::new("pmacctd").arg("-f").arg(configuration))
}

/// pmacctd says at SIGUSR1 what its core process took; what did not fit into the pipe to its plugin is a line of its own.
fn end_pmacctd(mut process: Process) -> Result<Outcome, BenchError> {
    process.signal("USR1")?;
    process.wait_for("received_packets=")?;
    let said = process.said().to_vec();
    let number = |label: &str| {
        let line = said.iter().rev().find(|line| line.contains(label));
        let rest = line.and_then(|line| line.split(label).nth(1)).unwrap_or_default();
        rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u64>().ok()).unwrap_or(0)
    };
    let (received, dropped) = (number("received_packets="), number("dropped_packets="));
    let left = process.end("INT")?;
    let missing = left.said.iter().filter(|line| line.contains("Missing data")).count();
    // How much is missing it does not say.
    let counted = if missing > 0 { 0 } else { received.saturating_sub(dropped) };
    let says = format!("dropped {dropped}, {missing} gaps between its processes");
    Ok(Outcome { counted, cpu: left.cpu, memory: left.memory, says })
}

/// Takes exports on loopback and throws them away.
pub(super) struct Drain {
    to: String,
    done: Arc<AtomicBool>,
}

impl Drain {
    fn new() -> Result<Self, BenchError> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        let (to, done) = (socket.local_addr()?.to_string(), Arc::new(AtomicBool::new(false)));
        let until = Arc::clone(&done);
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while !until.load(Ordering::Relaxed) {
                // A time-out or an ICMP error is no reason to stop draining.
                let _ = socket.recv(&mut buffer);
            }
        });
        Ok(Self { to, done })
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}
