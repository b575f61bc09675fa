//! All packets of the day in time order: a merge over the sessions under way.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::SynthError;
use super::config::SynthConfig;
use super::frame;
use super::label::Label;
use super::play::{Event, Player};
use super::session::{MINUTE, Session};
use super::sim::Sim;

/// How far the simulation runs ahead of the packets. A session may begin a little before the act that made it (a
/// lookup precedes its connection), so packets are given out only up to this much before the simulation's time.
const WINDOW: i64 = MINUTE;
const SLACK: i64 = MINUTE;

/// The merge.
pub(crate) struct Traffic {
    sim: Sim,
    /// Sessions that have not begun, by start.
    waiting: VecDeque<Session>,
    /// Next packet of each session under way: time, order of arrival, slot.
    heap: BinaryHeap<Reverse<(i64, u64, usize)>>,
    slots: Vec<Option<Player>>,
    free: Vec<usize>,
    arrivals: u64,
    /// Most sessions under way at once.
    pub(crate) most: usize,
}

/// A packet that passes the tap.
pub(crate) struct Passing<'a> {
    pub(crate) player: &'a Player,
    pub(crate) event: Event,
}

impl Traffic {
    pub(crate) fn new(config: SynthConfig) -> Result<Self, SynthError> {
        config.validate()?;
        Ok(Self {
            sim: Sim::new(config),
            waiting: VecDeque::new(),
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            arrivals: 0,
            most: 0,
        })
    }

    /// Hands the packets of the next window, in time order, to `each`. False at the end: of the last day, where what is
    /// still under way is cut off as a capture would be.
    pub(crate) fn window(
        &mut self,
        mut each: impl FnMut(Passing<'_>) -> Result<(), SynthError>,
    ) -> Result<bool, SynthError> {
        let end = self.sim.end();
        let until = self.sim.now() + WINDOW;
        let mut fresh = self.sim.run(until);
        let limit = if self.sim.now() >= end { end } else { self.sim.now() - SLACK };
        if !fresh.is_empty() {
            fresh.extend(self.waiting.drain(..));
            // Stable: equal times stay in the order in which the actors made them.
            fresh.sort_by_key(|s| s.start);
            self.waiting = fresh.into();
        }
        while let Some(session) = self.waiting.front() {
            if session.start >= limit {
                break;
            }
            let Some(session) = self.waiting.pop_front() else { break };
            let start = session.start;
            self.drain(start, &mut each)?;
            self.admit(session);
        }
        self.drain(limit, &mut each)?;
        Ok(self.sim.now() < end)
    }

    fn admit(&mut self, session: Session) {
        let mut player = Player::new(session);
        let Some(ts) = player.peek() else { return };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(player);
        self.heap.push(Reverse((ts, self.arrivals, slot)));
        self.arrivals += 1;
        self.most = self.most.max(self.heap.len());
    }

    /// Plays everything before `limit`.
    fn drain(
        &mut self,
        limit: i64,
        each: &mut impl FnMut(Passing<'_>) -> Result<(), SynthError>,
    ) -> Result<(), SynthError> {
        let begin = self.sim.begin();
        while let Some(mut top) = self.heap.peek_mut() {
            let Reverse((ts, order, slot)) = *top;
            if ts >= limit {
                break;
            }
            let Some(player) = self.slots[slot].as_mut() else { break };
            if let Some(event) = player.next() {
                // What would have begun before the first midnight was not captured.
                if ts >= begin {
                    if let Some(incident) = player.session.incident.and_then(|i| self.sim.incidents.get_mut(i as usize))
                    {
                        incident.see(ts);
                    }
                    each(Passing { player, event })?;
                }
            }
            match player.peek() {
                Some(next) => *top = Reverse((next, order, slot)),
                None => {
                    std::collections::binary_heap::PeekMut::pop(top);
                    self.slots[slot] = None;
                    self.free.push(slot);
                }
            }
        }
        Ok(())
    }

    /// Share of the time that has passed.
    pub(crate) fn share(&self) -> f64 {
        (self.sim.now() - self.sim.begin()) as f64 / (self.sim.end() - self.sim.begin()).max(1) as f64
    }

    /// Labels of the incidents that happened.
    pub(crate) fn labels(&self) -> Vec<Label> {
        self.sim.incidents.iter().filter(|i| i.happened()).map(|i| i.label.clone()).collect()
    }
}

impl Passing<'_> {
    /// The frame's bytes.
    pub(crate) fn frame(&self, out: &mut Vec<u8>) {
        frame::build(self.player, &self.event.packet, out);
    }
}
