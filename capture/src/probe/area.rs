//! One area of the probe, read: its rings as records come, its slots and books when a generation is closed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use probe_common::layout::{Books, CopyHead, Evicted4, Evicted6, Sum};

use super::flow::{is_used4, is_used6, of_v4, of_v6};
use super::load::{Rings, Shared};
use super::map::record;
use super::segment::cut;
use crate::Nanos;
use crate::live::Microflow;
use crate::live::source::{Handler, LiveFrame, QueueBooks, Tally, VlanTag};

/// Microflows and frames handed over in one call.
const BATCH: usize = 64;

/// What user space counted of one generation.
#[derive(Clone, Copy, Default)]
struct Counted {
    /// Microflows through the ring.
    ring: Tally,
    /// Frames of the slow path.
    received: Tally,
}

/// See the [module](self).
pub struct Area {
    index: usize,
    shared: Arc<Shared>,
    rings: Rings,
    /// Generations read.
    swept: u64,
    /// By parity.
    counted: [Counted; 2],
    books: QueueBooks,
    evicted: u64,
    evicted_lost: u64,
    copies_cut: u64,
    /// Ring records that were not understood; always 0.
    strange: u64,
    microflows: Vec<Microflow>,
    /// A segment in work.
    segment: Vec<u8>,
}

impl Area {
    pub(super) fn new(index: usize, shared: Arc<Shared>, rings: Rings) -> Self {
        Self {
            index,
            shared,
            rings,
            swept: 0,
            counted: [Counted::default(); 2],
            books: QueueBooks::default(),
            evicted: 0,
            evicted_lost: 0,
            copies_cut: 0,
            strange: 0,
            microflows: Vec::with_capacity(BATCH),
            segment: Vec::new(),
        }
    }

    /// Generations this area has read.
    pub fn swept(&self) -> u64 {
        self.swept
    }

    /// Whether a generation was closed that this area has not read.
    pub fn is_due(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire) > self.swept
    }

    /// No program runs any more.
    pub fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }

    /// Counts a frame of the slow path that came another way than through the ring of copies, and tells its time.
    pub fn stamped(&mut self, stamp: u64, wire_len: u32) -> Nanos {
        self.counted[stamp as usize & 1].received.add(wire_len);
        self.shared.time().of_nanos(stamp)
    }

    /// Hands over the microflows that left early, at most `most` records. How many there were.
    pub fn drain_evicted(&mut self, to: &mut dyn Handler, most: usize) -> usize {
        let time = self.shared.time();
        let mut records = 0;
        while records < most {
            let Some(item) = self.rings.evicted.next() else { break };
            records += 1;
            let (base, counts, microflow) = if item.len() == size_of::<Evicted4>() {
                let Some(Evicted4 { base, addresses, key, counts }) = record(&item) else { continue };
                (base, counts, of_v4(addresses, key, &counts, base, time))
            } else if let Some(Evicted6 { base, addresses, key, counts }) = record(&item) {
                (base, counts, of_v6(addresses, key, &counts, base, time))
            } else {
                self.strange += 1;
                continue;
            };
            drop(item);
            let ring = &mut self.counted[self.parity_of(base)].ring;
            ring.packets += counts.packets();
            ring.bytes += counts.wire_bytes();
            self.microflows.push(microflow);
            if self.microflows.len() == BATCH {
                to.microflows(&self.microflows);
                self.microflows.clear();
            }
        }
        self.flush(to);
        records
    }

    /// Hands over copied frames, at most `most`. How many there were.
    pub fn drain_copies(&mut self, to: &mut dyn Handler, most: usize) -> usize {
        let time = self.shared.time();
        let mut records = 0;
        while records < most {
            let Some(item) = self.rings.copies.next() else { break };
            records += 1;
            let (head, bytes) = item.split_at_checked(size_of::<CopyHead>()).unwrap_or_default();
            let Some(CopyHead { ts, wire_len, len, tpid, tci, segment, reserved: _ }) = record(head) else {
                self.strange += 1;
                continue;
            };
            let data = bytes.get(..len as usize).unwrap_or(bytes);
            let received = &mut self.counted[ts as usize & 1].received;
            let vlan = (tpid != 0).then_some(VlanTag { tpid, tci });
            cut(data, wire_len, segment, &mut self.segment, |(data, wire_len)| {
                let frame = LiveFrame { ts: time.of_nanos(ts & !1), data, wire_len, vlan };
                received.add(frame.full_len());
                to.frames(&[frame]);
            });
        }
        records
    }

    /// Reads the generation that was closed last: its slots become microflows, its books are added. The rings and
    /// sockets must have been read up to where they stood when it was closed. When it was closed, by the clock of the frames.
    pub fn sweep(&mut self, to: &mut dyn Handler) -> Nanos {
        let parity = self.swept as usize & 1;
        self.read_generation(parity, to);
        self.swept += 1;
        if let Some(swept) = self.shared.swept.get(self.index) {
            swept.store(self.swept, Ordering::Release);
        }
        let now = self.shared.control.read(0).base[parity ^ 1];
        self.shared.time().at(now)
    }

    /// After the end: reads the generation that was written last, too.
    pub fn sweep_rest(&mut self, to: &mut dyn Handler) {
        self.read_generation(self.swept as usize & 1, to);
    }

    fn read_generation(&mut self, parity: usize, to: &mut dyn Handler) {
        let shared = Arc::clone(&self.shared);
        let (time, base) = (shared.time(), shared.control.read(0).base[parity]);
        let area = parity * shared.areas + self.index;
        let mut swept = Tally::default();
        let mut batch = std::mem::take(&mut self.microflows);
        let mut give = |packets: u64, bytes: u64, microflow: &dyn Fn() -> Microflow| {
            // A slot that only waits for the first payloads of its connection.
            if packets == 0 {
                return;
            }
            swept.packets += packets;
            swept.bytes += bytes;
            batch.push(microflow());
            if batch.len() == BATCH {
                to.microflows(&batch);
                batch.clear();
            }
        };
        shared.slots4.take(area << shared.slots4_shift..(area + 1) << shared.slots4_shift, is_used4, |slot| {
            let counts = &slot.counts;
            give(counts.packets(), counts.wire_bytes(), &|| of_v4(slot.addresses, slot.key, counts, base, time));
        });
        shared.slots6.take(area << shared.slots6_shift..(area + 1) << shared.slots6_shift, is_used6, |slot| {
            let counts = &slot.counts;
            give(counts.packets(), counts.wire_bytes(), &|| of_v6(slot.addresses, slot.key, counts, base, time));
        });
        self.microflows = batch;
        self.flush(to);
        let books = shared.books.read(area);
        shared.books.write(area, Books::default());
        let counted = std::mem::take(&mut self.counted[parity]);
        self.add(&books, counted, swept);
    }

    fn flush(&mut self, to: &mut dyn Handler) {
        if !self.microflows.is_empty() {
            to.microflows(&self.microflows);
            self.microflows.clear();
        }
    }

    /// Adds a closed generation: nothing of it is in the cache, a ring or a socket any more.
    fn add(&mut self, books: &Books, counted: Counted, swept: Tally) {
        let Books { seen, cached, to_slow_path, not_ip, filtered, sampled_out, .. } = *books;
        let Books { dropped, passed, redirected, lost_ring_full, lost_copy_ring, redirect_failed, .. } = *books;
        let Books { evicted, evicted_lost, copies_cut, reserved: _, .. } = *books;
        let tally = |sum: Sum| Tally { packets: sum.packets, bytes: sum.bytes };
        let rest = |whole: u64, parts: [u64; 3]| whole.saturating_sub(parts.iter().sum());
        // The socket counts packets only, and over all generations: what is missing of this one was lost there.
        let lost_xsk = Tally {
            packets: rest(
                to_slow_path.packets,
                [counted.received.packets, lost_copy_ring.packets, redirect_failed.packets],
            ),
            bytes: rest(to_slow_path.bytes, [counted.received.bytes, lost_copy_ring.bytes, redirect_failed.bytes]),
        };
        let interval = QueueBooks {
            offered: tally(seen),
            seen: tally(seen),
            dropped: tally(dropped),
            passed: tally(passed),
            redirected: tally(redirected),
            not_ip: tally(not_ip),
            filtered: tally(filtered),
            sampled_out: tally(sampled_out),
            cached: tally(cached),
            to_slow_path: tally(to_slow_path),
            swept,
            received_from_ring: counted.ring,
            lost_ring_full: tally(lost_ring_full),
            received: counted.received,
            lost_xsk,
            lost_copy_ring: tally(lost_copy_ring),
            redirect_failed: tally(redirect_failed),
            ..QueueBooks::default()
        };
        self.books.add(&interval);
        self.evicted += evicted;
        self.evicted_lost += evicted_lost;
        self.copies_cut += copies_cut;
    }

    /// The books of all generations read.
    pub fn books(&self) -> QueueBooks {
        let mut books = self.books.clone();
        books.explained = vec![
            ("cache_slots_displaced", self.evicted),
            ("cache_slots_lost", self.evicted_lost),
            ("copies_cut", self.copies_cut),
            ("ring_records_strange", self.strange),
        ];
        books
    }

    /// Parity of the generation that began at this tick.
    fn parity_of(&self, base: u64) -> usize {
        let current = self.shared.control.read(0).base;
        usize::from(base != current[0])
    }
}

impl std::fmt::Debug for Area {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Area").field("index", &self.index).field("swept", &self.swept).finish_non_exhaustive()
    }
}
