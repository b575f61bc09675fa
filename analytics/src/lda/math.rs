//! Elementary functions of our own, so that a result does not depend on the C library of the machine.

/// ln x for normal x > 0, relative error below 4e-16 except next to 1, where the absolute error is below 1e-16. A smaller x is taken as the
/// smallest normal number.
///
/// x = m·2^e with m about 1, and ln m = 2·artanh((m−1)/(m+1)) by its series.
pub(super) fn ln(x: f64) -> f64 {
    const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
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
    let e = exponent as f64;
    e * LN2_HIGH + (2.0 * t + (2.0 * t * q * series + e * LN2_LOW))
}

#[cfg(test)]
mod tests {
    use super::ln;

    #[test]
    fn logarithms_of_all_sizes() {
        let mut x = f64::MIN_POSITIVE;
        while x < 1e300 {
            for x in [x, x * 1.2, x * 1.414_213_56, x * 1.414_213_57, x * 1.999_999] {
                let expected = x.ln();
                assert!((ln(x) - expected).abs() <= 4e-16 * expected.abs() + 1e-16, "{x:e} {} {expected}", ln(x));
            }
            x *= 1.37;
        }
        assert_eq!(ln(1.0), 0.0);
        assert!(ln(0.0) < -700.0 && ln(0.0).is_finite() && ln(f64::MAX).is_finite());
    }
}
