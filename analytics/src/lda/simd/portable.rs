//! Eight lanes in plain Rust.

use super::LANES;
use super::sweep::Vector;

/// Eight f32.
#[derive(Clone, Copy)]
pub(super) struct Lanes([f32; LANES]);

/// a·b + c with one rounding.
#[inline(always)]
pub(super) fn fused(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { a.mul_add(b, c) } else { emulated(a, b, c) }
}

/// The same without the instruction. The product is exact in f64; the sum is rounded to odd there (Boldo and Melquiond, 2008), so that rounding to
/// f32 afterwards gives what one rounding would.
#[inline(always)]
fn emulated(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // The rounding error of the sum, exactly (Knuth's two-sum).
    let back = sum - product;
    let error = (product - (sum - back)) + (c - back);
    let bits = sum.to_bits();
    let away = (error > 0.0) == (sum > 0.0);
    // Truncated towards zero, with the last bit set: rounded to odd.
    let odd = if bits & 1 == 1 {
        bits
    } else if away {
        bits + 1
    } else {
        bits.wrapping_sub(1)
    };
    let inexact = error != 0.0 && sum.is_finite() && sum != 0.0;
    f64::from_bits(if inexact { odd } else { bits }) as f32
}

#[inline(always)]
fn each(a: [f32; LANES], b: [f32; LANES], of: impl Fn(f32, f32) -> f32) -> Lanes {
    let mut out = a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = of(*out, b);
    }
    Lanes(out)
}

impl Vector for Lanes {
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller has eight f32 at `from`; alignment of f32 is enough for an array of them.
        Self(unsafe { from.cast::<[f32; LANES]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller may write eight f32 at `to`.
        unsafe { to.cast::<[f32; LANES]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        each(self.0, other.0, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        each(self.0, other.0, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        let mut out = sum.0;
        for (lane, out) in out.iter_mut().enumerate() {
            *out = fused(self.0[lane], factor.0[lane], *out);
        }
        Self(out)
    }

    #[inline(always)]
    unsafe fn sums(v: [Self; LANES]) -> Self {
        Self(v.map(|Self([a, b, c, d, e, f, g, h])| ((a + c) + (b + d)) + ((e + g) + (f + h))))
    }

    #[inline(always)]
    unsafe fn ratios(counts: Self, sums: Self, smallest: f32) -> Self {
        each(counts.0, sums.0, |count, sum| count / if sum > smallest { sum } else { smallest })
    }

    #[inline(always)]
    unsafe fn some(
        words: *const u32,
        counts: *const f32,
        length: usize,
        to_words: &mut [u32; LANES],
        to_counts: &mut [f32; LANES],
    ) {
        for at in 0..length.min(LANES) {
            // SAFETY: the caller has `length` of both.
            (to_words[at], to_counts[at]) = unsafe { (*words.add(at), *counts.add(at)) };
        }
    }

    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
}

#[cfg(test)]
mod tests {
    use super::{emulated, fused};
    use proptest::prelude::*;

    #[test]
    fn ties_and_signs() {
        let tiny = f32::EPSILON / 2.0;
        for (a, b, c) in [
            (1.0 + f32::EPSILON, 1.0 + f32::EPSILON, -1.0),
            (1.0, 1.0, tiny),
            (1.0, -1.0, -tiny),
            (1.0 + f32::EPSILON, 1.0, tiny * tiny),
            (1.0 + f32::EPSILON, tiny, 1.0),
            (3.0, -7.0, 21.0),
            (0.0, 5.0, 0.0),
            (f32::MAX, 2.0, 0.0),
            (f32::MIN_POSITIVE, 0.5, f32::MIN_POSITIVE),
        ] {
            assert_eq!(emulated(a, b, c).to_bits(), a.mul_add(b, c).to_bits(), "{a} {b} {c}");
            assert_eq!(fused(a, b, c).to_bits(), a.mul_add(b, c).to_bits(), "{a} {b} {c}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn one_rounding(a: u32, b: u32, c: u32) {
            let (a, b, c) = (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
            prop_assume!(a.is_finite() && b.is_finite() && c.is_finite());
            prop_assert_eq!(emulated(a, b, c).to_bits(), a.mul_add(b, c).to_bits(), "{} {} {}", a, b, c);
        }

        #[test]
        fn one_rounding_of_like_sizes(a in 0.5_f32..2.0, b in 0.5_f32..2.0, c in -4.0_f32..4.0, scale in -30_i32..3) {
            let c = c * 2.0_f32.powi(scale);
            prop_assert_eq!(emulated(a, b, c).to_bits(), a.mul_add(b, c).to_bits(), "{} {} {}", a, b, c);
        }
    }
}
