//! Areas in the process that reads them, while the probe and its interface are the keeper's.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aya::maps::{Map, MapData, RingBuf};

use super::area::Area;
use super::load::{Memory, Rings, Shape, Shared};
use super::options::{MOST_AREAS, ProbeClock, ProbeError};
use super::receiver::{AreaReceiver, Part, Seat};
use crate::keeper::message::{PartHead, ProbeRead, ProbeState};
use crate::keeper::{Given, Read, Reading};
use crate::live::source::{QueueName, Receiver, Survivor};
use crate::xsk::Socket;

impl Shared {
    /// How it stands, for the other process.
    pub(super) fn state(&self) -> ProbeState {
        ProbeState {
            number: self.number,
            closed: self.closed.load(Ordering::Acquire),
            ended: self.ended.load(Ordering::Acquire),
            offset: self.offset.load(Ordering::Relaxed),
            phase: self.phase.load(Ordering::Relaxed),
        }
    }

    /// In the reader: how the keeper says it stands.
    fn take_state(&self, state: &ProbeState) {
        self.offset.store(state.offset, Ordering::Relaxed);
        self.phase.store(state.phase, Ordering::Relaxed);
        self.closed.store(state.closed, Ordering::Release);
        self.ended.store(state.ended, Ordering::Release);
    }

    /// In the keeper: how far the reader says it has come.
    pub(super) fn take_read(&self, read: &ProbeRead) {
        self.swept.iter().zip(&read.swept).for_each(|(here, there)| here.store(*there, Ordering::Release));
        self.concluded.store(read.concluded, Ordering::Release);
    }

    fn of(head: &PartHead, maps: Vec<OwnedFd>) -> io::Result<Self> {
        let PartHead { probe, areas, slots4_shift, slots6_shift, displaced_shift, instance, .. } = *head;
        let (number, clock) = (probe.number, ProbeClock::Monotonic);
        let shape = Shape { number, areas, slots4_shift, slots6_shift, displaced_shift, clock, instance };
        let mut maps = maps.into_iter();
        let memory = Memory::of(&shape, |name| maps.next().ok_or(ProbeError::Missing(name)));
        let shared = Self::new(memory.map_err(io::Error::other)?, shape);
        shared.take_state(&probe);
        Ok(shared)
    }
}

/// See the [module](self).
pub(crate) struct Areas {
    interface: String,
    seats: Vec<Arc<Seat>>,
    /// For each receiver, until there are receivers.
    first: Option<Vec<Vec<Part>>>,
    probes: Vec<Arc<Shared>>,
    /// Held: the interface is captured as long as one of both processes lives.
    lock: Option<OwnedFd>,
}

impl Areas {
    pub(crate) fn new(interface: &str, receivers: usize) -> Self {
        Self {
            interface: interface.to_owned(),
            seats: (0..receivers).map(|_| Arc::default()).collect(),
            first: Some((0..receivers).map(|_| Vec::new()).collect()),
            probes: Vec::new(),
            lock: None,
        }
    }

    fn part(&mut self, head: &PartHead, descriptors: &mut impl Iterator<Item = OwnedFd>) -> io::Result<Part> {
        let sound = (1..=MOST_AREAS as usize).contains(&head.areas)
            && head.slots4_shift.max(head.slots6_shift).max(head.displaced_shift) <= 24;
        if !sound {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let maps = descriptors.by_ref().take(if head.with_maps { Memory::MAPS } else { 0 }).collect();
        let shared = match self.probes.iter().find(|known| known.number == head.probe.number) {
            Some(known) => Arc::clone(known),
            None => {
                let shared = Arc::new(Shared::of(head, maps)?);
                self.probes.push(Arc::clone(&shared));
                shared
            }
        };
        let mut next = || descriptors.next().ok_or(io::ErrorKind::InvalidData);
        let rings = Rings { copies: ring(next()?)? };
        let socket = match &head.socket {
            Some(socket) => Some(Socket::handed(socket, next()?, next()?)?),
            None => None,
        };
        let area = match head.former {
            Some(is_ours) => Area::left(head.area, shared, rings, is_ours),
            None => Area::new(head.area, shared, rings),
        };
        Ok(Part::new(area, socket))
    }
}

fn ring(map: OwnedFd) -> io::Result<RingBuf<MapData>> {
    let map = MapData::from_fd(map).map_err(io::Error::other)?;
    RingBuf::try_from(Map::RingBuf(map)).map_err(io::Error::other)
}

impl Reading for Areas {
    fn take(&mut self, given: &Given, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        // Of probes that are known; a new one comes with its own.
        for state in &given.probes {
            if let Some(shared) = self.probes.iter().find(|known| known.number == state.number) {
                shared.take_state(state);
            }
        }
        self.probes.retain(|known| given.probes.iter().any(|state| state.number == known.number));
        let mut descriptors = descriptors.into_iter();
        for head in &given.parts {
            let part = self.part(head, &mut descriptors)?;
            if let Some(first) = &mut self.first {
                if let Some(parts) = first.get_mut(head.seat) {
                    parts.push(part);
                }
            } else if let Some(seat) = self.seats.get(head.seat) {
                seat.give(part);
            }
        }
        if given.lock {
            self.lock = descriptors.next();
        }
        for instance in &given.forgotten {
            self.seats.iter().for_each(|seat| seat.forget(*instance));
        }
        Ok(())
    }

    fn read(&self) -> Read {
        let of = |shared: &Arc<Shared>| ProbeRead {
            number: shared.number,
            swept: shared.swept.iter().map(|swept| swept.load(Ordering::Acquire)).collect(),
            concluded: shared.concluded.load(Ordering::Acquire),
        };
        Read {
            vacant: self.seats.iter().map(|seat| seat.is_vacant()).collect(),
            probes: self.probes.iter().map(of).collect(),
        }
    }

    fn settle(&mut self, told: &dyn Fn(u64, u32) -> Option<Survivor>) {
        self.first.iter_mut().flatten().flatten().for_each(|part| part.settle(told));
    }

    fn take_receivers(&mut self) -> Vec<Box<dyn Receiver>> {
        let first = self.first.take().unwrap_or_default();
        let receivers = first.into_iter().zip(&self.seats).zip(0..).map(|((parts, seat), queue)| {
            let name = QueueName { interface: self.interface.clone(), queue };
            Box::new(AreaReceiver::new(name, parts, Arc::clone(seat))) as Box<dyn Receiver>
        });
        receivers.collect()
    }

    fn stop(&mut self) {
        self.seats.iter().for_each(|seat| seat.stop());
    }
}
