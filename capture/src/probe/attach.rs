//! How an interface gets the program: in the driver where it can, with its sockets and, where there is a place for them,
//! its pins.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant};

use probe_common::layout::FEWEST_SHIFT;

use super::load::Probe;
use super::options::{PinTo, ProbeClock, ProbeError, ProbeOptions, Verdicts, random_word};
use super::pin::{Pins, forget};
use super::receiver::Part;
use super::xdp::XdpOptions;
use crate::live::source::{Mode, SourceError};
use crate::live::{Policy, SlowPath};
use crate::xsk::{Socket, SocketOptions};

/// A probe that is attached, and its areas.
type Attached = (Probe, Vec<Part>);

/// Attaches in the best mode there is.
pub(super) fn attach(
    name: &str,
    ifindex: u32,
    options: &XdpOptions,
    pins: Option<&Pins>,
) -> Result<(Mode, Attached), SourceError> {
    let error = |error: ProbeError| SourceError::kernel("attaching XDP", name, error.into_io());
    let mut refusal = None;
    if !options.generic {
        for frags in [true, false] {
            match attach_pinned(name, ifindex, options, (Mode::XdpDriver, frags), pins) {
                Ok(attached) => return Ok((Mode::XdpDriver, attached)),
                Err(ProbeError::Program(program)) if is_busy(&program) => return Err(busy(name)),
                Err(error) => refusal = Some(error),
            }
        }
        if let Some(refusal) = &refusal {
            tracing::info!(interface = name, %refusal, "no XDP in the driver: trying the stack's");
        }
    }
    match attach_pinned(name, ifindex, options, (Mode::XdpGeneric, false), pins) {
        Ok(attached) => Ok((Mode::XdpGeneric, attached)),
        Err(ProbeError::Program(program)) if is_busy(&program) => Err(busy(name)),
        // What the driver said tells more, where there was no right to load anything.
        Err(generic) => Err(error(refusal.unwrap_or(generic))),
    }
}

fn is_busy(error: &aya::programs::ProgramError) -> bool {
    match error {
        aya::programs::ProgramError::SyscallError(error) => says_busy(&error.io_error),
        _ => false,
    }
}

/// EBUSY: a program in the same mode. EEXIST: one in the other mode, beside which none can be.
fn says_busy(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::AlreadyExists)
}

fn busy(name: &str) -> SourceError {
    SourceError::Refused(format!(
        "'{name}' has an XDP program already (`ip -details link show {name}`): take it off (`ip link set dev {name} xdp off; \
         ip link set dev {name} xdpgeneric off`, or `xdp-loader unload {name} --all`; one that a link holds: \
         `bpftool link`, `bpftool link detach id ID`), or use --mode af_packet, which sees what that program lets pass"
    ))
}

/// Attaches with pins, where there is a place for them and they can be had.
fn attach_pinned(
    name: &str,
    ifindex: u32,
    options: &XdpOptions,
    how: (Mode, bool),
    pins: Option<&Pins>,
) -> Result<Attached, ProbeError> {
    let Some(pins) = pins else { return attach_as(name, ifindex, options, how, None) };
    let instance = random_word().map_err(|error| ProbeError::System("drawing a number", error))?;
    let pin = PinTo { folder: pins.instance(instance), instance, owner: options.owner };
    let folder = pin.folder.clone();
    let link = pins.link(ifindex, how.0 == Mode::XdpDriver);
    pins.detach_others(Some(&link));
    let attached = attach_as(name, ifindex, options, how, Some((pin, &link)));
    if attached.is_err() {
        forget(&folder);
    }
    match attached {
        Err(ProbeError::Pin(error)) => {
            tracing::warn!(interface = name, %error, "counts do not survive a kill");
            attach_as(name, ifindex, options, how, None)
        }
        attached => attached,
    }
}

/// Queue of an AF_XDP socket; the kernel lets go of it a while after the last socket there was closed.
fn open_socket(ifindex: u32, queue: u32, options: &SocketOptions) -> io::Result<Socket> {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        match Socket::open(ifindex, queue, options) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// A socket for each queue, or none where copies in a ring are to be had for less; see [`SlowPath`].
fn open_sockets(ifindex: u32, queues: u32, options: &XdpOptions, frags: bool) -> Result<Vec<Socket>, ProbeError> {
    if options.slow_path == SlowPath::Ring {
        return Ok(Vec::new());
    }
    let of = SocketOptions { multi_buffer: frags, ..options.socket.clone() };
    let sockets: io::Result<Vec<_>> = (0..queues).map(|queue| open_socket(ifindex, queue, &of)).collect();
    match (sockets, options.slow_path) {
        (Ok(sockets), SlowPath::AfXdp) => Ok(sockets),
        (Ok(sockets), _) if sockets.iter().all(Socket::is_zero_copy) => Ok(sockets),
        (Ok(_), _) => Ok(Vec::new()),
        (Err(error), SlowPath::AfXdp) => Err(ProbeError::System("opening an AF_XDP socket", error)),
        (Err(error), _) => {
            tracing::debug!(%error, "no AF_XDP socket: packets are copied");
            Ok(Vec::new())
        }
    }
}

fn attach_as(
    name: &str,
    ifindex: u32,
    options: &XdpOptions,
    (mode, frags): (Mode, bool),
    pin: Option<(PinTo, &Path)>,
) -> Result<Attached, ProbeError> {
    let driver = mode == Mode::XdpDriver;
    let (pin, link) = pin.unzip();
    let system = |doing: &'static str| move |error: io::Error| ProbeError::System(doing, error);
    let queues = queues(name);
    let cpus = count("/sys/devices/system/cpu", "cpu").map_err(system("counting CPUs"))?;
    let areas = if driver { queues } else { cpus }.clamp(1, 256);
    // What the host sends is counted by the CPU that sends it.
    let egress_areas = if options.policy == Policy::Inline { cpus.clamp(1, 256) } else { 0 };
    let sockets = match options.policy {
        Policy::Tap if driver => open_sockets(ifindex, queues.clamp(1, 256), options, frags)?,
        Policy::Tap | Policy::Inline => Vec::new(),
    };
    let verdicts = match options.policy {
        Policy::Inline => Verdicts::Inline,
        Policy::Tap if sockets.is_empty() => Verdicts::TapCopy,
        Policy::Tap => Verdicts::TapRedirect,
    };
    let (slots4_shift, slots6_shift) = slots(options.cache_bytes, areas + egress_areas);
    let (mut probe, areas) = Probe::load(&ProbeOptions {
        areas,
        area_is_cpu: !driver,
        egress_areas,
        verdicts,
        clock: ProbeClock::Monotonic,
        slots4_shift,
        slots6_shift,
        unused_shift: unused(options.cache_bytes, slots4_shift.min(slots6_shift)),
        ring_bytes: displaced(areas + egress_areas),
        copy_ring_bytes: copies(areas + egress_areas),
        sample: options.sample,
        vlan_in_key: options.vlan_in_key,
        enters_vxlan: options.enters_tunnels,
        frags,
        pin,
        ..ProbeOptions::default()
    })?;
    probe.set_filter(&options.filter)?;
    let (mut parts, mut sockets) = (Vec::new(), sockets.into_iter());
    for (queue, area) in (0..).zip(areas) {
        let socket = sockets.next();
        if let Some(socket) = &socket {
            probe.sockets.set(queue, socket.as_raw_fd(), 0)?;
        }
        parts.push(Part::new(area, socket));
    }
    match link {
        Some(link) => probe.attach_pinned(ifindex, driver, link)?,
        None => probe.attach(ifindex, driver)?,
    }
    if egress_areas > 0 {
        probe.attach_egress(name)?;
    }
    Ok((probe, parts))
}

/// Receive queues of an interface; at least 1.
pub(super) fn queues(name: &str) -> u32 {
    count(&format!("/sys/class/net/{name}/queues"), "rx-").unwrap_or(1).max(1)
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

/// Bytes of each area's rings for slots that leave early, one for each IP version: some hundred milliseconds of a flood, 64 MiB
/// over all areas and both, from 2 to 16 MiB each.
fn displaced(areas: u32) -> u32 {
    ((32 << 20) / areas.max(1).next_power_of_two()).clamp(2 << 20, 16 << 20)
}

/// Bytes of each area's ring of copied frames: a second of 200,000 small ones, which must wait while half a million slots are
/// handed over, if there is one area; 64 MiB over all, from 16 MiB each.
fn copies(areas: u32) -> u32 {
    ((64 << 20) / areas.max(1).next_power_of_two()).max(16 << 20)
}

/// By how much fewer slots may be used: of 64 MiB at least, if there is more.
fn unused(bytes: u64, shift: u32) -> u32 {
    (bytes >> 26).max(1).ilog2().min(shift.saturating_sub(FEWEST_SHIFT))
}

/// Powers of two of slots: half the memory for IPv4, half for IPv6, over the areas and two generations.
fn slots(bytes: u64, areas: u32) -> (u32, u32) {
    let half = bytes / (4 * u64::from(areas.max(1)));
    let shift = |slot: u64| (half / slot).max(16).ilog2().clamp(4, 22);
    (shift(64), shift(128))
}
