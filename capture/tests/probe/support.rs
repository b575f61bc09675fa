//! What the tests share: a loaded probe, and a handler that remembers.

use capture::Nanos;
use capture::live::Microflow;
use capture::live::source::{Handler, LiveFrame};
use capture::probe::{Area, Probe, ProbeClock, ProbeOptions};

/// Loads a probe, or says why the test is skipped.
pub(crate) fn load(options: &ProbeOptions) -> Option<(Probe, Vec<Area>)> {
    match Probe::load(options) {
        Ok(loaded) => Some(loaded),
        Err(error) if std::env::var_os("CI").is_none() => {
            println!("SKIPPED: the probe cannot be loaded here: {error}");
            None
        }
        Err(error) => panic!("the probe cannot be loaded, and CI asks for it: {error}"),
    }
}

/// A probe of one area for runs by hand: time from metadata, frames for user space copied into the ring.
pub(crate) fn by_hand() -> ProbeOptions {
    ProbeOptions {
        clock: ProbeClock::Metadata,
        verdicts: capture::probe::Verdicts::TapCopy,
        slots4_shift: 10,
        slots6_shift: 10,
        ..ProbeOptions::default()
    }
}

/// A frame with its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) ts: Nanos,
    pub(crate) data: Vec<u8>,
    pub(crate) wire_len: u32,
}

/// Remembers everything.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) frames: Vec<Kept>,
    pub(crate) microflows: Vec<Microflow>,
}

impl Memory {
    pub(crate) fn packets(&self) -> u64 {
        self.microflows.iter().map(|m| m.from_low.packets + m.from_high.packets).sum()
    }
}

impl Handler for Memory {
    fn frames(&mut self, frames: &[LiveFrame<'_>]) {
        self.frames.extend(frames.iter().map(|f| Kept { ts: f.ts, data: f.data.to_vec(), wire_len: f.wire_len }));
    }

    fn microflows(&mut self, microflows: &[Microflow]) {
        self.microflows.extend_from_slice(microflows);
    }

    fn complete_to(&mut self, _ts: Nanos) {}
}

/// Everything the area has now, then what a flip closes.
pub(crate) fn read_all(probe: &Probe, area: &mut Area, now: u64, to: &mut Memory) {
    probe.flip(now);
    area.drain_evicted(to, usize::MAX);
    area.drain_copies(to, usize::MAX);
    area.sweep(to);
}
