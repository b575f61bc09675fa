//! A veth pair in a network namespace of its own, the generator at one end; what was sent, and what it cost the kernel.

use std::fs;
use std::process::Command;
use std::time::Duration;

use capture::probe::{Generator, Sent, Traffic, stage};

use super::super::BenchError;

/// The end the generator sends into, and the end that is captured.
const OUT: &str = "wire0";
/// See [`OUT`].
pub(super) const IN: &str = "wire1";

/// The generator has this CPU, and with it the kernel's half of reception, which on a veth runs where packets are sent.
const CPU: usize = 0;

/// Measured processes go before other load of the machine; the generator before everything.
const NICE: i32 = -18;

/// See the [module](self).
pub(super) struct Stage {
    generator: Generator,
    /// Number of [`IN`].
    pub(super) ifindex: u32,
}

/// The kernel's part of a trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Played {
    pub(super) sent: Sent,
    /// Seconds the generator's CPU spent in soft interrupts: reception.
    pub(super) kernel: f64,
}

fn ip(arguments: &str) -> Result<(), BenchError> {
    let output = Command::new("ip").args(arguments.split_whitespace()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(BenchError::Failed {
        program: format!("ip {arguments}"),
        status: output.status.to_string(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

impl Stage {
    /// Makes the network of the calling thread, and of what it starts. Needs root.
    pub(super) fn new() -> Result<Self, BenchError> {
        stage::enter_own_network()?;
        stage::set_nice(NICE)?;
        // User space has the others: what it starts is where the generator is not.
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        if cpus > 1 {
            stage::stay_on((0..cpus).filter(|cpu| *cpu != CPU))?;
        }
        // The kernel's own frames (neighbour discovery, MLD) would be counted.
        for scope in ["all", "default"] {
            let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
        }
        ip("link set lo up")?;
        ip(&format!("link add {OUT} type veth peer name {IN}"))?;
        for end in [OUT, IN] {
            ip(&format!("link set {end} up"))?;
            // What is merged is no packet of the wire. A veth without GRO needs XDP to take frames at all.
            let _ = Command::new("ethtool").args(["-K", end, "gro", "off"]).output();
        }
        let probe = |error: capture::probe::ProbeError| BenchError::Probe(error.to_string());
        let generator = Generator::load(stage::interface_index(OUT)?).map_err(probe)?;
        Ok(Self { generator, ifindex: stage::interface_index(IN)? })
    }

    /// Sends at a rate for so many seconds; without a rate so many packets as fast as can be.
    pub(super) fn play(&self, traffic: Traffic, rate: Option<f64>, packets: u64) -> Result<Played, BenchError> {
        let before = soft_interrupts()?;
        let sent = std::thread::scope(|scope| {
            let generator = scope.spawn(|| {
                stage::stay_on([CPU])?;
                stage::go_first()?;
                self.generator.run(traffic, rate, packets).map_err(|error| BenchError::Probe(error.to_string()))
            });
            generator.join().map_err(|_| BenchError::Probe("the generator panicked".to_owned()))?
        })?;
        // What is still in the kernel's queues.
        std::thread::sleep(Duration::from_millis(20));
        Ok(Played { sent, kernel: soft_interrupts()? - before })
    }
}

/// Seconds of soft interrupts of the generator's CPU since the machine started; ticks of a hundredth.
fn soft_interrupts() -> Result<f64, BenchError> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().find(|line| line.starts_with(&format!("cpu{CPU} ")));
    let ticks = line.and_then(|line| line.split_whitespace().nth(7)).and_then(|word| word.parse::<f64>().ok());
    ticks.map(|ticks| ticks / 100.0).ok_or_else(|| BenchError::Probe("/proc/stat does not tell".to_owned()))
}
