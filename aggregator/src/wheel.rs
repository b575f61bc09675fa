//! When to look at which flow: a time wheel.
//!
//! A ring of buckets, each a fraction of a second wide, holds every flow once, in the bucket of a moment not
//! later than its deadline. A packet does not move its flow: when the bucket comes up, the owner looks at the
//! true deadline and puts the flow back if it is not due. So a packet costs nothing here, and the wheel is
//! driven by time alone. Deadlines beyond the ring wait in its last bucket. Memory: 12 bytes a flow.

/// A bucket is 2^27 ns, 134 ms, wide.
const SHIFT: u32 = 27;
/// Buckets of the ring: 137 s.
const BUCKETS: usize = 1024;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    prev: u32,
    /// Index of the bucket, or [`NONE`] if the flow is not on the wheel.
    bucket: u32,
}

/// See the [module](self). Times are nanoseconds of any clock that does not go back.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// First and last flow of each bucket, in the order they came.
    ends: Vec<(u32, u32)>,
    /// One bit for each bucket that is not empty.
    occupied: [u64; BUCKETS / 64],
    links: Vec<Link>,
    /// All buckets before this tick are empty.
    tick: i64,
}

impl Wheel {
    pub(crate) fn new(now: i64) -> Self {
        Self { ends: vec![(NONE, NONE); BUCKETS], occupied: [0; BUCKETS / 64], links: Vec::new(), tick: now >> SHIFT }
    }

    /// Whether a bucket has passed by `now`: [`take_passed`](Self::take_passed) may have something.
    #[inline]
    pub(crate) const fn has_passed(&self, now: i64) -> bool {
        now >> SHIFT > self.tick
    }

    /// Puts a flow that is not on the wheel into the bucket of its deadline.
    pub(crate) fn schedule(&mut self, flow: u32, deadline: i64) {
        let at = flow as usize;
        if at >= self.links.len() {
            self.links.resize(at + 1, Link { next: NONE, prev: NONE, bucket: NONE });
        }
        let tick = (deadline >> SHIFT).clamp(self.tick, self.tick.saturating_add(BUCKETS as i64 - 1));
        let bucket = tick.rem_euclid(BUCKETS as i64) as usize;
        let (first, last) = self.ends[bucket];
        self.links[at] = Link { next: NONE, prev: last, bucket: bucket as u32 };
        if last == NONE {
            self.ends[bucket] = (flow, flow);
            self.occupied[bucket / 64] |= 1 << (bucket % 64);
        } else {
            self.links[last as usize].next = flow;
            self.ends[bucket] = (first, flow);
        }
    }

    /// Takes a flow off the wheel.
    pub(crate) fn cancel(&mut self, flow: u32) {
        let Some(link) = self.links.get_mut(flow as usize) else { return };
        let Link { next, prev, bucket } = *link;
        if bucket == NONE {
            return;
        }
        link.bucket = NONE;
        let bucket = bucket as usize;
        if prev == NONE {
            self.ends[bucket].0 = next;
        } else {
            self.links[prev as usize].next = next;
        }
        if next == NONE {
            self.ends[bucket].1 = prev;
        } else {
            self.links[next as usize].prev = prev;
        }
        if self.ends[bucket].0 == NONE {
            self.occupied[bucket / 64] &= !(1 << (bucket % 64));
        }
    }

    /// Takes off all flows of the buckets that have passed by `now`, and of the one that `now` is in.
    pub(crate) fn take_through(&mut self, now: i64, out: &mut Vec<u32>) {
        self.take_passed(now, out);
        self.empty(now.max(self.tick << SHIFT) >> SHIFT, out);
    }

    /// Takes off all flows of the buckets that have passed by `now`.
    pub(crate) fn take_passed(&mut self, now: i64, out: &mut Vec<u32>) {
        let end = now >> SHIFT;
        let round = self.tick.saturating_add(BUCKETS as i64);
        while self.tick < end.min(round) {
            self.empty(self.tick, out);
            self.tick += 1;
        }
        self.tick = self.tick.max(end);
    }

    /// Takes off every flow.
    pub(crate) fn take_all(&mut self, out: &mut Vec<u32>) {
        for ahead in 0..BUCKETS as i64 {
            self.empty(self.tick.saturating_add(ahead), out);
        }
    }

    /// The flow that came first into the first bucket that is not empty: the one to give up when there is no
    /// room, and the end of its bucket's time.
    pub(crate) fn first(&self) -> Option<(u32, i64)> {
        let start = self.tick.rem_euclid(BUCKETS as i64) as usize;
        (0..=BUCKETS / 64).find_map(|step| {
            let word = (start / 64 + step) % (BUCKETS / 64);
            let bits = match step {
                0 => self.occupied[word] & (u64::MAX << (start % 64)),
                _ if step == BUCKETS / 64 => self.occupied[word] & !(u64::MAX << (start % 64)),
                _ => self.occupied[word],
            };
            if bits == 0 {
                return None;
            }
            let bucket = word * 64 + bits.trailing_zeros() as usize;
            let ahead = (bucket + BUCKETS - start) % BUCKETS;
            Some((self.ends[bucket].0, (self.tick + ahead as i64 + 1) << SHIFT))
        })
    }

    fn empty(&mut self, tick: i64, out: &mut Vec<u32>) {
        let bucket = tick.rem_euclid(BUCKETS as i64) as usize;
        let (mut flow, _) = self.ends[bucket];
        while let Some(link) = self.links.get_mut(flow as usize) {
            link.bucket = NONE;
            out.push(flow);
            flow = link.next;
        }
        self.ends[bucket] = (NONE, NONE);
        self.occupied[bucket / 64] &= !(1 << (bucket % 64));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is scheduled, cancelled and taken: nothing is lost, nothing comes twice, all that is due
        /// comes, and what comes first is in the earliest bucket.
        #[test]
        fn keeps_every_flow_until_its_bucket(
            start in -10 * SECOND..1 << 60,
            operations in prop::collection::vec((0_u8..8, 0_u32..64, 0..400 * SECOND), 0..300),
        ) {
            let mut wheel = Wheel::new(start);
            let mut model: BTreeMap<u32, i64> = BTreeMap::new();
            let mut now = start;
            for (operation, flow, time) in operations {
                match operation {
                    0..4 => {
                        wheel.cancel(flow);
                        wheel.schedule(flow, now + time);
                        model.insert(flow, now + time);
                    }
                    4 => {
                        wheel.cancel(flow);
                        model.remove(&flow);
                    }
                    _ => {
                        now += time / if operation == 5 { 4_000 } else { 2 };
                        let mut taken = Vec::new();
                        if operation == 6 { wheel.take_passed(now, &mut taken) } else { wheel.take_through(now, &mut taken) }
                        let due = |deadline: i64| if operation == 6 { deadline >> SHIFT < now >> SHIFT } else { deadline <= now };
                        for flow in &taken {
                            prop_assert!(model.contains_key(flow));
                        }
                        for (flow, deadline) in &model {
                            prop_assert!(taken.contains(flow) || !due(*deadline), "flow {} is due", flow);
                        }
                        // What was looked at too early goes back.
                        for flow in taken {
                            let deadline = model[&flow];
                            if due(deadline) { model.remove(&flow); } else { wheel.schedule(flow, deadline); }
                        }
                    }
                }
                let first = wheel.first().map(|(flow, _)| flow);
                prop_assert_eq!(first.is_some(), !model.is_empty());
            }
            let mut all = Vec::new();
            wheel.take_all(&mut all);
            all.sort_unstable();
            prop_assert_eq!(all, model.keys().copied().collect::<Vec<_>>());
        }
    }

    #[test]
    fn gives_up_what_is_due_next() {
        let mut wheel = Wheel::new(0);
        for (flow, seconds) in [(1, 60), (2, 2), (3, 15), (4, 2)] {
            wheel.schedule(flow, seconds * SECOND);
        }
        let mut order = Vec::new();
        while let Some((flow, bucket_end)) = wheel.first() {
            assert!(bucket_end > 2 * SECOND);
            wheel.cancel(flow);
            order.push(flow);
        }
        assert_eq!(order, [2, 4, 3, 1]);
    }
}
