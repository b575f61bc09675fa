//! One area of the probe, read: its rings as records come, its slots and books when a generation is closed.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use probe_common::layout::{Books, CopyHead, Counts, Key, Slot4, Slot6, Sum, WAITING, waiting_head};

use super::flow::{is_used4, is_used6, of_v4, of_v6};
use super::kept::{Displaced, Kept, Patience, Taken};
use super::load::{Memory, Rings, Shared};
use super::map::record;
use super::segment::cut;
use crate::Nanos;
use crate::keeper::message::PartHead;
use crate::live::Microflow;
use crate::live::source::{Handler, LiveFrame, QueueBooks, Survivor, Tally, VlanTag};

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

/// What a process that was killed had told of an area that this one reads to the end.
enum Former {
    /// This, in the ledger that this process goes on with.
    Told(Box<Survivor>),
    /// Nobody knows: another ledger has it. Only what is found is counted.
    Unknown,
}

/// See the [module](self).
pub struct Area {
    index: usize,
    shared: Arc<Shared>,
    rings: Rings,
    /// The kernel's books as they were read last, by parity: they are never set back.
    read: [Books; 2],
    /// It was another process's.
    former: Option<Former>,
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
            read: [Books::default(); 2],
            former: None,
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

    /// An area that a process that was killed has left. `is_ours`: its ledger is the one that this process goes on with.
    pub(super) fn left(index: usize, shared: Arc<Shared>, rings: Rings, is_ours: bool) -> Self {
        let mut area = Self::new(index, shared, rings);
        area.former = Some(if is_ours { Former::Told(Box::default()) } else { Former::Unknown });
        area
    }

    /// What another process makes it of: see [`Given::parts`](crate::keeper::Given). Nothing may have been read of it.
    pub(super) fn hand_over(&self, with_maps: bool) -> io::Result<(PartHead, Vec<OwnedFd>)> {
        let maps = self.shared.memory.descriptors().into_iter().filter(|_| with_maps);
        let all = maps.chain([self.rings.copies.as_fd()]);
        let descriptors = all.map(|fd| fd.try_clone_to_owned()).collect::<io::Result<Vec<_>>>()?;
        let head = PartHead {
            probe: self.shared.state(),
            with_maps,
            areas: self.shared.areas,
            area: self.index,
            slots4_shift: self.shared.slots4_shift,
            slots6_shift: self.shared.slots6_shift,
            displaced_shift: self.shared.displaced_shift,
            instance: self.shared.instance,
            former: self.former.as_ref().map(|former| matches!(former, Former::Told(_))),
            ..PartHead::default()
        };
        Ok((head, descriptors))
    }

    pub(super) fn probe_number(&self) -> u64 {
        self.shared.number
    }

    /// Learns what was told of it.
    pub(super) fn settle(&mut self, told: &dyn Fn(u64, u32) -> Option<Survivor>) {
        let (Some(instance), Some(_)) = (self.shared.instance, &self.former) else { return };
        if let Some(told) = told(instance, self.index as u32) {
            self.former = Some(Former::Told(Box::new(told)));
        }
    }

    /// What outlives the process, where it does.
    pub(super) fn survivor(&self) -> Option<Survivor> {
        let instance = self.shared.instance?;
        let mut survivor = Survivor { instance, area: self.index as u32, ..Survivor::default() };
        if let Some(Former::Told(told)) = &self.former {
            survivor.books.add(&told.books);
            survivor.early = told.early;
        }
        survivor.books.add(&self.books);
        if self.former.is_some() {
            let concluded = self.books.seen.packets > 0;
            survivor.early = if concluded { Tally::default() } else { survivor.early };
        } else {
            survivor.early = self.early();
        }
        Some(survivor)
    }

    /// Handed over, of generations that are not closed.
    fn early(&self) -> Tally {
        self.counted.iter().flat_map(|counted| [counted.ring, counted.received]).sum()
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

    /// Its rings of slots that left early.
    pub(super) fn displaced(&self) -> Displaced {
        Displaced::new(Arc::clone(&self.shared), self.index)
    }

    /// Hands over the microflows that have left early by now, at most `most` of each IP version, and waits for room where
    /// they go, though not for ever. How many there were.
    pub fn drain_evicted(&mut self, to: &mut dyn Handler, most: usize) -> usize {
        let shared = Arc::clone(&self.shared);
        let (time, bases) = (shared.time(), shared.memory.control.read(0).base);
        let Memory { displaced4, displaced6, .. } = &shared.memory;
        let shift = shared.displaced_shift;
        let v4 = self.drain_ring(to, most, (0, shift), |at| {
            let Slot4 { addresses, key, counts } = displaced4.read(at);
            let parity = parity_of(key);
            (parity, counts, of_v4(addresses, key, &counts, bases[parity], time))
        });
        let v6 = self.drain_ring(to, most, (1, shift - 1), |at| {
            let Slot6 { addresses, key, counts, reserved: _ } = displaced6.read(at);
            let parity = parity_of(key);
            (parity, counts, of_v6(addresses, key, &counts, bases[parity], time))
        });
        v4 + v6
    }

    fn drain_ring(
        &mut self,
        to: &mut dyn Handler,
        most: usize,
        (version, shift): (usize, u32),
        entry: impl Fn(usize) -> (usize, Counts, Microflow),
    ) -> usize {
        let shared = Arc::clone(&self.shared);
        let ring = 2 * self.index + version;
        let (begin, unread) = shared.memory.ends.unread(ring);
        let end = begin + unread.min(most as u64);
        let (mut read, mut patience) = (begin, Patience::new());
        while read < end {
            let count = (end - read).min(BATCH as u64);
            for at in read..read + count {
                let place = (at & ((1 << shift) - 1)) as usize;
                let (parity, counts, microflow) = entry((self.index << shift) + place);
                let ring = &mut self.counted[parity].ring;
                ring.packets += counts.packets();
                ring.bytes += counts.wire_bytes();
                self.microflows.push(microflow);
            }
            read += count;
            shared.memory.ends.set_read(ring, read);
            patience.wait(to, BATCH);
            self.flush(to);
        }
        (end - begin) as usize
    }

    /// Hands over copied frames, at most `most`. How many there were.
    pub fn drain_copies(&mut self, to: &mut dyn Handler, most: usize) -> usize {
        let mut taken = Taken::default();
        self.copies(&mut taken, most);
        self.hand_over_frames(&taken, to);
        taken.len()
    }

    /// Takes copied frames, at most `most`.
    pub(super) fn take_copies(&mut self, kept: &mut Kept, displaced: &Displaced, most: usize) {
        kept.take(displaced, |taken| self.copies(taken, most));
    }

    fn copies(&mut self, taken: &mut Taken, most: usize) {
        for _ in 0..most {
            let Some(item) = self.rings.copies.next() else { break };
            let (head, bytes) = item.split_at_checked(size_of::<CopyHead>()).unwrap_or_default();
            match record::<CopyHead>(head) {
                Some(head) => taken.add(head, bytes.get(..head.len as usize).unwrap_or(bytes)),
                None => self.strange += 1,
            }
        }
    }

    /// Hands over frames that were taken, and counts them; superframes as their segments.
    pub(super) fn hand_over_frames(&mut self, taken: &Taken, to: &mut dyn Handler) {
        let time = self.shared.time();
        let mut out = [LiveFrame { ts: Nanos(0), data: &[], wire_len: 0, vlan: None }; BATCH];
        let mut filled = 0;
        for (head, data) in taken.frames() {
            let CopyHead { ts, wire_len, tpid, tci, segment, .. } = head;
            let received = &mut self.counted[ts as usize & 1].received;
            let vlan = (tpid != 0).then_some(VlanTag { tpid, tci });
            let frame = LiveFrame { ts: time.of_nanos(ts & !1), data, wire_len, vlan };
            if segment == 0 {
                received.add(frame.full_len());
                out[filled] = frame;
                filled += 1;
            }
            if filled == BATCH || segment != 0 {
                to.frames(&out[..filled]);
                filled = 0;
            }
            if segment != 0 {
                cut(data, wire_len, segment, &mut self.segment, |(data, wire_len)| {
                    let frame = LiveFrame { data, wire_len, ..frame };
                    received.add(frame.full_len());
                    to.frames(&[frame]);
                });
            }
        }
        if filled > 0 {
            to.frames(&out[..filled]);
        }
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
        let now = self.shared.memory.control.read(0).base[parity ^ 1];
        self.shared.time().at(now)
    }

    /// After the end: reads all that is left, the generation that was written last as the last one.
    pub fn sweep_rest(&mut self, to: &mut dyn Handler) {
        let last = self.shared.memory.control.read(0).generation as usize & 1;
        if self.former.is_some() {
            self.conclude([last ^ 1, last], to);
        } else {
            self.read_generation(last ^ 1, to);
            self.read_generation(last, to);
        }
        self.shared.concluded.fetch_add(1, Ordering::AcqRel);
    }

    fn read_generation(&mut self, parity: usize, to: &mut dyn Handler) {
        let swept = self.take_slots(parity, to);
        let books = self.take_books(parity);
        let counted = std::mem::take(&mut self.counted[parity]);
        let interval = interval(&books, counted, swept);
        self.add(&books, &interval);
    }

    /// What the kernel counted in a generation since it was read last.
    fn take_books(&mut self, parity: usize) -> Books {
        let now = self.shared.memory.books.read(parity * self.shared.areas + self.index);
        let before = std::mem::replace(&mut self.read[parity], now);
        less(&now, &before)
    }

    /// Reads what a killed process left, to the end, and brings in what it had not told.
    fn conclude(&mut self, parities: [usize; 2], to: &mut dyn Handler) {
        let (mut found, mut books) = (Counted::default(), QueueBooks::default());
        let mut swept = Tally::default();
        for parity in parities {
            swept += self.take_slots(parity, to);
            let kernel = self.take_books(parity);
            books.add(&interval(&kernel, Counted::default(), Tally::default()));
            let Counted { ring, received } = std::mem::take(&mut self.counted[parity]);
            found.ring += ring;
            found.received += received;
        }
        let cached = swept.plus(found.ring);
        let mut since = match &self.former {
            Some(Former::Told(told)) => {
                let mut since = books.less(&told.books);
                since.told_at_crash = told.early;
                since
            }
            // What it is a part of was told elsewhere.
            Some(Former::Unknown) | None => {
                let all = cached.plus(found.received);
                let passes = books.passed.packets > 0;
                QueueBooks {
                    offered: all,
                    seen: all,
                    dropped: if passes { Tally::default() } else { all },
                    passed: if passes { all } else { Tally::default() },
                    cached,
                    to_slow_path: found.received,
                    ..QueueBooks::default()
                }
            }
        };
        (since.swept, since.received_from_ring, since.received) = (swept, found.ring, found.received);
        since.lost_xsk = Tally::default();
        since.cached_at_crash = since.cached.less(cached.plus(since.lost_ring_full));
        since.slow_path_at_crash =
            since.to_slow_path.less(found.received.plus(since.lost_copy_ring).plus(since.redirect_failed));
        self.books.add(&since);
    }

    /// Hands over the slots of a generation and leaves them vacant. What they had counted.
    fn take_slots(&mut self, parity: usize, to: &mut dyn Handler) -> Tally {
        let shared = Arc::clone(&self.shared);
        let (time, base) = (shared.time(), shared.memory.control.read(0).base[parity]);
        let area = parity * shared.areas + self.index;
        let mut swept = Tally::default();
        let mut batch = std::mem::take(&mut self.microflows);
        let mut patience = Patience::new();
        let mut give = |packets: u64, bytes: u64, microflow: &dyn Fn() -> Microflow| {
            // A slot that only waits for the first payloads of its connection.
            if packets == 0 {
                return;
            }
            swept.packets += packets;
            swept.bytes += bytes;
            batch.push(microflow());
            if batch.len() == BATCH {
                patience.wait(to, BATCH);
                to.microflows(&batch);
                batch.clear();
            }
        };
        let unused = shared.memory.control.read(0).unused_shift[parity];
        for range in ranges(shared.areas, area, shared.slots4_shift, unused) {
            shared.memory.slots4.take(range, is_used4, |slot| {
                let counts = &slot.counts;
                give(counts.packets(), counts.wire_bytes(), &|| of_v4(slot.addresses, slot.key, counts, base, time));
            });
        }
        for range in ranges(shared.areas, area, shared.slots6_shift, unused) {
            shared.memory.slots6.take(range, is_used6, |slot| {
                let counts = &slot.counts;
                give(counts.packets(), counts.wire_bytes(), &|| of_v6(slot.addresses, slot.key, counts, base, time));
            });
        }
        self.microflows = batch;
        self.flush(to);
        swept
    }

    fn flush(&mut self, to: &mut dyn Handler) {
        if !self.microflows.is_empty() {
            to.microflows(&self.microflows);
            self.microflows.clear();
        }
    }

    /// Adds a closed generation: nothing of it is in the cache, a ring or a socket any more.
    fn add(&mut self, books: &Books, interval: &QueueBooks) {
        self.books.add(interval);
        self.evicted += books.evicted;
        self.evicted_lost += books.evicted_lost;
        self.copies_cut += books.copies_cut;
    }

    /// The books of all generations read.
    pub fn books(&self) -> QueueBooks {
        let mut books = self.books.clone();
        books.in_open_generation = self.early();
        books.explained = vec![
            ("cache_slots_displaced", self.evicted),
            ("cache_slots_lost", self.evicted_lost),
            ("copies_cut", self.copies_cut),
            ("ring_records_strange", self.strange),
        ];
        books
    }
}

/// The books of a generation, by what the kernel and we counted of it.
fn interval(books: &Books, counted: Counted, swept: Tally) -> QueueBooks {
    let Books { seen, cached, to_slow_path, not_ip, filtered, sampled_out, .. } = *books;
    let Books { dropped, passed, redirected, lost_ring_full, lost_copy_ring, redirect_failed, .. } = *books;
    let tally = |sum: Sum| Tally { packets: sum.packets, bytes: sum.bytes };
    // The socket counts packets only, and over all generations: what is missing of this one was lost there.
    let elsewhere = counted.received.plus(tally(lost_copy_ring)).plus(tally(redirect_failed));
    QueueBooks {
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
        lost_xsk: tally(to_slow_path).less(elsewhere),
        lost_copy_ring: tally(lost_copy_ring),
        redirect_failed: tally(redirect_failed),
        ..QueueBooks::default()
    }
}

/// The generation in which a slot left early.
fn parity_of(key: u64) -> usize {
    usize::from(key & Key::LATER_GENERATION != 0)
}

/// The slots of an area that a generation uses, and those of packets that wait there.
fn ranges(areas: usize, area: usize, shift: u32, unused_shift: u32) -> [Range<usize>; 2] {
    let first = waiting_head(areas as u32, shift, area as u32) as usize + 1;
    let used = 1 << shift.saturating_sub(unused_shift);
    [area << shift..(area << shift) + used, first..first + WAITING as usize]
}

/// What was counted between two readings.
fn less(now: &Books, before: &Books) -> Books {
    let sum = |of: fn(&Books) -> Sum| {
        let (now, before) = (of(now), of(before));
        Sum { packets: now.packets.wrapping_sub(before.packets), bytes: now.bytes.wrapping_sub(before.bytes) }
    };
    Books {
        seen: sum(|b| b.seen),
        cached: sum(|b| b.cached),
        to_slow_path: sum(|b| b.to_slow_path),
        not_ip: sum(|b| b.not_ip),
        filtered: sum(|b| b.filtered),
        sampled_out: sum(|b| b.sampled_out),
        dropped: sum(|b| b.dropped),
        passed: sum(|b| b.passed),
        redirected: sum(|b| b.redirected),
        lost_ring_full: sum(|b| b.lost_ring_full),
        lost_copy_ring: sum(|b| b.lost_copy_ring),
        redirect_failed: sum(|b| b.redirect_failed),
        evicted: now.evicted.wrapping_sub(before.evicted),
        evicted_lost: now.evicted_lost.wrapping_sub(before.evicted_lost),
        copies_cut: now.copies_cut.wrapping_sub(before.copies_cut),
        reserved: [0; 5],
    }
}

impl std::fmt::Debug for Area {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Area").field("index", &self.index).field("swept", &self.swept).finish_non_exhaustive()
    }
}
