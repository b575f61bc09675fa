//! The loaded program and its maps.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aya::maps::{Array, ArrayOfMaps, Map, MapData, MapError, RingBuf, XskMap};
use aya::pin::PinError;
use aya::programs::links::{FdLink, LinkError, PinnedLink};
use aya::programs::xdp::XdpLink;
use aya::programs::{ProgramError, SchedClassifier, TcAttachType, TestRun, TestRunOptions, Xdp, XdpMode, tc};
use aya::{Ebpf, EbpfError, EbpfLoader};
use probe_common::layout::{Books, Control, Key, MAX_RULES, Rule, Settings, Slot4, Slot6, TICK_SHIFT, policy};

use super::bench::BenchProgram;
use super::flow::Time;
use super::map::Mapped;
use super::pin::{self, Meta, pin};
use crate::live::Filter;

/// As many as the outer maps of the program take.
const MOST_AREAS: u32 = 512;

/// Why the probe cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The object could not be read or its maps not be made.
    #[error("the probe's maps cannot be made: {0}")]
    Object(#[from] EbpfError),
    /// The kernel refused the program, or to attach it.
    #[error("the kernel refuses the probe: {0}")]
    Program(#[from] ProgramError),
    /// A map could not be used.
    #[error("a map of the probe cannot be used: {0}")]
    Map(#[from] MapError),
    /// The program could not be detached.
    #[error("the probe cannot be detached: {0}")]
    Link(#[from] LinkError),
    /// It could not be pinned.
    #[error("the probe cannot be pinned: {0}")]
    Pin(#[from] PinError),
    /// Memory or randomness could not be had.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// A setting out of its range.
    #[error("{0} is out of range: expected {1}")]
    OutOfRange(&'static str, &'static str),
    /// The object is not the one this program was built with.
    #[error("the probe has no {0}")]
    Missing(&'static str),
}

impl ProbeError {
    /// What the kernel said, where it said something.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Program(ProgramError::SyscallError(error)) | Self::Map(MapError::SyscallError(error)) => {
                error.io_error
            }
            Self::Program(ProgramError::LoadError { io_error, .. }) => io_error,
            Self::System(_, error) => error,
            other => io::Error::other(other.to_string()),
        }
    }
}

/// What becomes of packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdicts {
    /// Every packet ends in the probe; those for user space go to AF_XDP sockets.
    TapRedirect,
    /// Every packet ends in the probe; those for user space are copied into a ring.
    TapCopy,
    /// Every packet goes on to the host; those for user space are copied into a ring.
    Inline,
}

/// Which clock the program reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeClock {
    /// The kernel's coarse monotonic clock for counted packets, the exact one for those handed over.
    Monotonic,
    /// Microseconds since the epoch in 8 bytes of XDP metadata before each frame (tests).
    Metadata,
}

/// Settings of [`Probe::load`].
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// Areas for received packets, each with its slots, books and rings. At least 1; with `egress_areas` at most 512.
    pub areas: u32,
    /// An area is a CPU's; else a receive queue's.
    pub area_is_cpu: bool,
    /// Areas behind those for packets that the host sends, one for each CPU; 0: they are not looked at. Only with
    /// [`Verdicts::Inline`].
    pub egress_areas: u32,
    /// What becomes of packets.
    pub verdicts: Verdicts,
    /// Which clock.
    pub clock: ProbeClock,
    /// The IPv4 slots of an area are 2 to this power. 4 to 24; default 17 (8 MiB in each of two generations).
    pub slots4_shift: u32,
    /// The IPv6 slots, likewise; default 16 (8 MiB).
    pub slots6_shift: u32,
    /// Bytes of each area's ring of slots that left early: a power of two of pages. Default 4 MiB.
    pub ring_bytes: u32,
    /// Bytes of each area's ring of copied frames, likewise. Default 16 MiB.
    pub copy_ring_bytes: u32,
    /// One packet of so many is looked at; 1 = all.
    pub sample: u32,
    /// Flows in different VLANs are different flows.
    pub vlan_in_key: bool,
    /// The program that takes packets in several buffers.
    pub frags: bool,
    /// A bench's program in place of the probe's; see [`crate::probe::Bench`].
    pub bench: Option<BenchProgram>,
    /// Where its memory is pinned, so that it outlives the process; None: nowhere.
    pub pin: Option<PinTo>,
    /// Waits, after a flip, until no program runs that may write the old generation. Never `false` but in the test that
    /// shows why.
    pub grace: bool,
}

/// Where a probe's memory is pinned.
#[derive(Clone, Debug)]
pub struct PinTo {
    /// Its folder in a BPF file system; made.
    pub folder: PathBuf,
    /// Its number.
    pub instance: u64,
    /// A number for the ledger it is told in.
    pub owner: u64,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            areas: 1,
            area_is_cpu: false,
            egress_areas: 0,
            verdicts: Verdicts::TapRedirect,
            clock: ProbeClock::Monotonic,
            slots4_shift: 17,
            slots6_shift: 16,
            ring_bytes: 4 << 20,
            copy_ring_bytes: 16 << 20,
            sample: 1,
            vlan_in_key: false,
            frags: true,
            bench: None,
            pin: None,
            grace: true,
        }
    }
}

impl ProbeOptions {
    const fn all_areas(&self) -> u32 {
        self.areas.saturating_add(self.egress_areas)
    }

    fn check(&self) -> Result<(), ProbeError> {
        let ring = |bytes: u32| bytes.is_power_of_two() && (4096..=1 << 30).contains(&bytes);
        let shift = |shift: u32| (4..=24).contains(&shift);
        match self {
            Self { areas: 0, .. } => Err(ProbeError::OutOfRange("areas", "at least 1")),
            _ if self.all_areas() > MOST_AREAS => Err(ProbeError::OutOfRange("areas", "at most 512")),
            Self { egress_areas: 1.., verdicts, .. } if *verdicts != Verdicts::Inline => {
                Err(ProbeError::OutOfRange("areas of sent packets", "0, unless packets go on to the host"))
            }
            Self { slots4_shift, slots6_shift, .. } if !shift(*slots4_shift) || !shift(*slots6_shift) => {
                Err(ProbeError::OutOfRange("slots", "16 to 16777216, a power of two"))
            }
            Self { ring_bytes, copy_ring_bytes, .. } if !ring(*ring_bytes) || !ring(*copy_ring_bytes) => {
                Err(ProbeError::OutOfRange("ring bytes", "4096 to 1 GiB, a power of two"))
            }
            Self { sample: 0, .. } => Err(ProbeError::OutOfRange("sample", "at least 1")),
            _ => Ok(()),
        }
    }

    fn settings(&self) -> Result<Settings, ProbeError> {
        let mut random = [0; 32];
        fill_random(&mut random).map_err(|error| ProbeError::System("drawing the hash's keys", error))?;
        let word =
            |at: usize| random.get(at * 8..).and_then(|b| b.first_chunk()).copied().map_or(0, u64::from_ne_bytes);
        Ok(Settings {
            seeds: [word(0), word(1)],
            multipliers: [word(2) | 1, word(3) | 1],
            key_mask: if self.vlan_in_key { Key::MASK_WITH_VLAN } else { Key::MASK },
            slots4_shift: self.slots4_shift,
            slots6_shift: self.slots6_shift,
            areas: self.all_areas(),
            area_is_cpu: u32::from(self.area_is_cpu),
            policy: match self.verdicts {
                Verdicts::TapRedirect => policy::TAP_REDIRECT,
                Verdicts::TapCopy => policy::TAP_COPY,
                Verdicts::Inline => policy::INLINE,
            },
            sample: self.sample,
            clock_is_metadata: u32::from(self.clock == ProbeClock::Metadata),
            first_egress: self.areas,
        })
    }
}

/// A number nobody can guess.
pub(super) fn random_word() -> io::Result<u64> {
    let mut bytes = [0; 8];
    fill_random(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")?.read_exact(bytes)
}

/// The settings as they stand in the object.
fn settings_bytes(settings: &Settings) -> Vec<u8> {
    let Settings { seeds, multipliers, key_mask, .. } = *settings;
    let Settings {
        slots4_shift,
        slots6_shift,
        areas,
        area_is_cpu,
        policy,
        sample,
        clock_is_metadata,
        first_egress,
        ..
    } = *settings;
    let words = [seeds[0], seeds[1], multipliers[0], multipliers[1], key_mask];
    let halves = [slots4_shift, slots6_shift, areas, area_is_cpu, policy, sample, clock_is_metadata, first_egress];
    words.iter().flat_map(|word| word.to_ne_bytes()).chain(halves.iter().flat_map(|half| half.to_ne_bytes())).collect()
}

/// What the interface's thread and the receivers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) slots4: Mapped<Slot4>,
    pub(super) slots6: Mapped<Slot6>,
    pub(super) books: Mapped<Books>,
    pub(super) control: Mapped<Control>,
    pub(super) areas: usize,
    pub(super) slots4_shift: u32,
    pub(super) slots6_shift: u32,
    pub(super) clock: ProbeClock,
    /// Generations that no program writes any more; the next to be written has this number.
    pub(super) closed: AtomicU64,
    /// Generations each area has read.
    pub(super) swept: Vec<AtomicU64>,
    /// No program runs any more, so all generations are closed.
    pub(super) ended: AtomicBool,
    /// UTC less the monotonic clock.
    pub(super) offset: AtomicI64,
    /// Its number, where it is pinned.
    pub(super) instance: Option<u64>,
    /// Areas that were read to the end.
    pub(super) concluded: AtomicU32,
}

impl Shared {
    pub(super) fn time(&self) -> Time {
        match self.clock {
            ProbeClock::Monotonic => Time { tick: 1 << TICK_SHIFT, offset: self.offset.load(Ordering::Relaxed) },
            ProbeClock::Metadata => Time { tick: 1_000, offset: 0 },
        }
    }

    pub(super) fn set_offset(&self) {
        let before = clock_nanos(libc::CLOCK_MONOTONIC);
        let utc = clock_nanos(libc::CLOCK_REALTIME);
        let after = clock_nanos(libc::CLOCK_MONOTONIC);
        let monotonic = before.midpoint(after);
        self.offset.store((utc as i64).wrapping_sub(monotonic as i64), Ordering::Relaxed);
    }

    /// All of it was read to the end.
    pub(super) fn is_concluded(&self) -> bool {
        self.concluded.load(Ordering::Acquire) as usize >= self.areas
    }
}

/// What a receiver of an area needs besides [`Shared`].
pub(super) struct Rings {
    pub(super) evicted: RingBuf<MapData>,
    pub(super) copies: RingBuf<MapData>,
}

/// A map of maps, and what is put into it to wait.
type Grace = (ArrayOfMaps<MapData, Array<MapData, u32>>, Array<MapData, u32>);

/// A loaded probe. Detached and unloaded when dropped.
pub struct Probe {
    ebpf: Ebpf,
    program: &'static str,
    pub(super) shared: Arc<Shared>,
    rules: Mapped<Rule>,
    pub(super) sockets: XskMap<MapData>,
    grace: Option<Mutex<Grace>>,
    pub(super) flows: Option<Mapped<u64>>,
    has_egress: bool,
    /// The pinned attachment: gone from there, and then closed, it ends.
    link: Option<(PathBuf, Option<PinnedLink>)>,
    // Kept: the outer maps hold references by themselves, but only while they are there.
    _outer: [ArrayOfMaps<MapData, MapData>; 2],
}

impl Probe {
    /// Loads the program. Takes CAP_BPF and CAP_NET_ADMIN (or root). Its areas' rings are in the second value.
    pub(super) fn load_parts(options: &ProbeOptions) -> Result<(Self, Vec<Rings>), ProbeError> {
        options.check()?;
        let settings = settings_bytes(&options.settings()?);
        let areas = options.all_areas() as usize;
        let (slots4, slots6) = ((2 * areas) << options.slots4_shift, (2 * areas) << options.slots6_shift);
        let mut ebpf = EbpfLoader::new()
            .override_global("SETTINGS", settings.as_slice(), true)
            .map_max_entries("SLOTS4", slots4 as u32)
            .map_max_entries("SLOTS6", slots6 as u32)
            .map_max_entries("BOOKS", 2 * options.all_areas())
            .load(if options.bench.is_some() { xdp_probe::PEERS } else { xdp_probe::PROBE })?;
        let program = match options.bench {
            Some(bench) => bench.name(),
            None if options.frags => "spotter_frags",
            None => "spotter",
        };
        // First: the program names its maps by descriptors that are closed when their maps were taken and mapped.
        xdp(&mut ebpf, program)?.load()?;
        if options.egress_areas > 0 {
            classifier(&mut ebpf)?.load()?;
        }
        let mut take = |name: &'static str| ebpf.take_map(name).ok_or(ProbeError::Missing(name));
        let mut evicted = outer(take("EVICTED")?)?;
        let mut copies = outer(take("COPIES")?)?;
        let folder = options.pin.as_ref().map(|pin| pin.folder.as_path());
        if let Some(PinTo { folder, instance, owner }) = &options.pin {
            std::fs::create_dir(folder).map_err(|error| ProbeError::System("making the folder for pins", error))?;
            let ProbeOptions { slots4_shift, slots6_shift, .. } = *options;
            let areas = options.all_areas();
            let meta = Meta { instance: *instance, owner: *owner, areas, slots4_shift, slots6_shift, reserved: 0 };
            pin::write_meta(folder, meta)?;
        }
        let copy_bytes = if options.verdicts == Verdicts::TapRedirect { 4096 } else { options.copy_ring_bytes };
        let rings = (0..options.all_areas())
            .map(|area| {
                let [evicted_name, copies_name] = pin::ring_names(area);
                Ok(Rings {
                    evicted: ring(&mut evicted, area, options.ring_bytes, folder, &evicted_name)?,
                    copies: ring(&mut copies, area, copy_bytes, folder, &copies_name)?,
                })
            })
            .collect::<Result<Vec<_>, ProbeError>>()?;
        let mut kept = |name: &'static str, pin_name: &str| {
            let map = take(name)?;
            if let Map::Array(data) = &map {
                pin(data, folder, pin_name)?;
            }
            Ok::<_, ProbeError>(map)
        };
        let shared = Shared {
            slots4: mapped(kept("SLOTS4", "slots4")?, slots4)?,
            slots6: mapped(kept("SLOTS6", "slots6")?, slots6)?,
            books: mapped(kept("BOOKS", "books")?, 2 * areas)?,
            control: mapped(kept("CONTROL", "control")?, 1)?,
            areas,
            slots4_shift: options.slots4_shift,
            slots6_shift: options.slots6_shift,
            clock: options.clock,
            closed: AtomicU64::new(0),
            swept: (0..areas).map(|_| AtomicU64::new(0)).collect(),
            ended: AtomicBool::new(false),
            offset: AtomicI64::new(0),
            instance: options.pin.as_ref().map(|pin| pin.instance),
            concluded: AtomicU32::new(0),
        };
        let rules = mapped(take("RULES")?, MAX_RULES)?;
        let sockets = XskMap::try_from(take("SOCKETS")?)?;
        let grace = (ArrayOfMaps::try_from(take("GRACE")?)?, Array::try_from(take("GRACE_INNER")?)?);
        let flows = match options.bench {
            Some(_) => Some(mapped(take("FLOWS")?, super::bench::FLOWS)?),
            None => None,
        };
        let grace = options.grace.then(|| Mutex::new(grace));
        let out = Self {
            ebpf,
            program,
            shared: Arc::new(shared),
            rules,
            sockets,
            grace,
            flows,
            has_egress: false,
            link: None,
            _outer: [evicted, copies],
        };
        let now = out.now();
        out.shared.control.set_base(0, now);
        out.shared.set_offset();
        Ok((out, rings))
    }

    fn xdp_mut(&mut self) -> Result<&mut Xdp, ProbeError> {
        xdp(&mut self.ebpf, self.program)
    }

    /// Attaches the program to an interface. It is detached when the probe is dropped.
    pub fn attach(&mut self, ifindex: u32, driver: bool) -> Result<(), ProbeError> {
        let mode = if driver { XdpMode::Driver } else { XdpMode::Skb };
        self.xdp_mut()?.attach_to_if_index(ifindex, mode)?;
        Ok(())
    }

    /// As [`attach`](Self::attach), by a link that is pinned: an exchange of programs where it is there already. It ends
    /// with [`end`](Self::end), not with the process.
    pub(super) fn attach_pinned(&mut self, ifindex: u32, driver: bool, path: &Path) -> Result<(), ProbeError> {
        let program = self.xdp_mut()?;
        if path.exists() {
            let exchanged = PinnedLink::from_pin(path)
                .and_then(|former| XdpLink::try_from(FdLink::from(former)))
                .map_err(ProbeError::from)
                .and_then(|link| Ok(program.attach_to_link(link)?));
            match exchanged {
                Ok(_) => {
                    self.link = Some((path.to_owned(), None));
                    return Ok(());
                }
                Err(error) => {
                    tracing::info!(%error, "the program of the former capture cannot be exchanged and is taken off");
                    pin::detach(path).map_err(|error| ProbeError::System("taking off the former program", error))?;
                }
            }
        }
        let mode = if driver { XdpMode::Driver } else { XdpMode::Skb };
        let id = program.attach_to_if_index(ifindex, mode)?;
        let link = FdLink::try_from(program.take_link(id)?)?;
        self.link = Some((path.to_owned(), Some(link.pin(path)?)));
        Ok(())
    }

    /// Looks at what the host sends over an interface, too: by TCX, before Linux 6.6 by the qdisc `clsact`, which then stays.
    pub fn attach_egress(&mut self, interface: &str) -> Result<(), ProbeError> {
        let program = classifier(&mut self.ebpf)?;
        self.has_egress = true;
        if program.attach(interface, TcAttachType::Egress).is_err() {
            // There already, or not to be had: the next try says which.
            let _ = tc::qdisc_add_clsact(interface);
            program.attach(interface, TcAttachType::Egress)?;
        }
        Ok(())
    }

    /// Takes the program off every interface and waits until it runs nowhere: the areas may read all that is left.
    pub fn end(&mut self) -> Result<(), ProbeError> {
        if let Some((path, link)) = self.link.take() {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "the probe's link cannot be unpinned");
            }
            drop(link);
        }
        let mut detached = self.xdp_mut().and_then(|program| Ok(program.unload()?));
        if self.has_egress {
            detached = detached.and(classifier(&mut self.ebpf).and_then(|program| Ok(program.unload()?)));
        }
        self.wait_for_programs();
        self.shared.ended.store(true, Ordering::Release);
        detached
    }

    /// Runs the program once on a frame, as if it had arrived; metadata of 8 bytes first where the clock asks for it.
    /// The verdict.
    pub fn test_run(
        &self,
        ts_micros: u64,
        frame: &[u8],
        repeat: u32,
    ) -> Result<(u32, std::time::Duration), ProbeError> {
        let program: &Xdp = self.ebpf.program(self.program).ok_or(ProbeError::Missing("program"))?.try_into()?;
        let mut options = TestRunOptions { repeat, ..TestRunOptions::new() };
        let mut bytes = Vec::with_capacity(frame.len() + 8);
        let mut context = Vec::new();
        if self.shared.clock == ProbeClock::Metadata {
            bytes.extend_from_slice(&ts_micros.to_ne_bytes());
            // struct xdp_md: data, data_end, data_meta, then what must be 0.
            let end = 8 + frame.len() as u32;
            context = [8, end, 0, 0, 0, 0].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
        }
        bytes.extend_from_slice(frame);
        options.data_in = Some(&bytes);
        if !context.is_empty() {
            options.ctx_in = Some(&context);
        }
        let result = program.test_run(options)?;
        Ok((result.return_value, result.duration))
    }

    /// Sets the filter. Programs that run meanwhile may drop by a rule of the old or the new, or by none.
    pub fn set_filter(&self, filter: &Filter) {
        self.shared.control.set_rules(0);
        self.wait_for_programs();
        let rules = filter.rules().iter().take(MAX_RULES);
        for (index, rule) in rules.enumerate() {
            self.rules.write(index, super::filter::in_kernel(rule));
        }
        self.shared.control.set_rules(filter.rules().len().min(MAX_RULES) as u32);
    }

    /// Now, by the program's coarse clock, in ticks.
    pub(super) fn now(&self) -> u64 {
        match self.shared.clock {
            ProbeClock::Monotonic => clock_nanos(libc::CLOCK_MONOTONIC_COARSE) >> TICK_SHIFT,
            ProbeClock::Metadata => 0,
        }
    }

    /// Closes the generation that is written: the other one is written from `now` on (a tick), and when this returns no
    /// program writes the closed one. All receivers must have read the one before.
    pub fn flip(&self, now: u64) {
        let closing = self.shared.closed.load(Ordering::Acquire);
        let next = (closing + 1) as u32 & 1;
        self.shared.control.set_base(next, now);
        self.shared.set_offset();
        self.shared.control.set_generation(next);
        self.wait_for_programs();
        self.shared.closed.store(closing + 1, Ordering::Release);
    }

    /// Waits until every program that runs now has ended: setting a slot of a map of maps waits for an RCU grace period
    /// (`maybe_wait_bpf_programs`, kernel/bpf/syscall.c, Linux 5.0).
    pub(super) fn wait_for_programs(&self) {
        let Some(grace) = &self.grace else { return };
        let mut grace = grace.lock().unwrap_or_else(PoisonError::into_inner);
        let (outer, inner) = &mut *grace;
        if let Err(error) = outer.set(0, inner, 0) {
            // Cannot happen: both maps are ours and fit. Long enough for any program.
            tracing::error!(%error, "the grace period cannot be waited for");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("program", &self.program).field("shared", &self.shared).finish_non_exhaustive()
    }
}

pub(super) fn xdp<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, ProbeError> {
    Ok(ebpf.program_mut(name).ok_or(ProbeError::Missing("program"))?.try_into()?)
}

fn classifier(ebpf: &mut Ebpf) -> Result<&mut SchedClassifier, ProbeError> {
    Ok(ebpf.program_mut("spotter_sent").ok_or(ProbeError::Missing("program for sent packets"))?.try_into()?)
}

fn outer(map: Map) -> Result<ArrayOfMaps<MapData, MapData>, ProbeError> {
    match map {
        Map::ArrayOfMaps(data) => Ok(ArrayOfMaps::<MapData, MapData>::try_from(Map::ArrayOfMaps(data))?),
        _ => Err(ProbeError::Missing("array of maps")),
    }
}

/// Makes a ring and puts it into an area's place.
fn ring(
    outer: &mut ArrayOfMaps<MapData, MapData>,
    area: u32,
    bytes: u32,
    folder: Option<&Path>,
    name: &str,
) -> Result<RingBuf<MapData>, ProbeError> {
    let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
    let map = MapData::create(aya_obj::Map::new_from_params(kind, 0, 0, bytes, 0), "ring", None)?;
    outer.set(area, &map, 0)?;
    pin(&map, folder, name)?;
    Ok(RingBuf::try_from(Map::RingBuf(map))?)
}

pub(super) fn mapped<T: super::map::Plain>(map: Map, entries: usize) -> Result<Mapped<T>, ProbeError> {
    let Map::Array(data) = map else { return Err(ProbeError::Missing("array")) };
    Mapped::new(data.fd(), entries).map_err(|error| ProbeError::System("mapping the probe's memory", error))
}

/// Nanoseconds of a clock.
fn clock_nanos(clock: libc::clockid_t) -> u64 {
    super::map::clock(clock)
}
