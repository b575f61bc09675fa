//! The probe and its peers, run by hand over frames whose flow changes: what `spotter bench probe` measures.

use super::area::Area;
use super::load::Probe;
use super::options::{ProbeError, ProbeOptions};
use crate::live::Filter;
use crate::live::source::Handler;

/// Flow numbers that a program goes through, over and over.
pub(super) const FLOWS: usize = 1 << 20;

/// Where in a frame a program keeps its place among them.
const PLACE: std::ops::Range<usize> = 96..100;

/// A program of a bench. All write the next flow number into the frame's source address first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BenchProgram {
    /// Nothing else: what the generator and the test run cost.
    Empty,
    /// The probe with its parser and books, but no table.
    NoTable,
    /// The probe.
    Cache,
    /// Its parser and judgement alone, without books.
    ParseOnly,
    /// The probe with a record for each packet (IPv4 only).
    Digest,
    /// The probe whose cache gives way to such records while it is not hit.
    Adaptive,
    /// The probe with the kernel's PERCPU_HASH in place of its cache.
    PerCpuHash,
    /// With the kernel's LRU_PERCPU_HASH.
    LruPerCpuHash,
}

impl BenchProgram {
    /// Its name in the object.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoTable => "no_table",
            Self::Cache => "cache",
            Self::ParseOnly => "parse_only",
            Self::Digest => "digest",
            Self::Adaptive => "adaptive",
            Self::PerCpuHash => "percpu_hash",
            Self::LruPerCpuHash => "lru_percpu_hash",
        }
    }
}

/// See the [module](self).
#[derive(Debug)]
pub struct Bench {
    probe: Probe,
    area: Area,
    place: u32,
}

impl Bench {
    /// Loads a program with as many slots as the live source has for one queue by default (262,144 for IPv4, 131,072 for
    /// IPv6), and room in its ring for 40,000 flows that leave their slot.
    pub fn load(program: BenchProgram) -> Result<Self, ProbeError> {
        let options = ProbeOptions {
            bench: Some(program),
            verdicts: super::Verdicts::TapCopy,
            slots4_shift: 18,
            slots6_shift: 17,
            ring_bytes: 4 << 20,
            ..ProbeOptions::default()
        };
        let (probe, areas) = Probe::load(&options)?;
        let area = areas.into_iter().next().ok_or(ProbeError::Missing("area"))?;
        Ok(Self { probe, area, place: 0 })
    }

    /// Sets the order in which flows come: 1,048,576 numbers, then from the first again.
    pub fn set_flows(&mut self, mut flow: impl FnMut() -> u32) {
        if let Some(flows) = &self.probe.flows {
            (0..FLOWS).for_each(|index| flows.write(index, u64::from(flow())));
        }
    }

    /// Runs the program `repeat` times; the frame has at least 100 bytes.
    pub fn run(&mut self, frame: &mut [u8], repeat: u32) -> Result<(), ProbeError> {
        let place = frame.get_mut(PLACE).ok_or(ProbeError::OutOfRange("frame", "at least 100 bytes"))?;
        place.copy_from_slice(&self.place.to_ne_bytes());
        self.place = self.place.wrapping_add(repeat);
        self.probe.test_run(0, frame, repeat)?;
        Ok(())
    }

    /// Empties the ring; with `sweep` closes the generation, too, and reads it.
    pub fn drain(&mut self, sweep: bool, to: &mut dyn Handler) {
        if sweep {
            let now = self.probe.now();
            self.probe.flip(now);
        }
        self.area.drain_evicted(to, usize::MAX);
        if sweep {
            self.area.sweep(to);
        }
    }

    /// Sets the filter.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_filter(&mut self, filter: &Filter) -> Result<(), ProbeError> {
        self.probe.set_filter(filter)
    }

    /// Packets that were counted in the table, and those lost with their record, over the generations read.
    pub fn counted(&self) -> (u64, u64) {
        let books = self.area.books();
        (books.cached.packets, books.lost_ring_full.packets)
    }
}
