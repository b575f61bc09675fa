//! Counting once: the same direction of a flow, reported by several observers or packet by packet.

use std::net::IpAddr;

use capture::collect::{ExportedFlow, Protocol};

/// Observers of one direction that are told apart.
const MAX_OBSERVERS: usize = 16;

/// How far apart clocks of exporters may be: nanoseconds.
const SKEW: i64 = 1_000_000_000;

/// Who reports: an exporter's view of a flow at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Observer {
    exporter: IpAddr,
    domain: u32,
    direction: u8,
    input_if: u32,
    output_if: u32,
}

impl Observer {
    fn of(flow: &ExportedFlow) -> Self {
        Self {
            exporter: flow.exporter,
            domain: flow.domain,
            direction: flow.direction.unwrap_or(u8::MAX),
            input_if: flow.input_if.unwrap_or(u32::MAX),
            output_if: flow.output_if.unwrap_or(u32::MAX),
        }
    }
}

/// One direction, as who reported it first has it.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) flow: ExportedFlow,
    /// Beside the first; hardly ever any.
    others: Box<[Observer]>,
}

// What waits at most is told by this: see `ExportedConfig::max_flows`.
const _: () = assert!(size_of::<Half>() <= 256);

/// What another report of a direction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Again {
    /// Another observation: it counts nowhere else.
    Duplicate,
    /// Sampled packets, added to those before.
    Merged,
    /// Another flow.
    No,
}

impl Half {
    pub(super) fn new(flow: &ExportedFlow) -> Self {
        Self { flow: flow.clone(), others: Box::default() }
    }

    /// The same direction is reported again; sampled packets are added up for `active` nanoseconds.
    pub(super) fn again(&mut self, flow: &ExportedFlow, active: i64) -> Again {
        if Observer::of(&self.flow) != Observer::of(flow) {
            return if self.observed(flow) { Again::Duplicate } else { Again::No };
        }
        let begins = flow.first.0.min(self.flow.first.0);
        if flow.protocol != Protocol::SFlow || flow.last.0.saturating_sub(begins) >= active {
            return Again::No;
        }
        add(&mut self.flow, flow);
        Again::Merged
    }

    /// Notes who else reports it, at an overlapping time; `false` at another.
    pub(super) fn observed(&mut self, flow: &ExportedFlow) -> bool {
        if !self.overlaps(flow) {
            return false;
        }
        let observer = Observer::of(flow);
        if !self.others.contains(&observer) && self.others.len() < MAX_OBSERVERS {
            let mut others = std::mem::take(&mut self.others).into_vec();
            others.push(observer);
            self.others = others.into();
        }
        true
    }

    pub(super) fn overlaps(&self, flow: &ExportedFlow) -> bool {
        let before = |a: &ExportedFlow, b: &ExportedFlow| a.first.0 <= b.last.0.saturating_add(SKEW);
        before(flow, &self.flow) && before(&self.flow, flow)
    }

    /// Observers beside the first.
    pub(super) fn others(&self) -> usize {
        self.others.len()
    }
}

/// Adds sampled packets of the same direction.
fn add(to: &mut ExportedFlow, more: &ExportedFlow) {
    // Another rate: both are brought to packets of the wire.
    if to.sampling != more.sampling {
        let scale = u64::from(std::mem::replace(&mut to.sampling, 1));
        to.forward.packets = to.forward.packets.saturating_mul(scale);
        to.forward.bytes = to.forward.bytes.saturating_mul(scale);
    }
    let scale = if to.sampling == more.sampling { 1 } else { u64::from(more.sampling) };
    to.forward.packets = to.forward.packets.saturating_add(more.forward.packets.saturating_mul(scale));
    to.forward.bytes = to.forward.bytes.saturating_add(more.forward.bytes.saturating_mul(scale));
    to.forward.tcp_flags = match (to.forward.tcp_flags, more.forward.tcp_flags) {
        (Some(a), Some(b)) => Some(a | b),
        (a, b) => a.or(b),
    };
    to.first = to.first.min(more.first);
    to.last = to.last.max(more.last);
}
