//! Tail probabilities as natural logarithms, never NaN: what the detectors weigh their evidence by.

/// −ln of the Chernoff bound of P(X ≥ `k`), X binomial with `n` trials of probability `p`. 0 where `k` is not above the mean.
pub fn binomial_surprise(k: u64, n: u64, p: f64) -> f64 {
    let p = p.clamp(1e-9, 1.0 - 1e-9);
    let (k, n) = (k.min(n) as f64, n as f64);
    if n == 0.0 || k / n <= p {
        return 0.0;
    }
    let q = k / n;
    let miss = if q < 1.0 { (1.0 - q) * ((1.0 - q) / (1.0 - p)).ln() } else { 0.0 };
    (n * (q * (q / p).ln() + miss)).max(0.0)
}

/// −ln of the Chernoff bound of P(X ≥ `k`), X Poisson with mean `rate`. 0 where `k` is not above the mean.
pub fn poisson_surprise(k: f64, rate: f64) -> f64 {
    let rate = rate.max(1e-9);
    if k.is_finite() && k > rate { (k * (k / rate).ln() - k + rate).max(0.0) } else { 0.0 }
}

/// The value at a share of sorted values, 0 for none: nearest rank.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

/// 1 − |Bowley's skewness| and 1 − MAD/median of sorted values, as RITA takes them: 1 is perfectly even.
pub fn evenness(sorted: &[f64]) -> (f64, f64) {
    let (low, middle, high) = (quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75));
    let width = high - low;
    let skew = if width > 0.0 && middle != low && middle != high { (low + high - 2.0 * middle) / width } else { 0.0 };
    let mut distances: Vec<f64> = sorted.iter().map(|value| (value - middle).abs()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let spread = if middle > 0.0 { quantile(&distances, 0.5) / middle } else { 1.0 };
    (1.0 - skew.abs().min(1.0), (1.0 - spread).max(0.0))
}

/// FNV-1a: the same on every machine. What it stands for may collide; a collision loses one of many.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_against_exact_tails() {
        // P(Bin(10, 0.5) ≥ 9) = 11/1024; the bound is larger.
        let bound = (-binomial_surprise(9, 10, 0.5)).exp();
        assert!((11.0 / 1024.0..0.05).contains(&bound), "{bound}");
        // P(Bin(20, 0.1) = 20) = 1e-20, where the bound is exact.
        assert!((binomial_surprise(20, 20, 0.1) - 20.0 * 10_f64.ln()).abs() < 1e-9);
        // P(Poisson(2) ≥ 10) = 4.65e-5.
        let bound = (-poisson_surprise(10.0, 2.0)).exp();
        assert!((4.65e-5..1e-3).contains(&bound), "{bound}");
        assert_eq!(poisson_surprise(1.0, 2.0), 0.0);
        assert_eq!(binomial_surprise(0, 0, 0.0), 0.0);
    }

    #[test]
    fn even_values_are_even() {
        assert_eq!(evenness(&[60.0; 9]), (1.0, 1.0));
        let (skew, spread) = evenness(&[1.0, 1.0, 2.0, 3.0, 50.0, 400.0, 1000.0]);
        // Quartiles 1, 3 and 400 (nearest rank); half of the distances from 3 are at most 2.
        assert!(
            (skew - (1.0 - 395.0 / 399.0 + 0.0)).abs() < 0.01 && (spread - 1.0 / 3.0).abs() < 1e-9,
            "{skew} {spread}"
        );
        assert_eq!(evenness(&[]), (1.0, 0.0));
    }
}
