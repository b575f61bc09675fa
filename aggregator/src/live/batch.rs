//! What travels from thread to thread: batches of frames, packets and payloads, through bounded lock-free rings.
//!
//! A ring has one producer and one consumer. Empty batches come back on a second ring, so that memory is used again.
//! A full ring refuses the batch: the producer counts what was in it and goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use capture::live::Microflow;
use capture::live::source::{LiveFrame, Tally, VlanTag};
use capture::{Frame, LinkType, Nanos, Packet};
use crossbeam::queue::ArrayQueue;

/// Entries of a batch, at most.
const ENTRIES: usize = 256;

/// Bytes of a batch past which it is sent.
const BYTES: usize = 48 << 10;

/// One thing in a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// When it came.
    pub(super) ts: Nanos,
    /// Which receiver it came in by.
    pub(super) receiver: u16,
    start: u32,
    length: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Frame {
        wire_len: u32,
    },
    /// A packet that was read out of a frame, by its place in `packets`.
    Packet(u32),
    /// Its transport payload.
    Payload {
        packet: u32,
        frame_len: u32,
    },
    Microflow(u32),
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Frame(Frame<'a>),
    Packet(&'a Packet),
    Payload { packet: &'a Packet, payload: &'a [u8], frame_len: u32 },
    Microflow(&'a Microflow),
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    packets: Vec<Packet>,
    microflows: Vec<Microflow>,
    content: Content,
}

/// How much is in a batch, as the books count it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Content {
    /// Frames and microflows: packets, and bytes on the wire.
    pub(super) wire: Tally,
    /// Packets read out of frames elsewhere: their number, and IP bytes.
    pub(super) read: Tally,
}

impl std::ops::AddAssign for Content {
    fn add_assign(&mut self, other: Self) {
        self.wire += other.wire;
        self.read += other.read;
    }
}

impl Batch {
    fn entry(&mut self, ts: Nanos, receiver: u16, length: usize, kind: Kind) {
        let start = (self.bytes.len() - length) as u32;
        self.entries.push(Entry { ts, receiver, start, length: length as u32, kind });
    }

    /// Adds a frame, with the tag that was taken out.
    #[inline]
    pub(super) fn frame(&mut self, receiver: u16, frame: &LiveFrame<'_>) {
        let wire_len = frame.full_len();
        let mut length = frame.data.len();
        match frame.vlan {
            // Less than the two addresses were captured: there is no place for a tag.
            Some(tag) if length >= 12 => {
                let (macs, rest) = frame.data.split_at(12);
                self.bytes.extend_from_slice(macs);
                self.bytes.extend_from_slice(&tag.bytes());
                self.bytes.extend_from_slice(rest);
                length += VlanTag::LEN as usize;
            }
            _ => self.bytes.extend_from_slice(frame.data),
        }
        self.content.wire.add(wire_len);
        self.entry(frame.ts, receiver, length, Kind::Frame { wire_len });
    }

    pub(super) fn packet(&mut self, receiver: u16, packet: &Packet) {
        let at = self.packets.len() as u32;
        self.packets.push(*packet);
        self.content.read.add(packet.ip_bytes);
        self.entry(packet.ts, receiver, 0, Kind::Packet(at));
    }

    pub(super) fn payload(&mut self, receiver: u16, packet: &Packet, payload: &[u8], frame_len: u32) {
        let at = self.packets.len() as u32;
        self.packets.push(*packet);
        self.bytes.extend_from_slice(payload);
        self.entry(packet.ts, receiver, payload.len(), Kind::Payload { packet: at, frame_len });
    }

    pub(super) fn microflow(&mut self, receiver: u16, microflow: &Microflow) {
        let at = self.microflows.len() as u32;
        self.microflows.push(*microflow);
        self.content.wire += wire_of(microflow);
        // Its time is that of its end: what it says of the flow is known then.
        let last = microflow.from_low.last.max(microflow.from_high.last);
        self.entry(last, receiver, 0, Kind::Microflow(at));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.entries.len() >= ENTRIES || self.bytes.len() >= BYTES
    }

    /// How much is in it.
    pub(super) const fn content(&self) -> Content {
        self.content
    }

    pub(super) fn get(&self, at: usize) -> Option<Entry> {
        self.entries.get(at).copied()
    }

    /// What an entry of this batch is.
    pub(super) fn item(&self, entry: &Entry) -> Option<Item<'_>> {
        let start = entry.start as usize;
        let bytes = self.bytes.get(start..start + entry.length as usize)?;
        let packet = |at: u32| self.packets.get(at as usize);
        Some(match entry.kind {
            Kind::Frame { wire_len } => {
                Item::Frame(Frame { ts: Some(entry.ts), wire_len, data: bytes, link: LinkType::ETHERNET })
            }
            Kind::Packet(at) => Item::Packet(packet(at)?),
            Kind::Payload { packet: at, frame_len } => Item::Payload { packet: packet(at)?, payload: bytes, frame_len },
            Kind::Microflow(at) => Item::Microflow(self.microflows.get(at as usize)?),
        })
    }

    fn clear(&mut self) {
        let Self { entries, bytes, packets, microflows, content } = self;
        entries.clear();
        bytes.clear();
        packets.clear();
        microflows.clear();
        *content = Content::default();
    }
}

/// Packets and wire bytes of a microflow.
pub(super) fn wire_of(microflow: &Microflow) -> Tally {
    let (a, b) = (&microflow.from_low, &microflow.from_high);
    Tally { packets: a.packets + b.packets, bytes: a.wire_bytes + b.wire_bytes }
}

#[derive(Debug)]
struct Shared {
    full: ArrayQueue<Box<Batch>>,
    empty: ArrayQueue<Box<Batch>>,
    /// Everything before this time has been sent.
    complete: AtomicI64,
    /// The latest such time that is a time, and not the end.
    latest: AtomicI64,
}

/// The sending end.
#[derive(Debug)]
pub(super) struct Outlet {
    shared: Arc<Shared>,
    batch: Box<Batch>,
    /// Batches that came back, the last one on top: it is still in the processor's cache. As many as were ever on their
    /// way at once.
    #[expect(clippy::vec_box, reason = "boxes travel through the rings, and are not made anew")]
    spare: Vec<Box<Batch>>,
}

/// The receiving end.
#[derive(Debug)]
pub(super) struct Inlet {
    shared: Arc<Shared>,
    /// The batch in work, and the next of its entries.
    batch: Option<Box<Batch>>,
    at: usize,
    /// Nothing of it has been looked at by [`Inlet::fresh`].
    is_fresh: bool,
    /// What the outlet had sent completely when the ring was last seen empty.
    known: Nanos,
}

/// A ring of so many batches.
pub(super) fn ring(batches: usize) -> (Outlet, Inlet) {
    let shared = Arc::new(Shared {
        full: ArrayQueue::new(batches.max(1)),
        empty: ArrayQueue::new(batches.max(1)),
        complete: AtomicI64::new(i64::MIN),
        latest: AtomicI64::new(i64::MIN),
    });
    let inlet = Inlet { shared: Arc::clone(&shared), batch: None, at: 0, is_fresh: false, known: Nanos(i64::MIN) };
    (Outlet { shared, batch: Box::default(), spare: Vec::new() }, inlet)
}

impl Outlet {
    /// The batch to add to. Follow with [`send_if_full`](Self::send_if_full).
    #[inline]
    pub(super) fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Sends the batch if it is full. What could not be sent, because the ring is full, is returned.
    #[inline]
    pub(super) fn send_if_full(&mut self) -> Content {
        if self.batch.is_full() { self.send() } else { Content::default() }
    }

    /// Sends the batch, unless it is empty. What could not be sent is returned, and is gone.
    pub(super) fn send(&mut self) -> Content {
        if self.batch.is_empty() {
            return Content::default();
        }
        self.spare.extend(std::iter::from_fn(|| self.shared.empty.pop()));
        let next = self.spare.pop().unwrap_or_default();
        match self.shared.full.push(std::mem::replace(&mut self.batch, next)) {
            Ok(()) => Content::default(),
            Err(mut refused) => {
                let lost = refused.content();
                refused.clear();
                self.spare.push(refused);
                lost
            }
        }
    }

    /// Entries there is room for in the ring, beside an eighth of it for what cannot wait.
    pub(super) fn room(&self) -> usize {
        let full = &self.shared.full;
        (full.capacity() - full.len()).saturating_sub(full.capacity() / 8) * ENTRIES
    }

    /// Says that everything before `ts` has been sent: call it after [`send`](Self::send).
    pub(super) fn complete_to(&self, ts: Nanos) {
        if ts.0 != i64::MAX {
            // Relaxed: ordered by what follows.
            self.shared.latest.fetch_max(ts.0, Ordering::Relaxed);
        }
        // Release: who sees this time sees the batches before it. Times never go back.
        self.shared.complete.fetch_max(ts.0, Ordering::Release);
    }
}

impl Inlet {
    /// Time of the next entry; `None` where the ring is empty.
    #[inline]
    pub(super) fn head(&mut self) -> Option<Nanos> {
        if let Some(batch) = &self.batch {
            if let Some(entry) = batch.get(self.at) {
                return Some(entry.ts);
            }
            if let Some(mut done) = self.batch.take() {
                done.clear();
                drop(self.shared.empty.push(done));
            }
        }
        // Before the look into the ring: what was sent completely by then is found there.
        let complete = self.shared.complete.load(Ordering::Acquire);
        self.batch = self.shared.full.pop();
        self.at = 0;
        self.is_fresh = true;
        match self.batch.as_ref().and_then(|batch| batch.get(0)) {
            Some(entry) => Some(entry.ts),
            None => {
                self.known = Nanos(complete);
                None
            }
        }
    }

    /// The microflows of a batch that has just come, once.
    #[inline]
    pub(super) fn fresh(&mut self) -> Option<&[Microflow]> {
        let is_fresh = std::mem::replace(&mut self.is_fresh, false);
        self.batch.as_ref().filter(|_| is_fresh).map(|batch| batch.microflows.as_slice())
    }

    /// The next entry, to be followed by [`item`](Self::item).
    #[inline]
    pub(super) fn next(&mut self) -> Option<Entry> {
        self.head()?;
        let entry = self.batch.as_ref()?.get(self.at)?;
        self.at += 1;
        Some(entry)
    }

    /// What the entry is that [`next`](Self::next) gave last.
    #[inline]
    pub(super) fn item(&self, entry: &Entry) -> Option<Item<'_>> {
        self.batch.as_ref()?.item(entry)
    }

    /// Batches in the ring, and how many there may be.
    pub(super) fn fill(&self) -> (usize, usize) {
        (self.shared.full.len(), self.shared.full.capacity())
    }

    /// How far the outlet's time had come, once it has ended.
    pub(super) fn latest(&self) -> Nanos {
        Nanos(self.shared.latest.load(Ordering::Relaxed))
    }

    /// With the ring empty: nothing comes any more from before this time.
    pub(super) const fn known(&self) -> Nanos {
        self.known
    }
}
