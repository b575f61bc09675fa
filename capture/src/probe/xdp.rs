//! An interface captured by the probe: opened, looked after, stopped, put back.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::load::{Probe, ProbeClock, ProbeError, ProbeOptions, Verdicts};
use super::receiver::AreaReceiver;
use crate::af_packet::{Control, Offloads};
use crate::live::source::{Interface, LinkEvent, Mode, QueueName, Receiver, SourceError};
use crate::live::{Filter, Policy};
use crate::xsk::{Promiscuous, Socket, SocketOptions};

/// Settings of [`Xdp::open`].
#[derive(Clone, Debug)]
pub struct XdpOptions {
    /// What the interface is for.
    pub policy: Policy,
    /// One packet of so many is looked at; 1 = all.
    pub sample: u32,
    /// What is dropped early.
    pub filter: Filter,
    /// How often the cache is read. Default 500 ms: shorter than any timeout of the flow table, and records are that late.
    pub sweep: Duration,
    /// Bytes of the flow cache, over all areas and both generations. Default 64 MiB.
    pub cache_bytes: u64,
    /// Flows in different VLANs are different flows.
    pub vlan_in_key: bool,
    /// Of the AF_XDP sockets.
    pub socket: SocketOptions,
    /// The stack's XDP, though the driver has its own.
    pub generic: bool,
}

impl XdpOptions {
    /// The defaults for a policy.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            sample: 1,
            filter: Filter::default(),
            sweep: Duration::from_millis(500),
            cache_bytes: 64 << 20,
            vlan_in_key: false,
            socket: SocketOptions::default(),
            generic: false,
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub struct Xdp {
    name: String,
    ifindex: u32,
    mode: Mode,
    options: XdpOptions,
    control: Control,
    probe: Probe,
    receivers: Vec<AreaReceiver>,
    flipped: Instant,
    is_up: bool,
    is_gone: bool,
    stopped: bool,
    /// Flips put off because a receiver had not read the generation before.
    late_sweeps: u64,
    offloads: Option<Offloads>,
    promiscuous: Option<Promiscuous>,
}

impl std::fmt::Debug for AreaReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AreaReceiver").field("name", self.name()).finish_non_exhaustive()
    }
}

/// A probe that is attached, and its receivers.
type Attached = (Probe, Vec<AreaReceiver>);

impl Xdp {
    /// Opens the interface in the driver, else in the stack: packets come in from now on. Takes CAP_BPF, CAP_NET_ADMIN
    /// and CAP_NET_RAW.
    pub fn open(name: &str, options: XdpOptions) -> Result<Self, SourceError> {
        let kernel = |doing: &'static str| move |error: io::Error| SourceError::kernel(doing, name, error);
        let control = Control::new().map_err(kernel("opening a control socket"))?;
        let ifindex = control.index(name).map_err(kernel("looking up"))?;
        let ifindex = ifindex.ok_or_else(|| SourceError::NoInterface(name.to_owned()))?;
        let kind = control.link_kind(name).map_err(kernel("looking at"))?;
        if !matches!(kind, 1 | 772) {
            return Err(SourceError::NotEthernet { interface: name.to_owned(), kind });
        }
        let flags = control.flags(name).map_err(kernel("looking at"))?;
        // Before the first packet comes in. Where the driver refuses, merged frames reach the decoder as they are.
        let offloads = Offloads::turn_off(&control, name, options.policy)
            .inspect_err(|error| tracing::warn!(interface = name, %error, "offloads cannot be turned off"))
            .ok();
        let promiscuous = match options.policy {
            Policy::Tap => Some(Promiscuous::of(ifindex).map_err(kernel("setting promiscuous mode"))?),
            Policy::Inline => None,
        };
        let (mode, (probe, receivers)) = attach(name, ifindex, &options)?;
        probe.set_filter(&options.filter);
        Ok(Self {
            name: name.to_owned(),
            ifindex,
            mode,
            options,
            control,
            probe,
            receivers,
            flipped: Instant::now(),
            is_up: flags & libc::IFF_UP != 0,
            is_gone: false,
            stopped: false,
            late_sweeps: 0,
            offloads,
            promiscuous,
        })
    }

    /// Whether every receiver has read what was closed.
    fn is_read(&self) -> bool {
        let shared = &self.probe.shared;
        let closed = shared.closed.load(Ordering::Acquire);
        shared.swept.iter().all(|swept| swept.load(Ordering::Acquire) >= closed)
    }

    fn flip_if_due(&mut self) {
        if self.flipped.elapsed() < self.options.sweep || self.stopped {
            return;
        }
        if !self.is_read() {
            self.late_sweeps += 1;
            return;
        }
        let now = self.probe.now();
        self.probe.flip(now);
        self.flipped = Instant::now();
    }
}

/// Attaches in the best mode there is.
fn attach(name: &str, ifindex: u32, options: &XdpOptions) -> Result<(Mode, Attached), SourceError> {
    let error = |error: ProbeError| SourceError::kernel("attaching XDP", name, error.into_io());
    let mut refusal = None;
    if !options.generic {
        for frags in [true, false] {
            match attach_as(name, ifindex, options, Mode::XdpDriver, frags) {
                Ok(attached) => return Ok((Mode::XdpDriver, attached)),
                Err(ProbeError::Program(program)) if is_busy(&program) => {
                    return Err(SourceError::Refused(format!(
                        "'{name}' has an XDP program already (`ip link show {name}`): take it off, or use --mode af_packet"
                    )));
                }
                Err(error) => refusal = Some(error),
            }
        }
        if let Some(refusal) = &refusal {
            tracing::info!(interface = name, %refusal, "no XDP in the driver: trying the stack's");
        }
    }
    match attach_as(name, ifindex, options, Mode::XdpGeneric, false) {
        Ok(attached) => Ok((Mode::XdpGeneric, attached)),
        // What the driver said tells more, where there was no right to load anything.
        Err(generic) => Err(error(refusal.unwrap_or(generic))),
    }
}

fn is_busy(error: &aya::programs::ProgramError) -> bool {
    match error {
        aya::programs::ProgramError::SyscallError(error) => error.io_error.kind() == io::ErrorKind::ResourceBusy,
        _ => false,
    }
}

fn attach_as(name: &str, ifindex: u32, options: &XdpOptions, mode: Mode, frags: bool) -> Result<Attached, ProbeError> {
    let driver = mode == Mode::XdpDriver;
    let system = |doing: &'static str| move |error: io::Error| ProbeError::System(doing, error);
    let queues = count(&format!("/sys/class/net/{name}/queues"), "rx-").map_err(system("counting queues"))?;
    let cpus = count("/sys/devices/system/cpu", "cpu").map_err(system("counting CPUs"))?;
    let areas = if driver { queues } else { cpus }.clamp(1, 256);
    let verdicts = match (options.policy, driver) {
        (Policy::Inline, _) => Verdicts::Inline,
        (Policy::Tap, true) => Verdicts::TapRedirect,
        (Policy::Tap, false) => Verdicts::TapCopy,
    };
    let (slots4_shift, slots6_shift) = slots(options.cache_bytes, areas);
    let (mut probe, areas) = Probe::load(&ProbeOptions {
        areas,
        area_is_cpu: !driver,
        verdicts,
        clock: ProbeClock::Monotonic,
        slots4_shift,
        slots6_shift,
        sample: options.sample,
        vlan_in_key: options.vlan_in_key,
        frags,
        ..ProbeOptions::default()
    })?;
    let mut receivers = Vec::new();
    for (queue, area) in (0..).zip(areas) {
        let socket = match verdicts {
            Verdicts::TapRedirect => {
                let sockets = SocketOptions { multi_buffer: frags, ..options.socket.clone() };
                let socket = Socket::open(ifindex, queue, &sockets).map_err(system("opening an AF_XDP socket"))?;
                probe.sockets.set(queue, socket.as_raw_fd(), 0)?;
                Some(socket)
            }
            Verdicts::TapCopy | Verdicts::Inline => None,
        };
        receivers.push(AreaReceiver::new(QueueName { interface: name.to_owned(), queue }, area, socket));
    }
    probe.attach(ifindex, driver)?;
    Ok((probe, receivers))
}

/// Entries of a folder whose names are `prefix` and a number.
fn count(folder: &str, prefix: &str) -> io::Result<u32> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(prefix)).map(str::parse::<u32>);
        count += u32::from(matches!(number, Some(Ok(_))));
    }
    Ok(count)
}

/// Powers of two of slots: half the memory for IPv4, half for IPv6, over the areas and two generations.
fn slots(bytes: u64, areas: u32) -> (u32, u32) {
    let half = bytes / (4 * u64::from(areas.max(1)));
    let shift = |slot: u64| (half / slot).max(16).ilog2().clamp(4, 22);
    (shift(64), shift(128))
}

impl Interface for Xdp {
    fn name(&self) -> &str {
        &self.name
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn clock(&self) -> String {
        let resolution = super::map::resolution(libc::CLOCK_MONOTONIC_COARSE);
        format!("monotonic at XDP + UTC offset: 2 ns for frames, {} us for counted packets", resolution.div_ceil(1_000))
    }

    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>> {
        std::mem::take(&mut self.receivers).into_iter().map(|r| Box::new(r) as Box<dyn Receiver>).collect()
    }

    fn maintain(&mut self) -> Result<Vec<LinkEvent>, SourceError> {
        self.flip_if_due();
        let kernel = |error| SourceError::kernel("looking up", &self.name, error);
        let index = self.control.index(&self.name).map_err(kernel)?;
        if index != Some(self.ifindex) {
            let was_there = !std::mem::replace(&mut self.is_gone, true);
            if was_there && let Some(offloads) = self.offloads.take() {
                // There is nothing left to put back.
                offloads.forget();
            }
            return Ok(if was_there { vec![LinkEvent::Gone] } else { Vec::new() });
        }
        let up = self.control.flags(&self.name).map_err(kernel)? & libc::IFF_UP != 0;
        let mut events = Vec::new();
        if up != self.is_up {
            self.is_up = up;
            events.push(if up { LinkEvent::Up } else { LinkEvent::Down });
        }
        Ok(events)
    }

    fn set_filter(&mut self, filter: &Filter) -> Result<(), SourceError> {
        self.probe.set_filter(filter);
        self.options.filter = filter.clone();
        Ok(())
    }

    fn counters(&mut self) -> Vec<(&'static str, u64)> {
        vec![("sweeps", self.probe.shared.closed.load(Ordering::Relaxed)), ("sweeps_late", self.late_sweeps)]
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        if let Err(error) = self.probe.end() {
            tracing::error!(interface = self.name, %error, "XDP cannot be taken off");
        }
    }

    fn restore(&mut self) {
        self.stop();
        self.offloads = None;
        self.promiscuous = None;
    }
}
