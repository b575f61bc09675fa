//! Three clocks: jiffies, in which the kernel program counts packets; the monotonic one, of frames; and UTC.
//!
//! Jiffies and the monotonic clock stand in one relation for as long as the machine runs. UTC is slewed with them, and
//! stands to them as it did before unless it is set.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use aya::Ebpf;
use aya::programs::{TestRun, TestRunOptions};

use super::load::xdp;
use super::map::{clock, resolution};
use super::options::ProbeError;

/// UTC and the monotonic clock are read so often, and those readings taken that lie closest together: in the middle of
/// others the thread had to wait.
const TRIES: usize = 8;

/// How wrong the offset to UTC may be before it is changed; nanoseconds, a fortieth of a tick.
const SLACK: i64 = 100_000;

/// When jiffy 0 was, by the monotonic clock, nanoseconds; measured by the probe loaded last.
static PHASE: Mutex<i64> = Mutex::new(0);

/// See [`PHASE`].
pub(super) fn phase() -> i64 {
    *PHASE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nanoseconds of a jiffy: the resolution of the kernel's coarse clocks (`posix_get_coarse_res`).
pub(super) fn jiffy() -> u64 {
    resolution(libc::CLOCK_MONOTONIC_COARSE).max(1)
}

/// The monotonic clock, nanoseconds.
pub(super) fn monotonic() -> i64 {
    clock(libc::CLOCK_MONOTONIC) as i64
}

/// Reads jiffies and the monotonic clock over and over for two jiffies: right after one begins they are nearest to each other.
pub(super) fn measure_phase(ebpf: &mut Ebpf) -> Result<(), ProbeError> {
    let program = xdp(ebpf, "clocks")?;
    program.load()?;
    let (jiffy, begun) = (jiffy(), Instant::now());
    let mut least = i64::MAX;
    while begun.elapsed().as_nanos() < 2 * u128::from(jiffy) {
        let mut out = [0; 64];
        program.test_run(TestRunOptions {
            data_in: Some(&[0; 64]),
            data_out: Some(&mut out),
            ..TestRunOptions::new()
        })?;
        let word = |at: usize| {
            let bytes = out.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
            bytes.map_or(0, i64::from_ne_bytes)
        };
        least = least.min(word(8).saturating_sub(word(0).saturating_mul(jiffy as i64)));
    }
    *PHASE.lock().unwrap_or_else(PoisonError::into_inner) = least;
    Ok(())
}

/// UTC less the monotonic clock, nanoseconds: `known`, as long as that is right.
pub(super) fn offset(known: i64) -> i64 {
    let readings = (0..TRIES).map(|_| {
        let before = monotonic();
        let utc = clock(libc::CLOCK_REALTIME) as i64;
        (utc.wrapping_sub(monotonic()), utc.wrapping_sub(before))
    });
    corrected(known, readings)
}

/// Each reading: the least and the most that the offset may be.
fn corrected(known: i64, readings: impl Iterator<Item = (i64, i64)>) -> i64 {
    let best = readings.min_by_key(|(least, most)| most.wrapping_sub(*least));
    let Some((least, most)) = best else { return known };
    if known < least.saturating_sub(SLACK) || known > most.saturating_add(SLACK) {
        return least.midpoint(most);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An echo reply was the initiator: it had been read before a flip, its request of the same tick after it, when the offset
    /// had been measured a microsecond larger.
    #[test]
    fn packets_of_one_tick_have_one_time_whenever_they_are_read() {
        let utc = 1_700_000_000_000_000_000;
        assert_eq!(corrected(0, [(utc - 100, utc + 100)].into_iter()), utc);
        for off in [-50_000, -1_000, 0, 70, 1_000, 90_000] {
            assert_eq!(corrected(utc, [(utc + off - 40, utc + off + 40)].into_iter()), utc, "{off}");
        }
    }

    #[test]
    fn utc_that_was_set_is_followed() {
        let utc = 1_700_000_000_000_000_000;
        let moved = utc + 3_000_000;
        assert_eq!(corrected(utc, [(moved - 40, moved + 40)].into_iter()), moved);
    }

    #[test]
    fn a_reading_in_whose_middle_the_thread_waited_says_little() {
        let utc = 1_700_000_000_000_000_000;
        let readings = [(utc - 8_000_000, utc + 60), (utc - 60, utc + 60), (utc - 60, utc + 9_000_000)];
        assert_eq!(corrected(0, readings.into_iter()), utc);
    }

    #[test]
    fn a_jiffy_is_one_of_those_linux_has() {
        assert!((500_000..=50_000_000).contains(&jiffy()), "{}", jiffy());
    }
}
