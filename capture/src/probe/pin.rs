//! What outlives the process: the probe's link and maps, pinned in a BPF file system.
//!
//! ```text
//! ROOT/v3/n<network namespace>_<interface>/          locked (flock) as long as a process captures there
//!     xdp_<mode>_<ifindex>                           the attachment: packets are counted on while nobody reads
//!     <instance>/{meta,CONTROL,BOOKS,SLOTS4,…}       the memory of one loaded probe
//!     <instance>/copies_<area>                       its rings of frames
//! ```
//!
//! After a SIGKILL the program goes on counting. The next process puts its own program into the pinned link (one exchange:
//! every packet meets the one or the other), waits until the former program runs nowhere, and reads its memory to the end
//! as if it were its own. The books of a probe's memory are never set back, so that what the former process had told can
//! be told from what it had not. The memory is given up when what was in it has been published.
//!
//! `v3` is the layout of the memory; what a killed capture of another layout left is taken off and given up. Names have no dots: the file system forbids them.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aya::maps::{Map, MapData, RingBuf};
use aya::programs::links::{FdLink, PinnedLink};

use super::load::{Memory, Rings, Shape, Shared, mapped_array};
use super::map::Mapped;
use super::options::{MOST_AREAS, ProbeClock, ProbeError};

const LAYOUT: &str = "v3";

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS: u64 = 0xcafe_4a11;

/// A capture that was killed may hold its lock for so long: it ends when what it was writing is on the disk.
const DYING: Duration = Duration::from_secs(5);

/// What says how the rest is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub(super) struct Meta {
    /// Number of the probe, drawn at random.
    pub(super) instance: u64,
    /// Whose ledger it is told in.
    pub(super) owner: u64,
    pub(super) areas: u32,
    pub(super) slots4_shift: u32,
    pub(super) slots6_shift: u32,
    pub(super) displaced_shift: u32,
}

/// The folder of one interface.
#[derive(Debug)]
pub(super) struct Pins {
    dir: PathBuf,
    /// Locked.
    lock: File,
}

/// A pinned probe that nobody reads.
pub(super) struct Left {
    pub(super) meta: Meta,
    pub(super) shared: Arc<Shared>,
    pub(super) rings: Vec<Rings>,
}

impl Pins {
    /// The folder of an interface of this network namespace, made and locked. `None` where there is no BPF file system.
    ///
    /// # Errors
    /// `ResourceBusy`: a living process has it.
    pub(super) fn open(root: &Path, interface: &str) -> io::Result<Option<Self>> {
        let above = root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        if rustix::fs::statfs(above)?.f_type as u64 != BPF_FS {
            return Ok(None);
        }
        let namespace = fs::metadata("/proc/self/ns/net")?.ino();
        let folder = format!("n{namespace}_{}", interface.replace('.', "-"));
        give_up_other_layouts(root, &folder, interface)?;
        let dir = root.join(LAYOUT).join(folder);
        fs::create_dir_all(&dir)?;
        Self::locked(dir).map(Some)
    }

    fn locked(dir: PathBuf) -> io::Result<Self> {
        let lock = File::open(&dir)?;
        let end = Instant::now() + DYING;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { dir, lock }),
                Err(TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// The lock, to be held by another process, too: it is given up when nobody holds it.
    pub(super) fn lock(&self) -> io::Result<OwnedFd> {
        Ok(self.lock.try_clone()?.into())
    }

    /// Where the memory of a probe is.
    pub(super) fn instance(&self, instance: u64) -> PathBuf {
        self.dir.join(format!("{instance:016x}"))
    }

    /// Where the link of an attachment is.
    pub(super) fn link(&self, ifindex: u32, driver: bool) -> PathBuf {
        self.dir.join(format!("xdp_{}_{ifindex}", if driver { "driver" } else { "generic" }))
    }

    /// Takes programs off that are attached in any other way than `but`.
    pub(super) fn detach_others(&self, but: Option<&Path>) {
        for path in entries(&self.dir).filter(|path| path.is_file() && Some(path.as_path()) != but) {
            if let Err(error) = detach(&path) {
                tracing::warn!(path = %path.display(), %error, "a pinned XDP program cannot be taken off");
            }
        }
    }

    /// The probes whose memory is here, but `own`. What cannot be read is told and left.
    pub(super) fn left(&self, own: Option<u64>) -> Vec<Left> {
        let own = own.map(|own| self.instance(own));
        let folders = entries(&self.dir).filter(|path| path.is_dir() && Some(path) != own.as_ref());
        folders
            .filter_map(|folder| {
                let opened = Left::open(&folder);
                opened
                    .inspect_err(|error| {
                        tracing::warn!(path = %folder.display(), %error, "what a killed capture left cannot be read (`rm -r` it)");
                    })
                    .ok()
            })
            .collect()
    }

    /// Gives up the memory of a probe.
    pub(super) fn forget(&self, instance: u64) {
        forget(&self.instance(instance));
    }
}

/// Removes the pins of a folder, and it.
pub(super) fn forget(folder: &Path) {
    let removed = entries(folder).try_for_each(fs::remove_file).and_then(|()| fs::remove_dir(folder));
    if let Err(error) = removed.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) }) {
        tracing::warn!(path = %folder.display(), %error, "the probe's memory cannot be unpinned");
    }
}

/// Takes a pinned program off. The last reference is the descriptor: closing it waits for the end, removing the file does not.
pub(super) fn detach(path: &Path) -> io::Result<()> {
    let link = PinnedLink::from_pin(path).map_err(io::Error::other)?;
    fs::remove_file(path)?;
    drop(FdLink::from(link));
    Ok(())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Takes off and gives up what a killed capture by another version of Spotter left on an interface. Its program would go on
/// taking the packets, and nothing here can read what it counts.
///
/// # Errors
/// `ResourceBusy`: a living process has it.
fn give_up_other_layouts(root: &Path, folder: &str, interface: &str) -> io::Result<()> {
    for layout in entries(root).filter(|path| path.file_name().is_some_and(|name| name != LAYOUT)) {
        let dir = layout.join(folder);
        if !dir.is_dir() {
            continue;
        }
        let pins = Pins::locked(dir)?;
        if entries(&pins.dir).next().is_some() {
            tracing::warn!(
                interface,
                "what a killed capture by another version of Spotter ({}) had counted and not yet written is given up",
                layout.display()
            );
        }
        pins.detach_others(None);
        entries(&pins.dir).filter(|path| path.is_dir()).for_each(|instance| forget(&instance));
        // Kept where something of it could not be taken off, which was told.
        let _ = fs::remove_dir(&pins.dir).and_then(|()| fs::remove_dir(&layout));
    }
    Ok(())
}

/// Takes off and gives up what a capture that was killed left on an interface that is now captured another way.
pub(crate) fn give_up_left(root: &Path, interface: &str) {
    let Ok(Some(pins)) = Pins::open(root, interface) else { return };
    pins.detach_others(None);
    for Left { meta, shared, .. } in pins.left(None) {
        let books = (0..2 * shared.areas).map(|at| shared.memory.books.read(at).seen.packets);
        tracing::warn!(
            interface,
            "{} packets of a capture by XDP that was killed are given up: only XDP takes them over",
            books.sum::<u64>()
        );
        pins.forget(meta.instance);
    }
}

/// Pins a map.
pub(super) fn pin(map: &MapData, folder: Option<&Path>, name: &str) -> Result<(), ProbeError> {
    folder.map_or(Ok(()), |folder| Ok(map.pin(folder.join(name))?))
}

/// The name of an area's ring of copied frames.
pub(super) fn ring_name(area: u32) -> String {
    format!("copies_{area}")
}

/// Makes the map that says how the others are laid out.
pub(super) fn write_meta(folder: &Path, meta: Meta) -> Result<(), ProbeError> {
    let kind = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
    let size = size_of::<Meta>() as u32;
    let flags = aya_obj::generated::BPF_F_MMAPABLE;
    let map = MapData::create(aya_obj::Map::new_from_params(kind, 4, size, 1, flags), "meta", None)?;
    map.pin(folder.join("meta"))?;
    let mapped = Mapped::new(map.fd(), 1).map_err(|error| ProbeError::System("mapping the probe's memory", error))?;
    mapped.write(0, meta);
    Ok(())
}

impl Left {
    fn open(folder: &Path) -> Result<Self, ProbeError> {
        let data = |name: &str| MapData::from_pin(folder.join(name));
        let array = |name: &str| Ok::<_, ProbeError>(Map::Array(data(name)?));
        let meta: Meta = mapped_array::<Meta>(array("meta")?, 1)?.read(0);
        let Meta { areas, slots4_shift, slots6_shift, displaced_shift, .. } = meta;
        if !(1..=MOST_AREAS).contains(&areas) || slots4_shift.max(slots6_shift).max(displaced_shift) > 24 {
            return Err(ProbeError::OutOfRange("the layout of what a killed capture left", "areas and slots"));
        }
        let ring = |name: &str| Ok::<_, ProbeError>(RingBuf::try_from(Map::RingBuf(data(name)?))?);
        let rings = (0..areas)
            .map(|area| Ok(Rings { copies: ring(&ring_name(area))? }))
            .collect::<Result<Vec<_>, ProbeError>>()?;
        let shape = Shape {
            number: Shared::next_number(),
            areas: areas as usize,
            slots4_shift,
            slots6_shift,
            displaced_shift,
            clock: ProbeClock::Monotonic,
            instance: Some(meta.instance),
        };
        let memory = Memory::of(&shape, |name| {
            let fd = data(name)?.fd().as_fd().try_clone_to_owned();
            fd.map_err(|error| ProbeError::System("keeping a pinned map", error))
        })?;
        let shared = Shared::new(memory, shape);
        // Nobody writes it any more.
        shared.ended.store(true, Ordering::Release);
        shared.set_offset();
        Ok(Self { meta, shared: Arc::new(shared), rings })
    }
}
