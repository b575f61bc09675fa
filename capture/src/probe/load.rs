//! The loaded program and its maps.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aya::maps::lpm_trie::LpmTrie;
use aya::maps::{Array, ArrayOfMaps, Map, MapData, RingBuf, XskMap};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::XdpLink;
use aya::programs::{SchedClassifier, TcAttachType, TestRun, TestRunOptions, Xdp, XdpMode, tc};
use aya::{Ebpf, EbpfLoader};
use probe_common::layout::{Books, Control, MAX_RULES, PORTS, PROTOCOLS, RingEnds, Slot4, Slot6, slots_in_all};

use super::clock;
use super::filter::Rules;
use super::flow::Time;
use super::map::Mapped;
use super::options::{PinTo, ProbeClock, ProbeError, ProbeOptions, Verdicts, settings_bytes};
use super::pin::{self, Meta, pin};
use super::size::Size;
use crate::live::Filter;

/// What the interface's thread and the receivers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) memory: Memory,
    /// Its number in this process; a reader's is that of its keeper.
    pub(super) number: u64,
    pub(super) areas: usize,
    pub(super) slots4_shift: u32,
    pub(super) slots6_shift: u32,
    pub(super) displaced_shift: u32,
    pub(super) clock: ProbeClock,
    /// Generations that no program writes any more; the next to be written has this number.
    pub(super) closed: AtomicU64,
    /// Generations each area has read.
    pub(super) swept: Vec<AtomicU64>,
    /// No program runs any more, so all generations are closed.
    pub(super) ended: AtomicBool,
    /// UTC less the monotonic clock.
    pub(super) offset: AtomicI64,
    /// When tick 0 of its clock was, by the monotonic clock, nanoseconds.
    pub(super) phase: AtomicI64,
    /// Nanoseconds of a tick of its clock, where that is not the metadata.
    tick: u64,
    /// Its number, where it is pinned.
    pub(super) instance: Option<u64>,
    /// Areas that were read to the end.
    pub(super) concluded: AtomicU32,
}

/// The memory of a probe.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) slots4: Mapped<Slot4>,
    pub(super) slots6: Mapped<Slot6>,
    /// Rings of slots that left early, and their ends.
    pub(super) displaced4: Mapped<Slot4>,
    pub(super) displaced6: Mapped<Slot6>,
    pub(super) ends: Mapped<RingEnds>,
    pub(super) books: Mapped<Books>,
    pub(super) control: Mapped<Control>,
}

/// How it is laid out, and which it is: see the fields of [`Shared`].
pub(super) struct Shape {
    pub(super) number: u64,
    pub(super) areas: usize,
    pub(super) slots4_shift: u32,
    pub(super) slots6_shift: u32,
    pub(super) displaced_shift: u32,
    pub(super) clock: ProbeClock,
    pub(super) instance: Option<u64>,
}

impl Memory {
    pub(super) const MAPS: usize = 7;

    /// Maps it, from what makes a descriptor of a map's name in the object.
    pub(super) fn of(
        shape: &Shape,
        mut array: impl FnMut(&'static str) -> Result<OwnedFd, ProbeError>,
    ) -> Result<Self, ProbeError> {
        let Shape { areas, slots4_shift, slots6_shift, displaced_shift, .. } = *shape;
        let slots = |shift| slots_in_all(areas as u32, shift) as usize;
        Ok(Self {
            slots4: mapped(array("SLOTS4")?, slots(slots4_shift))?,
            slots6: mapped(array("SLOTS6")?, slots(slots6_shift))?,
            displaced4: mapped(array("DISPLACED4")?, areas << displaced_shift)?,
            displaced6: mapped(array("DISPLACED6")?, areas << displaced_shift >> 1)?,
            ends: mapped(array("RING_ENDS")?, 2 * areas)?,
            books: mapped(array("BOOKS")?, 2 * areas)?,
            control: mapped(array("CONTROL")?, 1)?,
        })
    }

    /// Its maps, in the order in which [`of`](Self::of) asks for them.
    pub(super) fn descriptors(&self) -> [BorrowedFd<'_>; Self::MAPS] {
        let Self { slots4, slots6, displaced4, displaced6, ends, books, control } = self;
        [
            slots4.as_fd(),
            slots6.as_fd(),
            displaced4.as_fd(),
            displaced6.as_fd(),
            ends.as_fd(),
            books.as_fd(),
            control.as_fd(),
        ]
    }
}

impl Shared {
    /// Of which nothing was closed or read yet.
    pub(super) fn new(memory: Memory, shape: Shape) -> Self {
        let Shape { number, areas, slots4_shift, slots6_shift, displaced_shift, clock, instance } = shape;
        Self {
            memory,
            number,
            areas,
            slots4_shift,
            slots6_shift,
            displaced_shift,
            clock,
            closed: AtomicU64::new(0),
            swept: (0..areas).map(|_| AtomicU64::new(0)).collect(),
            ended: AtomicBool::new(false),
            offset: AtomicI64::new(0),
            phase: AtomicI64::new(clock::phase()),
            tick: clock::jiffy(),
            instance,
            concluded: AtomicU32::new(0),
        }
    }

    /// A number that no other probe of this process has.
    pub(super) fn next_number() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: it only has to be another one.
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn time(&self) -> Time {
        match self.clock {
            ProbeClock::Monotonic => Time {
                tick: self.tick,
                phase: self.phase.load(Ordering::Relaxed),
                offset: self.offset.load(Ordering::Relaxed),
            },
            ProbeClock::Metadata => Time { tick: 1_000, phase: 0, offset: 0 },
        }
    }

    /// See [`clock::offset`].
    pub(super) fn set_offset(&self) {
        self.offset.store(clock::offset(self.offset.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// All of it was read to the end.
    pub(super) fn is_concluded(&self) -> bool {
        self.concluded.load(Ordering::Acquire) as usize >= self.areas
    }
}

/// What a receiver of an area needs besides [`Shared`].
pub(super) struct Rings {
    pub(super) copies: RingBuf<MapData>,
}

/// A map of maps, and what is put into it to wait.
type Grace = (ArrayOfMaps<MapData, Array<MapData, u32>>, Array<MapData, u32>);

/// A loaded probe. Detached and unloaded when dropped.
pub struct Probe {
    ebpf: Ebpf,
    program: &'static str,
    pub(super) shared: Arc<Shared>,
    rules: Rules,
    pub(super) sockets: XskMap<MapData>,
    grace: Option<Mutex<Grace>>,
    pub(super) flows: Option<Mapped<u64>>,
    size: Size,
    has_egress: bool,
    /// The pinned attachment: gone from there, and then closed, it ends.
    link: Option<(PathBuf, Option<PinnedLink>)>,
    // Kept: the outer maps hold references by themselves, but only while they are there.
    _outer: ArrayOfMaps<MapData, MapData>,
}

impl Probe {
    /// Loads the program. Takes CAP_BPF and CAP_NET_ADMIN (or root). Its areas' rings are in the second value.
    pub(super) fn load_parts(options: &ProbeOptions) -> Result<(Self, Vec<Rings>), ProbeError> {
        options.check()?;
        let settings = settings_bytes(&options.settings()?);
        let areas = options.all_areas();
        let slots = |shift| slots_in_all(areas, shift) as u32;
        let mut ebpf = EbpfLoader::new()
            .override_global("SETTINGS", settings.as_slice(), true)
            .map_max_entries("SLOTS4", slots(options.slots4_shift))
            .map_max_entries("SLOTS6", slots(options.slots6_shift))
            .map_max_entries("DISPLACED4", areas << options.displaced_shift())
            .map_max_entries("DISPLACED6", areas << options.displaced_shift() >> 1)
            .map_max_entries("RING_ENDS", 2 * areas)
            .map_max_entries("BOOKS", 2 * areas)
            .map_max_entries("QUOTAS", areas)
            .load(if options.bench.is_some() { xdp_probe::PEERS } else { xdp_probe::PROBE })?;
        let program = match options.bench {
            Some(bench) => bench.name(),
            None if options.frags => "spotter_frags",
            None => "spotter",
        };
        if options.clock == ProbeClock::Monotonic {
            clock::measure_phase(&mut ebpf)?;
        }
        // First: the program names its maps by descriptors that are closed when their maps were taken and mapped.
        xdp(&mut ebpf, program)?.load()?;
        if options.egress_areas > 0 {
            classifier(&mut ebpf)?.load()?;
        }
        let mut take = |name: &'static str| ebpf.take_map(name).ok_or(ProbeError::Missing(name));
        let mut copies = outer(take("COPIES")?)?;
        let folder = options.pin.as_ref().map(|pin| pin.folder.as_path());
        let shape = Shape {
            number: Shared::next_number(),
            areas: areas as usize,
            slots4_shift: options.slots4_shift,
            slots6_shift: options.slots6_shift,
            displaced_shift: options.displaced_shift(),
            clock: options.clock,
            instance: options.pin.as_ref().map(|pin| pin.instance),
        };
        if let Some(PinTo { folder, instance, owner }) = &options.pin {
            std::fs::create_dir(folder).map_err(|error| ProbeError::System("making the folder for pins", error))?;
            let Shape { slots4_shift, slots6_shift, displaced_shift, .. } = shape;
            let meta = Meta { instance: *instance, owner: *owner, areas, slots4_shift, slots6_shift, displaced_shift };
            pin::write_meta(folder, meta)?;
        }
        let copy_bytes = if options.verdicts == Verdicts::TapRedirect { 4096 } else { options.copy_ring_bytes };
        let rings = (0..areas)
            .map(|area| Ok(Rings { copies: ring(&mut copies, area, copy_bytes, folder, &pin::ring_name(area))? }))
            .collect::<Result<Vec<_>, ProbeError>>()?;
        let memory = Memory::of(&shape, |name| {
            let Map::Array(data) = take(name)? else { return Err(ProbeError::Missing(name)) };
            pin(&data, folder, name)?;
            data.fd().as_fd().try_clone_to_owned().map_err(|error| ProbeError::System("keeping a map", error))
        })?;
        let shared = Shared::new(memory, shape);
        let rules = Rules {
            sets: mapped_array(take("RULE_SETS")?, 1)?,
            of_protocol: mapped_array(take("RULES_OF_PROTOCOL")?, PROTOCOLS)?,
            of_port: mapped_array(take("RULES_OF_PORT")?, PORTS)?,
            of_net: Mutex::new(LpmTrie::try_from(take("RULES_OF_NET")?)?),
        };
        let sockets = XskMap::try_from(take("SOCKETS")?)?;
        let grace = (ArrayOfMaps::try_from(take("GRACE")?)?, Array::try_from(take("GRACE_INNER")?)?);
        let flows = match options.bench {
            Some(_) => Some(mapped_array(take("FLOWS")?, super::bench::FLOWS)?),
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
            size: Size::new(options.unused_shift),
            has_egress: false,
            link: None,
            _outer: copies,
        };
        let now = out.now();
        out.shared.memory.control.set_base(0, now);
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
    ///
    /// # Errors
    /// The kernel's: nothing is dropped then.
    pub fn set_filter(&self, filter: &Filter) -> Result<(), ProbeError> {
        self.shared.memory.control.set_rules(0);
        self.wait_for_programs();
        self.rules.write(filter.rules())?;
        self.shared.memory.control.set_rules(filter.rules().len().min(MAX_RULES) as u32);
        Ok(())
    }

    /// Now, by the program's coarse clock, in ticks.
    pub(super) fn now(&self) -> u64 {
        match self.shared.clock {
            ProbeClock::Monotonic => {
                let since = clock::monotonic().saturating_sub(self.shared.phase.load(Ordering::Relaxed));
                since.max(0) as u64 / self.shared.tick
            }
            ProbeClock::Metadata => 0,
        }
    }

    /// Closes the generation that is written: the other one is written from `now` on (a tick), and when this returns no
    /// program writes the closed one. All receivers must have read the one before.
    pub fn flip(&self, now: u64) {
        let closing = self.shared.closed.load(Ordering::Acquire);
        let next = (closing + 1) as u32 & 1;
        self.shared.memory.control.set_base(next, now);
        let unused = self.size.next(&self.shared, next as usize ^ 1);
        self.shared.memory.control.set_unused_shift(next, unused);
        self.shared.set_offset();
        self.shared.memory.control.set_generation(next);
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

fn mapped<T: super::map::Plain>(array: impl AsFd, entries: usize) -> Result<Mapped<T>, ProbeError> {
    Mapped::new(array, entries).map_err(|error| ProbeError::System("mapping the probe's memory", error))
}

/// As [`mapped`], of a map of the object or of a pin.
pub(super) fn mapped_array<T: super::map::Plain>(map: Map, entries: usize) -> Result<Mapped<T>, ProbeError> {
    let Map::Array(data) = map else { return Err(ProbeError::Missing("array")) };
    mapped(data.fd(), entries)
}
