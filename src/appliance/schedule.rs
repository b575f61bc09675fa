//! When the nightly fit is due. Sans-IO: the present comes in as an argument.

use aggregator::lake::Day;
use aggregator::record::Micros;

const DAY: i64 = 86_400_000_000;
const MINUTE: i64 = 60_000_000;

/// The day whose fit is due at `now`, if the fit runs `minute` minutes after midnight UTC and `done` is the
/// last day it was tried for: the newest day that ended and whose hour has come. After a pause of several
/// days only the newest is due; `spotter score --date` does the others.
pub(crate) fn due(now: Micros, minute: u32, done: Option<Day>) -> Option<Day> {
    let today = Day::of(now);
    let since_midnight = now.0.rem_euclid(DAY);
    let days_ago = if since_midnight >= i64::from(minute) * MINUTE { 1 } else { 2 };
    let day = Day(today.0 - days_ago);
    (done.is_none_or(|done| done.0 < day.0)).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22 00:00:00 UTC.
    const MIDNIGHT: i64 = 20_779 * DAY;

    #[test]
    fn yesterday_is_due_once_its_hour_has_come() {
        let yesterday = Day::of(Micros(MIDNIGHT - 1));
        let at = |minutes: i64| Micros(MIDNIGHT + minutes * MINUTE);
        assert_eq!(due(at(29), 30, Some(Day(yesterday.0 - 1))), None, "too early");
        assert_eq!(due(at(30), 30, Some(Day(yesterday.0 - 1))), Some(yesterday));
        assert_eq!(due(at(31), 30, Some(yesterday)), None, "done");
    }

    #[test]
    fn a_fresh_start_before_the_hour_looks_at_the_day_before() {
        let day = due(Micros(MIDNIGHT + MINUTE), 30, None);
        assert_eq!(day, Some(Day::of(Micros(MIDNIGHT - DAY - 1))));
    }
}
