//! A receiver's side: frames to the shard that keeps their connection.

use capture::Place;
use capture::live::Microflow;
use capture::live::source::{Handler, LiveFrame, Tally};
use capture::{Ip, Nanos};

use super::batch::{Content, Outlet, wire_of};
use crate::key::{Key, KeyHasher};

/// Which of so many shards keeps the connections between two addresses: the same for both directions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    hasher: KeyHasher,
    shards: usize,
}

impl Spread {
    pub(super) fn new(seed: u64, shards: usize) -> Self {
        Self { hasher: KeyHasher::new(seed), shards: shards.max(1) }
    }

    #[inline]
    pub(super) fn shard(&self, a: Ip, b: Ip) -> usize {
        let [a, b] = [a, b].map(|ip| u128::from_be_bytes(ip.0));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let hash = self.hasher.hash(&Key([(low >> 64) as u64, low as u64, (high >> 64) as u64, high as u64, 0]));
        // The upper half: the flow table of a shard uses the lower one.
        ((hash >> 32).wrapping_mul(self.shards as u64) >> 32) as usize
    }
}

/// Hands what one receiver received to the shards.
#[derive(Debug)]
pub(super) struct Spreader {
    receiver: u16,
    spread: Spread,
    /// To the shards: plain frames.
    plain: Vec<Outlet>,
    /// To the readers of tunnels and fragments, as many as shards; none where there is one shard.
    deep: Vec<Outlet>,
    handed: Tally,
    lost: Content,
    latest: Nanos,
}

impl Spreader {
    pub(super) const fn new(receiver: u16, spread: Spread, plain: Vec<Outlet>, deep: Vec<Outlet>) -> Self {
        let none = Tally { packets: 0, bytes: 0 };
        Self {
            receiver,
            spread,
            plain,
            deep,
            handed: none,
            lost: Content { wire: none, read: none },
            latest: Nanos(i64::MIN),
        }
    }

    /// Frames and microflows taken from the receiver, and those of them that found a ring full.
    pub(super) const fn books(&self) -> (Tally, Tally) {
        (self.handed, self.lost.wire)
    }

    fn outlet(&mut self, frame: &LiveFrame<'_>) -> Option<&mut Outlet> {
        if self.deep.is_empty() {
            return self.plain.first_mut();
        }
        match Place::of_ethernet(frame.data, frame.wire_len) {
            Place::Plain(a, b) => self.plain.get_mut(self.spread.shard(a, b)),
            Place::Deep(Some((a, b))) => self.deep.get_mut(self.spread.shard(a, b)),
            Place::Deep(None) => self.deep.first_mut(),
        }
    }

    /// Sends what is gathered, whatever it is.
    pub(super) fn flush(&mut self) {
        for outlet in self.plain.iter_mut().chain(&mut self.deep) {
            self.lost += outlet.send();
        }
    }
}

impl Handler for Spreader {
    fn frames(&mut self, frames: &[LiveFrame<'_>]) {
        let receiver = self.receiver;
        for frame in frames {
            self.handed.add(frame.full_len());
            self.latest = self.latest.max(frame.ts);
            if let Some(outlet) = self.outlet(frame) {
                outlet.batch().frame(receiver, frame);
                let lost = outlet.send_if_full();
                self.lost += lost;
            }
        }
    }

    fn microflows(&mut self, microflows: &[Microflow]) {
        for microflow in microflows {
            self.handed += wire_of(microflow);
            let shard = if self.plain.len() > 1 { self.spread.shard(microflow.low, microflow.high) } else { 0 };
            if let Some(outlet) = self.plain.get_mut(shard) {
                outlet.batch().microflow(self.receiver, microflow);
                self.lost += outlet.send_if_full();
            }
        }
    }

    fn room(&mut self) -> usize {
        self.plain.iter().map(Outlet::room).min().unwrap_or(usize::MAX)
    }

    fn complete_to(&mut self, ts: Nanos) {
        self.flush();
        for outlet in self.plain.iter().chain(&self.deep) {
            if ts.0 == i64::MAX && self.latest.0 != i64::MIN {
                // Flows end as of the last packet's time, by whichever queue it came.
                outlet.complete_to(self.latest);
            }
            outlet.complete_to(ts);
        }
    }
}
