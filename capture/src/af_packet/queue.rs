//! One packet socket: blocks of the ring to frames, and the books of what was seen and what the kernel dropped.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use probe_common::parse_ethernet;

use super::block::{Found, Frames};
use super::sys::Ring;
use crate::Nanos;
use crate::live::Filter;
use crate::live::source::{Handler, LiveFrame, QueueBooks, QueueName, Received, Receiver, SourceError};

/// Frames handed over at once.
const CHUNK: usize = 64;

/// How much later than its retirement a block may become visible, and how far times of one queue are out of order.
const SLACK: Duration = Duration::from_millis(40);

/// How long after the stop the last open block is waited for.
const LAST_BLOCK: Duration = Duration::from_secs(2);

/// What the interface's keeper tells its queues.
#[derive(Debug, Default)]
pub(super) struct Orders {
    pub(super) stop: AtomicBool,
    /// Frames longer than this were put together by the stack.
    pub(super) longest_frame: AtomicU32,
    /// Counted up with each change of `filter`.
    filter_version: AtomicU64,
    filter: Mutex<Arc<Filter>>,
}

impl Orders {
    pub(super) fn set_filter(&self, filter: &Filter) {
        *self.filter.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(filter.clone());
        // Release: who sees the version sees the filter (the lock would do, too).
        self.filter_version.fetch_add(1, Ordering::Release);
    }

    fn filter(&self) -> Arc<Filter> {
        Arc::clone(&self.filter.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the keeper leaves the socket of an interface that came back.
#[derive(Debug, Default)]
pub(super) struct Successor {
    waiting: AtomicBool,
    ring: Mutex<Option<Ring>>,
}

impl Successor {
    pub(super) fn offer(&self, ring: Ring) {
        *self.ring.lock().unwrap_or_else(PoisonError::into_inner) = Some(ring);
        self.waiting.store(true, Ordering::Release);
    }

    pub(super) fn take(&self) -> Option<Ring> {
        self.waiting.store(false, Ordering::Release);
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Every so many packets one is kept: drawn by a fixed sequence of random numbers, so that a rhythm in the traffic
/// does not meet a rhythm of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    one_in: u32,
    state: u64,
}

impl Sampler {
    const fn new(one_in: u32, seed: u64) -> Self {
        Self { one_in, state: seed | 1 }
    }

    /// That of a receiver.
    pub(super) fn of(one_in: u32, queue: u32) -> Self {
        Self::new(one_in, u64::from(queue) << 32 | 0x5370_6f74)
    }

    #[inline]
    const fn keeps(&mut self) -> bool {
        if self.one_in <= 1 {
            return true;
        }
        // xorshift64* (Vigna 2016).
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let draw = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        (draw * self.one_in as u64) >> 32 == 0
    }
}

/// One member of the interface's fanout.
#[derive(Debug)]
pub(super) struct Queue {
    name: QueueName,
    ring: Ring,
    retire: Duration,
    orders: Arc<Orders>,
    successor: Arc<Successor>,
    filter: Arc<Filter>,
    filter_version: u64,
    sampler: Sampler,
    books: QueueBooks,
    merged_frames: u64,
    freezes: u64,
    statistics_failed: u64,
    /// Since when the last blocks of the ring are waited for.
    ending: Option<Instant>,
}

impl Queue {
    pub(super) fn new(
        name: QueueName,
        ring: Ring,
        retire: Duration,
        orders: Arc<Orders>,
        successor: Arc<Successor>,
        sampler: Sampler,
    ) -> Self {
        Self {
            name,
            ring,
            retire,
            filter: orders.filter(),
            filter_version: orders.filter_version.load(Ordering::Acquire),
            orders,
            successor,
            sampler,
            books: QueueBooks::default(),
            merged_frames: 0,
            freezes: 0,
            statistics_failed: 0,
            ending: None,
        }
    }

    /// Its socket, for another process. Nothing may have been read of it.
    pub(super) fn hand_over(&self) -> io::Result<OwnedFd> {
        self.ring.socket().hand_over()
    }

    /// Hands over the next block, if there is one.
    fn block(&mut self, to: &mut dyn Handler) -> bool {
        let Some(block) = self.ring.block() else { return false };
        let longest = self.orders.longest_frame.load(Ordering::Relaxed);
        let mut chunk = [LiveFrame { ts: Nanos(0), data: &[], wire_len: 0, vlan: None }; CHUNK];
        let (mut filled, mut last) = (0, None);
        let books = &mut self.books;
        for Found { frame, merged } in Frames::of(block) {
            let length = frame.full_len();
            books.seen.add(length);
            books.passed.add(length);
            self.merged_frames += u64::from(merged || frame.wire_len > longest);
            last = Some(frame.ts.max(last.unwrap_or(frame.ts)));
            if !self.filter.is_empty() && parse_ethernet(frame.data).is_ok_and(|(_, h)| self.filter.drops(&h)) {
                books.filtered.add(length);
                continue;
            }
            if !self.sampler.keeps() {
                books.sampled_out.add(length);
                continue;
            }
            books.to_slow_path.add(length);
            books.received.add(length);
            if let Some(place) = chunk.get_mut(filled) {
                *place = frame;
                filled += 1;
            }
            if filled == CHUNK {
                to.frames(&chunk);
                filled = 0;
            }
        }
        to.frames(chunk.get(..filled).unwrap_or_default());
        self.ring.release();
        if let Some(last) = last {
            to.complete_to(Nanos(last.0.saturating_sub(nanos(SLACK))));
        }
        true
    }

    /// Takes over what the kernel counted.
    fn count(&mut self) {
        match self.ring.socket().take_statistics() {
            Ok(counted) => {
                self.books.offered.packets += u64::from(counted.packets);
                self.books.missed_before_probe.packets += u64::from(counted.drops);
                self.freezes += u64::from(counted.freezes);
            }
            Err(_) => self.statistics_failed += 1,
        }
        let known = self.books.missed_before_probe.packets + self.books.seen.packets;
        self.books.in_socket_unseen.packets = self.books.offered.packets.saturating_sub(known);
        self.books.offered.bytes = self.books.seen.bytes;
    }

    /// All that was ever offered has been handed over, or it was waited for long enough.
    fn is_drained(&mut self) -> bool {
        let since = *self.ending.get_or_insert_with(Instant::now);
        self.count();
        // A packet on its way into the ring is in neither count.
        let settled = since.elapsed() > self.retire * 2;
        settled && (self.books.in_socket_unseen.packets == 0 || since.elapsed() > LAST_BLOCK)
    }

    fn reload_filter(&mut self) {
        let version = self.orders.filter_version.load(Ordering::Acquire);
        if version != self.filter_version {
            self.filter_version = version;
            self.filter = self.orders.filter();
        }
    }
}

impl Receiver for Queue {
    fn name(&self) -> &QueueName {
        &self.name
    }

    fn receive(&mut self, wait: Duration, to: &mut dyn Handler) -> Result<Received, SourceError> {
        self.reload_filter();
        if self.block(to) {
            return Ok(Received::Some);
        }
        let mut wait = wait;
        if self.orders.stop.load(Ordering::Acquire) {
            if self.is_drained() {
                to.complete_to(Nanos(i64::MAX));
                return Ok(Received::Ended);
            }
            wait = wait.min(self.retire);
        } else if self.successor.waiting.load(Ordering::Acquire) {
            if self.is_drained()
                && let Some(ring) = self.successor.take()
            {
                self.ring = ring;
                self.ending = None;
            }
            wait = wait.min(self.retire);
        }
        let before = SystemTime::now();
        let waited = self.ring.socket().wait(wait);
        if self.block(to) {
            return Ok(Received::Some);
        }
        let now = before.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        to.complete_to(Nanos(nanos(now.saturating_sub(self.retire + SLACK))));
        match waited {
            // The keeper tells of it; the packets that came before are still handed out.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => Ok(Received::Idle),
            Err(error) => Err(SourceError::kernel("waiting for packets", &self.name.interface, error)),
            Ok(()) => Ok(Received::Idle),
        }
    }

    fn books(&mut self) -> QueueBooks {
        self.count();
        let mut books = self.books.clone();
        books.explained = vec![
            ("merged_frames", self.merged_frames),
            ("socket_ring_full_events", self.freezes),
            ("socket_statistics_failed", self.statistics_failed),
        ];
        books
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_ten_is_about_a_tenth() {
        let mut sampler = Sampler::new(10, 42);
        let kept = (0..100_000).filter(|_| sampler.keeps()).count();
        assert!((9_500..10_500).contains(&kept), "{kept}");
        let mut all = Sampler::new(1, 42);
        assert!((0..100).all(|_| all.keeps()));
    }
}
