//! One rule that turns any statistic into an expectation: how many such or stronger cases a day like this one has by chance.
//!
//! A detector measures a statistic for *every* case it looks at (every pair, every client), and larger is more suspicious. The day itself says
//! what is usual: the tail beyond a high quantile is taken as exponential with the scale of the quantiles before it, which a few attacks do
//! not move. A statistic that is a −ln p keeps at least the scale 1 that its null model states, so that a day can make a detector more
//! careful but never bolder than its model.

use super::stats::quantile;

/// What the statistic is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scale {
    /// −ln of a probability under a stated null model.
    Probability,
    /// The logarithm of a quantity with a heavy tail (bytes, bits, seconds). With too few cases to learn from, values
    /// of `usual` are taken as reached by one case in ten, and the tail as Pareto with exponent 1.
    Quantity {
        /// ln of what is usual at most.
        usual: f64,
    },
}

/// The tail of a day.
///
/// Memory: 16 bytes a value that 20 or more cases beyond the knee share, and 1 KiB.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Tail {
    cases: f64,
    knee: f64,
    beyond: f64,
    scale: f64,
    /// The values of each 128th of the cases, ascending: up to the knee the day itself says how many are as strong.
    grid: Vec<f64>,
    /// Values beyond the knee that a mass of cases shares, ascending, each with how many have it. What so many cases have is not rarer than that.
    shared: Vec<(f64, f64)>,
}

/// So many cases with exactly the same value are a mass, and no coincidence of attacks.
const MASS: usize = 20;

/// Parts of the cases that are told apart below the knee.
const GRID: usize = 128;

/// Cases from which on a day says what is usual.
const ENOUGH: usize = 50;

impl Tail {
    /// Of the statistics of all cases. Sorts them.
    pub fn new(statistics: &mut [f64], kind: Scale) -> Self {
        statistics.sort_unstable_by(f64::total_cmp);
        let cases = statistics.len() as f64;
        // With many cases the part of the tail that is learned from ends where a dozen attacks could begin.
        let (from, to) = if statistics.len() >= 10 * ENOUGH { (0.9, 0.98) } else { (0.7, 0.9) };
        let learned = (quantile(statistics, to) - quantile(statistics, from)) / f64::ln((1.0 - from) / (1.0 - to));
        let last = statistics.len().saturating_sub(1);
        let grid: Vec<f64> = (0..GRID).filter_map(|at| statistics.get(at * last / GRID)).copied().collect();
        let of = |knee: f64, beyond: f64, scale: f64| {
            let above = statistics.partition_point(|value| *value <= knee);
            let equal = statistics.get(above..).unwrap_or_default().chunk_by(|a, b| a.total_cmp(b).is_eq());
            let shared = equal
                .filter(|run| run.len() >= MASS)
                .map(|run| (run.first().copied().unwrap_or(0.0), run.len() as f64));
            Self { cases, knee, beyond, scale, grid: grid.clone(), shared: shared.collect() }
        };
        match kind {
            Scale::Probability if statistics.len() < ENOUGH => of(0.0, 1.0, 1.0),
            Scale::Probability => of(quantile(statistics, to), 1.0 - to, learned.max(1.0)),
            Scale::Quantity { usual } if statistics.len() < ENOUGH => of(usual, 0.1, 1.0),
            Scale::Quantity { usual } => {
                // A day on which nobody does anything has a knee near 0: what is usual elsewhere is no attack here, and no more than a third of it is
                // expected less than once.
                let knee = quantile(statistics, to).max(usual - 1.0);
                let scale = learned.clamp(0.25, 3.0);
                // By the quantiles before it, not by counting: dozens of attacks would vouch for each other.
                let beyond = (1.0 - to) * (-(knee - quantile(statistics, to)) / scale).exp();
                of(knee, beyond.max(1.0 / cases), scale)
            }
        }
    }

    /// ln of the expected number of cases at least this strong, at most ln of the number of cases.
    pub fn ln_expected(&self, statistic: f64) -> f64 {
        let Self { cases, knee, beyond, scale, ref grid, ref shared } = *self;
        let all = cases.max(1.0).ln();
        if !statistic.is_finite() {
            return all;
        }
        if statistic <= knee {
            // What the day has, or the law of the tail the other way, where a knee was raised beyond what the day tells apart.
            let below = grid.partition_point(|value| *value < statistic) as f64 / GRID as f64;
            let law = beyond * ((knee - statistic) / scale).exp();
            return all + (1.0 - below).max(law).min(1.0).ln();
        }
        let tail = all + beyond.ln() - (statistic - knee) / scale;
        match shared.binary_search_by(|(value, _)| value.total_cmp(&statistic)) {
            Ok(at) => tail.max(shared.get(at).map_or(0.0, |(_, count)| count.ln())).min(all),
            Err(_) => tail,
        }
    }

    /// Cases it was made of.
    pub fn cases(&self) -> u64 {
        self.cases as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponential_day_expects_what_it_has() {
        // Quantiles of the exponential distribution: the expected number of cases above the 100th largest is 100.
        let mut day: Vec<f64> = (0..10_000).map(|i| -f64::ln(1.0 - (f64::from(i) + 0.5) / 10_000.0)).collect();
        let tail = Tail::new(&mut day, Scale::Probability);
        for (place, expected) in [(9_899, 100.0), (9_989, 10.0)] {
            let found = tail.ln_expected(day[place]).exp();
            assert!((found / expected - 1.0).abs() < 0.1, "{found} for {expected}");
        }
    }

    #[test]
    fn a_few_attacks_do_not_hide_themselves() {
        let mut day: Vec<f64> = (0..1_000).map(|i| -f64::ln(1.0 - (f64::from(i) + 0.5) / 1_000.0)).collect();
        day.extend([200.0; 9]);
        assert!(Tail::new(&mut day, Scale::Probability).ln_expected(200.0) < -100.0);
        // And a bursty day makes the detector careful.
        let mut bursty: Vec<f64> = (0..1_000).map(|i| -20.0 * f64::ln(1.0 - (f64::from(i) + 0.5) / 1_000.0)).collect();
        assert!(Tail::new(&mut bursty, Scale::Probability).ln_expected(130.0) > 0.0);
    }

    /// Calls of half an hour were told on a day of short connections, a dozen each day: all below the knee counted as the one expected at it.
    #[test]
    fn below_a_raised_knee_more_are_expected_than_at_it() {
        let mut day = vec![1.0; 10_000];
        day.extend([6.0, 6.5, 6.8]);
        let tail = Tail::new(&mut day, Scale::Quantity { usual: 8.2 });
        let at = |value: f64| tail.ln_expected(value).exp();
        assert!(at(6.8) > 2.0 && at(6.0) > at(6.5) && at(6.5) > at(6.8), "{} {} {}", at(6.0), at(6.5), at(6.8));
        assert!((at(7.2) - 1.0).abs() < 1e-6 && at(9.0) < 0.01, "{} {}", at(7.2), at(9.0));
    }

    /// Fifty words that one host each has stood before tunnels of which a dozen were expected.
    #[test]
    fn what_many_share_is_not_rarer_than_they_are_many() {
        let mut day: Vec<f64> = (0..10_000).map(|i| -f64::ln(1.0 - (f64::from(i) + 0.5) / 10_000.0)).collect();
        day.extend([20.0; 50]);
        let tail = Tail::new(&mut day, Scale::Probability);
        assert!((tail.ln_expected(20.0).exp() - 50.0).abs() < 1e-6);
        assert!(tail.ln_expected(20.5) < 0.0);
    }

    #[test]
    fn nothing_is_not_a_number() {
        for kind in [Scale::Probability, Scale::Quantity { usual: 7.0 }] {
            for mut day in [vec![], vec![0.0; 3], vec![0.0; 5000], vec![f64::MAX; 600]] {
                let tail = Tail::new(&mut day, kind);
                for value in [0.0, 1.0, f64::MAX, f64::NAN, f64::INFINITY] {
                    assert!(!tail.ln_expected(value).is_nan());
                }
            }
        }
    }
}
