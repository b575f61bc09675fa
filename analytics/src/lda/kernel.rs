//! The loops that are not worth instructions of their own: dot products and sums over topics, eight f32 lanes in a fixed order.
//!
//! Rust neither reorders nor fuses float operations, so these give the same bits on every machine. Slices are padded to
//! whole lanes ([`super::simd::stride`]) and the padding is 0.

use super::simd::LANES;

/// Σ a·b: lane by lane, then the lanes as a balanced tree.
#[inline]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// y += r·x.
#[inline]
pub(super) fn add_scaled(y: &mut [f32], r: f32, x: &[f32]) {
    for (y, x) in y.chunks_exact_mut(LANES).zip(x.chunks_exact(LANES)) {
        for lane in 0..LANES {
            y[lane] += r * x[lane];
        }
    }
}
