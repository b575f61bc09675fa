//! Special functions: digamma, trigamma, log-gamma, and the Poisson upper tail in log space.

use super::math::{exp, ln, ln_1p};

/// ½ ln 2π.
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// ψ(x) for x > 0: recurrence up to 12, then the asymptotic series (Abramowitz and Stegun 6.3.18). Relative error below 1e-13.
pub(super) fn digamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 12.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let i = 1.0 / (x * x);
    let series = i * (1.0 / 12.0 - i * (1.0 / 120.0 - i * (1.0 / 252.0 - i * (1.0 / 240.0 - i * (1.0 / 132.0)))));
    shift + ln(x) - 0.5 / x - series
}

/// ψ′(x) for x > 0 (Abramowitz and Stegun 6.4.12).
pub(super) fn trigamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 12.0 {
        shift += 1.0 / (x * x);
        x += 1.0;
    }
    let i = 1.0 / (x * x);
    let series = i * (1.0 / 6.0 - i * (1.0 / 30.0 - i * (1.0 / 42.0 - i * (1.0 / 30.0))));
    shift + (1.0 + series) / x + 0.5 * i
}

/// ln Γ(x) for x > 0: recurrence up to 16, then Stirling's series (Abramowitz and Stegun 6.1.41).
pub(super) fn ln_gamma(mut x: f64) -> f64 {
    let mut product = 1.0;
    while x < 16.0 {
        product *= x;
        x += 1.0;
    }
    let i = 1.0 / (x * x);
    let series = (1.0 / 12.0 - i * (1.0 / 360.0 - i * (1.0 / 1260.0 - i / 1680.0))) / x;
    (x - 0.5) * ln(x) - x + HALF_LN_TAU + series - ln(product)
}

/// ln P(X ≥ c), X ~ Poisson(λ), without underflow. 0 for c ≤ 0; λ is taken as at least the smallest normal number.
///
/// Where c > λ the tail is its first term times a geometric-like series, summed directly; else it is 1 minus the lower sum.
pub(super) fn poisson_tail_ln(c: f64, rate: f64) -> f64 {
    let c = c.ceil();
    if c.is_nan() || c <= 0.0 {
        return 0.0;
    }
    let rate = if rate.is_nan() { f64::MIN_POSITIVE } else { rate.clamp(f64::MIN_POSITIVE, 1e15) };
    let ln_rate = ln(rate);
    let ln_term = |n: f64| n * ln_rate - rate - ln_gamma(n + 1.0);
    if c > rate {
        // Σ_{j≥0} λ^j / ((c+1)…(c+j)): each factor is below 1.
        let (mut sum, mut term, mut n) = (1.0_f64, 1.0_f64, c);
        for _ in 0..100_000 {
            n += 1.0;
            term *= rate / n;
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return (ln_term(c) + ln(sum)).min(0.0);
    }
    // P(X ≤ c − 1) from its largest term downwards.
    let (mut sum, mut term, mut n) = (1.0_f64, 1.0_f64, c - 1.0);
    for _ in 0..100_000 {
        if n <= 0.0 || term < sum * 1e-17 {
            break;
        }
        term *= n / rate;
        n -= 1.0;
        sum += term;
    }
    let lower = exp(ln_term(c - 1.0) + ln(sum)).min(1.0);
    ln_1p(-lower).max(-40.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs().max(1.0), "{a} {b}");
    }

    #[test]
    fn values_of_the_tables() {
        close(digamma(1.0), -0.577_215_664_901_532_9, 1e-12);
        close(digamma(0.5), -1.963_510_026_021_423_5, 1e-12);
        close(digamma(0.0009), -1_111.686_847_5, 1e-6);
        close(trigamma(1.0), 1.644_934_066_848_226_4, 1e-11);
        close(ln_gamma(0.5), 0.572_364_942_924_700_1, 1e-12);
        close(ln_gamma(101.0), 363.739_375_555_563_5, 1e-12);
    }

    #[test]
    fn poisson_tails() {
        // 1 - e^-2 (1 + 2); 1 - e^-0.1; scipy-independent: direct sums.
        close(poisson_tail_ln(2.0, 2.0), (1.0 - (-2.0_f64).exp() * 3.0).ln(), 1e-12);
        close(poisson_tail_ln(1.0, 0.1), (1.0 - (-0.1_f64).exp()).ln(), 1e-12);
        close(poisson_tail_ln(1.0, 1e-30), (1e-30_f64).ln(), 1e-12);
        assert_eq!(poisson_tail_ln(0.0, 5.0), 0.0);
        // Far out: no infinity, and strictly falling, so there are no ties.
        let far = [300.0, 301.0, 1e6, 1e9].map(|c| poisson_tail_ln(c, 1e-6));
        assert!(far.iter().all(|ln| ln.is_finite()) && far.is_sorted_by(|a, b| a > b), "{far:?}");
        assert!(poisson_tail_ln(f64::NAN, f64::NAN).is_finite());
    }
}
