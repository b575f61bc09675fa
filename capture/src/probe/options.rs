//! How a probe is to be: its settings, and what may go wrong with it.

use std::io;
use std::path::PathBuf;

use aya::EbpfError;
use aya::maps::MapError;
use aya::pin::PinError;
use aya::programs::ProgramError;
use aya::programs::links::LinkError;
use probe_common::layout::{FEWEST_SHIFT, Key, Settings, Slot4, policy};

use super::bench::BenchProgram;

/// As many as the outer maps of the program take.
pub(super) const MOST_AREAS: u32 = 512;
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

/// What the verifier's last lines begin with.
const STATISTICS: [&str; 3] = ["verification time", "stack depth", "processed"];

impl ProbeError {
    /// What the kernel said, where it said something.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Program(ProgramError::SyscallError(error)) | Self::Map(MapError::SyscallError(error)) => {
                error.io_error
            }
            // EPERM is for lack of rights; this is the verifier's.
            Self::Program(ProgramError::LoadError { io_error, verifier_log })
                if io_error.raw_os_error() == Some(libc::EACCES) =>
            {
                let log = verifier_log.to_string();
                let said = log
                    .lines()
                    .rev()
                    .find(|line| !line.is_empty() && !STATISTICS.iter().any(|word| line.starts_with(word)));
                io::Error::other(format!("the kernel's verifier refuses the program: {}", said.unwrap_or_default()))
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
    /// At least 2 to the power of the slots' shift less this are used, and all while flows displace each other. Default 0: all.
    pub unused_shift: u32,
    /// Bytes of each area's rings of slots that left early, one for IPv4 and one for IPv6: a power of two of pages. Default 4 MiB.
    pub ring_bytes: u32,
    /// Bytes of each area's ring of copied frames, likewise. Default 16 MiB.
    pub copy_ring_bytes: u32,
    /// One packet of so many is looked at; 1 = all.
    pub sample: u32,
    /// Flows in different VLANs are different flows.
    pub vlan_in_key: bool,
    /// Of a packet in VXLAN the inner one is counted; else user space gets it whole.
    pub enters_vxlan: bool,
    /// The program that takes packets in several buffers.
    pub frags: bool,
    /// A bench's program in place of the probe's; see [`crate::probe::Bench`].
    pub bench: Option<BenchProgram>,
    /// Where its memory is pinned, so that it outlives the process; None: nowhere.
    pub pin: Option<PinTo>,
    /// The processor makes stores visible in their order; else the program orders them. `false` is right everywhere.
    pub stores_in_order: bool,
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
            unused_shift: 0,
            ring_bytes: 4 << 20,
            copy_ring_bytes: 16 << 20,
            sample: 1,
            vlan_in_key: false,
            enters_vxlan: true,
            frags: true,
            bench: None,
            pin: None,
            stores_in_order: cfg!(target_arch = "x86_64"),
            grace: true,
        }
    }
}

impl ProbeOptions {
    pub(super) const fn all_areas(&self) -> u32 {
        self.areas.saturating_add(self.egress_areas)
    }

    /// Entries of a ring of IPv4 slots that left early are 2 to this power.
    pub(super) const fn displaced_shift(&self) -> u32 {
        (self.ring_bytes / size_of::<Slot4>() as u32).ilog2()
    }

    pub(super) fn check(&self) -> Result<(), ProbeError> {
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
            Self { slots4_shift, slots6_shift, unused_shift, .. }
                if slots4_shift.min(slots6_shift).saturating_sub(*unused_shift) < FEWEST_SHIFT =>
            {
                Err(ProbeError::OutOfRange("slots used at least", "at least 16"))
            }
            Self { ring_bytes, copy_ring_bytes, .. } if !ring(*ring_bytes) || !ring(*copy_ring_bytes) => {
                Err(ProbeError::OutOfRange("ring bytes", "4096 to 1 GiB, a power of two"))
            }
            Self { sample: 0, .. } => Err(ProbeError::OutOfRange("sample", "at least 1")),
            _ => Ok(()),
        }
    }

    pub(super) fn settings(&self) -> Result<Settings, ProbeError> {
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
            enters_vxlan: u32::from(self.enters_vxlan),
            displaced_shift: self.displaced_shift(),
            stores_in_order: u32::from(self.stores_in_order),
            reserved: 0,
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
pub(super) fn settings_bytes(settings: &Settings) -> Vec<u8> {
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
        enters_vxlan,
        displaced_shift,
        stores_in_order,
        reserved,
        ..
    } = *settings;
    let words = [seeds[0], seeds[1], multipliers[0], multipliers[1], key_mask];
    let mut halves =
        vec![slots4_shift, slots6_shift, areas, area_is_cpu, policy, sample, clock_is_metadata, first_egress];
    halves.extend([enters_vxlan, displaced_shift, stores_in_order, reserved]);
    words.iter().flat_map(|word| word.to_ne_bytes()).chain(halves.iter().flat_map(|half| half.to_ne_bytes())).collect()
}
