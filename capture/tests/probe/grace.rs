//! Why a generation is read only after the grace period.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use capture::probe::ProbeOptions;

use crate::frames::{Way, udp};
use crate::support::{Memory, by_hand, load};

/// Packets of so many flows that were sent, and those that were read, flipping and sweeping as fast as can be for a while, or
/// until a sweep counted something wrong.
fn sweep_in_a_loop(grace: bool, flows: u8, flips: u64, most: Duration) -> Option<(u64, u64)> {
    let options = ProbeOptions { grace, slots4_shift: 4, slots6_shift: 4, ..by_hand() };
    let (probe, mut areas) = load(&options)?;
    let area = &mut areas[0];
    let frames: Vec<_> = (0..flows).map(|host| udp(Way::new(host, 40_000), &[0; 20])).collect();
    // One flow is hot; of many each has its turn.
    let repeat = if flows == 1 { 10_000 } else { 1 };
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut memory = Memory::default();
    let mut read = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for frame in &frames {
                    probe.test_run(1, frame, repeat).unwrap();
                    sent.fetch_add(u64::from(repeat), Ordering::Relaxed);
                }
            }
        });
        let start = Instant::now();
        for flip in 0..flips {
            probe.flip(0);
            area.drain_evicted(&mut memory, usize::MAX);
            area.sweep(&mut memory);
            read += std::mem::take(&mut memory).packets();
            if start.elapsed() > most || !grace && flip % 256 == 0 && !area.books().imbalances().is_empty() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    // Twice: what a program wrote late is in the generation before the last.
    for _ in 0..2 {
        probe.flip(0);
        area.drain_evicted(&mut memory, usize::MAX);
        area.sweep(&mut memory);
    }
    assert!(!grace || area.books().imbalances().is_empty(), "{:?}", area.books().imbalances());
    Some((sent.into_inner(), read + memory.packets()))
}

#[test]
fn nothing_is_lost_when_a_generation_is_read_after_the_grace_period() {
    let Some((sent, read)) = sweep_in_a_loop(true, 1, 200, Duration::from_secs(4)) else { return };
    assert!(sent > 0);
    assert_eq!(read, sent);
}

/// Forty flows in sixteen slots: the ring is read while it is written.
#[test]
fn nothing_is_lost_of_many_flows_that_displace_each_other_meanwhile() {
    let Some((sent, read)) = sweep_in_a_loop(true, 40, 200, Duration::from_secs(4)) else { return };
    assert!(sent > 0);
    assert_eq!(read, sent);
}

/// If this test fails, the one above proves nothing. Books that do not balance while the program still writes can balance at the
/// end, when what came late was found by the next sweep; so a round without a loss is followed by another.
#[test]
fn packets_are_lost_when_it_is_read_at_once() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        let Some((sent, read)) = sweep_in_a_loop(false, 1, u64::MAX, Duration::from_secs(8)) else { return };
        if read != sent {
            return;
        }
    }
    panic!("no packet was lost without the grace period");
}
