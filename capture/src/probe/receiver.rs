//! The receiver of a queue: hands over the frames and microflows of its areas, and reads the generations that were closed.
//!
//! It has one area, as a rule. When the interface is opened anew (it came back, or has another number of queues), the
//! areas it has end, and it is given new ones through its [`Seat`]; its books go on.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::area::Area;
use super::kept::{self, Keeping, Kept, Patience};
use crate::Nanos;
use crate::keeper::message::PartHead;
use crate::live::source::{Handler, LiveFrame, QueueBooks, QueueName, Received, Receiver, SourceError, Survivor};
use crate::xsk::{self, BATCH, Socket};

/// Records and frames of one call; what is more comes with the next.
const MOST: usize = 4_096;

/// The rings of the probe do not wake anybody: they are looked at this often.
const LOOK: Duration = Duration::from_millis(5);

/// Fewer records and frames than this are not worth a turn: more are gathered meanwhile, without anybody being woken.
const FEW: usize = 64;
const GATHER: Duration = Duration::from_micros(500);
/// Turns without anything after which the socket may wake the receiver.
const QUIET: u32 = 40;

/// What comes after a pause is not older than its end less this.
const SLACK: i64 = 50_000_000;

/// An area, and the socket that its frames come by.
pub(super) struct Part {
    area: Area,
    socket: Option<Socket>,
    /// When the generation read last was closed.
    swept_to: Nanos,
    /// Frames that came while slots were handed over.
    kept: Kept,
}

impl Part {
    pub(super) fn new(area: Area, socket: Option<Socket>) -> Self {
        Self { area, socket, swept_to: Nanos(i64::MIN), kept: Kept::default() }
    }

    /// Number of its probe in this process.
    pub(super) fn probe_number(&self) -> u64 {
        self.area.probe_number()
    }

    /// What another process makes it of, with the maps of its probe or without. Nothing may have been read of it.
    pub(super) fn hand_over(&self, seat: usize, with_maps: bool) -> io::Result<(PartHead, Vec<OwnedFd>)> {
        let (head, mut descriptors) = self.area.hand_over(with_maps)?;
        let mut socket = None;
        if let Some(here) = &self.socket {
            let (head, own) = here.hand_over()?;
            socket = Some(head);
            descriptors.extend(own);
        }
        Ok((PartHead { seat, socket, ..head }, descriptors))
    }

    /// Hands over up to `most` of what is there of each kind. How much that was.
    ///
    /// First it is seen how many frames wait, or they are taken; then the ring of slots is emptied: so slots that left the cache
    /// before a frame came are handed over before that frame. Where that takes more than one call, frames are kept.
    fn drain(&mut self, most: usize, to: &mut dyn Handler) -> usize {
        let Self { area, socket, kept, .. } = self;
        let displaced = area.displaced();
        let waiting = socket.as_ref().map_or(0, Socket::waiting);
        if !kept.is_full() {
            area.take_copies(kept, &displaced, most);
        }
        let left = displaced.written();
        let keeping = &mut Keeping { to, socket: socket.as_mut(), kept, displaced: &displaced };
        let mut found = area.drain_evicted(keeping, most);
        let read = displaced.read();
        while kept.len() > 0
            && to.room() > 0
            && let Some(taken) = kept.next(read)
        {
            area.hand_over_frames(&taken, to);
            found += taken.len();
            kept.give_back(taken);
        }
        if kept.len() > 0 || !kept::is_read(read, left) {
            if let Some(socket) = socket {
                kept.take_in_time(socket, &displaced);
            }
            return found;
        }
        if let Some(socket) = socket {
            found += socket.receive(waiting.min(most as u32), |frames| {
                let mut out = [LiveFrame { ts: Nanos(0), data: &[], wire_len: 0, vlan: None }; BATCH];
                let mut filled = 0;
                for (frame, out) in frames.iter().zip(&mut out) {
                    *out = live(area, frame);
                    filled += 1;
                }
                to.frames(out.get(..filled).unwrap_or_default());
            }) as usize;
        }
        found
    }

    /// Hands over all that is there now, in its order.
    fn drain_all(&mut self, to: &mut dyn Handler) {
        let Self { area, socket, kept, .. } = self;
        let displaced = area.displaced();
        area.take_copies(kept, &displaced, usize::MAX);
        if let Some(socket) = socket {
            kept.take_received(socket, &displaced);
        }
        let taken = kept.len();
        area.drain_evicted(&mut Keeping { to, socket: socket.as_mut(), kept, displaced: &displaced }, usize::MAX);
        let mut patience = Patience::new();
        for _ in 0..taken {
            patience.wait(&mut Keeping { to, socket: socket.as_mut(), kept, displaced: &displaced }, 1);
            if let Some(taken) = kept.next([u64::MAX; 2]) {
                area.hand_over_frames(&taken, to);
                kept.give_back(taken);
            }
        }
    }

    /// Reads what was closed, if anything was. Whether the area has ended, and all of it has been read.
    fn close(&mut self, to: &mut dyn Handler) -> Closed {
        // Looked at first: what then stands in rings and socket is all there is of a generation that was closed.
        let (is_due, has_ended) = (self.area.is_due(), self.area.has_ended());
        if !is_due && !has_ended {
            return Closed::Nothing;
        }
        self.drain_all(to);
        if is_due {
            let Self { area, socket, swept_to, kept } = self;
            let displaced = area.displaced();
            *swept_to = area.sweep(&mut Keeping { to, socket: socket.as_mut(), kept, displaced: &displaced });
        }
        if has_ended && !self.area.is_due() {
            self.drain_all(to);
            self.area.sweep_rest(to);
            return Closed::All;
        }
        Closed::Generation
    }

    /// See [`Area::settle`].
    pub(super) fn settle(&mut self, told: &dyn Fn(u64, u32) -> Option<Survivor>) {
        self.area.settle(told);
    }

    fn books(&self) -> QueueBooks {
        let mut books = self.area.books();
        if let Some(Ok(statistics)) = self.socket.as_ref().map(Socket::statistics) {
            books.explained.extend([
                ("xsk_dropped", statistics.dropped),
                ("xsk_ring_full", statistics.ring_full),
                ("xsk_free_ring_empty", statistics.free_ring_empty),
                ("xsk_strange", statistics.strange),
            ]);
        }
        books
    }
}

/// A frame of the socket, counted.
fn live<'a>(area: &mut Area, frame: &xsk::Received<'a>) -> LiveFrame<'a> {
    let wire_len = frame.data.len() as u32;
    LiveFrame { ts: area.stamped(frame.stamp, wire_len), data: frame.data, wire_len, vlan: None }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Closed {
    Nothing,
    Generation,
    All,
}

/// Where the interface's keeper leaves new areas for a receiver, and sees that it has none.
#[derive(Default)]
pub(super) struct Seat {
    parts: Mutex<Vec<Part>>,
    is_vacant: AtomicBool,
    stop: AtomicBool,
    /// Probes whose memory was given up.
    forgotten: Mutex<Vec<u64>>,
}

impl Seat {
    /// The receiver has read all areas it had.
    pub(super) fn is_vacant(&self) -> bool {
        self.is_vacant.load(Ordering::Acquire)
    }

    /// Gives the receiver an area more.
    pub(super) fn give(&self, part: Part) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
        self.is_vacant.store(false, Ordering::Release);
    }

    /// When its areas have ended there are no others.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Nothing of this probe outlives the process any more.
    pub(super) fn forget(&self, instance: u64) {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }

    /// In a keeper: whether the receiver, in the other process, has read all it had.
    pub(super) fn set_vacant(&self, is_vacant: bool) {
        self.is_vacant.store(is_vacant, Ordering::Release);
    }

    /// What was left for the receiver.
    pub(super) fn take(&self) -> Vec<Part> {
        std::mem::take(&mut *self.parts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn take_forgotten(&self) -> Vec<u64> {
        std::mem::take(&mut *self.forgotten.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// See the [module](self).
pub(super) struct AreaReceiver {
    name: QueueName,
    parts: Vec<Part>,
    seat: Arc<Seat>,
    /// Of areas that have ended.
    done: QueueBooks,
    /// Of those, what outlives the process still.
    survivors: Vec<Survivor>,
    /// Turns since anything came.
    quiet: u32,
    ended: bool,
}

impl AreaReceiver {
    /// With areas it reads, the older first.
    pub(super) fn new(name: QueueName, parts: Vec<Part>, seat: Arc<Seat>) -> Self {
        Self { name, parts, seat, done: QueueBooks::default(), survivors: Vec::new(), quiet: 0, ended: false }
    }

    /// Reads this, too.
    pub(super) fn also(&mut self, part: Part) {
        // First: it is older.
        self.parts.insert(0, part);
    }

    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    /// See [`crate::live::source::Interface::settle`].
    pub(super) fn settle(&mut self, told: &dyn Fn(u64, u32) -> Option<Survivor>) {
        self.parts.iter_mut().for_each(|part| part.settle(told));
    }

    /// Reads what was closed of each area, and lets those go that have ended.
    fn close(&mut self, to: &mut dyn Handler) -> Closed {
        let Self { parts, done, survivors, .. } = self;
        let mut closed = Closed::Nothing;
        parts.retain_mut(|part| match part.close(to) {
            Closed::Nothing => true,
            Closed::Generation => {
                closed = Closed::Generation;
                true
            }
            Closed::All => {
                closed = Closed::Generation;
                // Its socket is closed here: after the program was detached.
                done.add(&part.books());
                survivors.extend(part.area.survivor());
                false
            }
        });
        if parts.is_empty() { Closed::All } else { closed }
    }

    /// Between areas: the next, the end, or a pause.
    fn without_areas(&mut self, wait: Duration, to: &mut dyn Handler) -> Received {
        self.parts = self.seat.take();
        if !self.parts.is_empty() {
            return Received::Some;
        }
        if self.seat.stop.load(Ordering::Acquire) {
            to.complete_to(Nanos(i64::MAX));
            self.ended = true;
            return Received::Ended;
        }
        self.seat.is_vacant.store(true, Ordering::Release);
        std::thread::sleep(wait.min(4 * LOOK));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        to.complete_to(Nanos(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX - 1).saturating_sub(SLACK)));
        Received::Idle
    }
}

impl Receiver for AreaReceiver {
    fn name(&self) -> &QueueName {
        &self.name
    }

    fn receive(&mut self, wait: Duration, to: &mut dyn Handler) -> Result<Received, SourceError> {
        if self.ended {
            return Ok(Received::Ended);
        }
        if self.parts.is_empty() {
            return Ok(self.without_areas(wait, to));
        }
        match self.close(to) {
            Closed::Nothing => {}
            Closed::All => return Ok(self.without_areas(Duration::ZERO, to)),
            Closed::Generation => {
                let complete = self.parts.iter().map(|part| part.swept_to).min();
                complete.into_iter().filter(|ts| ts.0 != i64::MIN).for_each(|ts| to.complete_to(ts));
                return Ok(Received::Some);
            }
        }
        let found: usize = self.parts.iter_mut().map(|part| part.drain(MOST, to)).sum();
        self.quiet = if found == 0 { self.quiet.saturating_add(1) } else { 0 };
        if found >= FEW {
            return Ok(Received::Some);
        }
        let kernel = |error| SourceError::kernel("waiting for packets", &self.name.interface, error);
        match self.parts.as_slice() {
            _ if self.quiet < QUIET => std::thread::sleep(wait.min(GATHER)),
            [Part { socket: Some(socket), .. }] => socket.wait(wait.min(LOOK)).map_err(kernel)?,
            _ => std::thread::sleep(wait.min(LOOK)),
        }
        if found > 0 {
            return Ok(Received::Some);
        }
        Ok(Received::Idle)
    }

    fn books(&mut self) -> QueueBooks {
        let mut books = self.done.clone();
        self.parts.iter().for_each(|part| books.add(&part.books()));
        books
    }

    fn survivors(&mut self) -> Vec<Survivor> {
        let forgotten = self.seat.take_forgotten();
        self.survivors.retain(|survivor| !forgotten.contains(&survivor.instance));
        self.survivors.iter().cloned().chain(self.parts.iter().filter_map(|part| part.area.survivor())).collect()
    }
}
