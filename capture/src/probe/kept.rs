//! Frames that wait for slots: they are taken out of the socket or the ring of copies, and kept until their turn comes.
//!
//! A sweep of a quarter of a million slots takes tens of milliseconds, more where its thread shares a CPU or a shard is
//! behind, and a socket has room for a few thousand frames. A frame has its turn when the slots that left the cache before
//! it have been handed over: a new connection of the same addresses and ports must not be taken for the old one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use probe_common::layout::CopyHead;

use super::load::Shared;
use crate::Nanos;
use crate::live::Microflow;
use crate::live::source::{Handler, LiveFrame};
use crate::xsk::Socket;

/// Bytes kept at most, but for what stands in a socket or ring when a generation is closed; what is more stays there, where what
/// is lost is counted.
const MOST: usize = 32 << 20;

/// How long is waited for room where slots and kept frames are handed over: they are counted and safe. After that it goes on
/// all the same, and what finds no room is lost and counted.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks whether there is room.
const NAP: Duration = Duration::from_micros(500);

/// Waits for room, for some time in all.
pub(super) struct Patience(Option<Instant>);

impl Patience {
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// Until `to` has room for so many microflows.
    #[inline]
    pub(super) fn wait(&mut self, to: &mut dyn Handler, count: usize) {
        while to.room() < count {
            if Instant::now() >= *self.0.get_or_insert_with(|| Instant::now() + PATIENCE) {
                return;
            }
            std::thread::sleep(NAP);
        }
    }
}

/// How far the two rings of slots that left early (IPv4, IPv6) are written or read.
pub(super) type Place = [u64; 2];

/// Those rings, of one area.
pub(super) struct Displaced {
    shared: Arc<Shared>,
    area: usize,
}

impl Displaced {
    pub(super) const fn new(shared: Arc<Shared>, area: usize) -> Self {
        Self { shared, area }
    }

    pub(super) fn read(&self) -> Place {
        [0, 1].map(|ring| self.shared.memory.ends.unread(2 * self.area + ring).0)
    }

    pub(super) fn written(&self) -> Place {
        [0, 1].map(|ring| {
            let (read, unread) = self.shared.memory.ends.unread(2 * self.area + ring);
            read + unread
        })
    }
}

/// Whether what was written then has been read.
pub(super) fn is_read(read: Place, written: Place) -> bool {
    read[0] >= written[0] && read[1] >= written[1]
}

/// Frames taken at once.
#[derive(Default)]
pub(super) struct Taken {
    bytes: Vec<u8>,
    /// What is told of each. Those of a socket have no tag and are no superframes.
    heads: Vec<CopyHead>,
    /// What had left the cache by then.
    after: Place,
}

impl Taken {
    pub(super) fn add(&mut self, head: CopyHead, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.heads.push(CopyHead { len: bytes.len() as u32, ..head });
    }

    /// The frames, in their order.
    pub(super) fn frames(&self) -> impl Iterator<Item = (CopyHead, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.heads.iter().map(move |head| {
            let (data, after) = rest.split_at_checked(head.len as usize).unwrap_or_default();
            rest = after;
            (*head, data)
        })
    }

    /// How many frames.
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }
}

/// Frames out of the socket or the ring, in their order.
#[derive(Default)]
pub(super) struct Kept {
    taken: VecDeque<Taken>,
    bytes: usize,
    /// Empty, to be filled again.
    spare: Taken,
}

impl Kept {
    /// How often they were taken.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Whether no more should be taken.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes >= MOST
    }

    /// The oldest, if its turn has come with what was `read`. It is given back.
    pub(super) fn next(&mut self, read: Place) -> Option<Taken> {
        let taken = self.taken.pop_front_if(|taken| is_read(read, taken.after))?;
        self.bytes -= taken.bytes.len();
        Some(taken)
    }

    /// Its memory is used again.
    pub(super) fn give_back(&mut self, mut taken: Taken) {
        taken.bytes.clear();
        taken.heads.clear();
        self.spare = taken;
    }

    /// Takes what `fill` adds.
    pub(super) fn take(&mut self, displaced: &Displaced, fill: impl FnOnce(&mut Taken)) {
        let mut taken = std::mem::take(&mut self.spare);
        fill(&mut taken);
        if taken.heads.is_empty() {
            self.spare = taken;
            return;
        }
        // Looked at after the frames: what left before them is there.
        taken.after = displaced.written();
        self.bytes += taken.bytes.len();
        self.taken.push_back(taken);
    }

    /// Takes what stands in the socket.
    pub(super) fn take_received(&mut self, socket: &mut Socket, displaced: &Displaced) {
        self.take(displaced, |taken| {
            socket.receive(socket.waiting(), |batch| {
                for frame in batch {
                    let head = CopyHead { ts: frame.stamp, wire_len: frame.data.len() as u32, ..CopyHead::default() };
                    taken.add(head, frame.data);
                }
            });
        });
    }

    /// Takes it before the socket is full.
    pub(super) fn take_in_time(&mut self, socket: &mut Socket, displaced: &Displaced) {
        if socket.waiting() > socket.chunks() / 8 && !self.is_full() {
            self.take_received(socket, displaced);
        }
    }
}

/// Where slots are handed over; see the [module](self).
pub(super) struct Keeping<'a> {
    pub(super) to: &'a mut dyn Handler,
    pub(super) socket: Option<&'a mut Socket>,
    pub(super) kept: &'a mut Kept,
    pub(super) displaced: &'a Displaced,
}

impl Handler for Keeping<'_> {
    fn frames(&mut self, frames: &[LiveFrame<'_>]) {
        self.to.frames(frames);
    }

    fn microflows(&mut self, microflows: &[Microflow]) {
        self.to.microflows(microflows);
    }

    /// Asked before each batch of slots, and again and again where there is none.
    fn room(&mut self) -> usize {
        if let Some(socket) = &mut self.socket {
            self.kept.take_in_time(socket, self.displaced);
        }
        self.to.room()
    }

    fn complete_to(&mut self, ts: Nanos) {
        self.to.complete_to(ts);
    }
}
