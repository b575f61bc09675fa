//! Elementary functions of our own, so that a result does not depend on the C library of the machine. Only operations that IEEE 754 defines to the bit are used.

use std::f64::consts::LOG2_E;

/// ln 2 in two parts, the first with 21 zero bits at its end, so that a whole number below 2^21 times it is exact.
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// ln x for normal x > 0, relative error below 4e-16 except next to 1, where the absolute error is below 1e-16. What is smaller, or not a number, is taken as the
/// smallest normal number.
pub(super) fn ln(x: f64) -> f64 {
    let (e, t, rest) = parts(x);
    e * LN2_HIGH + (t + (rest + e * LN2_LOW))
}

/// log2 x, under the same terms; exact for powers of two.
pub(super) fn log2(x: f64) -> f64 {
    let (e, t, rest) = parts(x);
    e + (t + rest) * LOG2_E
}

/// x = m·2^e with m about 1, and ln m = 2·artanh((m−1)/(m+1)) by its series: e, the series' first term, and the rest of it.
fn parts(x: f64) -> (f64, f64, f64) {
    /// The bits of √½.
    const ROOT: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = if x >= f64::MIN_POSITIVE { x.to_bits() } else { f64::MIN_POSITIVE.to_bits() };
    let exponent = (bits.wrapping_sub(ROOT) as i64) >> 52;
    let m = f64::from_bits(bits.wrapping_sub((exponent << 52) as u64));
    let t = (m - 1.0) / (m + 1.0);
    let q = t * t;
    let mut series = 1.0 / 23.0;
    for odd in [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        series = series * q + 1.0 / odd;
    }
    (exponent as f64, 2.0 * t, 2.0 * t * q * series)
}

/// ln(1 + x) for x > −1, exact next to 0.
pub(super) fn ln_1p(x: f64) -> f64 {
    let u = 1.0 + x;
    // What rounding took from 1 + x is put back in proportion (Kahan).
    if u == 1.0 { x } else { ln(u) * (x / (u - 1.0)) }
}

/// e^x, relative error below 4e-16; 0 below −708, infinite above 709.
///
/// x = n·ln 2 + r with |r| ≤ ½ ln 2, and e^r by its series.
pub(super) fn exp(x: f64) -> f64 {
    if x.is_nan() || x > 709.0 {
        return x + f64::INFINITY;
    }
    if x < -708.0 {
        return 0.0;
    }
    let n = (x * LOG2_E).round();
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut series = 1.0;
    for i in [13.0, 12.0, 11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0] {
        series = series * (r / i) + 1.0;
    }
    let power = f64::from_bits(((n as i64 + 1023) as u64) << 52);
    (1.0 + r * series) * power
}

#[cfg(test)]
mod tests {
    use super::{exp, ln, ln_1p, log2};

    #[test]
    fn logarithms_of_all_sizes() {
        let mut x = f64::MIN_POSITIVE;
        while x < 1e300 {
            for x in [x, x * 1.2, x * 1.4138, x * 1.4147, x * 1.999_999] {
                let expected = x.ln();
                assert!((ln(x) - expected).abs() <= 4e-16 * expected.abs() + 1e-16, "{x:e} {} {expected}", ln(x));
                assert!((log2(x) - x.log2()).abs() <= 6e-16 * x.log2().abs() + 2e-16, "{x:e}");
            }
            x *= 1.37;
        }
        assert_eq!((ln(1.0), log2(8.0), log2(0.25)), (0.0, 3.0, -2.0));
        assert!(ln(0.0) < -700.0 && ln(0.0).is_finite() && ln(f64::MAX).is_finite());
    }

    #[test]
    fn powers_of_all_sizes() {
        for at in -70_000..70_900 {
            let x = f64::from(at) / 100.0 + 1e-9;
            assert!((exp(x) / x.exp() - 1.0).abs() < 6e-16, "{x} {} {}", exp(x), x.exp());
        }
        assert_eq!((exp(0.0), exp(-1e9), exp(1e9)), (1.0, 0.0, f64::INFINITY));
        assert!(exp(f64::NAN).is_nan());
        for x in [1e-300, -1e-17, 1e-9, -0.3, 0.7, -0.999_999, 1e9] {
            let expected = f64::ln_1p(x);
            assert!((ln_1p(x) / expected - 1.0).abs() < 1e-15, "{x} {} {expected}", ln_1p(x));
        }
    }
}
