//! A traffic generator and receivers that do nothing: what `spotter bench capture` measures with and beside.
//!
//! The generator sends whole frames into an interface of this thread's network namespace, from within the kernel; the
//! interface at the other end must have XDP or GRO, or a veth swallows them without a count.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use aya::maps::{MapData, XskMap};
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};
use probe_common::generator::{BURST, Orders};

use super::load::{mapped_array, xdp};
use super::map::Mapped;
use super::options::ProbeError;
use crate::xsk::{Socket, SocketOptions};

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traffic {
    /// TCP connections, both directions, frames of 60 bytes; each as often as the others, in random order.
    pub flows: u32,
    /// Of 65,536 packets, how many are DNS: questions and their answers, each for a name of its own.
    pub dns: u32,
    /// All of it in VXLAN.
    pub vxlan: bool,
}

/// What was sent.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Sent {
    /// Packets handed to the interface.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of those, DNS.
    pub dns: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Sends frames of its own making.
#[derive(Debug)]
pub struct Generator {
    ebpf: Ebpf,
    orders: Mapped<Orders>,
    ifindex: u32,
}

/// Seed of the first run; each goes on where the last ended.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

impl Generator {
    /// Loads it. Takes CAP_BPF and CAP_NET_ADMIN (or root).
    pub fn load(ifindex: u32) -> Result<Self, ProbeError> {
        let mut ebpf = EbpfLoader::new().load(xdp_probe::WIRE)?;
        for program in ["generate", "generate_vxlan"] {
            xdp(&mut ebpf, program)?.load()?;
        }
        let orders = mapped_array(ebpf.take_map("ORDERS").ok_or(ProbeError::Missing("ORDERS"))?, 1)?;
        orders.write(0, Orders { random: SEED, ..Orders::default() });
        Ok(Self { ebpf, orders, ifindex })
    }

    /// Sends at `rate` packets a second for about so long, from this thread; without a rate as fast as can be, `packets`
    /// of them. A rate is a positive number.
    pub fn run(&self, traffic: Traffic, rate: Option<f64>, packets: u64) -> Result<Sent, ProbeError> {
        if rate.is_some_and(|rate| !(1.0..1e9).contains(&rate)) {
            return Err(ProbeError::OutOfRange("rate", "1 to 1,000,000,000 packets a second"));
        }
        let Traffic { flows, dns, vxlan } = traffic;
        let before = self.orders.read(0);
        self.orders.write(
            0,
            Orders {
                gap: rate.map_or(0, |rate| (65_536e9 / rate) as u64),
                // Two milliseconds of packets.
                patience: rate.map_or(u64::MAX, |rate| ((rate / 500.0) as u64).max(2 * BURST)),
                flows: u64::from(flows.max(1)),
                dns: u64::from(dns),
                ifindex: u64::from(self.ifindex),
                random: before.random,
                dns_sent: before.dns_sent,
                ..Orders::default()
            },
        );
        let name = if vxlan { "generate_vxlan" } else { "generate" };
        let program: &Xdp = self.ebpf.program(name).ok_or(ProbeError::Missing("program"))?.try_into()?;
        let frame = vec![0; if vxlan { 110 } else { 60 }];
        // Frames leave when a batch is full: no later than 100 microseconds at this rate.
        let batch = rate.map_or(BURST as u32, |rate| ((rate / 10_000.0) as u32).clamp(1, BURST as u32));
        let begun = Instant::now();
        // The generator leaves packets out where it is late: an end is set by the clock, too.
        let most = rate.map(|rate| Duration::from_secs_f64(packets as f64 / rate));
        loop {
            let now = self.orders.read(0);
            let left = packets.saturating_sub(now.sent + now.skipped);
            if left == 0 || most.is_some_and(|most| begun.elapsed() >= most) {
                break;
            }
            let mut options = TestRunOptions::new();
            options.data_in = Some(&frame);
            options.repeat = u32::try_from(left).unwrap_or(u32::MAX);
            options.attrs = TestRunAttrs::new().xdp_live_frames(batch);
            program.test_run(options)?;
        }
        let after = self.orders.read(0);
        Ok(Sent {
            packets: after.sent,
            bytes: after.bytes,
            dns: after.dns_sent - before.dns_sent,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

/// A receiver that does next to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireProgram {
    /// Everything goes on into the stack.
    Pass,
    /// Everything is counted and dropped.
    Drop,
    /// Everything goes to AF_XDP sockets.
    ToSocket,
}

impl WireProgram {
    const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop_all",
            Self::ToSocket => "to_socket",
        }
    }
}

/// A program on an interface, as long as it lives.
pub struct Attached {
    // Dropped in this order: detached before the sockets are closed.
    _ebpf: Ebpf,
    _sockets: XskMap<MapData>,
    seen: Mapped<u64>,
}

impl Attached {
    /// Attaches a program in driver mode; with [`WireProgram::ToSocket`] opens a socket for queue 0.
    pub fn new(ifindex: u32, program: WireProgram) -> Result<(Self, Option<Socket>), ProbeError> {
        let mut ebpf = EbpfLoader::new().load(xdp_probe::WIRE)?;
        let name = program.name();
        xdp(&mut ebpf, name)?.load()?;
        let mut take = |name: &'static str| ebpf.take_map(name).ok_or(ProbeError::Missing(name));
        let seen = mapped_array(take("SEEN")?, 2)?;
        let mut sockets = XskMap::try_from(take("SOCKETS")?)?;
        let socket = if program == WireProgram::ToSocket {
            let socket = open(ifindex).map_err(|error| ProbeError::System("opening an AF_XDP socket", error))?;
            sockets.set(0, socket.as_raw_fd(), 0)?;
            Some(socket)
        } else {
            None
        };
        xdp(&mut ebpf, name)?.attach_to_if_index(ifindex, XdpMode::Driver)?;
        Ok((Self { _ebpf: ebpf, _sockets: sockets, seen }, socket))
    }

    /// Packets that came in, except with [`WireProgram::Pass`].
    pub fn seen(&self) -> u64 {
        self.seen.read(0)
    }
}

/// Queue 0; the kernel lets go of it a while after the last socket there was closed.
fn open(ifindex: u32) -> std::io::Result<Socket> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match Socket::open(ifindex, 0, &SocketOptions::default()) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached").field("seen", &self.seen()).finish_non_exhaustive()
    }
}
