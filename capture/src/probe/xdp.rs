//! An interface captured by the probe: opened, looked after, stopped, put back.

use std::borrow::Cow;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::area::Area;
use super::attach::{attach, queues};
use super::load::{Probe, Shared};
use super::pin::{Left, Pins};
use super::receiver::{AreaReceiver, Part, Seat};
use crate::af_packet::{Control, Offloads};
use crate::keeper::message::Way;
use crate::keeper::{Given, Kept, Read};
use crate::live::source::{Interface, LinkEvent, Mode, QueueName, Receiver, SourceError, Survivor};
use crate::live::{Filter, Policy, SlowPath};
use crate::xsk::{Promiscuous, SocketOptions};

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
    /// Bytes of the flow cache, over all areas and both generations; 64 MiB of them are used where those are enough. Default
    /// a 64th of the machine's memory, from 64 to 256 MiB.
    pub cache_bytes: u64,
    /// Flows in different VLANs are different flows.
    pub vlan_in_key: bool,
    /// Of packets in tunnels the inner ones make records.
    pub enters_tunnels: bool,
    /// How packets that are not only counted come here, of a tap in the driver.
    pub slow_path: SlowPath,
    /// Of the AF_XDP sockets.
    pub socket: SocketOptions,
    /// The stack's XDP, though the driver has its own.
    pub generic: bool,
    /// Folder in a BPF file system where the probe's memory and attachment are pinned: a SIGKILL then loses no count. None:
    /// they end with the process.
    pub pins: Option<PathBuf>,
    /// A number for the ledger this is told in: what a killed capture with another number left is told as far as it is found.
    pub owner: u64,
}

impl XdpOptions {
    /// The defaults for a policy.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            sample: 1,
            filter: Filter::default(),
            sweep: Duration::from_millis(500),
            cache_bytes: default_cache_bytes(),
            vlan_in_key: false,
            enters_tunnels: true,
            slow_path: SlowPath::Auto,
            socket: SocketOptions::default(),
            generic: false,
            pins: None,
            owner: 0,
        }
    }
}

/// See [`XdpOptions::cache_bytes`].
fn default_cache_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse::<u64>().ok());
    (kib.unwrap_or(0) * 1_024 / 64).clamp(64 << 20, 256 << 20)
}

/// See the [module](self).
#[derive(Debug)]
pub struct Xdp {
    name: String,
    ifindex: u32,
    mode: Mode,
    options: XdpOptions,
    control: Control,
    /// None while the interface is away, or about to be opened anew.
    probe: Option<Probe>,
    receivers: Vec<AreaReceiver>,
    /// One for each receiver.
    seats: Vec<Arc<Seat>>,
    flipped: Instant,
    is_up: bool,
    is_gone: bool,
    stopped: bool,
    /// Receive queues and MTU, as they were last.
    queues: u32,
    mtu: u32,
    /// Flips put off because a receiver had not read the generation before.
    late_sweeps: u64,
    /// Of probes that have ended.
    sweeps: u64,
    reopened: u64,
    returns: u64,
    /// Since when nothing is captured, and how long that was before.
    closed: Option<Instant>,
    pauses: Duration,
    offloads: Option<Offloads>,
    promiscuous: Option<Promiscuous>,
    pins: Option<Pins>,
    /// The reader has the lock, too.
    lock_given: bool,
    /// Memory that no program writes any more, and how many ledgers were published since it was read to the end.
    unwritten: Vec<(Arc<Shared>, u32)>,
}

/// After so many ledgers that were published what was read before the first is in one of them: the questions of the next
/// may have been answered before.
const PUBLISHED: u32 = 3;

impl std::fmt::Debug for AreaReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AreaReceiver").field("name", self.name()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("is_vacant", &self.is_vacant()).finish_non_exhaustive()
    }
}

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
        let mut out = Self {
            name: name.to_owned(),
            ifindex,
            mode: Mode::XdpDriver,
            options,
            queues: queues(name),
            mtu: control.mtu(name).unwrap_or(0),
            control,
            probe: None,
            receivers: Vec::new(),
            seats: Vec::new(),
            flipped: Instant::now(),
            is_up: flags & libc::IFF_UP != 0,
            is_gone: false,
            stopped: false,
            late_sweeps: 0,
            sweeps: 0,
            reopened: 0,
            returns: 0,
            closed: None,
            pauses: Duration::ZERO,
            offloads: None,
            promiscuous: None,
            pins: None,
            lock_given: false,
            unwritten: Vec::new(),
        };
        out.pins = out.open_pins()?;
        for (part, queue) in out.attach()?.into_iter().zip(0..) {
            let seat = Arc::new(Seat::default());
            let queue = QueueName { interface: name.to_owned(), queue };
            out.receivers.push(AreaReceiver::new(queue, vec![part], Arc::clone(&seat)));
            out.seats.push(seat);
        }
        out.take_over();
        Ok(out)
    }

    /// Where the probe is pinned; none where it cannot be.
    fn open_pins(&self) -> Result<Option<Pins>, SourceError> {
        let (Some(root), name) = (&self.options.pins, &self.name) else { return Ok(None) };
        match Pins::open(root, name) {
            Ok(Some(pins)) => Ok(Some(pins)),
            Ok(None) => {
                tracing::info!(
                    interface = name,
                    "counts do not survive a kill: no BPF file system at {} (mount -t bpf bpf /sys/fs/bpf)",
                    root.display()
                );
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                Err(SourceError::Refused(format!("'{name}' is captured by another Spotter process already")))
            }
            Err(error) => {
                tracing::warn!(interface = name, %error, "counts do not survive a kill: nothing can be pinned");
                Ok(None)
            }
        }
    }

    /// What a capture that was killed left here is read to the end by our receivers. Our program is in its place already.
    fn take_over(&mut self) {
        let (Some(pins), Some(probe)) = (&self.pins, &self.probe) else { return };
        // The former program may still run with a packet.
        probe.wait_for_programs();
        for Left { meta, shared, rings } in pins.left(probe.shared.instance) {
            let is_ours = meta.owner == self.options.owner;
            let packets: u64 = (0..2 * shared.areas).map(|at| shared.memory.books.read(at).seen.packets).sum();
            tracing::info!(
                interface = self.name,
                packets,
                is_ours,
                "going on with what a capture that was killed has counted"
            );
            for (number, rings) in rings.into_iter().enumerate() {
                let area = Area::left(number, Arc::clone(&shared), rings, is_ours);
                let receivers = self.receivers.len().max(1);
                if let Some(receiver) = self.receivers.get_mut(number % receivers) {
                    receiver.also(Part::new(area, None));
                }
            }
            self.unwritten.push((shared, 0));
        }
    }

    /// Memory that has been read and told is given up.
    fn give_up_told(&mut self) {
        let Self { pins, seats, unwritten, .. } = self;
        unwritten.retain_mut(|(shared, published)| {
            *published += u32::from(shared.is_concluded());
            let Some(instance) = shared.instance else { return !shared.is_concluded() };
            if *published < PUBLISHED {
                return true;
            }
            if let Some(pins) = pins {
                pins.forget(instance);
            }
            seats.iter().for_each(|seat| seat.forget(instance));
            false
        });
    }

    /// Sets the interface up and attaches the probe; its areas.
    fn attach(&mut self) -> Result<Vec<Part>, SourceError> {
        let name = self.name.clone();
        // Before the first packet comes in. Where the driver refuses, merged frames reach the decoder as they are.
        if self.offloads.is_none() {
            self.offloads = Offloads::turn_off(&self.control, &name, self.options.policy)
                .inspect_err(|error| tracing::warn!(interface = name, %error, "offloads cannot be turned off"))
                .ok();
        }
        if self.options.policy == Policy::Tap && self.promiscuous.is_none() {
            let kernel = |error| SourceError::kernel("setting promiscuous mode", &name, error);
            self.promiscuous = Some(Promiscuous::of(self.ifindex).map_err(kernel)?);
        }
        let (mode, (probe, parts)) = attach(&name, self.ifindex, &self.options, self.pins.as_ref())?;
        self.mode = mode;
        self.probe = Some(probe);
        self.flipped = Instant::now();
        Ok(parts)
    }

    /// The areas there are end; their receivers read what is left and wait for others.
    fn close(&mut self) {
        let Some(mut probe) = self.probe.take() else { return };
        if let Err(error) = probe.end() {
            // Its interface may be gone, and the program with it.
            tracing::debug!(interface = self.name, %error, "XDP cannot be taken off");
        }
        self.sweeps += probe.shared.closed.load(Ordering::Relaxed);
        self.unwritten.push((Arc::clone(&probe.shared), 0));
        self.closed = Some(Instant::now());
    }

    /// Attaches the probe anew, once every receiver has read its areas. Whether it is attached.
    fn reopen(&mut self, ifindex: u32) -> Result<bool, SourceError> {
        if !self.seats.iter().all(|seat| seat.is_vacant()) {
            return Ok(false);
        }
        self.ifindex = ifindex;
        let (parts, seats) = (self.attach()?, self.seats.len().max(1));
        if parts.len() > seats {
            let more = parts.len() - seats;
            tracing::warn!(
                interface = self.name,
                "{more} queues more than there are receivers, which share them: start again to give each a thread"
            );
        }
        for (number, part) in parts.into_iter().enumerate() {
            if let Some(seat) = self.seats.get(number % seats) {
                seat.give(part);
            }
        }
        self.reopened += 1;
        self.pauses += self.closed.take().map_or(Duration::ZERO, |closed| closed.elapsed());
        Ok(true)
    }

    /// What changed about an interface that is there; another number of queues ends the probe.
    fn changes(&mut self) -> Result<Vec<LinkEvent>, SourceError> {
        let kernel = |error| SourceError::kernel("looking at", &self.name, error);
        let up = self.control.flags(&self.name).map_err(kernel)? & libc::IFF_UP != 0;
        let mtu = self.control.mtu(&self.name).map_err(kernel)?;
        let queues = queues(&self.name);
        let mut events = Vec::new();
        if up != self.is_up {
            self.is_up = up;
            events.push(if up { LinkEvent::Up } else { LinkEvent::Down });
        }
        if mtu != self.mtu {
            events.push(LinkEvent::Mtu { from: std::mem::replace(&mut self.mtu, mtu), to: mtu });
        }
        if queues != self.queues {
            events.push(LinkEvent::Queues { from: std::mem::replace(&mut self.queues, queues), to: queues });
            if self.mode == Mode::XdpDriver {
                self.close();
            }
        }
        Ok(events)
    }

    /// Whether every receiver has read what was closed.
    fn is_read(probe: &Probe) -> bool {
        let closed = probe.shared.closed.load(Ordering::Acquire);
        probe.shared.swept.iter().all(|swept| swept.load(Ordering::Acquire) >= closed)
    }

    /// The one that is attached, and those that have not been read to the end.
    fn probes(&self) -> impl Iterator<Item = &Arc<Shared>> {
        self.probe.iter().map(|probe| &probe.shared).chain(self.unwritten.iter().map(|(shared, _)| shared))
    }

    fn flip_if_due(&mut self) {
        let Some(probe) = &self.probe else { return };
        if self.flipped.elapsed() < self.options.sweep || self.stopped {
            return;
        }
        if !Self::is_read(probe) {
            self.late_sweeps += 1;
            return;
        }
        probe.flip(probe.now());
        self.flipped = Instant::now();
    }
}

/// What is pinned must not stay where nobody was killed.
impl Drop for Xdp {
    fn drop(&mut self) {
        self.restore();
    }
}

impl Interface for Xdp {
    fn name(&self) -> &str {
        &self.name
    }

    fn mode(&self) -> Mode {
        self.mode
    }

    fn clock(&self) -> String {
        let jiffy = super::clock::jiffy();
        format!("monotonic at XDP + UTC offset: 2 ns for frames, {} us for counted packets", jiffy.div_ceil(1_000))
    }

    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>> {
        std::mem::take(&mut self.receivers).into_iter().map(|r| Box::new(r) as Box<dyn Receiver>).collect()
    }

    fn settle(&mut self, told: &dyn Fn(u64, u32) -> Option<Survivor>) {
        self.receivers.iter_mut().for_each(|receiver| receiver.settle(told));
    }

    fn published(&mut self) {
        self.give_up_told();
    }

    fn maintain(&mut self) -> Result<Vec<LinkEvent>, SourceError> {
        if self.stopped {
            return Ok(Vec::new());
        }
        self.flip_if_due();
        let kernel = |error| SourceError::kernel("looking up", &self.name, error);
        let index = self.control.index(&self.name).map_err(kernel)?;
        if !self.is_gone && index != Some(self.ifindex) {
            self.is_gone = true;
            self.close();
            // There is nothing left to put back.
            self.offloads.take().into_iter().for_each(Offloads::forget);
            self.promiscuous = None;
            return Ok(vec![LinkEvent::Gone]);
        }
        let Some(ifindex) = index else { return Ok(Vec::new()) };
        if self.probe.is_some() {
            return self.changes();
        }
        // Before it is opened: what it has now is no change.
        (self.queues, self.mtu) = (queues(&self.name), self.control.mtu(&self.name).unwrap_or(0));
        if !self.reopen(ifindex)? {
            return Ok(Vec::new());
        }
        if std::mem::replace(&mut self.is_gone, false) {
            self.returns += 1;
            return Ok(vec![LinkEvent::Back { ifindex }]);
        }
        Ok(Vec::new())
    }

    fn set_filter(&mut self, filter: &Filter) -> Result<(), SourceError> {
        if let Some(probe) = &self.probe {
            probe.set_filter(filter).map_err(|error| SourceError::Refused(error.to_string()))?;
        }
        self.options.filter = filter.clone();
        Ok(())
    }

    fn counters(&mut self) -> Vec<(Cow<'static, str>, u64)> {
        let running = self.probe.as_ref().map_or(0, |probe| probe.shared.closed.load(Ordering::Relaxed));
        let pauses = self.pauses + self.closed.map_or(Duration::ZERO, |closed| closed.elapsed());
        vec![
            ("sweeps".into(), self.sweeps + running),
            ("sweeps_late".into(), self.late_sweeps),
            ("interface_returns".into(), self.returns),
            ("interface_reopened".into(), self.reopened),
            ("not_captured_ms".into(), u64::try_from(pauses.as_millis()).unwrap_or(u64::MAX)),
        ]
    }

    fn stop(&mut self) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        self.seats.iter().for_each(|seat| seat.stop());
        if let Some(probe) = &mut self.probe
            && let Err(error) = probe.end()
        {
            tracing::error!(interface = self.name, %error, "XDP cannot be taken off");
        }
    }

    fn restore(&mut self) {
        self.stop();
        if let Some(pins) = &self.pins {
            let own = self.probe.as_ref().and_then(|probe| probe.shared.instance);
            let ended = self.unwritten.drain(..).filter_map(|(shared, _)| shared.instance);
            ended.chain(own).for_each(|instance| pins.forget(instance));
        }
        self.pins = None;
        self.offloads = None;
        self.promiscuous = None;
    }
}

impl Kept for Xdp {
    fn way(&self) -> Way {
        Way::Areas(self.seats.len())
    }

    fn has_read(&mut self, read: &Read) {
        self.seats.iter().zip(&read.vacant).for_each(|(seat, vacant)| seat.set_vacant(*vacant));
        for shared in self.probes() {
            if let Some(read) = read.probes.iter().find(|read| read.number == shared.number) {
                shared.take_read(read);
            }
        }
    }

    fn give(&mut self) -> io::Result<(Given, Vec<OwnedFd>)> {
        let first = std::mem::take(&mut self.receivers).into_iter().map(AreaReceiver::into_parts);
        let later = self.seats.iter().map(|seat| seat.take());
        let parts: Vec<(usize, Part)> = (first.enumerate().chain(later.enumerate()))
            .flat_map(|(seat, parts)| parts.into_iter().map(move |part| (seat, part)))
            .collect();
        let (mut given, mut descriptors) = (Given::default(), Vec::new());
        for (seat, part) in parts {
            // The maps of a probe once: of a hundred queues they would be more descriptors than a process may have.
            let is_first = given.parts.iter().all(|before| before.probe.number != part.probe_number());
            let (head, own) = part.hand_over(seat, is_first)?;
            given.parts.push(head);
            descriptors.extend(own);
        }
        given.probes = self.probes().map(|shared| shared.state()).collect();
        // Each seat is told of each.
        for seat in &self.seats {
            given.forgotten = seat.take_forgotten();
        }
        if let (Some(pins), false) = (&self.pins, self.lock_given) {
            descriptors.push(pins.lock()?);
            (self.lock_given, given.lock) = (true, true);
        }
        Ok((given, descriptors))
    }
}
