//! Several queues as one, in the order of time.
//!
//! Who spoke first decides who the initiator is, and the two directions of a connection may come in by different
//! queues or ports. So the earliest entry is taken, and only when no queue can still bring an earlier one. A queue
//! that says nothing for longer than it is given is not waited for any more, and that is counted.

use std::time::{Duration, Instant};

use capture::Nanos;

use super::batch::Inlet;

/// Several inlets, read in the order of time.
#[derive(Debug)]
pub(super) struct Merge {
    inlets: Vec<Inlet>,
    /// How long an entry is held for a queue that neither brings anything nor says that nothing comes.
    patience: Duration,
    /// Since when an entry waits for a silent queue.
    waiting: Option<Instant>,
    /// Patience is over, until all queues speak again.
    hurried: bool,
    overtaken: u64,
}

/// Which inlet may be read, and up to which time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Turn {
    pub(super) inlet: usize,
    pub(super) until: Nanos,
}

impl Merge {
    pub(super) fn new(inlets: Vec<Inlet>, patience: Duration) -> Self {
        Self { inlets, patience, waiting: None, hurried: false, overtaken: 0 }
    }

    pub(super) fn inlet(&mut self, at: usize) -> Option<&mut Inlet> {
        self.inlets.get_mut(at)
    }

    /// Whose turn it is. `Err` where nothing can be read now: everything before that time has been.
    pub(super) fn turn(&mut self) -> Result<Turn, Nanos> {
        let (mut first, mut second) = (None::<(Nanos, usize)>, Nanos(i64::MAX));
        let mut silent = Nanos(i64::MAX);
        for (at, inlet) in self.inlets.iter_mut().enumerate() {
            match (inlet.head(), first) {
                (Some(head), Some((earliest, _))) if head >= earliest => second = second.min(head),
                (Some(head), earlier) => {
                    second = earlier.map_or(second, |(earliest, _)| second.min(earliest));
                    first = Some((head, at));
                }
                (None, _) => silent = silent.min(inlet.known()),
            }
        }
        let Some((head, inlet)) = first else {
            self.waiting = None;
            return Err(silent);
        };
        if head <= silent {
            (self.waiting, self.hurried) = (None, false);
            return Ok(Turn { inlet, until: second.min(silent) });
        }
        let since = *self.waiting.get_or_insert_with(Instant::now);
        if self.hurried || since.elapsed() >= self.patience {
            self.overtaken += u64::from(!self.hurried);
            self.hurried = true;
            return Ok(Turn { inlet, until: second });
        }
        Err(silent)
    }

    /// How far time had come when all queues ended.
    pub(super) fn latest(&self) -> Option<Nanos> {
        self.inlets.iter().map(Inlet::latest).max().filter(|latest| latest.0 != i64::MIN)
    }

    /// Batches in the rings, and how many there may be.
    pub(super) fn fill(&self) -> (u64, u64) {
        let fills = self.inlets.iter().map(Inlet::fill);
        fills.fold((0, 0), |(used, limit), (u, l)| (used + u as u64, limit + l as u64))
    }

    /// Times a queue was not waited for any more.
    pub(super) const fn overtaken(&self) -> u64 {
        self.overtaken
    }
}

#[cfg(test)]
mod tests {
    use capture::live::source::LiveFrame;

    use super::super::batch::{Content, Outlet, ring};
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    fn frame(ts: i64) -> LiveFrame<'static> {
        LiveFrame { ts: Nanos(ts), data: b"0123456789abcdef", wire_len: 16, vlan: None }
    }

    fn send(outlet: &mut Outlet, times: &[i64], complete: i64) {
        for ts in times {
            outlet.batch().frame(0, &frame(*ts));
        }
        assert_eq!(outlet.send(), Content::default());
        outlet.complete_to(Nanos(complete));
    }

    fn read(merge: &mut Merge) -> Vec<(usize, i64)> {
        let mut out = Vec::new();
        while let Ok(turn) = merge.turn() {
            let inlet = merge.inlet(turn.inlet).expect("exists");
            while inlet.head().is_some_and(|head| head <= turn.until) {
                out.push((turn.inlet, inlet.next().expect("has a head").ts.0));
            }
        }
        out
    }

    #[test]
    fn the_earliest_first_and_nothing_before_the_others_have_spoken() {
        let ((mut a, inlet_a), (mut b, inlet_b)) = (ring(8), ring(8));
        let mut merge = Merge::new(vec![inlet_a, inlet_b], PATIENCE);
        send(&mut a, &[10, 30, 50], 50);
        assert_eq!(read(&mut merge), []);
        send(&mut b, &[20, 40], 45);
        // 50 waits: b may still bring 46.
        assert_eq!(read(&mut merge), [(0, 10), (1, 20), (0, 30), (1, 40)]);
        assert_eq!(merge.turn(), Err(Nanos(45)));
        b.complete_to(Nanos(60));
        assert_eq!(read(&mut merge), [(0, 50)]);
        assert_eq!(merge.turn(), Err(Nanos(50)));
    }

    #[test]
    fn a_queue_that_is_silent_for_too_long_is_not_waited_for() {
        let ((mut a, inlet_a), (b, inlet_b)) = (ring(8), ring(8));
        let mut merge = Merge::new(vec![inlet_a, inlet_b], PATIENCE);
        send(&mut a, &[10], 10);
        assert_eq!(read(&mut merge), []);
        std::thread::sleep(PATIENCE);
        assert_eq!(read(&mut merge), [(0, 10)]);
        assert_eq!(merge.overtaken(), 1);
        drop(b);
    }

    #[test]
    fn a_full_ring_refuses_and_says_what_was_lost() {
        let (mut outlet, mut inlet) = ring(2);
        for room in [2 * 256, 256] {
            assert_eq!(outlet.room(), room);
            outlet.batch().frame(0, &frame(1));
            assert_eq!(outlet.send(), Content::default());
        }
        assert_eq!(outlet.room(), 0);
        for _ in 0..3 {
            outlet.batch().frame(0, &frame(2));
            outlet.batch().frame(0, &frame(3));
            let lost = outlet.send();
            assert_eq!((lost.wire.packets, lost.wire.bytes), (2, 32));
        }
        assert_eq!(std::iter::from_fn(|| inlet.next()).count(), 2);
        outlet.batch().frame(0, &frame(4));
        assert_eq!(outlet.send(), Content::default());
        assert_eq!(inlet.next().expect("sent").ts, Nanos(4));
    }
}
